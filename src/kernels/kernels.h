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
 * The jobs are listed in kernels.def.  Rules for each, unless its type says
 * otherwise:
 *   - n may be 0; pointers need the alignment of their elements only;
 *   - nothing outside the given shapes is read or written;
 *   - the output may be the very same array as an input whose elements are
 *     of the same size; no other overlap;
 *   - an element's result depends on its operands alone, not on n or on its
 *     position, so a range cut into pieces gives the same bits;
 *   - a reduction has one order for each n; instruction sets may differ by
 *     rounding;
 *   - NaN stays NaN (its payload is not promised), -0 and Inf go through as
 *     IEEE 754 and C say;
 *   - pure: no state, no failure, any thread.
 * Kernels that only add, multiply, divide, compare or round each element
 * once are bit-exact with the scalar ones; for others the bound stands here.
 */
#ifndef OC_KERNELS_KERNELS_H
#define OC_KERNELS_KERNELS_H

#include "base/size.h"
#include "kernels/isa.h"

#include <stddef.h>
#include <stdint.h>

/* ---- element by element -------------------------------------------------- */

/**
 * An activation fused behind a linear operator: y = act(x).
 * max and min keep NaN; where one of the two is the parameter, x wins a tie.
 */
typedef enum oc__act {
    OC_ACT_NONE,
    OC_ACT_RELU,       /* x < 0 ? 0 : x */
    OC_ACT_CLIP,       /* min(max(x, a), b): ReLU6 is a = 0, b = 6 */
    OC_ACT_LEAKY_RELU, /* x < 0 ? a x : x */
    OC_ACT_SIGMOID,    /* 1 / (1 + exp -x) */
    OC_ACT_TANH,
    OC_ACT_SILU,             /* x sigmoid(x) */
    OC_ACT_HARD_SIGMOID,     /* max(0, min(1, a x + b)) */
    OC_ACT_HARD_SWISH,       /* x max(0, min(1, x/6 + 1/2)) */
    OC_ACT_GELU,             /* x/2 (1 + erf(x / sqrt 2)) */
    OC_ACT_GELU_TANH,        /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    OC_ACT_ELU,              /* x < 0 ? a (exp x - 1) : x */
    OC_ACT_SOFTPLUS,         /* log(1 + exp x) */
    OC_ACT_MISH,             /* x tanh(softplus(x)) */
    OC_ACT_SELU,             /* b (x > 0 ? x : a (exp x - 1)) */
    OC_ACT_CELU,             /* max(x, 0) + min(a (exp(x / a) - 1), 0) */
    OC_ACT_THRESHOLDED_RELU, /* x > a ? x : 0 */
    OC_ACT_SOFTSIGN,         /* x / (1 + |x|) */
    OC_ACT_SCALED_TANH,      /* a tanh(b x) */
    OC_ACT_QUICK_GELU,       /* x sigmoid(a x) */
    OC_ACT_ABS,
    OC_ACT_NEG,
    OC_ACT_SQRT,
    OC_ACT_EXP,
    OC_ACT_COUNT
} oc__act;

typedef struct oc__act_args {
    oc__act kind;
    float a, b;
} oc__act_args;

/**
 * y[i] = act(x[i]).  Those with exp, tanh or erf inside: within 4 ulp of the
 * exact result, or within 2^-22 * |x| where terms cancel (ELU, SELU, CELU
 * near 0; GELU and MISH far below it).
 */
typedef void oc__act_f32_fn(oc__act_args act, const float *x, float *y,
                            size_t n);
/** y[i] = act(a[i] + b[i]); y may be a or b. */
typedef void oc__add_act_f32_fn(oc__act_args act, const float *a,
                                const float *b, float *y, size_t n);

typedef enum oc__unary {
    OC_UNARY_NEG,
    OC_UNARY_ABS,
    OC_UNARY_SQRT,
    OC_UNARY_RECIPROCAL,
    OC_UNARY_FLOOR,
    OC_UNARY_CEIL,
    OC_UNARY_ROUND, /* halves to even */
    OC_UNARY_SIGN,  /* -1, 0 or 1; NaN stays */
    OC_UNARY_EXP,
    OC_UNARY_LOG,
    OC_UNARY_TANH,
    OC_UNARY_SIGMOID,
    OC_UNARY_ERF,
    OC_UNARY_COUNT
} oc__unary;

/** y[i] = op(x[i]).  From EXP on: within 2.5 ulp of the exact result. */
typedef void oc__unary_f32_fn(oc__unary op, const float *x, float *y, size_t n);

typedef enum oc__binary {
    OC_BINARY_ADD,
    OC_BINARY_SUB,
    OC_BINARY_MUL,
    OC_BINARY_DIV,
    OC_BINARY_MIN,   /* NaN if either is; b wins a tie */
    OC_BINARY_MAX,   /* NaN if either is; b wins a tie */
    OC_BINARY_PRELU, /* a < 0 ? a b : a */
    OC_BINARY_COUNT
} oc__binary;

/**
 * y[i] = a[i * a_step] op b[i * b_step], a step being 1, or 0 for a scalar.
 * y may be a or b where its step is 1.
 */
typedef void oc__binary_f32_fn(oc__binary op, const float *a, size_t a_step,
                               const float *b, size_t b_step, float *y,
                               size_t n);

/** y[i] = x[i] * scale + bias: a plane of NCHW.  One or two roundings. */
typedef void oc__scale_bias_f32_fn(const float *x, float scale, float bias,
                                   float *y, size_t n);
/**
 * y[r][c] = x[r][c] * scale[c] + bias[c], dense rows: NHWC (cols = channels)
 * or a block of NCHWc (cols = block).  bias may be NULL.
 */
typedef void oc__scale_bias_cols_f32_fn(const float *x, const float *scale,
                                        const float *bias, float *y,
                                        size_t rows, size_t cols);

/* ---- rows ---------------------------------------------------------------- */

typedef enum oc__reduce {
    OC_REDUCE_SUM,    /* 0 for n = 0 */
    OC_REDUCE_SUMSQ,  /* of squares */
    OC_REDUCE_SUMABS, /* of absolute values */
    OC_REDUCE_MIN,    /* +Inf for n = 0; NaN if any is */
    OC_REDUCE_MAX,    /* -Inf for n = 0; NaN if any is */
    OC_REDUCE_COUNT
} oc__reduce;

/**
 * A reduction of one contiguous row.  Sums are within 2^-18 * sum|term| for
 * any n: short runs are added in f32, the runs in f64.
 */
typedef float oc__reduce_f32_fn(oc__reduce op, const float *x, size_t n);
/** Sum of a[i] * b[i], with the same bound. */
typedef float oc__dot_f32_fn(const float *a, const float *b, size_t n);

/**
 * softmax:     y[i] = exp(x[i] - max) / sum exp(x - max)
 * log_softmax: y[i] = x[i] - max - log(sum exp(x - max))
 * One row of n contiguous elements.  A row of -Inf alone gives NaN.
 */
typedef void oc__softmax_f32_fn(const float *x, float *y, size_t n);

/**
 * y[i] = exp(scale * x[i] - shift), one part of a softmax whose greatest
 * scale * x is not above shift by more than rounding; returns the sum.  The
 * product is rounded or not; below 2^-126 the result may be 0.  Sums as
 * reduce_f32 does.
 */
typedef float oc__exp_shift_f32_fn(const float *x, float scale, float shift,
                                   float *y, size_t n);

/**
 * y = (x - mean) / sqrt(var + epsilon) * gamma + beta
 * gamma, beta  n values each, or NULL: 1, 0
 * stats        NULL, or receives mean and 1 / sqrt(var + epsilon)
 */
typedef void oc__layernorm_f32_fn(const float *x, const float *gamma,
                                  const float *beta, float epsilon, float *y,
                                  float *stats, size_t n);
/** y = x / sqrt(mean(x^2) + epsilon) * gamma; stats receives the factor. */
typedef void oc__rmsnorm_f32_fn(const float *x, const float *gamma,
                                float epsilon, float *y, float *stats,
                                size_t n);

/* ---- conversions --------------------------------------------------------- */

/* f16 and bf16 travel as their bits.  Widening is exact; narrowing rounds to
 * nearest, halves to even, overflows to Inf and makes NaN quiet. */
typedef void oc__widen_f16_fn(const uint16_t *x, float *y, size_t n);
typedef void oc__narrow_f16_fn(const float *x, uint16_t *y, size_t n);

/**
 * y[i] = saturate(round_half_even(x[i] / scale) + zero), with a true
 * division, as ONNX QuantizeLinear defines it.  zero is a value of y's type.
 * NaN becomes the least value.
 */
typedef void oc__quantize_u8_fn(const float *x, float scale, int zero,
                                uint8_t *y, size_t n);
typedef void oc__quantize_i8_fn(const float *x, float scale, int zero,
                                int8_t *y, size_t n);
/** y[i] = (x[i] - zero) * scale */
typedef void oc__dequantize_u8_fn(const uint8_t *x, float scale, int zero,
                                  float *y, size_t n);
typedef void oc__dequantize_i8_fn(const int8_t *x, float scale, int zero,
                                  float *y, size_t n);

/**
 * y[r][c] = saturate(round_half_even((x[r][c] + bias[c]) * scale[c]) + zero)
 * for dense rows; y is i8 or u8, and zero a value of its type.  The addition
 * wraps; its result is rounded to f32 before the product is.
 */
typedef void oc__requantize_i8_fn(const int32_t *x, const int32_t *bias,
                                  const float *scale, int zero, int is_signed,
                                  void *y, size_t rows, size_t cols);

/**
 * y[i] = saturate(round_half_even((a[i] - a_zero) * a_scale
 *                               + (b[i] - b_zero) * b_scale) + zero)
 * each product and the sum rounded to f32; all codes are i8 or u8.
 */
typedef struct oc__add_i8_args {
    int is_signed, a_zero, b_zero, zero;
    float a_scale, b_scale;
} oc__add_i8_args;
typedef void oc__add_i8_fn(const oc__add_i8_args *k, const uint8_t *a,
                           const uint8_t *b, uint8_t *y, size_t n);
/* mul_i8 is of this type, too:
 * y[i] = saturate(round_half_even((a[i] - a_zero) * (b[i] - b_zero) * a_scale)
 *               + zero)
 */

/** y[i] = table[x[i]]; the table has 256 bytes. */
typedef void oc__table_i8_fn(const uint8_t *table, const uint8_t *x, uint8_t *y,
                             size_t n);
/** y[2 i] = a[i], y[2 i + 1] = b[i]; never in place. */
typedef void oc__zip_i8_fn(const uint8_t *a, const uint8_t *b, uint8_t *y,
                           size_t n);

/**
 * y[i] = sum over t of w[t] * x[at[t] + i]: a window that slides over a plane
 * whose rows follow on one another.  Exact where all sums are integers below
 * 2^24; otherwise one chain of multiply-adds in the order of t.
 */
typedef void oc__taps_f32_fn(const float *x, const size_t *at, const float *w,
                             size_t taps, float *y, size_t n);

/* ---- moving -------------------------------------------------------------- */

/**
 * y[c * y_pitch + r] = x[r * x_pitch + c] for r < rows, c < cols; pitches
 * count elements.  Never in place.  One job for each element size in bytes.
 */
typedef void oc__transpose_fn(const void *x, size_t x_pitch, void *y,
                              size_t y_pitch, size_t rows, size_t cols);

/**
 * One block of NCHW to NCHWc; never in place:
 *   y[i * block + j] = j < channels ? x[j * x_pitch + i] : 0,  i < pixels
 *
 *     x: c0: p0 p1 p2 ...      y: p0: c0 c1 .. c15
 *        c1: p0 p1 p2 ...         p1: c0 c1 .. c15
 *
 * The way back is transpose_b4 with x_pitch = block, cols = channels.
 */
typedef void oc__interleave_f32_fn(const float *x, size_t x_pitch,
                                   size_t channels, float *y, size_t block,
                                   size_t pixels);

#include "kernels/conv.h"
#include "kernels/conv_i8.h"
#include "kernels/gemm.h"
#include "kernels/gemm_i8.h"
#include "kernels/train.h"

/* ---- the table ----------------------------------------------------------- */

/* A job's type is a function type, or a const struct for functions that share
 * a layout (a GEMM, its packer, its tile); either way the table holds a
 * pointer to it, and oc__<job>_<isa> is an object of that type. */
typedef struct oc__kernels {
    uint32_t cpu; /* the OC_CPU_* bits this table was built for */
    int block;    /* channels in a block of the NCHWc layout: 8 or 16 */
    /* Nonzero: products by weights may be of bf16, with sums of f32.  Asked
     * for, so never set by oc__kernels_init(). */
    int bf16;
    /* Of a core's second-level cache: what one task works on should lie
     * there.  Decides how work is cut, never a bit of a result. */
    size_t l2_bytes;
#define OC_KERNEL_FIELD(type, job) type *job;
#include "kernels/kernels.def"
} oc__kernels;

/** Fills the table for a set of OC_CPU_* bits (already resolved). */
void oc__kernels_init(oc__kernels *k, uint32_t cpu);

/** Whether products of bf16 are faster than those of f32. */
int oc__kernels_have_bf16(const oc__kernels *k);

/** Operations a second that one core can do, in the table's precision;
 *  measured for some 30 ms. */
double oc__peak_flops(const oc__kernels *k);

/** The table for all this machine has; static storage. */
const oc__kernels *oc__kernels_native(void);

#define OC_KERNEL_FIELD(type, job) typedef type oc__job_##job;
#define OC_KERNEL(job, isa, need)  extern oc__job_##job oc__##job##_##isa;
#include "kernels/kernels.def"

#endif
