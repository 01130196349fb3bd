/* SPDX-License-Identifier: MIT */
/* Maps of where a network looked, in colours over the image. */
#include "cli.h"

#include <stdlib.h>

/* From nothing to all: blue, violet, orange, yellow; after matplotlib's plasma
 * in five steps.  The last number is the share of the colour in the mixture. */
static const double ramp[][4] = {{13, 8, 135, 0.0},
                                 {126, 3, 168, 0.28},
                                 {204, 71, 120, 0.46},
                                 {248, 149, 64, 0.58},
                                 {240, 249, 33, 0.66}};

static void mix(unsigned char *rgb, double x) {
  int last = (int)(sizeof ramp / sizeof ramp[0]) - 1;
  double at = x * last;
  int i = (int)at < last ? (int)at : last - 1;
  double part = at - i, colour[4];
  for (int k = 0; k < 4; k++)
    colour[k] = ramp[i][k] * (1 - part) + ramp[i + 1][k] * part;
  /* the image in greys, so that the colours are those of the map */
  double grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  for (int k = 0; k < 3; k++)
    rgb[k] = (unsigned char)(grey * (1 - colour[3]) + colour[k] * colour[3]);
}

/* The map as an image of bytes and of the size of `view`. */
static int enlarge(imgrec_tensor **out, imgrec_context *ctx,
                   const imgrec_tensor *map, const imgrec_tensor *view) {
  int64_t shape[3] = {imgrec_tensor_dim(map, 0), imgrec_tensor_dim(map, 1), 1};
  imgrec_tensor *bytes;
  int status = imgrec_tensor_create(&bytes, ctx, IMGREC_U8, 3, shape);
  if (status < 0)
    return status;
  const float *from = imgrec_tensor_const_data(map);
  unsigned char *to = imgrec_tensor_data(bytes);
  for (int64_t i = 0; i < shape[0] * shape[1]; i++)
    to[i] = (unsigned char)(from[i] * 255.0F + 0.5F);
  status = imgrec_image_resize(out, bytes, (int)imgrec_tensor_dim(view, 0),
                               (int)imgrec_tensor_dim(view, 1),
                               IMGREC_RESIZE_STRETCH);
  imgrec_tensor_destroy(bytes);
  return status;
}

int make_overlay(imgrec_tensor **out, imgrec_context *ctx,
                 const imgrec_tensor *view, const imgrec_tensor *map) {
  imgrec_tensor *heat, *rgb;
  int status = enlarge(&heat, ctx, map, view);
  if (status < 0)
    return status;
  status = imgrec_image_convert(&rgb, view, 3);
  if (status >= 0) {
    const unsigned char *x = imgrec_tensor_const_data(heat);
    unsigned char *pixel = imgrec_tensor_data(rgb);
    for (size_t i = 0; i < imgrec_tensor_nbytes(heat); i++)
      mix(pixel + 3 * i, x[i] / 255.0);
    *out = rgb;
  }
  imgrec_tensor_destroy(heat);
  return status;
}

int make_view(imgrec_tensor **out, const imgrec_model *model,
              const imgrec_tensor *image, int side) {
  imgrec_preprocess p;
  imgrec_preprocess_init(&p, sizeof p);
  imgrec_model_get_preprocess(model, &p);
  int longest = p.height > p.width ? p.height : p.width;
  int times = longest < side ? (side + longest - 1) / longest : 1;
  return imgrec_image_resize(out, image, p.height * times, p.width * times,
                             p.resize);
}
