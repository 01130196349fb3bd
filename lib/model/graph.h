/* SPDX-License-Identifier: MIT */
/* Floor 5: the network.  Text becomes a graph (arch.c), the graph gets a plan
 * of memory (plan.c), and a model has weights and runs it (model.c). */
#ifndef IMGREC_GRAPH_H
#define IMGREC_GRAPH_H

#include <stdatomic.h>

#include "ops/op.h"

/* A line of the text: nodes [first, first + count). */
struct layer {
  int first, count;
};

struct graph {
  struct allocator *allocator;
  struct node *nodes;
  int node_count, node_capacity;
  struct layer *layers;
  int layer_count, layer_capacity;
  char *text; /* canonical */
  /* The last node; logits is its input where it is a softmax, else itself. */
  int output, logits;
};

/* ---- arch.c ------------------------------------------------------------- */

int imgrec__graph_parse(struct graph *out, struct allocator *a, struct error *e,
                        const char *text);
void imgrec__graph_free(struct graph *g);
size_t imgrec__graph_parameters(const struct graph *g);

/* ---- plan.c ------------------------------------------------------------- */

enum { PLAN_NONE = -1 };

/* Where a node's arrays lie in the arena, in floats; PLAN_NONE where it has
 * none (the input's value is the caller's). */
struct place {
  /* A node that does layers behind it along heads a chain, which ends with
   * `last`; head is the node itself where it heads one, if only of itself.
   * What the node takes along: nodes, or PLAN_NONE. */
  int head, last;
  int bn, act, pool;
  int64_t y, dy; /* of the chain's last */
  int64_t saved, won, prepared;
  /* Where this node's backward writes the gradient of each input: the dy of
   * that input for the first writer, a place of its own for the others, which
   * is then added (see `add`); PLAN_NONE where nobody needs it. */
  int64_t dx[NODE_MAX_INPUTS];
  int add[NODE_MAX_INPUTS];
};

struct plan {
  struct allocator *allocator;
  struct place *places; /* one a node */
  size_t batch;
  int training;
  size_t floats; /* of the arena */
};

int imgrec__plan_create(struct plan *out, struct allocator *a, struct error *e,
                        const struct graph *g, size_t batch, int training);
void imgrec__plan_free(struct plan *p);

/* ---- gradients.c -------------------------------------------------------- */

/* Where the gradients of a node's parameters lie, in floats; PLAN_NONE for a
 * parameter that is not trained, or is updated by its node's backward. */
struct gradient_place {
  int64_t at[NODE_MAX_PARAMS];
};

/* Floats of the gradients of all parameters; of those that nodes can update
 * themselves none, unless `all`.  places: one a node, or NULL. */
size_t imgrec__place_gradients(const struct graph *g, int all,
                               struct gradient_place *places);

/* ---- freeze.c ----------------------------------------------------------- */

/* Whether a layer's name with a '.' behind it begins with `prefix`, and it has
 * parameters. */
int imgrec__layer_begins(const struct node *n, const char *prefix);
/* Whether any parameter learns. */
int imgrec__learns(const struct graph *g);

/* ---- run.c: nodes in order, and in reverse ------------------------------ */

/* The host's, who may have none. */
struct layer_hook {
  imgrec_layer_fn fn;
  void *user;
};

static inline void call_hook(const struct layer_hook *h, int layer, int phase) {
  if (h->fn)
    h->fn(h->user, layer, phase);
}

/* Of each of a node's parameters. */
struct node_rules {
  struct update_rule of[NODE_MAX_PARAMS];
};

struct pass {
  struct imgrec_context *context;
  const struct graph *graph;
  const struct plan *plan;
  float *arena;
  const float *x;
  size_t batch;
  int prepare; /* weights have changed since they were prepared here */
  /* Of all parameters: gradients lie as weights do, or where `places` says.
   * Training only. */
  const float *weights;
  float *gradients;
  const struct gradient_place *places; /* one a node, or NULL */
  const struct update *update;         /* for nodes without a place */
  const struct node_rules *rules;      /* one a node, with `update` */
  int accumulate;
  uint64_t seed, step;
  /* NULL, or shown each node before its forward. */
  void (*watch)(void *user, const struct run *r);
  void *watch_user;
  struct layer_hook hook;
};

/* Value of `last`, which is computed with all that it needs; not of a node
 * within a chain, which has none. */
const float *imgrec__pass_forward(const struct pass *p, int last);
/* Node i, and what it takes along; returns the one behind. */
int imgrec__pass_forward_node(const struct pass *p, int i);
/* Of a node that was computed; node 0 is the input. */
const float *imgrec__pass_value(const struct pass *p, int node);
/* From the gradient at p's graph->logits, which the caller has written to
 * imgrec__pass_gradient(). */
float *imgrec__pass_gradient(const struct pass *p);
void imgrec__pass_backward(const struct pass *p);
/* Node by node, from the logits down, those that have something to do. */
int imgrec__pass_has_backward(const struct pass *p, int i);
void imgrec__pass_backward_node(const struct pass *p, int i);

/* ---- share.c ------------------------------------------------------------ */

/* What models that share their weights have in common, of the context of the
 * first of them. */
struct common {
  _Atomic int64_t references; /* one for each model */
  struct imgrec_context *context;
  struct graph graph;
  float *weights;
};

/* Takes the graph over, which is then empty. */
int imgrec__common_new(struct common **out, struct imgrec_context *ctx,
                       struct graph *graph);
/* For any thread. */
void imgrec__common_release(struct common *c);
/* Fails where another model has the same weights. */
int imgrec__model_unshared(const struct imgrec_model *m);
/* Fails while a training step is under way. */
int imgrec__model_at_rest(const struct imgrec_model *m);
/* Both, and where weights are bytes, saying that `what` cannot be done. */
int imgrec__model_may_change(const struct imgrec_model *m, const char *what);

/* ---- model.c ------------------------------------------------------------ */

struct imgrec_model {
  struct imgrec_context *context;
  int64_t references; /* the creator's and one for each trainer */
  struct common *common;
  /* Those of `common`: */
  struct graph graph;
  float *weights; /* all parameters, each aligned to 16 floats */
  size_t weight_floats;
  int weight_type;        /* IMGREC_WEIGHTS_*: how a file stores them */
  size_t quantized_bytes; /* of weights that are bytes, beside `weights` */
  char **labels;          /* NULL, or one a class */
  /* "0", "1", ...: labels where none were given. */
  struct number {
    char text[16];
  } * numbers;
  imgrec_preprocess preprocess;
  imgrec_calibration calibration;
  struct layer_hook hook;
  struct plan plan;
  float *arena;        /* of forward, made at creation */
  int steps_under_way; /* of trainers, begun and not finished */
  int prepared;        /* the arena has what is prepared from these weights */
  /* What classify needs, made at creation: one input, one row of
   * probabilities. */
  float *input, *probabilities;
};

/* Images in one forward, or in one step. */
enum { IMGREC__MAX_BATCH = 65536 };
/* A model without weights initialised when `init` is 0. */
int imgrec__model_new(struct imgrec_model **out, struct imgrec_context *ctx,
                      const char *text, const imgrec_model_options *options,
                      int init);
/* The same from a parsed text, which it takes over in any case.  Parameters
 * that are marked as int8 get bytes, all zero, instead of floats. */
int imgrec__model_from_graph(struct imgrec_model **out,
                             struct imgrec_context *ctx, struct graph *graph,
                             const imgrec_model_options *options, int init);
/* A model on `common`, of which it takes one reference over in any case; it
 * still needs room to work in. */
int imgrec__model_on(struct imgrec_model **out, struct imgrec_context *ctx,
                     struct common *common);
int imgrec__model_room(struct imgrec_model *m, size_t max_batch);
/* The caller's options checked, with this max_batch where they say none. */
int imgrec__model_options(struct error *e, imgrec_model_options *o,
                          const imgrec_model_options *theirs,
                          int32_t max_batch);
/* Fails where weights are bytes, saying that `what` cannot be done. */
int imgrec__model_need_floats(const struct imgrec_model *m, const char *what);
void imgrec__model_retain(struct imgrec_model *m);
/* To be called when weights have been written to. */
void imgrec__model_changed(struct imgrec_model *m);
/* The parameters of all nodes in one row; NULL behind the last. */
struct param *imgrec__model_param(const struct imgrec_model *m, int index);
/* Floats from the start of m->weights to this parameter. */
size_t imgrec__param_offset(const struct imgrec_model *m,
                            const struct param *p);
/* Values [first, first + count) in the file's order from or to memory's; bytes
 * are exported as the floats that they stand for. */
void imgrec__param_export(const struct param *p, const float *memory,
                          size_t first, size_t count, float *file);
void imgrec__param_import(struct imgrec_context *ctx, const struct param *p,
                          const float *file, float *memory);
/* half.c: numbers of 16 bits, rounded to nearest, half to even. */
uint16_t imgrec__narrow_f16(float x);
uint16_t imgrec__narrow_bf16(float x);
float imgrec__widen_f16(uint16_t h);
float imgrec__widen_bf16(uint16_t h);
/* Whether it is one of those that a file may store in fewer bits. */
int imgrec__is_weight(const struct param *p);
/* The same of the bytes of a quantized parameter. */
void imgrec__param_export_int8(const struct param *p, size_t first,
                               size_t count, int8_t *file);
void imgrec__param_import_int8(struct imgrec_context *ctx,
                               const struct param *p, const int8_t *file);
/* Initial values of the model's `number`-th parameter, whose data is zero. */
void imgrec__param_init(struct imgrec_context *ctx, struct param *p, int kind,
                        uint64_t seed, int number);
/* calibration.c.  As it is made: probabilities as trained, none rejected. */
void imgrec__model_uncalibrate(struct imgrec_model *m);
int imgrec__model_calibrated(const struct imgrec_model *m);
/* A row of logits z to one of probabilities p, which may be z. */
void imgrec__model_probabilities(const struct imgrec_model *m, const float *z,
                                 float *p);
/* Whether x is a batch that the graph takes. */
int imgrec__check_batch(const struct graph *g, struct error *e,
                        const struct imgrec_tensor *x, size_t max_batch);
/* batch rows of `classes` logits or probabilities from x; the arena's. */
const float *imgrec__model_run(struct imgrec_model *m, const float *x,
                               size_t batch, int node);

#endif
