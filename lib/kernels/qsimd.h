/* SPDX-License-Identifier: MIT */
/* Products of bytes on vectors (simd.h), for qisa.c: exact on every instruction
 * set. */
#ifndef IMGREC_QSIMD_H
#define IMGREC_QSIMD_H

#include "simd.h"

INLINE vi load_int(const int32_t *p) {
  vi v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store_int(int32_t *p, vi v) { memcpy(p, &v, sizeof v); }

/* VF bytes, each widened; load_widened() is that of unsigned ones. */
#if ISA_NUMBER == 3
INLINE vi load_i8(const int8_t *p) {
  return (vi)_mm512_cvtepi8_epi32(
      _mm_loadu_si128((const __m128i *)(const void *)p));
}
#elif ISA_NUMBER == 2
INLINE vi load_i8(const int8_t *p) {
  return (vi)_mm256_cvtepi8_epi32(
      _mm_loadl_epi64((const __m128i *)(const void *)p));
}
#elif ISA_NUMBER == 4
INLINE vi load_i8(const int8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  int16x8_t words = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
  return (vi)vmovl_s16(vget_low_s16(words));
}
#else
INLINE vi load_i8(const int8_t *p) { return (vi){p[0], p[1], p[2], p[3]}; }
#endif

/* Products of bytes: a group of 4 numbers of k, 16 columns side by side, in
 * Q_PARTS vectors.  dot() adds a part's products onto its accumulators, and
 * dot_sums() makes the 16 sums of them.  All is exact: vpdpbusd does not
 * saturate, and vpmaddwd works on widened numbers. */
#if ISA_NUMBER == 3 && defined(IMGREC_VNNI)
#define Q_PARTS 1

INLINE vi dot_right(const int8_t *b, int part) {
  (void)part;
  return (vi)_mm512_loadu_si512(b);
}

INLINE vi dot_left(const uint8_t *a) {
  int32_t four;
  memcpy(&four, a, sizeof four);
  return (vi)_mm512_set1_epi32(four);
}

INLINE vi dot(vi acc, vi a, vi b) {
  return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
}

INLINE void dot_sums(vi sums[1], const vi acc[1]) { sums[0] = acc[0]; }

#elif ISA_NUMBER == 3
#define Q_PARTS 2 /* of 8 columns, each with two sums */

INLINE vi dot_right(const int8_t *b, int part) {
  return (vi)_mm512_cvtepi8_epi16(
      _mm256_loadu_si256((const __m256i *)(const void *)(b + part * 32)));
}

INLINE vi dot_left(const uint8_t *a) {
  int32_t four;
  memcpy(&four, a, sizeof four);
  return (vi)_mm512_cvtepu8_epi16(_mm256_set1_epi32(four));
}

INLINE vi dot(vi acc, vi a, vi b) {
  return (vi)((vu)acc + (vu)_mm512_madd_epi16((__m512i)a, (__m512i)b));
}

INLINE void dot_sums(vi sums[1], const vi acc[2]) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                         22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  __m512i a = (__m512i)acc[0], b = (__m512i)acc[1];
  sums[0] = (vi)_mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b),
                                 _mm512_permutex2var_epi32(a, odd, b));
}

#elif ISA_NUMBER == 2
#define Q_PARTS 4 /* of 4 columns, each with two sums */

INLINE vi dot_right(const int8_t *b, int part) {
  return (vi)_mm256_cvtepi8_epi16(
      _mm_loadu_si128((const __m128i *)(const void *)(b + part * 16)));
}

INLINE vi dot_left(const uint8_t *a) {
  int32_t four;
  memcpy(&four, a, sizeof four);
  return (vi)_mm256_cvtepu8_epi16(_mm_set1_epi32(four));
}

INLINE vi dot(vi acc, vi a, vi b) {
  return (vi)((vu)acc + (vu)_mm256_madd_epi16((__m256i)a, (__m256i)b));
}

INLINE void dot_sums(vi sums[2], const vi acc[4]) {
  for (int i = 0; i < 2; i++) {
    __m256i pairs =
        _mm256_hadd_epi32((__m256i)acc[2 * i], (__m256i)acc[2 * i + 1]);
    sums[i] = (vi)_mm256_permute4x64_epi64(pairs, 0xd8);
  }
}

#elif ISA_NUMBER == 4
#define Q_PARTS 8 /* of 2 columns, each with two sums */

INLINE vi dot_right(const int8_t *b, int part) {
  return (vi)vmovl_s8(vld1_s8(b + part * 8));
}

INLINE vi dot_left(const uint8_t *a) {
  uint32_t four;
  memcpy(&four, a, sizeof four);
  return (vi)vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
}

/* 255 times -128 fits in 16 bits. */
INLINE vi dot(vi acc, vi a, vi b) {
  return vpadalq_s16(acc, vmulq_s16((int16x8_t)a, (int16x8_t)b));
}

INLINE void dot_sums(vi sums[4], const vi acc[8]) {
  for (int i = 0; i < 4; i++)
    sums[i] = vpaddq_s32(acc[2 * i], acc[2 * i + 1]);
}

#else
#define Q_PARTS 4 /* of 4 columns; a lane holds the 4 bytes of a column */

INLINE vi dot_right(const int8_t *b, int part) {
  vi v;
  memcpy(&v, b + part * 16, sizeof v);
  return v;
}

INLINE vi dot_left(const uint8_t *a) {
  int32_t four;
  memcpy(&four, a, sizeof four);
  return (vi){four, four, four, four};
}

INLINE vi dot(vi acc, vi a, vi b) {
  for (int i = 0; i < 4; i++) {
    vi x = (vi)((vu)a << (24 - 8 * i) >> 24);
    acc += x * ((vi)((vu)b << (24 - 8 * i)) >> 24);
  }
  return acc;
}

INLINE void dot_sums(vi sums[4], const vi acc[4]) {
  for (int i = 0; i < 4; i++)
    sums[i] = acc[i];
}
#endif

#endif
