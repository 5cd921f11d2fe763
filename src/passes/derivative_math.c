/*
 * derivative_math.c - rules of arithmetic and of functions of one number.
 *
 * In each rule g is the adjoint of the output, a and b are inputs, y is the
 * output; what is returned in words is what goes to each input.
 */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

static int mul(oc__diff *d, int a, int b) {
    return oc__diff_mul(d, a, b);
}

static int sub(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Sub", a, b);
}

static int div_by(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Div", a, b);
}

/* x^2 + c, or c - x^2 with sign below 0. */
static int square_plus(oc__diff *d, int x, int sign, float c) {
    int square = mul(d, x, x), number = oc__diff_number(d, c, x);
    return sign < 0 ? sub(d, number, square)
                    : oc__diff_2(d, "Add", square, number);
}

/* ---- moving and choosing --------------------------------------------------
 */

void oc__d_nothing(oc__diff *d, oc__node *n, int g) {
    (void)d, (void)n, (void)g;
}

void oc__d_identity(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, g);
}

/* What was cut to an integer has no derivative. */
void oc__d_cast(oc__diff *d, oc__node *n, int g) {
    const oc__attr *to = oc__attr_find(n, "to");
    if (to && !oc__dtype_is_float((oc_dtype)to->i)) return;
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_2(d, "CastLike", g, in(n, 0)));
}

/* Where(c, a, b): g where it was taken, else zero. */
void oc__d_where(oc__diff *d, oc__node *n, int g) {
    int zero = oc__diff_number(d, 0, g);
    for (int j = 1; j < 3; j++) {
        int list[3] = {in(n, 0), j == 1 ? g : zero, j == 1 ? zero : g};
        if (oc__diff_wants(d, n, j))
            oc__diff_give(d, n, j,
                          oc__diff_emit(d, "", "Where", 16, 0, 3, list));
    }
}

/* ---- arithmetic -----------------------------------------------------------
 */

void oc__d_add(oc__diff *d, oc__node *n, int g) {
    for (int j = 0; j < n->n_explicit; j++) /* Sum has any number */
        oc__diff_give(d, n, j, g);
}

void oc__d_mean(oc__diff *d, oc__node *n, int g) {
    int count = oc__diff_number(d, (float)n->n_explicit, g);
    oc__d_add(d, n, div_by(d, g, count));
}

void oc__d_sub(oc__diff *d, oc__node *n, int g) {
    oc__diff_give(d, n, 0, g);
    if (oc__diff_wants(d, n, 1)) oc__diff_give(d, n, 1, oc__diff_neg(d, g));
}

void oc__d_mul(oc__diff *d, oc__node *n, int g) {
    for (int j = 0; j < 2; j++)
        if (oc__diff_wants(d, n, j))
            oc__diff_give(d, n, j, mul(d, g, in(n, 1 - j)));
}

/* g / b and -g y / b */
void oc__d_div(oc__diff *d, oc__node *n, int g) {
    int over = div_by(d, g, in(n, 1));
    oc__diff_give(d, n, 0, over);
    if (oc__diff_wants(d, n, 1))
        oc__diff_give(d, n, 1, oc__diff_neg(d, mul(d, over, n->out[0])));
}

/* y = a - b k with k a whole number, which is (a - y) / b: g and -g k. */
void oc__d_mod(oc__diff *d, oc__node *n, int g) {
    oc__diff_give(d, n, 0, g);
    if (!oc__diff_wants(d, n, 1)) return;
    int k = div_by(d, sub(d, in(n, 0), n->out[0]), in(n, 1));
    int whole = oc__diff_1(d, "Round", k);
    oc__diff_give(d, n, 1, oc__diff_neg(d, mul(d, g, whole)));
}

/* g b a^(b-1) and g y log a; the latter is 0 where y is, as for a = 0. */
void oc__d_pow(oc__diff *d, oc__node *n, int g) {
    int a = in(n, 0), b = in(n, 1);
    if (oc__diff_wants(d, n, 0)) {
        int less = sub(d, b, oc__diff_number(d, 1, b));
        int slope = mul(d, oc__diff_2(d, "Pow", a, less),
                        oc__diff_2(d, "CastLike", b, a));
        oc__diff_give(d, n, 0, mul(d, g, slope));
    }
    if (oc__diff_wants(d, n, 1)) {
        int gy = mul(d, g, n->out[0]);
        int slope = mul(d, gy, oc__diff_1(d, "Log", a));
        int zero = oc__diff_number(d, 0, a);
        int list[3] = {oc__diff_2(d, "Equal", a, zero), zero, slope};
        oc__diff_give(d, n, 1, oc__diff_emit(d, "", "Where", 16, 0, 3, list));
    }
}

/* Max, Min: each operand that equals the result gets an equal share of g. */
void oc__d_extreme(oc__diff *d, oc__node *n, int g) {
    int count = -1, share = g;
    for (int j = 0; j < n->n_explicit && n->n_explicit > 1; j++) {
        int same = oc__diff_2(d, "Equal", in(n, j), n->out[0]);
        int one = oc__diff_2(d, "CastLike", same, g);
        count = j == 0 ? one : oc__diff_2(d, "Add", count, one);
    }
    if (n->n_explicit > 1) share = div_by(d, g, count);
    for (int j = 0; j < n->n_explicit; j++) {
        if (!oc__diff_wants(d, n, j)) continue;
        int same = oc__diff_2(d, "Equal", in(n, j), n->out[0]);
        oc__diff_give(d, n, j, oc__diff_where(d, same, share));
    }
}

/* ---- functions of one number ----------------------------------------------
 */

/* Adds g * slope to the input's adjoint. */
static void chain(oc__diff *d, const oc__node *n, int g, int slope) {
    oc__diff_add(d, n, 0, mul(d, g, slope));
}

void oc__d_neg(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, oc__diff_neg(d, g));
}

void oc__d_abs(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, oc__diff_1(d, "Sign", in(n, 0)));
}

/* g / 2y */
void oc__d_sqrt(oc__diff *d, oc__node *n, int g) {
    int twice = oc__diff_2(d, "Add", n->out[0], n->out[0]);
    oc__diff_add(d, n, 0, div_by(d, g, twice));
}

void oc__d_exp(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, n->out[0]);
}

void oc__d_log(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, div_by(d, g, in(n, 0)));
}

/* -g y^2 */
void oc__d_reciprocal(oc__diff *d, oc__node *n, int g) {
    int square = mul(d, n->out[0], n->out[0]);
    oc__diff_add(d, n, 0, oc__diff_neg(d, mul(d, g, square)));
}

/* g 2 / sqrt(pi) exp(-a^2) */
void oc__d_erf(oc__diff *d, oc__node *n, int g) {
    int minus = oc__diff_neg(d, mul(d, in(n, 0), in(n, 0)));
    int bell = oc__diff_1(d, "Exp", minus);
    chain(d, n, g, mul(d, bell, oc__diff_number(d, 1.1283791670955126f, g)));
}

void oc__d_sin(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, oc__diff_1(d, "Cos", in(n, 0)));
}

void oc__d_cos(oc__diff *d, oc__node *n, int g) {
    int sine = oc__diff_1(d, "Sin", in(n, 0));
    oc__diff_add(d, n, 0, oc__diff_neg(d, mul(d, g, sine)));
}

/* g (1 + y^2) */
void oc__d_tan(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, square_plus(d, n->out[0], 1, 1));
}

/* g / sqrt(1 - a^2) */
void oc__d_asin(oc__diff *d, oc__node *n, int g) {
    int root = oc__diff_1(d, "Sqrt", square_plus(d, in(n, 0), -1, 1));
    oc__diff_add(d, n, 0, div_by(d, g, root));
}

void oc__d_acos(oc__diff *d, oc__node *n, int g) {
    oc__d_asin(d, n, oc__diff_neg(d, g));
}

/* g / (1 + a^2) */
void oc__d_atan(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, div_by(d, g, square_plus(d, in(n, 0), 1, 1)));
}

void oc__d_sinh(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, oc__diff_1(d, "Cosh", in(n, 0)));
}

void oc__d_cosh(oc__diff *d, oc__node *n, int g) {
    chain(d, n, g, oc__diff_1(d, "Sinh", in(n, 0)));
}

/* g / sqrt(a^2 + 1) */
void oc__d_asinh(oc__diff *d, oc__node *n, int g) {
    int root = oc__diff_1(d, "Sqrt", square_plus(d, in(n, 0), 1, 1));
    oc__diff_add(d, n, 0, div_by(d, g, root));
}

/* g / sqrt(a^2 - 1) */
void oc__d_acosh(oc__diff *d, oc__node *n, int g) {
    int root = oc__diff_1(d, "Sqrt", square_plus(d, in(n, 0), 1, -1));
    oc__diff_add(d, n, 0, div_by(d, g, root));
}

/* g / (1 - a^2) */
void oc__d_atanh(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, div_by(d, g, square_plus(d, in(n, 0), -1, 1)));
}
