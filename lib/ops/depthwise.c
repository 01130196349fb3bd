/* SPDX-License-Identifier: MIT */
/* Depthwise convolution: each channel has filters of its own.
 *
 * x: N x H x W x C, w: KH x KW x 1 x C, b: C, y: N x OH x OW x C
 *   y[n][oy][ox][c] = b[c] + sum over ky, kx of w[ky][kx][c] *
 *     x[n][oy * stride + ky * dilation - pad][ox ...][c]
 *
 * One filter a channel, the common case, has kernels of its own, which work
 * row by row on the image as it lies and do a batch norm (at inference) and a
 * ReLU or ReLU6 that follow along.  Several are a grouped convolution. */
#include "op.h"

#include <string.h>

static int depthwise_setup(struct node *n, struct error *e) {
  n->groups = n->in[0].c;
  n->units = n->in[0].c * n->units; /* `units` filters a channel */
  return imgrec__op_conv2d.setup(n, e);
}

/* One filter a channel. */
static int is_direct(const struct node *n) { return n->units == n->in[0].c; }

static unsigned depthwise_flags(const struct node *n) {
  (void)n;
  return OP_USES_X;
}

static unsigned depthwise_takes(const struct node *n, int training) {
  if (!is_direct(n))
    return imgrec__op_conv2d.takes(n, training);
  return OP_TAKES_RELU | OP_TAKES_RELU6 | (training ? 0 : OP_TAKES_BN);
}

static int64_t depthwise_multiply_adds(const struct node *n) {
  return imgrec__op_conv2d.multiply_adds(n);
}

static const char *depthwise_algorithm(const struct node *n,
                                       const char **reason) {
  if (!is_direct(n))
    return imgrec__op_conv2d.algorithm(n, reason);
  *reason = "one filter a channel: no product to make of it";
  return "rows in place";
}

static struct depthwise depthwise_of(const struct node *n) {
  struct depthwise d;
  d.height = (size_t)n->in[0].h;
  d.width = (size_t)n->in[0].w;
  d.channels = (size_t)n->in[0].c;
  d.out_height = (size_t)n->out.h;
  d.out_width = (size_t)n->out.w;
  for (int axis = 0; axis < 2; axis++) {
    d.kernel[axis] = (size_t)n->kernel[axis];
    d.stride[axis] = (size_t)n->stride[axis];
    d.pad[axis] = (size_t)n->pad[axis];
    d.dilation[axis] = (size_t)n->dilation[axis];
  }
  return d;
}

struct rows_job {
  const struct run *run;
  struct depthwise d;
  struct epilogue epilogue; /* of forward */
};

/* Rows of `row` floats that make a task. */
static size_t rows_piece(size_t row) { return max_size(8192 / row, 1); }

/* ---- A batch norm that follows, as a scale and a shift ------------------- */

static size_t depthwise_prepared(const struct node *n) {
  if (!is_direct(n))
    return imgrec__op_conv2d.prepared(n);
  return 2 * (size_t)n->out.c;
}

static void depthwise_prepare(const struct run *r) {
  const struct node *n = r->node;
  float *scale = r->prepared, *shift = scale + n->out.c;
  if (!is_direct(n)) {
    imgrec__op_conv2d.prepare(r);
    return;
  }
  if (r->bn)
    imgrec__bn_factors(r->bn, scale, shift);
  for (int64_t i = 0; r->bn && n->bias && i < n->out.c; i++)
    shift[i] = (float)((double)n->params[1].data[i] * (double)scale[i] +
                       (double)shift[i]);
}

static int is_act(const struct run *r, int activation) {
  return r->act && r->act->activation == activation;
}

static struct epilogue epilogue_of(const struct run *r) {
  const struct node *n = r->node;
  struct epilogue e = {NULL, NULL, is_act(r, ACT_RELU), is_act(r, ACT_RELU6)};
  if (r->bn) {
    e.scale = r->prepared;
    e.shift = r->prepared + n->out.c;
  } else if (n->bias) {
    e.shift = n->params[1].data;
  }
  return e;
}

/* ---- Forward ------------------------------------------------------------- */

/* Output rows of the whole batch. */
static void forward_rows(const void *arg, size_t begin, size_t end) {
  const struct rows_job *j = arg;
  const struct run *r = j->run;
  const struct depthwise *d = &j->d;
  size_t image = d->height * d->width * d->channels;
  size_t row = d->out_width * d->channels;
  for (size_t i = begin; i < end; i++)
    r->context->kernels->depthwise(
        r->y + i * row, r->x[0] + i / d->out_height * image,
        r->node->params[0].data, d, &j->epilogue, i % d->out_height);
}

static void depthwise_forward(const struct run *r) {
  const struct rows_job j = {r, depthwise_of(r->node), epilogue_of(r)};
  if (is_direct(r->node))
    imgrec__parallel_range(r->context, r->batch * j.d.out_height,
                           rows_piece(j.d.out_width * j.d.channels),
                           forward_rows, &j);
  else
    imgrec__op_conv2d.forward(r);
}

/* ---- Gradient by the input ----------------------------------------------- */

static void input_rows(const void *arg, size_t begin, size_t end) {
  const struct rows_job *j = arg;
  const struct run *r = j->run;
  const struct depthwise *d = &j->d;
  size_t image = d->out_height * d->out_width * d->channels;
  size_t row = d->width * d->channels;
  for (size_t i = begin; i < end; i++)
    r->context->kernels->depthwise_grad_x(
        r->dx[0] + i * row, r->dy + i / d->height * image,
        r->node->params[0].data, d, i % d->height);
}

static void input_gradient(const struct run *r, const struct depthwise *d) {
  const struct rows_job j = {.run = r, .d = *d};
  imgrec__parallel_range(r->context, r->batch * d->height,
                         rows_piece(d->width * d->channels), input_rows, &j);
}

/* ---- Gradient by the weights --------------------------------------------- */

/* Chunks are some rows of one image, about CHUNK_PIXELS, each summed from zero.
 * Those of a slab are added in order, the slabs in a tree.  All of it follows
 * from the shape and the batch alone. */
enum { CHUNK_PIXELS = 1024, MAX_SLABS = 32 };
#define SLAB_FLOATS ((size_t)8 << 20)

struct slabs {
  const struct run *run;
  struct depthwise d;
  size_t weights, rows, in_image, chunks, count;
};

static struct slabs slabs_of(const struct node *n, size_t batch) {
  struct slabs s = {.d = depthwise_of(n)};
  s.weights = s.d.kernel[0] * s.d.kernel[1] * s.d.channels;
  s.rows = max_size(CHUNK_PIXELS / s.d.out_width, 1);
  s.in_image = ceil_div(s.d.out_height, s.rows);
  s.chunks = batch * s.in_image;
  size_t fit = max_size(SLAB_FLOATS / (2 * s.weights), 1);
  s.count = min_size(min_size(s.chunks, MAX_SLABS), fit);
  return s;
}

static void chunk_gradient(const struct slabs *s, size_t chunk, float *out) {
  const struct depthwise *d = &s->d;
  const struct run *r = s->run;
  size_t image = chunk / s->in_image;
  size_t first = chunk % s->in_image * s->rows;
  size_t last = min_size(first + s->rows, d->out_height);
  const float *x = r->x[0] + image * d->height * d->width * d->channels;
  const float *dy = r->dy + image * d->out_height * d->out_width * d->channels;
  memset(out, 0, s->weights * sizeof *out);
  r->context->kernels->depthwise_grad_w(out, x, dy, d, first, last);
}

/* Slab i: its sum at scratch + 2 i weights, a chunk at + (2 i + 1) weights. */
static void slab_gradients(const void *arg, size_t first, size_t last) {
  const struct slabs *s = arg;
  for (size_t i = first; i < last; i++) {
    float *sum = s->run->scratch + 2 * i * s->weights, *part = sum + s->weights;
    size_t begin = i * s->chunks / s->count;
    size_t end = (i + 1) * s->chunks / s->count;
    chunk_gradient(s, begin, sum);
    for (size_t chunk = begin + 1; chunk < end; chunk++) {
      chunk_gradient(s, chunk, part);
      s->run->context->kernels->add(sum, sum, part, s->weights);
    }
  }
}

/* Adds the slabs' numbers [begin, end) pairwise: 0+1, 2+3, then 01+23, ... */
static void tree_range(const void *arg, size_t begin, size_t end) {
  const struct slabs *s = arg;
  const struct kernels *k = s->run->context->kernels;
  size_t stride = 2 * s->weights, n = end - begin;
  float *slab = s->run->scratch + begin;
  float *out = s->run->dparam[0] + begin;
  for (size_t step = 1; step < s->count; step *= 2)
    for (size_t i = 0; i + step < s->count; i += 2 * step)
      k->add(slab + i * stride, slab + i * stride, slab + (i + step) * stride,
             n);
  if (s->run->accumulate)
    k->add(out, out, slab, n);
  else
    memcpy(out, slab, n * sizeof *slab);
}

static void weight_gradient(const struct run *r) {
  struct slabs s = slabs_of(r->node, r->batch);
  s.run = r;
  imgrec__parallel_range(r->context, s.count, 1, slab_gradients, &s);
  imgrec__parallel_range(r->context, s.weights, 4096, tree_range, &s);
}

static size_t depthwise_scratch(const struct node *n, size_t batch,
                                int training) {
  if (!is_direct(n))
    return imgrec__op_conv2d.scratch(n, batch, training);
  if (!training)
    return 0;
  const struct slabs s = slabs_of(n, batch);
  size_t rows = batch * shape_pixels(&n->out);
  return max_size(2 * s.count * s.weights,
                  imgrec__bias_scratch(rows, s.d.channels));
}

static void depthwise_backward(const struct run *r) {
  const struct node *n = r->node;
  const struct depthwise d = depthwise_of(n);
  size_t rows = r->batch * shape_pixels(&n->out);
  if (!is_direct(n)) {
    imgrec__op_conv2d.backward(r);
    return;
  }
  imgrec__bias_gradient(r, n->bias ? r->dparam[1] : NULL, rows, d.channels);
  if (r->dparam[0])
    weight_gradient(r);
  if (r->dx[0])
    input_gradient(r, &d);
}

const struct op imgrec__op_depthwise_conv2d = {
    .type = "depthwise_conv2d",
    .prefix = "conv",
    .min_inputs = 1,
    .max_inputs = 1,
    .setup = depthwise_setup,
    .flags = depthwise_flags,
    .scratch = depthwise_scratch,
    .multiply_adds = depthwise_multiply_adds,
    .algorithm = depthwise_algorithm,
    .forward = depthwise_forward,
    .backward = TRAINING(depthwise_backward),
    .takes = depthwise_takes,
    .prepared = depthwise_prepared,
    .prepare = depthwise_prepare};
