/* SPDX-License-Identifier: MIT */
/* The inner loops of products on every table: the definition, with libm's
 * fused multiply-add, bit for bit. */
#include "kernel_calls.h"

/* c[j] (+)= sum over p of a[p] b[p][j], by the definition. */
static void expect_product(float *c, const float *a, const float *b, size_t ldb,
                           size_t k, size_t cols, int accumulate) {
  for (size_t j = 0; j < cols; j++) {
    float sum = accumulate ? c[j] : 0.0f;
    for (size_t p = 0; p < k; p++)
      sum = fmaf(a[p], b[p * ldb + j], sum);
    c[j] = sum;
  }
}

struct matrices {
  size_t rows, cols, k, lda, ldb, ldc, width; /* width: readable of b's rows */
  float *a, *b, *panel;
  float *want;
  uint32_t *got;
  int accumulate;
};

static struct matrices some_matrices(size_t rows, size_t cols, size_t width) {
  enum values v = below(4) ? PLAIN : SPECIAL;
  struct matrices m = {.rows = rows,
                       .cols = cols,
                       .k = below(40),
                       .width = width,
                       .accumulate = (int)below(2)};
  m.lda = m.k + below(3);
  m.ldb = width + below(5);
  m.ldc = cols + below(5);
  m.a = numbers(rows * m.lda, v);
  m.b = numbers(m.k == 0 ? 0 : (m.k - 1) * m.ldb + width, v);
  m.got = guarded(rows * m.ldc);
  for (size_t i = 0; i < rows * m.ldc; i++)
    if (i % m.ldc < cols)
      m.got[i] = 0x3fc00000u; /* 1.5 */
  m.want = malloc((rows * m.ldc + GUARD) * sizeof *m.want);
  memcpy(m.want, m.got, (rows * m.ldc + GUARD) * sizeof *m.want);
  for (size_t i = 0; i < rows; i++)
    expect_product(m.want + i * m.ldc, m.a + i * m.lda, m.b, m.ldb, m.k, cols,
                   m.accumulate);
  return m;
}

static void check_product(const struct matrices *m, const char *isa) {
  struct call c = {.name = "product",
                   .n = m->k,
                   .rows = m->rows,
                   .c = m->cols,
                   .words = m->rows * m->ldc + GUARD};
  assert_same(&c, isa, (const uint32_t *)(const void *)m->want, m->got);
}

static void free_matrices(struct matrices *m) {
  free(m->a);
  free(m->b);
  free(m->want);
  free(m->got);
}

/* The left matrix in place, by rows or transposed, in one run or several. */
static void check_tile(const struct kernels *k) {
  size_t nr = (size_t)k->nr;
  size_t rows = 1 + below(3 * (size_t)k->mr);
  size_t cols = below(3) ? 1 + below(nr) : below(2) ? nr : nr / 2;
  struct matrices m = some_matrices(rows, cols, cols);
  struct left a = {m.a, m.lda, 1, m.k, {1, 1}, {0, 0}};
  float *turned = malloc((m.k * rows + 1) * sizeof *turned);
  for (size_t i = 0; i < rows * m.k; i++)
    turned[i % m.k * rows + i / m.k] = m.a[i / m.k * m.lda + i % m.k];
  if (below(2) && m.k > 0)
    a = (struct left){turned, 1, rows, m.k, {1, 1}, {0, 0}};
  for (int axis = 0; axis < 2; axis++)
    if (a.k % 2 == 0 && below(2)) { /* the same in shorter runs */
      a.runs[1] *= 2;
      a.k /= 2;
      a.jump[1] = (ptrdiff_t)(a.k * a.step);
    }
  if (a.runs[1] % 2 == 0 && below(2)) {
    a.runs[1] /= 2;
    a.runs[0] = 2;
    a.jump[0] = (ptrdiff_t)a.runs[1] * a.jump[1];
  }
  struct ahead ahead = {.step = below(200), .row = below(2000)};
  for (int i = 0; i < AHEAD_STREAMS; i++)
    ahead.at[i] = (uintptr_t)m.b + below(5000);
  if (below(2))
    k->gemm_tile(&a, m.b, m.ldb, (float *)m.got, m.ldc, rows, cols,
                 m.accumulate);
  else
    k->gemm_tile_ahead(&a, m.b, m.ldb, (float *)m.got, m.ldc, rows, cols,
                       m.accumulate, &ahead);
  check_product(&m, k->name);
  free(turned);
  free_matrices(&m);
}

static void check_gemv(const struct kernels *k) {
  size_t cols = 1 + below(80);
  struct matrices m = some_matrices(1 + below(9), cols, cols);
  k->gemv(m.rows, m.k, m.a, m.lda, m.b, m.ldb, (float *)m.got, m.ldc, cols,
          m.accumulate);
  check_product(&m, k->name);
  free_matrices(&m);
}

static void test_gemm_tmpl__products(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 600; i++) {
      check_tile(table(isa));
      check_gemv(table(isa));
    }
}

static void check_panel(size_t width, size_t rows, size_t k, const char *isa,
                        void (*pack)(float *, const float *, size_t, size_t,
                                     size_t)) {
  size_t stride = k + below(4);
  float *src = numbers((rows - 1) * stride + k, PLAIN);
  uint32_t *dst = guarded(width * k);
  pack((float *)dst, src, stride, rows, k);
  for (size_t i = 0; i < width * k; i++) {
    size_t row = i % width;
    float want = row < rows ? src[row * stride + i / width] : 0.0f, got;
    memcpy(&got, &dst[i], sizeof got);
    if (!(got == want))
      fail_msg("panel of %s: %g, not %g", isa, (double)got, (double)want);
  }
  for (size_t i = 0; i < GUARD; i++)
    assert_true(dst[width * k + i] == CANARY);
  free(src);
  free(dst);
}

static void test_gemm_tmpl__panels(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *t = table(isa);
    for (size_t k = 1; k < 40; k++) {
      size_t nr = (size_t)t->nr;
      check_panel(nr, nr, k, t->name, t->pack_columns);
      check_panel(nr, 1 + below(nr), k, t->name, t->pack_columns);
    }
  }
}

static void check_transpose(const struct kernels *k) {
  size_t rows = 1 + below(40), cols = 1 + below(40);
  size_t lds = cols + below(4), ldd = rows + below(4);
  float *src = numbers((rows - 1) * lds + cols, SPECIAL);
  uint32_t *dst = guarded((cols - 1) * ldd + rows);
  k->transpose((float *)dst, ldd, src, lds, rows, cols);
  for (size_t i = 0; i < (cols - 1) * ldd + rows + GUARD; i++) {
    size_t row = i % ldd, col = i / ldd;
    uint32_t want = CANARY;
    if (row < rows && col < cols)
      memcpy(&want, &src[row * lds + col], sizeof want);
    if (dst[i] != want)
      fail_msg("%s: (%zu, %zu) of %zu x %zu", k->name, row, col, rows, cols);
  }
  free(src);
  free(dst);
}

static void test_gemm_tmpl__transpose(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 200; i++)
      check_transpose(table(isa));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gemm_tmpl__products),
      cmocka_unit_test(test_gemm_tmpl__panels),
      cmocka_unit_test(test_gemm_tmpl__transpose),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
