/* derivative_reduce.c - rules of reductions, softmax and losses. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

/* v, of the shape of reduction n's result, repeated over what n reduced. */
static int spread(oc__diff *d, const oc__node *n, int v, int mean) {
    int list[3] = {v, in(n, 0), in(n, 1)};
    int y =
        oc__diff_emit(d, "ocelli", "Spread", 1, 3, in(n, 1) < 0 ? 2 : 3, list);
    const oc__attr *axes = oc__attr_find(n, "axes");
    if (y < 0) return -1;
    if (axes)
        d->last->attrs[0] = *axes;
    else
        oc__attr_set_int(d->last, 0, "keepdims", 1);
    oc__attr_set_int(d->last, 1, "mean", mean);
    oc__attr_set_int(d->last, 2, "noop_with_empty_axes",
                     oc__attr_int(n, "noop_with_empty_axes", 0));
    return y;
}

void oc__d_reduce(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, spread(d, n, g, oc__is_op(n, "ReduceMean")));
}

/* What Spread repeats is summed again, or averaged as it divided. */
void oc__d_spread(oc__diff *d, oc__node *n, int g) {
    int mean = oc__attr_int(n, "mean", 0) != 0, list[2] = {g, in(n, 2)};
    int by_input = list[1] >= 0;
    int y = oc__diff_emit(d, "", mean ? "ReduceMean" : "ReduceSum",
                          by_input ? 18 : 11, 3, by_input ? 2 : 1, list);
    const oc__attr *axes = oc__attr_find(n, "axes");
    if (y < 0 || !oc__diff_wants(d, n, 0)) return;
    oc__attr_set_int(d->last, 0, "keepdims", 1);
    oc__attr_set_int(d->last, 1, "noop_with_empty_axes",
                     oc__attr_int(n, "noop_with_empty_axes", 0));
    oc__attr_set_int(d->last, 2, "keepdims", 1);
    if (axes) d->last->attrs[2] = *axes;
    oc__diff_add(d, n, 0, oc__diff_reshape(d, y, in(n, 0)));
}

/* ---- softmax --------------------------------------------------------------
 */

/* The sum of v along a softmax's axis, kept as a dimension of 1. */
static int axis_sum(oc__diff *d, const oc__node *n, int v) {
    int64_t *axis = oc__arena_alloc(d->g->arena, sizeof(*axis));
    int sum = oc__diff_emit(d, "", "ReduceSum", 11, 2, 1, &v);
    if (!axis || sum < 0) {
        d->failed = 1;
        return -1;
    }
    *axis = oc__attr_int(n, "axis", -1);
    oc__attr_set_ints(d->last, 0, "axes", axis, 1);
    oc__attr_set_int(d->last, 1, "keepdims", 1);
    return sum;
}

/* y (g - sum(g y)) */
void oc__d_softmax(oc__diff *d, oc__node *n, int g) {
    int y = n->out[0], sum = axis_sum(d, n, oc__diff_mul(d, g, y));
    oc__diff_add(d, n, 0, oc__diff_mul(d, y, oc__diff_2(d, "Sub", g, sum)));
}

/* g - exp(y) sum(g) */
void oc__d_log_softmax(oc__diff *d, oc__node *n, int g) {
    int all = axis_sum(d, n, g);
    int share = oc__diff_mul(d, oc__diff_1(d, "Exp", n->out[0]), all);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", g, share));
}
