/* SPDX-License-Identifier: MIT */
/* From gradients to weights: rates and decay of each layer, clipping, the
 * update, and the weights' moving average. */
#include <math.h>
#include <string.h>

#include "train.h"

enum { UPDATE_PIECE = 16384 }; /* weights a task */
enum { SUM_LANES = 16 };       /* which divide a piece and all gradients */

/* ---- Rules -------------------------------------------------------------- */

static int has_weights(const struct node *n) {
  return n->param_count > 0 && n->params[0].fill == FILL_RANDOM;
}

/* Weights decay; biases and what batch norm has do if asked. */
static void set_decays(struct imgrec_trainer *t) {
  const struct graph *g = &t->model->graph;
  for (int i = 0; i < g->node_count; i++)
    for (int k = 0; k < NODE_MAX_PARAMS; k++) {
      const struct param *p = &g->nodes[i].params[k];
      t->rules[i].of[k].decays = p->fill == FILL_RANDOM || t->options.decay_all;
    }
}

static void set_rate(struct node_rules *r, float rate) {
  for (int k = 0; k < NODE_MAX_PARAMS; k++)
    r->of[k].rate = rate;
}

/* From the last layer with weights backwards; a batch norm goes with the
 * weights before it. */
static void set_rates(struct imgrec_trainer *t) {
  const struct graph *g = &t->model->graph;
  float decay = t->options.layer_decay, rate = 1;
  for (int i = g->node_count - 1; i >= 0; i--) {
    set_rate(&t->rules[i], rate);
    if (decay > 0 && has_weights(&g->nodes[i]))
      rate *= decay;
  }
}

static int set_layer_rate(struct imgrec_trainer *t, const char *prefix,
                          float factor) {
  struct error *e = &t->model->context->error;
  const struct graph *g = &t->model->graph;
  int count = 0;
  if (!prefix)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_trainer_set_layer_rate: prefix is NULL");
  if (!(factor > 0 && factor <= 1000))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "the factor of a learning rate must be in (0, 1000]");
  int status = imgrec__model_at_rest(t->model);
  if (status < 0)
    return status;
  for (int i = 0; i < g->node_count; i++)
    if (imgrec__layer_begins(&g->nodes[i], prefix)) {
      set_rate(&t->rules[i], factor);
      count++;
    }
  if (count == 0)
    return imgrec__fail(e, IMGREC_ERR_NOT_FOUND,
                        "no layer with weights begins with '%.60s'", prefix);
  return count;
}

int imgrec_trainer_set_layer_rate(imgrec_trainer *t, const char *prefix,
                                  float factor) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = set_layer_rate(t, prefix, factor);
  imgrec__fp_leave(fp);
  return status;
}

/* ---- Memory ------------------------------------------------------------- */

int imgrec__can_fuse(const imgrec_trainer_options *o) {
  return o->accumulate == 1 && o->clip_norm == 0;
}

int imgrec__optimizer_create(struct imgrec_trainer *t) {
  struct imgrec_context *ctx = t->model->context;
  struct allocator *a = &ctx->allocator;
  const imgrec_trainer_options *o = &t->options;
  size_t pieces = ceil_div(t->gradient_floats, UPDATE_PIECE);
  t->rules = imgrec__alloc_zero(a, (size_t)t->model->graph.node_count *
                                       sizeof *t->rules);
  if (o->clip_norm > 0)
    t->squares = imgrec__alloc_array(a, pieces, sizeof *t->squares);
  if (o->ema_decay > 0)
    /* zero between the parameters too, which a checkpoint does not fill */
    t->average =
        imgrec__alloc_zero(a, t->model->weight_floats * sizeof *t->average);
  if (!t->rules || (o->clip_norm > 0 && !t->squares) ||
      (o->ema_decay > 0 && !t->average))
    return imgrec__fail_memory(&ctx->error, a, "the trainer");
  set_decays(t);
  set_rates(t);
  return IMGREC_OK;
}

void imgrec__optimizer_free(struct imgrec_trainer *t) {
  struct allocator *a = &t->model->context->allocator;
  imgrec__free(a, t->rules);
  imgrec__free(a, t->squares);
  imgrec__free(a, t->average);
}

/* ---- Update ------------------------------------------------------------- */

/* Keras' Adam: rate = lr sqrt(1 - beta2^t) / (1 - beta1^t).  AdamW adds
 * epsilon to the corrected root: here, to the uncorrected one, as much less. */
static void correct_bias(struct imgrec_trainer *t, struct update *u) {
  const imgrec_trainer_options *o = &t->options;
  t->beta1_power *= (double)o->beta1;
  t->beta2_power *= (double)o->beta2;
  double root = sqrt(1 - t->beta2_power);
  u->rate = (float)((double)o->learning_rate * root / (1 - t->beta1_power));
  if (o->optimizer == IMGREC_OPTIMIZER_ADAMW)
    u->epsilon = (float)((double)o->epsilon * root);
}

struct update imgrec__optimizer_next(struct imgrec_trainer *t) {
  const imgrec_trainer_options *o = &t->options;
  int decoupled = o->optimizer == IMGREC_OPTIMIZER_ADAMW;
  struct update u = {.kernels = t->model->context->kernels,
                     .weights = t->model->weights,
                     .moment1 = t->moment1,
                     .moment2 = t->moment2,
                     .rate = o->learning_rate,
                     .momentum = o->momentum,
                     .beta1 = o->beta1,
                     .beta2 = o->beta2,
                     .epsilon = o->epsilon,
                     .scale = 1,
                     .nesterov = o->nesterov,
                     .decay = decoupled ? 0 : o->weight_decay,
                     .shrink =
                         decoupled ? o->learning_rate * o->weight_decay : 0};
  t->updates++;
  if (o->optimizer != IMGREC_OPTIMIZER_SGD)
    correct_bias(t, &u);
  return u;
}

/* ---- Sweeps ------------------------------------------------------------- */

/* One of the things to be done to all weights, to all gradients or to the
 * average: over floats [first, first + count), where `first` is a multiple of
 * UPDATE_PIECE, piece by piece. */
struct sweep {
  const struct imgrec_trainer *trainer;
  const struct update *update;
  void (*piece)(const struct sweep *s, size_t begin, size_t end);
  size_t first;
  float share; /* of the average, that the weights become */
};

static void sweep_range(const void *arg, size_t begin, size_t end) {
  const struct sweep *s = arg;
  s->piece(s, s->first + begin, s->first + end);
}

/* The weights whose gradients lie in floats [begin, end). */
static void update_piece(const struct sweep *s, size_t begin, size_t end) {
  const struct imgrec_trainer *t = s->trainer;
  const struct graph *g = &t->model->graph;
  for (int i = 0; i < g->node_count; i++)
    for (int k = 0; k < g->nodes[i].param_count; k++) {
      const struct param *p = &g->nodes[i].params[k];
      if (t->places[i].at[k] == PLAN_NONE)
        continue;
      size_t at = (size_t)t->places[i].at[k];
      size_t from = max_size(begin, at), to = min_size(end, at + p->count);
      if (from < to)
        imgrec__update(s->update, &t->rules[i].of[k], p->data + (from - at),
                       t->gradients + from, to - from);
    }
}

/* ---- Clipping (Pascanu, Mikolov and Bengio 2013) ------------------------- */

/* The sum of squares of a whole piece, in 16 lanes, in f64. */
static void square_piece(const struct sweep *s, size_t begin, size_t end) {
  const struct imgrec_trainer *t = s->trainer;
  const struct kernels *k = t->model->context->kernels;
  double sum[SUM_LANES] = {0}, dot[SUM_LANES] = {0}, total = 0;
  const float *g = t->gradients + begin;
  k->sum_rows(sum, dot, g, g, (end - begin) / SUM_LANES, SUM_LANES);
  for (int lane = 0; lane < SUM_LANES; lane++)
    total += dot[lane];
  t->squares[begin / UPDATE_PIECE] = total;
}

/* As PyTorch does: c / (norm + 1e-6), and no more than 1. */
static float clip_scale(const struct imgrec_trainer *t) {
  size_t pieces = ceil_div(t->gradient_floats, UPDATE_PIECE);
  double sum = 0;
  for (size_t i = 0; i < pieces; i++)
    sum += t->squares[i];
  double scale = (double)t->options.clip_norm / (sqrt(sum) + 1e-6);
  return scale < 1 ? (float)scale : 1;
}

/* ---- The average (Polyak and Juditsky 1992, with a decay) ---------------- */

static void average_piece(const struct sweep *s, size_t begin, size_t end) {
  const struct imgrec_trainer *t = s->trainer;
  const float *weights = t->model->weights + begin;
  if (t->averaged == 0)
    memcpy(t->average + begin, weights, (end - begin) * sizeof *weights);
  else
    t->model->context->kernels->approach(t->average + begin, weights, s->share,
                                         end - begin);
}

static float average_share(const struct imgrec_trainer *t) {
  double n = (double)t->averaged, decay = (double)t->options.ema_decay;
  double most = n / (9 + n);
  return (float)(1 - (decay < most ? decay : most));
}

static void swap_range(const void *arg, size_t begin, size_t end) {
  const struct imgrec_trainer *t = arg;
  for (size_t i = begin; i < end; i++) {
    float weight = t->model->weights[i];
    t->model->weights[i] = t->average[i];
    t->average[i] = weight;
  }
}

void imgrec__swap_average(struct imgrec_trainer *t) {
  if (!t->average || t->averaged == 0)
    return;
  imgrec__parallel_range(t->model->context, t->model->weight_floats,
                         UPDATE_PIECE, swap_range, t);
  imgrec__model_changed(t->model);
}

int imgrec_trainer_swap_average(imgrec_trainer *t) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  if (!t->average)
    return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                        "this trainer keeps no average: its ema_decay is 0");
  int status = imgrec__model_at_rest(t->model);
  if (status >= 0)
    imgrec__swap_average(t);
  return status;
}

/* ---- All of it ----------------------------------------------------------- */

enum { SWEEP_SQUARES, SWEEP_UPDATE, SWEEP_AVERAGE, SWEEP_COUNT };

/* None where this trainer has no such sweep. */
static size_t sweep_floats(const struct imgrec_trainer *t, int sweep) {
  switch (sweep) {
  case SWEEP_SQUARES:
    return t->squares ? t->gradient_floats : 0;
  case SWEEP_UPDATE:
    return t->gradient_floats;
  default:
    return t->average ? t->model->weight_floats : 0;
  }
}

static void end_sweep(struct imgrec_trainer *t, struct update *u, int sweep) {
  if (sweep == SWEEP_SQUARES && t->squares)
    u->scale = clip_scale(t);
  if (sweep == SWEEP_AVERAGE && t->average)
    t->averaged++;
}

int imgrec__optimizer_go_on(struct imgrec_trainer *t, struct update *u,
                            struct sweeps *done, size_t floats) {
  static void (*const pieces[SWEEP_COUNT])(
      const struct sweep *, size_t, size_t) = {square_piece, update_piece,
                                               average_piece};
  while (done->sweep < SWEEP_COUNT && floats > 0) {
    size_t left = sweep_floats(t, done->sweep) - done->floats;
    size_t n = min_size(left, floats);
    const struct sweep s = {t, u, pieces[done->sweep], done->floats,
                            average_share(t)};
    imgrec__parallel_range(t->model->context, n, UPDATE_PIECE, sweep_range, &s);
    done->floats += n;
    floats -= min_size(floats, round_up(n, UPDATE_PIECE));
    if (n == left) {
      end_sweep(t, u, done->sweep++);
      done->floats = 0;
    }
  }
  return done->sweep == SWEEP_COUNT;
}
