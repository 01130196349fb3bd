/* SPDX-License-Identifier: MIT */
/* A model in bytes made by hand from one in floats, whose layers all take the
 * same scale and zero for their inputs.  Include behind cmocka.h. */
#ifndef INT8_NET_H
#define INT8_NET_H

#include "nets.h"

static inline imgrec_model *int8_model(imgrec_context *ctx,
                                       const imgrec_model *floats, float scale,
                                       int zero) {
  struct graph g;
  imgrec_model *m = NULL;
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.max_batch = (int32_t)floats->plan.batch;
  assert_ok(ctx, imgrec__graph_parse(&g, &ctx->allocator, &ctx->error,
                                     floats->graph.text));
  for (int i = 0; i < g.node_count; i++)
    g.nodes[i].params[0].int8 = imgrec__quantized_op(&g.nodes[i]) != NULL;
  assert_ok(ctx, imgrec__model_from_graph(&m, ctx, &g, &o, 0));
  for (int i = 0; i < m->graph.node_count; i++) {
    struct node *n = &m->graph.nodes[i];
    const struct node *from = &floats->graph.nodes[i];
    for (int k = 0; k < n->param_count; k++)
      if (!n->params[k].int8)
        memcpy(n->params[k].data, from->params[k].data,
               n->params[k].count * sizeof(float));
    if (!n->params[0].int8)
      continue;
    struct quantized *q = n->params[0].quantized;
    imgrec__quantized_round(q, from->params[0].data);
    q->input_scale = scale;
    q->input_zero = zero;
    imgrec__quantized_finish(q);
  }
  return m;
}

#endif
