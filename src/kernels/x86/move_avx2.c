/*
 * move_avx2.c - transposes of 1, 2, 4 and 8-byte elements and the NCHWc
 * interleave, by square tiles in registers.
 *
 * A tile of side s takes log2(s) rounds of unpacking: in each, pairs of rows
 * are interleaved so that what belongs together in a column moves together.
 * Tiles are taken down a strip of columns narrow enough for the strip's output
 * rows to stay in the L1 cache until their lines are full.
 *
 * Tiles of 16 x 16 f32 with AVX-512 were slower on a Zen 4 (0.19 instead of
 * 0.09 ns an element): rows of 64 bytes straddle cache lines unless aligned.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline)) OC_TARGET_AVX2

/* Columns of a strip: as many output lines are open at a time. */
#define STRIP 64

/* ---- one tile: rows of x to columns of y, pitches in bytes --------------- */

INLINE __m128i load16(const char *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

INLINE void store16(char *p, __m128i v) {
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

/* 16 x 16 bytes.  Four rounds of the same step: row i meets row i + 8, and
 * after the fourth every byte has come round to its place. */
INLINE void tile_b1(const char *x, size_t xp, char *y, size_t yp) {
    __m128i a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = load16(x + (size_t)i * xp);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
            b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            a[i] = b[i];
    }
    for (int i = 0; i < 16; i++)
        store16(y + (size_t)i * yp, a[i]);
}

/* 8 x 8 of two bytes, three rounds of row i meeting row i + 4 */
INLINE void tile_b2(const char *x, size_t xp, char *y, size_t yp) {
    __m128i a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = load16(x + (size_t)i * xp);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
            b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
        }
        for (int i = 0; i < 8; i++)
            a[i] = b[i];
    }
    for (int i = 0; i < 8; i++)
        store16(y + (size_t)i * yp, a[i]);
}

/* 8 rows of 8 f32 in registers, transposed: pairs, pairs of pairs, halves. */
INLINE void transpose_8x8(__m256 a[8]) {
    __m256 b[8];
    for (int i = 0; i < 4; i++) {
        b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        __m256 p = b[4 * i], q = b[4 * i + 1], r = b[4 * i + 2],
               s = b[4 * i + 3];
        a[4 * i] = _mm256_shuffle_ps(p, r, 0x44);
        a[4 * i + 1] = _mm256_shuffle_ps(p, r, 0xee);
        a[4 * i + 2] = _mm256_shuffle_ps(q, s, 0x44);
        a[4 * i + 3] = _mm256_shuffle_ps(q, s, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        __m256 low = a[i], high = a[i + 4];
        a[i] = _mm256_permute2f128_ps(low, high, 0x20);
        a[i + 4] = _mm256_permute2f128_ps(low, high, 0x31);
    }
}

INLINE void tile_b4(const char *x, size_t xp, char *y, size_t yp) {
    __m256 a[8];
    for (int i = 0; i < 8; i++)
        a[i] =
            _mm256_loadu_ps((const float *)(const void *)(x + (size_t)i * xp));
    transpose_8x8(a);
    for (int i = 0; i < 8; i++)
        _mm256_storeu_ps((float *)(void *)(y + (size_t)i * yp), a[i]);
}

INLINE void tile_b8(const char *x, size_t xp, char *y, size_t yp) {
    __m256d a[4], b[4];
    for (int i = 0; i < 4; i++)
        a[i] =
            _mm256_loadu_pd((const double *)(const void *)(x + (size_t)i * xp));
    for (int i = 0; i < 2; i++) {
        b[2 * i] = _mm256_unpacklo_pd(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_pd(a[2 * i], a[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        a[i] = _mm256_permute2f128_pd(b[i], b[i + 2], 0x20);
        a[i + 2] = _mm256_permute2f128_pd(b[i], b[i + 2], 0x31);
    }
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd((double *)(void *)(y + (size_t)i * yp), a[i]);
}

/* 4 rows of 4 in each half, transposed there. */
INLINE void transpose_4x4(__m256 a[4]) {
    __m256 b[4];
    for (int i = 0; i < 2; i++) {
        b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    a[0] = _mm256_shuffle_ps(b[0], b[2], 0x44);
    a[1] = _mm256_shuffle_ps(b[0], b[2], 0xee);
    a[2] = _mm256_shuffle_ps(b[1], b[3], 0x44);
    a[3] = _mm256_shuffle_ps(b[1], b[3], 0xee);
}

/* 8 rows of 4, of which k columns are wanted. */
INLINE void tile_8x4(const float *x, size_t xp, float *y, size_t yp, size_t k) {
    __m256 a[4];
    for (size_t i = 0; i < 4; i++)
        a[i] = _mm256_insertf128_ps(
            _mm256_castps128_ps256(_mm_loadu_ps(x + i * xp)),
            _mm_loadu_ps(x + (i + 4) * xp), 1);
    transpose_4x4(a);
    for (size_t i = 0; i < k; i++)
        _mm256_storeu_ps(y + i * yp, a[i]);
}

/* What is read stands in small pages, as a caller's pictures do, where the
 * processor stops fetching ahead at the end of each. */
#define FETCH_BYTES 2560
#define FETCH(p)    _mm_prefetch((const char *)(p) + FETCH_BYTES, _MM_HINT_T0)

/* 8 pairs side by side. */
INLINE void part_2(const float *x, float *y, size_t yp) {
    __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
    FETCH(x);
    __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
    _mm256_storeu_pd((double *)(void *)y, _mm256_permute4x64_pd(even, 0xd8));
    _mm256_storeu_pd((double *)(void *)(y + yp),
                     _mm256_permute4x64_pd(odd, 0xd8));
}

/* The first of each of 8 pairs. */
INLINE void every_2(const float *x, float *y) {
    __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
    FETCH(x);
    __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    _mm256_storeu_pd((double *)(void *)y, _mm256_permute4x64_pd(even, 0xd8));
}

/* 8 triples side by side.  Those of one column fall on different lanes of the
 * three vectors, so two blends gather them. */
INLINE void part_3(const float *x, float *y, size_t yp) {
    const __m256i order[3] = {_mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5),
                              _mm256_setr_epi32(1, 4, 7, 2, 5, 0, 3, 6),
                              _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7)};
    __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
    __m256 c = _mm256_loadu_ps(x + 16), v[3];
    FETCH(x);
    FETCH(x + 16);
    v[0] = _mm256_blend_ps(_mm256_blend_ps(a, b, 0x92), c, 0x24);
    v[1] = _mm256_blend_ps(_mm256_blend_ps(c, a, 0x92), b, 0x24);
    v[2] = _mm256_blend_ps(_mm256_blend_ps(b, c, 0x92), a, 0x24);
    for (size_t i = 0; i < 3; i++)
        _mm256_storeu_ps(y + i * yp, _mm256_permutevar8x32_ps(v[i], order[i]));
}

/* Fewer columns than a tile has, as of a picture's channels.  A row's load may
 * reach into the next one, but not beyond the last. */
INLINE void narrow_b4(const char *from, size_t x_pitch, char *to,
                      size_t y_pitch, size_t rows, size_t cols) {
    const float *x = (const float *)(const void *)from;
    float *y = (float *)(void *)to;
    size_t end = (rows - 1) * x_pitch + cols, r = 0;
    if (cols == 1 && x_pitch == 2)
        for (; r + 8 < rows; r += 8) /* the last pair may lack its second */
            every_2(x + r * 2, y + r);
    if (cols == 2 && x_pitch == 2)
        for (; r + 8 <= rows; r += 8)
            part_2(x + r * 2, y + r, y_pitch);
    if (cols == 3 && x_pitch == 3)
        for (; r + 8 <= rows; r += 8)
            part_3(x + r * 3, y + r, y_pitch);
    while (r + 8 <= rows && (r + 7) * x_pitch + (cols + 3) / 4 * 4 <= end) {
        for (size_t c = 0; c < cols; c += 4)
            tile_8x4(x + r * x_pitch + c, x_pitch, y + c * y_pitch + r, y_pitch,
                     cols - c < 4 ? cols - c : 4);
        r += 8;
    }
    oc__transpose_b4_scalar(x + r * x_pitch, x_pitch, y + r, y_pitch, rows - r,
                            cols);
}

/* 3 rows of bytes woven, as of a picture whose channels become last.  Byte j of
 * the 48 that 16 columns make is column j / 3 of row j % 3. */
INLINE void weave_b1(const char *from, size_t x_pitch, char *to, size_t y_pitch,
                     size_t rows, size_t cols) {
    const __m128i pick[3][3] = {
        {_mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1,
                       5),
         _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1,
                       -1),
         _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4,
                       -1)},
        {_mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10,
                       -1),
         _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1,
                       10),
         _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1,
                       -1)},
        {_mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15,
                       -1, -1),
         _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1,
                       15, -1),
         _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1,
                       -1, 15)}};
    size_t c = 0;
    for (; rows == 3 && y_pitch == 3 && c + 16 <= cols; c += 16)
        for (size_t k = 0; k < 3; k++) {
            __m128i v = _mm_setzero_si128();
            for (size_t r = 0; r < 3; r++)
                v = _mm_or_si128(
                    v, _mm_shuffle_epi8(load16(from + r * x_pitch + c),
                                        pick[k][r]));
            store16(to + 3 * c + 16 * k, v);
        }
    oc__transpose_b1_scalar(from + c, x_pitch, to + c * y_pitch, y_pitch, rows,
                            cols - c);
}

/* Two rows of 8 to pairs side by side. */
INLINE void join_2(const float *x, size_t xp, float *y) {
    __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + xp);
    __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
    _mm256_storeu_ps(y, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(y + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

/* Three rows of 8, or four, to columns of four.  Of three, the fourth element
 * is what stands in the third, so that it may be anything. */
INLINE void tile_4x8(const float *x, size_t xp, float *y, size_t yp,
                     size_t rows) {
    __m256 a[4];
    for (size_t i = 0; i < 4; i++)
        a[i] = _mm256_loadu_ps(x + (i < rows ? i : rows - 1) * xp);
    transpose_4x4(a);
    for (size_t i = 0; i < 4; i++)
        _mm_storeu_ps(y + i * yp, _mm256_castps256_ps128(a[i]));
    for (size_t i = 0; i < 4; i++)
        _mm_storeu_ps(y + (4 + i) * yp, _mm256_extractf128_ps(a[i], 1));
}

/* Fewer rows than a tile has, as of the taps that an upsampling joins.  Triples
 * are stored with what follows, which the next one puts right. */
INLINE void low_b4(const char *from, size_t x_pitch, char *to, size_t y_pitch,
                   size_t rows, size_t cols) {
    const float *x = (const float *)(const void *)from;
    float *y = (float *)(void *)to;
    size_t c = 0;
    if (rows == 2 && y_pitch == 2)
        for (; c + 8 <= cols; c += 8)
            join_2(x + c, x_pitch, y + c * 2);
    if (rows == 3 && y_pitch == 3)
        for (; c + 8 < cols; c += 8)
            tile_4x8(x + c, x_pitch, y + c * 3, 3, 3);
    if (rows == 4)
        for (; c + 8 <= cols; c += 8)
            tile_4x8(x + c, x_pitch, y + c * y_pitch, y_pitch, 4);
    oc__transpose_b4_scalar(x + c, x_pitch, y + c * y_pitch, y_pitch, rows,
                            cols - c);
}

/* ---- whole matrices ------------------------------------------------------ */

/* Whole tiles of a strip of columns c0..c1 by `tile`; what remains below and
 * to the right by `low` and `narrow`, which move the same bits. */
#define TRANSPOSE(job, bytes, side, tile, narrow, low)                         \
    OC_TARGET_AVX2 void oc__##job##_avx2(const void *x, size_t x_pitch,        \
                                         void *y, size_t y_pitch, size_t rows, \
                                         size_t cols) {                        \
        const char *from = x;                                                  \
        char *to = y;                                                          \
        const size_t xp = x_pitch * bytes, yp = y_pitch * bytes;               \
        const size_t r1 = rows - rows % side, c1 = cols - cols % side;         \
        for (size_t c0 = 0; c0 < c1; c0 += STRIP) {                            \
            size_t end = c1 - c0 < STRIP ? c1 : c0 + STRIP;                    \
            for (size_t r = 0; r < r1; r += side)                              \
                for (size_t c = c0; c < end; c += side)                        \
                    tile(from + r * xp + c * bytes, xp,                        \
                         to + c * yp + r * bytes, yp);                         \
        }                                                                      \
        if (r1 < rows)                                                         \
            low(from + r1 * xp, x_pitch, to + r1 * bytes, y_pitch, rows - r1,  \
                c1);                                                           \
        if (c1 < cols)                                                         \
            narrow(from + c1 * bytes, x_pitch, to + c1 * yp, y_pitch, rows,    \
                   cols - c1);                                                 \
    }

TRANSPOSE(transpose_b1, 1, 16, tile_b1, oc__transpose_b1_scalar, weave_b1)
TRANSPOSE(transpose_b2, 2, 8, tile_b2, oc__transpose_b2_scalar,
          oc__transpose_b2_scalar)
TRANSPOSE(transpose_b4, 4, 8, tile_b4, narrow_b4, low_b4)
TRANSPOSE(transpose_b8, 8, 4, tile_b8, oc__transpose_b8_scalar,
          oc__transpose_b8_scalar)

OC_TARGET_AVX2 void oc__interleave_f32_avx2(const float *x, size_t x_pitch,
                                            size_t channels, float *y,
                                            size_t block, size_t pixels) {
    size_t i = 0;
    if (block % 8 == 0) {
        for (; i + 8 <= pixels; i += 8)
            for (size_t j0 = 0; j0 < block; j0 += 8) {
                __m256 a[8];
                for (size_t j = 0; j < 8; j++)
                    a[j] = j0 + j < channels
                               ? _mm256_loadu_ps(x + (j0 + j) * x_pitch + i)
                               : _mm256_setzero_ps();
                transpose_8x8(a);
                for (size_t p = 0; p < 8; p++)
                    _mm256_storeu_ps(y + (i + p) * block + j0, a[p]);
            }
    }
    oc__interleave_f32_scalar(x + i, x_pitch, channels, y + i * block, block,
                              pixels - i);
}

/* The part of the table whose codes begin with digit h, looked up where x
 * does: elsewhere the top bit of the index is set, which gives 0. */
INLINE __m256i look_up(const uint8_t *table, __m256i x, int h) {
    __m256i part = _mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * h)));
    x = _mm256_xor_si256(x, _mm256_set1_epi8((char)(16 * h)));
    x = _mm256_adds_epu8(x, _mm256_set1_epi8(0x70));
    return _mm256_shuffle_epi8(part, x);
}

OC_TARGET_AVX2 void oc__table_i8_avx2(const uint8_t *table, const uint8_t *x,
                                      uint8_t *y, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
        __m256i r = _mm256_setzero_si256();
        for (int h = 0; h < 16; h++)
            r = _mm256_or_si256(r, look_up(table, v, h));
        _mm256_storeu_si256((__m256i *)(void *)(y + i), r);
    }
    oc__table_i8_scalar(table, x + i, y + i, n - i);
}

OC_TARGET_AVX2 void oc__zip_i8_avx2(const uint8_t *a, const uint8_t *b,
                                    uint8_t *y, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i u = _mm_loadu_si128((const __m128i *)(const void *)(a + i));
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(b + i));
        __m128i *to = (__m128i *)(void *)(y + 2 * i);
        _mm_storeu_si128(to, _mm_unpacklo_epi8(u, v));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi8(u, v));
    }
    oc__zip_i8_scalar(a + i, b + i, y + 2 * i, n - i);
}

#endif
