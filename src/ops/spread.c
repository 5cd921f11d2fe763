/*
 * spread.c - what derivatives need beside ONNX's operators and SumTo, domain
 * "ocelli"; passes/derivative.c emits them.
 *
 *   OnesLike    x -> ones of x's type and shape
 *   ZerosLike   x -> zeros of them
 *   Spread      g, x, [axes] -> what a reduction's result gives back to x:
 *               g repeated over the reduced axes.  axes and
 *               noop_with_empty_axes as in the reduction; mean: divided by
 *               the number of elements
 */
#include "ops/op.h"
#include "ops/window.h"

#include <string.h>

enum { ONES_LIKE, ZEROS_LIKE, SPREAD };

/* ---- OnesLike, ZerosLike ------------------------------------------------- */

static oc_status infer_like(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)));
    return oc__out_like(c, 0, oc__in(c, 0));
}

static oc_status run_like(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    for (int64_t i = 0; i < oc_tensor_elems(y); i++)
        oc__tensor_set_f64(y, i, c->op->kind == ONES_LIKE);
    return OC_OK;
}

/* ---- Spread -------------------------------------------------------------- */

static oc_status infer_spread(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    return oc__out_like(c, 0, oc__in(c, 1));
}

/* Which dimensions of x the reduction went over. */
static oc_status read_axes(const oc__ctx *c, const oc_tensor *x, int *reduced) {
    int64_t list[OC_MAX_RANK];
    size_t n;
    const int64_t *axes = oc__attr_ints(c->node, "axes", &n);
    if (oc__in(c, 2)) {
        int count;
        OC_TRY(oc__in_ints(c, 2, list, OC_MAX_RANK, &count));
        axes = list;
        n = (size_t)count;
    }
    int all = n == 0 && !oc__attr_int(c->node, "noop_with_empty_axes", 0);
    for (int d = 0; d < x->rank; d++)
        reduced[d] = all;
    for (size_t i = 0; i < n; i++) {
        int axis;
        OC_TRY(oc__axis(c, axes[i], x->rank, &axis));
        reduced[axis] = 1;
    }
    return OC_OK;
}

static oc_status run_spread(oc__ctx *c) {
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1);
    oc_tensor *y = oc__out(c, 0);
    int reduced[OC_MAX_RANK];
    int64_t steps[OC_MAX_RANK], at[OC_MAX_RANK] = {0}, step = 1;
    double share = 1;
    OC_TRY(read_axes(c, x, reduced));
    for (int d = x->rank - 1; d >= 0; d--) {
        steps[d] = reduced[d] ? 0 : step;
        if (reduced[d])
            share *= (double)x->dims[d];
        else
            step *= x->dims[d];
    }
    if (step != oc_tensor_elems(g))
        return oc__op_fail(c, OC_E_SHAPE, "the reduced shape does not fit");
    if (!oc__attr_int(c->node, "mean", 0)) share = 1;
    for (int64_t i = 0; i < oc_tensor_elems(y); i++) {
        int64_t from = 0;
        for (int d = 0; d < x->rank; d++)
            from += at[d] * steps[d];
        oc__tensor_set_f64(y, i, oc__tensor_get_f64(g, from) / share);
        oc__odometer(at, x->dims, x->rank);
    }
    return OC_OK;
}

const oc__op oc__ops_spread[] = {
    {"ocelli", "OnesLike", 1, 1, 1, 1, 0, ONES_LIKE, infer_like, run_like,
     NULL},
    {"ocelli", "ZerosLike", 1, 1, 1, 1, 0, ZEROS_LIKE, infer_like, run_like,
     NULL},
    {"ocelli", "Spread", 1, 2, 3, 1, 0, SPREAD, infer_spread, run_spread, NULL},
    {0},
};
