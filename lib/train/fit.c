/* SPDX-License-Identifier: MIT */
/* Epochs over a data set, with validation after each; the best weights win. */
#include <math.h>
#include <string.h>

#include "train.h"

int imgrec_fit_options_init(imgrec_fit_options *options, size_t struct_size) {
  const imgrec_fit_options defaults = {.struct_size = sizeof defaults,
                                       .epochs = 10};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

int imgrec_fit_result_init(imgrec_fit_result *result, size_t struct_size) {
  const imgrec_fit_result defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(result, struct_size, &defaults, sizeof defaults);
}

struct fit {
  struct imgrec_trainer *trainer;
  struct imgrec_model *model;
  struct imgrec_dataset *val;
  struct loader *loader, *val_loader;
  imgrec_fit_options options;
  imgrec_augment augment;
  imgrec_progress progress;
  imgrec_fit_result result;
  float *best; /* weights; at first those before training */
  double loss_sum;
  int64_t correct;
};

static void keep_best(struct fit *f) {
  memcpy(f->best, f->model->weights, f->model->weight_floats * sizeof *f->best);
}

/* Tells the host; 1 when it wants to stop. */
static int tell(struct fit *f) {
  imgrec_progress p = f->progress;
  if (!f->options.progress)
    return 0;
  f->result.cancelled |= f->options.progress(f->options.progress_user, &p) != 0;
  return f->result.cancelled;
}

static int fail_diverged(const struct fit *f) {
  return imgrec__fail(&f->model->context->error, IMGREC_ERR_DIVERGED,
                      "the loss is no longer finite in epoch %d; try a "
                      "smaller learning rate",
                      (int)f->progress.epoch);
}

static int train_batch(struct fit *f, const float *x, const int32_t *labels,
                       size_t n) {
  struct imgrec_trainer *t = f->trainer;
  const float *mixed = imgrec__loader_targets(f->loader);
  const struct targets targets = {mixed ? NULL : labels, mixed};
  imgrec__trainer_step(t, x, &targets, n);
  f->loss_sum += t->loss_sum;
  f->correct += (int64_t)t->correct;
  f->progress.images += (int64_t)n;
  double images = (double)f->progress.images;
  f->progress.train_loss = (float)(f->loss_sum / images);
  f->progress.train_accuracy = (float)((double)f->correct / images);
  return isfinite(t->loss_sum) ? IMGREC_OK : fail_diverged(f);
}

static int train_epoch(struct fit *f) {
  const float *x;
  const int32_t *labels;
  size_t n;
  int status = imgrec__loader_start(f->loader, 1, f->options.seed,
                                    (uint64_t)f->progress.epoch);
  f->loss_sum = 0;
  f->correct = 0;
  while (status >= 0 &&
         (status = imgrec__loader_next(f->loader, &x, &labels, &n)) >= 0 &&
         n > 0) {
    status = train_batch(f, x, labels, n);
    if (status >= 0 && tell(f))
      return IMGREC_OK;
  }
  return status;
}

static int validate(struct fit *f) {
  imgrec_evaluation e;
  imgrec_evaluation_init(&e, sizeof e);
  f->progress.val_loss = f->progress.val_accuracy = NAN;
  if (!f->val)
    return IMGREC_OK;
  int status = imgrec__evaluate(f->model, f->val, f->val_loader, &e);
  f->progress.val_loss = (float)e.loss;
  f->progress.val_accuracy = (float)e.top1;
  return status;
}

static int better(const struct fit *f) {
  const imgrec_progress *p = &f->progress;
  const imgrec_fit_result *r = &f->result;
  if (!f->val || r->best_epoch == 0)
    return 1;
  if (p->val_accuracy != r->val_accuracy)
    return p->val_accuracy > r->val_accuracy;
  return p->val_loss < r->val_loss;
}

/* The loss of a step is from before its update: the last one shows here. */
static int weights_finite(const struct imgrec_model *m) {
  for (size_t i = 0; i < m->weight_floats; i++)
    if (!isfinite(m->weights[i]))
      return 0;
  return 1;
}

static int end_epoch(struct fit *f) {
  imgrec_progress *p = &f->progress;
  if (!weights_finite(f->model) || (f->val && !isfinite(p->val_loss)))
    return fail_diverged(f);
  f->result.epochs = p->epoch;
  f->result.train_loss = p->train_loss;
  p->improved = better(f);
  if (!p->improved)
    return IMGREC_OK;
  f->result.best_epoch = p->epoch;
  f->result.val_loss = p->val_loss;
  f->result.val_accuracy = p->val_accuracy;
  keep_best(f);
  return IMGREC_OK;
}

static int epochs(struct fit *f) {
  imgrec_progress *p = &f->progress;
  while (p->epoch < p->epochs && !f->result.cancelled) {
    p->epoch++;
    p->images = 0;
    p->epoch_done = p->improved = 0;
    p->val_loss = p->val_accuracy = NAN;
    int status = train_epoch(f);
    if (status < 0 || f->result.cancelled)
      return status;
    if ((status = validate(f)) < 0 || (status = end_epoch(f)) < 0)
      return status;
    p->epoch_done = 1;
    tell(f);
  }
  return IMGREC_OK;
}

static int read_options(struct fit *f, const imgrec_fit_options *theirs) {
  struct error *e = &f->model->context->error;
  imgrec_fit_options *o = &f->options;
  int batch = (int)f->trainer->plan.batch;
  imgrec_fit_options_init(o, sizeof *o);
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_fit_options");
  if (status < 0)
    return status;
  o->epochs = o->epochs == 0 ? 10 : o->epochs;
  o->batch = o->batch == 0 ? batch : o->batch;
  if (o->epochs < 1)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "epochs is %d; it must be at least 1", (int)o->epochs);
  if (o->batch < 1 || o->batch > batch)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "batch is %d; it must be 1 to the trainer's max_batch "
                        "of %d",
                        (int)o->batch, batch);
  return imgrec__augment_read(&f->augment, e, o->augment);
}

/* A model without class names takes those of what it learns from. */
static int take_labels(struct imgrec_model *m,
                       const struct imgrec_dataset *train) {
  struct allocator *a = &m->context->allocator;
  int classes = imgrec_model_classes(m);
  if (m->labels || imgrec_dataset_classes(train) != classes)
    return IMGREC_OK;
  const char **labels = imgrec__alloc_array(a, (size_t)classes, sizeof *labels);
  if (!labels)
    return imgrec__fail_memory(&m->context->error, a, "the class names");
  for (int i = 0; i < classes; i++)
    labels[i] = imgrec_dataset_label(train, i);
  int status = imgrec_model_set_labels(m, classes, labels);
  imgrec__free(a, labels);
  return status;
}

/* The two sets share the room for images by their sizes. */
static int make_loaders(struct fit *f, struct imgrec_dataset *train) {
  const struct imgrec_model *m = f->model;
  int status = imgrec__loader_create(&f->loader, train, &m->preprocess,
                                     (int)f->options.batch);
  if (status >= 0)
    status =
        imgrec__loader_augment(f->loader, &f->augment, imgrec_model_classes(m));
  if (status >= 0 && f->val)
    status = imgrec__loader_create(&f->val_loader, f->val, &m->preprocess,
                                   (int)m->plan.batch);
  if (status < 0 || f->options.epochs == 1)
    return status;
  int64_t images = train->count, all = images + (f->val ? f->val->count : 0);
  uint64_t share =
      (uint64_t)((double)IMGREC__CACHE_BYTES * (double)images / (double)all);
  imgrec__loader_keep(f->loader, share);
  if (f->val)
    imgrec__loader_keep(f->val_loader, IMGREC__CACHE_BYTES - share);
  return IMGREC_OK;
}

static int prepare(struct fit *f, struct imgrec_dataset *train) {
  struct imgrec_model *m = f->model;
  struct allocator *a = &m->context->allocator;
  int status = imgrec__check_dataset(m, train, "the training set");
  if (status >= 0 && f->val)
    status = imgrec__check_dataset(m, f->val, "the validation set");
  if (status < 0)
    return status;
  f->best = imgrec__alloc_array(a, m->weight_floats, sizeof *f->best);
  if (!f->best)
    return imgrec__fail_memory(&m->context->error, a, "the best weights");
  keep_best(f);
  f->progress.struct_size = sizeof f->progress;
  f->progress.epochs = f->options.epochs;
  f->progress.images_total = imgrec_dataset_size(train);
  f->result.val_loss = f->result.val_accuracy = NAN;
  status = make_loaders(f, train);
  return status < 0 ? status : take_labels(m, train);
}

int imgrec_fit(imgrec_trainer *t, imgrec_dataset *train, imgrec_dataset *val,
               const imgrec_fit_options *options, imgrec_fit_result *result) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  if (!train)
    return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_fit: train is NULL");
  struct fit f = {.trainer = t, .model = t->model, .val = val};
  int status = read_options(&f, options);
  uint64_t fp = imgrec__fp_enter();
  if (status >= 0)
    status = prepare(&f, train);
  if (status >= 0)
    status = epochs(&f);
  if (status < 0)
    imgrec__trainer_reset(t);
  if (f.best && (status < 0 || f.result.best_epoch > 0)) {
    memcpy(t->model->weights, f.best, t->model->weight_floats * sizeof *f.best);
    imgrec__model_changed(t->model);
  }
  imgrec__loader_destroy(f.loader);
  imgrec__loader_destroy(f.val_loader);
  imgrec__free(&t->model->context->allocator, f.best);
  imgrec__fp_leave(fp);
  if (result && (status >= 0 || f.progress.epoch > 0))
    imgrec__options_write(result, &f.result, sizeof f.result);
  return status;
}
