/*
 * trace.h - where the elements of a value really come from.
 *
 * Transpose, Reshape, Squeeze, Split, Slice, Gather of one index and
 * multiplying by a number make a value whose elements are those of an earlier
 * one, found by steps and scaled:
 *
 *     v[i0, i1, ...] = scale * source[offset + i0 step[0] + i1 step[1] ...]
 */
#ifndef OC_PASSES_TRACE_H
#define OC_PASSES_TRACE_H

#include "passes/match.h"

typedef struct oc__trace {
    int source;
    int rank;
    int64_t dims[OC_MAX_RANK], step[OC_MAX_RANK], offset;
    double scale;
} oc__trace;

/**
 * Follows v as far back as steps can say; where nothing can be said, source
 * is v itself.  0 when v is no f32 tensor of known shape, or is empty.
 */
int oc__trace_back(const oc__index *ix, int v, oc__trace *out);
/** v = x * *factor for a constant number: returns x, else -1. */
int oc__scaled_by(const oc__index *ix, const oc__node *n, double *factor);

#endif
