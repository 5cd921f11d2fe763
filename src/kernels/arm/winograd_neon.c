/* winograd_neon.c - winograd_template.h on vectors of 4. */
#include "kernels/arm/act_neon.h"

#if OC_ARCH_ARM

#define VINLINE static inline __attribute__((always_inline, unused))
#define VTARGET
#define V(name) v4_##name
#define K(job)  oc__##job##_neon
#define VF      float32x4_t
#define V_WIDTH 4
#define BLOCK   8

#include "kernels/winograd_template.h"

#endif
