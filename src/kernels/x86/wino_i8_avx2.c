/*
 * wino_i8_avx2.c - Winograd's 3x3 convolution of 8 bits; see conv_i8.h.
 *
 * Pixels are transformed in 16 bits, 16 channels side by side; products are
 * vpmaddwd's of pairs of channels; results are transformed back in 32 bits, 8
 * channels at a time, and become codes as those of other products do.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>
#include <string.h>

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name

#include "kernels/x86/codes_avx2.h"

#define CHANNELS 16
#define ROWS     6
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 36")
#endif

VINLINE __m256i add16(__m256i a, __m256i b) {
    return _mm256_add_epi16(a, b);
}
VINLINE __m256i sub16(__m256i a, __m256i b) {
    return _mm256_sub_epi16(a, b);
}

/* Six steps of a line of the input. */
VINLINE void in_line(const __m256i *d, const int step, __m256i *to) {
    __m256i d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    __m256i d4 = d[4 * step], d5 = d[5 * step];
    __m256i even = sub16(d4, _mm256_slli_epi16(d2, 2));
    __m256i odd = sub16(d3, _mm256_slli_epi16(d1, 2));
    __m256i diff = sub16(d4, d2), twice = _mm256_slli_epi16(sub16(d3, d1), 1);
    to[0] = add16(sub16(_mm256_slli_epi16(d0, 2), d2), even);
    to[1] = add16(even, odd);
    to[2] = sub16(even, odd);
    to[3] = add16(diff, twice);
    to[4] = sub16(diff, twice);
    /* 4 d1 - 5 d3 + d5 */
    to[5] = sub16(d5, add16(odd, _mm256_slli_epi16(d3, 2)));
}

VINLINE __m256i load_pixel(const uint8_t *p, __m128i flip) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_cvtepu8_epi16(_mm_xor_si128(x, flip));
}

/* 16 channels from `c` on of a tile. */
VINLINE void in_block(const uint8_t *const *px, size_t c, __m128i flip,
                      int16_t *to, size_t step) {
    __m256i t[36];
    for (int i = 0; i < 6; i++) {
        __m256i d[6], line[6];
        UNROLL for (int j = 0; j < 6; j++) d[j] =
            load_pixel(px[j * 6 + i] + c, flip);
        in_line(d, 1, line);
        UNROLL for (int j = 0; j < 6; j++) t[j * 6 + i] = line[j];
    }
    for (int j = 0; j < 6; j++, to += 6 * step) {
        __m256i line[6];
        in_line(t + j * 6, 1, line);
        UNROLL for (int i = 0; i < 6; i++) _mm256_storeu_si256(
            (__m256i *)(void *)(to + (size_t)i * step), line[i]);
    }
}

static VTARGET void wino_in(const uint8_t *const *px, int flip, size_t channels,
                            int16_t *to, size_t step) {
    const __m128i by = _mm_set1_epi8((char)flip);
    size_t c = 0;
    for (; c + CHANNELS <= channels; c += CHANNELS)
        in_block(px, c, by, to + c, step);
    if (c == channels) return;
    /* The last ones, with anything beyond them. */
    uint8_t part[36][CHANNELS] = {{0}};
    const uint8_t *at[36];
    for (int i = 0; i < 36; i++) {
        memcpy(part[i], px[i] + c, channels - c);
        at[i] = part[i];
    }
    in_block(at, 0, by, to + c, step);
}

VINLINE void mul_rows(const int16_t *a, size_t a_step, const int16_t *b,
                      size_t depth, int32_t *c, const int rows) {
    __m256i acc[ROWS][2];
    UNROLL for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] =
        _mm256_setzero_si256();
    for (size_t k = 0; k < depth; k += 2, b += 2 * OC_CODE_COLS) {
        __m256i b0 = _mm256_loadu_si256((const __m256i *)(const void *)b);
        __m256i b1 =
            _mm256_loadu_si256((const __m256i *)(const void *)(b + 16));
        UNROLL for (int i = 0; i < rows; i++) {
            int32_t two;
            memcpy(&two, a + (size_t)i * a_step + k, sizeof two);
            __m256i x = _mm256_set1_epi32(two);
            acc[i][0] = _mm256_add_epi32(acc[i][0], _mm256_madd_epi16(x, b0));
            acc[i][1] = _mm256_add_epi32(acc[i][1], _mm256_madd_epi16(x, b1));
            /* As in tile_i8_avx2.c: products stay beside their sums. */
            __asm__ volatile("" : "+x"(acc[i][0]), "+x"(acc[i][1]));
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        __m256i *to = (__m256i *)(void *)(c + (size_t)i * OC_CODE_COLS);
        _mm256_storeu_si256(to, acc[i][0]);
        _mm256_storeu_si256(to + 1, acc[i][1]);
    }
}

static VTARGET void wino_mul(const int16_t *a, size_t rows, size_t a_step,
                             const int16_t *b, size_t depth, int32_t *c) {
    switch (rows) {
    case 1: mul_rows(a, a_step, b, depth, c, 1); break;
    case 2: mul_rows(a, a_step, b, depth, c, 2); break;
    case 3: mul_rows(a, a_step, b, depth, c, 3); break;
    case 4: mul_rows(a, a_step, b, depth, c, 4); break;
    case 5: mul_rows(a, a_step, b, depth, c, 5); break;
    default: mul_rows(a, a_step, b, depth, c, 6); break;
    }
}

VINLINE __m256i add32(__m256i a, __m256i b) {
    return _mm256_add_epi32(a, b);
}
VINLINE __m256i sub32(__m256i a, __m256i b) {
    return _mm256_sub_epi32(a, b);
}

/* Four results of a line. */
VINLINE void out_line(const __m256i *m, __m256i *to) {
    __m256i s = add32(m[1], m[2]), d = sub32(m[1], m[2]);
    __m256i u = add32(m[3], m[4]);
    __m256i v = _mm256_slli_epi32(sub32(m[3], m[4]), 1);
    to[0] = add32(add32(m[0], _mm256_slli_epi32(s, 2)), u);
    to[1] = add32(_mm256_slli_epi32(d, 2), v);
    to[2] = _mm256_slli_epi32(add32(s, u), 2);
    to[3] = _mm256_slli_epi32(add32(add32(d, v), m[5]), 2);
}

/* 576 times the sum, modulo 2^32, to the sum. */
VINLINE __m256i sum_of(__m256i y) {
    const __m256i ninth = _mm256_set1_epi32((int)OC_WINO_I8_NINTH);
    return _mm256_srai_epi32(_mm256_mullo_epi32(y, ninth), 6);
}

/* The sums of 8 channels of 4 x 4 pixels. */
VINLINE void out_sums(const int32_t *m, size_t step, __m256i (*sums)[4]) {
    __m256i t[4][6];
    for (int i = 0; i < 6; i++) {
        __m256i d[6], line[4];
        UNROLL for (int j = 0; j < 6; j++) d[j] = _mm256_loadu_si256(
            (const __m256i *)(const void *)(m + (size_t)(j * 6 + i) * step));
        out_line(d, line);
        UNROLL for (int j = 0; j < 4; j++) t[j][i] = line[j];
    }
    for (int j = 0; j < 4; j++) {
        out_line(t[j], sums[j]);
        UNROLL for (int i = 0; i < 4; i++) sums[j][i] = sum_of(sums[j][i]);
    }
}

VINLINE void put_codes(__m256i (*sums)[4], const oc__codes *to, size_t c,
                       size_t n, const size_t *at) {
    const v8_coder k = v8_coder_at(to, c);
    for (int j = 0; j < 4; j++) {
        uint8_t part[4][8], *y[4];
        for (int i = 0; i < 4; i++) {
            size_t place = at[4 * j + i];
            int whole = n == 8 && place != OC_WINO_I8_OUTSIDE;
            y[i] = whole ? to->y + place + c : part[i];
        }
        v8_code4(sums[j][0], sums[j][1], sums[j][2], sums[j][3], &k, y, 4);
        if (n == 8) continue;
        for (int i = 0; i < 4; i++)
            if (at[4 * j + i] != OC_WINO_I8_OUTSIDE)
                memcpy(to->y + at[4 * j + i] + c, part[i], n);
    }
}

VINLINE void put_floats(__m256i (*sums)[4], const oc__codes *to, size_t c,
                        size_t n, const size_t *at) {
    const v8_scaler k = v8_scaler_at(to, c);
    for (int i = 0; i < 16; i++) {
        float part[8];
        if (at[i] == OC_WINO_I8_OUTSIDE) continue;
        v8_scale_row(sums[i / 4][i % 4], &k, n == 8 ? to->f + at[i] + c : part);
        if (n < 8) memcpy(to->f + at[i] + c, part, n * sizeof(float));
    }
}

static VTARGET void wino_out(const int32_t *m, size_t step, size_t cols,
                             const oc__codes *to, const size_t *at) {
    const oc__codes codes = *to;
    for (size_t c = 0; c < cols; c += 8) {
        __m256i sums[4][4];
        size_t n = OC_MIN(cols - c, (size_t)8);
        out_sums(m + c, step, sums);
        if (codes.f)
            put_floats(sums, &codes, c, n, at);
        else
            put_codes(sums, &codes, c, n, at);
    }
}

const oc__wino_i8_kernel oc__wino_i8_avx2 = {ROWS, wino_in, wino_mul, wino_out};

#endif
