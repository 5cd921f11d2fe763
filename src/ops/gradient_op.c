/*
 * gradient_op.c - ai.onnx.preview.training's Gradient, as a name.
 *
 * It speaks of a part of the graph it stands in, so no operator can run it:
 * the pass in passes/differentiate.c puts ordinary nodes in its place when a
 * model is loaded.
 */
#include "ops/op.h"

static oc_status refuse(oc__ctx *c) {
    return oc__op_fail(c, OC_E_UNSUPPORTED,
                       "Gradient stands where it cannot be expanded");
}

const oc__op oc__ops_gradient_op[] = {
    {"ai.onnx.preview.training", "Gradient", 1, 1, -1, -1, OC_OP_DYNAMIC, 0,
     refuse, refuse, NULL},
    {0},
};
