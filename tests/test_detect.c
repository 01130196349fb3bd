/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/detect.c: what a path is taken for. */
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
  fresh_folder(root, "detect");
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static const char images[] = "\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x02xy";
static const char labels[] = "\0\0\x08\x01\0\0\0\x01\0";

static void put_idx(const char *prefix) {
  char name[64];
  snprintf(name, sizeof name, "%simages", prefix);
  put_bytes(root, name, images, sizeof images - 1);
  snprintf(name, sizeof name, "%slabels", prefix);
  put_bytes(root, name, labels, sizeof labels - 1);
}

static void test_detect__idx_by_its_bytes(void **state) {
  (void)state;
  put_idx("my-");
  imgrec_dataset *d =
      expect_dataset(ctx, root, "my-images", IMGREC_PART_ANY,
                     "IDX: 1 grey image of 1 x 2 pixels, 1 class, 1 each");
  imgrec_dataset_destroy(d);
}

static void test_detect__packed_before_folders(void **state) {
  (void)state;
  put_grey(root, "class/1.pgm", 1, 1, 1);
  put_bytes(root, "train-images-idx3-ubyte", images, sizeof images - 1);
  put_bytes(root, "train-labels-idx1-ubyte", labels, sizeof labels - 1);
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_ANY,
                     "IDX: 1 grey image of 1 x 2 pixels, 1 class, 1 each");
  imgrec_dataset_destroy(d);
}

static void test_detect__csv_by_its_name(void **state) {
  (void)state;
  put_grey(root, "1.pgm", 1, 1, 1);
  put_text(root, "table.CSV", "1.pgm,x\n");
  imgrec_dataset *d =
      expect_dataset(ctx, root, "table.CSV", IMGREC_PART_ANY,
                     "CSV: 1 grey image of 1 x 1 pixels, 1 class, 1 each");
  imgrec_dataset_destroy(d);
}

static void test_detect__nothing_of_it(void **state) {
  (void)state;
  put_grey(root, "1.pgm", 1, 1, 1);
  put_text(root, "notes.txt", "hello");
  put_text(root, "empty", "");
  expect_failure(ctx, root, "1.pgm", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "is a single image");
  expect_failure(ctx, root, "notes.txt", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "none of the data sets");
  expect_failure(ctx, root, "empty", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "none of the data sets");
  expect_failure(ctx, root, "absent", IMGREC_PART_ANY, IMGREC_ERR_NOT_FOUND,
                 "no such file");
  expect_failure(ctx, "/dev", "null", IMGREC_PART_ANY, IMGREC_ERR_IO, "device");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_detect__idx_by_its_bytes),
      CASE(test_detect__packed_before_folders),
      CASE(test_detect__csv_by_its_name),
      CASE(test_detect__nothing_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
