/*
 * test_import.c - src/onnx: models, good and bad.  What right models mean is
 * compared with onnx and ONNX Runtime in tests/oracle/test_onnx.py; here are
 * the graph that comes out, damage of every kind, and failing memory.
 */
#define _XOPEN_SOURCE 700

#include "testing.h"

#include "proto_build.h"

#include "onnx/import.h"
#include "ops/op.h"

#include <stdio.h>
#include <unistd.h>

/* ---- models by hand ---------------------------------------------------------
 */

enum { F32 = 1, I64 = 7, BOOL = 9 };

/* ValueInfoProto of a tensor; rank -1: no shape. */
static void put_value(pb *to, unsigned field, const char *name, int dtype,
                      int rank, const int64_t *dims) {
    static pb info, type, tensor, shape, dim;
    info.n = type.n = tensor.n = shape.n = 0;
    pb_int(&tensor, 1, dtype);
    for (int i = 0; i < rank; i++) {
        dim.n = 0;
        if (dims[i] >= 0)
            pb_int(&dim, 1, dims[i]);
        else
            pb_string(&dim, 2, "any");
        pb_message(&shape, 1, &dim);
    }
    if (rank >= 0) pb_message(&tensor, 2, &shape);
    pb_message(&type, 1, &tensor);
    pb_string(&info, 1, name);
    pb_message(&info, 2, &type);
    pb_message(to, field, &info);
}

/* Names parted by blanks; "-" is an empty one. */
static void put_names(pb *to, unsigned field, const char *names) {
    while (*names) {
        size_t n = strcspn(names, " ");
        if (n == 1 && *names == '-')
            pb_string(to, field, "");
        else
            pb_bytes(to, field, names, n);
        names += n + (names[n] == ' ');
    }
}

/* A node into a graph (field 1) or function (field 7); attrs may be NULL. */
static void put_node(pb *to, unsigned field, const char *op, const char *in,
                     const char *out, const char *name, const pb *attrs) {
    static pb node;
    node.n = 0;
    put_names(&node, 1, in);
    put_names(&node, 2, out);
    pb_string(&node, 3, name);
    const char *dot = strrchr(op, '.');
    pb_string(&node, 4, dot ? dot + 1 : op);
    if (attrs) pb_raw(&node, attrs->data, attrs->n);
    if (dot) pb_bytes(&node, 7, op, (size_t)(dot - op));
    pb_message(to, field, &node);
}

/* A tensor of f32, raw. */
static void put_floats(pb *to, unsigned field, const char *name, int rank,
                       const int64_t *dims, const float *data, size_t n) {
    static pb t;
    t.n = 0;
    for (int i = 0; i < rank; i++) {
        pb_int(&t, 1, dims[i]);
    }
    pb_int(&t, 2, F32);
    pb_string(&t, 8, name);
    pb_bytes(&t, 9, data, n * sizeof(float));
    pb_message(to, field, &t);
}

static void put_opset(pb *to, unsigned field, const char *domain, int version) {
    static pb set;
    set.n = 0;
    pb_string(&set, 1, domain);
    pb_int(&set, 2, version);
    pb_message(to, field, &set);
}

static void start_model(pb *m, int ir) {
    m->n = 0;
    pb_int(m, 1, ir);
    put_opset(m, 8, "", 13);
}

static const int64_t SHAPE[2] = {2, 3};

/* z = a * w + b, with w an initialiser, and a metadata entry. */
static void simple_model(pb *m) {
    static pb g, prop;
    static const float w[6] = {1, 2, 3, 4, 5, 6};
    g.n = prop.n = 0;
    put_node(&g, 1, "Mul", "a w", "t", "first", NULL);
    put_node(&g, 1, "Add", "t b", "z", "second", NULL);
    pb_string(&g, 2, "graph");
    put_floats(&g, 5, "w", 2, SHAPE, w, 6);
    put_value(&g, 11, "a", F32, 2, SHAPE);
    put_value(&g, 11, "b", F32, -1, NULL);
    put_value(&g, 12, "z", F32, 2, SHAPE);
    start_model(m, 8);
    pb_message(m, 7, &g);
    pb_string(&prop, 1, "key");
    pb_string(&prop, 2, "value");
    pb_message(m, 14, &prop);
}

/* An If with a capture, inside of a function, and a sparse initialiser. */
static void rich_model(pb *m) {
    static pb g, f, then, other, attr, attrs, sparse, values, indices;
    static const float w[2] = {1.5f, -2};
    const int64_t at[2] = {1, 4}, nnz[1] = {2};
    g.n = f.n = then.n = other.n = attrs.n = 0;
    put_node(&then, 1, "Add", "v t", "p", "add", NULL);
    put_value(&then, 12, "p", F32, -1, NULL);
    put_node(&other, 1, "Neg", "t", "q", "neg", NULL);
    put_value(&other, 12, "q", F32, -1, NULL);
    attr.n = 0;
    pb_string(&attr, 1, "then_branch");
    pb_message(&attr, 6, &then);
    pb_int(&attr, 20, 5);
    pb_message(&attrs, 5, &attr);
    attr.n = 0;
    pb_string(&attr, 1, "else_branch");
    pb_message(&attr, 6, &other);
    pb_int(&attr, 20, 5);
    pb_message(&attrs, 5, &attr);
    pb_string(&f, 1, "Choose");
    put_names(&f, 4, "v c");
    put_names(&f, 5, "r");
    put_node(&f, 7, "Mul", "v v", "t", "square", NULL);
    put_node(&f, 7, "If", "c", "r", "if", &attrs);
    put_opset(&f, 9, "", 13);
    pb_string(&f, 10, "local");

    values.n = indices.n = sparse.n = 0;
    pb_int(&values, 1, nnz[0]);
    pb_int(&values, 2, F32);
    pb_string(&values, 8, "s");
    pb_bytes(&values, 9, w, sizeof(w));
    pb_int(&indices, 1, nnz[0]);
    pb_int(&indices, 2, I64);
    pb_bytes(&indices, 9, at, sizeof(at));
    pb_message(&sparse, 1, &values);
    pb_message(&sparse, 2, &indices);
    pb_int(&sparse, 3, 2);
    pb_int(&sparse, 3, 3);

    put_node(&g, 1, "Add", "a s", "b", "sum", NULL);
    put_node(&g, 1, "local.Choose", "b c", "z", "call", NULL);
    put_value(&g, 11, "a", F32, 2, SHAPE);
    put_value(&g, 11, "c", BOOL, 0, NULL);
    put_value(&g, 12, "z", F32, -1, NULL);
    pb_message(&g, 15, &sparse);
    start_model(m, 8);
    put_opset(m, 8, "local", 1);
    pb_message(m, 7, &g);
    pb_message(m, 25, &f);
}

/* ---- importing --------------------------------------------------------------
 */

typedef struct imported {
    oc__arena arena;
    oc__onnx onnx;
    oc_status status;
    oc_error err;
} imported;

/*
 * The bytes are copied to memory of just their size, so that address
 * sanitizer sees a read past the end.
 */
static void *exact(const void *data, size_t n) {
    void *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, data, n);
    return copy;
}

static void import_bytes(imported *im, const void *data, size_t n) {
    oc__import_options opt = {.bake_defaults = 1};
    memset(im, 0, sizeof(*im));
    oc__arena_init(&im->arena, NULL);
    im->status =
        oc__onnx_import(&im->onnx, &im->arena, data, n, &opt, &im->err);
    if (im->status != OC_OK) {
        assert_null(im->onnx.graph);
        assert_true(im->err.message[0] != 0);
        assert_int_equal(im->err.status, im->status);
    }
}

static void drop(imported *im) {
    oc__onnx_release(&im->onnx);
    oc__arena_deinit(&im->arena);
}

/* Imports, expects a status and a word of the sentence. */
static void refuse(const pb *m, oc_status status, const char *word) {
    imported im;
    void *copy = exact(m->data, m->n);
    import_bytes(&im, copy, m->n);
    if (im.status != status || !strstr(im.err.message, word))
        print_message("got %d: %s\n", (int)im.status, im.err.message);
    assert_int_equal(im.status, status);
    assert_non_null(strstr(im.err.message, word));
    drop(&im);
    free(copy);
}

static int find_value(const oc__graph *g, const char *name) {
    for (int i = 0; i < g->n_values; i++) {
        if (!strcmp(g->values[i].name, name)) return i;
    }
    return -1;
}

static void import_makes_the_graph(void **state) {
    (void)state;
    static pb m;
    imported im;
    simple_model(&m);
    import_bytes(&im, m.data, m.n);
    assert_int_equal(im.status, OC_OK);
    const oc__graph *g = im.onnx.graph;
    assert_string_equal(g->name, "graph");
    assert_int_equal(im.onnx.ir_version, 8);
    assert_int_equal(oc__onnx_opset(&im.onnx, ""), 13);
    assert_int_equal(oc__onnx_opset(&im.onnx, "other"), 0);
    assert_int_equal(im.onnx.n_props, 1);
    assert_string_equal(im.onnx.props[0].key, "key");
    assert_string_equal(im.onnx.props[0].value, "value");
    assert_int_equal(g->n_inputs, 2);
    assert_int_equal(g->n_outputs, 1);
    assert_int_equal(g->n_nodes, 2);
    assert_int_equal(im.onnx.node_count, 2);
    assert_int_equal(im.onnx.parameter_elems, 6);
    assert_string_equal(g->nodes[0]->name, "first");
    assert_string_equal(g->nodes[0]->op->name, "Mul");
    assert_int_equal(g->nodes[0]->version, 13);
    int w = find_value(g, "w"), b = find_value(g, "b"), z = find_value(g, "z");
    assert_int_equal(g->nodes[0]->in[1], w);
    assert_int_equal(g->nodes[1]->in[1], b);
    assert_int_equal(g->nodes[1]->out[0], z);
    assert_int_equal(g->outputs[0], z);
    assert_non_null(g->values[w].constant);
    assert_true(((const float *)g->values[w].constant->data)[5] == 6);
    assert_int_equal(g->values[b].rank, -1);
    assert_int_equal(g->values[z].rank, 2);
    assert_int_equal(g->values[z].dims[1], 3);
    drop(&im);
}

static void import_inlines_and_captures(void **state) {
    (void)state;
    static pb m;
    imported im;
    rich_model(&m);
    import_bytes(&im, m.data, m.n);
    assert_int_equal(im.status, OC_OK);
    const oc__graph *g = im.onnx.graph;
    assert_int_equal(g->n_nodes, 3); /* Add, Mul, If */
    assert_int_equal(im.onnx.node_count, 5);
    const oc__node *n = g->nodes[2];
    assert_string_equal(n->op->name, "If");
    assert_int_equal(strncmp(n->name, "call", 4), 0); /* the call's name */
    assert_int_equal(n->n_explicit, 1);
    assert_int_equal(n->out[0], find_value(g, "z"));
    const oc__graph *then = oc__attr_graph(n, "then_branch");
    const oc__graph *other = oc__attr_graph(n, "else_branch");
    assert_int_equal(then->n_captures, 2);
    assert_int_equal(other->n_captures, 1);
    assert_int_equal(n->n_in, 1 + 3);
    /* "t" of the function is what Mul makes; "v" is the caller's "b". */
    int t = g->nodes[1]->out[0], b = find_value(g, "b");
    for (int i = 0; i < 2; i++) {
        const oc__capture *c = &then->captures[i];
        int from = n->in[c->node_input];
        assert_true(from == t || from == b);
        assert_string_equal(then->values[c->value].name, g->values[from].name);
    }
    assert_int_equal(n->in[other->captures[0].node_input], t);
    /* The sparse tensor became a dense one. */
    const oc_tensor *s = g->values[find_value(g, "s")].constant;
    static const float want[6] = {0, 1.5f, 0, 0, -2, 0};
    assert_int_equal(s->rank, 2);
    assert_memory_equal(s->data, want, sizeof(want));
    drop(&im);
}

/* ---- damage
 * ------------------------------------------------------------------ */

/* Cut anywhere: refused, or (between two fields) still a model. */
static void import_survives_every_cut(void **state) {
    (void)state;
    static pb m;
    for (int which = 0; which < 2; which++) {
        (which ? rich_model : simple_model)(&m);
        int refused = 0;
        for (size_t n = 0; n < m.n; n++) {
            imported im;
            void *copy = exact(m.data, n);
            import_bytes(&im, copy, n);
            refused += im.status != OC_OK;
            drop(&im);
            free(copy);
        }
        assert_true(refused > (int)m.n * 3 / 4);
    }
}

static void import_survives_every_bit_flip(void **state) {
    (void)state;
    static pb m;
    for (int which = 0; which < 2; which++) {
        (which ? rich_model : simple_model)(&m);
        for (size_t bit = 0; bit < 8 * m.n; bit++) {
            imported im;
            uint8_t *copy = exact(m.data, m.n);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            import_bytes(&im, copy, m.n);
            drop(&im);
            free(copy);
        }
    }
}

/* A model of one graph that holds what `fill` puts there. */
static void wrap_graph(pb *m, const pb *g) {
    start_model(m, 8);
    pb_message(m, 7, g);
}

static void import_refuses_graphs_that_make_no_sense(void **state) {
    (void)state;
    static pb m, g;
    static const struct {
        const char *nodes[3][4]; /* op, inputs, outputs, name */
        oc_status status;
        const char *word;
    } cases[] = {
        {{{"Add", "a y", "z", "one"}, {"Neg", "z", "y", "two"}},
         OC_E_FORMAT,
         "cycle"},
        {{{"Add", "a z", "z", "self"}}, OC_E_FORMAT, "cycle"},
        {{{"Neg", "nobody", "z", "lost"}}, OC_E_FORMAT, "\"nobody\""},
        {{{"Neg", "a", "z", "one"}, {"Abs", "a", "z", "two"}},
         OC_E_FORMAT,
         "\"z\""},
        {{{"Neg", "a", "a", "same"}, {"Abs", "a", "z", "two"}},
         OC_E_FORMAT,
         "\"a\""},
        {{{"Neg", "a", "y", "one"}}, OC_E_FORMAT, "output \"z\""},
        {{{"Neg", "a a", "z", "two in"}}, OC_E_FORMAT, "2 inputs"},
        {{{"Neg", "a", "z y", "two out"}}, OC_E_FORMAT, "2 outputs"},
        {{{"Frob", "a", "z", "odd"}}, OC_E_UNSUPPORTED, "Frob"},
        {{{"x.y.Frob", "a", "y", "p"}, {"Brof", "y", "z", "q"}},
         OC_E_UNSUPPORTED,
         "2 operators"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        g.n = 0;
        for (int k = 0; k < 3 && cases[i].nodes[k][0]; k++) {
            const char *const *n = cases[i].nodes[k];
            put_node(&g, 1, n[0], n[1], n[2], n[3], NULL);
        }
        put_value(&g, 11, "a", F32, 2, SHAPE);
        put_value(&g, 12, "z", F32, 2, SHAPE);
        wrap_graph(&m, &g);
        refuse(&m, cases[i].status, cases[i].word);
    }
}

static void import_names_missing_operators(void **state) {
    (void)state;
    static pb m, g;
    imported im;
    g.n = 0;
    put_node(&g, 1, "org.frob.Frobnicate", "a", "z", "the node", NULL);
    put_value(&g, 11, "a", F32, 2, SHAPE);
    put_value(&g, 12, "z", F32, 2, SHAPE);
    start_model(&m, 8);
    put_opset(&m, 8, "org.frob", 42);
    pb_message(&m, 7, &g);
    import_bytes(&im, m.data, m.n);
    assert_int_equal(im.status, OC_E_UNSUPPORTED);
    assert_non_null(strstr(im.err.message, "Frobnicate"));
    assert_non_null(strstr(im.err.message, "org.frob"));
    assert_non_null(strstr(im.err.message, "42"));
    assert_string_equal(im.err.node, "the node");
    drop(&im);
}

static void import_refuses_tensors_that_lie(void **state) {
    (void)state;
    static pb m, g, t;
    static const struct {
        int64_t dims[2];
        int dtype;
        size_t bytes;
        oc_status status;
        const char *word;
    } cases[] = {
        {{2, 3}, F32, 20, OC_E_FORMAT, "20 bytes"},
        {{2, 3}, F32, 28, OC_E_FORMAT, "28 bytes"},
        {{2, 3}, F32, 0, OC_E_FORMAT, "0 bytes"},
        {{2, -3}, F32, 24, OC_E_FORMAT, "shape"},
        {{INT64_MAX, INT64_MAX}, F32, 24, OC_E_FORMAT, "shape"},
        {{INT64_MAX, 2}, F32, 24, OC_E_FORMAT, "shape"},
        {{(int64_t)1 << 61, 1}, F32, 24, OC_E_FORMAT, "shape"},
        {{(int64_t)1 << 40, 1}, F32, 24, OC_E_FORMAT, "24 bytes"},
        {{2, 3}, 0, 24, OC_E_UNSUPPORTED, "type 0"},
        {{2, 3}, 99, 24, OC_E_UNSUPPORTED, "type 99"},
        {{2, 3}, -1, 24, OC_E_UNSUPPORTED, "type -1"},
        {{2, 3}, 8, 24, OC_E_FORMAT, "strings"},
        {{2, 3}, 21, 4, OC_E_FORMAT, "4 bytes"}, /* u4: three are right */
    };
    static const uint8_t zeros[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        g.n = t.n = 0;
        pb_int(&t, 1, cases[i].dims[0]);
        pb_int(&t, 1, cases[i].dims[1]);
        pb_int(&t, 2, cases[i].dtype);
        pb_string(&t, 8, "w");
        pb_bytes(&t, 9, zeros, cases[i].bytes);
        pb_message(&g, 5, &t);
        put_value(&g, 12, "w", F32, -1, NULL);
        wrap_graph(&m, &g);
        refuse(&m, cases[i].status, cases[i].word);
    }
    /* Nine dimensions. */
    g.n = t.n = 0;
    for (int i = 0; i < 9; i++) {
        pb_int(&t, 1, 1);
    }
    pb_int(&t, 2, F32);
    pb_message(&g, 5, &t);
    wrap_graph(&m, &g);
    refuse(&m, OC_E_UNSUPPORTED, "dimensions");
}

static void import_refuses_contradictions(void **state) {
    (void)state;
    static pb m, g;
    static const float w[6] = {0};
    const int64_t other[2] = {2, 4}, one[1] = {6};
    static const struct {
        int dtype, rank, shape;
        oc_status status;
        const char *word;
    } cases[] = {
        {F32, 2, 0, OC_E_SHAPE, "dimension"},
        {F32, 1, 1, OC_E_SHAPE, "rank"},
        {I64, -1, 0, OC_E_FORMAT, "type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        g.n = 0;
        put_floats(&g, 5, "w", 2, SHAPE, w, 6);
        put_value(&g, 11, "w", cases[i].dtype, cases[i].rank,
                  cases[i].shape ? one : other);
        put_value(&g, 12, "w", F32, -1, NULL);
        wrap_graph(&m, &g);
        refuse(&m, cases[i].status, cases[i].word);
    }
    g.n = 0;
    put_value(&g, 11, "w", F32, -1, NULL);
    put_value(&g, 11, "w", F32, -1, NULL);
    wrap_graph(&m, &g);
    refuse(&m, OC_E_FORMAT, "twice");
    g.n = 0;
    put_floats(&g, 5, "w", 2, SHAPE, w, 6);
    put_floats(&g, 5, "w", 2, SHAPE, w, 6);
    wrap_graph(&m, &g);
    refuse(&m, OC_E_FORMAT, "twice");
}

static void import_refuses_odd_headers(void **state) {
    (void)state;
    static pb m, g, g2;
    g.n = 0;
    put_value(&g, 11, "a", F32, -1, NULL);
    put_value(&g, 12, "a", F32, -1, NULL);
    g2 = g;
    m.n = 0;
    refuse(&m, OC_E_FORMAT, "IR version");
    pb_int(&m, 1, 2);
    pb_message(&m, 7, &g);
    refuse(&m, OC_E_UNSUPPORTED, "IR version");
    start_model(&m, 8);
    refuse(&m, OC_E_FORMAT, "no graph");
    wrap_graph(&m, &g);
    pb_message(&m, 7, &g2);
    refuse(&m, OC_E_FORMAT, "second graph");
    start_model(&m, 8);
    put_opset(&m, 8, "x", 0);
    refuse(&m, OC_E_FORMAT, "version 0");
    put_node(&g, 1, "Neg", "a", "z", "n", NULL);
    m.n = 0;
    pb_int(&m, 1, 8);
    pb_message(&m, 7, &g);
    refuse(&m, OC_E_FORMAT, "operator set");
}

/* ---- bombs
 * --------------------------------------------------------------------- */

static void import_limits_nested_graphs(void **state) {
    (void)state;
    static pb m, g, attr, empty;
    for (int depth = 10; depth <= 200; depth += 190) {
        empty.n = g.n = 0;
        put_node(&g, 1, "Identity", "a", "z", "in", NULL);
        put_value(&g, 12, "z", F32, -1, NULL);
        for (int i = 0; i < depth; i++) {
            attr.n = empty.n = 0;
            pb_string(&attr, 1, "then_branch");
            pb_message(&attr, 6, &g);
            pb_int(&attr, 20, 5);
            pb_message(&empty, 5, &attr);
            g.n = 0;
            put_node(&g, 1, "If", "c", "z", "if", &empty);
            put_value(&g, 12, "z", F32, -1, NULL);
        }
        put_value(&g, 11, "a", F32, -1, NULL);
        put_value(&g, 11, "c", BOOL, 0, NULL);
        wrap_graph(&m, &g);
        imported im;
        import_bytes(&im, m.data, m.n);
        assert_int_equal(im.status, depth == 10 ? OC_OK : OC_E_LIMIT);
        drop(&im);
    }
}

static void import_limits_nested_types(void **state) {
    (void)state;
    static pb m, g, info, type, outer;
    type.n = g.n = info.n = 0;
    for (int i = 0; i < 1000; i++) {
        static pb sequence;
        sequence.n = outer.n = 0;
        pb_message(&sequence, 1, &type);
        pb_message(&outer, 4, &sequence);
        type = outer;
    }
    pb_string(&info, 1, "a");
    pb_message(&info, 2, &type);
    pb_message(&g, 11, &info);
    wrap_graph(&m, &g);
    refuse(&m, OC_E_LIMIT, "nested");
}

/* f0 calls f1 twice, f1 calls f2 twice, ...: 2^levels nodes. */
static void function_chain(pb *m, int levels, int last_calls) {
    static pb g, f;
    char name[16], next[16];
    g.n = 0;
    put_node(&g, 1, "local.f0", "a", "z", "start", NULL);
    put_value(&g, 11, "a", F32, -1, NULL);
    put_value(&g, 12, "z", F32, -1, NULL);
    wrap_graph(m, &g);
    put_opset(m, 8, "local", 1);
    for (int i = 0; i < levels; i++) {
        f.n = 0;
        snprintf(name, sizeof(name), "f%d", i);
        if (i + 1 < levels)
            snprintf(next, sizeof(next), "local.f%d", i + 1);
        else if (last_calls < 0)
            snprintf(next, sizeof(next), "Neg");
        else
            snprintf(next, sizeof(next), "local.f%d", last_calls);
        pb_string(&f, 1, name);
        pb_string(&f, 4, "x");
        pb_string(&f, 5, "y");
        put_node(&f, 7, next, "x", "t", "one", NULL);
        put_node(&f, 7, next, "t", "y", "two", NULL);
        put_opset(&f, 9, "", 13);
        put_opset(&f, 9, "local", 1);
        pb_string(&f, 10, "local");
        pb_message(m, 25, &f);
    }
}

static void import_limits_functions(void **state) {
    (void)state;
    static pb m;
    imported im;
    function_chain(&m, 5, -1);
    import_bytes(&im, m.data, m.n);
    assert_int_equal(im.status, OC_OK);
    assert_int_equal(im.onnx.node_count, 32);
    drop(&im);
    function_chain(&m, 40, -1); /* a trillion nodes */
    refuse(&m, OC_E_LIMIT, "nodes");
    function_chain(&m, 3, 0); /* f2 calls f0 */
    refuse(&m, OC_E_FORMAT, "itself");
}

static void import_limits_sparse_tensors(void **state) {
    (void)state;
    static pb m, g, sparse, values, indices;
    const float one = 1;
    const int64_t zero = 0;
    g.n = sparse.n = values.n = indices.n = 0;
    pb_int(&values, 1, 1);
    pb_int(&values, 2, F32);
    pb_string(&values, 8, "s");
    pb_bytes(&values, 9, &one, 4);
    pb_int(&indices, 1, 1);
    pb_int(&indices, 2, I64);
    pb_bytes(&indices, 9, &zero, 8);
    pb_message(&sparse, 1, &values);
    pb_message(&sparse, 2, &indices);
    pb_int(&sparse, 3, (int64_t)1 << 40);
    pb_message(&g, 15, &sparse);
    wrap_graph(&m, &g);
    refuse(&m, OC_E_LIMIT, "too large");
}

/* ---- memory
 * ---------------------------------------------------------------------- */

/* Loads a model with allocation number `fail_at` failing. */
static oc_status load_failing(const pb *m, int64_t fail_at, int *failed) {
    test_allocator ta;
    oc_options opt = {0};
    oc_model *model = NULL;
    oc_error err;
    test_allocator_init(&ta, fail_at);
    opt.allocator = &ta.base;
    oc_status st = oc_model_load_memory(&model, m->data, m->n, &opt, &err);
    assert_int_equal(st == OC_OK, model != NULL);
    oc_model_destroy(model);
    *failed = ta.failed;
    test_allocator_check(&ta);
    return st;
}

static void load_survives_failed_allocations(void **state) {
    (void)state;
    static pb m;
    for (int which = 0; which < 2; which++) {
        (which ? rich_model : simple_model)(&m);
        int failed = 1;
        for (int64_t n = 0; failed; n++) {
            oc_status st = load_failing(&m, n, &failed);
            assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        }
    }
}

/* ---- programs
 * ----------------------------------------------------------------------- */

static void load_says_which_file_and_obeys_limits(void **state) {
    (void)state;
    static pb m;
    char path[] = "/tmp/ocelli-test-XXXXXX";
    oc_model *model = NULL;
    oc_error err;
    oc_options opt = {0};
    assert_int_equal(oc_model_load(&model, "/no/such/file.onnx", NULL, &err),
                     OC_E_IO);
    assert_non_null(strstr(err.message, "/no/such/file.onnx"));
    assert_int_equal(oc_model_load(&model, "/", NULL, &err), OC_E_IO);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    simple_model(&m);
    assert_int_equal(write(fd, m.data, m.n), (ssize_t)m.n);
    close(fd);
    opt.max_file_bytes = m.n - 1;
    assert_int_equal(oc_model_load(&model, path, &opt, &err), OC_E_LIMIT);
    opt.max_file_bytes = m.n;
    assert_int_equal(oc_model_load(&model, path, &opt, &err), OC_OK);
    assert_int_equal(oc_model_input_count(model), 2);
    assert_int_equal(oc_model_find_input(model, "b"), 1);
    assert_int_equal(oc_model_find_output(model, "z"), 0);
    assert_int_equal(oc_model_find_output(model, "a"), -1);
    assert_null(oc_model_input(model, 2));
    assert_string_equal(oc_model_metadata(model, "key"), "value");
    assert_null(oc_model_metadata(model, "other"));
    int version = 0;
    assert_string_equal(oc_model_opset(model, 0, &version), "ai.onnx");
    assert_int_equal(version, 13);
    assert_null(oc_model_opset(model, 1, NULL));
    oc_model_destroy(model);
    assert_int_equal(truncate(path, (off_t)m.n / 2), 0);
    assert_int_equal(oc_model_load(&model, path, NULL, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, path));
    assert_true(err.offset >= 0);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_makes_the_graph),
        cmocka_unit_test(import_inlines_and_captures),
        cmocka_unit_test(import_survives_every_cut),
        cmocka_unit_test(import_survives_every_bit_flip),
        cmocka_unit_test(import_refuses_graphs_that_make_no_sense),
        cmocka_unit_test(import_names_missing_operators),
        cmocka_unit_test(import_refuses_tensors_that_lie),
        cmocka_unit_test(import_refuses_contradictions),
        cmocka_unit_test(import_refuses_odd_headers),
        cmocka_unit_test(import_limits_nested_graphs),
        cmocka_unit_test(import_limits_nested_types),
        cmocka_unit_test(import_limits_functions),
        cmocka_unit_test(import_limits_sparse_tensors),
        cmocka_unit_test(load_survives_failed_allocations),
        cmocka_unit_test(load_says_which_file_and_obeys_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
