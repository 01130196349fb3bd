/* SPDX-License-Identifier: MIT */
/* Recognises without a file system: memory MODEL IMAGE
 *
 * Both are bytes in memory, as they would be when compiled into the program or
 * taken from an archive.  Only main() knows that here they come from files. */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes {
  void *data;
  size_t size;
};

static int recognise(struct bytes model_file, struct bytes image_file) {
  imgrec_context *ctx = NULL;
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_model_options options;
  imgrec_result best;
  int status;

  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = 1; /* needs less memory than the usual 32 */
  if (imgrec_context_create(&ctx, NULL) < 0)
    return -1;
  status = imgrec_model_load_memory(&model, ctx, model_file.data,
                                    model_file.size, &options);
  if (status >= 0)
    status =
        imgrec_image_decode(&image, ctx, image_file.data, image_file.size, 0);
  if (status >= 0)
    status = imgrec_model_classify(model, image, 1, &best);
  if (status < 0)
    fprintf(stderr, "memory: %s\n", imgrec_last_error(ctx));
  else
    printf("%s %.3f\n", best.label, (double)best.probability);

  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return status;
}

static int read_file(struct bytes *out, const char *path) {
  FILE *f = fopen(path, "rb");
  long size = -1;
  out->data = NULL;
  if (f && fseek(f, 0, SEEK_END) == 0)
    size = ftell(f);
  if (size >= 0) {
    rewind(f);
    out->size = (size_t)size;
    out->data = malloc(out->size + 1);
    if (out->data && fread(out->data, 1, out->size, f) != out->size)
      size = -1;
  }
  if (f)
    fclose(f);
  return out->data && size >= 0;
}

int main(int argc, char **argv) {
  struct bytes model = {NULL, 0}, image = {NULL, 0};
  int ok = argc == 3 && read_file(&model, argv[1]) &&
           read_file(&image, argv[2]) && recognise(model, image) >= 0;
  if (argc != 3)
    fprintf(stderr, "usage: memory MODEL IMAGE\n");
  free(model.data);
  free(image.data);
  return !ok;
}
