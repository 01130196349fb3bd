/* SPDX-License-Identifier: MIT */
/* What JPEG leaves of an image: Y'CbCr with halved chroma, the DCT of 8 x 8
 * pixels rounded to multiples of a step, and back.  Nothing is encoded, as
 * that loses nothing. */
#include "image/image.h"

enum { SIDE = 8, CELL = 16 }; /* one block of chroma has 2 x 2 of luma */

/* The tables of ITU-T T.81, annex K, for quality 50; scaled as the IJG's
 * library does. */
static const unsigned char LUMA_STEPS[64] = {
    16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
    14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
    18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
static const unsigned char CHROMA_STEPS[64] = {
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

/* COSINE[k] = cos(k pi / 16) / 2, of which the DCT's matrix is made. */
static const float COSINE[9] = {0.5f,        0.49039264f, 0.46193977f,
                                0.41573481f, 0.35355339f, 0.27778512f,
                                0.19134172f, 0.09754516f, 0.0f};

/* m: row k is cos((2 x + 1) k pi / 16) / 2 over x, the first over sqrt 2. */
struct transform {
  float m[SIDE][SIDE], transposed[SIDE][SIDE];
  float steps[2][SIDE][SIDE]; /* luma, chroma */
};

static float entry(int k, int x) {
  int angle = (2 * x + 1) * k % 32;
  angle = angle > 16 ? 32 - angle : angle;
  float v = angle > 8 ? -COSINE[16 - angle] : COSINE[angle];
  return k == 0 ? COSINE[4] : v;
}

static float step_of(int base, int quality) {
  int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  int step = (base * scale + 50) / 100;
  return (float)(step < 1 ? 1 : step > 255 ? 255 : step);
}

static void transform_of(struct transform *t, int quality) {
  for (int k = 0; k < SIDE; k++)
    for (int x = 0; x < SIDE; x++) {
      t->m[k][x] = t->transposed[x][k] = entry(k, x);
      t->steps[0][k][x] = step_of(LUMA_STEPS[k * SIDE + x], quality);
      t->steps[1][k][x] = step_of(CHROMA_STEPS[k * SIDE + x], quality);
    }
}

/* y = a b, each sum in order. */
static void multiply(float y[restrict SIDE][SIDE], const float a[SIDE][SIDE],
                     const float b[SIDE][SIDE]) {
  for (int i = 0; i < SIDE; i++) {
    float sum[SIDE] = {0};
    for (int k = 0; k < SIDE; k++)
      for (int j = 0; j < SIDE; j++)
        sum[j] += a[i][k] * b[k][j];
    for (int j = 0; j < SIDE; j++)
      y[i][j] = sum[j];
  }
}

static float nearest(float v) {
  return (float)(int)(v + (v < 0.0f ? -0.5f : 0.5f));
}

/* x = m' round(m x m' / step) step m */
static void round_block(float x[SIDE][SIDE], const struct transform *t,
                        int chroma) {
  float half[SIDE][SIDE], whole[SIDE][SIDE];
  multiply(half, t->m, (const float(*)[SIDE])x);
  multiply(whole, (const float(*)[SIDE])half, t->transposed);
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      float step = t->steps[chroma][i][j];
      whole[i][j] = nearest(whole[i][j] / step) * step;
    }
  multiply(half, t->transposed, (const float(*)[SIDE])whole);
  multiply(x, (const float(*)[SIDE])half, t->m);
}

/* ---- Pixels ------------------------------------------------------------- */

/* CELL x CELL pixels, those beyond the image repeating its border. */
struct cell {
  float luma[4][SIDE][SIDE], chroma[2][SIDE][SIDE];
};

static int lesser(int a, int b) { return a < b ? a : b; }

static const unsigned char *pixel(const struct pixels *p, int y, int x) {
  y = lesser(y, p->height - 1);
  x = lesser(x, p->width - 1);
  return p->data +
         ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels;
}

static float *luma_at(struct cell *c, int y, int x) {
  return &c->luma[y / SIDE * 2 + x / SIDE][y % SIDE][x % SIDE];
}

/* Y - 128, and a quarter of Cb, Cr for their mean over 2 x 2. */
static void load_colour(struct cell *c, const unsigned char *p, int y, int x) {
  float r = p[0], g = p[1], b = p[2];
  *luma_at(c, y, x) = 0.299f * r + 0.587f * g + 0.114f * b - 128.0f;
  c->chroma[0][y / 2][x / 2] +=
      0.25f * (0.5f * b - 0.168736f * r - 0.331264f * g);
  c->chroma[1][y / 2][x / 2] +=
      0.25f * (0.5f * r - 0.418688f * g - 0.081312f * b);
}

static void load(struct cell *c, const struct pixels *p, int top, int left) {
  *c = (struct cell){.luma = {{{0}}}};
  for (int y = 0; y < CELL; y++)
    for (int x = 0; x < CELL; x++) {
      const unsigned char *at = pixel(p, top + y, left + x);
      if (p->channels == 1)
        *luma_at(c, y, x) = (float)at[0] - 128.0f;
      else
        load_colour(c, at, y, x);
    }
}

static unsigned char to_byte(float v) {
  v += 0.5f;
  return v >= 255.0f ? 255 : v > 0.0f ? (unsigned char)v : 0;
}

static void store(struct pixels *p, struct cell *c, int top, int left) {
  for (int y = 0; y < CELL && top + y < p->height; y++)
    for (int x = 0; x < CELL && left + x < p->width; x++) {
      unsigned char *at = p->data + ((size_t)(top + y) * (size_t)p->width +
                                     (size_t)(left + x)) *
                                        (size_t)p->channels;
      float luma = *luma_at(c, y, x) + 128.0f;
      float cb = c->chroma[0][y / 2][x / 2], cr = c->chroma[1][y / 2][x / 2];
      at[0] = to_byte(luma + 1.402f * cr);
      if (p->channels == 1)
        continue;
      at[1] = to_byte(luma - 0.344136f * cb - 0.714136f * cr);
      at[2] = to_byte(luma + 1.772f * cb);
    }
}

void imgrec__requantize(struct pixels *image, float quality) {
  struct transform t;
  struct cell c;
  transform_of(&t, quality < 1.0f ? 1 : (int)quality);
  for (int top = 0; top < image->height; top += CELL)
    for (int left = 0; left < image->width; left += CELL) {
      load(&c, image, top, left);
      for (int i = 0; i < 4; i++)
        round_block(c.luma[i], &t, 0);
      for (int i = 0; i < 2 && image->channels == 3; i++)
        round_block(c.chroma[i], &t, 1);
      store(image, &c, top, left);
    }
}
