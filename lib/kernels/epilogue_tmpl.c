/* SPDX-License-Identifier: MIT */
/* What follows a convolution, applied on the way to memory: scale and shift of
 * each channel, ReLU, 2 x 2 max pooling; and the way back (a part of isa.c). */

/* ---- Forward ------------------------------------------------------------- */

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

/* A few tiles at a time, which are finished while they are near. */
static void gemm_tile_finished(const struct left *a, const float *b, size_t ldb,
                               float *c, size_t ldc, size_t rows, size_t cols,
                               const struct epilogue *e) {
  enum { NEAR = 8 * MR };
  struct left rest = *a;
  while (rows > 0) {
    size_t now = rows >= 2 * NEAR ? (size_t)NEAR : rows;
    gemm_tile(&rest, b, ldb, c, ldc, now, cols, 0);
    finish_rows(c, ldc, e, now, cols);
    rest.data += now * a->row;
    c += now * ldc;
    rows -= now;
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

/* Where fetched pixels go, `step` floats apart: `kept` of the n <= VF channels
 * from c on, which are followed by zeros. */
struct fetched {
  float *to;
  size_t step, c, n, kept;
};

static void fetch_columns(struct fetched *f, const struct plane *s, ptrdiff_t y,
                          ptrdiff_t x, size_t count) {
  for (; count > 0; count--, x++, f->to += f->step)
    store_upto(f->to, fetch(s, y, x, f->c, f->n, 0), f->kept);
}

/* Pairs of pixels of row y from the even column x on, which share a window;
 * returns how many pixels that were. */
INLINE size_t fetch_pairs(struct fetched *f, const struct plane *s, size_t y,
                          size_t x, size_t count) {
  size_t channels = s->channels, pooled = s->width / 2;
  size_t pairs = count / 2, at = (y / 2 * pooled + x / 2) * channels + f->c;
  vi left = (int32_t)(y & 1) * 2 - (vi){0}, right = left + 1;
  if (pairs > pooled - x / 2)
    pairs = pooled - x / 2;
  for (size_t i = 0; i < pairs; i++, at += channels, f->to += 2 * f->step) {
    vf v = load_upto(s->x + at, f->n);
    vi won = load_bytes(s->won + at, f->n);
    store_upto(f->to, vselect(won == left, v, (vf){0}), f->kept);
    store_upto(f->to + f->step, vselect(won == right, v, (vf){0}), f->kept);
  }
  return 2 * pairs;
}

/* `count` pixels of a row: what comes before a window, windows, the rest. */
static void fetch_pixels(struct fetched f, const struct plane *s, ptrdiff_t y,
                         ptrdiff_t x, size_t count) {
  size_t before = x < 0 ? (size_t)-x : (size_t)(x & 1);
  if (s->won != NULL && y >= 0 && (size_t)y / 2 < s->height / 2 &&
      before < count) {
    fetch_columns(&f, s, y, x, before);
    x += (ptrdiff_t)before;
    count -= before;
    if ((size_t)x / 2 < s->width / 2) {
      size_t done = fetch_pairs(&f, s, (size_t)y, (size_t)x, count);
      x += (ptrdiff_t)done;
      count -= done;
    }
  }
  fetch_columns(&f, s, y, x, count);
}

static void fetch_row(float *dst, const struct plane *s, ptrdiff_t y,
                      ptrdiff_t x, size_t count) {
  for (size_t c = 0; c < s->channels; c += VF) {
    size_t n = s->channels - c < VF ? s->channels - c : VF;
    fetch_pixels((struct fetched){dst + c, s->channels, c, n, n}, s, y, x,
                 count);
  }
}
