/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/balance.c: passes with as many images of each class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "dataset_files.h"
#include "failing_alloc.h"

/* 40 images of one pixel, their number: 30 of class 0, 8 of class 2, 2 of
 * class 3, none of class 1. */
enum { IMAGES = 40, CLASSES = 4 };

static int class_of(int image) { return image < 30 ? 0 : image < 38 ? 2 : 3; }

static imgrec_dataset *uneven(imgrec_context *ctx) {
  unsigned char pixels[IMAGES];
  int32_t labels[IMAGES];
  const int64_t shape[4] = {IMAGES, 1, 1, 1};
  imgrec_tensor *x, *y;
  imgrec_dataset *d = NULL;
  for (int i = 0; i < IMAGES; i++) {
    pixels[i] = (unsigned char)i;
    labels[i] = class_of(i);
  }
  assert_int_equal(imgrec_tensor_wrap(&x, ctx, IMGREC_U8, 4, shape, pixels), 0);
  assert_int_equal(imgrec_tensor_wrap(&y, ctx, IMGREC_I32, 1, shape, labels),
                   0);
  assert_int_equal(imgrec_dataset_from_memory(&d, ctx, x, y, CLASSES), 0);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return d;
}

static struct loader *new_loader(imgrec_dataset *d, int balanced) {
  imgrec_preprocess p;
  struct loader *l = NULL;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = p.channels = 1;
  p.scale = 1;
  assert_int_equal(imgrec__loader_create(&l, d, &p, 8), 0);
  if (balanced)
    assert_int_equal(imgrec__loader_balance(l), 0);
  return l;
}

/* The images of a pass and their classes, each the first float. */
struct pass {
  int count, images[IMAGES], classes[IMAGES];
};

static struct pass run_pass(struct loader *l, int shuffle, uint64_t seed,
                            uint64_t epoch) {
  struct pass r = {.count = 0};
  const float *x;
  const int32_t *labels;
  size_t n;
  assert_int_equal(imgrec__loader_start(l, shuffle, seed, epoch), 0);
  while (imgrec__loader_next(l, &x, &labels, &n) >= 0 && n > 0)
    for (size_t i = 0; i < n; i++) {
      assert_true(r.count < IMAGES);
      r.images[r.count] = (int)x[i];
      r.classes[r.count++] = labels[i];
    }
  return r;
}

/* 14 + 13 + 13: of 30 images 14 once, of 8 each once or twice, of 2 each six
 * or seven times. */
static void check_balanced(const struct pass *r) {
  static const int wanted[CLASSES] = {14, 0, 13, 13};
  static const int least[CLASSES] = {0, 0, 1, 6}, most[CLASSES] = {1, 0, 2, 7};
  int classes[CLASSES] = {0}, times[IMAGES] = {0};
  assert_int_equal(r->count, IMAGES);
  for (int i = 0; i < r->count; i++) {
    classes[r->classes[i]]++;
    times[r->images[i]]++;
    assert_int_equal(r->classes[i], class_of(r->images[i]));
  }
  assert_memory_equal(classes, wanted, sizeof wanted);
  for (int i = 0; i < IMAGES; i++)
    assert_in_range(times[i], least[class_of(i)], most[class_of(i)]);
}

static int same_pass(const struct pass *a, const struct pass *b) {
  return memcmp(a->images, b->images, sizeof a->images) == 0;
}

static void test_balance__passes(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *d = uneven(ctx);
  struct loader *l = new_loader(d, 1);
  const struct pass a = run_pass(l, 1, 7, 0), b = run_pass(l, 1, 7, 1);
  const struct pass again = run_pass(l, 1, 7, 0), other = run_pass(l, 1, 8, 0);
  check_balanced(&a);
  check_balanced(&b);
  assert_true(same_pass(&a, &again));
  assert_false(same_pass(&a, &b) || same_pass(&a, &other));
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* One pass is not sorted by class, and one in order has each image once. */
static void test_balance__shuffles(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1);
  imgrec_dataset *d = uneven(ctx);
  struct loader *l = new_loader(d, 1);
  const struct pass r = run_pass(l, 1, 7, 0), plain = run_pass(l, 0, 0, 0);
  int changes = 0;
  for (int i = 1; i < IMAGES; i++)
    changes += r.classes[i] != r.classes[i - 1];
  assert_in_range(changes, 16, 36);
  for (int i = 0; i < IMAGES; i++)
    assert_int_equal(plain.images[i], i);
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

/* Files, of which images come several times in what is decoded at once: kept or
 * not, on any number of threads, the same. */
static void test_balance__kept_images(void **state) {
  char root[256], name[32];
  (void)state;
  fresh_folder(root, "balance");
  for (int i = 0; i < IMAGES; i++) {
    snprintf(name, sizeof name, "c%d/%02d.pgm", class_of(i), i);
    put_grey(root, name, 1, 1, i);
  }
  for (int threads = 1; threads <= 4; threads++) {
    imgrec_context *ctx = new_context(threads);
    imgrec_dataset *d = NULL;
    assert_int_equal(open_part(&d, ctx, root, NULL, IMGREC_PART_ANY), 0);
    struct loader *l = new_loader(d, 1), *keeps = new_loader(d, 1);
    imgrec__loader_keep(keeps, 1 << 20);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
      const struct pass a = run_pass(l, 1, 7, epoch);
      const struct pass b = run_pass(keeps, 1, 7, epoch);
      assert_true(same_pass(&a, &b));
    }
    imgrec__loader_destroy(l);
    imgrec__loader_destroy(keeps);
    imgrec_dataset_destroy(d);
    imgrec_context_destroy(ctx);
  }
}

static void test_balance__no_memory(void **state) {
  struct failing alloc;
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  (void)state;
  memset(&alloc, 0, sizeof alloc);
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.alloc = failing_alloc;
  o.free = failing_free;
  o.alloc_user = &alloc;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  imgrec_dataset *d = uneven(ctx);
  struct loader *l = new_loader(d, 0);
  long live = alloc.live_blocks;
  for (int n = 1; n <= 5; n++) {
    alloc.calls = 0;
    alloc.fail_at = n;
    assert_int_equal(imgrec__loader_balance(l), IMGREC_ERR_MEMORY);
    alloc.fail_at = 0;
    assert_int_equal(alloc.live_blocks, live);
  }
  assert_int_equal(imgrec__loader_balance(l), 0);
  assert_int_equal(imgrec__loader_balance(l), 0); /* has it */
  imgrec__loader_destroy(l);
  imgrec_dataset_destroy(d);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_balance__passes),
      cmocka_unit_test(test_balance__shuffles),
      cmocka_unit_test(test_balance__kept_images),
      cmocka_unit_test(test_balance__no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
