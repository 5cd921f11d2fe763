/*
 * moments.h - what the inputs of a layer have in common, from samples that
 * stream by.
 *
 * An output of a layer is a product of a row of its weight with some inputs:
 * for a convolution, what lies under its window.  Of their products with each
 * other the mean is kept, among `reach` of them at a time, and nothing of the
 * inputs; from some places of each sample, for there are many and they say the
 * same.
 */
#ifndef OC_QUANT_MOMENTS_H
#define OC_QUANT_MOMENTS_H

#include "ops/op.h"

enum {
    OC_MOMENTS_REACH = 128 /* inputs at most that are looked at together */
};

typedef struct oc__moments {
    int64_t rows;    /* inputs of an output, those of one group */
    int64_t groups;  /* of channels, each with outputs of its own */
    int64_t taps;    /* rows of one channel, which follow each other */
    int64_t reach;   /* rows of a piece; the last may have fewer */
    int64_t samples; /* that were seen, each worth the same */
    double *sums;    /* (groups, rows): of means */
    float *products; /* (groups, pieces, reach, reach) */
} oc__moments;

/** Pieces of a group. */
int64_t oc__moments_pieces(const oc__moments *m);
/** Rows of piece i. */
int64_t oc__moments_piece_rows(const oc__moments *m, int64_t i);
/** The products of piece i of group g: (rows, reach). */
const float *oc__moments_of(const oc__moments *m, int64_t g, int64_t i);

/**
 * Of a node with weight w: Conv, or a product of `rows` inputs.  *out is NULL
 * where it says nothing that could be kept: no rows, or too many taps.
 * Errors: E_NOMEM.
 */
oc_status oc__moments_create(oc__moments **out, const oc__node *n,
                             const oc_tensor *w, int axis,
                             const oc_allocator *a);
/** Bytes that these take, and *work while a sample is taken. */
size_t oc__moments_bytes(const oc__node *n, const oc_tensor *w, int axis,
                         size_t *work);
void oc__moments_destroy(oc__moments *m, const oc_allocator *a);
/**
 * Takes a sample: x is the node's input, f32.  One that does not fit is left
 * out.  Sums do not depend on threads.
 * Errors: E_NOMEM.
 */
oc_status oc__moments_add(oc__moments *m, const oc__node *n, const oc_tensor *w,
                          const oc_tensor *x, const oc__kernels *kernels,
                          oc__pool *pool, const oc_allocator *a);

#endif
