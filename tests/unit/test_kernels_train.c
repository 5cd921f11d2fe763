/* test_kernels_train.c - kernels/train.h of every instruction set against
 * what the header says, in f64. */
#include "testing.h"

#include "cpu/features.h"
#include "kernels/kernels.h"

#include <math.h>

enum { MOST = 16 * 400 };

typedef struct rig {
    oc__kernels k;
    size_t c;
    float x[MOST], g[MOST], y[MOST], out[MOST], want[MOST];
    float acc[16 * 16], vec[4][16], sums[2][16];
} rig;

static unsigned seed;

static float number(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (float)(1 << 23) - 1;
}

static void fill(float *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = number();
}

static void near(double got, double want, double size) {
    if (!(fabs(got - want) <= 1e-5 * (1 + size)))
        fail_msg("%.9g, should be %.9g", got, want);
}

/* Calls test for every table there is on this machine. */
static void each(void (*test)(rig *r)) {
    static const uint32_t masks[] = {OC_CPU_SCALAR, OC_CPU_SSE41 | OC_CPU_AVX2,
                                     0};
    rig *r = malloc(sizeof(*r));
    for (int i = 0; i < 3; i++) {
        oc__kernels_init(&r->k, oc__cpu_resolve(masks[i]));
        r->c = (size_t)r->k.block;
        seed = 11;
        test(r);
    }
    free(r);
}

static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 13};

static void weights_of(rig *r, size_t ics, size_t pics, size_t rows, size_t px,
                       size_t step, int depth) {
    size_t c = r->c, row = (px * step + 1) * c;
    oc__weight_run run = {.c = c,
                          .ics = ics,
                          .pics = pics,
                          .x_pic = rows * row + 3 * c,
                          .rows = rows,
                          .px = px,
                          .x = r->x,
                          .g = r->g,
                          .x_row = row,
                          .x_px = step * c,
                          .g_row = px * c + c,
                          .g_pic = rows * (px * c + c) + c,
                          .acc = r->acc};
    fill(r->x, MOST);
    fill(r->g, MOST);
    fill(r->acc, 256);
    float before[256];
    memcpy(before, r->acc, sizeof(before));
    (depth ? r->k.train_f32->depth_weights : r->k.train_f32->weights)(&run);
    for (size_t i = 0; i < (depth ? 1 : c); i++)
        for (size_t o = 0; o < c; o++) {
            double sum = (double)before[i * c + o];
            for (size_t y = 0; y < pics * rows && (depth || i < ics); y++)
                for (size_t p = 0; p < px; p++) {
                    size_t n = y / rows, k = y % rows;
                    size_t x = n * run.x_pic + k * row + p * step * c;
                    size_t g = n * run.g_pic + k * run.g_row + p * c;
                    sum +=
                        (double)r->x[x + (depth ? o : i)] * (double)r->g[g + o];
                }
            near((double)r->acc[i * c + o], sum, (double)(pics * rows * px));
        }
    /* What lies behind stays. */
    size_t used = depth ? c : c * c;
    assert_memory_equal(r->acc + used, before + used,
                        (256 - used) * sizeof(float));
}

static void test_weights(rig *r) {
    for (size_t ics = 1; ics <= r->c; ics++)
        weights_of(r, ics, 2, 3, 5, 1, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        weights_of(r, r->c, 1, 2, sizes[i], 1, 0);
        weights_of(r, r->c, 3, 3, sizes[i], 2, 0);
        weights_of(r, r->c, 3, 2, sizes[i], 1, 1);
        weights_of(r, r->c, 2, 3, sizes[i], 2, 1);
    }
}

static oc__norm_run norm_run(rig *r, size_t px) {
    fill(r->x, MOST);
    fill(r->g, MOST);
    fill(r->y, MOST);
    fill(r->vec[0], 64);
    fill(r->sums[0], 32);
    for (size_t i = 0; i < MOST; i += 7)
        r->y[i] = i % 2 ? -0.25f : 0.5f; /* exactly at the limits */
    return (oc__norm_run){.c = r->c,
                          .px = px,
                          .x = r->x,
                          .g = r->g,
                          .lo = -0.25f,
                          .hi = 0.5f,
                          .shift = r->vec[0],
                          .a = r->vec[1],
                          .b = r->vec[2],
                          .d = r->vec[3],
                          .out = r->out};
}

static void test_norms(rig *r) {
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes) * 2; s++) {
        size_t px = sizes[s / 2], c = r->c, n = px * c;
        oc__norm_run run = norm_run(r, px);
        run.y = s % 2 ? r->y : NULL;
        float before[2][16], sums[2 * 16];
        memcpy(before, r->sums, sizeof(before));
        for (int way = 0; way < 3; way++) {
            for (size_t o = 0; o < c; o++) {
                sums[o] = before[0][o];
                sums[c + o] = before[1][o];
            }
            if (way == 0) r->k.train_f32->stats(&run, sums);
            if (way == 1) r->k.train_f32->grad_stats(&run, sums);
            if (way == 2) r->k.train_f32->sum(&run, sums);
            for (size_t o = 0; o < c; o++) {
                double a = (double)before[0][o], b = (double)before[1][o];
                for (size_t at = o; at < n; at += c) {
                    double u = (double)r->x[at] - (double)r->vec[0][o];
                    double v = (double)r->g[at];
                    if (run.y && !(r->y[at] > run.lo && r->y[at] < run.hi))
                        v = 0;
                    a += way == 0 ? u : way == 1 ? v : (double)r->x[at];
                    b += way == 0 ? u * u : way == 1 ? u * v : 0;
                }
                near((double)sums[o], a, (double)px);
                near((double)sums[c + o], b, (double)px);
            }
        }
        for (int way = 0; way < 2; way++) {
            fill(r->out, MOST);
            float edge = r->out[n];
            if (way)
                r->k.train_f32->grad(&run);
            else
                r->k.train_f32->apply(&run);
            assert_true(r->out[n] == edge);
            for (size_t i = 0; i < n; i++) {
                double a = (double)r->vec[1][i % c], x = (double)r->x[i];
                double d = (double)r->vec[3][i % c], v = a * x + d;
                double g = (double)r->g[i];
                if (run.y && !(r->y[i] > run.lo && r->y[i] < run.hi)) g = 0;
                v = v < -0.25 ? -0.25 : v > 0.5 ? 0.5 : v;
                if (way)
                    v = a * g +
                        (double)r->vec[2][i % c] *
                            (x - (double)r->vec[0][i % c]) +
                        d;
                near((double)r->out[i], v, 1);
            }
        }
    }
}

/* Of equal ones the first; a NaN above all. */
static void test_max(rig *r) {
    size_t c = r->c, taps[9];
    for (size_t n = 1; n <= 9; n++) {
        for (size_t t = 0; t < n; t++)
            taps[t] = (t * 2 + t % 2) * c;
        fill(r->x, MOST);
        fill(r->g, MOST);
        fill(r->out, MOST);
        for (size_t i = 0; i < 20 * c; i++)
            r->x[i] = floorf(r->x[i] * 3);
        r->x[taps[n / 2]] = NAN;
        memcpy(r->want, r->out, sizeof(r->want));
        for (size_t o = 0; o < c; o++) {
            size_t best = 0;
            for (size_t t = 1; t < n; t++) {
                float v = r->x[taps[t] + o], b = r->x[taps[best] + o];
                if (v > b || (isnan(v) && !isnan(b))) best = t;
            }
            r->want[taps[best] + o] += r->g[o];
        }
        r->k.train_f32->give_max(c, r->x, taps, n, r->g, r->out);
        assert_memory_equal(r->out, r->want, sizeof(r->want));
    }
}

/* At the ends and for what is no number the gradient passes. */
static void test_clamp(rig *r) {
    for (size_t n = 0; n < 40; n++) {
        norm_run(r, 1);
        r->y[n / 3] = NAN;
        memcpy(r->want, r->out, sizeof(r->want));
        for (size_t i = 0; i < n; i++)
            r->want[i] = r->y[i] < -0.25f || r->y[i] > 0.5f ? 0 : r->g[i];
        r->k.train_f32->clamp_grad(n, r->g, r->y, -0.25f, 0.5f, r->out);
        assert_memory_equal(r->out, r->want, sizeof(r->want));
    }
}

static void weights_are_sums_of_products(void **state) {
    (void)state;
    each(test_weights);
}

static void norms_are_what_the_header_says(void **state) {
    (void)state;
    each(test_norms);
}

static void gradients_pass_between_the_ends(void **state) {
    (void)state;
    each(test_clamp);
}

static void the_first_greatest_gets_the_gradient(void **state) {
    (void)state;
    each(test_max);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_sums_of_products),
        cmocka_unit_test(norms_are_what_the_header_says),
        cmocka_unit_test(gradients_pass_between_the_ends),
        cmocka_unit_test(the_first_greatest_gets_the_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
