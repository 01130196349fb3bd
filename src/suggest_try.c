/* SPDX-License-Identifier: MIT */
/* One network of `imgrec suggest`: what it costs here, and what it learns in
 * a short time. */
#include "suggest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "suggest"

/* Of Adam's. */
#define HIGHEST_RATE 0.002F

enum { RUNS = 5, STEPS = 3, ALL_EPOCHS = 1000000 };

static int library_failed(const struct suggest *s) {
  return fail(NAME, "%s", imgrec_last_error(s->ctx));
}

/* ---- Making ------------------------------------------------------------- */

static int make_model(imgrec_model **out, const struct suggest *s,
                      const struct candidate *c) {
  const int64_t shape[3] = {c->height, c->width, s->channels};
  imgrec_model_options options;
  imgrec_preprocess p;
  char *text;
  int code = preset_text(&text, c->preset, shape,
                         imgrec_dataset_classes(s->train), NAME);
  if (code != EXIT_OK)
    return code;
  imgrec_model_options_init(&options, sizeof options);
  options.seed = s->settings->seed;
  options.max_batch = (int32_t)s->settings->batch;
  imgrec_preprocess_init(&p, sizeof p);
  int status = imgrec_model_create(out, s->ctx, text, &options);
  free(text);
  if (status < 0)
    return library_failed(s);
  if (imgrec_model_get_preprocess(*out, &p) >= 0) {
    p.resize = IMGREC_RESIZE_CROP;
    p.scale = 1.0f / 255.0f;
    if (imgrec_model_set_preprocess(*out, &p) >= 0)
      return EXIT_OK;
  }
  imgrec_model_destroy(*out);
  return library_failed(s);
}

static int make_trainer(imgrec_trainer **out, const struct suggest *s,
                        imgrec_model *model, float learning_rate) {
  imgrec_trainer_options options;
  imgrec_trainer_options_init(&options, sizeof options);
  options.seed = s->settings->seed;
  options.max_batch = (int32_t)s->settings->batch;
  options.learning_rate = learning_rate;
  return imgrec_trainer_create(out, model, &options) < 0 ? library_failed(s)
                                                         : EXIT_OK;
}

/* ---- What it costs ------------------------------------------------------ */

/* Bytes of the file: four for each weight, the text, and a line of JSON for
 * each tensor. */
static int64_t file_bytes(const imgrec_model *model, int64_t parameters) {
  int tensors = imgrec_model_parameter_count(model);
  size_t names = 0;
  for (int i = 0; i < tensors; i++)
    names += strlen(imgrec_model_parameter_name(model, i));
  return 4 * parameters + (int64_t)names + 65 * (int64_t)tensors +
         (int64_t)strlen(imgrec_model_architecture(model)) + 700;
}

static int count_costs(const struct suggest *s, struct candidate *c,
                       const imgrec_model *model) {
  uint64_t run = 0, training = 0;
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info = layer_info(model, i);
    c->parameters += info.parameters;
    c->multiply_adds += info.multiply_adds;
  }
  c->file_bytes = file_bytes(model, c->parameters);
  if (imgrec_model_memory(model, 1, 0, &run) < 0 ||
      imgrec_model_memory(model, (int)s->settings->batch, 1, &training) < 0)
    return library_failed(s);
  c->run_bytes = (int64_t)run;
  c->train_bytes = (int64_t)training;
  return EXIT_OK;
}

/* A batch of grey in which each image is of another class. */
static int make_batch(const struct suggest *s, const struct candidate *c,
                      int64_t n, imgrec_tensor **x, imgrec_tensor **labels) {
  const int64_t shape[4] = {n, c->height, c->width, s->channels};
  int classes = imgrec_dataset_classes(s->train);
  if (imgrec_tensor_create(x, s->ctx, IMGREC_F32, 4, shape) < 0 ||
      imgrec_tensor_create(labels, s->ctx, IMGREC_I32, 1, shape) < 0)
    return library_failed(s);
  float *values = imgrec_tensor_data(*x);
  size_t count = imgrec_tensor_nbytes(*x) / sizeof *values;
  for (size_t i = 0; i < count; i++)
    values[i] = (float)(i * 37 % 256) / 256;
  int32_t *numbers = imgrec_tensor_data(*labels);
  for (int64_t i = 0; i < n; i++)
    numbers[i] = (int32_t)(i % classes);
  return EXIT_OK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Milliseconds of the median of some forward runs of x. */
static int time_forward(const struct suggest *s, imgrec_model *model,
                        const imgrec_tensor *x, double *ms) {
  const int64_t shape[2] = {1, imgrec_model_classes(model)};
  double seconds[RUNS + 1];
  imgrec_tensor *y = NULL;
  int status = imgrec_tensor_create(&y, s->ctx, IMGREC_F32, 2, shape);
  for (int i = 0; i <= RUNS && status >= 0; i++) {
    double begin = seconds_now();
    status = imgrec_model_forward(model, x, y);
    seconds[i] = seconds_now() - begin;
  }
  imgrec_tensor_destroy(y);
  if (status < 0)
    return library_failed(s);
  qsort(seconds + 1, RUNS, sizeof *seconds, ascending); /* the first warms up */
  *ms = 1000 * seconds[1 + RUNS / 2];
  return EXIT_OK;
}

static int time_steps(const struct suggest *s, imgrec_trainer *trainer,
                      const imgrec_tensor *x, const imgrec_tensor *labels,
                      double *ms) {
  double begin = 0;
  for (int i = 0; i <= STEPS; i++) {
    if (i == 1)
      begin = seconds_now();
    if (imgrec_train_step(trainer, x, labels, NULL) < 0)
      return library_failed(s);
  }
  *ms = 1000 * (seconds_now() - begin) / STEPS / (double)s->settings->batch;
  return EXIT_OK;
}

static int time_both(const struct suggest *s, struct candidate *c,
                     imgrec_model *model, imgrec_trainer *trainer) {
  imgrec_tensor *x = NULL, *labels = NULL, *one = NULL, *none = NULL;
  int code = make_batch(s, c, 1, &one, &none);
  if (code == EXIT_OK)
    code = time_forward(s, model, one, &c->latency_ms);
  if (code == EXIT_OK)
    code = make_batch(s, c, s->settings->batch, &x, &labels);
  if (code == EXIT_OK)
    code = time_steps(s, trainer, x, labels, &c->step_ms);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_tensor_destroy(one);
  imgrec_tensor_destroy(none);
  return code;
}

#define MIB 1048576.0

static const char *limit_broken(const struct settings *s,
                                const struct candidate *c) {
  if (s->max_file > 0 && (double)c->file_bytes > s->max_file * MIB)
    return "--max-file";
  if (s->max_memory > 0 && (double)c->run_bytes > s->max_memory * MIB)
    return "--max-memory";
  if (s->max_latency_ms > 0 && c->latency_ms > s->max_latency_ms)
    return "--max-latency-ms";
  return NULL;
}

int measure_candidate(struct suggest *s, struct candidate *c) {
  imgrec_model *model;
  imgrec_trainer *trainer = NULL;
  c->accuracy = NAN;
  int code = make_model(&model, s, c);
  if (code != EXIT_OK)
    return code;
  code = count_costs(s, c, model);
  if (code == EXIT_OK)
    code = make_trainer(&trainer, s, model, 1e-7F);
  if (code == EXIT_OK)
    code = time_both(s, c, model, trainer);
  c->too_much = limit_broken(s->settings, c);
  imgrec_trainer_destroy(trainer);
  imgrec_model_destroy(model);
  return code;
}

/* ---- What it learns ----------------------------------------------------- */

struct short_run {
  struct candidate *candidate;
  double begin, end, drawn;
  int terminal;
};

/* The line on the terminal, where there is one. */
static void draw(struct short_run *r, double now) {
  const struct candidate *c = r->candidate;
  if (!r->terminal || now - r->drawn < 0.1)
    return;
  r->drawn = now;
  fprintf(stderr, "\r\033[K%s %d x %d: epoch %.1f, %.0f s left", c->preset,
          c->height, c->width, c->epochs, r->end > now ? r->end - now : 0.0);
  fflush(stderr);
}

static int watch(void *user, const imgrec_progress *p) {
  struct short_run *r = user;
  double now = seconds_now();
  double part = (double)p->images / (double)p->images_total;
  r->candidate->epochs = p->epoch - 1 + part;
  draw(r, now);
  return now >= r->end || stop_signal() != 0;
}

/* Epochs that the time allows, of which a fifth is for reading and validating;
 * with two or more the learning rate can rise and fall once. */
static void plan_epochs(imgrec_fit_options *options, const struct suggest *s,
                        const struct candidate *c, double seconds) {
  double images = (double)imgrec_dataset_size(s->train);
  double epochs = 0.8 * 1000 * seconds / (c->step_ms * images);
  options->epochs = ALL_EPOCHS;
  if (epochs >= 2 && epochs < ALL_EPOCHS) {
    options->epochs = (int32_t)epochs;
    options->schedule = IMGREC_SCHEDULE_ONE_CYCLE;
  }
}

static int train_model(struct suggest *s, struct candidate *c,
                       imgrec_model *model, imgrec_trainer *trainer,
                       double seconds) {
  double now = seconds_now();
  struct short_run r = {c, now, now + seconds, 0, os_is_terminal(stderr)};
  imgrec_fit_options options;
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  imgrec_fit_options_init(&options, sizeof options);
  options.seed = s->settings->seed;
  plan_epochs(&options, s, c, seconds);
  options.progress = watch;
  options.progress_user = &r;
  int status = imgrec_fit(trainer, s->train, s->val, &options, NULL);
  if (r.drawn > 0)
    fputs("\r\033[K", stderr);
  if (status == IMGREC_ERR_DIVERGED)
    return EXIT_OK; /* an answer too: it learns nothing that way */
  if (status >= 0 && stop_signal() == 0)
    status = imgrec_evaluate(model, s->val, &e);
  if (status < 0)
    return library_failed(s);
  c->accuracy = e.top1;
  return stop_signal() ? EXIT_FAILED : EXIT_OK;
}

int train_candidate(struct suggest *s, struct candidate *c, double seconds) {
  imgrec_model *model;
  imgrec_trainer *trainer = NULL;
  int code = make_model(&model, s, c);
  if (code != EXIT_OK)
    return code;
  code = make_trainer(&trainer, s, model, HIGHEST_RATE);
  if (code == EXIT_OK)
    code = train_model(s, c, model, trainer, seconds);
  imgrec_trainer_destroy(trainer);
  imgrec_model_destroy(model);
  return code;
}
