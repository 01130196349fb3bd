/* SPDX-License-Identifier: MIT */
/* Tests of lib/image/model_input.c: a model's own preprocessing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nets.h"

struct fixture {
  imgrec_context *ctx;
  imgrec_model *model;
  imgrec_preprocess p; /* the model's */
};

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  f->ctx = new_context(1, IMGREC_ISA_AUTO);
  f->model = new_model(f->ctx, "input 6 5 3\nflatten\n", 1, 1);
  imgrec_preprocess_init(&f->p, sizeof f->p);
  assert_int_equal(imgrec_model_get_preprocess(f->model, &f->p), 0);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
  free(f);
  return 0;
}

static void test_model_input__defaults(void **state) {
  struct fixture *f = *state;
  assert_true(f->p.height == 6 && f->p.width == 5 && f->p.channels == 3);
  assert_int_equal(f->p.resize, IMGREC_RESIZE_STRETCH);
  assert_true(f->p.scale == 1 / 255.0F);
  for (int k = 0; k < 3; k++)
    assert_true(f->p.mean[k] == 0 && f->p.std[k] == 1);
}

static void test_model_input__set_and_get(void **state) {
  struct fixture *f = *state;
  imgrec_preprocess q;
  f->p.mean[1] = 0.5F;
  f->p.std[2] = 0.25F;
  f->p.resize = IMGREC_RESIZE_CROP;
  assert_ok(f->ctx, imgrec_model_set_preprocess(f->model, &f->p));
  imgrec_preprocess_init(&q, sizeof q);
  assert_int_equal(imgrec_model_get_preprocess(f->model, &q), 0);
  assert_memory_equal(&q, &f->p, sizeof q);
}

/* Refused, and the model's own stays. */
static void check_refused(struct fixture *f, int status, const char *sentence) {
  imgrec_preprocess q;
  assert_fails(f->ctx, imgrec_model_set_preprocess(f->model, &f->p), status,
               sentence);
  imgrec_preprocess_init(&q, sizeof q);
  imgrec_model_get_preprocess(f->model, &q);
  assert_true(q.height == 6 && q.std[0] == 1);
}

static void test_model_input__another_size(void **state) {
  struct fixture *f = *state;
  f->p.height = 5;
  check_refused(f, IMGREC_ERR_SHAPE,
                "preprocessing gives 5 x 5 x 3; this model takes 6 x 5 x 3");
  f->p.height = 6;
  f->p.channels = 1;
  check_refused(f, IMGREC_ERR_SHAPE,
                "preprocessing gives 6 x 5 x 1; this model takes 6 x 5 x 3");
}

static void test_model_input__division_by_zero(void **state) {
  struct fixture *f = *state;
  f->p.std[0] = 0;
  check_refused(f, IMGREC_ERR_ARGUMENT,
                "preprocess: mean and std of channel 0 must be finite, and std "
                "not zero");
}

static void test_model_input__arguments(void **state) {
  struct fixture *f = *state;
  assert_true(imgrec_model_set_preprocess(f->model, NULL) < 0);
  assert_int_equal(imgrec_model_set_preprocess(NULL, &f->p),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_get_preprocess(f->model, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_model_get_preprocess(NULL, &f->p),
                   IMGREC_ERR_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_model_input__defaults),
      TEST(test_model_input__set_and_get),
      TEST(test_model_input__another_size),
      TEST(test_model_input__division_by_zero),
      TEST(test_model_input__arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
