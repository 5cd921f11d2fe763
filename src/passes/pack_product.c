/*
 * pack_product.c - products with a constant B: B packed ahead, what follows
 * taken in.
 *
 *   MatMul(A, W) [+ bias] [+ residual] [activation]
 *       -> MatMulPacked(A, PackB(W), bias, residual; act)
 *   Gemm(A, W, C) [activation]
 *       -> GemmPacked(A, PackB(W), C; act)
 *
 * PackB is folded by the inference that follows.  f32 only.
 */
#include "passes/activation.h"

#include <string.h>

typedef struct packer {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    oc__index ix;
} packer;

static oc_status no_memory(packer *p) {
    return oc__fail_nomem(p->err);
}

static const oc_tensor *f32_constant(const packer *p, int v) {
    const oc_tensor *t = oc__constant(p->g, v);
    return t && t->dtype == OC_DTYPE_F32 ? t : NULL;
}

/* The only reader of n's output among the nodes behind it, or NULL. */
static oc__node *next_of(const packer *p, const oc__node *n, int from) {
    int v = n->out[0];
    if (v >= p->ix.n || !oc__used_once(&p->ix, v) ||
        oc__graph_is_output(p->g, v))
        return NULL;
    for (int i = from; i < p->g->n_nodes; i++)
        for (int j = 0; j < p->g->nodes[i]->n_in; j++)
            if (!p->g->nodes[i]->dead && p->g->nodes[i]->in[j] == v)
                return p->g->nodes[i];
    return NULL;
}

/* n computes what `after` did; the node moves to after's place in the order,
   where everything that `after` reads is there. */
static void swallow(packer *p, int *at, oc__node *after) {
    oc__graph *g = p->g;
    oc__node *n = g->nodes[*at];
    n->out[0] = after->out[0];
    after->dead = 1;
    int to = *at;
    while (g->nodes[to] != after)
        to++;
    memmove(&g->nodes[*at], &g->nodes[*at + 1],
            (size_t)(to - *at) * sizeof(*g->nodes));
    g->nodes[to] = n;
    *at = to;
}

static int same_shape(const packer *p, int a, int b) {
    const oc__value_def *x = &p->g->values[a], *y = &p->g->values[b];
    return x->dtype == y->dtype && x->rank == y->rank && x->rank >= 0 &&
           !memcmp(x->dims, y->dims, (size_t)x->rank * sizeof(int64_t));
}

/* Whether constant v adds one number to each of n columns. */
static int is_bias(const packer *p, int v, int64_t n) {
    const oc_tensor *t = f32_constant(p, v);
    return t && t->rank >= 1 && oc_tensor_elems(t) == n &&
           t->dims[t->rank - 1] == n;
}

/* Adds and an activation behind a MatMul that has become `m`. */
static void take_in(packer *p, int *at, oc__node *m, int64_t n) {
    oc__node *next;
    while ((next = next_of(p, m, *at + 1)) != NULL) {
        oc__act_args a;
        if (oc__is_op(next, "Add") && next->n_explicit == 2 &&
            next->version >= 7 && next->in[0] != next->in[1]) {
            int other = next->in[next->in[0] == m->out[0]];
            if (m->n_in == 4 && m->in[2] < 0 && m->in[3] < 0 &&
                is_bias(p, other, n) && same_shape(p, next->out[0], m->out[0]))
                m->in[2] = other;
            else if (m->n_in == 4 && m->in[3] < 0 &&
                     !oc__constant(p->g, other) &&
                     same_shape(p, other, m->out[0]))
                m->in[3] = other;
            else
                return;
            swallow(p, at, next);
        } else if (oc__node_activation(p->g, next, &a)) {
            oc__attr_set_int(m, 0, "act", a.kind);
            oc__attr_set_float(m, 1, "act_a", a.a);
            oc__attr_set_float(m, 2, "act_b", a.b);
            swallow(p, at, next);
            return;
        } else {
            return;
        }
    }
}

/*
 * Turns the node at *at into `op` with its B packed.  attrs beyond the five
 * of every packed product are copied from the node.
 */
static oc_status pack(packer *p, int *at, const char *op_name, int n_in,
                      int trans, int64_t k, int64_t n) {
    oc__graph *g = p->g;
    oc__node *m = g->nodes[*at];
    int v = oc__graph_add_value(g, NULL);
    oc__node *b =
        v < 0 ? NULL
              : oc__graph_insert_node(g, *at, oc__op_find("ocelli", "PackB"),
                                      m->name, 1, 1, 1, 1);
    oc__attr *attrs =
        oc__arena_array(g->arena, (size_t)m->n_attrs + 5, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, (size_t)n_in, sizeof(*in));
    if (!b || !attrs || !in) return no_memory(p);
    ++*at;
    b->in[0] = m->in[1];
    b->out[0] = v;
    oc__attr_set_int(b, 0, "trans", trans);
    for (int j = 0; j < n_in; j++)
        in[j] = j < m->n_in ? m->in[j] : -1;
    in[1] = v;
    memcpy(attrs + 5, m->attrs, (size_t)m->n_attrs * sizeof(*attrs));
    m->op = oc__op_find("ocelli", op_name);
    m->version = 1;
    m->in = in;
    m->n_in = m->n_explicit = n_in;
    m->attrs = attrs;
    m->n_attrs += 5;
    oc__attr_set_int(m, 0, "act", OC_ACT_NONE);
    oc__attr_set_float(m, 1, "act_a", 0);
    oc__attr_set_float(m, 2, "act_b", 0);
    oc__attr_set_int(m, 3, "k", k);
    oc__attr_set_int(m, 4, "n", n);
    return OC_OK;
}

static oc_status visit(packer *p, int *at) {
    oc__node *m = p->g->nodes[*at];
    int gemm = oc__is_op(m, "Gemm");
    if ((!gemm && !oc__is_op(m, "MatMul")) || m->out[0] < 0) return OC_OK;
    const oc_tensor *w = f32_constant(p, m->in[1]);
    const oc__value_def *y = &p->g->values[m->out[0]];
    if (!w || w->rank < 2 || (gemm && w->rank != 2) || y->rank < 1 ||
        y->dtype != OC_DTYPE_F32 || oc_tensor_elems(w) == 0)
        return OC_OK;
    int trans = gemm && oc__attr_int(m, "transB", 0) != 0;
    int64_t k = w->dims[w->rank - (trans ? 1 : 2)];
    int64_t n = w->dims[w->rank - (trans ? 2 : 1)];
    OC_TRY(pack(p, at, gemm ? "GemmPacked" : "MatMulPacked", gemm ? 3 : 4,
                trans, k, n));
    if (w->rank == 2) take_in(p, at, m, n);
    return OC_OK;
}

oc_status oc__pass_pack_product(oc__graph *g, const oc__pass_env *env,
                                oc_error *err) {
    packer p = {.g = g, .env = env, .err = err};
    OC_TRY(oc__index_init(&p.ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++)
        if (!g->nodes[i]->dead) st = visit(&p, &i);
    oc__index_deinit(&p.ix);
    oc__graph_compact(g);
    return st;
}
