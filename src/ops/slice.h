/* slice.h - what Slice asks for. */
#ifndef OC_OPS_SLICE_H
#define OC_OPS_SLICE_H

#include "ops/op.h"

/** First index, step and number of elements for every axis of the input. */
typedef struct oc__slice {
    int64_t begin[OC_MAX_RANK], step[OC_MAX_RANK], size[OC_MAX_RANK];
} oc__slice;

/** Reads attributes and inputs of every version; inputs 1 to 4 are known. */
oc_status oc__slice_read(oc__ctx *c, oc__slice *out);

#endif
