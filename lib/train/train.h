/* SPDX-License-Identifier: MIT */
/* Floor 7: the loss, the optimisers, and the loop over epochs. */
#ifndef IMGREC_TRAIN_H
#define IMGREC_TRAIN_H

#include "data/data.h"
#include "format/format.h"
#include "model/graph.h"

/* ---- step.c, loss.c ------------------------------------------------------ */

/* What the right answers are: exactly one of the first two.  The target of
 * class c is then
 *   t' = weights[c] ((1 - smoothing) t + smoothing / classes) */
struct targets {
  const int32_t *classes;     /* N */
  const float *probabilities; /* N x classes */
  float smoothing;
  const float *weights; /* a number a class, or NULL for ones */
};

enum step_phase {
  STEP_NONE, /* none is under way */
  STEP_FORWARD,
  STEP_LOSS,
  STEP_BACKWARD,
  STEP_UPDATE,
  STEP_DONE
};

/* How far an update of all weights is: sweeps over them, one after another. */
struct sweeps {
  int sweep;
  size_t floats; /* of this one */
};

/* A training step, and what is next in it. */
struct step {
  enum step_phase phase;
  int node;    /* of forward or backward */
  int updates; /* whether it ends in an update */
  struct sweeps done;
  const struct imgrec_tensor *images, *labels; /* of one that goes on later */
  struct pass pass;
  struct targets targets;
  struct update update;
};

struct imgrec_trainer {
  struct imgrec_model *model;
  imgrec_trainer_options options;
  struct plan plan;
  float *arena;
  float *moment1, *moment2; /* as the model's weights lie */
  float *gradients;
  size_t gradient_floats;
  struct gradient_place *places; /* of gradients: one a node */
  int fused;        /* whether backward updates what has no place */
  uint64_t step;    /* forward and backward passes done */
  uint64_t updates; /* of the weights */
  double beta1_power, beta2_power; /* beta^updates */
  struct node_rules *rules;        /* one a node */
  double *squares;   /* of gradients, a sum for each piece; with clip_norm */
  float *average;    /* of the weights, with ema_decay, else NULL */
  uint64_t averaged; /* updates in it */
  struct step under_way;
  float *piece_ms; /* what pieces of a step took (step.c) */
  /* Of the last step. */
  double loss_sum;
  size_t correct;
};

/* ---- state.c: all that training goes on from ---------------------------- */

enum field_kind {
  FIELD_COUNT,  /* uint64_t up to 2^63 - 1 */
  FIELD_INDEX,  /* int64_t from 0 on */
  FIELD_INT,    /* int32_t from 0 on */
  FIELD_BITS64, /* uint64_t or double */
  FIELD_BITS32, /* float */
  FIELD_MASK    /* `count` bytes, each 0 or 1 */
};

struct field {
  const char *name; /* "fit.epoch" */
  enum field_kind kind;
  int fixed; /* what a file says must be what is here */
  void *value;
  int64_t count;
};

enum { FIELDS_MAX = 64 };

/* Named numbers, and vectors beside the weights: a checkpoint has all of them,
 * and so must a file that training goes on from. */
struct state {
  struct field fields[FIELDS_MAX];
  size_t count;
  struct checkpoint vectors;
};

void imgrec__state_field(struct state *s, const char *name,
                         enum field_kind kind, void *value);
/* One that goes into a file only to be compared. */
void imgrec__state_fixed(struct state *s, const char *name,
                         enum field_kind kind, void *value);
void imgrec__state_mask(struct state *s, const char *name, unsigned char *mask,
                        int64_t count);
void imgrec__state_vector(struct state *s, const char *prefix, float *values,
                          const struct gradient_place *places);
/* Both name `path` in their sentence.  Where reading fails, nothing has
 * changed. */
int imgrec__state_save(struct state *s, const struct imgrec_model *m,
                       const char *path);
int imgrec__state_load(struct state *s, struct imgrec_model *m,
                       const char *path);
/* The fields alone, from an open file. */
int imgrec__state_read(const struct state *s,
                       const struct checkpoint_file *file);

/* checkpoint.c: what a trainer has of it. */
void imgrec__trainer_state(struct state *s, struct imgrec_trainer *t);

/* ---- loss.c -------------------------------------------------------------- */

/* Softmax cross-entropy of N rows of logits, each
 *   loss = log(sum of exp(z)) sum(t) - sum of t z
 * and, where dz is not NULL, its gradient by z times `scale`:
 *   dz = (softmax(z) sum(t) - t) scale
 * (sum(t) is taken as 1 where targets are neither smoothed nor weighted).
 * Adds the losses to *loss_sum in the order of rows and counts in *correct the
 * rows whose greatest logit (the first of equals) is the target's. */
void imgrec__cross_entropy(struct imgrec_context *ctx, const float *z,
                           const struct targets *t, size_t n, size_t classes,
                           float scale, float *dz, double *loss_sum,
                           size_t *correct);
/* ---- optimizer.c -------------------------------------------------------- */

/* Whether dense layers may update themselves within backward. */
int imgrec__can_fuse(const imgrec_trainer_options *o);
/* Memory and rules for what the options ask, to the trainer. */
int imgrec__optimizer_create(struct imgrec_trainer *t);
void imgrec__optimizer_free(struct imgrec_trainer *t);
/* The next update, which counts as done. */
struct update imgrec__optimizer_next(struct imgrec_trainer *t);
/* Goes on with what backward left, gradients clipped and the average moved, by
 * about as many floats; returns whether that was the end. */
int imgrec__optimizer_go_on(struct imgrec_trainer *t, struct update *u,
                            struct sweeps *done, size_t floats);
/* imgrec_trainer_swap_average; nothing where there is none. */
void imgrec__swap_average(struct imgrec_trainer *t);

/* ---- schedule.c --------------------------------------------------------- */

struct schedule {
  int kind;                    /* IMGREC_SCHEDULE_* */
  float rate;                  /* of factor 1 */
  double total, warmup, every; /* steps */
  double factor, end;          /* every so many steps; at the last one */
};

int imgrec__schedule_check(const imgrec_fit_options *o, struct error *e);
struct schedule imgrec__schedule_of(const imgrec_fit_options *o, float rate,
                                    uint64_t steps_per_epoch);
/* Of a step, counted from 0. */
float imgrec__schedule_rate(const struct schedule *s, uint64_t step);

/* ---- loss.c, trainer.c, evaluate.c -------------------------------------- */

/* score.c.  The quotients of one class from its counts, their means over those
 * that have images, and answers by their probability. */
void imgrec__score_class(imgrec_class_score *s);
imgrec_class_score imgrec__score_macro(const imgrec_class_score *scores,
                                       size_t classes);
void imgrec__reliability_add(imgrec_reliability *bins, float probability,
                             int right);
double imgrec__calibration_error(const imgrec_reliability *bins);
/* imgrec_trainer_create, which has `fused` set: weights are updated during
 * backward where a node can do that and no gradients accumulate. */
int imgrec__trainer_new(struct imgrec_trainer **out, struct imgrec_model *model,
                        const imgrec_trainer_options *options, int fused);
/* Whether the model can train or be measured on this; `what` names it. */
int imgrec__check_dataset(const struct imgrec_model *m,
                          const struct imgrec_dataset *dataset,
                          const char *what);
/* imgrec_evaluate under imgrec__fp_enter; loader: of the data set with batches
 * that the model takes, or NULL. */
int imgrec__evaluate(struct imgrec_model *m, struct imgrec_dataset *dataset,
                     struct loader *loader, imgrec_evaluation *out);
/* Forgets moments and gradients: training begins anew from these weights. */
void imgrec__trainer_reset(struct imgrec_trainer *t);
/* A loss that is not finite makes no update.
 * One step, under imgrec__fp_enter; all arguments are already checked. */
void imgrec__trainer_step(struct imgrec_trainer *t, const float *x,
                          const struct targets *targets, size_t batch);

#endif
