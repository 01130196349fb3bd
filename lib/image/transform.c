/* SPDX-License-Identifier: MIT */
/* Images that move pixels: crop, flip, rotate, and change of channels. */
#include <string.h>

#include "image/image.h"

/* ---- Beginning and end of each public function -------------------------- */

int imgrec__image_begin(imgrec_tensor **made, imgrec_tensor **out,
                        const imgrec_tensor *image, const char *what,
                        int64_t height, int64_t width, int channels) {
  if (!image)
    return IMGREC_ERR_ARGUMENT;
  if (!out)
    return imgrec__fail(&image->context->error, IMGREC_ERR_ARGUMENT,
                        "%s: there is no place for the new image (out is NULL)",
                        what);
  int status = imgrec__check_image(&image->context->error, image, what);
  if (status < 0)
    return status;
  status = imgrec__image_new(made, image->context, height, width,
                             channels ? channels : (int)image->shape[2]);
  if (status < 0)
    return imgrec__fail_prefix(&image->context->error, status, "%s", what);
  return 0;
}

int imgrec__image_like(imgrec_tensor **made, imgrec_tensor **out,
                       const imgrec_tensor *image, const char *what) {
  if (!image)
    return IMGREC_ERR_ARGUMENT;
  return imgrec__image_begin(made, out, image, what, image->shape[0],
                             image->shape[1], 0);
}

int imgrec__image_end(imgrec_tensor **out, imgrec_tensor *made, int status) {
  if (status < 0)
    imgrec_tensor_destroy(made);
  else
    *out = made;
  return status;
}

/* ---- Convert ------------------------------------------------------------ */

void imgrec__convert(unsigned char *dst, int dst_channels,
                     const unsigned char *src, int src_channels, ptrdiff_t step,
                     size_t n) {
  if (step == 1 && dst_channels == src_channels) {
    memcpy(dst, src, n * (size_t)src_channels);
    return;
  }
  step *= src_channels;
  for (size_t i = 0; i < n; i++, dst += dst_channels) {
    const unsigned char *p = src + (ptrdiff_t)i * step;
    if (dst_channels == 1)
      dst[0] = src_channels == 1 ? p[0] : imgrec__luma(p);
    else if (src_channels == 1)
      dst[0] = dst[1] = dst[2] = p[0];
    else
      memcpy(dst, p, 3);
  }
}

int imgrec_image_convert(imgrec_tensor **out, const imgrec_tensor *image,
                         int channels) {
  imgrec_tensor *t;
  if (!image)
    return IMGREC_ERR_ARGUMENT;
  const int64_t *s = image->shape;
  if (channels != 1 && channels != 3)
    return imgrec__fail(&image->context->error, IMGREC_ERR_ARGUMENT,
                        "image_convert: channels is %d; it must be 1 or 3",
                        channels);
  int status = imgrec__image_begin(&t, out, image, "image_convert", s[0], s[1],
                                   channels);
  if (status < 0)
    return status;
  imgrec__convert(t->data, channels, image->data, (int)s[2], 1,
                  (size_t)(s[0] * s[1]));
  return imgrec__image_end(out, t, 0);
}

/* ---- Crop, flip --------------------------------------------------------- */

int imgrec_image_crop(imgrec_tensor **out, const imgrec_tensor *image, int top,
                      int left, int height, int width) {
  imgrec_tensor *t;
  int status =
      imgrec__image_begin(&t, out, image, "image_crop", height, width, 0);
  if (status < 0)
    return status;
  const int64_t *s = image->shape;
  if (top < 0 || left < 0 || top > s[0] - height || left > s[1] - width) {
    status =
        imgrec__fail(&t->context->error, IMGREC_ERR_ARGUMENT,
                     "image_crop: %d x %d at (%d, %d) is not inside of the "
                     "image, which is %d x %d",
                     height, width, top, left, (int)s[0], (int)s[1]);
    return imgrec__image_end(out, t, status);
  }
  size_t n = (size_t)(width * s[2]);
  const unsigned char *src =
      (const unsigned char *)image->data + (top * s[1] + left) * s[2];
  for (int y = 0; y < height; y++)
    memcpy((unsigned char *)t->data + (size_t)y * n, src + y * s[1] * s[2], n);
  return imgrec__image_end(out, t, 0);
}

int imgrec_image_flip(imgrec_tensor **out, const imgrec_tensor *image,
                      int axis) {
  imgrec_tensor *t;
  if (image && axis != 0 && axis != 1)
    return imgrec__fail(&image->context->error, IMGREC_ERR_ARGUMENT,
                        "image_flip: axis is %d; it must be 0 (upside down) or "
                        "1 (left and right)",
                        axis);
  int status = imgrec__image_like(&t, out, image, "image_flip");
  if (status < 0)
    return status;
  int64_t h = image->shape[0], w = image->shape[1], c = image->shape[2];
  for (int64_t y = 0; y < h; y++) {
    const unsigned char *row = image->data;
    row += (axis == 0 ? h - 1 - y : y) * w * c;
    imgrec__convert((unsigned char *)t->data + y * w * c, (int)c,
                    axis == 0 ? row : row + (w - 1) * c, (int)c,
                    axis == 0 ? 1 : -1, (size_t)w);
  }
  return imgrec__image_end(out, t, 0);
}

/* ---- Rotate ------------------------------------------------------------- */

/* Fraction bits of sine and cosine, and of a source position: one more, for
 * positions are counted from the centre in halves of a pixel. */
#define TURN_BITS     IMGREC__TURN_BITS
#define POSITION_BITS (TURN_BITS + 1)
/* Fraction bits of a bilinear weight. */
#define WEIGHT_BITS 11

/* |x| <= pi / 4: Taylor, whose first term left out is below 1e-17. */
static double sine_of(double x) {
  double s = 0.0;
  for (int n = 17; n >= 1; n -= 2)
    s = 1.0 - s * x * x / ((n + 1.0) * (n + 2.0));
  return s * x;
}

static double cosine_of(double x) {
  double s = 0.0;
  for (int n = 18; n >= 0; n -= 2)
    s = 1.0 - s * x * x / ((n + 1.0) * (n + 2.0));
  return s;
}

/* degrees modulo 360, each difference being exact. */
static double reduce(double degrees) {
  double r = degrees < 0.0 ? -degrees : degrees;
  double m = 360.0;
  while (m * 2.0 <= r)
    m *= 2.0;
  for (; m >= 360.0; m /= 2.0)
    r = r >= m ? r - m : r;
  return degrees < 0.0 ? 360.0 - r : r;
}

static int64_t to_fixed(double x) {
  return (int64_t)(x * (double)((int64_t)1 << TURN_BITS) +
                   (x < 0.0 ? -0.5 : 0.5));
}

struct turn imgrec__turn(float degrees) {
  const double radian = 3.14159265358979323846 / 180.0;
  double angle = reduce((double)degrees);
  int quarters = (int)(angle / 90.0 + 0.5);
  double rest = (angle - quarters * 90.0) * radian;
  int64_t c = to_fixed(cosine_of(rest)), s = to_fixed(sine_of(rest));
  switch (quarters % 4) {
  case 1:
    return (struct turn){-s, c};
  case 2:
    return (struct turn){-c, -s};
  case 3:
    return (struct turn){s, -c};
  default:
    return (struct turn){c, s};
  }
}

/* Sample c of pixel (y, x); black outside. */
static int32_t sample(const imgrec_tensor *image, int64_t y, int64_t x,
                      int64_t c) {
  const unsigned char *p = image->data;
  if (y < 0 || x < 0 || y >= image->shape[0] || x >= image->shape[1])
    return 0;
  return p[(y * image->shape[1] + x) * image->shape[2] + c];
}

/* The mean of the four pixels about a position, by nearness.  Shifts of what is
 * negative round down, as all compilers of this library do. */
static void bilinear(unsigned char *dst, const imgrec_tensor *image, int64_t y,
                     int64_t x) {
  const int32_t one = 1 << WEIGHT_BITS;
  int64_t y0 = y >> POSITION_BITS, x0 = x >> POSITION_BITS;
  int32_t fy = (int32_t)(y >> (POSITION_BITS - WEIGHT_BITS)) & (one - 1);
  int32_t fx = (int32_t)(x >> (POSITION_BITS - WEIGHT_BITS)) & (one - 1);
  for (int64_t c = 0; c < image->shape[2]; c++) {
    int32_t top = sample(image, y0, x0, c) * (one - fx) +
                  sample(image, y0, x0 + 1, c) * fx;
    int32_t bottom = sample(image, y0 + 1, x0, c) * (one - fx) +
                     sample(image, y0 + 1, x0 + 1, c) * fx;
    int32_t sum = top * (one - fy) + bottom * fy;
    dst[c] = (unsigned char)((sum + (1 << (2 * WEIGHT_BITS - 1))) >>
                             (2 * WEIGHT_BITS));
  }
}

/* Each pixel's place, turned back about the centre, is where it comes from.
 * Half a weight's unit is added, so that positions round to the nearest. */
static void rotate(imgrec_tensor *dst, const imgrec_tensor *image,
                   struct turn t) {
  int64_t h = image->shape[0], w = image->shape[1], c = image->shape[2];
  int64_t half = (int64_t)1 << (POSITION_BITS - WEIGHT_BITS - 1);
  int64_t cy = (h - 1) * ((int64_t)1 << TURN_BITS) + half;
  int64_t cx = (w - 1) * ((int64_t)1 << TURN_BITS) + half;
  unsigned char *p = dst->data;
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++, p += c) {
      int64_t dy = 2 * y - (h - 1), dx = 2 * x - (w - 1);
      bilinear(p, image, cy + t.sine * dx + t.cosine * dy,
               cx + t.cosine * dx - t.sine * dy);
    }
}

int imgrec_image_rotate(imgrec_tensor **out, const imgrec_tensor *image,
                        float degrees) {
  imgrec_tensor *t;
  int status = imgrec__image_like(&t, out, image, "image_rotate");
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  if (degrees - degrees == 0.0f)
    rotate(t, image, imgrec__turn(degrees));
  else
    status = imgrec__fail(&t->context->error, IMGREC_ERR_ARGUMENT,
                          "image_rotate: the angle is not a finite number");
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, status);
}
