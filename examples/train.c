/* SPDX-License-Identifier: MIT */
/* Trains a small network on a data set and saves it: train DATA MODEL
 *
 * The batches are put together by hand to show imgrec_train_step; imgrec_fit
 * does the same with shuffling and validation. */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <string.h>

#define BATCH  50
#define EPOCHS 5

/* Fills x (BATCH x H x W x C) and labels from the images [first, first +
 * BATCH). */
static int fill_batch(imgrec_dataset *data, const imgrec_preprocess *how,
                      int64_t first, imgrec_tensor *x, imgrec_tensor *labels) {
  int32_t *label = imgrec_tensor_data(labels);
  char *row = imgrec_tensor_data(x);
  for (int i = 0; i < BATCH; i++) {
    imgrec_tensor *image = NULL, *input = NULL;
    int status = imgrec_dataset_image(&image, data, first + i);
    if (status >= 0)
      status = imgrec_image_preprocess(&input, image, how);
    if (status >= 0) {
      size_t n = imgrec_tensor_nbytes(input);
      memcpy(row + (size_t)i * n, imgrec_tensor_const_data(input), n);
      label[i] = imgrec_dataset_class(data, first + i);
    }
    imgrec_tensor_destroy(input);
    imgrec_tensor_destroy(image);
    if (status < 0)
      return status;
  }
  return IMGREC_OK;
}

/* All steps of all epochs; *loss is that of the last. */
static int run(imgrec_trainer *trainer, imgrec_dataset *data,
               const imgrec_preprocess *how, imgrec_tensor *x,
               imgrec_tensor *labels, float *loss) {
  int status = IMGREC_OK;
  int64_t end = imgrec_dataset_size(data) - BATCH;
  for (int epoch = 0; epoch < EPOCHS; epoch++)
    for (int64_t first = 0; first <= end && status >= 0; first += BATCH) {
      status = fill_batch(data, how, first, x, labels);
      if (status >= 0)
        status = imgrec_train_step(trainer, x, labels, loss);
    }
  return status;
}

int main(int argc, char **argv) {
  imgrec_context *ctx;
  imgrec_dataset *data = NULL;
  imgrec_model *model = NULL;
  imgrec_trainer *trainer = NULL;
  imgrec_tensor *x = NULL, *labels = NULL;
  imgrec_model_options options;
  imgrec_trainer_options trainer_options;
  imgrec_preprocess how;
  int64_t shape[4] = {BATCH, 0, 0, 0};
  char text[4096];
  float loss = 0;

  if (argc != 3 || imgrec_context_create(&ctx, NULL) < 0)
    return 2;
  imgrec_model_options_init(&options, sizeof options);
  imgrec_trainer_options_init(&trainer_options, sizeof trainer_options);
  imgrec_preprocess_init(&how, sizeof how);
  options.max_batch = trainer_options.max_batch = BATCH;
  int ok = imgrec_dataset_open(&data, ctx, argv[1], NULL) >= 0;
  if (ok) {
    imgrec_dataset_shape(data, shape + 1);
    imgrec_preset("tiny", (int)shape[1], (int)shape[2], (int)shape[3],
                  imgrec_dataset_classes(data), text, sizeof text);
  }
  ok = ok && imgrec_model_create(&model, ctx, text, &options) >= 0 &&
       imgrec_model_get_preprocess(model, &how) >= 0 &&
       imgrec_trainer_create(&trainer, model, &trainer_options) >= 0 &&
       imgrec_tensor_create(&x, ctx, IMGREC_F32, 4, shape) >= 0 &&
       imgrec_tensor_create(&labels, ctx, IMGREC_I32, 1, shape) >= 0 &&
       run(trainer, data, &how, x, labels, &loss) >= 0 &&
       imgrec_model_save(model, argv[2]) >= 0;
  printf("%s %.4f\n", ok ? "loss" : imgrec_last_error(ctx), (double)loss);
  imgrec_tensor_destroy(labels);
  imgrec_tensor_destroy(x);
  imgrec_trainer_destroy(trainer);
  imgrec_model_destroy(model);
  imgrec_dataset_destroy(data);
  imgrec_context_destroy(ctx);
  return !ok;
}
