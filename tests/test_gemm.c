/* SPDX-License-Identifier: MIT */
/* Products of matrices of any shape and layout, on every table and with
 * several threads: the definition, with libm's fused multiply-add, bit for
 * bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isas.h"
#include "tensor.h"

#define UNTOUCHED 12345.0f

static uint64_t seed;

static uint32_t next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

static size_t below(size_t n) { return next_random() % n; }

static float *numbers(size_t n) {
  float *p = malloc(n * sizeof *p);
  for (size_t i = 0; i < n; i++)
    p[i] = (float)((double)next_random() / 2147483648.0 - 1.0);
  return p;
}

/* ---- Matrices of all kinds ---------------------------------------------- */

enum layout { BY_ROWS, BY_COLUMNS, FILLED, FILLED_TRANSPOSED, LAYOUTS };

/* A rows x cols matrix; what fill gives may be its transpose. */
struct stored {
  size_t rows, cols, stride;
  enum layout layout;
  float *data;
};

/* Where it is not 0: what rows and columns that are shorter lie apart. */
static size_t next_stride;

static struct stored some_stored(size_t rows, size_t cols, enum layout layout) {
  struct stored s = {.rows = rows, .cols = cols, .layout = layout};
  int by_columns = layout == BY_COLUMNS || layout == FILLED_TRANSPOSED;
  size_t lines = by_columns ? cols : rows, length = by_columns ? rows : cols;
  s.stride = length + below(3);
  if (next_stride > length)
    s.stride = next_stride;
  s.data = numbers(lines == 0 ? 0 : (lines - 1) * s.stride + length);
  return s;
}

static float element(const struct stored *s, size_t r, size_t c) {
  if (s->layout == BY_COLUMNS || s->layout == FILLED_TRANSPOSED)
    return s->data[c * s->stride + r];
  return s->data[r * s->stride + c];
}

static void fill(const void *source, size_t row, size_t rows, size_t col,
                 size_t cols, float *dst, size_t stride) {
  const struct stored *s = source;
  int transposed = s->layout == FILLED_TRANSPOSED;
  if (row + rows > (transposed ? s->cols : s->rows) ||
      col + cols > (transposed ? s->rows : s->cols) || cols > stride)
    fail_msg("asked for rows %zu + %zu, columns %zu + %zu", row, rows, col,
             cols);
  for (size_t r = 0; r < rows; r++)
    memcpy(dst + r * stride, s->data + (row + r) * s->stride + col,
           cols * sizeof *dst);
}

static struct matrix matrix_from(const struct stored *s) {
  struct matrix m = {0};
  if (s->layout == BY_ROWS)
    return matrix_of(s->data, s->stride, 1);
  if (s->layout == BY_COLUMNS)
    return matrix_of(s->data, 1, s->stride);
  m.fill = fill;
  m.source = s;
  return m;
}

/* ---- One product -------------------------------------------------------- */

struct product {
  struct stored a, b;
  float *bias, *c, *want;
  size_t c_size;
  struct gemm g;
};

/* Returns what is wanted of c[i][j], given what it holds. */
static float expect(const struct product *p, size_t i, size_t j, float c) {
  float sum = p->g.accumulate ? c : 0.0f;
  for (size_t k = 0; k < p->g.k; k++)
    sum = fmaf(element(&p->a, i, k), element(&p->b, k, j), sum);
  return p->bias != NULL ? sum + p->bias[j] : sum;
}

static void expect_all(struct product *p) {
  for (size_t i = 0; i < p->g.m; i++)
    for (size_t j = 0; j < p->g.n; j++) {
      float *c = p->want + i * p->g.ldc + j;
      *c = expect(p, i, j, *c);
    }
}

static void set_up(struct product *p, size_t m, size_t n, size_t k,
                   enum layout a, enum layout b) {
  memset(p, 0, sizeof *p);
  p->a = some_stored(m, k, a);
  p->b = some_stored(k, n, b);
  p->bias = below(2) ? numbers(n) : NULL;
  p->g = (struct gemm){.m = m, .n = n, .k = k, .bias = p->bias};
  p->g.a = matrix_from(&p->a);
  p->g.b = matrix_from(&p->b);
  p->g.a_transposed = a == FILLED_TRANSPOSED;
  p->g.ldc = n + below(4);
  p->g.accumulate = (int)below(2);
  p->c_size = m * p->g.ldc;
  p->c = malloc(p->c_size * sizeof *p->c);
  p->want = malloc(p->c_size * sizeof *p->c);
  for (size_t i = 0; i < p->c_size; i++)
    p->want[i] = i % p->g.ldc < n ? (float)below(100) * 0.01f : UNTOUCHED;
}

static void tear_down(struct product *p) {
  free(p->a.data);
  free(p->b.data);
  free(p->bias);
  free(p->c);
  free(p->want);
}

static void assert_product(const struct product *p, const char *how) {
  for (size_t i = 0; i < p->c_size; i++)
    if (memcmp(&p->c[i], &p->want[i], sizeof *p->c) != 0)
      fail_msg("%s, %zu x %zu x %zu, layouts %d %d: (%zu, %zu) is %.9g, not "
               "%.9g",
               how, p->g.m, p->g.n, p->g.k, (int)p->a.layout, (int)p->b.layout,
               i / p->g.ldc, i % p->g.ldc, (double)p->c[i], (double)p->want[i]);
}

struct serial {
  struct imgrec_context *ctx;
  const struct gemm *g;
};

static void serial_task(void *arg, int i, int worker) {
  const struct serial *s = arg;
  (void)i;
  imgrec__gemm_serial(s->ctx, s->g, worker);
}

/* ---- Contexts ----------------------------------------------------------- */

#define MAX_CONTEXTS 6
static struct imgrec_context *contexts[MAX_CONTEXTS];

static int open_contexts(void **state) {
  int n = 0;
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int threads = 1; threads <= 3; threads += 2) {
      imgrec_context_options o;
      imgrec_context_options_init(&o, sizeof o);
      o.isa = isa;
      o.threads = threads;
      if (imgrec_context_create(&contexts[n++], &o) < 0)
        return -1;
    }
  return 0;
}

static int close_contexts(void **state) {
  (void)state;
  for (int i = 0; i < MAX_CONTEXTS; i++)
    imgrec_context_destroy(contexts[i]);
  return 0;
}

/* ---- Sinks -------------------------------------------------------------- */

/* Each element once: what is taken was untouched. */
static void take(const void *arg, size_t row, size_t rows, size_t col,
                 size_t cols, const float *tile, size_t stride) {
  const struct product *p = arg;
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < cols; j++) {
      float *c = p->c + (row + i) * p->g.ldc + col + j;
      if (*c != UNTOUCHED)
        fail_msg("(%zu, %zu) is taken twice", row + i, col + j);
      *c = tile[i * stride + j];
    }
}

static void check_sink(struct product *p, struct imgrec_context *ctx) {
  struct sink sink = {take, p, {NULL, NULL, NULL}};
  struct gemm g = p->g;
  g.accumulate = 0;
  g.sink = &sink;
  g.c = NULL;
  if (below(2))
    sink.reads[0] = sink.reads[1] = sink.reads[2] = p->c;
  for (size_t i = 0; i < p->c_size; i++)
    p->c[i] = UNTOUCHED;
  imgrec__gemm(ctx, &g);
  assert_product(p, "gemm into a sink");
}

static void check_in(struct product *p, struct imgrec_context *ctx,
                     const float *start) {
  struct serial s = {ctx, &p->g};
  p->g.c = p->c;
  memcpy(p->c, start, p->c_size * sizeof *p->c);
  imgrec__gemm(ctx, &p->g);
  assert_product(p, "gemm");
  memcpy(p->c, start, p->c_size * sizeof *p->c);
  imgrec__parallel_for(ctx->pool, 1, serial_task, &s);
  assert_product(p, "gemm_serial");
  if (!p->g.accumulate)
    check_sink(p, ctx);
}

static void check(size_t m, size_t n, size_t k, enum layout a, enum layout b) {
  struct product p;
  set_up(&p, m, n, k, a, b);
  float *start = malloc(p.c_size * sizeof *start);
  memcpy(start, p.want, p.c_size * sizeof *start);
  expect_all(&p);
  for (int i = 0; i < MAX_CONTEXTS && contexts[i] != NULL; i++)
    check_in(&p, contexts[i], start);
  free(start);
  tear_down(&p);
}

/* b is never filled transposed: only `a` may be. */
static void check_layouts(size_t m, size_t n, size_t k) {
  for (int a = 0; a < LAYOUTS; a++)
    for (int b = 0; b < FILLED_TRANSPOSED; b++)
      check(m, n, k, (enum layout)a, (enum layout)b);
}

/* ---- Cases -------------------------------------------------------------- */

static void test_gemm__small(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++)
    check_layouts(1 + below(40), 1 + below(80), 1 + below(30));
}

static void test_gemm__k_zero(void **state) {
  (void)state;
  check_layouts(5, 7, 0);
  check_layouts(1, 7, 0);
}

static void test_gemm__empty(void **state) {
  float c = UNTOUCHED;
  struct gemm g = {.m = 0, .n = 1, .k = 1, .c = &c, .ldc = 1};
  (void)state;
  imgrec__gemm(contexts[0], &g);
  g.m = 1;
  g.n = 0;
  imgrec__gemm(contexts[0], &g);
  assert_true(c == UNTOUCHED);
}

static void test_gemm__one_row(void **state) {
  (void)state;
  for (int i = 0; i < 8; i++)
    check_layouts(1, 1 + below(400), 1 + below(600));
}

static void test_gemm__one_column(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++)
    check_layouts(1 + below(300), 1, 1 + below(300));
}

static void test_gemm__few_rows(void **state) {
  (void)state;
  for (size_t m = 2; m <= 13; m++)
    check_layouts(m, 1 + below(100), 1 + below(300));
}

/* Outputs as thin as those of first layers. */
static void test_gemm__thin(void **state) {
  static const size_t widths[] = {3, 4, 6, 8, 10, 16, 20, 32};
  (void)state;
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    check_layouts(50 + below(200), widths[i], 27);
}

/* More than a block in each direction. */
static void test_gemm__many_blocks(void **state) {
  (void)state;
  check(401, 300, 530, BY_ROWS, BY_ROWS);
  check(230, 515, 257, BY_COLUMNS, BY_COLUMNS);
  check(385, 257, 256, FILLED, FILLED);
  check(193, 300, 513, FILLED_TRANSPOSED, BY_ROWS);
  check(3, 600, 700, BY_ROWS, BY_ROWS);
}

/* Lines a power of two apart, which fall into the same sets of a cache. */
static void test_gemm__bad_strides(void **state) {
  (void)state;
  next_stride = 1024;
  check_layouts(50, 70, 90);
  check_layouts(9, 33, 300);
  check(300, 40, 600, BY_ROWS, BY_COLUMNS);
  next_stride = 0;
}

/* As the weights of a dense layer: from memory, read ahead. */
static void test_gemm__large_right_side(void **state) {
  (void)state;
  check(3, 520, 2100, BY_ROWS, BY_ROWS);
  check(21, 520, 2100, BY_ROWS, BY_ROWS);
  check(14, 520, 130, BY_ROWS, BY_COLUMNS);
  check(20, 30, 4500, BY_ROWS, BY_COLUMNS); /* several parts of a sink */
}

/* As a weight gradient: few terms, all columns of a row at once. */
static void test_gemm__few_terms(void **state) {
  (void)state;
  for (size_t k = 1; k <= 34; k += 33) {
    check(600, 500, k, BY_COLUMNS, BY_ROWS);
    check(60, 1100, k, BY_COLUMNS, BY_ROWS);
  }
  check(70, 300, 300, BY_COLUMNS, BY_ROWS);
}

/* The error of a sum of k products in order is at most k units of rounding of
 * the sum of their sizes. */
static void test_gemm__against_double(void **state) {
  struct product p;
  (void)state;
  set_up(&p, 20, 30, 500, BY_ROWS, BY_ROWS);
  p.g.c = p.c;
  p.g.accumulate = 0;
  imgrec__gemm(contexts[0], &p.g);
  for (size_t i = 0; i < 20; i++)
    for (size_t j = 0; j < 30; j++) {
      double sum = p.bias != NULL ? (double)p.bias[j] : 0.0, size = fabs(sum);
      for (size_t k = 0; k < 500; k++) {
        double t = (double)element(&p.a, i, k) * (double)element(&p.b, k, j);
        sum += t;
        size += fabs(t);
      }
      double error = fabs((double)p.c[i * p.g.ldc + j] - sum);
      assert_true(error <= 501.0 * size * 0x1p-24);
    }
  tear_down(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gemm__small),
      cmocka_unit_test(test_gemm__k_zero),
      cmocka_unit_test(test_gemm__empty),
      cmocka_unit_test(test_gemm__one_row),
      cmocka_unit_test(test_gemm__one_column),
      cmocka_unit_test(test_gemm__few_rows),
      cmocka_unit_test(test_gemm__thin),
      cmocka_unit_test(test_gemm__many_blocks),
      cmocka_unit_test(test_gemm__bad_strides),
      cmocka_unit_test(test_gemm__large_right_side),
      cmocka_unit_test(test_gemm__few_terms),
      cmocka_unit_test(test_gemm__against_double),
  };
  return cmocka_run_group_tests(tests, open_contexts, close_contexts);
}
