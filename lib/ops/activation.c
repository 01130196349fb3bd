/* SPDX-License-Identifier: MIT */
/* Functions of one number: activations, dropout, and softmax over channels. */
#include "op.h"

#include <string.h>

enum { PIECE = 16384 };

static size_t value_count(const struct run *r) {
  return r->batch * shape_count(&r->node->out);
}

static int same_setup(struct node *n, struct error *e) {
  (void)e;
  n->out = n->in[0];
  return IMGREC_OK;
}

/* ---- Activations: y = f(x), dx = dy f'(x) -------------------------------- */

static unsigned act_flags(const struct node *n) {
  return OP_IN_PLACE |
         (imgrec__act_uses_x(n->activation) ? OP_USES_X : OP_USES_Y);
}

static void act_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct node *n = r->node;
  r->context->kernels->activate[n->activation](r->y + begin, r->x[0] + begin,
                                               n->alpha, end - begin);
}

static void act_forward(const struct run *r) {
  imgrec__parallel_range(r->context, value_count(r), PIECE, act_range, r);
}

static void act_grad_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct node *n = r->node;
  int uses_x = imgrec__act_uses_x(n->activation);
  r->context->kernels->activate_grad[n->activation](
      r->dx[0] + begin, r->dy + begin, uses_x ? r->x[0] + begin : NULL,
      uses_x ? NULL : r->y + begin, n->alpha, end - begin);
}

static void act_backward(const struct run *r) {
  if (r->dx[0])
    imgrec__parallel_range(r->context, value_count(r), PIECE, act_grad_range,
                           r);
}

/* What all of them have in common. */
#define ACTIVATION(name, short)                                                \
  {                                                                            \
    .type = name, .prefix = short, .min_inputs = 1, .max_inputs = 1,           \
    .setup = same_setup, .flags = act_flags, .forward = act_forward,           \
    .backward = TRAINING(act_backward)                                         \
  }

const struct op imgrec__op_activation[ACT_COUNT] = {
    [ACT_RELU] = ACTIVATION("relu", "relu"),
    [ACT_RELU6] = ACTIVATION("relu6", "relu"),
    [ACT_LEAKY_RELU] = ACTIVATION("leaky_relu", "relu"),
    [ACT_SIGMOID] = ACTIVATION("sigmoid", "sigmoid"),
    [ACT_TANH] = ACTIVATION("tanh", "tanh"),
    [ACT_SILU] = ACTIVATION("silu", "silu"),
    [ACT_GELU] = ACTIVATION("gelu", "gelu"),
    [ACT_HARD_SWISH] = ACTIVATION("hard_swish", "hard_swish"),
    [ACT_HARD_SIGMOID] = ACTIVATION("hard_sigmoid", "hard_sigmoid"),
};

/* ---- Dropout: y = keep ? x / (1 - rate) : 0, while training -------------- */

static unsigned dropout_flags(const struct node *n) {
  (void)n;
  return OP_IN_PLACE;
}

struct dropout {
  const struct run *run;
  const float *x;
  float *y;
};

/* Element i of step s of a layer is decided by number (s << 32) + i of the
 * layer's stream, so backward decides as forward did. */
static void dropout_range(const void *arg, size_t begin, size_t end) {
  const struct dropout *d = arg;
  const struct run *r = d->run;
  const struct node *n = r->node;
  uint64_t stream = IMGREC__STREAM_DROPOUT + (uint64_t)n->layer;
  r->context->kernels->dropout(d->y + begin, d->x + begin, end - begin, n->rate,
                               r->seed, stream, (r->step << 32) + begin);
}

static void dropout(const struct run *r, float *y, const float *x) {
  const struct dropout d = {r, x, y};
  if (r->training)
    imgrec__parallel_range(r->context, value_count(r), PIECE / 4, dropout_range,
                           &d);
  else if (y != x)
    memcpy(y, x, value_count(r) * sizeof *y);
}

static void dropout_forward(const struct run *r) { dropout(r, r->y, r->x[0]); }

static void dropout_backward(const struct run *r) {
  if (r->dx[0])
    dropout(r, r->dx[0], r->dy);
}

const struct op imgrec__op_dropout = {.type = "dropout",
                                      .prefix = "dropout",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .setup = same_setup,
                                      .flags = dropout_flags,
                                      .forward = dropout_forward,
                                      .backward = TRAINING(dropout_backward)};

/* ---- Softmax over the channels of each pixel ----------------------------- */

/* y[c] = exp(x[c]) / sum of exp(x);  dx = y (dy - sum of dy y) */

static unsigned softmax_flags(const struct node *n) {
  (void)n;
  return OP_IN_PLACE | OP_USES_Y;
}

static void softmax_rows(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  size_t c = (size_t)r->node->out.c;
  for (size_t i = begin; i < end; i++)
    r->context->kernels->softmax(r->y + i * c, r->x[0] + i * c, c);
}

static size_t softmax_row_count(const struct run *r) {
  return r->batch * shape_pixels(&r->node->out);
}

static void softmax_forward(const struct run *r) {
  imgrec__parallel_range(r->context, softmax_row_count(r), 16, softmax_rows, r);
}

static void softmax_grad_rows(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  size_t c = (size_t)r->node->out.c;
  for (size_t i = begin; i < end; i++) {
    const float *y = r->y + i * c, *dy = r->dy + i * c;
    float *dx = r->dx[0] + i * c;
    double dot = 0;
    for (size_t j = 0; j < c; j++)
      dot += (double)dy[j] * (double)y[j];
    for (size_t j = 0; j < c; j++)
      dx[j] = y[j] * (dy[j] - (float)dot);
  }
}

static void softmax_backward(const struct run *r) {
  if (r->dx[0])
    imgrec__parallel_range(r->context, softmax_row_count(r), 16,
                           softmax_grad_rows, r);
}

const struct op imgrec__op_softmax = {.type = "softmax",
                                      .prefix = "softmax",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .setup = same_setup,
                                      .flags = softmax_flags,
                                      .forward = softmax_forward,
                                      .backward = TRAINING(softmax_backward)};
