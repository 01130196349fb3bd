/* SPDX-License-Identifier: MIT */
/* Images as files. */
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

#include "cli.h"

#include <errno.h>
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
  struct sink sink = {fopen(path, "wb"), 0};
  if (sink.file == NULL)
    return fail(command, "%s: %s", path, strerror(errno));
  errno = 0;
  if (!stbi_write_png_to_func(write_bytes, &sink, w, h, channels,
                              imgrec_tensor_const_data(image), w * channels))
    sink.failed = 1;
  if (fclose(sink.file) != 0 || sink.failed) {
    fail(command, "%s: %s", path,
         errno ? strerror(errno) : "cannot be written");
    remove(path);
    return EXIT_FAILED;
  }
  return EXIT_OK;
}
