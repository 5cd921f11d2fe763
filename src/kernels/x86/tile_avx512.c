/* tile_avx512.c - tile_template.h on vectors of 16. */
#include "kernels/x86/act_avx512.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512
#define VTARGET    OC_TARGET_AVX512
#define V(name)    v16_##name
#define K(job)     oc__##job##_f32_avx512
#define VF         __m512
#define V_WIDTH    16
#define BLOCK      16
#define V_REGISTER "v"
#define V_ADD_PRODUCT(acc, x, b)                                               \
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(x), "v"(b))

/* 32 registers: 14 x 2 sums, 2 of B and 2 broadcasts.  14 x 1 sums are enough
 * for the one multiply-add unit; more would only be more code. */
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
