/*
 * passes.h - every pass, and the two places where they run.
 *
 * A pass takes a graph and leaves an equivalent one.  Passes that need no
 * shapes run once, when a model is loaded; passes that need concrete shapes
 * run when a program is compiled for given inputs, on a copy of the graph.
 */
#ifndef OC_PASSES_PASSES_H
#define OC_PASSES_PASSES_H

#include "ops/op.h"

struct oc__tuner; /* tune.h */

typedef struct oc__pass_env {
    const oc__kernels *kernels;
    const oc_allocator *allocator;
    oc__pool *pool; /* for folding; may be NULL */
    int threads;    /* that the program will run with */
    int level;      /* oc_options.optimize */
    int recompute;  /* of a step of training; see recompute.c */
    /* Times what a cost model would guess; NULL: the cost model does. */
    struct oc__tuner *tuner;
    /* Told of a constant that the graph borrows and nobody reads any more;
       may be NULL. */
    void (*consumed)(void *user, const void *data, size_t bytes);
    void *user;
} oc__pass_env;

typedef oc_status (*oc__pass_fn)(oc__graph *g, const oc__pass_env *env,
                                 oc_error *err);

/** All passes of load time, on g and its sub-graphs. */
oc_status oc__passes_run(oc__graph *g, const oc__kernels *k, int level,
                         const oc_allocator *a, oc_error *err);
/**
 * All passes of planning time.  The inputs' dtype and dims in g->values must
 * be concrete (or rank -1 where only known at run time).  Afterwards every
 * value that can be known has its shape.
 */
oc_status oc__passes_run_shaped(oc__graph *g, const oc__pass_env *env,
                                oc_error *err);

/* ---- the passes, one file each ----------------------------------------------
 */

/** differentiate.c: Gradient nodes become what computes the gradient. */
oc_status oc__pass_differentiate(oc__graph *g, const oc__pass_env *env,
                                 oc_error *err);
/** fuse_qdq.c: quantized networks written in f32 become integer ones. */
oc_status oc__pass_fuse_qdq(oc__graph *g, const oc__pass_env *env,
                            oc_error *err);
/** infer.c: computes constants, drops the nodes that made them. */
oc_status oc__pass_fold(oc__graph *g, const oc__pass_env *env, oc_error *err);
/** infer.c: the same and writes every known shape into g->values. */
oc_status oc__pass_infer(oc__graph *g, const oc__pass_env *env, oc_error *err);
/** dead_code.c: drops nodes whose outputs nobody uses. */
oc_status oc__pass_dead_code(oc__graph *g, const oc__pass_env *env,
                             oc_error *err);
/** simplify.c: drops what changes nothing, merges transposes. */
oc_status oc__pass_simplify(oc__graph *g, const oc__pass_env *env,
                            oc_error *err);
/** common_subexpr.c: computes equal things once. */
oc_status oc__pass_common_subexpr(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err);
/** fold_pad.c: a Pad with zeros goes into the window behind it. */
oc_status oc__pass_fold_pad(oc__graph *g, const oc__pass_env *env,
                            oc_error *err);
/** fuse_scale.c: batch norm and per-channel arithmetic into weights. */
oc_status oc__pass_fuse_scale(oc__graph *g, const oc__pass_env *env,
                              oc_error *err);
/** widen_depthwise.c: a filter a channel where there were several. */
oc_status oc__pass_widen_depthwise(oc__graph *g, const oc__pass_env *env,
                                   oc_error *err);
/** drop_same.c: sums to a shape that is there already go. */
oc_status oc__pass_drop_same(oc__graph *g, const oc__pass_env *env,
                             oc_error *err);
/** fuse_activation.c: activations in pieces become one node. */
oc_status oc__pass_fuse_activation(oc__graph *g, const oc__pass_env *env,
                                   oc_error *err);
/** fuse_table.c: activations between codes of 8 bits become tables. */
oc_status oc__pass_fuse_table(oc__graph *g, const oc__pass_env *env,
                              oc_error *err);
/** fuse_norm.c: normalisations in pieces become one node. */
oc_status oc__pass_fuse_norm(oc__graph *g, const oc__pass_env *env,
                             oc_error *err);
/** fuse_attention.c: attention in pieces becomes one node. */
oc_status oc__pass_fuse_attention(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err);
/** merge_convs.c: convolutions of one value become one convolution. */
oc_status oc__pass_merge_convs(oc__graph *g, const oc__pass_env *env,
                               oc_error *err);
/** turn_tokens.c: rows of tokens become pictures by one Transpose. */
oc_status oc__pass_turn_tokens(oc__graph *g, const oc__pass_env *env,
                               oc_error *err);
/** pack_product.c: MatMul and Gemm with their weights packed, fused. */
oc_status oc__pass_pack_product(oc__graph *g, const oc__pass_env *env,
                                oc_error *err);
/** product_last.c: 8-bit products that end in codes or f32 at once. */
oc_status oc__pass_product_last(oc__graph *g, const oc__pass_env *env,
                                oc_error *err);
/** pack_integer.c: 8-bit weights packed. */
oc_status oc__pass_pack_integer(oc__graph *g, const oc__pass_env *env,
                                oc_error *err);
/** layout.c: convolutional parts into blocked channels, fused. */
oc_status oc__pass_layout(oc__graph *g, const oc__pass_env *env, oc_error *err);
/** fuse_argmax.c: enlarged scores and their best class become one node. */
oc_status oc__pass_fuse_argmax(oc__graph *g, const oc__pass_env *env,
                               oc_error *err);
/** layout_i8.c: 8-bit parts into channels last, fused. */
oc_status oc__pass_layout_i8(oc__graph *g, const oc__pass_env *env,
                             oc_error *err);
/** fuse_depthwise.c: a depthwise and a 1x1 convolution become one. */
oc_status oc__pass_fuse_depthwise(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err);
/** recompute.c: values for derivatives are made twice, for less memory; the
 * graph's first output is what was differentiated. */
oc_status oc__pass_recompute(oc__graph *g, const oc__pass_env *env,
                             oc_error *err);

#endif
