/* equalize_write.c - constants by factors; see equalize.h. */
#include "quant/equalize.h"

#include "base/memory.h"
#include "passes/match.h"

#include <string.h>

/* Where nothing that reads it is in 8 bits, values stay as they are. */
static int is_on(const oc__quant_plan *p, const oc__graph *g,
                 const oc__equal *e) {
    if (!e->is_worth || p->equal->is_off) return 0;
    for (int i = 0; i < e->n_uses; i++) {
        int k = e->uses[i].target;
        if (k >= 0 && p->targets[k].precision == OC_QUANT_INT8 &&
            oc__quant_is_coded(p, g, &p->targets[k]))
            return 1;
    }
    return 0;
}

const oc__equal *oc__equal_of(const oc__quant_plan *p, const oc__graph *g,
                              int v) {
    const oc__equalizer *q = p->equal;
    int i = q && v >= 0 && v < p->n_values ? q->of[v] : -1;
    return i >= 0 && is_on(p, g, &q->list[i]) ? &q->list[i] : NULL;
}

int oc__equal_count(const oc__quant_plan *p, const oc__graph *g) {
    int n = 0;
    for (int i = 0; p->equal && i < p->equal->n; i++)
        if (is_on(p, g, &p->equal->list[i])) n += p->equal->list[i].n_members;
    return n;
}

const oc__range *oc__quant_seen(const oc__quant_plan *p, const oc__graph *g,
                                const oc__quant_watch *w) {
    return w->even && oc__equal_of(p, g, w->value) ? w->even : &w->range;
}

/* The rows of dense f32 along an axis, by factors or their inverses. */
static void scale(float *x, const oc_tensor *t, const oc__equal *e,
                  const oc__equal_use *u) {
    int64_t inner = 1, n = oc_tensor_elems(t);
    for (int i = u->axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    for (int64_t at = 0; at < n; at += inner) {
        float s = e->by[at / inner % e->n];
        float f = u->reads ? s : 1 / s;
        for (int64_t k = at; k < at + inner; k++)
            x[k] *= f;
    }
}

oc_status oc__equal_weight(const oc__quant_plan *p, const oc__graph *g,
                           const oc__quant_target *t, oc_tensor *w,
                           const oc_allocator *a, oc_error *err) {
    const oc__node *n = g->nodes[t->node];
    const oc__equal *e = oc__equal_of(p, g, n->in[0]);
    const oc_tensor *was = oc__constant(g, n->in[1]);
    *w = *was;
    w->data = NULL;
    for (int k = 0; e && k < e->n_uses; k++) {
        const oc__equal_use *u = &e->uses[k];
        if (u->node != t->node || u->input != 1 || !u->reads) continue;
        w->data = oc__alloc(a, oc_tensor_bytes(was));
        if (!w->data) return oc__fail_nomem(err);
        memcpy(w->data, was->data, oc_tensor_bytes(was));
        scale(w->data, was, e, u);
        return OC_OK;
    }
    return OC_OK;
}

/* Whether it is done when that weight becomes codes. */
static int is_later(const oc__quant_plan *p, const oc__graph *g,
                    const oc__equal_use *u) {
    for (int k = 0; k < p->n_targets && u->input == 1; k++)
        if (p->targets[k].node == u->node)
            return oc__quant_is_coded(p, g, &p->targets[k]);
    return 0;
}

oc_status oc__equal_write(const oc__quant_plan *p, oc__graph *g, int coded,
                          const oc_allocator *a, oc_error *err) {
    const oc__equalizer *q = p->equal;
    for (int i = 0; q && i < q->n; i++) {
        const oc__equal *e = &q->list[i];
        for (int k = 0; k < e->n_uses && is_on(p, g, e); k++) {
            const oc__equal_use *u = &e->uses[k];
            oc__node *n = g->nodes[u->node];
            const oc_tensor *t = oc__constant(g, n->in[u->input]);
            void *data;
            if (!coded && is_later(p, g, u)) continue;
            int v = oc__new_constant(g, a, g->values[n->in[u->input]].name,
                                     OC_DTYPE_F32, t->rank, t->dims, &data);
            if (v < 0) return oc__fail_nomem(err);
            /* Room for values may have moved. */
            t = oc__constant(g, n->in[u->input]);
            memcpy(data, t->data, oc_tensor_bytes(t));
            scale(data, t, e, u);
            n->in[u->input] = v;
        }
    }
    return OC_OK;
}
