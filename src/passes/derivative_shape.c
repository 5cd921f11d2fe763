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
