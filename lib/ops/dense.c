/* SPDX-License-Identifier: MIT */
/* Dense layer, and the flattening before it.
 *
 * x: N x I, w: I x O, b: O, y: N x O
 *   y = x w + b;   dw = x^T dy;   db = sum over N of dy;   dx = dy w^T
 * In training w steps by dw as that is computed: where w is large, dw is never
 * stored. */
#include "op.h"

#include <string.h>

static int dense_setup(struct node *n, struct error *e) {
  char text[64];
  if (!n->in[0].flat)
    return imgrec__fail_node(
        e, n, "needs a flat input, but its input is %s; put flatten before it",
        imgrec__shape_text(&n->in[0], text));
  n->out = (struct shape){1, 1, n->units, 1};
  const int64_t dim[2] = {n->units, n->in[0].c};
  struct param *w = imgrec__add_param(n, "weight", 2, dim, LAYOUT_DENSE);
  w->fill = FILL_RANDOM;
  w->fan_in = (size_t)dim[1];
  w->fan_out = (size_t)dim[0];
  if (n->bias)
    imgrec__add_param(n, "bias", 1, dim, LAYOUT_VECTOR);
  return IMGREC_OK;
}

static unsigned dense_flags(const struct node *n) {
  (void)n;
  return OP_USES_X | OP_UPDATES;
}

static int64_t dense_multiply_adds(const struct node *n) {
  return n->in[0].c * n->out.c;
}

static const char *dense_algorithm(const struct node *n, const char **reason) {
  (void)n;
  *reason = "one product; few images read the weights in place, once";
  return "gemm";
}

static size_t dense_scratch(const struct node *n, size_t batch, int training) {
  return training ? imgrec__bias_scratch(batch, (size_t)n->out.c) : 0;
}

static void dense_forward(const struct run *r) {
  const struct node *n = r->node;
  size_t in = (size_t)n->in[0].c, out = (size_t)n->out.c;
  const struct gemm job = {.m = r->batch,
                           .n = out,
                           .k = in,
                           .a = matrix_of(r->x[0], in, 1),
                           .b = matrix_of(n->params[0].data, out, 1),
                           .c = r->y,
                           .ldc = out,
                           .bias = n->bias ? n->params[1].data : NULL};
  imgrec__gemm(r->context, &job);
}

/* Rows of dw, of all columns or of some of them, go into the weights. */
static void take_gradient(const void *arg, size_t row, size_t rows, size_t col,
                          size_t cols, const float *dw, size_t stride) {
  const struct run *r = arg;
  size_t out = (size_t)r->node->out.c;
  float *w = r->node->params[0].data + row * out + col;
  if (cols == out && stride == out)
    imgrec__update(r->update, r->rule, w, dw, rows * out);
  else
    for (size_t i = 0; i < rows; i++)
      imgrec__update(r->update, r->rule, w + i * out, dw + i * stride, cols);
}

static struct sink sink_of(const struct run *r) {
  const struct update *u = r->update;
  const float *w = r->node->params[0].data;
  size_t at = (size_t)(w - u->weights);
  const float *second = u->moment2 ? u->moment2 + at : w;
  return (struct sink){take_gradient, r, {w, u->moment1 + at, second}};
}

static void weight_gradient(const struct run *r) {
  size_t in = (size_t)r->node->in[0].c, out = (size_t)r->node->out.c;
  struct gemm job = {.m = in,
                     .n = out,
                     .k = r->batch,
                     .a = matrix_of(r->x[0], 1, in),
                     .b = matrix_of(r->dy, out, 1),
                     .c = r->dparam[0],
                     .ldc = out,
                     .accumulate = r->accumulate};
  struct sink sink;
  if (!r->dparam[0]) {
    sink = sink_of(r);
    job.sink = &sink;
  }
  imgrec__gemm(r->context, &job);
}

/* dx before dw, which may change w. */
static void dense_backward(const struct run *r) {
  const struct node *n = r->node;
  size_t in = (size_t)n->in[0].c, out = (size_t)n->out.c;
  const struct gemm by_input = {.m = r->batch,
                                .n = in,
                                .k = out,
                                .a = matrix_of(r->dy, out, 1),
                                .b = matrix_of(n->params[0].data, 1, out),
                                .c = r->dx[0],
                                .ldc = in};
  if (r->dx[0])
    imgrec__gemm(r->context, &by_input);
  if (r->dparam[0] || r->update)
    weight_gradient(r);
  if (n->bias && r->dparam[1])
    imgrec__bias_gradient(r, r->dparam[1], r->batch, out);
}

const struct op imgrec__op_dense = {.type = "dense",
                                    .prefix = "fc",
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .setup = dense_setup,
                                    .flags = dense_flags,
                                    .scratch = dense_scratch,
                                    .multiply_adds = dense_multiply_adds,
                                    .algorithm = dense_algorithm,
                                    .forward = dense_forward,
                                    .backward = TRAINING(dense_backward)};

/* ---- Flatten: H x W x C becomes H W C numbers in the same order ---------- */

static int flatten_setup(struct node *n, struct error *e) {
  (void)e;
  n->out = (struct shape){1, 1, (int64_t)shape_count(&n->in[0]), 1};
  return IMGREC_OK;
}

static unsigned flatten_flags(const struct node *n) {
  (void)n;
  return OP_IN_PLACE;
}

static void copy_value(float *to, const float *from, const struct run *r) {
  if (to && to != from)
    memcpy(to, from, r->batch * shape_count(&r->node->out) * sizeof *to);
}

static void flatten_forward(const struct run *r) {
  copy_value(r->y, r->x[0], r);
}

static void flatten_backward(const struct run *r) {
  copy_value(r->dx[0], r->dy, r);
}

const struct op imgrec__op_flatten = {.type = "flatten",
                                      .prefix = "flatten",
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .setup = flatten_setup,
                                      .flags = flatten_flags,
                                      .forward = flatten_forward,
                                      .backward = TRAINING(flatten_backward)};
