/*
 * pad.h - what Pad and CenterCropPad ask for.
 *
 * Along each axis the input is first cropped where a pad is negative; what is
 * left, n elements from `begin`, is the piece that modes look at:
 *
 *     output:   [ before ][ begin .. begin + n - 1 of the input ][ after ]
 */
#ifndef OC_OPS_PAD_H
#define OC_OPS_PAD_H

#include "ops/op.h"

typedef enum oc__pad_mode {
    OC_PAD_CONSTANT,
    OC_PAD_REFLECT,
    OC_PAD_EDGE,
    OC_PAD_WRAP
} oc__pad_mode;

typedef struct oc__pad_axis {
    int64_t begin, n, before, out;
} oc__pad_axis;

/** Reads Pad in every version; pads and axes are known. */
oc_status oc__pad_read(const oc__ctx *c, oc__pad_mode *mode, oc__pad_axis *p);
/** Reads CenterCropPad, which crops and pads evenly, the odd element behind;
 *  its shape is known. */
oc_status oc__center_read(const oc__ctx *c, oc__pad_axis *p);
/** Index in the piece for output index i of an axis; i counts from the piece
 *  and is inside for the constant mode. */
int64_t oc__pad_source(oc__pad_mode mode, int64_t i, int64_t n);

#endif
