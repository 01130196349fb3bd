/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), the hash over a model file's weights. */
#include "base.h"

#include <string.h>

/* The first 32 bits of the fractions of the cube roots of the primes. */
const uint32_t imgrec__sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t big_endian32(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
         (uint32_t)p[3];
}

/* Word t of the message schedule (6.2.2, step 1), of which the last 16 are
 * kept. */
static inline __attribute__((always_inline)) uint32_t scheduled(uint32_t w[16],
                                                                int t) {
  uint32_t x = w[(t + 1) & 15], y = w[(t + 14) & 15];
  uint32_t s0 = rotr(x, 7) ^ rotr(x, 18) ^ x >> 3;
  uint32_t s1 = rotr(y, 17) ^ rotr(y, 19) ^ y >> 10;
  return w[t & 15] += s1 + w[(t + 9) & 15] + s0;
}

/* Round t of step 3; instead of moving up, the eight variables are named anew:
 * v[(i - t) & 7] is variable i. */
static inline __attribute__((always_inline)) void round_of(uint32_t v[8], int t,
                                                           uint32_t word) {
  uint32_t a = v[-t & 7], b = v[(1 - t) & 7], c = v[(2 - t) & 7];
  uint32_t e = v[(4 - t) & 7], f = v[(5 - t) & 7], g = v[(6 - t) & 7];
  uint32_t *d = &v[(3 - t) & 7], *h = &v[(7 - t) & 7];
  uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
  uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
  uint32_t t1 = *h + s1 + (g ^ (e & (f ^ g))) + word;
  *d += t1;
  *h = t1 + s0 + ((a & b) | (c & (a | b)));
}

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static void compress(uint32_t state[8], const unsigned char *block) {
  uint32_t w[16], v[8];
  memcpy(v, state, sizeof v);
  UNROLL for (int t = 0; t < 16; t++) {
    w[t] = big_endian32(block + 4 * t);
    round_of(v, t, imgrec__sha256_k[t] + w[t]);
  }
  for (int t = 16; t < 64; t += 16)
    UNROLL for (int i = 0; i < 16; i++)
        round_of(v, i, imgrec__sha256_k[t + i] + scheduled(w, i));
  for (int i = 0; i < 8; i++)
    state[i] += v[i];
}

void imgrec__sha256_blocks(uint32_t state[8], const unsigned char *blocks,
                           size_t n) {
  for (; n > 0; n--, blocks += 64)
    compress(state, blocks);
}

void imgrec__sha256_init(struct sha256 *s) {
  *s =
      (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                      .blocks = imgrec__cpu_sha() ? imgrec__sha256_blocks_x86
                                                  : imgrec__sha256_blocks};
}

void imgrec__sha256_update(struct sha256 *s, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  size_t held = (size_t)(s->length % 64);
  if (n == 0)
    return;
  s->length += n;
  if (held != 0) {
    size_t take = min_size(n, 64 - held);
    memcpy(s->block + held, p, take);
    p += take;
    n -= take;
    if (held + take < 64)
      return;
    s->blocks(s->state, s->block, 1);
  }
  s->blocks(s->state, p, n / 64);
  if (n % 64 != 0)
    memcpy(s->block, p + n / 64 * 64, n % 64);
}

void imgrec__sha256_digest(struct sha256 *s, unsigned char out[32]) {
  static const unsigned char padding[64] = {0x80};
  uint64_t bits = s->length * 8;
  unsigned char length[8];
  for (int i = 0; i < 8; i++)
    length[i] = (unsigned char)(bits >> (56 - 8 * i));
  size_t held = (size_t)(s->length % 64);
  imgrec__sha256_update(s, padding, held < 56 ? 56 - held : 120 - held);
  imgrec__sha256_update(s, length, sizeof length);
  for (int i = 0; i < 32; i++)
    out[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void imgrec__sha256_hex(struct sha256 *s, char out[65]) {
  static const char digits[] = "0123456789abcdef";
  unsigned char digest[32];
  imgrec__sha256_digest(s, digest);
  for (int i = 0; i < 64; i++)
    out[i] = digits[digest[i / 2] >> (4 - 4 * (i % 2)) & 15];
  out[64] = '\0';
}
