/*
 * test_passes.c - the passes that fuse what exporters write in pieces: what
 * they make of a graph computes what the graph computed, with as few nodes as
 * it should have; and graphs that only look alike stay as they are.
 */
#include "op_call.h"
#include "testing.h"

#include "base/rng.h"
#include "runtime/exec.h"

#include <math.h>
#include <stdio.h>

enum { MAX_IN = 6, MAX_OUT = 3, VERSION = 18 };

/* ---- graphs -------------------------------------------------------------- */

typedef struct net {
    oc__arena arena;
    oc__graph *g;
    oc__rng rng;
    oc_value in[MAX_IN];
    float *result[MAX_OUT]; /* of the graph as it is */
} net;

static void net_init(net *t) {
    memset(t, 0, sizeof(*t));
    oc__arena_init(&t->arena, &oc__default_allocator);
    oc__rng_init(&t->rng, 5);
    t->g = oc__graph_create(&t->arena);
    t->g->inputs = oc__arena_array(&t->arena, MAX_IN, sizeof(int));
    t->g->outputs = oc__arena_array(&t->arena, MAX_OUT, sizeof(int));
}

static void net_deinit(net *t) {
    for (int i = 0; i < MAX_OUT; i++)
        free(t->result[i]);
    oc__graph_release(t->g);
    oc__arena_deinit(&t->arena);
}

/* A tensor of random numbers; dims end with 0. */
static oc_tensor numbers(net *t, const int64_t *dims, float lo, float hi) {
    oc_tensor x;
    int rank = 0;
    while (dims[rank])
        rank++;
    oc__tensor_set(&x, OC_DTYPE_F32, rank, dims);
    float *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&x));
    oc__rng_fill(&t->rng, data, (size_t)oc_tensor_elems(&x), lo, hi);
    x.data = data;
    return x;
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__, 0})

static int input(net *t, const int64_t *dims) {
    int v = oc__graph_add_value(t->g, NULL), i = t->g->n_inputs++;
    assert_true(i < MAX_IN);
    t->g->inputs[i] = v;
    t->in[i].kind = OC_KIND_TENSOR;
    t->in[i].t = numbers(t, dims, -2, 2);
    t->g->values[v].dtype = OC_DTYPE_F32;
    return v;
}

static void output(net *t, int v) {
    assert_true(t->g->n_outputs < MAX_OUT);
    t->g->outputs[t->g->n_outputs++] = v;
}

static int weight(net *t, const int64_t *dims) {
    oc_tensor x = numbers(t, dims, -1, 1);
    return oc__graph_add_constant(t->g, NULL, &x);
}

static int number(net *t, double v) {
    float f = (float)v;
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_F32, 0, NULL);
    x.data = oc__arena_dup(&t->arena, &f, sizeof(f));
    return oc__graph_add_constant(t->g, NULL, &x);
}

static int ints(net *t, const int64_t *v, int64_t n) {
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_I64, 1, &n);
    x.data = oc__arena_dup(&t->arena, v, (size_t)n * sizeof(*v));
    return oc__graph_add_constant(t->g, NULL, &x);
}

static oc__node *node(net *t, const char *name, int version, int n_in,
                      int n_out, int n_attrs) {
    const oc__op *op = oc__op_find("", name);
    assert_non_null(op);
    oc__node *n =
        oc__graph_add_node(t->g, op, name, version, n_in, n_out, n_attrs);
    for (int i = 0; i < n_out; i++)
        n->out[i] = oc__graph_add_value(t->g, NULL);
    return n;
}

static int op2(net *t, const char *name, int a, int b) {
    oc__node *n = node(t, name, VERSION, b >= 0 ? 2 : 1, 1, 0);
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    return n->out[0];
}

static int op1(net *t, const char *name, int a) {
    return op2(t, name, a, -1);
}

static int mul_by(net *t, int a, double by) {
    return op2(t, "Mul", a, number(t, by));
}

/* perm: "0213" */
static int transpose(net *t, int a, const char *perm) {
    size_t rank = strlen(perm);
    int64_t *list = oc__arena_array(&t->arena, rank, sizeof(*list));
    oc__node *n = node(t, "Transpose", VERSION, 1, 1, 1);
    for (size_t i = 0; i < rank; i++)
        list[i] = perm[i] - '0';
    n->in[0] = a;
    oc__attr_set_ints(n, 0, "perm", list, rank);
    return n->out[0];
}

static int reshape(net *t, int a, const int64_t *dims) {
    int64_t rank = 0;
    while (dims[rank])
        rank++;
    return op2(t, "Reshape", a, ints(t, dims, rank));
}

static int with_axis(net *t, const char *name, int a, int b, int64_t axis) {
    oc__node *n = node(t, name, VERSION, b >= 0 ? 2 : 1, 1, 1);
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    oc__attr_set_int(n, 0, "axis", axis);
    return n->out[0];
}

/* ---- running ------------------------------------------------------------- */

/* How many nodes of a name, and nodes in all, a program has. */
static int count(const oc__graph *g, const char *name) {
    int found = 0;
    for (int i = 0; i < g->n_nodes; i++)
        found += !name || !strcmp(g->nodes[i]->op->name, name);
    return found;
}

/* What a run gives, and how many nodes the program had. */
typedef struct seen {
    int nodes, named;
} seen;

static seen run(net *t, int level, const oc__kernels *k, oc__pool *pool,
                const char *name, float **out, int64_t *n) {
    const oc_value *in[MAX_IN];
    oc_error err = {0};
    oc__exec *e = NULL;
    oc__exec_env env = {.kernels = k,
                        .allocator = &oc__default_allocator,
                        .pool = pool,
                        .threads = oc__pool_threads(pool),
                        .level = level};
    for (int i = 0; i < MAX_IN; i++)
        in[i] = &t->in[i];
    if (oc__exec_create(&e, t->g, &env, &err) || oc__exec_run(e, in, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < t->g->n_outputs; i++) {
        const oc_tensor *y = oc_value_tensor(oc__exec_output(e, i));
        n[i] = oc_tensor_elems(y);
        out[i] = malloc(oc_tensor_bytes(y));
        memcpy(out[i], y->data, oc_tensor_bytes(y));
    }
    const oc__graph *g = oc__exec_program(e)->graph;
    seen s = {count(g, NULL), count(g, name)};
    oc__exec_destroy(e);
    return s;
}

static void compare(const float *got, const float *want, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float slack = 1e-5f * fmaxf(1, fabsf(want[i]));
        if (got[i] == want[i]) continue; /* infinities, too */
        if (isnan(want[i]) ? !isnan(got[i])
                           : !(fabsf(got[i] - want[i]) <= slack))
            fail_msg("element %lld is %.9g, not %.9g", (long long)i,
                     (double)got[i], (double)want[i]);
    }
}

/*
 * Runs the graph as it is and as the passes leave it, by plain C and by the
 * best kernels, with 1 and 3 threads: the same results, to the bit for any
 * number of threads.  The program has `named` nodes of the name, and `nodes`
 * in all (-1: any number).
 */
static void check(net *t, const char *name, int named, int nodes) {
    oc__kernels plain;
    oc__kernels_init(&plain, 0);
    const oc__kernels *tables[] = {&plain, oc__kernels_native()};
    int64_t n[MAX_OUT], m[MAX_OUT];
    oc__pool *pool = NULL;
    assert_int_equal(oc__pool_create(&pool, &oc__default_allocator, 3, NULL),
                     OC_OK);
    run(t, -1, &plain, NULL, NULL, t->result, n);
    for (size_t k = 0; k < OC_COUNT(tables); k++) {
        float *one[MAX_OUT], *three[MAX_OUT];
        seen s = run(t, 0, tables[k], NULL, name, one, m);
        if (s.named != named)
            fail_msg("%d nodes %s, not %d", s.named, name, named);
        if (nodes >= 0 && s.nodes != nodes)
            fail_msg("%d nodes in all, not %d", s.nodes, nodes);
        run(t, 0, tables[k], pool, NULL, three, m);
        for (int i = 0; i < t->g->n_outputs; i++) {
            assert_int_equal(n[i], m[i]);
            compare(one[i], t->result[i], n[i]);
            assert_memory_equal(one[i], three[i], (size_t)n[i] * 4);
            free(one[i]);
            free(three[i]);
        }
    }
    oc__pool_destroy(pool);
}

/* The same of the passes of load time, which leave `named` nodes of the name.
 */
static void check_loaded(net *t, const char *name, int named) {
    const oc__kernels *k = oc__kernels_native();
    float *got[MAX_OUT];
    int64_t n[MAX_OUT], m[MAX_OUT];
    oc_error err = {0};
    run(t, -1, k, NULL, NULL, t->result, n);
    if (oc__passes_run(t->g, k, 0, &oc__default_allocator, &err))
        fail_msg("%s", err.message);
    assert_int_equal(count(t->g, name), named);
    run(t, -1, k, NULL, NULL, got, m);
    for (int i = 0; i < t->g->n_outputs; i++) {
        assert_int_equal(n[i], m[i]);
        compare(got[i], t->result[i], n[i]);
        free(got[i]);
    }
}

/* ---- normalisations ------------------------------------------------------ */

enum { ROOT_DIV, ROOT_RECIPROCAL, ROOT_ONE_DIV, ROOT_POW, ROOT_HALF, ROOTS };
enum {
    NORM_PLAIN,
    NORM_OTHER_AXIS,  /* the variance is over another dimension */
    NORM_EPSILON,     /* epsilon is an input */
    NORM_SHOWN,       /* the variance is an output, too */
    NORM_NOT_LAST,    /* all means over a dimension that is not the last */
    NORM_OTHER_GAMMA, /* gamma is one number for each row */
};

typedef struct norm_case {
    int root, by_mul, modern, axes, rms, affine, odd;
} norm_case;

static int mean(net *t, int x, int modern, int axes, int64_t last) {
    int64_t *list = oc__arena_array(&t->arena, 2, sizeof(*list));
    list[0] = last - axes + 1;
    list[1] = last;
    oc__node *n =
        node(t, "ReduceMean", modern ? 18 : 13, 1 + modern, 1, modern ? 1 : 2);
    n->in[0] = x;
    oc__attr_set_int(n, 0, "keepdims", 1);
    if (modern)
        n->in[1] = ints(t, list, axes);
    else
        oc__attr_set_ints(n, 1, "axes", list, (size_t)axes);
    return n->out[0];
}

static int over_root(net *t, int c, int a, int how) {
    switch (how) {
    case ROOT_DIV: return op2(t, "Div", c, op1(t, "Sqrt", a));
    case ROOT_RECIPROCAL:
        return op2(t, "Mul", op1(t, "Reciprocal", op1(t, "Sqrt", a)), c);
    case ROOT_ONE_DIV:
        return op2(t, "Mul", c, op2(t, "Div", number(t, 1), op1(t, "Sqrt", a)));
    case ROOT_POW: return op2(t, "Mul", c, op2(t, "Pow", a, number(t, -0.5)));
    default: return op2(t, "Div", c, op2(t, "Pow", a, number(t, 0.5)));
    }
}

/* x is (2, 5, 4, 6) */
static void build_norm(net *t, const norm_case *p) {
    int64_t last = p->odd == NORM_NOT_LAST ? 2 : -1;
    int x = input(t, DIMS(2, 5, 4, 6)), c = x;
    if (!p->rms) c = op2(t, "Sub", x, mean(t, x, p->modern, p->axes, last));
    int square =
        p->by_mul ? op2(t, "Mul", c, c) : op2(t, "Pow", c, number(t, 2));
    int v = mean(t, square, p->modern, p->axes,
                 p->odd == NORM_OTHER_AXIS ? 1 : last);
    int epsilon = p->odd == NORM_EPSILON ? input(t, DIMS(1)) : number(t, 1e-5);
    int y = over_root(t, c, op2(t, "Add", v, epsilon), p->root);
    const int64_t *dims = p->odd == NORM_OTHER_GAMMA ? DIMS(5, 1, 1)
                          : p->axes == 2             ? DIMS(4, 6)
                                                     : DIMS(6);
    if (p->affine > 0) y = op2(t, "Mul", y, weight(t, dims));
    if (p->affine > 1) y = op2(t, "Add", weight(t, dims), y);
    output(t, y);
    if (p->odd == NORM_SHOWN) output(t, v);
    if (p->odd == NORM_EPSILON) {
        float *e;
        memcpy(&e, &t->in[1].t.data, sizeof(e));
        *e = 1e-3f;
    }
}

static void check_norm(norm_case p, const char *name, int named, int nodes) {
    net t;
    net_init(&t);
    build_norm(&t, &p);
    check(&t, name, named, nodes);
    net_deinit(&t);
}

static void norm_in_pieces_becomes_one_node(void **state) {
    (void)state;
    for (int root = 0; root < ROOTS; root++)
        for (int form = 0; form < 8; form++)
            for (int affine = 0; affine < 3; affine++) {
                norm_case p = {root, form & 1, form >> 1 & 1, 1 + (form >> 2),
                               0,    affine,   NORM_PLAIN};
                check_norm(p, "LayerNormalization", 1, 1);
                p.rms = 1; /* has no bias: the Add stays */
                check_norm(p, "RMSNormalization", 1, affine == 2 ? 2 : 1);
            }
}

static void norm_that_only_looks_alike_stays(void **state) {
    (void)state;
    static const int odd[] = {NORM_EPSILON, NORM_SHOWN, NORM_NOT_LAST};
    for (size_t i = 0; i < OC_COUNT(odd); i++) {
        norm_case p = {ROOT_DIV, 0, 0, 1, 0, 2, odd[i]};
        check_norm(p, "LayerNormalization", 0, 9);
        p.rms = 1;
        check_norm(p, "RMSNormalization", 0, 7);
    }
    norm_case axis = {ROOT_DIV, 0, 0, 1, 0, 2, NORM_OTHER_AXIS};
    check_norm(axis, "LayerNormalization", 0, 9);
    /* The norm is one, its gamma is not. */
    norm_case gamma = {ROOT_DIV, 0, 0, 1, 0, 2, NORM_OTHER_GAMMA};
    check_norm(gamma, "LayerNormalization", 1, 3);
}

/* ---- activations --------------------------------------------------------- */

/* sqrt(2/pi) (x + c x^3) in one of three orders, times factor */
static int tanh_inside(net *t, int x, int order, double factor, double c) {
    double k = 0.7978845608028654 * factor;
    int cube = op2(t, "Pow", x, number(t, 3));
    if (order == 1) cube = op2(t, "Mul", op2(t, "Mul", x, x), x);
    if (order < 2) return mul_by(t, op2(t, "Add", x, mul_by(t, cube, c)), k);
    int square = op2(t, "Mul", mul_by(t, x, c), x);
    return op2(t, "Mul", mul_by(t, x, k), op2(t, "Add", number(t, 1), square));
}

/* 0.5 x gate in one of four orders */
static int half_of(net *t, int x, int gate, int order) {
    switch (order) {
    case 0: return mul_by(t, op2(t, "Mul", x, gate), 0.5);
    case 1: return op2(t, "Mul", mul_by(t, x, 0.5), gate);
    case 2: return op2(t, "Mul", x, mul_by(t, gate, 0.5));
    default: return op2(t, "Div", op2(t, "Mul", gate, x), number(t, 2));
    }
}

static int erf_gate(net *t, int x, int order, double root) {
    int e =
        order & 1 ? mul_by(t, x, 1 / root) : op2(t, "Div", x, number(t, root));
    return op2(t, "Add", op1(t, "Erf", e), number(t, 1));
}

static int tanh_gate(net *t, int x, int order, double c) {
    int inside = tanh_inside(t, x, order % 3, 1, c);
    return op2(t, "Add", number(t, 1), op1(t, "Tanh", inside));
}

/* kind: 0 erf, 1 tanh, 2 QuickGelu, 3 tanh's form by Sigmoid */
static int gelu(net *t, int x, int kind, int order, double wrong) {
    double root = sqrt(2.0) * wrong, c = 0.044715 * wrong;
    if (kind == 0) return half_of(t, x, erf_gate(t, x, order, root), order % 4);
    if (kind == 1) return half_of(t, x, tanh_gate(t, x, order, c), order % 4);
    int inside =
        kind == 2 ? mul_by(t, x, 1.702) : tanh_inside(t, x, order % 3, 2, c);
    int gate = op1(t, "Sigmoid", inside);
    return op2(t, "Mul", order & 1 ? gate : x, order & 1 ? x : gate);
}

static void gelu_in_pieces_becomes_one_node(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (int order = 0; order < 12; order++) {
            net t;
            net_init(&t);
            output(&t, gelu(&t, input(&t, DIMS(3, 50)), kind, order, 1));
            check(&t, "Act", 1, 1);
            net_deinit(&t);
        }
}

static void gelu_goes_into_the_product(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        net t;
        net_init(&t);
        int x = input(&t, DIMS(1, 37, 24));
        x = op2(&t, "MatMul", x, weight(&t, DIMS(24, 50)));
        x = op2(&t, "Add", x, weight(&t, DIMS(50)));
        output(&t, gelu(&t, x, kind, 0, 1));
        check(&t, "MatMulPacked", 1, 1);
        net_deinit(&t);
    }
}

static void gelu_with_other_numbers_stays(void **state) {
    (void)state;
    static const int kinds[] = {0, 1, 3};
    for (size_t i = 0; i < OC_COUNT(kinds); i++)
        for (int order = 0; order < 4; order++) {
            net t;
            net_init(&t);
            output(&t, gelu(&t, input(&t, DIMS(3, 50)), kinds[i], order, 1.01));
            check(&t, "Act", 0, -1);
            net_deinit(&t);
        }
}

static void gelu_gated_by_another_value_stays(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int order = 0; order < 4; order++) {
            net t;
            net_init(&t);
            int x = input(&t, DIMS(3, 50)), z = input(&t, DIMS(3, 50));
            int gate = kind ? tanh_gate(&t, z, order, 0.044715)
                            : erf_gate(&t, z, order, sqrt(2.0));
            output(&t, half_of(&t, x, gate, order));
            check(&t, "Act", 0, -1);
            net_deinit(&t);
        }
}

/* ---- attention ----------------------------------------------------------- */

enum { B = 2, H = 3, D = 8, E = H * D };
enum { FROM_INPUTS, FROM_SPLIT, FROM_GATHER, FROM_SLICE, FROM_THREE, FROMS };
enum {
    SCALE_NONE,
    SCALE_MUL,
    SCALE_DIV,
    SCALE_QUERY,
    SCALE_BOTH,
    SCALE_EARLY, /* before heads are split; where there are three */
    SCALES
};
enum { MASK_NONE, MASK_FULL, MASK_KEYS, MASK_TWO, MASKS };
enum {
    ODD_NONE,
    ODD_AXIS,        /* softmax over the queries */
    ODD_SHOWN,       /* the weights are an output, too */
    ODD_SCALE,       /* scaled by an input */
    ODD_SCALED_MASK, /* scaled behind the mask */
    ODD_WIDE_MASK,   /* the mask makes more batch entries */
    ODD_TWICE,       /* the scores are read by another node */
};

typedef struct attention_case {
    int from, scale, mask, odd;
    int64_t tokens;
} attention_case;

static int slice(net *t, int a, int64_t from, int64_t to, int64_t axis) {
    oc__node *n = node(t, "Slice", 13, 4, 1, 0);
    n->in[0] = a;
    n->in[1] = ints(t, &from, 1);
    n->in[2] = ints(t, &to, 1);
    n->in[3] = ints(t, &axis, 1);
    return n->out[0];
}

/* Queries, keys and values out of (3, B, H, T, D), or (B, T, 3 E). */
static void take_qkv(net *t, const attention_case *p, int qkv, int *out) {
    static const char *const perms[3] = {"0213", "0213", "0213"};
    if (p->from == FROM_SPLIT) {
        oc__node *n = node(t, "Split", 13, 1, 3, 1);
        n->in[0] = qkv;
        oc__attr_set_int(n, 0, "axis", 0);
        for (int i = 0; i < 3; i++)
            out[i] = op2(t, "Squeeze", n->out[i], ints(t, DIMS(0), 1));
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (p->from == FROM_GATHER) {
            int64_t index = i;
            oc_tensor x;
            oc__tensor_set(&x, OC_DTYPE_I64, 0, NULL);
            x.data = oc__arena_dup(&t->arena, &index, sizeof(index));
            int v = oc__graph_add_constant(t->g, NULL, &x);
            out[i] = with_axis(t, "Gather", qkv, v, 0);
        } else {
            int part = slice(t, qkv, i * E, i == 2 ? 1 << 30 : (i + 1) * E, -1);
            part = reshape(t, part, DIMS(B, p->tokens, H, D));
            out[i] = transpose(t, part, perms[i]);
        }
    }
}

static void make_qkv(net *t, const attention_case *p, int *out) {
    int64_t n = p->tokens;
    if (p->from == FROM_INPUTS) {
        for (int i = 0; i < 3; i++)
            out[i] = input(t, DIMS(B, H, n, D));
    } else if (p->from == FROM_THREE) {
        for (int i = 0; i < 3; i++) {
            int v = input(t, DIMS(B, n, E));
            if (p->scale == SCALE_EARLY && i == 0) v = mul_by(t, v, 0.25);
            out[i] = transpose(t, reshape(t, v, DIMS(B, n, H, D)), "0213");
        }
    } else {
        int v = input(t, DIMS(B, n, 3 * E));
        if (p->from != FROM_SLICE)
            v = transpose(t, reshape(t, v, DIMS(B, n, 3, H, D)), "20314");
        take_qkv(t, p, v, out);
    }
}

static int mask_of(net *t, const int64_t *dims) {
    int v = weight(t, dims);
    const oc_tensor *m = t->g->values[v].constant;
    float *data;
    memcpy(&data, &m->data, sizeof(data));
    for (int64_t i = 0; i < oc_tensor_elems(m); i += 7)
        data[i] = -INFINITY;
    return v;
}

/* Scores with their scale and masks. */
static int make_scores(net *t, const attention_case *p, int q, int k) {
    const double half = 0.59460355750136; /* 8^-1/4 */
    int64_t n = p->tokens;
    k = transpose(t, k, "0132");
    if (p->scale == SCALE_QUERY) q = mul_by(t, q, 0.3535);
    if (p->scale == SCALE_BOTH) {
        q = mul_by(t, q, half);
        k = mul_by(t, k, half);
    }
    int s = op2(t, "MatMul", q, k);
    if (p->odd == ODD_TWICE) output(t, op1(t, "Neg", s));
    if (p->scale == SCALE_MUL) s = mul_by(t, s, -0.3535);
    if (p->scale == SCALE_DIV) s = op2(t, "Div", s, number(t, 2.828));
    if (p->odd == ODD_SCALE) s = op2(t, "Mul", s, input(t, DIMS(1)));
    if (p->mask == MASK_FULL || p->mask == MASK_TWO)
        s = op2(t, "Add", s, mask_of(t, DIMS(B, H, n, n)));
    if (p->mask == MASK_KEYS) s = op2(t, "Add", mask_of(t, DIMS(n)), s);
    if (p->mask == MASK_TWO) s = op2(t, "Add", s, mask_of(t, DIMS(B, 1, 1, n)));
    if (p->odd == ODD_SCALED_MASK) s = mul_by(t, s, 0.5);
    if (p->odd == ODD_WIDE_MASK)
        s = op2(t, "Add", s, mask_of(t, DIMS(2, 1, 1, 1, n)));
    return s;
}

static void build_attention(net *t, const attention_case *p) {
    int qkv[3];
    make_qkv(t, p, qkv);
    int s = make_scores(t, p, qkv[0], qkv[1]);
    int w = with_axis(t, "Softmax", s, -1, p->odd == ODD_AXIS ? 2 : -1);
    if (p->odd == ODD_SHOWN) output(t, w);
    int y = op2(t, "MatMul", w, qkv[2]);
    if (p->from != FROM_INPUTS && p->odd != ODD_WIDE_MASK)
        y = reshape(t, transpose(t, y, "0213"), DIMS(B, p->tokens, E));
    output(t, op1(t, "Neg", y));
}

static void check_attention(attention_case p, int named, int nodes) {
    net t;
    net_init(&t);
    build_attention(&t, &p);
    check(&t, "Attend", named, nodes);
    net_deinit(&t);
}

static void attention_in_pieces_becomes_one_node(void **state) {
    (void)state;
    for (int from = 0; from < FROMS; from++)
        for (int scale = 0; scale < SCALES; scale++)
            for (int mask = 0; mask < MASKS; mask++) {
                attention_case p = {from, scale, mask, ODD_NONE, 20};
                /* Neg, and the Reshape that costs nothing. */
                check_attention(p, 1, from == FROM_INPUTS ? 2 : 3);
            }
}

/* Around the tiles of queries and the parts of keys. */
static void attention_of_any_length_is_the_same(void **state) {
    (void)state;
    static const int64_t tokens[] = {1, 3, 4, 72, 73, 150, 513, 600};
    for (size_t i = 0; i < OC_COUNT(tokens); i++)
        for (int mask = 0; mask < MASKS; mask += 2) {
            attention_case p = {FROM_SPLIT, SCALE_MUL, mask, ODD_NONE,
                                tokens[i]};
            check_attention(p, 1, 3);
        }
}

static void attention_that_only_looks_alike_stays(void **state) {
    (void)state;
    for (int odd = ODD_AXIS; odd <= ODD_TWICE; odd++) {
        attention_case p = {FROM_SPLIT, SCALE_MUL, MASK_FULL, odd, 20};
        if (odd == ODD_SCALED_MASK) p.scale = SCALE_NONE;
        check_attention(p, 0, -1);
    }
}

/* Queries, keys and values are (B, H, D, T), as convolutions leave them. */
static void attention_of_channels_first_becomes_one_node(void **state) {
    (void)state;
    static const int64_t tokens[] = {2, 49, 100};
    for (size_t i = 0; i < OC_COUNT(tokens); i++) {
        int64_t n = tokens[i];
        net t;
        net_init(&t);
        int x = input(&t, DIMS(B, 3 * E, n));
        int qkv = reshape(&t, x, DIMS(B, H, 3 * D, n)), part[3];
        for (int j = 0; j < 3; j++)
            part[j] = slice(&t, qkv, j * D, (j + 1) * D, 2);
        int s = op2(&t, "MatMul", transpose(&t, part[0], "0132"), part[1]);
        s = with_axis(&t, "Softmax", mul_by(&t, s, 0.3535), -1, -1);
        int y = op2(&t, "MatMul", part[2], transpose(&t, s, "0132"));
        output(&t, reshape(&t, y, DIMS(B, E, n)));
        check(&t, "Attend", 1, 2);
        net_deinit(&t);
    }
}

/* Rank 3, batch and heads in one; one head; keys and values without a batch. */
static void attention_of_other_ranks_becomes_one_node(void **state) {
    (void)state;
    static const char *const turns[] = {"10", "021"};
    for (int rank = 2; rank < 4; rank++) {
        net t;
        net_init(&t);
        const int64_t *q = rank == 2 ? DIMS(30, D) : DIMS(4, 30, D);
        int a = input(&t, q), k = input(&t, DIMS(40, D));
        int v = input(&t, DIMS(40, 5));
        int s = op2(&t, "MatMul", a, transpose(&t, k, turns[0]));
        int y = op2(&t, "MatMul", with_axis(&t, "Softmax", s, -1, -1), v);
        output(&t, rank == 2 ? y : transpose(&t, y, turns[1]));
        check(&t, "Attend", 1, 1);
        net_deinit(&t);
    }
}

/* Queries that see no key: NaN in pieces, and NaN in one. */
static void attention_that_sees_nothing_is_nan(void **state) {
    (void)state;
    net t;
    net_init(&t);
    int q = input(&t, DIMS(10, D)), k = input(&t, DIMS(D, 10));
    int v = input(&t, DIMS(10, D)), m = mask_of(&t, DIMS(10, 10));
    float *data;
    memcpy(&data, &t.g->values[m].constant->data, sizeof(data));
    for (int i = 0; i < 10; i++)
        data[3 * 10 + i] = -INFINITY;
    int s = op2(&t, "Add", op2(&t, "MatMul", q, k), m);
    output(&t, op2(&t, "MatMul", with_axis(&t, "Softmax", s, -1, -1), v));
    check(&t, "Attend", 1, 1);
    assert_true(isnan(t.result[0][3 * D]));
    assert_false(isnan(t.result[0][2 * D]));
    net_deinit(&t);
}

/* ---- Attend by itself ---------------------------------------------------- */

static oc_status infer_attend(const int64_t *sizes, const int64_t *q,
                              const int64_t *y, oc_error *err) {
    static const int64_t dims[] = {4, 6}, kv[] = {0, 0, 0, 3, 1};
    float data[12] = {0};
    op_call k;
    oc_tensor x;
    oc__tensor_set(&x, OC_DTYPE_F32, 2, DIMS(4, 3));
    x.data = data;
    op_call_init(&k, "ocelli", "Attend", 1);
    for (int i = 0; i < 3; i++)
        op_call_input(&k, &x);
    op_call_ints(&k, "sizes", sizes, 6);
    op_call_ints(&k, "q", q, 5);
    op_call_ints(&k, "k", kv, 5);
    op_call_ints(&k, "v", kv, 5);
    op_call_ints(&k, "dims", dims, 2);
    op_call_ints(&k, "y", y, 4);
    oc_status st = op_call_infer(&k, oc__kernels_native());
    *err = k.err;
    return st;
}

static void attend_refuses_steps_that_lead_outside(void **state) {
    (void)state;
    const int64_t sizes[] = {1, 2, 4, 4, 3, 3}, q[] = {0, 0, 0, 3, 1};
    const int64_t y[] = {0, 3, 6, 1};
    oc_error err;
    assert_int_equal(infer_attend(sizes, q, y, &err), OC_OK);
    for (int i = 0; i < 5; i++) {
        static const int64_t off[] = {-4, 1, INT64_MAX / 2, INT64_MAX};
        for (size_t j = 0; j < OC_COUNT(off); j++) {
            int64_t bad[5];
            memcpy(bad, q, sizeof(bad));
            bad[i] += off[j] < INT64_MAX - bad[i] ? off[j] : INT64_MAX - bad[i];
            /* There is one batch entry: its step is never taken. */
            int fine = i == 1 && j > 0;
            assert_int_equal(infer_attend(sizes, bad, y, &err) == OC_OK, fine);
        }
    }
    for (int i = 1; i < 4; i++) {
        int64_t bad[4];
        memcpy(bad, y, sizeof(bad));
        bad[i]++;
        assert_int_equal(infer_attend(sizes, q, bad, &err), OC_E_SHAPE);
        assert_non_null(strstr(err.message, "beyond"));
    }
    const int64_t none[] = {1, 2, 4, 0, 3, 3};
    assert_int_equal(infer_attend(none, q, y, &err), OC_E_FORMAT);
}

/* ---- memory -------------------------------------------------------------- */

static void build_floats(net *t) {
    attention_case p = {FROM_SPLIT, SCALE_MUL, MASK_FULL, ODD_NONE, 5};
    norm_case norm = {ROOT_DIV, 0, 1, 1, 0, 0, NORM_PLAIN};
    build_attention(t, &p);
    build_norm(t, &norm);
}

/* A constant of 8 bits. */
static int bytes(net *t, oc_dtype type, const int64_t *dims) {
    oc_tensor x;
    int rank = 0;
    while (dims[rank])
        rank++;
    oc__tensor_set(&x, type, rank, dims);
    uint8_t *data = oc__arena_alloc(&t->arena, oc_tensor_bytes(&x));
    for (int64_t i = 0; i < oc_tensor_elems(&x); i++)
        data[i] = (uint8_t)oc__rng_below(&t->rng, 256);
    x.data = data;
    return oc__graph_add_constant(t->g, NULL, &x);
}

static int coder(net *t, const char *name, int v, double scale, int zero) {
    oc__node *n = node(t, name, 13, 3, 1, 0);
    n->in[0] = v;
    n->in[1] = number(t, scale);
    n->in[2] = zero;
    return n->out[0];
}

static int coded(net *t, int v) {
    int zero = bytes(t, OC_DTYPE_U8, DIMS(0));
    v = coder(t, "QuantizeLinear", v, 0.02, zero);
    return coder(t, "DequantizeLinear", v, 0.02, zero);
}

static int coded_weight(net *t, const int64_t *dims) {
    int w = bytes(t, OC_DTYPE_I8, dims), zero = bytes(t, OC_DTYPE_I8, DIMS(0));
    return coder(t, "DequantizeLinear", w, 0.01, zero);
}

/* Convolutions that end in codes and in f32, products and a table. */
static void build_codes(net *t) {
    int x = coded(t, input(t, DIMS(1, 4, 6, 6)));
    int y = coded(t, op2(t, "Conv", x, coded_weight(t, DIMS(5, 4, 3, 3))));
    y = coded(t, op1(t, "Tanh", mul_by(t, y, 0.7)));
    output(t, op1(t, "Relu",
                  op2(t, "Conv", y, coded_weight(t, DIMS(3, 5, 1, 1)))));
    y = coded(t, op2(t, "MatMul", x, coded_weight(t, DIMS(6, 7))));
    y = op2(t, "MatMul", y, coded_weight(t, DIMS(7, 3)));
    output(t, op2(t, "Add", y, weight(t, DIMS(3))));
}

static void survive(void (*build)(net *t)) {
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        net t;
        oc_error err = {0};
        oc__exec *e = NULL;
        const oc_value *in[MAX_IN];
        net_init(&t);
        build(&t);
        for (int i = 0; i < MAX_IN; i++)
            in[i] = &t.in[i];
        test_allocator_init(&ta, n);
        oc__exec_env env = {.kernels = oc__kernels_native(),
                            .allocator = &ta.base,
                            .threads = 1};
        oc_status st = oc__exec_create(&e, t.g, &env, &err);
        if (st == OC_OK) st = oc__exec_run(e, in, &err);
        oc__exec_destroy(e);
        net_deinit(&t);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

static void passes_survive_failing_allocations(void **state) {
    (void)state;
    survive(build_floats);
}

static void passes_of_codes_survive_failing_allocations(void **state) {
    (void)state;
    survive(build_codes);
}

/* ---- padding ------------------------------------------------------------- */

typedef struct pad_case {
    const char *window;
    int64_t before[4], after[4]; /* of batch, channels, height, width */
    float fill;
    int has_fill, own, counts, ceil, is_shown;
    int stays;
} pad_case;

static const pad_case pad_cases[] = {
    {"Conv", {0, 0, 1, 2}, {0, 0, 0, 1}, 0, 0, 0, 0, 0, 0, 0},
    {"Conv", {0, 0, 5, 0}, {0, 0, 0, 4}, 0, 1, 1, 0, 0, 0, 0},
    {"Conv", {0, 0, 1, 1}, {0, 0, 1, 1}, 0.5f, 1, 0, 0, 0, 0, 1},
    {"Conv", {0, 0, 1, -1}, {0, 0, 1, 1}, 0, 0, 0, 0, 0, 0, 1},
    {"Conv", {1, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 0, 0, 0, 0, 1},
    {"Conv", {0, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 0, 0, 0, 1, 1},
    {"AveragePool", {0, 0, 1, 2}, {0, 0, 0, 1}, 0, 1, 0, 0, 0, 0, 0},
    {"AveragePool", {0, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 1, 1, 0, 0, 0},
    {"AveragePool", {0, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 1, 0, 0, 0, 1},
    {"AveragePool", {0, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 0, 0, 1, 0, 1},
    {"AveragePool", {0, 0, 3, 1}, {0, 0, 1, 1}, 0, 0, 0, 0, 0, 0, 1},
    {"MaxPool", {0, 0, 1, 2}, {0, 0, 0, 1}, -INFINITY, 1, 1, 0, 0, 0, 1},
    {"MaxPool", {0, 0, 1, 2}, {0, 0, 0, 1}, -INFINITY, 1, 0, 0, 0, 0, 0},
    {"MaxPool", {0, 0, 1, 1}, {0, 0, 1, 1}, 0, 0, 0, 0, 0, 0, 1},
};

static void check_pad(const pad_case *c) {
    static const int64_t kernel[] = {3, 3}, strides[] = {2, 2};
    static const int64_t own[] = {1, 1, 1, 1}, none[] = {0, 0, 0, 0};
    net t;
    net_init(&t);
    int64_t pads[8];
    memcpy(pads, c->before, sizeof(c->before));
    memcpy(pads + 4, c->after, sizeof(c->after));
    oc__node *p = node(&t, "Pad", 13, 2 + c->has_fill, 1, 0);
    p->in[0] = input(&t, DIMS(1, 5, 10, 13));
    p->in[1] = ints(&t, pads, 8);
    if (c->has_fill) p->in[2] = number(&t, (double)c->fill);
    int is_conv = !strcmp(c->window, "Conv");
    oc__node *n = node(&t, c->window, 11, 1 + is_conv, 1,
                       !strcmp(c->window, "AveragePool") ? 5
                       : is_conv                         ? 3
                                                         : 4);
    n->in[0] = p->out[0];
    if (is_conv) n->in[1] = weight(&t, DIMS(6, 5, 3, 3));
    oc__attr_set_ints(n, 0, "strides", strides, 2);
    oc__attr_set_ints(n, 1, "pads", c->own ? own : none, 4);
    oc__attr_set_ints(n, 2, "kernel_shape", kernel, 2);
    if (!is_conv) oc__attr_set_int(n, 3, "ceil_mode", c->ceil);
    if (n->n_attrs > 4) oc__attr_set_int(n, 4, "count_include_pad", c->counts);
    output(&t, n->out[0]);
    if (c->is_shown) output(&t, p->out[0]);
    check_loaded(&t, "Pad", c->stays);
    net_deinit(&t);
}

static void pads_go_into_the_window_behind(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(pad_cases); i++)
        check_pad(&pad_cases[i]);
}

/* A Pad that says nothing, or half an axis too much: whoever runs it says what
 * is wrong, so it must be there. */
static void pads_that_are_wrong_stay(void **state) {
    static const int64_t pads[] = {0, 0, 1, 1, 0, 0, 1, 1, 0};
    (void)state;
    for (int inputs = 1; inputs < 3; inputs++) {
        net t;
        oc_error err;
        net_init(&t);
        oc__node *p = node(&t, "Pad", 13, inputs, 1, 0);
        p->in[0] = input(&t, DIMS(1, 5, 10, 13));
        if (inputs > 1) p->in[1] = ints(&t, pads, 9);
        oc__node *n = node(&t, "Conv", 11, 2, 1, 0);
        n->in[0] = p->out[0];
        n->in[1] = weight(&t, DIMS(6, 5, 3, 3));
        output(&t, n->out[0]);
        oc__passes_run(t.g, oc__kernels_native(), 0, &oc__default_allocator,
                       &err);
        assert_int_equal(count(t.g, "Pad"), 1);
        net_deinit(&t);
    }
}

/* ---- pictures with the channels last -------------------------------------
 */

/* Conv 3x3 with stride 2 of so many channels, whose Transpose may be shown. */
static void check_channels_last(int64_t channels, int is_shown) {
    net t;
    net_init(&t);
    int x = transpose(&t, input(&t, DIMS(2, 9, 14, channels)), "0312");
    oc__node *n = node(&t, "Conv", VERSION, 2, 1, 2);
    int64_t pads[] = {1, 1, 1, 1}, strides[] = {2, 2};
    n->in[0] = x;
    n->in[1] = weight(&t, DIMS(20, channels, 3, 3));
    oc__attr_set_ints(n, 0, "pads", oc__arena_dup(&t.arena, pads, sizeof(pads)),
                      4);
    oc__attr_set_ints(n, 1, "strides",
                      oc__arena_dup(&t.arena, strides, sizeof(strides)), 2);
    output(&t, op1(&t, "Relu", n->out[0]));
    if (is_shown) output(&t, x);
    check(&t, "Transpose", is_shown, -1);
    net_deinit(&t);
}

static void pictures_with_channels_last_are_read_so(void **state) {
    (void)state;
    for (int64_t channels = 1; channels < 6; channels++)
        check_channels_last(channels, 0);
    check_channels_last(3, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_in_pieces_becomes_one_node),
        cmocka_unit_test(norm_that_only_looks_alike_stays),
        cmocka_unit_test(gelu_in_pieces_becomes_one_node),
        cmocka_unit_test(gelu_goes_into_the_product),
        cmocka_unit_test(gelu_with_other_numbers_stays),
        cmocka_unit_test(gelu_gated_by_another_value_stays),
        cmocka_unit_test(attention_in_pieces_becomes_one_node),
        cmocka_unit_test(attention_of_any_length_is_the_same),
        cmocka_unit_test(attention_that_only_looks_alike_stays),
        cmocka_unit_test(attention_of_channels_first_becomes_one_node),
        cmocka_unit_test(attention_of_other_ranks_becomes_one_node),
        cmocka_unit_test(attention_that_sees_nothing_is_nan),
        cmocka_unit_test(attend_refuses_steps_that_lead_outside),
        cmocka_unit_test(pads_go_into_the_window_behind),
        cmocka_unit_test(pads_that_are_wrong_stay),
        cmocka_unit_test(pictures_with_channels_last_are_read_so),
        cmocka_unit_test(passes_survive_failing_allocations),
        cmocka_unit_test(passes_of_codes_survive_failing_allocations),
    };
    return cmocka_run_group_tests_name("passes", tests, NULL, NULL);
}
