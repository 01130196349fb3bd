/* SPDX-License-Identifier: MIT */
/* The calls of kernels that are measured.  A new kernel is a function that
 * calls it and a row of the table at the end. */
#include "kernel_table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- Data --------------------------------------------------------------- */

static void fill_data(struct data *d) {
  uint32_t state = 7;
  for (int i = 0; i < INPUTS; i++)
    for (size_t j = 0; j < ROOM; j++) {
      state = state * 1664525U + 1013904223U;
      d->in[i][j] = (float)(state >> 8) * 0x1p-23F - 1;
      d->won[j] = (uint8_t)((state >> 24) % 5);
    }
  reset_data(d);
}

int create_data(struct data *d) {
  int ok = 1;
  for (int i = 0; i < INPUTS; i++) {
    d->in[i] = malloc(ROOM * sizeof(float));
    ok = ok && d->in[i] != NULL;
  }
  d->won = malloc(ROOM);
  d->out = malloc(ROOM * sizeof(float));
  ok = ok && d->won != NULL && d->out != NULL;
  if (ok)
    fill_data(d);
  return ok;
}

void reset_data(struct data *d) {
  for (size_t j = 0; j < ROOM; j++)
    d->out[j] = d->in[3][j] < 0 ? -d->in[3][j] : d->in[3][j];
}

void destroy_data(struct data *d) {
  for (int i = 0; i < INPUTS; i++)
    free(d->in[i]);
  free(d->won);
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

/* The same as gemm_plain, with what it reads asked for once more. */
static void gemm_ahead(const struct kernels *k, const struct data *d,
                       int which) {
  const struct left a = {
      .data = d->in[0], .row = GEMM_K, .step = 1, .k = GEMM_K, .runs = {1, 1}};
  const uintptr_t at = (uintptr_t)d->in[2];
  const struct ahead ahead = {{at, at, at}, 64, 64};
  size_t nr = (size_t)k->nr;
  (void)which;
  for (size_t j = 0; j < GEMM_COLS; j += nr)
    k->gemm_tile_ahead(&a, d->in[1] + j, GEMM_COLS, d->out + j, GEMM_COLS,
                       GEMM_ROWS, GEMM_COLS - j < nr ? GEMM_COLS - j : nr, 0,
                       &ahead);
}

/* `which` rows. */
enum { GEMV_K = 512, GEMV_COLS = 512 };

static void gemv(const struct kernels *k, const struct data *d, int which) {
  k->gemv((size_t)which, GEMV_K, d->in[0], GEMV_K, d->in[1], GEMV_COLS, d->out,
          GEMV_COLS, GEMV_COLS, 0);
}

enum { TURNED = 128 };

static void transpose(const struct kernels *k, const struct data *d,
                      int which) {
  (void)which;
  k->transpose(d->out, TURNED, d->in[0], TURNED, TURNED, TURNED);
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
  k->max_pool_grad(d->out, d->in[1], d->in[0], &w, 0, SIDE);
}

static void min_pool_grad(const struct kernels *k, const struct data *d,
                          int which) {
  const struct window w = window_of(which);
  k->min_pool_grad(d->out, d->in[1], d->in[0], &w, 0, SIDE);
}

static void avg_pool_grad(const struct kernels *k, const struct data *d,
                          int which) {
  const struct window w = window_of(which);
  k->avg_pool_grad(d->out, d->in[1], &w, 0, SIDE);
}

/* Rows one after another, as windows do not overlap. */
static void max_pool_grad_row(const struct kernels *k, const struct data *d,
                              int which) {
  const struct window w = window_of(which);
  for (size_t oy = 0; oy < HALF; oy++)
    k->max_pool_grad_row(d->out, d->in[1], d->in[0], &w, oy);
}

static void min_pool_grad_row(const struct kernels *k, const struct data *d,
                              int which) {
  const struct window w = window_of(which);
  for (size_t oy = 0; oy < HALF; oy++)
    k->min_pool_grad_row(d->out, d->in[1], d->in[0], &w, oy);
}

static void mean_rows(const struct kernels *k, const struct data *d,
                      int which) {
  (void)which;
  k->mean_rows(d->out, d->in[0], ROWS, CHANNELS, CHANNELS);
}

/* ---- Depthwise convolutions --------------------------------------------- */

/* 3 x 3 of the same image, with stride `which`. */
static struct depthwise depthwise_of(int which) {
  const size_t stride = (size_t)which, out = SIDE / stride;
  return (struct depthwise){.height = SIDE,
                            .width = SIDE,
                            .channels = CHANNELS,
                            .out_height = out,
                            .out_width = out,
                            .kernel = {3, 3},
                            .stride = {stride, stride},
                            .pad = {1, 1},
                            .dilation = {1, 1}};
}

static void depthwise(const struct kernels *k, const struct data *d,
                      int which) {
  const struct depthwise s = depthwise_of(which);
  const struct epilogue e = {.shift = d->in[2], .relu = 1};
  for (size_t y = 0; y < s.out_height; y++)
    k->depthwise(d->out + y * s.out_width * CHANNELS, d->in[0], d->in[1], &s,
                 &e, y);
}

static void depthwise_grad_x(const struct kernels *k, const struct data *d,
                             int which) {
  const struct depthwise s = depthwise_of(which);
  for (size_t y = 0; y < SIDE; y++)
    k->depthwise_grad_x(d->out + y * SIDE * CHANNELS, d->in[0], d->in[1], &s,
                        y);
}

/* It adds to what is there. */
static void depthwise_grad_w(const struct kernels *k, const struct data *d,
                             int which) {
  const struct depthwise s = depthwise_of(which);
  memset(d->out, 0, 9 * CHANNELS * sizeof *d->out);
  k->depthwise_grad_w(d->out, d->in[0], d->in[1], &s, 0, s.out_height);
}

/* ---- Random numbers ----------------------------------------------------- */

static void random_unit(const struct kernels *k, const struct data *d,
                        int which) {
  (void)which;
  k->random_unit(d->out, N, 1, 2, 3);
}

static void random_normal2(const struct kernels *k, const struct data *d,
                           int which) {
  (void)which;
  k->random_normal2(d->out, N, 1, 2, 3);
}

static void dropout(const struct kernels *k, const struct data *d, int which) {
  (void)which;
  k->dropout(d->out, d->in[0], N, 0.25F, 1, 2, 3);
}

/* ---- What is done along with convolutions ------------------------------- */

static void finish_rows(const struct kernels *k, const struct data *d,
                        int which) {
  const struct epilogue e = {.scale = d->in[1], .shift = d->in[2], .relu = 1};
  (void)which;
  k->finish_rows(d->out, CHANNELS, &e, ROWS, CHANNELS);
}

/* The product of few terms, too. */
static void gemm_finished(const struct kernels *k, const struct data *d,
                          int which) {
  size_t depth = (size_t)which, nr = (size_t)k->nr;
  const struct left a = {d->in[0], depth, 1, depth, {1, 1}, {0, 0}};
  for (size_t j = 0; j < GEMM_COLS; j += nr) {
    const struct epilogue e = {d->in[2] + j, d->in[3] + j, 0, 1};
    k->gemm_tile_finished(&a, d->in[1] + j, GEMM_COLS, d->out + j, GEMM_COLS,
                          GEMM_ROWS, nr, &e);
  }
}

/* The taps that won lie behind y. */
static void finish_pool(const struct kernels *k, const struct data *d,
                        int which) {
  const struct epilogue e = {.shift = d->in[2], .relu = 1};
  const size_t row = SIDE * CHANNELS, half = HALF * CHANNELS;
  uint8_t *won = (uint8_t *)(d->out + HALF * half);
  (void)which;
  for (size_t oy = 0; oy < HALF; oy++)
    k->finish_pool(d->out + oy * half, won + oy * half, CHANNELS,
                   d->in[0] + 2 * oy * row, row, &e, HALF, CHANNELS);
}

/* `which`: behind a max pooling. */
static struct plane plane_of(const struct data *d, int which) {
  return (struct plane){d->in[0], which ? d->won : NULL, SIDE, SIDE, CHANNELS};
}

/* All rows, with a pixel of padding on either side. */
static void fetch_row(const struct kernels *k, const struct data *d,
                      int which) {
  const struct plane s = plane_of(d, which);
  const size_t width = SIDE + 2;
  for (size_t y = 0; y < SIDE; y++)
    k->fetch_row(d->out + y * width * CHANNELS, &s, (ptrdiff_t)y, -1, width);
}

static void mask_lost(const struct kernels *k, const struct data *d,
                      int which) {
  (void)which;
  k->mask_lost(d->out, d->won, N);
}

/* The gradients of a 5 x 5 convolution of FEW channels by one filter, behind a
 * max pooling. */
enum { FEW = 8, WON = (SIDE - 4) / 2, WON_K = 5 * 5 * FEW };

/* `which`: by the input. */
static void winners(const struct kernels *k, const struct data *d, int which) {
  const size_t row = SIDE * FEW;
  const struct winners w = {
      d->in[1],   d->won, {WON, WON}, {WON, 1}, {2 * row, 2 * FEW},
      {row, FEW}, 5,      row,        5 * FEW};
  if (which)
    k->winners_add(d->out, d->in[0], &w);
  else
    k->winners_sum(d->out, d->in[0], &w, 0);
}

/* ---- Winograd ----------------------------------------------------------- */

/* The tiles of an image, and the weights from CHANNELS to as many. */
enum { ACROSS = SIDE / 4, TILES = ACROSS * ACROSS, POINTS = 36 };
enum { TILE_STEP = TILES * CHANNELS, WEIGHTS = CHANNELS * CHANNELS };

static void winograd_image(const struct kernels *k, const struct data *d,
                           int which) {
  const struct plane s = plane_of(d, which);
  for (int t = 0; t < TILES; t++)
    k->winograd_image(d->out + t * CHANNELS, TILE_STEP, &s, t / ACROSS * 4 - 1,
                      t % ACROSS * 4 - 1);
}

static void winograd_gradient(const struct kernels *k, const struct data *d,
                              int which) {
  const struct plane s = plane_of(d, which);
  for (int t = 0; t < TILES; t++)
    k->winograd_gradient(d->out + t * CHANNELS, TILE_STEP, &s, t / ACROSS * 4,
                         t % ACROSS * 4);
}

/* `which`: with a max pooling. */
static void winograd_output(const struct kernels *k, const struct data *d,
                            int which) {
  const struct output out = {.y = d->out,
                             .pool = which,
                             .height = SIDE,
                             .width = SIDE,
                             .channels = CHANNELS,
                             .epilogue = {.shift = d->in[2], .relu = 1}};
  for (size_t t = 0; t < TILES; t++)
    k->winograd_output(&out, d->in[0] + t * CHANNELS, TILE_STEP, t / ACROSS * 4,
                       t % ACROSS * 4, 0, CHANNELS);
}

static void winograd_weight(const struct kernels *k, const struct data *d,
                            int which) {
  (void)which;
  for (size_t c = 0; c < WEIGHTS; c += CHANNELS)
    k->winograd_weight(d->out + c, WEIGHTS, d->in[0] + c, WEIGHTS, CHANNELS);
}

static void winograd_weight_gradient(const struct kernels *k,
                                     const struct data *d, int which) {
  (void)which;
  for (size_t c = 0; c < WEIGHTS; c += CHANNELS)
    k->winograd_weight_gradient(d->out + c, WEIGHTS, d->in[0] + c, WEIGHTS,
                                CHANNELS, 0);
}

/* ---- Bytes -------------------------------------------------------------- */

enum { BYTES_SIDE = 256, BLENDED = 5, BLEND_N = 4096 };

static void turn_bytes(const struct kernels *k, const struct data *d,
                       int which) {
  (void)which;
  k->turn_bytes((unsigned char *)d->out, BYTES_SIDE, d->won, BYTES_SIDE,
                BYTES_SIDE, BYTES_SIDE);
}

static void blend_bytes(const struct kernels *k, const struct data *d,
                        int which) {
  static const int32_t weights[BLENDED] = {
      1 << (BLEND_BITS - 3), 1 << (BLEND_BITS - 2), 1 << (BLEND_BITS - 2),
      1 << (BLEND_BITS - 2), 1 << (BLEND_BITS - 3)};
  (void)which;
  k->blend_bytes((unsigned char *)d->out, d->won, BLEND_N, weights, BLENDED,
                 BLEND_N);
}

/* ---- The table ---------------------------------------------------------- */

/* words, flops, bytes */
#define GEMM(rows, cols, k)  (rows) * (cols), 2.0 * (rows) * (cols) * (k), 0
#define MOVES(words, floats) (words), 0, 4.0 * (floats)

const struct kernel_row kernel_rows[] = {
    {"gemm_tile 96x64x288", gemm_plain, 0, GEMM(GEMM_ROWS, GEMM_COLS, GEMM_K)},
    {"gemm_tile_ahead", gemm_ahead, 0, GEMM(GEMM_ROWS, GEMM_COLS, GEMM_K)},
    {"gemm_tile finished of 24", gemm_finished, 24,
     GEMM(GEMM_ROWS, GEMM_COLS, 24)},
    {"gemm_tile transposed", gemm_transposed, 0,
     GEMM(GEMM_ROWS, GEMM_COLS, GEMM_K)},
    {"gemm_tile 3x3 of 3", gemm_patches, 3, GEMM(CONV_WIDTH, CONV_COLS, 27)},
    {"gemm_tile 3x3 of 32", gemm_patches, 32, GEMM(CONV_WIDTH, CONV_COLS, 288)},
    {"gemv 512x512", gemv, 1, MOVES(GEMV_COLS, (GEMV_K * GEMV_COLS))},
    {"gemv 512x512, 4 rows", gemv, 4,
     MOVES(4 * GEMV_COLS, (GEMV_K * GEMV_COLS))},
    {"transpose 128x128", transpose, 0,
     MOVES((TURNED * TURNED), (2 * TURNED * TURNED))},
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
    {"finish_rows", finish_rows, 0, MOVES(N, 2 * N)},
    {"finish_pool", finish_pool, 0,
     MOVES(IMAGE / 4 + IMAGE / 16, IMAGE * 21 / 16)},
    {"fetch_row", fetch_row, 0, MOVES(IMAGE, 2 * IMAGE)},
    {"fetch_row behind pool", fetch_row, 1, MOVES(IMAGE, IMAGE * 21 / 16)},
    {"mask_lost", mask_lost, 0, MOVES(N, N * 9 / 4)},
    {"winners_sum 5x5 of 8", winners, 0, WON_K, 2.0 * WON *WON *WON_K, 0},
    {"winners_add 5x5 of 8", winners, 1, SIDE *SIDE *FEW, 2.0 * WON *WON *WON_K,
     0},
    {"winograd image", winograd_image, 0,
     MOVES(POINTS *TILE_STEP, 2 * POINTS * TILE_STEP)},
    {"winograd image, pooled", winograd_image, 1,
     MOVES(POINTS *TILE_STEP, 2 * POINTS * TILE_STEP)},
    {"winograd gradient", winograd_gradient, 0,
     MOVES(POINTS *TILE_STEP, (POINTS + 16) * TILE_STEP)},
    {"winograd output", winograd_output, 0,
     MOVES(IMAGE, (POINTS + 16) * TILE_STEP)},
    {"winograd output, pooled", winograd_output, 1,
     MOVES(IMAGE / 4, (POINTS + 4) * TILE_STEP)},
    {"winograd weight", winograd_weight, 0,
     MOVES(POINTS *WEIGHTS, (POINTS + 9) * WEIGHTS)},
    {"winograd weight grad.", winograd_weight_gradient, 0,
     MOVES(9 * WEIGHTS, (POINTS + 9) * WEIGHTS)},
    {"turn_bytes", turn_bytes, 0,
     MOVES(BYTES_SIDE *BYTES_SIDE / 4, BYTES_SIDE *BYTES_SIDE / 2)},
    {"blend_bytes of 5 rows", blend_bytes, 0,
     MOVES(BLEND_N / 4, (BLENDED + 1) * BLEND_N / 4)},
    {"max_pool gradient rows", max_pool_grad_row, 2,
     MOVES(IMAGE, IMAGE * 9 / 4)},
    {"min_pool gradient rows", min_pool_grad_row, 2,
     MOVES(IMAGE, IMAGE * 9 / 4)},
    {"mean_rows", mean_rows, 0, MOVES(CHANNELS, N)},
    {"depthwise 3x3", depthwise, 1, IMAGE, 18.0 * IMAGE, 0},
    {"depthwise 3x3 stride 2", depthwise, 2, IMAGE / 4, 4.5 * IMAGE, 0},
    {"depthwise by x", depthwise_grad_x, 1, IMAGE, 18.0 * IMAGE, 0},
    {"depthwise by w", depthwise_grad_w, 1, 9 * CHANNELS, 18.0 * IMAGE, 0},
    {"random_unit", random_unit, 0, MOVES(N, N)},
    {"random_normal2", random_normal2, 0, MOVES(N, N)},
    {"dropout", dropout, 0, MOVES(N, 2 * N)},
    {NULL, NULL, 0, 0, 0, 0}};
