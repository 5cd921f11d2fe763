/*
 * tile_i8_avx2.c - the exact 8-bit product without dot-product instructions.
 *
 * vpmaddubsw would multiply bytes, but adds pairs of products with saturation
 * to 16 bits and so loses bits (255 * 127 * 2 does not fit).  Here A is packed
 * as s16, B widened to s16 on its way from memory, and vpmaddwd adds pairs of
 * products in 32 bits:
 *
 *     a         a0 a1 | a0 a1 | a0 a1 | ...     two steps of one row
 *     b(0)      column 0 | 1 | 2 | ... | 7      two steps of each
 *     acc       their sums
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define VINLINE static inline __attribute__((always_inline)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name
#define K(job)  oc__##job##_avx2
#define VI      __m256i
#define LANES   8
#define ELEM    int16_t

/* 16 registers: 6 x 2 sums, 2 of B, 1 broadcast.  An addition has a latency
 * of 1, so a low tile is as fast as a wide one. */
#define MR           6
#define PANEL        16
#define STEP         2
#define HALF         1
#define VECTORS      2
#define THIN_ROWS    1
#define THIN_PANELS  2
#define EACH_THIN(X) X(1)
#define EACH(X)      X(1) X(2) X(3) X(4) X(5) X(6)

VINLINE VI V(zero)(void) {
    return _mm256_setzero_si256();
}
VINLINE VI V(b)(const int8_t *p, int j) {
    return _mm256_cvtepi8_epi16(
        _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * j)));
}
VINLINE void V(put16)(int16_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_cvtepu8_epi16(x));
}
VINLINE void V(put8)(int16_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm_storeu_si128((__m128i *)(void *)to, _mm_cvtepu8_epi16(x));
}
VINLINE VI V(a)(const int16_t *p) {
    int32_t two;
    __builtin_memcpy(&two, p, sizeof two);
    return _mm256_set1_epi32(two);
}
VINLINE VI V(dot)(VI acc, VI a, VI b) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
    /* Products first and sums later, as gcc would schedule it, needs more
     * registers than there are; this keeps the pairs together. */
    __asm__ volatile("" : "+x"(acc));
    return acc;
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
