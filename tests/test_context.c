/* SPDX-License-Identifier: MIT */
/* Tests of lib/context.c: options, hooks, lifetime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "context.h"
#include "failing_alloc.h"

static imgrec_context_options options_with(struct failing *f) {
  imgrec_context_options o;
  assert_int_equal(imgrec_context_options_init(&o, sizeof o), 0);
  *f = (struct failing){0};
  o.threads = 2;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = f;
  return o;
}

static void test_context__defaults(void **state) {
  (void)state;
  imgrec_context *ctx = NULL;
  assert_int_equal(imgrec_context_create(&ctx, NULL), 0);
  assert_in_range(imgrec_context_threads(ctx), 1, 256);
  assert_in_range(imgrec_context_isa(ctx), IMGREC_ISA_SCALAR,
                  imgrec__cpu_isa());
  assert_string_equal(imgrec_last_error(ctx), "");
  assert_true(imgrec_context_bytes(ctx) > 0);
  imgrec_context_destroy(ctx);
  imgrec_context_destroy(NULL);
  assert_string_equal(imgrec_last_error(NULL), "");
}

static void test_context__options_init(void **state) {
  (void)state;
  imgrec_context_options o;
  memset(&o, 0xff, sizeof o);
  assert_int_equal(imgrec_context_options_init(&o, sizeof o), 0);
  assert_int_equal(o.struct_size, sizeof o);
  assert_int_equal(o.threads, 0);
  assert_int_equal(o.isa, IMGREC_ISA_AUTO);
  assert_null(o.decode_user);
  assert_int_equal(imgrec_context_options_init(NULL, sizeof o),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_context_options_init(&o, 0), IMGREC_ERR_ARGUMENT);
}

static void check_refused(const imgrec_context_options *o, int status) {
  imgrec_context *ctx = NULL;
  assert_int_equal(imgrec_context_create(&ctx, o), status);
  assert_null(ctx);
}

static void test_context__refuses(void **state) {
  (void)state;
  struct failing f;
  imgrec_context_options o = options_with(&f);
  assert_int_equal(imgrec_context_create(NULL, &o), IMGREC_ERR_ARGUMENT);
  o.threads = -1;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  o.threads = 257;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  o.threads = 1;
  o.isa = -1;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  o.isa = IMGREC_ISA_NEON + 1;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  o.isa = IMGREC_ISA_AUTO;
  o.free = NULL;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  o.free = failing_free;
  o.struct_size = 0;
  check_refused(&o, IMGREC_ERR_ARGUMENT);
  assert_int_equal(f.live_blocks, 0);
}

static void test_context__unknown_option(void **state) {
  (void)state;
  struct {
    imgrec_context_options known;
    uint64_t unknown;
  } newer;
  imgrec_context *ctx = NULL;
  assert_int_equal(imgrec_context_options_init(&newer.known, sizeof newer), 0);
  newer.known.threads = 1;
  assert_int_equal(imgrec_context_create(&ctx, &newer.known), 0);
  imgrec_context_destroy(ctx);
  newer.unknown = 1;
  check_refused(&newer.known, IMGREC_ERR_UNSUPPORTED);
}

static void test_context__each_isa(void **state) {
  (void)state;
  int best = imgrec__cpu_isa();
  for (int isa = IMGREC_ISA_SCALAR; isa <= IMGREC_ISA_NEON; isa++) {
    struct failing f;
    imgrec_context_options o = options_with(&f);
    o.isa = isa;
    if (isa > best || imgrec__kernels_for(isa) == NULL) {
      check_refused(&o, IMGREC_ERR_UNSUPPORTED);
      continue;
    }
    imgrec_context *ctx = NULL;
    assert_int_equal(imgrec_context_create(&ctx, &o), 0);
    assert_int_equal(imgrec_context_isa(ctx), isa);
    assert_ptr_equal(ctx->kernels, imgrec__kernels_for(isa));
    imgrec_context_destroy(ctx);
  }
}

static void test_context__threads(void **state) {
  (void)state;
  for (int threads = 1; threads <= 4; threads++) {
    struct failing f;
    imgrec_context *ctx = NULL;
    imgrec_context_options o = options_with(&f);
    o.threads = threads;
    assert_int_equal(imgrec_context_create(&ctx, &o), 0);
    assert_int_equal(imgrec_context_threads(ctx), threads);
    for (int i = 0; i < threads; i++)
      memset(imgrec__workspace(ctx, i), i, IMGREC__WORKSPACE);
    imgrec_context_destroy(ctx);
    assert_int_equal(f.live_blocks, 0);
  }
}

static void test_context__counts_bytes(void **state) {
  (void)state;
  struct failing f;
  imgrec_context *ctx = NULL;
  imgrec_context_options o = options_with(&f);
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  assert_true(imgrec_context_bytes(ctx) == f.live_bytes);
  void *p = imgrec__alloc(&ctx->allocator, 10000);
  uint64_t peak = imgrec_context_bytes(ctx);
  assert_true(peak == f.live_bytes);
  imgrec__free(&ctx->allocator, p);
  assert_true(imgrec_context_bytes(ctx) == f.live_bytes);
  assert_true(imgrec_context_peak_bytes(ctx) == peak);
  imgrec_context_destroy(ctx);
  assert_true(f.live_bytes == 0);
}

static void test_context__max_bytes(void **state) {
  (void)state;
  struct failing f;
  imgrec_context *ctx = NULL;
  imgrec_context_options o = options_with(&f);
  o.max_bytes = 10;
  check_refused(&o, IMGREC_ERR_LIMIT);
  o.max_bytes = 100000; /* the context fits, the workspace does not */
  check_refused(&o, IMGREC_ERR_LIMIT);
  o.max_bytes = 2 * IMGREC__WORKSPACE; /* with the workspace no thread does */
  for (int status = IMGREC_ERR_LIMIT; status < 0; o.max_bytes += 64) {
    status = imgrec_context_create(&ctx, &o);
    assert_int_equal(status, ctx == NULL ? IMGREC_ERR_LIMIT : IMGREC_OK);
    imgrec_context_destroy(ctx);
  }
  assert_int_equal(f.live_blocks, 0);
  o.max_bytes = 4 << 20;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec_context_destroy(ctx);
}

static void test_context__out_of_memory(void **state) {
  (void)state;
  for (int from_then_on = 0; from_then_on < 2; from_then_on++) {
    int status = IMGREC_ERR_MEMORY;
    long n = 1;
    for (; status < 0; n++) {
      struct failing f;
      imgrec_context *ctx = NULL;
      imgrec_context_options o = options_with(&f);
      f.fail_at = n;
      f.from_then_on = from_then_on;
      status = imgrec_context_create(&ctx, &o);
      assert_int_equal(status, ctx == NULL ? IMGREC_ERR_MEMORY : IMGREC_OK);
      imgrec_context_destroy(ctx);
      assert_int_equal(f.live_blocks, 0);
    }
    assert_true(n > 3);
  }
}

static void test_context__lives_as_long_as_its_objects(void **state) {
  (void)state;
  struct failing f;
  imgrec_context *ctx = NULL;
  imgrec_context_options o = options_with(&f);
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec__context_retain(ctx);
  imgrec_context_destroy(ctx);
  assert_true(f.live_blocks > 0);
  assert_int_equal(imgrec_context_threads(ctx), 2);
  imgrec__context_release(ctx);
  assert_int_equal(f.live_blocks, 0);
}

static void test_context__last_error(void **state) {
  (void)state;
  struct failing f;
  imgrec_context *ctx = NULL;
  imgrec_context_options o = options_with(&f);
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec__fail(&ctx->error, IMGREC_ERR_SHAPE, "one");
  imgrec__fail(&ctx->error, IMGREC_ERR_SHAPE, "two");
  assert_string_equal(imgrec_last_error(ctx), "two");
  imgrec_context_destroy(ctx);
}

struct log {
  int lines, level;
  char last[600];
};

static void log_line(void *user, int level, const char *line) {
  struct log *l = user;
  l->lines++;
  l->level = level;
  strcpy(l->last, line);
}

static void test_context__log(void **state) {
  (void)state;
  struct failing f;
  struct log l = {0};
  imgrec_context *ctx = NULL;
  imgrec_context_options o = options_with(&f);
  o.log = log_line;
  o.log_user = &l;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  assert_int_equal(l.lines, 0);
  imgrec__log(ctx, IMGREC_LOG_WARNING, "%d files skipped", 3);
  assert_int_equal(l.lines, 1);
  assert_int_equal(l.level, IMGREC_LOG_WARNING);
  assert_string_equal(l.last, "3 files skipped");
  imgrec__log(ctx, IMGREC_LOG_INFO, "%0900d", 3);
  assert_int_equal(strlen(l.last), 511);
  ctx->log = NULL;
  imgrec__log(ctx, IMGREC_LOG_INFO, "unheard");
  assert_int_equal(l.lines, 2);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_context__defaults),
      cmocka_unit_test(test_context__options_init),
      cmocka_unit_test(test_context__refuses),
      cmocka_unit_test(test_context__unknown_option),
      cmocka_unit_test(test_context__each_isa),
      cmocka_unit_test(test_context__threads),
      cmocka_unit_test(test_context__counts_bytes),
      cmocka_unit_test(test_context__max_bytes),
      cmocka_unit_test(test_context__out_of_memory),
      cmocka_unit_test(test_context__lives_as_long_as_its_objects),
      cmocka_unit_test(test_context__last_error),
      cmocka_unit_test(test_context__log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
