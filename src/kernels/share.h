/*
 * share.h - how the drivers of the heavy kernels share out their work.
 */
#ifndef OC_KERNELS_SHARE_H
#define OC_KERNELS_SHARE_H

#include "base/size.h"
#include "cpu/pool.h"
#include "kernels/kernels.h"

/**
 * Tasks to make of `work` multiply-adds (or what takes as long): 1 where
 * waking other threads takes longer than it saves, at most a few a thread.
 */
size_t oc__share_tasks(int threads, double work);

/** `items` equal pieces of work cut into `tasks` runs of neighbours. */
typedef struct oc__share {
    void *ctx;
    size_t items, tasks;
} oc__share;

static inline size_t oc__share_begin(const oc__share *s, size_t task) {
    return s->items * task / s->tasks;
}
static inline size_t oc__share_end(const oc__share *s, size_t task) {
    return s->items * (task + 1) / s->tasks;
}

/**
 * Runs fn over items, each as much work as `item_work` multiply-adds.  fn's
 * context is the oc__share, whose ctx is `ctx`.
 */
void oc__share_run(oc__pool *pool, size_t items, double item_work,
                   oc__pool_fn fn, void *ctx);

/**
 * Memory that is wanted soon, brought to L2 slice by slice: a step between two
 * tiles, so that reading weights from memory hides behind multiply-adds.  (The
 * hardware's own prefetchers stop at pages and come too late for each part.)
 */
typedef struct oc__ahead {
    const char *p; /* never dereferenced */
    size_t bytes, step, steps;
} oc__ahead;

/** From p on, but not beyond `end`. */
static inline oc__ahead oc__ahead_of(const float *p, const float *end,
                                     size_t elems, size_t steps) {
    size_t left = p < end ? (size_t)(end - p) : 0;
    oc__ahead a = {(const char *)p, OC_MIN(left, elems) * sizeof *p, 0, steps};
    return a;
}

static inline void oc__ahead_step(oc__ahead *a) {
    enum { LINE = 64 };
    size_t lines = OC_CEIL_DIV(a->bytes, LINE);
    size_t i = lines * a->step / a->steps;
    a->step++;
    for (size_t end = lines * a->step / a->steps; i < end; i++)
        __builtin_prefetch(a->p + i * LINE, 0, 2);
}

/**
 * Splits a fused activation: the tiles clamp to lo..hi (the whole of NONE,
 * RELU and CLIP), and what is returned comes after (NONE, or all of it).
 */
oc__act_args oc__act_clamp(int act, float a, float b, float *lo, float *hi);

#endif
