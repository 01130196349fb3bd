/* SPDX-License-Identifier: MIT */
/* A program of somebody else, linked with the import library: trains on any
 * number of threads, saves under a name of UTF-8, loads and recognises; errno
 * stays what it was. */
#include <errno.h>
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An o with dots, two signs of Chinese, and a face beyond 16 bits. */
#define MODEL "build/tmp/m\303\266del \346\250\241\345\236\213 \360\237\230\200"
#define SIDE  28
#define BATCH 8

static int check(int holds, const char *what, const char *why) {
  if (!holds)
    fprintf(stderr, "not so: %s (%s)\n", what, why);
  return holds;
}

static float images[BATCH * SIDE * SIDE];

static int train(imgrec_context *ctx, imgrec_model *m, int steps) {
  imgrec_trainer_options o;
  imgrec_trainer *t = NULL;
  imgrec_tensor *x = NULL, *y = NULL;
  const int64_t shape[] = {BATCH, SIDE, SIDE, 1};
  int32_t labels[BATCH] = {0, 1, 2, 3, 4, 5, 6, 7};
  float loss;
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = BATCH;
  int status = imgrec_trainer_create(&t, m, &o);
  if (status >= 0)
    status = imgrec_tensor_wrap(&x, ctx, IMGREC_F32, 4, shape, images);
  if (status >= 0)
    status = imgrec_tensor_wrap(&y, ctx, IMGREC_I32, 1, shape, labels);
  for (int i = 0; status >= 0 && i < steps; i++)
    status = imgrec_train_step(t, x, y, &loss);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(y);
  imgrec_trainer_destroy(t);
  return check(status >= 0, "training", imgrec_last_error(ctx));
}

/* The bytes of the file that a model trained on so many threads is saved as,
 * by the host's own opening of a file. */
static size_t train_and_save(const char *text, int threads, char *bytes,
                             size_t size) {
  imgrec_context_options options;
  imgrec_model_options model_options;
  imgrec_context *ctx = NULL;
  imgrec_model *m = NULL;
  size_t n = 0;
  imgrec_context_options_init(&options, sizeof options);
  options.threads = threads;
  imgrec_model_options_init(&model_options, sizeof model_options);
  model_options.max_batch = BATCH;
  if (imgrec_context_create(&ctx, &options) < 0)
    return 0;
  if (check(imgrec_model_create(&m, ctx, text, &model_options) >= 0, "a model",
            imgrec_last_error(ctx)) &&
      train(ctx, m, 5) &&
      check(imgrec_model_save(m, MODEL) >= 0, "saving",
            imgrec_last_error(ctx))) {
    FILE *f = _wfopen(L"build/tmp/m\u00f6del \u6a21\u578b \U0001f600", L"rb");
    n = f != NULL ? fread(bytes, 1, size, f) : 0;
    if (f != NULL)
      fclose(f);
  }
  imgrec_model_destroy(m);
  imgrec_context_destroy(ctx);
  return n;
}

static int recognise(void) {
  imgrec_context *ctx = NULL;
  imgrec_model *m = NULL;
  imgrec_tensor *image = NULL;
  imgrec_result results[3];
  unsigned char pixels[SIDE * SIDE];
  const int64_t shape[] = {SIDE, SIDE, 1};
  memset(pixels, 200, sizeof pixels);
  int good =
      imgrec_context_create(&ctx, NULL) >= 0 &&
      imgrec_model_load(&m, ctx, MODEL, NULL) >= 0 &&
      imgrec_tensor_wrap(&image, ctx, IMGREC_U8, 3, shape, pixels) >= 0 &&
      imgrec_model_classify(m, image, 3, results) == 3;
  check(good, "recognising", imgrec_last_error(ctx));
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(m);
  m = NULL;
  good &= check(imgrec_model_load(&m, ctx, "build/tmp/\303\244", NULL) ==
                        IMGREC_ERR_NOT_FOUND &&
                    strcmp(imgrec_last_error(ctx),
                           "cannot open 'build/tmp/\303\244': no such file or "
                           "folder") == 0,
                "no such file", imgrec_last_error(ctx));
  good &= check(imgrec_model_load(&m, ctx, "build/tmp/\377", NULL) ==
                    IMGREC_ERR_NOT_FOUND,
                "no UTF-8", imgrec_last_error(ctx));
  imgrec_context_destroy(ctx);
  return good;
}

/* More than any machine has. */
static int allocate_in_vain(void) {
  const int64_t shape[] = {(int64_t)1 << 44};
  imgrec_context *ctx = NULL;
  imgrec_tensor *x = NULL;
  int good =
      imgrec_context_create(&ctx, NULL) >= 0 &&
      imgrec_tensor_create(&x, ctx, IMGREC_F32, 1, shape) == IMGREC_ERR_MEMORY;
  check(good, "too large a tensor", imgrec_last_error(ctx));
  imgrec_context_destroy(ctx);
  return good;
}

int main(void) {
  static char first[1 << 20], next[1 << 20], text[8000];
  for (int i = 0; i < BATCH * SIDE * SIDE; i++)
    images[i] = (float)(i * 7919 % 256) / 256;
  if (imgrec_preset("lenet5", SIDE, SIDE, 1, 10, text, sizeof text) < 0)
    return 1;
  errno = 77;
  size_t n = train_and_save(text, 1, first, sizeof first);
  int good = check(n > 100000, "a file", "threads 1");
  for (int threads = 2; threads <= 5; threads++)
    good &= check(train_and_save(text, threads, next, sizeof next) == n &&
                      memcmp(first, next, n) == 0,
                  "same bytes", "threads 2 to 5");
  good &= recognise();
  good &= allocate_in_vain();
  good &= check(errno == 77, "errno", "77 as before");
  return good ? 0 : 1;
}
