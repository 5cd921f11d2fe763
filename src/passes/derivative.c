/* derivative.c - the derivatives of single operators; see differentiate.h. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

/* In each rule g is the adjoint of the output, a and b are inputs, y is the
 * output; what is returned in words is what goes to each input. */
typedef void rule_fn(oc__diff *d, const oc__node *n, int g);

static int in(const oc__node *n, int j) {
    return j < n->n_explicit ? n->in[j] : -1;
}

/* An adjoint for input j, which may have been broadcast. */
static void give(oc__diff *d, const oc__node *n, int j, int grad) {
    int pair[2] = {grad, in(n, j)};
    if (oc__diff_wants(d, n, j))
        oc__diff_add(d, n, j,
                     oc__diff_emit(d, "ocelli", "SumTo", 1, 0, 2, pair));
}

/* v as a scalar of like's type. */
static int number(oc__diff *d, float v, int like) {
    float *data;
    int c = oc__new_constant_f32(d->g, d->allocator, NULL, 0, NULL, &data);
    if (c < 0) {
        d->failed = 1;
        return -1;
    }
    *data = v;
    return oc__diff_2(d, "CastLike", c, like);
}

static int negative(oc__diff *d, int a) {
    return oc__diff_1(d, "Neg", a);
}

static int product(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Mul", a, b);
}

/* g as it is, in x's shape. */
static int in_shape_of(oc__diff *d, const char *op, int g, int x) {
    return oc__diff_2(d, op, g, oc__diff_1(d, "Shape", x));
}

/* ---- arithmetic -----------------------------------------------------------
 */

static void d_identity(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, g);
}

static void d_cast(oc__diff *d, const oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_2(d, "CastLike", g, in(n, 0)));
}

static void d_add(oc__diff *d, const oc__node *n, int g) {
    for (int j = 0; j < n->n_explicit; j++) /* Sum has any number */
        give(d, n, j, g);
}

static void d_sub(oc__diff *d, const oc__node *n, int g) {
    give(d, n, 0, g);
    if (oc__diff_wants(d, n, 1)) give(d, n, 1, negative(d, g));
}

static void d_mul(oc__diff *d, const oc__node *n, int g) {
    for (int j = 0; j < 2; j++)
        if (oc__diff_wants(d, n, j)) give(d, n, j, product(d, g, in(n, 1 - j)));
}

/* g / b and -g y / b */
static void d_div(oc__diff *d, const oc__node *n, int g) {
    int over = oc__diff_2(d, "Div", g, in(n, 1));
    give(d, n, 0, over);
    if (oc__diff_wants(d, n, 1))
        give(d, n, 1, negative(d, product(d, over, n->out[0])));
}

/* g b a^(b-1) and g y log a */
static void d_pow(oc__diff *d, const oc__node *n, int g) {
    int a = in(n, 0), b = in(n, 1);
    if (oc__diff_wants(d, n, 0)) {
        int less = oc__diff_2(d, "Sub", b, number(d, 1, b));
        int slope = product(d, oc__diff_2(d, "Pow", a, less),
                            oc__diff_2(d, "CastLike", b, a));
        give(d, n, 0, product(d, g, slope));
    }
    if (oc__diff_wants(d, n, 1))
        give(d, n, 1,
             product(d, product(d, g, n->out[0]), oc__diff_1(d, "Log", a)));
}

static void d_neg(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, negative(d, g));
}

/* g / 2y */
static void d_sqrt(oc__diff *d, const oc__node *n, int g) {
    int twice = oc__diff_2(d, "Add", n->out[0], n->out[0]);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Div", g, twice));
}

static void d_exp(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, product(d, g, n->out[0]));
}

static void d_log(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, oc__diff_2(d, "Div", g, in(n, 0)));
}

/* -g y^2 */
static void d_reciprocal(oc__diff *d, const oc__node *n, int g) {
    int square = product(d, n->out[0], n->out[0]);
    oc__diff_add(d, n, 0, negative(d, product(d, g, square)));
}

static void d_sin(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, product(d, g, oc__diff_1(d, "Cos", in(n, 0))));
}

static void d_cos(oc__diff *d, const oc__node *n, int g) {
    int sine = oc__diff_1(d, "Sin", in(n, 0));
    oc__diff_add(d, n, 0, negative(d, product(d, g, sine)));
}

static void d_abs(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, product(d, g, oc__diff_1(d, "Sign", in(n, 0))));
}

/* ---- activations ----------------------------------------------------------
 */

/* y is above 0 where x is. */
static void d_relu(oc__diff *d, const oc__node *n, int g) {
    oc__diff_add(d, n, 0, product(d, g, oc__diff_1(d, "Sign", n->out[0])));
}

/* g (1 - y^2) */
static void d_tanh(oc__diff *d, const oc__node *n, int g) {
    int square = product(d, n->out[0], n->out[0]);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", g, product(d, g, square)));
}

/* g y (1 - y) */
static void d_sigmoid(oc__diff *d, const oc__node *n, int g) {
    int gy = product(d, g, n->out[0]);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", gy, product(d, gy, n->out[0])));
}

static void d_softplus(oc__diff *d, const oc__node *n, int g) {
    int slope = oc__diff_1(d, "Sigmoid", in(n, 0));
    oc__diff_add(d, n, 0, product(d, g, slope));
}

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
static void d_softmax(oc__diff *d, const oc__node *n, int g) {
    int y = n->out[0], sum = axis_sum(d, n, product(d, g, y));
    oc__diff_add(d, n, 0, product(d, y, oc__diff_2(d, "Sub", g, sum)));
}

/* g - exp(y) sum(g) */
static void d_log_softmax(oc__diff *d, const oc__node *n, int g) {
    int share = product(d, oc__diff_1(d, "Exp", n->out[0]), axis_sum(d, n, g));
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", g, share));
}

/* ---- products -------------------------------------------------------------
 */

static int matmul(oc__diff *d, int a, int b, int trans_a, int trans_b) {
    int pair[2] = {a, b};
    int y = oc__diff_emit(d, "com.microsoft", "FusedMatMul", 1, 2, 2, pair);
    if (y < 0) return -1;
    oc__attr_set_int(d->last, 0, "transA", trans_a);
    oc__attr_set_int(d->last, 1, "transB", trans_b);
    return y;
}

/* y = alpha A B + beta C, where A is a or its transpose, and so B.  MatMul
 * and FusedMatMul have no C, but may have stacks of matrices. */
static void d_product(oc__diff *d, const oc__node *n, int g) {
    int a = in(n, 0), b = in(n, 1);
    int ta = oc__attr_int(n, "transA", 0) != 0;
    int tb = oc__attr_int(n, "transB", 0) != 0;
    float alpha = oc__attr_float(n, "alpha", 1);
    float beta = oc__attr_float(n, "beta", 1);
    int scaled = alpha == 1 ? g : product(d, g, number(d, alpha, g));
    if (oc__diff_wants(d, n, 0))
        give(d, n, 0,
             ta ? matmul(d, b, scaled, tb, 1) : matmul(d, scaled, b, 0, !tb));
    if (oc__diff_wants(d, n, 1))
        give(d, n, 1,
             tb ? matmul(d, scaled, a, 1, ta) : matmul(d, a, scaled, !ta, 0));
    if (oc__diff_wants(d, n, 2))
        give(d, n, 2, beta == 1 ? g : product(d, g, number(d, beta, g)));
}

/* ---- shapes and sums ------------------------------------------------------
 */

static void d_reshape(oc__diff *d, const oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, in_shape_of(d, "Reshape", g, in(n, 0)));
}

static void d_expand(oc__diff *d, const oc__node *n, int g) {
    give(d, n, 0, g);
}

/* SumTo is broadcasting backwards. */
static void d_sum_to(oc__diff *d, const oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, in_shape_of(d, "Expand", g, in(n, 0)));
}

static void d_transpose(oc__diff *d, const oc__node *n, int g) {
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

static void d_reduce(oc__diff *d, const oc__node *n, int g) {
    int list[3] = {g, in(n, 0), in(n, 1)};
    int y =
        oc__diff_emit(d, "ocelli", "Spread", 1, 3, in(n, 1) < 0 ? 2 : 3, list);
    const oc__attr *axes = oc__attr_find(n, "axes");
    if (y < 0) return;
    if (axes) d->last->attrs[0] = *axes;
    oc__attr_set_int(d->last, 1, "mean", oc__is_op(n, "ReduceMean"));
    oc__attr_set_int(d->last, 2, "noop_with_empty_axes",
                     oc__attr_int(n, "noop_with_empty_axes", 0));
    if (!axes) oc__attr_set_int(d->last, 0, "keepdims", 1);
    oc__diff_add(d, n, 0, y);
}

/* What Spread repeats is summed again, or averaged as it divided. */
static void d_spread(oc__diff *d, const oc__node *n, int g) {
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
    oc__diff_add(d, n, 0, in_shape_of(d, "Reshape", y, in(n, 0)));
}

/* Where(c, a, b): g where it was taken, else zero. */
static void d_where(oc__diff *d, const oc__node *n, int g) {
    int zero = oc__diff_emit(d, "ocelli", "ZerosLike", 1, 0, 1, &g);
    for (int j = 1; j < 3; j++) {
        int list[3] = {in(n, 0), j == 1 ? g : zero, j == 1 ? zero : g};
        if (oc__diff_wants(d, n, j))
            give(d, n, j, oc__diff_emit(d, "", "Where", 16, 0, 3, list));
    }
}

/* Steps and sizes: flat wherever they have a derivative. */
static void d_nothing(oc__diff *d, const oc__node *n, int g) {
    (void)d, (void)n, (void)g;
}

static const struct {
    const char *domain, *op;
    int since; /* its meaning was another before */
    rule_fn *rule;
} rules[] = {
    {"", "Identity", 1, d_identity},
    {"", "Dropout", 1, d_identity}, /* as inference has it */
    {"", "Cast", 1, d_cast},
    {"", "CastLike", 1, d_cast},
    {"", "Add", 7, d_add},
    {"", "Sum", 1, d_add},
    {"", "Sub", 7, d_sub},
    {"", "Mul", 7, d_mul},
    {"", "Div", 7, d_div},
    {"", "Pow", 7, d_pow},
    {"", "Neg", 1, d_neg},
    {"", "Sqrt", 1, d_sqrt},
    {"", "Exp", 1, d_exp},
    {"", "Log", 1, d_log},
    {"", "Reciprocal", 1, d_reciprocal},
    {"", "Sin", 1, d_sin},
    {"", "Cos", 1, d_cos},
    {"", "Abs", 1, d_abs},
    {"", "Relu", 1, d_relu},
    {"", "Tanh", 1, d_tanh},
    {"", "Sigmoid", 1, d_sigmoid},
    {"", "Softplus", 1, d_softplus},
    {"", "Softmax", 13, d_softmax},
    {"", "LogSoftmax", 13, d_log_softmax},
    {"", "MatMul", 1, d_product},
    {"", "Gemm", 7, d_product},
    {"com.microsoft", "FusedMatMul", 1, d_product},
    {"", "Reshape", 1, d_reshape},
    {"", "Flatten", 1, d_reshape},
    {"", "Squeeze", 1, d_reshape},
    {"", "Unsqueeze", 1, d_reshape},
    {"", "Expand", 1, d_expand},
    {"", "Transpose", 1, d_transpose},
    {"", "ReduceSum", 1, d_reduce},
    {"", "ReduceMean", 1, d_reduce},
    {"", "Where", 1, d_where},
    {"", "Shape", 1, d_nothing},
    {"", "Size", 1, d_nothing},
    {"", "Sign", 1, d_nothing},
    {"", "Floor", 1, d_nothing},
    {"", "Ceil", 1, d_nothing},
    {"", "Round", 1, d_nothing},
    {"", "Equal", 1, d_nothing},
    {"", "Greater", 1, d_nothing},
    {"", "GreaterOrEqual", 1, d_nothing},
    {"", "Less", 1, d_nothing},
    {"", "LessOrEqual", 1, d_nothing},
    {"ocelli", "OnesLike", 1, d_nothing},
    {"ocelli", "ZerosLike", 1, d_nothing},
    {"ocelli", "SumTo", 1, d_sum_to},
    {"ocelli", "Spread", 1, d_spread},
};

/* FusedMatMul can also trade batch dimensions; nobody differentiates that. */
static int trades_batch(const oc__node *n) {
    return oc__attr_int(n, "transBatchA", 0) ||
           oc__attr_int(n, "transBatchB", 0);
}

oc_status oc__derivative(oc__diff *d, const oc__node *n, int g) {
    for (size_t i = 0; i < OC_COUNT(rules); i++) {
        if (strcmp(n->op->name, rules[i].op) ||
            strcmp(n->op->domain, rules[i].domain) ||
            n->version < rules[i].since || trades_batch(n))
            continue;
        rules[i].rule(d, n, g);
        return d->failed ? oc__fail_nomem(d->err) : OC_OK;
    }
    oc__error_node(d->err, n->name);
    return oc__fail(d->err, OC_E_UNSUPPORTED,
                    "Gradient: the derivative of %s \"%s\" (version %d) is not "
                    "known",
                    n->op->name, n->name, n->version);
}
