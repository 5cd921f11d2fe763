/*
 * requantize.h - what the quantized operators share: their scales and zero
 * points, and the way from 32-bit sums back to 8 bits.
 */
#ifndef OC_OPS_REQUANTIZE_H
#define OC_OPS_REQUANTIZE_H

#include "ops/op.h"

/**
 * One number, or one for each row or column, or one for each row or column of
 * each matrix of a batch.
 */
typedef struct oc__param {
    const oc_tensor *t; /* NULL: absent, 0 */
    int64_t elems, length;
} oc__param;

/**
 * Input i as a parameter for `length` rows of `matrices` matrices.  E_SHAPE
 * when it has another number of elements.  Absent is fine if optional.
 */
oc_status oc__param_read(const oc__ctx *c, int i, int64_t length,
                         int64_t matrices, int optional, oc__param *out);
/** Of row i of matrix m. */
double oc__param_get(const oc__param *p, int64_t m, int64_t i);

/** Saturates to u8 or i8 after rounding halves to even, plus zero. */
static inline int oc__requantize(float v, int zero, int is_signed) {
    /* Adding and subtracting 1.5 * 2^23 rounds as the processor does; the
       clip keeps |v| in the range where that holds, and NaN out. */
    const float big = 12582912.0f;
    v = v < 512 ? v : 512;
    v = v > -512 ? v : -512;
    int q = (int)((v + big) - big) + zero;
    int lo = is_signed ? -128 : 0, hi = is_signed ? 127 : 255;
    return q < lo ? lo : q > hi ? hi : q;
}

/** One scale and zero point for a whole tensor. */
typedef struct oc__scale_zero {
    float scale;
    int zero;
} oc__scale_zero;

/** table[code of x] = the code of y that stands for the same. */
void oc__requantize_table(oc__scale_zero x, oc__scale_zero y, int is_signed,
                          uint8_t *table);

/** The scale and zero point that DynamicQuantizeLinear gives x. */
void oc__dynamic_scale(const oc__kernels *kt, const float *x, int64_t n,
                       float *scale, uint8_t *zero);

#endif
