/* SPDX-License-Identifier: MIT */
/* imgrec train --run and --resume: the folder beside the training. */
#include "train_job.h"

#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_MINUTES 5

void train_print_resumed(const struct job *job) {
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
    train_print_start_json(job, job->run.log);
    return;
  }
  j = run_event(&job->run, "resume");
  json_key(&j, "epoch"), json_integer(&j, job->run.at.epoch);
  json_key(&j, "images"), json_integer(&j, job->run.at.images);
  run_event_end(&job->run, &j);
}

void train_log_stop(struct job *job, const char *event) {
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
  return fail(TRAIN_NAME,
              "%s is not as it was when the run was begun: images have been "
              "added, removed or changed; begin a new one with --run",
              job->data);
}

/* As if it had been asked for, unless it was. */
static void remember(struct job *job, const char *name, const char *value) {
  size_t n = sizeof job->chosen / sizeof job->chosen[0];
  if (job->chosen_count < n)
    snprintf(job->chosen[job->chosen_count], sizeof job->chosen[0], "%s",
             value);
  if (job->chosen_count < n)
    set_option(&job->own, CMD_TRAIN, name, job->chosen[job->chosen_count++]);
}

static void remember_integer(struct job *job, const char *name,
                             unsigned long long value) {
  char text[32];
  snprintf(text, sizeof text, "%llu", value);
  remember(job, name, text);
}

static void remember_float(struct job *job, const char *name, double value) {
  char text[32];
  snprintf(text, sizeof text, "%.15g", value);
  if (strtod(text, NULL) != value)
    snprintf(text, sizeof text, "%.17g", value);
  remember(job, name, text);
}

/* What the next version might choose in another way. */
static void remember_choices(struct job *job) {
  const struct settings *s = job->s;
  remember_integer(job, "epochs", (unsigned long long)s->epochs);
  remember_integer(job, "batch", (unsigned long long)s->batch);
  remember_integer(job, "seed", s->seed);
  remember_float(job, "val-split", s->val_split);
  remember(job, "optimizer", optimizer_name(s->optimizer));
  remember(job, "schedule", schedule_name(s->schedule));
  if (s->learning_rate > 0)
    remember_float(job, "lr", s->learning_rate);
  if (s->weight_decay >= 0)
    remember_float(job, "weight-decay", s->weight_decay);
  remember_float(job, "label-smoothing", s->label_smoothing);
  if (s->augment == NULL || strcmp(s->augment, "auto") == 0)
    replace_option(&job->own, CMD_TRAIN, "augment", job->augment.text);
}

/* All that was left to us is decided: what is written makes the same again. */
int train_open_run(struct job *job) {
  char train[65], val[65];
  const struct settings *s = job->s;
  if (s->run == NULL && s->resume == NULL)
    return EXIT_OK;
  remember_choices(job);
  if (config_digests(train, val, job->train, job->val) < 0)
    return train_library_failed(job);
  const struct run_facts facts = {job->data, train, val,
                                  imgrec_model_architecture(job->model)};
  job->run.config = config_text(s, &facts);
  job->run.checkpoint_seconds =
      60 *
      (s->checkpoint_minutes < 0 ? CHECKPOINT_MINUTES : s->checkpoint_minutes);
  if (job->run.config == NULL)
    return fail(TRAIN_NAME, "out of memory");
  int code = s->resume ? check_data(job, &facts)
                       : run_begin(&job->run, s->run, TRAIN_NAME);
  if (code == EXIT_OK)
    log_start(job);
  return code;
}
