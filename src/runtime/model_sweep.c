/*
 * model_sweep.c - weights that the passes have made others of.
 *
 * ONNX does not align raw data, so the importer copies most weights; folding
 * a normalisation into them makes another copy, packing one more.  Each goes
 * once the next is there: after loading, what no marked tensor points at; in
 * compiling, what folding says it has read for the last time.
 */
#include "runtime/model_sweep.h"

#include "onnx/import.h"

#include <stdlib.h>
#include <string.h>

static void mark(oc__marks *k, const oc_tensor *t) {
    if (!t || k->failed) return;
    if (k->n == k->room) {
        size_t room = k->room ? 2 * k->room : 256;
        const void **more = oc__calloc(k->allocator, room, sizeof(*more));
        if (!more) {
            k->failed = 1;
            return;
        }
        if (k->n) memcpy(more, k->list, k->n * sizeof(*more));
        oc__release(k->allocator, k->list, k->room * sizeof(*more));
        k->list = more;
        k->room = room;
    }
    k->list[k->n++] = t->data;
}

static void mark_graph(oc__marks *k, const oc__graph *g) {
    for (int v = 0; v < g->n_values; v++)
        mark(k, g->values[v].constant);
    for (int i = 0; i < g->n_nodes; i++)
        for (int a = 0; a < g->nodes[i]->n_attrs; a++) {
            const oc__attr *attr = &g->nodes[i]->attrs[a];
            for (size_t j = 0; attr->tensors && j < attr->n; j++)
                mark(k, &attr->tensors[j]);
            for (size_t j = 0; attr->graphs && j < attr->n; j++)
                mark_graph(k, attr->graphs[j]);
        }
}

static int by_address(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)(*(const void *const *)a);
    uintptr_t y = (uintptr_t)(*(const void *const *)b);
    return x < y ? -1 : x > y;
}

oc_status oc__marks_init(oc__marks *k, const oc_model *m, const oc__graph *g,
                         oc_error *err) {
    memset(k, 0, sizeof(*k));
    k->allocator = &m->allocator;
    mark_graph(k, g);
    for (int i = 0; m->onnx->defaults && i < m->n_inputs; i++)
        mark(k, m->onnx->defaults[i]);
    if (k->failed) {
        oc__marks_deinit(k);
        return oc__fail_nomem(err);
    }
    if (k->n) qsort(k->list, k->n, sizeof(*k->list), by_address);
    return OC_OK;
}

void oc__marks_deinit(oc__marks *k) {
    oc__release(k->allocator, k->list, k->room * sizeof(*k->list));
    k->list = NULL;
    k->n = k->room = 0;
}

static const void **find(const oc__marks *k, const void *p) {
    if (!k->n) return NULL;
    return bsearch(&p, k->list, k->n, sizeof(*k->list), by_address);
}

int oc__marks_has_one(const oc__marks *k, const void *p) {
    const void **at = find(k, p), **end = k->list + k->n;
    return at && (at == k->list || at[-1] != p) &&
           (at + 1 == end || at[1] != p);
}

/* Constants of g that no node reads and that are neither input nor output
   are none any more.  Those of sub-graphs stay: what they point at may be the
   outer graph's. */
static oc_status forget_unused(oc__graph *g, const oc_allocator *a,
                               oc_error *err) {
    size_t n = (size_t)g->n_values + 1;
    int *uses = oc__calloc(a, n, sizeof(*uses));
    if (!uses) return oc__fail_nomem(err);
    oc__graph_count_uses(g, uses);
    for (int i = 0; i < g->n_inputs; i++)
        uses[g->inputs[i]]++;
    for (int v = 0; v < g->n_values; v++) {
        if (uses[v] || !g->values[v].constant) continue;
        oc__buf_release(g->values[v].buf);
        g->values[v].buf = NULL;
        g->values[v].constant = NULL;
    }
    oc__release(a, uses, n * sizeof(*uses));
    return OC_OK;
}

static int is_marked(void *user, const void *p) {
    return find(user, p) != NULL;
}

oc_status oc__model_sweep(oc_model *m, oc_error *err) {
    oc__marks k;
    OC_TRY(forget_unused(m->graph, &m->allocator, err));
    OC_TRY(oc__marks_init(&k, m, m->graph, err));
    oc__arena_sweep(&m->onnx->data, is_marked, &k);
    oc__marks_deinit(&k);
    return OC_OK;
}
