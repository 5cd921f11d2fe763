/*
 * codes_avx2.h - sums to 8 bits, 8 columns of 4 rows at a time; the ending of
 * 8-bit products and of depthwise convolutions.  No include guard: VINLINE and
 * V(name) are those of the file that includes it.
 *
 * Codes are made as u8: those of a signed y are moved by 128 and turned back
 * by their top bit.  Only the upper bound is a comparison.  What lies below
 * all integers becomes INT_MIN, as NaN does, and packing saturates it.
 *
 * Or to f32, a row at a time.
 */
typedef struct V(coder) {
    __m256i bias, zero, flip; /* zero: 16 bits a lane */
    __m256 scale, hi;
} V(coder);

VINLINE V(coder) V(coder_at)(const oc__codes *c, size_t col) {
    int zero = c->zero + (c->is_signed ? 128 : 0);
    V(coder) k;
    k.bias = _mm256_loadu_si256((const __m256i *)(const void *)(c->bias + col));
    k.scale = _mm256_loadu_ps(c->scale + col);
    k.zero = _mm256_set1_epi16((short)zero);
    k.hi = _mm256_set1_ps((float)(255 - zero));
    k.flip = _mm256_set1_epi8(c->is_signed ? (char)0x80 : 0);
    return k;
}

/* Rounded, without zero. */
VINLINE __m256i V(code_round)(__m256i sum, __m256i bias, __m256 scale,
                              __m256 hi) {
    __m256 f = _mm256_cvtepi32_ps(_mm256_add_epi32(sum, bias));
    /* min gives its second operand for NaN. */
    return _mm256_cvtps_epi32(_mm256_min_ps(hi, _mm256_mul_ps(f, scale)));
}

VINLINE __m256i V(code_row)(__m256i sum, const V(coder) * k) {
    return V(code_round)(sum, k->bias, k->scale, k->hi);
}

/* Rows a to d; the first n of them are stored. */
VINLINE void V(code4)(__m256i a, __m256i b, __m256i c, __m256i d,
                      const V(coder) * k, uint8_t *const *y, const int n) {
    const __m256i rows = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    /* Half of a, half of b | the other halves, in 16 bits. */
    a = _mm256_packs_epi32(V(code_row)(a, k), V(code_row)(b, k));
    c = _mm256_packs_epi32(V(code_row)(c, k), V(code_row)(d, k));
    a = _mm256_packus_epi16(_mm256_adds_epi16(a, k->zero),
                            _mm256_adds_epi16(c, k->zero));
    a = _mm256_permutevar8x32_epi32(a, rows);
    a = _mm256_xor_si256(a, k->flip);
    __m128i low = _mm256_castsi256_si128(a);
    __m128i high = _mm256_extracti128_si256(a, 1);
    _mm_storel_epi64((__m128i *)(void *)y[0], low);
    if (n > 1)
        _mm_storel_epi64((__m128i *)(void *)y[1], _mm_unpackhi_epi64(low, low));
    if (n > 2) _mm_storel_epi64((__m128i *)(void *)y[2], high);
    if (n > 3)
        _mm_storel_epi64((__m128i *)(void *)y[3],
                         _mm_unpackhi_epi64(high, high));
}

typedef struct V(scaler) {
    __m256i bias;
    __m256 scale, shift;
} V(scaler);

VINLINE V(scaler) V(scaler_at)(const oc__codes *c, size_t col) {
    V(scaler) k;
    k.bias = _mm256_loadu_si256((const __m256i *)(const void *)(c->bias + col));
    k.scale = _mm256_loadu_ps(c->scale + col);
    k.shift = _mm256_loadu_ps(c->shift + col);
    return k;
}

/* The product is rounded before the addition: no fused multiply-add. */
VINLINE __m256 V(scale_sum)(__m256i sum, __m256i bias, __m256 scale,
                            __m256 shift) {
    __m256 f = _mm256_cvtepi32_ps(_mm256_add_epi32(sum, bias));
    return _mm256_add_ps(_mm256_mul_ps(f, scale), shift);
}

VINLINE void V(scale_row)(__m256i sum, const V(scaler) * k, float *y) {
    _mm256_storeu_ps(y, V(scale_sum)(sum, k->bias, k->scale, k->shift));
}
