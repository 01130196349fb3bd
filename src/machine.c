/* SPDX-License-Identifier: MIT */
/* Measures the peak of multiply-adds and of reading memory, all threads at
 * once.  Compiled with -ffp-contract=fast, so that a product and a sum become
 * one instruction. */
#include "machine.h"
#include "os.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 256

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Threads that begin together ---------------------------------------- */

struct member;
typedef void (*work_fn)(struct member *m);

struct member {
  work_fn work;
  atomic_int *go;
  pthread_t thread;
  double begin, end;
  unsigned char *bytes; /* its part of the memory */
  size_t size;
  float keep[64]; /* results, so that the work is not left out */
};

static void *run_member(void *arg) {
  struct member *m = arg;
  while (!atomic_load(m->go))
    sched_yield();
  m->begin = seconds_now();
  m->work(m);
  m->end = seconds_now();
  return NULL;
}

/* Starts members 1 to *count - 1 (fewer where threads run out, which *count
 * then says) and is number 0 itself.  Returns the seconds from the first
 * beginning to the last end. */
static double run_together(struct member *members, int *count, work_fn work) {
  atomic_int go = 0;
  int started = 0;
  for (; started < *count; started++) {
    struct member *m = &members[started];
    m->work = work;
    m->go = &go;
    if (started > 0 && pthread_create(&m->thread, NULL, run_member, m) != 0)
      break;
  }
  *count = started;
  atomic_store(&go, 1);
  run_member(&members[0]);
  double begin = members[0].begin, end = members[0].end;
  for (int i = 1; i < started; i++) {
    pthread_join(members[i].thread, NULL);
    begin = members[i].begin < begin ? members[i].begin : begin;
    end = members[i].end > end ? members[i].end : end;
  }
  return end - begin;
}

/* The shortest of as many as fit into a moment, but a few at least. */
static double best_of_many(struct member *members, int *count, work_fn work) {
  double begin = seconds_now(), best = 0;
  for (int i = 0; i < 5 || seconds_now() - begin < 0.1; i++) {
    double t = run_together(members, count, work);
    best = i == 0 || t < best ? t : best;
  }
  return best;
}

/* ---- Multiply-adds ------------------------------------------------------ */

/* acc = acc a + b in more independent chains than the latency of one takes, by
 * vectors of each width.  The chains begin apart and not at 1, their limit:
 * else compilers see through them. */
enum { CHAINS = 12, ROUNDS = 1 << 19 };

typedef float v4 __attribute__((vector_size(16)));

static void burst_plain(struct member *m) {
  v4 acc[CHAINS], a = (v4){0} + 0.75F, b = 1 - a;
  for (int k = 0; k < CHAINS; k++)
    acc[k] = b * (float)k + 2;
  for (int i = 0; i < ROUNDS; i++) {
    UNROLL
    for (int k = 0; k < CHAINS; k++)
      acc[k] = acc[k] * a + b;
  }
  for (int k = 1; k < CHAINS; k++)
    acc[0] += acc[k];
  memcpy(m->keep, &acc[0], sizeof acc[0]);
}

#if defined(__x86_64__)
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));

__attribute__((target("avx2,fma"))) static void burst_avx2(struct member *m) {
  v8 acc[CHAINS], a = (v8){0} + 0.75F, b = 1 - a;
  for (int k = 0; k < CHAINS; k++)
    acc[k] = b * (float)k + 2;
  for (int i = 0; i < ROUNDS; i++) {
    UNROLL
    for (int k = 0; k < CHAINS; k++)
      acc[k] = acc[k] * a + b;
  }
  for (int k = 1; k < CHAINS; k++)
    acc[0] += acc[k];
  memcpy(m->keep, &acc[0], sizeof acc[0]);
}

__attribute__((target("avx512f"))) static void burst_avx512(struct member *m) {
  v16 acc[CHAINS], a = (v16){0} + 0.75F, b = 1 - a;
  for (int k = 0; k < CHAINS; k++)
    acc[k] = b * (float)k + 2;
  for (int i = 0; i < ROUNDS; i++) {
    UNROLL
    for (int k = 0; k < CHAINS; k++)
      acc[k] = acc[k] * a + b;
  }
  for (int k = 1; k < CHAINS; k++)
    acc[0] += acc[k];
  memcpy(m->keep, &acc[0], sizeof acc[0]);
}
#endif

/* 1e9 operations a second of these bursts. */
static double burst_rate(struct member *members, int *count, work_fn burst,
                         int lanes) {
  double seconds = best_of_many(members, count, burst);
  return 2e-9 * CHAINS * ROUNDS * lanes * *count / seconds;
}

/* The widest vectors are not the fastest everywhere. */
static double measure_flops(struct member *members, int *count) {
  double best = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f"))
    best = burst_rate(members, count, burst_avx512, 16);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    double rate = burst_rate(members, count, burst_avx2, 8);
    best = rate > best ? rate : best;
  }
#endif
  return best > 0 ? best : burst_rate(members, count, burst_plain, 4);
}

/* ---- Memory ------------------------------------------------------------- */

enum { LINES = 8 };

typedef uint64_t v2u __attribute__((vector_size(16)));

static void fill(struct member *m) { memset(m->bytes, 1, m->size); }

static void read_all(struct member *m) {
  v2u sum[LINES] = {{0}};
  for (size_t at = 0; at < m->size; at += LINES * sizeof(v2u)) {
    const v2u *from = (const v2u *)(const void *)(m->bytes + at);
    UNROLL
    for (int k = 0; k < LINES; k++)
      sum[k] += from[k];
  }
  for (int k = 1; k < LINES; k++)
    sum[0] += sum[k];
  memcpy(m->keep, &sum[0], sizeof sum[0]);
}

/* Eight times the last cache, but 128 to 512 MiB, and no more than a quarter of
 * all memory. */
static size_t bytes_to_read(void) {
  const uint64_t mega = (uint64_t)1 << 20;
  uint64_t size = 256 * mega, cache = os_last_cache(), memory = os_memory();
  if (cache > 0)
    size = 8 * cache;
  if (size < 128 * mega)
    size = 128 * mega;
  if (size > 512 * mega)
    size = 512 * mega;
  if (memory > 0 && size > memory / 4)
    size = memory / 4;
  return (size_t)size;
}

static double measure_reading(struct member *members, int *count) {
  const size_t huge = (size_t)2 << 20;
  size_t part = bytes_to_read() / (size_t)*count / huge * huge;
  part = part > 0 ? part : huge;
  size_t size = part * (size_t)*count;
  unsigned char *bytes = os_map(size);
  if (bytes == NULL)
    return 0;
  for (int i = 0; i < *count; i++) {
    members[i].bytes = bytes + (size_t)i * part;
    members[i].size = part;
  }
  run_together(members, count, fill);
  double seconds = best_of_many(members, count, read_all);
  os_unmap(bytes, size);
  return 1e-9 * (double)part * *count / seconds;
}

/* More threads than processors would wait for one another. */
static int threads_to_start(int wanted) {
  int most = os_processors();
  if (most > MAX_THREADS)
    most = MAX_THREADS;
  return wanted < 1 ? 1 : wanted > most ? most : wanted;
}

void measure_machine(struct machine *out, int threads) {
  int count = threads_to_start(threads);
  struct member *members = calloc((size_t)count, sizeof *members);
  memset(out, 0, sizeof *out);
  if (members == NULL)
    return;
  out->gflops = measure_flops(members, &count);
  out->gigabytes = measure_reading(members, &count);
  out->threads = count;
  free(members);
}
