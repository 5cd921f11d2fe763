/*
 * test_kernels_elementwise.c - unary, binary, activation and scale kernels:
 * those that round once bit for bit against the scalar ones, those with exp
 * and its like against libm in double.
 */
#include "checkasm.h"

#include <math.h>

/* ---- unary --------------------------------------------------------------- */

static const char *const unary_names[OC_UNARY_COUNT] = {
    "neg",  "abs", "sqrt", "reciprocal", "floor",   "ceil", "round",
    "sign", "exp", "log",  "tanh",       "sigmoid", "erf",
};

static double sigmoid64(double x) {
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double unary64(oc__unary op, double x) {
    switch (op) {
    case OC_UNARY_EXP: return exp(x);
    case OC_UNARY_LOG: return log(x);
    case OC_UNARY_TANH: return tanh(x);
    case OC_UNARY_SIGMOID: return sigmoid64(x);
    default: return erf(x);
    }
}

static void fill_for(float *x, size_t n) {
    float ends[] = {1, 10, 100, 1e4f};
    float end = ends[oc__rng_below(check_rng(), 4)];
    check_fill(x, n, -end, end);
    check_sprinkle(x, n);
}

static void check_unary(const oc__kernels *k, oc__unary op, size_t n,
                        int in_place) {
    float *x = check_alloc(n * sizeof *x);
    float *y = in_place ? x : check_alloc(n * sizeof *y);
    float copy[2048], want[2048];
    double want64[2048];
    fill_for(x, n);
    memcpy(copy, x, n * sizeof *x);
    check_kernel(k, "unary_f32 %s n=%zu", unary_names[op], n);
    k->unary_f32(op, x, y, n);
    if (op < OC_UNARY_EXP) {
        check_scalar()->unary_f32(op, copy, want, n);
        check_same(y, want, n);
    } else {
        for (size_t i = 0; i < n; i++)
            want64[i] = unary64(op, (double)copy[i]);
        check_close(y, want64, n, 2.5, 0);
    }
    check_free_all();
}

static void each_unary(const oc__kernels *k) {
    for (int op = 0; op < OC_UNARY_COUNT; op++)
        for (size_t s = 0; s < check_size_count; s++)
            check_unary(k, (oc__unary)op, check_sizes[s], s % 2);
}

static void unary_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_unary);
}

/* Every 9973rd float there is, so that no range of exponents is missed. */
static void sweep_unary(const oc__kernels *k) {
    enum { CHUNK = 1024, STEP = 9973 };
    static float x[CHUNK], y[CHUNK];
    static double want[CHUNK];
    uint64_t bits = oc__rng_below(check_rng(), STEP);
    while (bits <= UINT32_MAX) {
        size_t n = 0;
        for (; n < CHUNK && bits <= UINT32_MAX; bits += STEP, n++) {
            uint32_t u = (uint32_t)bits;
            memcpy(&x[n], &u, sizeof u);
        }
        for (int op = OC_UNARY_EXP; op < OC_UNARY_COUNT; op++) {
            check_kernel(k, "unary_f32 %s, sweep", unary_names[op]);
            k->unary_f32((oc__unary)op, x, y, n);
            for (size_t i = 0; i < n; i++)
                want[i] = unary64((oc__unary)op, (double)x[i]);
            check_close(y, want, n, 2.5, 0);
        }
    }
}

static void unary_kernels_keep_bound_over_all_exponents(void **state) {
    (void)state;
    check_each_mask(sweep_unary);
}

static void unary_zero_keeps_sign_on(const oc__kernels *k) {
    static const oc__unary odd[] = {OC_UNARY_TANH,  OC_UNARY_ERF,
                                    OC_UNARY_FLOOR, OC_UNARY_ROUND,
                                    OC_UNARY_SQRT,  OC_UNARY_SIGN};
    for (size_t i = 0; i < OC_COUNT(odd); i++) {
        float x[2] = {-0.0f, 0.0f}, y[2];
        k->unary_f32(odd[i], x, y, 2);
        check_same(y, x, 2);
    }
}

static void unary_zero_keeps_sign(void **state) {
    (void)state;
    check_each_mask(unary_zero_keeps_sign_on);
}

/* ---- activations --------------------------------------------------------- */

static const struct {
    oc__act_args act;
    const char *name;
    int exact; /* the same bits as the scalar one */
} acts[] = {
    {{OC_ACT_NONE, 0, 0}, "none", 1},
    {{OC_ACT_RELU, 0, 0}, "relu", 1},
    {{OC_ACT_CLIP, 0, 6}, "clip", 1},
    {{OC_ACT_CLIP, 2, 1}, "clip crossed", 1},
    {{OC_ACT_CLIP, -HUGE_VALF, HUGE_VALF}, "clip open", 1},
    {{OC_ACT_LEAKY_RELU, 0.1f, 0}, "leaky_relu", 1},
    {{OC_ACT_SIGMOID, 0, 0}, "sigmoid", 0},
    {{OC_ACT_TANH, 0, 0}, "tanh", 0},
    {{OC_ACT_SILU, 0, 0}, "silu", 0},
    {{OC_ACT_HARD_SIGMOID, 0.2f, 0.5f}, "hard_sigmoid", 1},
    {{OC_ACT_HARD_SWISH, 0, 0}, "hard_swish", 1},
    {{OC_ACT_GELU, 0, 0}, "gelu", 0},
    {{OC_ACT_GELU_TANH, 0, 0}, "gelu_tanh", 0},
    {{OC_ACT_ELU, 1.5f, 0}, "elu", 0},
    {{OC_ACT_SOFTPLUS, 0, 0}, "softplus", 0},
    {{OC_ACT_MISH, 0, 0}, "mish", 0},
    {{OC_ACT_SELU, 1.6732632f, 1.0507010f}, "selu", 0},
    {{OC_ACT_CELU, 2, 0}, "celu", 0},
    {{OC_ACT_THRESHOLDED_RELU, 1.5f, 0}, "thresholded_relu", 1},
    {{OC_ACT_SOFTSIGN, 0, 0}, "softsign", 1},
    {{OC_ACT_SCALED_TANH, 1.7f, 0.6f}, "scaled_tanh", 0},
    {{OC_ACT_QUICK_GELU, 1.702f, 0}, "quick_gelu", 0},
    {{OC_ACT_ABS, 0, 0}, "abs", 1},
    {{OC_ACT_NEG, 0, 0}, "neg", 1},
    {{OC_ACT_SQRT, 0, 0}, "sqrt", 1},
    {{OC_ACT_EXP, 0, 0}, "exp", 0},
};

static double softplus64(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double act64(oc__act_args f, double x) {
    const double a = (double)f.a, b = (double)f.b;
    if (x != x) return x;
    switch (f.kind) {
    case OC_ACT_SIGMOID: return sigmoid64(x);
    case OC_ACT_TANH: return tanh(x);
    case OC_ACT_SILU: return x * sigmoid64(x);
    case OC_ACT_GELU: return x * 0.5 * erfc(-x * sqrt(0.5));
    case OC_ACT_GELU_TANH:
        return x *
               sigmoid64(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
    case OC_ACT_ELU: return x < 0 ? a * expm1(x) : x;
    case OC_ACT_SOFTPLUS: return softplus64(x);
    case OC_ACT_MISH: return x * tanh(softplus64(x));
    case OC_ACT_SELU: return b * (x > 0 ? x : a * expm1(x));
    case OC_ACT_CELU: return fmax(x, 0) + fmin(a * expm1(x / a), 0);
    case OC_ACT_SCALED_TANH: return a * tanh(b * x);
    case OC_ACT_QUICK_GELU: return x * sigmoid64(a * x);
    default: return exp(x);
    }
}

/* 4 ulp, or 2^-22 |x| where terms cancel or the argument was rounded. */
static void check_act_values(oc__act_args act, const float *x, const float *y,
                             size_t n) {
    for (size_t i = 0; i < n; i++) {
        double want = act64(act, (double)x[i]);
        /* x * 0 at the far end: Inf * 0 is NaN by the formula. */
        if (isinf(x[i]) && isnan(y[i]) && (want != want || want == 0)) continue;
        check_close(&y[i], &want, 1, 4, 0x1p-22 * fabs((double)x[i]));
    }
}

static void check_act(const oc__kernels *k, size_t which, size_t n,
                      int in_place) {
    oc__act_args act = acts[which].act;
    float *x = check_alloc(n * sizeof *x);
    float *y = in_place ? x : check_alloc(n * sizeof *y);
    float copy[2048], want[2048];
    fill_for(x, n);
    memcpy(copy, x, n * sizeof *x);
    check_kernel(k, "act_f32 %s n=%zu", acts[which].name, n);
    k->act_f32(act, x, y, n);
    if (acts[which].exact) {
        check_scalar()->act_f32(act, copy, want, n);
        check_same(y, want, n);
    } else {
        check_act_values(act, copy, y, n);
    }
    check_free_all();
}

static void each_act(const oc__kernels *k) {
    for (size_t a = 0; a < OC_COUNT(acts); a++)
        for (size_t s = 0; s < check_size_count; s++)
            check_act(k, a, check_sizes[s], s % 2);
}

static void act_kernels_match(void **state) {
    (void)state;
    /* Each activation stands in the list. */
    unsigned seen = 0;
    for (size_t a = 0; a < OC_COUNT(acts); a++)
        seen |= 1u << acts[a].act.kind;
    assert_int_equal(seen, (1u << OC_ACT_COUNT) - 1);
    check_each_mask(each_act);
}

static void each_add_act(const oc__kernels *k) {
    for (size_t a = 0; a < OC_COUNT(acts); a++)
        for (size_t s = 0; s < check_size_count; s++) {
            size_t n = check_sizes[s];
            float *p = check_alloc(n * sizeof *p);
            float *q = check_alloc(n * sizeof *q);
            float *y = s % 3 == 0   ? p
                       : s % 3 == 1 ? q
                                    : check_alloc(n * sizeof *y);
            float want[2048];
            fill_for(p, n);
            fill_for(q, n);
            for (size_t i = 0; i < n; i++)
                want[i] = p[i] + q[i];
            k->act_f32(acts[a].act, want, want, n);
            check_kernel(k, "add_act_f32 %s n=%zu", acts[a].name, n);
            k->add_act_f32(acts[a].act, p, q, y, n);
            check_same(y, want, n);
            check_free_all();
        }
}

static void add_act_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_add_act);
}

/* Cutting a range in two must not change a bit, whatever the instruction set:
 * that is what lets threads share out a tensor. */
static void cut_anywhere(const oc__kernels *k) {
    enum { N = 131 };
    float x[N], whole[N], parts[N];
    for (size_t a = 0; a < OC_COUNT(acts); a++) {
        fill_for(x, N);
        size_t cut = oc__rng_below(check_rng(), N + 1);
        check_kernel(k, "act_f32 %s cut at %zu", acts[a].name, cut);
        k->act_f32(acts[a].act, x, whole, N);
        k->act_f32(acts[a].act, x, parts, cut);
        k->act_f32(acts[a].act, x + cut, parts + cut, N - cut);
        check_same(parts, whole, N);
    }
    for (int op = 0; op < OC_UNARY_COUNT; op++) {
        fill_for(x, N);
        size_t cut = oc__rng_below(check_rng(), N + 1);
        check_kernel(k, "unary_f32 %s cut at %zu", unary_names[op], cut);
        k->unary_f32((oc__unary)op, x, whole, N);
        k->unary_f32((oc__unary)op, x, parts, cut);
        k->unary_f32((oc__unary)op, x + cut, parts + cut, N - cut);
        check_same(parts, whole, N);
    }
    fill_for(x, N);
    size_t cut = oc__rng_below(check_rng(), N + 1);
    check_kernel(k, "scale_bias_f32 cut at %zu", cut);
    k->scale_bias_f32(x, 1.7f, 0.3f, whole, N);
    k->scale_bias_f32(x, 1.7f, 0.3f, parts, cut);
    k->scale_bias_f32(x + cut, 1.7f, 0.3f, parts + cut, N - cut);
    check_same(parts, whole, N);
}

static void elementwise_does_not_depend_on_position(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        check_each_mask(cut_anywhere);
}

/* ---- binary -------------------------------------------------------------- */

static void check_binary(const oc__kernels *k, oc__binary op, size_t n,
                         size_t a_step, size_t b_step, int in_place) {
    float *a = check_alloc((a_step ? n : 1) * sizeof *a);
    float *b = check_alloc((b_step ? n : 1) * sizeof *b);
    float *y = in_place && a_step   ? a
               : in_place && b_step ? b
                                    : check_alloc(n * sizeof *y);
    float want[2048];
    fill_for(a, a_step ? n : 1);
    fill_for(b, b_step ? n : 1);
    check_scalar()->binary_f32(op, a, a_step, b, b_step, want, n);
    check_kernel(k, "binary_f32 %d n=%zu steps %zu %zu", op, n, a_step, b_step);
    k->binary_f32(op, a, a_step, b, b_step, y, n);
    check_same(y, want, n);
    check_free_all();
}

static void each_binary(const oc__kernels *k) {
    for (int op = 0; op < OC_BINARY_COUNT; op++)
        for (size_t s = 0; s < check_size_count; s++)
            for (size_t steps = 0; steps < 4; steps++)
                check_binary(k, (oc__binary)op, check_sizes[s], steps & 1,
                             steps >> 1, s % 2);
}

static void binary_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_binary);
}

/* min and max of NaN, of equals and of zeros, spelt out. */
static void min_max_edges_on(const oc__kernels *k) {
    const float a[] = {NAN, 1, NAN, 0.0f, -0.0f, HUGE_VALF, -HUGE_VALF};
    const float b[] = {1, NAN, NAN, -0.0f, 0.0f, 1, 1};
    const float least[] = {NAN, NAN, NAN, -0.0f, 0.0f, 1, -HUGE_VALF};
    const float most[] = {NAN, NAN, NAN, -0.0f, 0.0f, HUGE_VALF, 1};
    float y[7];
    check_kernel(k, "binary_f32 min, edges");
    k->binary_f32(OC_BINARY_MIN, a, 1, b, 1, y, 7);
    check_same(y, least, 7);
    check_kernel(k, "binary_f32 max, edges");
    k->binary_f32(OC_BINARY_MAX, a, 1, b, 1, y, 7);
    check_same(y, most, 7);
}

static void binary_min_max_keep_nan(void **state) {
    (void)state;
    check_each_mask(min_max_edges_on);
}

/* ---- scale and bias ------------------------------------------------------ */

static void check_scaled(const float *y, const float *x, const float *s,
                         const float *b, size_t n, size_t cols) {
    for (size_t i = 0; i < n; i++) {
        double p = (double)x[i] * (double)s[i % cols];
        double bias = b ? (double)b[i % cols] : 0;
        double want = p + bias;
        check_close(&y[i], &want, 1, 1, 0x1p-23 * (fabs(p) + fabs(bias)));
    }
}

static void each_scale_bias(const oc__kernels *k) {
    static const size_t shapes[][2] = {{0, 3},  {1, 1},  {5, 3},  {3, 8},
                                       {7, 16}, {2, 17}, {4, 31}, {3, 131}};
    for (size_t s = 0; s < check_size_count; s++) {
        size_t n = check_sizes[s];
        float *x = check_alloc(n * sizeof *x), *y = check_alloc(n * sizeof *y);
        float scale, bias;
        check_fill(x, n, -10, 10);
        check_fill(&scale, 1, -3, 3);
        check_fill(&bias, 1, -3, 3);
        check_kernel(k, "scale_bias_f32 n=%zu", n);
        k->scale_bias_f32(x, scale, bias, y, n);
        check_scaled(y, x, &scale, &bias, n, 1);
        check_free_all();
    }
    for (size_t s = 0; s < OC_COUNT(shapes); s++) {
        size_t rows = shapes[s][0], cols = shapes[s][1], n = rows * cols;
        float *x = check_alloc(n * sizeof *x), *y = check_alloc(n * sizeof *y);
        float *scale = check_alloc(cols * sizeof *scale);
        float *bias = s % 2 ? check_alloc(cols * sizeof *bias) : NULL;
        check_fill(x, n, -10, 10);
        check_fill(scale, cols, -3, 3);
        if (bias) check_fill(bias, cols, -3, 3);
        check_kernel(k, "scale_bias_cols_f32 %zux%zu", rows, cols);
        k->scale_bias_cols_f32(x, scale, bias, y, rows, cols);
        check_scaled(y, x, scale, bias, n, cols);
        check_free_all();
    }
}

static void scale_bias_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_scale_bias);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_kernels_match),
        cmocka_unit_test(unary_kernels_keep_bound_over_all_exponents),
        cmocka_unit_test(unary_zero_keeps_sign),
        cmocka_unit_test(act_kernels_match),
        cmocka_unit_test(add_act_kernels_match),
        cmocka_unit_test(elementwise_does_not_depend_on_position),
        cmocka_unit_test(binary_kernels_match),
        cmocka_unit_test(binary_min_max_keep_nan),
        cmocka_unit_test(scale_bias_kernels_match),
    };
    return cmocka_run_group_tests_name("kernels_elementwise", tests, NULL,
                                       NULL);
}
