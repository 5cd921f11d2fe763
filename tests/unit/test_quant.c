/* test_quant.c - ranges from streams of values, patterns, operator sets. */
#include "quant/decide.h"

#include "testing.h"

#include <math.h>
#include <string.h>

static oc__range *new_range(void) {
    oc__range *r = test_calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

/* Whatever order values come in, however far they reach, all are counted and
 * the limits are the least and the greatest. */
static void minmax_is_exact(void **state) {
    (void)state;
    static const float values[] = {0.5f,  -1e-3f, 1e-20f, 300.0f, -7.25f,
                                   1e10f, -4e9f,  0.0f,   42.0f};
    oc__range *r = new_range();
    float lo, hi;
    uint64_t counted = 0;
    for (size_t i = 0; i < OC_COUNT(values); i++)
        oc__range_add(r, &values[i], 1);
    oc__range_add(r, (float[]){NAN, INFINITY, -INFINITY}, 3);
    oc__range_limits(r, OC_QUANT_MINMAX, 1, &lo, &hi);
    for (int i = 0; i < OC_RANGE_BINS; i++)
        counted += r->bins[i];
    assert_int_equal(r->count, OC_COUNT(values));
    assert_int_equal(counted, OC_COUNT(values));
    assert_true(lo == -4e9f && hi == 1e10f);
    test_free(r);
}

/* 0 is always inside, so that padding and ReLU have a code of their own. */
static void zero_is_inside(void **state) {
    (void)state;
    oc__range *r = new_range();
    float lo, hi, scale;
    uint8_t zero;
    oc__range_add(r, (float[]){2, 3, 4}, 3);
    oc__range_limits(r, OC_QUANT_MINMAX, 1, &lo, &hi);
    assert_true(lo == 0 && hi == 4);
    oc__range_code(lo, hi, &scale, &zero);
    assert_int_equal(zero, 0);
    assert_true(fabsf(scale * 255 - 4) < 1e-6f);
    oc__range_code(-1, 1, &scale, &zero);
    assert_true(zero == 127 || zero == 128);
    oc__range_code(0, 0, &scale, &zero);
    assert_true(scale == 1 && zero == 0);
    test_free(r);
}

static void outliers_are_cut(void **state) {
    (void)state;
    oc__range *r = new_range();
    oc__rng rng;
    float x[1000], lo, hi, far[2] = {-400, 400};
    oc__rng_init(&rng, 5);
    for (int k = 0; k < 100; k++) {
        oc__rng_fill(&rng, x, 1000, -1, 1);
        oc__range_add(r, x, 1000);
    }
    oc__range_add(r, far, 2);
    oc__range_limits(r, OC_QUANT_PERCENTILE, 0.999, &lo, &hi);
    assert_true(lo >= -1.5f && lo <= -0.9f && hi >= 0.9f && hi <= 1.5f);
    /* Two of 100,000 are worth less than the precision of all others. */
    float full = (float)oc__range_error(r, -400, 400);
    oc__range_limits(r, OC_QUANT_MSE, 1, &lo, &hi);
    assert_true(oc__range_error(r, lo, hi) <= (double)full);
    assert_true(hi < 400 && lo > -400);
    test_free(r);
}

/* Far below 0 nothing is left of a value behind a SiLU, so no code is spent on
 * it; the same values for another use keep their range. */
static void limits_heed_the_use(void **state) {
    (void)state;
    oc__range *r = new_range();
    oc__rng rng;
    float x[1000], lo, hi;
    oc__rng_init(&rng, 7);
    for (int k = 0; k < 50; k++) {
        oc__rng_fill(&rng, x, 1000, -100, 12);
        oc__range_add(r, x, 1000);
    }
    oc__range_limits(r, OC_QUANT_MSE, 1, &lo, &hi);
    assert_true(lo < -90 && hi > 11);
    r->use = OC_RANGE_SILU;
    oc__range_limits(r, OC_QUANT_MSE, 1, &lo, &hi);
    assert_true(lo > -15 && lo < -3 && hi > 11);
    r->use = OC_RANGE_HARD_SWISH;
    oc__range_limits(r, OC_QUANT_MSE, 1, &lo, &hi);
    assert_true(lo > -6 && lo < -2 && hi > 11);
    test_free(r);
}

static void shares_and_power_are_exact(void **state) {
    (void)state;
    oc__range *r = new_range();
    double shares[4], sum = 0;
    oc__range_shares(r, 4, shares);
    assert_true(shares[0] == 0 && shares[3] == 0 && oc__range_power(r) == 0);
    for (int i = 0; i < 400; i++) {
        float x = (float)(i % 4);
        oc__range_add(r, &x, 1);
    }
    oc__range_shares(r, 4, shares);
    for (int k = 0; k < 4; k++) {
        assert_true(fabs(shares[k] - 0.25) < 1e-9);
        sum += k * k / 4.0;
    }
    assert_true(fabs(oc__range_power(r) - sum) < 0.02 * sum);
    test_free(r);
}

static void patterns_match(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        int match;
    } cases[] = {
        {"Conv", "Conv", 1},
        {"Conv", "Conv2", 0},
        {"/head/*", "/head/a/b", 1},
        {"/head/*", "/neck/a", 0},
        {"*conv?", "my_conv1", 1},
        {"*conv?", "my_conv", 0},
        {"*", "", 1},
        {"", "a", 0},
        {"a*b*c", "axxbyyc", 1},
        {"a*b*c", "axxbyy", 0},
    };
    for (size_t i = 0; i < OC_COUNT(cases); i++)
        assert_int_equal(oc__quant_matches(cases[i].pattern, cases[i].text),
                         cases[i].match);
}

static void weights_round_to_the_nearest(void **state) {
    (void)state;
    float x[6] = {1, -0.5f, 0.25f, 0, 0, 0}, scales[2];
    int8_t codes[6];
    oc_tensor w = {OC_DTYPE_F32, 2, {2, 3}, x};
    double sqnr = oc__quant_weight(&w, 0, codes, scales);
    assert_memory_equal(codes, ((int8_t[]){127, -64, 32, 0, 0, 0}), 6);
    assert_true(scales[0] == 1.0f / 127 && scales[1] == 1);
    assert_true(sqnr > 40 && sqnr < 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minmax_is_exact),
        cmocka_unit_test(zero_is_inside),
        cmocka_unit_test(outliers_are_cut),
        cmocka_unit_test(limits_heed_the_use),
        cmocka_unit_test(shares_and_power_are_exact),
        cmocka_unit_test(patterns_match),
        cmocka_unit_test(weights_round_to_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
