/*
 * norm_batch.c - BatchNormalization, in inference and in training.
 *
 * Inference is one multiplication and one addition with per-channel numbers;
 * the passes fold those into a convolution before it where there is one.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

typedef struct batch_job {
    const oc__kernels *kernels;
    int training;
    int64_t batch, channels, pixels;
    double epsilon, momentum;
    oc_dtype dtype, real;
    const void *x;
    void *y;
    double *scale, *shift; /* y = x * scale + shift, a channel each */
    double *mean, *var;    /* of the batch */
    oc_tensor gamma, beta;
} batch_job;

/*
 * What an opset before 14 means by training: from 7 on, that more outputs
 * than Y are wanted; before, that is_test is not set, though networks of that
 * age made for inference often leave it out and want Y alone.
 */
static int is_training(const oc__ctx *c) {
    if (c->node->version >= 14)
        return oc__attr_int(c->node, "training_mode", 0) != 0;
    if (c->node->version < 7 && oc__attr_int(c->node, "is_test", 0) != 0)
        return 0;
    for (int i = 1; i < c->n_out; i++)
        if (oc__out_value(c, i)) return 1;
    return 0;
}

static oc_status read_batch(const oc__ctx *c, batch_job *job) {
    memset(job, 0, sizeof(*job));
    for (int i = 0; i < 5; i++)
        OC_TRY(oc__want(c, i, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    job->kernels = c->kernels;
    job->training = is_training(c);
    job->epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    job->momentum = oc__attr_float(c->node, "momentum", 0.9f);
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    int64_t spatial = oc__attr_int(c->node, "spatial", 1);
    job->batch = x->dims[0];
    if (x->rank == 1) {
        job->channels = job->pixels = 1;
    } else if (c->node->version < 9 && !spatial) {
        /* Statistics for every element of a picture. */
        job->channels = oc__count(x->dims + 1, x->rank - 1);
        job->pixels = 1;
    } else {
        job->channels = x->dims[1];
        job->pixels = oc__count(x->dims + 2, x->rank - 2);
    }
    for (int i = 1; i < 5; i++)
        if (oc_tensor_elems(oc__in(c, i)) != job->channels)
            return oc__op_fail(c, OC_E_SHAPE,
                               "input %d has %lld values, want "
                               "%lld",
                               i, (long long)oc_tensor_elems(oc__in(c, i)),
                               (long long)job->channels);
    job->gamma = *oc__in(c, 1);
    job->beta = *oc__in(c, 2);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, batch_job *job) {
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype, oc_tensor_elems(oc__in(c, 0)),
                          job->real);
    job->scale = oc__bump_take(b, job->channels, sizeof(double));
    job->shift = oc__bump_take(b, job->channels, sizeof(double));
    job->mean = oc__bump_take(b, job->channels, sizeof(double));
    job->var = oc__bump_take(b, job->channels, sizeof(double));
}

static oc_status infer_batch(oc__ctx *c) {
    batch_job job;
    OC_TRY(read_batch(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    /* Running mean, running var and, before opset 14, the saved ones. */
    for (int i = 1; i < 5; i++)
        OC_TRY(oc__out_like(c, i, oc__in(c, i % 2 ? 3 : 4)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* Statistics of channels begin .. end - 1, in two passes. */
static void stats_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch_job *job = user;
    double n = (double)job->batch * (double)job->pixels;
    oc_tensor x;
    (void)worker;
    memset(&x, 0, sizeof(x));
    x.dtype = job->real;
    memcpy(&x.data, &job->x, sizeof(job->x));
    for (int64_t ch = begin; ch < end; ch++) {
        double mean = 0, var = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t b = 0; b < job->batch; b++) {
                int64_t at = (b * job->channels + ch) * job->pixels;
                for (int64_t i = 0; i < job->pixels; i++) {
                    double v = oc__tensor_get_f64(&x, at + i);
                    if (pass == 0)
                        mean += v / n;
                    else
                        var += (v - mean) * (v - mean) / n;
                }
            }
        job->mean[ch] = mean;
        job->var[ch] = var;
    }
}

/* Of one pixel each, the channels lie side by side. */
static void scale_rows(const batch_job *job, int64_t begin, int64_t end) {
    const float *x = job->x;
    float *y = job->y;
    int64_t channel = begin % job->channels;
    for (int64_t i = begin; i < end; i++) {
        y[i] = x[i] * (float)job->scale[channel] + (float)job->shift[channel];
        if (++channel == job->channels) channel = 0;
    }
}

static void batch_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch_job *job = user;
    int64_t n = job->pixels;
    (void)worker;
    if (n == 1 && job->real == OC_DTYPE_F32) {
        scale_rows(job, begin, end);
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        double scale = job->scale[i % job->channels];
        double shift = job->shift[i % job->channels];
        if (job->real == OC_DTYPE_F32) {
            job->kernels->scale_bias_f32((const float *)job->x + i * n,
                                         (float)scale, (float)shift,
                                         (float *)job->y + i * n, (size_t)n);
            continue;
        }
        const double *x = (const double *)job->x + i * n;
        double *y = (double *)job->y + i * n;
        for (int64_t j = 0; j < n; j++)
            y[j] = x[j] * scale + shift;
    }
}

/* Running statistics go into outputs 1 and 2, the batch's into 3 and 4. */
static void write_stats(oc__ctx *c, const batch_job *job) {
    for (int i = 1; i < 5; i++) {
        oc_tensor *out = oc__out(c, i);
        const double *now = i % 2 ? job->mean : job->var;
        const oc_tensor *old = oc__in(c, i % 2 ? 3 : 4);
        for (int64_t ch = 0; out && ch < job->channels; ch++) {
            double v = now[ch];
            if (i < 3 && job->training)
                v = oc__tensor_get_f64(old, ch) * job->momentum +
                    v * (1 - job->momentum);
            oc__tensor_set_f64(out, ch, v);
        }
    }
}

static oc_status run_batch(oc__ctx *c) {
    batch_job job;
    OC_TRY(read_batch(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (job.training) oc__parallel(c, job.channels, 1, stats_range, &job);
    for (int64_t ch = 0; ch < job.channels; ch++) {
        if (!job.training) {
            job.mean[ch] = oc__tensor_get_f64(oc__in(c, 3), ch);
            job.var[ch] = oc__tensor_get_f64(oc__in(c, 4), ch);
        }
        double inv = 1 / sqrt(job.var[ch] + job.epsilon);
        job.scale[ch] = oc__tensor_get_f64(&job.gamma, ch) * inv;
        job.shift[ch] =
            oc__tensor_get_f64(&job.beta, ch) - job.mean[ch] * job.scale[ch];
    }
    write_stats(c, &job);
    if (!job.y || oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    oc__parallel(c, job.batch * job.channels,
                 OC_MAX(16384 / OC_MAX(job.pixels, 1), 1), batch_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

const oc__op oc__ops_norm_batch[] = {
    {"", "BatchNormalization", 1, 5, 5, 5, 0, 0, infer_batch, run_batch, NULL},
    {0},
};
