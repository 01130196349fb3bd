/* SPDX-License-Identifier: MIT */
/* Images that change values: brightness, contrast, saturation, equalisation,
 * blur and sharpening. */
#include <string.h>

#include "image/image.h"

static size_t pixel_count(const imgrec_tensor *image) {
  return (size_t)(image->shape[0] * image->shape[1]);
}

/* Rounded, and cut to a byte; NaN becomes 0. */
static unsigned char to_byte(float v) {
  v += 0.5f;
  return v >= 255.0f ? 255 : v > 0.0f ? (unsigned char)v : 0;
}

static int within(float v, float low, float high) {
  return v >= low && v <= high;
}

/* ---- Brightness, contrast, saturation ----------------------------------- */

/* grey + factor * (v - grey) for each byte v. */
static void blend_table(unsigned char table[256], float grey, float factor) {
  for (int v = 0; v < 256; v++)
    table[v] = to_byte(grey + factor * ((float)v - grey));
}

static void map_bytes(unsigned char *p, size_t n,
                      const unsigned char table[256]) {
  for (size_t i = 0; i < n; i++)
    p[i] = table[p[i]];
}

/* Rounded mean of the luma. */
static float mean_luma(const imgrec_tensor *image) {
  const unsigned char *p = image->data;
  size_t n = pixel_count(image), c = (size_t)image->shape[2];
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += c == 1 ? p[i] : imgrec__luma(p + 3 * i);
  return (float)((sum + n / 2) / n);
}

static void saturate(imgrec_tensor *image, float factor) {
  unsigned char *p = image->data;
  for (size_t i = 0; i < pixel_count(image); i++, p += 3) {
    float grey = (float)imgrec__luma(p);
    for (int k = 0; k < 3; k++)
      p[k] = to_byte(grey + factor * ((float)p[k] - grey));
  }
}

static int check_factors(struct error *e, const float factors[3]) {
  static const char *const names[3] = {"brightness", "contrast", "saturation"};
  for (int i = 0; i < 3; i++)
    if (!within(factors[i], 0.0f, 16.0f))
      return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "image_adjust: %s is not within 0 to 16", names[i]);
  return 0;
}

/* factors: of brightness, contrast and saturation. */
static void adjust(imgrec_tensor *t, const imgrec_tensor *image,
                   const float factors[3]) {
  unsigned char table[256];
  memcpy(t->data, image->data, t->nbytes);
  blend_table(table, 0.0f, factors[0]);
  map_bytes(t->data, t->nbytes, table);
  blend_table(table, mean_luma(t), factors[1]);
  map_bytes(t->data, t->nbytes, table);
  if (t->shape[2] == 3)
    saturate(t, factors[2]);
}

int imgrec_image_adjust(imgrec_tensor **out, const imgrec_tensor *image,
                        float brightness, float contrast, float saturation) {
  const float factors[3] = {brightness, contrast, saturation};
  imgrec_tensor *t;
  int status = imgrec__image_like(&t, out, image, "image_adjust");
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = check_factors(&t->context->error, factors);
  if (status == 0)
    adjust(t, image, factors);
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, status);
}

/* ---- Equalise ----------------------------------------------------------- */

/* Value v becomes 255 * (pixels below v) / (pixels below the largest value),
 * in whole steps; a channel of one value stays. */
static void equalize_table(unsigned char table[256],
                           const uint64_t count[256]) {
  uint64_t total = 0, last = 0;
  for (int v = 0; v < 256; v++) {
    total += count[v];
    last = count[v] ? count[v] : last;
  }
  uint64_t step = (total - last) / 255, below = step / 2;
  for (int v = 0; v < 256; v++) {
    uint64_t level = step ? below / step : (uint64_t)v;
    table[v] = (unsigned char)(level < 255 ? level : 255);
    below += count[v];
  }
}

void imgrec__equalize(unsigned char *pixels, size_t n, size_t c) {
  unsigned char table[256];
  for (size_t k = 0; k < c; k++) {
    uint64_t count[256] = {0};
    for (size_t i = k; i < n * c; i += c)
      count[pixels[i]]++;
    equalize_table(table, count);
    for (size_t i = k; i < n * c; i += c)
      pixels[i] = table[pixels[i]];
  }
}

int imgrec_image_equalize(imgrec_tensor **out, const imgrec_tensor *image) {
  imgrec_tensor *t;
  int status = imgrec__image_like(&t, out, image, "image_equalize");
  if (status < 0)
    return status;
  memcpy(t->data, image->data, t->nbytes);
  imgrec__equalize(t->data, pixel_count(t), (size_t)t->shape[2]);
  return imgrec__image_end(out, t, 0);
}

/* ---- Blur --------------------------------------------------------------- */

/* Weights of a Gaussian cut at three sigma, in BLUR_BITS fraction bits; the
 * middle one takes what rounding leaves, so that they sum to one exactly. */
#define BLUR_BITS  16
#define MAX_SIGMA  64
#define MAX_RADIUS (3 * MAX_SIGMA)

struct gaussian {
  int radius;
  uint32_t weight[MAX_RADIUS + 1]; /* by distance */
};

/* exp(-x), 0 <= x <= 8: Taylor for x / 32, then squared five times. */
static double exp_minus(double x) {
  double y = -x / 32.0, s = 1.0;
  for (int n = 12; n >= 1; n--)
    s = 1.0 + s * y / n;
  for (int i = 0; i < 5; i++)
    s *= s;
  return s;
}

static void gaussian_of(struct gaussian *g, float sigma) {
  double wide = 3.0 * (double)sigma, sum = 1.0;
  double scale = 1.0 / (2.0 * (double)sigma * (double)sigma);
  g->radius = (int)wide;
  for (int i = 1; i <= g->radius; i++)
    sum += 2.0 * exp_minus(i * i * scale);
  g->weight[0] = (uint32_t)1 << BLUR_BITS;
  for (int i = 1; i <= g->radius; i++) {
    double w = exp_minus(i * i * scale) / sum * (1 << BLUR_BITS);
    g->weight[i] = (uint32_t)(w + 0.5);
    g->weight[0] -= 2 * g->weight[i];
  }
}

static size_t clamp(ptrdiff_t i, size_t n) {
  return i < 0 ? 0 : (size_t)i < n ? (size_t)i : n - 1;
}

/* One byte of a row of n pixels, c bytes apart. */
static unsigned char blur_byte(const unsigned char *src, ptrdiff_t x, size_t n,
                               size_t c, const struct gaussian *g) {
  uint32_t sum = (1u << (BLUR_BITS - 1)) + g->weight[0] * src[(size_t)x * c];
  for (int i = 1; i <= g->radius; i++)
    sum += g->weight[i] *
           ((uint32_t)src[clamp(x - i, n) * c] + src[clamp(x + i, n) * c]);
  return (unsigned char)(sum >> BLUR_BITS);
}

/* dst, src: n pixels of c bytes; the border repeats.  sums: n * c numbers. */
static void blur_row(unsigned char *dst, const unsigned char *src, size_t n,
                     size_t c, const struct gaussian *g, uint32_t *sums) {
  size_t edge = min_size((size_t)g->radius, n), middle = n - edge;
  for (size_t x = 0; x < n; x++)
    for (size_t k = 0; k < c && (x < edge || x >= middle); k++)
      dst[x * c + k] = blur_byte(src + k, (ptrdiff_t)x, n, c, g);
  for (size_t i = edge * c; i < middle * c; i++)
    sums[i] = (1u << (BLUR_BITS - 1)) + g->weight[0] * src[i];
  for (size_t k = 1; k <= (size_t)g->radius; k++)
    for (size_t i = edge * c; i < middle * c; i++)
      sums[i] += g->weight[k] * ((uint32_t)src[i - k * c] + src[i + k * c]);
  for (size_t i = edge * c; i < middle * c; i++)
    dst[i] = (unsigned char)(sums[i] >> BLUR_BITS);
}

/* Row y of dst from h rows of n bytes; sums: n numbers. */
static void blur_column(unsigned char *dst, const unsigned char *src, size_t y,
                        size_t h, size_t n, const struct gaussian *g,
                        uint32_t *sums) {
  for (size_t x = 0; x < n; x++)
    sums[x] = (1u << (BLUR_BITS - 1)) + g->weight[0] * src[y * n + x];
  for (int i = 1; i <= g->radius; i++) {
    const unsigned char *above = src + clamp((ptrdiff_t)y - i, h) * n;
    const unsigned char *below = src + clamp((ptrdiff_t)y + i, h) * n;
    uint32_t weight = g->weight[i];
    for (size_t x = 0; x < n; x++)
      sums[x] += weight * ((uint32_t)above[x] + below[x]);
  }
  for (size_t x = 0; x < n; x++)
    dst[x] = (unsigned char)(sums[x] >> BLUR_BITS);
}

static int check_sigma(struct error *e, const char *what, float sigma) {
  if (sigma > 0.0f && sigma <= MAX_SIGMA)
    return 0;
  return imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                      "%s: sigma must be above 0 and at most %d", what,
                      MAX_SIGMA);
}

int imgrec__blur(unsigned char *dst, const struct pixels *src, float sigma,
                 struct allocator *a, struct error *e) {
  size_t h = (size_t)src->height, w = (size_t)src->width;
  size_t c = (size_t)src->channels, n = w * c;
  struct gaussian g;
  gaussian_of(&g, sigma);
  unsigned char *middle = imgrec__alloc(a, h * n);
  uint32_t *sums = imgrec__alloc_array(a, n, sizeof *sums);
  if (middle && sums) {
    for (size_t y = 0; y < h; y++)
      blur_row(middle + y * n, src->data + y * n, w, c, &g, sums);
    for (size_t y = 0; y < h; y++)
      blur_column(dst + y * n, middle, y, h, n, &g, sums);
  }
  imgrec__free(a, sums);
  imgrec__free(a, middle);
  return middle && sums ? 0 : imgrec__fail_memory(e, a, "a blur");
}

static int blur(imgrec_tensor *dst, const imgrec_tensor *image, float sigma) {
  const struct pixels src = {image->data, (int)image->shape[0],
                             (int)image->shape[1], (int)image->shape[2]};
  return imgrec__blur(dst->data, &src, sigma, &dst->context->allocator,
                      &dst->context->error);
}

int imgrec_image_blur(imgrec_tensor **out, const imgrec_tensor *image,
                      float sigma) {
  imgrec_tensor *t;
  int status = imgrec__image_like(&t, out, image, "image_blur");
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  status = check_sigma(&t->context->error, "image_blur", sigma);
  if (status == 0)
    status = blur(t, image, sigma);
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, status);
}

/* ---- Sharpen ------------------------------------------------------------ */

/* p: the blurred image, which becomes the sharpened one. */
static void unsharp(unsigned char *p, const unsigned char *src, size_t n,
                    float amount) {
  for (size_t i = 0; i < n; i++)
    p[i] = to_byte((float)src[i] + amount * (float)(src[i] - p[i]));
}

int imgrec_image_sharpen(imgrec_tensor **out, const imgrec_tensor *image,
                         float sigma, float amount) {
  imgrec_tensor *t;
  int status = imgrec__image_like(&t, out, image, "image_sharpen");
  if (status < 0)
    return status;
  uint64_t fp = imgrec__fp_enter();
  struct error *e = &t->context->error;
  status = check_sigma(e, "image_sharpen", sigma);
  if (status == 0 && !within(amount, 0.0f, 16.0f))
    status = imgrec__fail(e, IMGREC_ERR_ARGUMENT,
                          "image_sharpen: amount is not within 0 to 16");
  if (status == 0)
    status = blur(t, image, sigma);
  if (status == 0)
    unsharp(t->data, image->data, t->nbytes, amount);
  imgrec__fp_leave(fp);
  return imgrec__image_end(out, t, status);
}
