/*
 * resize.h - the parts of the resizer: weights, and the loops over rows.
 *
 * Resizing is two passes, each a weighted sum in one direction.  An axis
 * holds the weights of one:
 *
 *     out[i] = sat8((sum_t in[start[i] + t] * weight(i, t)
 *                    + (1 << (shift - 1))) >> shift)
 *
 *     start  i32[out]           first tap, inside the picture
 *     count  i32[out]           taps that are inside the picture
 *     coef   i16[out * taps]    weight(i, t) = coef[i * taps + t]; or, where
 *     fine   i16[out * taps]    there is one: coef * 2048 + fine
 *
 * Both are 0 from count on.  16-bit weights let one instruction multiply and
 * add two taps.  One such array is enough for 14 bits and errors below a
 * twentieth of a level; but half levels are common when enlarging by a simple
 * ratio, and to round each as Pillow does takes its 22 bits.  So antialiased
 * weights come in two halves and the result is Pillow's to the bit.
 */
#ifndef OC_IMAGE_RESIZE_H
#define OC_IMAGE_RESIZE_H

#include "image/image.h"

/* Bits of a weight that its second array holds. */
#define OC__RESIZE_FINE_BITS 11

typedef struct oc__resize_axis {
    int out;
    int taps;   /* room for taps of one output, a multiple of 8 */
    int most;   /* the largest count */
    int shift;  /* fractional bits */
    int copies; /* nonzero: out[i] = in[start[i]], no coef: nothing to sum */
    int32_t *start, *count;
    int16_t *coef, *fine;
    size_t coef_bytes;
    const oc_allocator *allocator;
} oc__resize_axis;

/**
 * The weights for n samples, beginning with number `first`, of the `out` that
 * in[from, to) becomes; from and to are inside 0..in.  Deinit the axis also
 * after a failure.
 */
oc_status oc__resize_axis_init(oc__resize_axis *axis, int in, double from,
                               double to, int out, int first, int n,
                               const oc_resize *how, oc_error *err);
void oc__resize_axis_deinit(oc__resize_axis *axis);

/* Kernels may read this far past a row's last tap and write this far past
   the last output; rows are allocated, or copied, to suit. */
#define OC__RESIZE_SLACK 32

/**
 * Two rows in x direction, which share the loads of weights.
 *   src  pixels of `channels` bytes; readable up to the largest
 *        (start + taps) * channels + OC__RESIZE_SLACK bytes
 *   dst  axis->out pixels and OC__RESIZE_SLACK bytes of room each; both may
 *        be the same where both sources are
 */
typedef void oc__resize_h(uint8_t *const dst[2], const uint8_t *const src[2],
                          const oc__resize_axis *axis, int channels);

/**
 * One row in y direction: n bytes, each the weighted sum of `count` rows.
 *   rows        n readable bytes each
 *   coef, fine  of this output; fine may be NULL
 */
typedef void oc__resize_v(uint8_t *dst, const uint8_t *const *rows,
                          const int16_t *coef, const int16_t *fine, int count,
                          size_t n, int shift);

/* The scalar ones are the specification; the others are bit-exact. */
oc__resize_h oc__resize_h_scalar;
oc__resize_v oc__resize_v_scalar;
#if defined(__x86_64__) && defined(__GNUC__)
#define OC__RESIZE_AVX2 1
oc__resize_h oc__resize_h_avx2;
oc__resize_v oc__resize_v_avx2;
#endif

/** oc__image_resize_rows() with the instruction sets in cpu (OC_CPU_*). */
oc_status oc__image_resize_rows_on(const oc_image *img, const oc_resize *how,
                                   const oc__window *part, uint32_t cpu,
                                   oc__row_sink *sink, void *user,
                                   oc_error *err);

#endif
