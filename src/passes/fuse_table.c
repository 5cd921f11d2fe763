/*
 * fuse_table.c - what stands between codes of 8 bits, element by element, is a
 * table of 256 of them:
 *
 *     DequantizeLinear -> SiLU -> QuantizeLinear      Table(x, table)
 *
 * and so is all that depends on the codes of one tensor alone, in as many
 * steps and ways as it takes, codes in between or not:
 *
 *     x -> Div -> Erf -> Add -> Mul -> codes          GELU, as exported
 *      \________________________/
 *
 * The table is made by the nodes themselves, from all codes there are, so the
 * codes are those that the network as it stands would give:
 *
 *     0 .. 255 -> DequantizeLinear -> SiLU -> QuantizeLinear -> table
 *
 * It folds as other constants do.  Runs when types are known, behind
 * fuse_activation, which makes one node of activations in pieces.
 */
#include "passes/activation.h"

#include <string.h>

/* Nodes that a table is made by. */
#define NODES_MOST 32

typedef struct tables {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    int n;           /* values there were */
    int *root;       /* the codes that a value depends on alone, or -1 */
    int *size;       /* nodes from there to here */
    char *live;      /* somebody needs it when tables are there */
    oc__node **by;   /* the node that makes a value with a root not itself */
    oc__node **made; /* nodes that become tables, the last one first */
    int n_made;
} tables;

/* ---- what nodes do ------------------------------------------------------- */

static int is_i8(oc_dtype type) {
    return type == OC_DTYPE_U8 || type == OC_DTYPE_I8;
}

static int is_single_constant(const oc__graph *g, int v) {
    const oc_tensor *t = oc__constant(g, v);
    return t && oc_tensor_elems(t) == 1;
}

/* A coder with one constant scale. */
static int is_coder(const oc__graph *g, const oc__node *n) {
    if (!oc__is_op(n, "QuantizeLinear") && !oc__is_op(n, "DequantizeLinear"))
        return 0;
    const oc_tensor *s = oc__constant(g, n->in[1]);
    return s && s->dtype == OC_DTYPE_F32 && oc_tensor_elems(s) == 1 &&
           !oc__attr_int(n, "block_size", 0) &&
           (n->n_in < 3 || n->in[2] < 0 || oc__constant(g, n->in[2]));
}

static int is_contrib(const oc__node *n, const char *const *names,
                      size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(n->op->domain, "com.microsoft") &&
            !strcmp(n->op->name, names[i]))
            return 1;
    return 0;
}

/* Operators of one tensor, in f32. */
static int is_unary(const oc__graph *g, const oc__node *n) {
    static const char *const names[] = {"Erf", "Sqrt", "Exp", "Log",
                                        "Neg", "Abs",  "Tanh"};
    oc__act_args unused;
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return 1;
    return is_coder(g, n) || oc__node_activation(g, n, &unused);
}

static int is_binary(const oc__node *n) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Pow"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return n->version >= 7 && n->n_in == 2;
    return 0;
}

/* Where n has its data, when each element of its result is a function of one
 * of each; the number of places, 0: it is none. */
static int data_of(const oc__graph *g, const oc__node *n, int *at) {
    static const char *const pairs[] = {"QLinearAdd", "QLinearMul"};
    static const char *const singles[] = {"QLinearSigmoid", "QLinearLeakyRelu"};
    int count = 1;
    if (n->dead || n->n_in < 1 || n->n_in != n->n_explicit || n->n_out != 1)
        return 0;
    at[0] = 0;
    if (is_binary(n))
        at[1] = 1, count = 2;
    else if (is_contrib(n, pairs, OC_COUNT(pairs)))
        at[1] = 3, count = 2;
    else if (!is_unary(g, n) && !is_contrib(n, singles, OC_COUNT(singles)))
        return 0;
    for (int i = 0; i < n->n_in; i++) {
        int is_data = i == at[0] || (count == 2 && i == at[1]);
        if (is_data ? n->in[i] < 0
                    : n->in[i] >= 0 && !oc__constant(g, n->in[i]))
            return 0;
    }
    return count;
}

/* ---- on what values depend ----------------------------------------------- */

/* All dims are known, and the same. */
static int is_like(const oc__graph *g, int a, int b) {
    const oc__value_def *d = &g->values[a];
    if (!oc__same_dims(g, a, b)) return 0;
    for (int i = 0; i < d->rank; i++)
        if (d->dims[i] < 0) return 0;
    return 1;
}

/* The codes that n's result depends on alone, or -1. */
static int find_root(const tables *t, const oc__node *n, int *size) {
    int at[2], root = -1, count = data_of(t->g, n, at);
    *size = 1;
    for (int i = 0; i < count; i++) {
        int v = n->in[at[i]];
        if (is_single_constant(t->g, v)) continue;
        if (oc__constant(t->g, v) || t->root[v] < 0) return -1;
        if (root >= 0 && root != t->root[v]) return -1;
        root = t->root[v];
        *size += t->size[v];
    }
    if (root < 0 || *size > NODES_MOST || !is_like(t->g, root, n->out[0]))
        return -1;
    return root;
}

static void find_roots(tables *t) {
    const oc__graph *g = t->g;
    for (int v = 0; v < t->n; v++)
        t->root[v] = is_i8(g->values[v].dtype) && !g->values[v].constant &&
                             g->values[v].kind == OC_KIND_TENSOR
                         ? v
                         : -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        int size, root = n->dead ? -1 : find_root(t, n, &size);
        if (root < 0) continue;
        t->root[n->out[0]] = root;
        t->size[n->out[0]] = size;
        t->by[n->out[0]] = g->nodes[i];
    }
}

/* From the outputs back: nodes that make codes of others become tables, and
 * need only what these codes depend on. */
static void find_tables(tables *t) {
    const oc__graph *g = t->g;
    for (int i = 0; i < g->n_outputs; i++)
        t->live[g->outputs[i]] = 1;
    for (int i = g->n_nodes; i-- > 0;) {
        oc__node *n = g->nodes[i];
        int live = n->n_out == 0;
        if (n->dead) continue;
        for (int j = 0; j < n->n_out; j++)
            live |= n->out[j] >= 0 && t->live[n->out[j]];
        if (!live) continue;
        int y = n->out[0];
        if (n->n_out == 1 && y >= 0 && is_i8(g->values[y].dtype) &&
            t->root[y] >= 0 && t->root[y] != y) {
            t->live[t->root[y]] = 1;
            t->made[t->n_made++] = n;
            continue;
        }
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) t->live[n->in[j]] = 1;
    }
}

/* ---- the table ----------------------------------------------------------- */

/* The values of one table: what a value is for all codes. */
typedef struct twins {
    int from[NODES_MOST + 1], to[NODES_MOST + 1], n;
} twins;

static int twin_of(const twins *w, int v) {
    for (int i = 0; i < w->n; i++)
        if (w->from[i] == v) return w->to[i];
    return -1;
}

/* All codes of a type, in the order of their bytes; -1: no memory. */
static int all_codes(const tables *t, oc_dtype type) {
    static const int64_t length = 256;
    void *data;
    int v = oc__new_constant(t->g, t->env->allocator, NULL, type, 1, &length,
                             &data);
    for (int i = 0; v >= 0 && i < 256; i++)
        ((uint8_t *)data)[i] = (uint8_t)i;
    return v;
}

/* A value like v for all codes. */
static int add_like(oc__graph *g, int v) {
    int t = oc__graph_add_value(g, NULL);
    if (t < 0) return -1;
    g->values[t].dtype = g->values[v].dtype;
    g->values[t].rank = 1;
    g->values[t].dims[0] = 256;
    return t;
}

/* A constant of one element, without dims. */
static int as_scalar(const tables *t, int v) {
    const oc_tensor *from = oc__constant(t->g, v);
    void *to;
    if (from->rank == 0) return v;
    int s = oc__new_constant(t->g, t->env->allocator, NULL, from->dtype, 0,
                             NULL, &to);
    if (s >= 0) memcpy(to, from->data, oc_dtype_bytes(from->dtype));
    return s;
}

/* n once more, on all codes, before node number *at. */
static oc_status put_node(const tables *t, const oc__node *n, twins *w,
                          int *at) {
    oc__graph *g = t->g;
    int places[2], count = data_of(g, n, places), y = add_like(g, n->out[0]);
    oc__node *c =
        y < 0 ? NULL
              : oc__graph_insert_node(g, *at, n->op, n->name, n->version,
                                      n->n_in, 1, n->n_attrs);
    if (!c) return oc__fail_nomem(t->err);
    ++*at;
    memcpy(c->in, n->in, (size_t)n->n_in * sizeof(int));
    for (int i = 0; i < count; i++) {
        int v = n->in[places[i]], one = is_single_constant(g, v);
        c->in[places[i]] = one ? as_scalar(t, v) : twin_of(w, v);
        if (c->in[places[i]] < 0) return oc__fail_nomem(t->err);
    }
    for (int i = 0; i < n->n_attrs; i++)
        c->attrs[i] = n->attrs[i];
    c->out[0] = y;
    w->from[w->n] = n->out[0];
    w->to[w->n++] = y;
    return OC_OK;
}

/* The nodes from codes `root` to n, in their order, for all codes. */
static oc_status put_nodes(const tables *t, const oc__node *n, int root,
                           int *at, int *table) {
    const oc__node *todo[NODES_MOST];
    twins w = {.from = {root}, .n = 1};
    int found = 1, places[2];
    todo[0] = n;
    /* Those that n reads, and so on; each once. */
    for (int i = 0; i < found; i++) {
        int count = data_of(t->g, todo[i], places);
        for (int j = 0; j < count; j++) {
            int v = todo[i]->in[places[j]], seen = v == root;
            const oc__node *p = t->by[v];
            for (int s = 0; p && s < found; s++)
                seen |= todo[s] == p;
            if (p && !seen) todo[found++] = p;
        }
    }
    w.to[0] = all_codes(t, t->g->values[root].dtype);
    if (w.to[0] < 0) return oc__fail_nomem(t->err);
    /* Until all are there: one goes when what it reads has gone. */
    while (twin_of(&w, n->out[0]) < 0)
        for (int i = found; i-- > 0;) {
            int ready = twin_of(&w, todo[i]->out[0]) < 0;
            int count = data_of(t->g, todo[i], places);
            for (int j = 0; j < count; j++)
                ready &= is_single_constant(t->g, todo[i]->in[places[j]]) ||
                         twin_of(&w, todo[i]->in[places[j]]) >= 0;
            if (ready) OC_TRY(put_node(t, todo[i], &w, at));
        }
    *table = twin_of(&w, n->out[0]);
    return OC_OK;
}

/* n becomes the table. */
static oc_status put_table(const tables *t, oc__node *n) {
    oc__graph *g = t->g;
    int at = 0, root = t->root[n->out[0]];
    int *in = oc__arena_array(g->arena, 2, sizeof(*in));
    if (!in) return oc__fail_nomem(t->err);
    while (g->nodes[at] != n)
        at++;
    in[0] = root;
    OC_TRY(put_nodes(t, n, root, &at, &in[1]));
    n->op = oc__op_find("ocelli", "Table");
    n->version = 1;
    n->in = in;
    n->n_in = n->n_explicit = 2;
    n->n_attrs = 0;
    return OC_OK;
}

static int has_coder(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], "QuantizeLinear") ||
            oc__is_op(g->nodes[i], "DequantizeLinear"))
            return 1;
    return 0;
}

oc_status oc__pass_fuse_table(oc__graph *g, const oc__pass_env *env,
                              oc_error *err) {
    if (!has_coder(g)) return OC_OK;
    const oc_allocator *a = env->allocator;
    size_t n = (size_t)g->n_values + 1, nodes = (size_t)g->n_nodes;
    tables t = {.g = g, .env = env, .err = err, .n = g->n_values};
    t.root = oc__alloc(a, n * sizeof(*t.root));
    t.size = oc__calloc(a, n, sizeof(*t.size));
    t.live = oc__calloc(a, n, 1);
    t.by = oc__calloc(a, n, sizeof(*t.by));
    t.made = oc__calloc(a, nodes, sizeof(*t.made));
    oc_status st = OC_OK;
    if (!t.root || !t.size || !t.live || !t.by || !t.made)
        st = oc__fail_nomem(err);
    if (st == OC_OK) {
        find_roots(&t);
        find_tables(&t);
    }
    /* The last one first: those before it are still what they were. */
    for (int i = 0; st == OC_OK && i < t.n_made; i++)
        st = put_table(&t, t.made[i]);
    oc__release(a, t.root, n * sizeof(*t.root));
    oc__release(a, t.size, n * sizeof(*t.size));
    oc__release(a, t.live, n);
    oc__release(a, t.by, n * sizeof(*t.by));
    oc__release(a, t.made, nodes * sizeof(*t.made));
    return st;
}
