/*
 * look.h - what can be seen in a network that nobody has described.
 *
 * Works on the graph as the file has it (the passes would have folded away
 * the evidence), found by loading the model a second time without them.
 */
#ifndef OC_TASKS_LOOK_H
#define OC_TASKS_LOOK_H

#include "card/card.h"
#include "graph/graph.h"

/** An output with the shape it has, declared or found by a run. */
typedef struct oc__seen {
    const char *name;
    oc_dtype dtype;
    int rank;
    int64_t dims[OC_MAX_RANK]; /* -1 where only data tells */
} oc__seen;

#define OC_MAX_SEEN 64

typedef struct oc__look {
    oc_model *model; /* the caller's */
    oc_model *plain; /* without passes */
    const oc__graph *graph;
    oc__arena arena;
    int *producer; /* of each value: node number or -1 */
    int *uses;
    int input;         /* the picture's */
    oc_dtype dtype;    /* of that input */
    int rank;          /* of that input */
    oc_layout layout;  /* of that input */
    int channels;      /* of that input: 1, 3; 0 where it is free */
    int height, width; /* 0: free */
    int n;
    oc__seen out[OC_MAX_SEEN];
} oc__look;

oc_status oc__look_init(oc__look *l, const oc_card *card, oc_model *model,
                        oc_error *err);
void oc__look_deinit(oc__look *l);

/**
 * Shapes that the file leaves open are found by running the network once on
 * gray, at height x width.  Does nothing when all are known.
 */
oc_status oc__look_probe(oc__look *l, int height, int width, oc_error *err);

/** What an output has gone through last. */
typedef enum oc__ending {
    OC_END_OTHER,
    OC_END_SIGMOID,
    OC_END_SOFTMAX,
    OC_END_ARGMAX
} oc__ending;
/** Steps over reshapes, transposes, slices, concatenations. */
oc__ending oc__look_ending(const oc__look *l, int output);
/** Filters of the convolution above an output, past ArgMax; 0: not found. */
int oc__look_filters(const oc__look *l, int output);
/** Whether an op of this name lies within `depth` nodes above an output. */
int oc__look_above(const oc__look *l, int output, const char *op, int depth);
/** Whether the name of a constant starts or ends so (either may be NULL). */
int oc__look_constant(const oc__look *l, const char *start, const char *end);
/** Whether a node's name starts so. */
int oc__look_node(const oc__look *l, const char *start);

/** What is done to the input before the first layer: y = x * a[c] + b[c]. */
typedef struct oc__affine {
    int found; /* anything at all */
    int n;     /* 1 or 3 entries */
    double a[3], b[3];
} oc__affine;
void oc__look_affine(const oc__look *l, oc__affine *out);

/** The range of levels a quantised input stands for; 0: it is not. */
int oc__look_quantized(const oc__look *l, double *lo, double *hi);

/**
 * How the first convolution answers natural pictures, whose mean and
 * covariance are known well enough.
 */
typedef struct oc__first_layer {
    int found;
    double gain;      /* median deviation of its answers to levels of 0..1 */
    int has_norm;     /* a BatchNormalization behind it has kept statistics, */
    double seen_mean; /* so this is the mean and */
    double seen_std;  /* the deviation of what it was trained on */
} oc__first_layer;
void oc__look_first_layer(oc__look *l, oc__first_layer *out);

#endif
