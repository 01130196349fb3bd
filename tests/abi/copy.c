/* SPDX-License-Identifier: MIT */
/* One side of a program with two copies of the library: compiled once against
 * the header of each, with SIDE the name of its only function. */
#include <imgrec/imgrec.h>
#include <stdint.h>
#include <string.h>

#include "copies.h"

static const char text[] = "input 12 12 1\nconv2d 6 kernel=3 activation=relu\n"
                           "max_pool2d 2\nflatten\ndense 5\nsoftmax\n";

enum { BATCH = 6, SIDE_LENGTH = 12, CLASSES = 5 };

static int train(imgrec_context *ctx, imgrec_model *model) {
  const int64_t shape[4] = {BATCH, SIDE_LENGTH, SIDE_LENGTH, 1};
  imgrec_trainer *trainer = NULL;
  imgrec_tensor *x = NULL, *labels = NULL;
  int status = imgrec_trainer_create(&trainer, model, NULL);
  if (status >= 0)
    status = imgrec_tensor_create(&x, ctx, IMGREC_F32, 4, shape);
  if (status >= 0)
    status = imgrec_tensor_create(&labels, ctx, IMGREC_I32, 1, shape);
  for (int i = 0; status >= 0 && i < BATCH * SIDE_LENGTH * SIDE_LENGTH; i++)
    ((float *)imgrec_tensor_data(x))[i] = (float)(i * i % 97) / 97;
  for (int i = 0; status >= 0 && i < BATCH; i++)
    ((int32_t *)imgrec_tensor_data(labels))[i] = i % CLASSES;
  for (int step = 0; status >= 0 && step < 5; step++)
    status = imgrec_train_step(trainer, x, labels, NULL);
  imgrec_tensor_destroy(labels);
  imgrec_tensor_destroy(x);
  imgrec_trainer_destroy(trainer);
  return status;
}

static int classify(imgrec_context *ctx, imgrec_model *model,
                    struct answers *out) {
  const int64_t shape[3] = {20, 17, 1};
  imgrec_result results[CLASSES];
  imgrec_tensor *image = NULL;
  int status = imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape);
  for (int i = 0; status >= 0 && i < 20 * 17; i++)
    ((unsigned char *)imgrec_tensor_data(image))[i] = (unsigned char)(i * 7);
  if (status >= 0)
    status = imgrec_model_classify(model, image, CLASSES, results);
  for (int i = 0; i < status; i++) {
    out->classes[i] = results[i].class_index;
    out->probabilities[i] = results[i].probability;
  }
  imgrec_tensor_destroy(image);
  return status;
}

int SIDE(struct answers *out) {
  imgrec_context_options options;
  imgrec_context *ctx = NULL;
  imgrec_model *model = NULL;
  memset(out, 0, sizeof *out);
  out->version = imgrec_version_number();
  imgrec_context_options_init(&options, sizeof options);
  options.threads = 2;
  int status = imgrec_context_create(&ctx, &options);
  if (status >= 0)
    status = imgrec_model_create(&model, ctx, text, NULL);
  if (status >= 0)
    status = train(ctx, model);
  if (status >= 0)
    status = classify(ctx, model, out);
  /* An error of one copy is not one of the other. */
  if (status >= 0 && imgrec_model_load(&model, ctx, SIDE_NAME, NULL) >= 0)
    status = IMGREC_ERR_ARGUMENT;
  if (status >= 0 && !strstr(imgrec_last_error(ctx), SIDE_NAME))
    status = IMGREC_ERR_ARGUMENT;
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return status;
}
