/* SPDX-License-Identifier: MIT */
/* Where the gradients of parameters lie between backward and update. */
#include "graph.h"

/* A gradient that is used up within its node's backward has no place. */
static int wants_place(const struct node *n, int k, int all) {
  if (!param_learns(n, k))
    return 0;
  return all || k > 0 || !(n->op->flags(n) & OP_UPDATES);
}

size_t imgrec__place_gradients(const struct graph *g, int all,
                               struct gradient_place *places) {
  size_t floats = 0;
  for (int i = 0; i < g->node_count; i++)
    for (int k = 0; k < NODE_MAX_PARAMS; k++) {
      const struct node *n = &g->nodes[i];
      int placed = wants_place(n, k, all);
      if (places)
        places[i].at[k] = placed ? (int64_t)floats : PLAN_NONE;
      if (placed)
        floats += round_up(n->params[k].count, IMGREC__ALIGN / sizeof(float));
    }
  return floats;
}
