/* SPDX-License-Identifier: MIT */
/* Convolutions as products with the matrix P of patches (im2col.c), a group
 * each, for what the quicker ways do not take:
 *   y = P w;   dw = P' dy, the rows cut into chunks. */
#include "op.h"

struct sizes {
  size_t cg, og, taps, k; /* of a group; k: of a patch */
  size_t out_rows;
};

static struct sizes sizes_of(const struct conv *c) {
  struct sizes s;
  s.cg = c->x.channels / c->groups;
  s.og = c->out.channels / c->groups;
  s.taps = (size_t)(c->kernel[0] * c->kernel[1]);
  s.k = s.taps * s.cg;
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
