/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/depthwise.c: outputs and gradients against f64, and against
 * the grouped convolution that it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

/* Behind another layer, so that its gradient by x is seen. */
static void check(const char *input, int channels, const char *layer,
                  size_t batch) {
  char text[300];
  snprintf(text, sizeof text,
           "input %s\nconv2d %d kernel=1\ndepthwise_conv2d %s\nflatten\n",
           input, channels, layer);
  gradcheck(text, batch);
}

static void test_depthwise__kernels(void **state) {
  (void)state;
  check("5 6 3", 4, "kernel=3", 2);
  check("5 9 3", 17, "kernel=3 padding=same", 1);
  check("6 11 2", 3, "kernel=5 padding=same bias=false", 1);
  check("4 5 2", 3, "kernel=1", 2);
  check("4 5 2", 3, "kernel=2x4 padding=1x3", 2);
}

static void test_depthwise__strides(void **state) {
  (void)state;
  check("7 10 2", 3, "kernel=3 stride=2 padding=1", 2);
  check("7 10 2", 3, "kernel=3 stride=2 padding=same", 1);
  check("7 11 2", 3, "kernel=5 stride=2 padding=same", 1);
  check("7 9 2", 3, "kernel=2 stride=3x1", 2);
  check("7 9 2", 3, "kernel=1 stride=4", 2);
}

static void test_depthwise__dilations(void **state) {
  (void)state;
  check("7 8 2", 3, "kernel=3 dilation=2 padding=same", 2);
  check("7 8 2", 3, "kernel=2 dilation=3x1 stride=2", 2);
  check("9 8 2", 3, "kernel=3 dilation=2 stride=4x2 padding=same", 1);
}

static void test_depthwise__several_filters(void **state) {
  (void)state;
  check("5 6 3", 3, "2 kernel=3 padding=same stride=2", 2);
  check("5 6 3", 2, "3 kernel=1x2 bias=false dilation=2", 1);
}

/* ---- As a grouped convolution ------------------------------------------- */

struct outcome {
  struct trial t;
  float *y;
  const float *dx;
};

/* Logits, gradients, and the gradient by the layer's input. */
static void outcome_of(struct outcome *o, const char *layer, size_t batch) {
  char text[300];
  snprintf(text, sizeof text,
           "input 13 14 1\nconv2d 18 kernel=1\n%s\nflatten\n", layer);
  trial_init(&o->t, text, batch, 1, 2);
  o->y = new_floats(o->t.logits);
  memcpy(o->y, imgrec__pass_forward(&o->t.pass, o->t.pass.graph->logits),
         o->t.logits * sizeof *o->y);
  backward(&o->t);
  o->dx = o->t.arena + o->t.plan.places[1].dy;
}

static void check_close(const float *got, const float *want, size_t n) {
  for (size_t i = 0; i < n; i++)
    assert_true(fabsf(got[i] - want[i]) <= 1e-4F * (1 + fabsf(want[i])));
}

static void check_grouped(const char *words, size_t batch) {
  char layer[200];
  struct outcome got, want;
  snprintf(layer, sizeof layer, "depthwise_conv2d %s", words);
  outcome_of(&got, layer, batch);
  snprintf(layer, sizeof layer, "conv2d 18 groups=18 %s", words);
  outcome_of(&want, layer, batch);
  size_t inputs = batch * shape_count(&got.t.pass.graph->nodes[1].out);
  assert_memory_equal(got.y, want.y, got.t.logits * sizeof(float));
  check_close(got.dx, want.dx, inputs);
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(got.t.model, i)); i++) {
    size_t at = imgrec__param_offset(got.t.model, p);
    check_close(got.t.gradients + at, want.t.gradients + at, p->count);
  }
  free(got.y);
  free(want.y);
  trial_free(&got.t);
  trial_free(&want.t);
}

/* The same bits forward; gradients are sums in another order. */
static void test_depthwise__is_a_grouped_convolution(void **state) {
  (void)state;
  check_grouped("kernel=3 padding=same", 3);
  check_grouped("kernel=3 padding=1 stride=2", 2);
  check_grouped("kernel=5 padding=2", 2);
  check_grouped("kernel=5 padding=2 stride=2 bias=false", 1);
  check_grouped("kernel=2x3 dilation=2x3 padding=same stride=3x1", 2);
}

/* ---- Sums over many pixels ---------------------------------------------- */

/* Against f64: several chunks an image, more chunks than slabs, and one image
 * that is a chunk. */
static void test_depthwise__many_pixels(void **state) {
  static const char *const sizes[] = {"70 45 2", "37 41 1", "5 5 3"};
  static const size_t batches[] = {2, 20, 70};
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct trial t;
    char text[200];
    snprintf(text, sizeof text,
             "input %s\ndepthwise_conv2d kernel=3 padding=same\nflatten\n",
             sizes[i]);
    trial_init(&t, text, batches[i], 1, 3);
    check_forward(&t, t.pass.graph->logits);
    backward(&t);
    check_gradients(&t);
    check_accumulation(&t);
    trial_free(&t);
  }
}

/* ---- With what follows --------------------------------------------------- */

/* Inference and training with layers that are done along. */
static void test_depthwise__with_followers(void **state) {
  (void)state;
  check("5 6 3", 4, "kernel=3 padding=same\nrelu", 2);
  check("5 9 3", 17, "kernel=3 padding=1 stride=2\nbatch_norm", 2);
  check("5 9 3", 9, "kernel=3 padding=1\nbatch_norm\nrelu6", 2);
  check("5 9 3", 9, "kernel=5 padding=2\nrelu6\nmax_pool2d 2", 2);
  check("6 7 2", 3, "kernel=3 bias=false\nbatch_norm\nrelu", 2);
  check("6 7 2", 3, "kernel=5 padding=2\nbatch_norm\nrelu\nmax_pool2d 2", 1);
  check("6 7 2", 3, "2 kernel=3\nbatch_norm\nrelu\nmax_pool2d 2", 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_depthwise__kernels),
      cmocka_unit_test(test_depthwise__strides),
      cmocka_unit_test(test_depthwise__dilations),
      cmocka_unit_test(test_depthwise__several_filters),
      cmocka_unit_test(test_depthwise__is_a_grouped_convolution),
      cmocka_unit_test(test_depthwise__many_pixels),
      cmocka_unit_test(test_depthwise__with_followers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
