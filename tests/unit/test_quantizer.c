/*
 * test_quantizer.c - a quantizer stays below what it may take, and what it
 * writes is the same.
 */
#define _POSIX_C_SOURCE 200809L /* posix_memalign */
#include "testing.h"

#include "base/rng.h"
#include "base/size.h"

#include <ocelli/quant.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 2, MOST_PASSES = 64 };

/* ---- what memory is asked for --------------------------------------------
 */

typedef struct counter {
    size_t now, peak;
} counter;

static void *counted_alloc(void *user, size_t bytes) {
    counter *c = user;
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes)) return NULL;
    c->now += bytes;
    c->peak = OC_MAX(c->peak, c->now);
    return p;
}

static void counted_release(void *user, void *p, size_t bytes) {
    counter *c = user;
    c->now -= bytes;
    free(p);
}

/* ---- quantizing ----------------------------------------------------------
 */

typedef struct made {
    unsigned char *data;
    size_t bytes, least, peak;
    int passes;
    oc_status st;
    char why[384];
} made;

/* The same samples each time. */
static oc_status add_all(oc_quantizer *q, const oc_value_info *in,
                         oc_error *err) {
    oc_tensor t = {.dtype = OC_DTYPE_F32, .rank = in->rank};
    const oc_tensor *inputs[1] = {&t};
    oc__rng rng;
    int64_t n = 1;
    for (int i = 0; i < in->rank; i++)
        n *= t.dims[i] = in->dims[i] > 0 ? in->dims[i] : 1;
    float *x = test_malloc((size_t)n * sizeof *x);
    t.data = x;
    oc__rng_init(&rng, 3);
    oc_status st = OC_OK;
    for (int i = 0; i < SAMPLES && !st; i++) {
        oc__rng_fill(&rng, x, (int)n, -1, 1);
        st = oc_quantizer_add(q, inputs, 1, err);
    }
    test_free(x);
    return st;
}

static oc_status calibrate(oc_quantizer *q, const oc_value_info *in, made *out,
                           oc_error *err) {
    oc_status st = OC_OK;
    for (int more = 1; more && !st && out->passes < MOST_PASSES;) {
        st = add_all(q, in, err);
        out->least = oc_quantizer_least_memory(q);
        if (!st) st = oc_quantizer_next_pass(q, &more, err);
        out->passes++;
    }
    return st;
}

/* most: memory_bytes. */
static made quantize(const char *path, size_t most) {
    counter c = {0, 0};
    oc_allocator a = {counted_alloc, counted_release, &c};
    oc_options load = {.allocator = &a};
    oc_quantize_options opt = {.threads = 1, .memory_bytes = most};
    oc_model *m = NULL;
    oc_quantizer *q = NULL;
    void *data = NULL;
    oc_error err;
    made out = {0};
    assert_int_equal(oc_model_load(&m, path, &load, &err), OC_OK);
    assert_int_equal(oc_quantizer_create(&q, m, &opt, &err), OC_OK);
    out.st = calibrate(q, oc_model_input(m, 0), &out, &err);
    out.peak = c.peak;
    if (out.st) {
        snprintf(out.why, sizeof out.why, "%s", err.message);
    } else {
        assert_int_equal(oc_quantizer_write(q, &data, &out.bytes, &err), OC_OK);
        out.data = test_malloc(out.bytes);
        memcpy(out.data, data, out.bytes);
        oc_quantizer_release(q, data, out.bytes);
    }
    oc_quantizer_destroy(q);
    oc_model_destroy(m);
    assert_int_equal(c.now, 0);
    return out;
}

/* ---- tests ---------------------------------------------------------------
 */

static void check(const char *path) {
    made free_of = quantize(path, 0), none = quantize(path, 1);
    assert_int_equal(free_of.passes, 1);
    assert_int_equal(free_of.least, 0);
    assert_int_equal(none.st, OC_E_LIMIT);
    assert_non_null(strstr(none.why, "quantizing needs "));
    made least = quantize(path, none.least), fewer;
    assert_int_equal(least.st, OC_OK);
    assert_true(least.passes > 1);
    assert_true(least.peak <= none.least);
    assert_int_equal(least.bytes, free_of.bytes);
    assert_memory_equal(least.data, free_of.data, free_of.bytes);
    fewer = quantize(path, none.least - 1);
    assert_int_equal(fewer.st, OC_E_LIMIT);
    test_free(free_of.data);
    test_free(least.data);
}

static void a_residual_net_fits(void **state) {
    const char *path = test_shared("models/resnet8_cifar10.onnx");
    (void)state;
    if (path) check(path);
}

static void squeezenet_fits(void **state) {
    const char *path = test_shared("models/squeezenet1.1_imagenet.onnx");
    (void)state;
    if (path) check(path);
}

/* Once the channels are forgotten, what is new can change no factor. */
static void nothing_comes_after_the_last_pass(void **state) {
    const char *path = test_shared("models/resnet8_cifar10.onnx");
    oc_quantize_options opt = {.threads = 1, .memory_bytes = (size_t)1 << 30};
    oc_model *m = NULL;
    oc_quantizer *q = NULL;
    oc_error err;
    int more = 1;
    (void)state;
    if (!path) return;
    assert_int_equal(oc_model_load(&m, path, NULL, &err), OC_OK);
    assert_int_equal(oc_quantizer_create(&q, m, &opt, &err), OC_OK);
    assert_int_equal(add_all(q, oc_model_input(m, 0), &err), OC_OK);
    assert_int_equal(oc_quantizer_next_pass(q, &more, &err), OC_OK);
    assert_int_equal(more, 0);
    assert_int_equal(add_all(q, oc_model_input(m, 0), &err), OC_E_ARG);
    oc_quantizer_destroy(q);
    oc_model_destroy(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_residual_net_fits),
        cmocka_unit_test(squeezenet_fits),
        cmocka_unit_test(nothing_comes_after_the_last_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
