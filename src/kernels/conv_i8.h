/*
 * conv_i8.h - 2-D convolution and maximum pooling of 8-bit integers, channels
 * last.
 *
 *     x (n, h, w, c)     pixel: c0 c1 c2 ... | next pixel: c0 c1 c2 ...
 *
 * A 1x1 convolution is then a product as it stands, the windows of others are
 * runs of bytes, and what works on single channels has them side by side.
 *
 * Zero points.  Weights have none here: the caller has taken it out of them.
 * That of the input adds the same to all sums of a channel, and outside the
 * picture stand bytes of that value (`pad`), so it is in the bias:
 *
 *     sum (x - zx) w + bias = sum x w + (bias - zx sum w)
 *
 * Signed inputs are seen as x ^ 128, with zx + 128 (or unsigned ones with zx -
 * 128, where the kernel wants s8).
 *
 * Winograd.  Where nothing multiplies bytes faster than numbers of 16 bits, a
 * 3x3 convolution of stride 1 takes a quarter of the products: of tiles of 6x6
 * pixels and of weights transformed likewise, 36 products of matrices give 4x4
 * pixels each,
 *
 *     sum = A' ((G w G') * (B' x B)) A        F(4x4, 3x3), points 0 1 -1 2 -2
 *
 * All in integers, and exact: rows of G are multiplied by what makes them whole
 * and keeps the weights in 16 bits, rows of A' by the rest, so that the result
 * is 576 times the sum, modulo 2^32.  576 is 64 * 9.  9 has an inverse modulo
 * 2^32, and the 6 bits that 64 costs are not there in sums below 2^25: what
 * pixels of 8 bits and the weights can make is known when these are packed.
 *
 *     B'  4  0 -5  0  1  0     G  6  0  0     A'  1  4  4  1  1  0
 *         0 -4 -4  1  1  0       -1 -1 -1         0  4 -4  2 -2  0
 *         0  4 -4 -1  1  0       -1  1 -1         0  4  4  4  4  0
 *         0 -2 -1  2  1  0        1  2  4         0  4 -4  8 -8  4
 *         0  2 -1 -2  1  0        1 -2  4
 *         0  4  0 -5  0  1        0  0  6
 *
 * B' x B stays within 68 * 255, G w G' within 49 * 128.
 */
#ifndef OC_KERNELS_CONV_I8_H
#define OC_KERNELS_CONV_I8_H

#include "cpu/pool.h"
#include "kernels/conv.h"
#include "kernels/gemm_i8.h"

/* ---- the kernels --------------------------------------------------------- */

/**
 * A row of output pixels, each channel on its own:
 *   sum[p][ch] = sum over t of in[p * in_step + t][ch] * w[t * channels + ch]
 * and codes or f32 made of it as codes says; there bias, scale, shift and rows
 * of y and f have `channels` elements.  Bytes of `in` are u8 or, with
 * in_signed, s8.
 */
typedef struct oc__depth_i8_run {
    const uint8_t *const *in; /* each at `channels` bytes */
    size_t in_step, pixels, taps, channels;
    int in_signed;
    const int16_t *w;
    oc__codes codes;
} oc__depth_i8_run;
typedef void oc__depth_i8_fn(const oc__depth_i8_run *r);

/** y[i] = the greatest of in[t][i], t < taps, i < n; bytes ^ flip as u8. */
typedef void oc__max_i8_fn(const uint8_t *const *in, size_t taps, int flip,
                           uint8_t *y, size_t n);

/* The inverse of 9 modulo 2^32. */
#define OC_WINO_I8_NINTH   0x38e38e39u
#define OC_WINO_I8_OUTSIDE SIZE_MAX

typedef struct oc__wino_i8_kernel {
    size_t rows; /* most of a product */
    /* 36 pixels, row by row, of so many channels, each byte ^ flip: number t of
     * B' x B at to + t * step, channels filled up to OC_CODE_COLS by
     * anything. */
    void (*in)(const uint8_t *const *px, int flip, size_t channels, int16_t *to,
               size_t step);
    /* c (rows, OC_CODE_COLS) = a (rows, depth) b; depth is a multiple of
     * OC_CODE_COLS, b has pairs of steps of a column side by side. */
    void (*mul)(const int16_t *a, size_t rows, size_t a_step, const int16_t *b,
                size_t depth, int32_t *c);
    /* Products number t at m + t * step become the sums of 16 pixels, and these
     * codes or f32, with cols <= OC_CODE_COLS channels: pixel i at to->y (or f)
     * + at[i], nowhere if that is OC_WINO_I8_OUTSIDE. */
    void (*out)(const int32_t *m, size_t step, size_t cols, const oc__codes *to,
                const size_t *at);
} oc__wino_i8_kernel;

/* ---- the drivers --------------------------------------------------------- */

/** How the sums are made; they are the same. */
typedef enum oc__conv_i8_algo {
    OC_CONV_I8_PLAIN,    /* windows as rows of a product, or depthwise */
    OC_CONV_I8_WINOGRAD, /* 3x3, stride 1, dilation 1, one group */
    OC_CONV_I8_ALGO_COUNT
} oc__conv_i8_algo;

/** Whether `algo` can do it. */
int oc__conv_i8_can(const oc__conv_geom *g, oc__conv_i8_algo algo);
/** The faster one that is exact with these weights. */
oc__conv_i8_algo oc__conv_i8_choose(const struct oc__kernels *kt,
                                    const oc__conv_geom *g, const int8_t *w);

typedef struct oc__conv_i8_args {
    oc__conv_geom g;
    oc__conv_i8_algo algo;
    const uint8_t *in;
    int in_signed;
    int pad;            /* the byte that stands outside the picture */
    const void *packed; /* of oc__conv_i8_pack() */
    /* For each group, its channels filled up to OC_CODE_COLS. */
    const int32_t *bias;
    const float *scale;
    int zero, out_signed; /* of the output */
    uint8_t *out;
    /* Not NULL: the result is f32 instead, with a shift a channel (like scale),
     * more that is added (NULL: nothing), and an activation behind. */
    float *out_f32;
    const float *shift, *residual;
    int act; /* oc__act */
    float act_a, act_b;
} oc__conv_i8_args;

/** Bytes of the packed weights; SIZE_MAX: too many. */
size_t oc__conv_i8_packed_bytes(const struct oc__kernels *kt,
                                const oc__conv_geom *g, oc__conv_i8_algo algo);
/**
 * Packs w (out_c, in_c/group, kernel_h, kernel_w), dense, without a zero
 * point: s8, or s16 where wide.  Only for one channel a group (depthwise) may
 * they be wide.  packed is aligned to 64.
 */
void oc__conv_i8_pack(const struct oc__kernels *kt, const oc__conv_geom *g,
                      oc__conv_i8_algo algo, const void *w, int wide,
                      void *packed);
/** Elements of bias and of scale. */
size_t oc__conv_i8_terms(const oc__conv_geom *g);
/** Where the one of an output channel stands. */
size_t oc__conv_i8_term(const oc__conv_geom *g, size_t channel);
/** The bias of a channel: bias - zx sum w, modulo 2^32; w as for packing. */
int32_t oc__conv_i8_bias(const struct oc__kernels *kt, const oc__conv_geom *g,
                         oc__conv_i8_algo algo, const void *w, int wide,
                         size_t channel, int32_t bias, int in_zero,
                         int in_signed);
size_t oc__conv_i8_scratch_bytes(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, oc__conv_i8_algo algo,
                                 int threads);
/** scratch is aligned to 64.  The same bits for any thread count. */
void oc__conv_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__conv_i8_args *args, void *scratch);

/** Maximum pooling: in, in_signed, g and out of args.  in_c == out_c. */
size_t oc__max_pool_i8_scratch_bytes(const oc__conv_geom *g, int threads);
void oc__max_pool_i8(const struct oc__kernels *kt, oc__pool *pool,
                     const oc__conv_i8_args *args, void *scratch);

#endif
