/* SPDX-License-Identifier: MIT */
/* From a decoded image to the most probable classes. */
#include "image/image.h"
#include "model/graph.h"

/* NaN, which weights that are not finite lead to, comes last. */
static float rank_of(float probability) {
  return probability >= 0 ? probability : -1;
}

/* Whether class a comes before b: the lower index where equally probable. */
static int is_before(const float *p, int a, int b) {
  float x = rank_of(p[a]), y = rank_of(p[b]);
  return x > y || (x == y && a < b);
}

/* The first of those that come behind `last`, or of all where that is -1. */
static int next_best(const float *p, int n, int last) {
  int best = -1;
  for (int i = 0; i < n; i++)
    if ((last < 0 || is_before(p, last, i)) &&
        (best < 0 || is_before(p, i, best)))
      best = i;
  return best;
}

static int preprocess(struct imgrec_model *m,
                      const struct imgrec_tensor *image) {
  struct imgrec_context *ctx = m->context;
  int status = imgrec__check_image(&ctx->error, image, "image");
  if (status < 0 ||
      (status = imgrec__preprocess_check(&ctx->error, &m->preprocess)) < 0)
    return status;
  const struct pixels pixels = imgrec__pixels_of(image);
  imgrec__preprocess(m->input, ctx->kernels, imgrec__workspace(ctx, 0), &pixels,
                     &m->preprocess);
  return IMGREC_OK;
}

/* The probabilities of an image's classes into m->probabilities. */
static int recognise(struct imgrec_model *m,
                     const struct imgrec_tensor *image) {
  int status = preprocess(m, image);
  if (status < 0)
    return status;
  const float *z = imgrec__model_run(m, m->input, 1, m->graph.logits);
  imgrec__model_probabilities(m, z, m->probabilities);
  return IMGREC_OK;
}

/* The `count` most probable classes, best first. */
static void list_best(imgrec_result *results, const struct imgrec_model *m,
                      int count) {
  int classes = imgrec_model_classes(m), best = -1;
  for (int i = 0; i < count; i++) {
    best = next_best(m->probabilities, classes, best);
    results[i] = (imgrec_result){best, m->probabilities[best],
                                 imgrec_model_label(m, best)};
  }
}

int imgrec_model_classify(imgrec_model *m, const imgrec_tensor *image, int k,
                          imgrec_result *results) {
  if (!m)
    return IMGREC_ERR_ARGUMENT;
  if (!image || !results || k < 1)
    return imgrec__fail(&m->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_model_classify: image or results is NULL, or "
                        "k is %d and must be at least 1",
                        k);
  uint64_t fp = imgrec__fp_enter();
  int status = recognise(m, image);
  int classes = imgrec_model_classes(m), count = k < classes ? k : classes;
  if (status >= 0)
    list_best(results, m, count);
  imgrec__fp_leave(fp);
  return status < 0 ? status : count;
}
