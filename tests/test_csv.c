/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/csv.c: fields, columns, classes, parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataset_files.h"

/* In a file's name, and in a quoted field of a table. */
#if defined(_WIN32) /* whose names have none */
#define QUOTE     "'"
#define CSV_QUOTE QUOTE
#else
#define QUOTE     "\""
#define CSV_QUOTE QUOTE QUOTE
#endif

static char root[256];
static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "csv");
  ctx = new_context(1);
  put_grey(root, "1.pgm", 1, 1, 1);
  put_grey(root, "sub/2, " QUOTE "two" QUOTE ".pgm", 1, 1, 2);
  put_grey(root, "3.pgm", 1, 1, 3);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* Opens a table of this text, which must have these classes in its order. */
static imgrec_dataset *open_table(const char *text, int part,
                                  const char *const *labels, int64_t n) {
  imgrec_dataset *d = NULL;
  put_text(root, "table.csv", text);
  if (open_part(&d, ctx, root, "table.csv", part) != IMGREC_OK)
    fail_msg("%s", imgrec_last_error(ctx));
  assert_int_equal(imgrec_dataset_size(d), n);
  for (int64_t i = 0; i < n; i++)
    assert_string_equal(imgrec_dataset_label(d, imgrec_dataset_class(d, i)),
                        labels[i]);
  return d;
}

static void expect_bad(const char *text, const char *words) {
  put_text(root, "table.csv", text);
  expect_failure(ctx, root, "table.csv", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 words);
}

static const char *const dog_cat[] = {"dog", "cat"};
static const char *const dog_cat_dog[] = {"dog", "cat", "dog"};

static void test_csv__plain(void **state) {
  (void)state;
  imgrec_dataset *d =
      open_table("1.pgm,dog\n3.pgm,cat\n1.pgm,dog", 0, dog_cat_dog, 3);
  assert_string_equal(imgrec_dataset_description(d),
                      "CSV: 3 grey images of 1 x 1 pixels, 2 classes, 1-2 "
                      "each");
  assert_string_equal(imgrec_dataset_label(d, 0), "cat");
  assert_string_equal(imgrec_dataset_source(d, 1), "build/tmp/csv/3.pgm");
  imgrec_dataset_destroy(d);
}

static void test_csv__spreadsheet(void **state) {
  (void)state;
  const char *text = "\xef\xbb\xbfPath,Label\r\n"
                     "1.pgm , dog\r\n"
                     "\r\n"
                     "\"sub/2, " CSV_QUOTE "two" CSV_QUOTE ".pgm\",\"cat\"\r\n";
  imgrec_dataset *d = open_table(text, 0, dog_cat, 2);
  assert_string_equal(imgrec_dataset_source(d, 1),
                      "build/tmp/csv/sub/2, " QUOTE "two" QUOTE ".pgm");
  imgrec_dataset_destroy(d);
}

static void test_csv__columns_by_name(void **state) {
  (void)state;
  const char *text = "id,class,split,filename\n"
                     "7,dog,train,1.pgm\n"
                     "8,cat,test,3.pgm\n";
  imgrec_dataset *d = open_table(text, IMGREC_PART_TEST, dog_cat + 1, 1);
  assert_string_equal(imgrec_dataset_source(d, 0), "build/tmp/csv/3.pgm");
  assert_int_equal(imgrec_dataset_classes(d), 2);
  imgrec_dataset_destroy(d);
}

static void test_csv__id_is_the_last_choice(void **state) {
  (void)state;
  imgrec_dataset *d =
      open_table("id,label\n1.pgm,dog\n3.pgm,cat\n", 0, dog_cat, 2);
  assert_int_equal(imgrec_dataset_classes(d), 2);
  assert_int_equal(imgrec_dataset_skipped(d), 0);
  imgrec_dataset_destroy(d);
  d = open_table("id,label,Image\n7,dog,1.pgm\n8,cat,3.pgm\n", 0, dog_cat, 2);
  assert_int_equal(imgrec_dataset_skipped(d), 0);
  imgrec_dataset_destroy(d);
}

static void test_csv__column_of_an_unknown_name(void **state) {
  (void)state;
  expect_bad("Image,digit\n1.pgm,3\n",
             "table.csv' line 1 names the column 'Image', but none for the "
             "label: that is called label, class or category, not 'digit'");
  expect_bad("\nname,split,class\n1.pgm,train,dog\n",
             "line 2 names the column 'class', but none for the path: that is "
             "called path, filename, file, image, file_name, filepath or id, "
             "not 'name'");
  expect_bad("split,id\ntrain,1.pgm\n", "category, not 'split'");
  expect_bad("image\n1.pgm\n", "line 1 has 1 field;");
}

/* "file" is a tool. */
static void test_csv__class_that_is_a_word_of_columns(void **state) {
  (void)state;
  const char *const labels[] = {"file", "class"};
  imgrec_dataset *d = open_table("1.pgm,file\n3.pgm,class\n", 0, labels, 2);
  assert_int_equal(imgrec_dataset_classes(d), 2);
  imgrec_dataset_destroy(d);
  d = open_table("3.pgm,class\n", 0, labels + 1, 1);
  imgrec_dataset_destroy(d);
}

static void test_csv__third_column(void **state) {
  (void)state;
  const char *text = "1.pgm,dog,train\n3.pgm,cat,Val\n";
  imgrec_dataset *d = open_table(text, IMGREC_PART_ANY, dog_cat, 1);
  imgrec_dataset_destroy(d);
  d = open_table(text, IMGREC_PART_VAL, dog_cat + 1, 1);
  imgrec_dataset_destroy(d);
  expect_failure(ctx, root, "table.csv", IMGREC_PART_TEST, IMGREC_ERR_NOT_FOUND,
                 "it has train and val");
}

static void test_csv__numbers_in_their_order(void **state) {
  (void)state;
  const char *const labels[] = {"10", "9", "-1"};
  imgrec_dataset *d = open_table("1.pgm,10\n3.pgm,9\n3.pgm,-1\n", 0, labels, 3);
  assert_string_equal(imgrec_dataset_label(d, 0), "-1");
  assert_string_equal(imgrec_dataset_label(d, 1), "9");
  assert_string_equal(imgrec_dataset_label(d, 2), "10");
  imgrec_dataset_destroy(d);
}

static void test_csv__one_word_among_numbers(void **state) {
  (void)state;
  const char *const labels[] = {"10", "9", "x"};
  imgrec_dataset *d = open_table("1.pgm,10\n3.pgm,9\n3.pgm,x\n", 0, labels, 3);
  assert_string_equal(imgrec_dataset_label(d, 0), "10");
  imgrec_dataset_destroy(d);
}

static void test_csv__absolute_path(void **state) {
  (void)state;
  char text[2048], here[1024];
  assert_non_null(realpath(root, here));
  snprintf(text, sizeof text, "%s/1.pgm,dog\n", here);
  imgrec_dataset *d = open_table(text, 0, dog_cat, 1);
  assert_int_equal(strncmp(imgrec_dataset_source(d, 0), here, strlen(here)), 0);
  imgrec_dataset_destroy(d);
}

static void test_csv__missing_file_is_listed(void **state) {
  (void)state;
  imgrec_dataset *d = open_table("1.pgm,dog\nnone.pgm,cat\n", 0, dog_cat, 1);
  assert_int_equal(imgrec_dataset_skipped(d), 1);
  assert_string_equal(
      imgrec_dataset_skipped_reason(d, 0),
      "cannot open 'build/tmp/csv/none.pgm': no such file or folder");
  imgrec_dataset_destroy(d);
}

static void test_csv__damaged(void **state) {
  (void)state;
  expect_bad("", "has no rows");
  expect_bad("\r\n\n", "has no rows");
  expect_bad("path,label\n", "has no rows");
  expect_bad("1.pgm\n", "line 1 has 1 field;");
  expect_bad("1.pgm,dog\n\n\"3\n.pgm\",cat\n3.pgm\n", "line 5 has 1 field;");
  expect_bad("1.pgm,\n", "line 1: the label is empty");
  expect_bad(" ,dog\n", "line 1: the path is empty");
  expect_bad("1.pgm,\"dog\n", "never closed");
  expect_bad("1.pgm,\"dog\"gy\n", "behind a closing quote");
  expect_bad("1.pgm,dog,maybe\n", "the part is 'maybe'");
  expect_bad("1.pgm,caf\xe9\n", "the label 'caf\\xe9' is not UTF-8 text");
  expect_bad("path,label,part\n1.pgm,dog\n", "line 2 has 2 fields;");
}

static void test_csv__too_many_fields(void **state) {
  (void)state;
  char text[256];
  memset(text, ',', sizeof text);
  text[255] = '\0';
  expect_bad(text, "more than 64 fields");
}

static void test_csv__not_text(void **state) {
  (void)state;
  put_bytes(root, "table.csv", "a,b\0\n", 5);
  expect_failure(ctx, root, "table.csv", IMGREC_PART_ANY, IMGREC_ERR_FORMAT,
                 "is no text file");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_csv__plain),
      CASE(test_csv__spreadsheet),
      CASE(test_csv__columns_by_name),
      CASE(test_csv__id_is_the_last_choice),
      CASE(test_csv__column_of_an_unknown_name),
      CASE(test_csv__class_that_is_a_word_of_columns),
      CASE(test_csv__third_column),
      CASE(test_csv__numbers_in_their_order),
      CASE(test_csv__one_word_among_numbers),
      CASE(test_csv__absolute_path),
      CASE(test_csv__missing_file_is_listed),
      CASE(test_csv__damaged),
      CASE(test_csv__too_many_fields),
      CASE(test_csv__not_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
