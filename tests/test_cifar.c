/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/cifar.c: records of either kind, files, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset_files.h"

#define PLANE 1024

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "cifar");
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static unsigned char file[16 * 3074];

/* Records of `labels` label bytes, the last of them `label`, the others 1. */
static size_t make_records(size_t n, size_t labels, int label) {
  size_t record = labels + 3 * PLANE;
  for (size_t i = 0; i < n; i++) {
    unsigned char *p = file + i * record;
    memset(p, 1, labels);
    p[labels - 1] = (unsigned char)label;
    for (size_t k = 0; k < 3 * PLANE; k++)
      p[labels + k] = (unsigned char)(k / PLANE * 64 + k % 64);
  }
  return n * record;
}

static void put_records(const char *name, size_t n, size_t labels, int label) {
  put_bytes(root, name, file, make_records(n, labels, label));
}

static void test_cifar__folder(void **state) {
  (void)state;
  put_records("data_batch_1.bin", 2, 1, 3);
  put_records("data_batch_4.bin", 3, 1, 9);
  put_records("test_batch.bin", 1, 1, 0);
  put_text(root, "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "CIFAR-10: 5 RGB images of 32 x 32 pixels, 10 classes, 0-3 each");
  assert_int_equal(imgrec_dataset_class(d, 1), 3);
  assert_int_equal(imgrec_dataset_class(d, 2), 9);
  assert_string_equal(imgrec_dataset_label(d, 9), "j");
  assert_string_equal(imgrec_dataset_source(d, 1),
                      "build/tmp/cifar/data_batch_1.bin#1");
  assert_string_equal(imgrec_dataset_source(d, 4),
                      "build/tmp/cifar/data_batch_4.bin#2");
  imgrec_dataset_destroy(d);
  d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_TEST,
      "CIFAR-10: 1 RGB image of 32 x 32 pixels, 10 classes, 0-1 each");
  imgrec_dataset_destroy(d);
}

static void test_cifar__pixels_are_interleaved(void **state) {
  (void)state;
  put_records("one.bin", 2, 1, 0);
  imgrec_dataset *d = NULL;
  assert_int_equal(open_part(&d, ctx, root, "one.bin", IMGREC_PART_ANY),
                   IMGREC_OK);
  imgrec_tensor *image = NULL;
  assert_int_equal(imgrec_dataset_image(&image, d, 1), IMGREC_OK);
  const unsigned char *p = imgrec_tensor_const_data(image);
  for (int i = 0; i < PLANE; i++)
    for (int c = 0; c < 3; c++)
      assert_int_equal(p[3 * i + c], c * 64 + i % 64);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
}

static void test_cifar__hundred(void **state) {
  (void)state;
  put_records("train.bin", 2, 2, 99);
  put_records("test.bin", 1, 2, 42);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_TEST,
      "CIFAR-100: 1 RGB image of 32 x 32 pixels, 100 classes, 0-1 each");
  assert_int_equal(imgrec_dataset_class(d, 0), 42);
  assert_string_equal(imgrec_dataset_label(d, 42), "42");
  imgrec_dataset_destroy(d);
}

static void test_cifar__names_must_be_all(void **state) {
  (void)state;
  put_records("test_batch.bin", 1, 1, 0);
  put_text(root, "batches.meta.txt", "airplane\nautomobile\n");
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "has 2 names");
}

static void test_cifar__damaged(void **state) {
  (void)state;
  size_t n = make_records(2, 1, 0);
  const size_t sizes[] = {0, 1, 3072, 3075, n - 1, n + 1};
  for (size_t i = 0; i < 6; i++) {
    put_bytes(root, "x.bin", file, sizes[i]);
    expect_failure(ctx, root, "x.bin", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                   "no whole records");
  }
}

static void test_cifar__label_beyond_the_classes(void **state) {
  (void)state;
  put_records("x.bin", 2, 1, 10);
  expect_failure(ctx, root, "x.bin", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "record 0 has a label beyond the 10 classes");
  put_records("x.bin", 2, 2, 100);
  expect_failure(ctx, root, "x.bin", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "beyond the 100 classes");
}

static void test_cifar__kinds_do_not_mix(void **state) {
  (void)state;
  put_records("data_batch_1.bin", 2, 1, 1);
  put_records("train.bin", 2, 2, 1);
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "is CIFAR-100, but a file before it CIFAR-10");
}

static void test_cifar__real(void **state) {
  (void)state;
  char path[1024];
  if (real_data(path, "cifar10") == NULL)
    skip();
  imgrec_dataset *d =
      expect_dataset(ctx, path, NULL, IMGREC_PART_ANY,
                     "CIFAR-10: 50000 RGB images of 32 x 32 pixels, 10 "
                     "classes, 5000 each");
  assert_string_equal(imgrec_dataset_label(d, imgrec_dataset_class(d, 0)),
                      "frog");
  imgrec_dataset_destroy(d);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_cifar__folder),
      CASE(test_cifar__pixels_are_interleaved),
      CASE(test_cifar__hundred),
      CASE(test_cifar__names_must_be_all),
      CASE(test_cifar__damaged),
      CASE(test_cifar__label_beyond_the_classes),
      CASE(test_cifar__kinds_do_not_mix),
      CASE(test_cifar__real),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
