/* SPDX-License-Identifier: MIT */
/* One training step, in pieces: the layers forward, the loss, the layers
 * backward, the update.  Whoever wants the whole step does them one after
 * another; whoever has a few milliseconds does what fits, and goes on later. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "train.h"

/* Weights in a piece of the update, of a step that has little time. */
enum { UPDATE_FLOATS = 1 << 18 };

/* ---- Pieces ---------------------------------------------------------------
 */

/* The trainer's arrays, and one batch of images. */
static struct pass pass_over(const struct imgrec_trainer *t, const float *x,
                             size_t batch) {
  const struct imgrec_model *m = t->model;
  return (struct pass){.context = m->context,
                       .graph = &m->graph,
                       .plan = &t->plan,
                       .arena = t->arena,
                       .x = x,
                       .batch = batch,
                       .prepare = 1,
                       .weights = m->weights,
                       .gradients = t->gradients,
                       .places = t->places,
                       .rules = t->rules,
                       .accumulate =
                           t->step % (uint64_t)t->options.accumulate != 0,
                       .seed = t->options.seed,
                       .step = t->step};
}

static void begin(struct imgrec_trainer *t, const float *x,
                  const struct targets *targets, size_t batch) {
  struct step *s = &t->under_way;
  *s = (struct step){.phase = STEP_FORWARD,
                     .node = 1,
                     .pass = pass_over(t, x, batch),
                     .targets = *targets};
  s->targets.smoothing = t->options.label_smoothing;
  t->model->steps_under_way++;
}

static void finish(struct imgrec_trainer *t) {
  t->under_way.phase = STEP_NONE;
  t->model->steps_under_way--;
}

/* The node whose backward comes after those above `i`, 0 where none does. */
static int next_backward(const struct pass *p, int i) {
  while (i > 0 && !imgrec__pass_has_backward(p, i))
    i--;
  return i;
}

static void set_backward(struct step *s, int node) {
  s->node = next_backward(&s->pass, node);
  s->phase = s->node > 0 ? STEP_BACKWARD : s->updates ? STEP_UPDATE : STEP_DONE;
}

/* The loss, and the gradient at the logits with it.  What is not finite would
 * spoil all weights for good, so that nothing follows. */
static void measure(struct imgrec_trainer *t) {
  struct imgrec_model *m = t->model;
  struct step *s = &t->under_way;
  const struct pass *p = &s->pass;
  uint64_t every = (uint64_t)t->options.accumulate;
  float scale = (float)(1 / ((double)p->batch * (double)every));
  t->loss_sum = 0;
  t->correct = 0;
  call_hook(&p->hook, -1, IMGREC_PHASE_LOSS_BEGIN);
  imgrec__cross_entropy(m->context, imgrec__pass_value(p, m->graph.logits),
                        &s->targets, p->batch, (size_t)imgrec_model_classes(m),
                        scale, imgrec__pass_gradient(p), &t->loss_sum,
                        &t->correct);
  call_hook(&p->hook, -1, IMGREC_PHASE_LOSS_END);
  s->phase = STEP_DONE;
  if (!isfinite(t->loss_sum))
    return;
  s->updates = ++t->step % every == 0;
  if (s->updates) {
    s->update = imgrec__optimizer_next(t);
    s->pass.update = t->fused ? &s->update : NULL;
  }
  set_backward(s, m->graph.logits);
}

/* Does one piece, of the update as many floats. */
static void do_piece(struct imgrec_trainer *t, size_t floats) {
  struct step *s = &t->under_way;
  int logits = t->model->graph.logits;
  switch (s->phase) {
  case STEP_FORWARD:
    s->node = imgrec__pass_forward_node(&s->pass, s->node);
    if (s->node > logits)
      s->phase = STEP_LOSS;
    break;
  case STEP_LOSS:
    measure(t);
    break;
  case STEP_BACKWARD:
    imgrec__pass_backward_node(&s->pass, s->node);
    set_backward(s, s->node - 1);
    break;
  default:
    call_hook(&s->pass.hook, -1, IMGREC_PHASE_UPDATE_BEGIN);
    if (imgrec__optimizer_go_on(t, &s->update, &s->done, floats))
      s->phase = STEP_DONE;
    call_hook(&s->pass.hook, -1, IMGREC_PHASE_UPDATE_END);
  }
}

void imgrec__trainer_step(struct imgrec_trainer *t, const float *x,
                          const struct targets *targets, size_t batch) {
  begin(t, x, targets, batch);
  t->under_way.pass.hook = t->model->hook;
  imgrec__model_changed(t->model); /* batch norm moves in any case */
  while (t->under_way.phase != STEP_DONE)
    do_piece(t, SIZE_MAX);
  finish(t);
}

/* ---- Time -----------------------------------------------------------------
 */

/* Where the time that the next piece took, when it was last done, is kept: one
 * for each node forward (0: the loss), one for each backward (0: the update).
 */
static float *piece_ms(const struct imgrec_trainer *t) {
  const struct step *s = &t->under_way;
  int nodes = t->model->graph.node_count;
  switch (s->phase) {
  case STEP_FORWARD:
    return t->piece_ms + s->node;
  case STEP_LOSS:
    return t->piece_ms;
  case STEP_BACKWARD:
    return t->piece_ms + nodes + s->node;
  default:
    return t->piece_ms + nodes;
  }
}

static float ms_between(uint64_t from, uint64_t to) {
  return (float)((double)(to - from) * 1e-6);
}

/* At least one piece, then those of which each is expected to end in time. */
static int work(struct imgrec_trainer *t, float ms) {
  struct imgrec_context *ctx = t->model->context;
  uint64_t start = imgrec__clock(ctx), now = start;
  do {
    float *took = piece_ms(t);
    uint64_t before = now;
    do_piece(t, UPDATE_FLOATS);
    now = imgrec__clock(ctx);
    *took = ms_between(before, now);
    if (t->under_way.phase == STEP_DONE)
      return IMGREC_STEP_DONE;
  } while (ms_between(start, now) + *piece_ms(t) <= ms);
  return IMGREC_STEP_UNFINISHED;
}

float imgrec_trainer_longest_piece(const imgrec_trainer *t) {
  float most = 0;
  if (!t)
    return 0;
  for (int i = 0; i < 2 * t->model->graph.node_count; i++)
    most = t->piece_ms[i] > most ? t->piece_ms[i] : most;
  return most;
}

/* ---- Public ---------------------------------------------------------------
 */

static int check_classes(struct error *e, const struct imgrec_tensor *labels,
                         int64_t n, int classes) {
  const int32_t *v = labels->data;
  if (labels->ndim != 1 || labels->shape[0] != n)
    return imgrec__fail(
        e, IMGREC_ERR_SHAPE,
        "labels must be one i32 for each of the %" PRId64 " images", n);
  for (int64_t i = 0; i < n; i++)
    if (v[i] < 0 || v[i] >= classes)
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "label %d of image %" PRId64
                          " is no class; the model has %d",
                          (int)v[i], i, classes);
  return IMGREC_OK;
}

static int check_labels(struct error *e, const struct imgrec_tensor *labels,
                        int64_t n, int classes, struct targets *out) {
  if (labels && labels->dtype == IMGREC_I32) {
    *out = (struct targets){.classes = labels->data};
    return check_classes(e, labels, n, classes);
  }
  if (!labels || labels->dtype != IMGREC_F32 || labels->ndim != 2 ||
      labels->shape[0] != n || labels->shape[1] != classes)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "labels must be %" PRId64 " i32 classes or %" PRId64
                        " x %d f32 probabilities",
                        n, n, classes);
  *out = (struct targets){.probabilities = labels->data};
  return IMGREC_OK;
}

static int check_step(const struct imgrec_trainer *t, const imgrec_tensor *x,
                      const imgrec_tensor *labels, struct targets *targets) {
  const struct imgrec_model *m = t->model;
  struct error *e = &m->context->error;
  int status = imgrec__model_at_rest(m);
  if (status >= 0)
    status = imgrec__check_batch(&m->graph, e, x, t->plan.batch);
  return status < 0 ? status
                    : check_labels(e, labels, x->shape[0],
                                   imgrec_model_classes(m), targets);
}

static void tell_loss(const struct imgrec_trainer *t, size_t batch,
                      float *loss) {
  if (loss)
    *loss = (float)(t->loss_sum / (double)batch);
}

int imgrec_train_step(imgrec_trainer *t, const imgrec_tensor *x,
                      const imgrec_tensor *labels, float *loss) {
  struct targets targets;
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  int status = check_step(t, x, labels, &targets);
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  imgrec__trainer_step(t, x->data, &targets, (size_t)x->shape[0]);
  tell_loss(t, (size_t)x->shape[0], loss);
  imgrec__fp_leave(fp);
  return IMGREC_OK;
}

/* A step is begun, or it is the one under way that is to go on. */
static int begin_or_go_on(struct imgrec_trainer *t, const imgrec_tensor *x,
                          const imgrec_tensor *labels) {
  struct step *s = &t->under_way;
  struct targets targets;
  if (s->phase == STEP_NONE) {
    int status = check_step(t, x, labels, &targets);
    if (status < 0)
      return status;
    begin(t, x->data, &targets, (size_t)x->shape[0]);
    s->images = x;
    s->labels = labels;
    return IMGREC_OK;
  }
  if (x == s->images && labels == s->labels)
    return IMGREC_OK;
  return imgrec__fail(&t->model->context->error, IMGREC_ERR_ARGUMENT,
                      "a training step on other images is under way; go on "
                      "with those, or give it up with imgrec_trainer_abandon");
}

static int step_ms(struct imgrec_trainer *t, const struct imgrec_tensor *x,
                   const struct imgrec_tensor *labels, float ms, float *loss) {
  struct imgrec_model *m = t->model;
  if (!(ms >= 0))
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_train_step_ms: ms must be 0 or more");
  int status = begin_or_go_on(t, x, labels);
  if (status < 0)
    return status;
  t->under_way.pass.hook = m->hook;
  imgrec__model_changed(m);
  status = work(t, ms);
  if (status == IMGREC_STEP_DONE) {
    tell_loss(t, t->under_way.pass.batch, loss);
    finish(t);
  }
  return status;
}

int imgrec_train_step_ms(imgrec_trainer *t, const imgrec_tensor *x,
                         const imgrec_tensor *labels, float ms, float *loss) {
  if (!t)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = step_ms(t, x, labels, ms, loss);
  imgrec__fp_leave(fp);
  return status;
}

/* Of steps whose gradients accumulate for one update, all are given up. */
void imgrec_trainer_abandon(imgrec_trainer *t) {
  if (!t || t->under_way.phase == STEP_NONE)
    return;
  uint64_t every = (uint64_t)t->options.accumulate;
  t->step = (t->step + every - 1) / every * every;
  finish(t);
}
