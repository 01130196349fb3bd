/* SPDX-License-Identifier: MIT */
/* What several operators need: shapes in words, windows, parallel ranges. */
#include "op.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

const char *imgrec__shape_text(const struct shape *s, char buffer[64]) {
  if (s->flat)
    snprintf(buffer, 64, "%" PRId64, s->c);
  else
    snprintf(buffer, 64, "%" PRId64 " x %" PRId64 " x %" PRId64, s->h, s->w,
             s->c);
  return buffer;
}

int imgrec__fail_node(struct error *e, const struct node *n, const char *format,
                      ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return imgrec__fail(e, IMGREC_ERR_ARCHITECTURE, "%s '%s': %s", n->op->type,
                      n->name, text);
}

struct param *imgrec__add_param(struct node *n, const char *suffix, int ndim,
                                const int64_t *dim, enum layout layout) {
  struct param *p = &n->params[n->param_count++];
  snprintf(p->name, sizeof p->name, "%s.%s", n->name, suffix);
  p->ndim = ndim;
  p->layout = layout;
  p->trainable = 1;
  p->count = 1;
  for (int i = 0; i < ndim; i++) {
    p->dim[i] = dim[i];
    p->count *= (size_t)dim[i];
  }
  return p;
}

/* TensorFlow's rule: ceil(in / stride) outputs, the odd zero behind. */
static void pad_same(struct node *n, int axis, int64_t in, int64_t extent) {
  int64_t out = (in + n->stride[axis] - 1) / n->stride[axis];
  int64_t total = (out - 1) * n->stride[axis] + extent - in;
  if (total < 0)
    total = 0;
  n->pad[axis] = total / 2;
  n->pad[axis + 2] = total - total / 2;
}

int imgrec__window_setup(struct node *n, struct error *e) {
  const int64_t in[2] = {n->in[0].h, n->in[0].w};
  int64_t out[2];
  if (n->in[0].flat)
    return imgrec__fail_node(e, n, "needs an H x W x C input, not a flat one");
  for (int axis = 0; axis < 2; axis++) {
    int64_t extent = (n->kernel[axis] - 1) * n->dilation[axis] + 1;
    if (n->pad_same)
      pad_same(n, axis, in[axis], extent);
    int64_t room = in[axis] + n->pad[axis] + n->pad[axis + 2] - extent;
    if (room < 0)
      return imgrec__fail_node(
          e, n,
          "kernel %" PRId64 "x%" PRId64 "%s is larger than its %s%" PRId64
          "x%" PRId64 " input",
          n->kernel[0], n->kernel[1],
          n->dilation[0] * n->dilation[1] > 1 ? " (dilated)" : "",
          n->pad[0] + n->pad[1] + n->pad[2] + n->pad[3] ? "padded " : "",
          in[0] + n->pad[0] + n->pad[2], in[1] + n->pad[1] + n->pad[3]);
    if (n->pad[axis] >= extent || n->pad[axis + 2] >= extent)
      return imgrec__fail_node(
          e, n, "padding %" PRId64 " is not smaller than the kernel",
          n->pad[axis] > n->pad[axis + 2] ? n->pad[axis] : n->pad[axis + 2]);
    out[axis] = room / n->stride[axis] + 1;
  }
  n->out = (struct shape){out[0], out[1], n->in[0].c, 0};
  return IMGREC_OK;
}

struct plane imgrec__plane_of(const struct plane *first, size_t image) {
  struct plane p = *first;
  size_t height = p.height, width = p.width;
  if (p.won != NULL) {
    height /= 2;
    width /= 2;
    p.won += image * height * width * p.channels;
  }
  p.x += image * height * width * p.channels;
  return p;
}

void imgrec__copy_row(const struct kernels *k, float *dst,
                      const struct plane *p, ptrdiff_t y, ptrdiff_t x,
                      size_t n) {
  if (p->won != NULL) {
    k->fetch_row(dst, p, y, x, n);
    return;
  }
  size_t c = p->channels, before = x < 0 ? min_size((size_t)-x, n) : 0;
  size_t from = x < 0 ? 0 : (size_t)x;
  size_t inside = 0;
  if (y >= 0 && (size_t)y < p->height && from < p->width)
    inside = min_size(n - before, p->width - from);
  memset(dst, 0, before * c * sizeof *dst);
  if (inside > 0)
    memcpy(dst + before * c, p->x + ((size_t)y * p->width + from) * c,
           inside * c * sizeof *dst);
  memset(dst + (before + inside) * c, 0,
         (n - before - inside) * c * sizeof *dst);
}

struct range {
  imgrec__range_fn fn;
  const void *arg;
  size_t count, piece;
};

static void range_task(void *arg, int i, int worker) {
  const struct range *r = arg;
  size_t begin = (size_t)i * r->piece;
  (void)worker;
  r->fn(r->arg, begin, min_size(begin + r->piece, r->count));
}

void imgrec__parallel_range(struct imgrec_context *ctx, size_t count,
                            size_t piece, imgrec__range_fn fn,
                            const void *arg) {
  /* the number of tasks is an int */
  piece = max_size(max_size(piece, 1), ceil_div(count, INT_MAX));
  struct range r = {fn, arg, count, piece};
  imgrec__parallel_for(ctx->pool, ceil_div(count, r.piece), range_task, &r);
}

/* ---- Behind a ReLU ------------------------------------------------------- */

static void mask_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  const struct kernels *k = r->context->kernels;
  float *dy = r->dy + begin;
  if (r->pool)
    k->mask_lost(dy, r->won + begin, end - begin);
  else
    k->activate_grad[r->act->activation](dy, dy, NULL, r->y + begin, 0,
                                         end - begin);
}

void imgrec__mask_gradient(const struct run *r) {
  const struct shape *out = r->pool ? &r->pool->out : &r->node->out;
  if (r->act)
    imgrec__parallel_range(r->context, r->batch * shape_count(out), 16384,
                           mask_range, r);
}

/* ---- Sums of columns ---------------------------------------------------- */

enum { SUM_ROWS = 512, SUM_PIECES = 256 };

struct column_sums {
  const struct kernels *kernels;
  const float *x, *y;
  double *partial; /* pieces x (sum: c, dot: c) */
  size_t rows, c, piece;
  int with_dot;
  const struct run *mask; /* x is its dy, to be masked first; or NULL */
};

static size_t sum_piece(size_t rows) {
  return max_size(SUM_ROWS, ceil_div(rows, SUM_PIECES));
}

size_t imgrec__column_sums_scratch(size_t rows, size_t c) {
  size_t doubles = ceil_div(rows, sum_piece(rows)) * 2 * c;
  return doubles * sizeof(double) / sizeof(float);
}

static void column_sums_task(const void *arg, size_t begin, size_t end) {
  const struct column_sums *s = arg;
  for (size_t i = begin; i < end; i++) {
    double *sum = s->partial + i * 2 * s->c;
    size_t row = i * s->piece, rows = min_size(s->piece, s->rows - row);
    memset(sum, 0, 2 * s->c * sizeof *sum);
    if (s->mask)
      mask_range(s->mask, row * s->c, (row + rows) * s->c);
    s->kernels->sum_rows(sum, s->with_dot ? sum + s->c : NULL,
                         s->x + row * s->c,
                         s->with_dot ? s->y + row * s->c : NULL, rows, s->c);
  }
}

static void sum_columns(struct imgrec_context *ctx, struct column_sums *s,
                        double *sum, double *dot) {
  size_t c = s->c, pieces = ceil_div(s->rows, s->piece);
  imgrec__parallel_range(ctx, pieces, 1, column_sums_task, s);
  for (size_t j = 0; j < c; j++) {
    sum[j] = 0;
    if (dot)
      dot[j] = 0;
  }
  for (size_t i = 0; i < pieces; i++)
    for (size_t j = 0; j < c; j++) {
      sum[j] += s->partial[i * 2 * c + j];
      if (dot)
        dot[j] += s->partial[i * 2 * c + c + j];
    }
}

void imgrec__column_sums(struct imgrec_context *ctx, double *sum, double *dot,
                         const float *x, const float *y, size_t rows, size_t c,
                         float *partial) {
  struct column_sums s = {.kernels = ctx->kernels,
                          .x = x,
                          .y = y,
                          .partial = (double *)(void *)partial,
                          .rows = rows,
                          .c = c,
                          .piece = sum_piece(rows),
                          .with_dot = dot != NULL};
  sum_columns(ctx, &s, sum, dot);
}

size_t imgrec__bias_scratch(size_t rows, size_t c) {
  return 2 * c + imgrec__column_sums_scratch(rows, c);
}

void imgrec__bias_gradient(const struct run *r, float *out, size_t rows,
                           size_t c) {
  double *sum = (double *)(void *)r->scratch;
  struct column_sums s = {.kernels = r->context->kernels,
                          .x = r->dy,
                          .partial = (double *)(void *)(r->scratch + 2 * c),
                          .rows = rows,
                          .c = c,
                          .piece = sum_piece(rows),
                          .mask = r->act ? r : NULL};
  if (out == NULL) {
    imgrec__mask_gradient(r);
    return;
  }
  sum_columns(r->context, &s, sum, NULL);
  for (size_t j = 0; j < c; j++)
    out[j] = (float)sum[j] + (r->accumulate ? out[j] : 0);
}
