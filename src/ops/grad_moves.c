/*
 * grad_moves.c - gradients of what joins and gathers, in the domain "ocelli":
 *
 *   ConcatGrad    g, x... -> a part for each x, as Concat laid them
 *   GatherGrad    x, indices, g -> g added where Gather took elements from
 *   GatherNDGrad  x, indices, g -> the same of GatherND
 *
 * An element that was taken several times gets the sum, in the order of the
 * indices: columns, not indices, are dealt out to threads.
 */
#include "ops/moves.h"
#include "ops/nn.h"

#include <string.h>

/* Columns that one worker takes at a time. */
#define CHUNK 256

/* ---- Concat ---------------------------------------------------------------
 */

/* Opset 1 had a default axis. */
static oc_status concat_axis(const oc__ctx *c, int *axis) {
    return oc__axis(c, oc__attr_int(c->node, "axis", 1), oc__in(c, 0)->rank,
                    axis);
}

static oc_status infer_concat(oc__ctx *c) {
    int axis;
    int64_t sum = 0;
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *g = oc__in(c, 0);
    OC_TRY(concat_axis(c, &axis));
    if (c->n_out > c->n_in - 1)
        return oc__op_fail(c, OC_E_FORMAT, "%d parts of %d", c->n_out,
                           c->n_in - 1);
    for (int k = 1; k < c->n_in; k++) {
        OC_TRY(oc__want(c, k, 1u << g->dtype));
        const oc_tensor *x = oc__in(c, k);
        int fits = x->rank == g->rank;
        for (int i = 0; fits && i < g->rank; i++)
            fits = i == axis ? x->dims[i] <= g->dims[i] - sum
                             : x->dims[i] == g->dims[i];
        if (!fits)
            return oc__op_fail(c, OC_E_SHAPE, "part %d does not fit into g", k);
        sum += x->dims[axis];
        if (k <= c->n_out) OC_TRY(oc__out_like(c, k - 1, x));
    }
    return OC_OK;
}

static oc_status run_concat(oc__ctx *c) {
    const oc_tensor *g = oc__in(c, 0);
    int axis;
    OC_TRY(concat_axis(c, &axis));
    int64_t outer = oc__count(g->dims, axis), at = 0;
    int64_t inner = oc__count(g->dims + axis + 1, g->rank - axis - 1);
    int64_t bytes = (int64_t)oc_dtype_bytes(g->dtype);
    for (int k = 1; k <= c->n_out; k++) {
        int64_t run = oc__in(c, k)->dims[axis] * inner;
        oc_tensor *y = oc__out(c, k - 1);
        oc__move m = {0};
        oc__move_dim(&m, outer, g->dims[axis] * inner, run);
        oc__move_dim(&m, run, 1, 1);
        if (y && outer * run > 0)
            oc__move_run(c, &m, (size_t)bytes,
                         (const char *)g->data + at * bytes, y->data);
        at += run;
    }
    return OC_OK;
}

/* ---- Gather, GatherND -----------------------------------------------------
 */

enum { GATHER, GATHER_ND };

/* Both take `count` runs of `inner` elements from each of `outer` parts, of
 * in * inner elements, of x. */
typedef struct gather_job {
    int64_t outer, in, inner, count, chunks;
    int64_t at_step; /* GatherND has other indices in each part; else 0 */
    int depth;       /* numbers that name one run */
    int64_t dims[OC_MAX_RANK], steps[OC_MAX_RANK]; /* of these, in runs */
    oc_dtype dtype, real;
    oc_tensor at;
    const void *g;
    void *dx;
} gather_job;

static oc_status read_gather(const oc__ctx *c, gather_job *j) {
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 2, OC_T_F));
    OC_TRY(oc__want(c, 0, 1u << oc__in(c, 2)->dtype));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    int first, nd = c->op->kind == GATHER_ND, whole = 1;
    j->depth = 1;
    if (nd) {
        int64_t batch = oc__attr_int(c->node, "batch_dims", 0);
        int64_t depth = at->rank > 0 ? at->dims[at->rank - 1] : 0;
        if (batch < 0 || batch >= x->rank || batch >= at->rank || depth < 1 ||
            depth > x->rank - batch)
            return oc__op_fail(c, OC_E_SHAPE, "the indices do not fit to x");
        first = (int)batch;
        j->depth = (int)depth;
    } else {
        OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &first));
    }
    int last = first + j->depth;
    j->outer = oc__count(x->dims, first);
    j->inner = oc__count(x->dims + last, x->rank - last);
    j->in = oc__count(x->dims + first, j->depth);
    j->count = oc_tensor_elems(at) / j->depth;
    for (int i = 0; i < j->depth; i++) {
        j->dims[i] = x->dims[first + i];
        j->steps[i] = oc__count(x->dims + first + i + 1, j->depth - i - 1);
    }
    for (int i = 0; i < first && nd; i++)
        whole &= at->dims[i] == x->dims[i];
    if (nd) {
        j->count = j->outer ? j->count / j->outer : 0;
        j->at_step = j->count * j->depth;
    }
    if (!whole ||
        oc_tensor_elems(oc__in(c, 2)) != j->outer * j->count * j->inner)
        return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
    j->chunks = OC_CEIL_DIV(j->inner, CHUNK);
    j->at = *at;
    j->dtype = x->dtype;
    j->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, gather_job *j) {
    j->g = oc__real_in(c, b, 2, j->real);
    j->dx =
        oc__real_out(c, b, 0, j->dtype, oc_tensor_elems(oc__in(c, 0)), j->real);
}

static oc_status infer_gather(oc__ctx *c) {
    gather_job j;
    OC_TRY(read_gather(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

/* Number `i` in the list of dimension d; -1: out of range. */
static int64_t index_at(const gather_job *j, int64_t i, int d) {
    int64_t v = oc__tensor_get_i64(&j->at, i);
    if (v < 0) v += j->dims[d];
    return v < 0 || v >= j->dims[d] ? -1 : v;
}

static oc_status check_indices(const oc__ctx *c, const gather_job *j) {
    for (int64_t i = 0; i < oc_tensor_elems(&j->at); i++)
        if (index_at(j, i, (int)(i % j->depth)) < 0)
            return oc__op_fail(c, OC_E_ARG, "index %lld is out of range",
                               (long long)oc__tensor_get_i64(&j->at, i));
    return OC_OK;
}

#define ADD(T)                                                                 \
    for (int64_t e = 0; e < n; e++)                                            \
    ((T *)j->dx)[to + e] += ((const T *)j->g)[from + e]

static void gather_range(void *user, int64_t begin, int64_t end, int worker) {
    const gather_job *j = user;
    size_t bytes = oc_dtype_bytes(j->real);
    (void)worker;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t outer = unit / j->chunks, first = unit % j->chunks * CHUNK;
        int64_t n = OC_MIN(CHUNK, j->inner - first);
        int64_t part = outer * j->in * j->inner + first;
        for (int64_t i = 0; i < j->in; i++)
            memset((char *)j->dx + (size_t)(part + i * j->inner) * bytes, 0,
                   (size_t)n * bytes);
        for (int64_t k = 0; k < j->count; k++) {
            int64_t run = 0, at = outer * j->at_step + k * j->depth;
            for (int d = 0; d < j->depth; d++)
                run += index_at(j, at + d, d) * j->steps[d];
            int64_t to = part + run * j->inner;
            int64_t from = (outer * j->count + k) * j->inner + first;
            if (j->real == OC_DTYPE_F64)
                ADD(double);
            else
                ADD(float);
        }
    }
}

static oc_status run_gather(oc__ctx *c) {
    gather_job j;
    OC_TRY(read_gather(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    OC_TRY(check_indices(c, &j));
    int64_t each = (j.count + j.in) * OC_MIN(j.inner, CHUNK);
    if (oc_tensor_elems(oc__in(c, 0)) > 0)
        oc__parallel(c, j.outer * j.chunks, 16384 / (each + 1) + 1,
                     gather_range, &j);
    oc__real_done(c, 0, j.dx, j.real);
    return OC_OK;
}

const oc__op oc__ops_grad_moves[] = {
    {"ocelli", "ConcatGrad", 1, 2, -1, -1, 0, 0, infer_concat, run_concat,
     NULL},
    {"ocelli", "GatherGrad", 1, 3, 3, 1, 0, GATHER, infer_gather, run_gather,
     NULL},
    {"ocelli", "GatherNDGrad", 1, 3, 3, 1, 0, GATHER_ND, infer_gather,
     run_gather, NULL},
    {0},
};
