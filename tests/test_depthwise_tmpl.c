/* SPDX-License-Identifier: MIT */
/* Depthwise kernels: on every table, and bit for bit against plain loops. */
#include "kernel_calls.h"

static const struct depthwise *shape; /* of the calls that follow */

/* Squares with kernels of their own, and any others. */
static struct depthwise some_shape(void) {
  struct depthwise d = {.channels = 1 + below(40)};
  int square = below(2) == 0;
  size_t kernel = 3 + 2 * below(2), stride = 1 + below(2);
  for (int axis = 0; axis < 2; axis++) {
    d.kernel[axis] = square ? kernel : 1 + below(5);
    d.dilation[axis] = square ? 1 : 1 + below(3);
    d.stride[axis] = square ? stride : 1 + below(4);
    size_t extent = (d.kernel[axis] - 1) * d.dilation[axis] + 1;
    d.pad[axis] = below(extent);
    size_t behind = below(extent), pads = d.pad[axis] + behind;
    size_t least = extent > pads ? extent - pads : 1;
    size_t size = least + below(14);
    size_t out = (size + pads - extent) / d.stride[axis] + 1;
    *(axis == 0 ? &d.height : &d.width) = size;
    *(axis == 0 ? &d.out_height : &d.out_width) = out;
  }
  return d;
}

/* x at the tap of output (oy, ox); zero outside. */
static float tap(const float *x, size_t oy, size_t ox, size_t ky, size_t kx,
                 size_t c) {
  const struct depthwise *d = shape;
  size_t y = oy * d->stride[0] + ky * d->dilation[0] - d->pad[0];
  size_t col = ox * d->stride[1] + kx * d->dilation[1] - d->pad[1];
  if (y >= d->height || col >= d->width)
    return 0.0f;
  return x[(y * d->width + col) * d->channels + c];
}

static float weight(const float *w, size_t ky, size_t kx, size_t c) {
  return w[(ky * shape->kernel[1] + kx) * shape->channels + c];
}

static void assert_bits(const struct call *c, size_t i, float got, float want) {
  uint32_t g, w;
  memcpy(&g, &got, sizeof g);
  memcpy(&w, &want, sizeof w);
  if (!same_word(g, w))
    fail_msg("%s[%zu] of %zu channels, kernel %zux%zu, is %08x, not %08x",
             c->name, i, shape->channels, shape->kernel[0], shape->kernel[1],
             (unsigned)g, (unsigned)w);
}

/* ---- Forward ------------------------------------------------------------ */

/* in: x, w, scale, shift (NULL: none); which: 0, 1 (ReLU) or 6. */
static void run_forward(const struct kernels *k, const struct call *c,
                        float *out) {
  const struct epilogue e = {c->in[2], c->in[3], c->which == 1, c->which == 6};
  k->depthwise(out, c->in[0], c->in[1], shape, &e, c->oy);
}

static float expect_end(const struct call *call, float sum, size_t c) {
  if (call->in[2] != NULL)
    sum = fmaf(sum, call->in[2][c], call->in[3][c]);
  else if (call->in[3] != NULL)
    sum += call->in[3][c];
  if (call->which)
    sum = sum > 0.0f ? sum : 0.0f;
  return call->which == 6 && !(sum < 6.0f) ? 6.0f : sum;
}

static float expect_forward(const struct call *call, size_t ox, size_t c) {
  float sum = 0.0f;
  for (size_t ky = 0; ky < shape->kernel[0]; ky++)
    for (size_t kx = 0; kx < shape->kernel[1]; kx++)
      sum = fmaf(tap(call->in[0], call->oy, ox, ky, kx, c),
                 weight(call->in[1], ky, kx, c), sum);
  return expect_end(call, sum, c);
}

static void check_forward(struct call *c) {
  c->name = "depthwise";
  c->words = shape->out_width * shape->channels;
  for (c->oy = 0; c->oy < shape->out_height; c->oy++) {
    float *y = on_all_tables(c, run_forward);
    for (size_t i = 0; i < c->words; i++)
      assert_bits(c, i, y[i],
                  expect_forward(c, i / shape->channels, i % shape->channels));
    free(y);
  }
}

static void test_depthwise_tmpl__forward(void **state) {
  (void)state;
  for (size_t i = 0; i < 600; i++) {
    struct depthwise d = some_shape();
    enum values v = i % VALUES;
    float *x = numbers(d.height * d.width * d.channels, v);
    float *w = numbers(d.kernel[0] * d.kernel[1] * d.channels, v);
    float *scale = numbers(d.channels, v), *shift = numbers(d.channels, v);
    size_t end = below(3);
    struct call c = {
        .in = {x, w, end > 1 ? scale : NULL, end > 0 ? shift : NULL},
        .which = (int[]){0, 1, 6}[below(3)]};
    shape = &d;
    check_forward(&c);
    free(x);
    free(w);
    free(scale);
    free(shift);
  }
}

/* ---- Gradient by x ------------------------------------------------------ */

/* in: dy, w */
static void run_grad_x(const struct kernels *k, const struct call *c,
                       float *out) {
  k->depthwise_grad_x(out, c->in[0], c->in[1], shape, c->oy);
}

/* Which output has tap k on place i, -1 where none can; others may lie outside.
 */
static int reader_of(int axis, size_t i, size_t k, ptrdiff_t *out) {
  ptrdiff_t from = (ptrdiff_t)(i + shape->pad[axis]) -
                   (ptrdiff_t)(k * shape->dilation[axis]);
  ptrdiff_t stride = (ptrdiff_t)shape->stride[axis];
  *out = from / stride;
  return from % stride == 0;
}

static float expect_grad_x(const struct call *call, size_t ix, size_t c) {
  const struct depthwise *d = shape;
  float sum = 0.0f;
  ptrdiff_t oy, ox;
  for (size_t ky = 0; ky < d->kernel[0]; ky++)
    for (size_t kx = 0; kx < d->kernel[1]; kx++) {
      if (!reader_of(0, call->oy, ky, &oy) || !reader_of(1, ix, kx, &ox))
        continue;
      int inside = (size_t)oy < d->out_height && (size_t)ox < d->out_width;
      size_t at = ((size_t)oy * d->out_width + (size_t)ox) * d->channels + c;
      sum = fmaf(inside ? call->in[0][at] : 0.0f,
                 weight(call->in[1], ky, kx, c), sum);
    }
  return sum;
}

static void test_depthwise_tmpl__gradient_by_x(void **state) {
  (void)state;
  for (size_t i = 0; i < 600; i++) {
    struct depthwise d = some_shape();
    enum values v = i % VALUES;
    float *dy = numbers(d.out_height * d.out_width * d.channels, v);
    float *w = numbers(d.kernel[0] * d.kernel[1] * d.channels, v);
    struct call c = {.name = "depthwise_grad_x",
                     .in = {dy, w},
                     .words = d.width * d.channels};
    shape = &d;
    for (c.oy = 0; c.oy < d.height; c.oy++) {
      float *dx = on_all_tables(&c, run_grad_x);
      for (size_t j = 0; j < c.words; j++)
        assert_bits(&c, j, dx[j],
                    expect_grad_x(&c, j / d.channels, j % d.channels));
      free(dx);
    }
    free(dy);
    free(w);
  }
}

/* ---- Gradient by w ------------------------------------------------------ */

/* in: x, dy; rows [c0, c1) */
static void run_grad_w(const struct kernels *k, const struct call *c,
                       float *out) {
  k->depthwise_grad_w(out, c->in[0], c->in[1], shape, c->c0, c->c1);
}

static float expect_grad_w(const struct call *call, size_t i) {
  const struct depthwise *d = shape;
  size_t c = i % d->channels, k = i / d->channels;
  float sum = call->start[i];
  for (size_t oy = call->c0; oy < call->c1; oy++)
    for (size_t ox = 0; ox < d->out_width; ox++)
      sum =
          fmaf(tap(call->in[0], oy, ox, k / d->kernel[1], k % d->kernel[1], c),
               call->in[1][(oy * d->out_width + ox) * d->channels + c], sum);
  return sum;
}

static void test_depthwise_tmpl__gradient_by_w(void **state) {
  (void)state;
  for (size_t i = 0; i < 600; i++) {
    struct depthwise d = some_shape();
    enum values v = i % VALUES;
    size_t weights = d.kernel[0] * d.kernel[1] * d.channels;
    float *x = numbers(d.height * d.width * d.channels, v);
    float *dy = numbers(d.out_height * d.out_width * d.channels, v);
    float *start = numbers(weights, v);
    struct call c = {.name = "depthwise_grad_w",
                     .in = {x, dy},
                     .start = start,
                     .words = weights};
    shape = &d;
    c.c0 = below(d.out_height);
    c.c1 = c.c0 + 1 + below(d.out_height - c.c0);
    float *dw = on_all_tables(&c, run_grad_w);
    for (size_t j = 0; j < weights; j++)
      assert_bits(&c, j, dw[j], expect_grad_w(&c, j));
    free(dw);
    free(x);
    free(dy);
    free(start);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_depthwise_tmpl__forward),
      cmocka_unit_test(test_depthwise_tmpl__gradient_by_x),
      cmocka_unit_test(test_depthwise_tmpl__gradient_by_w),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
