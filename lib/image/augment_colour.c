/* SPDX-License-Identifier: MIT */
/* Brightness, contrast, saturation and hue as one matrix on R, G, B. */
#include "image/image.h"

/* ITU-R BT.601: Y = LUMA . (R, G, B); U = U_SCALE (B - Y), V = V_SCALE (R - Y),
 * of which hue is the angle. */
static const double LUMA[3] = {0.299, 0.587, 0.114};
#define U_SCALE 0.492111
#define V_SCALE 0.877283

/* v becomes m v + add. */
struct colours {
  double m[3][3], add;
};

/* factor v + (1 - factor) luma(v) + turn's part: (U, V) turned and scaled.
 * In U and V a quarter turn is R += U / V_SCALE, B -= V / U_SCALE, and G what
 * keeps the luma. */
static void saturate(struct colours *c, double saturation, float hue) {
  struct turn t = imgrec__turn(hue);
  const double unit = (double)((int64_t)1 << IMGREC__TURN_BITS);
  double cosine = (double)t.cosine / unit * saturation;
  double sine = (double)t.sine / unit * saturation;
  for (int j = 0; j < 3; j++) {
    double blue = ((j == 2) - LUMA[j]) * U_SCALE / V_SCALE;
    double red = ((j == 0) - LUMA[j]) * V_SCALE / U_SCALE;
    double quarter[3] = {blue, 0.0, -red};
    quarter[1] = -(LUMA[0] * quarter[0] + LUMA[2] * quarter[2]) / LUMA[1];
    for (int i = 0; i < 3; i++)
      c->m[i][j] = LUMA[j] + cosine * ((i == j) - LUMA[j]) + sine * quarter[i];
  }
}

/* Saturation and hue leave luma and greys as they are, so that brightness and
 * contrast, though they come first, can scale the whole. */
static void scale(struct colours *c, const struct recipe *r, double mean) {
  double factor = r->brightness * r->contrast;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      c->m[i][j] *= factor;
  c->add = (1.0 - r->contrast) * r->brightness * mean;
}

static double mean_luma(const struct pixels *p) {
  size_t n = (size_t)p->height * (size_t)p->width;
  uint64_t sum[3] = {0};
  if (p->channels == 1) {
    for (size_t i = 0; i < n; i++)
      sum[0] += p->data[i];
    return (double)sum[0] / (double)n;
  }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < 3; k++)
      sum[k] += p->data[3 * i + k];
  double luma = 0.0;
  for (int k = 0; k < 3; k++)
    luma += LUMA[k] * (double)sum[k];
  return luma / (double)n;
}

/* ---- On pixels, in fixed point ------------------------------------------ */

#define BITS 14

static int32_t to_fixed(double v) {
  return (int32_t)(v * (1 << BITS) + (v < 0.0 ? -0.5 : 0.5));
}

static unsigned char to_byte(int32_t sum) {
  sum = sum < 0 ? 0 : sum >> BITS;
  return (unsigned char)(sum > 255 ? 255 : sum);
}

static void apply_grey(unsigned char *p, size_t n, double factor, double add) {
  unsigned char table[256];
  int32_t f = to_fixed(factor), a = to_fixed(add) + (1 << (BITS - 1));
  for (int v = 0; v < 256; v++)
    table[v] = to_byte(f * v + a);
  for (size_t i = 0; i < n; i++)
    p[i] = table[p[i]];
}

static void apply(unsigned char *p, size_t n, const struct colours *c) {
  int32_t m[3][3], a = to_fixed(c->add) + (1 << (BITS - 1));
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      m[i][j] = to_fixed(c->m[i][j]);
  for (size_t i = 0; i < n; i++, p += 3) {
    int32_t r = p[0], g = p[1], b = p[2];
    p[0] = to_byte(m[0][0] * r + m[0][1] * g + m[0][2] * b + a);
    p[1] = to_byte(m[1][0] * r + m[1][1] * g + m[1][2] * b + a);
    p[2] = to_byte(m[2][0] * r + m[2][1] * g + m[2][2] * b + a);
  }
}

void imgrec__augment_colour(struct pixels *image, const struct recipe *r) {
  size_t n = (size_t)image->height * (size_t)image->width;
  int grey = image->channels == 1;
  if (r->brightness == 1.0 && r->contrast == 1.0 &&
      (grey || (r->saturation == 1.0 && r->hue == 0.0f)))
    return;
  struct colours c = {.add = 0.0};
  double mean = r->contrast == 1.0 ? 0.0 : mean_luma(image);
  saturate(&c, r->saturation, r->hue);
  scale(&c, r, mean);
  if (grey)
    apply_grey(image->data, n, r->brightness * r->contrast, c.add);
  else
    apply(image->data, n, &c);
}
