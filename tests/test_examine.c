/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/examine.c and examination.c: sizes, files that cannot be
 * read, and what is there twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"
#include "failing_alloc.h"

static char root[256];

static void assert_ok(const imgrec_context *ctx, int status) {
  if (status < 0)
    fail_msg("%s: %s", imgrec_status_name(status), imgrec_last_error(ctx));
}

static void assert_fails(const imgrec_context *ctx, int status, int code,
                         const char *words) {
  assert_int_equal(status, code);
  if (strstr(imgrec_last_error(ctx), words) == NULL)
    fail_msg("'%s' does not say '%s'", imgrec_last_error(ctx), words);
}

/* A PGM of 12 x 12 random cells, each of `cell` pixels, `offset` brighter. */
static void put_picture(const char *name, uint64_t number, int cell,
                        int offset) {
  char bytes[20000];
  int side = 12 * cell;
  int n = snprintf(bytes, sizeof bytes, "P5 %d %d 255\n", side, side);
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++)
      bytes[n++] =
          (char)(offset +
                 (int)imgrec__random_below(
                     4, number, (uint64_t)(y / cell * 12 + x / cell), 240));
  put_bytes(root, name, bytes, (size_t)n);
}

/* train: a/1, a/2 = b/2, b/3; a/4 is cut off.  val: a/1 again, a/5, b/3 twice
 * as large, b/6 = b/7. */
static int setup(void **state) {
  (void)state;
  fresh_folder(root, "examine");
  put_picture("train/a/1.pgm", 1, 4, 0);
  put_picture("train/a/2.pgm", 2, 5, 0);
  put_picture("train/b/2.pgm", 2, 5, 0);
  put_picture("train/b/3.pgm", 3, 4, 0);
  put_text(root, "train/a/4.pgm", "P5 40 40 255\nshort");
  put_picture("val/a/1.pgm", 1, 4, 0);
  put_picture("val/a/5.pgm", 5, 4, 0);
  put_picture("val/b/3.pgm", 3, 8, 4);
  put_picture("val/b/6.pgm", 6, 4, 0);
  put_picture("val/b/7.pgm", 6, 4, 0);
  return 0;
}

struct sets {
  imgrec_context *ctx;
  imgrec_dataset *d[2];
};

static struct sets open_sets(imgrec_context *ctx) {
  struct sets s = {ctx, {NULL, NULL}};
  assert_ok(ctx, open_part(&s.d[0], ctx, root, NULL, IMGREC_PART_TRAIN));
  assert_ok(ctx, open_part(&s.d[1], ctx, root, NULL, IMGREC_PART_VAL));
  return s;
}

static void close_sets(struct sets *s) {
  imgrec_dataset_destroy(s->d[0]);
  imgrec_dataset_destroy(s->d[1]);
  imgrec_context_destroy(s->ctx);
}

static imgrec_data_summary summary(const imgrec_examination *e, int set) {
  imgrec_data_summary s;
  imgrec_data_summary_init(&s, sizeof s);
  assert_int_equal(imgrec_examination_summary(e, set, &s), 0);
  return s;
}

static void expect_duplicate(const imgrec_examination *e, int64_t index,
                             int set, int64_t image, int original_set,
                             int64_t original, int kind, int same_label) {
  imgrec_duplicate d;
  imgrec_duplicate_init(&d, sizeof d);
  assert_int_equal(imgrec_examination_duplicate(e, index, &d), 0);
  assert_int_equal(d.set, set);
  assert_int_equal(d.image, image);
  assert_int_equal(d.original_set, original_set);
  assert_int_equal(d.original, original);
  assert_int_equal(d.kind, kind);
  assert_int_equal(d.same_label, same_label);
  assert_true(d.difference >= 0 && d.difference < 1.0F / 12);
}

/* The order of train: a/1, a/2, a/4, b/2, b/3; of val: a/1, a/5, b/3, b/6,
 * b/7. */
static void check_report(const imgrec_examination *e) {
  imgrec_data_summary t = summary(e, 0), v = summary(e, 1);
  assert_int_equal(t.images, 4);
  assert_int_equal(t.unreadable, 1);
  assert_int_equal(t.grey, 4);
  assert_int_equal(t.exact, 1);
  assert_int_equal(t.near_duplicates + t.exact_elsewhere + t.near_elsewhere, 0);
  assert_int_equal(t.conflicting, 1);
  assert_int_equal(t.height[0], 48);
  assert_int_equal(t.height[1], 60);
  assert_int_equal(t.height[2], 60);
  assert_int_equal(v.images, 5);
  assert_int_equal(v.unreadable, 0);
  assert_int_equal(v.exact, 1);
  assert_int_equal(v.exact_elsewhere, 1);
  assert_int_equal(v.near_elsewhere, 1);
  assert_int_equal(v.conflicting, 0);
  assert_int_equal(v.width[0], 48);
  assert_int_equal(v.width[2], 96);
  assert_int_equal(imgrec_examination_duplicates(e), 4);
  expect_duplicate(e, 0, 0, 3, 0, 1, IMGREC_DUPLICATE_EXACT, 0);
  expect_duplicate(e, 1, 1, 0, 0, 0, IMGREC_DUPLICATE_EXACT, 1);
  expect_duplicate(e, 2, 1, 2, 0, 4, IMGREC_DUPLICATE_NEAR, 1);
  expect_duplicate(e, 3, 1, 4, 1, 3, IMGREC_DUPLICATE_EXACT, 1);
}

static void test_examine__finds_all(void **state) {
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    struct sets s = open_sets(new_context(threads));
    imgrec_examination *e = NULL;
    assert_ok(s.ctx, imgrec_dataset_examine(&e, s.d, 2, NULL));
    check_report(e);
    /* what is broken is known now, and listed */
    assert_int_equal(imgrec_dataset_skipped(s.d[0]), 1);
    assert_non_null(
        strstr(imgrec_dataset_skipped_reason(s.d[0], 0), "a/4.pgm'"));
    imgrec_examination *again = NULL;
    assert_ok(s.ctx, imgrec_dataset_examine(&again, s.d, 2, NULL));
    assert_int_equal(imgrec_dataset_skipped(s.d[0]), 1);
    check_report(again);
    close_sets(&s); /* the reports stand for themselves */
    check_report(e);
    imgrec_examination_destroy(e);
    imgrec_examination_destroy(again);
  }
}

static void test_examine__exact_only(void **state) {
  (void)state;
  struct sets s = open_sets(new_context(2));
  imgrec_examination *e = NULL;
  imgrec_examine_options o;
  imgrec_examine_options_init(&o, sizeof o);
  o.exact_only = 1;
  assert_ok(s.ctx, imgrec_dataset_examine(&e, s.d, 2, &o));
  imgrec_data_summary t = summary(e, 0), v = summary(e, 1);
  assert_int_equal(t.images, 5); /* nothing was decoded */
  assert_int_equal(v.exact_elsewhere, 1);
  assert_int_equal(v.near_elsewhere, 0);
  assert_int_equal(v.height[2], 96);
  imgrec_examination_destroy(e);
  close_sets(&s);
}

/* Packed pixels; and classes named by numbers fit those with names. */
static void test_examine__packed(void **state) {
  enum { N = 6, BYTES = 16 * 16 * 3 };
  int64_t shape[4] = {N, 16, 16, 3};
  imgrec_context *ctx = new_context(2);
  imgrec_tensor *images, *labels;
  imgrec_dataset *d;
  imgrec_examination *e = NULL;
  (void)state;
  assert_ok(ctx, imgrec_tensor_create(&images, ctx, IMGREC_U8, 4, shape));
  assert_ok(ctx, imgrec_tensor_create(&labels, ctx, IMGREC_I32, 1, shape));
  unsigned char *p = imgrec_tensor_data(images);
  for (int i = 0; i < N * BYTES; i++)
    p[i] = (unsigned char)imgrec__random_below(1, 1, (uint64_t)i, 256);
  memcpy(p + 4 * BYTES, p + BYTES, BYTES);
  ((int32_t *)imgrec_tensor_data(labels))[4] = 1;
  assert_ok(ctx, imgrec_dataset_from_memory(&d, ctx, images, labels, 2));
  assert_ok(ctx, imgrec_dataset_examine(&e, &d, 1, NULL));
  assert_int_equal(imgrec_examination_duplicates(e), 1);
  expect_duplicate(e, 0, 0, 4, 0, 1, IMGREC_DUPLICATE_EXACT, 0);
  assert_int_equal(summary(e, 0).grey, 0);
  imgrec_examination_destroy(e);
  imgrec_dataset_destroy(d);
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  imgrec_context_destroy(ctx);
}

static int count_calls(void *user, int64_t images, int64_t total) {
  int *calls = user;
  assert_true(images > 0 && images <= total && total == 10);
  return ++*calls == 2;
}

static void test_examine__progress_and_cancel(void **state) {
  (void)state;
  struct sets s = open_sets(new_context(2));
  imgrec_examination *e = NULL;
  imgrec_examine_options o;
  int calls = 0;
  imgrec_examine_options_init(&o, sizeof o);
  o.progress = count_calls;
  o.progress_user = &calls;
  assert_fails(s.ctx, imgrec_dataset_examine(&e, s.d, 2, &o),
               IMGREC_ERR_CANCELLED, "cancelled");
  assert_int_equal(calls, 2);
  assert_null(e);
  close_sets(&s);
}

static int decode_grey(void *user, imgrec_tensor **out, imgrec_context *ctx,
                       const void *bytes, size_t size, int channels) {
  const int64_t shape[3] = {8, 8, 1};
  int *calls = user;
  (void)channels;
  ++*calls;
  if (size < 100)
    return IMGREC_ERR_FORMAT;
  int status = imgrec_tensor_create(out, ctx, IMGREC_U8, 3, shape);
  for (size_t i = 0; status == 0 && i < 64; i++)
    ((unsigned char *)imgrec_tensor_data(*out))[i] =
        ((const unsigned char *)bytes)[size / 3 + i * 7 % (size / 2)];
  return status;
}

static void test_examine__decode_hook(void **state) {
  imgrec_context_options o;
  imgrec_context *ctx;
  int calls = 0;
  (void)state;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 2;
  o.decode = decode_grey;
  o.decode_user = &calls;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  struct sets s = open_sets(ctx);
  imgrec_examination *e = NULL;
  assert_ok(ctx, imgrec_dataset_examine(&e, s.d, 2, NULL));
  assert_int_equal(calls, 10);
  assert_int_equal(summary(e, 0).images, 4);
  assert_int_equal(summary(e, 0).exact, 1);
  assert_int_equal(summary(e, 1).height[1], 8);
  imgrec_examination_destroy(e);
  close_sets(&s);
}

static void test_examine__arguments(void **state) {
  (void)state;
  struct sets s = open_sets(new_context(1));
  imgrec_context *other = new_context(1);
  imgrec_dataset *many[17], *mixed[2] = {s.d[0], NULL};
  imgrec_examination *e = NULL;
  imgrec_examine_options o;
  imgrec_examine_options_init(&o, sizeof o);
  o.exact_only = 2;
  for (int i = 0; i < 17; i++)
    many[i] = s.d[0];
  assert_int_equal(imgrec_dataset_examine(&e, NULL, 1, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_dataset_examine(&e, s.d, 0, NULL),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(s.ctx, imgrec_dataset_examine(NULL, s.d, 1, NULL),
               IMGREC_ERR_ARGUMENT, "`out` is NULL");
  assert_fails(s.ctx, imgrec_dataset_examine(&e, many, 17, NULL),
               IMGREC_ERR_LIMIT, "at most 16");
  assert_fails(s.ctx, imgrec_dataset_examine(&e, mixed, 2, NULL),
               IMGREC_ERR_ARGUMENT, "data set 1 is NULL");
  assert_fails(s.ctx, imgrec_dataset_examine(&e, s.d, 1, &o),
               IMGREC_ERR_UNSUPPORTED, "exact_only");
  assert_ok(s.ctx, imgrec_dataset_examine(&e, s.d, 1, NULL));
  imgrec_data_summary sum;
  imgrec_duplicate d;
  imgrec_data_summary_init(&sum, sizeof sum);
  imgrec_duplicate_init(&d, sizeof d);
  assert_int_equal(imgrec_examination_summary(NULL, 0, &sum),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_examination_duplicates(NULL), 0);
  assert_int_equal(imgrec_examination_duplicate(NULL, 0, &d),
                   IMGREC_ERR_ARGUMENT);
  assert_fails(s.ctx, imgrec_examination_summary(e, 1, &sum),
               IMGREC_ERR_ARGUMENT, "there are 1 data sets");
  assert_fails(s.ctx, imgrec_examination_duplicate(e, 1, &d),
               IMGREC_ERR_ARGUMENT, "there are 1 duplicates");
  assert_int_equal(imgrec_examination_duplicate(e, -1, &d),
                   IMGREC_ERR_ARGUMENT);
  imgrec_examination_destroy(e);
  imgrec_examination_destroy(NULL);
  close_sets(&s);
  imgrec_context_destroy(other);
}

static void test_examine__every_allocation_fails(void **state) {
  struct failing f = {0};
  imgrec_context_options o;
  imgrec_context *ctx;
  int status = -1;
  long n = 0;
  (void)state;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &f;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  struct sets s = open_sets(ctx);
  while (status < 0) {
    imgrec_examination *e = NULL;
    long live = f.live_blocks;
    int skipped = imgrec_dataset_skipped(s.d[0]);
    f.calls = 0;
    f.fail_at = ++n;
    status = imgrec_dataset_examine(&e, s.d, 2, NULL);
    f.fail_at = 0;
    assert_true(status >= 0 || status == IMGREC_ERR_MEMORY);
    if (status >= 0)
      check_report(e);
    imgrec_examination_destroy(e);
    /* the list of skipped files may have got its first entry */
    if (skipped == imgrec_dataset_skipped(s.d[0]) && skipped == 1)
      assert_int_equal(f.live_blocks, live);
  }
  assert_true(n > 20);
  close_sets(&s);
  assert_int_equal(f.live_blocks, 0);
}

/* Of 12 images two are cut off; two more files are no images at all. */
static imgrec_dataset *open_damaged(imgrec_context *ctx, const char *folder) {
  imgrec_dataset *d = NULL;
  char name[64];
  for (int i = 0; i < 12; i++) {
    snprintf(name, sizeof name, "%s/%c/%02d.pgm", folder, 'a' + i % 2, i);
    if (i == 4 || i == 7)
      put_text(root, name, "P5 40 40 255\nshort");
    else
      put_picture(name, 100 + (uint64_t)i, 4, 0);
  }
  snprintf(name, sizeof name, "%s/a/no.png", folder);
  put_text(root, name, "no image");
  snprintf(name, sizeof name, "%s/b/no.jpg", folder);
  put_text(root, name, "no image");
  assert_ok(ctx, open_part(&d, ctx, root, folder, IMGREC_PART_ANY));
  return d;
}

static int64_t count_readable(const imgrec_dataset *d) {
  int64_t n = 0;
  for (int64_t i = 0; i < imgrec_dataset_size(d); i++)
    n += imgrec_dataset_readable(d, i);
  return n;
}

/* Each file counts once, on the side where it is. */
static void test_examine__unreadable_of_a_split(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *whole = open_damaged(ctx, "damaged"), *d[2];
  for (uint64_t seed = 0; seed < 8; seed++) {
    imgrec_examination *e = NULL;
    assert_ok(ctx, imgrec_dataset_split(&d[0], &d[1], whole, 0.5f, seed));
    assert_ok(ctx, imgrec_dataset_examine(&e, d, 2, NULL));
    imgrec_data_summary a = summary(e, 0), b = summary(e, 1);
    assert_int_equal(imgrec_dataset_skipped(whole), 4);
    assert_int_equal(a.unreadable + b.unreadable, 4);
    assert_int_equal(a.unreadable, 2 + imgrec_dataset_size(d[0]) - a.images);
    assert_int_equal(b.unreadable, imgrec_dataset_size(d[1]) - b.images);
    assert_int_equal(count_readable(d[0]), a.images);
    assert_int_equal(count_readable(d[1]), b.images);
    imgrec_examination_destroy(e);
    imgrec_dataset_destroy(d[0]);
    imgrec_dataset_destroy(d[1]);
  }
  assert_int_equal(count_readable(whole), 10);
  assert_int_equal(imgrec_dataset_readable(whole, -1), 0);
  assert_int_equal(imgrec_dataset_readable(whole, 12), 0);
  imgrec_dataset_destroy(whole);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_examine__finds_all),
      cmocka_unit_test(test_examine__exact_only),
      cmocka_unit_test(test_examine__packed),
      cmocka_unit_test(test_examine__progress_and_cancel),
      cmocka_unit_test(test_examine__decode_hook),
      cmocka_unit_test(test_examine__arguments),
      cmocka_unit_test(test_examine__unreadable_of_a_split),
      cmocka_unit_test(test_examine__every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
