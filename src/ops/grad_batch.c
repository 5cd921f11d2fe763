/*
 * grad_batch.c - "ocelli.BatchNormGrad", the gradients of BatchNormalization:
 *
 *   g, x, scale, mean, var -> of x, scale, bias, mean, var; each optional
 *
 * training_mode takes the statistics of the batch, which x moves as well:
 *
 *     inference  dx = g s            with s = scale / sqrt(var + epsilon)
 *     training   dx = s (g - sum(g) / n - xn sum(g xn) / n)
 *
 * where xn is x normalised and sums go over the n elements of a channel.  A
 * channel is one worker's.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

/* Elements that are centred at a time. */
#define CHUNK 256

typedef struct batch_job {
    const oc__kernels *kt;
    int training;
    int64_t batch, channels, pixels;
    double epsilon;
    oc_dtype dtype, real;
    const void *g, *x;
    void *dx;
    oc_tensor scale, mean, var;
    double *sums;  /* [channels][2]: of g and of g (x - mean) */
    double *stats; /* [channels][2]: mean, 1 / sqrt(var + epsilon) */
} batch_job;

static oc_status read_batch(const oc__ctx *c, batch_job *j) {
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    for (int i = 2; i < 5; i++)
        OC_TRY(oc__want(c, i, OC_T_F));
    const oc_tensor *x = oc__in(c, 1);
    OC_TRY(oc__want_rank(c, 1, 1, OC_MAX_RANK));
    if (!oc__tensor_same_shape(oc__in(c, 0), x))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of x");
    j->kt = c->kernels;
    j->training = oc__attr_int(c->node, "training_mode", 0) != 0;
    j->epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    j->dtype = x->dtype;
    j->real = oc__real_of(x->dtype);
    j->batch = x->dims[0];
    j->channels = j->pixels = 1;
    /* As BatchNormalization reads them; see norm_batch.c. */
    if (x->rank > 1 && !oc__attr_int(c->node, "spatial", 1)) {
        j->channels = oc__count(x->dims + 1, x->rank - 1);
    } else if (x->rank > 1) {
        j->channels = x->dims[1];
        j->pixels = oc__count(x->dims + 2, x->rank - 2);
    }
    for (int i = 2; i < 5; i++)
        if (oc_tensor_elems(oc__in(c, i)) != j->channels)
            return oc__op_fail(c, OC_E_SHAPE,
                               "input %d has %lld values, want "
                               "%lld",
                               i, (long long)oc_tensor_elems(oc__in(c, i)),
                               (long long)j->channels);
    j->scale = *oc__in(c, 2);
    j->mean = *oc__in(c, 3);
    j->var = *oc__in(c, 4);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, batch_job *j) {
    j->g = oc__real_in(c, b, 0, j->real);
    j->x = oc__real_in(c, b, 1, j->real);
    j->dx =
        oc__real_out(c, b, 0, j->dtype, oc_tensor_elems(oc__in(c, 1)), j->real);
    j->sums = oc__bump_take(b, j->channels, 2 * sizeof(double));
    j->stats = oc__bump_take(b, j->channels, 2 * sizeof(double));
}

static oc_status infer_batch(oc__ctx *c) {
    batch_job j;
    OC_TRY(read_batch(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 1)));
    for (int i = 1; i < 5; i++)
        OC_TRY(oc__out_like(c, i, oc__in(c, i < 3 ? 2 : i)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

/* ---- one channel ----------------------------------------------------------
 */

/* Sums over n <= CHUNK elements: of g (NULL: of x - mean) times x - mean. */
static double centred(const batch_job *j, int64_t at, int64_t n, double mean,
                      int with_g) {
    if (j->real == OC_DTYPE_F64) {
        const double *x = (const double *)j->x + at;
        const double *g = (const double *)j->g + at;
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (x[i] - mean) * (with_g ? g[i] : x[i] - mean);
        return sum;
    }
    float t[CHUNK], m = (float)mean;
    const float *x = (const float *)j->x + at;
    for (int64_t i = 0; i < n; i++)
        t[i] = x[i] - m;
    if (!with_g)
        return (double)j->kt->reduce_f32(OC_REDUCE_SUMSQ, t, (size_t)n);
    return (double)j->kt->dot_f32((const float *)j->g + at, t, (size_t)n);
}

static double plain_sum(const batch_job *j, const void *data, int64_t at,
                        int64_t n) {
    if (j->real == OC_DTYPE_F32)
        return (double)j->kt->reduce_f32(OC_REDUCE_SUM,
                                         (const float *)data + at, (size_t)n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((const double *)data)[at + i];
    return sum;
}

/* Sums over a channel; way 0: of data, 1: of (x - mean)^2, 2: of g (x - mean).
 */
static double channel_sum(const batch_job *j, int64_t ch, const void *data,
                          int way, double mean) {
    double sum = 0;
    for (int64_t b = 0; b < j->batch; b++) {
        int64_t at = (b * j->channels + ch) * j->pixels;
        for (int64_t i = 0; i < j->pixels; i += CHUNK) {
            int64_t n = OC_MIN(CHUNK, j->pixels - i);
            sum += way == 0 ? plain_sum(j, data, at + i, n)
                            : centred(j, at + i, n, mean, way == 2);
        }
    }
    return sum;
}

/* dx = a g + b (x - mean) + d for a channel. */
static void channel_dx(const batch_job *j, int64_t ch, double a, double b,
                       double d, double mean) {
    for (int64_t k = 0; k < j->batch; k++) {
        int64_t at = (k * j->channels + ch) * j->pixels;
        if (j->real == OC_DTYPE_F64) {
            for (int64_t i = at; i < at + j->pixels; i++)
                ((double *)j->dx)[i] =
                    a * ((const double *)j->g)[i] +
                    (b * (((const double *)j->x)[i] - mean) + d);
            continue;
        }
        const float *g = j->g, *x = j->x;
        float fa = (float)a, fb = (float)b, fd = (float)d, m = (float)mean;
        for (int64_t i = at; i < at + j->pixels; i++)
            ((float *)j->dx)[i] = fa * g[i] + (fb * (x[i] - m) + fd);
    }
}

static void batch_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch_job *j = user;
    double n = (double)j->batch * (double)j->pixels;
    (void)worker;
    for (int64_t ch = begin; ch < end; ch++) {
        double mean = 0, var = 0;
        if (j->training) {
            mean = channel_sum(j, ch, j->x, 0, 0) / n;
            var = channel_sum(j, ch, NULL, 1, mean) / n;
        } else {
            mean = oc__tensor_get_f64(&j->mean, ch);
            var = oc__tensor_get_f64(&j->var, ch);
        }
        double inv = 1 / sqrt(var + j->epsilon);
        double sum = channel_sum(j, ch, j->g, 0, 0);
        double moment = channel_sum(j, ch, NULL, 2, mean);
        j->sums[2 * ch] = sum;
        j->sums[2 * ch + 1] = moment;
        j->stats[2 * ch] = mean;
        j->stats[2 * ch + 1] = inv;
        double a = oc__tensor_get_f64(&j->scale, ch) * inv;
        if (!j->dx) continue;
        if (j->training)
            channel_dx(j, ch, a, -a * inv * inv * moment / n, -a * sum / n,
                       mean);
        else
            channel_dx(j, ch, a, 0, 0, 0);
    }
}

/* Gradients of scale, bias, mean and var: outputs 1 to 4. */
static void write_parameters(oc__ctx *c, const batch_job *j) {
    for (int64_t ch = 0; ch < j->channels; ch++) {
        double sum = j->sums[2 * ch], moment = j->sums[2 * ch + 1];
        double inv = j->stats[2 * ch + 1];
        double s = oc__tensor_get_f64(&j->scale, ch) * inv;
        double out[4] = {moment * inv, sum, -s * sum,
                         -s * inv * inv * moment / 2};
        for (int i = 0; i < 4; i++)
            if (oc__out(c, i + 1))
                oc__tensor_set_f64(oc__out(c, i + 1), ch,
                                   i > 1 && j->training ? 0 : out[i]);
    }
}

static oc_status run_batch(oc__ctx *c) {
    batch_job j;
    OC_TRY(read_batch(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    if (j.channels == 0) return OC_OK;
    oc__parallel(c, j.channels, 1, batch_range, &j);
    write_parameters(c, &j);
    if (j.dx) oc__real_done(c, 0, j.dx, j.real);
    return OC_OK;
}

const oc__op oc__ops_grad_batch[] = {
    {"ocelli", "BatchNormGrad", 1, 5, 5, 5, 0, 0, infer_batch, run_batch, NULL},
    {0},
};
