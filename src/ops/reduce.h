/* reduce.h - the sums of reduce.c, for operators that reduce as a part. */
#ifndef OC_OPS_REDUCE_H
#define OC_OPS_REDUCE_H

#include "ops/op.h"

/**
 * y = x summed over the dimensions that are marked in reduced[x->rank].  y
 * has x's type and as many elements as the other dimensions hold, in order;
 * its shape is not looked at.  Floats are added in f64, in one order for any
 * number of threads.
 */
void oc__reduce_sum(const oc__ctx *c, const oc_tensor *x, const int *reduced,
                    oc_tensor *y);

#endif
