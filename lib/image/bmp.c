/* SPDX-License-Identifier: MIT */
/* Reads BMP files: headers of OS/2 and of Windows 3 to 5, 1 to 32 bits a
 * pixel, bit fields, run-length coding.  Every size is checked against the
 * file before a pixel is touched, and indices meet a palette of 256. */
#include <string.h>

#include "image/image.h"

enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHABITFIELDS = 6 };

struct bmp {
  const unsigned char *bytes;
  size_t size;
  size_t header; /* bytes of the information header */
  size_t offset; /* of the pixels */
  int64_t width, height;
  int top_down, bits, compression;
  size_t colours;   /* palette entries that the header claims, 0: all */
  uint32_t mask[3]; /* of red, green and blue where bits is 16 or 32 */
  unsigned char palette[256][3];
};

static int damaged(struct error *e, const char *what) {
  return imgrec__fail(e, IMGREC_ERR_FORMAT, "damaged BMP: %s", what);
}

static uint32_t get16(const unsigned char *p) {
  return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const unsigned char *p) {
  return get16(p) | get16(p + 2) << 16;
}

/* ---- Header ------------------------------------------------------------- */

/* OS/2 1: width, height, planes, bits, 16 bits each. */
static void read_core(struct bmp *b, const unsigned char *p) {
  b->width = get16(p + 4);
  b->height = get16(p + 6);
  b->bits = (int)get16(p + 10);
}

/* Windows: sizes in 32 bits with sign, and what came later. */
static void read_info(struct bmp *b, const unsigned char *p) {
  uint32_t width = get32(p + 4), height = get32(p + 8);
  b->width = width <= INT32_MAX ? (int64_t)width : -1;
  b->top_down = height > INT32_MAX;
  b->height = b->top_down ? (int64_t)1 + (uint32_t)~height : (int64_t)height;
  b->bits = (int)get16(p + 14);
  b->compression = get32(p + 16) <= 16 ? (int)get32(p + 16) : -1;
  b->colours = get32(p + 32);
}

static int coding_fits(const struct bmp *b) {
  switch (b->compression) {
  case RGB:
    return b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 ||
           b->bits == 24 || b->bits == 32;
  case RLE8:
    return b->bits == 8 && !b->top_down;
  case RLE4:
    return b->bits == 4 && !b->top_down;
  case BITFIELDS:
  case ALPHABITFIELDS:
    return (b->bits == 16 || b->bits == 32) && b->header >= 40;
  default:
    return 0;
  }
}

/* Masks follow the header of 40 bytes, and are inside of later ones. */
static int read_masks(struct bmp *b, struct error *e) {
  static const uint32_t masks16[3] = {0x7C00, 0x03E0, 0x001F};
  static const uint32_t masks32[3] = {0xFF0000, 0x00FF00, 0x0000FF};
  if (b->compression != BITFIELDS && b->compression != ALPHABITFIELDS) {
    memcpy(b->mask, b->bits == 16 ? masks16 : masks32, sizeof b->mask);
    return 0;
  }
  if (b->size < 14 + 40 + 12)
    return damaged(e, "its bit fields are missing");
  for (int i = 0; i < 3; i++) {
    uint32_t m = get32(b->bytes + 14 + 40 + 4 * i);
    uint32_t low = m & (~m + 1);
    if (m == 0 || (m & (m + low)) != 0)
      return damaged(e, "a bit field is not a run of bits");
    b->mask[i] = m;
  }
  return 0;
}

static int read_header(struct bmp *b, struct error *e,
                       const unsigned char *bytes, size_t size) {
  memset(b, 0, sizeof *b);
  b->bytes = bytes;
  b->size = size;
  if (size < 14 + 12)
    return damaged(e, "the file ends inside of its header");
  b->offset = get32(bytes + 10);
  b->header = get32(bytes + 14);
  if (b->header != 12 && b->header != 64 && (b->header < 40 || b->header > 124))
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "BMP with an unknown kind of header");
  if (size < 14 + b->header)
    return damaged(e, "the file ends inside of its header");
  if (b->header == 12)
    read_core(b, bytes + 14);
  else
    read_info(b, bytes + 14);
  int status = imgrec__check_size(e, "BMP", b->height, b->width);
  if (status < 0)
    return status;
  if (!coding_fits(b))
    return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                        "BMP with an unknown kind of coding");
  return read_masks(b, e);
}

int imgrec__bmp_header(struct picture *out, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct bmp b;
  int status = read_header(&b, e, bytes, size);
  if (status < 0)
    return status;
  out->height = (int)b.height;
  out->width = (int)b.width;
  out->channels = 3;
  return 0;
}

/* ---- Palette ------------------------------------------------------------ */

/* Blue, green, red and, but in OS/2 1, a byte of nothing. */
static int read_palette(struct bmp *b, struct error *e) {
  if (b->bits > 8)
    return 0;
  size_t entry = b->header == 12 ? 3 : 4, begin = 14 + b->header;
  size_t count = (size_t)1 << b->bits;
  if (b->colours && b->colours < count)
    count = b->colours;
  if (b->offset >= begin)
    count = min_size(count, (b->offset - begin) / entry);
  if (begin > b->size || (b->size - begin) / entry < count)
    return damaged(e, "the file ends inside of its palette");
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < 3; k++)
      b->palette[i][k] = b->bytes[begin + i * entry + 2 - k];
  return 0;
}

/* ---- Pixels ------------------------------------------------------------- */

static unsigned char *row_of(const struct bmp *b, unsigned char *dst,
                             int64_t y) {
  return dst + (b->top_down ? y : b->height - 1 - y) * b->width * 3;
}

static void indexed_row(const struct bmp *b, unsigned char *dst,
                        const unsigned char *src) {
  unsigned per_byte = 8u / (unsigned)b->bits, mask = (1u << b->bits) - 1;
  for (size_t x = 0; x < (size_t)b->width; x++) {
    unsigned shift = 8 - (unsigned)b->bits * (unsigned)(x % per_byte + 1);
    unsigned index = (unsigned)src[x / per_byte] >> shift & mask;
    memcpy(dst + 3 * x, b->palette[index], 3);
  }
}

static void direct_row(const struct bmp *b, unsigned char *dst,
                       const unsigned char *src) {
  for (int64_t x = 0; x < b->width; x++)
    for (int k = 0; k < 3; k++)
      dst[3 * x + k] = src[3 * x + 2 - k];
}

/* A field of n bits to 8: v * 255 / (2^n - 1), cut off. */
static void masked_row(const struct bmp *b, unsigned char *dst,
                       const unsigned char *src) {
  for (int64_t x = 0; x < b->width; x++) {
    uint32_t v = b->bits == 16 ? get16(src + 2 * x) : get32(src + 4 * x);
    for (int k = 0; k < 3; k++) {
      uint32_t m = b->mask[k], low = m & (~m + 1);
      dst[3 * x + k] =
          (unsigned char)((uint64_t)(v & m) / low * 255 / (m / low));
    }
  }
}

static int decode_rows(const struct bmp *b, unsigned char *dst,
                       struct error *e) {
  size_t stride = ceil_div((size_t)b->width * (size_t)b->bits, 32) * 4;
  size_t last = ceil_div((size_t)b->width * (size_t)b->bits, 8);
  size_t need = stride * (size_t)(b->height - 1) + last;
  if (b->offset > b->size || b->size - b->offset < need)
    return damaged(e, "the file ends before the picture does");
  for (int64_t y = 0; y < b->height; y++) {
    const unsigned char *src = b->bytes + b->offset + (size_t)y * stride;
    if (b->bits <= 8)
      indexed_row(b, row_of(b, dst, y), src);
    else if (b->bits == 24)
      direct_row(b, row_of(b, dst, y), src);
    else
      masked_row(b, row_of(b, dst, y), src);
  }
  return 0;
}

/* ---- Run lengths -------------------------------------------------------- */

struct rle {
  const struct bmp *bmp;
  unsigned char *dst;
  int64_t x, y;
  size_t at;
};

/* Index i of a run whose codes are a byte (8 bits) or half of one (4). */
static unsigned rle_index(const struct rle *r, const unsigned char *p,
                          size_t i) {
  if (r->bmp->bits == 8)
    return p[i];
  return i % 2 ? p[i / 2] & 15u : p[i / 2] >> 4;
}

static void rle_put(struct rle *r, unsigned index) {
  if (r->x < r->bmp->width && r->y < r->bmp->height)
    memcpy(row_of(r->bmp, r->dst, r->y) + 3 * r->x, r->bmp->palette[index], 3);
  r->x++;
}

/* `count` codes that follow as they are, filled up to an even length. */
static int rle_literal(struct rle *r, size_t count) {
  const struct bmp *b = r->bmp;
  size_t bytes = round_up(ceil_div(count * (size_t)b->bits, 8), 2);
  if (b->size - r->at < bytes)
    return 0;
  for (size_t i = 0; i < count; i++)
    rle_put(r, rle_index(r, b->bytes + r->at, i));
  r->at += bytes;
  return 1;
}

static void rle_run(struct rle *r, size_t count, unsigned char codes) {
  unsigned char pair[2] = {codes, codes};
  for (size_t i = 0; i < count; i++)
    rle_put(r, rle_index(r, pair, i % 2));
}

/* 1 to go on, 0 at the end of the file, -1 at the end of the picture. */
static int rle_step(struct rle *r) {
  const struct bmp *b = r->bmp;
  if (b->size - r->at < 2)
    return 0;
  size_t count = b->bytes[r->at];
  unsigned char code = b->bytes[r->at + 1];
  r->at += 2;
  if (count > 0) {
    rle_run(r, count, code);
    return 1;
  }
  if (code > 2)
    return rle_literal(r, code);
  if (code == 1)
    return -1;
  if (code == 0) {
    r->x = 0;
    r->y++;
    return 1;
  }
  if (b->size - r->at < 2)
    return 0;
  r->x += b->bytes[r->at];
  r->y += b->bytes[r->at + 1];
  r->at += 2;
  return 1;
}

/* Pixels that the runs jump over have the first colour. */
static int decode_rle(const struct bmp *b, unsigned char *dst,
                      struct error *e) {
  struct rle r = {b, dst, 0, 0, b->offset};
  if (b->offset > b->size)
    return damaged(e, "the file ends before the picture does");
  for (int64_t i = 0; i < b->width * b->height; i++)
    memcpy(dst + 3 * i, b->palette[0], 3);
  int step = 1;
  while (step == 1 && r.y < b->height)
    step = rle_step(&r);
  return step == 0 ? damaged(e, "the file ends before the picture does") : 0;
}

int imgrec__bmp_decode(unsigned char *dst, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct bmp b;
  int status = read_header(&b, e, bytes, size);
  if (status == 0)
    status = read_palette(&b, e);
  if (status < 0)
    return status;
  if (b.compression == RLE8 || b.compression == RLE4)
    return decode_rle(&b, dst, e);
  return decode_rows(&b, dst, e);
}
