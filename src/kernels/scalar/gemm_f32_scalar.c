/* gemm_f32_scalar.c - the product tile in plain C; see gemm.h. */
#include "kernels/kernels.h"

#define MR 4
#define NR 8

/* C (rows, cols) of one panel.  The multiply-adds of one element run over k
 * in ascending order, like in every other kernel. */
static void tile_4x8(const oc__gemm_f32_tile *t) {
    float acc[MR][NR] = {{0}};
    for (size_t s = 0; s < t->k; s++) {
        const float *a =
            t->a + s / OC_GEMM_STEPS * t->a_step + s % OC_GEMM_STEPS;
        const float *b = t->b + s * NR;
        for (size_t i = 0; i < t->rows; i++)
            for (size_t j = 0; j < NR; j++)
                acc[i][j] += a[i * OC_GEMM_STEPS] * b[j];
    }
    for (size_t i = 0; i < t->rows; i++) {
        float *c = t->c + i * t->c_row_stride;
        for (size_t j = 0; j < t->cols; j++) {
            float x = t->first ? acc[i][j] : c[j] + acc[i][j];
            if (t->last) {
                x *= t->alpha;
                if (t->bias_n) x += t->bias_n[j];
                if (t->bias_m) x += t->bias_m[i];
                if (t->d) x += t->d[i * t->d_row_stride + j];
                x = x < t->lo ? t->lo : x;
                x = x > t->hi ? t->hi : x;
            }
            c[j] = x;
        }
    }
}

const oc__gemm_f32_kernel oc__gemm_f32_scalar = {MR, NR, 1, 1, tile_4x8};

double oc__peak_f32_scalar(size_t rounds, float *sink) {
    float acc[12], x = *sink;
    for (size_t i = 0; i < 12; i++)
        acc[i] = (float)i;
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < 12; i++)
            acc[i] = acc[i] * x + 1.0f;
    for (size_t i = 1; i < 12; i++)
        acc[0] += acc[i];
    *sink = acc[0];
    return 2.0 * 12.0 * (double)rounds;
}
