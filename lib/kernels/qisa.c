/* SPDX-License-Identifier: MIT */
/* The table of products of bytes of one instruction set: compiled once for
 * each, with IMGREC_ISA defined to its name, and once more for AVX-512 with
 * IMGREC_VNNI. */
#include "kernels.h"

#include "qsimd.h"
#include "vmath.h"

#include "qgemm_tmpl.c"

#if defined(IMGREC_VNNI)
#define TABLE imgrec__qkernels_avx512vnni
#define NAME  "avx512vnni"
#else
#define TABLE ISA_PASTE(imgrec__qkernels_, IMGREC_ISA)
#define NAME  ISA_STRING(IMGREC_ISA)
#endif

extern const struct qkernels TABLE;

const struct qkernels TABLE = {
    .name = NAME,
    .panels = QPANELS,
    .quantize = quantize,
    .tile = qgemm_tile,
    .finish = finish_sums,
    .depthwise = qdepthwise,
};
