/*
 * rotary.h - rotary position embedding, shared by RotaryEmbedding and the
 * attention operators that apply it themselves.
 */
#ifndef OC_OPS_ROTARY_H
#define OC_OPS_ROTARY_H

#include "ops/nn.h"

typedef struct oc__rotary {
    int interleaved;        /* pairs are (0,1), (2,3)...; else (i, i + half) */
    int64_t rotated;        /* leading elements of a head that turn */
    int64_t head;           /* elements of a head */
    const float *cos, *sin; /* (positions, rotated / 2) */
    int64_t positions;
} oc__rotary;

/** Turns one head at a position, x to y; they may be the same. */
void oc__rotary_head(const oc__rotary *r, int64_t position, const float *x,
                     float *y);

#endif
