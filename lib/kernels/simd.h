/* SPDX-License-Identifier: MIT */
/* Vectors of floats for one instruction set; intrinsics are here and in
 * qsimd.h only.
 *
 * IMGREC_ISA names the set: scalar, avx2, avx512 or neon.  Every lane of every
 * function gives the same bits on each of them: an operation is correctly
 * rounded, or an exact rule on bits.  What a width does not fill is loaded
 * into padded vectors, never computed by another formula. */
#ifndef IMGREC_SIMD_H
#define IMGREC_SIMD_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ISA_NUMBER_scalar 1
#define ISA_NUMBER_avx2   2
#define ISA_NUMBER_avx512 3
#define ISA_NUMBER_neon   4
#define ISA_PASTE_(a, b)  a##b
#define ISA_PASTE(a, b)   ISA_PASTE_(a, b)
#define ISA_STRING_(a)    #a
#define ISA_STRING(a)     ISA_STRING_(a)
#define ISA_NUMBER        ISA_PASTE(ISA_NUMBER_, IMGREC_ISA)

#if FLT_EVAL_METHOD != 0
#error "float arithmetic must be done in float: on x86, with -mfpmath=sse"
#endif

#if ISA_NUMBER == 3
#define VF 16 /* floats in a vector */
#elif ISA_NUMBER == 2
#define VF 8
#elif ISA_NUMBER == 1 || ISA_NUMBER == 4
#define VF 4
#else
#error "IMGREC_ISA must be scalar, avx2, avx512 or neon"
#endif
#define VD (VF / 2) /* doubles in a vector */

#if ISA_NUMBER == 4
#include <arm_neon.h>
#elif ISA_NUMBER > 1
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Sanitizers check each access, of which unrolled code has so many that
 * compilers take minutes over it: there, loops stay loops. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer) ||                                         \
    __has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#endif

#define INLINE static inline __attribute__((always_inline))
/* Functions that are called seldom: small ones. */
#if defined(__clang__)
#define RARE __attribute__((noinline, minsize))
#else
#define RARE __attribute__((noinline, cold))
#endif
/* For loops over an array that has to stay in registers: compilers at -O2
 * leave some of them as loops unless told. */
#if defined(SANITIZED)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vf __attribute__((vector_size(4 * VF)));
typedef int32_t vi __attribute__((vector_size(4 * VF)));
typedef uint32_t vu __attribute__((vector_size(4 * VF)));
typedef float vh __attribute__((vector_size(2 * VF))); /* half of a vf */
typedef int32_t vhi __attribute__((vector_size(2 * VF)));
typedef uint32_t vhu __attribute__((vector_size(2 * VF)));
typedef double vd __attribute__((vector_size(4 * VF)));
typedef int64_t vl __attribute__((vector_size(4 * VF)));
typedef uint64_t vul __attribute__((vector_size(4 * VF)));

/* ---- Memory ------------------------------------------------------------- */

INLINE vf load(const float *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }

/* s - 0 is s for every s; 0 + s would be an addition, for the sake of -0. */
INLINE vf splat(float s) { return s - (vf){0}; }

/* load_part, store_part: the first n <= VF floats and no byte more; the other
 * lanes are zero.  load_half_part: n <= VD. */
#if ISA_NUMBER == 3

INLINE vf load_part(const float *p, size_t n) {
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
}

INLINE void store_part(float *p, vf v, size_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), v);
}

INLINE vh load_half_part(const float *p, size_t n) {
  return _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1u), p);
}

#elif ISA_NUMBER == 2

INLINE __m256i part_mask(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf load_part(const float *p, size_t n) {
  return _mm256_maskload_ps(p, part_mask(n));
}

INLINE void store_part(float *p, vf v, size_t n) {
  _mm256_maskstore_ps(p, part_mask(n), v);
}

INLINE vh load_half_part(const float *p, size_t n) {
  return _mm_maskload_ps(p, _mm256_castsi256_si128(part_mask(n)));
}

#else

INLINE vf load_part(const float *p, size_t n) {
  vf v = {0};
  memcpy(&v, p, n * sizeof *p);
  return v;
}

INLINE void store_part(float *p, vf v, size_t n) {
  memcpy(p, &v, n * sizeof *p);
}

INLINE vh load_half_part(const float *p, size_t n) {
  vh v = {0};
  memcpy(&v, p, n * sizeof *p);
  return v;
}

#endif

/* Masks for loads and stores of parts that come again and again: those of the
 * first n floats, which may be none or all. */
#define HAS_MASKS          (ISA_NUMBER == 2 || ISA_NUMBER == 3)
#define SLOW_MASKED_STORES (ISA_NUMBER == 2)
#if ISA_NUMBER == 3
typedef __mmask16 vm;

INLINE vm mask_of(size_t n) { return (vm)((1u << n) - 1u); }
INLINE vf load_masked(const float *p, vm m) {
  return _mm512_maskz_loadu_ps(m, p);
}
INLINE void store_masked(float *p, vf v, vm m) {
  _mm512_mask_storeu_ps(p, m, v);
}
#elif ISA_NUMBER == 2
typedef __m256i vm;

INLINE vm mask_of(size_t n) { return part_mask(n); }
INLINE vf load_masked(const float *p, vm m) { return _mm256_maskload_ps(p, m); }
INLINE void store_masked(float *p, vf v, vm m) { _mm256_maskstore_ps(p, m, v); }
#else
typedef size_t vm;

INLINE vm mask_of(size_t n) { return n; }
INLINE vf load_masked(const float *p, vm m) { return load_part(p, m); }
INLINE void store_masked(float *p, vf v, vm m) { store_part(p, v, m); }
#endif

/* n is either a constant, VF, or may be anything up to that. */
INLINE vf load_upto(const float *p, size_t n) {
  if (ISA_NUMBER == 3 && !__builtin_constant_p(n))
    return load_part(p, n);
  return n == VF ? load(p) : load_part(p, n);
}

INLINE void store_upto(float *p, vf v, size_t n) {
  if (n == VF)
    store(p, v);
  else
    store_part(p, v, n);
}

/* ---- Bytes -------------------------------------------------------------- */

/* VF bytes to integers, and integers of a byte each back. */
#if ISA_NUMBER == 3

INLINE vi load_widened(const uint8_t *p) {
  return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

INLINE void store_narrowed(uint8_t *p, vi v) {
  _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8((__m512i)v));
}

#elif ISA_NUMBER == 2

INLINE vi load_widened(const uint8_t *p) {
  return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

INLINE void store_narrowed(uint8_t *p, vi v) {
  __m128i low = _mm256_castsi256_si128((__m256i)v);
  __m128i high = _mm256_extracti128_si256((__m256i)v, 1);
  __m128i words = _mm_packs_epi32(low, high);
  _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}

#elif defined(__SSE2__)

INLINE vi load_widened(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  __m128i zero = _mm_setzero_si128();
  __m128i words = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero);
  return (vi)_mm_unpacklo_epi16(words, zero);
}

INLINE void store_narrowed(uint8_t *p, vi v) {
  __m128i words = _mm_packs_epi32((__m128i)v, (__m128i)v);
  int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  memcpy(p, &four, sizeof four);
}

#elif ISA_NUMBER == 4

INLINE vi load_widened(const uint8_t *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
  return (vi)vmovl_u16(vget_low_u16(words));
}

INLINE void store_narrowed(uint8_t *p, vi v) {
  uint16x4_t words = vmovn_u32((uint32x4_t)v);
  uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  memcpy(p, &bytes, VF);
}

#else

INLINE vi load_widened(const uint8_t *p) {
  vi v;
  for (int i = 0; i < VF; i++)
    v[i] = p[i];
  return v;
}

INLINE void store_narrowed(uint8_t *p, vi v) {
  for (int i = 0; i < VF; i++)
    p[i] = (uint8_t)v[i];
}

#endif

/* The same of n <= VF bytes, zeros behind them. */
INLINE vi load_bytes(const uint8_t *p, const size_t n) {
  if (n == VF)
    return load_widened(p);
#if ISA_NUMBER == 3
  return (vi)_mm512_cvtepu8_epi32(
      _mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1u), p));
#else
  uint8_t some[VF] = {0};
  memcpy(some, p, n);
  return load_widened(some);
#endif
}

INLINE void store_bytes(uint8_t *p, vi v, const size_t n) {
  if (n == VF) {
    store_narrowed(p, v);
    return;
  }
#if ISA_NUMBER == 3
  _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1u),
                       _mm512_cvtepi32_epi8((__m512i)v));
#else
  uint8_t some[VF];
  store_narrowed(some, v);
  memcpy(p, some, n);
#endif
}

typedef uint8_t vb __attribute__((vector_size(16)));

INLINE vb load_sixteen(const uint8_t *p) {
  vb v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* a0 b0 a1 b1 ... of the first and of the last eight. */
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vb){__VA_ARGS__})
#endif
INLINE vb interleave_low(vb a, vb b) {
  return SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

INLINE vb interleave_high(vb a, vb b) {
  return SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                 31);
}

/* ---- Selection ---------------------------------------------------------- */

/* mask: all ones or all zeros in each lane, as comparisons give it. */
INLINE vf vselect(vi mask, vf yes, vf no) {
#if ISA_NUMBER == 3
  return _mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), no, yes);
#elif ISA_NUMBER == 2
  return _mm256_blendv_ps(no, yes, (vf)mask);
#elif ISA_NUMBER == 4
  return vbslq_f32((uint32x4_t)mask, yes, no);
#else
  return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
#endif
}

INLINE vi vselect_int(vi mask, vi yes, vi no) {
  return (yes & mask) | (no & ~mask);
}

INLINE vf vabs(vf x) { return (vf)((vu)x & 0x7fffffffu); }

/* vmax: a > b ? a : b, vmin: a < b ? a : b; so b where one is NaN.  The
 * instructions are defined to do just this. */
#if ISA_NUMBER == 3
INLINE vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
#elif ISA_NUMBER == 2
INLINE vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
#else
INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
#endif

/* Numbers below the least normal one become +0: the rule by which results and
 * moments that fade away are kept from slowing the processor down. */
INLINE vf flush(vf x) { return vselect(vabs(x) < FLT_MIN, (vf){0}, x); }

/* ---- Whole numbers ------------------------------------------------------ */

/* The products of the low 32 bits of each lane. */
#if ISA_NUMBER == 3
INLINE vul mul_low(vul a, vul b) {
  return (vul)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}
#elif ISA_NUMBER == 2
INLINE vul mul_low(vul a, vul b) {
  return (vul)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
#elif defined(__SSE2__)
INLINE vul mul_low(vul a, vul b) {
  return (vul)_mm_mul_epu32((__m128i)a, (__m128i)b);
}
#elif ISA_NUMBER == 4
INLINE vul mul_low(vul a, vul b) {
  return vmull_u32(vmovn_u64(a), vmovn_u64(b));
}
#else
INLINE vul mul_low(vul a, vul b) { return (a & UINT32_MAX) * (b & UINT32_MAX); }
#endif

/* The low 32 bits of the lanes of a, then of b. */
INLINE vu low_halves(vul a, vul b) {
  vhu half[2] = {__builtin_convertvector(a, vhu),
                 __builtin_convertvector(b, vhu)};
  vu v;
  memcpy(&v, half, sizeof v);
  return v;
}

/* ---- Square root, fused multiply-add ------------------------------------ */

#if ISA_NUMBER == 3
INLINE vf vsqrt(vf x) { return _mm512_sqrt_ps(x); }
INLINE vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
#elif ISA_NUMBER == 2
INLINE vf vsqrt(vf x) { return _mm256_sqrt_ps(x); }
INLINE vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
#elif ISA_NUMBER == 4
INLINE vf vsqrt(vf x) { return vsqrtq_f32(x); }
INLINE vf vfma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
#else

#if defined(__SSE2__)
INLINE vf vsqrt(vf x) { return _mm_sqrt_ps(x); }
#else
INLINE vf vsqrt(vf x) {
  for (int i = 0; i < VF; i++)
    x[i] = __builtin_sqrtf(x[i]);
  return x;
}
#endif

#if defined(__FP_FAST_FMAF)
INLINE vf vfma(vf a, vf b, vf c) {
  for (int i = 0; i < VF; i++)
    c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
}
#else

/* The halves of x as doubles, and such halves rounded to floats. */
#if defined(__SSE2__)
INLINE vd low_half(vf x) { return _mm_cvtps_pd(x); }
INLINE vd high_half(vf x) { return _mm_cvtps_pd(_mm_movehl_ps(x, x)); }
INLINE vf joined(vd low, vd high) {
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#else
INLINE vd half_of(vf x, int which) {
  vh half[2];
  memcpy(half, &x, sizeof half);
  return __builtin_convertvector(half[which], vd);
}
INLINE vd low_half(vf x) { return half_of(x, 0); }
INLINE vd high_half(vf x) { return half_of(x, 1); }
INLINE vf joined(vd low, vd high) {
  const vh half[2] = {__builtin_convertvector(low, vh),
                      __builtin_convertvector(high, vh)};
  vf x;
  memcpy(&x, half, sizeof x);
  return x;
}
#endif

/* Boldo and Melquiond (2008): the product is exact in double; the sum is
 * rounded to odd there, which leaves the rounding to float the only one.  s is
 * the sum to nearest, e what it lacks (Knuth's TwoSum); where e is not zero
 * and s is even, the odd neighbour lies towards e.  Infinities and NaNs have
 * an e of NaN and stay. */
INLINE vd fma_to_odd(vd a, vd b, vd z) {
  vd p = a * b;
  vd s = p + z;
  vd t = s - p;
  vd e = (p - (s - t)) + (z - t);
  vul inexact = (vul)((e < 0.0) | (e > 0.0));
  vul even = ((vul)s & 1u) - 1u;
  vul step = 1u - (((vul)s ^ (vul)e) >> 63) * 2u;
  return (vd)((vul)s + (step & even & inexact));
}

/* A call: long as it is, a copy at each use would fill the cache. */
static __attribute__((noinline)) vf vfma(vf a, vf b, vf c) {
  return joined(fma_to_odd(low_half(a), low_half(b), low_half(c)),
                fma_to_odd(high_half(a), high_half(b), high_half(c)));
}
#endif
#endif

/* a * b + c where a * b is exact in double, so that rounding once or twice is
 * the same. */
#if ISA_NUMBER == 3
INLINE vd vfma_exact(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
#elif ISA_NUMBER == 2
INLINE vd vfma_exact(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
#elif ISA_NUMBER == 4
INLINE vd vfma_exact(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
#else
INLINE vd vfma_exact(vd a, vd b, vd c) { return a * b + c; }
#endif

/* ---- Reductions over 16 virtual lanes ----------------------------------- */

#define LANES 16

/* Lane l takes elements l, l + 16, l + 32 ..., whatever VF is. */
struct lanes {
  vf v[LANES / VF];
};

INLINE struct lanes lanes_splat(float s) {
  struct lanes l;
  for (int i = 0; i < LANES / VF; i++)
    l.v[i] = splat(s);
  return l;
}

INLINE struct lanes lanes_load(const float *p) {
  struct lanes l;
  memcpy(&l, p, sizeof l);
  return l;
}

/* The first n <= 16 floats, then `rest`. */
INLINE struct lanes lanes_load_part(const float *p, size_t n, float rest) {
  struct lanes l = lanes_splat(rest);
  memcpy(&l, p, n * sizeof *p);
  return l;
}

INLINE void lanes_store_part(float *p, struct lanes l, size_t n) {
  memcpy(p, &l, n * sizeof *p);
}

/* ((0 + 8) + (4 + 12)) + ((2 + 10) + (6 + 14)) + the same of odd lanes. */
INLINE float lanes_sum(struct lanes l) {
  float f[LANES];
  memcpy(f, &l, sizeof f);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      f[i] += f[i + half];
  return f[0];
}

INLINE float lanes_max(struct lanes l) {
  float f[LANES];
  memcpy(f, &l, sizeof f);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      f[i] = f[i + half] > f[i] ? f[i + half] : f[i];
  return f[0];
}

#endif
