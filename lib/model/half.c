/* SPDX-License-Identifier: MIT */
/* Weights of 16 bits: rounding to them, and back. */
#include <inttypes.h>
#include <string.h>

#include "graph.h"

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* ---- bf16: the upper half of f32 ----------------------------------------- */

float imgrec__widen_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }

/* Half to even; a NaN stays one, made quiet. */
uint16_t imgrec__narrow_bf16(float x) {
  uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* ---- f16: IEEE 754 binary16 ---------------------------------------------- */

float imgrec__widen_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, fraction = h & 0x3ff;
  uint32_t exponent = h >> 10 & 31;
  if (exponent == 31)
    return float_of(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0)
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  float x = (float)fraction * 0x1p-24f;
  return sign != 0 ? -x : x;
}

/* Half to even: what rounds up to 2^16 becomes infinity.  Below the least
 * normal number the unit is 2^-24, which is also that of floats from 1/2 on. */
uint16_t imgrec__narrow_f16(float x) {
  uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000)
    return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
  if (bits >= 0x477ff000)
    return (uint16_t)(sign | 0x7c00);
  if (bits < 0x38800000)
    return (uint16_t)(sign | (bits_of(float_of(bits) + 0.5f) - bits_of(0.5f)));
  return (uint16_t)(sign |
                    ((bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13));
}

/* ---- A model's weights --------------------------------------------------- */

int imgrec__is_weight(const struct param *p) { return p->ndim > 1; }

static float rounded(float x, int type) {
  return type == IMGREC_WEIGHTS_F16
             ? imgrec__widen_f16(imgrec__narrow_f16(x))
             : imgrec__widen_bf16(imgrec__narrow_bf16(x));
}

static int is_finite(float x) { return x - x == 0; }

static int check_range(const struct imgrec_model *m, int type) {
  const struct param *p;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    for (size_t k = 0; k < p->count && imgrec__is_weight(p); k++)
      if (is_finite(p->data[k]) && !is_finite(rounded(p->data[k], type)))
        return imgrec__fail(&m->context->error, IMGREC_ERR_LIMIT,
                            "a weight of '%s' is beyond the largest number of "
                            "%s",
                            p->name,
                            type == IMGREC_WEIGHTS_F16 ? "f16" : "bf16");
  return IMGREC_OK;
}

static int round_all(struct imgrec_model *m, int type) {
  const struct param *p;
  int status = check_range(m, type);
  if (status < 0)
    return status;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    for (size_t k = 0; k < p->count && imgrec__is_weight(p); k++)
      p->data[k] = rounded(p->data[k], type);
  return IMGREC_OK;
}

int imgrec_model_round_weights(imgrec_model *m, int type) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (type < IMGREC_WEIGHTS_F32 || type > IMGREC_WEIGHTS_BF16)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "weights can be rounded to F16 or BF16, not to %d",
                        type);
  int status = imgrec__model_may_change(m, "cannot be rounded to floats");
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  if (type != IMGREC_WEIGHTS_F32)
    status = round_all(m, type);
  imgrec__fp_leave(fp);
  if (status < 0)
    return status;
  imgrec__model_changed(m);
  m->weight_type = type;
  return IMGREC_OK;
}
