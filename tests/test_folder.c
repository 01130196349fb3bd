/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/folder.c: folders per class, parts, what is passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "dataset_files.h"

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "folder");
  ctx = new_context(2);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* The source of an image behind the root. */
static const char *source(imgrec_dataset *d, int64_t i) {
  return imgrec_dataset_source(d, i) + strlen(root) + 1;
}

static void test_folder__flat_sorted_by_bytes(void **state) {
  (void)state;
  put_grey(root, "b/2.pgm", 3, 5, 1);
  put_grey(root, "b/10.pgm", 3, 4, 2);
  put_grey(root, "a/x.PGM", 2, 5, 3);
  put_grey(root, "Z/x.pgm", 2, 5, 4);
  imgrec_dataset *d =
      expect_dataset(ctx, root, NULL, IMGREC_PART_ANY,
                     "folder per class: 4 grey images of 2-3 x 4-5 pixels, 3 "
                     "classes, 1-2 each");
  assert_int_equal(imgrec_dataset_classes(d), 3);
  assert_string_equal(imgrec_dataset_label(d, 0), "Z");
  assert_string_equal(imgrec_dataset_label(d, 1), "a");
  assert_string_equal(imgrec_dataset_label(d, 2), "b");
  assert_string_equal(source(d, 0), "Z/x.pgm");
  assert_string_equal(source(d, 1), "a/x.PGM");
  assert_string_equal(source(d, 2), "b/10.pgm");
  assert_string_equal(source(d, 3), "b/2.pgm");
  assert_int_equal(imgrec_dataset_class(d, 1), 1);
  assert_int_equal(imgrec_dataset_class(d, 3), 2);
  imgrec_dataset_destroy(d);
}

static void test_folder__other_files_passed_over(void **state) {
  (void)state;
  put_grey(root, "a/1.pgm", 2, 2, 1);
  put_grey(root, "a/.hidden.pgm", 2, 2, 1);
  put_grey(root, ".git/x.pgm", 2, 2, 1);
  put_text(root, "a/notes.txt", "x");
  put_text(root, "notes/readme.md", "x");
  put_grey(root, "loose.pgm", 2, 2, 1);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 1 grey image of 2 x 2 pixels, 1 class, 1 each");
  assert_int_equal(imgrec_dataset_skipped(d), 0);
  imgrec_dataset_destroy(d);
}

static void test_folder__nested_belong_to_class(void **state) {
  (void)state;
  put_grey(root, "a/deep/er/1.pgm", 2, 2, 1);
  put_grey(root, "a/2.pgm", 2, 2, 1);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 2 grey images of 2 x 2 pixels, 1 class, 2 each");
  assert_string_equal(source(d, 0), "a/2.pgm");
  assert_string_equal(source(d, 1), "a/deep/er/1.pgm");
  imgrec_dataset_destroy(d);
}

static void test_folder__depth_is_bounded(void **state) {
  (void)state;
  char name[256] = "a";
  for (int i = 0; i < 40; i++)
    strcat(name, "/d");
  strcat(name, "/x.pgm");
  put_grey(root, name, 1, 1, 1);
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_LIMIT, "32 deep");
}

static void test_folder__link_in_a_circle(void **state) {
  (void)state;
  char path[300];
  put_grey(root, "a/1.pgm", 1, 1, 1);
  snprintf(path, sizeof path, "%s/a/loop", root);
  assert_int_equal(symlink("..", path), 0);
  snprintf(path, sizeof path, "%s/b", root);
  assert_int_equal(symlink("a", path), 0);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 2 grey images of 1 x 1 pixels, 2 classes, 1 each");
  imgrec_dataset_destroy(d);
}

static void put_parts(void) {
  put_grey(root, "train/a/1.pgm", 1, 1, 1);
  put_grey(root, "train/c/1.pgm", 1, 1, 1);
  put_grey(root, "train/c/2.pgm", 1, 1, 1);
  put_grey(root, "Validation/b/1.pgm", 1, 1, 1);
  put_grey(root, "Validation/c/1.pgm", 1, 1, 1);
}

static void test_folder__parts_number_alike(void **state) {
  (void)state;
  put_parts();
  imgrec_dataset *train = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 3 grey images of 1 x 1 pixels, 3 classes, 0-2 each");
  imgrec_dataset *val = expect_dataset(
      ctx, root, NULL, IMGREC_PART_VAL,
      "folder per class: 2 grey images of 1 x 1 pixels, 3 classes, 0-1 each");
  for (int i = 0; i < 3; i++)
    assert_string_equal(imgrec_dataset_label(train, i),
                        imgrec_dataset_label(val, i));
  assert_int_equal(imgrec_dataset_class(train, 1), 2);
  assert_int_equal(imgrec_dataset_class(val, 0), 1);
  imgrec_dataset_destroy(train);
  imgrec_dataset_destroy(val);
  expect_failure(ctx, root, NULL, IMGREC_PART_TEST, IMGREC_ERR_NOT_FOUND,
                 "it has train and val");
}

static void test_folder__part_absent_from_flat(void **state) {
  (void)state;
  put_grey(root, "a/1.pgm", 1, 1, 1);
  expect_failure(ctx, root, NULL, IMGREC_PART_VAL, IMGREC_ERR_NOT_FOUND,
                 "does not come in parts");
}

static void test_folder__train_among_vehicles(void **state) {
  (void)state;
  put_grey(root, "train/1.pgm", 1, 1, 1);
  put_grey(root, "plane/1.pgm", 1, 1, 1);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 2 grey images of 1 x 1 pixels, 2 classes, 1 each");
  assert_string_equal(imgrec_dataset_label(d, 1), "train");
  imgrec_dataset_destroy(d);
}

static void test_folder__without_images(void **state) {
  (void)state;
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "looked for a folder per class");
  put_grey(root, "1.pgm", 1, 1, 1);
  put_grey(root, "2.pgm", 1, 1, 1);
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "2 images beside each other");
}

static void test_folder__unreadable_files_are_listed(void **state) {
  (void)state;
  char path[300];
  put_grey(root, "a/1.pgm", 1, 1, 7);
  put_text(root, "a/2.jpg", "no image");
  put_grey(root, "b/1.pgm", 1, 1, 9);
  snprintf(path, sizeof path, "%s/b/0.png", root);
  assert_int_equal(symlink("nowhere", path), 0);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 2 grey images of 1 x 1 pixels, 2 classes, 1 each; 2 "
      "files could not be read");
  assert_int_equal(imgrec_dataset_skipped(d), 2);
  assert_non_null(strstr(imgrec_dataset_skipped_reason(d, 0), "a/2.jpg"));
  assert_non_null(strstr(imgrec_dataset_skipped_reason(d, 1), "b/0.png"));
  assert_string_equal(imgrec_dataset_skipped_reason(d, 2), "");
  assert_string_equal(imgrec_dataset_skipped_reason(d, -1), "");
  assert_string_equal(source(d, 1), "b/1.pgm");
  imgrec_tensor *image = NULL;
  assert_int_equal(imgrec_dataset_image(&image, d, 1), IMGREC_OK);
  assert_int_equal(*(const unsigned char *)imgrec_tensor_const_data(image), 9);
  imgrec_tensor_destroy(image);
  imgrec_dataset_destroy(d);
}

/* Pictures of formats that are not read are no less than damaged ones. */
static void test_folder__other_formats_are_listed(void **state) {
  (void)state;
  static const char *const names[] = {"b/1.webp", "b/2.GIF",  "b/3.tif",
                                      "b/4.tiff", "b/5.heic", "b/6.heif",
                                      "b/7.avif", "b/8.jxl"};
  put_grey(root, "a/1.jfif", 1, 1, 7);
  put_grey(root, "a/2.jpe", 1, 1, 8);
  for (size_t i = 0; i < 8; i++)
    put_bytes(root, names[i], "RIFF\4\0\0\0WEBPVP8 ", 16);
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 2 grey images of 1 x 1 pixels, 2 classes, 0-2 each; "
      "8 files could not be read");
  assert_string_equal(imgrec_dataset_label(d, 1), "b");
  assert_int_equal(imgrec_dataset_skipped(d), 8);
  for (int i = 0; i < 8; i++) {
    const char *reason = imgrec_dataset_skipped_reason(d, i);
    assert_non_null(strstr(reason, names[i]));
    assert_non_null(strstr(reason, "': this is a WebP image; only JPEG, "));
  }
  imgrec_dataset_destroy(d);
}

static void test_folder__all_unreadable(void **state) {
  (void)state;
  put_text(root, "a/1.jpg", "");
  put_text(root, "a/2.jpg", "x");
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "none of its 2 images can be read");
}

static void test_folder__names_of_any_bytes(void **state) {
  (void)state;
#if defined(_WIN32) /* whose names are of UTF-16 */
  skip();
#endif
  put_grey(root, "%s%n/\xff\xfe.pgm", 1, 1, 1);
  put_text(root, "\xff/notes.txt", "x"); /* is no class */
  imgrec_dataset *d = expect_dataset(
      ctx, root, NULL, IMGREC_PART_ANY,
      "folder per class: 1 grey image of 1 x 1 pixels, 1 class, 1 each");
  assert_string_equal(imgrec_dataset_label(d, 0), "%s%n");
  assert_string_equal(source(d, 0), "%s%n/\xff\xfe.pgm");
  imgrec_dataset_destroy(d);
}

static void test_folder__class_that_is_no_text(void **state) {
  (void)state;
#if defined(_WIN32) /* whose names have none */
  skip();
#endif
  put_grey(root, "a/1.pgm", 1, 1, 1);
  put_grey(root, "caf\xe9 1/1.pgm", 1, 1, 1);
  expect_failure(ctx, root, NULL, IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "/folder': the folder 'caf\\xe9 1' is not UTF-8 text");
}

static void test_folder__photos(void **state) {
  (void)state;
  char path[1024];
  if (real_data(path, "caltech10") == NULL)
    skip();
  imgrec_dataset *train =
      expect_dataset(ctx, path, NULL, IMGREC_PART_ANY,
                     "folder per class: 450 images of 114-300 x 128-300 "
                     "pixels, 10 classes, 45 each");
  imgrec_dataset *val =
      expect_dataset(ctx, path, NULL, IMGREC_PART_VAL,
                     "folder per class: 150 images of 128-300 x 128-300 "
                     "pixels, 10 classes, 15 each");
  imgrec_dataset_destroy(train);
  imgrec_dataset_destroy(val);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_folder__flat_sorted_by_bytes),
      CASE(test_folder__other_files_passed_over),
      CASE(test_folder__nested_belong_to_class),
      CASE(test_folder__depth_is_bounded),
      CASE(test_folder__link_in_a_circle),
      CASE(test_folder__parts_number_alike),
      CASE(test_folder__part_absent_from_flat),
      CASE(test_folder__train_among_vehicles),
      CASE(test_folder__without_images),
      CASE(test_folder__unreadable_files_are_listed),
      CASE(test_folder__other_formats_are_listed),
      CASE(test_folder__all_unreadable),
      CASE(test_folder__names_of_any_bytes),
      CASE(test_folder__class_that_is_no_text),
      CASE(test_folder__photos),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
