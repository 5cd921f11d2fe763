/* light_avx512.c - light_template.h on vectors of 16. */
#include "kernels/x86/act_avx512.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512
#define VTARGET OC_TARGET_AVX512
#define V(name) v16_##name
#define K(job)  oc__##job##_avx512
#define VF      __m512
#define VI      __m512i
#define VM      __mmask16
#define V_WIDTH 16

VINLINE VI V(load_u8)(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

VINLINE VI V(load_i8)(const int8_t *p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}

VINLINE void V(store_u8)(uint8_t *p, VI x) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x));
}

VINLINE VF V(load_f16)(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

VINLINE void V(store_f16)(uint16_t *p, VF x) {
    __m256i h =
        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256((__m256i *)p, h);
}

VINLINE VF V(load_bf16)(const uint16_t *p) {
    VI wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Not VCVTNEPS2BF16, which flushes denormals. */
VINLINE void V(store_bf16)(uint16_t *p, VF x) {
    VI u = _mm512_castps_si512(x), top = _mm512_srli_epi32(u, 16);
    VI odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    VI r =
        _mm512_add_epi32(_mm512_add_epi32(u, odd), _mm512_set1_epi32(0x7fff));
    r = _mm512_srli_epi32(r, 16);
    r = _mm512_mask_or_epi32(r, V(isnan)(x), top, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(r));
}

VINLINE float V(sum_lanes)(VF x) {
    return _mm512_reduce_add_ps(x);
}

VINLINE float V(max_lanes)(VF x) {
    return _mm512_reduce_max_ps(x);
}

VINLINE float V(min_lanes)(VF x) {
    return _mm512_reduce_min_ps(x);
}

#include "kernels/light_template.h"

#endif
