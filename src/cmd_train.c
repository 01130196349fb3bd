/* SPDX-License-Identifier: MIT */
/* imgrec train: data and network from the options, fit, save, test. */
#include "data_care.h"
#include "run_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME               "train"
#define CHECKPOINT_MINUTES 5

/* One run, and all that it holds. */
struct job {
  const struct settings *s;
  struct settings own; /* where *s is: with what was left to us filled in */
  const char *data;
  imgrec_context *ctx;
  imgrec_dataset *train, *val, *test;
  imgrec_model *model;
  imgrec_trainer *trainer;
  struct name_list labels;
  struct augmentation augment;
  const char *preset; /* NULL with --arch, and with the network of --init */
  struct choice choice;
  char *architecture;
  char *found; /* what DATA is, before the split */
  int val_is_split, recipe_chosen;
  double test_loss, test_accuracy;     /* NaN: not measured */
  imgrec_calibrate_result calibration; /* images 0: none */
  struct train_progress progress;
  struct class_sizes sizes; /* of the training set */
  imgrec_fit_result result;
  struct run run;       /* of --run or --resume */
  struct config config; /* of --resume */
  char epochs[24];
};

/* The library's sentence about the last failure. */
static int library_failed(const struct job *job) {
  return fail(NAME, "%s", imgrec_last_error(job->ctx));
}

/* ---- Before anything is read -------------------------------------------- */

/* An hour of training should not end in "no such folder". */
static int check_output(const char *path) {
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + 1 : 0;
  struct stat st;
  /* saving replaces what is there, which would take a device away */
  if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
    return fail(NAME, "--output: %s is a folder or device; name a file", path);
  char *folder = malloc(n + 2);
  if (folder == NULL)
    return fail(NAME, "out of memory");
  memcpy(folder, n ? path : ".", n ? n : 1);
  folder[n ? n : 1] = '\0';
  int writable = access(folder, W_OK | X_OK) == 0;
  if (!writable)
    fail(NAME,
         "--output: cannot write %s: %s is no folder that can be "
         "written to",
         path, folder);
  free(folder);
  return writable ? EXIT_OK : EXIT_FAILED;
}

static int check_settings(const struct settings *s) {
  if (s->argument_count != 1)
    return usage_error(NAME, "give one DATA, not %d", s->argument_count);
  if (s->output == NULL && s->run == NULL && s->resume == NULL)
    return usage_error(NAME, "-o MODEL is missing: where to save the model; "
                             "or --run DIR");
  if (s->checkpoint_minutes >= 0 && s->run == NULL && s->resume == NULL)
    return usage_error(NAME, "--checkpoint-minutes goes with --run DIR");
  if (s->preset != NULL && s->arch != NULL)
    return usage_error(NAME, "--preset and --arch exclude each other");
  if (s->arch != NULL && s->height > 0)
    return usage_error(NAME, "--size is for presets; with --arch the input "
                             "line of the file says the size");
  int code = s->preset ? check_preset(s->preset, NAME) : EXIT_OK;
  if (code == EXIT_OK)
    code = check_train_options(s, NAME);
  if (code == EXIT_OK && s->output != NULL)
    code = check_output(s->output);
  if (code == EXIT_OK && s->run != NULL)
    code = run_check(s->run, NAME);
  return code;
}

/* ---- Data --------------------------------------------------------------- */

static int open_train(struct job *job) {
  static const int parts[] = {IMGREC_PART_TRAIN, IMGREC_PART_ANY};
  int status =
      open_first_part(&job->train, NULL, job->ctx, job->data, parts, 2);
  if (status < 0)
    return library_failed(job);
  warn_skipped(job->train, NAME);
  job->found = strdup(imgrec_dataset_description(job->train));
  return job->found ? EXIT_OK : fail(NAME, "out of memory");
}

/* The data of --val or --test, else the part of DATA if it is there. */
static int open_other(struct job *job, imgrec_dataset **out, const char *given,
                      int part) {
  int parts[] = {part, IMGREC_PART_ANY};
  int status = open_first_part(out, NULL, job->ctx, given ? given : job->data,
                               parts, given ? 2 : 1);
  if (status == IMGREC_ERR_NOT_FOUND && given == NULL)
    return EXIT_OK;
  if (status < 0)
    return library_failed(job);
  warn_skipped(*out, NAME);
  return EXIT_OK;
}

static int split_off_validation(struct job *job) {
  imgrec_dataset *first, *second;
  if (imgrec_dataset_split(&first, &second, job->train,
                           (float)job->s->val_split, job->s->seed) < 0)
    return library_failed(job);
  imgrec_dataset_destroy(job->train);
  job->train = first;
  job->val = second;
  job->val_is_split = 1;
  return EXIT_OK;
}

static int open_data(struct job *job) {
  const struct settings *s = job->s;
  int code = open_train(job);
  if (code == EXIT_OK)
    code = open_other(job, &job->val, s->val, IMGREC_PART_VAL);
  if (code == EXIT_OK)
    code = open_other(job, &job->test, s->test, IMGREC_PART_TEST);
  if (code == EXIT_OK && job->val == NULL && s->val_split > 0)
    code = split_off_validation(job);
  if (code == EXIT_OK && s->labels != NULL)
    code = read_names(&job->labels, s->labels, NAME);
  int classes = code == EXIT_OK ? imgrec_dataset_classes(job->train) : 0;
  if (code == EXIT_OK && s->labels != NULL && job->labels.count != classes)
    return fail(NAME, "--labels: %s names %d classes, the data has %d",
                s->labels, job->labels.count, classes);
  if (code == EXIT_OK && !count_classes(&job->sizes, job->train))
    return fail(NAME, "out of memory");
  return code;
}

/* What is trained on is left out of validation, and said. */
static int look_over_data(struct job *job) {
  struct care c = {.command = NAME};
  char line[4 * NAME_SIZE];
  if (!job->s->json)
    printf("data: %s\n", printable(line, sizeof line, job->found));
  fflush(stdout);
  if (job->s->no_check)
    return EXIT_OK;
  care_add(&c, job->train, "train", 0);
  care_add(&c, job->val, "val", job->val_is_split);
  care_add(&c, job->test, "test", 0);
  int code = care_examine(&c, job->ctx);
  if (code == EXIT_OK && job->s->json)
    print_data_json(&c);
  else if (code == EXIT_OK)
    print_data_table(&c, 0);
  if (code == EXIT_OK)
    code = care_refuse(&c, job->ctx);
  care_free(&c);
  return code;
}

/* ---- Network ------------------------------------------------------------ */

static int get_architecture(struct job *job) {
  const struct settings *s = job->s;
  int64_t shape[3];
  if (s->arch != NULL)
    return read_text_file(&job->architecture, s->arch, NAME);
  imgrec_dataset_shape(job->train, shape);
  choose_input(shape);
  if (s->height > 0) {
    shape[0] = s->height;
    shape[1] = s->width;
  }
  job->choice = choose_preset(shape, imgrec_dataset_size(job->train));
  job->preset = s->preset ? s->preset : job->choice.preset;
  return preset_text(&job->architecture, job->preset, shape,
                     imgrec_dataset_classes(job->train), NAME);
}

static int check_classes(const struct job *job) {
  int have = imgrec_model_classes(job->model);
  int want = imgrec_dataset_classes(job->train);
  if (have == want)
    return EXIT_OK;
  return fail(NAME, "%s%s ends in %d classes, the data has %d",
              job->run.resumed ? "" : "--arch: ",
              job->run.resumed ? job->run.last_path : job->s->arch, have, want);
}

static int set_labels(struct job *job) {
  int count = imgrec_dataset_classes(job->train);
  const char **labels = malloc((size_t)count * sizeof *labels);
  if (labels == NULL)
    return fail(NAME, "out of memory");
  for (int i = 0; i < count; i++)
    labels[i] = imgrec_dataset_label(job->train, i);
  int status = imgrec_model_set_labels(job->model, count, labels);
  /* the other parts have the names of the data, not those of --labels */
  if (status >= 0 && job->val != NULL && !job->val_is_split)
    status = match_classes(job->val, job->model);
  if (status >= 0 && job->test != NULL)
    status = match_classes(job->test, job->model);
  if (status >= 0 && job->labels.count > 0)
    status = imgrec_model_set_labels(job->model, count,
                                     (const char *const *)job->labels.names);
  free(labels);
  return status < 0 ? library_failed(job) : EXIT_OK;
}

static int set_preprocess(struct job *job) {
  imgrec_preprocess p;
  int status = imgrec_preprocess_init(&p, sizeof p);
  if (status >= 0)
    status = imgrec_model_get_preprocess(job->model, &p);
  if (job->architecture != NULL) { /* else it is that of --init */
    p.resize = IMGREC_RESIZE_CROP;
    p.scale = 1.0f / 255.0f;
  }
  if (job->s->resize >= 0)
    p.resize = job->s->resize;
  if (status >= 0)
    status = imgrec_model_set_preprocess(job->model, &p);
  return status < 0 ? library_failed(job) : EXIT_OK;
}

static int create_model(struct job *job, const imgrec_model_options *options) {
  int code = get_architecture(job);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_create(&job->model, job->ctx, job->architecture, options) <
      0)
    return library_failed(job);
  code = check_classes(job);
  return code == EXIT_OK ? load_init(job->model, job->ctx, job->s, NAME) : code;
}

/* As a checkpoint has it, with labels and preprocessing. */
static int reload_model(struct job *job, const imgrec_model_options *options) {
  if (imgrec_model_load(&job->model, job->ctx, job->run.last_path, options) < 0)
    return library_failed(job);
  int code = check_classes(job);
  return code == EXIT_OK ? set_labels(job) : code;
}

static int make_model(struct job *job) {
  imgrec_model_options options;
  imgrec_model_options_init(&options, sizeof options);
  options.seed = job->s->seed;
  options.max_batch = (int32_t)job->s->batch;
  if (job->run.resumed)
    return reload_model(job, &options);
  int code = adapt_init(&job->model, job->ctx, job->s,
                        imgrec_dataset_classes(job->train), &options, NAME);
  if (code == EXIT_OK && job->model == NULL)
    code = create_model(job, &options);
  if (code == EXIT_OK)
    code = set_labels(job);
  if (code == EXIT_OK)
    code = set_preprocess(job);
  return code;
}

static int make_trainer(struct job *job) {
  imgrec_trainer_options options;
  job->recipe_chosen = choose_recipe(&job->own, job->model);
  trainer_options(&options, job->s);
  int code = freeze_layers(job->model, job->ctx, job->s, NAME);
  if (code != EXIT_OK)
    return code;
  if (imgrec_trainer_create(&job->trainer, job->model, &options) < 0)
    return library_failed(job);
  return EXIT_OK;
}

static int choose_augment(struct job *job) {
  imgrec_preprocess p;
  int status = imgrec_preprocess_init(&p, sizeof p);
  if (status >= 0)
    status = imgrec_model_get_preprocess(job->model, &p);
  if (status >= 0)
    status = choose_augmentation(&job->augment, job->ctx, job->train, &p,
                                 job->s->augment);
  return status < 0 ? library_failed(job) : EXIT_OK;
}

/* ---- What is said ------------------------------------------------------- */

static int64_t size_of(const imgrec_dataset *data) {
  return data != NULL ? imgrec_dataset_size(data) : 0;
}

static int64_t count_parameters(const imgrec_model *model) {
  int64_t sum = 0;
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info;
    imgrec_layer_info_init(&info, sizeof info);
    if (imgrec_model_layer(model, i, &info) >= 0)
      sum += info.parameters;
  }
  return sum;
}

static void print_start(const struct job *job) {
  const struct settings *s = job->s;
  char line[4 * NAME_SIZE];
  int64_t in[3];
  imgrec_model_input_shape(job->model, in);
  if (job->val != NULL)
    printf("validation: %lld images %s\n", (long long)size_of(job->val),
           job->val_is_split ? "split off the training images"
                             : (s->val ? "of --val" : "of the val part"));
  if (job->test != NULL)
    printf("test: %lld images %s\n", (long long)size_of(job->test),
           s->test ? "of --test" : "of the test part");
  print_balance(s, &job->sizes, job->train);
  if (job->run.resumed)
    printf("network: that of the run");
  else if (job->preset != NULL)
    printf("network: preset %s%s%s%s", job->preset,
           s->preset ? "" : " (chosen ", s->preset ? "" : job->choice.why,
           s->preset ? "" : ")");
  else
    printf("network: %s%s", s->arch ? "" : "that of ",
           printable(line, sizeof line, s->arch ? s->arch : s->init));
  printf(", input %lld x %lld x %lld, %lld parameters; %lld epochs\n",
         (long long)in[0], (long long)in[1], (long long)in[2],
         (long long)count_parameters(job->model), (long long)s->epochs);
  print_recipe(s, job->recipe_chosen);
  print_augmentation(&job->augment);
  fflush(stdout);
}

static const char *network_of(const struct job *job) {
  if (job->run.resumed)
    return job->run.last_path;
  return job->preset ? job->preset : job->s->arch ? job->s->arch : job->s->init;
}

static void print_start_json(const struct job *job, FILE *f) {
  struct json_out j = {f, 0};
  int64_t in[3];
  imgrec_model_input_shape(job->model, in);
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "start");
  json_key(&j, "data"), json_string(&j, job->found);
  json_key(&j, "train_images"), json_integer(&j, size_of(job->train));
  json_key(&j, "val_images"), json_integer(&j, size_of(job->val));
  json_key(&j, "test_images"), json_integer(&j, size_of(job->test));
  json_key(&j, "network");
  json_string(&j, network_of(job));
  json_key(&j, "input"), json_open(&j, '[');
  for (int i = 0; i < 3; i++)
    json_integer(&j, in[i]);
  json_close(&j, ']');
  json_key(&j, "parameters"), json_integer(&j, count_parameters(job->model));
  json_key(&j, "smallest_class"), json_integer(&j, job->sizes.least);
  json_key(&j, "largest_class"), json_integer(&j, job->sizes.most);
  json_key(&j, "balance");
  json_string(&j, balance_name(choose_balance(job->s, &job->sizes)));
  json_key(&j, "epochs"), json_integer(&j, job->s->epochs);
  json_key(&j, "augment"), json_string(&j, job->augment.text);
  json_key(&j, "augment_reason");
  json_string(&j, job->augment.reason[0] ? job->augment.reason : NULL);
  json_finish(&j);
}

static double training_rate(const struct run_clock *c) {
  return c->train_seconds > 0 ? (double)c->train_images / c->train_seconds
                              : NAN;
}

static void print_done(const struct job *job) {
  const struct train_progress *p = &job->progress;
  if (job->result.stopped_early)
    printf("stopped early: no better epoch than %d in %lld\n", p->best_epoch,
           (long long)job->s->patience);
  if (job->test != NULL && !isnan(job->test_accuracy))
    printf("test: loss %.4f, accuracy %.2f %%\n", job->test_loss,
           100 * job->test_accuracy);
  printf("%d epoch%s in %.1f s", p->epochs_done, p->epochs_done == 1 ? "" : "s",
         seconds_now() - p->clock.started);
  if (isfinite(training_rate(&p->clock)))
    printf(", %.0f training images/s", training_rate(&p->clock));
  putchar('\n');
}

static void print_done_json(const struct job *job, FILE *f) {
  const struct train_progress *p = &job->progress;
  struct json_out j = {f, 0};
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "done");
  json_key(&j, "epochs"), json_integer(&j, p->epochs_done);
  json_key(&j, "best_epoch"), json_integer(&j, p->best_epoch);
  json_key(&j, "stopped_early"), json_integer(&j, job->result.stopped_early);
  json_key(&j, "train_loss"), json_float(&j, p->train_loss);
  json_key(&j, "val_loss"), json_float(&j, p->val_loss);
  json_key(&j, "val_accuracy"), json_float(&j, p->val_accuracy);
  json_key(&j, "test_accuracy"), json_float(&j, job->test_accuracy);
  if (job->calibration.images > 0)
    json_calibration(&j, job->model, &job->calibration);
  json_key(&j, "images_per_second");
  json_float(&j, training_rate(&p->clock));
  json_key(&j, "seconds"), json_float(&j, seconds_now() - p->clock.started);
  json_key(&j, "model");
  json_string(&j, job->s->output ? job->s->output : job->run.best_path);
  json_finish(&j);
}

/* ---- The folder of the run ---------------------------------------------- */

static void print_resumed(const struct job *job) {
  const imgrec_checkpoint *at = &job->run.at;
  if (job->s->json)
    return;
  if (!job->run.resumed)
    printf("%s has no checkpoint yet: from the start\n", job->run.folder);
  else if (at->epoch_done)
    printf("going on behind epoch %d of %d\n", at->epoch, at->epochs);
  else
    printf("going on in epoch %d of %d, behind %lld of %lld images\n",
           at->epoch, at->epochs, (long long)at->images,
           (long long)at->images_total);
  fflush(stdout);
}

static void log_start(struct job *job) {
  struct json_out j;
  if (!job->run.resumed) {
    print_start_json(job, job->run.log);
    return;
  }
  j = run_event(&job->run, "resume");
  json_key(&j, "epoch"), json_integer(&j, job->run.at.epoch);
  json_key(&j, "images"), json_integer(&j, job->run.at.images);
  run_event_end(&job->run, &j);
}

/* "interrupted", "diverged" */
static void log_stop(struct job *job, const char *event) {
  struct json_out j = run_event(&job->run, event);
  json_key(&j, "epochs_done"), json_integer(&j, job->progress.epochs_done);
  json_key(&j, "images"), json_integer(&j, job->progress.images);
  run_event_end(&job->run, &j);
}

/* The images that the run was begun with, else nothing would be the same. */
static int check_data(const struct job *job, const struct run_facts *facts) {
  const struct config *c = &job->config;
  const char *val = c->val_digest != NULL ? c->val_digest : "";
  if (strcmp(c->train_digest, facts->train_digest) == 0 &&
      strcmp(val, facts->val_digest) == 0)
    return EXIT_OK;
  return fail(NAME,
              "%s is not as it was when the run was begun: images have been "
              "added, removed or changed; begin a new one with --run",
              job->data);
}

/* All that was left to us is decided: what is written makes the same again. */
static int open_run(struct job *job) {
  char train[65], val[65];
  const struct settings *s = job->s;
  if (s->run == NULL && s->resume == NULL)
    return EXIT_OK;
  snprintf(job->epochs, sizeof job->epochs, "%lld", (long long)s->epochs);
  set_option(&job->own, CMD_TRAIN, "epochs", job->epochs);
  if (s->augment == NULL || strcmp(s->augment, "auto") == 0)
    replace_option(&job->own, CMD_TRAIN, "augment", job->augment.text);
  if (config_digests(train, val, job->train, job->val) < 0)
    return library_failed(job);
  const struct run_facts facts = {job->data, train, val,
                                  imgrec_model_architecture(job->model)};
  job->run.config = config_text(s, &facts);
  job->run.checkpoint_seconds =
      60 *
      (s->checkpoint_minutes < 0 ? CHECKPOINT_MINUTES : s->checkpoint_minutes);
  if (job->run.config == NULL)
    return fail(NAME, "out of memory");
  int code =
      s->resume ? check_data(job, &facts) : run_begin(&job->run, s->run, NAME);
  if (code == EXIT_OK)
    log_start(job);
  return code;
}

/* ---- The run ------------------------------------------------------------ */

static int save_as(struct job *job, const char *path) {
  const struct train_progress *p = &job->progress;
  if (imgrec_model_save(job->model, path) < 0)
    return library_failed(job);
  if (job->s->json)
    return EXIT_OK;
  /* without validation, interrupted, the weights are those of the moment */
  if (p->best_epoch > 0 && (job->val != NULL || stop_signal() == 0))
    printf("saved %s with the weights of epoch %d\n", path, p->best_epoch);
  else
    printf("saved %s with the weights so far\n", path);
  return EXIT_OK;
}

/* Interrupted, the folder of a run has its best weights already, or none. */
static int save(struct job *job) {
  int code = EXIT_OK;
  if (job->s->output != NULL)
    code = save_as(job, job->s->output);
  if (job->run.folder == NULL || stop_signal() != 0)
    return code;
  run_mend(&job->run);
  int second = save_as(job, job->run.best_path);
  return code == EXIT_OK ? second : code;
}

static int test(struct job *job) {
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  if (imgrec_evaluate(job->model, job->test, &e) < 0)
    return library_failed(job);
  job->test_loss = e.loss;
  job->test_accuracy = e.top1;
  return EXIT_OK;
}

static void report(const struct job *job) {
  if (job->s->json)
    print_done_json(job, stdout);
  else
    print_done(job);
}

/* A signal came: what there is was saved; the exit code is the shell's. */
static int interrupted(struct job *job, int signal_number) {
  const struct train_progress *p = &job->progress;
  if (job->run.folder != NULL) {
    log_stop(job, "interrupted");
    fail(NAME,
         "interrupted after %d of %lld epochs%s; this goes on:\n"
         "imgrec train --resume %s",
         p->epochs_done, (long long)job->s->epochs,
         job->result.checkpoint_status < 0
             ? ", and the checkpoint could not be written"
             : "",
         job->run.folder);
  } else {
    fail(NAME, "interrupted after %d of %lld epochs; %s has been saved",
         p->epochs_done, (long long)job->s->epochs, job->s->output);
  }
  report(job);
  return 128 + signal_number;
}

/* The page, and the line that ends the log: only then the run is done. */
static int finish_run(struct job *job) {
  const struct run_data data = {job->train, job->val, job->test};
  if (job->run.folder == NULL)
    return EXIT_OK;
  run_mend(&job->run);
  int code =
      write_run_report(job->s, job->ctx, job->model, job->run.folder, &data);
  print_done_json(job, job->run.log);
  return code;
}

/* One that is to end now should not wait for another look at the images. */
static int calibrate(struct job *job) {
  if (job->val == NULL || stop_signal() != 0)
    return EXIT_OK;
  if (calibrate_model(job->model, job->val, job->s, &job->calibration) < 0)
    return library_failed(job);
  if (!job->s->json)
    print_calibration(job->model, &job->calibration);
  return EXIT_OK;
}

static int finish(struct job *job, int fit_status) {
  if (fit_status == IMGREC_ERR_DIVERGED) {
    library_failed(job);
    if (job->run.folder != NULL)
      log_stop(job, "diverged");
    if (job->progress.epochs_done > 0 && save(job) == EXIT_OK)
      fail(NAME, "the best weights before that have been saved; a lower --lr "
                 "may help");
    return EXIT_FAILED;
  }
  if (fit_status < 0 && fit_status != IMGREC_ERR_CANCELLED)
    return library_failed(job);
  int calibrated = calibrate(job), code = save(job), number = stop_signal();
  if (code == EXIT_OK)
    code = calibrated;
  release_stop_signals();
  if (code == EXIT_OK && number != 0)
    return interrupted(job, number);
  if (code == EXIT_OK && job->test != NULL)
    code = test(job);
  if (code == EXIT_OK)
    code = finish_run(job);
  if (code == EXIT_OK)
    report(job);
  return code;
}

static int fit(struct job *job) {
  imgrec_fit_options options;
  fit_options(&options, job->s, &job->sizes);
  imgrec_fit_result_init(&job->result, sizeof job->result);
  /* 0 is the library's default, a byte holds no image */
  if (job->s->cache != NOT_GIVEN)
    options.cache_bytes = job->s->cache > 0 ? job->s->cache : 1;
  options.augment = &job->augment.options;
  options.progress = progress_step;
  options.progress_user = &job->progress;
  options.checkpoint = job->run.last_path;
  options.best = job->run.best_path;
  options.resume = job->run.resumed ? job->run.last_path : NULL;
  catch_stop_signals();
  progress_begin(&job->progress, job->s->json,
                 job->run.folder != NULL ? &job->run : NULL);
  int status =
      imgrec_fit(job->trainer, job->train, job->val, &options, &job->result);
  progress_end(&job->progress);
  return finish(job, status);
}

static int run(struct job *job) {
  int code = open_context(&job->ctx, job->s, NAME);
  if (code == EXIT_OK && job->s->resume != NULL)
    code = run_reopen(&job->run, job->s->resume, job->ctx, NAME);
  if (code == EXIT_OK)
    code = check_augmentation(job->ctx, job->s->augment, NAME);
  if (code == EXIT_OK)
    code = open_data(job);
  if (code == EXIT_OK && job->s->epochs == 0)
    job->own.epochs = choose_epochs(imgrec_dataset_size(job->train));
  if (code == EXIT_OK)
    code = look_over_data(job);
  if (code == EXIT_OK)
    code = make_model(job);
  if (code == EXIT_OK)
    code = make_trainer(job);
  if (code == EXIT_OK)
    code = choose_augment(job);
  if (code == EXIT_OK)
    code = open_run(job);
  if (code != EXIT_OK)
    return code;
  if (job->s->json)
    print_start_json(job, stdout);
  else
    print_start(job);
  if (job->s->resume != NULL)
    print_resumed(job);
  return fit(job);
}

static int say_finished(const struct settings *s) {
  struct json_out j = {stdout, 0};
  if (!s->json) {
    printf("%s is finished: %s/best.safetensors is its model\n", s->resume,
           s->resume);
    return EXIT_OK;
  }
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "finished");
  json_key(&j, "run"), json_string(&j, s->resume);
  json_finish(&j);
  return EXIT_OK;
}

/* With --resume, the options of the run first. */
static int take_up(struct job *job) {
  struct settings *s = &job->own;
  int code = s->resume && s->run
                 ? usage_error(NAME, "--run and --resume exclude each other")
                 : EXIT_OK;
  if (code == EXIT_OK && s->resume != NULL)
    code = config_read(&job->config, s, s->resume, NAME);
  if (code == EXIT_OK)
    code = check_settings(s);
  if (code != EXIT_OK)
    return code;
  job->data = s->arguments[0];
  return s->resume && run_is_done(s->resume) ? say_finished(s) : run(job);
}

int cmd_train(const struct settings *s) {
  struct job job;
  memset(&job, 0, sizeof job);
  job.own = *s;
  job.s = &job.own;
  job.test_loss = job.test_accuracy = NAN;
  release_stop_signals(); /* a script's background job ignores SIGINT */
  int code = take_up(&job);
  imgrec_trainer_destroy(job.trainer);
  imgrec_model_destroy(job.model);
  imgrec_dataset_destroy(job.train);
  imgrec_dataset_destroy(job.val);
  imgrec_dataset_destroy(job.test);
  imgrec_context_destroy(job.ctx);
  free_names(&job.labels);
  free(job.architecture);
  free(job.found);
  run_free(&job.run);
  free(job.config.text);
  return code;
}
