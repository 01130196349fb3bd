/* SPDX-License-Identifier: MIT */
/* The temperature and the reject threshold that images which the model has not
 * learned from call for. */
#include <math.h>
#include <string.h>

#include "train/train.h"

#define LEAST_TEMPERATURE 0.25
#define MOST_TEMPERATURE  16.0

enum { ROWS = 256, BISECTIONS = 40, NUMBERS = 16384 }; /* numbers a task */

int imgrec_calibrate_options_init(imgrec_calibrate_options *options,
                                  size_t struct_size) {
  const imgrec_calibrate_options defaults = {.struct_size = sizeof defaults,
                                             .reject_rate = 0.05F};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

int imgrec_calibrate_result_init(imgrec_calibrate_result *result,
                                 size_t struct_size) {
  const imgrec_calibrate_result defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(result, struct_size, &defaults, sizeof defaults);
}

/* Logits of all images, and what was measured with one temperature. */
struct logits {
  struct imgrec_model *model;
  size_t count, classes;
  float *z; /* count x classes */
  int32_t *labels;
  float *room;   /* ROWS x classes */
  float *answer; /* the greatest probability of each image */
  double loss, error;
};

/* ---- Logits -------------------------------------------------------------- */

static int collect(struct logits *l, struct loader *loader, size_t most) {
  const float *x;
  const int32_t *labels;
  size_t n;
  int status = imgrec__loader_start(loader, 0, 0, 0);
  while (status >= 0 &&
         (status = imgrec__loader_next(loader, &x, &labels, &n)) >= 0 &&
         n > 0 && l->count + n <= most) {
    const float *z = imgrec__model_run(l->model, x, n, l->model->graph.logits);
    memcpy(l->z + l->count * l->classes, z, n * l->classes * sizeof *z);
    memcpy(l->labels + l->count, labels, n * sizeof *labels);
    l->count += n;
  }
  return status;
}

static int check_finite(const struct logits *l) {
  for (size_t i = 0; i < l->count * l->classes; i++)
    if (!isfinite(l->z[i]))
      return imgrec__fail(&l->model->context->error, IMGREC_ERR_DIVERGED,
                          "the model's answers are not finite; nothing can be "
                          "made of them");
  return IMGREC_OK;
}

/* ---- Temperature --------------------------------------------------------- */

/* Rows [0, n) of some images, at beta = 1 / temperature. */
struct slope {
  const struct logits *logits;
  const float *z;
  const int32_t *labels;
  float beta;
  double *slopes; /* of each row */
};

/* For a row's loss, log(sum of exp(beta z)) - beta z_t, by beta:
 *   sum of softmax(beta z) z - z_t */
static void slope_rows(const void *arg, size_t begin, size_t end) {
  const struct slope *s = arg;
  const struct kernels *k = s->logits->model->context->kernels;
  size_t c = s->logits->classes;
  for (size_t i = begin; i < end; i++) {
    const float *z = s->z + i * c;
    float *p = s->logits->room + i * c;
    double mean = 0;
    for (size_t j = 0; j < c; j++)
      p[j] = z[j] * s->beta;
    k->softmax(p, p, c);
    for (size_t j = 0; j < c; j++)
      mean += (double)p[j] * (double)z[j];
    s->slopes[i] = mean - (double)z[s->labels[i]];
  }
}

/* Of the sum of losses by beta; it never falls, so its sign says where the
 * least loss is. */
static double slope_at(const struct logits *l, double beta) {
  double slopes[ROWS], sum = 0;
  for (size_t row = 0; row < l->count; row += ROWS) {
    size_t n = min_size(ROWS, l->count - row);
    const struct slope s = {l, l->z + row * l->classes, l->labels + row,
                            (float)beta, slopes};
    imgrec__parallel_range(l->model->context, n, NUMBERS / l->classes,
                           slope_rows, &s);
    for (size_t i = 0; i < n; i++)
      sum += slopes[i];
  }
  return sum;
}

static float best_temperature(const struct logits *l) {
  double low = 1 / MOST_TEMPERATURE, high = 1 / LEAST_TEMPERATURE;
  if (slope_at(l, high) < 0)
    return (float)LEAST_TEMPERATURE;
  for (int i = 0; i < BISECTIONS; i++) {
    double middle = (low + high) / 2;
    if (slope_at(l, middle) < 0)
      low = middle;
    else
      high = middle;
  }
  return (float)(2 / (low + high));
}

/* ---- What a temperature comes to ----------------------------------------- */

static size_t greatest(const float *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i] > v[best])
      best = i;
  return best;
}

static void measure(struct logits *l, float temperature) {
  const struct kernels *k = l->model->context->kernels;
  imgrec_reliability bins[IMGREC_RELIABILITY_BINS] = {0};
  size_t c = l->classes;
  l->loss = 0;
  for (size_t i = 0; i < l->count; i++) {
    const float *z = l->z + i * c;
    for (size_t j = 0; j < c; j++)
      l->room[j] = z[j] / temperature;
    float target = l->room[l->labels[i]];
    l->loss += (double)k->log_sum_exp(l->room, c) - (double)target;
    k->softmax(l->room, l->room, c);
    size_t best = greatest(z, c);
    l->answer[i] = l->room[best];
    imgrec__reliability_add(bins, l->answer[i], best == (size_t)l->labels[i]);
  }
  l->loss /= (double)l->count;
  l->error = imgrec__calibration_error(bins);
}

/* ---- Threshold ----------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The greatest that no more than `rate` of the answers are below, which sorts
 * them.  Below 1, so that an answer which is sure is never rejected. */
static float choose_threshold(struct logits *l, float rate) {
  size_t rejected = (size_t)((double)l->count * (double)rate);
  if (rate == 0)
    return 0;
  imgrec__sort(l->answer, l->count, sizeof *l->answer, by_value);
  float threshold = l->answer[rejected];
  return threshold < 1 ? threshold : 1 - 0x1p-24F;
}

static double count_below(const struct logits *l, float threshold) {
  size_t n = 0;
  for (size_t i = 0; i < l->count; i++)
    n += l->answer[i] < threshold;
  return (double)n / (double)l->count;
}

/* ---- The call ------------------------------------------------------------ */

/* Whether a gain of this much log-likelihood an image is more than one
 * parameter gains by chance (at 95 %: half of the quantile of chi-squared). */
static int is_significant(double gain, size_t images) {
  return gain * (double)images > 3.841458820694124 / 2;
}

static void calibrate(struct logits *l, float rate,
                      imgrec_calibrate_result *result) {
  imgrec_calibration *c = &l->model->calibration;
  measure(l, 1);
  result->loss_before = l->loss;
  result->error_before = l->error;
  imgrec_calibration_init(c, sizeof *c);
  c->temperature = best_temperature(l);
  measure(l, c->temperature);
  if (!is_significant(result->loss_before - l->loss, l->count)) {
    c->temperature = 1;
    measure(l, 1);
  }
  result->loss_after = l->loss;
  result->error_after = l->error;
  c->reject_threshold = choose_threshold(l, rate);
  result->rejected = count_below(l, c->reject_threshold);
  result->images = (int64_t)l->count;
}

static int make_room(struct logits *l, size_t images) {
  struct allocator *a = &l->model->context->allocator;
  size_t row;
  if (__builtin_mul_overflow(l->classes, sizeof(float), &row))
    row = SIZE_MAX;
  l->z = imgrec__alloc_array(a, images, row);
  l->labels = imgrec__alloc_array(a, images, sizeof *l->labels);
  l->answer = imgrec__alloc_array(a, images, sizeof *l->answer);
  l->room = imgrec__alloc_array(a, ROWS, row);
  if (l->z && l->labels && l->answer && l->room)
    return IMGREC_OK;
  return imgrec__fail_memory(&l->model->context->error, a,
                             "the answers to calibrate with");
}

static int read_options(struct error *e, imgrec_calibrate_options *o,
                        const imgrec_calibrate_options *theirs) {
  imgrec_calibrate_options_init(o, sizeof *o);
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_calibrate_options");
  if (status < 0)
    return status;
  if (!(o->reject_rate >= 0 && o->reject_rate < 1))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "reject_rate is %g; it must be in [0, 1)",
                        (double)o->reject_rate);
  return imgrec__check_reserved(e, o->reserved, "imgrec_calibrate_options");
}

static int run(struct logits *l, struct imgrec_dataset *data, float rate,
               imgrec_calibrate_result *result) {
  struct imgrec_model *m = l->model;
  struct allocator *a = &m->context->allocator;
  struct loader *loader = NULL;
  size_t images = (size_t)imgrec_dataset_size(data);
  int status = make_room(l, images);
  if (status >= 0)
    status = imgrec__loader_create(&loader, data, &m->preprocess,
                                   (int)m->plan.batch);
  if (status >= 0)
    status = collect(l, loader, images);
  if (status >= 0)
    status = check_finite(l);
  if (status >= 0)
    calibrate(l, rate, result);
  imgrec__loader_destroy(loader);
  imgrec__free(a, l->z);
  imgrec__free(a, l->labels);
  imgrec__free(a, l->answer);
  imgrec__free(a, l->room);
  return status;
}

int imgrec_model_calibrate(imgrec_model *m, imgrec_dataset *validation,
                           const imgrec_calibrate_options *options,
                           imgrec_calibrate_result *result) {
  imgrec_calibrate_options o;
  imgrec_calibrate_result r = {0};
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &m->context->error;
  if (!validation)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_calibrate: the data set is NULL");
  struct logits l = {.model = m};
  l.classes = (size_t)imgrec_model_classes(m);
  uint64_t fp = imgrec__fp_enter();
  int status = read_options(e, &o, options);
  if (status >= 0)
    status = imgrec__check_dataset(m, validation, "the validation set");
  if (status >= 0)
    status = run(&l, validation, o.reject_rate, &r);
  imgrec__fp_leave(fp);
  if (status >= 0 && result)
    imgrec__options_write(result, &r, sizeof r);
  return status;
}
