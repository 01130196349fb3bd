/* SPDX-License-Identifier: MIT */
/* Tests of lib/data/mix.c: pairs, shares, targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "data/data.h"
#include "nets.h"

enum { N = 9, H = 8, W = 10, C = 3, CLASSES = 5, IMAGE = H * W * C };

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

struct batch {
  imgrec_tensor *x, *targets, *labels;
  float before[N * IMAGE];
};

/* Image i has values in [i, i + 1). */
static void make(struct batch *b, int n) {
  b->x = new_tensor(ctx, IMGREC_F32, 4, n, H, W, C);
  b->targets = new_tensor(ctx, IMGREC_F32, 2, n, CLASSES, 1, 1);
  b->labels = new_tensor(ctx, IMGREC_I32, 1, n, 1, 1, 1);
  for (int i = 0; i < n; i++) {
    fill_random(b->before + i * IMAGE, IMAGE, (uint64_t)i, (float)i,
                (float)i + 0.999F);
    ((int32_t *)imgrec_tensor_data(b->labels))[i] = i % CLASSES;
  }
  memcpy(imgrec_tensor_data(b->x), b->before, (size_t)n * IMAGE * 4);
}

static void release(struct batch *b) {
  imgrec_tensor_destroy(b->x);
  imgrec_tensor_destroy(b->targets);
  imgrec_tensor_destroy(b->labels);
}

static const float *floats(const imgrec_tensor *t) {
  return imgrec_tensor_const_data(t);
}

static void mix(struct batch *b, const char *text, uint64_t epoch,
                uint64_t first) {
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  assert_ok(ctx, imgrec_augment_parse(&a, ctx, text));
  assert_ok(ctx, imgrec_augment_mix(b->x, b->targets, b->labels, &a, 3, epoch,
                                    first));
}

/* The share of its own that image i kept, by its targets. */
static float check_targets(const struct batch *b, int i, int n) {
  const float *t = floats(b->targets) + i * CLASSES;
  int own = i % CLASSES, other = (n - 1 - i) % CLASSES;
  float sum = 0;
  for (int k = 0; k < CLASSES; k++) {
    sum += t[k];
    if (k != own && k != other)
      assert_true(t[k] == 0);
    assert_true(t[k] >= 0 && t[k] <= 1);
  }
  assert_float_equal(sum, 1, 1e-6);
  return own == other ? -1 : t[own];
}

static void test_mix__mixup(void **state) {
  (void)state;
  for (uint64_t epoch = 1; epoch < 20; epoch++) {
    struct batch b;
    make(&b, N);
    mix(&b, "mixup=0.4", epoch, 100);
    for (int i = 0; i < N; i++) {
      float share = check_targets(&b, i, N);
      const float *x = floats(b.x) + i * IMAGE, *own = b.before + i * IMAGE;
      const float *other = b.before + (N - 1 - i) * IMAGE;
      if (i == N / 2)
        assert_memory_equal(x, own, sizeof(float) * IMAGE);
      else if (share >= 0)
        for (int k = 0; k < IMAGE; k++)
          assert_float_equal(x[k], share * own[k] + (1 - share) * other[k],
                             1e-5);
    }
    release(&b);
  }
}

/* A rectangle comes from the other; the share is what is left, exactly. */
static void test_mix__cutmix(void **state) {
  (void)state;
  int whole = 0, cut = 0;
  for (uint64_t epoch = 1; epoch < 60; epoch++) {
    struct batch b;
    make(&b, N);
    mix(&b, "cutmix=1", epoch, 0);
    for (int i = 0; i < N; i++) {
      const float *x = floats(b.x) + i * IMAGE;
      int top = H, left = W, bottom = -1, right = -1, count = 0;
      for (int k = 0; k < H * W; k++) {
        int from = (int)x[k * C];
        assert_true(from == i || from == N - 1 - i);
        assert_memory_equal(x + k * C, b.before + from * IMAGE + k * C,
                            sizeof(float) * C);
        if (from == i)
          continue;
        count++;
        top = k / W < top ? k / W : top;
        bottom = k / W > bottom ? k / W : bottom;
        left = k % W < left ? k % W : left;
        right = k % W > right ? k % W : right;
      }
      if (count > 0)
        assert_int_equal(count, (bottom - top + 1) * (right - left + 1));
      float share = check_targets(&b, i, N);
      if (share >= 0)
        assert_float_equal(share, 1 - (double)count / (H * W), 1e-6);
      whole += count == 0;
      cut += count > H * W / 4;
    }
    release(&b);
  }
  assert_true(cut > 59 * N / 4 && whole < 59 * N / 2);
}

/* One of the two for each pair, each about as often. */
static void test_mix__both(void **state) {
  (void)state;
  int blended = 0, pairs = 0;
  for (uint64_t epoch = 1; epoch < 100; epoch++) {
    struct batch b;
    make(&b, N);
    mix(&b, "cutmix=1,mixup=1", epoch, 0);
    for (int i = 0; i < N / 2; i++) {
      const float *x = floats(b.x) + i * IMAGE;
      int found = 0;
      for (int k = 0; k < IMAGE; k++)
        found |= x[k] != b.before[i * IMAGE + k] &&
                 x[k] != b.before[(N - 1 - i) * IMAGE + k];
      blended += found;
      pairs++;
    }
    release(&b);
  }
  assert_in_range(blended, pairs * 4 / 10, pairs * 6 / 10);
}

static void test_mix__neither(void **state) {
  (void)state;
  struct batch b;
  make(&b, 4);
  mix(&b, "flip", 1, 0);
  assert_memory_equal(floats(b.x), b.before, sizeof(float) * 4 * IMAGE);
  for (int i = 0; i < 4; i++)
    assert_true(check_targets(&b, i, 4) == 1);
  release(&b);
}

/* Mean 1/2 and variance 1 / (4 (2 alpha + 1)). */
static void test_mix__beta(void **state) {
  (void)state;
  static const char *const texts[] = {"mixup=0.1", "mixup=0.2", "mixup=1",
                                      "mixup=2"};
  static const double alphas[] = {0.1, 0.2, 1, 2};
  for (int k = 0; k < 4; k++) {
    double sum = 0, squares = 0;
    int n = 0;
    for (uint64_t epoch = 1; epoch < 1500; epoch++) {
      struct batch b;
      make(&b, 8);
      mix(&b, texts[k], epoch, 50);
      for (int i = 0; i < 4; i++) {
        double share = (double)check_targets(&b, i, 8);
        if (share < 0)
          continue;
        n++;
        sum += share - 0.5;
        squares += (share - 0.5) * (share - 0.5);
      }
      release(&b);
    }
    double variance = 1 / (4 * (2 * alphas[k] + 1));
    assert_true(fabs(sum / n) < 4 * sqrt(variance / n));
    assert_true(fabs(squares / n / variance - 1) < 0.05);
  }
}

/* By the place in the epoch, on any number of threads. */
static void test_mix__repeats(void **state) {
  (void)state;
  struct batch a, b;
  for (int i = 0; i < 3; i++) {
    make(&a, N);
    mix(&a, "mixup=1,cutmix=1", 1, 7);
    imgrec_context *two = ctx;
    ctx = new_context(1 + i, i == 0 ? IMGREC_ISA_SCALAR : IMGREC_ISA_AUTO);
    make(&b, N);
    mix(&b, "mixup=1,cutmix=1", i == 1 ? 2 : 1, 7);
    int same = memcmp(floats(a.x), floats(b.x), sizeof a.before) == 0;
    assert_int_equal(same, i != 1);
    release(&b);
    imgrec_context_destroy(ctx);
    ctx = two;
    release(&a);
  }
}

static void test_mix__refused(void **state) {
  (void)state;
  struct batch b;
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  a.mixup = 1;
  make(&b, 4);
  assert_int_equal(imgrec_augment_mix(NULL, b.targets, b.labels, &a, 0, 0, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(imgrec_augment_mix(b.x, NULL, b.labels, &a, 0, 0, 0),
                   IMGREC_ERR_ARGUMENT);
  assert_int_equal(
      imgrec_augment_mix(b.targets, b.targets, b.labels, &a, 0, 0, 0),
      IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_augment_mix(b.x, b.x, b.labels, &a, 0, 0, 0),
                   IMGREC_ERR_SHAPE);
  assert_int_equal(imgrec_augment_mix(b.x, b.targets, b.targets, &a, 0, 0, 0),
                   IMGREC_ERR_SHAPE);
  ((int32_t *)imgrec_tensor_data(b.labels))[2] = CLASSES;
  assert_fails(ctx, imgrec_augment_mix(b.x, b.targets, b.labels, &a, 0, 0, 0),
               IMGREC_ERR_ARGUMENT,
               "augment_mix: label 5 is no class; targets have 5");
  assert_memory_equal(floats(b.x), b.before, sizeof(float) * 4 * IMAGE);
  release(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mix__mixup),   cmocka_unit_test(test_mix__cutmix),
      cmocka_unit_test(test_mix__both),    cmocka_unit_test(test_mix__neither),
      cmocka_unit_test(test_mix__beta),    cmocka_unit_test(test_mix__repeats),
      cmocka_unit_test(test_mix__refused),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
