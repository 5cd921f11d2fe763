/* blake3_avx2.c - eight chunks side by side, a lane each; see blake3.h. */
#include "base/blake3_private.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
/* State and message stay in registers and constant places only when the loops
   are gone. */
#define UNROLL      _Pragma("GCC unroll 8")
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

int oc__blake3_has_eight(void) {
    return __builtin_cpu_supports("avx2");
}

AVX2_INLINE __m256i turn16(__m256i x) {
    const __m256i by =
        _mm256_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2,
                        13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2);
    return _mm256_shuffle_epi8(x, by);
}

AVX2_INLINE __m256i turn8(__m256i x) {
    const __m256i by =
        _mm256_set_epi8(12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1,
                        12, 15, 14, 13, 8, 11, 10, 9, 4, 7, 6, 5, 0, 3, 2, 1);
    return _mm256_shuffle_epi8(x, by);
}

AVX2_INLINE __m256i turn12(__m256i x) {
    return _mm256_or_si256(_mm256_srli_epi32(x, 12), _mm256_slli_epi32(x, 20));
}

AVX2_INLINE __m256i turn7(__m256i x) {
    return _mm256_or_si256(_mm256_srli_epi32(x, 7), _mm256_slli_epi32(x, 25));
}

AVX2_INLINE void mix(__m256i *a, __m256i *b, __m256i *c, __m256i *d, __m256i x,
                     __m256i y) {
    *a = _mm256_add_epi32(_mm256_add_epi32(*a, *b), x);
    *d = turn16(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi32(*c, *d);
    *b = turn12(_mm256_xor_si256(*b, *c));
    *a = _mm256_add_epi32(_mm256_add_epi32(*a, *b), y);
    *d = turn8(_mm256_xor_si256(*d, *a));
    *c = _mm256_add_epi32(*c, *d);
    *b = turn7(_mm256_xor_si256(*b, *c));
}

/* Rows and columns of 8 x 8 words change places. */
AVX2_INLINE void transpose(__m256i v[8]) {
    __m256i a[8], b[8];
    UNROLL
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
    UNROLL
    for (int i = 0; i < 2; i++)
        UNROLL
    for (int j = 0; j < 2; j++) {
        __m256i p = a[4 * i + j], q = a[4 * i + j + 2];
        b[4 * i + 2 * j] = _mm256_unpacklo_epi64(p, q);
        b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(p, q);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

AVX2_INLINE void round_of(__m256i s[16], const __m256i m[16],
                          const uint8_t *o) {
    UNROLL
    for (int i = 0; i < 4; i++)
        mix(&s[i], &s[4 + i], &s[8 + i], &s[12 + i], m[o[2 * i]],
            m[o[2 * i + 1]]);
    UNROLL
    for (int i = 0; i < 4; i++)
        mix(&s[i], &s[4 + (i + 1) % 4], &s[8 + (i + 2) % 4],
            &s[12 + (i + 3) % 4], m[o[8 + 2 * i]], m[o[9 + 2 * i]]);
}

AVX2 void oc__blake3_eight(const uint8_t *in, size_t step, size_t blocks,
                           uint64_t counter, int count, uint32_t flags,
                           uint32_t first, uint32_t last, uint8_t *out) {
    __m256i cv[8], low, high;
    uint32_t lows[8], highs[8];
    for (uint64_t i = 0; i < 8; i++) {
        lows[i] = (uint32_t)(count ? counter + i : counter);
        highs[i] = (uint32_t)((count ? counter + i : counter) >> 32);
        cv[i] = _mm256_set1_epi32((int)oc__blake3_iv[i]);
    }
    low = _mm256_loadu_si256((const __m256i *)(const void *)lows);
    high = _mm256_loadu_si256((const __m256i *)(const void *)highs);
    for (size_t b = 0; b < blocks; b++) {
        __m256i m[16], s[16];
        uint32_t f =
            flags | (b == 0 ? first : 0) | (b + 1 == blocks ? last : 0);
        UNROLL
        for (size_t i = 0; i < 8; i++) {
            const uint8_t *p = in + i * step + b * OC_BLAKE3_BLOCK;
            m[i] = _mm256_loadu_si256((const __m256i *)(const void *)p);
            m[i + 8] =
                _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
        }
        transpose(m);
        transpose(m + 8);
        UNROLL
        for (int i = 0; i < 8; i++)
            s[i] = cv[i];
        UNROLL
        for (int i = 0; i < 4; i++)
            s[8 + i] = _mm256_set1_epi32((int)oc__blake3_iv[i]);
        s[12] = low;
        s[13] = high;
        s[14] = _mm256_set1_epi32(OC_BLAKE3_BLOCK);
        s[15] = _mm256_set1_epi32((int)f);
        round_of(s, m, oc__blake3_order[0]);
        round_of(s, m, oc__blake3_order[1]);
        round_of(s, m, oc__blake3_order[2]);
        round_of(s, m, oc__blake3_order[3]);
        round_of(s, m, oc__blake3_order[4]);
        round_of(s, m, oc__blake3_order[5]);
        round_of(s, m, oc__blake3_order[6]);
        UNROLL
        for (int i = 0; i < 8; i++)
            cv[i] = _mm256_xor_si256(s[i], s[i + 8]);
    }
    transpose(cv);
    UNROLL
    for (int i = 0; i < 8; i++)
        _mm256_storeu_si256((__m256i *)(void *)(out + 32 * i), cv[i]);
}

#else

int oc__blake3_has_eight(void) {
    return 0;
}

void oc__blake3_eight(const uint8_t *in, size_t step, size_t blocks,
                      uint64_t counter, int count, uint32_t flags,
                      uint32_t first, uint32_t last, uint8_t *out) {
    (void)in, (void)step, (void)blocks, (void)counter, (void)count;
    (void)flags, (void)first, (void)last, (void)out;
}

#endif
