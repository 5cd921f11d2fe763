/*
 * resize_avx2.c - the row loops for AVX2, bit-exact with the scalar ones.
 *
 * Both rest on vpmaddwd: 16-bit pairs a0*b0 + a1*b1 into 32 bits, where a
 * pair is two taps of one channel and b the two weights.
 */
#include "image/resize.h"

#if defined(OC__RESIZE_AVX2)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

/*
 * Horizontal, 3 or 4 channels: each half of a register works for one of two
 * rows, four taps at a time.  vpshufb turns 16 bytes of pixels into 16-bit
 * pairs
 *
 *     r0 g0 b0 r1 g1 b1 r2 g2 b2 r3 g3 b3 ....
 *     -> r0 r1 g0 g1 b0 b1 - -   and   r2 r3 g2 g3 b2 b3 - -
 *
 * which meet a pair of weights broadcast from memory, the cheapest way to get
 * one.  The fourth channel of rgb stays 0 and is overwritten by the next
 * output.
 */
#define Z (-128)
static const int8_t pairs3[2][16] = {
    {0, Z, 3, Z, 1, Z, 4, Z, 2, Z, 5, Z, Z, Z, Z, Z},
    {6, Z, 9, Z, 7, Z, 10, Z, 8, Z, 11, Z, Z, Z, Z, Z}};
static const int8_t pairs4[2][16] = {
    {0, Z, 4, Z, 1, Z, 5, Z, 2, Z, 6, Z, 3, Z, 7, Z},
    {8, Z, 12, Z, 9, Z, 13, Z, 10, Z, 14, Z, 11, Z, 15, Z}};
#undef Z

AVX2 static inline __m256i two_rows(const void *low, const void *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
}

/** sum + pairs of taps times w[0], w[1] */
AVX2 static inline __m256i add_pair(__m256i sum, __m256i v, const int16_t *w) {
    int32_t pair;
    memcpy(&pair, w, 4);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(v, _mm256_set1_epi32(pair)));
}

AVX2 static inline void rows_color(uint8_t *const dst[2],
                                   const uint8_t *const src[2],
                                   const oc__resize_axis *axis, size_t n,
                                   int with_fine) {
    size_t taps = (size_t)axis->taps;
    const int8_t(*pairs)[16] = n == 3 ? pairs3 : pairs4;
    __m256i front =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pairs[0]));
    __m256i back =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pairs[1]));
    __m256i half = _mm256_set1_epi32(1 << (axis->shift - 1));
    __m128i shift = _mm_cvtsi32_si128(axis->shift);
    for (int i = 0; i < axis->out; i++) {
        size_t from = (size_t)axis->start[i] * n, to = (size_t)i * n;
        const uint8_t *p = src[0] + from, *q = src[1] + from;
        const int16_t *coef = axis->coef + (size_t)i * taps;
        const int16_t *fine = with_fine ? axis->fine + (size_t)i * taps : coef;
        int count = axis->count[i];
        __m256i sum = half, high = _mm256_setzero_si256();
        for (int t = 0; t < count; t += 4, p += 4 * n, q += 4 * n) {
            __m256i v = two_rows(p, q);
            __m256i v01 = _mm256_shuffle_epi8(v, front);
            __m256i v23 = _mm256_shuffle_epi8(v, back);
            sum = add_pair(sum, v01, fine + t);
            sum = add_pair(sum, v23, fine + t + 2);
            if (!with_fine) continue;
            high = add_pair(high, v01, coef + t);
            high = add_pair(high, v23, coef + t + 2);
        }
        high = _mm256_slli_epi32(high, OC__RESIZE_FINE_BITS);
        sum = _mm256_sra_epi32(_mm256_add_epi32(sum, high), shift);
        sum = _mm256_packs_epi32(sum, sum);
        sum = _mm256_packus_epi16(sum, sum);
        int32_t one = _mm256_extract_epi32(sum, 0);
        int32_t two = _mm256_extract_epi32(sum, 4);
        memcpy(dst[0] + to, &one, 4);
        memcpy(dst[1] + to, &two, 4);
    }
}

/** The sum of the four words in each half. */
AVX2 static inline __m256i add_halves(__m256i sum) {
    sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0x4E));
    return _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xB1));
}

/** Horizontal, gray: eight taps of each row at a time. */
AVX2 static void rows_gray(uint8_t *const dst[2], const uint8_t *const src[2],
                           const oc__resize_axis *axis) {
    __m256i half = _mm256_set1_epi32(1 << (axis->shift - 1));
    __m128i shift = _mm_cvtsi32_si128(axis->shift);
    for (int i = 0; i < axis->out; i++) {
        size_t from = (size_t)axis->start[i];
        size_t at = (size_t)i * (size_t)axis->taps;
        __m256i high = _mm256_setzero_si256(), low = high;
        for (int t = 0; t < axis->count[i]; t += 8, at += 8, from += 8) {
            __m128i p = _mm_loadl_epi64((const __m128i *)(src[0] + from));
            __m128i q = _mm_loadl_epi64((const __m128i *)(src[1] + from));
            __m256i v = _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(p, q));
            __m256i w = _mm256_broadcastsi128_si256(
                _mm_loadu_si128((const __m128i *)(axis->coef + at)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(v, w));
            if (!axis->fine) continue;
            w = _mm256_broadcastsi128_si256(
                _mm_loadu_si128((const __m128i *)(axis->fine + at)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(v, w));
        }
        if (axis->fine) high = _mm256_slli_epi32(high, OC__RESIZE_FINE_BITS);
        __m256i sum = add_halves(_mm256_add_epi32(high, low));
        sum = _mm256_sra_epi32(_mm256_add_epi32(sum, half), shift);
        sum = _mm256_packs_epi32(sum, sum);
        sum = _mm256_packus_epi16(sum, sum);
        dst[0][i] = (uint8_t)_mm256_extract_epi8(sum, 0);
        dst[1][i] = (uint8_t)_mm256_extract_epi8(sum, 16);
    }
}

AVX2 void oc__resize_h_avx2(uint8_t *const dst[2], const uint8_t *const src[2],
                            const oc__resize_axis *axis, int channels) {
    /* Constant arguments let the compiler drop what a case does not need. */
    if (channels == 1) {
        rows_gray(dst, src, axis);
    } else if (channels == 3 && axis->fine) {
        rows_color(dst, src, axis, 3, 1);
    } else if (channels == 3) {
        rows_color(dst, src, axis, 3, 0);
    } else {
        rows_color(dst, src, axis, 4, axis->fine != NULL);
    }
}

/** Two neighbouring weights as a pair; the one behind the last is 0. */
static inline int pair_of(const int16_t *w, int t, int count) {
    uint32_t second = t + 1 < count ? (uint16_t)w[t + 1] : 0u;
    return (int)((uint16_t)w[t] | second << 16);
}

/**
 * Vertical: 32 bytes of two rows at a time.  Interleaving the rows gives the
 * pairs; unpacking works within halves and so does packing, so the bytes come
 * back in order.
 */
AVX2 static inline void column(uint8_t *dst, const uint8_t *const *rows,
                               const int16_t *coef, const int16_t *fine,
                               int count, size_t x, int shift) {
    __m256i zero = _mm256_setzero_si256();
    __m256i s[4], h[4];
    for (int i = 0; i < 4; i++) {
        s[i] = _mm256_set1_epi32(1 << (shift - 1));
        h[i] = zero;
    }
    for (int t = 0; t < count; t += 2) {
        const uint8_t *second = t + 1 < count ? rows[t + 1] : rows[t];
        __m256i a = _mm256_loadu_si256((const __m256i *)(rows[t] + x));
        __m256i b = _mm256_loadu_si256((const __m256i *)(second + x));
        __m256i lo = _mm256_unpacklo_epi8(a, b);
        __m256i hi = _mm256_unpackhi_epi8(a, b);
        __m256i m[4] = {
            _mm256_unpacklo_epi8(lo, zero), _mm256_unpackhi_epi8(lo, zero),
            _mm256_unpacklo_epi8(hi, zero), _mm256_unpackhi_epi8(hi, zero)};
        __m256i k = _mm256_set1_epi32(pair_of(coef, t, count));
        if (fine) {
            __m256i f = _mm256_set1_epi32(pair_of(fine, t, count));
            for (int i = 0; i < 4; i++) {
                h[i] = _mm256_add_epi32(h[i], _mm256_madd_epi16(m[i], k));
                s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(m[i], f));
            }
        } else {
            for (int i = 0; i < 4; i++)
                s[i] = _mm256_add_epi32(s[i], _mm256_madd_epi16(m[i], k));
        }
    }
    __m128i by = _mm_cvtsi32_si128(shift);
    for (int i = 0; i < 4; i++) {
        h[i] = _mm256_slli_epi32(h[i], OC__RESIZE_FINE_BITS);
        s[i] = _mm256_sra_epi32(_mm256_add_epi32(s[i], h[i]), by);
    }
    s[0] = _mm256_packs_epi32(s[0], s[1]);
    s[2] = _mm256_packs_epi32(s[2], s[3]);
    _mm256_storeu_si256((__m256i *)(dst + x), _mm256_packus_epi16(s[0], s[2]));
}

AVX2 void oc__resize_v_avx2(uint8_t *dst, const uint8_t *const *rows,
                            const int16_t *coef, const int16_t *fine, int count,
                            size_t n, int shift) {
    size_t x = 0;
    if (fine) {
        for (; x + 32 <= n; x += 32)
            column(dst, rows, coef, fine, count, x, shift);
    } else {
        for (; x + 32 <= n; x += 32)
            column(dst, rows, coef, NULL, count, x, shift);
    }
    if (x == n) return;
    if (n >= 32) {
        /* The last whole block again: its first bytes come out the same. */
        column(dst, rows, coef, fine, count, n - 32, shift);
        return;
    }
    oc__resize_v_scalar(dst, rows, coef, fine, count, n, shift);
}
#else
/* ISO C wants something in every file. */
typedef int oc__no_resize_avx2;
#endif
