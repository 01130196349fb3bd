/* SPDX-License-Identifier: MIT */
/* Convolutions as products with the matrix P of patches (im2col.c), a group
 * each, for what the quicker ways do not take:
 *   y = P w;   dw = P' dy, the rows cut into chunks;   by the input, with P of
 *   dy in the adjoint form and w' the weights as KH x KW x O/G x C/G: dx = P w'
 */
#include "op.h"

#include <string.h>

struct sizes {
  size_t cg, og, taps, k; /* of a group; k: of a patch */
  size_t in_rows, out_rows;
};

static struct sizes sizes_of(const struct conv *c) {
  struct sizes s;
  s.cg = c->x.channels / c->groups;
  s.og = c->out.channels / c->groups;
  s.taps = (size_t)(c->kernel[0] * c->kernel[1]);
  s.k = s.taps * s.cg;
  s.in_rows = c->batch * c->x.height * c->x.width;
  s.out_rows = c->batch * c->out.height * c->out.width;
  return s;
}

static struct patches patches_of(const struct conv *c, size_t group) {
  struct patches p = {.x = c->x.x,
                      .height = c->x.height,
                      .width = c->x.width,
                      .pixel = c->x.channels,
                      .channels = c->x.channels / c->groups,
                      .out_height = c->out.height,
                      .out_width = c->out.width};
  p.c0 = group * p.channels;
  for (int axis = 0; axis < 2; axis++) {
    p.kernel[axis] = c->kernel[axis];
    p.stride[axis] = c->stride[axis];
    p.pad[axis] = c->pad[axis];
    p.dilation[axis] = c->dilation[axis];
  }
  return p;
}

static struct matrix patch_matrix(const struct patches *p) {
  const struct matrix m = {NULL, 0, 1, imgrec__fill_patches, p};
  return m;
}

/* y = P w; bias: O numbers or NULL. */
void imgrec__patches_forward(const struct conv *c, const float *bias) {
  const struct sizes s = sizes_of(c);
  for (size_t g = 0; g < c->groups; g++) {
    const struct patches p = patches_of(c, g);
    struct gemm job = {.m = s.out_rows, .n = s.og, .k = s.k};
    job.a = patch_matrix(&p);
    job.b = matrix_of(c->w + g * s.og, c->out.channels, 1);
    job.c = c->out.y + g * s.og;
    job.ldc = c->out.channels;
    job.bias = bias ? bias + g * s.og : NULL;
    imgrec__gemm(c->context, &job);
  }
}

/* ---- By the input -------------------------------------------------------- */

struct turn {
  const struct sizes *sizes;
  size_t filters;
  const float *w;
  float *out; /* group x tap x O/G x C/G */
};

static void turn_range(const void *arg, size_t begin, size_t end) {
  const struct turn *t = arg;
  const struct sizes *s = t->sizes;
  for (size_t i = begin; i < end; i++) {
    size_t g = i / s->taps, tap = i % s->taps;
    const float *w = t->w + tap * s->cg * t->filters + g * s->og;
    float *out = t->out + i * s->og * s->cg;
    for (size_t o = 0; o < s->og; o++)
      for (size_t c = 0; c < s->cg; c++)
        out[o * s->cg + c] = w[c * t->filters + o];
  }
}

/* dx (as c->x lies) from dy (as c->out lies); scratch: the weights' size. */
void imgrec__patches_input_gradient(const struct conv *c, const float *dy,
                                    float *dx, float *scratch) {
  const struct sizes s = sizes_of(c);
  const struct turn t = {&s, c->out.channels, c->w, scratch};
  imgrec__parallel_range(c->context, c->groups * s.taps, 1, turn_range, &t);
  for (size_t g = 0; g < c->groups; g++) {
    struct patches p = patches_of(c, g);
    p.x = dy;
    p.height = c->out.height;
    p.width = c->out.width;
    p.pixel = c->out.channels;
    p.channels = s.og;
    p.c0 = g * s.og;
    p.out_height = c->x.height;
    p.out_width = c->x.width;
    p.adjoint = 1;
    struct gemm job = {.m = s.in_rows, .n = s.cg, .k = s.taps * s.og};
    job.a = patch_matrix(&p);
    job.b = matrix_of(scratch + g * s.taps * s.og * s.cg, s.cg, 1);
    job.c = dx + g * s.cg;
    job.ldc = c->x.channels;
    imgrec__gemm(c->context, &job);
  }
}

/* ---- By the weights ------------------------------------------------------ */

/* The rows of P are cut into chunks, each summed from zero and then added. */
enum { CHUNK_ROWS = 1024 };

static void chunk_gradient(const struct conv_gradient *g, const struct sizes *s,
                           size_t row, float *out, int accumulate) {
  const struct conv *c = g->conv;
  for (size_t group = 0; group < c->groups; group++) {
    struct patches p = patches_of(c, group);
    size_t filters = c->out.channels;
    struct gemm job = {
        .m = s->k, .n = s->og, .k = min_size(CHUNK_ROWS, s->out_rows - row)};
    p.first_row = row;
    job.a = patch_matrix(&p);
    job.a_transposed = 1;
    job.b = matrix_of(g->dy->x + row * filters + group * s->og, filters, 1);
    job.c = out + group * s->og;
    job.ldc = filters;
    job.accumulate = accumulate;
    imgrec__gemm(c->context, &job);
  }
}

size_t imgrec__patches_gradient_scratch(const struct conv *c) {
  return sizes_of(c).k * c->out.channels;
}

struct sum {
  const struct kernels *kernels;
  float *dw;
  const float *part;
};

static void sum_range(const void *arg, size_t begin, size_t end) {
  const struct sum *s = arg;
  s->kernels->add(s->dw + begin, s->dw + begin, s->part + begin, end - begin);
}

void imgrec__patches_gradient(const struct conv_gradient *g) {
  const struct conv *c = g->conv;
  const struct sizes s = sizes_of(c);
  const struct sum sum = {c->context->kernels, g->dw, g->scratch};
  for (size_t row = 0; row < s.out_rows; row += CHUNK_ROWS) {
    int first = row == 0 && !g->accumulate;
    chunk_gradient(g, &s, row, first ? g->dw : g->scratch, 0);
    if (!first)
      imgrec__parallel_range(c->context, s.k * c->out.channels, 16384,
                             sum_range, &sum);
  }
}
