/*
 * window.h - where a sliding window goes: the geometry that convolutions and
 * poolings of any rank share.
 *
 *     input position = output position * stride + tap * dilation - pad_lo
 *
 * Taps that fall outside the input are padding.
 */
#ifndef OC_OPS_WINDOW_H
#define OC_OPS_WINDOW_H

#include "ops/op.h"

typedef struct oc__window {
    int rank; /* spatial dimensions, 1 to OC_MAX_RANK - 2 */
    int64_t in[OC_MAX_RANK], out[OC_MAX_RANK];
    int64_t kernel[OC_MAX_RANK], stride[OC_MAX_RANK], dilation[OC_MAX_RANK];
    int64_t pad_lo[OC_MAX_RANK], pad_hi[OC_MAX_RANK];
} oc__window;

/**
 * Reads strides, dilations, pads of the node; kernel from kernel_shape, or
 * from `kernel` (a weight's spatial dims), with which kernel_shape must agree.
 * in is the input's spatial shape.  out is left to the calls below.
 */
oc_status oc__window_read(const oc__ctx *c, int rank, const int64_t *in,
                          const int64_t *kernel, oc__window *w);
/**
 * Sets out, and pads where auto_pad asks for them.  With ceil, windows that
 * overhang the end count, unless they would start in the padding there.
 */
oc_status oc__window_fit(const oc__ctx *c, int ceil, oc__window *w);
/** The same for transposed convolution: in and out trade places. */
oc_status oc__window_fit_transposed(const oc__ctx *c, oc__window *w);

/** Extent of the dilated kernel along dimension d. */
int64_t oc__window_extent(const oc__window *w, int d);
/**
 * Output positions lo <= o < hi of dimension d whose tap k lies inside the
 * input; hi >= lo.
 */
void oc__window_span(const oc__window *w, int d, int64_t k, int64_t *lo,
                     int64_t *hi);
/**
 * Taps of window o along d that an average is divided by: all inside the
 * input, or, with include_pad, all inside the padded input.  A window that
 * overhangs the padded input in ceil_mode counts only what is in it.
 */
int64_t oc__window_inside(const oc__window *w, int d, int64_t o,
                          int include_pad);
/** Taps of the first `dims` dimensions. */
int64_t oc__window_taps(const oc__window *w, int dims);
/** channels * taps, or E_LIMIT. */
oc_status oc__window_depth(const oc__ctx *c, const oc__window *w,
                           int64_t channels, int64_t *out);

/** The channels of a convolution, in `count` groups. */
typedef struct oc__groups {
    int64_t count, in, out; /* in and out are those of one group */
} oc__groups;
/**
 * Reads `group` and checks it against x (batch, channels, ...), the weight
 * (channels out, channels in of a group, ...) and the bias, which may be NULL.
 */
oc_status oc__groups_read(const oc__ctx *c, const oc_tensor *x,
                          const oc_tensor *w, const oc_tensor *bias,
                          oc__groups *g);

/** Advances a mixed-radix counter over dims[0..n-1]; 0 after the last. */
int oc__odometer(int64_t *at, const int64_t *dims, int n);
/** Position number `index` of dims[0..n-1]. */
void oc__unravel(int64_t index, const int64_t *dims, int n, int64_t *at);

#endif
