/* SPDX-License-Identifier: MIT */
/* Fuzz target: the readers of IDX, CIFAR and CSV over arbitrary bytes.
 *
 * The first byte chooses the reader: 'i', then the length of the images as two
 * bytes (high, low), the images, the labels; 'r' for records of CIFAR; 'c' for
 * a table.  With IMGREC_FUZZ_STANDALONE a program that replays the files and
 * folders it is given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"

/* What each reader promises of a store that it filled. */
static void check_store(const struct store *s) {
  unsigned sum = 0;
  size_t image =
      (size_t)s->size.height * (size_t)s->size.width * (size_t)s->size.channels;
  if (s->count < 1 || s->classes.count < 1)
    abort();
  for (int64_t i = 0; i < s->count; i++) {
    if (s->labels[i] < 0 || (size_t)s->labels[i] >= s->classes.count)
      abort();
    if (s->pixels == NULL)
      sum += strlen(imgrec__strings_get(&s->names, (size_t)i)) == 0;
    for (size_t k = 0; s->pixels != NULL && k < image; k++)
      sum += imgrec__store_pixels(s, i)[k];
  }
  volatile unsigned sink = sum; /* every byte was read */
  (void)sink;
}

static struct blob copy(struct allocator *a, const uint8_t *data, size_t n) {
  struct blob b = {imgrec__alloc(a, n + 1), n};
  if (b.bytes == NULL)
    abort();
  memcpy(b.bytes, data, n);
  b.bytes[n] = 0;
  return b;
}

static int read_idx(struct store *s, const uint8_t *data, size_t size) {
  struct allocator *a = &s->context->allocator;
  if (size < 2)
    return IMGREC_ERR_FORMAT;
  size_t n = min_size((size_t)data[0] << 8 | data[1], size - 2);
  struct blob images = copy(a, data + 2, n);
  struct blob labels = copy(a, data + 2 + n, size - 2 - n);
  int status = imgrec__idx_parse(s, "images", &images, &labels, 0);
  imgrec__blob_free(&images, a);
  imgrec__blob_free(&labels, a);
  return status;
}

static int read_cifar(struct store *s, const uint8_t *data, size_t size) {
  struct blob b = copy(&s->context->allocator, data, size);
  int status = imgrec__cifar_reserve(s, size, 1);
  if (status == IMGREC_OK)
    status = imgrec__cifar_append(s, "batch", &b);
  if (status == IMGREC_OK)
    status = imgrec__store_name_numbers(s, 100);
  imgrec__blob_free(&b, &s->context->allocator);
  return status;
}

static int read_csv(struct store *s, const uint8_t *data, size_t size) {
  struct blob b = copy(&s->context->allocator, data, size);
  int status = imgrec__csv_parse(s, "folder/table", &b, IMGREC_PART_ANY);
  imgrec__blob_free(&b, &s->context->allocator);
  return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  imgrec_context_options o;
  imgrec_context *ctx;
  struct store *s;
  if (size < 1)
    return 0;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  if (imgrec_context_create(&ctx, &o) < 0 || imgrec__store_create(&s, ctx) < 0)
    abort();
  int status = data[0] == 'i'   ? read_idx(s, data + 1, size - 1)
               : data[0] == 'r' ? read_cifar(s, data + 1, size - 1)
                                : read_csv(s, data + 1, size - 1);
  if (status == IMGREC_OK)
    check_store(s);
  else if (strlen(imgrec_last_error(ctx)) == 0 && status != IMGREC_ERR_FORMAT)
    abort();
  imgrec__store_release(s);
  imgrec_context_destroy(ctx);
  return 0;
}

#ifdef IMGREC_FUZZ_STANDALONE
#include "replay.h"
#endif
