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
  for (uint64_t seed = 0; seed < 75; seed++)
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

/* The plan again, with operators that take nothing along. */
static void plan_apart(struct trial *t, struct op *ops) {
  struct graph *g = &t->model->graph;
  int training = t->plan.training;
  for (int i = 0; i < g->node_count; i++) {
    ops[i] = *g->nodes[i].op;
    if (ops[i].takes) {
      ops[i].takes = NULL;
      g->nodes[i].op = &ops[i];
    }
  }
  imgrec__plan_free(&t->plan);
  imgrec__free(&t->ctx->allocator, t->arena);
  assert_ok(t->ctx, imgrec__plan_create(&t->plan, &t->ctx->allocator,
                                        &t->ctx->error, g, t->batch, training));
  for (int i = 0; i < g->node_count; i++)
    assert_true(i > g->logits || t->plan.places[i].head == i);
  t->arena = new_arena(t, t->plan.floats);
  t->pass.arena = t->arena;
}

static void compare_bits(const char *what, const char *text, const float *a,
                         const float *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(a[i] == b[i]))
      fail_msg("%s[%zu] is %.9g along, %.9g apart:\n%s", what, i, (double)a[i],
               (double)b[i], text);
}

/* Sums of the same products, but for zeros, in another order. */
static void compare_sums(const char *what, const char *text, const float *a,
                         const float *b, size_t n) {
  float most = 0;
  for (size_t i = 0; i < n; i++)
    most = fabsf(b[i]) > most ? fabsf(b[i]) : most;
  for (size_t i = 0; i < n; i++)
    if (!(fabsf(a[i] - b[i]) <= 2e-6f * most))
      fail_msg("%s[%zu] is %.9g along, %.9g apart:\n%s", what, i, (double)a[i],
               (double)b[i], text);
}

/* Logits and gradients of a plan with chains have the bits of one without; but
 * gradients behind a max pooling may be summed by winners. */
static void check_apart(const char *text, size_t batch, int training) {
  struct trial t[2];
  struct op ops[16];
  const float *y[2];
  struct param *p;
  for (int i = 0; i < 2; i++) {
    trial_init(&t[i], text, batch, training, 2 + i);
    if (i == 1)
      plan_apart(&t[i], ops);
    y[i] = imgrec__pass_forward(&t[i].pass, t[i].pass.graph->logits);
  }
  compare_bits("logits", text, y[0], y[1], t[0].logits);
  for (int i = 0; i < 2 && training; i++)
    backward(&t[i]);
  for (int i = 0; training && (p = imgrec__model_param(t[0].model, i)); i++) {
    const float *along = t[0].gradients + imgrec__param_offset(t[0].model, p);
    const float *apart = t[1].gradients + (along - t[0].gradients);
    if (p->trainable && strstr(text, "max_pool2d"))
      compare_sums(p->name, text, along, apart, p->count);
    else if (p->trainable)
      compare_bits(p->name, text, along, apart, p->count);
  }
  trial_free(&t[0]);
  trial_free(&t[1]);
}

/* Whether a batch norm at inference takes a bias into its own. */
static int folds_bias(const char *conv, const char *tail) {
  return strstr(tail, "batch_norm") && !strstr(conv, "bias=false");
}

/* By rows and by Winograd, of odd sizes, in front of ReLU and pooling. */
static void test_run__along_as_apart(void **state) {
  static const char *const tails[] = {"relu", "max_pool2d 2",
                                      "relu\nmax_pool2d 2", "relu6",
                                      "relu6\nmax_pool2d 2"};
  static const char *const convs[] = {"conv2d 16 kernel=3 padding=same",
                                      "conv2d 33 kernel=3 padding=2",
                                      "conv2d 5 kernel=3 bias=false",
                                      "conv2d 19 kernel=3 padding=1 bias=false",
                                      "conv2d 6 kernel=1",
                                      "conv2d 8 kernel=2x3 groups=2 dilation=2",
                                      "depthwise_conv2d kernel=3 padding=same",
                                      "conv2d 7 kernel=3 stride=2"};
  char text[300];
  (void)state;
  for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++)
    for (size_t j = 0; j < sizeof tails / sizeof tails[0]; j++) {
      snprintf(text, sizeof text,
               "input 9 11 2\nconv2d 16 kernel=1\n%s\n%s\nflatten\ndense 2\n",
               convs[i], tails[j]);
      for (int training = folds_bias(convs[i], tails[j]); training < 2;
           training++)
        check_apart(text, 3, training);
    }
}

/* An addition with what follows it, over its own input and not. */
static void test_run__added_along_as_apart(void **state) {
  static const char *const tails[] = {"relu", "relu6", "relu\nmax_pool2d 2"};
  char text[300];
  (void)state;
  for (int i = 0; i < 3; i++)
    for (int training = 0; training < 2; training++) {
      snprintf(text, sizeof text,
               "input 5 7 3\nstem = conv2d 4 kernel=1\n"
               "left = conv2d 4 kernel=3 padding=same\n"
               "add from=left,stem,stem\n%s\nflatten\ndense 2\n",
               tails[i]);
      check_apart(text, 3, training);
    }
}

/* The gradient by the input takes rows that are longer than those of the
 * layer: too long, here. */
static void test_run__pool_behind_many_filters(void **state) {
  (void)state;
  check_apart("input 2 56 2\nconv2d 2 kernel=1\n"
              "conv2d 1024 kernel=5 padding=2\nrelu\nmax_pool2d 2\n"
              "global_avg_pool2d\ndense 2\n",
              1, 1);
}

/* Sums that are not numbers pool as they do apart. */
static void test_run__along_not_finite(void **state) {
  struct trial t;
  struct op ops[16];
  float along[4 * 4 * 3], *x;
  (void)state;
  trial_init(&t,
             "input 8 8 3\ndepthwise_conv2d kernel=1 bias=false\n"
             "max_pool2d 2\nflatten\n",
             1, 0, 1);
  x = t.x;
  for (size_t i = 0; i < 8 * 8 * 3; i++)
    if (imgrec__random_below(5, 6, i, 3) == 0)
      x[i] = i % 2 ? NAN : INFINITY;
  memcpy(along, imgrec__pass_forward(&t.pass, t.pass.graph->logits),
         sizeof along);
  plan_apart(&t, ops);
  const float *y = imgrec__pass_forward(&t.pass, t.pass.graph->logits);
  for (size_t i = 0; i < 4 * 4 * 3; i++)
    assert_true(along[i] == y[i] || (isnan(along[i]) && isnan(y[i])));
  trial_free(&t);
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
      cmocka_unit_test(test_run__along_as_apart),
      cmocka_unit_test(test_run__added_along_as_apart),
      cmocka_unit_test(test_run__pool_behind_many_filters),
      cmocka_unit_test(test_run__along_not_finite),
      cmocka_unit_test(test_run__up_to_a_node),
      cmocka_unit_test(test_run__nothing_to_learn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
