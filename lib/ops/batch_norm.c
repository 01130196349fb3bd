/* SPDX-License-Identifier: MIT */
/* Batch normalisation (Ioffe and Szegedy 2015), per channel.
 *
 * x, y: R x C, R being all pixels of the batch; g, b: C
 *   y = g xh + b,  xh = (x - mean) / sqrt(var + epsilon)
 * Training takes mean and variance over R (in f64) and moves the running ones:
 *   running = momentum running + (1 - momentum) batch's, the variance unbiased.
 * Inference takes the running ones.
 *   dg = sum of dy xh;  db = sum of dy;
 *   dx = g / sqrt(var + epsilon) (dy - db / R - xh dg / R) */
#include "op.h"

#include <math.h>

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

/* scratch: sum, dot (f64 each), three rows of factors, partial sums. */
static size_t bn_scratch(const struct node *n, size_t batch, int training) {
  size_t c = (size_t)n->out.c, rows = batch * shape_pixels(&n->out);
  return training ? 7 * c + 1 + imgrec__column_sums_scratch(rows, c) : 2 * c;
}

struct bn_scratch {
  double *sum, *dot;
  float *a, *b, *k;
};

static struct bn_scratch bn_sums(const struct run *r, const float *x,
                                 const float *y) {
  size_t c = (size_t)r->node->out.c;
  double *sums = (double *)(void *)r->scratch;
  float *rest = r->scratch + 4 * c;
  size_t partial = 7 * c + c % 2; /* aligned for doubles */
  struct bn_scratch s = {sums, sums + c, rest, rest + c, rest + 2 * c};
  imgrec__column_sums(r->context, s.sum, s.dot, x, y, bn_rows(r), c,
                      r->scratch + partial);
  return s;
}

struct bn_rows {
  const struct run *run;
  const float *a, *b, *k;
};

static void affine_rows(const void *arg, size_t begin, size_t end) {
  const struct bn_rows *j = arg;
  const struct run *r = j->run;
  size_t c = (size_t)r->node->out.c;
  r->context->kernels->affine(r->y + begin * c, r->x[0] + begin * c, j->a, j->b,
                              end - begin, c);
}

static size_t bn_piece(const struct run *r) {
  return max_size(16384 / (size_t)r->node->out.c, 1);
}

/* y = x a + b */
static void bn_apply(const struct run *r, const float *a, const float *b) {
  const struct bn_rows j = {r, a, b, NULL};
  imgrec__parallel_range(r->context, bn_rows(r), bn_piece(r), affine_rows, &j);
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
  struct bn_scratch s = bn_sums(r, r->x[0], r->x[0]);
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
  if (r->training)
    bn_train(r);
  else
    bn_infer(r);
}

static void affine2_rows(const void *arg, size_t begin, size_t end) {
  const struct bn_rows *j = arg;
  const struct run *r = j->run;
  size_t c = (size_t)r->node->out.c, at = begin * c;
  r->context->kernels->affine2(r->dx[0] + at, r->dy + at, r->x[0] + at, j->a,
                               j->b, j->k, end - begin, c);
}

static void bn_backward(const struct run *r) {
  const struct node *n = r->node;
  size_t c = (size_t)n->out.c;
  double count = (double)bn_rows(r);
  struct bn_scratch s = bn_sums(r, r->dy, r->x[0]);
  for (size_t i = 0; i < c; i++) {
    double mean = (double)r->saved[i], inv = (double)r->saved[c + i];
    double dbeta = s.sum[i], dgamma = inv * (s.dot[i] - mean * dbeta);
    double a = (double)n->params[GAMMA].data[i] * inv;
    double b = -a * inv * dgamma / count;
    s.a[i] = (float)a;
    s.b[i] = (float)b;
    s.k[i] = (float)(-a * dbeta / count - b * mean);
    if (r->dparam[GAMMA])
      r->dparam[GAMMA][i] =
          (float)dgamma + (r->accumulate ? r->dparam[GAMMA][i] : 0);
    if (r->dparam[BETA])
      r->dparam[BETA][i] =
          (float)dbeta + (r->accumulate ? r->dparam[BETA][i] : 0);
  }
  const struct bn_rows j = {r, s.a, s.b, s.k};
  if (r->dx[0])
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
                                         .backward = bn_backward};
