/* SPDX-License-Identifier: MIT */
/* Runs a planned network: nodes in order, and in reverse. */
#include <string.h>

#include "graph.h"

static float *at(const struct pass *p, int64_t place) {
  return place == PLAN_NONE ? NULL : p->arena + place;
}

const float *imgrec__pass_value(const struct pass *p, int node) {
  return node == 0 ? p->x : at(p, p->plan->places[node].y);
}

static const struct node *node_at(const struct pass *p, int node) {
  return node == PLAN_NONE ? NULL : &p->graph->nodes[node];
}

/* What forward and backward of node i have in common. */
static void prepare(const struct pass *p, int i, struct run *r) {
  const struct node *n = &p->graph->nodes[i];
  const struct place *place = &p->plan->places[i];
  memset(r, 0, sizeof *r);
  r->context = p->context;
  r->node = n;
  r->batch = p->batch;
  r->training = p->plan->training;
  r->y = at(p, place->y);
  for (int k = 0; k < n->input_count; k++)
    r->x[k] = imgrec__pass_value(p, n->inputs[k]);
  r->bn = node_at(p, place->bn);
  r->act = node_at(p, place->act);
  r->pool = node_at(p, place->pool);
  r->won = (uint8_t *)at(p, place->won);
  r->prepared = at(p, place->prepared);
  r->saved = at(p, place->saved);
  r->scratch = p->arena;
  r->seed = p->seed;
  r->step = p->step;
}

/* Nodes of layer 0 were added to what the text says. */
static void tell(const struct pass *p, const struct node *n, int phase) {
  if (n->layer > 0)
    call_hook(&p->hook, n->layer, phase);
}

int imgrec__pass_forward_node(const struct pass *p, int i) {
  struct run r;
  prepare(p, i, &r);
  if (p->watch)
    p->watch(p->watch_user, &r);
  tell(p, r.node, IMGREC_PHASE_FORWARD_BEGIN);
  if (p->prepare && r.node->op->prepare)
    r.node->op->prepare(&r);
  r.node->op->forward(&r);
  tell(p, r.node, IMGREC_PHASE_FORWARD_END);
  return p->plan->places[i].last + 1;
}

const float *imgrec__pass_forward(const struct pass *p, int last) {
  for (int i = 1; i <= last;)
    i = imgrec__pass_forward_node(p, i);
  return imgrec__pass_value(p, last);
}

float *imgrec__pass_gradient(const struct pass *p) {
  return at(p, p->plan->places[p->graph->logits].dy);
}

/* Where the gradients of node i's parameters go. */
static void point_gradients(const struct pass *p, int i, struct run *r) {
  for (int k = 0; k < r->node->param_count; k++) {
    const struct param *param = &r->node->params[k];
    int64_t place = p->places ? p->places[i].at[k] : param->data - p->weights;
    if (param_learns(r->node, k) && place != PLAN_NONE)
      r->dparam[k] = p->gradients + place;
  }
  if (p->update && param_learns(r->node, 0)) {
    r->update = p->update;
    r->rule = &p->rules[i].of[0];
  }
}

static void add_range(const void *arg, size_t begin, size_t end) {
  const struct run *r = arg;
  r->context->kernels->add(r->y + begin, r->y + begin, r->dy + begin,
                           end - begin);
}

/* gradient of the input += what this node wrote beside it. */
static void add_gradient(const struct pass *p, int input, float *dx) {
  size_t count = p->batch * shape_count(&p->graph->nodes[input].out);
  const struct run r = {
      .context = p->context, .y = at(p, p->plan->places[input].dy), .dy = dx};
  imgrec__parallel_range(p->context, count, 16384, add_range, &r);
}

int imgrec__pass_has_backward(const struct pass *p, int i) {
  const struct place *place = &p->plan->places[i];
  return place->head == i && place->dy != PLAN_NONE;
}

void imgrec__pass_backward_node(const struct pass *p, int i) {
  const struct place *place = &p->plan->places[i];
  struct run r;
  prepare(p, i, &r);
  r.dy = at(p, place->dy);
  r.accumulate = p->accumulate;
  for (int k = 0; k < r.node->input_count; k++)
    r.dx[k] = at(p, place->dx[k]);
  point_gradients(p, i, &r);
  tell(p, r.node, IMGREC_PHASE_BACKWARD_BEGIN);
  r.node->op->backward(&r);
  for (int k = 0; k < r.node->input_count; k++)
    if (place->add[k])
      add_gradient(p, r.node->inputs[k], r.dx[k]);
  tell(p, r.node, IMGREC_PHASE_BACKWARD_END);
}

void imgrec__pass_backward(const struct pass *p) {
  for (int i = p->graph->logits; i > 0; i--)
    if (imgrec__pass_has_backward(p, i))
      imgrec__pass_backward_node(p, i);
}
