/* train_scalar.c - train_template.h on vectors of 4, which the compiler makes
 * of whatever there is; the specification of the others. */
#include "kernels/kernels.h"

typedef float train_vf __attribute__((vector_size(16)));
typedef int train_vi __attribute__((vector_size(16)));

#define K(job) oc__##job##_scalar
#define VTARGET
#define VF      train_vf
#define VI      train_vi
#define V_WIDTH 4
#define V_SET1(s)                                                              \
    (VF) {                                                                     \
        (s), (s), (s), (s)                                                     \
    }
#define V_FMA(a, b, c) ((a) * (b) + (c))

#include "kernels/train_template.h"
