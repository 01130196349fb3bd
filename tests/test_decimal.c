/* SPDX-License-Identifier: MIT */
/* Tests of lib/decimal.c against the C library's strtof in the C locale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

static void check(const char *text) {
  float expected = strtof(text, NULL), x = 99;
  assert_true(imgrec__parse_float(text, strlen(text), &x));
  if (memcmp(&x, &expected, sizeof x) != 0)
    fail_msg("'%s' became %a, not %a", text, (double)x, (double)expected);
}

static void test_decimal__plain(void **state) {
  (void)state;
  const char *good[] = {"0",     "-0",  "1",      "+1.5", ".5",
                        "5.",    "1e3", "1E+3",   "2e-3", "0.1",
                        "00.10", "1e0", "0e9999", "0.0",  "123456789"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    check(good[i]);
}

/* At the ends of the range, and exactly between two floats. */
static void test_decimal__edges(void **state) {
  (void)state;
  const char *good[] = {
      "3.4028235e38",
      "340282346638528859811704183484516925440",
      "3.40282356779733661637539395458142568447e38",
      "1.1754943508222875e-38",
      "1.1754942e-38",
      "1.17549429e-38",
      "1e-45",
      "1.4e-45",
      "7.006492321624085354618e-46",
      "7.0064923216240853546186479164495806564013097093825788587853e-46",
      "7.0064923216240853546186479164495806564013097093825788587854e-46",
      "1e-46",
      "1e-60",
      "1e-99999999999999999999",
      "16777217",
      "16777217.0000000000000000000000000000000000000000000000001",
      "16777219",
      "9007199791611905",
      "1.00000005960464477539062500",
      "1.00000005960464477539062501",
      "1.00000005960464477539062499"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    check(good[i]);
}

/* The exact decimals of midpoints, and their neighbours. */
static void test_decimal__midpoints(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 20000; i++) {
    uint32_t bits = imgrec__random4(7, 0, i).v[0] & 0x7fffffff;
    float x, y;
    char text[256];
    if (bits >= 0x7f7fffff)
      continue;
    memcpy(&x, &bits, sizeof x);
    bits++;
    memcpy(&y, &bits, sizeof y);
    snprintf(text, sizeof text, "%.130e", ((double)x + (double)y) / 2);
    check(text);
    text[130] = (char)(text[130] == '9' ? '8' : text[130] + 1);
    check(text);
  }
}

static void test_decimal__random(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 50000; i++) {
    struct random4 r = imgrec__random4(8, 0, i);
    char text[64];
    snprintf(text, sizeof text, "%u.%ue%d", r.v[0] >> (r.v[3] & 31), r.v[1],
             (int)(r.v[2] % 75) - 48);
    float x = strtof(text, NULL), y;
    if (isinf(x))
      assert_false(imgrec__parse_float(text, strlen(text), &y));
    else
      check(text);
  }
}

static void test_decimal__many_digits(void **state) {
  (void)state;
  char text[3000];
  memset(text, '0', sizeof text);
  memcpy(text, "0.", 2);
  text[2000] = '1';
  memcpy(text + 2001, "e1999", 6);
  check(text);
  memset(text, '9', 2000);
  memcpy(text + 2000, "e-2000", 7);
  check(text);
  memset(text, '1', 2000);
  text[2000] = '\0';
  float x = 5;
  assert_false(imgrec__parse_float(text, 2000, &x));
  assert_true(x == 5);
}

static void test_decimal__refuses(void **state) {
  (void)state;
  const char *bad[] = {"",
                       "-",
                       "+",
                       ".",
                       "e5",
                       "1e",
                       "1e+",
                       "1e-",
                       "1e1.5",
                       "1..2",
                       "1 ",
                       " 1",
                       "inf",
                       "nan",
                       "0x1p3",
                       "1f",
                       "1,5",
                       "--1",
                       "1e39",
                       "-1e39",
                       "1e400",
                       "1e99999999999999999999",
                       "3.4028236e38"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    float x = 5;
    if (imgrec__parse_float(bad[i], strlen(bad[i]), &x))
      fail_msg("'%s' was taken for %a", bad[i], (double)x);
    assert_true(x == 5);
  }
}

static void test_decimal__stops_at_n(void **state) {
  (void)state;
  float x = 0;
  assert_true(imgrec__parse_float("1.25e7x", 4, &x));
  assert_true(x == 1.25f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decimal__plain),
      cmocka_unit_test(test_decimal__edges),
      cmocka_unit_test(test_decimal__midpoints),
      cmocka_unit_test(test_decimal__random),
      cmocka_unit_test(test_decimal__many_digits),
      cmocka_unit_test(test_decimal__refuses),
      cmocka_unit_test(test_decimal__stops_at_n),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
