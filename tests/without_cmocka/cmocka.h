/* SPDX-License-Identifier: MIT */
/* What tests use of CMocka (cmocka.org), for machines that it is not installed
 * for: groups and assertions, no mocks.  Found in its place by -I, and included
 * as it is, behind setjmp.h, stdarg.h, stddef.h and stdint.h. */
#ifndef CMOCKA_H_
#define CMOCKA_H_

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
  const char *name;
  CMUnitTestFunction test_func;
  CMFixtureFunction setup_func;
  CMFixtureFunction teardown_func;
  void *initial_state;
};

#define cmocka_unit_test(f)                                                    \
  { #f, f, NULL, NULL, NULL }
#define cmocka_unit_test_setup(f, up)                                          \
  { #f, f, up, NULL, NULL }
#define cmocka_unit_test_setup_teardown(f, up, down)                           \
  { #f, f, up, down, NULL }
#define cmocka_run_group_tests(tests, up, down)                                \
  cmocka_run_group_tests_name(#tests, tests, up, down)
#define cmocka_run_group_tests_name(name, tests, up, down)                     \
  cmocka_run(name, tests, sizeof(tests) / sizeof((tests)[0]), up, down)

/* ---- Running ------------------------------------------------------------- */

/* How a test ends that does not reach its end. */
enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

static jmp_buf cmocka_end;

static inline int cmocka_fixture(CMFixtureFunction f, void **state) {
  if (f == NULL)
    return 0;
  if (setjmp(cmocka_end) == 0 && f(state) == 0)
    return 0;
  return CMOCKA_FAILED;
}

static inline int cmocka_body(const struct CMUnitTest *t, void **state) {
  switch (setjmp(cmocka_end)) {
  case 0:
    t->test_func(state);
    return 0;
  case CMOCKA_SKIPPED:
    return CMOCKA_SKIPPED;
  default:
    return CMOCKA_FAILED;
  }
}

/* The teardown runs after a failure too. */
static inline int cmocka_run_one(const struct CMUnitTest *t, void *state) {
  int status = cmocka_fixture(t->setup_func, &state);
  if (status == 0) {
    status = cmocka_body(t, &state);
    int left = cmocka_fixture(t->teardown_func, &state);
    status = left != 0 ? left : status;
  }
  if (status != 0)
    fprintf(stderr, "[ %s ] %s\n",
            status == CMOCKA_SKIPPED ? "SKIPPED " : " FAILED ", t->name);
  return status;
}

/* Returns the number of tests that failed. */
static inline int cmocka_run(const char *group, const struct CMUnitTest *tests,
                             size_t count, CMFixtureFunction up,
                             CMFixtureFunction down) {
  void *state = NULL;
  int failed = 0, skipped = 0;
  if (cmocka_fixture(up, &state) != 0) {
    fprintf(stderr, "[  FAILED  ] %s: its setup\n", group);
    return (int)count;
  }
  for (size_t i = 0; i < count; i++) {
    void *own = tests[i].initial_state;
    int status = cmocka_run_one(&tests[i], own ? own : state);
    failed += status == CMOCKA_FAILED;
    skipped += status == CMOCKA_SKIPPED;
  }
  if (cmocka_fixture(down, &state) != 0) {
    fprintf(stderr, "[  FAILED  ] %s: its teardown\n", group);
    failed++;
  }
  fprintf(stderr, "%s: %d of %d passed, %d skipped, %d failed\n", group,
          (int)count - failed - skipped, (int)count, skipped, failed);
  return failed;
}

/* ---- Assertions ---------------------------------------------------------- */

#define print_message    printf
#define print_error(...) fprintf(stderr, __VA_ARGS__)

#define skip() longjmp(cmocka_end, CMOCKA_SKIPPED)
#define fail() fail_msg("%s", "fail()")
#define fail_msg(...)                                                          \
  (fprintf(stderr, "%s:%d: ", __FILE__, __LINE__),                             \
   fprintf(stderr, __VA_ARGS__), fputc('\n', stderr),                          \
   longjmp(cmocka_end, CMOCKA_FAILED))

/* `what` is the assertion's text. */
static inline void cmocka_assert(int holds, const char *what, const char *file,
                                 int line) {
  if (holds)
    return;
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  longjmp(cmocka_end, CMOCKA_FAILED);
}

static inline void cmocka_assert_int(int equal, intmax_t a, intmax_t b,
                                     const char *what, const char *file,
                                     int line) {
  int holds = (a == b) == equal;
  if (!holds)
    fprintf(stderr, "%s:%d: %" PRIdMAX " and %" PRIdMAX "\n", file, line, a, b);
  cmocka_assert(holds, what, file, line);
}

static inline void cmocka_assert_string(int equal, const char *a, const char *b,
                                        const char *what, const char *file,
                                        int line) {
  int holds = (strcmp(a, b) == 0) == equal;
  if (!holds)
    fprintf(stderr, "%s:%d: \"%s\" and \"%s\"\n", file, line, a, b);
  cmocka_assert(holds, what, file, line);
}

static inline void cmocka_assert_bytes(int equal, const void *a, const void *b,
                                       size_t n, const char *what,
                                       const char *file, int line) {
  cmocka_assert((memcmp(a, b, n) == 0) == equal, what, file, line);
}

static inline void cmocka_assert_range(uintmax_t x, uintmax_t least,
                                       uintmax_t most, const char *what,
                                       const char *file, int line) {
  int holds = x >= least && x <= most;
  if (!holds)
    fprintf(stderr, "%s:%d: %" PRIuMAX "\n", file, line, x);
  cmocka_assert(holds, what, file, line);
}

static inline void cmocka_assert_near(double a, double b, double bound,
                                      const char *what, const char *file,
                                      int line) {
  if (!(fabs(a - b) <= bound))
    fprintf(stderr, "%s:%d: %.9g and %.9g\n", file, line, a, b);
  cmocka_assert(fabs(a - b) <= bound, what, file, line);
}

#define assert_true(c) cmocka_assert((c) ? 1 : 0, #c, __FILE__, __LINE__)
#define assert_false(c)                                                        \
  cmocka_assert((c) ? 0 : 1, "!(" #c ")", __FILE__, __LINE__)
#define assert_null(p)                                                         \
  cmocka_assert((p) == NULL, #p " == NULL", __FILE__, __LINE__)
#define assert_non_null(p)                                                     \
  cmocka_assert((p) != NULL, #p " != NULL", __FILE__, __LINE__)
#define assert_ptr_equal(a, b)                                                 \
  cmocka_assert((const void *)(a) == (const void *)(b), #a " == " #b,          \
                __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b)                                             \
  cmocka_assert((const void *)(a) != (const void *)(b), #a " != " #b,          \
                __FILE__, __LINE__)
#define assert_int_equal(a, b)                                                 \
  cmocka_assert_int(1, (intmax_t)(a), (intmax_t)(b), #a " == " #b, __FILE__,   \
                    __LINE__)
#define assert_int_not_equal(a, b)                                             \
  cmocka_assert_int(0, (intmax_t)(a), (intmax_t)(b), #a " != " #b, __FILE__,   \
                    __LINE__)
#define assert_in_range(x, least, most)                                        \
  cmocka_assert_range((uintmax_t)(x), (uintmax_t)(least), (uintmax_t)(most),   \
                      #x " in " #least " to " #most, __FILE__, __LINE__)
#define assert_string_equal(a, b)                                              \
  cmocka_assert_string(1, a, b, #a " is " #b, __FILE__, __LINE__)
#define assert_string_not_equal(a, b)                                          \
  cmocka_assert_string(0, a, b, #a " is not " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n)                                           \
  cmocka_assert_bytes(1, a, b, n, #a " is " #b, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, n)                                       \
  cmocka_assert_bytes(0, a, b, n, #a " is not " #b, __FILE__, __LINE__)
#define assert_float_equal(a, b, bound)                                        \
  cmocka_assert_near(a, b, bound, #a " is near " #b, __FILE__, __LINE__)

#endif
