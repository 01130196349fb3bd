/* SPDX-License-Identifier: MIT */
/* An order of images in which each class is as frequent as any other. */
#include <string.h>

#include "data/data.h"

/* Images by class: those of class c, shuffled anew in each pass, are
 * [starts[c], starts[c + 1]) of `images`. */
struct balance {
  struct allocator *allocator;
  size_t classes;
  int64_t *images, *starts, *shuffle;
  int64_t *filled; /* an image's last window */
  int64_t window;
};

int imgrec__balance_create(struct balance **out,
                           const struct imgrec_dataset *d) {
  struct imgrec_context *ctx = d->context;
  struct allocator *a = &ctx->allocator;
  size_t n = (size_t)d->count, classes = (size_t)imgrec_dataset_classes(d);
  struct balance *b = imgrec__alloc_zero(a, sizeof *b);
  if (b == NULL)
    return imgrec__fail_memory(&ctx->error, a, "the balance of classes");
  b->allocator = a;
  b->classes = classes;
  b->images = imgrec__alloc_array(a, n, sizeof *b->images);
  b->shuffle = imgrec__alloc_array(a, n, sizeof *b->shuffle);
  b->filled = imgrec__alloc_array(a, n, sizeof *b->filled);
  b->starts = imgrec__alloc_array(a, classes + 1, sizeof *b->starts);
  if (b->images == NULL || b->shuffle == NULL || b->filled == NULL ||
      b->starts == NULL) {
    imgrec__balance_destroy(b);
    return imgrec__fail_memory(&ctx->error, a, "the balance of classes");
  }
  memset(b->filled, 0, n * sizeof *b->filled);
  *out = b;
  return IMGREC_OK;
}

void imgrec__balance_destroy(struct balance *b) {
  if (b == NULL)
    return;
  imgrec__free(b->allocator, b->images);
  imgrec__free(b->allocator, b->shuffle);
  imgrec__free(b->allocator, b->filled);
  imgrec__free(b->allocator, b->starts);
  imgrec__free(b->allocator, b);
}

/* Sorts the n images of `order` by class; each class stays in their order. */
static void sort_by_class(struct balance *b, const struct imgrec_dataset *d,
                          const int64_t *order, int64_t n) {
  memset(b->starts, 0, (b->classes + 1) * sizeof *b->starts);
  for (int64_t i = 0; i < n; i++)
    b->starts[imgrec__dataset_label(d, order[i]) + 1]++;
  for (size_t c = 0; c < b->classes; c++)
    b->starts[c + 1] += b->starts[c];
  for (int64_t i = 0; i < n; i++)
    b->images[b->starts[imgrec__dataset_label(d, order[i])]++] = order[i];
  memmove(b->starts + 1, b->starts, b->classes * sizeof *b->starts);
  b->starts[0] = 0;
}

static int64_t class_size(const struct balance *b, size_t c) {
  return b->starts[c + 1] - b->starts[c];
}

/* The n images that come in turn from the classes that have any. */
static void deal(const struct balance *b, int64_t *out, int64_t n) {
  int64_t done = 0;
  for (int64_t round = 0; done < n; round++)
    for (size_t c = 0; c < b->classes && done < n; c++)
      if (class_size(b, c) > 0)
        out[done++] = b->images[b->starts[c] + round % class_size(b, c)];
}

void imgrec__balance_order(struct balance *b, const struct imgrec_dataset *d,
                           int64_t *order, int64_t n, uint64_t seed,
                           uint64_t epoch) {
  sort_by_class(b, d, order, n);
  deal(b, order, n);
  imgrec__random_permutation(b->shuffle, (size_t)n, seed,
                             IMGREC__STREAM_BALANCE + epoch);
  for (int64_t i = 0; i < n; i++)
    b->images[i] = order[b->shuffle[i]];
  memcpy(order, b->images, (size_t)n * sizeof *order);
}

void imgrec__balance_window(struct balance *b) { b->window++; }

int imgrec__balance_first(struct balance *b, int64_t index) {
  int first = b->filled[index] != b->window;
  b->filled[index] = b->window;
  return first;
}
