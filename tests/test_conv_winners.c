/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv_winners.c: both gradients behind a max pooling, of
 * shapes of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convs.h"

struct winners_case {
  struct conv c;
  struct plane dy; /* behind the pooling */
  float *plain;    /* the same, spread out */
  float *x, *w;
  imgrec_context *ctx;
};

static float *weight_gradient(const struct winners_case *t, const float *start,
                              imgrec_context *ctx) {
  static const struct driver driver = {.gradient_scratch =
                                           imgrec__winners_gradient_scratch,
                                       .gradient = imgrec__winners_gradient};
  return gradient_of(&driver, &t->c, &t->dy, start, ctx);
}

static float *input_gradient(const struct winners_case *t,
                             imgrec_context *ctx) {
  struct conv c = t->c;
  size_t n = c.batch * plane_count(&c.x);
  uint32_t *dx = guarded(n);
  float *prepared = blank(imgrec__winners_prepared(&c));
  c.context = ctx;
  imgrec__winners_input_gradient(&c, &t->dy, t->w, (float *)dx, prepared);
  assert_canary(dx, n);
  free(prepared);
  return (float *)dx;
}

/* Each is a sum of at most a product for each window of the batch (dw), or for
 * each weight that reaches it (dx). */
static void check_values(const struct winners_case *t, const float *dw,
                         const float *dx) {
  size_t n = t->c.batch * plane_count(&t->c.x), weights = weight_count(&t->c);
  size_t windows = t->c.batch * plane_count(&t->dy) / t->dy.channels;
  struct direct d = {t->x, t->w, t->plain, NULL, zeros(weights), zeros(n), 0};
  struct direct size = {t->x,           t->w,     t->plain, NULL,
                        zeros(weights), zeros(n), 1};
  direct(&d, &t->c);
  direct(&size, &t->c);
  assert_sums("dw", &t->c, dw, d.dw, size.dw, weights, windows);
  if (dx)
    assert_sums("dx", &t->c, dx, d.dx, size.dx, n, weights / t->c.x.channels);
  free(d.dw);
  free(d.dx);
  free(size.dw);
  free(size.dx);
}

static void check_bits(const struct winners_case *t, const float *dw,
                       const float *dx, imgrec_context *ctx) {
  size_t n = weight_count(&t->c);
  float *start = numbers(n, PLAIN), *again = weight_gradient(t, NULL, ctx);
  float *added = weight_gradient(t, start, ctx);
  assert_bits("dw", &t->c, dw, again, n);
  for (size_t i = 0; i < n; i++)
    start[i] += dw[i];
  assert_bits("dw added", &t->c, start, added, n);
  free(start);
  free(again);
  free(added);
  if (!dx)
    return;
  again = input_gradient(t, ctx);
  assert_bits("dx", &t->c, dx, again, t->c.batch * plane_count(&t->c.x));
  free(again);
}

/* A gradient behind a ReLU that let nothing through is zero. */
static struct plane some_gradient(const struct conv *c) {
  const struct plane whole = {NULL, NULL, c->out.height, c->out.width,
                              c->out.channels};
  struct plane p = random_pooled(whole, c->batch);
  float *d = (float *)(uintptr_t)p.x;
  for (size_t i = 0; i < c->batch * plane_count(&p); i++)
    if (p.won[i] == 4)
      d[i] = 0;
  return p;
}

static void check_winners(struct conv c) {
  struct winners_case t = {.c = c, .dy = some_gradient(&c)};
  assert_true(imgrec__winners_fits(&c));
  t.ctx = new_context(1, IMGREC_ISA_AUTO);
  t.plain = expanded(&t.dy, c.batch);
  t.x = numbers(c.batch * plane_count(&c.x), PLAIN);
  t.w = numbers(weight_count(&c), PLAIN);
  t.c.x.x = t.x;
  float *dw = weight_gradient(&t, NULL, t.ctx), *dx = NULL;
  if (imgrec__winners_input_fits(&c))
    dx = input_gradient(&t, t.ctx);
  check_values(&t, dw, dx);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *ctx = new_context(1 + (int)below(5), isa);
    check_bits(&t, dw, dx, ctx);
    imgrec_context_destroy(ctx);
  }
  imgrec_context_destroy(t.ctx);
  free_plane(&t.dy);
  free(t.plain);
  free(t.x);
  free(t.w);
  free(dw);
  free(dx);
}

/* Every other one with whole vectors of channels, as dx needs them. */
static int some_shape(struct conv *c) {
  size_t channels = below(2) ? 8 * (1 + below(7)) : 1 + below(40);
  *c = conv_shape(1 + below(5), 2 + below(12), 2 + below(30), channels,
                  1 + below(20), 1, 0);
  for (int axis = 0; axis < 2; axis++) {
    c->kernel[axis] = 1 + (int)below(6);
    c->stride[axis] = below(2) ? 1 : 1 + (int)below(3);
    c->pad[axis] = (int)below(6);
  }
  c->dilation[0] = below(2) ? 1 : 1 + (int)below(3);
  return place_outputs(c) && c->out.height > 1 && c->out.width > 1;
}

static void test_conv_winners__random_shapes(void **state) {
  struct conv c;
  (void)state;
  for (int done = 0; done < 150;)
    if (some_shape(&c)) {
      check_winners(c);
      done++;
    }
}

/* x behind a pooling itself gives what it stands for. */
static void test_conv_winners__pooled_x(void **state) {
  struct conv c = conv_shape(3, 13, 14, 5, 6, 3, 1);
  struct winners_case t = {.c = c, .dy = some_gradient(&c)};
  const struct plane pooled = random_pooled(c.x, c.batch);
  (void)state;
  t.ctx = new_context(2, IMGREC_ISA_AUTO);
  t.x = expanded(&pooled, c.batch);
  t.c.x.x = t.x;
  float *want = weight_gradient(&t, NULL, t.ctx);
  t.c.x = pooled;
  float *dw = weight_gradient(&t, NULL, t.ctx);
  assert_bits("of a pooled plane", &c, want, dw, weight_count(&c));
  imgrec_context_destroy(t.ctx);
  free_plane(&t.dy);
  free_plane(&pooled);
  free(t.x);
  free(want);
  free(dw);
}

/* Blocks narrower than a row; more chunks than slabs. */
static void test_conv_winners__blocks(void **state) {
  (void)state;
  check_winners(conv_shape(2, 11, 230, 16, 5, 3, 1));
  check_winners(conv_shape(1, 6, 40, 300, 3, 5, 0));
  check_winners(conv_shape(7, 75, 74, 1, 3, 5, 2));
}

static void test_conv_winners__what_does_not_fit(void **state) {
  struct conv c = conv_shape(1, 8, 8, 8, 4, 3, 1);
  (void)state;
  assert_true(imgrec__winners_input_fits(&c));
  c.groups = 2;
  assert_false(imgrec__winners_fits(&c));
  c = conv_shape(1, 8, 8, 9, 4, 3, 1);
  assert_true(imgrec__winners_fits(&c));
  assert_false(imgrec__winners_input_fits(&c));
  c.dilation[1] = 2;
  assert_false(imgrec__winners_fits(&c));
  c = conv_shape(1, 600, 600, 8, 4, 3, 1);
  assert_true(imgrec__winners_fits(&c));
  assert_false(imgrec__winners_input_fits(&c));
  c = conv_shape(1, 3, 3, 8, 4, 3, 0); /* a single pixel, and no window */
  assert_false(imgrec__winners_fits(&c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_winners__random_shapes),
      cmocka_unit_test(test_conv_winners__pooled_x),
      cmocka_unit_test(test_conv_winners__blocks),
      cmocka_unit_test(test_conv_winners__what_does_not_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
