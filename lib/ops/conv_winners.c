/* SPDX-License-Identifier: MIT */
/* Gradients of a convolution behind a 2 x 2 max pooling, of whose windows only
 * the winner counts: a quarter of the products of the definition.
 *
 * d, won: PH x PW x O.  For each window and filter, with p the winner's patch
 * of x, KH rows of KW C floats:
 *   dw[o] (KH x KW C) += d p,   dx's patch += d w[o]
 * By the weights each sum goes over the windows of a chunk, in order; by the
 * input, over filters, then over the windows of the image. */
#include "op.h"

#include <string.h>

/* Of x under a block of windows: read once for each filter, from the nearest
 * cache. */
enum { BLOCK_FLOATS = 4096 };
/* Windows are summed in chunks of some CHUNK_WINDOWS, each from zero; the
 * chunks of a slab in order, the slabs in a tree. */
enum { CHUNK_WINDOWS = 128, MOST_SLABS = 32 };
#define SLABS_FLOATS     ((size_t)8 << 20)
#define WORKSPACE_FLOATS (IMGREC__WORKSPACE / sizeof(float))

/* Pixels of x under n windows along an axis. */
static size_t under(const struct conv *c, int axis, size_t n) {
  return (2 * n - 1) * (size_t)c->stride[axis] +
         (size_t)((c->kernel[axis] - 1) * c->dilation[axis] + 1);
}

static size_t floats_under(const struct conv *c, size_t rows, size_t columns) {
  return under(c, 0, rows) * under(c, 1, columns) * c->x.channels;
}

/* The patches of dy's windows from (wy, wx) on, in rows of x `step` floats
 * long. */
static struct winners winners_of(const struct conv *c, const struct plane *dy,
                                 size_t wy, size_t wx, size_t step) {
  size_t filters = dy->channels, width = dy->width / 2;
  size_t first = (wy * width + wx) * filters, pixel = c->x.channels;
  const size_t stride[2] = {(size_t)c->stride[0] * step,
                            (size_t)c->stride[1] * pixel};
  const struct winners w = {
      .d = dy->x + first,
      .won = dy->won + first,
      .next = {width * filters, filters},
      .stride = {2 * stride[0], 2 * stride[1]},
      .tap = {(ptrdiff_t)stride[0], (ptrdiff_t)stride[1]},
      .rows = (size_t)c->kernel[0],
      .jump = (size_t)c->dilation[0] * step,
      .run = (size_t)c->kernel[1] * pixel,
  };
  return w;
}

/* ---- By the weights ------------------------------------------------------ */

int imgrec__winners_fits(const struct conv *c) {
  return c->groups == 1 && c->dilation[1] == 1 && c->out.height > 1 &&
         c->out.width > 1 && floats_under(c, 1, 1) <= WORKSPACE_FLOATS;
}

struct sums {
  const struct conv *conv;
  const struct kernels *kernels;
  const struct conv_gradient *gradient;
  size_t block[2], blocks[2];           /* windows in a block, blocks */
  size_t blocks_a_chunk, chunks, count; /* count: of slabs */
  size_t k, floats;                     /* of a filter, of all */
};

/* The widest block, and then the highest, that a cache holds. */
static void choose_block(struct sums *s) {
  const struct conv *c = s->conv;
  const size_t windows[2] = {c->out.height / 2, c->out.width / 2};
  size_t width = windows[1], height = 1;
  while (width > 1 && floats_under(c, 1, width) > BLOCK_FLOATS)
    width--;
  s->blocks[1] = ceil_div(windows[1], width);
  s->block[1] = ceil_div(windows[1], s->blocks[1]);
  while (height < windows[0] &&
         floats_under(c, height + 1, s->block[1]) <= BLOCK_FLOATS)
    height++;
  s->blocks[0] = ceil_div(windows[0], height);
  s->block[0] = ceil_div(windows[0], s->blocks[0]);
}

static struct sums sums_of(const struct conv *c) {
  struct sums s = {.conv = c};
  choose_block(&s);
  size_t blocks = c->batch * s.blocks[0] * s.blocks[1];
  s.blocks_a_chunk = max_size(CHUNK_WINDOWS / (s.block[0] * s.block[1]), 1);
  s.chunks = ceil_div(blocks, s.blocks_a_chunk);
  s.k = (size_t)(c->kernel[0] * c->kernel[1]) * c->x.channels;
  s.floats = s.k * c->out.channels;
  s.count = min_size(min_size(s.chunks, MOST_SLABS),
                     max_size(SLABS_FLOATS / (2 * s.floats), 1));
  return s;
}

size_t imgrec__winners_gradient_scratch(const struct conv *c) {
  const struct sums s = sums_of(c);
  return 2 * s.count * s.floats;
}

/* Where the patches of a block begin: in x, or in `buffer` where they hang over
 * it or x is behind a pooling itself. */
static const float *block_of_x(const struct sums *s, const struct plane *x,
                               const size_t from[2], const size_t windows[2],
                               float *buffer, size_t *step) {
  const struct conv *c = s->conv;
  ptrdiff_t at[2];
  size_t n[2] = {under(c, 0, windows[0]), under(c, 1, windows[1])};
  for (int axis = 0; axis < 2; axis++)
    at[axis] = (ptrdiff_t)(2 * from[axis]) * c->stride[axis] - c->pad[axis];
  if (x->won == NULL && at[0] >= 0 && at[1] >= 0 &&
      (size_t)at[0] + n[0] <= x->height && (size_t)at[1] + n[1] <= x->width) {
    *step = x->width * x->channels;
    return x->x + (size_t)at[0] * *step + (size_t)at[1] * x->channels;
  }
  *step = n[1] * x->channels;
  for (size_t i = 0; i < n[0]; i++)
    imgrec__copy_row(s->kernels, buffer + i * *step, x, at[0] + (ptrdiff_t)i,
                     at[1], n[1]);
  return buffer;
}

static void add_block(const struct sums *s, size_t block, float *sum,
                      float *buffer, int accumulate) {
  const struct conv *c = s->conv;
  size_t image = block / (s->blocks[0] * s->blocks[1]), step;
  const size_t from[2] = {block / s->blocks[1] % s->blocks[0] * s->block[0],
                          block % s->blocks[1] * s->block[1]};
  const size_t windows[2] = {min_size(s->block[0], c->out.height / 2 - from[0]),
                             min_size(s->block[1], c->out.width / 2 - from[1])};
  const struct plane xs = imgrec__plane_of(&c->x, image);
  const struct plane dy = imgrec__plane_of(s->gradient->dy, image);
  const float *x = block_of_x(s, &xs, from, windows, buffer, &step);
  struct winners w = winners_of(c, &dy, from[0], from[1], step);
  w.windows[0] = windows[0];
  w.windows[1] = windows[1];
  for (size_t o = 0; o < c->out.channels; o++, w.d++, w.won++)
    s->kernels->winners_sum(sum + o * s->k, x, &w, accumulate);
}

/* Slab i: its sum at scratch + 2 i floats, O x K, a chunk's behind it. */
static void slab_task(void *arg, int i, int worker) {
  const struct sums *s = arg;
  float *buffer = imgrec__workspace(s->conv->context, worker);
  float *sum = s->gradient->scratch + 2 * (size_t)i * s->floats;
  size_t begin = (size_t)i * s->chunks / s->count;
  size_t end = ((size_t)i + 1) * s->chunks / s->count;
  size_t blocks = s->conv->batch * s->blocks[0] * s->blocks[1];
  for (size_t chunk = begin; chunk < end; chunk++) {
    size_t first = chunk * s->blocks_a_chunk;
    float *to = chunk == begin ? sum : sum + s->floats;
    for (size_t b = first; b < min_size(first + s->blocks_a_chunk, blocks); b++)
      add_block(s, b, to, buffer, b > first);
    if (to != sum)
      s->kernels->add(sum, sum, to, s->floats);
  }
}

/* Filters [begin, end): adds the slabs pairwise, 0+1, 2+3, then 01+23, ..., and
 * turns the sum to K x O, by way of the room behind it where it is added. */
static void add_slabs(const void *arg, size_t begin, size_t end) {
  const struct sums *s = arg;
  const struct kernels *k = s->kernels;
  size_t n = (end - begin) * s->k, filters = s->conv->out.channels;
  float *slab = s->gradient->scratch + begin * s->k;
  for (size_t step = 1; step < s->count; step *= 2)
    for (size_t i = 0; i + step < s->count; i += 2 * step)
      k->add(slab + 2 * i * s->floats, slab + 2 * i * s->floats,
             slab + 2 * (i + step) * s->floats, n);
  float *dw = s->gradient->dw + begin;
  if (!s->gradient->accumulate) {
    k->transpose(dw, filters, slab, s->k, end - begin, s->k);
    return;
  }
  float *turned = slab + s->floats;
  k->transpose(turned, end - begin, slab, s->k, end - begin, s->k);
  for (size_t i = 0; i < s->k; i++)
    k->add(dw + i * filters, dw + i * filters, turned + i * (end - begin),
           end - begin);
}

void imgrec__winners_gradient(const struct conv_gradient *g) {
  struct sums s = sums_of(g->conv);
  s.kernels = g->conv->context->kernels;
  s.gradient = g;
  imgrec__parallel_for(g->conv->context->pool, s.count, slab_task, &s);
  imgrec__parallel_range(g->conv->context, g->conv->out.channels,
                         ceil_div(4096, s.k), add_slabs, &s);
}

/* ---- By the input -------------------------------------------------------- */

/* The windows' patches cover rows of `step` floats, more than dx has where they
 * hang over it. */
struct cover {
  size_t rows, columns, step;
};

static struct cover cover_of(const struct conv *c) {
  struct cover v = {under(c, 0, c->out.height / 2),
                    under(c, 1, c->out.width / 2), 0};
  v.step = v.columns * c->x.channels;
  return v;
}

/* Pixels are whole vectors of every instruction set that has any. */
int imgrec__winners_input_fits(const struct conv *c) {
  enum { WHOLE = 8 };
  const struct cover v = cover_of(c);
  return imgrec__winners_fits(c) && c->x.channels % WHOLE == 0 &&
         v.rows * v.step <= WORKSPACE_FLOATS;
}

size_t imgrec__winners_prepared(const struct conv *c) {
  return (size_t)(c->kernel[0] * c->kernel[1]) * c->x.channels *
         c->out.channels;
}

struct input {
  const struct conv *conv;
  const struct kernels *kernels;
  const struct plane *dy;
  const float *w;
  float *turned; /* O x K */
  float *dx;
};

static void turn_weights(const void *arg, size_t begin, size_t end) {
  const struct input *s = arg;
  const struct conv *c = s->conv;
  size_t k = imgrec__winners_prepared(c) / c->out.channels;
  s->kernels->transpose(s->turned + begin, k, s->w + begin * c->out.channels,
                        c->out.channels, end - begin, c->out.channels);
}

/* Row y of dx from the cover, zeros where that does not reach. */
static void take_row(const struct conv *c, const struct cover *v,
                     const float *cover, size_t y, float *dx) {
  const struct plane p = {cover, NULL, v->rows, v->columns, c->x.channels};
  imgrec__copy_row(NULL, dx + y * c->x.width * c->x.channels, &p,
                   (ptrdiff_t)y + c->pad[0], c->pad[1], c->x.width);
}

static void image_task(void *arg, int i, int worker) {
  const struct input *s = arg;
  const struct conv *c = s->conv;
  const struct cover v = cover_of(c);
  const struct plane dy = imgrec__plane_of(s->dy, (size_t)i);
  float *dx = s->dx + (size_t)i * c->x.height * c->x.width * c->x.channels;
  int same = c->pad[0] == 0 && c->pad[1] == 0 && v.rows == c->x.height &&
             v.columns == c->x.width;
  float *to = same ? dx : imgrec__workspace(c->context, worker);
  size_t k = imgrec__winners_prepared(c) / c->out.channels;
  memset(to, 0, v.rows * v.step * sizeof *to);
  struct winners w = winners_of(c, &dy, 0, 0, v.step);
  w.windows[0] = c->out.height / 2;
  w.windows[1] = c->out.width / 2;
  for (size_t o = 0; o < c->out.channels; o++, w.d++, w.won++)
    s->kernels->winners_add(to, s->turned + o * k, &w);
  for (size_t y = 0; !same && y < c->x.height; y++)
    take_row(c, &v, to, y, dx);
}

void imgrec__winners_input_gradient(const struct conv *c,
                                    const struct plane *dy, const float *w,
                                    float *dx, float *prepared) {
  struct input s = {c, c->context->kernels, dy, w, prepared, dx};
  size_t k = imgrec__winners_prepared(c) / c->out.channels;
  imgrec__parallel_range(c->context, k, ceil_div(8192, c->out.channels),
                         turn_weights, &s);
  imgrec__parallel_for(c->context->pool, c->batch, image_task, &s);
}
