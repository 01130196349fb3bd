/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/idx.c: headers, files of labels, parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "idx");
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* 00 00 type ndim, sizes, then `data` bytes 0, 1, 2 ... */
static size_t make_idx(unsigned char *out, int type, int ndim,
                       const uint32_t *dims, size_t data) {
  unsigned char *p = out;
  *p++ = 0;
  *p++ = 0;
  *p++ = (unsigned char)type;
  *p++ = (unsigned char)ndim;
  for (int i = 0; i < ndim; i++)
    for (int shift = 24; shift >= 0; shift -= 8)
      *p++ = (unsigned char)(dims[i] >> shift);
  for (size_t i = 0; i < data; i++)
    *p++ = (unsigned char)i;
  return (size_t)(p - out);
}

static void put_idx(const char *name, int type, int ndim, const uint32_t *dims,
                    size_t data) {
  unsigned char bytes[512];
  put_bytes(root, name, bytes, make_idx(bytes, type, ndim, dims, data));
}

static const uint32_t three[] = {3, 2, 4}, four[] = {4, 2, 4};

/* Three images of 2 x 4 of classes 0, 1, 2; in the test part four. */
static void put_mnist(void) {
  put_idx("train-images-idx3-ubyte", 8, 3, three, 24);
  put_idx("train-labels-idx1-ubyte", 8, 1, three, 3);
  put_idx("t10k-images.idx3-ubyte", 8, 3, four, 32);
  put_idx("t10k-labels.idx1-ubyte", 8, 1, four, 4);
}

static void test_idx__folder(void **state) {
  (void)state;
  put_mnist();
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_ANY,
                     "IDX: 3 grey images of 2 x 4 pixels, 4 classes, 0-1 each");
  assert_string_equal(imgrec_dataset_label(d, 3), "3");
  assert_string_equal(imgrec_dataset_source(d, 2),
                      "build/tmp/idx/train-images-idx3-ubyte#2");
  imgrec_tensor *image = NULL;
  assert_int_equal(imgrec_dataset_image(&image, d, 1), IMGREC_OK);
  const unsigned char *pixels = imgrec_tensor_const_data(image);
  for (int i = 0; i < 8; i++)
    assert_int_equal(pixels[i], 8 + i);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
  d = expect_dataset(ctx, root, NULL, IMGREC_PART_TEST,
                     "IDX: 4 grey images of 2 x 4 pixels, 4 classes, 1 each");
  imgrec_dataset_destroy(d);
  expect_failure(ctx, root, NULL, IMGREC_PART_VAL, IMGREC_ERR_NOT_FOUND,
                 "it has train and test");
}

static void test_idx__one_file(void **state) {
  (void)state;
  put_mnist();
  imgrec_dataset *d =
      expect_dataset(ctx, root, "train-images-idx3-ubyte", IMGREC_PART_ANY,
                     "IDX: 3 grey images of 2 x 4 pixels, 3 classes, 1 each");
  imgrec_dataset_destroy(d);
  expect_failure(ctx, root, "train-images-idx3-ubyte", IMGREC_PART_TEST,
                 IMGREC_ERR_NOT_FOUND, "does not come in parts");
}

static void test_idx__names_of_classes(void **state) {
  (void)state;
  put_mnist();
  put_text(root, "labels.txt", "zero\r\none\n\ntwo\nthree");
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_TRAIN,
                     "IDX: 3 grey images of 2 x 4 pixels, 4 classes, 0-1 each");
  assert_string_equal(imgrec_dataset_label(d, 0), "zero");
  assert_string_equal(imgrec_dataset_label(d, 3), "three");
  imgrec_dataset_destroy(d);
  put_text(root, "labels.txt", "zero\none\n");
  expect_failure(ctx, root, NULL, IMGREC_PART_TRAIN, IMGREC_ERR_FORMAT,
                 "labels.txt has 2 names");
}

static void test_idx__colour(void **state) {
  (void)state;
  const uint32_t dims[] = {2, 1, 2, 3};
  put_idx("x-images-idx4-ubyte", 8, 4, dims, 12);
  put_idx("x-labels-idx1-ubyte", 8, 1, dims, 2);
  imgrec_dataset *d =
      expect_dataset(ctx, root, "x-images-idx4-ubyte", IMGREC_PART_ANY,
                     "IDX: 2 RGB images of 1 x 2 pixels, 2 classes, 1 each");
  imgrec_dataset_destroy(d);
}

static void test_idx__labels_missing(void **state) {
  (void)state;
  put_idx("train-images-idx3-ubyte", 8, 3, three, 24);
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_NOT_FOUND,
                 "looked for 'build/tmp/idx/train-labels-idx1-ubyte");
  put_idx("pictures", 8, 3, three, 24);
  expect_failure(ctx, root, "pictures", IMGREC_PART_ANY, IMGREC_ERR_NOT_FOUND,
                 "must contain \"images\"");
}

static void test_idx__damaged_labels_of_other_part(void **state) {
  (void)state;
  put_mnist();
  put_text(root, "t10k-labels.idx1-ubyte", "junk");
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_ANY,
                     "IDX: 3 grey images of 2 x 4 pixels, 3 classes, 1 each");
  imgrec_dataset_destroy(d);
  expect_failure(ctx, root, NULL, IMGREC_PART_TEST, IMGREC_ERR_FORMAT,
                 "no IDX file");
}

/* ---- Headers, from memory ----------------------------------------------- */

/* The status of parsing these images with 3 labels. */
static int parse(int type, int ndim, const uint32_t *dims, size_t data) {
  struct store *s = NULL;
  struct allocator *a = &ctx->allocator;
  unsigned char bytes[512];
  assert_int_equal(imgrec__store_create(&s, ctx), IMGREC_OK);
  size_t n = make_idx(bytes, type, ndim, dims, data);
  struct blob images = {imgrec__alloc(a, n), n}, labels;
  memcpy(images.bytes, bytes, n);
  labels.size = make_idx(bytes, 8, 1, three, 3);
  labels.bytes = bytes;
  int status = imgrec__idx_parse(s, "x", &images, &labels, 0);
  assert_int_equal(images.bytes == NULL, status == IMGREC_OK);
  imgrec__blob_free(&images, a);
  imgrec__store_release(s);
  return status;
}

static void test_idx__sizes_must_fit_the_file(void **state) {
  (void)state;
  const uint32_t huge[] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  const uint32_t wraps[] = {0x80000000, 0x80000000, 4, 1};
  const uint32_t none[] = {3, 0, 4};
  assert_int_equal(parse(8, 3, three, 24), IMGREC_OK);
  assert_int_equal(parse(8, 3, three, 23), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 3, three, 25), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 3, four, 32), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 3, huge, 24), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 4, huge, 24), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 4, wraps, 0), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 3, none, 0), IMGREC_ERR_FORMAT);
}

static void test_idx__other_types_and_dimensions(void **state) {
  (void)state;
  const uint32_t dims[] = {3, 2, 1, 2, 1};
  assert_int_equal(parse(9, 3, three, 24), IMGREC_ERR_UNSUPPORTED);
  assert_int_equal(parse(14, 3, three, 24), IMGREC_ERR_UNSUPPORTED);
  assert_int_equal(parse(7, 3, three, 24), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 0, three, 24), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 1, three, 3), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 2, three, 6), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 4, dims, 12), IMGREC_ERR_FORMAT);
  assert_int_equal(parse(8, 5, dims, 12), IMGREC_ERR_FORMAT);
}

static void test_idx__cut_anywhere(void **state) {
  (void)state;
  unsigned char bytes[64];
  size_t n = make_idx(bytes, 8, 3, three, 24);
  put_mnist();
  for (size_t k = 0; k < n; k++) {
    put_bytes(root, "train-images-idx3-ubyte", bytes, k);
    expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                   "train-images");
  }
}

/* Its files are packed. */
static void test_idx__mnist(void **state) {
  (void)state;
#ifndef IMGREC_HAVE_ZLIB
  skip();
#endif
  char path[1024];
  if (real_data(path, "mnist") == NULL)
    skip();
  imgrec_dataset *d =
      expect_dataset(ctx, path, NULL, IMGREC_PART_ANY,
                     "IDX: 60000 grey images of 28 x 28 pixels, 10 classes, "
                     "5421-6742 each");
  assert_int_equal(imgrec_dataset_class(d, 0), 5);
  imgrec_dataset_destroy(d);
  d = expect_dataset(ctx, path, NULL, IMGREC_PART_TEST,
                     "IDX: 10000 grey images of 28 x 28 pixels, 10 classes, "
                     "892-1135 each");
  imgrec_dataset_destroy(d);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_idx__folder),
      CASE(test_idx__one_file),
      CASE(test_idx__names_of_classes),
      CASE(test_idx__colour),
      CASE(test_idx__labels_missing),
      CASE(test_idx__damaged_labels_of_other_part),
      CASE(test_idx__sizes_must_fit_the_file),
      CASE(test_idx__other_types_and_dimensions),
      CASE(test_idx__cut_anywhere),
      CASE(test_idx__mnist),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
