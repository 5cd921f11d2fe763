/* test_rng.c - the published numbers of xoshiro256++, and rough statistics */
#include "testing.h"

#include "base/rng.h"
#include "base/size.h"

#include <math.h>

/* The first outputs of the authors' C code from the state 1, 2, 3, 4. */
static void rng_gives_published_sequence(void **state) {
    (void)state;
    static const uint64_t want[] = {
        UINT64_C(41943041),
        UINT64_C(58720359),
        UINT64_C(3588806011781223),
        UINT64_C(3591011842654386),
        UINT64_C(9228616714210784205),
        UINT64_C(9973669472204895162),
        UINT64_C(14011001112246962877),
        UINT64_C(12406186145184390807),
        UINT64_C(15849039046786891736),
        UINT64_C(10450023813501588000),
    };
    oc__rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < OC_COUNT(want); i++)
        assert_true(oc__rng_u64(&r) == want[i]);
}

/* splitmix64 from 0, likewise published. */
static void rng_seeds_with_splitmix64(void **state) {
    (void)state;
    oc__rng r;
    oc__rng_init(&r, 0);
    assert_true(r.s[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(r.s[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(r.s[2] == UINT64_C(0x06c45d188009454f));
    assert_true(r.s[3] == UINT64_C(0xf88bb8a8724c81ec));
}

static void rng_below_is_even(void **state) {
    (void)state;
    oc__rng r;
    int seen[6] = {0};
    oc__rng_init(&r, 7);
    for (int i = 0; i < 60000; i++)
        seen[oc__rng_below(&r, 6)]++;
    /* 10000 expected, deviation 91: six of them. */
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9450, 10550);
    for (int i = 0; i < 100; i++)
        assert_true(oc__rng_below(&r, 1) == 0);
    for (int i = 0; i < 100; i++)
        assert_true(oc__rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void rng_uniform_stays_below_its_end(void **state) {
    (void)state;
    oc__rng r;
    float x[1000];
    double sum = 0;
    oc__rng_init(&r, 8);
    for (int round = 0; round < 100; round++) {
        /* A width at which lo + width * u can round up to hi. */
        oc__rng_fill(&r, x, 1000, 1.0f, 1.0000002f);
        for (int i = 0; i < 1000; i++)
            assert_true(x[i] >= 1.0f && x[i] < 1.0000002f);
    }
    for (int i = 0; i < 100000; i++) {
        double d = oc__rng_double(&r);
        float f = oc__rng_float(&r);
        assert_true(d >= 0 && d < 1 && f >= 0 && f < 1);
        sum += d + (double)f;
    }
    assert_true(fabs(sum / 200000 - 0.5) < 0.004);
}

static void rng_normal_has_mean_0_variance_1(void **state) {
    (void)state;
    oc__rng r;
    double sum = 0, squares = 0, fourth = 0;
    const int n = 200000;
    oc__rng_init(&r, 9);
    for (int i = 0; i < n; i++) {
        double v = oc__rng_normal(&r);
        sum += v;
        squares += v * v;
        fourth += v * v * v * v;
    }
    assert_true(fabs(sum / n) < 0.012);
    assert_true(fabs(squares / n - 1) < 0.02);
    assert_true(fabs(fourth / n - 3) < 0.15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng_gives_published_sequence),
        cmocka_unit_test(rng_seeds_with_splitmix64),
        cmocka_unit_test(rng_below_is_even),
        cmocka_unit_test(rng_uniform_stays_below_its_end),
        cmocka_unit_test(rng_normal_has_mean_0_variance_1),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
