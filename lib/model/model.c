/* SPDX-License-Identifier: MIT */
/* A network with its weights: creating it, running it, asking it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "graph.h"

enum { ALIGN_FLOATS = IMGREC__ALIGN / sizeof(float) };

/* ---- Parameters ---------------------------------------------------------- */

struct param *imgrec__model_param(const struct imgrec_model *m, int index) {
  for (int i = 0; i < m->graph.node_count; i++) {
    struct node *n = &m->graph.nodes[i];
    if (index < n->param_count)
      return &n->params[index];
    index -= n->param_count;
  }
  return NULL;
}

size_t imgrec__param_offset(const struct imgrec_model *m,
                            const struct param *p) {
  return (size_t)(p->data - m->weights);
}

static int make_weights(struct imgrec_model *m,
                        const imgrec_model_options *options, int init) {
  struct imgrec_context *ctx = m->context;
  struct param *p;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++)
    if (!p->int8)
      m->weight_floats += round_up(p->count, ALIGN_FLOATS);
  m->weights = m->common->weights = imgrec__alloc_zero(
      &ctx->allocator, m->weight_floats * sizeof *m->weights);
  if (!m->weights)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the model's weights");
  size_t offset = 0;
  for (int i = 0; (p = imgrec__model_param(m, i)); i++) {
    if (p->int8)
      continue;
    p->data = m->weights + offset;
    offset += round_up(p->count, ALIGN_FLOATS);
    if (init)
      imgrec__param_init(ctx, p, options->init, options->seed, i);
  }
  return IMGREC_OK;
}

static int make_bytes(struct imgrec_model *m) {
  struct imgrec_context *ctx = m->context;
  for (int i = 0; i < m->graph.node_count; i++) {
    struct node *n = &m->graph.nodes[i];
    if (n->param_count == 0 || !n->params[0].int8)
      continue;
    m->weight_type = IMGREC_WEIGHTS_INT8;
    n->params[0].quantized = imgrec__quantized_new(&ctx->allocator, n);
    if (!n->params[0].quantized)
      return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                 "the model's weights");
    n->op = imgrec__quantized_op(n);
    m->quantized_bytes += n->params[0].quantized->bytes;
  }
  return IMGREC_OK;
}

int imgrec__model_need_floats(const struct imgrec_model *m, const char *what) {
  if (m->weight_type != IMGREC_WEIGHTS_INT8)
    return IMGREC_OK;
  return imgrec__fail(&m->context->error, IMGREC_ERR_UNSUPPORTED,
                      "the weights of this model are int8, which %s; go back "
                      "to the model that it was made from",
                      what);
}

/* ---- Creating ------------------------------------------------------------ */

static int make_arena(struct imgrec_model *m, size_t batch) {
  struct imgrec_context *ctx = m->context;
  int status = imgrec__plan_create(&m->plan, &ctx->allocator, &ctx->error,
                                   &m->graph, batch, 0);
  if (status < 0)
    return status;
  size_t input = shape_count(&m->graph.nodes[0].out);
  size_t classes = shape_count(&m->graph.nodes[m->graph.output].out);
  m->arena =
      imgrec__alloc_array(&ctx->allocator, m->plan.floats, sizeof *m->arena);
  m->input = imgrec__alloc_array(&ctx->allocator, input, sizeof *m->input);
  m->probabilities =
      imgrec__alloc_array(&ctx->allocator, classes, sizeof *m->probabilities);
  if (!m->arena || !m->input || !m->probabilities)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the model's working memory");
  return IMGREC_OK;
}

static int make_numbers(struct imgrec_model *m) {
  struct allocator *a = &m->context->allocator;
  int classes = imgrec_model_classes(m);
  m->numbers = imgrec__alloc_array(a, (size_t)classes, sizeof *m->numbers);
  if (!m->numbers)
    return imgrec__fail_memory(&m->context->error, a, "the class names");
  for (int i = 0; i < classes; i++)
    snprintf(m->numbers[i].text, sizeof m->numbers[i].text, "%d", i);
  return IMGREC_OK;
}

static void default_preprocess(struct imgrec_model *m) {
  const struct shape *in = &m->graph.nodes[0].out;
  imgrec_preprocess_init(&m->preprocess, sizeof m->preprocess);
  m->preprocess.height = (int32_t)in->h;
  m->preprocess.width = (int32_t)in->w;
  m->preprocess.channels = (int32_t)in->c;
}

int imgrec__model_room(struct imgrec_model *m, size_t max_batch) {
  int status = make_arena(m, max_batch);
  return status < 0 ? status : make_numbers(m);
}

static int build(struct imgrec_model *m, const imgrec_model_options *options,
                 int init) {
  int status;
  if ((status = make_bytes(m)) < 0 ||
      (status = make_weights(m, options, init)) < 0 ||
      (status = imgrec__model_room(m, (size_t)options->max_batch)) < 0)
    return status;
  default_preprocess(m);
  imgrec__model_uncalibrate(m);
  return IMGREC_OK;
}

int imgrec_model_options_init(imgrec_model_options *options,
                              size_t struct_size) {
  const imgrec_model_options defaults = {.struct_size = sizeof defaults,
                                         .max_batch = 32};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

int imgrec__model_options(struct error *e, imgrec_model_options *o,
                          const imgrec_model_options *theirs,
                          int32_t max_batch) {
  *o = (imgrec_model_options){.struct_size = sizeof *o};
  int status =
      imgrec__options_read(e, o, sizeof *o, theirs, "imgrec_model_options");
  if (status < 0)
    return status;
  if (o->max_batch == 0)
    o->max_batch = max_batch;
  if (o->max_batch < 1 || o->max_batch > IMGREC__MAX_BATCH)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "max_batch is %d; it must be 1 to %d",
                        (int)o->max_batch, IMGREC__MAX_BATCH);
  if (o->init < IMGREC_INIT_GLOROT_UNIFORM || o->init > IMGREC_INIT_ZEROS)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "init is %d, which is no IMGREC_INIT_ value",
                        (int)o->init);
  return IMGREC_OK;
}

int imgrec__model_on(struct imgrec_model **out, struct imgrec_context *ctx,
                     struct common *common) {
  struct imgrec_model *m = imgrec__alloc_zero(&ctx->allocator, sizeof *m);
  if (!m) {
    imgrec__common_release(common);
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a model");
  }
  imgrec__context_retain(ctx);
  m->references = 1;
  m->context = ctx;
  m->common = common;
  m->graph = common->graph;
  m->weights = common->weights;
  *out = m;
  return IMGREC_OK;
}

static int create(struct imgrec_model **out, struct imgrec_context *ctx,
                  struct graph *graph, const imgrec_model_options *options,
                  int init) {
  imgrec_model_options o;
  struct common *common = NULL;
  struct imgrec_model *m;
  int status = imgrec__model_options(&ctx->error, &o, options, 32);
  if (status < 0 || (status = imgrec__common_new(&common, ctx, graph)) < 0 ||
      (status = imgrec__model_on(&m, ctx, common)) < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = build(m, &o, init);
  imgrec__fp_leave(fp);
  if (status < 0)
    imgrec_model_destroy(m);
  else
    *out = m;
  return status;
}

int imgrec__model_from_graph(struct imgrec_model **out,
                             struct imgrec_context *ctx, struct graph *graph,
                             const imgrec_model_options *options, int init) {
  int status = create(out, ctx, graph, options, init);
  if (graph->allocator)
    imgrec__graph_free(graph);
  return status;
}

int imgrec__model_new(struct imgrec_model **out, struct imgrec_context *ctx,
                      const char *text, const imgrec_model_options *options,
                      int init) {
  struct graph graph;
  uint64_t fp = imgrec__fp_enter();
  int status = imgrec__graph_parse(&graph, &ctx->allocator, &ctx->error, text);
  imgrec__fp_leave(fp);
  if (status < 0)
    return status;
  return imgrec__model_from_graph(out, ctx, &graph, options, init);
}

int imgrec_model_create(imgrec_model **out, imgrec_context *ctx,
                        const char *architecture,
                        const imgrec_model_options *options) {
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !architecture)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_create: out or architecture is NULL");
  return imgrec__model_new(out, ctx, architecture, options, 1);
}

void imgrec__model_retain(struct imgrec_model *m) { m->references++; }

void imgrec__model_changed(struct imgrec_model *m) { m->prepared = 0; }

static void free_labels(struct imgrec_model *m, char **labels) {
  int classes = labels ? imgrec_model_classes(m) : 0;
  for (int i = 0; i < classes; i++)
    imgrec__free(&m->context->allocator, labels[i]);
  imgrec__free(&m->context->allocator, labels);
}

void imgrec_model_destroy(imgrec_model *m) {
  if (!m || --m->references > 0)
    return;
  struct imgrec_context *ctx = m->context;
  struct allocator *a = &ctx->allocator;
  free_labels(m, m->labels);
  imgrec__free(a, m->numbers);
  imgrec__plan_free(&m->plan);
  imgrec__free(a, m->arena);
  imgrec__free(a, m->input);
  imgrec__free(a, m->probabilities);
  imgrec__common_release(m->common);
  imgrec__free(a, m);
  imgrec__context_release(ctx);
}

/* ---- Running ------------------------------------------------------------- */

const float *imgrec__model_run(struct imgrec_model *m, const float *x,
                               size_t batch, int node) {
  const struct pass pass = {.context = m->context,
                            .graph = &m->graph,
                            .plan = &m->plan,
                            .arena = m->arena,
                            .x = x,
                            .batch = batch,
                            .prepare = !m->prepared,
                            .hook = m->hook};
  uint64_t fp = imgrec__fp_enter();
  const float *y = imgrec__pass_forward(&pass, node);
  m->prepared = 1;
  imgrec__fp_leave(fp);
  return y;
}

int imgrec__check_batch(const struct graph *g, struct error *e,
                        const struct imgrec_tensor *x, size_t max_batch) {
  const struct shape *in = &g->nodes[0].out;
  if (!x || x->dtype != IMGREC_F32)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "x must be an f32 tensor");
  if (x->ndim != 4 || x->shape[1] != in->h || x->shape[2] != in->w ||
      x->shape[3] != in->c)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "x is %" PRId64 " x %" PRId64 " x %" PRId64
                        " x %" PRId64 "; this model takes N x %" PRId64
                        " x %" PRId64 " x %" PRId64,
                        x->shape[0], x->shape[1], x->shape[2], x->shape[3],
                        in->h, in->w, in->c);
  if ((size_t)x->shape[0] > max_batch)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "x has %" PRId64 " images; max_batch is %zu",
                        x->shape[0], max_batch);
  return IMGREC_OK;
}

int imgrec_model_forward(imgrec_model *m, const imgrec_tensor *x,
                         imgrec_tensor *y) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &m->context->error;
  int classes = imgrec_model_classes(m);
  int status = imgrec__check_batch(&m->graph, e, x, m->plan.batch);
  if (status < 0)
    return status;
  if (!y || y->dtype != IMGREC_F32 || y->ndim != 2 ||
      y->shape[0] != x->shape[0] || y->shape[1] != classes)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "y must be an f32 tensor of %" PRId64 " x %d",
                        x->shape[0], classes);
  const float *result =
      imgrec__model_run(m, x->data, (size_t)x->shape[0], m->graph.output);
  memcpy(y->data, result, y->nbytes);
  return IMGREC_OK;
}

/* ---- Asking -------------------------------------------------------------- */

void imgrec_model_input_shape(const imgrec_model *m, int64_t shape[3]) {
  const struct shape *in = &m->graph.nodes[0].out;
  shape[0] = in->h;
  shape[1] = in->w;
  shape[2] = in->c;
}

int imgrec_model_classes(const imgrec_model *m) {
  return (int)m->graph.nodes[m->graph.output].out.c;
}

int imgrec_model_weight_type(const imgrec_model *m) { return m->weight_type; }

const char *imgrec_model_architecture(const imgrec_model *m) {
  return m->graph.text;
}

static int copy_labels(struct imgrec_model *m, char **copy,
                       const char *const *labels) {
  struct imgrec_context *ctx = m->context;
  for (int i = 0; i < imgrec_model_classes(m); i++) {
    if (!labels[i] || !imgrec__utf8_valid(labels[i], strlen(labels[i])))
      return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                          "label %d is not UTF-8 text", i);
    copy[i] = imgrec__strdup(&ctx->allocator, labels[i]);
    if (!copy[i])
      return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                                 "the class names");
  }
  return IMGREC_OK;
}

int imgrec_model_set_labels(imgrec_model *m, int count,
                            const char *const *labels) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = m->context;
  int classes = imgrec_model_classes(m);
  if (count != classes || !labels)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "%d labels for a model of %d classes", count, classes);
  char **copy =
      imgrec__alloc_zero(&ctx->allocator, (size_t)classes * sizeof *copy);
  if (!copy)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the class names");
  int status = copy_labels(m, copy, labels);
  if (status < 0) {
    free_labels(m, copy);
    return status;
  }
  free_labels(m, m->labels);
  m->labels = copy;
  return IMGREC_OK;
}

const char *imgrec_model_label(const imgrec_model *m, int class_index) {
  if (class_index < 0 || class_index >= imgrec_model_classes(m))
    return "";
  return m->labels ? m->labels[class_index] : m->numbers[class_index].text;
}
