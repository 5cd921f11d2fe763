/* tile.c - Tile and Expand: repeats, as source strides of zero. */
#include "ops/moves.h"

/* Repeats per axis: input 1 (opset 6 on), or tiles and axis (opset 1). */
static oc_status tile_repeats(oc__ctx *c, int64_t *repeats) {
    const oc_tensor *x = oc__in(c, 0);
    if (c->node->version < 6) {
        double tiles, axis;
        int a;
        OC_TRY(oc__in_scalar(c, 1, &tiles));
        OC_TRY(oc__in_scalar(c, 2, &axis));
        if (!(axis >= -8 && axis < 8 && tiles >= 0 && tiles < 1e15))
            return oc__op_fail(c, OC_E_ARG, "tiles %g along axis %g", tiles,
                               axis);
        OC_TRY(oc__axis(c, (int64_t)axis, x->rank, &a));
        for (int i = 0; i < x->rank; i++)
            repeats[i] = 1;
        repeats[a] = (int64_t)tiles;
        return OC_OK;
    }
    int n;
    OC_TRY(oc__in_ints(c, 1, repeats, OC_MAX_RANK, &n));
    if (n != x->rank)
        return oc__op_fail(c, OC_E_SHAPE, "%d repeats for rank %d", n, x->rank);
    return OC_OK;
}

static oc_status infer_tile(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    for (int i = 1; i < c->n_in; i++)
        OC_NEED_DATA(c, i);
    OC_TRY(tile_repeats(c, dims));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 0; i < x->rank; i++) {
        if (dims[i] < 0 || (x->dims[i] && dims[i] > INT64_MAX / x->dims[i]))
            return oc__op_fail(c, OC_E_ARG, "%lld repeats of axis %d",
                               (long long)dims[i], i);
        dims[i] *= x->dims[i];
    }
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* Each axis becomes two dims: the repeats, which do not move the source, and
   the axis itself. */
static oc_status run_tile(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t repeats[OC_MAX_RANK], xs[OC_MAX_RANK], ys[OC_MAX_RANK];
    oc__move m = {0};
    OC_TRY(tile_repeats(c, repeats));
    oc__strides(x->rank, x->dims, xs);
    oc__strides(y->rank, y->dims, ys);
    for (int i = 0; i < x->rank; i++) {
        oc__move_dim(&m, repeats[i], 0, x->dims[i] * ys[i]);
        oc__move_dim(&m, x->dims[i], xs[i], ys[i]);
    }
    oc__move_run(c, &m, oc_dtype_bytes(x->dtype), x->data, y->data);
    return OC_OK;
}

/* Expand: numpy's broadcasting in both directions, so a 1 in the shape leaves
   a larger dim of the input as it is. */
static oc_status infer_expand(oc__ctx *c) {
    oc_tensor want = {0};
    int64_t dims[OC_MAX_RANK];
    int rank;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_NEED_DATA(c, 1);
    OC_TRY(oc__in_ints(c, 1, want.dims, OC_MAX_RANK, &want.rank));
    for (int i = 0; i < want.rank; i++)
        if (want.dims[i] < 0)
            return oc__op_fail(c, OC_E_SHAPE, "dim %lld in shape",
                               (long long)want.dims[i]);
    OC_TRY(oc__broadcast(c, oc__in(c, 0), &want, &rank, dims));
    return oc__out_set(c, 0, oc__in(c, 0)->dtype, rank, dims);
}

/* Repeated dims have a source stride of zero. */
static oc_status run_expand(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t xs[OC_MAX_RANK], ys[OC_MAX_RANK];
    oc__move m = {0};
    oc__broadcast_strides(x, y->rank, y->dims, xs);
    oc__strides(y->rank, y->dims, ys);
    for (int i = 0; i < y->rank; i++)
        oc__move_dim(&m, y->dims[i], xs[i], ys[i]);
    oc__move_run(c, &m, oc_dtype_bytes(x->dtype), x->data, y->data);
    return OC_OK;
}

const oc__op oc__ops_tile[] = {
    {"", "Tile", 1, 2, 3, 1, OC_OP_NO_FOLD_LARGE, 0, infer_tile, run_tile,
     NULL},
    {"", "Expand", 8, 2, 2, 1, OC_OP_NO_FOLD_LARGE, 0, infer_expand, run_expand,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
