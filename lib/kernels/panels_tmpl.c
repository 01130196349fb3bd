/* SPDX-License-Identifier: MIT */
/* Products of matrices with very few rows, and matrices brought into panels (a
 * part of isa.c). */

/* ---- Few rows ----------------------------------------------------------- */

/* Rows of the right matrix that gemv takes at once, for more than VERY_FEW
 * rows of the left one. */
enum { STEPS = ISA_NUMBER > 1 ? 8 : 1, VERY_FEW = 2 };

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
  for (size_t p = 0; j < cols && p < steps; p++)
    gemv_columns(1, rows, a + p, lda, b + p * ldb + j, ldb, c + j, ldc,
                 cols - j, accumulate || p > 0, fetch);
}

/* c (rows x cols) (+)= a (rows x k) * b (k x cols), c staying in the nearest
 * cache.  Very few rows leave the time to read b number by number as it lies,
 * which is what memory does best; more take STEPS rows of it at once. */
static void gemv(size_t rows, size_t k, const float *a, size_t lda,
                 const float *b, size_t ldb, float *c, size_t ldc, size_t cols,
                 int accumulate) {
  size_t p = 0;
  for (; STEPS > 1 && rows > VERY_FEW && p + STEPS <= k; p += STEPS)
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
        size_t height = rows - q, width = cols - j;
        float *to = dst + j * ldd + q;
        const float *from = src + q * lds + j;
        if (height >= 4 && width >= 4) {
          pack4(to, ldd, 4, from, lds, 4, 4);
          continue;
        }
        for (size_t y = 0; y < height && y < 4; y++)
          for (size_t x = 0; x < width && x < 4; x++)
            to[x * ldd + y] = from[y * lds + x];
      }
}
