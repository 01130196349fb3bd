/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/fit.c: epochs, validation, the best weights. */
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

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_dataset *train, *val;
};

static void make(struct fixture *f, int threads, float rate) {
  imgrec_trainer_options t;
  memset(f, 0, sizeof *f);
  f->ctx = counted_context(&f->alloc, threads);
  f->model = new_model(f->ctx, TOY_NET, 8, 1);
  imgrec_trainer_options_init(&t, sizeof t);
  t.learning_rate = rate;
  t.max_batch = 8;
  assert_ok(f->ctx, imgrec_trainer_create(&f->trainer, f->model, &t));
  f->train = toy_data(f->ctx, 45, 0, 60);
  f->val = toy_data(f->ctx, 21, 100, 60);
}

static void release(struct fixture *f) {
  imgrec_dataset_destroy(f->train);
  imgrec_dataset_destroy(f->val);
  imgrec_trainer_destroy(f->trainer);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
}

static imgrec_fit_options fit_options(int epochs, uint64_t seed) {
  imgrec_fit_options o;
  imgrec_fit_options_init(&o, sizeof o);
  o.epochs = epochs;
  o.seed = seed;
  return o;
}

static float *copy_weights(const struct fixture *f) {
  size_t bytes = f->model->weight_floats * sizeof(float);
  float *w = malloc(bytes);
  memcpy(w, f->model->weights, bytes);
  return w;
}

static int same_weights(const struct fixture *f, const float *w) {
  return memcmp(w, f->model->weights, f->model->weight_floats * sizeof *w) == 0;
}

/* ---- Learning ------------------------------------------------------------ */

static void test_fit__learns(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(30, 1);
  imgrec_fit_result r;
  imgrec_evaluation e;
  make(&f, 2, 0.01F);
  imgrec_fit_result_init(&r, sizeof r);
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, f.val, &o, &r));
  assert_int_equal(r.epochs, 30);
  assert_int_equal(r.cancelled, 0);
  assert_true(r.val_accuracy > 0.9F);
  /* The model has the weights that this was measured with. */
  imgrec_evaluation_init(&e, sizeof e);
  assert_ok(f.ctx, imgrec_evaluate(f.model, f.val, &e));
  assert_true((float)e.top1 == r.val_accuracy);
  assert_true((float)e.loss == r.val_loss);
  release(&f);
}

static void run(struct fixture *f, int threads, uint64_t seed, int upward) {
  imgrec_fit_options o = fit_options(2, seed);
  make(f, threads, 0.01F);
  if (upward)
    fesetround(FE_UPWARD);
  int status = imgrec_fit(f->trainer, f->train, f->val, &o, NULL);
  fesetround(FE_TONEAREST);
  assert_ok(f->ctx, status);
}

/* By the seed; threads and the caller's rounding mode do not count. */
static void test_fit__seed_repeats(void **state) {
  (void)state;
  struct fixture a, b, c;
  run(&a, 1, 5, 0);
  run(&b, 3, 5, 1);
  run(&c, 1, 6, 0);
  assert_true(same_weights(&a, b.model->weights));
  assert_false(same_weights(&a, c.model->weights));
  release(&a);
  release(&b);
  release(&c);
}

/* ---- Progress ------------------------------------------------------------ */

enum { SEEN = 200 };

struct seen {
  struct fixture *f;
  imgrec_progress progress[SEEN];
  int count, stop_at; /* stops at this call, from 1; 0: never */
  float *best;        /* weights when `improved` was told */
  int best_epoch;
};

static int watch(void *user, const imgrec_progress *p) {
  struct seen *s = user;
  assert_true(s->count < SEEN);
  assert_int_equal(p->struct_size, sizeof *p);
  s->progress[s->count++] = *p;
  if (p->epoch_done && p->improved) {
    free(s->best);
    s->best = copy_weights(s->f);
    s->best_epoch = p->epoch;
  }
  return s->count == s->stop_at;
}

static int fit_watched(struct fixture *f, struct seen *s, int epochs,
                       int stop_at, imgrec_fit_result *r) {
  imgrec_fit_options o = fit_options(epochs, 1);
  memset(s, 0, sizeof *s);
  s->f = f;
  s->stop_at = stop_at;
  o.progress = watch;
  o.progress_user = s;
  imgrec_fit_result_init(r, sizeof *r);
  return imgrec_fit(f->trainer, f->train, f->val, &o, r);
}

/* 45 images in batches of 8: 6 steps, and one call at the end. */
static void test_fit__progress(void **state) {
  (void)state;
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.01F);
  assert_ok(f.ctx, fit_watched(&f, &s, 2, 0, &r));
  assert_int_equal(s.count, 14);
  for (int i = 0; i < 14; i++) {
    const imgrec_progress *p = &s.progress[i];
    int step = i % 7;
    assert_int_equal(p->epoch, 1 + i / 7);
    assert_int_equal(p->epochs, 2);
    assert_int_equal(p->images_total, 45);
    assert_int_equal(p->images, step < 5 ? 8 * (step + 1) : 45);
    assert_int_equal(p->epoch_done, step == 6);
    assert_int_equal(isnan(p->val_loss) != 0, step < 6);
    assert_true(p->train_loss > 0 && p->train_accuracy >= 0 &&
                p->train_accuracy <= 1);
  }
  assert_true(r.train_loss == s.progress[13].train_loss);
  free(s.best);
  release(&f);
}

/* A rate that is too high makes some later epoch worse than an earlier one:
 * the earlier one's weights are kept. */
static void test_fit__keeps_the_best(void **state) {
  (void)state;
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.3F);
  assert_ok(f.ctx, fit_watched(&f, &s, 11, 0, &r));
  assert_int_equal(r.epochs, 11);
  assert_int_equal(r.best_epoch, s.best_epoch);
  assert_true(r.best_epoch < 11);
  assert_true(same_weights(&f, s.best));
  for (int i = 6; i < s.count; i += 7) {
    const imgrec_progress *p = &s.progress[i];
    assert_true(
        p->val_accuracy < r.val_accuracy ||
        (p->val_accuracy == r.val_accuracy && p->val_loss >= r.val_loss));
  }
  free(s.best);
  release(&f);
}

/* Without validation the last weights stay, and there is nothing to report. */
static void test_fit__without_val(void **state) {
  (void)state;
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.3F);
  imgrec_dataset_destroy(f.val);
  f.val = NULL;
  assert_ok(f.ctx, fit_watched(&f, &s, 3, 0, &r));
  assert_int_equal(r.best_epoch, 3);
  assert_true(isnan(r.val_loss) && isnan(r.val_accuracy));
  assert_true(same_weights(&f, s.best));
  free(s.best);
  release(&f);
}

/* A model without class names takes those of the training set. */
static void test_fit__labels(void **state) {
  (void)state;
  const char *const names[] = {"top", "middle", "bottom"};
  struct fixture f;
  imgrec_fit_options o = fit_options(1, 1);
  make(&f, 1, 0.01F);
  assert_null(f.model->labels);
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, NULL, &o, NULL));
  assert_non_null(f.model->labels);
  assert_string_equal(imgrec_model_label(f.model, 1),
                      imgrec_dataset_label(f.train, 1));
  assert_ok(f.ctx, imgrec_model_set_labels(f.model, 3, names));
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, NULL, &o, NULL));
  assert_string_equal(imgrec_model_label(f.model, 1), "middle");
  release(&f);
}

/* ---- Stopping ------------------------------------------------------------ */

static void test_fit__cancel_in_the_first_epoch(void **state) {
  (void)state;
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.01F);
  assert_ok(f.ctx, fit_watched(&f, &s, 5, 2, &r));
  assert_int_equal(s.count, 2);
  assert_int_equal(r.cancelled, 1);
  assert_int_equal(r.epochs, 0);
  assert_int_equal(r.best_epoch, 0);
  release(&f);
}

static void check_cancel_in_epoch_2(int with_val) {
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.01F);
  if (!with_val) {
    imgrec_dataset_destroy(f.val);
    f.val = NULL;
  }
  assert_ok(f.ctx, fit_watched(&f, &s, 5, 7 + 3, &r));
  assert_int_equal(s.count, 10);
  assert_int_equal(r.cancelled, 1);
  assert_int_equal(r.epochs, 1);
  assert_int_equal(r.best_epoch, 1);
  assert_true(same_weights(&f, s.best));
  free(s.best);
  release(&f);
}

/* Without validation the best are those of the last whole epoch. */
static void test_fit__cancel_keeps_the_best(void **state) {
  (void)state;
  check_cancel_in_epoch_2(1);
  check_cancel_in_epoch_2(0);
}

static void test_fit__cancel_at_the_end_of_an_epoch(void **state) {
  (void)state;
  struct fixture f;
  struct seen s;
  imgrec_fit_result r;
  make(&f, 1, 0.01F);
  assert_ok(f.ctx, fit_watched(&f, &s, 5, 7, &r));
  assert_int_equal(s.count, 7);
  assert_int_equal(r.epochs, 1);
  assert_int_equal(r.cancelled, 1);
  free(s.best);
  release(&f);
}

/* The bias of the last layer becomes infinite: a diverged run cut short. */
static void break_down(struct fixture *f) {
  const struct node *n = &f->model->graph.nodes[f->model->graph.logits];
  n->params[1].data[0] = INFINITY;
}

static int break_in_epoch_2(void *user, const imgrec_progress *p) {
  if (p->epoch == 2 && !p->epoch_done)
    break_down(user);
  return 0;
}

static void check_diverged(int with_val) {
  struct fixture f;
  imgrec_fit_options o = fit_options(5, 1);
  imgrec_fit_result r;
  make(&f, 1, 0.01F);
  imgrec_fit_result_init(&r, sizeof r);
  o.progress = break_in_epoch_2;
  o.progress_user = &f;
  assert_fails(f.ctx,
               imgrec_fit(f.trainer, f.train, with_val ? f.val : NULL, &o, &r),
               IMGREC_ERR_DIVERGED,
               "the loss is no longer finite in epoch 2; try a smaller "
               "learning rate");
  assert_int_equal(r.epochs, 1);
  assert_int_equal(r.best_epoch, 1);
  for (size_t i = 0; i < f.model->weight_floats; i++)
    assert_true(isfinite(f.model->weights[i]));
  release(&f);
}

static void test_fit__diverged(void **state) {
  (void)state;
  check_diverged(1);
  check_diverged(0);
}

/* Before there is a best epoch, the weights are those from before. */
static void test_fit__diverged_at_once(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(5, 1);
  make(&f, 1, 0.01F);
  break_down(&f);
  float *before = copy_weights(&f);
  assert_int_equal(imgrec_fit(f.trainer, f.train, f.val, &o, NULL),
                   IMGREC_ERR_DIVERGED);
  assert_true(same_weights(&f, before));
  free(before);
  release(&f);
}

/* What the advice says works: a smaller learning rate with the same trainer. */
static void test_fit__again_after_divergence(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(2, 1);
  make(&f, 1, 0.01F);
  float *before = copy_weights(&f);
  assert_ok(f.ctx, imgrec_trainer_set_learning_rate(f.trainer, 1e38F));
  assert_int_equal(imgrec_fit(f.trainer, f.train, NULL, &o, NULL),
                   IMGREC_ERR_DIVERGED);
  assert_true(same_weights(&f, before));
  assert_ok(f.ctx, imgrec_trainer_set_learning_rate(f.trainer, 0.01F));
  assert_ok(f.ctx, imgrec_fit(f.trainer, f.train, NULL, &o, NULL));
  assert_false(same_weights(&f, before));
  free(before);
  release(&f);
}

/* ---- What is refused ----------------------------------------------------- */

static void check_refused(struct fixture *f, const imgrec_fit_options *o,
                          imgrec_dataset *train, imgrec_dataset *val,
                          int status, const char *sentence) {
  imgrec_fit_result r;
  float *before = copy_weights(f);
  memset(&r, 0x55, sizeof r);
  r.struct_size = sizeof r;
  assert_fails(f->ctx, imgrec_fit(f->trainer, train, val, o, &r), status,
               sentence);
  assert_int_equal(r.epochs, 0x55555555);
  assert_true(same_weights(f, before));
  free(before);
}

static void test_fit__arguments(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(-1, 1);
  make(&f, 1, 0.01F);
  check_refused(&f, &o, f.train, f.val, IMGREC_ERR_ARGUMENT,
                "epochs is -1; it must be at least 1");
  o = fit_options(1, 1);
  o.batch = 9;
  check_refused(&f, &o, f.train, f.val, IMGREC_ERR_ARGUMENT,
                "batch is 9; it must be 1 to the trainer's max_batch of 8");
  o.batch = -1;
  check_refused(&f, &o, f.train, f.val, IMGREC_ERR_ARGUMENT,
                "batch is -1; it must be 1 to the trainer's max_batch of 8");
  o = fit_options(1, 1);
  o.reserved = 1;
  check_refused(&f, &o, f.train, f.val, IMGREC_ERR_UNSUPPORTED,
                "imgrec_fit_options: reserved is 1; it must be 0");
  assert_int_equal(imgrec_fit(NULL, f.train, f.val, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_fit(f.trainer, NULL, f.val, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  release(&f);
}

static void test_fit__too_many_classes(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(1, 1);
  imgrec_dataset *wide = NULL;
  make(&f, 1, 0.01F);
  imgrec_tensor *images = new_tensor(f.ctx, IMGREC_U8, 4, 4, 6, 6, 1);
  imgrec_tensor *labels = new_tensor(f.ctx, IMGREC_I32, 1, 4, 1, 1, 1);
  assert_ok(f.ctx, imgrec_dataset_from_memory(&wide, f.ctx, images, labels, 4));
  check_refused(&f, &o, wide, f.val, IMGREC_ERR_SHAPE,
                "the training set has 4 classes; the model has 3");
  check_refused(&f, &o, f.train, wide, IMGREC_ERR_SHAPE,
                "the validation set has 4 classes; the model has 3");
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  imgrec_dataset_destroy(wide);
  release(&f);
}

static void test_fit__every_allocation_fails(void **state) {
  (void)state;
  struct fixture f;
  imgrec_fit_options o = fit_options(1, 1);
  const char *const names[] = {"top", "middle", "bottom"};
  int status = -1;
  long n = 0;
  make(&f, 1, 0.01F);
  assert_ok(f.ctx, imgrec_model_set_labels(f.model, 3, names));
  float *before = copy_weights(&f);
  while (status < 0) {
    long live = f.alloc.live_blocks;
    f.alloc.calls = 0;
    f.alloc.fail_at = ++n;
    status = imgrec_fit(f.trainer, f.train, f.val, &o, NULL);
    f.alloc.fail_at = 0;
    assert_int_equal(f.alloc.live_blocks, live);
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
    assert_true(status >= 0 || same_weights(&f, before));
  }
  assert_true(n > 3);
  free(before);
  release(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fit__learns),
      cmocka_unit_test(test_fit__seed_repeats),
      cmocka_unit_test(test_fit__progress),
      cmocka_unit_test(test_fit__keeps_the_best),
      cmocka_unit_test(test_fit__without_val),
      cmocka_unit_test(test_fit__labels),
      cmocka_unit_test(test_fit__cancel_in_the_first_epoch),
      cmocka_unit_test(test_fit__cancel_keeps_the_best),
      cmocka_unit_test(test_fit__cancel_at_the_end_of_an_epoch),
      cmocka_unit_test(test_fit__diverged),
      cmocka_unit_test(test_fit__diverged_at_once),
      cmocka_unit_test(test_fit__again_after_divergence),
      cmocka_unit_test(test_fit__arguments),
      cmocka_unit_test(test_fit__too_many_classes),
      cmocka_unit_test(test_fit__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
