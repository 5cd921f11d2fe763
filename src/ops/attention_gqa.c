/*
 * attention_gqa.c - com.microsoft.GroupQueryAttention: queries share keys in
 * groups, keys and values live in a cache that grows with the text, and
 * rotary embedding may be applied on the way in.
 *
 * Batch entries may have different lengths: seqlens_k says, less one, how
 * many keys of each exist after this step.
 */
#include "ops/attend.h"
#include "ops/rotary.h"

#include <math.h>
#include <string.h>

enum {
    QUERY,
    KEY,
    VALUE,
    PAST_KEY,
    PAST_VALUE,
    SEQLENS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    BIAS,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM
};

typedef struct gqa_job {
    oc__attend a;
    oc_dtype dtype;
    int64_t past_room, room; /* positions in the past and present buffers */
    int64_t total;           /* longest of the batch after this step */
    int packed, rotary, smooth;
    oc__rotary turn;
    double norm_epsilon;
    const float *past_k, *past_v, *q_norm, *k_norm, *bias;
    float *turned_q, *full_k, *full_v, *y, *scores, *sinks;
    int64_t *used, *past_of;
} gqa_job;

static oc_status refuse(const oc__ctx *c) {
    if (oc__in(c, K_SCALE) || oc__in(c, V_SCALE))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "a quantised cache");
    if (oc__attr_int(c->node, "sliding_window_cache", 0))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "sliding_window_cache");
    return OC_OK;
}

static oc_status read_qkv(const oc__ctx *c, gqa_job *job) {
    oc__attend *a = &job->a;
    const oc_tensor *q = oc__in(c, QUERY), *k = oc__in(c, KEY);
    const oc_tensor *v = oc__in(c, VALUE);
    OC_TRY(oc__want_rank(c, QUERY, 3, 3));
    a->heads = oc__attr_int(c->node, "num_heads", 0);
    a->kv_heads = oc__attr_int(c->node, "kv_num_heads", 0);
    if (a->heads < 1 || a->kv_heads < 1 || a->heads > INT32_MAX ||
        a->heads % a->kv_heads)
        return oc__op_fail(c, OC_E_ARG, "%lld heads over %lld",
                           (long long)a->heads, (long long)a->kv_heads);
    a->batch = q->dims[0];
    a->queries = q->dims[1];
    job->packed = !k;
    int64_t units = a->heads + (job->packed ? 2 * a->kv_heads : 0);
    a->size = a->v_size = q->dims[2] / units;
    int ok = q->dims[2] % units == 0 && !k == !v;
    if (k && ok) {
        OC_TRY(oc__want(c, KEY, 1u << q->dtype));
        OC_TRY(oc__want(c, VALUE, 1u << q->dtype));
        ok = k->rank == 3 && k->dims[0] == a->batch &&
             k->dims[1] == a->queries && k->dims[2] == a->kv_heads * a->size &&
             oc__tensor_same_shape(k, v);
    }
    if (!ok)
        return oc__op_fail(c, OC_E_SHAPE, "query, key and value do not fit");
    if (job->packed) {
        oc__heads h = {NULL, a->queries * q->dims[2], a->size, q->dims[2], 1};
        a->q = a->k = a->v = h;
    } else {
        a->q = oc__heads_flat(NULL, a->heads, a->queries, a->size);
        a->k = a->v = oc__heads_flat(NULL, a->kv_heads, a->queries, a->size);
    }
    return OC_OK;
}

static oc_status read_cache(const oc__ctx *c, gqa_job *job) {
    const oc__attend *a = &job->a;
    const oc_tensor *k = oc__in(c, PAST_KEY), *v = oc__in(c, PAST_VALUE);
    double total;
    OC_TRY(oc__want(c, SEQLENS, OC_T(I32)));
    OC_TRY(oc__want(c, TOTAL, OC_T(I32)));
    if (oc_tensor_elems(oc__in(c, SEQLENS)) != a->batch)
        return oc__op_fail(c, OC_E_SHAPE, "seqlens_k does not fit the batch");
    if (!k != !v)
        return oc__op_fail(c, OC_E_ARG,
                           "past_key and past_value come together");
    if (k) {
        OC_TRY(oc__want(c, PAST_KEY, 1u << job->dtype));
        OC_TRY(oc__want(c, PAST_VALUE, 1u << job->dtype));
        if (k->rank != 4 || k->dims[0] != a->batch ||
            k->dims[1] != a->kv_heads || k->dims[3] != a->size ||
            !oc__tensor_same_shape(k, v))
            return oc__op_fail(c, OC_E_SHAPE, "the past does not fit");
        job->past_room = k->dims[2];
    }
    OC_NEED_DATA(c, TOTAL);
    OC_TRY(oc__in_scalar(c, TOTAL, &total));
    if (!(total >= 0 && total <= INT32_MAX))
        return oc__op_fail(c, OC_E_ARG, "total_sequence_length is %g", total);
    job->total = (int64_t)total;
    job->room = OC_MAX(OC_MAX(job->past_room, job->total), a->queries);
    return OC_OK;
}

static oc_status read_rotary(const oc__ctx *c, gqa_job *job) {
    job->rotary = oc__attr_int(c->node, "do_rotary", 0) != 0;
    const oc_tensor *cs = oc__in(c, COS), *sn = oc__in(c, SIN);
    if (!job->rotary) return OC_OK;
    if (!cs || !sn)
        return oc__op_fail(c, OC_E_ARG, "do_rotary needs both caches");
    OC_TRY(oc__want(c, COS, 1u << job->dtype));
    OC_TRY(oc__want_rank(c, COS, 2, 2));
    job->turn.head = job->a.size;
    job->turn.rotated = 2 * cs->dims[1];
    job->turn.positions = cs->dims[0];
    job->turn.interleaved = oc__attr_int(c->node, "rotary_interleaved", 0) != 0;
    if (!oc__tensor_same_shape(cs, sn) || cs->dtype != sn->dtype ||
        job->turn.rotated > job->turn.head)
        return oc__op_fail(c, OC_E_SHAPE, "the caches do not fit");
    const oc_tensor *ids = oc__in(c, POSITIONS);
    if (ids && (ids->dtype != OC_DTYPE_I64 ||
                oc_tensor_elems(ids) != job->a.batch * job->a.queries))
        return oc__op_fail(c, OC_E_SHAPE, "position_ids does not fit");
    return OC_OK;
}

static oc_status check_vector(const oc__ctx *c, int i, int64_t n,
                              oc_dtype dtype) {
    const oc_tensor *t = oc__in(c, i);
    if (!t) return OC_OK;
    OC_TRY(oc__want(c, i, 1u << dtype));
    if (oc_tensor_elems(t) == n) return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE, "input %d has %lld values, want %lld", i,
                       (long long)oc_tensor_elems(t), (long long)n);
}

static oc_status read_bias(const oc__ctx *c, gqa_job *job) {
    oc__attend *a = &job->a;
    const oc_tensor *t = oc__in(c, BIAS);
    if (!t) return OC_OK;
    OC_TRY(oc__want(c, BIAS, 1u << job->dtype));
    if (t->rank != 4 || (t->dims[0] != 1 && t->dims[0] != a->batch) ||
        (t->dims[1] != 1 && t->dims[1] != a->heads) ||
        t->dims[2] != a->queries || t->dims[3] < job->total)
        return oc__op_fail(c, OC_E_SHAPE, "attention_bias does not fit");
    oc__attend_mask *m = &a->bias[0];
    m->step[3] = 1;
    m->step[2] = t->dims[3];
    m->step[1] = t->dims[1] == 1 ? 0 : t->dims[2] * t->dims[3];
    m->step[0] = t->dims[0] == 1 ? 0 : t->dims[1] * t->dims[2] * t->dims[3];
    m->keys = t->dims[3];
    return OC_OK;
}

static oc_status read_gqa(const oc__ctx *c, gqa_job *job) {
    oc__attend *a = &job->a;
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, QUERY, OC_T(F32) | OC_T(F16) | OC_T(BF16)));
    OC_TRY(refuse(c));
    job->dtype = oc__in(c, QUERY)->dtype;
    a->real = OC_DTYPE_F32;
    OC_TRY(read_qkv(c, job));
    OC_TRY(read_cache(c, job));
    OC_TRY(read_rotary(c, job));
    OC_TRY(check_vector(c, SINK, a->heads, job->dtype));
    OC_TRY(check_vector(c, Q_NORM, a->size, job->dtype));
    OC_TRY(check_vector(c, K_NORM, a->size, job->dtype));
    OC_TRY(read_bias(c, job));
    a->keys = job->room;
    a->masked = -INFINITY;
    a->cap_first = 1;
    a->softcap = oc__attr_float(c->node, "softcap", 0);
    a->scale = oc__attr_float(c->node, "scale", 0);
    if (a->scale == 0) a->scale = 1 / sqrt((double)OC_MAX(a->size, 1));
    a->causal = oc__attr_int(c->node, "causal", 1) != 0;
    int64_t window = oc__attr_int(c->node, "local_window_size", -1);
    a->window = window > 0 ? window : 0;
    job->smooth = oc__attr_int(c->node, "smooth_softmax", 0) != 0;
    job->norm_epsilon = oc__attr_float(c->node, "qk_norm_epsilon", 1e-6f);
    a->stage = oc__attr_int(c->node, "qk_output", 0) == 2 ? OC_ATTEND_SOFTMAX
                                                          : OC_ATTEND_MASKED;
    return OC_OK;
}

static float *take_cache(oc__ctx *c, oc__bump *b, int out, const gqa_job *job) {
    const oc__attend *a = &job->a;
    int64_t n = a->batch * a->kv_heads * job->room * a->size;
    if (oc__out_value(c, out))
        return oc__real_out(c, b, out, job->dtype, n, OC_DTYPE_F32);
    return oc__bump_take(b, n, sizeof(float));
}

static void layout(oc__ctx *c, oc__bump *b, gqa_job *job) {
    oc__attend *a = &job->a;
    int64_t rows = a->batch * a->queries * a->heads;
    a->q.data = oc__real_in(c, b, QUERY, OC_DTYPE_F32);
    a->k.data = oc__real_in(c, b, KEY, OC_DTYPE_F32);
    a->v.data = oc__real_in(c, b, VALUE, OC_DTYPE_F32);
    job->past_k = oc__real_in(c, b, PAST_KEY, OC_DTYPE_F32);
    job->past_v = oc__real_in(c, b, PAST_VALUE, OC_DTYPE_F32);
    a->bias[0].data = oc__real_in(c, b, BIAS, OC_DTYPE_F32);
    a->sink = oc__real_in(c, b, SINK, OC_DTYPE_F32);
    job->q_norm = oc__real_in(c, b, Q_NORM, OC_DTYPE_F32);
    job->k_norm = oc__real_in(c, b, K_NORM, OC_DTYPE_F32);
    if (job->rotary) {
        job->turn.cos = oc__real_in(c, b, COS, OC_DTYPE_F32);
        job->turn.sin = oc__real_in(c, b, SIN, OC_DTYPE_F32);
    }
    if (job->smooth) job->sinks = oc__bump_take(b, a->heads, sizeof(float));
    job->turned_q = oc__bump_take(b, rows * a->size, sizeof(float));
    job->used = oc__bump_take(b, a->batch, sizeof(int64_t));
    job->past_of = oc__bump_take(b, a->batch, sizeof(int64_t));
    job->full_k = take_cache(c, b, 1, job);
    job->full_v = take_cache(c, b, 2, job);
    job->y = oc__real_out(c, b, 0, job->dtype, rows * a->size, OC_DTYPE_F32);
    if (!oc__out_value(c, 0))
        job->y = oc__bump_take(b, rows * a->size, sizeof(float));
    job->scores =
        oc__real_out(c, b, 3, job->dtype, rows * job->total, OC_DTYPE_F32);
    oc__attend_plan(c, b, a);
}

static oc_status infer_gqa(oc__ctx *c) {
    gqa_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_gqa(c, &job));
    int64_t y[] = {a->batch, a->queries, a->heads * a->size};
    int64_t kv[] = {a->batch, a->kv_heads, job.room, a->size};
    int64_t qk[] = {a->batch, a->heads, a->queries, job.total};
    OC_TRY(oc__out_set(c, 0, job.dtype, 3, y));
    OC_TRY(oc__out_set(c, 1, job.dtype, 4, kv));
    OC_TRY(oc__out_set(c, 2, job.dtype, 4, kv));
    OC_TRY(oc__out_set(c, 3, job.dtype, 4, qk));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static oc_status read_lengths(oc__ctx *c, gqa_job *job) {
    const oc__attend *a = &job->a;
    const oc_tensor *ids = oc__in(c, POSITIONS);
    int prompt = a->queries == job->total;
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t n = oc__tensor_get_i64(oc__in(c, SEQLENS), b) + 1;
        int64_t past = prompt ? 0 : n - a->queries;
        if (n < 0 || n > job->room || past < 0 || past > job->past_room ||
            past + a->queries > job->room)
            return oc__op_fail(c, OC_E_ARG,
                               "seqlens_k[%lld] is %lld: it does not fit",
                               (long long)b, (long long)(n - 1));
        job->used[b] = n;
        job->past_of[b] = past;
        for (int64_t s = 0; job->rotary && s < a->queries; s++) {
            int64_t p =
                ids ? oc__tensor_get_i64(ids, b * a->queries + s) : past + s;
            if (p < 0 || p >= job->turn.positions)
                return oc__op_fail(
                    c, OC_E_ARG, "position %lld is outside the caches' %lld",
                    (long long)p, (long long)job->turn.positions);
        }
    }
    return OC_OK;
}

typedef struct place_job {
    const oc__ctx *c;
    const gqa_job *job;
    const oc_tensor *ids;
} place_job;

/* One head at one position on its way in: normalised, turned, copied. */
static void place_head(const place_job *p, const float *norm, int turn,
                       int64_t position, const float *x, float *y) {
    const gqa_job *job = p->job;
    size_t n = (size_t)job->a.size;
    if (norm)
        p->c->kernels->rmsnorm_f32(x, norm, (float)job->norm_epsilon, y, NULL,
                                   n);
    else
        memcpy(y, x, n * sizeof(float));
    if (turn) oc__rotary_head(&job->turn, position, y, y);
}

/* Tokens begin .. end - 1 of all batch entries. */
static void place_range(void *user, int64_t begin, int64_t end, int worker) {
    const place_job *p = user;
    const gqa_job *job = p->job;
    const oc__attend *a = &job->a;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t b = i / a->queries, s = i % a->queries, d = a->size;
        int64_t at = job->past_of[b] + s;
        int64_t position = p->ids ? oc__tensor_get_i64(p->ids, i) : at;
        const float *q =
            (const float *)a->q.data + b * a->q.batch + s * a->q.position;
        const float *k =
            (const float *)a->k.data + b * a->k.batch + s * a->k.position;
        const float *v =
            (const float *)a->v.data + b * a->v.batch + s * a->v.position;
        for (int64_t h = 0; h < a->heads; h++)
            place_head(p, job->q_norm, job->rotary, position, q + h * d,
                       job->turned_q + (i * a->heads + h) * d);
        for (int64_t h = 0; h < a->kv_heads; h++) {
            int64_t to = ((b * a->kv_heads + h) * job->room + at) * d;
            place_head(p, job->k_norm, job->rotary, position, k + h * d,
                       job->full_k + to);
            memcpy(job->full_v + to, v + h * d, (size_t)d * sizeof(float));
        }
    }
}

/* The present starts as the past; what neither covers is zero. */
static void start_cache(oc__ctx *c, const gqa_job *job, const float *past,
                        float *full) {
    const oc__attend *a = &job->a;
    int64_t n = a->batch * a->kv_heads * job->room * a->size;
    if (job->room != job->past_room) memset(full, 0, (size_t)n * sizeof(float));
    if (!past) return;
    oc__heads from =
        oc__heads_dense(past, a->kv_heads, job->past_room, a->size);
    oc__heads to = oc__heads_dense(full, a->kv_heads, job->room, a->size);
    oc__attend_copy(c, &from, &to, a->batch, a->kv_heads, job->past_room,
                    a->size, 0, NULL);
}

static oc_status run_gqa(oc__ctx *c) {
    gqa_job job;
    oc__attend *a = &job.a;
    OC_TRY(read_gqa(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    OC_TRY(read_lengths(c, &job));
    const float *q = a->q.data;
    if (job.packed) {
        a->k.data = q + a->heads * a->size;
        a->v.data = q + (a->heads + a->kv_heads) * a->size;
    }
    for (int64_t h = 0; job.smooth && h < a->heads; h++)
        job.sinks[h] = 0;
    if (job.smooth && !a->sink) a->sink = job.sinks;
    start_cache(c, &job, job.past_k, job.full_k);
    start_cache(c, &job, job.past_v, job.full_v);
    place_job p = {c, &job, job.rotary ? oc__in(c, POSITIONS) : NULL};
    oc__parallel(c, a->batch * a->queries, 4, place_range, &p);
    a->q = oc__heads_flat(job.turned_q, a->heads, a->queries, a->size);
    a->k = oc__heads_dense(job.full_k, a->kv_heads, job.room, a->size);
    a->v = oc__heads_dense(job.full_v, a->kv_heads, job.room, a->size);
    a->y = oc__heads_flat(job.y, a->heads, a->queries, a->size);
    a->keys = job.total;
    a->used = job.used;
    a->past_of = job.past_of;
    a->scores = job.scores;
    a->skip_unused = 1;
    oc__attend_run(c, a);
    oc__real_done(c, 0, job.y, OC_DTYPE_F32);
    oc__real_done(c, 1, job.full_k, OC_DTYPE_F32);
    oc__real_done(c, 2, job.full_v, OC_DTYPE_F32);
    oc__real_done(c, 3, job.scores, OC_DTYPE_F32);
    return OC_OK;
}

static double flops_gqa(const oc__ctx *c) {
    gqa_job job;
    if (read_gqa(c, &job) != OC_OK) return 0;
    return oc__attend_flops(&job.a);
}

const oc__op oc__ops_attention_gqa[] = {
    {"com.microsoft", "GroupQueryAttention", 1, 7, 16, 4, 0, 0, infer_gqa,
     run_gqa, flops_gqa},
    {0},
};
