/*
 * attention_ms.c - com.microsoft: Attention, QAttention, MultiHeadAttention.
 *
 * They differ in where queries, keys and values come from: from one product
 * with merged weights, or ready.  The rest, from past keys to masks, is the
 * same.  All computing is in f32.
 */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

enum { PROJECTED, QUANTISED, MULTI_HEAD };

/* Input numbers; -1: the operator has no such input. */
typedef struct places {
    int weight, bias, mask, past, past_v, extra, past_len;
} places;

static const places places_of[] = {
    [PROJECTED] = {1, 2, 3, 4, -1, 5, 6},
    [QUANTISED] = {1, 2, 5, 8, -1, -1, -1},
    [MULTI_HEAD] = {-1, 3, 4, 6, 7, 5, 8},
};

typedef struct ms_job {
    oc__attend a;
    int kind;
    oc_dtype dtype;
    int64_t hidden_in, q_hidden, k_hidden, v_hidden; /* PROJECTED */
    int64_t new_keys, past;
    int64_t room; /* positions that the present has space for */
    int shared;   /* the past has that space too */
    int has_present;
    float filter; /* added where the mask says no; the future is -Inf */
    const oc_tensor *mask;
    const float *x, *w, *bias, *past_k, *past_v;
    float *qkv, *packed, *biased_q, *full_k, *full_v, *key_mask;
    float *y, *scores;
    void *gemm;
} ms_job;

static const oc_tensor *input(const oc__ctx *c, int i) {
    return i < 0 ? NULL : oc__in(c, i);
}

/* ---- queries, keys and values ---------------------------------------------
 */

static oc_status read_projected(const oc__ctx *c, ms_job *job) {
    oc__attend *a = &job->a;
    OC_TRY(oc__want_rank(c, 0, 3, 3));
    OC_TRY(oc__want_rank(c, 1, 2, 2));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    const oc_tensor *bias = input(c, places_of[job->kind].bias);
    size_t n;
    const int64_t *sizes = oc__attr_ints(c->node, "qkv_hidden_sizes", &n);
    if (n == 3) {
        job->q_hidden = sizes[0];
        job->k_hidden = sizes[1];
        job->v_hidden = sizes[2];
    } else {
        job->q_hidden = job->k_hidden = job->v_hidden = w->dims[1] / 3;
    }
    a->batch = x->dims[0];
    a->queries = job->new_keys = x->dims[1];
    job->hidden_in = x->dims[2];
    if (job->q_hidden < 0 || job->v_hidden < 0 ||
        job->q_hidden != job->k_hidden || w->dims[0] != job->hidden_in ||
        job->q_hidden > w->dims[1] || job->v_hidden > w->dims[1] ||
        2 * job->q_hidden + job->v_hidden != w->dims[1] ||
        job->q_hidden % a->heads || job->v_hidden % a->heads)
        return oc__op_fail(c, OC_E_SHAPE, "the weights do not fit");
    if (bias && oc_tensor_elems(bias) != w->dims[1])
        return oc__op_fail(c, OC_E_SHAPE, "the bias does not fit");
    a->size = job->q_hidden / a->heads;
    a->v_size = job->v_hidden / a->heads;
    int64_t row = w->dims[1], batch = a->queries * row;
    oc__heads q = {NULL, batch, a->size, row, 1};
    oc__heads v = {NULL, batch, a->v_size, row, 1};
    a->q = a->k = q;
    a->v = v;
    if (oc__attr_int(c->node, "do_rotary", 0))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "do_rotary");
    return OC_OK;
}

/* MultiHeadAttention: (B, S, N, 3, D) in one input, keys and values as
 * (B, L, N, 2, D), or three of (B, L, N * D) or (B, N, L, D). */
static oc_status read_given(const oc__ctx *c, ms_job *job) {
    oc__attend *a = &job->a;
    const oc_tensor *q = oc__in(c, 0), *k = oc__in(c, 1), *v = oc__in(c, 2);
    OC_TRY(oc__want_rank(c, 0, 3, 5));
    if (oc__in(c, 9))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "cache_indirection");
    a->batch = q->dims[0];
    a->queries = q->dims[1];
    if (q->rank == 5) {
        int64_t n = a->heads, d = q->dims[4];
        if (k || v || q->dims[2] != n || q->dims[3] != 3)
            return oc__op_fail(c, OC_E_SHAPE, "packed queries do not fit");
        oc__heads h = {NULL, a->queries * n * 3 * d, 3 * d, n * 3 * d, 1};
        a->q = a->k = a->v = h;
        a->size = a->v_size = d;
        job->new_keys = a->queries;
        return OC_OK;
    }
    if (q->rank != 3 || !k || q->dims[2] % a->heads)
        return oc__op_fail(c, OC_E_SHAPE, "the queries do not fit");
    a->size = q->dims[2] / a->heads;
    a->q = oc__heads_flat(NULL, a->heads, a->queries, a->size);
    OC_TRY(oc__want(c, 1, 1u << q->dtype));
    if (k->rank == 5) {
        int64_t n = a->heads, d = a->size;
        if (v || k->dims[0] != a->batch || k->dims[2] != n || k->dims[3] != 2 ||
            k->dims[4] != d)
            return oc__op_fail(c, OC_E_SHAPE, "packed keys do not fit");
        oc__heads h = {NULL, k->dims[1] * n * 2 * d, 2 * d, n * 2 * d, 1};
        a->k = a->v = h;
        a->v_size = d;
        job->new_keys = k->dims[1];
        return OC_OK;
    }
    OC_TRY(oc__want(c, 2, 1u << q->dtype));
    int dense = k->rank == 4;
    job->new_keys = k->dims[dense ? 2 : 1];
    int fits = k->rank == v->rank && k->dims[0] == a->batch &&
               v->dims[0] == a->batch && k->rank >= 3 &&
               v->dims[dense ? 2 : 1] == job->new_keys;
    if (dense)
        fits = fits && k->dims[1] == a->heads && k->dims[3] == a->size &&
               v->dims[1] == a->heads;
    else
        fits = fits && k->rank == 3 && k->dims[2] == q->dims[2] &&
               v->dims[2] % a->heads == 0;
    if (!fits) return oc__op_fail(c, OC_E_SHAPE, "keys and values do not fit");
    a->v_size = dense ? v->dims[3] : v->dims[2] / a->heads;
    oc__heads (*view)(const void *, int64_t, int64_t, int64_t) =
        dense ? oc__heads_dense : oc__heads_flat;
    a->k = view(NULL, a->heads, job->new_keys, a->size);
    a->v = view(NULL, a->heads, job->new_keys, a->v_size);
    return OC_OK;
}

/* ---- past and masks -------------------------------------------------------
 */

static oc_status read_past(const oc__ctx *c, ms_job *job) {
    const places *p = &places_of[job->kind];
    const oc__attend *a = &job->a;
    const oc_tensor *k = input(c, p->past), *v = input(c, p->past_v);
    if (!k) return OC_OK;
    OC_TRY(oc__want(c, p->past, 1u << job->dtype));
    int joint = job->kind != MULTI_HEAD; /* (2, B, N, P, D) */
    int ok = k->rank == 4 + joint && k->dims[joint] == a->batch &&
             k->dims[joint + 1] == a->heads && k->dims[joint + 3] == a->size;
    if (joint)
        ok = ok && k->dims[0] == 2 && a->v_size == a->size;
    else
        ok = ok && v && v->dtype == k->dtype && v->rank == 4 &&
             v->dims[0] == a->batch && v->dims[1] == a->heads &&
             v->dims[2] == k->dims[2] && v->dims[3] == a->v_size;
    if (!ok) return oc__op_fail(c, OC_E_SHAPE, "the past does not fit");
    job->past = k->dims[joint + 2];
    job->room = job->past + job->new_keys;
    int share = oc__attr_int(c->node, "past_present_share_buffer", 0) != 0 ||
                (job->kind == MULTI_HEAD && oc__in(c, 8));
    if (!share) return OC_OK;
    /* The past is a buffer of which past_sequence_length are in use. */
    double used;
    if (!input(c, p->past_len))
        return oc__op_fail(c, OC_E_ARG, "past_sequence_length is missing");
    OC_NEED_DATA(c, p->past_len);
    OC_TRY(oc__in_scalar(c, p->past_len, &used));
    job->room = job->past;
    job->shared = 1;
    if (!(used >= 0 && used + (double)job->new_keys <= (double)job->past))
        return oc__op_fail(c, OC_E_ARG, "past_sequence_length is %g of %lld",
                           used, (long long)job->past);
    job->past = (int64_t)used;
    return OC_OK;
}

static oc_status read_masks(const oc__ctx *c, ms_job *job) {
    const places *p = &places_of[job->kind];
    oc__attend *a = &job->a;
    const oc_tensor *extra = input(c, p->extra);
    job->mask = input(c, p->mask);
    if (job->mask) OC_TRY(oc__want(c, p->mask, OC_T(I32)));
    if (!extra) return OC_OK;
    OC_TRY(oc__want(c, p->extra, 1u << job->dtype));
    if (extra->rank != 4 ||
        (extra->dims[0] != 1 && extra->dims[0] != a->batch) ||
        (extra->dims[1] != 1 && extra->dims[1] != a->heads) ||
        extra->dims[2] != a->queries || extra->dims[3] < a->keys)
        return oc__op_fail(c, OC_E_SHAPE, "attention_bias does not fit");
    oc__attend_mask *m = &a->bias[0];
    m->step[3] = 1;
    m->step[2] = extra->dims[3];
    m->step[1] = extra->dims[1] == 1 ? 0 : a->queries * m->step[2];
    m->step[0] =
        extra->dims[0] == 1 ? 0 : extra->dims[1] * a->queries * m->step[2];
    m->keys = a->keys;
    return OC_OK;
}

/* Whether the mask has a row for each query. */
static int mask_has_rows(const ms_job *job) {
    return job->mask && job->mask->rank >= 3;
}

static oc_status check_mask(const oc__ctx *c, const ms_job *job) {
    const oc__attend *a = &job->a;
    const oc_tensor *m = job->mask;
    if (!m) return OC_OK;
    const int64_t *d = m->dims;
    int ok = 0;
    if (m->rank == 1) ok = d[0] == a->batch || d[0] == 2 * a->batch;
    if (m->rank == 2) ok = d[0] == a->batch && d[1] >= a->keys;
    if (m->rank == 3)
        ok = d[0] == a->batch && d[1] == a->queries && d[2] >= a->keys;
    if (m->rank == 4)
        ok =
            d[0] == a->batch && d[1] == 1 && d[2] >= a->keys && d[3] >= a->keys;
    if (ok) return OC_OK;
    char text[160];
    return oc__op_fail(c, OC_E_SHAPE, "a mask of shape %s does not fit",
                       oc__tensor_describe(m, text, sizeof(text)));
}

/* Mask row i of batch entry b as numbers to add. */
static void fill_mask_row(const ms_job *job, int64_t b, int64_t i, float *row) {
    const oc__attend *a = &job->a;
    const oc_tensor *t = job->mask;
    const int32_t *m = t->data;
    float masked = job->filter;
    if (t->rank == 1) {
        int64_t end = m[b];
        int64_t start = t->dims[0] == 2 * a->batch ? m[a->batch + b] : 0;
        for (int64_t j = 0; j < a->keys; j++)
            row[j] = j >= start && j < end ? 0 : masked;
        return;
    }
    int64_t keys = t->dims[t->rank - 1];
    if (t->rank == 2) m += b * keys;
    if (t->rank == 3) m += (b * a->queries + i) * keys;
    if (t->rank == 4) m += (b * t->dims[2] + job->past + i) * keys;
    for (int64_t j = 0; j < a->keys; j++)
        row[j] = m[j] > 0 ? 0 : masked;
}

static void fill_mask(ms_job *job) {
    oc__attend *a = &job->a;
    oc__attend_mask *out = &a->bias[1];
    int64_t rows = mask_has_rows(job) ? a->queries : 1;
    if (!job->mask) return;
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t i = 0; i < rows; i++)
            fill_mask_row(job, b, i, job->key_mask + (b * rows + i) * a->keys);
    out->data = job->key_mask;
    out->step[0] = rows * a->keys;
    out->step[2] = rows == 1 ? 0 : a->keys;
    out->step[3] = 1;
    out->keys = a->keys;
}

/* ---- the operators --------------------------------------------------------
 */

static oc_status read_types(const oc__ctx *c, ms_job *job) {
    uint32_t floats = OC_T(F32) | OC_T(F16) | OC_T(BF16);
    if (job->kind != QUANTISED) {
        OC_TRY(oc__want(c, 0, floats));
        job->dtype = oc__in(c, 0)->dtype;
    } else {
        OC_TRY(oc__want(c, 0, OC_T(I8) | OC_T(U8)));
        OC_TRY(oc__want(c, 1, OC_T(I8) | OC_T(U8)));
        OC_TRY(oc__want(c, 2, floats));
        OC_TRY(oc__want(c, 3, floats));
        OC_TRY(oc__want(c, 4, floats));
        job->dtype = oc__in(c, 2)->dtype;
        return OC_OK;
    }
    if (job->kind == PROJECTED) OC_TRY(oc__want(c, 1, 1u << job->dtype));
    int bias = places_of[job->kind].bias;
    if (input(c, bias)) OC_TRY(oc__want(c, bias, 1u << job->dtype));
    return OC_OK;
}

/* A scale or zero point: one for all, or one a column of the weights. */
static oc_status check_scale(const oc__ctx *c, int i, int64_t columns) {
    const oc_tensor *t = oc__in(c, i);
    int64_t n = t ? oc_tensor_elems(t) : 1;
    if (n == 1 || n == columns) return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE, "input %d has %lld values", i,
                       (long long)n);
}

static oc_status read_ms(const oc__ctx *c, ms_job *job) {
    oc__attend *a = &job->a;
    memset(job, 0, sizeof(*job));
    job->kind = c->op->kind;
    OC_TRY(read_types(c, job));
    a->real = OC_DTYPE_F32;
    a->heads = a->kv_heads = oc__attr_int(c->node, "num_heads", 0);
    if (a->heads < 1 || a->heads > INT32_MAX)
        return oc__op_fail(c, OC_E_ARG, "num_heads is %lld",
                           (long long)a->heads);
    OC_TRY(job->kind == MULTI_HEAD ? read_given(c, job)
                                   : read_projected(c, job));
    int64_t columns = 2 * job->q_hidden + job->v_hidden;
    if (job->kind == QUANTISED) {
        OC_TRY(check_scale(c, 3, 1));
        OC_TRY(check_scale(c, 4, columns));
        OC_TRY(check_scale(c, 6, 1));
        OC_TRY(check_scale(c, 7, columns));
    }
    job->room = job->new_keys;
    OC_TRY(read_past(c, job));
    const oc_tensor *bias = input(c, places_of[job->kind].bias);
    int64_t want = a->heads * (2 * a->size + a->v_size);
    if (bias && oc_tensor_elems(bias) != want)
        return oc__op_fail(c, OC_E_SHAPE, "the bias has %lld values, want %lld",
                           (long long)oc_tensor_elems(bias), (long long)want);
    a->past = job->past;
    a->keys = job->past + job->new_keys;
    a->causal = oc__attr_int(c->node, "unidirectional", 0) != 0;
    a->masked = -INFINITY;
    job->filter = oc__attr_float(c->node, "mask_filter_value", -10000.0f);
    a->scale = oc__attr_float(c->node, "scale", 0);
    if (a->scale == 0) a->scale = 1 / sqrt((double)OC_MAX(a->size, 1));
    for (int i = 1; i < c->n_out; i++)
        job->has_present |= i < 3 && oc__out_value(c, i) != NULL;
    OC_TRY(read_masks(c, job));
    return check_mask(c, job);
}

static void layout_projected(oc__ctx *c, oc__bump *b, ms_job *job) {
    const oc__kernels *kt = c->kernels;
    int64_t rows = job->a.batch * job->a.queries;
    int64_t cols = 2 * job->q_hidden + job->v_hidden;
    job->x = oc__real_in(c, b, 0, OC_DTYPE_F32);
    job->w = oc__real_in(c, b, 1, OC_DTYPE_F32);
    job->qkv = oc__bump_take(b, rows * cols, sizeof(float));
    size_t packed = oc__lin_f32_packed(kt, job->hidden_in, cols);
    job->packed = oc__bump_take(b, (int64_t)packed, sizeof(float));
    size_t gemm = oc__lin_f32_scratch(kt, rows, cols, job->hidden_in,
                                      OC_MAX(c->threads, 1));
    job->gemm = oc__bump_take(b, (int64_t)gemm, 1);
}

/* Present keys or values: in the output when they have one of their own,
 * else in scratch; NULL when the new ones can be used where they are. */
static float *take_full(oc__ctx *c, oc__bump *b, int out, int64_t size,
                        const ms_job *job) {
    const oc__attend *a = &job->a;
    int64_t n = a->batch * a->heads * job->room * size;
    if (job->kind == MULTI_HEAD && oc__out_value(c, out))
        return oc__real_out(c, b, out, job->dtype, n, OC_DTYPE_F32);
    int bias = job->kind == MULTI_HEAD && oc__in(c, 3) != NULL;
    if (job->past == 0 && !bias && !job->shared && !job->has_present)
        return NULL;
    return oc__bump_take(b, n, sizeof(float));
}

static void layout(oc__ctx *c, oc__bump *b, ms_job *job) {
    const places *p = &places_of[job->kind];
    oc__attend *a = &job->a;
    job->bias = oc__real_tensor(c, b, input(c, p->bias), OC_DTYPE_F32);
    job->past_k = oc__real_tensor(c, b, input(c, p->past), OC_DTYPE_F32);
    job->past_v = oc__real_tensor(c, b, input(c, p->past_v), OC_DTYPE_F32);
    a->bias[0].data = oc__real_tensor(c, b, input(c, p->extra), OC_DTYPE_F32);
    if (job->kind == MULTI_HEAD) {
        a->q.data = oc__real_in(c, b, 0, OC_DTYPE_F32);
        a->k.data = oc__real_in(c, b, 1, OC_DTYPE_F32);
        a->v.data = oc__real_in(c, b, 2, OC_DTYPE_F32);
        if (input(c, p->bias))
            job->biased_q = oc__bump_take(
                b, a->batch * a->queries * a->heads * a->size, sizeof(float));
    } else {
        layout_projected(c, b, job);
    }
    job->full_k = take_full(c, b, 1, a->size, job);
    job->full_v = take_full(c, b, 2, a->v_size, job);
    int64_t rows = a->batch * a->queries * a->heads;
    job->y = oc__real_out(c, b, 0, job->dtype, rows * a->v_size, OC_DTYPE_F32);
    if (!oc__out_value(c, 0))
        job->y = oc__bump_take(b, rows * a->v_size, sizeof(float));
    if (job->kind == MULTI_HEAD)
        job->scores =
            oc__real_out(c, b, 3, job->dtype, rows * a->keys, OC_DTYPE_F32);
    if (job->mask) {
        int64_t n = mask_has_rows(job) ? a->queries : 1;
        job->key_mask = oc__bump_take(b, a->batch * n * a->keys, sizeof(float));
    }
    oc__attend_plan(c, b, a);
}

static oc_status infer_ms(oc__ctx *c) {
    ms_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_ms(c, &job));
    int64_t y[] = {a->batch, a->queries, a->heads * a->v_size};
    OC_TRY(oc__out_set(c, 0, job.dtype, 3, y));
    int64_t k[] = {2, a->batch, a->heads, job.room, a->size};
    if (job.kind == MULTI_HEAD) {
        int64_t v[] = {a->batch, a->heads, job.room, a->v_size};
        int64_t qk[] = {a->batch, a->heads, a->queries, a->keys};
        OC_TRY(oc__out_set(c, 1, job.dtype, 4, k + 1));
        OC_TRY(oc__out_set(c, 2, job.dtype, 4, v));
        OC_TRY(oc__out_set(c, 3, job.dtype, 4, qk));
    } else {
        OC_TRY(oc__out_set(c, 1, job.dtype, 5, k));
        if (oc__out_value(c, 1) && a->size != a->v_size)
            return oc__op_fail(c, OC_E_SHAPE,
                               "a present needs keys and values of one size");
    }
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* (q - zero) * scale, a column of the weights having its own of each. */
static void dequantise(oc__ctx *c, int i, int scale_at, int zero_at,
                       const float *out) {
    const oc_tensor *q = oc__in(c, i), *s = oc__in(c, scale_at);
    const oc_tensor *z = oc__in(c, zero_at);
    int64_t n = oc_tensor_elems(q), cols = q->dims[q->rank - 1];
    int by_scale = oc_tensor_elems(s) > 1;
    int by_zero = z && oc_tensor_elems(z) > 1;
    float *y;
    memcpy(&y, &out, sizeof(y));
    for (int64_t j = 0; j < n; j++) {
        double zero = z ? oc__tensor_get_f64(z, by_zero ? j % cols : 0) : 0;
        double scale = oc__tensor_get_f64(s, by_scale ? j % cols : 0);
        y[j] = (float)((oc__tensor_get_f64(q, j) - zero) * scale);
    }
}

static void project(oc__ctx *c, ms_job *job) {
    oc__attend *a = &job->a;
    int64_t rows = a->batch * a->queries;
    int64_t cols = 2 * job->q_hidden + job->v_hidden;
    if (job->kind == QUANTISED) {
        dequantise(c, 0, 3, 6, job->x);
        dequantise(c, 1, 4, 7, job->w);
    }
    oc__lin l = {c->kernels, c->pool, job->gemm};
    oc__lin_f32_pack(&l, job->hidden_in, cols, job->w, cols, 1, job->packed);
    oc__lin_f32(&l, rows, cols, job->hidden_in, 1, job->x, job->hidden_in, 1,
                job->packed, job->qkv, cols);
    for (int64_t i = 0; job->bias && i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            job->qkv[i * cols + j] += job->bias[j];
    a->q.data = job->qkv;
    a->k.data = job->qkv + job->q_hidden;
    a->v.data = job->qkv + 2 * job->q_hidden;
}

/* Puts past and new behind each other where a present, a past or a bias asks
 * for it; *view then shows the whole. */
static void join(oc__ctx *c, const ms_job *job, oc__heads *view,
                 const float *past, float *full, int64_t size,
                 const float *bias) {
    const oc__attend *a = &job->a;
    if (!full) return;
    oc__heads to = oc__heads_dense(full, a->heads, job->room, size);
    if (past) {
        int64_t kept = job->shared ? job->room : job->past;
        oc__heads from = oc__heads_dense(past, a->heads, kept, size);
        oc__attend_copy(c, &from, &to, a->batch, a->heads, kept, size, 0, NULL);
    }
    oc__attend_copy(c, view, &to, a->batch, a->heads, job->new_keys, size,
                    job->past, bias);
    *view = to;
}

static void prepare(oc__ctx *c, ms_job *job) {
    oc__attend *a = &job->a;
    const float *bias = NULL, *past_v = job->past_v;
    int64_t hidden = a->heads * a->size;
    if (job->kind != MULTI_HEAD) {
        project(c, job);
        if (job->past_k)
            past_v = job->past_k +
                     a->batch * hidden * (job->shared ? job->room : job->past);
    } else {
        const float *q = a->q.data;
        bias = job->bias;
        if (oc__in(c, 0)->rank == 5) {
            a->k.data = q + a->size;
            a->v.data = q + 2 * a->size;
        } else if (oc__in(c, 1)->rank == 5) {
            a->v.data = (const float *)a->k.data + a->size;
        }
        if (bias) {
            oc__heads to =
                oc__heads_flat(job->biased_q, a->heads, a->queries, a->size);
            oc__attend_copy(c, &a->q, &to, a->batch, a->heads, a->queries,
                            a->size, 0, bias);
            a->q = to;
        }
    }
    join(c, job, &a->k, job->past_k, job->full_k, a->size,
         bias ? bias + hidden : NULL);
    join(c, job, &a->v, past_v, job->full_v, a->v_size,
         bias ? bias + 2 * hidden : NULL);
}

static oc_status run_ms(oc__ctx *c) {
    ms_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_ms(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    prepare(c, &job);
    fill_mask(&job);
    a->y = oc__heads_flat(job.y, a->heads, a->queries, a->v_size);
    a->scores = job.scores;
    a->stage = OC_ATTEND_MASKED;
    oc__attend_run(c, a);
    oc__real_done(c, 0, job.y, OC_DTYPE_F32);
    if (job.kind == MULTI_HEAD) {
        if (job.full_k) oc__real_done(c, 1, job.full_k, OC_DTYPE_F32);
        if (job.full_v) oc__real_done(c, 2, job.full_v, OC_DTYPE_F32);
        oc__real_done(c, 3, job.scores, OC_DTYPE_F32);
    } else if (oc__out(c, 1)) {
        oc_tensor *present = oc__out(c, 1);
        int64_t n = oc_tensor_elems(present) / 2;
        size_t half = (size_t)n * oc_dtype_bytes(job.dtype);
        oc__real_convert(c, OC_DTYPE_F32, job.full_k, job.dtype, present->data,
                         n);
        oc__real_convert(c, OC_DTYPE_F32, job.full_v, job.dtype,
                         (char *)present->data + half, n);
    }
    return OC_OK;
}

static double flops_ms(const oc__ctx *c) {
    ms_job job;
    if (read_ms(c, &job) != OC_OK) return 0;
    double cols = (double)(2 * job.q_hidden + job.v_hidden);
    return oc__attend_flops(&job.a) + 2.0 * (double)job.a.batch *
                                          (double)job.a.queries *
                                          (double)job.hidden_in * cols;
}

const oc__op oc__ops_attention_ms[] = {
    {"com.microsoft", "Attention", 1, 2, 7, 2, 0, PROJECTED, infer_ms, run_ms,
     flops_ms},
    {"com.microsoft", "QAttention", 1, 5, 9, 2, 0, QUANTISED, infer_ms, run_ms,
     flops_ms},
    {"com.microsoft", "MultiHeadAttention", 1, 1, 10, 4, 0, MULTI_HEAD,
     infer_ms, run_ms, flops_ms},
    {0},
};
