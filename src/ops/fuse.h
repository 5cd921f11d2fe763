/*
 * fuse.h - activations that a pass, or an exporter, has fused behind an
 * operator.
 */
#ifndef OC_OPS_FUSE_H
#define OC_OPS_FUSE_H

#include "ops/op.h"

/**
 * Reads the attributes <name>, <name>_a and <name>_b that our passes write:
 * an oc__act and its parameters.  Absent: OC_ACT_NONE.
 */
oc_status oc__fuse_read(const oc__ctx *c, const char *name, int *act, float *a,
                        float *b);
/**
 * The same for com.microsoft: `activation` is an operator's name, and
 * activation_alpha, _beta (FusedGemm) or activation_params (FusedConv) its
 * parameters in the order of the standard.
 */
oc_status oc__fuse_read_microsoft(const oc__ctx *c, int *act, float *a,
                                  float *b);

#endif
