/*
 * drop_same.c - sums and expansions to the shape that is there already.
 *
 * Differentiation writes SumTo behind every operand that might have been
 * broadcast; whether it was is known once shapes are.
 */
#include "passes/match.h"

oc_status oc__pass_drop_same(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    (void)env;
    (void)err;
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        if (!oc__is_own(n, "SumTo") || n->out[0] < 0 || n->in[0] < 0 ||
            oc__graph_is_output(g, n->out[0]))
            continue;
        const oc__value_def *x = &g->values[n->in[0]];
        const oc__value_def *y = &g->values[n->out[0]];
        if (x->rank >= 0 && x->dtype == y->dtype &&
            oc__same_dims(g, n->in[0], n->out[0]))
            oc__bypass(g, n, n->in[0]);
    }
    oc__graph_compact(g);
    return OC_OK;
}
