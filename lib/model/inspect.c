/* SPDX-License-Identifier: MIT */
/* What a model is made of: its layers, and its weights by name. */
#include <string.h>

#include "graph.h"

/* ---- Layers -------------------------------------------------------------- */

int imgrec_layer_info_init(imgrec_layer_info *info, size_t struct_size) {
  const imgrec_layer_info defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(info, struct_size, &defaults, sizeof defaults);
}

int imgrec_model_layer_count(const imgrec_model *m) {
  return m->graph.layer_count;
}

static int32_t layer_weights(const struct imgrec_model *m,
                             const struct node *n) {
  if (m->weight_type == IMGREC_WEIGHTS_INT8)
    return n->params[0].int8 ? IMGREC_WEIGHTS_INT8 : IMGREC_WEIGHTS_F32;
  return n->params[0].ndim > 1 ? m->weight_type : IMGREC_WEIGHTS_F32;
}

int imgrec_model_layer(const imgrec_model *m, int index,
                       imgrec_layer_info *info) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!info)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_layer: info is NULL");
  if (index < 0 || index >= m->graph.layer_count)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "layer %d of %d", index, m->graph.layer_count);
  const struct layer *l = &m->graph.layers[index];
  const struct node *first = &m->graph.nodes[l->first];
  const struct shape *out = &m->graph.nodes[l->first + l->count - 1].out;
  imgrec_layer_info result = {.name = first->name, .type = first->op->type};
  result.output[0] = out->h;
  result.output[1] = out->w;
  result.output[2] = out->c;
  result.output_bytes = (int64_t)(shape_count(out) * sizeof(float));
  for (int i = 0; i < first->param_count; i++)
    result.parameters += (int64_t)first->params[i].count;
  for (int i = 0; i < first->input_count; i++)
    result.input_bytes += (int64_t)(shape_count(&first->in[i]) * sizeof(float));
  if (first->op->multiply_adds)
    result.multiply_adds = first->op->multiply_adds(first);
  result.weight_type = layer_weights(m, first);
  if (first->op->algorithm)
    result.algorithm = first->op->algorithm(first, &result.reason);
  imgrec__options_write(info, &result, sizeof result);
  return IMGREC_OK;
}

int imgrec_model_set_layer_hook(imgrec_model *m, imgrec_layer_fn fn,
                                void *user) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  m->hook = (struct layer_hook){fn, user};
  return IMGREC_OK;
}

/* ---- Parameters ---------------------------------------------------------- */

int imgrec_model_parameter_count(const imgrec_model *m) {
  int count = 0;
  while (imgrec__model_param(m, count))
    count++;
  return count;
}

const char *imgrec_model_parameter_name(const imgrec_model *m, int index) {
  const struct param *p = index < 0 ? NULL : imgrec__model_param(m, index);
  return p ? p->name : NULL;
}

static int find(const struct imgrec_model *m, const char *name,
                struct param **out) {
  struct param *p;
  for (int i = 0; name && (p = imgrec__model_param(m, i)); i++)
    if (strcmp(p->name, name) == 0) {
      *out = p;
      return IMGREC_OK;
    }
  return imgrec__fail(&m->context->error, IMGREC_ERR_NOT_FOUND,
                      "the model has no parameter '%s'", name ? name : "NULL");
}

int imgrec_model_get_parameter(imgrec_tensor **out, const imgrec_model *m,
                               const char *name) {
  struct param *p = NULL;
  imgrec_tensor *t;
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!out)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_get_parameter: out is NULL");
  int status = find(m, name, &p);
  if (status < 0 || (status = imgrec__tensor_new(&t, m->context, IMGREC_F32,
                                                 p->ndim, p->dim)) < 0)
    return status;
  uint64_t fp = imgrec__fp_enter(); /* bytes have scales */
  imgrec__param_export(p, p->data, 0, p->count, t->data);
  imgrec__fp_leave(fp);
  *out = t;
  return IMGREC_OK;
}

int imgrec_model_set_parameter(imgrec_model *m, const char *name,
                               const imgrec_tensor *value) {
  struct param *p = NULL;
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  int status = find(m, name, &p);
  if (status < 0 || (status = imgrec__model_may_change(m, "cannot be set")) < 0)
    return status;
  int fits = value && value->dtype == IMGREC_F32 && value->ndim == p->ndim;
  for (int i = 0; fits && i < p->ndim; i++)
    fits = value->shape[i] == p->dim[i];
  if (!fits)
    return imgrec__fail(&m->context->error, IMGREC_ERR_SHAPE,
                        "the value for '%s' must be f32 and of its shape",
                        name);
  imgrec__param_import(m->context, p, value->data, p->data);
  m->weight_type = IMGREC_WEIGHTS_F32;
  imgrec__model_uncalibrate(m);
  imgrec__model_changed(m);
  return IMGREC_OK;
}
