/* light_avx2.c - light_template.h on vectors of 8. */
#include "kernels/x86/act_avx2.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name
#define K(job)  oc__##job##_avx2
#define VF      __m256
#define VI      __m256i
#define VM      __m256
#define V_WIDTH 8

VINLINE VI V(load_u8)(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

VINLINE VI V(load_i8)(const int8_t *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

VINLINE void V(store_u8)(uint8_t *p, VI x) {
    /* The low bytes of each half to its bottom, then the halves together. */
    const VI low = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1,
                                    -1, -1, -1, -1, 0, 4, 8, 12, -1, -1, -1, -1,
                                    -1, -1, -1, -1, -1, -1, -1, -1);
    x = _mm256_shuffle_epi8(x, low);
    __m128i b = _mm_unpacklo_epi32(_mm256_castsi256_si128(x),
                                   _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i *)p, b);
}

VINLINE VF V(load_f16)(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

VINLINE void V(store_f16)(uint16_t *p, VF x) {
    __m128i h =
        _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128((__m128i *)p, h);
}

VINLINE VF V(load_bf16)(const uint16_t *p) {
    VI wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

VINLINE void V(store_bf16)(uint16_t *p, VF x) {
    VI u = _mm256_castps_si256(x), top = _mm256_srli_epi32(u, 16);
    VI odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    VI r =
        _mm256_add_epi32(_mm256_add_epi32(u, odd), _mm256_set1_epi32(0x7fff));
    r = _mm256_srli_epi32(r, 16);
    r = _mm256_blendv_epi8(r, _mm256_or_si256(top, _mm256_set1_epi32(0x40)),
                           _mm256_castps_si256(V(isnan)(x)));
    r = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(r));
}

/* op of the halves, of their halves, and so on. */
#define REDUCE(op)                                                             \
    __m128 h = op(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));     \
    h = op(h, _mm_movehl_ps(h, h));                                            \
    return _mm_cvtss_f32(op(h, _mm_movehdup_ps(h)))

VINLINE float V(sum_lanes)(VF x) {
    REDUCE(_mm_add_ps);
}

VINLINE float V(max_lanes)(VF x) {
    REDUCE(_mm_max_ps);
}

VINLINE float V(min_lanes)(VF x) {
    REDUCE(_mm_min_ps);
}

#include "kernels/light_template.h"

#endif
