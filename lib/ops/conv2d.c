/* SPDX-License-Identifier: MIT */
/* Convolution (as every framework: cross-correlation), also depthwise.
 *
 * x: N x H x W x C, w: KH x KW x C/G x O, b: O, y: N x OH x OW x O
 *   y[n][oy][ox][o] = b[o] + sum over ky, kx, c of w[ky][kx][c][o] *
 *     x[n][oy * stride + ky * dilation - pad][ox ...][g(o) * C/G + c]
 *
 * As products of matrices, P being the patches of x (im2col.c), a group each:
 *   y = P w;   dw = P^T dy, the rows cut into chunks;   dx = P' w', P' being
 *   the adjoint patches of dy and w' the weights as KH x KW x O/G x C/G. */
#include "op.h"

#include <inttypes.h>
#include <string.h>

struct conv {
  size_t batch, groups, taps;
  size_t c, cg, o, og; /* channels, and channels of a group */
  size_t k;            /* of a patch: taps * cg */
  size_t in_rows, out_rows;
};

static struct conv conv_of(const struct node *n, size_t batch) {
  struct conv v;
  v.batch = batch;
  v.groups = (size_t)n->groups;
  v.taps = (size_t)(n->kernel[0] * n->kernel[1]);
  v.c = (size_t)n->in[0].c;
  v.o = (size_t)n->out.c;
  v.cg = v.c / v.groups;
  v.og = v.o / v.groups;
  v.k = v.taps * v.cg;
  v.in_rows = batch * shape_pixels(&n->in[0]);
  v.out_rows = batch * shape_pixels(&n->out);
  return v;
}

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
  w->fan_in = w->count / (size_t)dim[0];
  w->fan_out = w->count / (size_t)dim[1];
  if (n->bias)
    imgrec__add_param(n, "bias", 1, dim, LAYOUT_VECTOR);
  return IMGREC_OK;
}

static int depthwise_setup(struct node *n, struct error *e) {
  n->groups = n->in[0].c;
  n->units = n->in[0].c * n->units; /* `units` filters a channel */
  return conv_setup(n, e);
}

static unsigned conv_flags(const struct node *n) {
  (void)n;
  return OP_USES_X;
}

static int64_t conv_multiply_adds(const struct node *n) {
  const struct conv v = conv_of(n, 1);
  return (int64_t)(v.out_rows * v.k * v.o);
}

static struct patches patches_of(const struct run *r, size_t group,
                                 int adjoint) {
  const struct node *n = r->node;
  const struct shape *from = adjoint ? &n->out : &n->in[0];
  const struct shape *to = adjoint ? &n->in[0] : &n->out;
  struct patches p;
  p.x = adjoint ? r->dy : r->x[0];
  p.height = (size_t)from->h;
  p.width = (size_t)from->w;
  p.pixel = (size_t)from->c;
  p.channels = (size_t)(from->c / n->groups);
  p.c0 = group * p.channels;
  p.out_height = (size_t)to->h;
  p.out_width = (size_t)to->w;
  for (int axis = 0; axis < 2; axis++) {
    p.kernel[axis] = (int)n->kernel[axis];
    p.stride[axis] = (int)n->stride[axis];
    p.pad[axis] = (int)n->pad[axis];
    p.dilation[axis] = (int)n->dilation[axis];
  }
  p.adjoint = adjoint;
  p.first_row = 0;
  return p;
}

/* A kernel of one pixel needs no patches: x itself is P. */
static int is_pointwise(const struct node *n) {
  return n->kernel[0] * n->kernel[1] == 1 && n->stride[0] * n->stride[1] == 1 &&
         n->pad[0] + n->pad[1] + n->pad[2] + n->pad[3] == 0;
}

static struct matrix patch_matrix(const struct node *n,
                                  const struct patches *p) {
  struct matrix m = {p->x + p->c0, p->pixel, 1, NULL, NULL};
  if (!is_pointwise(n)) {
    m.fill = imgrec__fill_patches;
    m.source = p;
  }
  return m;
}

static void conv_forward(const struct run *r) {
  const struct node *n = r->node;
  const struct conv v = conv_of(n, r->batch);
  for (size_t g = 0; g < v.groups; g++) {
    const struct patches p = patches_of(r, g, 0);
    struct gemm job = {.m = v.out_rows, .n = v.og, .k = v.k};
    job.a = patch_matrix(n, &p);
    job.b = matrix_of(n->params[0].data + g * v.og, v.o, 1);
    job.c = r->y + g * v.og;
    job.ldc = v.o;
    job.bias = n->bias ? n->params[1].data + g * v.og : NULL;
    imgrec__gemm(r->context, &job);
  }
}

/* ---- Gradient by the input ---------------------------------------------- */

struct flip {
  const struct conv *v;
  const float *w;
  float *out; /* group x tap x O/G x C/G */
};

static void flip_range(const void *arg, size_t begin, size_t end) {
  const struct flip *f = arg;
  const struct conv *v = f->v;
  for (size_t i = begin; i < end; i++) {
    size_t g = i / v->taps, tap = i % v->taps;
    const float *w = f->w + tap * v->cg * v->o + g * v->og;
    float *out = f->out + i * v->og * v->cg;
    for (size_t o = 0; o < v->og; o++)
      for (size_t c = 0; c < v->cg; c++)
        out[o * v->cg + c] = w[c * v->o + o];
  }
}

static void input_gradient(const struct run *r, const struct conv *v) {
  const struct flip f = {v, r->node->params[0].data, r->scratch};
  imgrec__parallel_range(r->context, v->groups * v->taps, 1, flip_range, &f);
  for (size_t g = 0; g < v->groups; g++) {
    const struct patches p = patches_of(r, g, 1);
    struct gemm job = {.m = v->in_rows, .n = v->cg, .k = v->taps * v->og};
    job.a = patch_matrix(r->node, &p);
    job.b = matrix_of(r->scratch + g * v->taps * v->og * v->cg, v->cg, 1);
    job.c = r->dx[0] + g * v->cg;
    job.ldc = v->c;
    imgrec__gemm(r->context, &job);
  }
}

/* ---- Gradient by the weights -------------------------------------------- */

/* The rows of P are cut into chunks of CHUNK_ROWS, each summed from zero; the
 * chunks of a slab are added in order, the slabs in a tree.  All of it follows
 * from the shape and the batch alone. */
enum { CHUNK_ROWS = 1024, MAX_SLABS = 32, PARALLEL_SLABS = 4 };
#define SLAB_FLOATS ((size_t)8 << 20)

struct slabs {
  const struct run *run;
  const struct conv *v;
  size_t chunks, count;
};

static size_t weight_count(const struct conv *v) { return v->k * v->o; }

static struct slabs slabs_of(const struct run *r, const struct conv *v) {
  struct slabs s = {r, v, ceil_div(v->out_rows, CHUNK_ROWS), 0};
  size_t fit = max_size(SLAB_FLOATS / (2 * weight_count(v)), 1);
  s.count = min_size(min_size(s.chunks, MAX_SLABS), fit);
  return s;
}

/* dw of one chunk; all workers together where worker < 0. */
static void chunk_gradient(const struct slabs *s, size_t chunk, float *out,
                           int worker) {
  const struct conv *v = s->v;
  const struct run *r = s->run;
  size_t row = chunk * CHUNK_ROWS;
  for (size_t g = 0; g < v->groups; g++) {
    struct patches p = patches_of(r, g, 0);
    struct gemm job = {
        .m = v->k, .n = v->og, .k = min_size(CHUNK_ROWS, v->out_rows - row)};
    job.a = matrix_of(p.x + p.c0 + row * p.pixel, 1, p.pixel);
    if (!is_pointwise(r->node)) {
      p.first_row = row;
      job.a.fill = imgrec__fill_patches;
      job.a.source = &p;
      job.a_transposed = 1;
    }
    job.b = matrix_of(r->dy + row * v->o + g * v->og, v->o, 1);
    job.c = out + g * v->og;
    job.ldc = v->o;
    if (worker < 0)
      imgrec__gemm(r->context, &job);
    else
      imgrec__gemm_serial(r->context, &job, worker);
  }
}

/* Slab i: its sum at scratch + 2 i count, a chunk at + (2 i + 1) count. */
static void slab_gradient(const struct slabs *s, size_t i, int worker) {
  const struct kernels *k = s->run->context->kernels;
  size_t count = weight_count(s->v);
  float *sum = s->run->scratch + 2 * i * count, *part = sum + count;
  size_t begin = i * s->chunks / s->count;
  size_t end = (i + 1) * s->chunks / s->count;
  chunk_gradient(s, begin, sum, worker);
  for (size_t chunk = begin + 1; chunk < end; chunk++) {
    chunk_gradient(s, chunk, part, worker);
    k->add(sum, sum, part, count);
  }
}

static void slab_task(void *arg, int i, int worker) {
  slab_gradient(arg, (size_t)i, worker);
}

struct tree {
  const struct slabs *slabs;
  float *out;
  int accumulate;
};

/* Adds the slabs' numbers [begin, end) pairwise: 0+1, 2+3, then 01+23, ... */
static void tree_range(const void *arg, size_t begin, size_t end) {
  const struct tree *t = arg;
  const struct slabs *s = t->slabs;
  const struct kernels *k = s->run->context->kernels;
  size_t stride = 2 * weight_count(s->v), n = end - begin;
  float *slab = s->run->scratch + begin;
  for (size_t step = 1; step < s->count; step *= 2)
    for (size_t i = 0; i + step < s->count; i += 2 * step)
      k->add(slab + i * stride, slab + i * stride, slab + (i + step) * stride,
             n);
  if (t->accumulate)
    k->add(t->out + begin, t->out + begin, slab, n);
  else
    memcpy(t->out + begin, slab, n * sizeof *slab);
}

static void weight_gradient(const struct run *r, const struct conv *v) {
  struct slabs s = slabs_of(r, v);
  if (s.count >= PARALLEL_SLABS) {
    imgrec__parallel_for(r->context->pool, s.count, slab_task, &s);
  } else {
    for (size_t i = 0; i < s.count; i++)
      slab_gradient(&s, i, -1);
  }
  const struct tree t = {&s, r->dparam[0], r->accumulate};
  imgrec__parallel_range(r->context, weight_count(v), 4096, tree_range, &t);
}

static size_t conv_scratch(const struct node *n, size_t batch, int training) {
  if (!training)
    return 0;
  const struct conv v = conv_of(n, batch);
  const struct slabs s = slabs_of(NULL, &v);
  size_t bias = imgrec__bias_scratch(v.out_rows, v.o);
  return max_size(2 * s.count * weight_count(&v), bias);
}

static void conv_backward(const struct run *r) {
  const struct conv v = conv_of(r->node, r->batch);
  if (r->dparam[0])
    weight_gradient(r, &v);
  if (r->node->bias && r->dparam[1])
    imgrec__bias_gradient(r, r->dparam[1], v.out_rows, v.o);
  if (r->dx[0])
    input_gradient(r, &v);
}

const struct op imgrec__op_conv2d = {.type = "conv2d",
                                     .prefix = "conv",
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .setup = conv_setup,
                                     .flags = conv_flags,
                                     .scratch = conv_scratch,
                                     .multiply_adds = conv_multiply_adds,
                                     .forward = conv_forward,
                                     .backward = conv_backward};

const struct op imgrec__op_depthwise_conv2d = {.type = "depthwise_conv2d",
                                               .prefix = "conv",
                                               .min_inputs = 1,
                                               .max_inputs = 1,
                                               .setup = depthwise_setup,
                                               .flags = conv_flags,
                                               .scratch = conv_scratch,
                                               .multiply_adds =
                                                   conv_multiply_adds,
                                               .forward = conv_forward,
                                               .backward = conv_backward};
