/* SPDX-License-Identifier: MIT */
/* What the page of a report is about: answers to each image, and counts. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- One image ---------------------------------------------------------- */

static int best_but(const float *p, int classes, int but) {
  int best = -1;
  for (int i = 0; i < classes; i++)
    if (i != but && (best < 0 || p[i] > p[best]))
      best = i;
  return best;
}

/* The probability of class c without the temperature T: softmax(z / T) to the
 * power of T is softmax(z) but for a factor. */
static double raw_probability(const struct report *r, const float *p, int c) {
  double t = (double)r->calibration.temperature, sum = 0;
  for (int i = 0; i < r->classes; i++)
    sum += pow((double)p[i], t);
  return pow((double)p[c], t) / sum;
}

static void add_raw(struct report *r, double p, int right) {
  if (!(p >= 0 && p <= 1))
    return;
  int bin = (int)(p * IMGREC_RELIABILITY_BINS);
  if (bin >= IMGREC_RELIABILITY_BINS)
    bin = IMGREC_RELIABILITY_BINS - 1;
  r->raw_bins[bin].images++;
  r->raw_bins[bin].right += right;
  r->raw_bins[bin].probability += p;
}

static int take_answer(void *user, int64_t index, int class_index,
                       const float *p) {
  struct report *r = user;
  int best = best_but(p, r->classes, -1);
  int second = best_but(p, r->classes, best);
  if (r->answer_count >= r->answer_room)
    return 1;
  r->answers[r->answer_count++] =
      (struct answer){.index = index,
                      .truth = class_index,
                      .answer = best,
                      .second = second,
                      .probability = p[best],
                      .of_truth = p[class_index],
                      .of_second = second >= 0 ? p[second] : 0};
  add_raw(r, raw_probability(r, p, best), best == class_index);
  return 0;
}

/* ---- All of them -------------------------------------------------------- */

static double error_of(const imgrec_reliability *bins) {
  double gap = 0;
  int64_t images = 0;
  for (int i = 0; i < IMGREC_RELIABILITY_BINS; i++) {
    gap += fabs((double)bins[i].right - bins[i].probability);
    images += bins[i].images;
  }
  return images > 0 ? gap / (double)images : 0;
}

static int make_room(struct report *r) {
  size_t n = (size_t)r->classes;
  r->answer_room = imgrec_dataset_size(r->data);
  r->confusion = calloc(n * n, sizeof *r->confusion);
  r->scores = calloc(n, sizeof *r->scores);
  r->answers = calloc((size_t)r->answer_room + 1, sizeof *r->answers);
  return r->confusion != NULL && r->scores != NULL && r->answers != NULL;
}

static int measure_test(struct report *r) {
  imgrec_evaluation_init(&r->test_e, sizeof r->test_e);
  if (r->test == NULL)
    return IMGREC_OK;
  return imgrec_evaluate(r->model, r->test, &r->test_e);
}

int report_measure(struct report *r) {
  r->classes = imgrec_model_classes(r->model);
  imgrec_calibration_init(&r->calibration, sizeof r->calibration);
  imgrec_model_get_calibration(r->model, &r->calibration);
  for (int i = 0; i < imgrec_model_layer_count(r->model); i++)
    r->parameters += layer_info(r->model, i).parameters;
  if (!make_room(r))
    return IMGREC_ERR_MEMORY;
  imgrec_evaluation_init(&r->e, sizeof r->e);
  r->e.confusion = r->confusion;
  r->e.scores = r->scores;
  r->e.bins = r->bins;
  r->e.answer = take_answer;
  r->e.answer_user = r;
  int status = imgrec_evaluate(r->model, r->data, &r->e);
  r->raw_error = error_of(r->raw_bins);
  return status < 0 ? status : measure_test(r);
}

void report_free(struct report *r) {
  free(r->confusion);
  free(r->scores);
  free(r->answers);
  free(r->log.epochs);
}

const struct answer **sorted_answers(const struct report *r,
                                     answer_order order) {
  size_t n = (size_t)r->answer_count;
  const struct answer **sorted = malloc((n + 1) * sizeof *sorted);
  if (sorted == NULL)
    return NULL;
  for (size_t i = 0; i < n; i++)
    sorted[i] = &r->answers[i];
  qsort(sorted, n, sizeof *sorted, order);
  return sorted;
}
