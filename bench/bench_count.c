/* SPDX-License-Identifier: MIT */
/* Does a piece of work once within counted(), for callgrind to count its
 * instructions: a kernel of the AVX2 table, or a training step of a small
 * network on one thread.
 *   bench_count         the names of the pieces, one a line
 *   bench_count NAME    that piece; exit code 2 on a CPU without AVX2 */
#include "base.h"
#include "kernel_table.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 4, CLASSES = 10, NO_AVX2 = 2 };

static const char *const kernels[] = {
    "gemm_tile 96x64x288", "gemm_tile 3x3 of 3",
    "gemv 512x512",        "gelu",
    "softmax of 10",       "adam",
    "sum_rows with dot",   "max_pool 2x2",
    "max_pool gradient",   "finish_pool",
    "winograd image",      "winograd output"};

static const struct net {
  const char *name, *preset;
  int side, channels;
} nets[] = {{"step of lenet5", "lenet5", 28, 1},
            {"step of tiny", "tiny", 28, 1},
            {"step of small", "small", 32, 3}};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- What is counted ---------------------------------------------------- */

struct work {
  const struct kernel_row *row; /* or a trainer */
  struct data data;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels;
};

static int do_work(const struct work *w) {
  if (w->row == NULL)
    return imgrec_train_step(w->trainer, w->x, w->labels, NULL);
  w->row->run(imgrec__kernels_for(IMGREC_ISA_AVX2), &w->data, w->row->which);
  return IMGREC_OK;
}

/* callgrind knows it by this name, and counts what happens in here. */
int counted(const struct work *w);
__attribute__((noinline)) int counted(const struct work *w) {
  return do_work(w);
}

/* The first time, which finds functions of shared libraries, is not counted. */
static int run(const struct work *w) {
  return do_work(w) >= 0 && counted(w) >= 0;
}

static int run_kernel(const char *name) {
  struct work w = {.row = kernel_rows};
  while (w.row->name != NULL && strcmp(w.row->name, name) != 0)
    w.row++;
  if (w.row->name == NULL) {
    fprintf(stderr, "bench_count: there is no kernel '%s'\n", name);
    return 1;
  }
  int ok = create_data(&w.data) && run(&w);
  destroy_data(&w.data);
  return !ok;
}

/* ---- Networks ----------------------------------------------------------- */

static int create_step(struct work *w, imgrec_context *ctx,
                       const struct net *net, imgrec_model **model) {
  char text[4096];
  imgrec_trainer_options options;
  const int64_t x[] = {BATCH, net->side, net->side, net->channels};
  imgrec_trainer_options_init(&options, sizeof options);
  options.max_batch = BATCH;
  imgrec_preset(net->preset, net->side, net->side, net->channels, CLASSES, text,
                sizeof text);
  if (imgrec_model_create(model, ctx, text, NULL) < 0 ||
      imgrec_trainer_create(&w->trainer, *model, &options) < 0 ||
      imgrec_tensor_create(&w->x, ctx, IMGREC_F32, 4, x) < 0 ||
      imgrec_tensor_create(&w->labels, ctx, IMGREC_I32, 1, x) < 0)
    return 0;
  float *pixels = imgrec_tensor_data(w->x);
  size_t count = imgrec_tensor_nbytes(w->x) / sizeof *pixels;
  for (size_t i = 0; i < count; i++)
    pixels[i] = imgrec__random_unit(1, 2, i);
  return 1;
}

static int run_step(const struct net *net) {
  struct work w = {.row = NULL};
  imgrec_model *model = NULL;
  imgrec_context *ctx = NULL;
  imgrec_context_options options;
  imgrec_context_options_init(&options, sizeof options);
  options.threads = 1;
  options.isa = IMGREC_ISA_AVX2;
  int ok = imgrec_context_create(&ctx, &options) >= 0 &&
           create_step(&w, ctx, net, &model) && run(&w);
  if (!ok)
    fprintf(stderr, "bench_count: %s: %s\n", net->name,
            ctx ? imgrec_last_error(ctx) : "no context");
  imgrec_tensor_destroy(w.x);
  imgrec_tensor_destroy(w.labels);
  imgrec_trainer_destroy(w.trainer);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return !ok;
}

static int print_names(void) {
  for (size_t i = 0; i < COUNT(kernels); i++)
    puts(kernels[i]);
  for (size_t i = 0; i < COUNT(nets); i++)
    puts(nets[i].name);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2)
    return print_names();
  if (imgrec__cpu_isa() < IMGREC_ISA_AVX2)
    return NO_AVX2;
  for (size_t i = 0; i < COUNT(nets); i++)
    if (strcmp(nets[i].name, argv[1]) == 0)
      return run_step(&nets[i]);
  return run_kernel(argv[1]);
}
