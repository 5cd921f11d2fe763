/* gemm_i8_scalar.c - the 8-bit product tile in plain C; see gemm_i8.h. */
#include "kernels/kernels.h"

#define MR 4
#define NR 8

/* Unsigned arithmetic: sums that do not fit wrap, as they do in vectors. */
static void tile_4x8(const oc__gemm_i8_tile *t) {
    const size_t steps = OC_GEMM_I8_STEPS;
    const uint8_t *packed = t->a;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j++) {
            int32_t *c = t->c + i * t->c_row_stride + j;
            uint32_t sum = t->first ? 0 : (uint32_t)*c;
            for (size_t s = 0; s < t->k; s++) {
                int32_t a =
                    packed[s / steps * t->a_step + i * steps + s % steps];
                int32_t b = t->b[(s / 4 * NR + j) * 4 + s % 4];
                sum += (uint32_t)(a * b);
            }
            if (t->last) {
                sum -= (uint32_t)t->a_zero[i] * (uint32_t)t->b_sum[j];
                if (t->a_rest)
                    sum -= (uint32_t)t->a_rest[i] * (uint32_t)t->b_zero[j];
            }
            *c = (int32_t)sum;
        }
}

const oc__gemm_i8_kernel oc__gemm_i8_scalar = {MR, NR, 1, 1, 1, tile_4x8};
