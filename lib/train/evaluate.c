/* SPDX-License-Identifier: MIT */
/* Measures a model on a data set: loss, accuracy, confusion, calibration. */
#include <inttypes.h>
#include <string.h>

#include "train.h"

int imgrec_evaluation_init(imgrec_evaluation *evaluation, size_t struct_size) {
  const imgrec_evaluation defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(evaluation, struct_size, &defaults,
                              sizeof defaults);
}

/* What is asked for, and sums over what was seen. */
struct counts {
  imgrec_evaluation asked;
  struct imgrec_model *model;
  const struct imgrec_dataset *dataset;
  int64_t next; /* image of the data set */
  int64_t images, top1, top5, rejected;
  double loss;
  size_t classes;
  int64_t *confusion;
  imgrec_class_score *scores;
  float *probabilities; /* of one image */
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS];
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

/* The loader has left out what it could not read. */
static int64_t next_good(struct counts *c) {
  const struct imgrec_dataset *d = c->dataset;
  const unsigned char *bad = d->store->bad;
  while (bad && c->next < d->count && bad[d->items[c->next]])
    c->next++;
  return c->next++;
}

static int count_one(struct counts *c, const float *z, size_t target) {
  size_t best = answer(z, c->classes), rank = rank_of(z, c->classes, target);
  int right = rank < 1;
  imgrec__model_probabilities(c->model, z, c->probabilities);
  float p = c->probabilities[best];
  c->images++;
  c->top1 += right;
  c->top5 += rank < 5;
  c->rejected += imgrec_model_rejects(c->model, p);
  c->scores[target].images++;
  c->scores[target].right += best == target;
  c->scores[best].answers++;
  imgrec__reliability_add(c->bins, p, right);
  if (c->confusion)
    c->confusion[target * c->classes + best]++;
  int64_t index = next_good(c);
  if (!c->asked.answer || !c->asked.answer(c->asked.answer_user, index,
                                           (int)target, c->probabilities))
    return IMGREC_OK;
  return imgrec__fail(&c->model->context->error, IMGREC_ERR_CANCELLED,
                      "the evaluation was ended by its callback");
}

static int count_batch(struct counts *c, const float *x, const int32_t *labels,
                       size_t n) {
  struct imgrec_model *m = c->model;
  size_t correct = 0;
  const float *z = imgrec__model_run(m, x, n, m->graph.logits);
  const struct targets targets = {.classes = labels};
  int status = IMGREC_OK;
  imgrec__cross_entropy(m->context, z, &targets, n, c->classes, 0, NULL,
                        &c->loss, &correct);
  for (size_t i = 0; i < n && status >= 0; i++)
    status = count_one(c, z + i * c->classes, (size_t)labels[i]);
  return status;
}

static int count_all(struct counts *c, struct loader *loader) {
  const float *x;
  const int32_t *labels;
  size_t n;
  int status = imgrec__loader_start(loader, 0, 0, 0);
  while (status >= 0 &&
         (status = imgrec__loader_next(loader, &x, &labels, &n)) >= 0 && n > 0)
    status = count_batch(c, x, labels, n);
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

static double share(int64_t part, int64_t whole) {
  return whole > 0 ? (double)part / (double)whole : 0;
}

/* Only now is anything of the caller's written to. */
static void report(struct counts *c, imgrec_evaluation *out) {
  imgrec_evaluation result = c->asked;
  double interval[2];
  imgrec_wilson_interval(c->top1, c->images, interval);
  for (size_t i = 0; i < c->classes; i++)
    imgrec__score_class(&c->scores[i]);
  imgrec_class_score macro = imgrec__score_macro(c->scores, c->classes);
  result.images = c->images;
  result.loss = c->images > 0 ? c->loss / (double)c->images : 0;
  result.top1 = share(c->top1, c->images);
  result.top5 = share(c->top5, c->images);
  result.top1_low = interval[0];
  result.top1_high = interval[1];
  result.macro_precision = macro.precision;
  result.macro_recall = macro.recall;
  result.macro_f1 = macro.f1;
  result.calibration_error = imgrec__calibration_error(c->bins);
  result.rejected = share(c->rejected, c->images);
  if (result.confusion)
    memcpy(result.confusion, c->confusion,
           c->classes * c->classes * sizeof *c->confusion);
  if (result.scores)
    memcpy(result.scores, c->scores, c->classes * sizeof *c->scores);
  if (result.bins)
    memcpy(result.bins, c->bins, sizeof c->bins);
  imgrec__options_write(out, &result, sizeof result);
}

static int make_counts(struct counts *c) {
  struct allocator *a = &c->model->context->allocator;
  size_t cells;
  if (__builtin_mul_overflow(c->classes * c->classes, sizeof(int64_t), &cells))
    cells = SIZE_MAX; /* which no allocator has */
  c->scores = imgrec__alloc_zero(a, c->classes * sizeof *c->scores);
  c->probabilities = imgrec__alloc_array(a, c->classes, sizeof(float));
  if (c->asked.confusion)
    c->confusion = imgrec__alloc_zero(a, cells);
  if (c->scores && c->probabilities && (c->confusion || !c->asked.confusion))
    return IMGREC_OK;
  return imgrec__fail_memory(&c->model->context->error, a,
                             "the counts of answers");
}

static void free_counts(struct counts *c) {
  struct allocator *a = &c->model->context->allocator;
  imgrec__free(a, c->scores);
  imgrec__free(a, c->probabilities);
  imgrec__free(a, c->confusion);
}

int imgrec__evaluate(struct imgrec_model *m, struct imgrec_dataset *dataset,
                     struct loader *loader, imgrec_evaluation *out) {
  struct loader *own = NULL;
  struct counts c = {.model = m, .dataset = dataset};
  c.classes = (size_t)imgrec_model_classes(m);
  int status = imgrec__options_read(&m->context->error, &c.asked,
                                    sizeof c.asked, out, "imgrec_evaluation");
  if (status < 0 ||
      (status = imgrec__check_dataset(m, dataset, "the data set")) < 0)
    return status;
  status = make_counts(&c);
  if (status >= 0 && !loader)
    status = imgrec__loader_create(&own, dataset, &m->preprocess,
                                   (int)m->plan.batch);
  if (status >= 0)
    status = count_all(&c, loader ? loader : own);
  imgrec__loader_destroy(own);
  if (status >= 0)
    report(&c, out);
  free_counts(&c);
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
