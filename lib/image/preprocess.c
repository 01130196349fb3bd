/* SPDX-License-Identifier: MIT */
/* Turns a decoded image into the input of a network: channels, size, values. */
#include "image/image.h"

int imgrec_preprocess_init(imgrec_preprocess *preprocess, size_t struct_size) {
  const imgrec_preprocess defaults = {
      .struct_size = sizeof defaults,
      .scale = 1.0f / 255.0f,
      .std = {1.0f, 1.0f, 1.0f},
  };
  return imgrec__options_init(preprocess, struct_size, &defaults,
                              sizeof defaults);
}

/* ---- Check -------------------------------------------------------------- */

static int is_finite(float v) { return v - v == 0.0f; }

static int check_shape(struct error *e, const imgrec_preprocess *p) {
  if (p->channels != 1 && p->channels != 3)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "preprocess: channels is %d; it must be 1 or 3",
                        (int)p->channels);
  if (p->height < 1 || p->width < 1)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "preprocess: the input is %d x %d; both must be at "
                        "least 1",
                        (int)p->height, (int)p->width);
  int status = imgrec__check_size(e, "the input", p->height, p->width);
  return status < 0 ? imgrec__fail_prefix(e, status, "preprocess") : 0;
}

int imgrec__preprocess_check(struct error *e, const imgrec_preprocess *p) {
  int status = check_shape(e, p);
  if (status < 0)
    return status;
  if (p->resize < IMGREC_RESIZE_STRETCH || p->resize > IMGREC_RESIZE_PAD)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "preprocess: resize is %d, not IMGREC_RESIZE_STRETCH, "
                        "_CROP or _PAD",
                        (int)p->resize);
  if (!is_finite(p->scale))
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "preprocess: scale is not a finite number");
  for (int k = 0; k < p->channels; k++)
    if (!is_finite(p->mean[k]) || !is_finite(p->std[k]) || p->std[k] == 0.0f)
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "preprocess: mean and std of channel %d must be "
                          "finite, and std not zero",
                          k);
  return imgrec__check_reserved(e, p->reserved, "preprocess");
}

/* ---- The work ----------------------------------------------------------- */

/* src: n pixels of `from` bytes; dst: n of `to` floats, grey being repeated;
 * table: what each byte of a channel becomes.  For constants from, to. */
static inline void look_up(float *dst, const unsigned char *src, size_t n,
                           float table[3][256], const size_t from,
                           const size_t to) {
  for (size_t i = 0; i < n; i++, src += from, dst += to)
    for (size_t k = 0; k < to; k++)
      dst[k] = table[k][src[from == to ? k : 0]];
}

/* Pixels of the input's size and of `channels` that became floats. */
static void normalize(float *dst, const unsigned char *src, int channels,
                      const imgrec_preprocess *p) {
  float table[3][256];
  size_t n = (size_t)p->height * (size_t)p->width;
  for (int k = 0; k < p->channels; k++)
    for (int v = 0; v < 256; v++)
      table[k][v] = ((float)v * p->scale - p->mean[k]) / p->std[k];
  if (p->channels == 1)
    look_up(dst, src, n, table, 1, 1);
  else if (channels == 1)
    look_up(dst, src, n, table, 1, 3);
  else
    look_up(dst, src, n, table, 3, 3);
}

int imgrec__preprocess_channels(int c, const imgrec_preprocess *p) {
  return c < p->channels ? c : p->channels;
}

void imgrec__preprocess_pixels(unsigned char *dst, const struct kernels *k,
                               void *scratch, const struct pixels *src,
                               const imgrec_preprocess *p) {
  imgrec__resize(dst, p->height, p->width,
                 imgrec__preprocess_channels(src->channels, p), k, scratch, src,
                 p->resize);
}

/* The bytes are put at the end of the floats that they become: by the time one
 * of those is written, the bytes in its place have been read. */
void imgrec__preprocess(float *dst, const struct kernels *k, void *scratch,
                        const struct pixels *src, const imgrec_preprocess *p) {
  int channels = imgrec__preprocess_channels(src->channels, p);
  size_t n = (size_t)p->height * (size_t)p->width;
  if (src->height == p->height && src->width == p->width &&
      src->channels == channels) {
    normalize(dst, src->data, channels, p);
    return;
  }
  unsigned char *end = (unsigned char *)(dst + n * (size_t)p->channels);
  unsigned char *fitted = end - n * (size_t)channels;
  imgrec__preprocess_pixels(fitted, k, scratch, src, p);
  normalize(dst, fitted, channels, p);
}

static int preprocess_image(imgrec_tensor **out, const imgrec_tensor *image,
                            const imgrec_preprocess *preprocess) {
  imgrec_preprocess p = {0};
  imgrec_tensor *t = NULL;
  struct imgrec_context *ctx = image->context;
  int status = imgrec__options_read(&ctx->error, &p, sizeof p, preprocess,
                                    "imgrec_preprocess");
  if (status == 0)
    status = imgrec__preprocess_check(&ctx->error, &p);
  if (status == 0)
    status = imgrec__check_image(&ctx->error, image, "image_preprocess");
  const int64_t shape[3] = {p.height, p.width, p.channels};
  if (status == 0)
    status = imgrec__tensor_new(&t, ctx, IMGREC_F32, 3, shape);
  if (status < 0)
    return status;
  const struct pixels src = imgrec__pixels_of(image);
  imgrec__preprocess(t->data, ctx->kernels, imgrec__workspace(ctx, 0), &src,
                     &p);
  return imgrec__image_end(out, t, IMGREC_OK);
}

int imgrec_image_preprocess(imgrec_tensor **out, const imgrec_tensor *image,
                            const imgrec_preprocess *preprocess) {
  if (!image)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !preprocess)
    return imgrec__fail(&image->context->error, IMGREC_ERR_ARGUMENT,
                        "image_preprocess: there is no %s",
                        out ? "preprocess struct" : "place for the tensor");
  uint64_t fp = imgrec__fp_enter();
  int status = preprocess_image(out, image, preprocess);
  imgrec__fp_leave(fp);
  return status;
}
