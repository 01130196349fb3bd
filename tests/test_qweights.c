/* SPDX-License-Identifier: MIT */
/* Tests of lib/ops/qweights.c: rounding, places, and what forward reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "int8_net.h"

static const char *const nets[] = {
    "input 6 7 3\nconv2d 20 kernel=3x2\nflatten\n",
    "input 6 7 6\nconv2d 34 kernel=3 groups=2\nflatten\n",
    "input 6 7 5\ndepthwise_conv2d 2 kernel=3\nflatten\n",
    "input 1 1 1\nflatten\ndense 1 bias=false\n",
    "input 3 2 5\nflatten order=chw\ndense 17\n",
    "input 3 3 1000\nconv2d 2 kernel=3\nflatten\n",
};

enum { NETS = sizeof nets / sizeof nets[0] };

static struct node *layer_of(const imgrec_model *m) {
  struct node *n = &m->graph.nodes[1];
  return imgrec__quantized_op(n) ? n : n + 1;
}

/* Each weight is nearest, its channel's greatest is 127, and every place holds
 * one weight. */
static void check_rounding(imgrec_context *ctx, const char *text) {
  imgrec_model *f = new_model(ctx, text, 1, 5);
  random_weights(f, 9);
  imgrec_model *m = int8_model(ctx, f, 0.5F, 3);
  const struct param *p = &layer_of(f)->params[0];
  const struct quantized *q = layer_of(m)->params[0].quantized;
  int64_t sum = 0, all = 0;
  for (size_t o = 0; o < q->outputs; o++) {
    float most = 0;
    int greatest = 0;
    for (size_t k = 0; k < q->k; k++) {
      size_t index = k * q->outputs + o;
      double got = *imgrec__quantized_value(q, index);
      double want = (double)p->data[index] / (double)q->weight_scale[o];
      assert_true(fabs(got - want) <= 0.50001);
      most = fmaxf(most, fabsf(p->data[index]));
      greatest |= fabs(got) == 127;
      sum += (int64_t)got * (int64_t)(index % 97 + 1);
    }
    assert_true(q->weight_scale[o] == most / 127);
    assert_true(greatest);
  }
  for (size_t i = 0; i < p->count; i++)
    all += *imgrec__quantized_value(q, i) * (int64_t)(i % 97 + 1);
  assert_int_equal(sum, all);
  assert_int_equal(q->bytes, imgrec__quantized_bytes(layer_of(m)));
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
}

static void test_qweights__round(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int i = 0; i < NETS; i++)
    check_rounding(ctx, nets[i]);
  imgrec_context_destroy(ctx);
}

/* No two weights share a place. */
static void test_qweights__places(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int i = 0; i < NETS; i++) {
    imgrec_model *f = new_model(ctx, nets[i], 1, 5);
    imgrec_model *m = int8_model(ctx, f, 1, 0);
    const struct quantized *q = layer_of(m)->params[0].quantized;
    size_t count = layer_of(m)->params[0].count, filled = 0;
    size_t bytes = q->bytes - (size_t)((char *)q->values - (const char *)q);
    memset(q->values, 0, bytes);
    for (size_t k = 0; k < count; k++)
      *imgrec__quantized_value(q, k) = 1;
    for (size_t k = 0; k < bytes; k++)
      filled += (size_t)q->values[k];
    assert_int_equal(filled, count);
    imgrec_model_destroy(m);
    imgrec_model_destroy(f);
  }
  imgrec_context_destroy(ctx);
}

static void check_row(const float *w, const int *want, float scale) {
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f =
      new_model(ctx, "input 1 1 4\nflatten\ndense 1 bias=false\n", 1, 5);
  memcpy(layer_of(f)->params[0].data, w, 4 * sizeof *w);
  imgrec_model *m = int8_model(ctx, f, 1, 0);
  const struct quantized *q = layer_of(m)->params[0].quantized;
  assert_true(q->weight_scale[0] == scale);
  for (size_t k = 0; k < 4; k++)
    assert_int_equal(*imgrec__quantized_value(q, k), want[k]);
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

/* Half to even; all but nothing, NaN and infinity. */
static void test_qweights__special(void **state) {
  (void)state;
  check_row((float[]){127, 0.5F, 1.5F, -2.5F}, (int[]){127, 0, 2, -2}, 1);
  check_row((float[]){-254, 3, 5, -1}, (int[]){-127, 2, 2, 0}, 2);
  check_row((float[]){0, 0, -0.0F, 0}, (int[]){0, 0, 0, 0}, 1);
  check_row((float[]){1e-40F, 0, 0, 0}, (int[]){0, 0, 0, 0}, 1);
  check_row((float[]){NAN, 127, 1, NAN}, (int[]){0, 127, 1, 0}, 1);
  check_row((float[]){INFINITY, 127, 1, 1}, (int[]){0, 0, 0, 0}, 1);
}

static void test_qweights__finish(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *f = new_model(ctx, nets[1], 1, 5);
  random_weights(f, 9);
  imgrec_model *m = int8_model(ctx, f, 0.25F, 77);
  const struct quantized *q = layer_of(m)->params[0].quantized;
  assert_int_equal(q->padded, 32);
  for (size_t o = 0; o < 34; o++) {
    size_t at = o / 17 * 32 + o % 17;
    assert_int_equal(imgrec__quantized_column(q, o), at);
    int sum = 0;
    for (size_t k = 0; k < q->k; k++)
      sum += *imgrec__quantized_value(q, k * 34 + o);
    assert_int_equal(q->shift[at], -77 * sum);
  }
  imgrec_model_destroy(m);
  imgrec_model_destroy(f);
  imgrec_context_destroy(ctx);
}

/* What a parameter is asked for is what its bytes stand for. */
static void test_qweights__parameter(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int i = 0; i < NETS; i++) {
    imgrec_model *f = new_model(ctx, nets[i], 1, 5);
    random_weights(f, 9);
    imgrec_model *m = int8_model(ctx, f, 1, 0);
    const struct param *p = &layer_of(f)->params[0];
    const struct quantized *q = layer_of(m)->params[0].quantized;
    imgrec_tensor *a = NULL, *b = NULL;
    assert_ok(ctx, imgrec_model_get_parameter(&a, f, p->name));
    assert_ok(ctx, imgrec_model_get_parameter(&b, m, p->name));
    for (size_t k = 0; k < p->count; k++) {
      size_t o = k / (p->count / q->outputs);
      assert_true(fabsf(floats_of(a)[k] - floats_of(b)[k]) <=
                  0.50001F * q->weight_scale[o]);
    }
    assert_fails(ctx, imgrec_model_set_parameter(m, p->name, a),
                 IMGREC_ERR_UNSUPPORTED,
                 "the weights of this model are int8, which cannot be set; go "
                 "back to the model that it was made from");
    imgrec_tensor_destroy(a);
    imgrec_tensor_destroy(b);
    imgrec_model_destroy(m);
    imgrec_model_destroy(f);
  }
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_qweights__round),
      cmocka_unit_test(test_qweights__places),
      cmocka_unit_test(test_qweights__special),
      cmocka_unit_test(test_qweights__finish),
      cmocka_unit_test(test_qweights__parameter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
