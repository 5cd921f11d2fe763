/* winograd_avx512.c - winograd_template.h on vectors of 16. */
#include "kernels/x86/act_avx512.h"

#if OC_ARCH_X86

#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_AVX512
#define VTARGET OC_TARGET_AVX512
#define V(name) v16_##name
#define K(job)  oc__##job##_avx512
#define VF      __m512
#define V_WIDTH 16
#define BLOCK   16

#include "kernels/winograd_template.h"

#endif
