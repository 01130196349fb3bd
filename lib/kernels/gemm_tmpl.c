/* SPDX-License-Identifier: MIT */
/* The inner loops of matrix products (a part of isa.c). */

/* Rows and vectors of the tile, as many as there are registers for; in plain C,
 * where a fused multiply-add is a call, few. */
#if defined(SANITIZED) && ISA_NUMBER > 1
#define MR      3
#define THIN_MR 4
#define NV      2
#if ISA_NUMBER == 3
extern const struct kernels imgrec__kernels_avx2;
#endif
#elif ISA_NUMBER == 3
#define MR      12
#define THIN_MR 12 /* of a single vector */
#define NV      2
extern const struct kernels imgrec__kernels_avx2;
#elif ISA_NUMBER == 2
#define MR      6
#define THIN_MR 12
#define NV      2
#elif ISA_NUMBER == 4
#define MR      12
#define THIN_MR 12
#define NV      2
#else
#define MR      2
#define THIN_MR 2
#define NV      1
#endif
#define NR (NV * VF)

/* The rows of a tile lie `row` floats apart: reached from one pointer for
 * every three of them, so that addresses stay in registers. */
enum { ROW_POINTERS = (THIN_MR + 2) / 3 };

/* Rows of the right matrix that gemv takes at once, for more than VERY_FEW
 * rows of the left one. */
enum { STEPS = 8, VERY_FEW = 2 };

/* c: ROWS rows of vectors * VF numbers, the last vector only `last` of them
 * where `part` is set.  Held in registers all the way: both arrays and loops
 * are of constant size once this is inlined. */
INLINE void tile_load(vf acc[THIN_MR][NV], const float *c, size_t ldc,
                      size_t last, int accumulate, const int rows,
                      const int vectors, const int part) {
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

INLINE void tile_store(vf acc[THIN_MR][NV], float *c, size_t ldc, size_t last,
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

/* One run of k products onto acc; returns b behind it.  With `fetch`, asks for
 * what is needed later. */
INLINE const float *tile_run(vf acc[THIN_MR][NV], size_t k, const float *a,
                             size_t a_row, size_t a_step, const float *b,
                             size_t ldb, size_t last, struct ahead *fetch,
                             const int rows, const int vectors,
                             const int part) {
  const float *at[ROW_POINTERS];
  UNROLL
  for (int i = 0; i < ROW_POINTERS; i++)
    at[i] = a + (size_t)i * 3 * a_row;
  for (; k > 0; k--, b += ldb) {
    if (fetch) {
      UNROLL
      for (int i = 0; i < AHEAD_STREAMS; i++) {
        __builtin_prefetch((const void *)fetch->at[i], 0, 2);
        fetch->at[i] += fetch->step;
      }
    }
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

/* All runs of a, from this row on, onto acc. */
INLINE void tile_sum(vf acc[THIN_MR][NV], const struct left *a,
                     const float *from, const float *b, size_t ldb, size_t last,
                     struct ahead *fetch, const int rows, const int vectors,
                     const int part) {
  for (size_t y = 0; y < a->runs[0]; y++)
    for (size_t x = 0; x < a->runs[1]; x++) {
      const float *run =
          from + (ptrdiff_t)y * a->jump[0] + (ptrdiff_t)x * a->jump[1];
      if (a->row == 1)
        b = tile_run(acc, a->k, run, 1, a->step, b, ldb, last, fetch, rows,
                     vectors, part);
      else
        b = tile_run(acc, a->k, run, a->row, 1, b, ldb, last, fetch, rows,
                     vectors, part);
    }
}

INLINE void tile_of(const struct left *a, const float *from, const float *b,
                    size_t ldb, float *c, size_t ldc, size_t last,
                    int accumulate, struct ahead *fetch, const int rows,
                    const int vectors, const int part) {
  vf acc[THIN_MR][NV];
  tile_load(acc, c, ldc, last, accumulate, rows, vectors, part);
  tile_sum(acc, a, from, b, ldb, last, fetch, rows, vectors, part);
  tile_store(acc, c, ldc, last, rows, vectors, part);
}

/* Any height up to the greatest: each is a loop of its own, held in registers.
 */
INLINE void tile_height(const struct left *a, const float *from, const float *b,
                        size_t ldb, float *c, size_t ldc, size_t last,
                        int accumulate, size_t rows, const int vectors,
                        const int part) {
  const int most = vectors == 1 ? THIN_MR : MR;
#define HEIGHT(n)                                                              \
  case n:                                                                      \
    if (n <= most)                                                             \
      tile_of(a, from, b, ldb, c, ldc, last, accumulate, NULL, n, vectors,     \
              part);                                                           \
    break
  switch (rows) {
    HEIGHT(1);
    HEIGHT(2);
    HEIGHT(3);
    HEIGHT(4);
    HEIGHT(5);
    HEIGHT(6);
    HEIGHT(7);
    HEIGHT(8);
    HEIGHT(9);
    HEIGHT(10);
    HEIGHT(11);
    HEIGHT(12);
  }
#undef HEIGHT
}

typedef void tile_fn(const struct left *a, const float *from, const float *b,
                     size_t ldb, float *c, size_t ldc, size_t last,
                     int accumulate, size_t rows);

#if NV > 1
static void tile_wide(const struct left *a, const float *from, const float *b,
                      size_t ldb, float *c, size_t ldc, size_t last,
                      int accumulate, size_t rows) {
  tile_height(a, from, b, ldb, c, ldc, last, accumulate, rows, NV, 0);
}

static void tile_wide_part(const struct left *a, const float *from,
                           const float *b, size_t ldb, float *c, size_t ldc,
                           size_t last, int accumulate, size_t rows) {
  tile_height(a, from, b, ldb, c, ldc, last, accumulate, rows, NV, 1);
}
#endif

static void tile_thin(const struct left *a, const float *from, const float *b,
                      size_t ldb, float *c, size_t ldc, size_t last,
                      int accumulate, size_t rows) {
  tile_height(a, from, b, ldb, c, ldc, last, accumulate, rows, 1, 0);
}

static void tile_thin_part(const struct left *a, const float *from,
                           const float *b, size_t ldb, float *c, size_t ldc,
                           size_t last, int accumulate, size_t rows) {
  tile_height(a, from, b, ldb, c, ldc, last, accumulate, rows, 1, 1);
}

/* Rows in pieces of nearly equal height, so that none is too low to keep the
 * multipliers busy. */
INLINE void tile_pieces(tile_fn *fn, const struct left *a, const float *b,
                        size_t ldb, float *c, size_t ldc, size_t rows,
                        size_t last, int accumulate, size_t most) {
  const float *from = a->data;
  for (size_t pieces = (rows + most - 1) / most; pieces > 0; pieces--) {
    size_t now = (rows + pieces - 1) / pieces;
    fn(a, from, b, ldb, c, ldc, last, accumulate, now);
    from += now * a->row;
    c += now * ldc;
    rows -= now;
  }
}

static void gemm_tile(const struct left *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
#if ISA_NUMBER == 3
  /* What fills the narrower vectors, of which two make a cycle. */
  size_t whole = cols > VF ? VF : 0;
  if (cols - whole <= VF / 2) {
    if (whole)
      imgrec__kernels_avx2.gemm_tile(a, b, ldb, c, ldc, rows, whole,
                                     accumulate);
    imgrec__kernels_avx2.gemm_tile(a, b + whole, ldb, c + whole, ldc, rows,
                                   cols - whole, accumulate);
    return;
  }
#endif
#if NV > 1
  if (cols > VF) {
    tile_pieces(cols == NR ? tile_wide : tile_wide_part, a, b, ldb, c, ldc,
                rows, cols - VF, accumulate, MR);
    return;
  }
#endif
  tile_pieces(cols == VF ? tile_thin : tile_thin_part, a, b, ldb, c, ldc, rows,
              cols, accumulate, THIN_MR);
}

/* Of a tile that asks ahead: a lower one is done before memory answers. */
enum { AHEAD_ROWS = MR < 8 ? MR : 8 };

/* The sums of ROWS rows: picks the form for the columns. */
INLINE void tile_ahead(const struct left *a, const float *from, const float *b,
                       size_t ldb, float *c, size_t ldc, size_t cols,
                       int accumulate, struct ahead fetch, const int rows) {
  if (NV > 1 && cols == NR)
    tile_of(a, from, b, ldb, c, ldc, VF, accumulate, &fetch, rows, NV, 0);
  else if (NV > 1 && cols > VF)
    tile_of(a, from, b, ldb, c, ldc, cols - VF, accumulate, &fetch, rows, NV,
            1);
  else if (cols == VF)
    tile_of(a, from, b, ldb, c, ldc, VF, accumulate, &fetch, rows, 1, 0);
  else
    tile_of(a, from, b, ldb, c, ldc, cols, accumulate, &fetch, rows, 1, 1);
}

static void gemm_tile_ahead(const struct left *a, const float *b, size_t ldb,
                            float *c, size_t ldc, size_t rows, size_t cols,
                            int accumulate, const struct ahead *ahead) {
  struct left rest = *a;
  struct ahead next = *ahead;
  while (rows >= AHEAD_ROWS) {
    size_t now = rows >= MR ? MR : AHEAD_ROWS;
    if (now == MR)
      tile_ahead(a, rest.data, b, ldb, c, ldc, cols, accumulate, next, MR);
    else
      tile_ahead(a, rest.data, b, ldb, c, ldc, cols, accumulate, next,
                 AHEAD_ROWS);
    rest.data += now * a->row;
    c += now * ldc;
    rows -= now;
    for (int i = 0; i < AHEAD_STREAMS; i++)
      next.at[i] += now * next.row;
  }
  gemm_tile(&rest, b, ldb, c, ldc, rows, cols, accumulate);
}

/* `steps` products onto n <= VF columns of c.  Asks for as many numbers from
 * `fetch` on, one after another. */
INLINE void gemv_columns(const size_t steps, size_t rows, const float *a,
                         size_t lda, const float *b, size_t ldb, float *c,
                         size_t ldc, const size_t n, int accumulate,
                         const float *fetch) {
  vf row[STEPS];
  UNROLL
  for (size_t p = 0; p < steps; p++)
    row[p] = load_upto(b + p / 3 * 3 * ldb + p % 3 * ldb, n);
  for (size_t p = 0; steps > 1 && p < steps * VF; p += 16)
    __builtin_prefetch(fetch + p);
  for (; rows > 0; rows--, a += lda, c += ldc) {
    vf acc = {0};
    if (accumulate)
      acc = load_upto(c, n);
    UNROLL
    for (size_t p = 0; p < steps; p++)
      acc = vfma(splat(a[p]), row[p], acc);
    store_upto(c, acc, n);
  }
}

/* Walks through the rows that come `steps` later as they lie in memory, so
 * that they are read in one long run, not in `steps` short ones. */
INLINE void gemv_steps(const size_t steps, size_t rows, const float *a,
                       size_t lda, const float *b, size_t ldb, float *c,
                       size_t ldc, size_t cols, int accumulate, size_t later) {
  const float *fetch = b + later;
  size_t j = 0, x = 0;
  for (; j + VF <= cols; j += VF) {
    gemv_columns(steps, rows, a, lda, b + j, ldb, c + j, ldc, VF, accumulate,
                 fetch + x);
    x += later > 0 ? steps * VF : 0;
    if (x >= cols) {
      x = 0;
      fetch += ldb;
    }
  }
  if (j < cols)
    gemv_columns(steps, rows, a, lda, b + j, ldb, c + j, ldc, cols - j,
                 accumulate, fetch);
}

/* c (rows x cols) (+)= a (rows x k) * b (k x cols), c staying in the nearest
 * cache.  Very few rows leave the time to read b number by number as it lies,
 * which is what memory does best; more take STEPS rows of it at once. */
static void gemv(size_t rows, size_t k, const float *a, size_t lda,
                 const float *b, size_t ldb, float *c, size_t ldc, size_t cols,
                 int accumulate) {
  size_t p = 0;
  for (; rows > VERY_FEW && p + STEPS <= k; p += STEPS)
    gemv_steps(STEPS, rows, a + p, lda, b + p * ldb, ldb, c, ldc, cols,
               accumulate || p > 0, p + 3 * STEPS <= k ? STEPS * ldb : 0);
  for (; p < k; p++)
    gemv_steps(1, rows, a + p, lda, b + p * ldb, ldb, c, ldc, cols,
               accumulate || p > 0, 0);
  for (size_t i = 0; k == 0 && !accumulate && i < rows; i++)
    memset(c + i * ldc, 0, cols * sizeof *c);
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

/* dst[j][i] = src[i][j], i < rows, j < cols: whole cache lines of dst at a
 * time, as its rows may all lie in the same few sets of the cache. */
static void transpose(float *dst, size_t ldd, const float *src, size_t lds,
                      size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; i += 16)
    for (size_t j = 0; j < cols; j += 4)
      for (size_t q = i; q < rows && q < i + 16; q += 4) {
        size_t height = rows - q < 4 ? rows - q : 4;
        size_t width = cols - j < 4 ? cols - j : 4;
        if (height == 4)
          pack4(dst + j * ldd + q, ldd, 4, src + q * lds + j, lds, 4, width);
        else
          pack4(dst + j * ldd + q, ldd, height, src + q * lds + j, lds, height,
                width);
      }
}
