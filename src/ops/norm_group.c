/*
 * norm_group.c - InstanceNormalization and GroupNormalization of ONNX, and
 * GroupNorm and SkipGroupNorm of com.microsoft: channels of a picture are
 * normalised in groups, then scaled and shifted each on its own.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

enum { INSTANCE, GROUP, MS_GROUP, MS_SKIP_GROUP };

typedef struct group_job {
    const oc__kernels *kernels;
    int last;      /* channels stand last */
    int per_group; /* scale and bias are one a group (opset 18) */
    int silu;
    int64_t batch, channels, groups, pixels;
    double epsilon;
    oc_dtype dtype, real;
    const void *x, *scale, *bias, *skip, *skip_bias;
    int64_t skip_pixels; /* 1: the skip repeats over the picture */
    void *y, *sum;
} group_job;

static oc_status read_skip(const oc__ctx *c, const oc_tensor *x,
                           group_job *job) {
    const oc_tensor *skip = oc__in(c, 3), *bias = oc__in(c, 4);
    OC_TRY(oc__want(c, 3, 1u << x->dtype));
    int64_t n = oc_tensor_elems(skip), small = job->batch * job->channels;
    if (oc__tensor_same_shape(skip, x))
        job->skip_pixels = job->pixels;
    else if (n == small && skip->dims[0] == job->batch)
        job->skip_pixels = 1;
    else
        return oc__op_fail(c, OC_E_SHAPE, "the skip does not fit to the input");
    if (bias && oc_tensor_elems(bias) != job->channels)
        return oc__op_fail(c, OC_E_SHAPE, "the bias must have %lld values",
                           (long long)job->channels);
    return OC_OK;
}

static oc_status read_group(const oc__ctx *c, group_job *job) {
    int kind = c->op->kind;
    memset(job, 0, sizeof(*job));
    for (int i = 0; i < 3; i++)
        OC_TRY(oc__want(c, i, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    job->kernels = c->kernels;
    job->epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    job->last = (kind == MS_GROUP || kind == MS_SKIP_GROUP) &&
                oc__attr_int(c->node, "channels_last", 1) != 0;
    job->batch = x->dims[0];
    job->channels = x->dims[job->last ? x->rank - 1 : 1];
    job->pixels = oc__count(x->dims + (job->last ? 1 : 2), x->rank - 2);
    job->per_group = kind == GROUP && c->node->version < 21;
    if (kind == INSTANCE)
        job->groups = job->channels;
    else if (kind == GROUP)
        job->groups = oc__attr_int(c->node, "num_groups", 0);
    else
        job->groups = oc__attr_int(c->node, "groups", 0);
    if (kind != INSTANCE && (job->groups < 1 || job->channels % job->groups))
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels do not divide into %lld groups",
                           (long long)job->channels, (long long)job->groups);
    int64_t values = job->per_group ? job->groups : job->channels;
    for (int i = 1; i < 3; i++)
        if (oc_tensor_elems(oc__in(c, i)) != values)
            return oc__op_fail(c, OC_E_SHAPE, "input %d must have %lld values",
                               i, (long long)values);
    int64_t act = oc__attr_int(c->node, "activation", 0);
    if (act != 0 && act != 1)
        return oc__op_fail(c, OC_E_ARG, "activation is %lld", (long long)act);
    job->silu = act == 1;
    return kind == MS_SKIP_GROUP ? read_skip(c, x, job) : OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, group_job *job) {
    int64_t n = oc_tensor_elems(oc__in(c, 0));
    int skip = c->op->kind == MS_SKIP_GROUP;
    job->x = oc__real_in(c, b, 0, job->real);
    job->scale = oc__real_in(c, b, 1, job->real);
    job->bias = oc__real_in(c, b, 2, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype, n, job->real);
    if (!skip) return;
    job->skip = oc__real_in(c, b, 3, job->real);
    job->skip_bias = oc__real_in(c, b, 4, job->real);
    job->sum = oc__real_out(c, b, 1, job->dtype, n, job->real);
    if (!oc__out_value(c, 1)) job->sum = oc__bump_take(b, n, sizeof(float));
}

static oc_status infer_group(oc__ctx *c) {
    group_job job;
    OC_TRY(read_group(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    if (c->op->kind == MS_SKIP_GROUP) OC_TRY(oc__out_like(c, 1, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* One group of one picture, channels first: its elements are one stretch. */
static void stretch_f32(const group_job *job, int64_t index) {
    int64_t per = job->channels / job->groups, n = per * job->pixels;
    const float *x = (const float *)job->x + index * n;
    float *y = (float *)job->y + index * n, stats[2];
    int64_t group = index % job->groups;
    job->kernels->layernorm_f32(x, NULL, NULL, (float)job->epsilon, y, stats,
                                (size_t)n);
    for (int64_t i = 0; i < per; i++, y += job->pixels) {
        int64_t ch = job->per_group ? group : group * per + i;
        job->kernels->scale_bias_f32(y, ((const float *)job->scale)[ch],
                                     ((const float *)job->bias)[ch], y,
                                     (size_t)job->pixels);
    }
}

/* The same for any order of dimensions, and for f64. */
static void group_slow(const group_job *job, int64_t index) {
    int64_t per = job->channels / job->groups;
    int64_t group = index % job->groups, batch = index / job->groups;
    int64_t first = batch * job->channels * job->pixels;
    int64_t ch_step = job->last ? 1 : job->pixels;
    int64_t px_step = job->last ? job->channels : 1;
    int f32 = job->real == OC_DTYPE_F32;
    const float *xf = job->x;
    const double *xd = job->x;
    double mean = 0, var = 0, n = (double)per * (double)job->pixels;
    for (int pass = 0; pass < 3; pass++) {
        double inv = 1 / sqrt(var + job->epsilon);
        for (int64_t i = 0; i < per; i++) {
            int64_t ch = group * per + i, s = job->per_group ? group : ch;
            for (int64_t p = 0; p < job->pixels; p++) {
                int64_t at = first + ch * ch_step + p * px_step;
                double v = f32 ? (double)xf[at] : xd[at];
                if (pass == 0) {
                    mean += v / n;
                } else if (pass == 1) {
                    var += (v - mean) * (v - mean) / n;
                } else if (f32) {
                    ((float *)job->y)[at] =
                        (float)((v - mean) * inv *
                                    (double)((const float *)job->scale)[s] +
                                (double)((const float *)job->bias)[s]);
                } else {
                    ((double *)job->y)[at] =
                        (v - mean) * inv * ((const double *)job->scale)[s] +
                        ((const double *)job->bias)[s];
                }
            }
        }
    }
}

static void group_range(void *user, int64_t begin, int64_t end, int worker) {
    const group_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        if (job->last || job->real == OC_DTYPE_F64)
            group_slow(job, i);
        else
            stretch_f32(job, i);
}

/* x + skip + bias, for SkipGroupNorm, whose types are f16 and f32 only. */
static void add_skip(group_job *job) {
    const float *x = job->x, *skip = job->skip, *bias = job->skip_bias;
    float *sum = job->sum;
    int64_t n = job->batch * job->channels * job->pixels;
    int64_t plane = job->channels * job->pixels;
    for (int64_t i = 0; i < n; i++) {
        int64_t in = i % plane;
        int64_t ch = job->last ? in % job->channels : in / job->pixels;
        int64_t at = job->skip_pixels == 1 ? i / plane * job->channels + ch : i;
        sum[i] = x[i] + skip[at] + (bias ? bias[ch] : 0);
    }
    job->x = sum;
}

static void silu_range(void *user, int64_t begin, int64_t end, int worker) {
    const group_job *job = user;
    oc__act_args act = {OC_ACT_SILU, 0, 0};
    float *y = (float *)job->y + begin;
    (void)worker;
    job->kernels->act_f32(act, y, y, (size_t)(end - begin));
}

static oc_status run_group(oc__ctx *c) {
    group_job job;
    OC_TRY(read_group(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    int64_t n = oc_tensor_elems(oc__in(c, 0));
    if (!job.y || n == 0) return OC_OK;
    void *sum = job.sum;
    if (job.skip) add_skip(&job);
    oc__parallel(c, job.batch * job.groups, 1, group_range, &job);
    if (job.silu && job.real == OC_DTYPE_F32)
        oc__parallel(c, n, 16384, silu_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    if (job.skip && oc__out(c, 1)) oc__real_done(c, 1, sum, job.real);
    return OC_OK;
}

const oc__op oc__ops_norm_group[] = {
    {"", "InstanceNormalization", 1, 3, 3, 1, 0, INSTANCE, infer_group,
     run_group, NULL},
    {"", "GroupNormalization", 18, 3, 3, 1, 0, GROUP, infer_group, run_group,
     NULL},
    {"com.microsoft", "GroupNorm", 1, 3, 3, 1, 0, MS_GROUP, infer_group,
     run_group, NULL},
    {"com.microsoft", "SkipGroupNorm", 1, 4, 5, 2, 0, MS_SKIP_GROUP,
     infer_group, run_group, NULL},
    {0},
};
