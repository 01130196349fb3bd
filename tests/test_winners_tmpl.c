/* SPDX-License-Identifier: MIT */
/* Gradients by what won, on every table: the definition, bit for bit. */
#include "kernel_calls.h"

/* windows[0] x windows[1] windows of one filter out of `next[1]`. */
struct winners_case {
  struct winners w;
  float *d, *x, *weights;
  uint8_t *won;
  size_t floats; /* of x */
};

/* channels: of x, whose pixels lie together. */
static struct winners_case some_case(size_t channels, enum values v) {
  struct winners_case t = {0};
  struct winners *w = &t.w;
  size_t filters = 1 + below(5), kernel = 1 + below(7), stride = 1 + below(2);
  w->windows[0] = 1 + below(3);
  w->windows[1] = 1 + below(6);
  w->next[1] = filters;
  w->next[0] = w->windows[1] * filters;
  w->rows = 1 + below(7);
  w->run = kernel * channels;
  size_t line = ((2 * w->windows[1] - 1) * stride + kernel) * channels;
  w->jump = line;
  w->stride[1] = 2 * stride * channels;
  w->stride[0] = 2 * stride * line;
  w->tap[1] = (ptrdiff_t)(stride * channels);
  w->tap[0] = (ptrdiff_t)(stride * line);
  t.floats = ((2 * w->windows[0] - 1) * stride + w->rows) * line;
  size_t n = w->windows[0] * w->next[0];
  t.d = numbers(n, v);
  t.x = numbers(t.floats, v);
  t.weights = numbers(w->rows * w->run, v);
  t.won = malloc(n);
  for (size_t i = 0; i < n; i++) {
    t.won[i] = (uint8_t)below(5);
    if (t.won[i] == 4)
      t.d[i] = 0;
  }
  size_t filter = below(filters);
  w->d = t.d + filter;
  w->won = t.won + filter;
  return t;
}

static void free_case(const struct winners_case *t) {
  free(t->d);
  free(t->x);
  free(t->weights);
  free(t->won);
}

/* By the definition: sum += d x, or x += d weights, in this order. */
static void define(const struct winners *w, float *sum, float *x,
                   const float *weights) {
  for (size_t i = 0; i < w->windows[0] * w->windows[1]; i++) {
    size_t wy = i / w->windows[1], wx = i % w->windows[1];
    size_t at = wy * w->next[0] + wx * w->next[1];
    int tap = w->won[at] == 4 ? 0 : w->won[at];
    ptrdiff_t from = (ptrdiff_t)(wy * w->stride[0] + wx * w->stride[1]) +
                     tap / 2 * w->tap[0] + tap % 2 * w->tap[1];
    for (size_t r = 0; r < w->rows; r++)
      for (size_t j = 0; j < w->run; j++) {
        float *p = &x[from + (ptrdiff_t)(r * w->jump + j)];
        size_t k = r * w->run + j;
        if (sum)
          sum[k] = fmaf(w->d[at], *p, sum[k]);
        else
          *p = fmaf(w->d[at], weights[k], *p);
      }
  }
}

static uint32_t *copy_of(const float *p, size_t n) {
  uint32_t *copy = guarded(n);
  for (size_t i = 0; i < n; i++)
    memcpy(&copy[i], &p[i], sizeof *p);
  return copy;
}

static void check_sum(const struct kernels *k, size_t channels, enum values v) {
  const struct winners_case t = some_case(channels, v);
  size_t n = t.w.rows * t.w.run;
  int accumulate = (int)below(2);
  uint32_t *got = copy_of(t.weights, n), *want = copy_of(t.weights, n);
  for (size_t i = 0; !accumulate && i < n; i++)
    want[i] = 0;
  k->winners_sum((float *)got, t.x, &t.w, accumulate);
  define(&t.w, (float *)want, t.x, NULL);
  const struct call call = {.name = "winners_sum",
                            .rows = t.w.rows,
                            .c = channels,
                            .words = n + GUARD};
  assert_same(&call, k->name, want, got);
  free(got);
  free(want);
  free_case(&t);
}

static void check_add(const struct kernels *k, size_t channels, enum values v) {
  const struct winners_case t = some_case(channels, v);
  uint32_t *got = copy_of(t.x, t.floats), *want = copy_of(t.x, t.floats);
  k->winners_add((float *)got, t.weights, &t.w);
  define(&t.w, NULL, (float *)want, t.weights);
  const struct call call = {.name = "winners_add",
                            .rows = t.w.rows,
                            .c = channels,
                            .words = t.floats + GUARD};
  assert_same(&call, k->name, want, got);
  free(got);
  free(want);
  free_case(&t);
}

static void test_winners__definition(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 600; i++) {
      enum values v = (enum values)(i % VALUES);
      check_sum(table(isa), 1 + below(40), v);
      check_add(table(isa), 8 * (1 + below(9)), v);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_winners__definition),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
