/* SPDX-License-Identifier: MIT */
/* The table of kernels of one instruction set: compiled once for each, with
 * IMGREC_ISA defined to its name. */
#include "kernels.h"

#include "epilogue.h"
#include "simd.h"

#include "gemm_tmpl.c"

#include "epilogue_tmpl.c"

#include "winners_tmpl.c"

#include "winograd_tmpl.c"

#include "depthwise_tmpl.c"

#if ISA_NUMBER == 3
#define PASSES imgrec__passes_avx2
#else
#define PASSES ISA_PASTE(imgrec__passes_, IMGREC_ISA)
#endif
#define TABLE ISA_PASTE(imgrec__kernels_, IMGREC_ISA)

extern const struct passes PASSES;
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
    .finish_rows = finish_rows,
    .fetch_row = fetch_row,
    .winners_sum = winners_sum,
    .winners_add = winners_add,
    .winograd_image = winograd_image,
    .winograd_gradient = winograd_gradient,
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = winograd_weight_gradient,
    .winograd_output = winograd_output,
    .depthwise = depthwise,
    .depthwise_grad_x = depthwise_grad_x,
    .depthwise_grad_w = depthwise_grad_w,
};
