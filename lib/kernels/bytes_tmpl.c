/* SPDX-License-Identifier: MIT */
/* Bytes of images: turned from rows to columns, weighed and added (a part of
 * isa.c). */

/* ---- dst[j][i] = src[i][j], i < rows, j < columns ----------------------- */

/* A tile of 16 x 16.  Each of four rounds puts the bytes of rows i and i + 8
 * side by side; after the last one they are those of columns. */
INLINE void turn_tile(unsigned char *dst, size_t dst_stride,
                      const unsigned char *src, size_t src_stride) {
  vb a[16], b[16];
  UNROLL for (int i = 0; i < 16; i++) a[i] =
      load_sixteen(src + (size_t)i * src_stride);
  UNROLL for (int round = 0; round < 4; round++) {
    UNROLL for (int i = 0; i < 8; i++) {
      b[2 * i] = interleave_low(a[i], a[i + 8]);
      b[2 * i + 1] = interleave_high(a[i], a[i + 8]);
    }
    UNROLL for (int i = 0; i < 16; i++) a[i] = b[i];
  }
  UNROLL for (int i = 0; i < 16; i++)
      memcpy(dst + (size_t)i * dst_stride, &a[i], sizeof a[i]);
}

/* The last tiles overlap those in front of them. */
static void turn_bytes(unsigned char *dst, size_t dst_stride,
                       const unsigned char *src, size_t src_stride, size_t rows,
                       size_t columns) {
  if (rows < 16 || columns < 16) {
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++)
        dst[j * dst_stride + i] = src[i * src_stride + j];
    return;
  }
  for (size_t i = 0; i < rows; i += 16) {
    size_t y = i + 16 <= rows ? i : rows - 16;
    for (size_t j = 0; j < columns; j += 16) {
      size_t x = j + 16 <= columns ? j : columns - 16;
      turn_tile(dst + x * dst_stride + y, dst_stride, src + y * src_stride + x,
                src_stride);
    }
  }
}

/* ---- dst[x] = (1/2 + sum over k of weight[k] src[k][x]) / one ----------- */

/* 16 * groups bytes. */
INLINE void blend_group(unsigned char *dst, const unsigned char *src,
                        size_t stride, const int32_t *weight, size_t count,
                        const size_t groups) {
  enum { PARTS = 16 / VF };
  vi sum[3 * PARTS];
  UNROLL for (size_t v = 0; v < groups * PARTS; v++) sum[v] =
      (vi){0} + (1 << (BLEND_BITS - 1));
  for (size_t k = 0; k < count; k++, src += stride) {
    vi w = (vi){0} + weight[k];
    UNROLL for (size_t v = 0; v < groups * PARTS; v++) sum[v] +=
        w * load_widened(src + v * VF);
  }
  UNROLL for (size_t v = 0; v < groups * PARTS; v++)
      store_narrowed(dst + v * VF, sum[v] >> BLEND_BITS);
}

INLINE void blend_byte(unsigned char *dst, const unsigned char *src,
                       size_t stride, const int32_t *weight, size_t count) {
  int32_t sum = 1 << (BLEND_BITS - 1);
  for (size_t k = 0; k < count; k++)
    sum += weight[k] * src[k * stride];
  *dst = (unsigned char)(sum >> BLEND_BITS);
}

static void blend_bytes(unsigned char *dst, const unsigned char *src,
                        size_t stride, const int32_t *weight, size_t count,
                        size_t n) {
  size_t x = 0;
  for (; ISA_NUMBER > 1 && x + 48 <= n; x += 48)
    blend_group(dst + x, src + x, stride, weight, count, 3);
  for (; x + 16 <= n; x += 16)
    blend_group(dst + x, src + x, stride, weight, count, 1);
  if (x < n && n >= 16) /* once more what is done */
    blend_group(dst + n - 16, src + n - 16, stride, weight, count, 1);
  else
    for (; x < n; x++)
      blend_byte(dst + x, src + x, stride, weight, count);
}
