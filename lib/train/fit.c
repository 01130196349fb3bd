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
  struct schedule schedule;
  uint64_t epoch_steps, step; /* steps an epoch; done of this one */
  float *class_weights;       /* or NULL */
  int32_t waited;             /* epochs since the best one */
  int64_t train_images, val_images;
  struct store *store;         /* of the training images */
  unsigned char *bad_at_start; /* store->bad when the epoch began, or NULL */
  unsigned char *bad;          /* the same when the checkpoint was made */
  int inside;                  /* an epoch goes on where a checkpoint was */
};

static void keep_best(struct fit *f) {
  memcpy(f->best, f->model->weights, f->model->weight_floats * sizeof *f->best);
}

/* ---- Checkpoints --------------------------------------------------------- */

/* One line for each thing that the rest of training depends on. */
static void list_state(struct fit *f, struct state *s) {
  imgrec_progress *p = &f->progress;
  imgrec_fit_result *r = &f->result;
  imgrec__trainer_state(s, f->trainer);
  imgrec__state_fixed(s, "fit.seed", FIELD_BITS64, &f->options.seed);
  imgrec__state_fixed(s, "fit.batch", FIELD_INT, &f->options.batch);
  imgrec__state_fixed(s, "fit.train_images", FIELD_INDEX, &f->train_images);
  imgrec__state_fixed(s, "fit.val_images", FIELD_INDEX, &f->val_images);
  imgrec__state_field(s, "fit.epochs", FIELD_INT, &p->epochs);
  imgrec__state_field(s, "fit.epoch", FIELD_INT, &p->epoch);
  imgrec__state_field(s, "fit.epoch_done", FIELD_INT, &p->epoch_done);
  imgrec__state_field(s, "fit.images", FIELD_INDEX, &p->images);
  imgrec__state_field(s, "fit.loss_sum", FIELD_BITS64, &f->loss_sum);
  imgrec__state_field(s, "fit.correct", FIELD_INDEX, &f->correct);
  imgrec__state_field(s, "fit.completed", FIELD_INT, &r->epochs);
  imgrec__state_field(s, "fit.best_epoch", FIELD_INT, &r->best_epoch);
  imgrec__state_field(s, "fit.train_loss", FIELD_BITS32, &r->train_loss);
  imgrec__state_field(s, "fit.val_loss", FIELD_BITS32, &r->val_loss);
  imgrec__state_field(s, "fit.val_accuracy", FIELD_BITS32, &r->val_accuracy);
  imgrec__state_fixed(s, "fit.schedule", FIELD_INT, &f->schedule.kind);
  imgrec__state_fixed(s, "fit.rate", FIELD_BITS32, &f->schedule.rate);
  imgrec__state_fixed(s, "fit.balance", FIELD_INT, &f->options.balance);
  imgrec__state_field(s, "fit.learning_rate", FIELD_BITS32, &p->learning_rate);
  imgrec__state_field(s, "fit.step", FIELD_COUNT, &f->step);
  imgrec__state_field(s, "fit.waited", FIELD_INT, &f->waited);
  imgrec__state_vector(s, "best.", f->best, NULL);
}

/* Images that could not be read: they have no place in the order. */
static void list_bad(struct fit *f, struct state *s, unsigned char *bad) {
  int64_t count = f->bad_at_start ? f->store->count : 0;
  imgrec__state_mask(s, "fit.left_out_before", f->bad_at_start, count);
  imgrec__state_mask(s, "fit.left_out", bad, count);
}

/* That a file cannot be written ends nothing: it is tried anew when one is due
 * again. */
static void note_written(struct fit *f, int status) {
  const struct imgrec_context *ctx = f->model->context;
  f->progress.checkpoint_status = f->result.checkpoint_status = status;
  if (status < 0)
    imgrec__log(ctx, IMGREC_LOG_WARNING,
                "%s; training goes on and will try again", ctx->error.text);
}

static void write_checkpoint(struct fit *f) {
  struct state s = {.count = 0};
  if (!f->options.checkpoint)
    return;
  list_state(f, &s);
  list_bad(f, &s, f->store->bad);
  note_written(f, imgrec__state_save(&s, f->model, f->options.checkpoint));
}

static void write_best(struct fit *f) {
  if (f->options.best)
    note_written(f, imgrec_model_save(f->model, f->options.best));
}

static void set_means(struct fit *f) {
  imgrec_progress *p = &f->progress;
  double images = (double)p->images;
  if (p->images == 0)
    return;
  p->train_loss = (float)(f->loss_sum / images);
  p->train_accuracy = (float)((double)f->correct / images);
}

static int read_checkpoint(struct fit *f) {
  struct state s = {.count = 0};
  imgrec_progress *p = &f->progress;
  int32_t wanted = p->epochs;
  if (!f->options.resume)
    return IMGREC_OK;
  list_state(f, &s);
  list_bad(f, &s, f->bad);
  int status = imgrec__state_load(&s, f->model, f->options.resume);
  p->epochs = wanted;
  if (status >= 0 && f->bad) /* the sampler's order leaves them out */
    memcpy(f->store->bad, f->bad, (size_t)f->store->count);
  f->inside = status >= 0 && p->epoch > 0 && !p->epoch_done;
  set_means(f);
  return status;
}

/* Tells the host; 1 when it wants to stop. */
static int tell(struct fit *f) {
  imgrec_progress p = f->progress;
  if (!f->options.progress)
    return 0;
  int answer = f->options.progress(f->options.progress_user, &p);
  if (answer == IMGREC_FIT_CHECKPOINT && !p.epoch_done)
    write_checkpoint(f);
  f->result.cancelled |=
      answer != IMGREC_FIT_GO_ON && answer != IMGREC_FIT_CHECKPOINT;
  return f->result.cancelled;
}

/* ---- Epochs -------------------------------------------------------------- */

static int fail_diverged(const struct fit *f) {
  return imgrec__fail(&f->model->context->error, IMGREC_ERR_DIVERGED,
                      "the loss is no longer finite in epoch %d; try a "
                      "smaller learning rate",
                      (int)f->progress.epoch);
}

/* Of epoch and step alone, also where an epoch had fewer steps as images were
 * left out. */
static void set_rate(struct fit *f) {
  uint64_t before = (uint64_t)(f->progress.epoch - 1) * f->epoch_steps;
  float rate = imgrec__schedule_rate(&f->schedule, before + f->step);
  f->trainer->options.learning_rate = f->progress.learning_rate = rate;
  f->step++;
}

static int train_batch(struct fit *f, const float *x, const int32_t *labels,
                       size_t n) {
  struct imgrec_trainer *t = f->trainer;
  const float *mixed = imgrec__loader_targets(f->loader);
  const struct targets targets = {.classes = mixed ? NULL : labels,
                                  .probabilities = mixed,
                                  .weights = f->class_weights};
  set_rate(f);
  imgrec__trainer_step(t, x, &targets, n);
  f->loss_sum += t->loss_sum;
  f->correct += (int64_t)t->correct;
  f->progress.images += (int64_t)n;
  set_means(f);
  return isfinite(t->loss_sum) ? IMGREC_OK : fail_diverged(f);
}

/* The epoch's images in their order, behind those that a checkpoint has seen.
 * What could not be read when the epoch began has no place in the order; what
 * failed since then has, and was left out. */
static int start_images(struct fit *f) {
  unsigned char *bad = f->store->bad;
  size_t count = (size_t)f->store->count;
  if (bad && f->inside)
    memcpy(bad, f->bad_at_start, count);
  else if (bad)
    memcpy(f->bad_at_start, bad, count);
  int status = imgrec__loader_start(f->loader, 1, f->options.seed,
                                    (uint64_t)f->progress.epoch);
  if (bad && f->inside)
    memcpy(bad, f->bad, count);
  if (status >= 0 && f->inside)
    status = imgrec__loader_skip(f->loader, f->progress.images);
  f->inside = 0;
  return status;
}

static int train_epoch(struct fit *f) {
  const float *x;
  const int32_t *labels;
  size_t n;
  int status = start_images(f);
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
  f->waited = p->improved ? 0 : f->waited + 1;
  if (!p->improved)
    return IMGREC_OK;
  f->result.best_epoch = p->epoch;
  f->result.val_loss = p->val_loss;
  f->result.val_accuracy = p->val_accuracy;
  keep_best(f);
  write_best(f);
  return IMGREC_OK;
}

/* On the averages of weights, where those are kept. */
static int measure_epoch(struct fit *f) {
  imgrec__swap_average(f->trainer);
  int status = validate(f);
  if (status >= 0)
    status = end_epoch(f);
  imgrec__swap_average(f->trainer);
  return status;
}

static int is_over(struct fit *f) {
  const imgrec_fit_options *o = &f->options;
  f->result.stopped_early = o->patience > 0 && f->waited >= o->patience &&
                            f->progress.epoch < o->epochs;
  return f->progress.epoch >= o->epochs || f->result.stopped_early ||
         f->result.cancelled;
}

static void begin_epoch(struct fit *f) {
  imgrec_progress *p = &f->progress;
  p->epoch++;
  p->images = 0;
  p->epoch_done = p->improved = 0;
  p->val_loss = p->val_accuracy = NAN;
  f->loss_sum = 0;
  f->correct = 0;
  f->step = 0;
}

static int epochs(struct fit *f) {
  imgrec_progress *p = &f->progress;
  while (f->inside || !is_over(f)) {
    if (!f->inside)
      begin_epoch(f);
    int status = train_epoch(f);
    if (f->result.cancelled)
      write_checkpoint(f);
    if (status < 0 || f->result.cancelled)
      return status;
    if ((status = measure_epoch(f)) < 0)
      return status;
    p->epoch_done = 1;
    tell(f);
    write_checkpoint(f);
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
  if (o->patience < 0 || (o->patience > 0 && !f->val))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "patience must be 0, or positive with a validation "
                        "set to be patient with");
  if (o->balance < IMGREC_BALANCE_NONE || o->balance > IMGREC_BALANCE_SAMPLER)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "balance must be an IMGREC_BALANCE_ value");
  if ((status = imgrec__schedule_check(o, e)) < 0 ||
      (status = imgrec__check_reserved(e, o->reserved, "imgrec_fit_options")) <
          0)
    return status;
  return imgrec__augment_read(&f->augment, e, o->augment);
}

/* images / (classes that have any * images of the class) */
static void set_class_weights(float *weights, int64_t *counts, int classes,
                              const struct imgrec_dataset *train) {
  int present = 0;
  for (int64_t i = 0; i < train->count; i++)
    counts[imgrec_dataset_class(train, i)]++;
  for (int c = 0; c < classes; c++)
    present += counts[c] > 0;
  for (int c = 0; c < classes; c++) {
    double even = (double)train->count / present;
    weights[c] = counts[c] > 0 ? (float)(even / (double)counts[c]) : 1;
  }
}

static int weigh_classes(struct fit *f, const struct imgrec_dataset *train) {
  struct imgrec_context *ctx = f->model->context;
  struct allocator *a = &ctx->allocator;
  size_t classes = (size_t)imgrec_model_classes(f->model);
  int64_t *counts = imgrec__alloc_zero(a, classes * sizeof *counts);
  f->class_weights = imgrec__alloc_array(a, classes, sizeof(float));
  if (counts && f->class_weights)
    set_class_weights(f->class_weights, counts, (int)classes, train);
  int failed = !counts || !f->class_weights;
  imgrec__free(a, counts);
  return failed ? imgrec__fail_memory(&ctx->error, a, "the weights of classes")
                : IMGREC_OK;
}

static int balance(struct fit *f, const struct imgrec_dataset *train) {
  if (f->options.balance == IMGREC_BALANCE_WEIGHTS)
    return weigh_classes(f, train);
  if (f->options.balance == IMGREC_BALANCE_SAMPLER)
    return imgrec__loader_balance(f->loader);
  return IMGREC_OK;
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
  uint64_t room =
      imgrec__cache_room(&m->context->allocator, f->options.cache_bytes);
  int64_t images = train->count, all = images + (f->val ? f->val->count : 0);
  uint64_t share = (uint64_t)((double)room * (double)images / (double)all);
  imgrec__loader_keep(f->loader, share);
  if (f->val)
    imgrec__loader_keep(f->val_loader, room - share);
  return IMGREC_OK;
}

/* Where no image can fail there are no marks. */
static int make_marks(struct fit *f, struct imgrec_dataset *train) {
  struct imgrec_context *ctx = f->model->context;
  size_t count = (size_t)train->store->count;
  f->store = train->store;
  if (!f->store->bad)
    return IMGREC_OK;
  f->bad_at_start = imgrec__alloc_zero(&ctx->allocator, count);
  f->bad = imgrec__alloc_zero(&ctx->allocator, count);
  return f->bad && f->bad_at_start
             ? IMGREC_OK
             : imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                   "the marks of unreadable images");
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
  f->progress.images_total = f->train_images = imgrec_dataset_size(train);
  f->val_images = f->val ? imgrec_dataset_size(f->val) : 0;
  f->progress.val_loss = f->progress.val_accuracy = NAN;
  f->result.val_loss = f->result.val_accuracy = NAN;
  f->epoch_steps = ceil_div((size_t)train->count, (size_t)f->options.batch);
  f->schedule = imgrec__schedule_of(
      &f->options, f->trainer->options.learning_rate, f->epoch_steps);
  status = make_loaders(f, train);
  if (status >= 0)
    status = balance(f, train);
  if (status >= 0)
    status = make_marks(f, train);
  if (status >= 0)
    status = take_labels(m, train);
  return status < 0 ? status : read_checkpoint(f);
}

/* The model gets the best weights: from an average, training begins anew.
 * Cancelled in the first epoch, there is only what is. */
static void take_weights(struct fit *f, int status) {
  struct imgrec_trainer *t = f->trainer;
  if (status >= 0 && f->result.best_epoch == 0) {
    imgrec__swap_average(t);
  } else {
    memcpy(f->model->weights, f->best,
           f->model->weight_floats * sizeof *f->best);
    imgrec__model_changed(f->model);
  }
  t->averaged = 0;
}

int imgrec_fit(imgrec_trainer *t, imgrec_dataset *train, imgrec_dataset *val,
               const imgrec_fit_options *options, imgrec_fit_result *result) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  if (!train)
    return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_fit: train is NULL");
  int status = imgrec__model_at_rest(t->model);
  if (status < 0)
    return status;
  struct fit f = {.trainer = t, .model = t->model, .val = val};
  uint64_t fp = imgrec__fp_enter();
  status = read_options(&f, options);
  if (status >= 0)
    status = prepare(&f, train);
  if (status >= 0)
    status = epochs(&f);
  if (status < 0)
    imgrec__trainer_reset(t);
  if (f.best)
    take_weights(&f, status);
  if (f.schedule.rate > 0)
    t->options.learning_rate = f.schedule.rate;
  imgrec__loader_destroy(f.loader);
  imgrec__loader_destroy(f.val_loader);
  imgrec__free(&t->model->context->allocator, f.class_weights);
  imgrec__free(&t->model->context->allocator, f.bad_at_start);
  imgrec__free(&t->model->context->allocator, f.bad);
  imgrec__free(&t->model->context->allocator, f.best);
  imgrec__fp_leave(fp);
  if (result && (status >= 0 || f.progress.epoch > 0))
    imgrec__options_write(result, &f.result, sizeof f.result);
  return status;
}
