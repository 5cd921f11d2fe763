/*
 * range_lanes.h - what values each channel of an activation has.
 *
 * A small histogram each, so that the range of all of them is known for any
 * factors the channels are divided by, without looking at a sample again.
 */
#ifndef OC_QUANT_RANGE_LANES_H
#define OC_QUANT_RANGE_LANES_H

#include "quant/range.h"

enum { OC_LANE_BINS = 128 };

typedef struct oc__lane {
    int64_t count; /* finite values seen */
    double start;  /* of the first bin */
    double width;  /* of a bin */
    double square; /* sum of squares */
    float least, most;
    double low, high; /* sums of the least and the greatest of each part */
    int64_t parts;
    uint32_t bins[OC_LANE_BINS];
} oc__lane;

/** Takes n more values, `stride` apart; NaN and infinities are left out. */
void oc__lane_add(oc__lane *l, const float *x, int64_t n, int64_t stride);
/** The range of n channels together, channel i divided by by[i] > 0; out's use
 * stays. */
void oc__lanes_range(const oc__lane *lanes, int64_t n, const float *by,
                     oc__range *out);

#endif
