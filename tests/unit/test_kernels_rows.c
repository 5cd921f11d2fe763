/*
 * test_kernels_rows.c - reductions, softmax and normalisations against f64,
 * within bounds that follow from the sums of magnitudes.
 */
#include "checkasm.h"

#include <float.h>
#include <math.h>

#define MOST 20000

static float x[MOST], y[MOST];
static double want[MOST];
static const size_t sizes[] = {0,  1,   2,   3,   4,    7,    8,    9,    15,
                               16, 17,  31,  32,  33,   49,   63,   64,   65,
                               97, 127, 256, 509, 1000, 1024, 1025, 4099, MOST};

/* Puts n numbers at the end of guarded memory. */
static float *guarded(const float *from, size_t n) {
    float *p = check_alloc(n * sizeof *p);
    memcpy(p, from, n * sizeof *p);
    return p;
}

/* ---- reductions ---------------------------------------------------------- */

static double term64(oc__reduce op, double v) {
    return op == OC_REDUCE_SUM ? v : op == OC_REDUCE_SUMSQ ? v * v : fabs(v);
}

static void reduce_sums_on(const oc__kernels *k) {
    for (size_t s = 0; s < OC_COUNT(sizes); s++)
        for (int op = OC_REDUCE_SUM; op <= OC_REDUCE_SUMABS; op++) {
            size_t n = sizes[s];
            double sum = 0, magnitude = 0;
            check_fill(x, n, -1, 3);
            for (size_t i = 0; i < n; i++) {
                sum += term64((oc__reduce)op, (double)x[i]);
                magnitude += fabs(term64((oc__reduce)op, (double)x[i]));
            }
            check_kernel(k, "reduce_f32 %d n=%zu", op, n);
            float got = k->reduce_f32((oc__reduce)op, guarded(x, n), n);
            check_close(&got, &sum, 1, 1, 0x1p-18 * magnitude);
            assert_true(got == k->reduce_f32((oc__reduce)op, x, n));
            check_free_all();
        }
}

static void reduce_sums_keep_bound(void **state) {
    (void)state;
    check_each_mask(reduce_sums_on);
}

static void reduce_extremes_on(const oc__kernels *k) {
    for (size_t s = 0; s < OC_COUNT(sizes); s++)
        for (int round = 0; round < 3; round++) {
            size_t n = sizes[s];
            float least = HUGE_VALF, most = -HUGE_VALF;
            check_fill(x, n, -100, 100);
            if (round == 1) check_fill(x, n, -9, -3); /* 0 is no member */
            if (round == 2 && n) x[oc__rng_below(check_rng(), n)] = NAN;
            for (size_t i = 0; i < n; i++) {
                least = x[i] < least ? x[i] : least;
                most = x[i] > most ? x[i] : most;
            }
            if (round == 2 && n) least = most = NAN;
            const float *p = guarded(x, n);
            check_kernel(k, "reduce_f32 min n=%zu", n);
            float got = k->reduce_f32(OC_REDUCE_MIN, p, n);
            check_same(&got, &least, 1);
            check_kernel(k, "reduce_f32 max n=%zu", n);
            got = k->reduce_f32(OC_REDUCE_MAX, p, n);
            check_same(&got, &most, 1);
            check_free_all();
        }
}

static void reduce_extremes_match(void **state) {
    (void)state;
    check_each_mask(reduce_extremes_on);
}

static void reduce_odd_values_on(const oc__kernels *k) {
    for (size_t at = 0; at < 70; at += 3) {
        for (size_t i = 0; i < 70; i++)
            x[i] = 1;
        x[at] = NAN;
        assert_true(isnan(k->reduce_f32(OC_REDUCE_SUM, x, 70)));
        assert_true(isnan(k->dot_f32(x, x, 70)));
        x[at] = -HUGE_VALF;
        assert_true(k->reduce_f32(OC_REDUCE_SUM, x, 70) == -HUGE_VALF);
        assert_true(k->reduce_f32(OC_REDUCE_SUMSQ, x, 70) == HUGE_VALF);
        assert_true(k->reduce_f32(OC_REDUCE_SUMABS, x, 70) == HUGE_VALF);
        assert_true(k->reduce_f32(OC_REDUCE_MIN, x, 70) == -HUGE_VALF);
        x[(at + 1) % 70] = HUGE_VALF;
        assert_true(isnan(k->reduce_f32(OC_REDUCE_SUM, x, 70)));
    }
}

static void reduce_passes_nan_and_inf(void **state) {
    (void)state;
    check_each_mask(reduce_odd_values_on);
}

static void dot_on(const oc__kernels *k) {
    for (size_t s = 0; s < OC_COUNT(sizes); s++) {
        size_t n = sizes[s];
        double sum = 0, magnitude = 0;
        check_fill(x, n, -1, 1);
        check_fill(y, n, -1, 1);
        for (size_t i = 0; i < n; i++) {
            sum += (double)x[i] * (double)y[i];
            magnitude += fabs((double)x[i] * (double)y[i]);
        }
        check_kernel(k, "dot_f32 n=%zu", n);
        float got = k->dot_f32(guarded(x, n), guarded(y, n), n);
        check_close(&got, &sum, 1, 1, 0x1p-18 * magnitude);
        check_free_all();
    }
}

static void dot_kernels_keep_bound(void **state) {
    (void)state;
    check_each_mask(dot_on);
}

/* ---- softmax ------------------------------------------------------------- */

static double log_sum_exp64(const float *p, size_t n, double *max) {
    double sum = 0;
    *max = -HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        *max = fmax(*max, (double)p[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)p[i] - *max);
    return log(sum);
}

static void softmax_on(const oc__kernels *k) {
    for (size_t s = 1; s < OC_COUNT(sizes); s++) {
        size_t n = sizes[s];
        double max, lse;
        check_fill(x, n, -20, 20);
        if (s % 3 == 1) x[0] = -HUGE_VALF;
        if (n > 1) x[n - 1] = 15;
        lse = log_sum_exp64(x, n, &max);
        for (size_t i = 0; i < n; i++)
            want[i] = exp((double)x[i] - max - lse);
        float *p = guarded(x, n), *q = s % 2 ? p : check_alloc(n * sizeof *q);
        check_kernel(k, "softmax_f32 n=%zu", n);
        k->softmax_f32(p, q, n);
        for (size_t i = 0; i < n; i++) {
            /* x - max is rounded before exp, which multiplies the error. */
            double slack = 0x1p-24 * fabs((double)x[i] - max) + 0x1p-20;
            if (isinf(x[i])) slack = 0;
            check_close(&q[i], &want[i], 1, 0, slack * want[i] + 1e-45);
        }
        check_free_all();

        for (size_t i = 0; i < n; i++)
            want[i] = (double)x[i] - max - lse;
        p = guarded(x, n);
        check_kernel(k, "log_softmax_f32 n=%zu", n);
        k->log_softmax_f32(p, p, n);
        check_close(p, want, n, 2, 0x1p-22 * (1 + lse));
        check_free_all();
    }
    k->softmax_f32(NULL, NULL, 0);
    k->log_softmax_f32(NULL, NULL, 0);
}

static void softmax_kernels_keep_bound(void **state) {
    (void)state;
    check_each_mask(softmax_on);
}

/* Against exp() in f64: the argument is rounded once or twice, which exp
 * multiplies; what is below the least normal number may be gone. */
static void exp_shift_on(const oc__kernels *k) {
    static const float scales[] = {1, 0.125f, -0.3f, 0};
    for (size_t s = 0; s < OC_COUNT(sizes); s++) {
        size_t n = sizes[s];
        float scale = scales[s % OC_COUNT(scales)], shift = -HUGE_VALF;
        double sum = 0, slack = 0;
        check_fill(x, n, -120, 100);
        for (size_t i = 0; i < n; i++)
            shift = fmaxf(shift, scale * x[i]);
        if (n == 0) shift = 0;
        if (n > 2 && scale == 1) x[1] = -HUGE_VALF;
        float *p = guarded(x, n), *q = s % 2 ? p : check_alloc(n * sizeof *q);
        check_kernel(k, "exp_shift_f32 n=%zu", n);
        float got = k->exp_shift_f32(p, scale, shift, q, n);
        for (size_t i = 0; i < n; i++) {
            double a = (double)scale * (double)x[i];
            double e = exp(a - (double)shift);
            double rel = 0x1p-23 * (fabs(a) + fabs((double)shift)) + 0x1p-22;
            if (isinf(x[i])) rel = 0;
            check_close(&q[i], &e, 1, 0, rel * e + 0x1p-126);
            assert_true(!isinf(x[i]) || q[i] == 0);
            sum += e;
            slack += rel * e + 0x1p-126;
        }
        check_close(&got, &sum, 1, 2, slack + 0x1p-18 * sum);
        check_free_all();
    }
    float nan_in[3] = {0, NAN, -1};
    assert_true(isnan(k->exp_shift_f32(nan_in, 1, 0, nan_in, 3)));
    assert_true(isnan(nan_in[1]) && nan_in[0] == 1);
}

static void exp_shift_kernels_keep_bound(void **state) {
    (void)state;
    check_each_mask(exp_shift_on);
}

static void softmax_odd_values_on(const oc__kernels *k) {
    for (size_t n = 1; n < 40; n += 6) {
        for (size_t i = 0; i < n; i++)
            x[i] = -HUGE_VALF;
        k->softmax_f32(x, y, n);
        for (size_t i = 0; i < n; i++)
            assert_true(isnan(y[i]));
        for (size_t i = 0; i < n; i++)
            x[i] = 1;
        x[n / 2] = NAN;
        k->softmax_f32(x, y, n);
        for (size_t i = 0; i < n; i++)
            assert_true(isnan(y[i]));
        x[n / 2] = FLT_MAX; /* the others vanish without overflow */
        k->softmax_f32(x, y, n);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == (i == n / 2));
    }
}

static void softmax_handles_nan_inf_and_huge(void **state) {
    (void)state;
    check_each_mask(softmax_odd_values_on);
}

/* ---- normalisations ------------------------------------------------------ */

static void norm_on(const oc__kernels *k, size_t n, int with_gamma,
                    int with_beta, int in_place) {
    static float gamma_values[MOST], beta_values[MOST];
    const double epsilon = (double)1e-5f;
    double mean = 0, var = 0, squares = 0, most = 0;
    check_fill(x, n, 2, 5);
    check_fill(gamma_values, n, -2, 2);
    check_fill(beta_values, n, -2, 2);
    for (size_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        squares += (double)x[i] * (double)x[i] / (double)n;
    }
    double inv = 1 / sqrt(var + epsilon), rms = 1 / sqrt(squares + epsilon);
    for (size_t i = 0; i < n; i++) {
        want[i] = ((double)x[i] - mean) * inv;
        if (with_gamma) want[i] *= (double)gamma_values[i];
        if (with_beta) want[i] += (double)beta_values[i];
        most = fmax(most, fabs(((double)x[i] - mean) * inv));
    }
    const float *gamma = with_gamma ? guarded(gamma_values, n) : NULL;
    const float *beta = with_beta ? guarded(beta_values, n) : NULL;
    float *p = guarded(x, n), *q = in_place ? p : check_alloc(n * sizeof *q);
    float stats[2];
    check_kernel(k, "layernorm_f32 n=%zu", n);
    k->layernorm_f32(p, gamma, beta, 1e-5f, q, stats, n);
    /* The mean is good to 2^-23 of itself; dividing by the deviation
     * enlarges that, and tiny variances (n = 1) enlarge it most. */
    double slack = 0x1p-20 * (1 + most) + 0x1p-20 * fabs(mean) * inv;
    check_close(q, want, n, 4, n > 1 ? slack : slack * 2);
    double stats64[2] = {mean, inv};
    check_close(stats, stats64, 1, 4, 0);
    if (n > 1) check_close(stats + 1, stats64 + 1, 1, 0, 1e-5 * inv);

    p = guarded(x, n);
    for (size_t i = 0; i < n; i++)
        want[i] = (double)x[i] * rms * (gamma ? (double)gamma[i] : 1);
    check_kernel(k, "rmsnorm_f32 n=%zu", n);
    k->rmsnorm_f32(p, gamma, 1e-5f, p, stats, n);
    check_close(p, want, n, 8, 0);
    check_close(stats, &rms, 1, 4, 0);
    check_free_all();
}

static void each_norm(const oc__kernels *k) {
    for (size_t s = 1; s < OC_COUNT(sizes); s++)
        norm_on(k, sizes[s], s & 1, s & 2, s & 4);
    norm_on(k, 33, 0, 0, 0);
    norm_on(k, 33, 1, 1, 1);
    x[0] = y[0] = 7;
    k->layernorm_f32(x, NULL, NULL, 1e-5f, y, NULL, 0);
    k->rmsnorm_f32(x, NULL, 1e-5f, y, NULL, 0);
    assert_true(y[0] == 7);
}

static void normalisations_keep_bound(void **state) {
    (void)state;
    check_each_mask(each_norm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reduce_sums_keep_bound),
        cmocka_unit_test(reduce_extremes_match),
        cmocka_unit_test(reduce_passes_nan_and_inf),
        cmocka_unit_test(dot_kernels_keep_bound),
        cmocka_unit_test(softmax_kernels_keep_bound),
        cmocka_unit_test(exp_shift_kernels_keep_bound),
        cmocka_unit_test(softmax_handles_nan_inf_and_huge),
        cmocka_unit_test(normalisations_keep_bound),
    };
    return cmocka_run_group_tests_name("kernels_rows", tests, NULL, NULL);
}
