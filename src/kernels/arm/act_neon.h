/*
 * act_neon.h - vectors of 4 f32: the primitives of v4_, and with them the
 * functions of act_template.h: v4_exp(), v4_act(), ...
 */
#ifndef OC_KERNELS_ACT_NEON_H
#define OC_KERNELS_ACT_NEON_H

#include "kernels/kernels.h"

#if OC_ARCH_ARM

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define VINLINE static inline __attribute__((always_inline, unused))
#define VTARGET
#define V(name) v4_##name
#define VF      float32x4_t
#define VI      int32x4_t
#define VM      uint32x4_t
#define V_WIDTH 4
#define V_INF   HUGE_VALF
#define V_NAN   NAN

VINLINE VF V(set1)(float x) {
    return vdupq_n_f32(x);
}
VINLINE VF V(load)(const float *p) {
    return vld1q_f32(p);
}
VINLINE void V(store)(float *p, VF x) {
    vst1q_f32(p, x);
}
/* The first n lanes, n <= 4. */
VINLINE VM V(first)(size_t n) {
    static const uint32_t lane[4] = {0, 1, 2, 3};
    return vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)n));
}
/* Reads n floats; the other lanes are 0.  There is no masked load. */
VINLINE VF V(load_n)(const float *p, size_t n) {
    float t[4] = {0};
    for (size_t i = 0; i < n; i++)
        t[i] = p[i];
    return vld1q_f32(t);
}
VINLINE void V(store_n)(float *p, VF x, size_t n) {
    float t[4];
    vst1q_f32(t, x);
    for (size_t i = 0; i < n; i++)
        p[i] = t[i];
}
VINLINE VF V(add)(VF a, VF b) {
    return vaddq_f32(a, b);
}
VINLINE VF V(sub)(VF a, VF b) {
    return vsubq_f32(a, b);
}
VINLINE VF V(mul)(VF a, VF b) {
    return vmulq_f32(a, b);
}
VINLINE VF V(div)(VF a, VF b) {
    return vdivq_f32(a, b);
}
VINLINE VF V(sqrt)(VF x) {
    return vsqrtq_f32(x);
}
VINLINE VF V(fma)(VF a, VF b, VF c) { /* a b + c */
    return vfmaq_f32(c, a, b);
}
VINLINE VF V(fnma)(VF a, VF b, VF c) { /* c - a b */
    return vfmsq_f32(c, a, b);
}
VINLINE VM V(lt)(VF a, VF b) {
    return vcltq_f32(a, b);
}
VINLINE VM V(gt)(VF a, VF b) {
    return vcgtq_f32(a, b);
}
VINLINE VM V(eq)(VF a, VF b) {
    return vceqq_f32(a, b);
}
VINLINE VM V(isnan)(VF x) {
    return vmvnq_u32(vceqq_f32(x, x));
}
VINLINE VM V(m_and)(VM a, VM b) {
    return vandq_u32(a, b);
}
VINLINE VM V(m_or)(VM a, VM b) {
    return vorrq_u32(a, b);
}
VINLINE int V(m_any)(VM m) {
    return vmaxvq_u32(m) != 0;
}
VINLINE VF V(select)(VM m, VF a, VF b) { /* m ? a : b */
    return vbslq_f32(m, a, b);
}
/* fmax would turn -0 into 0 and lose which operand wins. */
VINLINE VF V(maxx)(VF a, VF x) {
    return vbslq_f32(vcgtq_f32(a, x), a, x);
}
VINLINE VF V(minx)(VF a, VF x) {
    return vbslq_f32(vcltq_f32(a, x), a, x);
}
VINLINE VI V(cast_i)(VF x) {
    return vreinterpretq_s32_f32(x);
}
VINLINE VF V(cast_f)(VI x) {
    return vreinterpretq_f32_s32(x);
}
VINLINE VF V(abs)(VF x) {
    return vabsq_f32(x);
}
VINLINE VF V(sign)(VF x) { /* the sign bit alone */
    return vreinterpretq_f32_u32(
        vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x80000000u)));
}
VINLINE VF V(neg)(VF x) {
    return vnegq_f32(x);
}
VINLINE VF V(or)(VF a, VF b) {
    return vreinterpretq_f32_u32(
        vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
VINLINE VF V(round)(VF x) {
    return vrndnq_f32(x);
}
VINLINE VF V(floor)(VF x) {
    return vrndmq_f32(x);
}
VINLINE VF V(ceil)(VF x) {
    return vrndpq_f32(x);
}
VINLINE VI V(to_i)(VF x) { /* rounds */
    return vcvtnq_s32_f32(x);
}
VINLINE VF V(to_f)(VI x) {
    return vcvtq_f32_s32(x);
}
VINLINE VI V(i_set1)(int x) {
    return vdupq_n_s32(x);
}
VINLINE VI V(i_add)(VI a, VI b) {
    return vaddq_s32(a, b);
}
VINLINE VI V(i_sub)(VI a, VI b) {
    return vsubq_s32(a, b);
}
VINLINE VI V(i_shl23)(VI x) {
    return vshlq_n_s32(x, 23);
}
VINLINE VI V(i_sra23)(VI x) {
    return vshrq_n_s32(x, 23);
}
VINLINE VI V(i_half)(VI x) { /* x / 2, down */
    return vshrq_n_s32(x, 1);
}

#include "kernels/act_template.h"

#undef VINLINE
#undef VTARGET
#undef V
#undef VF
#undef VI
#undef VM
#undef V_WIDTH
#undef V_INF
#undef V_NAN

#endif
#endif
