/* SPDX-License-Identifier: MIT */
/* Times augmentation on one core: image to floats, as the loader has it.
 *   bench_augment [SECONDS]
 * prints images a second of processor time for each list of augmentations at
 * 32 x 32 (from images of that size) and 224 x 224 (from what is kept of
 * larger ones). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "image/image.h"

static const char *const lists[] = {
    "none",
    "flip,crop",
    "light",
    "rotate=10",
    "area=0.35",
    "area=0.35,flip,brightness,contrast,saturation",
    "brightness=0.4,contrast=0.4,saturation=0.4,hue=15",
    "blur=1,degrade=1",
    "noise=8,degrade=1",
    "jpeg=40,degrade=1",
    "cutout=0.3",
    "randaugment=2",
    "strong"};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static imgrec_preprocess input(int side) {
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  p.height = p.width = side;
  p.channels = 3;
  p.resize = IMGREC_RESIZE_CROP;
  return p;
}

static int one(imgrec_context *ctx, const imgrec_augment *a,
               const imgrec_preprocess *p, const int original[2],
               const struct pixels *src, unsigned char *bytes, float *x,
               uint64_t index) {
  const struct augment_key key = {1, 1, index};
  int status =
      imgrec__augment(bytes, ctx->kernels, imgrec__workspace(ctx, 0),
                      &ctx->allocator, &ctx->error, src, original, p, a, &key);
  const struct pixels augmented = {bytes, p->height, p->width, 3};
  if (status == IMGREC_OK)
    imgrec__preprocess(x, ctx->kernels, imgrec__workspace(ctx, 0), &augmented,
                       p);
  return status;
}

static void run(imgrec_context *ctx, const char *list, int side,
                double seconds) {
  static unsigned char pixels[280 * 280 * 3], bytes[224 * 224 * 3];
  static float x[224 * 224 * 3];
  const int original[2] = {side == 32 ? 32 : 375, side == 32 ? 32 : 500};
  const imgrec_preprocess p = input(side);
  imgrec_preprocess stage;
  imgrec_augment a;
  imgrec_augment_init(&a, sizeof a);
  if (imgrec_augment_parse(&a, ctx, list) < 0)
    exit(1);
  imgrec__augment_stage(&stage, &p, &a, original[0], original[1]);
  struct pixels src = {pixels, stage.height, stage.width, 3};
  for (size_t i = 0; i < sizeof pixels; i++)
    pixels[i] = (unsigned char)(i / 3 % 251 + i % 3 * 40);
  double begin = now(), end = begin;
  uint64_t n = 0;
  while (end - begin < seconds) {
    for (int i = 0; i < 16; i++)
      if (one(ctx, &a, &p, original, &src, bytes, x, n++) < 0)
        exit(1);
    end = now();
  }
  printf("%3d  %8.0f images/s  %s\n", side, (double)n / (end - begin), list);
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 0.5;
  imgrec_context_options o;
  imgrec_context *ctx;
  imgrec_context_options_init(&o, sizeof o);
  o.threads = 1;
  if (imgrec_context_create(&ctx, &o) < 0)
    return 1;
  for (int side = 32; side <= 224; side += 192)
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
      run(ctx, lists[i], side, seconds);
  imgrec_context_destroy(ctx);
  return 0;
}
