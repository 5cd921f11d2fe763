/*
 * net.h - a network while it is trained.
 *
 * It stays the inference graph that was built or imported.  What is learned
 * are constants of it whose memory belongs to the net:
 *
 *     graph: Conv(x, W) ...       W is a constant there
 *                 |                       |
 *                 | clone                 | data
 *                 v                       v
 *     step graph: Conv(x, W) ...   [ W | bias | ... ]  one block
 *     W is a variable there,              ^
 *     updated in place -------------------+
 *
 * So measuring, saving and training look at the same numbers, and nothing is
 * copied between them: measuring compiles the inference graph as any other.
 */
#ifndef OC_TRAIN_NET_H
#define OC_TRAIN_NET_H

#include "base/memory.h"
#include "onnx/import.h"

#include <ocelli/ocelli.h>

typedef enum oc__var_kind {
    OC_VAR_WEIGHT, /* learned by its gradient */
    OC_VAR_STAT,   /* running mean or variance */
} oc__var_kind;

typedef struct oc__var {
    int value;   /* in the graph */
    oc_tensor t; /* its data, in the net's block */
    oc__var_kind kind;
    int decays;  /* takes weight decay */
    int trained; /* 0: stays as it is */
    int is_head; /* of the layer that was made new */
    int node;    /* place of the first node that reads it */
} oc__var;

typedef struct oc__net {
    const oc_allocator *allocator;
    oc__arena arena;
    oc__onnx onnx; /* what the file says beside the graph */
    oc__graph *g;  /* the inference graph */
    int logits;    /* the value losses are taken of */
    int classes;
    int classes_before; /* of the head that was replaced; 0: none was */
    int head[3];     /* values of the last layer's weights; -1: there is none */
    int head_scales; /* nonzero: logits are as large as these weights */
    int nhwc, height, width, channels; /* of the input */
    int resized; /* nonzero: not the size the model declares */
    oc__var *vars;
    int n_vars;
    size_t elems; /* of all weights */
    char *block;
    size_t block_bytes;
    struct oc__qat *qat; /* training for 8 bits, see qat.h; NULL: it is not */
} oc__net;

/** An architecture of arch.h, with fresh weights. */
typedef struct oc__net_options {
    const char *arch;
    const oc_model *model; /* or the model to go on from */
    int classes;           /* 0: the model's own, which stay */
    int keep_head;         /* nonzero: the model's classes are the first */
    int height, width;     /* of the pictures; 0: what the model declares, or
                              224 */
    double width_factor;
    uint64_t seed;
    int qat; /* nonzero: for 8 bits; the model's batch norms are folded */
} oc__net_options;

/**
 * Makes a net.  The model must outlive it.
 * Errors: E_ARG; E_UNSUPPORTED for a model that is not a classifier of
 *   pictures, which the sentence says; E_NOMEM.
 */
oc_status oc__net_init(oc__net *net, const oc__net_options *opt,
                       const oc_allocator *a, oc_error *err);
void oc__net_deinit(oc__net *net);

/** What stays as it is. */
typedef enum oc__freeze {
    OC_FREEZE_NOTHING,
    OC_FREEZE_HALF,    /* the first half of the layers */
    OC_FREEZE_BACKBONE /* all but the head */
} oc__freeze;
void oc__net_freeze(oc__net *net, oc__freeze how);

/** Variable number of a value of the graph; -1: it is none. */
int oc__net_var(const oc__net *net, int value);
/** The data of all variables is what `from` holds, one tensor each. */
void oc__net_point(oc__net *net, void *const *from);

/* ---- net_input.c ----------------------------------------------------------
 */

/**
 * Finds the input that takes pictures, gives it the size that is asked for,
 * and opens it for batches.
 */
oc_status oc__net_input(oc__net *net, const oc__net_options *opt,
                        oc_error *err);

/**
 * Shows visit a copy of the graph in which every shape is known that follows
 * from one picture.
 */
typedef oc_status oc__net_visit(oc__net *net, oc__graph *seen, void *user,
                                oc_error *err);
oc_status oc__net_show_shapes(oc__net *net, oc__net_visit *visit, void *user,
                              oc_error *err);

/* ---- net_batch.c ----------------------------------------------------------
 */

/**
 * Makes a model for one picture one for batches.  Where that cannot be done,
 * it stays as it is: oc__net_check_batch() tells.
 */
oc_status oc__net_open_batch(oc__net *net, oc_error *err);
/** E_UNSUPPORTED where two pictures do not give the logits of two. */
oc_status oc__net_check_batch(const oc__net *net, oc_error *err);

/* ---- net_head.c -----------------------------------------------------------
 */

/**
 * Finds the logits; gives the layer that makes them `classes` outputs and
 * fresh weights (of the new ones, where it stays), and cuts off what follows.
 */
oc_status oc__net_head(oc__net *net, const oc__net_options *opt, oc_error *err);

#endif
