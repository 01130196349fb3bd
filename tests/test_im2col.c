/* SPDX-License-Identifier: MIT */
/* Patch matrices against their definition, element by element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "tensor.h"

#define UNTOUCHED 12345.0f

static uint64_t seed;

static uint32_t next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

static size_t below(size_t n) { return next_random() % n; }

/* Small whole numbers, none zero, so that sums in double are exact. */
static float *whole_numbers(size_t n) {
  float *p = malloc(n * sizeof *p);
  for (size_t i = 0; i < n; i++)
    p[i] = (float)(1 + (int)below(9)) * (below(2) ? 1.0f : -1.0f);
  return p;
}

struct place {
  size_t image, y, x, tap_y, tap_x, c;
};

static struct place place_of(const struct patches *p, size_t row, size_t col) {
  size_t taps = (size_t)p->kernel[1];
  return (struct place){.image = row / p->out_width / p->out_height,
                        .y = row / p->out_width % p->out_height,
                        .x = row % p->out_width,
                        .tap_y = col / p->channels / taps,
                        .tap_x = col / p->channels % taps,
                        .c = col % p->channels};
}

/* Returns 0 where the tap reads nothing along this axis. */
static int reads(const struct patches *p, int axis, size_t o, size_t k,
                 size_t size, int *at) {
  int tap = (int)k * p->dilation[axis];
  *at = (int)o * p->stride[axis] + tap - p->pad[axis];
  return *at >= 0 && *at < (int)size;
}

static float element(const struct patches *p, size_t row, size_t col) {
  struct place at = place_of(p, row, col);
  int y, x;
  if (!reads(p, 0, at.y, at.tap_y, p->height, &y) ||
      !reads(p, 1, at.x, at.tap_x, p->width, &x))
    return 0.0f;
  size_t pixel = (at.image * p->height + (size_t)y) * p->width + (size_t)x;
  return p->x[pixel * p->pixel + p->c0 + at.c];
}

static struct patches some_patches(size_t images) {
  struct patches p = {.height = 1 + below(9), .width = 1 + below(9)};
  size_t size[2] = {p.height, p.width}, out[2];
  p.channels = 1 + below(below(2) ? 5 : 40);
  p.pixel = p.channels;
  if (below(2)) {
    p.c0 = below(4);
    p.pixel += p.c0 + below(3);
  }
  for (int i = 0; i < 2; i++) {
    p.kernel[i] = 1 + (int)below(5);
    p.stride[i] = 1 + (int)below(3);
    p.dilation[i] = 1 + (int)below(2);
    p.pad[i] = (int)below(4);
    out[i] = 1 + below(2 * size[i]);
  }
  p.out_height = out[0];
  p.out_width = out[1];
  p.x = whole_numbers(images * p.height * p.width * p.pixel);
  return p;
}

/* A part of the matrix, into rows that are wider than it. */
static void check_part(const struct patches *p, size_t images) {
  size_t all_rows = images * p->out_height * p->out_width;
  size_t all_cols = (size_t)(p->kernel[0] * p->kernel[1]) * p->channels;
  size_t row = below(all_rows), rows = 1 + below(all_rows - row);
  size_t col = below(all_cols), cols = 1 + below(all_cols - col);
  size_t stride = cols + below(4);
  float *dst = malloc(rows * stride * sizeof *dst);
  for (size_t i = 0; i < rows * stride; i++)
    dst[i] = UNTOUCHED;
  imgrec__fill_patches(p, row, rows, col, cols, dst, stride);
  for (size_t i = 0; i < rows * stride; i++) {
    size_t r = i / stride, c = i % stride;
    float want = c < cols ? element(p, row + r, col + c) : UNTOUCHED;
    if (!(dst[i] == want))
      fail_msg("(%zu, %zu) is %g, not %g", row + r, col + c, (double)dst[i],
               (double)want);
  }
  free(dst);
}

static void test_im2col__any_part(void **state) {
  (void)state;
  for (int i = 0; i < 2000; i++) {
    size_t images = 1 + below(3);
    struct patches p = some_patches(images);
    for (int j = 0; j < 4; j++)
      check_part(&p, images);
    free((void *)p.x);
  }
}

/* The first layer of most networks: three channels, 27 columns. */
static void test_im2col__rgb(void **state) {
  struct patches p = {.height = 6,
                      .width = 7,
                      .pixel = 3,
                      .channels = 3,
                      .out_height = 6,
                      .out_width = 7,
                      .kernel = {3, 3},
                      .stride = {1, 1},
                      .pad = {1, 1},
                      .dilation = {1, 1}};
  float dst[42 * 27];
  (void)state;
  p.x = whole_numbers(6 * 7 * 3);
  imgrec__fill_patches(&p, 0, 42, 0, 27, dst, 27);
  for (size_t i = 0; i < 42 * 27; i++)
    assert_true(dst[i] == element(&p, i / 27, i % 27));
  assert_true(dst[0] == 0.0f);
  assert_true(dst[12] == p.x[0]);
  free((void *)p.x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_im2col__any_part),
      cmocka_unit_test(test_im2col__rgb),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
