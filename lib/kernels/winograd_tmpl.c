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

/* ---- What is transformed ------------------------------------------------- */

INLINE void image_part(float *v, size_t step, const struct plane *s,
                       ptrdiff_t y, ptrdiff_t x, size_t c, const size_t n,
                       const int inside) {
  vf half[6][6], d[6], o[6];
  for (int j = 0; j < 6; j++) {
    UNROLL
    for (int i = 0; i < 6; i++)
      d[i] = fetch(s, y + i, x + j, c, n, inside);
    image_1d(o, d);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    image_1d(o, half[i]);
    UNROLL
    for (int j = 0; j < 6; j++)
      store_upto(v + (size_t)(6 * i + j) * step + c, o[j], n);
  }
}

/* The same window of every channel, from a plain source or another. */
INLINE void image_all(float *v, size_t step, const struct plane *s, ptrdiff_t y,
                      ptrdiff_t x, const int inside) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF)
    image_part(v, step, s, y, x, c, VF, inside);
  if (c < s->channels)
    image_part(v, step, s, y, x, c, s->channels - c, inside);
}

static void winograd_image(float *v, size_t step, const struct plane *s,
                           ptrdiff_t y, ptrdiff_t x) {
  const struct plane plain = {s->x, NULL, s->height, s->width, s->channels};
  int inside = is_inside(s, y, x, 6);
  if (inside && s->won == NULL)
    image_all(v, step, &plain, y, x, 1);
  else if (inside)
    image_all(v, step, s, y, x, 1);
  else
    image_all(v, step, s, y, x, 0);
}

INLINE void gradient_part(float *v, size_t step, const struct plane *s,
                          ptrdiff_t y, ptrdiff_t x, size_t c, const size_t n,
                          const int inside) {
  vf half[6][4], d[4], o[6];
  for (int j = 0; j < 4; j++) {
    UNROLL
    for (int i = 0; i < 4; i++)
      d[i] = fetch(s, y + i, x + j, c, n, inside);
    gradient_1d(o, d);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    gradient_1d(o, half[i]);
    UNROLL
    for (int j = 0; j < 6; j++)
      store_upto(v + (size_t)(6 * i + j) * step + c, o[j], n);
  }
}

INLINE void gradient_all(float *v, size_t step, const struct plane *s,
                         ptrdiff_t y, ptrdiff_t x, const int inside) {
  size_t c = 0;
  for (; c + VF <= s->channels; c += VF)
    gradient_part(v, step, s, y, x, c, VF, inside);
  if (c < s->channels)
    gradient_part(v, step, s, y, x, c, s->channels - c, inside);
}

static void winograd_gradient(float *v, size_t step, const struct plane *s,
                              ptrdiff_t y, ptrdiff_t x) {
  if (is_inside(s, y, x, 4))
    gradient_all(v, step, s, y, x, 1);
  else
    gradient_all(v, step, s, y, x, 0);
}

/* ---- Weights ------------------------------------------------------------- */

INLINE void weight_part(float *u, size_t step, const float *w, size_t tap,
                        const size_t n) {
  vf half[6][3], g[3], o[6];
  for (int j = 0; j < 3; j++) {
    UNROLL
    for (int i = 0; i < 3; i++)
      g[i] = load_upto(w + (size_t)(3 * i + j) * tap, n);
    weight_1d(o, g);
    UNROLL
    for (int i = 0; i < 6; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 6; i++) {
    weight_1d(o, half[i]);
    UNROLL
    for (int j = 0; j < 6; j++)
      store_upto(u + (size_t)(6 * i + j) * step, o[j], n);
  }
}

static void winograd_weight(float *u, size_t step, const float *w, size_t tap,
                            size_t n) {
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    weight_part(u + i, step, w + i, tap, VF);
  if (i < n)
    weight_part(u + i, step, w + i, tap, n - i);
}

INLINE void weight_gradient_part(float *w, size_t tap, const float *u,
                                 size_t step, int accumulate, const size_t n) {
  vf half[3][6], d[6], o[3];
  for (int j = 0; j < 6; j++) {
    UNROLL
    for (int i = 0; i < 6; i++)
      d[i] = load_upto(u + (size_t)(6 * i + j) * step, n);
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
      store_upto(to, accumulate ? load_upto(to, n) + o[j] : o[j], n);
    }
  }
}

static void winograd_weight_gradient(float *w, size_t tap, const float *u,
                                     size_t step, size_t n, int accumulate) {
  size_t i = 0;
  for (; i + VF <= n; i += VF)
    weight_gradient_part(w + i, tap, u + i, step, accumulate, VF);
  if (i < n)
    weight_gradient_part(w + i, tap, u + i, step, accumulate, n - i);
}

/* ---- Outputs ------------------------------------------------------------- */

INLINE void output_2d(vf y[4][4], const float *m, size_t step, const size_t n) {
  vf half[4][6], d[6], o[4];
  for (int j = 0; j < 6; j++) {
    UNROLL
    for (int i = 0; i < 6; i++)
      d[i] = load_upto(m + (size_t)(6 * i + j) * step, n);
    output_1d(o, d);
    UNROLL
    for (int i = 0; i < 4; i++)
      half[i][j] = o[i];
  }
  for (int i = 0; i < 4; i++)
    output_1d(y[i], half[i]);
}

INLINE void output_part(const struct output *out, const float *m, size_t step,
                        size_t y, size_t x, size_t c, const size_t n,
                        const enum clamp clamp) {
  const struct finish f = finish_of(&out->epilogue, c, n);
  size_t rows = out->height - y, cols = out->width - x;
  vf tile[4][4];
  output_2d(tile, m, step, n);
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
  size_t i = 0;
  for (; i + VF <= channels; i += VF)
    output_part(out, m + i, step, y, x, c + i, VF, clamp);
  if (i < channels)
    output_part(out, m + i, step, y, x, c + i, channels - i, clamp);
}
