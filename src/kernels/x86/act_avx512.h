/*
 * act_avx512.h - vectors of 16 f32: the primitives of v16_, and with them the
 * functions of act_template.h: v16_exp(), v16_act(), ...
 */
#ifndef OC_KERNELS_ACT_AVX512_H
#define OC_KERNELS_ACT_AVX512_H

#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>
#include <math.h>

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512
#define VTARGET OC_TARGET_AVX512
#define V(name) v16_##name
#define VF      __m512
#define VI      __m512i
#define VM      __mmask16
#define V_WIDTH 16
#define V_INF   HUGE_VALF
#define V_NAN   NAN

VINLINE VF V(set1)(float x) {
    return _mm512_set1_ps(x);
}
VINLINE VF V(load)(const float *p) {
    return _mm512_loadu_ps(p);
}
VINLINE void V(store)(float *p, VF x) {
    _mm512_storeu_ps(p, x);
}
/* The first n lanes, n <= 16. */
VINLINE VM V(first)(size_t n) {
    return (VM)((1u << n) - 1);
}
/* Reads n floats; the other lanes are 0. */
VINLINE VF V(load_n)(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(V(first)(n), p);
}
VINLINE void V(store_n)(float *p, VF x, size_t n) {
    _mm512_mask_storeu_ps(p, V(first)(n), x);
}
VINLINE VF V(add)(VF a, VF b) {
    return _mm512_add_ps(a, b);
}
VINLINE VF V(sub)(VF a, VF b) {
    return _mm512_sub_ps(a, b);
}
VINLINE VF V(mul)(VF a, VF b) {
    return _mm512_mul_ps(a, b);
}
VINLINE VF V(div)(VF a, VF b) {
    return _mm512_div_ps(a, b);
}
VINLINE VF V(sqrt)(VF x) {
    return _mm512_sqrt_ps(x);
}
VINLINE VF V(fma)(VF a, VF b, VF c) { /* a b + c */
    return _mm512_fmadd_ps(a, b, c);
}
VINLINE VF V(fnma)(VF a, VF b, VF c) { /* c - a b */
    return _mm512_fnmadd_ps(a, b, c);
}
/* The instructions return the second operand for NaN and for equals. */
VINLINE VF V(maxx)(VF a, VF x) {
    return _mm512_max_ps(a, x);
}
VINLINE VF V(minx)(VF a, VF x) {
    return _mm512_min_ps(a, x);
}
VINLINE VF V(abs)(VF x) {
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), x);
}
VINLINE VF V(sign)(VF x) { /* the sign bit alone */
    return _mm512_and_ps(_mm512_set1_ps(-0.0f), x);
}
VINLINE VF V(neg)(VF x) {
    return _mm512_xor_ps(_mm512_set1_ps(-0.0f), x);
}
VINLINE VF V(or)(VF a, VF b) {
    return _mm512_or_ps(a, b);
}
VINLINE VF V(round)(VF x) {
    return _mm512_roundscale_ps(x,
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VINLINE VF V(floor)(VF x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
VINLINE VF V(ceil)(VF x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
VINLINE VM V(lt)(VF a, VF b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
VINLINE VM V(gt)(VF a, VF b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
VINLINE VM V(eq)(VF a, VF b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
VINLINE VM V(isnan)(VF x) {
    return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
}
VINLINE VM V(m_and)(VM a, VM b) {
    return a & b;
}
VINLINE VM V(m_or)(VM a, VM b) {
    return a | b;
}
VINLINE int V(m_any)(VM m) {
    return m != 0;
}
VINLINE VF V(select)(VM m, VF a, VF b) { /* m ? a : b */
    return _mm512_mask_blend_ps(m, b, a);
}
VINLINE VI V(cast_i)(VF x) {
    return _mm512_castps_si512(x);
}
VINLINE VF V(cast_f)(VI x) {
    return _mm512_castsi512_ps(x);
}
VINLINE VI V(to_i)(VF x) { /* rounds */
    return _mm512_cvtps_epi32(x);
}
VINLINE VF V(to_f)(VI x) {
    return _mm512_cvtepi32_ps(x);
}
VINLINE VI V(i_set1)(int x) {
    return _mm512_set1_epi32(x);
}
VINLINE VI V(i_add)(VI a, VI b) {
    return _mm512_add_epi32(a, b);
}
VINLINE VI V(i_sub)(VI a, VI b) {
    return _mm512_sub_epi32(a, b);
}
VINLINE VI V(i_shl23)(VI x) {
    return _mm512_slli_epi32(x, 23);
}
VINLINE VI V(i_sra23)(VI x) {
    return _mm512_srai_epi32(x, 23);
}
VINLINE VI V(i_half)(VI x) { /* x / 2, down */
    return _mm512_srai_epi32(x, 1);
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
