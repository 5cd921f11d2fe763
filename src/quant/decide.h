/*
 * decide.h - what a quantizer knows: which nodes and values get 8 bits, and
 * what was seen of them.
 */
#ifndef OC_QUANT_DECIDE_H
#define OC_QUANT_DECIDE_H

#include "quant/range_lanes.h"
#include "runtime/model.h"

/** A node with weights: Conv, Gemm, MatMul. */
typedef struct oc__quant_target {
    int node;    /* its number in the graph */
    int axis;    /* of the weight: its output channels */
    int in_axis; /* of the input: its channels; -1: the last */
    oc_quant_precision precision;
    int bits;     /* of a weight with a scale for each block; 0: it has one for
                     each channel */
    int block;    /* rows of it */
    int is_known; /* what follows is: of blocks alone, as in blocks.h */
    double weight_db, product_db;
    struct oc__moments *moments; /* of its inputs; NULL before a sample */
    /* round_node.c: a bit for each weight that goes another way than to the
       nearest, and product_db with and without them, 0: not known. */
    uint8_t *turned;
    size_t turned_bytes;
    int turned_for; /* which scales and factors it is for; 0: none */
    double chosen_db, nearest_db;
} oc__quant_target;

/** An activation that is looked at. */
typedef struct oc__quant_watch {
    int value;
    int axis;     /* of the means; -1: the last, -2: none are wanted */
    int absent;   /* is no f32 when the model runs, sizes for example */
    int is_given; /* lo and hi are what training has found; nothing is seen */
    float lo, hi;
    oc__range range;
    int64_t channels, counted; /* counted: samples of each channel */
    double *sums;              /* of each channel */
    int64_t lane_count;        /* channels that are looked at one by one; 0 */
    oc__lane *lanes;           /* of each; NULL before a sample */
    oc__range *even;           /* all, once divided by factors; equalize.h */
    int is_product;            /* of a weight in blocks */
    int64_t gram_k;            /* as many inputs it has */
    float *gram;               /* their products; see blocks.h */
} oc__quant_watch;

typedef struct oc__quant_plan {
    int n_values;
    int *code;     /* the value whose scale it has; -1: it stays f32 */
    int *watch;    /* number of its watch, -1: none */
    char *leads;   /* values on the way to a target in 8 bits */
    char *ignored; /* nodes that were asked to stay in f32 */
    int n_targets, n_watches;
    oc__quant_target *targets;
    oc__quant_watch *watches;
    struct oc__equalizer *equal; /* equalize.h; NULL: as they are */
    int is_nearest;              /* weights are rounded to the nearest */
    oc__pool *pool;              /* to round with; NULL: the caller alone */
} oc__quant_plan;

/** Decides for a graph; everything is allocated in arena. */
oc_status oc__quant_decide(oc__quant_plan *p, oc__graph *g,
                           const oc_quantize_options *opt, oc__arena *arena,
                           const oc_allocator *a, oc_error *err);
/** Decides anew which values get codes, once targets have other precisions.
 * None is watched that was not, all targets in 8 bits being the most there can
 * be. */
oc_status oc__quant_decide_again(oc__quant_plan *p, oc__graph *g,
                                 const oc_allocator *a, oc_error *err);
/** Whether node i of g, the plan's graph or a clone, reads what was computed
 * also where it is rounded for others: nothing in 8 bits comes of it. */
int oc__quant_is_spared(const oc__quant_plan *p, const oc__graph *g, int node);
/** Whether text is what a pattern with * and ? says. */
int oc__quant_matches(const char *pattern, const char *text);

/** Those readers of v for whom it is rounded read x instead.  own: nodes of the
 * plan's graph; only the first `nodes` are looked at. */
void oc__quant_reroute(const oc__quant_plan *p, oc__graph *g, int own,
                       int nodes, int v, int x);
/** Whether target t is written in 8 bits, or its weights are. */
int oc__quant_is_coded(const oc__quant_plan *p, const oc__graph *g,
                       const oc__quant_target *t);
/** The range of what w sees, by the factors it is divided by. */
const oc__range *oc__quant_seen(const oc__quant_plan *p, const oc__graph *g,
                                const oc__quant_watch *w);
/** The limits of r that the options ask for. */
void oc__quant_limits(const oc_quantize_options *opt, const oc__range *r,
                      float *lo, float *hi);
/**
 * rewrite.c: puts the pairs of QuantizeLinear and DequantizeLinear into g, a
 * clone of the graph the plan was made for.
 */
oc_status oc__quant_rewrite(const oc__quant_plan *p, oc__graph *g,
                            const oc_quantize_options *opt,
                            const oc_allocator *a, oc_error *err);
/** Codes of a weight: data (i8, dense, made by the caller), one scale for each
 * index of axis, or one in all (axis -1); spared: not the
 * full_range of the options.  Returns the SQNR in dB. */
double oc__quant_weight(const oc_tensor *w, int axis, int spared, int8_t *data,
                        float *scales);

/** round_node.c: rounds t's weight w, by factors already, to `codes`, which are
 * the nearest, by what was seen of its inputs; notes what that does to its
 * products.  scales: as oc__quant_weight() has made them. */
oc_status oc__quant_round(const oc__quant_plan *p, const oc__graph *g,
                          const oc_quantize_options *opt, oc__quant_target *t,
                          const oc_tensor *w, const float *scales,
                          int8_t *codes, const oc_allocator *a, oc_error *err);

/** blocks_node.c: makes t's node in g, a clone of the plan's graph, one with
 * coded blocks; notes what that does to t's weight. */
oc_status oc__quant_put_blocks(const oc__quant_plan *p, oc__graph *g,
                               oc__quant_target *t, const oc_allocator *a,
                               oc_error *err);
/** Notes it without writing. */
oc_status oc__quant_blocks_noise(const oc__quant_plan *p, const oc__graph *g,
                                 oc__quant_target *t, const oc_allocator *a,
                                 oc_error *err);

/** opset.c: nodes of g as operator set 13 writes them, from `version`. */
oc_status oc__quant_raise(oc__graph *g, int version, oc_error *err);
struct oc__onnx;
/** What goes with such a graph: m with operator set 13 at least. */
oc_status oc__quant_raise_header(struct oc__onnx *m, oc__arena *arena,
                                 oc_error *err);

#endif
