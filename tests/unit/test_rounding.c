/*
 * test_rounding.c - what inputs have in common, against sums over windows, and
 * weights that are rounded by it, against all ways there are.
 */
#include "testing.h"

#include "base/rng.h"
#include "quant/decide.h"
#include "quant/round_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 17 };

/* ---- a layer -------------------------------------------------------------
 */

typedef struct layer {
    oc__arena arena;
    oc__graph *g;
    oc__node *n;
    oc__rng rng;
    oc_tensor w;
    int axis;
    oc__moments *m;
    oc__pool *pool;
} layer;

static oc_tensor tensor(layer *t, int rank, const int64_t *dims) {
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_F32, rank, dims);
    float *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&x));
    oc__rng_fill(&t->rng, data, (size_t)oc_tensor_elems(&x), -1, 1);
    x.data = data;
    return x;
}

static void begin(layer *t, const char *op, int axis, int attrs, int rank,
                  const int64_t *dims) {
    memset(t, 0, sizeof *t);
    oc__arena_init(&t->arena, &oc__default_allocator);
    oc__rng_init(&t->rng, 11);
    t->g = oc__graph_create(&t->arena);
    t->n =
        oc__graph_add_node(t->g, oc__op_find("", op), op, VERSION, 2, 1, attrs);
    t->axis = axis;
    t->w = tensor(t, rank, dims);
}

static void make_moments(layer *t) {
    assert_int_equal(
        oc__moments_create(&t->m, t->n, &t->w, t->axis, &oc__default_allocator),
        OC_OK);
    assert_non_null(t->m);
}

static void add(layer *t, const oc_tensor *x) {
    assert_int_equal(oc__moments_add(t->m, t->n, &t->w, x, oc__kernels_native(),
                                     t->pool, &oc__default_allocator),
                     OC_OK);
}

static void end(layer *t) {
    oc__moments_destroy(t->m, &oc__default_allocator);
    oc__pool_destroy(t->pool);
    oc__graph_release(t->g);
    oc__arena_deinit(&t->arena);
}

/* Codes to the nearest, and then those that are chosen. */
static oc__rounding round_layer(layer *t, float *scales, int8_t *nearest,
                                int8_t *codes, int spared) {
    size_t elems = (size_t)oc_tensor_elems(&t->w);
    int64_t outputs = t->w.dims[t->axis], rows = (int64_t)elems / outputs;
    oc__quant_weight(&t->w, t->axis, spared, nearest, scales);
    memcpy(codes, nearest, elems);
    oc__rounding r = {.moments = t->m,
                      .w = t->w.data,
                      .outputs = outputs,
                      .out_stride = t->axis ? 1 : rows,
                      .row_stride = t->axis ? outputs : 1,
                      .scales = scales,
                      .codes = codes};
    return r;
}

static void choose(oc__rounding *r, oc__pool *pool) {
    assert_int_equal(oc__round_weights(r, pool, &oc__default_allocator), OC_OK);
}

/* ---- what lies under windows ---------------------------------------------
 */

/* x at (c, y + dy, x + dx) of one picture, 0 outside. */
static double pixel(const oc_tensor *x, int64_t c, int64_t i, int64_t k) {
    int64_t h = x->dims[2], w = x->dims[3];
    if (i < 0 || k < 0 || i >= h || k >= w) return 0;
    return (double)((const float *)x->data)[(c * h + i) * w + k];
}

/* Strides, pads and dilations of both directions, in two groups. */
static void moments_are_those_of_windows(void **state) {
    (void)state;
    enum { IN = 3, KH = 3, KW = 2, ROWS = IN * KH * KW, SAMPLES = 2 };
    static const int64_t stride[] = {2, 1}, dilation[] = {1, 2};
    static const int64_t pads[] = {1, 0, 2, 1};
    static double want[2][ROWS][ROWS], sums[2][ROWS];
    layer t;
    memset(want, 0, sizeof want);
    memset(sums, 0, sizeof sums);
    begin(&t, "Conv", 0, 4, 4, (const int64_t[]){4, IN, KH, KW});
    oc__attr_set_int(t.n, 0, "group", 2);
    oc__attr_set_ints(t.n, 1, "strides", stride, 2);
    oc__attr_set_ints(t.n, 2, "dilations", dilation, 2);
    oc__attr_set_ints(t.n, 3, "pads", pads, 4);
    make_moments(&t);
    for (int s = 0; s < SAMPLES; s++) {
        oc_tensor x = tensor(&t, 4, (const int64_t[]){1, 2 * IN, 9, 8});
        int64_t out_h = (9 + 1 + 2 - KH) / 2 + 1, out_w = 8 + 1 - 3 + 1;
        double part = 1 / (double)(out_h * out_w);
        add(&t, &x);
        for (int64_t at = 0; at < 2 * out_h * out_w; at++) {
            double v[ROWS];
            int64_t g = at % 2, i = at / 2 / out_w, k = at / 2 % out_w;
            for (int64_t r = 0; r < ROWS; r++)
                v[r] = pixel(&x, g * IN + r / (KH * KW),
                             i * 2 - 1 + r / KW % KH, k + r % KW * 2);
            for (int a = 0; a < ROWS; a++) {
                sums[g][a] += v[a] * part;
                for (int b = 0; b < ROWS; b++)
                    want[g][a][b] += v[a] * v[b] * part;
            }
        }
    }
    assert_int_equal(t.m->samples, SAMPLES);
    assert_int_equal(oc__moments_pieces(t.m), 1);
    for (int g = 0; g < 2; g++)
        for (int a = 0; a < ROWS; a++) {
            const float *got = oc__moments_of(t.m, g, 0) + a * t.m->reach;
            assert_true(fabs(t.m->sums[g * ROWS + a] - sums[g][a]) < 1e-5);
            for (int b = 0; b < ROWS; b++)
                assert_true(fabs((double)got[b] - want[g][a][b]) < 1e-5);
        }
    end(&t);
}

/* What is no input of the layer is left out; too large a window has none. */
static void others_are_left_out(void **state) {
    (void)state;
    layer t;
    begin(&t, "MatMul", 1, 0, 2, (const int64_t[]){40, 7});
    make_moments(&t);
    oc_tensor x = tensor(&t, 2, (const int64_t[]){5, 41});
    add(&t, &x);
    assert_int_equal(t.m->samples, 0);
    end(&t);
    begin(&t, "Conv", 0, 0, 4, (const int64_t[]){2, 1, 12, 12});
    assert_int_equal(
        oc__moments_create(&t.m, t.n, &t.w, 0, &oc__default_allocator), OC_OK);
    assert_null(t.m);
    end(&t);
}

/* ---- few weights ----------------------------------------------------------
 */

enum { TAPS = 9, CHANNELS = 3, SIDE = 12, PLACES = SIDE * SIDE };

/* Mean of what errors do to an output but for its mean, and what counts as if
 * all varied a little; straight from windows. */
static double error_of(const double (*v)[TAPS], const double *e) {
    double mean[TAPS] = {0}, all = 0, sum = 0, square = 0;
    for (int p = 0; p < PLACES; p++)
        for (int k = 0; k < TAPS; k++)
            mean[k] += v[p][k] / PLACES;
    for (int p = 0; p < PLACES; p++) {
        double y = 0;
        for (int k = 0; k < TAPS; k++) {
            double x = v[p][k] - mean[k];
            y += x * e[k];
            all += x * x / PLACES / TAPS;
        }
        sum += y * y / PLACES;
    }
    for (int k = 0; k < TAPS; k++)
        square += e[k] * e[k];
    return sum + 0.01 * all * square;
}

static void few_weights_are_the_best_of_all_ways(void **state) {
    (void)state;
    static const int64_t pads[] = {1, 1, 1, 1};
    static double v[PLACES][TAPS];
    int8_t nearest[CHANNELS * TAPS], codes[CHANNELS * TAPS];
    float scales[CHANNELS];
    double sum = 0, gain = 0;
    layer t;
    begin(&t, "Conv", 0, 2, 4, (const int64_t[]){CHANNELS, 1, 3, 3});
    oc__attr_set_int(t.n, 0, "group", CHANNELS);
    oc__attr_set_ints(t.n, 1, "pads", pads, 4);
    make_moments(&t);
    oc_tensor x = tensor(&t, 4, (const int64_t[]){1, CHANNELS, SIDE, SIDE});
    float *data = x.data; /* neighbours are alike */
    for (int i = 1; i < CHANNELS * PLACES; i++)
        data[i] = 2 + 0.8f * (data[i - 1] - 2) + 0.3f * data[i];
    add(&t, &x);
    oc__rounding r = round_layer(&t, scales, nearest, codes, 1);
    r.keeps_mean = 1;
    choose(&r, NULL);
    for (int c = 0; c < CHANNELS; c++) {
        const float *w = (const float *)t.w.data + c * TAPS;
        double e[TAPS], least = INFINITY, s = (double)scales[c];
        for (int p = 0; p < PLACES; p++)
            for (int k = 0; k < TAPS; k++)
                v[p][k] =
                    pixel(&x, c, p / SIDE - 1 + k / 3, p % SIDE - 1 + k % 3);
        for (int way = 0; way < 1 << TAPS; way++) {
            for (int k = 0; k < TAPS; k++)
                e[k] =
                    floor((double)w[k] / s) + (way >> k & 1) - (double)w[k] / s;
            least = fmin(least, error_of(v, e));
        }
        for (int k = 0; k < TAPS; k++)
            e[k] = codes[c * TAPS + k] - (double)w[k] / s;
        double got = error_of(v, e);
        assert_true(fabs(got - least) < 1e-4 * least);
        sum += got * s * s;
        for (int k = 0; k < TAPS; k++)
            e[k] = nearest[c * TAPS + k] - (double)w[k] / s;
        gain += error_of(v, e) * s * s;
    }
    assert_true(fabs(r.chosen - sum) < 1e-4 * sum);
    assert_true(fabs(r.nearest - gain) < 1e-4 * gain);
    assert_true(sum < 0.5 * gain);
    end(&t);
}

/* ---- many ---------------------------------------------------------------- */

enum { ROWS = 200, OUTPUTS = 9, PARTS = 12, EACH = 60 };

/* Inputs that go together: a few hidden ones, mixed. */
static void fill(layer *t, const float *mix, float *x) {
    for (int s = 0; s < EACH; s++) {
        float hidden[4], own[ROWS];
        oc__rng_fill(&t->rng, hidden, 4, -1, 1);
        oc__rng_fill(&t->rng, own, ROWS, -0.1f, 0.1f);
        for (int k = 0; k < ROWS; k++) {
            float v = own[k];
            for (int h = 0; h < 4; h++)
                v += hidden[h] * mix[h * ROWS + k];
            x[s * ROWS + k] = v;
        }
    }
}

/* What codes make of inputs, less what weights do: squares, summed up. */
static double product_error(const layer *t, const float *x, const int8_t *codes,
                            const float *scales) {
    const float *w = t->w.data;
    double sum = 0;
    for (int s = 0; s < EACH; s++)
        for (int o = 0; o < OUTPUTS; o++) {
            double y = 0;
            for (int k = 0; k < ROWS; k++) {
                int i = t->axis ? k * OUTPUTS + o : o * ROWS + k;
                y += (double)x[s * ROWS + k] *
                     (codes[i] * (double)scales[o] - (double)w[i]);
            }
            sum += y * y;
        }
    return sum;
}

/* As a product has its weight, and as a Gemm with transB has. */
static void products_are_nearer(void **state) {
    (void)state;
    for (int axis = 0; axis < 2; axis++) {
        int8_t nearest[ROWS * OUTPUTS], codes[ROWS * OUTPUTS],
            again[ROWS * OUTPUTS];
        float scales[OUTPUTS], mix[4 * ROWS];
        double seen[2] = {0}, unseen[2] = {0};
        oc_error err;
        layer t;
        begin(&t, axis ? "MatMul" : "Gemm", axis, 0, 2,
              axis ? (const int64_t[]){ROWS, OUTPUTS}
                   : (const int64_t[]){OUTPUTS, ROWS});
        float *w = t.w.data;
        w[17] = w[40] = 0;
        oc__rng_fill(&t.rng, mix, 4 * ROWS, -1, 1);
        make_moments(&t);
        assert_int_equal(oc__moments_pieces(t.m), 2);
        oc_tensor x[PARTS];
        for (int p = 0; p < PARTS; p++) {
            x[p] = tensor(&t, 2, (const int64_t[]){EACH, ROWS});
            fill(&t, mix, x[p].data);
            if (p < PARTS / 2) add(&t, &x[p]);
        }
        oc__rounding r = round_layer(&t, scales, nearest, codes, 1);
        choose(&r, NULL);
        for (int p = 0; p < PARTS; p++) {
            double *to = p < PARTS / 2 ? seen : unseen;
            to[0] += product_error(&t, x[p].data, nearest, scales);
            to[1] += product_error(&t, x[p].data, codes, scales);
        }
        assert_true(seen[1] < 0.2 * seen[0]);
        assert_true(unseen[1] < 0.3 * unseen[0]);
        assert_true(r.signal > 0 && r.chosen < 0.2 * r.nearest);
        assert_true(codes[17] == 0 && codes[40] == 0);
        for (int i = 0; i < ROWS * OUTPUTS; i++) {
            double q =
                (double)w[i] / (double)scales[axis ? i % OUTPUTS : i / ROWS];
            assert_true(codes[i] >= floor(q - 1e-3) &&
                        codes[i] <= ceil(q + 1e-3));
        }
        /* The same with three threads. */
        assert_int_equal(
            oc__pool_create(&t.pool, &oc__default_allocator, 3, &err), OC_OK);
        r = round_layer(&t, scales, nearest, again, 1);
        choose(&r, t.pool);
        assert_memory_equal(codes, again, sizeof codes);
        end(&t);
    }
}

/* No two codes of one sign are more than 128 together where that was so of the
 * steps, however they are rounded. */
static void sums_of_two_still_fit(void **state) {
    (void)state;
    int8_t nearest[ROWS * OUTPUTS], codes[ROWS * OUTPUTS];
    float scales[OUTPUTS], mix[4 * ROWS];
    int turned = 0;
    layer t;
    begin(&t, "Gemm", 0, 0, 2, (const int64_t[]){OUTPUTS, ROWS});
    float *w = t.w.data;
    for (int o = 0; o < OUTPUTS; o++) /* many near half of the most */
        for (int k = 0; k < ROWS; k += 2)
            w[o * ROWS + k] = k % 4 ? -1 + 1e-4f * (float)k : 1;
    oc__rng_fill(&t.rng, mix, 4 * ROWS, -1, 1);
    make_moments(&t);
    oc_tensor x = tensor(&t, 2, (const int64_t[]){EACH, ROWS});
    fill(&t, mix, x.data);
    add(&t, &x);
    oc__rounding r = round_layer(&t, scales, nearest, codes, 1);
    choose(&r, NULL);
    for (int o = 0; o < OUTPUTS; o++) {
        int top[2][2] = {{0}};
        for (int k = 0; k < ROWS; k++) {
            int q = codes[o * ROWS + k], *s = top[q < 0];
            q = q < 0 ? -q : q;
            turned += q != abs((int)nearest[o * ROWS + k]);
            if (q > s[1]) s[1] = q;
            if (s[1] > s[0]) {
                s[1] = s[0];
                s[0] = q;
            }
        }
        assert_true(top[0][0] + top[0][1] <= 128);
        assert_true(top[1][0] + top[1][1] <= 128);
    }
    assert_true(turned > 0);
    end(&t);
}

/* Samples that say nothing, or what is no number, change nothing. */
static void nothing_is_made_of_nothing(void **state) {
    (void)state;
    for (int k = 0; k < 3; k++) {
        int8_t nearest[ROWS * OUTPUTS], codes[ROWS * OUTPUTS];
        float scales[OUTPUTS];
        layer t;
        begin(&t, "MatMul", 1, 0, 2, (const int64_t[]){ROWS, OUTPUTS});
        make_moments(&t);
        oc_tensor x = tensor(&t, 2, (const int64_t[]){EACH, ROWS});
        float *data = x.data;
        for (int i = 0; i < EACH * ROWS; i++)
            data[i] = k == 1 ? 0 : i % ROWS ? data[i] : NAN;
        if (k) add(&t, &x);
        oc__rounding r = round_layer(&t, scales, nearest, codes, 0);
        choose(&r, NULL);
        /* Of the second piece there are numbers. */
        size_t n = (size_t)(k == 2 ? t.m->reach : ROWS) * OUTPUTS;
        assert_memory_equal(codes, nearest, n);
        assert_true(k == 2 ? r.signal > 0 : r.signal == 0);
        end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_those_of_windows),
        cmocka_unit_test(others_are_left_out),
        cmocka_unit_test(few_weights_are_the_best_of_all_ways),
        cmocka_unit_test(products_are_nearer),
        cmocka_unit_test(sums_of_two_still_fit),
        cmocka_unit_test(nothing_is_made_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
