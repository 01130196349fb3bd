/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/mirror_trial.c and augment_choose.c on made-up classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/data.h"
#include "nets.h"

enum { SIDE = 24 };

static imgrec_context *ctx;

static int setup(void **state) {
  (void)state;
  ctx = new_context(2, IMGREC_ISA_AUTO);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

/* A picture of a class: 0 to 255 at (y, x) of [0, 1), before noise. */
typedef double (*paint_fn)(int label, double y, double x);

/* A slanted line at a height of its own: no mirror image is another class. */
static double slanted(int label, double y, double x) {
  double at = y - 0.3 * x - 0.15 * label;
  return at > 0 && at < 0.12 ? 220 : 20;
}

/* Bars that are as they are mirrored, at heights of their own. */
static double level(int label, double y, double x) {
  (void)x;
  return y * 5 > label && y * 5 < label + 1 ? 220 : 20;
}

/* Arrows: 0 to the left, 1 to the right, the rest up from the middle. */
static double arrow(int label, double y, double x) {
  double side = label == 0 ? x : 1 - x, off = y > 0.5 ? y - 0.5 : 0.5 - y;
  if (label < 2)
    return off < side * 0.4 ? 220 : 20;
  return y * 10 > label && y * 10 < label + 1 ? 220 : 20;
}

/* Rings, which are alike from all sides. */
static double ring(int label, double y, double x) {
  double d = (y - 0.5) * (y - 0.5) + (x - 0.5) * (x - 0.5);
  double wide = 0.04 * (label + 1);
  return d < wide && d > wide - 0.04 ? 220 : 20;
}

static imgrec_dataset *painted(paint_fn paint, int n, int classes, int noise,
                               int channels) {
  imgrec_tensor *x = new_tensor(ctx, IMGREC_U8, 4, n, SIDE, SIDE, channels);
  imgrec_tensor *y = new_tensor(ctx, IMGREC_I32, 1, n, 1, 1, 1);
  imgrec_dataset *d = NULL;
  unsigned char *p = imgrec_tensor_data(x);
  for (int i = 0; i < n; i++) {
    uint64_t draw = (uint64_t)i << 16;
    double dy = (double)imgrec__random_unit(1, 1, draw) * 0.08;
    double dx = (double)imgrec__random_unit(1, 2, draw) * 0.08;
    ((int32_t *)imgrec_tensor_data(y))[i] = i % classes;
    for (int k = 0; k < SIDE * SIDE; k++) {
      double v = paint(i % classes, (k / SIDE + 0.5) / SIDE + dy - 0.04,
                       (k % SIDE + 0.5) / SIDE + dx - 0.04);
      v += noise * (double)imgrec__random_unit(1, 3, draw + (uint64_t)k);
      for (int c = 0; c < channels; c++)
        *p++ = (unsigned char)(v > 255 ? 255 : v);
    }
  }
  assert_ok(ctx, imgrec_dataset_from_memory(&d, ctx, x, y, classes));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return d;
}

static imgrec_preprocess input(int side, int channels) {
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = side;
  p.channels = channels;
  return p;
}

static struct mirror_trial try(paint_fn paint, int n, int classes, int noise) {
  imgrec_dataset *d = painted(paint, n, classes, noise, 1);
  imgrec_preprocess p = input(SIDE, 1);
  struct mirror_trial t;
  assert_ok(ctx, imgrec__mirror_trial(&t, d, &p));
  imgrec_dataset_destroy(d);
  return t;
}

static void test_mirror_trial__slanted(void **state) {
  (void)state;
  struct mirror_trial t = try(slanted, 300, 5, 60);
  assert_int_equal(t.images, 300);
  assert_true(t.right[0] > 280 && t.right[1] < 200);
  assert_true(t.evidence && t.matters[1] && !t.matters[0]);
}

static void test_mirror_trial__level(void **state) {
  (void)state;
  struct mirror_trial t = try(level, 300, 5, 60);
  assert_true(t.right[0] > 280 && t.right[1] > 280 && t.right[2] < 100);
  assert_true(t.evidence && !t.matters[1] && t.matters[2]);
}

/* Few of all images, but two classes become each other. */
static void test_mirror_trial__exchanged(void **state) {
  (void)state;
  struct mirror_trial t = try(arrow, 800, 10, 30);
  assert_true(t.evidence && t.right[0] > 750);
  assert_true(4 * (t.right[0] - t.right[1]) < t.right[0]);
  assert_true(t.matters[1]);
}

static void test_mirror_trial__ring(void **state) {
  (void)state;
  struct mirror_trial t = try(ring, 400, 4, 60);
  assert_true(t.evidence && !t.matters[1] && !t.matters[2]);
}

/* Nothing to see: nothing is claimed. */
static void test_mirror_trial__noise(void **state) {
  (void)state;
  struct mirror_trial t = try(ring, 300, 1, 235);
  assert_false(t.evidence);
  t = try(level, 39, 3, 60);
  assert_int_equal(t.images, 0);
  assert_false(t.matters[1] || t.evidence);
}

/* ---- The choice --------------------------------------------------------- */

static imgrec_augment choose(paint_fn paint, int n, int channels, int side,
                             char reason[256]) {
  imgrec_dataset *d = painted(paint, n, 4, 60, channels);
  imgrec_preprocess p = input(side, channels);
  imgrec_augment a, again;
  imgrec_augment_init(&a, sizeof a);
  imgrec_augment_init(&again, sizeof again);
  assert_ok(ctx, imgrec_augment_choose(&a, d, &p, reason, 256));
  assert_ok(ctx, imgrec_augment_choose(&again, d, &p, NULL, 0));
  assert_memory_equal(&a, &again, sizeof a);
  imgrec_dataset_destroy(d);
  return a;
}

static int says(const char *reason, const char *words) {
  if (strstr(reason, words))
    return 1;
  print_error("'%s' does not say '%s'\n", reason, words);
  return 0;
}

static void test_augment_choose__slanted_is_not_mirrored(void **state) {
  (void)state;
  char reason[256];
  for (int channels = 1; channels <= 3; channels += 2) {
    imgrec_augment a = choose(slanted, 400, channels, 24, reason);
    assert_true(a.flip == 0 && a.flip_vertical == 0);
    assert_true(a.shift > 0 || a.crop > 0);
    assert_true(says(reason, "never mirrored: in a trial 100 % of the images"));
    assert_true(says(reason, channels == 1 ? "small grey images, 100 a class"
                                           : "small colour images, 100 a"));
  }
}

static void test_augment_choose__level_is(void **state) {
  (void)state;
  char reason[256];
  imgrec_augment a = choose(level, 400, 3, 24, reason);
  assert_true(a.flip == 0.5F && a.flip_vertical == 0 && a.crop > 0);
  assert_true(says(reason, "mirrored too: in a trial 100 % of the images were "
                           "recognised, 100 % when mirrored; small colour"));
  a = choose(level, 400, 3, 64, reason);
  assert_true(a.flip == 0.5F && a.area > 0 && a.crop == 0);
  assert_true(says(reason, "large colour images"));
}

static void test_augment_choose__ring_from_all_sides(void **state) {
  (void)state;
  char reason[256];
  imgrec_augment a = choose(ring, 400, 3, 24, reason);
  assert_true(a.flip == 0.5F && a.flip_vertical == 0.5F);
  assert_true(says(reason, "% upside down; "));
}

/* Without a trial: colour is taken for photos, grey is not. */
static void test_augment_choose__too_few(void **state) {
  (void)state;
  char reason[256];
  imgrec_augment a = choose(level, 20, 3, 24, reason);
  assert_true(a.flip == 0.5F && a.brightness > 0);
  assert_true(says(reason, "mirrored too, as photos may be"));
  a = choose(level, 20, 1, 24, reason);
  assert_true(a.flip == 0);
  assert_true(says(reason, "the images are grey and a trial says nothing"));
}

/* New names for the classes of a painted set, through a model's labels. */
static imgrec_augment choose_named(const char *const names[4], char *reason) {
  imgrec_dataset *d = painted(level, 400, 4, 60, 3);
  imgrec_preprocess p = input(24, 3);
  imgrec_augment a;
  imgrec__strings_free(&d->labels);
  imgrec__strings_init(&d->labels, &ctx->allocator);
  for (int i = 0; i < 4; i++)
    imgrec__strings_add(&d->labels, names[i], strlen(names[i]));
  imgrec_augment_init(&a, sizeof a);
  assert_ok(ctx, imgrec_augment_choose(&a, d, &p, reason, 256));
  imgrec_dataset_destroy(d);
  return a;
}

static void test_augment_choose__names(void **state) {
  (void)state;
  static const char *const refused[][4] = {{"stop", "turn_left", "go", "yield"},
                                           {"Right-hand", "b", "c", "1"},
                                           {"a", "B", "c", "dog"}};
  static const char *const accepted[4] = {"leftover", "bright", "x", "cat"};
  char reason[256];
  for (int i = 0; i < 3; i++) {
    assert_true(choose_named(refused[i], reason).flip == 0);
    assert_true(says(reason, "never mirrored, as a class is called '"));
  }
  assert_true(choose_named(accepted, reason).flip == 0.5F);
}

static void test_augment_choose__refused(void **state) {
  (void)state;
  imgrec_dataset *d = painted(level, 8, 4, 60, 1);
  imgrec_preprocess p = input(24, 1);
  imgrec_augment a;
  char reason[8];
  imgrec_augment_init(&a, sizeof a);
  assert_int_equal(imgrec_augment_choose(&a, NULL, &p, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_augment_choose(NULL, d, &p, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_augment_choose(&a, d, NULL, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_ok(ctx, imgrec_augment_choose(&a, d, &p, reason, sizeof reason));
  assert_int_equal(strlen(reason), 7);
  p.channels = 2;
  assert_int_equal(imgrec_augment_choose(&a, d, &p, NULL, 0),
                   IMGREC_ERR_ARGUMENT);
  imgrec_dataset_destroy(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mirror_trial__slanted),
      cmocka_unit_test(test_mirror_trial__level),
      cmocka_unit_test(test_mirror_trial__exchanged),
      cmocka_unit_test(test_mirror_trial__ring),
      cmocka_unit_test(test_mirror_trial__noise),
      cmocka_unit_test(test_augment_choose__slanted_is_not_mirrored),
      cmocka_unit_test(test_augment_choose__level_is),
      cmocka_unit_test(test_augment_choose__ring_from_all_sides),
      cmocka_unit_test(test_augment_choose__too_few),
      cmocka_unit_test(test_augment_choose__names),
      cmocka_unit_test(test_augment_choose__refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
