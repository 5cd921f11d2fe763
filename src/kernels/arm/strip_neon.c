/* strip_neon.c - strip_template.h on vectors of 4. */
#include "kernels/arm/act_neon.h"

#if OC_ARCH_ARM

#define VINLINE static inline __attribute__((always_inline, unused))
#define VTARGET
#define V(name) v4_##name
#define K(job)  oc__##job##_neon
#define VF      float32x4_t
#define VM      uint32x4_t
#define V_WIDTH 4
#define BLOCK   8

/* 8 sums, up to 7 weights and an input in 32 registers. */
#define STRIP_PX 8

#include "kernels/strip_template.h"

#endif
