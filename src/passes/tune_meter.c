/* tune_meter.c - times convolutions with the session's threads; see tune.h. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "passes/tune.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/size.h"
#include "cpu/features.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* Where the machine does not say how large its last cache is. */
enum { USUAL_L3 = 16 << 20 };
enum { LINE = 16 }; /* floats */

typedef struct buffer {
    float *data;
    size_t elems;
} buffer;

struct oc__tune_bench {
    const oc_allocator *allocator;
    const oc__kernels *kernels;
    oc__pool *pool;
    size_t weight_elems; /* to go over between runs */
    /* Those of all candidates: what is in them does not count, only that it
     * are ordinary numbers.  `mid` is the depthwise output, or the blocked
     * picture for a way that cannot read a plain one. */
    buffer in, mid, out, packed, depth_packed, scratch, weights;
    float sum; /* so that no compiler leaves out what nobody needs */
};

static int64_t now_ns(void *user) {
    struct timespec t;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- memory ---------------------------------------------------------------
 */

static void drop(oc__tune_bench *b, buffer *buf) {
    oc__release(b->allocator, buf->data, buf->elems * sizeof(float));
    buf->data = NULL;
    buf->elems = 0;
}

/* Random numbers, the first page's over and over. */
static void fill(buffer *buf) {
    enum { PAGE = 4096 };
    oc__rng rng;
    size_t first = OC_MIN(buf->elems, (size_t)PAGE);
    oc__rng_init(&rng, 1);
    oc__rng_fill(&rng, buf->data, first, -1, 1);
    for (size_t at = first; at < buf->elems; at += first)
        memcpy(buf->data + at, buf->data,
               OC_MIN(first, buf->elems - at) * sizeof(float));
}

/* Nonzero: no memory. */
static int grow(oc__tune_bench *b, buffer *buf, size_t elems) {
    if (elems <= buf->elems) return 0;
    drop(b, buf);
    buf->data = oc__alloc(b->allocator, elems * sizeof(float));
    if (!buf->data) return 1;
    buf->elems = elems;
    fill(buf);
    return 0;
}

static size_t blocked_elems(const oc__kernels *kt, int64_t n, int64_t channels,
                            int64_t h, int64_t w) {
    size_t c = (size_t)kt->block;
    return (size_t)n * OC_CEIL_DIV((size_t)channels, c) * c * (size_t)(h * w);
}

static int has_depth(const oc__tune_case *c) {
    return c->depth.in_c != 0;
}

static size_t in_elems(const oc__tune_bench *b, const oc__tune_case *c) {
    const oc__conv_geom *g = has_depth(c) ? &c->depth : &c->g;
    return blocked_elems(b->kernels, g->batch, g->in_c, g->in_h, g->in_w);
}

static int get_ready(oc__tune_bench *b, const oc__tune_case *c) {
    const oc__kernels *kt = b->kernels;
    const oc__conv_geom *g = &c->g;
    size_t read = blocked_elems(kt, g->batch, g->in_c, g->in_h, g->in_w);
    size_t bytes =
        oc__conv_f32_scratch_bytes(kt, g, c->algo, oc__pool_threads(b->pool));
    return grow(b, &b->in, in_elems(b, c)) || grow(b, &b->mid, read) ||
           grow(b, &b->out,
                blocked_elems(kt, g->batch, g->out_c, g->out_h, g->out_w)) ||
           grow(b, &b->packed, oc__conv_f32_packed_elems(kt, g, c->algo)) ||
           (has_depth(c) && grow(b, &b->depth_packed,
                                 oc__conv_f32_packed_elems(
                                     kt, &c->depth, OC_CONV_DEPTHWISE))) ||
           grow(b, &b->scratch, OC_CEIL_DIV(bytes, sizeof(float)));
}

static int meter_open(void *user, const oc__tune_case *cases, size_t n) {
    oc__tune_bench *b = user;
    if (grow(b, &b->weights, b->weight_elems)) return 1;
    for (size_t i = 0; i < n; i++)
        if (get_ready(b, &cases[i])) return 1;
    oc__pool_hold(b->pool);
    return 0;
}

static void meter_close(void *user) {
    oc__tune_bench *b = user;
    oc__pool_rest(b->pool);
}

/* ---- running --------------------------------------------------------------
 */

typedef struct reading {
    const buffer *from;
    size_t elems;
    int tasks;
    float *sums; /* LINE floats apart */
} reading;

static void read_task(void *ctx, int task, int worker) {
    const reading *r = ctx;
    size_t i = r->elems * (size_t)task / (size_t)r->tasks;
    size_t end = r->elems * (size_t)(task + 1) / (size_t)r->tasks;
    float sum = 0;
    (void)worker;
    for (; i < end; i += LINE)
        sum += r->from->data[i];
    r->sums[task * LINE] = sum;
}

/* Goes over a buffer with all threads, a cache line at a time. */
static void read_all(oc__tune_bench *b, const buffer *from, size_t elems) {
    enum { MOST = 64 };
    float sums[MOST * LINE];
    int threads = OC_MIN(oc__pool_threads(b->pool), (int)MOST);
    reading r = {from, OC_MIN(elems, from->elems), threads, sums};
    oc__pool_run(b->pool, threads, read_task, &r);
    for (int i = 0; i < threads; i++)
        b->sum += sums[i * LINE];
}

static void run_depth(oc__tune_bench *b, const oc__tune_case *c) {
    oc__conv_f32_args d = {.g = c->depth, .algo = OC_CONV_DEPTHWISE};
    d.in = b->in.data;
    d.packed_w = b->depth_packed.data;
    d.out = b->mid.data;
    oc__conv_f32(b->kernels, b->pool, &d, b->scratch.data);
}

/* Where any way reads a plain picture, those that cannot make it blocked. */
static void make_blocked(oc__tune_bench *b, const oc__conv_geom *g) {
    oc__block_f32(b->kernels, b->pool, g->batch, g->in_c, g->in_h * g->in_w,
                  b->in.data, b->mid.data);
}

static void run_case(oc__tune_bench *b, const oc__tune_case *c) {
    oc__conv_f32_args a = {.g = c->g, .algo = c->algo}, d = {.g = c->depth};
    a.in = b->in.data;
    a.packed_w = b->packed.data;
    a.out = b->out.data;
    if (c->joined) {
        d.in = b->in.data;
        d.packed_w = b->depth_packed.data;
        a.before = &d;
    } else if (has_depth(c)) {
        run_depth(b, c);
        a.in = b->mid.data;
    } else if (c->algo != OC_CONV_FIRST &&
               oc__conv_f32_can(b->kernels, &c->g, OC_CONV_FIRST)) {
        make_blocked(b, &c->g);
        a.in = b->mid.data;
    }
    oc__conv_f32(b->kernels, b->pool, &a, b->scratch.data);
}

static int64_t meter_run(void *user, const oc__tune_case *c) {
    oc__tune_bench *b = user;
    read_all(b, &b->weights, b->weight_elems);
    /* The layer before has just written what this one reads. */
    read_all(b, &b->in, in_elems(b, c));
    int64_t start = now_ns(NULL);
    run_case(b, c);
    return now_ns(NULL) - start;
}

/* ---- the bench ------------------------------------------------------------
 */

oc_status oc__tune_bench_create(oc__tune_bench **out, const oc__kernels *kt,
                                const oc_allocator *a, oc__pool *pool,
                                oc_error *err) {
    oc__tune_bench *b = oc__calloc(a, 1, sizeof(*b));
    if (!b) return oc__fail_nomem(err);
    b->allocator = a;
    b->kernels = kt;
    b->pool = pool;
    *out = b;
    return OC_OK;
}

static void meter_end(void *user) {
    oc__tune_bench *b = user;
    buffer *all[] = {&b->in,           &b->mid,     &b->out,    &b->packed,
                     &b->depth_packed, &b->scratch, &b->weights};
    for (size_t i = 0; i < OC_COUNT(all); i++)
        drop(b, all[i]);
}

void oc__tune_bench_destroy(oc__tune_bench *b) {
    if (!b) return;
    meter_end(b);
    oc__release(b->allocator, b, sizeof(*b));
}

static void meter_begin(void *user, size_t weight_bytes) {
    oc__tune_bench *b = user;
    oc__cpu_caches caches;
    oc__cpu_caches_get(&caches);
    size_t most = caches.l3_bytes ? caches.l3_bytes : (size_t)USUAL_L3;
    b->weight_elems = OC_MIN(weight_bytes, most) / sizeof(float);
}

oc__tune_meter oc__tune_bench_meter(oc__tune_bench *b) {
    return (oc__tune_meter){.user = b,
                            .begin = meter_begin,
                            .open = meter_open,
                            .run = meter_run,
                            .close = meter_close,
                            .end = meter_end,
                            .now_ns = now_ns};
}
