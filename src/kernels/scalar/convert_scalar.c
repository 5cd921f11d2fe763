/* convert_scalar.c - the specification of the conversions. */
#include "base/half.h"
#include "kernels/kernels.h"

#include <math.h>

void oc__f16_to_f32_scalar(const uint16_t *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = oc__f16_to_f32(x[i]);
}

void oc__f32_to_f16_scalar(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = oc__f32_to_f16(x[i]);
}

void oc__bf16_to_f32_scalar(const uint16_t *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = oc__bf16_to_f32(x[i]);
}

void oc__f32_to_bf16_scalar(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = oc__f32_to_bf16(x[i]);
}

/* round(x / scale) + zero within lo..hi.  Clamped while still a float, since
 * the integer conversion of what does not fit is undefined; by comparisons
 * that are false for NaN, which so becomes lo. */
static int quantize(float x, float scale, int zero, int lo, int hi) {
    float r = nearbyintf(x / scale);
    float least = (float)(lo - zero), most = (float)(hi - zero);
    r = r > least ? r : least;
    r = r < most ? r : most;
    return (int)r + zero;
}

void oc__quantize_u8_scalar(const float *x, float scale, int zero, uint8_t *y,
                            size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (uint8_t)quantize(x[i], scale, zero, 0, 255);
}

void oc__quantize_i8_scalar(const float *x, float scale, int zero, int8_t *y,
                            size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (int8_t)quantize(x[i], scale, zero, -128, 127);
}

void oc__dequantize_u8_scalar(const uint8_t *x, float scale, int zero, float *y,
                              size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] - zero) * scale;
}

void oc__dequantize_i8_scalar(const int8_t *x, float scale, int zero, float *y,
                              size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] - zero) * scale;
}

void oc__requantize_i8_scalar(const int32_t *x, const int32_t *bias,
                              const float *scale, int zero, int is_signed,
                              void *y, size_t rows, size_t cols) {
    uint8_t *out = y;
    int lo = is_signed ? -128 : 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) {
            uint32_t sum = (uint32_t)x[r * cols + c] + (uint32_t)bias[c];
            float v = (float)(int32_t)sum * scale[c];
            out[r * cols + c] = (uint8_t)quantize(v, 1, zero, lo, lo + 255);
        }
}

static int code_at(const uint8_t *x, size_t i, int is_signed) {
    return is_signed ? (int8_t)x[i] : x[i];
}

void oc__add_i8_scalar(const oc__add_i8_args *k, const uint8_t *a,
                       const uint8_t *b, uint8_t *y, size_t n) {
    int lo = k->is_signed ? -128 : 0;
    for (size_t i = 0; i < n; i++) {
        int u = code_at(a, i, k->is_signed) - k->a_zero;
        int v = code_at(b, i, k->is_signed) - k->b_zero;
        float left = (float)u * k->a_scale, right = (float)v * k->b_scale;
        y[i] = (uint8_t)quantize(left + right, 1, k->zero, lo, lo + 255);
    }
}

void oc__mul_i8_scalar(const oc__add_i8_args *k, const uint8_t *a,
                       const uint8_t *b, uint8_t *y, size_t n) {
    int lo = k->is_signed ? -128 : 0;
    for (size_t i = 0; i < n; i++) {
        int u = code_at(a, i, k->is_signed) - k->a_zero;
        int v = code_at(b, i, k->is_signed) - k->b_zero;
        float r = (float)(u * v) * k->a_scale;
        y[i] = (uint8_t)quantize(r, 1, k->zero, lo, lo + 255);
    }
}

void oc__taps_f32_scalar(const float *x, const size_t *at, const float *w,
                         size_t taps, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t t = 0; t < taps; t++)
            sum = fmaf(w[t], x[at[t] + i], sum);
        y[i] = sum;
    }
}
