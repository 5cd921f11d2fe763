/* join.c - Concat and Split: parts along one axis. */
#include "ops/moves.h"

/* Elements before and from the axis on: [outer][dims[axis] * inner]. */
static void axis_split(const oc_tensor *t, int axis, int64_t *outer,
                       int64_t *inner) {
    *outer = *inner = 1;
    for (int i = 0; i < t->rank; i++)
        *(i < axis ? outer : inner) *= i == axis ? 1 : t->dims[i];
}

/* Opset 1 had a default axis, from 4 on it must be given. */
static oc_status concat_axis(const oc__ctx *c, int *axis) {
    const oc_tensor *x = oc__in(c, 0);
    const oc__attr *attr = oc__attr_find(c->node, "axis");
    if (!attr && c->node->version >= 4)
        return oc__op_fail(c, OC_E_FORMAT, "axis is missing");
    return oc__axis(c, attr ? attr->i : 1, x->rank, axis);
}

static oc_status infer_concat(oc__ctx *c) {
    int axis;
    int64_t dims[OC_MAX_RANK], sum = 0;
    for (int i = 0; i < c->n_in; i++)
        OC_TRY(oc__want(c, i, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(concat_axis(c, &axis));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    for (int k = 0; k < c->n_in; k++) {
        const oc_tensor *t = oc__in(c, k);
        int fits = t->rank == x->rank && t->dtype == x->dtype;
        for (int i = 0; fits && i < t->rank; i++)
            fits = i == axis || t->dims[i] == x->dims[i];
        if (!fits || t->dims[axis] > INT64_MAX - sum) {
            char a[160], b[160];
            return oc__op_fail(c, OC_E_SHAPE, "%s and %s along axis %d",
                               oc__tensor_describe(x, a, sizeof a),
                               oc__tensor_describe(t, b, sizeof b), axis);
        }
        sum += t->dims[axis];
    }
    dims[axis] = sum;
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* What the plan has laid into the whole is there already. */
static void move_part(const oc__ctx *c, oc__move *m, size_t bytes,
                      const char *from, char *to) {
    if (from != to) oc__move_run(c, m, bytes, from, to);
}

/* Every input is `outer` runs of its own length, laid one behind the other
   with the pitch of the whole. */
static oc_status run_concat(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    int axis;
    OC_TRY(concat_axis(c, &axis));
    int64_t outer, inner, at = 0;
    size_t bytes = oc_dtype_bytes(y->dtype);
    axis_split(y, axis, &outer, &inner);
    int64_t pitch = y->dims[axis] * inner;
    for (int k = 0; k < c->n_in; k++) {
        const oc_tensor *x = oc__in(c, k);
        int64_t run = x->dims[axis] * inner;
        oc__move m = {0};
        oc__move_dim(&m, outer, run, pitch);
        oc__move_dim(&m, run, 1, 1);
        move_part(c, &m, bytes, x->data, (char *)y->data + at * (int64_t)bytes);
        at += run;
    }
    return OC_OK;
}

/* ---- Split -----------------------------------------------------------------
 */

/* Where the sizes come from, by version: attribute `split` (1..11), input 1
   (13..), else equal parts: of n_out, or of num_outputs (18). */
static const int64_t *split_sizes(const oc__ctx *c, size_t *n) {
    const oc_tensor *t = oc__in(c, 1);
    if (!t) return oc__attr_ints(c->node, "split", n);
    *n = (size_t)oc_tensor_elems(t);
    return t->data;
}

/* Size of part k.  Equal parts round up and the last takes what is left. */
static int64_t split_size(const oc__ctx *c, int64_t dim, int k) {
    size_t n;
    const int64_t *sizes = split_sizes(c, &n);
    if (sizes) return sizes[k];
    int64_t part = dim / c->n_out + (dim % c->n_out != 0);
    int64_t begin = OC_MIN(part * k, dim);
    return OC_MIN(part, dim - begin);
}

/* Equal parts must divide the axis up to opset 13; from 18 on the last part
   is what remains. */
static oc_status infer_split(oc__ctx *c) {
    int axis;
    int64_t dims[OC_MAX_RANK], left;
    size_t n = 0;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    if (oc__in_value(c, 1)) {
        OC_NEED_DATA(c, 1);
        OC_TRY(oc__want(c, 1, OC_T(I64)));
    }
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    left = x->dims[axis];
    int64_t parts = oc__attr_int(c->node, "num_outputs", c->n_out);
    if (split_sizes(c, &n)) parts = (int64_t)n;
    if (parts != c->n_out)
        return oc__op_fail(c, OC_E_SHAPE, "%lld parts for %d outputs",
                           (long long)parts, c->n_out);
    if (!n && c->node->version < 18 && left % parts)
        return oc__op_fail(c, OC_E_SHAPE, "%lld elements into %d equal parts",
                           (long long)left, c->n_out);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    for (int k = 0; k < c->n_out; k++) {
        dims[axis] = split_size(c, x->dims[axis], k);
        if (dims[axis] < 0 || dims[axis] > left)
            return oc__op_fail(c, OC_E_SHAPE, "part %d has %lld of %lld", k,
                               (long long)dims[axis], (long long)left);
        left -= dims[axis];
        OC_TRY(oc__out_set(c, k, x->dtype, x->rank, dims));
    }
    if (left)
        return oc__op_fail(c, OC_E_SHAPE, "the parts leave %lld over",
                           (long long)left);
    return OC_OK;
}

/* Concat backwards: the pitch is the input's. */
static oc_status run_split(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int axis;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    int64_t outer, inner, at = 0;
    size_t bytes = oc_dtype_bytes(x->dtype);
    axis_split(x, axis, &outer, &inner);
    int64_t pitch = x->dims[axis] * inner;
    for (int k = 0; k < c->n_out; k++) {
        int64_t run = split_size(c, x->dims[axis], k) * inner;
        oc_tensor *y = oc__out(c, k);
        oc__move m = {0};
        oc__move_dim(&m, outer, pitch, run);
        oc__move_dim(&m, run, 1, 1);
        if (y)
            move_part(c, &m, bytes, (const char *)x->data + at * (int64_t)bytes,
                      y->data);
        at += run;
    }
    return OC_OK;
}

const oc__op oc__ops_join[] = {
    {"", "Concat", 1, 1, -1, 1, OC_OP_JOIN, 0, infer_concat, run_concat, NULL},
    {"", "Split", 1, 1, 2, -1, OC_OP_PART, 0, infer_split, run_split, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
