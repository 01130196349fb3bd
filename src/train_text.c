/* SPDX-License-Identifier: MIT */
/* What imgrec train says, in words and as JSON. */
#include "train_job.h"

#include <math.h>

int train_library_failed(const struct job *job) {
  return fail(TRAIN_NAME, "%s", imgrec_last_error(job->ctx));
}

static int64_t size_of(const imgrec_dataset *data) {
  return data != NULL ? count_images(data) : 0;
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

void train_print_start(const struct job *job) {
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

void train_print_start_json(const struct job *job, FILE *f) {
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

void train_print_done(const struct job *job) {
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

void train_print_done_json(const struct job *job, FILE *f) {
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
