/* SPDX-License-Identifier: MIT */
/* Small data sets in memory for the tests of training.  Include behind
 * cmocka.h. */
#ifndef TOY_DATA_H
#define TOY_DATA_H

#include "failing_alloc.h"
#include "nets.h"

/* n images of 6 x 6 grey, noise below 100; in class i the i-th pair of rows is
 * brighter by `contrast`.  Classes in turn. */
enum { TOY_SIDE = 6, TOY_CLASSES = 3 };

static inline void toy_image(unsigned char *p, uint64_t number, int label,
                             int contrast) {
  for (int i = 0; i < TOY_SIDE * TOY_SIDE; i++) {
    int noise = (int)imgrec__random_below(5, number, (uint64_t)i, 100);
    p[i] = (unsigned char)(noise + (i / TOY_SIDE / 2 == label ? contrast : 0));
  }
}

static inline imgrec_dataset *toy_data(imgrec_context *ctx, int n,
                                       uint64_t first, int contrast) {
  imgrec_tensor *images =
      new_tensor(ctx, IMGREC_U8, 4, n, TOY_SIDE, TOY_SIDE, 1);
  imgrec_tensor *labels = new_tensor(ctx, IMGREC_I32, 1, n, 1, 1, 1);
  imgrec_dataset *d = NULL;
  for (int i = 0; i < n; i++) {
    int32_t *label = (int32_t *)imgrec_tensor_data(labels) + i;
    *label = i % TOY_CLASSES;
    toy_image((unsigned char *)imgrec_tensor_data(images) +
                  i * TOY_SIDE * TOY_SIDE,
              first + (uint64_t)i, *label, contrast);
  }
  assert_ok(ctx,
            imgrec_dataset_from_memory(&d, ctx, images, labels, TOY_CLASSES));
  imgrec_tensor_destroy(images);
  imgrec_tensor_destroy(labels);
  return d;
}

/* A context whose blocks are counted, and can be made to fail. */
static inline imgrec_context *counted_context(struct failing *alloc,
                                              int threads) {
  imgrec_context_options c;
  imgrec_context *ctx = NULL;
  imgrec_context_options_init(&c, sizeof c);
  c.threads = threads;
  c.alloc = failing_alloc;
  c.free = failing_free;
  c.alloc_user = alloc;
  assert_int_equal(imgrec_context_create(&ctx, &c), 0);
  return ctx;
}

#define TOY_NET                                                                \
  "input 6 6 1\nconv2d 4 kernel=3 bias=false\nbatch_norm activation=relu\n"    \
  "flatten\ndropout 0.1\ndense 3\nsoftmax\n"

#endif
