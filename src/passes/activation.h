/* activation.h - which oc__act a node is; for the passes that fuse it. */
#ifndef OC_PASSES_ACTIVATION_H
#define OC_PASSES_ACTIVATION_H

#include "passes/match.h"

/**
 * Whether n is an f32 activation of its input 0, as one node: Relu, Clip with
 * constant bounds, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSwish, Elu,
 * Softplus, Mish, Gelu, Swish, Act.  The type is the caller's to check.
 */
int oc__node_activation(const oc__graph *g, const oc__node *n,
                        oc__act_args *out);

#endif
