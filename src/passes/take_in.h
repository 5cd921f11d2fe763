/* take_in.h - what stands behind a product becomes a part of it. */
#ifndef OC_PASSES_TAKE_IN_H
#define OC_PASSES_TAKE_IN_H

#include "passes/activation.h"

/**
 * Takes additions and an activation behind the f32 product m, node number *at,
 * into it: a constant for each of n columns as its input `bias`, another tensor
 * like the result as its input `residual`, where these are free (-1: never),
 * and an activation as its attributes 0 to 2, act, act_a and act_b, which say
 * that there is none.  m may move to a later place, and *at with it.
 */
void oc__take_in(const oc__index *ix, int *at, oc__node *m, int64_t n, int bias,
                 int residual);

#endif
