/* SPDX-License-Identifier: MIT */
/* Tests of lib/train/loss.c: cross-entropy and its gradient against f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "golden/optim.h"
#include "nets.h"
#include "reference.h"
#include "train/train.h"

enum { MAX = 1024 };

static float *new_numbers(size_t n, uint64_t stream) {
  float *p = malloc(n * sizeof *p);
  assert_non_null(p);
  fill_random(p, n, stream, -3, 3);
  return p;
}

/* loss = log(sum of exp z) sum(t) - sum of t z; its gradient, softmax(z) - t,
 * where t sums to 1. */
static double exact(const float *z, const double *t, size_t n, double *dz) {
  double max = -INFINITY, sum = 0, total = 0, dot = 0;
  for (size_t i = 0; i < n; i++)
    max = fmax(max, (double)z[i]);
  for (size_t i = 0; i < n; i++) {
    sum += exp((double)z[i] - max);
    total += t[i];
    dot += t[i] * ((double)z[i] - max);
  }
  for (size_t i = 0; i < n; i++)
    dz[i] = exp((double)z[i] - max) / sum - t[i];
  return log(sum) * total - dot;
}

/* Bounds: 4e-7 of the greatest logit for a loss (it is a difference of two
 * f32 numbers of that size), 1e-6 for a gradient. */
static void check_row(imgrec_context *ctx, const float *z, size_t n,
                      const float *soft, int32_t target) {
  double t[MAX] = {0}, wanted[MAX], loss = 1, scale = 1;
  float dz[MAX];
  size_t correct = 0;
  for (size_t i = 0; i < n; i++) {
    t[i] = soft ? (double)soft[i] : (double)(i == (size_t)target);
    scale = fmax(scale, fabs((double)z[i]));
  }
  const struct targets targets = {.classes = soft ? NULL : &target,
                                  .probabilities = soft};
  imgrec__cross_entropy(ctx, z, &targets, 1, n, 0.5F, dz, &loss, &correct);
  double right = exact(z, t, n, wanted);
  assert_true(fabs(loss - 1 - right) <= 4e-7 * scale + 1e-6 * right);
  assert_true(loss >= 1 - 1e-6 * scale);
  for (size_t i = 0; i < n; i++)
    assert_true(fabs((double)dz[i] - wanted[i] / 2) <= 1e-6);
}

static void each_table(void (*check)(imgrec_context *ctx)) {
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    if (imgrec__kernels_for(isa)) {
      imgrec_context *ctx = new_context(1, isa);
      check(ctx);
      imgrec_context_destroy(ctx);
    }
}

static void random_rows(imgrec_context *ctx) {
  static const size_t sizes[] = {1, 2, 3, 10, 17, 100, 1000};
  float z[MAX];
  for (int i = 0; i < 7; i++)
    for (int spread = 1; spread <= 100; spread *= 10) {
      fill_random(z, sizes[i], (uint64_t)i, (float)-spread, (float)spread);
      check_row(ctx, z, sizes[i], NULL, (int32_t)(sizes[i] / 2));
    }
}

static void test_loss__random(void **state) {
  (void)state;
  each_table(random_rows);
}

static void extreme_rows(imgrec_context *ctx) {
  const float rows[][4] = {
      {0, 0, 0, 0},          {1000, -1000, 0, 1}, {-1000, -1000, -1000, -999},
      {1e30F, 0, 0, -1e30F}, {88, 89, 90, 91},    {-1e-30F, 1e-30F, 0, 0},
      {104, 0, 0, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int32_t target = 0; target < 4; target++)
      check_row(ctx, rows[i], 4, NULL, target);
}

static void test_loss__extreme_logits(void **state) {
  (void)state;
  each_table(extreme_rows);
}

static void soft_rows(imgrec_context *ctx) {
  float z[10], t[10], sum = 0;
  for (uint64_t seed = 0; seed < 20; seed++, sum = 0) {
    fill_random(z, 10, seed, -5, 5);
    fill_random(t, 10, seed + 100, 0, 1);
    for (int i = 0; i < 10; i++)
      sum += t[i];
    for (int i = 0; i < 10; i++)
      t[i] /= sum;
    check_row(ctx, z, 10, t, 0);
  }
  const float one[4] = {0, 1, 0, 0}, logits[4] = {1000, -1000, 0, 1};
  check_row(ctx, logits, 4, one, 0);
}

static void test_loss__soft_labels(void **state) {
  (void)state;
  each_table(soft_rows);
}

/* A class and the same as probabilities are the same loss and gradient. */
static void test_loss__hard_is_soft(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_SCALAR);
  const float z[3] = {1, 2, 4}, soft[3] = {0, 1, 0};
  const int32_t hard = 1;
  const struct targets a = {.classes = &hard}, b = {.probabilities = soft};
  double loss_a = 0, loss_b = 0;
  size_t right = 0;
  float da[3], db[3];
  imgrec__cross_entropy(ctx, z, &a, 1, 3, 1, da, &loss_a, &right);
  imgrec__cross_entropy(ctx, z, &b, 1, 3, 1, db, &loss_b, &right);
  assert_true(loss_a == loss_b);
  assert_memory_equal(da, db, sizeof da);
  imgrec_context_destroy(ctx);
}

/* Losses add up over rows; the first of equal logits is the answer. */
static void test_loss__counts(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_SCALAR);
  const float z[4][3] = {{5, 1, 1}, {2, 2, 0}, {2, 2, 0}, {0, 0, 1}};
  const int32_t classes[4] = {0, 0, 1, 2};
  const struct targets t = {.classes = classes};
  double loss = 0, each = 0;
  size_t correct = 0;
  imgrec__cross_entropy(ctx, z[0], &t, 4, 3, 1, NULL, &loss, &correct);
  assert_int_equal(correct, 3);
  for (int i = 0; i < 4; i++) {
    const struct targets one = {.classes = classes + i};
    imgrec__cross_entropy(ctx, z[i], &one, 1, 3, 1, NULL, &each, &correct);
  }
  assert_true(loss == each && loss > 0);
  imgrec_context_destroy(ctx);
}

/* Many rows, in several blocks and tasks: what they give one by one. */
static void test_loss__many_rows(void **state) {
  (void)state;
  enum { ROWS = 600, CLASSES = 300 };
  float *z = new_numbers(ROWS * CLASSES, 1),
        *dz = new_numbers(ROWS * CLASSES, 2);
  float *soft = new_numbers(ROWS * CLASSES, 3), one[CLASSES];
  int32_t classes[ROWS];
  for (int32_t i = 0; i < ROWS; i++)
    classes[i] = i * 7 % CLASSES;
  for (int threads = 1; threads <= 4; threads += 3)
    for (int hard = 0; hard < 2; hard++) {
      imgrec_context *ctx = new_context(threads, IMGREC_ISA_AUTO);
      const struct targets t = {.classes = hard ? classes : NULL,
                                .probabilities = hard ? NULL : soft};
      double loss = 0.5, wanted = 0.5;
      size_t correct = 0, right = 0;
      imgrec__cross_entropy(ctx, z, &t, ROWS, CLASSES, 0.25F, dz, &loss,
                            &correct);
      for (size_t i = 0; i < ROWS; i++) {
        const struct targets row = {.classes = hard ? classes + i : NULL,
                                    .probabilities =
                                        hard ? NULL : soft + i * CLASSES};
        imgrec__cross_entropy(ctx, z + i * CLASSES, &row, 1, CLASSES, 0.25F,
                              one, &wanted, &right);
        assert_memory_equal(one, dz + i * CLASSES, sizeof one);
      }
      assert_true(loss == wanted && correct == right);
      imgrec_context_destroy(ctx);
    }
  free(z);
  free(dz);
  free(soft);
}

/* ---- Smoothed and weighted targets, as PyTorch has them ------------------ */

enum { GOLDEN_ROWS = 3, GOLDEN_CLASSES = 4 };

/* golden: the sum of losses, and the gradient of each logit. */
static void check_golden(const struct targets *t, const double *golden) {
  float z[GOLDEN_ROWS * GOLDEN_CLASSES], dz[GOLDEN_ROWS * GOLDEN_CLASSES];
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  double loss = 0;
  size_t correct = 0;
  for (int r = 0; r < GOLDEN_ROWS; r++)
    for (int c = 0; c < GOLDEN_CLASSES; c++)
      z[r * GOLDEN_CLASSES + c] =
          (float)((r * 29 + c * 41 + 5) % 64 - 32) / 8.0F;
  imgrec__cross_entropy(ctx, z, t, GOLDEN_ROWS, GOLDEN_CLASSES, 1, dz, &loss,
                        &correct);
  assert_true(fabs(loss - golden[0]) < 1e-5);
  for (int i = 0; i < GOLDEN_ROWS * GOLDEN_CLASSES; i++)
    assert_true(fabs((double)dz[i] - golden[1 + i]) < 1e-6);
  imgrec_context_destroy(ctx);
}

static void test_loss__golden(void **state) {
  static const int32_t classes[] = {2, 0, 3};
  static const float soft[] = {0.5F, 0.25F, 0.25F,  0,      0,     1,
                               0,    0,     0.125F, 0.125F, 0.25F, 0.5F};
  static const float weights[] = {0.5F, 2, 1, 1.5F};
  struct targets hard = {.classes = classes, .smoothing = 0.1F};
  struct targets given = {.probabilities = soft, .smoothing = 0.1F};
  (void)state;
  check_golden(&hard, golden_smooth);
  check_golden(&given, golden_smooth_soft);
  hard.weights = given.weights = weights;
  check_golden(&hard, golden_weighted_smooth);
  hard.smoothing = given.smoothing = 0;
  check_golden(&hard, golden_weighted);
  check_golden(&given, golden_weighted_soft);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_loss__random),
      cmocka_unit_test(test_loss__extreme_logits),
      cmocka_unit_test(test_loss__soft_labels),
      cmocka_unit_test(test_loss__hard_is_soft),
      cmocka_unit_test(test_loss__counts),
      cmocka_unit_test(test_loss__many_rows),
      cmocka_unit_test(test_loss__golden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
