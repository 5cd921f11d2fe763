/*
 * walk.h - walks several broadcast tensors at once, run by run.
 *
 * Dimensions that can be walked as one are merged first, so that most shapes
 * become one or two loops; what is left of the innermost dimension is handed
 * out as a run in which every tensor steps by 1 or stays (step 0):
 *
 *     oc__walk w;
 *     oc__walk_init(&w, rank, dims);
 *     oc__walk_add(&w, a); oc__walk_add(&w, b);
 *     oc__walk_merge(&w);
 *     oc__walk_pos p;
 *     for (oc__walk_seek(&w, begin, end, &p); p.n; oc__walk_next(&w, &p))
 *         f(a + p.offset[0], w.step[0], b + p.offset[1], w.step[1],
 *           y + p.at, p.n);
 */
#ifndef OC_OPS_WALK_H
#define OC_OPS_WALK_H

#include "graph/value.h"

enum { OC_WALK_MAX = 4 };

typedef struct oc__walk {
    int rank;  /* after merging at least 1 */
    int count; /* tensors added */
    int64_t dims[OC_MAX_RANK];
    int64_t strides[OC_WALK_MAX][OC_MAX_RANK]; /* in elements */
    int64_t step[OC_WALK_MAX]; /* strides of the innermost dimension */
    int64_t total;             /* elements of the whole shape */
} oc__walk;

typedef struct oc__walk_pos {
    int64_t at; /* flat index of the run's first element */
    int64_t n;  /* elements of the run; 0: the end */
    int64_t end;
    int64_t offset[OC_WALK_MAX];
    int64_t index[OC_MAX_RANK];
} oc__walk_pos;

/** Starts a walk over a shape (checked before: its product fits). */
void oc__walk_init(oc__walk *w, int rank, const int64_t *dims);
/** Adds a dense tensor that broadcasts to the shape. */
void oc__walk_add(oc__walk *w, const oc_tensor *t);
/** Adds a tensor with these strides (of the shape's rank, in elements). */
void oc__walk_add_strides(oc__walk *w, const int64_t *strides);
/** Merges dimensions; after the last tensor was added. */
void oc__walk_merge(oc__walk *w);
/** Positions p on the run that holds element `begin`. */
void oc__walk_seek(const oc__walk *w, int64_t begin, int64_t end,
                   oc__walk_pos *p);
void oc__walk_next(const oc__walk *w, oc__walk_pos *p);

#endif
