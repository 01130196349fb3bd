/* SPDX-License-Identifier: MIT */
/* Weights as bytes: how they lie, and how floats become them.
 *
 * Per output o, symmetric:  s[o] = max |w[o]| / 127,  i8 = w / s[o] rounded to
 * nearest, half to even.  No output of an all but zero row has a scale that is
 * not a normal number: it is 1, and the weights are 0. */
#include "op.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Memory -------------------------------------------------------------- */

/* Weights as they lie, the last group of a run filled up. */
static size_t filled(const struct quantized *q) {
  return q->k / q->run * round_up(q->run, Q_GROUP);
}

static size_t block_of(const struct quantized *q) {
  return filled(q) > IMGREC__QSUM_MAX ? IMGREC__QBLOCK : IMGREC__QSUM_MAX;
}

static size_t blocks_of(const struct quantized *q) {
  return ceil_div(filled(q), block_of(q));
}

static size_t value_bytes(const struct quantized *q) {
  if (q->depthwise)
    return q->k * q->padded;
  return q->groups * q->padded * filled(q);
}

/* What follows from the node's shape. */
static struct quantized layout_of(const struct node *n) {
  struct quantized q = {.outputs = (size_t)n->params[0].dim[0], .groups = 1};
  q.k = q.run = n->params[0].count / q.outputs;
  if (!n->in[0].flat) {
    int whole = n->groups == 1 && n->dilation[1] == 1;
    q.groups = (size_t)n->groups;
    q.depthwise = n->groups > 1 && n->groups == n->in[0].c;
    q.run = q.k / (size_t)(n->kernel[0] * (whole ? 1 : n->kernel[1]));
  }
  if (q.depthwise)
    q.groups = 1;
  q.padded = round_up(q.outputs / q.groups, Q_COLS);
  size_t columns = q.groups * q.padded;
  q.bytes = round_up(sizeof q, IMGREC__ALIGN) +
            round_up(q.outputs, Q_COLS) * sizeof *q.weight_scale +
            columns * blocks_of(&q) * sizeof *q.shift + value_bytes(&q);
  return q;
}

size_t imgrec__quantized_bytes(const struct node *n) {
  return layout_of(n).bytes;
}

/* All in one block, each array aligned to 16 numbers. */
struct quantized *imgrec__quantized_new(struct allocator *a,
                                        const struct node *n) {
  struct quantized q = layout_of(n);
  size_t columns = q.groups * q.padded;
  char *block = imgrec__alloc_zero(a, q.bytes);
  if (!block)
    return NULL;
  q.weight_scale = (float *)(void *)(block + round_up(sizeof q, IMGREC__ALIGN));
  q.shift = (int32_t *)(void *)(q.weight_scale + round_up(q.outputs, Q_COLS));
  q.values = (int8_t *)(q.shift + columns * blocks_of(&q));
  memcpy(block, &q, sizeof q);
  return (struct quantized *)(void *)block;
}

/* ---- Places -------------------------------------------------------------- */

size_t imgrec__quantized_column(const struct quantized *q, size_t o) {
  size_t each = q->outputs / q->groups;
  return o / each * q->padded + o % each;
}

/* Weight number k of output o. */
static int8_t *value_at(const struct quantized *q, size_t k, size_t o) {
  size_t column = imgrec__quantized_column(q, o);
  if (q->depthwise)
    return q->values + k * q->padded + column;
  size_t at = k / q->run * round_up(q->run, Q_GROUP) + k % q->run;
  return q->values + column / Q_COLS * filled(q) * Q_COLS +
         at / Q_GROUP * Q_GROUP_BYTES + column % Q_COLS * Q_GROUP +
         at % Q_GROUP;
}

int8_t *imgrec__quantized_value(const struct quantized *q, size_t index) {
  return value_at(q, index / q->outputs, index % q->outputs);
}

/* ---- From floats --------------------------------------------------------- */

static float greatest(const struct quantized *q, const float *w, size_t o) {
  float most = 0;
  for (size_t k = 0; k < q->k; k++) {
    float x = fabsf(w[k * q->outputs + o]);
    most = x > most ? x : most;
  }
  return most;
}

/* Half to even; |x| <= 127 but for NaN, which becomes 0. */
static int8_t round_value(float x) {
  const float rounder = 0x1.8p23f;
  if (!(fabsf(x) <= 127.5f))
    return 0;
  return (int8_t)(x + rounder - rounder);
}

void imgrec__quantized_round(struct quantized *q, const float *weights) {
  for (size_t o = 0; o < q->outputs; o++) {
    float scale = greatest(q, weights, o) / 127;
    int none = !(scale >= FLT_MIN && scale <= FLT_MAX);
    q->weight_scale[o] = none ? 1 : scale;
    for (size_t k = 0; k < q->k; k++) {
      float w = weights[k * q->outputs + o];
      *value_at(q, k, o) = none ? 0 : round_value(w / scale);
    }
  }
}

/* ---- What forward reads -------------------------------------------------- */

static int32_t shift_of(const struct quantized *q, size_t o, size_t block) {
  size_t begin = block * block_of(q);
  size_t end = min_size(begin + block_of(q), q->k);
  int32_t sum = 0;
  for (size_t k = begin; k < end; k++)
    sum += *value_at(q, k, o);
  return -q->input_zero * sum;
}

void imgrec__quantized_finish(struct quantized *q) {
  size_t columns = q->groups * q->padded;
  for (size_t block = 0; block < blocks_of(q); block++)
    for (size_t o = 0; o < q->outputs; o++)
      q->shift[block * columns + imgrec__quantized_column(q, o)] =
          shift_of(q, o, block);
}
