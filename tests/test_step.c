/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/step.c: a step in pieces has the bits of a whole one,
 * takes no memory, keeps to its time, and is not disturbed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "toy_data.h"
#include "train/train.h"

#define NET                                                                    \
  "input 10 10 2\nconv2d 6 kernel=3 bias=false\nbatch_norm activation=relu\n"  \
  "max_pool2d 2\nconv2d 8 kernel=3 padding=same activation=relu\nflatten\n"    \
  "dropout 0.2\ndense 700 activation=relu\ndense 500 activation=relu\n"        \
  "dense 4\nsoftmax\n"

enum { CLASSES = 4, BATCH = 6, STEPS = 5 };

/* ---- A host's clock --------------------------------------------------------
 */

/* Each look at it takes `tick` nanoseconds. */
struct clock {
  uint64_t now, tick;
};

static uint64_t look(void *user) {
  struct clock *c = user;
  return c->now += c->tick;
}

struct fixture {
  struct failing alloc;
  struct clock clock;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels;
};

static void set_up(struct fixture *f, const imgrec_trainer_options *options,
                   int threads) {
  imgrec_context_options o;
  *f = (struct fixture){.clock = {5, 1000000}};
  imgrec_context_options_init(&o, sizeof o);
  o.threads = threads;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f->alloc;
  o.clock = look;
  o.clock_user = &f->clock;
  assert_int_equal(imgrec_context_create(&f->ctx, &o), 0);
  f->model = new_model(f->ctx, NET, BATCH, 3);
  assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model, options));
  f->x = new_batch(f->ctx, f->model, BATCH, 1);
  f->labels = new_labels(f->ctx, BATCH, CLASSES, 2);
}

static void tear_down(struct fixture *f) {
  imgrec_tensor_destroy(f->x);
  imgrec_tensor_destroy(f->labels);
  imgrec_trainer_destroy(f->trainer);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
}

static int go_on(struct fixture *f, float ms, float *loss) {
  int status = imgrec_train_step_ms(f->trainer, f->x, f->labels, ms, loss);
  assert_ok(f->ctx, status);
  return status;
}

/* How many calls a whole step takes. */
static int step_in_calls(struct fixture *f, float ms, float *loss) {
  int calls = 1;
  while (go_on(f, ms, loss) == IMGREC_STEP_UNFINISHED)
    calls++;
  return calls;
}

/* ---- Bits ------------------------------------------------------------------
 */

static imgrec_trainer_options plain(void) {
  imgrec_trainer_options o;
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = BATCH;
  o.seed = 9;
  return o;
}

static void compare(const imgrec_trainer_options *o, float ms) {
  struct fixture a, b;
  float whole = 0, parts = 0;
  set_up(&a, o, 1);
  set_up(&b, o, 3);
  for (int i = 0; i < STEPS; i++) {
    assert_ok(a.ctx, imgrec_train_step(a.trainer, a.x, a.labels, &whole));
    assert_true(step_in_calls(&b, ms, &parts) > 1);
    assert_memory_equal(&whole, &parts, sizeof whole);
  }
  size_t bytes = a.model->weight_floats * sizeof(float);
  assert_memory_equal(a.model->weights, b.model->weights, bytes);
  if (a.trainer->average) {
    assert_ok(a.ctx, imgrec_trainer_swap_average(a.trainer));
    assert_ok(b.ctx, imgrec_trainer_swap_average(b.trainer));
    assert_memory_equal(a.model->weights, b.model->weights, bytes);
  }
  tear_down(&a);
  tear_down(&b);
}

static void test_step__same_bits(void **state) {
  (void)state;
  const float budgets[] = {0, 2.5F};
  for (int i = 0; i < 2; i++) {
    imgrec_trainer_options o = plain();
    compare(&o, budgets[i]);
    o.optimizer = IMGREC_OPTIMIZER_SGD;
    compare(&o, budgets[i]);
    o.optimizer = IMGREC_OPTIMIZER_ADAMW;
    o.weight_decay = 0.01F;
    o.ema_decay = 0.9F;
    compare(&o, budgets[i]);
    o.clip_norm = 0.5F;
    o.label_smoothing = 0.1F;
    compare(&o, budgets[i]);
    o.accumulate = 2;
    compare(&o, budgets[i]);
  }
}

/* A budget of nothing makes one piece a call. */
static void test_step__pieces(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  float loss = 7;
  set_up(&f, &o, 1);
  /* conv + batch norm apart while training, relu and pool of it, conv + relu,
   * flatten, dropout, three dense layers and their activations, the loss;
   * backward the same; the update */
  int calls = step_in_calls(&f, 0, &loss);
  assert_true(calls > 15 && calls < 40);
  assert_true(loss > 0 && loss < 7);
  assert_int_equal(step_in_calls(&f, 0, NULL), calls);
  o.clip_norm = 1; /* all gradients are stored: 1.7 times 2^18 of them */
  tear_down(&f);
  set_up(&f, &o, 1);
  assert_true(step_in_calls(&f, 0, &loss) >= calls + 2);
  tear_down(&f);
}

/* ---- Time ------------------------------------------------------------------
 */

/* Each piece takes 1 ms by this clock. */
static void test_step__keeps_to_its_time(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  set_up(&f, &o, 1);
  assert_true(imgrec_trainer_longest_piece(f.trainer) == 0);
  int pieces = step_in_calls(&f, 0, NULL);
  assert_true(fabsf(imgrec_trainer_longest_piece(f.trainer) - 1) < 1e-3F);
  int status;
  do {
    uint64_t before = f.clock.now;
    status = go_on(&f, 4, NULL);
    /* its first look is not part of what it counts */
    assert_true(f.clock.now - before <= 5000000);
  } while (status == IMGREC_STEP_UNFINISHED);
  assert_int_equal(step_in_calls(&f, 4, NULL), (pieces + 3) / 4);
  assert_int_equal(step_in_calls(&f, 1e9F, NULL), 1);
  assert_int_equal(step_in_calls(&f, INFINITY, NULL), 1);
  tear_down(&f);
}

/* ---- Memory ----------------------------------------------------------------
 */

static void test_step__takes_no_memory(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  o.ema_decay = 0.9F;
  o.clip_norm = 1;
  float loss;
  set_up(&f, &o, 2);
  long calls = f.alloc.calls;
  f.alloc.fail_at = 1;
  f.alloc.from_then_on = 1;
  step_in_calls(&f, 0, &loss);
  step_in_calls(&f, 3, &loss);
  assert_ok(f.ctx, imgrec_train_step(f.trainer, f.x, f.labels, &loss));
  assert_int_equal(f.alloc.calls, calls);
  tear_down(&f);
}

/* ---- What comes in between --------------------------------------------------
 */

#define UNDER_WAY                                                              \
  "a training step of this model is under way; finish it with "                \
  "imgrec_train_step_ms, or give it up with imgrec_trainer_abandon"

static void test_step__refuses_changes(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  o.ema_decay = 0.9F;
  imgrec_trainer *second = NULL;
  imgrec_tensor *value = NULL;
  set_up(&f, &o, 1);
  imgrec_context *ctx = f.ctx;
  imgrec_dataset *data = toy_data(ctx, 6, 0, 100);
  float room[10];
  assert_ok(ctx, imgrec_model_get_parameter(&value, f.model, "fc3.bias"));
  assert_int_equal(go_on(&f, 0, NULL), IMGREC_STEP_UNFINISHED);
  const int refused[] = {
      imgrec_train_step(f.trainer, f.x, f.labels, NULL),
      imgrec_trainer_set_learning_rate(f.trainer, 1),
      imgrec_trainer_set_layer_rate(f.trainer, "", 1),
      imgrec_trainer_swap_average(f.trainer),
      imgrec_trainer_save(f.trainer, "build/tmp/never"),
      imgrec_trainer_load(f.trainer, "build/tmp/never"),
      imgrec_fit(f.trainer, data, NULL, NULL, NULL),
      imgrec_find_rate(f.trainer, data, NULL, 10, room, room, room),
      imgrec_trainer_create(&second, f.model, NULL),
      imgrec_model_set_parameter(f.model, "fc3.bias", value),
      imgrec_model_load_weights(f.model, "any"),
      imgrec_model_transfer_weights(f.model, "any"),
      imgrec_model_round_weights(f.model, IMGREC_WEIGHTS_F16),
      imgrec_model_save(f.model, "build/tmp/never")};
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
    if (refused[i] != IMGREC_ERR_ARGUMENT)
      fail_msg("call %zu: %d", i, refused[i]);
  assert_string_equal(imgrec_last_error(ctx), UNDER_WAY);
  step_in_calls(&f, 5, NULL);
  assert_ok(ctx, imgrec_trainer_set_learning_rate(f.trainer, 1));
  assert_ok(ctx, imgrec_model_set_parameter(f.model, "fc3.bias", value));
  imgrec_tensor_destroy(value);
  imgrec_dataset_destroy(data);
  tear_down(&f);
}

static void test_step__other_images(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  set_up(&f, &o, 1);
  imgrec_tensor *other = new_batch(f.ctx, f.model, BATCH, 1);
  assert_int_equal(go_on(&f, 0, NULL), IMGREC_STEP_UNFINISHED);
  assert_fails(f.ctx, imgrec_train_step_ms(f.trainer, other, f.labels, 1, NULL),
               IMGREC_ERR_ARGUMENT,
               "a training step on other images is under way; go on with "
               "those, or give it up with imgrec_trainer_abandon");
  assert_fails(f.ctx, imgrec_train_step_ms(f.trainer, f.x, f.labels, -1, NULL),
               IMGREC_ERR_ARGUMENT,
               "imgrec_train_step_ms: ms must be 0 or more");
  assert_fails(f.ctx, imgrec_train_step_ms(f.trainer, f.x, f.labels, NAN, NULL),
               IMGREC_ERR_ARGUMENT,
               "imgrec_train_step_ms: ms must be 0 or more");
  assert_int_equal(go_on(&f, INFINITY, NULL), IMGREC_STEP_DONE);
  assert_int_equal(imgrec_train_step_ms(NULL, f.x, f.labels, 1, NULL),
                   IMGREC_ERR_ARGUMENT);
  imgrec_tensor_destroy(other);
  tear_down(&f);
}

/* Recognising in between disturbs neither, and knows the new weights after. */
static void test_step__recognising_in_between(void **state) {
  (void)state;
  struct fixture a, b;
  imgrec_trainer_options o = plain();
  set_up(&a, &o, 1);
  set_up(&b, &o, 2);
  imgrec_tensor *y = new_tensor(a.ctx, IMGREC_F32, 2, BATCH, CLASSES, 1, 1);
  imgrec_tensor *z = new_tensor(b.ctx, IMGREC_F32, 2, BATCH, CLASSES, 1, 1);
  while (go_on(&a, 0, NULL) == IMGREC_STEP_UNFINISHED)
    assert_ok(a.ctx, imgrec_model_forward(a.model, a.x, y));
  step_in_calls(&b, 0, NULL);
  assert_memory_equal(a.model->weights, b.model->weights,
                      a.model->weight_floats * sizeof(float));
  assert_ok(a.ctx, imgrec_model_forward(a.model, a.x, y));
  assert_ok(b.ctx, imgrec_model_forward(b.model, b.x, z));
  assert_memory_equal(floats_of(y), floats_of(z), imgrec_tensor_nbytes(y));
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(z);
  tear_down(&a);
  tear_down(&b);
}

/* ---- The end ----------------------------------------------------------------
 */

/* Given up before anything was updated, a step is as if it had not been, but
 * for the running moments of batch norm, which are put back here. */
static void test_step__abandon(void **state) {
  (void)state;
  struct fixture a, b;
  imgrec_trainer_options o = plain();
  set_up(&a, &o, 1);
  set_up(&b, &o, 1);
  imgrec_trainer_abandon(NULL);
  imgrec_trainer_abandon(a.trainer);
  struct param *mean = imgrec__model_param(a.model, 3);
  float moments[12];
  memcpy(moments, mean->data, sizeof moments / 2);
  memcpy(moments + 6, imgrec__model_param(a.model, 4)->data,
         sizeof moments / 2);
  for (int i = 0; i < 4; i++)
    go_on(&a, 0, NULL);
  imgrec_trainer_abandon(a.trainer);
  memcpy(mean->data, moments, sizeof moments / 2);
  memcpy(imgrec__model_param(a.model, 4)->data, moments + 6,
         sizeof moments / 2);
  for (int i = 0; i < 2; i++) {
    assert_ok(a.ctx, imgrec_train_step(a.trainer, a.x, a.labels, NULL));
    assert_ok(b.ctx, imgrec_train_step(b.trainer, b.x, b.labels, NULL));
  }
  assert_memory_equal(a.model->weights, b.model->weights,
                      a.model->weight_floats * sizeof(float));
  go_on(&a, 0, NULL); /* a trainer may end with one */
  tear_down(&a);
  tear_down(&b);
}

static void test_step__a_model_outlives_it(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  set_up(&f, &o, 1);
  go_on(&f, 0, NULL);
  imgrec_trainer_destroy(f.trainer);
  f.trainer = NULL;
  assert_ok(f.ctx, imgrec_model_round_weights(f.model, IMGREC_WEIGHTS_BF16));
  tear_down(&f);
}

static void test_step__a_loss_that_is_not_finite(void **state) {
  (void)state;
  struct fixture f;
  imgrec_trainer_options o = plain();
  float loss = 0;
  set_up(&f, &o, 1);
  imgrec__model_param(f.model, imgrec_model_parameter_count(f.model) - 1)
      ->data[1] = INFINITY;
  float before = imgrec__model_param(f.model, 0)->data[0];
  step_in_calls(&f, 0, &loss);
  assert_false(isfinite(loss));
  assert_true(before == imgrec__model_param(f.model, 0)->data[0]);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_step__same_bits),
      cmocka_unit_test(test_step__pieces),
      cmocka_unit_test(test_step__keeps_to_its_time),
      cmocka_unit_test(test_step__takes_no_memory),
      cmocka_unit_test(test_step__refuses_changes),
      cmocka_unit_test(test_step__other_images),
      cmocka_unit_test(test_step__recognising_in_between),
      cmocka_unit_test(test_step__abandon),
      cmocka_unit_test(test_step__a_model_outlives_it),
      cmocka_unit_test(test_step__a_loss_that_is_not_finite),
  };
  return cmocka_run_group_tests_name("step", tests, NULL, NULL);
}
