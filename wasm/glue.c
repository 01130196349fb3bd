/* SPDX-License-Identifier: MIT */
/* What api.js calls: the library with structs, tensors and 64-bit numbers kept
 * on this side.  One context, on one thread. */
#include <emscripten.h>
#include <imgrec/imgrec.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT EMSCRIPTEN_KEEPALIVE

static imgrec_context *context;

EXPORT int web_start(void) {
  imgrec_context_options o;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  return imgrec_context_create(&context, &o);
}

EXPORT const char *web_error(void) { return imgrec_last_error(context); }

/* ---- Models: NULL, 0 or a negative number is a failure ------------------ */

EXPORT imgrec_model *web_load(const void *bytes, size_t size) {
  imgrec_model *m = NULL;
  imgrec_model_load_memory(&m, context, bytes, size, NULL);
  return m;
}

EXPORT imgrec_model *web_create(const char *preset, int height, int width,
                                int channels, int classes, uint32_t seed) {
  static char text[16384];
  imgrec_model *m = NULL;
  imgrec_model_options o;
  imgrec_model_options_init(&o, sizeof o);
  o.seed = seed;
  if (imgrec_preset(preset, height, width, channels, classes, text,
                    sizeof text) > 0)
    imgrec_model_create(&m, context, text, &o);
  return m;
}

EXPORT size_t web_save(const imgrec_model *m, void *buffer, size_t capacity) {
  uint64_t size = 0;
  int status = imgrec_model_save_memory(m, buffer, capacity, &size);
  return status < 0 ? 0 : (size_t)size;
}

/* ---- Images: RGBA, as a canvas gives them ------------------------------- */

/* In place, on white; a tensor of the pixels. */
static int wrap_rgba(imgrec_tensor **out, unsigned char *rgba, int height,
                     int width) {
  const int64_t shape[] = {height, width, 3};
  for (size_t i = 0, n = (size_t)height * (size_t)width; i < n; i++) {
    int alpha = rgba[4 * i + 3];
    for (size_t c = 0; c < 3; c++)
      rgba[3 * i + c] = (unsigned char)((rgba[4 * i + c] * alpha +
                                         255 * (255 - alpha) + 127) /
                                        255);
  }
  return imgrec_tensor_wrap(out, context, IMGREC_U8, 3, shape, rgba);
}

EXPORT int web_classify(imgrec_model *m, unsigned char *rgba, int height,
                        int width, int k, imgrec_result *results) {
  imgrec_tensor *image = NULL;
  int status = wrap_rgba(&image, rgba, height, width);
  if (status >= 0)
    status = imgrec_model_classify(m, image, k, results);
  imgrec_tensor_destroy(image);
  return status;
}

/* ---- Training ----------------------------------------------------------- */

struct web_trainer {
  imgrec_trainer *trainer;
  imgrec_preprocess preprocess;
  size_t floats; /* of an image */
  float *images;
  int32_t *labels;
};

EXPORT void web_trainer_destroy(struct web_trainer *t) {
  if (t == NULL)
    return;
  imgrec_trainer_destroy(t->trainer);
  free(t->images);
  free(t->labels);
  free(t);
}

EXPORT struct web_trainer *web_trainer_create(imgrec_model *m, int batch,
                                              float learning_rate,
                                              uint32_t seed) {
  imgrec_trainer_options o;
  struct web_trainer *t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = batch;
  o.learning_rate = learning_rate;
  o.seed = seed;
  imgrec_preprocess_init(&t->preprocess, sizeof t->preprocess);
  int status = imgrec_trainer_create(&t->trainer, m, &o);
  if (status >= 0)
    status = imgrec_model_get_preprocess(m, &t->preprocess);
  t->floats = (size_t)t->preprocess.height * (size_t)t->preprocess.width *
              (size_t)t->preprocess.channels;
  t->images = calloc((size_t)batch * t->floats, sizeof *t->images);
  t->labels = calloc((size_t)batch, sizeof *t->labels);
  if (status >= 0 && t->images != NULL && t->labels != NULL)
    return t;
  web_trainer_destroy(t);
  return NULL;
}

/* The image becomes number `at` of the batch. */
EXPORT int web_trainer_put(struct web_trainer *t, int at, int label,
                           unsigned char *rgba, int height, int width) {
  imgrec_tensor *image = NULL, *input = NULL;
  int status = wrap_rgba(&image, rgba, height, width);
  if (status >= 0)
    status = imgrec_image_preprocess(&input, image, &t->preprocess);
  if (status >= 0) {
    memcpy(t->images + (size_t)at * t->floats, imgrec_tensor_const_data(input),
           t->floats * sizeof *t->images);
    t->labels[at] = label;
  }
  imgrec_tensor_destroy(input);
  imgrec_tensor_destroy(image);
  return status;
}

/* The loss of a step on the first `count`; NaN is a failure. */
EXPORT float web_trainer_step(struct web_trainer *t, int count) {
  const int64_t shape[] = {count, t->preprocess.height, t->preprocess.width,
                           t->preprocess.channels};
  imgrec_tensor *x = NULL, *y = NULL;
  float loss = NAN;
  int status = imgrec_tensor_wrap(&x, context, IMGREC_F32, 4, shape, t->images);
  if (status >= 0)
    status = imgrec_tensor_wrap(&y, context, IMGREC_I32, 1, shape, t->labels);
  if (status >= 0)
    status = imgrec_train_step(t->trainer, x, y, &loss);
  imgrec_tensor_destroy(y);
  imgrec_tensor_destroy(x);
  return status < 0 ? NAN : loss;
}
