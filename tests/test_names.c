/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/names.c: lists of strings, words, parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "data/data.h"

static struct allocator allocator;

static int setup(void **state) {
  (void)state;
  return imgrec__allocator_init(&allocator, NULL, NULL, NULL, 0);
}

static int teardown(void **state) {
  (void)state;
  int leaked = allocator.used != 0;
  imgrec__allocator_destroy(&allocator);
  return leaked;
}

static void add(struct strings *s, const char *string) {
  imgrec__strings_add(s, string, strlen(string));
}

static void test_names__list_keeps_strings(void **state) {
  (void)state;
  struct strings s, copy;
  imgrec__strings_init(&s, &allocator);
  imgrec__strings_init(&copy, &allocator);
  for (int i = 0; i < 1000; i++)
    add(&s, i % 2 ? "odd" : "");
  imgrec__strings_copy(&copy, &s);
  assert_false(imgrec__strings_failed(&copy));
  assert_int_equal(copy.count, 1000);
  for (size_t i = 0; i < 1000; i++)
    assert_string_equal(imgrec__strings_get(&copy, i), i % 2 ? "odd" : "");
  imgrec__strings_free(&s);
  imgrec__strings_free(&copy);
}

static void test_names__sort_by_bytes(void **state) {
  (void)state;
  const char *in[] = {"first", "b", "\xc3\xa4", "B", "a", "b", "aa"};
  const char *out[] = {"first", "B", "a", "aa", "b", "\xc3\xa4"};
  struct strings s;
  imgrec__strings_init(&s, &allocator);
  for (size_t i = 0; i < 7; i++)
    add(&s, in[i]);
  assert_true(imgrec__strings_sort(&s, 1, 1));
  assert_int_equal(s.count, 6);
  for (size_t i = 0; i < 6; i++)
    assert_string_equal(imgrec__strings_get(&s, i), out[i]);
  imgrec__strings_free(&s);
}

static void test_names__sort_keeps_equal_ones(void **state) {
  (void)state;
  struct strings s;
  imgrec__strings_init(&s, &allocator);
  assert_true(imgrec__strings_sort(&s, 0, 0));
  add(&s, "x");
  add(&s, "x");
  assert_true(imgrec__strings_sort(&s, 0, 0));
  assert_int_equal(s.count, 2);
  imgrec__strings_free(&s);
}

static void test_names__out_of_memory_is_sticky(void **state) {
  (void)state;
  struct allocator tight;
  assert_int_equal(imgrec__allocator_init(&tight, NULL, NULL, NULL, 2000), 0);
  struct strings s;
  imgrec__strings_init(&s, &tight);
  for (int i = 0; i < 500; i++)
    add(&s, "something");
  assert_true(imgrec__strings_failed(&s));
  size_t count = s.count;
  assert_true(count < 500);
  for (size_t i = 0; i < count; i++)
    assert_string_equal(imgrec__strings_get(&s, i), "something");
  add(&s, "x");
  assert_int_equal(s.count, count);
  imgrec__strings_free(&s);
  assert_int_equal(tight.used, 0);
  imgrec__allocator_destroy(&tight);
}

static void test_names__words_of_any_case(void **state) {
  (void)state;
  assert_true(imgrec__same_word("TrAin", 5, "train"));
  assert_false(imgrec__same_word("trai", 4, "train"));
  assert_false(imgrec__same_word("trains", 6, "train"));
  assert_false(imgrec__same_word("tr@in", 5, "tr`in"));
  assert_true(imgrec__ends_in("a.JPG", ".jpg"));
  assert_true(imgrec__ends_in(".jpg", ".jpg"));
  assert_false(imgrec__ends_in("jpg", ".jpg"));
  assert_false(imgrec__ends_in("a.jpg.txt", ".jpg"));
}

static void test_names__of_pictures(void **state) {
  (void)state;
  static const char *const names[] = {"a.jpg", "a.JFIF", ".jpe",  "a.b.webp",
                                      "a.gif", "a.TIF",  "a.heic"};
  static const char *const others[] = {"", "jpg", "a.jpg.txt", "a.svg", "a."};
  for (size_t i = 0; i < 7; i++)
    assert_true(imgrec__is_image_name(names[i], strlen(names[i])));
  for (size_t i = 0; i < 5; i++)
    assert_false(imgrec__is_image_name(others[i], strlen(others[i])));
  assert_false(imgrec__is_image_name("a.jpg", 4));
}

static void test_names__paths(void **state) {
  (void)state;
  struct text t;
  imgrec__text_init(&t, &allocator);
  imgrec__join(&t, "a/b", "c");
  assert_string_equal(t.data, "a/b/c");
  imgrec__join(&t, "a/", "c");
  assert_string_equal(t.data, "a/c");
  imgrec__join(&t, "", "c");
  assert_string_equal(t.data, "c");
  imgrec__text_free(&t);
  assert_int_equal(imgrec__folder_length("a/b/c"), 4);
  assert_int_equal(imgrec__folder_length("c"), 0);
  assert_int_equal(imgrec__folder_length("/c"), 1);
}

static void test_names__part_words(void **state) {
  (void)state;
  assert_int_equal(imgrec__part_of("train", 5), IMGREC_PART_TRAIN);
  assert_int_equal(imgrec__part_of("Training", 8), IMGREC_PART_TRAIN);
  assert_int_equal(imgrec__part_of("valid", 5), IMGREC_PART_VAL);
  assert_int_equal(imgrec__part_of("validation", 10), IMGREC_PART_VAL);
  assert_int_equal(imgrec__part_of("TEST", 4), IMGREC_PART_TEST);
  assert_int_equal(imgrec__part_of("trained", 7), IMGREC_PART_ANY);
  assert_int_equal(imgrec__part_of("", 0), IMGREC_PART_ANY);
}

static int choose(int available, int want) {
  int part = -1;
  int status = imgrec__part_choose(NULL, "x", available, want, &part);
  return status < 0 ? status : part;
}

static void test_names__part_choose(void **state) {
  (void)state;
  const int train = PART_BIT(IMGREC_PART_TRAIN);
  const int val = PART_BIT(IMGREC_PART_VAL), test = PART_BIT(IMGREC_PART_TEST);
  assert_int_equal(choose(0, IMGREC_PART_ANY), IMGREC_PART_ANY);
  assert_int_equal(choose(train | val, IMGREC_PART_ANY), IMGREC_PART_TRAIN);
  assert_int_equal(choose(test, IMGREC_PART_ANY), IMGREC_PART_TEST);
  assert_int_equal(choose(val | test, IMGREC_PART_ANY), IMGREC_ERR_NOT_FOUND);
  assert_int_equal(choose(train | val, IMGREC_PART_VAL), IMGREC_PART_VAL);
  assert_int_equal(choose(train, IMGREC_PART_TEST), IMGREC_ERR_NOT_FOUND);
  assert_int_equal(choose(0, IMGREC_PART_TRAIN), IMGREC_ERR_NOT_FOUND);
}

static void test_names__part_missing_is_told(void **state) {
  (void)state;
  struct error e;
  int part;
  imgrec__part_choose(&e, "data",
                      PART_BIT(IMGREC_PART_TRAIN) | PART_BIT(IMGREC_PART_TEST),
                      IMGREC_PART_VAL, &part);
  assert_string_equal(e.text,
                      "'data' has no part 'val'; it has train and test");
  imgrec__part_choose(&e, "data", 0, IMGREC_PART_VAL, &part);
  assert_string_equal(e.text,
                      "'data' has no part 'val'; it does not come in parts");
}

static void test_names__text_of_classes(void **state) {
  (void)state;
  struct strings s;
  struct error e;
  char long_name[2000];
  imgrec__strings_init(&s, &allocator);
  add(&s, "caf\xc3\xa9");
  assert_int_equal(imgrec__names_check(&e, "data", "the label", &s), 0);
  add(&s, "a\\\t\xe9~");
  assert_int_equal(imgrec__names_check(&e, "data", "the label", &s),
                   IMGREC_ERR_FORMAT);
  assert_string_equal(e.text,
                      "'data': the label 'a\\x5c\\x09\\xe9~' is not UTF-8 "
                      "text, as names of classes must be");
  imgrec__strings_free(&s);
  imgrec__strings_init(&s, &allocator);
  memset(long_name, 0xff, sizeof long_name - 1);
  long_name[sizeof long_name - 1] = '\0';
  add(&s, long_name);
  assert_int_equal(imgrec__names_check(&e, "data", "the label", &s),
                   IMGREC_ERR_FORMAT);
  assert_non_null(strstr(e.text, "\\xff' is not UTF-8 text"));
  imgrec__strings_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names__list_keeps_strings),
      cmocka_unit_test(test_names__sort_by_bytes),
      cmocka_unit_test(test_names__sort_keeps_equal_ones),
      cmocka_unit_test(test_names__out_of_memory_is_sticky),
      cmocka_unit_test(test_names__words_of_any_case),
      cmocka_unit_test(test_names__of_pictures),
      cmocka_unit_test(test_names__paths),
      cmocka_unit_test(test_names__part_words),
      cmocka_unit_test(test_names__part_choose),
      cmocka_unit_test(test_names__part_missing_is_told),
      cmocka_unit_test(test_names__text_of_classes),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
