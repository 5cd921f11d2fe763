/*
 * gather.c - Gather, GatherElements, GatherND: elements by index.
 * Indices come from outside: each is checked, negative ones count from the
 * end, and the first bad one is named.
 */
#include "ops/moves.h"

#include <stdatomic.h>
#include <string.h>

/* Index i of t (i32 or i64) in 0..dim-1, or -1 when out of range. */
static inline int64_t index_at(const oc_tensor *t, int64_t i, int64_t dim) {
    int64_t v = t->dtype == OC_DTYPE_I32 ? ((const int32_t *)t->data)[i]
                                         : ((const int64_t *)t->data)[i];
    if (v < 0) v += dim;
    return v < 0 || v >= dim ? -1 : v;
}

static oc_status index_fail(const oc__ctx *c, int64_t at) {
    return oc__op_fail(c, OC_E_ARG, "index %lld is out of range",
                       (long long)oc__tensor_get_i64(oc__in(c, 1), at));
}

/* One job of all three: copy runs of elements chosen by index. */
typedef struct gather {
    const oc_tensor *x, *at;
    char *dst;
    size_t run; /* bytes copied for one index */
    int axis, depth;
    int64_t dim, n_idx; /* of the axis; indices per outer */
    int64_t outer_bytes;
    int64_t strides[OC_MAX_RANK], odims[OC_MAX_RANK];
    atomic_llong bad; /* position of a bad index, -1: none */
} gather;

static void copy_run(char *dst, const char *src, size_t run) {
    /* Scalars are the common case and memcpy of a constant is a move. */
    if (run == 4)
        memcpy(dst, src, 4);
    else if (run == 8)
        memcpy(dst, src, 8);
    else
        memcpy(dst, src, run);
}

/* ---- Gather ----------------------------------------------------------------
 */

/* Gather: slices x[..., i, ...] for every index i; the axis gives way to the
   dims of the indices. */
static oc_status infer_gather(oc__ctx *c) {
    int axis, rank = 0;
    int64_t dims[2 * OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < at->rank; i++)
        dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "the output has rank %d", rank);
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* Output element k / n_idx, k % n_idx is one run of the inner dims. */
static void gather_range(void *user, int64_t begin, int64_t end, int worker) {
    gather *g = user;
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int64_t outer = k / g->n_idx, i = k % g->n_idx;
        int64_t v = index_at(g->at, i, g->dim);
        if (v < 0) {
            atomic_store(&g->bad, i);
            return;
        }
        copy_run(g->dst + (size_t)k * g->run,
                 (const char *)g->x->data + outer * g->outer_bytes +
                     (size_t)v * g->run,
                 g->run);
    }
}

/* Runs fn over n outputs.  Threads that meet a bad index stop; which of
   several is reported is left open. */
static oc_status gather_go(oc__ctx *c, gather *g, int64_t n,
                           void (*fn)(void *, int64_t, int64_t, int)) {
    atomic_init(&g->bad, -1);
    int64_t grain = (int64_t)(65536 / (g->run + 8));
    if (n > 0) oc__parallel(c, n, OC_MAX(grain, 1), fn, g);
    int64_t bad = atomic_load(&g->bad);
    return bad < 0 ? OC_OK : index_fail(c, bad);
}

static oc_status run_gather(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    gather g = {.x = x, .at = at, .dst = oc__out(c, 0)->data};
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &g.axis));
    if (!oc_tensor_elems(oc__out(c, 0))) return OC_OK;
    oc__axis_view v = oc__axis_split(x->dims, x->rank, g.axis);
    g.dim = v.length;
    g.run = (size_t)v.inner * oc_dtype_bytes(x->dtype);
    g.outer_bytes = g.dim * (int64_t)g.run;
    g.n_idx = oc_tensor_elems(at);
    return gather_go(c, &g, v.outer * g.n_idx, gather_range);
}

/* ---- GatherElements --------------------------------------------------------
 */

/* GatherElements: the indices have the output's shape and replace only the
   coordinate along the axis. */
static oc_status infer_gather_elements(oc__ctx *c) {
    int axis;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    int fits = at->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || at->dims[i] <= x->dims[i];
    if (!fits) {
        char a[160], b[160];
        return oc__op_fail(c, OC_E_SHAPE, "indices %s into data %s",
                           oc__tensor_describe(at, a, sizeof a),
                           oc__tensor_describe(x, b, sizeof b));
    }
    return oc__out_set(c, 0, x->dtype, at->rank, at->dims);
}

/* out[..., k, ...] = x[..., index, ...]: every output element on its own. */
static void gather_elements_range(void *user, int64_t begin, int64_t end,
                                  int worker) {
    gather *g = user;
    int rank = g->x->rank;
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int64_t rest = k, from = 0, v = index_at(g->at, k, g->dim);
        if (v < 0) {
            atomic_store(&g->bad, k);
            return;
        }
        for (int i = rank - 1; i >= 0; i--) {
            if (i != g->axis) from += rest % g->odims[i] * g->strides[i];
            rest /= g->odims[i];
        }
        from += v * g->strides[g->axis];
        copy_run(g->dst + (size_t)k * g->run,
                 (const char *)g->x->data + (size_t)from * g->run, g->run);
    }
}

static oc_status run_gather_elements(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    gather g = {.x = x, .at = at, .dst = oc__out(c, 0)->data};
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &g.axis));
    oc__strides(x->rank, x->dims, g.strides);
    memcpy(g.odims, at->dims, sizeof g.odims);
    g.dim = x->dims[g.axis];
    g.run = oc_dtype_bytes(x->dtype);
    return gather_go(c, &g, oc_tensor_elems(at), gather_elements_range);
}

/* ---- GatherND --------------------------------------------------------------
 */

/*
 * GatherND: the last dim of the indices names `depth` coordinates behind the
 * batch dims; what remains of the data's dims is copied for each.
 */
static oc_status gather_nd_args(const oc__ctx *c, int *batch, int *depth) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    int64_t b = oc__attr_int(c->node, "batch_dims", 0);
    if (x->rank < 1 || at->rank < 1 || b < 0 || b >= x->rank || b >= at->rank)
        return oc__op_fail(c, OC_E_SHAPE, "batch_dims %lld, ranks %d and %d",
                           (long long)b, x->rank, at->rank);
    int64_t d = at->dims[at->rank - 1];
    if (d < 1 || d > x->rank - b)
        return oc__op_fail(c, OC_E_SHAPE, "indices name %lld of %lld dims",
                           (long long)d, (long long)(x->rank - b));
    for (int i = 0; i < b; i++)
        if (x->dims[i] != at->dims[i])
            return oc__op_fail(c, OC_E_SHAPE, "batch dim %d is %lld and %lld",
                               i, (long long)x->dims[i],
                               (long long)at->dims[i]);
    *batch = (int)b;
    *depth = (int)d;
    return OC_OK;
}

static oc_status infer_gather_nd(oc__ctx *c) {
    int batch, depth, rank = 0;
    int64_t dims[2 * OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(I64)));
    OC_TRY(gather_nd_args(c, &batch, &depth));
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    for (int i = 0; i < at->rank - 1; i++)
        dims[rank++] = at->dims[i];
    for (int i = batch + depth; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "the output has rank %d", rank);
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* Strides are in bytes here, and batches lie outer_bytes apart. */
static void gather_nd_range(void *user, int64_t begin, int64_t end,
                            int worker) {
    gather *g = user;
    const int64_t *dims = g->x->dims + g->axis; /* axis: the batch dims */
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int64_t from = k / g->n_idx * g->outer_bytes;
        for (int j = 0; j < g->depth; j++) {
            int64_t v = index_at(g->at, k * g->depth + j, dims[j]);
            if (v < 0) {
                atomic_store(&g->bad, k * g->depth + j);
                return;
            }
            from += v * g->strides[j];
        }
        copy_run(g->dst + (size_t)k * g->run, (const char *)g->x->data + from,
                 g->run);
    }
}

static oc_status run_gather_nd(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    gather g = {.x = x, .at = at, .dst = oc__out(c, 0)->data};
    OC_TRY(gather_nd_args(c, &g.axis, &g.depth));
    int64_t strides[OC_MAX_RANK], bytes = (int64_t)oc_dtype_bytes(x->dtype);
    int first = g.axis + g.depth; /* of the dims that are copied whole */
    int64_t batches = oc__count(x->dims, g.axis);
    int64_t inner = oc__count(x->dims + first, x->rank - first);
    oc__strides(x->rank, x->dims, strides);
    for (int j = 0; j < g.depth; j++)
        g.strides[j] = strides[g.axis + j] * bytes;
    g.run = (size_t)(inner * bytes);
    int64_t n = oc_tensor_elems(at) / g.depth;
    if (n == 0 || inner == 0) return OC_OK;
    g.n_idx = n / batches;
    g.outer_bytes = oc_tensor_elems(x) / batches * bytes;
    return gather_go(c, &g, n, gather_nd_range);
}

const oc__op oc__ops_gather[] = {
    {"", "Gather", 1, 2, 2, 1, 0, 0, infer_gather, run_gather, NULL},
    {"", "GatherElements", 11, 2, 2, 1, 0, 0, infer_gather_elements,
     run_gather_elements, NULL},
    {"", "GatherND", 11, 2, 2, 1, 0, 0, infer_gather_nd, run_gather_nd, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
