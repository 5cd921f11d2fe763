/* share.c - see share.h. */
#include "kernels/share.h"

#include <math.h>

/* A task should take longer than waking a thread for it, some 5 us.  A core
 * does 16 multiply-adds a cycle, 48 in a ns at 3 GHz: 2^18 take 5.5 us. */
#define TASK_WORK 262144.0
/* Tasks a thread: when all but one have finished, at most a quarter of a
 * thread's share is left to wait for. */
#define TASKS_PER_THREAD 4

size_t oc__share_tasks(int threads, double work) {
    if (threads <= 1) return 1;
    double most = (double)threads * TASKS_PER_THREAD;
    double n = floor(work / TASK_WORK);
    if (n > most) n = most;
    if (n > threads) n = floor(n / threads) * threads;
    return n < 2.0 ? 1 : (size_t)n;
}

size_t oc__share_even(int threads, size_t rows, size_t n, size_t most) {
    /* Of so many tasks a thread one more or less does not count. */
    enum { MANY = 8 };
    size_t all = (size_t)threads;
    if (threads < 2 || rows * n < 2 || rows * n >= MANY * all) return n;
    for (size_t i = n; i <= most && i < n + all; i++)
        if (rows * i % all == 0) return i;
    return n;
}

void oc__share_run(oc__pool *pool, size_t items, double item_work,
                   oc__pool_fn fn, void *ctx) {
    if (items == 0) return;
    oc__share s = {ctx, items, 1};
    s.tasks =
        oc__share_tasks(oc__pool_threads(pool), (double)items * item_work);
    if (s.tasks > items) s.tasks = items;
    oc__pool_run(pool, (int)s.tasks, fn, &s);
}

typedef struct grid {
    oc__share_cell each;
    const void *ctx;
    size_t cols;
} grid;

static void grid_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    const grid *g = s->ctx;
    size_t end = oc__share_end(s, (size_t)task);
    (void)worker;
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)
        g->each(g->ctx, i / g->cols, i % g->cols);
}

void oc__share_grid(oc__pool *pool, size_t rows, size_t cols, double cell_work,
                    oc__share_cell each, const void *ctx) {
    grid g = {each, ctx, cols};
    oc__share_run(pool, rows * cols, cell_work, grid_task, &g);
}

oc__act_args oc__act_clamp(int act, float a, float b, float *lo, float *hi) {
    oc__act_args rest = {OC_ACT_NONE, 0.0f, 0.0f};
    *lo = -INFINITY;
    *hi = INFINITY;
    if (act == OC_ACT_RELU) {
        *lo = 0.0f;
    } else if (act == OC_ACT_CLIP) {
        *lo = a;
        *hi = b;
    } else {
        rest = (oc__act_args){(oc__act)act, a, b};
    }
    return rest;
}
