/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/find_rate.c: the search leaves no trace, and what it
 * suggests trains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "toy_data.h"
#include "train/train.h"

enum { STEPS = 60 };

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_dataset *train;
  float rates[STEPS], losses[STEPS], suggestion;
};

static void make(struct fixture *f, int threads, int optimizer) {
  imgrec_trainer_options t;
  memset(f, 0, sizeof *f);
  f->ctx = counted_context(&f->alloc, threads);
  f->model = new_model(f->ctx, TOY_NET, 8, 1);
  imgrec_trainer_options_init(&t, sizeof t);
  t.optimizer = optimizer;
  t.learning_rate = 0.125F;
  t.max_batch = 8;
  t.ema_decay = 0.9F;
  assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model, &t));
  f->train = toy_data(f->ctx, 45, 0, 60);
}

static int find(struct fixture *f, const imgrec_rate_options *o) {
  return imgrec_find_rate(f->trainer, f->train, o, STEPS, f->rates, f->losses,
                          &f->suggestion);
}

static void release(struct fixture *f) {
  imgrec_dataset_destroy(f->train);
  imgrec_trainer_destroy(f->trainer);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
}

static imgrec_rate_options rate_options(float low, float high) {
  imgrec_rate_options o;
  imgrec_rate_options_init(&o, sizeof o);
  o.low = low;
  o.high = high;
  o.seed = 3;
  return o;
}

static void test_find_rate__rates_rise(void **state) {
  struct fixture f;
  imgrec_rate_options o = rate_options(1e-4F, 1e-2F);
  (void)state;
  make(&f, 1, IMGREC_OPTIMIZER_ADAM);
  assert_int_equal(find(&f, &o), STEPS);
  assert_true(f.rates[0] == 1e-4F);
  assert_true(fabs((double)f.rates[STEPS - 1] - 1e-2) < 1e-7);
  for (int i = 1; i < STEPS; i++)
    assert_true(fabs((double)(f.rates[i] / f.rates[i - 1]) -
                     pow(100, 1.0 / (STEPS - 1))) < 1e-5);
  /* the least loss is at the end, while it still falls */
  assert_true(f.losses[STEPS - 1] < f.losses[0]);
  assert_true(f.suggestion <= 1e-3F && f.suggestion > 5e-4F);
  release(&f);
}

/* What is too high ends it; nothing of the model or trainer has changed. */
static void test_find_rate__leaves_no_trace(void **state) {
  (void)state;
  for (int optimizer = 0; optimizer < 3; optimizer++) {
    struct fixture f;
    imgrec_rate_options o = rate_options(1e-5F, 1e6F);
    make(&f, 2, optimizer);
    size_t bytes = f.model->weight_floats * sizeof(float);
    float *before = malloc(bytes);
    memcpy(before, f.model->weights, bytes);
    int steps = find(&f, &o);
    assert_in_range(steps, 11, STEPS - 1);
    assert_memory_equal(before, f.model->weights, bytes);
    for (size_t i = 0; i < f.model->weight_floats; i++)
      assert_true(f.trainer->moment1[i] == 0);
    assert_true(f.trainer->options.learning_rate == 0.125F);
    assert_int_equal(f.trainer->step, 0);
    assert_int_equal(f.trainer->averaged, 0);
    free(before);
    release(&f);
  }
}

/* The suggested rate learns what there is to learn; the same on any number of
 * threads. */
static void test_find_rate__suggests(void **state) {
  struct fixture a, b;
  imgrec_fit_options o;
  imgrec_fit_result r;
  (void)state;
  make(&a, 1, IMGREC_OPTIMIZER_ADAM);
  make(&b, 3, IMGREC_OPTIMIZER_ADAM);
  int steps = find(&a, NULL);
  assert_true(steps > 10);
  assert_int_equal(find(&b, NULL), steps);
  assert_memory_equal(a.losses, b.losses, (size_t)steps * sizeof(float));
  assert_true(a.suggestion == b.suggestion && a.suggestion > 0);
  assert_ok(a.ctx, imgrec_trainer_set_learning_rate(a.trainer, a.suggestion));
  imgrec_fit_options_init(&o, sizeof o);
  imgrec_fit_result_init(&r, sizeof r);
  o.epochs = 30;
  assert_ok(a.ctx, imgrec_fit(a.trainer, a.train, a.train, &o, &r));
  assert_true(r.val_accuracy > 0.9F);
  release(&a);
  release(&b);
}

static void test_find_rate__rounding_mode(void **state) {
  const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD};
  float suggestions[3];
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct fixture f;
    make(&f, 1, IMGREC_OPTIMIZER_ADAM);
    fesetround(modes[i]);
    int steps = find(&f, NULL);
    fesetround(FE_TONEAREST);
    assert_true(steps > 10);
    suggestions[i] = f.suggestion;
    release(&f);
  }
  assert_true(suggestions[1] == suggestions[0]);
  assert_true(suggestions[2] == suggestions[0]);
}

static void test_find_rate__refused(void **state) {
  struct fixture f;
  imgrec_rate_options o = rate_options(0.5F, 0.25F);
  float x[10], y[10], rate;
  (void)state;
  make(&f, 1, IMGREC_OPTIMIZER_ADAM);
  const char *sentence = "the rates to try must be positive, low below high";
  assert_fails(f.ctx, find(&f, &o), IMGREC_ERR_ARGUMENT, sentence);
  o = rate_options(-1, 1);
  assert_fails(f.ctx, find(&f, &o), IMGREC_ERR_ARGUMENT, sentence);
  o = rate_options(0.5F, INFINITY);
  assert_fails(f.ctx, find(&f, &o), IMGREC_ERR_ARGUMENT, sentence);
  o = rate_options(0, 0);
  o.batch = 9;
  assert_fails(f.ctx, find(&f, &o), IMGREC_ERR_ARGUMENT,
               "batch is 9; it must be 1 to the trainer's max_batch of 8");
  o = rate_options(0, 0);
  o.reserved = 1;
  assert_fails(f.ctx, find(&f, &o), IMGREC_ERR_UNSUPPORTED,
               "imgrec_rate_options: reserved is 1; it must be 0");
  assert_fails(f.ctx,
               imgrec_find_rate(f.trainer, f.train, NULL, 9, x, y, &rate),
               IMGREC_ERR_ARGUMENT, "steps is 9; it must be 10 to 100000");
  assert_int_equal(imgrec_find_rate(f.trainer, NULL, NULL, 10, x, y, &rate),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(
      imgrec_find_rate(f.trainer, f.train, NULL, 10, x, NULL, &rate),
      IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_find_rate(NULL, f.train, NULL, 10, x, y, &rate),
                   IMGREC_ERR_ARGUMENT);
  release(&f);
}

static void test_find_rate__every_allocation_fails(void **state) {
  struct fixture f;
  int status = -1;
  (void)state;
  make(&f, 1, IMGREC_OPTIMIZER_ADAM);
  size_t bytes = f.model->weight_floats * sizeof(float);
  float *before = malloc(bytes);
  memcpy(before, f.model->weights, bytes);
  for (long n = 1; status < 0; n++) {
    long live = f.alloc.live_blocks;
    f.alloc.calls = 0;
    f.alloc.fail_at = n;
    status = find(&f, NULL);
    f.alloc.fail_at = 0;
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
    assert_int_equal(f.alloc.live_blocks, live);
    assert_memory_equal(before, f.model->weights, bytes);
  }
  free(before);
  release(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_find_rate__rates_rise),
      cmocka_unit_test(test_find_rate__leaves_no_trace),
      cmocka_unit_test(test_find_rate__suggests),
      cmocka_unit_test(test_find_rate__rounding_mode),
      cmocka_unit_test(test_find_rate__refused),
      cmocka_unit_test(test_find_rate__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
