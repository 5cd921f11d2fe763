/*
 * layout_train.c - the layout pass on graphs that train: batch norms that take
 * the batch's statistics, and what the rules in derivative_*.c write.
 *
 * A batch norm takes the activation behind it in:
 *
 *     BatchNormalization(x) -> u, Relu(u) -> y      NormBlocked(x) -> y
 *     ReluGrad(g, u) -> h                           -
 *     BatchNormGrad(h, x, ...) -> dx                NormGradBlocked(g, x, y)
 *
 * since whether u was let through shows in y.  u is then nowhere, which saves
 * a tensor from the forward to the backward pass, and h is never written.
 */
#include "passes/layout.h"

#include "ops/blocked.h"

#include <math.h>
#include <string.h>

static oc_status no_memory(const oc__layout *l) {
    return oc__fail_nomem(l->err);
}

static int has_twin(const oc__layout *l, int v) {
    return v >= 0 && v < l->n_plain && l->twin[v] >= 0;
}

static const int64_t *dims(const oc__layout *l, int v) {
    return l->g->values[v].dims;
}

static oc__node *add(oc__layout *l, const char *op, const oc__node *like,
                     int n_in, int n_out, int n_attrs) {
    return oc__graph_add_node(l->g, oc__op_find("ocelli", op), like->name, 1,
                              n_in, n_out, n_attrs);
}

/* ---- batch norms ----------------------------------------------------------
 */

static int is_trained(const oc__node *n) {
    return oc__is_op(n, "BatchNormalization") && n->version >= 14 &&
           n->n_explicit == 5 && oc__attr_int(n, "training_mode", 0) != 0;
}

/* Whether a derivative of the activation reads v as what went into it. */
static int is_gate(const oc__node *n, int v) {
    return (oc__is_own(n, "ReluGrad") || oc__is_own(n, "ClipGrad")) &&
           n->n_explicit >= 2 && n->in[1] == v && n->in[0] != v;
}

/* The BatchNormGrad that alone reads the gate's result; NULL: another way. */
static const oc__node *gated(const oc__layout *l, const oc__node *gate,
                             const oc__node *norm) {
    int v = gate->out[0];
    if (v < 0 || !oc__used_once(&l->ix, v) || l->ix.reader[v] < 0) return NULL;
    const oc__node *n = l->old[l->ix.reader[v]];
    for (int k = 3; k < n->n_out; k++)
        if (n->out[k] >= 0) return NULL;
    return oc__is_own(n, "BatchNormGrad") && n->out[0] >= 0 &&
                   oc__attr_int(n, "training_mode", 0) && n->in[0] == v &&
                   n->in[1] == norm->in[0] && n->in[2] == norm->in[1]
               ? n
               : NULL;
}

/* The activation that may be taken in: all others that read the norm's result
 * are gates before its gradient. */
static oc__node *find_act(const oc__layout *l, const oc__node *n,
                          oc__act_args *act) {
    oc__node *found = NULL;
    int v = n->out[0], last = l->ix.reader[v];
    if (oc__graph_is_output(l->g, v)) return NULL;
    for (int i = 0; i <= last; i++) {
        oc__node *m = l->old[i];
        int reads = 0;
        for (int j = 0; j < m->n_in; j++)
            reads += m->in[j] == v;
        if (!reads || m->dead) continue;
        if (is_gate(m, v) && reads == 1) {
            if (!gated(l, m, n)) return NULL;
        } else if (!found && reads == 1 && oc__node_activation(l->g, m, act) &&
                   m->in[0] == v &&
                   (act->kind == OC_ACT_RELU || act->kind == OC_ACT_CLIP)) {
            found = m;
        } else {
            return NULL;
        }
    }
    return found;
}

static oc_status visit_norm(oc__layout *l, oc__node *n, int *done) {
    oc__act_args act = {OC_ACT_NONE, -INFINITY, INFINITY};
    if (!is_trained(n) || !oc__layout_fits(l, n->in[0]) ||
        !has_twin(l, n->in[0]))
        return OC_OK;
    for (int j = 1; j < 5; j++) {
        const oc__value_def *d = &l->g->values[n->in[j]];
        if (d->dtype != OC_DTYPE_F32) return OC_OK;
        OC_TRY(oc__layout_plain(l, n->in[j]));
    }
    oc__node *a = find_act(l, n, &act);
    int x, y = a ? a->out[0] : n->out[0], t = oc__layout_add_twin(l, y);
    OC_TRY(oc__layout_twin(l, n->in[0], &x));
    oc__node *m = t < 0 ? NULL : add(l, "NormBlocked", n, 5, 5, 4);
    if (!m) return no_memory(l);
    m->in[0] = x;
    for (int j = 1; j < 5; j++)
        m->in[j] = n->in[j];
    m->out[0] = t;
    for (int k = 1; k < 3; k++)
        m->out[k] = k < n->n_out ? n->out[k] : -1;
    for (int k = 3; k < 5; k++) {
        m->out[k] = oc__graph_add_value(l->g, NULL);
        if (m->out[k] < 0) return no_memory(l);
    }
    int relu = a && act.kind == OC_ACT_RELU;
    oc__attr_set_float(m, 0, "epsilon", oc__attr_float(n, "epsilon", 1e-5f));
    oc__attr_set_float(m, 1, "momentum", oc__attr_float(n, "momentum", 0.9f));
    oc__attr_set_float(m, 2, "lo", !a ? -INFINITY : relu ? 0 : act.a);
    oc__attr_set_float(m, 3, "hi", !a || relu ? INFINITY : act.b);
    l->norm[n->in[0]] = m;
    if (a) {
        l->gate[n->out[0]] = t;
        l->norm[n->out[0]] = m; /* for the gates, which read it */
    }
    oc__layout_set(l, y, t, NULL);
    *done = 1;
    return OC_OK;
}

/* The activation that a norm has taken in, and its gate. */
static oc_status visit_taken(oc__layout *l, oc__node *n, int *done) {
    int v = n->in[0];
    if (l->gate[v] >= 0 && l->norm[v] && l->twin[n->out[0]] == l->gate[v]) {
        *done = 1;
        return OC_OK;
    }
    if (n->n_explicit < 2 || n->in[1] < 0 || l->gate[n->in[1]] < 0 ||
        !is_gate(n, n->in[1]))
        return OC_OK;
    /* h is g, to be let through by y. */
    l->gate[n->out[0]] = n->in[0];
    l->norm[n->out[0]] = l->norm[n->in[1]];
    *done = 1;
    return OC_OK;
}

static oc_status visit_norm_grad(oc__layout *l, oc__node *n, int *done) {
    int g = n->in[0], y = -1, in[2];
    if (!oc__is_own(n, "BatchNormGrad")) return OC_OK;
    oc__node *norm = l->norm[n->in[1]];
    if (!norm || !oc__attr_int(n, "training_mode", 0) ||
        norm->in[1] != n->in[2])
        return OC_OK;
    for (int k = 3; k < n->n_out; k++)
        if (n->out[k] >= 0) return OC_OK;
    if (l->gate[g] >= 0) {
        y = norm->out[0];
        g = l->gate[g];
    }
    OC_TRY(oc__layout_twin(l, g, &in[0]));
    OC_TRY(oc__layout_twin(l, n->in[1], &in[1]));
    oc__node *m = add(l, "NormGradBlocked", n, 6, 3, 2);
    int t = n->out[0] < 0 ? -1 : oc__layout_add_twin(l, n->out[0]);
    if (!m || (n->out[0] >= 0 && t < 0)) return no_memory(l);
    m->in[0] = in[0];
    m->in[1] = in[1];
    m->in[2] = n->in[2];
    m->in[3] = norm->out[3];
    m->in[4] = norm->out[4];
    m->in[5] = y;
    m->out[0] = t;
    m->out[1] = n->out[1];
    m->out[2] = n->n_out > 2 ? n->out[2] : -1;
    oc__attr_set_float(m, 0, "lo", oc__attr_float(norm, "lo", 0));
    oc__attr_set_float(m, 1, "hi", oc__attr_float(norm, "hi", 0));
    if (t >= 0) oc__layout_set(l, n->out[0], t, NULL);
    *done = 1;
    return OC_OK;
}

/* ---- convolutions ---------------------------------------------------------
 */

/* A kernel's sums need whole blocks, so groups are one or a channel each. */
static int groups_fit(const oc__conv_geom *g) {
    return g->group == 1 || (g->group == g->in_c && g->out_c == g->in_c);
}

/* (g, x, w) of a gradient of a Conv as that Conv's geometry; 0: it has none. */
static int read_grad(const oc__layout *l, const oc__node *n, int g, int w,
                     int x, oc__conv_geom *out) {
    if (!oc__layout_fits(l, g) || !oc__layout_fits(l, x) ||
        !oc__layout_fits(l, w))
        return 0;
    const int64_t *k = dims(l, w);
    oc__layout_window(n, dims(l, x), dims(l, g), k[2], k[3], out);
    out->group = oc__attr_int(n, "group", 1);
    return out->group >= 1 && k[1] * out->group == out->in_c &&
           k[0] == out->out_c && groups_fit(out);
}

static oc_status visit_weights(oc__layout *l, oc__node *n, int *done) {
    oc__conv_geom g;
    int in[2];
    if (!oc__is_own(n, "ConvGradWeights") ||
        (!has_twin(l, n->in[0]) && !has_twin(l, n->in[1])) ||
        !read_grad(l, n, n->in[0], n->in[2], n->in[1], &g))
        return OC_OK;
    for (int j = 0; j < 2; j++)
        OC_TRY(oc__layout_twin(l, n->in[j], &in[j]));
    oc__node *m = add(l, "ConvGradWeightsBlocked", n, 2, 1, 1);
    if (!m || oc__layout_set_geom(l, m, 0, &g)) return no_memory(l);
    m->in[0] = in[0];
    m->in[1] = in[1];
    m->out[0] = n->out[0];
    *done = 1;
    return OC_OK;
}

/* x with zeros between its pixels, up to (h, w) of them. */
static oc_status dilate(oc__layout *l, const oc__node *n, int x, int64_t h,
                        int64_t w, const oc__conv_geom *g, int *out) {
    int64_t *list = oc__arena_array(l->g->arena, 4, sizeof(*list));
    *out = oc__graph_add_value(l->g, NULL);
    oc__node *m =
        *out < 0 || !list
            ? NULL
            : oc__layout_emit(l, oc__op_find("ocelli", "DilateBlocked"),
                              n->name, x, *out, 2);
    if (!m) return no_memory(l);
    list[0] = g->stride_h;
    list[1] = g->stride_w;
    list[2] = h;
    list[3] = w;
    oc__attr_set_ints(m, 0, "strides", list, 2);
    oc__attr_set_ints(m, 1, "sizes", list + 2, 2);
    return OC_OK;
}

static void set_shape(oc__layout *l, int v, int64_t n, int64_t c, int64_t h,
                      int64_t w) {
    int64_t b = l->env->kernels->block;
    int64_t to[5] = {n, (c + b - 1) / b, h, w, b};
    oc__value_def *d = &l->g->values[v];
    d->dtype = OC_DTYPE_F32;
    d->rank = 5;
    memcpy(d->dims, to, sizeof(to));
}

/* The weight turned around; a plain value. */
static oc_status flip(oc__layout *l, const oc__node *n, int w, int64_t group,
                      int *out) {
    OC_TRY(oc__layout_plain(l, w));
    *out = oc__graph_add_value(l->g, NULL);
    oc__node *m = *out < 0
                      ? NULL
                      : oc__layout_emit(l, oc__op_find("ocelli", "ConvFlip"),
                                        n->name, w, *out, 1);
    if (!m) return no_memory(l);
    oc__attr_set_int(m, 0, "group", group);
    return OC_OK;
}

/*
 * Back to the input of a Conv with strides: zeros between the pixels of g,
 * then the Conv back without strides; for a window of one element the other
 * way round, where it is small.
 */
static oc_status visit_input(oc__layout *l, oc__node *n, int *done) {
    oc__conv_geom g, b;
    if (!oc__is_own(n, "ConvGradInput") || !has_twin(l, n->in[0]) ||
        !read_grad(l, n, n->in[0], n->in[1], n->in[2], &g))
        return OC_OK;
    int point = g.kernel_h == 1 && g.kernel_w == 1 && !g.pad_top &&
                !g.pad_left && g.group == 1;
    b = g;
    b.in_c = g.out_c;
    b.out_c = g.in_c;
    b.stride_h = b.stride_w = 1;
    b.in_h = point ? g.out_h : (g.out_h - 1) * g.stride_h + 1;
    b.in_w = point ? g.out_w : (g.out_w - 1) * g.stride_w + 1;
    b.out_h = point ? b.in_h : g.in_h;
    b.out_w = point ? b.in_w : g.in_w;
    b.pad_top = (g.kernel_h - 1) * g.dilation_h - g.pad_top;
    b.pad_left = (g.kernel_w - 1) * g.dilation_w - g.pad_left;
    if (b.pad_top < 0 || b.pad_left < 0 || b.in_h < 1 || b.in_w < 1)
        return OC_OK;
    oc__conv_algo algo = oc__layout_choose(l, &b, n->in[1]);
    if (algo == OC_CONV_FIRST) algo = OC_CONV_DIRECT;
    if (!oc__conv_f32_can(l->env->kernels, &b, algo)) return OC_OK;
    int x, w, y = oc__layout_add_twin(l, n->out[0]), mid;
    if (y < 0) return no_memory(l);
    oc__node *c;
    OC_TRY(oc__layout_twin(l, n->in[0], &x));
    OC_TRY(flip(l, n, n->in[1], g.group, &w));
    if (point) {
        mid = oc__graph_add_value(l->g, NULL);
        if (mid < 0) return no_memory(l);
        set_shape(l, mid, g.batch, g.in_c, b.out_h, b.out_w);
        OC_TRY(oc__layout_put_conv(l, n->name, &b, algo, x, w, -1, mid, &c));
        OC_TRY(dilate(l, n, mid, g.in_h, g.in_w, &g, &y));
        set_shape(l, y, g.batch, g.in_c, g.in_h, g.in_w);
    } else {
        OC_TRY(dilate(l, n, x, b.in_h, b.in_w, &g, &mid));
        set_shape(l, mid, g.batch, g.out_c, b.in_h, b.in_w);
        OC_TRY(oc__layout_put_conv(l, n->name, &b, algo, mid, w, -1, y, &c));
    }
    oc__layout_set(l, n->out[0], y, NULL);
    *done = 1;
    return OC_OK;
}

/* ---- the rest -------------------------------------------------------------
 */

static oc_status visit_pool_grad(oc__layout *l, oc__node *n, int *done) {
    size_t count;
    int max = oc__is_own(n, "MaxPoolGrad"), in[2];
    if ((!max && !oc__is_own(n, "GlobalAveragePoolGrad")) ||
        !oc__layout_fits(l, n->in[0]) || !oc__layout_fits(l, n->in[1]) ||
        !has_twin(l, n->in[1]))
        return OC_OK;
    const int64_t *k = oc__attr_ints(n, "kernel_shape", &count);
    if (max && (!k || count != 2 || k[0] * k[1] > 64 || k[0] < 1 || k[1] < 1))
        return OC_OK;
    int t = oc__layout_add_twin(l, n->out[0]);
    for (int j = 0; j < 2; j++)
        OC_TRY(oc__layout_twin(l, n->in[j], &in[j]));
    oc__node *m = t < 0 ? NULL
                        : add(l, max ? "MaxPoolGradBlocked" : "SpreadBlocked",
                              n, 2, 1, max);
    if (!m) return no_memory(l);
    memcpy(m->in, in, sizeof(in));
    m->out[0] = t;
    if (max) {
        oc__conv_geom g;
        oc__layout_window(n, dims(l, n->in[1]), dims(l, n->in[0]), k[0], k[1],
                          &g);
        if (oc__layout_set_geom(l, m, 0, &g)) return no_memory(l);
    }
    oc__layout_set(l, n->out[0], t, NULL);
    *done = 1;
    return OC_OK;
}

/* Derivatives that go element by element. */
static oc_status visit_each(oc__layout *l, oc__node *n, int *done) {
    int in[4] = {-1, -1, -1, -1};
    if ((!oc__is_own(n, "ReluGrad") && !oc__is_own(n, "ClipGrad") &&
         !oc__is_own(n, "HardSwishGrad") && !oc__is_own(n, "SwishGrad") &&
         !oc__is_own(n, "LeakyReluGrad") &&
         !oc__is_own(n, "FakeQuantizeGrad")) ||
        n->n_in > 4 || !oc__layout_fits(l, n->in[0]) ||
        !oc__layout_fits(l, n->in[1]) || !has_twin(l, n->in[1]))
        return OC_OK;
    for (int j = 0; j < 2; j++)
        OC_TRY(oc__layout_twin(l, n->in[j], &in[j]));
    for (int j = 2; j < n->n_in; j++) {
        OC_TRY(oc__layout_plain(l, n->in[j]));
        in[j] = n->in[j];
    }
    *done = 1;
    return oc__layout_on_twins(l, n, in);
}

/* Rounding is the same at every place; the range is no picture. */
static oc_status visit_fake(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_own(n, "FakeQuantize") || !oc__layout_fits(l, n->in[0]) ||
        !has_twin(l, n->in[0]))
        return OC_OK;
    int x, t = oc__layout_add_twin(l, n->out[0]);
    OC_TRY(oc__layout_plain(l, n->in[1]));
    OC_TRY(oc__layout_twin(l, n->in[0], &x));
    oc__node *m = t < 0 ? NULL : add(l, "FakeQuantize", n, 2, n->n_out, 0);
    if (!m) return no_memory(l);
    m->in[0] = x;
    m->in[1] = n->in[1];
    m->out[0] = t;
    if (n->n_out > 1) m->out[1] = n->out[1];
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    oc__layout_set(l, n->out[0], t, NULL);
    *done = 1;
    return OC_OK;
}

static oc_status visit_sum(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_own(n, "SumToChannels") || oc__attr_find(n, "num_groups") ||
        !oc__layout_fits(l, n->in[0]) || !has_twin(l, n->in[0]))
        return OC_OK;
    oc__node *m = add(l, "SumBlocked", n, 1, 1, 1);
    if (!m) return no_memory(l);
    OC_TRY(oc__layout_twin(l, n->in[0], &m->in[0]));
    m->out[0] = n->out[0];
    oc__attr_set_int(m, 0, "channels", dims(l, n->in[0])[1]);
    *done = 1;
    return OC_OK;
}

static oc__layout_visit *const visitors[] = {
    visit_taken,     visit_norm, visit_norm_grad, visit_weights, visit_input,
    visit_pool_grad, visit_each, visit_sum,       visit_fake,
};

oc_status oc__layout_train(oc__layout *l, oc__node *n, int *done) {
    for (size_t i = 0; i < OC_COUNT(visitors) && !*done; i++)
        OC_TRY(visitors[i](l, n, done));
    return OC_OK;
}
