/* SPDX-License-Identifier: MIT */
/* Products of matrices of bytes of any shape, on every table and with several
 * threads: the definition, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isas.h"
#include "kernels/kernels.h"
#include "tensor.h"

#define UNTOUCHED 12345.0f

static uint64_t seed;

static uint32_t next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 32);
}

static size_t below(size_t n) { return next_random() % n; }

/* Images of bytes with 1 x 1 or 2 x 2 runs over them. */
struct product {
  struct qgemm g;
  size_t run, k;
  uint8_t *a;
  int8_t *b; /* k x n */
  int8_t *panels;
  int32_t *shift;
  float *scale, *bias, *y;
  size_t y_size;
};

struct shape3 {
  size_t images, lines, width;
};

static size_t total_groups(const struct qgemm *g) {
  return g->runs[0] * g->runs[1] * g->groups;
}

static int is_long(const struct qgemm *g) {
  return total_groups(g) * Q_GROUP > IMGREC__QSUM_MAX;
}

static void put_right(struct product *p) {
  struct qgemm *g = &p->g;
  size_t groups = total_groups(g), wide = round_up(g->n, Q_COLS);
  p->b = malloc(g->n * p->k + 1);
  p->panels = calloc(wide * groups * Q_GROUP + 1, 1);
  for (size_t k = 0; k < p->k; k++)
    for (size_t j = 0; j < g->n; j++) {
      size_t at = k / p->run * g->groups * Q_GROUP + k % p->run;
      p->b[k * g->n + j] = (int8_t)next_random();
      p->panels[(j / Q_COLS * groups + at / Q_GROUP) * Q_GROUP_BYTES +
                j % Q_COLS * Q_GROUP + at % Q_GROUP] = p->b[k * g->n + j];
    }
}

static void put_left(struct product *p, const struct shape3 *s) {
  struct qgemm *g = &p->g;
  g->images = s->images;
  g->lines = s->lines;
  g->width = s->width;
  g->step = 1 + below(p->run);
  g->line_step = 1 + below(g->step * g->width);
  g->image_step = 1 + below(g->line_step * g->lines);
  size_t size = (g->images - 1) * g->image_step +
                (g->lines - 1) * g->line_step + (g->width - 1) * g->step +
                g->jump[0] + g->jump[1] + g->groups * Q_GROUP;
  p->a = malloc(size);
  for (size_t i = 0; i < size; i++)
    p->a[i] = (uint8_t)next_random();
  g->a = p->a;
}

static void put_columns(struct product *p) {
  struct qgemm *g = &p->g;
  size_t wide = round_up(g->n, Q_COLS);
  size_t blocks =
      is_long(g) ? ceil_div(g->groups * Q_GROUP, IMGREC__QBLOCK) : 1;
  p->shift = malloc(blocks * wide * sizeof *p->shift);
  p->scale = malloc(wide * sizeof *p->scale);
  p->bias = malloc(wide * sizeof *p->bias);
  for (size_t j = 0; j < blocks * wide; j++)
    p->shift[j] = (int32_t)below(1999) - 999;
  for (size_t j = 0; j < wide; j++) {
    p->scale[j] = (float)(1 + below(1000)) / 777;
    p->bias[j] = (float)below(1000) - 500;
  }
  g->b = p->panels;
  g->shift = p->shift;
  g->shift_step = wide;
  g->scale = p->scale;
  g->bias = p->bias;
}

static void set_up(struct product *p, const struct shape3 *s, size_t n,
                   size_t run, int pool) {
  memset(p, 0, sizeof *p);
  p->run = run;
  p->g.n = n;
  p->g.groups = ceil_div(run, Q_GROUP);
  p->g.pool = pool;
  p->g.relu = (int)below(2);
  for (int i = 0; i < 2; i++) {
    p->g.runs[i] = run > 1000 ? 1 : 1 + below(2);
    p->g.jump[i] = below(2 * run);
  }
  p->k = run * p->g.runs[0] * p->g.runs[1];
  put_right(p);
  put_left(p, s);
  put_columns(p);
  size_t half = pool ? 2 : 1;
  p->g.ldy = n + below(4);
  p->y_size = s->images * (s->lines / half) * (s->width / half) * p->g.ldy;
  p->y = malloc((p->y_size + 1) * sizeof *p->y);
  p->g.y = p->y;
}

static void tear_down(struct product *p) {
  free(p->a);
  free(p->b);
  free(p->panels);
  free(p->shift);
  free(p->scale);
  free(p->bias);
  free(p->y);
}

static float pixel(const struct product *p, size_t image, size_t line, size_t x,
                   size_t j) {
  const struct qgemm *g = &p->g;
  const uint8_t *a =
      p->a + image * g->image_step + line * g->line_step + x * g->step;
  int64_t sum = is_long(g) ? 0 : p->shift[j];
  for (size_t k = 0; k < p->k; k++) {
    size_t run = k / p->run;
    if (is_long(g) && k % IMGREC__QBLOCK == 0)
      sum += p->shift[k / IMGREC__QBLOCK * g->shift_step + j];
    sum += a[run / g->runs[1] * g->jump[0] + run % g->runs[1] * g->jump[1] +
             k % p->run] *
           p->b[k * g->n + j];
  }
  float y = fmaf((float)sum, p->scale[j], p->bias[j]);
  return g->relu && !(y > 0) ? 0 : y;
}

/* Of y's pixel number `at`. */
static float expect(const struct product *p, size_t at, size_t j) {
  const struct qgemm *g = &p->g;
  size_t half = g->pool ? 2 : 1, width = g->width / half;
  size_t lines = g->lines / half, x = at % width * half;
  size_t line = at / width % lines * half, image = at / width / lines;
  float y = pixel(p, image, line, x, j);
  for (size_t i = 1; i < 4 && g->pool; i++)
    y = fmaxf(y, pixel(p, image, line + i / 2, x + i % 2, j));
  return y;
}

static imgrec_context *context_of(int isa, int threads) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.isa = isa;
  o.threads = threads;
  assert_int_equal(imgrec_context_create(&ctx, &o), IMGREC_OK);
  return ctx;
}

static void check(imgrec_context *ctx, struct shape3 s, size_t n, size_t run,
                  int pool) {
  struct product p;
  set_up(&p, &s, n, run, pool);
  for (size_t i = 0; i < p.y_size; i++)
    p.y[i] = UNTOUCHED;
  imgrec__qgemm(ctx, &p.g);
  for (size_t i = 0; i < p.y_size; i++) {
    size_t j = i % p.g.ldy;
    float want = j < n ? expect(&p, i / p.g.ldy, j) : UNTOUCHED;
    if (memcmp(&p.y[i], &want, sizeof want) != 0)
      fail_msg("isa %d: y[%zu] of %zu x %zu x %zu x %zu, k %zu, pool %d is "
               "%.9g, not %.9g",
               ctx->isa, i, s.images, s.lines, s.width, n, p.k, pool,
               (double)p.y[i], (double)want);
  }
  tear_down(&p);
}

static void check_all(void (*run)(imgrec_context *ctx)) {
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int threads = 1; threads <= 3; threads += 2) {
      imgrec_context *ctx = context_of(isa, threads);
      run(ctx);
      imgrec_context_destroy(ctx);
    }
}

static void small_shapes(imgrec_context *ctx) {
  for (int i = 0; i < 60; i++) {
    const struct shape3 s = {1 + below(3), 1 + below(6), 1 + below(20)};
    check(ctx, s, 1 + below(70), 1 + below(i % 4 ? 40 : 300), i % 2);
  }
}

/* Many tasks, and lines that are cut. */
static void large_shapes(imgrec_context *ctx) {
  check(ctx, (struct shape3){2, 20, 21}, 40, 75, 0);
  check(ctx, (struct shape3){2, 21, 20}, 70, 33, 1);
  check(ctx, (struct shape3){1, 2, 2100}, 3, 9, 1);
  check(ctx, (struct shape3){1, 1, 2101}, 5, 9, 0);
  check(ctx, (struct shape3){1, 1, 25}, 200, 925, 0);
  check(ctx, (struct shape3){1, 1, 1}, 500, 700, 0);
}

/* Sums that do not fit 32 bits as one. */
static void long_sums(imgrec_context *ctx) {
  check(ctx, (struct shape3){1, 1, 1}, 33, IMGREC__QSUM_MAX + 1, 0);
  check(ctx, (struct shape3){1, 1, 3}, 17, IMGREC__QSUM_MAX + 9001, 0);
  check(ctx, (struct shape3){1, 1, 100}, 2, IMGREC__QSUM_MAX + 1, 0);
  check(ctx, (struct shape3){1, 1, 2}, 3, IMGREC__QSUM_MAX, 0);
}

static void test_qgemm__small(void **state) {
  (void)state;
  check_all(small_shapes);
}

static void test_qgemm__large(void **state) {
  (void)state;
  check_all(large_shapes);
}

static void test_qgemm__long(void **state) {
  (void)state;
  check_all(long_sums);
}

static void test_qgemm__empty(void **state) {
  (void)state;
  imgrec_context *ctx = context_of(IMGREC_ISA_AUTO, 1);
  struct qgemm none = {.images = 1, .lines = 1, .width = 3};
  struct qgemm thin = {.images = 1, .lines = 1, .width = 3, .n = 4, .pool = 1};
  imgrec__qgemm(ctx, &none); /* touches nothing: all pointers are NULL */
  imgrec__qgemm(ctx, &thin);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_qgemm__small),
      cmocka_unit_test(test_qgemm__large),
      cmocka_unit_test(test_qgemm__long),
      cmocka_unit_test(test_qgemm__empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
