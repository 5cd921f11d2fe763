/*
 * sort.h - a stable sort of indexes, with a context, in memory of the caller.
 */
#ifndef OC_BASE_SORT_H
#define OC_BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

/** Negative, zero or positive as element a stands before, with, behind b. */
typedef int (*oc__compare_fn)(const void *ctx, int64_t a, int64_t b);

/**
 * Sorts index[n] so that compare(ctx, index[i], index[i+1]) <= 0; equal ones
 * keep their order.  tmp has room for n indexes.  A compare that is no order
 * (NaN) gives some permutation, never more.
 */
void oc__sort_index(int64_t *index, int64_t *tmp, size_t n,
                    oc__compare_fn compare, const void *ctx);

#endif
