/* SPDX-License-Identifier: MIT */
/* Data sets as a caller sees them: open them, make them, look at them. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

int imgrec_dataset_options_init(imgrec_dataset_options *options,
                                size_t struct_size) {
  const imgrec_dataset_options defaults = {.struct_size = sizeof defaults};
  return imgrec__options_init(options, struct_size, &defaults, sizeof defaults);
}

static int fail_null(struct imgrec_context *ctx, const char *call,
                     const char *argument) {
  return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT, "%s: `%s` is NULL",
                      call, argument);
}

/* ---- Making ------------------------------------------------------------- */

void imgrec_dataset_destroy(imgrec_dataset *dataset) {
  if (dataset == NULL)
    return;
  struct imgrec_context *ctx = dataset->context;
  struct allocator *a = &ctx->allocator;
  imgrec__free(a, dataset->source);
  imgrec__free(a, dataset->description);
  imgrec__free(a, dataset->renumbered);
  imgrec__strings_free(&dataset->labels);
  imgrec__free(a, dataset->items);
  imgrec__store_release(dataset->store);
  imgrec__free(a, dataset);
  imgrec__context_release(ctx);
}

/* The longest name, '#', a number and the NUL. */
static size_t source_size(const struct store *s) {
  size_t longest = 0;
  for (size_t i = 0; i < s->names.count; i++)
    longest = max_size(longest, strlen(imgrec__strings_get(&s->names, i)));
  return longest + 24;
}

int imgrec__dataset_new(struct imgrec_dataset **out, struct store *s,
                        int64_t count, const struct strings *labels) {
  struct imgrec_context *ctx = s->context;
  struct allocator *a = &ctx->allocator;
  struct imgrec_dataset *d = imgrec__alloc_zero(a, sizeof *d);
  if (d == NULL)
    return imgrec__fail_memory(&ctx->error, a, "a data set");
  d->context = ctx;
  d->store = s;
  d->count = count;
  imgrec__context_retain(ctx);
  imgrec__store_retain(s);
  imgrec__strings_init(&d->labels, a);
  d->source_size = source_size(s);
  d->items = imgrec__alloc_array(a, (size_t)count, sizeof *d->items);
  d->source = imgrec__alloc(a, d->source_size);
  imgrec__strings_copy(&d->labels, labels);
  if (d->items == NULL || d->source == NULL ||
      imgrec__strings_failed(&d->labels)) {
    int status = imgrec__fail_memory(&ctx->error, a, "a data set");
    imgrec_dataset_destroy(d);
    return status;
  }
  *out = d;
  return IMGREC_OK;
}

/* A data set of all that the store has; takes over the caller's reference,
 * also on failure. */
static int dataset_of_store(struct imgrec_dataset **out, struct store *s) {
  struct imgrec_dataset *d;
  int status = imgrec__dataset_new(&d, s, s->count, &s->classes);
  imgrec__store_release(s);
  if (status < 0)
    return status;
  for (int64_t i = 0; i < d->count; i++)
    d->items[i] = i;
  status = imgrec__dataset_describe(d);
  if (status < 0) {
    imgrec_dataset_destroy(d);
    return status;
  }
  *out = d;
  return IMGREC_OK;
}

static int read_options(struct imgrec_context *ctx, imgrec_dataset_options *o,
                        const imgrec_dataset_options *theirs) {
  int status = imgrec__options_read(&ctx->error, o, sizeof *o, theirs,
                                    "imgrec_dataset_options");
  if (status < 0)
    return status;
  if (o->part < IMGREC_PART_ANY || o->part > IMGREC_PART_TEST)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_options: part is %d, not one of "
                        "IMGREC_PART_*",
                        (int)o->part);
  if (o->reserved != 0)
    return imgrec__fail(&ctx->error, IMGREC_ERR_UNSUPPORTED,
                        "imgrec_dataset_options: reserved is not 0");
  return IMGREC_OK;
}

int imgrec_dataset_open(imgrec_dataset **out, imgrec_context *ctx,
                        const char *path,
                        const imgrec_dataset_options *options) {
  imgrec_dataset_options o = {.struct_size = sizeof o};
  struct store *s;
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || path == NULL)
    return fail_null(ctx, "imgrec_dataset_open", out == NULL ? "out" : "path");
  int status = read_options(ctx, &o, options);
  if (status == IMGREC_OK)
    status = imgrec__store_create(&s, ctx);
  if (status < 0)
    return status;
  status = imgrec__read_any(s, path, o.part);
  if (status < 0) {
    imgrec__store_release(s);
    return status;
  }
  return dataset_of_store(out, s);
}

/* ---- From memory -------------------------------------------------------- */

static int check_images(struct error *e, const imgrec_tensor *images) {
  const int64_t *n = images->shape;
  if (images->dtype != IMGREC_U8 || images->ndim != 4 ||
      (n[3] != 1 && n[3] != 3))
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "imgrec_dataset_from_memory: `images` must be a u8 "
                        "tensor of N x height x width x 1 or 3");
  int status = imgrec__check_size(e, "`images`", n[1], n[2]);
  return status < 0
             ? imgrec__fail_prefix(e, status, "imgrec_dataset_from_memory")
             : IMGREC_OK;
}

static int check_labels(struct error *e, const imgrec_tensor *labels,
                        int64_t count, int classes) {
  if (labels->dtype != IMGREC_I32 || labels->ndim != 1 ||
      labels->shape[0] != count)
    return imgrec__fail(e, IMGREC_ERR_SHAPE,
                        "imgrec_dataset_from_memory: `labels` must be an i32 "
                        "tensor of the %lld images",
                        (long long)count);
  if (classes < 1 || classes > IMGREC__CLASSES_MAX)
    return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_from_memory: %d classes; there must "
                        "be 1 to %d",
                        classes, IMGREC__CLASSES_MAX);
  const int32_t *label = labels->data;
  for (int64_t i = 0; i < count; i++)
    if (label[i] < 0 || label[i] >= classes)
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "imgrec_dataset_from_memory: label %lld is %d; it "
                          "must be in 0 to %d",
                          (long long)i, (int)label[i], classes - 1);
  return IMGREC_OK;
}

static int fill_store(struct store *s, const imgrec_tensor *images,
                      const imgrec_tensor *labels, int classes) {
  struct allocator *a = &s->context->allocator;
  s->format = "memory";
  s->count = images->shape[0];
  s->size =
      (struct image_size){(int32_t)images->shape[1], (int32_t)images->shape[2],
                          (int32_t)images->shape[3]};
  s->block = imgrec__alloc(a, images->nbytes);
  s->labels = imgrec__alloc(a, labels->nbytes);
  s->firsts = imgrec__alloc_zero(a, sizeof *s->firsts);
  imgrec__strings_add(&s->names, s->format, strlen(s->format));
  if (s->block == NULL || s->labels == NULL || s->firsts == NULL ||
      imgrec__strings_failed(&s->names))
    return imgrec__fail_memory(&s->context->error, a, "a copy of the images");
  s->pixels = s->block;
  memcpy(s->block, images->data, images->nbytes);
  memcpy(s->labels, labels->data, labels->nbytes);
  return imgrec__store_name_numbers(s, classes);
}

int imgrec_dataset_from_memory(imgrec_dataset **out, imgrec_context *ctx,
                               const imgrec_tensor *images,
                               const imgrec_tensor *labels, int classes) {
  struct store *s;
  if (ctx == NULL)
    return IMGREC_ERR_ARGUMENT;
  if (out == NULL || images == NULL || labels == NULL)
    return fail_null(ctx, "imgrec_dataset_from_memory",
                     out == NULL      ? "out"
                     : images == NULL ? "images"
                                      : "labels");
  int status = check_images(&ctx->error, images);
  if (status == IMGREC_OK)
    status = check_labels(&ctx->error, labels, images->shape[0], classes);
  if (status == IMGREC_OK)
    status = imgrec__store_create(&s, ctx);
  if (status < 0)
    return status;
  status = fill_store(s, images, labels, classes);
  if (status < 0) {
    imgrec__store_release(s);
    return status;
  }
  return dataset_of_store(out, s);
}

/* ---- Looking at it ------------------------------------------------------ */

int32_t imgrec__dataset_label(const struct imgrec_dataset *d, int64_t index) {
  int32_t label = d->store->labels[d->items[index]];
  return d->renumbered != NULL ? d->renumbered[label] : label;
}

static int has_image(const struct imgrec_dataset *d, int64_t index) {
  return index >= 0 && index < d->count;
}

int64_t imgrec_dataset_size(const imgrec_dataset *dataset) {
  return dataset->count;
}

int imgrec_dataset_classes(const imgrec_dataset *dataset) {
  return (int)dataset->labels.count;
}

const char *imgrec_dataset_label(const imgrec_dataset *dataset,
                                 int class_index) {
  if (class_index < 0 || (size_t)class_index >= dataset->labels.count)
    return "";
  return imgrec__strings_get(&dataset->labels, (size_t)class_index);
}

int imgrec_dataset_class(const imgrec_dataset *dataset, int64_t index) {
  return has_image(dataset, index) ? imgrec__dataset_label(dataset, index) : -1;
}

/* The name of a packed file, and the image's place in it. */
static void packed_source(char *out, size_t size, const struct store *s,
                          int64_t item) {
  size_t file = s->names.count - 1;
  while (s->firsts[file] > item)
    file--;
  snprintf(out, size, "%s#%lld", imgrec__strings_get(&s->names, file),
           (long long)(item - s->firsts[file]));
}

int imgrec_dataset_readable(const imgrec_dataset *dataset, int64_t index) {
  const unsigned char *bad = dataset->store->bad;
  return has_image(dataset, index) &&
         (bad == NULL || !bad[dataset->items[index]]);
}

const char *imgrec_dataset_source(imgrec_dataset *dataset, int64_t index) {
  const struct store *s = dataset->store;
  if (!has_image(dataset, index))
    return "";
  int64_t item = dataset->items[index];
  if (s->pixels == NULL)
    return imgrec__strings_get(&s->names, (size_t)item);
  packed_source(dataset->source, dataset->source_size, s, item);
  return dataset->source;
}

static int packed_image(imgrec_tensor **out, const struct store *s,
                        int64_t item) {
  int status = imgrec__image_new(out, s->context, s->size.height, s->size.width,
                                 s->size.channels);
  if (status == IMGREC_OK)
    memcpy((*out)->data, imgrec__store_pixels(s, item), (*out)->nbytes);
  return status;
}

int imgrec_dataset_image(imgrec_tensor **out, imgrec_dataset *dataset,
                         int64_t index) {
  if (dataset == NULL)
    return IMGREC_ERR_ARGUMENT;
  struct imgrec_context *ctx = dataset->context;
  const struct store *s = dataset->store;
  if (out == NULL)
    return fail_null(ctx, "imgrec_dataset_image", "out");
  if (!has_image(dataset, index))
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "imgrec_dataset_image: index is %lld; the data set has "
                        "%lld images",
                        (long long)index, (long long)dataset->count);
  int64_t item = dataset->items[index];
  if (s->pixels != NULL)
    return packed_image(out, s, item);
  return imgrec_image_load(out, ctx,
                           imgrec__strings_get(&s->names, (size_t)item), 0);
}

void imgrec_dataset_shape(const imgrec_dataset *dataset, int64_t shape[3]) {
  memcpy(shape, dataset->shape, sizeof dataset->shape);
}

const char *imgrec_dataset_description(const imgrec_dataset *d) {
  return d->description;
}

int imgrec_dataset_skipped(const imgrec_dataset *dataset) {
  return (int)dataset->store->skipped_count;
}

const char *imgrec_dataset_skipped_reason(const imgrec_dataset *d, int index) {
  const struct store *s = d->store;
  return index >= 0 && (size_t)index < s->skipped_count ? s->skipped[index]
                                                        : "";
}
