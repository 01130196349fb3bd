/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/adjust.c. */
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

static void adjust_gives(const void *rgb, float b, float c, float s,
                         const void *want) {
  imgrec_tensor *out, *image = image_of(1, 2, 3, rgb);
  assert_int_equal(imgrec_image_adjust(&out, image, b, c, s), 0);
  assert_memory_equal(bytes_of(out), want, 6);
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

static void test_adjust__factors(void **state) {
  (void)state;
  /* Lumas 124 and 17, mean 71. */
  static const unsigned char rgb[] = {200, 100, 50, 10, 20, 30};
  static const unsigned char half[] = {100, 50, 25, 5, 10, 15};
  static const unsigned char twice[] = {255, 200, 100, 20, 40, 60};
  static const unsigned char flat[] = {71, 71, 71, 71, 71, 71};
  static const unsigned char more[] = {255, 129, 29, 0, 0, 0};
  static const unsigned char grey[] = {124, 124, 124, 18, 18, 18};
  static const unsigned char vivid[] = {255, 76, 0, 2, 22, 42};
  adjust_gives(rgb, 1.0f, 1.0f, 1.0f, rgb);
  adjust_gives(rgb, 0.5f, 1.0f, 1.0f, half);
  adjust_gives(rgb, 2.0f, 1.0f, 1.0f, twice);
  adjust_gives(rgb, 1.0f, 0.0f, 1.0f, flat);
  adjust_gives(rgb, 1.0f, 2.0f, 1.0f, more);
  adjust_gives(rgb, 1.0f, 1.0f, 0.0f, grey);
  adjust_gives(rgb, 1.0f, 1.0f, 2.0f, vivid);
}

static void test_adjust__grey_image(void **state) {
  (void)state;
  static const unsigned char grey[] = {10, 20}, want[] = {25, 35};
  imgrec_tensor *out, *image = image_of(1, 2, 1, grey);
  assert_int_equal(imgrec_image_adjust(&out, image, 2.0f, 0.5f, 9.0f), 0);
  assert_memory_equal(bytes_of(out), want, 2);
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(image);
}

static void test_adjust__refuses(void **state) {
  (void)state;
  static const float bad[] = {-0.1f, 16.1f, NAN, INFINITY};
  imgrec_tensor *out = NULL, *image = pattern(ctx, 2, 2, 3);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(imgrec_image_adjust(&out, image, bad[i], 1, 1),
                     IMGREC_ERR_ARGUMENT);
    assert_int_equal(imgrec_image_adjust(&out, image, 1, bad[i], 1),
                     IMGREC_ERR_ARGUMENT);
    assert_int_equal(imgrec_image_adjust(&out, image, 1, 1, bad[i]),
                     IMGREC_ERR_ARGUMENT);
    assert_int_equal(imgrec_image_sharpen(&out, image, 1, bad[i]),
                     IMGREC_ERR_ARGUMENT);
  }
  assert_non_null(strstr(imgrec_last_error(ctx), "amount"));
  static const float sigmas[] = {0.0f, -1.0f, 64.1f, NAN};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(imgrec_image_blur(&out, image, sigmas[i]),
                     IMGREC_ERR_ARGUMENT);
    assert_int_equal(imgrec_image_sharpen(&out, image, sigmas[i], 1),
                     IMGREC_ERR_ARGUMENT);
  }
  assert_int_equal(imgrec_image_adjust(&out, NULL, 1, 1, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_equalize(&out, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_image_blur(NULL, image, 1), IMGREC_ERR_ARGUMENT);
  assert_null(out);
  imgrec_tensor_destroy(image);
}

/* Made by golden/make_pillow.py with Pillow 11.3.0 (ImageOps.equalize). */
static void test_adjust__equalize_as_pillow(void **state) {
  (void)state;
  static const struct {
    int h, w, c;
    uint32_t want;
  } cases[] = {{16, 20, 3, 0xbea7a8f3},
               {30, 30, 1, 0x34ab4a7b},
               {100, 120, 3, 0x4a7afc96},
               {1, 1, 1, 0x050c5d1f}};
  for (size_t i = 0; i < 4; i++) {
    imgrec_tensor *out, *image;
    image = pattern(ctx, cases[i].h, cases[i].w, cases[i].c);
    assert_int_equal(imgrec_image_equalize(&out, image), 0);
    assert_int_equal(digest(out), cases[i].want);
    imgrec_tensor_destroy(out);
    imgrec_tensor_destroy(image);
  }
}

static double gauss(int x, double sigma) {
  return exp(-x * x / (2.0 * sigma * sigma));
}

static int clamped(int i, int n) { return i < 0 ? 0 : i < n ? i : n - 1; }

/* Against the sum in double; each of two passes rounds by half, and the
 * weights are cut at three sigma. */
static void test_adjust__blur_is_a_gaussian(void **state) {
  (void)state;
  static const float sigmas[] = {0.2f, 0.5f, 1.0f, 2.7f, 10.0f};
  enum { H = 20, W = 15 };
  imgrec_tensor *out, *image = pattern(ctx, H, W, 1);
  for (size_t i = 0; i < 5; i++) {
    double sigma = (double)sigmas[i];
    int r = (int)(3.0 * sigma);
    assert_int_equal(imgrec_image_blur(&out, image, sigmas[i]), 0);
    for (int y = 0; y < H; y++)
      for (int x = 0; x < W; x++) {
        double sum = 0.0, total = 0.0;
        for (int v = -r; v <= r; v++)
          for (int u = -r; u <= r; u++) {
            double w = gauss(v, sigma) * gauss(u, sigma);
            total += w;
            sum +=
                w * bytes_of(image)[clamped(y + v, H) * W + clamped(x + u, W)];
          }
        assert_true(fabs(bytes_of(out)[y * W + x] - sum / total) < 1.2);
      }
    imgrec_tensor_destroy(out);
  }
  imgrec_tensor_destroy(image);
}

static void test_adjust__blur_of_flat_is_flat(void **state) {
  (void)state;
  static const float sigmas[] = {0.01f, 0.4f, 1.0f, 33.3f, 64.0f};
  imgrec_tensor *out, *image = new_image(ctx, 5, 7, 3);
  for (int v = 0; v < 256; v += 51) {
    memset(imgrec_tensor_data(image), v, 5 * 7 * 3);
    for (size_t i = 0; i < 5; i++) {
      assert_int_equal(imgrec_image_blur(&out, image, sigmas[i]), 0);
      assert_memory_equal(bytes_of(out), bytes_of(image), 5 * 7 * 3);
      imgrec_tensor_destroy(out);
    }
  }
  imgrec_tensor_destroy(image);
}

static void test_adjust__sharpen(void **state) {
  (void)state;
  imgrec_tensor *out, *blurred, *image = pattern(ctx, 12, 13, 3);
  assert_int_equal(imgrec_image_blur(&blurred, image, 1.5f), 0);
  assert_int_equal(imgrec_image_sharpen(&out, image, 1.5f, 0.0f), 0);
  assert_memory_equal(bytes_of(out), bytes_of(image), 12 * 13 * 3);
  imgrec_tensor_destroy(out);
  assert_int_equal(imgrec_image_sharpen(&out, image, 1.5f, 2.0f), 0);
  for (size_t i = 0; i < 12 * 13 * 3; i++) {
    int p = bytes_of(image)[i], want = p + 2 * (p - bytes_of(blurred)[i]);
    want = want < 0 ? 0 : want > 255 ? 255 : want;
    assert_int_equal(bytes_of(out)[i], want);
  }
  imgrec_tensor_destroy(out);
  imgrec_tensor_destroy(blurred);
  imgrec_tensor_destroy(image);
}

/* The same everywhere: these bits do not change. */
static void test_adjust__bits_are_fixed(void **state) {
  (void)state;
  imgrec_tensor *out, *image = pattern(ctx, 40, 50, 3);
  assert_int_equal(imgrec_image_adjust(&out, image, 0.9f, 1.3f, 0.4f), 0);
  assert_int_equal(digest(out), 0xaf3bff86);
  imgrec_tensor_destroy(out);
  assert_int_equal(imgrec_image_sharpen(&out, image, 2.5f, 0.7f), 0);
  assert_int_equal(digest(out), 0xdb3d639);
  imgrec_tensor_destroy(out);
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
      cmocka_unit_test(test_adjust__factors),
      cmocka_unit_test(test_adjust__grey_image),
      cmocka_unit_test(test_adjust__refuses),
      cmocka_unit_test(test_adjust__equalize_as_pillow),
      cmocka_unit_test(test_adjust__blur_is_a_gaussian),
      cmocka_unit_test(test_adjust__blur_of_flat_is_flat),
      cmocka_unit_test(test_adjust__sharpen),
      cmocka_unit_test(test_adjust__bits_are_fixed),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
