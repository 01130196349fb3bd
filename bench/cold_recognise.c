/* SPDX-License-Identifier: MIT */
/* From nothing to an answer: a context, a model, one image; for
 * bench/cold_start.c.
 *   cold_recognise MODEL [make]     make: writes the model, LeNet-5 */
#include <imgrec/imgrec.h>

#include <stdio.h>

static int make(imgrec_context *ctx, const char *path) {
  char text[4096];
  imgrec_model *model = NULL;
  imgrec_preset("lenet5", 28, 28, 1, 10, text, sizeof text);
  int status = imgrec_model_create(&model, ctx, text, NULL);
  if (status >= 0)
    status = imgrec_model_save(model, path);
  imgrec_model_destroy(model);
  return status;
}

static int recognise(imgrec_context *ctx, const char *path) {
  static unsigned char pixels[28 * 28];
  const int64_t shape[3] = {28, 28, 1};
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_result best;
  int status = imgrec_model_load(&model, ctx, path, NULL);
  if (status >= 0)
    status = imgrec_tensor_wrap(&image, ctx, IMGREC_U8, 3, shape, pixels);
  if (status >= 0)
    status = imgrec_model_classify(model, image, 1, &best);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  return status;
}

int main(int argc, char **argv) {
  imgrec_context *ctx = NULL;
  if (argc < 2 || imgrec_context_create(&ctx, NULL) < 0)
    return 2;
  int status = argc > 2 ? make(ctx, argv[1]) : recognise(ctx, argv[1]);
  if (status < 0)
    fprintf(stderr, "cold_recognise: %s\n", imgrec_last_error(ctx));
  imgrec_context_destroy(ctx);
  return status < 0;
}
