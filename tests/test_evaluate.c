/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/evaluate.c: loss, accuracy and confusion of logits that
 * are made by hand: the network is its input, a pixel a class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "nets.h"

#define NET "input 2 3 1\nflatten\nsoftmax\n"
enum { CLASSES = 6, IMAGES = 7 };

static const unsigned char pixels[IMAGES][CLASSES] = {
    {9, 1, 2, 3, 4, 5},       /* class 0: right */
    {9, 1, 2, 3, 4, 5},       /* class 5: second */
    {0, 1, 2, 3, 4, 5},       /* class 1: fifth */
    {0, 1, 2, 3, 4, 5},       /* class 0: sixth */
    {7, 7, 7, 7, 7, 7},       /* class 0: the first of equals */
    {7, 7, 7, 7, 7, 7},       /* class 5: the last of equals */
    {255, 0, 255, 0, 0, 255}, /* class 0: the first of equals */
};
static const int32_t labels[IMAGES] = {0, 5, 1, 0, 0, 5, 0};

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_dataset *data;
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
  f->model = new_model(f->ctx, NET, 3, 1); /* batches of 3, 3 and 1 */
  imgrec_tensor *x = new_tensor(f->ctx, IMGREC_U8, 4, IMAGES, 2, 3, 1);
  imgrec_tensor *t = new_tensor(f->ctx, IMGREC_I32, 1, IMAGES, 1, 1, 1);
  memcpy(imgrec_tensor_data(x), pixels, sizeof pixels);
  memcpy(imgrec_tensor_data(t), labels, sizeof labels);
  assert_ok(f->ctx,
            imgrec_dataset_from_memory(&f->data, f->ctx, x, t, CLASSES));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(t);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_dataset_destroy(f->data);
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
  free(f);
  return 0;
}

static double exact_loss(void) {
  double loss = 0;
  for (int i = 0; i < IMAGES; i++) {
    double sum = 0;
    for (int c = 0; c < CLASSES; c++)
      sum += exp(pixels[i][c] / 255.0);
    loss += log(sum) - pixels[i][labels[i]] / 255.0;
  }
  return loss / IMAGES;
}

static void test_evaluate__counts(void **state) {
  struct fixture *f = *state;
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &e));
  assert_int_equal(e.images, IMAGES);
  assert_true(e.top1 == 3.0 / 7);
  assert_true(e.top5 == 5.0 / 7);
  assert_true(fabs(e.loss - exact_loss()) < 1e-6);
  assert_null(e.confusion);
}

static void test_evaluate__confusion(void **state) {
  struct fixture *f = *state;
  static const int64_t wanted[CLASSES][CLASSES] = {
      {3, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0},
      {0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, {2, 0, 0, 0, 0, 0}};
  int64_t confusion[CLASSES][CLASSES];
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  e.confusion = confusion[0];
  memset(confusion, 0x55, sizeof confusion);
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &e));
  assert_memory_equal(confusion, wanted, sizeof wanted);
  assert_ptr_equal(e.confusion, confusion[0]);
}

/* A NaN is never right, nor is what stands beside one. */
static void test_evaluate__not_finite(void **state) {
  struct fixture *f = *state;
  imgrec_evaluation e;
  imgrec_model *m =
      new_model(f->ctx, "input 2 3 1\nflatten\ndense 6\nsoftmax\n", 3, 1);
  imgrec_evaluation_init(&e, sizeof e);
  for (size_t i = 0; i < m->weight_floats; i++)
    m->weights[i] = NAN;
  assert_ok(f->ctx, imgrec_evaluate(m, f->data, &e));
  assert_true(e.top1 == 0 && e.top5 == 0);
  assert_true(isnan(e.loss));
  imgrec_model_destroy(m);
}

static void test_evaluate__rounding_mode(void **state) {
  struct fixture *f = *state;
  imgrec_evaluation a, b;
  imgrec_evaluation_init(&a, sizeof a);
  imgrec_evaluation_init(&b, sizeof b);
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &a));
  fesetround(FE_UPWARD);
  int status = imgrec_evaluate(f->model, f->data, &b), mode = fegetround();
  fesetround(FE_TONEAREST);
  assert_ok(f->ctx, status);
  assert_int_equal(mode, FE_UPWARD);
  assert_true(a.loss == b.loss && a.top1 == b.top1 && a.top5 == b.top5);
}

/* ---- Scores, bins, answers ----------------------------------------------- */

static void test_evaluate__scores(void **state) {
  struct fixture *f = *state;
  imgrec_class_score scores[CLASSES], wanted[CLASSES], macro;
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
  int64_t confusion[CLASSES * CLASSES], images = 0;
  double interval[2], probability = 0;
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  e.confusion = confusion;
  e.scores = scores;
  e.bins = bins;
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &e));
  imgrec_confusion_scores(wanted, &macro, confusion, CLASSES);
  assert_memory_equal(scores, wanted, sizeof wanted);
  assert_true(e.macro_precision == macro.precision);
  assert_true(e.macro_recall == macro.recall && e.macro_f1 == macro.f1);
  imgrec_wilson_interval(3, IMAGES, interval);
  assert_true(e.top1_low == interval[0] && e.top1_high == interval[1]);
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    images += bins[i].images;
    probability += bins[i].probability;
  }
  assert_int_equal(images, IMAGES);
  assert_true(probability > IMAGES / 6.0 && probability < IMAGES / 2.0);
  assert_true(e.calibration_error > 0 && e.calibration_error < 1);
  assert_ptr_equal(e.scores, scores);
}

struct told {
  int64_t count, end_at;
  double sum;
};

static int hear(void *user, int64_t index, int class_index, const float *p) {
  struct told *t = user;
  assert_int_equal(index, t->count);
  assert_int_equal(class_index, labels[index]);
  for (int i = 0; i < CLASSES; i++)
    t->sum += (double)p[i];
  if (index == 0)
    assert_true(p[0] > p[5] && p[5] > p[4]);
  return ++t->count == t->end_at;
}

static void test_evaluate__answers(void **state) {
  struct fixture *f = *state;
  struct told told = {0, -1, 0};
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  e.answer = hear;
  e.answer_user = &told;
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &e));
  assert_int_equal(told.count, IMAGES);
  assert_true(fabs(told.sum - IMAGES) < 1e-5);
  told = (struct told){0, 2, 0};
  e.top1 = 7;
  assert_fails(f->ctx, imgrec_evaluate(f->model, f->data, &e),
               IMGREC_ERR_CANCELLED,
               "the evaluation was ended by its callback");
  assert_int_equal(told.count, 2);
  assert_true(e.top1 == 7);
}

static void test_evaluate__rejected(void **state) {
  struct fixture *f = *state;
  imgrec_calibration c;
  imgrec_evaluation e;
  imgrec_calibration_init(&c, sizeof c);
  c.reject_threshold = 0.2F; /* only the last image is as sure as that */
  assert_ok(f->ctx, imgrec_model_set_calibration(f->model, &c));
  imgrec_evaluation_init(&e, sizeof e);
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &e));
  assert_true(e.rejected == 6.0 / 7);
}

/* A program of before they were there. */
static void test_evaluate__smaller_struct(void **state) {
  struct fixture *f = *state;
  union {
    imgrec_evaluation e;
    char bytes[sizeof(imgrec_evaluation)];
  } u;
  size_t size = offsetof(imgrec_evaluation, top1_low);
  memset(&u, 0x55, sizeof u);
  imgrec_evaluation_init(&u.e, size);
  assert_ok(f->ctx, imgrec_evaluate(f->model, f->data, &u.e));
  assert_int_equal(u.e.images, IMAGES);
  for (size_t i = size; i < sizeof u; i++)
    assert_int_equal(u.bytes[i], 0x55);
}

/* ---- What is refused ----------------------------------------------------- */

static void test_evaluate__arguments(void **state) {
  struct fixture *f = *state;
  imgrec_evaluation e;
  imgrec_model *small =
      new_model(f->ctx, "input 2 3 1\nflatten\ndense 5\n", 1, 1);
  imgrec_evaluation_init(&e, sizeof e);
  e.top1 = 7;
  assert_fails(f->ctx, imgrec_evaluate(small, f->data, &e), IMGREC_ERR_SHAPE,
               "the data set has 6 classes; the model has 5");
  assert_int_equal(imgrec_evaluate(NULL, f->data, &e), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_evaluate(f->model, NULL, &e), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_evaluate(f->model, f->data, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_true(e.top1 == 7);
  imgrec_model_destroy(small);
}

/* A model of five channels takes no images. */
static void test_evaluate__channels(void **state) {
  struct fixture *f = *state;
  imgrec_evaluation e;
  imgrec_model *m =
      new_model(f->ctx, "input 2 3 5\nglobal_avg_pool2d\ndense 6\n", 1, 1);
  imgrec_evaluation_init(&e, sizeof e);
  assert_fails(f->ctx, imgrec_evaluate(m, f->data, &e), IMGREC_ERR_ARGUMENT,
               "preprocess: channels is 5; it must be 1 or 3");
  imgrec_model_destroy(m);
}

static void test_evaluate__every_allocation_fails(void **state) {
  struct fixture *f = *state;
  int64_t confusion[CLASSES * CLASSES];
  long live = f->alloc.live_blocks, n = 0;
  for (int status = -1; status < 0;) {
    imgrec_evaluation e;
    imgrec_evaluation_init(&e, sizeof e);
    e.confusion = confusion;
    confusion[0] = -5;
    f->alloc.calls = 0;
    f->alloc.fail_at = ++n;
    status = imgrec_evaluate(f->model, f->data, &e);
    f->alloc.fail_at = 0;
    assert_int_equal(f->alloc.live_blocks, live);
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
    assert_true(status >= 0 || (confusion[0] == -5 && e.images == 0));
  }
  assert_true(n > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_evaluate__counts),
      TEST(test_evaluate__confusion),
      TEST(test_evaluate__not_finite),
      TEST(test_evaluate__rounding_mode),
      TEST(test_evaluate__scores),
      TEST(test_evaluate__answers),
      TEST(test_evaluate__rejected),
      TEST(test_evaluate__smaller_struct),
      TEST(test_evaluate__arguments),
      TEST(test_evaluate__channels),
      TEST(test_evaluate__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
