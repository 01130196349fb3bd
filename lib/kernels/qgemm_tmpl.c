/* SPDX-License-Identifier: MIT */
/* The inner loops of products of bytes (a part of qisa.c). */

#if defined(IMGREC_VNNI)
#define QROWS   12
#define QPANELS 2
#elif ISA_NUMBER == 3
#define QROWS   6
#define QPANELS 2
#elif ISA_NUMBER == 2 || ISA_NUMBER == 4
#define QROWS   3
#define QPANELS 1
#else
#define QROWS   1
#define QPANELS 1
#endif
#define QVECTORS (Q_COLS / VF) /* of sums in a panel */

/* As in gemm_tmpl.c: one pointer for every three rows. */
enum { QROW_POINTERS = (QROWS + 2) / 3 };

/* What one panel has of one row: sums in the making. */
struct partial {
  vi part[Q_PARTS];
};

INLINE vi left_of(const uint8_t *const at[QROW_POINTERS], size_t step, int i) {
  return dot_left(at[i / 3] + (size_t)(i % 3) * step);
}

/* Registers hold the accumulators and either all of the right side and one
 * left, or all lefts and one part of the right. */
INLINE void add_group(struct partial acc[QROWS][QPANELS],
                      const uint8_t *const at[QROW_POINTERS], size_t step,
                      const int8_t *b, size_t b_panel, const int rows,
                      const int panels) {
  vi right[QPANELS][Q_PARTS], left[QROWS];
  UNROLL
  for (int i = 0; i < rows && Q_PARTS >= 4; i++)
    left[i] = left_of(at, step, i);
  UNROLL
  for (int j = 0; j < panels; j++) {
    UNROLL
    for (int p = 0; p < Q_PARTS; p++) {
      right[j][p] = dot_right(b + (size_t)j * b_panel, p);
      UNROLL
      for (int i = 0; i < rows && Q_PARTS >= 4; i++)
        acc[i][j].part[p] = dot(acc[i][j].part[p], left[i], right[j][p]);
    }
  }
  UNROLL
  for (int i = 0; i < rows && Q_PARTS < 4; i++) {
    vi one = left_of(at, step, i);
    UNROLL
    for (int j = 0; j < panels; j++) {
      UNROLL
      for (int p = 0; p < Q_PARTS; p++)
        acc[i][j].part[p] = dot(acc[i][j].part[p], one, right[j][p]);
    }
  }
}

/* One run onto acc; returns b behind it. */
INLINE const int8_t *add_run(struct partial acc[QROWS][QPANELS],
                             const struct qtile *t, const uint8_t *a,
                             const int8_t *b, const int rows,
                             const int panels) {
  const uint8_t *at[QROW_POINTERS];
  const size_t step = t->step, b_panel = t->b_panel;
  UNROLL
  for (int i = 0; i < QROW_POINTERS; i++)
    at[i] = a + (size_t)i * 3 * step;
  for (size_t g = t->groups; g > 0; g--, b += Q_GROUP_BYTES) {
    add_group(acc, at, step, b, b_panel, rows, panels);
    UNROLL
    for (int i = 0; i < QROW_POINTERS; i++)
      at[i] += Q_GROUP;
  }
  return b;
}

/* Sums of a tile on their way: rows of QPANELS * Q_COLS. */
enum { QWIDTH = QPANELS * Q_COLS };

/* Columns [j, j + VF) of rows [first, first + rows). */
INLINE void put_columns(const struct qtile *t, const int32_t *sums,
                        size_t first, size_t rows, size_t j, const size_t n) {
  const vu shift = (vu)load_int(t->shift + j);
  if (t->y == NULL) {
    for (size_t i = 0; i < rows; i++)
      store_int(t->sums + (first + i) * QWIDTH + j,
                (vi)((vu)load_int(sums + i * QWIDTH + j) + shift));
    return;
  }
  const vf scale = load(t->scale + j), bias = load(t->bias + j);
  float *y = t->y + first * t->ldy + j;
  for (size_t i = 0; i < rows; i++, y += t->ldy) {
    vi sum = (vi)((vu)load_int(sums + i * QWIDTH + j) + shift);
    vf v = vfma(__builtin_convertvector(sum, vf), scale, bias);
    store_upto(y, t->relu ? vmax(v, (vf){0}) : v, n);
  }
}

static void put_tile(const struct qtile *t, const int32_t *sums, size_t first,
                     size_t rows) {
  for (size_t j = 0; j < t->cols; j += VF)
    if (t->cols - j >= VF)
      put_columns(t, sums, first, rows, j, VF);
    else
      put_columns(t, sums, first, rows, j, t->cols - j);
}

/* Rows [first, first + rows). */
INLINE void qtile_of(const struct qtile *t, size_t first, const int rows,
                     const int panels) {
  struct partial acc[QROWS][QPANELS];
  const uint8_t *a = t->a + first * t->step;
  const int8_t *b = t->b;
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < panels; j++)
      acc[i][j] = (struct partial){{{0}}};
  }
  for (size_t y = 0; y < t->runs[0]; y++)
    for (size_t x = 0; x < t->runs[1]; x++)
      b = add_run(acc, t, a + y * t->jump[0] + x * t->jump[1], b, rows, panels);
  int32_t sums[QROWS * QWIDTH];
  UNROLL
  for (int i = 0; i < rows; i++) {
    UNROLL
    for (int j = 0; j < panels; j++) {
      vi whole[QVECTORS];
      dot_sums(whole, acc[i][j].part);
      UNROLL
      for (int v = 0; v < QVECTORS; v++)
        store_int(sums + i * QWIDTH + j * Q_COLS + v * VF, whole[v]);
    }
  }
  put_tile(t, sums, first, (size_t)rows);
}

/* Whole tiles, and low ones of any height up to QLOW: each is a loop of its
 * own, held in registers. */
enum { QLOW = QROWS == 12 ? 4 : QROWS > 2 ? 2 : 1 };

INLINE void qtile_height(const struct qtile *t, size_t first, size_t rows,
                         const int panels) {
  if (rows == QROWS)
    qtile_of(t, first, QROWS, panels);
  else if (QLOW > 2 && rows == 4)
    qtile_of(t, first, QLOW, panels);
  else if (QLOW > 2 && rows == 3)
    qtile_of(t, first, QLOW - 1, panels);
  else if (QLOW > 1 && rows == 2)
    qtile_of(t, first, 2, panels);
  else if (QROWS > 1)
    qtile_of(t, first, 1, panels);
}

#if QPANELS > 1
static void wide_qtile(const struct qtile *t, size_t first, size_t rows) {
  qtile_height(t, first, rows, QPANELS);
}
#endif

static void thin_qtile(const struct qtile *t, size_t first, size_t rows) {
  qtile_height(t, first, rows, 1);
}

/* What whole tiles leave is in pieces of nearly equal height. */
static void qgemm_tile(const struct qtile *t) {
  for (size_t first = 0; first < t->rows;) {
    size_t left = t->rows - first, n = (left + QLOW - 1) / QLOW;
    size_t now = left >= QROWS ? QROWS : (left + n - 1) / n;
#if QPANELS > 1
    if (t->cols > Q_COLS)
      wide_qtile(t, first, now);
    else
#endif
      thin_qtile(t, first, now);
    first += now;
  }
}

/* The least number is lifted first, and NaN with it: vmax() is its second
 * argument then.  Adding ROUNDER rounds, and leaves the integer in the low
 * bits. */
static void quantize(uint8_t *q, const float *x, size_t n, float scale,
                     int32_t zero) {
  vf least = splat((float)-zero), most = splat((float)(255 - zero));
  vi offset = (vi){0} + zero;
  for (size_t i = 0; i < n; i += VF) {
    size_t count = n - i < VF ? n - i : VF;
    vf v = load_upto(x + i, count) / splat(scale);
    v = vmin(vmax(v, least), most) + ROUNDER;
    store_bytes(q + i, (vi)((vu)v - (vu)splat(ROUNDER)) + offset, count);
  }
}

INLINE vf finish_sum(vf sum, const float *scale, const float *bias, int relu) {
  vf y = vfma(sum, load(scale), load(bias));
  return relu ? vmax(y, (vf){0}) : y;
}

static void finish_sums(float *y, const double *sums, const float *scale,
                        const float *bias, int relu, size_t n) {
  for (size_t j = 0; j < n; j += VF) {
    size_t count = n - j < VF ? n - j : VF;
    float s[VF] = {0};
    for (size_t i = 0; i < count; i++)
      s[i] = (float)sums[j + i];
    store_upto(y + j, finish_sum(load(s), scale + j, bias + j, relu), count);
  }
}

static void qdepthwise(const struct qdepthwise *d) {
  for (size_t ox = 0; ox < d->out_width; ox++)
    for (size_t c = 0; c < d->channels; c += VF) {
      const uint8_t *x = d->x + ox * d->stride * d->pixel + c;
      const int8_t *w = d->w + c;
      vu sum = (vu)load_int(d->shift + c);
      for (size_t ky = 0; ky < d->kernel[0]; ky++)
        for (size_t kx = 0; kx < d->kernel[1]; kx++, w += d->pixel)
          sum += (vu)(load_widened(x + ky * d->dilation[0] * d->row +
                                   kx * d->dilation[1] * d->pixel) *
                      load_i8(w));
      vf y = finish_sum(__builtin_convertvector((vi)sum, vf), d->scale + c,
                        d->bias + c, d->relu);
      store_upto(d->y + ox * d->channels + c, y,
                 d->channels - c < VF ? d->channels - c : VF);
    }
}
