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
    return v >= 0 && d->g->values[v].rank >= 2;
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

/* ---- Einsum ---------------------------------------------------------------
 */

enum { TERM_MAX = 64, OPERANDS_MAX = 16 };

typedef struct equation {
    int n;
    char term[OPERANDS_MAX + 1][TERM_MAX]; /* the last one is the result's */
} equation;

/* How often letter ch stands in a term. */
static int times(const char *term, char ch) {
    int n = 0;
    for (; *term; term++)
        n += *term == ch;
    return n;
}

/* Without an arrow the result has what occurs once, in order. */
static void implied_result(const equation *e, char *out) {
    int dots = 0;
    size_t at = 0;
    for (int i = 0; i < e->n; i++)
        dots |= strchr(e->term[i], '.') != NULL;
    for (int i = 0; dots && i < 3; i++)
        out[at++] = '.';
    for (char ch = 'A'; ch <= 'z'; ch++) {
        int count = 0;
        for (int i = 0; i < e->n; i++)
            count += times(e->term[i], ch);
        if (count == 1 && at < TERM_MAX - 1) out[at++] = ch;
    }
    out[at] = 0;
}

/* 0 for what the rule below does not cover: too much of it, or a letter twice
 * in one term. */
static int read_equation(const oc__node *n, equation *e) {
    const char *p = oc__attr_string(n, "equation", "");
    int arrow = 0, i = 0;
    size_t at = 0;
    memset(e, 0, sizeof(*e));
    e->n = n->n_explicit;
    if (e->n > OPERANDS_MAX) return 0;
    for (; *p; p++) {
        if (*p == ' ' || (*p == '>' && arrow)) continue;
        if (*p == ',' || *p == '-') {
            arrow |= *p == '-';
            if (++i > e->n) return 0;
            at = 0;
            continue;
        }
        if (at == TERM_MAX - 1 || (*p != '.' && times(e->term[i], *p)))
            return 0;
        e->term[i][at++] = *p;
    }
    if (i != e->n - !arrow) return 0;
    if (!arrow) implied_result(e, e->term[e->n]);
    return 1;
}

/*
 * The derivative by operand j is the equation with this operand's term and
 * the result's exchanged.  A letter that stands in it alone was summed over:
 * it is taken from ones of the operand's shape, as further factor.
 */
static int einsum_back(oc__diff *d, const oc__node *n, const equation *e, int j,
                       int g) {
    int list[OPERANDS_MAX + 1], count = 0, lone = 0;
    char *text = oc__arena_alloc(d->g->arena, (OPERANDS_MAX + 3) * TERM_MAX);
    if (!text) {
        d->failed = 1;
        return -1;
    }
    strcpy(text, e->term[e->n]);
    list[count++] = g;
    for (const char *p = e->term[j]; *p; p++) {
        int found = 0;
        for (int i = 0; i <= e->n; i++)
            found |= i != j && times(e->term[i], *p);
        lone |= !found;
    }
    for (int i = 0; i < e->n; i++) {
        if (i == j && !lone) continue;
        strcat(text, ",");
        strcat(text, e->term[i]);
        list[count++] =
            i != j ? in(n, i)
                   : oc__diff_emit(d, "ocelli", "OnesLike", 1, 0, 1, &n->in[j]);
    }
    strcat(text, "->");
    strcat(text, e->term[j]);
    int y = oc__diff_emit(d, "", "Einsum", 12, 1, count, list);
    if (y < 0) return -1;
    oc__attr_set_string(d->last, 0, "equation", text);
    return y;
}

void oc__d_einsum(oc__diff *d, oc__node *n, int g) {
    equation e;
    if (!read_equation(n, &e)) {
        oc__diff_refuse(d, n, "a repeated letter");
        return;
    }
    for (int j = 0; j < e.n; j++)
        if (oc__diff_wants(d, n, j))
            oc__diff_give(d, n, j, einsum_back(d, n, &e, j, g));
}

/* ---- Attention ------------------------------------------------------------
 */

/* The probabilities, made once more by n's twin that shows them as output 3:
 * masks of all kinds are in them. */
static int probabilities(oc__diff *d, const oc__node *n) {
    oc__node *twin = oc__diff_node(d, "", "Attention", n->version,
                                   n->n_attrs + 1, n->n_explicit, n->in, 4);
    if (!twin) return -1;
    /* The first of two attributes of one name counts. */
    oc__attr_set_int(twin, 0, "qk_matmul_output_mode", 3);
    for (int i = 0; i < n->n_attrs; i++)
        twin->attrs[i + 1] = n->attrs[i];
    for (int k = 0; k < 3; k++)
        twin->out[k] = -1;
    return twin->out[3];
}

void oc__d_attention(oc__diff *d, oc__node *n, int g) {
    if (oc__attr_float(n, "softcap", 0) != 0 || in(n, 4) >= 0) {
        oc__diff_refuse(d, n, in(n, 4) >= 0 ? "a past" : "softcap");
        return;
    }
    int list[5] = {g, probabilities(d, n), in(n, 0), in(n, 1), in(n, 2)};
    oc__node *m =
        oc__diff_node(d, "ocelli", "AttentionGrad", n->version, 0, 5, list, 4);
    if (!m) return;
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    for (int j = 0; j < 4; j++)
        if (!oc__diff_wants(d, n, j))
            m->out[j] = -1;
        else if (j < 3)
            oc__diff_add(d, n, j, m->out[j]);
        else
            oc__diff_give(d, n, j, m->out[j]);
}
