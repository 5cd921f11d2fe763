/*
 * conv.h - 2-D convolution and pooling in the blocked layout NCHWc, f32.
 *
 * NCHWc cuts the channels into blocks of c = oc__kernels.block and puts the
 * channels of a block innermost, so that one vector holds one pixel's block:
 *
 *     element (n, ch, y, x)  ->  [n][ch / c][y][x][ch % c]
 *
 * The last block is filled up with zeros when the channels do not divide.
 *
 * Weights of a dense convolution (oc, ic, kh, kw) are packed by
 * oc__conv_f32_pack(); the order is the driver's business.
 */
#ifndef OC_KERNELS_CONV_H
#define OC_KERNELS_CONV_H

#include "cpu/pool.h"

struct oc__kernels;

typedef struct oc__conv_geom {
    int64_t batch;
    int64_t in_c, in_h, in_w; /* real channels, not rounded up */
    int64_t out_c, out_h, out_w;
    int64_t kernel_h, kernel_w;
    int64_t stride_h, stride_w;
    int64_t dilation_h, dilation_w;
    int64_t pad_top, pad_left; /* bottom and right follow from the sizes */
    int64_t group;
} oc__conv_geom;

/** How a convolution is done; chosen at planning, kept in the program. */
typedef enum oc__conv_algo {
    OC_CONV_DIRECT,    /* NCHWc in, NCHWc out; 1x1 too */
    OC_CONV_DEPTHWISE, /* group == in_c == out_c */
    OC_CONV_FIRST,     /* plain NCHW in (few channels), NCHWc out */
    OC_CONV_WINOGRAD,  /* 3x3, stride 1, dilation 1 */
    OC_CONV_ALGO_COUNT
} oc__conv_algo;

typedef struct oc__conv_f32_args {
    oc__conv_geom g;
    oc__conv_algo algo;
    const float *in;
    const float *packed_w; /* from oc__conv_f32_pack() */
    const float *bias;     /* out_c rounded up to the block, or NULL */
    const float *residual; /* like out, added before the activation; or NULL */
    float *out;
    int act; /* oc__act */
    float act_a, act_b;
} oc__conv_f32_args;

/** Whether the algorithm can do this geometry on this table. */
int oc__conv_f32_can(const struct oc__kernels *kt, const oc__conv_geom *g,
                     oc__conv_algo algo);
/** The algorithm that should be fastest (a cost model, no timing). */
oc__conv_algo oc__conv_f32_choose(const struct oc__kernels *kt,
                                  const oc__conv_geom *g);
size_t oc__conv_f32_packed_elems(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, oc__conv_algo algo);
/** w: (out_c, in_c/group, kernel_h, kernel_w), dense. */
void oc__conv_f32_pack(const struct oc__kernels *kt, const oc__conv_geom *g,
                       oc__conv_algo algo, const float *w, float *packed);
size_t oc__conv_f32_scratch_bytes(const struct oc__kernels *kt,
                                  const oc__conv_geom *g, oc__conv_algo algo,
                                  int threads);
/** scratch is aligned to 64.  Bitwise equal for any thread count. */
void oc__conv_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__conv_f32_args *args, void *scratch);

typedef enum oc__pool_kind {
    OC_POOL_MAX,
    OC_POOL_AVERAGE,        /* divides by the taps inside the picture */
    OC_POOL_AVERAGE_PADDED, /* divides by kernel_h * kernel_w */
} oc__pool_kind;

/** Pooling in NCHWc; out_c == in_c, group ignored.  No scratch. */
void oc__pool_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__conv_geom *g, oc__pool_kind kind, const float *in,
                  float *out);

/** Plain (n, c, hw) to NCHWc and back; padding channels are zeroed. */
void oc__block_f32(const struct oc__kernels *kt, oc__pool *pool, int64_t batch,
                   int64_t channels, int64_t pixels, const float *in,
                   float *out);
void oc__unblock_f32(const struct oc__kernels *kt, oc__pool *pool,
                     int64_t batch, int64_t channels, int64_t pixels,
                     const float *in, float *out);
/** NHWC (n, hw, c) to NCHWc and back. */
void oc__block_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                        int64_t batch, int64_t channels, int64_t pixels,
                        const float *in, float *out);
void oc__unblock_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                          int64_t batch, int64_t channels, int64_t pixels,
                          const float *in, float *out);

#endif
