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
      cmocka_unit_test(test_run__up_to_a_node),
      cmocka_unit_test(test_run__nothing_to_learn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
