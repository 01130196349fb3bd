/* SPDX-License-Identifier: MIT */
/* Winograd's transforms on every table: the same bits, the matrices' products
 * in f64 within a bound, and what they are for: a convolution. */
#include "kernel_calls.h"

enum { POINTS = 36 };

/* a = 3/4, b = 3/2, as in kernels/winograd_tmpl.c. */
static const double a1 = 0.75, a2 = 0.5625, a3 = 0.421875;
static const double b1 = 1.5, b2 = 2.25, b3 = 3.375;

/* rows x cols, in rows. */
struct linear {
  int rows, cols;
  double at[36];
};

/* B' */
static struct linear image_matrix(void) {
  return (struct linear){6, 6, {a2 * b2, 0,        -a2 - b2, 0,        1, 0, //
                                0,       -a1 * b2, -b2,      a1,       1, 0, //
                                0,       a1 * b2,  -b2,      -a1,      1, 0, //
                                0,       -a2 * b1, -a2,      b1,       1, 0, //
                                0,       a2 * b1,  -a2,      -b1,      1, 0, //
                                0,       a2 * b2,  0,        -a2 - b2, 0, 1}};
}

/* A' */
static struct linear output_matrix(void) {
  return (struct linear){4, 6, {1, 1,  1,   1,  1,   0, //
                                0, a1, -a1, b1, -b1, 0, //
                                0, a2, a2,  b2, b2,  0, //
                                0, a3, -a3, b3, -b3, 1}};
}

/* G: the points' powers by the products of their differences. */
static struct linear weight_matrix(void) {
  double n = 1 / (a2 * b2), p = 1 / (2 * a2 * (a2 - b2)),
         q = 1 / (2 * b2 * (b2 - a2));
  return (struct linear){6,
                         3,
                         {n, 0, 0,            //
                          p, p * a1, p * a2,  //
                          p, -p * a1, p * a2, //
                          q, q * b1, q * b2,  //
                          q, -q * b1, q * b2, //
                          0, 0, 1}};
}

static struct linear transposed(struct linear m) {
  struct linear t = {m.cols, m.rows, {0}};
  for (int i = 0; i < m.rows; i++)
    for (int j = 0; j < m.cols; j++)
      t.at[j * t.cols + i] = m.at[i * m.cols + j];
  return t;
}

static struct linear absolute(struct linear m) {
  for (int i = 0; i < m.rows * m.cols; i++)
    m.at[i] = fabs(m.at[i]);
  return m;
}

/* out = L d L', d being cols x cols. */
static void both_ways(double *out, const struct linear *l, const double *d) {
  double half[36];
  for (int i = 0; i < l->rows; i++)
    for (int j = 0; j < l->cols; j++) {
      half[i * l->cols + j] = 0;
      for (int k = 0; k < l->cols; k++)
        half[i * l->cols + j] += l->at[i * l->cols + k] * d[k * l->cols + j];
    }
  for (int i = 0; i < l->rows; i++)
    for (int j = 0; j < l->rows; j++) {
      out[i * l->rows + j] = 0;
      for (int k = 0; k < l->cols; k++)
        out[i * l->rows + j] += half[i * l->cols + k] * l->at[j * l->cols + k];
    }
}

/* got[i * step], i < rows * rows, against L d L': each number goes through at
 * most a dozen roundings. */
static void check_linear(const char *name, struct linear l, const double *d,
                         const float *got, size_t step) {
  double want[36], size[36], sizes[36];
  const struct linear absolutes = absolute(l);
  const struct call c = {.name = name};
  for (int i = 0; i < l.cols * l.cols; i++)
    sizes[i] = fabs(d[i]);
  both_ways(want, &l, d);
  both_ways(size, &absolutes, sizes);
  for (int i = 0; i < l.rows * l.rows; i++)
    assert_near(&c, (size_t)i, got[(size_t)i * step], want[i],
                12 * 0x1p-24 * size[i]);
}

/* ---- Planes of random numbers -------------------------------------------- */

/* height x width x channels numbers in all, plain or as a pooling leaves
 * them; `all`: the plain ones. */
struct case_of_plane {
  struct plane plane;
  float *all;
  size_t step;
  ptrdiff_t y, x;
};

static float pooled_number(const struct plane *p, size_t y, size_t x,
                           size_t c) {
  size_t at = (y / 2 * (p->width / 2) + x / 2) * p->channels + c;
  if (y / 2 >= p->height / 2 || x / 2 >= p->width / 2)
    return 0;
  return p->won[at] == y % 2 * 2 + x % 2 ? p->x[at] : 0;
}

static struct case_of_plane some_plane(enum values v) {
  struct case_of_plane t = {.plane = {.height = 1 + below(12),
                                      .width = 1 + below(12),
                                      .channels = 1 + below(40)}};
  struct plane *p = &t.plane;
  size_t n = p->height * p->width * p->channels;
  t.all = numbers(n, v);
  p->x = t.all;
  t.step = p->channels + below(9);
  t.y = (ptrdiff_t)below(p->height + 3) - 3;
  t.x = (ptrdiff_t)below(p->width + 3) - 3;
  if (below(2))
    return t;
  size_t pooled = p->height / 2 * (p->width / 2) * p->channels;
  uint8_t *won = malloc(pooled + 1);
  for (size_t i = 0; i < pooled; i++)
    won[i] = (uint8_t)below(5);
  p->x = numbers(pooled, v);
  p->won = won;
  for (size_t i = 0; i < n; i++)
    t.all[i] = pooled_number(p, i / p->channels / p->width,
                             i / p->channels % p->width, i % p->channels);
  return t;
}

static void free_plane(struct case_of_plane *t) {
  if (t->plane.won) {
    free((void *)(uintptr_t)t->plane.x);
    free((void *)(uintptr_t)t->plane.won);
  }
  free(t->all);
}

/* The n x n window of one channel. */
static void window_of(const struct case_of_plane *t, int n, size_t c,
                      double *d) {
  const struct plane *p = &t->plane;
  for (int i = 0; i < n * n; i++) {
    size_t y = (size_t)(t->y + i / n), x = (size_t)(t->x + i % n);
    d[i] = y < p->height && x < p->width
               ? (double)t->all[(y * p->width + x) * p->channels + c]
               : 0;
  }
}

/* ---- Transforms ---------------------------------------------------------- */

static const struct case_of_plane *the_plane;

static void run_image(const struct kernels *k, const struct call *c,
                      float *out) {
  (void)c;
  k->winograd_image(out, the_plane->step, &the_plane->plane, the_plane->y,
                    the_plane->x);
}

static void run_gradient(const struct kernels *k, const struct call *c,
                         float *out) {
  (void)c;
  k->winograd_gradient(out, the_plane->step, &the_plane->plane, the_plane->y,
                       the_plane->x);
}

static void check_plane(const char *name, call_fn run, struct linear l) {
  enum values v = below(3) ? PLAIN : SPECIAL;
  struct case_of_plane t = some_plane(v);
  const size_t channels = t.plane.channels;
  const struct call call = {
      .name = name, .c = channels, .words = (POINTS - 1) * t.step + channels};
  double d[36];
  the_plane = &t;
  float *out = on_all_tables(&call, run);
  for (size_t c = 0; v == PLAIN && c < channels; c++) {
    window_of(&t, l.cols, c, d);
    check_linear(name, l, d, out + c, t.step);
  }
  free(out);
  free_plane(&t);
}

static void test_winograd_tmpl__planes(void **state) {
  (void)state;
  for (int i = 0; i < 500; i++) {
    check_plane("image", run_image, image_matrix());
    check_plane("gradient", run_gradient, transposed(output_matrix()));
  }
}

/* n: numbers of a point, rows: floats from point to point going in, c0: coming
 * out, which: accumulate. */
static void run_weight(const struct kernels *k, const struct call *c,
                       float *out) {
  k->winograd_weight(out, c->c0, c->in[0], c->rows, c->n);
}

static void run_weight_gradient(const struct kernels *k, const struct call *c,
                                float *out) {
  k->winograd_weight_gradient(out, c->c0, c->in[0], c->rows, c->n, c->which);
}

static void check_weight(const char *name, call_fn run, struct linear l) {
  enum values v = below(3) ? PLAIN : SPECIAL;
  size_t n = 1 + below(70), in = (size_t)(l.cols * l.cols);
  size_t points = (size_t)(l.rows * l.rows);
  struct call c = {.name = name, .n = n, .rows = n + below(9)};
  c.c0 = n + below(9);
  c.words = (points - 1) * c.c0 + n;
  float *from = numbers((in - 1) * c.rows + n, v), *start;
  c.in[0] = from;
  c.start = start = numbers(c.words, v);
  c.which = run == run_weight_gradient && below(2);
  float *out = on_all_tables(&c, run);
  for (size_t j = 0; v == PLAIN && !c.which && j < n; j++) {
    double d[36];
    for (size_t i = 0; i < in; i++)
      d[i] = from[i * c.rows + j];
    check_linear(name, l, d, out + j, c.c0);
  }
  free(from);
  free(start);
  free(out);
}

static void test_winograd_tmpl__weights(void **state) {
  (void)state;
  for (int i = 0; i < 500; i++) {
    check_weight("weight", run_weight, weight_matrix());
    check_weight("weight gradient", run_weight_gradient,
                 transposed(weight_matrix()));
  }
}

/* What is added to is added last. */
static void test_winograd_tmpl__accumulate(void **state) {
  (void)state;
  const struct kernels *k = table(IMGREC_ISA_SCALAR);
  float *u = numbers(POINTS * 21, PLAIN), *start = numbers(9 * 21, PLAIN);
  float alone[9 * 21], added[9 * 21];
  memcpy(added, start, sizeof added);
  k->winograd_weight_gradient(alone, 21, u, 21, 21, 0);
  k->winograd_weight_gradient(added, 21, u, 21, 21, 1);
  for (int i = 0; i < 9 * 21; i++)
    assert_true(added[i] == start[i] + alone[i]);
  free(u);
  free(start);
}

/* ---- Outputs ------------------------------------------------------------- */

/* A tile of outputs at (y, x) of channels [c, c + n). */
struct tile {
  struct output out;
  const float *m;
  size_t step, y, x, c, n;
};

static struct tile some_tile(enum values v) {
  struct tile t = {.out = {.height = 1 + below(9),
                           .width = 1 + below(9),
                           .channels = 1 + below(70)}};
  t.y = below(t.out.height) / 4 * 4;
  t.x = below(t.out.width) / 4 * 4;
  t.c = below(t.out.channels);
  t.n = 1 + below(t.out.channels - t.c);
  t.step = t.n + below(9);
  t.m = numbers((POINTS - 1) * t.step + t.n, v);
  return t;
}

static uint32_t *tile_of(const struct kernels *k, const struct tile *t,
                         uint8_t *won) {
  struct output out = t->out;
  size_t n = out.pool ? out.height / 2 * (out.width / 2) * out.channels
                      : out.height * out.width * out.channels;
  uint32_t *y = guarded(n);
  out.y = (float *)y;
  out.won = won;
  k->winograd_output(&out, t->m, t->step, t->y, t->x, t->c, t->n);
  for (size_t i = 0; i < GUARD; i++)
    assert_true(y[n + i] == CANARY);
  return y;
}

/* The sums of one table: in f64, and only those of the tile are written. */
static void check_sums(const struct tile *t, const float *y) {
  double d[36];
  for (size_t i = 0; i < t->out.height * t->out.width; i++) {
    size_t row = i / t->out.width - t->y, col = i % t->out.width - t->x;
    const uint32_t *word = (const void *)(y + i * t->out.channels);
    for (size_t c = 0; c < t->out.channels; c++)
      if (row >= 4 || col >= 4 || c < t->c || c >= t->c + t->n)
        assert_int_equal(word[c], CANARY);
  }
  for (size_t c = 0; c < t->n; c++) {
    float tile[16] = {0};
    double want[16];
    const struct linear l = output_matrix();
    for (size_t p = 0; p < POINTS; p++)
      d[p] = t->m[p * t->step + c];
    both_ways(want, &l, d);
    for (size_t i = 0; i < 16; i++) {
      size_t row = t->y + i / 4, col = t->x + i % 4;
      tile[i] = row < t->out.height && col < t->out.width
                    ? y[(row * t->out.width + col) * t->out.channels + t->c + c]
                    : (float)want[i];
    }
    check_linear("output", l, d, tile, 1);
  }
}

/* The four sums behind pooled pixel (y, x), finished; the first of equals. */
static float pooled_sum(const struct tile *t, const float *sums, size_t y,
                        size_t x, size_t c, uint8_t *won) {
  float best = 0;
  for (size_t i = 0; i < 4; i++) {
    size_t at = (2 * y + i / 2) * t->out.width + 2 * x + i % 2;
    float v = finished(&t->out.epilogue, sums[at * t->out.channels + c], c);
    if (i == 0 || v > best) {
      best = v;
      *won = (uint8_t)i;
    }
  }
  if (t->out.epilogue.relu && !(best > 0.0f))
    *won = 4;
  return best;
}

static float want_output(const struct tile *t, const float *sums, size_t i,
                         uint8_t *won) {
  size_t c = i % t->out.channels, at = i / t->out.channels;
  size_t width = t->out.pool ? t->out.width / 2 : t->out.width;
  if (t->out.pool)
    return pooled_sum(t, sums, at / width, at % width, c, won);
  return finished(&t->out.epilogue, sums[i], c);
}

/* On a table: what is done along makes of the sums what it would apart. */
static void check_along(const struct kernels *k, const struct tile *t,
                        const float *sums) {
  size_t height = t->out.height, width = t->out.width;
  if (t->out.pool) {
    height /= 2;
    width /= 2;
  }
  size_t n = height * width * t->out.channels;
  uint8_t *won = malloc(n + 1), best = 0;
  int with_won = t->out.pool && !t->out.epilogue.relu6;
  uint32_t *y = tile_of(k, t, with_won ? won : NULL);
  for (size_t i = 0; i < n; i++) {
    if (y[i] == CANARY)
      continue;
    float v = want_output(t, sums, i, &best);
    uint32_t want;
    memcpy(&want, &v, sizeof v);
    if (!same_word(want, y[i]) || (with_won && won[i] != best))
      fail_msg("output %zu of %s is %08x, not %08x", i, k->name, (unsigned)y[i],
               (unsigned)want);
  }
  free(won);
  free(y);
}

/* How many outputs that have to be written are not. */
static size_t unwritten(const struct tile *t, const uint32_t *y) {
  size_t half = t->out.pool ? 2 : 1, count = 0;
  size_t height = t->out.height / half, width = t->out.width / half;
  for (size_t i = t->y / half; i < (t->y + 4) / half && i < height; i++)
    for (size_t j = t->x / half; j < (t->x + 4) / half && j < width; j++)
      for (size_t c = t->c; c < t->c + t->n; c++)
        count += y[(i * width + j) * t->out.channels + c] == CANARY;
  return count;
}

static void check_output(enum values v) {
  struct tile t = some_tile(v);
  const struct tile plain = t;
  uint32_t *sums = tile_of(table(IMGREC_ISA_SCALAR), &t, NULL);
  if (v == PLAIN)
    check_sums(&t, (float *)sums);
  t.out.epilogue = some_epilogue(t.out.channels, v);
  t.out.pool = (int)below(2);
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    uint32_t *y = tile_of(table(isa), &plain, NULL);
    check_along(table(isa), &plain, (float *)sums);
    assert_int_equal(unwritten(&plain, y), 0);
    free(y);
    y = tile_of(table(isa), &t, NULL);
    check_along(table(isa), &t, (float *)sums);
    assert_int_equal(unwritten(&t, y), 0);
    free(y);
  }
  free_epilogue(&t.out.epilogue);
  free((void *)(uintptr_t)t.m);
  free(sums);
}

static void test_winograd_tmpl__outputs(void **state) {
  (void)state;
  for (int i = 0; i < 500; i++)
    check_output(i % 3 ? PLAIN : SPECIAL);
}

/* ---- What it is for ------------------------------------------------------ */

/* Y = A' [(G g G') . (B' d B)] A is the convolution of a window d with g, and
 * dg = G' [(B' d B) . (A dY A')] G its gradient: by the matrices, in f64. */
static void test_winograd_tmpl__is_a_convolution(void **state) {
  const struct linear image = image_matrix(), weight = weight_matrix();
  const struct linear output = output_matrix();
  const struct linear up = transposed(output), back = transposed(weight);
  double d[36], g[9], dy[16], v[36], u[36], m[36], y[16], dg[9];
  const struct call c = {.name = "convolution"};
  (void)state;
  for (int i = 0; i < 36; i++)
    d[i] = value(PLAIN);
  for (int i = 0; i < 16; i++)
    dy[i] = value(PLAIN);
  for (int i = 0; i < 9; i++)
    g[i] = value(PLAIN);
  both_ways(v, &image, d);
  both_ways(u, &weight, g);
  both_ways(m, &up, dy);
  for (int i = 0; i < POINTS; i++) {
    u[i] *= v[i];
    m[i] *= v[i];
  }
  both_ways(y, &output, u);
  both_ways(dg, &back, m);
  for (int i = 0; i < 16; i++)
    for (int t = 0; t < 9; t++) {
      int at = (i / 4 + t / 3) * 6 + i % 4 + t % 3;
      y[i] -= d[at] * g[t];
      dg[t] -= d[at] * dy[i];
    }
  for (size_t i = 0; i < 16; i++)
    assert_near(&c, i, (float)y[i], 0, 1e-11);
  for (size_t i = 0; i < 9; i++)
    assert_near(&c, i, (float)dg[i], 0, 1e-11);
}

/* The same by the kernels of each table, over 20 channels. */
static void check_kernels(const struct kernels *k) {
  enum { C = 20 };
  float *x = numbers(36 * C, PLAIN), *w = numbers(9 * C, PLAIN), y[16];
  float v[POINTS * C], u[POINTS * C], m[POINTS];
  const struct plane plane = {x, NULL, 6, 6, C};
  const struct output out = {.y = y, .height = 4, .width = 4, .channels = 1};
  const struct call c = {.name = k->name};
  k->winograd_image(v, C, &plane, 0, 0);
  k->winograd_weight(u, C, w, C, C);
  for (size_t p = 0; p < POINTS; p++) {
    m[p] = 0;
    for (size_t i = 0; i < C; i++)
      m[p] = fmaf(v[p * C + i], u[p * C + i], m[p]);
  }
  k->winograd_output(&out, m, 1, 0, 0, 0, 1);
  for (size_t i = 0; i < 16; i++) {
    double sum = 0;
    for (size_t t = 0; t < 9 * C; t++)
      sum +=
          (double)w[t] *
          (double)x[((i / 4 + t / C / 3) * 6 + i % 4 + t / C % 3) * C + t % C];
    assert_near(&c, i, y[i], sum, 2e-3); /* of some 70 */
  }
  free(x);
  free(w);
}

static void test_winograd_tmpl__kernels_convolve(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 50; i++)
      check_kernels(table(isa));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_winograd_tmpl__planes),
      cmocka_unit_test(test_winograd_tmpl__weights),
      cmocka_unit_test(test_winograd_tmpl__accumulate),
      cmocka_unit_test(test_winograd_tmpl__outputs),
      cmocka_unit_test(test_winograd_tmpl__is_a_convolution),
      cmocka_unit_test(test_winograd_tmpl__kernels_convolve),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
