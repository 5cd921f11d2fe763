/*
 * gemm_i8.h - C (int32) = (A - za)(B - zb), 8-bit integers, exact.
 *
 * For MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv through im2col.
 * A is u8 or s8 (rows), B is u8 or s8, packed ahead when it is a weight.
 * The zero points are taken out with row and column sums, so every kernel
 * gives the same bits as the scalar one.
 */
#ifndef OC_KERNELS_GEMM_I8_H
#define OC_KERNELS_GEMM_I8_H

#include "cpu/pool.h"

struct oc__kernels;

typedef struct oc__gemm_i8_args {
    size_t m, n, k;
    const void *a; /* (m, k), k contiguous */
    size_t a_row_stride;
    int a_signed, b_signed;
    int32_t a_zero;
    const int32_t *a_zeros; /* per row, or NULL for a_zero */
    int32_t b_zero;
    const int32_t *b_zeros; /* per column, or NULL for b_zero */
    const void *packed_b;   /* from oc__gemm_i8_pack_b() */
    int32_t *c;
    size_t c_row_stride;
} oc__gemm_i8_args;

size_t oc__gemm_i8_packed_bytes(const struct oc__kernels *kt, size_t k,
                                size_t n);
/** Packs B (k, n), any strides in elements (bytes). */
void oc__gemm_i8_pack_b(const struct oc__kernels *kt, size_t k, size_t n,
                        const void *b, int b_signed, size_t row_stride,
                        size_t col_stride, void *packed);
size_t oc__gemm_i8_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                 size_t n, size_t k, int threads);
void oc__gemm_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__gemm_i8_args *args, void *scratch);

#endif
