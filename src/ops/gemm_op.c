/*
 * gemm_op.c - Gemm: Y = alpha A' B' + beta C, com.microsoft's FusedGemm with
 * an activation behind it, and the pair that keeps weights packed:
 *
 *     PackB (k, n) or (n, k) with trans  ->  the GEMM's panels, flat: f32, or
 *                                            bf16 with the attribute bf16
 *     GemmPacked (A, panels, C)          ->  Gemm without packing B
 *
 * Packing is a node of its own so that constant folding can do it once; the
 * panels belong to the kernels of this machine and never reach a file.
 */
#include "ops/activation_fused.h"
#include "ops/nn.h"
#include "ops/product.h"

#include <string.h>

enum gemm_kind { K_GEMM, K_FUSED_GEMM, K_GEMM_PACKED };

/* ---- PackB --------------------------------------------------------------- */

static int is_bf16(const oc__ctx *c) {
    return oc__attr_int(c->node, "bf16", 0) != 0;
}

/* B may be a batch of matrices; each is packed on its own. */
static oc_status pack_shape(const oc__ctx *c, size_t *k, size_t *n,
                            int64_t *count, oc_tensor *y) {
    const oc_tensor *b = oc__in(c, 0);
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    int trans = oc__attr_int(c->node, "trans", 0) != 0;
    *k = (size_t)b->dims[b->rank - (trans ? 1 : 2)];
    *n = (size_t)b->dims[b->rank - (trans ? 2 : 1)];
    *count = oc__count(b->dims, b->rank - 2);
    int bf16 = is_bf16(c);
    size_t elems = bf16 ? oc__gemm_bf16_packed_elems(c->kernels, *k, *n)
                        : oc__gemm_f32_packed_elems(c->kernels, *k, *n);
    if (elems > INT64_MAX / 8)
        return oc__op_fail(c, OC_E_LIMIT, "B is too large");
    int64_t dims[OC_MAX_RANK];
    memcpy(dims, b->dims, sizeof(dims));
    dims[b->rank - 2] = (int64_t)elems;
    oc__tensor_set(y, bf16 ? OC_DTYPE_BF16 : OC_DTYPE_F32, b->rank - 1, dims);
    return OC_OK;
}

static oc_status infer_pack(oc__ctx *c) {
    size_t k, n;
    int64_t count;
    oc_tensor y;
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(pack_shape(c, &k, &n, &count, &y));
    return oc__out_like(c, 0, &y);
}

static oc_status run_pack(oc__ctx *c) {
    const float *b = oc__in(c, 0)->data;
    char *y = oc__out(c, 0)->data;
    size_t k, n;
    int64_t count;
    oc_tensor shape;
    OC_TRY(pack_shape(c, &k, &n, &count, &shape));
    int trans = oc__attr_int(c->node, "trans", 0) != 0;
    size_t row = trans ? 1 : n, col = trans ? k : 1;
    size_t bytes =
        (size_t)shape.dims[shape.rank - 1] * oc_dtype_bytes(shape.dtype);
    for (int64_t i = 0; i < count; i++, b += k * n, y += bytes)
        if (is_bf16(c))
            oc__gemm_bf16_pack_b(c->kernels, c->pool, k, n, b, row, col,
                                 (uint16_t *)(void *)y);
        else
            oc__gemm_f32_pack_b(c->kernels, c->pool, k, n, b, row, col,
                                (float *)(void *)y);
    return OC_OK;
}

/* ---- Gemm ---------------------------------------------------------------- */

/* How C lies over (m, n). */
typedef enum spread_kind {
    C_NONE,
    C_SCALAR,
    C_ROW,    /* (n): the same for every row */
    C_COLUMN, /* (m, 1) */
    C_FULL,
} spread_kind;

typedef struct gemm {
    oc__product p;
    float alpha, beta;
    spread_kind spread;
    /* C in f32 times beta, where it is not usable as it lies; behind it in
       scratch, the product's own. */
    int64_t copy_elems;
    size_t copy_bytes, product_bytes;
} gemm;

static oc_status read_c(const oc__ctx *c, gemm *g) {
    const oc_tensor *t = oc__in(c, 2);
    g->spread = C_NONE;
    g->copy_elems = 0;
    if (!t || g->beta == 0) return OC_OK;
    int64_t last = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    int64_t rows = t->rank > 1 ? t->dims[t->rank - 2] : 1;
    int64_t m = g->p.m, n = g->p.n;
    if (t->rank > 2 || (last != n && last != 1) || (rows != m && rows != 1))
        return oc__op_fail(c, OC_E_SHAPE,
                           "C cannot be broadcast to %lld by %lld",
                           (long long)m, (long long)n);
    if (rows == m && last == n && m > 1 && n > 1)
        g->spread = C_FULL;
    else if (last == n && n > 1)
        g->spread = C_ROW;
    else if (rows == m && m > 1)
        g->spread = C_COLUMN;
    else
        g->spread = C_SCALAR;
    if (oc__wide_of(t->dtype) != OC_WIDE_F32) return OC_OK;
    if (g->spread == C_SCALAR)
        g->copy_elems = n;
    else if (t->dtype != OC_DTYPE_F32 || g->beta != 1)
        g->copy_elems = oc_tensor_elems(t);
    return OC_OK;
}

static oc_status read_b(const oc__ctx *c, gemm *g) {
    const oc_tensor *b = oc__in(c, 1);
    oc__product *p = &g->p;
    int64_t k;
    if (c->op->kind == K_GEMM_PACKED) {
        k = oc__attr_int(c->node, "k", -1);
        p->n = oc__attr_int(c->node, "n", -1);
        p->packed = 1;
        if (k < 0 || p->n < 0 || b->rank != 1 ||
            b->dims[0] != oc__product_packed(c, b->dtype, k, p->n))
            return oc__op_fail(c, OC_E_SHAPE,
                               "B is not packed for these sizes");
    } else {
        OC_TRY(oc__want_rank(c, 1, 2, 2));
        int trans = oc__attr_int(c->node, "transB", 0) != 0;
        k = b->dims[trans];
        p->n = b->dims[!trans];
        p->b_row = trans ? 1 : b->dims[1];
        p->b_col = trans ? b->dims[1] : 1;
    }
    if (k != p->k)
        return oc__op_fail(c, OC_E_SHAPE, "A has %lld columns, B has %lld rows",
                           (long long)p->k, (long long)k);
    return OC_OK;
}

static oc_status read_act(const oc__ctx *c, oc__product *p) {
    const oc__node *n = c->node;
    oc__act_args act = {OC_ACT_NONE, 0, 0};
    if (c->op->kind == K_GEMM_PACKED) act = oc__act_of_attrs(n);
    if (c->op->kind == K_FUSED_GEMM) {
        float params[2] = {oc__attr_float(n, "activation_alpha", 0),
                           oc__attr_float(n, "activation_beta", 0)};
        size_t count = oc__attr_find(n, "activation_beta")    ? 2
                       : oc__attr_find(n, "activation_alpha") ? 1
                                                              : 0;
        OC_TRY(oc__act_parse(c, oc__attr_string(n, "activation", ""), params,
                             count, &act));
    }
    if ((int)act.kind < 0 || act.kind >= OC_ACT_COUNT)
        return oc__op_fail(c, OC_E_ARG, "there is no such activation");
    p->act = act.kind;
    p->act_a = act.a;
    p->act_b = act.b;
    return OC_OK;
}

static oc_status setup(const oc__ctx *c, gemm *g) {
    const oc_tensor *a = oc__in(c, 0), *b = oc__in(c, 1);
    oc__product *p = &g->p;
    oc__product_init(p);
    OC_TRY(oc__want_rank(c, 0, 2, 2));
    int trans = oc__attr_int(c->node, "transA", 0) != 0;
    p->m = a->dims[trans];
    p->k = a->dims[!trans];
    p->a_row = trans ? 1 : a->dims[1];
    p->a_col = trans ? a->dims[1] : 1;
    OC_TRY(read_b(c, g));
    p->a_type = p->y_type = a->dtype;
    p->b_type = b->dtype;
    p->a_elems = oc_tensor_elems(a);
    p->b_elems = oc_tensor_elems(b);
    g->alpha = oc__attr_float(c->node, "alpha", 1);
    g->beta = oc__attr_float(c->node, "beta", 1);
    OC_TRY(read_c(c, g));
    if (oc__wide_of(a->dtype) == OC_WIDE_F32) p->alpha = g->alpha;
    OC_TRY(read_act(c, p));
    g->copy_bytes =
        oc__align_up((size_t)g->copy_elems * sizeof(float), OC_ALIGN);
    return oc__product_scratch(c, p, &g->product_bytes);
}

static oc_status infer_gemm(oc__ctx *c) {
    gemm g;
    uint32_t mask = c->op->kind == K_GEMM          ? OC_T_F | OC_T_I | OC_T_U
                    : c->op->kind == K_GEMM_PACKED ? OC_T(F32)
                                                   : OC_T(F32) | OC_T(F16);
    for (int i = 0; i < 3; i++) {
        if (i == 2 && !oc__in(c, 2)) break;
        if (i == 1 && c->op->kind == K_GEMM_PACKED) {
            OC_TRY(oc__want(c, i, OC_T(F32) | OC_T(BF16)));
            continue;
        }
        OC_TRY(oc__want(c, i, mask));
        if (oc__in(c, i)->dtype != oc__in(c, 0)->dtype)
            return oc__op_fail(c, OC_E_ARG, "input %d is %s, A is %s", i,
                               oc_dtype_name(oc__in(c, i)->dtype),
                               oc_dtype_name(oc__in(c, 0)->dtype));
    }
    OC_TRY(setup(c, &g));
    oc__scratch_need(c, g.copy_bytes + g.product_bytes);
    int64_t dims[2] = {g.p.m, g.p.n};
    return oc__out_set(c, 0, oc__in(c, 0)->dtype, 2, dims);
}

/* Puts C where the GEMM adds it: as it lies, or scaled in scratch. */
static void place_c(const oc__ctx *c, gemm *g) {
    const oc_tensor *t = oc__in(c, 2);
    if (g->spread == C_NONE) return;
    const float *at = t->data;
    if (g->copy_elems) {
        float *copy = c->scratch;
        int64_t n = g->spread == C_SCALAR ? 1 : g->copy_elems;
        oc__lanes_widen(c->kernels, t->dtype, t->data, 0, n, copy);
        c->kernels->binary_f32(OC_BINARY_MUL, copy, 1, &g->beta, 0, copy,
                               (size_t)n);
        for (int64_t i = n; i < g->copy_elems; i++)
            copy[i] = copy[0];
        at = copy;
    }
    if (g->spread == C_FULL) {
        g->p.d = at;
        g->p.d_row = g->p.n;
    } else if (g->spread == C_COLUMN) {
        g->p.bias_m = at;
    } else {
        g->p.bias_n = at;
    }
}

/* Where element (r, i) of the result finds its C. */
static int64_t c_index(const gemm *g, int64_t r, int64_t i) {
    switch (g->spread) {
    case C_FULL: return r * g->p.n + i;
    case C_ROW: return i;
    case C_COLUMN: return r;
    default: return 0;
    }
}

/* The tail for f64 and integers.  Integers are scaled only when asked to:
   in doubles, and cut. */
static void scale_and_add(const oc__ctx *c, const gemm *g, oc_tensor *y) {
    const oc_tensor *t = oc__in(c, 2);
    int exact = g->alpha == 1 && (g->spread == C_NONE || g->beta == 1);
    int floats = oc__wide_of(y->dtype) == OC_WIDE_F64;
    for (int64_t r = 0; r < g->p.m; r++) {
        for (int64_t i = 0; i < g->p.n; i++) {
            int64_t at = r * g->p.n + i;
            if (exact && !floats) {
                int64_t sum[2] = {0, 0};
                oc__lanes_widen(c->kernels, y->dtype, y->data, at, 1, sum);
                if (g->spread != C_NONE)
                    oc__lanes_widen(c->kernels, y->dtype, t->data,
                                    c_index(g, r, i), 1, sum + 1);
                sum[0] = (int64_t)((uint64_t)sum[0] + (uint64_t)sum[1]);
                oc__lanes_store(c->kernels, y->dtype, y->data, at, 1, sum);
                continue;
            }
            double v = oc__tensor_get_f64(y, at) * g->alpha;
            if (g->spread != C_NONE)
                v += g->beta * oc__tensor_get_f64(t, c_index(g, r, i));
            oc__lanes_store_f64(c->kernels, y->dtype, y->data, at, 1, &v);
        }
    }
}

static oc_status run_gemm(oc__ctx *c) {
    gemm g;
    oc_tensor *y = oc__out(c, 0);
    OC_TRY(setup(c, &g));
    int f32 = oc__wide_of(y->dtype) == OC_WIDE_F32;
    if (f32) place_c(c, &g);
    oc__product_run(c, &g.p, oc__in(c, 0)->data, oc__in(c, 1)->data, y->data,
                    (char *)c->scratch + g.copy_bytes);
    if (!f32 && (g.spread != C_NONE || g.alpha != 1)) scale_and_add(c, &g, y);
    return OC_OK;
}

static double flops_gemm(const oc__ctx *c) {
    gemm g;
    if (setup(c, &g) != OC_OK) return 0;
    return 2.0 * (double)g.p.m * (double)g.p.n * (double)g.p.k;
}

#define GEMM(domain, name, since, kind)                                        \
    { domain, name, since, 2, 3, 1, 0, kind, infer_gemm, run_gemm, flops_gemm }

const oc__op oc__ops_gemm_op[] = {
    GEMM("", "Gemm", 1, K_GEMM),
    GEMM("com.microsoft", "FusedGemm", 1, K_FUSED_GEMM),
    GEMM("ocelli", "GemmPacked", 1, K_GEMM_PACKED),
    {"ocelli", "PackB", 1, 1, 1, 1, OC_OP_PACK, 0, infer_pack, run_pack, NULL},
    {0},
};
