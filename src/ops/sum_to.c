/*
 * sum_to.c - sums that take broadcasting back, in the domain "ocelli":
 *
 *   SumTo          x, like -> y of like's shape: x summed over what
 *                  broadcasting like to x's shape repeats
 *   SumToChannels  x (batch, channels, ...) -> y (channels): summed over all
 *                  but the channels, as for the gradient of a bias; with
 *                  num_groups the channels of each group as well
 *
 * Differentiation puts SumTo behind every gradient of a broadcast operand.
 */
#include "ops/reduce.h"

enum { SUM_TO, SUM_TO_CHANNELS };

static int64_t groups_of(const oc__ctx *c) {
    return oc__attr_int(c->node, "num_groups", oc__in(c, 0)->dims[1]);
}

/* Seen as (batch, groups, the rest of a group). */
static void sum_to_channels(oc__ctx *c) {
    static const int reduced[3] = {1, 0, 1};
    oc_tensor x = *oc__in(c, 0);
    int64_t n = oc_tensor_elems(&x), groups = groups_of(c);
    int64_t outer = x.dims[0] * groups;
    x.dims[2] = outer ? n / outer : 0;
    x.dims[1] = groups;
    x.rank = 3;
    oc__reduce_sum(c, &x, reduced, oc__out(c, 0));
}

static oc_status infer_sum_to(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0), *like = oc__in(c, 1);
    if (c->op->kind == SUM_TO_CHANNELS) {
        OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
        int64_t groups = groups_of(c);
        if (groups < 1 ? x->dims[1] != 0 : x->dims[1] % groups != 0)
            return oc__op_fail(c, OC_E_SHAPE,
                               "%lld channels do not divide into %lld groups",
                               (long long)x->dims[1], (long long)groups);
        return oc__out_set(c, 0, x->dtype, 1, &groups);
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
    if (c->op->kind == SUM_TO_CHANNELS) {
        sum_to_channels(c);
        return OC_OK;
    }
    for (int i = 0; i < x->rank; i++)
        reduced[i] = i < pad || y->dims[i - pad] != x->dims[i];
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
