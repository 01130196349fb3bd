/* SPDX-License-Identifier: MIT */
/* One image augmented: moved by one resampling, then its values changed. */
#include <string.h>

#include "image/image.h"

/* ---- Stage: from what the pixels are taken ------------------------------ */

/* *owned is what to free; *out may be the image itself. */
static int make_stage(struct pixels *out, unsigned char **owned,
                      const struct kernels *k, void *scratch,
                      struct allocator *a, struct error *e,
                      const struct pixels *image,
                      const imgrec_preprocess *stage) {
  int channels = imgrec__preprocess_channels(image->channels, stage);
  *out = *image;
  if (image->height == stage->height && image->width == stage->width &&
      image->channels == channels)
    return IMGREC_OK;
  size_t n = (size_t)stage->height * (size_t)stage->width * (size_t)channels;
  if (!(*owned = imgrec__alloc(a, n)))
    return imgrec__fail_memory(e, a, "the resized image");
  *out = (struct pixels){*owned, stage->height, stage->width, channels};
  imgrec__preprocess_pixels(*owned, k, scratch, image, stage);
  return IMGREC_OK;
}

/* ---- Values ------------------------------------------------------------- */

/* Part of a side of n that a hole covers about its middle. */
static void hole_range(int range[2], double middle, int size, int n) {
  int first = (int)(middle * n) - size / 2;
  range[0] = first < 0 ? 0 : first;
  range[1] = first + size > n ? n : first + size;
}

static void mean_colour(unsigned char mean[3], const struct pixels *p) {
  size_t n = (size_t)p->height * (size_t)p->width, c = (size_t)p->channels;
  uint64_t sum[3] = {0};
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < c; k++)
      sum[k] += p->data[i * c + k];
  for (size_t k = 0; k < c; k++)
    mean[k] = (unsigned char)((sum[k] + n / 2) / n);
}

static void cut_out(struct pixels *p, const struct recipe *r, float fraction) {
  int shorter = p->height < p->width ? p->height : p->width;
  int size = (int)(fraction * (float)shorter + 0.5f), rows[2], columns[2];
  size_t c = (size_t)p->channels;
  unsigned char mean[3];
  mean_colour(mean, p);
  hole_range(rows, r->hole[0], size, p->height);
  hole_range(columns, r->hole[1], size, p->width);
  for (int y = rows[0]; y < rows[1]; y++)
    for (int x = columns[0]; x < columns[1]; x++)
      memcpy(p->data + ((size_t)y * (size_t)p->width + (size_t)x) * c, mean, c);
}

static int blur(struct pixels *p, float sigma, struct allocator *a,
                struct error *e) {
  size_t n = (size_t)p->height * (size_t)p->width * (size_t)p->channels;
  unsigned char *copy = imgrec__alloc(a, n);
  if (!copy)
    return imgrec__fail_memory(e, a, "a blur");
  memcpy(copy, p->data, n);
  const struct pixels src = {copy, p->height, p->width, p->channels};
  int status = imgrec__blur(p->data, &src, sigma, a, e);
  imgrec__free(a, copy);
  return status;
}

/* A Gaussian of less reaches no other pixel (adjust.c cuts it at 3 sigma). */
#define LEAST_SIGMA 0.34f

static int change_values(struct pixels *p, const struct recipe *r,
                         const imgrec_augment *o, struct allocator *a,
                         struct error *e) {
  imgrec__augment_colour(p, r);
  int status = imgrec__augment_tones(p, r, a, e);
  if (status == IMGREC_OK && r->blur >= LEAST_SIGMA)
    status = blur(p, r->blur, a, e);
  if (status < 0)
    return status;
  if (r->noise > 0.0f)
    imgrec__augment_noise(p, r);
  if (r->jpeg > 0.0f)
    imgrec__requantize(p, r->jpeg);
  if (o->cutout > 0.0f)
    cut_out(p, r, o->cutout);
  return IMGREC_OK;
}

/* ---- The whole ---------------------------------------------------------- */

int imgrec__augment(unsigned char *dst, const struct kernels *k, void *scratch,
                    struct allocator *alloc, struct error *e,
                    const struct pixels *src, const int original[2],
                    const imgrec_preprocess *p, const imgrec_augment *a,
                    const struct augment_key *key) {
  imgrec_preprocess stage;
  struct pixels from, made;
  struct recipe recipe;
  struct warp warp;
  unsigned char *owned = NULL;
  imgrec__augment_stage(&stage, p, a, original[0], original[1]);
  int status = make_stage(&from, &owned, k, scratch, alloc, e, src, &stage);
  if (status == IMGREC_OK) {
    const int fitted[2] = {p->height, p->width};
    int resamples = imgrec__augment_resamples(a);
    int pads = resamples && p->resize == IMGREC_RESIZE_PAD;
    made = (struct pixels){dst, p->height, p->width, from.channels};
    imgrec__augment_recipe(&recipe, a, key);
    imgrec__augment_view(&warp, &recipe, p, &from,
                         resamples ? original : fitted);
    imgrec__warp(dst, p->height, p->width, &from, &warp,
                 pads ? IMGREC_FILL_BLACK : a->fill);
    status = change_values(&made, &recipe, a, alloc, e);
  }
  imgrec__free(alloc, owned);
  return status;
}

/* ---- Public ------------------------------------------------------------- */

static int read_preprocess(imgrec_preprocess *p, const imgrec_tensor *image,
                           const imgrec_preprocess *theirs) {
  struct error *e = &image->context->error;
  imgrec_preprocess_init(p, sizeof *p);
  p->height = (int32_t)image->shape[0];
  p->width = (int32_t)image->shape[1];
  p->channels = (int32_t)image->shape[2];
  int status =
      imgrec__options_read(e, p, sizeof *p, theirs, "imgrec_preprocess");
  return status < 0 ? status : imgrec__preprocess_check(e, p);
}

static int check_key(struct error *e, const struct augment_key *key) {
  if (key->epoch >> 32 == 0 && key->index >> 55 == 0)
    return IMGREC_OK;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "image_augment: epoch must be below 2^32 and index below "
                      "2^55");
}

static int augment_image(imgrec_tensor **out, const imgrec_tensor *image,
                         const imgrec_preprocess *preprocess,
                         const imgrec_augment *augment,
                         const struct augment_key *key) {
  imgrec_preprocess p;
  imgrec_augment a;
  imgrec_tensor *t;
  struct imgrec_context *ctx = image->context;
  int status = imgrec__check_image(&ctx->error, image, "image_augment");
  if (status < 0 || (status = read_preprocess(&p, image, preprocess)) < 0 ||
      (status = imgrec__augment_read(&a, &ctx->error, augment)) < 0 ||
      (status = check_key(&ctx->error, key)) < 0)
    return status;
  const int size[2] = {(int)image->shape[0], (int)image->shape[1]};
  const struct pixels src = imgrec__pixels_of(image);
  status =
      imgrec__image_begin(&t, out, image, "image_augment", p.height, p.width,
                          imgrec__preprocess_channels(src.channels, &p));
  if (status < 0)
    return status;
  status =
      imgrec__augment(t->data, ctx->kernels, imgrec__workspace(ctx, 0),
                      &ctx->allocator, &ctx->error, &src, size, &p, &a, key);
  return imgrec__image_end(out, t, status);
}

int imgrec_image_augment(imgrec_tensor **out, const imgrec_tensor *image,
                         const imgrec_preprocess *preprocess,
                         const imgrec_augment *augment, uint64_t seed,
                         uint64_t epoch, uint64_t index) {
  const struct augment_key key = {seed, epoch, index};
  if (!image)
    return IMGREC_ERR_ARGUMENT;
  uint64_t fp = imgrec__fp_enter();
  int status = augment_image(out, image, preprocess, augment, &key);
  imgrec__fp_leave(fp);
  return status;
}
