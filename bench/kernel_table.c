/* SPDX-License-Identifier: MIT */
/* The calls of kernels that are measured.  A new kernel is a function that
 * calls it and a row of the table at the end. */
#include "kernel_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- Data --------------------------------------------------------------- */

int create_data(struct data *d) {
  uint32_t state = 7;
  int ok = 1;
  for (int i = 0; i < INPUTS; i++) {
    d->in[i] = malloc(ROOM * sizeof(float));
    ok = ok && d->in[i] != NULL;
    for (size_t j = 0; ok && j < ROOM; j++) {
      state = state * 1664525U + 1013904223U;
      d->in[i][j] = (float)(state >> 8) * 0x1p-23F - 1;
    }
  }
  d->out = malloc(ROOM * sizeof(float));
  ok = ok && d->out != NULL;
  if (ok)
    reset_data(d);
  return ok;
}

void reset_data(struct data *d) {
  for (size_t j = 0; j < ROOM; j++)
    d->out[j] = d->in[3][j] < 0 ? -d->in[3][j] : d->in[3][j];
}

void destroy_data(struct data *d) {
  for (int i = 0; i < INPUTS; i++)
    free(d->in[i]);
  free(d->out);
}

/* ---- Products ----------------------------------------------------------- */

/* c (rows x cols) = a b, a panel of columns at a time. */
static void product(const struct kernels *k, const struct data *d,
                    const struct left *a, size_t rows, size_t cols) {
  size_t nr = (size_t)k->nr;
  for (size_t j = 0; j < cols; j += nr)
    k->gemm_tile(a, d->in[1] + j, cols, d->out + j, cols, rows,
                 cols - j < nr ? cols - j : nr, 0);
}

/* A dense layer or a 1 x 1 convolution. */
enum { GEMM_ROWS = 96, GEMM_COLS = 64, GEMM_K = 288 };

static void gemm_plain(const struct kernels *k, const struct data *d,
                       int which) {
  const struct left a = {
      .data = d->in[0], .row = GEMM_K, .step = 1, .k = GEMM_K, .runs = {1, 1}};
  (void)which;
  product(k, d, &a, GEMM_ROWS, GEMM_COLS);
}

/* The left matrix by columns, as for the gradient of weights. */
static void gemm_transposed(const struct kernels *k, const struct data *d,
                            int which) {
  const struct left a = {.data = d->in[0],
                         .row = 1,
                         .step = GEMM_ROWS,
                         .k = GEMM_K,
                         .runs = {1, 1}};
  (void)which;
  product(k, d, &a, GEMM_ROWS, GEMM_COLS);
}

/* A row of outputs of a 3 x 3 convolution of an image of `which` channels. */
enum { CONV_WIDTH = 96, CONV_COLS = 32 };

static void gemm_patches(const struct kernels *k, const struct data *d,
                         int which) {
  const size_t channels = (size_t)which;
  const struct left a = {.data = d->in[0],
                         .row = channels,
                         .step = 1,
                         .k = 3 * channels,
                         .runs = {3, 1},
                         .jump = {(ptrdiff_t)((CONV_WIDTH + 2) * channels), 0}};
  product(k, d, &a, CONV_WIDTH, CONV_COLS);
}

enum { GEMV_K = 512, GEMV_COLS = 512 };

static void gemv(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->gemv(GEMV_K, d->in[0], d->in[1], GEMV_COLS, d->out, GEMV_COLS, 0);
}

/* PACK columns of as many floats; panels are of another width on each table,
 * so that only the first column of all is kept to be compared. */
enum { PACK = 64 };

static void pack_columns(const struct kernels *k, const struct data *d,
                         int which) {
  size_t nr = (size_t)k->nr, cols = PACK;
  float *panels = d->out + PACK;
  (void)which;
  for (size_t j = 0; j < cols; j += nr)
    k->pack_columns(panels + j * PACK, d->in[0] + j * PACK, PACK,
                    cols - j < nr ? cols - j : nr, PACK);
  for (size_t i = 0; i < PACK; i++)
    d->out[i] = panels[i * nr];
}

/* ---- Of each element alone ---------------------------------------------- */

enum { N = 4096 }; /* arrays that fit the nearest caches */

static void add(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->add(d->out, d->in[0], d->in[1], N);
}

static void mul(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->mul(d->out, d->in[0], d->in[1], N);
}

static void scale(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->scale(d->out, d->in[0], 0.3F, N);
}

static void activate(const struct kernels *k, const struct data *d, int which) {
  k->activate[which](d->out, d->in[0], 0.25F, N);
}

static void activate_grad(const struct kernels *k, const struct data *d,
                          int which) {
  k->activate_grad[which](d->out, d->in[1], d->in[0], d->in[0], 0.25F, N);
}

static void adam(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->adam(d->out, d->out + N, d->out + 2 * N, d->in[0], N, 0.5F, 0.01F, 0.1F,
          0.001F, 1e-7F);
}

static void sgd(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->sgd(d->out, d->out + N, d->in[0], N, 0.5F, 0.01F, 0.9F);
}

/* ---- Rows --------------------------------------------------------------- */

enum { CHANNELS = 64, ROWS = N / CHANNELS };

static void add_row(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->add_row(d->out, d->in[0], d->in[1], ROWS, CHANNELS);
}

static void affine(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->affine(d->out, d->in[0], d->in[1], d->in[2], ROWS, CHANNELS);
}

static void affine2(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->affine2(d->out, d->in[0], d->in[1], d->in[2], d->in[2] + CHANNELS,
             d->in[3], ROWS, CHANNELS);
}

/* It adds to what is there; `which`: with the dot products. */
static void sum_rows(const struct kernels *k, const struct data *d, int which) {
  double *sums = (double *)(void *)d->out;
  memset(sums, 0, 2 * CHANNELS * sizeof *sums);
  k->sum_rows(sums, which ? sums + CHANNELS : NULL, d->in[0], d->in[1], ROWS,
              CHANNELS);
}

/* Rows of `which`. */
static void softmax(const struct kernels *k, const struct data *d, int which) {
  for (int i = 0; i + which <= N; i += which)
    k->softmax(d->out + i, d->in[0] + i, (size_t)which);
}

static void log_sum_exp(const struct kernels *k, const struct data *d,
                        int which) {
  for (int i = 0; i + which <= N; i += which)
    d->out[i / which] = k->log_sum_exp(d->in[0] + i, (size_t)which);
}

/* ---- Pooling ------------------------------------------------------------ */

/* An image of 28 x 28 x 64 in windows of 2 x 2, or of 3 x 3 that overlap. */
enum { SIDE = 28, HALF = SIDE / 2, IMAGE = SIDE * SIDE * CHANNELS };

static struct window window_of(int kernel) {
  const size_t size = (size_t)kernel, pad = size == 3;
  return (struct window){.height = SIDE,
                         .width = SIDE,
                         .channels = CHANNELS,
                         .out_height = HALF,
                         .out_width = HALF,
                         .kernel = {size, size},
                         .stride = {2, 2},
                         .pad = {pad, pad}};
}

static void max_pool(const struct kernels *k, const struct data *d, int which) {
  const struct window w = window_of(which);
  for (size_t oy = 0; oy < HALF; oy++)
    k->max_pool(d->out + oy * HALF * CHANNELS, d->in[0], &w, oy);
}

static void min_pool(const struct kernels *k, const struct data *d, int which) {
  const struct window w = window_of(which);
  for (size_t oy = 0; oy < HALF; oy++)
    k->min_pool(d->out + oy * HALF * CHANNELS, d->in[0], &w, oy);
}

static void avg_pool(const struct kernels *k, const struct data *d, int which) {
  const struct window w = window_of(which);
  for (size_t oy = 0; oy < HALF; oy++)
    k->avg_pool(d->out + oy * HALF * CHANNELS, d->in[0], &w, oy);
}

static void max_pool_grad(const struct kernels *k, const struct data *d,
                          int which) {
  const struct window w = window_of(which);
  k->max_pool_grad(d->out, d->in[1], d->in[0], &w, 0, CHANNELS);
}

static void min_pool_grad(const struct kernels *k, const struct data *d,
                          int which) {
  const struct window w = window_of(which);
  k->min_pool_grad(d->out, d->in[1], d->in[0], &w, 0, CHANNELS);
}

static void avg_pool_grad(const struct kernels *k, const struct data *d,
                          int which) {
  const struct window w = window_of(which);
  k->avg_pool_grad(d->out, d->in[1], &w, 0, CHANNELS);
}

/* ---- The table ---------------------------------------------------------- */

/* words, flops, bytes */
#define GEMM(rows, cols, k)  (rows) * (cols), 2.0 * (rows) * (cols) * (k), 0
#define MOVES(words, floats) (words), 0, 4.0 * (floats)

const struct kernel_row kernel_rows[] = {
    {"gemm_tile 96x64x288", gemm_plain, 0, GEMM(GEMM_ROWS, GEMM_COLS, GEMM_K)},
    {"gemm_tile transposed", gemm_transposed, 0,
     GEMM(GEMM_ROWS, GEMM_COLS, GEMM_K)},
    {"gemm_tile 3x3 of 3", gemm_patches, 3, GEMM(CONV_WIDTH, CONV_COLS, 27)},
    {"gemm_tile 3x3 of 32", gemm_patches, 32, GEMM(CONV_WIDTH, CONV_COLS, 288)},
    {"gemv 512x512", gemv, 0, MOVES(GEMV_COLS, GEMV_K *GEMV_COLS)},
    {"pack_columns 64x64", pack_columns, 0, MOVES(PACK, 2 * PACK * PACK)},
    {"add", add, 0, MOVES(N, 3 * N)},
    {"mul", mul, 0, MOVES(N, 3 * N)},
    {"scale", scale, 0, MOVES(N, 2 * N)},
    {"relu", activate, ACT_RELU, MOVES(N, 2 * N)},
    {"relu6", activate, ACT_RELU6, MOVES(N, 2 * N)},
    {"leaky_relu", activate, ACT_LEAKY_RELU, MOVES(N, 2 * N)},
    {"sigmoid", activate, ACT_SIGMOID, MOVES(N, 2 * N)},
    {"tanh", activate, ACT_TANH, MOVES(N, 2 * N)},
    {"silu", activate, ACT_SILU, MOVES(N, 2 * N)},
    {"gelu", activate, ACT_GELU, MOVES(N, 2 * N)},
    {"hard_swish", activate, ACT_HARD_SWISH, MOVES(N, 2 * N)},
    {"hard_sigmoid", activate, ACT_HARD_SIGMOID, MOVES(N, 2 * N)},
    {"relu gradient", activate_grad, ACT_RELU, MOVES(N, 3 * N)},
    {"relu6 gradient", activate_grad, ACT_RELU6, MOVES(N, 3 * N)},
    {"leaky_relu gradient", activate_grad, ACT_LEAKY_RELU, MOVES(N, 3 * N)},
    {"sigmoid gradient", activate_grad, ACT_SIGMOID, MOVES(N, 3 * N)},
    {"tanh gradient", activate_grad, ACT_TANH, MOVES(N, 3 * N)},
    {"silu gradient", activate_grad, ACT_SILU, MOVES(N, 3 * N)},
    {"gelu gradient", activate_grad, ACT_GELU, MOVES(N, 3 * N)},
    {"hard_swish gradient", activate_grad, ACT_HARD_SWISH, MOVES(N, 3 * N)},
    {"hard_sigmoid gradient", activate_grad, ACT_HARD_SIGMOID, MOVES(N, 3 * N)},
    {"adam", adam, 0, MOVES(3 * N, 7 * N)},
    {"sgd", sgd, 0, MOVES(2 * N, 5 * N)},
    {"add_row", add_row, 0, MOVES(N, 2 * N)},
    {"affine", affine, 0, MOVES(N, 2 * N)},
    {"affine2", affine2, 0, MOVES(N, 3 * N)},
    {"sum_rows", sum_rows, 0, MOVES(2 * CHANNELS, N)},
    {"sum_rows with dot", sum_rows, 1, MOVES(4 * CHANNELS, 2 * N)},
    {"softmax of 10", softmax, 10, MOVES(N / 10 * 10, 2 * N)},
    {"softmax of 1024", softmax, 1024, MOVES(N, 2 * N)},
    {"log_sum_exp of 10", log_sum_exp, 10, MOVES(N / 10, N)},
    {"max_pool 2x2", max_pool, 2, MOVES(IMAGE / 4, IMAGE * 5 / 4)},
    {"max_pool 3x3", max_pool, 3, MOVES(IMAGE / 4, IMAGE * 5 / 4)},
    {"min_pool 2x2", min_pool, 2, MOVES(IMAGE / 4, IMAGE * 5 / 4)},
    {"avg_pool 2x2", avg_pool, 2, MOVES(IMAGE / 4, IMAGE * 5 / 4)},
    {"max_pool gradient", max_pool_grad, 2, MOVES(IMAGE, IMAGE * 9 / 4)},
    {"min_pool gradient", min_pool_grad, 2, MOVES(IMAGE, IMAGE * 9 / 4)},
    {"avg_pool gradient", avg_pool_grad, 2, MOVES(IMAGE, IMAGE * 5 / 4)},
    {NULL, NULL, 0, 0, 0, 0}};
