/* transpose.c - Transpose, DepthToSpace, SpaceToDepth: dims in other order. */
#include "ops/moves.h"

#include <string.h>

/* Output dim i is input dim perm[i].  Checked each time: run() may be called
   for a node that planning never saw. */
static oc_status transpose_perm(oc__ctx *c, int rank, int *perm) {
    size_t n;
    const int64_t *attr = oc__attr_ints(c->node, "perm", &n);
    unsigned seen = 0;
    if (n == 0) { /* the default turns the order round */
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return OC_OK;
    }
    if (n != (size_t)rank)
        return oc__op_fail(c, OC_E_SHAPE, "perm has %zu entries for rank %d", n,
                           rank);
    for (int i = 0; i < rank; i++) {
        OC_TRY(oc__axis(c, attr[i], rank, &perm[i]));
        seen |= 1u << perm[i];
    }
    if (seen != (1u << rank) - 1)
        return oc__op_fail(c, OC_E_ARG, "perm names an axis twice");
    return OC_OK;
}

static oc_status infer_transpose(oc__ctx *c) {
    int perm[OC_MAX_RANK];
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(transpose_perm(c, x->rank, perm));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[perm[i]];
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* All there is to a transpose is which source stride each output dim gets;
   the move finds runs and tiles in that. */
static oc_status run_transpose(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int perm[OC_MAX_RANK];
    int64_t xs[OC_MAX_RANK], ys[OC_MAX_RANK];
    oc__move m = {0};
    OC_TRY(transpose_perm(c, x->rank, perm));
    oc__strides(x->rank, x->dims, xs);
    oc__strides(y->rank, y->dims, ys);
    for (int i = 0; i < y->rank; i++)
        oc__move_dim(&m, y->dims[i], xs[perm[i]], ys[i]);
    oc__move_run(c, &m, oc_dtype_bytes(x->dtype), x->data, y->data);
    return OC_OK;
}

/* ---- DepthToSpace, SpaceToDepth --------------------------------------------
 */

/*
 * Both operators trade channels for pixels, block x block of them:
 *
 *     depth  [n, c b b, h, w]  <->  [n, c, h b, w b]  space
 */
static oc_status space_args(oc__ctx *c, int64_t *block, int *crd) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    *block = oc__attr_int(c->node, "blocksize", 0);
    if (*block < 1 || *block > 65535)
        return oc__op_fail(c, OC_E_ARG, "blocksize %lld", (long long)*block);
    const char *mode = oc__attr_string(c->node, "mode", "DCR");
    *crd = !strcmp(mode, "CRD");
    if (!*crd && strcmp(mode, "DCR"))
        return oc__op_fail(c, OC_E_ARG, "mode is \"%s\"", mode);
    return OC_OK;
}

static oc_status infer_depth_to_space(oc__ctx *c) {
    int64_t b;
    int crd;
    OC_TRY(space_args(c, &b, &crd));
    const oc_tensor *x = oc__in(c, 0);
    if (x->dims[1] % (b * b))
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels for blocksize %lld",
                           (long long)x->dims[1], (long long)b);
    if (x->dims[2] > INT64_MAX / b || x->dims[3] > INT64_MAX / b)
        return oc__op_fail(c, OC_E_LIMIT, "the output is too large");
    int64_t dims[4] = {x->dims[0], x->dims[1] / (b * b), x->dims[2] * b,
                       x->dims[3] * b};
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

/*
 * Output (n, ch, h, i, w, j) comes from input channel
 *     DCR: (i*b + j)*C + ch      CRD: (ch*b + i)*b + j      at (h, w).
 */
static oc_status run_depth_to_space(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t b;
    int crd;
    OC_TRY(space_args(c, &b, &crd));
    int64_t ch = y->dims[1], h = x->dims[2], w = x->dims[3], hw = h * w;
    int64_t plane = hw * b * b;
    oc__move m = {0};
    oc__move_dim(&m, x->dims[0], x->dims[1] * hw, ch * plane);
    oc__move_dim(&m, ch, (crd ? b * b : 1) * hw, plane);
    oc__move_dim(&m, h, w, w * b * b);
    oc__move_dim(&m, b, (crd ? b : b * ch) * hw, w * b);
    oc__move_dim(&m, w, 1, b);
    oc__move_dim(&m, b, (crd ? 1 : ch) * hw, 1);
    oc__move_run(c, &m, oc_dtype_bytes(x->dtype), x->data, y->data);
    return OC_OK;
}

static oc_status infer_space_to_depth(oc__ctx *c) {
    int64_t b;
    int crd;
    OC_TRY(space_args(c, &b, &crd));
    const oc_tensor *x = oc__in(c, 0);
    if (x->dims[2] % b || x->dims[3] % b)
        return oc__op_fail(c, OC_E_SHAPE, "%lldx%lld for blocksize %lld",
                           (long long)x->dims[2], (long long)x->dims[3],
                           (long long)b);
    if (x->dims[1] > INT64_MAX / (b * b))
        return oc__op_fail(c, OC_E_LIMIT, "the output is too large");
    int64_t dims[4] = {x->dims[0], x->dims[1] * b * b, x->dims[2] / b,
                       x->dims[3] / b};
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

/* Output channel (i*b + j)*C + ch at (h, w) is input ch at (h*b+i, w*b+j). */
static oc_status run_space_to_depth(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t b;
    int crd;
    OC_TRY(space_args(c, &b, &crd));
    int64_t ch = x->dims[1], h = y->dims[2], w = y->dims[3], hw = h * w;
    int64_t plane = hw * b * b;
    oc__move m = {0};
    oc__move_dim(&m, x->dims[0], ch * plane, ch * plane);
    oc__move_dim(&m, b, w * b, (crd ? b : b * ch) * hw);
    oc__move_dim(&m, b, 1, (crd ? 1 : ch) * hw);
    oc__move_dim(&m, ch, plane, (crd ? b * b : 1) * hw);
    oc__move_dim(&m, h, w * b * b, w);
    oc__move_dim(&m, w, b, 1);
    oc__move_run(c, &m, oc_dtype_bytes(x->dtype), x->data, y->data);
    return OC_OK;
}

const oc__op oc__ops_transpose[] = {
    {"", "Transpose", 1, 1, 1, 1, 0, 0, infer_transpose, run_transpose, NULL},
    {"", "DepthToSpace", 1, 1, 1, 1, 0, 0, infer_depth_to_space,
     run_depth_to_space, NULL},
    {"", "SpaceToDepth", 1, 1, 1, 1, 0, 0, infer_space_to_depth,
     run_space_to_depth, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
