/* SPDX-License-Identifier: MIT */
/* Operators of several inputs: add, mul, concat.
 *
 * add, mul: all inputs and y of one shape; concat: x_i: N x H x W x C_i,
 * y: N x H x W x (sum of C_i), pixel by pixel. */
#include "op.h"

#include <string.h>

enum { PIECE = 16384 };

static size_t value_count(const struct run *r) {
  return r->batch * shape_count(&r->node->out);
}

static int same_shape(const struct shape *a, const struct shape *b) {
  return a->h == b->h && a->w == b->w && a->c == b->c && a->flat == b->flat;
}

static int equal_setup(struct node *n, struct error *e) {
  char first[64], other[64];
  n->out = n->in[0];
  for (int i = 1; i < n->input_count; i++)
    if (!same_shape(&n->in[0], &n->in[i]))
      return imgrec__fail_node(e, n,
                               "needs inputs of one shape, but has %s and %s",
                               imgrec__shape_text(&n->in[0], first),
                               imgrec__shape_text(&n->in[i], other));
  return IMGREC_OK;
}

/* ---- add: y = x_0 + x_1 + ...;  dx_i = dy -------------------------------- */

static unsigned add_flags(const struct node *n) {
  (void)n;
  return OP_IN_PLACE;
}

/* A ReLU of any kind behind it, at inference. */
static unsigned add_takes(const struct node *n, int training) {
  (void)n;
  return training ? 0 : OP_TAKES_RELU | OP_TAKES_RELU6;
}

static void add_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct kernels *k = r->context->kernels;
  float *y = r->y + begin;
  k->add(y, r->x[0] + begin, r->x[1] + begin, end - begin);
  for (int i = 2; i < r->node->input_count; i++)
    k->add(y, y, r->x[i] + begin, end - begin);
  if (r->act)
    k->activate[r->act->activation](y, y, r->act->alpha, end - begin);
}

static void add_forward(const struct run *r) {
  imgrec__parallel_range(r->context, value_count(r), PIECE, add_range, r);
}

/* dx[0] may be dy, so it comes last. */
static void add_grad_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  for (int i = r->node->input_count - 1; i >= 0; i--)
    if (r->dx[i] && r->dx[i] != r->dy)
      memcpy(r->dx[i] + begin, r->dy + begin, (end - begin) * sizeof *r->dy);
}

static void add_backward(const struct run *r) {
  imgrec__parallel_range(r->context, value_count(r), PIECE, add_grad_range, r);
}

const struct op imgrec__op_add = {.type = "add",
                                  .prefix = "add",
                                  .min_inputs = 2,
                                  .max_inputs = NODE_MAX_INPUTS,
                                  .setup = equal_setup,
                                  .flags = add_flags,
                                  .forward = add_forward,
                                  .backward = TRAINING(add_backward),
                                  .takes = add_takes};

/* ---- mul: y = x_0 x_1;  dx_0 = dy x_1, dx_1 = dy x_0 --------------------- */

static unsigned mul_flags(const struct node *n) {
  (void)n;
  return OP_USES_X;
}

static void mul_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  r->context->kernels->mul(r->y + begin, r->x[0] + begin, r->x[1] + begin,
                           end - begin);
}

static void mul_forward(const struct run *r) {
  imgrec__parallel_range(r->context, value_count(r), PIECE, mul_range, r);
}

static void mul_grad_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  for (int i = 0; i < 2; i++)
    if (r->dx[i])
      r->context->kernels->mul(r->dx[i] + begin, r->dy + begin,
                               r->x[1 - i] + begin, end - begin);
}

static void mul_backward(const struct run *r) {
  imgrec__parallel_range(r->context, value_count(r), PIECE, mul_grad_range, r);
}

const struct op imgrec__op_mul = {.type = "mul",
                                  .prefix = "mul",
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .setup = equal_setup,
                                  .flags = mul_flags,
                                  .forward = mul_forward,
                                  .backward = TRAINING(mul_backward)};

/* ---- concat -------------------------------------------------------------- */

static int concat_setup(struct node *n, struct error *e) {
  char first[64], other[64];
  n->out = n->in[0];
  for (int i = 1; i < n->input_count; i++) {
    struct shape s = n->in[i];
    s.c = n->in[0].c;
    if (!same_shape(&n->in[0], &s))
      return imgrec__fail_node(
          e, n, "needs inputs of one height and width, but has %s and %s",
          imgrec__shape_text(&n->in[0], first),
          imgrec__shape_text(&n->in[i], other));
    n->out.c += n->in[i].c;
  }
  return IMGREC_OK;
}

static unsigned concat_flags(const struct node *n) {
  (void)n;
  return 0;
}

/* Copies rows of `c` floats between arrays of other row lengths. */
static void copy_columns(float *to, size_t to_row, const float *from,
                         size_t from_row, size_t rows, size_t c) {
  for (size_t i = 0; i < rows; i++)
    memcpy(to + i * to_row, from + i * from_row, c * sizeof *to);
}

static void concat_rows(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct node *n = r->node;
  size_t total = (size_t)n->out.c, at = begin * total;
  for (int i = 0; i < n->input_count; i++) {
    size_t c = (size_t)n->in[i].c;
    copy_columns(r->y + at, total, r->x[i] + begin * c, c, end - begin, c);
    at += c;
  }
}

static void split_rows(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct node *n = r->node;
  size_t total = (size_t)n->out.c, at = begin * total;
  for (int i = 0; i < n->input_count; i++) {
    size_t c = (size_t)n->in[i].c;
    if (r->dx[i])
      copy_columns(r->dx[i] + begin * c, c, r->dy + at, total, end - begin, c);
    at += c;
  }
}

static void each_pixel(const struct run *r, imgrec__range_fn fn) {
  size_t pixels = r->batch * shape_pixels(&r->node->out);
  size_t piece = PIECE / (size_t)r->node->out.c;
  imgrec__parallel_range(r->context, pixels, piece, fn, r);
}

static void concat_forward(const struct run *r) { each_pixel(r, concat_rows); }

static void concat_backward(const struct run *r) { each_pixel(r, split_rows); }

const struct op imgrec__op_concat = {.type = "concat",
                                     .prefix = "concat",
                                     .min_inputs = 2,
                                     .max_inputs = NODE_MAX_INPUTS,
                                     .setup = concat_setup,
                                     .flags = concat_flags,
                                     .forward = concat_forward,
                                     .backward = TRAINING(concat_backward)};
