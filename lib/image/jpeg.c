/* SPDX-License-Identifier: MIT */
/* Walks over the segments of a JPEG file (ITU-T T.81) and copies the ones that
 * make the picture, having checked every number a decoder would trust: tables
 * are whole and prefix codes, scans use only tables and components that exist,
 * and the compressed data are neither cut off nor too short for the size. */
#include <string.h>

#include "image/image.h"

/* Files of many scans over a large picture cost much time for few bytes;
 * encoders write about ten. */
#define MAX_SCANS 100

struct component {
  int id, h, v, quant;
};

struct walk {
  const unsigned char *bytes;
  size_t size, pos;
  unsigned char *out; /* NULL: the header is enough */
  size_t used;
  struct picture *picture;
  struct error *error;
  struct component component[4];
  int components; /* 0 before the frame header */
  int h_max, v_max;
  int progressive;
  int adobe; /* the Adobe segment's colour transform, -1 without one */
  int restart_interval;
  int scans;
  /* Bit i: quantisation, DC or AC table i exists; component i had a scan. */
  unsigned quant, dc, ac, scanned;
};

static int damaged(struct walk *w, const char *what) {
  return imgrec__fail(w->error, IMGREC_ERR_FORMAT, "damaged JPEG: %s", what);
}

static int truncated(struct walk *w) {
  return damaged(w, "the file ends before the picture does");
}

static int unsupported(struct walk *w, const char *what) {
  return imgrec__fail(w->error, IMGREC_ERR_UNSUPPORTED,
                      "JPEG with %s; only 8-bit Huffman-coded grey, colour and "
                      "Adobe CMYK are read",
                      what);
}

/* ---- The copy ----------------------------------------------------------- */

static void put(struct walk *w, const unsigned char *p, size_t n) {
  if (!w->out)
    return;
  memcpy(w->out + w->used, p, n);
  w->used += n;
}

static void put_marker(struct walk *w, int marker) {
  unsigned char m[2] = {0xFF, (unsigned char)marker};
  put(w, m, 2);
}

static void put_segment(struct walk *w, int marker, const unsigned char *p,
                        size_t n) {
  unsigned char length[2] = {(unsigned char)((n + 2) >> 8),
                             (unsigned char)(n + 2)};
  put_marker(w, marker);
  put(w, length, 2);
  put(w, p, n);
}

/* ---- Tables ------------------------------------------------------------- */

/* DQT: (precision and number, 64 bytes or words)+ */
static int check_quant(struct walk *w, const unsigned char *p, size_t n) {
  while (n > 0) {
    int wide = p[0] >> 4, number = p[0] & 15;
    size_t need = 1 + (wide ? 128 : 64);
    if (wide > 1 || number > 3 || n < need)
      return damaged(w, "a quantisation table is not one");
    w->quant |= 1u << number;
    p += need;
    n -= need;
  }
  return 0;
}

/* Are 16 counts of code lengths those of a prefix code that leaves the code of
 * ones free, as the standard asks?  Returns the number of codes, or -1.  No
 * 8-bit picture needs 256 of them, and stb_image cannot address that many. */
static int code_count(const unsigned char counts[16]) {
  int codes = 0;
  unsigned next = 0;
  for (unsigned length = 1; length <= 16; length++) {
    next += counts[length - 1];
    codes += counts[length - 1];
    if (counts[length - 1] && next >= 1u << length)
      return -1;
    next <<= 1;
  }
  return codes <= 255 ? codes : -1;
}

/* DHT: (class and number, 16 counts, a symbol for each code)+ */
static int check_huffman(struct walk *w, const unsigned char *p, size_t n) {
  while (n > 0) {
    int is_ac = p[0] >> 4, number = p[0] & 15;
    int codes = n < 17 ? -1 : code_count(p + 1);
    if (is_ac > 1 || number > 3 || codes < 0 || n < 17 + (size_t)codes)
      return damaged(w, "a Huffman table is not one");
    for (int i = 0; i < codes && !is_ac; i++)
      if (p[17 + i] > 15)
        return damaged(w, "a Huffman table has symbols that DC cannot have");
    *(is_ac ? &w->ac : &w->dc) |= 1u << number;
    p += 17 + codes;
    n -= 17 + (size_t)codes;
  }
  return 0;
}

static int check_restart(struct walk *w, const unsigned char *p, size_t n) {
  if (n != 2)
    return damaged(w, "the restart interval is not one");
  w->restart_interval = p[0] << 8 | p[1];
  return 0;
}

/* ---- Frame -------------------------------------------------------------- */

static int check_sampling(struct walk *w) {
  w->h_max = w->v_max = 1;
  for (int i = 0; i < w->components; i++) {
    const struct component *c = &w->component[i];
    if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4 || c->quant > 3)
      return damaged(w, "a component's sampling is impossible");
    w->h_max = c->h > w->h_max ? c->h : w->h_max;
    w->v_max = c->v > w->v_max ? c->v : w->v_max;
  }
  for (int i = 0; i < w->components; i++)
    if (w->h_max % w->component[i].h || w->v_max % w->component[i].v)
      return unsupported(w, "fractional sampling");
  return 0;
}

static int check_colour(struct walk *w) {
  int n = w->components;
  if (n != 1 && n != 3 && n != 4)
    return unsupported(w, "a number of components other than 1, 3 or 4");
  if (n == 4 && w->adobe != 0 && w->adobe != 2)
    return unsupported(w, "four components of unknown meaning");
  return 0;
}

/* SOF: precision, height, width, count, (id, sampling, table) each. */
static int check_frame(struct walk *w, int marker, const unsigned char *p,
                       size_t n) {
  if (w->components)
    return damaged(w, "it has two frame headers");
  if (n < 6 || n != 6 + 3 * (size_t)p[5])
    return damaged(w, "the frame header has the wrong length");
  if (p[0] != 8)
    return unsupported(w, "more than 8 bits a sample");
  struct picture *picture = w->picture;
  picture->height = p[1] << 8 | p[2];
  picture->width = p[3] << 8 | p[4];
  int status =
      imgrec__check_size(w->error, "JPEG", picture->height, picture->width);
  if (status < 0)
    return status;
  w->components = p[5];
  w->progressive = marker == 0xC2;
  picture->channels = w->components == 1 ? 1 : 3;
  status = check_colour(w);
  for (int i = 0; i < w->components && status == 0; i++) {
    const unsigned char *q = p + 6 + 3 * i;
    struct component c = {q[0], q[1] >> 4, q[1] & 15, q[2]};
    w->component[i] = c;
  }
  return status < 0 ? status : check_sampling(w);
}

/* ---- Scan --------------------------------------------------------------- */

struct scan {
  int count, component[4]; /* indices into the frame's */
  int start, end, high, low;
  size_t mcus, blocks; /* coded units; 8 x 8 blocks in all of them */
};

static size_t units(int pixels, int sampling, int max, int size) {
  size_t samples = ceil_div((size_t)pixels * (size_t)sampling, (size_t)max);
  return ceil_div(samples, (size_t)size);
}

/* A scan of one component has the blocks that hold its samples; one of several
 * has whole units of h_max x v_max blocks. */
static void measure_scan(const struct walk *w, struct scan *s) {
  int height = w->picture->height, width = w->picture->width;
  if (s->count == 1) {
    const struct component *c = &w->component[s->component[0]];
    s->mcus =
        units(width, c->h, w->h_max, 8) * units(height, c->v, w->v_max, 8);
    s->blocks = s->mcus;
    return;
  }
  s->mcus =
      units(width, 1, 1, 8 * w->h_max) * units(height, 1, 1, 8 * w->v_max);
  s->blocks = 0;
  for (int i = 0; i < s->count; i++) {
    const struct component *c = &w->component[s->component[i]];
    s->blocks += s->mcus * (size_t)(c->h * c->v);
  }
}

static int check_progression(struct walk *w, const struct scan *s) {
  if (!w->progressive) {
    if (s->start || s->high || s->low)
      return damaged(w, "a sequential scan has a progressive header");
    return 0;
  }
  int dc = s->start == 0;
  if (s->end > 63 || s->start > s->end || s->high > 13 || s->low > 13 ||
      (dc && s->end != 0) || (!dc && s->count != 1))
    return damaged(w, "a scan's progression is impossible");
  return 0;
}

/* The tables that scan entry i names exist, as far as the scan needs them. */
static int check_scan_tables(struct walk *w, const struct scan *s, int i,
                             int tables) {
  int dc = tables >> 4, ac = tables & 15;
  int needs_dc = !w->progressive || (s->start == 0 && s->high == 0);
  int needs_ac = !w->progressive || s->start > 0;
  if (dc > 3 || ac > 3 || (needs_dc && !(w->dc >> dc & 1)) ||
      (needs_ac && !(w->ac >> ac & 1)))
    return damaged(w, "a scan names a Huffman table that is not there");
  if (!(w->quant >> w->component[s->component[i]].quant & 1))
    return damaged(w, "a scan needs a quantisation table that is not there");
  return 0;
}

static int find_component(const struct walk *w, int id) {
  for (int i = 0; i < w->components; i++)
    if (w->component[i].id == id)
      return i;
  return -1;
}

/* SOS: count, (component, tables) each, start, end, approximation. */
static int check_scan(struct walk *w, struct scan *s, const unsigned char *p,
                      size_t n) {
  if (!w->components)
    return damaged(w, "a scan comes before the frame header");
  if (++w->scans > MAX_SCANS)
    return damaged(w, "it has more than 100 scans");
  if (n < 6 || p[0] < 1 || p[0] > w->components || n != 4 + 2 * (size_t)p[0])
    return damaged(w, "a scan header has the wrong length");
  s->count = p[0];
  const unsigned char *tail = p + 1 + 2 * s->count;
  s->start = tail[0];
  s->end = tail[1];
  s->high = tail[2] >> 4;
  s->low = tail[2] & 15;
  int status = check_progression(w, s);
  unsigned in_scan = 0;
  for (int i = 0; i < s->count && status == 0; i++) {
    s->component[i] = find_component(w, p[1 + 2 * i]);
    if (s->component[i] < 0 || (in_scan >> s->component[i] & 1))
      return damaged(w, "a scan names a component wrongly");
    in_scan |= 1u << s->component[i];
    status = check_scan_tables(w, s, i, p[2 + 2 * i]);
  }
  if (s->start == 0)
    w->scanned |= in_scan;
  measure_scan(w, s);
  return status;
}

/* Copies entropy-coded bytes up to the next marker that is no restart. */
static int copy_entropy(struct walk *w, size_t *bytes, size_t *restarts) {
  size_t begin = w->pos;
  for (;;) {
    const unsigned char *from = w->bytes + w->pos;
    const unsigned char *ff = memchr(from, 0xFF, w->size - w->pos);
    if (!ff)
      return truncated(w);
    size_t at = (size_t)(ff - w->bytes) + 1;
    while (at < w->size && w->bytes[at] == 0xFF)
      at++;
    if (at == w->size)
      return truncated(w);
    put(w, from, (size_t)(ff - from));
    int code = w->bytes[at];
    int restart = code >= 0xD0 && code <= 0xD7;
    *bytes = (size_t)(ff - w->bytes) - begin;
    w->pos = at - 1;
    if (code != 0 && !restart)
      return 0;
    put_marker(w, code);
    *restarts += (size_t)restart;
    w->pos = at + 1;
  }
}

/* Every block takes at least a bit for DC and, in a sequential scan, one for
 * AC; and each restart interval ends in its marker.  Less means that the data
 * were lost, and a decoder would invent the rest. */
static int copy_scan(struct walk *w, const unsigned char *p, size_t n) {
  struct scan s = {0};
  size_t bytes = 0, restarts = 0;
  int status = check_scan(w, &s, p, n);
  if (status < 0)
    return status;
  put_segment(w, 0xDA, p, n);
  status = copy_entropy(w, &bytes, &restarts);
  if (status < 0)
    return status;
  size_t bits = !w->progressive ? 2 * s.blocks : s.start == 0 ? s.blocks : 0;
  if (bytes < bits / 8)
    return damaged(w, "its data are too short for its size");
  if (w->restart_interval &&
      restarts < (s.mcus - 1) / (size_t)w->restart_interval)
    return damaged(w, "restart intervals are missing");
  return 0;
}

/* ---- Application data --------------------------------------------------- */

static void read_exif(struct walk *w, const unsigned char *p, size_t n) {
  if (!w->components && n >= 6 && memcmp(p, "Exif\0\0", 6) == 0)
    w->picture->orientation = imgrec__exif_orientation(p + 6, n - 6);
}

/* The two that say what the components mean. */
static void copy_application(struct walk *w, int marker, const unsigned char *p,
                             size_t n) {
  if (marker == 0xE0 && n >= 5 && memcmp(p, "JFIF", 5) == 0)
    put_segment(w, marker, p, n);
  if (marker == 0xEE && n >= 12 && memcmp(p, "Adobe", 5) == 0) {
    put_segment(w, marker, p, n);
    w->adobe = p[11];
  }
}

/* ---- The walk ----------------------------------------------------------- */

/* The code of the next marker, or -1 at the end.  What lies between segments
 * is skipped, as all decoders do. */
static int next_marker(struct walk *w) {
  for (;;) {
    while (w->pos < w->size && w->bytes[w->pos] != 0xFF)
      w->pos++;
    while (w->pos < w->size && w->bytes[w->pos] == 0xFF)
      w->pos++;
    if (w->pos == w->size)
      return -1;
    int code = w->bytes[w->pos++];
    if (code != 0)
      return code;
  }
}

static int is_frame(int marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
         marker != 0xCC;
}

static int walk_segment(struct walk *w, int marker, const unsigned char *p,
                        size_t n) {
  int status = 0;
  if (marker == 0xDA)
    return copy_scan(w, p, n);
  if (marker == 0xE1)
    read_exif(w, p, n);
  copy_application(w, marker, p, n);
  if (is_frame(marker) && marker > 0xC2)
    return unsupported(w, "a rare kind of coding");
  if (is_frame(marker))
    status = check_frame(w, marker, p, n);
  else if (marker == 0xC4)
    status = check_huffman(w, p, n);
  else if (marker == 0xDB)
    status = check_quant(w, p, n);
  else if (marker == 0xDD)
    status = check_restart(w, p, n);
  else
    return 0;
  if (status == 0)
    put_segment(w, marker, p, n);
  return status;
}

/* One marker and its segment; *done once enough was read. */
static int walk_step(struct walk *w, int *done) {
  int marker = next_marker(w);
  if (marker < 0)
    return truncated(w);
  if (marker == 0xD9) {
    *done = 1;
    put_marker(w, marker);
    return 0;
  }
  if (marker == 0xD8)
    return damaged(w, "a second picture begins inside it");
  if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7))
    return 0; /* these have no segment */
  if (w->size - w->pos < 2)
    return truncated(w);
  size_t n = (size_t)(w->bytes[w->pos] << 8 | w->bytes[w->pos + 1]);
  if (n < 2)
    return damaged(w, "a segment has an impossible length");
  if (n > w->size - w->pos)
    return truncated(w);
  const unsigned char *p = w->bytes + w->pos + 2;
  w->pos += n;
  int status = walk_segment(w, marker, p, n - 2);
  *done = !w->out && w->components;
  return status;
}

int imgrec__jpeg_clean(struct picture *out, unsigned char *clean,
                       size_t *clean_size, struct error *e,
                       const unsigned char *bytes, size_t size) {
  struct walk w = {.bytes = bytes,
                   .size = size,
                   .pos = 2,
                   .out = clean,
                   .picture = out,
                   .error = e,
                   .adobe = -1};
  int done = 0;
  out->orientation = 1;
  put_marker(&w, 0xD8);
  while (!done) {
    int status = walk_step(&w, &done);
    if (status < 0)
      return status;
  }
  if (!w.components)
    return damaged(&w, "it has no frame header");
  if (!clean)
    return 0;
  if (w.scanned != (1u << w.components) - 1)
    return damaged(&w, "a colour component is missing");
  *clean_size = w.used;
  return 0;
}
