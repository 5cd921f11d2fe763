/*
 * attention.c - Attention of ONNX, opsets 23 and up.
 *
 * The text of opset 24 was corrected after its release, with no new version:
 * with nonpad_kv_seqlen alone the last query stands at the last key that
 * exists, and a query that sees no key gives zeros.  Both are done here.  The
 * order of softcap and mask is that of the release up to opset 25; where the
 * correction is meant to matter, at -Inf, the results are the same.
 */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

typedef struct attention_job {
    oc__attend a;
    int64_t past;
    int flat; /* 3-D: (batch, sequence, heads * size) */
    oc_dtype dtype, v_dtype;
    const oc_tensor *mask;
    const void *past_k, *past_v;
    void *full_k, *full_v; /* past and new keys and values, or NULL */
    void *y, *scores;
    int64_t *used, *past_of;
} attention_job;

/* Heads, positions and size of input i, and its steps. */
static oc_status read_heads(const oc__ctx *c, int i, int64_t heads,
                            int64_t *n_heads, int64_t *positions, int64_t *size,
                            oc__heads *h) {
    const oc_tensor *t = oc__in(c, i);
    h->element = 1;
    if (t->rank == 4) {
        *n_heads = t->dims[1];
        *positions = t->dims[2];
        *size = t->dims[3];
        h->position = *size;
        h->head = *positions * *size;
        h->batch = t->dims[1] * h->head;
        return OC_OK;
    }
    if (heads < 1 || t->dims[2] % heads)
        return oc__op_fail(c, OC_E_SHAPE,
                           "input %d: %lld values do not make %lld heads", i,
                           (long long)t->dims[2], (long long)heads);
    *n_heads = heads;
    *positions = t->dims[1];
    *size = t->dims[2] / heads;
    h->position = t->dims[2];
    h->head = *size;
    h->batch = t->dims[1] * t->dims[2];
    return OC_OK;
}

static oc_status read_past(const oc__ctx *c, int i, int64_t size,
                           attention_job *job) {
    OC_TRY(oc__want(c, i, 1u << oc__in(c, i - 3)->dtype));
    OC_TRY(oc__want_rank(c, i, 4, 4));
    const oc_tensor *t = oc__in(c, i);
    if (i == 4) job->past = t->dims[2];
    if (t->dims[0] != job->a.batch || t->dims[1] != job->a.kv_heads ||
        t->dims[2] != job->past || t->dims[3] != size)
        return oc__op_fail(c, OC_E_SHAPE, "input %d does not fit to the keys",
                           i);
    return OC_OK;
}

static oc_status read_mask(const oc__ctx *c, attention_job *job) {
    const oc_tensor *t = oc__in(c, 3);
    oc__attend *a = &job->a;
    if (!t) return OC_OK;
    OC_TRY(oc__want_rank(c, 3, 1, 4));
    if (t->dtype == OC_DTYPE_STRING)
        return oc__op_fail(c, OC_E_ARG, "the mask is a string tensor");
    oc__attend_mask *m = t->dtype == OC_DTYPE_BOOL ? &a->keep : &a->bias[0];
    int64_t dims[4] = {a->batch, a->heads, a->queries, a->keys}, step = 1;
    m->keys = t->dims[t->rank - 1];
    for (int d = 3; d >= 0; d--) {
        int at = d - (4 - t->rank);
        int64_t n = at < 0 ? 1 : t->dims[at];
        m->step[d] = n == 1 && d < 3 ? 0 : step;
        step *= n;
        /* The mask may stop before the last keys. */
        if (d == 3 ? n > dims[d] : n != 1 && n != dims[d])
            return oc__op_fail(c, OC_E_SHAPE,
                               "the mask does not fit: "
                               "dimension %d is %lld, want %lld",
                               at, (long long)n, (long long)dims[d]);
    }
    job->mask = t;
    return OC_OK;
}

/* The order of softcap, masks and what output 3 shows of them. */
static oc_status read_stages(const oc__ctx *c, attention_job *job) {
    oc__attend *a = &job->a;
    int64_t mode = oc__attr_int(c->node, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
        return oc__op_fail(c, OC_E_ARG, "qk_matmul_output_mode is %lld",
                           (long long)mode);
    a->stage = (oc__attend_stage)mode;
    a->cap_first = c->node->version > 25;
    if (a->cap_first && mode == 1) a->stage = OC_ATTEND_CAPPED;
    if (a->cap_first && mode == 2) a->stage = OC_ATTEND_MASKED;
    a->softcap = oc__attr_float(c->node, "softcap", 0);
    a->softmax_dtype = (oc_dtype)oc__attr_int(c->node, "softmax_precision", 0);
    if (a->softmax_dtype && !(OC_T_F >> a->softmax_dtype & 1))
        return oc__op_fail(c, OC_E_ARG, "softmax_precision is %d",
                           (int)a->softmax_dtype);
    return OC_OK;
}

static oc_status read_attention(const oc__ctx *c, attention_job *job) {
    oc__attend *a = &job->a;
    int64_t k_size, v_heads, v_keys;
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, 4));
    const oc_tensor *q = oc__in(c, 0);
    for (int i = 1; i < 3; i++) {
        OC_TRY(oc__want(c, i, i == 1 ? 1u << q->dtype : OC_T_F));
        OC_TRY(oc__want_rank(c, i, q->rank, q->rank));
    }
    const oc_tensor *k = oc__in(c, 1), *v = oc__in(c, 2);
    int64_t n_q = oc__attr_int(c->node, "q_num_heads", 0);
    int64_t n_kv = oc__attr_int(c->node, "kv_num_heads", 0);
    job->flat = q->rank == 3;
    job->dtype = q->dtype;
    job->v_dtype = v->dtype;
    a->real = q->dtype == OC_DTYPE_F64 || v->dtype == OC_DTYPE_F64
                  ? OC_DTYPE_F64
                  : OC_DTYPE_F32;
    a->batch = q->dims[0];
    OC_TRY(read_heads(c, 0, n_q, &a->heads, &a->queries, &a->size, &a->q));
    OC_TRY(read_heads(c, 1, n_kv, &a->kv_heads, &a->keys, &k_size, &a->k));
    OC_TRY(read_heads(c, 2, n_kv, &v_heads, &v_keys, &a->v_size, &a->v));
    if (k->dims[0] != a->batch || v->dims[0] != a->batch || k_size != a->size ||
        v_heads != a->kv_heads || v_keys != a->keys || a->kv_heads < 1 ||
        a->heads % a->kv_heads)
        return oc__op_fail(c, OC_E_SHAPE, "Q, K and V do not fit together");
    if (!oc__in(c, 4) != !oc__in(c, 5))
        return oc__op_fail(c, OC_E_ARG,
                           "past_key and past_value come together");
    if (oc__in(c, 4)) {
        OC_TRY(read_past(c, 4, a->size, job));
        OC_TRY(read_past(c, 5, a->v_size, job));
    }
    a->keys += job->past;
    a->past = job->past;
    a->masked = -INFINITY;
    a->y.element = 1;
    a->causal = oc__attr_int(c->node, "is_causal", 0) != 0;
    a->scale = oc__attr_float(c->node, "scale",
                              (float)(1 / sqrt((double)OC_MAX(a->size, 1))));
    if (!oc__attr_find(c->node, "scale"))
        a->scale = 1 / sqrt((double)OC_MAX(a->size, 1));
    OC_TRY(read_stages(c, job));
    const oc_tensor *used = oc__in(c, 6);
    if (used && (used->dtype != OC_DTYPE_I64 || used->rank != 1 ||
                 used->dims[0] != a->batch))
        return oc__op_fail(
            c, OC_E_SHAPE,
            "nonpad_kv_seqlen must have one value a batch entry");
    return read_mask(c, job);
}

/* Where past and new keys (or values) stand behind each other: the output
 * for them, or scratch; NULL when the input can be used as it is. */
static void *take_full(oc__ctx *c, oc__bump *b, int out, oc_dtype dtype,
                       int64_t size, const attention_job *job) {
    const oc__attend *a = &job->a;
    int64_t n = a->batch * a->kv_heads * a->keys * size;
    if (oc__out_value(c, out))
        return oc__real_out(c, b, out, dtype, n, a->real);
    if (!oc__in(c, 4)) return NULL;
    return oc__bump_take(b, n, oc_dtype_bytes(a->real));
}

static void layout(oc__ctx *c, oc__bump *b, attention_job *job) {
    oc__attend *a = &job->a;
    a->q.data = oc__real_in(c, b, 0, a->real);
    a->k.data = oc__real_in(c, b, 1, a->real);
    a->v.data = oc__real_in(c, b, 2, a->real);
    job->past_k = oc__real_in(c, b, 4, a->real);
    job->past_v = oc__real_in(c, b, 5, a->real);
    job->full_k = take_full(c, b, 1, job->dtype, a->size, job);
    job->full_v = take_full(c, b, 2, job->v_dtype, a->v_size, job);
    int64_t rows = a->batch * a->heads * a->queries;
    job->y = oc__real_out(c, b, 0, job->dtype, rows * a->v_size, a->real);
    if (!oc__out_value(c, 0)) /* only the scores are wanted */
        job->y = oc__bump_take(b, rows * a->v_size, oc_dtype_bytes(a->real));
    job->scores = oc__real_out(c, b, 3, job->dtype, rows * a->keys, a->real);
    a->y.data = job->y;
    a->scores = job->scores;
    if (job->mask && job->mask->dtype == OC_DTYPE_BOOL)
        a->keep.data = job->mask->data;
    else
        a->bias[0].data = oc__real_tensor(c, b, job->mask, a->real);
    if (oc__in(c, 6)) {
        job->used = oc__bump_take(b, a->batch, sizeof(int64_t));
        job->past_of = oc__bump_take(b, a->batch, sizeof(int64_t));
    }
    oc__attend_plan(c, b, a);
}

static oc_status infer_attention(oc__ctx *c) {
    attention_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_attention(c, &job));
    int64_t flat[] = {a->batch, a->queries, a->heads * a->v_size};
    int64_t split[] = {a->batch, a->heads, a->queries, a->v_size};
    int64_t k[] = {a->batch, a->kv_heads, a->keys, a->size};
    int64_t v[] = {a->batch, a->kv_heads, a->keys, a->v_size};
    int64_t scores[] = {a->batch, a->heads, a->queries, a->keys};
    OC_TRY(oc__out_set(c, 0, job.dtype, job.flat ? 3 : 4,
                       job.flat ? flat : split));
    OC_TRY(oc__out_set(c, 1, job.dtype, 4, k));
    OC_TRY(oc__out_set(c, 2, job.v_dtype, 4, v));
    OC_TRY(oc__out_set(c, 3, job.dtype, 4, scores));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* Puts past and new rows of each head behind each other. */
static void join(const attention_job *job, const void *past, oc__heads *h,
                 int64_t size, void *full) {
    const oc__attend *a = &job->a;
    size_t elem = oc_dtype_bytes(a->real);
    char *to = full;
    if (!full) return;
    for (int64_t i = 0; i < a->batch * a->kv_heads; i++) {
        int64_t b = i / a->kv_heads, head = i % a->kv_heads;
        if (past)
            memcpy(to,
                   (const char *)past + (size_t)(i * job->past * size) * elem,
                   (size_t)(job->past * size) * elem);
        to += (size_t)(job->past * size) * elem;
        for (int64_t p = 0; p < a->keys - job->past; p++) {
            int64_t at = b * h->batch + head * h->head + p * h->position;
            memcpy(to, (const char *)h->data + (size_t)at * elem,
                   (size_t)size * elem);
            to += (size_t)size * elem;
        }
    }
    h->data = full;
    h->position = size;
    h->head = a->keys * size;
    h->batch = a->kv_heads * h->head;
}

static oc_status read_used(oc__ctx *c, attention_job *job) {
    oc__attend *a = &job->a;
    const oc_tensor *t = oc__in(c, 6);
    if (!t) return OC_OK;
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t n = ((const int64_t *)t->data)[b];
        if (n < 0 || n > a->keys)
            return oc__op_fail(c, OC_E_ARG, "nonpad_kv_seqlen is %lld of %lld",
                               (long long)n, (long long)a->keys);
        job->used[b] = n;
        job->past_of[b] = n - a->queries;
    }
    a->used = job->used;
    if (!oc__in(c, 4)) a->past_of = job->past_of;
    /* Padding may hold anything; not to touch it is safest. */
    a->skip_unused = !a->scores;
    return OC_OK;
}

static oc_status run_attention(oc__ctx *c) {
    attention_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_attention(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    OC_TRY(read_used(c, &job));
    join(&job, job.past_k, &a->k, a->size, job.full_k);
    join(&job, job.past_v, &a->v, a->v_size, job.full_v);
    if (job.flat) {
        a->y.position = a->heads * a->v_size;
        a->y.head = a->v_size;
        a->y.batch = a->queries * a->y.position;
    } else {
        a->y.position = a->v_size;
        a->y.head = a->queries * a->v_size;
        a->y.batch = a->heads * a->y.head;
    }
    oc__attend_run(c, a);
    oc__real_done(c, 0, job.y, a->real);
    if (job.full_k) oc__real_done(c, 1, job.full_k, a->real);
    if (job.full_v) oc__real_done(c, 2, job.full_v, a->real);
    oc__real_done(c, 3, job.scores, a->real);
    return OC_OK;
}

static double flops_attention(const oc__ctx *c) {
    attention_job job;
    if (read_attention(c, &job) != OC_OK) return 0;
    return oc__attend_flops(&job.a);
}

const oc__op oc__ops_attention[] = {
    {"", "Attention", 23, 3, 7, 4, 0, 0, infer_attention, run_attention,
     flops_attention},
    {0},
};
