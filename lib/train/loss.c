/* SPDX-License-Identifier: MIT */
/* Softmax and cross-entropy in one, on logits: no probability is ever rounded
 * to zero before its logarithm is taken. */
#include "train.h"

static size_t greatest(const float *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i] > v[best])
      best = i;
  return best;
}

/* loss of one row of probabilities t: lse sum(t) - sum of t z, in f64. */
static double soft_loss(const float *z, const float *t, float lse, size_t n) {
  double total = 0, dot = 0;
  for (size_t i = 0; i < n; i++) {
    total += (double)t[i];
    dot += (double)t[i] * (double)z[i];
  }
  return (double)lse * total - dot;
}

static void gradient(const struct kernels *k, float *dz, const float *z,
                     const float *soft, int32_t target, size_t n, float scale) {
  k->softmax(dz, z, n);
  for (size_t i = 0; i < n; i++) {
    float t = soft ? soft[i] : (float)(i == (size_t)target);
    dz[i] = (dz[i] - t) * scale;
  }
}

/* ---- Targets that are smoothed or weighted ------------------------------ */

/* Targets of one row: probabilities, or a class where those are NULL. */
struct shaped {
  const struct targets *targets;
  const float *soft;
  size_t target, n;
};

static int is_shaped(const struct targets *t) {
  return t->smoothing > 0 || t->weights != NULL;
}

static float shaped_target(const struct shaped *s, size_t i) {
  const struct targets *t = s->targets;
  float own = s->soft ? s->soft[i] : (float)(i == s->target);
  float smooth = (1 - t->smoothing) * own + t->smoothing / (float)s->n;
  return t->weights ? t->weights[i] * smooth : smooth;
}

/* The loss of soft_loss; *total is the sum of targets. */
static double shaped_loss(const struct shaped *s, const float *z, float lse,
                          double *total) {
  double dot = 0;
  *total = 0;
  for (size_t i = 0; i < s->n; i++) {
    double t = (double)shaped_target(s, i);
    *total += t;
    dot += t * (double)z[i];
  }
  return (double)lse * *total - dot;
}

static void shaped_gradient(const struct kernels *k, const struct shaped *s,
                            float *dz, const float *z, double total,
                            float scale) {
  k->softmax(dz, z, s->n);
  for (size_t i = 0; i < s->n; i++)
    dz[i] = (dz[i] * (float)total - shaped_target(s, i)) * scale;
}

/* ---- Rows --------------------------------------------------------------- */

/* Rows whose losses are held until they are added up, in order. */
enum { ROWS = 256, NUMBERS = 16384 }; /* numbers a task */

struct rows {
  const struct kernels *kernels;
  const float *z;
  struct targets targets;
  size_t classes;
  float scale;
  float *dz;
  double *loss; /* of each row */
  unsigned char *correct;
};

static void shaped_row(const struct rows *r, size_t i, const float *soft,
                       int32_t target, float lse) {
  size_t c = r->classes;
  const struct shaped s = {&r->targets, soft, (size_t)target, c};
  const float *z = r->z + i * c;
  double total;
  r->loss[i] = shaped_loss(&s, z, lse, &total);
  if (r->dz)
    shaped_gradient(r->kernels, &s, r->dz + i * c, z, total, r->scale);
}

static void rows_range(const void *arg, size_t begin, size_t end) {
  const struct rows *r = arg;
  const struct targets *t = &r->targets;
  size_t c = r->classes;
  int shaped = is_shaped(t);
  for (size_t i = begin; i < end; i++) {
    const float *z = r->z + i * c;
    const float *soft = t->probabilities ? t->probabilities + i * c : NULL;
    int32_t target = soft ? (int32_t)greatest(soft, c) : t->classes[i];
    float lse = r->kernels->log_sum_exp(z, c);
    r->correct[i] = greatest(z, c) == (size_t)target;
    if (shaped) {
      shaped_row(r, i, soft, target, lse);
      continue;
    }
    r->loss[i] =
        soft ? soft_loss(z, soft, lse, c) : (double)lse - (double)z[target];
    if (r->dz)
      gradient(r->kernels, r->dz + i * c, z, soft, target, c, r->scale);
  }
}

void imgrec__cross_entropy(struct imgrec_context *ctx, const float *z,
                           const struct targets *t, size_t n, size_t classes,
                           float scale, float *dz, double *loss_sum,
                           size_t *correct) {
  double loss[ROWS];
  unsigned char right[ROWS];
  struct rows r = {ctx->kernels, z, *t, classes, scale, dz, loss, right};
  for (size_t row = 0; row < n; row += ROWS) {
    size_t count = min_size(ROWS, n - row);
    imgrec__parallel_range(ctx, count, NUMBERS / classes, rows_range, &r);
    for (size_t i = 0; i < count; i++) {
      *loss_sum += loss[i];
      *correct += right[i];
    }
    r.z += count * classes;
    r.dz = dz ? r.dz + count * classes : NULL;
    if (t->probabilities)
      r.targets.probabilities += count * classes;
    else
      r.targets.classes += count;
  }
}
