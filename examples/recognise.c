/* SPDX-License-Identifier: MIT */
/* Says what is in an image: recognise MODEL IMAGE */
#include <imgrec/imgrec.h>
#include <stdio.h>

int main(int argc, char **argv) {
  imgrec_context *ctx = NULL;
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_result top[3];
  int n = -1;

  if (argc != 3) {
    fprintf(stderr, "usage: recognise MODEL IMAGE\n");
    return 2;
  }
  if (imgrec_context_create(&ctx, NULL) < 0)
    return 1;
  if (imgrec_model_load(&model, ctx, argv[1], NULL) >= 0 &&
      imgrec_image_load(&image, ctx, argv[2], 0) >= 0)
    n = imgrec_model_classify(model, image, 3, top);
  if (n < 0)
    fprintf(stderr, "recognise: %s\n", imgrec_last_error(ctx));
  for (int i = 0; i < n; i++)
    printf("%s %.3f\n", top[i].label, (double)top[i].probability);

  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return n < 0;
}
