/* SPDX-License-Identifier: MIT */
/* IDX, the format of MNIST: big-endian sizes, then bytes.
 *
 * Images: 00 00 08 03, N, H, W, then N x H x W bytes (or 04, N, H, W, C).
 * Labels: 00 00 08 01, N, then N bytes. */
#include "data/data.h"

#include <string.h>

/* ---- The bytes ---------------------------------------------------------- */

struct idx {
  const unsigned char *data;
  size_t ndim, dims[4], total;
};

static size_t big_endian(const unsigned char *p) {
  return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static int fail_magic(struct error *e, const char *path, const struct blob *b) {
  if (b->size >= 4 && b->bytes[0] == 0 && b->bytes[1] == 0 && b->bytes[2] > 8 &&
      b->bytes[2] <= 14)
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "'%s': an IDX file of element type 0x%02x; only bytes "
                        "(0x08) are read",
                        path, b->bytes[2]);
  return imgrec__fail(e, IMGREC_ERR_FORMAT,
                      "'%s' is no IDX file of bytes in 1, 3 or 4 dimensions",
                      path);
}

/* Checks that the file is exactly as long as its sizes say. */
static int parse_header(struct idx *out, struct error *e, const char *path,
                        const struct blob *b) {
  struct idx x = {.total = 1};
  if (b->size < 8 || b->bytes[0] != 0 || b->bytes[1] != 0 || b->bytes[2] != 8)
    return fail_magic(e, path, b);
  x.ndim = b->bytes[3];
  size_t header = 4 + 4 * x.ndim;
  if ((x.ndim != 1 && x.ndim != 3 && x.ndim != 4) || b->size < header)
    return fail_magic(e, path, b);
  x.data = b->bytes + header;
  for (size_t i = 0; i < x.ndim; i++) {
    x.dims[i] = big_endian(b->bytes + 4 + 4 * i);
    if (x.dims[i] == 0)
      return imgrec__fail(e, IMGREC_ERR_FORMAT,
                          "'%s': size %zu of its IDX header is 0", path, i);
    if (x.dims[i] > b->size / x.total)
      x.total = b->size; /* too much already; more than there is */
    else
      x.total *= x.dims[i];
  }
  if (x.total != b->size - header)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s': its IDX header does not go with its %zu bytes; "
                        "is the file cut short?",
                        path, b->size);
  *out = x;
  return IMGREC_OK;
}

static int check_images(struct error *e, const char *path,
                        const struct idx *x) {
  if (x->ndim == 1)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' has labels; name the file of the images", path);
  if (x->ndim == 4 && x->dims[3] != 1 && x->dims[3] != 3)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s': images of %zu channels; 1 and 3 are read", path,
                        x->dims[3]);
  int status = imgrec__check_size(e, "an image", (int64_t)x->dims[1],
                                  (int64_t)x->dims[2]);
  return status < 0 ? imgrec__fail_prefix(e, status, "'%s'", path) : status;
}

static int largest(const struct idx *labels) {
  int most = 0;
  for (size_t i = 0; i < labels->total; i++)
    if (labels->data[i] > most)
      most = labels->data[i];
  return most;
}

static int take_labels(struct store *s, const struct idx *labels) {
  struct imgrec_context *ctx = s->context;
  s->labels =
      imgrec__alloc_array(&ctx->allocator, labels->total, sizeof *s->labels);
  s->firsts = imgrec__alloc_zero(&ctx->allocator, sizeof *s->firsts);
  if (s->labels == NULL || s->firsts == NULL)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "the labels");
  for (size_t i = 0; i < labels->total; i++)
    s->labels[i] = labels->data[i];
  return IMGREC_OK;
}

/* The names may have been read from a file by now. */
static int name_classes(struct store *s, const char *path, int count) {
  if (s->classes.count == 0)
    return imgrec__store_name_numbers(s, count);
  if (s->classes.count >= (size_t)count)
    return IMGREC_OK;
  return imgrec__fail(&s->context->error, IMGREC_ERR_FORMAT,
                      "'%s': its labels go up to %d, but labels.txt has %zu "
                      "names",
                      path, count - 1, s->classes.count);
}

int imgrec__idx_parse(struct store *s, const char *path, struct blob *images,
                      const struct blob *labels, int classes) {
  struct error *e = &s->context->error;
  struct idx x, y;
  int status = parse_header(&x, e, path, images);
  if (status == IMGREC_OK)
    status = check_images(e, path, &x);
  if (status == IMGREC_OK)
    status = parse_header(&y, e, "the labels", labels);
  if (status < 0)
    return status;
  if (y.ndim != 1 || y.total != x.dims[0])
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "'%s' has %zu images, but the file of its labels %zu "
                        "entries in %zu dimensions",
                        path, x.dims[0], y.total, y.ndim);
  int most = largest(&y);
  status = name_classes(s, path, most < classes ? classes : most + 1);
  if (status == IMGREC_OK)
    status = take_labels(s, &y);
  if (status < 0)
    return status;
  imgrec__strings_add(&s->names, path, strlen(path));
  if (imgrec__strings_failed(&s->names))
    return imgrec__fail_memory(e, &s->context->allocator, "a path");
  s->format = "IDX";
  s->count = (int64_t)x.dims[0];
  s->size = (struct image_size){(int32_t)x.dims[1], (int32_t)x.dims[2],
                                x.ndim == 4 ? (int32_t)x.dims[3] : 1};
  s->block = images->bytes;
  s->pixels = images->bytes + (x.data - images->bytes);
  *images = (struct blob){NULL, 0};
  return IMGREC_OK;
}

/* ---- The files ---------------------------------------------------------- */

static const struct {
  const char *name;
  int part;
} image_names[] = {
    {"train-images", IMGREC_PART_TRAIN},    {"val-images", IMGREC_PART_VAL},
    {"validation-images", IMGREC_PART_VAL}, {"t10k-images", IMGREC_PART_TEST},
    {"test-images", IMGREC_PART_TEST},
};
static const char *const endings[] = {"-idx3-ubyte", "-idx3-ubyte.gz",
                                      ".idx3-ubyte", ".idx3-ubyte.gz",
                                      "-idx4-ubyte", "-idx4-ubyte.gz"};

#define NAME_COUNT   (sizeof image_names / sizeof image_names[0])
#define ENDING_COUNT (sizeof endings / sizeof endings[0])

static int is_file(const struct imgrec_context *ctx, const struct text *path) {
  struct file_info info;
  return !path->failed && imgrec__read_info(ctx, path->data, &info) == 0 &&
         info.kind == FILE_REGULAR;
}

/* Sets `path` to the images of a part; 0 when there are none. */
static int find_images(struct text *path, const struct imgrec_context *ctx,
                       const char *folder, int part) {
  for (size_t i = 0; i < NAME_COUNT; i++)
    for (size_t k = 0; k < ENDING_COUNT && image_names[i].part == part; k++) {
      imgrec__join(path, folder, image_names[i].name);
      imgrec__text_string(path, endings[k]);
      if (is_file(ctx, path))
        return 1;
    }
  return 0;
}

int imgrec__idx_parts(struct imgrec_context *ctx, const char *folder) {
  int parts = 0;
  struct text path;
  imgrec__text_init(&path, &ctx->allocator);
  for (int part = IMGREC_PART_TRAIN; part <= IMGREC_PART_TEST; part++)
    if (find_images(&path, ctx, folder, part))
      parts |= PART_BIT(part);
  if (path.failed)
    parts = imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  imgrec__text_free(&path);
  return parts;
}

/* Copies `from` with "images" in its last name as "labels", and "idx3" or
 * "idx4" as "idx1"; 0 when there is no "images" in it. */
static int name_labels(struct text *out, const char *from) {
  size_t folder = imgrec__folder_length(from);
  const char *images = strstr(from + folder, "images");
  if (images == NULL)
    return 0;
  imgrec__text_bytes(out, from, (size_t)(images - from));
  imgrec__text_string(out, "labels");
  imgrec__text_string(out, images + strlen("images"));
  char *name = out->failed ? NULL : out->data + folder;
  char *idx = name == NULL ? NULL : strstr(name, "idx3");
  if (idx == NULL && name != NULL)
    idx = strstr(name, "idx4");
  if (idx != NULL)
    idx[3] = '1';
  return 1;
}

/* Sets `out` to the labels of a file of images, packed alike or not. */
static int find_labels(struct text *out, struct imgrec_context *ctx,
                       const char *images) {
  if (!name_labels(out, images))
    return imgrec__fail(&ctx->error, IMGREC_ERR_NOT_FOUND,
                        "the labels of '%s' cannot be found: its name must "
                        "contain \"images\", and that of its labels \"labels\"",
                        images);
  if (is_file(ctx, out))
    return IMGREC_OK;
  if (!out->failed && imgrec__ends_in(out->data, ".gz"))
    out->data[out->length -= 3] = '\0';
  else
    imgrec__text_string(out, ".gz");
  if (is_file(ctx, out))
    return IMGREC_OK;
  if (out->failed)
    return imgrec__fail_memory(&ctx->error, &ctx->allocator, "a path");
  return imgrec__fail(&ctx->error, IMGREC_ERR_NOT_FOUND,
                      "the labels of '%s' are not there; looked for '%s'",
                      images, out->data);
}

static int read_labels(struct blob *out, struct imgrec_context *ctx,
                       const char *images) {
  struct text path;
  imgrec__text_init(&path, &ctx->allocator);
  int status = find_labels(&path, ctx, images);
  if (status == IMGREC_OK)
    status = imgrec__read_file_gz(out, ctx, path.data, IMGREC__TABLE_MAX);
  imgrec__text_free(&path);
  return status;
}

/* How many classes the labels of one part need; 0 when there is something
 * wrong with them, which is for whoever opens that part to be told. */
static int count_classes(struct imgrec_context *ctx, const char *images) {
  struct blob b;
  struct idx labels;
  struct error before = ctx->error;
  int count = 0, status = read_labels(&b, ctx, images);
  if (status == IMGREC_OK) {
    if (parse_header(&labels, NULL, images, &b) == IMGREC_OK &&
        labels.ndim == 1)
      count = largest(&labels) + 1;
    imgrec__blob_free(&b, &ctx->allocator);
  }
  if (status == IMGREC_ERR_MEMORY || status == IMGREC_ERR_LIMIT)
    return status;
  ctx->error = before;
  return count;
}

static int read_files(struct store *s, const char *images, int classes) {
  struct imgrec_context *ctx = s->context;
  struct blob pixels = {NULL, 0}, labels = {NULL, 0};
  int status = read_labels(&labels, ctx, images);
  if (status == IMGREC_OK)
    status = imgrec__read_file_gz(&pixels, ctx, images, IMGREC__PACKED_MAX);
  if (status == IMGREC_OK)
    status = imgrec__idx_parse(s, images, &pixels, &labels, classes);
  imgrec__blob_free(&pixels, &ctx->allocator);
  imgrec__blob_free(&labels, &ctx->allocator);
  return status;
}

static int read_name_file(struct store *s, const char *images) {
  size_t n = imgrec__folder_length(images);
  struct allocator *a = &s->context->allocator;
  char *folder = imgrec__strndup(a, images, n);
  if (folder == NULL)
    return imgrec__fail_memory(&s->context->error, a, "a path");
  int status = imgrec__store_name_file(s, folder, "labels.txt");
  imgrec__free(a, folder);
  return status;
}

/* All parts number their classes alike, so the labels of all are looked at. */
static int read_part(struct store *s, const char *folder, int part,
                     struct text *path) {
  int classes = 0;
  for (int other = IMGREC_PART_TRAIN; other <= IMGREC_PART_TEST; other++)
    if (other != part && find_images(path, s->context, folder, other)) {
      int n = count_classes(s->context, path->data);
      if (n < 0)
        return n;
      classes = n > classes ? n : classes;
    }
  if (!find_images(path, s->context, folder, part))
    return path->failed ? imgrec__fail_memory(&s->context->error,
                                              &s->context->allocator, "a path")
                        : imgrec__fail_open(s->context, folder);
  int status = read_name_file(s, path->data);
  return status < 0 ? status : read_files(s, path->data, classes);
}

int imgrec__read_idx(struct store *s, const char *path, int part) {
  struct imgrec_context *ctx = s->context;
  int parts = imgrec__idx_parts(ctx, path);
  struct text file;
  if (parts < 0)
    return parts;
  int status = imgrec__part_choose(&ctx->error, path, parts, part, &part);
  if (status < 0)
    return status;
  if (parts == 0) {
    status = read_name_file(s, path);
    return status < 0 ? status : read_files(s, path, 0);
  }
  imgrec__text_init(&file, &ctx->allocator);
  status = read_part(s, path, part, &file);
  imgrec__text_free(&file);
  return status;
}
