/*
 * sum_to.c - sums that take broadcasting back, in the domain "ocelli":
 *
 *   SumTo          x, like -> y of like's shape: x summed over what
 *                  broadcasting like to x's shape repeats
 *   SumToChannels  x (batch, channels, ...) -> y (channels): summed over all
 *                  but the channels, as for the gradient of a bias
 *
 * Differentiation puts SumTo behind every gradient of a broadcast operand.
 */
#include "ops/reduce.h"

enum { SUM_TO, SUM_TO_CHANNELS };

static oc_status infer_sum_to(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0), *like = oc__in(c, 1);
    if (c->op->kind == SUM_TO_CHANNELS) {
        OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
        return oc__out_set(c, 0, x->dtype, 1, x->dims + 1);
    }
    OC_TRY(oc__want(c, 1, OC_T_ANY));
    int pad = x->rank - like->rank, fits = pad >= 0;
    for (int i = 0; i < like->rank && fits; i++)
        fits = like->dims[i] == 1 || like->dims[i] == x->dims[pad + i];
    if (!fits)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the shape to sum to does not broadcast to x");
    return oc__out_set(c, 0, x->dtype, like->rank, like->dims);
}

static oc_status run_sum_to(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int reduced[OC_MAX_RANK], pad = x->rank - y->rank;
    for (int i = 0; i < x->rank; i++)
        reduced[i] = c->op->kind == SUM_TO_CHANNELS
                         ? i != 1
                         : i < pad || y->dims[i - pad] != x->dims[i];
    oc__reduce_sum(c, x, reduced, y);
    return OC_OK;
}

static double flops_sum_to(const oc__ctx *c) {
    return (double)oc_tensor_elems(oc__in(c, 0));
}

const oc__op oc__ops_sum_to[] = {
    {"ocelli", "SumTo", 1, 2, 2, 1, 0, SUM_TO, infer_sum_to, run_sum_to,
     flops_sum_to},
    {"ocelli", "SumToChannels", 1, 1, 1, 1, 0, SUM_TO_CHANNELS, infer_sum_to,
     run_sum_to, flops_sum_to},
    {0},
};
