/*
 * conv_tiles.h - convolution as matrix products over tiles of columns.
 *
 *     out (rows, cols) = act(w (rows, depth) x taps (depth, cols) + bias + add)
 *
 * for each batch and group, where a column is one output position and its
 * `depth` entries are what the window sees there (im2col).  The matrix of
 * taps is never whole in memory: a fill function writes some columns of it
 * straight into the layout that the product wants,
 *
 *     panel p, tap k, column j  ->  dst[(p * depth + k) * nr + j]
 *
 * and each tile is used up before the next is made.
 */
#ifndef OC_OPS_CONV_TILES_H
#define OC_OPS_CONV_TILES_H

#include "ops/nn.h"

typedef struct oc__tiles {
    int64_t batch, group;
    int64_t rows;     /* output channels of a group */
    int64_t depth;    /* taps of a group: channels times kernel size */
    int64_t cols;     /* output positions */
    const void *w;    /* (group * rows, depth) */
    const void *bias; /* group * rows, or NULL */
    const void *add;  /* like out, added before the activation; or NULL */
    void *out;        /* (batch, group * rows, cols) */
    oc__act_args act;
    /* Columns j0 .. j0 + n - 1 in panels of nr; the last one filled up with
       zeros.  Pure; called from many threads. */
    void (*fill)(const void *user, int64_t batch, int64_t group, int64_t j0,
                 int64_t n, int64_t nr, void *dst);
    const void *user;
    /* Set by oc__tiles_plan_*(). */
    int64_t tile, nr, packed_elems;
    size_t gemm_bytes;
    char *packed, *gemm;
} oc__tiles;

/** Chooses the tile and lays out scratch; sizes above must be set. */
void oc__tiles_plan(const oc__ctx *c, oc__bump *b, oc_dtype real, oc__tiles *t);
void oc__tiles_run(const oc__ctx *c, oc_dtype real, const oc__tiles *t);

#endif
