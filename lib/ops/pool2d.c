/* SPDX-License-Identifier: MIT */
/* Pooling: the greatest, least or mean value under a window, per channel.
 *
 * x: N x H x W x C, y: N x OH x OW x C
 *   max: y = max over ky, kx of x[oy * stride + ky - pad][ox ...]
 *   mean: the sum of the values inside the image, divided by their number.
 * The global forms have one window over the whole image and a flat output;
 * the global mean is summed in f64. */
#include "op.h"

#include <string.h>

static int pool_setup(struct node *n, struct error *e) {
  return imgrec__window_setup(n, e);
}

static struct window window_of(const struct node *n) {
  struct window w;
  w.height = (size_t)n->in[0].h;
  w.width = (size_t)n->in[0].w;
  w.channels = (size_t)n->in[0].c;
  w.out_height = (size_t)n->out.h;
  w.out_width = (size_t)n->out.w;
  for (int axis = 0; axis < 2; axis++) {
    w.kernel[axis] = (size_t)n->kernel[axis];
    w.stride[axis] = (size_t)n->stride[axis];
    w.pad[axis] = (size_t)n->pad[axis];
  }
  return w;
}

enum pool_kind { POOL_MAX, POOL_MIN, POOL_MEAN };

struct pool_job {
  const struct run *run;
  struct window window;
  enum pool_kind kind;
};

static enum pool_kind kind_of(const struct node *n) {
  if (n->op == &imgrec__op_min_pool2d)
    return POOL_MIN;
  return n->op == &imgrec__op_avg_pool2d ? POOL_MEAN : POOL_MAX;
}

static struct pool_job pool_job(const struct run *r) {
  const struct pool_job job = {r, window_of(r->node), kind_of(r->node)};
  return job;
}

/* Output rows of the whole batch. */
static void pool_rows(const void *arg, size_t begin, size_t end) {
  const struct pool_job *job = arg;
  const struct window *w = &job->window;
  const struct kernels *k = job->run->context->kernels;
  size_t image = w->height * w->width * w->channels;
  size_t row = w->out_width * w->channels;
  for (size_t i = begin; i < end; i++) {
    const float *x = job->run->x[0] + i / w->out_height * image;
    float *y = job->run->y + i * row;
    size_t oy = i % w->out_height;
    if (job->kind == POOL_MAX)
      k->max_pool(y, x, w, oy);
    else if (job->kind == POOL_MIN)
      k->min_pool(y, x, w, oy);
    else
      k->avg_pool(y, x, w, oy);
  }
}

static void pool_forward(const struct run *r) {
  const struct pool_job job = pool_job(r);
  size_t rows = r->batch * job.window.out_height;
  size_t row = job.window.out_width * job.window.channels;
  imgrec__parallel_range(r->context, rows, 8192 / row, pool_rows, &job);
}

/* Rows of the gradient by x that are made together: more than a few, as what
 * windows reach over their edges is compared twice. */
static size_t band_rows(const struct window *w) {
  size_t rows = 16384 / (w->width * w->channels);
  return max_size(rows, 4 * max_size(w->kernel[0], w->stride[0]));
}

/* Bands of rows of the images of the batch. */
static void pool_grad_bands(const void *arg, size_t begin, size_t end) {
  const struct pool_job *job = arg;
  const struct run *r = job->run;
  const struct window *w = &job->window;
  const struct kernels *k = r->context->kernels;
  size_t rows = band_rows(w), bands = ceil_div(w->height, rows);
  for (size_t i = begin; i < end; i++) {
    size_t in = i / bands * w->height * w->width * w->channels;
    size_t out = i / bands * w->out_height * w->out_width * w->channels;
    size_t first = i % bands * rows, last = min_size(first + rows, w->height);
    if (job->kind == POOL_MAX)
      k->max_pool_grad(r->dx[0] + in, r->dy + out, r->x[0] + in, w, first,
                       last);
    else if (job->kind == POOL_MIN)
      k->min_pool_grad(r->dx[0] + in, r->dy + out, r->x[0] + in, w, first,
                       last);
    else
      k->avg_pool_grad(r->dx[0] + in, r->dy + out, w, first, last);
  }
}

/* Output rows of the batch, whose windows do not overlap. */
static void pool_grad_rows(const void *arg, size_t begin, size_t end) {
  const struct pool_job *job = arg;
  const struct run *r = job->run;
  const struct window *w = &job->window;
  const struct kernels *k = r->context->kernels;
  for (size_t i = begin; i < end; i++) {
    size_t image = i / w->out_height, oy = i % w->out_height;
    size_t in = image * w->height * w->width * w->channels;
    size_t out = image * w->out_height * w->out_width * w->channels;
    if (job->kind == POOL_MAX)
      k->max_pool_grad_row(r->dx[0] + in, r->dy + out, r->x[0] + in, w, oy);
    else
      k->min_pool_grad_row(r->dx[0] + in, r->dy + out, r->x[0] + in, w, oy);
  }
}

static void pool_backward(const struct run *r) {
  const struct pool_job job = pool_job(r);
  const struct window *w = &job.window;
  size_t bands = ceil_div(w->height, band_rows(w));
  int apart = w->stride[0] >= w->kernel[0] && w->stride[1] >= w->kernel[1];
  if (!r->dx[0])
    return;
  if (apart && job.kind != POOL_MEAN)
    imgrec__parallel_range(r->context, r->batch * w->out_height,
                           8192 / (w->out_width * w->channels), pool_grad_rows,
                           &job);
  else
    imgrec__parallel_range(r->context, r->batch * bands, 1, pool_grad_bands,
                           &job);
}

static unsigned uses_x(const struct node *n) {
  (void)n;
  return OP_USES_X;
}

static unsigned uses_nothing(const struct node *n) {
  (void)n;
  return 0;
}

const struct op imgrec__op_max_pool2d = {.type = "max_pool2d",
                                         .prefix = "pool",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .setup = pool_setup,
                                         .flags = uses_x,
                                         .forward = pool_forward,
                                         .backward = TRAINING(pool_backward)};

const struct op imgrec__op_min_pool2d = {.type = "min_pool2d",
                                         .prefix = "pool",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .setup = pool_setup,
                                         .flags = uses_x,
                                         .forward = pool_forward,
                                         .backward = TRAINING(pool_backward)};

const struct op imgrec__op_avg_pool2d = {.type = "avg_pool2d",
                                         .prefix = "pool",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .setup = pool_setup,
                                         .flags = uses_nothing,
                                         .forward = pool_forward,
                                         .backward = TRAINING(pool_backward)};

/* ---- Over the whole image ----------------------------------------------- */

static int global_setup(struct node *n, struct error *e) {
  if (n->in[0].flat)
    return imgrec__fail_node(e, n, "needs an H x W x C input, not a flat one");
  n->kernel[0] = n->in[0].h;
  n->kernel[1] = n->in[0].w;
  int status = imgrec__window_setup(n, e);
  n->out.flat = 1;
  return status;
}

const struct op imgrec__op_global_max_pool2d = {.type = "global_max_pool2d",
                                                .prefix = "pool",
                                                .min_inputs = 1,
                                                .max_inputs = 1,
                                                .setup = global_setup,
                                                .flags = uses_x,
                                                .forward = pool_forward,
                                                .backward =
                                                    TRAINING(pool_backward)};

enum { MEAN_CHANNELS = 128 };

/* Blocks of channels of the images of the batch. */
static void mean_blocks(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct kernels *k = r->context->kernels;
  size_t c = (size_t)r->node->out.c, pixels = shape_pixels(&r->node->in[0]);
  size_t blocks = ceil_div(c, MEAN_CHANNELS);
  for (size_t i = begin; i < end; i++) {
    size_t image = i / blocks, c0 = i % blocks * MEAN_CHANNELS;
    k->mean_rows(r->y + image * c + c0, r->x[0] + image * pixels * c + c0,
                 pixels, c, min_size(c - c0, MEAN_CHANNELS));
  }
}

static void mean_forward(const struct run *r) {
  size_t c = (size_t)r->node->out.c, pixels = shape_pixels(&r->node->in[0]);
  imgrec__parallel_range(r->context, r->batch * ceil_div(c, MEAN_CHANNELS),
                         16384 / (pixels * min_size(c, MEAN_CHANNELS)),
                         mean_blocks, r);
}

static void mean_grad_images(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct kernels *k = r->context->kernels;
  size_t c = (size_t)r->node->out.c, pixels = shape_pixels(&r->node->in[0]);
  for (size_t i = begin; i < end; i++) {
    float *dx = r->dx[0] + i * pixels * c;
    k->scale(dx, r->dy + i * c, 1.0F / (float)pixels, c);
    for (size_t p = 1; p < pixels; p++)
      memcpy(dx + p * c, dx, c * sizeof *dx);
  }
}

static void mean_backward(const struct run *r) {
  if (r->dx[0])
    imgrec__parallel_range(r->context, r->batch, 1, mean_grad_images, r);
}

const struct op imgrec__op_global_avg_pool2d = {.type = "global_avg_pool2d",
                                                .prefix = "pool",
                                                .min_inputs = 1,
                                                .max_inputs = 1,
                                                .setup = global_setup,
                                                .flags = uses_nothing,
                                                .forward = mean_forward,
                                                .backward =
                                                    TRAINING(mean_backward)};
