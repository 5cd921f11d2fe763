/*
 * test_merge.c - src/passes/merge_convs.c: convolutions side by side become
 * one where that leaves fewer blocks, compute what they computed, and stay as
 * they are where it would not pay.
 */
#include "checkasm.h"

#include "passes/passes.h"
#include "runtime/exec.h"

#include <math.h>
#include <stdio.h>

enum { HEADS = 4, VERSION = 13, HEIGHT = 9, WIDTH = 7 };

/* What reads a head. */
typedef enum end {
    END_LAST, /* Transpose to channels last */
    END_TURN, /* the same twice */
    END_GATE, /* Sigmoid of it */
    END_ROWS, /* Reshape to [N, C, pixels] */
    END_OUTPUT,
    END_CONV,
    END_POOL,
    END_ADD,  /* a sum with another picture */
    END_JOIN, /* one Concat of all heads */
    END_BOTH, /* Transpose, and a convolution, too */
} end;

/* s --Conv--> [depthwise Conv] --> [activation] --> end */
typedef struct head {
    int64_t channels;
    int has_bias;
    int kernel;      /* 0: 1 */
    int depth;       /* kernel of the depthwise convolution, 0: none */
    const char *act; /* or NULL */
    float alpha;     /* of a LeakyRelu or HardSigmoid; 0: none */
    float beta;      /* of a HardSigmoid */
    end end;
    int is_same; /* pads by auto_pad */
} head;

typedef struct scene {
    int64_t batch, in_c; /* 0: 1 and 40 */
    int stride;          /* 0: 1 */
    int convs[2];        /* of the heads in the end; blocks of 8, of 16 */
    int splits[2];
    head heads[HEADS];
} scene;

typedef struct net {
    oc__arena arena;
    oc__graph *g;
    oc__rng rng;
    oc_value in;
} net;

/* ---- graphs -------------------------------------------------------------- */

static int constant(net *t, int rank, const int64_t *dims) {
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_F32, rank, dims);
    float *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&x));
    oc__rng_fill(&t->rng, data, (size_t)oc_tensor_elems(&x), -1, 1);
    x.data = data;
    return oc__graph_add_constant(t->g, NULL, &x);
}

static int ints(net *t, const int64_t *v, int64_t n) {
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_I64, 1, &n);
    x.data = oc__arena_dup(&t->arena, v, (size_t)n * sizeof(*v));
    return oc__graph_add_constant(t->g, NULL, &x);
}

static oc__node *node(net *t, const char *name, int a, int b, int n_attrs) {
    const oc__op *op = oc__op_find("", name);
    assert_non_null(op);
    oc__node *n =
        oc__graph_add_node(t->g, op, name, VERSION, b >= 0 ? 2 : 1, 1, n_attrs);
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    n->out[0] = oc__graph_add_value(t->g, NULL);
    return n;
}

static const int64_t *list(net *t, int64_t v, size_t n) {
    int64_t *to = oc__arena_array(&t->arena, n, sizeof(*to));
    for (size_t i = 0; i < n; i++)
        to[i] = v;
    return to;
}

static int conv(net *t, int x, int64_t in_c, int64_t out_c, int64_t group,
                int64_t kernel, int64_t stride, const head *h) {
    int64_t dims[4] = {out_c, in_c / group, kernel, kernel};
    const oc__op *op = oc__op_find("", "Conv");
    int w = constant(t, 4, dims), b = h->has_bias ? constant(t, 1, dims) : -1;
    int attrs = group > 1 ? 3 : 2; /* a group of 1 is not written down */
    oc__node *n = oc__graph_add_node(t->g, op, "Conv", VERSION,
                                     h->has_bias ? 3 : 2, 1, attrs);
    n->in[0] = x;
    n->in[1] = w;
    if (h->has_bias) n->in[2] = b;
    n->out[0] = oc__graph_add_value(t->g, NULL);
    if (h->is_same)
        oc__attr_set_string(n, 0, "auto_pad", "SAME_UPPER");
    else
        oc__attr_set_ints(n, 0, "pads", list(t, kernel / 2, 4), 4);
    oc__attr_set_ints(n, 1, "strides", list(t, stride, 2), 2);
    if (group > 1) oc__attr_set_int(n, 2, "group", group);
    return n->out[0];
}

static int activate(net *t, int x, const head *h) {
    oc__node *n = node(t, h->act, x, -1, (h->alpha != 0) + (h->beta != 0));
    if (h->alpha != 0) oc__attr_set_float(n, 0, "alpha", h->alpha);
    if (h->beta != 0) oc__attr_set_float(n, 1, "beta", h->beta);
    return n->out[0];
}

static int channels_last(net *t, int x) {
    static const int64_t perm[4] = {0, 2, 3, 1};
    oc__node *n = node(t, "Transpose", x, -1, 1);
    oc__attr_set_ints(n, 0, "perm", perm, 4);
    return n->out[0];
}

static void output(net *t, int v) {
    t->g->outputs[t->g->n_outputs++] = v;
}

static void finish(net *t, const scene *s, const head *h, int v, int other) {
    const int64_t rows[3] = {s->batch ? s->batch : 1, h->channels, -1};
    static const head plain = {0};
    if (h->end == END_LAST || h->end == END_BOTH)
        output(t, channels_last(t, v));
    if (h->end == END_TURN) output(t, channels_last(t, channels_last(t, v)));
    if (h->end == END_GATE)
        output(t, node(t, "Sigmoid", channels_last(t, v), -1, 0)->out[0]);
    if (h->end == END_ROWS)
        output(t, node(t, "Reshape", v, ints(t, rows, 3), 0)->out[0]);
    if (h->end == END_OUTPUT) output(t, v);
    if (h->end == END_CONV || h->end == END_BOTH)
        output(t, conv(t, v, h->channels, 3, 1, 1, 1, &plain));
    if (h->end == END_POOL)
        output(t, node(t, "GlobalMaxPool", v, -1, 0)->out[0]);
    if (h->end == END_ADD) {
        int w = conv(t, other, 6, h->channels, 1, 1, 1, &plain);
        output(t, node(t, "Add", v, w, 0)->out[0]);
    }
}

/* x -> Conv -> s, which all heads read; END_ADD has a convolution of its own,
   from x. */
static void build(net *t, const scene *s) {
    const int64_t in_c = s->in_c ? s->in_c : 40;
    const int64_t dims[4] = {s->batch ? s->batch : 1, 6, HEIGHT, WIDTH};
    static const head plain = {.has_bias = 1};
    int joined[HEADS], n_joined = 0;
    memset(t, 0, sizeof(*t));
    oc__arena_init(&t->arena, &oc__default_allocator);
    oc__rng_init(&t->rng, 7);
    t->g = oc__graph_create(&t->arena);
    t->g->inputs = oc__arena_array(&t->arena, 1, sizeof(int));
    t->g->outputs = oc__arena_array(&t->arena, 2 * HEADS, sizeof(int));
    t->g->n_inputs = 1;
    int x = t->g->inputs[0] = oc__graph_add_value(t->g, "x");
    t->g->values[x].dtype = OC_DTYPE_F32;
    t->in.kind = OC_KIND_TENSOR;
    oc__tensor_set(&t->in.t, OC_DTYPE_F32, 4, dims);
    float *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&t->in.t));
    oc__rng_fill(&t->rng, data, (size_t)oc_tensor_elems(&t->in.t), -1, 1);
    t->in.t.data = data;
    int stem = conv(t, x, 6, in_c, 1, 3, 1, &plain);
    for (int k = 0; k < HEADS && s->heads[k].channels; k++) {
        const head *h = &s->heads[k];
        int v = conv(t, stem, in_c, h->channels, 1, h->kernel ? h->kernel : 1,
                     s->stride ? s->stride : 1, h);
        if (h->depth)
            v = conv(t, v, h->channels, h->channels, h->channels, h->depth, 1,
                     h);
        if (h->act) v = activate(t, v, h);
        if (h->end == END_JOIN)
            joined[n_joined++] = v;
        else
            finish(t, s, h, v, x);
    }
    if (!n_joined) return;
    oc__node *n = oc__graph_add_node(t->g, oc__op_find("", "Concat"), "Concat",
                                     VERSION, n_joined, 1, 1);
    memcpy(n->in, joined, (size_t)n_joined * sizeof(*joined));
    n->out[0] = oc__graph_add_value(t->g, NULL);
    oc__attr_set_int(n, 0, "axis", 1);
    output(t, n->out[0]);
}

static void destroy(net *t) {
    oc__graph_release(t->g);
    oc__arena_deinit(&t->arena);
}

/* ---- running ------------------------------------------------------------- */

static int count(const oc__graph *g, const char *name) {
    int found = 0;
    for (int i = 0; i < g->n_nodes; i++)
        found += !strcmp(g->nodes[i]->op->name, name);
    return found;
}

typedef struct result {
    int convs, splits;
    float *out[2 * HEADS];
    int64_t elems[2 * HEADS];
} result;

static void run(const net *t, int level, const oc__kernels *k, oc__pool *pool,
                result *r) {
    const oc_value *in[1] = {&t->in};
    oc_error err = {0};
    oc__exec *e = NULL;
    oc__exec_env env = {.kernels = k,
                        .allocator = &oc__default_allocator,
                        .pool = pool,
                        .threads = oc__pool_threads(pool),
                        .level = level};
    memset(r, 0, sizeof(*r));
    if (oc__exec_create(&e, t->g, &env, &err) || oc__exec_run(e, in, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < t->g->n_outputs; i++) {
        const oc_tensor *y = oc_value_tensor(oc__exec_output(e, i));
        r->elems[i] = oc_tensor_elems(y);
        r->out[i] = malloc(oc_tensor_bytes(y));
        memcpy(r->out[i], y->data, oc_tensor_bytes(y));
    }
    r->convs = count(oc__exec_program(e)->graph, "ConvBlocked");
    r->splits = count(oc__exec_program(e)->graph, "Split");
    oc__exec_destroy(e);
}

static void result_free(result *r) {
    for (int i = 0; i < 2 * HEADS; i++)
        free(r->out[i]);
}

static void compare(const float *got, const float *want, int64_t n) {
    float range = 1;
    for (int64_t i = 0; i < n; i++)
        range = fmaxf(range, fabsf(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= 2e-5f * range))
            fail_msg("element %lld is %.9g, not %.9g", (long long)i,
                     (double)got[i], (double)want[i]);
}

static const scene *seen;
static oc__pool *pool;

/* The program has so many convolutions and gives what the graph as it is
   gives by plain C; the same bits from 1 and 3 threads. */
static void check_table(const oc__kernels *k) {
    net t;
    result want, one, three, again;
    int wide = k->block == 16;
    build(&t, seen);
    check_kernel(k, "merged %d", (int)seen->heads[0].channels);
    run(&t, -1, check_scalar(), NULL, &want);
    run(&t, 0, k, NULL, &one);
    run(&t, 0, k, pool, &three);
    run(&t, -1, check_scalar(), NULL, &again); /* the graph is as it was */
    assert_int_equal(one.convs, seen->convs[wide] + 1);
    assert_int_equal(one.splits, seen->splits[wide]);
    for (int i = 0; i < t.g->n_outputs; i++) {
        assert_int_equal(one.elems[i], want.elems[i]);
        compare(one.out[i], want.out[i], want.elems[i]);
        assert_memory_equal(one.out[i], three.out[i],
                            (size_t)want.elems[i] * sizeof(float));
        assert_memory_equal(again.out[i], want.out[i],
                            (size_t)want.elems[i] * sizeof(float));
    }
    result_free(&again);
    result_free(&want);
    result_free(&one);
    result_free(&three);
    destroy(&t);
}

static void check(const scene *s) {
    seen = s;
    check_each_mask(check_table);
}

#define CHECK(...)    check(&(const scene){__VA_ARGS__})
#define HEADS_OF(...) .heads = {__VA_ARGS__}
#define PLAIN(n, bias)                                                         \
    { .channels = (n), .has_bias = (bias) }

/* ---- what becomes one -----------------------------------------------------
 */

static void merge_makes_one_head_of_four(void **state) {
    (void)state;
    for (int bias = 0; bias < 2; bias++)
        CHECK(.convs = {2, 2}, .splits = {1, 1},
              HEADS_OF({1, bias, .depth = 3}, {4, 1, .depth = 3},
                       {1, bias, .depth = 3}, {10, bias, .depth = 3}));
}

static void merge_fills_blocks(void **state) {
    (void)state;
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF(PLAIN(4, 1), PLAIN(8, 1), PLAIN(20, 1)));
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 0, .end = END_ROWS}, {5, 0, .end = END_ROWS}));
    CHECK(.batch = 2, .convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({2, 0, .end = END_ROWS}, {5, 1, .end = END_ROWS},
                   {1, 0, .end = END_ROWS}));
    CHECK(.batch = 3, .convs = {1, 1}, .splits = {1, 1},
          HEADS_OF(PLAIN(2, 1), PLAIN(1, 0)));
}

static void merge_takes_any_window(void **state) {
    (void)state;
    CHECK(.stride = 2, .convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .kernel = 3}, {5, 1, .kernel = 3}));
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .kernel = 3, .is_same = 1}, {5, 1, .kernel = 3}));
    /* The last two differ from the first. */
    CHECK(.convs = {2, 2}, .splits = {1, 1},
          HEADS_OF({3, 1, .kernel = 3}, PLAIN(2, 1), PLAIN(5, 1)));
}

static void merge_lifts_over_what_is_alike(void **state) {
    (void)state;
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .act = "Relu", .end = END_ROWS},
                   {4, 1, .act = "Relu", .end = END_ROWS}));
    CHECK(.convs = {2, 2}, .splits = {1, 1},
          HEADS_OF({3, 1, .depth = 3, .act = "LeakyRelu", .alpha = 0.3f},
                   {5, 1, .depth = 3, .act = "LeakyRelu", .alpha = 0.3f}));
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .end = END_GATE}, {2, 0, .end = END_GATE}));
    CHECK(.batch = 2, .convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .end = END_TURN}, {2, 0, .end = END_TURN}));
    /* One of them ends in another way: the Split stays above. */
    CHECK(.convs = {2, 2}, .splits = {1, 1},
          HEADS_OF({3, 1, .depth = 5, .end = END_ROWS}, {5, 0, .depth = 5}));
}

static void merge_leaves_functions_to_parts(void **state) {
    (void)state;
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({4, 1, .end = END_JOIN},
                   {1, 1, .act = "Sigmoid", .end = END_JOIN}));
}

/* ---- what stays -----------------------------------------------------------
 */

static void merge_needs_blocks_to_save(void **state) {
    (void)state;
    CHECK(.convs = {2, 2}, HEADS_OF(PLAIN(16, 1), PLAIN(16, 1)));
    CHECK(.convs = {2, 2}, HEADS_OF(PLAIN(16, 1), PLAIN(9, 1)));
    CHECK(.convs = {2, 1}, .splits = {0, 1},
          HEADS_OF(PLAIN(8, 1), PLAIN(8, 1)));
}

/* With 40 channels going in, blocks of 16 save more than functions cost. */
static void merge_weighs_functions(void **state) {
    (void)state;
    CHECK(.convs = {2, 1}, .splits = {0, 1},
          HEADS_OF({3, 1, .act = "LeakyRelu", .alpha = 0.3f},
                   {5, 1, .act = "LeakyRelu", .alpha = 0.2f}));
    CHECK(.in_c = 9, .convs = {2, 2},
          HEADS_OF({3, 1, .act = "HardSigmoid", .alpha = 0.3f, .beta = 0.4f},
                   {5, 1, .act = "HardSigmoid", .alpha = 0.3f, .beta = 0.6f}));
    CHECK(.in_c = 9, .convs = {2, 2},
          HEADS_OF({3, 1, .act = "LeakyRelu", .alpha = 0.3f},
                   {5, 1, .act = "LeakyRelu", .alpha = 0.2f}));
}

static void merge_stays_out_of_blocks(void **state) {
    (void)state;
    CHECK(.convs = {4, 4},
          HEADS_OF({3, 1, .end = END_CONV}, {5, 1, .end = END_CONV}));
    CHECK(.convs = {4, 4},
          HEADS_OF({3, 1, .end = END_BOTH}, {5, 1, .end = END_BOTH}));
    CHECK(.convs = {2, 2},
          HEADS_OF({3, 1, .end = END_POOL}, {5, 1, .end = END_POOL}));
    CHECK(.convs = {4, 4},
          HEADS_OF({3, 1, .end = END_ADD}, {5, 1, .end = END_ADD}));
    CHECK(.convs = {4, 4}, HEADS_OF({3, 1, .depth = 3}, {5, 1, .depth = 5}));
    /* What is joined in whole blocks stays in blocks. */
    CHECK(.convs = {2, 2}, .splits = {1, 1},
          HEADS_OF({3, 1, .end = END_JOIN}, {16, 1, .end = END_JOIN},
                   {4, 1, .end = END_JOIN}));
    /* The two behind which all is plain find each other. */
    CHECK(.convs = {3, 3}, .splits = {1, 1},
          HEADS_OF(PLAIN(3, 1), {5, 1, .end = END_CONV}, PLAIN(2, 1)));
}

static void merge_leaves_outputs_alone(void **state) {
    (void)state;
    CHECK(.convs = {2, 2},
          HEADS_OF({3, 1, .end = END_OUTPUT}, {5, 1, .end = END_OUTPUT}));
    CHECK(.convs = {4, 4}, HEADS_OF({3, 1, .depth = 3, .end = END_OUTPUT},
                                    {5, 1, .depth = 3, .end = END_OUTPUT}));
    CHECK(.convs = {2, 2}, .splits = {1, 1},
          HEADS_OF(PLAIN(3, 1), PLAIN(5, 1), {2, 1, .end = END_OUTPUT}));
    /* What a function makes of a convolution may be one. */
    CHECK(.convs = {1, 1}, .splits = {1, 1},
          HEADS_OF({3, 1, .act = "Relu", .end = END_OUTPUT},
                   {5, 1, .act = "Relu", .end = END_OUTPUT}));
}

/* ---- memory -------------------------------------------------------------- */

static const scene yunet = {HEADS_OF({1, 1, .depth = 3}, {4, 0, .depth = 3},
                                     {1, 1, .depth = 3}, {10, 0, .depth = 3})};

static void merge_survives_failing_allocations(void **state) {
    (void)state;
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        net t;
        oc_error err = {0};
        oc__exec *e = NULL;
        build(&t, &yunet);
        const oc_value *in[1] = {&t.in};
        test_allocator_init(&ta, n);
        oc__exec_env env = {.kernels = oc__kernels_native(),
                            .allocator = &ta.base,
                            .threads = 1};
        oc_status st = oc__exec_create(&e, t.g, &env, &err);
        if (st == OC_OK) st = oc__exec_run(e, in, &err);
        oc__exec_destroy(e);
        destroy(&t);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

typedef struct told {
    const void *data[32];
    size_t bytes;
    int n;
} told;

static void consumed(void *user, const void *data, size_t bytes) {
    told *t = user;
    for (int i = 0; i < t->n; i++)
        assert_ptr_not_equal(t->data[i], data);
    t->data[t->n++] = data;
    t->bytes += bytes;
}

/* Weights are given back once nobody reads them, and those that a convolution
   apart shares stay. */
static void merge_gives_weights_back(void **state) {
    (void)state;
    const scene s = {
        HEADS_OF(PLAIN(3, 1), PLAIN(5, 0), {3, 1, .end = END_CONV})};
    net t;
    told sum = {.n = 0};
    oc__pass_env env = {.kernels = oc__kernels_native(),
                        .allocator = &oc__default_allocator,
                        .threads = 1,
                        .consumed = consumed,
                        .user = &sum};
    build(&t, &s);
    oc__node *first = t.g->nodes[1], *third = t.g->nodes[5];
    assert_string_equal(third->op->name, "Conv");
    third->in[1] = first->in[1];
    oc__value_def *x = &t.g->values[t.g->inputs[0]];
    x->kind = OC_KIND_TENSOR;
    x->rank = 4;
    memcpy(x->dims, t.in.t.dims, sizeof(x->dims));
    assert_int_equal(oc__pass_infer(t.g, &env, NULL), OC_OK);
    assert_int_equal(sum.n, 0);
    assert_int_equal(oc__pass_merge_convs(t.g, &env, NULL), OC_OK);
    assert_int_equal(oc__graph_verify(t.g, NULL), OC_OK);
    assert_int_equal(count(t.g, "Split"), 1);
    /* The first one's bias and the second one's weights. */
    assert_int_equal(sum.n, 2);
    assert_int_equal(sum.bytes, (3 + 5 * 40) * sizeof(float));
    assert_non_null(t.g->values[third->in[1]].constant);
    destroy(&t);
}

static int start(void **state) {
    (void)state;
    return oc__pool_create(&pool, &oc__default_allocator, 3, NULL);
}

static int stop(void **state) {
    (void)state;
    oc__pool_destroy(pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_makes_one_head_of_four),
        cmocka_unit_test(merge_fills_blocks),
        cmocka_unit_test(merge_takes_any_window),
        cmocka_unit_test(merge_lifts_over_what_is_alike),
        cmocka_unit_test(merge_leaves_functions_to_parts),
        cmocka_unit_test(merge_needs_blocks_to_save),
        cmocka_unit_test(merge_weighs_functions),
        cmocka_unit_test(merge_stays_out_of_blocks),
        cmocka_unit_test(merge_leaves_outputs_alone),
        cmocka_unit_test(merge_survives_failing_allocations),
        cmocka_unit_test(merge_gives_weights_back),
    };
    return cmocka_run_group_tests_name("merge", tests, start, stop);
}
