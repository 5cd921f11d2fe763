/* strip_avx512.c - strip_template.h on vectors of 16. */
#include "kernels/x86/act_avx512.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512
#define VTARGET OC_TARGET_AVX512
#define V(name) v16_##name
#define K(job)  oc__##job##_avx512
#define VF      __m512
#define VM      __mmask16
#define V_WIDTH 16
#define BLOCK   16

/* 8 sums, up to 7 weights and an input in 32 registers. */
#define STRIP_PX 8

#include "kernels/strip_template.h"

#endif
