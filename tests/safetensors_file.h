/* SPDX-License-Identifier: MIT */
/* Safetensors files made by hand, right or wrong. */
#ifndef SAFETENSORS_FILE_H
#define SAFETENSORS_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exactly as large as it says, so that reading past it is seen. */
struct bytes {
  unsigned char *data;
  size_t size;
};

static inline struct bytes bytes_copy(const void *data, size_t size) {
  struct bytes b = {malloc(size != 0 ? size : 1), size};
  assert_non_null(b.data);
  if (size != 0)
    memcpy(b.data, data, size);
  return b;
}

/* Length word, header, data; `length` is what the word says. */
static inline struct bytes bytes_make(uint64_t length, const char *header,
                                      size_t header_size, const void *data,
                                      size_t data_size) {
  size_t size = sizeof length + header_size + data_size;
  struct bytes b = {malloc(size), size};
  assert_non_null(b.data);
  for (size_t i = 0; i < sizeof length; i++)
    b.data[i] = (unsigned char)(length >> 8 * i);
  memcpy(b.data + sizeof length, header, header_size);
  if (data != NULL)
    memcpy(b.data + sizeof length + header_size, data, data_size);
  else
    memset(b.data + sizeof length + header_size, 0, data_size);
  return b;
}

/* `data` NULL: zeros. */
static inline struct bytes bytes_file(const char *header, const void *data,
                                      size_t data_size) {
  return bytes_make(strlen(header), header, strlen(header), data, data_size);
}

static inline size_t bytes_header_size(struct bytes b) {
  uint64_t n = 0;
  assert_true(b.size >= sizeof n);
  for (size_t i = 0; i < sizeof n; i++)
    n |= (uint64_t)b.data[i] << 8 * i;
  return (size_t)n;
}

static inline void bytes_write(struct bytes b, const char *path) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(b.data, 1, b.size, f), b.size);
  assert_int_equal(fclose(f), 0);
}

static inline struct bytes bytes_read(const char *path) {
  static unsigned char buffer[1 << 20];
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(buffer, 1, sizeof buffer, f);
  assert_true(n < sizeof buffer);
  fclose(f);
  return bytes_copy(buffer, n);
}

#endif
