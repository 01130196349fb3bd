/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/state.c: every bit of a number comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "toy_data.h"
#include "train/train.h"

#define PATH "build/tmp/test_state.safetensors"

struct numbers {
  uint64_t count, bits;
  int64_t index;
  double wide;
  int32_t integer;
  float narrow;
  unsigned char mask[9];
};

static struct state list(struct numbers *n) {
  struct state s = {.count = 0};
  imgrec__state_field(&s, "count", FIELD_COUNT, &n->count);
  imgrec__state_field(&s, "bits", FIELD_BITS64, &n->bits);
  imgrec__state_field(&s, "index", FIELD_INDEX, &n->index);
  imgrec__state_field(&s, "wide", FIELD_BITS64, &n->wide);
  imgrec__state_field(&s, "integer", FIELD_INT, &n->integer);
  imgrec__state_field(&s, "narrow", FIELD_BITS32, &n->narrow);
  imgrec__state_mask(&s, "mask", n->mask, sizeof n->mask);
  return s;
}

struct fixture {
  imgrec_context *ctx;
  imgrec_model *model;
};

static void make(struct fixture *f) {
  assert_int_equal(imgrec_context_create(&f->ctx, NULL), 0);
  f->model = new_model(f->ctx, TOY_NET, 8, 1);
}

static void release(struct fixture *f) {
  imgrec_model_destroy(f->model);
  imgrec_context_destroy(f->ctx);
}

static void check_round_trip(const struct numbers *n) {
  struct fixture f;
  struct numbers from = *n, to;
  struct state s = list(&from);
  make(&f);
  assert_ok(f.ctx, imgrec__state_save(&s, f.model, PATH));
  memset(&to, 0xA5, sizeof to);
  s = list(&to);
  assert_ok(f.ctx, imgrec__state_load(&s, f.model, PATH));
  assert_true(to.count == n->count && to.bits == n->bits);
  assert_true(to.index == n->index && to.integer == n->integer);
  assert_memory_equal(&to.wide, &n->wide, sizeof to.wide);
  assert_memory_equal(&to.narrow, &n->narrow, sizeof to.narrow);
  assert_memory_equal(to.mask, n->mask, sizeof to.mask);
  release(&f);
}

static void test_state__round_trip(void **state) {
  (void)state;
  check_round_trip(&(struct numbers){0});
  check_round_trip(&(struct numbers){.count = INT64_MAX,
                                     .bits = UINT64_MAX,
                                     .index = INT64_MAX,
                                     .wide = 0.1,
                                     .integer = INT32_MAX,
                                     .narrow = -0.1F,
                                     .mask = {1, 0, 0, 0, 1, 1, 0, 0, 1}});
  check_round_trip(&(struct numbers){
      .bits = (uint64_t)1 << 63, .wide = -0.0, .narrow = -0.0F});
  check_round_trip(&(struct numbers){.wide = NAN, .narrow = NAN});
  check_round_trip(&(struct numbers){.wide = -INFINITY, .narrow = 1e-45F});
}

/* What is out of the range of its kind, from a file with right hashes. */
static void test_state__ranges(void **state) {
  (void)state;
  struct fixture f;
  struct numbers n = {.bits = UINT64_MAX}, to = {.integer = 7};
  static const enum field_kind kinds[] = {FIELD_COUNT, FIELD_INDEX, FIELD_INT,
                                          FIELD_BITS32};
  make(&f);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct state from = {.count = 0}, into = {.count = 0};
    imgrec__state_field(&from, "x", FIELD_BITS64, &n.bits);
    imgrec__state_field(&into, "x", kinds[i], &to.integer);
    assert_ok(f.ctx, imgrec__state_save(&from, f.model, PATH));
    assert_int_equal(imgrec__state_load(&into, f.model, PATH),
                     IMGREC_ERR_FORMAT);
    assert_non_null(
        strstr(imgrec_last_error(f.ctx), "'x' is out of its range"));
    assert_int_equal(to.integer, 7);
  }
  release(&f);
}

/* A mask of more images than there are here. */
static void test_state__mask_beyond(void **state) {
  (void)state;
  struct fixture f;
  struct numbers n = {.mask = {0, 0, 0, 0, 0, 0, 0, 0, 1}};
  struct state from = {.count = 0}, into = {.count = 0};
  make(&f);
  imgrec__state_mask(&from, "mask", n.mask, 9);
  imgrec__state_mask(&into, "mask", n.mask, 8);
  assert_ok(f.ctx, imgrec__state_save(&from, f.model, PATH));
  assert_int_equal(imgrec__state_load(&into, f.model, PATH), IMGREC_ERR_FORMAT);
  release(&f);
}

static void test_state__missing(void **state) {
  (void)state;
  struct fixture f;
  struct numbers n = {0};
  struct state from = {.count = 0}, into = {.count = 0};
  make(&f);
  imgrec__state_field(&from, "one", FIELD_INT, &n.integer);
  imgrec__state_field(&into, "two", FIELD_INT, &n.integer);
  assert_ok(f.ctx, imgrec__state_save(&from, f.model, PATH));
  assert_int_equal(imgrec__state_load(&into, f.model, PATH), IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(f.ctx), "no 'two'"));
  release(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_state__round_trip),
      cmocka_unit_test(test_state__ranges),
      cmocka_unit_test(test_state__mask_beyond),
      cmocka_unit_test(test_state__missing),
  };
  return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
