/* SPDX-License-Identifier: MIT */
/* The inner loops of matrix products (a part of isa.c). */

#if ISA_NUMBER == 3
#define MR 12
#elif ISA_NUMBER == 2
#define MR 6
#else
#define MR 2
#endif
/* Vectors in a row of the tile; one in plain C, where a fused multiply-add is
 * long and gains nothing from more of them. */
#define NV (ISA_NUMBER > 1 ? 2 : 1)
#define NR (NV * VF)

/* The rows of a tile lie `row` floats apart: reached from one pointer for
 * every three of them, so that addresses stay in registers. */
enum { ROW_POINTERS = (MR + 2) / 3 };

/* c: ROWS rows of vectors * VF numbers, the last vector only `last` of them
 * where `part` is set.  Held in registers all the way: both arrays and loops
 * are of constant size once this is inlined. */
INLINE void tile_load(vf acc[MR][NV], const float *c, size_t ldc, size_t last,
                      int accumulate, const int rows, const int vectors,
                      const int part) {
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      const float *from = c + (size_t)i * ldc + j * VF;
      acc[i][j] = (vf){0};
      if (accumulate)
        acc[i][j] =
            part && j == vectors - 1 ? load_part(from, last) : load(from);
    }
  }
}

INLINE void tile_store(vf acc[MR][NV], float *c, size_t ldc, size_t last,
                       const int rows, const int vectors, const int part) {
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      float *to = c + (size_t)i * ldc + j * VF;
      if (part && j == vectors - 1)
        store_part(to, acc[i][j], last);
      else
        store(to, acc[i][j]);
    }
  }
}

/* One run of k products onto acc; returns b behind it. */
INLINE const float *tile_run(vf acc[MR][NV], size_t k, const float *a,
                             size_t a_row, size_t a_step, const float *b,
                             size_t ldb, size_t last, const int rows,
                             const int vectors, const int part) {
  const float *at[ROW_POINTERS];
  UNROLL
  for (int i = 0; i < ROW_POINTERS; i++)
    at[i] = a + (size_t)i * 3 * a_row;
  for (; k > 0; k--, b += ldb) {
    vf row[NV];
    UNROLL
    for (int j = 0; j < vectors; j++)
      row[j] = part && j == vectors - 1 ? load_part(b + j * VF, last)
                                        : load(b + j * VF);
    UNROLL
    for (int i = 0; i < rows; i++) {
      vf left = splat(at[i / 3][(size_t)(i % 3) * a_row]);
      UNROLL
      for (int j = 0; j < vectors; j++)
        acc[i][j] = vfma(left, row[j], acc[i][j]);
    }
    UNROLL
    for (int i = 0; i < ROW_POINTERS; i++)
      at[i] += a_step;
  }
  return b;
}

INLINE void tile_of(const struct left *a, const float *from, const float *b,
                    size_t ldb, float *c, size_t ldc, size_t last,
                    int accumulate, const int rows, const int vectors,
                    const int part) {
  vf acc[MR][NV];
  tile_load(acc, c, ldc, last, accumulate, rows, vectors, part);
  for (size_t y = 0; y < a->runs[0]; y++)
    for (size_t x = 0; x < a->runs[1]; x++) {
      const float *run =
          from + (ptrdiff_t)y * a->jump[0] + (ptrdiff_t)x * a->jump[1];
      if (a->row == 1)
        b = tile_run(acc, a->k, run, 1, a->step, b, ldb, last, rows, vectors,
                     part);
      else
        b = tile_run(acc, a->k, run, a->row, 1, b, ldb, last, rows, vectors,
                     part);
    }
  tile_store(acc, c, ldc, last, rows, vectors, part);
}

/* The sums of ROWS rows: picks the form for the columns. */
INLINE void tile_rows(const struct left *a, const float *from, const float *b,
                      size_t ldb, float *c, size_t ldc, size_t cols,
                      int accumulate, const int rows) {
  if (NV > 1 && cols == NR)
    tile_of(a, from, b, ldb, c, ldc, VF, accumulate, rows, NV, 0);
  else if (NV > 1 && cols > VF)
    tile_of(a, from, b, ldb, c, ldc, cols - VF, accumulate, rows, NV, 1);
  else if (cols == VF)
    tile_of(a, from, b, ldb, c, ldc, VF, accumulate, rows, 1, 0);
  else
    tile_of(a, from, b, ldb, c, ldc, cols, accumulate, rows, 1, 1);
}

typedef void tile_fn(const struct left *a, const float *from, const float *b,
                     size_t ldb, float *c, size_t ldc, size_t cols,
                     int accumulate);

static void tile_whole(const struct left *a, const float *from, const float *b,
                       size_t ldb, float *c, size_t ldc, size_t cols,
                       int accumulate) {
  tile_rows(a, from, b, ldb, c, ldc, cols, accumulate, MR);
}

#if MR > 8
static void tile_8(const struct left *a, const float *from, const float *b,
                   size_t ldb, float *c, size_t ldc, size_t cols,
                   int accumulate) {
  tile_rows(a, from, b, ldb, c, ldc, cols, accumulate, 8);
}
#endif

#if MR > 4
static void tile_4(const struct left *a, const float *from, const float *b,
                   size_t ldb, float *c, size_t ldc, size_t cols,
                   int accumulate) {
  tile_rows(a, from, b, ldb, c, ldc, cols, accumulate, 4);
}
#endif

#if MR > 2
static void tile_2(const struct left *a, const float *from, const float *b,
                   size_t ldb, float *c, size_t ldc, size_t cols,
                   int accumulate) {
  tile_rows(a, from, b, ldb, c, ldc, cols, accumulate, 2);
}
#endif

static void tile_1(const struct left *a, const float *from, const float *b,
                   size_t ldb, float *c, size_t ldc, size_t cols,
                   int accumulate) {
  tile_rows(a, from, b, ldb, c, ldc, cols, accumulate, 1);
}

/* Heights of tiles, the greatest first: any number of rows is a few of them. */
static const struct {
  size_t rows;
  tile_fn *fn;
} tiles[] = {
    {MR, tile_whole},
#if MR > 8
    {8, tile_8},
#endif
#if MR > 4
    {4, tile_4},
#endif
#if MR > 2
    {2, tile_2},
#endif
    {1, tile_1},
};

static void gemm_tile(const struct left *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
  const float *from = a->data;
  for (size_t t = 0; rows > 0; t++)
    for (; tiles[t].rows <= rows; rows -= tiles[t].rows) {
      tiles[t].fn(a, from, b, ldb, c, ldc, cols, accumulate);
      from += tiles[t].rows * a->row;
      c += tiles[t].rows * ldc;
    }
}

/* `steps` products onto each c[j]. */
INLINE void gemv_steps(const size_t steps, const float *a, const float *b,
                       size_t ldb, float *c, size_t cols, int accumulate) {
  for (size_t j = 0; j < cols; j += VF) {
    size_t n = cols - j < VF ? cols - j : VF;
    vf acc = {0};
    if (accumulate)
      acc = load_upto(c + j, n);
    for (size_t p = 0; p < steps; p++)
      acc = vfma(splat(a[p]), load_upto(b + p * ldb + j, n), acc);
    store_upto(c + j, acc, n);
  }
}

/* c (1 x cols) (+)= a (1 x k) * b (k x cols).  Eight rows of b at a time, so
 * that b streams by in long runs while c stays in the nearest cache. */
static void gemv(size_t k, const float *a, const float *b, size_t ldb, float *c,
                 size_t cols, int accumulate) {
  if (k < 8) {
    gemv_steps(k, a, b, ldb, c, cols, accumulate);
    return;
  }
  size_t p = 0;
  for (; p + 8 <= k; p += 8)
    gemv_steps(8, a + p, b + p * ldb, ldb, c, cols, accumulate || p > 0);
  if (p < k)
    gemv_steps(k - p, a + p, b + p * ldb, ldb, c, cols, 1);
}

/* ---- Panels ------------------------------------------------------------- */

typedef float v4 __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));

#if defined(__clang__)
#define SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, (v4i){i, j, k, l})
#endif

/* The first n <= 4 floats, then zeros. */
INLINE v4 load4(const float *p, size_t n) {
  v4 v = {0};
  if (n >= 4)
    memcpy(&v, p, sizeof v);
  else
    memcpy(&v, p, n * sizeof *p);
  return v;
}

INLINE void transpose4(v4 v[4]) {
  v4 a = SHUFFLE4(v[0], v[1], 0, 4, 1, 5), b = SHUFFLE4(v[0], v[1], 2, 6, 3, 7);
  v4 c = SHUFFLE4(v[2], v[3], 0, 4, 1, 5), d = SHUFFLE4(v[2], v[3], 2, 6, 3, 7);
  v[0] = SHUFFLE4(a, c, 0, 1, 4, 5);
  v[1] = SHUFFLE4(a, c, 2, 3, 6, 7);
  v[2] = SHUFFLE4(b, d, 0, 1, 4, 5);
  v[3] = SHUFFLE4(b, d, 2, 3, 6, 7);
}

/* dst[p][i] = src[i][p] for i < width (1 to 4), p < k (1 to 4); zero where
 * i >= rows.  dst: rows of `step` floats. */
INLINE void pack4(float *dst, const size_t step, const size_t width,
                  const float *src, size_t stride, size_t rows, size_t k) {
  v4 v[4] = {{0}};
  UNROLL
  for (size_t i = 0; i < 4; i++)
    if (i < rows)
      v[i] = load4(src + i * stride, k);
  transpose4(v);
  UNROLL
  for (size_t p = 0; p < 4; p++)
    if (p < k)
      memcpy(dst + p * step, &v[p], width * sizeof *dst);
}

INLINE void pack_strip(float *dst, const size_t step, const size_t width,
                       const float *src, size_t stride, size_t rows, size_t k) {
  size_t p = 0;
  if (rows >= 4)
    for (; p + 4 <= k; p += 4)
      pack4(dst + p * step, step, width, src + p, stride, 4, 4);
  else
    for (; p + 4 <= k; p += 4)
      pack4(dst + p * step, step, width, src + p, stride, rows, 4);
  if (p < k)
    pack4(dst + p * step, step, width, src + p, stride, rows, k - p);
}

/* dst[p][width] = src[row][p], zero for the rows that there are not. */
INLINE void pack_rows(float *dst, const size_t width, const float *src,
                      size_t stride, size_t rows, size_t k) {
  for (size_t i = 0; i < width; i += 4) {
    size_t left = rows > i ? rows - i : 0;
    const float *from = left > 0 ? src + i * stride : src;
    if (width - i >= 4)
      pack_strip(dst + i, width, 4, from, stride, left, k);
    else
      pack_strip(dst + i, width, width - i, from, stride, left, k);
  }
}

static void pack_columns(float *dst, const float *src, size_t stride,
                         size_t cols, size_t k) {
  pack_rows(dst, NR, src, stride, cols, k);
}
