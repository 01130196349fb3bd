/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/transform.c: crop, flip, rotate, convert. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "image_pattern.h"

static imgrec_context *ctx;

static imgrec_tensor *image_of(int h, int w, int c, const void *bytes) {
  imgrec_tensor *t = new_image(ctx, h, w, c);
  memcpy(imgrec_tensor_data(t), bytes, (size_t)(h * w * c));
  return t;
}

/* Destroys both. */
static void expect(imgrec_tensor *image, int status, imgrec_tensor *out, int h,
                   int w, int c, const void *bytes) {
  assert_int_equal(status, 0);
  assert_int_equal(imgrec_tensor_dim(out, 0), h);
  assert_int_equal(imgrec_tensor_dim(out, 1), w);
  assert_int_equal(imgrec_tensor_dim(out, 2), c);
  assert_memory_equal(bytes_of(out), bytes, (size_t)(h * w * c));
  imgrec_tensor_destroy(image);
  imgrec_tensor_destroy(out);
}

static const unsigned char six[] = {1, 2, 3, 4, 5, 6};

static void test_transform__crop(void **state) {
  (void)state;
  static const unsigned char want[] = {2, 3, 5, 6};
  imgrec_tensor *out, *image = image_of(2, 3, 1, six);
  int status = imgrec_image_crop(&out, image, 0, 1, 2, 2);
  expect(image, status, out, 2, 2, 1, want);
  image = image_of(1, 2, 3, six);
  status = imgrec_image_crop(&out, image, 0, 1, 1, 1);
  expect(image, status, out, 1, 1, 3, six + 3);
}

static void test_transform__crop_outside(void **state) {
  (void)state;
  static const int boxes[][4] = {
      {-1, 0, 1, 1},        {0, -1, 1, 1},
      {1, 0, 2, 1},         {0, 2, 1, 2},
      {0, 0, 0, 1},         {0, 0, 1, 4},
      {INT32_MAX, 0, 1, 1}, {0, INT32_MAX, 1, INT32_MAX}};
  imgrec_tensor *out = NULL, *image = image_of(2, 3, 1, six);
  for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++)
    assert_true(imgrec_image_crop(&out, image, boxes[i][0], boxes[i][1],
                                  boxes[i][2], boxes[i][3]) < 0);
  assert_null(out);
  imgrec_tensor_destroy(image);
}

static void test_transform__flip(void **state) {
  (void)state;
  static const unsigned char down[] = {4, 5, 6, 1, 2, 3};
  static const unsigned char right[] = {3, 2, 1, 6, 5, 4};
  imgrec_tensor *out, *image = image_of(2, 3, 1, six);
  int status = imgrec_image_flip(&out, image, 0);
  expect(image, status, out, 2, 3, 1, down);
  image = image_of(2, 3, 1, six);
  status = imgrec_image_flip(&out, image, 1);
  expect(image, status, out, 2, 3, 1, right);
  image = image_of(1, 2, 3, six);
  status = imgrec_image_flip(&out, image, 1);
  expect(image, status, out, 1, 2, 3, down);
  image = image_of(2, 3, 1, six);
  assert_int_equal(imgrec_image_flip(&out, image, 2), IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(image);
}

static void test_transform__convert(void **state) {
  (void)state;
  static const unsigned char rgb[] = {255, 0, 0, 0, 255, 0, 0, 0, 255};
  static const unsigned char luma[] = {76, 150, 29};
  static const unsigned char repeated[] = {1, 1, 1, 2, 2, 2};
  imgrec_tensor *out, *image = image_of(1, 3, 3, rgb);
  int status = imgrec_image_convert(&out, image, 1);
  expect(image, status, out, 1, 3, 1, luma);
  image = image_of(1, 2, 1, six);
  status = imgrec_image_convert(&out, image, 3);
  expect(image, status, out, 1, 2, 3, repeated);
  image = image_of(1, 3, 3, rgb);
  status = imgrec_image_convert(&out, image, 3);
  expect(image, status, out, 1, 3, 3, rgb);
  image = image_of(1, 2, 1, six);
  assert_int_equal(imgrec_image_convert(&out, image, 2), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_convert(&out, NULL, 1), IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(image);
}

/* Made by golden/make_pillow.py with Pillow 11.3.0 (Image.convert). */
static void test_transform__luma_as_pillow(void **state) {
  (void)state;
  imgrec_tensor *out, *image = pattern(ctx, 16, 20, 3);
  assert_int_equal(imgrec_image_convert(&out, image, 1), 0);
  assert_int_equal(digest(out), 0xfec5c39a);
  imgrec_tensor_destroy(image);
  imgrec_tensor_destroy(out);
}

static void test_transform__rotate_by_quarters(void **state) {
  (void)state;
  static const unsigned char turned[4][9] = {
      {1, 2, 3, 4, 5, 6, 7, 8, 9},
      {3, 6, 9, 2, 5, 8, 1, 4, 7}, /* counter-clockwise */
      {9, 8, 7, 6, 5, 4, 3, 2, 1},
      {7, 4, 1, 8, 5, 2, 9, 6, 3}};
  for (int i = -8; i <= 9; i++) {
    imgrec_tensor *out, *image = image_of(3, 3, 1, turned[0]);
    int status = imgrec_image_rotate(&out, image, 90.0f * (float)i);
    expect(image, status, out, 3, 3, 1, turned[(i + 8) % 4]);
  }
}

static void test_transform__rotate_an_oblong(void **state) {
  (void)state;
  static const unsigned char line[] = {10, 20, 30}, want[] = {0, 20, 0};
  imgrec_tensor *out, *image = image_of(1, 3, 1, line);
  int status = imgrec_image_rotate(&out, image, 90.0f);
  expect(image, status, out, 1, 3, 1, want);
}

/* Against the formula in double, by one. */
static void test_transform__rotate_by_any_angle(void **state) {
  (void)state;
  static const float angles[] = {1.0f,   -17.5f, 44.99f, 45.0f,
                                 133.0f, 1e6f,   3.0e38f};
  enum { H = 9, W = 12 };
  imgrec_tensor *out, *image = pattern(ctx, H, W, 1);
  for (size_t i = 0; i < sizeof angles / sizeof angles[0]; i++) {
    double a = fmod(angles[i], 360.0) * acos(-1.0) / 180.0;
    assert_int_equal(imgrec_image_rotate(&out, image, angles[i]), 0);
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++) {
        double dy = y - (H - 1) / 2.0, dx = x - (W - 1) / 2.0, sum = 0.0;
        double sy = (H - 1) / 2.0 + sin(a) * dx + cos(a) * dy;
        double sx = (W - 1) / 2.0 + cos(a) * dx - sin(a) * dy;
        for (int v = 0; v < H; v++)
          for (int u = 0; u < W; u++)
            sum += fmax(0.0, 1.0 - fabs(sy - v)) *
                   fmax(0.0, 1.0 - fabs(sx - u)) * bytes_of(image)[v * W + u];
        assert_true(fabs(bytes_of(out)[y * W + x] - sum) < 1.0);
      }
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

/* The same everywhere: these bits do not change. */
static void test_transform__rotate_is_fixed(void **state) {
  (void)state;
  imgrec_tensor *out, *image = pattern(ctx, 40, 50, 3);
  assert_int_equal(imgrec_image_rotate(&out, image, 33.3f), 0);
  assert_int_equal(digest(out), 0xa4d405dc);
  imgrec_tensor_destroy(image);
  imgrec_tensor_destroy(out);
}

static void test_transform__rotate_refuses(void **state) {
  (void)state;
  imgrec_tensor *out = NULL, *image = pattern(ctx, 2, 2, 1);
  assert_int_equal(imgrec_image_rotate(&out, image, NAN), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_rotate(&out, image, -INFINITY),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_rotate(&out, NULL, 1.0f), IMGREC_ERR_ARGUMENT);
  assert_null(out);
  imgrec_tensor_destroy(image);
}

static void test_transform__what_is_no_image(void **state) {
  (void)state;
  const int64_t shape[3] = {4, 4, 2};
  imgrec_tensor *out = NULL, *image;
  assert_int_equal(imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape), 0);
  assert_int_equal(imgrec_image_flip(&out, image, 0), IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_image_convert(&out, image, 1), IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_image_crop(&out, image, 0, 0, 1, 1),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_image_rotate(&out, image, 1.0f), IMGREC_ERR_SHAPE);
  assert_null(out);
  imgrec_tensor_destroy(image);
}

static int setup(void **state) {
  (void)state;
  ctx = pattern_context();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_transform__crop),
      cmocka_unit_test(test_transform__crop_outside),
      cmocka_unit_test(test_transform__flip),
      cmocka_unit_test(test_transform__convert),
      cmocka_unit_test(test_transform__luma_as_pillow),
      cmocka_unit_test(test_transform__rotate_by_quarters),
      cmocka_unit_test(test_transform__rotate_an_oblong),
      cmocka_unit_test(test_transform__rotate_by_any_angle),
      cmocka_unit_test(test_transform__rotate_is_fixed),
      cmocka_unit_test(test_transform__rotate_refuses),
      cmocka_unit_test(test_transform__what_is_no_image),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
