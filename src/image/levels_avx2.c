/*
 * levels_avx2.c - eight pixels at a time: the bytes of one channel are picked
 * out of two overlapping loads, widened, and scaled.
 */
#include "image/levels.h"

#if defined(OC__LEVELS_AVX2)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))

/**
 * Byte masks that pick channel c of 8 pixels out of 16 bytes at 0 and 16
 * bytes that end with the eighth pixel.
 */
static void pick_masks(int8_t first[16], int8_t second[16], int c, int step) {
    for (int i = 0; i < 16; i++) {
        int at = i < 8 ? c + step * i : 128;
        int late = at - (8 * step - 16);
        first[i] = (int8_t)(at < 16 ? at : -128);
        second[i] = (int8_t)(at >= 16 && at < 128 ? late : -128);
    }
}

AVX2 static void channel(float *d, const uint8_t *row, int c, int step, int n,
                         float scale, float offset) {
    int8_t masks[2][16];
    pick_masks(masks[0], masks[1], c, step);
    __m128i first = _mm_loadu_si128((const __m128i *)(const void *)masks[0]);
    __m128i second = _mm_loadu_si128((const __m128i *)(const void *)masks[1]);
    __m256 a = _mm256_set1_ps(scale), b = _mm256_set1_ps(offset);
    for (int x = 0; x < n; x += 8, row += 8 * step) {
        __m128i v;
        if (step == 1) {
            v = _mm_loadl_epi64((const __m128i *)(const void *)row);
        } else {
            const uint8_t *late = row + 8 * step - 16;
            v = _mm_or_si128(
                _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(const void *)row), first),
                _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(const void *)late),
                    second));
        }
        __m256 f = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v));
        _mm256_storeu_ps(d + x, _mm256_fmadd_ps(f, a, b));
    }
}

void oc__levels_row_f32_avx2(const oc__levels *l, uint8_t *const *to,
                             int stride, const uint8_t *row, int step, int n) {
    int whole = n / 8 * 8;
    uint8_t *rest[3] = {0};
    for (int c = 0; c < l->channels; c++) {
        channel((float *)(void *)to[c], row, step == 1 ? 0 : l->source[c], step,
                whole, l->a[c], l->b[c]);
        rest[c] = to[c] + (size_t)whole * 4;
    }
    if (whole < n)
        oc__levels_row_scalar(l, rest, stride,
                              row + (size_t)whole * (size_t)step, step,
                              n - whole);
}
#else
/* ISO C wants something in every file. */
typedef int oc__no_levels_avx2;
#endif
