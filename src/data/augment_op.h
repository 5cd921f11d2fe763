/*
 * augment_op.h - the single changes augment.c puts together.
 *
 * They work on pictures of 1 or 3 channels in place, or from one into another
 * of the same channels.  What has a name in Pillow does what Pillow does.
 */
#ifndef OC_DATA_AUGMENT_OP_H
#define OC_DATA_AUGMENT_OP_H

#include "data/augment.h"

/* ---- colour (augment_color.c) --------------------------------------------
 *
 * ImageEnhance's: a factor of 1 changes nothing, 0 is black, gray, colourless
 * or smooth, above 1 goes the other way.
 */
void oc__aug_brightness(oc_image *img, float factor);
void oc__aug_contrast(oc_image *img, float factor);
void oc__aug_saturation(oc_image *img, float factor);
/** Needs a second picture of the same size to work in. */
void oc__aug_sharpness(oc_image *img, oc_image *tmp, float factor);
/** Turns the hue by `turn` of the circle, -0.5..0.5, in HSV of bytes. */
void oc__aug_hue(oc_image *img, float turn);
void oc__aug_gray(oc_image *img);
/* ImageOps': */
void oc__aug_posterize(oc_image *img, int bits);
void oc__aug_solarize(oc_image *img, int threshold);
void oc__aug_autocontrast(oc_image *img);
void oc__aug_equalize(oc_image *img);

/* ---- place (augment_warp.c) ---------------------------------------------- */

/**
 * Whole pixels: out(x, y) = img at x, y mirrored (flip_h, flip_v), turned by
 * `quarters` times 90 degrees counter-clockwise, then moved by dx, dy; what
 * comes in mirrors the edge.  Odd quarters need out's sides exchanged.
 */
void oc__aug_place(oc_image *out, const oc_image *img, int flip_h, int flip_v,
                   int quarters, int dx, int dy);
/**
 * out(x, y) = img at (m0 x + m1 y + m2, m3 x + m4 y + m5), as Pillow's
 * transform(AFFINE, BILINEAR) with pixel centres at halves; edges are
 * mirrored where that leaves the picture.
 */
void oc__aug_warp(oc_image *out, const oc_image *img, const double m[6]);

/** One operation of RandAugment; magnitude 0..30. */
typedef enum oc__rand_op {
    OC_RAND_IDENTITY,
    OC_RAND_SHEAR_X,
    OC_RAND_SHEAR_Y,
    OC_RAND_TRANSLATE_X,
    OC_RAND_TRANSLATE_Y,
    OC_RAND_ROTATE,
    OC_RAND_BRIGHTNESS,
    OC_RAND_COLOR,
    OC_RAND_CONTRAST,
    OC_RAND_SHARPNESS,
    OC_RAND_POSTERIZE,
    OC_RAND_SOLARIZE,
    OC_RAND_AUTOCONTRAST,
    OC_RAND_EQUALIZE,
    OC_RAND_COUNT
} oc__rand_op;

/** img and tmp may change places: the result is in *img. */
void oc__aug_rand(oc_image *img, oc_image *tmp, oc__rand_op op,
                  double magnitude, int negative);

/* ---- tensors (augment_mix.c) --------------------------------------------- */

/** How a batch is shaped: NCHW or, channels_last, NHWC. */
typedef struct oc__mix_shape {
    int rows, channels, height, width, classes;
    int channels_last;
} oc__mix_shape;

/** Fills a rectangle of one row with normal noise, with probability p. */
void oc__aug_erase(float *row, const oc__mix_shape *s, double p, oc__rng *rng);
/**
 * Mixes rows i and rows-1-i with one another; returns whether it did.  The
 * middle one of an odd number stays as it is.
 */
int oc__aug_mix(float *images, float *targets, const oc__mix_shape *s,
                const oc__augment *a, oc__rng *rng);
/** Of the Beta distribution with both parameters alpha > 0. */
double oc__aug_beta(oc__rng *rng, double alpha);

#endif
