/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/freeze.c: layers that do not learn, and what a training
 * step then leaves out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nets.h"
#include "train/train.h"

#define NET                                                                    \
  "input 8 8 3\nconv2d 6 kernel=3 activation=relu\nmax_pool2d 2\n"             \
  "conv2d 4 kernel=2\nflatten\ndense 7 activation=relu\ndense 3\nsoftmax\n"
/* With a batch norm alone, and one that takes ReLU and pooling along. */
#define NORM_NET                                                               \
  "input 8 8 3\nconv2d 6 kernel=3 bias=false\nbatch_norm\n"                    \
  "conv2d 4 kernel=1\nbatch_norm activation=relu\nmax_pool2d 2\nflatten\n"     \
  "dense 3\nsoftmax\n"

enum { BATCH = 6 };

static imgrec_trainer *new_trainer(imgrec_context *ctx, imgrec_model *m,
                                   int fused) {
  imgrec_trainer_options o;
  imgrec_trainer *t = NULL;
  imgrec_trainer_options_init(&o, sizeof o);
  o.optimizer = IMGREC_OPTIMIZER_SGD;
  o.learning_rate = 0.125F;
  o.momentum = 0;
  o.max_batch = BATCH;
  assert_ok(ctx, imgrec__trainer_new(&t, m, &o, fused));
  return t;
}

static void step(imgrec_context *ctx, imgrec_trainer *t, uint64_t stream) {
  imgrec_tensor *x = new_batch(ctx, t->model, BATCH, stream);
  imgrec_tensor *labels = new_labels(ctx, BATCH, 3, stream);
  assert_ok(ctx, imgrec_train_step(t, x, labels, NULL));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
}

/* A model of `net` after some steps with layers of `prefix` (or none) frozen.
 */
static imgrec_model *trained(imgrec_context *ctx, const char *net,
                             const char *prefix, int steps, int fused) {
  imgrec_model *m = new_model(ctx, net, BATCH, 9);
  if (prefix)
    assert_true(imgrec_model_freeze(m, prefix) > 0);
  imgrec_trainer *t = new_trainer(ctx, m, fused);
  for (int i = 0; i < steps; i++)
    step(ctx, t, (uint64_t)i);
  imgrec_trainer_destroy(t);
  return m;
}

static int same_param(const imgrec_model *a, const imgrec_model *b, int i) {
  const struct param *p = imgrec__model_param(a, i);
  return memcmp(p->data, imgrec__model_param(b, i)->data,
                p->count * sizeof(float)) == 0;
}

/* What is frozen stays; what is not gets the very step it would get. */
static void test_freeze__one_step(void **state) {
  static const char *const prefixes[] = {"conv", "conv1", "conv2",
                                         "fc",   "fc2.",  "fc1"};
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *start = new_model(ctx, NET, BATCH, 9);
  imgrec_model *all = trained(ctx, NET, NULL, 1, 1);
  for (int i = 0; i < 12; i++) {
    const char *prefix = prefixes[i / 2];
    imgrec_model *m = trained(ctx, NET, prefix, 1, i % 2);
    struct param *p;
    for (int k = 0; (p = imgrec__model_param(m, k)); k++) {
      int frozen = strncmp(p->name, prefix, strlen(prefix)) == 0;
      assert_true(same_param(m, frozen ? start : all, k));
      assert_false(same_param(all, start, k));
    }
    imgrec_model_destroy(m);
  }
  imgrec_model_destroy(all);
  imgrec_model_destroy(start);
  imgrec_context_destroy(ctx);
}

/* No gradients are planned below what learns, and less is kept. */
static void test_freeze__less_memory(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, BATCH, 9);
  imgrec_trainer *t = new_trainer(ctx, m, 0);
  size_t arena = t->plan.floats, gradients = t->gradient_floats;
  imgrec_trainer_destroy(t);
  assert_int_equal(imgrec_model_freeze(m, "conv"), 2);
  t = new_trainer(ctx, m, 0);
  assert_true(t->plan.floats < arena && t->gradient_floats < gradients);
  for (int i = 0; i < m->graph.node_count; i++)
    if (m->graph.nodes[i].op == &imgrec__op_conv2d)
      assert_int_equal(t->plan.places[i].dy, PLAN_NONE);
  imgrec_trainer_destroy(t);
  assert_int_equal(imgrec_model_unfreeze(m, "conv"), 2);
  t = new_trainer(ctx, m, 0);
  assert_int_equal(t->plan.floats, arena);
  assert_int_equal(t->gradient_floats, gradients);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- Batch norm -----------------------------------------------------------
 */

static double mean_loss(imgrec_context *ctx, imgrec_model *m,
                        const imgrec_tensor *x, const imgrec_tensor *labels) {
  imgrec_tensor *y = new_tensor(ctx, IMGREC_F32, 2, BATCH, 3, 1, 1);
  const int32_t *label = imgrec_tensor_const_data(labels);
  double sum = 0;
  imgrec__model_changed(m);
  assert_ok(ctx, imgrec_model_forward(m, x, y));
  for (int i = 0; i < BATCH; i++)
    sum -= log((double)floats_of(y)[3 * i + label[i]]);
  imgrec_tensor_destroy(y);
  return sum / BATCH;
}

/* With all batch norm frozen a training step is the gradient of what inference
 * computes. */
static void test_freeze__batch_norm_gradient(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NORM_NET, BATCH, 9);
  imgrec_tensor *x = new_batch(ctx, m, BATCH, 4);
  imgrec_tensor *labels = new_labels(ctx, BATCH, 3, 4);
  random_weights(m, 50);
  assert_int_equal(imgrec_model_freeze(m, "bn"), 2);
  float *w = imgrec__model_param(m, 0)->data, before[6];
  double slope[6];
  for (int i = 0; i < 6; i++) {
    const float h = 1.0F / 256;
    before[i] = w[i * 11];
    w[i * 11] = before[i] + h;
    slope[i] = mean_loss(ctx, m, x, labels);
    w[i * 11] = before[i] - h;
    slope[i] = (slope[i] - mean_loss(ctx, m, x, labels)) / (2 * (double)h);
    w[i * 11] = before[i];
  }
  double loss = mean_loss(ctx, m, x, labels);
  float trained_loss = 0;
  imgrec_trainer *t = new_trainer(ctx, m, 1);
  assert_ok(ctx, imgrec_train_step(t, x, labels, &trained_loss));
  assert_true(fabs((double)trained_loss - loss) < 1e-5);
  for (int i = 0; i < 6; i++)
    assert_true(fabs((double)(before[i] - w[i * 11]) / 0.125 - slope[i]) <
                2e-3);
  imgrec_trainer_destroy(t);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* Weights and running moments stay where it is frozen, on any table. */
static void test_freeze__batch_norm_stays(void **state) {
  (void)state;
  imgrec_context *plain = new_context(1, IMGREC_ISA_SCALAR);
  imgrec_model *start = new_model(plain, NORM_NET, BATCH, 9);
  imgrec_model *first = trained(plain, NORM_NET, "bn1", 3, 1);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    imgrec_context *ctx = new_context(isa, isa);
    imgrec_model *m = trained(ctx, NORM_NET, "bn1", 3, 0);
    struct param *p;
    for (int k = 0; (p = imgrec__model_param(m, k)); k++) {
      assert_true(same_param(m, first, k));
      assert_int_equal(same_param(m, start, k),
                       strncmp(p->name, "bn1", 3) == 0);
    }
    imgrec_model_destroy(m);
    imgrec_context_destroy(ctx);
  }
  imgrec_model_destroy(first);
  imgrec_model_destroy(start);
  imgrec_context_destroy(plain);
}

/* ---- What is refused ------------------------------------------------------
 */

static void test_freeze__refused(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, BATCH, 9);
  imgrec_trainer *t = NULL;
  assert_fails(ctx, imgrec_model_freeze(m, "conv3"), IMGREC_ERR_NOT_FOUND,
               "no layer with weights begins with 'conv3'");
  assert_fails(ctx, imgrec_model_freeze(m, "conv1.weight"),
               IMGREC_ERR_NOT_FOUND,
               "no layer with weights begins with 'conv1.weight'");
  assert_int_equal(imgrec_model_freeze(m, "flatten"), IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_model_freeze(m, NULL), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_freeze(NULL, ""), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_unfreeze(NULL, ""), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_freeze(m, ""), 4);
  assert_fails(ctx, imgrec_trainer_create(&t, m, NULL), IMGREC_ERR_ARGUMENT,
               "the model cannot be trained: it has no weights, or all its "
               "layers are frozen");
  assert_int_equal(imgrec_model_unfreeze(m, "fc"), 2);
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_fails(ctx, imgrec_model_freeze(m, "fc"), IMGREC_ERR_ARGUMENT,
               "layers can only be frozen, or not, before a trainer of the "
               "model is made");
  imgrec_trainer_destroy(t);
  assert_int_equal(imgrec_model_freeze(m, "fc1"), 1);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_freeze__one_step),
      cmocka_unit_test(test_freeze__less_memory),
      cmocka_unit_test(test_freeze__batch_norm_gradient),
      cmocka_unit_test(test_freeze__batch_norm_stays),
      cmocka_unit_test(test_freeze__refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
