/* SPDX-License-Identifier: MIT */
/* The tables of kernels, and those kernels that are not products or windows:
 * on every table, and against a plain computation in double. */
#include "kernel_calls.h"

/* ---- The tables --------------------------------------------------------- */

static void test_kernels__tables(void **state) {
  (void)state;
  assert_null(imgrec__kernels_for(IMGREC_ISA_AUTO));
  assert_null(imgrec__kernels_for(99));
  assert_non_null(imgrec__kernels_for(IMGREC_ISA_SCALAR));
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *k = imgrec__kernels_for(isa);
    assert_non_null(k);
    assert_int_equal(imgrec__kernels_isa(k), isa);
  }
}

static void test_kernels__gradient_source(void **state) {
  (void)state;
  assert_true(imgrec__act_uses_x(ACT_SILU));
  assert_true(imgrec__act_uses_x(ACT_GELU));
  assert_true(imgrec__act_uses_x(ACT_HARD_SWISH));
  assert_false(imgrec__act_uses_x(ACT_RELU));
  assert_false(imgrec__act_uses_x(ACT_HARD_SIGMOID));
}

/* 0 to 70, then some larger. */
static size_t size_of_round(size_t i) {
  static const size_t large[] = {127, 128, 500, 1003};
  return i <= 70 ? i : large[i - 71];
}
#define ROUNDS 75

/* ---- Of each element alone ---------------------------------------------- */

static void run_add(const struct kernels *k, const struct call *c, float *out) {
  k->add(out, c->in[0], c->in[1], c->n);
}

static void run_mul(const struct kernels *k, const struct call *c, float *out) {
  k->mul(out, c->in[0], c->in[1], c->n);
}

static void run_scale(const struct kernels *k, const struct call *c,
                      float *out) {
  k->scale(out, c->in[0], 0.3f, c->n);
}

static void check_arithmetic(size_t n, enum values v) {
  float *a = numbers(n, v), *b = numbers(n, v);
  struct call c = {.name = "add", .n = n, .words = n, .in = {a, b}};
  float *sum = on_all_tables(&c, run_add);
  c.name = "mul";
  float *product = on_all_tables(&c, run_mul);
  c.name = "scale";
  float *scaled = on_all_tables(&c, run_scale);
  for (size_t i = 0; i < n && v == PLAIN; i++) {
    assert_true(sum[i] == a[i] + b[i]);
    assert_true(product[i] == a[i] * b[i]);
    assert_true(scaled[i] == a[i] * 0.3f);
  }
  free(a);
  free(b);
  free(sum);
  free(product);
  free(scaled);
}

static void test_kernels__arithmetic(void **state) {
  (void)state;
  for (size_t i = 0; i < ROUNDS * VALUES; i++)
    check_arithmetic(size_of_round(i / VALUES), i % VALUES);
}

#define ALPHA 0.25f

static void run_activate(const struct kernels *k, const struct call *c,
                         float *out) {
  k->activate[c->which](out, c->in[0], ALPHA, c->n);
}

/* The input that is not used is NULL, as callers may pass it. */
static void run_activate_grad(const struct kernels *k, const struct call *c,
                              float *out) {
  int uses_x = imgrec__act_uses_x(c->which);
  k->activate_grad[c->which](out, c->in[1], uses_x ? c->in[0] : NULL,
                             uses_x ? NULL : c->in[0], ALPHA, c->n);
}

static void test_kernels__activations_same(void **state) {
  (void)state;
  for (size_t i = 0; i < ROUNDS * VALUES; i++)
    for (int act = 0; act < ACT_COUNT; act++) {
      size_t n = size_of_round(i / VALUES);
      float *x = numbers(n, i % VALUES), *dy = numbers(n, i % VALUES);
      struct call c = {
          .name = "activate", .n = n, .words = n, .in = {x, dy}, .which = act};
      free(on_all_tables(&c, run_activate));
      c.name = "activate_grad";
      free(on_all_tables(&c, run_activate_grad));
      free(x);
      free(dy);
    }
}

static double hard_sigmoid(double x) {
  return fmin(fmax(x / 6.0 + 0.5, 0.0), 1.0);
}

static double activation(int act, double x) {
  switch (act) {
  case ACT_RELU:
    return x > 0.0 ? x : 0.0;
  case ACT_RELU6:
    return fmin(fmax(x, 0.0), 6.0);
  case ACT_LEAKY_RELU:
    return x > 0.0 ? x : (double)ALPHA * x;
  case ACT_SIGMOID:
    return 1.0 / (1.0 + exp(-x));
  case ACT_TANH:
    return tanh(x);
  case ACT_SILU:
    return x / (1.0 + exp(-x));
  case ACT_GELU:
    return x * 0.5 * erfc(-x / sqrt(2.0));
  case ACT_HARD_SWISH:
    return x * hard_sigmoid(x);
  default:
    return hard_sigmoid(x);
  }
}

/* Central differences; kinks are 0.5 away, or a multiple of that. */
static double slope(int act, double x) {
  const double h = 1e-5;
  return (activation(act, x + h) - activation(act, x - h)) / (2.0 * h);
}

/* Forward within 1e-6 and the gradient within 1e-5 of max(1, |x|), x from -10
 * to 10 but not on a kink. */
static void check_activation(const struct kernels *k, int act) {
  enum { N = 2000 };
  float x[N], y[N], dy[N], dx[N];
  struct call c = {.name = k->name, .which = act};
  for (int i = 0; i < N; i++) {
    x[i] = (float)(i - N / 2) * 0.01f + 0.003f;
    dy[i] = 1.0f;
  }
  k->activate[act](y, x, ALPHA, N);
  k->activate_grad[act](dx, dy, x, y, ALPHA, N);
  for (size_t i = 0; i < N; i++) {
    double size = fmax(1.0, fabs((double)x[i]));
    assert_near(&c, i, y[i], activation(act, x[i]), 1e-6 * size);
    assert_near(&c, i, dx[i], slope(act, x[i]), 1e-5 * size);
  }
}

static void test_kernels__activations_right(void **state) {
  (void)state;
  for (int act = 0; act < ACT_COUNT; act++)
    check_activation(table(IMGREC_ISA_SCALAR), act);
}

/* What the comments promise for y being an input. */
static void test_kernels__in_place(void **state) {
  enum { N = 77 };
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *k = table(isa);
    for (int act = 0; act < ACT_COUNT; act++) {
      float *x = numbers(N, PLAIN), y[N];
      k->activate[act](y, x, ALPHA, N);
      k->activate[act](x, x, ALPHA, N);
      assert_memory_equal(x, y, sizeof y);
      k->softmax(y, x, N);
      k->softmax(x, x, N);
      assert_memory_equal(x, y, sizeof y);
      k->add(y, x, x, N);
      k->add(x, x, x, N);
      assert_memory_equal(x, y, sizeof y);
      free(x);
    }
  }
}

/* ---- Updates ------------------------------------------------------------ */

/* out: w, m, v, of n each. */
static void run_adam(const struct kernels *k, const struct call *c,
                     float *out) {
  k->adam(out, out + c->n, out + 2 * c->n, c->in[0], c->n, 0.5f, 0.01f, 0.1f,
          0.001f, 1e-7f);
}

static void run_sgd(const struct kernels *k, const struct call *c, float *out) {
  k->sgd(out, out + c->n, c->in[0], c->n, 0.5f, 0.01f, 0.9f);
}

static const struct adam_step adam_step = {0.5f,  0.01f, 0.1f,  0.001f,
                                           1e-7f, 0.25f, 0.125f};

static void run_adam_decay(const struct kernels *k, const struct call *c,
                           float *out) {
  k->adam_decay(out, out + c->n, out + 2 * c->n, c->in[0], c->n, &adam_step);
}

static void run_sgd_decay(const struct kernels *k, const struct call *c,
                          float *out) {
  const struct sgd_step s = {0.5f, 0.01f, 0.9f, 0.25f, c->which};
  k->sgd_decay(out, out + c->n, c->in[0], c->n, &s);
}

static void run_approach(const struct kernels *k, const struct call *c,
                         float *out) {
  k->approach(out, c->in[0], 0.25f, c->n);
}

/* With the step above: g' = g / 2 + w / 4, w less by an eighth. */
static void check_adam_decay(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->n; i++) {
    double w = c->start[i], g = 0.5 * (double)c->in[0][i] + 0.25 * w;
    double m = c->start[c->n + i], v = c->start[2 * c->n + i];
    m += (g - m) * (double)0.1f;
    v += (g * g - v) * (double)0.001f;
    w = w * 0.875 - m * (double)0.01f / (sqrt(v) + (double)1e-7f);
    assert_near(c, i, out[i], w, 1e-5 * (1.0 + fabs(w)));
    assert_near(c, i, out[c->n + i], m, 1e-6);
    assert_near(c, i, out[2 * c->n + i], v, 1e-5);
  }
}

static void check_sgd_decay(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->n; i++) {
    double w = c->start[i], g = 0.5 * (double)c->in[0][i] + 0.25 * w;
    double step = (double)0.01f * g;
    double m = (double)0.9f * (double)c->start[c->n + i] - step;
    w += c->which ? (double)0.9f * m - step : m;
    assert_near(c, i, out[c->n + i], m, 1e-6);
    assert_near(c, i, out[i], w, 2e-6);
  }
}

static void check_approach(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->n; i++)
    assert_true(out[i] == fmaf(c->in[0][i] - c->start[i], 0.25f, c->start[i]));
}

static void check_decays(struct call *c, enum values v) {
  static const struct {
    const char *name;
    call_fn run;
    void (*check)(const struct call *c, const float *out);
    size_t arrays;
    int which;
  } all[] = {{"adam_decay", run_adam_decay, check_adam_decay, 3, 0},
             {"sgd_decay", run_sgd_decay, check_sgd_decay, 2, 0},
             {"nesterov", run_sgd_decay, check_sgd_decay, 2, 1},
             {"approach", run_approach, check_approach, 1, 0}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    c->name = all[i].name;
    c->words = all[i].arrays * c->n;
    c->which = all[i].which;
    float *out = on_all_tables(c, all[i].run);
    if (v == PLAIN)
      all[i].check(c, out);
    free(out);
  }
}

static void check_adam(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->n; i++) {
    double g = 0.5 * (double)c->in[0][i], w = c->start[i];
    double m = c->start[c->n + i], v = c->start[2 * c->n + i];
    m += (g - m) * (double)0.1f;
    v += (g * g - v) * (double)0.001f;
    w -= m * (double)0.01f / (sqrt(v) + (double)1e-7f);
    assert_near(c, i, out[i], w, 1e-5 * (1.0 + fabs(w)));
    assert_near(c, i, out[c->n + i], m, 1e-6);
    assert_near(c, i, out[2 * c->n + i], v, 1e-5);
  }
}

static void check_sgd(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->n; i++) {
    double m = (double)0.9f * (double)c->start[c->n + i] -
               (double)0.01f * 0.5 * (double)c->in[0][i];
    assert_near(c, i, out[c->n + i], m, 1e-6);
    assert_near(c, i, out[i], (double)c->start[i] + m, 2e-6);
  }
}

static void test_kernels__updates(void **state) {
  (void)state;
  for (size_t i = 0; i < ROUNDS * VALUES; i++) {
    enum values v = i % VALUES;
    size_t n = size_of_round(i / VALUES);
    float *g = numbers(n, v), *start = numbers(3 * n, v);
    for (size_t j = 2 * n; j < 3 * n; j++)
      start[j] = fabsf(start[j]) + (v == PLAIN ? 0.1f : 0.0f);
    struct call c = {
        .name = "adam", .n = n, .words = 3 * n, .in = {g}, .start = start};
    float *out = on_all_tables(&c, run_adam);
    if (v == PLAIN)
      check_adam(&c, out);
    free(out);
    c.name = "sgd";
    c.words = 2 * n;
    out = on_all_tables(&c, run_sgd);
    if (v == PLAIN)
      check_sgd(&c, out);
    free(out);
    check_decays(&c, v);
    free(g);
    free(start);
  }
}

/* Moments of weights that get no gradient reach zero, not denormals. */
static void test_kernels__moments_fade_to_zero(void **state) {
  float w = 1.0f, m = FLT_MIN, v = FLT_MIN, g = 0.0f;
  (void)state;
  table(IMGREC_ISA_SCALAR)
      ->adam(&w, &m, &v, &g, 1, 1.0f, 1e-3f, 0.1f, 1e-3f, 1e-7f);
  assert_true(m == 0.0f && v == 0.0f);
  m = FLT_MIN;
  table(IMGREC_ISA_SCALAR)->sgd(&w, &m, &g, 1, 1.0f, 1e-3f, 0.9f);
  assert_true(m == 0.0f);
  const struct adam_step adam = {1.0f, 1e-3f, 0.1f, 1e-3f, 1e-7f, 0.0f, 0.1f};
  const struct sgd_step sgd = {1.0f, 1e-3f, 0.9f, 0.0f, 1};
  m = v = FLT_MIN;
  table(IMGREC_ISA_SCALAR)->adam_decay(&w, &m, &v, &g, 1, &adam);
  assert_true(m == 0.0f && v == 0.0f);
  m = FLT_MIN;
  table(IMGREC_ISA_SCALAR)->sgd_decay(&w, &m, &g, 1, &sgd);
  assert_true(m == 0.0f);
}

/* ---- Rows with one number a channel ------------------------------------- */

static void run_add_row(const struct kernels *k, const struct call *c,
                        float *out) {
  k->add_row(out, c->in[0], c->in[2], c->rows, c->c);
}

static void run_affine(const struct kernels *k, const struct call *c,
                       float *out) {
  k->affine(out, c->in[0], c->in[2], c->in[3], c->rows, c->c);
}

static void run_affine2(const struct kernels *k, const struct call *c,
                        float *out) {
  k->affine2(out, c->in[0], c->in[1], c->in[2], c->in[3], c->in[4], c->rows,
             c->c);
}

static float expect_row(int which, const struct call *c, size_t i) {
  float x = c->in[0][i], y = c->in[1][i], a = c->in[2][i % c->c];
  float b = c->in[3][i % c->c], k = c->in[4][i % c->c];
  return which == 0   ? x + a
         : which == 1 ? fmaf(x, a, b)
                      : fmaf(a, x, fmaf(b, y, k));
}

static void check_rows(struct call *c, enum values v) {
  static const char *const names[] = {"add_row", "affine", "affine2"};
  static const call_fn runs[] = {run_add_row, run_affine, run_affine2};
  for (int which = 0; which < 3; which++) {
    c->name = names[which];
    float *out = on_all_tables(c, runs[which]);
    for (size_t i = 0; i < c->words && v == PLAIN; i++)
      assert_true(out[i] == expect_row(which, c, i));
    free(out);
  }
}

static void test_kernels__rows(void **state) {
  (void)state;
  for (size_t i = 0; i < 300; i++) {
    enum values v = i % VALUES;
    size_t rows = below(70), channels = 1 + below(70), n = rows * channels;
    float *x = numbers(n, v), *y = numbers(n, v), *p[3];
    for (int j = 0; j < 3; j++)
      p[j] = numbers(channels, v);
    struct call c = {.rows = rows,
                     .c = channels,
                     .words = n,
                     .in = {x, y, p[0], p[1], p[2]}};
    check_rows(&c, v);
    free(x);
    free(y);
    for (int j = 0; j < 3; j++)
      free(p[j]);
  }
}

/* out: c doubles of sums and, with which, c of products. */
static void run_sum_rows(const struct kernels *k, const struct call *c,
                         float *out) {
  double *sum = malloc(c->c * sizeof *sum), *dot = malloc(c->c * sizeof *dot);
  for (size_t i = 0; i < c->c; i++)
    sum[i] = dot[i] = (double)i;
  k->sum_rows(sum, c->which ? dot : NULL, c->in[0], c->which ? c->in[1] : NULL,
              c->rows, c->c);
  memcpy(out, sum, c->c * sizeof *sum);
  memcpy(out + 2 * c->c, dot, c->c * sizeof *dot);
  free(sum);
  free(dot);
}

/* Exact: doubles, added in order. */
static void check_sums(const struct call *c, const float *out) {
  for (size_t i = 0; i < c->c; i++) {
    double sum = (double)i, dot = (double)i, got[2];
    for (size_t r = 0; r < c->rows; r++) {
      double x = c->in[0][r * c->c + i], y = c->in[1][r * c->c + i];
      sum += x;
      dot += c->which ? x * y : 0.0;
    }
    memcpy(&got[0], out + 2 * i, sizeof got[0]);
    memcpy(&got[1], out + 2 * c->c + 2 * i, sizeof got[1]);
    assert_true(got[0] == sum && got[1] == dot);
  }
}

static void test_kernels__sum_rows(void **state) {
  (void)state;
  for (size_t i = 0; i < 300; i++) {
    enum values v = i % 2 ? PLAIN : SPECIAL;
    size_t rows = below(200), channels = 1 + below(70);
    float *x = numbers(rows * channels, v), *y = numbers(rows * channels, v);
    struct call c = {.name = "sum_rows",
                     .rows = rows,
                     .c = channels,
                     .words = 4 * channels,
                     .in = {x, i % 3 ? y : x},
                     .which = i % 4 != 0};
    float *out = on_all_tables(&c, run_sum_rows);
    if (v == PLAIN)
      check_sums(&c, out);
    free(out);
    free(x);
    free(y);
  }
}

/* ---- Over a row --------------------------------------------------------- */

/* out: the softmax and, last, the log of the sum. */
static void run_softmax(const struct kernels *k, const struct call *c,
                        float *out) {
  k->softmax(out, c->in[0], c->n);
  out[c->n] = k->log_sum_exp(c->in[0], c->n);
}

static void check_softmax(const struct call *c, const float *out) {
  double sum = 0.0, total = 0.0;
  for (size_t i = 0; i < c->n; i++)
    sum += exp((double)c->in[0][i]);
  for (size_t i = 0; i < c->n; i++) {
    double want = exp((double)c->in[0][i]) / sum;
    assert_near(c, i, out[i], want, 1e-6 * want);
    total += (double)out[i];
  }
  assert_near(c, c->n, (float)total, 1.0, 1e-6);
  assert_near(c, c->n, out[c->n], log(sum), 2e-6 * (1.0 + fabs(log(sum))));
}

static void test_kernels__softmax(void **state) {
  (void)state;
  for (size_t i = VALUES; i < ROUNDS * VALUES; i++) {
    enum values v = i % VALUES;
    size_t n = size_of_round(i / VALUES);
    float *x = numbers(n, v);
    struct call c = {.name = "softmax", .n = n, .words = n + 1, .in = {x}};
    float *out = on_all_tables(&c, run_softmax);
    if (v == PLAIN)
      check_softmax(&c, out);
    free(out);
    free(x);
  }
}

static void test_kernels__softmax_of_large(void **state) {
  const float x[3] = {1000.0f, 1000.0f, -1000.0f};
  float y[3];
  (void)state;
  table(IMGREC_ISA_SCALAR)->softmax(y, x, 3);
  assert_true(y[0] == 0.5f && y[1] == 0.5f && y[2] == 0.0f);
  float log_sum = table(IMGREC_ISA_SCALAR)->log_sum_exp(x, 3);
  assert_true(fabsf(log_sum - 1000.6931f) < 1e-3f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernels__tables),
      cmocka_unit_test(test_kernels__gradient_source),
      cmocka_unit_test(test_kernels__arithmetic),
      cmocka_unit_test(test_kernels__activations_same),
      cmocka_unit_test(test_kernels__activations_right),
      cmocka_unit_test(test_kernels__in_place),
      cmocka_unit_test(test_kernels__updates),
      cmocka_unit_test(test_kernels__moments_fade_to_zero),
      cmocka_unit_test(test_kernels__rows),
      cmocka_unit_test(test_kernels__sum_rows),
      cmocka_unit_test(test_kernels__softmax),
      cmocka_unit_test(test_kernels__softmax_of_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
