/*
 * gemm.h - C = act(alpha A B + bias + D) in f32, for MatMul, Gemm, attention
 * and convolution on plain (unblocked) tensors.
 *
 * B is packed into panels of nr columns, ahead of time when it is a weight:
 *
 *     packed B: blocks of kb steps of k (the last may be shorter), each of
 *     ceil(n/nr) panels of kb rows of nr columns, zero-padded
 *     block b, panel p, row i, column j
 *         ->  packed[b*kb*panels*nr + (p*kb + i)*nr + j]
 *
 *                nr columns                    k runs down: one step of the
 *     panel 0  | b00 b01 .. |  row 0           kernel reads one row of a panel
 *              | b10 b11 .. |  row 1           (nr floats) and one column of
 *              |    ...     |                  A's panel.
 *     panel 1  |    ...     |  row 0
 *
 * A is packed by the driver, a panel of rows at a time, into per-worker
 * scratch.  Sixteen steps of a row, one cache line, stay together, so that
 * packing rows is copying and every line is used up before it leaves:
 *
 *     packed A panel of r rows:  [k / 16][r][16]
 *     row i, step s  ->  packed[((s/16)*r + i)*16 + s%16]
 *
 * This is also how a strip of r pixels lies in NCHW16c, so convolution uses
 * the same inner loop.
 *
 * Products of bf16 (oc__gemm_f32_args.bf16) have the same layouts in words of
 * 32 bits, each a pair of neighbouring steps, and k counted in such words; an
 * odd k has a 0 behind it.  A is rounded when it is packed, to nearest, halves
 * to even; products are exact in f32, and sums are f32, a pair at a time in
 * either order.  Denormals may count as 0.
 *
 * Every element of C is one chain of multiply-adds over k in ascending order,
 * cut into blocks whose length depends on k alone.  How rows and columns are
 * dealt to threads, and which tile an element falls in, changes no bit.
 */
#ifndef OC_KERNELS_GEMM_H
#define OC_KERNELS_GEMM_H

#include "cpu/pool.h"
#include "kernels/ahead.h"

struct oc__kernels;

/* ---- the kernel ---------------------------------------------------------- */

/* Steps that lie together in packed A: 16 floats are one cache line. */
#define OC_GEMM_STEPS 16

/** One tile: rows of one panel of A times one or more panels of B; of bf16 a
 * and b are pairs, and k counts them. */
typedef struct oc__gemm_f32_tile {
    size_t rows, cols, k;
    const float *a;      /* packed, [k / 16][r][16] */
    size_t a_step;       /* elements from 16 steps to the next 16: r * 16 */
    const float *b;      /* first panel at its first step */
    size_t b_panel_step; /* elements from panel to panel */
    float *c;            /* (rows, cols) */
    size_t c_row_stride;
    /* Of a product cut along k: the first part does not read C, only the last
     * one does what follows. */
    int first, last;
    float alpha;
    const float *bias_n, *bias_m; /* of this tile, or NULL */
    const float *d;               /* of this tile, or NULL */
    size_t d_row_stride;
    float lo, hi; /* min(max(x, lo), hi), keeping NaN */
    oc__ahead ahead;
} oc__gemm_f32_tile;

typedef struct oc__gemm_f32_kernel {
    size_t mr, nr;
    /* A tile of at most thin_rows rows may span thin_panels panels, which
     * keeps enough sums going to hide the latency of multiply-add. */
    size_t thin_rows, thin_panels;
    void (*tile)(const oc__gemm_f32_tile *t);
} oc__gemm_f32_kernel;

/**
 * Nothing but multiply-adds in registers, enough of them independent to keep
 * every unit busy: what this core can do at most.  Returns the number of
 * operations (two a multiply-add) done; writes one float so that none of it
 * can be left out.
 */
typedef double oc__peak_f32_fn(size_t rounds, float *sink);

/* ---- the driver ---------------------------------------------------------- */

typedef struct oc__gemm_f32_args {
    size_t m, n, k;
    const float *a;
    size_t a_row_stride, a_col_stride; /* elements */
    const float *packed_b;             /* from oc__gemm_f32_pack_b() */
    int bf16; /* packed_b is from oc__gemm_bf16_pack_b() */
    /* Nonzero: not so, each panel goes through all of k, (p*k + i)*nr + j.  So
     * lies a B that is written where it is used, by who knows no blocks. */
    int b_is_whole;
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
/** The same for a product of bf16; packed B is that many bf16. */
size_t oc__gemm_bf16_packed_elems(const struct oc__kernels *kt, size_t k,
                                  size_t n);
void oc__gemm_bf16_pack_b(const struct oc__kernels *kt, oc__pool *pool,
                          size_t k, size_t n, const float *b, size_t row_stride,
                          size_t col_stride, uint16_t *packed);
/** Scratch that oc__gemm_f32() wants for these sizes, or smaller ones, and
 *  threads. */
size_t oc__gemm_f32_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                  size_t n, size_t k, int threads);
size_t oc__gemm_bf16_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                   size_t n, size_t k, int threads);
/**
 * Runs one product.  scratch is aligned to 64.  pool NULL: on the caller.
 * C must not overlap A, B or the biases; D may be C itself when k is short
 * enough not to be cut (see oc__gemm_f32_cuts_k()).
 */
void oc__gemm_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__gemm_f32_args *args, void *scratch);
/** Whether C is used for partial sums with this k. */
int oc__gemm_f32_cuts_k(size_t k);

#endif
