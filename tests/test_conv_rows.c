/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv_rows.c: shapes of all kinds, alone and together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convs.h"

static const struct driver rows = {.name = "rows",
                                   .fits = imgrec__rows_fits,
                                   .prepared = imgrec__rows_prepared,
                                   .prepare = imgrec__rows_prepare,
                                   .forward = imgrec__rows_forward,
                                   .gradient_fits = imgrec__rows_gradient_fits,
                                   .gradient_scratch =
                                       imgrec__rows_gradient_scratch,
                                   .gradient = imgrec__rows_gradient};

/* Padding may reach beyond the kernel, or be negative, as a gradient by the
 * input has it. */
static int some_shape(struct conv *c) {
  size_t groups = below(3) ? 1 : 1 + below(4);
  *c = conv_shape(1 + below(5), 1 + below(12), 1 + below(20),
                  groups * (1 + below(20)), groups * (1 + below(40)), 1, 0);
  c->groups = groups;
  for (int axis = 0; axis < 2; axis++) {
    c->kernel[axis] = 1 + (int)below(5);
    c->stride[axis] = below(2) ? 1 : 1 + (int)below(3);
    c->dilation[axis] = below(2) ? 1 : 1 + (int)below(3);
    c->pad[axis] = (int)below(8) - 2;
  }
  return place_outputs(c);
}

static void test_conv_rows__random_shapes(void **state) {
  struct conv c;
  (void)state;
  for (int done = 0; done < 150;)
    if (some_shape(&c)) {
      check_conv(&rows, c);
      done++;
    }
}

/* A kernel of one pixel, whose rows are cut anywhere; also where padding or a
 * stride forbids it. */
static void test_conv_rows__single_pixels(void **state) {
  struct conv c = conv_shape(3, 13, 11, 17, 33, 1, 0);
  (void)state;
  check_conv(&rows, c);
  check_conv(&rows, conv_shape(1, 1, 97, 5, 3, 1, 0));
  check_conv(&rows, conv_shape(5, 1, 1, 40, 70, 1, 0));
  check_conv(&rows, conv_shape(2, 4, 5, 6, 7, 1, 1));
  check_conv(&rows, conv_shape(2, 4, 5, 6, 7, 1, -1));
  c.stride[1] = 2;
  assert_true(place_outputs(&c));
  check_conv(&rows, c);
}

/* One row, one column; a kernel as long as the image; one that sees little
 * but padding. */
static void test_conv_rows__extremes(void **state) {
  struct conv c = conv_shape(2, 1, 300, 3, 5, 1, 0);
  (void)state;
  c.kernel[1] = 255;
  assert_true(place_outputs(&c));
  check_conv(&rows, c);
  c = conv_shape(2, 300, 1, 3, 5, 1, 0);
  c.kernel[0] = 255;
  c.pad[0] = 254;
  assert_true(place_outputs(&c));
  check_conv(&rows, c);
  c = conv_shape(1, 2, 3, 2, 1, 2, 60);
  c.dilation[0] = c.dilation[1] = 100;
  assert_true(place_outputs(&c));
  check_conv(&rows, c);
  check_conv(&rows, conv_shape(4, 3, 3, 512, 1, 3, 1));
  check_conv(&rows, conv_shape(1, 5, 4, 1, 300, 2, 0));
}

/* Few rows of many outputs: threads share the panels of one strip. */
static void test_conv_rows__panels_are_shared(void **state) {
  struct conv c = conv_shape(1, 4, 4, 24, 200, 3, 1);
  (void)state;
  for (int i = 0; i < 4; i++)
    check_conv(&rows, c);
  c.groups = 8;
  check_conv(&rows, c);
}

/* More pixels than a chunk, more chunks than slabs. */
static void test_conv_rows__slabs(void **state) {
  struct conv c = conv_shape(3, 47, 43, 2, 3, 2, 1);
  (void)state;
  check_conv(&rows, c);
  check_conv(&rows, conv_shape(7, 75, 74, 1, 1, 2, 0));
  check_conv(&rows, conv_shape(2, 2, 1500, 1, 2, 2, 0));
}

/* Strips fill the workspace to the brim, or are too large for it. */
static void test_conv_rows__widths(void **state) {
  size_t floats = IMGREC__WORKSPACE / sizeof(float);
  struct conv c = conv_shape(1, 3, floats / 3 / 64 - 2, 64, 1, 3, 1);
  (void)state;
  check_conv(&rows, c);
  c.out.pool = 1;
  assert_false(imgrec__rows_fits(&c));
  c = conv_shape(1, 3, floats / 3 / 64 - 1, 64, 1, 3, 1);
  assert_false(imgrec__rows_fits(&c));
  c = conv_shape(1, 3, 1000, 64, 300, 3, 1);
  assert_true(imgrec__rows_fits(&c));
  assert_false(imgrec__rows_gradient_fits(&c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_rows__random_shapes),
      cmocka_unit_test(test_conv_rows__single_pixels),
      cmocka_unit_test(test_conv_rows__extremes),
      cmocka_unit_test(test_conv_rows__panels_are_shared),
      cmocka_unit_test(test_conv_rows__slabs),
      cmocka_unit_test(test_conv_rows__widths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
