/* SPDX-License-Identifier: MIT */
/* Augmented images, for the tests of it.  Include behind cmocka.h. */
#ifndef AUGMENTING_H
#define AUGMENTING_H

#include "image/image.h"
#include "image_pattern.h"
#include "nets.h"

static imgrec_context *ctx;

static inline int setup(void **state) {
  (void)state;
  ctx = new_context(1, IMGREC_ISA_AUTO);
  return 0;
}

static inline int teardown(void **state) {
  (void)state;
  imgrec_context_destroy(ctx);
  return 0;
}

static inline imgrec_augment options(const char *text) {
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  assert_ok(ctx, imgrec_augment_parse(&a, ctx, text));
  return a;
}

static inline imgrec_tensor *augmented(const imgrec_tensor *image,
                                       const char *text, uint64_t epoch,
                                       uint64_t index) {
  imgrec_augment a = options(text);
  imgrec_tensor *out = NULL;
  assert_ok(image->context,
            imgrec_image_augment(&out, image, NULL, &a, 7, epoch, index));
  return out;
}

static inline struct recipe recipe_of(const char *text, uint64_t epoch,
                                      uint64_t index) {
  imgrec_augment a = options(text);
  struct augment_key key = {7, epoch, index};
  struct recipe r;
  imgrec__augment_recipe(&r, &a, &key);
  return r;
}

static inline int same(const imgrec_tensor *a, const imgrec_tensor *b) {
  return imgrec_tensor_nbytes(a) == imgrec_tensor_nbytes(b) &&
         memcmp(bytes_of(a), bytes_of(b), imgrec_tensor_nbytes(a)) == 0;
}

static inline int greatest_difference(const imgrec_tensor *a,
                                      const imgrec_tensor *b) {
  int most = 0;
  assert_int_equal(imgrec_tensor_nbytes(a), imgrec_tensor_nbytes(b));
  for (size_t i = 0; i < imgrec_tensor_nbytes(a); i++) {
    int d = abs(bytes_of(a)[i] - bytes_of(b)[i]);
    most = d > most ? d : most;
  }
  return most;
}

#endif
