/* SPDX-License-Identifier: MIT */
/* Times forward and training step of the presets on random data: medians. */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 7 };

struct work {
  const char *preset;
  int size, channels, batch;
};

static const struct work works[] = {
    {"tiny", 28, 1, 64},  {"lenet5", 28, 1, 1}, {"lenet5", 28, 1, 64},
    {"small", 96, 3, 32}, {"seed", 224, 3, 1},  {"seed", 224, 3, 16},
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* What one work needs; all NULL to begin with. */
struct bench {
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *y, *labels;
};

static int create(struct bench *b, imgrec_context *ctx, const struct work *w) {
  char text[4096];
  imgrec_model_options model_options;
  imgrec_trainer_options trainer_options;
  const int64_t x[] = {w->batch, w->size, w->size, w->channels};
  const int64_t y[] = {w->batch, 10};
  imgrec_model_options_init(&model_options, sizeof model_options);
  imgrec_trainer_options_init(&trainer_options, sizeof trainer_options);
  model_options.max_batch = trainer_options.max_batch = w->batch;
  imgrec_preset(w->preset, w->size, w->size, w->channels, 10, text,
                sizeof text);
  if (imgrec_model_create(&b->model, ctx, text, &model_options) < 0 ||
      imgrec_trainer_create(&b->trainer, b->model, &trainer_options) < 0 ||
      imgrec_tensor_create(&b->x, ctx, IMGREC_F32, 4, x) < 0 ||
      imgrec_tensor_create(&b->y, ctx, IMGREC_F32, 2, y) < 0 ||
      imgrec_tensor_create(&b->labels, ctx, IMGREC_I32, 1, y) < 0)
    return 0;
  float *pixels = imgrec_tensor_data(b->x);
  int32_t *classes = imgrec_tensor_data(b->labels);
  for (size_t i = 0; i < imgrec_tensor_nbytes(b->x) / sizeof *pixels; i++)
    pixels[i] = (float)rand() / (float)RAND_MAX;
  for (int i = 0; i < w->batch; i++)
    classes[i] = i % 10;
  return 1;
}

static void destroy(struct bench *b) {
  imgrec_tensor_destroy(b->x);
  imgrec_tensor_destroy(b->y);
  imgrec_tensor_destroy(b->labels);
  imgrec_trainer_destroy(b->trainer);
  imgrec_model_destroy(b->model);
}

static int64_t multiply_adds(const imgrec_model *model) {
  int64_t total = 0;
  for (int i = 0; i < imgrec_model_layer_count(model); i++) {
    imgrec_layer_info info;
    imgrec_layer_info_init(&info, sizeof info);
    imgrec_model_layer(model, i, &info);
    total += info.multiply_adds;
  }
  return total;
}

/* Median seconds of forward (training 0) or of a step. */
static double median(struct bench *b, int training) {
  double times[RUNS];
  for (int i = -1; i < RUNS; i++) { /* the first warms up */
    double start = now();
    if (training)
      imgrec_train_step(b->trainer, b->x, b->labels, NULL);
    else
      imgrec_model_forward(b->model, b->x, b->y);
    times[i < 0 ? 0 : i] = now() - start;
  }
  qsort(times, RUNS, sizeof times[0], ascending);
  return times[RUNS / 2];
}

static int report(imgrec_context *ctx, const struct work *w) {
  struct bench b = {NULL, NULL, NULL, NULL, NULL};
  int ok = create(&b, ctx, w);
  if (ok) {
    double flops = 2.0 * (double)multiply_adds(b.model) * w->batch;
    double forward = median(&b, 0), step = median(&b, 1);
    printf("%-8s %3d x %-3d x %d  batch %-3d  forward %9.3f ms  %6.1f GFLOP/s"
           "  step %9.3f ms  %8.0f images/s\n",
           w->preset, w->size, w->size, w->channels, w->batch, 1e3 * forward,
           1e-9 * flops / forward, 1e3 * step, w->batch / step);
  } else {
    fprintf(stderr, "%s: %s\n", w->preset, imgrec_last_error(ctx));
  }
  destroy(&b);
  return ok;
}

int main(void) {
  imgrec_context *ctx = NULL;
  int ok = imgrec_context_create(&ctx, NULL) >= 0;
  if (ok)
    printf("%d threads\n", imgrec_context_threads(ctx));
  for (size_t i = 0; ok && i < sizeof works / sizeof works[0]; i++)
    ok = report(ctx, &works[i]);
  imgrec_context_destroy(ctx);
  return !ok;
}
