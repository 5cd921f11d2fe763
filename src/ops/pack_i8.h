/*
 * pack_i8.h - see pack_i8.c.
 */
#ifndef OC_OPS_PACK_I8_H
#define OC_OPS_PACK_I8_H

#include "ops/op.h"

/** Bytes of one run of panels, a multiple of OC_ALIGN. */
size_t oc__pack_i8_bytes(const oc__kernels *kt, int64_t k, int64_t n);
/**
 * Packs the weights (group * group_out, group_in, taps) of a convolution, in
 * the order (taps, group_in) along k.  depth is group_in * taps; reordered
 * has group_out * depth bytes.
 */
void oc__pack_i8_conv(const oc__kernels *kt, const void *w, int is_signed,
                      int64_t group, int64_t group_out, int64_t group_in,
                      int64_t depth, char *reordered, char *packed);
/**
 * The packed weights that an operator of domain ocelli has behind its other
 * inputs; NULL where it has none.  E_SHAPE when they are not `bytes` long.
 */
oc_status oc__pack_i8_input(const oc__ctx *c, size_t bytes, const void **out);

#endif
