/* SPDX-License-Identifier: MIT */
/* imgrec train: data and network from the options, fit, save, test. */
#include "train_job.h"

#include "data_care.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME TRAIN_NAME

/* ---- Before anything is read -------------------------------------------- */

/* An hour of training should not end in "no such folder". */
static int check_output(const char *path) {
  size_t n = os_folder_length(path);
  int kind = os_kind(path);
  /* saving replaces what is there, which would take a device away */
  if (kind != OS_NONE && kind != OS_FILE)
    return fail(NAME, "--output: %s is a folder or device; name a file", path);
  char *folder = malloc(n + 2);
  if (folder == NULL)
    return fail(NAME, "out of memory");
  memcpy(folder, n ? path : ".", n ? n : 1);
  folder[n ? n : 1] = '\0';
  int writable = os_writable(folder);
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
  int code = check_network_options(s, NAME);
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
  int code = open_training(&job->train, job->ctx, job->data, NAME);
  if (code == EXIT_OK)
    code = check_class_count(job->train, job->data, NAME);
  if (code != EXIT_OK)
    return code;
  job->images = imgrec_dataset_size(job->train);
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
    return train_library_failed(job);
  warn_skipped(*out, NAME);
  return EXIT_OK;
}

static int split_off_validation(struct job *job) {
  imgrec_dataset *first, *second;
  if (imgrec_dataset_split(&first, &second, job->train,
                           (float)job->s->val_split, job->s->seed) < 0)
    return train_library_failed(job);
  imgrec_dataset_destroy(job->train);
  job->train = first;
  job->val = second;
  job->val_is_split = 1;
  return EXIT_OK;
}

static int open_data(struct job *job) {
  const struct settings *s = job->s;
  int code = open_train(job);
  if (code == EXIT_OK && s->labels != NULL)
    code = read_class_names(&job->labels, s, job->train, NAME);
  if (code == EXIT_OK)
    code = open_other(job, &job->val, s->val, IMGREC_PART_VAL);
  if (code == EXIT_OK)
    code = open_other(job, &job->test, s->test, IMGREC_PART_TEST);
  if (code == EXIT_OK && job->val == NULL && s->val_split > 0)
    code = split_off_validation(job);
  return code;
}

/* Epochs by the images; options that do not fit what there is. */
static int settle_epochs(struct job *job) {
  if (job->s->epochs == 0)
    job->own.epochs = choose_epochs(imgrec_dataset_size(job->train));
  if (job->s->patience > 0 && job->val == NULL)
    return usage_error(NAME, "--patience: there are no images to validate on; "
                             "give --val, or --val-split above 0");
  return check_train_options(job->s, NAME);
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
  int code = network_text(&job->architecture, &job->choice, job->s, job->train,
                          job->images, NAME);
  job->preset = job->choice.preset;
  return code;
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
  return status < 0 ? train_library_failed(job) : EXIT_OK;
}

static int create_model(struct job *job, const imgrec_model_options *options) {
  int code = get_architecture(job);
  if (code != EXIT_OK)
    return code;
  if (imgrec_model_create(&job->model, job->ctx, job->architecture, options) <
      0)
    return train_library_failed(job);
  code = check_classes(job);
  return code == EXIT_OK ? load_init(job->model, job->ctx, job->s, NAME) : code;
}

/* As a checkpoint has it, with labels and preprocessing. */
static int reload_model(struct job *job, const imgrec_model_options *options) {
  if (imgrec_model_load(&job->model, job->ctx, job->run.last_path, options) < 0)
    return train_library_failed(job);
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
    code = set_preprocess(job->model, job->s, job->architecture != NULL) < 0
               ? train_library_failed(job)
               : EXIT_OK;
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
    return train_library_failed(job);
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
  return status < 0 ? train_library_failed(job) : EXIT_OK;
}

/* ---- The run ------------------------------------------------------------ */

static int save_as(struct job *job, const char *path) {
  const struct train_progress *p = &job->progress;
  if (imgrec_model_save(job->model, path) < 0)
    return train_library_failed(job);
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
    return train_library_failed(job);
  job->test_loss = e.loss;
  job->test_accuracy = e.top1;
  return EXIT_OK;
}

static void report(const struct job *job) {
  if (job->s->json)
    train_print_done_json(job, stdout);
  else
    train_print_done(job);
}

/* A signal came: what there is was saved; the exit code is the shell's. */
static int interrupted(struct job *job, int signal_number) {
  const struct train_progress *p = &job->progress;
  if (job->run.folder != NULL) {
    char *folder = shell_word(job->run.folder);
    train_log_stop(job, "interrupted");
    fail(NAME,
         "interrupted after %d of %lld epochs%s; this goes on:\n"
         "imgrec train --resume %s",
         p->epochs_done, (long long)job->s->epochs,
         job->result.checkpoint_status < 0
             ? ", and the checkpoint could not be written"
             : "",
         folder != NULL ? folder : job->run.folder);
    free(folder);
  } else {
    fail(NAME, "interrupted after %d of %lld epochs; %s has been saved",
         p->epochs_done, (long long)job->s->epochs, job->s->output);
  }
  report(job);
  return 128 + signal_number;
}

/* RUN/preview.png, for the page. */
static int write_sheet(struct job *job) {
  imgrec_preprocess p;
  size_t size = strlen(job->run.folder) + sizeof "/preview.png";
  char *path = malloc(size);
  if (path == NULL)
    return fail(NAME, "out of memory");
  snprintf(path, size, "%s/preview.png", job->run.folder);
  imgrec_preprocess_init(&p, sizeof p);
  int code = imgrec_model_get_preprocess(job->model, &p) < 0
                 ? train_library_failed(job)
                 : write_preview(job->s, job->ctx, job->train, &p,
                                 &job->augment, path);
  free(path);
  return code;
}

/* The page, and the line that ends the log: only then the run is done. */
static int finish_run(struct job *job) {
  const struct run_data data = {job->train, job->val, job->test,
                                job->val_is_split};
  if (job->run.folder == NULL)
    return EXIT_OK;
  run_mend(&job->run);
  int code = write_sheet(job);
  if (code == EXIT_OK)
    code =
        write_run_report(job->s, job->ctx, job->model, job->run.folder, &data);
  if (code == EXIT_OK)
    train_print_done_json(job, job->run.log);
  return code;
}

/* One that is to end now should not wait for another look at the images. */
static int calibrate(struct job *job) {
  if (job->val == NULL || stop_signal() != 0)
    return EXIT_OK;
  if (calibrate_model(job->model, job->val, job->s, &job->calibration) < 0)
    return train_library_failed(job);
  if (!job->s->json)
    print_calibration(job->model, &job->calibration);
  return EXIT_OK;
}

static int finish(struct job *job, int fit_status) {
  if (fit_status == IMGREC_ERR_DIVERGED) {
    train_library_failed(job);
    if (job->run.folder != NULL)
      train_log_stop(job, "diverged");
    if (job->progress.epochs_done > 0 && save(job) == EXIT_OK)
      fail(NAME, "the best weights before that have been saved; a lower --lr "
                 "may help");
    return EXIT_FAILED;
  }
  if (fit_status < 0 && fit_status != IMGREC_ERR_CANCELLED)
    return train_library_failed(job);
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
  if (code == EXIT_OK)
    code = settle_epochs(job);
  if (code == EXIT_OK)
    code = look_over_data(job);
  if (code == EXIT_OK && !count_classes(&job->sizes, job->train))
    code = fail(NAME, "out of memory");
  if (code == EXIT_OK)
    code = make_model(job);
  if (code == EXIT_OK)
    code = make_trainer(job);
  if (code == EXIT_OK)
    code = choose_augment(job);
  if (code == EXIT_OK)
    code = train_open_run(job);
  if (code != EXIT_OK)
    return code;
  if (job->s->json)
    train_print_start_json(job, stdout);
  else
    train_print_start(job);
  if (job->s->resume != NULL)
    train_print_resumed(job);
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
    code = config_resume(&job->config, s, s->resume, NAME);
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
