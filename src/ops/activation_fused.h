/* activation_fused.h - see activation_fused.c. */
#ifndef OC_OPS_ACTIVATION_FUSED_H
#define OC_OPS_ACTIVATION_FUSED_H

#include "ops/op.h"

/** The activation in a node's attributes act, act_a, act_b. */
oc__act_args oc__act_of_attrs(const oc__node *n);

#endif
