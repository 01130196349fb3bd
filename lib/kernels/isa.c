/* SPDX-License-Identifier: MIT */
/* The table of kernels of one instruction set: compiled once for each, with
 * IMGREC_ISA defined to its name. */
#include "kernels.h"

#include "epilogue.h"
#include "simd.h"

#if ISA_NUMBER == 3
#define PASSES imgrec__passes_avx2
#else
#define PASSES ISA_PASTE(imgrec__passes_, IMGREC_ISA)
#endif
extern const struct passes PASSES;

#include "gemm_tmpl.c"

#include "epilogue_tmpl.c"

#include "winograd_tmpl.c"

#define TABLE ISA_PASTE(imgrec__kernels_, IMGREC_ISA)

extern const struct kernels TABLE;

const struct kernels TABLE = {
    .name = ISA_STRING(IMGREC_ISA),
    .isa = ISA_NUMBER,
    .pass = &PASSES,
    .mr = MR,
    .nr = NR,
    .gemm_tile = gemm_tile,
    .gemm_tile_ahead = gemm_tile_ahead,
    .gemm_tile_finished = gemm_tile_finished,
    .fetch_row = fetch_row,
    .winograd_image = winograd_image,
    .winograd_gradient = TRAINING(winograd_gradient),
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = TRAINING(winograd_weight_gradient),
    .winograd_output = winograd_output,
};
