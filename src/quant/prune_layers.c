/* prune_layers.c - units at operators with weights; see units.h. */
#include "quant/units.h"

/* A bias that there is must be a constant. */
static int has_odd_bias(const oc__prune *p, const oc__node *n, int j) {
    return j < n->n_explicit && n->in[j] >= 0 && !oc__prune_weight(p, n, j);
}

/* Members of groups at the same place go together: what is left are groups
 * again, of one size. */
static void tie_groups(oc__prune *p, oc__channels c, int64_t groups) {
    int64_t per = c.n / groups;
    for (int64_t i = per; i < c.n; i++)
        oc__prune_unite(p, c.unit[i], c.unit[i % per]);
}

/* Each input channel makes channels of its own. */
static void depthwise(oc__prune *p, int at, oc__channels x, int64_t out) {
    oc__node *n = p->g->nodes[at];
    if (!x.n) return;
    oc__channels y = oc__prune_room(p, 1, out);
    for (int64_t i = 0; i < y.n; i++)
        y.unit[i] = x.unit[i / (out / x.n)];
    oc__prune_add_slice(p, at, 1, 0, y, OC_PRUNE_FILTER);
    if (oc__prune_weight(p, n, 2))
        oc__prune_add_slice(p, at, 2, 0, y, OC_PRUNE_BIAS);
    oc__prune_add_patch(p, OC_PRUNE_GROUP, at, 0, 0, x);
    oc__prune_put(p, n->out[0], y);
}

/* Conv: the weight is (out, in / groups, ...); ConvTranspose: (in, out /
 * groups, ...). */
static void conv(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    int turned = oc__is_op(n, "ConvTranspose");
    const oc_tensor *w = oc__prune_weight(p, n, 1);
    oc__channels x = oc__prune_in(p, n, 0);
    int64_t groups = oc__attr_int(n, "group", 1);
    if (!w || w->rank < 3 || has_odd_bias(p, n, 2) || groups < 1) {
        oc__prune_block(p, at, "has no constant weights");
        return;
    }
    int64_t in = w->dims[!turned] * (turned ? 1 : groups);
    int64_t out = w->dims[turned] * (turned ? groups : 1);
    if ((x.n && (x.axis != 1 || x.n != in)) || in % groups || out % groups) {
        oc__prune_block(p, at, NULL);
        return;
    }
    if (groups > 1 && groups == in && (!turned || out == in)) {
        depthwise(p, at, x, out);
        return;
    }
    if (turned && groups > 1) {
        oc__prune_block(p, at, "has groups");
        return;
    }
    oc__channels y = oc__prune_fresh(p, at, 1, out);
    if (!y.n) return;
    if (groups > 1) {
        if (x.n) tie_groups(p, x, groups);
        tie_groups(p, y, groups);
        x.n = OC_MIN(x.n, in / groups);
    }
    oc__prune_add_slice(p, at, 1, turned, y, OC_PRUNE_FILTER);
    oc__prune_add_slice(p, at, 1, !turned, x, OC_PRUNE_READS);
    if (oc__prune_weight(p, n, 2))
        oc__prune_add_slice(p, at, 2, 0, y, OC_PRUNE_BIAS);
    oc__prune_put(p, n->out[0], y);
}

static void gemm(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    const oc_tensor *w = oc__prune_weight(p, n, 1);
    const oc_tensor *b = oc__prune_weight(p, n, 2);
    oc__channels x = oc__prune_in(p, n, 0);
    int out_axis = oc__attr_int(n, "transB", 0) ? 0 : 1;
    if (!w || w->rank != 2 || has_odd_bias(p, n, 2) ||
        oc__attr_int(n, "transA", 0)) {
        oc__prune_block(p, at, "has no constant weights");
        return;
    }
    if (x.n && (x.axis != 1 || x.n != w->dims[1 - out_axis])) {
        oc__prune_block(p, at, NULL);
        return;
    }
    oc__channels y = oc__prune_fresh(p, at, 1, w->dims[out_axis]);
    oc__prune_add_slice(p, at, 1, out_axis, y, OC_PRUNE_FILTER);
    oc__prune_add_slice(p, at, 1, 1 - out_axis, x, OC_PRUNE_READS);
    if (b && b->rank > 0 && b->dims[b->rank - 1] == y.n)
        oc__prune_add_slice(p, at, 2, b->rank - 1, y, OC_PRUNE_BIAS);
    oc__prune_put(p, n->out[0], y);
}

/* By a constant matrix on the right. */
static void matmul(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    const oc_tensor *w = oc__prune_weight(p, n, 1);
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    int rank = oc__prune_dims(p, n->in[0], &dims);
    if (!w || w->rank != 2 || rank < 2) {
        oc__prune_block(p, at, w ? NULL : "has no constant weights");
        return;
    }
    if (x.n && (x.axis != rank - 1 || x.n != w->dims[0])) {
        oc__prune_block(p, at, NULL);
        return;
    }
    oc__channels y = oc__prune_fresh(p, at, rank - 1, w->dims[1]);
    oc__prune_add_slice(p, at, 1, 1, y, OC_PRUNE_FILTER);
    oc__prune_add_slice(p, at, 1, 0, x, OC_PRUNE_READS);
    oc__prune_put(p, n->out[0], y);
}

/* Batch and instance norms: parameters by channel. */
static void norm(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    int count = oc__is_op(n, "BatchNormalization") ? 4 : 2, odd = 0;
    for (int j = 1; j <= count; j++) {
        const oc_tensor *t = oc__prune_weight(p, n, j);
        odd |= !t || t->rank != 1 || (x.n && t->dims[0] != x.n);
    }
    for (int k = 1; k < n->n_out; k++)
        odd |= n->out[k] >= 0; /* it is training */
    if (odd || (x.n && x.axis != 1)) {
        oc__prune_block(p, at, NULL);
        return;
    }
    for (int j = 1; j <= count; j++)
        oc__prune_add_slice(p, at, j, 0, x,
                            j == 1   ? OC_PRUNE_SCALE
                            : j == 2 ? OC_PRUNE_SHIFT
                                     : OC_PRUNE_OTHER);
    oc__prune_put(p, n->out[0], x);
}

oc__prune_rule *oc__prune_layer_rule(const oc__node *n) {
    static const struct {
        const char *op;
        oc__prune_rule *rule;
    } rules[] = {{"Conv", conv},
                 {"ConvTranspose", conv},
                 {"Gemm", gemm},
                 {"MatMul", matmul},
                 {"BatchNormalization", norm},
                 {"InstanceNormalization", norm}};
    for (size_t i = 0; i < OC_COUNT(rules); i++)
        if (oc__is_op(n, rules[i].op)) return rules[i].rule;
    return NULL;
}
