/* tile_avx2.c - tile_template.h on vectors of 8. */
#include "kernels/x86/act_avx2.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET    OC_TARGET_AVX2
#define V(name)    v8_##name
#define K(job)     oc__##job##_f32_avx2
#define VF         __m256
#define V_WIDTH    8
#define BLOCK      8
#define V_REGISTER "x"
#define V_ADD_PRODUCT(acc, x, b)                                               \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(x), "x"(b))

/* 16 registers: 6 x 2 sums, 2 of B and 2 broadcasts; or 12 x 1 sums. */
#define ROWS_1       12
#define ROWS_2       6
#define THIN_ROWS    3
#define THIN_PANELS  2
#define EACH_THIN(X) X(1) X(2) X(3)
#define EACH_2(X)    X(1) X(2) X(3) X(4) X(5) X(6)
#define EACH_1(X)    EACH_2(X) X(7) X(8) X(9) X(10) X(11) X(12)

#include "kernels/tile_template.h"

#endif
