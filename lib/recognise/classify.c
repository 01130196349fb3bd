/* SPDX-License-Identifier: MIT */
/* From a decoded image to the most probable classes. */
#include "image/image.h"
#include "model/graph.h"

/* The k greatest of n, the lower index first where equal: one at a time, each
 * below the one before in that order. */
static int next_best(const float *p, int n, int before) {
  int best = -1;
  for (int i = 0; i < n; i++) {
    int below =
        before < 0 || p[i] < p[before] || (p[i] == p[before] && i > before);
    if (below && (best < 0 || p[i] > p[best]))
      best = i;
  }
  return best;
}

static int preprocess(struct imgrec_model *m,
                      const struct imgrec_tensor *image) {
  struct imgrec_context *ctx = m->context;
  int status = imgrec__check_image(image, "image");
  if (status < 0)
    return status;
  return imgrec__preprocess(m->input, &ctx->allocator, &ctx->error, image->data,
                            (int)image->shape[0], (int)image->shape[1],
                            (int)image->shape[2], &m->preprocess);
}

int imgrec_model_classify(imgrec_model *m, const imgrec_tensor *image, int k,
                          imgrec_result *results) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = m->context;
  int classes = imgrec_model_classes(m), best = -1, written = 0;
  if (!image || !results || k < 1)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_classify: image or results is NULL, or "
                        "k is %d and must be at least 1",
                        k);
  int status = preprocess(m, image);
  if (status < 0)
    return status;
  const float *z = imgrec__model_run(m, m->input, 1, m->graph.logits);
  ctx->kernels->softmax(m->probabilities, z, (size_t)classes);
  while (written < k && written < classes &&
         (best = next_best(m->probabilities, classes, best)) >= 0) {
    results[written++] = (imgrec_result){best, m->probabilities[best],
                                         imgrec_model_label(m, best)};
  }
  return written;
}
