/* SPDX-License-Identifier: MIT */
/* What is left of a picture when it is saved anew, or in another size: so that
 * the same picture can be found again among many.
 *
 * All of it is integer arithmetic on pixels, the same everywhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

#define SIDE        IMGREC__PRINT_SIDE
#define COLOUR_SIDE IMGREC__PRINT_COLOUR_SIDE
#define STEP        (SIDE / COLOUR_SIDE)

enum { CELLS = SIDE * SIDE, AREAS = COLOUR_SIDE * COLOUR_SIDE };

/* ---- Areas -------------------------------------------------------------- */

/* In units of 1/side of a pixel, cell j of `side` covers [n j, n (j + 1)) of a
 * row of n pixels, and pixel x covers [side x, side (x + 1)). */
static uint32_t overlap(size_t n, size_t side, size_t j, size_t x) {
  size_t low = max_size(n * j, side * x);
  size_t high = min_size(n * (j + 1), side * (x + 1));
  return (uint32_t)(high - low);
}

/* sums[j c + k] = sum over x of overlap(j, x) row[x c + k], whose weights come
 * to n; c is 1 or 3. */
static void sum_row(uint32_t *sums, const unsigned char *row, size_t n,
                    size_t c) {
  for (size_t j = 0; j < SIDE; j++) {
    size_t first = n * j / SIDE, last = (n * (j + 1) - 1) / SIDE;
    uint32_t inside[3] = {0, 0, 0};
    for (size_t x = first + 1; x < last; x++)
      for (size_t k = 0; k < c; k++)
        inside[k] += row[x * c + k];
    uint32_t left = overlap(n, SIDE, j, first);
    uint32_t right = last > first ? overlap(n, SIDE, j, last) : 0;
    for (size_t k = 0; k < c; k++)
      sums[j * c + k] = inside[k] * SIDE + left * row[first * c + k] +
                        right * row[last * c + k];
  }
}

/* Adds row y, summed, to the cells that it lies in. */
static void add_row(uint64_t *cells, const uint32_t *sums, size_t height,
                    size_t y, size_t c) {
  size_t first = SIDE * y / height, last = (SIDE * (y + 1) - 1) / height;
  for (size_t i = first; i <= last; i++) {
    uint32_t weight = overlap(height, SIDE, i, y);
    for (size_t j = 0; j < SIDE * c; j++)
      cells[i * SIDE * c + j] += (uint64_t)weight * sums[j];
  }
}

/* cells: of SIDE x SIDE x c, the averages of areas, times h w. */
static void sum_areas(uint64_t *cells, const struct pixels *p) {
  size_t h = (size_t)p->height, w = (size_t)p->width, c = (size_t)p->channels;
  uint32_t sums[SIDE * 3];
  memset(cells, 0, CELLS * c * sizeof *cells);
  for (size_t y = 0; y < h; y++) {
    const unsigned char *row = p->data + y * w * c;
    if (c == 3)
      sum_row(sums, row, w, 3);
    else
      sum_row(sums, row, w, 1);
    add_row(cells, sums, h, y, c);
  }
}

/* How far a channel lies from the luma, over areas of 4 x 4 cells. */
static void tint(signed char out[AREAS], const unsigned char channel[CELLS],
                 const unsigned char luma[CELLS]) {
  int sums[AREAS] = {0};
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++)
      sums[y / STEP * COLOUR_SIDE + x / STEP] +=
          channel[y * SIDE + x] - luma[y * SIDE + x];
  for (int i = 0; i < AREAS; i++)
    out[i] = (signed char)(sums[i] / (2 * STEP * STEP));
}

/* ---- The hash ----------------------------------------------------------- */

/* cosines[u][x] = 4096 cos(pi u (2 x + 1) / 32) */
static const int16_t cosines[8][SIDE / 2] = {
    {4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096},
    {4076, 3920, 3612, 3166, 2598, 1931, 1189, 401},
    {4017, 3406, 2276, 799, -799, -2276, -3406, -4017},
    {3920, 2598, 401, -1931, -3612, -4076, -3166, -1189},
    {3784, 1567, -1567, -3784, -3784, -1567, 1567, 3784},
    {3612, 401, -3166, -3920, -1189, 2598, 4076, 1931},
    {3406, -799, -4017, -2276, 2276, 4017, 799, -3406},
    {3166, -1931, -3920, 401, 4076, 1189, -3612, -2598}};

/* The first 8 coefficients of 16 values: cosines are even in x for even u and
 * odd for odd u about the middle. */
static void transform(int32_t out[8], const int32_t *in, size_t step) {
  for (int u = 0; u < 8; u++) {
    int64_t sum = 0;
    for (size_t x = 0; x < SIDE / 2; x++) {
      int32_t a = in[x * step], b = in[(SIDE - 1 - x) * step];
      sum += (int64_t)cosines[u][x] * (u % 2 ? a - b : a + b);
    }
    out[u] = (int32_t)(sum / 4096);
  }
}

/* Bit 8 u + v is the sign of coefficient (u, v) of the cosine transform, all
 * but the mean's: Zauner's pHash (2010) with the median taken to be 0. */
static uint64_t hash_of(const unsigned char luma[CELLS]) {
  int32_t in[CELLS], rows[SIDE * 8], out[8];
  uint64_t hash = 0;
  for (int i = 0; i < CELLS; i++)
    in[i] = 16 * luma[i];
  for (int y = 0; y < SIDE; y++)
    transform(rows + 8 * y, in + SIDE * y, 1);
  for (int v = 0; v < 8; v++) {
    transform(out, rows + v, 8);
    for (int u = 0; u < 8; u++)
      if (u + v > 0 && out[u] > 0)
        hash |= (uint64_t)1 << (8 * u + v);
  }
  return hash;
}

/* ---- Comparing ---------------------------------------------------------- */

/* Re-encoded (JPEG, quality 15 and up) or resized photos differ by up to 1/12
 * of their contrast in 95 of 100 cases, half of that at quality 40; of other
 * pictures next to none do. */
#define CONTRAST_PARTS 12
#define TINT_MAX       12 /* of 127 */
#define FLAT           2  /* grey levels of deviation */

/* CELLS^2 times the variance of v. */
static int64_t spread(const int32_t v[CELLS]) {
  int64_t sum = 0, squares = 0;
  for (int i = 0; i < CELLS; i++) {
    sum += v[i];
    squares += v[i] * v[i];
  }
  return CELLS * squares - sum * sum;
}

int imgrec__fingerprint_flat(const struct fingerprint *f) {
  return f->contrast < (int64_t)FLAT * FLAT * CELLS * CELLS;
}

/* By Cauchy and Schwarz never more than the spread of the differences. */
static int64_t coarse_spread(const struct fingerprint *f,
                             const struct fingerprint *g) {
  int64_t sum = 0, squares = 0;
  for (int i = 0; i < AREAS; i++) {
    int32_t d = f->coarse[i] - g->coarse[i];
    sum += d;
    squares += d * d;
  }
  return AREAS * squares - sum * sum;
}

static int same_tint(const struct fingerprint *f, const struct fingerprint *g) {
  const signed char *a = f->tint[0], *b = g->tint[0];
  for (size_t i = 0; i < sizeof f->tint; i++)
    if (abs(a[i] - b[i]) > TINT_MAX)
      return 0;
  return 1;
}

int imgrec__fingerprint_near(float *difference, const struct fingerprint *f,
                             const struct fingerprint *g) {
  int64_t greater = f->contrast > g->contrast ? f->contrast : g->contrast;
  int64_t most = greater / (CONTRAST_PARTS * CONTRAST_PARTS);
  int32_t v[CELLS];
  if (coarse_spread(f, g) > most || !same_tint(f, g))
    return 0;
  for (int i = 0; i < CELLS; i++)
    v[i] = f->luma[i] - g->luma[i];
  int64_t apart = spread(v);
  if (apart > most)
    return 0;
  *difference = greater > 0 ? sqrtf((float)apart / (float)greater) : 0;
  return 1;
}

/* ---- Making ------------------------------------------------------------- */

static void measure(struct fingerprint *f) {
  int32_t v[CELLS];
  for (int i = 0; i < CELLS; i++) {
    v[i] = f->luma[i];
    f->coarse[i / SIDE / STEP * COLOUR_SIDE + i % SIDE / STEP] += (int16_t)v[i];
  }
  f->contrast = spread(v);
}

void imgrec__fingerprint(struct fingerprint *out, const struct pixels *p) {
  uint64_t cells[CELLS * 3], area = (uint64_t)p->height * (uint64_t)p->width;
  unsigned char rgb[3][CELLS], pixel[3];
  size_t c = (size_t)p->channels;
  memset(out, 0, sizeof *out);
  sum_areas(cells, p);
  for (size_t i = 0; i < CELLS; i++) {
    for (size_t k = 0; k < c; k++)
      pixel[k] = rgb[k][i] =
          (unsigned char)((cells[i * c + k] + area / 2) / area);
    out->luma[i] = c == 3 ? imgrec__luma(pixel) : pixel[0];
  }
  for (int k = 0; k < 2 && c == 3; k++)
    tint(out->tint[k], rgb[2 * k], out->luma);
  out->hash = hash_of(out->luma);
  measure(out);
}
