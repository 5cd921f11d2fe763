/*
 * product_last.c - 8-bit products with constant weights, all of whose scales
 * and zero points are constants, too:
 *
 *     QLinearMatMul(x, .., w, ..) -> ProductLast(x, PackLast(w), bias, scale)
 *
 * and so QGemm and MatMulIntegerToFloat; zero points are in the bias, and sums
 * become codes or f32 where a tile of the product ends.  What f32 adds behind
 * it and an activation are taken in.
 */
#include "ops/blocked.h"
#include "passes/take_in.h"

#include <string.h>

typedef struct product {
    int x, w, x_scale, w_scale, x_zero, w_zero, bias, y_scale, y_zero;
    float alpha;
    int trans; /* w is (n, k) */
    int64_t k, n;
} product;

static int input(const oc__node *n, int i) {
    return i < n->n_in ? n->in[i] : -1;
}

/* Which inputs of n are what; 0: n is none of the products. */
static int read_node(const oc__node *n, product *p) {
    int contrib = !strcmp(n->op->domain, "com.microsoft");
    memset(p, 0, sizeof(*p));
    p->alpha = 1;
    p->x = n->in[0];
    if (contrib && !strcmp(n->op->name, "MatMulIntegerToFloat")) {
        p->w = input(n, 1);
        p->x_scale = input(n, 2);
        p->w_scale = input(n, 3);
        p->x_zero = input(n, 4);
        p->w_zero = input(n, 5);
        p->bias = input(n, 6);
        p->y_scale = p->y_zero = -1;
        return 1;
    }
    int gemm = contrib && !strcmp(n->op->name, "QGemm");
    if (!gemm && !oc__is_op(n, "QLinearMatMul")) return 0;
    p->x_scale = input(n, 1);
    p->x_zero = input(n, 2);
    p->w = input(n, 3);
    p->w_scale = input(n, 4);
    p->w_zero = input(n, 5);
    p->bias = gemm ? input(n, 6) : -1;
    p->y_scale = input(n, gemm ? 7 : 6);
    p->y_zero = input(n, gemm ? 8 : 7);
    if (gemm) {
        p->alpha = oc__attr_float(n, "alpha", 1);
        p->trans = oc__attr_int(n, "transB", 0) != 0;
    }
    return !gemm || !oc__attr_int(n, "transA", 0);
}

static int is_i8(oc_dtype t) {
    return t == OC_DTYPE_U8 || t == OC_DTYPE_I8;
}

/* Whether the bias is absent or a constant of n of the type. */
static int bias_fits(const oc__graph *g, const product *p) {
    oc_dtype type = p->y_scale < 0 ? OC_DTYPE_F32 : OC_DTYPE_I32;
    const oc_tensor *b = oc__constant(g, p->bias);
    if (p->bias < 0) return 1;
    return b && b->dtype == type && oc_tensor_elems(b) == p->n && b->rank > 0 &&
           b->dims[b->rank - 1] == p->n;
}

/* Whether column i without its zero point has 8 bits. */
static int column_fits(const oc_tensor *w, const product *p, int64_t i,
                       int zero) {
    int is_signed = w->dtype == OC_DTYPE_I8;
    const uint8_t *data = w->data;
    if (is_signed && !zero) return 1;
    data += p->trans ? i * p->k : i;
    for (int64_t s = 0; s < p->k; s++, data += p->trans ? 1 : p->n) {
        int v = (is_signed ? (int8_t)*data : *data) - zero;
        if (v < -128 || v > 127) return 0;
    }
    return 1;
}

/* Whether all of it is constant, and weights without zero point have 8 bits. */
static int fits(const oc__graph *g, const oc__node *n, product *p) {
    const oc_tensor *w = oc__constant(g, p->w);
    const oc__value_def *x = &g->values[p->x];
    float scale;
    int zero;
    if (!w || !is_i8(w->dtype) || w->rank != 2 || oc_tensor_elems(w) == 0 ||
        !is_i8(x->dtype) || x->rank < 1)
        return 0;
    p->n = w->dims[p->trans ? 0 : 1];
    p->k = w->dims[p->trans ? 1 : 0];
    if (x->dims[x->rank - 1] != p->k || !bias_fits(g, p) ||
        !oc__read_scale(g, p->x_scale, 1, 0, &scale) ||
        !oc__read_zero(g, p->x_zero, 1, 0, &zero) ||
        !oc__read_scale(g, p->w_scale, p->n, 0, &scale))
        return 0;
    if (p->y_scale >= 0 && (!oc__read_scale(g, p->y_scale, 1, 0, &scale) ||
                            !oc__read_zero(g, p->y_zero, 1, 0, &zero) ||
                            !is_i8(g->values[n->out[0]].dtype)))
        return 0;
    if (p->y_scale < 0 && g->values[n->out[0]].dtype != OC_DTYPE_F32) return 0;
    /* Such results lose their high bits instead; see qproduct.c. */
    if (p->y_scale >= 0 && n->version >= 21 && !n->op->domain[0] &&
        oc__constant(g, p->y_scale)->rank > 0)
        return 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!oc__read_zero(g, p->w_zero, p->n, i, &zero) ||
            !column_fits(w, p, i, zero))
            return 0;
    return 1;
}

/* The weights without zero point as (n, k, 1, 1); -1: no memory. */
static int plain_weights(oc__graph *g, const oc__pass_env *env,
                         const product *p, const int8_t **data) {
    const oc_tensor *w = oc__constant(g, p->w);
    int64_t dims[4] = {p->n, p->k, 1, 1};
    void *to;
    int v =
        oc__new_constant(g, env->allocator, NULL, OC_DTYPE_I8, 4, dims, &to);
    if (v < 0) return -1;
    *data = to;
    if (p->trans)
        memcpy(to, w->data, (size_t)(p->n * p->k));
    else
        env->kernels->transpose_b1(w->data, (size_t)p->n, to, (size_t)p->k,
                                   (size_t)p->k, (size_t)p->n);
    for (int64_t i = 0; i < p->n; i++) {
        int zero;
        uint8_t *row = (uint8_t *)to + i * p->k;
        oc__read_zero(g, p->w_zero, p->n, i, &zero);
        for (int64_t s = 0; zero && s < p->k; s++)
            row[s] = (uint8_t)(row[s] - zero);
    }
    return v;
}

/* Bias, scale and, for f32, shift of each column. */
static oc_status make_terms(oc__graph *g, const oc__pass_env *env,
                            const product *p, const oc__conv_geom *geom,
                            const int8_t *w, int *v, oc_error *err) {
    const oc_allocator *a = env->allocator;
    int64_t terms = (int64_t)oc__conv_i8_terms(geom);
    int is_signed = g->values[p->x].dtype == OC_DTYPE_I8, zero;
    const oc_tensor *b = oc__constant(g, p->bias);
    float *scale, *shift = NULL, x_scale, w_scale, y_scale = 1;
    void *bias;
    v[0] = oc__new_constant(g, a, NULL, OC_DTYPE_I32, 1, &terms, &bias);
    v[1] = oc__new_constant_f32(g, a, NULL, 1, &terms, &scale);
    v[2] = p->y_scale >= 0
               ? -1
               : oc__new_constant_f32(g, a, NULL, 1, &terms, &shift);
    if (v[0] < 0 || v[1] < 0 || (p->y_scale < 0 && v[2] < 0))
        return oc__fail_nomem(err);
    memset(bias, 0, (size_t)terms * sizeof(int32_t));
    memset(scale, 0, (size_t)terms * sizeof(float));
    if (shift) memset(shift, 0, (size_t)terms * sizeof(float));
    oc__read_scale(g, p->x_scale, 1, 0, &x_scale);
    oc__read_zero(g, p->x_zero, 1, 0, &zero);
    if (p->y_scale >= 0) oc__read_scale(g, p->y_scale, 1, 0, &y_scale);
    for (int64_t i = 0; i < p->n; i++) {
        int32_t added = 0;
        if (b && shift)
            shift[i] = ((const float *)b->data)[i];
        else if (b)
            added = ((const int32_t *)b->data)[i];
        oc__read_scale(g, p->w_scale, p->n, i, &w_scale);
        ((int32_t *)bias)[i] =
            oc__conv_i8_bias(env->kernels, geom, OC_CONV_I8_PLAIN, w, 0,
                             (size_t)i, added, zero, is_signed);
        scale[i] = x_scale * p->alpha * w_scale / y_scale;
    }
    return OC_OK;
}

/* PackLast of the weights before node number *at; *out gets what it gives. */
static oc_status put_pack(oc__graph *g, int *at, const oc__conv_geom *geom,
                          int weights, int *out, oc_error *err) {
    int v = oc__graph_add_value(g, NULL);
    oc__node *p =
        v < 0 ? NULL
              : oc__graph_insert_node(g, *at, oc__op_find("ocelli", "PackLast"),
                                      g->nodes[*at]->name, 1, 1, 1, 1);
    int64_t *ints = p ? oc__arena_dup(g->arena, geom, sizeof(*geom)) : NULL;
    if (!ints) return oc__fail_nomem(err);
    ++*at;
    oc__attr_set_ints(p, 0, "geom", ints, OC_GEOM_INTS);
    p->in[0] = weights;
    p->out[0] = *out = v;
    return OC_OK;
}

static oc_status put(oc__graph *g, const oc__pass_env *env, int *at,
                     const product *p, oc_error *err) {
    oc__conv_geom geom = {1, p->k, 1, 1, p->n, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    const int8_t *w = NULL;
    int terms[3], packed = -1, zero = 0;
    oc__node *n = g->nodes[*at];
    int weights = plain_weights(g, env, p, &w);
    oc__attr *attrs = oc__arena_array(g->arena, 6, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, 6, sizeof(*in));
    if (weights < 0 || !attrs || !in) return oc__fail_nomem(err);
    OC_TRY(make_terms(g, env, p, &geom, w, terms, err));
    OC_TRY(put_pack(g, at, &geom, weights, &packed, err));
    if (p->y_scale >= 0) oc__read_zero(g, p->y_zero, 1, 0, &zero);
    const int inputs[6] = {p->x, packed, terms[0], terms[1], terms[2], -1};
    memcpy(in, inputs, sizeof(inputs));
    n->op = oc__op_find("ocelli", "ProductLast");
    n->version = 1;
    n->in = in;
    n->n_in = n->n_explicit = 6;
    n->attrs = attrs;
    n->n_attrs = 6;
    oc__attr_set_int(n, 0, "act", OC_ACT_NONE);
    oc__attr_set_float(n, 1, "act_a", 0);
    oc__attr_set_float(n, 2, "act_b", 0);
    oc__attr_set_int(n, 3, "n", p->n);
    oc__attr_set_int(n, 4, "zero", zero);
    oc__attr_set_int(n, 5, "is_signed",
                     g->values[n->out[0]].dtype == OC_DTYPE_I8);
    return OC_OK;
}

/* What f32 does behind node number *at.  A bias comes as n numbers and is
 * filled up; nothing else has come before it. */
static void take_in(const oc__index *ix, int *at, const product *p) {
    oc__graph *g = ix->g;
    oc__node *n = g->nodes[*at];
    int shift = n->in[4], had = p->bias >= 0;
    if (!had) n->in[4] = -1;
    oc__take_in(ix, at, n, p->n, had ? -1 : 4, 5);
    const oc_tensor *taken = had ? NULL : oc__constant(g, n->in[4]);
    n->in[4] = shift;
    if (taken)
        memcpy(oc__constant(g, shift)->data, taken->data,
               (size_t)p->n * sizeof(float));
}

oc_status oc__pass_product_last(oc__graph *g, const oc__pass_env *env,
                                oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; st == OC_OK && i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        product p;
        if (n->dead || n->n_in < 1 || n->in[0] < 0 || n->out[0] < 0 ||
            n->n_in != n->n_explicit || !read_node(n, &p) || !fits(g, n, &p))
            continue;
        st = put(g, env, &i, &p, err);
        if (st == OC_OK && p.y_scale < 0) take_in(&ix, &i, &p);
    }
    oc__index_deinit(&ix);
    oc__graph_compact(g);
    return st;
}
