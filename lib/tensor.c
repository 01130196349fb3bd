/* SPDX-License-Identifier: MIT */
/* Dense row-major tensors, and the limits of images. */
#include "tensor.h"

#include <stdio.h>
#include <string.h>

/* Bytes an element; 0 for what is no dtype. */
static size_t element_size(int dtype) {
  switch (dtype) {
  case IMGREC_F32:
  case IMGREC_I32:
    return 4;
  case IMGREC_U8:
    return 1;
  default:
    return 0;
  }
}

static const char *dtype_name(int dtype) {
  return dtype == IMGREC_F32 ? "f32" : dtype == IMGREC_U8 ? "u8" : "i32";
}

/* Checks all that describes a tensor, and says its bytes. */
static int check_shape(struct error *e, int dtype, int ndim,
                       const int64_t *shape, size_t *nbytes) {
  size_t n = element_size(dtype);
  if (n == 0)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "tensor: dtype is %d, not IMGREC_F32, IMGREC_U8 or "
                        "IMGREC_I32",
                        dtype);
  if (ndim < 1 || ndim > 4 || shape == NULL)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "tensor: a shape has 1 to 4 sizes, not %d",
                        shape == NULL ? 0 : ndim);
  for (int i = 0; i < ndim; i++) {
    if (shape[i] < 1)
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "tensor: size %d of the shape is %lld; it must be at "
                          "least 1",
                          i, (long long)shape[i]);
    if ((uint64_t)shape[i] > (uint64_t)PTRDIFF_MAX / n)
      return imgrec__fail(e, IMGREC_ERR_LIMIT,
                          "tensor: the shape has more bytes than memory has "
                          "addresses");
    n *= (size_t)shape[i];
  }
  *nbytes = n;
  return IMGREC_OK;
}

/* Everything but the data. */
static int new_header(struct imgrec_tensor **out, struct imgrec_context *ctx,
                      int dtype, int ndim, const int64_t *shape) {
  size_t nbytes = 0;
  int status = check_shape(&ctx->error, dtype, ndim, shape, &nbytes);
  if (status < 0)
    return status;
  struct imgrec_tensor *t = imgrec__alloc_zero(&ctx->allocator, sizeof *t);
  if (t == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a tensor");
  t->context = ctx;
  t->dtype = dtype;
  t->ndim = ndim;
  t->nbytes = nbytes;
  for (int i = 0; i < 4; i++)
    t->shape[i] = i < ndim ? shape[i] : 1;
  imgrec__context_retain(ctx);
  *out = t;
  return IMGREC_OK;
}

int imgrec__tensor_new(struct imgrec_tensor **out, struct imgrec_context *ctx,
                       int dtype, int ndim, const int64_t *shape) {
  struct imgrec_tensor *t = NULL;
  int status = new_header(&t, ctx, dtype, ndim, shape);
  if (status < 0)
    return status;
  t->owned = 1;
  t->data = imgrec__alloc(&ctx->allocator, t->nbytes);
  if (t->data == NULL) {
    char what[64];
    snprintf(what, sizeof what, "a tensor of %zu bytes", t->nbytes);
    status = imgrec__fail_memory(&ctx->error, &ctx->allocator, what);
    imgrec_tensor_destroy(t);
    return status;
  }
  *out = t;
  return IMGREC_OK;
}

int imgrec_tensor_create(imgrec_tensor **out, imgrec_context *ctx, int dtype,
                         int ndim, const int64_t *shape) {
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_tensor_create: `out` is NULL");
  struct imgrec_tensor *t = NULL;
  int status = imgrec__tensor_new(&t, ctx, dtype, ndim, shape);
  if (status < 0)
    return status;
  memset(t->data, 0, t->nbytes);
  *out = t;
  return IMGREC_OK;
}

int imgrec_tensor_wrap(imgrec_tensor **out, imgrec_context *ctx, int dtype,
                       int ndim, const int64_t *shape, void *data) {
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || data == NULL)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_tensor_wrap: `%s` is NULL",
                        out == NULL ? "out" : "data");
  size_t size = element_size(dtype);
  if (size != 0 && (uintptr_t)data % size != 0)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_tensor_wrap: `data` is not aligned to the %zu "
                        "bytes of an element",
                        size);
  struct imgrec_tensor *t = NULL;
  int status = new_header(&t, ctx, dtype, ndim, shape);
  if (status < 0)
    return status;
  t->data = data;
  *out = t;
  return IMGREC_OK;
}

void imgrec_tensor_destroy(imgrec_tensor *tensor) {
  if (tensor == NULL)
    return;
  struct imgrec_context *ctx = tensor->context;
  if (tensor->owned)
    imgrec__free(&ctx->allocator, tensor->data);
  imgrec__free(&ctx->allocator, tensor);
  imgrec__context_release(ctx);
}

int imgrec_tensor_dtype(const imgrec_tensor *tensor) { return tensor->dtype; }

int imgrec_tensor_ndim(const imgrec_tensor *tensor) { return tensor->ndim; }

int64_t imgrec_tensor_dim(const imgrec_tensor *tensor, int axis) {
  if (axis < 0)
    return 0;
  return axis < tensor->ndim ? tensor->shape[axis] : 1;
}

size_t imgrec_tensor_nbytes(const imgrec_tensor *tensor) {
  return tensor->nbytes;
}

void *imgrec_tensor_data(imgrec_tensor *tensor) { return tensor->data; }

const void *imgrec_tensor_const_data(const imgrec_tensor *tensor) {
  return tensor->data;
}

/* "2 x 3 x 4" */
static void shape_text(const struct imgrec_tensor *t, char text[96]) {
  size_t n = 0;
  for (int i = 0; i < t->ndim; i++)
    n += (size_t)snprintf(text + n, 96 - n, "%s%lld", i == 0 ? "" : " x ",
                          (long long)t->shape[i]);
}

int imgrec__check_image(struct error *e, const struct imgrec_tensor *image,
                        const char *what) {
  const int64_t *s = image->shape;
  if (image->dtype != IMGREC_U8 || image->ndim != 3 ||
      (s[2] != 1 && s[2] != 3)) {
    char text[96];
    shape_text(image, text);
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "%s: the image is a %s tensor of %s; it must be u8, "
                        "height x width x 1 or 3",
                        what, dtype_name(image->dtype), text);
  }
  if (s[0] > IMGREC_IMAGE_MAX_SIDE || s[1] > IMGREC_IMAGE_MAX_SIDE ||
      s[0] * s[1] > IMGREC_IMAGE_MAX_PIXELS)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "%s: an image of %lld x %lld is beyond the limit of %d "
                        "a side and %d pixels",
                        what, (long long)s[0], (long long)s[1],
                        IMGREC_IMAGE_MAX_SIDE, IMGREC_IMAGE_MAX_PIXELS);
  return IMGREC_OK;
}

int imgrec__image_new(struct imgrec_tensor **out, struct imgrec_context *ctx,
                      int64_t height, int64_t width, int channels) {
  if (height < 1 || width < 1 || (channels != 1 && channels != 3))
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "image: %lld x %lld x %d is none; sides are at least "
                        "1, channels 1 or 3",
                        (long long)height, (long long)width, channels);
  if (height > IMGREC_IMAGE_MAX_SIDE || width > IMGREC_IMAGE_MAX_SIDE ||
      height * width > IMGREC_IMAGE_MAX_PIXELS)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "image: %lld x %lld is beyond the limit of %d a side "
                        "and %d pixels",
                        (long long)height, (long long)width,
                        IMGREC_IMAGE_MAX_SIDE, IMGREC_IMAGE_MAX_PIXELS);
  int64_t shape[3] = {height, width, channels};
  return imgrec__tensor_new(out, ctx, IMGREC_U8, 3, shape);
}
