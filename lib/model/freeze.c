/* SPDX-License-Identifier: MIT */
/* Layers that do not learn. */
#include <string.h>

#include "graph.h"

int imgrec__layer_begins(const struct node *n, const char *prefix) {
  size_t length = strlen(n->name), wanted = strlen(prefix);
  if (n->param_count == 0 || wanted > length + 1 ||
      memcmp(n->name, prefix, min_size(wanted, length)) != 0)
    return 0;
  return wanted <= length || prefix[length] == '.';
}

int imgrec__learns(const struct graph *g) {
  for (int i = 0; i < g->node_count; i++)
    for (int k = 0; k < g->nodes[i].param_count; k++)
      if (param_learns(&g->nodes[i], k))
        return 1;
  return 0;
}

static int set_frozen(struct imgrec_model *m, const char *prefix, int frozen) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct error *e = &m->context->error;
  int count = 0, status;
  if (!prefix)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT, "the prefix is NULL");
  if (m->references > 1) /* the trainer's memory is planned */
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "layers can only be frozen, or not, before a trainer "
                        "of the model is made");
  if ((status = imgrec__model_unshared(m)) < 0)
    return status;
  for (int i = 0; i < m->graph.node_count; i++)
    if (imgrec__layer_begins(&m->graph.nodes[i], prefix)) {
      m->graph.nodes[i].frozen = frozen;
      count++;
    }
  if (count == 0)
    return imgrec__fail(e, IMGREC_ERR_NOT_FOUND,
                        "no layer with weights begins with '%.60s'", prefix);
  return count;
}

int imgrec_model_freeze(imgrec_model *model, const char *prefix) {
  return set_frozen(model, prefix, 1);
}

int imgrec_model_unfreeze(imgrec_model *model, const char *prefix) {
  return set_frozen(model, prefix, 0);
}
