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

void imgrec__cross_entropy(const struct kernels *k, const float *z,
                           const struct targets *t, size_t n, size_t classes,
                           float scale, float *dz, double *loss_sum,
                           size_t *correct) {
  for (size_t i = 0; i < n; i++, z += classes) {
    const float *soft =
        t->probabilities ? t->probabilities + i * classes : NULL;
    int32_t target = soft ? (int32_t)greatest(soft, classes) : t->classes[i];
    float lse = k->log_sum_exp(z, classes);
    *loss_sum += soft ? soft_loss(z, soft, lse, classes)
                      : (double)lse - (double)z[target];
    *correct += greatest(z, classes) == (size_t)target;
    if (dz)
      gradient(k, dz + i * classes, z, soft, target, classes, scale);
  }
}
