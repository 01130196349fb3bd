/* SPDX-License-Identifier: MIT */
/* exp, log, tanh and the like on vectors, from + - * / fma and integer
 * operations on bits only, so that they are the same everywhere.  Coefficients
 * are Chebyshev fits of our own; the bounds below are tested over a dense
 * sweep against libm's doubles. */
#ifndef IMGREC_VMATH_H
#define IMGREC_VMATH_H

#include "simd.h"

#define LN2_HIGH 0x1.62e43p-1f /* ln 2 = LN2_HIGH + LN2_LOW */
#define LN2_LOW  -0x1.05c61p-29f
#define LOG2_E   0x1.715476p+0f
/* Adding this to a small number leaves the nearest integer in the low bits. */
#define ROUNDER 0x1.8p23f
/* exp of this is just above the least normal number. */
#define EXP_LEAST -87.3365f
/* Less than this adds nothing to 1; it is taken for 0 where it is only added,
 * as sums and products of denormal numbers may take many times as long. */
#define FAINT 0x1p-40f

INLINE vf without_faint(vf x) { return vselect(vabs(x) < FAINT, (vf){0}, x); }

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) */
INLINE vf polynomial(vf x, const float *c, int n) {
  vf y = splat(c[n - 1]);
  UNROLL
  for (int i = n - 2; i >= 0; i--)
    y = vfma(y, x, splat(c[i]));
  return y;
}

/* Where fused multiply-adds are calls, so is this. */
#if ISA_NUMBER == 1
#define VEXP static __attribute__((noinline, unused))
#else
#define VEXP INLINE
#endif

/* Error <= 1.1 ulp.  0 below EXP_LEAST (no denormal results), infinity from
 * 88.72284 on.  exp(x) = 2^n exp(r), |r| <= ln 2 / 2; 2^n in two factors, as n
 * may be 128. */
VEXP vf vexp(vf x) {
  static const float c[] = {0.5f, 0.16666576266288757f, 0.041666556149721146f,
                            0.008363178931176662f, 0.0013926184037700295f};
  /* The order of the operands lets a NaN through. */
  vf bounded = vmin(splat(89.0f), vmax(splat(EXP_LEAST), without_faint(x)));
  vf t = vfma(bounded, splat(LOG2_E), splat(ROUNDER));
  vf n = t - ROUNDER;
  vf r = vfma(n, splat(-LN2_HIGH), bounded);
  r = vfma(n, splat(-LN2_LOW), r);
  vf y = vfma(r * r, polynomial(r, c, 5), r) + 1.0f;
  vi whole = (vi)((vu)t - (vu)splat(ROUNDER));
  vi half = whole >> 1;
  vf scale = (vf)(((vu)half + 127u) << 23);
  vf scale2 = (vf)(((vu)(whole - half) + 127u) << 23);
  return vselect(x < EXP_LEAST, (vf){0}, y * scale * scale2);
}

/* Error <= 0.9 ulp.  -infinity for zero and for denormals (which count as
 * zero), NaN below.  log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt 1/2,
 * sqrt 2). */
INLINE vf vlog(vf x) {
  static const float c[] = {
      0.3333333134651184f,  -0.2499999701976776f,  0.20000715553760529f,
      -0.1666780263185501f, 0.14249058067798615f,  -0.12425687164068222f,
      0.11685419827699661f, -0.11479733884334564f, 0.06971611827611923f};
  const uint32_t root_half = 0x3f3504f3u;
  vi exponent = (vi)((vu)x - root_half) >> 23;
  vf e = __builtin_convertvector(exponent, vf);
  vf f = (vf)((vu)x - ((vu)exponent << 23)) - 1.0f;
  vf square = f * f;
  vf y = vfma(e, splat(LN2_LOW), square * f * polynomial(f, c, 9));
  y = vfma(square, splat(-0.5f), y) + f;
  y = vfma(e, splat(LN2_HIGH), y);
  y = vselect(x < FLT_MIN, splat(-__builtin_inff()), y);
  y = vselect(x < 0.0f, splat(__builtin_nanf("")), y);
  return vselect(x <= FLT_MAX, y, x);
}

/* Error <= 1.4 ulp.  Odd; 1 from about 9.01 on. */
INLINE vf vtanh(vf x) {
  static const float c[] = {-0.333333283662796f, 0.1333276927471161f,
                            -0.05385090783238411f, 0.020997179672122f,
                            -0.006096714176237583f};
  vf a = vabs(x), b = without_faint(a), z = b * b;
  vf near = vfma(b * z, polynomial(z, c, 5), a);
  vf far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
  vu y = (vu)vselect(a < 0.625f, near, far);
  return (vf)(y | ((vu)x & 0x80000000u));
}

/* 1 / (1 + exp(-x)).  Error <= 2.6 ulp; 0 below EXP_LEAST. */
INLINE vf vsigmoid(vf x) {
  return vselect(x < EXP_LEAST, (vf){0}, 1.0f / (1.0f + vexp(-x)));
}

/* The normal distribution function, (1 + erf(x / sqrt 2)) / 2, with error
 * <= 2.5e-7; *bell is exp(-x^2 / 2).  For negative x it is bell * P(t), t = 1 /
 * (1 + p |x|), the form of Hastings (1955), with coefficients of our own. */
INLINE vf vnormal(vf x, vf *bell) {
  static const float c[] = {
      0.13068662583827972f, 0.13082264363765717f,  0.11470560729503632f,
      0.10290015488862991f, -0.00669686496257782f, 0.1476542204618454f,
      -0.1893479973077774f, 0.08071977645158768f,  -0.011444119736552238f};
  vf y = without_faint(x);
  vf t = 1.0f / vfma(vabs(y), splat(0.3275911f), splat(1.0f));
  *bell = vexp(y * y * -0.5f);
  vf tail = *bell * (t * polynomial(t, c, 9));
  return vselect(x < 0.0f, tail, 1.0f - tail);
}

/* Error <= 5e-7. */
INLINE vf verf(vf x) {
  vf bell;
  vf y = vnormal(x * 0x1.6a09e6p+0f, &bell);
  return y + y - 1.0f;
}

#endif
