/* SPDX-License-Identifier: MIT */
/* A trainer: its options and its memory. */
#include <math.h>
#include <string.h>

#include "train.h"

enum { MAX_ACCUMULATE = 65536 };

/* ---- Options ------------------------------------------------------------- */

int imgrec_trainer_options_init(imgrec_trainer_options *options,
                                size_t struct_size) {
  const imgrec_trainer_options defaults = {
      .struct_size = sizeof defaults,
      .max_batch = 32,
      .momentum = 0.9F,
      .beta1 = 0.9F,
      .beta2 = 0.999F,
      .epsilon = 1e-7F,
      .accumulate = 1,
  };
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

static int fail_range(struct error *e, const char *name, const char *range) {
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "%s must be %s", name, range);
}

static int in_unit(float x) { return x >= 0 && x < 1; }

static int is_amount(float x) { return x >= 0 && isfinite(x); }

static int check_regularization(struct error *e,
                                const imgrec_trainer_options *o) {
  if (o->nesterov && (o->optimizer != IMGREC_OPTIMIZER_SGD || o->momentum == 0))
    return fail_range(e, "nesterov", "0 but for SGD with momentum");
  if (!is_amount(o->weight_decay))
    return fail_range(e, "weight_decay", "0 or a positive number");
  if (!in_unit(o->label_smoothing))
    return fail_range(e, "label_smoothing", "in [0, 1)");
  if (!is_amount(o->clip_norm))
    return fail_range(e, "clip_norm", "0 or a positive number");
  if (!in_unit(o->ema_decay))
    return fail_range(e, "ema_decay", "in [0, 1)");
  if (!(o->layer_decay >= 0 && o->layer_decay <= 1))
    return fail_range(e, "layer_decay", "in [0, 1]");
  return imgrec__check_reserved(e, o->reserved, "imgrec_trainer_options");
}

static int check_options(struct error *e, const imgrec_trainer_options *o) {
  if (o->optimizer < IMGREC_OPTIMIZER_ADAM ||
      o->optimizer > IMGREC_OPTIMIZER_ADAMW)
    return fail_range(e, "optimizer", "an IMGREC_OPTIMIZER_ value");
  if (o->max_batch < 1 || o->max_batch > IMGREC__MAX_BATCH)
    return fail_range(e, "max_batch", "1 to 65536");
  if (!(o->learning_rate > 0) || !isfinite(o->learning_rate))
    return fail_range(e, "learning_rate", "a positive number");
  if (!in_unit(o->momentum))
    return fail_range(e, "momentum", "in [0, 1)");
  if (!in_unit(o->beta1) || !in_unit(o->beta2))
    return fail_range(e, "beta1 and beta2", "in [0, 1)");
  if (!(o->epsilon > 0) || !isfinite(o->epsilon))
    return fail_range(e, "epsilon", "a positive number");
  if (o->accumulate < 1 || o->accumulate > MAX_ACCUMULATE)
    return fail_range(e, "accumulate", "1 to 65536");
  return check_regularization(e, o);
}

static int read_options(struct error *e, imgrec_trainer_options *o,
                        const imgrec_trainer_options *theirs) {
  imgrec_trainer_options_init(o, sizeof *o);
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_trainer_options");
  if (status < 0)
    return status;
  if (o->max_batch == 0)
    o->max_batch = 32;
  if (o->learning_rate == 0)
    o->learning_rate = o->optimizer == IMGREC_OPTIMIZER_SGD ? 0.01F : 0.001F;
  if (o->accumulate == 0)
    o->accumulate = 1;
  return check_options(e, o);
}

/* ---- Life ---------------------------------------------------------------- */

static int make_memory(struct imgrec_trainer *t) {
  struct imgrec_context *ctx = t->model->context;
  struct allocator *a = &ctx->allocator;
  const struct graph *g = &t->model->graph;
  size_t bytes = t->model->weight_floats * sizeof(float);
  int adam = t->options.optimizer != IMGREC_OPTIMIZER_SGD;
  int status = imgrec__plan_create(&t->plan, a, &ctx->error, g,
                                   (size_t)t->options.max_batch, 1);
  if (status < 0)
    return status;
  t->arena = imgrec__alloc_array(a, t->plan.floats, sizeof *t->arena);
  t->places = imgrec__alloc_array(a, (size_t)g->node_count, sizeof *t->places);
  if (t->places)
    t->gradient_floats = imgrec__place_gradients(g, !t->fused, t->places);
  t->gradients = imgrec__alloc_zero(a, t->gradient_floats * sizeof(float));
  t->moment1 = imgrec__alloc_zero(a, bytes);
  t->moment2 = adam ? imgrec__alloc_zero(a, bytes) : NULL;
  t->piece_ms =
      imgrec__alloc_zero(a, 2 * (size_t)g->node_count * sizeof *t->piece_ms);
  if (!t->arena || !t->places || !t->gradients || !t->moment1 ||
      (adam && !t->moment2) || !t->piece_ms)
    return imgrec__fail_memory(&ctx->error, a, "the trainer");
  return imgrec__optimizer_create(t);
}

static int create(struct imgrec_trainer **out, struct imgrec_model *model,
                  const imgrec_trainer_options *options, int fused) {
  struct imgrec_context *ctx = model->context;
  imgrec_trainer_options o;
  int status = read_options(&ctx->error, &o, options);
  if (status < 0 ||
      (status = imgrec__model_may_change(model, "cannot be trained")) < 0)
    return status;
  if (!imgrec__learns(&model->graph))
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "the model cannot be trained: it has no weights, or "
                        "all its layers are frozen");
  struct imgrec_trainer *t = imgrec__alloc_zero(&ctx->allocator, sizeof *t);
  if (!t)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the trainer");
  t->model = model;
  t->options = o;
  t->fused = fused && imgrec__can_fuse(&o);
  t->beta1_power = t->beta2_power = 1;
  imgrec__model_retain(model);
  status = make_memory(t);
  if (status < 0) {
    imgrec_trainer_destroy(t);
    return status;
  }
  model->weight_type = IMGREC_WEIGHTS_F32; /* which no step keeps rounded */
  imgrec__model_uncalibrate(model);
  *out = t;
  return IMGREC_OK;
}

int imgrec__trainer_new(struct imgrec_trainer **out, struct imgrec_model *model,
                        const imgrec_trainer_options *options, int fused) {
  if (!model)
    return IMGREC_ERR_ARGUMENT;
  if (!out)
    return imgrec__fail(&model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_trainer_create: out is NULL");
  uint64_t fp = imgrec__fp_enter();
  int status = create(out, model, options, fused);
  imgrec__fp_leave(fp);
  return status;
}

int imgrec_trainer_create(imgrec_trainer **out, imgrec_model *model,
                          const imgrec_trainer_options *options) {
  return imgrec__trainer_new(out, model, options, 1);
}

void imgrec_trainer_destroy(imgrec_trainer *t) {
  if (!t)
    return;
  struct allocator *a = &t->model->context->allocator;
  imgrec_trainer_abandon(t);
  imgrec__optimizer_free(t);
  imgrec__plan_free(&t->plan);
  imgrec__free(a, t->arena);
  imgrec__free(a, t->places);
  imgrec__free(a, t->gradients);
  imgrec__free(a, t->moment1);
  imgrec__free(a, t->moment2);
  imgrec__free(a, t->piece_ms);
  struct imgrec_model *model = t->model;
  imgrec__free(a, t);
  imgrec_model_destroy(model);
}

static int set_learning_rate(struct imgrec_trainer *t, float learning_rate) {
  if (!(learning_rate > 0) || !isfinite(learning_rate))
    return fail_range(&t->model->context->error, "learning_rate",
                      "a positive number");
  int status = imgrec__model_at_rest(t->model);
  if (status >= 0)
    t->options.learning_rate = learning_rate;
  return status;
}

int imgrec_trainer_set_learning_rate(imgrec_trainer *t, float learning_rate) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = set_learning_rate(t, learning_rate);
  imgrec__fp_leave(fp);
  return status;
}

void imgrec__trainer_reset(struct imgrec_trainer *t) {
  size_t bytes = t->model->weight_floats * sizeof(float);
  uint64_t every = (uint64_t)t->options.accumulate;
  memset(t->moment1, 0, bytes);
  if (t->moment2)
    memset(t->moment2, 0, bytes);
  t->step = (t->step + every - 1) / every * every;
  t->updates = 0;
  t->averaged = 0;
  t->beta1_power = t->beta2_power = 1;
}
