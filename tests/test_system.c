/* SPDX-License-Identifier: MIT */
/* Tests of lib/system_*.c: what every system does alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base.h"

#define FOLDER "build/tmp"
/* An a with dots, a heart, and a face beyond 16 bits. */
#define NAME FOLDER "/\303\244 \342\231\245 \360\237\230\200.txt"

static void write_file(const char *path, const char *text) {
  intptr_t file;
  size_t done;
  imgrec__path_remove(path);
  assert_int_equal(imgrec__file_create(&file, path), 0);
  assert_int_equal(imgrec__file_put(file, text, strlen(text), &done), 0);
  assert_int_equal(done, strlen(text));
  assert_int_equal(imgrec__file_sync(file), 0);
  assert_int_equal(imgrec__file_close(file), 0);
}

static void assert_text(const char *path, const char *text) {
  char bytes[100];
  intptr_t file;
  size_t done;
  assert_int_equal(imgrec__file_open(&file, path), 0);
  assert_int_equal(imgrec__file_get(file, bytes, sizeof bytes, &done), 0);
  assert_int_equal(done, strlen(text));
  assert_memory_equal(bytes, text, done);
  assert_int_equal(imgrec__file_get(file, bytes, sizeof bytes, &done), 0);
  assert_int_equal(done, 0);
  assert_int_equal(imgrec__file_close(file), 0);
}

static void test_system__memory(void **state) {
  (void)state;
  for (size_t align = 16; align <= 256; align *= 2) {
    char *p = imgrec__system_alloc(3 * align, align);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % align, 0);
    memset(p, 1, 3 * align);
    imgrec__system_free(p);
  }
  size_t size = ((size_t)5 << 20) + 1;
  char *p = imgrec__system_map(size);
  assert_non_null(p);
  assert_int_equal((uintptr_t)p % 64, 0);
  for (size_t i = 0; i < size; i++)
    assert_int_equal(p[i], 0);
  memset(p, 1, size);
  imgrec__system_unmap(p, size);
}

static void test_system__processors(void **state) {
  (void)state;
  assert_in_range(imgrec__system_processors(), 1, 1 << 20);
}

static void test_system__files(void **state) {
  (void)state;
  struct file_info info;
  intptr_t file;
  write_file(NAME, "one");
  assert_int_equal(imgrec__file_create(&file, NAME), IMGREC__EXISTS);
  assert_text(NAME, "one");
  assert_int_equal(imgrec__path_info(NAME, &info), 0);
  assert_int_equal(info.kind, FILE_REGULAR);
  assert_int_equal(info.size, 3);
  assert_int_equal(imgrec__path_info(FOLDER, &info), 0);
  assert_int_equal(info.kind, FILE_FOLDER);
  imgrec__path_ahead(NAME);
  imgrec__path_remove(NAME);
  assert_true(imgrec__path_info(NAME, &info) > 0);
}

static void test_system__replace(void **state) {
  (void)state;
  struct file_info info;
  write_file(FOLDER "/new", "a longer text");
  write_file(NAME, "old");
  assert_int_equal(imgrec__path_replace(FOLDER "/new", NAME), 0);
  assert_int_equal(imgrec__path_sync(NAME), 0);
  assert_text(NAME, "a longer text");
  assert_true(imgrec__path_info(FOLDER "/new", &info) > 0);
  assert_true(imgrec__path_replace(FOLDER "/new", NAME) > 0);
  assert_text(NAME, "a longer text");
  imgrec__path_remove(NAME);
}

static void test_system__reasons(void **state) {
  (void)state;
  struct file_info info;
  const char *words = NULL;
  int number = imgrec__path_info(FOLDER "/nowhere", &info);
  assert_int_equal(imgrec__system_reason(number, &words), IMGREC_ERR_NOT_FOUND);
  assert_string_equal(words, "no such file or folder");
  assert_int_equal(imgrec__system_reason(987654, &words), IMGREC_ERR_IO);
  assert_null(words);
}

/* Counts names, and stops at `enough`. */
struct seen {
  int all, ours, enough;
};

static int see(void *user, const char *name, int kind) {
  struct seen *s = user;
  assert_true(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
  s->all++;
  if (strcmp(&NAME[sizeof FOLDER], name) == 0) {
    assert_int_equal(kind, FILE_REGULAR);
    s->ours++;
  }
  return s->all != s->enough;
}

static void test_system__list(void **state) {
  (void)state;
  struct seen s = {0}, first = {.enough = 1};
  write_file(NAME, "");
  assert_int_equal(imgrec__folder_list(FOLDER, see, &s), 0);
  assert_int_equal(s.ours, 1);
  assert_int_equal(imgrec__folder_list(FOLDER, see, &first), 0);
  assert_int_equal(first.all, 1);
  assert_true(imgrec__folder_list(FOLDER "/nowhere", see, &s) > 0);
  assert_true(imgrec__folder_list(NAME, see, &s) > 0);
  imgrec__path_remove(NAME);
}

static void test_system__paths(void **state) {
  (void)state;
  assert_int_equal(imgrec__folder_length("name"), 0);
  assert_int_equal(imgrec__folder_length("a/b/name"), 4);
  assert_int_equal(imgrec__folder_length("/name"), 1);
  assert_int_equal(imgrec__folder_length("pack:"), 0);
  assert_true(imgrec__path_absolute("/a"));
  assert_false(imgrec__path_absolute("a/b"));
  assert_false(imgrec__path_absolute(""));
#if defined(_WIN32)
  assert_int_equal(imgrec__folder_length("a\\b\\name"), 4);
  assert_int_equal(imgrec__folder_length("C:name"), 2);
  assert_true(imgrec__path_absolute("C:\\a"));
#else
  assert_int_equal(imgrec__folder_length("a\\name"), 0);
#endif
}

struct counter {
  struct lock lock;
  struct condition changed;
  int count;
};

static void count_to(struct counter *c, int parity) {
  imgrec__lock(&c->lock);
  while (c->count < 1000) {
    while (c->count % 2 != parity && c->count < 1000)
      imgrec__condition_wait(&c->changed, &c->lock);
    c->count++;
    imgrec__condition_broadcast(&c->changed);
  }
  imgrec__unlock(&c->lock);
}

static void count_odd(void *arg) { count_to(arg, 1); }

/* Two threads in turns. */
static void test_system__threads(void **state) {
  (void)state;
  struct counter c = {.count = 0};
  struct thread t;
  imgrec__lock_init(&c.lock);
  imgrec__condition_init(&c.changed);
  assert_true(imgrec__thread_start(&t, count_odd, &c));
  count_to(&c, 0);
  imgrec__thread_join(&t);
  assert_in_range(c.count, 1000, 1001);
  imgrec__condition_destroy(&c.changed);
  imgrec__lock_destroy(&c.lock);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_system__memory),
      cmocka_unit_test(test_system__processors),
      cmocka_unit_test(test_system__files),
      cmocka_unit_test(test_system__replace),
      cmocka_unit_test(test_system__reasons),
      cmocka_unit_test(test_system__list),
      cmocka_unit_test(test_system__paths),
      cmocka_unit_test(test_system__threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
