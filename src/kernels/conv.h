/*
 * conv.h - 2-D convolution and pooling in the blocked layout NCHWc, f32.
 *
 * NCHWc cuts the channels into blocks of c = oc__kernels.block and puts the
 * channels of a block innermost, so that one vector holds one pixel's block:
 *
 *     element (n, ch, y, x)  ->  [n][ch / c][y][x][ch % c]
 *
 *     n, block 0:  pixel 0: c channels | pixel 1: c channels | ...
 *        block 1:  pixel 0: c channels | pixel 1: c channels | ...
 *
 * When the channels do not divide, the last block is filled up.  What the
 * filling holds is nobody's business: oc__block_f32() writes zeros, an
 * activation may turn them into anything, and no kernel lets them into a
 * real channel.
 *
 * Weights of a dense convolution (oc, ic, kh, kw) are packed by
 * oc__conv_f32_pack(); the order is the driver's business.
 */
#ifndef OC_KERNELS_CONV_H
#define OC_KERNELS_CONV_H

#include "cpu/pool.h"
#include "kernels/ahead.h"

struct oc__kernels;

/* ---- the kernels --------------------------------------------------------- */

/* The blocks of output channels that one tile computes side by side. */
#define OC_CONV_MAX_BLOCKS 2

/**
 * One tile of a dense convolution: px neighbouring output pixels of one row
 * times one or two blocks of output channels.
 *
 *   out[b][p][o] = sum over blocks i, taps t, steps s of
 *       in[i * in_block_step + taps[t] + p * pixel + s]
 *       * w[((i * tap_count + t) * steps_in_block + s)][b][o]
 *
 * In NCHWc (`blocked`) pixel = steps_in_block = c and the steps are channels;
 * the last block runs over last_steps of them.  In a plain picture (`plain`)
 * pixel = steps_in_block = 1: every tap is one step, and a channel is some
 * more taps.
 *
 *     w: [blocks][tap_count][steps_in_block][out_blocks][c]
 *
 * Of bf16 (`blocked` only) a step is a pair of channels, a word of 32 bits, and
 * a pixel is c / 2 words; out, bias and residual are f32 as ever.  Products are
 * as gemm.h says.
 *
 * Strides are not the tile's business: the driver splits the columns of a
 * strided picture into phases, so that neighbouring output pixels always have
 * neighbouring input pixels (see conv_direct.c).
 */
typedef struct oc__conv_tile {
    size_t c;              /* channels in a block */
    size_t px, out_blocks; /* the tile */
    const float *in;       /* of the first pixel */
    size_t in_block_step;
    const size_t *taps; /* offsets */
    size_t tap_count;
    size_t blocks, last_steps;
    const float *w;
    oc__ahead ahead;
    float *out; /* out_blocks runs of px * c floats */
    size_t out_block_step;
    /* Of a sum cut along its blocks: the first part does not read out, only
     * the last one does what follows. */
    int first, last;
    const float *bias;     /* where the sums start, c * out_blocks; NULL: 0 */
    const float *residual; /* as out, or NULL */
    float lo, hi;          /* min(max(x, lo), hi), keeping NaN */
} oc__conv_tile;

typedef struct oc__conv_f32_kernel {
    size_t max_px[OC_CONV_MAX_BLOCKS + 1]; /* by out_blocks */
    void (*blocked)(const oc__conv_tile *t);
    void (*plain)(const oc__conv_tile *t);
} oc__conv_f32_kernel;

/**
 * A run of px output pixels of one row and one block, depthwise.
 *   out[p][ch] = sum_ij rows[i][x * c + ch] * w[i * w_row_step + j * c + ch]
 *   with x = first + p * stride + j * dilation, where 0 <= x < width
 * Rows outside the picture are left out by the driver.
 */
typedef struct oc__depthwise_run {
    size_t c, px;
    const float *const *rows;    /* at their column 0 */
    size_t row_count, tap_count; /* kernel rows, columns */
    int64_t first;               /* below 0 with padding */
    size_t width, stride, dilation;
    const float *w;
    size_t w_row_step;
    float *out;
    const float *bias, *residual; /* c values; as out; or NULL */
    float lo, hi;                 /* min(max(x, lo), hi), keeping NaN */
} oc__depthwise_run;
typedef void oc__depthwise_f32_fn(const oc__depthwise_run *r);

/** Pooling goes first down the columns, then along the row. */
typedef struct oc__pool_f32_kernel {
    /* y[i] = rows[0][i] + rows[1][i] + ..., or the greatest; n elements.
     * NaN loses against every number under max. */
    void (*add_rows)(const float *const *rows, size_t count, float *y,
                     size_t n);
    void (*max_rows)(const float *const *rows, size_t count, float *y,
                     size_t n);
    /* y[p][ch] = (sum or max over j < taps of x[p * step + j * tap_step + ch])
     * * scale, ch < c; px pixels. */
    void (*add_taps)(const float *x, size_t step, size_t tap_step, size_t taps,
                     float scale, float *y, size_t px, size_t c);
    void (*max_taps)(const float *x, size_t step, size_t tap_step, size_t taps,
                     float scale, float *y, size_t px, size_t c);
} oc__pool_f32_kernel;

/**
 * One tile of one block through a transform of Winograd's convolution; what
 * they compute stands in winograd_template.h.  With n = m + 2:
 *
 *   input   from: n x n pixels, rows from_step apart
 *           to:   n * n vectors of c floats, to_step apart
 *   output  from: n * n vectors of c floats, from_step apart
 *           to:   rows x cols pixels (at most m x m), rows to_step apart
 *
 * Gradients of filters, with n = 6 points: 4 x 4 pixels of the gradient are a
 * filter over 6 x 6 pixels of the input, which gives 3 x 3 weights.
 *
 *   grad    from: 4 x 4 pixels, rows from_step apart
 *           to:   6 * 6 vectors of c floats, to_step apart
 *   weights from: 6 * 6 vectors of c floats, from_step apart
 *           to:   3 * 3 vectors of c floats, to_step apart
 */
typedef struct oc__winograd_tile {
    size_t c;
    const float *from;
    size_t from_step;
    float *to;
    size_t to_step;
    size_t rows, cols;
    const float *bias, *residual; /* c values; as to; or NULL */
    float lo, hi;                 /* min(max(x, lo), hi), keeping NaN */
} oc__winograd_tile;

/* By m / 2 - 1, m = 2, 4, 6. */
#define OC_WINOGRAD_SIZES 3
typedef struct oc__winograd_f32_kernel {
    void (*input[OC_WINOGRAD_SIZES])(const oc__winograd_tile *t);
    void (*output[OC_WINOGRAD_SIZES])(const oc__winograd_tile *t);
    void (*grad)(const oc__winograd_tile *t);
    void (*weights)(const oc__winograd_tile *t);
} oc__winograd_f32_kernel;

/* The positive ones of the points each size interpolates at, besides 0 and
 * infinity: 1; 5/8, 3/2; 1/2, 1, 2.  Their squares and products are exact in
 * binary, and of all such sets these gave the least error (1e-6 of the range
 * for m = 4, 6e-6 for m = 6, where 1, 2 for m = 4 gives 5e-6). */
#define OC_WINOGRAD_POINTS                                                     \
    {                                                                          \
        {1.0f}, {0.625f, 1.5f}, {                                              \
            0.5f, 1.0f, 2.0f                                                   \
        }                                                                      \
    }

/* ---- the drivers --------------------------------------------------------- */

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

/**
 * How a convolution is done; chosen at planning, kept in the program.  A
 * number says everything that decides how weights are packed and in which
 * order sums are made: with it, results are a function of the operands.
 */
typedef enum oc__conv_algo {
    OC_CONV_DIRECT,    /* NCHWc in, NCHWc out; any kernel */
    OC_CONV_DEPTHWISE, /* group == in_c == out_c */
    OC_CONV_FIRST,     /* plain NCHW in (few channels), NCHWc out */
    OC_CONV_POINT,     /* 1x1 without padding */
    OC_CONV_WINOGRAD2, /* 3x3, stride 1, dilation 1; tiles of 2 x 2 pixels, */
    OC_CONV_WINOGRAD4, /* 4 x 4 */
    OC_CONV_WINOGRAD6, /* 6 x 6 */
    /* Two of them with products of bf16; only where oc__kernels.bf16 is set. */
    OC_CONV_DIRECT_BF16,
    OC_CONV_POINT_BF16,
    OC_CONV_ALGO_COUNT
} oc__conv_algo;

/** "direct", ... "winograd4"; "?" for no way.  Static storage. */
const char *oc__conv_algo_name(oc__conv_algo algo);

/** Whether packed weights are bf16: two are a word of 32 bits. */
static inline int oc__conv_is_bf16(oc__conv_algo algo) {
    return algo == OC_CONV_DIRECT_BF16 || algo == OC_CONV_POINT_BF16;
}

typedef struct oc__conv_f32_args {
    oc__conv_geom g;
    oc__conv_algo algo;
    const float *in;
    int in_last;           /* under OC_CONV_FIRST: whether `in` is NHWC */
    const float *packed_w; /* from oc__conv_f32_pack() */
    const float *bias;     /* out_c rounded up to the block, or NULL */
    const float *residual; /* like out, added before the activation; or NULL */
    float *out;
    int act; /* oc__act */
    float act_a, act_b;
    /* Under OC_CONV_POINT and its bf16: a depthwise convolution (without
     * residual) whose output, never written out, is the input; it has an input
     * of its own.  NULL: none. */
    const struct oc__conv_f32_args *before;
} oc__conv_f32_args;

/** Whether the algorithm can do this geometry on this table. */
int oc__conv_f32_can(const struct oc__kernels *kt, const oc__conv_geom *g,
                     oc__conv_algo algo);
/** The algorithm that should be fastest (a cost model, no timing).  Weights
 *  that change are packed before every run, which must pay for itself anew. */
oc__conv_algo oc__conv_f32_choose(const struct oc__kernels *kt,
                                  const oc__conv_geom *g, int fixed_weights);
/** Floats that packed weights take, or words of two bf16. */
size_t oc__conv_f32_packed_elems(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, oc__conv_algo algo);
/** w: (out_c, in_c/group, kernel_h, kernel_w), dense.  pool: NULL for one
 * thread. */
void oc__conv_f32_pack(const struct oc__kernels *kt, oc__pool *pool,
                       const oc__conv_geom *g, oc__conv_algo algo,
                       const float *w, float *packed);
size_t oc__conv_f32_scratch_bytes(const struct oc__kernels *kt,
                                  const oc__conv_geom *g, oc__conv_algo algo,
                                  int threads);
/** scratch is aligned to 64.  Bitwise equal for any thread count. */
void oc__conv_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__conv_f32_args *args, void *scratch);

/**
 * Gradients of the weights of a 3x3 convolution (stride and dilation 1) by
 * Winograd's transforms: x and the gradient blocked, dw
 * [out block][in block][tap][in c][out c].  pays() is 0 where there is no such
 * way or it does not pay.  scratch is aligned to 64.  Bitwise equal for any
 * thread count.
 */
int oc__conv_grad_winograd_pays(const struct oc__kernels *kt,
                                const oc__conv_geom *g);
size_t oc__conv_grad_winograd_scratch_bytes(const struct oc__kernels *kt,
                                            const oc__conv_geom *g,
                                            int threads);
void oc__conv_grad_winograd(const struct oc__kernels *kt, oc__pool *pool,
                            const oc__conv_geom *g, const float *x,
                            const float *grad, float *dw, void *scratch);

/**
 * The same on plain NCHW tensors with plain weights (out_c, in_c/group,
 * kernel_h, kernel_w), packed on every run; bias has out_c values; algo and
 * packed_w are ignored.  can() is 0 where it would not pay.
 */
int oc__conv_plain_f32_can(const struct oc__kernels *kt,
                           const oc__conv_geom *g);
size_t oc__conv_plain_f32_scratch_bytes(const struct oc__kernels *kt,
                                        const oc__conv_geom *g, int residual,
                                        int threads);
void oc__conv_plain_f32(const struct oc__kernels *kt, oc__pool *pool,
                        const oc__conv_f32_args *args, const float *w,
                        void *scratch);

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
