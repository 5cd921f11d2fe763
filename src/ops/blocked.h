/*
 * blocked.h - operators on the blocked layout NCHWc, domain "ocelli".
 *
 * The layout pass emits them; no file contains them.  A blocked tensor is an
 * f32 tensor of shape [N, ceil(C / c), H, W, c]; channels beyond C hold
 * anything finite.  Ordinary elementwise operators, Concat and Split (on
 * axis 1) work on blocked tensors as they are.
 *
 *   Block        x plain -> blocked.   layout 0: x is NCHW, 1: NHWC
 *   Unblock      x blocked -> plain.   layout; channels
 *   PackConv     w (O, I/g, kh, kw) -> packed (1-D f32, or bf16 where algo
 *                says so).   geom; algo
 *   ConvBlocked  x, packed w, [bias padded to the block], [residual like the
 *                output] -> blocked.   geom; algo; act, act_a, act_b
 *                x is blocked, but plain for algo FIRST: NCHW, or NHWC where
 *                layout is 1.
 *                Algo POINT(_BF16) takes packed w and bias of a depthwise
 *                convolution that comes before it, with depth_geom,
 *                depth_act, depth_act_a, depth_act_b.
 *   PoolBlocked  x -> blocked.   geom; pool (oc__pool_kind)
 *   ResizeBlocked  x -> blocked.   sizes (H, W); mode (oc__resize_mode);
 *                coords (oc__resize_coord, all but the region of interest);
 *                round (oc__resize_round); scale_h, scale_w where scales were
 *                given (else sizes say them); cubic_coeff_a
 *
 * geom is an oc__conv_geom as a list of integers in the order of its fields.
 */
#ifndef OC_OPS_BLOCKED_H
#define OC_OPS_BLOCKED_H

#include "ops/op.h"

enum { OC_GEOM_INTS = sizeof(oc__conv_geom) / sizeof(int64_t) };

/** Reads the geom attribute; E_FORMAT when it is not there. */
oc_status oc__geom_read(const oc__ctx *c, oc__conv_geom *out);

/** Whether input i is blocked, and for this table's block. */
oc_status oc__want_blocked(const oc__ctx *c, int i);

/** E_LIMIT unless the drivers can multiply its sizes. */
oc_status oc__geom_check(const oc__ctx *c, const oc__conv_geom *g);

/** Whether ConvBlocked can do `depth` before `point`, both on their own
 * possible. */
int oc__depth_fits(const oc__conv_geom *depth, const oc__conv_geom *point);

#endif
