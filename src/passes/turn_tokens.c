/*
 * turn_tokens.c - rows of tokens become pictures, and pictures rows, by a
 * Transpose of four dimensions, which the layout pass takes along where it
 * moves channels anyway.
 *
 *     [N,L,C] -> Transpose -> [N,C,L] -> Reshape -> [N,C,H,W]
 *        becomes   Reshape -> [N,H,W,C] -> Transpose
 *     [N,C,H,W] -> Reshape -> [N,C,L] -> Transpose -> [N,L,C]
 *        becomes   Transpose -> [N,H,W,C] -> Reshape
 *
 * So do convolutions inside transformers begin and end (PVT, CoaT, SegFormer).
 */
#include "passes/match.h"

#include <string.h>

typedef struct turning {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    const oc__op *reshape, *transpose;
} turning;

/* Whether v has so many dimensions, all known, none 0. */
static const int64_t *dims_of(const oc__graph *g, int v, int rank) {
    const oc__value_def *d = v < 0 ? NULL : &g->values[v];
    if (!d || d->kind != OC_KIND_TENSOR || d->rank != rank) return NULL;
    for (int i = 0; i < rank; i++)
        if (d->dims[i] < 1) return NULL;
    return d->dims;
}

static int turns_rows(const oc__node *n) {
    size_t count;
    const int64_t *perm =
        oc__is_op(n, "Transpose") ? oc__attr_ints(n, "perm", &count) : NULL;
    return perm && count == 3 && perm[0] == 0 && perm[1] == 2 && perm[2] == 1;
}

static int reshapes(const oc__node *n) {
    return oc__is_op(n, "Reshape") || oc__is_op(n, "Flatten");
}

/* The picture's dims if `rows` [N,C,L] are its planes; else NULL. */
static const int64_t *picture_of(const oc__graph *g, int rows, int picture) {
    const int64_t *r = dims_of(g, rows, 3), *p = dims_of(g, picture, 4);
    return r && p && r[0] == p[0] && r[1] == p[1] && r[2] == p[2] * p[3] ? p
                                                                         : NULL;
}

static oc_status make_transpose(turning *t, oc__node *n, int in,
                                const int64_t perm[4]) {
    int64_t *copy = oc__arena_dup(t->g->arena, perm, 4 * sizeof(*perm));
    oc__attr *attrs = oc__arena_array(t->g->arena, 1, sizeof(*attrs));
    if (!copy || !attrs) return oc__fail_nomem(t->err);
    n->op = t->transpose;
    n->version = 13;
    n->n_in = n->n_explicit = 1;
    n->in[0] = in;
    n->attrs = attrs;
    n->n_attrs = 1;
    oc__attr_set_ints(n, 0, "perm", copy, 4);
    return OC_OK;
}

static oc_status make_reshape(turning *t, oc__node *n, int in, int64_t rank,
                              const int64_t *dims) {
    void *data;
    int shape = oc__new_constant(t->g, t->env->allocator, NULL, OC_DTYPE_I64, 1,
                                 &rank, &data);
    int *ins = oc__arena_array(t->g->arena, 2, sizeof(*ins));
    if (shape < 0 || !ins) return oc__fail_nomem(t->err);
    memcpy(data, dims, (size_t)rank * sizeof(*dims));
    ins[0] = in;
    ins[1] = shape;
    n->op = t->reshape;
    n->version = 13;
    n->in = ins;
    n->n_in = n->n_explicit = 2;
    n->attrs = NULL;
    n->n_attrs = 0;
    return OC_OK;
}

/* What lies between is [N,H,W,C] now. */
static void set_between(oc__graph *g, int v, const int64_t *last) {
    oc__value_def *d = &g->values[v];
    d->rank = 4;
    memcpy(d->dims, last, 4 * sizeof(*last));
}

static oc_status turn(turning *t, oc__node *first, oc__node *second) {
    int in = first->in[0], between = first->out[0], out = second->out[0];
    int to_picture = turns_rows(first) && reshapes(second);
    const int64_t *p = NULL;
    if (to_picture)
        p = picture_of(t->g, between, out);
    else if (reshapes(first) && turns_rows(second))
        p = picture_of(t->g, between, in);
    if (!p) return OC_OK;
    const int64_t last[4] = {p[0], p[2], p[3], p[1]};
    const int64_t rows[3] = {p[0], p[2] * p[3], p[1]};
    static const int64_t to_first[4] = {0, 3, 1, 2}, to_last[4] = {0, 2, 3, 1};
    set_between(t->g, between, last);
    if (to_picture) {
        OC_TRY(make_reshape(t, first, in, 4, last));
        return make_transpose(t, second, between, to_first);
    }
    OC_TRY(make_transpose(t, first, in, to_last));
    return make_reshape(t, second, between, 3, rows);
}

oc_status oc__pass_turn_tokens(oc__graph *g, const oc__pass_env *env,
                               oc_error *err) {
    turning t = {g, env, err, oc__op_find("", "Reshape"),
                 oc__op_find("", "Transpose")};
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        if ((!turns_rows(n) && !reshapes(n)) || n->in[0] < 0 ||
            n->in[0] >= ix.n || n->out[0] < 0)
            continue;
        oc__node *before = oc__producer(&ix, n->in[0]);
        if (before && oc__used_once(&ix, n->in[0]) &&
            !oc__graph_is_output(g, n->in[0]) && before->in[0] >= 0)
            st = turn(&t, before, n);
    }
    oc__index_deinit(&ix);
    return st;
}
