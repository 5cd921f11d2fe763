/* glimpse.c - see glimpse.h. */
#include "quant/glimpse.h"

#include "passes/match.h"

#include <string.h>

/* ---- the order of steps --------------------------------------------------
 */

static int is_unblock(const oc__node *n) {
    return n->op->domain[0] && !strcmp(n->op->name, "Unblock") &&
           n->n_out == 1 && n->n_in == 1 && n->in[0] >= 0;
}

/* What brings outputs out of blocks comes last, where all of them would have to
 * be kept for it: each goes behind what makes the blocks. */
static oc_status hasten(oc__program *p, const oc_allocator *a, oc_error *err) {
    oc__graph *g = p->graph;
    size_t n = (size_t)g->n_nodes, v = (size_t)g->n_values;
    oc__node **order = oc__arena_array(&p->arena, n + 1, sizeof(oc__node *));
    int *maker = oc__alloc(a, (v + 1) * sizeof *maker);
    int *head = oc__alloc(a, (n + 1) * sizeof *head);
    int *after = oc__alloc(a, (n + 1) * sizeof *after);
    oc_status st =
        order && maker && head && after ? OC_OK : oc__fail_nomem(err);
    if (!st) {
        memset(maker, -1, (v + 1) * sizeof *maker);
        memset(head, -1, (n + 1) * sizeof *head);
        memset(after, -1, (n + 1) * sizeof *after);
    }
    for (size_t i = 0; i < n && !st; i++)
        for (int j = 0; j < g->nodes[i]->n_out; j++)
            if (g->nodes[i]->out[j] >= 0) maker[g->nodes[i]->out[j]] = (int)i;
    for (size_t i = n; i-- > 0 && !st;) {
        int by = is_unblock(g->nodes[i]) ? maker[g->nodes[i]->in[0]] : -1;
        if (by < 0 || is_unblock(g->nodes[by])) continue;
        after[i] = head[by];
        head[by] = (int)i;
    }
    for (size_t i = 0, to = 0; i < n && !st; i++) {
        int by = is_unblock(g->nodes[i]) ? maker[g->nodes[i]->in[0]] : -1;
        if (by >= 0 && !is_unblock(g->nodes[by])) continue;
        order[to++] = g->nodes[i];
        for (int k = head[i]; k >= 0; k = after[k])
            order[to++] = g->nodes[k];
    }
    if (!st) {
        g->nodes = order;
        g->cap_nodes = g->n_nodes;
    }
    oc__release(a, maker, (v + 1) * sizeof *maker);
    oc__release(a, head, (n + 1) * sizeof *head);
    oc__release(a, after, (n + 1) * sizeof *after);
    return st;
}

static oc_status plan_again(oc__program *p, const oc_value *const *inputs,
                            const oc__pass_env *env, oc_error *err) {
    size_t weights = p->weight_bytes;
    p->n_steps = 0;
    p->activation_bytes = p->scratch_bytes = p->unplanned_bytes = 0;
    OC_TRY(oc__program_restore(p, inputs, env, err));
    p->weight_bytes = weights;
    p->total_bytes += weights;
    return OC_OK;
}

/* ---- which value is which ------------------------------------------------
 */

void oc__glimpse_deinit(oc__glimpse *s) {
    const oc_allocator *a = s->allocator;
    if (!a) return;
    oc__release(a, s->first, (size_t)s->n_values * sizeof *s->first);
    oc__release(a, s->next, (size_t)s->n * sizeof *s->next);
    oc__release(a, s->is_made, (size_t)s->n);
    s->first = s->next = NULL;
    s->is_made = NULL;
    s->n = s->n_values = 0;
    s->p = NULL;
}

static oc_status number(oc__glimpse *s, const oc__program *p, int n,
                        oc_error *err) {
    const oc__graph *g = p->graph;
    oc__glimpse_deinit(s);
    s->n = n;
    s->own = g->n_outputs - n;
    s->n_values = g->n_values;
    s->first = oc__alloc(s->allocator, (size_t)g->n_values * sizeof(int));
    s->next = oc__alloc(s->allocator, (size_t)n * sizeof(int));
    s->is_made = oc__calloc(s->allocator, (size_t)n, 1);
    if (!s->first || !s->next || !s->is_made) return oc__fail_nomem(err);
    memset(s->first, -1, (size_t)g->n_values * sizeof(int));
    for (int i = n - 1; i >= 0; i--) {
        int v = g->outputs[s->own + i];
        s->next[i] = s->first[v];
        s->first[v] = i;
    }
    for (int i = 0; i < p->n_steps; i++)
        for (int j = 0; j < p->steps[i].node->n_out; j++) {
            int v = p->steps[i].node->out[j];
            for (int k = v >= 0 ? s->first[v] : -1; k >= 0; k = s->next[k])
                s->is_made[k] = 1;
        }
    s->p = p;
    return OC_OK;
}

oc_status oc__glimpse_prepare(oc__glimpse *s, oc__program *p, int n,
                              const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err) {
    s->p = NULL;
    p->graph->n_glimpses = n;
    OC_TRY(hasten(p, s->allocator, err));
    OC_TRY(plan_again(p, inputs, env, err));
    return number(s, p, n, err);
}

/* ---- looking -------------------------------------------------------------
 */

oc_status oc__glimpse_step(void *user, const oc__program *p, int step,
                           const oc_value *values, oc_error *err) {
    oc__glimpse *s = user;
    const oc__node *n = p->steps[step].node;
    for (int j = 0; j < n->n_out && p == s->p; j++)
        for (int k = n->out[j] >= 0 ? s->first[n->out[j]] : -1; k >= 0;
             k = s->next[k])
            OC_TRY(s->look(s->user, k, &values[n->out[j]], err));
    return OC_OK;
}

oc_status oc__glimpse_rest(oc__glimpse *s, const oc__exec *e, oc_error *err) {
    for (int k = 0; k < s->n; k++)
        if (!s->is_made[k])
            OC_TRY(s->look(s->user, k, oc__exec_output(e, s->own + k), err));
    return OC_OK;
}
