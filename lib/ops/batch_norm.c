/* SPDX-License-Identifier: MIT */
/* Batch normalisation (Ioffe and Szegedy 2015), per channel.
 *
 * x, y: R x C, R being all pixels of the batch; g, b: C
 *   y = g xh + b,  xh = (x - mean) / sqrt(var + epsilon)
 * Training takes mean and variance over R (in f64) and moves the running ones:
 *   running = momentum running + (1 - momentum) batch's, the variance unbiased.
 * Inference takes the running ones, and so does training of a frozen layer,
 * whose dx is g / sqrt(var + epsilon) dy.
 *   dg = sum of dy xh;  db = sum of dy;
 *   dx = g / sqrt(var + epsilon) (dy - db / R - xh dg / R)
 * A ReLU and a 2 x 2 max pooling that follow are done along. */
#include "op.h"

#include <math.h>
#include <string.h>

enum { GAMMA, BETA, MEAN, VAR };

static int bn_setup(struct node *n, struct error *e) {
  (void)e;
  n->out = n->in[0];
  const int64_t dim[1] = {n->out.c};
  imgrec__add_param(n, "weight", 1, dim, LAYOUT_VECTOR)->fill = FILL_ONE;
  imgrec__add_param(n, "bias", 1, dim, LAYOUT_VECTOR);
  struct param *mean =
      imgrec__add_param(n, "running_mean", 1, dim, LAYOUT_VECTOR);
  struct param *var =
      imgrec__add_param(n, "running_var", 1, dim, LAYOUT_VECTOR);
  var->fill = FILL_ONE;
  mean->trainable = var->trainable = 0;
  return IMGREC_OK;
}

static unsigned bn_flags(const struct node *n) {
  (void)n;
  return OP_USES_X | OP_IN_PLACE;
}

static size_t bn_rows(const struct run *r) {
  return r->batch * shape_pixels(&r->node->out);
}

/* saved: mean, 1 / sqrt(var + epsilon). */
static size_t bn_saved(const struct node *n, size_t batch) {
  (void)batch;
  return 2 * (size_t)n->out.c;
}

/* Image rows of a batch are summed in pieces, fixed by the shape, where a
 * pooling's gradient has to be spread out first. */
enum { PIECE_PIXELS = 512, MOST_PIECES = 256 };

static size_t piece_rows(const struct node *n, size_t batch) {
  size_t rows = batch * (size_t)n->out.h, width = (size_t)n->out.w;
  return max_size(ceil_div(PIECE_PIXELS, width), ceil_div(rows, MOST_PIECES));
}

static size_t plane_sums_scratch(const struct node *n, size_t batch) {
  size_t rows = batch * (size_t)n->out.h;
  size_t doubles = ceil_div(rows, piece_rows(n, batch)) * 2 * (size_t)n->out.c;
  return doubles * sizeof(double) / sizeof(float);
}

/* scratch: sum, dot (f64 each), three rows of factors, partial sums. */
static size_t bn_scratch(const struct node *n, size_t batch, int training) {
  size_t c = (size_t)n->out.c, rows = batch * shape_pixels(&n->out);
  if (!training)
    return 2 * c;
  return 7 * c + 1 +
         max_size(imgrec__column_sums_scratch(rows, c),
                  plane_sums_scratch(n, batch));
}

/* A row of the pooling's gradient is spread out in a worker's workspace. */
static unsigned bn_takes(const struct node *n, int training) {
  size_t row = (size_t)n->out.w * (size_t)n->out.c * sizeof(float);
  (void)training;
  return OP_TAKES_RELU | (row <= IMGREC__WORKSPACE ? OP_TAKES_POOL : 0);
}

struct bn_scratch {
  double *sum, *dot;
  float *a, *b, *k;
};

static struct bn_scratch scratch_of(const struct run *r) {
  size_t c = (size_t)r->node->out.c;
  double *sums = (double *)(void *)r->scratch;
  float *rest = r->scratch + 4 * c;
  const struct bn_scratch s = {sums, sums + c, rest, rest + c, rest + 2 * c};
  return s;
}

static float *partial_of(const struct run *r) {
  size_t c = (size_t)r->node->out.c;
  return r->scratch + 7 * c + c % 2; /* aligned for doubles */
}

/* Sums of x and of x y over all pixels. */
static void sum_pixels(const struct run *r, const struct bn_scratch *s,
                       const float *x, const float *y) {
  imgrec__column_sums(r->context, s->sum, s->dot, x, y, bn_rows(r),
                      (size_t)r->node->out.c, partial_of(r));
}

struct bn_rows {
  const struct run *run;
  const float *a, *b, *k;
};

/* ---- Forward ------------------------------------------------------------- */

static void affine_rows(const void *arg, size_t begin, size_t end) {
  const struct bn_rows *j = arg;
  const struct run *r = j->run;
  const struct kernels *k = r->context->kernels;
  size_t c = (size_t)r->node->out.c;
  float *y = r->y + begin * c;
  k->affine(y, r->x[0] + begin * c, j->a, j->b, end - begin, c);
  if (r->act)
    k->activate[ACT_RELU](y, y, 0, (end - begin) * c);
}

/* Rows of the pooling's outputs. */
static void pool_rows(const void *arg, size_t begin, size_t end) {
  const struct bn_rows *j = arg;
  const struct run *r = j->run;
  const struct shape *in = &r->node->out, *out = &r->pool->out;
  const struct epilogue e = {j->a, j->b, r->act != NULL, 0};
  size_t c = (size_t)in->c, row = (size_t)in->w * c;
  for (size_t i = begin; i < end; i++) {
    size_t image = i / (size_t)out->h, oy = i % (size_t)out->h;
    size_t at = i * (size_t)out->w * c;
    const float *x = r->x[0] + (image * (size_t)in->h + 2 * oy) * row;
    r->context->kernels->finish_pool(r->y + at, r->won ? r->won + at : NULL, c,
                                     x, row, &e, (size_t)out->w, c);
  }
}

static size_t bn_piece(const struct run *r) {
  return max_size(16384 / (size_t)r->node->out.c, 1);
}

/* y = x a + b, and what is done along. */
static void bn_apply(const struct run *r, const float *a, const float *b) {
  const struct bn_rows j = {r, a, b, NULL};
  size_t row = (size_t)r->node->out.w * 2;
  if (r->pool)
    imgrec__parallel_range(r->context, r->batch * (size_t)r->pool->out.h,
                           bn_piece(r) / row, pool_rows, &j);
  else
    imgrec__parallel_range(r->context, bn_rows(r), bn_piece(r), affine_rows,
                           &j);
}

void imgrec__bn_factors(const struct node *n, float *scale, float *shift) {
  for (int64_t i = 0; i < n->out.c; i++) {
    double var = (double)n->params[VAR].data[i] + (double)n->epsilon;
    double inv = 1 / sqrt(var);
    scale[i] = (float)((double)n->params[GAMMA].data[i] * inv);
    shift[i] = (float)((double)n->params[BETA].data[i] -
                       (double)n->params[MEAN].data[i] * (double)scale[i]);
  }
}

static void bn_infer(const struct run *r) {
  float *a = r->scratch, *b = a + r->node->out.c;
  imgrec__bn_factors(r->node, a, b);
  bn_apply(r, a, b);
}

static void move_running(float *running, double batch, float momentum) {
  *running = (float)((double)momentum * (double)*running +
                     (1 - (double)momentum) * batch);
}

static void bn_train(const struct run *r) {
  const struct node *n = r->node;
  size_t c = (size_t)n->out.c, rows = bn_rows(r);
  const struct bn_scratch s = scratch_of(r);
  sum_pixels(r, &s, r->x[0], r->x[0]);
  for (size_t i = 0; i < c; i++) {
    double count = (double)rows, mean = s.sum[i] / count;
    double var = s.dot[i] / count - mean * mean;
    if (var < 0)
      var = 0;
    double inv = 1 / sqrt(var + (double)n->epsilon);
    r->saved[i] = (float)mean;
    r->saved[c + i] = (float)inv;
    s.a[i] = (float)((double)n->params[GAMMA].data[i] * inv);
    s.b[i] = (float)((double)n->params[BETA].data[i] - mean * (double)s.a[i]);
    move_running(&n->params[MEAN].data[i], mean, n->momentum);
    move_running(&n->params[VAR].data[i],
                 rows > 1 ? var * (count / (count - 1)) : var, n->momentum);
  }
  bn_apply(r, s.a, s.b);
}

static void bn_forward(const struct run *r) {
  if (r->training && !r->node->frozen)
    bn_train(r);
  else
    bn_infer(r);
}

/* ---- Backward ------------------------------------------------------------ */

/* What spreads out the gradient behind a pooling. */
struct spread {
  const struct run *run;
  const struct bn_scratch *scratch;
  struct plane dy; /* of the first image */
  double *partial; /* pieces x (sum: c, dot: c) */
  size_t rows, piece;
};

static struct spread spread_of(const struct run *r,
                               const struct bn_scratch *scratch) {
  const struct shape *out = &r->node->out;
  struct spread s = {.run = r, .scratch = scratch};
  s.dy = (struct plane){r->dy, r->won, (size_t)out->h, (size_t)out->w,
                        (size_t)out->c};
  s.partial = (double *)(void *)partial_of(r);
  s.rows = r->batch * (size_t)out->h;
  s.piece = piece_rows(r->node, r->batch);
  return s;
}

/* Row `row` of the whole batch. */
static const float *spread_row(const struct spread *s, size_t row, int worker) {
  float *buffer = imgrec__workspace(s->run->context, worker);
  const struct plane dy = imgrec__plane_of(&s->dy, row / s->dy.height);
  s->run->context->kernels->fetch_row(
      buffer, &dy, (ptrdiff_t)(row % s->dy.height), 0, dy.width);
  return buffer;
}

static void sum_task(void *arg, int i, int worker) {
  const struct spread *s = arg;
  size_t c = s->dy.channels, row = (size_t)i * s->piece;
  size_t end = min_size(row + s->piece, s->rows);
  double *sum = s->partial + (size_t)i * 2 * c;
  memset(sum, 0, 2 * c * sizeof *sum);
  for (; row < end; row++)
    s->run->context->kernels->sum_rows(sum, sum + c, spread_row(s, row, worker),
                                       s->run->x[0] + row * s->dy.width * c,
                                       s->dy.width, c);
}

/* Sums of dy and of dy x, the pieces in order. */
static void sum_spread(struct spread *s) {
  size_t c = s->dy.channels, pieces = ceil_div(s->rows, s->piece);
  imgrec__parallel_for(s->run->context->pool, pieces, sum_task, s);
  memset(s->scratch->sum, 0, 2 * c * sizeof *s->scratch->sum);
  for (size_t i = 0; i < pieces; i++)
    for (size_t j = 0; j < 2 * c; j++) /* dot lies behind sum */
      s->scratch->sum[j] += s->partial[i * 2 * c + j];
}

static void affine2_task(void *arg, int i, int worker) {
  const struct spread *s = arg;
  size_t row = (size_t)i * s->piece, end = min_size(row + s->piece, s->rows);
  for (; row < end; row++) {
    size_t at = row * s->dy.width * s->dy.channels;
    s->run->context->kernels->affine2(
        s->run->dx[0] + at, spread_row(s, row, worker), s->run->x[0] + at,
        s->scratch->a, s->scratch->b, s->scratch->k, s->dy.width,
        s->dy.channels);
  }
}

static void affine2_rows(const void *arg, size_t begin, size_t end) {
  const struct bn_rows *j = arg;
  const struct run *r = j->run;
  size_t c = (size_t)r->node->out.c, at = begin * c;
  r->context->kernels->affine2(r->dx[0] + at, r->dy + at, r->x[0] + at, j->a,
                               j->b, j->k, end - begin, c);
}

/* Gradients of the parameters, and the factors for dx, from the sums. */
static void bn_factors_back(const struct run *r, const struct bn_scratch *s) {
  const struct node *n = r->node;
  size_t c = (size_t)n->out.c;
  double count = (double)bn_rows(r);
  for (size_t i = 0; i < c; i++) {
    double mean = (double)r->saved[i], inv = (double)r->saved[c + i];
    double dbeta = s->sum[i], dgamma = inv * (s->dot[i] - mean * dbeta);
    double a = (double)n->params[GAMMA].data[i] * inv;
    double b = -a * inv * dgamma / count;
    s->a[i] = (float)a;
    s->b[i] = (float)b;
    s->k[i] = (float)(-a * dbeta / count - b * mean);
    if (r->dparam[GAMMA])
      r->dparam[GAMMA][i] =
          (float)dgamma + (r->accumulate ? r->dparam[GAMMA][i] : 0);
    if (r->dparam[BETA])
      r->dparam[BETA][i] =
          (float)dbeta + (r->accumulate ? r->dparam[BETA][i] : 0);
  }
}

/* Moments that do not depend on x. */
static void bn_factors_frozen(const struct run *r, const struct bn_scratch *s) {
  imgrec__bn_factors(r->node, s->a, s->k);
  for (int64_t i = 0; i < r->node->out.c; i++)
    s->b[i] = s->k[i] = 0;
}

static void bn_backward(const struct run *r) {
  const struct bn_scratch s = scratch_of(r);
  const struct bn_rows j = {r, s.a, s.b, s.k};
  struct spread spread = spread_of(r, &s);
  imgrec__mask_gradient(r);
  if (r->node->frozen) {
    bn_factors_frozen(r, &s);
  } else {
    if (r->pool)
      sum_spread(&spread);
    else
      sum_pixels(r, &s, r->dy, r->x[0]);
    bn_factors_back(r, &s);
  }
  if (r->dx[0] && r->pool)
    imgrec__parallel_for(r->context->pool, ceil_div(spread.rows, spread.piece),
                         affine2_task, &spread);
  else if (r->dx[0])
    imgrec__parallel_range(r->context, bn_rows(r), bn_piece(r), affine2_rows,
                           &j);
}

const struct op imgrec__op_batch_norm = {.type = "batch_norm",
                                         .prefix = "bn",
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .setup = bn_setup,
                                         .flags = bn_flags,
                                         .saved = bn_saved,
                                         .scratch = bn_scratch,
                                         .forward = bn_forward,
                                         .backward = TRAINING(bn_backward),
                                         .takes = bn_takes};
