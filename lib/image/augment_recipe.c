/* SPDX-License-Identifier: MIT */
/* Draws what happens to one image.  Every choice has a number of its own, so
 * that leaving one out changes none of the others. */
#include "image/image.h"

enum {
  DRAW_FLIP,
  DRAW_FLIP_VERTICAL,
  DRAW_CROP, /* y, x */
  DRAW_CROP_X,
  DRAW_SHIFT, /* y, x */
  DRAW_SHIFT_X,
  DRAW_SHEAR, /* y, x */
  DRAW_SHEAR_X,
  DRAW_ROTATE,
  DRAW_SCALE,
  DRAW_AREA,
  DRAW_ASPECT,
  DRAW_PLACE, /* y, x */
  DRAW_PLACE_X,
  DRAW_BRIGHTNESS,
  DRAW_CONTRAST,
  DRAW_SATURATION,
  DRAW_HUE,
  DRAW_GREY,
  DRAW_BLUR, /* whether, how much; so the next two */
  DRAW_NOISE = DRAW_BLUR + 2,
  DRAW_JPEG = DRAW_NOISE + 2,
  DRAW_NOISE_SEED = DRAW_JPEG + 2,
  DRAW_HOLE, /* y, x */
  DRAW_HOLE_X,
  DRAW_OPERATIONS = 64 /* two for each */
};
#define DRAW_BITS 8

/* Uniform in [0, 1). */
static float unit(const struct augment_key *k, int draw) {
  return imgrec__random_unit(k->seed, IMGREC__STREAM_AUGMENT + k->epoch,
                             k->index << DRAW_BITS | (uint64_t)draw);
}

/* Uniform in [-1, 1). */
static float spread(const struct augment_key *k, int draw) {
  return unit(k, draw) * 2.0f - 1.0f;
}

/* 1 + x, or 1 / (1 + x) for as much below zero. */
static double factor(float x) {
  return x < 0.0f ? 1.0 / (1.0 - (double)x) : 1.0 + (double)x;
}

static void draw_moves(struct recipe *r, const imgrec_augment *a,
                       const struct augment_key *k) {
  r->flip[0] = unit(k, DRAW_FLIP_VERTICAL) < a->flip_vertical;
  r->flip[1] = unit(k, DRAW_FLIP) < a->flip;
  r->crop_most = a->crop;
  for (int i = 0; i < 2; i++) {
    r->crop[i] = unit(k, DRAW_CROP + i);
    r->shift[i] = (double)(a->shift * spread(k, DRAW_SHIFT + i));
    r->shear[i] = (double)(a->shear * spread(k, DRAW_SHEAR + i));
    r->place[i] = (double)unit(k, DRAW_PLACE + i);
  }
  r->rotate = a->rotate * spread(k, DRAW_ROTATE);
  r->zoom = factor(a->scale * spread(k, DRAW_SCALE));
  if (a->area > 0.0f) {
    r->area = (double)(1.0f - (1.0f - a->area) * unit(k, DRAW_AREA));
    r->aspect = factor((a->aspect - 1.0f) * spread(k, DRAW_ASPECT));
  }
}

static void draw_colour(struct recipe *r, const imgrec_augment *a,
                        const struct augment_key *k) {
  r->brightness = (double)(1.0f + a->brightness * spread(k, DRAW_BRIGHTNESS));
  r->contrast = (double)(1.0f + a->contrast * spread(k, DRAW_CONTRAST));
  r->saturation = (double)(1.0f + a->saturation * spread(k, DRAW_SATURATION));
  r->hue = a->hue * spread(k, DRAW_HUE);
  if (unit(k, DRAW_GREY) < a->grey)
    r->saturation = 0.0;
}

static float draw_degrade(const struct augment_key *k, int draw, float chance,
                          float most) {
  return unit(k, draw) < chance ? most * unit(k, draw + 1) : 0.0f;
}

static void draw_values(struct recipe *r, const imgrec_augment *a,
                        const struct augment_key *k) {
  r->blur = draw_degrade(k, DRAW_BLUR, a->degrade, a->blur);
  r->noise = draw_degrade(k, DRAW_NOISE, a->degrade, a->noise);
  r->jpeg = a->jpeg > 0.0f && unit(k, DRAW_JPEG) < a->degrade
                ? a->jpeg + (100.0f - a->jpeg) * unit(k, DRAW_JPEG + 1)
                : 0.0f;
  struct random4 s = imgrec__random4(k->seed, IMGREC__STREAM_AUGMENT + k->epoch,
                                     k->index << DRAW_BITS | DRAW_NOISE_SEED);
  r->noise_seed = (uint64_t)s.v[1] << 32 | s.v[0];
  r->hole[0] = (double)unit(k, DRAW_HOLE);
  r->hole[1] = (double)unit(k, DRAW_HOLE_X);
}

/* ---- RandAugment -------------------------------------------------------- */

/* As torchvision.transforms.RandAugment has them, the strongest being that of
 * magnitude 10. */
enum { OPERATIONS = 14 };

static void add_tone(struct recipe *r, int kind, float strength) {
  r->tones[r->tone_count++] = (struct tone){kind, strength};
}

/* m: magnitude / 10 with a sign; size: without. */
static void add_operation(struct recipe *r, int operation, float m,
                          float size) {
  double enhance = 1.0 + 0.9 * (double)m;
  switch (operation) {
  case 0:
    return; /* as it is */
  case 1:
  case 2:
    r->shear[operation - 1] += 0.3 * (double)m;
    return;
  case 3:
  case 4:
    r->shift[operation - 3] += 150.0 / 331.0 * (double)m;
    return;
  case 5:
    r->rotate += 30.0f * m;
    return;
  case 6:
    r->brightness *= enhance;
    return;
  case 7:
    r->contrast *= enhance;
    return;
  case 8:
    r->saturation *= enhance;
    return;
  case 9:
    add_tone(r, TONE_SHARPNESS, 0.9f * m);
    return;
  case 10:
    add_tone(r, TONE_POSTERIZE, size);
    return;
  case 11:
    add_tone(r, TONE_SOLARIZE, size);
    return;
  case 12:
    add_tone(r, TONE_AUTOCONTRAST, size);
    return;
  default:
    add_tone(r, TONE_EQUALIZE, size);
  }
}

static void draw_operations(struct recipe *r, const imgrec_augment *a,
                            const struct augment_key *k) {
  float size = a->magnitude / 10.0f;
  for (int i = 0; i < a->randaugment; i++) {
    int draw = DRAW_OPERATIONS + 2 * i;
    int operation = (int)(unit(k, draw) * (float)OPERATIONS);
    float m = spread(k, draw + 1) < 0.0f ? -size : size;
    add_operation(r, operation, m, size);
  }
}

/* The strongest factors multiply; three are more than enough. */
static double bounded(double factor) { return factor < 3.0 ? factor : 3.0; }

void imgrec__augment_recipe(struct recipe *r, const imgrec_augment *a,
                            const struct augment_key *key) {
  *r = (struct recipe){.tone_count = 0};
  draw_moves(r, a, key);
  draw_colour(r, a, key);
  draw_values(r, a, key);
  draw_operations(r, a, key);
  r->brightness = bounded(r->brightness);
  r->contrast = bounded(r->contrast);
  r->saturation = bounded(r->saturation);
}
