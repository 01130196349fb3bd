/* SPDX-License-Identifier: MIT */
/* Tests of lib/alloc.c: alignment, counting, the cap, hooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base.h"
#include "failing_alloc.h"

static void init(struct allocator *a, uint64_t max_bytes) {
  assert_int_equal(imgrec__allocator_init(a, NULL, NULL, NULL, max_bytes), 0);
}

static void init_hooked(struct allocator *a, struct failing *f) {
  *f = (struct failing){0};
  assert_int_equal(imgrec__allocator_init(a, failing_alloc, failing_free, f, 0),
                   0);
}

static void test_alloc__aligned_and_usable(void **state) {
  (void)state;
  const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 5 << 20};
  struct allocator a;
  init(&a, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    unsigned char *p = imgrec__alloc(&a, sizes[i]);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % IMGREC__ALIGN, 0);
    memset(p, 0xa5, sizes[i]);
    assert_true(a.used >= sizes[i]);
    imgrec__free(&a, p);
    assert_int_equal(a.used, 0);
  }
  assert_true(a.peak >= 5 << 20);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__free_of_nothing(void **state) {
  (void)state;
  struct allocator a;
  init(&a, 0);
  imgrec__free(&a, NULL);
  assert_int_equal(a.used, 0);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__zero_clears(void **state) {
  (void)state;
  struct allocator a;
  init(&a, 0);
  unsigned char *dirty = imgrec__alloc(&a, 1000);
  memset(dirty, 0xff, 1000);
  imgrec__free(&a, dirty);
  unsigned char *p = imgrec__alloc_zero(&a, 1000);
  for (size_t i = 0; i < 1000; i++)
    assert_int_equal(p[i], 0);
  imgrec__free(&a, p);
  imgrec__allocator_destroy(&a);
}

/* Blocks that come fresh from the system, a dirty one in front of each. */
static void test_alloc__zero_clears_large(void **state) {
  (void)state;
  const size_t sizes[] = {(4 << 20) - 64, (4 << 20) - 63, 4 << 20, 9000001};
  struct allocator a;
  init(&a, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    size_t n = sizes[i];
    unsigned char *p = imgrec__alloc(&a, n);
    assert_non_null(p);
    memset(p, 0xff, n);
    imgrec__free(&a, p);
    p = imgrec__alloc_zero(&a, n);
    assert_non_null(p);
    for (size_t k = 0; k < n; k++)
      if (p[k] != 0)
        fail_msg("byte %zu of %zu is not zero", k, n);
    memset(p, 0xff, n);
    p = imgrec__realloc(&a, p, n / 2);
    assert_int_equal(p[n / 2 - 1], 0xff);
    imgrec__free(&a, p);
    assert_int_equal(a.used, 0);
  }
  imgrec__allocator_destroy(&a);
}

/* A host's memory is never taken to be zero. */
static void test_alloc__zero_clears_hooked(void **state) {
  (void)state;
  struct failing f;
  struct allocator a;
  const size_t n = 5 << 20;
  init_hooked(&a, &f);
  for (int i = 0; i < 3; i++) {
    unsigned char *p = imgrec__alloc_zero(&a, n);
    assert_non_null(p);
    for (size_t k = 0; k < n; k += 511)
      assert_int_equal(p[k], 0);
    memset(p, 0xff, n);
    imgrec__free(&a, p);
  }
  assert_int_equal(f.live_blocks, 0);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__array_overflow(void **state) {
  (void)state;
  struct allocator a;
  struct error e;
  init(&a, 0);
  assert_null(imgrec__alloc_array(&a, SIZE_MAX / 4 + 2, 4));
  assert_null(imgrec__alloc_array(&a, 4, SIZE_MAX / 4 + 2));
  assert_null(imgrec__alloc(&a, SIZE_MAX));
  assert_null(imgrec__alloc(&a, PTRDIFF_MAX));
  assert_int_equal(imgrec__fail_memory(&e, &a, "x"), IMGREC_ERR_MEMORY);
  void *p = imgrec__alloc_array(&a, 3, 5);
  assert_non_null(p);
  imgrec__free(&a, p);
  p = imgrec__alloc_array(&a, 3, 0);
  assert_non_null(p);
  imgrec__free(&a, p);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__cap(void **state) {
  (void)state;
  struct allocator a;
  struct error e;
  init(&a, 10000);
  void *p = imgrec__alloc(&a, 6000);
  assert_non_null(p);
  assert_null(imgrec__alloc(&a, 6000));
  assert_int_equal(imgrec__fail_memory(&e, &a, "the image"), IMGREC_ERR_LIMIT);
  assert_non_null(strstr(e.text, "the image would take"));
  assert_non_null(strstr(e.text, "10000"));
  assert_null(imgrec__alloc(&a, SIZE_MAX));
  assert_int_equal(imgrec__fail_memory(&e, &a, "x"), IMGREC_ERR_LIMIT);
  imgrec__free(&a, p);
  p = imgrec__alloc(&a, 9000);
  assert_non_null(p);
  imgrec__free(&a, p);
  assert_true(a.peak <= 10000);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__hook_fails(void **state) {
  (void)state;
  struct failing f;
  struct allocator a;
  struct error e;
  init_hooked(&a, &f);
  f.fail_at = 1;
  assert_null(imgrec__alloc_zero(&a, 10));
  assert_int_equal(imgrec__fail_memory(&e, &a, "a list"), IMGREC_ERR_MEMORY);
  assert_string_equal(e.text, "out of memory for a list");
  assert_int_equal(a.used, 0);
  imgrec__allocator_destroy(&a);
}

/* A hook that gives less alignment than it was asked for. */
static char shifted[4096];
static int shifted_live;

static void *alloc_shifted(void *user, size_t size, size_t align) {
  (void)user;
  uintptr_t start = ((uintptr_t)shifted + align - 1) / align * align;
  shifted_live++;
  return size < sizeof shifted / 2 ? (char *)start + align / 2 : NULL;
}

static void free_shifted(void *user, void *p, size_t size) {
  (void)user;
  (void)p;
  (void)size;
  shifted_live--;
}

static void test_alloc__hook_misaligned(void **state) {
  struct allocator a;
  (void)state;
  assert_int_equal(
      imgrec__allocator_init(&a, alloc_shifted, free_shifted, NULL, 0), 0);
  assert_null(imgrec__alloc(&a, 100));
  assert_int_equal(shifted_live, 0);
  assert_int_equal(a.used, 0);
  imgrec__allocator_destroy(&a);
}

/* The hook gets back the sizes that it gave. */
static void test_alloc__hook_is_told_sizes(void **state) {
  (void)state;
  struct failing f;
  struct allocator a;
  void *p[10];
  init_hooked(&a, &f);
  for (size_t i = 0; i < 10; i++)
    p[i] = imgrec__alloc(&a, i * 777);
  assert_int_equal(f.live_blocks, 10);
  assert_int_equal(f.live_bytes, a.used);
  for (size_t i = 0; i < 10; i++)
    imgrec__free(&a, p[i]);
  assert_int_equal(f.live_blocks, 0);
  assert_int_equal(f.live_bytes, 0);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__hooks_come_in_pairs(void **state) {
  (void)state;
  struct allocator a;
  assert_int_equal(imgrec__allocator_init(&a, failing_alloc, NULL, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec__allocator_init(&a, NULL, failing_free, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
}

static void test_alloc__realloc(void **state) {
  (void)state;
  struct failing f;
  struct allocator a;
  init_hooked(&a, &f);
  char *p = imgrec__realloc(&a, NULL, 4);
  memcpy(p, "abc", 4);
  p = imgrec__realloc(&a, p, 4000);
  assert_string_equal(p, "abc");
  f.fail_at = f.calls + 1;
  assert_null(imgrec__realloc(&a, p, 8000));
  assert_string_equal(p, "abc");
  p = imgrec__realloc(&a, p, 2);
  assert_memory_equal(p, "ab", 2);
  assert_int_equal(f.live_blocks, 1);
  imgrec__free(&a, p);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__strings(void **state) {
  (void)state;
  struct allocator a;
  init(&a, 0);
  char *p = imgrec__strdup(&a, "label"), *q = imgrec__strndup(&a, "label", 3);
  assert_string_equal(p, "label");
  assert_string_equal(q, "lab");
  assert_null(imgrec__strndup(&a, "", SIZE_MAX));
  imgrec__free(&a, p);
  imgrec__free(&a, q);
  imgrec__allocator_destroy(&a);
}

static void test_alloc__move(void **state) {
  (void)state;
  struct failing f;
  struct allocator a, b;
  init_hooked(&a, &f);
  void *p = imgrec__alloc(&a, 100);
  uint64_t used = a.used;
  imgrec__allocator_move(&b, &a);
  assert_int_equal(b.used, used);
  imgrec__free(&b, p);
  assert_int_equal(b.used, 0);
  assert_int_equal(f.live_blocks, 0);
  imgrec__allocator_destroy(&b);
}

/* Hook calls never overlap: the counts of the hook above have no lock. */
static void *churn(void *arg) {
  struct allocator *a = arg;
  for (size_t i = 0; i < 2000; i++)
    imgrec__free(a, imgrec__alloc(a, i));
  return NULL;
}

static void test_alloc__from_threads(void **state) {
  (void)state;
  struct failing f;
  struct allocator a;
  pthread_t threads[3];
  init_hooked(&a, &f);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, churn, &a), 0);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(f.calls, 6000);
  assert_int_equal(f.live_blocks, 0);
  assert_int_equal(a.used, 0);
  imgrec__allocator_destroy(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc__aligned_and_usable),
      cmocka_unit_test(test_alloc__free_of_nothing),
      cmocka_unit_test(test_alloc__zero_clears),
      cmocka_unit_test(test_alloc__zero_clears_large),
      cmocka_unit_test(test_alloc__zero_clears_hooked),
      cmocka_unit_test(test_alloc__array_overflow),
      cmocka_unit_test(test_alloc__cap),
      cmocka_unit_test(test_alloc__hook_fails),
      cmocka_unit_test(test_alloc__hook_misaligned),
      cmocka_unit_test(test_alloc__hook_is_told_sizes),
      cmocka_unit_test(test_alloc__hooks_come_in_pairs),
      cmocka_unit_test(test_alloc__realloc),
      cmocka_unit_test(test_alloc__strings),
      cmocka_unit_test(test_alloc__move),
      cmocka_unit_test(test_alloc__from_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
