/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/store.c: files that are probed, names of classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"

static char root[256];
static imgrec_context *ctx;
static struct store *store;

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "store");
  ctx = new_context(2);
  assert_int_equal(imgrec__store_create(&store, ctx), IMGREC_OK);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  uint64_t before = imgrec_context_bytes(ctx);
  imgrec__store_release(store);
  assert_true(imgrec_context_bytes(ctx) < before);
  imgrec_context_destroy(ctx);
  return 0;
}

static void add(const char *name, int32_t label) {
  char path[512];
  int n = snprintf(path, sizeof path, "%s/%s", root, name);
  assert_int_equal(imgrec__store_add_file(store, path, (size_t)n, label), 0);
}

static void test_store__probe_keeps_the_order(void **state) {
  (void)state;
  char name[32];
  for (int i = 0; i < 60; i++) {
    snprintf(name, sizeof name, "%d.pgm", i);
    if (i % 3 == 1)
      put_text(root, name, "P5 junk");
    else
      put_grey(root, name, 1 + i, 2, i);
    add(name, i);
  }
  assert_int_equal(imgrec__store_probe(store, root), IMGREC_OK);
  assert_int_equal(store->count, 40);
  assert_int_equal(store->skipped_count, 20);
  for (int k = 0; k < 40; k++) {
    int i = k / 2 * 3 + k % 2 * 2;
    assert_int_equal(store->labels[k], i);
    assert_int_equal(imgrec__store_size(store, k).height, 1 + i);
    assert_int_equal(store->bad[k], 0);
    snprintf(name, sizeof name, "/%d.pgm", i);
    assert_non_null(
        strstr(imgrec__strings_get(&store->names, (size_t)k), name));
  }
  assert_non_null(strstr(store->skipped[0], "/1.pgm"));
  assert_non_null(strstr(store->skipped[19], "/58.pgm"));
}

/* A comment fills the first 16 KiB that are looked at. */
static void test_store__probe_looks_further(void **state) {
  (void)state;
  static char bytes[40000];
  memset(bytes, 'x', sizeof bytes);
  memcpy(bytes, "P5\n#", 4);
  memcpy(bytes + 30000, "\n1 2 255\n", 9);
  put_bytes(root, "long.pgm", bytes, 30011);
  add("long.pgm", 0);
  assert_int_equal(imgrec__store_probe(store, root), IMGREC_OK);
  assert_int_equal(imgrec__store_size(store, 0).height, 2);
}

static void test_store__numbers_as_names(void **state) {
  (void)state;
  assert_int_equal(imgrec__store_name_numbers(store, 11), IMGREC_OK);
  assert_int_equal(store->classes.count, 11);
  assert_string_equal(imgrec__strings_get(&store->classes, 10), "10");
}

static void test_store__name_file(void **state) {
  (void)state;
  assert_int_equal(imgrec__store_name_file(store, root, "names"), 0);
  assert_string_equal(imgrec_last_error(ctx), "");
  put_text(root, "names", "one\r\n\r\ntwo words\nthree");
  assert_int_equal(imgrec__store_name_file(store, root, "names"), 1);
  assert_int_equal(store->classes.count, 3);
  assert_string_equal(imgrec__strings_get(&store->classes, 0), "one");
  assert_string_equal(imgrec__strings_get(&store->classes, 1), "two words");
  assert_string_equal(imgrec__strings_get(&store->classes, 2), "three");
}

static void test_store__name_file_of_another_code(void **state) {
  (void)state;
  put_text(root, "names", "one\ncaf\xe9\n");
  assert_int_equal(imgrec__store_name_file(store, root, "names"),
                   IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(ctx),
                         "/names': the line 'caf\\xe9' is not UTF-8 text"));
}

static void test_store__name_file_of_bytes(void **state) {
  (void)state;
  put_bytes(root, "names", "a\0b", 3);
  assert_int_equal(imgrec__store_name_file(store, root, "names"),
                   IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(ctx), "is no text file"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_store__probe_keeps_the_order),
      CASE(test_store__probe_looks_further),
      CASE(test_store__numbers_as_names),
      CASE(test_store__name_file),
      CASE(test_store__name_file_of_another_code),
      CASE(test_store__name_file_of_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
