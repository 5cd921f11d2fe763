/*
 * last.h - operators on 8-bit tensors with channels last, domain "ocelli".
 *
 * The pass layout_i8 emits them; no file contains them.  x is u8 or s8 of
 * shape [N, H, W, C].  Operators that take each element on its own work on
 * such tensors as they are.
 *
 *   PackLast     w (O, I/g, kh, kw) without zero point, s8, or s16 for one
 *                channel a group -> packed (1-D u8).   geom
 *   ConvLast     x, packed, bias i32, scale f32 -> codes.   geom; pad, the
 *                byte outside the picture; zero and is_signed of the result.
 *                bias and scale as kernels/conv_i8.h has them.
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
