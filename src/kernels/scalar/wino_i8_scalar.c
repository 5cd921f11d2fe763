/* wino_i8_scalar.c - Winograd's 3x3 convolution of 8 bits in plain C; see
 * conv_i8.h. */
#include "kernels/kernels.h"

#include <string.h>

/* Six steps of a line of the input. */
static void in_line(const int32_t *d, size_t step, int32_t *to,
                    size_t to_step) {
    int32_t d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    int32_t d4 = d[4 * step], d5 = d[5 * step];
    to[0] = 4 * d0 - 5 * d2 + d4;
    to[to_step] = d4 - 4 * d2 + (d3 - 4 * d1);
    to[2 * to_step] = d4 - 4 * d2 - (d3 - 4 * d1);
    to[3 * to_step] = d4 - d2 + 2 * (d3 - d1);
    to[4 * to_step] = d4 - d2 - 2 * (d3 - d1);
    to[5 * to_step] = 4 * d1 - 5 * d3 + d5;
}

static void wino_in(const uint8_t *const *px, int flip, size_t channels,
                    int16_t *to, size_t step) {
    for (size_t c = 0; c < oc__align_up(channels, OC_CODE_COLS); c++) {
        int32_t d[36], t[36];
        for (size_t i = 0; i < 36; i++)
            d[i] = c < channels ? px[i][c] ^ flip : 0;
        for (size_t i = 0; i < 6; i++)
            in_line(d + i, 6, t + i, 6);
        for (size_t i = 0; i < 6; i++)
            in_line(t + 6 * i, 1, d + 6 * i, 1);
        for (size_t i = 0; i < 36; i++)
            to[i * step + c] = (int16_t)d[i];
    }
}

static void wino_mul(const int16_t *a, size_t rows, size_t a_step,
                     const int16_t *b, size_t depth, int32_t *c) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < OC_CODE_COLS; j++) {
            uint32_t sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += (uint32_t)(a[i * a_step + k] *
                                  b[(k / 2 * OC_CODE_COLS + j) * 2 + k % 2]);
            c[i * OC_CODE_COLS + j] = (int32_t)sum;
        }
}

/* Four results of a line; all modulo 2^32. */
static void out_line(const uint32_t *m, size_t step, uint32_t *to,
                     size_t to_step) {
    uint32_t s = m[step] + m[2 * step], d = m[step] - m[2 * step];
    uint32_t u = m[3 * step] + m[4 * step], v = m[3 * step] - m[4 * step];
    to[0] = m[0] + 4 * s + u;
    to[to_step] = 4 * d + 2 * v;
    to[2 * to_step] = 4 * (s + u);
    to[3 * to_step] = 4 * (d + 2 * v + m[5 * step]);
}

/* 576 times the sum, modulo 2^32, to the sum. */
static int32_t sum_of(uint32_t y) {
    uint32_t times64 = y * OC_WINO_I8_NINTH;
    int32_t x;
    memcpy(&x, &times64, sizeof(x));
    return x >= 0 ? x / 64 : -(-(x + 1) / 64) - 1;
}

static void wino_out(const int32_t *m, size_t step, size_t cols,
                     const oc__codes *to, const size_t *at) {
    for (size_t c = 0; c < cols; c++) {
        uint32_t t[36], y[24];
        for (size_t i = 0; i < 36; i++)
            t[i] = (uint32_t)m[i * step + c];
        for (size_t i = 0; i < 6; i++)
            out_line(t + i, 6, y + i, 6);
        for (size_t i = 0; i < 4; i++)
            out_line(y + 6 * i, 1, t + 4 * i, 1);
        for (size_t i = 0; i < 16; i++)
            if (at[i] != OC_WINO_I8_OUTSIDE)
                oc__put_code_scalar(to, sum_of(t[i]), c, at[i] + c);
    }
}

const oc__wino_i8_kernel oc__wino_i8_scalar = {4, wino_in, wino_mul, wino_out};
