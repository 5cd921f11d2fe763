/*
 * embed_norm.c - com.microsoft.EmbedLayerNormalization: embeddings of words,
 * positions and segments looked up, added and normalised.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

enum { IDS, SEGMENTS, WORDS, PLACES, KINDS, GAMMA, BETA, MASK, POSITIONS };

typedef struct embed_job {
    const oc__kernels *kernels;
    int64_t batch, steps, hidden;
    float epsilon;
    oc_dtype dtype;
    const oc_tensor *ids, *segments, *positions, *mask;
    int64_t n_words, n_places, n_kinds;
    const float *words, *places, *kinds, *gamma, *beta;
    float *y, *sum;
} embed_job;

static oc_status want_ids(const oc__ctx *c, int i, int optional,
                          const embed_job *job) {
    const oc_tensor *t = oc__in(c, i);
    if (!t && optional) return OC_OK;
    OC_TRY(oc__want(c, i, OC_T(I32) | OC_T(I64)));
    int fits =
        t->rank == 2 && t->dims[1] == job->steps &&
        (t->dims[0] == job->batch || (i == POSITIONS && t->dims[0] == 1));
    if (fits) return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE, "input %d must be (batch, sequence)", i);
}

static oc_status want_table(const oc__ctx *c, int i, int rank, int64_t hidden,
                            oc_dtype dtype) {
    OC_TRY(oc__want(c, i, 1u << dtype));
    OC_TRY(oc__want_rank(c, i, rank, rank));
    if (oc__in(c, i)->dims[rank - 1] == hidden) return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE, "input %d has rows of %lld, want %lld", i,
                       (long long)oc__in(c, i)->dims[rank - 1],
                       (long long)hidden);
}

static oc_status read_embed(const oc__ctx *c, embed_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, WORDS, OC_T(F32) | OC_T(F16)));
    OC_TRY(oc__want_rank(c, IDS, 2, 2));
    OC_TRY(oc__want_rank(c, WORDS, 2, 2));
    const oc_tensor *words = oc__in(c, WORDS);
    job->kernels = c->kernels;
    job->ids = oc__in(c, IDS);
    job->segments = oc__in(c, SEGMENTS);
    job->mask = oc__in(c, MASK);
    job->positions = oc__in(c, POSITIONS);
    job->batch = job->ids->dims[0];
    job->steps = job->ids->dims[1];
    job->hidden = words->dims[1];
    job->dtype = words->dtype;
    job->epsilon = oc__attr_float(c->node, "epsilon", 1e-12f);
    OC_TRY(want_ids(c, IDS, 0, job));
    OC_TRY(want_ids(c, SEGMENTS, 1, job));
    OC_TRY(want_ids(c, MASK, 1, job));
    OC_TRY(want_ids(c, POSITIONS, 1, job));
    OC_TRY(want_table(c, PLACES, 2, job->hidden, job->dtype));
    OC_TRY(want_table(c, GAMMA, 1, job->hidden, job->dtype));
    OC_TRY(want_table(c, BETA, 1, job->hidden, job->dtype));
    job->n_words = words->dims[0];
    job->n_places = oc__in(c, PLACES)->dims[0];
    if (!job->segments != !oc__in(c, KINDS))
        return oc__op_fail(c, OC_E_ARG,
                           "segment_ids and segment_embedding come together");
    if (!job->segments) return OC_OK;
    OC_TRY(want_table(c, KINDS, 2, job->hidden, job->dtype));
    job->n_kinds = oc__in(c, KINDS)->dims[0];
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, embed_job *job) {
    int64_t n = job->batch * job->steps * job->hidden;
    job->words = oc__real_in(c, b, WORDS, OC_DTYPE_F32);
    job->places = oc__real_in(c, b, PLACES, OC_DTYPE_F32);
    job->kinds = oc__real_in(c, b, KINDS, OC_DTYPE_F32);
    job->gamma = oc__real_in(c, b, GAMMA, OC_DTYPE_F32);
    job->beta = oc__real_in(c, b, BETA, OC_DTYPE_F32);
    job->y = oc__real_out(c, b, 0, job->dtype, n, OC_DTYPE_F32);
    job->sum = oc__real_out(c, b, 2, job->dtype, n, OC_DTYPE_F32);
    if (!oc__out_value(c, 0)) job->y = oc__bump_take(b, n, sizeof(float));
}

static oc_status infer_embed(oc__ctx *c) {
    embed_job job;
    OC_TRY(read_embed(c, &job));
    int64_t dims[] = {job.batch, job.steps, job.hidden};
    OC_TRY(oc__out_set(c, 0, job.dtype, 3, dims));
    OC_TRY(oc__out_set(c, 1, job.ids->dtype, 1, dims));
    OC_TRY(oc__out_set(c, 2, job.dtype, 3, dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static int64_t place_of(const embed_job *job, int64_t token) {
    int64_t s = token % job->steps;
    if (!job->positions) return s;
    return oc__tensor_get_i64(job->positions,
                              job->positions->dims[0] == 1 ? s : token);
}

static oc_status check_index(const oc__ctx *c, const char *what, int64_t index,
                             int64_t n) {
    if (index >= 0 && index < n) return OC_OK;
    return oc__op_fail(c, OC_E_ARG, "%s %lld is not in the table of %lld", what,
                       (long long)index, (long long)n);
}

static oc_status check_tokens(const oc__ctx *c, const embed_job *job) {
    for (int64_t i = 0; i < job->batch * job->steps; i++) {
        OC_TRY(check_index(c, "word", oc__tensor_get_i64(job->ids, i),
                           job->n_words));
        OC_TRY(check_index(c, "position", place_of(job, i), job->n_places));
        if (job->segments)
            OC_TRY(check_index(c, "segment",
                               oc__tensor_get_i64(job->segments, i),
                               job->n_kinds));
    }
    return OC_OK;
}

static void embed_range(void *user, int64_t begin, int64_t end, int worker) {
    const embed_job *job = user;
    int64_t n = job->hidden;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *word = job->words + oc__tensor_get_i64(job->ids, i) * n;
        const float *place = job->places + place_of(job, i) * n;
        const float *kind =
            job->segments
                ? job->kinds + oc__tensor_get_i64(job->segments, i) * n
                : NULL;
        float *y = job->y + i * n;
        for (int64_t j = 0; j < n; j++)
            y[j] = word[j] + place[j] + (kind ? kind[j] : 0);
        if (job->sum) memcpy(job->sum + i * n, y, (size_t)n * sizeof(float));
        job->kernels->layernorm_f32(y, job->gamma, job->beta, job->epsilon, y,
                                    NULL, (size_t)n);
    }
}

static oc_status run_embed(oc__ctx *c) {
    embed_job job;
    OC_TRY(read_embed(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    OC_TRY(check_tokens(c, &job));
    if (job.hidden > 0)
        oc__parallel(c, job.batch * job.steps, OC_MAX(8192 / job.hidden, 1),
                     embed_range, &job);
    oc__real_done(c, 0, job.y, OC_DTYPE_F32);
    if (job.sum) oc__real_done(c, 2, job.sum, OC_DTYPE_F32);
    oc_tensor *index = oc__out(c, 1);
    for (int64_t i = 0; index && i < job.batch; i++) {
        int64_t words = 0; /* 0 as well where there is no mask */
        for (int64_t s = 0; job.mask && s < job.steps; s++)
            words += oc__tensor_get_i64(job.mask, i * job.steps + s) == 1;
        oc__tensor_set_f64(index, i, (double)words);
    }
    return OC_OK;
}

const oc__op oc__ops_embed_norm[] = {
    {"com.microsoft", "EmbedLayerNormalization", 1, 7, 9, 3, 0, 0, infer_embed,
     run_embed, NULL},
    {0},
};
