/* SPDX-License-Identifier: MIT */
/* Calls of kernels on every table that this CPU has, compared bit for bit with
 * the scalar one.  Inputs lie in blocks of just their size, for the
 * sanitizers' sake; behind outputs stands a canary. */
#ifndef KERNEL_CALLS_H
#define KERNEL_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isas.h"
#include "kernels/kernels.h"

#define GUARD  32
#define CANARY 0x5ca1ab1eu

/* ---- Numbers and blocks ------------------------------------------------- */

/* Of the test file that includes this. */
static uint64_t seed;

static inline uint32_t next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

static inline size_t below(size_t n) { return next_random() % n; }

static inline float of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

enum values { PLAIN, WIDE, SPECIAL, VALUES };

static inline float special(void) {
  static const float some[] = {0.0f,   -0.0f,    INFINITY, -INFINITY, NAN,
                               1e-45f, -1e-40f,  FLT_MIN,  FLT_MAX,   -FLT_MAX,
                               88.8f,  -87.34f,  6.0f,     -3.0f,     3.0f,
                               1.0f,   -87.336f, 0.625f,   -0.0f,     0.0f};
  return some[below(sizeof some / sizeof *some)];
}

/* PLAIN: in [-4, 4), in steps that make sums round; WIDE: any finite float;
 * SPECIAL: some of them special. */
static inline float value(enum values v) {
  uint32_t r = next_random();
  if (v == SPECIAL && r % 3 == 0)
    return special();
  if (v == WIDE)
    return of_bits((r >> 23 & 255) == 255 ? r & 0x807fffffu : r);
  return (float)((double)r / 536870912.0 - 4.0);
}

static inline float *numbers(size_t n, enum values v) {
  float *p = malloc(n * sizeof *p);
  for (size_t i = 0; i < n; i++)
    p[i] = value(v);
  return p;
}

static inline uint32_t *guarded(size_t words) {
  uint32_t *p = malloc((words + GUARD) * sizeof *p);
  for (size_t i = 0; i < words + GUARD; i++)
    p[i] = CANARY;
  return p;
}

static inline int is_nan_word(uint32_t w) {
  return (w & 0x7fffffffu) > 0x7f800000u;
}

static inline int same_word(uint32_t a, uint32_t b) {
  return a == b || (is_nan_word(a) && is_nan_word(b));
}

/* ---- One call on every table -------------------------------------------- */

/* What a call is made of.  `out` begins as a copy of `start`, where there is
 * one, as updates need it. */
struct call {
  const char *name;
  size_t n, rows, c, words;
  const float *in[5];
  const float *start;
  int which;
  size_t c0, c1, oy;
  const struct window *window;
};

typedef void (*call_fn)(const struct kernels *k, const struct call *c,
                        float *out);

static inline uint32_t *made_by(const struct kernels *k, const struct call *c,
                                call_fn run) {
  uint32_t *out = guarded(c->words);
  if (c->start != NULL)
    memcpy(out, c->start, c->words * sizeof *out);
  run(k, c, (float *)out);
  for (size_t i = 0; i < GUARD; i++)
    if (out[c->words + i] != CANARY)
      fail_msg("%s of %s writes %zu words too far", c->name, k->name, i + 1);
  return out;
}

static inline void assert_same(const struct call *c, const char *isa,
                               const uint32_t *want, const uint32_t *got) {
  for (size_t i = 0; i < c->words; i++)
    if (!same_word(want[i], got[i]))
      fail_msg("%s of %s: word %zu of %zu is %08x, not %08x (n %zu, rows %zu, "
               "c %zu)",
               c->name, isa, i, c->words, (unsigned)got[i], (unsigned)want[i],
               c->n, c->rows, c->c);
}

static inline const struct kernels *table(int isa) {
  return imgrec__kernels_for(isa);
}

/* Returns what the scalar table made. */
static inline float *on_all_tables(const struct call *c, call_fn run) {
  uint32_t *want = made_by(table(IMGREC_ISA_SCALAR), c, run);
  for (int isa = next_isa(IMGREC_ISA_SCALAR); isa; isa = next_isa(isa)) {
    uint32_t *got = made_by(table(isa), c, run);
    assert_same(c, table(isa)->name, want, got);
    free(got);
  }
  return (float *)want;
}

/* ---- What follows a convolution ------------------------------------------ */

/* What an epilogue makes of x, by the definition. */
static inline float finished(const struct epilogue *e, float x, size_t c) {
  if (e->scale)
    x = fmaf(x, e->scale[c], e->shift[c]);
  else if (e->shift)
    x = x + e->shift[c];
  if (e->relu || e->relu6)
    x = x > 0.0f ? x : 0.0f;
  return e->relu6 && !(x < 6.0f) ? 6.0f : x;
}

static inline struct epilogue some_epilogue(size_t c, enum values v) {
  struct epilogue e = {NULL, NULL, 0, 0};
  int scaled = (int)below(3), kind = (int)below(3);
  if (scaled > 0)
    e.shift = numbers(c, v);
  if (scaled > 1)
    e.scale = numbers(c, v);
  e.relu = kind == 1;
  e.relu6 = kind == 2;
  return e;
}

static inline void free_epilogue(const struct epilogue *e) {
  free((void *)(uintptr_t)e->scale);
  free((void *)(uintptr_t)e->shift);
}

static inline void assert_near(const struct call *c, size_t i, float got,
                               double want, double bound) {
  if (!(fabs((double)got - want) <= bound))
    fail_msg("%s[%zu] is %.9g, not %.12g within %g", c->name, i, (double)got,
             want, bound);
}

#endif
