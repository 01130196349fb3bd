/* SPDX-License-Identifier: MIT */
/* Convolution (as every framework: cross-correlation).
 *
 * x: N x H x W x C, w: KH x KW x C/G x O, b: O, y: N x OH x OW x O
 *   y[n][oy][ox][o] = b[o] + sum over ky, kx, c of w[ky][kx][c][o] *
 *     x[n][oy * stride + ky * dilation - pad][ox ...][g(o) * C/G + c]
 *
 * Three ways to compute it and its gradient by the weights, chosen by the shape
 * of one image: conv_winograd.c, conv_rows.c, conv_patches.c.  The gradient by
 * the input is a convolution of dy with the weights turned round, or else
 * conv_scatter.c; behind a max pooling both may be conv_winners.c.
 * At inference a batch norm, and always ReLU and a 2 x 2 max pooling that
 * follow, are done along. */
#include "op.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum way { WAY_WINOGRAD, WAY_WINNERS, WAY_ROWS, WAY_PATCHES };

/* The sizes alone. */
static struct conv conv_of(const struct node *n, size_t batch) {
  struct conv c = {.batch = batch, .groups = (size_t)n->groups};
  for (int axis = 0; axis < 2; axis++) {
    c.kernel[axis] = (int)n->kernel[axis];
    c.stride[axis] = (int)n->stride[axis];
    c.dilation[axis] = (int)n->dilation[axis];
    c.pad[axis] = (int)n->pad[axis];
  }
  c.x = (struct plane){NULL, NULL, (size_t)n->in[0].h, (size_t)n->in[0].w,
                       (size_t)n->in[0].c};
  c.out.height = (size_t)n->out.h;
  c.out.width = (size_t)n->out.w;
  c.out.channels = (size_t)n->out.c;
  return c;
}

static enum way way_of(const struct conv *c) {
  if (imgrec__winograd_fits(c))
    return WAY_WINOGRAD;
  return imgrec__rows_fits(c) ? WAY_ROWS : WAY_PATCHES;
}

/* pooled: dy lies behind a max pooling. */
static enum way gradient_way(const struct conv *c, int pooled) {
  if (imgrec__winograd_gradient_fits(c))
    return WAY_WINOGRAD;
  if (pooled && imgrec__winners_fits(c))
    return WAY_WINNERS;
  return imgrec__rows_gradient_fits(c) ? WAY_ROWS : WAY_PATCHES;
}

/* ---- The layer ----------------------------------------------------------- */

static int conv_setup(struct node *n, struct error *e) {
  int64_t c = n->in[0].c;
  int status = imgrec__window_setup(n, e);
  if (status < 0)
    return status;
  if (c % n->groups != 0 || n->units % n->groups != 0)
    return imgrec__fail_node(e, n,
                             "groups=%" PRId64 " must divide its %" PRId64
                             " input channels and its %" PRId64 " filters",
                             n->groups, c, n->units);
  n->out.c = n->units;
  const int64_t dim[4] = {n->units, c / n->groups, n->kernel[0], n->kernel[1]};
  struct param *w = imgrec__add_param(n, "weight", 4, dim, LAYOUT_CONV);
  w->fill = FILL_RANDOM;
  size_t taps = (size_t)n->kernel[0] * (size_t)n->kernel[1];
  w->fan_in = (size_t)dim[1] * taps;
  w->fan_out = (size_t)dim[0] * taps;
  if (n->bias)
    imgrec__add_param(n, "bias", 1, dim, LAYOUT_VECTOR);
  return IMGREC_OK;
}

static unsigned conv_flags(const struct node *n) {
  (void)n;
  return OP_USES_X;
}

static unsigned conv_takes(const struct node *n, int training) {
  struct conv c = conv_of(n, 1);
  unsigned takes =
      OP_TAKES_RELU | (training ? 0 : OP_TAKES_BN | OP_TAKES_RELU6);
  if (way_of(&c) == WAY_PATCHES)
    return 0;
  c.out.pool = 1;
  /* its gradient is read as it lies behind the pooling */
  if (imgrec__rows_fits(&c) &&
      (!training ||
       (gradient_way(&c, 1) != WAY_PATCHES && imgrec__scatter_fits(&c))))
    takes |= OP_TAKES_POOL;
  return takes;
}

static int64_t conv_multiply_adds(const struct node *n) {
  const struct param *w = &n->params[0];
  return (int64_t)(shape_pixels(&n->out) * w->count);
}

static const char *conv_algorithm(const struct node *n, const char **reason) {
  const struct conv c = conv_of(n, 1);
  switch (way_of(&c)) {
  case WAY_WINOGRAD:
    *reason = "3x3 at stride 1, 16 to 512 channels, tiles that cover it well";
    return "winograd F(4x4,3x3)";
  case WAY_ROWS:
    *reason = "not one for Winograd; its rows fit a worker's memory";
    return "rows in place, gemm";
  default:
    *reason = "rows are too long to be read in place";
    return "im2col gemm";
  }
}

/* ---- Prepared weights, then a scale and a shift for each output ---------- */

static size_t prepared_weights(const struct conv *c) {
  switch (way_of(c)) {
  case WAY_WINOGRAD:
    return imgrec__winograd_prepared(c);
  case WAY_ROWS:
    return imgrec__rows_prepared(c);
  default:
    return 0;
  }
}

static void prepare_weights(const struct conv *c, const float *w, float *out) {
  switch (way_of(c)) {
  case WAY_WINOGRAD:
    imgrec__winograd_prepare(c, w, out);
    break;
  case WAY_ROWS:
    imgrec__rows_prepare(c, w, out);
    break;
  default:
    break;
  }
}

static size_t conv_prepared(const struct node *n) {
  const struct conv c = conv_of(n, 1);
  return prepared_weights(&c) + 2 * c.out.channels;
}

/* The bias and a batch norm with running moments as scale and shift. */
static void prepare_epilogue(const struct run *r, float *scale, float *shift) {
  const struct node *n = r->node;
  imgrec__bn_factors(r->bn, scale, shift);
  for (int64_t i = 0; n->bias && i < n->out.c; i++)
    shift[i] = (float)((double)n->params[1].data[i] * (double)scale[i] +
                       (double)shift[i]);
}

static void conv_prepare(const struct run *r) {
  struct conv c = conv_of(r->node, 1);
  float *scale = r->prepared + prepared_weights(&c);
  c.context = r->context;
  prepare_weights(&c, r->node->params[0].data, r->prepared);
  if (r->bn)
    prepare_epilogue(r, scale, scale + c.out.channels);
}

/* ---- Forward ------------------------------------------------------------- */

static struct conv forward_conv(const struct run *r) {
  struct conv c = conv_of(r->node, r->batch);
  c.context = r->context;
  c.x.x = r->x[0];
  c.w = r->prepared;
  c.out.y = r->y;
  c.out.won = r->won;
  c.out.pool = r->pool != NULL;
  c.out.epilogue.relu = r->act && r->act->activation == ACT_RELU;
  c.out.epilogue.relu6 = r->act && r->act->activation == ACT_RELU6;
  if (r->bn) {
    c.out.epilogue.scale = r->prepared + prepared_weights(&c);
    c.out.epilogue.shift = c.out.epilogue.scale + c.out.channels;
  } else if (r->node->bias) {
    c.out.epilogue.shift = r->node->params[1].data;
  }
  return c;
}

static void conv_forward(const struct run *r) {
  struct conv c = forward_conv(r);
  switch (way_of(&c)) {
  case WAY_WINOGRAD:
    imgrec__winograd_forward(&c);
    break;
  case WAY_ROWS:
    imgrec__rows_forward(&c);
    break;
  default:
    c.w = r->node->params[0].data;
    imgrec__patches_forward(&c, c.out.epilogue.shift);
  }
}

/* ---- Gradient by the input ---------------------------------------------- */

/* With a stride of 1: dy takes the place of x, and dx that of y. */
static struct conv turned_conv(const struct node *n, size_t batch) {
  struct conv c = conv_of(n, batch);
  const struct plane x = c.x;
  c.x.height = c.out.height;
  c.x.width = c.out.width;
  c.x.channels = c.out.channels;
  c.out.height = x.height;
  c.out.width = x.width;
  c.out.channels = x.channels;
  for (int axis = 0; axis < 2; axis++)
    c.pad[axis] = (c.kernel[axis] - 1) * c.dilation[axis] - c.pad[axis];
  return c;
}

/* By the input: a convolution of dy with the weights turned round where that
 * is Winograd's; else only what won, behind a pooling; else again the turned
 * one, but not with a stride, nor where padding makes up much of dx; else tap
 * by tap. */
enum input_way { INPUT_TURNED, INPUT_WINNERS, INPUT_SCATTER };

static enum input_way input_way(const struct node *n, int pooled) {
  const struct conv c = conv_of(n, 1), turned = turned_conv(n, 1);
  size_t in = shape_pixels(&n->in[0]), out = shape_pixels(&n->out);
  int stride = n->stride[0] * n->stride[1] != 1;
  if (!stride && way_of(&turned) == WAY_WINOGRAD)
    return INPUT_TURNED;
  if (pooled && imgrec__winners_input_fits(&c))
    return INPUT_WINNERS;
  if (stride || way_of(&turned) == WAY_PATCHES)
    return INPUT_SCATTER;
  return 4 * in <= 5 * out || n->out.c < 16 ? INPUT_TURNED : INPUT_SCATTER;
}

struct turn {
  const struct conv *conv; /* the turned one */
  const float *w;
  float *out; /* taps x O/G x C, the taps in reverse */
};

static void turn_range(const void *arg, size_t begin, size_t end) {
  const struct turn *t = arg;
  const struct conv *c = t->conv;
  size_t filters = c->x.channels, channels = c->out.channels;
  size_t og = filters / c->groups, cg = channels / c->groups;
  size_t taps = (size_t)(c->kernel[0] * c->kernel[1]);
  for (size_t i = begin; i < end; i++) {
    size_t tap = i / og, o = i % og;
    const float *w = t->w + (taps - 1 - tap) * cg * filters + o;
    float *out = t->out + i * channels;
    for (size_t j = 0; j < channels; j++)
      out[j] = w[j % cg * filters + j / cg * og];
  }
}

static size_t input_gradient_scratch(const struct node *n, size_t batch,
                                     int pooled) {
  const struct conv c = conv_of(n, batch), turned = turned_conv(n, batch);
  switch (input_way(n, pooled)) {
  case INPUT_TURNED:
    return n->params[0].count + prepared_weights(&turned);
  case INPUT_WINNERS:
    return imgrec__winners_prepared(&c);
  default:
    return imgrec__scatter_prepared(&c);
  }
}

static void turned_gradient(const struct run *r, const struct plane *dy) {
  const struct node *n = r->node;
  struct conv c = turned_conv(n, r->batch);
  const struct turn t = {&c, n->params[0].data, r->scratch};
  float *prepared = r->scratch + n->params[0].count;
  size_t rows = n->params[0].count / c.out.channels;
  c.context = r->context;
  c.x.x = dy->x;
  c.x.won = dy->won;
  c.out.y = r->dx[0];
  c.w = prepared;
  imgrec__parallel_range(r->context, rows, ceil_div(8192, c.out.channels),
                         turn_range, &t);
  prepare_weights(&c, r->scratch, prepared);
  if (way_of(&c) == WAY_WINOGRAD)
    imgrec__winograd_forward(&c);
  else
    imgrec__rows_forward(&c);
}

static void input_gradient(const struct run *r, const struct plane *dy) {
  const float *w = r->node->params[0].data;
  struct conv c = conv_of(r->node, r->batch);
  c.context = r->context;
  switch (input_way(r->node, dy->won != NULL)) {
  case INPUT_TURNED:
    turned_gradient(r, dy);
    break;
  case INPUT_WINNERS:
    imgrec__winners_input_gradient(&c, dy, w, r->dx[0], r->scratch);
    break;
  default:
    imgrec__scatter_gradient(&c, dy, w, r->dx[0], r->scratch);
  }
}

/* ---- Backward ------------------------------------------------------------ */

static void weight_gradient(const struct run *r, const struct plane *dy) {
  struct conv c = conv_of(r->node, r->batch);
  const struct conv_gradient g = {&c, dy, r->dparam[0], r->scratch,
                                  r->accumulate};
  c.context = r->context;
  c.x.x = r->x[0];
  switch (gradient_way(&c, dy->won != NULL)) {
  case WAY_WINOGRAD:
    imgrec__winograd_gradient(&g);
    break;
  case WAY_WINNERS:
    imgrec__winners_gradient(&g);
    break;
  case WAY_ROWS:
    imgrec__rows_gradient(&g);
    break;
  default:
    imgrec__patches_gradient(&g);
  }
}

static size_t weight_gradient_scratch(const struct conv *c, int pooled) {
  switch (gradient_way(c, pooled)) {
  case WAY_WINOGRAD:
    return imgrec__winograd_gradient_scratch(c);
  case WAY_WINNERS:
    return imgrec__winners_gradient_scratch(c);
  case WAY_ROWS:
    return imgrec__rows_gradient_scratch(c);
  default:
    return imgrec__patches_gradient_scratch(c);
  }
}

static size_t conv_scratch(const struct node *n, size_t batch, int training) {
  if (!training)
    return 0;
  const struct conv c = conv_of(n, batch);
  size_t size =
      imgrec__bias_scratch(batch * shape_pixels(&n->out), c.out.channels);
  for (int pooled = 0; pooled < 2; pooled++) {
    size = max_size(size, weight_gradient_scratch(&c, pooled));
    size = max_size(size, input_gradient_scratch(n, batch, pooled));
  }
  return size;
}

/* dy is first made that of the sums, still pooled where they are. */
static void conv_backward(const struct run *r) {
  const struct node *n = r->node;
  const struct shape *out = r->pool ? &r->pool->out : &n->out;
  const struct plane dy = {r->dy, r->pool ? r->won : NULL, (size_t)n->out.h,
                           (size_t)n->out.w, (size_t)n->out.c};
  size_t rows = r->batch * shape_pixels(out);
  imgrec__bias_gradient(r, n->bias ? r->dparam[1] : NULL, rows, dy.channels);
  if (r->dparam[0])
    weight_gradient(r, &dy);
  if (r->dx[0])
    input_gradient(r, &dy);
}

const struct op imgrec__op_conv2d = {.type = "conv2d",
                                     .prefix = "conv",
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .setup = conv_setup,
                                     .flags = conv_flags,
                                     .scratch = conv_scratch,
                                     .multiply_adds = conv_multiply_adds,
                                     .algorithm = conv_algorithm,
                                     .forward = conv_forward,
                                     .backward = TRAINING(conv_backward),
                                     .takes = conv_takes,
                                     .prepared = conv_prepared,
                                     .prepare = conv_prepare};
