/* SPDX-License-Identifier: MIT */
/* Tests of lib/thread.c: each task once, by whom, and quiet in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <time.h>

#include "base.h"
#include "failing_alloc.h"

#define MAX_TASKS 1000

/* What the tasks of one region did. */
struct record {
  atomic_int runs[MAX_TASKS];
  atomic_int busy[16]; /* by worker: is a task of it running? */
  atomic_int overlaps, out_of_range, workers;
  int threads;
};

static void record_task(void *arg, int i, int worker) {
  struct record *r = arg;
  if (worker < 0 || worker >= r->threads || i < 0 || i >= MAX_TASKS) {
    atomic_fetch_add(&r->out_of_range, 1);
    return;
  }
  if (atomic_exchange(&r->busy[worker], 1) != 0)
    atomic_fetch_add(&r->overlaps, 1);
  atomic_fetch_or(&r->workers, 1 << worker);
  atomic_fetch_add(&r->runs[i], 1);
  atomic_store(&r->busy[worker], 0);
}

static void check_region(struct pool *p, size_t count) {
  static struct record r;
  r.threads = imgrec__pool_threads(p);
  for (size_t i = 0; i < MAX_TASKS; i++)
    atomic_store(&r.runs[i], 0);
  imgrec__parallel_for(p, count, record_task, &r);
  for (size_t i = 0; i < MAX_TASKS; i++)
    assert_int_equal(atomic_load(&r.runs[i]), i < count);
  assert_int_equal(atomic_load(&r.overlaps), 0);
  assert_int_equal(atomic_load(&r.out_of_range), 0);
}

static struct pool *new_pool(struct allocator *a, int threads) {
  struct pool *p = NULL;
  assert_int_equal(imgrec__allocator_init(a, NULL, NULL, NULL, 0), 0);
  assert_int_equal(imgrec__pool_create(&p, a, threads, NULL, NULL), 0);
  assert_int_equal(imgrec__pool_threads(p), threads);
  return p;
}

static void free_pool(struct pool *p, struct allocator *a) {
  imgrec__pool_destroy(p);
  assert_int_equal(a->used, 0);
  imgrec__allocator_destroy(a);
}

static void test_thread__each_task_once(void **state) {
  (void)state;
  const size_t counts[] = {0, 1, 2, 3, 7, 64, MAX_TASKS};
  for (int threads = 1; threads <= 7; threads++) {
    struct allocator a;
    struct pool *p = new_pool(&a, threads);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
      check_region(p, counts[i]);
    free_pool(p, &a);
  }
}

struct sum {
  int64_t parts[64];
  int region;
};

static void add_part(void *arg, int i, int worker) {
  struct sum *s = arg;
  (void)worker;
  s->parts[i] += (int64_t)s->region * i;
}

/* Plain memory is handed from region to region without a lock of the tasks'
 * own: a late worker of the last region would be a data race. */
static void test_thread__many_regions(void **state) {
  (void)state;
  struct allocator a;
  struct pool *p = new_pool(&a, 4);
  struct sum s = {{0}, 0};
  const int regions = 5000;
  for (s.region = 1; s.region <= regions; s.region++)
    imgrec__parallel_for(p, 1 + (size_t)s.region % 64, add_part, &s);
  free_pool(p, &a);
  for (int i = 0; i < 64; i++) {
    int64_t expected = 0;
    for (int region = 1; region <= regions; region++)
      expected += region % 64 >= i ? (int64_t)region * i : 0;
    assert_int_equal(s.parts[i], expected);
  }
}

static void nap(long milliseconds) {
  struct timespec t = {0, milliseconds * 1000000};
  nanosleep(&t, NULL);
}

static void slow_task(void *arg, int i, int worker) {
  (void)i;
  atomic_fetch_or((atomic_int *)arg, 1 << worker);
  nap(2);
}

static void test_thread__workers_share(void **state) {
  (void)state;
  struct allocator a;
  struct pool *p = new_pool(&a, 3);
  atomic_int workers = 0;
  imgrec__parallel_for(p, 60, slow_task, &workers);
  assert_int_equal(atomic_load(&workers), 7);
  nap(5); /* now they sleep, and are woken */
  atomic_store(&workers, 0);
  imgrec__parallel_for(p, 60, slow_task, &workers);
  assert_int_equal(atomic_load(&workers), 7);
  free_pool(p, &a);
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_thread__workers_sleep_between_calls(void **state) {
  (void)state;
  struct allocator a;
  struct pool *p = new_pool(&a, 4);
  check_region(p, 100);
  nap(20);
  double before = cpu_seconds();
  nap(200);
  assert_true(cpu_seconds() - before < 0.05);
  free_pool(p, &a);
}

static void test_thread__destroyed_at_once(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    struct allocator a;
    free_pool(new_pool(&a, 5), &a);
  }
  imgrec__pool_destroy(NULL);
}

/* The child has none of the workers, which slept. */
static void test_thread__destroyed_in_a_child(void **state) {
  (void)state;
#if defined(_WIN32)
  skip();
#else
  struct allocator a;
  struct pool *p = new_pool(&a, 3);
  int status = -1;
  check_region(p, 100);
  nap(20);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(20);
    imgrec__pool_destroy(p);
    _exit(a.used != 0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  check_region(p, 100);
  free_pool(p, &a);
#endif
}

static void round_task(void *arg, int i, int worker) {
  volatile float one = 1, little = 0x1p-30f;
  (void)worker;
  ((float *)arg)[i] = one + little;
}

/* Workers round to nearest as the calling thread does, whatever its mode. */
static void test_thread__tasks_round_to_nearest(void **state) {
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    static float sums[100];
    struct allocator a;
    fesetround(FE_UPWARD);
    struct pool *p = new_pool(&a, threads);
    imgrec__parallel_for(p, 100, round_task, sums);
    int mode = fegetround();
    fesetround(FE_TONEAREST);
    free_pool(p, &a);
    assert_int_equal(mode, FE_UPWARD);
    for (int i = 0; i < 100; i++)
      assert_true(sums[i] == 1.0f);
  }
}

#if !defined(_WIN32) /* which sends no signals to threads */
static void signal_task(void *arg, int i, int worker) {
  sigset_t blocked;
  (void)i;
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  if (sigismember(&blocked, SIGINT) != (worker != 0))
    atomic_fetch_add((atomic_int *)arg, 1);
  nap(1);
}

#endif

static void test_thread__signals_are_the_hosts(void **state) {
  (void)state;
#if defined(_WIN32)
  skip();
#else
  struct allocator a;
  struct pool *p = new_pool(&a, 3);
  atomic_int wrong = 0;
  imgrec__parallel_for(p, 60, signal_task, &wrong);
  free_pool(p, &a);
  assert_int_equal(atomic_load(&wrong), 0);
#endif
}

struct host {
  int calls, status, backwards;
};

static int host_parallel(void *user, imgrec_task_fn task, void *arg,
                         int count) {
  struct host *h = user;
  h->calls++;
  if (h->status != 0 && !h->backwards)
    return h->status;
  for (int i = 0; i < count; i++)
    task(arg, h->backwards ? count - 1 - i : i, i % 3);
  return h->status;
}

static void test_thread__hook(void **state) {
  (void)state;
  struct host h = {0};
  struct allocator a;
  struct pool *p = NULL;
  assert_int_equal(imgrec__allocator_init(&a, NULL, NULL, NULL, 0), 0);
  assert_int_equal(imgrec__pool_create(&p, &a, 3, host_parallel, &h), 0);
  check_region(p, 100);
  assert_int_equal(h.calls, 1);
  h.backwards = 1;
  check_region(p, 100);
  h.status = -1; /* complains, but has run all: nothing runs again */
  check_region(p, 100);
  h.backwards = 0; /* runs nothing: made up for */
  check_region(p, 100);
  assert_int_equal(h.calls, 4);
  check_region(p, 1); /* not worth a call */
  assert_int_equal(h.calls, 4);
  free_pool(p, &a);
}

static void test_thread__hook_tasks_round_to_nearest(void **state) {
  (void)state;
  static float sums[10];
  struct host h = {0};
  struct allocator a;
  struct pool *p = NULL;
  assert_int_equal(imgrec__allocator_init(&a, NULL, NULL, NULL, 0), 0);
  assert_int_equal(imgrec__pool_create(&p, &a, 3, host_parallel, &h), 0);
  fesetround(FE_UPWARD);
  imgrec__parallel_for(p, 10, round_task, sums);
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  free_pool(p, &a);
  assert_int_equal(mode, FE_UPWARD);
  for (int i = 0; i < 10; i++)
    assert_true(sums[i] == 1.0f);
}

static void test_thread__out_of_memory(void **state) {
  (void)state;
  for (long n = 1; n <= 4; n++) {
    struct failing f = {.fail_at = n};
    struct allocator a;
    struct pool *p = NULL;
    imgrec__allocator_init(&a, failing_alloc, failing_free, &f, 0);
    int status = imgrec__pool_create(&p, &a, 2, NULL, NULL);
    assert_int_equal(status, n <= 3 ? IMGREC_ERR_MEMORY : IMGREC_OK);
    assert_int_equal(p == NULL, n <= 3);
    imgrec__pool_destroy(p);
    assert_int_equal(f.live_blocks, 0);
    imgrec__allocator_destroy(&a);
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* No room for more stacks: the threads that there are do the work. */
static void test_thread__system_refuses_threads(void **state) {
  (void)state;
#ifdef SANITIZED
  skip();
#else
  struct rlimit old, low;
  struct allocator a;
  assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
  assert_int_equal(imgrec__allocator_init(&a, NULL, NULL, NULL, 0), 0);
  low = old;
  low.rlim_cur = 40 << 20;
  struct pool *p = NULL;
  assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
  int status = imgrec__pool_create(&p, &a, 16, NULL, NULL);
  setrlimit(RLIMIT_AS, &old);
  assert_int_equal(status, 0);
  check_region(p, 100);
  free_pool(p, &a);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_thread__each_task_once),
      cmocka_unit_test(test_thread__many_regions),
      cmocka_unit_test(test_thread__workers_share),
      cmocka_unit_test(test_thread__workers_sleep_between_calls),
      cmocka_unit_test(test_thread__destroyed_at_once),
      cmocka_unit_test(test_thread__destroyed_in_a_child),
      cmocka_unit_test(test_thread__tasks_round_to_nearest),
      cmocka_unit_test(test_thread__signals_are_the_hosts),
      cmocka_unit_test(test_thread__hook),
      cmocka_unit_test(test_thread__hook_tasks_round_to_nearest),
      cmocka_unit_test(test_thread__out_of_memory),
      cmocka_unit_test(test_thread__system_refuses_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
