/*
 * moves.h - strided copies, for the operators that only move elements.
 *
 * A move is a loop nest over dims with one source and one destination stride
 * a dim, in elements:
 *
 *     for i0 in dims[0] ... for ik in dims[k]:
 *         dst[i0*dst[0] + ... + ik*dst[k]] = src[i0*src[0] + ... + ik*src[k]]
 *
 * Slice, Transpose, Concat, Split, Tile, Expand, DepthToSpace and others are
 * nothing but the strides they choose: a negative one walks backwards, a zero
 * source stride repeats.  Runs that are contiguous on both sides become
 * memcpy, transposed pairs of dims go tile by tile.
 */
#ifndef OC_OPS_MOVES_H
#define OC_OPS_MOVES_H

#include "ops/op.h"

enum { OC_MOVE_RANK = 2 * OC_MAX_RANK };

typedef struct oc__move {
    int rank;
    int64_t dims[OC_MOVE_RANK], src[OC_MOVE_RANK], dst[OC_MOVE_RANK];
} oc__move;

/** Appends a dim, outermost first.  Dims of one element are dropped. */
void oc__move_dim(oc__move *m, int64_t dim, int64_t src, int64_t dst);
/**
 * Runs the move on elements of `bytes` bytes (1, 2, 4, 8, 16); src and dst
 * are the addresses of index 0 and must not overlap.  m is simplified on the
 * way.  The destinations of different indexes must differ.
 */
void oc__move_run(const oc__ctx *c, oc__move *m, size_t bytes, const void *src,
                  void *dst);
/** Copies n bytes that lie contiguously, with the pool for long runs. */
void oc__move_copy(const oc__ctx *c, void *dst, const void *src, size_t n);
/** Fills n elements of `bytes` bytes with the one at value. */
void oc__move_fill(const oc__ctx *c, void *dst, const void *value, size_t bytes,
                   int64_t n);

#endif
