/* SPDX-License-Identifier: MIT */
/* Tests of what imgrec_fit can be asked for: schedules, patience, balance,
 * averages of weights (lib/train/fit.c with schedule.c and optimizer.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "failing_alloc.h"
#include "toy_data.h"
#include "train/train.h"

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_trainer_options trainer_options;
  imgrec_fit_options options;
  imgrec_dataset *train, *val;
  imgrec_fit_result result;
  /* What was seen: rates of steps, accuracy of epochs. */
  int steps, epochs;
  float rates[400], accuracies[60], losses[60];
};

static int watch(void *user, const imgrec_progress *p) {
  struct fixture *f = user;
  if (p->epoch_done) {
    f->losses[f->epochs] = p->val_loss;
    f->accuracies[f->epochs++] = p->val_accuracy;
  } else {
    f->rates[f->steps++] = p->learning_rate;
  }
  return 0;
}

static void make(struct fixture *f, int threads) {
  memset(f, 0, sizeof *f);
  f->ctx = counted_context(&f->alloc, threads);
  f->model = new_model(f->ctx, TOY_NET, 8, 1);
  f->train = toy_data(f->ctx, 45, 0, 60);
  f->val = toy_data(f->ctx, 21, 100, 60);
  imgrec_trainer_options_init(&f->trainer_options, sizeof f->trainer_options);
  f->trainer_options.learning_rate = 0.01F;
  f->trainer_options.max_batch = 8;
  imgrec_fit_options_init(&f->options, sizeof f->options);
  imgrec_fit_result_init(&f->result, sizeof f->result);
  f->options.seed = 1;
  f->options.progress = watch;
  f->options.progress_user = f;
}

static int fit(struct fixture *f) {
  if (!f->trainer)
    assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model,
                                            &f->trainer_options));
  f->steps = f->epochs = 0;
  return imgrec_fit(f->trainer, f->train, f->val, &f->options, &f->result);
}

static void release(struct fixture *f) {
  imgrec_dataset_destroy(f->train);
  imgrec_dataset_destroy(f->val);
  imgrec_trainer_destroy(f->trainer);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
}

/* ---- Schedules ----------------------------------------------------------- */

/* 45 images in batches of 8: 6 steps an epoch. */
static void test_fit_options__schedule(void **state) {
  struct fixture f;
  (void)state;
  for (int kind = 0; kind <= IMGREC_SCHEDULE_ONE_CYCLE; kind++) {
    make(&f, 1);
    f.options.epochs = 4;
    f.options.schedule = kind;
    f.options.warmup_epochs = kind == 1 ? 0 : 1;
    assert_ok(f.ctx, fit(&f));
    const struct schedule s = imgrec__schedule_of(&f.options, 0.01F, 6);
    assert_int_equal(f.steps, 24);
    for (int i = 0; i < 24; i++)
      assert_true(f.rates[i] == imgrec__schedule_rate(&s, (uint64_t)i));
    assert_true(f.rates[23] < 0.01F || kind == 0);
    assert_true(f.trainer->options.learning_rate == 0.01F);
    release(&f);
  }
}

static void test_fit_options__refused(void **state) {
  struct fixture f;
  (void)state;
  make(&f, 1);
  f.options.schedule = 7;
  assert_fails(f.ctx, fit(&f), IMGREC_ERR_ARGUMENT,
               "schedule must be an IMGREC_SCHEDULE_ value");
  f.options.schedule = 0;
  f.options.balance = 3;
  assert_fails(f.ctx, fit(&f), IMGREC_ERR_ARGUMENT,
               "balance must be an IMGREC_BALANCE_ value");
  f.options.balance = 0;
  f.options.patience = -1;
  const char *sentence = "patience must be 0, or positive with a validation "
                         "set to be patient with";
  assert_fails(f.ctx, fit(&f), IMGREC_ERR_ARGUMENT, sentence);
  f.options.patience = 1;
  imgrec_dataset_destroy(f.val);
  f.val = NULL;
  assert_fails(f.ctx, fit(&f), IMGREC_ERR_ARGUMENT, sentence);
  release(&f);
}

/* ---- Patience ------------------------------------------------------------ */

/* A rate that is too high: the best epoch is soon followed by worse ones. */
static void test_fit_options__patience(void **state) {
  struct fixture f;
  (void)state;
  make(&f, 1);
  f.trainer_options.learning_rate = 0.3F;
  f.options.epochs = 50;
  f.options.patience = 3;
  assert_ok(f.ctx, fit(&f));
  assert_int_equal(f.result.stopped_early, 1);
  assert_int_equal(f.result.cancelled, 0);
  assert_true(f.result.epochs < 50);
  assert_int_equal(f.result.epochs, f.result.best_epoch + 3);
  release(&f);
}

/* The last epoch is no early stop. */
static void test_fit_options__patience_at_the_end(void **state) {
  struct fixture f;
  int32_t epochs;
  (void)state;
  make(&f, 1);
  f.trainer_options.learning_rate = 0.3F;
  f.options.epochs = 50;
  f.options.patience = 3;
  assert_ok(f.ctx, fit(&f));
  epochs = f.result.epochs;
  release(&f);
  make(&f, 1);
  f.trainer_options.learning_rate = 0.3F;
  f.options.epochs = epochs;
  f.options.patience = 3;
  assert_ok(f.ctx, fit(&f));
  assert_int_equal(f.result.epochs, epochs);
  assert_int_equal(f.result.stopped_early, 0);
  release(&f);
}

/* ---- Averages ------------------------------------------------------------ */

/* Validation is of the averages, and those are what stays. */
static void test_fit_options__averages(void **state) {
  struct fixture f, plain;
  imgrec_evaluation e;
  (void)state;
  make(&f, 2);
  f.trainer_options.ema_decay = 0.95F;
  f.options.epochs = 6;
  assert_ok(f.ctx, fit(&f));
  imgrec_evaluation_init(&e, sizeof e);
  assert_ok(f.ctx, imgrec_evaluate(f.model, f.val, &e));
  assert_true((float)e.top1 == f.result.val_accuracy);
  assert_true((float)e.loss == f.result.val_loss);
  make(&plain, 2);
  plain.options.epochs = 6;
  assert_ok(plain.ctx, fit(&plain));
  assert_true(plain.losses[0] != f.losses[0]);
  /* it is the training itself that stays the same */
  assert_true(plain.result.train_loss == f.result.train_loss);
  release(&plain);
  release(&f);
}

static int stop_at_4(void *user, const imgrec_progress *p) {
  (void)user;
  return p->images == 32;
}

/* Cancelled at once, the model has the average so far. */
static void test_fit_options__averages_cancelled(void **state) {
  struct fixture f, plain;
  (void)state;
  make(&f, 1);
  f.trainer_options.ema_decay = 0.95F;
  f.options.progress = stop_at_4;
  assert_ok(f.ctx, fit(&f));
  make(&plain, 1);
  plain.trainer_options.ema_decay = 0.95F;
  plain.options.progress = stop_at_4;
  imgrec_trainer_options *o = &plain.trainer_options;
  o->ema_decay = 0;
  assert_ok(plain.ctx, fit(&plain));
  assert_memory_not_equal(f.model->weights, plain.model->weights,
                          f.model->weight_floats * sizeof(float));
  /* the other half of the swap */
  assert_memory_equal(f.trainer->average, plain.model->weights,
                      f.model->weight_floats * sizeof(float));
  release(&plain);
  release(&f);
}

/* ---- Uneven classes ------------------------------------------------------ */

/* As toy_data, without most images of classes 1 and 2. */
static imgrec_dataset *uneven_data(imgrec_context *ctx, int contrast) {
  enum { N = 66 };
  imgrec_tensor *images = new_tensor(ctx, IMGREC_U8, 4, N, 6, 6, 1);
  imgrec_tensor *labels = new_tensor(ctx, IMGREC_I32, 1, N, 1, 1, 1);
  imgrec_dataset *d = NULL;
  for (int i = 0; i < N; i++) {
    int32_t *label = (int32_t *)imgrec_tensor_data(labels) + i;
    *label = i < 60 ? 0 : i < 63 ? 1 : 2;
    toy_image((unsigned char *)imgrec_tensor_data(images) + i * 36,
              300 + (uint64_t)i, *label, contrast);
  }
  assert_ok(ctx, imgrec_dataset_from_memory(&d, ctx, images, labels, 3));
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  return d;
}

/* What of a balanced validation set is right after few epochs. */
static float accuracy_with(int balance) {
  struct fixture f;
  make(&f, 1);
  imgrec_dataset_destroy(f.train);
  f.train = uneven_data(f.ctx, 30);
  f.options.balance = balance;
  f.options.epochs = 4;
  assert_ok(f.ctx, fit(&f));
  float accuracy = f.accuracies[3];
  release(&f);
  return accuracy;
}

/* Without it the small classes are hardly learned. */
static void test_fit_options__balance(void **state) {
  (void)state;
  float none = accuracy_with(IMGREC_BALANCE_NONE);
  float weights = accuracy_with(IMGREC_BALANCE_WEIGHTS);
  float sampler = accuracy_with(IMGREC_BALANCE_SAMPLER);
  assert_true(weights > none + 0.1F);
  assert_true(sampler > none + 0.1F);
}

/* Classes of one size weigh 1 each: nothing changes. */
static void test_fit_options__even_weights(void **state) {
  struct fixture f, plain;
  (void)state;
  make(&f, 1);
  f.options.epochs = 2;
  f.options.balance = IMGREC_BALANCE_WEIGHTS;
  assert_ok(f.ctx, fit(&f));
  make(&plain, 1);
  plain.options.epochs = 2;
  assert_ok(plain.ctx, fit(&plain));
  assert_true(fabsf(f.result.train_loss - plain.result.train_loss) < 1e-5F);
  release(&plain);
  release(&f);
}

/* ---- All of it ----------------------------------------------------------- */

static void with_all(struct fixture *f, int threads, int balance) {
  make(f, threads);
  f->trainer_options.optimizer = IMGREC_OPTIMIZER_ADAMW;
  f->trainer_options.weight_decay = 0.05F;
  f->trainer_options.label_smoothing = 0.1F;
  f->trainer_options.clip_norm = 1;
  f->trainer_options.ema_decay = 0.9F;
  f->trainer_options.layer_decay = 0.75F;
  f->options.schedule = IMGREC_SCHEDULE_COSINE;
  f->options.warmup_epochs = 1;
  f->options.patience = 2;
  f->options.balance = balance;
  f->options.epochs = 3;
}

static void test_fit_options__same_on_threads(void **state) {
  (void)state;
  for (int balance = 0; balance < 3; balance++) {
    struct fixture a, b;
    with_all(&a, 1, balance);
    with_all(&b, 3, balance);
    assert_ok(a.ctx, fit(&a));
    assert_ok(b.ctx, fit(&b));
    assert_memory_equal(a.model->weights, b.model->weights,
                        a.model->weight_floats * sizeof(float));
    release(&a);
    release(&b);
  }
}

static void test_fit_options__every_allocation_fails(void **state) {
  (void)state;
  for (int balance = 1; balance < 3; balance++) {
    struct fixture f;
    with_all(&f, 1, balance);
    f.options.epochs = 1;
    assert_ok(f.ctx,
              imgrec_trainer_create(&f.trainer, f.model, &f.trainer_options));
    int status = -1;
    for (long n = 1; status < 0; n++) {
      long live = f.alloc.live_blocks;
      f.alloc.calls = 0;
      f.alloc.fail_at = n;
      status = fit(&f);
      f.alloc.fail_at = 0;
      assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
      /* the class names may have been given before what failed */
      assert_true(status >= 0 || f.model->labels ||
                  f.alloc.live_blocks == live);
    }
    release(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fit_options__schedule),
      cmocka_unit_test(test_fit_options__refused),
      cmocka_unit_test(test_fit_options__patience),
      cmocka_unit_test(test_fit_options__patience_at_the_end),
      cmocka_unit_test(test_fit_options__averages),
      cmocka_unit_test(test_fit_options__averages_cancelled),
      cmocka_unit_test(test_fit_options__balance),
      cmocka_unit_test(test_fit_options__even_weights),
      cmocka_unit_test(test_fit_options__same_on_threads),
      cmocka_unit_test(test_fit_options__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
