/*
 * test_equalize.c - which values can be divided by factors channel by channel,
 * that it changes nothing in f32, and that it helps where channels differ.
 */
#include "testing.h"

#include "base/rng.h"
#include "passes/match.h"
#include "quant/equalize.h"
#include "runtime/exec.h"

#include <math.h>
#include <string.h>

enum { VERSION = 17 };

/* ---- graphs -------------------------------------------------------------- */

typedef struct net {
    oc__arena arena;
    oc__graph *g;
    oc__rng rng;
    oc_value in;
    oc__quant_plan plan;
} net;

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, 0})

static oc_tensor numbers(net *t, const int64_t *dims) {
    oc_tensor x;
    int rank = 0;
    while (dims[rank])
        rank++;
    oc__tensor_set(&x, OC_DTYPE_F32, rank, dims);
    float *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&x));
    oc__rng_fill(&t->rng, data, (size_t)oc_tensor_elems(&x), -1, 1);
    x.data = data;
    return x;
}

/* A net of one input. */
static int begin(net *t, const int64_t *dims) {
    memset(t, 0, sizeof *t);
    oc__arena_init(&t->arena, &oc__default_allocator);
    oc__rng_init(&t->rng, 5);
    t->g = oc__graph_create(&t->arena);
    t->g->inputs = oc__arena_array(&t->arena, 1, sizeof(int));
    t->g->outputs = oc__arena_array(&t->arena, 4, sizeof(int));
    int v = oc__graph_add_value(t->g, NULL);
    t->g->n_inputs = 1;
    t->g->inputs[0] = v;
    t->in.kind = OC_KIND_TENSOR;
    t->in.t = numbers(t, dims);
    t->g->values[v].kind = OC_KIND_TENSOR;
    t->g->values[v].dtype = OC_DTYPE_F32;
    return v;
}

static void output(net *t, int v) {
    t->g->outputs[t->g->n_outputs++] = v;
}

static int weight(net *t, const int64_t *dims) {
    oc_tensor x = numbers(t, dims);
    return oc__graph_add_constant(t->g, NULL, &x);
}

static int number(net *t, double v) {
    float f = (float)v;
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_F32, 0, NULL);
    x.data = oc__arena_dup(&t->arena, &f, sizeof f);
    return oc__graph_add_constant(t->g, NULL, &x);
}

/* A node with up to three inputs (-1: none) and one attribute (or NULL). */
static int op(net *t, const char *name, int a, int b, int c, const char *attr,
              int64_t value) {
    int n_in = c >= 0 ? 3 : b >= 0 ? 2 : 1;
    oc__node *n = oc__graph_add_node(t->g, oc__op_find("", name), name, VERSION,
                                     n_in, 1, attr ? 1 : 0);
    n->in[0] = a;
    if (n_in > 1) n->in[1] = b;
    if (n_in > 2) n->in[2] = c;
    n->out[0] = oc__graph_add_value(t->g, NULL);
    if (attr) oc__attr_set_int(n, 0, attr, value);
    return n->out[0];
}

static int op1(net *t, const char *name, int a) {
    return op(t, name, a, -1, -1, NULL, 0);
}

static int op2(net *t, const char *name, int a, int b) {
    return op(t, name, a, b, -1, NULL, 0);
}

/* `out` channels of `in` by k x k windows, with a bias. */
static int conv(net *t, int x, int64_t in, int64_t out, int64_t k) {
    return op(t, "Conv", x, weight(t, DIMS(out, in, k, k)),
              weight(t, DIMS(out)), NULL, 0);
}

static int depthwise(net *t, int x, int64_t n) {
    return op(t, "Conv", x, weight(t, DIMS(n, 1, 3, 3)), weight(t, DIMS(n)),
              "group", n);
}

/* What can be equalized, with all targets in 8 bits. */
static const oc__equalizer *find(net *t) {
    oc_quantize_options opt = {0};
    oc_error err = {0};
    if (oc__quant_decide(&t->plan, t->g, &opt, &t->arena,
                         &oc__default_allocator, &err) ||
        oc__equal_find(&t->plan, t->g, &t->arena, &oc__default_allocator, &err))
        fail_msg("%s", err.message);
    return t->plan.equal;
}

static void end(net *t) {
    for (int i = 0; i < t->plan.n_watches; i++) {
        oc__quant_watch *w = &t->plan.watches[i];
        oc__release(&oc__default_allocator, w->lanes,
                    (size_t)w->lane_count * sizeof *w->lanes);
        oc__release(&oc__default_allocator, w->even, sizeof *w->even);
    }
    oc__graph_release(t->g);
    oc__arena_deinit(&t->arena);
}

static void run(const net *t, oc__graph *g, float *out, int64_t *n) {
    const oc_value *in[1] = {&t->in};
    oc_error err = {0};
    oc__exec *e = NULL;
    oc__exec_env env = {.kernels = oc__kernels_native(),
                        .allocator = &oc__default_allocator,
                        .threads = 1};
    if (oc__exec_create(&e, g, &env, &err) || oc__exec_run(e, in, &err))
        fail_msg("%s", err.message);
    *n = 0;
    for (int i = 0; i < g->n_outputs; i++) {
        const oc_tensor *y = oc_value_tensor(oc__exec_output(e, i));
        memcpy(out + *n, y->data, oc_tensor_bytes(y));
        *n += oc_tensor_elems(y);
    }
    assert_true(*n > 0 && *n < 4096);
    oc__exec_destroy(e);
}

/* With any factors the outputs are the same in f32; constants are not. */
static void check_same(net *t, int classes) {
    static float a[4096], b[4096];
    oc_error err = {0};
    int64_t n, m;
    const oc__equalizer *q = find(t);
    assert_int_equal(q->n, classes);
    for (int i = 0; i < q->n; i++) {
        oc__equal *e = &q->list[i];
        for (int64_t k = 0; k < e->n; k++)
            e->by[k] = expf(oc__rng_float(&t->rng) * 6 - 3);
        e->is_worth = 1;
    }
    oc__graph *g = oc__graph_clone(t->g, &t->arena);
    if (oc__equal_write(&t->plan, g, 1, &oc__default_allocator, &err))
        fail_msg("%s", err.message);
    run(t, t->g, a, &n);
    run(t, g, b, &m);
    assert_int_equal(n, m);
    float most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(a[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f * most))
            fail_msg("output %lld is %g, not %g", (long long)i, (double)b[i],
                     (double)a[i]);
    int changed = 0;
    for (int i = 0; i < t->g->n_nodes; i++)
        for (int j = 0; j < t->g->nodes[i]->n_in; j++)
            changed += g->nodes[i]->in[j] != t->g->nodes[i]->in[j];
    int uses = 0;
    for (int i = 0; i < q->n; i++)
        uses += q->list[i].n_uses;
    assert_true(changed > 0 && changed <= uses);
    oc__graph_release(g);
    end(t);
}

/* ---- which, and that nothing changes ------------------------------------- */

/* A depthwise block, a sum of what a convolution reads and makes, a scale and a
 * shift of channels in pieces. */
static void convolutions_stay_the_same(void **state) {
    (void)state;
    net t;
    int x = begin(&t, DIMS(1, 3, 12, 12));
    x = op1(&t, "Relu", conv(&t, x, 3, 8, 3));
    x = op2(&t, "PRelu", depthwise(&t, x, 8), weight(&t, DIMS(8, 1, 1)));
    x = op1(&t, "LeakyRelu", conv(&t, x, 8, 6, 1));
    x = op2(&t, "Add", x, op1(&t, "Relu", conv(&t, x, 6, 6, 1)));
    x = op2(&t, "Mul", x, weight(&t, DIMS(1, 6, 1, 1)));
    x = op2(&t, "Add", weight(&t, DIMS(6, 1, 1)), x);
    x = op2(&t, "Mul", x, number(&t, 0.5));
    x = op(&t, "Clip", x, number(&t, 0), -1, NULL, 0);
    output(&t, conv(&t, op1(&t, "GlobalAveragePool", x), 6, 5, 1));
    check_same(&t, 4);
}

/* Three products of a norm, and one of a norm in pieces behind a residual. */
static void products_stay_the_same(void **state) {
    (void)state;
    net t;
    int x = begin(&t, DIMS(1, 7, 12));
    int n = op(&t, "LayerNormalization", x, weight(&t, DIMS(12)),
               weight(&t, DIMS(12)), NULL, 0);
    int q = op2(&t, "MatMul", n, weight(&t, DIMS(12, 9)));
    int k = op2(&t, "MatMul", n, weight(&t, DIMS(12, 9)));
    int v = op2(&t, "MatMul", n, weight(&t, DIMS(12, 12)));
    q = op2(&t, "Add", q, weight(&t, DIMS(9)));
    k = op2(&t, "Mul", op1(&t, "Tanh", k), q);
    k = op(&t, "Softmax", k, -1, -1, "axis", -1);
    v = op2(&t, "Add", v, x);
    int m = op2(&t, "Sub", v, op1(&t, "ReduceMean", v));
    m = op2(&t, "Add", op2(&t, "Mul", m, weight(&t, DIMS(12))),
            weight(&t, DIMS(12)));
    m = op2(&t, "MatMul", m, weight(&t, DIMS(12, 20)));
    m = op2(&t, "Mul", m, op1(&t, "Sigmoid", m));
    output(&t, op2(&t, "MatMul", m, weight(&t, DIMS(20, 3))));
    output(&t, k);
    check_same(&t, 2);
}

/* Gemm of both forms, one behind the other. */
static void gemms_stay_the_same(void **state) {
    (void)state;
    net t;
    int x = begin(&t, DIMS(4, 9));
    x = op(&t, "Gemm", x, weight(&t, DIMS(16, 9)), weight(&t, DIMS(1, 16)),
           "transB", 1);
    x = op(&t, "Gemm", op1(&t, "Relu", x), weight(&t, DIMS(16, 11)),
           weight(&t, DIMS(11)), NULL, 0);
    x = op2(&t, "PRelu", x, weight(&t, DIMS(11)));
    output(&t, op2(&t, "Gemm", x, weight(&t, DIMS(11, 2))));
    check_same(&t, 2);
}

/* What is not the same for a multiple keeps its channels. */
static void others_are_left_alone(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        net t;
        int x = begin(&t, DIMS(1, 3, 8, 8)), y;
        x = conv(&t, x, 3, 6, 1);
        if (i == 0) x = op(&t, "Clip", x, number(&t, 0), number(&t, 6), 0, 0);
        if (i == 1) x = op1(&t, "HardSwish", x);
        if (i == 2) x = op2(&t, "Add", x, number(&t, 3));
        if (i == 3) output(&t, x);
        if (i == 4) x = op2(&t, "Mul", x, x);
        if (i == 5) x = op2(&t, "Add", x, t.g->inputs[0]);
        if (i == 6) output(&t, op1(&t, "Exp", x));
        y = conv(&t, x, 6, 4, 1);
        output(&t, y);
        assert_int_equal(find(&t)->n, 0);
        end(&t);
    }
}

/* ---- the factors --------------------------------------------------------- */

/* Lanes together, divided, are what all values together are, once divided. */
static void lanes_have_the_range_of_all(void **state) {
    (void)state;
    enum { CHANNELS = 5, N = 4000 };
    static float x[CHANNELS][N], divided[N];
    const float by[CHANNELS] = {1, 0.25f, 10, 3, 0.5f};
    static const oc_quant_range hows[] = {OC_QUANT_MINMAX, OC_QUANT_MSE,
                                          OC_QUANT_PERCENTILE};
    oc__lane *lanes = test_calloc(CHANNELS, sizeof *lanes);
    oc__range *want = test_calloc(1, sizeof *want);
    oc__range *got = test_calloc(1, sizeof *got);
    oc__rng rng;
    oc__rng_init(&rng, 9);
    for (int c = 0; c < CHANNELS; c++) {
        for (int i = 0; i < N; i++) {
            float a = oc__rng_float(&rng) - 0.3f;
            x[c][i] = (float)(1 + 7 * c) * a * a * a;
        }
        x[c][17] = c == 2 ? NAN : x[c][17];
        oc__lane_add(&lanes[c], x[c], N / 2, 2);
        oc__lane_add(&lanes[c], x[c] + 1, N / 2, 2);
        for (int i = 0; i < N; i++)
            divided[i] = x[c][i] / by[c];
        oc__range_add(want, divided, N);
    }
    oc__lanes_range(lanes, CHANNELS, by, got);
    assert_int_equal(got->count, want->count);
    assert_true(fabs(oc__range_power(got) / oc__range_power(want) - 1) < 0.01);
    for (size_t k = 0; k < OC_COUNT(hows); k++) {
        float a, b, c, d;
        oc__range_limits(want, hows[k], 0.999, &a, &b);
        oc__range_limits(got, hows[k], 0.999, &c, &d);
        assert_true(fabsf(a - c) < 0.03f * (b - a));
        assert_true(fabsf(b - d) < 0.03f * (b - a));
    }
    test_free(lanes);
    test_free(want);
    test_free(got);
}

/* A norm and a product, whose channels have these reaches. */
static void make_norm(net *t, int64_t n, const float *reach) {
    int x = begin(t, DIMS(1, 5, n));
    x = op(t, "LayerNormalization", x, weight(t, (int64_t[]){n, 0}),
           weight(t, (int64_t[]){n, 0}), NULL, 0);
    output(t, op2(t, "MatMul", x, weight(t, (int64_t[]){n, 32, 0})));
    const oc__equalizer *q = find(t);
    assert_int_equal(q->n, 1);
    assert_int_equal(q->list[0].n_members, 1);
    oc__quant_watch *w = &t->plan.watches[q->list[0].members[0]];
    assert_int_equal(w->lane_count, n);
    w->lanes = oc__calloc(&oc__default_allocator, (size_t)n, sizeof *w->lanes);
    for (int64_t c = 0; c < n; c++) {
        float x0[256];
        oc__rng_fill(&t->rng, x0, 256, -reach[c], reach[c]);
        oc__lane_add(&w->lanes[c], x0, 256, 1);
    }
}

static void outliers_go_to_the_weights(void **state) {
    (void)state;
    enum { N = 48 };
    float reach[N];
    oc_quantize_options opt = {0};
    oc_error err = {0};
    for (int k = 0; k < 2; k++) {
        net t;
        for (int i = 0; i < N; i++)
            reach[i] = k && i % 16 == 3 ? 80 : 1;
        make_norm(&t, N, reach);
        oc__equal *e = &t.plan.equal->list[0];
        /* Whatever is in 8 bits just then. */
        t.plan.targets[0].precision = OC_QUANT_F32;
        oc__quant_decide_again(&t.plan, t.g, &oc__default_allocator, &err);
        assert_int_equal(
            oc__equal_choose(&t.plan, t.g, &opt, &oc__default_allocator, &err),
            OC_OK);
        assert_int_equal(e->is_worth, k);
        for (int i = 0; k && i < N; i++)
            assert_true(i % 16 == 3 ? e->by[i] > 3 * e->by[0]
                                    : e->by[i] < e->by[3] / 3);
        t.plan.targets[0].precision = OC_QUANT_INT8;
        oc__quant_decide_again(&t.plan, t.g, &oc__default_allocator, &err);
        oc__quant_watch *w = &t.plan.watches[e->members[0]];
        assert_true((w->even != NULL) == k);
        /* Nothing is divided where the product stays in f32. */
        assert_true(oc__equal_of(&t.plan, t.g, w->value) == (k ? e : NULL));
        t.plan.targets[0].precision = OC_QUANT_F32;
        assert_null(oc__equal_of(&t.plan, t.g, w->value));
        end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_stay_the_same),
        cmocka_unit_test(products_stay_the_same),
        cmocka_unit_test(gemms_stay_the_same),
        cmocka_unit_test(others_are_left_alone),
        cmocka_unit_test(lanes_have_the_range_of_all),
        cmocka_unit_test(outliers_go_to_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
