/*
 * fold_pad.c - a Pad with zeros goes into the window behind it.
 *
 *   Conv(Pad(x))          Conv with the pads added to its own
 *   AveragePool(Pad(x))   the same, its padding counted, as Pad's zeros are
 *   MaxPool(Pad(x))       of -infinity, which is what MaxPool pads with
 *
 * Exporters write a node of its own for padding that differs from side to
 * side, and always in front of a mean that counts its padding.
 */
#include "passes/match.h"

#include <math.h>
#include <string.h>

/* What is added before and after each axis; n of each. */
typedef struct edges {
    const int64_t *all;
    size_t n;
    int is_zero, is_lowest; /* what it is filled with */
} edges;

/* The constant of one element behind input j; an absent one is 0. */
static int read_fill(const oc__graph *g, const oc__node *n, int j, edges *e) {
    if (j >= n->n_explicit || n->in[j] < 0) {
        e->is_zero = 1;
        return 1;
    }
    const oc_tensor *t = oc__constant(g, n->in[j]);
    if (!t || oc_tensor_elems(t) != 1) return 0;
    float f;
    if (oc__const_scalar(g, n->in[j], &f)) {
        e->is_zero = f == 0;
        e->is_lowest = isinf(f) && f < 0;
        return 1;
    }
    static const char zeros[16];
    size_t bytes = oc_tensor_bytes(t);
    e->is_zero = bytes <= sizeof(zeros) && !memcmp(t->data, zeros, bytes);
    return 1;
}

/* Whether n is a Pad by constants that are not negative. */
static int read_pad(const oc__graph *g, const oc__node *n, edges *e) {
    memset(e, 0, sizeof(*e));
    if (!oc__is_op(n, "Pad") || n->in[0] < 0 ||
        strcmp(oc__attr_string(n, "mode", "constant"), "constant"))
        return 0;
    if (n->version >= 11) {
        const oc_tensor *t =
            n->n_explicit > 1 ? oc__constant(g, n->in[1]) : NULL;
        if (!t || t->dtype != OC_DTYPE_I64 || t->rank != 1 || t->dims[0] % 2 ||
            (n->n_explicit > 3 && n->in[3] >= 0) || !read_fill(g, n, 2, e))
            return 0;
        e->all = t->data;
        e->n = (size_t)t->dims[0] / 2;
    } else {
        size_t count = 0;
        float f = oc__attr_float(n, "value", 0);
        e->all =
            oc__attr_ints(n, n->version >= 2 ? "pads" : "paddings", &count);
        e->n = count / 2;
        if (count % 2) return 0;
        e->is_zero = f == 0;
        e->is_lowest = isinf(f) && f < 0;
    }
    for (size_t i = 0; e->all && i < 2 * e->n; i++)
        if (e->all[i] < 0) return 0;
    return e->all != NULL;
}

/* Padding i of the window's own: those before each spatial axis, then those
 * behind. */
static int64_t own_pad(const oc__node *n, size_t i) {
    size_t count = 0;
    const int64_t *pads = oc__attr_ints(n, "pads", &count);
    return pads && i < count ? pads[i] : 0;
}

/* Edge i in the same order, batch and channels left out. */
static int64_t edge_at(const edges *e, size_t i) {
    return e->all[i < e->n - 2 ? i + 2 : i + 4];
}

/* Pads that nobody means, whose sum might not be a number. */
#define LARGE (INT64_MAX / 4)

/* Whether window n may have e's spatial edges as padding. */
static int may_take(const oc__node *n, const edges *e) {
    int is_mean = oc__is_op(n, "AveragePool"), is_max = oc__is_op(n, "MaxPool");
    const char *automatic = oc__attr_string(n, "auto_pad", "NOTSET");
    size_t spatial = e->n - 2, sizes = 0, count = 0;
    if ((strcmp(automatic, "NOTSET") && strcmp(automatic, "VALID")) ||
        (oc__attr_ints(n, "pads", &count) && count != 2 * spatial))
        return 0;
    for (size_t i = 0; i < 2 * spatial; i++)
        if (own_pad(n, i) < 0 || own_pad(n, i) > LARGE || edge_at(e, i) > LARGE)
            return 0;
    if (oc__is_op(n, "Conv")) return e->is_zero;
    if ((!is_mean || !e->is_zero) && (!is_max || !e->is_lowest)) return 0;
    /* Where sizes are rounded up, padding and what lies beyond it differ, and
     * so do padding that counts and padding that does not. */
    if (oc__attr_int(n, "ceil_mode", 0) || (is_mean && n->version < 7))
        return 0;
    int counts = oc__attr_int(n, "count_include_pad", 0) != 0;
    const int64_t *kernel = oc__attr_ints(n, "kernel_shape", &sizes);
    if (!kernel || sizes != spatial) return 0;
    for (size_t i = 0; i < 2 * spatial; i++) {
        int64_t own = own_pad(n, i);
        if (is_mean && own && !counts) return 0;
        if (own + edge_at(e, i) >= kernel[i % spatial]) return 0;
    }
    return 1;
}

/* Sets one attribute more, or in place of the one of that name. */
static int place_of(oc__node *n, const char *name) {
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, name)) return i;
    return n->n_attrs++;
}

static oc_status take(oc__graph *g, oc__node *n, const edges *e,
                      oc_error *err) {
    size_t spatial = e->n - 2, old = (size_t)n->n_attrs;
    int64_t *pads = oc__arena_array(g->arena, 2 * spatial, sizeof(*pads));
    oc__attr *attrs = oc__arena_array(g->arena, old + 3, sizeof(*attrs));
    if (!pads || !attrs) return oc__fail_nomem(err);
    for (size_t i = 0; i < 2 * spatial; i++)
        pads[i] = own_pad(n, i) + edge_at(e, i);
    if (old) memcpy(attrs, n->attrs, old * sizeof(*attrs));
    n->attrs = attrs;
    oc__attr_set_ints(n, place_of(n, "pads"), "pads", pads, 2 * spatial);
    oc__attr_set_string(n, place_of(n, "auto_pad"), "auto_pad", "NOTSET");
    if (oc__is_op(n, "AveragePool"))
        oc__attr_set_int(n, place_of(n, "count_include_pad"),
                         "count_include_pad", 1);
    return OC_OK;
}

oc_status oc__pass_fold_pad(oc__graph *g, const oc__pass_env *env,
                            oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        edges e;
        oc__node *pad =
            n->dead || n->n_in < 1 ? NULL : oc__input_op(&ix, n, 0, "Pad");
        if (!pad || !oc__used_once(&ix, n->in[0]) ||
            oc__graph_is_output(g, n->in[0]) || !read_pad(g, pad, &e) ||
            e.n < 3 || e.all[0] || e.all[1] || e.all[e.n] || e.all[e.n + 1] ||
            !may_take(n, &e))
            continue;
        st = take(g, n, &e, err);
        if (st == OC_OK) n->in[0] = pad->in[0];
    }
    oc__index_deinit(&ix);
    return st;
}
