/* SPDX-License-Identifier: MIT */
/* The vector functions of lib/kernels/vmath.h against libm's doubles, over
 * dense sweeps, and the fused multiply-add that they stand on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define IMGREC_ISA scalar
#include "kernels/vmath.h"

typedef vf (*vector_fn)(vf x);
typedef double (*double_fn)(double x);

static float of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

static float at(vector_fn f, float x) { return f(splat(x))[0]; }

static vf normal_of(vf x) {
  vf bell;
  return vnormal(x, &bell);
}

static double normal(double x) { return 0.5 * erfc(-x / sqrt(2.0)); }
static double logistic(double x) { return 1.0 / (1.0 + exp(-x)); }

/* The distance to the right value in units of the last place of a float of
 * that size. */
static double ulps(float got, double want) {
  int exponent;
  frexp(want, &exponent);
  return fabs((double)got - want) / ldexp(1.0, exponent - 24);
}

/* Every `step`-th float from low to high, which have the same sign. */
static double worst_ulps(vector_fn f, double_fn ref, float low, float high,
                         uint32_t step) {
  uint32_t a = bits_of(low), b = bits_of(high);
  uint32_t first = a < b ? a : b, last = a < b ? b : a;
  double worst = 0.0;
  for (uint32_t i = first; i <= last - step; i += step) {
    double e = ulps(at(f, of_bits(i)), ref(of_bits(i)));
    worst = e > worst ? e : worst;
  }
  return worst;
}

static double worst_error(vector_fn f, double_fn ref, double low, double high) {
  const int steps = 400000;
  double worst = 0.0;
  for (int i = 0; i <= steps; i++) {
    float x = (float)(low + (high - low) * i / steps);
    double e = fabs((double)at(f, x) - ref(x));
    worst = e > worst ? e : worst;
  }
  return worst;
}

static void assert_ulps(vector_fn f, double_fn ref, float low, float high,
                        double bound) {
  double worst = worst_ulps(f, ref, low, high, 1009);
  if (worst > bound)
    fail_msg("%g ulps in [%g, %g], stated are %g", worst, (double)low,
             (double)high, bound);
}

static void test_vmath__exp(void **state) {
  (void)state;
  assert_ulps(vexp, exp, 1e-30f, 88.722f, 1.1);
  assert_ulps(vexp, exp, -87.336f, -1e-30f, 1.1);
  assert_true(at(vexp, 0.0f) == 1.0f);
  assert_true(at(vexp, -0.0f) == 1.0f);
}

static void test_vmath__exp_ends(void **state) {
  (void)state;
  assert_true(at(vexp, -INFINITY) == 0.0f);
  assert_true(at(vexp, -1e30f) == 0.0f);
  assert_true(at(vexp, -87.34f) == 0.0f);
  assert_true(at(vexp, EXP_LEAST) >= FLT_MIN);
  assert_true(at(vexp, 88.72283f) < INFINITY);
  assert_true(at(vexp, 88.72284f) == INFINITY);
  assert_true(at(vexp, 1e30f) == INFINITY);
  assert_true(at(vexp, INFINITY) == INFINITY);
  assert_true(isnan(at(vexp, NAN)));
}

static void test_vmath__log(void **state) {
  (void)state;
  assert_ulps(vlog, log, FLT_MIN, 0.99f, 0.9);
  assert_ulps(vlog, log, 0.99f, 0.9999999f, 0.9);
  assert_ulps(vlog, log, 1.0000001f, FLT_MAX, 0.9);
  assert_true(at(vlog, 1.0f) == 0.0f);
  assert_true(at(vlog, 0.0f) == -INFINITY);
  assert_true(at(vlog, -0.0f) == -INFINITY);
  assert_true(at(vlog, FLT_MIN / 2.0f) == -INFINITY);
  assert_true(at(vlog, INFINITY) == INFINITY);
  assert_true(isnan(at(vlog, -1.0f)));
  assert_true(isnan(at(vlog, NAN)));
}

static void test_vmath__tanh(void **state) {
  (void)state;
  assert_ulps(vtanh, tanh, 1e-30f, 12.0f, 1.4);
  assert_ulps(vtanh, tanh, -12.0f, -1e-30f, 1.4);
  assert_true(at(vtanh, 100.0f) == 1.0f);
  assert_true(at(vtanh, -INFINITY) == -1.0f);
  assert_true(signbit(at(vtanh, -0.0f)));
  assert_true(isnan(at(vtanh, NAN)));
}

static void test_vmath__sigmoid(void **state) {
  (void)state;
  assert_ulps(vsigmoid, logistic, 1e-30f, 100.0f, 2.6);
  assert_ulps(vsigmoid, logistic, -87.336f, -1e-30f, 2.6);
  assert_true(at(vsigmoid, 0.0f) == 0.5f);
  assert_true(at(vsigmoid, -88.0f) == 0.0f);
  assert_true(at(vsigmoid, -INFINITY) == 0.0f);
  assert_true(at(vsigmoid, INFINITY) == 1.0f);
  assert_true(isnan(at(vsigmoid, NAN)));
}

static void test_vmath__normal_and_erf(void **state) {
  (void)state;
  double normal_error = worst_error(normal_of, normal, -14.0, 14.0);
  double erf_error = worst_error(verf, erf, -6.0, 6.0);
  if (normal_error > 2.5e-7 || erf_error > 5e-7)
    fail_msg("normal %g, erf %g", normal_error, erf_error);
  assert_true(at(normal_of, INFINITY) == 1.0f);
  assert_true(at(normal_of, -INFINITY) == 0.0f);
  assert_true(isnan(at(normal_of, NAN)));
}

/* Neighbouring lanes must not see each other. */
static void test_vmath__lanes_are_independent(void **state) {
  (void)state;
  vf x = {0.5f, NAN, -INFINITY, 3.0f};
  vf y = vexp(x);
  assert_true(y[0] == at(vexp, 0.5f));
  assert_true(isnan(y[1]));
  assert_true(y[2] == 0.0f);
  assert_true(y[3] == at(vexp, 3.0f));
}

/* ---- Fused multiply-add ------------------------------------------------- */

static void assert_fma(float a, float b, float c) {
  float got = vfma(splat(a), splat(b), splat(c))[0];
  float want = fmaf(a, b, c);
  if (bits_of(got) != bits_of(want) && !(isnan(got) && isnan(want)))
    fail_msg("fma(%a, %a, %a) is %a and not %a", (double)a, (double)b,
             (double)c, (double)got, (double)want);
}

static void test_vmath__fma_any_floats(void **state) {
  uint64_t seed = 1;
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    float a = of_bits(next_random(&seed)), b = of_bits(next_random(&seed));
    assert_fma(a, b, of_bits(next_random(&seed)));
  }
}

/* Summands of all distances, and few bits, so that sums fall on or beside the
 * middle of two floats: where rounding twice goes wrong. */
static void test_vmath__fma_near_halfway(void **state) {
  uint64_t seed = 2;
  (void)state;
  for (int i = 0; i < 1000000; i++) {
    uint32_t r = next_random(&seed);
    float a = 1.0f + ldexpf((float)(r & 3), -(int)(r >> 2 & 31) % 24);
    float b = 1.0f + ldexpf((float)(r >> 7 & 3), -(int)(r >> 9 & 31) % 24);
    float c =
        ldexpf((float)((int)(r >> 14 & 7) - 4), (int)(r >> 17 & 127) - 64);
    assert_fma(a, b, c);
    assert_fma(-a, b, c);
    assert_fma(ldexpf(a, -75), ldexpf(b, -74), ldexpf(c, -126));
  }
}

static void test_vmath__fma_special(void **state) {
  static const float special[] = {0.0f,     -0.0f,     1.0f,   -1.0f,
                                  INFINITY, -INFINITY, NAN,    FLT_MAX,
                                  -FLT_MAX, FLT_MIN,   1e-45f, -1e-45f};
  const size_t n = sizeof special / sizeof *special;
  (void)state;
  for (size_t i = 0; i < n * n * n; i++)
    assert_fma(special[i % n], special[i / n % n], special[i / n / n]);
}

static void test_vmath__flush(void **state) {
  (void)state;
  assert_true(at(flush, FLT_MIN) == FLT_MIN);
  assert_true(at(flush, -FLT_MIN) == -FLT_MIN);
  assert_int_equal(bits_of(at(flush, FLT_MIN / 2)), 0);
  assert_int_equal(bits_of(at(flush, -1e-45f)), 0);
  assert_true(at(flush, -INFINITY) == -INFINITY);
  assert_true(isnan(at(flush, NAN)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vmath__exp),
      cmocka_unit_test(test_vmath__exp_ends),
      cmocka_unit_test(test_vmath__log),
      cmocka_unit_test(test_vmath__tanh),
      cmocka_unit_test(test_vmath__sigmoid),
      cmocka_unit_test(test_vmath__normal_and_erf),
      cmocka_unit_test(test_vmath__lanes_are_independent),
      cmocka_unit_test(test_vmath__fma_any_floats),
      cmocka_unit_test(test_vmath__fma_near_halfway),
      cmocka_unit_test(test_vmath__fma_special),
      cmocka_unit_test(test_vmath__flush),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
