/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), the hash over a model file's weights. */
#include "base.h"

#include <string.h>

/* The first 32 bits of the fractions of the cube roots of the primes. */
static const uint32_t K[64] = {
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

/* w[0..15] is the block, the rest its message schedule (6.2.2, step 1). */
static void schedule(uint32_t w[64], const unsigned char *block) {
  for (int t = 0; t < 16; t++)
    w[t] = big_endian32(block + 4 * t);
  for (int t = 16; t < 64; t++) {
    uint32_t x = w[t - 15], y = w[t - 2];
    uint32_t s0 = rotr(x, 7) ^ rotr(x, 18) ^ x >> 3;
    uint32_t s1 = rotr(y, 17) ^ rotr(y, 19) ^ y >> 10;
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
}

static void compress(uint32_t state[8], const unsigned char *block) {
  uint32_t w[64], v[8];
  schedule(w, block);
  memcpy(v, state, sizeof v);
  for (int t = 0; t < 64; t++) {
    uint32_t a = v[0], e = v[4];
    uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
    uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
    uint32_t choice = (e & v[5]) ^ (~e & v[6]);
    uint32_t majority = (a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]);
    uint32_t t1 = v[7] + s1 + choice + K[t] + w[t];
    memmove(v + 1, v, 7 * sizeof v[0]);
    v[4] += t1;
    v[0] = t1 + s0 + majority;
  }
  for (int i = 0; i < 8; i++)
    state[i] += v[i];
}

void imgrec__sha256_init(struct sha256 *s) {
  *s = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                 0x5be0cd19}};
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
    compress(s->state, s->block);
  }
  for (; n >= 64; p += 64, n -= 64)
    compress(s->state, p);
  if (n != 0)
    memcpy(s->block, p, n);
}

void imgrec__sha256_hex(struct sha256 *s, char out[65]) {
  static const unsigned char padding[64] = {0x80};
  static const char digits[] = "0123456789abcdef";
  uint64_t bits = s->length * 8;
  unsigned char length[8];
  for (int i = 0; i < 8; i++)
    length[i] = (unsigned char)(bits >> (56 - 8 * i));
  size_t held = (size_t)(s->length % 64);
  imgrec__sha256_update(s, padding, held < 56 ? 56 - held : 120 - held);
  imgrec__sha256_update(s, length, sizeof length);
  for (int i = 0; i < 64; i++)
    out[i] = digits[s->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  out[64] = '\0';
}
