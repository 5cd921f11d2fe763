/* derivative_product.c - rules of matrix products. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

static int matmul(oc__diff *d, int a, int b, int trans_a, int trans_b) {
    int pair[2] = {a, b};
    int y = oc__diff_emit(d, "com.microsoft", "FusedMatMul", 1, 2, 2, pair);
    if (y < 0) return -1;
    oc__attr_set_int(d->last, 0, "transA", trans_a);
    oc__attr_set_int(d->last, 1, "transB", trans_b);
    return y;
}

/* Whether v is known to be no vector. */
static int is_matrix(const oc__diff *d, int v) {
    return d->g->values[v].rank >= 2;
}

/* MatMul takes vectors, too: they, and what is made of them, are seen as
 * matrices.  These are views, and what is a matrix stays as it is. */
void oc__d_matmul(oc__diff *d, oc__node *n, int g) {
    int a = in(n, 0), b = in(n, 1);
    if (is_matrix(d, a) && is_matrix(d, b)) {
        oc__d_product(d, n, g);
        return;
    }
    int list[3] = {g, a, b};
    g = oc__diff_emit(d, "ocelli", "AsProduct", 1, 0, 3, list);
    int row = oc__diff_emit(d, "ocelli", "AsRow", 1, 0, 1, &a);
    int column = oc__diff_emit(d, "ocelli", "AsColumn", 1, 0, 1, &b);
    if (oc__diff_wants(d, n, 0))
        oc__diff_give(d, n, 0, matmul(d, g, column, 0, 1));
    if (!oc__diff_wants(d, n, 1)) return;
    int sum = oc__diff_sum_to(d, matmul(d, row, g, 1, 0), column);
    oc__diff_add(d, n, 1, oc__diff_reshape(d, sum, b));
}

/* y = alpha A B + beta C, where A is a or its transpose, and so B.  MatMul
 * and FusedMatMul have no C, but may have stacks of matrices. */
void oc__d_product(oc__diff *d, oc__node *n, int g) {
    int a = in(n, 0), b = in(n, 1);
    int ta = oc__attr_int(n, "transA", 0) != 0;
    int tb = oc__attr_int(n, "transB", 0) != 0;
    float alpha = oc__attr_float(n, "alpha", 1);
    float beta = oc__attr_float(n, "beta", 1);
    int scaled = g;
    if (alpha != 1) scaled = oc__diff_mul(d, g, oc__diff_number(d, alpha, g));
    if (oc__diff_wants(d, n, 0))
        oc__diff_give(d, n, 0,
                      ta ? matmul(d, b, scaled, tb, 1)
                         : matmul(d, scaled, b, 0, !tb));
    if (oc__diff_wants(d, n, 1))
        oc__diff_give(d, n, 1,
                      tb ? matmul(d, scaled, a, 1, ta)
                         : matmul(d, a, scaled, !ta, 0));
    if (!oc__diff_wants(d, n, 2)) return;
    if (beta != 1) g = oc__diff_mul(d, g, oc__diff_number(d, beta, g));
    oc__diff_give(d, n, 2, g);
}
