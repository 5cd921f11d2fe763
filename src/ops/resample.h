/*
 * resample.h - what Resize and Upsample ask for, and the tables that do it.
 *
 * A resize is separable: each axis is resampled on its own, every output
 * position being a weighted sum of `taps` input positions.  The tables of an
 * axis hold, for each of its `out` positions j:
 *
 *     index  [out][taps]  input positions, inside 0..in-1
 *     weight [out][taps]  their weights (float, or double in the f64 pass)
 *     outside[out]        1: the result is the extrapolation value instead
 */
#ifndef OC_OPS_RESAMPLE_H
#define OC_OPS_RESAMPLE_H

#include "ops/op.h"

typedef enum oc__resize_mode {
    OC_RESIZE_NEAREST,
    OC_RESIZE_LINEAR,
    OC_RESIZE_CUBIC,
} oc__resize_mode;

/** How positions of the output map to positions of the input. */
typedef enum oc__resize_coord {
    OC_COORD_HALF_PIXEL,
    OC_COORD_HALF_PIXEL_SYMMETRIC,
    OC_COORD_PYTORCH_HALF_PIXEL,
    OC_COORD_ALIGN_CORNERS,
    OC_COORD_ASYMMETRIC,
    OC_COORD_TF_HALF_PIXEL_FOR_NN,
    OC_COORD_TF_CROP_AND_RESIZE,
    OC_COORD_COUNT
} oc__resize_coord;

typedef enum oc__resize_round {
    OC_ROUND_PREFER_FLOOR,
    OC_ROUND_PREFER_CEIL,
    OC_ROUND_FLOOR,
    OC_ROUND_CEIL,
    OC_ROUND_SIMPLE, /* opset 10: ceil when shrinking, floor otherwise */
    OC_ROUND_COUNT
} oc__resize_round;

typedef struct oc__resize_axis {
    int64_t in, out;
    double scale;      /* out / in, or as given */
    double width;      /* out before it was made whole: scale * in */
    double begin, end; /* the region of interest, 0..1 */
    int taps;
    int resized; /* 0: every position maps to itself */
} oc__resize_axis;

typedef struct oc__resize_spec {
    oc__resize_mode mode;
    oc__resize_coord coord;
    oc__resize_round round;
    double a; /* cubic coefficient */
    float extrapolation;
    int antialias, exclude_outside;
    int rank;
    oc__resize_axis axis[OC_MAX_RANK];
} oc__resize_spec;

/** Reads attributes and inputs of every version of both operators. */
oc_status oc__resize_read(oc__ctx *c, oc__resize_spec *spec);
/** Input position of output position x, before rounding. */
double oc__resize_position(const oc__resize_spec *s, const oc__resize_axis *a,
                           int64_t x);
/** Input index of output position x in nearest mode; -1: outside. */
int64_t oc__resize_nearest(const oc__resize_spec *s, const oc__resize_axis *a,
                           int64_t x);
/** Fills taps indexes and weights for output position x; 1: outside. */
int oc__resize_taps(const oc__resize_spec *s, const oc__resize_axis *a,
                    int64_t x, int64_t *index, double *weight);

#endif
