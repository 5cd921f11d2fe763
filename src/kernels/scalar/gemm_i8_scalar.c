/* gemm_i8_scalar.c - the 8-bit product tile in plain C; see gemm_i8.h. */
#include "kernels/kernels.h"

#define MR 4
#define NR 8
/* From 64 steps of packed A to the next. */
#define A_STEP (MR * OC_GEMM_I8_STEPS)

/* The sum of what is packed, for row i and column j. */
static uint32_t dot(const oc__gemm_i8_tile *t, size_t i, size_t j) {
    const size_t steps = OC_GEMM_I8_STEPS;
    const int8_t *panel = t->b + j / NR * t->b_panel_step;
    uint32_t sum = 0;
    for (size_t s = 0; s < t->k; s++) {
        int32_t a = t->a[s / steps * A_STEP + i * steps + s % steps];
        int32_t b = panel[(s / 4 * NR + j % NR) * 4 + s % 4];
        sum += (uint32_t)(a * b);
    }
    return sum;
}

void oc__put_code_scalar(const oc__codes *to, int32_t sum, size_t j,
                         size_t at) {
    if (!to->f) {
        oc__requantize_i8_scalar(&sum, to->bias + j, to->scale + j, to->zero,
                                 to->is_signed, to->y + at, 1, 1);
        return;
    }
    float whole = (float)(int32_t)((uint32_t)sum + (uint32_t)to->bias[j]);
    float scaled = whole * to->scale[j];
    to->f[at] = scaled + to->shift[j];
}

/* Unsigned arithmetic: sums that do not fit wrap, as they do in vectors. */
static void tile_4x8(const oc__gemm_i8_tile *t) {
    const oc__codes *to = &t->codes;
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j++) {
            uint32_t sum = dot(t, i, j);
            if (!t->first) sum += (uint32_t)t->c[i * t->c_row_stride + j];
            if (t->last && (to->y || to->f)) {
                oc__put_code_scalar(to, (int32_t)sum, j,
                                    i * to->row_stride + j);
                continue;
            }
            if (t->last) {
                sum -= (uint32_t)t->a_zero[i] * (uint32_t)t->b_sum[j];
                if (t->a_rest)
                    sum -= (uint32_t)t->a_rest[i] * (uint32_t)t->b_zero[j];
            }
            t->c[i * t->c_row_stride + j] = (int32_t)sum;
        }
}

static void pack(const uint8_t *from, size_t n, size_t reach, int flip,
                 uint8_t *row, size_t at) {
    const size_t steps = OC_GEMM_I8_STEPS;
    (void)reach;
    for (size_t i = 0; i < n; i++, at++)
        row[at / steps * A_STEP + at % steps] = (uint8_t)(from[i] ^ flip);
    for (; at % 4; at++)
        row[at / steps * A_STEP + at % steps] = 0;
}

const oc__gemm_i8_kernel oc__gemm_i8_scalar = {MR,       NR,   1, 1,
                                               tile_4x8, pack, 0, NULL};
