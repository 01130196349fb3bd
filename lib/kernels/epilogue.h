/* SPDX-License-Identifier: MIT */
/* What follows a convolution, on vectors: scale and shift of each channel,
 * ReLU, 2 x 2 max pooling. */
#ifndef IMGREC_EPILOGUE_H
#define IMGREC_EPILOGUE_H

#include "kernels.h"
#include "simd.h"

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

#endif
