/* SPDX-License-Identifier: MIT */
/* Pooling on every table, against its definition, bit for bit. */
#include "kernel_calls.h"

enum pooling { POOL_MAX, POOL_MIN, POOL_AVG, POOLS };

static void run_pool(const struct kernels *k, const struct call *c,
                     float *out) {
  if (c->which == POOL_MAX)
    k->max_pool(out, c->in[0], c->window, c->oy);
  else if (c->which == POOL_MIN)
    k->min_pool(out, c->in[0], c->window, c->oy);
  else
    k->avg_pool(out, c->in[0], c->window, c->oy);
}

static void run_pool_grad(const struct kernels *k, const struct call *c,
                          float *out) {
  const struct window *w = c->window;
  if (c->which == POOL_MAX)
    k->max_pool_grad(out, c->in[1], c->in[0], w, c->c0, c->c1);
  else if (c->which == POOL_MIN)
    k->min_pool_grad(out, c->in[1], c->in[0], w, c->c0, c->c1);
  else
    k->avg_pool_grad(out, c->in[1], w, c->c0, c->c1);
}

/* Row after row, where windows do not overlap. */
static void run_pool_grad_rows(const struct kernels *k, const struct call *c,
                               float *out) {
  for (size_t oy = c->window->out_height; oy-- > 0;)
    if (c->which == POOL_MAX)
      k->max_pool_grad_row(out, c->in[1], c->in[0], c->window, oy);
    else
      k->min_pool_grad_row(out, c->in[1], c->in[0], c->window, oy);
}

/* Padding is smaller than the kernel, so that no window is all padding. */
static struct window some_window(void) {
  struct window w = {
      .height = 1 + below(9), .width = 1 + below(9), .channels = 1 + below(40)};
  size_t size[2] = {w.height, w.width}, out[2];
  for (int i = 0; i < 2; i++) {
    w.kernel[i] = 1 + below(size[i] < 4 ? size[i] : 4);
    w.stride[i] = 1 + below(3);
    w.pad[i] = below(w.kernel[i]);
    out[i] = (size[i] + w.pad[i] - w.kernel[i]) / w.stride[i] + 1;
    if (below(2) && out[i] * w.stride[i] < size[i] + w.pad[i])
      out[i]++; /* the last window hangs over the far edge */
  }
  w.out_height = out[0];
  w.out_width = out[1];
  return w;
}

/* The pixel of tap t of output (oy, ox), -1 outside the image. */
static ptrdiff_t tap_pixel(const struct window *w, size_t oy, size_t ox,
                           size_t t) {
  size_t y = oy * w->stride[0] + t / w->kernel[1] - w->pad[0];
  size_t x = ox * w->stride[1] + t % w->kernel[1] - w->pad[1];
  return y < w->height && x < w->width ? (ptrdiff_t)(y * w->width + x) : -1;
}

struct pooled {
  float value;
  size_t count, winner;
};

static struct pooled expect_pool(const struct window *w, const float *x,
                                 int which, size_t oy, size_t ox, size_t c) {
  struct pooled p = {0};
  for (size_t t = 0; t < w->kernel[0] * w->kernel[1]; t++) {
    ptrdiff_t pixel = tap_pixel(w, oy, ox, t);
    if (pixel < 0)
      continue;
    float v = x[(size_t)pixel * w->channels + c];
    int better = which == POOL_MAX ? v > p.value : v < p.value;
    if (which == POOL_AVG) {
      p.value += v;
    } else if (p.count == 0 || better) {
      p.value = v;
      p.winner = t;
    }
    p.count++;
  }
  if (which == POOL_AVG)
    p.value /= (float)p.count;
  return p;
}

static void check_pool_row(struct call *c) {
  const struct window *w = c->window;
  c->name = "pool";
  c->words = w->out_width * w->channels;
  for (c->oy = 0; c->oy < w->out_height; c->oy++) {
    float *y = on_all_tables(c, run_pool);
    for (size_t i = 0; i < c->words; i++) {
      struct pooled p = expect_pool(w, c->in[0], c->which, c->oy,
                                    i / w->channels, i % w->channels);
      assert_true(y[i] == p.value || (isnan(y[i]) && isnan(p.value)));
    }
    free(y);
  }
}

/* What output (oy, ox) adds to channel c of dx. */
static void expect_pool_grad(const struct call *call, float *dx, size_t oy,
                             size_t ox, size_t c) {
  const struct window *w = call->window;
  struct pooled p = expect_pool(w, call->in[0], call->which, oy, ox, c);
  float dy = call->in[1][(oy * w->out_width + ox) * w->channels + c];
  for (size_t t = 0; t < w->kernel[0] * w->kernel[1]; t++) {
    ptrdiff_t pixel = tap_pixel(w, oy, ox, t);
    size_t row = (size_t)pixel / w->width;
    if (pixel < 0 || row < call->c0 || row >= call->c1)
      continue;
    if (call->which == POOL_AVG)
      dx[(size_t)pixel * w->channels + c] += dy / (float)p.count;
    else if (t == p.winner)
      dx[(size_t)pixel * w->channels + c] += dy;
  }
}

/* Rows outside [c0, c1) keep what they had. */
static void check_pool_grad(struct call *c, const float *start) {
  const struct window *w = c->window;
  c->name = "pool_grad";
  c->words = w->height * w->width * w->channels;
  c->start = start;
  float *want = malloc(c->words * sizeof *want);
  for (size_t i = 0; i < c->words; i++) {
    size_t row = i / w->channels / w->width;
    want[i] = row >= c->c0 && row < c->c1 ? 0.0f : start[i];
  }
  for (size_t o = 0; o < w->out_height * w->out_width; o++)
    for (size_t i = 0; i < w->channels; i++)
      expect_pool_grad(c, want, o / w->out_width, o % w->out_width, i);
  float *got = on_all_tables(c, run_pool_grad);
  for (size_t i = 0; i < c->words; i++)
    assert_true(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])));
  free(want);
  free(got);
}

/* The same bits as when all is cleared first. */
static void check_pool_grad_rows(struct call *c, const float *start) {
  const struct window *w = c->window;
  if (w->stride[0] < w->kernel[0] || w->stride[1] < w->kernel[1] ||
      c->which == POOL_AVG)
    return;
  c->c0 = 0;
  c->c1 = w->height;
  c->start = start;
  float *want = on_all_tables(c, run_pool_grad);
  float *got = on_all_tables(c, run_pool_grad_rows);
  assert_memory_equal(got, want, c->words * sizeof *got);
  free(want);
  free(got);
}

static void test_window_tmpl__pooling(void **state) {
  (void)state;
  for (int i = 0; i < 1200; i++) {
    struct window w = some_window();
    enum values v = i / POOLS % 2 ? PLAIN : SPECIAL;
    size_t pixels = w.height * w.width, outs = w.out_height * w.out_width;
    float *x = numbers(pixels * w.channels, v);
    float *dy = numbers(outs * w.channels, PLAIN);
    float *start = numbers(pixels * w.channels, PLAIN);
    struct call c = {.in = {x, dy}, .which = i % POOLS, .window = &w};
    check_pool_row(&c);
    c.c0 = below(w.height);
    c.c1 = c.c0 + 1 + below(w.height - c.c0);
    check_pool_grad(&c, start);
    check_pool_grad_rows(&c, start);
    free(x);
    free(dy);
    free(start);
  }
}

/* out: c means of rows that are 3 floats further apart. */
static void run_mean_rows(const struct kernels *k, const struct call *c,
                          float *out) {
  k->mean_rows(out, c->in[0], c->rows, c->c + 3, c->c);
}

static void test_window_tmpl__mean_rows(void **state) {
  (void)state;
  for (int i = 0; i < 300; i++) {
    size_t rows = 1 + below(60), channels = 1 + below(90);
    float *x = numbers(rows * (channels + 3), i % 2 ? PLAIN : SPECIAL);
    struct call c = {.name = "mean_rows",
                     .in = {x},
                     .rows = rows,
                     .c = channels,
                     .words = channels};
    float *y = on_all_tables(&c, run_mean_rows);
    for (size_t j = 0; j < channels && i % 2; j++) {
      double sum = 0.0;
      for (size_t row = 0; row < rows; row++)
        sum += (double)x[row * (channels + 3) + j];
      assert_true(y[j] == (float)(sum / (double)rows));
    }
    free(x);
    free(y);
  }
}

/* Of equal taps the first gets the gradient. */
static void test_window_tmpl__pooling_ties(void **state) {
  const struct window w = {.height = 2,
                           .width = 2,
                           .channels = 1,
                           .out_height = 1,
                           .out_width = 1,
                           .kernel = {2, 2},
                           .stride = {2, 2}};
  const float x[4] = {1.0f, 5.0f, 5.0f, 1.0f}, dy = 3.0f;
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa)) {
    const struct kernels *k = table(isa);
    float dx[4];
    k->max_pool_grad(dx, &dy, x, &w, 0, 2);
    assert_true(dx[0] == 0.0f && dx[1] == 3.0f);
    assert_true(dx[2] == 0.0f && dx[3] == 0.0f);
    k->min_pool_grad(dx, &dy, x, &w, 0, 2);
    assert_true(dx[0] == 3.0f && dx[3] == 0.0f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_window_tmpl__pooling),
      cmocka_unit_test(test_window_tmpl__mean_rows),
      cmocka_unit_test(test_window_tmpl__pooling_ties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
