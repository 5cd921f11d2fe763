/* arith_scalar.c - the specification of the arithmetic kernels. */
#include "kernels/kernels.h"

static float binary(oc__binary op, float a, float b) {
    switch (op) {
    case OC_BINARY_ADD: return a + b;
    case OC_BINARY_SUB: return a - b;
    case OC_BINARY_MUL: return a * b;
    case OC_BINARY_DIV: return a / b;
    case OC_BINARY_MIN: return a < b || a != a ? a : b;
    case OC_BINARY_MAX: return a > b || a != a ? a : b;
    default: return a;
    }
}

void oc__binary_f32_scalar(oc__binary op, const float *a, size_t a_step,
                           const float *b, size_t b_step, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = binary(op, a[i * a_step], b[i * b_step]);
}
