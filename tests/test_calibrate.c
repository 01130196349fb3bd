/* SPDX-License-Identifier: MIT */
/* Tests of lib/recognise/calibrate.c: a temperature that is known is found, the
 * threshold keeps what it should, and all of it is the same everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>

#include "failing_alloc.h"
#include "nets.h"

/* The network is its input: a pixel a class. */
#define NET "input 2 3 1\nflatten\nsoftmax\n"
enum { CLASSES = 6, IMAGES = 3000 };
#define SCALE 0.04F

struct fixture {
  struct failing alloc;
  imgrec_context *ctx;
  imgrec_model *model;
};

static imgrec_model *new_scaled(imgrec_context *ctx) {
  imgrec_model *m = new_model(ctx, NET, 64, 1);
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  imgrec_model_get_preprocess(m, &p);
  p.scale = SCALE;
  assert_ok(ctx, imgrec_model_set_preprocess(m, &p));
  return m;
}

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f->alloc;
  assert_int_equal(imgrec_context_create(&f->ctx, &o), 0);
  f->model = new_scaled(f->ctx);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  assert_int_equal(f->alloc.live_blocks, 0);
  free(f);
  return 0;
}

/* A class drawn from softmax(z / temperature), or the greatest z for 0. */
static int32_t draw(const unsigned char *z, double temperature, uint64_t i) {
  double p[CLASSES], sum = 0;
  int best = 0;
  for (int c = 0; c < CLASSES; c++)
    best = z[c] > z[best] ? c : best;
  if (temperature == 0)
    return best;
  for (int c = 0; c < CLASSES; c++)
    sum += p[c] = exp(z[c] * (double)SCALE / temperature);
  double u = (double)imgrec__random_unit(5, 2, i) * sum;
  int c = 0;
  while (c < CLASSES - 1 && (u -= p[c]) > 0)
    c++;
  return c;
}

static imgrec_dataset *new_data(imgrec_context *ctx, int images,
                                double temperature) {
  imgrec_tensor *x = new_tensor(ctx, IMGREC_U8, 4, images, 2, 3, 1);
  imgrec_tensor *t = new_tensor(ctx, IMGREC_I32, 1, images, 1, 1, 1);
  unsigned char *z = imgrec_tensor_data(x);
  imgrec_dataset *data = NULL;
  for (uint64_t i = 0; i < (uint64_t)images; i++, z += CLASSES) {
    for (uint64_t c = 0; c < CLASSES; c++)
      z[c] = (unsigned char)imgrec__random_below(5, 1, i * CLASSES + c, 256);
    ((int32_t *)imgrec_tensor_data(t))[i] = draw(z, temperature, i);
  }
  assert_ok(ctx, imgrec_dataset_from_memory(&data, ctx, x, t, CLASSES));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(t);
  return data;
}

static imgrec_calibration calibration_of(const imgrec_model *m) {
  imgrec_calibration c;
  imgrec_calibration_init(&c, sizeof c);
  assert_int_equal(imgrec_model_get_calibration(m, &c), 0);
  return c;
}

static void check_temperature(struct fixture *f, double truth) {
  imgrec_dataset *data = new_data(f->ctx, IMAGES, truth);
  imgrec_calibrate_result r;
  imgrec_evaluation before, after;
  imgrec_evaluation_init(&before, sizeof before);
  imgrec_evaluation_init(&after, sizeof after);
  imgrec_calibrate_result_init(&r, sizeof r);
  assert_ok(f->ctx, imgrec_evaluate(f->model, data, &before));
  assert_ok(f->ctx, imgrec_model_calibrate(f->model, data, NULL, &r));
  imgrec_calibration c = calibration_of(f->model);
  assert_true(fabs(log((double)c.temperature / truth)) < 0.06);
  assert_int_equal(r.images, IMAGES);
  assert_true(r.error_after < 0.03 && r.error_after < r.error_before);
  assert_true(r.loss_after < r.loss_before);
  assert_true(fabs(r.loss_before - before.loss) < 1e-6);
  assert_true(r.error_before == before.calibration_error);
  assert_ok(f->ctx, imgrec_evaluate(f->model, data, &after));
  assert_true(after.calibration_error == r.error_after);
  assert_true(after.top1 == before.top1 && after.loss == before.loss);
  assert_true(after.rejected == r.rejected);
  assert_true(before.rejected == 0);
  imgrec_dataset_destroy(data);
  imgrec_model_set_calibration(f->model, NULL);
}

static void test_calibrate__temperature(void **state) {
  check_temperature(*state, 2.5);
  check_temperature(*state, 0.5);
}

/* No other temperature makes the labels more likely. */
static void test_calibrate__least_loss(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *data = new_data(f->ctx, IMAGES, 3);
  imgrec_preprocess p;
  imgrec_evaluation e;
  assert_ok(f->ctx, imgrec_model_calibrate(f->model, data, NULL, NULL));
  float t = calibration_of(f->model).temperature;
  double loss[3];
  imgrec_preprocess_init(&p, sizeof p);
  imgrec_model_get_preprocess(f->model, &p);
  for (int i = 0; i < 3; i++) {
    p.scale = SCALE / (t * (0.98F + 0.02F * (float)i));
    imgrec_model_set_preprocess(f->model, &p);
    imgrec_evaluation_init(&e, sizeof e);
    assert_ok(f->ctx, imgrec_evaluate(f->model, data, &e));
    loss[i] = e.loss;
  }
  assert_true(loss[1] < loss[0] && loss[1] < loss[2]);
  imgrec_dataset_destroy(data);
}

/* Where all are right (or nothing can be learned), it stays within bounds. */
static void test_calibrate__bounds(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *right = new_data(f->ctx, 200, 0);
  assert_ok(f->ctx, imgrec_model_calibrate(f->model, right, NULL, NULL));
  assert_true(calibration_of(f->model).temperature == 0.25F);
  imgrec_dataset_destroy(right);
  imgrec_dataset *noise = new_data(f->ctx, 200, 1e6);
  assert_ok(f->ctx, imgrec_model_calibrate(f->model, noise, NULL, NULL));
  float t = calibration_of(f->model).temperature;
  assert_true(t > 5 && t <= 16);
  imgrec_dataset_destroy(noise);
}

static void test_calibrate__threshold(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *data = new_data(f->ctx, 1000, 2);
  imgrec_calibrate_options o;
  imgrec_calibrate_result r;
  imgrec_calibrate_options_init(&o, sizeof o);
  static const float rates[] = {0, 0.05F, 0.2F, 0.999F};
  for (int i = 0; i < 4; i++) {
    o.reject_rate = rates[i];
    imgrec_calibrate_result_init(&r, sizeof r);
    assert_ok(f->ctx, imgrec_model_calibrate(f->model, data, &o, &r));
    float threshold = calibration_of(f->model).reject_threshold;
    assert_true(r.rejected <= (double)rates[i]);
    assert_true(r.rejected > (double)rates[i] - 0.02);
    assert_true((threshold == 0) == (rates[i] == 0));
  }
  imgrec_dataset_destroy(data);
}

static void calibrate_with(int threads, int isa, imgrec_calibration *c,
                           imgrec_calibrate_result *r) {
  imgrec_context *ctx = new_context(threads, isa);
  imgrec_model *m = new_scaled(ctx);
  imgrec_dataset *data = new_data(ctx, 700, 2);
  imgrec_calibrate_result_init(r, sizeof *r);
  assert_ok(ctx, imgrec_model_calibrate(m, data, NULL, r));
  *c = calibration_of(m);
  imgrec_dataset_destroy(data);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

static void test_calibrate__same_bits(void **state) {
  imgrec_calibration c, other;
  imgrec_calibrate_result r, other_r;
  (void)state;
  calibrate_with(1, IMGREC_ISA_SCALAR, &c, &r);
  for (int threads = 1; threads <= 3; threads++) {
    calibrate_with(threads, IMGREC_ISA_AUTO, &other, &other_r);
    assert_memory_equal(&c, &other, sizeof c);
    assert_memory_equal(&r, &other_r, sizeof r);
  }
  fesetround(FE_UPWARD);
  calibrate_with(2, IMGREC_ISA_AUTO, &other, &other_r);
  fesetround(FE_TONEAREST);
  assert_memory_equal(&c, &other, sizeof c);
}

/* ---- What is refused ----------------------------------------------------- */

static void test_calibrate__arguments(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *data = new_data(f->ctx, 10, 2);
  imgrec_model *small =
      new_model(f->ctx, "input 2 3 1\nflatten\ndense 5\n", 1, 1);
  imgrec_calibrate_options o;
  imgrec_calibrate_options_init(&o, sizeof o);
  assert_int_equal(imgrec_model_calibrate(NULL, data, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_calibrate(f->model, NULL, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(f->ctx, imgrec_model_calibrate(small, data, NULL, NULL),
               IMGREC_ERR_SHAPE,
               "the validation set has 6 classes; the model has 5");
  o.reject_rate = 1;
  assert_fails(f->ctx, imgrec_model_calibrate(f->model, data, &o, NULL),
               IMGREC_ERR_ARGUMENT, "reject_rate is 1; it must be in [0, 1)");
  o.reject_rate = 0;
  o.reserved = 7;
  assert_fails(f->ctx, imgrec_model_calibrate(f->model, data, &o, NULL),
               IMGREC_ERR_UNSUPPORTED,
               "imgrec_calibrate_options: reserved is 7; it must be 0");
  imgrec_model_destroy(small);
  imgrec_dataset_destroy(data);
}

static void test_calibrate__not_finite(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *data = new_data(f->ctx, 10, 2);
  imgrec_model *m =
      new_model(f->ctx, "input 2 3 1\nflatten\ndense 6\nsoftmax\n", 3, 1);
  m->weights[0] = INFINITY;
  assert_fails(f->ctx, imgrec_model_calibrate(m, data, NULL, NULL),
               IMGREC_ERR_DIVERGED,
               "the model's answers are not finite; nothing can be made of "
               "them");
  assert_true(calibration_of(m).temperature == 1);
  imgrec_model_destroy(m);
  imgrec_dataset_destroy(data);
}

static void test_calibrate__every_allocation_fails(void **state) {
  struct fixture *f = *state;
  imgrec_dataset *data = new_data(f->ctx, 50, 2);
  long live = f->alloc.live_blocks, n = 0;
  for (int status = -1; status < 0;) {
    f->alloc.calls = 0;
    f->alloc.fail_at = ++n;
    status = imgrec_model_calibrate(f->model, data, NULL, NULL);
    f->alloc.fail_at = 0;
    assert_int_equal(f->alloc.live_blocks, live);
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
    assert_true(status >= 0 || calibration_of(f->model).temperature == 1);
  }
  assert_true(n > 4);
  imgrec_dataset_destroy(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_calibrate__temperature),
      TEST(test_calibrate__least_loss),
      TEST(test_calibrate__bounds),
      TEST(test_calibrate__threshold),
      cmocka_unit_test(test_calibrate__same_bits),
      TEST(test_calibrate__arguments),
      TEST(test_calibrate__not_finite),
      TEST(test_calibrate__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
