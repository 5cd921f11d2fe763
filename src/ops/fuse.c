/* fuse.c - see fuse.h. */
#include "ops/fuse.h"

#include <stdio.h>
#include <string.h>

oc_status oc__fuse_read(const oc__ctx *c, const char *name, int *act, float *a,
                        float *b) {
    char parameter[32];
    int64_t kind = oc__attr_int(c->node, name, OC_ACT_NONE);
    if (kind < 0 || kind >= OC_ACT_COUNT)
        return oc__op_fail(c, OC_E_ARG, "activation %lld does not exist",
                           (long long)kind);
    *act = (int)kind;
    snprintf(parameter, sizeof(parameter), "%s_a", name);
    *a = oc__attr_float(c->node, parameter, 0);
    snprintf(parameter, sizeof(parameter), "%s_b", name);
    *b = oc__attr_float(c->node, parameter, 0);
    return OC_OK;
}

/* Names with the defaults of their parameters. */
static const struct {
    const char *name;
    int act;
    float a, b;
} known[] = {
    {"", OC_ACT_NONE, 0, 0},
    {"Relu", OC_ACT_RELU, 0, 0},
    {"Clip", OC_ACT_CLIP, -3.402823466e38f, 3.402823466e38f},
    {"LeakyRelu", OC_ACT_LEAKY_RELU, 0.01f, 0},
    {"Sigmoid", OC_ACT_SIGMOID, 0, 0},
    {"Tanh", OC_ACT_TANH, 0, 0},
    {"HardSigmoid", OC_ACT_HARD_SIGMOID, 0.2f, 0.5f},
    {"HardSwish", OC_ACT_HARD_SWISH, 0, 0},
    {"Elu", OC_ACT_ELU, 1, 0},
    {"Selu", OC_ACT_SELU, 1.673263192f, 1.050701022f},
    {"Celu", OC_ACT_CELU, 1, 0},
    {"ThresholdedRelu", OC_ACT_THRESHOLDED_RELU, 1, 0},
    {"Softplus", OC_ACT_SOFTPLUS, 0, 0},
    {"Softsign", OC_ACT_SOFTSIGN, 0, 0},
    {"ScaledTanh", OC_ACT_SCALED_TANH, 1, 1},
    {"Gelu", OC_ACT_GELU, 0, 0},
    {"QuickGelu", OC_ACT_QUICK_GELU, 1.702f, 0},
    {"Mish", OC_ACT_MISH, 0, 0},
};

oc_status oc__fuse_read_microsoft(const oc__ctx *c, int *act, float *a,
                                  float *b) {
    const char *name = oc__attr_string(c->node, "activation", "");
    size_t i = 0, n;
    while (i < OC_COUNT(known) && strcmp(known[i].name, name))
        i++;
    if (i == OC_COUNT(known))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "activation %s", name);
    const float *list = oc__attr_floats(c->node, "activation_params", &n);
    *act = known[i].act;
    *a = oc__attr_float(c->node, "activation_alpha",
                        n > 0 ? list[0] : known[i].a);
    *b = oc__attr_float(c->node, "activation_beta",
                        n > 1 ? list[1] : known[i].b);
    return OC_OK;
}
