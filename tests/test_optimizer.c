/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/optimizer.c: updates against PyTorch's, rules of layers,
 * clipping, the average. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "golden/optim.h"
#include "nets.h"
#include "train/train.h"

static imgrec_trainer_options options(int optimizer, float rate) {
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.optimizer = optimizer;
  o.learning_rate = rate;
  o.max_batch = 8;
  return o;
}

/* ---- Against PyTorch ----------------------------------------------------- */

/* Four weights and no bias. */
#define FOUR "input 1 1 1\nflatten\ndense 4 bias=false\n"
enum { WEIGHTS = 4, STEPS = 6 };

static void feed_step(imgrec_trainer *t, int step) {
  for (int i = 0; i < WEIGHTS; i++)
    t->gradients[i] = (float)((step * 37 + i * 53 + 11) % 128 - 64) / 64.0F;
  struct update u = imgrec__optimizer_next(t);
  struct sweeps done = {0, 0};
  assert_true(imgrec__optimizer_go_on(t, &u, &done, SIZE_MAX));
}

static void check_golden(const imgrec_trainer_options *o,
                         const double *golden) {
  static const float start[WEIGHTS] = {0.5F, -0.25F, 1.5F, -2};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, FOUR, 1, 3);
  imgrec_trainer *t = NULL;
  memcpy(m->weights, start, sizeof start);
  assert_ok(ctx, imgrec__trainer_new(&t, m, o, 0));
  for (int step = 0; step < STEPS; step++) {
    feed_step(t, step);
    for (int i = 0; i < WEIGHTS; i++) {
      double want = golden[step * WEIGHTS + i], got = (double)m->weights[i];
      if (!(fabs(got - want) < 1e-6))
        fail_msg("step %d, weight %d: %.9g, not %.9g", step, i, got, want);
    }
  }
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_optimizer__adamw(void **state) {
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAMW, 0.01F);
  (void)state;
  o.weight_decay = 0.1F;
  check_golden(&o, golden_adamw);
  o.optimizer = IMGREC_OPTIMIZER_ADAM;
  o.epsilon = 1e-12F; /* which it adds elsewhere than PyTorch does */
  check_golden(&o, golden_adam_decay);
}

static void test_optimizer__sgd(void **state) {
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0.01F);
  (void)state;
  o.weight_decay = 0.1F;
  check_golden(&o, golden_sgd_decay);
  o.nesterov = 1;
  check_golden(&o, golden_nesterov_decay);
  o.weight_decay = 0;
  check_golden(&o, golden_nesterov);
}

static void test_optimizer__clip(void **state) {
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0.01F);
  (void)state;
  o.clip_norm = 0.5F;
  check_golden(&o, golden_clip);
}

/* ---- Steps of a network -------------------------------------------------- */

#define NET                                                                    \
  "input 6 7 3\nconv2d 4 kernel=3\nbatch_norm activation=relu\nflatten\n"      \
  "dense 520 activation=relu\ndense 40 bias=false\ndense 3\nsoftmax\n"

static void train(imgrec_context *ctx, imgrec_trainer *t, int steps) {
  for (uint64_t step = 0; step < (uint64_t)steps; step++) {
    imgrec_tensor *x = new_batch(ctx, t->model, 8, step);
    imgrec_tensor *labels = new_labels(ctx, 8, 3, step);
    assert_ok(ctx, imgrec_train_step(t, x, labels, NULL));
    imgrec_tensor_destroy(x);
    imgrec_tensor_destroy(labels);
  }
}

static imgrec_model *trained(imgrec_context *ctx,
                             const imgrec_trainer_options *o, int fused) {
  imgrec_model *m = new_model(ctx, NET, 1, 7);
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec__trainer_new(&t, m, o, fused));
  train(ctx, t, 3);
  imgrec_trainer_destroy(t);
  return m;
}

static void assert_same_weights(const imgrec_model *a, const imgrec_model *b) {
  assert_memory_equal(a->weights, b->weights, a->weight_floats * sizeof(float));
}

/* Everything on at once. */
static imgrec_trainer_options all_options(int optimizer) {
  imgrec_trainer_options o = options(optimizer, 0.01F);
  o.weight_decay = 0.05F;
  o.nesterov = optimizer == IMGREC_OPTIMIZER_SGD;
  o.label_smoothing = 0.1F;
  o.ema_decay = 0.9F;
  o.layer_decay = 0.75F;
  return o;
}

/* Dense layers that update themselves do what is done behind backward; threads
 * and tables do not count, also not when gradients are clipped. */
static void test_optimizer__same_bits(void **state) {
  (void)state;
  for (int optimizer = 0; optimizer < 3; optimizer++)
    for (int clip = 0; clip < 2; clip++) {
      imgrec_trainer_options o = all_options(optimizer);
      imgrec_context *first = new_context(1, IMGREC_ISA_SCALAR);
      o.clip_norm = clip ? 0.125F : 0;
      imgrec_model *want = trained(first, &o, 0);
      for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
        imgrec_context *ctx = new_context(isa, isa);
        imgrec_model *got = trained(ctx, &o, 1);
        assert_same_weights(want, got);
        imgrec_model_destroy(got);
        imgrec_context_destroy(ctx);
      }
      imgrec_model_destroy(want);
      imgrec_context_destroy(first);
    }
}

/* A norm that is never reached changes nothing; one that is makes smaller
 * steps of plain gradient descent, as long as it says. */
static void test_optimizer__clip_limits_steps(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 1);
  o.momentum = 0;
  imgrec_model *free_run = trained(ctx, &o, 1);
  o.clip_norm = 1e6F;
  imgrec_model *loose = trained(ctx, &o, 1);
  assert_same_weights(free_run, loose);
  o.clip_norm = 0.0625F;
  imgrec_model *m = new_model(ctx, NET, 1, 7);
  imgrec_model *start = new_model(ctx, NET, 1, 7);
  imgrec_trainer *t = NULL;
  double squares = 0;
  struct param *p;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  train(ctx, t, 1);
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    for (size_t k = 0; k < p->count && p->trainable; k++) {
      double d = (double)(p->data[k] - imgrec__model_param(start, i)->data[k]);
      squares += d * d;
    }
  assert_true(fabs(sqrt(squares) - 0.0625) < 1e-5);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_model_destroy(start);
  imgrec_model_destroy(free_run);
  imgrec_model_destroy(loose);
  imgrec_context_destroy(ctx);
}

/* ---- Rules --------------------------------------------------------------- */

static struct update_rule rule_of(const imgrec_trainer *t, const char *name) {
  for (int i = 0; i < t->model->graph.node_count; i++)
    for (int k = 0; k < t->model->graph.nodes[i].param_count; k++)
      if (strcmp(t->model->graph.nodes[i].params[k].name, name) == 0)
        return t->rules[i].of[k];
  fail_msg("no parameter %s", name);
  return (struct update_rule){0, 0};
}

static void test_optimizer__decays(void **state) {
  static const char *const names[] = {"conv1.bias", "bn1.weight", "bn1.bias",
                                      "fc1.bias"};
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 1, 7);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAMW, 0);
  for (int all = 0; all < 2; all++) {
    imgrec_trainer *t = NULL;
    o.decay_all = all;
    assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
    assert_true(t->options.learning_rate == 0.001F);
    assert_int_equal(rule_of(t, "conv1.weight").decays, 1);
    assert_int_equal(rule_of(t, "fc2.weight").decays, 1);
    for (int i = 0; i < 4; i++)
      assert_int_equal(rule_of(t, names[i]).decays, all);
    imgrec_trainer_destroy(t);
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_optimizer__layer_rates(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 1, 7);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F);
  imgrec_trainer *t = NULL;
  o.layer_decay = 0.5F;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  assert_true(rule_of(t, "fc3.weight").rate == 1);
  assert_true(rule_of(t, "fc2.weight").rate == 0.5F);
  assert_true(rule_of(t, "fc1.bias").rate == 0.25F);
  assert_true(rule_of(t, "bn1.weight").rate == 0.125F);
  assert_true(rule_of(t, "conv1.weight").rate == 0.125F);
  assert_int_equal(imgrec_trainer_set_layer_rate(t, "fc", 3), 3);
  assert_int_equal(imgrec_trainer_set_layer_rate(t, "fc1.", 2), 1);
  assert_true(rule_of(t, "fc3.bias").rate == 3);
  assert_true(rule_of(t, "fc1.weight").rate == 2);
  assert_true(rule_of(t, "conv1.bias").rate == 0.125F);
  assert_int_equal(imgrec_trainer_set_layer_rate(t, "", 1), 5);
  assert_fails(ctx, imgrec_trainer_set_layer_rate(t, "fc1.x", 1),
               IMGREC_ERR_NOT_FOUND,
               "no layer with weights begins with 'fc1.x'");
  assert_fails(ctx, imgrec_trainer_set_layer_rate(t, "fc1", 0),
               IMGREC_ERR_ARGUMENT,
               "the factor of a learning rate must be in (0, 1000]");
  assert_int_equal(imgrec_trainer_set_layer_rate(t, NULL, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_trainer_set_layer_rate(NULL, "fc1", 1),
                   IMGREC_ERR_ARGUMENT);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* 0.7^3 is another number where products are rounded up, or down. */
static void test_optimizer__rounding_mode(void **state) {
  const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD};
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F);
  float rates[3];
  o.layer_decay = 0.7F;
  for (int i = 0; i < 3; i++) {
    imgrec_model *m = new_model(ctx, NET, 1, 7);
    imgrec_trainer *t = NULL;
    fesetround(modes[i]);
    int status = imgrec_trainer_create(&t, m, &o);
    fesetround(FE_TONEAREST);
    assert_ok(ctx, status);
    rates[i] = rule_of(t, "conv1.weight").rate;
    imgrec_trainer_destroy(t);
    imgrec_model_destroy(m);
  }
  assert_true(rates[1] == rates[0] && rates[2] == rates[0]);
  imgrec_context_destroy(ctx);
}

/* A factor is a factor of the rate, of SGD's without momentum. */
static void test_optimizer__layer_rate_scales(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *start = new_model(ctx, NET, 1, 7), *m[2];
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0.125F);
  o.momentum = 0;
  for (int i = 0; i < 2; i++) {
    imgrec_trainer *t = NULL;
    m[i] = new_model(ctx, NET, 1, 7);
    assert_ok(ctx, imgrec_trainer_create(&t, m[i], &o));
    if (i == 1) {
      assert_int_equal(imgrec_trainer_set_layer_rate(t, "conv1", 2), 1);
      assert_int_equal(imgrec_trainer_set_layer_rate(t, "fc2", 2), 1);
    }
    train(ctx, t, 1);
    imgrec_trainer_destroy(t);
  }
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(start, i)); i++) {
    const float *once = imgrec__model_param(m[0], i)->data;
    const float *twice = imgrec__model_param(m[1], i)->data;
    float factor =
        strncmp(p->name, "conv1", 5) == 0 || strncmp(p->name, "fc2", 3) == 0
            ? 2
            : 1;
    for (size_t k = 0; k < p->count; k++)
      assert_true(fabsf((twice[k] - p->data[k]) -
                        factor * (once[k] - p->data[k])) < 1e-6F);
  }
  imgrec_model_destroy(m[0]);
  imgrec_model_destroy(m[1]);
  imgrec_model_destroy(start);
  imgrec_context_destroy(ctx);
}

/* ---- The average --------------------------------------------------------- */

static void test_optimizer__average(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 1, 7);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F);
  imgrec_trainer *t = NULL;
  size_t floats = m->weight_floats, bytes = floats * sizeof(float);
  double *wanted = calloc(floats, sizeof *wanted);
  float *last = malloc(bytes);
  o.ema_decay = 0.25F;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  assert_ok(ctx, imgrec_trainer_swap_average(t)); /* nothing yet */
  for (int n = 0; n < 9; n++) {
    double decay = fmin(0.25, n / (9.0 + n));
    train(ctx, t, 1);
    for (size_t i = 0; i < floats; i++)
      wanted[i] = decay * wanted[i] + (1 - decay) * (double)m->weights[i];
  }
  memcpy(last, m->weights, bytes);
  assert_ok(ctx, imgrec_trainer_swap_average(t));
  for (size_t i = 0; i < floats; i++)
    assert_true(fabs((double)m->weights[i] - wanted[i]) < 1e-6);
  assert_memory_not_equal(last, m->weights, bytes);
  assert_ok(ctx, imgrec_trainer_swap_average(t));
  assert_memory_equal(last, m->weights, bytes);
  imgrec_trainer_destroy(t);
  o.ema_decay = 0;
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  assert_fails(ctx, imgrec_trainer_swap_average(t), IMGREC_ERR_ARGUMENT,
               "this trainer keeps no average: its ema_decay is 0");
  assert_int_equal(imgrec_trainer_swap_average(NULL), IMGREC_ERR_ARGUMENT);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  free(wanted);
  free(last);
}

/* ---- Memory -------------------------------------------------------------- */

static void test_optimizer__every_allocation_fails(void **state) {
  (void)state;
  struct failing alloc;
  imgrec_context_options c;
  imgrec_context *ctx = NULL;
  memset(&alloc, 0, sizeof alloc);
  imgrec_context_options_init(&c, sizeof c);
  c.threads = 1;
  c.alloc = failing_alloc;
  c.free = failing_free;
  c.alloc_user = &alloc;
  assert_int_equal(imgrec_context_create(&ctx, &c), 0);
  imgrec_model *m = new_model(ctx, NET, 4, 1);
  imgrec_trainer_options o = all_options(IMGREC_OPTIMIZER_ADAMW);
  o.clip_norm = 1;
  long live = alloc.live_blocks, n = 0;
  for (int status = -1; status < 0;) {
    imgrec_trainer *t = NULL;
    alloc.calls = 0;
    alloc.fail_at = ++n;
    status = imgrec_trainer_create(&t, m, &o);
    alloc.fail_at = 0;
    if (status < 0)
      assert_int_equal(status, IMGREC_ERR_MEMORY);
    imgrec_trainer_destroy(t);
    assert_int_equal(alloc.live_blocks, live);
  }
  assert_true(n > 11);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_optimizer__adamw),
      cmocka_unit_test(test_optimizer__sgd),
      cmocka_unit_test(test_optimizer__clip),
      cmocka_unit_test(test_optimizer__same_bits),
      cmocka_unit_test(test_optimizer__clip_limits_steps),
      cmocka_unit_test(test_optimizer__decays),
      cmocka_unit_test(test_optimizer__layer_rates),
      cmocka_unit_test(test_optimizer__rounding_mode),
      cmocka_unit_test(test_optimizer__layer_rate_scales),
      cmocka_unit_test(test_optimizer__average),
      cmocka_unit_test(test_optimizer__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
