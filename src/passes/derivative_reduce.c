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

/* v, of the shape of what n reduces, summed as n does. */
static int sum_as(oc__diff *d, const oc__node *n, const char *op, int v) {
    int list[2] = {v, in(n, 1)}, by_input = list[1] >= 0;
    const oc__attr *axes = oc__attr_find(n, "axes");
    int y =
        oc__diff_emit(d, "", op, by_input ? 18 : 11, 3, by_input ? 2 : 1, list);
    if (y < 0) return -1;
    oc__attr_set_int(d->last, 0, "keepdims", oc__attr_int(n, "keepdims", 1));
    oc__attr_set_int(d->last, 1, "noop_with_empty_axes",
                     oc__attr_int(n, "noop_with_empty_axes", 0));
    if (axes)
        d->last->attrs[2] = *axes;
    else
        d->last->n_attrs = 2;
    return y;
}

static int div_by(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Div", a, b);
}

static int is_zero(oc__diff *d, int v) {
    return oc__diff_2(d, "Equal", v, oc__diff_number(d, 0, v));
}

void oc__d_reduce(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, spread(d, n, g, oc__is_op(n, "ReduceMean")));
}

void oc__d_reduce_l1(oc__diff *d, oc__node *n, int g) {
    int sign = oc__diff_1(d, "Sign", in(n, 0));
    oc__diff_add(d, n, 0, oc__diff_mul(d, sign, spread(d, n, g, 0)));
}

/* g x / y; 0 where y is. */
void oc__d_reduce_l2(oc__diff *d, oc__node *n, int g) {
    int some = oc__diff_1(d, "Not", is_zero(d, n->out[0]));
    int share = oc__diff_where(d, some, div_by(d, g, n->out[0]));
    oc__diff_add(d, n, 0, oc__diff_mul(d, in(n, 0), spread(d, n, share, 0)));
}

/* 2 g x */
void oc__d_reduce_square(oc__diff *d, oc__node *n, int g) {
    int twice = oc__diff_2(d, "Add", g, g);
    oc__diff_add(d, n, 0, oc__diff_mul(d, in(n, 0), spread(d, n, twice, 0)));
}

/* g / exp(y) */
void oc__d_reduce_log(oc__diff *d, oc__node *n, int g) {
    int sum = oc__diff_1(d, "Exp", n->out[0]);
    oc__diff_add(d, n, 0, spread(d, n, div_by(d, g, sum), 0));
}

/* g exp(x - y) */
void oc__d_reduce_log_exp(oc__diff *d, oc__node *n, int g) {
    int less = oc__diff_2(d, "Sub", in(n, 0), spread(d, n, n->out[0], 0));
    int share = oc__diff_1(d, "Exp", less);
    oc__diff_add(d, n, 0, oc__diff_mul(d, share, spread(d, n, g, 0)));
}

/* ReduceMax, ReduceMin: all elements that are it share g. */
void oc__d_reduce_extreme(oc__diff *d, oc__node *n, int g) {
    int same = oc__diff_2(d, "Equal", in(n, 0), spread(d, n, n->out[0], 0));
    int one = oc__diff_2(d, "CastLike", same, g);
    int share = div_by(d, g, sum_as(d, n, "ReduceSum", one));
    oc__diff_add(d, n, 0, oc__diff_mul(d, one, spread(d, n, share, 0)));
}

/*
 * The product of the others: of all that are not 0, divided by x when none
 * is, and for a single 0 as it is.
 */
void oc__d_reduce_product(oc__diff *d, oc__node *n, int g) {
    int x = in(n, 0), zero = is_zero(d, x);
    int list[3] = {zero, oc__diff_number(d, 1, x), x};
    int nonzero = oc__diff_emit(d, "", "Where", 16, 0, 3, list);
    int count = oc__diff_2(d, "CastLike", zero, g);
    count = sum_as(d, n, "ReduceSum", count);
    int gp = oc__diff_mul(d, g, sum_as(d, n, "ReduceProd", nonzero));
    int none = oc__diff_where(d, is_zero(d, count), gp);
    int single = oc__diff_2(d, "Equal", count, oc__diff_number(d, 1, g));
    single = oc__diff_where(d, single, gp);
    int pick[3] = {zero, spread(d, n, single, 0),
                   div_by(d, spread(d, n, none, 0), nonzero)};
    oc__diff_add(d, n, 0, oc__diff_emit(d, "", "Where", 16, 0, 3, pick));
}

/* The totals of g from the other end. */
void oc__d_cum_sum(oc__diff *d, oc__node *n, int g) {
    int pair[2] = {g, in(n, 1)};
    int y = oc__diff_emit(d, "", "CumSum", 14, 2, 2, pair);
    if (y < 0) return;
    oc__attr_set_int(d->last, 0, "exclusive", oc__attr_int(n, "exclusive", 0));
    oc__attr_set_int(d->last, 1, "reverse", !oc__attr_int(n, "reverse", 0));
    oc__diff_add(d, n, 0, y);
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

/* The sum of v along an axis, kept as a dimension of 1. */
static int axis_sum(oc__diff *d, int64_t at, int v) {
    int64_t *axis = oc__arena_alloc(d->g->arena, sizeof(*axis));
    int sum = oc__diff_emit(d, "", "ReduceSum", 11, 2, 1, &v);
    if (!axis || sum < 0) {
        d->failed = 1;
        return -1;
    }
    *axis = at;
    oc__attr_set_ints(d->last, 0, "axes", axis, 1);
    oc__attr_set_int(d->last, 1, "keepdims", 1);
    return sum;
}

/* Before opset 13 all dimensions from the axis on were one. */
static int seen_flat(oc__diff *d, const oc__node *n, int v) {
    if (n->version >= 13) return v;
    int y = oc__diff_emit(d, "", "Flatten", 13, 1, 1, &v);
    if (y >= 0)
        oc__attr_set_int(d->last, 0, "axis", oc__attr_int(n, "axis", 1));
    return y;
}

static int64_t softmax_axis(const oc__node *n) {
    return n->version >= 13 ? oc__attr_int(n, "axis", -1) : 1;
}

static void give_flat(oc__diff *d, const oc__node *n, int grad) {
    if (n->version < 13) grad = oc__diff_reshape(d, grad, in(n, 0));
    oc__diff_add(d, n, 0, grad);
}

/* y (g - sum(g y)) */
void oc__d_softmax(oc__diff *d, oc__node *n, int g) {
    int y = seen_flat(d, n, n->out[0]);
    g = seen_flat(d, n, g);
    int sum = axis_sum(d, softmax_axis(n), oc__diff_mul(d, g, y));
    give_flat(d, n, oc__diff_mul(d, y, oc__diff_2(d, "Sub", g, sum)));
}

/* g - exp(y) sum(g) */
static int log_softmax_back(oc__diff *d, int g, int y, int64_t axis) {
    int all = axis_sum(d, axis, g);
    int share = oc__diff_mul(d, oc__diff_1(d, "Exp", y), all);
    return oc__diff_2(d, "Sub", g, share);
}

void oc__d_log_softmax(oc__diff *d, oc__node *n, int g) {
    int y = seen_flat(d, n, n->out[0]);
    give_flat(d, n,
              log_softmax_back(d, seen_flat(d, n, g), y, softmax_axis(n)));
}

/* ---- losses ---------------------------------------------------------------
 */

/* Output 1 of the cross entropy, if it is there, is log(softmax(scores)). */
void oc__d_loss(oc__diff *d, oc__node *n, int g) {
    int cross = oc__is_op(n, "SoftmaxCrossEntropyLoss");
    int list[4] = {in(n, 0), in(n, 1), in(n, 2), g};
    int log_prob = oc__diff_of(d, n, 1);
    if (oc__diff_wants(d, n, 2)) {
        oc__diff_refuse(d, n, "the weights");
        return;
    }
    if (g >= 0)
        oc__diff_add(d, n, 0,
                     oc__diff_own(d, n,
                                  cross ? "SoftmaxCrossEntropyLossGrad"
                                        : "NegativeLogLikelihoodLossGrad",
                                  4, list));
    if (log_prob >= 0)
        oc__diff_add(d, n, 0, log_softmax_back(d, log_prob, n->out[1], 1));
}
