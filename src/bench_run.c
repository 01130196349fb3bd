/* SPDX-License-Identifier: MIT */
/* Runs a network on random images again and again, and keeps the times. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME "bench"

enum { LEAST_RUNS = 3, MOST_RUNS = 100000 };

/* ---- Times -------------------------------------------------------------- */

int column_of(const struct bench *b, int layer, int phase) {
  switch (phase) {
  case IMGREC_PHASE_FORWARD_BEGIN:
  case IMGREC_PHASE_FORWARD_END:
    return 2 + layer;
  case IMGREC_PHASE_BACKWARD_BEGIN:
  case IMGREC_PHASE_BACKWARD_END:
    return 2 + b->layers + layer;
  case IMGREC_PHASE_LOSS_BEGIN:
  case IMGREC_PHASE_LOSS_END:
    return 2 + 2 * b->layers;
  default:
    return 3 + 2 * b->layers;
  }
}

/* Pieces of work do not overlap, so that one beginning is all to remember. */
static void on_layer(void *user, int layer, int phase) {
  struct bench *b = user;
  double now = seconds_now();
  int begins = phase == IMGREC_PHASE_FORWARD_BEGIN ||
               phase == IMGREC_PHASE_LOSS_BEGIN ||
               phase == IMGREC_PHASE_BACKWARD_BEGIN ||
               phase == IMGREC_PHASE_UPDATE_BEGIN;
  if (!begins) {
    int column = column_of(b, layer, phase);
    b->row[column] += now - b->piece;
    b->times.calls[column]++;
  }
  b->piece = begins ? seconds_now() : now;
}

/* A row of zeros at the end, NULL without memory. */
static double *next_row(struct times *t) {
  if (t->rows == t->capacity) {
    int64_t capacity = t->capacity > 0 ? 2 * t->capacity : 64;
    size_t bytes = (size_t)capacity * (size_t)t->columns * sizeof(double);
    double *more = realloc(t->seconds, bytes);
    if (more == NULL)
      return NULL;
    t->seconds = more;
    t->capacity = capacity;
  }
  double *row = t->seconds + t->rows * t->columns;
  memset(row, 0, (size_t)t->columns * sizeof *row);
  return row;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double quantile(const struct times *t, int column, double at, double *scratch) {
  for (int64_t i = 0; i < t->rows; i++)
    scratch[i] = t->seconds[i * t->columns + column];
  qsort(scratch, (size_t)t->rows, sizeof *scratch, ascending);
  double rank = ceil(at * (double)t->rows) - 1;
  int64_t i = rank > 0 ? (int64_t)rank : 0;
  int between = at == 0.5 && t->rows % 2 == 0;
  return between ? (scratch[i] + scratch[i + 1]) / 2 : scratch[i];
}

/* ---- What is run -------------------------------------------------------- */

static int create_trainer(struct bench *b) {
  imgrec_trainer_options options;
  imgrec_trainer_options_init(&options, sizeof options);
  options.max_batch = (int32_t)b->settings->batch;
  /* So little that the network does not learn the batch by heart, after which
   * its gradients would be zeros. */
  options.learning_rate = 1e-7F;
  if (imgrec_trainer_create(&b->trainer, b->model, &options) < 0)
    return fail(NAME, "%s", imgrec_last_error(b->ctx));
  return EXIT_OK;
}

/* Numbers of [0, 1) as preprocessing gives them; the same in each run. */
static void fill_random(imgrec_tensor *x) {
  uint32_t state = 1;
  float *values = imgrec_tensor_data(x);
  size_t count = imgrec_tensor_nbytes(x) / sizeof *values;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525U + 1013904223U;
    values[i] = (float)(state >> 8) * 0x1p-24F;
  }
}

static int create_data(struct bench *b) {
  int64_t in[3], classes = imgrec_model_classes(b->model);
  imgrec_model_input_shape(b->model, in);
  int64_t n = b->settings->batch;
  const int64_t x[4] = {n, in[0], in[1], in[2]}, y[2] = {n, classes};
  if (imgrec_tensor_create(&b->x, b->ctx, IMGREC_F32, 4, x) < 0 ||
      imgrec_tensor_create(&b->y, b->ctx, IMGREC_F32, 2, y) < 0 ||
      imgrec_tensor_create(&b->labels, b->ctx, IMGREC_I32, 1, y) < 0)
    return fail(NAME, "%s", imgrec_last_error(b->ctx));
  fill_random(b->x);
  int32_t *labels = imgrec_tensor_data(b->labels);
  for (int64_t i = 0; i < n; i++)
    labels[i] = (int32_t)(i % classes);
  return EXIT_OK;
}

static int create_times(struct bench *b) {
  struct times *t = &b->times;
  b->layers = imgrec_model_layer_count(b->model);
  t->columns = b->settings->layers ? 4 + 2 * b->layers : 1;
  t->calls = calloc((size_t)t->columns, sizeof *t->calls);
  if (t->calls == NULL)
    return fail(NAME, "out of memory");
  if (b->settings->layers)
    imgrec_model_set_layer_hook(b->model, on_layer, b);
  return EXIT_OK;
}

int open_bench(struct bench *b, const struct settings *s) {
  imgrec_model_options options;
  memset(b, 0, sizeof *b);
  b->settings = s;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = (int32_t)s->batch;
  int code = open_context(&b->ctx, s, NAME);
  if (code == EXIT_OK)
    code = open_network(&b->model, b->ctx, s, &options, NAME);
  if (code == EXIT_OK && s->train)
    code = create_trainer(b);
  if (code == EXIT_OK)
    code = create_data(b);
  if (code == EXIT_OK)
    code = create_times(b);
  return code;
}

void close_bench(struct bench *b) {
  imgrec_tensor_destroy(b->x);
  imgrec_tensor_destroy(b->y);
  imgrec_tensor_destroy(b->labels);
  imgrec_trainer_destroy(b->trainer);
  imgrec_model_destroy(b->model);
  imgrec_context_destroy(b->ctx);
  free(b->times.seconds);
  free(b->times.calls);
}

/* ---- Running ------------------------------------------------------------ */

static int run_once(struct bench *b) {
  struct times *t = &b->times;
  float loss = 0;
  b->row = next_row(t);
  if (b->row == NULL)
    return fail(NAME, "out of memory for the times of %lld runs",
                (long long)t->rows);
  double begin = seconds_now();
  int status = b->trainer
                   ? imgrec_train_step(b->trainer, b->x, b->labels, &loss)
                   : imgrec_model_forward(b->model, b->x, b->y);
  b->row[0] = seconds_now() - begin;
  if (t->columns > 1)
    b->row[REST_COLUMN] = b->row[0];
  for (int i = REST_COLUMN + 1; i < t->columns; i++)
    b->row[REST_COLUMN] -= b->row[i];
  if (status < 0)
    return fail(NAME, "%s", imgrec_last_error(b->ctx));
  if (!isfinite(loss)) /* then the step leaves out backward and update */
    return fail(NAME, "the loss of this model on random images is not finite");
  t->rows++;
  return EXIT_OK;
}

/* `runs` of them or, for 0, as many as fit into `seconds`. */
static int run_many(struct bench *b, int64_t runs, double seconds) {
  double begin = seconds_now();
  int64_t least = runs > 0 ? runs : LEAST_RUNS;
  int code = EXIT_OK;
  b->times.rows = 0;
  memset(b->times.calls, 0, (size_t)b->times.columns * sizeof *b->times.calls);
  while (code == EXIT_OK &&
         (b->times.rows < least || (runs == 0 && b->times.rows < MOST_RUNS &&
                                    seconds_now() - begin < seconds)))
    code = run_once(b);
  return code;
}

/* Warming up is a tenth of the work: memory is touched for the first time,
 * caches fill, clocks rise. */
int run_bench(struct bench *b) {
  const struct settings *s = b->settings;
  double seconds = s->seconds > 0 ? s->seconds : 2;
  int code = run_many(b, s->runs > 0 ? (s->runs + 9) / 10 : 0, seconds / 10);
  if (code == EXIT_OK)
    code = run_many(b, s->runs, seconds);
  return code;
}
