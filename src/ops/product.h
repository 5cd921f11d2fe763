/*
 * product.h - batches of matrix products, in any type and with any strides.
 *
 *     Y[b] (m, n) = A[b] (m, k) B[b] (k, n)        for every b of a batch
 *
 * f32, and through it the narrower floats, goes to the GEMM; f64 and integers
 * (modulo 2^64, cut to their width) through plain loops.  Either operand may
 * be transposed, repeated over the batch, or lie anywhere strides can say.
 * B may come packed already, when it is a weight: see PackB in gemm_op.c.
 */
#ifndef OC_OPS_PRODUCT_H
#define OC_OPS_PRODUCT_H

#include "ops/lanes.h"
#include "ops/op.h"
#include "ops/walk.h"

typedef struct oc__product {
    oc_dtype a_type, b_type, y_type; /* of one wide type */
    int64_t m, n, k;
    int64_t a_row, a_col, b_row, b_col; /* strides in elements */
    int64_t a_elems, b_elems; /* of the whole operands, for their conversion */
    /* Two operands: where each A and each B begins.  The results are dense. */
    oc__walk batch;
    int packed; /* B is panels of f32, or of bf16 where b_type says so */
    /* What follows the sum; f32 and narrower floats only. */
    float alpha;
    const float *bias_n, *bias_m; /* n values, m values; or NULL */
    const float *d; /* (m, n), or rows d_row apart; the same for all b */
    int64_t d_row;
    int act; /* oc__act */
    float act_a, act_b;
} oc__product;

/** One operand seen as a batch of matrices. */
typedef struct oc__operand {
    int rank;                     /* of the batch */
    int64_t batch[OC_MAX_RANK];   /* its dims */
    int64_t strides[OC_MAX_RANK]; /* in elements; 0 where a dim is 1 */
    int64_t rows, cols, row, col; /* of the matrices, and their strides */
} oc__operand;

/**
 * A vector on the left is a row, on the right a column.  trans exchanges rows
 * and columns.  FusedMatMul's transBatch says that the dimension of rows
 * stands first: (rows, batch..., cols).
 */
void oc__operand_read(const oc_tensor *t, int right, int trans, int trans_batch,
                      oc__operand *o);
/** The batch of the result, and how both operands walk through it. */
oc_status oc__operand_join(const oc__ctx *c, const oc__operand *a,
                           const oc__operand *b, int *rank, int64_t *dims,
                           oc__walk *w);

/** Elements of packed B in panels of f32 or bf16; -1: too many. */
int64_t oc__product_packed(const oc__ctx *c, oc_dtype dtype, int64_t k,
                           int64_t n);

/** Zeroes p, sets alpha to 1 and the batch to one. */
void oc__product_init(oc__product *p);
/** Scratch that run wants, with c->threads; 0 sizes are fine. */
oc_status oc__product_scratch(const oc__ctx *c, const oc__product *p,
                              size_t *bytes);
/** Runs all products.  scratch is aligned to 64. */
void oc__product_run(const oc__ctx *c, const oc__product *p, const void *a,
                     const void *b, void *y, void *scratch);

#endif
