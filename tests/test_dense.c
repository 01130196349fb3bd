/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/dense.c: outputs and gradients against f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

static void test_dense__shapes(void **state) {
  (void)state;
  gradcheck("input 1 1 1\nflatten\ndense 1\n", 1);
  gradcheck("input 1 1 7\nflatten\ndense 5\n", 3);
  gradcheck("input 1 1 5\nflatten\ndense 3\ndense 35\ndense 2\n", 9);
  gradcheck("input 1 1 3\nflatten\ndense 6 bias=false\ndense 4\n", 2);
}

static void test_dense__activation(void **state) {
  (void)state;
  gradcheck("input 1 1 5\nflatten\ndense 7 activation=tanh\n"
            "dense 4 activation=sigmoid\n",
            3);
}

/* Values pass in H, W, C order, whichever order the files have. */
static void test_dense__behind_flatten(void **state) {
  (void)state;
  gradcheck("input 3 2 3\nconv2d 2 kernel=1\nflatten\ndense 4\n", 3);
  gradcheck("input 3 2 3\nconv2d 2 kernel=1\nflatten order=chw\ndense 4\n", 3);
}

static void test_dense__flatten_keeps_the_order(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t, "input 2 3 4\nflatten\n", 5, 0, 1);
  const float *y = imgrec__pass_forward(&t.pass, 1);
  assert_memory_equal(y, t.x, 5 * 24 * sizeof *y);
  trial_free(&t);
}

/* Flatten of a flat value, and of one that has another reader. */
static void test_dense__flatten_in_a_graph(void **state) {
  (void)state;
  gradcheck("input 2 2 2\na = conv2d 2 kernel=1\nb = flatten\n"
            "c = relu from=a\nd = flatten\ne = flatten\n"
            "add from=b,e\ndense 3\n",
            2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_dense__shapes),
      cmocka_unit_test(test_dense__activation),
      cmocka_unit_test(test_dense__behind_flatten),
      cmocka_unit_test(test_dense__flatten_keeps_the_order),
      cmocka_unit_test(test_dense__flatten_in_a_graph),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
