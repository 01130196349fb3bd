/* SPDX-License-Identifier: MIT */
/* Recognises with what a library without training has, and prints the bits of
 * all answers:
 *   recognise FILE    FILE: where a model is saved, and loaded again */
#include <imgrec/imgrec.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 32, CHANNELS = 3, CLASSES = 10, BATCH = 3 };

static void fill(float *x, size_t n) {
  uint32_t state = 1;
  for (size_t i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)(state >> 8) * 0x1p-24f;
  }
}

static uint64_t hash(const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n; i++)
    h = (h ^ p[i]) * 1099511628211u;
  return h;
}

static int forward(imgrec_model *m, imgrec_context *ctx) {
  const int64_t in[] = {BATCH, SIDE, SIDE, CHANNELS}, out[] = {BATCH, CLASSES};
  imgrec_tensor *x = NULL, *y = NULL;
  int status = imgrec_tensor_create(&x, ctx, IMGREC_F32, 4, in);
  if (status >= 0)
    status = imgrec_tensor_create(&y, ctx, IMGREC_F32, 2, out);
  if (status >= 0) {
    fill(imgrec_tensor_data(x), imgrec_tensor_nbytes(x) / sizeof(float));
    status = imgrec_model_forward(m, x, y);
  }
  if (status >= 0)
    printf(" forward %016" PRIx64,
           hash(imgrec_tensor_data(y), imgrec_tensor_nbytes(y)));
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  return status;
}

static int classify(imgrec_model *m, imgrec_context *ctx) {
  const int64_t shape[] = {40, 50, CHANNELS};
  imgrec_tensor *image = NULL;
  imgrec_result results[CLASSES];
  int status = imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape);
  if (status >= 0) {
    unsigned char *p = imgrec_tensor_data(image);
    for (size_t i = 0; i < imgrec_tensor_nbytes(image); i++)
      p[i] = (unsigned char)(i * i / 7);
    status = imgrec_model_classify(m, image, CLASSES, results);
  }
  for (int i = 0; status >= 0 && i < CLASSES; i++)
    printf(" %d:%a", results[i].class_index, (double)results[i].probability);
  imgrec_tensor_destroy(image);
  return status;
}

static int recognise(imgrec_context *ctx, const char *preset,
                     const char *file) {
  char text[65536];
  imgrec_model *made = NULL, *loaded = NULL;
  imgrec_model_options options;
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = BATCH;
  int status =
      imgrec_preset(preset, SIDE, SIDE, CHANNELS, CLASSES, text, sizeof text);
  if (status >= 0)
    status = imgrec_model_create(&made, ctx, text, &options);
  if (status >= 0)
    status = imgrec_model_save(made, file);
  if (status >= 0)
    status = imgrec_model_load(&loaded, ctx, file, &options);
  printf("%s on %d:", preset, imgrec_context_isa(ctx));
  if (status >= 0)
    status = forward(loaded, ctx);
  if (status >= 0)
    status = classify(loaded, ctx);
  printf("\n");
  imgrec_model_destroy(made);
  imgrec_model_destroy(loaded);
  return status;
}

int main(int argc, char **argv) {
  static const char *const presets[] = {"tiny", "nano", "resnet8"};
  for (int isa = IMGREC_ISA_SCALAR; argc > 1 && isa <= IMGREC_ISA_AVX512;
       isa++) {
    imgrec_context *ctx = NULL;
    imgrec_context_options options;
    imgrec_context_options_init(&options, sizeof options);
    options.isa = isa;
    if (imgrec_context_create(&ctx, &options) < 0)
      continue;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
      if (recognise(ctx, presets[i], argv[1]) < 0) {
        fprintf(stderr, "recognise: %s\n", imgrec_last_error(ctx));
        return 1;
      }
    imgrec_context_destroy(ctx);
  }
  return argc < 2;
}
