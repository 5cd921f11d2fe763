/* tile_avx512bf16.c - tile_template.h on pairs of bf16, 16 sums a vector. */
#include "kernels/x86/act_avx512.h"

#if OC_ARCH_X86

#include <string.h>

/* What act_avx512.h has may be inlined where more is allowed. */
#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512BF16
#define VTARGET    OC_TARGET_AVX512BF16
#define V(name)    v16_##name
#define K(job)     oc__##job##_bf16_avx512bf16
#define VF         __m512
#define V_WIDTH    16
#define BLOCK      16
#define V_REGISTER "v"

#define PAIRS     1
#define V_WORD(p) V(word)(p)
#define V_ADD_PRODUCT(acc, x, b)                                               \
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(b))
#define V_ADD_ONE(acc, x, b) V_ADD_PRODUCT(acc, x, b)

/* The pair may have been stored as any type. */
VINLINE VF V(word)(const float *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return _mm512_castsi512_ps(_mm512_set1_epi32(word));
}

/* As in tile_avx512.c: the instruction takes longer than a multiply-add, 5 or
 * 6 cycles, and 14 sums are still enough for two of them a cycle. */
#define ROWS_1       14
#define ROWS_2       14
#define THIN_ROWS    3
#define THIN_PANELS  4
#define EACH_THIN(X) X(1) X(2) X(3)
#define EACH_2(X)                                                              \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define EACH_1(X) EACH_2(X)

#include "kernels/tile_template.h"

#endif
