/* prune_cut.c - the smaller graph. */
#include "base/size.h"
#include "quant/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cutter {
    const oc__prune *p;
    oc__graph *g;
    const oc_allocator *a;
    oc_error *err;
} cutter;

/* Input `input` of n becomes a new constant like t, but for its axis `axis`
 * (-1: none), which is `size` long; *data is its memory. */
static oc_status replace(const cutter *c, oc__node *n, int input,
                         const oc_tensor *t, int axis, int64_t size,
                         void **data) {
    int64_t dims[OC_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    if (axis >= 0) dims[axis] = size;
    int v = oc__new_constant(c->g, c->a, c->g->values[n->in[input]].name,
                             t->dtype, t->rank, dims, data);
    if (v < 0) return oc__fail_nomem(c->err);
    n->in[input] = v;
    return OC_OK;
}

static oc_status cut_slice(const cutter *c, const oc__prune_slice *s) {
    oc__node *n = c->g->nodes[s->node];
    const oc_tensor *t = oc__constant(c->g, n->in[s->input]);
    oc__channels rows = {s->axis, s->n, (int *)(uintptr_t)s->unit};
    int64_t left = oc__prune_left(c->p, rows), outer = 1;
    void *data;
    if (left == s->n) return OC_OK;
    if (!t || t->rank <= s->axis || t->dims[s->axis] != s->n)
        return oc__fail(c->err, OC_E_UNSUPPORTED,
                        "input %d of %s \"%s\" is no constant of %lld channels",
                        s->input, n->op->name, n->name, (long long)s->n);
    size_t row = oc_dtype_bytes(t->dtype);
    for (int i = 0; i < s->axis; i++)
        outer *= t->dims[i];
    for (int i = s->axis + 1; i < t->rank; i++)
        row *= (size_t)t->dims[i];
    OC_TRY(replace(c, n, s->input, t, s->axis, left, &data));
    const char *from = t->data;
    char *to = data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < s->n; i++, from += row) {
            if (c->p->gone[oc__prune_class(c->p, s->unit[i])]) continue;
            memcpy(to, from, row);
            to += row;
        }
    return OC_OK;
}

/* ---- numbers that count channels ------------------------------------------
 */

/* n's attributes, its own, without `name` and with room for one more. */
static oc_status own_attrs(const cutter *c, oc__node *n, const char *name) {
    oc__attr *list =
        oc__arena_array(c->g->arena, (size_t)n->n_attrs + 1, sizeof *list);
    int kept = 0;
    if (!list) return oc__fail_nomem(c->err);
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) != 0) list[kept++] = n->attrs[i];
    n->attrs = list;
    n->n_attrs = kept;
    return OC_OK;
}

static oc_status set_size(const cutter *c, const oc__prune_patch *q) {
    oc__node *n = c->g->nodes[q->node];
    const oc_tensor *t = oc__constant(c->g, n->in[q->input]);
    void *data;
    if (!t || t->dtype != OC_DTYPE_I64 || q->at >= oc_tensor_elems(t))
        return oc__fail(c->err, OC_E_UNSUPPORTED,
                        "the sizes of %s \"%s\" are no constant", n->op->name,
                        n->name);
    OC_TRY(replace(c, n, q->input, t, -1, 0, &data));
    memcpy(data, t->data, oc_tensor_bytes(t));
    ((int64_t *)data)[q->at] = oc__prune_left(c->p, q->c);
    return OC_OK;
}

/* As an input from set 13 on, as an attribute before. */
static oc_status set_split(const cutter *c, const oc__prune_patch *q) {
    oc__node *n = c->g->nodes[q->node];
    const int64_t *dims;
    int64_t count = n->n_out, done = 0;
    void *data;
    int v = oc__new_constant(c->g, c->a, NULL, OC_DTYPE_I64, 1, &count, &data);
    if (v < 0) return oc__fail_nomem(c->err);
    for (int k = 0; k < n->n_out; k++) {
        if (oc__prune_dims(c->p, n->out[k], &dims) <= q->c.axis)
            return oc__fail(c->err, OC_E_UNSUPPORTED,
                            "the sizes of Split \"%s\" are not known", n->name);
        oc__channels part = {q->c.axis, dims[q->c.axis], q->c.unit + done};
        ((int64_t *)data)[k] = oc__prune_left(c->p, part);
        done += part.n;
    }
    if (n->version < 13) {
        OC_TRY(own_attrs(c, n, "split"));
        oc__attr_set_ints(n, n->n_attrs++, "split", data, (size_t)count);
        return OC_OK;
    }
    OC_TRY(own_attrs(c, n, "num_outputs"));
    int *in = oc__arena_array(c->g->arena, 2, sizeof *in);
    if (!in) return oc__fail_nomem(c->err);
    in[0] = n->in[0];
    in[1] = v;
    n->in = in;
    n->n_in = n->n_explicit = 2;
    return OC_OK;
}

static oc_status apply_patch(const cutter *c, const oc__prune_patch *q) {
    oc__node *n = c->g->nodes[q->node];
    int64_t left = oc__prune_left(c->p, q->c);
    if (left == q->c.n) return OC_OK;
    switch (q->kind) {
    case OC_PRUNE_SIZE: return set_size(c, q);
    case OC_PRUNE_SPLIT: return set_split(c, q);
    default: break;
    }
    OC_TRY(own_attrs(c, n, "group"));
    oc__attr_set_int(n, n->n_attrs++, "group", left);
    return OC_OK;
}

/* A weight that is an input with a default is none once it has another shape:
 * nobody reads it. */
static void drop_inputs(oc__graph *g) {
    int kept = 0;
    for (int i = 0; i < g->n_inputs; i++) {
        int v = g->inputs[i];
        if (!g->values[v].constant || oc__graph_use_count(g, v))
            g->inputs[kept++] = v;
    }
    g->n_inputs = kept;
}

oc_status oc__prune_cut(const oc__prune *p, oc__graph *g, const oc_allocator *a,
                        oc_error *err) {
    cutter c = {p, g, a, err};
    for (int i = 0; i < p->n_slices; i++)
        OC_TRY(cut_slice(&c, &p->slices[i]));
    for (int i = 0; i < p->n_patches; i++)
        OC_TRY(apply_patch(&c, &p->patches[i]));
    drop_inputs(g);
    /* What was declared of values between held for all channels. */
    char *keep = oc__calloc(a, (size_t)g->n_values + 1, 1);
    if (!keep) return oc__fail_nomem(err);
    for (int i = 0; i < g->n_inputs; i++)
        keep[g->inputs[i]] = 1;
    for (int i = 0; i < g->n_outputs; i++)
        keep[g->outputs[i]] = 1;
    for (int v = 0; v < g->n_values; v++)
        if (!keep[v] && !g->values[v].constant) g->values[v].rank = -1;
    oc__release(a, keep, (size_t)g->n_values + 1);
    return OC_OK;
}

/* ---- single weights -------------------------------------------------------
 */

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* The weight of n, or NULL. */
static const oc_tensor *weight_of(const oc__graph *g, const oc__node *n) {
    if (!oc__is_op(n, "Conv") && !oc__is_op(n, "ConvTranspose") &&
        !oc__is_op(n, "Gemm") && !oc__is_op(n, "MatMul"))
        return NULL;
    const oc_tensor *t = oc__constant(g, n->in[1]);
    return t && t->dtype == OC_DTYPE_F32 && t->rank >= 2 &&
                   oc_tensor_elems(t) > 0
               ? t
               : NULL;
}

static oc_status thin(const cutter *c, oc__node *n, const oc_tensor *t,
                      double share) {
    size_t count = (size_t)oc_tensor_elems(t), bytes = count * sizeof(float);
    size_t goes = (size_t)((double)count * share);
    const float *x = t->data;
    void *data;
    float *sorted = oc__alloc(c->a, bytes);
    if (!sorted) return oc__fail_nomem(c->err);
    for (size_t i = 0; i < count; i++)
        sorted[i] = fabsf(x[i]);
    qsort(sorted, count, sizeof *sorted, by_size);
    float edge = goes ? sorted[goes - 1] : -1;
    oc__release(c->a, sorted, bytes);
    OC_TRY(replace(c, n, 1, t, -1, 0, &data));
    float *y = data;
    /* Of those as large as the last one that goes, the first. */
    for (size_t i = 0; i < count; i++)
        goes -= fabsf(x[i]) < edge;
    for (size_t i = 0; i < count; i++) {
        int at_edge = fabsf(x[i]) == edge && goes > 0;
        y[i] = fabsf(x[i]) < edge || at_edge ? 0 : x[i];
        goes -= (size_t)at_edge;
    }
    return OC_OK;
}

oc_status oc__prune_thin(oc__graph *g, double share, const oc_allocator *a,
                         oc_error *err) {
    cutter c = {NULL, g, a, err};
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        const oc_tensor *t = weight_of(g, n);
        if (t) OC_TRY(thin(&c, n, t, share));
    }
    drop_inputs(g);
    return OC_OK;
}
