/*
 * bench_kernels.c - speed of the heavy kernels on one core.
 *
 *     bench_kernels [--isa scalar|avx2|avx512|...] [--cpu N] [--ms N]
 *                   [--threads N] [FILTER]
 *
 * One line a case: the least of many times, GFLOP/s (or GOP/s), and the share
 * of the peak measured on this core just before and after, so that a clock
 * that changes does not pass for a kernel that did.  FILTER is a part of a
 * case's name.
 */
#define _GNU_SOURCE
#include "cpu/features.h"
#include "kernels/kernels.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const oc__kernels *kt;
static oc__pool *pool;
static const char *filter = "";
static double budget = 0.15; /* seconds a case */
static int threads = 1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *get(size_t bytes) {
    void *p = oc__alloc(&oc__default_allocator, bytes + 64);
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(4);
    }
    unsigned x = 1;
    for (size_t i = 0; i < bytes / 4; i++) {
        x = x * 1664525u + 1013904223u;
        ((float *)p)[i] = (float)(x >> 8) * 0x1p-23f - 1.0f;
    }
    return p;
}

static void put(void *p) {
    oc__release(&oc__default_allocator, p, 0);
}

static double peak_once(void) {
    double best = 0;
    for (int i = 0; i < 20; i++) {
        float sink = 0.5f;
        double t = now(), ops = kt->peak_f32(20000, &sink);
        double rate = ops / (now() - t);
        if (rate > best) best = rate;
    }
    return best;
}

/* Times fn until the budget is used up; prints one line. */
static void measure(const char *name, double ops, void (*fn)(void *),
                    void *ctx) {
    double peak = peak_once(), best = 1e9, start = now();
    int runs = 0;
    do {
        double t = now();
        fn(ctx);
        t = now() - t;
        if (t < best) best = t;
        runs++;
    } while (now() - start < budget || runs < 3);
    double after = peak_once();
    if (after > peak) peak = after;
    printf("%-44s %9.1f us %8.2f GFLOP/s %6.1f %%\n", name, best * 1e6,
           ops / best * 1e-9, 100 * ops / best / peak / threads);
    fflush(stdout);
}

static int wanted(const char *name) {
    return strstr(name, filter) != NULL;
}

/* ---- products ------------------------------------------------------------ */

typedef struct gemm_case {
    oc__gemm_f32_args g;
    void *scratch;
} gemm_case;

static void run_gemm(void *ctx) {
    gemm_case *c = ctx;
    oc__gemm_f32(kt, pool, &c->g, c->scratch);
}

static void bench_gemm(size_t m, size_t n, size_t k, int bf16) {
    char name[64];
    snprintf(name, sizeof name, "gemm_%s %zux%zux%zu", bf16 ? "bf16" : "f32", m,
             n, k);
    if (!wanted(name)) return;
    float *b = get(k * n * 4), *a = get(m * k * 4), *out = get(m * n * 4);
    float *packed = get(oc__gemm_f32_packed_elems(kt, k, n) * 4);
    oc__gemm_f32_pack_b(kt, NULL, k, n, b, n, 1, packed);
    if (bf16) {
        put(packed);
        packed = get(oc__gemm_bf16_packed_elems(kt, k, n) * 2);
        oc__gemm_bf16_pack_b(kt, NULL, k, n, b, n, 1, (void *)packed);
    }
    gemm_case c = {.g = {.m = m,
                         .n = n,
                         .k = k,
                         .a = a,
                         .a_row_stride = k,
                         .a_col_stride = 1,
                         .packed_b = packed,
                         .bf16 = bf16,
                         .c = out,
                         .c_row_stride = n,
                         .alpha = 1}};
    c.scratch = get(bf16 ? oc__gemm_bf16_scratch_bytes(kt, m, n, k, threads)
                         : oc__gemm_f32_scratch_bytes(kt, m, n, k, threads));
    measure(name, 2.0 * (double)m * (double)n * (double)k, run_gemm, &c);
    put(a), put(b), put(out), put(packed), put(c.scratch);
}

typedef struct i8_case {
    oc__gemm_i8_args g;
    void *scratch;
} i8_case;

static void run_i8(void *ctx) {
    i8_case *c = ctx;
    oc__gemm_i8(kt, pool, &c->g, c->scratch);
}

static void bench_i8(size_t m, size_t n, size_t k) {
    char name[64];
    snprintf(name, sizeof name, "gemm_i8 %zux%zux%zu", m, n, k);
    if (!wanted(name)) return;
    char *b = get(k * n), *a = get(m * k);
    int32_t *out = get(m * n * 4);
    void *packed = get(oc__gemm_i8_packed_bytes(kt, k, n));
    oc__gemm_i8_pack_b(kt, k, n, b, 1, n, 1, packed);
    i8_case c = {.g = {.m = m,
                       .n = n,
                       .k = k,
                       .a = a,
                       .a_row_stride = k,
                       .b_signed = 1,
                       .a_zero = 128,
                       .packed_b = packed,
                       .c = out,
                       .c_row_stride = n}};
    c.scratch = get(oc__gemm_i8_scratch_bytes(kt, m, n, k, threads));
    measure(name, 2.0 * (double)m * (double)n * (double)k, run_i8, &c);
    put(a), put(b), put(out), put(packed), put(c.scratch);
}

/* ---- convolution --------------------------------------------------------- */

typedef struct conv_case {
    oc__conv_f32_args a;
    void *scratch;
} conv_case;

static void run_conv(void *ctx) {
    conv_case *c = ctx;
    oc__conv_f32(kt, pool, &c->a, c->scratch);
}

static oc__conv_geom geometry(int64_t c, int64_t h, int64_t out_c, int64_t k,
                              int64_t s, int64_t group) {
    int64_t out = (h - 1) / s + 1;
    return (oc__conv_geom){.batch = 1,
                           .in_c = c,
                           .in_h = h,
                           .in_w = h,
                           .out_c = out_c,
                           .out_h = out,
                           .out_w = out,
                           .kernel_h = k,
                           .kernel_w = k,
                           .stride_h = s,
                           .stride_w = s,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .pad_top = (k - 1) / 2,
                           .pad_left = (k - 1) / 2,
                           .group = group};
}

static void bench_conv(oc__conv_algo algo, int64_t in_c, int64_t h,
                       int64_t out_c, int64_t k, int64_t s) {
    int64_t group = algo == OC_CONV_DEPTHWISE ? in_c : 1;
    oc__conv_geom g = geometry(in_c, h, out_c, k, s, group);
    char name[64];
    snprintf(name, sizeof name, "conv %s %dx%d s%d %dx%d %d->%d",
             oc__conv_algo_name(algo), (int)k, (int)k, (int)s, (int)h, (int)h,
             (int)in_c, (int)out_c);
    if (!wanted(name) || !oc__conv_f32_can(kt, &g, algo)) return;
    size_t c = (size_t)kt->block;
    size_t in = oc__align_up((size_t)in_c, c) * (size_t)(h * h);
    size_t out = oc__align_up((size_t)out_c, c) * (size_t)(g.out_h * g.out_w);
    float *w = get((size_t)(out_c * in_c / group * k * k) * 4);
    float *packed = get(oc__conv_f32_packed_elems(kt, &g, algo) * 4);
    oc__conv_f32_pack(kt, NULL, &g, algo, w, packed);
    conv_case cc = {.a = {.g = g,
                          .algo = algo,
                          .in = get(in * 4),
                          .packed_w = packed,
                          .out = get(out * 4),
                          .bias = get(((size_t)out_c + c) * 4),
                          .act = OC_ACT_RELU}};
    cc.scratch = get(oc__conv_f32_scratch_bytes(kt, &g, algo, threads));
    double ops = 2.0 * (double)(in_c / group * k * k) *
                 (double)(out_c * g.out_h * g.out_w);
    measure(name, ops, run_conv, &cc);
    put(w), put(packed), put((void *)cc.a.in), put(cc.a.out);
    put((void *)cc.a.bias), put(cc.scratch);
}

typedef struct pool_case {
    oc__conv_geom g;
    float *in, *out;
} pool_case;

static void run_pool(void *ctx) {
    pool_case *c = ctx;
    oc__pool_f32(kt, pool, &c->g, OC_POOL_MAX, c->in, c->out);
}

static void bench_pool(int64_t c, int64_t h, int64_t k, int64_t s) {
    char name[64];
    snprintf(name, sizeof name, "pool max %dx%d s%d %dx%d %d", (int)k, (int)k,
             (int)s, (int)h, (int)h, (int)c);
    if (!wanted(name)) return;
    pool_case p = {.g = geometry(c, h, c, k, s, 1)};
    size_t full = oc__align_up((size_t)c, (size_t)kt->block);
    p.in = get(full * (size_t)(h * h) * 4);
    p.out = get(full * (size_t)(p.g.out_h * p.g.out_w) * 4);
    measure(name, (double)(c * k * k * p.g.out_h * p.g.out_w), run_pool, &p);
    put(p.in), put(p.out);
}

/* ---- cases --------------------------------------------------------------- */

static void all_products(void) {
    static const size_t shapes[][3] = {
        {384, 384, 384},  {512, 512, 512},  {1024, 1024, 1024}, {96, 96, 96},
        {197, 768, 768},  {197, 3072, 768}, {1, 1000, 1280},    {1, 4096, 4096},
        {4, 1000, 1280},  {14, 512, 512},   {15, 512, 512},     {49, 512, 4608},
        {64, 12544, 147}, {197, 197, 64},   {3136, 64, 64},
    };
    for (size_t i = 0; i < OC_COUNT(shapes); i++)
        for (int bf16 = 0; bf16 <= kt->bf16; bf16++)
            bench_gemm(shapes[i][0], shapes[i][1], shapes[i][2], bf16);
    for (size_t i = 0; i < OC_COUNT(shapes); i++)
        bench_i8(shapes[i][0], shapes[i][1], shapes[i][2]);
}

static void all_convolutions(void) {
    static const int16_t dense[][5] = {
        /* c, h, out_c, k, s */
        {64, 56, 64, 1, 1},   {64, 56, 256, 1, 1},   {256, 56, 64, 1, 1},
        {512, 28, 128, 1, 1}, {1024, 14, 256, 1, 1}, {2048, 7, 512, 1, 1},
        {16, 112, 96, 1, 1},  {24, 56, 144, 1, 1},   {144, 56, 24, 1, 1},
        {96, 14, 576, 1, 1},  {576, 14, 96, 1, 1},   {320, 7, 1280, 1, 1},
        {256, 56, 512, 1, 2}, {64, 56, 64, 3, 1},    {128, 28, 128, 3, 1},
        {256, 14, 256, 3, 1}, {512, 7, 512, 3, 1},   {128, 56, 128, 3, 2},
        {32, 112, 32, 3, 1},  {64, 52, 64, 3, 1},    {256, 13, 256, 3, 1},
        {48, 40, 48, 5, 1},   {64, 80, 64, 3, 2},
    };
    static const int16_t first[][4] = {
        {3, 224, 32, 3}, {3, 224, 64, 7}, {3, 416, 16, 3}, {3, 640, 32, 3}};
    static const int16_t deep[][4] = {
        {32, 112, 3, 1}, {96, 112, 3, 2}, {144, 56, 3, 1}, {144, 56, 3, 2},
        {192, 28, 3, 1}, {576, 14, 3, 1}, {960, 7, 3, 1},  {120, 28, 5, 1},
        {72, 56, 5, 2},  {384, 14, 7, 1}};
    for (size_t i = 0; i < OC_COUNT(dense); i++) {
        const int16_t *d = dense[i];
        bench_conv(OC_CONV_DIRECT, d[0], d[1], d[2], d[3], d[4]);
        bench_conv(OC_CONV_POINT, d[0], d[1], d[2], d[3], d[4]);
        for (int way = OC_CONV_WINOGRAD2; way <= OC_CONV_WINOGRAD6; way++)
            bench_conv((oc__conv_algo)way, d[0], d[1], d[2], d[3], d[4]);
        bench_conv(OC_CONV_DIRECT_BF16, d[0], d[1], d[2], d[3], d[4]);
        bench_conv(OC_CONV_POINT_BF16, d[0], d[1], d[2], d[3], d[4]);
    }
    for (size_t i = 0; i < OC_COUNT(first); i++)
        bench_conv(OC_CONV_FIRST, first[i][0], first[i][1], first[i][2],
                   first[i][3], 2);
    for (size_t i = 0; i < OC_COUNT(deep); i++)
        bench_conv(OC_CONV_DEPTHWISE, deep[i][0], deep[i][1], deep[i][0],
                   deep[i][2], deep[i][3]);
    bench_pool(64, 112, 3, 2);
    bench_pool(64, 112, 2, 2);
    bench_pool(256, 13, 13, 1);
}

static uint32_t mask_of(const char *name) {
    static const struct {
        const char *name;
        uint32_t mask;
    } masks[] = {
        {"scalar", OC_CPU_SCALAR},
        {"avx2", OC_CPU_AVX2},
        {"avxvnni", OC_CPU_AVX2 | OC_CPU_AVXVNNI},
        {"avx512", OC_CPU_AVX2 | OC_CPU_AVX512},
        {"neon", OC_CPU_NEON},
    };
    for (size_t i = 0; i < OC_COUNT(masks); i++)
        if (strcmp(name, masks[i].name) == 0) return masks[i].mask;
    return 0;
}

int main(int argc, char **argv) {
    static oc__kernels table;
    uint32_t mask = 0;
    int cpu = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--isa") == 0)
            mask = mask_of(value), i++;
        else if (strcmp(argv[i], "--cpu") == 0)
            cpu = atoi(value), i++;
        else if (strcmp(argv[i], "--ms") == 0)
            budget = atof(value) * 1e-3, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(value), i++;
        else
            filter = argv[i];
    }
    oc__kernels_init(&table, oc__cpu_resolve(mask));
    table.bf16 = oc__kernels_have_bf16(&table);
    kt = &table;
    if (threads > 1) {
        if (oc__pool_create(&pool, &oc__default_allocator, threads, NULL))
            return 4;
    } else {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    printf("# %s, features %x, block %d, %d thread(s), peak %.1f GFLOP/s\n",
           oc__cpu_name(), kt->cpu, kt->block, threads, peak_once() * 1e-9);
    all_products();
    all_convolutions();
    oc__pool_destroy(pool);
    return 0;
}
