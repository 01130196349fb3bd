/* SPDX-License-Identifier: MIT */
/* Forward of a convolution or dense layer whose weights are bytes.
 *
 * x: N x H x W x C f32, y: N x OH x OW x O f32.  x becomes an image of bytes,
 *   q = clamp(x / s rounded half to even + z, 0, 255),
 * with the padding around it that the layer asks for, z standing for 0.  Then
 *   y[o] = fma(sum of (q - z) w[o], s s[o], b[o]),
 * the sum being exact and rounded to f32 once. */
#include "op.h"

#include <string.h>

/* The image of bytes: height x width x pixel, whose rows [top, ...) and columns
 * [left, ...) hold x; no larger than what the layer reads. */
struct bytes {
  const struct run *run;
  const struct quantized *q;
  const struct qkernels *kernels;
  size_t height, width, pixel, top, left;
  size_t copies; /* of each channel, where a depthwise layer has several */
  uint8_t *data;
};

static size_t extent(const struct node *n, int axis, int64_t outputs) {
  return (size_t)((outputs - 1) * n->stride[axis] +
                  (n->kernel[axis] - 1) * n->dilation[axis] + 1);
}

static struct bytes bytes_of(const struct node *n) {
  struct bytes b = {.q = n->params[0].quantized, .height = 1, .width = 1};
  size_t c = (size_t)n->in[0].c;
  b.pixel = c;
  b.copies = 1;
  if (n->in[0].flat)
    return b;
  b.height = extent(n, 0, n->out.h);
  b.width = extent(n, 1, n->out.w);
  b.top = (size_t)n->pad[0];
  b.left = (size_t)n->pad[1];
  if (b.q->depthwise) {
    b.copies = (size_t)n->out.c / c;
    b.pixel = b.q->padded;
  }
  return b;
}

static size_t bytes_scratch(const struct node *n, size_t batch, int training) {
  const struct bytes b = bytes_of(n);
  (void)training; /* there is none */
  size_t bytes = batch * b.height * b.width * b.pixel + Q_GROUP;
  return ceil_div(bytes, sizeof(float));
}

/* ---- x becomes bytes ----------------------------------------------------- */

/* `count` pixels. */
static void quantize_pixels(const struct bytes *b, uint8_t *to, const float *x,
                            size_t count) {
  size_t c = (size_t)b->run->node->in[0].c;
  float scale = b->q->input_scale;
  if (b->pixel == c) {
    b->kernels->quantize(to, x, count * c, scale, b->q->input_zero);
    return;
  }
  for (size_t i = 0; i < count; i++, to += b->pixel, x += c) {
    b->kernels->quantize(to, x, c, scale, b->q->input_zero);
    for (size_t k = c * b->copies; k-- > 0 && b->copies > 1;)
      to[k] = to[k / b->copies];
    memset(to + c * b->copies, 0, b->pixel - c * b->copies);
  }
}

/* Lines [begin, end) of all images. */
static void quantize_lines(const void *arg, size_t begin, size_t end) {
  const struct bytes *b = arg;
  const struct shape *in = &b->run->node->in[0];
  size_t h = (size_t)in->h, w = (size_t)in->w, row = b->width * b->pixel;
  size_t inside = min_size(w, b->width > b->left ? b->width - b->left : 0);
  for (size_t i = begin; i < end; i++) {
    size_t image = i / b->height, y = i % b->height - b->top;
    uint8_t *to = b->data + i * row, *middle = to + b->left * b->pixel;
    if (y >= h || inside == 0) { /* above wraps to far below */
      memset(to, b->q->input_zero, row);
      continue;
    }
    const float *x = b->run->x[0] + (image * h + y) * w * (size_t)in->c;
    memset(to, b->q->input_zero, b->left * b->pixel);
    quantize_pixels(b, middle, x, inside);
    uint8_t *right = middle + inside * b->pixel;
    memset(right, b->q->input_zero, (size_t)(to + row - right));
  }
}

/* A dense layer's x is a line an image, cut into pieces. */
enum { PIECE = 16384 };

static void quantize_range(const void *arg, size_t begin, size_t end) {
  const struct bytes *b = arg;
  b->kernels->quantize(b->data + begin, b->run->x[0] + begin, end - begin,
                       b->q->input_scale, b->q->input_zero);
}

static void quantize_input(const struct bytes *b) {
  const struct run *r = b->run;
  size_t row = b->width * b->pixel, lines = r->batch * b->height;
  memset(b->data + lines * row, 0, Q_GROUP); /* read, but not counted */
  if (r->node->in[0].flat)
    imgrec__parallel_range(r->context, lines * row, PIECE, quantize_range, b);
  else
    imgrec__parallel_range(r->context, lines, ceil_div(PIECE, row),
                           quantize_lines, b);
}

/* ---- Products ------------------------------------------------------------ */

/* Patches are read where they are: a row of the kernel is a run of bytes where
 * all channels of neighbouring taps are neighbours, a tap elsewhere. */
static struct qgemm product_of(const struct bytes *b) {
  const struct run *r = b->run;
  const struct node *n = r->node;
  const struct quantized *q = b->q;
  struct qgemm g = {.images = 1,
                    .lines = 1,
                    .width = r->batch,
                    .a = b->data,
                    .step = b->pixel,
                    .runs = {1, 1},
                    .groups = ceil_div(q->run, Q_GROUP),
                    .n = q->outputs / q->groups,
                    .shift_step = q->groups * q->padded,
                    .relu = r->act != NULL,
                    .pool = r->pool != NULL,
                    .ldy = q->outputs};
  if (n->in[0].flat)
    return g;
  size_t row = b->width * b->pixel;
  g.images = r->batch;
  g.lines = (size_t)n->out.h;
  g.width = (size_t)n->out.w;
  g.image_step = b->height * row;
  g.line_step = (size_t)n->stride[0] * row;
  g.step = (size_t)n->stride[1] * b->pixel;
  g.runs[0] = (size_t)n->kernel[0];
  g.runs[1] = q->k / q->run / g.runs[0];
  g.jump[0] = (size_t)n->dilation[0] * row;
  g.jump[1] = (size_t)n->dilation[1] * b->pixel;
  return g;
}

static void multiply(const struct bytes *b) {
  const struct run *r = b->run;
  const struct quantized *q = b->q;
  struct qgemm g = product_of(b);
  size_t panels = q->padded * q->k / q->run * g.groups * Q_GROUP;
  size_t channels = (size_t)r->node->in[0].c / q->groups;
  for (size_t i = 0; i < q->groups; i++) {
    g.b = q->values + i * panels;
    g.shift = q->shift + i * q->padded;
    g.scale = r->prepared + i * q->padded;
    g.bias = g.scale + q->groups * q->padded;
    g.y = r->y + i * g.n;
    imgrec__qgemm(r->context, &g);
    g.a += channels;
  }
}

/* Output lines [begin, end) of all images. */
static void depthwise_lines(const void *arg, size_t begin, size_t end) {
  const struct bytes *b = arg;
  const struct node *n = b->run->node;
  struct qdepthwise d = {.row = b->width * b->pixel,
                         .pixel = b->pixel,
                         .stride = (size_t)n->stride[1],
                         .out_width = (size_t)n->out.w,
                         .channels = b->q->outputs,
                         .relu = b->run->act != NULL,
                         .w = b->q->values,
                         .shift = b->q->shift,
                         .scale = b->run->prepared,
                         .bias = b->run->prepared + b->q->padded};
  size_t out_h = (size_t)n->out.h;
  for (int axis = 0; axis < 2; axis++) {
    d.kernel[axis] = (size_t)n->kernel[axis];
    d.dilation[axis] = (size_t)n->dilation[axis];
  }
  for (size_t i = begin; i < end; i++) {
    size_t line = i / out_h * b->height + i % out_h * (size_t)n->stride[0];
    d.x = b->data + line * d.row;
    d.y = b->run->y + i * d.out_width * d.channels;
    b->kernels->depthwise(&d);
  }
}

/* ---- The operators ------------------------------------------------------- */

static unsigned no_flags(const struct node *n) {
  (void)n;
  return 0;
}

static int64_t multiply_adds(const struct node *n) {
  return (int64_t)(shape_pixels(&n->out) * n->params[0].count);
}

static unsigned takes(const struct node *n, int training) {
  unsigned pool = n->params[0].quantized->depthwise ? 0 : OP_TAKES_POOL;
  (void)training;
  return OP_TAKES_BN | OP_TAKES_RELU | (n->in[0].flat ? 0 : pool);
}

static size_t columns_of(const struct quantized *q) {
  return q->groups * q->padded;
}

/* For each column, the scale of its sums and the bias; then room for what a
 * batch norm makes of them. */
static size_t prepared_floats(const struct node *n) {
  const struct quantized *q = n->params[0].quantized;
  return 2 * (columns_of(q) + q->outputs);
}

static void prepare(const struct run *r) {
  const struct node *n = r->node;
  const struct quantized *q = n->params[0].quantized;
  float *scale = r->prepared, *bias = scale + columns_of(q);
  float *bn_scale = bias + columns_of(q), *bn_shift = bn_scale + q->outputs;
  memset(scale, 0, 2 * columns_of(q) * sizeof *scale);
  if (r->bn)
    imgrec__bn_factors(r->bn, bn_scale, bn_shift);
  for (size_t o = 0; o < q->outputs; o++) {
    size_t column = imgrec__quantized_column(q, o);
    double b = n->bias ? (double)n->params[1].data[o] : 0;
    double s = (double)(q->input_scale * q->weight_scale[o]);
    scale[column] = (float)(r->bn ? s * (double)bn_scale[o] : s);
    bias[column] =
        (float)(r->bn ? b * (double)bn_scale[o] + (double)bn_shift[o] : b);
  }
}

static void forward(const struct run *r) {
  const struct node *n = r->node;
  struct bytes b = bytes_of(n);
  b.run = r;
  b.kernels = imgrec__qkernels(r->context);
  b.data = (uint8_t *)r->scratch;
  quantize_input(&b);
  if (b.q->depthwise)
    imgrec__parallel_range(r->context, r->batch * (size_t)n->out.h, 1,
                           depthwise_lines, &b);
  else
    multiply(&b);
}

/* For inference alone, and so without what training needs; nodes become this
 * after they were set up. */
static const struct op conv2d = {.type = "conv2d",
                                 .prefix = "conv",
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .flags = no_flags,
                                 .scratch = bytes_scratch,
                                 .multiply_adds = multiply_adds,
                                 .takes = takes,
                                 .forward = forward,
                                 .prepared = prepared_floats,
                                 .prepare = prepare};

static const struct op depthwise = {.type = "depthwise_conv2d",
                                    .prefix = "conv",
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .flags = no_flags,
                                    .scratch = bytes_scratch,
                                    .multiply_adds = multiply_adds,
                                    .takes = takes,
                                    .forward = forward,
                                    .prepared = prepared_floats,
                                    .prepare = prepare};

static const struct op dense = {.type = "dense",
                                .prefix = "fc",
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .flags = no_flags,
                                .scratch = bytes_scratch,
                                .multiply_adds = multiply_adds,
                                .takes = takes,
                                .forward = forward,
                                .prepared = prepared_floats,
                                .prepare = prepare};

/* Sums of a convolution fit 32 bits; larger ones stay in floats. */
static int fits(const struct node *n) {
  size_t taps = (size_t)(n->kernel[0] * n->kernel[1]);
  size_t channels = (size_t)(n->in[0].c / n->groups);
  return taps * round_up(channels, Q_GROUP) <= IMGREC__QSUM_MAX;
}

const struct op *imgrec__quantized_op(const struct node *n) {
  if (n->op == &imgrec__op_dense || n->op == &dense)
    return &dense;
  if ((n->op == &imgrec__op_conv2d || n->op == &conv2d) && fits(n))
    return &conv2d;
  if ((n->op == &imgrec__op_depthwise_conv2d || n->op == &depthwise) && fits(n))
    return &depthwise;
  return NULL;
}
