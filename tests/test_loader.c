/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/loader.c: order, full batches, files that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "data/data.h"
#include "dataset_files.h"
#include "failing_alloc.h"
#include "page_cache.h"

static char root[256];

static int setup(void **state) {
  (void)state;
  fresh_folder(root, "loader");
  return 0;
}

static imgrec_preprocess input(int height, int width, int channels) {
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = height;
  p.width = width;
  p.channels = channels;
  p.scale = 1;
  return p;
}

/* `n` images of one pixel whose value is their number, of class number % 3. */
static imgrec_dataset *numbered(imgrec_context *ctx, int n) {
  unsigned char pixels[256];
  int32_t labels[256];
  const int64_t shape[4] = {n, 1, 1, 1};
  imgrec_tensor *x, *y;
  imgrec_dataset *d = NULL;
  for (int i = 0; i < n; i++) {
    pixels[i] = (unsigned char)i;
    labels[i] = i % 3;
  }
  assert_int_equal(imgrec_tensor_wrap(&x, ctx, IMGREC_U8, 4, shape, pixels), 0);
  assert_int_equal(imgrec_tensor_wrap(&y, ctx, IMGREC_I32, 1, shape, labels),
                   0);
  assert_int_equal(imgrec_dataset_from_memory(&d, ctx, x, y, 3), 0);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return d;
}

/* What a pass hands out: the first float of each image, and batch sizes. */
struct pass {
  int status;
  size_t count, batches, sizes[256];
  float values[512];
  int32_t labels[512];
};

static struct pass run_pass(struct loader *l, size_t floats) {
  struct pass r = {.status = 0};
  for (;;) {
    const float *x;
    const int32_t *labels;
    size_t n;
    r.status = imgrec__loader_next(l, &x, &labels, &n);
    if (r.status < 0 || n == 0)
      return r;
    r.sizes[r.batches++] = n;
    for (size_t i = 0; i < n; i++) {
      assert_true(r.count < 512);
      r.values[r.count] = x[i * floats];
      r.labels[r.count++] = labels[i];
    }
  }
}

static void test_loader__in_order(void **state) {
  (void)state;
  const int sizes[] = {1, 2, 7, 50, 100};
  imgrec_preprocess p = input(1, 1, 1);
  for (int k = 0; k < 5; k++) {
    imgrec_context *ctx = new_context(3);
    imgrec_dataset *d = numbered(ctx, 50);
    struct loader *l;
    assert_int_equal(imgrec__loader_create(&l, d, &p, sizes[k]), 0);
    for (int pass = 0; pass < 2; pass++) {
      assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
      struct pass r = run_pass(l, 1);
      assert_int_equal(r.count, 50);
      for (size_t i = 0; i + 1 < r.batches; i++)
        assert_int_equal(r.sizes[i], sizes[k]);
      for (int i = 0; i < 50; i++) {
        assert_float_equal(r.values[i], i, 0);
        assert_int_equal(r.labels[i], i % 3);
      }
    }
    imgrec__loader_destroy(l);
    imgrec_dataset_destroy(d);
    imgrec_context_destroy(ctx);
  }
}

static void test_loader__shuffled_by_seed_and_epoch(void **state) {
  (void)state;
  imgrec_preprocess p = input(1, 1, 1);
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *d = numbered(ctx, 100);
  struct loader *l;
  const uint64_t how[4][2] = {{5, 0}, {5, 0}, {5, 1}, {6, 0}};
  struct pass r[4];
  int64_t expected[100];
  assert_int_equal(imgrec__loader_create(&l, d, &p, 8), 0);
  for (int k = 0; k < 4; k++) {
    assert_int_equal(imgrec__loader_start(l, 1, how[k][0], how[k][1]), 0);
    r[k] = run_pass(l, 1);
    assert_int_equal(r[k].count, 100);
    imgrec__random_permutation(expected, 100, how[k][0],
                               IMGREC__STREAM_SHUFFLE + how[k][1]);
    for (int i = 0; i < 100; i++) {
      assert_float_equal(r[k].values[i], expected[i], 0);
      assert_int_equal(r[k].labels[i], expected[i] % 3);
    }
  }
  assert_memory_equal(r[0].values, r[1].values, sizeof r[0].values);
  assert_memory_not_equal(r[0].values, r[2].values, sizeof r[0].values);
  assert_memory_not_equal(r[0].values, r[3].values, sizeof r[0].values);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* ---- Files -------------------------------------------------------------- */

/* A header that probes well, without the pixels that it promises. */
static void put_cut(const char *name) { put_text(root, name, "P5 4 4 255\nx"); }

/* Images 0 to 39 of their value, of which every fourth is cut. */
static void put_files(void) {
  char name[32];
  for (int i = 0; i < 40; i++) {
    snprintf(name, sizeof name, "%c/%02d.pgm", i < 20 ? 'a' : 'b', i);
    if (i % 4 == 1)
      put_cut(name);
    else
      put_grey(root, name, 3 + i % 3, 3, i);
  }
}

static imgrec_dataset *open_root(imgrec_context *ctx) {
  imgrec_dataset *d = NULL;
  if (imgrec_dataset_open(&d, ctx, root, NULL) != IMGREC_OK)
    fail_msg("%s", imgrec_last_error(ctx));
  return d;
}

static void test_loader__failing_files_leave_full_batches(void **state) {
  (void)state;
  imgrec_preprocess p = input(3, 3, 1);
  put_files();
  struct pass first;
  for (int threads = 1; threads < 5; threads++) {
    imgrec_context *ctx = new_context(threads);
    imgrec_dataset *d = open_root(ctx);
    struct loader *l;
    assert_int_equal(imgrec_dataset_size(d), 40);
    assert_int_equal(imgrec__loader_create(&l, d, &p, 4), 0);
    for (int epoch = 0; epoch < 2; epoch++) {
      assert_int_equal(imgrec__loader_start(l, 1, 3, 0), 0);
      struct pass r = run_pass(l, 9);
      assert_int_equal(r.count, 30);
      assert_int_equal(r.batches, 8);
      for (size_t i = 0; i < 7; i++)
        assert_int_equal(r.sizes[i], 4);
      for (size_t i = 0; i < 30; i++)
        assert_int_equal(r.labels[i], r.values[i] >= 20);
      if (threads == 1 && epoch == 0)
        first = r;
      assert_memory_equal(r.values, first.values, sizeof r.values);
      assert_int_equal(imgrec_dataset_skipped(d), 10);
    }
    assert_non_null(strstr(imgrec_dataset_skipped_reason(d, 0), ".pgm'"));
    imgrec__loader_destroy(l);
    imgrec_dataset_destroy(d);
    imgrec_context_destroy(ctx);
  }
}

/* Whether the file behind the window is in memory once the window is full. */
static int next_file_is_there(int ahead) {
  char next[300], later[300];
  const float *x;
  const int32_t *labels;
  size_t n;
  imgrec_preprocess p = input(1200, 1200, 1); /* 5.5 MiB: two images */
  imgrec_context *ctx = new_context(2);
  imgrec_dataset *d = open_root(ctx);
  struct loader *l;
  snprintf(next, sizeof next, "%s/a/03.pgm", root);
  snprintf(later, sizeof later, "%s/b/30.pgm", root);
  int forgotten = forget(next) && forget(later);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 2), 0);
  imgrec__loader_ahead(l, ahead);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
  /* one window has 00 and 01, which is cut; so the next is read too */
  assert_int_equal(imgrec__loader_next(l, &x, &labels, &n), 0);
  int there = ahead ? becomes_resident(next) : resident(next);
  if (forgotten)
    assert_int_equal(resident(later), 0);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
  return forgotten ? there : -1;
}

static void test_loader__asks_for_files_ahead(void **state) {
  char path[300];
  (void)state;
  put_files();
  snprintf(path, sizeof path, "%s/a/03.pgm", root);
  if (!forget(path))
    skip();
  assert_int_equal(next_file_is_there(0), 0);
  assert_int_equal(next_file_is_there(1), 1);
}

static void test_loader__window_smaller_than_the_set(void **state) {
  (void)state;
  imgrec_preprocess p = input(1200, 1200, 1); /* 5.5 MiB: two images */
  put_files();
  imgrec_context *ctx = new_context(2);
  imgrec_dataset *d = open_root(ctx);
  struct loader *l;
  assert_int_equal(imgrec__loader_create(&l, d, &p, 2), 0);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
  struct pass r = run_pass(l, 1200 * 1200);
  assert_int_equal(r.count, 30);
  assert_int_equal(r.batches, 15);
  for (int i = 0, k = 0; i < 40; i++)
    if (i % 4 != 1)
      assert_float_equal(r.values[k++], i, 0);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void count_warning(void *user, int level, const char *line) {
  if (level == IMGREC_LOG_WARNING && strstr(line, "left out") != NULL)
    ++*(int *)user;
}

static void test_loader__warns_once(void **state) {
  (void)state;
  int warnings = 0;
  imgrec_context_options o;
  imgrec_context *ctx;
  struct loader *l;
  imgrec_preprocess p = input(2, 2, 3);
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.log = count_warning;
  o.log_user = &warnings;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  put_grey(root, "a/1.pgm", 2, 2, 1);
  put_cut("a/2.pgm");
  imgrec_dataset *d = open_root(ctx);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 2), 0);
  for (int epoch = 0; epoch < 3; epoch++) {
    assert_int_equal(imgrec__loader_start(l, 1, 1, (uint64_t)epoch), 0);
    assert_int_equal(run_pass(l, 12).count, 1);
  }
  assert_int_equal(warnings, 1);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void test_loader__all_files_fail(void **state) {
  (void)state;
  char name[32];
  imgrec_preprocess p = input(2, 2, 1);
  imgrec_context *ctx = new_context(2);
  struct loader *l;
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "a/%d.pgm", i);
    put_cut(name);
  }
  imgrec_dataset *d = open_root(ctx);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 3), 0);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
  assert_int_equal(run_pass(l, 4).status, IMGREC_ERR_FORMAT);
  assert_non_null(strstr(imgrec_last_error(ctx), "none of the 100 images"));
  assert_int_equal(imgrec_dataset_skipped(d), 100);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), IMGREC_ERR_FORMAT);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void test_loader__file_that_vanished(void **state) {
  (void)state;
  char path[300];
  imgrec_preprocess p = input(2, 2, 1);
  imgrec_context *ctx = new_context(1);
  struct loader *l;
  put_grey(root, "a/1.pgm", 2, 2, 1);
  put_grey(root, "a/2.pgm", 2, 2, 2);
  imgrec_dataset *d = open_root(ctx);
  snprintf(path, sizeof path, "%s/a/1.pgm", root);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 2), 0);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
  struct pass r = run_pass(l, 4);
  assert_int_equal(r.count, 1);
  assert_float_equal(r.values[0], 2, 0);
  assert_non_null(strstr(imgrec_dataset_skipped_reason(d, 0), "no such file"));
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* ---- The decode hook ---------------------------------------------------- */

/* The first byte is the value, '!' fails, '?' gives what is no image. */
static int decode_byte(void *user, imgrec_tensor **out, imgrec_context *ctx,
                       const void *bytes, size_t size, int channels) {
  const unsigned char *p = bytes;
  const int64_t shape[3] = {2, 2, p[0] == '?' ? 2 : 1};
  (void)size;
  (void)channels;
  ++*(int *)user;
  if (p[0] == '!')
    return IMGREC_ERR_FORMAT;
  int status = imgrec_tensor_create(out, ctx, IMGREC_U8, 3, shape);
  if (status == IMGREC_OK)
    memset(imgrec_tensor_data(*out), p[0], imgrec_tensor_nbytes(*out));
  return status;
}

static void test_loader__decode_hook(void **state) {
  (void)state;
  char name[32], text[2] = "x";
  int calls = 0;
  imgrec_context_options o;
  imgrec_context *ctx;
  struct loader *l;
  imgrec_preprocess p = input(2, 2, 1);
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.decode = decode_byte;
  o.decode_user = &calls;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  for (int i = 0; i < 26; i++) {
    snprintf(name, sizeof name, "c/%c.jpg", 'a' + i);
    text[0] = (char)(i == 3 ? '!' : i == 20 ? '?' : 'a' + i);
    put_text(root, name, text);
  }
  imgrec_dataset *d = open_root(ctx);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 5), 0);
  assert_int_equal(imgrec__loader_start(l, 0, 0, 0), 0);
  uint64_t idle = imgrec_context_bytes(ctx);
  struct pass r = run_pass(l, 4);
  assert_int_equal(r.status, 0);
  assert_int_equal(calls, 26);
  assert_int_equal(r.count, 24);
  assert_int_equal(r.batches, 5);
  for (int i = 0, k = 0; i < 26; i++)
    if (i != 3 && i != 20)
      assert_float_equal(r.values[k++], 'a' + i, 0);
  assert_int_equal(imgrec_dataset_skipped(d), 2);
  assert_true(imgrec_context_bytes(ctx) < idle + 2048);
  assert_string_equal(imgrec_last_error(ctx), "");
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* ---- Memory ------------------------------------------------------------- */

static void test_loader__bytes_are_foreseen(void **state) {
  (void)state;
  const int batches[] = {1, 32, 64};
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *d = numbered(ctx, 250);
  for (int k = 0; k < 3; k++) {
    imgrec_preprocess p = input(64 << k, 64, 3);
    struct loader *l;
    uint64_t before = imgrec_context_bytes(ctx);
    assert_int_equal(imgrec__loader_create(&l, d, &p, batches[k]), 0);
    uint64_t used = imgrec_context_bytes(ctx) - before;
    assert_true(used <= imgrec__loader_bytes(&p, batches[k]) + 8 * 250 + 512);
    assert_true(used >= (uint64_t)batches[k] * 64 * 64 * 3 * 4);
    imgrec__loader_destroy(l);
    assert_int_equal(imgrec_context_bytes(ctx), before);
  }
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

static void test_loader__refused(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *d = numbered(ctx, 2);
  struct loader *l = NULL;
  imgrec_preprocess p = input(1, 1, 1), bad = input(0, 1, 1);
  assert_int_equal(imgrec__loader_create(&l, d, &p, 0), IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec__loader_create(&l, d, &bad, 1), IMGREC_ERR_ARGUMENT);
  assert_null(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* One pass; out of memory must be an error, never a batch that lacks what
 * would have been decoded with more of it. */
static int load_all(imgrec_context *ctx, imgrec_dataset *d) {
  imgrec_preprocess p = input(2, 2, 3);
  struct loader *l = NULL;
  int status = imgrec__loader_create(&l, d, &p, 2);
  assert_int_equal(l != NULL, status == 0);
  if (status == 0)
    status = imgrec__loader_start(l, 0, 0, 0);
  if (status == 0) {
    struct pass r = run_pass(l, 12);
    status = r.status;
    if (status == 0)
      assert_int_equal(r.count, 3);
  }
  imgrec__loader_destroy(l);
  if (status < 0)
    assert_true(strlen(imgrec_last_error(ctx)) > 0);
  return status;
}

static void test_loader__each_allocation_fails(void **state) {
  (void)state;
  int status = IMGREC_ERR_MEMORY, n = 0;
  put_grey(root, "a/1.pgm", 4, 4, 1);
  put_cut("a/2.pgm");
  put_grey(root, "b/3.pgm", 2, 2, 3);
  put_text(root, "b/4.ppm", "P3 1 2 255 1 2 3 4 5 6");
  while (status != IMGREC_OK) {
    struct failing f = {0};
    imgrec_context_options o;
    imgrec_context *ctx;
    imgrec_context_options_init(&o, sizeof o);
    o.threads = 1;
    o.alloc = failing_alloc;
    o.free = failing_free;
    o.alloc_user = &f;
    assert_int_equal(imgrec_context_create(&ctx, &o), 0);
    imgrec_dataset *d = open_root(ctx);
    f.fail_at = f.calls + ++n;
    status = load_all(ctx, d);
    if (status != IMGREC_OK && status != IMGREC_ERR_MEMORY)
      fail_msg("allocation %d: %s", n, imgrec_last_error(ctx));
    imgrec_dataset_destroy(d);
    imgrec_context_destroy(ctx);
    assert_int_equal(f.live_blocks, 0);
    assert_true(n < 1000);
  }
  assert_true(n > 10);
}

static void test_loader__photos_with_any_threads(void **state) {
  (void)state;
  char path[1024];
  struct pass first = {0};
  imgrec_preprocess p = input(48, 48, 3);
  if (real_data(path, "caltech10") == NULL)
    skip();
  p.resize = IMGREC_RESIZE_CROP;
  for (int threads = 1; threads < 4; threads++) {
    imgrec_context *ctx = new_context(threads);
    imgrec_dataset *d = NULL;
    struct loader *l;
    assert_int_equal(imgrec_dataset_open(&d, ctx, path, NULL), 0);
    assert_int_equal(imgrec__loader_create(&l, d, &p, 32), 0);
    assert_int_equal(imgrec__loader_start(l, 1, 1, 0), 0);
    struct pass r = run_pass(l, 48 * 48 * 3);
    assert_int_equal(r.count, 450);
    assert_int_equal(r.batches, 15);
    if (threads == 1)
      first = r;
    assert_memory_equal(&r, &first, sizeof r);
    imgrec__loader_destroy(l);
    imgrec_dataset_destroy(d);
    imgrec_context_destroy(ctx);
  }
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_loader__in_order),
      CASE(test_loader__shuffled_by_seed_and_epoch),
      CASE(test_loader__failing_files_leave_full_batches),
      CASE(test_loader__asks_for_files_ahead),
      CASE(test_loader__window_smaller_than_the_set),
      CASE(test_loader__warns_once),
      CASE(test_loader__all_files_fail),
      CASE(test_loader__file_that_vanished),
      CASE(test_loader__decode_hook),
      CASE(test_loader__bytes_are_foreseen),
      CASE(test_loader__refused),
      CASE(test_loader__each_allocation_fails),
      CASE(test_loader__photos_with_any_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
