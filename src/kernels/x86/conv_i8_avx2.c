/*
 * conv_i8_avx2.c - 8-bit channels on their own, 16 side by side; see
 * conv_i8.h.
 *
 * Two taps of 16 channels, widened to s16, are interleaved within each half,
 * and vpmaddwd adds the products of both:
 *
 *     tap 0    a0 a1 .. a7      | a8 .. a15
 *     tap 1    b0 b1 .. b7      | b8 .. b15
 *     low      a0 b0 .. a3 b3   | a8 b8 .. a11 b11     sums of 0-3, 8-11
 *     high     a4 b4 .. a7 b7   | ..                   sums of 4-7, 12-15
 *
 * Packing both to 16 bits brings the channels back in order.  The last
 * channels of a pixel are done once more with some before them, so that all
 * are in sixteens; fewer than 16 are left to the scalar kernel.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name

#include "kernels/x86/codes_avx2.h"

#define CHANNELS 16
/* Pairs of taps whose weights are interleaved ahead: windows up to 7x7. */
#define PAIRS_MOST 25

VINLINE __m256i load_16(const void *p) {
    return _mm256_loadu_si256(p);
}

/* 16 bytes as s16. */
VINLINE __m256i widen(const uint8_t *p, const int is_signed) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return is_signed ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
}

/* What does not change from pixel to pixel. */
typedef struct fixed {
    __m256i w[PAIRS_MOST][2]; /* low and high */
    __m256i bias[2];
    __m256 scale[2];
    v8_coder k;
} fixed;

VINLINE void read_fixed(const oc__depth_i8_run *r, size_t c, fixed *f) {
    const __m256i none = _mm256_setzero_si256();
    for (size_t t = 0; t < r->taps; t += 2) {
        const int16_t *w = r->w + t * r->channels + c;
        __m256i a = load_16(w);
        __m256i b = t + 1 < r->taps ? load_16(w + r->channels) : none;
        f->w[t / 2][0] = _mm256_unpacklo_epi16(a, b);
        f->w[t / 2][1] = _mm256_unpackhi_epi16(a, b);
    }
    f->k = v8_coder_at(&r->codes, c);
    v8_coder next = v8_coder_at(&r->codes, c + 8);
    f->bias[0] = _mm256_permute2x128_si256(f->k.bias, next.bias, 0x20);
    f->bias[1] = _mm256_permute2x128_si256(f->k.bias, next.bias, 0x31);
    f->scale[0] = _mm256_permute2f128_ps(f->k.scale, next.scale, 0x20);
    f->scale[1] = _mm256_permute2f128_ps(f->k.scale, next.scale, 0x31);
}

/* 16 channels of one pixel: their sums, low and high. */
VINLINE void depth_sums(const uint8_t *const *in, size_t c, const size_t taps,
                        const int is_signed, const fixed *f, __m256i *to) {
    __m256i low = f->bias[0], high = f->bias[1];
    size_t t = 0;
    for (; t + 2 <= taps; t += 2) {
        __m256i a = widen(in[t] + c, is_signed);
        __m256i b = widen(in[t + 1] + c, is_signed);
        __m256i l = _mm256_unpacklo_epi16(a, b);
        __m256i h = _mm256_unpackhi_epi16(a, b);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(l, f->w[t / 2][0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(h, f->w[t / 2][1]));
    }
    if (t < taps) {
        __m256i a = widen(in[t] + c, is_signed);
        __m256i none = _mm256_setzero_si256();
        __m256i l = _mm256_unpacklo_epi16(a, none);
        __m256i h = _mm256_unpackhi_epi16(a, none);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(l, f->w[t / 2][0]));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(h, f->w[t / 2][1]));
    }
    to[0] = low;
    to[1] = high;
}

VINLINE void put_codes(const __m256i *sums, const fixed *f, uint8_t *y) {
    const __m256i none = _mm256_setzero_si256();
    __m256i low = v8_code_round(sums[0], none, f->scale[0], f->k.hi);
    __m256i high = v8_code_round(sums[1], none, f->scale[1], f->k.hi);
    __m256i s = _mm256_packs_epi32(low, high);
    s = _mm256_adds_epi16(s, f->k.zero);
    s = _mm256_permute4x64_epi64(_mm256_packus_epi16(s, s), 0x08);
    s = _mm256_xor_si256(s, f->k.flip);
    _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(s));
}

/* Scaled, then brought into the order of channels; the bias is in. */
VINLINE void put_floats(const __m256i *sums, const fixed *f, const float *shift,
                        float *y) {
    __m256 low = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[0]), f->scale[0]);
    __m256 high = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[1]), f->scale[1]);
    __m256 first = _mm256_permute2f128_ps(low, high, 0x20);
    __m256 last = _mm256_permute2f128_ps(low, high, 0x31);
    _mm256_storeu_ps(y, _mm256_add_ps(first, _mm256_loadu_ps(shift)));
    _mm256_storeu_ps(y + 8, _mm256_add_ps(last, _mm256_loadu_ps(shift + 8)));
}

VINLINE void depth_block(const oc__depth_i8_run *r, size_t c, const size_t taps,
                         const int is_signed) {
    fixed f;
    const oc__codes *to = &r->codes;
    read_fixed(r, c, &f);
    const uint8_t *const *in = r->in;
    size_t at = c;
    for (size_t p = 0; p < r->pixels; p++) {
        __m256i sums[2];
        depth_sums(in, c, taps, is_signed, &f, sums);
        if (to->f)
            put_floats(sums, &f, to->shift + c, to->f + at);
        else
            put_codes(sums, &f, to->y + at);
        in += r->in_step;
        at += to->row_stride;
    }
}

static VTARGET void depth_9_u8(const oc__depth_i8_run *r, size_t c) {
    depth_block(r, c, 9, 0);
}

static VTARGET void depth_any_u8(const oc__depth_i8_run *r, size_t c) {
    depth_block(r, c, r->taps, 0);
}

static VTARGET void depth_any_i8(const oc__depth_i8_run *r, size_t c) {
    depth_block(r, c, r->taps, 1);
}

void oc__depth_i8_avx2(const oc__depth_i8_run *r) {
    if (r->channels < CHANNELS || r->taps > 2 * PAIRS_MOST) {
        oc__depth_i8_scalar(r);
        return;
    }
    for (size_t c = 0; c < r->channels; c += CHANNELS) {
        size_t at = OC_MIN(c, r->channels - CHANNELS);
        if (r->in_signed)
            depth_any_i8(r, at);
        else if (r->taps == 9)
            depth_9_u8(r, at);
        else
            depth_any_u8(r, at);
    }
}

VTARGET void oc__max_i8_avx2(const uint8_t *const *in, size_t taps, int flip,
                             uint8_t *y, size_t n) {
    if (n < CHANNELS) {
        oc__max_i8_scalar(in, taps, flip, y, n);
        return;
    }
    const __m128i by = _mm_set1_epi8((char)flip);
    for (size_t i = 0; i < n; i += CHANNELS) {
        size_t at = OC_MIN(i, n - CHANNELS);
        __m128i most = _mm_setzero_si128();
        for (size_t t = 0; t < taps; t++) {
            const void *from = in[t] + at;
            __m128i x = _mm_xor_si128(_mm_loadu_si128(from), by);
            most = _mm_max_epu8(most, x);
        }
        _mm_storeu_si128((__m128i *)(void *)(y + at), _mm_xor_si128(most, by));
    }
}

#endif
