/*
 * layout.h - what the layout pass (layout.c) shares with its parts: training
 * (layout_train.c) and what only moves (layout_move.c).
 */
#ifndef OC_PASSES_LAYOUT_H
#define OC_PASSES_LAYOUT_H

#include "passes/activation.h"

typedef struct oc__layout {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    oc__index ix;    /* of the graph as it was, with its list of nodes */
    oc__node **old;  /* that list */
    int n_plain;     /* values that existed at the start */
    int *twin;       /* blocked value for each plain one, or -1 */
    char *lost;      /* the plain value is made by nobody any more */
    oc__node **conv; /* ConvBlocked that makes the twin, or NULL */
    oc__node **norm; /* NormBlocked that reads each plain value, or NULL */
    int *gate;       /* what a gradient is let through by: see layout_train.c */
    const oc__op *block, *unblock, *pack, *conv_op, *pool, *resize;
} oc__layout;

/** Rewrites node n and sets *done, or leaves it to others. */
typedef oc_status oc__layout_visit(oc__layout *l, oc__node *n, int *done);
/** What training adds; see layout_train.c. */
oc__layout_visit oc__layout_train;
/** What only moves; see layout_move.c. */
oc__layout_visit oc__layout_concat, oc__layout_split, oc__layout_transpose,
    oc__layout_resize;

/** Whether v is an f32 of four known dims, none 0. */
int oc__layout_fits(const oc__layout *l, int v);
/** Whether n's attribute perm is this. */
int oc__layout_is_perm(const oc__node *n, int a, int b, int c, int d);
/** A new value with the blocked shape of plain value v; -1: no memory. */
int oc__layout_add_twin(oc__layout *l, int v);
/** A node of one input and one output; NULL: no memory. */
oc__node *oc__layout_emit(oc__layout *l, const oc__op *op, const char *name,
                          int in, int out, int n_attrs);
/** Makes sure that plain value v is there. */
oc_status oc__layout_plain(oc__layout *l, int v);
/** The twin of v, made by a Block when there is none yet. */
oc_status oc__layout_twin(oc__layout *l, int v, int *out);
/** v now exists as twin t only. */
void oc__layout_set(oc__layout *l, int v, int t, oc__node *conv);
/** n with other inputs and a blocked output. */
oc_status oc__layout_on_twins(oc__layout *l, oc__node *n, const int *in);
/** The geometry of a Conv or pooling n; group 1. */
void oc__layout_read_geom(const oc__layout *l, const oc__node *n, int64_t kh,
                          int64_t kw, oc__conv_geom *g);
/** The same for a window over `in` that gives `out`, both shapes NCHW. */
void oc__layout_window(const oc__node *n, const int64_t *in, const int64_t *out,
                       int64_t kh, int64_t kw, oc__conv_geom *g);
int oc__layout_set_geom(oc__layout *l, oc__node *n, int slot,
                        const oc__conv_geom *g);
/** The way for a convolution with plain weight w, by the cost model or the
 *  tuner.  Weights that change are packed at every run: Winograd's transform
 *  must pay for itself anew, and nothing is timed. */
oc__conv_algo oc__layout_choose(const oc__layout *l, const oc__conv_geom *g,
                                int w);
/** PackConv of plain weight w and ConvBlocked from x (as algo wants it) to y;
 *  bias padded, or -1. */
oc_status oc__layout_put_conv(oc__layout *l, const char *name,
                              const oc__conv_geom *g, oc__conv_algo algo, int x,
                              int w, int bias, int y, oc__node **out);

#endif
