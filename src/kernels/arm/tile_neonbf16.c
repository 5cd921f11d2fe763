/* tile_neonbf16.c - tile_template.h on pairs of bf16, 4 sums a vector. */
#include "kernels/arm/act_neon.h"

#if OC_ARCH_ARM

#include <string.h>

/* What act_neon.h has may be inlined where more is allowed. */
#define VINLINE                                                                \
    static inline __attribute__((always_inline, unused)) OC_TARGET_NEONBF16
#define VTARGET    OC_TARGET_NEONBF16
#define V(name)    v4_##name
#define K(job)     oc__##job##_bf16_neonbf16
#define VF         float32x4_t
#define V_WIDTH    4
#define BLOCK      8
#define V_REGISTER "w"

/* gcc copies sums that an intrinsic adds to, until some have no register; so
 * assembly adds in place.  Sums are rounded to odd here, which is off by twice
 * as much as to the nearest. */
#define PAIRS     1
#define V_WORD(p) V(word)(p)
#define V_ADD_PRODUCT(acc, x, b)                                               \
    __asm__("bfdot %0.4s, %1.8h, %2.8h" : "+w"(acc) : "w"(x), "w"(b))
#define V_ADD_ONE(acc, x, b) V_ADD_PRODUCT(acc, x, b)

/* The pair may have been stored as any type. */
VINLINE VF V(word)(const float *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return vreinterpretq_f32_u32(vdupq_n_u32(word));
}

/* As in tile_neon.c. */
#define ROWS_1       12
#define ROWS_2       6
#define THIN_ROWS    2
#define THIN_PANELS  2
#define EACH_THIN(X) X(1) X(2)
#define EACH_2(X)    X(1) X(2) X(3) X(4) X(5) X(6)
#define EACH_1(X)    EACH_2(X) X(7) X(8) X(9) X(10) X(11) X(12)

#include "kernels/tile_template.h"

#endif
