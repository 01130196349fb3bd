/* SPDX-License-Identifier: MIT */
/* CIFAR-10 and CIFAR-100 in their binary version.
 *
 * A record is the label (CIFAR-100: the coarse and the fine one), then 32 x 32
 * bytes of red, of green and of blue. */
#include "data/data.h"

#include <assert.h>
#include <string.h>

#define SIDE   32
#define PLANE  ((size_t)SIDE * SIDE)
#define PIXELS (3 * PLANE)

struct kind {
  const char *format, *meta;
  size_t labels; /* bytes in front of the pixels; the last one counts */
  int classes, coarse;
};

static const struct kind kinds[] = {
    {"CIFAR-10", "batches.meta.txt", 1, 10, 0},
    {"CIFAR-100", "fine_label_names.txt", 2, 100, 20},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

/* ---- The bytes ---------------------------------------------------------- */

/* The first record whose labels are none of this kind, or the count. */
static size_t check_labels(const struct kind *k, const struct blob *b) {
  size_t record = k->labels + PIXELS, n = b->size / record;
  for (size_t i = 0; i < n; i++) {
    const unsigned char *labels = b->bytes + i * record;
    if (labels[k->labels - 1] >= k->classes ||
        (k->coarse > 0 && labels[0] >= k->coarse))
      return i;
  }
  return n;
}

/* By the size of a record; by the labels where both divide. */
static int find_kind(const struct kind **out, struct error *e, const char *path,
                     const struct blob *b) {
  size_t wrong = 0;
  const struct kind *fits = NULL;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    const struct kind *k = &kinds[i];
    size_t record = k->labels + PIXELS;
    if (b->size == 0 || b->size % record != 0)
      continue;
    size_t good = check_labels(k, b);
    if (good == b->size / record) {
      *out = k;
      return IMGREC_OK;
    }
    if (fits == NULL || good > wrong) {
      fits = k;
      wrong = good;
    }
  }
  if (fits == NULL)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' has %zu bytes, which are no whole records of "
                        "CIFAR-10 (3073 bytes) or CIFAR-100 (3074)",
                        path, b->size);
  return imgrec__fail(e, IMGREC_ERR_FORMAT,
                      "'%s': record %zu has a label beyond the %d classes of "
                      "%s",
                      path, wrong, fits->classes, fits->format);
}

int imgrec__cifar_reserve(struct store *s, uint64_t bytes, size_t files) {
  struct imgrec_context *ctx = s->context;
  size_t records = (size_t)(bytes / (1 + PIXELS));
  s->block = imgrec__alloc_array(&ctx->allocator, records, PIXELS);
  s->labels = imgrec__alloc_array(&ctx->allocator, records, sizeof *s->labels);
  s->firsts = imgrec__alloc_array(&ctx->allocator, files, sizeof *s->firsts);
  if (s->block == NULL || s->labels == NULL || s->firsts == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator,
                               "the images of CIFAR");
  s->pixels = s->block;
  s->capacity = records;
  s->size = (struct image_size){SIDE, SIDE, 3};
  return IMGREC_OK;
}

/* dst: 32 x 32 x 3, src: 3 x 32 x 32. */
static void interleave(unsigned char *dst, const unsigned char *src) {
  for (size_t i = 0; i < PLANE; i++, dst += 3, src++) {
    dst[0] = src[0];
    dst[1] = src[PLANE];
    dst[2] = src[2 * PLANE];
  }
}

int imgrec__cifar_append(struct store *s, const char *path,
                         const struct blob *b) {
  struct error *e = &s->context->error;
  const struct kind *k = NULL;
  int status = find_kind(&k, e, path, b);
  if (status < 0)
    return status;
  size_t record = k->labels + PIXELS, n = b->size / record;
  if (s->format != NULL && s->format != k->format)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' is %s, but a file before it %s", path, k->format,
                        s->format);
  if (n > s->capacity - (size_t)s->count)
    return imgrec__fail(e, IMGREC_ERR_FORMAT, "'%s' grew while it was read",
                        path);
  size_t file = s->names.count;
  imgrec__strings_add(&s->names, path, strlen(path));
  if (imgrec__strings_failed(&s->names))
    return imgrec__fail_memory(e, &s->context->allocator, "a path");
  s->format = k->format;
  s->firsts[file] = s->count;
  for (size_t i = 0; i < n; i++, s->count++) {
    const unsigned char *from = b->bytes + i * record + k->labels;
    s->labels[s->count] = from[-1];
    interleave(s->pixels + (size_t)s->count * PIXELS, from);
  }
  return IMGREC_OK;
}

/* ---- The files ---------------------------------------------------------- */

static const struct {
  const char *name;
  int part;
} file_names[] = {
    {"data_batch_1.bin", IMGREC_PART_TRAIN},
    {"data_batch_2.bin", IMGREC_PART_TRAIN},
    {"data_batch_3.bin", IMGREC_PART_TRAIN},
    {"data_batch_4.bin", IMGREC_PART_TRAIN},
    {"data_batch_5.bin", IMGREC_PART_TRAIN},
    {"test_batch.bin", IMGREC_PART_TEST},
    {"train.bin", IMGREC_PART_TRAIN},
    {"test.bin", IMGREC_PART_TEST},
};
#define FILE_COUNT (sizeof file_names / sizeof file_names[0])

/* Adds the paths of a part's files that are there, and their bytes. */
static uint64_t find_files(struct strings *out, struct imgrec_context *ctx,
                           const char *folder, int part) {
  uint64_t bytes = 0;
  struct text path;
  struct file_info info;
  imgrec__text_init(&path, &ctx->allocator);
  for (size_t i = 0; i < FILE_COUNT; i++) {
    if (file_names[i].part != part)
      continue;
    imgrec__join(&path, folder, file_names[i].name);
    if (path.failed || imgrec__read_info(ctx, path.data, &info) != 0 ||
        info.kind != FILE_REGULAR)
      continue;
    imgrec__strings_add(out, path.data, path.length);
    bytes += info.size;
  }
  out->bytes.failed |= path.failed;
  imgrec__text_free(&path);
  return bytes;
}

int imgrec__cifar_parts(struct imgrec_context *ctx, const char *folder) {
  int parts = 0, failed = 0;
  for (int part = IMGREC_PART_TRAIN; part <= IMGREC_PART_TEST; part++) {
    struct strings files;
    imgrec__strings_init(&files, &ctx->allocator);
    find_files(&files, ctx, folder, part);
    if (files.count > 0)
      parts |= PART_BIT(part);
    failed |= imgrec__strings_failed(&files);
    imgrec__strings_free(&files);
  }
  if (failed)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  return parts;
}

static int name_classes(struct store *s, const char *folder) {
  const struct kind *k = kinds;
  while (k->format != s->format)
    k++;
  int status = imgrec__store_name_file(s, folder, k->meta);
  if (status == 0)
    status = imgrec__store_name_numbers(s, k->classes);
  if (status < 0 || s->classes.count == (size_t)k->classes)
    return status < 0 ? status : IMGREC_OK;
  return imgrec__fail(&s->context->error, IMGREC_ERR_FORMAT,
                      "'%s' beside the images has %zu names; %s has %d classes",
                      k->meta, s->classes.count, k->format, k->classes);
}

static int read_file(struct store *s, const char *path) {
  struct imgrec_context *ctx = s->context;
  struct blob b;
  int status =
      imgrec__read_file(&b, ctx, &ctx->error, path, IMGREC__PACKED_MAX);
  if (status < 0)
    return status;
  status = imgrec__cifar_append(s, path, &b);
  imgrec__blob_free(&b, &ctx->allocator);
  return status;
}

static int read_all(struct store *s, const struct strings *files,
                    uint64_t bytes) {
  struct imgrec_context *ctx = s->context;
  if (imgrec__strings_failed(files))
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  if (bytes > IMGREC__PACKED_MAX)
    return imgrec__fail(&ctx->error, IMGREC_ERR_LIMIT,
                        "the files of CIFAR have %llu bytes; at most %llu are "
                        "read",
                        (unsigned long long)bytes,
                        (unsigned long long)IMGREC__PACKED_MAX);
  int status = imgrec__cifar_reserve(s, bytes, files->count);
  for (size_t i = 0; status == IMGREC_OK && i < files->count; i++)
    status = read_file(s, imgrec__strings_get(files, i));
  return status;
}

/* The files of a part in a folder, or with IMGREC_PART_ANY the one file. */
static int read_part(struct store *s, const char *path, int part) {
  struct imgrec_context *ctx = s->context;
  uint64_t bytes = 0;
  struct strings files;
  struct file_info info;
  imgrec__strings_init(&files, &ctx->allocator);
  if (part != IMGREC_PART_ANY) {
    bytes = find_files(&files, ctx, path, part);
  } else {
    imgrec__strings_add(&files, path, strlen(path));
    bytes = imgrec__read_info(ctx, path, &info) == 0 ? info.size : 0;
  }
  int status = read_all(s, &files, bytes);
  imgrec__strings_free(&files);
  return status;
}

int imgrec__read_cifar(struct store *s, const char *path, int part) {
  struct imgrec_context *ctx = s->context;
  int parts = imgrec__cifar_parts(ctx, path);
  if (parts < 0)
    return parts;
  int status = imgrec__part_choose(&ctx->error, path, parts, part, &part);
  if (status == IMGREC_OK)
    status = read_part(s, path, part);
  if (status < 0)
    return status;
  size_t n = parts != 0 ? strlen(path) : imgrec__folder_length(path);
  char *folder = imgrec__strndup(&ctx->allocator, path, n);
  if (folder == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  status = name_classes(s, folder);
  imgrec__free(&ctx->allocator, folder);
  return status;
}
