/* derivative_shape.c - rules of what gives elements other places. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

void oc__d_reshape(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_reshape(d, g, in(n, 0)));
}

void oc__d_expand(oc__diff *d, oc__node *n, int g) {
    oc__diff_give(d, n, 0, g);
}

/* SumTo is broadcasting backwards. */
void oc__d_sum_to(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_expand(d, g, in(n, 0)));
}

void oc__d_transpose(oc__diff *d, oc__node *n, int g) {
    size_t rank;
    const int64_t *perm = oc__attr_ints(n, "perm", &rank);
    int y = oc__diff_emit(d, "", "Transpose", 13, perm ? 1 : 0, 1, &g);
    if (perm && y >= 0) {
        int64_t *back = oc__arena_array(d->g->arena, rank, sizeof(*back));
        if (!back) {
            d->failed = 1;
            return;
        }
        for (size_t i = 0; i < rank; i++)
            if (perm[i] >= 0 && perm[i] < (int64_t)rank)
                back[perm[i]] = (int64_t)i;
        oc__attr_set_ints(d->last, 0, "perm", back, rank);
    }
    oc__diff_add(d, n, 0, y);
}

/* ---- parts ----------------------------------------------------------------
 */

void oc__d_concat(oc__diff *d, oc__node *n, int g) {
    int *list =
        oc__arena_array(d->g->arena, (size_t)n->n_explicit + 1, sizeof(*list));
    if (!list) {
        d->failed = 1;
        return;
    }
    list[0] = g;
    for (int j = 0; j < n->n_explicit; j++)
        list[j + 1] = n->in[j];
    oc__node *m = oc__diff_node(d, "ocelli", "ConcatGrad", n->version, 0,
                                n->n_explicit + 1, list, n->n_explicit);
    if (!m) return;
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    for (int j = 0; j < n->n_explicit; j++)
        if (oc__diff_wants(d, n, j))
            oc__diff_add(d, n, j, m->out[j]);
        else
            m->out[j] = -1;
}

/* The parts joined again; zeros for one that nobody used. */
void oc__d_split(oc__diff *d, oc__node *n, int g) {
    int *list = oc__arena_array(d->g->arena, (size_t)n->n_out, sizeof(*list));
    (void)g;
    for (int k = 0; list && k < n->n_out; k++) {
        list[k] = oc__diff_of(d, n, k);
        if (list[k] >= 0) continue;
        list[k] = oc__diff_zeros(d, oc__diff_output(d, n, k));
    }
    if (!list) {
        d->failed = 1;
        return;
    }
    int y = oc__diff_emit(d, "", "Concat", 13, 1, n->n_out, list);
    if (y < 0) return;
    oc__attr_set_int(d->last, 0, "axis", oc__attr_int(n, "axis", 0));
    oc__diff_add(d, n, 0, y);
}

/* <Name>Grad(x, the other inputs, g): see ops/grad_axes.c. */
static int axes_back(oc__diff *d, const oc__node *n, const char *op, int n_in,
                     int g) {
    int list[6];
    for (int j = 0; j < n_in - 1; j++)
        list[j] = in(n, j);
    list[n_in - 1] = g;
    return g < 0 ? -1 : oc__diff_own(d, n, op, n_in, list);
}

void oc__d_resize(oc__diff *d, oc__node *n, int g) {
    if (!oc__diff_wants(d, n, 0)) return;
    const char *op = oc__is_op(n, "Upsample") ? "UpsampleGrad" : "ResizeGrad";
    oc__diff_add(d, n, 0, axes_back(d, n, op, 5, g));
}

void oc__d_slice(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, axes_back(d, n, "SliceGrad", 6, g));
}

/* What does not go to x goes to the constant that fills. */
void oc__d_pad(oc__diff *d, oc__node *n, int g) {
    const char *mode = oc__attr_string(n, "mode", "constant");
    int constant = !strcmp(mode, "constant");
    if (!oc__diff_wants(d, n, 0) && !oc__diff_wants(d, n, 2)) return;
    int back = axes_back(d, n, "PadGrad", 5, g);
    if (oc__diff_wants(d, n, 0)) oc__diff_add(d, n, 0, back);
    if (!oc__diff_wants(d, n, 2) || !constant) return;
    int all = oc__diff_emit(d, "", "ReduceSum", 13, 1, 1, &g);
    if (all >= 0) oc__attr_set_int(d->last, 0, "keepdims", 0);
    int inside = oc__diff_emit(d, "", "ReduceSum", 13, 1, 1, &back);
    if (inside >= 0) oc__attr_set_int(d->last, 0, "keepdims", 0);
    int rest = oc__diff_2(d, "Sub", all, inside);
    oc__diff_add(d, n, 2, oc__diff_reshape(d, rest, in(n, 2)));
}

void oc__d_center_crop_pad(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, axes_back(d, n, "CenterCropPadGrad", 3, g));
}

void oc__d_tile(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, axes_back(d, n, "TileGrad", 2, g));
}

/* ---- the same elements in another order -----------------------------------
 */

/* op(g) with n's other inputs and its attributes. */
static void same_again(oc__diff *d, oc__node *n, const char *op, int g) {
    int list[2] = {g, in(n, 1)};
    int y = oc__diff_emit(d, "", op, n->version, 0, list[1] < 0 ? 1 : 2, list);
    if (y < 0) return;
    d->last->attrs = n->attrs;
    d->last->n_attrs = n->n_attrs;
    oc__diff_add(d, n, 0, y);
}

void oc__d_depth_to_space(oc__diff *d, oc__node *n, int g) {
    same_again(d, n, "SpaceToDepth", g);
}

void oc__d_space_to_depth(oc__diff *d, oc__node *n, int g) {
    same_again(d, n, "DepthToSpace", g);
}

/* Masking and turning around are their own derivatives. */
void oc__d_again(oc__diff *d, oc__node *n, int g) {
    same_again(d, n, n->op->name, g);
}
