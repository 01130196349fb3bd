/* SPDX-License-Identifier: MIT */
/* Reads the golden values of tests/golden/.  Include behind cmocka.h. */
#ifndef GOLDEN_FILE_H
#define GOLDEN_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imgrec/imgrec.h"

static inline char *read_file(const char *net, const char *suffix,
                              size_t *size) {
  char path[128];
  snprintf(path, sizeof path, "tests/golden/%s%s", net, suffix);
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    fail_msg("%s: cannot be opened", path);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long length = ftell(file);
  assert_true(length >= 0);
  rewind(file);
  char *bytes = malloc((size_t)length + 1);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, (size_t)length, file), length);
  fclose(file);
  bytes[length] = 0;
  *size = (size_t)length;
  return bytes;
}

/* The header of NET.expected.safetensors as text, and the data behind it.  A
 * reader for files of our own making only: the library's is not trusted with
 * judging itself. */
struct expected {
  char *header;
  char *data;
};

static inline uint64_t little_endian(const char *bytes, int size) {
  uint64_t x = 0;
  for (int i = size - 1; i >= 0; i--)
    x = x << 8 | (unsigned char)bytes[i];
  return x;
}

static inline struct expected read_expected(const char *net) {
  struct expected e;
  size_t size;
  char *bytes = read_file(net, ".expected.safetensors", &size);
  assert_true(size > 8);
  uint64_t length = little_endian(bytes, 8);
  assert_true(length < size - 8);
  e.header = malloc(length + 1);
  assert_non_null(e.header);
  memcpy(e.header, bytes + 8, length);
  e.header[length] = 0;
  e.data = malloc(size - 8 - length);
  assert_non_null(e.data);
  for (size_t at = 8 + length; at + 4 <= size; at += 4) { /* F32 and I32 */
    uint32_t word = (uint32_t)little_endian(bytes + at, 4);
    memcpy(e.data + (at - 8 - length), &word, sizeof word);
  }
  free(bytes);
  return e;
}

static inline void free_expected(struct expected *e) {
  free(e->header);
  free(e->data);
}

/* Where the fields of a tensor start: behind "name":{ */
static inline const char *find_fields(const struct expected *e,
                                      const char *name) {
  char key[160];
  snprintf(key, sizeof key, "\"%s\":{", name);
  const char *fields = strstr(e->header, key);
  if (fields == NULL)
    fail_msg("%s: not among the golden values", name);
  return fields + strlen(key);
}

/* The numbers of a list such as "shape":[2,3]. */
static inline int read_list(const char *fields, const char *key, int64_t *list,
                            int limit) {
  const char *p = strstr(fields, key);
  int count = 0;
  assert_non_null(p);
  for (p += strlen(key); *p != ']'; p += *p == ',') {
    char *end;
    assert_true(count < limit);
    list[count++] = strtoll(p, &end, 10);
    assert_ptr_not_equal(end, p);
    p = end;
  }
  return count;
}

/* A tensor over e's data. */
static inline imgrec_tensor *wrap(imgrec_context *ctx, const struct expected *e,
                                  const char *name) {
  const char *fields = find_fields(e, name);
  int64_t shape[4], offsets[2];
  imgrec_tensor *tensor;
  int ndim = read_list(fields, "\"shape\":[", shape, 4);
  assert_int_equal(read_list(fields, "\"data_offsets\":[", offsets, 2), 2);
  int dtype =
      strncmp(fields, "\"dtype\":\"I32\"", 13) == 0 ? IMGREC_I32 : IMGREC_F32;
  assert_int_equal(imgrec_tensor_wrap(&tensor, ctx, dtype, ndim, shape,
                                      e->data + offsets[0]),
                   0);
  assert_int_equal(imgrec_tensor_nbytes(tensor), offsets[1] - offsets[0]);
  return tensor;
}

#endif
