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
 * Signed inputs are seen as x ^ 128, with zx + 128.
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
 * and codes made of it as codes says; there bias, scale and rows of y have
 * `channels` elements.  Bytes of `in` are u8 or, with in_signed, s8.
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

/* ---- the drivers --------------------------------------------------------- */

typedef struct oc__conv_i8_args {
    oc__conv_geom g;
    const uint8_t *in;
    int in_signed;
    int pad;            /* the byte that stands outside the picture */
    const void *packed; /* of oc__conv_i8_pack() */
    /* For each group, its channels filled up to OC_CODE_COLS. */
    const int32_t *bias;
    const float *scale;
    int zero, out_signed; /* of the output */
    uint8_t *out;
} oc__conv_i8_args;

/** Bytes of the packed weights; SIZE_MAX: too many. */
size_t oc__conv_i8_packed_bytes(const struct oc__kernels *kt,
                                const oc__conv_geom *g);
/**
 * Packs w (out_c, in_c/group, kernel_h, kernel_w), dense, without a zero
 * point: s8, or s16 where wide.  Only for one channel a group (depthwise) may
 * they be wide.  packed is aligned to 64.
 */
void oc__conv_i8_pack(const struct oc__kernels *kt, const oc__conv_geom *g,
                      const void *w, int wide, void *packed);
/** Elements of bias and of scale. */
size_t oc__conv_i8_terms(const oc__conv_geom *g);
/** Where the one of an output channel stands. */
size_t oc__conv_i8_term(const oc__conv_geom *g, size_t channel);
/** The bias of a channel: bias - zx sum w, modulo 2^32; w as for packing. */
int32_t oc__conv_i8_bias(const oc__conv_geom *g, const void *w, int wide,
                         size_t channel, int32_t bias, int in_zero,
                         int in_signed);
size_t oc__conv_i8_scratch_bytes(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, int threads);
/** scratch is aligned to 64.  The same bits for any thread count. */
void oc__conv_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__conv_i8_args *args, void *scratch);

/** Maximum pooling: in, in_signed, g and out of args.  in_c == out_c. */
size_t oc__max_pool_i8_scratch_bytes(const oc__conv_geom *g, int threads);
void oc__max_pool_i8(const struct oc__kernels *kt, oc__pool *pool,
                     const oc__conv_i8_args *args, void *scratch);

#endif
