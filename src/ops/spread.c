/*
 * spread.c - what derivatives need beside ONNX's operators and SumTo, domain
 * "ocelli"; the rules in passes/derivative*.c emit them.
 *
 *   OnesLike     x -> ones of x's type and shape
 *   ZerosLike    x -> zeros of them
 *   ReshapeLike  g, x -> g in x's shape; Reshape cannot say some that have no
 *                elements
 *   AsRow, AsColumn  x -> a vector as a matrix of one row or column; what is
 *                    none stays
 *   AsProduct    y, a, b -> the product y of a and b in the shape it has when
 *                these are matrices
 *   Spread       g, x, [axes] -> what a reduction's result gives back to x:
 *                g repeated over the reduced axes.  axes and
 *                noop_with_empty_axes as in the reduction; mean: divided by
 *                the number of elements
 */
#include "ops/lanes.h"
#include "ops/moves.h"
#include "ops/walk.h"

#include <string.h>

enum { ONES_LIKE, ZEROS_LIKE, AS_ROW, AS_COLUMN };

/* ---- OnesLike, ZerosLike --------------------------------------------------
 */

static oc_status infer_like(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)));
    return oc__out_like(c, 0, oc__in(c, 0));
}

static oc_status run_like(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    uint64_t bits = 0;
    oc_tensor one = {.dtype = y->dtype, .data = &bits};
    oc__tensor_set_f64(&one, 0, c->op->kind == ONES_LIKE);
    oc__move_fill(c, y->data, &bits, oc_dtype_bytes(y->dtype),
                  oc_tensor_elems(y));
    return OC_OK;
}

/* ---- ReshapeLike ----------------------------------------------------------
 */

static oc_status infer_reshape(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T_ANY));
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1);
    if (oc_tensor_elems(g) != oc_tensor_elems(x))
        return oc__op_fail(c, OC_E_SHAPE, "%lld elements do not become %lld",
                           (long long)oc_tensor_elems(g),
                           (long long)oc_tensor_elems(x));
    return oc__out_set(c, 0, g->dtype, x->rank, x->dims);
}

static oc_status run_reshape(oc__ctx *c) {
    const oc_tensor *g = oc__in(c, 0);
    oc__move_copy(c, oc__out(c, 0)->data, g->data, oc_tensor_bytes(g));
    return OC_OK;
}

/* ---- vectors as matrices --------------------------------------------------
 */

static oc_status infer_matrix(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    if (x->rank != 1) return oc__out_like(c, 0, x);
    int64_t dims[2] = {1, 1};
    dims[c->op->kind == AS_ROW] = x->dims[0];
    return oc__out_set(c, 0, x->dtype, 2, dims);
}

static oc_status infer_product(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK];
    int rank = 0, row = 0, column = 0;
    for (int i = 0; i < 3; i++)
        OC_TRY(oc__want(c, i, OC_T_ANY));
    const oc_tensor *y = oc__in(c, 0);
    row = oc__in(c, 1)->rank == 1;
    column = oc__in(c, 2)->rank == 1;
    if (y->rank + row + column > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "the product has rank %d", y->rank);
    for (int i = 0; i < y->rank; i++) {
        if (row && i == y->rank - !column) dims[rank++] = 1;
        dims[rank++] = y->dims[i];
    }
    if (row && column) dims[rank++] = 1;
    if (column) dims[rank++] = 1;
    return oc__out_set(c, 0, y->dtype, rank, dims);
}

/* ---- Spread ---------------------------------------------------------------
 */

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
        if (x->rank == 0 && (axes[i] == 0 || axes[i] == -1)) continue;
        OC_TRY(oc__axis(c, axes[i], x->rank, &axis));
        reduced[axis] = 1;
    }
    return OC_OK;
}

typedef struct spread_job {
    const oc__kernels *kt;
    oc__walk w;
    oc_dtype dtype;
    const void *g;
    void *y;
    double share;
} spread_job;

/* n elements from `from`, `step` (0 or 1) apart, divided. */
static void spread_run(const spread_job *j, int64_t from, int64_t step,
                       int64_t to, int64_t n) {
    oc__lanes lg, ly;
    const void *g =
        oc__lanes_load(j->kt, j->dtype, j->g, from, step ? n : 1, &lg);
    void *y = oc__lanes_target(j->dtype, j->y, to, &ly);
    if (j->dtype == OC_DTYPE_F64) {
        for (int64_t i = 0; i < n; i++)
            ((double *)y)[i] = ((const double *)g)[i * step] / j->share;
    } else {
        float share = (float)j->share;
        for (int64_t i = 0; i < n; i++)
            ((float *)y)[i] = ((const float *)g)[i * step] / share;
    }
    oc__lanes_store(j->kt, j->dtype, j->y, to, n, y);
}

static void spread_range(void *user, int64_t begin, int64_t end, int worker) {
    const spread_job *j = user;
    oc__walk_pos p;
    (void)worker;
    for (oc__walk_seek(&j->w, begin, end, &p); p.n; oc__walk_next(&j->w, &p))
        for (int64_t i = 0; i < p.n; i += OC_LANES)
            spread_run(j, p.offset[0] + i * j->w.step[0], j->w.step[0],
                       p.at + i, OC_MIN(OC_LANES, p.n - i));
}

static oc_status run_spread(oc__ctx *c) {
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1);
    int reduced[OC_MAX_RANK];
    int64_t steps[OC_MAX_RANK], step = 1;
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
    spread_job j = {.kt = c->kernels, .dtype = g->dtype, .g = g->data};
    j.y = oc__out(c, 0)->data;
    j.share = share;
    oc__walk_init(&j.w, x->rank, x->dims);
    oc__walk_add_strides(&j.w, steps);
    oc__walk_merge(&j.w);
    oc__parallel(c, j.w.total, 16384, spread_range, &j);
    return OC_OK;
}

const oc__op oc__ops_spread[] = {
    {"ocelli", "OnesLike", 1, 1, 1, 1, OC_OP_NO_FOLD_LARGE, ONES_LIKE,
     infer_like, run_like, NULL},
    {"ocelli", "ZerosLike", 1, 1, 1, 1, OC_OP_NO_FOLD_LARGE, ZEROS_LIKE,
     infer_like, run_like, NULL},
    {"ocelli", "ReshapeLike", 1, 2, 2, 1, OC_OP_VIEW, 0, infer_reshape,
     run_reshape, NULL},
    {"ocelli", "AsRow", 1, 1, 1, 1, OC_OP_VIEW, AS_ROW, infer_matrix,
     run_reshape, NULL},
    {"ocelli", "AsColumn", 1, 1, 1, 1, OC_OP_VIEW, AS_COLUMN, infer_matrix,
     run_reshape, NULL},
    {"ocelli", "AsProduct", 1, 3, 3, 1, OC_OP_VIEW, 0, infer_product,
     run_reshape, NULL},
    {"ocelli", "Spread", 1, 2, 3, 1, OC_OP_NO_FOLD_LARGE, 0, infer_spread,
     run_spread, NULL},
    {0},
};
