/* derivative_norm.c - rules of what normalises; the kernels are in
 * ops/grad_batch.c and ops/grad_norm.c. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

static int sub(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Sub", a, b);
}

/* As norm_batch.c decides it, which sees the same outputs. */
static int is_training(const oc__node *n) {
    if (n->version >= 14) return oc__attr_int(n, "training_mode", 0) != 0;
    if (n->version < 7 && oc__attr_int(n, "is_test", 0) != 0) return 0;
    for (int k = 1; k < n->n_out; k++)
        if (n->out[k] >= 0) return 1;
    return 0;
}

/* Running statistics, the other outputs, are nobody's way to a loss. */
void oc__d_batch_norm(oc__diff *d, oc__node *n, int g) {
    int list[5] = {g, in(n, 0), in(n, 1), in(n, 3), in(n, 4)};
    oc__node *m =
        oc__diff_node(d, "ocelli", "BatchNormGrad", n->version, 3, 5, list, 5);
    if (!m) return;
    oc__attr_set_int(m, 0, "training_mode", is_training(n));
    oc__attr_set_float(m, 1, "epsilon", oc__attr_float(n, "epsilon", 1e-5f));
    oc__attr_set_int(m, 2, "spatial",
                     n->version >= 9 || oc__attr_int(n, "spatial", 1));
    for (int j = 0; j < 5; j++)
        if (oc__diff_wants(d, n, j))
            oc__diff_add(d, n, j, m->out[j]);
        else
            m->out[j] = -1;
}

/* dx and, where the scale wants it, xn of an operator of ours. */
static oc__node *norm_back(oc__diff *d, const oc__node *n, const char *op,
                           int n_in, const int *list) {
    if (list[0] < 0) return NULL;
    oc__node *m = oc__diff_node(d, "ocelli", op, n->version, 0, n_in, list, 2);
    if (!m) return NULL;
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    if (!oc__diff_wants(d, n, 0)) m->out[0] = -1;
    if (!oc__diff_wants(d, n, 1)) m->out[1] = -1;
    if (m->out[0] >= 0) oc__diff_add(d, n, 0, m->out[0]);
    return m;
}

/* y = xn scale + bias, rows from an axis on; scale and bias may repeat. */
static void layer(oc__diff *d, oc__node *n, const char *op, int g) {
    int list[2] = {oc__diff_mul(d, g, in(n, 1)), in(n, 0)};
    oc__diff_give(d, n, 2, g);
    if (!oc__diff_wants(d, n, 0) && !oc__diff_wants(d, n, 1)) return;
    oc__node *m = norm_back(d, n, op, 2, list);
    if (m && m->out[1] >= 0)
        oc__diff_give(d, n, 1, oc__diff_mul(d, g, m->out[1]));
}

void oc__d_layer_norm(oc__diff *d, oc__node *n, int g) {
    layer(d, n, "LayerNormGrad", g);
}

void oc__d_rms_norm(oc__diff *d, oc__node *n, int g) {
    layer(d, n, "RMSNormGrad", g);
}

/* Scale and bias are one a channel or, before version 21 of
 * GroupNormalization, one a group. */
static int sum_to_parameters(oc__diff *d, const oc__node *n, int v) {
    int groups = oc__is_op(n, "GroupNormalization") && n->version < 21;
    int y = oc__diff_emit(d, "ocelli", "SumToChannels", 1, groups, 1, &v);
    if (y >= 0 && groups)
        oc__attr_set_int(d->last, 0, "num_groups",
                         oc__attr_int(n, "num_groups", 1));
    return y;
}

void oc__d_group_norm(oc__diff *d, oc__node *n, int g) {
    int list[3] = {g, in(n, 0), in(n, 1)};
    if (oc__diff_wants(d, n, 2))
        oc__diff_add(d, n, 2, sum_to_parameters(d, n, g));
    if (!oc__diff_wants(d, n, 0) && !oc__diff_wants(d, n, 1)) return;
    oc__node *m =
        norm_back(d, n,
                  oc__is_op(n, "GroupNormalization") ? "GroupNormGrad"
                                                     : "InstanceNormGrad",
                  3, list);
    if (m && m->out[1] >= 0)
        oc__diff_add(d, n, 1,
                     sum_to_parameters(d, n, oc__diff_mul(d, g, m->out[1])));
}

void oc__d_lrn(oc__diff *d, oc__node *n, int g) {
    int list[2] = {g, in(n, 0)};
    oc__diff_add(d, n, 0, oc__diff_own(d, n, "LRNGrad", 2, list));
}

/* A reduction of v over axes, which stay as dimensions of 1. */
static int over(oc__diff *d, const char *op, int v, const int64_t *axes,
                size_t count) {
    int y = oc__diff_emit(d, "", op, 11, 2, 1, &v);
    if (y < 0) return -1;
    oc__attr_set_ints(d->last, 0, "axes", axes, count);
    oc__attr_set_int(d->last, 1, "keepdims", 1);
    return y;
}

/* y = x / norm: (g - d norm sum(g y)) / norm, where d norm is y for p = 2 and
 * the sign of x for p = 1. */
void oc__d_lp_norm(oc__diff *d, oc__node *n, int g) {
    int p = (int)oc__attr_int(n, "p", 2), y = n->out[0], x = in(n, 0);
    int64_t *axis = oc__arena_alloc(d->g->arena, sizeof(*axis));
    if (!axis) {
        d->failed = 1;
        return;
    }
    *axis = oc__attr_int(n, "axis", -1);
    int norm = over(d, p == 1 ? "ReduceL1" : "ReduceL2", x, axis, 1);
    int dot = over(d, "ReduceSum", oc__diff_mul(d, g, y), axis, 1);
    int turn = oc__diff_mul(d, p == 1 ? oc__diff_1(d, "Sign", x) : y, dot);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Div", sub(d, g, turn), norm));
}

/* (g - mean(g) - y mean(g y)) / deviation */
void oc__d_mean_variance(oc__diff *d, oc__node *n, int g) {
    static const int64_t usual[] = {0, 2, 3};
    size_t count;
    int x = in(n, 0), y = n->out[0];
    const int64_t *axes = oc__attr_ints(n, "axes", &count);
    if (!axes) axes = usual, count = 3;
    int centred = sub(d, x, over(d, "ReduceMean", x, axes, count));
    int var =
        over(d, "ReduceMean", oc__diff_mul(d, centred, centred), axes, count);
    int mean = over(d, "ReduceMean", g, axes, count);
    int dot = over(d, "ReduceMean", oc__diff_mul(d, g, y), axes, count);
    int rest = sub(d, sub(d, g, mean), oc__diff_mul(d, y, dot));
    oc__diff_add(d, n, 0,
                 oc__diff_2(d, "Div", rest, oc__diff_1(d, "Sqrt", var)));
}
