/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv_scatter.c: the gradient by the input of shapes of all
 * kinds, alone and together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convs.h"

struct scatter_case {
  struct conv c;
  float *w, *plain; /* dy, spread out where it is behind a pooling */
  struct plane dy;
  size_t n; /* of dx */
};

static float *gradient(const struct scatter_case *t, const struct plane *dy,
                       size_t batch, imgrec_context *ctx) {
  struct conv c = t->c;
  size_t n = batch * plane_count(&c.x);
  uint32_t *dx = guarded(n);
  float *prepared = blank(imgrec__scatter_prepared(&c));
  c.batch = batch;
  c.context = ctx;
  imgrec__scatter_gradient(&c, dy, t->w, (float *)dx, prepared);
  assert_canary(dx, n);
  free(prepared);
  return (float *)dx;
}

/* Each dx is a sum of at most taps * O/G products. */
static void check_values(const struct scatter_case *t, const float *dx) {
  struct direct d = {.w = t->w, .dy = t->plain, .dx = zeros(t->n)};
  struct direct sizes = {
      .w = t->w, .dy = t->plain, .dx = zeros(t->n), .size = 1};
  direct(&d, &t->c);
  direct(&sizes, &t->c);
  assert_sums("dx", &t->c, dx, d.dx, sizes.dx, t->n,
              weight_count(&t->c) / t->c.x.channels);
  free(d.dx);
  free(sizes.dx);
}

/* Other threads and instruction sets, dy as it lies, each image alone. */
static void check_bits(const struct scatter_case *t, const float *dx) {
  size_t image = plane_count(&t->c.x);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *ctx = new_context(1 + (int)below(5), isa);
    float *again = gradient(t, &t->dy, t->c.batch, ctx);
    assert_bits("dx", &t->c, dx, again, t->n);
    free(again);
    for (size_t i = 0; i < t->c.batch; i++) {
      const struct plane dy = imgrec__plane_of(&t->dy, i);
      float *alone = gradient(t, &dy, 1, ctx);
      assert_bits("dx alone", &t->c, dx + i * image, alone, image);
      free(alone);
    }
    imgrec_context_destroy(ctx);
  }
}

static void check_scatter(struct conv c) {
  struct plane dy = {NULL, NULL, c.out.height, c.out.width, c.out.channels};
  struct scatter_case t = {.c = c, .n = c.batch * plane_count(&c.x)};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  assert_true(imgrec__scatter_fits(&c));
  t.w = numbers(weight_count(&c), PLAIN);
  for (int behind_pool = 0; behind_pool < 2; behind_pool++) {
    t.dy = dy;
    if (behind_pool) {
      t.dy = random_pooled(dy, c.batch);
      t.plain = expanded(&t.dy, c.batch);
    } else {
      t.plain = numbers(c.batch * plane_count(&dy), PLAIN);
      t.dy.x = t.plain;
    }
    float *dx = gradient(&t, &t.dy, c.batch, ctx);
    check_values(&t, dx);
    check_bits(&t, dx);
    if (behind_pool)
      free_plane(&t.dy);
    free(t.plain);
    free(dx);
  }
  imgrec_context_destroy(ctx);
  free(t.w);
}

static int some_shape(struct conv *c) {
  size_t groups = below(3) ? 1 : 1 + below(4);
  *c = conv_shape(1 + below(5), 1 + below(12), 1 + below(20),
                  groups * (1 + below(40)), groups * (1 + below(20)), 1, 0);
  c->groups = groups;
  for (int axis = 0; axis < 2; axis++) {
    c->kernel[axis] = 1 + (int)below(5);
    c->stride[axis] = 1 + (int)below(4);
    c->dilation[axis] = below(2) ? 1 : 1 + (int)below(3);
    c->pad[axis] = (int)below(6);
  }
  return place_outputs(c);
}

static void test_conv_scatter__random_shapes(void **state) {
  struct conv c;
  (void)state;
  for (int done = 0; done < 150;)
    if (some_shape(&c)) {
      check_scatter(c);
      done++;
    }
}

/* Strides beyond the kernel leave pixels that no tap reaches; taps that lie in
 * the padding alone; panels shared out among threads. */
static void test_conv_scatter__extremes(void **state) {
  struct conv c = conv_shape(2, 13, 14, 5, 4, 2, 0);
  (void)state;
  c.stride[0] = c.stride[1] = 5;
  assert_true(place_outputs(&c));
  check_scatter(c);
  c = conv_shape(1, 2, 3, 2, 3, 2, 60);
  c.dilation[0] = c.dilation[1] = 100;
  assert_true(place_outputs(&c));
  check_scatter(c);
  check_scatter(conv_shape(1, 4, 4, 200, 9, 3, 1));
  check_scatter(conv_shape(1, 1, 300, 3, 2, 1, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_scatter__random_shapes),
      cmocka_unit_test(test_conv_scatter__extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
