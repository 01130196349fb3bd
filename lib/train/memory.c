/* SPDX-License-Identifier: MIT */
/* What models and trainers take of a host's memory, to the byte: the blocks of
 * imgrec_model_create and imgrec_trainer_create, added up. */
#include "train.h"

/* What does not depend on the batch; labels that it was given too. */
static uint64_t model_bytes(const struct imgrec_model *m) {
  const struct graph *g = &m->graph;
  const void *const blocks[] = {
      m,         m->common, g->nodes,   g->text,          m->numbers,
      g->layers, m->input,  m->weights, m->probabilities, m->labels};
  uint64_t bytes = 0;
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    bytes += imgrec__block_bytes(blocks[i]);
  for (int i = 0; i < g->node_count; i++)
    bytes += imgrec__block_bytes(g->nodes[i].params[0].quantized);
  for (int i = 0; m->labels && i < imgrec_model_classes(m); i++)
    bytes += imgrec__block_bytes(m->labels[i]);
  return bytes;
}

/* A plan and its arena. */
static int add_arena(uint64_t *bytes, const struct imgrec_model *m, int batch,
                     int training) {
  struct imgrec_context *ctx = m->context;
  struct plan plan;
  int status = imgrec__plan_create(&plan, &ctx->allocator, &ctx->error,
                                   &m->graph, (size_t)batch, training);
  if (status < 0)
    return status;
  *bytes += imgrec__block_bytes(plan.places) +
            imgrec__bytes_for(plan.floats * sizeof(float));
  imgrec__plan_free(&plan);
  return IMGREC_OK;
}

/* A trainer as its options are without being asked for more, and the best
 * weights of imgrec_fit. */
static uint64_t trainer_bytes(const struct imgrec_model *m) {
  size_t nodes = (size_t)m->graph.node_count;
  size_t gradients = imgrec__place_gradients(&m->graph, 0, NULL);
  uint64_t moment = imgrec__bytes_for(m->weight_floats * sizeof(float));
  return imgrec__bytes_for(sizeof(struct imgrec_trainer)) +
         imgrec__bytes_for(nodes * sizeof(struct gradient_place)) +
         imgrec__bytes_for(nodes * sizeof(struct node_rules)) +
         imgrec__bytes_for(2 * nodes * sizeof(float)) + /* times of pieces */
         imgrec__bytes_for(gradients * sizeof(float)) + 3 * moment;
}

int imgrec_model_memory(const imgrec_model *m, int batch, int training,
                        uint64_t *bytes) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (batch < 1 || batch > IMGREC__MAX_BATCH || !bytes)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "batch is %d; it must be 1 to %d", batch,
                        IMGREC__MAX_BATCH);
  int status = IMGREC_OK;
  if (training)
    status = imgrec__model_need_floats(m, "cannot be trained");
  uint64_t sum = model_bytes(m) + (training ? trainer_bytes(m) : 0);
  if (status >= 0)
    status = add_arena(&sum, m, batch, 0);
  if (status >= 0 && training)
    status = add_arena(&sum, m, batch, 1);
  if (status >= 0)
    *bytes = sum;
  return status;
}
