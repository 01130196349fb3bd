/* SPDX-License-Identifier: MIT */
/* SHA-256's rounds by the instructions that x86 has for them. */
#include "base.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

static inline __m128i load(const void *p) { return _mm_loadu_si128(p); }

/* Words t to t + 3 of the message schedule, m having the 16 before them, four
 * in each, those of t - 16 at m[i]. */
static inline __m128i scheduled(const __m128i m[4], int i) {
  __m128i early = _mm_sha256msg1_epu32(m[i], m[(i + 1) & 3]);
  __m128i middle = _mm_alignr_epi8(m[(i + 3) & 3], m[(i + 2) & 3], 4);
  return _mm_sha256msg2_epu32(_mm_add_epi32(early, middle), m[(i + 3) & 3]);
}

/* abef, cdgh: the variables as the instructions take them, first one highest.
 * Two rounds at a time exchange the halves. */
static inline void hash_block(__m128i *abef, __m128i *cdgh,
                              const unsigned char *block) {
  const __m128i big_endian =
      _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i m[4], x = *abef, y = *cdgh;
  UNROLL for (int i = 0; i < 16; i++) {
    m[i & 3] = i < 4 ? _mm_shuffle_epi8(load(block + 16 * i), big_endian)
                     : scheduled(m, i & 3);
    __m128i words = _mm_add_epi32(m[i & 3], load(imgrec__sha256_k + 4 * i));
    y = _mm_sha256rnds2_epu32(y, x, words);
    x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(words, 0x0e));
  }
  *abef = _mm_add_epi32(*abef, x);
  *cdgh = _mm_add_epi32(*cdgh, y);
}

void imgrec__sha256_blocks_x86(uint32_t state[8], const unsigned char *blocks,
                               size_t n) {
  __m128i dcba = load(state), hgfe = load(state + 4);
  __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
  __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  for (; n > 0; n--, blocks += 64)
    hash_block(&abef, &cdgh, blocks);
  __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128((void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128((void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#else
void imgrec__sha256_blocks_x86(uint32_t state[8], const unsigned char *blocks,
                               size_t n) {
  imgrec__sha256_blocks(state, blocks, n);
}
#endif
