/* SPDX-License-Identifier: MIT */
/* Tests of lib/rng.c: known answers, ranges, distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base.h"

static void check_kat(uint64_t seed, uint64_t stream, uint64_t index,
                      const uint32_t expected[4]) {
  struct random4 r = imgrec__random4(seed, stream, index);
  assert_memory_equal(r.v, expected, sizeof r.v);
}

/* The vectors that the authors of Philox publish for philox4x32-10. */
static void test_rng__known_answers(void **state) {
  (void)state;
  const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const uint32_t ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  const uint32_t pi[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  check_kat(0, 0, 0, zeros);
  check_kat(UINT64_MAX, UINT64_MAX, UINT64_MAX, ones);
  check_kat(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, pi);
}

static void test_rng__unit(void **state) {
  (void)state;
  double sum = 0, squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; i++) {
    float x = imgrec__random_unit(3, 4, (uint64_t)i);
    assert_true(x >= 0 && x < 1);
    assert_true(x * 0x1p24f == (float)(int)(x * 0x1p24f));
    sum += x;
    squares += (double)x * x;
  }
  assert_true(sum / n > 0.497 && sum / n < 0.503);
  assert_true(squares / n > 0.330 && squares / n < 0.337);
}

static void test_rng__below_is_uniform(void **state) {
  (void)state;
  int counts[7] = {0};
  for (uint64_t i = 0; i < 70000; i++) {
    uint64_t x = imgrec__random_below(3, 4, i, 7);
    assert_true(x < 7);
    counts[x]++;
  }
  for (int i = 0; i < 7; i++)
    assert_in_range(counts[i], 9700, 10300);
}

static void test_rng__below_extremes(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 100; i++)
    assert_true(imgrec__random_below(3, 4, i, 1) == 0);
  /* Nearly every second draw is rejected; without that the lower half would
   * come up twice as often. */
  const uint64_t n = ((uint64_t)1 << 63) + 1;
  int low = 0;
  for (uint64_t i = 0; i < 10000; i++) {
    uint64_t x = imgrec__random_below(3, 4, i, n);
    assert_true(x < n);
    low += x < n / 2;
  }
  assert_in_range(low, 4800, 5200);
}

/* The variance of a standard normal cut at two sigma is 0.77374. */
static void test_rng__normal2(void **state) {
  (void)state;
  const int n = 200000;
  double sum = 0, squares = 0;
  int inner = 0;
  for (int i = 0; i < n; i++) {
    float x = imgrec__random_normal2(5, 6, (uint64_t)i);
    assert_true(x > -2 && x < 2);
    sum += x;
    squares += (double)x * x;
    inner += x > -1 && x < 1;
  }
  assert_true(sum / n > -0.008 && sum / n < 0.008);
  assert_true(squares / n > 0.769 && squares / n < 0.779);
  /* 0.682689 / 0.954500 = 0.715233 */
  assert_true(inner > 0.712 * n && inner < 0.7185 * n);
}

/* Computed by this code; they pin the bits on every machine. */
static void test_rng__normal2_bits(void **state) {
  (void)state;
  const char *bits[] = {"-0x1.b61046p+0", "-0x1.1afa8cp-1", "0x1.5c61d6p+0",
                        "0x1.894582p+0"};
  for (uint64_t i = 0; i < 4; i++) {
    float x = imgrec__random_normal2(1, IMGREC__STREAM_WEIGHTS, i);
    float expected = strtof(bits[i], NULL);
    assert_memory_equal(&x, &expected, sizeof x);
  }
}

static void test_rng__streams_differ(void **state) {
  (void)state;
  const uint64_t streams[] = {0,
                              1,
                              IMGREC__STREAM_WEIGHTS,
                              IMGREC__STREAM_DROPOUT,
                              IMGREC__STREAM_SHUFFLE,
                              IMGREC__STREAM_SPLIT};
  for (size_t i = 0; i < 6; i++)
    for (size_t j = 0; j < i; j++) {
      struct random4 x = imgrec__random4(9, streams[i], 0);
      struct random4 y = imgrec__random4(9, streams[j], 0);
      assert_memory_not_equal(x.v, y.v, sizeof x.v);
    }
}

static void test_rng__permutation(void **state) {
  (void)state;
  enum { N = 1000 };
  static int64_t p[N], q[N];
  static int seen[N];
  int fixed = 0;
  imgrec__random_permutation(p, N, 1, 2);
  imgrec__random_permutation(q, N, 1, 2);
  assert_memory_equal(p, q, sizeof p);
  imgrec__random_permutation(q, N, 1, 3);
  assert_memory_not_equal(p, q, sizeof p);
  for (int i = 0; i < N; i++) {
    assert_in_range(p[i], 0, N - 1);
    seen[p[i]]++;
    fixed += p[i] == i;
  }
  for (int i = 0; i < N; i++)
    assert_int_equal(seen[i], 1);
  assert_true(fixed < 10);
}

static void test_rng__permutation_of_few(void **state) {
  (void)state;
  int counts[6] = {0};
  int64_t p[3] = {-1, -1, -1};
  imgrec__random_permutation(p, 0, 1, 2);
  assert_int_equal(p[0], -1);
  imgrec__random_permutation(p, 1, 1, 2);
  assert_int_equal(p[0], 0);
  for (uint64_t seed = 0; seed < 6000; seed++) {
    imgrec__random_permutation(p, 3, seed, 0);
    counts[p[0] * 2 + (p[1] > p[2])]++;
  }
  for (int i = 0; i < 6; i++)
    assert_in_range(counts[i], 880, 1120);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rng__known_answers),
      cmocka_unit_test(test_rng__unit),
      cmocka_unit_test(test_rng__below_is_uniform),
      cmocka_unit_test(test_rng__below_extremes),
      cmocka_unit_test(test_rng__normal2),
      cmocka_unit_test(test_rng__normal2_bits),
      cmocka_unit_test(test_rng__streams_differ),
      cmocka_unit_test(test_rng__permutation),
      cmocka_unit_test(test_rng__permutation_of_few),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
