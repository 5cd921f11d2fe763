/*
 * fuse_table.c - what stands between codes of 8 bits, element by element, is a
 * table of 256 of them:
 *
 *     DequantizeLinear -> SiLU -> QuantizeLinear      Table(x, table)
 *
 * The table is made by the nodes themselves, from all codes there are, so the
 * codes are those that the network in f32 would give:
 *
 *     0 .. 255 -> DequantizeLinear -> SiLU -> QuantizeLinear -> table
 *
 * It folds as other constants do.  Runs when types are known, behind
 * fuse_activation, which makes one node of activations in pieces.
 */
#include "passes/activation.h"

#include <string.h>

/* Activations in a row; there is one, seldom two. */
#define CHAIN_MOST 4

static int is_i8(oc_dtype type) {
    return type == OC_DTYPE_U8 || type == OC_DTYPE_I8;
}

/* A coder with one constant scale. */
static int is_coder(const oc__graph *g, const oc__node *n, const char *name) {
    const oc_tensor *s;
    if (!oc__is_op(n, name) || n->n_in < 2 || n->n_in != n->n_explicit)
        return 0;
    s = oc__constant(g, n->in[1]);
    return s && s->dtype == OC_DTYPE_F32 && oc_tensor_elems(s) == 1 &&
           !oc__attr_int(n, "block_size", 0) &&
           (n->n_in < 3 || n->in[2] < 0 || oc__constant(g, n->in[2]));
}

/* Whether n is a function of each element of input 0 alone. */
static int is_single(const oc__graph *g, const oc__node *n) {
    oc__act_args unused;
    if (!n || n->n_in != n->n_explicit || n->n_out != 1) return 0;
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i] >= 0 && !oc__constant(g, n->in[i])) return 0;
    return oc__node_activation(g, n, &unused);
}

typedef struct chain {
    oc__node *nodes[CHAIN_MOST + 2]; /* the last one first */
    int n;
} chain;

/* From quantizer q back to a DequantizeLinear of 8 bits. */
static int find_chain(const oc__index *ix, oc__node *q, chain *c) {
    const oc__graph *g = ix->g;
    if (!is_coder(g, q, "QuantizeLinear") || !is_i8(g->values[q->out[0]].dtype))
        return 0;
    c->nodes[0] = q;
    for (c->n = 1; c->n < CHAIN_MOST + 2; c->n++) {
        int v = c->nodes[c->n - 1]->in[0];
        oc__node *p = oc__producer(ix, v);
        c->nodes[c->n] = p;
        if (is_coder(g, p, "DequantizeLinear")) {
            c->n++;
            return c->n > 2 && is_i8(g->values[p->in[0]].dtype);
        }
        if (!oc__used_once(ix, v) || !is_single(g, p)) return 0;
    }
    return 0;
}

/* All codes of a type, in the order of their bytes; -1: no memory. */
static int all_codes(oc__graph *g, const oc__pass_env *env, oc_dtype type) {
    static const int64_t length = 256;
    void *data;
    int v = oc__new_constant(g, env->allocator, NULL, type, 1, &length, &data);
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

/* Puts the chain's nodes once more, on all codes, before node number *at. */
static oc_status put_chain(oc__graph *g, const oc__pass_env *env,
                           const chain *c, int *at, int *table, oc_error *err) {
    int x = all_codes(g, env, g->values[c->nodes[c->n - 1]->in[0]].dtype);
    for (int i = c->n; x >= 0 && i-- > 0;) {
        const oc__node *from = c->nodes[i];
        int y = add_like(g, from->out[0]);
        oc__node *n = y < 0
                          ? NULL
                          : oc__graph_insert_node(g, *at, from->op, from->name,
                                                  from->version, from->n_in, 1,
                                                  from->n_attrs);
        if (!n) return oc__fail_nomem(err);
        ++*at;
        for (int j = 0; j < from->n_in; j++)
            n->in[j] = j ? from->in[j] : x;
        for (int j = 0; j < from->n_attrs; j++)
            n->attrs[j] = from->attrs[j];
        n->out[0] = x = y;
    }
    *table = x;
    return x < 0 ? oc__fail_nomem(err) : OC_OK;
}

static oc_status fuse(oc__graph *g, const oc__pass_env *env, const chain *c,
                      int *at, oc_error *err) {
    oc__node *q = g->nodes[*at];
    int *in = oc__arena_array(g->arena, 2, sizeof(*in));
    if (!in) return oc__fail_nomem(err);
    in[0] = c->nodes[c->n - 1]->in[0];
    OC_TRY(put_chain(g, env, c, at, &in[1], err));
    q->name = c->nodes[1]->name;
    q->op = oc__op_find("ocelli", "Table");
    q->version = 1;
    q->in = in;
    q->n_in = q->n_explicit = 2;
    q->n_attrs = 0;
    for (int i = 1; i < c->n - 1; i++)
        c->nodes[i]->dead = 1;
    return OC_OK;
}

static int has_quantizer(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], "QuantizeLinear")) return 1;
    return 0;
}

oc_status oc__pass_fuse_table(oc__graph *g, const oc__pass_env *env,
                              oc_error *err) {
    oc__index ix;
    if (!has_quantizer(g)) return OC_OK;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    /* All are found while the index counts nodes as they stand. */
    int n = g->n_nodes, found = 0;
    chain *all = oc__calloc(env->allocator, (size_t)n, sizeof(*all));
    oc_status st = all ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; st == OC_OK && i < n; i++)
        if (find_chain(&ix, g->nodes[i], &all[found])) found++;
    for (int i = 0, f = 0; st == OC_OK && f < found && i < g->n_nodes; i++)
        if (g->nodes[i] == all[f].nodes[0])
            st = fuse(g, env, &all[f++], &i, err);
    oc__release(env->allocator, all, (size_t)n * sizeof(*all));
    oc__index_deinit(&ix);
    return st;
}
