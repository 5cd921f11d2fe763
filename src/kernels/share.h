/*
 * share.h - how the drivers of the heavy kernels share out their work.
 */
#ifndef OC_KERNELS_SHARE_H
#define OC_KERNELS_SHARE_H

#include "cpu/pool.h"
#include "kernels/kernels.h"

/**
 * Tasks to make of `work` multiply-adds (or what takes as long): 1 where
 * waking other threads takes longer than it saves, at most a few a thread, and
 * as many for each.
 */
size_t oc__share_tasks(int threads, double work);
/**
 * Of parts that are `rows` times as many tasks: n, or up to `most` as many as
 * give every thread the same number of tasks.
 */
size_t oc__share_even(int threads, size_t rows, size_t n, size_t most);
/** Multiply-adds that take as long as a cycle of anything else. */
#define OC_SHARE_CYCLE 16.0

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

/** One cell of a grid of work. */
typedef void (*oc__share_cell)(const void *ctx, size_t row, size_t col);

/** Runs each(ctx, row, col) over rows * cols cells, as oc__share_run(). */
void oc__share_grid(oc__pool *pool, size_t rows, size_t cols, double cell_work,
                    oc__share_cell each, const void *ctx);

/**
 * Splits a fused activation: the tiles clamp to lo..hi (the whole of NONE,
 * RELU and CLIP), and what is returned comes after (NONE, or all of it).
 */
oc__act_args oc__act_clamp(int act, float a, float b, float *lo, float *hi);

#endif
