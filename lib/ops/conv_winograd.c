/* SPDX-License-Identifier: MIT */
/* Convolutions of 3 x 3 with a stride of 1 by Winograd's F(4 x 4, 3 x 3): the
 * transforms are kernels (kernels/winograd_tmpl.c), between them stand 36
 * products of matrices over a block of T tiles of 4 x 4 outputs:
 *   forward: M[p] (T x O) = V[p] (T x C) U[p] (C x O), p = 0 .. 35
 *   by the weights: dU[p] (C x O) += V[p]' (C x T) dM[p] (T x O)
 * A block's V and M stay in its worker's second-level cache: tile by tile, and
 * in each its 36 points. */
#include "op.h"

#include <string.h>

enum { TILE = 4, POINTS = 36, BLOCK_O = 64, MOST_TILES = 36 };

#define WORKSPACE_FLOATS (IMGREC__WORKSPACE / sizeof(float))

/* Where the numbers of a block of tiles lie: `point` floats from point to
 * point, `tile` from tile to tile, both an odd number of cache lines, so that
 * they do not all fall into the same few sets of a cache. */
struct block_layout {
  size_t point, tile;
};

static size_t spread(size_t floats) {
  enum { LINE = IMGREC__ALIGN / sizeof(float) };
  return (ceil_div(floats, LINE) | 1) * LINE;
}

static struct block_layout layout_of(size_t channels) {
  struct block_layout l;
  l.point = spread(channels);
  l.tile = spread(POINTS * l.point);
  return l;
}

/* Tiles of the whole batch, image by image, row by row. */
struct tiling {
  size_t across, per_image, total;
};

static struct tiling tiling_of(const struct conv *c) {
  struct tiling t;
  t.across = ceil_div(c->out.width, TILE);
  t.per_image = t.across * ceil_div(c->out.height, TILE);
  t.total = t.per_image * c->batch;
  return t;
}

int imgrec__winograd_fits(const struct conv *c) {
  size_t direct = c->out.height * c->out.width * 9;
  size_t products =
      ceil_div(c->out.height, TILE) * ceil_div(c->out.width, TILE) * POINTS;
  for (int axis = 0; axis < 2; axis++)
    if (c->kernel[axis] != 3 || c->stride[axis] != 1 || c->dilation[axis] != 1)
      return 0;
  return c->groups == 1 && c->x.channels >= 16 && c->x.channels <= 512 &&
         c->out.channels >= 16 && 9 * products <= 5 * direct;
}

/* ---- Weights: U[p][panel][c][nr] ----------------------------------------- */

/* Floats from U[p] to U[p + 1]. */
static size_t weight_point(const struct conv *c, size_t panels) {
  return spread(panels * c->x.channels * (size_t)c->context->kernels->nr);
}

static size_t panel_count(const struct conv *c) {
  return ceil_div(c->out.channels, (size_t)c->context->kernels->nr);
}

size_t imgrec__winograd_prepared(const struct conv *c) {
  return POINTS *
         spread(c->x.channels * round_up(c->out.channels, PANEL_COLUMNS));
}

struct weights {
  const struct conv *conv;
  const float *w;
  float *out;
};

static void prepare_channels(const void *arg, size_t begin, size_t end) {
  const struct weights *s = arg;
  const struct kernels *k = s->conv->context->kernels;
  size_t channels = s->conv->x.channels, filters = s->conv->out.channels;
  size_t nr = (size_t)k->nr, panels = panel_count(s->conv);
  for (size_t c = begin; c < end; c++)
    for (size_t j = 0; j < panels; j++)
      k->winograd_weight(s->out + (j * channels + c) * nr,
                         weight_point(s->conv, panels),
                         s->w + c * filters + j * nr, channels * filters,
                         min_size(nr, filters - j * nr));
}

/* w: 9 x C x O */
void imgrec__winograd_prepare(const struct conv *c, const float *w,
                              float *out) {
  const struct weights s = {c, w, out};
  size_t piece = ceil_div(2048, c->out.channels);
  imgrec__parallel_range(c->context, c->x.channels, piece, prepare_channels,
                         &s);
}

/* ---- Forward ------------------------------------------------------------- */

struct forward {
  const struct conv *conv;
  const struct kernels *kernels;
  struct tiling tiling;
  struct block_layout v, m;
  size_t u_point;
  size_t block, columns; /* tiles, and outputs, at a time */
};

static struct output image_output(const struct output *first, size_t image) {
  struct output out = *first;
  size_t height = out.height, width = out.width;
  if (out.pool) {
    height /= 2;
    width /= 2;
  }
  out.y += image * height * width * out.channels;
  if (out.won != NULL)
    out.won += image * height * width * out.channels;
  return out;
}

/* Tile t of the batch: its image, and its first output. */
struct spot {
  size_t image, y, x;
};

static struct spot spot_of(const struct tiling *t, size_t tile) {
  size_t in_image = tile % t->per_image;
  const struct spot s = {tile / t->per_image, in_image / t->across * TILE,
                         in_image % t->across * TILE};
  return s;
}

/* V of tiles [first, first + count). */
static void transform_images(const struct conv *c, const struct tiling *t,
                             const struct block_layout *l, size_t first,
                             size_t count, float *v) {
  for (size_t i = 0; i < count; i++) {
    const struct spot s = spot_of(t, first + i);
    const struct plane x = imgrec__plane_of(&c->x, s.image);
    c->context->kernels->winograd_image(v + i * l->tile, l->point, &x,
                                        (ptrdiff_t)s.y - c->pad[0],
                                        (ptrdiff_t)s.x - c->pad[1]);
  }
}

/* M of outputs [o, o + columns). */
static void multiply(const struct forward *f, const float *v, size_t count,
                     size_t o, size_t columns, float *m) {
  size_t channels = f->conv->x.channels, nr = (size_t)f->kernels->nr;
  for (size_t p = 0; p < POINTS; p++)
    for (size_t j = 0; j < columns; j += nr) {
      const struct left a = {v + p * f->v.point, f->v.tile, 1,
                             channels,           {1, 1},    {0, 0}};
      const float *u =
          f->conv->w + p * f->u_point + (o + j) / nr * channels * nr;
      f->kernels->gemm_tile(&a, u, nr, m + p * f->m.point + j, f->m.tile, count,
                            min_size(nr, columns - j), 0);
    }
}

static void forward_task(void *arg, int i, int worker) {
  const struct forward *f = arg;
  const struct conv *c = f->conv;
  size_t first = (size_t)i * f->block;
  size_t count = min_size(f->block, f->tiling.total - first);
  float *v = imgrec__workspace(c->context, worker);
  float *m = v + count * f->v.tile;
  transform_images(c, &f->tiling, &f->v, first, count, v);
  for (size_t o = 0; o < c->out.channels; o += f->columns) {
    size_t columns = min_size(f->columns, c->out.channels - o);
    multiply(f, v, count, o, columns, m);
    for (size_t t = 0; t < count; t++) {
      const struct spot s = spot_of(&f->tiling, first + t);
      const struct output out = image_output(&c->out, s.image);
      f->kernels->winograd_output(&out, m + t * f->m.tile, f->m.point, s.y, s.x,
                                  o, columns);
    }
  }
}

void imgrec__winograd_forward(const struct conv *c) {
  struct forward f = {.conv = c, .kernels = c->context->kernels};
  size_t threads = (size_t)c->context->threads;
  f.tiling = tiling_of(c);
  f.columns = min_size(c->out.channels, BLOCK_O);
  f.u_point = weight_point(c, panel_count(c));
  f.v = layout_of(c->x.channels);
  f.m = layout_of(f.columns);
  f.block = WORKSPACE_FLOATS / (f.v.tile + f.m.tile);
  f.block = min_size(f.block, MOST_TILES);
  while (f.block > 6 && f.tiling.total < 3 * threads * f.block)
    f.block /= 2;
  imgrec__parallel_for(c->context->pool, ceil_div(f.tiling.total, f.block),
                       forward_task, &f);
}

/* ---- By the weights ------------------------------------------------------ */

/* The tiles are cut into slabs, each with a dU of its own; these are added in
 * a tree.  How many follows from the shape and the batch alone. */
enum { SLAB_TILES = 64, MOST_SLABS = 16 };
#define SLABS_FLOATS ((size_t)16 << 20)

struct slabs {
  const struct conv_gradient *gradient;
  const struct kernels *kernels;
  struct tiling tiling;
  struct block_layout v, m;
  size_t count, floats; /* slabs, and what one has */
  size_t u_point;       /* floats from dU[p] to dU[p + 1] */
  size_t block;
};

int imgrec__winograd_gradient_fits(const struct conv *c) {
  return imgrec__winograd_fits(c) &&
         POINTS * c->x.channels * c->out.channels <= SLABS_FLOATS &&
         c->x.channels + c->out.channels <= 768;
}

static struct slabs slabs_of(const struct conv *c) {
  struct slabs s = {.tiling = tiling_of(c)};
  s.u_point = spread(c->x.channels * c->out.channels);
  s.floats = POINTS * s.u_point;
  s.count = min_size(s.tiling.total / SLAB_TILES, MOST_SLABS);
  s.count = max_size(min_size(s.count, SLABS_FLOATS / s.floats), 1);
  s.v = layout_of(c->x.channels);
  s.m = layout_of(c->out.channels);
  s.block = min_size(WORKSPACE_FLOATS / (s.v.tile + s.m.tile), MOST_TILES);
  return s;
}

size_t imgrec__winograd_gradient_scratch(const struct conv *c) {
  const struct slabs s = slabs_of(c);
  return s.count * s.floats;
}

static void transform_gradients(const struct slabs *s, size_t first,
                                size_t count, float *m) {
  for (size_t i = 0; i < count; i++) {
    const struct spot at = spot_of(&s->tiling, first + i);
    const struct plane dy = imgrec__plane_of(s->gradient->dy, at.image);
    s->kernels->winograd_gradient(m + i * s->m.tile, s->m.point, &dy,
                                  (ptrdiff_t)at.y, (ptrdiff_t)at.x);
  }
}

/* dU += V' dM of one block. */
static void add_products(const struct slabs *s, const float *v, const float *m,
                         size_t count, float *du, int accumulate) {
  size_t c = s->gradient->conv->x.channels, o = s->gradient->dy->channels;
  size_t nr = (size_t)s->kernels->nr;
  for (size_t p = 0; p < POINTS; p++) {
    const struct left a = {
        v + p * s->v.point, 1, s->v.tile, count, {1, 1}, {0, 0}};
    for (size_t j = 0; j < o; j += nr)
      s->kernels->gemm_tile(&a, m + p * s->m.point + j, s->m.tile,
                            du + p * s->u_point + j, o, c, min_size(nr, o - j),
                            accumulate);
  }
}

static void slab_task(void *arg, int i, int worker) {
  const struct slabs *s = arg;
  const struct conv *c = s->gradient->conv;
  size_t first = (size_t)i * s->tiling.total / s->count;
  size_t end = ((size_t)i + 1) * s->tiling.total / s->count;
  float *du = s->gradient->scratch + (size_t)i * s->floats;
  float *v = imgrec__workspace(c->context, worker);
  float *m = v + s->block * s->v.tile;
  for (size_t at = first; at < end; at += s->block) {
    size_t count = min_size(s->block, end - at);
    transform_images(c, &s->tiling, &s->v, at, count, v);
    transform_gradients(s, at, count, m);
    add_products(s, v, m, count, du, at > first);
  }
}

/* Channel c of dw: the slabs' sum, transformed back. */
static void add_slabs(const struct slabs *s, size_t c) {
  const struct conv *conv = s->gradient->conv;
  size_t channels = conv->x.channels, filters = conv->out.channels;
  float *row = s->gradient->scratch + c * filters;
  for (size_t step = 1; step < s->count; step *= 2)
    for (size_t i = 0; i + step < s->count; i += 2 * step)
      for (size_t p = 0; p < POINTS; p++) {
        float *sum = row + i * s->floats + p * s->u_point;
        s->kernels->add(sum, sum, sum + step * s->floats, filters);
      }
  s->kernels->winograd_weight_gradient(s->gradient->dw + c * filters,
                                       channels * filters, row, s->u_point,
                                       filters, s->gradient->accumulate);
}

static void add_slabs_range(const void *arg, size_t begin, size_t end) {
  for (size_t c = begin; c < end; c++)
    add_slabs(arg, c);
}

void imgrec__winograd_gradient(const struct conv_gradient *g) {
  struct slabs s = slabs_of(g->conv);
  s.gradient = g;
  s.kernels = g->conv->context->kernels;
  imgrec__parallel_for(g->conv->context->pool, s.count, slab_task, &s);
  size_t piece = ceil_div(512, g->conv->out.channels * s.count);
  imgrec__parallel_range(g->conv->context, g->conv->x.channels, piece,
                         add_slabs_range, &s);
}
