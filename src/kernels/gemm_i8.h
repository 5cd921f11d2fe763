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
 * Packed B: the sums of its columns, then panels of nr columns in which four
 * steps of a column lie together, what one dot-product instruction takes:
 *
 *     sums     int32 [n up to nr]   filled up to a multiple of 64 bytes
 *     orders   u16 [panels][...]    of kernels with an order of their own
 *     panel p  s8 [k / 4][nr][4]    zeros beyond k and n
 *
 * Packed A, made by the driver, a panel of up to mr rows at a time: 64 steps of
 * a row lie together,
 *
 *     u8 [k / 64][mr][64]
 *
 * Without dot-product instructions.  vpmaddubsw adds two products of bytes in
 * 16 bits, and what does not fit is lost.  But whatever A is, nothing is lost
 * where the weights of one sign in such a sum make no more than 128: 128 * 255
 * fits.  That goes for nearly all pairs of weights, so sums of two are exact as
 * they are; and as most weights are small, quads of steps (of all columns of a
 * panel) can be matched so that sums of four are, too.  So where a kernel has
 * an order, the quads of a panel's part of k are
 *
 *     pairs of quads that may be added in 16 bits, then
 *     single ones whose products may be, then
 *     others, whose products are widened each on its own,
 *
 * and its list in `orders` has the numbers of pairs and of single ones, and
 * where each quad's A stands in a panel of mr rows.
 */
#ifndef OC_KERNELS_GEMM_I8_H
#define OC_KERNELS_GEMM_I8_H

#include "cpu/pool.h"

struct oc__kernels;

/* ---- the kernel ---------------------------------------------------------- */

#define OC_GEMM_I8_STEPS 64
/* Most steps of a part of k, a multiple of 64: 14 rows of it are 17.5 KiB, half
 * of L1; four times the steps of f32 in the same room. */
#define OC_GEMM_I8_K_BLOCK 1280
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
    size_t rows, cols, k;  /* k is rounded up to 4 */
    const uint8_t *a;      /* packed */
    const int8_t *b;       /* first panel at its first step */
    size_t b_panel_step;   /* bytes from panel to panel */
    const uint16_t *order; /* of the first panel, and from list to list */
    size_t order_step;
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
    /* Rows up to which a tile spans thin_panels panels; see gemm.h. */
    size_t thin_rows, thin_panels;
    void (*tile)(const oc__gemm_i8_tile *t);
    /* n bytes, each ^ flip, as steps at, at + 1 ... of a row of packed A.
     * Behind them, up to a multiple of 4, stands something, and anything may
     * be written up to one of 64; `reach`, n or more, bytes may be read. */
    void (*pack)(const uint8_t *from, size_t n, size_t reach, int flip,
                 uint8_t *row, size_t at);
    int a_signed; /* a' is s8 */
    /* Orders so many quads of a panel, and writes its list; NULL: none. */
    void (*order)(int8_t *panel, size_t quads, uint16_t *list);
} oc__gemm_i8_kernel;

/** Of a product's packed B, in bytes from its start. */
typedef struct oc__gemm_i8_layout {
    size_t orders, order_step; /* order_step: elements from list to list */
    size_t panels, panel_step;
    size_t bytes; /* SIZE_MAX: too many */
} oc__gemm_i8_layout;
oc__gemm_i8_layout oc__gemm_i8_layout_of(const oc__gemm_i8_kernel *kernel,
                                         size_t k, size_t n);

/** Steps of a part of k. */
size_t oc__gemm_i8_k_block(size_t k);

/** Where the part of k from k0 on, at column j, stands in packed B. */
void oc__gemm_i8_seek(const oc__gemm_i8_kernel *kernel,
                      const oc__gemm_i8_layout *l, const void *packed, size_t k,
                      size_t k0, size_t j, oc__gemm_i8_tile *t);

/** The last step of packing: the order of panels whose quads are there. */
void oc__gemm_i8_order(const oc__gemm_i8_kernel *kernel, size_t k, size_t n,
                       void *packed);

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
