/*
 * arch.h - networks built through the graph API, with fresh weights.
 *
 *     arch.c             the table of names; weights
 *     arch_conv.c        MobileNetV2, ResNet-8, -18 and -50
 *     arch_attention.c   a small ConvNeXt, a small ViT
 *
 * A network is what an import of it would be: an inference graph, its weights
 * constants, from "input" f32 [batch, 3, height, width] to "logits"
 * [batch, classes].  Training makes variables of the constants later.
 */
#ifndef OC_ARCH_ARCH_H
#define OC_ARCH_ARCH_H

#include "base/rng.h"
#include "graph/graph.h"

typedef struct oc__arch_options {
    const char *name; /* as in oc__arch_name() */
    int classes;
    int height, width;   /* of the pictures */
    double width_factor; /* of the channels; 0: 1 */
    uint64_t seed;       /* of the weights */
} oc__arch_options;

/**
 * Builds a network in arena: *out the graph, *opset the version of ai.onnx it
 * is written in.  Errors: E_ARG for a name there is not or sizes out of
 * range; E_NOMEM.
 */
oc_status oc__arch_build(oc__graph **out, int *opset, oc__arena *arena,
                         const oc__arch_options *opt, oc_error *err);
/** Name and one line about architecture i; NULL behind the last. */
const char *oc__arch_name(int i, const char **about);

/* ---- for architectures ---------------------------------------------------
 */

/** A network while it is built.  Values are -1 once something has failed. */
typedef struct oc__arch {
    oc__graph *g;
    oc__rng rng;
    oc__arch_options opt;
    int opset, failed;
} oc__arch;

typedef int oc__arch_fn(oc__arch *a, int x); /* returns the logits */
oc__arch_fn oc__arch_mobilenet, oc__arch_resnet8, oc__arch_resnet18,
    oc__arch_resnet50, oc__arch_convnext, oc__arch_vit;

/** How weights are drawn. */
typedef enum oc__arch_init {
    OC_INIT_FILL,    /* all `number` */
    OC_INIT_NORMAL,  /* deviation `number` */
    OC_INIT_TRUNC,   /* the same, nothing beyond 2 deviations */
    OC_INIT_UNIFORM, /* -number .. number */
} oc__arch_init;

int oc__arch_weight(oc__arch *a, const char *name, int rank,
                    const int64_t *dims, oc__arch_init how, double number);
/** A node of one output; its attributes are set through *node (or NULL). */
int oc__arch_node(oc__arch *a, const char *op, const char *name, int n_attrs,
                  int n_in, const int *in, oc__node **node);
/** Integers as a constant, for Reshape. */
int oc__arch_ints(oc__arch *a, const char *name, const int64_t *v, int n);
/** `name` with numbers in it, as printf does; "" when out of memory. */
const char *oc__arch_text(oc__arch *a, const char *format, ...);

int oc__arch_1(oc__arch *a, const char *op, const char *name, int x);
int oc__arch_2(oc__arch *a, const char *op, const char *name, int x, int y);

/** A square convolution; He's normal weights by what goes out. */
typedef struct oc__arch_conv {
    const char *name;
    int in, out, kernel, stride, group;
    int bias, pad; /* pad -1: (kernel - 1) / 2 */
    double trunc;  /* above 0: truncated normal of that deviation instead */
} oc__arch_conv;
int oc__arch_conv2d(oc__arch *a, const oc__arch_conv *c, int x);
/** BatchNormalization; gamma: its scale at the start. */
int oc__arch_batch_norm(oc__arch *a, const char *name, int channels,
                        double gamma, int x);
/** y = x W + b over the last dimension. */
int oc__arch_linear(oc__arch *a, const char *name, int in, int out,
                    oc__arch_init how, double number, int x);
/** Mean over the picture, then logits. */
int oc__arch_head(oc__arch *a, int channels, oc__arch_init how, double number,
                  int x);

#endif
