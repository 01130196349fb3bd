/* SPDX-License-Identifier: MIT */
/* Measures a model on a data set: loss, accuracy, confusion. */
#include <inttypes.h>
#include <string.h>

#include "train.h"

int imgrec_evaluation_init(imgrec_evaluation *evaluation, size_t struct_size) {
  const imgrec_evaluation defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(evaluation, struct_size, &defaults,
                              sizeof defaults);
}

/* Sums over what was seen. */
struct counts {
  int64_t images, top1, top5;
  double loss;
  int64_t *confusion;
};

/* How many classes are more probable than the target; of equals, the lower
 * index comes first.  A NaN is beaten by all and beats all, so that it is never
 * right. */
static size_t rank_of(const float *z, size_t n, size_t target) {
  size_t rank = 0;
  for (size_t i = 0; i < n; i++)
    rank +=
        i != target && !(z[i] < z[target] || (z[i] == z[target] && i > target));
  return rank;
}

static size_t answer(const float *z, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (z[i] > z[best])
      best = i;
  return best;
}

static void count(struct counts *c, const float *z, const int32_t *labels,
                  size_t n, size_t classes) {
  for (size_t i = 0; i < n; i++, z += classes) {
    size_t target = (size_t)labels[i], rank = rank_of(z, classes, target);
    c->top1 += rank < 1;
    c->top5 += rank < 5;
    if (c->confusion)
      c->confusion[target * classes + answer(z, classes)]++;
  }
  c->images += (int64_t)n;
}

static int count_all(struct imgrec_model *m, struct loader *loader,
                     struct counts *c) {
  size_t classes = (size_t)imgrec_model_classes(m), n, correct = 0;
  const float *x;
  const int32_t *labels;
  int status = imgrec__loader_start(loader, 0, 0, 0);
  while (status >= 0 &&
         (status = imgrec__loader_next(loader, &x, &labels, &n)) >= 0 && n) {
    const float *z = imgrec__model_run(m, x, n, m->graph.logits);
    const struct targets targets = {.classes = labels};
    imgrec__cross_entropy(m->context, z, &targets, n, classes, 0, NULL,
                          &c->loss, &correct);
    count(c, z, labels, n, classes);
  }
  return status;
}

int imgrec__check_dataset(const struct imgrec_model *m,
                          const struct imgrec_dataset *dataset,
                          const char *what) {
  struct error *e = &m->context->error;
  int classes = imgrec_model_classes(m);
  if (imgrec_dataset_size(dataset) == 0)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "%s has no images", what);
  if (imgrec_dataset_classes(dataset) > classes)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "%s has %d classes; the model has %d", what,
                        imgrec_dataset_classes(dataset), classes);
  return IMGREC_OK;
}

static void report(const struct counts *c, imgrec_evaluation *out) {
  imgrec_evaluation result = {.images = c->images, .confusion = c->confusion};
  if (c->images > 0) {
    result.loss = c->loss / (double)c->images;
    result.top1 = (double)c->top1 / (double)c->images;
    result.top5 = (double)c->top5 / (double)c->images;
  }
  imgrec__options_write(out, &result, sizeof result);
}

int imgrec__evaluate(struct imgrec_model *m, struct imgrec_dataset *dataset,
                     struct loader *loader, imgrec_evaluation *out) {
  struct allocator *a = &m->context->allocator;
  size_t classes = (size_t)imgrec_model_classes(m), cells;
  imgrec_evaluation asked = {.struct_size = sizeof asked};
  struct loader *own = NULL;
  struct counts c = {0};
  int status = imgrec__options_read(&m->context->error, &asked, sizeof asked,
                                    out, "imgrec_evaluation");
  if (status < 0 ||
      (status = imgrec__check_dataset(m, dataset, "the data set")) < 0)
    return status;
  if (__builtin_mul_overflow(classes * classes, sizeof(int64_t), &cells))
    cells = SIZE_MAX; /* which no allocator has */
  if (asked.confusion && !(c.confusion = imgrec__alloc_zero(a, cells)))
    return imgrec__fail_memory(&m->context->error, a, "the confusion matrix");
  if (!loader)
    status = imgrec__loader_create(&own, dataset, &m->preprocess,
                                   (int)m->plan.batch);
  if (status >= 0)
    status = count_all(m, loader ? loader : own, &c);
  imgrec__loader_destroy(own);
  if (status >= 0) {
    if (asked.confusion)
      memcpy(asked.confusion, c.confusion, cells);
    imgrec__free(a, c.confusion);
    c.confusion = asked.confusion;
    report(&c, out);
    return IMGREC_OK;
  }
  imgrec__free(a, c.confusion);
  return status;
}

int imgrec_evaluate(imgrec_model *m, imgrec_dataset *dataset,
                    imgrec_evaluation *out) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!dataset || !out)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_evaluate: the data set or out is NULL");
  uint64_t fp = imgrec__fp_enter();
  int status = imgrec__evaluate(m, dataset, NULL, out);
  imgrec__fp_leave(fp);
  return status;
}
