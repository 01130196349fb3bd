/* SPDX-License-Identifier: MIT */
/* Which tables of kernels this build has. */
#include "kernels.h"

#include "imgrec/imgrec.h"

extern const struct kernels imgrec__kernels_scalar;
extern const struct qkernels imgrec__qkernels_scalar;
#if defined(__x86_64__)
extern const struct qkernels imgrec__qkernels_avx2;
extern const struct qkernels imgrec__qkernels_avx512;
extern const struct qkernels imgrec__qkernels_avx512vnni;
extern const struct kernels imgrec__kernels_avx2;
extern const struct kernels imgrec__kernels_avx512;
#elif defined(__AARCH64EL__)
extern const struct qkernels imgrec__qkernels_neon;
extern const struct kernels imgrec__kernels_neon;
#endif

const struct kernels *imgrec__kernels_for(int isa) {
  if (isa == IMGREC_ISA_SCALAR)
    return &imgrec__kernels_scalar;
#if defined(__x86_64__)
  if (isa == IMGREC_ISA_AVX2)
    return &imgrec__kernels_avx2;
  if (isa == IMGREC_ISA_AVX512)
    return &imgrec__kernels_avx512;
#elif defined(__AARCH64EL__)
  if (isa == IMGREC_ISA_NEON)
    return &imgrec__kernels_neon;
#endif
  return NULL;
}

const struct qkernels *imgrec__qkernels_for(int isa, int vnni) {
  if (isa == IMGREC_ISA_SCALAR)
    return &imgrec__qkernels_scalar;
#if defined(__x86_64__)
  if (isa == IMGREC_ISA_AVX2)
    return &imgrec__qkernels_avx2;
  if (isa == IMGREC_ISA_AVX512)
    return vnni ? &imgrec__qkernels_avx512vnni : &imgrec__qkernels_avx512;
#elif defined(__AARCH64EL__)
  if (isa == IMGREC_ISA_NEON)
    return &imgrec__qkernels_neon;
#endif
  (void)vnni;
  return NULL;
}

int imgrec__kernels_isa(const struct kernels *k) { return k->isa; }

int imgrec__act_uses_x(int activation) {
  return activation == ACT_SILU || activation == ACT_GELU ||
         activation == ACT_HARD_SWISH;
}
