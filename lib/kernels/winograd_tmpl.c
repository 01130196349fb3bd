/* SPDX-License-Identifier: MIT */
/* Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, CVPR 2016; a part of isa.c):
 * 4 x 4 outputs of a 3 x 3 convolution from a 6 x 6 window of its input, in 36
 * products instead of 144:
 *   Y = A' [(G g G') . (B' d B)] A,  and backward  dg = G' [(B' d B) . (A dY
 * A')] G The polynomials are taken at 0, +-a, +-b and infinity with a = 3/4 and
 * b = 3/2: all numbers in A and B are then exact, and errors are half of those
 * at the usual +-1 and +-2.  With b = 2 a:
 *   B' = a²b²  0  -a²-b²   0   1  0      A' = 1  1   1   1   1  0
 *         0 -ab²   -b²    a   1  0           0  a  -a   b  -b  0
 *         0  ab²   -b²   -a   1  0           0  a²  a²  b²  b² 0
 *         0 -a²b   -a²    b   1  0           0  a³ -a³  b³ -b³ 1
 *         0  a²b   -a²   -b   1  0
 *         0  a²b²   0  -a²-b²  0  1 */

static const float pa = 0.75f, pa2 = 0.5625f, pa3 = 0.421875f;
static const float pb = 1.5f, pb2 = 2.25f, pb3 = 3.375f;
static const float pa2b2 = 1.265625f, psum = 2.8125f;
/* The rows of G: 1 / a²b², 1 / (2 a² (a² - b²)), 1 / (2 b² (b² - a²)). */
static const float pg0 = (float)(64.0 / 81.0), pga = (float)(-128.0 / 243.0),
                   pgb = (float)(32.0 / 243.0);

/* x * s + y, for a number s */
INLINE vf fma_s(vf x, float s, vf y) { return vfma(x, splat(s), y); }

/* ---- Along one axis ------------------------------------------------------ */

INLINE void image_1d(vf o[6], const vf d[6]) {
  vf even_b = fma_s(d[2], -pb2, d[4]), odd_b = fma_s(d[1], -pb2, d[3]) * pa;
  vf even_a = fma_s(d[2], -pa2, d[4]), odd_a = fma_s(d[1], -pa2, d[3]) * pb;
  o[0] = fma_s(d[0], pa2b2, fma_s(d[2], -psum, d[4]));
  o[1] = even_b + odd_b;
  o[2] = even_b - odd_b;
  o[3] = even_a + odd_a;
  o[4] = even_a - odd_a;
  o[5] = fma_s(d[1], pa2b2, fma_s(d[3], -psum, d[5]));
}

INLINE void output_1d(vf o[4], const vf m[6]) {
  vf sum_a = m[1] + m[2], diff_a = m[1] - m[2];
  vf sum_b = m[3] + m[4], diff_b = m[3] - m[4];
  o[0] = m[0] + sum_a + sum_b;
  o[1] = fma_s(diff_b, pb, diff_a * pa);
  o[2] = fma_s(sum_b, pb2, sum_a * pa2);
  o[3] = fma_s(diff_b, pb3, fma_s(diff_a, pa3, m[5]));
}

INLINE void gradient_1d(vf o[6], const vf y[4]) {
  vf even_a = fma_s(y[2], pa2, y[0]), odd_a = fma_s(y[3], pa2, y[1]) * pa;
  vf even_b = fma_s(y[2], pb2, y[0]), odd_b = fma_s(y[3], pb2, y[1]) * pb;
  o[0] = y[0];
  o[1] = even_a + odd_a;
  o[2] = even_a - odd_a;
  o[3] = even_b + odd_b;
  o[4] = even_b - odd_b;
  o[5] = y[3];
}

INLINE void weight_1d(vf o[6], const vf g[3]) {
  vf even_a = fma_s(g[2], pa2, g[0]), even_b = fma_s(g[2], pb2, g[0]);
  o[0] = g[0] * pg0;
  o[1] = fma_s(g[1], pa, even_a) * pga;
  o[2] = fma_s(g[1], -pa, even_a) * pga;
  o[3] = fma_s(g[1], pb, even_b) * pgb;
  o[4] = fma_s(g[1], -pb, even_b) * pgb;
  o[5] = g[2];
}

INLINE void weight_gradient_1d(vf o[3], const vf u[6]) {
  vf sum_a = (u[1] + u[2]) * pga, diff_a = (u[1] - u[2]) * pga;
  vf sum_b = (u[3] + u[4]) * pgb, diff_b = (u[3] - u[4]) * pgb;
  o[0] = fma_s(u[0], pg0, sum_a + sum_b);
  o[1] = fma_s(diff_a, pa, diff_b * pb);
  o[2] = fma_s(sum_a, pa2, fma_s(sum_b, pb2, u[5]));
}

/* ---- Along both, for VF channels ----------------------------------------- */

/* Numbers of VF channels: element (i, j) lies at x + i * row + j * column. */
struct square {
  const float *x;
  size_t row, column;
};

INLINE vf element(const struct square *s, int i, int j) {
  return load(s->x + (size_t)i * s->row + (size_t)j * s->column);
}

/* So many numbers of VF channels, next to each other: the most are 6 rows of 4
 * windows of a pooling. */
enum { WINDOW = 6 * 8 };
struct parts {
  float x[WINDOW * VF];
};

/* n < VF channels of count x count numbers, with zeros behind them. */
static RARE struct square padded(struct parts *to, const struct square *s,
                                 size_t count, size_t n) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < count; j++)
      store(to->x + (i * count + j) * VF,
            load_part(s->x + i * s->row + j * s->column, n));
  return (struct square){to->x, count * VF, VF};
}

/* n < VF channels of `count` numbers, to places `step` apart. */
static RARE void spread_parts(float *to, size_t step, const struct parts *from,
                              size_t count, size_t n) {
  for (size_t i = 0; i < count; i++)
    store_part(to + i * step, load(from->x + i * VF), n);
}

INLINE void store_six(float *v, size_t step, int i, const vf o[6]) {
  UNROLL
  for (int j = 0; j < 6; j++)
    store(v + (size_t)(6 * i + j) * step, o[j]);
}

/* VF channels of a window of a plane, at most 6 x 6.  Columns [first, last) of
 * row i lie at row[i], step[i] apart; the others are zero. */
struct view {
  const float *row[6];
  size_t step[6];
  int first, last;
};

/* The next column of rows that lie at `at`. */
INLINE void next_column(vf *d, const float **at, const struct view *w, int j,
                        const int rows) {
  UNROLL
  for (int i = 0; i < rows; i++)
    d[i] = (vf){0};
  if (j < w->first || j >= w->last)
    return;
  UNROLL
  for (int i = 0; i < rows; i++) {
    d[i] = load(at[i]);
    at[i] += w->step[i];
  }
}

INLINE void image_2d(float *v, size_t step, const struct view *w) {
  const float *at[6];
  vf half[6][6], d[6], o[6];
  memcpy(at, w->row, sizeof at);
  for (int j = 0; j < 6; j++) {
    next_column(d, at, w, j, 6);
    image_1d(o, d);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    image_1d(o, half[i]);
    store_six(v, step, i, o);
  }
}

INLINE void gradient_2d(float *v, size_t step, const struct view *w) {
  const float *at[4];
  vf half[6][4], d[4], o[6];
  memcpy(at, w->row, sizeof at);
  for (int j = 0; j < 4; j++) {
    next_column(d, at, w, j, 4);
    gradient_1d(o, d);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    gradient_1d(o, half[i]);
    store_six(v, step, i, o);
  }
}

INLINE void weight_2d(float *u, size_t step, const struct square *s) {
  vf half[6][3], g[3], o[6];
  for (int j = 0; j < 3; j++) {
    UNROLL
    for (int i = 0; i < 3; i++)
      g[i] = element(s, i, j);
    weight_1d(o, g);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    weight_1d(o, half[i]);
    store_six(u, step, i, o);
  }
}

INLINE void weight_gradient_2d(float *w, size_t tap, const struct square *s,
                               int accumulate) {
  vf half[3][6], d[6], o[3];
  for (int j = 0; j < 6; j++) {
    UNROLL
    for (int i = 0; i < 6; i++)
      d[i] = element(s, i, j);
    weight_gradient_1d(o, d);
    UNROLL
    for (int i = 0; i < 3; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 3; i++) {
    weight_gradient_1d(o, half[i]);
    UNROLL
    for (int j = 0; j < 3; j++) {
      float *to = w + (size_t)(3 * i + j) * tap;
      store(to, accumulate ? load(to) + o[j] : o[j]);
    }
  }
}

INLINE void output_2d(vf y[4][4], const struct square *s) {
  vf half[4][6], d[6], o[4];
  for (int j = 0; j < 6; j++) {
    UNROLL
    for (int i = 0; i < 6; i++)
      d[i] = element(s, i, j);
    output_1d(o, d);
    UNROLL
    for (int i = 0; i < 4; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 4; i++)
    output_1d(y[i], half[i]);
}

/* ---- What is transformed ------------------------------------------------- */

/* Less than VF channels of the size x size window of s at (y, x), copied. */
static RARE void view_part(struct view *to, struct parts *room,
                           const struct plane *s, ptrdiff_t y, ptrdiff_t x,
                           size_t c, int size) {
  const size_t n = s->channels - c, row = (size_t)size * VF;
  for (int i = 0; i < size; i++) {
    struct fetched f = {room->x + (size_t)i * row, VF, c, n, VF};
    to->row[i] = f.to;
    to->step[i] = VF;
    for (int j = 0; j < size; j++)
      fetch_pixel(&f, s, y + i, x + j);
  }
  to->first = 0;
  to->last = size;
}

static const float no_row[VF];

/* VF channels behind a pooling: two pixels of each of its windows. */
static void view_pooled(struct view *to, struct parts *room,
                        const struct plane *s, ptrdiff_t y, ptrdiff_t x,
                        size_t c, int size) {
  const int odd = (int)(x & 1);
  const ptrdiff_t pooled = (ptrdiff_t)s->width / 2, px = (x - odd) / 2;
  const ptrdiff_t from = px < 0 ? -px : 0, reach = (size + odd + 1) / 2;
  const ptrdiff_t end = px + reach < pooled ? reach : pooled - px;
  to->first = from > 0 ? (int)(2 * from) - odd : 0;
  to->last = 2 * end - odd < size ? (int)(2 * end) - odd : size;
  for (int i = 0; i < size; i++) {
    const size_t py = (size_t)(y + i) / 2;
    float *dst = room->x + (size_t)i * 8 * VF;
    const int there = y + i >= 0 && py < s->height / 2 && from < end;
    to->row[i] = there ? dst + (to->first + odd - 2 * from) * VF : no_row;
    to->step[i] = there ? VF : 0;
    if (!there)
      continue;
    const size_t at =
        (py * (size_t)pooled + (size_t)(px + from)) * s->channels + c;
    const float *x_at = s->x + at;
    const uint8_t *won_at = s->won + at;
    const vi left = (int32_t)((y + i) & 1) * 2 - (vi){0}, right = left + 1;
    for (ptrdiff_t k = from; k < end; k++, dst += 2 * VF) {
      const vf v = load(x_at);
      const vi won = load_widened(won_at);
      store(dst, vselect(won == left, v, (vf){0}));
      store(dst + VF, vselect(won == right, v, (vf){0}));
      x_at += s->channels;
      won_at += s->channels;
    }
  }
}

/* VF channels from c on of a plain source, where they lie. */
INLINE void view_plain(struct view *to, const struct plane *s, ptrdiff_t y,
                       ptrdiff_t x, size_t c, const int size) {
  const ptrdiff_t width = (ptrdiff_t)s->width;
  to->first = x < 0 ? (int)-x : 0;
  to->last = x + size <= width ? size : (int)(width - x);
  const size_t line = s->width * s->channels;
  const float *row = s->x + (size_t)(x + to->first) * s->channels + c;
  UNROLL
  for (int i = 0; i < size; i++) {
    const size_t at = (size_t)(y + i);
    to->row[i] = at < s->height ? row + at * line : no_row;
    to->step[i] = at < s->height ? s->channels : 0;
  }
}

/* v = what `transform` makes of each channel of the size x size window. */
INLINE void transform_window(float *v, size_t step, const struct plane *s,
                             ptrdiff_t y, ptrdiff_t x, const int size,
                             void (*transform)(float *v, size_t step,
                                               const struct view *w)) {
  struct parts in, out;
  struct view w;
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF) {
    if (s->won == NULL)
      view_plain(&w, s, y, x, c, size);
    else
      view_pooled(&w, &in, s, y, x, c, size);
    transform(v + c, step, &w);
  }
  if (c < s->channels) {
    view_part(&w, &in, s, y, x, c, size);
    transform(out.x, VF, &w);
    spread_parts(v + c, step, &out, 36, s->channels - c);
  }
}

static void winograd_image(float *v, size_t step, const struct plane *s,
                           ptrdiff_t y, ptrdiff_t x) {
  transform_window(v, step, s, y, x, 6, image_2d);
}

static void winograd_gradient(float *v, size_t step, const struct plane *s,
                              ptrdiff_t y, ptrdiff_t x) {
  transform_window(v, step, s, y, x, 4, gradient_2d);
}

static void winograd_weight(float *u, size_t step, const float *w, size_t tap,
                            size_t count) {
  struct parts in, out;
  for (size_t i = 0; i < count; i += VF) {
    size_t n = count - i < VF ? count - i : VF;
    struct square taps = {w + i, 3 * tap, tap};
    if (n < VF)
      taps = padded(&in, &taps, 3, n);
    weight_2d(n == VF ? u + i : out.x, n == VF ? step : VF, &taps);
    if (n < VF)
      spread_parts(u + i, step, &out, 36, n);
  }
}

static void winograd_weight_gradient(float *w, size_t tap, const float *u,
                                     size_t step, size_t count,
                                     int accumulate) {
  struct parts in, out;
  for (size_t i = 0; i < count; i += VF) {
    size_t n = count - i < VF ? count - i : VF;
    struct square products = {u + i, 6 * step, step};
    if (n == VF) {
      weight_gradient_2d(w + i, tap, &products, accumulate);
      continue;
    }
    products = padded(&in, &products, 6, n);
    const struct square old = {w + i, 3 * tap, tap};
    padded(&out, &old, 3, n);
    weight_gradient_2d(out.x, VF, &products, accumulate);
    spread_parts(w + i, tap, &out, 9, n);
  }
}

/* ---- Outputs ------------------------------------------------------------- */

/* From (y, x) on, n <= VF channels from c on. */
INLINE void store_outputs(const struct output *out, vf tile[4][4], size_t y,
                          size_t x, size_t c, size_t n,
                          const enum clamp clamp) {
  const struct finish f = finish_of(&out->epilogue, c, n);
  size_t rows = out->height - y, cols = out->width - x;
  if (!out->pool) {
    for (size_t i = 0; i < 4 && i < rows; i++)
      for (size_t j = 0; j < 4 && j < cols; j++)
        store_upto(out->y + ((y + i) * out->width + x + j) * out->channels + c,
                   finish(&f, tile[i][j], clamp), n);
    return;
  }
  size_t pooled = out->width / 2;
  for (size_t i = 0; i < 4 && i + 2 <= rows; i += 2)
    for (size_t j = 0; j < 4 && j + 2 <= cols; j += 2) {
      size_t at = ((y + i) / 2 * pooled + (x + j) / 2) * out->channels + c;
      pool_taps(out->y + at, out->won ? out->won + at : NULL,
                finish(&f, tile[i][j], clamp),
                finish(&f, tile[i][j + 1], clamp),
                finish(&f, tile[i + 1][j], clamp),
                finish(&f, tile[i + 1][j + 1], clamp), clamp != CLAMP_NONE, n);
    }
}

static void winograd_output(const struct output *out, const float *m,
                            size_t step, size_t y, size_t x, size_t c,
                            size_t channels) {
  const enum clamp clamp = clamp_of(&out->epilogue);
  struct parts in;
  for (size_t i = 0; i < channels; i += VF) {
    size_t n = channels - i < VF ? channels - i : VF;
    struct square products = {m + i, 6 * step, step};
    vf tile[4][4];
    if (n < VF)
      products = padded(&in, &products, 6, n);
    output_2d(tile, &products);
    store_outputs(out, tile, y, x, c + i, n, clamp);
  }
}
