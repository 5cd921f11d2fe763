/* tile_neon.c - tile_template.h on vectors of 4. */
#include "kernels/arm/act_neon.h"

#if OC_ARCH_ARM

#define VINLINE static inline __attribute__((always_inline, unused))
#define VTARGET
#define V(name)    v4_##name
#define K(job)     oc__##job##_f32_neon
#define VF         float32x4_t
#define V_WIDTH    4
#define BLOCK      8
#define V_REGISTER "w"

/* 32 registers, two to a block: 6 x 4 sums, 4 of B and some broadcasts; or
 * 12 x 2 sums. */
#define ROWS_1       12
#define ROWS_2       6
#define THIN_ROWS    2
#define THIN_PANELS  2
#define EACH_THIN(X) X(1) X(2)
#define EACH_2(X)    X(1) X(2) X(3) X(4) X(5) X(6)
#define EACH_1(X)    EACH_2(X) X(7) X(8) X(9) X(10) X(11) X(12)

#include "kernels/tile_template.h"

#endif
