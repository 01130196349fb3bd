/* SPDX-License-Identifier: MIT */
/* Which learning rate suits a model and its data: one run at rising rates
 * (Smith 2017, "Cyclical learning rates for training neural networks"). */
#include <math.h>
#include <string.h>

#include "train.h"

/* Of the running mean of losses; and how far it may rise above its least. */
#define KEEP    0.9
#define TOO_FAR 4.0
enum { SETTLED = 10, MIN_STEPS = 10, MAX_STEPS = 100000 };

int imgrec_rate_options_init(imgrec_rate_options *options, size_t struct_size) {
  const imgrec_rate_options defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

struct search {
  struct imgrec_trainer *trainer;
  struct loader *loader;
  imgrec_rate_options options;
  int steps;
  float *rates, *losses;
  uint64_t epoch;
  double mean, weight; /* of the losses so far, and what it is a mean of */
  double least, least_rate;
  int least_step;
};

/* q of q^n = ratio, n >= 1: halving an interval, as there is no power of the C
 * library that gives the same bits everywhere. */
static double root(double ratio, int n) {
  double low = 1, high = ratio;
  for (int i = 0; i < 100; i++) {
    double middle = (low + high) / 2, power = 1;
    for (int k = 0; k < n && power <= ratio; k++)
      power *= middle;
    if (power > ratio)
      high = middle;
    else
      low = middle;
  }
  return low;
}

/* The next batch; a new pass where one ends. */
static int next_batch(struct search *s, const float **x, const int32_t **labels,
                      size_t *n) {
  int status = imgrec__loader_next(s->loader, x, labels, n);
  if (status < 0 || *n > 0)
    return status;
  status = imgrec__loader_start(s->loader, 1, s->options.seed, ++s->epoch);
  return status < 0 ? status : imgrec__loader_next(s->loader, x, labels, n);
}

/* Takes a loss into the mean; 0 when the rate is far too high. */
static int add_loss(struct search *s, int step, double rate, double loss) {
  s->mean = KEEP * s->mean + (1 - KEEP) * loss;
  s->weight = KEEP * s->weight + (1 - KEEP);
  double mean = s->mean / s->weight;
  s->rates[step] = (float)rate;
  s->losses[step] = (float)mean;
  if (step == 0 || mean < s->least) {
    s->least = mean;
    s->least_rate = rate;
    s->least_step = step;
  }
  return step < SETTLED || mean <= TOO_FAR * s->least;
}

/* Returns how many steps were made. */
static int climb(struct search *s) {
  struct imgrec_trainer *t = s->trainer;
  double low = (double)s->options.low, rate = low;
  double factor = root((double)s->options.high / low, s->steps - 1);
  int status = imgrec__loader_start(s->loader, 1, s->options.seed, s->epoch);
  for (int step = 0; status >= 0 && step < s->steps; step++, rate *= factor) {
    const float *x;
    const int32_t *labels;
    size_t n;
    status = next_batch(s, &x, &labels, &n);
    if (status < 0)
      return status;
    const struct targets targets = {.classes = labels};
    t->options.learning_rate = (float)rate;
    imgrec__trainer_step(t, x, &targets, n);
    double loss = t->loss_sum / (double)n;
    if (!isfinite(loss))
      return step;
    if (!add_loss(s, step, rate, loss))
      return step + 1;
  }
  return status < 0 ? status : s->steps;
}

static int read_options(struct search *s, const imgrec_rate_options *theirs) {
  struct imgrec_trainer *t = s->trainer;
  struct error *e = &t->model->context->error;
  imgrec_rate_options *o = &s->options;
  int most = (int)t->plan.batch;
  int sgd = t->options.optimizer == IMGREC_OPTIMIZER_SGD;
  imgrec_rate_options_init(o, sizeof *o);
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_rate_options");
  if (status < 0)
    return status;
  o->low = o->low == 0 ? 1e-6F : o->low;
  o->high = o->high != 0 ? o->high : sgd ? 10 : 1;
  o->batch = o->batch == 0 ? most : o->batch;
  if (!(o->low > 0 && o->low < o->high) || !isfinite(o->high))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "the rates to try must be positive, low below high");
  if (o->batch < 1 || o->batch > most)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "batch is %d; it must be 1 to the trainer's max_batch "
                        "of %d",
                        (int)o->batch, most);
  return imgrec__check_reserved(e, o->reserved, "imgrec_rate_options");
}

/* What steps change, kept and put back. */
struct before {
  float *weights, rate;
  uint64_t step;
};

static int keep(struct before *b, const struct imgrec_trainer *t) {
  struct imgrec_model *m = t->model;
  struct allocator *a = &m->context->allocator;
  b->weights = imgrec__alloc_array(a, m->weight_floats, sizeof *b->weights);
  if (!b->weights)
    return imgrec__fail_memory(&m->context->error, a,
                               "the weights to go on "
                               "with");
  memcpy(b->weights, m->weights, m->weight_floats * sizeof *b->weights);
  b->rate = t->options.learning_rate;
  b->step = t->step;
  return IMGREC_OK;
}

static void put_back(struct before *b, struct imgrec_trainer *t) {
  struct imgrec_model *m = t->model;
  memcpy(m->weights, b->weights, m->weight_floats * sizeof *b->weights);
  imgrec__model_changed(m);
  imgrec__free(&m->context->allocator, b->weights);
  t->options.learning_rate = b->rate;
  t->step = b->step;
  imgrec__trainer_reset(t);
}

static int search(struct search *s, struct imgrec_dataset *train) {
  struct imgrec_model *m = s->trainer->model;
  struct before before = {NULL, 0, 0};
  int status = imgrec__check_dataset(m, train, "the training set");
  if (status >= 0)
    status = imgrec__loader_create(&s->loader, train, &m->preprocess,
                                   (int)s->options.batch);
  if (status >= 0 && (status = keep(&before, s->trainer)) >= 0) {
    status = climb(s);
    put_back(&before, s->trainer);
  }
  imgrec__loader_destroy(s->loader);
  return status;
}

int imgrec_find_rate(imgrec_trainer *t, imgrec_dataset *train,
                     const imgrec_rate_options *options, int steps,
                     float *rates, float *losses, float *suggestion) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &t->model->context->error;
  if (!train || !rates || !losses || !suggestion)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_find_rate: train, rates, losses or suggestion "
                        "is NULL");
  if (steps < MIN_STEPS || steps > MAX_STEPS)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "steps is %d; it must be %d to %d", steps, MIN_STEPS,
                        MAX_STEPS);
  int status = imgrec__model_at_rest(t->model);
  if (status < 0)
    return status;
  struct search s = {
      .trainer = t, .steps = steps, .rates = rates, .losses = losses};
  uint64_t fp = imgrec__fp_enter();
  status = read_options(&s, options);
  if (status >= 0)
    status = search(&s, train);
  if (status >= 0)
    *suggestion = s.least_step >= SETTLED ? (float)(s.least_rate / 10) : 0;
  imgrec__fp_leave(fp);
  return status;
}
