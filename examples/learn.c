/* SPDX-License-Identifier: MIT */
/* Learns what you draw, while you draw: learn MODEL
 *
 * Draw with the mouse; keys 1 to 4 teach that this is one of class 1 to 4, the
 * space bar takes a new sheet.  The title says what the drawing looks like.  Of
 * MODEL all is kept but its head, which learns for 2 ms in each frame. */
#include <SDL.h>
#include <imgrec/imgrec.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 64, ZOOM = 6, CLASSES = 4, MOST = 64, BRUSH = 4 };

static unsigned char sheet[SIDE][SIDE], grey[SIDE][SIDE];
static float inputs[MOST * SIDE * SIDE * 3]; /* of drawings, for the network */
static int32_t classes[MOST];
static int64_t shape[4]; /* drawings, and the network's input */
static imgrec_context *ctx;
static imgrec_model *model;
static imgrec_trainer *trainer;
static imgrec_tensor *image, *x, *labels;

static int make(const char *path) {
  const int64_t size[3] = {SIDE, SIDE, 1};
  imgrec_trainer_options o;
  char head[100];
  imgrec_trainer_options_init(&o, sizeof o);
  o.max_batch = MOST, o.learning_rate = 0.01F;
  if (imgrec_context_create(&ctx, NULL) < 0 ||
      imgrec_model_adapt(&model, ctx, path, CLASSES, NULL) < 0)
    return 0;
  snprintf(head, sizeof head, "%s.", imgrec_model_head(model));
  imgrec_model_input_shape(model, shape + 1);
  return shape[1] <= SIDE && shape[2] <= SIDE &&
         imgrec_model_freeze(model, "") >= 0 &&
         imgrec_model_unfreeze(model, head) >= 0 &&
         imgrec_trainer_create(&trainer, model, &o) >= 0 &&
         imgrec_tensor_wrap(&image, ctx, IMGREC_U8, 3, size, sheet) >= 0;
}

static void teach(int class_index) {
  imgrec_tensor *input = NULL;
  imgrec_preprocess how = {.struct_size = sizeof how};
  imgrec_model_get_preprocess(model, &how);
  if (shape[0] == MOST || imgrec_image_preprocess(&input, image, &how) < 0)
    return;
  size_t n = imgrec_tensor_nbytes(input);
  memcpy(inputs + (size_t)shape[0] * n / sizeof *inputs,
         imgrec_tensor_data(input), n);
  classes[shape[0]++] = class_index;
  imgrec_trainer_abandon(trainer); /* a step on one drawing less */
  imgrec_tensor_destroy(input);
  imgrec_tensor_destroy(x);
  imgrec_tensor_destroy(labels);
  imgrec_tensor_wrap(&x, ctx, IMGREC_F32, 4, shape, inputs);
  imgrec_tensor_wrap(&labels, ctx, IMGREC_I32, 1, shape, classes);
}

static int handle(const SDL_Event *e) {
  int key = e->type == SDL_KEYDOWN ? e->key.keysym.sym : 0;
  int y = e->motion.y / ZOOM - BRUSH, left = e->motion.x / ZOOM - BRUSH;
  if (e->type == SDL_MOUSEMOTION && (e->motion.state & SDL_BUTTON_LMASK))
    for (int end = y + 2 * BRUSH; y < end; y++)
      if (y >= 0 && y < SIDE && left >= 0 && left + 2 * BRUSH <= SIDE)
        memset(&sheet[y][left], 255, 2 * BRUSH);
  if (key >= SDLK_1 && key < SDLK_1 + CLASSES)
    teach(key - SDLK_1);
  if (key == SDLK_SPACE)
    memset(sheet, 0, sizeof sheet);
  return e->type != SDL_QUIT && key != SDLK_ESCAPE;
}

int main(int argc, char **argv) {
  if (argc != 2 || !make(argv[1]) || SDL_Init(SDL_INIT_VIDEO) != 0)
    return 2;
  int size = SIDE * ZOOM;
  SDL_Window *window = SDL_CreateWindow("learn", 0, 0, size, size, 0);
  SDL_Renderer *r = SDL_CreateRenderer(window, -1, 0);
  SDL_Texture *t = SDL_CreateTexture(r, SDL_PIXELFORMAT_IYUV,
                                     SDL_TEXTUREACCESS_STREAMING, SIDE, SIDE);
  memset(grey, 128, sizeof grey);
  for (int running = 1; running; SDL_Delay(10)) {
    imgrec_result best = {0, 0, ""};
    char title[100];
    for (SDL_Event e; SDL_PollEvent(&e);)
      running &= handle(&e);
    if (x)
      imgrec_train_step_ms(trainer, x, labels, 2, NULL);
    imgrec_model_classify(model, image, 1, &best);
    snprintf(title, sizeof title, "class %d: %.0f %%, of %d drawings",
             best.class_index + 1, 100 * (double)best.probability,
             (int)shape[0]);
    SDL_SetWindowTitle(window, title);
    SDL_UpdateYUVTexture(t, NULL, sheet[0], SIDE, grey[0], SIDE, grey[0], SIDE);
    SDL_RenderCopy(r, t, NULL, NULL);
    SDL_RenderPresent(r);
  }
  return 0;
}
