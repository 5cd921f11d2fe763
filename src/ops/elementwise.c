/*
 * elementwise.c - operators of one operand: y[i] = f(x[i]).
 *
 * Each function is written for f32 (through the kernels where there is one),
 * for f64 and, where the standard has it, for integers; lanes.h brings every
 * other type to one of these.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum unary_kind {
    /* Through oc__unary_f32, in the order of unary_of[]. */
    K_NEG,
    K_ABS,
    K_SQRT,
    K_RECIPROCAL,
    K_FLOOR,
    K_CEIL,
    K_ROUND,
    K_SIGN,
    K_EXP,
    K_LOG,
    K_TANH,
    K_SIGMOID,
    K_ERF,
    /* Through oc__act_f32, in the order of act_of[]. */
    K_RELU,
    K_LEAKY_RELU,
    K_ELU,
    K_SELU,
    K_CELU,
    K_THRESHOLDED_RELU,
    K_HARD_SIGMOID,
    K_HARD_SWISH,
    K_SOFTPLUS,
    K_SOFTSIGN,
    K_MISH,
    K_GELU,
    K_GELU_TANH,
    K_SWISH,
    /* Plain loops. */
    K_SIN,
    K_COS,
    K_TAN,
    K_ASIN,
    K_ACOS,
    K_ATAN,
    K_SINH,
    K_COSH,
    K_ASINH,
    K_ACOSH,
    K_ATANH,
    K_SHRINK,
    K_BITNOT,
    K_NOT,
    K_ISINF,
    K_ISNAN,
};

static const oc__unary unary_of[] = {
    OC_UNARY_NEG,   OC_UNARY_ABS,  OC_UNARY_SQRT,  OC_UNARY_RECIPROCAL,
    OC_UNARY_FLOOR, OC_UNARY_CEIL, OC_UNARY_ROUND, OC_UNARY_SIGN,
    OC_UNARY_EXP,   OC_UNARY_LOG,  OC_UNARY_TANH,  OC_UNARY_SIGMOID,
    OC_UNARY_ERF,
};

static const oc__act act_of[] = {
    OC_ACT_RELU,         OC_ACT_LEAKY_RELU, OC_ACT_ELU,
    OC_ACT_SELU,         OC_ACT_CELU,       OC_ACT_THRESHOLDED_RELU,
    OC_ACT_HARD_SIGMOID, OC_ACT_HARD_SWISH, OC_ACT_SOFTPLUS,
    OC_ACT_SOFTSIGN,     OC_ACT_MISH,       OC_ACT_GELU,
    OC_ACT_GELU_TANH,    OC_ACT_QUICK_GELU,
};

typedef struct unary_job {
    const oc__kernels *kt;
    int kind;
    float a, b;
    oc_dtype dtype;
    const void *x;
    void *y;
} unary_job;

/* ---- the functions ------------------------------------------------------- */

#define EACH(k, expr)                                                          \
    case k:                                                                    \
        for (size_t i = 0; i < n; i++) {                                       \
            const T v = x[i];                                                  \
            y[i] = (expr);                                                     \
        }                                                                      \
        break;

static void unary_f32(const unary_job *j, const float *x, float *y, size_t n) {
    typedef float T;
    const float a = j->a, b = j->b;
    if (j->kind <= K_ERF) {
        j->kt->unary_f32(unary_of[j->kind], x, y, n);
        return;
    }
    if (j->kind <= K_SWISH) {
        oc__act_args act = {act_of[j->kind - K_RELU], a, b};
        j->kt->act_f32(act, x, y, n);
        return;
    }
    switch (j->kind) {
        EACH(K_SIN, sinf(v))
        EACH(K_COS, cosf(v))
        EACH(K_TAN, tanf(v))
        EACH(K_ASIN, asinf(v))
        EACH(K_ACOS, acosf(v))
        EACH(K_ATAN, atanf(v))
        EACH(K_SINH, sinhf(v))
        EACH(K_COSH, coshf(v))
        EACH(K_ASINH, asinhf(v))
        EACH(K_ACOSH, acoshf(v))
        EACH(K_ATANH, atanhf(v))
        EACH(K_SHRINK, v < -a ? v + b : v > a ? v - b : 0)
    default: break;
    }
}

/* log(1 + exp v) without overflow and without losing small results. */
static double softplus(double v) {
    return v > 0 ? v + log1p(exp(-v)) : log1p(exp(v));
}

static double gelu_tanh(double v) {
    const double c = 0.79788456080286535588; /* sqrt(2 / pi) */
    return v / 2 * (1 + tanh(c * (v + 0.044715 * v * v * v)));
}

static double sign(double v) {
    return v > 0 ? 1 : v < 0 ? -1 : v; /* v keeps NaN and -0 */
}

static double limit(double v, double lo, double hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

static void unary_f64(const unary_job *j, const double *x, double *y,
                      size_t n) {
    typedef double T;
    const double a = j->a, b = j->b;
    switch (j->kind) {
        EACH(K_NEG, -v)
        EACH(K_ABS, fabs(v))
        EACH(K_SQRT, sqrt(v))
        EACH(K_RECIPROCAL, 1 / v)
        EACH(K_FLOOR, floor(v))
        EACH(K_CEIL, ceil(v))
        EACH(K_ROUND, rint(v))
        EACH(K_SIGN, sign(v))
        EACH(K_EXP, exp(v))
        EACH(K_LOG, log(v))
        EACH(K_TANH, tanh(v))
        EACH(K_SIGMOID, 1 / (1 + exp(-v)))
        EACH(K_ERF, erf(v))
        EACH(K_RELU, v < 0 ? 0 : v)
        EACH(K_LEAKY_RELU, v < 0 ? a * v : v)
        EACH(K_ELU, v < 0 ? a * expm1(v) : v)
        EACH(K_SELU, b * (v > 0 ? v : a * expm1(v)))
        EACH(K_CELU, v > 0 ? v : a * expm1(v / a))
        EACH(K_THRESHOLDED_RELU, v > a ? v : 0)
        EACH(K_HARD_SIGMOID, limit(a * v + b, 0, 1))
        EACH(K_HARD_SWISH, v * limit(v / 6 + 0.5, 0, 1))
        EACH(K_SOFTPLUS, softplus(v))
        EACH(K_SOFTSIGN, v / (1 + fabs(v)))
        EACH(K_MISH, v * tanh(softplus(v)))
        EACH(K_GELU, v / 2 * (1 + erf(v * 0.70710678118654752440)))
        EACH(K_GELU_TANH, gelu_tanh(v))
        EACH(K_SWISH, v / (1 + exp(-a * v)))
        EACH(K_SIN, sin(v))
        EACH(K_COS, cos(v))
        EACH(K_TAN, tan(v))
        EACH(K_ASIN, asin(v))
        EACH(K_ACOS, acos(v))
        EACH(K_ATAN, atan(v))
        EACH(K_SINH, sinh(v))
        EACH(K_COSH, cosh(v))
        EACH(K_ASINH, asinh(v))
        EACH(K_ACOSH, acosh(v))
        EACH(K_ATANH, atanh(v))
        EACH(K_SHRINK, v < -a ? v + b : v > a ? v - b : 0)
    default: break;
    }
}

/* Negation goes through unsigned numbers: -INT64_MIN wraps. */
static int64_t negate(int64_t v) {
    return (int64_t)(0 - (uint64_t)v);
}

static double shrink(double v, double lambda, double bias) {
    return v < -lambda ? v + bias : v > lambda ? v - bias : 0;
}

static void unary_i64(const unary_job *j, const int64_t *x, int64_t *y,
                      size_t n) {
    typedef int64_t T;
    const double a = j->a, b = j->b;
    switch (j->kind) {
        EACH(K_NEG, negate(v))
        EACH(K_ABS, v < 0 ? negate(v) : v)
        EACH(K_SIGN, (v > 0) - (v < 0))
        EACH(K_RELU, v < 0 ? 0 : v)
        EACH(K_SHRINK, oc__f64_to_i64(shrink((double)v, a, b)))
        EACH(K_BITNOT, ~v)
        EACH(K_NOT, !v)
    default: break;
    }
}

static void unary_u64(const unary_job *j, const uint64_t *x, uint64_t *y,
                      size_t n) {
    typedef uint64_t T;
    const double a = j->a, b = j->b;
    switch (j->kind) {
        EACH(K_ABS, v)
        EACH(K_SIGN, v > 0)
        EACH(K_SHRINK, oc__f64_to_u64(shrink((double)v, a, b)))
        EACH(K_BITNOT, ~v)
    default: break;
    }
}

static void apply(const unary_job *j, const void *x, void *y, size_t n) {
    switch (oc__wide_of(j->dtype)) {
    case OC_WIDE_F32: unary_f32(j, x, y, n); break;
    case OC_WIDE_F64: unary_f64(j, x, y, n); break;
    case OC_WIDE_I64: unary_i64(j, x, y, n); break;
    case OC_WIDE_U64: unary_u64(j, x, y, n); break;
    default: break;
    }
}

/* ---- running ------------------------------------------------------------- */

static void unary_range(void *user, int64_t begin, int64_t end, int worker) {
    const unary_job *j = user;
    oc__lanes in, out;
    (void)worker;
    int64_t most = oc__wide_is(j->dtype) ? end - begin : OC_LANES;
    for (int64_t i = begin; i < end; i += most) {
        int64_t n = OC_MIN(most, end - i);
        const void *x =
            oc__wide_is(j->dtype)
                ? (const char *)j->x + (size_t)i * oc_dtype_bytes(j->dtype)
                : oc__lanes_load(j->kt, j->dtype, j->x, i, n, &in);
        void *y = oc__lanes_target(j->dtype, j->y, i, &out);
        apply(j, x, y, (size_t)n);
        oc__lanes_store(j->kt, j->dtype, j->y, i, n, y);
    }
}

static void read_parameters(const oc__node *node, unary_job *j) {
    switch (j->kind) {
    case K_LEAKY_RELU: j->a = oc__attr_float(node, "alpha", 0.01f); break;
    case K_ELU:
    case K_CELU:
    case K_THRESHOLDED_RELU: j->a = oc__attr_float(node, "alpha", 1); break;
    case K_SWISH:
        /* QuickGelu of com.microsoft is Swish with another default. */
        j->a = oc__attr_float(node, "alpha",
                              strcmp(node->op->name, "QuickGelu") ? 1 : 1.702f);
        break;
    case K_SELU:
        /* Version 1 gave its defaults with four digits only. */
        j->a = oc__attr_float(node, "alpha",
                              node->version < 6 ? 1.6732f : 1.673263192f);
        j->b = oc__attr_float(node, "gamma",
                              node->version < 6 ? 1.0507f : 1.050701022f);
        break;
    case K_HARD_SIGMOID:
        j->a = oc__attr_float(node, "alpha", 0.2f);
        j->b = oc__attr_float(node, "beta", 0.5f);
        break;
    case K_SHRINK:
        j->a = oc__attr_float(node, "lambd", 0.5f);
        j->b = oc__attr_float(node, "bias", 0);
        break;
    case K_GELU:
        if (!strcmp(oc__attr_string(node, "approximate", "none"), "tanh"))
            j->kind = K_GELU_TANH;
        break;
    default: break;
    }
}

/* A loop of multiplications is bound by memory; one of exponentials is worth
   spreading over cores from a few thousand elements. */
static int64_t grain_of(int kind) {
    return kind <= K_SIGN || kind == K_RELU ? 16384 : 4096;
}

static oc_status run_unary(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    unary_job j = {c->kernels, c->op->kind,        0, 0, x->dtype,
                   x->data,    oc__out(c, 0)->data};
    read_parameters(c->node, &j);
    oc__parallel(c, oc_tensor_elems(x), grain_of(j.kind), unary_range, &j);
    return OC_OK;
}

static uint32_t mask_of(int kind) {
    switch (kind) {
    case K_ABS:
    case K_SIGN:
    case K_SHRINK: return OC_T_F | OC_T_I | OC_T_U;
    case K_NEG:
    case K_RELU: return OC_T_F | OC_T_I;
    case K_BITNOT: return OC_T_I | OC_T_U;
    case K_NOT: return OC_T(BOOL);
    case K_ISINF:
    case K_ISNAN:
        return OC_T_F | OC_T(F8E4M3FN) | OC_T(F8E4M3FNUZ) | OC_T(F8E5M2) |
               OC_T(F8E5M2FNUZ);
    default: return OC_T_F;
    }
}

static oc_status infer_unary(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, mask_of(c->op->kind)));
    if (c->op->kind == K_GELU) {
        const char *how = oc__attr_string(c->node, "approximate", "none");
        if (strcmp(how, "none") && strcmp(how, "tanh"))
            return oc__op_fail(c, OC_E_ARG, "approximate is \"%s\"", how);
    }
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* ---- IsInf, IsNaN -------------------------------------------------------- */

typedef struct test_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    uint8_t *y;
    int nan, positive, negative; /* what is looked for */
} test_job;

#define TEST(T)                                                                \
    for (int64_t k = 0; k < n; k++) {                                          \
        const T v = ((const T *)p)[k];                                         \
        j->y[i + k] = (j->nan && isnan(v)) ||                                  \
                      (isinf(v) && (v > 0 ? j->positive : j->negative));       \
    }

static void test_range(void *user, int64_t begin, int64_t end, int worker) {
    const test_job *j = user;
    oc__lanes in;
    (void)worker;
    for (int64_t i = begin; i < end; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, end - i);
        const void *p = oc__lanes_load(j->kt, j->dtype, j->x, i, n, &in);
        if (j->dtype == OC_DTYPE_F64)
            TEST(double)
        else
            TEST(float)
    }
}

static oc_status infer_test(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, mask_of(c->op->kind)));
    const oc_tensor *x = oc__in(c, 0);
    return oc__out_set(c, 0, OC_DTYPE_BOOL, x->rank, x->dims);
}

static oc_status run_test(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int inf = c->op->kind == K_ISINF;
    test_job j = {c->kernels,
                  x->dtype,
                  x->data,
                  oc__out(c, 0)->data,
                  !inf,
                  inf && oc__attr_int(c->node, "detect_positive", 1),
                  inf && oc__attr_int(c->node, "detect_negative", 1)};
    oc__parallel(c, oc_tensor_elems(x), 16384, test_range, &j);
    return OC_OK;
}

static double flops_unary(const oc__ctx *c) {
    return (double)oc_tensor_elems(oc__in(c, 0));
}

#define UNARY(domain, name, since, kind)                                       \
    {                                                                          \
        domain, name, since, 1, 1, 1, OC_OP_INPLACE, kind, infer_unary,        \
            run_unary, flops_unary                                             \
    }

const oc__op oc__ops_elementwise[] = {
    UNARY("", "Abs", 1, K_ABS),
    UNARY("", "Neg", 1, K_NEG),
    UNARY("", "Sign", 9, K_SIGN),
    UNARY("", "Ceil", 1, K_CEIL),
    UNARY("", "Floor", 1, K_FLOOR),
    UNARY("", "Round", 11, K_ROUND),
    UNARY("", "Sqrt", 1, K_SQRT),
    UNARY("", "Reciprocal", 1, K_RECIPROCAL),
    UNARY("", "Exp", 1, K_EXP),
    UNARY("", "Log", 1, K_LOG),
    UNARY("", "Erf", 9, K_ERF),
    UNARY("", "Sin", 7, K_SIN),
    UNARY("", "Cos", 7, K_COS),
    UNARY("", "Tan", 7, K_TAN),
    UNARY("", "Asin", 7, K_ASIN),
    UNARY("", "Acos", 7, K_ACOS),
    UNARY("", "Atan", 7, K_ATAN),
    UNARY("", "Sinh", 9, K_SINH),
    UNARY("", "Cosh", 9, K_COSH),
    UNARY("", "Tanh", 1, K_TANH),
    UNARY("", "Asinh", 9, K_ASINH),
    UNARY("", "Acosh", 9, K_ACOSH),
    UNARY("", "Atanh", 9, K_ATANH),
    UNARY("", "Not", 1, K_NOT),
    UNARY("", "BitwiseNot", 18, K_BITNOT),
    UNARY("", "Relu", 1, K_RELU),
    UNARY("", "LeakyRelu", 1, K_LEAKY_RELU),
    UNARY("", "Elu", 1, K_ELU),
    UNARY("", "Selu", 1, K_SELU),
    UNARY("", "Celu", 12, K_CELU),
    UNARY("", "ThresholdedRelu", 1, K_THRESHOLDED_RELU),
    UNARY("", "HardSigmoid", 1, K_HARD_SIGMOID),
    UNARY("", "HardSwish", 14, K_HARD_SWISH),
    UNARY("", "Sigmoid", 1, K_SIGMOID),
    UNARY("", "Softplus", 1, K_SOFTPLUS),
    UNARY("", "Softsign", 1, K_SOFTSIGN),
    UNARY("", "Mish", 18, K_MISH),
    UNARY("", "Gelu", 20, K_GELU),
    UNARY("", "Swish", 24, K_SWISH),
    UNARY("", "Shrink", 9, K_SHRINK),
    UNARY("com."
          "microsoft",
          "Gelu", 1, K_GELU),
    UNARY("com."
          "micros"
          "oft",
          "QuickG"
          "elu",
          1, K_SWISH),
    {"", "IsInf", 10, 1, 1, 1, 0, K_ISINF, infer_test, run_test, NULL},
    {"", "IsNaN", 9, 1, 1, 1, 0, K_ISNAN, infer_test, run_test, NULL},
    {0},
};
