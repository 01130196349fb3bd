/* SPDX-License-Identifier: MIT */
/* What the processor can do, and its floating-point state. */
#include "base.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#if defined(__x86_64__)
int imgrec__cpu_isa(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return IMGREC_ISA_SCALAR;
  if (!__builtin_cpu_supports("avx512f") ||
      !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512dq"))
    return IMGREC_ISA_AVX2;
  return IMGREC_ISA_AVX512;
}

/* Leaf 7, EBX bit 29; the rest that sha256_x86.c uses is of SSE4.1. */
int imgrec__cpu_sha(void) {
  unsigned a, b, c, d;
  return __builtin_cpu_supports("sse4.1") &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
}

int imgrec__cpu_vnni(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni") != 0;
}
#else
#if defined(__AARCH64EL__)
int imgrec__cpu_isa(void) { return IMGREC_ISA_NEON; }
#else
int imgrec__cpu_isa(void) { return IMGREC_ISA_SCALAR; }
#endif
int imgrec__cpu_sha(void) { return 0; }
int imgrec__cpu_vnni(void) { return 0; }
#endif

#if defined(__SSE2__)
/* All exceptions masked, their flags clear, to nearest, no FTZ, no DAZ.  The
 * x87, where nothing is computed, stays as it is. */
#define MXCSR_PLAIN 0x1f80u

uint64_t imgrec__fp_enter(void) {
  uint32_t state = _mm_getcsr();
  _mm_setcsr(MXCSR_PLAIN);
  return state;
}

void imgrec__fp_leave(uint64_t state) { _mm_setcsr((uint32_t)state); }

#elif defined(__aarch64__)
/* Control in the lower half, the flags of exceptions in the upper one: of both
 * registers the rest is reserved. */
uint64_t imgrec__fp_enter(void) {
  uint64_t control, flags;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control) : : "memory");
  __asm__ volatile("mrs %0, fpsr" : "=r"(flags) : : "memory");
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
  return flags << 32 | (control & UINT32_MAX);
}

void imgrec__fp_leave(uint64_t state) {
  __asm__ volatile("msr fpsr, %0" : : "r"(state >> 32) : "memory");
  __asm__ volatile("msr fpcr, %0" : : "r"(state & UINT32_MAX) : "memory");
}

#else
#include <fenv.h>

uint64_t imgrec__fp_enter(void) {
  int mode = fegetround();
  fesetround(FE_TONEAREST);
  return (uint64_t)mode;
}

void imgrec__fp_leave(uint64_t state) { fesetround((int)state); }
#endif
