/* strip_avx2.c - strip_template.h on vectors of 8. */
#include "kernels/x86/act_avx2.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name
#define K(job)  oc__##job##_avx2
#define VF      __m256
#define VM      __m256
#define V_WIDTH 8
#define BLOCK   8

/* 8 sums, up to 7 weights and an input in 16 registers. */
#define STRIP_PX 8

#include "kernels/strip_template.h"

#endif
