/*
 * gemm_i8.h - C (int32) = (A - za)(B - zb), 8-bit integers, exact.
 *
 * For MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv through im2col.
 * A is u8 or s8 (rows), B is u8 or s8, packed ahead when it is a weight.
 *
 * The kernels multiply a' = A as u8 by b' = B as s8: signed A and unsigned B
 * are moved by 128 (their top bit flipped), and so are their zero points.
 * (Those with a_signed want A as s8, so unsigned A is what they move.)
 * These are taken out with sums of rows and columns,
 *
 *     sum (a' - za)(b' - zb) = sum a' b' - za * sum b' - zb * (sum a' - k za)
 *
 * all modulo 2^32, which is exact for every result that fits int32, and the
 * same bits on every instruction set for those that do not.
 *
 * Packed B: the sums of its columns, then panels of nr columns in which b_steps
 * steps of a column lie together (four or two), what one dot-product
 * instruction takes:
 *
 *     sums     int32 [n up to nr]   filled up to a multiple of 64 bytes
 *     panel p  s8 [k / b_steps][nr][b_steps]    zeros beyond k and n
 *
 * Packed A, made by the driver, a panel of r rows at a time: 64 steps of a
 * row lie together,
 *
 *     u8 (or s16) [k / 64][r][64]
 */
#ifndef OC_KERNELS_GEMM_I8_H
#define OC_KERNELS_GEMM_I8_H

#include "cpu/pool.h"

struct oc__kernels;

/* ---- the kernel ---------------------------------------------------------- */

#define OC_GEMM_I8_STEPS 64
/* Columns up to whose multiple the bias and scale of codes are filled up. */
#define OC_CODE_COLS 16
/* Bytes that `reach` should go beyond n for full speed. */
#define OC_GEMM_I8_REACH 16

/**
 * From sums back to 8 bits, as requantize_i8 does it:
 *   y[i][j] = saturate(round_half_even((sum[i][j] + bias[j]) * scale[j])
 *                      + zero)
 * or, where f is not NULL, to f32, each step rounded:
 *   f[i][j] = (float)(sum[i][j] + bias[j]) * scale[j] + shift[j]
 * What zero points of A add to a column is the same for all rows, and is in
 * the bias.
 */
typedef struct oc__codes {
    const int32_t *bias;
    const float *scale, *shift; /* shift: of f alone */
    int zero, is_signed;        /* of y */
    uint8_t *y;
    float *f;
    size_t row_stride; /* elements of y or f */
} oc__codes;

/** Plain C: a sum of column j as y[at] or f[at]. */
void oc__put_code_scalar(const oc__codes *to, int32_t sum, size_t j, size_t at);

typedef struct oc__gemm_i8_tile {
    size_t rows, cols, k; /* k is rounded up to 4 */
    const void *a;        /* packed u8 or s16 */
    size_t a_step;        /* elements from 64 steps to the next: r * 64 */
    const int8_t *b;      /* first panel at its first step */
    size_t b_panel_step;  /* bytes from panel to panel */
    int32_t *c;
    size_t c_row_stride;
    /* Of a product cut along k: the first part does not read C, only the last
     * one takes the zero points out. */
    int first, last;
    const int32_t *a_zero; /* rows values */
    const int32_t *a_rest; /* sum a' - k za of each row; NULL: all zb are 0 */
    const int32_t *b_sum, *b_zero; /* cols values */
    /* y or f is not NULL: the last part writes it instead of C and needs none
     * of the zero points.  Rows of C, if it is not the first part, too, are
     * filled up to whole panels. */
    oc__codes codes;
} oc__gemm_i8_tile;

typedef struct oc__gemm_i8_kernel {
    size_t mr, nr;
    size_t a_bytes; /* of an element of packed A: 1 for u8, 2 for s16 */
    /* Rows up to which a tile spans thin_panels panels; see gemm.h. */
    size_t thin_rows, thin_panels;
    void (*tile)(const oc__gemm_i8_tile *t);
    /* n bytes, each ^ flip, as steps at, at + 1 ... of a row of packed A.
     * Behind them, up to a multiple of 4, stands something, and anything may
     * be written up to one of 64; `reach`, n or more, bytes may be read.
     * step: elements from 64 steps to the next. */
    void (*pack)(const uint8_t *from, size_t n, size_t reach, int flip,
                 void *row, size_t at, size_t step);
    int a_signed; /* a' is s8 */
    size_t b_steps;
} oc__gemm_i8_kernel;

/* ---- the driver ---------------------------------------------------------- */

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
/** Packs B (k, n), any strides in elements (bytes); packed is aligned to 64. */
void oc__gemm_i8_pack_b(const struct oc__kernels *kt, size_t k, size_t n,
                        const void *b, int b_signed, size_t row_stride,
                        size_t col_stride, void *packed);
size_t oc__gemm_i8_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                 size_t n, size_t k, int threads);
/** scratch is aligned to 64.  C overlaps nothing. */
void oc__gemm_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__gemm_i8_args *args, void *scratch);

#endif
