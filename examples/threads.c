/* SPDX-License-Identifier: MIT */
/* Several threads recognise by one model: threads MODEL IMAGE
 *
 * Each has a context of its own, without further threads, and shares the
 * weights, which are in memory once. */
#include <imgrec/imgrec.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, TIMES = 50 };

struct worker {
  pthread_t thread;
  const imgrec_model *model; /* of the first thread */
  const char *path;
  int class_index; /* the answer, or -1 */
};

static int recognise(struct worker *w, imgrec_context *ctx) {
  imgrec_model *model = NULL;
  imgrec_tensor *image = NULL;
  imgrec_model_options options;
  imgrec_result best = {-1, 0, NULL};
  imgrec_model_options_init(&options, sizeof options);
  options.max_batch = 1;
  int status = imgrec_model_share(&model, w->model, ctx, &options);
  if (status >= 0)
    status = imgrec_image_load(&image, ctx, w->path, 0);
  for (int i = 0; i < TIMES && status >= 0; i++)
    status = imgrec_model_classify(model, image, 1, &best);
  if (status < 0)
    fprintf(stderr, "threads: %s\n", imgrec_last_error(ctx));
  imgrec_tensor_destroy(image);
  imgrec_model_destroy(model);
  return status < 0 ? -1 : best.class_index;
}

static void *work(void *arg) {
  struct worker *w = arg;
  imgrec_context *ctx = NULL;
  imgrec_context_options options;
  imgrec_context_options_init(&options, sizeof options);
  options.threads = 1;
  if (imgrec_context_create(&ctx, &options) >= 0)
    w->class_index = recognise(w, ctx);
  imgrec_context_destroy(ctx);
  return NULL;
}

/* What all of them say, or -1. */
static int ask_all(const imgrec_model *model, const char *path) {
  struct worker workers[THREADS];
  int started = 0, answer = -1;
  for (; started < THREADS; started++) {
    workers[started] = (struct worker){.model = model, .path = path};
    workers[started].class_index = -1;
    if (pthread_create(&workers[started].thread, NULL, work,
                       &workers[started]) != 0)
      break;
  }
  for (int i = 0; i < started; i++) {
    pthread_join(workers[i].thread, NULL);
    if (i == 0)
      answer = workers[i].class_index;
    else if (workers[i].class_index != answer)
      answer = -1;
  }
  return started == THREADS ? answer : -1;
}

int main(int argc, char **argv) {
  imgrec_context *ctx = NULL;
  imgrec_model *model = NULL;
  int answer = -1;
  if (argc != 3) {
    fprintf(stderr, "usage: threads MODEL IMAGE\n");
    return 2;
  }
  if (imgrec_context_create(&ctx, NULL) < 0)
    return 1;
  if (imgrec_model_load(&model, ctx, argv[1], NULL) >= 0)
    answer = ask_all(model, argv[2]);
  else
    fprintf(stderr, "threads: %s\n", imgrec_last_error(ctx));
  if (answer >= 0)
    printf("%s, say %d threads\n", imgrec_model_label(model, answer), THREADS);
  imgrec_model_destroy(model);
  imgrec_context_destroy(ctx);
  return answer < 0;
}
