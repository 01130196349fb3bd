/* SPDX-License-Identifier: MIT */
/* What follows a convolution, applied to its sums in memory: rows, and windows
 * of a 2 x 2 max pooling (a part of passes.c). */

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

static void mask_lost(float *dy, const uint8_t *won, size_t count) {
  for (size_t i = 0; i < count; i += VF) {
    size_t n = count - i < VF ? count - i : VF;
    vi lost = load_bytes(won + i, n) == LOST;
    store_upto(dy + i, vselect(lost, (vf){0}, load_upto(dy + i, n)), n);
  }
}
