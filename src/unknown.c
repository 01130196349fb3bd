/* SPDX-License-Identifier: MIT */
/* How many images of classes that a model does not have it rejects. */
#include "eval.h"

#include <string.h>

#define NAME "eval"

static int has_class(const imgrec_model *model, const char *name) {
  for (int i = 0; i < imgrec_model_classes(model); i++)
    if (strcmp(imgrec_model_label(model, i), name) == 0)
      return 1;
  return 0;
}

static int count_one(struct unknown *u, imgrec_context *ctx,
                     imgrec_model *model, imgrec_dataset *data, int64_t index) {
  imgrec_tensor *image;
  imgrec_result best;
  int status = imgrec_dataset_image(&image, data, index);
  if (status == IMGREC_ERR_MEMORY)
    return status;
  if (status < 0) {
    fprintf(stderr, "imgrec " NAME ": skipped: %s\n", imgrec_last_error(ctx));
    u->unreadable++;
    return IMGREC_OK;
  }
  status = imgrec_model_classify(model, image, 1, &best);
  imgrec_tensor_destroy(image);
  if (status < 0)
    return status;
  u->images++;
  u->rejected += imgrec_model_rejects(model, best.probability);
  return IMGREC_OK;
}

static int count_all(struct unknown *u, imgrec_context *ctx,
                     imgrec_model *model, imgrec_dataset *data) {
  int status = IMGREC_OK;
  for (int64_t i = 0; i < imgrec_dataset_size(data) && status >= 0; i++) {
    int c = imgrec_dataset_class(data, i);
    if (!has_class(model, imgrec_dataset_label(data, c)))
      status = count_one(u, ctx, model, data, i);
  }
  return status;
}

int count_unknown(struct unknown *u, const struct settings *s,
                  imgrec_context *ctx, imgrec_model *model) {
  static const int parts[] = {IMGREC_PART_TEST, IMGREC_PART_VAL,
                              IMGREC_PART_ANY};
  imgrec_calibration c;
  imgrec_dataset *data;
  imgrec_calibration_init(&c, sizeof c);
  imgrec_model_get_calibration(model, &c);
  if (c.reject_threshold <= 0)
    return fail(NAME, "--unknown: the model has no reject threshold; 'imgrec "
                      "calibrate' gives it one");
  if (open_first_part(&data, NULL, ctx, s->unknown, parts, 3) < 0)
    return fail(NAME, "--unknown: %s", imgrec_last_error(ctx));
  warn_skipped(data, NAME);
  int status = count_all(u, ctx, model, data);
  imgrec_dataset_destroy(data);
  if (status < 0)
    return fail(NAME, "--unknown: %s", imgrec_last_error(ctx));
  if (u->images == 0)
    return fail(NAME,
                "--unknown: %s has no image of a class that the model "
                "does not have",
                s->unknown);
  return EXIT_OK;
}
