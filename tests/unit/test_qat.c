/* test_qat.c - rounding that gradients pass, and networks trained with it. */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include "op_call.h"
#include "testing.h"

#include "passes/match.h"
#include "quant/decide.h"
#include "runtime/model.h"
#include "train/trainer.h"

#include <ocelli/train.h>

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* ---- operators ------------------------------------------------------------
 */

/* torch.fake_quantize_per_tensor_affine(x, 0.01, 100, 0, 255), and what its
 * backward() makes of 1, 2, 3 ... */
enum { N = 20 };
static const float xs[N] = {-3.0f,   -1.2f,   -1.0041f, -1.003f, -1.0f,
                            -0.5f,   -0.004f, -0.006f,  0.0f,    0.0049f,
                            0.0051f, 0.1234f, 0.777f,   1.5449f, 1.55f,
                            1.5539f, 1.5561f, 2.0f,     50.0f,   -1e9f};
static const float ys[N] = {-1,     -1,    -1,    -1,    -1,    -0.5f, 0,
                            -0.01f, 0,     0,     0.01f, 0.12f, 0.78f, 1.54f,
                            1.55f,  1.55f, 1.55f, 1.55f, 1.55f, -1};
static const float gs[N] = {0,  0,  3,  4,  5,  6,  7, 8, 9, 10,
                            11, 12, 13, 14, 15, 16, 0, 0, 0, 0};

static oc_tensor row(const float *data, int64_t n) {
    return (oc_tensor){OC_DTYPE_F32, 1, {n}, (void *)(uintptr_t)data};
}

static void assert_row(const oc_value *v, const float *want, int n) {
    assert_int_equal(oc_tensor_elems(&v->t), n);
    for (int i = 0; i < n; i++)
        if (!(fabs(oc_tensor_get(&v->t, i) - (double)want[i]) < 1e-6))
            fail_msg("[%d]: %g, not %g", i, oc_tensor_get(&v->t, i),
                     (double)want[i]);
}

static void fake_quantize_rounds_and_passes_as_torch(void **state) {
    (void)state;
    static const float range[2] = {-1, 1.55f};
    float g[N];
    oc_tensor x = row(xs, N), r = row(range, 2), up = row(g, N);
    op_call k;
    for (int i = 0; i < N; i++)
        g[i] = (float)(i + 1);
    op_call_init(&k, "ocelli", "FakeQuantize", 1);
    op_call_input(&k, &x);
    op_call_input(&k, &r);
    oc_value y = op_call_run(&k, oc__kernels_native(), NULL);
    assert_row(&y, ys, N);
    oc__value_clear(&y);
    op_call_init(&k, "ocelli", "FakeQuantizeGrad", 1);
    op_call_input(&k, &up);
    op_call_input(&k, &x);
    op_call_input(&k, &r);
    y = op_call_run(&k, oc__kernels_native(), NULL);
    assert_row(&y, gs, N);
    oc__value_clear(&y);
}

/* torch.fake_quantize_per_channel_affine with scales max|w| / 127. */
static void fake_quantize_weight_rounds_as_torch(void **state) {
    (void)state;
    static const float w[12] = {0.5f, -1, 0.3333f, 0,       0,      0,
                                0,    0,  2.54f,   -0.013f, 1.275f, -2};
    static const float want[12] = {0.503937f, -1,    0.3307087f, 0,     0, 0, 0,
                                   0,         2.54f, -0.02f,     1.28f, -2};
    oc_tensor t = {OC_DTYPE_F32, 2, {3, 4}, (void *)(uintptr_t)w};
    op_call k;
    op_call_init(&k, "ocelli", "FakeQuantizeWeight", 1);
    op_call_input(&k, &t);
    op_call_int(&k, "axis", 0);
    oc_value y = op_call_run(&k, oc__kernels_native(), NULL);
    assert_row(&y, want, 12);
    oc__value_clear(&y);
}

/* Codes are those that are written, with the scales that are written. */
static void fake_quantize_weight_is_what_is_saved(void **state) {
    (void)state;
    enum { ROWS = 7, LONG = 33 };
    static float w[ROWS * LONG], want[ROWS * LONG], scales[ROWS];
    static int8_t codes[ROWS * LONG];
    oc_tensor t = {OC_DTYPE_F32, 2, {ROWS, LONG}, w};
    op_call k;
    oc__rng rng;
    oc__rng_init(&rng, 3);
    oc__rng_fill(&rng, w, ROWS * LONG, -1, 1);
    memset(w + LONG, 0, LONG * sizeof(float));
    for (int spared = 0; spared < 2; spared++) {
        oc__quant_weight(&t, 0, spared, codes, scales);
        for (int i = 0; i < ROWS * LONG; i++)
            want[i] = (float)codes[i] * scales[i / LONG];
        op_call_init(&k, "ocelli", "FakeQuantizeWeight", 1);
        op_call_input(&k, &t);
        op_call_int(&k, "axis", 0);
        op_call_int(&k, "spared", spared);
        oc_value y = op_call_run(&k, oc__kernels_native(), NULL);
        assert_row(&y, want, ROWS * LONG);
        oc__value_clear(&y);
    }
}

/* An empty range becomes what was seen, with 0. */
static void fake_quantize_starts_with_what_it_sees(void **state) {
    (void)state;
    static const float x[4] = {1, 2, 3, 5.1f}, none[2] = {0, 0};
    static const float want[4] = {1, 2, 3, 5.1f}; /* steps of 0.02 */
    oc_tensor t = row(x, 4), r = row(none, 2);
    op_call k;
    op_call_init(&k, "ocelli", "FakeQuantize", 1);
    op_call_input(&k, &t);
    op_call_input(&k, &r);
    op_call_int(&k, "observe", 1);
    oc_value y = op_call_run(&k, oc__kernels_native(), NULL);
    assert_row(&y, want, 4);
    oc__value_clear(&y);
    /* Without observing there is one code for all but 0. */
    static const float three[2] = {0, 3};
    r = row(three, 2);
    op_call_init(&k, "ocelli", "FakeQuantize", 1);
    op_call_input(&k, &t);
    op_call_input(&k, &r);
    y = op_call_run(&k, oc__kernels_native(), NULL);
    assert_true(fabs(oc_tensor_get(&y.t, 3) - 3) < 1e-6);
    oc__value_clear(&y);
    static const float bad[3] = {0, 1, 2};
    r = row(bad, 3);
    op_call_init(&k, "ocelli", "FakeQuantize", 1);
    op_call_input(&k, &t);
    op_call_input(&k, &r);
    assert_int_equal(op_call_infer(&k, oc__kernels_native()), OC_E_SHAPE);
}

/* ---- networks -------------------------------------------------------------
 */

enum { SIDE = 16, BATCH = 6, CLASSES = 3, PIXELS = BATCH * 3 * SIDE * SIDE };
static float images[PIXELS], targets[BATCH * CLASSES];
static oc_tensor x = {OC_DTYPE_F32, 4, {BATCH, 3, SIDE, SIDE}, images};
static oc_tensor y = {OC_DTYPE_F32, 2, {BATCH, CLASSES}, targets};
static char f32_path[] = "/tmp/ocelli-qat.XXXXXX";
static char i8_path[] = "/tmp/ocelli-qat.XXXXXX";

static void make_lesson(void) {
    unsigned seed = 5;
    for (int i = 0; i < PIXELS; i++) {
        seed = seed * 1664525u + 1013904223u;
        int kind = i / (3 * SIDE * SIDE) % CLASSES, col = i % SIDE;
        int at = kind == 0 ? col : kind == 1 ? i / SIDE % SIDE : 0;
        images[i] = (float)(at / 3 % 2) + (float)(seed >> 8) * 2e-8f;
    }
    for (int n = 0; n < BATCH; n++)
        targets[n * CLASSES + n % CLASSES] = 1;
}

static double learn(oc_trainer *t, int n, double rate) {
    oc_step_options o = {.rate = rate, .clip = 5};
    oc_step_result r = {0};
    oc_error err = {0};
    for (int i = 0; i < n; i++)
        if (oc_trainer_step(t, &x, &y, &o, &r, &err))
            fail_msg("%s", err.message);
    return r.loss;
}

/* A network that has learned a little, in f32_path. */
static void make_model(void) {
    oc_trainer_options o = {.arch = "resnet8",
                            .classes = CLASSES,
                            .height = SIDE,
                            .width = SIDE,
                            .width_factor = 0.5,
                            .batch = BATCH,
                            .threads = 1,
                            .seed = 2};
    oc_trainer *t = NULL;
    oc_error err = {0};
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    learn(t, 10, 0.05);
    assert_int_equal(oc_trainer_save(t, f32_path, &err), OC_OK);
    oc_trainer_destroy(t);
}

static oc_trainer *start(int threads, const oc_allocator *a, oc_error *err) {
    oc_trainer_options o = {.model = f32_path,
                            .classes = CLASSES,
                            .keep_head = 1,
                            .batch = BATCH,
                            .threads = threads,
                            .ema = 0.9,
                            .qat = 1,
                            .allocator = a};
    oc_trainer *t = NULL;
    return oc_trainer_create(&t, &o, err) ? NULL : t;
}

static void copy_logits(oc_trainer *t, float *to) {
    const oc_tensor *l;
    oc_error err = {0};
    if (oc_trainer_predict(t, &x, &l, &err)) fail_msg("%s", err.message);
    memcpy(to, l->data, BATCH * CLASSES * sizeof(float));
}

/* What is measured in training is what the saved model says. */
static void qat_saves_what_it_measures(void **state) {
    (void)state;
    float mine[BATCH * CLASSES], plain[BATCH * CLASSES];
    oc_error err = {0};
    oc_trainer *t = start(2, NULL, &err);
    if (!t) fail_msg("%s", err.message);
    assert_int_equal(oc_trainer_save(t, i8_path, &err), OC_E_ARG);
    copy_logits(t, plain);
    double first = learn(t, 1, 0.005), last = learn(t, 12, 0.005);
    assert_true(last < first);
    copy_logits(t, mine);
    assert_memory_not_equal(mine, plain, sizeof(mine));
    if (oc_trainer_save(t, i8_path, &err)) fail_msg("%s", err.message);
    oc_trainer_destroy(t);

    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_options none = {.optimize = -1};
    assert_int_equal(oc_model_load(&m, i8_path, &none, &err), OC_OK);
    const oc__graph *g;
    int q = 0, dq = 0, conv = 0;
    assert_int_equal(oc__model_graph(m, &g, &err), OC_OK);
    for (int i = 0; i < g->n_nodes; i++) {
        q += oc__is_op(g->nodes[i], "QuantizeLinear");
        dq += oc__is_op(g->nodes[i], "DequantizeLinear");
        conv += oc__is_op(g->nodes[i], "Conv");
        assert_false(oc__is_op(g->nodes[i], "BatchNormalization"));
    }
    assert_true(conv == 9 && q > conv && dq > q + conv);
    oc_model_destroy(m);
    assert_int_equal(oc_model_load(&m, i8_path, NULL, &err), OC_OK);
    assert_int_equal(oc_session_create(&s, m, NULL, &err), OC_OK);
    assert_int_equal(oc_session_set_input(s, 0, &x, &err), OC_OK);
    assert_int_equal(oc_session_run(s, &err), OC_OK);
    const oc_value *out = oc_session_output(s, 0);
    for (int i = 0; i < BATCH * CLASSES; i++)
        assert_true(fabs(oc_tensor_get(&out->t, i) - (double)mine[i]) < 1e-4);
    oc_session_destroy(s);
    oc_model_destroy(m);
}

static void qat_gives_the_same_bits_for_any_threads(void **state) {
    (void)state;
    float a[BATCH * CLASSES], b[BATCH * CLASSES];
    oc_error err = {0};
    for (int threads = 1; threads <= 3; threads++) {
        oc_trainer *t = start(threads, NULL, &err);
        if (!t) fail_msg("%s", err.message);
        learn(t, 3, 0.01);
        copy_logits(t, threads == 1 ? a : b);
        oc_trainer_destroy(t);
        if (threads > 1) assert_memory_equal(a, b, sizeof(a));
    }
}

/* Ranges are in a checkpoint. */
static void qat_goes_on_from_a_checkpoint(void **state) {
    (void)state;
    float a[BATCH * CLASSES], b[BATCH * CLASSES];
    oc_error err = {0};
    oc_trainer *t = start(1, NULL, &err);
    learn(t, 3, 0.01);
    assert_int_equal(oc_trainer_checkpoint(t, i8_path, &err), OC_OK);
    learn(t, 2, 0.01);
    copy_logits(t, a);
    oc_trainer_destroy(t);
    t = start(1, NULL, &err);
    assert_int_equal(oc_trainer_restore(t, i8_path, &err), OC_OK);
    learn(t, 2, 0.01);
    copy_logits(t, b);
    oc_trainer_destroy(t);
    assert_memory_equal(a, b, sizeof(a));
}

static void qat_refuses_what_makes_no_sense(void **state) {
    (void)state;
    oc_trainer_options o = {.arch = "resnet8",
                            .classes = CLASSES,
                            .height = SIDE,
                            .width = SIDE,
                            .batch = BATCH,
                            .qat = 1};
    oc_trainer *t = NULL;
    oc_error err = {0};
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG);
    /* A model that is in 8 bits already. */
    t = start(1, NULL, &err);
    learn(t, 1, 0.01);
    assert_int_equal(oc_trainer_save(t, i8_path, &err), OC_OK);
    oc_trainer_destroy(t);
    o.arch = NULL;
    o.model = i8_path;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "quantized already"));
}

static void qat_survives_lack_of_memory(void **state) {
    (void)state;
    int64_t step = test_is_small() ? 97 : 5;
    for (int64_t n = 0;; n += step) {
        test_allocator ta;
        oc_error err = {0};
        test_allocator_init(&ta, n);
        oc_trainer *t = start(1, &ta.base, &err);
        oc_step_options o = {.rate = 0.01};
        oc_step_result r;
        oc_status st =
            t ? oc_trainer_step(t, &x, &y, &o, &r, &err) : err.status;
        if (!st) st = oc_trainer_save(t, i8_path, &err);
        oc_trainer_destroy(t);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

static int setup(void **state) {
    (void)state;
    make_lesson();
    make_model();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fake_quantize_rounds_and_passes_as_torch),
        cmocka_unit_test(fake_quantize_weight_rounds_as_torch),
        cmocka_unit_test(fake_quantize_weight_is_what_is_saved),
        cmocka_unit_test(fake_quantize_starts_with_what_it_sees),
        cmocka_unit_test(qat_saves_what_it_measures),
        cmocka_unit_test(qat_gives_the_same_bits_for_any_threads),
        cmocka_unit_test(qat_goes_on_from_a_checkpoint),
        cmocka_unit_test(qat_refuses_what_makes_no_sense),
        cmocka_unit_test(qat_survives_lack_of_memory),
    };
    int a = mkstemp(f32_path), b = mkstemp(i8_path);
    if (a < 0 || b < 0) return 1;
    close(a);
    close(b);
    int failed = cmocka_run_group_tests(tests, setup, NULL);
    unlink(f32_path);
    unlink(i8_path);
    return failed;
}
