/* match.c - see match.h. */
#include "passes/match.h"

#include <string.h>

oc_status oc__index_init(oc__index *ix, oc__graph *g, const oc_allocator *a,
                         oc_error *err) {
    ix->g = g;
    ix->allocator = a;
    ix->n = g->n_values;
    size_t bytes = ((size_t)g->n_values + 1) * sizeof(int);
    ix->producer = oc__alloc(a, bytes);
    ix->uses = oc__alloc(a, bytes);
    ix->reader = oc__alloc(a, bytes);
    if (!ix->producer || !ix->uses || !ix->reader) {
        oc__index_deinit(ix);
        return oc__fail_nomem(err);
    }
    oc__graph_find_producers(g, ix->producer);
    oc__graph_count_uses(g, ix->uses);
    for (int v = 0; v < g->n_values; v++)
        ix->reader[v] = -1;
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (g->nodes[i]->in[j] >= 0) ix->reader[g->nodes[i]->in[j]] = i;
    return OC_OK;
}

void oc__index_deinit(oc__index *ix) {
    size_t bytes = ((size_t)ix->n + 1) * sizeof(int);
    oc__release(ix->allocator, ix->producer, bytes);
    oc__release(ix->allocator, ix->uses, bytes);
    oc__release(ix->allocator, ix->reader, bytes);
    ix->producer = ix->uses = ix->reader = NULL;
}

int oc__is_op(const oc__node *n, const char *name) {
    return n && !n->dead && !n->op->domain[0] && !strcmp(n->op->name, name);
}

int oc__is_own(const oc__node *n, const char *name) {
    return n && !n->dead && !strcmp(n->op->domain, "ocelli") &&
           !strcmp(n->op->name, name);
}

oc__node *oc__producer(const oc__index *ix, int v) {
    if (v < 0 || v >= ix->n || ix->producer[v] < 0) return NULL;
    oc__node *n = ix->g->nodes[ix->producer[v]];
    return n->dead ? NULL : n;
}

oc__node *oc__input_op(const oc__index *ix, const oc__node *n, int j,
                       const char *name) {
    oc__node *p = j < n->n_in ? oc__producer(ix, n->in[j]) : NULL;
    return oc__is_op(p, name) ? p : NULL;
}

int oc__used_once(const oc__index *ix, int v) {
    return v >= 0 && v < ix->n && ix->uses[v] == 1;
}

oc__node *oc__only_reader(const oc__index *ix, int v) {
    if (!oc__used_once(ix, v) || ix->reader[v] < 0) return NULL;
    oc__node *n = ix->g->nodes[ix->reader[v]];
    return n->dead ? NULL : n;
}

const oc_tensor *oc__constant(const oc__graph *g, int v) {
    return v >= 0 ? g->values[v].constant : NULL;
}

int oc__const_scalar(const oc__graph *g, int v, float *out) {
    const oc_tensor *t = oc__constant(g, v);
    if (!t || t->dtype != OC_DTYPE_F32 || oc_tensor_elems(t) != 1) return 0;
    *out = *(const float *)t->data;
    return 1;
}

int oc__const_input(const oc__graph *g, const oc__node *n) {
    if (n->n_explicit < 2) return -1;
    int c0 = oc__constant(g, n->in[0]) != NULL;
    int c1 = oc__constant(g, n->in[1]) != NULL;
    return c0 == c1 ? -1 : c1 ? 1 : 0;
}

int oc__is_concrete_f32(const oc__graph *g, int v) {
    if (v < 0) return 0;
    const oc__value_def *d = &g->values[v];
    if (d->kind != OC_KIND_TENSOR || d->dtype != OC_DTYPE_F32 || d->rank < 0)
        return 0;
    for (int i = 0; i < d->rank; i++)
        if (d->dims[i] < 0) return 0;
    return 1;
}

int oc__same_dims(const oc__graph *g, int a, int b) {
    const oc__value_def *x = &g->values[a], *y = &g->values[b];
    return x->rank >= 0 && x->rank == y->rank &&
           !memcmp(x->dims, y->dims, (size_t)x->rank * sizeof(x->dims[0]));
}

int oc__read_scale(const oc__graph *g, int v, int64_t elems, int64_t i,
                   float *out) {
    const oc_tensor *t = oc__constant(g, v);
    if (!t || t->dtype != OC_DTYPE_F32) return 0;
    int64_t n = oc_tensor_elems(t);
    if (n != 1 && n != elems) return 0;
    *out = ((const float *)t->data)[n == 1 ? 0 : i];
    return 1;
}

int oc__read_zero(const oc__graph *g, int v, int64_t elems, int64_t i,
                  int *out) {
    const oc_tensor *t = oc__constant(g, v);
    *out = 0;
    if (v < 0) return 1;
    if (!t || (t->dtype != OC_DTYPE_U8 && t->dtype != OC_DTYPE_I8)) return 0;
    int64_t n = oc_tensor_elems(t);
    if (n != 1 && n != elems) return 0;
    *out = (int)oc__tensor_get_i64(t, n == 1 ? 0 : i);
    return 1;
}

void oc__bypass(oc__graph *g, oc__node *n, int to) {
    oc__graph_replace_uses(g, n->out[0], to);
    n->dead = 1;
}

int oc__new_constant(oc__graph *g, const oc_allocator *a, const char *name,
                     oc_dtype dtype, int rank, const int64_t *dims,
                     void **data) {
    oc_tensor t;
    size_t bytes;
    oc__tensor_set(&t, dtype, rank, dims);
    if (oc__tensor_size(dtype, rank, dims, &bytes)) return -1;
    oc__buf *buf = oc__buf_create(a, bytes);
    if (!buf) return -1;
    t.data = oc__buf_data(buf);
    int v = oc__graph_add_constant(g, name, &t);
    if (v < 0) {
        oc__buf_release(buf);
        return -1;
    }
    g->values[v].buf = buf;
    *data = t.data;
    return v;
}

int oc__new_constant_f32(oc__graph *g, const oc_allocator *a, const char *name,
                         int rank, const int64_t *dims, float **data) {
    void *p = NULL;
    int v = oc__new_constant(g, a, name, OC_DTYPE_F32, rank, dims, &p);
    *data = p;
    return v;
}
