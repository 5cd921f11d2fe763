/*
 * qlinear.c - com.microsoft's element-by-element operators on 8-bit tensors:
 * QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearConcat,
 * QLinearWhere.
 *
 * What depends on one operand alone is a table of its 256 values; Concat and
 * Where requantize each operand by such a table.
 */
#include "ops/op.h"
#include "ops/requantize.h"
#include "ops/walk.h"

#include <math.h>
#include <string.h>

enum qlinear_kind { K_ADD, K_MUL, K_SIGMOID, K_LEAKY_RELU };

#define T_I8 (OC_T(U8) | OC_T(I8))

static oc_status want_scalar(const oc__ctx *c, int i, uint32_t mask,
                             int optional) {
    if (optional && !oc__in_value(c, i)) return OC_OK;
    OC_TRY(oc__want(c, i, mask));
    if (oc_tensor_elems(oc__in(c, i)) != 1)
        return oc__op_fail(c, OC_E_SHAPE, "input %d must be one number", i);
    return OC_OK;
}

/* Inputs i (scale) and i + 1 (zero point, of type `dtype`, may be absent). */
static oc_status want_quant(const oc__ctx *c, int i, oc_dtype dtype) {
    OC_TRY(want_scalar(c, i, OC_T(F32), 0));
    return want_scalar(c, i + 1, 1u << dtype, 1);
}

static oc__scale_zero read_quant(const oc__ctx *c, int i) {
    const oc_tensor *z = oc__in(c, i + 1);
    oc__scale_zero q = {*(const float *)oc__in(c, i)->data, 0};
    if (z) q.zero = (int)oc__tensor_get_i64(z, 0);
    return q;
}

static int value_of(int code, int is_signed) {
    return is_signed ? (int8_t)code : code;
}

/* table[code] = quantize(f(dequantize(code))) */
static void make_table(int kind, float alpha, int is_signed, oc__scale_zero x,
                       oc__scale_zero y, uint8_t *table) {
    for (int code = 0; code < 256; code++) {
        float v = x.scale * (float)(value_of(code, is_signed) - x.zero);
        if (kind == K_SIGMOID) v = 1 / (1 + expf(-v));
        if (kind == K_LEAKY_RELU && v < 0) v *= alpha;
        table[code] = (uint8_t)oc__requantize(v / y.scale, y.zero, is_signed);
    }
}

/* ---- Add, Mul ------------------------------------------------------------ */

typedef struct pair_job {
    const oc__kernels *kt;
    oc__walk w;
    int kind, is_signed;
    const uint8_t *a, *b;
    uint8_t *y;
    int a_zero, b_zero, y_zero;
    float a_ratio, b_ratio; /* of their scales to the result's */
} pair_job;

static oc_status infer_pair(oc__ctx *c) {
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, T_I8));
    OC_TRY(oc__want(c, 3, 1u << oc__in(c, 0)->dtype));
    oc_dtype dtype = oc__in(c, 0)->dtype;
    OC_TRY(want_quant(c, 1, dtype));
    OC_TRY(want_quant(c, 4, dtype));
    OC_TRY(want_quant(c, 6, dtype));
    OC_TRY(oc__broadcast(c, oc__in(c, 0), oc__in(c, 3), &rank, dims));
    return oc__out_set(c, 0, dtype, rank, dims);
}

/* The products of scales come first: what is left for each element is one
   multiplication (Mul), or two and an addition (Add).  Where one operand stays
   the same, the result is a table of the other's codes. */
#define PAIR(T)                                                                \
    for (int64_t i = 0; i < n; i++) {                                          \
        int u = ((const T *)a)[i * sa] - j->a_zero;                            \
        int v = ((const T *)b)[i * sb] - j->b_zero;                            \
        float r = j->kind == K_MUL                                             \
                      ? (float)(u * v) * j->a_ratio                            \
                      : (float)u * j->a_ratio + (float)v * j->b_ratio;         \
        y[i] = (uint8_t)oc__requantize(r, j->y_zero, j->is_signed);            \
    }

static void pair_loop(const pair_job *j, const uint8_t *a, int64_t sa,
                      const uint8_t *b, int64_t sb, uint8_t *y, int64_t n) {
    if (j->is_signed)
        PAIR(int8_t)
    else
        PAIR(uint8_t)
}

/* Elements from which a table pays, and from which vectors do. */
enum { TABLE_LEAST = 512, VECTOR_LEAST = 32 };

static void pair_vectors(const pair_job *j, const uint8_t *a, const uint8_t *b,
                         uint8_t *y, int64_t n) {
    const oc__add_i8_args k = {j->is_signed, j->a_zero,  j->b_zero,
                               j->y_zero,    j->a_ratio, j->b_ratio};
    (j->kind == K_ADD ? j->kt->add_i8 : j->kt->mul_i8)(&k, a, b, y, (size_t)n);
}

static void pair_run(const pair_job *j, const uint8_t *a, int64_t sa,
                     const uint8_t *b, int64_t sb, uint8_t *y, int64_t n) {
    uint8_t codes[256], table[256], same[TABLE_LEAST];
    if (sa == 1 && sb == 1) {
        pair_vectors(j, a, b, y, n);
        return;
    }
    if (n < VECTOR_LEAST || sa + sb != 1) {
        pair_loop(j, a, sa, b, sb, y, n);
        return;
    }
    if (n < TABLE_LEAST) {
        memset(same, sa ? *b : *a, (size_t)n);
        pair_vectors(j, sa ? a : same, sb ? b : same, y, n);
        return;
    }
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    pair_loop(j, sa ? codes : a, sa, sb ? codes : b, sb, table, 256);
    j->kt->table_i8(table, sa ? a : b, y, (size_t)n);
}

static void pair_range(void *user, int64_t begin, int64_t end, int worker) {
    const pair_job *j = user;
    oc__walk_pos p;
    (void)worker;
    for (oc__walk_seek(&j->w, begin, end, &p); p.n; oc__walk_next(&j->w, &p))
        pair_run(j, j->a + p.offset[0], j->w.step[0], j->b + p.offset[1],
                 j->w.step[1], j->y + p.at, p.n);
}

static oc_status run_pair(oc__ctx *c) {
    const oc_tensor *a = oc__in(c, 0), *b = oc__in(c, 3), *y = oc__out(c, 0);
    oc__scale_zero qa = read_quant(c, 1), qb = read_quant(c, 4);
    oc__scale_zero qy = read_quant(c, 6);
    pair_job j;
    j.kt = c->kernels;
    j.kind = c->op->kind;
    j.is_signed = a->dtype == OC_DTYPE_I8;
    j.a = a->data;
    j.b = b->data;
    j.y = y->data;
    j.a_zero = qa.zero;
    j.b_zero = qb.zero;
    j.y_zero = qy.zero;
    j.a_ratio =
        j.kind == K_MUL ? qa.scale * qb.scale / qy.scale : qa.scale / qy.scale;
    j.b_ratio = qb.scale / qy.scale;
    oc__walk_init(&j.w, y->rank, y->dims);
    oc__walk_add(&j.w, a);
    oc__walk_add(&j.w, b);
    oc__walk_merge(&j.w);
    oc__parallel(c, j.w.total, 16384, pair_range, &j);
    return OC_OK;
}

/* ---- Sigmoid, LeakyRelu -------------------------------------------------- */

typedef struct table_job {
    const oc__kernels *kt;
    const uint8_t *x, *table;
    uint8_t *y;
} table_job;

static oc_status infer_table(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, T_I8));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(want_quant(c, 1, x->dtype));
    OC_TRY(want_quant(c, 3, x->dtype));
    return oc__out_like(c, 0, x);
}

static void table_range(void *user, int64_t begin, int64_t end, int worker) {
    const table_job *j = user;
    (void)worker;
    j->kt->table_i8(j->table, j->x + begin, j->y + begin,
                    (size_t)(end - begin));
}

static oc_status run_table(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    uint8_t table[256];
    make_table(c->op->kind, oc__attr_float(c->node, "alpha", 0.01f),
               x->dtype == OC_DTYPE_I8, read_quant(c, 1), read_quant(c, 3),
               table);
    table_job j = {c->kernels, x->data, table, oc__out(c, 0)->data};
    oc__parallel(c, oc_tensor_elems(x), 16384, table_range, &j);
    return OC_OK;
}

/* ocelli.Table: y = table[code of x]; see fuse_table.c. */
static oc_status infer_look_up(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, T_I8));
    OC_TRY(oc__want(c, 1, T_I8));
    if (oc_tensor_elems(oc__in(c, 1)) != 256)
        return oc__op_fail(c, OC_E_SHAPE, "its table has %lld codes, not 256",
                           (long long)oc_tensor_elems(oc__in(c, 1)));
    const oc_tensor *x = oc__in(c, 0);
    return oc__out_set(c, 0, oc__in(c, 1)->dtype, x->rank, x->dims);
}

static oc_status run_look_up(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    table_job j = {c->kernels, x->data, oc__in(c, 1)->data,
                   oc__out(c, 0)->data};
    oc__parallel(c, oc_tensor_elems(x), 16384, table_range, &j);
    return OC_OK;
}

/* ---- Concat -------------------------------------------------------------- */

/* Inputs: scale and zero of the result, then x, scale, zero of each part. */
static oc_status infer_concat(oc__ctx *c) {
    int parts = (c->n_in - 2) / 3, axis;
    if (parts < 1 || (c->n_in - 2) % 3)
        return oc__op_fail(c, OC_E_ARG, "%d inputs are no whole parts",
                           c->n_in);
    OC_TRY(oc__want(c, 1, T_I8));
    oc_dtype dtype = oc__in(c, 1)->dtype;
    OC_TRY(want_quant(c, 0, dtype));
    OC_TRY(oc__want(c, 2, 1u << dtype));
    oc_tensor y = *oc__in(c, 2);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), y.rank, &axis));
    y.dims[axis] = 0;
    for (int i = 0; i < parts; i++) {
        OC_TRY(oc__want(c, 2 + 3 * i, 1u << dtype));
        OC_TRY(want_quant(c, 3 + 3 * i, dtype));
        oc_tensor x = *oc__in(c, 2 + 3 * i);
        int64_t length = x.rank == y.rank ? x.dims[axis] : 0;
        if (x.rank == y.rank) x.dims[axis] = y.dims[axis];
        if (!oc__tensor_same_shape(&x, &y))
            return oc__op_fail(c, OC_E_SHAPE, "part %d does not fit", i);
        if (length > INT64_MAX - y.dims[axis])
            return oc__op_fail(c, OC_E_LIMIT, "the result is too large");
        y.dims[axis] += length;
    }
    return oc__out_like(c, 0, &y);
}

static oc_status run_concat(oc__ctx *c) {
    const oc_tensor *y = oc__out(c, 0);
    oc__scale_zero qy = read_quant(c, 0);
    uint8_t table[256];
    int axis;
    int64_t at = 0;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), y->rank, &axis));
    oc__axis_view v = oc__axis_split(y->dims, y->rank, axis);
    for (int i = 2; i + 2 < c->n_in; i += 3) {
        const oc_tensor *x = oc__in(c, i);
        oc__scale_zero qx = read_quant(c, i + 1);
        int64_t run = x->dims[axis] * v.inner;
        int same = qx.scale == qy.scale && qx.zero == qy.zero;
        oc__requantize_table(qx, qy, y->dtype == OC_DTYPE_I8, table);
        for (int64_t o = 0; o < v.outer; o++) {
            const uint8_t *from = (const uint8_t *)x->data + o * run;
            uint8_t *to = (uint8_t *)y->data + (o * v.length + at) * v.inner;
            table_job j = {c->kernels, from, table, to};
            if (same && run)
                memcpy(to, from, (size_t)run);
            else
                oc__parallel(c, run, 32768, table_range, &j);
        }
        at += x->dims[axis];
    }
    return OC_OK;
}

/* ---- Where --------------------------------------------------------------- */

typedef struct where_job {
    oc__walk w;
    const uint8_t *condition, *x, *y;
    uint8_t *out;
    uint8_t x_table[256], y_table[256];
} where_job;

static oc_status infer_where(oc__ctx *c) {
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T(BOOL)));
    OC_TRY(oc__want(c, 1, T_I8));
    oc_dtype dtype = oc__in(c, 1)->dtype;
    OC_TRY(oc__want(c, 4, 1u << dtype));
    OC_TRY(want_quant(c, 2, dtype));
    OC_TRY(want_quant(c, 5, dtype));
    OC_TRY(want_quant(c, 7, dtype));
    oc_tensor xy = *oc__in(c, 1);
    OC_TRY(oc__broadcast(c, &xy, oc__in(c, 4), &rank, dims));
    oc__tensor_set(&xy, dtype, rank, dims);
    OC_TRY(oc__broadcast(c, oc__in(c, 0), &xy, &rank, dims));
    return oc__out_set(c, 0, dtype, rank, dims);
}

static void where_range(void *user, int64_t begin, int64_t end, int worker) {
    const where_job *j = user;
    const int64_t *s = j->w.step;
    oc__walk_pos p;
    (void)worker;
    for (oc__walk_seek(&j->w, begin, end, &p); p.n; oc__walk_next(&j->w, &p))
        for (int64_t i = 0; i < p.n; i++)
            j->out[p.at + i] = j->condition[p.offset[0] + i * s[0]]
                                   ? j->x_table[j->x[p.offset[1] + i * s[1]]]
                                   : j->y_table[j->y[p.offset[2] + i * s[2]]];
}

static oc_status run_where(oc__ctx *c) {
    const oc_tensor *out = oc__out(c, 0);
    int is_signed = out->dtype == OC_DTYPE_I8;
    oc__scale_zero q = read_quant(c, 7);
    where_job j;
    j.condition = oc__in(c, 0)->data;
    j.x = oc__in(c, 1)->data;
    j.y = oc__in(c, 4)->data;
    j.out = out->data;
    oc__requantize_table(read_quant(c, 2), q, is_signed, j.x_table);
    oc__requantize_table(read_quant(c, 5), q, is_signed, j.y_table);
    oc__walk_init(&j.w, out->rank, out->dims);
    oc__walk_add(&j.w, oc__in(c, 0));
    oc__walk_add(&j.w, oc__in(c, 1));
    oc__walk_add(&j.w, oc__in(c, 4));
    oc__walk_merge(&j.w);
    oc__parallel(c, j.w.total, 16384, where_range, &j);
    return OC_OK;
}

const oc__op oc__ops_qlinear[] = {
    {"com.microsoft", "QLinearAdd", 1, 7, 8, 1, 0, K_ADD, infer_pair, run_pair,
     NULL},
    {"com.microsoft", "QLinearMul", 1, 7, 8, 1, 0, K_MUL, infer_pair, run_pair,
     NULL},
    {"com.microsoft", "QLinearSigmoid", 1, 4, 5, 1, OC_OP_INPLACE, K_SIGMOID,
     infer_table, run_table, NULL},
    {"com.microsoft", "QLinearLeakyRelu", 1, 4, 5, 1, OC_OP_INPLACE,
     K_LEAKY_RELU, infer_table, run_table, NULL},
    {"ocelli", "Table", 1, 2, 2, 1, OC_OP_INPLACE, 0, infer_look_up,
     run_look_up, NULL},
    {"com.microsoft", "QLinearConcat", 1, 5, -1, 1, 0, 0, infer_concat,
     run_concat, NULL},
    {"com.microsoft", "QLinearWhere", 1, 9, 9, 1, 0, 0, infer_where, run_where,
     NULL},
    {0},
};
