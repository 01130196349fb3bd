/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/describe.c: the line for people, the common shape. */
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
  fresh_folder(root, "describe");
  ctx = new_context(1);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static void expect(const char *description, int64_t h, int64_t w, int64_t c) {
  int64_t shape[3];
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_ANY, description);
  imgrec_dataset_shape(d, shape);
  assert_int_equal(shape[0], h);
  assert_int_equal(shape[1], w);
  assert_int_equal(shape[2], c);
  imgrec_dataset_destroy(d);
}

static void test_describe__all_alike(void **state) {
  (void)state;
  put_text(root, "a/1.ppm", "P3 1 2 255 1 2 3 4 5 6");
  put_text(root, "b/1.ppm", "P3 1 2 255 1 2 3 4 5 6");
  expect("folder per class: 2 RGB images of 2 x 1 pixels, 2 classes, 1 each", 2,
         1, 3);
}

static void test_describe__one_side_alike(void **state) {
  (void)state;
  put_grey(root, "a/1.pgm", 4, 5, 0);
  put_grey(root, "a/2.pgm", 4, 7, 0);
  expect("folder per class: 2 grey images of 4 x 5-7 pixels, 1 class, 2 each",
         4, 0, 1);
}

static void test_describe__grey_and_colour(void **state) {
  (void)state;
  put_grey(root, "a/1.pgm", 2, 1, 0);
  put_text(root, "a/2.ppm", "P3 1 2 255 1 2 3 4 5 6");
  put_text(root, "a/3.ppm", "junk");
  expect("folder per class: 2 images of 2 x 1 pixels, 1 class, 2 each; 1 file "
         "could not be read",
         2, 1, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_describe__all_alike),
      CASE(test_describe__one_side_alike),
      CASE(test_describe__grey_and_colour),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
