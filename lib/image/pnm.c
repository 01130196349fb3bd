/* SPDX-License-Identifier: MIT */
/* Reads the portable anymaps: P1 to P3 as text, P4 to P6 as bytes, for one bit
 * (P1, P4), grey (P2, P5) and RGB (P3, P6), up to 16 bits a sample. */
#include "image/image.h"

struct pnm {
  const unsigned char *bytes;
  size_t size, pos;
  int kind; /* 1 to 6 */
  uint32_t width, height, maximum;
};

static int damaged(struct error *e, const char *what) {
  return imgrec__fail(e, IMGREC_ERR_FORMAT, "damaged PNM: %s", what);
}

/* ---- Text --------------------------------------------------------------- */

static int is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int peek(const struct pnm *p) {
  return p->pos < p->size ? p->bytes[p->pos] : -1;
}

/* White space, and comments from # to the end of the line. */
static void skip_space(struct pnm *p) {
  for (; is_space(peek(p)) || peek(p) == '#'; p->pos++)
    if (peek(p) == '#')
      while (peek(p) >= 0 && peek(p) != '\n' && peek(p) != '\r')
        p->pos++;
  p->pos = min_size(p->pos, p->size);
}

/* A decimal number of at most seven digits: no size needs more. */
static int read_number(struct pnm *p, uint32_t *out) {
  uint32_t value = 0;
  int digits = 0;
  skip_space(p);
  for (; peek(p) >= '0' && peek(p) <= '9' && digits < 8; p->pos++, digits++)
    value = value * 10 + (uint32_t)(peek(p) - '0');
  *out = value;
  return digits > 0 && digits < 8;
}

/* ---- Header ------------------------------------------------------------- */

static int is_bits(const struct pnm *p) { return p->kind == 1 || p->kind == 4; }

static int channels_of(const struct pnm *p) { return p->kind % 3 == 0 ? 3 : 1; }

static int read_header(struct pnm *p, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct pnm init = {bytes, size, 2, bytes[1] - '0', 0, 0, 1};
  *p = init;
  if (!read_number(p, &p->width) || !read_number(p, &p->height) ||
      (!is_bits(p) && !read_number(p, &p->maximum)))
    return damaged(e, "its header is not one");
  if (!is_space(peek(p)))
    return damaged(e, "its header is not one");
  p->pos++;
  if (p->maximum < 1 || p->maximum > 65535)
    return damaged(e, "its maximum is not within 1 to 65535");
  return imgrec__check_size(e, "PNM", p->height, p->width);
}

int imgrec__pnm_header(struct picture *out, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct pnm p;
  int status = read_header(&p, e, bytes, size);
  if (status < 0)
    return status;
  out->height = (int)p.height;
  out->width = (int)p.width;
  out->channels = channels_of(&p);
  return 0;
}

/* ---- Samples ------------------------------------------------------------ */

/* v * 255 / maximum, rounded. */
static unsigned char to_byte(const struct pnm *p, uint32_t v) {
  return (unsigned char)((v * 255 + p->maximum / 2) / p->maximum);
}

/* One bit as text is one character, with or without space; 1 is black. */
static int read_bit(struct pnm *p, uint32_t *out) {
  skip_space(p);
  int c = peek(p);
  if (c != '0' && c != '1')
    return 0;
  *out = c == '0';
  p->pos++;
  return 1;
}

static int decode_text(struct pnm *p, unsigned char *dst, size_t n,
                       struct error *e) {
  for (size_t i = 0; i < n; i++) {
    uint32_t v;
    int ok = p->kind == 1 ? read_bit(p, &v) : read_number(p, &v);
    if (!ok || v > p->maximum)
      return damaged(e, !ok && peek(p) < 0
                            ? "the file ends before the picture does"
                            : "a sample is no number within its range");
    dst[i] = to_byte(p, v);
  }
  return 0;
}

static void decode_bits(const struct pnm *p, unsigned char *dst) {
  size_t stride = ceil_div(p->width, 8);
  for (size_t y = 0; y < p->height; y++) {
    const unsigned char *row = p->bytes + p->pos + y * stride;
    for (size_t x = 0; x < p->width; x++)
      *dst++ = row[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
  }
}

static int decode_samples(const struct pnm *p, unsigned char *dst, size_t n,
                          size_t bytes, struct error *e) {
  const unsigned char *src = p->bytes + p->pos;
  for (size_t i = 0; i < n; i++, src += bytes) {
    uint32_t v = bytes == 1 ? src[0] : (uint32_t)(src[0] << 8 | src[1]);
    if (v > p->maximum)
      return damaged(e, "a sample is larger than its maximum");
    dst[i] = to_byte(p, v);
  }
  return 0;
}

int imgrec__pnm_decode(unsigned char *dst, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct pnm p;
  int status = read_header(&p, e, bytes, size);
  if (status < 0)
    return status;
  size_t n = (size_t)p.width * p.height * (size_t)channels_of(&p);
  if (p.kind <= 3)
    return decode_text(&p, dst, n, e);
  size_t sample = p.maximum > 255 ? 2 : 1;
  size_t need = p.kind == 4 ? ceil_div(p.width, 8) * p.height : n * sample;
  if (p.size - p.pos < need)
    return damaged(e, "the file ends before the picture does");
  if (p.kind != 4)
    return decode_samples(&p, dst, n, sample, e);
  decode_bits(&p, dst);
  return 0;
}
