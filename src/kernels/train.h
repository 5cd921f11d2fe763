/*
 * train.h - what training does besides convolutions, in the blocked layout
 * NCHWc (conv.h): batch norms in both directions, gradients of weights and of
 * the largest of a window.
 *
 * c is the channels of a block everywhere, px pixels of one block follow on
 * one another.  Sums are short runs in f32; drivers add the runs in f64.
 */
#ifndef OC_KERNELS_TRAIN_H
#define OC_KERNELS_TRAIN_H

#include <stddef.h>

/**
 * Gradients of dense weights, for one tap and one pair of blocks:
 *
 *   acc[i][o] += sum over pictures n, rows r, pixels p of
 *                x[n * x_pic + r * x_row + p * x_px + i] *
 *                g[n * g_pic + r * g_row + p * c + o]
 *
 * i < ics: a block of input channels, or fewer; acc has rows of c.
 */
typedef struct oc__weight_run {
    size_t c, ics, pics, rows, px;
    const float *x, *g;
    size_t x_pic, x_row, x_px, g_pic, g_row;
    float *acc;
} oc__weight_run;

/** The clamp of a fused activation: g passes where lo < y < hi. */
typedef struct oc__norm_run {
    size_t c, px;
    const float *x, *g;
    const float *y;         /* what the activation gave; NULL: none */
    float lo, hi;           /* of it */
    const float *shift;     /* [c]: near the mean */
    const float *a, *b, *d; /* [c] each */
    float *out;
} oc__norm_run;

typedef struct oc__train_f32_kernel {
    void (*weights)(const oc__weight_run *r);
    /* ics ignored, one channel beside the other: acc[o] += x[..o] * g[..o] */
    void (*depth_weights)(const oc__weight_run *r);
    /* sums[0][c] += x - shift, sums[1][c] += (x - shift)^2 */
    void (*stats)(const oc__norm_run *r, float *sums);
    /* sums[0][c] += g, sums[1][c] += g (x - shift), where y lets g through */
    void (*grad_stats)(const oc__norm_run *r, float *sums);
    /* out = min(max(a x + d, lo), hi), keeping NaN */
    void (*apply)(const oc__norm_run *r);
    /* out = a g + b (x - shift) + d, where y lets g through */
    void (*grad)(const oc__norm_run *r);
    /* out = g, or 0 where x < lo or x > hi; any n */
    void (*clamp_grad)(size_t n, const float *g, const float *x, float lo,
                       float hi, float *out);
    /* sums[0][c] += x */
    void (*sum)(const oc__norm_run *r, float *sums);
    /*
     * One window of a maximum: the first greatest of taps (offsets from x)
     * gets g, in every channel by itself: dx[taps[t] + o] += g[o].  A NaN is
     * greater than all.
     */
    void (*give_max)(size_t c, const float *x, const size_t *taps, size_t n,
                     const float *g, float *dx);
} oc__train_f32_kernel;

#endif
