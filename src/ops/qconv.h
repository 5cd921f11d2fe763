/*
 * qconv.h - what qconv.c and its depthwise part share.
 */
#ifndef OC_OPS_QCONV_H
#define OC_OPS_QCONV_H

#include "ops/requantize.h"
#include "ops/window.h"

typedef struct oc__qconv {
    const oc_tensor *x, *w, *bias; /* bias: int32, or NULL */
    oc__window window;
    int64_t batch, group;
    int64_t group_in, group_out; /* channels of a group */
    int64_t depth;               /* taps of a group */
    int64_t in_pixels, out_pixels;
    oc__param x_scale, x_zero, w_scale, w_zero, y_scale, y_zero;
    int x_signed, w_signed;
    oc_dtype y_type; /* i32: the sums themselves */
    int depthwise, pointwise;
    int packed_at;       /* number of the input of packed weights, or -1 */
    const void *weights; /* packed; NULL: not yet */
    int64_t tile;        /* output positions */
    int64_t band_rows;   /* of output, in the depthwise form */
    /* Offsets into scratch, and of the workers' parts. */
    size_t scales, biases, zeros, input, reordered, packed, packed_each;
    size_t workers, worker_bytes, total;
    size_t at_tile, at_sums, at_bytes, at_gemm, at_input;
    /* Known at run time. */
    int32_t x_zero_value;
    int y_zero_value, pad_byte;
} oc__qconv;

/** Whether the depthwise form, one channel a group, can do this. */
int oc__qconv_depth_can(const oc__qconv *q);
/** Sets band_rows and a worker's layout; returns a worker's bytes. */
size_t oc__qconv_depth_scratch(oc__qconv *q);
/** y is the whole result. */
void oc__qconv_depthwise(const oc__ctx *c, const oc__qconv *q, oc_tensor *y);

#endif
