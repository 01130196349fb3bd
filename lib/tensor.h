/* SPDX-License-Identifier: MIT */
/* Floor 3: dense arrays, and the products of matrices and patches over them. */
#ifndef IMGREC_TENSOR_H
#define IMGREC_TENSOR_H

#include "context.h"

struct imgrec_tensor {
  struct imgrec_context *context;
  int64_t shape[4]; /* 1 behind ndim */
  int ndim, dtype;
  int owned;
  void *data;
  size_t nbytes;
};

/* A new tensor without clearing it. */
int imgrec__tensor_new(struct imgrec_tensor **out, struct imgrec_context *ctx,
                       int dtype, int ndim, const int64_t *shape);
/* H x W x C u8 with C of 1 or 3; the sentence says what `image`, which may be
 * of another context than e, is instead. */
int imgrec__check_image(struct error *e, const struct imgrec_tensor *image,
                        const char *what);
/* A new H x W x C u8 image, not cleared; checks the image limits. */
int imgrec__image_new(struct imgrec_tensor **out, struct imgrec_context *ctx,
                      int64_t height, int64_t width, int channels);

/* ---- gemm.c ------------------------------------------------------------- */

/* Rows [row, row + rows) and columns [col, col + cols) of a matrix, written
 * as dst[r * stride + c].  A source is a matrix in memory or something that
 * is never stored whole, such as the patches of a convolution. */
typedef void (*imgrec__fill_fn)(const void *source, size_t row, size_t rows,
                                size_t col, size_t cols, float *dst,
                                size_t stride);

struct matrix {
  const float *data;             /* element (r, c) is data[r*row + c*col] */
  size_t row_stride, col_stride; /* one of the two is 1 */
  imgrec__fill_fn fill;          /* NULL: in memory */
  const void *source;
};

static inline struct matrix matrix_of(const float *data, size_t row_stride,
                                      size_t col_stride) {
  struct matrix m = {data, row_stride, col_stride, NULL, NULL};
  return m;
}

/* Takes the sums in place of c, rows x cols of them at a time, from a worker's
 * stage: all of c, each element once, in any order, on any thread.  What it
 * reads of three arrays that lie as c would, it finds in the cache. */
struct sink {
  void (*take)(const void *arg, size_t row, size_t rows, size_t col,
               size_t cols, const float *tile, size_t stride);
  const void *arg;
  const float *reads[3]; /* all, or none: NULL */
};

/* c (m x n, row stride ldc) = a (m x k) * b (k x n) [+ bias (n)], or, with
 * accumulate, c += a * b. */
struct gemm {
  size_t m, n, k;
  struct matrix a, b;
  float *c;
  size_t ldc;
  const float *bias; /* NULL: none */
  int accumulate;
  const struct sink *sink; /* NULL: c */
  /* The transpose of a is what `a.fill` gives: rows k, columns m. */
  int a_transposed;
};

void imgrec__gemm(struct imgrec_context *ctx, const struct gemm *g);
/* One product by one worker, from inside a parallel region. */
void imgrec__gemm_serial(struct imgrec_context *ctx, const struct gemm *g,
                         int worker);

/* ---- qgemm.c ------------------------------------------------------------ */

/* The product of a left matrix of bytes, whose rows are pixels, and a right one
 * of n columns in panels, both as in struct qtile.  The pixels of a line are
 * `step` bytes apart, each line of an image line_step, each image image_step.
 *   y = fma(sum, scale, bias)  and ReLU  and the greatest of 2 x 2 pixels
 * the sum being exact and rounded to float once; y: images x lines x width x n,
 * pixels ldy floats apart.  Where a sum has more than IMGREC__QSUM_MAX terms,
 * all in one run, there is no pooling, and shift is that of each
 * IMGREC__QBLOCK of them, shift_step behind the one before. */
struct qgemm {
  size_t images, lines, width;
  const uint8_t *a;
  size_t image_step, line_step, step;
  size_t runs[2], jump[2], groups;
  size_t n;
  const int8_t *b;
  const int32_t *shift;
  size_t shift_step;
  const float *scale, *bias;
  int relu, pool;
  float *y;
  size_t ldy;
};

struct qkernels;
/* The table that goes with the context's. */
const struct qkernels *imgrec__qkernels(const struct imgrec_context *ctx);
void imgrec__qgemm(struct imgrec_context *ctx, const struct qgemm *g);

/* ---- im2col.c ----------------------------------------------------------- */

/* The patch matrix of a convolution over x: N x H x W x C, of which channels
 * [c0, c0 + channels) count.  Row (n, oy, ox) holds, for each tap (ky, kx) and
 * channel, x[n][iy][ix][c], or zero outside: iy = oy * stride + ky * dilation -
 * pad. */
struct patches {
  const float *x;
  size_t height, width, pixel; /* of x; floats from pixel to pixel */
  size_t channels, c0;
  size_t out_height, out_width; /* rows a image: out_height * out_width */
  int kernel[2], stride[2], pad[2], dilation[2];
  size_t first_row; /* is row 0 of what _fill_patches is asked for */
};

/* An imgrec__fill_fn with `source` a struct patches. */
void imgrec__fill_patches(const void *source, size_t row, size_t rows,
                          size_t col, size_t cols, float *dst, size_t stride);

#endif
