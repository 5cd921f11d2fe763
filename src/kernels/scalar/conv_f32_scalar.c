/* conv_f32_scalar.c - convolution and pooling in plain C; see conv.h. */
#include "kernels/kernels.h"

#include <math.h>

/* The widest block there is: these kernels serve any. */
#define MAX_C  16
#define MAX_PX 8

static float finish(float x, const float *residual, size_t at, float lo,
                    float hi) {
    if (residual) x += residual[at];
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

/* pixel: elements between pixels and steps in a full block. */
static void tile(const oc__conv_tile *t, size_t pixel) {
    float acc[MAX_PX][OC_CONV_MAX_BLOCKS * MAX_C];
    size_t width = t->out_blocks * t->c;
    for (size_t p = 0; p < t->px; p++)
        for (size_t o = 0; o < width; o++)
            acc[p][o] = t->bias ? t->bias[o] : 0.0f;
    for (size_t b = 0; b < t->blocks; b++)
        for (size_t j = 0; j < t->tap_count; j++) {
            size_t steps = b + 1 == t->blocks ? t->last_steps : pixel;
            const float *in = t->in + b * t->in_block_step + t->taps[j];
            const float *w = t->w + (b * t->tap_count + j) * pixel * width;
            for (size_t s = 0; s < steps; s++)
                for (size_t p = 0; p < t->px; p++)
                    for (size_t o = 0; o < width; o++)
                        acc[p][o] += in[p * pixel + s] * w[s * width + o];
        }
    for (size_t b = 0; b < t->out_blocks; b++)
        for (size_t p = 0; p < t->px; p++)
            for (size_t i = 0; i < t->c; i++) {
                size_t at = b * t->out_block_step + p * t->c + i;
                float x = acc[p][b * t->c + i];
                if (!t->first) x = t->out[at] + x;
                if (t->last) x = finish(x, t->residual, at, t->lo, t->hi);
                t->out[at] = x;
            }
}

static void blocked(const oc__conv_tile *t) {
    tile(t, t->c);
}

static void plain(const oc__conv_tile *t) {
    tile(t, 1);
}

const oc__conv_f32_kernel oc__conv_f32_scalar = {
    {0, MAX_PX, MAX_PX}, blocked, plain};

void oc__depthwise_f32_scalar(const oc__depthwise_run *r) {
    for (size_t p = 0; p < r->px; p++)
        for (size_t i = 0; i < r->c; i++) {
            size_t at = p * r->c + i;
            float sum = r->bias ? r->bias[i] : 0.0f;
            for (size_t k = 0; k < r->row_count; k++)
                for (size_t j = 0; j < r->tap_count; j++) {
                    int64_t x =
                        r->first + (int64_t)(p * r->stride + j * r->dilation);
                    if (x < 0 || x >= (int64_t)r->width) continue;
                    sum += r->rows[k][(size_t)x * r->c + i] *
                           r->w[k * r->w_row_step + j * r->c + i];
                }
            r->out[at] = finish(sum, r->residual, at, r->lo, r->hi);
        }
}

/* ---- pooling ------------------------------------------------------------- */

static void add_rows(const float *const *rows, size_t count, float *y,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = 0.0f;
        for (size_t k = 0; k < count; k++)
            x += rows[k][i];
        y[i] = x;
    }
}

static void max_rows(const float *const *rows, size_t count, float *y,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = -INFINITY;
        for (size_t k = 0; k < count; k++)
            x = rows[k][i] > x ? rows[k][i] : x;
        y[i] = x;
    }
}

static void add_taps(const float *x, size_t step, size_t tap_step, size_t taps,
                     float scale, float *y, size_t px, size_t c) {
    for (size_t p = 0; p < px; p++)
        for (size_t i = 0; i < c; i++) {
            float sum = 0.0f;
            for (size_t j = 0; j < taps; j++)
                sum += x[p * step + j * tap_step + i];
            y[p * c + i] = sum * scale;
        }
}

static void max_taps(const float *x, size_t step, size_t tap_step, size_t taps,
                     float scale, float *y, size_t px, size_t c) {
    (void)scale;
    for (size_t p = 0; p < px; p++)
        for (size_t i = 0; i < c; i++) {
            float most = -INFINITY;
            for (size_t j = 0; j < taps; j++) {
                float v = x[p * step + j * tap_step + i];
                most = v > most ? v : most;
            }
            y[p * c + i] = most;
        }
}

const oc__pool_f32_kernel oc__pool_f32_scalar = {add_rows, max_rows, add_taps,
                                                 max_taps};
