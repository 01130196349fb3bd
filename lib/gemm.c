/* SPDX-License-Identifier: MIT */
/* Products of matrices: cut into tiles for the workers and into blocks for the
 * caches; the inner loops are kernels.  How it is cut does not touch a bit of
 * the result: each element of c is one sum in the order of k, which between
 * blocks rests in c (or in a stage), exactly. */
#include "tensor.h"

#include "kernels/kernels.h"

#include <assert.h>
#include <string.h>

/* A worker's workspace holds a block of `b` in panels, beside one of `a` where
 * that cannot be read in place, and the stage of what a sink takes; they share
 * its second-level cache. */
enum { BLOCK_M = 168, BLOCK_N = 256, BLOCK_K = 256, PAD = 16 };
enum {
  A_FLOATS = BLOCK_M * (BLOCK_K + PAD),
  B_FLOATS = BLOCK_N * BLOCK_K,
  STAGE_FLOATS = 16384
};
/* A tile: rows whose part of c stays in the caches between parts of k, columns
 * of a sink, which takes rows as long as can be, and terms of one part. */
enum { TILE_ROWS = 1024, SINK_COLS = 1024, SINK_K = 2048 };
/* Products of so few rows that memory bounds them: columns at a time at least,
 * and what of c stays in the nearest cache. */
enum { MAX_MR = 16, FEW_ROWS = 7, FEW_COLS = 1024, FEW_FLOATS = 4096 };

_Static_assert((A_FLOATS + B_FLOATS + STAGE_FLOATS) * sizeof(float) <=
                   IMGREC__WORKSPACE,
               "blocks must fit the workspace");

/* Below this many multiplications a tile is not worth its overhead. */
#define LEAST_WORK ((size_t)1 << 16)
/* Floats of `b` beyond which it comes from memory, which wants longer runs. */
#define CACHED ((size_t)1 << 20)

/* Rows that lie a multiple of this many floats apart share the few lines of one
 * set of the first-level cache. */
enum { SET_FLOATS = 1024, LINE_FLOATS = 16, LINE_BYTES = 64 };

struct product {
  struct imgrec_context *ctx;
  const struct kernels *kernels;
  const struct gemm *g;
  size_t rows, cols; /* of a tile */
  size_t block;      /* rows of a tile at a time */
  size_t part;       /* of k */
  size_t across;     /* tiles side by side */
  size_t tiles;
  int few;    /* rows, and b is read in place */
  int copy_a; /* though it is in memory */
};

/* One worker's block: rows [i0, i0 + rows), columns [j0, j0 + cols) of c, and
 * of the sums the part [k0, k0 + k). */
struct tile {
  size_t i0, rows, j0, cols, k0, k;
  size_t end; /* of the tile's rows */
  float *a_copy;
  float *b; /* panels of nr columns: k x nr each */
  float *stage;
  struct left a;
  float *c; /* of the block: in memory or the stage */
  size_t ldc;
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

/* Rows of the copy of a block of `a` lie this far apart. */
static size_t copy_stride(size_t k) { return round_up(k, LINE_FLOATS) + PAD; }

/* lines x length of `a`, its first element at (row, col). */
static void copy_a(const struct matrix *a, size_t row, size_t col, float *dst,
                   size_t lines, size_t length, size_t stride) {
  size_t from = a->col_stride == 1 ? a->row_stride : a->col_stride;
  if (a->fill != NULL) {
    a->fill(a->source, row, lines, col, length, dst, stride);
    return;
  }
  const float *src = a->data + row * a->row_stride + col * a->col_stride;
  for (size_t i = 0; i < lines; i++)
    memcpy(dst + i * stride, src + i * from, length * sizeof *dst);
}

/* The block of `a`: in memory it is read where it lies, if it lies well; what
 * a fill function makes is copied, rows x k, or k x rows for a transposed
 * one. */
static void place_a(const struct product *p, struct tile *t) {
  const struct matrix *a = &p->g->a;
  struct left left = {.k = t->k, .runs = {1, 1}, .row = 1, .step = 1};
  left.data = t->a_copy;
  if (a->fill == NULL && !p->copy_a) {
    left.data = a->data + t->i0 * a->row_stride + t->k0 * a->col_stride;
    left.row = a->row_stride;
    left.step = a->col_stride;
  } else if (a->fill != NULL ? p->g->a_transposed : a->col_stride != 1) {
    left.step = t->rows;
    if (a->fill != NULL)
      copy_a(a, t->k0, t->i0, t->a_copy, t->k, t->rows, left.step);
    else
      copy_a(a, t->i0, t->k0, t->a_copy, t->k, t->rows, left.step);
  } else {
    left.row = copy_stride(t->k);
    copy_a(a, t->i0, t->k0, t->a_copy, t->rows, t->k, left.row);
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

static void pack_b(const struct product *p, const struct tile *t) {
  size_t nr = (size_t)p->kernels->nr;
  for (size_t j = 0; j < t->cols; j += nr)
    pack_b_panel(p, t, t->j0 + j, min_size(nr, t->cols - j), t->b + j * t->k);
}

/* ---- Looking ahead ------------------------------------------------------ */

static uintptr_t address(const float *p, size_t floats) {
  return (uintptr_t)p + floats * sizeof *p;
}

/* What a sink will read beside the next rows: with each panel a part of it. */
static int ahead_of_sink(const struct product *p, const struct tile *t,
                         size_t j, struct ahead *ahead) {
  const struct gemm *g = p->g;
  size_t nr = (size_t)p->kernels->nr, next = t->i0 + t->rows;
  size_t part = t->rows * t->cols / ceil_div(t->cols, nr);
  if (t->cols != g->ldc || next >= t->end)
    return 0;
  for (int i = 0; i < AHEAD_STREAMS; i++)
    ahead->at[i] = address(g->sink->reads[i], next * g->ldc + j / nr * part);
  ahead->step = LINE_BYTES;
  ahead->row = nr * sizeof(float);
  return 1;
}

/* The rows of `a` that come next: of the block, or of the copy of one. */
static int ahead_of_a(const struct product *p, const struct tile *t, size_t j,
                      struct ahead *ahead) {
  const struct matrix *a = &p->g->a;
  size_t next = t->i0 + (p->copy_a ? t->rows : (size_t)p->kernels->mr);
  if (j > 0 || a->fill != NULL || a->col_stride != 1)
    return 0;
  for (int i = 0; i < AHEAD_STREAMS; i++)
    ahead->at[i] = address(a->data, next * a->row_stride + t->k0);
  ahead->step = LINE_BYTES;
  ahead->row = a->row_stride * sizeof(float);
  return 1;
}

/* The same panel of the next part of `b`, where b comes from memory. */
static int ahead_of_b(const struct product *p, const struct tile *t, size_t j,
                      struct ahead *ahead) {
  const struct gemm *g = p->g;
  const struct matrix *b = &g->b;
  size_t next = t->k0 + t->k;
  if (g->k * g->n <= CACHED || next >= g->k || b->fill != NULL ||
      b->col_stride != 1 || t->i0 > 0)
    return 0;
  ahead->at[0] = address(b->data, next * b->row_stride + t->j0 + j);
  for (int i = 1; i < AHEAD_STREAMS; i++)
    ahead->at[i] = ahead->at[0] + LINE_BYTES;
  ahead->step = b->row_stride * sizeof(float);
  ahead->row = 0;
  return 1;
}

/* What to ask for while the panel at column j of a block is multiplied, if
 * anything. */
static int look_ahead(const struct product *p, const struct tile *t, size_t j,
                      struct ahead *ahead) {
  const struct sink *sink = p->g->sink;
  if (sink == NULL)
    return ahead_of_b(p, t, j, ahead);
  if (sink->reads[0] == NULL)
    return ahead_of_a(p, t, j, ahead);
  return ahead_of_sink(p, t, j, ahead);
}

/* ---- A tile ------------------------------------------------------------- */

/* A panel of `b` stays in the first-level cache while `a` streams past it. */
static void multiply_panels(const struct product *p, const struct tile *t,
                            int accumulate) {
  const struct kernels *kn = p->kernels;
  size_t nr = (size_t)kn->nr;
  for (size_t j = 0; j < t->cols; j += nr) {
    struct ahead ahead;
    const float *b = t->b + j * t->k;
    size_t n = min_size(nr, t->cols - j);
    if (look_ahead(p, t, j, &ahead))
      kn->gemm_tile_ahead(&t->a, b, nr, t->c + j, t->ldc, t->rows, n,
                          accumulate, &ahead);
    else
      kn->gemm_tile(&t->a, b, nr, t->c + j, t->ldc, t->rows, n, accumulate);
  }
}

static void add_bias(const struct product *p, const struct tile *t) {
  for (size_t i = 0; i < t->rows; i++) {
    float *row = t->c + i * t->ldc;
    p->kernels->add_row(row, row, p->g->bias + t->j0, 1, t->cols);
  }
}

/* The sums of a block are complete. */
static void finish(const struct product *p, const struct tile *t) {
  if (p->g->bias != NULL)
    add_bias(p, t);
  if (p->g->sink != NULL)
    p->g->sink->take(p->g->sink->arg, t->i0, t->rows, t->j0, t->cols, t->c,
                     t->ldc);
}

static void multiply_block(const struct product *p, struct tile *t) {
  const struct gemm *g = p->g;
  int accumulate = g->accumulate || t->k0 > 0;
  t->c = g->sink ? t->stage : g->c + t->i0 * g->ldc + t->j0;
  t->ldc = g->sink ? t->cols : g->ldc;
  place_a(p, t);
  if (p->few)
    p->kernels->gemv(t->rows, t->k, t->a.data, t->a.row,
                     g->b.data + t->k0 * g->b.row_stride + t->j0,
                     g->b.row_stride, t->c, t->ldc, t->cols, accumulate);
  else
    multiply_panels(p, t, accumulate);
  if (t->k0 + t->k == g->k)
    finish(p, t);
}

/* Rows [begin, end): each part of `b` is packed once for all of them. */
static void multiply_rows(const struct product *p, struct tile *t, size_t begin,
                          size_t end) {
  t->k0 = 0;
  do {
    t->k = min_size(p->part, p->g->k - t->k0);
    if (!p->few)
      pack_b(p, t);
    for (t->i0 = begin; t->i0 < end; t->i0 += t->rows) {
      t->rows = min_size(p->block, end - t->i0);
      multiply_block(p, t);
    }
    t->k0 += t->k;
  } while (t->k0 < p->g->k);
}

/* There is but one stage: with several parts it is one block after another. */
static void run_tile(const struct product *p, size_t index, int worker) {
  const struct gemm *g = p->g;
  size_t begin = index / p->across * p->rows;
  struct tile t = {.j0 = index % p->across * p->cols};
  t.cols = min_size(p->cols, g->n - t.j0);
  t.end = min_size(begin + p->rows, g->m);
  t.a_copy = imgrec__workspace(p->ctx, worker);
  t.b = t.a_copy + A_FLOATS;
  t.stage = t.b + B_FLOATS;
  size_t step = g->sink && p->part < g->k ? p->block : p->rows;
  for (; begin < t.end; begin += step)
    multiply_rows(p, &t, begin, min_size(begin + step, t.end));
}

/* ---- Cutting into tiles ------------------------------------------------- */

static size_t round_down(size_t a, size_t b) { return a / b * b; }

static void count_tiles(struct product *p) {
  p->across = ceil_div(p->g->n, p->cols);
  p->tiles = p->across * ceil_div(p->g->m, p->rows);
}

/* Halves tiles until each worker has some four, so that one that comes late
 * does not hold up the others, as long as they are worth it. */
static void cut_for_workers(struct product *p, size_t workers, size_t mr,
                            size_t nr) {
  int cached = p->g->k * p->g->n <= CACHED;
  size_t narrow = cached ? nr : 128;
  while (p->tiles < 4 * workers &&
         p->rows * p->cols * p->g->k > 2 * LEAST_WORK) {
    if (p->rows > p->cols && p->rows > 2 * mr)
      p->rows = round_up(p->rows / 2, mr);
    else if (p->cols > narrow)
      p->cols = round_up(p->cols / 2, nr);
    else if (p->rows > 2 * mr && cached)
      p->rows = round_up(p->rows / 2, mr);
    else
      break;
    count_tiles(p);
  }
}

/* Equal parts of at most `most`, each a multiple of `unit`. */
static size_t equal_parts(size_t n, size_t most, size_t unit) {
  return round_up(ceil_div(n, ceil_div(n, most)), unit);
}

/* Rows that lie badly are copied, if the copy is used enough. */
static int wants_copy(const struct product *p) {
  const struct matrix *a = &p->g->a;
  size_t off = a->row_stride % SET_FLOATS;
  if (a->fill != NULL)
    return 0;
  if (a->col_stride != 1)
    return p->cols > 2 * (size_t)p->kernels->nr;
  return p->g->m > 1 && p->cols >= LINE_FLOATS &&
         (off < LINE_FLOATS || off > SET_FLOATS - LINE_FLOATS);
}

/* What fits the workspace. */
static void plan_blocks(struct product *p, size_t mr) {
  const struct gemm *g = p->g;
  size_t most = BLOCK_K, rows = round_down(BLOCK_M, mr);
  if (g->sink)
    most = min_size(SINK_K, round_down(B_FLOATS / p->cols, LINE_FLOATS));
  p->part = g->k == 0 ? 1 : equal_parts(g->k, most, 1);
  p->copy_a = wants_copy(p);
  if (p->copy_a || g->a.fill)
    rows = min_size(rows, A_FLOATS / copy_stride(p->part));
  if (g->sink)
    rows = min_size(rows, STAGE_FLOATS / p->cols);
  p->block = max_size(round_down(rows, mr), mr);
}

/* Few rows: b streams by and is read once.  A core alone reads long runs as
 * fast as all of them do short ones. */
static void plan_few(struct product *p, size_t workers) {
  const struct gemm *g = p->g;
  size_t most = max_size(FEW_COLS, round_down(FEW_FLOATS / g->m, 64));
  p->cols = equal_parts(g->n, max_size(ceil_div(g->n, workers), FEW_COLS), 64);
  p->cols = min_size(p->cols, most);
  p->rows = p->block = g->m;
  p->part = max_size(g->k, 1);
  count_tiles(p);
}

/* The columns of a tile for a sink: all, if they are not too many. */
static size_t sink_cols(const struct gemm *g, size_t nr) {
  size_t fit = B_FLOATS / max_size(g->k, B_FLOATS / SINK_COLS);
  return round_down(max_size(fit, BLOCK_N), nr);
}

static struct product plan(struct imgrec_context *ctx, const struct gemm *g,
                           size_t workers) {
  struct product p = {.ctx = ctx, .kernels = ctx->kernels, .g = g};
  size_t mr = (size_t)p.kernels->mr, nr = (size_t)p.kernels->nr;
  assert(mr <= MAX_MR && nr <= BLOCK_N);
  p.few = g->m <= FEW_ROWS && g->sink == NULL && g->a.fill == NULL &&
          g->a.col_stride == 1 && g->b.fill == NULL && g->b.col_stride == 1;
  if (p.few) {
    plan_few(&p, workers);
    return p;
  }
  p.rows = equal_parts(g->m, TILE_ROWS, mr);
  p.cols = g->sink ? sink_cols(g, nr) : round_down(BLOCK_N, nr);
  p.cols = min_size(p.cols, round_up(g->n, nr));
  count_tiles(&p);
  if (workers > 1)
    cut_for_workers(&p, workers, mr, nr);
  plan_blocks(&p, mr);
  return p;
}

/* ---- b stored by columns ------------------------------------------------ */

struct transposed {
  const struct kernels *kernels;
  const struct gemm *g;
};

/* c = (b^T a^T)^T: b, often by far the larger, is read where it lies and only
 * a is packed.  What a product of two numbers is does not depend on their
 * order. */
static void take_transposed(const void *arg, size_t row, size_t rows,
                            size_t col, size_t cols, const float *tile,
                            size_t stride) {
  const struct transposed *t = arg;
  t->kernels->transpose(t->g->c + col * t->g->ldc + row, t->g->ldc, tile,
                        stride, rows, cols);
}

/* Unless `a` is so large that packing its parts for each block takes long. */
static int transposable(const struct gemm *g) {
  size_t packed = g->k * min_size(g->m, BLOCK_N);
  if (g->m > g->n || (g->m > 96 && packed > B_FLOATS))
    return 0;
  return g->b.fill == NULL && g->b.col_stride != 1 && g->a.fill == NULL &&
         g->a.col_stride == 1 && !g->accumulate && g->bias == NULL &&
         g->sink == NULL;
}

/* ---- Running ------------------------------------------------------------ */

static void tile_task(void *arg, int i, int worker) {
  run_tile(arg, (size_t)i, worker);
}

static void multiply(struct imgrec_context *ctx, const struct gemm *g) {
  struct product p = plan(ctx, g, (size_t)ctx->threads);
  imgrec__parallel_for(ctx->pool, p.tiles, tile_task, &p);
}

void imgrec__gemm(struct imgrec_context *ctx, const struct gemm *g) {
  if (g->m == 0 || g->n == 0)
    return;
  if (!transposable(g)) {
    multiply(ctx, g);
    return;
  }
  const struct transposed t = {ctx->kernels, g};
  const struct sink sink = {.take = take_transposed, .arg = &t};
  const struct gemm swapped = {
      .m = g->n,
      .n = g->m,
      .k = g->k,
      .a = matrix_of(g->b.data, g->b.col_stride, g->b.row_stride),
      .b = matrix_of(g->a.data, g->a.col_stride, g->a.row_stride),
      .sink = &sink};
  multiply(ctx, &swapped);
}

void imgrec__gemm_serial(struct imgrec_context *ctx, const struct gemm *g,
                         int worker) {
  if (g->m == 0 || g->n == 0)
    return;
  struct product p = plan(ctx, g, 1);
  for (size_t i = 0; i < p.tiles; i++)
    run_tile(&p, i, worker);
}
