/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/dataset.c: arguments, memory, lifetimes, every failing
 * allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset_files.h"
#include "failing_alloc.h"

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "dataset");
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static imgrec_tensor *wrap(int dtype, int ndim, const int64_t *shape,
                           void *data) {
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_wrap(&t, ctx, dtype, ndim, shape, data), 0);
  return t;
}

static int from_memory(imgrec_dataset **out, int64_t n, int64_t c, int dtype,
                       int32_t *labels, int classes) {
  static unsigned char pixels[256];
  const int64_t shape[4] = {3, 2, 2, c}, count[1] = {n};
  for (int i = 0; i < 256; i++)
    pixels[i] = (unsigned char)i;
  imgrec_tensor *x = wrap(IMGREC_U8, 4, shape, pixels);
  imgrec_tensor *y = wrap(dtype, 1, count, labels);
  int status = imgrec_dataset_from_memory(out, ctx, x, y, classes);
  memset(pixels, 0, sizeof pixels);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return status;
}

static void test_dataset__from_memory_copies(void **state) {
  (void)state;
  int32_t labels[3] = {1, 0, 4};
  imgrec_dataset *d = NULL;
  imgrec_tensor *image = NULL;
  int64_t shape[3];
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_I32, labels, 5), IMGREC_OK);
  labels[0] = 3;
  assert_int_equal(imgrec_dataset_size(d), 3);
  assert_int_equal(imgrec_dataset_classes(d), 5);
  assert_int_equal(imgrec_dataset_class(d, 0), 1);
  assert_int_equal(imgrec_dataset_class(d, 2), 4);
  assert_string_equal(imgrec_dataset_label(d, 4), "4");
  assert_string_equal(imgrec_dataset_source(d, 2), "memory#2");
  imgrec_dataset_shape(d, shape);
  assert_int_equal(shape[0], 2);
  assert_int_equal(shape[2], 3);
  assert_int_equal(imgrec_dataset_image(&image, d, 1), IMGREC_OK);
  assert_int_equal(imgrec_tensor_ndim(image), 3);
  const unsigned char *p = imgrec_tensor_const_data(image);
  for (int i = 0; i < 12; i++)
    assert_int_equal(p[i], 12 + i);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
}

static void test_dataset__from_memory_checks(void **state) {
  (void)state;
  int32_t labels[4] = {0, 1, 2, 0}, negative[3] = {0, -1, 0};
  imgrec_dataset *d = NULL;
  assert_int_equal(from_memory(&d, 3, 2, IMGREC_I32, labels, 3),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(from_memory(&d, 4, 3, IMGREC_I32, labels, 3),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_F32, labels, 3),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_I32, labels, 2),
                   IMGREC_ERR_ARGUMENT);
  assert_non_null(strstr(imgrec_last_error(ctx), "label 2 is 2"));
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_I32, negative, 3),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_I32, labels, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(from_memory(&d, 3, 3, IMGREC_I32, labels, 1000001),
                   IMGREC_ERR_ARGUMENT);
  assert_null(d);
}

static void test_dataset__indices_that_are_none(void **state) {
  (void)state;
  int32_t labels[3] = {0, 1, 2};
  imgrec_dataset *d = NULL;
  imgrec_tensor *image = NULL;
  assert_int_equal(from_memory(&d, 3, 1, IMGREC_I32, labels, 3), IMGREC_OK);
  const int64_t none[] = {-1, 3, INT64_MAX, INT64_MIN};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(imgrec_dataset_class(d, none[i]), -1);
    assert_string_equal(imgrec_dataset_source(d, none[i]), "");
    assert_int_equal(imgrec_dataset_image(&image, d, none[i]),
                     IMGREC_ERR_ARGUMENT);
  }
  assert_string_equal(imgrec_dataset_label(d, -1), "");
  assert_string_equal(imgrec_dataset_label(d, 3), "");
  assert_int_equal(imgrec_dataset_skipped(d), 0);
  assert_null(image);
  imgrec_dataset_destroy(d);
}

static void test_dataset__null_arguments(void **state) {
  (void)state;
  imgrec_dataset *d = NULL;
  assert_int_equal(imgrec_dataset_open(NULL, ctx, "x", NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_open(&d, NULL, "x", NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_open(&d, ctx, NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_from_memory(&d, ctx, NULL, NULL, 1),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_image(NULL, NULL, 0), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_match_labels(NULL, NULL),
                   IMGREC_ERR_ARGUMENT);
  imgrec_dataset_destroy(NULL);
  assert_null(d);
}

static void test_dataset__options(void **state) {
  (void)state;
  struct {
    imgrec_dataset_options known;
    int64_t later;
  } o;
  imgrec_dataset *d = NULL;
  put_grey(root, "a/1.pgm", 1, 1, 1);
  assert_int_equal(imgrec_dataset_options_init(NULL, 8), IMGREC_ERR_ARGUMENT);
  imgrec_dataset_options_init(&o.known, sizeof o);
  assert_int_equal(imgrec_dataset_open(&d, ctx, root, &o.known), IMGREC_OK);
  imgrec_dataset_destroy(d);
  d = NULL;
  o.later = 1;
  assert_int_equal(imgrec_dataset_open(&d, ctx, root, &o.known),
                   IMGREC_ERR_UNSUPPORTED);
  imgrec_dataset_options_init(&o.known, sizeof o.known);
  o.known.reserved = 1;
  assert_int_equal(imgrec_dataset_open(&d, ctx, root, &o.known),
                   IMGREC_ERR_UNSUPPORTED);
  o.known.reserved = 0;
  o.known.part = 4;
  assert_int_equal(imgrec_dataset_open(&d, ctx, root, &o.known),
                   IMGREC_ERR_ARGUMENT);
  o.known.part = -1;
  assert_int_equal(imgrec_dataset_open(&d, ctx, root, &o.known),
                   IMGREC_ERR_ARGUMENT);
  assert_null(d);
}

static void test_dataset__outlives_its_context_handle(void **state) {
  (void)state;
  imgrec_context *own = new_context(1);
  imgrec_dataset *d = NULL;
  put_grey(root, "a/1.pgm", 1, 1, 1);
  assert_int_equal(imgrec_dataset_open(&d, own, root, NULL), IMGREC_OK);
  imgrec_context_destroy(own);
  assert_int_equal(imgrec_dataset_size(d), 1);
  imgrec_dataset_destroy(d);
}

static int decode_marked(void *user, imgrec_tensor **out, imgrec_context *c,
                         const void *bytes, size_t size, int channels) {
  const int64_t shape[3] = {1, 1, 3};
  (void)bytes;
  (void)channels;
  *(size_t *)user = size;
  return imgrec_tensor_create(out, c, IMGREC_U8, 3, shape);
}

static void test_dataset__decode_hook_is_not_second_guessed(void **state) {
  (void)state;
  size_t seen = 0;
  imgrec_context_options o;
  imgrec_context *own = NULL;
  imgrec_tensor *image = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.decode = decode_marked;
  o.decode_user = &seen;
  assert_int_equal(imgrec_context_create(&own, &o), IMGREC_OK);
  put_text(root, "a/1.jpg", "a format of the host");
  imgrec_dataset *d =
      expect_dataset(own, root, NULL, IMGREC_PART_ANY,
                     "folder per class: 1 image, 1 class, 1 each");
  assert_int_equal(seen, 0);
  assert_int_equal(imgrec_dataset_image(&image, d, 0), IMGREC_OK);
  assert_int_equal(seen, 20);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(own);
}

/* ---- Every allocation fails once ---------------------------------------- */

static imgrec_context *failing_context(struct failing *f, uint64_t max_bytes) {
  imgrec_context_options o;
  imgrec_context *c = NULL;
  *f = (struct failing){0};
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = max_bytes;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = f;
  assert_int_equal(imgrec_context_create(&c, &o), IMGREC_OK);
  return c;
}

/* Opens, splits and reads; the first status that is none of success. */
static int use_dataset(imgrec_context *c, const char *path) {
  imgrec_dataset *d = NULL, *a = NULL, *b = NULL;
  imgrec_tensor *image = NULL;
  int status = imgrec_dataset_open(&d, c, path, NULL);
  assert_int_equal(d != NULL, status == IMGREC_OK);
  if (status == IMGREC_OK) {
    status = imgrec_dataset_split(&a, &b, d, 0.5f, 1);
    assert_int_equal(a != NULL && b != NULL, status == IMGREC_OK);
  }
  if (status == IMGREC_OK)
    status = imgrec_dataset_image(&image, b, 0);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
  imgrec_dataset_destroy(a);
  imgrec_dataset_destroy(b);
  return status;
}

static void fail_each_allocation(const char *name, int from_then_on) {
  struct failing f;
  char path[512];
  snprintf(path, sizeof path, "%s/%s", root, name);
  imgrec_context *c = failing_context(&f, 0);
  long idle = f.live_blocks;
  int status = IMGREC_ERR_MEMORY, n = 0;
  while (status != IMGREC_OK) {
    f.calls = 0;
    f.fail_at = ++n;
    f.from_then_on = from_then_on;
    status = use_dataset(c, path);
    if (status != IMGREC_OK && status != IMGREC_ERR_MEMORY)
      fail_msg("%s, allocation %d: %s", name, n, imgrec_last_error(c));
    assert_int_equal(f.live_blocks, idle);
    assert_true(n < 10000);
  }
  assert_true(n > 10);
  f.fail_at = 0;
  imgrec_context_destroy(c);
  assert_int_equal(f.live_blocks, 0);
}

static void put_all_formats(void) {
  static const unsigned char cifar[2 * 3073];
  put_grey(root, "flat/a/1.pgm", 2, 2, 1);
  put_grey(root, "flat/a/2.pgm", 2, 2, 2);
  put_grey(root, "flat/b/1.pgm", 2, 2, 3);
  put_text(root, "flat/b/2.pgm", "junk");
  put_grey(root, "parts/train/a/1.pgm", 2, 2, 1);
  put_grey(root, "parts/train/a/in/2.pgm", 2, 2, 2);
  put_grey(root, "parts/val/b/1.pgm", 2, 2, 3);
  put_text(root, "table.csv",
           "flat/a/1.pgm,\"a\"\nflat/a/2.pgm,a\nflat/b/1.pgm,b\n");
  put_bytes(root, "idx/train-images-idx3-ubyte",
            "\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
  put_bytes(root, "idx/train-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\2\0\0",
            10);
  put_bytes(root, "idx/t10k-images-idx3-ubyte",
            "\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
  put_bytes(root, "idx/t10k-labels-idx1-ubyte", "\0\0\x08\x01\0\0\0\2\1\1", 10);
  put_text(root, "idx/labels.txt", "zero\none\n");
  put_bytes(root, "cifar/data_batch_1.bin", cifar, sizeof cifar);
  put_text(root, "cifar/batches.meta.txt", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

static const char *const formats[] = {"flat", "parts", "table.csv", "idx",
                                      "cifar"};

static void test_dataset__each_allocation_fails(void **state) {
  (void)state;
  put_all_formats();
  for (int i = 0; i < 5; i++) {
    fail_each_allocation(formats[i], 0);
    fail_each_allocation(formats[i], 1);
  }
}

/* The status of using a data set with so much memory beyond what an idle
 * context has. */
static int use_capped(const char *name, uint64_t spare) {
  struct failing f;
  char path[512];
  snprintf(path, sizeof path, "%s/%s", root, name);
  imgrec_context *c = failing_context(&f, 0);
  uint64_t idle = imgrec_context_bytes(c);
  imgrec_context_destroy(c);
  c = failing_context(&f, idle + spare);
  int status = use_dataset(c, path);
  if (status == IMGREC_ERR_LIMIT)
    assert_non_null(strstr(imgrec_last_error(c), "max_bytes"));
  imgrec_context_destroy(c);
  assert_int_equal(f.live_blocks, 0);
  return status;
}

static void test_dataset__cap_on_memory(void **state) {
  (void)state;
  put_all_formats();
  for (int i = 0; i < 5; i++) {
    assert_int_equal(use_capped(formats[i], 1), IMGREC_ERR_LIMIT);
    int status = IMGREC_ERR_LIMIT;
    for (uint64_t spare = 600; status != IMGREC_OK; spare += 333) {
      status = use_capped(formats[i], spare);
      if (status != IMGREC_ERR_MEMORY && status != IMGREC_ERR_LIMIT)
        assert_int_equal(status, IMGREC_OK);
      assert_true(spare < 100000);
    }
  }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_dataset__from_memory_copies),
      CASE(test_dataset__from_memory_checks),
      CASE(test_dataset__indices_that_are_none),
      CASE(test_dataset__null_arguments),
      CASE(test_dataset__options),
      CASE(test_dataset__outlives_its_context_handle),
      CASE(test_dataset__decode_hook_is_not_second_guessed),
      CASE(test_dataset__each_allocation_fails),
      CASE(test_dataset__cap_on_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
