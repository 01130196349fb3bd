/* SPDX-License-Identifier: MIT */
/* The table of kernels of one instruction set: compiled once for each, with
 * IMGREC_ISA defined to its name. */
#include "kernels.h"

#include "simd.h"
#include "vmath.h"

#include "epilogue_tmpl.c"

#include "gemm_tmpl.c"

#include "panels_tmpl.c"

#include "fetch_tmpl.c"

#include "winners_tmpl.c"

#include "winograd_tmpl.c"

#include "eltwise_tmpl.c"

#include "reduce_tmpl.c"

#include "window_tmpl.c"

#include "bytes_tmpl.c"

#include "depthwise_tmpl.c"

#include "random_tmpl.c"

#define TABLE ISA_PASTE(imgrec__kernels_, IMGREC_ISA)

extern const struct kernels TABLE;

const struct kernels TABLE = {
    .name = ISA_STRING(IMGREC_ISA),
    .isa = ISA_NUMBER,
    .mr = MR,
    .nr = NR,
    .pack_columns = pack_columns,
    .transpose = transpose,
    .gemm_tile = gemm_tile,
    .gemm_tile_ahead = gemm_tile_ahead,
    .gemv = gemv,
    .gemm_tile_finished = gemm_tile_finished,
    .finish_rows = finish_rows,
    .finish_pool = finish_pool,
    .fetch_row = fetch_row,
    .mask_lost = TRAINING(mask_lost),
    .winners_sum = TRAINING(winners_sum),
    .winners_add = TRAINING(winners_add),
    .winograd_image = winograd_image,
    .winograd_gradient = TRAINING(winograd_gradient),
    .winograd_weight = winograd_weight,
    .winograd_weight_gradient = TRAINING(winograd_weight_gradient),
    .winograd_output = winograd_output,
    .add = add,
    .mul = mul,
    .scale = scale,
    .activate = {[ACT_RELU] = relu,
                 [ACT_RELU6] = relu6,
                 [ACT_LEAKY_RELU] = leaky_relu,
                 [ACT_SIGMOID] = sigmoid,
                 [ACT_TANH] = tanh_all,
                 [ACT_SILU] = silu,
                 [ACT_GELU] = gelu,
                 [ACT_HARD_SWISH] = hard_swish,
                 [ACT_HARD_SIGMOID] = hard_sigmoid},
    .activate_grad = {[ACT_RELU] = TRAINING(relu_grad),
                      [ACT_RELU6] = TRAINING(relu6_grad),
                      [ACT_LEAKY_RELU] = TRAINING(leaky_relu_grad),
                      [ACT_SIGMOID] = TRAINING(sigmoid_grad),
                      [ACT_TANH] = TRAINING(tanh_grad),
                      [ACT_SILU] = TRAINING(silu_grad),
                      [ACT_GELU] = TRAINING(gelu_grad),
                      [ACT_HARD_SWISH] = TRAINING(hard_swish_grad),
                      [ACT_HARD_SIGMOID] = TRAINING(hard_sigmoid_grad)},
    .add_row = add_row,
    .affine = affine,
    .affine2 = TRAINING(affine2),
    .sum_rows = TRAINING(sum_rows),
    .softmax = softmax,
    .log_sum_exp = TRAINING(log_sum_exp),
    .adam = TRAINING(adam),
    .sgd = TRAINING(sgd),
    .adam_decay = TRAINING(adam_decay),
    .sgd_decay = TRAINING(sgd_decay),
    .approach = TRAINING(approach),
    .max_pool = max_pool,
    .min_pool = min_pool,
    .avg_pool = avg_pool,
    .mean_rows = mean_rows,
    .max_pool_grad = TRAINING(max_pool_grad),
    .min_pool_grad = TRAINING(min_pool_grad),
    .avg_pool_grad = TRAINING(avg_pool_grad),
    .max_pool_grad_row = TRAINING(max_pool_grad_row),
    .min_pool_grad_row = TRAINING(min_pool_grad_row),
    .turn_bytes = turn_bytes,
    .blend_bytes = blend_bytes,
    .random_unit = random_unit,
    .random_normal2 = random_normal2,
    .dropout = TRAINING(dropout),
    .depthwise = depthwise,
    .depthwise_grad_x = TRAINING(depthwise_grad_x),
    .depthwise_grad_w = TRAINING(depthwise_grad_w),
};
