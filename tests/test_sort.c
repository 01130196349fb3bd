/* SPDX-License-Identifier: MIT */
/* Tests of lib/sort.c: against qsort(), in sizes and patterns that heaps have
 * edges at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base.h"

enum { MOST = 300 };

static int by_int(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

/* Number i of n, in one of several patterns. */
static int pattern(int kind, int i, int n) {
  switch (kind) {
  case 0:
    return i;
  case 1:
    return n - i;
  case 2:
    return 7;
  case 3:
    return i % 3;
  default:
    return (int)imgrec__random_below(1, (uint64_t)kind, (uint64_t)i, 100);
  }
}

static void test_sort__as_qsort(void **state) {
  (void)state;
  for (int kind = 0; kind < 8; kind++)
    for (int n = 0; n <= MOST; n += n < 20 ? 1 : 31) {
      int ours[MOST], theirs[MOST];
      for (int i = 0; i < n; i++)
        ours[i] = theirs[i] = pattern(kind, i, n);
      imgrec__sort(ours, (size_t)n, sizeof *ours, by_int);
      qsort(theirs, (size_t)n, sizeof *theirs, by_int);
      assert_memory_equal(ours, theirs, (size_t)n * sizeof *ours);
    }
}

static void test_sort__of_nothing(void **state) {
  (void)state;
  imgrec__sort(NULL, 0, sizeof(int), by_int);
}

/* Larger than what is moved at once, and no multiple of it. */
struct large {
  int key;
  unsigned char rest[151];
};

static void test_sort__large_elements_whole(void **state) {
  (void)state;
  static struct large v[100];
  for (int i = 0; i < 100; i++) {
    v[i].key = pattern(4, i, 100);
    memset(v[i].rest, v[i].key, sizeof v[i].rest);
  }
  imgrec__sort(v, 100, sizeof *v, by_int);
  for (int i = 0; i < 100; i++) {
    assert_true(i == 0 || v[i - 1].key <= v[i].key);
    for (size_t k = 0; k < sizeof v[i].rest; k++)
      assert_int_equal(v[i].rest[k], v[i].key);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sort__as_qsort),
      cmocka_unit_test(test_sort__of_nothing),
      cmocka_unit_test(test_sort__large_elements_whole),
  };
  return cmocka_run_group_tests_name("sort", tests, NULL, NULL);
}
