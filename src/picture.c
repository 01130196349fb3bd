/* SPDX-License-Identifier: MIT */
/* Images as files and as text: PNG, JPEG, data: URIs. */
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sink {
  FILE *file;
  int failed;
};

static void write_bytes(void *context, void *bytes, int size) {
  struct sink *sink = context;
  if (fwrite(bytes, 1, (size_t)size, sink->file) != (size_t)size)
    sink->failed = 1;
}

int write_png(const char *path, const imgrec_tensor *image,
              const char *command) {
  int h = (int)imgrec_tensor_dim(image, 0);
  int w = (int)imgrec_tensor_dim(image, 1);
  int channels = (int)imgrec_tensor_dim(image, 2);
  struct sink sink = {os_open(path, "wb"), 0};
  if (sink.file == NULL)
    return fail(command, "%s: %s", path, strerror(errno));
  errno = 0;
  if (!stbi_write_png_to_func(write_bytes, &sink, w, h, channels,
                              imgrec_tensor_const_data(image), w * channels))
    sink.failed = 1;
  if (fclose(sink.file) != 0 || sink.failed) {
    fail(command, "%s: %s", path,
         errno ? strerror(errno) : "cannot be written");
    os_remove(path);
    return EXIT_FAILED;
  }
  return EXIT_OK;
}

/* ---- data: URIs --------------------------------------------------------- */

static const char digits64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void write_base64(FILE *f, const unsigned char *bytes, size_t size) {
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    unsigned group = (unsigned)bytes[i] << 16;
    if (left > 1)
      group |= (unsigned)bytes[i + 1] << 8;
    if (left > 2)
      group |= bytes[i + 2];
    fputc(digits64[group >> 18], f);
    fputc(digits64[group >> 12 & 63], f);
    fputc(left > 1 ? digits64[group >> 6 & 63] : '=', f);
    fputc(left > 2 ? digits64[group & 63] : '=', f);
  }
}

/* What an encoder has given so far; `failed` when out of memory. */
struct bytes {
  unsigned char *data;
  size_t size, capacity;
  int failed;
};

static void keep_bytes(void *context, void *more, int n) {
  struct bytes *b = context;
  size_t size = b->size + (size_t)n;
  if (size > b->capacity) {
    size_t capacity = 2 * size;
    unsigned char *data = realloc(b->data, capacity);
    if (data == NULL) {
      b->failed = 1;
      return;
    }
    b->data = data;
    b->capacity = capacity;
  }
  memcpy(b->data + b->size, more, (size_t)n);
  b->size = size;
}

int write_data_uri(FILE *f, const imgrec_tensor *image, int jpeg_quality) {
  int h = (int)imgrec_tensor_dim(image, 0);
  int w = (int)imgrec_tensor_dim(image, 1);
  int channels = (int)imgrec_tensor_dim(image, 2);
  const void *pixels = imgrec_tensor_const_data(image);
  struct bytes b = {NULL, 0, 0, 0};
  int good;
  if (jpeg_quality > 0)
    good = stbi_write_jpg_to_func(keep_bytes, &b, w, h, channels, pixels,
                                  jpeg_quality);
  else
    good = stbi_write_png_to_func(keep_bytes, &b, w, h, channels, pixels,
                                  w * channels);
  good = good && !b.failed;
  if (good) {
    fprintf(f, "data:image/%s;base64,", jpeg_quality > 0 ? "jpeg" : "png");
    write_base64(f, b.data, b.size);
  }
  free(b.data);
  return good ? 0 : IMGREC_ERR_MEMORY;
}
