/* SPDX-License-Identifier: MIT */
/* Image files for tests, written byte by byte so that each can be wrong in
 * just the way a test wants. */
#ifndef IMAGE_FILES_H
#define IMAGE_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
  unsigned char data[1 << 17];
  size_t size;
};

static inline void put(struct bytes *b, const void *p, size_t n) {
  memcpy(b->data + b->size, p, n);
  b->size += n;
}

static inline void put8(struct bytes *b, unsigned v) {
  b->data[b->size++] = (unsigned char)v;
}

static inline void put16(struct bytes *b, unsigned v) {
  put8(b, v >> 8);
  put8(b, v);
}

static inline void put32(struct bytes *b, uint32_t v) {
  put16(b, v >> 16);
  put16(b, v & 0xFFFF);
}

static inline void put16le(struct bytes *b, unsigned v) {
  put8(b, v);
  put8(b, v >> 8);
}

static inline void put32le(struct bytes *b, uint32_t v) {
  put16le(b, v & 0xFFFF);
  put16le(b, v >> 16);
}

/* Where `n` bytes of `what` begin, from the start; size where they are not. */
static inline size_t find(const struct bytes *b, const void *what, size_t n) {
  for (size_t i = 0; i + n <= b->size; i++)
    if (memcmp(b->data + i, what, n) == 0)
      return i;
  return b->size;
}

/* ---- EXIF: a TIFF structure whose only entry is the orientation --------- */

static inline void put_tiff(struct bytes *b, int big_endian, unsigned value) {
  void (*w16)(struct bytes *, unsigned) = big_endian ? put16 : put16le;
  void (*w32)(struct bytes *, uint32_t) = big_endian ? put32 : put32le;
  put(b, big_endian ? "MM" : "II", 2);
  w16(b, 42);
  w32(b, 8);
  w16(b, 1);
  w16(b, 0x0112);
  w16(b, 3);
  w32(b, 1);
  w16(b, value);
  w16(b, 0);
  w32(b, 0);
}

/* ---- PNG: unpacked deflate blocks --------------------------------------- */

static inline uint32_t crc_of(const unsigned char *p, size_t n) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++)
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

static inline void png_chunk(struct bytes *b, const char *type, const void *p,
                             size_t n) {
  put32(b, (uint32_t)n);
  size_t at = b->size;
  put(b, type, 4);
  put(b, p, n);
  put32(b, crc_of(b->data + at, n + 4));
}

static inline void png_header(struct bytes *b, uint32_t height, uint32_t width,
                              unsigned depth, unsigned colour) {
  struct bytes h = {.size = 0};
  put(b, "\x89PNG\r\n\x1a\n", 8);
  put32(&h, width);
  put32(&h, height);
  put8(&h, depth);
  put8(&h, colour);
  put(&h, "\0\0\0", 3);
  png_chunk(b, "IHDR", h.data, h.size);
}

/* rows: filter byte and samples of each row, less than 64 KiB in all. */
static inline void png_data(struct bytes *b, const void *rows, size_t n) {
  struct bytes z = {.size = 0};
  const unsigned char *p = rows;
  uint32_t s1 = 1, s2 = 0;
  put(&z, "\x78\x01\x01", 3);
  put16le(&z, (unsigned)n);
  put16le(&z, ~(unsigned)n);
  put(&z, rows, n);
  for (size_t i = 0; i < n; i++) {
    s1 = (s1 + p[i]) % 65521;
    s2 = (s2 + s1) % 65521;
  }
  put32(&z, s2 << 16 | s1);
  png_chunk(b, "IDAT", z.data, z.size);
}

static inline void png_file(struct bytes *b, uint32_t height, uint32_t width,
                            unsigned depth, unsigned colour, const void *rows,
                            size_t n) {
  b->size = 0;
  png_header(b, height, width, depth, colour);
  png_data(b, rows, n);
  png_chunk(b, "IEND", "", 0);
}

/* ---- JPEG: blocks of one level each ------------------------------------- */

struct bits {
  struct bytes *to;
  unsigned value, count;
};

static inline void put_bits(struct bits *b, unsigned value, unsigned n) {
  while (n-- > 0) {
    b->value = b->value << 1 | (value >> n & 1);
    if (++b->count == 8) {
      put8(b->to, b->value & 0xFF);
      if ((b->value & 0xFF) == 0xFF)
        put8(b->to, 0);
      b->count = 0;
    }
  }
}

static inline void flush_bits(struct bits *b) {
  while (b->count)
    put_bits(b, 1, 1);
}

static inline void jpeg_marker(struct bytes *b, unsigned code, const void *p,
                               size_t n) {
  put16(b, 0xFF00 | code);
  put16(b, (unsigned)n + 2);
  put(b, p, n);
}

/* All tables of number 0: quantisation by 8; DC sizes 0 to 11 as codes of four
 * bits; AC has nothing but the end of block, as one bit 0. */
static inline void jpeg_tables(struct bytes *b) {
  unsigned char quant[65], dc[29] = {0}, ac[18] = {0};
  memset(quant, 8, sizeof quant);
  quant[0] = 0;
  dc[4] = 12;
  for (int i = 0; i < 12; i++)
    dc[17 + i] = (unsigned char)i;
  ac[0] = 0x10;
  ac[1] = 1;
  jpeg_marker(b, 0xDB, quant, sizeof quant);
  jpeg_marker(b, 0xC4, dc, sizeof dc);
  jpeg_marker(b, 0xC4, ac, sizeof ac);
}

static inline void jpeg_frame(struct bytes *b, unsigned code, unsigned height,
                              unsigned width, unsigned components) {
  struct bytes f = {.size = 0};
  put8(&f, 8);
  put16(&f, height);
  put16(&f, width);
  put8(&f, components);
  for (unsigned i = 1; i <= components; i++) {
    put8(&f, i);
    put16(&f, 0x1100);
  }
  jpeg_marker(b, code, f.data, f.size);
}

static inline void jpeg_scan_header(struct bytes *b, unsigned components) {
  struct bytes s = {.size = 0};
  put8(&s, components);
  for (unsigned i = 1; i <= components; i++)
    put16(&s, i << 8);
  put(&s, "\0\x3F\0", 3);
  jpeg_marker(b, 0xDA, s.data, s.size);
}

/* levels: a sample for each block and component; a restart marker after each
 * `restart` units, 0: none. */
static inline void jpeg_data(struct bytes *b, const unsigned char *levels,
                             size_t units, unsigned components,
                             size_t restart) {
  struct bits out = {b, 0, 0};
  int last[4] = {128, 128, 128, 128};
  unsigned restarts = 0;
  for (size_t u = 0; u < units; u++) {
    if (restart && u && u % restart == 0) {
      flush_bits(&out);
      put16(b, 0xFFD0 | (restarts++ & 7));
      for (int i = 0; i < 4; i++)
        last[i] = 128;
    }
    for (unsigned i = 0; i < components; i++) {
      int level = levels[u * components + i], diff = level - last[i];
      unsigned size = 0, magnitude = (unsigned)(diff < 0 ? -diff : diff);
      while (magnitude >> size)
        size++;
      put_bits(&out, size, 4);
      put_bits(&out, (unsigned)(diff < 0 ? diff - 1 : diff), size);
      put_bits(&out, 0, 1);
      last[i] = level;
    }
  }
  flush_bits(&out);
}

static inline void jpeg_begin(struct bytes *b) {
  b->size = 0;
  put16(b, 0xFFD8);
}

static inline void jpeg_file(struct bytes *b, unsigned height, unsigned width,
                             unsigned components, const unsigned char *levels) {
  size_t units = (size_t)((height + 7) / 8) * ((width + 7) / 8);
  jpeg_begin(b);
  jpeg_tables(b);
  jpeg_frame(b, 0xC0, height, width, components);
  jpeg_scan_header(b, components);
  jpeg_data(b, levels, units, components, 0);
  put16(b, 0xFFD9);
}

/* ---- BMP ---------------------------------------------------------------- */

/* File header and Windows 3 header; the palette and the pixels follow. */
static inline void bmp_header(struct bytes *b, int32_t height, int32_t width,
                              unsigned bits, unsigned compression,
                              unsigned colours) {
  unsigned masks = compression == 3 ? 12 : 0;
  b->size = 0;
  put(b, "BM", 2);
  put32le(b, 0);
  put32le(b, 0);
  put32le(b, 54 + masks + 4 * colours);
  put32le(b, 40);
  put32le(b, (uint32_t)width);
  put32le(b, (uint32_t)height);
  put16le(b, 1);
  put16le(b, bits);
  put32le(b, compression);
  put32le(b, 0);
  put32le(b, 0);
  put32le(b, 0);
  put32le(b, colours);
  put32le(b, 0);
}

#endif
