/* SPDX-License-Identifier: MIT */
/* A convolution's gradient by its input, each tap by itself: row oy of dy
 * reaches row iy = oy sy + ky dy - pad of dx,
 *   dx[iy][ox sx + kx dx - pad] (c) += dy[oy][ox] (O/G) w[ky][kx]' (O/G x C/G),
 * a product of OW rows that lie sx pixels apart in dx, added in place.  No
 * multiplication by what a stride leaves out, none by padding. */
#include "op.h"

#include <string.h>

struct scatter {
  const struct conv *conv;
  const struct kernels *kernels;
  const struct plane *dy;
  float *dx;
  const float *w; /* tap x group x panel x O/G x nr */
  size_t cg, og, panels, splits;
};

static struct scatter scatter_of(const struct conv *c) {
  struct scatter s = {.conv = c, .kernels = c->context->kernels, .splits = 1};
  s.cg = c->x.channels / c->groups;
  s.og = c->out.channels / c->groups;
  s.panels = ceil_div(s.cg, (size_t)s.kernels->nr);
  return s;
}

/* ---- Weights ------------------------------------------------------------- */

size_t imgrec__scatter_prepared(const struct conv *c) {
  size_t cg = c->x.channels / c->groups;
  return (size_t)(c->kernel[0] * c->kernel[1]) * c->out.channels *
         round_up(cg, PANEL_COLUMNS);
}

struct weights {
  const struct scatter *scatter;
  const float *w; /* taps x C/G x O */
  float *out;
};

/* Panels [begin, end) of all taps and groups. */
static void prepare_panels(const void *arg, size_t begin, size_t end) {
  const struct weights *p = arg;
  const struct scatter *s = p->scatter;
  size_t nr = (size_t)s->kernels->nr, filters = s->conv->out.channels;
  for (size_t i = begin; i < end; i++) {
    size_t j = i % s->panels * nr, group = i / s->panels % s->conv->groups;
    size_t tap = i / s->panels / s->conv->groups;
    const float *w = p->w + (tap * s->cg + j) * filters + group * s->og;
    s->kernels->pack_columns(p->out + i * s->og * nr, w, filters,
                             min_size(nr, s->cg - j), s->og);
  }
}

static void prepare(const struct scatter *s, const float *w, float *out) {
  const struct weights p = {s, w, out};
  size_t taps = (size_t)(s->conv->kernel[0] * s->conv->kernel[1]);
  imgrec__parallel_range(s->conv->context, taps * s->conv->groups * s->panels,
                         ceil_div(8192, s->og * (size_t)s->kernels->nr),
                         prepare_panels, &p);
}

/* ---- Products ------------------------------------------------------------ */

/* Outputs [start, end) along an axis of `out` whose tap at `offset` from the
 * first lies inside an axis of `in`. */
struct range {
  ptrdiff_t start, end;
};

static struct range reach(ptrdiff_t offset, ptrdiff_t stride, size_t in,
                          size_t out) {
  ptrdiff_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
  ptrdiff_t room = (ptrdiff_t)in - offset;
  ptrdiff_t end = room > 0 ? (room + stride - 1) / stride : 0;
  struct range r = {first, end < (ptrdiff_t)out ? end : (ptrdiff_t)out};
  return r;
}

/* One tap of one row, all panels of [first, last). */
static void add_tap(const struct scatter *s, const float *dy, float *line,
                    size_t tap, size_t first, size_t last) {
  const struct conv *c = s->conv;
  size_t nr = (size_t)s->kernels->nr, all = c->groups * s->panels;
  int kx = (int)tap % c->kernel[1];
  ptrdiff_t offset = (ptrdiff_t)kx * c->dilation[1] - c->pad[1];
  const struct range ox = reach(offset, c->stride[1], c->x.width, c->out.width);
  if (ox.start >= ox.end)
    return;
  float *to =
      line + (ox.start * c->stride[1] + offset) * (ptrdiff_t)c->x.channels;
  for (size_t i = first; i < last; i++) {
    size_t group = i / s->panels, j = i % s->panels * nr;
    const struct left a = {dy + (size_t)ox.start * c->out.channels +
                               group * s->og,
                           c->out.channels,
                           1,
                           s->og,
                           {1, 1},
                           {0, 0}};
    s->kernels->gemm_tile(
        &a, s->w + (tap * all + i) * s->og * nr, nr, to + group * s->cg + j,
        (size_t)c->stride[1] * c->x.channels, (size_t)(ox.end - ox.start),
        min_size(nr, s->cg - j), 1);
  }
}

/* Row oy of dy, plain. */
static const float *row_of(const struct plane *dy, size_t oy, float *buffer,
                           const struct kernels *k) {
  if (dy->won == NULL)
    return dy->x + oy * dy->width * dy->channels;
  k->fetch_row(buffer, dy, (ptrdiff_t)oy, 0, dy->width);
  return buffer;
}

static void add_row(const struct scatter *s, size_t oy, const float *dy,
                    float *dx, size_t first, size_t last) {
  const struct conv *c = s->conv;
  for (int ky = 0; ky < c->kernel[0]; ky++) {
    ptrdiff_t iy = (ptrdiff_t)oy * c->stride[0] +
                   (ptrdiff_t)ky * c->dilation[0] - c->pad[0];
    if (iy < 0 || (size_t)iy >= c->x.height)
      continue;
    for (int kx = 0; kx < c->kernel[1]; kx++)
      add_tap(s, dy, dx + (size_t)iy * c->x.width * c->x.channels,
              (size_t)(ky * c->kernel[1] + kx), first, last);
  }
}

/* Columns of dx that panels [first, last) make, set to zero. */
static void clear(const struct scatter *s, float *dx, size_t first,
                  size_t last) {
  const struct conv *c = s->conv;
  size_t pixels = c->x.height * c->x.width, nr = (size_t)s->kernels->nr;
  for (size_t i = first; i < last; i++) {
    size_t j = i % s->panels * nr;
    float *to = dx + i / s->panels * s->cg + j;
    size_t bytes = min_size(nr, s->cg - j) * sizeof *to;
    for (size_t p = 0; p < pixels; p++)
      memset(to + p * c->x.channels, 0, bytes);
  }
}

static void scatter_task(void *arg, int i, int worker) {
  const struct scatter *s = arg;
  const struct conv *c = s->conv;
  size_t image = (size_t)i / s->splits, split = (size_t)i % s->splits;
  size_t all = c->groups * s->panels;
  size_t first = split * all / s->splits, last = (split + 1) * all / s->splits;
  const struct plane dy = imgrec__plane_of(s->dy, image);
  float *dx = s->dx + image * c->x.height * c->x.width * c->x.channels;
  if (s->splits == 1)
    memset(dx, 0, c->x.height * c->x.width * c->x.channels * sizeof *dx);
  else
    clear(s, dx, first, last);
  for (size_t oy = 0; oy < c->out.height; oy++)
    add_row(s, oy,
            row_of(&dy, oy, imgrec__workspace(c->context, worker), s->kernels),
            dx, first, last);
}

/* Images are shared out, and where they are few, panels. */
void imgrec__scatter_gradient(const struct conv *c, const struct plane *dy,
                              const float *w, float *dx, float *prepared) {
  struct scatter s = scatter_of(c);
  size_t workers = (size_t)c->context->threads;
  s.dy = dy;
  s.dx = dx;
  s.w = prepared;
  prepare(&s, w, prepared);
  if (c->batch < 2 * workers)
    s.splits = min_size(ceil_div(2 * workers, c->batch), c->groups * s.panels);
  imgrec__parallel_for(c->context->pool, c->batch * s.splits, scatter_task, &s);
}

/* A pooled row of dy is copied out whole. */
int imgrec__scatter_fits(const struct conv *c) {
  return c->out.width * c->out.channels * sizeof(float) <= IMGREC__WORKSPACE;
}
