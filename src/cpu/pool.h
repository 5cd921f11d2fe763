/*
 * pool.h - a thread pool for loops over independent tiles.
 *
 * The caller works too: a pool of n threads starts n - 1.  Which worker takes
 * which task is left open, so a task must write its own tile only and reduce
 * in its own fixed order; then results do not depend on the thread count.
 * Neighbours tend to go to one worker, and the same numbers to the same: loops
 * over the same tiles find in their core's cache what the last one left there.
 *
 * Idle workers spin for some microseconds, in case the next loop comes at
 * once, then sleep: an idle pool burns nothing.  Who knows that more loops
 * follow holds the pool meanwhile, and they spin for longer: to wake one takes
 * longer than most layers do.  Nobody waits for a worker
 * that wakes late.  After fork() the child has no workers: there a pool still
 * runs every task, on the caller, and may be destroyed (not, though, when the
 * fork came in the middle of a run).
 */
#ifndef OC_CPU_POOL_H
#define OC_CPU_POOL_H

#include "base/memory.h"

typedef struct oc__pool oc__pool;

/** task: 0..tasks-1; worker: 0..threads-1, for per-worker scratch. */
typedef void (*oc__pool_fn)(void *ctx, int task, int worker);

/**
 * Makes a pool of `threads` threads (the caller counted), at least 1.
 * On E_NOMEM or when no thread can be started, *out is untouched.
 */
oc_status oc__pool_create(oc__pool **out, const oc_allocator *allocator,
                          int threads, oc_error *err);
void oc__pool_destroy(oc__pool *p);
/** Threads of p; 1 for NULL. */
int oc__pool_threads(const oc__pool *p);
/**
 * Between these, loops follow each other closely.  May be nested; by the
 * caller of oc__pool_run().  p may be NULL.
 */
void oc__pool_hold(oc__pool *p);
void oc__pool_rest(oc__pool *p);
/**
 * Calls fn(ctx, i, worker) for every i in 0..tasks-1 and returns when all are
 * done.  NULL p, or one task: runs inline.  Not re-entrant: a task must not
 * call oc__pool_run on its own pool.  One caller at a time per pool.
 */
void oc__pool_run(oc__pool *p, int tasks, oc__pool_fn fn, void *ctx);

#endif
