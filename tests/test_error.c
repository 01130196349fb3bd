/* SPDX-License-Identifier: MIT */
/* Tests of lib/error.c: sentences, status codes, option structs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base.h"

static void test_error__fail_sets_sentence(void **state) {
  (void)state;
  struct error e = {""};
  int status = imgrec__fail(&e, IMGREC_ERR_SHAPE, "layer '%s': %d", "c2", 7);
  assert_int_equal(status, IMGREC_ERR_SHAPE);
  assert_string_equal(e.text, "layer 'c2': 7");
}

static void test_error__fail_without_error(void **state) {
  (void)state;
  assert_int_equal(imgrec__fail(NULL, IMGREC_ERR_IO, "x"), IMGREC_ERR_IO);
  assert_int_equal(imgrec__fail_prefix(NULL, IMGREC_ERR_IO, "x"),
                   IMGREC_ERR_IO);
}

static void test_error__fail_with_its_own_sentence(void **state) {
  (void)state;
  struct error e = {"no such file"};
  imgrec__fail(&e, IMGREC_ERR_IO, "image 3: %s", e.text);
  assert_string_equal(e.text, "image 3: no such file");
}

static void test_error__long_sentence_is_cut(void **state) {
  (void)state;
  struct error e;
  char longer[2 * sizeof e.text];
  memset(longer, 'x', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  imgrec__fail(&e, IMGREC_ERR_IO, "%s", longer);
  assert_int_equal(strlen(e.text), sizeof e.text - 1);
  assert_string_equal(e.text + sizeof e.text - 5, "x...");
  longer[sizeof e.text - 1] = '\0';
  imgrec__fail(&e, IMGREC_ERR_IO, "%s", longer);
  assert_string_equal(e.text, longer);
}

/* Wherever the cut falls, no half of a character is left. */
static void test_error__cut_between_characters(void **state) {
  (void)state;
  for (size_t shift = 0; shift < 4; shift++) {
    struct error e;
    char longer[1024] = "aaaa";
    for (size_t i = shift; i + 4 < sizeof longer; i += 4)
      memcpy(longer + i, "\xf0\x9f\x90\xb1", 5);
    imgrec__fail(&e, IMGREC_ERR_IO, "%s", longer);
    assert_true(imgrec__utf8_valid(e.text, strlen(e.text)));
    assert_string_equal(e.text + strlen(e.text) - 3, "...");
  }
}

static void test_error__prefix(void **state) {
  (void)state;
  struct error e = {"kernel 5x5 is too large"};
  int status = imgrec__fail_prefix(&e, IMGREC_ERR_SHAPE, "line %d", 4);
  assert_int_equal(status, IMGREC_ERR_SHAPE);
  assert_string_equal(e.text, "line 4: kernel 5x5 is too large");
}

static void test_error__every_status_has_a_name(void **state) {
  (void)state;
  assert_string_equal(imgrec_status_name(IMGREC_OK), "IMGREC_OK");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_ARGUMENT),
                      "IMGREC_ERR_ARGUMENT");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_MEMORY),
                      "IMGREC_ERR_MEMORY");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_LIMIT), "IMGREC_ERR_LIMIT");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_IO), "IMGREC_ERR_IO");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_NOT_FOUND),
                      "IMGREC_ERR_NOT_FOUND");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_FORMAT),
                      "IMGREC_ERR_FORMAT");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_SHAPE), "IMGREC_ERR_SHAPE");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_ARCHITECTURE),
                      "IMGREC_ERR_ARCHITECTURE");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_UNSUPPORTED),
                      "IMGREC_ERR_UNSUPPORTED");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_CANCELLED),
                      "IMGREC_ERR_CANCELLED");
  assert_string_equal(imgrec_status_name(IMGREC_ERR_DIVERGED),
                      "IMGREC_ERR_DIVERGED");
}

static void test_error__unknown_status(void **state) {
  (void)state;
  const int unknown[] = {1, -12, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < 4; i++) {
    assert_string_equal(imgrec_status_name(unknown[i]), "IMGREC_ERR_UNKNOWN");
    assert_string_equal(imgrec_status_string(unknown[i]), "unknown status");
  }
  assert_string_equal(imgrec_status_string(IMGREC_ERR_SHAPE),
                      "tensors or weights do not fit together");
}

static void test_error__version(void **state) {
  (void)state;
  int n = imgrec_version_number();
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", n >> 16, n >> 8 & 255, n & 255);
  assert_string_equal(imgrec_version_string(), text);
  assert_true(imgrec_arithmetic_version() >= 1);
}

/* Three releases of one struct. */
struct options1 {
  size_t struct_size;
  int32_t a, b;
};
struct options2 {
  size_t struct_size;
  int32_t a, b, c, d;
};
struct options3 {
  size_t struct_size;
  int32_t a, b, c, d, e, f;
};

static void test_error__options_of_an_older_caller(void **state) {
  (void)state;
  struct options1 theirs = {sizeof theirs, 1, 2};
  struct options2 ours = {0, 9, 9, 9, 9};
  assert_int_equal(
      imgrec__options_read(NULL, &ours, sizeof ours, &theirs, "options"), 0);
  assert_int_equal(ours.struct_size, sizeof ours);
  assert_int_equal(ours.a, 1);
  assert_int_equal(ours.b, 2);
  assert_int_equal(ours.c, 0);
  assert_int_equal(ours.d, 0);
}

static void test_error__options_of_a_newer_caller(void **state) {
  (void)state;
  struct options3 theirs = {sizeof theirs, 1, 2, 3, 4, 0, 0};
  struct options2 ours = {0};
  struct error e = {""};
  assert_int_equal(
      imgrec__options_read(&e, &ours, sizeof ours, &theirs, "options"), 0);
  assert_int_equal(ours.d, 4);
  theirs.f = 1;
  assert_int_equal(
      imgrec__options_read(&e, &ours, sizeof ours, &theirs, "options"),
      IMGREC_ERR_UNSUPPORTED);
  char beyond[64];
  snprintf(beyond, sizeof beyond, "options: a field beyond byte %zu",
           sizeof ours);
  assert_non_null(strstr(e.text, beyond));
}

static void test_error__options_without_size(void **state) {
  (void)state;
  const size_t sizes[] = {0, sizeof(size_t) - 1, 1 << 20, SIZE_MAX};
  for (size_t i = 0; i < 4; i++) {
    struct options1 theirs = {sizes[i], 1, 2}, ours = {0, 5, 6};
    struct error e = {""};
    assert_int_equal(
        imgrec__options_read(&e, &ours, sizeof ours, &theirs, "options"),
        IMGREC_ERR_ARGUMENT);
    assert_non_null(strstr(e.text, "options_init"));
    assert_int_equal(ours.a, 5);
  }
}

static void test_error__options_of_nobody(void **state) {
  (void)state;
  struct options1 ours = {sizeof ours, 5, 6};
  assert_int_equal(imgrec__options_read(NULL, &ours, sizeof ours, NULL, "x"),
                   0);
  assert_int_equal(ours.a, 5);
}

static void test_error__options_init(void **state) {
  (void)state;
  const struct options2 defaults = {sizeof defaults, 1, 2, 3, 4};
  struct options3 newer;
  struct options1 older[2];
  memset(&newer, 0xff, sizeof newer);
  memset(older, 0xff, sizeof older);
  assert_int_equal(
      imgrec__options_init(&newer, sizeof newer, &defaults, sizeof defaults),
      0);
  assert_int_equal(newer.struct_size, sizeof newer);
  assert_int_equal(newer.d, 4);
  assert_int_equal(newer.e, 0);
  assert_int_equal(
      imgrec__options_init(older, sizeof older[0], &defaults, sizeof defaults),
      0);
  assert_int_equal(older[0].b, 2);
  assert_int_equal(older[1].a, -1);
  assert_int_equal(imgrec__options_init(NULL, 24, &defaults, sizeof defaults),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec__options_init(&newer, 3, &defaults, sizeof defaults),
                   IMGREC_ERR_ARGUMENT);
}

static void test_error__options_write(void **state) {
  (void)state;
  const struct options2 ours = {sizeof ours, 1, 2, 3, 4};
  struct options1 older[2] = {{sizeof older[0], 9, 9}, {7, 8, 9}};
  struct options3 newer = {sizeof newer, 9, 9, 9, 9, 9, 9};
  imgrec__options_write(older, &ours, sizeof ours);
  assert_int_equal(older[0].struct_size, sizeof older[0]);
  assert_int_equal(older[0].b, 2);
  assert_int_equal(older[1].struct_size, 7);
  imgrec__options_write(&newer, &ours, sizeof ours);
  assert_int_equal(newer.struct_size, sizeof newer);
  assert_int_equal(newer.d, 4);
  assert_int_equal(newer.e, 9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_error__fail_sets_sentence),
      cmocka_unit_test(test_error__fail_without_error),
      cmocka_unit_test(test_error__fail_with_its_own_sentence),
      cmocka_unit_test(test_error__long_sentence_is_cut),
      cmocka_unit_test(test_error__cut_between_characters),
      cmocka_unit_test(test_error__prefix),
      cmocka_unit_test(test_error__every_status_has_a_name),
      cmocka_unit_test(test_error__unknown_status),
      cmocka_unit_test(test_error__version),
      cmocka_unit_test(test_error__options_of_an_older_caller),
      cmocka_unit_test(test_error__options_of_a_newer_caller),
      cmocka_unit_test(test_error__options_without_size),
      cmocka_unit_test(test_error__options_of_nobody),
      cmocka_unit_test(test_error__options_init),
      cmocka_unit_test(test_error__options_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
