/* SPDX-License-Identifier: MIT */
/* What counts of right and wrong answers come to. */
#include <math.h>

#include "train.h"

/* 0.975 of the normal distribution. */
#define Z95 1.959963984540054

/* Wilson (1927): with p = right / n,
 *   (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) */
static void wilson(int64_t right, int64_t images, double interval[2]) {
  double n = (double)images, p = (double)right / n, z = Z95 * Z95 / n;
  double centre = p + z / 2;
  double half = Z95 * sqrt(p * (1 - p) / n + z / (4 * n));
  /* the ends themselves are beyond what rounding keeps apart */
  if (right > 0)
    interval[0] = (centre - half) / (1 + z);
  if (right < images)
    interval[1] = (centre + half) / (1 + z);
}

void imgrec_wilson_interval(int64_t right, int64_t images, double interval[2]) {
  interval[0] = 0;
  interval[1] = 1;
  if (images <= 0 || right < 0 || right > images)
    return;
  uint64_t fp = imgrec__fp_enter();
  wilson(right, images, interval);
  imgrec__fp_leave(fp);
}

static double quotient(int64_t part, int64_t whole) {
  return whole > 0 ? (double)part / (double)whole : (double)NAN;
}

void imgrec__score_class(imgrec_class_score *s) {
  s->precision = quotient(s->right, s->answers);
  s->recall = quotient(s->right, s->images);
  s->f1 = quotient(2 * s->right, s->images + s->answers);
}

/* Sums for the mean over the classes that have images. */
struct macro {
  imgrec_class_score sum;
  int64_t classes;
};

static void macro_add(struct macro *m, const imgrec_class_score *s) {
  m->sum.images += s->images;
  m->sum.answers += s->answers;
  m->sum.right += s->right;
  if (s->images == 0)
    return;
  m->classes++;
  m->sum.precision += s->answers > 0 ? s->precision : 0;
  m->sum.recall += s->recall;
  m->sum.f1 += s->f1;
}

static imgrec_class_score macro_mean(const struct macro *m) {
  imgrec_class_score mean = m->sum;
  double n = m->classes > 0 ? (double)m->classes : (double)NAN;
  mean.precision /= n;
  mean.recall /= n;
  mean.f1 /= n;
  return mean;
}

imgrec_class_score imgrec__score_macro(const imgrec_class_score *scores,
                                       size_t classes) {
  struct macro macro = {0};
  for (size_t i = 0; i < classes; i++)
    macro_add(&macro, &scores[i]);
  return macro_mean(&macro);
}

static imgrec_class_score score_of(const int64_t *confusion, size_t classes,
                                   size_t c) {
  imgrec_class_score s = {.right = confusion[c * classes + c]};
  for (size_t i = 0; i < classes; i++) {
    s.images += confusion[c * classes + i];
    s.answers += confusion[i * classes + c];
  }
  imgrec__score_class(&s);
  return s;
}

int imgrec_confusion_scores(imgrec_class_score *scores,
                            imgrec_class_score *macro, const int64_t *confusion,
                            int classes) {
  struct macro sums = {0};
  if (!confusion || classes < 1)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  for (size_t c = 0; c < (size_t)classes; c++) {
    imgrec_class_score one = score_of(confusion, (size_t)classes, c);
    macro_add(&sums, &one);
    if (scores)
      scores[c] = one;
  }
  if (macro)
    *macro = macro_mean(&sums);
  imgrec__fp_leave(fp);
  return IMGREC_OK;
}

void imgrec__reliability_add(imgrec_reliability *bins, float probability,
                             int right) {
  if (!(probability >= 0 && probability <= 1))
    return; /* of logits that are not finite */
  size_t bin = (size_t)((double)probability * IMGREC_RELIABILITY_BINS);
  if (bin >= IMGREC_RELIABILITY_BINS)
    bin = IMGREC_RELIABILITY_BINS - 1;
  bins[bin].images++;
  bins[bin].right += right != 0;
  bins[bin].probability += (double)probability;
}

/* Guo et al. (2017): sum over bins of n_b / n |right_b / n_b - p_b / n_b| */
double imgrec__calibration_error(const imgrec_reliability *bins) {
  double gap = 0;
  int64_t images = 0;
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    gap += fabs((double)bins[i].right - bins[i].probability);
    images += bins[i].images;
  }
  return images > 0 ? gap / (double)images : 0;
}
