/*
 * drop_same.c - what gives the shape, the type and the elements that are there
 * already.
 *
 * Differentiation writes SumTo behind every operand that might have been
 * broadcast; exporters cut a tensor to a size that it has, or cast it to its
 * own type.  Whether they change anything is known once shapes are.
 */
#include "passes/match.h"

/* Dimensions that are not known may differ. */
static int is_known(const oc__value_def *v) {
    if (v->kind != OC_KIND_TENSOR || v->rank < 0) return 0;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] < 0) return 0;
    return 1;
}

/* A step forwards along every axis: all of them is then each once. */
static int steps_forwards(const oc__graph *g, const oc__node *n) {
    if (n->n_explicit < 5 || n->in[4] < 0) return 1;
    const oc_tensor *t = oc__constant(g, n->in[4]);
    if (!t || (t->dtype != OC_DTYPE_I64 && t->dtype != OC_DTYPE_I32)) return 0;
    for (int64_t i = 0; i < oc_tensor_elems(t); i++)
        if (oc__tensor_get_i64(t, i) < 1) return 0;
    return 1;
}

/* Whether n's output is its input once both have one shape and one type. */
static int is_same_then(const oc__graph *g, const oc__node *n) {
    static const char *const names[] = {"Expand", "Reshape", "Flatten", "Tile",
                                        "Cast"};
    if (oc__is_own(n, "SumTo")) return 1;
    if (oc__is_op(n, "Slice")) return steps_forwards(g, n);
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return 1;
    return 0;
}

oc_status oc__pass_drop_same(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    (void)env;
    (void)err;
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        if (!is_same_then(g, n) || n->out[0] < 0 || n->in[0] < 0 ||
            oc__graph_is_output(g, n->out[0]))
            continue;
        const oc__value_def *x = &g->values[n->in[0]];
        const oc__value_def *y = &g->values[n->out[0]];
        if (is_known(x) && x->dtype == y->dtype &&
            oc__same_dims(g, n->in[0], n->out[0]))
            oc__bypass(g, n, n->in[0]);
    }
    oc__graph_compact(g);
    return OC_OK;
}
