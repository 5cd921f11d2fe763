/*
 * layout_move.c - what moves pixels and channels in the blocked layout: Resize,
 * Concat, Split and the Transpose to channels last; part of layout.c.
 */
#include "ops/resample.h"
#include "passes/layout.h"

#include <string.h>

static oc_status no_memory(const oc__layout *l) {
    return oc__fail_nomem(l->err);
}

static const oc__value_def *def(const oc__layout *l, int v) {
    return &l->g->values[v];
}

int oc__read_resize(const oc__graph *g, const oc__pass_env *env,
                    const oc__node *n, oc__resize_spec *spec) {
    oc_value values[4] = {{0}};
    oc_value *refs[4] = {NULL};
    oc_error ignored;
    if ((!oc__is_op(n, "Resize") && !oc__is_op(n, "Upsample")) ||
        n->n_explicit > 4)
        return 0;
    const oc__value_def *x = &g->values[n->in[0]];
    oc__tensor_set(&values[0].t, x->dtype, x->rank, x->dims);
    for (int j = 0; j < n->n_explicit; j++) {
        const oc_tensor *t = NULL;
        if (n->in[j] < 0) continue;
        if (j > 0 && !(t = oc__constant(g, n->in[j]))) return 0;
        if (t) values[j].t = *t;
        values[j].kind = OC_KIND_TENSOR;
        refs[j] = &values[j];
    }
    oc__ctx c = {.node = n,
                 .op = n->op,
                 .kernels = env->kernels,
                 .allocator = env->allocator,
                 .err = &ignored,
                 .n_in = n->n_explicit,
                 .in = refs};
    return oc__resize_read(&c, spec) == OC_OK;
}

/* The scale that was given; 0 when it is what the sizes say. */
static float given_scale(const oc__resize_axis *a) {
    return a->scale == (double)a->out / (double)a->in ? 0 : (float)a->scale;
}

/* Whether v is read plain, by the caller or by what has no blocked form, with
 * nothing between but steps that go either way. */
static int is_read_plain(const oc__layout *l, int v) {
    static const char *const plain[] = {"ArgMax", "Softmax", "LogSoftmax",
                                        "Reshape"};
    static const char *const either[] = {"Sigmoid", "Clip", "Relu"};
    for (;;) {
        if (v < 0 || v >= l->n_plain || !oc__used_once(&l->ix, v)) return 0;
        if (oc__graph_is_output(l->g, v)) return 1;
        const oc__node *n =
            l->ix.reader[v] < 0 ? NULL : l->old[l->ix.reader[v]];
        if (!n) return 0;
        for (size_t i = 0; i < OC_COUNT(plain); i++)
            if (oc__is_op(n, plain[i])) return 1;
        int goes_on = 0;
        for (size_t i = 0; i < OC_COUNT(either); i++)
            goes_on |= oc__is_op(n, either[i]);
        if (!goes_on) return 0;
        v = n->out[0];
    }
}

oc_status oc__layout_resize(oc__layout *l, oc__node *n, int *done) {
    oc__resize_spec s;
    if (!oc__layout_fits(l, n->in[0]) || !oc__layout_fits(l, n->out[0]) ||
        l->twin[n->in[0]] < 0 || !oc__read_resize(l->g, l->env, n, &s))
        return OC_OK;
    const oc__resize_axis *h = &s.axis[2], *w = &s.axis[3];
    /* Scales that keep a ratio are not those of either size. */
    int kept = strcmp(oc__attr_string(n, "keep_aspect_ratio_policy", "stretch"),
                      "stretch");
    if (s.axis[0].resized || s.axis[1].resized || s.antialias ||
        s.exclude_outside || s.coord == OC_COORD_TF_CROP_AND_RESIZE || kept)
        return OC_OK;
    if (!h->resized && !w->resized) {
        oc__layout_set(l, n->out[0], l->twin[n->in[0]], NULL);
        *done = 1;
        return OC_OK;
    }
    /* The small one is made plain then, not the large one. */
    if (h->out * w->out > h->in * w->in && is_read_plain(l, n->out[0]))
        return OC_OK;
    int64_t *sizes = oc__arena_array(l->g->arena, 2, sizeof(*sizes));
    int t = oc__layout_add_twin(l, n->out[0]);
    oc__node *r = t < 0 || !sizes ? NULL
                                  : oc__layout_emit(l, l->resize, n->name,
                                                    l->twin[n->in[0]], t, 7);
    if (!r) return no_memory(l);
    sizes[0] = h->out;
    sizes[1] = w->out;
    oc__attr_set_ints(r, 0, "sizes", sizes, 2);
    oc__attr_set_int(r, 1, "mode", s.mode);
    oc__attr_set_int(r, 2, "coords", s.coord);
    oc__attr_set_int(r, 3, "round", s.round);
    oc__attr_set_float(r, 4, "cubic_coeff_a", (float)s.a);
    oc__attr_set_float(r, 5, "scale_h", given_scale(h));
    oc__attr_set_float(r, 6, "scale_w", given_scale(w));
    oc__layout_set(l, n->out[0], t, NULL);
    *done = 1;
    return OC_OK;
}

/* Concat of channels when each part fills whole blocks. */
oc_status oc__layout_concat(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_op(n, "Concat") || !oc__layout_fits(l, n->out[0])) return OC_OK;
    int64_t axis = oc__attr_int(n, "axis", 0);
    if (axis != 1 && axis != -3) return OC_OK;
    int some = 0;
    for (int j = 0; j < n->n_in; j++) {
        if (!oc__layout_fits(l, n->in[j]) ||
            def(l, n->in[j])->dims[1] % l->env->kernels->block)
            return OC_OK;
        some |= n->in[j] < l->n_plain && l->twin[n->in[j]] >= 0;
    }
    if (!some) return OC_OK;
    int *in = oc__arena_array(l->g->arena, (size_t)n->n_in, sizeof(int));
    oc__attr *attr = oc__arena_array(l->g->arena, 1, sizeof(*attr));
    if (!in || !attr) return no_memory(l);
    for (int j = 0; j < n->n_in; j++)
        OC_TRY(oc__layout_twin(l, n->in[j], &in[j]));
    OC_TRY(oc__layout_on_twins(l, n, in));
    oc__node *c = l->g->nodes[l->g->n_nodes - 1];
    c->attrs = attr;
    c->n_attrs = 1;
    oc__attr_set_int(c, 0, "axis", 1);
    *done = 1;
    return OC_OK;
}

/* Whether n splits the channels of a twin into parts that begin with blocks. */
static int splits_blocks(const oc__layout *l, const oc__node *n) {
    int64_t axis = oc__attr_int(n, "axis", 0);
    if (!oc__is_op(n, "Split") || (axis != 1 && axis != -3) ||
        !oc__layout_fits(l, n->in[0]) || l->twin[n->in[0]] < 0)
        return 0;
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] < 0 || !oc__layout_fits(l, n->out[j]) ||
            (j + 1 < n->n_out &&
             def(l, n->out[j])->dims[1] % l->env->kernels->block))
            return 0;
    return 1;
}

/* Split of channels: with the plan's help nothing moves. */
oc_status oc__layout_split(oc__layout *l, oc__node *n, int *done) {
    if (!splits_blocks(l, n)) return OC_OK;
    oc__node *s = oc__graph_add_node(l->g, n->op, n->name, 2, 1, n->n_out, 2);
    int64_t *sizes =
        oc__arena_array(l->g->arena, (size_t)n->n_out, sizeof(*sizes));
    if (!s || !sizes) return no_memory(l);
    s->in[0] = l->twin[n->in[0]];
    for (int j = 0; j < n->n_out; j++) {
        s->out[j] = oc__layout_add_twin(l, n->out[j]);
        if (s->out[j] < 0) return no_memory(l);
        sizes[j] = l->g->values[s->out[j]].dims[1];
        oc__layout_set(l, n->out[j], s->out[j], NULL);
    }
    oc__attr_set_int(s, 0, "axis", 1);
    oc__attr_set_ints(s, 1, "split", sizes, (size_t)n->n_out);
    *done = 1;
    return OC_OK;
}

/* Transpose NCHW -> NHWC of a value that is only there as a twin. */
oc_status oc__layout_transpose(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_op(n, "Transpose") || !oc__layout_is_perm(n, 0, 2, 3, 1) ||
        !oc__layout_fits(l, n->in[0]) || !l->lost[n->in[0]])
        return OC_OK;
    oc__node *u = oc__layout_emit(l, l->unblock, n->name, l->twin[n->in[0]],
                                  n->out[0], 2);
    if (!u) return no_memory(l);
    oc__attr_set_int(u, 0, "layout", 1);
    oc__attr_set_int(u, 1, "channels", def(l, n->in[0])->dims[1]);
    *done = 1;
    return OC_OK;
}
