/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/run.c: random graphs against f64, parts of a batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gradcheck.h"
#include "random_net.h"

static void test_run__random_graphs(void **state) {
  (void)state;
  struct random_net net;
  for (uint64_t seed = 0; seed < 150; seed++)
    gradcheck(random_net(&net, seed, 1 + (int)(seed % 7)), 2);
}

/* An arena planned for 5 images serves 1 to 5. */
static void test_run__smaller_batches(void **state) {
  (void)state;
  struct random_net net;
  for (uint64_t seed = 0; seed < 20; seed++) {
    struct trial t;
    trial_init(&t, random_net(&net, 1000 + seed, 6), 5, 1, 2);
    for (size_t batch = 1; batch <= 5; batch++) {
      t.pass.batch = t.batch = batch;
      t.logits = batch * 4;
      check_forward(&t, t.pass.graph->logits);
      backward(&t);
      check_gradients(&t);
    }
    trial_free(&t);
  }
}

/* Layers that run along with the one before: gradients and values as if they
 * did not. */
static void test_run__fused(void **state) {
  static const char *const tails[] = {"relu",
                                      "max_pool2d 2",
                                      "relu\nmax_pool2d 2",
                                      "batch_norm\nrelu\nmax_pool2d 2",
                                      "batch_norm",
                                      "max_pool2d 2\nrelu"};
  static const char *const convs[] = {"conv2d 16 kernel=3 padding=same",
                                      "conv2d 17 kernel=3",
                                      "conv2d 5 kernel=3 padding=1 bias=false",
                                      "conv2d 6 kernel=1",
                                      "conv2d 4 kernel=2x3 groups=2",
                                      "conv2d 4 kernel=3 stride=2",
                                      "conv2d 3 kernel=2 dilation=2"};
  char text[300];
  (void)state;
  for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++)
    for (size_t j = 0; j < sizeof tails / sizeof tails[0]; j++) {
      snprintf(text, sizeof text,
               "input 9 8 2\nconv2d 16 kernel=1\n%s\n%s\nflatten\ndense 2\n",
               convs[i], tails[j]);
      gradcheck(text, 2);
    }
}

/* A value in the middle, as `last`. */
static void test_run__up_to_a_node(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t,
             "input 4 3 3\nconv2d 4 kernel=2\nmax_pool2d 2 stride=1\nflatten\n"
             "dense 4\nsoftmax\n",
             2, 0, 1);
  for (int last = t.pass.graph->output; last > 0; last--)
    check_forward(&t, last);
  trial_free(&t);
}

/* A layer in front of all weights has no gradient, and asks for none. */
static void test_run__nothing_to_learn(void **state) {
  (void)state;
  struct trial t;
  trial_init(&t, "input 4 3 3\nrelu\nflatten\n", 2, 1, 1);
  check_forward(&t, t.pass.graph->logits);
  backward(&t);
  trial_free(&t);
  gradcheck("input 4 3 3\nrelu\nmax_pool2d 2\nflatten\ndense 4\n", 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_run__random_graphs),
      cmocka_unit_test(test_run__smaller_batches),
      cmocka_unit_test(test_run__fused),
      cmocka_unit_test(test_run__up_to_a_node),
      cmocka_unit_test(test_run__nothing_to_learn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
