/* SPDX-License-Identifier: MIT */
/* Pairs of a batch mixed (mixup) or cut together (cutmix), with their labels.
 *
 * Image i of N is paired with N - 1 - i, and what one gives the other takes:
 * batches are in random order, and nothing but the pair is looked at. */
#include <math.h>

#include "data/data.h"

/* ---- Shares: Beta(alpha, alpha) ----------------------------------------- */

#define LN2 0.69314718055994530942

/* 0 < x < 1: 2^-e m, 1/2 <= m^2 < 2, log m = 2 artanh((m - 1) / (m + 1)); the
 * first term of the series that is left out is below 1e-16. */
static double log_of(double x) {
  double e = 0.0;
  for (; x < 0.70710678; x *= 2.0)
    e += 1.0;
  double z = (x - 1.0) / (x + 1.0), sum = 0.0;
  for (int n = 19; n >= 1; n -= 2)
    sum = sum * z * z + 1.0 / n;
  return 2.0 * z * sum - e * LN2;
}

/* exp(-t), t >= 0: Taylor at t - n ln 2, halved n times; 0 from 700 on. */
static double exp_minus(double t) {
  double sum = 1.0, x = t < 700.0 ? t : 0.0;
  int halvings = (int)(x / LN2);
  x -= halvings * LN2;
  for (int n = 16; n >= 1; n--)
    sum = 1.0 - sum * x / n;
  for (int i = 0; i < halvings; i++)
    sum *= 0.5;
  return t < 700.0 ? sum : 0.0;
}

/* In the middle of one of 2^24 equal parts of (0, 1). */
static double unit(uint32_t bits) { return ((bits >> 8) + 0.5) * 0x1p-24; }

/* Draws of one pair. */
enum { DRAW_KIND = 254, DRAW_BOX = 255, ATTEMPTS = 254 };

struct pair_key {
  uint64_t seed, stream, index;
};

static struct random4 draw(const struct pair_key *k, int number) {
  return imgrec__random4(k->seed, k->stream, k->index << 8 | (uint64_t)number);
}

/* Joehnk 1964: u^(1/a) / (u^(1/a) + v^(1/a)) where that sum is at most 1; of
 * the attempts at least a sixth succeed for a <= 2. */
static double beta(const struct pair_key *k, double alpha) {
  for (int i = 0; i < ATTEMPTS; i++) {
    struct random4 r = draw(k, i);
    double a = -log_of(unit(r.v[0])) / alpha, b = -log_of(unit(r.v[1])) / alpha;
    if (exp_minus(a) + exp_minus(b) > 1.0)
      continue;
    return a < b ? 1.0 / (1.0 + exp_minus(b - a))
                 : exp_minus(a - b) / (1.0 + exp_minus(a - b));
  }
  return 0.5;
}

/* ---- A pair ------------------------------------------------------------- */

struct mix {
  const struct mixing *batch;
  size_t n;
  float *x, *targets;
  const int32_t *labels;
  uint64_t first;
};

static void blend(float *a, float *b, size_t n, float share) {
  float rest = 1.0f - share;
  for (size_t i = 0; i < n; i++) {
    float u = a[i], v = b[i];
    a[i] = share * u + rest * v;
    b[i] = share * v + rest * u;
  }
}

/* The part of a side of n that `size` about a random middle covers. */
static void clip(size_t range[2], uint32_t bits, size_t n, double size) {
  ptrdiff_t length = (ptrdiff_t)((double)n * size);
  ptrdiff_t first = (ptrdiff_t)(unit(bits) * (double)n) - length / 2;
  ptrdiff_t end = first + length;
  range[0] = first < 0 ? 0 : (size_t)first;
  range[1] = end > (ptrdiff_t)n ? n : (size_t)end;
}

/* Exchanges a box of 1 - share of the area, clipped at the border; returns
 * the share that stays. */
static float exchange(const struct mixing *m, float *a, float *b, double share,
                      const struct pair_key *key) {
  size_t rows[2], columns[2];
  double size = sqrt(1.0 - share);
  struct random4 r = draw(key, DRAW_BOX);
  clip(rows, r.v[0], m->height, size);
  clip(columns, r.v[1], m->width, size);
  size_t from = columns[0] * m->channels, to = columns[1] * m->channels;
  for (size_t y = rows[0]; y < rows[1]; y++)
    for (size_t i = from; i < to; i++) {
      size_t at = y * m->width * m->channels + i;
      float v = a[at];
      a[at] = b[at];
      b[at] = v;
    }
  double area = (double)(rows[1] - rows[0]) * (double)(columns[1] - columns[0]);
  return (float)(1.0 - area / ((double)m->height * (double)m->width));
}

static void set_targets(float *t, size_t classes, int32_t own, int32_t other,
                        float share) {
  for (size_t i = 0; i < classes; i++)
    t[i] = 0.0f;
  t[own] += share;
  t[other] += 1.0f - share;
}

static void mix_pair(void *arg, int i, int worker) {
  const struct mix *job = arg;
  const struct mixing *m = job->batch;
  const imgrec_augment *o = m->augment;
  size_t a = (size_t)i, b = job->n - 1 - a;
  size_t image = m->height * m->width * m->channels;
  const struct pair_key key = {m->seed, IMGREC__STREAM_MIX + m->epoch,
                               job->first + a};
  float share, *xa = job->x + a * image, *xb = job->x + b * image;
  int cuts = o->mixup == 0.0f ||
             (o->cutmix > 0.0f && draw(&key, DRAW_KIND).v[0] >> 31);
  (void)worker;
  if (a == b || (o->mixup == 0.0f && o->cutmix == 0.0f))
    share = 1.0f;
  else if (cuts)
    share = exchange(m, xa, xb, beta(&key, (double)o->cutmix), &key);
  else
    blend(xa, xb, image, share = (float)beta(&key, (double)o->mixup));
  int32_t la = job->labels[a], lb = job->labels[b];
  set_targets(job->targets + a * m->classes, m->classes, la, lb, share);
  set_targets(job->targets + b * m->classes, m->classes, lb, la, share);
}

void imgrec__mix(struct imgrec_context *ctx, const struct mixing *m, float *x,
                 float *targets, const int32_t *labels, size_t n,
                 uint64_t first) {
  struct mix job = {m, n, x, targets, labels, first};
  imgrec__parallel_for(ctx->pool, (n + 1) / 2, mix_pair, &job);
}

/* ---- Public ------------------------------------------------------------- */

static int check_shapes(struct error *e, const imgrec_tensor *x,
                        const imgrec_tensor *targets,
                        const imgrec_tensor *labels) {
  int64_t n = x->shape[0];
  if (x->dtype != IMGREC_F32 || x->ndim != 4)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "augment_mix: x must be N x H x W x C f32");
  if (labels->dtype != IMGREC_I32 || labels->ndim != 1 || labels->shape[0] != n)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "augment_mix: labels must be one i32 for each image");
  if (targets->dtype != IMGREC_F32 || targets->ndim != 2 ||
      targets->shape[0] != n)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "augment_mix: targets must be N x classes f32");
  const int32_t *v = labels->data;
  for (int64_t i = 0; i < n; i++)
    if (v[i] < 0 || v[i] >= targets->shape[1])
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "augment_mix: label %d is no class; targets have %d",
                          (int)v[i], (int)targets->shape[1]);
  return IMGREC_OK;
}

int imgrec_augment_mix(imgrec_tensor *x, imgrec_tensor *targets,
                       const imgrec_tensor *labels,
                       const imgrec_augment *augment, uint64_t seed,
                       uint64_t epoch, uint64_t first) {
  imgrec_augment a;
  if (!x)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = x->context;
  if (!targets || !labels)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "augment_mix: %s is NULL",
                        targets ? "labels" : "targets");
  uint64_t fp = imgrec__fp_enter();
  int status = imgrec__augment_read(&a, &ctx->error, augment);
  imgrec__fp_leave(fp);
  if (status < 0 ||
      (status = check_shapes(&ctx->error, x, targets, labels)) < 0)
    return status;
  const struct mixing m = {&a,
                           (size_t)x->shape[1],
                           (size_t)x->shape[2],
                           (size_t)x->shape[3],
                           (size_t)targets->shape[1],
                           seed,
                           epoch & UINT32_MAX};
  fp = imgrec__fp_enter();
  imgrec__mix(ctx, &m, x->data, targets->data, labels->data,
              (size_t)x->shape[0], first);
  imgrec__fp_leave(fp);
  return IMGREC_OK;
}
