/* SPDX-License-Identifier: MIT */
/* A game that learns while it runs, some 2 ms of each frame: game_loop DATA
 * MODEL
 *
 * How the steps are cut does not matter for what is learned: the weights are
 * those of imgrec_train_step. */
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BATCH = 25, EPOCHS = 5 };

struct game {
  imgrec_context *ctx;
  imgrec_dataset *data;
  imgrec_model *model;
  imgrec_trainer *trainer;
  imgrec_tensor *x, *labels;
  int64_t next, images; /* to learn from */
  int learning;         /* a step is under way */
  long frames;
  double longest; /* ms of a frame's training */
};

static double now_ms(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* The next images: here from a data set, in a game from what happens. */
static int fill_batch(struct game *g) {
  imgrec_preprocess how;
  imgrec_preprocess_init(&how, sizeof how);
  int status = imgrec_model_get_preprocess(g->model, &how);
  for (int i = 0; i < BATCH && status >= 0; i++, g->next++) {
    imgrec_tensor *image = NULL, *input = NULL;
    int64_t at = g->next % imgrec_dataset_size(g->data);
    if ((status = imgrec_dataset_image(&image, g->data, at)) >= 0 &&
        (status = imgrec_image_preprocess(&input, image, &how)) >= 0) {
      size_t n = imgrec_tensor_nbytes(input);
      memcpy((char *)imgrec_tensor_data(g->x) + (size_t)i * n,
             imgrec_tensor_const_data(input), n);
      ((int32_t *)imgrec_tensor_data(g->labels))[i] =
          imgrec_dataset_class(g->data, at);
    }
    imgrec_tensor_destroy(input);
    imgrec_tensor_destroy(image);
  }
  return status;
}

static int frame(struct game *g) { /* the game itself would be drawn first */
  double start = now_ms();
  int status = g->learning ? IMGREC_OK : fill_batch(g);
  if (status >= 0)
    status = imgrec_train_step_ms(g->trainer, g->x, g->labels, 2, NULL);
  double took = now_ms() - start;
  g->longest = took > g->longest ? took : g->longest;
  g->frames++, g->learning = status == IMGREC_STEP_UNFINISHED;
  return status;
}

static int make(struct game *g, const char *data) {
  int64_t shape[4] = {BATCH, 0, 0, 0};
  char text[4096];
  if (imgrec_dataset_open(&g->data, g->ctx, data, NULL) < 0)
    return -1;
  imgrec_dataset_shape(g->data, shape + 1);
  imgrec_preset("tiny", (int)shape[1], (int)shape[2], (int)shape[3],
                imgrec_dataset_classes(g->data), text, sizeof text);
  int ok = imgrec_model_create(&g->model, g->ctx, text, NULL) >= 0 &&
           imgrec_trainer_create(&g->trainer, g->model, NULL) >= 0 &&
           imgrec_tensor_create(&g->x, g->ctx, IMGREC_F32, 4, shape) >= 0 &&
           imgrec_tensor_create(&g->labels, g->ctx, IMGREC_I32, 1, shape) >= 0;
  g->images = EPOCHS * imgrec_dataset_size(g->data);
  return ok ? IMGREC_OK : -1;
}

int main(int argc, char **argv) {
  struct game g = {0};
  if (argc != 3 || imgrec_context_create(&g.ctx, NULL) < 0)
    return 2;
  int status = make(&g, argv[1]);
  while (status >= 0 && (g.learning || g.next < g.images))
    status = frame(&g);
  if (status >= 0)
    status = imgrec_model_save(g.model, argv[2]);
  printf("%ld frames, %.2f ms of training at most: %s\n", g.frames, g.longest,
         status < 0 ? imgrec_last_error(g.ctx) : "learned");
  imgrec_tensor_destroy(g.labels);
  imgrec_tensor_destroy(g.x);
  imgrec_trainer_destroy(g.trainer);
  imgrec_model_destroy(g.model);
  imgrec_dataset_destroy(g.data);
  imgrec_context_destroy(g.ctx);
  return status < 0;
}
