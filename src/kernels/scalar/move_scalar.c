/* move_scalar.c - the specification of the kernels that only move. */
#include "kernels/kernels.h"

/* The elements may be of any type of that size, or several of a smaller one,
 * hence may_alias and no alignment. */
#define TRANSPOSE(job, type)                                                   \
    void oc__##job##_scalar(const void *x, size_t x_pitch, void *y,            \
                            size_t y_pitch, size_t rows, size_t cols) {        \
        typedef type __attribute__((may_alias, aligned(1))) lane;              \
        const lane *from = x;                                                  \
        lane *to = y;                                                          \
        for (size_t c = 0; c < cols; c++)                                      \
            for (size_t r = 0; r < rows; r++)                                  \
                to[c * y_pitch + r] = from[r * x_pitch + c];                   \
    }

TRANSPOSE(transpose_b1, uint8_t)
TRANSPOSE(transpose_b2, uint16_t)
TRANSPOSE(transpose_b4, uint32_t)
TRANSPOSE(transpose_b8, uint64_t)

void oc__interleave_f32_scalar(const float *x, size_t x_pitch, size_t channels,
                               float *y, size_t block, size_t pixels) {
    for (size_t i = 0; i < pixels; i++)
        for (size_t j = 0; j < block; j++)
            y[i * block + j] = j < channels ? x[j * x_pitch + i] : 0;
}

void oc__table_i8_scalar(const uint8_t *table, const uint8_t *x, uint8_t *y,
                         size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

void oc__zip_i8_scalar(const uint8_t *a, const uint8_t *b, uint8_t *y,
                       size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[2 * i] = a[i];
        y[2 * i + 1] = b[i];
    }
}
