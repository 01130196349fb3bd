/* SPDX-License-Identifier: MIT */
/* Models of several contexts, and so of several threads, on the same weights.
 *
 * Nobody writes to what they have in common while there are two of them, so
 * its count is all that their threads have to agree about. */
#include "graph.h"

int imgrec__common_new(struct common **out, struct imgrec_context *ctx,
                       struct graph *graph) {
  struct common *c = imgrec__alloc_zero(&ctx->allocator, sizeof *c);
  if (!c)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a model");
  imgrec__context_retain(ctx);
  c->context = ctx;
  c->graph = *graph;
  *graph = (struct graph){0};
  atomic_init(&c->references, 1);
  *out = c;
  return IMGREC_OK;
}

/* The blocks are those of its own context, whose allocator other threads may
 * free into. */
void imgrec__common_release(struct common *c) {
  if (atomic_fetch_sub(&c->references, 1) > 1)
    return;
  struct imgrec_context *ctx = c->context;
  for (int i = 0; i < c->graph.node_count; i++)
    imgrec__free(&ctx->allocator, c->graph.nodes[i].params[0].quantized);
  imgrec__graph_free(&c->graph);
  imgrec__free(&ctx->allocator, c->weights);
  imgrec__free(&ctx->allocator, c);
  imgrec__context_release(ctx);
}

int imgrec__model_unshared(const struct imgrec_model *m) {
  int64_t others = atomic_load(&m->common->references) - 1;
  if (others == 0)
    return IMGREC_OK;
  return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                      "the weights of this model are shared with %lld other%s "
                      "and cannot be changed; destroy the other%s first, or "
                      "load the model once more",
                      (long long)others, others > 1 ? "s" : "",
                      others > 1 ? "s" : "");
}

int imgrec__model_at_rest(const struct imgrec_model *m) {
  if (m->steps_under_way == 0)
    return IMGREC_OK;
  return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                      "a training step of this model is under way; finish it "
                      "with imgrec_train_step_ms, or give it up with "
                      "imgrec_trainer_abandon");
}

int imgrec__model_may_change(const struct imgrec_model *m, const char *what) {
  int status = imgrec__model_need_floats(m, what);
  if (status >= 0)
    status = imgrec__model_at_rest(m);
  return status < 0 ? status : imgrec__model_unshared(m);
}

/* What of a model is no part of `common`. */
static int copy_settings(struct imgrec_model *to,
                         const struct imgrec_model *from) {
  to->weight_floats = from->weight_floats;
  to->weight_type = from->weight_type;
  to->quantized_bytes = from->quantized_bytes;
  to->preprocess = from->preprocess;
  to->calibration = from->calibration;
  if (!from->labels)
    return IMGREC_OK;
  return imgrec_model_set_labels(to, imgrec_model_classes(from),
                                 (const char *const *)from->labels);
}

static int check_share(const struct imgrec_model *m, struct error *e) {
  if (m->references == 1)
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "the model has a trainer, which changes its weights; "
                      "destroy that before the model is shared");
}

int imgrec_model_share(imgrec_model **out, const imgrec_model *model,
                       imgrec_context *ctx,
                       const imgrec_model_options *options) {
  imgrec_model_options o;
  struct imgrec_model *m;
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !model)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_share: out or model is NULL");
  int status = check_share(model, &ctx->error);
  if (status < 0 ||
      (status = imgrec__model_options(&ctx->error, &o, options,
                                      (int32_t)model->plan.batch)) < 0)
    return status;
  atomic_fetch_add(&model->common->references, 1);
  status = imgrec__model_on(&m, ctx, model->common);
  if (status < 0)
    return status;
  status = imgrec__model_room(m, (size_t)o.max_batch);
  if (status >= 0)
    status = copy_settings(m, model);
  if (status < 0)
    imgrec_model_destroy(m);
  else
    *out = m;
  return status;
}
