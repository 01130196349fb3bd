/* SPDX-License-Identifier: MIT */
/* An affine map of an image in one resampling: copied where no pixel is
 * divided, else the mean of the four pixels about each place, by nearness. */
#include <string.h>

#include "image/image.h"

#define ONE         ((int64_t)1 << IMGREC__WARP_BITS)
#define WEIGHT_BITS 11
#define WEIGHT_ONE  (1 << WEIGHT_BITS)

/* Where pixel i of n is when it is none: -1 for black. */
static int64_t outside(int64_t i, int64_t n, int fill) {
  if (fill == IMGREC_FILL_BLACK)
    return -1;
  if (fill == IMGREC_FILL_EDGE)
    return i < 0 ? 0 : n - 1;
  i %= 2 * n;
  i += i < 0 ? 2 * n : 0;
  return i < n ? i : 2 * n - 1 - i;
}

static inline int64_t index_of(int64_t i, int64_t n, int fill) {
  return i >= 0 && i < n ? i : outside(i, n, fill);
}

/* ---- Whole pixels ------------------------------------------------------- */

/* One pixel further is one pixel further, forward or back. */
static int is_step(const int64_t v[2], int axis) {
  return v[!axis] == 0 && (v[axis] == ONE || v[axis] == -ONE);
}

static int is_whole(const struct warp *m) {
  return is_step(m->by_y, 0) && is_step(m->by_x, 1) &&
         (m->at[0] & (ONE - 1)) == 0 && (m->at[1] & (ONE - 1)) == 0;
}

static void copy_pixel(unsigned char *dst, const unsigned char *row, int64_t x,
                       int c) {
  if (x < 0)
    memset(dst, 0, (size_t)c);
  else
    memcpy(dst, row + x * c, (size_t)c);
}

/* Pixel x of the row is pixel first + step x of `row`, which has n. */
static void copy_row(unsigned char *dst, int width, const unsigned char *row,
                     int64_t first, int64_t step, int64_t n, int c, int fill) {
  int64_t begin = step > 0 ? -first : first - (n - 1);
  int64_t end = step > 0 ? n - first : first + 1;
  begin = begin < 0 ? 0 : begin > width ? width : begin;
  end = end < begin ? begin : end > width ? width : end;
  for (int64_t x = 0; x < begin; x++)
    copy_pixel(dst + x * c, row, index_of(first + step * x, n, fill), c);
  if (end > begin)
    imgrec__convert(dst + begin * c, c, row + (first + step * begin) * c, c,
                    (ptrdiff_t)step, (size_t)(end - begin));
  for (int64_t x = end; x < width; x++)
    copy_pixel(dst + x * c, row, index_of(first + step * x, n, fill), c);
}

static void copy_rows(unsigned char *dst, int height, int width,
                      const struct pixels *src, const struct warp *m,
                      int fill) {
  int64_t first = m->at[1] / ONE, w = src->width;
  size_t n = (size_t)width * (size_t)src->channels;
  for (int y = 0; y < height; y++, dst += n) {
    int64_t sy = index_of((m->at[0] + y * m->by_y[0]) / ONE, src->height, fill);
    if (sy < 0)
      memset(dst, 0, n);
    else
      copy_row(dst, width, src->data + sy * w * src->channels, first,
               m->by_x[1] / ONE, w, src->channels, fill);
  }
}

/* ---- Parts of pixels ---------------------------------------------------- */

/* Four pixels of c bytes to one. */
static inline void blend(unsigned char *dst, const unsigned char *const p[4],
                         int32_t fy, int32_t fx, const int c) {
  for (int k = 0; k < c; k++) {
    int32_t top = p[0][k] * (WEIGHT_ONE - fx) + p[1][k] * fx;
    int32_t bottom = p[2][k] * (WEIGHT_ONE - fx) + p[3][k] * fx;
    int32_t sum = top * (WEIGHT_ONE - fy) + bottom * fy;
    dst[k] = (unsigned char)((sum + (1 << (2 * WEIGHT_BITS - 1))) >>
                             (2 * WEIGHT_BITS));
  }
}

static const unsigned char black[3];

/* Some of the four are outside. */
static void blend_border(unsigned char *dst, const struct pixels *src,
                         int64_t y, int64_t x, int32_t fy, int32_t fx,
                         int fill) {
  const unsigned char *p[4];
  for (int i = 0; i < 4; i++) {
    int64_t sy = index_of(y + i / 2, src->height, fill);
    int64_t sx = index_of(x + i % 2, src->width, fill);
    p[i] = sy < 0 || sx < 0
               ? black
               : src->data + (sy * src->width + sx) * src->channels;
  }
  blend(dst, p, fy, fx, src->channels);
}

/* Half a weight's unit is added, so that places round to the nearest. */
static inline void blend_row(unsigned char *dst, int width,
                             const struct pixels *src, const struct warp *m,
                             int64_t y, int fill, const int c) {
  const int shift = IMGREC__WARP_BITS - WEIGHT_BITS;
  int64_t half = (int64_t)1 << (shift - 1), row = (int64_t)src->width * c;
  int64_t sy = m->at[0] + y * m->by_y[0] + half;
  int64_t sx = m->at[1] + y * m->by_y[1] + half;
  for (int x = 0; x < width; x++, dst += c) {
    int64_t y0 = sy >> IMGREC__WARP_BITS, x0 = sx >> IMGREC__WARP_BITS;
    int32_t fy = (int32_t)(sy >> shift) & (WEIGHT_ONE - 1);
    int32_t fx = (int32_t)(sx >> shift) & (WEIGHT_ONE - 1);
    if (y0 >= 0 && x0 >= 0 && y0 < src->height - 1 && x0 < src->width - 1) {
      const unsigned char *at = src->data + y0 * row + x0 * c;
      const unsigned char *const p[4] = {at, at + c, at + row, at + row + c};
      blend(dst, p, fy, fx, c);
    } else {
      blend_border(dst, src, y0, x0, fy, fx, fill);
    }
    sy += m->by_x[0];
    sx += m->by_x[1];
  }
}

void imgrec__warp(unsigned char *dst, int height, int width,
                  const struct pixels *src, const struct warp *m, int fill) {
  size_t n = (size_t)width * (size_t)src->channels;
  if (is_whole(m)) {
    copy_rows(dst, height, width, src, m, fill);
    return;
  }
  for (int y = 0; y < height; y++, dst += n)
    if (src->channels == 1)
      blend_row(dst, width, src, m, y, fill, 1);
    else
      blend_row(dst, width, src, m, y, fill, 3);
}
