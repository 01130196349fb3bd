/* SPDX-License-Identifier: MIT */
/* Weights that are bytes in a model file: which they are, and what stands
 * beside them. */
#include "format/format.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

struct side_tensor imgrec__side_tensor(const struct param *p, enum side side) {
  static const char *const suffixes[SIDE_COUNT] = {
      "weight_scale", "input_scale", "input_zero_point"};
  struct side_tensor t = {.type = side == SIDE_INPUT_ZERO ? "U8" : "F32",
                          .ndim = side == SIDE_WEIGHT_SCALE,
                          .dim = {p->dim[0]}};
  const char *dot = strrchr(p->name, '.');
  snprintf(t.name, sizeof t.name, "%.*s.%s", (int)(dot - p->name), p->name,
           suffixes[side]);
  return t;
}

void imgrec__mark_int8(struct graph *g, const struct safetensors *f) {
  for (int i = 0; i < g->node_count; i++) {
    struct node *n = &g->nodes[i];
    if (imgrec__quantized_op(n) == NULL)
      continue;
    const struct stored *t = imgrec__safetensors_find(f, n->params[0].name);
    n->params[0].int8 = t != NULL && imgrec__stored_is(t, "I8");
  }
}

/* ---- importing ---------------------------------------------------------- */

static const unsigned char *
bytes_of(const struct param *p, const struct safetensors *f, enum side side) {
  const struct side_tensor t = imgrec__side_tensor(p, side);
  return f->data + imgrec__safetensors_find(f, t.name)->begin;
}

static int is_scale(float x) { return x >= FLT_MIN && x <= FLT_MAX; }

/* That all scales and their products are normal numbers. */
static int check_scales(const struct param *p, struct error *e) {
  const struct quantized *q = p->quantized;
  char shown[96];
  if (!is_scale(q->input_scale))
    return imgrec__fail(
        e, IMGREC_ERR_FORMAT,
        "tensor '%s' is no scale: it is not a normal number above 0",
        imgrec__printable(imgrec__side_tensor(p, SIDE_INPUT_SCALE).name,
                          shown));
  for (size_t o = 0; o < q->outputs; o++)
    if (!is_scale(q->weight_scale[o]) ||
        !(q->weight_scale[o] * q->input_scale <= FLT_MAX))
      return imgrec__fail(
          e, IMGREC_ERR_FORMAT,
          "value %zu of tensor '%s' is no scale: it is not a normal number "
          "above 0, or too large",
          o,
          imgrec__printable(imgrec__side_tensor(p, SIDE_WEIGHT_SCALE).name,
                            shown));
  return IMGREC_OK;
}

int imgrec__import_int8(struct imgrec_context *ctx, const struct param *p,
                        const struct stored *values,
                        const struct safetensors *f) {
  struct quantized *q = p->quantized;
  memcpy(q->weight_scale, bytes_of(p, f, SIDE_WEIGHT_SCALE),
         q->outputs * sizeof *q->weight_scale);
  imgrec__file_order(q->weight_scale, q->outputs, sizeof *q->weight_scale);
  memcpy(&q->input_scale, bytes_of(p, f, SIDE_INPUT_SCALE),
         sizeof q->input_scale);
  imgrec__file_order(&q->input_scale, 1, sizeof q->input_scale);
  q->input_zero = *bytes_of(p, f, SIDE_INPUT_ZERO);
  int status = check_scales(p, &ctx->error);
  if (status >= 0)
    imgrec__param_import_int8(ctx, p, (const int8_t *)f->data + values->begin);
  return status;
}
