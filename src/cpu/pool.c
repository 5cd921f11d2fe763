/*
 * pool.c - see pool.h.
 *
 * A run is published in one atomic word:
 *
 *     bit 63..32  number of the run
 *     bit 31      open: workers may join
 *     bit 30..0   workers that joined and have not left
 *
 * A worker joins by adding 1 while the word says open, takes tasks until they
 * run out, and leaves by subtracting 1.  The caller does the same work, clears
 * the open bit once there are no more, and waits for the joined ones only.  So
 * a worker that is slow to wake, because the machine is busy, delays nobody: it
 * finds the door closed.
 *
 * Each worker begins with a range of its own, and helps the others when it is
 * done.  Layers after each other are cut alike, so most of what a task reads
 * was written by the same core.  A range's counter holds the number of its run
 * above that of its next task; one of another run has not been begun, so nobody
 * resets them.
 *
 * Sleeping uses a mutex and two condition variables.  Before sleeping a side
 * announces it (sleepers, waiting) and then looks at the word again; the other
 * side changes the word and then looks at the announcement.  Both in
 * sequentially consistent order, so one of them sees the other.
 */
#define _GNU_SOURCE
#include "cpu/pool.h"

#include "base/size.h"
#include "cpu/features.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define OPEN   (UINT64_C(1) << 31)
#define ACTIVE (OPEN - 1)
#define RUN(w) ((w) >> 32)

/* How long a side spins before it sleeps: about what a sleep and a wake-up
 * cost together, and while the pool is held longer than most layers that one
 * thread computes.  By the clock, because a pause takes 10 cycles on one
 * processor and 140 on another. */
#define SPIN_NS 30000
#define HELD_NS 1000000
/* In a virtual machine a pause after the other hands the core to the host. */
#define LOOKS_A_PAUSE 8
#define LOOKS_A_CLOCK 128

#define STACK_BYTES ((size_t)1 << 20)

struct oc__pool {
    /* Written by all while a run lasts: each on a line of its own. */
    _Alignas(OC_ALIGN) atomic_uint_fast64_t word;
    /* Written by the caller before the word opens, read after joining. */
    _Alignas(OC_ALIGN) oc__pool_fn fn;
    void *ctx;
    int tasks;

    int threads, started;
    int spins;       /* 0: who waits sleeps at once */
    atomic_int held; /* how many times */
    unsigned forks;  /* value of fork_count when made */
    atomic_int stop;
    atomic_int sleepers; /* workers that wait for a run */
    atomic_int waiting;  /* the caller waits for the active to leave */
    pthread_mutex_t lock;
    pthread_cond_t opened, drained;
    oc_allocator allocator;
    struct worker {
        _Alignas(OC_ALIGN) atomic_uint_fast64_t next;
        oc__pool *pool;
        pthread_t thread;
        int index;
    } workers[]; /* the first is the caller */
};

/* In a forked child the workers do not exist, and the lock may be held by
 * one that does not exist.  Counting forks tells such a pool from a live one
 * for the price of one load. */
static atomic_uint fork_count;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void count_fork(void) {
    atomic_fetch_add(&fork_count, 1);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, count_fork);
}

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield returns at once */
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Paces a bounded spin: 0 once the time is over. */
typedef struct spin {
    int64_t begun_ns;
    int count;
} spin;

static int spin_on(spin *s, const oc__pool *p) {
    if (!p->spins) return 0;
    if (++s->count % LOOKS_A_PAUSE) return 1;
    pause_briefly();
    if (s->count % LOOKS_A_CLOCK) return 1;
    int held = atomic_load_explicit(&p->held, memory_order_relaxed);
    int64_t now = now_ns();
    if (s->begun_ns == 0) s->begun_ns = now;
    return now - s->begun_ns < (held ? HELD_NS : SPIN_NS);
}

/* The task with which a worker's range begins. */
static int first_task(const oc__pool *p, int worker) {
    int64_t n = p->threads;
    return (int)(((int64_t)p->tasks * worker + n - 1) / n);
}

/* The next task of somebody's range; -1: it is done. */
static int take(oc__pool *p, int owner, uint64_t run) {
    atomic_uint_fast64_t *next = &p->workers[owner].next;
    int begin = first_task(p, owner), end = first_task(p, owner + 1);
    uint_fast64_t v = atomic_load_explicit(next, memory_order_relaxed);
    for (;;) {
        int i = RUN(v) == run ? (int)(v & UINT32_MAX) : begin;
        if (i >= end) return -1;
        if (atomic_compare_exchange_weak_explicit(
                next, &v, run << 32 | (uint64_t)(i + 1), memory_order_relaxed,
                memory_order_relaxed))
            return i;
    }
}

static void work(oc__pool *p, int worker, uint64_t run) {
    oc__pool_fn fn = p->fn;
    void *ctx = p->ctx;
    for (int k = 0; k < p->threads; k++) {
        int owner = (worker + k) % p->threads, i;
        while ((i = take(p, owner, run)) >= 0)
            fn(ctx, i, worker);
    }
}

/* Joins the open run if there is one; the run's number, or 0. */
static uint64_t join(oc__pool *p) {
    uint_fast64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
    while (w & OPEN)
        if (atomic_compare_exchange_weak_explicit(&p->word, &w, w + 1,
                                                  memory_order_acquire,
                                                  memory_order_relaxed))
            return RUN(w);
    return 0;
}

static void leave(oc__pool *p) {
    uint_fast64_t w = atomic_fetch_sub(&p->word, 1) - 1;
    if (w & (OPEN | ACTIVE) || !atomic_load(&p->waiting)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_signal(&p->drained);
    pthread_mutex_unlock(&p->lock);
}

/* Returns when a run newer than `seen` is open, or the pool ends. */
static void await_run(oc__pool *p, uint64_t seen) {
    spin s = {0, 0};
    do {
        uint_fast64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
        if ((w & OPEN) && RUN(w) != seen) return;
        if (atomic_load_explicit(&p->stop, memory_order_relaxed)) return;
    } while (spin_on(&s, p));
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    for (;;) {
        uint_fast64_t w = atomic_load(&p->word);
        if ((w & OPEN) && RUN(w) != seen) break;
        if (atomic_load(&p->stop)) break;
        pthread_cond_wait(&p->opened, &p->lock);
    }
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg) {
    struct worker *me = arg;
    oc__pool *p = me->pool;
    uint64_t seen = 0;
    for (;;) {
        await_run(p, seen);
        if (atomic_load(&p->stop)) return NULL;
        uint64_t run = join(p);
        if (!run) continue;
        work(p, me->index, run);
        leave(p);
        /* Its tasks are all taken: rejoining would find none. */
        seen = run;
    }
}

static void start_workers(oc__pool *p) {
    pthread_attr_t attr;
    if (pthread_attr_init(&attr)) return;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    /* Signals belong to the program's own threads. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 1; i < p->threads; i++) {
        struct worker *w = &p->workers[i];
        w->pool = p;
        w->index = i;
        if (pthread_create(&w->thread, &attr, worker_main, w)) break;
#if defined(__linux__)
        pthread_setname_np(w->thread, "ocelli");
#endif
        p->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

static size_t pool_bytes(int threads) {
    return sizeof(oc__pool) + (size_t)threads * sizeof(struct worker);
}

oc_status oc__pool_create(oc__pool **out, const oc_allocator *allocator,
                          int threads, oc_error *err) {
    assert(threads >= 1);
    pthread_once(&fork_once, watch_forks);
    oc__pool *p = oc__alloc(allocator, pool_bytes(threads));
    if (!p) return oc__fail_nomem(err);
    memset(p, 0, pool_bytes(threads));
    p->allocator = *allocator;
    p->threads = threads;
    p->forks = atomic_load(&fork_count);
    /* With more threads than cores, whoever spins keeps another from work. */
    p->spins = threads <= oc_cpu_count();
    atomic_init(&p->word, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->opened, NULL);
    pthread_cond_init(&p->drained, NULL);
    start_workers(p);
    if (threads > 1 && p->started == 0) {
        oc__pool_destroy(p);
        return oc__fail(err, OC_E_NOMEM, "the system refuses new threads");
    }
    *out = p;
    return OC_OK;
}

static int is_orphan(const oc__pool *p) {
    return p->forks != atomic_load_explicit(&fork_count, memory_order_relaxed);
}

void oc__pool_destroy(oc__pool *p) {
    if (!p) return;
    if (!is_orphan(p)) {
        atomic_store(&p->stop, 1);
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->opened);
        pthread_mutex_unlock(&p->lock);
        for (int i = 1; i <= p->started; i++)
            pthread_join(p->workers[i].thread, NULL);
        pthread_cond_destroy(&p->drained);
        pthread_cond_destroy(&p->opened);
        pthread_mutex_destroy(&p->lock);
    }
    oc_allocator a = p->allocator;
    oc__release(&a, p, pool_bytes(p->threads));
}

void oc__pool_hold(oc__pool *p) {
    if (p) atomic_fetch_add_explicit(&p->held, 1, memory_order_relaxed);
}

void oc__pool_rest(oc__pool *p) {
    if (p) atomic_fetch_sub_explicit(&p->held, 1, memory_order_relaxed);
}

int oc__pool_threads(const oc__pool *p) {
    return p ? p->threads : 1;
}

static void wake_workers(oc__pool *p, int wanted) {
    int asleep = atomic_load(&p->sleepers);
    if (asleep == 0) return;
    pthread_mutex_lock(&p->lock);
    if (wanted >= asleep) {
        pthread_cond_broadcast(&p->opened);
    } else {
        for (int i = 0; i < wanted; i++)
            pthread_cond_signal(&p->opened);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Closes the run and waits until those who joined have left. */
static void drain(oc__pool *p) {
    uint_fast64_t w = atomic_fetch_and(&p->word, ~OPEN) & ~OPEN;
    spin s = {0, 0};
    while ((w & ACTIVE) && spin_on(&s, p))
        w = atomic_load_explicit(&p->word, memory_order_acquire);
    if (!(w & ACTIVE)) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, 1);
    while (atomic_load(&p->word) & ACTIVE)
        pthread_cond_wait(&p->drained, &p->lock);
    atomic_store(&p->waiting, 0);
    pthread_mutex_unlock(&p->lock);
}

void oc__pool_run(oc__pool *p, int tasks, oc__pool_fn fn, void *ctx) {
    if (!p || tasks <= 1 || p->started == 0 || is_orphan(p)) {
        for (int i = 0; i < tasks; i++)
            fn(ctx, i, 0);
        return;
    }
    uint_fast64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
    assert(!(w & (OPEN | ACTIVE)) && "oc__pool_run inside a task");
    p->fn = fn;
    p->ctx = ctx;
    p->tasks = tasks;
    /* Run numbers start at 1 and skip 0 when they wrap, so that a worker's
     * `seen` of 0 means none. */
    uint64_t run = (RUN(w) + 1) & UINT32_MAX;
    run = run ? run : 1;
    atomic_store(&p->word, run << 32 | OPEN);
    wake_workers(p, tasks - 1);
    work(p, 0, run);
    drain(p);
}
