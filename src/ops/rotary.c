/* rotary.c - RotaryEmbedding, of ONNX and of com.microsoft; see rotary.h. */
#include "ops/rotary.h"

#include <string.h>

enum { ONNX, MICROSOFT };

void oc__rotary_head(const oc__rotary *r, int64_t position, const float *x,
                     float *y) {
    int64_t half = r->rotated / 2;
    const float *cs = r->cos + position * half, *sn = r->sin + position * half;
    for (int64_t i = 0; i < half; i++) {
        int64_t a = r->interleaved ? 2 * i : i;
        int64_t b = r->interleaved ? 2 * i + 1 : i + half;
        float re = x[a], im = x[b];
        y[a] = cs[i] * re - sn[i] * im;
        y[b] = sn[i] * re + cs[i] * im;
    }
    if (x != y)
        memcpy(y + r->rotated, x + r->rotated,
               (size_t)(r->head - r->rotated) * sizeof(float));
}

typedef struct rotary_job {
    oc__rotary r;
    int64_t batch, steps, heads;
    int64_t batch_step, step_step, head_step; /* elements */
    int cache_per_batch; /* cos and sin are (batch, steps, half) */
    int one_position;    /* position_ids holds where the sequence starts */
    const oc_tensor *ids;
    float scale;
    const float *x, *cos, *sin;
    float *y;
    oc_dtype dtype;
} rotary_job;

static oc_status read_heads(const oc__ctx *c, const oc_tensor *x,
                            int64_t rotated, rotary_job *job) {
    int64_t heads = oc__attr_int(c->node, "num_heads", 0);
    job->batch = x->dims[0];
    if (x->rank == 4) {
        job->heads = x->dims[1];
        job->steps = x->dims[2];
        job->r.head = x->dims[3];
        job->step_step = job->r.head;
        job->head_step = job->steps * job->r.head;
        job->batch_step = job->heads * job->head_step;
        return OC_OK;
    }
    int64_t hidden = x->dims[2];
    /* com.microsoft may leave the head's size to the caches. */
    if (heads == 0 && c->op->kind == MICROSOFT && rotated == 0) {
        int64_t half = oc__in(c, 2)->dims[1];
        heads = half > 0 ? hidden / (2 * half) : 0;
    }
    if (heads < 1 || hidden % heads)
        return oc__op_fail(c, OC_E_SHAPE, "%lld values do not make %lld heads",
                           (long long)hidden, (long long)heads);
    job->heads = heads;
    job->steps = x->dims[1];
    job->r.head = hidden / heads;
    job->step_step = hidden;
    job->head_step = job->r.head;
    job->batch_step = job->steps * hidden;
    return OC_OK;
}

static oc_status read_rotary(const oc__ctx *c, rotary_job *job) {
    int ms = c->op->kind == MICROSOFT;
    int cos_at = ms ? 2 : 1, sin_at = ms ? 3 : 2, ids_at = ms ? 1 : 3;
    uint32_t types = OC_T(F32) | OC_T(F16) | OC_T(BF16);
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, types));
    OC_TRY(oc__want(c, cos_at, types));
    OC_TRY(oc__want(c, sin_at, types));
    OC_TRY(oc__want_rank(c, 0, 3, 4));
    OC_TRY(oc__want_rank(c, cos_at, 2, 3));
    const oc_tensor *x = oc__in(c, 0), *cache = oc__in(c, cos_at);
    const oc_tensor *ids = oc__in(c, ids_at);
    if (ids) OC_TRY(oc__want(c, ids_at, OC_T(I64) | OC_T(I32)));
    if (ms) OC_TRY(oc__want_rank(c, cos_at, 2, 2));
    if (!oc__tensor_same_shape(cache, oc__in(c, sin_at)))
        return oc__op_fail(c, OC_E_SHAPE, "the caches differ in shape");
    int64_t rotated = oc__attr_int(c->node, "rotary_embedding_dim", 0);
    OC_TRY(read_heads(c, x, rotated, job));
    job->dtype = x->dtype;
    job->ids = ids;
    job->scale = oc__attr_float(c->node, "scale", 1);
    job->r.interleaved = oc__attr_int(c->node, "interleaved", 0) != 0;
    job->r.rotated = rotated ? rotated : job->r.head;
    if (job->r.rotated < 0 || job->r.rotated > job->r.head ||
        job->r.rotated % 2 ||
        cache->dims[cache->rank - 1] != job->r.rotated / 2)
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld rotated values, heads of %lld and caches of "
                           "%lld do not fit",
                           (long long)job->r.rotated, (long long)job->r.head,
                           (long long)cache->dims[cache->rank - 1]);
    job->cache_per_batch = cache->rank == 3;
    job->r.positions = cache->dims[cache->rank - 2];
    if (!ids || cache->rank == 3) {
        if (ids || cache->rank != 3 || cache->dims[0] != job->batch ||
            cache->dims[1] != job->steps)
            return oc__op_fail(
                c, OC_E_SHAPE,
                "without position_ids the caches must be (batch, "
                "sequence, half)");
        return OC_OK;
    }
    int64_t n = oc_tensor_elems(ids);
    job->one_position = ms && ids->rank <= 1 && n == 1;
    if (!job->one_position && (ids->rank != 2 || ids->dims[0] != job->batch ||
                               ids->dims[1] != job->steps))
        return oc__op_fail(c, OC_E_SHAPE,
                           "position_ids must be (batch, sequence)");
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, rotary_job *job) {
    int at = c->op->kind == MICROSOFT ? 2 : 1;
    const oc_tensor *x = oc__in(c, 0);
    job->x = oc__real_in(c, b, 0, OC_DTYPE_F32);
    job->cos = oc__real_in(c, b, at, OC_DTYPE_F32);
    job->sin = oc__real_in(c, b, at + 1, OC_DTYPE_F32);
    job->y = oc__real_out(c, b, 0, x->dtype, oc_tensor_elems(x), OC_DTYPE_F32);
}

static oc_status infer_rotary(oc__ctx *c) {
    rotary_job job;
    OC_TRY(read_rotary(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static int64_t position_of(const rotary_job *job, int64_t b, int64_t s) {
    if (job->one_position) return oc__tensor_get_i64(job->ids, 0) + s;
    return job->ids ? oc__tensor_get_i64(job->ids, b * job->steps + s) : s;
}

static void rotary_range(void *user, int64_t begin, int64_t end, int worker) {
    const rotary_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t b = i / job->steps, s = i % job->steps;
        oc__rotary r = job->r;
        int64_t skip =
            job->cache_per_batch ? b * job->steps * (r.rotated / 2) : 0;
        r.cos = job->cos + skip;
        r.sin = job->sin + skip;
        for (int64_t h = 0; h < job->heads; h++) {
            int64_t at =
                b * job->batch_step + s * job->step_step + h * job->head_step;
            oc__rotary_head(&r, position_of(job, b, s), job->x + at,
                            job->y + at);
            for (int64_t k = 0; job->scale != 1 && k < r.rotated; k++)
                job->y[at + k] *= job->scale;
        }
    }
}

static oc_status run_rotary(oc__ctx *c) {
    rotary_job job;
    OC_TRY(read_rotary(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    for (int64_t i = 0; i < job.batch * job.steps; i++) {
        int64_t p = position_of(&job, i / job.steps, i % job.steps);
        if (p < 0 || p >= job.r.positions)
            return oc__op_fail(c, OC_E_ARG,
                               "position %lld is outside the caches' %lld",
                               (long long)p, (long long)job.r.positions);
    }
    if (!job.y || oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    oc__parallel(c, job.batch * job.steps, 4, rotary_range, &job);
    oc__real_done(c, 0, job.y, OC_DTYPE_F32);
    return OC_OK;
}

const oc__op oc__ops_rotary[] = {
    {"", "RotaryEmbedding", 23, 3, 4, 1, 0, ONNX, infer_rotary, run_rotary,
     NULL},
    {"com.microsoft", "RotaryEmbedding", 1, 4, 4, 1, 0, MICROSOFT, infer_rotary,
     run_rotary, NULL},
    {0},
};
