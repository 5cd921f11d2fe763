/* test_quant.c - ranges from streams of values, patterns, operator sets. */
#include "quant/blocks.h"
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

/* Of each part that is added: its least and its greatest, and their means. */
static void averages_are_of_parts(void **state) {
    (void)state;
    oc__range *r = new_range();
    float lo, hi;
    oc__range_add(r, (float[]){-1, 0.5f, 2}, 3);
    oc__range_add(r, (float[]){-4, 1}, 2);
    oc__range_add(r, (float[]){NAN}, 1);
    oc__range_add(r, (float[]){-1, 9}, 2);
    oc__range_limits(r, OC_QUANT_AVERAGE, 1, &lo, &hi);
    assert_true(lo == -2 && hi == 4);
    test_free(r);
}

/* What is spread evenly keeps its range; few that are far are cut. */
static void entropy_cuts_what_is_rare(void **state) {
    (void)state;
    oc__range *r = new_range();
    oc__rng rng;
    float x[1000], lo, hi, far[2] = {-40, 40};
    oc__rng_init(&rng, 8);
    for (int k = 0; k < 100; k++) {
        oc__rng_fill(&rng, x, 1000, -2, 3);
        oc__range_add(r, x, 1000);
    }
    oc__range_limits(r, OC_QUANT_ENTROPY, 1, &lo, &hi);
    assert_true(lo < -1.9f && hi > 2.85f);
    oc__range_add(r, far, 2);
    oc__range_limits(r, OC_QUANT_ENTROPY, 1, &lo, &hi);
    assert_true(lo > -20 && hi < 20 && lo < -1.9f && hi > 2.85f);
    test_free(r);
}

/* 0 is code 128, unless nothing is negative. */
static void even_limits_have_0_in_the_middle(void **state) {
    (void)state;
    static const oc_quant_range hows[] = {OC_QUANT_MINMAX, OC_QUANT_MSE,
                                          OC_QUANT_AVERAGE};
    for (size_t k = 0; k < OC_COUNT(hows); k++) {
        oc__range *r = new_range();
        float lo, hi, scale;
        uint8_t zero;
        oc__range_add(r, (float[]){-1, 0.5f, 6, 2, 3}, 5);
        oc__range_limits_even(r, hows[k], 1, &lo, &hi);
        oc__range_code(lo, hi, &scale, &zero);
        assert_int_equal(zero, 128);
        assert_true(fabsf(scale - 6.0f / 127) < 0.1f * scale);
        test_free(r);
        r = new_range();
        oc__range_add(r, (float[]){0, 0.5f, 6, 2, 3}, 5);
        oc__range_limits_even(r, hows[k], 1, &lo, &hi);
        oc__range_code(lo, hi, &scale, &zero);
        assert_int_equal(zero, 0);
        test_free(r);
    }
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
    double sqnr = oc__quant_weight(&w, 0, 0, codes, scales);
    assert_memory_equal(codes, ((int8_t[]){127, -64, 32, 0, 0, 0}), 6);
    assert_true(scales[0] == 1.0f / 127 && scales[1] == 1);
    assert_true(sqnr > 40 && sqnr < 60);
}

/* Where sums are of integers, two products fit 16 bits. */
static void sums_of_two_fit(void **state) {
    (void)state;
    oc__rng rng;
    enum { ROWS = 5, K = 64 };
    float x[ROWS * K], scales[ROWS];
    int8_t codes[ROWS * K];
    oc_tensor w = {OC_DTYPE_F32, 2, {ROWS, K}, x};
    oc__rng_init(&rng, 11);
    for (int t = 0; t < 50; t++) {
        oc__rng_fill(&rng, x, ROWS * K, -1, 1);
        double sqnr = oc__quant_weight(&w, 0, 1, codes, scales);
        int over = 0;
        for (int r = 0; r < ROWS; r++)
            for (int i = 0; i < K; i++)
                for (int j = 0; j < i; j++)
                    over |= abs(codes[r * K + i] + codes[r * K + j]) > 128;
        assert_false(over);
        assert_true(sqnr > 38);
        /* Without that, there are some. */
        oc__quant_weight(&w, 0, 0, codes, scales);
        for (int i = 0; i < K; i++)
            for (int j = 0; j < i; j++)
                over |= abs(codes[i] + codes[j]) > 128;
        assert_true(over);
    }
}

/* ---- blocks --------------------------------------------------------------
 */

enum { BLOCK_K = 200, BLOCK_N = 9 };

static void decode(const oc__blocks *b, const uint8_t *codes,
                   const float *scales, float *out) {
    int64_t blocks = oc__blocks_count(b), bytes = b->block * b->bits / 8;
    for (int64_t c = 0; c < b->n; c++)
        for (int64_t k = 0; k < b->k; k++) {
            int64_t block = c * blocks + k / b->block, in = k % b->block;
            const uint8_t *at = codes + block * bytes;
            int code = b->bits == 8 ? at[in] : at[in / 2] >> 4 * (in % 2) & 15;
            out[k * b->n + c] =
                scales[block] * (float)(code - (1 << (b->bits - 1)));
        }
}

/* The products of `samples` with what is left of the weights. */
static double product_error(const float *a, const float *b, const float *x,
                            int samples) {
    double sum = 0;
    for (int s = 0; s < samples; s++)
        for (int c = 0; c < BLOCK_N; c++) {
            double y = 0;
            for (int k = 0; k < BLOCK_K; k++)
                y += (double)x[s * BLOCK_K + k] *
                     ((double)a[k * BLOCK_N + c] - (double)b[k * BLOCK_N + c]);
            sum += y * y;
        }
    return sum;
}

/* Inputs that go together: a few hidden ones, mixed. */
static void fill_samples(oc__rng *rng, float *x, int samples) {
    float mix[4 * BLOCK_K], hidden[4], own[BLOCK_K];
    oc__rng_fill(rng, mix, 4 * BLOCK_K, -1, 1);
    for (int s = 0; s < samples; s++) {
        oc__rng_fill(rng, hidden, 4, -1, 1);
        oc__rng_fill(rng, own, BLOCK_K, -0.1f, 0.1f);
        for (int k = 0; k < BLOCK_K; k++) {
            float v = own[k];
            for (int h = 0; h < 4; h++)
                v += hidden[h] * mix[h * BLOCK_K + k];
            x[s * BLOCK_K + k] = v;
        }
    }
}

static void blocks_round_to_the_nearest(void **state) {
    (void)state;
    static float w[BLOCK_K * BLOCK_N], back[BLOCK_K * BLOCK_N];
    oc__rng rng;
    oc__rng_init(&rng, 3);
    oc__rng_fill(&rng, w, BLOCK_K * BLOCK_N, -2, 2);
    for (int bits = 4; bits <= 8; bits += 4)
        for (int64_t block = 32; block <= 128; block *= 2) {
            oc__blocks b = {w, BLOCK_K, BLOCK_N, BLOCK_N, 1, bits, block};
            oc__blocks_noise noise, same;
            int64_t scales_n = BLOCK_N * oc__blocks_count(&b);
            uint8_t *codes = test_calloc(1, oc__blocks_bytes(&b));
            float *scales = test_calloc((size_t)scales_n, sizeof *scales);
            assert_int_equal(oc__blocks_round(&b, NULL, codes, scales, &noise,
                                              &oc__default_allocator),
                             OC_OK);
            decode(&b, codes, scales, back);
            double signal = 0, left = 0;
            for (int i = 0; i < BLOCK_K * BLOCK_N; i++) {
                double e = (double)w[i] - (double)back[i];
                signal += (double)w[i] * (double)w[i];
                left += e * e;
            }
            assert_true(fabs(noise.weight_db - 10 * log10(signal / left)) <
                        0.01);
            assert_true(noise.weight_db > (bits == 4 ? 20 : 44));
            assert_true(noise.product_db == 0);
            /* Without a place for them, the same is known. */
            oc__blocks_round(&b, NULL, NULL, NULL, &same,
                             &oc__default_allocator);
            assert_true(same.weight_db == noise.weight_db);
            test_free(codes);
            test_free(scales);
        }
}

/* Errors of products get smaller by much, on samples that were not seen, too;
 * what is said of them is true. */
static void blocks_heed_samples(void **state) {
    (void)state;
    enum { SAMPLES = 400 };
    static float w[BLOCK_K * BLOCK_N], near[BLOCK_K * BLOCK_N],
        heed[BLOCK_K * BLOCK_N], x[2 * SAMPLES * BLOCK_K];
    oc__blocks b = {w, BLOCK_K, BLOCK_N, BLOCK_N, 1, 4, 32};
    oc__blocks_noise noise;
    oc__rng rng;
    oc__rng_init(&rng, 4);
    oc__rng_fill(&rng, w, BLOCK_K * BLOCK_N, -2, 2);
    fill_samples(&rng, x, 2 * SAMPLES);
    float *gram = test_calloc(oc__blocks_gram_elems(BLOCK_K), sizeof *gram);
    uint8_t *codes = test_calloc(1, oc__blocks_bytes(&b));
    float *scales = test_calloc(BLOCK_N * 7, sizeof *scales);
    for (int s = 0; s < SAMPLES; s += 50) /* in parts */
        oc__blocks_gram_add(gram, x + s * BLOCK_K, 50, BLOCK_K);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(oc__blocks_round(&b, k ? gram : NULL, codes, scales,
                                          &noise, &oc__default_allocator),
                         OC_OK);
        decode(&b, codes, scales, k ? heed : near);
    }
    const float *unseen = x + SAMPLES * BLOCK_K;
    assert_true(product_error(w, heed, x, SAMPLES) <
                0.5 * product_error(w, near, x, SAMPLES));
    assert_true(product_error(w, heed, unseen, SAMPLES) <
                0.6 * product_error(w, near, unseen, SAMPLES));
    assert_true(noise.product_db > 10 && noise.product_db < 60);
    /* What says nothing changes nothing. */
    gram[0] = NAN;
    memset(gram + OC_BLOCKS_REACH * OC_BLOCKS_REACH, 0,
           OC_BLOCKS_REACH * OC_BLOCKS_REACH * sizeof *gram);
    oc__blocks_round(&b, gram, codes, scales, &noise, &oc__default_allocator);
    decode(&b, codes, scales, heed);
    assert_memory_equal(heed, near, sizeof heed);
    test_free(gram);
    test_free(codes);
    test_free(scales);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minmax_is_exact),
        cmocka_unit_test(zero_is_inside),
        cmocka_unit_test(outliers_are_cut),
        cmocka_unit_test(limits_heed_the_use),
        cmocka_unit_test(averages_are_of_parts),
        cmocka_unit_test(entropy_cuts_what_is_rare),
        cmocka_unit_test(even_limits_have_0_in_the_middle),
        cmocka_unit_test(shares_and_power_are_exact),
        cmocka_unit_test(patterns_match),
        cmocka_unit_test(weights_round_to_the_nearest),
        cmocka_unit_test(sums_of_two_fit),
        cmocka_unit_test(blocks_round_to_the_nearest),
        cmocka_unit_test(blocks_heed_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
