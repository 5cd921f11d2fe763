/* tile_i8_avxvnni.c - the exact 8-bit product with vpdpbusd on 8 columns:
 * u8 times s8, four steps a lane, summed in 32 bits without saturation. */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define VINLINE static inline __attribute__((always_inline)) OC_TARGET_AVXVNNI
#define VTARGET OC_TARGET_AVXVNNI
#define V(name) v8_##name
#define K(job)  oc__##job##_avxvnni
#define VI      __m256i
#define LANES   8

/* As tile_avx2.c: 6 x 2 sums, 2 of B, 1 broadcast. */
#define MR           6
#define PANEL        16
#define HALF         1
#define VECTORS      2
#define THIN_ROWS    3
#define THIN_PANELS  2
#define EACH_THIN(X) X(1) X(2) X(3)
#define EACH(X)      X(1) X(2) X(3) X(4) X(5) X(6)

VINLINE VI V(zero)(void) {
    return _mm256_setzero_si256();
}
VINLINE VI V(b)(const int8_t *p, int j) {
    return _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * j));
}
VINLINE void V(put16)(uint8_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm_storeu_si128((__m128i *)(void *)to, x);
}
VINLINE void V(put8)(uint8_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm_storel_epi64((__m128i *)(void *)to, x);
}
VINLINE VI V(a)(const uint8_t *p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
VINLINE VI V(dot)(VI acc, VI a, VI b) {
    return _mm256_dpbusd_avx_epi32(acc, a, b);
}
VINLINE void V(fold)(uint32_t *to, const VI *acc) {
    _mm256_storeu_si256((__m256i *)(void *)to, acc[0]);
    _mm256_storeu_si256((__m256i *)(void *)(to + 8), acc[1]);
}

VINLINE void V(lanes)(VI *v, const VI *acc) {
    v[0] = acc[0];
    v[1] = acc[1];
}
VINLINE VI V(lanes_at)(const int32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
VINLINE VI V(i_sum)(VI a, VI b) {
    return _mm256_add_epi32(a, b);
}
#include "kernels/x86/codes_avx2.h"

#include "kernels/tile_i8_template.h"

#endif
