/*
 * levels.h - levels 0..255 into the numbers a network takes.
 *
 *     value = level * a[c] + b[c],  rounded and saturated for integers
 *
 * There are only 256 levels, so every type is one table per channel; vector
 * code for f32 computes the same with the same fused multiply and add.
 */
#ifndef OC_IMAGE_LEVELS_H
#define OC_IMAGE_LEVELS_H

#include "image/image.h"

typedef struct oc__levels {
    oc_dtype dtype;
    size_t bytes;  /* of a value */
    int channels;  /* 1 or 3, of the network */
    int source[3]; /* channel of the picture that network channel c takes */
    float a[3], b[3];
    _Alignas(64) uint8_t table[3][256 * 4];
    _Alignas(4) uint8_t pad[3][4]; /* the padding's value */
} oc__levels;

/** p has been checked. */
void oc__levels_init(oc__levels *l, const oc_preprocess *p);

/**
 * n pixels of `step` bytes into the rows to[c], whose values lie `stride`
 * apart (1 in planes, the channel count where they are interleaved).  With
 * step 1 every channel takes the same byte.
 */
typedef void oc__levels_row(const oc__levels *l, uint8_t *const *to, int stride,
                            const uint8_t *row, int step, int n);

oc__levels_row oc__levels_row_scalar;
#if defined(__x86_64__) && defined(__GNUC__)
#define OC__LEVELS_AVX2 1
/** f32 in planes only; bit-exact with the scalar one. */
oc__levels_row oc__levels_row_f32_avx2;
#endif

/** n values of padding. */
void oc__levels_fill(const oc__levels *l, uint8_t *const *to, int stride,
                     int n);

#endif
