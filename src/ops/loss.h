/*
 * loss.h - what NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss ask for.
 *
 * The input is (batch, classes, positions...); each position of each batch
 * entry has a class as its target.
 */
#ifndef OC_OPS_LOSS_H
#define OC_OPS_LOSS_H

#include "ops/op.h"

enum { OC_LOSS_NLL, OC_LOSS_CROSS_ENTROPY };
enum { OC_LOSS_EACH, OC_LOSS_SUM, OC_LOSS_MEAN }; /* reductions */

typedef struct oc__loss {
    int kind, reduction, has_ignore;
    int64_t ignore;
    int64_t batch, classes, positions;
    int rank; /* of the unreduced loss */
    int64_t dims[OC_MAX_RANK];
    oc_dtype dtype;
    oc_tensor x, target, weight; /* weight.data NULL: all one */
    int has_weight;
    double *log_sum; /* of exp(x - max), plus max, a position each */
    oc_tensor y, log_prob;
} oc__loss;

/** Reads inputs 0 to 2 and the attributes; the kind is the operator's. */
oc_status oc__loss_read(const oc__ctx *c, oc__loss *job);
/** Position i's target, -1 where it is ignored, and its weight. */
oc_status oc__loss_target(const oc__ctx *c, const oc__loss *job, int64_t i,
                          int64_t *target, double *weight);

#endif
