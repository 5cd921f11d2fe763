/*
 * table_avx512vbmi.c - a table of 256 bytes in four registers: an instruction
 * looks up 64 codes in two of them, by seven bits; the eighth says which two.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

OC_TARGET_AVX512VBMI void oc__table_i8_avx512vbmi(const uint8_t *table,
                                                  const uint8_t *x, uint8_t *y,
                                                  size_t n) {
    __m512i part[4];
    for (size_t i = 0; i < 4; i++)
        part[i] = _mm512_loadu_si512(table + 64 * i);
    for (size_t i = 0; i < n; i += 64) {
        size_t left = n - i;
        __mmask64 some = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        __m512i v = _mm512_maskz_loadu_epi8(some, x + i);
        __m512i low = _mm512_permutex2var_epi8(part[0], v, part[1]);
        __m512i high = _mm512_permutex2var_epi8(part[2], v, part[3]);
        __m512i r = _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high);
        _mm512_mask_storeu_epi8(y + i, some, r);
    }
}

#endif
