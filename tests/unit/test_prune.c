/* test_prune.c - which channels go together, and what is left of them. */
#define _XOPEN_SOURCE 700 /* mkstemp */
#include "testing.h"

#include "model_build.h"
#include "passes/match.h"
#include "runtime/model.h"

#include <ocelli/prune.h>

#include <stdio.h>
#include <unistd.h>

static model_build net;
static char path[] = "/tmp/ocelli-prune.XXXXXX";

/* Rows of a weight: row i has the numbers `size(i)`. */
static void add_weight(const char *name, int rank, const int64_t *dims,
                       const float *row) {
    static float data[4096];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= 4096);
    for (int64_t i = 0; i < n; i++)
        data[i] = row[i / (n / dims[0])];
    model_constant(&net, name, MODEL_F32, rank, dims, data,
                   (size_t)n * sizeof(float));
}

/*
 * Two convolutions whose results are added, a third that reads the sum, a
 * classifier.  Together rows 5, 0, 6, 2 of the first two are the smallest; of
 * the third 4 to 7.
 */
static const pb *make_net(void) {
    static const int64_t x[4] = {1, 3, 8, 8}, y[2] = {1, 2};
    static const int64_t w1[4] = {8, 3, 3, 3}, w2[4] = {8, 8, 1, 1};
    static const int64_t w3[4] = {8, 8, 1, 1}, w4[2] = {2, 8}, eight = 8;
    static const float r1[8] = {1, 9, 2, 8, 7, 1, 1, 6};
    static const float r2[8] = {-1, 3, 2, 4, 5, 0, 2, 6};
    static const float r3[8] = {9, 8, 7, 6, 1, 2, 3, -4}, r4[2] = {1, -1};
    model_start(&net);
    model_value(&net, MODEL_INPUT, "x", MODEL_F32, 4, x);
    add_weight("w1", 4, w1, r1);
    add_weight("b1", 1, &eight, r1);
    add_weight("w2", 4, w2, r2);
    add_weight("w3", 4, w3, r3);
    add_weight("w4", 2, w4, r4);
    model_node(&net, "Conv", "x w1 b1", "a");
    model_node(&net, "Relu", "a", "r");
    model_node(&net, "Conv", "r w2", "c");
    model_node(&net, "Add", "r c", "s");
    model_node(&net, "Conv", "s w3", "d");
    model_node(&net, "GlobalAveragePool", "d", "p");
    model_node(&net, "Flatten", "p", "f");
    model_node_int(&net, "Gemm", "f w4", "y", "transB", 1);
    model_value(&net, MODEL_OUTPUT, "y", MODEL_F32, 2, y);
    return model_finish(&net);
}

static oc_model *load(const oc_allocator *a) {
    const pb *bytes = make_net();
    oc_options basic = {.allocator = a, .optimize = 1};
    oc_model *m = NULL;
    oc_error err;
    if (oc_model_load_memory(&m, bytes->data, bytes->n, &basic, &err))
        return NULL;
    return m;
}

/* The constant `input` of node number `at` with that operator. */
static const oc_tensor *weight_of(const oc_model *m, const char *op, int at,
                                  int input) {
    const oc__graph *g;
    oc_error err;
    assert_int_equal(oc__model_graph(m, &g, &err), OC_OK);
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], op) && at-- == 0)
            return oc__constant(g, g->nodes[i]->in[input]);
    return NULL;
}

static void assert_dims(const oc_tensor *t, int64_t a, int64_t b) {
    assert_non_null(t);
    assert_int_equal(t->dims[0], a);
    assert_int_equal(t->dims[1], b);
}

static void prune_takes_tied_channels_together(void **state) {
    (void)state;
    oc_prune_options o = {.channels = 0.5, .round = 1};
    oc_options basic = {.optimize = 1};
    oc_model *m = load(NULL), *small = NULL;
    oc_pruner *p = NULL;
    oc_pruned_group g;
    oc_error err;
    assert_non_null(m);
    assert_int_equal(oc_pruner_create(&p, m, &o, &err), OC_OK);
    assert_int_equal(oc_pruner_group_count(p), 3);
    static const int layers[3] = {2, 1, 1}, kept[3] = {4, 4, 2};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(oc_pruner_group(p, i, &g, &err), OC_OK);
        assert_int_equal(g.layers, layers[i]);
        assert_int_equal(g.channels, i < 2 ? 8 : 2);
        assert_int_equal(g.kept, kept[i]);
        assert_int_equal(g.why != NULL, i == 2);
    }
    assert_int_equal(oc_pruner_group(p, 3, &g, &err), OC_E_ARG);
    assert_int_equal(oc_pruner_save(p, path, &err), OC_OK);
    oc_pruner_destroy(p);
    oc_model_destroy(m);
    assert_int_equal(oc_model_load(&small, path, &basic, &err), OC_OK);
    assert_dims(weight_of(small, "Conv", 0, 1), 4, 3);
    assert_dims(weight_of(small, "Conv", 1, 1), 4, 4);
    assert_dims(weight_of(small, "Conv", 2, 1), 4, 4);
    assert_dims(weight_of(small, "Gemm", 0, 1), 2, 4);
    /* Rows 1, 3, 4 and 7 of the first two, 0 to 3 of the third. */
    const oc_tensor *b = weight_of(small, "Conv", 0, 2);
    const oc_tensor *w = weight_of(small, "Conv", 2, 1);
    static const float first[4] = {9, 8, 7, 6};
    assert_int_equal(b->dims[0], 4);
    for (int i = 0; i < 4; i++) {
        assert_true(oc_tensor_get(b, i) == (double)first[i]);
        assert_true(oc_tensor_get(w, 4 * i) == (double)first[i]);
    }
    oc_model_destroy(small);
}

static void prune_keeps_multiples_where_it_can(void **state) {
    (void)state;
    static const struct {
        double channels;
        int round, kept;
    } cases[] = {{0.5, 4, 4}, {0.3, 4, 4},  {0.3, 2, 6}, {0.9, 4, 4},
                 {0.3, 8, 6}, {0.99, 0, 1}, {0.2, 1, 6}, {0.1, 1, 7}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        oc_prune_options o = {.channels = cases[i].channels,
                              .round = cases[i].round};
        oc_model *m = load(NULL);
        oc_pruner *p = NULL;
        oc_pruned_group g;
        oc_error err;
        assert_int_equal(oc_pruner_create(&p, m, &o, &err), OC_OK);
        assert_int_equal(oc_pruner_group(p, 0, &g, &err), OC_OK);
        assert_int_equal(g.kept, cases[i].kept);
        oc_pruner_destroy(p);
        oc_model_destroy(m);
    }
}

static void prune_refuses_what_makes_no_sense(void **state) {
    (void)state;
    static const oc_prune_options bad[] = {{.channels = 1},
                                           {.channels = -0.1},
                                           {.sparsity = 1},
                                           {.channels = 0},
                                           {.channels = 0.5, .round = -1}};
    static const char *const all[] = {"Conv"};
    oc_prune_options o = {.channels = 0.5, .ignore = all, .n_ignore = 1};
    oc_model *m = load(NULL);
    oc_pruner *p = NULL;
    oc_error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(oc_pruner_create(&p, m, &bad[i], &err), OC_E_ARG);
    assert_int_equal(oc_pruner_create(&p, m, &o, &err), OC_E_UNSUPPORTED);
    o.n_ignore = 0;
    o.importance = OC_IMPORTANCE_BN;
    assert_int_equal(oc_pruner_create(&p, m, &o, &err), OC_E_UNSUPPORTED);
    o.importance = OC_IMPORTANCE_GRADIENT;
    assert_int_equal(oc_pruner_create(&p, m, &o, &err), OC_OK);
    /* No sample yet. */
    assert_int_equal(oc_pruner_save(p, path, &err), OC_E_ARG);
    const oc_tensor *none = NULL;
    assert_int_equal(oc_pruner_add(p, &none, 1, 0, &err), OC_E_ARG);
    assert_int_equal(oc_pruner_add(p, &none, 2, 0, &err), OC_E_ARG);
    oc_pruner_destroy(p);
    oc_model_destroy(m);
    assert_int_equal(oc_pruner_create(&p, NULL, &o, &err), OC_E_ARG);
    oc_pruner_destroy(NULL);
}

/* All of it once, with gradients. */
static oc_status work(const oc_allocator *a) {
    static float pixels[3 * 8 * 8];
    oc_tensor x = {OC_DTYPE_F32, 4, {1, 3, 8, 8}, pixels};
    const oc_tensor *in = &x;
    oc_prune_options o = {.channels = 0.5,
                          .sparsity = 0.3,
                          .importance = OC_IMPORTANCE_GRADIENT,
                          .threads = 1};
    oc_pruner *p = NULL;
    oc_error err;
    for (int i = 0; i < 3 * 8 * 8; i++)
        pixels[i] = (float)(i % 7) - 3;
    oc_model *m = load(a);
    if (!m) return OC_E_NOMEM;
    oc_status st = oc_pruner_create(&p, m, &o, &err);
    if (!st) st = oc_pruner_add(p, &in, 1, 1, &err);
    if (!st) st = oc_pruner_save(p, path, &err);
    oc_pruner_destroy(p);
    oc_model_destroy(m);
    return st;
}

static void prune_survives_each_failing_allocation(void **state) {
    (void)state;
    int64_t step = test_is_small() ? 7 : 1;
    for (int64_t n = 0;; n += step) {
        test_allocator ta;
        test_allocator_init(&ta, n);
        oc_status st = work(&ta.base);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prune_takes_tied_channels_together),
        cmocka_unit_test(prune_keeps_multiples_where_it_can),
        cmocka_unit_test(prune_refuses_what_makes_no_sense),
        cmocka_unit_test(prune_survives_each_failing_allocation),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
