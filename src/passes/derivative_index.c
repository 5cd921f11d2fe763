/* derivative_index.c - rules of what takes and puts elements by index. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

void oc__d_gather(oc__diff *d, oc__node *n, int g) {
    int list[3] = {in(n, 0), in(n, 1), g};
    if (!oc__diff_wants(d, n, 0)) return;
    const char *op = oc__is_op(n, "GatherND") ? "GatherNDGrad" : "GatherGrad";
    oc__diff_add(d, n, 0, oc__diff_own(d, n, op, 3, list));
}

/* Whether n is ScatterND, whose indices are lists of coordinates. */
static int is_nd(const oc__node *n) {
    return oc__is_op(n, "ScatterND");
}

/* ScatterElements or ScatterND, with n's axis where there is one. */
static int scatter(oc__diff *d, const oc__node *n, int nd, int64_t axis,
                   const char *reduction, int data, int updates) {
    int list[3] = {data, in(n, 1), updates};
    int y = oc__diff_emit(d, "", nd ? "ScatterND" : "ScatterElements", 18,
                          nd ? 1 : 2, 3, list);
    if (y < 0) return -1;
    oc__attr_set_string(d->last, 0, "reduction", reduction);
    if (!nd) oc__attr_set_int(d->last, 1, "axis", axis);
    return y;
}

/* The elements of v that n's indices name. */
static int gather(oc__diff *d, const oc__node *n, int v) {
    int pair[2] = {v, in(n, 1)}, nd = is_nd(n);
    int y = oc__diff_emit(d, "", nd ? "GatherND" : "GatherElements", 13,
                          nd ? 0 : 1, 2, pair);
    if (y >= 0 && !nd)
        oc__attr_set_int(d->last, 0, "axis", oc__attr_int(n, "axis", 0));
    return y;
}

void oc__d_gather_elements(oc__diff *d, oc__node *n, int g) {
    if (!oc__diff_wants(d, n, 0)) return;
    int zeros = oc__diff_zeros(d, in(n, 0));
    oc__diff_add(d, n, 0,
                 scatter(d, n, 0, oc__attr_int(n, "axis", 0), "add", zeros, g));
}

/* The greatest or least of data and updates: all that equal the result share
 * its gradient. */
static void scatter_extreme(oc__diff *d, oc__node *n, int g) {
    int y = n->out[0], data = in(n, 0), updates = in(n, 2);
    int64_t axis = oc__attr_int(n, "axis", 0);
    int kept = oc__diff_2(d, "CastLike", oc__diff_2(d, "Equal", data, y), g);
    int hit = oc__diff_2(d, "Equal", updates, gather(d, n, y));
    hit = oc__diff_2(d, "CastLike", hit, g);
    int count = scatter(d, n, is_nd(n), axis, "add", kept, hit);
    int share = oc__diff_2(d, "Div", g, count);
    oc__diff_add(d, n, 0, oc__diff_mul(d, kept, share));
    oc__diff_add(d, n, 2, oc__diff_mul(d, hit, gather(d, n, share)));
}

/* Data times what goes to its place: g times the others.  By division, so
 * that an update of 0 has no derivative but NaN. */
static void scatter_product(oc__diff *d, oc__node *n, int g) {
    int64_t axis = oc__attr_int(n, "axis", 0);
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0,
                     scatter(d, n, is_nd(n), axis, "mul", g, in(n, 2)));
    if (!oc__diff_wants(d, n, 2)) return;
    int product = gather(d, n, oc__diff_mul(d, g, n->out[0]));
    oc__diff_add(d, n, 2, oc__diff_2(d, "Div", product, in(n, 2)));
}

/* Of several updates of one place, without a reduction, all get its gradient:
 * which one stays is not defined. */
void oc__d_scatter(oc__diff *d, oc__node *n, int g) {
    const char *how = oc__attr_string(n, "reduction", "none");
    if (!strcmp(how, "max") || !strcmp(how, "min")) {
        scatter_extreme(d, n, g);
        return;
    }
    if (!strcmp(how, "mul")) {
        scatter_product(d, n, g);
        return;
    }
    if (oc__diff_wants(d, n, 2)) oc__diff_add(d, n, 2, gather(d, n, g));
    if (!oc__diff_wants(d, n, 0)) return;
    if (!strcmp(how, "none"))
        g = scatter(d, n, is_nd(n), oc__attr_int(n, "axis", 0), "none", g,
                    oc__diff_zeros(d, in(n, 2)));
    oc__diff_add(d, n, 0, g);
}

/* The values go back to where the indices say they were; indices that nobody
 * wanted are asked for. */
void oc__d_top_k(oc__diff *d, oc__node *n, int g) {
    int list[3] = {oc__diff_zeros(d, in(n, 0)), oc__diff_output(d, n, 1), g};
    int y = oc__diff_emit(d, "", "ScatterElements", 18, 2, 3, list);
    if (y < 0) return;
    oc__attr_set_string(d->last, 0, "reduction", "add");
    oc__attr_set_int(d->last, 1, "axis", oc__attr_int(n, "axis", -1));
    oc__diff_add(d, n, 0, y);
}
