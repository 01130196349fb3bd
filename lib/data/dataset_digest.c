/* SPDX-License-Identifier: MIT */
/* A data set's fingerprint: whether it is the one that it was. */
#include <string.h>

#include "data/data.h"

static void add_number(struct sha256 *s, int64_t x) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; i++)
    bytes[i] = (unsigned char)((uint64_t)x >> 8 * i);
  imgrec__sha256_update(s, bytes, sizeof bytes);
}

static void add_string(struct sha256 *s, const char *text) {
  imgrec__sha256_update(s, text, strlen(text) + 1);
}

/* -1 for a file that is gone. */
static int64_t file_size(const struct imgrec_context *ctx, const char *path) {
  struct file_info info;
  return imgrec__read_info(ctx, path, &info) == 0 ? (int64_t)info.size : -1;
}

static void add_item(struct sha256 *s, const struct store *store,
                     int64_t item) {
  if (store->pixels != NULL) {
    size_t bytes = (size_t)store->size.height * (size_t)store->size.width *
                   (size_t)store->size.channels;
    imgrec__sha256_update(s, imgrec__store_pixels(store, item), bytes);
    return;
  }
  const char *path = imgrec__strings_get(&store->names, (size_t)item);
  add_string(s, path + imgrec__folder_length(path));
  add_number(s, file_size(store->context, path));
}

int imgrec_dataset_digest(const imgrec_dataset *d, char *digits, size_t size) {
  struct sha256 s;
  char hex[65];
  if (d == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (digits == NULL || size < sizeof hex)
    return imgrec__fail(&d->context->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_digest: give it at least %zu bytes",
                        sizeof hex);
  imgrec__sha256_init(&s);
  add_number(&s, d->count);
  for (size_t i = 0; i < d->labels.count; i++)
    add_string(&s, imgrec__strings_get(&d->labels, i));
  for (int64_t i = 0; i < d->count; i++) {
    add_number(&s, imgrec__dataset_label(d, i));
    add_item(&s, d->store, d->items[i]);
  }
  imgrec__sha256_hex(&s, hex);
  memcpy(digits, hex, sizeof hex);
  return IMGREC_OK;
}
