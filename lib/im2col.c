/* SPDX-License-Identifier: MIT */
/* The patches of a convolution, as rows of a matrix that is never whole. */
#include "tensor.h"

#include <string.h>

struct range {
  size_t start, end;
};

/* A row of the patch matrix is a series of runs: pieces that are contiguous in
 * x but for what hangs over its edge.  A run is all of a kernel's row where
 * neighbouring taps are neighbours in x, and a single tap elsewhere. */
struct runs {
  const struct patches *p;
  int whole;     /* a run is all of a kernel's row */
  size_t length; /* floats */
  size_t taps;   /* runs in a kernel's row */
  size_t first;  /* the run and the place in it at which the columns start */
  size_t offset;
  ptrdiff_t step[2];     /* floats of x from run to run below, and beside */
  struct range inner[2]; /* outputs whose taps are all inside x */
};

/* The output pixel that a row belongs to. */
struct spot {
  size_t image, y, x;
};

/* Outputs along an axis of x whose taps are all inside it. */
static struct range inner_range(const struct patches *p, int axis,
                                size_t size) {
  ptrdiff_t reach = (ptrdiff_t)(p->kernel[axis] - 1) * p->dilation[axis];
  ptrdiff_t stride = p->stride[axis], first = p->pad[axis];
  ptrdiff_t last = (ptrdiff_t)size - 1 - reach + first;
  if (last < 0)
    return (struct range){0, 0};
  first = first < 0 ? 0 : first;
  return (struct range){(size_t)((first + stride - 1) / stride),
                        (size_t)(last / stride + 1)};
}

static struct runs runs_from(const struct patches *p, size_t col) {
  struct runs r = {.p = p};
  r.whole = p->dilation[1] == 1 && p->channels == p->pixel;
  r.taps = r.whole ? 1 : (size_t)p->kernel[1];
  r.length = p->channels * (size_t)p->kernel[1] / r.taps;
  r.step[0] = (ptrdiff_t)(p->width * p->pixel) * p->dilation[0];
  r.step[1] = (ptrdiff_t)p->pixel * p->dilation[1];
  r.inner[0] = inner_range(p, 0, p->height);
  r.inner[1] = inner_range(p, 1, p->width);
  r.first = col / r.length;
  r.offset = col % r.length;
  return r;
}

static struct spot spot_of(const struct patches *p, size_t row) {
  struct spot s;
  s.x = row % p->out_width;
  row /= p->out_width;
  s.y = row % p->out_height;
  s.image = row / p->out_height;
  return s;
}

static void next_spot(const struct patches *p, struct spot *s) {
  if (++s->x < p->out_width)
    return;
  s->x = 0;
  if (++s->y < p->out_height)
    return;
  s->y = 0;
  s->image++;
}

/* Where tap k of output o reads along an axis: below zero or beyond the size
 * is outside. */
static ptrdiff_t source_of(const struct patches *p, int axis, size_t o, int k) {
  return (ptrdiff_t)o * p->stride[axis] + (ptrdiff_t)k * p->dilation[axis] -
         p->pad[axis];
}

/* Calls of memcpy cost more than what most runs hold. */
static inline void copy_floats(float *dst, const float *src, size_t n) {
  if (n > 32) {
    memcpy(dst, src, n * sizeof *dst);
    return;
  }
  if (n < 4) {
    for (size_t i = 0; i < n; i++)
      dst[i] = src[i];
    return;
  }
  for (size_t i = 0; i + 4 < n; i += 4)
    memcpy(dst + i, src + i, 4 * sizeof *dst);
  memcpy(dst + n - 4, src + n - 4, 4 * sizeof *dst);
}

static void clear_floats(float *dst, size_t n) {
  for (size_t i = 0; i < n; i++)
    dst[i] = 0.0f;
}

/* Floats [from, from + n) of a line of x of `size` floats, with zeros where
 * there are none. */
static void copy_clipped(float *dst, const float *line, ptrdiff_t from,
                         size_t n, size_t size) {
  size_t before = from < 0 ? min_size((size_t)-from, n) : 0;
  size_t start = from < 0 ? 0 : min_size((size_t)from, size);
  size_t inside = min_size(n - before, size - start);
  clear_floats(dst, before);
  copy_floats(dst + before, line + start, inside);
  clear_floats(dst + before + inside, n - before - inside);
}

/* n floats of run number `run`, from `offset` in it on. */
static void fill_run(const struct runs *r, const struct spot *s, size_t run,
                     size_t offset, size_t n, float *dst) {
  const struct patches *p = r->p;
  ptrdiff_t y = source_of(p, 0, s->y, (int)(run / r->taps));
  ptrdiff_t x = source_of(p, 1, s->x, (int)(run % r->taps));
  if (y < 0 || (size_t)y >= p->height) {
    clear_floats(dst, n);
    return;
  }
  size_t line = (s->image * p->height + (size_t)y) * p->width * p->pixel;
  if (r->whole)
    copy_clipped(dst, p->x + line, x * (ptrdiff_t)p->pixel + (ptrdiff_t)offset,
                 n, p->width * p->pixel);
  else if (x < 0 || (size_t)x >= p->width)
    clear_floats(dst, n);
  else
    copy_floats(dst, p->x + line + (size_t)x * p->pixel + p->c0 + offset, n);
}

/* The first tap of a patch that is all inside x, NULL where it is not. */
static const float *inside(const struct runs *r, const struct spot *s) {
  const struct patches *p = r->p;
  if (s->y < r->inner[0].start || s->y >= r->inner[0].end ||
      s->x < r->inner[1].start || s->x >= r->inner[1].end)
    return NULL;
  size_t y = (size_t)source_of(p, 0, s->y, 0);
  size_t x = (size_t)source_of(p, 1, s->x, 0);
  return p->x + ((s->image * p->height + y) * p->width + x) * p->pixel + p->c0;
}

/* The common case, with nothing to check. */
static void fill_inside_row(const struct runs *r, const float *origin,
                            size_t cols, float *dst) {
  size_t below = r->first / r->taps, beside = r->first % r->taps;
  size_t offset = r->offset;
  while (cols > 0) {
    size_t n = min_size(cols, r->length - offset);
    const float *src =
        origin + (ptrdiff_t)below * r->step[0] + (ptrdiff_t)beside * r->step[1];
    copy_floats(dst, src + offset, n);
    dst += n;
    cols -= n;
    offset = 0;
    if (++beside == r->taps) {
      beside = 0;
      below++;
    }
  }
}

static void fill_edge_row(const struct runs *r, const struct spot *s,
                          size_t cols, float *dst) {
  size_t run = r->first, offset = r->offset;
  while (cols > 0) {
    size_t n = min_size(cols, r->length - offset);
    fill_run(r, s, run, offset, n, dst);
    dst += n;
    cols -= n;
    run++;
    offset = 0;
  }
}

void imgrec__fill_patches(const void *source, size_t row, size_t rows,
                          size_t col, size_t cols, float *dst, size_t stride) {
  const struct patches *p = source;
  struct runs r = runs_from(p, col);
  struct spot s = spot_of(p, p->first_row + row);
  for (; rows > 0; rows--, dst += stride) {
    const float *origin = inside(&r, &s);
    if (origin != NULL)
      fill_inside_row(&r, origin, cols, dst);
    else
      fill_edge_row(&r, &s, cols, dst);
    next_spot(p, &s);
  }
}
