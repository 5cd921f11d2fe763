/*
 * augment.h - the same picture, differently: what training sees of it.
 *
 *     augment.c          which, how much, in which order; presets
 *     augment_warp.c     turning, shifting, shearing
 *     augment_color.c    brightness, contrast, saturation, hue, point tables
 *     augment_mix.c      MixUp, CutMix, random erasing: on tensors
 *
 *     decoded --crop+resize--> flips, quarter turns --> warp --> colour
 *             --> RandAugment --> numbers --> erasing --> MixUp or CutMix
 *
 * Everything is drawn from one generator that depends on seed, epoch and place
 * in the epoch alone.  Single operations do what torchvision's do on Pillow's
 * pictures; tests compare the two.
 */
#ifndef OC_DATA_AUGMENT_H
#define OC_DATA_AUGMENT_H

#include "base/rng.h"
#include "data/labelled.h"

/** How much of what.  Zero-initialised: nothing is changed. */
typedef struct oc__augment {
    double crop_least;   /* random resized crop: share of the area, from here */
    double crop_most;    /*   to here (0: 1); crop_least 0: no such crop */
    double crop_stretch; /* its aspect ratio: 1/this..this; 0: 4/3 */
    double shift;        /* moved by whole pixels, at most this share of a
                            side; what comes in mirrors the edge */
    double flip_h, flip_v; /* how likely each is */
    int quarter_turns;     /* nonzero: 0, 90, 180, 270 degrees alike */
    double turn_degrees;   /* turned by -this..this */
    double zoom;           /* scaled by 1-this..1+this */
    double brightness;     /* factor 1-this..1+this, likewise ... */
    double contrast;       /* ... mixed with its mean gray */
    double saturation;     /* ... mixed with its own gray */
    double hue;            /* turned by -this..this of the circle, up to 0.5 */
    double gray;           /* how likely colours are dropped */
    int rand_ops;          /* RandAugment: operations a picture */
    double rand_magnitude; /*   0..30; torchvision's default is 9 */
    double erase;          /* how likely a rectangle becomes noise */
    double mixup;          /* alpha of the Beta distribution; 0: none */
    double cutmix;         /* likewise; with both, either by a coin */
    double mix;            /* how likely a batch is mixed; 0: 1 */
} oc__augment;

/** A recipe for a kind of data; strength 0: none, 1: usual, 2: strong. */
oc__augment oc__augment_preset(oc__picture_kind kind, double strength);
/**
 * The same for pictures that were looked at: no quarter turns where these make
 * other pictures of them, as their edges have a direction.
 */
oc__augment oc__augment_for(const oc__look_at_pictures *look, double strength);
/** "flip-h=0.5,..." as oc__augment_parse() reads it, always ended by 0. */
void oc__augment_describe(const oc__augment *a, char *out, size_t bytes);
/** Sets fields from "flip-h=0.5,mixup=0.2"; E_ARG names what is wrong. */
oc_status oc__augment_parse(oc__augment *a, const char *text, oc_error *err);

/**
 * Makes one picture of width x height out of img (3 channels; or 1).  out is
 * an initialised picture of that size and as many channels.
 */
oc_status oc__augment_picture(oc_image *out, const oc_image *img,
                              const oc__augment *a, oc__rng *rng,
                              const oc_allocator *allocator, oc_error *err);

#endif
