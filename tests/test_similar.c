/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/similar.c: what is found by tables is what a search
 * through all pairs finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"

enum { IMAGES = 600, SETS = 3 };

static struct sight seen[IMAGES];
static struct twin twins[IMAGES * SETS], slow[IMAGES * SETS];
static int64_t leader[IMAGES];
static const int64_t firsts[SETS + 1] = {0, 300, 450, IMAGES};

static int below(int i, int what, int n) {
  return (int)imgrec__random_below(9, (uint64_t)what, (uint64_t)i, (uint64_t)n);
}

/* Families of images whose hashes differ in up to ten bits and whose luma in
 * up to so much noise; some are exactly another's. */
static void make_images(void) {
  memset(seen, 0, sizeof seen);
  for (int i = 0; i < IMAGES; i++) {
    struct sight *s = &seen[i];
    int family = below(i, 1, 60), noise = 1 + below(i, 2, 30);
    s->print.hash = imgrec__random4(1, 2, (uint64_t)family).v[0] * 0x100000001u;
    for (int b = below(i, 3, 11); b > 0; b--)
      s->print.hash ^= (uint64_t)1 << below(i, 10 + b, 64);
    for (int k = 0; k < 256; k++)
      s->print.luma[k] = (unsigned char)(below(k, 100 + family, 200) +
                                         below(k, 1000 + i, noise));
    for (int k = 0; k < 256; k++)
      s->print.coarse[k / 64 * 4 + k % 16 / 4] += (int16_t)s->print.luma[k];
    int64_t sum = 0, squares = 0;
    for (int k = 0; k < 256; k++) {
      sum += s->print.luma[k];
      squares += s->print.luma[k] * s->print.luma[k];
    }
    s->print.contrast = 256 * squares - sum * sum;
    memcpy(s->digest, &i, sizeof i);
    if (i % 10 == 9)
      *s = seen[below(i, 4, i)];
    else if (i % 50 == 8)
      s->status = IMGREC_ERR_FORMAT;
  }
}

static int set_of(int64_t i) {
  return i < firsts[1] ? 0 : i < firsts[2] ? 1 : 2;
}

static int equal(int64_t i, int64_t k) {
  return memcmp(seen[i].digest, seen[k].digest, sizeof seen[i].digest) == 0;
}

static int first_of_set(int64_t i) {
  for (int64_t k = firsts[set_of(i)]; k < i; k++)
    if (seen[k].status >= 0 && equal(i, k))
      return 0;
  return 1;
}

/* The nearest, or first equal, of set `set` before image i. */
static struct twin search(int64_t i, int set, int near) {
  struct twin best = {-1, 0, 0};
  for (int64_t k = firsts[set]; k < firsts[set + 1] && k < i; k++) {
    float d;
    if (seen[k].status < 0)
      continue;
    if (equal(i, k))
      return (struct twin){k, 0, 1};
    if (near && first_of_set(i) && first_of_set(k) &&
        __builtin_popcountll(seen[i].print.hash ^ seen[k].print.hash) <= 7 &&
        imgrec__fingerprint_near(&d, &seen[i].print, &seen[k].print) &&
        (best.image < 0 || d < best.difference))
      best = (struct twin){k, d, 0};
  }
  return best;
}

static void search_all(int near) {
  for (int64_t i = 0; i < IMAGES; i++)
    for (int set = 0; set < SETS; set++) {
      struct twin *t = &slow[i * SETS + set];
      *t = (struct twin){-1, 0, 0};
      if (seen[i].status >= 0 && set <= set_of(i))
        *t = search(i, set, near);
    }
  /* equal ones of a set are like the same images of other sets */
  for (int64_t i = 0; i < IMAGES; i++)
    for (int64_t k = firsts[set_of(i)]; k < i && seen[i].status >= 0; k++)
      if (seen[k].status >= 0 && equal(i, k)) {
        for (int set = 0; set < set_of(i); set++)
          slow[i * SETS + set] = slow[k * SETS + set];
        break;
      }
}

static void check(int threads, int near) {
  imgrec_context *ctx = new_context(threads);
  struct similar s = {NULL, seen, firsts, SETS, twins, leader};
  int exact = 0, close = 0;
  assert_int_equal(imgrec__similar_find(&s, ctx, near), 0);
  search_all(near);
  for (int i = 0; i < IMAGES * SETS; i++) {
    assert_int_equal(twins[i].image, slow[i].image);
    assert_int_equal(twins[i].exact, slow[i].exact);
    assert_true(twins[i].difference == slow[i].difference);
    exact += twins[i].exact;
    close += twins[i].image >= 0 && !twins[i].exact;
  }
  assert_true(exact > 30);
  assert_true(near ? close > 100 : close == 0);
  imgrec_context_destroy(ctx);
}

static void test_similar__as_through_all_pairs(void **state) {
  (void)state;
  make_images();
  for (int threads = 1; threads <= 3; threads++)
    check(threads, 1);
}

static void test_similar__exact_only(void **state) {
  (void)state;
  make_images();
  check(2, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_similar__as_through_all_pairs),
      cmocka_unit_test(test_similar__exact_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
