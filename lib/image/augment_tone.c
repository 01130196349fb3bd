/* SPDX-License-Identifier: MIT */
/* What RandAugment does to values beside colour, as Pillow's ImageOps has it;
 * noise. */
#include <string.h>

#include "image/image.h"

static size_t byte_count(const struct pixels *p) {
  return (size_t)p->height * (size_t)p->width * (size_t)p->channels;
}

static unsigned char to_byte(float v) {
  v += 0.5f;
  return v >= 255.0f ? 255 : v > 0.0f ? (unsigned char)v : 0;
}

/* ---- Tables ------------------------------------------------------------- */

/* The lowest bits cleared: up to four of the eight. */
static void posterize(unsigned char *p, size_t n, float strength) {
  int bits = (int)(strength * 4.0f + 0.5f);
  unsigned char mask = (unsigned char)(0xff << bits & 0xff);
  for (size_t i = 0; i < n; i++)
    p[i] &= mask;
}

/* Values from a threshold on are inverted. */
static void solarize(unsigned char *p, size_t n, float strength) {
  int threshold = 256 - (int)(strength * 256.0f + 0.5f);
  for (size_t i = 0; i < n; i++)
    p[i] = p[i] >= threshold ? (unsigned char)(255 - p[i]) : p[i];
}

/* Each channel stretched so that it reaches from 0 to 255. */
static void autocontrast(unsigned char *p, size_t n, size_t c) {
  for (size_t k = 0; k < c; k++) {
    int low = 255, high = 0;
    unsigned char table[256];
    for (size_t i = k; i < n; i += c) {
      low = p[i] < low ? p[i] : low;
      high = p[i] > high ? p[i] : high;
    }
    if (high <= low)
      continue;
    for (int v = low; v <= high; v++)
      table[v] = (unsigned char)((510 * (v - low) + (high - low)) /
                                 (2 * (high - low)));
    for (size_t i = k; i < n; i += c)
      p[i] = table[p[i]];
  }
}

/* ---- Sharpness ---------------------------------------------------------- */

/* Away from the blurred image, or towards it. */
static int sharpen(struct pixels *image, float strength, struct allocator *a,
                   struct error *e) {
  size_t n = byte_count(image);
  unsigned char *smooth = imgrec__alloc(a, n);
  if (!smooth)
    return imgrec__fail_memory(e, a, "a blur");
  int status = imgrec__blur(smooth, image, 0.7f, a, e);
  for (size_t i = 0; i < n && status == 0; i++) {
    float v = (float)image->data[i], away = (float)(image->data[i] - smooth[i]);
    image->data[i] = to_byte(v + strength * away);
  }
  imgrec__free(a, smooth);
  return status;
}

int imgrec__augment_tones(struct pixels *image, const struct recipe *r,
                          struct allocator *a, struct error *e) {
  size_t n = byte_count(image), c = (size_t)image->channels;
  int status = IMGREC_OK;
  for (int i = 0; i < r->tone_count && status == IMGREC_OK; i++) {
    const struct tone *t = &r->tones[i];
    if (t->kind == TONE_SHARPNESS)
      status = sharpen(image, t->strength, a, e);
    else if (t->kind == TONE_POSTERIZE)
      posterize(image->data, n, t->strength);
    else if (t->kind == TONE_SOLARIZE)
      solarize(image->data, n, t->strength);
    else if (t->kind == TONE_AUTOCONTRAST)
      autocontrast(image->data, n, c);
    else
      imgrec__equalize(image->data, n / c, c);
  }
  return status;
}

/* ---- Noise -------------------------------------------------------------- */

/* The sum of a word's four bytes, of mean 510 and variance (256^2 - 1) / 3:
 * near enough to normal, and cut at 3.4 sigma. */
#define BYTES_MEAN  510.0f
#define BYTES_SIGMA 147.80054f

static float sum_of_bytes(uint32_t v) {
  v = (v & 0xff00ff) + (v >> 8 & 0xff00ff);
  return (float)((v & 0xffff) + (v >> 16));
}

void imgrec__augment_noise(struct pixels *image, const struct recipe *r) {
  size_t n = byte_count(image);
  float scale = r->noise / BYTES_SIGMA;
  for (size_t i = 0; i < n; i += 4) {
    struct random4 four =
        imgrec__random4(r->noise_seed, IMGREC__STREAM_NOISE, i / 4);
    for (size_t k = 0; k < 4 && i + k < n; k++) {
      float noise = (sum_of_bytes(four.v[k]) - BYTES_MEAN) * scale;
      image->data[i + k] = to_byte((float)image->data[i + k] + noise);
    }
  }
}
