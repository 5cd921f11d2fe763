/*
 * bf16_scalar.c - the tiles of products of bf16 in plain C, for any width; see
 * gemm.h and conv.h.
 *
 * A product of two bf16 is exact in f32, so a sum rounds once for each term,
 * as with f32.  Of a pair the odd step comes first, as VDPBF16PS has it.
 */
#include "base/half.h"
#include "kernels/kernels.h"

#define MR     4
#define NR     8
#define MAX_C  16
#define MAX_PX 8

/* A pair as its two numbers. */
typedef struct two {
    float even, odd;
} two;

static two pair_at(const float *p) {
    uint16_t pair[2];
    memcpy(pair, p, sizeof pair);
    return (two){oc__bf16_to_f32(pair[0]), oc__bf16_to_f32(pair[1])};
}

/* sums[j] += a . b[j], n pairs side by side. */
static void add_pairs(float *sums, const float *a, const float *b, size_t n) {
    two x = pair_at(a);
    for (size_t j = 0; j < n; j++) {
        two y = pair_at(b + j);
        sums[j] += x.odd * y.odd;
        sums[j] += x.even * y.even;
    }
}

static float clamp(float x, float lo, float hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static void gemm_tile(const oc__gemm_f32_tile *t) {
    for (size_t i = 0; i < t->rows; i++) {
        float sums[NR] = {0}, *c = t->c + i * t->c_row_stride;
        for (size_t s = 0; s < t->k; s++)
            add_pairs(sums,
                      t->a + s / OC_GEMM_STEPS * t->a_step + i * OC_GEMM_STEPS +
                          s % OC_GEMM_STEPS,
                      t->b + s * NR, NR);
        for (size_t j = 0; j < t->cols; j++) {
            float x = t->first ? sums[j] : c[j] + sums[j];
            if (t->last) {
                x *= t->alpha;
                if (t->bias_n) x += t->bias_n[j];
                if (t->bias_m) x += t->bias_m[i];
                if (t->d) x += t->d[i * t->d_row_stride + j];
                x = clamp(x, t->lo, t->hi);
            }
            c[j] = x;
        }
    }
}

const oc__gemm_f32_kernel oc__gemm_bf16_scalar = {MR, NR, 1, 1, gemm_tile};

/* The sums of pixel p, for all blocks of channels. */
static void conv_sums(const oc__conv_tile *t, size_t p, float *sums) {
    size_t pixel = t->c / 2, width = t->out_blocks * t->c;
    for (size_t o = 0; o < width; o++)
        sums[o] = t->bias ? t->bias[o] : 0.0f;
    for (size_t b = 0; b < t->blocks; b++)
        for (size_t j = 0; j < t->tap_count; j++) {
            size_t steps = b + 1 == t->blocks ? t->last_steps : pixel;
            const float *in = t->in + b * t->in_block_step + t->taps[j];
            const float *w = t->w + (b * t->tap_count + j) * pixel * width;
            for (size_t s = 0; s < steps; s++)
                add_pairs(sums, in + p * pixel + s, w + s * width, width);
        }
}

static void blocked(const oc__conv_tile *t) {
    float sums[OC_CONV_MAX_BLOCKS * MAX_C];
    for (size_t p = 0; p < t->px; p++) {
        conv_sums(t, p, sums);
        for (size_t i = 0; i < t->out_blocks * t->c; i++) {
            size_t at = i / t->c * t->out_block_step + p * t->c + i % t->c;
            float x = t->first ? sums[i] : t->out[at] + sums[i];
            if (t->last) {
                if (t->residual) x += t->residual[at];
                x = clamp(x, t->lo, t->hi);
            }
            t->out[at] = x;
        }
    }
}

const oc__conv_f32_kernel oc__conv_bf16_scalar = {
    {0, MAX_PX, MAX_PX}, blocked, NULL};

double oc__peak_bf16_scalar(size_t rounds, float *sink) {
    float acc[12], x = *sink;
    for (size_t i = 0; i < 12; i++)
        acc[i] = (float)i;
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < 12; i++)
            add_pairs(&acc[i], &x, &x, 1);
    for (size_t i = 1; i < 12; i++)
        acc[0] += acc[i];
    *sink = acc[0];
    return 4.0 * 12.0 * (double)rounds;
}
