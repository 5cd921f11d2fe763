/*
 * fake_quantize.h - codes of 8 bits for a range, as quantizing and training
 * for it share them.
 */
#ifndef OC_OPS_FAKE_QUANTIZE_H
#define OC_OPS_FAKE_QUANTIZE_H

#include <math.h>

/**
 * One step and the code of 0, which is rounded to a code, for limits that have
 * 0 between them; levels: steps between the limits, 255 for 8 bits.
 */
static inline void oc__code_of_range(double lo, double hi, double levels,
                                     double *scale, double *zero) {
    double step = (hi - lo) / levels;
    /* Also where all values are 0, or too small to divide by. */
    if (!(step > 1e-30) || !isfinite(step)) step = 1;
    double z = rint(-lo / step);
    *scale = step;
    *zero = z < 0 ? 0 : z > levels ? levels : z;
}

#endif
