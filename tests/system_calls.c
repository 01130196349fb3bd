/* SPDX-License-Identifier: MIT */
/* Recognises an image 100 times between two marks that strace shows, close(-1)
 * and close(-2): what it lists between them, classify did.
 *   system_calls FOLDER threads|parallel N
 * N threads of the library's, or of a host whose parallel callback marks each
 * of its calls by getppid(). */
#include <imgrec/imgrec.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int host_parallel(void *user, imgrec_task_fn task, void *arg,
                         int count) {
  (void)user;
  (void)getppid();
  for (int i = 0; i < count; i++)
    task(arg, i, 0);
  return 0;
}

static int recognise(imgrec_context *ctx, const char *path) {
  const int64_t shape[3] = {300, 200, 3}; /* to be resized, too */
  char text[20000];
  imgrec_model *made = NULL, *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_result best;
  imgrec_preset("small", 64, 64, 3, 10, text, sizeof text);
  int status = imgrec_model_create(&made, ctx, text, NULL);
  if (status >= 0)
    status = imgrec_model_save(made, path);
  if (status >= 0)
    status = imgrec_model_load(&model, ctx, path, NULL);
  if (status >= 0)
    status = imgrec_tensor_create(&image, ctx, IMGREC_U8, 3, shape);
  (void)close(-1);
  for (int i = 0; i < 100 && status >= 0; i++)
    status = imgrec_model_classify(model, image, 1, &best);
  (void)close(-2);
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  imgrec_model_destroy(made);
  return status;
}

int main(int argc, char **argv) {
  imgrec_context_options o;
  imgrec_context *ctx = NULL;
  char path[1000];
  if (argc != 4)
    return 2;
  snprintf(path, sizeof path, "%s/system_calls.imgrec", argv[1]);
  imgrec_context_options_init(&o, sizeof o);
  o.threads = atoi(argv[3]);
  if (strcmp(argv[2], "parallel") == 0)
    o.parallel = host_parallel;
  if (imgrec_context_create(&ctx, &o) < 0)
    return 1;
  int status = recognise(ctx, path);
  if (status < 0)
    fprintf(stderr, "system_calls: %s\n", imgrec_last_error(ctx));
  imgrec_context_destroy(ctx);
  return status < 0;
}
