/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/trainer.c: optimisers against f64, steps, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "nets.h"
#include "train/train.h"

/* One layer, so that its gradient can be written down: z = W x + b. */
#define LINEAR "input 1 1 4\nflatten\ndense 3\n"
enum { IN = 4, CLASSES = 3, BATCH = 5, WEIGHTS = IN * CLASSES + CLASSES };

/* ---- Optimisers ---------------------------------------------------------- */

struct exact {
  double w[WEIGHTS], m[WEIGHTS], v[WEIGHTS], g[WEIGHTS];
  int updates, steps;
};

/* Weights in the order of memory: in x out, then the bias. */
static float *weight(const imgrec_model *m, int i) {
  const struct node *n = &m->graph.nodes[2];
  return i < IN * CLASSES ? n->params[0].data + i
                          : n->params[1].data + i - IN * CLASSES;
}

static void softmax(const double z[CLASSES], double p[CLASSES]) {
  double sum = 0;
  for (int c = 0; c < CLASSES; c++)
    sum += p[c] = exp(z[c]);
  for (int c = 0; c < CLASSES; c++)
    p[c] /= sum;
}

/* Adds the gradient of the mean cross-entropy of a batch, over `every`;
 * returns the mean. */
static double exact_gradient(struct exact *e, const float *x,
                             const int32_t *labels, int every) {
  double loss = 0;
  for (int n = 0; n < BATCH; n++) {
    double z[CLASSES], p[CLASSES];
    for (int c = 0; c < CLASSES; c++) {
      z[c] = e->w[IN * CLASSES + c];
      for (int i = 0; i < IN; i++)
        z[c] += (double)x[n * IN + i] * e->w[i * CLASSES + c];
    }
    softmax(z, p);
    loss -= log(p[labels[n]]) / BATCH;
    for (int c = 0; c < CLASSES; c++) {
      double d = (p[c] - (c == labels[n])) / BATCH / every;
      e->g[IN * CLASSES + c] += d;
      for (int i = 0; i < IN; i++)
        e->g[i * CLASSES + c] += d * (double)x[n * IN + i];
    }
  }
  return loss;
}

/* Kingma and Ba 2015, algorithm 1, in the form of Keras: epsilon beside the
 * uncorrected root. */
static void exact_adam(struct exact *e, int i,
                       const imgrec_trainer_options *o) {
  double b1 = (double)o->beta1, b2 = (double)o->beta2;
  double rate = (double)o->learning_rate * sqrt(1 - pow(b2, e->updates)) /
                (1 - pow(b1, e->updates));
  e->m[i] = b1 * e->m[i] + (1 - b1) * e->g[i];
  e->v[i] = b2 * e->v[i] + (1 - b2) * e->g[i] * e->g[i];
  e->w[i] -= rate * e->m[i] / (sqrt(e->v[i]) + (double)o->epsilon);
}

static void exact_sgd(struct exact *e, int i, const imgrec_trainer_options *o) {
  e->m[i] = (double)o->momentum * e->m[i] - (double)o->learning_rate * e->g[i];
  e->w[i] += e->m[i];
}

static void exact_update(struct exact *e, const imgrec_trainer_options *o) {
  if (++e->steps % o->accumulate != 0)
    return;
  e->updates++;
  for (int i = 0; i < WEIGHTS; i++) {
    if (o->optimizer == IMGREC_OPTIMIZER_ADAM)
      exact_adam(e, i, o);
    else
      exact_sgd(e, i, o);
    e->g[i] = 0;
  }
}

static void one_step(imgrec_context *ctx, imgrec_trainer *t, struct exact *e,
                     const imgrec_trainer_options *o, uint64_t stream) {
  imgrec_tensor *x = new_batch(ctx, t->model, BATCH, stream);
  imgrec_tensor *labels = new_labels(ctx, BATCH, CLASSES, stream);
  float loss = -1;
  assert_ok(ctx, imgrec_train_step(t, x, labels, &loss));
  double wanted = exact_gradient(e, floats_of(x), imgrec_tensor_data(labels),
                                 o->accumulate);
  assert_true(fabs((double)loss - wanted) < 1e-6);
  exact_update(e, o);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
}

static void check_optimiser(const imgrec_trainer_options *o, int steps) {
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, LINEAR, 1, 3);
  imgrec_trainer *t = NULL;
  struct exact e;
  memset(&e, 0, sizeof e);
  for (int i = 0; i < WEIGHTS; i++)
    e.w[i] = (double)*weight(m, i);
  assert_ok(ctx, imgrec_trainer_create(&t, m, o));
  for (int step = 0; step < steps; step++) {
    one_step(ctx, t, &e, o, (uint64_t)step);
    for (int i = 0; i < WEIGHTS; i++)
      assert_true(fabs((double)*weight(m, i) - e.w[i]) < 3e-6);
  }
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static imgrec_trainer_options options(int optimizer, float rate,
                                      int accumulate) {
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.optimizer = optimizer;
  o.learning_rate = rate;
  o.accumulate = accumulate;
  o.max_batch = 8;
  return o;
}

static void test_trainer__adam(void **state) {
  (void)state;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  check_optimiser(&o, 20);
  o.beta1 = 0.5F;
  o.beta2 = 0.75F;
  o.epsilon = 0.125F;
  check_optimiser(&o, 20);
  o.beta1 = o.beta2 = 0;
  check_optimiser(&o, 5);
}

static void test_trainer__sgd(void **state) {
  (void)state;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0.125F, 1);
  check_optimiser(&o, 20);
  o.momentum = 0;
  check_optimiser(&o, 20);
}

static void test_trainer__accumulate(void **state) {
  (void)state;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 3);
  check_optimiser(&o, 13);
  o = options(IMGREC_OPTIMIZER_SGD, 0.125F, 2);
  check_optimiser(&o, 9);
}

static void test_trainer__default_rates(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, LINEAR, 1, 3);
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_true(t->options.learning_rate == 0.001F);
  assert_int_equal(t->plan.batch, 32);
  imgrec_trainer_destroy(t);
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0, 0);
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  assert_true(t->options.learning_rate == 0.01F);
  assert_int_equal(t->options.accumulate, 1);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- Updates within backward --------------------------------------------- */

/* Dense layers as wide as a tile and wider, narrow ones, one without a bias,
 * and what is not dense. */
#define DENSE_NET                                                              \
  "input 6 7 3\nconv2d 4 kernel=3\nbatch_norm activation=relu\nflatten\n"      \
  "dense 520 activation=relu\ndense 40 bias=false\ndense 3\nsoftmax\n"

static imgrec_model *trained(imgrec_context *ctx, int optimizer, int batch,
                             int fused) {
  imgrec_model *m = new_model(ctx, DENSE_NET, 1, 7);
  imgrec_trainer *t = NULL;
  imgrec_trainer_options o = options(optimizer, 0.01F, 1);
  o.max_batch = batch;
  assert_ok(ctx, imgrec__trainer_new(&t, m, &o, fused));
  assert_int_equal(t->fused, fused);
  for (uint64_t step = 0; step < 3; step++) {
    imgrec_tensor *x = new_batch(ctx, m, batch, step);
    imgrec_tensor *labels = new_labels(ctx, batch, CLASSES, step);
    assert_ok(ctx, imgrec_train_step(t, x, labels, NULL));
    imgrec_tensor_destroy(x);
    imgrec_tensor_destroy(labels);
  }
  imgrec_trainer_destroy(t);
  return m;
}

/* The bits of gradients that are stored first. */
static void test_trainer__fused_updates(void **state) {
  static const int batches[] = {1, 5, 33, 150};
  (void)state;
  for (int i = 0; i < 12; i++) {
    int isa = i % 3 ? IMGREC_ISA_AUTO : IMGREC_ISA_SCALAR;
    imgrec_context *ctx = new_context(1 + i % 2 * 2, isa);
    int optimizer = i / 2 % 2, batch = batches[i % 3 ? i % 4 : i % 2];
    imgrec_model *a = trained(ctx, optimizer, batch, 1);
    imgrec_model *b = trained(ctx, optimizer, batch, 0);
    imgrec_model *start = new_model(ctx, DENSE_NET, 1, 7);
    size_t bytes = a->weight_floats * sizeof(float);
    assert_memory_equal(a->weights, b->weights, bytes);
    assert_memory_not_equal(a->weights, start->weights, bytes);
    imgrec_model_destroy(a);
    imgrec_model_destroy(b);
    imgrec_model_destroy(start);
    imgrec_context_destroy(ctx);
  }
}

/* Gradients of dense weights are not stored, unless they accumulate. */
static void test_trainer__gradient_memory(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, DENSE_NET, 1, 7);
  size_t dense = 0;
  for (int i = 0; i < m->graph.node_count; i++) {
    const struct node *n = &m->graph.nodes[i];
    if (n->op == &imgrec__op_dense)
      dense += round_up(n->params[0].count, 16);
  }
  for (int accumulate = 1; accumulate <= 2; accumulate++) {
    imgrec_trainer *t = NULL;
    imgrec_trainer_options o = options(IMGREC_OPTIMIZER_SGD, 0, accumulate);
    assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
    size_t all = imgrec__place_gradients(&m->graph, 1, NULL);
    assert_int_equal(t->gradient_floats, accumulate == 1 ? all - dense : all);
    imgrec_trainer_destroy(t);
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* A loss that is not finite changes no weight, neither within backward nor
 * behind it. */
static void test_trainer__no_update_when_diverged(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(2, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, LINEAR, 1, 3);
  imgrec_trainer *t = NULL;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  assert_ok(ctx, imgrec_trainer_create(&t, m, &o));
  imgrec_tensor *x = new_batch(ctx, m, 8, 1);
  imgrec_tensor *labels = new_labels(ctx, 8, CLASSES, 1);
  size_t bytes = m->weight_floats * sizeof(float);
  float *before = malloc(bytes), loss = 0;
  memcpy(before, m->weights, bytes);
  floats_of(x)[3] = NAN;
  assert_ok(ctx, imgrec_train_step(t, x, labels, &loss));
  assert_true(isnan(loss));
  assert_memory_equal(before, m->weights, bytes);
  free(before);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- Steps --------------------------------------------------------------- */

#define NET                                                                    \
  "input 6 6 2\nconv2d 8 kernel=3 bias=false\nbatch_norm activation=relu\n"    \
  "dropout 0.25\nflatten\ndense 3\nsoftmax\n"

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels;
};

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f->alloc;
  assert_int_equal(imgrec_context_create(&f->ctx, &o), 0);
  f->model = new_model(f->ctx, NET, 4, 1);
  imgrec_trainer_options t = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model, &t));
  f->x = new_batch(f->ctx, f->model, 8, 1);
  f->labels = new_labels(f->ctx, 8, 3, 1);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_context_destroy(f->ctx);
  imgrec_model_destroy(f->model); /* the trainer keeps it */
  imgrec_tensor_destroy(f->x);
  imgrec_tensor_destroy(f->labels);
  imgrec_trainer_destroy(f->trainer);
  assert_int_equal(f->alloc.live_blocks, 0);
  free(f);
  return 0;
}

static void test_trainer__learns_by_heart(void **state) {
  struct fixture *f = *state;
  float first = 0, loss = 0;
  assert_ok(f->ctx, imgrec_train_step(f->trainer, f->x, f->labels, &first));
  for (int step = 0; step < 200; step++)
    assert_ok(f->ctx, imgrec_train_step(f->trainer, f->x, f->labels, &loss));
  assert_true(loss < first / 20);
}

static void test_trainer__step_allocates_nothing(void **state) {
  struct fixture *f = *state;
  long calls = f->alloc.calls;
  for (int step = 0; step < 3; step++)
    assert_ok(f->ctx, imgrec_train_step(f->trainer, f->x, f->labels, NULL));
  assert_int_equal(f->alloc.calls, calls);
}

/* One-hot probabilities are the classes; a smaller batch is fine. */
static void test_trainer__soft_labels(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = new_model(f->ctx, NET, 4, 1);
  imgrec_trainer *t = NULL;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  imgrec_tensor *soft = new_tensor(f->ctx, IMGREC_F32, 2, 8, 3, 1, 1);
  float hard_loss = 0, soft_loss = 1;
  for (int i = 0; i < 8; i++)
    floats_of(soft)[3 * i + ((int32_t *)imgrec_tensor_data(f->labels))[i]] = 1;
  assert_ok(f->ctx, imgrec_trainer_create(&t, m, &o));
  assert_ok(f->ctx, imgrec_train_step(f->trainer, f->x, f->labels, &hard_loss));
  assert_ok(f->ctx, imgrec_train_step(t, f->x, soft, &soft_loss));
  assert_true(hard_loss == soft_loss);
  assert_memory_equal(m->weights, f->model->weights,
                      m->weight_floats * sizeof(float));
  imgrec_tensor_destroy(soft);
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
}

/* The caller's rounding mode stays, and does not matter. */
static void test_trainer__rounding_mode(void **state) {
  struct fixture *f = *state;
  imgrec_model *m = new_model(f->ctx, NET, 4, 1);
  imgrec_trainer *t = NULL;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  float a = 0, b = 1;
  assert_ok(f->ctx, imgrec_trainer_create(&t, m, &o));
  assert_ok(f->ctx, imgrec_train_step(f->trainer, f->x, f->labels, &a));
  fesetround(FE_DOWNWARD);
  int status = imgrec_train_step(t, f->x, f->labels, &b), mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_ok(f->ctx, status);
  assert_int_equal(mode, FE_DOWNWARD);
  assert_true(a == b);
  assert_memory_equal(m->weights, f->model->weights,
                      m->weight_floats * sizeof(float));
  imgrec_trainer_destroy(t);
  imgrec_model_destroy(m);
}

/* ---- What is refused ----------------------------------------------------- */

static void check_step(struct fixture *f, const imgrec_tensor *x,
                       const imgrec_tensor *labels, int status,
                       const char *sentence) {
  size_t bytes = f->model->weight_floats * sizeof(float);
  void *before = malloc(bytes);
  float loss = -7;
  memcpy(before, f->model->weights, bytes);
  assert_fails(f->ctx, imgrec_train_step(f->trainer, x, labels, &loss), status,
               sentence);
  assert_true(loss == -7);
  assert_memory_equal(before, f->model->weights, bytes);
  free(before);
}

static void test_trainer__step_arguments(void **state) {
  struct fixture *f = *state;
  imgrec_tensor *few = new_labels(f->ctx, 7, 3, 1);
  imgrec_tensor *many = new_tensor(f->ctx, IMGREC_F32, 4, 9, 6, 6, 2);
  imgrec_tensor *soft = new_tensor(f->ctx, IMGREC_F32, 2, 8, 4, 1, 1);
  int32_t *label = imgrec_tensor_data(f->labels);
  check_step(f, NULL, f->labels, IMGREC_ERR_ARGUMENT,
             "x must be an f32 tensor");
  check_step(f, many, f->labels, IMGREC_ERR_SHAPE,
             "x has 9 images; max_batch is 8");
  check_step(f, f->x, few, IMGREC_ERR_SHAPE,
             "labels must be one i32 for each of the 8 images");
  const char *sentence =
      "labels must be 8 i32 classes or 8 x 3 f32 probabilities";
  check_step(f, f->x, NULL, IMGREC_ERR_SHAPE, sentence);
  check_step(f, f->x, soft, IMGREC_ERR_SHAPE, sentence);
  label[5] = 3;
  check_step(f, f->x, f->labels, IMGREC_ERR_ARGUMENT,
             "label 3 of image 5 is no class; the model has 3");
  label[5] = -1;
  check_step(f, f->x, f->labels, IMGREC_ERR_ARGUMENT,
             "label -1 of image 5 is no class; the model has 3");
  assert_int_equal(imgrec_train_step(NULL, f->x, f->labels, NULL),
                   IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(few);
  imgrec_tensor_destroy(many);
  imgrec_tensor_destroy(soft);
}

/* The defaults with one field, at `offset`, changed. */
static void check_options(struct fixture *f, size_t offset, const void *value,
                          const char *sentence) {
  imgrec_trainer_options o;
  imgrec_trainer *t = NULL;
  imgrec_trainer_options_init(&o, sizeof o);
  memcpy((char *)&o + offset, value, 4);
  assert_fails(f->ctx, imgrec_trainer_create(&t, f->model, &o),
               IMGREC_ERR_ARGUMENT, sentence);
  assert_null(t);
}

static void check_int(struct fixture *f, size_t offset, int32_t value,
                      const char *sentence) {
  check_options(f, offset, &value, sentence);
}

static void check_float(struct fixture *f, size_t offset, float value,
                        const char *sentence) {
  check_options(f, offset, &value, sentence);
}

#define FIELD(name) offsetof(imgrec_trainer_options, name)

static void test_trainer__options(void **state) {
  struct fixture *f = *state;
  const char *betas = "beta1 and beta2 must be in [0, 1)";
  const char *rate = "learning_rate must be a positive number";
  check_int(f, FIELD(optimizer), 3,
            "optimizer must be an IMGREC_OPTIMIZER_ value");
  check_int(f, FIELD(max_batch), -1, "max_batch must be 1 to 65536");
  check_int(f, FIELD(max_batch), 65537, "max_batch must be 1 to 65536");
  check_float(f, FIELD(learning_rate), -0.1F, rate);
  check_float(f, FIELD(learning_rate), NAN, rate);
  check_float(f, FIELD(learning_rate), INFINITY, rate);
  check_float(f, FIELD(momentum), 1, "momentum must be in [0, 1)");
  check_float(f, FIELD(beta1), -0.1F, betas);
  check_float(f, FIELD(beta2), 1, betas);
  check_float(f, FIELD(epsilon), 0, "epsilon must be a positive number");
  check_int(f, FIELD(accumulate), -1, "accumulate must be 1 to 65536");
  assert_int_equal(imgrec_trainer_create(NULL, f->model, NULL),
                   IMGREC_ERR_ARGUMENT);
  imgrec_trainer_destroy(NULL);
}

static void test_trainer__reserved(void **state) {
  struct fixture *f = *state;
  imgrec_trainer_options o = options(IMGREC_OPTIMIZER_ADAM, 0.01F, 1);
  imgrec_trainer *t = NULL;
  o.reserved = 1;
  assert_fails(f->ctx, imgrec_trainer_create(&t, f->model, &o),
               IMGREC_ERR_UNSUPPORTED,
               "imgrec_trainer_options: reserved is 1; it must be 0");
  assert_null(t);
}

static void test_trainer__learning_rate(void **state) {
  struct fixture *f = *state;
  assert_ok(f->ctx, imgrec_trainer_set_learning_rate(f->trainer, 0.5F));
  assert_true(f->trainer->options.learning_rate == 0.5F);
  assert_fails(f->ctx, imgrec_trainer_set_learning_rate(f->trainer, 0),
               IMGREC_ERR_ARGUMENT, "learning_rate must be a positive number");
  assert_true(f->trainer->options.learning_rate == 0.5F);
  assert_int_equal(imgrec_trainer_set_learning_rate(NULL, 0.5F),
                   IMGREC_ERR_ARGUMENT);
}

static void test_trainer__every_allocation_fails(void **state) {
  struct fixture *f = *state;
  long live = f->alloc.live_blocks, n = 0;
  for (int status = -1; status < 0;) {
    imgrec_trainer *t = NULL;
    f->alloc.calls = 0;
    f->alloc.fail_at = ++n;
    status = imgrec_trainer_create(&t, f->model, NULL);
    f->alloc.fail_at = 0;
    if (status < 0)
      assert_int_equal(status, IMGREC_ERR_MEMORY);
    imgrec_trainer_destroy(t);
    assert_int_equal(f->alloc.live_blocks, live);
  }
  assert_true(n > 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_trainer__adam),
      cmocka_unit_test(test_trainer__sgd),
      cmocka_unit_test(test_trainer__accumulate),
      cmocka_unit_test(test_trainer__default_rates),
      cmocka_unit_test(test_trainer__fused_updates),
      cmocka_unit_test(test_trainer__gradient_memory),
      cmocka_unit_test(test_trainer__no_update_when_diverged),
      TEST(test_trainer__learns_by_heart),
      TEST(test_trainer__step_allocates_nothing),
      TEST(test_trainer__soft_labels),
      TEST(test_trainer__rounding_mode),
      TEST(test_trainer__step_arguments),
      TEST(test_trainer__options),
      TEST(test_trainer__reserved),
      TEST(test_trainer__learning_rate),
      TEST(test_trainer__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
