/* SPDX-License-Identifier: MIT */
/* Fuzzes image decoding: any bytes give an image or a sentence, and what a
 * file's head promises is what decoding gives.
 *
 * libFuzzer: clang -fsanitize=fuzzer,address,undefined ... fuzz_image.c
 * Replay:    cc -DIMGREC_FUZZ_STANDALONE ..., then name files and folders. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
  if (!condition)
    abort();
}

static void use(const imgrec_tensor *image) {
  imgrec_preprocess p;
  imgrec_tensor *x = NULL;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = 24;
  p.width = 32;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_CROP;
  int status = imgrec_image_preprocess(&x, image, &p);
  require(status == 0 || status == IMGREC_ERR_LIMIT);
  imgrec_tensor_destroy(x);
}

/* The last byte says which channels are asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int wanted[4] = {0, 1, 3, 0};
  int channels = size ? wanted[data[size - 1] & 3] : 0;
  imgrec_context_options o;
  imgrec_context *ctx;
  imgrec_tensor *image = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  o.max_bytes = (uint64_t)512 << 20;
  require(imgrec_context_create(&ctx, &o) == 0);
  int status = imgrec_image_decode(&image, ctx, data ? data : (const void *)"",
                                   size, channels);
  require((status == 0) == (image != NULL));
  require(status == 0 || imgrec_last_error(ctx)[0] != '\0');
  if (image) {
    struct error e;
    int h = 0, w = 0, c = 0;
    require(imgrec__probe(&e, data, size, &h, &w, &c) == 0);
    require(imgrec_tensor_dim(image, 0) == h);
    require(imgrec_tensor_dim(image, 1) == w);
    require(imgrec_tensor_dim(image, 2) == (channels ? channels : c));
    use(image);
    imgrec_tensor_destroy(image);
  }
  require(imgrec_context_peak_bytes(ctx) <= o.max_bytes);
  imgrec_context_destroy(ctx);
  return 0;
}

#ifdef IMGREC_FUZZ_STANDALONE
#include "replay.h"
#endif
