/*
 * view.c - operators that give the same elements another shape: Identity,
 * Reshape, Flatten, Squeeze, Unsqueeze; and those that tell a shape: Shape,
 * Size.  The plan makes the first five views, so their run() is only called
 * where a view is not possible (an output of the network, a sequence).
 */
#include "ops/moves.h"

#include <string.h>

static oc_status run_view(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    if (!x) { /* Identity of a sequence, a map or an absent optional */
        const oc_value *v = oc__in_value(c, 0);
        oc_value *out = oc__out_value(c, 0);
        if (!v || !out) return OC_OK;
        return oc__value_keep(out, v, c->allocator, c->err);
    }
    if (y) oc__move_copy(c, y->data, x->data, oc_tensor_bytes(x));
    return OC_OK;
}

/*
 * Identity.  Since opset 14 also of sequences, since 16 of optionals: such an
 * output is left undeclared here and made by run_view().
 */
static oc_status infer_identity(oc__ctx *c) {
    const oc_value *v = oc__in_value(c, 0);
    if (v && v->kind != OC_KIND_TENSOR) return OC_OK; /* fills its slot */
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* ---- Reshape ---------------------------------------------------------------
 */

/* The target shape, from the attribute (opset 1) or the input. */
static oc_status reshape_target(oc__ctx *c, int64_t *want, int *rank) {
    if (c->node->version >= 5)
        return oc__in_ints(c, 1, want, OC_MAX_RANK, rank);
    size_t n;
    const int64_t *attr = oc__attr_ints(c->node, "shape", &n);
    if (n > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "rank %zu is over %d", n,
                           OC_MAX_RANK);
    for (size_t i = 0; i < n; i++)
        want[i] = attr[i];
    *rank = (int)n;
    return OC_OK;
}

/*
 * Reshape.  In the wanted shape 0 copies the input's dim at that place (with
 * allowzero, opset 14, it is a real zero) and one -1 takes what is left.
 */
static oc_status infer_reshape(oc__ctx *c) {
    int64_t want[OC_MAX_RANK], have = 1, known = 1;
    int rank, open = -1;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    if (c->node->version >= 5) OC_NEED_DATA(c, 1);
    OC_TRY(reshape_target(c, want, &rank));
    const oc_tensor *x = oc__in(c, 0);
    int keep_zero = oc__attr_int(c->node, "allowzero", 0) != 0;
    int copied[OC_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        if (want[i] == -1) {
            if (open >= 0)
                return oc__op_fail(c, OC_E_SHAPE, "two dims of -1 in shape");
            open = i;
        } else if (want[i] < -1) {
            return oc__op_fail(c, OC_E_SHAPE, "dim %lld in shape",
                               (long long)want[i]);
        } else if (want[i] == 0 && !keep_zero) {
            if (i >= x->rank)
                return oc__op_fail(c, OC_E_SHAPE,
                                   "shape copies dim %d of a rank-%d tensor", i,
                                   x->rank);
            want[i] = x->dims[i];
            copied[i] = 1;
        }
    }
    if (open >= 0) {
        /* Copied dims stand on both sides and cancel, so -1 has an answer
           even where a copied dim is zero (an empty batch). */
        for (int i = 0; i < x->rank; i++)
            if (i >= rank || !copied[i]) have *= x->dims[i];
        for (int i = 0; i < rank; i++) {
            if (i == open || copied[i]) continue;
            if (want[i] && known > INT64_MAX / want[i])
                return oc__op_fail(c, OC_E_SHAPE, "shape is too large");
            known *= want[i];
        }
        if (known == 0 || have % known != 0)
            return oc__op_fail(c, OC_E_SHAPE,
                               "%lld elements do not divide by %lld",
                               (long long)have, (long long)known);
        want[open] = have / known;
    }
    if (oc__dims_product(want, rank, &known) || known != oc_tensor_elems(x)) {
        char text[160];
        return oc__op_fail(c, OC_E_SHAPE,
                           "%s does not fit into the shape asked for",
                           oc__tensor_describe(x, text, sizeof text));
    }
    return oc__out_set(c, 0, x->dtype, rank, want);
}

/* Flatten: [d0 .. d(axis-1)] and the rest become the two dims of a matrix.
   axis = rank is allowed and leaves one column. */
static oc_status infer_flatten(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    int64_t axis = oc__attr_int(c->node, "axis", 1), dims[2] = {1, 1};
    if (axis < -x->rank || axis > x->rank)
        return oc__op_fail(c, OC_E_SHAPE, "axis %lld of a rank-%d tensor",
                           (long long)axis, x->rank);
    if (axis < 0) axis += x->rank;
    for (int i = 0; i < x->rank; i++)
        dims[i >= axis] *= x->dims[i];
    return oc__out_set(c, 0, x->dtype, 2, dims);
}

/* ---- Squeeze, Unsqueeze ----------------------------------------------------
 */

/* Marks the axes named by input 1 or the attribute; *count 0 when absent. */
static oc_status axes_marked(oc__ctx *c, int rank, char *marked, int *count) {
    int64_t axes[OC_MAX_RANK];
    size_t n = 0;
    *count = 0;
    memset(marked, 0, OC_MAX_RANK);
    if (oc__in(c, 1)) {
        OC_TRY(oc__in_ints(c, 1, axes, OC_MAX_RANK, count));
    } else {
        const int64_t *attr = oc__attr_ints(c->node, "axes", &n);
        if (n > OC_MAX_RANK) return oc__op_fail(c, OC_E_SHAPE, "%zu axes", n);
        for (size_t i = 0; i < n; i++)
            axes[i] = attr[i];
        *count = (int)n;
    }
    for (int i = 0; i < *count; i++) {
        int axis;
        OC_TRY(oc__axis(c, axes[i], rank, &axis));
        if (marked[axis])
            return oc__op_fail(c, OC_E_SHAPE, "axis %d is named twice", axis);
        marked[axis] = 1;
    }
    return OC_OK;
}

/* Squeeze: takes named dims of one element away, all such without a name.
   The axes moved from an attribute to an input in opset 13. */
static oc_status infer_squeeze(oc__ctx *c) {
    char marked[OC_MAX_RANK];
    int64_t dims[OC_MAX_RANK];
    int count, rank = 0;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    if (oc__in_value(c, 1)) OC_NEED_DATA(c, 1);
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(axes_marked(c, x->rank, marked, &count));
    int named = count > 0 || oc__in(c, 1);
    for (int i = 0; i < x->rank; i++) {
        if (marked[i] && x->dims[i] != 1)
            return oc__op_fail(c, OC_E_SHAPE, "axis %d has %lld elements", i,
                               (long long)x->dims[i]);
        if (!(marked[i] || (!named && x->dims[i] == 1)))
            dims[rank++] = x->dims[i];
    }
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* Unsqueeze: puts dims of one element where the axes say. */
static oc_status infer_unsqueeze(oc__ctx *c) {
    char marked[OC_MAX_RANK];
    int64_t dims[OC_MAX_RANK];
    int count, from = 0;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    if (oc__in_value(c, 1)) OC_NEED_DATA(c, 1);
    const oc_tensor *x = oc__in(c, 0);
    /* Axes count in the output's rank, known from their number. */
    if (oc__in(c, 1)) {
        count = (int)OC_MIN(oc_tensor_elems(oc__in(c, 1)), OC_MAX_RANK + 1);
    } else {
        size_t n;
        oc__attr_ints(c->node, "axes", &n);
        count = (int)OC_MIN(n, OC_MAX_RANK + 1);
    }
    int rank = x->rank + count;
    if (rank > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "rank %d is over %d", rank,
                           OC_MAX_RANK);
    OC_TRY(axes_marked(c, rank, marked, &count));
    for (int i = 0; i < rank; i++)
        dims[i] = marked[i] ? 1 : x->dims[from++];
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* ---- Shape, Size -----------------------------------------------------------
 */

/* Which dims Shape tells: start and end (opset 15) count and clamp as a
   slice's do. */
static void shape_range(const oc__ctx *c, const oc_tensor *x, int64_t *begin,
                        int64_t *end) {
    *begin = oc__attr_int(c->node, "start", 0);
    *end = oc__attr_int(c->node, "end", x->rank);
    if (*begin < 0) *begin += x->rank;
    if (*end < 0) *end += x->rank;
    *begin = OC_MAX(0, OC_MIN(*begin, x->rank));
    *end = OC_MAX(*begin, OC_MIN(*end, x->rank));
}

static oc_status infer_shape(oc__ctx *c) {
    int64_t begin, end, dim;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    shape_range(c, oc__in(c, 0), &begin, &end);
    dim = end - begin;
    return oc__out_set(c, 0, OC_DTYPE_I64, 1, &dim);
}

static oc_status run_shape(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t begin, end, *y = oc__out(c, 0)->data;
    shape_range(c, x, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        *y++ = x->dims[i];
    return OC_OK;
}

static oc_status infer_size(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    return oc__out_set(c, 0, OC_DTYPE_I64, 0, NULL);
}

static oc_status run_size(oc__ctx *c) {
    *(int64_t *)oc__out(c, 0)->data = oc_tensor_elems(oc__in(c, 0));
    return OC_OK;
}

const oc__op oc__ops_view[] = {
    {"", "Identity", 1, 1, 1, 1, OC_OP_VIEW | OC_OP_INPLACE, 0, infer_identity,
     run_view, NULL},
    {"", "Reshape", 1, 1, 2, 1, OC_OP_VIEW, 0, infer_reshape, run_view, NULL},
    {"", "Flatten", 1, 1, 1, 1, OC_OP_VIEW, 0, infer_flatten, run_view, NULL},
    {"", "Squeeze", 1, 1, 2, 1, OC_OP_VIEW, 0, infer_squeeze, run_view, NULL},
    {"", "Unsqueeze", 1, 1, 2, 1, OC_OP_VIEW, 0, infer_unsqueeze, run_view,
     NULL},
    {"", "Shape", 1, 1, 1, 1, OC_OP_SHAPE_ONLY, 0, infer_shape, run_shape,
     NULL},
    {"", "Size", 1, 1, 1, 1, OC_OP_SHAPE_ONLY, 0, infer_size, run_size, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
