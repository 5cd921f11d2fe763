/* train_avx512.c - train_template.h on vectors of 16. */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>

typedef int train_vi __attribute__((vector_size(64)));

#define K(job)         oc__##job##_avx512
#define VTARGET        OC_TARGET_AVX512
#define VF             __m512
#define VI             train_vi
#define V_WIDTH        16
#define V_SET1(s)      _mm512_set1_ps(s)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "kernels/train_template.h"

#endif
