/* SPDX-License-Identifier: MIT */
/* Rows with one number a channel, sums over rows, and sums over a row (a part
 * of isa.c). */

/* ---- One number a channel ----------------------------------------------- */

/* Rows of few channels are taken REPEAT at a time as one row of REPEAT * c
 * channels, for which the numbers are repeated: a row of 6 would leave most of
 * a vector idle. */
enum { NARROW = 32, REPEAT = 16 };

INLINE int is_narrow(size_t rows, size_t c) {
  return c < NARROW && rows >= REPEAT;
}

static void repeat(float wide[NARROW * REPEAT], const float *v, size_t c) {
  for (size_t i = 0; i < REPEAT; i++)
    memcpy(wide + i * c, v, c * sizeof *v);
}

static void add_wide_row(float *y, const float *x, const float *bias,
                         size_t rows, size_t c) {
  for (; rows > 0; rows--, y += c, x += c) {
    size_t i = 0;
    for (; i + VF <= c; i += VF)
      store(y + i, load(x + i) + load(bias + i));
    size_t n = c - i;
    if (n > 0)
      store_part(y + i, load_part(x + i, n) + load_part(bias + i, n), n);
  }
}

static void add_row(float *y, const float *x, const float *bias, size_t rows,
                    size_t c) {
  size_t done = 0;
  if (is_narrow(rows, c)) {
    float wide[NARROW * REPEAT];
    repeat(wide, bias, c);
    add_wide_row(y, x, wide, rows / REPEAT, c * REPEAT);
    done = rows / REPEAT * REPEAT;
  }
  add_wide_row(y + done * c, x + done * c, bias, rows - done, c);
}

static void affine_wide(float *y, const float *x, const float *a,
                        const float *b, size_t rows, size_t c) {
  for (; rows > 0; rows--, y += c, x += c) {
    size_t i = 0;
    for (; i + VF <= c; i += VF)
      store(y + i, vfma(load(x + i), load(a + i), load(b + i)));
    size_t n = c - i;
    if (n > 0)
      store_part(
          y + i,
          vfma(load_part(x + i, n), load_part(a + i, n), load_part(b + i, n)),
          n);
  }
}

static void affine(float *y, const float *x, const float *scale_by,
                   const float *shift, size_t rows, size_t c) {
  size_t done = 0;
  if (is_narrow(rows, c)) {
    float a[NARROW * REPEAT], b[NARROW * REPEAT];
    repeat(a, scale_by, c);
    repeat(b, shift, c);
    affine_wide(y, x, a, b, rows / REPEAT, c * REPEAT);
    done = rows / REPEAT * REPEAT;
  }
  affine_wide(y + done * c, x + done * c, scale_by, shift, rows - done, c);
}

INLINE void affine2_part(float *z, const float *x, const float *y,
                         const float *a, const float *b, const float *k,
                         const size_t n) {
  vf inner = vfma(load_upto(b, n), load_upto(y, n), load_upto(k, n));
  store_upto(z, vfma(load_upto(a, n), load_upto(x, n), inner), n);
}

static void affine2_wide(float *z, const float *x, const float *y,
                         const float *a, const float *b, const float *k,
                         size_t rows, size_t c) {
  for (; rows > 0; rows--, x += c, y += c, z += c) {
    size_t i = 0;
    for (; i + VF <= c; i += VF)
      affine2_part(z + i, x + i, y + i, a + i, b + i, k + i, VF);
    if (i < c)
      affine2_part(z + i, x + i, y + i, a + i, b + i, k + i, c - i);
  }
}

static void affine2(float *z, const float *x, const float *y, const float *a,
                    const float *b, const float *k, size_t rows, size_t c) {
  size_t done = 0;
  if (is_narrow(rows, c)) {
    float wide[3][NARROW * REPEAT];
    repeat(wide[0], a, c);
    repeat(wide[1], b, c);
    repeat(wide[2], k, c);
    affine2_wide(z, x, y, wide[0], wide[1], wide[2], rows / REPEAT, c * REPEAT);
    done = rows / REPEAT * REPEAT;
  }
  affine2_wide(z + done * c, x + done * c, y + done * c, a, b, k, rows - done,
               c);
}

/* ---- Sums over rows ----------------------------------------------------- */

/* Rows that are still in the nearest cache when the next channels of them are
 * summed; the sums in between are kept in `sum` and `dot`, exactly.  BLOCKS
 * vectors of channels at a time hide how long an addition takes. */
enum { ROWS_AT_ONCE = 64, BLOCKS = 4 };

enum dots { NO_DOTS, SQUARES_OF_X, PRODUCTS };

INLINE vd widen(const float *p, const size_t n) {
  vh half;
  if (n == VD)
    memcpy(&half, p, sizeof half);
  else
    half = load_half_part(p, n);
  return __builtin_convertvector(half, vd);
}

/* blocks * n channels, n <= VD.  The product of two floats is exact in double.
 */
INLINE void sum_channels(double *sum, double *dot, const float *x,
                         const float *y, size_t rows, size_t c, const size_t n,
                         const size_t blocks, const enum dots dots) {
  vd s[BLOCKS], d[BLOCKS];
  UNROLL for (size_t i = 0; i < blocks; i++) {
    s[i] = d[i] = (vd){0};
    memcpy(&s[i], sum + i * VD, n * sizeof *sum);
    if (dots != NO_DOTS)
      memcpy(&d[i], dot + i * VD, n * sizeof *dot);
  }
  for (; rows > 0; rows--, x += c) {
    UNROLL for (size_t i = 0; i < blocks; i++) {
      vd v = widen(x + i * VD, n);
      s[i] += v;
      if (dots != NO_DOTS)
        d[i] = vfma_exact(v, dots == PRODUCTS ? widen(y + i * VD, n) : v, d[i]);
    }
    if (dots == PRODUCTS)
      y += c;
  }
  UNROLL for (size_t i = 0; i < blocks; i++) {
    memcpy(sum + i * VD, &s[i], n * sizeof *sum);
    if (dots != NO_DOTS)
      memcpy(dot + i * VD, &d[i], n * sizeof *dot);
  }
}

/* All channels, as many at a time as there are. */
INLINE void sum_few_rows(double *sum, double *dot, const float *x,
                         const float *y, size_t rows, size_t c,
                         const enum dots dots) {
  size_t i = 0;
  for (; i + BLOCKS * VD <= c; i += BLOCKS * VD)
    sum_channels(sum + i, dots ? dot + i : NULL, x + i, dots ? y + i : NULL,
                 rows, c, VD, BLOCKS, dots);
  for (; i + VD <= c; i += VD)
    sum_channels(sum + i, dots ? dot + i : NULL, x + i, dots ? y + i : NULL,
                 rows, c, VD, 1, dots);
  if (i < c)
    sum_channels(sum + i, dots ? dot + i : NULL, x + i, dots ? y + i : NULL,
                 rows, c, c - i, 1, dots);
}

static void sum_rows(double *sum, double *dot, const float *x, const float *y,
                     size_t rows, size_t c) {
  while (rows > 0) {
    size_t now = rows < ROWS_AT_ONCE ? rows : ROWS_AT_ONCE;
    if (dot == NULL)
      sum_few_rows(sum, NULL, x, NULL, now, c, NO_DOTS);
    else if (x == y)
      sum_few_rows(sum, dot, x, x, now, c, SQUARES_OF_X);
    else
      sum_few_rows(sum, dot, x, y, now, c, PRODUCTS);
    rows -= now;
    x += now * c;
    y = dot != NULL ? y + now * c : NULL;
  }
}

/* ---- Sums over a row ---------------------------------------------------- */

/* The largest, NaNs passed over; -infinity when there is none. */
static float max_of(const float *x, size_t n) {
  struct lanes m = lanes_splat(-__builtin_inff());
  for (size_t i = 0; i < n; i += LANES) {
    struct lanes l = n - i >= LANES
                         ? lanes_load(x + i)
                         : lanes_load_part(x + i, n - i, -__builtin_inff());
    for (int j = 0; j < LANES / VF; j++)
      m.v[j] = vmax(l.v[j], m.v[j]);
  }
  return lanes_max(m);
}

/* The sum of exp(x - max); y (may be NULL) gets the terms.  Beyond the end
 * stands -infinity, the exponential of which is 0. */
INLINE float sum_exp(float *y, const float *x, size_t n, float max) {
  struct lanes sum = lanes_splat(0.0f);
  for (size_t i = 0; i < n; i += LANES) {
    size_t now = n - i < LANES ? n - i : LANES;
    struct lanes l = now == LANES
                         ? lanes_load(x + i)
                         : lanes_load_part(x + i, now, -__builtin_inff());
    for (int j = 0; j < LANES / VF; j++) {
      l.v[j] = vexp(l.v[j] - max);
      sum.v[j] += l.v[j];
    }
    if (y != NULL)
      lanes_store_part(y + i, l, now);
  }
  return lanes_sum(sum);
}

INLINE vf quotient_of(vf x, vf s) { return x / s; }

static void softmax(float *y, const float *x, size_t n) {
  float sum = sum_exp(y, x, n, max_of(x, n));
  map(y, y, sum, n, quotient_of);
}

static RARE float log_sum_exp(const float *x, size_t n) {
  float max = max_of(x, n);
  vf log = vlog(splat(sum_exp(NULL, x, n, max)));
  return log[0] + max;
}
