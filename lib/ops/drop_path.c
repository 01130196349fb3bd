/* SPDX-License-Identifier: MIT */
/* Stochastic depth (Huang et al. 2016): while training, the branch of a
 * residual block is left out for some images, each as a whole.
 *
 * x, y: N x H x W x C
 *   y[n] = keep[n] ? x[n] / (1 - rate) : 0;  dx likewise from dy
 * keep[n] is decided by number (step << 32) + n of the layer's stream. */
#include "op.h"

#include <string.h>

static int drop_setup(struct node *n, struct error *e) {
  (void)e;
  n->out = n->in[0];
  return IMGREC_OK;
}

static unsigned drop_flags(const struct node *n) {
  (void)n;
  return OP_IN_PLACE;
}

struct drop {
  const struct run *run;
  const float *x;
  float *y;
};

static void drop_images(const void *arg, size_t begin, size_t end) {
  const struct drop *d = arg;
  const struct run *r = d->run;
  float rate = r->node->rate, factor = 1 / (1 - rate);
  size_t image = shape_count(&r->node->out);
  uint64_t stream = IMGREC__STREAM_DROPOUT + (uint64_t)r->node->layer;
  for (size_t i = begin; i < end; i++) {
    float *y = d->y + i * image;
    if (imgrec__random_unit(r->seed, stream, (r->step << 32) + i) < rate)
      memset(y, 0, image * sizeof *y);
    else
      r->context->kernels->scale(y, d->x + i * image, factor, image);
  }
}

static void drop(const struct run *r, float *y, const float *x) {
  const struct drop d = {r, x, y};
  size_t image = shape_count(&r->node->out);
  if (r->training)
    imgrec__parallel_range(r->context, r->batch, 16384 / image, drop_images,
                           &d);
  else if (y != x)
    memcpy(y, x, r->batch * image * sizeof *y);
}

static void drop_forward(const struct run *r) { drop(r, r->y, r->x[0]); }

static void drop_backward(const struct run *r) {
  if (r->dx[0])
    drop(r, r->dx[0], r->dy);
}

const struct op imgrec__op_drop_path = {.type = "drop_path",
                                        .prefix = "drop_path",
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .setup = drop_setup,
                                        .flags = drop_flags,
                                        .forward = drop_forward,
                                        .backward = TRAINING(drop_backward)};
