/* arith_scalar.c - the specification of the elementwise f32 kernels. */
#include "kernels/kernels.h"

#include <math.h>

/* ---- unary and activations ----------------------------------------------- */

static float sigmoid(float x) {
    /* exp(-x) would overflow long before the result is 0. */
    float z = expf(-fabsf(x));
    return x < 0 ? z / (1 + z) : 1 / (1 + z);
}

static float unary(oc__unary op, float x) {
    switch (op) {
    case OC_UNARY_NEG: return -x;
    case OC_UNARY_ABS: return fabsf(x);
    case OC_UNARY_SQRT: return sqrtf(x);
    case OC_UNARY_RECIPROCAL: return 1 / x;
    case OC_UNARY_FLOOR: return floorf(x);
    case OC_UNARY_CEIL: return ceilf(x);
    case OC_UNARY_ROUND: return nearbyintf(x);
    case OC_UNARY_SIGN: return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case OC_UNARY_EXP: return expf(x);
    case OC_UNARY_LOG: return logf(x);
    case OC_UNARY_TANH: return tanhf(x);
    case OC_UNARY_SIGMOID: return sigmoid(x);
    case OC_UNARY_ERF: return erff(x);
    default: return x;
    }
}

void oc__unary_f32_scalar(oc__unary op, const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = unary(op, x[i]);
}

/* b wins when the two are equal or one is NaN, so NaN in b stays. */
static float least(float a, float b) {
    return a < b ? a : b;
}

static float greatest(float a, float b) {
    return a > b ? a : b;
}

static float hard_sigmoid(float x, float a, float b) {
    return greatest(0, least(1, a * x + b));
}

static float softplus(float x) {
    return greatest(0, x) + log1pf(expf(-fabsf(x)));
}

static float gelu_tanh(float x) {
    const float k = 0.7978845608f; /* sqrt(2/pi) */
    return 0.5f * x * (1 + tanhf(k * (x + 0.044715f * x * x * x)));
}

static float activate(oc__act_args f, float x) {
    switch (f.kind) {
    case OC_ACT_NONE: return x;
    case OC_ACT_RELU: return greatest(0, x);
    case OC_ACT_CLIP: return least(f.b, greatest(f.a, x));
    case OC_ACT_LEAKY_RELU: return x < 0 ? f.a * x : x;
    case OC_ACT_SIGMOID: return sigmoid(x);
    case OC_ACT_TANH: return tanhf(x);
    case OC_ACT_SILU: return x * sigmoid(x);
    case OC_ACT_HARD_SIGMOID: return hard_sigmoid(x, f.a, f.b);
    case OC_ACT_HARD_SWISH: return x * hard_sigmoid(x, 1.0f / 6.0f, 0.5f);
    case OC_ACT_GELU: return 0.5f * x * (1 + erff(x * 0.7071067812f));
    case OC_ACT_GELU_TANH: return gelu_tanh(x);
    case OC_ACT_ELU: return x < 0 ? f.a * expm1f(x) : x;
    case OC_ACT_SOFTPLUS: return softplus(x);
    case OC_ACT_MISH: return x * tanhf(softplus(x));
    case OC_ACT_SELU: return f.b * (x > 0 ? x : f.a * expm1f(x));
    case OC_ACT_CELU: return greatest(0, x) + least(0, f.a * expm1f(x / f.a));
    case OC_ACT_THRESHOLDED_RELU: return x > f.a ? x : 0;
    case OC_ACT_SOFTSIGN: return x / (1 + fabsf(x));
    case OC_ACT_SCALED_TANH: return f.a * tanhf(f.b * x);
    case OC_ACT_QUICK_GELU: return x * sigmoid(f.a * x);
    case OC_ACT_ABS: return fabsf(x);
    case OC_ACT_NEG: return -x;
    case OC_ACT_SQRT: return sqrtf(x);
    case OC_ACT_EXP: return expf(x);
    default: return x;
    }
}

void oc__act_f32_scalar(oc__act_args act, const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = activate(act, x[i]);
}

void oc__add_act_f32_scalar(oc__act_args act, const float *a, const float *b,
                            float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = activate(act, a[i] + b[i]);
}

/* ---- binary -------------------------------------------------------------- */

static float binary(oc__binary op, float a, float b) {
    switch (op) {
    case OC_BINARY_ADD: return a + b;
    case OC_BINARY_SUB: return a - b;
    case OC_BINARY_MUL: return a * b;
    case OC_BINARY_DIV: return a / b;
    case OC_BINARY_MIN: return a < b || a != a ? a : b;
    case OC_BINARY_MAX: return a > b || a != a ? a : b;
    case OC_BINARY_PRELU: return a < 0 ? a * b : a;
    default: return a;
    }
}

void oc__binary_f32_scalar(oc__binary op, const float *a, size_t a_step,
                           const float *b, size_t b_step, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = binary(op, a[i * a_step], b[i * b_step]);
}

void oc__scale_bias_f32_scalar(const float *x, float scale, float bias,
                               float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale + bias;
}

void oc__scale_bias_cols_f32_scalar(const float *x, const float *scale,
                                    const float *bias, float *y, size_t rows,
                                    size_t cols) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            y[r * cols + c] = x[r * cols + c] * scale[c] + (bias ? bias[c] : 0);
}
