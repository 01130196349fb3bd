/* SPDX-License-Identifier: MIT */
/* Floor 2: the inner loops, one table of functions for each instruction set.
 * Raw pointers and sizes; no memory, no threads, no errors.  Every table gives
 * the same bits: each output is computed in one fixed order
 * (docs/arithmetic.md). Unless a comment says otherwise, y may be the same
 * array as an input. */
#ifndef IMGREC_KERNELS_H
#define IMGREC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A function that only training needs, in a table: a library that recognises
 * only (PROFILE=infer) is without. */
#if defined(IMGREC_INFER)
#define TRAINING(f) (0 ? (f) : NULL)
#else
#define TRAINING(f) (f)
#endif

enum activation {
  ACT_RELU,       /* x > 0 ? x : 0 */
  ACT_RELU6,      /* min(max(x, 0), 6) */
  ACT_LEAKY_RELU, /* x > 0 ? x : alpha x */
  ACT_SIGMOID,    /* 1 / (1 + exp(-x)) */
  ACT_TANH,
  ACT_SILU,         /* x sigmoid(x) */
  ACT_GELU,         /* x (1 + erf(x / sqrt 2)) / 2 */
  ACT_HARD_SWISH,   /* x hard_sigmoid(x) */
  ACT_HARD_SIGMOID, /* min(max(x / 6 + 1/2, 0), 1) */
  ACT_COUNT
};

/* A pooling window over one image x: height x width x channels, giving
 * y: out_height x out_width x channels.  pad: rows above, columns left. */
struct window {
  size_t height, width, channels, out_height, out_width;
  size_t kernel[2], stride[2], pad[2];
};

/* A left matrix that is read in place, such as the patches of a convolution:
 * runs[0] x runs[1] runs of k terms, element (i, y, x, p) being
 *   data[i * row + y * jump[0] + x * jump[1] + p * step].
 * One of row and step is 1. */
struct left {
  const float *data;
  size_t row, step, k, runs[2];
  ptrdiff_t jump[2];
};

/* A depthwise convolution of one image x: height x width x channels, giving
 * y: out_height x out_width x channels, with one filter a channel. */
struct depthwise {
  size_t height, width, channels, out_height, out_width;
  size_t kernel[2], stride[2], pad[2], dilation[2];
};

/* What is done to the sums of a convolution before they are stored:
 *   y = relu(fma(x, scale[c], shift[c])), x + shift[c] without a scale. */
struct epilogue {
  const float *scale, *shift; /* a number a channel, or NULL */
  int relu, relu6;            /* one of them, or none */
};

/* height x width x channels numbers of one image.  Plain ones lie in x.  With
 * `won` they are the gradient behind a 2 x 2 max pooling: x and won are
 * height / 2 x width / 2 x channels, and x goes to the tap of its window that
 * won. */
struct plane {
  const float *x;
  const uint8_t *won;
  size_t height, width, channels;
};

/* Where the outputs of a convolution go: height x width x channels, or with
 * `pool` the half of both, and then `won`, unless NULL, gets which of a
 * window's taps was the greatest. */
struct output {
  float *y;
  uint8_t *won;
  int pool;
  size_t height, width, channels;
  struct epilogue epilogue;
};

/* The gradient d of one filter behind a 2 x 2 max pooling, windows[0] below
 * each other by windows[1] beside: d and won, which of a window's taps it goes
 * to, lie next[] apart; the patches of x, of `rows` rows of `run` floats `jump`
 * apart, lie stride[] floats apart from window to window and tap[] from tap to
 * tap. */
struct winners {
  const float *d;
  const uint8_t *won;
  size_t windows[2], next[2], stride[2];
  ptrdiff_t tap[2];
  size_t rows, jump, run;
};

/* Fraction bits of a weight of blend_bytes: sums of weights of one, times 255,
 * stay below 2^31. */
#define BLEND_BITS 22

/* Memory to ask for during a product, as it will be needed next: with each
 * step of k one cache line at each address, `step` bytes from one to the next;
 * those for a row of the left matrix begin `row` bytes behind those for the row
 * before.  They may lie beyond any array. */
enum { AHEAD_STREAMS = 3 };
struct ahead {
  uintptr_t at[AHEAD_STREAMS];
  size_t step, row;
};

/* Optimisers' steps with all that can be asked of them.  w decays by `decay`,
 * which is added to the gradient, or by `shrink`, which is taken off w. */
struct adam_step {
  float scale, rate, one_minus_b1, one_minus_b2, epsilon, decay, shrink;
};
struct sgd_step {
  float scale, rate, momentum, decay;
  int nesterov;
};

struct kernels {
  const char *name;
  int isa; /* IMGREC_ISA_* */

  /* Products of matrices; the tile is mr x nr, panels are zero-padded to nr. */
  int mr, nr;
  /* dst[k][nr] = src[column][k] for `cols` <= nr columns of k floats, `stride`
   * apart: a panel of a right matrix that is stored by columns. */
  void (*pack_columns)(float *dst, const float *src, size_t stride, size_t cols,
                       size_t k);
  /* dst[j][i] = src[i][j], i < rows, j < cols. */
  void (*transpose)(float *dst, size_t ldd, const float *src, size_t lds,
                    size_t rows, size_t cols);
  /* c[i][j] (+)= the sum over the terms (y, x, p) of the left matrix, in that
   * order, times row (y * runs[1] + x) * a->k + p of b; i < rows, any number;
   * j < cols <= nr.  b: rows ldb apart, cols readable. */
  void (*gemm_tile)(const struct left *a, const float *b, size_t ldb, float *c,
                    size_t ldc, size_t rows, size_t cols, int accumulate);
  /* The same, asking for other memory meanwhile, in tiles of mr rows. */
  void (*gemm_tile_ahead)(const struct left *a, const float *b, size_t ldb,
                          float *c, size_t ldc, size_t rows, size_t cols,
                          int accumulate, const struct ahead *ahead);
  /* Few rows: c[i][j] (+)= sum over k of a[i][k] b[k][j], j < cols, any cols;
   * a: rows lda apart, b: rows ldb apart, each number of it read once. */
  void (*gemv)(size_t rows, size_t k, const float *a, size_t lda,
               const float *b, size_t ldb, float *c, size_t ldc, size_t cols,
               int accumulate);

  /* c[i][j] = what the epilogue makes of the sums of gemm_tile. */
  void (*gemm_tile_finished)(const struct left *a, const float *b, size_t ldb,
                             float *c, size_t ldc, size_t rows, size_t cols,
                             const struct epilogue *e);
  /* y = what the epilogue makes of it: rows of c floats, `row` apart. */
  void (*finish_rows)(float *y, size_t row, const struct epilogue *e,
                      size_t rows, size_t c);
  /* Two rows x of `channels` a pixel, `row` floats apart, into one row of a
   * 2 x 2 max pooling, whose pixels are `pixel` apart in y and won (may be
   * NULL). */
  void (*finish_pool)(float *y, uint8_t *won, size_t pixel, const float *x,
                      size_t row, const struct epilogue *e, size_t out_width,
                      size_t channels);
  /* n pixels of row y of s from column x on, zeros where it has none. */
  void (*fetch_row)(float *dst, const struct plane *s, ptrdiff_t y, ptrdiff_t x,
                    size_t n);
  /* sum (rows x run) (+)= d times the winner's patch of x, window by window. */
  void (*winners_sum)(float *sum, const float *x, const struct winners *w,
                      int accumulate);
  /* x's patch of the winner += d times weights (rows x run), likewise; run,
   * stride and tap are multiples of 8. */
  void (*winners_add)(float *x, const float *weights, const struct winners *w);
  /* dy = 0 where `won` says that a ReLU let nothing through. */
  void (*mask_lost)(float *dy, const uint8_t *won, size_t n);

  /* Winograd's F(4 x 4, 3 x 3): 36 numbers a channel lie `step` apart.
   * v = B' d B of the 6 x 6 window of s whose first element is (y, x). */
  void (*winograd_image)(float *v, size_t step, const struct plane *s,
                         ptrdiff_t y, ptrdiff_t x);
  /* v = A dY A' of the 4 x 4 outputs from (y, x) on. */
  void (*winograd_gradient)(float *v, size_t step, const struct plane *s,
                            ptrdiff_t y, ptrdiff_t x);
  /* u = G g G' of n filters' weights for one channel: w has 9 taps, `tap`
   * floats apart, of n floats. */
  void (*winograd_weight)(float *u, size_t step, const float *w, size_t tap,
                          size_t n);
  /* w (+)= G' u G, the other way. */
  void (*winograd_weight_gradient)(float *w, size_t tap, const float *u,
                                   size_t step, size_t n, int accumulate);
  /* The 4 x 4 outputs from (y, x) on, A' m A, of channels [c, c + channels),
   * the first of which is m[0]. */
  void (*winograd_output)(const struct output *out, const float *m, size_t step,
                          size_t y, size_t x, size_t c, size_t channels);

  /* n floats each. */
  void (*add)(float *y, const float *a, const float *b, size_t n);
  void (*mul)(float *y, const float *a, const float *b, size_t n);
  void (*scale)(float *y, const float *x, float s, size_t n);
  void (*activate[ACT_COUNT])(float *y, const float *x, float alpha, size_t n);
  /* dx = dy f'(x), from x or from y = f(x), whichever f needs
   * (imgrec__act_uses_x); the other may be NULL. */
  void (*activate_grad[ACT_COUNT])(float *dx, const float *dy, const float *x,
                                   const float *y, float alpha, size_t n);

  /* rows x c, with one number a channel. */
  void (*add_row)(float *y, const float *x, const float *bias, size_t rows,
                  size_t c); /* x + bias[c] */
  void (*affine)(float *y, const float *x, const float *scale,
                 const float *shift, size_t rows,
                 size_t c); /* fma(x, scale[c], shift[c]) */
  void (*affine2)(float *z, const float *x, const float *y, const float *a,
                  const float *b, const float *k, size_t rows,
                  size_t c); /* fma(a[c], x, fma(b[c], y, k[c])) */
  /* sum[c] += x, dot[c] += x * y, over the rows in order, in f64; y may be x;
   * dot may be NULL, and then y is not read. */
  void (*sum_rows)(double *sum, double *dot, const float *x, const float *y,
                   size_t rows, size_t c);

  /* One row of n numbers: y = exp(x - max x) / sum. */
  void (*softmax)(float *y, const float *x, size_t n);
  /* log sum exp(x), with the maximum taken out first. */
  float (*log_sum_exp)(const float *x, size_t n);

  /* g is scaled first: g' = scale * g.  Adam (Kingma and Ba 2015, in Keras'
   * form): m += (g' - m)(1 - b1), v += (g'^2 - v)(1 - b2),
   * w -= m * rate / (sqrt(v) + eps), the rate already corrected for bias. */
  void (*adam)(float *w, float *m, float *v, const float *g, size_t n,
               float scale, float rate, float one_minus_b1, float one_minus_b2,
               float epsilon);
  /* m = momentum m - rate g'; w += m. */
  void (*sgd)(float *w, float *m, const float *g, size_t n, float scale,
              float rate, float momentum);
  /* The same with g' = scale * g + decay * w; then Adam's w is first less by
   * shrink * w, and with nesterov w += momentum m - rate g'. */
  void (*adam_decay)(float *w, float *m, float *v, const float *g, size_t n,
                     const struct adam_step *s);
  void (*sgd_decay)(float *w, float *m, const float *g, size_t n,
                    const struct sgd_step *s);
  /* y += (x - y) share */
  void (*approach)(float *y, const float *x, float share, size_t n);

  /* Output row oy of one image; what the window covers beyond the image does
   * not count (also not in the mean). y: the row, out_width x channels. */
  void (*max_pool)(float *y, const float *x, const struct window *w, size_t oy);
  void (*min_pool)(float *y, const float *x, const struct window *w, size_t oy);
  void (*avg_pool)(float *y, const float *x, const struct window *w, size_t oy);
  /* y[c] = the mean over rows, `stride` floats apart, summed in f64. */
  void (*mean_rows)(float *y, const float *x, size_t rows, size_t stride,
                    size_t c);
  /* Rows [first, last) of dx of one image, which are overwritten.  The gradient
   * goes to the first of equal winners. */
  void (*max_pool_grad)(float *dx, const float *dy, const float *x,
                        const struct window *w, size_t first, size_t last);
  void (*min_pool_grad)(float *dx, const float *dy, const float *x,
                        const struct window *w, size_t first, size_t last);
  void (*avg_pool_grad)(float *dx, const float *dy, const struct window *w,
                        size_t first, size_t last);
  /* Where windows do not overlap (no stride is less than the kernel): the rows
   * of dx from the window of output row oy, or from 0, to that of the next, or
   * to the end.  No other call writes to them. */
  void (*max_pool_grad_row)(float *dx, const float *dy, const float *x,
                            const struct window *w, size_t oy);
  void (*min_pool_grad_row)(float *dx, const float *dy, const float *x,
                            const struct window *w, size_t oy);

  /* dst[j][i] = src[i][j] for i < rows, j < columns; the strides are those of
   * dst's and of src's rows.  dst is not src. */
  void (*turn_bytes)(unsigned char *dst, size_t dst_stride,
                     const unsigned char *src, size_t src_stride, size_t rows,
                     size_t columns);
  /* dst[x] = (1/2 + sum over k < count of weight[k] src[k][x]) / one, rounded
   * down, for x < n; src has rows of `stride` bytes, one is 2^BLEND_BITS.  The
   * weights are not negative and give sums below 256.  dst is not src. */
  void (*blend_bytes)(unsigned char *dst, const unsigned char *src,
                      size_t stride, const int32_t *weight, size_t count,
                      size_t n);

  /* The numbers first .. first + n - 1 of a stream of the generator (base.h):
   * imgrec__random_unit, imgrec__random_normal2. */
  void (*random_unit)(float *u, size_t n, uint64_t seed, uint64_t stream,
                      uint64_t first);
  void (*random_normal2)(float *z, size_t n, uint64_t seed, uint64_t stream,
                         uint64_t first);
  /* y = x / (1 - rate) where the stream's unit is at least the rate, else 0. */
  void (*dropout)(float *y, const float *x, size_t n, float rate, uint64_t seed,
                  uint64_t stream, uint64_t first);

  /* w, dw: KH x KW x C.  Output row oy of one image; row iy of its gradient by
   * x, which is overwritten; and what output rows [first, last) of it add to
   * the gradient by w. */
  void (*depthwise)(float *y, const float *x, const float *w,
                    const struct depthwise *d, const struct epilogue *e,
                    size_t oy);
  void (*depthwise_grad_x)(float *dx, const float *dy, const float *w,
                           const struct depthwise *d, size_t iy);
  void (*depthwise_grad_w)(float *dw, const float *x, const float *dy,
                           const struct depthwise *d, size_t first,
                           size_t last);
};

/* ---- Products of bytes --------------------------------------------------- */

/* The left matrix is read in place, as that of gemm_tile is: runs of bytes, of
 * which each is taken as whole groups of 4.  The right one lies in panels of
 * Q_COLS columns: for each run and group Q_COLS x 4 numbers, zeros where a run
 * ends within its last group; so what is read there does not count. */
enum { Q_COLS = 16, Q_GROUP = 4, Q_GROUP_BYTES = 64 };

/* sums[i][j] = shift[j] + sum over the runs of a[i] b[j], exact, then
 *   y[i][j] = fma(sums[i][j], scale[j], bias[j])   (and ReLU)
 * or, where y is NULL, the sums themselves. */
struct qtile {
  const uint8_t *a;
  size_t step;       /* bytes from row to row */
  size_t runs[2];    /* below each other, and beside */
  size_t jump[2];    /* bytes from run to run */
  size_t groups;     /* in a run */
  size_t rows, cols; /* any, and at most panels * Q_COLS */
  const int8_t *b;   /* panels, b_panel bytes apart */
  size_t b_panel;
  /* Readable up to a multiple of Q_COLS. */
  const int32_t *shift;
  const float *scale, *bias;
  int relu;
  float *y;
  size_t ldy;
  int32_t *sums; /* rows x (panels * Q_COLS) */
};

/* So many products are sure to fit their sum: 2^16 * 255 * 128 < 2^31. */
#define IMGREC__QSUM_MAX ((size_t)65536)
/* Sums that are longer are made of blocks of this. */
#define IMGREC__QBLOCK ((size_t)8192)

/* One output row of a depthwise convolution over an image that is already
 * padded, channel after channel by itself:
 *   y[ox][c] = fma(shift[c] + sum over ky, kx of x[ky][ox + kx][c]
 * w[ky][kx][c], scale[c], bias[c]) */
struct qdepthwise {
  const uint8_t *x; /* the first tap of ox = 0 */
  size_t row;       /* bytes from row to row; `pixel` from pixel to pixel */
  size_t pixel;     /* a multiple of Q_COLS, as readable of w, shift ... */
  size_t kernel[2], dilation[2], stride; /* stride: along the row */
  size_t out_width, channels;
  const int8_t *w;
  const int32_t *shift;
  const float *scale, *bias;
  int relu;
  float *y; /* out_width x channels */
};

/* A table of its own, since one instruction makes all the difference: with
 * VNNI there are two for AVX-512. */
struct qkernels {
  const char *name;
  int panels; /* of Q_COLS columns in a tile */
  /* q = clamp(x / scale rounded half to even + zero, 0, 255); NaN gives 0. */
  void (*quantize)(uint8_t *q, const float *x, size_t n, float scale,
                   int32_t zero);
  void (*tile)(const struct qtile *t);
  /* y[j] = fma(sums[j] rounded to float, scale[j], bias[j])   (and ReLU) */
  void (*finish)(float *y, const double *sums, const float *scale,
                 const float *bias, int relu, size_t n);
  void (*depthwise)(const struct qdepthwise *d);
};

/* The table of an IMGREC_ISA_*, NULL where this build has none. */
const struct kernels *imgrec__kernels_for(int isa);
const struct qkernels *imgrec__qkernels_for(int isa, int vnni);
int imgrec__kernels_isa(const struct kernels *k);

/* Whether an activation's gradient is computed from x (else from y). */
int imgrec__act_uses_x(int activation);

#endif
