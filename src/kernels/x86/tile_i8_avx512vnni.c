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
#define ELEM    uint8_t

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

#include "kernels/tile_i8_template.h"

#endif
