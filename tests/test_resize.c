/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/resize.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "image/image.h"
#include "image_pattern.h"
#include "isas.h"

static imgrec_context *ctx;

static imgrec_tensor *resized(const imgrec_tensor *image, int height, int width,
                              int rule) {
  imgrec_tensor *out = NULL;
  assert_int_equal(imgrec_image_resize(&out, image, height, width, rule), 0);
  return out;
}

/* Made by golden/make_pillow.py with Pillow 11.3.0 (Image.resize, BILINEAR). */
static void test_resize__as_pillow(void **state) {
  (void)state;
  static const struct {
    int h, w, c, height, width, rule;
    uint32_t want;
  } cases[] = {
      {7, 9, 3, 4, 5, 0, 0x150b633d},     {5, 4, 1, 11, 13, 0, 0x457376f7},
      {40, 60, 3, 17, 8, 0, 0x76fe6f40},  {3, 3, 1, 1, 1, 0, 0xf70c4715},
      {64, 64, 3, 64, 16, 0, 0xc583fcdd}, {1, 200, 1, 1, 7, 0, 0xcd88a5c2},
      {33, 20, 3, 50, 20, 0, 0x2301887e}, {40, 60, 3, 16, 16, 1, 0x0821e16a},
      {60, 40, 1, 16, 32, 1, 0x5c3c699c}, {9, 30, 3, 9, 9, 1, 0xa52afc8a},
      {50, 50, 3, 7, 20, 1, 0xd57927c7},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    imgrec_tensor *image = pattern(ctx, cases[i].h, cases[i].w, cases[i].c);
    imgrec_tensor *out =
        resized(image, cases[i].height, cases[i].width, cases[i].rule);
    assert_int_equal(imgrec_tensor_dim(out, 0), cases[i].height);
    assert_int_equal(imgrec_tensor_dim(out, 1), cases[i].width);
    assert_int_equal(imgrec_tensor_dim(out, 2), cases[i].c);
    assert_int_equal(digest(out), cases[i].want);
    imgrec_tensor_destroy(out);
    imgrec_tensor_destroy(image);
  }
}

/* Every table of kernels, at sizes about those that its vectors fill. */
static void test_resize__same_on_every_isa(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context_options o;
    imgrec_context *other;
    imgrec_context_options_init(&o, sizeof o);
    o.isa = isa;
    assert_int_equal(imgrec_context_create(&other, &o), 0);
    for (int i = 0; i < 60; i++) {
      int h = 1 + i * 7 % 41, w = 1 + i * 11 % 53, c = i % 2 ? 3 : 1;
      imgrec_tensor *image = pattern(ctx, h, w, c), *a, *b;
      imgrec_tensor *copy = pattern(other, h, w, c);
      assert_int_equal(
          imgrec_image_resize(&a, image, 1 + i % 37, 1 + i % 29, i % 3), 0);
      assert_int_equal(
          imgrec_image_resize(&b, copy, 1 + i % 37, 1 + i % 29, i % 3), 0);
      assert_int_equal(digest(a), digest(b));
      imgrec_tensor_destroy(a);
      imgrec_tensor_destroy(b);
      imgrec_tensor_destroy(image);
      imgrec_tensor_destroy(copy);
    }
    imgrec_context_destroy(other);
  }
}

static void test_resize__same_size_is_a_copy(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 9, 7, 3), *out;
  for (int rule = 0; rule < 3; rule++) {
    assert_int_equal(imgrec_image_resize(&out, image, 9, 7, rule), 0);
    assert_memory_equal(bytes_of(out), bytes_of(image), 9 * 7 * 3);
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

/* Weights sum to one: flat stays flat at any size. */
static void test_resize__flat_stays_flat(void **state) {
  (void)state;
  for (int size = 1; size < 40; size += 3) {
    imgrec_tensor *image = new_image(ctx, 13, 17, 1), *out;
    memset(imgrec_tensor_data(image), 255, 13 * 17);
    for (int rule = 0; rule < 2; rule++) {
      assert_int_equal(imgrec_image_resize(&out, image, size, 40 - size, rule),
                       0);
      for (size_t i = 0; i < imgrec_tensor_nbytes(out); i++)
        assert_int_equal(bytes_of(out)[i], 255);
      imgrec_tensor_destroy(out);
    }
    imgrec_tensor_destroy(image);
  }
}

/* A white image of h x w in 10 x 10: the rows and columns that it covers. */
static void pad_covers(int h, int w, int top, int left, int height, int width) {
  imgrec_tensor *image = new_image(ctx, h, w, 3), *out;
  memset(imgrec_tensor_data(image), 255, (size_t)(h * w * 3));
  assert_int_equal(imgrec_image_resize(&out, image, 10, 10, IMGREC_RESIZE_PAD),
                   0);
  for (int y = 0; y < 10; y++)
    for (int x = 0; x < 10; x++) {
      int inside =
          y >= top && y < top + height && x >= left && x < left + width;
      assert_int_equal(bytes_of(out)[(y * 10 + x) * 3], inside ? 255 : 0);
      assert_int_equal(bytes_of(out)[(y * 10 + x) * 3 + 2], inside ? 255 : 0);
    }
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

static void test_resize__pad(void **state) {
  (void)state;
  pad_covers(20, 40, 2, 0, 5, 10);
  pad_covers(40, 20, 0, 2, 10, 5);
  pad_covers(1, 500, 4, 0, 1, 10);
  pad_covers(5, 5, 0, 0, 10, 10);
}

static uint32_t digest_grey(const imgrec_tensor *image, int height, int width,
                            int rule) {
  imgrec_preprocess p;
  imgrec_tensor *grey;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = height;
  p.width = width;
  p.channels = 1;
  p.resize = rule;
  assert_int_equal(imgrec_image_preprocess(&grey, image, &p), 0);
  uint32_t value = digest(grey);
  imgrec_tensor_destroy(grey);
  return value;
}

/* So large that they are made tile by tile; the digests are of the same images
 * made at once, and converted to grey before. */
static void test_resize__tiles(void **state) {
  (void)state;
  static const struct {
    int h, w, c, height, width, rule;
    uint32_t want, grey;
  } cases[] = {
      {1500, 2000, 3, 224, 224, 0, 0x588c6a22, 0x130c84d3},
      {1500, 2000, 3, 224, 224, 1, 0x0d8906a5, 0x639b7883},
      {700, 9000, 1, 300, 500, 2, 0x3f30ad7c, 0xb4b29c4e},
      {16384, 30, 3, 40, 900, 0, 0x5dce6668, 0xbfb6f202},
      {30, 16384, 3, 900, 40, 0, 0xa29813f9, 0x2299cd51},
      {2000, 2100, 3, 3, 2, 0, 0x1c40b37f, 0x455dc671},
      {16384, 300, 1, 1, 1, 0, 0xfa0c4bce, 0xb4df3c8c},
      {300, 16384, 3, 7, 1, 0, 0x93133422, 0xfd38f420},
      {40, 60, 3, 1300, 1100, 0, 0xdd2f5f15, 0x96b3e747},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    imgrec_tensor *image = pattern(ctx, cases[i].h, cases[i].w, cases[i].c);
    imgrec_tensor *out =
        resized(image, cases[i].height, cases[i].width, cases[i].rule);
    assert_int_equal(digest(out), cases[i].want);
    assert_int_equal(
        digest_grey(image, cases[i].height, cases[i].width, cases[i].rule),
        cases[i].grey);
    imgrec_tensor_destroy(out);
    imgrec_tensor_destroy(image);
  }
}

static void test_resize__extreme_shapes(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 1, 16384, 1), *out;
  for (int rule = 0; rule < 3; rule++) {
    assert_int_equal(imgrec_image_resize(&out, image, 16384, 1, rule), 0);
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

static void test_resize__arguments(void **state) {
  (void)state;
  imgrec_tensor *image = pattern(ctx, 4, 4, 1), *out = NULL;
  assert_int_equal(imgrec_image_resize(&out, NULL, 2, 2, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_resize(NULL, image, 2, 2, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_resize(&out, image, 0, 2, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_resize(&out, image, 2, -2, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_resize(&out, image, 16385, 2, 0),
                   IMGREC_ERR_LIMIT);
  assert_int_equal(imgrec_image_resize(&out, image, 2, 2, 3),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_resize(&out, image, 2, 2, -1),
                   IMGREC_ERR_ARGUMENT);
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
      cmocka_unit_test(test_resize__as_pillow),
      cmocka_unit_test(test_resize__same_on_every_isa),
      cmocka_unit_test(test_resize__same_size_is_a_copy),
      cmocka_unit_test(test_resize__flat_stays_flat),
      cmocka_unit_test(test_resize__pad),
      cmocka_unit_test(test_resize__tiles),
      cmocka_unit_test(test_resize__extreme_shapes),
      cmocka_unit_test(test_resize__arguments),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
