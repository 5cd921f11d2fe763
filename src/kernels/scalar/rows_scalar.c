/*
 * rows_scalar.c - the specification of the kernels over a row: reductions,
 * softmax and the normalisations.  Sums are f64 throughout, so that what the
 * others are compared with is as good as exact.
 */
#include "kernels/kernels.h"

#include <math.h>

float oc__reduce_f32_scalar(oc__reduce op, const float *x, size_t n) {
    double sum = 0;
    float best = op == OC_REDUCE_MIN ? HUGE_VALF : -HUGE_VALF;
    for (size_t i = 0; i < n; i++) {
        switch (op) {
        case OC_REDUCE_SUM: sum += (double)x[i]; break;
        case OC_REDUCE_SUMSQ: sum += (double)x[i] * (double)x[i]; break;
        case OC_REDUCE_SUMABS: sum += fabs((double)x[i]); break;
        case OC_REDUCE_MIN:
            if (x[i] < best || x[i] != x[i]) best = x[i];
            break;
        default:
            if (x[i] > best || x[i] != x[i]) best = x[i];
            break;
        }
    }
    return op == OC_REDUCE_MIN || op == OC_REDUCE_MAX ? best : (float)sum;
}

float oc__dot_f32_scalar(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static float greatest_of(const float *x, size_t n) {
    float best = -HUGE_VALF;
    for (size_t i = 0; i < n; i++)
        if (x[i] > best) best = x[i];
    return best;
}

void oc__softmax_f32_scalar(const float *x, float *y, size_t n) {
    float max = greatest_of(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        y[i] = expf(x[i] - max);
        sum += (double)y[i];
    }
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)y[i] / sum);
}

void oc__log_softmax_f32_scalar(const float *x, float *y, size_t n) {
    float max = greatest_of(x, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - max);
    float lse = (float)log(sum);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] - max - lse;
}

float oc__exp_shift_f32_scalar(const float *x, float scale, float shift,
                               float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        y[i] = expf(scale * x[i] - shift);
        sum += (double)y[i];
    }
    return (float)sum;
}

void oc__layernorm_f32_scalar(const float *x, const float *gamma,
                              const float *beta, float epsilon, float *y,
                              float *stats, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    float mean = (float)(sum / (double)n);
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)mean;
        squares += d * d;
    }
    float factor = (float)(1 / sqrt(squares / (double)n + (double)epsilon));
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * factor * (gamma ? gamma[i] : 1) +
               (beta ? beta[i] : 0);
    if (stats) {
        stats[0] = mean;
        stats[1] = factor;
    }
}

void oc__rmsnorm_f32_scalar(const float *x, const float *gamma, float epsilon,
                            float *y, float *stats, size_t n) {
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    float factor = (float)(1 / sqrt(squares / (double)n + (double)epsilon));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor * (gamma ? gamma[i] : 1);
    if (stats) *stats = factor;
}
