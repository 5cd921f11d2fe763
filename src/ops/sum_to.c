/*
 * sum_to.c - the adjoint of broadcasting, "ocelli.SumTo".
 *
 *   SumTo  x, like -> y of like's shape: x summed over what broadcasting
 *          like to x's shape repeats.  f32, f64.
 *
 * Differentiation puts it behind every gradient of a broadcast operand.
 */
#include "ops/op.h"

#include <string.h>

static oc_status infer_sum_to(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F64)));
    OC_TRY(oc__want(c, 1, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0), *like = oc__in(c, 1);
    int pad = x->rank - like->rank, fits = pad >= 0;
    for (int i = 0; i < like->rank && fits; i++)
        fits = like->dims[i] == 1 || like->dims[i] == x->dims[pad + i];
    if (!fits)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the shape to sum to does not broadcast to x");
    return oc__out_set(c, 0, x->dtype, like->rank, like->dims);
}

/* Adds in the order of x's elements: the same sum on every machine. */
static oc_status run_sum_to(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t strides[OC_MAX_RANK], at[OC_MAX_RANK] = {0}, n, offset = 0;
    n = oc_tensor_elems(x);
    memset(y->data, 0, oc_tensor_bytes(y));
    oc__broadcast_strides(y, x->rank, x->dims, strides);
    for (int64_t i = 0; i < n; i++) {
        if (x->dtype == OC_DTYPE_F32)
            ((float *)y->data)[offset] += ((const float *)x->data)[i];
        else
            ((double *)y->data)[offset] += ((const double *)x->data)[i];
        for (int d = x->rank - 1; d >= 0; d--) {
            offset += strides[d];
            if (++at[d] < x->dims[d]) break;
            offset -= strides[d] * x->dims[d];
            at[d] = 0;
        }
    }
    return OC_OK;
}

const oc__op oc__ops_sum_to[] = {
    {"ocelli", "SumTo", 1, 2, 2, 1, 0, 0, infer_sum_to, run_sum_to, NULL},
    {0},
};
