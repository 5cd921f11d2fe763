/*
 * conv_i8_private.h - what the drivers of 8-bit convolution share.
 */
#ifndef OC_KERNELS_CONV_I8_PRIVATE_H
#define OC_KERNELS_CONV_I8_PRIVATE_H

#include "kernels/conv_i8.h"
#include "kernels/kernels.h"

/** Whether each channel is a group of its own, in and out. */
static inline int oc__conv_i8_is_depth(const oc__conv_geom *g) {
    return g->group > 1 && g->group == g->in_c && g->group == g->out_c;
}

size_t oc__depth_i8_scratch_bytes(const oc__conv_geom *g, int threads);
void oc__depth_i8(const oc__kernels *kt, oc__pool *pool,
                  const oc__conv_i8_args *args, void *scratch);

#endif
