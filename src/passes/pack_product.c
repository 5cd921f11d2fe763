/*
 * pack_product.c - products with a constant B: B packed ahead, what follows
 * taken in.
 *
 *   MatMul(A, W) [+ bias] [+ residual] [activation]
 *       -> MatMulPacked(A, PackB(W), bias, residual; act)
 *   Gemm(A, W, C) [activation]
 *       -> GemmPacked(A, PackB(W), C; act)
 *
 * PackB is folded by the inference that follows.  f32 only; where the table of
 * kernels says so, products are of bf16, to which the weights are packed.
 */
#include "passes/take_in.h"

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
                                      m->name, 1, 1, 1, 2);
    oc__attr *attrs =
        oc__arena_array(g->arena, (size_t)m->n_attrs + 5, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, (size_t)n_in, sizeof(*in));
    if (!b || !attrs || !in) return no_memory(p);
    ++*at;
    b->in[0] = m->in[1];
    b->out[0] = v;
    oc__attr_set_int(b, 0, "trans", trans);
    oc__attr_set_int(b, 1, "bf16", p->env->kernels->bf16);
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
    if (w->rank == 2)
        oc__take_in(&p->ix, at, m, n, m->n_in == 4 ? 2 : -1,
                    m->n_in == 4 ? 3 : -1);
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
