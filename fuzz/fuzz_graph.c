/*
 * fuzz_graph.c - random networks: what the passes make of one must compute
 * the same as the graph as it was, under every CPU mask.
 *
 * Each byte of the input chooses the next node or its parameters; weights
 * come from a generator seeded by the input.  A difference beyond rounding,
 * or a graph that runs one way and fails the other, aborts.
 */
#include "cpu/features.h"
#include "runtime/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 24, MAX_ELEMS = 1 << 15 };

typedef struct reader {
    const uint8_t *p;
    size_t n;
} reader;

static int take(reader *r, int below) {
    if (r->n == 0) return 0;
    r->n--;
    return *r->p++ % below;
}

typedef struct net {
    oc__arena arena;
    oc__graph *g;
    oc__rng rng;
    int values[MAX_NODES + 1]; /* of rank 4 */
    int64_t dims[MAX_NODES + 1][4];
    int n;
    int outputs[2];
} net;

static int64_t elems(const int64_t *d) {
    return d[0] * d[1] * d[2] * d[3];
}

static int constant(net *w, int rank, const int64_t *dims, float lo, float hi) {
    oc_tensor t;
    oc__tensor_set(&t, OC_DTYPE_F32, rank, dims);
    size_t n = (size_t)oc_tensor_elems(&t);
    t.data = oc__arena_array(&w->arena, n + 1, sizeof(float));
    oc__rng_fill(&w->rng, t.data, n, lo, hi);
    return oc__graph_add_constant(w->g, NULL, &t);
}

/* Adds a node of this op over inputs in[n_in]; its output has dims d. */
static oc__node *node(net *w, const char *name, int n_in, const int *in,
                      int n_attrs, const int64_t *d) {
    const oc__op *op = oc__op_find("", name);
    if (!op) return NULL;
    oc__node *n = oc__graph_add_node(w->g, op, name, 18, n_in, 1, n_attrs);
    memcpy(n->in, in, (size_t)n_in * sizeof(int));
    n->out[0] = oc__graph_add_value(w->g, NULL);
    w->values[w->n] = n->out[0];
    memcpy(w->dims[w->n], d, sizeof(w->dims[0]));
    w->n++;
    return n;
}

static const int64_t *ints(net *w, int64_t a, int64_t b, int64_t c, int64_t d) {
    int64_t v[4] = {a, b, c, d};
    return oc__arena_dup(&w->arena, v, sizeof(v));
}

static void add_conv(net *w, reader *r, int x) {
    const int64_t *d = w->dims[x];
    int64_t k = 1 + 2 * take(r, 3), stride = 1 + take(r, 2);
    int64_t dilation = 1 + take(r, 2), pad = take(r, 3);
    int64_t groups[3] = {1, d[1], d[1] % 2 ? 1 : 2};
    int64_t group = groups[take(r, 3)];
    int64_t per = 1 + take(r, 24),
            out_c = group == d[1] && take(r, 2) ? d[1] : group * per;
    int64_t span = (k - 1) * dilation + 1;
    int64_t od[4] = {d[0], out_c, (d[2] + 2 * pad - span) / stride + 1,
                     (d[3] + 2 * pad - span) / stride + 1};
    if (d[2] + 2 * pad < span || d[3] + 2 * pad < span || out_c > 64 ||
        elems(od) > MAX_ELEMS)
        return;
    int64_t wd[4] = {out_c, d[1] / group, k, k};
    float scale = 1.0f / sqrtf((float)(wd[1] * k * k));
    int in[3] = {w->values[x], constant(w, 4, wd, -scale, scale),
                 take(r, 2) ? constant(w, 1, &out_c, -1, 1) : -1};
    oc__node *n = node(w, "Conv", 3, in, 5, od);
    if (!n) return;
    oc__attr_set_ints(n, 0, "kernel_shape", ints(w, k, k, 0, 0), 2);
    oc__attr_set_ints(n, 1, "strides", ints(w, stride, stride, 0, 0), 2);
    oc__attr_set_ints(n, 2, "dilations", ints(w, dilation, dilation, 0, 0), 2);
    oc__attr_set_ints(n, 3, "pads", ints(w, pad, pad, pad, pad), 4);
    oc__attr_set_int(n, 4, "group", group);
}

static void add_pool(net *w, reader *r, int x) {
    static const char *const names[] = {"MaxPool", "AveragePool"};
    const int64_t *d = w->dims[x];
    int64_t k = 2 + take(r, 2), stride = 1 + take(r, 2), pad = take(r, 2);
    int64_t od[4] = {d[0], d[1], (d[2] + 2 * pad - k) / stride + 1,
                     (d[3] + 2 * pad - k) / stride + 1};
    if (d[2] + 2 * pad < k || d[3] + 2 * pad < k) return;
    int which = take(r, 2), in[1] = {w->values[x]};
    oc__node *n = node(w, names[which], 1, in, 4, od);
    if (!n) return;
    oc__attr_set_ints(n, 0, "kernel_shape", ints(w, k, k, 0, 0), 2);
    oc__attr_set_ints(n, 1, "strides", ints(w, stride, stride, 0, 0), 2);
    oc__attr_set_ints(n, 2, "pads", ints(w, pad, pad, pad, pad), 4);
    oc__attr_set_int(n, 3, which ? "count_include_pad" : "storage_order",
                     which ? take(r, 2) : 0);
}

static void add_unary(net *w, reader *r, int x) {
    static const char *const names[] = {
        "Relu", "Sigmoid",   "Tanh",     "HardSwish", "HardSigmoid",
        "Elu",  "LeakyRelu", "Softplus", "Abs",       "Neg"};
    int in[1] = {w->values[x]};
    node(w, names[take(r, 10)], 1, in, 0, w->dims[x]);
}

/* x times a gate of x, as exporters write SiLU and its like. */
static void add_gated(net *w, reader *r, int x) {
    static const char *const gates[] = {"Sigmoid", "HardSigmoid", "Softplus"};
    int in[1] = {w->values[x]};
    if (!node(w, gates[take(r, 3)], 1, in, 0, w->dims[x])) return;
    if (w->n > MAX_NODES) return;
    int both[2] = {w->values[x], w->values[w->n - 1]};
    node(w, "Mul", 2, both, 0, w->dims[x]);
}

static void add_binary(net *w, reader *r, int x) {
    static const char *const names[] = {"Add", "Sub", "Mul"};
    const char *name = names[take(r, 3)];
    const int64_t *d = w->dims[x];
    int in[2] = {w->values[x], -1};
    int64_t cd[3] = {d[1], 1, 1};
    switch (take(r, 3)) {
    case 0: in[1] = constant(w, 3, cd, -1, 1); break;
    case 1: in[1] = constant(w, 0, NULL, -1, 1); break;
    default: {
        int y = take(r, w->n);
        if (memcmp(d, w->dims[y], sizeof(w->dims[0]))) return;
        in[1] = w->values[y];
    }
    }
    if (take(r, 2)) {
        int swap = in[0];
        in[0] = in[1];
        in[1] = swap;
    }
    node(w, name, 2, in, 0, d);
}

static void add_join(net *w, reader *r, int x) {
    int y = take(r, w->n);
    const int64_t *a = w->dims[x], *b = w->dims[y];
    if (a[2] != b[2] || a[3] != b[3]) return;
    int64_t od[4] = {a[0], a[1] + b[1], a[2], a[3]};
    if (od[1] > 96 || elems(od) > MAX_ELEMS) return;
    int in[2] = {w->values[x], w->values[y]};
    oc__node *n = node(w, "Concat", 2, in, 1, od);
    if (n) oc__attr_set_int(n, 0, "axis", 1);
}

static void add_batch_norm(net *w, int x) {
    int64_t c = w->dims[x][1];
    int in[5] = {w->values[x], constant(w, 1, &c, 0.5f, 1.5f),
                 constant(w, 1, &c, -1, 1), constant(w, 1, &c, -1, 1),
                 constant(w, 1, &c, 0.5f, 2)};
    node(w, "BatchNormalization", 5, in, 0, w->dims[x]);
}

static void add_transpose(net *w, reader *r, int x) {
    static const int perms[4][4] = {
        {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 1, 2, 3}};
    const int *p = perms[take(r, 4)];
    const int64_t *d = w->dims[x];
    int64_t od[4] = {d[p[0]], d[p[1]], d[p[2]], d[p[3]]};
    int in[1] = {w->values[x]};
    if (od[1] > 64) return;
    oc__node *n = node(w, "Transpose", 1, in, 1, od);
    if (n) oc__attr_set_ints(n, 0, "perm", ints(w, p[0], p[1], p[2], p[3]), 4);
}

static void add_global_pool(net *w, int x) {
    const int64_t *d = w->dims[x];
    int64_t od[4] = {d[0], d[1], 1, 1};
    int in[1] = {w->values[x]};
    if (!node(w, "GlobalAveragePool", 1, in, 0, od)) return;
    if (w->n > MAX_NODES) return;
    /* Squeeze and excite: the gate goes back onto what it came from. */
    int both[2] = {w->values[x], w->values[w->n - 1]};
    node(w, "Mul", 2, both, 0, d);
}

static void build(net *w, reader *r) {
    memset(w, 0, sizeof(*w));
    oc__arena_init(&w->arena, &oc__default_allocator);
    oc__rng_init(&w->rng, (uint64_t)take(r, 256));
    w->g = oc__graph_create(&w->arena);
    int v = oc__graph_add_value(w->g, "x");
    w->g->values[v].dtype = OC_DTYPE_F32;
    w->g->inputs = oc__arena_dup(&w->arena, &v, sizeof(v));
    w->g->n_inputs = 1;
    w->values[0] = v;
    int64_t d[4] = {1 + take(r, 2), 1 + take(r, 40), 1 + take(r, 20),
                    1 + take(r, 20)};
    memcpy(w->dims[0], d, sizeof(d));
    w->n = 1;
    while (r->n > 0 && w->n < MAX_NODES) {
        int x = w->n - 1 - take(r, w->n < 3 ? w->n : 3);
        switch (take(r, 10)) {
        case 0:
        case 1: add_conv(w, r, x); break;
        case 2: add_pool(w, r, x); break;
        case 3: add_unary(w, r, x); break;
        case 4: add_gated(w, r, x); break;
        case 5: add_binary(w, r, x); break;
        case 6: add_join(w, r, x); break;
        case 7: add_batch_norm(w, x); break;
        case 8: add_transpose(w, r, x); break;
        default: add_global_pool(w, x); break;
        }
    }
    w->outputs[0] = w->values[w->n - 1];
    w->outputs[1] = w->values[w->n / 2];
    w->g->outputs = w->outputs;
    w->g->n_outputs = 2;
}

static void die(const char *what, const oc_error *err) {
    fprintf(stderr, "fuzz_graph: %s: %s\n", what, err->message);
    abort();
}

/* Runs w at this level under this mask; copies of the outputs. */
static oc_status run(net *w, int level, uint32_t cpu, const oc_value *x,
                     oc_value *out, oc_error *err) {
    oc__kernels k;
    oc__exec_env env = {.kernels = &k,
                        .allocator = &oc__default_allocator,
                        .threads = 1,
                        .level = level,
                        .plan_cache_bytes = 1 << 20};
    oc__exec *e = NULL;
    oc__kernels_init(&k, cpu);
    oc__graph *g = oc__graph_clone(w->g, &w->arena);
    if (!g) abort();
    oc_status st = oc__passes_run(g, &k, level, env.allocator, err);
    if (st == OC_OK) st = oc__exec_create(&e, g, &env, err);
    if (st == OC_OK) st = oc__exec_run(e, &x, err);
    for (int i = 0; i < 2 && st == OC_OK; i++)
        st = oc__value_copy_tensor(&out[i], &oc__exec_output(e, i)->t,
                                   env.allocator, err);
    oc__exec_destroy(e);
    oc__graph_release(g);
    return st;
}

/* Equal within the rounding of a chain of layers, relative to the range. */
static void compare(const oc_tensor *a, const oc_tensor *b) {
    oc_error err = {0};
    if (!oc__tensor_same_shape(a, b)) die("shapes differ", &err);
    const float *x = a->data, *y = b->data;
    float range = 1e-3f;
    int64_t n = oc_tensor_elems(a);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) range = fmaxf(range, fabsf(x[i]));
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || range > 1e15f) continue;
        if (!(fabsf(x[i] - y[i]) <= 1e-3f * range)) {
            snprintf(err.message, sizeof(err.message),
                     "element %lld: %g and %g in a range of %g", (long long)i,
                     (double)x[i], (double)y[i], (double)range);
            die("results differ", &err);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    reader r = {data, size};
    net w;
    build(&w, &r);
    oc_value x = {0}, want[2] = {{0}}, got[2] = {{0}};
    oc_error err = {0};
    if (oc__value_alloc_tensor(&x, &oc__default_allocator, OC_DTYPE_F32, 4,
                               w.dims[0], &err))
        abort();
    oc__rng_fill(&w.rng, x.t.data, (size_t)oc_tensor_elems(&x.t), -1, 1);
    uint32_t masks[3] = {0, OC_CPU_SSE41 | OC_CPU_AVX2, oc_cpu_features()};
    masks[1] &= oc_cpu_features();
    oc_status st = run(&w, -1, 0, &x, want, &err);
    if (st != OC_OK) die("the graph as it was does not run", &err);
    for (int m = 0; m < 3; m++) {
        st = run(&w, 0, masks[m], &x, got, &err);
        if (st != OC_OK) die("the optimised graph does not run", &err);
        for (int i = 0; i < 2; i++)
            compare(&want[i].t, &got[i].t);
    }
    for (int i = 0; i < 2; i++) {
        oc__value_clear(&want[i]);
        oc__value_clear(&got[i]);
    }
    oc__value_clear(&x);
    oc__graph_release(w.g);
    oc__arena_deinit(&w.arena);
    return 0;
}
