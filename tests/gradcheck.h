/* SPDX-License-Identifier: MIT */
/* A network against the f64 reference: its outputs, and the gradients of all
 * parameters against central differences.  The loss is the sum of r * logits,
 * r being random.  A gradient by an input is seen in the weights of what comes
 * before.  Include behind cmocka.h. */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include "nets.h"
#include "reference.h"

/* Of the greatest number of the array, but at least of 1. */
#define FORWARD_BOUND  1e-5
#define GRADIENT_BOUND 5e-5

struct trial {
  imgrec_context *ctx;
  imgrec_model *model;
  struct plan plan;
  float *arena, *gradients, *x, *r;
  size_t batch, logits; /* logits in all */
  struct pass pass;
};

/* Memory that holds NaNs: what reads before writing is found out. */
static inline float *new_floats(size_t n) {
  float *p = malloc((n + 1) * sizeof *p);
  assert_non_null(p);
  memset(p, 0xff, (n + 1) * sizeof *p);
  return p;
}

static inline float *new_arena(struct trial *t, size_t n) {
  float *p = imgrec__alloc_array(&t->ctx->allocator, n + 1, sizeof *p);
  assert_non_null(p);
  memset(p, 0xff, (n + 1) * sizeof *p);
  return p;
}

static inline void trial_init(struct trial *t, const char *text, size_t batch,
                              int training, int threads) {
  memset(t, 0, sizeof *t);
  t->ctx = new_context(threads, IMGREC_ISA_AUTO);
  t->model = new_model(t->ctx, text, (int)batch, 1);
  random_weights(t->model, 100);
  struct graph *g = &t->model->graph;
  assert_ok(t->ctx, imgrec__plan_create(&t->plan, &t->ctx->allocator,
                                        &t->ctx->error, g, batch, training));
  t->batch = batch;
  t->arena = new_arena(t, t->plan.floats);
  t->gradients = new_arena(t, t->model->weight_floats);
  size_t inputs = batch * shape_count(&g->nodes[0].out);
  t->logits = batch * shape_count(&g->nodes[g->logits].out);
  t->x = new_floats(inputs);
  t->r = new_floats(t->logits);
  fill_random(t->x, inputs, 1, -1, 1);
  fill_random(t->r, t->logits, 2, -1, 1);
  t->pass = (struct pass){.context = t->ctx,
                          .graph = g,
                          .plan = &t->plan,
                          .arena = t->arena,
                          .x = t->x,
                          .batch = batch,
                          .prepare = 1,
                          .weights = t->model->weights,
                          .gradients = t->gradients,
                          .seed = 9,
                          .step = 3};
}

static inline void trial_free(struct trial *t) {
  imgrec__free(&t->ctx->allocator, t->arena);
  imgrec__free(&t->ctx->allocator, t->gradients);
  free(t->x);
  free(t->r);
  imgrec__plan_free(&t->plan);
  imgrec_model_destroy(t->model);
  imgrec_context_destroy(t->ctx);
}

static inline void trial_reference(const struct trial *t, struct reference *r) {
  reference_init(r, t->pass.graph, t->batch, t->plan.training,
                 t->model->weights, t->model->weight_floats, t->x);
  r->seed = t->pass.seed;
  r->step = t->pass.step;
}

/* ---- Comparisons --------------------------------------------------------- */

static inline void compare(const char *what, const float *got,
                           const double *wanted, size_t n, double bound) {
  double scale = 1;
  for (size_t i = 0; i < n; i++)
    scale = fmax(scale, fabs(wanted[i]));
  for (size_t i = 0; i < n; i++)
    if (!(fabs((double)got[i] - wanted[i]) <= bound * scale))
      fail_msg("%s[%zu] is %.9g instead of %.9g (scale %g)", what, i,
               (double)got[i], wanted[i], scale);
}

/* Runs forward, compares the value of node `last`. */
static inline void check_forward(const struct trial *t, int last) {
  struct reference r;
  trial_reference(t, &r);
  size_t n = t->batch * shape_count(&t->pass.graph->nodes[last].out);
  const double *wanted = reference_forward(&r, 1, last);
  compare("output", imgrec__pass_forward(&t->pass, last), wanted, n,
          FORWARD_BOUND);
  reference_free(&r);
}

static inline double reference_loss(const struct trial *t,
                                    const struct reference *r, int first) {
  const double *z = reference_forward(r, first, t->pass.graph->logits);
  double sum = 0;
  for (size_t i = 0; i < t->logits; i++)
    sum += (double)t->r[i] * z[i];
  return sum;
}

/* Central differences of the loss by each value of p, which belongs to node
 * `first`. */
static inline double *differences(const struct trial *t, struct reference *r,
                                  const struct param *p, int first) {
  const double h = 1e-6;
  double *d = malloc(p->count * sizeof *d), *w = r->weights;
  w += p->data - t->model->weights;
  for (size_t i = 0; i < p->count; i++) {
    double old = w[i];
    w[i] = old + h;
    double up = reference_loss(t, r, first);
    w[i] = old - h;
    double down = reference_loss(t, r, first);
    w[i] = old;
    d[i] = (up - down) / (2 * h);
  }
  reference_forward(r, first, t->pass.graph->logits);
  return d;
}

static inline void check_param(const struct trial *t, struct reference *r,
                               int node, const struct param *p) {
  double *wanted = differences(t, r, p, node);
  compare(p->name, t->gradients + (p->data - t->model->weights), wanted,
          p->count, GRADIENT_BOUND);
  free(wanted);
}

static inline void check_gradients(const struct trial *t) {
  const struct graph *g = t->pass.graph;
  struct reference r;
  trial_reference(t, &r);
  reference_forward(&r, 1, g->logits);
  for (int i = 1; i <= g->logits; i++)
    for (int k = 0; k < g->nodes[i].param_count; k++)
      if (g->nodes[i].params[k].trainable)
        check_param(t, &r, i, &g->nodes[i].params[k]);
  reference_free(&r);
}

static inline void backward(const struct trial *t) {
  memcpy(imgrec__pass_gradient(&t->pass), t->r, t->logits * sizeof *t->r);
  imgrec__pass_backward(&t->pass);
}

/* The same pass again, added to the gradients: they are twice what they were.
 */
static inline void check_accumulation(struct trial *t) {
  struct param *p;
  double *wanted = malloc(t->model->weight_floats * sizeof *wanted);
  for (size_t i = 0; i < t->model->weight_floats; i++)
    wanted[i] = 2 * (double)t->gradients[i];
  t->pass.accumulate = 1;
  imgrec__pass_forward(&t->pass, t->pass.graph->logits);
  backward(t);
  for (int i = 0; (p = imgrec__model_param(t->model, i)); i++) {
    size_t at = imgrec__param_offset(t->model, p);
    if (p->trainable)
      compare(p->name, t->gradients + at, wanted + at, p->count, 1e-6);
  }
  free(wanted);
}

/* Inference, then training: the outputs, the gradients, and the gradients of a
 * second pass added to the first. */
static inline void gradcheck(const char *text, size_t batch) {
  struct trial t;
  trial_init(&t, text, batch, 0, 3);
  check_forward(&t, t.pass.graph->output);
  trial_free(&t);
  trial_init(&t, text, batch, 1, 3);
  check_forward(&t, t.pass.graph->logits);
  backward(&t);
  check_gradients(&t);
  check_accumulation(&t);
  trial_free(&t);
}

#endif
