/* SPDX-License-Identifier: MIT */
/* The inner loops of products of bytes on every table, VNNI's too: the
 * definition, in 64 bits and with libm's fused multiply-add, bit for bit. */
#include "kernel_calls.h"

enum { TABLES = IMGREC_ISA_NEON + 1, EXTREME = 3 };

/* Every table that this CPU can run, VNNI's last; NULL for the others. */
static const struct qkernels *qtable(int i) {
  int vnni = i == IMGREC_ISA_NEON, isa = vnni ? IMGREC_ISA_AVX512 : i + 1;
  if (isa > imgrec__cpu_isa() || (vnni && !imgrec__cpu_vnni()))
    return NULL;
  return imgrec__qkernels_for(isa, vnni);
}

static void test_qgemm_tmpl__tables(void **state) {
  (void)state;
  assert_non_null(qtable(0));
  for (int i = 0; i < TABLES; i++)
    for (int j = 0; j < i && qtable(i) != NULL; j++)
      if (qtable(j) != NULL)
        assert_string_not_equal(qtable(i)->name, qtable(j)->name);
  assert_null(imgrec__qkernels_for(0, 0));
  assert_null(imgrec__qkernels_for(IMGREC_ISA_NEON + 1, 1));
}

/* A tile with what it is made of: rows that overlap, as patches do, in an array
 * that ends with the last group of the last of them. */
struct trial {
  struct qtile t;
  size_t run, k; /* terms of a run, which ends within its last group */
  uint8_t *a;
  int8_t *b; /* k x cols */
  int8_t *panels;
  int32_t *shift;
  float *scale, *bias;
};

static uint8_t some_u8(int kind) {
  return kind == EXTREME ? 255 : (uint8_t)next_random();
}

/* -127 is the least that weights are made of, -128 what a file may have. */
static int8_t some_i8(int kind) {
  return kind == EXTREME ? -128 : (int8_t)next_random();
}

static void put_right(struct trial *r, int kind) {
  size_t groups = r->t.runs[0] * r->t.runs[1] * r->t.groups;
  size_t wide = round_up(r->t.cols, Q_COLS);
  r->b = malloc(r->k * r->t.cols + 1);
  r->panels = calloc(wide * groups * Q_GROUP + 1, 1);
  r->t.b_panel = groups * Q_GROUP_BYTES;
  for (size_t k = 0; k < r->k; k++)
    for (size_t j = 0; j < r->t.cols; j++) {
      size_t at = k / r->run * r->t.groups * Q_GROUP + k % r->run;
      r->b[k * r->t.cols + j] = some_i8(kind);
      r->panels[j / Q_COLS * r->t.b_panel + at / Q_GROUP * Q_GROUP_BYTES +
                j % Q_COLS * Q_GROUP + at % Q_GROUP] = r->b[k * r->t.cols + j];
    }
}

static struct trial some_trial(const struct qkernels *q, size_t run, int kind) {
  struct trial r = {.run = run};
  r.t.rows = 1 + below(below(3) ? 14 : 40);
  r.t.cols = 1 + below((size_t)q->panels * Q_COLS);
  r.t.groups = ceil_div(run, Q_GROUP);
  r.t.step = 1 + below(2 * run);
  for (int i = 0; i < 2; i++) {
    r.t.runs[i] = kind == EXTREME ? 1 : 1 + below(3);
    r.t.jump[i] = below(3 * run);
  }
  r.k = run * r.t.runs[0] * r.t.runs[1];
  size_t size = (r.t.rows - 1) * r.t.step + 2 * r.t.jump[0] + 2 * r.t.jump[1] +
                r.t.groups * Q_GROUP;
  size_t wide = round_up(r.t.cols, Q_COLS);
  r.a = malloc(size);
  for (size_t i = 0; i < size; i++)
    r.a[i] = some_u8(kind);
  put_right(&r, kind);
  r.shift = calloc(wide, sizeof *r.shift);
  for (size_t j = 0; j < r.t.cols && kind != EXTREME; j++)
    r.shift[j] = (int32_t)below(2000001) - 1000000;
  r.scale = numbers(wide, PLAIN);
  r.bias = numbers(wide, PLAIN);
  r.t.a = r.a;
  r.t.b = r.panels;
  r.t.shift = r.shift;
  r.t.scale = r.scale;
  r.t.bias = r.bias;
  r.t.relu = (int)below(2);
  return r;
}

static void free_trial(struct trial *r) {
  free(r->a);
  free(r->b);
  free(r->panels);
  free(r->shift);
  free(r->scale);
  free(r->bias);
}

static int64_t sum_of(const struct trial *r, size_t i, size_t j) {
  int64_t sum = r->shift[j];
  for (size_t k = 0; k < r->k; k++) {
    size_t run = k / r->run;
    sum += r->a[i * r->t.step + run / r->t.runs[1] * r->t.jump[0] +
                run % r->t.runs[1] * r->t.jump[1] + k % r->run] *
           r->b[k * r->t.cols + j];
  }
  assert_in_range(sum + INT32_MAX, 0, 2 * (int64_t)INT32_MAX);
  return sum;
}

static void check_results(const struct qkernels *q, const struct trial *r) {
  struct qtile tile = r->t;
  tile.ldy = tile.cols + below(4);
  uint32_t *y = guarded(tile.rows * tile.ldy);
  tile.y = (float *)(void *)y;
  q->tile(&tile);
  for (size_t i = 0; i < tile.rows; i++)
    for (size_t j = 0; j < tile.ldy; j++) {
      uint32_t want = CANARY;
      if (j < tile.cols) {
        float f = fmaf((float)sum_of(r, i, j), r->scale[j], r->bias[j]);
        f = tile.relu && !(f > 0) ? 0 : f;
        memcpy(&want, &f, sizeof want);
      }
      if (y[i * tile.ldy + j] != want)
        fail_msg("%s: y[%zu][%zu] of %zu x %zu, k %zu is %08x, not %08x",
                 q->name, i, j, tile.rows, tile.cols, r->k,
                 (unsigned)y[i * tile.ldy + j], (unsigned)want);
    }
  for (size_t i = 0; i < GUARD; i++)
    assert_true(y[tile.rows * tile.ldy + i] == CANARY);
  free(y);
}

static void check_sums(const struct qkernels *q, const struct trial *r) {
  struct qtile tile = r->t;
  size_t ld = (size_t)q->panels * Q_COLS;
  uint32_t *sums = guarded(tile.rows * ld);
  tile.sums = (int32_t *)(void *)sums;
  q->tile(&tile);
  for (size_t i = 0; i < tile.rows; i++)
    for (size_t j = 0; j < tile.cols; j++)
      assert_int_equal(tile.sums[i * ld + j], sum_of(r, i, j));
  for (size_t i = 0; i < GUARD; i++)
    assert_true(sums[tile.rows * ld + i] == CANARY);
  free(sums);
}

static void check_tile(const struct qkernels *q, size_t run, int kind) {
  struct trial r = some_trial(q, run, kind);
  check_results(q, &r);
  check_sums(q, &r);
  free_trial(&r);
}

static void test_qgemm_tmpl__tiles(void **state) {
  (void)state;
  for (int i = 0; i < TABLES; i++)
    for (int n = 0; n < 300 && qtable(i) != NULL; n++)
      check_tile(qtable(i), 1 + below(n % 3 ? 20 : 300), PLAIN);
}

/* The greatest sums that there can be: nothing saturates, nothing wraps. */
static void test_qgemm_tmpl__extremes(void **state) {
  (void)state;
  for (int i = 0; i < TABLES; i++)
    for (int n = 0; n < 3 && qtable(i) != NULL; n++) {
      check_tile(qtable(i), 1 + below(4), EXTREME);
      check_tile(qtable(i), IMGREC__QSUM_MAX, EXTREME);
    }
}

/* ---- Rounding to bytes --------------------------------------------------- */

/* Half to even without the library's rounding mode or its trick. */
static int expect_byte(float x, float scale, int zero) {
  float t = x / scale;
  if (!(t > (float)-zero))
    return 0;
  if (!(t < (float)(255 - zero)))
    return 255;
  double low = floor((double)t), rest = (double)t - low;
  int up = rest > 0.5 || (rest == 0.5 && fmod(low, 2) != 0);
  return (int)low + up + zero;
}

static void check_quantize(const struct qkernels *q, size_t n, float scale,
                           int zero, enum values v) {
  float *x = numbers(n, v);
  for (size_t i = 0; i < n && v == PLAIN; i++)
    x[i] = below(2) ? x[i] * 40 * scale : ((float)below(600) - 300) / 2 * scale;
  uint8_t *out = malloc(n + GUARD);
  memset(out, 0xa5, n + GUARD);
  q->quantize(out, x, n, scale, zero);
  for (size_t i = 0; i < n; i++)
    if (out[i] != expect_byte(x[i], scale, zero))
      fail_msg("%s: %a / %a + %d is %d, not %d", q->name, (double)x[i],
               (double)scale, zero, out[i], expect_byte(x[i], scale, zero));
  for (size_t i = 0; i < GUARD; i++)
    assert_int_equal(out[n + i], 0xa5);
  free(out);
  free(x);
}

static void test_qgemm_tmpl__quantize(void **state) {
  (void)state;
  static const float scales[] = {1,       0.25f, 0.0039215689f,
                                 3.7e-5f, 1e30f, FLT_MIN};
  for (int i = 0; i < TABLES; i++)
    for (int n = 0; n < 400 && qtable(i) != NULL; n++) {
      float scale = scales[below(sizeof scales / sizeof *scales)];
      int zero = below(3) ? (int)below(256) : 0;
      check_quantize(qtable(i), 1 + below(70), scale, zero, n % VALUES);
    }
}

/* ---- Long sums ----------------------------------------------------------- */

static void test_qgemm_tmpl__finish(void **state) {
  (void)state;
  for (int i = 0; i < TABLES; i++)
    for (size_t n = 1; n < 40 && qtable(i) != NULL; n++) {
      size_t wide = round_up(n, Q_COLS);
      float *scale = numbers(wide, PLAIN), *bias = numbers(wide, PLAIN);
      double *sums = malloc(n * sizeof *sums);
      uint32_t *y = guarded(n);
      for (size_t j = 0; j < n; j++)
        sums[j] = ((double)next_random() - 2147483648.0) * 4099;
      int relu = (int)below(2);
      qtable(i)->finish((float *)(void *)y, sums, scale, bias, relu, n);
      for (size_t j = 0; j < n; j++) {
        float want = fmaf((float)sums[j], scale[j], bias[j]), got;
        want = relu && !(want > 0) ? 0 : want;
        memcpy(&got, &y[j], sizeof got);
        assert_true(got == want);
      }
      assert_true(y[n] == CANARY);
      free(scale);
      free(bias);
      free(sums);
      free(y);
    }
}

/* ---- Depthwise ----------------------------------------------------------- */

struct picture {
  struct qdepthwise d;
  uint8_t *x;
  int8_t *w;
  int32_t *shift;
  float *scale, *bias;
};

static struct picture some_picture(void) {
  struct picture p = {
      .d = {.channels = 1 + below(40), .out_width = 1 + below(9)}};
  struct qdepthwise *d = &p.d;
  d->pixel = round_up(d->channels, Q_COLS);
  d->stride = 1 + below(3);
  d->relu = (int)below(2);
  for (int axis = 0; axis < 2; axis++) {
    d->kernel[axis] = 1 + below(4);
    d->dilation[axis] = 1 + below(2);
  }
  size_t width =
      (d->out_width - 1) * d->stride + (d->kernel[1] - 1) * d->dilation[1] + 1;
  size_t height = (d->kernel[0] - 1) * d->dilation[0] + 1;
  d->row = width * d->pixel;
  p.x = malloc(height * d->row);
  p.w = malloc(d->kernel[0] * d->kernel[1] * d->pixel);
  p.shift = malloc(d->pixel * sizeof *p.shift);
  p.scale = numbers(d->pixel, PLAIN);
  p.bias = numbers(d->pixel, PLAIN);
  for (size_t i = 0; i < height * d->row; i++)
    p.x[i] = some_u8(PLAIN);
  for (size_t i = 0; i < d->kernel[0] * d->kernel[1] * d->pixel; i++)
    p.w[i] = some_i8(PLAIN);
  for (size_t i = 0; i < d->pixel; i++)
    p.shift[i] = (int32_t)below(20001) - 10000;
  d->x = p.x;
  d->w = p.w;
  d->shift = p.shift;
  d->scale = p.scale;
  d->bias = p.bias;
  return p;
}

static float expect_pixel(const struct qdepthwise *d, size_t ox, size_t c) {
  int64_t sum = d->shift[c];
  for (size_t ky = 0; ky < d->kernel[0]; ky++)
    for (size_t kx = 0; kx < d->kernel[1]; kx++)
      sum += d->x[ky * d->dilation[0] * d->row +
                  (ox * d->stride + kx * d->dilation[1]) * d->pixel + c] *
             d->w[(ky * d->kernel[1] + kx) * d->pixel + c];
  float y = fmaf((float)sum, d->scale[c], d->bias[c]);
  return d->relu && !(y > 0) ? 0 : y;
}

static void check_depthwise(const struct qkernels *q) {
  struct picture p = some_picture();
  size_t n = p.d.out_width * p.d.channels;
  uint32_t *y = guarded(n);
  p.d.y = (float *)(void *)y;
  q->depthwise(&p.d);
  for (size_t i = 0; i < n; i++)
    assert_true(p.d.y[i] ==
                expect_pixel(&p.d, i / p.d.channels, i % p.d.channels));
  for (size_t i = 0; i < GUARD; i++)
    assert_true(y[n + i] == CANARY);
  free(p.x);
  free(p.w);
  free(p.shift);
  free(p.scale);
  free(p.bias);
  free(y);
}

static void test_qgemm_tmpl__depthwise(void **state) {
  (void)state;
  for (int i = 0; i < TABLES; i++)
    for (int n = 0; n < 200 && qtable(i) != NULL; n++)
      check_depthwise(qtable(i));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_qgemm_tmpl__tables),
      cmocka_unit_test(test_qgemm_tmpl__tiles),
      cmocka_unit_test(test_qgemm_tmpl__extremes),
      cmocka_unit_test(test_qgemm_tmpl__quantize),
      cmocka_unit_test(test_qgemm_tmpl__finish),
      cmocka_unit_test(test_qgemm_tmpl__depthwise),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
