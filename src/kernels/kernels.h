/*
 * kernels.h - the table of kernels, one pointer per job.
 *
 * A kernel works on pointers, sizes and strides for one instruction set; it
 * knows no tensor, graph or allocator.  oc__kernels_init() fills the table
 * with the scalar kernels and lets better ones overwrite them, so that users
 * of the table do not know the instruction set.  The scalar kernels are the
 * specification; tests/unit/test_kernels*.c call every other one against
 * them under each CPU mask.
 *
 * The jobs are listed in kernels.def.
 */
#ifndef OC_KERNELS_KERNELS_H
#define OC_KERNELS_KERNELS_H

#include "base/size.h"

#include <stddef.h>
#include <stdint.h>

/** An activation fused behind a linear operator: y = act(x). */
typedef enum oc__act {
    OC_ACT_NONE,
    OC_ACT_RELU,
    OC_ACT_CLIP,         /* min(max(x, a), b): ReLU6 is a = 0, b = 6 */
    OC_ACT_LEAKY_RELU,   /* x >= 0 ? x : a x */
    OC_ACT_SIGMOID,
    OC_ACT_TANH,
    OC_ACT_SILU,         /* x sigmoid(x) */
    OC_ACT_HARD_SIGMOID, /* max(0, min(1, a x + b)) */
    OC_ACT_HARD_SWISH,   /* x max(0, min(1, x/6 + 1/2)) */
    OC_ACT_GELU,         /* x/2 (1 + erf(x / sqrt 2)) */
    OC_ACT_GELU_TANH,    /* its tanh approximation */
    OC_ACT_ELU,          /* x >= 0 ? x : a (exp x - 1) */
    OC_ACT_SOFTPLUS,
    OC_ACT_MISH,
    OC_ACT_COUNT
} oc__act;

typedef struct oc__act_args {
    oc__act kind;
    float a, b;
} oc__act_args;

/* y[i] = f(x[i]); x and y may be the same array, not otherwise overlap. */
typedef void (*oc__unary_f32_fn)(const float *x, float *y, size_t n);
/* y[i] = f(a[i], b[i]); y may be a or b. */
typedef void (*oc__binary_f32_fn)(const float *a, const float *b, float *y,
                                  size_t n);
/* y[i] = act(x[i]). */
typedef void (*oc__act_f32_fn)(oc__act_args act, const float *x, float *y,
                               size_t n);
/* A reduction of one contiguous row. */
typedef float (*oc__reduce_f32_fn)(const float *x, size_t n);
/* One row of n contiguous elements, normalised on its own. */
typedef void (*oc__softmax_f32_fn)(const float *x, float *y, size_t n);
/* y = (x - mean) / sqrt(var + epsilon) * gamma + beta; beta may be NULL. */
typedef void (*oc__layernorm_f32_fn)(const float *x, const float *gamma,
                                     const float *beta, float epsilon,
                                     float *y, size_t n);

#include "kernels/conv.h"
#include "kernels/gemm.h"
#include "kernels/gemm_i8.h"

typedef struct oc__kernels {
    uint32_t cpu; /* the OC_CPU_* bits this table was built for */
    int block;    /* channels in a block of the NCHWc layout: 8 or 16 */
#define OC_KERNEL_FIELD(type, name) type name;
#include "kernels/kernels.def"
} oc__kernels;

/** Fills the table for a set of OC_CPU_* bits (already resolved). */
void oc__kernels_init(oc__kernels *k, uint32_t cpu);

#endif
