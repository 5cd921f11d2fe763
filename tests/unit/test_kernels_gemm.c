/* test_kernels_gemm.c - the product of f32 and of bf16 against sums in double,
 * every CPU mask, all strides and epilogues; bitwise equal for any thread
 * count. */
#include "checkasm.h"

#include "base/half.h"
#include "cpu/pool.h"

#include <math.h>

/* Around every tile (4x8, 6x16, 14x32, their thin forms), the block of 16
 * steps, the cut of k at 384, the 512 columns of a task. */
static const size_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 29, 43};
static const size_t ns[] = {0,  1,  2,  7,  8,  9,  15,  16,  17,
                            31, 32, 33, 63, 65, 97, 131, 257, 515};
static const size_t ks[] = {0,  1,  2,   3,   7,   15,  16,  17,  31,
                            48, 61, 383, 384, 385, 401, 769, 775, 1555};

typedef struct product {
    size_t m, n, k;
    size_t a_row, a_col, b_row, b_col, c_row, d_row;
    int flags; /* the bits below; 16.. activation */
} product;

enum {
    BIAS_N = 1,
    BIAS_M = 2,
    WITH_D = 4,
    WITH_ALPHA = 8,
    WHOLE_B = 256,
    BF16 = 512
};

static size_t pick(const size_t *of, size_t count) {
    return of[oc__rng_below(check_rng(), count)];
}

static size_t extent(size_t rows, size_t row, size_t cols, size_t col) {
    return rows && cols ? (rows - 1) * row + (cols - 1) * col + 1 : 0;
}

static float *random_array(size_t n) {
    float *x = check_alloc(n * sizeof *x);
    check_fill(x, n, -1, 1);
    return x;
}

static void *new_packed(const oc__kernels *k, int bf16, size_t kk, size_t n) {
    return check_alloc(bf16 ? oc__gemm_bf16_packed_elems(k, kk, n) * 2
                            : oc__gemm_f32_packed_elems(k, kk, n) * 4);
}

static void *new_scratch(const oc__kernels *k, int bf16, size_t m, size_t n,
                         size_t kk, int threads) {
    size_t bytes = bf16 ? oc__gemm_bf16_scratch_bytes(k, m, n, kk, threads)
                        : oc__gemm_f32_scratch_bytes(k, m, n, kk, threads);
    return check_alloc(oc__align_up(bytes, 64));
}

/* B in panels that go through all of k. */
static void pack_whole(const oc__kernels *k, const product *p, const float *b,
                       float *packed) {
    size_t nr = k->gemm_f32->nr;
    for (size_t j = 0; j < oc__align_up(p->n, nr); j++)
        for (size_t s = 0; s < p->k; s++)
            packed[(j / nr * p->k + s) * nr + j % nr] =
                j < p->n ? b[s * p->b_row + j * p->b_col] : 0;
}

static double act_of(const oc__gemm_f32_args *g, double x) {
    switch (g->act) {
    case OC_ACT_RELU: return x < 0 ? 0 : x;
    case OC_ACT_CLIP: return fmin(fmax(x, (double)g->act_a), (double)g->act_b);
    case OC_ACT_LEAKY_RELU: return x < 0 ? (double)g->act_a * x : x;
    case OC_ACT_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

/* What a product multiplies. */
static double factor(const oc__gemm_f32_args *g, float x) {
    return (double)(g->bf16 ? oc__bf16_to_f32(oc__f32_to_bf16(x)) : x);
}

/* Checks one row of C; between the rows nothing may have changed. */
static void check_row(const oc__gemm_f32_args *g, const product *p,
                      const float *b, size_t i) {
    for (size_t j = 0; j < g->n; j++) {
        double sum = 0, mass = 0;
        for (size_t s = 0; s < g->k; s++) {
            double t = factor(g, g->a[i * p->a_row + s * p->a_col]) *
                       factor(g, b[s * p->b_row + j * p->b_col]);
            sum += t;
            mass += fabs(t);
        }
        double x = (double)g->alpha * sum;
        if (g->bias_n) x += (double)g->bias_n[j];
        if (g->bias_m) x += (double)g->bias_m[i];
        if (g->d) x += (double)g->d[i * p->d_row + j];
        /* k roundings of partial sums no larger than mass, a few of the rest;
         * the activations are no steeper than 1. */
        double eps = 0x1p-23;
        double room = eps * ((double)g->k * mass + 8 * (fabs(x) + mass + 3));
        double want = act_of(g, x);
        check_close(&g->c[i * p->c_row + j], &want, 1, 1, room);
    }
}

static void check_product(const oc__kernels *k, oc__pool *pool,
                          const product *p) {
    static const int acts[] = {OC_ACT_NONE, OC_ACT_RELU, OC_ACT_CLIP,
                               OC_ACT_LEAKY_RELU, OC_ACT_SIGMOID};
    int act = acts[(size_t)(p->flags >> 4) % OC_COUNT(acts)];
    oc__gemm_f32_args g = {.m = p->m, .n = p->n, .k = p->k};
    g.a = random_array(extent(p->m, p->a_row, p->k, p->a_col));
    g.a_row_stride = p->a_row;
    g.a_col_stride = p->a_col;
    float *b = random_array(extent(p->k, p->b_row, p->n, p->b_col));
    g.c = check_alloc(extent(p->m, p->c_row, p->n, 1) * sizeof(float));
    g.c_row_stride = p->c_row;
    g.bias_n = p->flags & BIAS_N ? random_array(p->n) : NULL;
    g.bias_m = p->flags & BIAS_M ? random_array(p->m) : NULL;
    g.d = p->flags & WITH_D ? random_array(extent(p->m, p->d_row, p->n, 1))
                            : NULL;
    g.d_row_stride = p->d_row;
    g.alpha = p->flags & WITH_ALPHA ? 0.37f : 1.0f;
    g.act = act;
    g.act_a = act == OC_ACT_LEAKY_RELU ? 0.1f : -0.5f;
    g.act_b = 0.75f;

    g.bf16 = (p->flags & BF16) != 0;
    check_kernel(k, "gemm %zux%zux%zu a %zu,%zu b %zu,%zu flags %x", p->m, p->n,
                 p->k, p->a_row, p->a_col, p->b_row, p->b_col, p->flags);
    float *packed = new_packed(k, g.bf16, p->k, p->n);
    g.b_is_whole = (p->flags & WHOLE_B) != 0 && !g.bf16;
    if (g.bf16)
        oc__gemm_bf16_pack_b(k, pool, p->k, p->n, b, p->b_row, p->b_col,
                             (uint16_t *)(void *)packed);
    else if (g.b_is_whole)
        pack_whole(k, p, b, packed);
    else
        oc__gemm_f32_pack_b(k, pool, p->k, p->n, b, p->b_row, p->b_col, packed);
    g.packed_b = packed;
    oc__gemm_f32(
        k, pool, &g,
        new_scratch(k, g.bf16, p->m, p->n, p->k, oc__pool_threads(pool)));
    for (size_t i = 0; i < p->m; i++) {
        check_row(&g, p, b, i);
        for (size_t j = p->n; p->n && i + 1 < p->m && j < p->c_row; j++)
            assert_memory_equal(&g.c[i * p->c_row + j], "\xc5\xc5\xc5\xc5", 4);
    }
    check_free_all();
}

static product random_product(void) {
    product p = {0};
    oc__rng *r = check_rng();
    do {
        p.m = pick(ms, OC_COUNT(ms));
        p.n = pick(ns, OC_COUNT(ns));
        p.k = pick(ks, OC_COUNT(ks));
    } while (p.m * p.n * p.k > 1000000);
    size_t gap = (size_t)oc__rng_below(r, 3);
    switch (oc__rng_below(r, 3)) {
    case 0: p.a_row = p.k + gap, p.a_col = 1; break;
    case 1: p.a_row = 1, p.a_col = p.m + gap; break;
    default: p.a_row = 2 * p.k + gap, p.a_col = 2;
    }
    switch (oc__rng_below(r, 3)) {
    case 0: p.b_row = p.n + gap, p.b_col = 1; break;
    case 1: p.b_row = 1, p.b_col = p.k + gap; break;
    default: p.b_row = 2 * p.n + gap, p.b_col = 2;
    }
    p.c_row = p.n + (size_t)oc__rng_below(r, 5);
    p.d_row = oc__rng_below(r, 2) ? p.n + gap : 0;
    p.flags = (int)oc__rng_below(r, 1024);
    return p;
}

static void each_product(const oc__kernels *k) {
    for (size_t i = 0; i < OC_COUNT(ms); i++) {
        product p = random_product();
        p = (product){ms[i], 33, 17, 17, 1, 33, 1, 33, 33, (int)i * 16};
        check_product(k, NULL, &p);
        p.flags |= BF16;
        check_product(k, NULL, &p);
    }
    for (int i = 0; i < 400; i++) {
        product p = random_product();
        check_product(k, NULL, &p);
    }
}

static void gemm_matches_double(void **state) {
    (void)state;
    check_each_mask(each_product);
}

/* The same product with different pools: same bits. */
static void same_on_threads(const oc__kernels *k, int bf16) {
    static const size_t shapes[][3] = {
        {1, 4099, 641}, {3, 700, 350}, {97, 201, 333}, {260, 96, 64}};
    for (size_t s = 0; s < OC_COUNT(shapes); s++) {
        size_t m = shapes[s][0], n = shapes[s][1], kk = shapes[s][2];
        float *b = random_array(kk * n), *want = check_alloc(m * n * 4);
        float *packed = new_packed(k, bf16, kk, n);
        oc__gemm_f32_args g = {.m = m, .n = n, .k = kk, .alpha = 1};
        g.bf16 = bf16;
        g.a = random_array(m * kk);
        g.a_row_stride = kk;
        g.a_col_stride = 1;
        g.c_row_stride = n;
        g.packed_b = packed;
        for (int threads = 1; threads <= 4; threads++) {
            oc__pool *pool = NULL;
            assert_int_equal(
                oc__pool_create(&pool, &oc__default_allocator, threads, NULL),
                OC_OK);
            check_kernel(k, "gemm %zux%zux%zu bf16 %d, %d threads", m, n, kk,
                         bf16, threads);
            if (bf16)
                oc__gemm_bf16_pack_b(k, pool, kk, n, b, n, 1,
                                     (uint16_t *)(void *)packed);
            else
                oc__gemm_f32_pack_b(k, pool, kk, n, b, n, 1, packed);
            void *scratch = new_scratch(k, bf16, m, n, kk, threads);
            g.c = threads == 1 ? want : check_alloc(m * n * 4);
            oc__gemm_f32(k, pool, &g, scratch);
            check_same(g.c, want, m * n);
            oc__pool_destroy(pool);
        }
        check_free_all();
    }
}

static void each_thread_count(const oc__kernels *k) {
    for (int bf16 = 0; bf16 < 2; bf16++)
        same_on_threads(k, bf16);
}

static void gemm_is_the_same_for_all_thread_counts(void **state) {
    (void)state;
    check_each_mask(each_thread_count);
}

/* NaN and Inf reach the outputs they belong to and no others. */
static void odd_passes(const oc__kernels *k, int bf16) {
    size_t m = 5, n = 37, kk = 19;
    float *b = random_array(kk * n);
    float *a = random_array(m * kk);
    a[2 * kk + 18] = NAN;
    b[3 * n + 36] = INFINITY;
    float *packed = new_packed(k, bf16, kk, n);
    if (bf16)
        oc__gemm_bf16_pack_b(k, NULL, kk, n, b, n, 1,
                             (uint16_t *)(void *)packed);
    else
        oc__gemm_f32_pack_b(k, NULL, kk, n, b, n, 1, packed);
    oc__gemm_f32_args g = {.m = m, .n = n, .k = kk, .alpha = 1, .a = a};
    g.a_row_stride = kk;
    g.a_col_stride = 1;
    g.packed_b = packed;
    g.c = check_alloc(m * n * 4);
    g.c_row_stride = n;
    g.act = OC_ACT_RELU;
    g.bf16 = bf16;
    check_kernel(k, "gemm with NaN and Inf, bf16 %d", bf16);
    oc__gemm_f32(k, NULL, &g, new_scratch(k, bf16, m, n, kk, 1));
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float x = g.c[i * n + j];
            if (i == 2)
                assert_true(isnan(x));
            else if (j == 36)
                assert_true(x == (a[i * kk + 3] > 0 ? INFINITY : 0.0f));
            else
                assert_true(isfinite(x));
        }
    check_free_all();
}

static void each_odd(const oc__kernels *k) {
    for (int bf16 = 0; bf16 < 2; bf16++)
        odd_passes(k, bf16);
}

static void gemm_passes_nan_and_inf(void **state) {
    (void)state;
    check_each_mask(each_odd);
}

/* Attention plans for all keys, and multiplies fewer. */
static void each_smaller(const oc__kernels *k) {
    for (int bf16 = 0; bf16 <= (k->gemm_bf16 != NULL); bf16++)
        for (size_t kk = 1, before = 0; kk < 1200; kk++) {
            size_t bytes = bf16 ? oc__gemm_bf16_scratch_bytes(k, 72, 64, kk, 2)
                                : oc__gemm_f32_scratch_bytes(k, 72, 64, kk, 2);
            assert_true(bytes >= before);
            before = bytes;
        }
}

static void gemm_scratch_is_enough_for_smaller_products(void **state) {
    (void)state;
    check_each_mask(each_smaller);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_matches_double),
        cmocka_unit_test(gemm_is_the_same_for_all_thread_counts),
        cmocka_unit_test(gemm_passes_nan_and_inf),
        cmocka_unit_test(gemm_scratch_is_enough_for_smaller_products),
    };
    return cmocka_run_group_tests_name("kernels_gemm", tests, NULL, NULL);
}
