/*
 * last.h - operators on 8-bit tensors with channels last, domain "ocelli".
 *
 * The pass layout_i8 emits them; no file contains them.  x is u8 or s8 of
 * shape [N, H, W, C].  Operators that take each element on its own work on
 * such tensors as they are.
 *
 *   PackLast     w (O, I/g, kh, kw) without zero point, s8, or s16 for one
 *                channel a group -> packed (1-D u8).   geom; algo
 *   ConvLast     x, packed, bias i32, scale f32 -> codes.   geom; algo; pad,
 *                the byte outside the picture; zero and is_signed of the
 * result. With a shift (f32), too, and then perhaps something to add (like the
 * result): -> f32.   act, act_a, act_b. bias, scale and shift as
 * kernels/conv_i8.h has them. ProductLast  the same of x (..., k) of any rank,
 * by weights that PackLast made of (n, k, 1, 1).   n instead of geom
 *   MaxPoolLast  x -> the same type.   geom
 *   JoinLast     pairs of x and a table of 256 codes or nothing -> the parts
 *                side by side, each through its table; groups: then the
 *                channels (groups, C / groups) transposed; split: then cut
 *                into outputs of so many channels.
 *
 * geom is an oc__conv_geom, as in blocked.h.
 */
#ifndef OC_OPS_LAST_H
#define OC_OPS_LAST_H

#include "ops/blocked.h"

#endif
