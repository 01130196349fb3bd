/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv_winograd.c: errors against f64 within a stated bound,
 * and bits that depend on nothing but the numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convs.h"

/* The greatest error that the random shapes may have, by the rms of what is
 * right. */
#define BOUND 5e-5

static const struct driver winograd = {
    .name = "Winograd",
    .fits = imgrec__winograd_fits,
    .prepared = imgrec__winograd_prepared,
    .prepare = imgrec__winograd_prepare,
    .forward = imgrec__winograd_forward,
    .gradient_fits = imgrec__winograd_gradient_fits,
    .gradient_scratch = imgrec__winograd_gradient_scratch,
    .gradient = imgrec__winograd_gradient,
    .bound = BOUND};

/* Plain sums, to compare errors with. */
static const struct driver rows = {.prepared = imgrec__rows_prepared,
                                   .prepare = imgrec__rows_prepare,
                                   .forward = imgrec__rows_forward,
                                   .gradient_scratch =
                                       imgrec__rows_gradient_scratch,
                                   .gradient = imgrec__rows_gradient};

static void test_conv_winograd__random_shapes(void **state) {
  (void)state;
  for (int done = 0; done < 60;) {
    struct conv c = conv_shape(1 + below(5), 3 + below(14), 3 + below(14),
                               16 + below(40), 16 + below(60), 3, 1);
    c.pad[0] = (int)below(5) - 1;
    c.pad[1] = (int)below(5) - 1;
    if (!place_outputs(&c) || !imgrec__winograd_fits(&c))
      continue;
    check_conv(&winograd, c);
    done++;
  }
}

/* One row of tiles, one column of them, many more outputs than are done at a
 * time, and the most channels. */
static void test_conv_winograd__extremes(void **state) {
  (void)state;
  check_conv(&winograd, conv_shape(2, 4, 90, 16, 17, 3, 1));
  check_conv(&winograd, conv_shape(2, 90, 4, 17, 16, 3, 1));
  check_conv(&winograd, conv_shape(1, 8, 8, 16, 331, 3, 1));
  check_conv(&winograd, conv_shape(1, 5, 5, 512, 16, 3, 2));
  check_conv(&winograd, conv_shape(2, 4, 4, 384, 384, 3, 1));
}

/* More tiles than a slab, and more slabs than there may be. */
static void test_conv_winograd__slabs(void **state) {
  (void)state;
  check_conv(&winograd, conv_shape(5, 23, 24, 16, 19, 3, 1));
  check_conv(&winograd, conv_shape(3, 90, 90, 16, 16, 3, 1));
}

/* ---- Errors -------------------------------------------------------------- */

/* Uniform numbers; errors by the rms of what is right, of these and of plain
 * sums in f32 (fused, in one order), the rows' way. */
struct both {
  struct errors winograd, plain;
};

static void setup(struct conv *c, float low, float **x, float **w, float **dy) {
  size_t n = c->batch * plane_count(&c->x), m = weight_count(c);
  size_t outputs = c->batch * output_count(&c->out);
  *x = blank(n);
  *w = blank(m);
  *dy = blank(outputs);
  fill_random(*x, n, 1, low, 1);
  fill_random(*w, m, 2, -1, 1);
  fill_random(*dy, outputs, 3, -1, 1);
  c->x.x = *x;
  c->context = new_context(2, IMGREC_ISA_AUTO);
}

static struct both forward_errors(const struct conv *c, const float *w) {
  struct both e;
  size_t n = c->batch * output_count(&c->out);
  struct direct d = {.x = c->x.x, .w = w, .y = zeros(n)};
  direct(&d, c);
  float *y = forward_of(&winograd, c, w, c->context);
  e.winograd = errors_of(y, d.y, n);
  free(y);
  y = forward_of(&rows, c, w, c->context);
  e.plain = errors_of(y, d.y, n);
  free(d.y);
  free(y);
  return e;
}

static struct both gradient_errors(const struct conv *c, const float *dy) {
  size_t n = weight_count(c);
  const struct output *o = &c->out;
  const struct plane plane = {dy, NULL, o->height, o->width, o->channels};
  struct direct d = {.x = c->x.x, .dy = dy, .dw = zeros(n)};
  struct both e;
  direct(&d, c);
  float *dw = gradient_of(&winograd, c, &plane, NULL, c->context);
  e.winograd = errors_of(dw, d.dw, n);
  free(dw);
  dw = gradient_of(&rows, c, &plane, NULL, c->context);
  e.plain = errors_of(dw, d.dw, n);
  free(d.dw);
  free(dw);
  return e;
}

/* The greatest errors, and how many times those of plain sums the rms is. */
static void check_errors(struct conv c, float low, double y, double dw,
                         double times) {
  float *x, *w, *dy;
  setup(&c, low, &x, &w, &dy);
  const struct both e = forward_errors(&c, w), g = gradient_errors(&c, dy);
  assert_errors("y", &c, e.winograd, y);
  assert_errors("dw", &c, g.winograd, dw);
  assert_true(e.winograd.rms < times * e.plain.rms);
  assert_true(g.winograd.rms < (times + 1) * g.plain.rms);
  imgrec_context_destroy(c.context);
  free(x);
  free(w);
  free(dy);
}

/* Numbers of both signs, and as a ReLU leaves them. */
static void test_conv_winograd__errors(void **state) {
  static const struct {
    size_t channels, size;
    double both_signs, positive;
  } cases[] = {{16, 24, 1e-5, 5e-6},
               {64, 16, 1.5e-5, 8e-6},
               {128, 12, 2.5e-5, 1e-5},
               {512, 8, 2.5e-5, 1.5e-5}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t size = cases[i].size;
    struct conv c = conv_shape(2, size, size, cases[i].channels, 32, 3, 1);
    check_errors(c, -1, cases[i].both_signs, 1e-5, 3);
    check_errors(c, 0, cases[i].positive, 8e-6, 2);
  }
}

/* ---- Which shapes -------------------------------------------------------- */

static struct conv some(size_t size, size_t channels, size_t filters) {
  return conv_shape(1, size, size, channels, filters, 3, 1);
}

static void test_conv_winograd__fits(void **state) {
  struct conv c = some(8, 16, 16);
  (void)state;
  assert_true(imgrec__winograd_fits(&c));
  c.batch = 1000;
  c.out.pool = 1;
  assert_true(imgrec__winograd_fits(&c));
  c.stride[1] = 2;
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 16, 16);
  c.dilation[0] = 2;
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 32, 32);
  c.groups = 2;
  assert_false(imgrec__winograd_fits(&c));
  c = conv_shape(1, 8, 8, 16, 16, 5, 2);
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 15, 16);
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 16, 15);
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 513, 16);
  assert_false(imgrec__winograd_fits(&c));
  c = some(2, 64, 64);
  assert_false(imgrec__winograd_fits(&c));
  c = some(8, 512, 512);
  assert_true(imgrec__winograd_fits(&c));
  assert_false(imgrec__winograd_gradient_fits(&c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_winograd__random_shapes),
      cmocka_unit_test(test_conv_winograd__extremes),
      cmocka_unit_test(test_conv_winograd__slabs),
      cmocka_unit_test(test_conv_winograd__errors),
      cmocka_unit_test(test_conv_winograd__fits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
