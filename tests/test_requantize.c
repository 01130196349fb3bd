/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/requantize.c against the DCT by its definition, in
 * doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

static const double PI = 3.14159265358979323846;

/* The first row and column of annex K's table for luma. */
static const int FIRST[8] = {16, 11, 10, 16, 24, 40, 51, 61};

static void fill_random_bytes(unsigned char *p, size_t n, int from, int range) {
  for (size_t i = 0; i < n; i++)
    p[i] = (unsigned char)(from +
                           (int)imgrec__random_below(5, 1, i, (uint64_t)range));
}

/* A grey block of rows alike: only the first row of coefficients is there. */
static void test_requantize__one_block(void **state) {
  (void)state;
  for (int quality = 1; quality <= 100; quality += 9) {
    unsigned char row[8], bytes[64];
    double want[8] = {0};
    int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    fill_random_bytes(row, 8, quality, 150);
    for (int y = 0; y < 8; y++)
      memcpy(bytes + 8 * y, row, 8);
    for (int k = 0; k < 8; k++) {
      int step = (FIRST[k] * scale + 50) / 100;
      double f = 0, norm = k == 0 ? sqrt(0.125) : 0.5;
      step = step < 1 ? 1 : step > 255 ? 255 : step;
      for (int x = 0; x < 8; x++)
        f += (row[x] - 128) * norm * cos((2 * x + 1) * k * PI / 16);
      f *= sqrt(8); /* along the other axis */
      f = round(f / step) * step / sqrt(8);
      for (int x = 0; x < 8; x++)
        want[x] += f * norm * cos((2 * x + 1) * k * PI / 16);
    }
    struct pixels image = {bytes, 8, 8, 1};
    imgrec__requantize(&image, (float)quality);
    for (int i = 0; i < 64; i++) {
      double v = fmin(255, fmax(0, want[i % 8] + 128));
      assert_true(fabs(bytes[i] - v) <= 0.501);
    }
  }
}

/* Colour of large patches and all of a smooth image stay at high quality. */
static void test_requantize__quality_100(void **state) {
  (void)state;
  enum { H = 37, W = 45 };
  static unsigned char bytes[H * W * 3], before[H * W * 3];
  for (int i = 0; i < H * W * 3; i++)
    bytes[i] = (unsigned char)(128 + 50 * sin(i / 3 % W * 0.1 + i % 3) +
                               50 * cos(i / 3 / W * 0.1));
  memcpy(before, bytes, sizeof bytes);
  struct pixels image = {bytes, H, W, 3};
  imgrec__requantize(&image, 100);
  for (int i = 0; i < H * W * 3; i++)
    assert_true(abs(bytes[i] - before[i]) <= 8);
}

static double error_at(float quality, int h, int w, int c) {
  static unsigned char bytes[48 * 48 * 3], before[48 * 48 * 3];
  size_t n = (size_t)(h * w * c);
  struct pixels image = {bytes, h, w, c};
  double sum = 0;
  fill_random_bytes(bytes, n, 60, 130);
  memcpy(before, bytes, n);
  imgrec__requantize(&image, quality);
  for (size_t i = 0; i < n; i++)
    sum += (bytes[i] - before[i]) * (bytes[i] - before[i]);
  return sum / (double)n;
}

/* Worse and worse; sides that are no multiple of a block. */
static void test_requantize__worse(void **state) {
  (void)state;
  static const int sizes[][2] = {{48, 48}, {1, 1}, {17, 9}, {8, 31}};
  for (int i = 0; i < 4; i++)
    for (int c = 1; c <= 3; c += 2) {
      double best = error_at(100, sizes[i][0], sizes[i][1], c);
      double good = error_at(75, sizes[i][0], sizes[i][1], c);
      double bad = error_at(10, sizes[i][0], sizes[i][1], c);
      assert_true(best <= good && good <= bad);
      assert_true(c == 3 || best < 0.5);
    }
}

/* What has been through it changes little when it goes through it again. */
static void test_requantize__twice(void **state) {
  (void)state;
  static unsigned char bytes[32 * 32], once[32 * 32];
  struct pixels image = {bytes, 32, 32, 1};
  int changed = 0;
  fill_random_bytes(bytes, sizeof bytes, 100, 60);
  imgrec__requantize(&image, 60);
  memcpy(once, bytes, sizeof bytes);
  imgrec__requantize(&image, 60);
  for (size_t i = 0; i < sizeof bytes; i++)
    changed += abs(bytes[i] - once[i]) > 1;
  assert_true(changed < 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_requantize__one_block),
      cmocka_unit_test(test_requantize__quality_100),
      cmocka_unit_test(test_requantize__worse),
      cmocka_unit_test(test_requantize__twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
