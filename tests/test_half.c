/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/half.c: every number of 16 bits, and what lies between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nets.h"

struct format {
  uint16_t (*narrow)(float x);
  float (*widen)(uint16_t h);
  uint16_t infinity;
};

static const struct format formats[] = {
    {imgrec__narrow_f16, imgrec__widen_f16, 0x7c00},
    {imgrec__narrow_bf16, imgrec__widen_bf16, 0x7f80},
};

static void test_half__all_values(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++)
    for (uint32_t h = 0; h < 0x10000; h++) {
      const struct format *f = &formats[i];
      float x = f->widen((uint16_t)h);
      if ((h & 0x7fff) > f->infinity) {
        assert_true(isnan(x));
        assert_true(isnan(f->widen(f->narrow(x))));
      } else {
        assert_int_equal(f->narrow(x), h);
      }
    }
}

/* What is between two neighbours goes to the nearer one, from the middle to the
 * even one; the middle between the greatest number and twice the greatest power
 * of two goes to infinity. */
static void check_between(const struct format *f, uint16_t low) {
  uint16_t high = (uint16_t)(low + 1), even = low % 2 == 0 ? low : high;
  double a = (double)f->widen(low), b = (double)f->widen(high);
  if (high == f->infinity)
    b = 2 * a - (double)f->widen((uint16_t)(low - 1));
  float middle = (float)((a + b) / 2);
  assert_true((double)middle == (a + b) / 2);
  assert_int_equal(f->narrow(middle), even);
  assert_int_equal(f->narrow(-middle), even | 0x8000);
  assert_int_equal(f->narrow(nextafterf(middle, 0)), low);
  assert_int_equal(f->narrow(nextafterf(middle, INFINITY)), high);
}

static void test_half__between(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++)
    for (uint32_t h = 0; h < formats[i].infinity; h++)
      check_between(&formats[i], (uint16_t)h);
  assert_int_equal(imgrec__narrow_f16(1e30F), 0x7c00);
  assert_int_equal(imgrec__narrow_f16(-1e30F), 0xfc00);
  assert_int_equal(imgrec__narrow_f16(1e-30F), 0);
  assert_int_equal(imgrec__narrow_f16(-1e-30F), 0x8000);
}

/* ---- A model's weights --------------------------------------------------- */

#define NET "input 4 4 1\nconv2d 3 kernel=3\nbatch_norm\nflatten\ndense 2\n"

static void test_half__round_weights(void **state) {
  (void)state;
  static const int types[] = {IMGREC_WEIGHTS_F16, IMGREC_WEIGHTS_BF16};
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  for (int i = 0; i < 2; i++) {
    imgrec_model *m = new_model(ctx, NET, 1, 1),
                 *was = new_model(ctx, NET, 1, 1);
    random_weights(m, 3);
    random_weights(was, 3);
    assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
    assert_ok(ctx, imgrec_model_round_weights(m, types[i]));
    assert_int_equal(imgrec_model_weight_type(m), types[i]);
    const struct param *p, *q;
    for (int k = 0; (p = imgrec__model_param(m, k)); k++) {
      q = imgrec__model_param(was, k);
      for (size_t j = 0; j < p->count; j++) {
        float want = formats[i].widen(formats[i].narrow(q->data[j]));
        assert_true(p->data[j] == (p->ndim > 1 ? want : q->data[j]));
      }
    }
    assert_ok(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_F32));
    assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
    imgrec_model_destroy(m);
    imgrec_model_destroy(was);
  }
  imgrec_context_destroy(ctx);
}

static void test_half__refused(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 1, 1);
  float *w = imgrec__model_param(m, 0)->data, first = w[0];
  w[5] = 70000;
  assert_fails(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_F16),
               IMGREC_ERR_LIMIT,
               "a weight of 'conv1.weight' is beyond the largest number of "
               "f16");
  assert_true(w[0] == first && w[5] == 70000);
  assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
  w[5] = 3.4e38F;
  assert_fails(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_BF16),
               IMGREC_ERR_LIMIT,
               "a weight of 'conv1.weight' is beyond the largest number of "
               "bf16");
  w[5] = INFINITY; /* not of our making */
  assert_ok(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_F16));
  assert_fails(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_INT8),
               IMGREC_ERR_ARGUMENT,
               "weights can be rounded to F16 or BF16, not to 3");
  assert_int_equal(imgrec_model_round_weights(NULL, IMGREC_WEIGHTS_F16),
                   IMGREC_ERR_ARGUMENT);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

/* What makes other numbers of the weights makes the model F32. */
static void test_half__back_to_f32(void **state) {
  (void)state;
  imgrec_context *ctx = new_context(1, IMGREC_ISA_AUTO);
  imgrec_model *m = new_model(ctx, NET, 1, 1);
  imgrec_tensor *value = NULL;
  imgrec_trainer *t = NULL;
  assert_ok(ctx, imgrec_model_get_parameter(&value, m, "fc1.bias"));
  assert_ok(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_F16));
  assert_ok(ctx, imgrec_model_set_parameter(m, "fc1.bias", value));
  assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
  assert_ok(ctx, imgrec_model_round_weights(m, IMGREC_WEIGHTS_BF16));
  assert_ok(ctx, imgrec_trainer_create(&t, m, NULL));
  assert_int_equal(imgrec_model_weight_type(m), IMGREC_WEIGHTS_F32);
  imgrec_trainer_destroy(t);
  imgrec_tensor_destroy(value);
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_half__all_values),
      cmocka_unit_test(test_half__between),
      cmocka_unit_test(test_half__round_weights),
      cmocka_unit_test(test_half__refused),
      cmocka_unit_test(test_half__back_to_f32),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
