/*
 * simplify.c - drops nodes that change nothing and merges neighbours.
 *
 *   Identity, Dropout (inference), Cast to the type it has, Transpose with
 *   the identity, Transpose of Transpose, Concat or Sum of one, Pad by zero.
 *
 * A node whose output is a graph output stays when its input is a graph input
 * or constant, so that outputs keep memory of their own.
 */
#include "passes/match.h"

#include <string.h>

/* Whether n's output may simply become its input. */
static int may_bypass(const oc__graph *g, const oc__index *ix,
                      const oc__node *n) {
    if (n->in[0] < 0 || n->out[0] < 0) return 0;
    if (!oc__graph_is_output(g, n->out[0])) return 1;
    return oc__producer(ix, n->in[0]) != NULL;
}

static int is_identity_perm(const oc__node *n) {
    size_t count;
    const int64_t *perm = oc__attr_ints(n, "perm", &count);
    if (!perm) return 0;
    for (size_t i = 0; i < count; i++)
        if (perm[i] != (int64_t)i) return 0;
    return 1;
}

/* All elements of a constant integer list are zero. */
static int all_zero(const oc_tensor *t) {
    if (!t || t->dtype != OC_DTYPE_I64) return 0;
    for (int64_t i = 0; i < oc_tensor_elems(t); i++)
        if (((const int64_t *)t->data)[i] != 0) return 0;
    return 1;
}

static int changes_nothing(const oc__graph *g, const oc__node *n) {
    if (oc__is_op(n, "Identity")) return 1;
    if (oc__is_op(n, "Dropout")) {
        /* Training mode is asked for by a third input from opset 12 on. */
        int has_mask = n->n_out > 1 && n->out[1] >= 0;
        int asks = n->version >= 12 && n->n_in > 2 && n->in[2] >= 0;
        return !has_mask && !asks && n->version >= 7;
    }
    if (oc__is_op(n, "Transpose")) return is_identity_perm(n);
    if (oc__is_op(n, "Concat") || oc__is_op(n, "Sum") || oc__is_op(n, "Mean"))
        return n->n_explicit == 1;
    if (oc__is_op(n, "Pad") && n->version >= 11 && n->n_explicit > 1)
        return all_zero(oc__constant(g, n->in[1]));
    if (oc__is_op(n, "Cast")) {
        const oc__value_def *v = &g->values[n->in[0]];
        return v->constant &&
               (int64_t)v->constant->dtype == oc__attr_int(n, "to", 0);
    }
    return 0;
}

/* Transpose(Transpose(x, p), q) = Transpose(x, p[q]). */
static oc_status merge_transposes(oc__graph *g, const oc__index *ix,
                                  oc__node *n, oc_error *err) {
    if (!oc__is_op(n, "Transpose")) return OC_OK;
    oc__node *before = oc__input_op(ix, n, 0, "Transpose");
    if (!before) return OC_OK;
    size_t np, nq;
    const int64_t *p = oc__attr_ints(before, "perm", &np);
    const int64_t *q = oc__attr_ints(n, "perm", &nq);
    if (!p || !q || np != nq) return OC_OK;
    int64_t *both = oc__arena_array(g->arena, np, sizeof(*both));
    oc__attr *attrs = oc__arena_array(g->arena, 1, sizeof(*attrs));
    if (!both || !attrs) return oc__fail_nomem(err);
    for (size_t i = 0; i < np; i++) {
        if (q[i] < 0 || q[i] >= (int64_t)np) return OC_OK;
        both[i] = p[q[i]];
    }
    n->attrs = attrs;
    n->n_attrs = 1;
    oc__attr_set_ints(n, 0, "perm", both, np);
    n->in[0] = before->in[0];
    return OC_OK;
}

oc_status oc__pass_simplify(oc__graph *g, const oc__pass_env *env,
                            oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        if (n->dead || n->n_explicit < 1 || n->n_out < 1 || n->in[0] < 0)
            continue;
        st = merge_transposes(g, &ix, n, err);
        if (st == OC_OK && changes_nothing(g, n) && may_bypass(g, &ix, n))
            oc__bypass(g, n, n->in[0]);
    }
    oc__index_deinit(&ix);
    oc__graph_compact(g);
    return st;
}
