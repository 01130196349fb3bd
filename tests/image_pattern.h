/* SPDX-License-Identifier: MIT */
/* The pattern that golden/make_pillow.py feeds to Pillow, and its digest. */
#ifndef IMAGE_PATTERN_H
#define IMAGE_PATTERN_H

#include <stdint.h>

#include "imgrec/imgrec.h"

static inline imgrec_context *pattern_context(void) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  assert_int_equal(imgrec_context_create(&ctx, &o), 0);
  return ctx;
}

static inline imgrec_tensor *new_image(imgrec_context *ctx, int64_t height,
                                       int64_t width, int64_t channels) {
  const int64_t shape[3] = {height, width, channels};
  imgrec_tensor *t = NULL;
  assert_int_equal(imgrec_tensor_create(&t, ctx, IMGREC_U8, 3, shape), 0);
  return t;
}

static inline imgrec_tensor *pattern(imgrec_context *ctx, int height, int width,
                                     int channels) {
  imgrec_tensor *t = new_image(ctx, height, width, channels);
  unsigned char *p = imgrec_tensor_data(t);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int k = 0; k < channels; k++)
        *p++ = (unsigned char)(y * 37 + x * 91 + k * 53 + y * x % 23 * 7);
  return t;
}

/* FNV-1a of the bytes, those of floats as little-endian machines have them. */
static inline uint32_t digest(const imgrec_tensor *t) {
  const unsigned char *p = imgrec_tensor_const_data(t);
  const size_t turn = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ &&
                              imgrec_tensor_dtype(t) == IMGREC_F32
                          ? 3
                          : 0;
  uint32_t value = 2166136261u;
  for (size_t i = 0; i < imgrec_tensor_nbytes(t); i++)
    value = (value ^ p[i ^ turn]) * 16777619u;
  return value;
}

static inline const unsigned char *bytes_of(const imgrec_tensor *t) {
  return imgrec_tensor_const_data(t);
}

#endif
