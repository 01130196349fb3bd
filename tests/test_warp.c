/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/warp.c against a bilinear filter in doubles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

#define ONE ((int64_t)1 << IMGREC__WARP_BITS)
enum { H = 7, W = 9 };

static void fill_image(unsigned char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    p[i] = (unsigned char)imgrec__random_below(3, 1, i, 256);
}

static int reach(int i, int n, int fill) {
  if (i >= 0 && i < n)
    return i;
  if (fill == IMGREC_FILL_BLACK)
    return -1;
  if (fill == IMGREC_FILL_EDGE)
    return i < 0 ? 0 : n - 1;
  while (i < 0 || i >= n)
    i = i < 0 ? -1 - i : 2 * n - 1 - i;
  return i;
}

static double pixel(const struct pixels *p, int y, int x, int k, int fill) {
  y = reach(y, p->height, fill);
  x = reach(x, p->width, fill);
  return y < 0 || x < 0 ? 0 : p->data[(y * p->width + x) * p->channels + k];
}

static double at(const struct pixels *p, double y, double x, int k, int fill) {
  int y0 = (int)floor(y), x0 = (int)floor(x);
  double fy = y - y0, fx = x - x0;
  return (pixel(p, y0, x0, k, fill) * (1 - fx) +
          pixel(p, y0, x0 + 1, k, fill) * fx) *
             (1 - fy) +
         (pixel(p, y0 + 1, x0, k, fill) * (1 - fx) +
          pixel(p, y0 + 1, x0 + 1, k, fill) * fx) *
             fy;
}

/* Weights of 11 bits are off by 2^-12 each: by less than half of 255 in all. */
static void compare(const struct pixels *src, const struct warp *m, int height,
                    int width, int fill, double bound) {
  unsigned char *out = malloc((size_t)(height * width * src->channels));
  imgrec__warp(out, height, width, src, m, fill);
  for (int i = 0; i < height * width * src->channels; i++) {
    int k = i % src->channels, x = i / src->channels % width;
    int y = i / src->channels / width;
    double place[2];
    for (int j = 0; j < 2; j++)
      place[j] = (double)(m->at[j] + y * m->by_y[j] + x * m->by_x[j]) / ONE;
    assert_true(fabs(out[i] - at(src, place[0], place[1], k, fill)) <= bound);
  }
  free(out);
}

static int64_t random_fixed(uint64_t index, double low, double high) {
  double u = (double)imgrec__random_unit(9, 2, index);
  return (int64_t)((low + (high - low) * u) * ONE);
}

static void test_warp__bilinear(void **state) {
  (void)state;
  unsigned char bytes[H * W * 3];
  fill_image(bytes, sizeof bytes);
  for (uint64_t i = 0; i < 300; i++) {
    struct pixels src = {bytes, H, W, i % 2 ? 3 : 1};
    struct warp m = {
        {random_fixed(8 * i, -9, 9), random_fixed(8 * i + 1, -9, 9)},
        {random_fixed(8 * i + 2, -2, 2), random_fixed(8 * i + 3, -1, 1)},
        {random_fixed(8 * i + 4, -1, 1), random_fixed(8 * i + 5, -2, 2)}};
    compare(&src, &m, 1 + (int)(i % 13), 1 + (int)(i % 11), (int)(i % 3), 0.76);
  }
}

/* Steps of a pixel forward or back, from any whole place: no rounding. */
static void test_warp__whole_pixels(void **state) {
  (void)state;
  unsigned char bytes[H * W * 3];
  fill_image(bytes, sizeof bytes);
  for (int i = 0; i < 4 * 3 * 25 * 25; i++) {
    int turn = i % 4, fill = i / 4 % 3, y = i / 12 % 25 - 12, x = i / 300 - 12;
    struct pixels src = {bytes, H, W, i % 2 ? 3 : 1};
    struct warp m = {{y * ONE, x * ONE},
                     {turn & 1 ? ONE : -ONE, 0},
                     {0, turn & 2 ? ONE : -ONE}};
    compare(&src, &m, 6, 8, fill, 0);
  }
}

/* The slow way with nothing to divide gives what the fast one copies. */
static void test_warp__no_fraction_is_exact(void **state) {
  (void)state;
  unsigned char bytes[H * W * 3], out[H * W * 3];
  struct pixels src = {bytes, H, W, 3};
  fill_image(bytes, sizeof bytes);
  struct warp m = {{0, 0}, {ONE, 0}, {0, ONE}};
  imgrec__warp(out, H, W, &src, &m, IMGREC_FILL_BLACK);
  assert_memory_equal(out, bytes, sizeof out);
  m.at[0] = 1; /* far below what a weight resolves */
  imgrec__warp(out, H, W, &src, &m, IMGREC_FILL_BLACK);
  assert_memory_equal(out, bytes, sizeof out);
}

static void test_warp__one_pixel(void **state) {
  (void)state;
  unsigned char byte = 77, out[9];
  struct pixels src = {&byte, 1, 1, 1};
  struct warp m = {{-ONE, -ONE}, {ONE, 0}, {0, ONE}};
  imgrec__warp(out, 3, 3, &src, &m, IMGREC_FILL_REFLECT);
  for (int i = 0; i < 9; i++)
    assert_int_equal(out[i], 77);
  imgrec__warp(out, 3, 3, &src, &m, IMGREC_FILL_BLACK);
  for (int i = 0; i < 9; i++)
    assert_int_equal(out[i], i == 4 ? 77 : 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_warp__bilinear),
      cmocka_unit_test(test_warp__whole_pixels),
      cmocka_unit_test(test_warp__no_fraction_is_exact),
      cmocka_unit_test(test_warp__one_pixel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
