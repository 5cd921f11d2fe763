/*
 * peak.c - how many multiply-adds a core can do, to measure kernels against.
 *
 * The loops hold as many independent sums as hide the latency of an FMA (4 or
 * 5 cycles, two a cycle: ten and more) and touch no memory.  The numbers stay
 * finite: each step is x = x * 0.999 + 0.001.
 */
#define _POSIX_C_SOURCE 200809L
#include "cpu/features.h"

#include <math.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define ON_X86 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define SUMS 12

/* Each returns its sum, so that nothing can be left out, and does
   rounds * SUMS * lanes multiply-adds. */
typedef float burn_fn(long rounds);

static float burn_scalar(long rounds) {
    float x[SUMS];
    for (int i = 0; i < SUMS; i++) {
        x[i] = (float)i;
    }
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i < SUMS; i++) {
            x[i] = x[i] * 0.999f + 0.001f;
        }
    }
    float sum = 0;
    for (int i = 0; i < SUMS; i++) {
        sum += x[i];
    }
    return sum;
}

#if ON_X86
__attribute__((target("avx2,fma"))) static float burn_avx2(long rounds) {
    __m256 x[SUMS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    for (int i = 0; i < SUMS; i++) {
        x[i] = _mm256_set1_ps((float)i);
    }
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i < SUMS; i++) {
            x[i] = _mm256_fmadd_ps(x[i], a, b);
        }
    }
    float out[8];
    for (int i = 1; i < SUMS; i++) {
        x[0] = _mm256_add_ps(x[0], x[i]);
    }
    _mm256_storeu_ps(out, x[0]);
    return out[0];
}

__attribute__((target("avx512f"))) static float burn_avx512(long rounds) {
    __m512 x[SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    for (int i = 0; i < SUMS; i++) {
        x[i] = _mm512_set1_ps((float)i);
    }
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i < SUMS; i++) {
            x[i] = _mm512_fmadd_ps(x[i], a, b);
        }
    }
    for (int i = 1; i < SUMS; i++) {
        x[0] = _mm512_add_ps(x[0], x[i]);
    }
    return _mm512_cvtss_f32(x[0]);
}
#elif defined(__aarch64__)
static float burn_neon(long rounds) {
    float32x4_t x[SUMS], a = vdupq_n_f32(0.999f), b = vdupq_n_f32(0.001f);
    for (int i = 0; i < SUMS; i++) {
        x[i] = vdupq_n_f32((float)i);
    }
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i < SUMS; i++) {
            x[i] = vfmaq_f32(b, x[i], a);
        }
    }
    for (int i = 1; i < SUMS; i++) {
        x[0] = vaddq_f32(x[0], x[i]);
    }
    return vgetq_lane_f32(x[0], 0);
}
#endif

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double oc_cpu_peak_flops(uint32_t cpu_mask) {
    uint32_t cpu = oc__cpu_resolve(cpu_mask);
    burn_fn *burn = burn_scalar;
    int lanes = 1;
    (void)cpu;
#if ON_X86
    if (cpu & OC_CPU_AVX2) {
        burn = burn_avx2;
        lanes = 8;
    }
    if (cpu & OC_CPU_AVX512) {
        burn = burn_avx512;
        lanes = 16;
    }
#elif defined(__aarch64__)
    if (cpu & OC_CPU_NEON) {
        burn = burn_neon;
        lanes = 4;
    }
#endif
    /* The best of several short runs: others may use the core meanwhile. */
    const long rounds = 200000;
    double best = 0, end = seconds() + 0.03;
    for (int i = 0; i < 100; i++) {
        double start = seconds();
        float sum = burn(rounds);
        double took = seconds() - start;
        double rate = 2.0 * SUMS * lanes * (double)rounds / took;
        /* sum is finite; asking keeps the loop alive. */
        if (isfinite(sum) && took > 0 && rate > best) best = rate;
        if (seconds() > end) break;
    }
    return best;
}
