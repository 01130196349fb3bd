/* SPDX-License-Identifier: MIT */
/* Tests of lib/model/plan.c: no array is written over while it is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random_net.h"

/* ---- A simulation -------------------------------------------------------- */

/* Each block of 16 floats of the arena knows what was last written to it; who
 * reads finds what it wants or the plan is wrong. */
enum { BLOCK = 16, SCRATCH = 1, KINDS = 13 };
enum { VALUE = 0, GRADIENT = 1, SAVED = 2, ASIDE = 3, WON = 11, PREPARED = 12 };

struct arena {
  const struct graph *graph;
  const struct plan *plan;
  int *owner;
  size_t blocks;
};

static int owner_of(int node, int kind) { return 2 + node * KINDS + kind; }

static size_t value_blocks(const struct arena *a, int node) {
  return ceil_div(a->plan->batch * shape_count(&a->graph->nodes[node].out),
                  BLOCK);
}

static void put(struct arena *a, int64_t place, size_t blocks, int owner) {
  assert_true(place >= 0 && place % BLOCK == 0);
  assert_true((size_t)place / BLOCK + blocks <= a->blocks);
  for (size_t i = 0; i < blocks; i++)
    a->owner[(size_t)place / BLOCK + i] = owner;
}

static void want(const struct arena *a, int64_t place, size_t blocks,
                 int owner) {
  assert_true(place >= 0);
  for (size_t i = 0; i < blocks; i++)
    assert_int_equal(a->owner[(size_t)place / BLOCK + i], owner);
}

static void want_value(const struct arena *a, int node) {
  if (node > 0)
    want(a, a->plan->places[node].y, value_blocks(a, node),
         owner_of(node, VALUE));
}

static int apart(int64_t a, size_t a_blocks, int64_t b, size_t b_blocks) {
  return a + (int64_t)a_blocks * BLOCK <= b ||
         b + (int64_t)b_blocks * BLOCK <= a;
}

/* What a node writes must lie apart from what it reads, but for the first
 * input of an operator that works in place. */
static void want_apart(int64_t place, size_t blocks, int64_t other,
                       size_t other_blocks, int same_is_fine) {
  if (!(same_is_fine && place == other))
    assert_true(other == PLAN_NONE ||
                apart(place, blocks, other, other_blocks));
}

static size_t scratch_blocks(const struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  size_t floats =
      n->op->scratch ? n->op->scratch(n, a->plan->batch, a->plan->training) : 0;
  return ceil_div(floats, BLOCK);
}

static size_t saved_blocks(const struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  return n->op->saved ? ceil_div(n->op->saved(n, a->plan->batch), BLOCK) : 0;
}

static size_t prepared_blocks(const struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  return n->op->prepared ? ceil_div(n->op->prepared(n), BLOCK) : 0;
}

/* What the chain that node i heads makes. */
static int made_by(const struct arena *a, int i) {
  return a->plan->places[i].last;
}

/* A byte for each value. */
static size_t won_blocks(const struct arena *a, int i) {
  return ceil_div(value_blocks(a, made_by(a, i)), sizeof(float));
}

static int reads_y(const struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  const struct place *p = &a->plan->places[i];
  return (n->op->flags(n) & OP_USES_Y) ||
         (p->act != PLAN_NONE && p->pool == PLAN_NONE);
}

/* ---- Forward and backward of a node -------------------------------------- */

static void simulate_forward(struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  const struct place *p = &a->plan->places[i];
  int in_place = (n->op->flags(n) & OP_IN_PLACE) != 0;
  put(a, 0, scratch_blocks(a, i), SCRATCH);
  for (int k = 0; k < n->input_count; k++) {
    want_value(a, n->inputs[k]);
    want_apart(p->y, value_blocks(a, made_by(a, i)),
               a->plan->places[n->inputs[k]].y, value_blocks(a, n->inputs[k]),
               in_place && k == 0);
  }
  want_apart(p->y, value_blocks(a, made_by(a, i)), 0, scratch_blocks(a, i), 0);
  if (prepared_blocks(a, i) > 0)
    want(a, p->prepared, prepared_blocks(a, i), owner_of(i, PREPARED));
  put(a, p->y, value_blocks(a, made_by(a, i)), owner_of(made_by(a, i), VALUE));
  if (a->plan->training && p->pool != PLAN_NONE)
    put(a, p->won, won_blocks(a, i), owner_of(i, WON));
  if (a->plan->training && saved_blocks(a, i) > 0)
    put(a, p->saved, saved_blocks(a, i), owner_of(i, SAVED));
}

/* Everything that backward of node i reads, with a gradient written to `dx`,
 * whose node is `input`. */
static void check_backward_reads(const struct arena *a, int i, int64_t dx,
                                 int input, int same_is_fine) {
  const struct node *n = &a->graph->nodes[i];
  const struct place *p = &a->plan->places[i];
  size_t blocks = value_blocks(a, input);
  unsigned flags = n->op->flags(n);
  size_t out = value_blocks(a, made_by(a, i));
  want_apart(dx, blocks, p->dy, out, same_is_fine);
  want_apart(dx, blocks, 0, scratch_blocks(a, i), 0);
  if (reads_y(a, i))
    want_apart(dx, blocks, p->y, out, 0);
  if (p->pool != PLAN_NONE)
    want_apart(dx, blocks, p->won, won_blocks(a, i), 0);
  for (int k = 0; (flags & OP_USES_X) && k < n->input_count; k++)
    want_apart(dx, blocks, a->plan->places[n->inputs[k]].y,
               value_blocks(a, n->inputs[k]), 0);
}

static void write_gradient(struct arena *a, int i, int k) {
  const struct node *n = &a->graph->nodes[i];
  const struct place *p = &a->plan->places[i];
  int input = n->inputs[k];
  int in_place =
      (n->op->flags(n) & OP_IN_PLACE) != 0 && k == 0 && p->pool == PLAN_NONE;
  if (p->dx[k] == PLAN_NONE)
    return;
  check_backward_reads(a, i, p->dx[k], input, in_place && !p->add[k]);
  for (int other = 0; other < k; other++)
    if (p->dx[other] != PLAN_NONE)
      want_apart(p->dx[k], value_blocks(a, input), p->dx[other],
                 value_blocks(a, n->inputs[other]), 0);
  put(a, p->dx[k], value_blocks(a, input),
      p->add[k] ? owner_of(i, ASIDE + k) : owner_of(input, GRADIENT));
  if (!p->add[k])
    assert_int_equal(p->dx[k], a->plan->places[input].dy);
}

static void simulate_backward(struct arena *a, int i) {
  const struct node *n = &a->graph->nodes[i];
  const struct place *p = &a->plan->places[i];
  unsigned flags = n->op->flags(n);
  put(a, 0, scratch_blocks(a, i), SCRATCH);
  want(a, p->dy, value_blocks(a, made_by(a, i)),
       owner_of(made_by(a, i), GRADIENT));
  if (reads_y(a, i))
    want_value(a, made_by(a, i));
  if (p->pool != PLAN_NONE)
    want(a, p->won, won_blocks(a, i), owner_of(i, WON));
  for (int k = 0; (flags & OP_USES_X) && k < n->input_count; k++)
    want_value(a, n->inputs[k]);
  if (saved_blocks(a, i) > 0)
    want(a, p->saved, saved_blocks(a, i), owner_of(i, SAVED));
  for (int k = 0; k < n->input_count; k++)
    write_gradient(a, i, k);
  for (int k = 0; k < n->input_count; k++)
    if (p->add[k]) {
      size_t blocks = value_blocks(a, n->inputs[k]);
      want(a, p->dx[k], blocks, owner_of(i, ASIDE + k));
      want(a, a->plan->places[n->inputs[k]].dy, blocks,
           owner_of(n->inputs[k], GRADIENT));
    }
}

/* ---- A whole pass -------------------------------------------------------- */

static void simulate(const struct graph *g, const struct plan *plan) {
  struct arena a = {g, plan, NULL, ceil_div(plan->floats, BLOCK)};
  int last = plan->training ? g->logits : g->output;
  a.owner = calloc(a.blocks + 1, sizeof *a.owner);
  for (int i = 1; i <= last; i = plan->places[i].last + 1)
    if (prepared_blocks(&a, i) > 0)
      put(&a, plan->places[i].prepared, prepared_blocks(&a, i),
          owner_of(i, PREPARED));
  for (int i = 1; i <= last; i = plan->places[i].last + 1)
    simulate_forward(&a, i);
  want_value(&a, last);
  if (plan->training) {
    put(&a, plan->places[last].dy, value_blocks(&a, last),
        owner_of(last, GRADIENT));
    want_value(&a, last); /* the loss reads one while it writes the other */
    for (int i = last; i > 0; i--)
      if (plan->places[i].head == i && plan->places[i].dy != PLAN_NONE)
        simulate_backward(&a, i);
  }
  for (int i = 1; i <= last; i = plan->places[i].last + 1)
    if (prepared_blocks(&a, i) > 0) /* for the next pass */
      want(&a, plan->places[i].prepared, prepared_blocks(&a, i),
           owner_of(i, PREPARED));
  free(a.owner);
}

struct planned {
  struct allocator allocator;
  struct graph graph;
  struct plan plan;
};

static void make(struct planned *p, const char *text, size_t batch,
                 int training) {
  struct error e;
  assert_int_equal(imgrec__allocator_init(&p->allocator, NULL, NULL, NULL, 0),
                   0);
  assert_int_equal(imgrec__graph_parse(&p->graph, &p->allocator, &e, text), 0);
  assert_int_equal(imgrec__plan_create(&p->plan, &p->allocator, &e, &p->graph,
                                       batch, training),
                   0);
}

static void release(struct planned *p) {
  imgrec__plan_free(&p->plan);
  imgrec__graph_free(&p->graph);
  assert_int_equal(p->allocator.used, 0);
  imgrec__allocator_destroy(&p->allocator);
}

static void check(const char *text, size_t batch) {
  for (int training = 0; training < 2; training++) {
    struct planned p;
    make(&p, text, batch, training);
    simulate(&p.graph, &p.plan);
    release(&p);
  }
}

static void test_plan__random_graphs(void **state) {
  (void)state;
  struct random_net net;
  for (uint64_t seed = 0; seed < 500; seed++)
    check(random_net(&net, seed, 1 + (int)(seed % 7)), 1 + seed % 4);
}

static void test_plan__presets(void **state) {
  (void)state;
  char text[20000];
  for (int i = 0; imgrec_preset_name(i); i++) {
    assert_true(imgrec_preset(imgrec_preset_name(i), 0, 0, 0, 0, text,
                              sizeof text) > 0);
    check(text, 5);
  }
}

/* ---- Size ---------------------------------------------------------------- */

static size_t planned_floats(const char *text, size_t batch, int training) {
  struct planned p;
  make(&p, text, batch, training);
  size_t floats = p.plan.floats;
  release(&p);
  return floats;
}

/* In inference two values live at a time: 10 x 10 x 8 each. */
static void test_plan__chain_uses_two_values(void **state) {
  (void)state;
  const char *chain = "input 10 10 8\navg_pool2d 1\navg_pool2d 1\n"
                      "avg_pool2d 1\navg_pool2d 1\navg_pool2d 1\n"
                      "global_avg_pool2d\n";
  assert_int_equal(planned_floats(chain, 3, 0), 2 * 3 * 800);
}

/* Operators that work in place add nothing. */
static void test_plan__in_place(void **state) {
  (void)state;
  struct planned p;
  const char *text = "input 10 10 8\navg_pool2d 1\nbatch_norm\nrelu\n"
                     "sigmoid\ndropout 0.5\nsoftmax\nflatten\n";
  make(&p, text, 2, 0);
  for (int i = 2; i < p.graph.node_count; i++)
    assert_int_equal(p.plan.places[i].y, p.plan.places[1].y);
  assert_int_equal(p.plan.floats, 2 * 800 + 16); /* with batch_norm's scratch */
  release(&p);
}

/* What a convolution does along has no array of its own. */
static void test_plan__fused(void **state) {
  (void)state;
  struct planned p;
  const char *text = "input 10 10 8\nconv2d 4 kernel=3\nbatch_norm\nrelu\n"
                     "max_pool2d 2\nflatten\n";
  make(&p, text, 2, 0);
  const struct place *place = &p.plan.places[1];
  assert_int_equal(place->last, 4);
  assert_int_equal(place->bn, 2);
  assert_int_equal(place->act, 3);
  assert_int_equal(place->pool, 4);
  assert_int_equal(place->won, PLAN_NONE);
  assert_int_equal(p.plan.places[4].head, 1);
  assert_int_equal(p.plan.places[4].y, place->y);
  size_t prepared = p.graph.nodes[1].op->prepared(&p.graph.nodes[1]);
  assert_int_equal(p.plan.floats, round_up(prepared, 16) + 2 * 4 * 4 * 4);
  release(&p);
}

/* In training batch norm needs its input, and a pooling's winners are kept. */
static void test_plan__fused_in_training(void **state) {
  (void)state;
  struct planned p;
  make(&p,
       "input 10 10 8\nconv2d 4 kernel=3\nbatch_norm\nrelu\nmax_pool2d 2\n"
       "conv2d 4 kernel=1\nmax_pool2d 2\nflatten\n",
       2, 1);
  assert_int_equal(p.plan.places[1].last, 1);
  assert_int_equal(p.plan.places[5].last, 6);
  assert_int_equal(p.plan.places[5].act, PLAN_NONE);
  assert_true(p.plan.places[5].won >= 0);
  release(&p);
}

/* What another layer reads too is not passed over, nor what is asked for. */
static void test_plan__not_fused(void **state) {
  (void)state;
  struct planned p;
  make(&p,
       "input 4 4 1\nc = conv2d 4 kernel=1\nr = relu\nadd from=c,r\n"
       "conv2d 4 kernel=1\nmax_pool2d 3 stride=2\nflatten\n",
       2, 0);
  assert_int_equal(p.plan.places[1].last, 1);
  assert_int_equal(p.plan.places[4].last, 4);
  release(&p);
}

/* The caller's images are never written to. */
static void test_plan__input_is_not_overwritten(void **state) {
  (void)state;
  struct planned p;
  make(&p, "input 4 4 1\nrelu\nflatten\n", 2, 0);
  assert_int_equal(p.plan.places[0].y, PLAN_NONE);
  assert_true(p.plan.places[1].y >= 0);
  release(&p);
}

/* Gradients share memory with each other and with values that nobody needs any
 * more: two at a time, behind the scratch of the first layer. */
static void test_plan__gradients_share(void **state) {
  (void)state;
  struct planned p;
  make(&p,
       "input 10 10 1\nconv2d 8 kernel=1\navg_pool2d 1\navg_pool2d 1\n"
       "avg_pool2d 1\navg_pool2d 1\navg_pool2d 1\nflatten\n",
       1, 1);
  const struct node *n = &p.graph.nodes[1];
  assert_int_equal(p.plan.floats, round_up(n->op->scratch(n, 1, 1), 16) +
                                      round_up(n->op->prepared(n), 16) +
                                      2 * 800);
  release(&p);
}

/* ---- Limits -------------------------------------------------------------- */

static void test_plan__too_large(void **state) {
  (void)state;
  struct planned p;
  struct error e;
  struct plan none;
  make(&p, "input 16384 16384 7\nrelu\nglobal_avg_pool2d\n", 1, 0);
  assert_int_equal(
      imgrec__plan_create(&none, &p.allocator, &e, &p.graph, SIZE_MAX / 4, 0),
      IMGREC_ERR_LIMIT);
  assert_non_null(strstr(e.text, "images of this network is larger than any "
                                 "memory; use a smaller batch"));
  release(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plan__random_graphs),
      cmocka_unit_test(test_plan__presets),
      cmocka_unit_test(test_plan__chain_uses_two_values),
      cmocka_unit_test(test_plan__in_place),
      cmocka_unit_test(test_plan__fused),
      cmocka_unit_test(test_plan__fused_in_training),
      cmocka_unit_test(test_plan__not_fused),
      cmocka_unit_test(test_plan__input_is_not_overwritten),
      cmocka_unit_test(test_plan__gradients_share),
      cmocka_unit_test(test_plan__too_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
