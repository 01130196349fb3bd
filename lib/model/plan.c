/* SPDX-License-Identifier: MIT */
/* Which layers run as one, and the memory of a network: which array lives when,
 * and where in one arena.
 *
 * Time: node i of n runs forward at step i and backward at step 2 n - i; the
 * loss is at step n.  A value lives from its node to its last reader, a
 * gradient from the last consumer's backward to its own node's.  Arrays that
 * never live at once share memory; operators that can work in place do. */
#include <string.h>

#include "graph.h"

enum { ALIGN_FLOATS = IMGREC__ALIGN / sizeof(float) };

/* A piece of the arena; values that alias share one. */
struct storage {
  size_t floats;
  int begin, end;
  int64_t offset;
};

struct planner {
  const struct graph *graph;
  struct plan *plan;
  struct storage *storages;
  struct storage **order; /* by size, then placed ones by offset */
  int count, nodes;
  int *value, *gradient; /* a node's storages, or PLAN_NONE */
  int *last_use;         /* step of the last reader of a value */
  int *needs;            /* whether a gradient is wanted */
  int *uses;             /* scratch: writers seen */
};

static int backward_step(const struct planner *p, int node) {
  return 2 * p->graph->node_count - node;
}

static size_t value_floats(const struct planner *p, int node) {
  return p->plan->batch * shape_count(&p->graph->nodes[node].out);
}

static int add_storage(struct planner *p, size_t floats, int begin, int end) {
  p->storages[p->count] = (struct storage){
      round_up(max_size(floats, 1), ALIGN_FLOATS), begin, end, 0};
  return p->count++;
}

static void extend(struct planner *p, int storage, int end) {
  if (p->storages[storage].end < end)
    p->storages[storage].end = end;
}

static void later(int *step, int other) {
  if (*step < other)
    *step = other;
}

/* ---- Chains -------------------------------------------------------------- */

static int is_taken_activation(const struct node *n, unsigned takes) {
  return (n->op == &imgrec__op_activation[ACT_RELU] &&
          (takes & OP_TAKES_RELU)) ||
         (n->op == &imgrec__op_activation[ACT_RELU6] &&
          (takes & OP_TAKES_RELU6));
}

static int is_pool2(const struct node *n) {
  if (n->op != &imgrec__op_max_pool2d)
    return 0;
  for (int axis = 0; axis < 2; axis++)
    if (n->kernel[axis] != 2 || n->stride[axis] != 2 || n->pad[axis] != 0 ||
        n->pad[axis + 2] != 0)
      return 0;
  return 1;
}

/* Whether the head of place can do node j along, behind what it has. */
static int take(struct place *place, unsigned takes, const struct node *n,
                int j) {
  if (place->pool != PLAN_NONE)
    return 0;
  if (is_pool2(n) && (takes & OP_TAKES_POOL)) {
    place->pool = j;
  } else if (place->act != PLAN_NONE) {
    return 0;
  } else if (is_taken_activation(n, takes)) {
    place->act = j;
  } else if (n->op == &imgrec__op_batch_norm && (takes & OP_TAKES_BN) &&
             place->bn == PLAN_NONE) {
    place->bn = j;
  } else {
    return 0;
  }
  return 1;
}

/* Follows node i as long as the next one reads the last alone and alone reads
 * it. */
static void find_chain(struct planner *p, int i) {
  const struct node *nodes = p->graph->nodes, *n = &nodes[i];
  struct place *place = &p->plan->places[i];
  unsigned takes = n->op->takes ? n->op->takes(n, p->plan->training) : 0;
  place->head = place->last = i;
  for (int j = i + 1; takes && j < p->nodes; j++) {
    if (nodes[j].input_count != 1 || nodes[j].inputs[0] != j - 1 ||
        p->uses[j - 1] != 1 || j - 1 == p->graph->logits ||
        !take(place, takes, &nodes[j], j))
      break;
    p->plan->places[j].head = i;
    place->last = j;
  }
}

static void find_chains(struct planner *p) {
  for (int i = 1; i < p->nodes; i++)
    for (int k = 0; k < p->graph->nodes[i].input_count; k++)
      p->uses[p->graph->nodes[i].inputs[k]]++;
  for (int i = 0; i < p->nodes; i = p->plan->places[i].last + 1)
    find_chain(p, i);
  memset(p->uses, 0, (size_t)p->nodes * sizeof *p->uses);
}

/* The head of the chain behind that of i; p->nodes behind the last. */
static int next_head(const struct planner *p, int i) {
  return p->plan->places[i].last + 1;
}

/* ---- Values -------------------------------------------------------------- */

static void find_last_uses(struct planner *p) {
  const struct graph *g = p->graph;
  for (int i = 0; i < p->nodes; i = next_head(p, i)) {
    const struct node *n = &g->nodes[i];
    const struct place *place = &p->plan->places[i];
    int masks = place->act != PLAN_NONE && place->pool == PLAN_NONE;
    unsigned flags = n->op->flags(n) | (masks ? OP_USES_Y : 0);
    int backward = backward_step(p, i), learns = p->needs[i];
    later(&p->last_use[place->last], i);
    if (learns && (flags & OP_USES_Y))
      later(&p->last_use[place->last], backward);
    for (int k = 0; k < n->input_count; k++) {
      int *use = &p->last_use[n->inputs[k]];
      later(use, learns && (flags & OP_USES_X) ? backward : i);
    }
  }
  later(&p->last_use[p->nodes - 1], g->node_count);
}

static int occurrences(const struct node *n, int input) {
  int count = 0;
  for (int k = 0; k < n->input_count; k++)
    count += n->inputs[k] == input;
  return count;
}

/* Whether node i may write over its first input. */
static int in_place(const struct planner *p, int i) {
  const struct node *n = &p->graph->nodes[i];
  const struct place *place = &p->plan->places[i];
  int x = n->inputs[0];
  return (n->op->flags(n) & OP_IN_PLACE) && place->pool == PLAN_NONE &&
         x != 0 && occurrences(n, x) == 1 && p->last_use[x] == i;
}

static void place_values(struct planner *p) {
  for (int i = 1; i < p->nodes; i = next_head(p, i)) {
    int last = p->plan->places[i].last;
    if (in_place(p, i)) {
      p->value[last] = p->value[p->graph->nodes[i].inputs[0]];
      extend(p, p->value[last], p->last_use[last]);
    } else {
      p->value[last] =
          add_storage(p, value_floats(p, last), i, p->last_use[last]);
    }
  }
}

/* ---- Gradients ----------------------------------------------------------- */

static void find_needs(struct planner *p) {
  for (int i = 1; i < p->nodes; i++) {
    const struct node *n = &p->graph->nodes[i];
    for (int k = 0; k < n->param_count; k++)
      p->needs[i] |= param_learns(n, k);
    for (int k = 0; k < n->input_count; k++)
      p->needs[i] |= p->needs[n->inputs[k]];
  }
}

/* Node i's backward writes the gradient of its k-th input: the first writer to
 * the gradient itself, in place where it can; others beside it. */
static int gradient_target(struct planner *p, int i, int k, int *add) {
  const struct node *n = &p->graph->nodes[i];
  int x = n->inputs[k], step = backward_step(p, i);
  int end = backward_step(p, p->plan->places[x].head);
  *add = p->uses[x]++ > 0;
  if (*add)
    return add_storage(p, value_floats(p, x), step, step);
  if (k == 0 && (n->op->flags(n) & OP_IN_PLACE) &&
      p->plan->places[i].pool == PLAN_NONE) {
    p->gradient[x] = p->gradient[p->plan->places[i].last];
    extend(p, p->gradient[x], end);
  } else {
    p->gradient[x] = add_storage(p, value_floats(p, x), step, end);
  }
  return p->gradient[x];
}

/* For the moment, `dx` holds numbers of storages. */
static void place_gradients(struct planner *p) {
  int last = p->nodes - 1, head = p->plan->places[last].head;
  p->gradient[last] = add_storage(p, value_floats(p, last),
                                  p->graph->node_count, backward_step(p, head));
  for (int i = last; i > 0; i--) {
    const struct node *n = &p->graph->nodes[i];
    struct place *place = &p->plan->places[i];
    if (place->head != i)
      continue;
    for (int k = 0; k < n->input_count && p->needs[i]; k++)
      if (p->needs[n->inputs[k]])
        place->dx[k] = gradient_target(p, i, k, &place->add[k]);
  }
}

/* ---- Places in the arena ------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  const struct storage *x = *(struct storage *const *)a;
  const struct storage *y = *(struct storage *const *)b;
  if (x->floats != y->floats)
    return x->floats > y->floats ? -1 : 1;
  return x < y ? -1 : x > y;
}

static int live_at_once(const struct storage *a, const struct storage *b) {
  return a->begin <= b->end && b->begin <= a->end;
}

/* The lowest gap among placed[0..count), which are sorted by offset, into
 * which s fits. */
static int64_t lowest_gap(struct storage *const *placed, int count,
                          const struct storage *s, int64_t base) {
  int64_t at = base;
  for (int i = 0; i < count; i++) {
    const struct storage *other = placed[i];
    if (!live_at_once(other, s))
      continue;
    if (other->offset >= at + (int64_t)s->floats)
      break;
    int64_t behind = other->offset + (int64_t)other->floats;
    if (behind > at)
      at = behind;
  }
  return at;
}

static void insert_by_offset(struct storage **placed, int count,
                             struct storage *s) {
  int i = count;
  for (; i > 0 && placed[i - 1]->offset > s->offset; i--)
    placed[i] = placed[i - 1];
  placed[i] = s;
}

/* The greatest first, each at the lowest place that is free in its time. */
static void pack(struct planner *p, size_t base) {
  size_t top = base;
  for (int i = 0; i < p->count; i++)
    p->order[i] = &p->storages[i];
  imgrec__sort(p->order, (size_t)p->count, sizeof(struct storage *), by_size);
  for (int i = 0; i < p->count; i++) {
    struct storage *s = p->order[i];
    s->offset = lowest_gap(p->order, i, s, (int64_t)base);
    top = max_size(top, (size_t)s->offset + s->floats);
    insert_by_offset(p->order, i, s);
  }
  p->plan->floats = top;
}

static int64_t offset_of(const struct planner *p, int64_t storage) {
  return storage == PLAN_NONE ? PLAN_NONE : p->storages[storage].offset;
}

static void write_places(struct planner *p) {
  for (int i = 0; i < p->nodes; i = next_head(p, i)) {
    struct place *place = &p->plan->places[i];
    struct place *last = &p->plan->places[place->last];
    last->y = place->y = offset_of(p, p->value[place->last]);
    last->dy = place->dy = offset_of(p, p->gradient[place->last]);
    place->saved = offset_of(p, place->saved);
    place->won = offset_of(p, place->won);
    place->prepared = offset_of(p, place->prepared);
    for (int k = 0; k < NODE_MAX_INPUTS; k++)
      place->dx[k] = offset_of(p, place->dx[k]);
  }
}

/* ---- The plan ------------------------------------------------------------ */

/* What backward needs beside the values. */
static void place_saved(struct planner *p) {
  for (int i = 1; i < p->nodes; i = next_head(p, i)) {
    const struct node *n = &p->graph->nodes[i];
    struct place *place = &p->plan->places[i];
    size_t floats = n->op->saved ? n->op->saved(n, p->plan->batch) : 0;
    if (floats > 0)
      place->saved = add_storage(p, floats, i, backward_step(p, i));
    if (place->pool != PLAN_NONE) /* a byte for each value */
      place->won =
          add_storage(p, ceil_div(value_floats(p, place->last), sizeof(float)),
                      i, backward_step(p, i));
  }
}

/* Prepared weights stay from run to run. */
static void place_prepared(struct planner *p) {
  for (int i = 1; i < p->nodes; i = next_head(p, i)) {
    const struct node *n = &p->graph->nodes[i];
    size_t floats = n->op->prepared ? n->op->prepared(n) : 0;
    if (floats > 0)
      p->plan->places[i].prepared =
          add_storage(p, floats, 0, backward_step(p, 0));
  }
}

/* All scratch is at the arena's start: one node works at a time. */
static size_t scratch_floats(const struct planner *p) {
  size_t most = 0;
  for (int i = 1; i < p->nodes; i = next_head(p, i)) {
    const struct node *n = &p->graph->nodes[i];
    if (n->op->scratch)
      most =
          max_size(most, n->op->scratch(n, p->plan->batch, p->plan->training));
  }
  return round_up(most, ALIGN_FLOATS);
}

static void make_plan(struct planner *p) {
  for (int i = 0; i < p->graph->node_count; i++) {
    struct place *place = &p->plan->places[i];
    place->saved = place->won = place->prepared = PLAN_NONE;
    place->y = place->dy = PLAN_NONE;
    place->bn = place->act = place->pool = PLAN_NONE;
    p->value[i] = p->gradient[i] = PLAN_NONE;
    for (int k = 0; k < NODE_MAX_INPUTS; k++)
      place->dx[k] = PLAN_NONE;
  }
  find_chains(p);
  if (p->plan->training)
    find_needs(p);
  find_last_uses(p);
  place_values(p);
  place_prepared(p);
  if (p->plan->training) {
    place_gradients(p);
    place_saved(p);
  }
  pack(p, scratch_floats(p));
  write_places(p);
}

/* 2^31 numbers a value are checked by the parser; here all of them together. */
static int check_total(const struct graph *g, struct error *e, size_t batch) {
  size_t total = 0, values;
  for (int i = 0; i < g->node_count; i++)
    if (__builtin_mul_overflow(batch, shape_count(&g->nodes[i].out), &values) ||
        __builtin_add_overflow(total, values, &total) || total > SIZE_MAX / 64)
      return imgrec__fail(e, IMGREC_ERR_LIMIT,
                          "a batch of %zu images of this network is larger "
                          "than any memory; use a smaller batch",
                          batch);
  return IMGREC_OK;
}

int imgrec__plan_create(struct plan *out, struct allocator *a, struct error *e,
                        const struct graph *g, size_t batch, int training) {
  struct plan plan = {a, NULL, batch, training, 0};
  size_t n = (size_t)g->node_count, storages = n * (5 + NODE_MAX_INPUTS);
  struct planner p = {.graph = g, .plan = &plan};
  int status = check_total(g, e, batch);
  if (status < 0)
    return status;
  p.nodes = (training ? g->logits : g->output) + 1;
  plan.places = imgrec__alloc_zero(a, n * sizeof *plan.places);
  p.storages = imgrec__alloc_zero(a, storages * sizeof *p.storages);
  p.order = imgrec__alloc_zero(a, storages * sizeof(struct storage *));
  int *ints = imgrec__alloc_zero(a, 5 * n * sizeof *ints);
  if (plan.places && p.storages && p.order && ints) {
    p.value = ints;
    p.gradient = ints + n;
    p.last_use = ints + 2 * n;
    p.needs = ints + 3 * n;
    p.uses = ints + 4 * n;
    make_plan(&p);
    *out = plan;
  } else {
    status = imgrec__fail_memory(e, a, "the network's plan");
    imgrec__free(a, plan.places);
  }
  imgrec__free(a, p.storages);
  imgrec__free(a, p.order);
  imgrec__free(a, ints);
  return status;
}

void imgrec__plan_free(struct plan *p) {
  if (p->allocator)
    imgrec__free(p->allocator, p->places);
  memset(p, 0, sizeof *p);
}
