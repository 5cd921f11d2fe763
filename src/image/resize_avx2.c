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
 * Horizontal, 3 or 4 channels: each half of a register works for one output,
 * four taps at a time.  vpshufb turns 16 bytes of pixels into 16-bit pairs
 *
 *     r0 g0 b0 r1 g1 b1 r2 g2 b2 r3 g3 b3 ....
 *     -> r0 r1 g0 g1 b0 b1 - -   and   r2 r3 g2 g3 b2 b3 - -
 *
 * The fourth channel of rgb stays 0 and is overwritten by the next output.
 */
#define Z (-128)
static const int8_t pairs3[2][16] = {
    {0, Z, 3, Z, 1, Z, 4, Z, 2, Z, 5, Z, Z, Z, Z, Z},
    {6, Z, 9, Z, 7, Z, 10, Z, 8, Z, 11, Z, Z, Z, Z, Z}};
static const int8_t pairs4[2][16] = {
    {0, Z, 4, Z, 1, Z, 5, Z, 2, Z, 6, Z, 3, Z, 7, Z},
    {8, Z, 12, Z, 9, Z, 13, Z, 10, Z, 14, Z, 11, Z, 15, Z}};
#undef Z

AVX2 static inline __m256i two_halves(const void *low, const void *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
}

/** Four weights of each of two outputs, in the low 8 bytes of each half. */
AVX2 static inline __m256i two_weights(const int16_t *low,
                                       const int16_t *high) {
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)low)),
        _mm_loadl_epi64((const __m128i *)high), 1);
}

/** sum += the four taps in v (both orders of pairs) times w. */
AVX2 static inline __m256i add_taps(__m256i sum, __m256i v01, __m256i v23,
                                    __m256i w) {
    sum = _mm256_add_epi32(
        sum, _mm256_madd_epi16(v01, _mm256_shuffle_epi32(w, 0x00)));
    return _mm256_add_epi32(
        sum, _mm256_madd_epi16(v23, _mm256_shuffle_epi32(w, 0x55)));
}

AVX2 static void rows_color(uint8_t *dst, const uint8_t *src,
                            const oc__resize_axis *axis, int channels) {
    size_t n = (size_t)channels, taps = (size_t)axis->taps;
    const int8_t(*pairs)[16] = channels == 3 ? pairs3 : pairs4;
    __m256i front =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pairs[0]));
    __m256i back =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pairs[1]));
    __m256i half = _mm256_set1_epi32(1 << (axis->shift - 1));
    __m128i shift = _mm_cvtsi32_si128(axis->shift);
    for (int i = 0; i < axis->out; i += 2) {
        int j = i + 1 < axis->out ? i + 1 : i; /* an odd last one, twice */
        const uint8_t *p = src + (size_t)axis->start[i] * n;
        const uint8_t *q = src + (size_t)axis->start[j] * n;
        size_t a = (size_t)i * taps, b = (size_t)j * taps;
        int count = OC_MAX(axis->count[i], axis->count[j]);
        __m256i sum = half, high = _mm256_setzero_si256();
        if (axis->fine) {
            for (int t = 0; t < count; t += 4, a += 4, b += 4) {
                __m256i v = two_halves(p, q);
                __m256i v01 = _mm256_shuffle_epi8(v, front);
                __m256i v23 = _mm256_shuffle_epi8(v, back);
                high = add_taps(high, v01, v23,
                                two_weights(axis->coef + a, axis->coef + b));
                sum = add_taps(sum, v01, v23,
                               two_weights(axis->fine + a, axis->fine + b));
                p += 4 * n;
                q += 4 * n;
            }
            high = _mm256_slli_epi32(high, OC__RESIZE_FINE_BITS);
            sum = _mm256_add_epi32(sum, high);
        } else {
            for (int t = 0; t < count; t += 4, a += 4, b += 4) {
                __m256i v = two_halves(p, q);
                sum = add_taps(sum, _mm256_shuffle_epi8(v, front),
                               _mm256_shuffle_epi8(v, back),
                               two_weights(axis->coef + a, axis->coef + b));
                p += 4 * n;
                q += 4 * n;
            }
        }
        sum = _mm256_sra_epi32(sum, shift);
        sum = _mm256_packs_epi32(sum, sum);
        sum = _mm256_packus_epi16(sum, sum);
        int32_t one = _mm256_extract_epi32(sum, 0);
        int32_t two = _mm256_extract_epi32(sum, 4);
        memcpy(dst + (size_t)i * n, &one, 4);
        memcpy(dst + (size_t)j * n, &two, 4);
    }
}

AVX2 static inline int32_t add_halves(__m128i sum) {
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
}

/** Horizontal, gray: eight taps at a time. */
AVX2 static void rows_gray(uint8_t *dst, const uint8_t *src,
                           const oc__resize_axis *axis) {
    for (int i = 0; i < axis->out; i++) {
        const uint8_t *p = src + (size_t)axis->start[i];
        size_t at = (size_t)i * (size_t)axis->taps;
        __m128i sum = _mm_setzero_si128(), low = sum;
        for (int t = 0; t < axis->count[i]; t += 8, at += 8) {
            __m128i v =
                _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(p + t)));
            __m128i w = _mm_loadu_si128((const __m128i *)(axis->coef + at));
            sum = _mm_add_epi32(sum, _mm_madd_epi16(v, w));
            if (!axis->fine) continue;
            w = _mm_loadu_si128((const __m128i *)(axis->fine + at));
            low = _mm_add_epi32(low, _mm_madd_epi16(v, w));
        }
        int32_t v = add_halves(sum);
        if (axis->fine) v = v * (1 << OC__RESIZE_FINE_BITS) + add_halves(low);
        v = (v + (1 << (axis->shift - 1))) >> axis->shift;
        dst[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

void oc__resize_h_avx2(uint8_t *dst, const uint8_t *src,
                       const oc__resize_axis *axis, int channels) {
    if (channels == 1) {
        rows_gray(dst, src, axis);
    } else {
        rows_color(dst, src, axis, channels);
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
