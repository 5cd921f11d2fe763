/*
 * tile_i8_neondot.c - the exact 8-bit product with sdot on 4 columns: s8 times
 * s8, four steps a lane, summed in 32 bits.  So A is packed as s8.
 */
#include "kernels/kernels.h"

#if OC_ARCH_ARM

#include <arm_neon.h>

#define VINLINE static inline __attribute__((always_inline)) OC_TARGET_NEON_DOT
#define VTARGET OC_TARGET_NEON_DOT
#define V(name) v4_##name
#define K(job)  oc__##job##_neondot
#define VI      int32x4_t
#define LANES   4

/* 32 registers: 8 x 3 sums, 3 of B, 1 broadcast. */
#define MR           8
#define PANEL        12
#define VECTORS      3
#define A_SIGNED     1
#define THIN_ROWS    2
#define THIN_PANELS  2
#define EACH_THIN(X) X(1) X(2)
#define EACH(X)      X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

VINLINE VI V(zero)(void) {
    return vdupq_n_s32(0);
}
VINLINE VI V(b)(const int8_t *p, int j) {
    return vreinterpretq_s32_s8(vld1q_s8(p + 16 * j));
}
VINLINE void V(put16)(uint8_t *to, const uint8_t *from, uint8_t by) {
    vst1q_u8(to, veorq_u8(vld1q_u8(from), vdupq_n_u8(by)));
}
VINLINE void V(put8)(uint8_t *to, const uint8_t *from, uint8_t by) {
    vst1_u8(to, veor_u8(vld1_u8(from), vdup_n_u8(by)));
}
VINLINE VI V(a)(const uint8_t *p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return vdupq_n_s32(four);
}
VINLINE VI V(dot)(VI acc, VI a, VI b) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(b), vreinterpretq_s8_s32(a));
}
VINLINE void V(fold)(uint32_t *to, const VI *acc) {
    for (int i = 0; i < VECTORS; i++)
        vst1q_u32(to + 4 * i, vreinterpretq_u32_s32(acc[i]));
}

VINLINE void V(lanes)(VI *v, const VI *acc) {
    for (int i = 0; i < VECTORS; i++)
        v[i] = acc[i];
}
VINLINE VI V(lanes_at)(const int32_t *p) {
    return vld1q_s32(p);
}
VINLINE VI V(i_sum)(VI a, VI b) {
    return vaddq_s32(a, b);
}

typedef struct V(coder) {
    int32x4_t bias, zero;
    float32x4_t scale, lo, hi;
} V(coder);

VINLINE V(coder) V(coder_at)(const oc__codes *c, size_t col) {
    const int least = (c->is_signed ? -128 : 0) - c->zero;
    V(coder) k;
    k.bias = vld1q_s32(c->bias + col);
    k.scale = vld1q_f32(c->scale + col);
    k.zero = vdupq_n_s32(c->zero);
    k.lo = vdupq_n_f32((float)least);
    k.hi = vdupq_n_f32((float)(least + 255));
    return k;
}

/* The number of two where one is NaN: the least code. */
VINLINE void V(code_row)(VI sum, const V(coder) * k, uint8_t *y) {
    float32x4_t f = vcvtq_f32_s32(vaddq_s32(sum, k->bias));
    f = vmaxnmq_f32(vmulq_f32(f, k->scale), k->lo);
    VI q = vaddq_s32(vcvtnq_s32_f32(vminq_f32(f, k->hi)), k->zero);
    int16x4_t half = vmovn_s32(q);
    int8x8_t byte = vmovn_s16(vcombine_s16(half, half));
    uint32_t four = vget_lane_u32(vreinterpret_u32_s8(byte), 0);
    __builtin_memcpy(y, &four, sizeof four);
}

VINLINE void V(code4)(VI a, VI b, VI c, VI d, const V(coder) * k,
                      uint8_t *const *y, const int n) {
    V(code_row)(a, k, y[0]);
    if (n > 1) V(code_row)(b, k, y[1]);
    if (n > 2) V(code_row)(c, k, y[2]);
    if (n > 3) V(code_row)(d, k, y[3]);
}

typedef struct V(scaler) {
    int32x4_t bias;
    float32x4_t scale, shift;
} V(scaler);

VINLINE V(scaler) V(scaler_at)(const oc__codes *c, size_t col) {
    V(scaler) k;
    k.bias = vld1q_s32(c->bias + col);
    k.scale = vld1q_f32(c->scale + col);
    k.shift = vld1q_f32(c->shift + col);
    return k;
}

VINLINE void V(scale_row)(VI sum, const V(scaler) * k, float *y) {
    float32x4_t f = vcvtq_f32_s32(vaddq_s32(sum, k->bias));
    vst1q_f32(y, vaddq_f32(vmulq_f32(f, k->scale), k->shift));
}

#include "kernels/tile_i8_template.h"

#endif
