/*
 * peak.c - what the machine can do, to measure kernels against: multiply-adds
 * of a core, reading of memory.
 */
#define _POSIX_C_SOURCE 200809L
#include "cpu/features.h"
#include "cpu/pool.h"
#include "kernels/kernels.h"

#include <string.h>
#include <time.h>

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double oc__peak_flops(const oc__kernels *kt) {
    oc__peak_f32_fn *peak = kt->bf16 ? kt->peak_bf16 : kt->peak_f32;
    /* The best of many runs of some 0.2 ms: others may use the core meanwhile,
     * and it may take a while to reach its clock. */
    double best = 0, end = seconds() + 0.03;
    while (seconds() < end) {
        float sink = 0.5f;
        double start = seconds(), ops = peak(20000, &sink);
        double took = seconds() - start;
        if (took > 0 && ops / took > best) best = ops / took;
    }
    return best;
}

double oc_cpu_peak_flops(uint32_t cpu_mask) {
    oc__kernels kt;
    oc__kernels_init(&kt, oc__cpu_resolve(cpu_mask));
    return oc__peak_flops(&kt);
}

/* Larger than the caches of most; a last-level cache that is shared among
 * many cores would be measured with less. */
#define LEAST_BYTES ((size_t)64 << 20)
#define MOST_BYTES  ((size_t)512 << 20)

enum { OC_MAX_READERS = 64 };

typedef struct reading {
    const uint64_t *data;
    size_t words; /* of a task */
    uint64_t sums[OC_MAX_READERS];
} reading;

static void read_task(void *ctx, int task, int worker) {
    reading *r = ctx;
    const uint64_t *p = r->data + r->words * (size_t)task;
    uint64_t sum[8] = {0};
    (void)worker;
    for (size_t i = 0; i + 8 <= r->words; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += p[i + k];
    for (size_t k = 1; k < 8; k++)
        sum[0] += sum[k];
    r->sums[task] = sum[0];
}

double oc_cpu_memory_speed(int threads) {
    enum { PASSES = 4 };
    oc_cpu_info cpu;
    oc__pool *pool = NULL;
    reading r = {0};
    double best = 0;
    oc_cpu_describe(&cpu);
    threads = OC_MIN(OC_MAX(threads, 1), OC_MAX_READERS);
    size_t bytes = OC_MIN(OC_MAX(4 * cpu.l3_bytes, LEAST_BYTES), MOST_BYTES);
    uint64_t *data = oc__alloc(&oc__default_allocator, bytes);
    if (data &&
        !oc__pool_create(&pool, &oc__default_allocator, threads, NULL)) {
        memset(data, 1, bytes); /* pages that nobody wrote to are all one */
        r.data = data;
        r.words = bytes / sizeof *data / (size_t)threads;
        for (int i = 0; i < PASSES; i++) {
            double start = seconds();
            oc__pool_run(pool, threads, read_task, &r);
            double took = seconds() - start;
            if (took > 0 && (double)bytes / took > best)
                best = (double)bytes / took;
        }
    }
    oc__pool_destroy(pool);
    oc__release(&oc__default_allocator, data, bytes);
    return best;
}
