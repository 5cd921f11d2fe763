/*
 * test_models.c - real networks: what the passes and the fast kernels make of
 * them computes what the graph as it was computes with plain C, and the same
 * bits for any number of threads.  Skipped where ../shared is missing.  With
 * OC_TEST_SMALL in the environment (sanitizers, emulators) only small networks.
 */
#include "testing.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>

/* The small ones first. */
static const char *const names[] = {
    "mnist",
    "resnet8_cifar10",
    "selfie_landscape_nhwc",
    "mobilenet_v2_imagenet_nhwc",
    "nanodet_m_coco",
    "ssd_mobilenet_v3_coco",
    "ultraface_rfb_320",
    "yolox_nano_coco",
    "yunet_n_320_320",
    "squeezenet1.1_imagenet",
    "espnet_camvid",
    "shufflenet_v2_imagenet_int8",
};

enum { MAX_IN = 256, MAX_OUT = 16 };

typedef struct outputs {
    oc_value *value[MAX_OUT];
    int n;
} outputs;

static void outputs_free(outputs *o) {
    for (int i = 0; i < o->n; i++)
        oc_value_destroy(o->value[i]);
    o->n = 0;
}

/* Fills input i of the session with seeded numbers; returns its memory. */
static float *set_input(oc_session *s, const oc_model *m, int i) {
    const oc_value_info *info = oc_model_input(m, i);
    oc_tensor t = {.dtype = info->dtype, .rank = info->rank};
    if (info->optional || info->dtype != OC_DTYPE_F32) return NULL;
    for (int d = 0; d < t.rank; d++)
        t.dims[d] = info->dims[d] < 0 ? 1 : info->dims[d];
    float *x = malloc(oc_tensor_bytes(&t));
    oc__rng rng;
    oc__rng_init(&rng, 7);
    oc__rng_fill(&rng, x, (size_t)oc_tensor_elems(&t), 0, 1);
    t.data = x;
    assert_int_equal(oc_session_set_input(s, i, &t, NULL), OC_OK);
    return x;
}

static void run(const char *path, const oc_options *opt, int threads,
                outputs *out) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_error err = {0};
    oc_session_options so = {.threads = threads};
    float *inputs[MAX_IN] = {NULL};
    if (oc_model_load(&m, path, opt, &err)) fail_msg("%s", err.message);
    if (oc_session_create(&s, m, &so, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < oc_model_input_count(m) && i < MAX_IN; i++)
        inputs[i] = set_input(s, m, i);
    if (oc_session_run(s, &err)) fail_msg("%s", err.message);
    out->n = oc_model_output_count(m);
    assert_true(out->n <= MAX_OUT);
    for (int i = 0; i < out->n; i++)
        assert_int_equal(oc_value_create_tensor(&out->value[i],
                                                oc_session_output_tensor(s, i),
                                                &err),
                         OC_OK);
    oc_session_destroy(s);
    oc_model_destroy(m);
    for (int i = 0; i < MAX_IN; i++)
        free(inputs[i]);
}

/* Every output within 1e-3 of the range of the one wanted. */
static void compare(const char *name, const outputs *want, const outputs *got) {
    for (int o = 0; o < want->n; o++) {
        const oc_tensor *a = oc_value_tensor(want->value[o]);
        const oc_tensor *b = oc_value_tensor(got->value[o]);
        int64_t n = oc_tensor_elems(a);
        assert_int_equal(n, oc_tensor_elems(b));
        if (a->dtype != OC_DTYPE_F32) continue;
        const float *x = a->data, *y = b->data;
        float range = 0;
        for (int64_t i = 0; i < n; i++)
            range = fmaxf(range, fabsf(x[i]));
        for (int64_t i = 0; i < n; i++)
            if (!(fabsf(x[i] - y[i]) <= 1e-3f * range))
                fail_msg("%s: output %d[%lld]: %g, not %g, in a range of %g",
                         name, o, (long long)i, (double)y[i], (double)x[i],
                         (double)range);
    }
}

static const char *path_of(const char *name) {
    char file[128];
    snprintf(file, sizeof(file), "models/%s.onnx", name);
    return test_shared(file);
}

static void models_compute_the_same_when_optimised(void **state) {
    const char *name = *state, *path = path_of(name);
    static const uint32_t masks[] = {OC_CPU_SCALAR, OC_CPU_SSE41 | OC_CPU_AVX2,
                                     0};
    if (!path) skip();
    outputs want = {{NULL}, 0}, got = {{NULL}, 0};
    oc_options plain = {.optimize = -1, .cpu_mask = OC_CPU_SCALAR};
    run(path, &plain, 1, &want);
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        oc_options opt = {.cpu_mask = masks[i]};
        run(path, &opt, 1, &got);
        compare(name, &want, &got);
        outputs_free(&got);
    }
    outputs_free(&want);
}

static void models_give_the_same_bits_for_any_thread_count(void **state) {
    const char *name = *state, *path = path_of(name);
    if (!path) skip();
    outputs want = {{NULL}, 0}, got = {{NULL}, 0};
    run(path, NULL, 1, &want);
    for (int threads = 2; threads <= 4; threads++) {
        run(path, NULL, threads, &got);
        for (int o = 0; o < want.n; o++) {
            const oc_tensor *a = oc_value_tensor(want.value[o]);
            const oc_tensor *b = oc_value_tensor(got.value[o]);
            assert_memory_equal(a->data, b->data, oc_tensor_bytes(a));
        }
        outputs_free(&got);
    }
    outputs_free(&want);
}

/* Loading, planning and running with the n-th allocation failing, for every
   n; later in a larger network only every so often. */
static void models_survive_failing_allocations(void **state) {
    const char *name = *state, *path = path_of(name);
    if (!path) skip();
    for (int64_t n = 0;; n += 1 + n / 64) {
        test_allocator ta;
        oc_model *m = NULL;
        oc_session *s = NULL;
        oc_error err = {0};
        float *inputs[MAX_IN] = {NULL};
        test_allocator_init(&ta, n);
        oc_options opt = {.allocator = &ta.base};
        oc_session_options so = {.threads = 2};
        oc_status st = oc_model_load(&m, path, &opt, &err);
        if (st == OC_OK) st = oc_session_create(&s, m, &so, &err);
        for (int i = 0; st == OC_OK && i < oc_model_input_count(m); i++)
            inputs[i] = set_input(s, m, i);
        if (st == OC_OK) st = oc_session_run(s, &err);
        oc_session_destroy(s);
        oc_model_destroy(m);
        test_allocator_check(&ta);
        for (int i = 0; i < MAX_IN; i++)
            free(inputs[i]);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            return;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_true(err.message[0] != 0);
    }
}

int main(void) {
    enum { ALL = sizeof(names) / sizeof(names[0]), SMALL = 3 };
    int n = test_is_small() ? SMALL : ALL;
    static const char *const whats[] = {
        "models_compute_the_same_when_optimised",
        "models_give_the_same_bits_for_any_thread_count",
        "models_survive_failing_allocations"};
    static const CMUnitTestFunction functions[] = {
        models_compute_the_same_when_optimised,
        models_give_the_same_bits_for_any_thread_count,
        models_survive_failing_allocations};
    struct CMUnitTest tests[3 * ALL];
    static char titles[3 * ALL][96];
    for (int i = 0; i < 3 * n; i++) {
        const char *what = whats[i / n];
        snprintf(titles[i], sizeof(titles[i]), "%s_%s", what, names[i % n]);
        memset(&tests[i], 0, sizeof(tests[i]));
        tests[i].name = titles[i];
        tests[i].test_func = functions[i / n];
        tests[i].initial_state = (void *)(uintptr_t)names[i % n];
    }
    return _cmocka_run_group_tests("models", tests, (size_t)(3 * n), NULL,
                                   NULL);
}
