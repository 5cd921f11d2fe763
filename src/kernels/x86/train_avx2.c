/* train_avx2.c - train_template.h on vectors of 8. */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

typedef int train_vi __attribute__((vector_size(32)));

#define K(job)         oc__##job##_avx2
#define VTARGET        OC_TARGET_AVX2
#define VF             __m256
#define VI             train_vi
#define V_WIDTH        8
#define V_SET1(s)      _mm256_set1_ps(s)
#define V_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)

#include "kernels/train_template.h"

#endif
