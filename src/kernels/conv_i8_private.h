/*
 * conv_i8_private.h - what the drivers of 8-bit convolution share.
 */
#ifndef OC_KERNELS_CONV_I8_PRIVATE_H
#define OC_KERNELS_CONV_I8_PRIVATE_H

#include "kernels/conv_i8.h"
#include "kernels/kernels.h"

/** Winograd's way; see conv_i8_winograd.c. */
size_t oc__wino_i8_packed_bytes(const oc__conv_geom *g);
void oc__wino_i8_pack(const oc__conv_geom *g, const int8_t *w, void *packed);
size_t oc__wino_i8_scratch_bytes(const oc__kernels *kt, const oc__conv_geom *g,
                                 int threads);
void oc__wino_i8(const oc__kernels *kt, oc__pool *pool,
                 const oc__conv_i8_args *args, void *scratch);

/** Whether each channel is a group of its own, in and out. */
static inline int oc__conv_i8_is_depth(const oc__conv_geom *g) {
    return g->group > 1 && g->group == g->in_c && g->group == g->out_c;
}

/** What comes behind the sums of n f32 results, the first of them number
 * `at`. */
void oc__conv_i8_finish(const oc__kernels *kt, const oc__conv_i8_args *a,
                        size_t at, size_t n);

size_t oc__depth_i8_scratch_bytes(const oc__conv_geom *g, int threads);
void oc__depth_i8(const oc__kernels *kt, oc__pool *pool,
                  const oc__conv_i8_args *args, void *scratch);

#endif
