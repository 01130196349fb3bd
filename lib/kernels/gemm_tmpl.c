/* SPDX-License-Identifier: MIT */
/* The inner loops of matrix products (a part of isa.c). */

#if ISA_NUMBER == 3
#define MR 12
#elif ISA_NUMBER == 2
#define MR 6
#else
#define MR 4
#endif
#define NV 2 /* vectors in a row of the tile */
#define NR (NV * VF)

/* c: MR rows of vectors * VF numbers, the last vector only `last` of them
 * where `part` is set.  Held in registers all the way: both arrays and loops
 * are of constant size once this is inlined. */
INLINE void whole_tile(size_t k, const float *a, const float *b, size_t ldb,
                       float *c, size_t ldc, size_t last, int accumulate,
                       const int vectors, const int part) {
  vf acc[MR][NV];
  UNROLL
  for (int i = 0; i < MR; i++) {
    UNROLL
    for (int j = 0; j < vectors; j++) {
      const float *from = c + (size_t)i * ldc + j * VF;
      acc[i][j] = (vf){0};
      if (accumulate)
        acc[i][j] =
            part && j == vectors - 1 ? load_part(from, last) : load(from);
    }
  }
  for (; k > 0; k--, a += MR, b += ldb) {
    vf row[NV];
    UNROLL
    for (int j = 0; j < vectors; j++)
      row[j] = load(b + j * VF);
    UNROLL
    for (int i = 0; i < MR; i++) {
      vf left = splat(a[i]);
      UNROLL
      for (int j = 0; j < vectors; j++)
        acc[i][j] = vfma(left, row[j], acc[i][j]);
    }
  }
  UNROLL
  for (int i = 0; i < MR; i++) {
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

/* dst[r][c] = src[r][c]; rows x cols, cols <= NR. */
INLINE void copy_tile(float *dst, size_t ldd, const float *src, size_t lds,
                      size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; i++, dst += ldd, src += lds) {
    size_t j = 0;
    for (; j + VF <= cols; j += VF)
      store(dst + j, load(src + j));
    if (j < cols)
      store_part(dst + j, load_part(src + j, cols - j), cols - j);
  }
}

/* A tile that sticks out of c below is computed beside it. */
INLINE void any_tile(size_t k, const float *a, const float *b, size_t ldb,
                     float *c, size_t ldc, size_t rows, size_t cols,
                     int accumulate, const int vectors) {
  const size_t width = (size_t)vectors * VF, last = cols - (width - VF);
  if (rows == MR && cols == width) {
    whole_tile(k, a, b, ldb, c, ldc, VF, accumulate, vectors, 0);
  } else if (rows == MR) {
    whole_tile(k, a, b, ldb, c, ldc, last, accumulate, vectors, 1);
  } else {
    float tile[MR * NR] = {0};
    if (accumulate)
      copy_tile(tile, width, c, ldc, rows, cols);
    whole_tile(k, a, b, ldb, tile, width, VF, accumulate, vectors, 0);
    copy_tile(c, ldc, tile, width, rows, cols);
  }
}

static void wide_tile(size_t k, const float *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
  any_tile(k, a, b, ldb, c, ldc, rows, cols, accumulate, NV);
}

/* cols <= VF: convolutions with 6, 10 or 16 outputs. */
static void thin_tile(size_t k, const float *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
  any_tile(k, a, b, ldb, c, ldc, rows, cols, accumulate, 1);
}

static void gemm_tile(size_t k, const float *a, const float *b, size_t ldb,
                      float *c, size_t ldc, size_t rows, size_t cols,
                      int accumulate) {
  if (cols <= VF)
    thin_tile(k, a, b, ldb, c, ldc, rows, cols, accumulate);
  else
    wide_tile(k, a, b, ldb, c, ldc, rows, cols, accumulate);
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

static void pack_panel(float *dst, const float *src, size_t stride, size_t rows,
                       size_t k) {
  pack_rows(dst, MR, src, stride, rows, k);
}

static void pack_columns(float *dst, const float *src, size_t stride,
                         size_t cols, size_t k) {
  pack_rows(dst, NR, src, stride, cols, k);
}
