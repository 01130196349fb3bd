/* SPDX-License-Identifier: MIT */
/* What follows a convolution, applied on the way to memory: scale and shift of
 * each channel, ReLU, 2 x 2 max pooling; and the way back (a part of isa.c). */

/* ---- Forward ------------------------------------------------------------- */

/* What bounds the results: a constant in every loop. */
enum clamp { CLAMP_NONE, CLAMP_RELU, CLAMP_RELU6 };

INLINE enum clamp clamp_of(const struct epilogue *e) {
  return e->relu6 ? CLAMP_RELU6 : e->relu ? CLAMP_RELU : CLAMP_NONE;
}

/* The epilogue of n <= VF channels.  Without a scale it is 1, without a shift
 * -0, which change nothing: not a bit, not even of -0. */
struct finish {
  vf scale, shift;
};

INLINE struct finish finish_of(const struct epilogue *e, size_t c,
                               const size_t n) {
  struct finish f = {splat(1.0f), splat(-0.0f)};
  if (e->scale != NULL)
    f.scale = load_upto(e->scale + c, n);
  if (e->shift != NULL)
    f.shift = load_upto(e->shift + c, n);
  return f;
}

INLINE vf finish(const struct finish *f, vf x, const enum clamp clamp) {
  x = vfma(x, f->scale, f->shift);
  if (clamp != CLAMP_NONE)
    x = vmax(x, (vf){0});
  return clamp == CLAMP_RELU6 ? vmin(x, splat(6.0f)) : x;
}

INLINE void finish_columns(float *y, size_t row, const struct finish *f,
                           size_t rows, const size_t n,
                           const enum clamp clamp) {
  for (size_t r = 0; r < rows; r++, y += row)
    store_upto(y, finish(f, load_upto(y, n), clamp), n);
}

INLINE void finish_clamped(float *y, size_t row, const struct epilogue *e,
                           size_t rows, size_t c, const enum clamp clamp) {
  for (size_t i = 0; i < c; i += VF) {
    const size_t n = c - i < VF ? c - i : VF;
    const struct finish f = finish_of(e, i, n);
    if (n == VF)
      finish_columns(y + i, row, &f, rows, VF, clamp);
    else
      finish_columns(y + i, row, &f, rows, n, clamp);
  }
}

static void finish_rows(float *y, size_t row, const struct epilogue *e,
                        size_t rows, size_t c) {
  switch (clamp_of(e)) {
  case CLAMP_RELU:
    finish_clamped(y, row, e, rows, c, CLAMP_RELU);
    break;
  case CLAMP_RELU6:
    finish_clamped(y, row, e, rows, c, CLAMP_RELU6);
    break;
  default:
    finish_clamped(y, row, e, rows, c, CLAMP_NONE);
  }
}

INLINE void store_finished(vf acc[THIN_MR][NV], float *c, size_t ldc,
                           const struct epilogue *e, const int rows,
                           const int vectors, const enum clamp clamp) {
  UNROLL
  for (int j = 0; j < vectors; j++) {
    const struct finish f = finish_of(e, (size_t)j * VF, VF);
    UNROLL
    for (int i = 0; i < rows; i++)
      store(c + (size_t)i * ldc + j * VF, finish(&f, acc[i][j], clamp));
  }
}

/* A whole tile, finished in its registers. */
INLINE void tile_finished(const struct left *a, const float *from,
                          const float *b, size_t ldb, float *c, size_t ldc,
                          const struct epilogue *e, const int rows,
                          const int vectors) {
  vf acc[THIN_MR][NV];
  tile_load(acc, c, ldc, VF, 0, rows, vectors, 0);
  tile_sum(acc, a, from, b, ldb, VF, NULL, rows, vectors, 0);
  switch (clamp_of(e)) {
  case CLAMP_RELU:
    store_finished(acc, c, ldc, e, rows, vectors, CLAMP_RELU);
    break;
  case CLAMP_RELU6:
    store_finished(acc, c, ldc, e, rows, vectors, CLAMP_RELU6);
    break;
  default:
    store_finished(acc, c, ldc, e, rows, vectors, CLAMP_NONE);
  }
}

/* What whole tiles leave is of two nearly equal heights. */
static void gemm_tile_finished(const struct left *a, const float *b, size_t ldb,
                               float *c, size_t ldc, size_t rows, size_t cols,
                               const struct epilogue *e) {
  const size_t most = cols == VF ? THIN_MR : MR;
  struct left rest = *a;
  while ((cols == NR || cols == VF) && (rows == most || rows >= 2 * most)) {
    if (cols == VF)
      tile_finished(a, rest.data, b, ldb, c, ldc, e, THIN_MR, 1);
    else
      tile_finished(a, rest.data, b, ldb, c, ldc, e, MR, NV);
    rest.data += most * a->row;
    c += most * ldc;
    rows -= most;
  }
  gemm_tile(&rest, b, ldb, c, ldc, rows, cols, 0);
  finish_rows(c, ldc, e, rows, cols);
}

/* The greatest of a 2 x 2 window and, in `won`, which it is, or LOST where ReLU
 * let nothing through.  Tap by tap, as max_pool does it: the first of equals
 * wins, a NaN only as the first tap. */
enum { LOST = 4 };

INLINE void pool_taps(float *y, uint8_t *won, vf v0, vf v1, vf v2, vf v3,
                      int relu, const size_t n) {
  vf best2 = vmax(v1, v0), best3 = vmax(v2, best2), best = vmax(v3, best3);
  store_upto(y, best, n);
  if (won == NULL)
    return;
  vi at = (v1 > v0) & 1;
  at = vselect_int(v2 > best2, 2 - (vi){0}, at);
  at = vselect_int(v3 > best3, 3 - (vi){0}, at);
  if (relu)
    at = vselect_int(best > 0.0f, at, LOST - (vi){0});
  store_bytes(won, at, n);
}

struct pool_row {
  float *y;
  uint8_t *won;
  size_t pixel;
  const float *x;
  size_t row, out_width, channels;
};

INLINE void pool_columns(const struct pool_row *p, const struct epilogue *e,
                         size_t c, const size_t n, const enum clamp clamp) {
  const struct finish f = finish_of(e, c, n);
  for (size_t i = 0; i < p->out_width; i++) {
    const float *top = p->x + 2 * i * p->channels + c, *bottom = top + p->row;
    size_t at = i * p->pixel + c;
    pool_taps(p->y + at, p->won ? p->won + at : NULL,
              finish(&f, load_upto(top, n), clamp),
              finish(&f, load_upto(top + p->channels, n), clamp),
              finish(&f, load_upto(bottom, n), clamp),
              finish(&f, load_upto(bottom + p->channels, n), clamp),
              clamp != CLAMP_NONE, n);
  }
}

INLINE void pool_clamped(const struct pool_row *p, const struct epilogue *e,
                         const enum clamp clamp) {
  size_t c = 0;
  for (; c + VF <= p->channels; c += VF)
    pool_columns(p, e, c, VF, clamp);
  if (c < p->channels)
    pool_columns(p, e, c, p->channels - c, clamp);
}

static void finish_pool(float *y, uint8_t *won, size_t pixel, const float *x,
                        size_t row, const struct epilogue *e, size_t out_width,
                        size_t channels) {
  const struct pool_row p = {y, won, pixel, x, row, out_width, channels};
  switch (clamp_of(e)) {
  case CLAMP_RELU:
    pool_clamped(&p, e, CLAMP_RELU);
    break;
  case CLAMP_RELU6:
    pool_clamped(&p, e, CLAMP_RELU6);
    break;
  default:
    pool_clamped(&p, e, CLAMP_NONE);
  }
}

/* ---- Backward ------------------------------------------------------------ */

/* Element (y, x) of the plane, n <= VF channels from c on; zero outside.
 * `inside`: known to be within. */
INLINE vf fetch(const struct plane *s, ptrdiff_t y, ptrdiff_t x, size_t c,
                const size_t n, const int inside) {
  if (!inside &&
      (y < 0 || x < 0 || (size_t)y >= s->height || (size_t)x >= s->width))
    return (vf){0};
  if (s->won == NULL)
    return load_upto(
        s->x + ((size_t)y * s->width + (size_t)x) * s->channels + c, n);
  size_t py = (size_t)y / 2, px = (size_t)x / 2, pooled = s->width / 2;
  if (!inside && (py >= s->height / 2 || px >= pooled))
    return (vf){0};
  size_t at = (py * pooled + px) * s->channels + c;
  vi tap = (int32_t)((y & 1) * 2 + (x & 1)) - (vi){0};
  return vselect(load_bytes(s->won + at, n) == tap, load_upto(s->x + at, n),
                 (vf){0});
}

/* Whether all of the n x n window at (y, x) lies in what counts. */
INLINE int is_inside(const struct plane *s, ptrdiff_t y, ptrdiff_t x, int n) {
  size_t height = s->height, width = s->width;
  if (s->won != NULL) {
    height &= ~(size_t)1;
    width &= ~(size_t)1;
  }
  return y >= 0 && x >= 0 && (size_t)(y + n) <= height &&
         (size_t)(x + n) <= width;
}

INLINE void fetch_columns(float *dst, const struct plane *s, ptrdiff_t y,
                          ptrdiff_t x, size_t count, size_t c, const size_t n) {
  for (size_t i = 0; i < count; i++)
    store_upto(dst + i * s->channels + c,
               fetch(s, y, x + (ptrdiff_t)i, c, n, 0), n);
}

/* Pairs of pixels of row y from the even column x on, which share a window;
 * returns how many pixels that were. */
INLINE size_t fetch_pairs(float *dst, const struct plane *s, size_t y, size_t x,
                          size_t count, size_t c, const size_t n) {
  size_t channels = s->channels, pooled = s->width / 2;
  size_t pairs = count / 2, at = (y / 2 * pooled + x / 2) * channels + c;
  vi left = (int32_t)(y & 1) * 2 - (vi){0}, right = left + 1;
  if (pairs > pooled - x / 2)
    pairs = pooled - x / 2;
  for (size_t i = 0; i < pairs; i++, at += channels) {
    vf v = load_upto(s->x + at, n);
    vi won = load_bytes(s->won + at, n);
    float *to = dst + 2 * i * channels + c;
    store_upto(to, vselect(won == left, v, (vf){0}), n);
    store_upto(to + channels, vselect(won == right, v, (vf){0}), n);
  }
  return 2 * pairs;
}

/* n <= VF channels of a row: what comes before a window, windows, the rest. */
INLINE void fetch_channels(float *dst, const struct plane *s, ptrdiff_t y,
                           ptrdiff_t x, size_t count, size_t c,
                           const size_t n) {
  size_t done = 0, before = x < 0 ? (size_t)-x : (size_t)(x & 1);
  if (s->won != NULL && y >= 0 && (size_t)y / 2 < s->height / 2 &&
      before < count) {
    fetch_columns(dst, s, y, x, before, c, n);
    x += (ptrdiff_t)before;
    done = before;
    if ((size_t)x / 2 < s->width / 2) {
      size_t pairs = fetch_pairs(dst + done * s->channels, s, (size_t)y,
                                 (size_t)x, count - done, c, n);
      done += pairs;
      x += (ptrdiff_t)pairs;
    }
  }
  fetch_columns(dst + done * s->channels, s, y, x, count - done, c, n);
}

static void fetch_row(float *dst, const struct plane *s, ptrdiff_t y,
                      ptrdiff_t x, size_t count) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF)
    fetch_channels(dst, s, y, x, count, c, VF);
  if (c < s->channels)
    fetch_channels(dst, s, y, x, count, c, s->channels - c);
}

static void mask_lost(float *dy, const uint8_t *won, size_t count) {
  for (size_t i = 0; i < count; i += VF) {
    size_t n = count - i < VF ? count - i : VF;
    vi lost = load_bytes(won + i, n) == LOST;
    store_upto(dy + i, vselect(lost, (vf){0}, load_upto(dy + i, n)), n);
  }
}
