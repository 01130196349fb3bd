/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/quantized.c: layers in bytes against their definition, bit
 * for bit, on every table and with several threads; and against the layer in
 * floats, within the bound that follows from half a step of weights and input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "int8_net.h"
#include "reference.h"

/* A layer in floats and in bytes, with an input within the range of the latter
 * but for a few values. */
struct layer_test {
  imgrec_context *ctx;
  imgrec_model *floats, *bytes;
  size_t batch, inputs, outputs; /* in all */
  int node;
  float *x;
};

#define SCALE 0.0078125f /* of inputs: 2^-7 */

static void set_up(struct layer_test *t, const char *text, size_t batch,
                   int zero, int isa, int threads) {
  memset(t, 0, sizeof *t);
  t->ctx = new_context(threads, isa);
  t->floats = new_model(t->ctx, text, (int)batch, 3);
  random_weights(t->floats, 50);
  t->bytes = int8_model(t->ctx, t->floats, SCALE, zero);
  t->batch = batch;
  t->inputs = batch * shape_count(&t->floats->graph.nodes[0].out);
  t->node = imgrec__quantized_op(&t->floats->graph.nodes[1]) ? 1 : 2;
  t->outputs = batch * shape_count(&t->floats->graph.nodes[t->node].out);
  t->x = malloc(t->inputs * sizeof *t->x);
  fill_random(t->x, t->inputs, 4, -SCALE * (float)zero,
              SCALE * (float)(255 - zero));
}

static void tear_down(struct layer_test *t) {
  free(t->x);
  imgrec_model_destroy(t->floats);
  imgrec_model_destroy(t->bytes);
  imgrec_context_destroy(t->ctx);
}

/* What byte x becomes, less the zero. */
static int level(float x, int zero) {
  double q = rint((double)(x / SCALE)) + zero;
  return (int)(q < 0 ? 0 : q > 255 ? 255 : q) - zero;
}

/* The f64 reference of the layer on whole numbers: exact sums. */
static void integer_sums(const struct layer_test *t, struct reference *r,
                         int zero) {
  const struct param *p = &t->floats->graph.nodes[t->node].params[0];
  const struct quantized *q =
      t->bytes->graph.nodes[t->node].params[0].quantized;
  float *x = malloc(t->inputs * sizeof *x);
  for (size_t i = 0; i < t->inputs; i++)
    x[i] = (float)level(t->x[i], zero);
  reference_init(r, &t->floats->graph, t->batch, 0, t->floats->weights,
                 t->floats->weight_floats, x);
  memset(r->weights, 0, t->floats->weight_floats * sizeof *r->weights);
  for (size_t i = 0; i < p->count; i++)
    r->weights[(p->data - t->floats->weights) + (ptrdiff_t)i] =
        *imgrec__quantized_value(q, i);
  reference_forward(r, 1, t->node);
  free(x);
}

static void check_definition(const struct layer_test *t, int zero) {
  const struct node *n = &t->bytes->graph.nodes[t->node];
  const struct quantized *q = n->params[0].quantized;
  struct reference r;
  integer_sums(t, &r, zero);
  const float *y = imgrec__model_run(t->bytes, t->x, t->batch, t->node);
  for (size_t i = 0; i < t->outputs; i++) {
    size_t o = i % q->outputs;
    float want = fmaf((float)r.values[t->node][i], SCALE * q->weight_scale[o],
                      n->bias ? n->params[1].data[o] : 0);
    if (memcmp(&y[i], &want, sizeof want) != 0)
      fail_msg("isa %d: output %zu is %.9g, not %.9g", t->ctx->isa, i,
               (double)y[i], (double)want);
  }
  reference_free(&r);
}

/* A weight is off by half a step s, an input by half of SCALE; so k products
 * are by k (|x| s + |w| SCALE + s SCALE / 2) / 2, which here is with x and w at
 * their greatest.  f32 adds 2^-20 of all that. */
static void check_bound(const struct layer_test *t) {
  const struct quantized *q =
      t->bytes->graph.nodes[t->node].params[0].quantized;
  struct reference r;
  reference_init(&r, &t->floats->graph, t->batch, 0, t->floats->weights,
                 t->floats->weight_floats, t->x);
  reference_forward(&r, 1, t->node);
  const float *y = imgrec__model_run(t->bytes, t->x, t->batch, t->node);
  for (size_t i = 0; i < t->outputs; i++) {
    double s = (double)q->weight_scale[i % q->outputs];
    double x = 255 * (double)SCALE, w = 127 * s;
    double bound =
        (double)q->k *
        (x * s + w * (double)SCALE + s * (double)SCALE / 2 + x * w * 0x1p-19) /
        2;
    if (!(fabs((double)y[i] - r.values[t->node][i]) <= bound))
      fail_msg("output %zu is %.9g instead of %.9g (bound %g)", i, (double)y[i],
               r.values[t->node][i], bound);
  }
  reference_free(&r);
}

static void check(const char *input, const char *layer, size_t batch) {
  static const int zeros[] = {0, 128, 255, 37};
  char text[300];
  snprintf(text, sizeof text, "input %s\n%s\n%s", input, layer,
           strstr(layer, "dense") ? "" : "flatten\n");
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int i = 0; i < 4; i++) {
      struct layer_test t;
      set_up(&t, text, batch, zeros[i], isa, i % 2 ? 3 : 1);
      check_bound(&t);
      t.x[0] = 1e9f; /* clipped */
      t.x[t.inputs - 1] = -1e9f;
      check_definition(&t, zeros[i]);
      tear_down(&t);
    }
}

static void test_quantized__conv2d(void **state) {
  (void)state;
  check("5 7 3", "conv2d 3 kernel=1", 2);
  check("9 8 3", "conv2d 32 kernel=3", 3);
  check("9 8 1", "conv2d 6 kernel=5", 1);
  check("6 7 20", "conv2d 17 kernel=3x1", 2);
  check("6 7 33", "conv2d 40 kernel=3 bias=false", 2);
}

static void test_quantized__windows(void **state) {
  (void)state;
  check("7 9 2", "conv2d 3 kernel=3 stride=2", 2);
  check("7 9 2", "conv2d 3 kernel=1 stride=2", 2);
  check("7 9 2", "conv2d 3 kernel=2x3 stride=1x4 padding=same", 1);
  check("4 5 2", "conv2d 3 kernel=4 padding=same", 2);
  check("4 5 2", "conv2d 2 kernel=5 padding=4x3", 1);
  check("1 1 2", "conv2d 3 kernel=3 padding=same", 3);
  check("7 8 2", "conv2d 3 kernel=2 dilation=3x1 stride=2", 2);
  check("5 6 2", "conv2d 2 kernel=3 dilation=2 padding=same", 2);
  check("2 9 2", "conv2d 2 kernel=1x2 stride=3", 2);
}

static void test_quantized__groups(void **state) {
  (void)state;
  check("5 6 2", "conv2d 6 kernel=3 groups=2", 2);
  check("5 6 6", "conv2d 40 kernel=2 groups=2 stride=2 padding=1", 2);
  check("5 6 4", "conv2d 4 kernel=1 groups=4", 3);
}

static void test_quantized__depthwise(void **state) {
  (void)state;
  check("5 6 3", "depthwise_conv2d kernel=3 padding=same", 2);
  check("5 6 16", "depthwise_conv2d 2 kernel=3 stride=2", 2);
  check("5 6 35", "depthwise_conv2d kernel=2x3 dilation=2x1 bias=false", 1);
  check("5 6 1", "depthwise_conv2d 3 kernel=3 padding=2", 2);
}

static void test_quantized__dense(void **state) {
  (void)state;
  check("1 1 1", "flatten\ndense 1", 1);
  check("3 2 5", "flatten\ndense 40", 5);
  check("3 2 5", "flatten\ndense 16 bias=false", 30);
  check("3 2 5", "flatten order=chw\ndense 7", 3);
}

/* Longer than what 32 bits are sure to hold. */
static void test_quantized__long_sums(void **state) {
  (void)state;
  check("3 3 1000", "conv2d 5 kernel=3", 2);
  check("5 5 3000", "flatten\ndense 3", 2);
  check("91 91 1", "depthwise_conv2d kernel=91", 1);
}

/* Of a convolution only some outputs would fit: it stays in floats. */
static void test_quantized__too_long(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(
      ctx, "input 5 5 2700\nconv2d 1 kernel=5\nflatten\ndense 2\n", 1, 1);
  assert_null(imgrec__quantized_op(&m->graph.nodes[1]));
  assert_non_null(imgrec__quantized_op(&m->graph.nodes[3]));
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* ---- With what follows --------------------------------------------------- */

/* What a batch norm, relu and pooling make of the sums of node 1. */
static float followed(const struct layer_test *t, const double *sums,
                      const float *bn_scale, const float *bn_shift, size_t at) {
  const struct node *n = &t->bytes->graph.nodes[1];
  const struct quantized *q = n->params[0].quantized;
  size_t o = at % q->outputs;
  double s = (double)(SCALE * q->weight_scale[o]);
  double b = (double)n->params[1].data[o];
  float y = fmaf((float)sums[at], (float)(s * (double)bn_scale[o]),
                 (float)(b * (double)bn_scale[o] + (double)bn_shift[o]));
  return y > 0 ? y : 0;
}

static void check_chain(const char *layer, int pool, int isa, int threads) {
  enum { ZERO = 90 };
  struct layer_test t;
  struct reference r;
  char text[200];
  float scale[64], shift[64];
  snprintf(text, sizeof text,
           "input 8 9 16\n%s\nbatch_norm activation=relu\n%sflatten\n", layer,
           pool ? "max_pool2d 2\n" : "");
  set_up(&t, text, 2, ZERO, isa, threads);
  integer_sums(&t, &r, ZERO);
  imgrec__bn_factors(&t.bytes->graph.nodes[2], scale, shift);
  const float *y =
      imgrec__model_run(t.bytes, t.x, 2, t.bytes->graph.node_count - 1);
  const struct shape *out = &t.bytes->graph.nodes[1].out;
  size_t c = (size_t)out->c, w = (size_t)out->w, h = (size_t)out->h;
  size_t half = pool ? 2 : 1, ow = w / half, oh = h / half;
  for (size_t i = 0; i < 2 * oh * ow * c; i++) {
    size_t o = i % c, x = i / c % ow * half, line = i / c / ow % oh * half;
    size_t at = ((i / c / ow / oh * h + line) * w + x) * c + o;
    float want = followed(&t, r.values[1], scale, shift, at);
    for (size_t k = 1; k < 4 && pool; k++)
      want = fmaxf(want, followed(&t, r.values[1], scale, shift,
                                  at + (k / 2 * w + k % 2) * c));
    if (y[i] != want)
      fail_msg("%s: output %zu is %.9g, not %.9g", layer, i, (double)y[i],
               (double)want);
  }
  reference_free(&r);
  tear_down(&t);
}

static void test_quantized__chains(void **state) {
  (void)state;
  for (int isa = IMGREC_ISA_SCALAR; isa; isa = next_isa(isa))
    for (int pool = 0; pool < 2; pool++) {
      check_chain("conv2d 40 kernel=3", pool, isa, 1);
      check_chain("conv2d 6 kernel=2 padding=same groups=2", pool, isa, 3);
      check_chain("depthwise_conv2d 2 kernel=3", pool, isa, 2);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quantized__conv2d),
      cmocka_unit_test(test_quantized__windows),
      cmocka_unit_test(test_quantized__groups),
      cmocka_unit_test(test_quantized__depthwise),
      cmocka_unit_test(test_quantized__dense),
      cmocka_unit_test(test_quantized__long_sums),
      cmocka_unit_test(test_quantized__too_long),
      cmocka_unit_test(test_quantized__chains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
