/* SPDX-License-Identifier: MIT */
/* Products of matrices: cut into tiles for the workers and into blocks for the
 * caches; the inner loops are kernels.  How it is cut does not touch a bit of
 * the result: each element of c is one sum in the order of k, which between
 * blocks rests in c, exactly. */
#include "tensor.h"

#include "kernels/kernels.h"

#include <assert.h>
#include <string.h>

/* A block of `b` is packed in a worker's workspace, beside one of `a` where
 * that has to be filled in: they share its second-level cache. */
enum { BLOCK_M = 192, BLOCK_N = 256, BLOCK_K = 256 };
enum { MAX_MR = 16 };

/* Below this many multiplications a tile is not worth its overhead. */
#define LEAST_WORK ((size_t)1 << 16)

struct product {
  struct imgrec_context *ctx;
  const struct kernels *kernels;
  const struct gemm *g;
  size_t rows, cols; /* of a tile */
  size_t across;     /* tiles side by side */
  size_t tiles;
  int vector; /* m is 1 and b is read in place */
};

/* One worker's tile: rows [i0, i0 + rows), columns [j0, j0 + cols) of c, and
 * of the sums the part [k0, k0 + k). */
struct tile {
  size_t i0, rows, j0, cols, k0, k;
  float *a_copy; /* of a matrix that has to be filled in: see place_a */
  float *b;      /* panels of nr columns: k x nr each */
  struct left a;
  int b_in_place;
};

/* ---- Packing ------------------------------------------------------------ */

/* dst[r][width] = src[r][n], the rest of each row zero. */
static void copy_panel(float *dst, size_t width, const float *src,
                       size_t stride, size_t n, size_t rows) {
  for (size_t r = 0; r < rows; r++, dst += width, src += stride) {
    memcpy(dst, src, n * sizeof *dst);
    for (size_t i = n; i < width; i++)
      dst[i] = 0.0f;
  }
}

static void fill_panel(float *dst, size_t width, const struct matrix *m,
                       size_t row, size_t rows, size_t col, size_t cols) {
  if (cols < width)
    memset(dst, 0, rows * width * sizeof *dst);
  m->fill(m->source, row, rows, col, cols, dst, width);
}

/* The tile's part of `a`: in memory it is read where it lies; what a fill
 * function makes is copied, rows x k, or k x rows for a transposed one. */
static void place_a(const struct product *p, struct tile *t) {
  const struct matrix *a = &p->g->a;
  struct left left = {.k = t->k, .runs = {1, 1}};
  if (a->fill == NULL) {
    left.data = a->data + t->i0 * a->row_stride + t->k0 * a->col_stride;
    left.row = a->row_stride;
    left.step = a->col_stride;
  } else if (p->g->a_transposed) {
    a->fill(a->source, t->k0, t->k, t->i0, t->rows, t->a_copy, t->rows);
    left.data = t->a_copy;
    left.row = 1;
    left.step = t->rows;
  } else {
    a->fill(a->source, t->i0, t->rows, t->k0, t->k, t->a_copy, t->k);
    left.data = t->a_copy;
    left.row = t->k;
    left.step = 1;
  }
  t->a = left;
}

/* Columns [j, j + n), n <= nr, of the tile's part of `b`. */
static void pack_b_panel(const struct product *p, const struct tile *t,
                         size_t j, size_t n, float *dst) {
  const struct kernels *kn = p->kernels;
  const struct matrix *b = &p->g->b;
  if (b->fill != NULL) {
    fill_panel(dst, (size_t)kn->nr, b, t->k0, t->k, j, n);
  } else if (b->col_stride == 1) {
    const float *src = b->data + t->k0 * b->row_stride + j;
    copy_panel(dst, (size_t)kn->nr, src, b->row_stride, n, t->k);
  } else {
    const float *src = b->data + t->k0 + j * b->col_stride;
    kn->pack_columns(dst, src, b->col_stride, n, t->k);
  }
}

/* What is read in place needs no panel, but for the last one when it is not
 * whole, as kernels read all nr columns. */
static void pack_b(const struct product *p, const struct tile *t) {
  size_t nr = (size_t)p->kernels->nr;
  for (size_t j = 0; j < t->cols; j += nr) {
    size_t n = min_size(nr, t->cols - j);
    if (n < nr || !t->b_in_place)
      pack_b_panel(p, t, t->j0 + j, n, t->b + j * t->k);
  }
}

/* ---- A tile ------------------------------------------------------------- */

/* The panel of `b` at column j of the tile, and its row stride. */
static const float *panel_of_b(const struct product *p, const struct tile *t,
                               size_t j, size_t *stride) {
  const struct matrix *b = &p->g->b;
  size_t nr = (size_t)p->kernels->nr;
  if (t->b_in_place && t->cols - j >= nr) {
    *stride = b->row_stride;
    return b->data + t->k0 * b->row_stride + t->j0 + j;
  }
  *stride = nr;
  return t->b + j * t->k;
}

/* A panel of `b` stays in the first-level cache while `a` streams past it. */
static void multiply_panels(const struct product *p, const struct tile *t,
                            int accumulate) {
  const struct gemm *g = p->g;
  size_t nr = (size_t)p->kernels->nr;
  for (size_t j = 0; j < t->cols; j += nr) {
    size_t ldb;
    const float *b = panel_of_b(p, t, j, &ldb);
    p->kernels->gemm_tile(&t->a, b, ldb, g->c + t->i0 * g->ldc + t->j0 + j,
                          g->ldc, t->rows, min_size(nr, t->cols - j),
                          accumulate);
  }
}

/* The single row of `a`, copied where it is not contiguous. */
static const float *row_of_a(const struct tile *t) {
  if (t->a.step == 1)
    return t->a.data;
  copy_panel(t->a_copy, 1, t->a.data, t->a.step, 1, t->k);
  return t->a_copy;
}

static void multiply_row(const struct product *p, const struct tile *t,
                         int accumulate) {
  const struct matrix *b = &p->g->b;
  p->kernels->gemv(t->k, row_of_a(t), b->data + t->k0 * b->row_stride + t->j0,
                   b->row_stride, p->g->c + t->j0, t->cols, accumulate);
}

static void multiply_part(const struct product *p, struct tile *t,
                          int accumulate) {
  place_a(p, t);
  if (p->vector) {
    multiply_row(p, t, accumulate);
    return;
  }
  pack_b(p, t);
  multiply_panels(p, t, accumulate);
}

static void add_bias(const struct product *p, const struct tile *t) {
  for (size_t i = t->i0; i < t->i0 + t->rows; i++) {
    float *row = p->g->c + i * p->g->ldc + t->j0;
    p->kernels->add_row(row, row, p->g->bias + t->j0, 1, t->cols);
  }
}

static void place_panels(const struct product *p, struct tile *t, int worker) {
  t->a_copy = imgrec__workspace(p->ctx, worker);
  t->b = t->a_copy + BLOCK_M * BLOCK_K;
  t->b_in_place = p->g->m <= (size_t)p->kernels->mr && p->g->b.fill == NULL &&
                  p->g->b.col_stride == 1;
}

static void run_tile(const struct product *p, size_t index, int worker) {
  const struct gemm *g = p->g;
  struct tile t = {.i0 = index / p->across * p->rows,
                   .j0 = index % p->across * p->cols};
  t.rows = min_size(p->rows, g->m - t.i0);
  t.cols = min_size(p->cols, g->n - t.j0);
  place_panels(p, &t, worker);
  /* Equal parts; one, of nothing, when k is 0. */
  size_t parts = max_size(1, ceil_div(g->k, BLOCK_K));
  size_t step = ceil_div(g->k, parts);
  do {
    t.k = min_size(step, g->k - t.k0);
    multiply_part(p, &t, g->accumulate || t.k0 > 0);
    t.k0 += t.k;
  } while (t.k0 < g->k);
  if (g->bias != NULL)
    add_bias(p, &t);
}

/* ---- Cutting into tiles ------------------------------------------------- */

static void count_tiles(struct product *p) {
  p->across = ceil_div(p->g->n, p->cols);
  p->tiles = p->across * ceil_div(p->g->m, p->rows);
}

/* Halves tiles until each worker has some four, so that one that comes late
 * does not hold up the others, as long as they are worth it. */
static void cut_for_workers(struct product *p, size_t workers, size_t mr,
                            size_t nr) {
  while (p->tiles < 4 * workers &&
         p->rows * p->cols * p->g->k > 2 * LEAST_WORK) {
    if (p->rows > p->cols && p->rows > 2 * mr)
      p->rows = round_up(p->rows / 2, mr);
    else if (p->cols > nr)
      p->cols = round_up(p->cols / 2, nr);
    else if (p->rows > 2 * mr)
      p->rows = round_up(p->rows / 2, mr);
    else
      break;
    count_tiles(p);
  }
}

static struct product plan(struct imgrec_context *ctx, const struct gemm *g,
                           size_t workers) {
  struct product p = {.ctx = ctx, .kernels = ctx->kernels, .g = g};
  size_t mr = (size_t)p.kernels->mr, nr = (size_t)p.kernels->nr;
  assert(mr <= MAX_MR && nr <= BLOCK_N);
  p.vector = g->m == 1 && g->b.fill == NULL && g->b.col_stride == 1;
  p.rows = min_size(BLOCK_M / mr * mr, round_up(g->m, mr));
  p.cols = min_size(BLOCK_N / nr * nr, round_up(g->n, nr));
  if (p.vector) {
    p.rows = 1;
    p.cols = round_up(g->n, 64);
    nr = 64;
  }
  count_tiles(&p);
  if (workers > 1)
    cut_for_workers(&p, workers, mr, nr);
  return p;
}

_Static_assert((BLOCK_M + BLOCK_N) * BLOCK_K * sizeof(float) <=
                   IMGREC__WORKSPACE,
               "panels must fit the workspace");

static void tile_task(void *arg, int i, int worker) {
  run_tile(arg, (size_t)i, worker);
}

void imgrec__gemm(struct imgrec_context *ctx, const struct gemm *g) {
  if (g->m == 0 || g->n == 0)
    return;
  struct product p = plan(ctx, g, (size_t)ctx->threads);
  imgrec__parallel_for(ctx->pool, p.tiles, tile_task, &p);
}

void imgrec__gemm_serial(struct imgrec_context *ctx, const struct gemm *g,
                         int worker) {
  if (g->m == 0 || g->n == 0)
    return;
  struct product p = plan(ctx, g, 1);
  for (size_t i = 0; i < p.tiles; i++)
    run_tile(&p, i, worker);
}
