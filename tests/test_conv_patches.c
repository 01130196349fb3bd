/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/conv_patches.c: against f64, and layers whose rows are too
 * long for the other ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "convs.h"

/* As the other drivers are called; weights are read as they are. */
static size_t patches_prepared(const struct conv *c) { return weight_count(c); }

static void patches_prepare(const struct conv *c, const float *w, float *out) {
  memcpy(out, w, weight_count(c) * sizeof *out);
}

static void patches_forward(const struct conv *c) {
  imgrec__patches_forward(c, c->out.epilogue.shift);
}

static const struct driver patches = {.name = "patches",
                                      .prepared = patches_prepared,
                                      .prepare = patches_prepare,
                                      .forward = patches_forward,
                                      .gradient_scratch =
                                          imgrec__patches_gradient_scratch,
                                      .gradient = imgrec__patches_gradient,
                                      .adds_chunks = 1};

static int some_shape(struct conv *c) {
  size_t groups = below(3) ? 1 : 1 + below(3);
  *c = conv_shape(1 + below(4), 1 + below(10), 1 + below(10),
                  groups * (1 + below(9)), groups * (1 + below(20)), 1, 0);
  c->groups = groups;
  for (int axis = 0; axis < 2; axis++) {
    c->kernel[axis] = 1 + (int)below(4);
    c->stride[axis] = 1 + (int)below(3);
    c->dilation[axis] = 1 + (int)below(2);
    c->pad[axis] = (int)below(6);
  }
  return place_outputs(c);
}

static void check_bias(struct conv_case *t) {
  struct conv c = t->c;
  size_t n = c.batch * output_count(&c.out);
  float *bias = numbers(c.out.channels, PLAIN);
  c.out.epilogue.shift = bias;
  float *y = forward_of(&patches, &c, t->w, t->others[0]);
  for (size_t i = 0; i < n; i++)
    y[i] -= t->y[i] + bias[i % c.out.channels];
  for (size_t i = 0; i < n; i++)
    assert_true(y[i] == 0);
  free(bias);
  free(y);
}

static void check_patches(struct conv c) {
  struct conv_case t = {.driver = &patches, .c = c};
  struct plane dy = {NULL, NULL, c.out.height, c.out.width, c.out.channels};
  float *x = numbers(c.batch * plane_count(&c.x), PLAIN), *dw;
  dy.x = numbers(c.batch * plane_count(&dy), PLAIN);
  t.c.x.x = x;
  t.w = numbers(weight_count(&c), PLAIN);
  make_contexts(&t);
  t.y = forward_of(&patches, &t.c, t.w, t.ctx);
  check_forward_values(&t);
  check_forward_contexts(&t);
  check_alone(&t);
  check_bias(&t);
  dw = gradient_of(&patches, &t.c, &dy, NULL, t.ctx);
  check_gradient_values(&t, &dy, dw);
  check_gradient_bits(&t, &dy, dw);
  for (int i = 0; i < t.other_count; i++)
    imgrec_context_destroy(t.others[i]);
  imgrec_context_destroy(t.ctx);
  free_plane(&dy);
  free(x);
  free(t.w);
  free(t.y);
  free(dw);
}

static void test_conv_patches__random_shapes(void **state) {
  struct conv c;
  (void)state;
  for (int done = 0; done < 80;)
    if (some_shape(&c)) {
      check_patches(c);
      done++;
    }
}

/* More rows of patches than a chunk. */
static void test_conv_patches__chunks(void **state) {
  (void)state;
  check_patches(conv_shape(3, 30, 31, 2, 3, 2, 0));
}

/* A row of these is too long for the workspace. */
static void test_conv_patches__long_rows(void **state) {
  struct conv c = conv_shape(2, 2, 700, 200, 2, 2, 1);
  (void)state;
  assert_false(imgrec__rows_fits(&c));
  assert_false(imgrec__rows_gradient_fits(&c));
  check_patches(c);
}

/* The layer itself, of such rows, with what would else be done along. */
static void test_conv_patches__layer(void **state) {
  struct imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *m =
      new_model(ctx,
                "input 4 700 200\nconv2d 3 kernel=2 padding=same\n"
                "batch_norm\nrelu\nmax_pool2d 2\n"
                "global_avg_pool2d\ndense 2\n",
                2, 1);
  (void)state;
  assert_int_equal(m->plan.places[1].last, 1);
  imgrec_tensor *x = new_batch(ctx, m, 2, 3);
  size_t image = imgrec_tensor_nbytes(x) / 2 / sizeof(float);
  float both[4], one[2];
  memcpy(both, imgrec__model_run(m, floats_of(x), 2, m->graph.logits),
         sizeof both);
  memcpy(one, imgrec__model_run(m, floats_of(x) + image, 1, m->graph.logits),
         sizeof one);
  assert_memory_equal(both + 2, one, sizeof one);
  imgrec_tensor_destroy(x);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv_patches__random_shapes),
      cmocka_unit_test(test_conv_patches__chunks),
      cmocka_unit_test(test_conv_patches__long_rows),
      cmocka_unit_test(test_conv_patches__layer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
