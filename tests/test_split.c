/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/split.c: shares of classes, order, seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset_files.h"

static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* Images of one pixel, whose value is their number; class i % 4 has counts[i
 * % 4] of them. */
#define CLASSES 4

static imgrec_dataset *make(const int counts[CLASSES]) {
  unsigned char pixels[1024];
  int32_t labels[1024];
  int64_t n = 0;
  for (int k = 0; k < 256; k++)
    for (int c = 0; c < CLASSES; c++)
      if (k < counts[c]) {
        pixels[n] = (unsigned char)n;
        labels[n++] = c;
      }
  const int64_t shape[4] = {n, 1, 1, 1};
  imgrec_tensor *x, *y;
  imgrec_dataset *d = NULL;
  assert_int_equal(imgrec_tensor_wrap(&x, ctx, IMGREC_U8, 4, shape, pixels), 0);
  assert_int_equal(imgrec_tensor_wrap(&y, ctx, IMGREC_I32, 1, shape, labels),
                   0);
  assert_int_equal(imgrec_dataset_from_memory(&d, ctx, x, y, CLASSES), 0);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return d;
}

static int64_t count_class(imgrec_dataset *d, int class_index) {
  int64_t n = 0;
  for (int64_t i = 0; i < imgrec_dataset_size(d); i++)
    n += imgrec_dataset_class(d, i) == class_index;
  return n;
}

static int number(imgrec_dataset *d, int64_t i) {
  const char *source = imgrec_dataset_source(d, i);
  assert_int_equal(strncmp(source, "memory#", 7), 0);
  return atoi(source + 7);
}

static void test_split__each_class_in_proportion(void **state) {
  (void)state;
  const int counts[CLASSES] = {100, 10, 3, 2};
  const int expected[CLASSES] = {20, 2, 1, 1};
  imgrec_dataset *d = make(counts), *a, *b;
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.2f, 1), IMGREC_OK);
  for (int c = 0; c < CLASSES; c++) {
    assert_int_equal(count_class(b, c), expected[c]);
    assert_int_equal(count_class(a, c), counts[c] - expected[c]);
  }
  assert_string_equal(
      imgrec_dataset_description(b),
      "memory: 24 grey images of 1 x 1 pixels, 4 classes, 1-20 each");
  imgrec_dataset_destroy(d);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
}

static void test_split__every_image_on_one_side_in_order(void **state) {
  (void)state;
  const int counts[CLASSES] = {50, 50, 50, 0};
  int seen[150] = {0};
  imgrec_dataset *d = make(counts), *sides[2];
  assert_int_equal(imgrec_dataset_split(&sides[0], &sides[1], d, 0.5f, 7), 0);
  imgrec_dataset_destroy(d);
  for (int s = 0; s < 2; s++) {
    assert_int_equal(imgrec_dataset_size(sides[s]), 75);
    for (int64_t i = 0; i < 75; i++) {
      seen[number(sides[s], i)]++;
      if (i > 0)
        assert_true(number(sides[s], i) > number(sides[s], i - 1));
    }
    imgrec_dataset_destroy(sides[s]);
  }
  for (int i = 0; i < 150; i++)
    assert_int_equal(seen[i], 1);
}

static uint64_t fingerprint(imgrec_dataset *d, uint64_t seed) {
  imgrec_dataset *a, *b;
  uint64_t sum = 0;
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.3f, seed), IMGREC_OK);
  for (int64_t i = 0; i < imgrec_dataset_size(b); i++)
    sum = sum * 1000003 + (uint64_t)number(b, i);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
  return sum;
}

static void test_split__by_seed(void **state) {
  (void)state;
  const int counts[CLASSES] = {40, 40, 40, 40};
  imgrec_dataset *d = make(counts);
  assert_true(fingerprint(d, 1) == fingerprint(d, 1));
  assert_true(fingerprint(d, 1) != fingerprint(d, 2));
  imgrec_dataset_destroy(d);
}

static void test_split__neither_side_loses_a_class(void **state) {
  (void)state;
  const int counts[CLASSES] = {2, 2, 2, 2};
  imgrec_dataset *d = make(counts), *a, *b;
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.99f, 1), IMGREC_OK);
  for (int c = 0; c < CLASSES; c++)
    assert_int_equal(count_class(a, c), 1);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
  imgrec_dataset_destroy(d);
}

static void test_split__an_only_image_stays(void **state) {
  (void)state;
  const int counts[CLASSES] = {1, 4, 0, 1};
  const float fractions[] = {0.1f, 0.5f, 0.99f};
  imgrec_dataset *d = make(counts), *a, *b;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(imgrec_dataset_split(&a, &b, d, fractions[i], 1), 0);
    assert_int_equal(count_class(a, 0), 1);
    assert_int_equal(count_class(a, 3), 1);
    assert_int_equal(count_class(b, 0) + count_class(b, 3), 0);
    imgrec_dataset_destroy(a);
    imgrec_dataset_destroy(b);
  }
  imgrec_dataset_destroy(d);
}

static void test_split__of_a_split(void **state) {
  (void)state;
  const int counts[CLASSES] = {20, 20, 20, 20};
  imgrec_dataset *d = make(counts), *a, *b, *aa, *ab;
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.5f, 1), IMGREC_OK);
  assert_int_equal(imgrec_dataset_split(&aa, &ab, a, 0.5f, 1), IMGREC_OK);
  assert_int_equal(imgrec_dataset_size(aa) + imgrec_dataset_size(ab), 40);
  imgrec_dataset_destroy(d);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
  assert_int_equal(count_class(aa, 3), 5);
  imgrec_dataset_destroy(aa);
  imgrec_dataset_destroy(ab);
}

static void test_split__refused(void **state) {
  (void)state;
  const int counts[CLASSES] = {1, 1, 1, 0};
  const float fractions[] = {0, 1, -1, 2, 0.0f / 0.0f};
  imgrec_dataset *d = make(counts), *a = NULL, *b = NULL;
  for (int i = 0; i < 5; i++)
    assert_int_equal(imgrec_dataset_split(&a, &b, d, fractions[i], 1),
                     IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.2f, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(ctx), "would be empty"));
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.5f, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_split(NULL, &b, d, 0.2f, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_null(a);
  assert_null(b);
  imgrec_dataset_destroy(d);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_split__each_class_in_proportion),
      CASE(test_split__every_image_on_one_side_in_order),
      CASE(test_split__by_seed),
      CASE(test_split__neither_side_loses_a_class),
      CASE(test_split__an_only_image_stays),
      CASE(test_split__of_a_split),
      CASE(test_split__refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
