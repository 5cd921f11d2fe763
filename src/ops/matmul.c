/*
 * matmul.c - MatMul of any ranks and types, com.microsoft's FusedMatMul, and
 * MatMulPacked, which takes B packed ahead (see gemm_op.c).
 *
 *     A (..., m, k)  B (..., k, n)  ->  Y (..., m, n)
 *
 * A vector on the left is a row, on the right a column; the 1 it gains is
 * taken off the result again.
 */
#include "ops/activation_fused.h"
#include "ops/product.h"

#include <string.h>

enum matmul_kind { K_MATMUL, K_FUSED, K_PACKED };

/* Rows of A that follow on one another through the batch, against one B: a
   single taller product. */
static void merge_rows(oc__product *p) {
    oc__walk *w = &p->batch;
    if (w->rank != 1 || w->dims[0] < 2 || p->bias_m || p->d) return;
    if (w->strides[1][0] != 0 || w->strides[0][0] != p->m * p->a_row) return;
    p->m *= w->dims[0];
    w->dims[0] = w->total = 1;
}

/* A packed B has lost its shape; attributes keep it. */
static oc_status read_packed(const oc__ctx *c, oc__operand *o) {
    const oc_tensor *t = oc__in(c, 1);
    o->rows = oc__attr_int(c->node, "k", 0);
    o->cols = oc__attr_int(c->node, "n", 0);
    o->row = o->col = 0;
    if (o->rows < 0 || o->cols < 0 || t->rank < 1 ||
        t->dims[t->rank - 1] !=
            oc__product_packed(c, t->dtype, o->rows, o->cols))
        return oc__op_fail(c, OC_E_SHAPE, "B is not packed for these sizes");
    int64_t strides[OC_MAX_RANK];
    oc__strides(t->rank, t->dims, strides);
    o->rank = t->rank - 1;
    for (int i = 0; i < o->rank; i++) {
        o->batch[i] = t->dims[i];
        o->strides[i] = t->dims[i] == 1 ? 0 : strides[i];
    }
    return OC_OK;
}

/* bias (n) and D, shaped like the result; only of a packed product. */
static oc_status read_tail(const oc__ctx *c, oc__product *p,
                           const oc_tensor *y) {
    const oc_tensor *bias = oc__in(c, 2), *d = oc__in(c, 3);
    if (bias) {
        OC_TRY(oc__want(c, 2, OC_T(F32)));
        if (oc_tensor_elems(bias) != p->n)
            return oc__op_fail(c, OC_E_SHAPE, "the bias does not fit");
        p->bias_n = bias->data;
    }
    if (d) {
        OC_TRY(oc__want(c, 3, OC_T(F32)));
        if (!oc__tensor_same_shape(d, y) || p->batch.total != 1)
            return oc__op_fail(c, OC_E_SHAPE, "the residual does not fit");
        p->d = d->data;
        p->d_row = p->n;
    }
    oc__act_args act = oc__act_of_attrs(c->node);
    if ((int)act.kind < 0 || act.kind >= OC_ACT_COUNT)
        return oc__op_fail(c, OC_E_ARG, "there is no such activation");
    p->act = act.kind;
    p->act_a = act.a;
    p->act_b = act.b;
    return OC_OK;
}

static oc_status setup(const oc__ctx *c, oc__product *p, oc_tensor *y) {
    const oc_tensor *a = oc__in(c, 0), *b = oc__in(c, 1);
    oc__operand oa, ob;
    int rank, fused = c->op->kind == K_FUSED;
    int64_t dims[OC_MAX_RANK];
    oc__product_init(p);
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    OC_TRY(oc__want_rank(c, 1, 1, OC_MAX_RANK));
    p->packed = c->op->kind == K_PACKED;
    oc__operand_read(a, 0, fused && oc__attr_int(c->node, "transA", 0),
                     fused && oc__attr_int(c->node, "transBatchA", 0), &oa);
    if (p->packed)
        OC_TRY(read_packed(c, &ob));
    else
        oc__operand_read(b, 1, fused && oc__attr_int(c->node, "transB", 0),
                         fused && oc__attr_int(c->node, "transBatchB", 0), &ob);
    if (oa.cols != ob.rows) {
        char sa[160], sb[160];
        return oc__op_fail(c, OC_E_SHAPE, "%s and %s cannot be multiplied",
                           oc__tensor_describe(a, sa, sizeof(sa)),
                           oc__tensor_describe(b, sb, sizeof(sb)));
    }
    p->a_type = a->dtype;
    p->b_type = b->dtype;
    p->y_type = a->dtype;
    p->m = oa.rows;
    p->n = ob.cols;
    p->k = oa.cols;
    p->a_row = oa.row;
    p->a_col = oa.col;
    p->b_row = ob.row;
    p->b_col = ob.col;
    p->a_elems = oc_tensor_elems(a);
    p->b_elems = oc_tensor_elems(b);
    OC_TRY(oc__operand_join(c, &oa, &ob, &rank, dims, &p->batch));
    if (rank > OC_MAX_RANK - 2)
        return oc__op_fail(c, OC_E_LIMIT, "more than %d dimensions",
                           OC_MAX_RANK);
    if (a->rank > 1) dims[rank++] = p->m;
    if (p->packed || b->rank > 1) dims[rank++] = p->n;
    oc__tensor_set(y, a->dtype, rank, dims);
    if (fused) p->alpha = oc__attr_float(c->node, "alpha", 1);
    merge_rows(p);
    return p->packed ? read_tail(c, p, y) : OC_OK;
}

static oc_status infer_matmul(oc__ctx *c) {
    oc__product p;
    oc_tensor y;
    size_t bytes;
    uint32_t mask = c->op->kind == K_MATMUL  ? OC_T_F | OC_T_I | OC_T_U
                    : c->op->kind == K_FUSED ? OC_T_F
                                             : OC_T(F32);
    int packed = c->op->kind == K_PACKED;
    OC_TRY(oc__want(c, 0, mask));
    OC_TRY(oc__want(c, 1, packed ? mask | OC_T(BF16) : mask));
    if (!packed && oc__in(c, 0)->dtype != oc__in(c, 1)->dtype)
        return oc__op_fail(c, OC_E_ARG, "A is %s, B is %s",
                           oc_dtype_name(oc__in(c, 0)->dtype),
                           oc_dtype_name(oc__in(c, 1)->dtype));
    OC_TRY(setup(c, &p, &y));
    OC_TRY(oc__product_scratch(c, &p, &bytes));
    oc__scratch_need(c, bytes);
    return oc__out_like(c, 0, &y);
}

static void scale_f64(double *y, int64_t n, double alpha) {
    for (int64_t i = 0; i < n; i++)
        y[i] *= alpha;
}

static oc_status run_matmul(oc__ctx *c) {
    oc__product p;
    oc_tensor shape, *y = oc__out(c, 0);
    OC_TRY(setup(c, &p, &shape));
    oc__product_run(c, &p, oc__in(c, 0)->data, oc__in(c, 1)->data, y->data,
                    c->scratch);
    if (y->dtype == OC_DTYPE_F64 && p.alpha != 1)
        scale_f64(y->data, oc_tensor_elems(y), p.alpha);
    return OC_OK;
}

static double flops_matmul(const oc__ctx *c) {
    oc__product p;
    oc_tensor y;
    if (setup(c, &p, &y) != OC_OK) return 0;
    return 2.0 * (double)oc_tensor_elems(&y) * (double)p.k;
}

#define MATMUL(domain, name, max_in, kind)                                     \
    {                                                                          \
        domain, name, 1, 2, max_in, 1, 0, kind, infer_matmul, run_matmul,      \
            flops_matmul                                                       \
    }

const oc__op oc__ops_matmul[] = {
    MATMUL("", "MatMul", 2, K_MATMUL),
    MATMUL("com.microsoft", "FusedMatMul", 2, K_FUSED),
    MATMUL("ocelli", "MatMulPacked", 4, K_PACKED),
    {0},
};
