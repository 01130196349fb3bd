/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/match.c: classes renumbered to be those of a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset_files.h"

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "match");
  ctx = new_context(1);
  put_grey(root, "train/ape/1.pgm", 1, 1, 1);
  put_grey(root, "train/bee/1.pgm", 1, 1, 1);
  put_grey(root, "train/bee/2.pgm", 1, 1, 1);
  put_grey(root, "val/cow/1.pgm", 1, 1, 1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static imgrec_model *make_model(int n, const char *const *labels) {
  char text[64];
  imgrec_model *model = NULL;
  snprintf(text, sizeof text, "input 1 1 1\nflatten\ndense %d\nsoftmax\n", n);
  assert_int_equal(imgrec_model_create(&model, ctx, text, NULL), IMGREC_OK);
  assert_int_equal(imgrec_model_set_labels(model, n, labels), IMGREC_OK);
  return model;
}

static imgrec_dataset *open_set(int part) {
  imgrec_dataset *d = NULL;
  assert_int_equal(open_part(&d, ctx, root, NULL, part), IMGREC_OK);
  return d;
}

static void test_match__by_name(void **state) {
  (void)state;
  const char *const labels[] = {"dog", "bee", "cow", "ape"};
  imgrec_model *model = make_model(4, labels);
  imgrec_dataset *d = open_set(IMGREC_PART_TRAIN);
  assert_int_equal(imgrec_dataset_match_labels(d, model), IMGREC_OK);
  imgrec_model_destroy(model);
  assert_int_equal(imgrec_dataset_classes(d), 4);
  for (int i = 0; i < 4; i++)
    assert_string_equal(imgrec_dataset_label(d, i), labels[i]);
  assert_int_equal(imgrec_dataset_class(d, 0), 3);
  assert_int_equal(imgrec_dataset_class(d, 1), 1);
  imgrec_dataset_destroy(d);
}

static void test_match__again_and_split(void **state) {
  (void)state;
  const char *const one[] = {"cow", "bee", "ape"};
  const char *const two[] = {"bee", "ape", "cow"};
  imgrec_model *first = make_model(3, one), *second = make_model(3, two);
  imgrec_dataset *d = open_set(IMGREC_PART_TRAIN), *a, *b;
  assert_int_equal(imgrec_dataset_match_labels(d, first), IMGREC_OK);
  assert_int_equal(imgrec_dataset_split(&a, &b, d, 0.4f, 1), IMGREC_OK);
  assert_int_equal(imgrec_dataset_class(b, 0), 1);
  assert_int_equal(imgrec_dataset_match_labels(d, second), IMGREC_OK);
  assert_int_equal(imgrec_dataset_class(d, 0), 1);
  assert_int_equal(imgrec_dataset_class(d, 1), 0);
  assert_int_equal(imgrec_dataset_class(b, 0), 1);
  imgrec_dataset_destroy(d);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
  imgrec_model_destroy(first);
  imgrec_model_destroy(second);
}

static void test_match__class_unknown(void **state) {
  (void)state;
  const char *const labels[] = {"ape", "cow"};
  imgrec_model *model = make_model(2, labels);
  imgrec_dataset *d = open_set(IMGREC_PART_TRAIN);
  assert_int_equal(imgrec_dataset_match_labels(d, model), IMGREC_ERR_NOT_FOUND);
  assert_non_null(strstr(imgrec_last_error(ctx), "no class 'bee'"));
  assert_int_equal(imgrec_dataset_classes(d), 3);
  assert_int_equal(imgrec_dataset_class(d, 1), 1);
  imgrec_dataset_destroy(d);
  imgrec_model_destroy(model);
}

static void test_match__class_without_images(void **state) {
  (void)state;
  const char *const labels[] = {"bee", "ape"};
  imgrec_model *model = make_model(2, labels);
  imgrec_dataset *d = open_set(IMGREC_PART_TRAIN);
  assert_int_equal(imgrec_dataset_match_labels(d, model), IMGREC_OK);
  assert_int_equal(imgrec_dataset_class(d, 0), 1);
  imgrec_dataset_destroy(d);
  d = open_set(IMGREC_PART_VAL);
  assert_int_equal(imgrec_dataset_match_labels(d, model), IMGREC_ERR_NOT_FOUND);
  assert_int_equal(imgrec_dataset_match_labels(d, NULL), IMGREC_ERR_ARGUMENT);
  imgrec_dataset_destroy(d);
  imgrec_model_destroy(model);
}

static void test_match__names_that_occur_twice(void **state) {
  (void)state;
  const char *const labels[] = {"bee", "bee", "ape", "cow"};
  imgrec_model *model = make_model(4, labels);
  imgrec_dataset *d = open_set(IMGREC_PART_TRAIN);
  assert_int_equal(imgrec_dataset_match_labels(d, model), IMGREC_OK);
  assert_int_equal(imgrec_dataset_class(d, 1), 1);
  imgrec_dataset_destroy(d);
  imgrec_model_destroy(model);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_match__by_name),
      CASE(test_match__again_and_split),
      CASE(test_match__class_unknown),
      CASE(test_match__class_without_images),
      CASE(test_match__names_that_occur_twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
