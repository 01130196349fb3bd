/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/batch_norm.c: both modes and the running moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

static void test_batch_norm__gradients(void **state) {
  (void)state;
  gradcheck("input 3 5 2\nconv2d 3 kernel=1\nbatch_norm\nflatten\n", 2);
  gradcheck("input 1 1 4\nflatten\ndense 5\nbatch_norm\ndense 3\n", 7);
  gradcheck("input 3 5 1\nconv2d 1 kernel=1\n"
            "batch_norm epsilon=0.5 activation=silu\nflatten\n",
            1);
  gradcheck("input 4 3 2\nbatch_norm\nconv2d 33 kernel=2\nbatch_norm\n"
            "global_avg_pool2d\n",
            2);
}

/* Several chunks of rows. */
static void test_batch_norm__many_rows(void **state) {
  (void)state;
  gradcheck("input 33 37 1\nconv2d 2 kernel=1\nbatch_norm\nflatten\n", 3);
}

static void check_running(const struct trial *t, const float *before) {
  const struct node *n = &t->model->graph.nodes[1];
  struct reference r;
  trial_reference(t, &r);
  const struct ref_node j = {&r, n, {r.values[0]}, r.values[1]};
  double rows = (double)(ref_count(&j) / 3), unbias = rows / (rows - 1);
  for (size_t c = 0; c < 3; c++) {
    double mean, var;
    ref_moments(&j, c, &mean, &var);
    const double wanted[2] = {0.75 * (double)before[c] + 0.25 * mean,
                              0.75 * (double)before[3 + c] +
                                  0.25 * var * unbias};
    compare("running_mean", n->params[2].data + c, &wanted[0], 1, 1e-6);
    compare("running_var", n->params[3].data + c, &wanted[1], 1, 1e-6);
  }
  reference_free(&r);
}

static void test_batch_norm__running_moments(void **state) {
  (void)state;
  struct trial t;
  float before[6];
  trial_init(&t, "input 3 3 3\nbatch_norm momentum=0.75\nflatten\n", 2, 1, 2);
  const struct node *n = &t.model->graph.nodes[1];
  for (int step = 0; step < 3; step++) {
    memcpy(before, n->params[2].data, 3 * sizeof(float));
    memcpy(before + 3, n->params[3].data, 3 * sizeof(float));
    imgrec__pass_forward(&t.pass, t.pass.graph->logits);
    check_running(&t, before);
  }
  trial_free(&t);
}

static void test_batch_norm__inference_leaves_moments(void **state) {
  (void)state;
  struct trial t;
  float before[64];
  trial_init(&t, "input 3 3 3\nbatch_norm\nflatten\n", 2, 0, 1);
  assert_true(t.model->weight_floats <= 64);
  memcpy(before, t.model->weights, t.model->weight_floats * sizeof(float));
  imgrec__pass_forward(&t.pass, t.pass.graph->output);
  assert_memory_equal(before, t.model->weights,
                      t.model->weight_floats * sizeof(float));
  trial_free(&t);
}

/* One row has no variance: the output is beta but for the rounding of x /
 * sqrt(epsilon), and nothing is divided by rows - 1. */
static void test_batch_norm__single_row(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t, "input 1 1 2\nbatch_norm\nflatten\n", 1, 1, 1);
  const struct node *n = &t.model->graph.nodes[1];
  const float *y = imgrec__pass_forward(&t.pass, t.pass.graph->logits);
  for (int c = 0; c < 2; c++) {
    double beta = (double)n->params[1].data[c];
    compare("beta", y + c, &beta, 1, 1e-4);
    assert_true(isfinite(n->params[3].data[c]));
  }
  trial_free(&t);
}

/* A constant channel far from zero: rounding must not make a variance below
 * zero. */
static void test_batch_norm__constant_channel(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t, "input 3 5 1\nbatch_norm\nflatten\n", 1, 1, 1);
  for (int i = 0; i < 15; i++)
    t.x[i] = 12345.678F;
  const float *y = imgrec__pass_forward(&t.pass, t.pass.graph->logits);
  for (int i = 0; i < 15; i++)
    assert_true(isfinite(y[i]));
  assert_true(t.model->graph.nodes[1].params[3].data[0] >= 0);
  trial_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_batch_norm__gradients),
      cmocka_unit_test(test_batch_norm__many_rows),
      cmocka_unit_test(test_batch_norm__running_moments),
      cmocka_unit_test(test_batch_norm__inference_leaves_moments),
      cmocka_unit_test(test_batch_norm__single_row),
      cmocka_unit_test(test_batch_norm__constant_channel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
