/* SPDX-License-Identifier: MIT */
/* What a trainer goes on from, into a file and back. */
#include <math.h>
#include <string.h>

#include "train.h"

/* One line for each thing that the next step depends on. */
void imgrec__trainer_state(struct state *s, struct imgrec_trainer *t) {
  imgrec_trainer_options *o = &t->options;
  imgrec__state_fixed(s, "trainer.optimizer", FIELD_INT, &o->optimizer);
  imgrec__state_fixed(s, "trainer.accumulate", FIELD_INT, &o->accumulate);
  imgrec__state_fixed(s, "trainer.seed", FIELD_BITS64, &o->seed);
  imgrec__state_field(s, "trainer.learning_rate", FIELD_BITS32,
                      &o->learning_rate);
  imgrec__state_field(s, "trainer.step", FIELD_COUNT, &t->step);
  imgrec__state_field(s, "trainer.updates", FIELD_COUNT, &t->updates);
  imgrec__state_field(s, "trainer.beta1_power", FIELD_BITS64, &t->beta1_power);
  imgrec__state_field(s, "trainer.beta2_power", FIELD_BITS64, &t->beta2_power);
  imgrec__state_vector(s, "optim.moment1.", t->moment1, NULL);
  if (t->moment2)
    imgrec__state_vector(s, "optim.moment2.", t->moment2, NULL);
  if (t->average) {
    imgrec__state_field(s, "trainer.averaged", FIELD_COUNT, &t->averaged);
    imgrec__state_vector(s, "optim.average.", t->average, NULL);
  }
  if (o->accumulate > 1)
    imgrec__state_vector(s, "optim.gradient.", t->gradients, t->places);
}

int imgrec_trainer_save(const imgrec_trainer *trainer, const char *path) {
  if (!trainer)
    return IMGREC_ERR_ARGUMENT;
  /* The list is of what may be changed, by loading. */
  struct imgrec_trainer *t = (struct imgrec_trainer *)(uintptr_t)trainer;
  struct state s = {.count = 0};
  if (!path)
    return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_trainer_save: path is NULL");
  imgrec__trainer_state(&s, t);
  return imgrec__state_save(&s, t->model, path);
}

int imgrec_trainer_load(imgrec_trainer *t, const char *path) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  struct state s = {.count = 0};
  if (!path)
    return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_trainer_load: path is NULL");
  int status = imgrec__model_at_rest(t->model);
  if (status < 0)
    return status;
  imgrec__trainer_state(&s, t);
  uint64_t fp = imgrec__fp_enter();
  status = imgrec__state_load(&s, t->model, path);
  imgrec__fp_leave(fp);
  return status;
}

/* ---- Looking --------------------------------------------------------------
 */

int imgrec_checkpoint_init(imgrec_checkpoint *checkpoint, size_t struct_size) {
  const imgrec_checkpoint defaults = {.struct_size = sizeof defaults,
                                      .train_loss = NAN,
                                      .train_accuracy = NAN,
                                      .val_loss = NAN,
                                      .val_accuracy = NAN};
  return imgrec__options_init(checkpoint, struct_size, &defaults,
                              sizeof defaults);
}

static int read_checkpoint(imgrec_checkpoint *c,
                           const struct checkpoint_file *file) {
  struct state s = {.count = 0};
  double loss_sum = 0;
  int64_t correct = 0;
  imgrec__state_field(&s, "fit.epoch", FIELD_INT, &c->epoch);
  imgrec__state_field(&s, "fit.epochs", FIELD_INT, &c->epochs);
  imgrec__state_field(&s, "fit.epoch_done", FIELD_INT, &c->epoch_done);
  imgrec__state_field(&s, "fit.images", FIELD_INDEX, &c->images);
  imgrec__state_field(&s, "fit.train_images", FIELD_INDEX, &c->images_total);
  imgrec__state_field(&s, "fit.loss_sum", FIELD_BITS64, &loss_sum);
  imgrec__state_field(&s, "fit.correct", FIELD_INDEX, &correct);
  imgrec__state_field(&s, "fit.best_epoch", FIELD_INT, &c->best_epoch);
  imgrec__state_field(&s, "fit.val_loss", FIELD_BITS32, &c->val_loss);
  imgrec__state_field(&s, "fit.val_accuracy", FIELD_BITS32, &c->val_accuracy);
  int status = imgrec__state_read(&s, file);
  if (status >= 0 && c->images > 0) {
    c->train_loss = (float)(loss_sum / (double)c->images);
    c->train_accuracy = (float)((double)correct / (double)c->images);
  }
  return status;
}

int imgrec_checkpoint_read(imgrec_context *ctx, const char *path,
                           imgrec_checkpoint *out) {
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &ctx->error;
  struct checkpoint_file file;
  imgrec_checkpoint c;
  if (!path || !out)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_checkpoint_read: path or out is NULL");
  imgrec_checkpoint_init(&c, sizeof c);
  int status = imgrec__checkpoint_open(&file, ctx, path);
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = read_checkpoint(&c, &file);
  imgrec__fp_leave(fp);
  imgrec__checkpoint_close(&file);
  if (status < 0)
    return imgrec__fail_prefix(e, status, "%s", path);
  imgrec__options_write(out, &c, sizeof c);
  return IMGREC_OK;
}
