/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/score.c: intervals, scores of classes, bins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "train/train.h"

static int near(double a, double b) { return fabs(a - b) < 1e-9; }

/* The formula, computed by Python 3.11. */
static void test_score__wilson(void **state) {
  static const struct {
    int64_t right, images;
    double low, high;
  } golden[] = {
      {8, 10, 0.4901624715, 0.9433178485},
      {0, 10, 0, 0.2775327999},
      {10, 10, 0.7224672001, 1},
      {9950, 10000, 0.9934147427, 0.9962050989},
      {1, 2, 0.0945312057, 0.9054687943},
  };
  double interval[2];
  (void)state;
  for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
    imgrec_wilson_interval(golden[i].right, golden[i].images, interval);
    assert_true(fabs(interval[0] - golden[i].low) < 1e-9);
    assert_true(fabs(interval[1] - golden[i].high) < 1e-9);
  }
  imgrec_wilson_interval(0, 0, interval);
  assert_true(interval[0] == 0 && interval[1] == 1);
}

/* Class 2 has no images, class 3 is never the answer. */
static const int64_t confusion[4][4] = {
    {6, 1, 1, 0}, {2, 4, 0, 0}, {0, 0, 0, 0}, {1, 1, 0, 0}};

static void test_score__classes(void **state) {
  imgrec_class_score s[4], macro;
  (void)state;
  assert_int_equal(imgrec_confusion_scores(s, &macro, confusion[0], 4), 0);
  assert_int_equal(s[0].images, 8);
  assert_int_equal(s[0].answers, 9);
  assert_int_equal(s[0].right, 6);
  assert_true(near(s[0].precision, 6.0 / 9) && near(s[0].recall, 6.0 / 8));
  assert_true(near(s[0].f1, 12.0 / 17));
  assert_true(isnan(s[2].recall) && s[2].precision == 0 && s[2].f1 == 0);
  assert_true(isnan(s[3].precision) && s[3].recall == 0 && s[3].f1 == 0);
  assert_int_equal(macro.images, 16);
  assert_int_equal(macro.answers, 16);
  assert_int_equal(macro.right, 10);
  assert_true(near(macro.precision, (6.0 / 9 + 4.0 / 6) / 3));
  assert_true(near(macro.recall, (6.0 / 8 + 4.0 / 6) / 3));
  assert_true(near(macro.f1, (12.0 / 17 + 8.0 / 12) / 3));
}

static void test_score__either_alone(void **state) {
  imgrec_class_score s[4], macro, both[4], both_macro;
  (void)state;
  imgrec_confusion_scores(both, &both_macro, confusion[0], 4);
  assert_int_equal(imgrec_confusion_scores(s, NULL, confusion[0], 4), 0);
  assert_int_equal(imgrec_confusion_scores(NULL, &macro, confusion[0], 4), 0);
  assert_memory_equal(s, both, sizeof s);
  assert_memory_equal(&macro, &both_macro, sizeof macro);
  assert_int_equal(imgrec_confusion_scores(s, NULL, NULL, 4),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_confusion_scores(s, NULL, confusion[0], 0),
                   IMGREC_ERR_ARGUMENT);
}

static void test_score__no_images(void **state) {
  static const int64_t none[4];
  imgrec_class_score macro;
  (void)state;
  imgrec_confusion_scores(NULL, &macro, none, 2);
  assert_true(isnan(macro.precision) && isnan(macro.recall) && isnan(macro.f1));
}

/* Three images of one bin, two of another: 3/5 |2/3 - 0.9| + 2/5 |0 - 0.5|. */
static void test_score__calibration_error(void **state) {
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  (void)state;
  memset(bins, 0, sizeof bins);
  assert_true(imgrec__calibration_error(bins) == 0);
  imgrec__reliability_add(bins, 0.875F, 1);
  imgrec__reliability_add(bins, 0.9F, 0);
  imgrec__reliability_add(bins, 0.925F, 1);
  imgrec__reliability_add(bins, 0.5F, 0);
  imgrec__reliability_add(bins, 0.5F, 0);
  imgrec__reliability_add(bins, NAN, 1);
  assert_int_equal(bins[13].images, 3);
  assert_int_equal(bins[13].right, 2);
  assert_int_equal(bins[7].images, 2);
  double wanted = 3.0 / 5 * (2.7 / 3 - 2.0 / 3) + 2.0 / 5 * 0.5;
  assert_true(fabs(imgrec__calibration_error(bins) - wanted) < 1e-7);
}

static void test_score__last_bin(void **state) {
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  (void)state;
  memset(bins, 0, sizeof bins);
  imgrec__reliability_add(bins, 1, 1);
  imgrec__reliability_add(bins, 0, 1);
  assert_int_equal(bins[IMGREC_RELIABILITY_BINS - 1].images, 1);
  assert_int_equal(bins[0].images, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_score__wilson),
      cmocka_unit_test(test_score__classes),
      cmocka_unit_test(test_score__either_alone),
      cmocka_unit_test(test_score__no_images),
      cmocka_unit_test(test_score__calibration_error),
      cmocka_unit_test(test_score__last_bin),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
