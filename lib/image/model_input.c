/* SPDX-License-Identifier: MIT */
/* The preprocessing that a model carries. */
#include <inttypes.h>

#include "image.h"
#include "model/graph.h"

static int set_preprocess(struct imgrec_model *m, const imgrec_preprocess *p) {
  struct error *e = &m->context->error;
  const struct shape *in = &m->graph.nodes[0].out;
  imgrec_preprocess copy;
  imgrec_preprocess_init(&copy, sizeof copy);
  int status =
      imgrec__options_read(e, &copy, sizeof copy, p, "imgrec_preprocess");
  if (status < 0 || (status = imgrec__preprocess_check(e, &copy)) < 0)
    return status;
  if (copy.height != in->h || copy.width != in->w || copy.channels != in->c)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "preprocessing gives %d x %d x %d; this model takes "
                        "%" PRId64 " x %" PRId64 " x %" PRId64,
                        (int)copy.height, (int)copy.width, (int)copy.channels,
                        in->h, in->w, in->c);
  m->preprocess = copy;
  return IMGREC_OK;
}

int imgrec_model_set_preprocess(imgrec_model *m, const imgrec_preprocess *p) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = set_preprocess(m, p);
  imgrec__fp_leave(fp);
  return status;
}

int imgrec_model_get_preprocess(const imgrec_model *m, imgrec_preprocess *p) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!p)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_get_preprocess: p is NULL");
  imgrec__options_write(p, &m->preprocess, sizeof m->preprocess);
  return IMGREC_OK;
}
