/* SPDX-License-Identifier: MIT */
/* Counter-based random numbers: a pure function of seed, stream and index.
 * One at a time; kernels/random_tmpl.c makes many, and the same. */
#include "base.h"

/* The multipliers and Weyl constants of Philox4x32. */
#define M0 0xd2511f53u
#define M1 0xcd9e8d57u
#define W0 0x9e3779b9u
#define W1 0xbb67ae85u

struct random4 imgrec__random4(uint64_t seed, uint64_t stream, uint64_t index) {
  uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
  uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    k0 += W0;
    k1 += W1;
  }
  return (struct random4){{c0, c1, c2, c3}};
}

/* Rejection needs more draws for the same index: the attempt goes into the
 * top byte of the stream, which no stream uses. */
#define ATTEMPTS 256

static struct random4 attempt4(uint64_t seed, uint64_t stream, uint64_t index,
                               int attempt) {
  return imgrec__random4(seed, stream ^ (uint64_t)attempt << 56, index);
}

float imgrec__random_unit(uint64_t seed, uint64_t stream, uint64_t index) {
  uint32_t bits = imgrec__random4(seed, stream, index).v[0] >> 8;
  return (float)bits * 0x1p-24f;
}

uint64_t imgrec__random_below(uint64_t seed, uint64_t stream, uint64_t index,
                              uint64_t n) {
  /* 2^64 mod n: without that many of the lowest numbers, each remainder is
   * equally frequent. */
  uint64_t surplus = (0 - n) % n, x = 0;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    struct random4 r = attempt4(seed, stream, index, attempt);
    x = (uint64_t)r.v[1] << 32 | r.v[0];
    if (x >= surplus)
      break;
  }
  return x % n;
}

/* exp(-t) for t in [0, 2], to 1e-12: Taylor at t / 16, then the 16th power. */
static double exp_minus(double t) {
  double x = t * -0x1p-4, sum = 1;
  for (int i = 8; i > 0; i--)
    sum = 1 + sum * x / i;
  for (int i = 0; i < 4; i++)
    sum *= sum;
  return sum;
}

/* Accepts x, of the odd multiples of 2^-23 in (-2, 2), as often as the normal
 * density says: exp(-x^2 / 2). */
static int accept_normal(uint32_t candidate, uint32_t chance, float *out) {
  int32_t odd = (int32_t)(candidate >> 8) * 2 + 1 - (1 << 24);
  double x = odd * 0x1p-23;
  if (chance * 0x1p-32 >= exp_minus(x * x / 2))
    return 0;
  *out = (float)x;
  return 1;
}

float imgrec__random_normal2(uint64_t seed, uint64_t stream, uint64_t index) {
  float x = 0;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    struct random4 r = attempt4(seed, stream, index, attempt);
    if (accept_normal(r.v[0], r.v[1], &x) || accept_normal(r.v[2], r.v[3], &x))
      break;
  }
  return x;
}

/* Fisher and Yates, from the end. */
void imgrec__random_permutation(int64_t *out, size_t n, uint64_t seed,
                                uint64_t stream) {
  for (size_t i = 0; i < n; i++)
    out[i] = (int64_t)i;
  for (size_t i = n; i > 1; i--) {
    size_t j = (size_t)imgrec__random_below(seed, stream, i, i);
    int64_t last = out[i - 1];
    out[i - 1] = out[j];
    out[j] = last;
  }
}
