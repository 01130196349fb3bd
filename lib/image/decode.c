/* SPDX-License-Identifier: MIT */
/* Decodes a file of type JPEG, PNG, BMP or PNM into pixels.
 *
 * JPEG and PNG are decoded by stb_image, which never sees the file itself but
 * the checked copy that jpeg.c and png.c make.  One rule for all formats: a
 * file without its end is refused, for a picture of which a part was lost is a
 * wrong answer.
 *
 * Memory, at most: the file's size + 1 KiB for the copy and, inside stb_image,
 * the file's size + 32 bytes for each pixel of the picture rounded up to whole
 * 32 x 32 squares + 1 MiB; then 3 bytes a pixel for the result. */
#include <string.h>

#include "image/image.h"

/* ---- stb_image, with its memory and its faults under control ------------ */

/* What stb_image may use while it runs on this thread. */
struct heap {
  struct allocator *allocator;
  size_t left;
  int exceeded; /* the file asked for more than a picture of its size can */
  int failed;   /* the allocator had no more */
};

static _Thread_local struct heap *current_heap;

/* Each block is behind a header with its size.  Blocks are cleared, so that a
 * file cannot show what was in memory before. */
#define HEADER ((size_t)IMGREC__ALIGN)

static void *stb_alloc(size_t size) {
  struct heap *h = current_heap;
  if (size > h->left) {
    h->exceeded = 1;
    return NULL;
  }
  char *block = imgrec__alloc_zero(h->allocator, HEADER + size);
  if (!block) {
    h->failed = 1;
    return NULL;
  }
  memcpy(block, &size, sizeof size);
  h->left -= size;
  return block + HEADER;
}

static void stb_free(void *p) {
  if (!p)
    return;
  char *block = (char *)p - HEADER;
  size_t size;
  memcpy(&size, block, sizeof size);
  current_heap->left += size;
  imgrec__free(current_heap->allocator, block);
}

static void *stb_realloc(void *p, size_t old_size, size_t size) {
  void *q = stb_alloc(size);
  if (q && p) {
    memcpy(q, p, min_size(old_size, size));
    stb_free(p);
  }
  return q;
}

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_GIF
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_FAILURE_STRINGS          /* they would be written to a global */
#define STBI_MAX_DIMENSIONS              IMGREC_IMAGE_MAX_SIDE
#define STBI_ASSERT(condition)           ((void)0) /* never abort on input */
#define STBI_MALLOC(size)                stb_alloc(size)
#define STBI_FREE(p)                     stb_free(p)
#define STBI_REALLOC_SIZED(p, old, size) stb_realloc(p, old, size)

/* Version 2.27 takes bits from its JPEG bit buffer without asking whether they
 * are there when a marker comes too early; its count then turns negative, and
 * the next refill shifts by more than 31.  Later versions ask.  These names
 * put a clamp in front of each refill: the calls, whose argument is spelled j
 * or z, become refills of a count that is not negative, and the definition,
 * whose parameter is spelled `stbi__jpeg *j`, defines that refill. */
#define stbi__grow_buffer_unsafe(argument) REFILL_##argument)
#define REFILL_j                                                               \
  (j->code_bits = j->code_bits < 0 ? 0 : j->code_bits, stb_refill(j)
#define REFILL_z                                                               \
  (z->code_bits = z->code_bits < 0 ? 0 : z->code_bits, stb_refill(z)
#define REFILL_stbi__jpeg stb_refill(stbi__jpeg

/* Declared by one name and defined by another. */
#define stbi__unpremultiply_on_load_thread stbi_set_unpremultiply_on_load_thread

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

/* ---- One picture as its decoder gives it -------------------------------- */

struct raw {
  unsigned char *data; /* H x W x C; a block of the allocator */
  struct picture picture;
};

static const char *const format_names[] = {"", "JPEG", "PNG", "BMP", "PNM"};

static size_t heap_limit(const struct picture *p, size_t size) {
  size_t padded =
      round_up((size_t)p->height, 32) * round_up((size_t)p->width, 32);
  return size + 32 * padded + ((size_t)1 << 20);
}

static int fail_stb(struct error *e, const struct heap *h, int format) {
  const char *name = format_names[format];
  if (h->failed)
    return imgrec__fail_memory(e, h->allocator, "decoding an image");
  if (h->exceeded)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "damaged %s: it unpacks to more than its size", name);
  return imgrec__fail(e, IMGREC_ERR_FORMAT,
                      "damaged %s: its compressed data are not right", name);
}

/* Of JPEG's colours stb_image makes red, green, blue and 255 several times as
 * fast as without the 255. */
static int stb_channels(const struct picture *p) {
  return p->format == PICTURE_JPEG && p->channels == 3 ? 4 : p->channels;
}

/* n pixels of stb_image's to the front of their block.  Four bytes go at a
 * time, the last of which the next pixel overwrites: always in front of what
 * is still to be read. */
static unsigned char *take_pixels(unsigned char *data, size_t n, int stored,
                                  int channels) {
  unsigned char *block = data - HEADER;
  if (stored == channels) {
    memmove(block, data, n * (size_t)channels);
    return block;
  }
  for (size_t i = 0; i < n; i++)
    memmove(block + 3 * i, data + 4 * i, 4);
  return block;
}

/* clean: what jpeg.c or png.c made of a file. */
static int decode_clean(struct raw *r, struct allocator *a, struct error *e,
                        const unsigned char *clean, size_t size) {
  struct heap heap = {a, heap_limit(&r->picture, size), 0, 0};
  int width = 0, height = 0, channels = 0;
  int format = r->picture.format, stored = stb_channels(&r->picture);
  current_heap = &heap;
  unsigned char *data = stbi_load_from_memory(clean, (int)size, &width, &height,
                                              &channels, stored);
  int agrees = width == r->picture.width && height == r->picture.height;
  if (data && !agrees)
    stb_free(data);
  current_heap = NULL;
  if (!data || !agrees)
    return fail_stb(e, &heap, format);
  r->data = take_pixels(data, (size_t)height * (size_t)width, stored,
                        r->picture.channels);
  return 0;
}

static int decode_checked(struct raw *r, struct allocator *a, struct error *e,
                          const unsigned char *bytes, size_t size) {
  size_t clean_size = 0;
  int is_png = r->picture.format == PICTURE_PNG;
  unsigned char *clean = imgrec__alloc(a, size + IMGREC__CLEAN_SLACK);
  if (!clean)
    return imgrec__fail_memory(e, a, "a copy of the image file");
  int status =
      is_png
          ? imgrec__png_clean(&r->picture, clean, &clean_size, e, bytes, size)
          : imgrec__jpeg_clean(&r->picture, clean, &clean_size, e, bytes, size);
  if (status == 0)
    status = decode_clean(r, a, e, clean, clean_size);
  imgrec__free(a, clean);
  return status;
}

static int decode_simple(struct raw *r, struct allocator *a, struct error *e,
                         const unsigned char *bytes, size_t size) {
  const struct picture *p = &r->picture;
  size_t n = (size_t)p->height * (size_t)p->width * (size_t)p->channels;
  unsigned char *data = imgrec__alloc(a, n);
  if (!data)
    return imgrec__fail_memory(e, a, "the image's pixels");
  int status = p->format == PICTURE_BMP
                   ? imgrec__bmp_decode(data, e, bytes, size)
                   : imgrec__pnm_decode(data, e, bytes, size);
  if (status < 0) {
    imgrec__free(a, data);
    return status;
  }
  r->data = data;
  return 0;
}

static int decode_raw(struct raw *r, struct allocator *a, struct error *e,
                      const void *bytes, size_t size) {
  if (size > IMGREC__IMAGE_FILE_MAX)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "the image file is larger than 1 GiB");
  int status = imgrec__sniff(&r->picture, e, bytes, size);
  if (status < 0)
    return status;
  if (r->picture.format == PICTURE_JPEG || r->picture.format == PICTURE_PNG)
    return decode_checked(r, a, e, bytes, size);
  return decode_simple(r, a, e, bytes, size);
}

/* ---- The right way up --------------------------------------------------- */

static int turned_height(const struct picture *p) {
  return p->orientation < 5 ? p->height : p->width;
}

static int turned_width(const struct picture *p) {
  return p->orientation < 5 ? p->width : p->height;
}

/* dst: H x W x channels.  EXIF's orientations (TIFF 6.0, tag 274) as where the
 * first pixel shown is stored, and the way to the next column and row. */
static void turn(unsigned char *dst, int channels, const struct raw *r) {
  const struct picture *p = &r->picture;
  ptrdiff_t h = p->height, w = p->width;
  ptrdiff_t right = w - 1, bottom = (h - 1) * w;
  const struct {
    ptrdiff_t first, column, row;
  } walks[9] = {
      {0, 0, 0},
      {0, 1, w},                /* as stored */
      {right, -1, w},           /* left and right exchanged */
      {bottom + right, -1, -w}, /* half a turn */
      {bottom, 1, -w},          /* upside down */
      {0, w, 1},                /* rows and columns exchanged */
      {bottom, -w, 1},          /* a quarter clockwise */
      {bottom + right, -w, -1}, /* exchanged, then half a turn */
      {right, w, -1},           /* a quarter counter-clockwise */
  };
  ptrdiff_t first = walks[p->orientation].first;
  size_t n = (size_t)turned_width(p);
  for (int y = 0; y < turned_height(p); y++) {
    ptrdiff_t at = first + y * walks[p->orientation].row;
    imgrec__convert(dst + (size_t)y * n * (size_t)channels, channels,
                    r->data + at * p->channels, p->channels,
                    walks[p->orientation].column, n);
  }
}

static int check_channels(struct error *e, int channels) {
  if (channels == 0 || channels == 1 || channels == 3)
    return 0;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "an image has 1 or 3 channels (0: what the file has), "
                      "not %d",
                      channels);
}

int imgrec__decode(struct pixels *out, struct allocator *a, struct error *e,
                   const void *bytes, size_t size, int channels) {
  struct raw r = {NULL, {0}};
  int status = check_channels(e, channels);
  if (status == 0)
    status = decode_raw(&r, a, e, bytes, size);
  if (status < 0)
    return status;
  struct pixels p = {NULL, turned_height(&r.picture), turned_width(&r.picture),
                     channels ? channels : r.picture.channels};
  if (r.picture.orientation == 1 && p.channels == r.picture.channels) {
    p.data = r.data;
    *out = p;
    return 0;
  }
  p.data =
      imgrec__alloc(a, (size_t)p.height * (size_t)p.width * (size_t)p.channels);
  if (p.data)
    turn(p.data, p.channels, &r);
  imgrec__free(a, r.data);
  if (!p.data)
    return imgrec__fail_memory(e, a, "the image's pixels");
  *out = p;
  return 0;
}

/* ---- Public ------------------------------------------------------------- */

static int decode_builtin(imgrec_tensor **out, imgrec_context *ctx,
                          const void *bytes, size_t size, int channels) {
  struct raw r = {NULL, {0}};
  imgrec_tensor *image = NULL;
  int status = decode_raw(&r, &ctx->allocator, &ctx->error, bytes, size);
  if (status < 0)
    return status;
  int c = channels ? channels : r.picture.channels;
  status = imgrec__image_new(&image, ctx, turned_height(&r.picture),
                             turned_width(&r.picture), c);
  if (status == 0) {
    turn(image->data, c, &r);
    *out = image;
  }
  imgrec__free(&ctx->allocator, r.data);
  return status;
}

/* What a host's decoder gives is as little to be trusted as a file. */
static int check_hooked(imgrec_context *ctx, const imgrec_tensor *image,
                        int channels) {
  if (!image || image->context != ctx)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "the decode callback gave no tensor of its context");
  int status = imgrec__check_image(&ctx->error, image, "the decode callback");
  if (status < 0)
    return status;
  if (channels && image->shape[2] != channels)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "the decode callback gave %d channels, not %d",
                        (int)image->shape[2], channels);
  return 0;
}

static int decode_hooked(imgrec_tensor **out, imgrec_context *ctx,
                         const void *bytes, size_t size, int channels) {
  imgrec_tensor *image = NULL;
  int status =
      ctx->decode(ctx->decode_user, &image, ctx, bytes, size, channels);
  if (status < 0)
    return imgrec__fail(&ctx->error, IMGREC_ERR_FORMAT,
                        "the decode callback cannot read the image (%s)",
                        imgrec_status_name(status));
  status = check_hooked(ctx, image, channels);
  if (status < 0) {
    imgrec_tensor_destroy(image);
    return status;
  }
  *out = image;
  return 0;
}

int imgrec_image_decode(imgrec_tensor **out, imgrec_context *ctx,
                        const void *bytes, size_t size, int channels) {
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !bytes)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "decoding needs bytes and a place for the image");
  int status = check_channels(&ctx->error, channels);
  if (status < 0)
    return status;
  return ctx->decode ? decode_hooked(out, ctx, bytes, size, channels)
                     : decode_builtin(out, ctx, bytes, size, channels);
}

int imgrec_image_load(imgrec_tensor **out, imgrec_context *ctx,
                      const char *path, int channels) {
  struct blob file;
  if (!ctx)
    return IMGREC_ERR_ARGUMENT;
  if (!out || !path)
    return imgrec__fail(&ctx->error, IMGREC_ERR_ARGUMENT,
                        "loading needs a path and a place for the image");
  int status =
      imgrec__read_file(&file, ctx, &ctx->error, path, IMGREC__IMAGE_FILE_MAX);
  if (status < 0)
    return status;
  status = imgrec_image_decode(out, ctx, file.bytes, file.size, channels);
  imgrec__blob_free(&file, &ctx->allocator);
  if (status < 0)
    return imgrec__fail_prefix(&ctx->error, status, "%s", path);
  return 0;
}
