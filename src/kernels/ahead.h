/*
 * ahead.h - fetching the weights that are wanted next.
 *
 * Weights larger than the caches come from memory at a few bytes a cycle.
 * The hardware's own prefetchers stop at pages and see a new part only when it
 * is too late; so the tiles ask for the next part line by line between their
 * multiply-adds, and reading hides behind computing.
 */
#ifndef OC_KERNELS_AHEAD_H
#define OC_KERNELS_AHEAD_H

#include "base/size.h"

/* Steps of a tile after which it asks for one more line. */
#define OC_AHEAD_STEPS 4

typedef struct oc__ahead {
    const char *p; /* never dereferenced */
    size_t step;   /* bytes from one asking to the next, or 0 */
    size_t tile;   /* bytes from one tile to the next */
} oc__ahead;

/**
 * For `tiles` tiles of `steps` steps, which want `elems` floats from p on next,
 * but none from `end` on.  Nothing is asked for where each weight serves but
 * one tile or two: memory is then busy enough.
 */
static inline oc__ahead oc__ahead_of(const float *p, const float *end,
                                     size_t elems, size_t tiles, size_t steps) {
    oc__ahead a = {(const char *)p, 0, 0};
    size_t left = p < end ? (size_t)(end - p) : 0;
    size_t asks = steps / OC_AHEAD_STEPS;
    if (tiles <= 2 || asks == 0) return a;
    size_t bytes = OC_MIN(left, elems) * sizeof *p;
    a.step = OC_MIN(OC_CEIL_DIV(bytes, tiles * asks), (size_t)64);
    a.tile = a.step * asks;
    return a;
}

static inline void oc__ahead_next_tile(oc__ahead *a) {
    a->p += a->tile;
}

#endif
