/*
 * half.h - the floating-point types narrower than f32, to and from f32.
 *
 *     type         sign exp mantissa bias  largest   Inf  NaN          -0
 *     f16            1   5    10      15   65504     yes  many         yes
 *     bf16           1   8     7     127   3.39e38   yes  many         yes
 *     f8e4m3fn       1   4     3       7   448       no   7f ff        yes
 *     f8e4m3fnuz     1   4     3       8   240       no   80           no
 *     f8e5m2         1   5     2      15   57344     yes  7d-7f fd-ff  yes
 *     f8e5m2fnuz     1   5     2      16   57344     no   80           no
 *     f8e8m0         0   8     0     127   2^127     no   ff           no 0
 *     f4e2m1         1   2     1       1   6         no   none         yes
 *
 * All but f8e8m0 round to nearest, halves to even.  Values travel as their
 * bits; f4e2m1 lies in the low four.  The rules for what does not fit are
 * those of ONNX Cast, opsets 19 to 25.
 */
#ifndef OC_BASE_HALF_H
#define OC_BASE_HALF_H

#include <ocelli/ocelli.h>

#include <string.h>

static inline uint32_t oc__f32_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float oc__f32_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/**
 * m / 2^shift, halves to even; shift >= 1.  The step all narrowings share:
 * a carry out of the mantissa is right as it stands, because the next code
 * after the largest mantissa is the next exponent with mantissa 0.
 */
static inline uint64_t oc__shift_round(uint64_t m, int shift) {
    if (shift > 63) return 0;
    uint64_t q = m >> shift, rest = m & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1)));
}

static inline float oc__f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exp = h >> 10 & 31, man = h & 0x3ff;
    if (exp == 31) /* Inf, or NaN made quiet */
        return oc__f32_from_bits(sign | 0x7f800000 | man << 13 |
                                 (man ? 0x400000u : 0));
    if (exp == 0) { /* man * 2^-24, exact in f32 */
        float x = (float)man * 0x1p-24f;
        return sign ? -x : x;
    }
    return oc__f32_from_bits(sign | (exp + 112) << 23 | man << 13);
}

static inline uint16_t oc__f32_to_f16(float x) {
    uint32_t u = oc__f32_bits(x), sign = u >> 16 & 0x8000;
    uint32_t man = u & 0x7fffff;
    int exp = (int)(u >> 23 & 255) - 127;
    if (exp == 128)
        return (uint16_t)(sign | 0x7c00 | (man ? 0x200 | man >> 13 : 0));
    if (exp > 15) return (uint16_t)(sign | 0x7c00);
    /* Anything below 2^-25, f32's own denormals included, rounds to 0. */
    int below = exp < -14 ? -14 - exp : 0;
    uint32_t base = exp < -14 ? 0 : (uint32_t)(exp + 14) << 10;
    uint32_t code =
        base + (uint32_t)oc__shift_round(man | 0x800000, 13 + below);
    return (uint16_t)(sign | code); /* a carry past the top gives Inf */
}

/** From f64 at once: going through f32 would round twice. */
uint16_t oc__f64_to_f16(double x);

static inline float oc__bf16_to_f32(uint16_t h) {
    return oc__f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t oc__f32_to_bf16(float x) {
    uint32_t u = oc__f32_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/**
 * The four f8 types with a mantissa; dtype is OC_DTYPE_F8E4M3FN, F8E4M3FNUZ,
 * F8E5M2 or F8E5M2FNUZ.  What is too large (Inf included) becomes the largest
 * number of its sign with saturate, else Inf where the type has one and NaN
 * where not.  NaN stays NaN.
 */
uint8_t oc__f32_to_f8(oc_dtype dtype, float x, int saturate);
float oc__f8_to_f32(oc_dtype dtype, uint8_t code);

/** How f8e8m0 rounds; ONNX Cast's round_mode. */
typedef enum oc__f8e8m0_round {
    OC_F8E8M0_UP,      /* to the next power of two, away from 0 */
    OC_F8E8M0_DOWN,    /* towards 0 */
    OC_F8E8M0_NEAREST, /* halves up */
} oc__f8e8m0_round;

/**
 * To a power of two, 2^-127 to 2^127.  Outside: the nearer end with saturate,
 * else NaN; 0 counts as below, and so Inf as above.  The sign, which ONNX
 * leaves undefined, is ignored.
 */
uint8_t oc__f32_to_f8e8m0(float x, oc__f8e8m0_round round, int saturate);
float oc__f8e8m0_to_f32(uint8_t code);

/** Always saturates; NaN becomes -0 (8), as ONNX's own tests have it. */
uint8_t oc__f32_to_f4e2m1(float x);
float oc__f4e2m1_to_f32(uint8_t code);

#endif
