/* tile_i8_avx512vnni.c - the exact 8-bit product with vpdpbusd on 16 columns:
 * u8 times s8, four steps a lane, summed in 32 bits without saturation. */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

#define VINLINE                                                                \
    static inline __attribute__((always_inline)) OC_TARGET_AVX512VNNI
#define VTARGET OC_TARGET_AVX512VNNI
#define V(name) v16_##name
#define K(job)  oc__##job##_avx512vnni
#define VI      __m512i
#define LANES   16

/* As tile_avx512.c: 14 x 2 sums, 2 of B, 2 broadcasts. */
#define MR           14
#define PANEL        32
#define VECTORS      2
#define THIN_ROWS    3
#define THIN_PANELS  4
#define EACH_THIN(X) X(1) X(2) X(3)
#define EACH(X)                                                                \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

VINLINE VI V(zero)(void) {
    return _mm512_setzero_si512();
}
VINLINE VI V(b)(const int8_t *p, int j) {
    return _mm512_loadu_si512(p + 64 * j);
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
    return _mm512_set1_epi32(four);
}
VINLINE VI V(dot)(VI acc, VI a, VI b) {
    return _mm512_dpbusd_epi32(acc, a, b);
}
VINLINE void V(fold)(uint32_t *to, const VI *acc) {
    _mm512_storeu_si512(to, acc[0]);
    _mm512_storeu_si512(to + 16, acc[1]);
}

VINLINE void V(lanes)(VI *v, const VI *acc) {
    v[0] = acc[0];
    v[1] = acc[1];
}
VINLINE VI V(lanes_at)(const int32_t *p) {
    return _mm512_loadu_si512(p);
}
VINLINE VI V(i_sum)(VI a, VI b) {
    return _mm512_add_epi32(a, b);
}

typedef struct V(coder) {
    __m512i bias, zero;
    __m512 scale, hi;
    __m128i flip;
} V(coder);

VINLINE V(coder) V(coder_at)(const oc__codes *c, size_t col) {
    int zero = c->zero + (c->is_signed ? 128 : 0);
    V(coder) k;
    k.bias = _mm512_loadu_si512(c->bias + col);
    k.scale = _mm512_loadu_ps(c->scale + col);
    k.zero = _mm512_set1_epi32(zero);
    k.hi = _mm512_set1_ps((float)(255 - zero));
    k.flip = _mm_set1_epi8(c->is_signed ? (char)0x80 : 0);
    return k;
}

/* What does not fit becomes INT_MIN, as NaN does: the least code. */
VINLINE void V(code_row)(VI sum, const V(coder) * k, uint8_t *y) {
    __m512 f = _mm512_cvtepi32_ps(_mm512_add_epi32(sum, k->bias));
    f = _mm512_min_ps(k->hi, _mm512_mul_ps(f, k->scale));
    VI v = _mm512_add_epi32(_mm512_cvtps_epi32(f), k->zero);
    v = _mm512_max_epi32(v, _mm512_setzero_si512());
    __m128i b = _mm_xor_si128(_mm512_cvtepi32_epi8(v), k->flip);
    _mm_storeu_si128((__m128i *)(void *)y, b);
}

VINLINE void V(code4)(VI a, VI b, VI c, VI d, const V(coder) * k,
                      uint8_t *const *y, const int n) {
    V(code_row)(a, k, y[0]);
    if (n > 1) V(code_row)(b, k, y[1]);
    if (n > 2) V(code_row)(c, k, y[2]);
    if (n > 3) V(code_row)(d, k, y[3]);
}

typedef struct V(scaler) {
    __m512i bias;
    __m512 scale, shift;
} V(scaler);

VINLINE V(scaler) V(scaler_at)(const oc__codes *c, size_t col) {
    V(scaler) k;
    k.bias = _mm512_loadu_si512(c->bias + col);
    k.scale = _mm512_loadu_ps(c->scale + col);
    k.shift = _mm512_loadu_ps(c->shift + col);
    return k;
}

VINLINE void V(scale_row)(VI sum, const V(scaler) * k, float *y) {
    __m512 f = _mm512_cvtepi32_ps(_mm512_add_epi32(sum, k->bias));
    f = _mm512_add_ps(_mm512_mul_ps(f, k->scale), k->shift);
    _mm512_storeu_ps(y, f);
}

#include "kernels/tile_i8_template.h"

#endif
