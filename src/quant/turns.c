/* turns.c - see turns.h. */
#include "quant/turns.h"

#include "base/size.h"
#include "quant/blocks.h"
#include "runtime/exec.h"

/* Of all constants of g together, and of the largest. */
static size_t weight_bytes(const oc__graph *g, size_t *largest) {
    size_t sum = 0;
    *largest = 0;
    for (int v = 0; v < g->n_values; v++) {
        const oc_tensor *t = g->values[v].constant;
        if (!t) continue;
        sum += oc_tensor_bytes(t);
        *largest = OC_MAX(*largest, oc_tensor_bytes(t));
    }
    return sum;
}

/* Executor, threads, lists while something is planned. */
enum { SMALL_BYTES = 1 << 16 };

/* What a program is bound to, beside what it says itself. */
static size_t frame_bytes(const oc__program *p) {
    const oc__graph *g = p->graph;
    size_t sum = SMALL_BYTES;
    sum += (size_t)g->n_values * (sizeof(oc_value) + 2 * sizeof(int));
    for (int i = 0; i < p->n_steps; i++) {
        const oc__node *n = p->steps[i].node;
        sum += sizeof(oc__ctx) + sizeof(oc__step_time) +
               (size_t)(n->n_in + n->n_out) * sizeof(oc_value *);
    }
    return sum;
}

/* What is noted in the first turn and stays. */
static size_t notes_bytes(const oc__quant_plan *plan, const oc__program *p) {
    const oc__graph *g = p->graph;
    size_t sum = 0;
    for (int i = 0; i < plan->n_watches; i++) {
        const oc__quant_watch *w = &plan->watches[i];
        size_t lanes = (size_t)w->lane_count;
        sum += lanes * sizeof *w->sums + (lanes ? sizeof *w->even : 0);
        int v = g->outputs[g->n_outputs - plan->n_watches + i];
        const oc__value_def *d = &g->values[v];
        if (w->is_product && d->rank > 0 && d->dims[d->rank - 1] > 0)
            sum +=
                oc__blocks_gram_elems(d->dims[d->rank - 1]) * sizeof *w->gram;
    }
    return sum + p->arena.held_bytes + frame_bytes(p);
}

static size_t lane_bytes(const oc__quant_plan *plan, const oc__equal *e) {
    size_t sum = 0;
    for (int m = 0; m < e->n_members; m++)
        sum +=
            (size_t)plan->watches[e->members[m]].lane_count * sizeof(oc__lane);
    return sum;
}

oc_status oc__turns_plan(oc__turns *t, oc__quant_plan *plan, const oc__graph *g,
                         const oc__program *p, size_t others, size_t most,
                         oc_error *err) {
    size_t largest, packed = weight_bytes(p->graph, &largest);
    size_t weights = weight_bytes(g, &largest), group = 0, used = 0;
    size_t noted = notes_bytes(plan, p) + others;
    int n = plan->equal ? plan->equal->n : 0;
    for (int i = 0; i < n; i++)
        group = OC_MAX(group, lane_bytes(plan, &plan->equal->list[i]));
    /* To run samples; to choose factors of a weight; to write a model, with a
       quarter of the weights in codes beside them. */
    size_t running =
        packed + p->activation_bytes + p->scratch_bytes + noted + group;
    size_t writing = weights + OC_MAX(weights / 4, 2 * largest) + noted + group;
    t->least = OC_MAX(running, writing);
    if (t->least > most)
        return oc__fail(err, OC_E_LIMIT,
                        "quantizing needs %zu MB, but only %zu MB may be used",
                        (t->least + ((size_t)1 << 20) - 1) >> 20, most >> 20);
    size_t room = most - t->least + group;
    t->n = 1;
    t->now = 0;
    for (int i = 0; i < n; i++) {
        oc__equal *e = &plan->equal->list[i];
        size_t bytes = lane_bytes(plan, e);
        if (used && bytes > room - used) {
            used = 0;
            t->n++;
        }
        used += bytes;
        e->turn = t->n - 1;
    }
    return OC_OK;
}

int oc__turns_has(const oc__turns *t, const oc__quant_plan *plan,
                  const oc__quant_watch *w) {
    int e = plan->equal && w->lane_count ? plan->equal->of[w->value] : -1;
    return e >= 0 && plan->equal->list[e].turn == t->now;
}

void oc__turns_end(oc__turns *t, oc__quant_plan *plan, const oc_allocator *a) {
    for (int i = 0; plan->equal && i < plan->equal->n; i++) {
        oc__equal *e = &plan->equal->list[i];
        if (e->turn != t->now) continue;
        e->is_final = 1;
        for (int m = 0; m < e->n_members; m++) {
            oc__quant_watch *w = &plan->watches[e->members[m]];
            oc__release(a, w->lanes, (size_t)w->lane_count * sizeof *w->lanes);
            w->lanes = NULL;
        }
    }
    t->now++;
}
