/* SPDX-License-Identifier: MIT */
/* What follows a convolution, and the way back, on every table: the
 * definition, bit for bit. */
#include "kernel_calls.h"

static enum values some_values(void) { return (enum values)below(VALUES); }

/* ---- Forward ------------------------------------------------------------- */

/* Rows of c, `row` apart; what lies between them stays. */
static void check_rows(const struct kernels *k) {
  size_t rows = 1 + below(5), c = 1 + below(70), row = c + below(5);
  enum values v = some_values();
  const struct epilogue e = some_epilogue(c, v);
  float *x = numbers(rows * row, v);
  uint32_t *got = guarded(rows * row), *want = guarded(rows * row);
  memcpy(got, x, rows * row * sizeof *x);
  for (size_t i = 0; i < rows * row; i++) {
    float y = i % row < c ? finished(&e, x[i], i % row) : x[i];
    memcpy(&want[i], &y, sizeof y);
  }
  k->finish_rows((float *)got, row, &e, rows, c);
  const struct call call = {
      .name = "finish_rows", .rows = rows, .c = c, .words = rows * row + GUARD};
  assert_same(&call, k->name, want, got);
  free_epilogue(&e);
  free(x);
  free(got);
  free(want);
}

/* The sums of a product, then their rows: the same in one. */
static void check_product(const struct kernels *k) {
  size_t rows = 1 + below(40), cols = 1 + below((size_t)k->nr);
  size_t depth = 1 + below(30), ldc = cols + below(5), words = rows * ldc;
  enum values v = some_values();
  const struct epilogue e = some_epilogue(cols, v);
  float *a = numbers(rows * depth, v), *b = numbers(depth * cols, v);
  const struct left left = {a, depth, 1, depth, {1, 1}, {0, 0}};
  uint32_t *got = guarded(words), *want = guarded(words);
  k->gemm_tile(&left, b, cols, (float *)want, ldc, rows, cols, 0);
  k->finish_rows((float *)want, ldc, &e, rows, cols);
  k->gemm_tile_finished(&left, b, cols, (float *)got, ldc, rows, cols, &e);
  const struct call call = {.name = "gemm_tile_finished",
                            .rows = rows,
                            .c = cols,
                            .words = words + GUARD};
  assert_same(&call, k->name, want, got);
  free_epilogue(&e);
  free(a);
  free(b);
  free(got);
  free(want);
}

struct pool_case {
  size_t width, c, row, pixel; /* width: of the pooled row */
  struct epilogue e;
  float *x;
};

/* The first of equals, a NaN only as the first tap; LOST is 4. */
static float expect_pool(const struct pool_case *p, size_t i, size_t c,
                         uint8_t *won) {
  float best = 0;
  for (size_t tap = 0; tap < 4; tap++) {
    size_t at = tap / 2 * p->row + (2 * i + tap % 2) * p->c + c;
    float v = finished(&p->e, p->x[at], c);
    if (tap == 0 || v > best) {
      best = v;
      *won = (uint8_t)tap;
    }
  }
  if (p->e.relu && !(best > 0.0f))
    *won = 4;
  return best;
}

static void compare_pool(const struct kernels *k, const struct pool_case *p,
                         const uint32_t *y, const uint8_t *won) {
  for (size_t i = 0; i < p->width * p->pixel; i++) {
    size_t c = i % p->pixel;
    uint32_t want = CANARY;
    uint8_t best = 99;
    if (c < p->c) {
      float v = expect_pool(p, i / p->pixel, c, &best);
      memcpy(&want, &v, sizeof v);
    }
    if (!same_word(want, y[i]) || (won && won[i] != best))
      fail_msg("finish_pool of %s: %08x by %d, not %08x by %d", k->name,
               (unsigned)y[i], won ? won[i] : 0, (unsigned)want, best);
  }
}

static void check_pool(const struct kernels *k) {
  struct pool_case p = {.width = 1 + below(9), .c = 1 + below(40)};
  enum values v = some_values();
  p.row = (2 * p.width + below(2)) * p.c;
  p.pixel = p.c + below(9);
  p.e = some_epilogue(p.c, v);
  p.x = numbers(p.row + 2 * p.width * p.c, v);
  for (size_t i = 0; below(2) && i + p.c < p.row; i++)
    p.x[i + p.c] = p.x[i]; /* equals */
  size_t n = p.width * p.pixel;
  uint32_t *y = guarded(n);
  uint8_t *won = below(3) && !p.e.relu6 ? malloc(n) : NULL;
  if (won)
    memset(won, 99, n);
  /* not a float behind the last pixel's channels */
  k->finish_pool((float *)y, won, p.pixel, p.x, p.row, &p.e, p.width, p.c);
  compare_pool(k, &p, y, won);
  free_epilogue(&p.e);
  free(p.x);
  free(won);
  free(y);
}

/* ---- Backward ------------------------------------------------------------ */

static struct plane some_plane(void) {
  struct plane p = {
      .height = 1 + below(7), .width = 1 + below(7), .channels = 1 + below(40)};
  size_t n = p.height * p.width * p.channels;
  if (below(3)) {
    n = p.height / 2 * (p.width / 2) * p.channels;
    uint8_t *won = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
      won[i] = (uint8_t)below(5);
    p.won = won;
  }
  p.x = numbers(n, some_values());
  return p;
}

static void free_plane(const struct plane *p) {
  free((void *)(uintptr_t)p->x);
  free((void *)(uintptr_t)p->won);
}

static float expect_fetch(const struct plane *p, ptrdiff_t y, ptrdiff_t x,
                          size_t c) {
  if (y < 0 || x < 0 || (size_t)y >= p->height || (size_t)x >= p->width)
    return 0;
  size_t row = (size_t)y, col = (size_t)x;
  if (p->won == NULL)
    return p->x[(row * p->width + col) * p->channels + c];
  if (row / 2 >= p->height / 2 || col / 2 >= p->width / 2)
    return 0;
  size_t at = (row / 2 * (p->width / 2) + col / 2) * p->channels + c;
  return p->won[at] == row % 2 * 2 + col % 2 ? p->x[at] : 0;
}

/* Rows that begin and end within the plane or beyond it. */
static void check_fetch(const struct kernels *k) {
  const struct plane p = some_plane();
  ptrdiff_t y = (ptrdiff_t)below(p.height + 4) - 2;
  ptrdiff_t x = (ptrdiff_t)below(p.width + 6) - 4;
  size_t count = 1 + below(p.width + 6), n = count * p.channels;
  uint32_t *got = guarded(n), *want = guarded(n);
  for (size_t i = 0; i < n; i++) {
    float v =
        expect_fetch(&p, y, x + (ptrdiff_t)(i / p.channels), i % p.channels);
    memcpy(&want[i], &v, sizeof v);
  }
  k->fetch_row((float *)got, &p, y, x, count);
  const struct call call = {
      .name = "fetch_row", .n = count, .c = p.channels, .words = n + GUARD};
  assert_same(&call, k->name, want, got);
  free_plane(&p);
  free(got);
  free(want);
}

static void check_mask(const struct kernels *k) {
  size_t n = 1 + below(70);
  float *dy = numbers(n, some_values());
  uint8_t *won = malloc(n);
  uint32_t *got = guarded(n), *want = guarded(n);
  memcpy(got, dy, n * sizeof *dy);
  for (size_t i = 0; i < n; i++) {
    won[i] = (uint8_t)below(5);
    want[i] = won[i] == 4 ? 0 : got[i];
  }
  k->mask_lost((float *)got, won, n);
  const struct call call = {.name = "mask_lost", .n = n, .words = n + GUARD};
  assert_same(&call, k->name, want, got);
  free(dy);
  free(won);
  free(got);
  free(want);
}

/* ---- Tests --------------------------------------------------------------- */

static void on_each_table(void (*check)(const struct kernels *k)) {
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 500; i++)
      check(table(isa));
}

static void test_epilogue_tmpl__rows(void **state) {
  (void)state;
  on_each_table(check_rows);
}

static void test_epilogue_tmpl__product(void **state) {
  (void)state;
  on_each_table(check_product);
}

static void test_epilogue_tmpl__pool(void **state) {
  (void)state;
  on_each_table(check_pool);
}

static void test_epilogue_tmpl__fetch(void **state) {
  (void)state;
  on_each_table(check_fetch);
}

static void test_epilogue_tmpl__mask(void **state) {
  (void)state;
  on_each_table(check_mask);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_epilogue_tmpl__rows),
      cmocka_unit_test(test_epilogue_tmpl__product),
      cmocka_unit_test(test_epilogue_tmpl__pool),
      cmocka_unit_test(test_epilogue_tmpl__fetch),
      cmocka_unit_test(test_epilogue_tmpl__mask),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
