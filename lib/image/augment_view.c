/* SPDX-License-Identifier: MIT */
/* Flips, crops, turns and scales of an image as one affine map. */
#include <math.h>

#include "image/image.h"

int imgrec__augment_resamples(const imgrec_augment *a) {
  return a->shift > 0.0f || a->area > 0.0f || a->rotate > 0.0f ||
         a->scale > 0.0f || a->shear > 0.0f || a->randaugment > 0;
}

/* Lengths in pixels of the input, y first.  Without augmentation the input
 * shows the middle of the frame, which is as large or, where preprocessing
 * crops, has what it cuts off too.  The image fills `image`. */
struct framing {
  double input[2], frame[2], image[2];
};

static struct framing frame_of(const imgrec_preprocess *p,
                               const int original[2]) {
  double side[2] = {(double)p->height, (double)p->width};
  struct framing f = {
      {side[0], side[1]}, {side[0], side[1]}, {side[0], side[1]}};
  double scale[2] = {original[0] / side[0], original[1] / side[1]};
  int crops = p->resize == IMGREC_RESIZE_CROP;
  if (p->resize == IMGREC_RESIZE_STRETCH)
    return f;
  double both = (scale[0] < scale[1]) == crops ? scale[0] : scale[1];
  for (int i = 0; i < 2; i++) {
    f.image[i] = original[i] / both;
    f.frame[i] = crops ? f.image[i] : f.frame[i];
  }
  return f;
}

/* ---- Stage: from what the pixels are taken ------------------------------ */

/* All of the image, with this many times the pixels of the input on a side: a
 * part that is cut out is then about as sharp as the input, and little more
 * than one pixel falls on one of it.  Where preprocessing crops and so there
 * is more to show, no more pixels than that come to in all. */
#define STAGE_SCALE 1.25

static int staged(double side) { return (int)(side * STAGE_SCALE); }

void imgrec__augment_stage(imgrec_preprocess *stage, const imgrec_preprocess *p,
                           const imgrec_augment *a, int h, int w) {
  *stage = *p;
  if (!imgrec__augment_resamples(a) || (h == p->height && w == p->width))
    return;
  stage->resize = IMGREC_RESIZE_STRETCH;
  stage->height = staged(p->height);
  stage->width = staged(p->width);
  if (h == 0)
    return;
  const int original[2] = {h, w};
  double pixels = (double)stage->height * stage->width;
  struct framing f = frame_of(p, original);
  double most = sqrt(pixels / (f.image[0] * f.image[1]));
  double scale = most < STAGE_SCALE ? most : STAGE_SCALE;
  int height = (int)(f.image[0] * scale), width = (int)(f.image[1] * scale);
  if (height < 1 || width < 1) /* a line of pixels */
    return;
  stage->height = height;
  stage->width = width;
}

/* ---- View --------------------------------------------------------------- */

/* The part of the frame that is cut out: its size over the input's, and the
 * distance of its middle from the frame's. */
struct box {
  double scale[2], middle[2];
};

static struct box box_of(const struct recipe *r, const struct framing *f) {
  struct box b = {{1.0, 1.0}, {0.0, 0.0}};
  if (r->area == 0.0)
    return b;
  double area = r->area * f->frame[0] * f->frame[1];
  double ideal = f->input[1] / f->input[0] * r->aspect;
  double size[2] = {sqrt(area / ideal), sqrt(area * ideal)};
  for (int i = 0; i < 2; i++) {
    double most = f->frame[i];
    size[i] = size[i] < most ? size[i] : most;
    b.scale[i] = size[i] / f->input[i];
    b.middle[i] = (most - size[i]) * (r->place[i] - 0.5);
  }
  return b;
}

/* m: what undoes shear, then turn, then zoom; y first. */
static void undo_turn(double m[2][2], const struct recipe *r) {
  struct turn t = imgrec__turn(r->rotate);
  const double unit = (double)((int64_t)1 << IMGREC__TURN_BITS);
  double c = (double)t.cosine / unit / r->zoom;
  double s = (double)t.sine / unit / r->zoom;
  m[0][0] = c + s * r->shear[1];
  m[0][1] = s + c * r->shear[0];
  m[1][0] = c * r->shear[1] - s;
  m[1][1] = c - s * r->shear[0];
}

/* Whole pixels, by which a crop moves along a side of n. */
static double crop_of(const struct recipe *r, int axis, int n) {
  float side = (float)n, most = r->crop_most;
  int limit = (int)(most < 1.0f ? most * side + 0.5f : most);
  return (double)((int)(r->crop[axis] * (float)(2 * limit + 1)) - limit);
}

static int64_t to_fixed(double v) {
  double x = v * (double)((int64_t)1 << IMGREC__WARP_BITS);
  return (int64_t)(x + (x < 0.0 ? -0.5 : 0.5));
}

void imgrec__augment_view(struct warp *m, const struct recipe *r,
                          const imgrec_preprocess *p, const struct pixels *src,
                          const int original[2]) {
  struct framing f = frame_of(p, original);
  struct box b = box_of(r, &f);
  const int size[2] = {src->height, src->width};
  double turn[2][2], corner[2];
  undo_turn(turn, r);
  for (int i = 0; i < 2; i++) {
    int n = i == 0 ? p->height : p->width;
    double from = 0.5 - f.input[i] / 2.0 - crop_of(r, i, n);
    corner[i] = (r->flip[i] ? -from : from) - r->shift[i] * f.input[i];
  }
  for (int i = 0; i < 2; i++) {
    double sample = size[i] / f.image[i], scale = sample * b.scale[i];
    double at = turn[i][0] * corner[0] + turn[i][1] * corner[1];
    m->at[i] =
        to_fixed(at * scale + b.middle[i] * sample + size[i] / 2.0 - 0.5);
    m->by_y[i] = to_fixed((r->flip[0] ? -turn[i][0] : turn[i][0]) * scale);
    m->by_x[i] = to_fixed((r->flip[1] ? -turn[i][1] : turn[i][1]) * scale);
  }
}
