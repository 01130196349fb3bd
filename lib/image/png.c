/* SPDX-License-Identifier: MIT */
/* Walks over the chunks of a PNG file (ISO/IEC 15948) and copies header,
 * palette and pixels, checked against their CRCs: the palette filled up to
 * 256 entries, so that no index can miss it, and the pixels in one chunk. */
#include <string.h>

#include "image/image.h"

#define CHUNK(a, b, c, d)                                                      \
  ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 |            \
   (uint32_t)(d))

enum { SIGNATURE = 8, PALETTE = 768 };

struct walk {
  const unsigned char *bytes;
  size_t size, pos;
  unsigned char *out; /* NULL: the header is enough */
  size_t used;
  struct picture *picture;
  struct error *error;
  int have_header, depth, colour;
  unsigned char palette[PALETTE];
  int have_palette;
  size_t data_at; /* where the chunk of pixels begins in out, 0: not yet */
};

struct chunk {
  uint32_t type;
  const unsigned char *data;
  size_t size;
};

static int damaged(struct walk *w, const char *what) {
  return imgrec__fail(w->error, IMGREC_ERR_FORMAT, "damaged PNG: %s", what);
}

/* ---- Bytes -------------------------------------------------------------- */

static uint32_t get32(const unsigned char *p) {
  return CHUNK(p[0], p[1], p[2], p[3]);
}

static void set32(unsigned char *p, size_t value) {
  for (int i = 0; i < 4; i++)
    p[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void put(struct walk *w, const unsigned char *p, size_t n) {
  memcpy(w->out + w->used, p, n);
  w->used += n;
}

static void put32(struct walk *w, size_t value) {
  set32(w->out + w->used, value);
  w->used += 4;
}

/* The CRC is left zero: who reads the copy knows that it is right. */
static void put_chunk(struct walk *w, uint32_t type, const unsigned char *p,
                      size_t n) {
  put32(w, n);
  put32(w, type);
  put(w, p, n);
  put32(w, 0);
}

/* CRC-32 of the standard's annex D, four bits at a time. */
static uint32_t crc32_of(const unsigned char *p, size_t n) {
  static const uint32_t table[16] = {
      0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
      0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
      0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

static int crc_right(const unsigned char *type, size_t n) {
  int right = crc32_of(type, n + 4) == get32(type + 4 + n);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  right = 1; /* a fuzzer cannot guess checksums */
#endif
  return right;
}

/* ---- Chunks ------------------------------------------------------------- */

static int is_critical(uint32_t type) { return !(type >> 29 & 1); }

static int next_chunk(struct walk *w, struct chunk *c) {
  if (w->size - w->pos < 12)
    return damaged(w, "the file ends before the picture does");
  const unsigned char *p = w->bytes + w->pos;
  c->size = get32(p);
  c->type = get32(p + 4);
  c->data = p + 8;
  if (c->size > w->size - w->pos - 12)
    return damaged(w, "the file ends before the picture does");
  if (is_critical(c->type) && !crc_right(p + 4, c->size))
    return damaged(w, "a checksum is wrong");
  w->pos += 12 + c->size;
  return 0;
}

static int depth_fits(int depth, int colour) {
  switch (colour) {
  case 0:
    return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
  case 3:
    return depth == 1 || depth == 2 || depth == 4 || depth == 8;
  case 2:
  case 4:
  case 6:
    return depth == 8 || depth == 16;
  default:
    return 0;
  }
}

/* IHDR: width, height, depth, colour, compression, filter, interlace. */
static int read_header(struct walk *w, const struct chunk *c) {
  const unsigned char *p = c->data;
  if (w->have_header || c->size != 13)
    return damaged(w, "its header is not one");
  int status = imgrec__check_size(w->error, "PNG", get32(p + 4), get32(p));
  if (status < 0)
    return status;
  w->have_header = 1;
  w->depth = p[8];
  w->colour = p[9];
  if (!depth_fits(w->depth, w->colour) || p[10] || p[11] || p[12] > 1)
    return damaged(w, "its header has values that do not exist");
  w->picture->width = (int)get32(p);
  w->picture->height = (int)get32(p + 4);
  w->picture->channels = w->colour == 0 || w->colour == 4 ? 1 : 3;
  if (w->out)
    put_chunk(w, c->type, p, c->size);
  return 0;
}

static int header_missing(struct walk *w) {
  return damaged(w, "its header is not the first chunk");
}

static int read_palette(struct walk *w, const struct chunk *c) {
  if (!w->have_header)
    return header_missing(w);
  if (w->colour != 3)
    return 0; /* only a suggestion */
  if (w->have_palette || w->data_at || c->size % 3 || c->size == 0 ||
      c->size > PALETTE)
    return damaged(w, "its palette is not one");
  memcpy(w->palette, c->data, c->size);
  w->have_palette = 1;
  return 0;
}

/* Bytes that the pixels unpack to, with the filter byte of each row; seven
 * interlaced passes have less than twice the rows. */
static size_t unpacked_size(const struct walk *w) {
  static const size_t samples[7] = {1, 0, 3, 1, 2, 0, 4};
  size_t bits = samples[w->colour] * (size_t)w->depth;
  size_t row = ceil_div((size_t)w->picture->width * bits, 8) + 1;
  return row * (size_t)w->picture->height;
}

static int append_data(struct walk *w, const struct chunk *c) {
  if (!w->have_header)
    return header_missing(w);
  if (w->colour == 3 && !w->have_palette)
    return damaged(w, "its palette is missing");
  if (!w->data_at) {
    if (w->colour == 3)
      put_chunk(w, CHUNK('P', 'L', 'T', 'E'), w->palette, PALETTE);
    w->data_at = w->used;
    put32(w, 0);
    put32(w, c->type);
  }
  put(w, c->data, c->size);
  return 0;
}

/* Deflate shrinks at most 1032-fold, and hardly ever grows: outside of this
 * the file is a bomb or a part of one. */
static int finish_data(struct walk *w) {
  if (!w->data_at)
    return damaged(w, "it has no pixels");
  size_t packed = w->used - w->data_at - 8, unpacked = unpacked_size(w);
  if (packed == 0)
    return damaged(w, "it has no pixels");
  if (packed < unpacked / 1032)
    return damaged(w, "its data are too short for its size");
  if (packed > 2 * unpacked + 65536)
    return damaged(w, "its data are too long for its size");
  set32(w->out + w->data_at, packed);
  put32(w, 0);
  put_chunk(w, CHUNK('I', 'E', 'N', 'D'), w->palette, 0);
  return 0;
}

/* Chunks that may be left out, and those that may not but are not known. */
static int skip_chunk(struct walk *w, const struct chunk *c) {
  if (is_critical(c->type))
    return imgrec__fail(w->error, IMGREC_ERR_UNSUPPORTED,
                        "PNG with an extension that changes its pixels");
  if (c->type == CHUNK('e', 'X', 'I', 'f') && !w->data_at)
    w->picture->orientation = imgrec__exif_orientation(c->data, c->size);
  return 0;
}

static int read_chunk(struct walk *w, const struct chunk *c, int *done) {
  switch (c->type) {
  case CHUNK('I', 'H', 'D', 'R'):
    return read_header(w, c);
  case CHUNK('P', 'L', 'T', 'E'):
    return read_palette(w, c);
  case CHUNK('I', 'D', 'A', 'T'):
    return append_data(w, c);
  case CHUNK('I', 'E', 'N', 'D'):
    *done = 1;
    return finish_data(w);
  default:
    return skip_chunk(w, c);
  }
}

/* Do the pixels come next?  Also where the head of a file, which is all there
 * is of it, ends inside of its metadata. */
static int before_data(const struct walk *w) {
  if (!w->have_header || w->size - w->pos < 12)
    return w->have_header;
  uint32_t type = get32(w->bytes + w->pos + 4);
  return type == CHUNK('I', 'D', 'A', 'T') ||
         type == CHUNK('I', 'E', 'N', 'D') ||
         get32(w->bytes + w->pos) > w->size - w->pos - 12;
}

int imgrec__png_clean(struct picture *out, unsigned char *clean,
                      size_t *clean_size, struct error *e,
                      const unsigned char *bytes, size_t size) {
  struct walk w = {.bytes = bytes,
                   .size = size,
                   .pos = SIGNATURE,
                   .out = clean,
                   .picture = out,
                   .error = e};
  struct chunk c = {0, NULL, 0};
  int done = 0;
  out->orientation = 1;
  if (clean)
    put(&w, bytes, SIGNATURE);
  while (!done && (clean || !before_data(&w))) {
    int status = next_chunk(&w, &c);
    if (status == 0)
      status = read_chunk(&w, &c, &done);
    if (status < 0)
      return status;
  }
  if (clean)
    *clean_size = w.used;
  return 0;
}
