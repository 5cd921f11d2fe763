/* dead_code.c - drops nodes whose outputs nobody uses. */
#include "passes/passes.h"

oc_status oc__pass_dead_code(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    size_t bytes = ((size_t)g->n_values + 1) * sizeof(int);
    int *uses = oc__alloc(env->allocator, bytes);
    if (!uses) return oc__fail_nomem(err);
    oc__graph_count_uses(g, uses);
    /* Backwards: a node that goes takes its uses along, so its producers,
       which stand before it, are seen with the right count. */
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        oc__node *n = g->nodes[i];
        int used = 0;
        for (int j = 0; j < n->n_out; j++)
            used |= n->out[j] >= 0 && uses[n->out[j]] > 0;
        if (used || n->dead) continue;
        n->dead = 1;
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) uses[n->in[j]]--;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        /* An output nobody reads is not wanted: ops may save the work. */
        for (int j = 0; j < n->n_out && !n->dead; j++)
            if (n->out[j] >= 0 && uses[n->out[j]] == 0) n->out[j] = -1;
    }
    oc__release(env->allocator, uses, bytes);
    oc__graph_compact(g);
    return OC_OK;
}
