/* SPDX-License-Identifier: MIT */
/* Convolutions row by row, without a matrix of patches: the products read the
 * pixels where they lie.
 *
 * Row oy of one image, a group's channels being cg of x's C and og of the O:
 *   y (OW x og) = A (OW x K) w (K x og),  K = taps * cg,
 * where row ox of A is, for each (ky, kx), the cg numbers from
 *   x[oy sy + ky dy - pad][ox sx + kx dx - pad][g cg] on:
 * strided runs, which gemm_tile takes as its left matrix (struct left).  Where
 * padding or a max pooling's gradient is concerned, a strip of rows is first
 * copied out in full.  By the weights the same numbers are read the other way:
 *   dw[ky][kx] (cg x og) += A[ky][kx]' (cg x OW) dy (OW x og). */
#include "op.h"

#include <string.h>

#define WORKSPACE_FLOATS (IMGREC__WORKSPACE / sizeof(float))
/* Multiplications that are worth a task. */
#define TASK_WORK ((size_t)1 << 18)

/* How the convolution is cut; outputs do not depend on it. */
struct rows {
  const struct conv *conv;
  const struct kernels *kernels;
  size_t cg, og, k, panels;                /* of a group */
  size_t batch, height, width, last_width; /* of rows; see flatten_pixels */
  size_t in_width;      /* pixels of x under a row, padding included */
  size_t strip, strips; /* rows at a time, and how many times an image */
  size_t run, taps[2];  /* floats of a run, runs of a patch */
  int copy;             /* rows hang over x at the sides, or x is not plain */
  int flat;             /* all pixels of the batch are one long row */
};

static size_t extent(const struct conv *c, int axis) {
  return (size_t)((c->kernel[axis] - 1) * c->dilation[axis] + 1);
}

/* Rows of x under n rows of outputs. */
static size_t rows_under(const struct conv *c, size_t n) {
  return (n - 1) * (size_t)c->stride[0] + extent(c, 0);
}

static size_t copy_floats(const struct rows *r, size_t strip) {
  return rows_under(r->conv, strip) * r->in_width * r->conv->x.channels;
}

/* A kernel of one pixel sees no rows: all pixels of the batch are one long
 * row, cut anywhere: into pieces that stay in a cache, some for each worker
 * where there are enough pixels. */
static void flatten_pixels(struct rows *r) {
  enum { MOST_PIXELS = 96, FEWEST_PIXELS = 24, PIECES_A_WORKER = 4 };
  size_t total = r->batch * r->height * r->width;
  size_t wanted = PIECES_A_WORKER * (size_t)r->conv->context->threads;
  size_t pieces = max_size(ceil_div(total, MOST_PIXELS),
                           min_size(wanted, total / FEWEST_PIXELS));
  r->flat = 1;
  r->batch = 1;
  r->width = r->in_width = ceil_div(total, max_size(pieces, 1));
  r->height = ceil_div(total, r->width);
  r->last_width = total - (r->height - 1) * r->width;
}

static int is_pointwise(const struct conv *c) {
  return c->kernel[0] * c->kernel[1] == 1 && c->stride[0] * c->stride[1] == 1 &&
         c->pad[0] == 0 && c->pad[1] == 0 && c->x.won == NULL &&
         c->x.width == c->out.width && c->x.height == c->out.height;
}

static void choose_runs(struct rows *r) {
  const struct conv *c = r->conv;
  int whole = c->dilation[1] == 1 && c->groups == 1;
  r->run = whole ? (size_t)c->kernel[1] * r->cg : r->cg;
  r->taps[0] = (size_t)c->kernel[0];
  r->taps[1] = whole ? 1 : (size_t)c->kernel[1];
}

/* Without a context only sizes are asked for. */
static struct rows rows_of(const struct conv *c) {
  struct rows r = {.conv = c};
  r.cg = c->x.channels / c->groups;
  r.og = c->out.channels / c->groups;
  r.k = (size_t)(c->kernel[0] * c->kernel[1]) * r.cg;
  if (c->context != NULL) {
    r.kernels = c->context->kernels;
    r.panels = ceil_div(r.og, (size_t)r.kernels->nr);
  }
  r.batch = c->batch;
  r.height = c->out.pool ? c->out.height & ~(size_t)1 : c->out.height;
  r.width = r.last_width = c->out.width;
  r.in_width = (r.width - 1) * (size_t)c->stride[1] + extent(c, 1);
  r.copy = c->x.won != NULL || c->pad[1] != 0 ||
           r.in_width - (size_t)c->pad[1] > c->x.width;
  choose_runs(&r);
  r.strip = 1;
  return r;
}

/* ---- Weights: panels[group][panel][k][nr] -------------------------------- */

size_t imgrec__rows_prepared(const struct conv *c) {
  size_t og = c->out.channels / c->groups;
  return (size_t)(c->kernel[0] * c->kernel[1]) * c->x.channels *
         round_up(og, PANEL_COLUMNS);
}

struct weights {
  const struct rows *rows;
  const float *w;
  float *out;
};

static void prepare_panels(const void *arg, size_t begin, size_t end) {
  const struct weights *s = arg;
  const struct rows *r = s->rows;
  size_t nr = (size_t)r->kernels->nr, filters = r->conv->out.channels;
  for (size_t i = begin; i < end; i++) {
    size_t group = i / r->panels, j = i % r->panels * nr;
    const float *w = s->w + group * r->og + j;
    float *out = s->out + i * r->k * nr;
    for (size_t p = 0; p < r->k; p++)
      memcpy(out + p * nr, w + p * filters,
             min_size(nr, r->og - j) * sizeof *out);
  }
}

/* w: taps x C/G x O */
void imgrec__rows_prepare(const struct conv *c, const float *w, float *out) {
  const struct rows r = rows_of(c);
  const struct weights s = {&r, w, out};
  size_t piece = ceil_div(16384, r.k * (size_t)r.kernels->nr);
  imgrec__parallel_range(c->context, c->groups * r.panels, piece,
                         prepare_panels, &s);
}

/* ---- Strips of x --------------------------------------------------------- */

static const float *image_of(const struct plane *p, size_t image) {
  return p->x + image * p->height * p->width * p->channels;
}

static void copy_strip(float *dst, const struct rows *r, const struct plane *p,
                       ptrdiff_t y, size_t count) {
  for (size_t i = 0; i < count; i++, dst += r->in_width * p->channels)
    imgrec__copy_row(r->kernels, dst, p, y + (ptrdiff_t)i,
                     -(ptrdiff_t)r->conv->pad[1], r->in_width);
}

/* What lies under output rows [row, row + n) of an image: its first patch, and
 * the floats from row to row.  In `buffer` where it has to be copied. */
static const float *strip_of_x(const struct rows *r, size_t image, size_t row,
                               size_t n, float *buffer, size_t *step) {
  const struct conv *c = r->conv;
  ptrdiff_t y = (ptrdiff_t)row * c->stride[0] - c->pad[0];
  size_t count = rows_under(c, n);
  int above = y<0, below = (size_t)(y + (ptrdiff_t)count)> c->x.height;
  *step = r->in_width * c->x.channels;
  if (r->flat)
    return c->x.x + row * *step;
  if (r->copy || above || below) {
    const struct plane p = imgrec__plane_of(&c->x, image);
    copy_strip(buffer, r, &p, y, count);
    return buffer;
  }
  *step = c->x.width * c->x.channels;
  return image_of(&c->x, image) + (size_t)y * *step;
}

/* ---- Forward ------------------------------------------------------------- */

struct forward {
  struct rows rows;
  size_t strips_a_task, tasks, splits; /* splits: of the panels */
};

/* A strip's outputs of one panel: rows x width x cols, where they belong or,
 * when they are pooled, beside. */
struct panel {
  size_t image, row, rows, width;
  size_t o, cols; /* among all outputs */
  const float *w;
  float *y;
  size_t ldc, step; /* floats from pixel to pixel, row to row */
};

/* The sums of a panel, finished by e unless it is NULL. */
static void multiply_panel(const struct rows *r, const struct panel *p,
                           const struct epilogue *e, const float *x,
                           size_t step) {
  const struct conv *c = r->conv;
  size_t pixel = c->x.channels;
  struct left a = {NULL,
                   (size_t)c->stride[1] * pixel,
                   1,
                   r->run,
                   {r->taps[0], r->taps[1]},
                   {(ptrdiff_t)(step * (size_t)c->dilation[0]),
                    (ptrdiff_t)(pixel * (size_t)c->dilation[1])}};
  size_t nr = (size_t)r->kernels->nr;
  for (size_t i = 0; i < p->rows; i++) {
    float *y = p->y + i * p->step;
    a.data = x + i * (size_t)c->stride[0] * step;
    if (e)
      r->kernels->gemm_tile_finished(&a, p->w, nr, y, p->ldc, p->width, p->cols,
                                     e);
    else
      r->kernels->gemm_tile(&a, p->w, nr, y, p->ldc, p->width, p->cols, 0);
  }
}

static struct epilogue epilogue_at(const struct epilogue *e, size_t o) {
  struct epilogue at = *e;
  if (at.scale != NULL)
    at.scale += o;
  if (at.shift != NULL)
    at.shift += o;
  return at;
}

static void pool_panel(const struct rows *r, const struct panel *p,
                       const struct epilogue *e) {
  const struct output *out = &r->conv->out;
  size_t height = out->height / 2, width = out->width / 2;
  for (size_t i = 0; i + 2 <= p->rows; i += 2) {
    size_t row = p->image * height + (p->row + i) / 2;
    size_t at = row * width * out->channels + p->o;
    r->kernels->finish_pool(out->y + at, out->won ? out->won + at : NULL,
                            out->channels, p->y + i * p->step, p->step, e,
                            width, p->cols);
  }
}

static void panel_forward(const struct rows *r, const struct panel *p,
                          const float *x, size_t step) {
  const struct output *out = &r->conv->out;
  const struct epilogue e = epilogue_at(&out->epilogue, p->o);
  int plain = !e.scale && !e.shift && !e.relu && !e.relu6;
  multiply_panel(r, p, out->pool || plain ? NULL : &e, x, step);
  if (out->pool)
    pool_panel(r, p, &e);
}

/* Where a panel's outputs go. */
static void place_panel(const struct rows *r, struct panel *p, float *beside) {
  const struct output *out = &r->conv->out;
  if (out->pool) {
    p->y = beside;
    p->ldc = p->cols;
  } else {
    size_t row = p->image * r->height + p->row;
    p->y = out->y + row * r->width * out->channels + p->o;
    p->ldc = out->channels;
  }
  p->step = r->width * p->ldc;
}

static void strip_forward(const struct forward *f, size_t strip, size_t split,
                          float *buffer) {
  const struct rows *r = &f->rows;
  size_t nr = (size_t)r->kernels->nr, all = r->conv->groups * r->panels, step;
  struct panel p = {.image = strip / r->strips,
                    .row = strip % r->strips * r->strip};
  p.rows = min_size(r->strip, r->height - p.row);
  p.width = p.row + p.rows == r->height ? r->last_width : r->width;
  const float *x = strip_of_x(r, p.image, p.row, p.rows, buffer, &step);
  for (size_t i = split * all / f->splits; i < (split + 1) * all / f->splits;
       i++) {
    size_t group = i / r->panels, j = i % r->panels * nr;
    p.o = group * r->og + j;
    p.cols = min_size(nr, r->og - j);
    p.w = r->conv->w + i * r->k * nr;
    place_panel(r, &p, buffer + copy_floats(r, r->strip));
    panel_forward(r, &p, x + group * r->cg, step);
  }
}

static void forward_task(void *arg, int i, int worker) {
  const struct forward *f = arg;
  const struct rows *r = &f->rows;
  float *buffer = imgrec__workspace(r->conv->context, worker);
  size_t first = (size_t)i / f->splits * f->strips_a_task;
  size_t end = min_size(first + f->strips_a_task, r->batch * r->strips);
  for (size_t strip = first; strip < end; strip++)
    strip_forward(f, strip, (size_t)i % f->splits, buffer);
}

static size_t strip_floats(const struct rows *r, size_t strip) {
  size_t beside = r->conv->out.pool ? strip * r->width * PANEL_COLUMNS : 0;
  return copy_floats(r, strip) + beside;
}

int imgrec__rows_fits(const struct conv *c) {
  const struct rows r = rows_of(c);
  return strip_floats(&r, c->out.pool ? 2 : 1) <= WORKSPACE_FLOATS;
}

/* Strips of as many rows as are worth a task and fit, an even number where
 * pairs of them are pooled. */
static void cut_strips(struct rows *r) {
  size_t unit = r->conv->out.pool ? 2 : 1;
  size_t work = unit * r->width * r->k * r->conv->out.channels;
  size_t units = max_size(TASK_WORK / (work + 1), 1);
  units = min_size(units, max_size(r->height / unit, 1));
  while (units > 1 && strip_floats(r, units * unit) > WORKSPACE_FLOATS)
    units /= 2;
  r->strip = units * unit;
  r->strips = ceil_div(r->height, r->strip);
}

/* A row is one strip's width unless it is the last of all pixels. */
static void cut_tasks(struct forward *f) {
  struct rows *r = &f->rows;
  size_t workers = (size_t)r->conv->context->threads;
  size_t work = r->strip * r->width * r->k * r->conv->out.channels;
  size_t strips = r->batch * r->strips;
  f->strips_a_task = max_size(TASK_WORK / (work + 1), 1);
  f->tasks = ceil_div(strips, f->strips_a_task);
  f->splits = 1;
  if (f->tasks < 2 * workers)
    f->splits = min_size(ceil_div(2 * workers, max_size(f->tasks, 1)),
                         r->conv->groups * r->panels);
}

void imgrec__rows_forward(const struct conv *c) {
  struct forward f = {.rows = rows_of(c)};
  if (f.rows.height == 0 || f.rows.width == 0)
    return;
  if (is_pointwise(c) && !c->out.pool) {
    flatten_pixels(&f.rows);
    f.rows.strips = f.rows.height;
  } else {
    cut_strips(&f.rows);
  }
  cut_tasks(&f);
  imgrec__parallel_for(c->context->pool, f.tasks * f.splits, forward_task, &f);
}

/* ---- By the weights ------------------------------------------------------ */

/* Strips are collected in chunks of some CHUNK_PIXELS, each summed from zero;
 * the chunks of a slab are added in order, the slabs in a tree.  All of it
 * follows from the shape and the batch alone. */
enum { CHUNK_PIXELS = 1024, MOST_SLABS = 32 };
/* Of dy in a strip: it is read once for each row of the kernel, from the
 * nearest cache. */
enum { STRIP_FLOATS = 6144 };
#define SLABS_FLOATS ((size_t)8 << 20)

struct slabs {
  struct rows rows;
  const struct conv_gradient *gradient;
  size_t strips_a_chunk, chunks, count, floats;
};

static size_t gradient_floats(const struct rows *r, size_t strip) {
  return copy_floats(r, strip) + strip * r->width * r->conv->out.channels;
}

/* The strip is as high as a chunk and the caches allow. */
static struct slabs slabs_of(const struct conv *c) {
  struct slabs s = {.rows = rows_of(c)};
  struct rows *r = &s.rows;
  r->height = c->out.height;
  size_t high = STRIP_FLOATS / (r->width * c->out.channels);
  high = min_size(high, CHUNK_PIXELS / r->width);
  r->strip = min_size(max_size(high, 1), r->height);
  while (r->strip > 1 && gradient_floats(r, r->strip) > WORKSPACE_FLOATS)
    r->strip /= 2;
  r->strips = ceil_div(r->height, r->strip);
  s.strips_a_chunk = max_size(CHUNK_PIXELS / (r->strip * r->width), 1);
  s.chunks = ceil_div(r->batch * r->strips, s.strips_a_chunk);
  s.floats = r->k * c->out.channels;
  s.count = min_size(min_size(s.chunks, MOST_SLABS),
                     max_size(SLABS_FLOATS / (2 * s.floats), 1));
  return s;
}

int imgrec__rows_gradient_fits(const struct conv *c) {
  const struct rows r = rows_of(c);
  return gradient_floats(&r, 1) <= WORKSPACE_FLOATS;
}

size_t imgrec__rows_gradient_scratch(const struct conv *c) {
  const struct slabs s = slabs_of(c);
  return 2 * s.count * s.floats;
}

/* dy of rows [row, row + n) of an image, in `buffer` where it is not plain. */
static const float *strip_of_dy(const struct slabs *s, size_t image, size_t row,
                                size_t n, float *buffer) {
  const struct plane *dy = s->gradient->dy;
  size_t step = dy->width * dy->channels;
  if (dy->won == NULL)
    return image_of(dy, image) + row * step;
  const struct plane p = imgrec__plane_of(dy, image);
  for (size_t i = 0; i < n; i++)
    s->rows.kernels->fetch_row(buffer + i * step, &p, (ptrdiff_t)(row + i), 0,
                               dy->width);
  return buffer;
}

/* dw of one run of one group: run x og. */
static void add_run(const struct slabs *s, const struct left *a,
                    const float *dy, float *dw, int accumulate) {
  const struct rows *r = &s->rows;
  size_t nr = (size_t)r->kernels->nr, filters = r->conv->out.channels;
  for (size_t j = 0; j < r->og; j += nr)
    r->kernels->gemm_tile(a, dy + j, filters, dw + j, filters, r->run,
                          min_size(nr, r->og - j), accumulate);
}

static void add_strip(const struct slabs *s, size_t strip, float *dw,
                      float *buffer, int accumulate) {
  const struct rows *r = &s->rows;
  const struct conv *c = r->conv;
  size_t image = strip / r->strips, row = strip % r->strips * r->strip, step;
  size_t n = min_size(r->strip, r->height - row), pixel = c->x.channels;
  const float *x = strip_of_x(r, image, row, n, buffer, &step);
  const float *dy =
      strip_of_dy(s, image, row, n, buffer + copy_floats(r, r->strip));
  struct left a = {
      NULL,     1,      (size_t)c->stride[1] * pixel,
      r->width, {n, 1}, {(ptrdiff_t)((size_t)c->stride[0] * step), 0}};
  for (size_t g = 0; g < c->groups; g++)
    for (size_t i = 0; i < r->taps[0] * r->taps[1]; i++) {
      size_t ky = i / r->taps[1], kx = i % r->taps[1];
      a.data = x + ky * (size_t)c->dilation[0] * step +
               kx * (size_t)c->dilation[1] * pixel + g * r->cg;
      add_run(s, &a, dy + g * r->og,
              dw + i * r->run * c->out.channels + g * r->og, accumulate);
    }
}

/* Slab i: its sum at scratch + 2 i floats, a chunk's behind it. */
static void slab_task(void *arg, int i, int worker) {
  const struct slabs *s = arg;
  float *buffer = imgrec__workspace(s->rows.conv->context, worker);
  float *sum = s->gradient->scratch + 2 * (size_t)i * s->floats;
  float *part = sum + s->floats;
  size_t begin = (size_t)i * s->chunks / s->count;
  size_t end = ((size_t)i + 1) * s->chunks / s->count;
  for (size_t chunk = begin; chunk < end; chunk++) {
    size_t first = chunk * s->strips_a_chunk;
    size_t last =
        min_size(first + s->strips_a_chunk, s->rows.batch * s->rows.strips);
    float *to = chunk == begin ? sum : part;
    for (size_t strip = first; strip < last; strip++)
      add_strip(s, strip, to, buffer, strip > first);
    if (to == part)
      s->rows.kernels->add(sum, sum, part, s->floats);
  }
}

/* Adds the slabs' numbers [begin, end) pairwise: 0+1, 2+3, then 01+23, ... */
static void add_slabs(const void *arg, size_t begin, size_t end) {
  const struct slabs *s = arg;
  const struct kernels *k = s->rows.kernels;
  size_t stride = 2 * s->floats, n = end - begin;
  float *slab = s->gradient->scratch + begin, *dw = s->gradient->dw + begin;
  for (size_t step = 1; step < s->count; step *= 2)
    for (size_t i = 0; i + step < s->count; i += 2 * step)
      k->add(slab + i * stride, slab + i * stride, slab + (i + step) * stride,
             n);
  if (s->gradient->accumulate)
    k->add(dw, dw, slab, n);
  else
    memcpy(dw, slab, n * sizeof *slab);
}

void imgrec__rows_gradient(const struct conv_gradient *g) {
  struct slabs s = slabs_of(g->conv);
  s.gradient = g;
  imgrec__parallel_for(g->conv->context->pool, s.count, slab_task, &s);
  imgrec__parallel_range(g->conv->context, s.floats, 4096, add_slabs, &s);
}
