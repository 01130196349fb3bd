/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/op.c: windows, shapes in words, ranges, sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nets.h"

static void test_op__shape_text(void **state) {
  (void)state;
  char text[64];
  const struct shape image = {24, 7, 3, 0}, flat = {1, 1, 128, 1};
  assert_string_equal(imgrec__shape_text(&image, text), "24 x 7 x 3");
  assert_string_equal(imgrec__shape_text(&flat, text), "128");
}

/* The size of one axis after a window: found by trying all positions. */
static int64_t positions(int64_t in, int64_t kernel, int64_t stride,
                         int64_t dilation, int64_t before, int64_t behind) {
  int64_t count = 0, extent = (kernel - 1) * dilation + 1;
  for (int64_t at = -before; at + extent <= in + behind; at += stride)
    count++;
  return count;
}

static struct node window_node(int64_t in, int64_t kernel, int64_t stride,
                               int64_t dilation) {
  struct node n;
  memset(&n, 0, sizeof n);
  n.op = &imgrec__op_max_pool2d;
  n.in[0] = (struct shape){in, in, 2, 0};
  for (int axis = 0; axis < 2; axis++) {
    n.kernel[axis] = kernel;
    n.stride[axis] = stride;
    n.dilation[axis] = dilation;
  }
  return n;
}

static void test_op__window_numbers(void **state) {
  (void)state;
  struct error e;
  for (int64_t in = 1; in < 12; in++)
    for (int64_t kernel = 1; kernel < 6; kernel++)
      for (int64_t stride = 1; stride < 5; stride++)
        for (int64_t dilation = 1; dilation < 4; dilation++)
          for (int64_t pad = 0; pad < 4; pad++) {
            struct node n = window_node(in, kernel, stride, dilation);
            n.pad[0] = n.pad[2] = n.pad[1] = n.pad[3] = pad;
            int64_t extent = (kernel - 1) * dilation + 1;
            int right = pad < extent && in + 2 * pad >= extent;
            assert_int_equal(imgrec__window_setup(&n, &e) == 0, right);
            if (right)
              assert_int_equal(
                  n.out.h, positions(in, kernel, stride, dilation, pad, pad));
          }
}

/* Padding "same": ceil(in / stride) outputs, the odd zero behind. */
static void test_op__window_same(void **state) {
  (void)state;
  struct error e;
  for (int64_t in = 1; in < 12; in++)
    for (int64_t kernel = 1; kernel < 6; kernel++)
      for (int64_t stride = 1; stride < 5; stride++)
        for (int64_t dilation = 1; dilation < 4; dilation++) {
          struct node n = window_node(in, kernel, stride, dilation);
          n.pad_same = 1;
          assert_int_equal(imgrec__window_setup(&n, &e), 0);
          assert_int_equal(n.out.w, (in + stride - 1) / stride);
          assert_int_equal(n.out.w, positions(in, kernel, stride, dilation,
                                              n.pad[1], n.pad[3]));
          assert_in_range(n.pad[3] - n.pad[1], 0, 1);
        }
}

static void mark(const void *arg, size_t begin, size_t end) {
  unsigned char *const *seen = arg;
  for (size_t i = begin; i < end; i++)
    (*seen)[i]++;
}

/* Every number once, whatever the piece; a piece of 0 is taken as 1. */
static void test_op__parallel_range(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(3, IMGREC_ISA_AUTO);
  for (size_t count = 0; count < 40; count += 13)
    for (size_t piece = 0; piece < 50; piece += 7) {
      unsigned char *seen = calloc(count + 1, 1);
      imgrec__parallel_range(ctx, count, piece, mark, &seen);
      for (size_t i = 0; i < count; i++)
        assert_int_equal(seen[i], 1);
      assert_int_equal(seen[count], 0);
      free(seen);
    }
  imgrec_context_destroy(ctx);
}

/* Against long sums in f64; `partial` has no float more than was said. */
static void check_sums(imgrec_context *ctx, size_t rows, size_t c) {
  float *x = malloc(rows * c * sizeof *x), *y = malloc(rows * c * sizeof *y);
  double *sum = malloc(2 * c * sizeof *sum), *dot = sum + c;
  float *partial =
      malloc(imgrec__column_sums_scratch(rows, c) * sizeof *partial);
  fill_random(x, rows * c, 1, -1, 1);
  fill_random(y, rows * c, 2, -1, 1);
  imgrec__column_sums(ctx, sum, dot, x, y, rows, c, partial);
  for (size_t j = 0; j < c; j++) {
    double s = 0, d = 0;
    for (size_t i = 0; i < rows; i++) {
      s += (double)x[i * c + j];
      d += (double)x[i * c + j] * (double)y[i * c + j];
    }
    assert_true(fabs(sum[j] - s) < 1e-9 && fabs(dot[j] - d) < 1e-9);
  }
  free(x);
  free(y);
  free(sum);
  free(partial);
}

static void test_op__column_sums(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  check_sums(ctx, 1, 1);
  check_sums(ctx, 511, 3);
  check_sums(ctx, 513, 17);
  check_sums(ctx, 512 * 256 + 1, 2); /* longer pieces, not more of them */
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_op__shape_text),
      cmocka_unit_test(test_op__window_numbers),
      cmocka_unit_test(test_op__window_same),
      cmocka_unit_test(test_op__parallel_range),
      cmocka_unit_test(test_op__column_sums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
