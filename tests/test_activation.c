/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/activation.c: activations, dropout, softmax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"

static void check_activation(int kind) {
  const char *name = imgrec__op_activation[kind].type;
  char text[300];
  /* Wide enough for every branch of relu6 and of the hard ones. */
  snprintf(text, sizeof text,
           "input 3 5 9\nconv2d 7 kernel=1\n%s\nconv2d 8 kernel=2 "
           "activation=%s\nflatten\n",
           name, name);
  gradcheck(text, 2);
}

static void test_activation__each(void **state) {
  (void)state;
  for (int kind = 0; kind < ACT_COUNT; kind++)
    check_activation(kind);
  gradcheck("input 3 5 3\nconv2d 7 kernel=1 activation=leaky_relu alpha=0.3\n"
            "leaky_relu alpha=0\nflatten\n",
            2);
}

static void test_activation__softmax_in_the_middle(void **state) {
  (void)state;
  gradcheck("input 3 5 2\nconv2d 4 kernel=1\nsoftmax\nconv2d 2 kernel=2\n"
            "flatten\n",
            2);
  gradcheck("input 1 1 4\nflatten\ndense 19\nsoftmax\ndense 3\nsoftmax\n", 5);
}

/* ---- Dropout ------------------------------------------------------------- */

static void test_activation__dropout_gradients(void **state) {
  (void)state;
  gradcheck("input 3 5 2\nconv2d 4 kernel=1\ndropout 0.4\nflatten\ndense 3\n",
            3);
  gradcheck("input 3 5 2\nconv2d 4 kernel=1\ndropout 0\ndropout 0.75\n"
            "flatten\n",
            2);
}

/* Zero or x / (1 - rate), in the wanted share, and another mask each step. */
static void test_activation__dropout_mask(void **state) {
  (void)state;
  enum { N = 60 * 60 * 4 };
  struct trial t;
  size_t zeros = 0, changed = 0;
  static float first[N];
  trial_init(&t, "input 60 60 4\ndropout 0.25\nflatten\n", 1, 1, 3);
  memcpy(first, imgrec__pass_forward(&t.pass, 2), sizeof first);
  for (size_t i = 0; i < N; i++) {
    zeros += first[i] == 0;
    if (first[i] != 0)
      assert_true(fabs((double)first[i] * 0.75 - (double)t.x[i]) < 1e-6);
  }
  assert_in_range(zeros, N * 24 / 100, N * 26 / 100);
  t.pass.step++;
  const float *second = imgrec__pass_forward(&t.pass, 2);
  for (size_t i = 0; i < N; i++)
    changed += (first[i] == 0) != (second[i] == 0);
  assert_in_range(changed, N * 36 / 100, N * 39 / 100);
  trial_free(&t);
}

static void test_activation__dropout_of_layers_differs(void **state) {
  (void)state;
  struct trial t;
  size_t same = 0, n = 2000;
  trial_init(&t,
             "input 20 100 1\na = dropout 0.5\nb = dropout 0.5 from=input\n"
             "concat from=a,b\nflatten\n",
             1, 1, 2);
  const float *y = imgrec__pass_forward(&t.pass, t.pass.graph->logits);
  for (size_t i = 0; i < n; i++)
    same += (y[2 * i] == 0) == (y[2 * i + 1] == 0);
  assert_in_range(same, n * 45 / 100, n * 55 / 100);
  trial_free(&t);
}

static void test_activation__dropout_rests_in_inference(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t, "input 5 5 3\ndropout 0.9\nflatten\n", 2, 0, 1);
  assert_memory_equal(imgrec__pass_forward(&t.pass, 2), t.x,
                      t.logits * sizeof(float));
  trial_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_activation__each),
      cmocka_unit_test(test_activation__softmax_in_the_middle),
      cmocka_unit_test(test_activation__dropout_gradients),
      cmocka_unit_test(test_activation__dropout_mask),
      cmocka_unit_test(test_activation__dropout_of_layers_differs),
      cmocka_unit_test(test_activation__dropout_rests_in_inference),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
