/*
 * qproduct.c - products of 8-bit matrices: MatMulInteger, QLinearMatMul and
 * com.microsoft's QGemm, DynamicQuantizeMatMul, MatMulIntegerToFloat.
 *
 * All are one integer product and differ in what comes in and what goes out:
 *
 *     sum = (A - za)(B - zb)                        int32, exact
 *     MatMulInteger            sum
 *     QLinearMatMul            round(sum * sa * sb / sy) + zy, saturated
 *     MatMulIntegerToFloat     sum * sa * sb + bias
 *     DynamicQuantizeMatMul    the same, after quantizing A
 *     QGemm                    (sum + C) * alpha * sa * sb, float or quantized
 */
#include "base/half.h"
#include "ops/pack_i8.h"
#include "ops/product.h"
#include "ops/requantize.h"

#include <math.h>
#include <string.h>

enum qproduct_kind { K_INTEGER, K_QLINEAR, K_QGEMM, K_DYNAMIC, K_TO_FLOAT };

/* Numbers of the inputs; -1: the operator has none. */
typedef struct slots {
    int a, b, a_scale, b_scale, a_zero, b_zero, bias, y_scale, y_zero;
} slots;

static const slots slots_of[] = {
    [K_INTEGER] = {0, 1, -1, -1, 2, 3, -1, -1, -1},
    [K_QLINEAR] = {0, 3, 1, 4, 2, 5, -1, 6, 7},
    [K_QGEMM] = {0, 3, 1, 4, 2, 5, 6, 7, 8},
    [K_DYNAMIC] = {0, 1, -1, 2, -1, 3, 4, -1, -1},
    [K_TO_FLOAT] = {0, 1, 2, 3, 4, 5, 6, -1, -1},
};

typedef struct qproduct {
    const slots *at;
    const oc_tensor *a, *b, *bias;
    int64_t m, n, k;
    int64_t a_row, b_row, b_col;
    oc__walk batch;
    oc__param a_scale, b_scale, a_zero, b_zero, y_scale, y_zero;
    int floats; /* f8 operands: a plain loop does them */
    int trans_a;
    const void *b_packed; /* ahead; NULL: not */
    int has_packed;
    int wrap; /* what is too large loses its high bits instead */
    float alpha;
    oc_dtype y_type;
    int rank;
    int64_t dims[OC_MAX_RANK];
    /* Scratch. */
    size_t a_copy, packed, gemm, sums, a_zeros, b_zeros, b_scales;
    size_t y_scales, no_bias, total;
} qproduct;

#define T_I8 (OC_T(U8) | OC_T(I8))
#define T_F8                                                                   \
    (OC_T(F8E4M3FN) | OC_T(F8E4M3FNUZ) | OC_T(F8E5M2) | OC_T(F8E5M2FNUZ))

/* ---- shapes -------------------------------------------------------------- */

static oc_status read_matrices(const oc__ctx *c, qproduct *q, int64_t *na,
                               int64_t *nb) {
    oc__operand a, b;
    int gemm = c->op->kind == K_QGEMM;
    if (gemm) {
        OC_TRY(oc__want_rank(c, q->at->a, 2, 2));
        OC_TRY(oc__want_rank(c, q->at->b, 2, 2));
    }
    q->trans_a = gemm && oc__attr_int(c->node, "transA", 0);
    int trans_b = gemm && oc__attr_int(c->node, "transB", 0);
    OC_TRY(oc__want_rank(c, q->at->a, 1, OC_MAX_RANK));
    OC_TRY(oc__want_rank(c, q->at->b, 1, OC_MAX_RANK));
    oc__operand_read(q->a, 0, q->trans_a, 0, &a);
    oc__operand_read(q->b, 1, trans_b, 0, &b);
    if (a.cols != b.rows)
        return oc__op_fail(c, OC_E_SHAPE, "A has %lld columns, B %lld rows",
                           (long long)a.cols, (long long)b.rows);
    q->m = a.rows;
    q->n = b.cols;
    q->k = a.cols;
    q->a_row = q->trans_a ? q->k : a.row;
    q->b_row = b.row;
    q->b_col = b.col;
    *na = *nb = 1;
    for (int i = 0; i < a.rank; i++)
        *na *= a.batch[i];
    for (int i = 0; i < b.rank; i++)
        *nb *= b.batch[i];
    OC_TRY(oc__operand_join(c, &a, &b, &q->rank, q->dims, &q->batch));
    if (q->a->rank > 1) q->dims[q->rank++] = q->m;
    if (q->b->rank > 1) q->dims[q->rank++] = q->n;
    return OC_OK;
}

static oc_status read_bias(const oc__ctx *c, qproduct *q) {
    const oc_tensor *t = q->at->bias < 0 ? NULL : oc__in(c, q->at->bias);
    q->bias = t;
    if (!t) return OC_OK;
    if (c->op->kind == K_QGEMM) {
        OC_TRY(oc__want(c, q->at->bias, OC_T(I32)));
        int64_t last = t->rank ? t->dims[t->rank - 1] : 1;
        int64_t rows = t->rank > 1 ? t->dims[t->rank - 2] : 1;
        if (t->rank <= 2 && (last == 1 || last == q->n) &&
            (rows == 1 || rows == q->m))
            return OC_OK;
    } else {
        OC_TRY(oc__want(c, q->at->bias, OC_T(F32) | OC_T(F16)));
        if (oc_tensor_elems(t) == q->n) return OC_OK;
    }
    return oc__op_fail(c, OC_E_SHAPE, "the bias does not fit");
}

static oc_status read_params(const oc__ctx *c, qproduct *q, int64_t na,
                             int64_t nb) {
    const slots *s = q->at;
    int kind = c->op->kind;
    memset(&q->a_scale, 0, sizeof(q->a_scale));
    q->b_scale = q->a_zero = q->b_zero = q->y_scale = q->y_zero = q->a_scale;
    if (s->a_scale >= 0)
        OC_TRY(oc__param_read(c, s->a_scale, q->m, na, 0, &q->a_scale));
    if (s->b_scale >= 0)
        OC_TRY(oc__param_read(c, s->b_scale, q->n, nb, 0, &q->b_scale));
    if (s->a_zero >= 0)
        OC_TRY(oc__param_read(c, s->a_zero, q->m, na, kind != K_QLINEAR,
                              &q->a_zero));
    if (s->b_zero >= 0)
        OC_TRY(oc__param_read(c, s->b_zero, q->n, nb, kind != K_QLINEAR,
                              &q->b_zero));
    if (s->y_scale >= 0) {
        int optional = kind == K_QGEMM;
        OC_TRY(oc__param_read(c, s->y_scale, q->m, q->batch.total, optional,
                              &q->y_scale));
        OC_TRY(oc__param_read(c, s->y_zero, q->m, q->batch.total, optional,
                              &q->y_zero));
    }
    if ((q->a_zero.t && q->a_zero.t->dtype != q->a->dtype) ||
        (q->b_zero.t && q->b_zero.t->dtype != q->b->dtype))
        return oc__op_fail(c, OC_E_ARG,
                           "a zero point and its operand differ in type");
    return OC_OK;
}

static oc_status output_type(const oc__ctx *c, qproduct *q) {
    switch (c->op->kind) {
    case K_INTEGER: q->y_type = OC_DTYPE_I32; break;
    case K_TO_FLOAT: q->y_type = q->a_scale.t->dtype; break;
    case K_DYNAMIC: q->y_type = OC_DTYPE_F32; break;
    case K_QGEMM:
        q->y_type = q->y_zero.t    ? q->y_zero.t->dtype
                    : q->y_scale.t ? q->a->dtype
                                   : OC_DTYPE_F32;
        break;
    default: q->y_type = q->y_zero.t->dtype; break;
    }
    uint32_t mask = q->floats ? T_F8 : T_I8 | OC_T(I32) | OC_T(F32) | OC_T(F16);
    if (!(mask >> q->y_type & 1))
        return oc__op_fail(c, OC_E_ARG, "the result cannot be %s",
                           oc_dtype_name(q->y_type));
    return OC_OK;
}

static int take(size_t *at, size_t *total, size_t a, size_t b, size_t each) {
    size_t size;
    *at = *total;
    if (oc__size_mul(a, b, &size) || oc__size_mul(size, each, &size)) return 1;
    size = oc__align_up(size, OC_ALIGN);
    return size == SIZE_MAX || oc__size_add(*total, size, total);
}

static oc_status lay_out(const oc__ctx *c, qproduct *q) {
    size_t m = (size_t)q->m, n = (size_t)q->n, k = (size_t)q->k;
    const oc__kernels *kt = c->kernels;
    int bad = 0, copy = q->trans_a || q->a->dtype == OC_DTYPE_F32;
    q->total = 0;
    if (q->floats) return OC_OK;
    bad |= take(&q->a_copy, &q->total, copy ? (size_t)oc_tensor_elems(q->a) : 0,
                1, 1);
    size_t packed = oc__pack_i8_bytes(kt, q->k, q->n);
    OC_TRY(oc__pack_i8_input(c, packed, &q->b_packed));
    q->has_packed = c->op->domain[0] == 'o' && oc__in(c, c->op->max_in - 1);
    bad |= take(&q->packed, &q->total, q->has_packed ? 0 : packed, 1, 1);
    bad |= take(&q->gemm, &q->total,
                oc__gemm_i8_scratch_bytes(kt, m, n, k, c->threads), 1, 1);
    bad |= take(&q->sums, &q->total, m, q->y_type == OC_DTYPE_I32 ? 0 : n, 4);
    bad |= take(&q->a_zeros, &q->total, m, 1, 4);
    bad |= take(&q->b_zeros, &q->total, n, 1, 4);
    bad |= take(&q->b_scales, &q->total, n, 1, 4);
    bad |= take(&q->y_scales, &q->total, n, 1, 4);
    bad |= take(&q->no_bias, &q->total, n, 1, 4);
    return bad ? oc__op_fail(c, OC_E_LIMIT, "the product is too large") : OC_OK;
}

static oc_status setup(const oc__ctx *c, qproduct *q) {
    int64_t na, nb;
    q->at = &slots_of[c->op->kind];
    q->b_packed = NULL;
    q->has_packed = 0;
    uint32_t f8 = c->op->kind == K_QLINEAR ? T_F8 : 0;
    OC_TRY(oc__want(c, q->at->a,
                    c->op->kind == K_DYNAMIC ? OC_T(F32) : T_I8 | f8));
    OC_TRY(oc__want(c, q->at->b, T_I8 | f8));
    q->a = oc__in(c, q->at->a);
    q->b = oc__in(c, q->at->b);
    q->floats = (T_F8 >> q->a->dtype & 1) || (T_F8 >> q->b->dtype & 1);
    q->alpha = oc__attr_float(c->node, "alpha", 1);
    OC_TRY(read_matrices(c, q, &na, &nb));
    OC_TRY(read_params(c, q, na, nb));
    OC_TRY(read_bias(c, q));
    OC_TRY(output_type(c, q));
    /* The text of QLinearMatMul says "saturate".  But where scales are N-D,
       which came with version 21, the results that ONNX publishes for int8
       are cut to eight bits, as its reference implementation does. */
    q->wrap = c->op->kind == K_QLINEAR && q->y_type == OC_DTYPE_I8 &&
              c->node->version >= 21 && q->y_scale.t->rank > 0;
    return lay_out(c, q);
}

static oc_status infer_qproduct(oc__ctx *c) {
    qproduct q;
    OC_TRY(setup(c, &q));
    oc__scratch_need(c, q.total);
    return oc__out_set(c, 0, q.y_type, q.rank, q.dims);
}

/* ---- what goes out ------------------------------------------------------- */

typedef struct out_job {
    const oc__ctx *c;
    const qproduct *q;
    int64_t ma, mb, my;  /* numbers of the matrices */
    float dynamic_scale; /* of A, or 0 */
    const int32_t *sums;
    const float *b_scales; /* of the columns */
    char *y;               /* this matrix of the result */
} out_job;

static float bias_at(const qproduct *q, int64_t r, int64_t i) {
    const oc_tensor *t = q->bias;
    int64_t last = t->rank ? t->dims[t->rank - 1] : 1;
    int64_t rows = t->rank > 1 ? t->dims[t->rank - 2] : 1;
    if (q->at->bias == 6 && t->dtype == OC_DTYPE_I32)
        return (
            float)((const int32_t *)
                       t->data)[(rows > 1 ? r * last : 0) + (last > 1 ? i : 0)];
    return (float)oc__tensor_get_f64(t, i);
}

/* sa * sb / sy, rounded after each step as the scales' type would. */
static float scale_of(const qproduct *q, float sa, float sb, float sy) {
    float v = sa * sb;
    if (!q->y_scale.t) return v;
    if (q->y_scale.t->dtype == OC_DTYPE_F16)
        return oc__f16_to_f32(
            oc__f32_to_f16(oc__f16_to_f32(oc__f32_to_f16(v)) / sy));
    if (q->y_scale.t->dtype == OC_DTYPE_BF16)
        return oc__bf16_to_f32(
            oc__f32_to_bf16(oc__bf16_to_f32(oc__f32_to_bf16(v)) / sy));
    return v / sy;
}

/* One row of 8-bit results: the common case, in a loop of its own. */
static void out_row_i8(const out_job *j, const int32_t *sums, float sa,
                       float sy, int zero, char *y) {
    const qproduct *q = j->q;
    int is_signed = q->y_type == OC_DTYPE_I8, one = q->b_scale.elems == 1;
    float scale = scale_of(q, sa, j->b_scales[0], sy);
    for (int64_t i = 0; i < q->n; i++) {
        if (!one) scale = scale_of(q, sa, j->b_scales[i], sy);
        float v = (float)sums[i] * scale;
        if (q->wrap)
            y[i] = (char)(oc__f64_to_i64(rintf(v)) + zero);
        else
            y[i] = (char)oc__requantize(v, zero, is_signed);
    }
}

/* All rows at once, when they share their scale. */
static int out_by_kernel(const out_job *j, int64_t begin, int64_t end) {
    const qproduct *q = j->q;
    const char *s = j->c->scratch;
    int i8 = q->y_type == OC_DTYPE_U8 || q->y_type == OC_DTYPE_I8;
    if (!i8 || q->bias || q->wrap || q->a_scale.elems != 1 ||
        q->y_scale.elems != 1 || q->y_zero.elems != 1)
        return 0;
    j->c->kernels->requantize_i8(
        j->sums + begin * q->n, (const int32_t *)(const void *)(s + q->no_bias),
        (const float *)(const void *)(s + q->y_scales),
        (int)oc__param_get(&q->y_zero, 0, 0), q->y_type == OC_DTYPE_I8,
        j->y + begin * q->n, (size_t)(end - begin), (size_t)q->n);
    return 1;
}

static void out_range(void *user, int64_t begin, int64_t end, int worker) {
    const out_job *j = user;
    const qproduct *q = j->q;
    int gemm = j->c->op->kind == K_QGEMM;
    int i8 = q->y_type == OC_DTYPE_U8 || q->y_type == OC_DTYPE_I8;
    (void)worker;
    if (out_by_kernel(j, begin, end)) return;
    for (int64_t r = begin; r < end; r++) {
        const int32_t *sums = j->sums + r * q->n;
        int zero = (int)oc__param_get(&q->y_zero, j->my, r);
        float sa = j->dynamic_scale, sy = 1;
        if (!sa) sa = (float)oc__param_get(&q->a_scale, j->ma, r);
        if (gemm) sa *= q->alpha;
        if (q->y_scale.t) sy = (float)oc__param_get(&q->y_scale, j->my, r);
        if (i8 && !q->bias) {
            out_row_i8(j, sums, sa, sy, zero, j->y + r * q->n);
            continue;
        }
        for (int64_t i = 0; i < q->n; i++) {
            float scale = sa * j->b_scales[i] / sy, v;
            int64_t at = r * q->n + i;
            if (gemm && q->bias)
                v = (float)((double)sums[i] + bias_at(q, r, i)) * scale;
            else
                v = (float)sums[i] * scale;
            if (!gemm && q->bias) v += bias_at(q, r, i);
            if (q->y_type == OC_DTYPE_F32)
                ((float *)j->y)[at] = v;
            else if (q->y_type == OC_DTYPE_F16)
                ((uint16_t *)j->y)[at] = oc__f32_to_f16(v);
            else
                j->y[at] =
                    (char)oc__requantize(v, zero, q->y_type == OC_DTYPE_I8);
        }
    }
}

/* ---- what comes in ------------------------------------------------------- */

/* A as bytes with steps side by side: as it lies, transposed, or quantized. */
static const uint8_t *prepare_a(const oc__ctx *c, const qproduct *q,
                                float *scale, uint8_t *zero) {
    uint8_t *copy = (uint8_t *)c->scratch + q->a_copy;
    int64_t n = oc_tensor_elems(q->a);
    if (q->a->dtype == OC_DTYPE_F32) {
        oc__dynamic_scale(c->kernels, q->a->data, n, scale, zero);
        c->kernels->quantize_u8(q->a->data, *scale, *zero, copy, (size_t)n);
        return copy;
    }
    if (!q->trans_a) return q->a->data;
    c->kernels->transpose_b1(q->a->data, (size_t)q->m, copy, (size_t)q->k,
                             (size_t)q->k, (size_t)q->m);
    return copy;
}

/* One value for all, or a list of them. */
static const int32_t *zeros_of(const oc__param *p, int64_t matrix, int64_t n,
                               int32_t *one, int32_t *list) {
    *one = 0;
    if (!p->t) return NULL;
    if (p->elems == 1) {
        *one = (int32_t)oc__param_get(p, 0, 0);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++)
        list[i] = (int32_t)oc__param_get(p, matrix, i);
    return list;
}

/* What stays the same for all matrices of the batch. */
typedef struct in_state {
    const uint8_t *a;
    float scale; /* of A when it was quantized here */
    uint8_t zero;
    int64_t packed_at; /* the B that lies packed */
} in_state;

/* The product of the matrices that begin at oa and ob; result number my. */
static void multiply_one(const oc__ctx *c, const qproduct *q, in_state *in,
                         int64_t oa, int64_t ob, int64_t my, char *y) {
    char *s = c->scratch;
    size_t m = (size_t)q->m, n = (size_t)q->n, k = (size_t)q->k;
    int64_t plane_a = q->m * q->k, plane_b = q->k * q->n;
    float *b_scales = (float *)(s + q->b_scales);
    out_job j = {.c = c, .q = q, .my = my, .y = y, .b_scales = b_scales};
    oc__gemm_i8_args g = {.m = m, .n = n, .k = k};
    j.ma = plane_a ? oa / plane_a : 0;
    j.mb = plane_b ? ob / plane_b : 0;
    j.dynamic_scale = in->scale;
    g.a = in->a + oa;
    g.a_row_stride = (size_t)q->a_row;
    g.a_signed = q->a->dtype == OC_DTYPE_I8;
    g.b_signed = q->b->dtype == OC_DTYPE_I8;
    g.packed_b = q->b_packed ? q->b_packed : s + q->packed;
    g.c = q->y_type == OC_DTYPE_I32 ? (int32_t *)(void *)y
                                    : (int32_t *)(void *)(s + q->sums);
    g.c_row_stride = n;
    g.a_zeros = zeros_of(&q->a_zero, j.ma, q->m, &g.a_zero,
                         (int32_t *)(void *)(s + q->a_zeros));
    g.b_zeros = zeros_of(&q->b_zero, j.mb, q->n, &g.b_zero,
                         (int32_t *)(void *)(s + q->b_zeros));
    if (q->a->dtype == OC_DTYPE_F32) g.a_zero = in->zero;
    if (!q->b_packed && ob != in->packed_at)
        oc__gemm_i8_pack_b(c->kernels, k, n, (const char *)q->b->data + ob,
                           g.b_signed, (size_t)q->b_row, (size_t)q->b_col,
                           s + q->packed);
    in->packed_at = ob;
    oc__gemm_i8(c->kernels, c->pool, &g, s + q->gemm);
    j.sums = g.c;
    for (int64_t i = 0; i < q->n; i++)
        b_scales[i] = (float)oc__param_get(&q->b_scale, j.mb, i);
    if (q->y_scale.t && q->a_scale.t) {
        float *y_scales = (float *)(void *)(s + q->y_scales);
        float sa = (float)oc__param_get(&q->a_scale, 0, 0);
        float sy = (float)oc__param_get(&q->y_scale, 0, 0);
        if (c->op->kind == K_QGEMM) sa *= q->alpha;
        for (int64_t i = 0; i < q->n; i++)
            y_scales[i] = scale_of(q, sa, b_scales[i], sy);
        memset(s + q->no_bias, 0, n * sizeof(int32_t));
    }
    if (q->y_type != OC_DTYPE_I32)
        oc__parallel(c, q->m, 8192 / (q->n + 1) + 1, out_range, &j);
}

static void multiply(const oc__ctx *c, const qproduct *q, oc_tensor *y) {
    size_t plane = (size_t)(q->m * q->n) * oc_dtype_bytes(q->y_type);
    in_state in = {.packed_at = -1};
    oc__walk_pos w;
    in.a = prepare_a(c, q, &in.scale, &in.zero);
    for (oc__walk_seek(&q->batch, 0, q->batch.total, &w); w.n;
         oc__walk_next(&q->batch, &w))
        for (int64_t i = 0; i < w.n; i++)
            multiply_one(c, q, &in, w.offset[0] + i * q->batch.step[0],
                         w.offset[1] + i * q->batch.step[1], w.at + i,
                         (char *)y->data + (size_t)(w.at + i) * plane);
}

/* ---- f8 ------------------------------------------------------------------ */

/* Nothing is fast about f8 on these machines; the sums are exact enough. */
static void multiply_f8(const qproduct *q, oc_tensor *y) {
    int64_t plane_a = q->m * q->k, plane_b = q->k * q->n;
    uint8_t *out = y->data;
    oc__walk_pos w;
    for (oc__walk_seek(&q->batch, 0, q->batch.total, &w); w.n;
         oc__walk_next(&q->batch, &w)) {
        for (int64_t e = 0; e < w.n * q->m * q->n; e++) {
            int64_t i = e / (q->m * q->n), r = e / q->n % q->m, x = e % q->n;
            int64_t oa = w.offset[0] + i * q->batch.step[0];
            int64_t ob = w.offset[1] + i * q->batch.step[1];
            int64_t ma = plane_a ? oa / plane_a : 0, my = w.at + i;
            int64_t mb = plane_b ? ob / plane_b : 0;
            double za = oc__param_get(&q->a_zero, ma, r);
            double zb = oc__param_get(&q->b_zero, mb, x), sum = 0;
            for (int64_t k = 0; k < q->k; k++)
                sum += (oc__tensor_get_f64(q->a, oa + r * q->a_row + k) - za) *
                       (oc__tensor_get_f64(q->b,
                                           ob + k * q->b_row + x * q->b_col) -
                        zb);
            sum *= oc__param_get(&q->a_scale, ma, r) *
                   oc__param_get(&q->b_scale, mb, x) /
                   oc__param_get(&q->y_scale, my, r);
            sum += oc__param_get(&q->y_zero, my, r);
            out[w.at * q->m * q->n + e] =
                oc__f32_to_f8(y->dtype, (float)sum, 1);
        }
    }
}

static oc_status run_qproduct(oc__ctx *c) {
    qproduct q;
    oc_tensor *y = oc__out(c, 0);
    OC_TRY(setup(c, &q));
    if (!oc_tensor_elems(y)) return OC_OK;
    if (q.floats)
        multiply_f8(&q, y);
    else
        multiply(c, &q, y);
    return OC_OK;
}

static double flops_qproduct(const oc__ctx *c) {
    qproduct q;
    if (setup(c, &q) != OC_OK) return 0;
    return 2.0 * (double)q.m * (double)q.n * (double)q.k *
           (double)q.batch.total;
}

#define QPRODUCT(domain, name, since, min_in, max_in, kind)                    \
    {                                                                          \
        domain, name, since, min_in, max_in, 1, 0, kind, infer_qproduct,       \
            run_qproduct, flops_qproduct                                       \
    }

const oc__op oc__ops_qproduct[] = {
    QPRODUCT("", "MatMulInteger", 10, 2, 4, K_INTEGER),
    QPRODUCT("", "QLinearMatMul", 10, 8, 8, K_QLINEAR),
    QPRODUCT("com.microsoft", "QGemm", 1, 6, 9, K_QGEMM),
    QPRODUCT("com.microsoft", "DynamicQuantizeMatMul", 1, 3, 5, K_DYNAMIC),
    QPRODUCT("com.microsoft", "MatMulIntegerToFloat", 1, 4, 7, K_TO_FLOAT),
    QPRODUCT("ocelli", "MatMulInteger", 1, 2, 5, K_INTEGER),
    QPRODUCT("ocelli", "QLinearMatMul", 1, 8, 9, K_QLINEAR),
    QPRODUCT("ocelli", "QGemm", 1, 6, 10, K_QGEMM),
    QPRODUCT("ocelli", "DynamicQuantizeMatMul", 1, 3, 6, K_DYNAMIC),
    QPRODUCT("ocelli", "MatMulIntegerToFloat", 1, 4, 8, K_TO_FLOAT),
    {0},
};
