/* SPDX-License-Identifier: MIT */
/* Forward in floats and in 8 bits on random data: processor time on one thread,
 * medians. */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 11 };

static const struct work {
  const char *preset;
  int size, channels, batch;
} works[] = {
    {"lenet5", 28, 1, 1}, {"lenet5", 28, 1, 32}, {"small", 96, 3, 1},
    {"small", 96, 3, 32}, {"seed", 224, 3, 1},   {"seed", 224, 3, 32},
};

/* What one work needs; all NULL to begin with. */
struct bench {
  imgrec_model *floats, *bytes;
  imgrec_tensor *images, *labels, *x, *y;
  imgrec_dataset *data;
};

static double processor_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(imgrec_model *model, const struct bench *b) {
  double times[RUNS];
  for (int i = -1; i < RUNS; i++) { /* the first warms up */
    double start = processor_time(), passed = 0;
    int repeat = 0;
    for (; passed < 0.02; repeat++, passed = processor_time() - start)
      imgrec_model_forward(model, b->x, b->y);
    times[i < 0 ? 0 : i] = passed / repeat;
  }
  qsort(times, RUNS, sizeof times[0], ascending);
  return times[RUNS / 2];
}

static void fill(const struct bench *b) {
  unsigned char *pixels = imgrec_tensor_data(b->images);
  float *x = imgrec_tensor_data(b->x);
  for (size_t i = 0; i < imgrec_tensor_nbytes(b->images); i++)
    pixels[i] = (unsigned char)rand();
  for (size_t i = 0; i < imgrec_tensor_nbytes(b->x) / sizeof *x; i++)
    x[i] = (float)rand() / (float)RAND_MAX;
}

/* Two images of noise are enough to calibrate with. */
static int create(struct bench *b, imgrec_context *ctx, const struct work *w) {
  char text[4096];
  imgrec_model_options options;
  const int64_t images[] = {2, w->size, w->size, w->channels};
  const int64_t x[] = {w->batch, w->size, w->size, w->channels};
  const int64_t y[] = {w->batch, 10};
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = w->batch;
  imgrec_preset(w->preset, w->size, w->size, w->channels, 10, text,
                sizeof text);
  if (imgrec_model_create(&b->floats, ctx, text, &options) < 0 ||
      imgrec_tensor_create(&b->images, ctx, IMGREC_U8, 4, images) < 0 ||
      imgrec_tensor_create(&b->labels, ctx, IMGREC_I32, 1, images) < 0 ||
      imgrec_tensor_create(&b->x, ctx, IMGREC_F32, 4, x) < 0 ||
      imgrec_tensor_create(&b->y, ctx, IMGREC_F32, 2, y) < 0)
    return 0;
  fill(b);
  return imgrec_dataset_from_memory(&b->data, ctx, b->images, b->labels, 10) >=
             0 &&
         imgrec_model_quantize(&b->bytes, b->floats, b->data, NULL) >= 0;
}

static void destroy(struct bench *b) {
  imgrec_dataset_destroy(b->data);
  imgrec_tensor_destroy(b->images);
  imgrec_tensor_destroy(b->labels);
  imgrec_tensor_destroy(b->x);
  imgrec_tensor_destroy(b->y);
  imgrec_model_destroy(b->floats);
  imgrec_model_destroy(b->bytes);
}

static int report(imgrec_context *ctx, const struct work *w) {
  struct bench b = {NULL, NULL, NULL, NULL, NULL, NULL, NULL};
  int ok = create(&b, ctx, w);
  if (ok) {
    double floats = median(b.floats, &b), bytes = median(b.bytes, &b);
    printf("%-8s %3d x %-3d x %d  batch %-3d  f32 %9.3f ms  int8 %9.3f ms"
           "  %5.2f times\n",
           w->preset, w->size, w->size, w->channels, w->batch, 1e3 * floats,
           1e3 * bytes, floats / bytes);
  } else {
    fprintf(stderr, "%s: %s\n", w->preset, imgrec_last_error(ctx));
  }
  destroy(&b);
  return ok;
}

/* bench_int8 [ISA]: an IMGREC_ISA_*, as a number. */
int main(int argc, char **argv) {
  imgrec_context *ctx = NULL;
  imgrec_context_options options;
  imgrec_context_options_init(&options, sizeof options);
  options.threads = 1;
  options.isa = argc > 1 ? atoi(argv[1]) : IMGREC_ISA_AUTO;
  int ok = imgrec_context_create(&ctx, &options) >= 0;
  for (size_t i = 0; ok && i < sizeof works / sizeof works[0]; i++)
    ok = report(ctx, &works[i]);
  imgrec_context_destroy(ctx);
  return !ok;
}
