/* SPDX-License-Identifier: MIT */
/* Tests of lib/cpu.c: plain floating point inside, the caller's after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <float.h>

#include "base.h"

static void test_cpu__isa(void **state) {
  (void)state;
  assert_in_range(imgrec__cpu_isa(), IMGREC_ISA_SCALAR, IMGREC_ISA_NEON);
  assert_int_equal(imgrec__cpu_isa(), imgrec__cpu_isa());
}

static void test_cpu__rounding(void **state) {
  (void)state;
  volatile float one = 1, little = 0x1p-30f;
  fesetround(FE_UPWARD);
  volatile float upward = one + little;
  if (upward == one) { /* an emulated CPU, such as valgrind's */
    fesetround(FE_TONEAREST);
    skip();
  }
  uint64_t fp = imgrec__fp_enter();
  volatile float inside = one + little;
  imgrec__fp_leave(fp);
  volatile float after = one + little;
  fesetround(FE_TONEAREST);
  assert_true(inside == one);
  assert_true(after > one);
}

#if defined(__SSE2__)
#include <xmmintrin.h>

/* Flush to zero and denormals are zero. */
#define FTZ_DAZ 0x8040u

static void test_cpu__denormals(void **state) {
  (void)state;
  volatile float tiny = FLT_MIN, half = 0.5f;
  uint32_t before = _mm_getcsr();
  _mm_setcsr(before | FTZ_DAZ);
  volatile float flushed = tiny * half;
  if (flushed != 0) { /* an emulated CPU, such as valgrind's */
    _mm_setcsr(before);
    skip();
  }
  uint64_t fp = imgrec__fp_enter();
  volatile float inside = tiny * half;
  imgrec__fp_leave(fp);
  uint32_t after = _mm_getcsr();
  _mm_setcsr(before);
  assert_true(inside > 0);
  assert_int_equal(after & FTZ_DAZ, FTZ_DAZ);
}
#else
static void test_cpu__denormals(void **state) {
  (void)state;
  skip();
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cpu__isa),
      cmocka_unit_test(test_cpu__rounding),
      cmocka_unit_test(test_cpu__denormals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
