/* peak.c - how many multiply-adds a core can do, to measure kernels against. */
#define _POSIX_C_SOURCE 200809L
#include "cpu/features.h"
#include "kernels/kernels.h"

#include <time.h>

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double oc_cpu_peak_flops(uint32_t cpu_mask) {
    oc__kernels kt;
    oc__kernels_init(&kt, oc__cpu_resolve(cpu_mask));
    /* The best of many runs of some 0.2 ms: others may use the core meanwhile,
     * and it may take a while to reach its clock. */
    double best = 0, end = seconds() + 0.03;
    while (seconds() < end) {
        float sink = 0.5f;
        double start = seconds(), ops = kt.peak_f32(20000, &sink);
        double took = seconds() - start;
        if (took > 0 && ops / took > best) best = ops / took;
    }
    return best;
}
