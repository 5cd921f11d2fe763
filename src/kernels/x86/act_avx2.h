/*
 * act_avx2.h - vectors of 8 f32: the primitives of v8_, and with them the
 * functions of act_template.h: v8_exp(), v8_act(), ...
 */
#ifndef OC_KERNELS_ACT_AVX2_H
#define OC_KERNELS_ACT_AVX2_H

#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>
#include <math.h>

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name
#define VF      __m256
#define VI      __m256i
#define VM      __m256 /* all ones or all zeros in a lane */
#define V_WIDTH 8
#define V_INF   HUGE_VALF
#define V_NAN   NAN

VINLINE VF V(set1)(float x) {
    return _mm256_set1_ps(x);
}
VINLINE VF V(load)(const float *p) {
    return _mm256_loadu_ps(p);
}
VINLINE void V(store)(float *p, VF x) {
    _mm256_storeu_ps(p, x);
}
/* The first n lanes, n <= 8: a window on eight ones and eight zeros. */
VINLINE VM V(first)(size_t n) {
    static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                       0,  0,  0,  0,  0,  0,  0,  0};
    return _mm256_castsi256_ps(
        _mm256_loadu_si256((const __m256i *)(const void *)(window + 8 - n)));
}
/* Reads n floats; the other lanes are 0.  Masked-out lanes cannot fault. */
VINLINE VF V(load_n)(const float *p, size_t n) {
    return _mm256_maskload_ps(p, _mm256_castps_si256(V(first)(n)));
}
VINLINE void V(store_n)(float *p, VF x, size_t n) {
    _mm256_maskstore_ps(p, _mm256_castps_si256(V(first)(n)), x);
}
VINLINE VF V(add)(VF a, VF b) {
    return _mm256_add_ps(a, b);
}
VINLINE VF V(sub)(VF a, VF b) {
    return _mm256_sub_ps(a, b);
}
VINLINE VF V(mul)(VF a, VF b) {
    return _mm256_mul_ps(a, b);
}
VINLINE VF V(div)(VF a, VF b) {
    return _mm256_div_ps(a, b);
}
VINLINE VF V(sqrt)(VF x) {
    return _mm256_sqrt_ps(x);
}
VINLINE VF V(fma)(VF a, VF b, VF c) { /* a b + c */
    return _mm256_fmadd_ps(a, b, c);
}
VINLINE VF V(fnma)(VF a, VF b, VF c) { /* c - a b */
    return _mm256_fnmadd_ps(a, b, c);
}
/* The instructions return the second operand for NaN and for equals. */
VINLINE VF V(maxx)(VF a, VF x) {
    return _mm256_max_ps(a, x);
}
VINLINE VF V(minx)(VF a, VF x) {
    return _mm256_min_ps(a, x);
}
VINLINE VF V(abs)(VF x) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
VINLINE VF V(sign)(VF x) { /* the sign bit alone */
    return _mm256_and_ps(_mm256_set1_ps(-0.0f), x);
}
VINLINE VF V(neg)(VF x) {
    return _mm256_xor_ps(_mm256_set1_ps(-0.0f), x);
}
VINLINE VF V(or)(VF a, VF b) {
    return _mm256_or_ps(a, b);
}
VINLINE VF V(round)(VF x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
VINLINE VF V(floor)(VF x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
VINLINE VF V(ceil)(VF x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
VINLINE VM V(lt)(VF a, VF b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
VINLINE VM V(gt)(VF a, VF b) {
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
VINLINE VM V(eq)(VF a, VF b) {
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
VINLINE VM V(isnan)(VF x) {
    return _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
}
VINLINE VM V(m_and)(VM a, VM b) {
    return _mm256_and_ps(a, b);
}
VINLINE VM V(m_or)(VM a, VM b) {
    return _mm256_or_ps(a, b);
}
VINLINE int V(m_any)(VM m) {
    return _mm256_movemask_ps(m) != 0;
}
VINLINE VF V(select)(VM m, VF a, VF b) { /* m ? a : b */
    return _mm256_blendv_ps(b, a, m);
}
VINLINE VI V(cast_i)(VF x) {
    return _mm256_castps_si256(x);
}
VINLINE VF V(cast_f)(VI x) {
    return _mm256_castsi256_ps(x);
}
VINLINE VI V(to_i)(VF x) { /* rounds */
    return _mm256_cvtps_epi32(x);
}
VINLINE VF V(to_f)(VI x) {
    return _mm256_cvtepi32_ps(x);
}
VINLINE VI V(i_set1)(int x) {
    return _mm256_set1_epi32(x);
}
VINLINE VI V(i_add)(VI a, VI b) {
    return _mm256_add_epi32(a, b);
}
VINLINE VI V(i_sub)(VI a, VI b) {
    return _mm256_sub_epi32(a, b);
}
VINLINE VI V(i_shl23)(VI x) {
    return _mm256_slli_epi32(x, 23);
}
VINLINE VI V(i_sra23)(VI x) {
    return _mm256_srai_epi32(x, 23);
}
VINLINE VI V(i_half)(VI x) { /* x / 2, down */
    return _mm256_srai_epi32(x, 1);
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
