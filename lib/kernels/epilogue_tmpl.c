/* SPDX-License-Identifier: MIT */
/* What follows a convolution: scale and shift of each channel, ReLU, 2 x 2 max
 * pooling (a part of isa.c). */

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

/* ---- On sums in memory --------------------------------------------------- */

INLINE void finish_columns(float *y, size_t row, const struct epilogue *e,
                           size_t rows, size_t c, const enum clamp clamp) {
  for (size_t i = 0; i < c; i += VF, y += VF) {
    const size_t n = c - i < VF ? c - i : VF;
    const struct finish f = finish_of(e, i, n);
    float *at = y;
    for (size_t r = 0; r < rows; r++, at += row)
      store_upto(at, finish(&f, load_upto(at, n), clamp), n);
  }
}

static void finish_rows(float *y, size_t row, const struct epilogue *e,
                        size_t rows, size_t c) {
  if (ISA_NUMBER > 1 && clamp_of(e) == CLAMP_RELU)
    finish_columns(y, row, e, rows, c, CLAMP_RELU);
  else
    finish_columns(y, row, e, rows, c, clamp_of(e));
}

/* ---- 2 x 2 behind a convolution ----------------------------------------- */

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

static void finish_pool(float *y, uint8_t *won, size_t pixel, const float *x,
                        size_t row, const struct epilogue *e, size_t out_width,
                        size_t channels) {
  const struct pool_row p = {y, won, pixel, x, row, out_width, channels};
  const enum clamp clamp = clamp_of(e);
  size_t c = 0;
  for (; ISA_NUMBER > 1 && clamp == CLAMP_RELU && c + VF <= channels; c += VF)
    pool_columns(&p, e, c, VF, CLAMP_RELU);
  for (; c < channels; c += VF)
    pool_columns(&p, e, c, channels - c < VF ? channels - c : VF, clamp);
}

INLINE void mask_part(float *dy, const uint8_t *won, const size_t n) {
  vi lost = load_bytes(won, n) == LOST;
  store_upto(dy, vselect(lost, (vf){0}, load_upto(dy, n)), n);
}

static void mask_lost(float *dy, const uint8_t *won, size_t count) {
  size_t i = 0;
  for (; i + VF <= count; i += VF)
    mask_part(dy + i, won + i, VF);
  if (i < count)
    mask_part(dy + i, won + i, count - i);
}
