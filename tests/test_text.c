/* SPDX-License-Identifier: MIT */
/* Tests of lib/text.c: growing strings, integers, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <float.h>
#include <locale.h>
#include <string.h>

#include "base.h"
#include "failing_alloc.h"

struct fixture {
  struct failing failing;
  struct allocator allocator;
};

static int setup(void **state) {
  static struct fixture f;
  f.failing = (struct failing){0};
  *state = &f;
  return imgrec__allocator_init(&f.allocator, failing_alloc, failing_free,
                                &f.failing, 0);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  imgrec__allocator_destroy(&f->allocator);
  return f->failing.live_blocks != 0;
}

static void test_text__grows(void **state) {
  struct fixture *f = *state;
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  assert_null(t.data);
  for (int i = 0; i < 1000; i++)
    imgrec__text_add(&t, "%d,", i);
  assert_false(t.failed);
  assert_int_equal(t.length, strlen(t.data));
  assert_int_equal(t.length, 10 * 2 + 90 * 3 + 900 * 4);
  assert_memory_equal(t.data, "0,1,2,3,4,5,6,7,8,9,10,", 23);
  assert_string_equal(t.data + t.length - 8, "998,999,");
  imgrec__text_free(&t);
  assert_null(t.data);
}

static void test_text__bytes_and_strings(void **state) {
  struct fixture *f = *state;
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  imgrec__text_string(&t, "ab");
  imgrec__text_bytes(&t, NULL, 0);
  imgrec__text_bytes(&t, "c\0d", 3);
  assert_int_equal(t.length, 5);
  assert_memory_equal(t.data, "abc\0d", 6);
  imgrec__text_free(&t);
}

static void test_text__failure_is_sticky(void **state) {
  struct fixture *f = *state;
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  imgrec__text_string(&t, "kept");
  f->failing.fail_at = f->failing.calls + 1;
  imgrec__text_add(&t, "%0500d", 1);
  assert_true(t.failed);
  imgrec__text_string(&t, "x");
  imgrec__text_float(&t, 1.0f);
  assert_string_equal(t.data, "kept");
  imgrec__text_free(&t);
  assert_false(t.failed);
}

static void test_text__failure_at_first(void **state) {
  struct fixture *f = *state;
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  f->failing.fail_at = 1;
  imgrec__text_string(&t, "x");
  assert_true(t.failed);
  assert_null(t.data);
  imgrec__text_free(&t);
}

static void check_float(struct fixture *f, float x, const char *expected) {
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  imgrec__text_float(&t, x);
  assert_string_equal(t.data, expected);
  imgrec__text_free(&t);
}

static void test_text__float_is_shortest(void **state) {
  check_float(*state, 0.0f, "0");
  check_float(*state, -0.0f, "-0");
  check_float(*state, 0.1f, "0.1");
  check_float(*state, 1.0f / 3, "0.33333334");
  check_float(*state, 16777216.0f, "16777216");
  check_float(*state, 1.0f / 255, "0.003921569");
  check_float(*state, -1e-7f, "-1e-07");
  check_float(*state, FLT_MAX, "3.4028235e+38");
  check_float(*state, 1e-45f, "1e-45");
}

/* The nearest of so many digits, whatever the caller's numbers round to. */
static void test_text__float_in_any_rounding(void **state) {
  const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  const float numbers[] = {1.0f / 3, -1e-7f, 0.0026f, 1.0f / 7};
  const char *wanted[] = {"0.33333334", "-1e-07", "0.0026", "0.14285715"};
  struct fixture *f = *state;
  for (size_t i = 0; i < 3 * 4; i++) {
    struct text t;
    imgrec__text_init(&t, &f->allocator);
    fesetround(modes[i / 4]);
    imgrec__text_float(&t, numbers[i % 4]);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    assert_int_equal(mode, modes[i / 4]);
    assert_string_equal(t.data, wanted[i % 4]);
    imgrec__text_free(&t);
  }
}

static void test_text__float_round_trip(void **state) {
  struct fixture *f = *state;
  struct text t;
  imgrec__text_init(&t, &f->allocator);
  for (uint64_t i = 0; i < 50000; i++) {
    uint32_t bits = imgrec__random4(1, 2, i).v[0];
    float x, back = 0;
    if ((bits & 0x7f800000) == 0x7f800000)
      continue;
    memcpy(&x, &bits, sizeof x);
    t.length = 0;
    imgrec__text_float(&t, x);
    assert_true(imgrec__parse_float(t.data, t.length, &back));
    assert_memory_equal(&back, &x, sizeof x);
  }
  imgrec__text_free(&t);
}

static void test_text__float_in_a_locale_with_comma(void **state) {
  const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                         "fr_FR.utf8"};
  const char *set = NULL;
  for (size_t i = 0; i < 4 && set == NULL; i++)
    set = setlocale(LC_NUMERIC, names[i]);
  if (set == NULL)
    skip();
  check_float(*state, 0.5f, "0.5");
  float x = 0;
  assert_true(imgrec__parse_float("0.25", 4, &x));
  assert_true(x == 0.25f);
  assert_false(imgrec__parse_float("0,25", 4, &x));
  setlocale(LC_NUMERIC, "C");
}

static void test_text__parse_int(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } good[] = {{"0", 0},
              {"-0", 0},
              {"007", 7},
              {"-12", -12},
              {"9223372036854775807", INT64_MAX},
              {"-9223372036854775808", INT64_MIN},
              {"0000000000000000000000001", 1}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    int64_t x = 99;
    assert_true(imgrec__parse_int(good[i].text, strlen(good[i].text), &x));
    assert_true(x == good[i].value);
  }
}

static void test_text__parse_int_refuses(void **state) {
  (void)state;
  const char *bad[] = {"",
                       "-",
                       "+1",
                       " 1",
                       "1 ",
                       "1.0",
                       "1e3",
                       "0x10",
                       "--1",
                       "a",
                       "9223372036854775808",
                       "-9223372036854775809",
                       "18446744073709551617",
                       "99999999999999999999999"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int64_t x = 99;
    assert_false(imgrec__parse_int(bad[i], strlen(bad[i]), &x));
    assert_true(x == 99);
  }
}

static void test_text__utf8_valid(void **state) {
  (void)state;
  const char *good[] = {"",
                        "plain",
                        "\xc2\x80",
                        "\xdf\xbf",
                        "\xe0\xa0\x80",
                        "\xed\x9f\xbf",
                        "\xee\x80\x80",
                        "\xef\xbf\xbf",
                        "\xf0\x90\x80\x80",
                        "\xf4\x8f\xbf\xbf",
                        "a\xc3\xa9z"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_true(imgrec__utf8_valid(good[i], strlen(good[i])));
}

static void test_text__utf8_refuses(void **state) {
  (void)state;
  const char *bad[] = {"\x80",
                       "\xbf",
                       "\xc0\x80",
                       "\xc1\xbf",
                       "\xc2",
                       "\xc2\x41",
                       "\xe0\x9f\xbf",
                       "\xe1\x80",
                       "\xe1\x80\x41",
                       "\xed\xa0\x80",
                       "\xf0\x8f\xbf\xbf",
                       "\xf1\x80\x80",
                       "\xf4\x90\x80\x80",
                       "\xf5\x80\x80\x80",
                       "\xff",
                       "a\xfe"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(imgrec__utf8_valid(bad[i], strlen(bad[i])));
  assert_false(imgrec__utf8_valid("a\0b", 3));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_text__grows),
      CASE(test_text__bytes_and_strings),
      CASE(test_text__failure_is_sticky),
      CASE(test_text__failure_at_first),
      CASE(test_text__float_is_shortest),
      CASE(test_text__float_in_any_rounding),
      CASE(test_text__float_round_trip),
      CASE(test_text__float_in_a_locale_with_comma),
      CASE(test_text__parse_int),
      CASE(test_text__parse_int_refuses),
      CASE(test_text__utf8_valid),
      CASE(test_text__utf8_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
