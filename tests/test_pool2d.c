/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/pool2d.c: outputs and gradients against f64, ties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

static void check(const char *input, const char *layer, size_t batch) {
  char text[300];
  snprintf(text, sizeof text, "input %s\nconv2d 5 kernel=1\n%s\nflatten\n",
           input, layer);
  gradcheck(text, batch);
}

static void check_kind(const char *kind) {
  static const char *const words[] = {
      "2",           "3",          "3 stride=1",
      "2x3",         "3 stride=2", "2 stride=3x1",
      "3 padding=1", "1 stride=2", "3 padding=same stride=1x2"};
  char layer[80];
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    snprintf(layer, sizeof layer, "%s_pool2d %s", kind, words[i]);
    check(i % 2 ? "6 5 2" : "7 4 3", layer, 1 + i % 3);
  }
}

static void test_pool2d__max(void **state) {
  (void)state;
  check_kind("max");
}

static void test_pool2d__min(void **state) {
  (void)state;
  check_kind("min");
}

static void test_pool2d__avg(void **state) {
  (void)state;
  check_kind("avg");
}

static void test_pool2d__global(void **state) {
  (void)state;
  check("5 3 2", "global_avg_pool2d", 3);
  check("5 3 2", "global_max_pool2d", 2);
  check("1 1 2", "global_avg_pool2d", 2);
}

/* More channels than one block of the gradient, and than one of the mean. */
static void test_pool2d__many_channels(void **state) {
  (void)state;
  gradcheck("input 3 3 1\nconv2d 67 kernel=1\nmax_pool2d 2\nflatten\n", 2);
  gradcheck("input 3 3 1\nconv2d 131 kernel=1\nglobal_avg_pool2d\n", 2);
}

/* The gradient at x of a pooling layer whose x is `value` everywhere: seen in
 * the gradient at the value before it. */
static const float *flat_gradient(struct trial *t, const char *text) {
  trial_init(t, text, 1, 1, 1);
  memset(t->model->weights, 0, t->model->weight_floats * sizeof(float));
  t->r[0] = 1;
  imgrec__pass_forward(&t->pass, t->pass.graph->logits);
  backward(t);
  return t->arena + t->plan.places[1].dy;
}

static void check_tie(const char *layer) {
  const float wanted[6] = {1, 0, 0, 0, 0, 0};
  char text[200];
  struct trial t;
  snprintf(text, sizeof text, "input 2 3 1\nconv2d 1 kernel=1\n%s\nflatten\n",
           layer);
  assert_memory_equal(flat_gradient(&t, text), wanted, sizeof wanted);
  trial_free(&t);
}

static void test_pool2d__first_of_equals_wins(void **state) {
  (void)state;
  check_tie("max_pool2d 2x3");
  check_tie("min_pool2d 2x3");
  check_tie("global_max_pool2d");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pool2d__max),
      cmocka_unit_test(test_pool2d__min),
      cmocka_unit_test(test_pool2d__avg),
      cmocka_unit_test(test_pool2d__global),
      cmocka_unit_test(test_pool2d__many_channels),
      cmocka_unit_test(test_pool2d__first_of_equals_wins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
