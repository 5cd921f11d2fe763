/*
 * test_precision.c - oc_options.precision: what is refused, what auto chooses,
 * and a network in bf16 beside itself in f32.
 *
 * bf16 keeps 8 bits, so an operand is off by 2^-9 of itself at most, and a sum
 * of terms of either sign by some such part of its range: 1 % here, and never
 * nothing.  What the kernels compute exactly is for test_kernels_gemm.c and
 * test_kernels_conv.c; whether answers stay right, for oracle.precision.
 */
#include "testing.h"

#include "base/rng.h"
#include "model_build.h"

#include <math.h>
#include <stdio.h>

enum { OUTS = 11 };

static model_build net;
static oc__rng rng;

static void weight(const char *name, int rank, const int64_t *dims) {
    static float data[8192];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= 8192);
    oc__rng_fill(&rng, data, (size_t)n, -1, 1);
    model_constant(&net, name, MODEL_F32, rank, dims, data,
                   (size_t)n * sizeof(float));
}

/* Windows, a residual, a depthwise convolution before a pointwise one, both
 * kinds of products; odd numbers of channels and columns. */
static const pb *make_net(void) {
    static const int64_t x[4] = {1, 9, 15, 13}, w1[4] = {27, 9, 5, 5};
    static const int64_t w2[4] = {27, 27, 1, 1}, w3[4] = {27, 1, 3, 3};
    static const int64_t w4[4] = {40, 27, 1, 1}, w5[2] = {33, 40};
    static const int64_t w6[2] = {33, OUTS}, y[2] = {1, OUTS}, outs = OUTS;
    oc__rng_init(&rng, 3);
    model_start(&net);
    model_value(&net, MODEL_INPUT, "x", MODEL_F32, 4, x);
    weight("w1", 4, w1);
    weight("w2", 4, w2);
    weight("w3", 4, w3);
    weight("w4", 4, w4);
    weight("w5", 2, w5);
    weight("w6", 2, w6);
    weight("b1", 1, w1);
    weight("b6", 1, &outs);
    model_node(&net, "Conv", "x w1 b1", "a");
    model_node(&net, "Relu", "a", "r");
    model_node(&net, "Conv", "r w2", "c");
    model_node(&net, "Add", "r c", "s");
    model_node_int(&net, "Conv", "s w3", "d", "group", 27);
    model_node(&net, "Relu", "d", "e");
    model_node(&net, "Conv", "e w4", "f");
    model_node(&net, "GlobalAveragePool", "f", "p");
    model_node(&net, "Flatten", "p", "q");
    model_node_int(&net, "Gemm", "q w5", "g", "transB", 1);
    model_node(&net, "MatMul", "g w6", "m");
    model_node(&net, "Add", "m b6", "y");
    model_value(&net, MODEL_OUTPUT, "y", MODEL_F32, 2, y);
    return model_finish(&net);
}

static const pb *make_plain(void) {
    static const int64_t x[2] = {2, 3};
    model_start(&net);
    model_value(&net, MODEL_INPUT, "x", MODEL_F32, 2, x);
    model_node(&net, "Relu", "x", "y");
    model_value(&net, MODEL_OUTPUT, "y", MODEL_F32, 2, x);
    return model_finish(&net);
}

static oc_status load(oc_model **m, const pb *bytes, oc_precision precision,
                      uint32_t cpu, int optimize, oc_error *err) {
    oc_options o = {
        .precision = precision, .cpu_mask = cpu, .optimize = optimize};
    return oc_model_load_memory(m, bytes->data, bytes->n, &o, err);
}

/* ---- asking -------------------------------------------------------------- */

static void refuses(oc_precision precision, uint32_t cpu, int optimize,
                    oc_status want, const char *words) {
    oc_model *m = NULL;
    oc_error err = {0};
    assert_int_equal(load(&m, make_net(), precision, cpu, optimize, &err),
                     want);
    assert_null(m);
    assert_non_null(strstr(err.message, words));
}

static void precision_is_refused_where_it_is_not(void **state) {
    (void)state;
    refuses(OC_PRECISION_F16, 0, 0, OC_E_UNSUPPORTED, "f16");
    refuses(OC_PRECISION_F16, OC_CPU_SCALAR, 0, OC_E_UNSUPPORTED, "f16");
    refuses((oc_precision)9, 0, 0, OC_E_ARG, "precision 9");
    refuses(OC_PRECISION_BF16, OC_CPU_SCALAR, 1, OC_E_ARG, "full");
    uint32_t base = OC_CPU_AVX2 | OC_CPU_NEON;
    if (oc_cpu_features() & base)
        refuses(OC_PRECISION_BF16, base, 0, OC_E_UNSUPPORTED,
                "no bf16 instructions");
}

static oc_precision chosen(const pb *bytes, oc_precision precision,
                           uint32_t cpu, int optimize) {
    oc_model *m = NULL;
    oc_error err = {0};
    if (load(&m, bytes, precision, cpu, optimize, &err))
        fail_msg("%s", err.message);
    oc_precision p = oc_model_precision(m);
    assert_true(oc_model_peak_flops(m) > 0);
    oc_model_destroy(m);
    return p;
}

static void auto_takes_what_is_faster(void **state) {
    (void)state;
    int has = (oc_cpu_features() & (OC_CPU_AVX512BF16 | OC_CPU_NEON_BF16)) != 0;
    oc_precision here = has ? OC_PRECISION_BF16 : OC_PRECISION_F32;
    assert_int_equal(chosen(make_net(), OC_PRECISION_AUTO, 0, 0), here);
    /* Plain C is slower in bf16; no weights, or no passes: nothing to gain. */
    assert_int_equal(chosen(make_net(), OC_PRECISION_AUTO, OC_CPU_SCALAR, 0),
                     OC_PRECISION_F32);
    assert_int_equal(chosen(make_plain(), OC_PRECISION_AUTO, 0, 0),
                     OC_PRECISION_F32);
    assert_int_equal(chosen(make_net(), OC_PRECISION_AUTO, 0, 1),
                     OC_PRECISION_F32);
    assert_int_equal(chosen(make_net(), OC_PRECISION_F32, 0, 0),
                     OC_PRECISION_F32);
    assert_int_equal(chosen(make_net(), OC_PRECISION_BF16, OC_CPU_SCALAR, 0),
                     OC_PRECISION_BF16);
    assert_string_equal(oc_precision_name(OC_PRECISION_BF16), "bf16");
    assert_string_equal(oc_precision_name(OC_PRECISION_AUTO), "auto");
    assert_null(oc_precision_name((oc_precision)4));
}

/* ---- computing ----------------------------------------------------------- */

/* What the network gives, and a list of the kernels it took. */
static void run(oc_precision precision, uint32_t cpu, int threads, float *y,
                char *kernels, size_t room) {
    static float x[9 * 15 * 13];
    oc_tensor t = {
        .dtype = OC_DTYPE_F32, .rank = 4, .dims = {1, 9, 15, 13}, .data = x};
    oc_session_options so = {.threads = threads};
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_error err = {0};
    if (load(&m, make_net(), precision, cpu, 0, &err) ||
        oc_session_create(&s, m, &so, &err))
        fail_msg("%s", err.message);
    oc__rng_init(&rng, 5);
    oc__rng_fill(&rng, x, sizeof x / sizeof *x, -1, 1);
    assert_int_equal(oc_session_set_input(s, 0, &t, NULL), OC_OK);
    if (oc_session_run(s, &err)) fail_msg("%s", err.message);
    memcpy(y, oc_session_output_tensor(s, 0)->data, OUTS * sizeof *y);
    *kernels = '\0';
    for (int i = 0; i < oc_session_step_count(s); i++) {
        oc_step_info info;
        size_t n = strlen(kernels);
        assert_int_equal(oc_session_step(s, i, &info), OC_OK);
        snprintf(kernels + n, room - n, "%s ", info.kernel);
    }
    oc_session_destroy(s);
    oc_model_destroy(m);
}

static void check_network(uint32_t cpu) {
    float f32[OUTS], one[OUTS], more[OUTS];
    char kernels[512];
    double range = 0, most = 0;
    run(OC_PRECISION_F32, cpu, 1, f32, kernels, sizeof kernels);
    assert_null(strstr(kernels, "bf16"));
    run(OC_PRECISION_BF16, cpu, 1, one, kernels, sizeof kernels);
    assert_non_null(strstr(kernels, "direct-bf16 "));
    assert_non_null(strstr(kernels, " point-bf16 "));
    assert_non_null(strstr(kernels, "depth+point-bf16 "));
    for (int i = 0; i < OUTS; i++) {
        range = fmax(range, fabs((double)f32[i]));
        most = fmax(most, fabs((double)one[i] - (double)f32[i]));
    }
    if (!(most > 0 && most < 0.01 * range))
        fail_msg("off by %g of %g", most, range);
    for (int threads = 2; threads < 4; threads++) {
        run(OC_PRECISION_BF16, cpu, threads, more, kernels, sizeof kernels);
        assert_memory_equal(more, one, sizeof one);
    }
}

static void network_in_bf16_is_close_and_the_same_on_threads(void **state) {
    (void)state;
    check_network(OC_CPU_SCALAR);
    if (oc_cpu_features() & (OC_CPU_AVX512BF16 | OC_CPU_NEON_BF16))
        check_network(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_is_refused_where_it_is_not),
        cmocka_unit_test(auto_takes_what_is_faster),
        cmocka_unit_test(network_in_bf16_is_close_and_the_same_on_threads),
    };
    return cmocka_run_group_tests_name("precision", tests, NULL, NULL);
}
