/*
 * gemm.h - C = act(alpha A B + bias + D) in f32, for MatMul, Gemm, attention
 * and convolution on plain (unblocked) tensors.
 *
 * B is packed into panels of nr columns, ahead of time when it is a weight:
 *
 *     packed B: ceil(n/nr) panels, each k rows of nr columns, zero-padded
 *     panel p, row i, column j  ->  packed[(p*k + i)*nr + j]
 *
 * A is packed by the driver, a block at a time, into panels of mr rows in
 * per-worker scratch.
 */
#ifndef OC_KERNELS_GEMM_H
#define OC_KERNELS_GEMM_H

#include "cpu/pool.h"

struct oc__kernels;

typedef struct oc__gemm_f32_args {
    size_t m, n, k;
    const float *a;
    size_t a_row_stride, a_col_stride; /* elements */
    const float *packed_b;             /* from oc__gemm_f32_pack_b() */
    float *c;
    size_t c_row_stride; /* columns are contiguous */
    const float *bias_n; /* n values added to each row, or NULL */
    const float *bias_m; /* m values, one a row, or NULL */
    const float *d;      /* (m, n) added before the activation, or NULL */
    size_t d_row_stride; /* 0 repeats one row */
    float alpha;         /* scales A B */
    int act;             /* oc__act */
    float act_a, act_b;
} oc__gemm_f32_args;

/** Floats that packed B takes. */
size_t oc__gemm_f32_packed_elems(const struct oc__kernels *kt, size_t k,
                                 size_t n);
/** Packs B (k, n) with any strides.  pool may be NULL. */
void oc__gemm_f32_pack_b(const struct oc__kernels *kt, oc__pool *pool, size_t k,
                         size_t n, const float *b, size_t row_stride,
                         size_t col_stride, float *packed);
/** Scratch that oc__gemm_f32() wants for these sizes and threads. */
size_t oc__gemm_f32_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                  size_t n, size_t k, int threads);
/** Runs one product.  scratch is aligned to 64.  pool NULL: on the caller. */
void oc__gemm_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__gemm_f32_args *args, void *scratch);

#endif
