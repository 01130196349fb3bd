/* SPDX-License-Identifier: MIT */
/* Says what kind of picture a file is, how large, and which way up. */
#include <string.h>

#include "image/image.h"

/* ---- EXIF --------------------------------------------------------------- */

struct tiff {
  const unsigned char *bytes;
  size_t size;
  int big_endian;
};

/* Both give 0 behind the end. */
static unsigned get16(const struct tiff *t, size_t at) {
  if (t->size < 2 || at > t->size - 2)
    return 0;
  const unsigned char *p = t->bytes + at;
  return t->big_endian ? (unsigned)(p[0] << 8 | p[1])
                       : (unsigned)(p[1] << 8 | p[0]);
}

static size_t get32(const struct tiff *t, size_t at) {
  size_t first = get16(t, at), second = get16(t, at + 2);
  return t->big_endian ? first << 16 | second : second << 16 | first;
}

int imgrec__exif_orientation(const unsigned char *tiff, size_t size) {
  enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };
  struct tiff t = {tiff, size, 0};
  if (size < 8 || (memcmp(tiff, "II", 2) != 0 && memcmp(tiff, "MM", 2) != 0))
    return 1;
  t.big_endian = tiff[0] == 'M';
  size_t directory = get32(&t, 4);
  if (get16(&t, 2) != 42 || directory > size)
    return 1;
  size_t count = get16(&t, directory);
  for (size_t i = 0; i < count; i++) {
    size_t at = directory + 2 + i * ENTRY;
    if (get16(&t, at) != TAG_ORIENTATION || get16(&t, at + 2) != TYPE_SHORT)
      continue;
    unsigned value = get16(&t, at + 8);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

/* ---- Headers ------------------------------------------------------------ */

int imgrec__check_size(struct error *e, const char *what, int64_t height,
                       int64_t width) {
  if (height < 1 || width < 1)
    return imgrec__fail(e, IMGREC_ERR_FORMAT,
                        "%s is %lld x %lld pixels, which is no picture", what,
                        (long long)height, (long long)width);
  if (height > IMGREC_IMAGE_MAX_SIDE || width > IMGREC_IMAGE_MAX_SIDE)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "%s is %lld x %lld pixels; at most %d a side are read",
                        what, (long long)height, (long long)width,
                        IMGREC_IMAGE_MAX_SIDE);
  if (height * width > IMGREC_IMAGE_MAX_PIXELS)
    return imgrec__fail(e, IMGREC_ERR_LIMIT,
                        "%s is %lld x %lld pixels; at most %d in all are read",
                        what, (long long)height, (long long)width,
                        IMGREC_IMAGE_MAX_PIXELS);
  return 0;
}

static int format_of(const unsigned char *b, size_t size) {
  static const unsigned char png[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
  if (size >= 3 && b[0] == 0xFF && b[1] == 0xD8 && b[2] == 0xFF)
    return PICTURE_JPEG;
  if (size >= sizeof png && memcmp(b, png, sizeof png) == 0)
    return PICTURE_PNG;
  if (size >= 2 && b[0] == 'B' && b[1] == 'M')
    return PICTURE_BMP;
  if (size >= 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6')
    return PICTURE_PNM;
  return PICTURE_NONE;
}

/* Pictures that are known by what they have at one place, and not read. */
static const struct {
  size_t at, n;
  const char *bytes, *name;
} foreign[] = {
    {0, 4, "GIF8", "GIF"},
    {8, 4, "WEBP", "WebP"},
    {0, 4, "II*\0", "TIFF"},
    {0, 4, "MM\0*", "TIFF"},
    {4, 8, "ftypavif", "AVIF"},
    {4, 8, "ftypavis", "AVIF"},
    {4, 7, "ftyphei", "HEIF"},
    {4, 7, "ftyphev", "HEIF"},
    {4, 8, "ftypmif1", "HEIF"},
    {4, 8, "ftypmsf1", "HEIF"},
    {0, 8, "\0\0\0\fJXL ", "JPEG XL"},
    {0, 2, "\xFF\n", "JPEG XL"},
    {0, 8, "\0\0\0\fjP  ", "JPEG 2000"},
};

static int fail_format(struct error *e, const unsigned char *b, size_t size) {
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    size_t at = foreign[i].at, n = foreign[i].n;
    if (size >= at + n && memcmp(b + at, foreign[i].bytes, n) == 0)
      return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                          "this is a %s image; only JPEG, PNG, BMP and PNM are "
                          "read",
                          foreign[i].name);
  }
  return imgrec__fail(e, IMGREC_ERR_UNSUPPORTED,
                      "not a JPEG, PNG, BMP or PNM image");
}

int imgrec__sniff(struct picture *out, struct error *e, const void *bytes,
                  size_t size) {
  struct picture p = {format_of(bytes, size), 0, 0, 0, 1};
  int status;
  switch (p.format) {
  case PICTURE_JPEG:
    status = imgrec__jpeg_clean(&p, NULL, NULL, e, bytes, size);
    break;
  case PICTURE_PNG:
    status = imgrec__png_clean(&p, NULL, NULL, e, bytes, size);
    break;
  case PICTURE_BMP:
    status = imgrec__bmp_header(&p, e, bytes, size);
    break;
  case PICTURE_PNM:
    status = imgrec__pnm_header(&p, e, bytes, size);
    break;
  default:
    return fail_format(e, bytes, size);
  }
  if (status < 0)
    return status;
  *out = p;
  return 0;
}

int imgrec__probe(struct error *e, const void *head, size_t head_size,
                  int *height, int *width, int *channels) {
  struct picture p;
  int status = imgrec__sniff(&p, e, head, head_size);
  if (status < 0)
    return status;
  /* Orientations from 5 on lie on their side. */
  *height = p.orientation < 5 ? p.height : p.width;
  *width = p.orientation < 5 ? p.width : p.height;
  *channels = p.channels;
  return 0;
}
