/* test_exec.c - src/runtime: compile, plan, run, cache; on graphs made here. */
#include "testing.h"

#include "cpu/features.h"
#include "runtime/exec.h"

#include <math.h>

typedef struct rig {
    test_allocator ta;
    oc__arena arena;
    oc__graph *g;
    oc__kernels kernels;
    oc__exec_env env;
    oc__exec *exec;
    oc_error err;
} rig;

static void rig_init(rig *r, int64_t fail_at) {
    memset(r, 0, sizeof(*r));
    test_allocator_init(&r->ta, fail_at);
    oc__kernels_init(&r->kernels, oc__cpu_resolve(0));
    r->env.kernels = &r->kernels;
    r->env.allocator = &r->ta.base;
    r->env.threads = 1;
    r->env.plan_cache_bytes = 1 << 20;
    oc__arena_init(&r->arena, &oc__default_allocator);
    r->g = oc__graph_create(&r->arena);
}

static void rig_deinit(rig *r) {
    oc__exec_destroy(r->exec);
    oc__pool_destroy(r->env.pool);
    oc__graph_release(r->g);
    oc__arena_deinit(&r->arena);
}

static int add_input(rig *r, const char *name) {
    int v = oc__graph_add_value(r->g, name);
    int *list = oc__arena_array(&r->arena, 8, sizeof(int));
    if (!r->g->inputs) r->g->inputs = list;
    r->g->inputs[r->g->n_inputs++] = v;
    r->g->values[v].dtype = OC_DTYPE_F32;
    return v;
}

static void add_output(rig *r, int v) {
    int *list = oc__arena_array(&r->arena, 8, sizeof(int));
    if (!r->g->outputs) r->g->outputs = list;
    r->g->outputs[r->g->n_outputs++] = v;
}

static int add_op(rig *r, const char *name, int a, int b) {
    const oc__op *op = oc__op_find("", name);
    assert_non_null(op);
    oc__node *n = oc__graph_add_node(r->g, op, name, 18, b >= 0 ? 2 : 1, 1, 0);
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    n->out[0] = oc__graph_add_value(r->g, NULL);
    return n->out[0];
}

static int add_ints(rig *r, const int64_t *v, int64_t n) {
    oc_tensor t;
    oc__tensor_set(&t, OC_DTYPE_I64, 1, &n);
    t.data = oc__arena_dup(&r->arena, v, (size_t)n * sizeof(*v));
    return oc__graph_add_constant(r->g, NULL, &t);
}

static oc_value input(float *data, int64_t rows, int64_t cols) {
    oc_value v = {.kind = OC_KIND_TENSOR};
    int64_t dims[2] = {rows, cols};
    oc__tensor_set(&v.t, OC_DTYPE_F32, 2, dims);
    v.t.data = data;
    return v;
}

/* y = relu(x + x) * x, reshaped to one row. */
static void build_chain(rig *r) {
    static const int64_t one_row[] = {1, -1};
    int x = add_input(r, "x");
    int y = add_op(r, "Add", x, x);
    y = add_op(r, "Relu", y, -1);
    y = add_op(r, "Mul", y, x);
    y = add_op(r, "Reshape", y, add_ints(r, one_row, 2));
    add_output(r, y);
}

static void check_chain(const rig *r, const float *x, int64_t n) {
    const oc_tensor *t = oc_value_tensor(oc__exec_output(r->exec, 0));
    assert_non_null(t);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->dims[0], 1);
    assert_int_equal(t->dims[1], n);
    for (int64_t i = 0; i < n; i++) {
        float want = fmaxf(x[i] + x[i], 0) * x[i];
        assert_true(((const float *)t->data)[i] == want);
    }
}

static void exec_runs_a_chain(void **state) {
    (void)state;
    rig r;
    float x[6] = {-1, 2, -3, 4, 0.5f, -0.25f};
    rig_init(&r, TEST_NEVER);
    build_chain(&r);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value v = input(x, 2, 3);
    const oc_value *in[1] = {&v};
    assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
    check_chain(&r, x, 6);
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

static void exec_allocates_nothing_on_later_runs(void **state) {
    (void)state;
    rig r;
    float x[6] = {-1, 2, -3, 4, 0.5f, -0.25f};
    rig_init(&r, TEST_NEVER);
    build_chain(&r);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value v = input(x, 2, 3);
    const oc_value *in[1] = {&v};
    assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
    int64_t before = r.ta.count;
    for (int i = 0; i < 10; i++) {
        x[0] = (float)i;
        assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
        check_chain(&r, x, 6);
    }
    assert_int_equal(r.ta.count, before);
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

static void plan_reuses_memory_of_dead_tensors(void **state) {
    (void)state;
    rig r;
    static float x[1 << 14];
    rig_init(&r, TEST_NEVER);
    int v = add_input(&r, "x");
    int first = v;
    for (int i = 0; i < 12; i++)
        v = add_op(&r, "Mul", v, first);
    add_output(&r, v);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value val = input(x, 1 << 7, 1 << 7);
    const oc_value *in[1] = {&val};
    assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
    const oc__program *p = oc__exec_program(r.exec);
    /* Each product is written over the one before. */
    assert_true(p->activation_bytes <= sizeof(x));
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

static void exec_keeps_plans_within_the_bound(void **state) {
    (void)state;
    rig r;
    static float x[64 * 64];
    rig_init(&r, TEST_NEVER);
    build_chain(&r);
    r.env.plan_cache_bytes = 100 * 1000;
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    size_t most = 0;
    for (int64_t rows = 1; rows <= 64; rows++) {
        oc_value v = input(x, rows, 64);
        const oc_value *in[1] = {&v};
        assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
        check_chain(&r, x, rows * 64);
        if (r.ta.live_bytes > most) most = r.ta.live_bytes;
    }
    /* 64 plans of a chain would be far beyond; arenas round up to blocks. */
    assert_true(most < 1000 * 1000);
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

static void exec_runs_what_depends_on_data(void **state) {
    (void)state;
    rig r;
    float x[6] = {0, 2, 0, 4, 5, 0};
    rig_init(&r, TEST_NEVER);
    int v = add_input(&r, "x");
    v = add_op(&r, "NonZero", v, -1);
    v = add_op(&r, "Add", v, v);
    add_output(&r, v);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value val = input(x, 2, 3);
    const oc_value *in[1] = {&val};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
        const oc_tensor *t = oc_value_tensor(oc__exec_output(r.exec, 0));
        static const int64_t want[] = {0, 2, 2, 2, 0, 2};
        assert_int_equal(t->dims[0], 2);
        assert_int_equal(t->dims[1], 3);
        assert_memory_equal(t->data, want, sizeof(want));
    }
    x[0] = 1; /* one more element: another shape from the same plan */
    assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
    assert_int_equal(oc_value_tensor(oc__exec_output(r.exec, 0))->dims[1], 4);
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

/* Only at level -1 does nothing remove it, and folding comes first at all. */
static void exec_leaves_out_what_nobody_wants(void **state) {
    (void)state;
    static const int64_t one[] = {1, 0};
    for (int level = -1; level <= 1; level++) {
        rig r;
        float x[6] = {-1, 2, -3, 4, 0.5f, -0.25f};
        rig_init(&r, TEST_NEVER);
        r.env.level = level;
        int v = add_input(&r, "x");
        (void)add_op(&r, "NonZero", v, -1);
        (void)add_op(&r, "NonZero", add_ints(&r, one, 2), -1);
        r.g->nodes[0]->out[0] = r.g->nodes[1]->out[0] = -1;
        add_output(&r, add_op(&r, "Neg", v, -1));
        assert_int_equal(
            oc__passes_run(r.g, &r.kernels, level, &r.ta.base, &r.err), OC_OK);
        assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
        oc_value val = input(x, 2, 3);
        const oc_value *in[1] = {&val};
        assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
        const oc_tensor *t = oc_value_tensor(oc__exec_output(r.exec, 0));
        assert_true(((const float *)t->data)[1] == -2);
        rig_deinit(&r);
        test_allocator_check(&r.ta);
    }
}

static void exec_survives_each_failing_allocation(void **state) {
    (void)state;
    for (int64_t n = 0;; n++) {
        rig r;
        float x[6] = {0, 2, 0, 4, 5, 0};
        rig_init(&r, n);
        build_chain(&r);
        add_output(&r, add_op(&r, "NonZero", r.g->inputs[0], -1));
        oc_value v = input(x, 2, 3);
        const oc_value *in[1] = {&v};
        oc_status st = oc__exec_create(&r.exec, r.g, &r.env, &r.err);
        if (st == OC_OK) st = oc__exec_run(r.exec, in, &r.err);
        rig_deinit(&r);
        test_allocator_check(&r.ta);
        if (!r.ta.failed) {
            assert_int_equal(st, OC_OK);
            assert_true(n > 5); /* the loop has seen something */
            return;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

static void exec_gives_the_same_bits_for_any_thread_count(void **state) {
    (void)state;
    enum { ROWS = 300, COLS = 517 };
    float *x = malloc(sizeof(float) * ROWS * COLS), *want = NULL;
    oc__rng rng;
    oc__rng_init(&rng, 1);
    oc__rng_fill(&rng, x, ROWS * COLS, -3, 3);
    for (int threads = 1; threads <= 5; threads++) {
        rig r;
        rig_init(&r, TEST_NEVER);
        r.env.threads = threads;
        assert_int_equal(
            oc__pool_create(&r.env.pool, &r.ta.base, threads, &r.err), OC_OK);
        int v = add_input(&r, "x");
        v = add_op(&r, "Exp", v, -1);
        v = add_op(&r, "Mul", v, r.g->inputs[0]);
        add_output(&r, v);
        assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
        oc_value val = input(x, ROWS, COLS);
        const oc_value *in[1] = {&val};
        assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_OK);
        const oc_tensor *t = oc_value_tensor(oc__exec_output(r.exec, 0));
        size_t bytes = oc_tensor_bytes(t);
        if (!want) {
            want = malloc(bytes);
            memcpy(want, t->data, bytes);
        }
        assert_memory_equal(t->data, want, bytes);
        rig_deinit(&r);
        test_allocator_check(&r.ta);
    }
    free(want);
    free(x);
}

static void exec_names_the_node_that_fails(void **state) {
    (void)state;
    rig r;
    float x[6] = {0};
    static const int64_t seven[] = {7};
    rig_init(&r, TEST_NEVER);
    int v = add_op(&r, "Reshape", add_input(&r, "x"), add_ints(&r, seven, 1));
    add_output(&r, v);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value val = input(x, 2, 3);
    const oc_value *in[1] = {&val};
    assert_int_equal(oc__exec_run(r.exec, in, &r.err), OC_E_SHAPE);
    assert_string_equal(r.err.node, "Reshape");
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

/* ---- variables ------------------------------------------------------------
 */

/* x <- op(x, ...) on x of two numbers; `later` reads the old x behind it. */
static void run_variable(int in_place, int later) {
    rig r;
    rig_init(&r, TEST_NEVER);
    float x[2] = {3, -4}, v[2] = {1, 1}, g[2] = {2, 0}, knobs[16] = {0.5f};
    int list[4] = {add_input(&r, "x"), add_input(&r, "v"), add_input(&r, "g"),
                   add_input(&r, "knobs")};
    int n_out = in_place ? 2 : 1, out[3];
    oc__update *u = oc__arena_array(&r.arena, 2, sizeof(*u));
    const oc__op *op =
        in_place ? oc__op_find("ocelli", "SgdStep") : oc__op_find("", "Sub");
    oc__node *n =
        oc__graph_add_node(r.g, op, "n", 14, in_place ? 4 : 2, n_out, 0);
    memcpy(n->in, list, (size_t)n->n_in * sizeof(int));
    for (int i = 0; i < n_out; i++)
        add_output(&r, n->out[i] = out[i] = oc__graph_add_value(r.g, NULL));
    if (later == 1) add_output(&r, add_op(&r, "Neg", list[0], -1));
    if (later == 2) { /* a part of the new value */
        oc__node *s =
            oc__graph_add_node(r.g, oc__op_find("", "Split"), "s", 11, 1, 2, 1);
        s->in[0] = out[0];
        oc__attr_set_int(s, 0, "axis", 0);
        for (int k = 0; k < 2; k++)
            s->out[k] = oc__graph_add_value(r.g, NULL);
        add_output(&r, add_op(&r, "Neg", s->out[1], -1));
        add_output(&r, add_op(&r, "Neg", s->out[0], -1));
    }
    for (int i = 0; i < n_out; i++)
        u[i] = (oc__update){i, i};
    r.g->updates = u;
    r.g->n_updates = n_out;
    assert_int_equal(oc__graph_verify(r.g, &r.err), OC_OK);
    assert_int_equal(oc__exec_create(&r.exec, r.g, &r.env, &r.err), OC_OK);
    oc_value values[4];
    const oc_value *refs[4];
    float *data[4] = {x, v, g, knobs};
    memset(values, 0, sizeof(values));
    for (int i = 0; i < 4; i++) {
        values[i].kind = OC_KIND_TENSOR;
        values[i].t = (oc_tensor){OC_DTYPE_F32, 1, {i == 3 ? 16 : 2}, data[i]};
        refs[i] = &values[i];
    }
    float want[2] = {3, -4}, speed[2] = {1, 1};
    for (int run = 0; run < 3; run++) {
        float before = x[0];
        assert_int_equal(oc__exec_run(r.exec, refs, &r.err), OC_OK);
        for (int i = 0; i < 2; i++) {
            speed[i] = g[i];
            want[i] -= in_place ? 0.5f * speed[i] : v[i];
            assert_true(x[i] == want[i]);
        }
        const oc_value *y = oc__exec_output(r.exec, 0);
        if (in_place && !later) assert_ptr_equal(y->t.data, x);
        assert_true(((const float *)y->t.data)[0] == want[0]);
        if (later) {
            const oc_value *z = oc__exec_output(r.exec, n_out);
            float from = later == 1 ? before : want[1];
            assert_true(((const float *)z->t.data)[0] == -from);
        }
    }
    if (in_place) assert_true(v[0] == speed[0] && v[1] == speed[1]);
    rig_deinit(&r);
    test_allocator_check(&r.ta);
}

static void exec_keeps_variables_from_run_to_run(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++)
        run_variable(i % 2, i / 2);
}

static void exec_refuses_variables_that_are_none(void **state) {
    (void)state;
    rig r;
    rig_init(&r, TEST_NEVER);
    int a = add_input(&r, "a");
    oc__update u[2] = {{0, 1}, {0, 0}};
    add_output(&r, add_op(&r, "Neg", a, -1));
    r.g->updates = u;
    r.g->n_updates = 1;
    assert_int_equal(oc__graph_verify(r.g, &r.err), OC_E_FORMAT);
    u[0].output = 0;
    assert_int_equal(oc__graph_verify(r.g, &r.err), OC_OK);
    r.g->n_updates = 2;
    assert_int_equal(oc__graph_verify(r.g, &r.err), OC_E_FORMAT);
    rig_deinit(&r);
}

/* ---- random networks of what shares memory, against plain arrays --------- */

enum { MAX_VALUES = 64, MAX_ROWS = 24, WIDTH = 3 };

typedef struct plain {
    int value, rows;
    float data[MAX_ROWS * WIDTH];
} plain;

typedef struct net {
    rig r;
    uint64_t seed;
    int n;
    plain v[MAX_VALUES];
} net;

static int draw(net *t, int below) {
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((t->seed >> 33) % (uint64_t)below);
}

static plain *new_plain(net *t, int value, int rows) {
    plain *p = &t->v[t->n++];
    p->value = value;
    p->rows = rows;
    return p;
}

static void add_unary(net *t) {
    static const char *const names[] = {"Relu", "Neg", "Identity"};
    int kind = draw(t, 3);
    const plain *a = &t->v[draw(t, t->n)];
    plain *y = new_plain(t, add_op(&t->r, names[kind], a->value, -1), a->rows);
    for (int i = 0; i < a->rows * WIDTH; i++)
        y->data[i] = kind == 0   ? fmaxf(a->data[i], 0)
                     : kind == 1 ? -a->data[i]
                                 : a->data[i];
}

static void add_sum(net *t) {
    const plain *a = &t->v[draw(t, t->n)], *b = &t->v[draw(t, t->n)];
    if (a->rows != b->rows) return;
    plain *y = new_plain(t, add_op(&t->r, "Add", a->value, b->value), a->rows);
    for (int i = 0; i < a->rows * WIDTH; i++)
        y->data[i] = a->data[i] + b->data[i];
}

static void add_concat(net *t) {
    int count = 1 + draw(t, 3), rows = 0, part[3];
    for (int k = 0; k < count; k++) {
        part[k] = draw(t, t->n);
        rows += t->v[part[k]].rows;
    }
    if (rows > MAX_ROWS) return;
    oc__node *n = oc__graph_add_node(t->r.g, oc__op_find("", "Concat"), "c", 13,
                                     count, 1, 1);
    oc__attr_set_int(n, 0, "axis", draw(t, 2) ? 0 : -2);
    n->out[0] = oc__graph_add_value(t->r.g, NULL);
    plain *y = new_plain(t, n->out[0], rows);
    for (int k = 0, at = 0; k < count; k++) {
        const plain *x = &t->v[part[k]];
        n->in[k] = x->value;
        memcpy(y->data + at, x->data,
               (size_t)(x->rows * WIDTH) * sizeof(float));
        at += x->rows * WIDTH;
    }
}

/* In two parts, the second of which nobody may want. */
static void add_split(net *t) {
    const plain *x = &t->v[draw(t, t->n)];
    if (x->rows < 2) return;
    int first = 1 + draw(t, x->rows - 1), both = draw(t, 4) > 0;
    int64_t *sizes = oc__arena_array(&t->r.arena, 2, sizeof(*sizes));
    sizes[0] = first;
    sizes[1] = x->rows - first;
    oc__node *n =
        oc__graph_add_node(t->r.g, oc__op_find("", "Split"), "s", 11, 1, 2, 2);
    n->in[0] = x->value;
    oc__attr_set_int(n, 0, "axis", 0);
    oc__attr_set_ints(n, 1, "split", sizes, 2);
    const float *from = x->data;
    for (int k = 0; k < 1 + both; k++) {
        n->out[k] = oc__graph_add_value(t->r.g, NULL);
        plain *y = new_plain(t, n->out[k], (int)sizes[k]);
        memcpy(y->data, from, (size_t)(y->rows * WIDTH) * sizeof(float));
        from += y->rows * WIDTH;
    }
}

static void build_random(net *t) {
    for (int k = 0; k < 2; k++) {
        plain *x = new_plain(t, add_input(&t->r, k ? "b" : "a"), 2 + k);
        for (int i = 0; i < x->rows * WIDTH; i++)
            x->data[i] = (float)(draw(t, 2001) - 1000) / 64;
    }
    for (int k = 0; k < 16 && t->n + 2 < MAX_VALUES; k++) {
        int kind = draw(t, 6);
        if (kind < 2) add_concat(t);
        if (kind == 2) add_split(t);
        if (kind == 3) add_sum(t);
        if (kind > 3) add_unary(t);
    }
    for (int k = 2; k < t->n && t->r.g->n_outputs < 7; k++)
        if (k == t->n - 1 || draw(t, 4) == 0) add_output(&t->r, t->v[k].value);
}

static void check_random(net *t, int number) {
    oc_value in[2];
    const oc_value *ins[2] = {&in[0], &in[1]};
    for (int k = 0; k < 2; k++)
        in[k] = input(t->v[k].data, t->v[k].rows, WIDTH);
    for (int run = 0; run < 2; run++)
        assert_int_equal(oc__exec_run(t->r.exec, ins, &t->r.err), OC_OK);
    for (int o = 0; o < t->r.g->n_outputs; o++) {
        const oc_tensor *y = oc_value_tensor(oc__exec_output(t->r.exec, o));
        const plain *want = t->v;
        while (want->value != t->r.g->outputs[o])
            want++;
        assert_int_equal(y->dims[0], want->rows);
        for (int i = 0; i < want->rows * WIDTH; i++)
            if (((const float *)y->data)[i] != want->data[i])
                fail_msg("network %d, output %d differs", number, o);
    }
}

static void plan_keeps_what_shares_memory_apart(void **state) {
    (void)state;
    static net t;
    int count = test_is_small() ? 200 : 2000;
    for (int i = 0; i < count; i++) {
        memset(&t, 0, sizeof(t));
        t.seed = (uint64_t)i;
        rig_init(&t.r, TEST_NEVER);
        t.r.env.level = i % 2 ? -1 : 0;
        build_random(&t);
        if (t.r.g->n_outputs) {
            assert_int_equal(
                oc__exec_create(&t.r.exec, t.r.g, &t.r.env, &t.r.err), OC_OK);
            check_random(&t, i);
        }
        rig_deinit(&t.r);
        test_allocator_check(&t.r.ta);
    }
}

/* Split, a step on one part, and all joined again: only that step runs. */
static void plan_moves_no_part(void **state) {
    (void)state;
    net t = {.seed = 7};
    static const int64_t halves[] = {2, 2};
    rig_init(&t.r, TEST_NEVER);
    float x[4 * WIDTH] = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12};
    int a = add_op(&t.r, "Neg", add_input(&t.r, "x"), -1);
    oc__node *s =
        oc__graph_add_node(t.r.g, oc__op_find("", "Split"), "s", 11, 1, 2, 2);
    s->in[0] = a;
    oc__attr_set_int(s, 0, "axis", 0);
    oc__attr_set_ints(s, 1, "split", halves, 2);
    for (int k = 0; k < 2; k++)
        s->out[k] = oc__graph_add_value(t.r.g, NULL);
    int relu = add_op(&t.r, "Relu", s->out[1], -1);
    oc__node *c =
        oc__graph_add_node(t.r.g, oc__op_find("", "Concat"), "c", 13, 3, 1, 1);
    oc__attr_set_int(c, 0, "axis", 0);
    c->in[0] = s->out[0];
    c->in[1] = s->out[1];
    c->in[2] = relu;
    c->out[0] = oc__graph_add_value(t.r.g, NULL);
    add_output(&t.r, c->out[0]);
    assert_int_equal(oc__exec_create(&t.r.exec, t.r.g, &t.r.env, &t.r.err),
                     OC_OK);
    oc_value v = input(x, 4, WIDTH);
    const oc_value *in[1] = {&v};
    assert_int_equal(oc__exec_run(t.r.exec, in, &t.r.err), OC_OK);
    const oc__program *p = oc__exec_program(t.r.exec);
    assert_int_equal(p->n_steps, 4);
    assert_int_equal(p->steps[1].view, 1);
    assert_int_equal(p->steps[3].view, 1);
    assert_int_equal(p->activation_bytes, 6 * WIDTH * 4 + 56); /* to 64 */
    const oc_tensor *y = oc_value_tensor(oc__exec_output(t.r.exec, 0));
    for (int i = 0; i < 4 * WIDTH; i++)
        assert_true(((const float *)y->data)[i] == -x[i]);
    for (int i = 0; i < 2 * WIDTH; i++)
        assert_true(((const float *)y->data)[4 * WIDTH + i] ==
                    fmaxf(-x[2 * WIDTH + i], 0));
    rig_deinit(&t.r);
    test_allocator_check(&t.r.ta);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_keeps_what_shares_memory_apart),
        cmocka_unit_test(plan_moves_no_part),
        cmocka_unit_test(exec_keeps_variables_from_run_to_run),
        cmocka_unit_test(exec_refuses_variables_that_are_none),
        cmocka_unit_test(exec_runs_a_chain),
        cmocka_unit_test(exec_allocates_nothing_on_later_runs),
        cmocka_unit_test(plan_reuses_memory_of_dead_tensors),
        cmocka_unit_test(exec_keeps_plans_within_the_bound),
        cmocka_unit_test(exec_runs_what_depends_on_data),
        cmocka_unit_test(exec_leaves_out_what_nobody_wants),
        cmocka_unit_test(exec_survives_each_failing_allocation),
        cmocka_unit_test(exec_gives_the_same_bits_for_any_thread_count),
        cmocka_unit_test(exec_names_the_node_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
