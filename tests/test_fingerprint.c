/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/fingerprint.c: the same picture in another size is found
 * near, another picture is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataset_files.h"
#include "image/image.h"

enum { PICTURES = 40 };

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

/* A blurred field of random colours: a picture, as far as frequencies go. */
static imgrec_tensor *picture(uint64_t number, int channels) {
  int64_t shape[3] = {12, 12, channels};
  imgrec_tensor *small, *large;
  assert_int_equal(imgrec_tensor_create(&small, ctx, IMGREC_U8, 3, shape), 0);
  unsigned char *p = imgrec_tensor_data(small);
  for (int i = 0; i < 144 * channels; i++)
    p[i] = (unsigned char)imgrec__random_below(3, number, (uint64_t)i, 256);
  assert_int_equal(
      imgrec_image_resize(&large, small, 120, 90, IMGREC_RESIZE_STRETCH), 0);
  imgrec_tensor_destroy(small);
  return large;
}

static struct fingerprint print_of(const imgrec_tensor *t) {
  struct fingerprint f;
  struct pixels p = {t->data, (int)t->shape[0], (int)t->shape[1],
                     (int)t->shape[2]};
  imgrec__fingerprint(&f, &p);
  return f;
}

static int distance(const struct fingerprint *f, const struct fingerprint *g) {
  return __builtin_popcountll(f->hash ^ g->hash);
}

static void test_fingerprint__other_sizes_are_near(void **state) {
  static const int sizes[][2] = {{60, 45}, {64, 64}, {200, 300}, {33, 121}};
  (void)state;
  for (uint64_t i = 0; i < PICTURES; i++) {
    imgrec_tensor *a = picture(i, i % 2 ? 3 : 1), *b;
    struct fingerprint f = print_of(a);
    for (int k = 0; k < 4; k++) {
      float difference = 1;
      assert_int_equal(imgrec_image_resize(&b, a, sizes[k][0], sizes[k][1],
                                           IMGREC_RESIZE_STRETCH),
                       0);
      struct fingerprint g = print_of(b);
      imgrec_tensor_destroy(b);
      assert_true(distance(&f, &g) <= IMGREC__NEAR_BITS);
      assert_int_equal(imgrec__fingerprint_near(&difference, &f, &g), 1);
      assert_true(difference >= 0 && difference < 1.0F / 12);
    }
    imgrec_tensor_destroy(a);
  }
}

static void test_fingerprint__other_pictures_are_not(void **state) {
  static struct fingerprint f[PICTURES];
  (void)state;
  for (uint64_t i = 0; i < PICTURES; i++) {
    imgrec_tensor *a = picture(i, 3);
    f[i] = print_of(a);
    imgrec_tensor_destroy(a);
  }
  for (int i = 0; i < PICTURES; i++)
    for (int k = 0; k < i; k++) {
      float difference;
      assert_true(distance(&f[i], &f[k]) > IMGREC__NEAR_BITS);
      assert_int_equal(imgrec__fingerprint_near(&difference, &f[i], &f[k]), 0);
    }
}

/* Grey of the same luma: the hash is the same, the colour tells. */
static void test_fingerprint__colour_counts(void **state) {
  imgrec_tensor *a = picture(1, 3), *grey;
  float difference;
  (void)state;
  unsigned char *p = imgrec_tensor_data(a);
  for (int i = 0; i < 120 * 90; i++)
    p[3 * i] = (unsigned char)(p[3 * i] / 2 + 127);
  assert_int_equal(imgrec_image_convert(&grey, a, 1), 0);
  struct fingerprint f = print_of(a), g = print_of(grey);
  assert_true(distance(&f, &g) <= 1);
  assert_int_equal(imgrec__fingerprint_near(&difference, &f, &g), 0);
  imgrec_tensor_destroy(a);
  imgrec_tensor_destroy(grey);
}

/* Averages over areas are exact: of one value they are that value, and 16
 * columns of 2 pixels are the 16 columns. */
static void test_fingerprint__averages(void **state) {
  unsigned char flat[7 * 5], columns[3 * 32];
  struct pixels p = {flat, 7, 5, 1}, q = {columns, 3, 32, 1};
  struct fingerprint f;
  (void)state;
  memset(flat, 201, sizeof flat);
  imgrec__fingerprint(&f, &p);
  for (int i = 0; i < 256; i++)
    assert_int_equal(f.luma[i], 201);
  assert_int_equal(imgrec__fingerprint_flat(&f), 1);
  for (int i = 0; i < 3 * 32; i++)
    columns[i] = (unsigned char)(i % 32 / 2 * 16);
  imgrec__fingerprint(&f, &q);
  for (int i = 0; i < 256; i++)
    assert_int_equal(f.luma[i], i % 16 * 16);
  assert_int_equal(imgrec__fingerprint_flat(&f), 0);
}

static void test_fingerprint__mirrored_is_another(void **state) {
  imgrec_tensor *a = picture(5, 1), *b;
  (void)state;
  assert_int_equal(imgrec_image_flip(&b, a, 1), 0);
  struct fingerprint f = print_of(a), g = print_of(b);
  assert_true(distance(&f, &g) > 20);
  imgrec_tensor_destroy(a);
  imgrec_tensor_destroy(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fingerprint__other_sizes_are_near),
      cmocka_unit_test(test_fingerprint__other_pictures_are_not),
      cmocka_unit_test(test_fingerprint__colour_counts),
      cmocka_unit_test(test_fingerprint__averages),
      cmocka_unit_test(test_fingerprint__mirrored_is_another),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
