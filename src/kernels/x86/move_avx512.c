/*
 * move_avx512.c - transposes of f32 by tiles of 16 x 16, so that a tile fills
 * whole cache lines.  Elements of other sizes gain nothing over AVX2.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline)) OC_TARGET_AVX512

/* Columns of a strip; see move_avx2.c. */
#define STRIP 64

/*
 * 16 rows of 16 f32, transposed: pairs of elements, pairs of pairs (which
 * settles each quarter), then the quarters, twice.
 */
INLINE void transpose_16x16(__m512 a[16]) {
    __m512 b[16];
    for (int i = 0; i < 8; i++) {
        b[2 * i] = _mm512_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        __m512 p = b[4 * i], q = b[4 * i + 1], r = b[4 * i + 2],
               s = b[4 * i + 3];
        a[4 * i] = _mm512_shuffle_ps(p, r, 0x44);
        a[4 * i + 1] = _mm512_shuffle_ps(p, r, 0xee);
        a[4 * i + 2] = _mm512_shuffle_ps(q, s, 0x44);
        a[4 * i + 3] = _mm512_shuffle_ps(q, s, 0xee);
    }
    /* a[4g + c] holds columns c, 4+c, 8+c, 12+c of rows 4g..4g+3. */
    for (int c = 0; c < 4; c++) {
        __m512 p = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x88);
        __m512 q = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xdd);
        __m512 r = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x88);
        __m512 s = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xdd);
        b[c] = _mm512_shuffle_f32x4(p, r, 0x88);
        b[4 + c] = _mm512_shuffle_f32x4(q, s, 0x88);
        b[8 + c] = _mm512_shuffle_f32x4(p, r, 0xdd);
        b[12 + c] = _mm512_shuffle_f32x4(q, s, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        a[i] = b[i];
}

/* A tile of `rows` by `cols`, both at most 16; missing rows count as 0, and
 * `store` says which lanes of an output row are written. */
INLINE void tile(const float *x, size_t x_pitch, float *y, size_t y_pitch,
                 size_t rows, size_t cols, __mmask16 store) {
    const __mmask16 load = (__mmask16)((1u << cols) - 1);
    __m512 a[16];
    for (size_t r = 0; r < 16; r++)
        a[r] = r < rows ? _mm512_maskz_loadu_ps(load, x + r * x_pitch)
                        : _mm512_setzero_ps();
    transpose_16x16(a);
    for (size_t c = 0; c < 16; c++)
        if (c < cols) _mm512_mask_storeu_ps(y + c * y_pitch, store, a[c]);
}

OC_TARGET_AVX512 void oc__transpose_b4_avx512(const void *x, size_t x_pitch,
                                              void *y, size_t y_pitch,
                                              size_t rows, size_t cols) {
    const float *from = x;
    float *to = y;
    for (size_t c0 = 0; c0 < cols; c0 += STRIP) {
        size_t c1 = cols - c0 < STRIP ? cols : c0 + STRIP;
        for (size_t r = 0; r < rows; r += 16)
            for (size_t c = c0; c < c1; c += 16) {
                const float *p = from + r * x_pitch + c;
                float *q = to + c * y_pitch + r;
                size_t h = rows - r, w = c1 - c;
                /* With constants the masks and branches go away. */
                if (h >= 16 && w >= 16) {
                    tile(p, x_pitch, q, y_pitch, 16, 16, 0xffff);
                } else {
                    h = OC_MIN(h, 16);
                    tile(p, x_pitch, q, y_pitch, h, OC_MIN(w, 16),
                         (__mmask16)((1u << h) - 1));
                }
            }
    }
}

OC_TARGET_AVX512 void oc__interleave_f32_avx512(const float *x, size_t x_pitch,
                                                size_t channels, float *y,
                                                size_t block, size_t pixels) {
    if (block != 16) {
        oc__interleave_f32_avx2(x, x_pitch, channels, y, block, pixels);
        return;
    }
    size_t i = 0;
    if (channels == 16)
        for (; i + 16 <= pixels; i += 16)
            tile(x + i, x_pitch, y + i * 16, 16, 16, 16, 0xffff);
    for (; i < pixels; i += 16)
        tile(x + i, x_pitch, y + i * 16, 16, channels, OC_MIN(pixels - i, 16),
             0xffff);
}

#endif
