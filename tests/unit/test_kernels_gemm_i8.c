/* test_kernels_gemm_i8.c - the 8-bit product against sums in 64 bits, bit for
 * bit: every CPU mask, all signs, zero points a row and a column. */
#include "checkasm.h"

#include "cpu/pool.h"

#include <string.h>

static const size_t ms[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14, 29};
static const size_t ns[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 97, 131};
static const size_t ks[] = {0,  1,  2,  3,   4,    5,    31,   63,
                            64, 65, 66, 127, 1279, 1280, 1281, 2677};

static size_t below(size_t n) {
    return (size_t)oc__rng_below(check_rng(), n);
}

/* Extremes, where what overflows 16 bits does so; small numbers of both signs,
 * of which four often fit these and sometimes not; or anything. */
static void *random_bytes(size_t n) {
    static const uint8_t extremes[] = {0, 0x80, 0x7f, 0xff};
    uint8_t *x = check_alloc(n);
    size_t kind = below(4), most = 1 + below(100);
    for (size_t i = 0; i < n; i++)
        x[i] = kind < 2    ? extremes[below(4)]
               : kind == 2 ? (uint8_t)(below(2 * most + 1) - most)
                           : (uint8_t)below(256);
    return x;
}

static int32_t number(const void *p, size_t i, int is_signed) {
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static int32_t random_zero(int is_signed) {
    return (int32_t)below(256) - (is_signed ? 128 : 0);
}

static int32_t *random_zeros(size_t n, int is_signed) {
    int32_t *z = check_alloc(n * sizeof *z);
    for (size_t i = 0; i < n; i++)
        z[i] = random_zero(is_signed);
    return z;
}

typedef struct i8_case {
    size_t m, n, k, a_row, b_row, b_col, c_row;
    int a_zeros, b_zeros, no_b_zero;
} i8_case;

static void check_sums(const oc__gemm_i8_args *g, const i8_case *t,
                       const void *b) {
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            int64_t za = g->a_zeros ? g->a_zeros[i] : g->a_zero;
            int64_t zb = g->b_zeros ? g->b_zeros[j] : g->b_zero;
            int64_t sum = 0;
            for (size_t s = 0; s < g->k; s++)
                sum +=
                    (number(g->a, i * t->a_row + s, g->a_signed) - za) *
                    (number(b, s * t->b_row + j * t->b_col, g->b_signed) - zb);
            int32_t want = (int32_t)(uint32_t)sum;
            check_bytes(&g->c[i * t->c_row + j], &want, sizeof want);
        }
}

static void check_case(const oc__kernels *k, oc__pool *pool, const i8_case *t) {
    oc__gemm_i8_args g = {.m = t->m, .n = t->n, .k = t->k};
    g.a_signed = (int)below(2);
    g.b_signed = (int)below(2);
    g.a = random_bytes(t->m && t->k ? (t->m - 1) * t->a_row + t->k : 0);
    g.a_row_stride = t->a_row;
    void *b = random_bytes(
        t->k && t->n ? (t->k - 1) * t->b_row + (t->n - 1) * t->b_col + 1 : 0);
    g.a_zero = random_zero(g.a_signed);
    g.b_zero = t->no_b_zero ? (g.b_signed ? 0 : 128) : random_zero(g.b_signed);
    if (t->a_zeros) g.a_zeros = random_zeros(t->m, g.a_signed);
    if (t->b_zeros) g.b_zeros = random_zeros(t->n, g.b_signed);
    g.c = check_alloc(t->m && t->n ? ((t->m - 1) * t->c_row + t->n) * 4 : 0);
    g.c_row_stride = t->c_row;
    check_kernel(k, "gemm_i8 %zux%zux%zu %s*%s zeros %d,%d", t->m, t->n, t->k,
                 g.a_signed ? "s8" : "u8", g.b_signed ? "s8" : "u8", t->a_zeros,
                 t->b_zeros);
    void *packed =
        check_alloc(oc__align_up(oc__gemm_i8_packed_bytes(k, t->k, t->n), 64));
    oc__gemm_i8_pack_b(k, t->k, t->n, b, g.b_signed, t->b_row, t->b_col,
                       packed);
    g.packed_b = packed;
    size_t bytes =
        oc__gemm_i8_scratch_bytes(k, t->m, t->n, t->k, oc__pool_threads(pool));
    oc__gemm_i8(k, pool, &g, check_alloc(oc__align_up(bytes, 64)));
    check_sums(&g, t, b);
    for (size_t i = 0; t->n && i + 1 < t->m; i++)
        for (size_t j = t->n; j < t->c_row; j++)
            assert_memory_equal(&g.c[i * t->c_row + j], "\xc5\xc5\xc5\xc5", 4);
    check_free_all();
}

static void each_case(const oc__kernels *k) {
    for (int i = 0; i < 400; i++) {
        i8_case t = {.m = ms[below(OC_COUNT(ms))],
                     .n = ns[below(OC_COUNT(ns))],
                     .k = ks[below(OC_COUNT(ks))]};
        if (t.m * t.n * t.k > 2000000) continue;
        size_t gap = below(3);
        t.a_row = t.k + gap;
        t.b_row = below(2) ? t.n + gap : 1;
        t.b_col = t.b_row == 1 ? t.k + gap : 1;
        t.c_row = t.n + below(3);
        t.a_zeros = (int)below(2);
        t.b_zeros = (int)below(2);
        t.no_b_zero = (int)below(2);
        check_case(k, NULL, &t);
    }
}

static void gemm_i8_is_exact(void **state) {
    (void)state;
    check_each_mask(each_case);
}

/* 255 times the same weight everywhere, up to what no sum of 16 bits holds. */
static void each_weight(const oc__kernels *k) {
    enum { M = 11, N = 17, DEPTH = 68 };
    uint8_t *a = check_alloc(M * DEPTH);
    memset(a, 255, M * DEPTH);
    int8_t *b = check_alloc(DEPTH * N);
    int32_t *c = check_alloc(M * N * sizeof *c);
    char *packed =
        check_alloc(oc__align_up(oc__gemm_i8_packed_bytes(k, DEPTH, N), 64));
    void *scratch = check_alloc(
        oc__align_up(oc__gemm_i8_scratch_bytes(k, M, N, DEPTH, 1), 64));
    for (int w = -128; w < 128; w++) {
        memset(b, w, DEPTH * N);
        check_kernel(k, "gemm_i8 255 * %d", w);
        oc__gemm_i8_pack_b(k, DEPTH, N, b, 1, N, 1, packed);
        oc__gemm_i8_args g = {.m = M,
                              .n = N,
                              .k = DEPTH,
                              .a = a,
                              .a_row_stride = DEPTH,
                              .b_signed = 1,
                              .packed_b = packed,
                              .c = c,
                              .c_row_stride = N};
        oc__gemm_i8(k, NULL, &g, scratch);
        for (int i = 0; i < M * N; i++)
            assert_int_equal(c[i], 255 * DEPTH * w);
    }
    check_free_all();
}

static void gemm_i8_loses_nothing_in_16_bits(void **state) {
    (void)state;
    check_each_mask(each_weight);
}

static void each_pool(const oc__kernels *k) {
    for (int threads = 2; threads <= 3; threads++) {
        oc__pool *pool = NULL;
        assert_int_equal(
            oc__pool_create(&pool, &oc__default_allocator, threads, NULL),
            OC_OK);
        i8_case t = {.m = 61,
                     .n = 259,
                     .k = 640,
                     .a_row = 640,
                     .b_row = 259,
                     .b_col = 1,
                     .c_row = 260,
                     .a_zeros = 1,
                     .b_zeros = 1};
        check_case(k, pool, &t);
        t.m = 1;
        check_case(k, pool, &t);
        oc__pool_destroy(pool);
    }
}

static void gemm_i8_is_exact_with_threads(void **state) {
    (void)state;
    check_each_mask(each_pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_i8_is_exact),
        cmocka_unit_test(gemm_i8_loses_nothing_in_16_bits),
        cmocka_unit_test(gemm_i8_is_exact_with_threads),
    };
    return cmocka_run_group_tests_name("kernels_gemm_i8", tests, NULL, NULL);
}
