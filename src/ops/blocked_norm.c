/*
 * blocked_norm.c - batch norms that learn and sums of channels, on the blocked
 * layout, domain "ocelli"; emitted by passes/layout_train.c alone.  b stands
 * for a blocked tensor.
 *
 *   NormBlocked       x b, scale, bias, mean, var -> y b, running mean and
 *                     variance, mean and 1 / deviation of the batch
 *                     epsilon; momentum; act (none, relu, clip), lo, hi
 *   NormGradBlocked   g b, x b, scale, mean, 1 / deviation, [y b] -> dx b,
 *                     of scale, of bias; lo, hi: of the activation that gave y
 *   SumBlocked        g b -> sum a channel; channels
 *   PadChannels       v -> v filled up to whole blocks with zeros
 *
 * Work is cut by the shapes alone, so sums have one order for any number of
 * threads.
 */
#include "ops/blocked.h"
#include "ops/nn.h"

#include <math.h>
#include <string.h>

/* Pixels of a run that is summed in f32. */
enum { RUN = 1024 };

static oc_status want_like(const oc__ctx *c, int i, const oc_tensor *t) {
    OC_TRY(oc__want_blocked(c, i));
    if (!oc__tensor_same_shape(oc__in(c, i), t))
        return oc__op_fail(c, OC_E_SHAPE, "input %d is of another shape", i);
    return OC_OK;
}

/* A vector with a number for each of `channels`. */
static oc_status want_channels(const oc__ctx *c, int i, int64_t channels) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    if (oc_tensor_elems(oc__in(c, i)) != channels)
        return oc__op_fail(c, OC_E_SHAPE, "input %d has %lld values, want %lld",
                           i, (long long)oc_tensor_elems(oc__in(c, i)),
                           (long long)channels);
    return OC_OK;
}

/* ---- batch norms ----------------------------------------------------------
 */

typedef struct norm_job {
    const oc__train_f32_kernel *k;
    int64_t c, batch, blocks, pixels, channels;
    float lo, hi;
    const float *x, *g, *y;
    float *out;
    double *sums;             /* [batch][blocks][2][c] */
    float *shift, *a, *b, *d; /* [blocks][c] */
} norm_job;

static void norm_layout(const oc__ctx *c, oc__bump *m, norm_job *j) {
    const int64_t *d = oc__in(c, 0)->dims;
    j->k = c->kernels->train_f32;
    j->batch = d[0];
    j->blocks = d[1];
    j->pixels = d[2] * d[3];
    j->c = d[4];
    j->lo = oc__attr_float(c->node, "lo", -INFINITY);
    j->hi = oc__attr_float(c->node, "hi", INFINITY);
    int64_t lanes = j->blocks * j->c;
    j->sums = oc__bump_take(m, j->batch * lanes, 2 * sizeof(double));
    j->shift = oc__bump_take(m, lanes, sizeof(float));
    j->a = oc__bump_take(m, lanes, sizeof(float));
    j->b = oc__bump_take(m, lanes, sizeof(float));
    j->d = oc__bump_take(m, lanes, sizeof(float));
}

/* Planes are items of work: number i is one of batch and block. */
static oc__norm_run run_of(const norm_job *j, int64_t i, int64_t from) {
    size_t at = (size_t)((i * j->pixels + from) * j->c);
    size_t block = (size_t)(i % j->blocks * j->c);
    oc__norm_run r = {.c = (size_t)j->c,
                      .px = (size_t)OC_MIN(RUN, j->pixels - from),
                      .x = j->x + at,
                      .g = j->g ? j->g + at : NULL,
                      .y = j->y ? j->y + at : NULL,
                      .lo = j->lo,
                      .hi = j->hi,
                      .shift = j->shift + block,
                      .a = j->a + block,
                      .b = j->b + block,
                      .d = j->d + block,
                      .out = j->out ? j->out + at : NULL};
    return r;
}

static void sum_range(void *user, int64_t begin, int64_t end, int worker) {
    const norm_job *j = user;
    float part[2 * 16];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double *to = j->sums + i * 2 * j->c;
        memset(to, 0, (size_t)(2 * j->c) * sizeof(*to));
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            memset(part, 0, sizeof(part));
            if (j->g)
                j->k->grad_stats(&r, part);
            else
                j->k->stats(&r, part);
            for (int64_t k = 0; k < 2 * j->c; k++)
                to[k] += (double)part[k];
        }
    }
}

static void out_range(void *user, int64_t begin, int64_t end, int worker) {
    const norm_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            if (j->g)
                j->k->grad(&r);
            else
                j->k->apply(&r);
        }
}

/* Both sums of channel ch over the batch, in order. */
static void total(const norm_job *j, int64_t ch, double *s, double *q) {
    int64_t at = ch / j->c * 2 * j->c + ch % j->c;
    *s = *q = 0;
    for (int64_t n = 0; n < j->batch; n++, at += j->blocks * 2 * j->c) {
        *s += j->sums[at];
        *q += j->sums[at + j->c];
    }
}

static int64_t grain_of(const norm_job *j) {
    return OC_MAX(1, 16384 / OC_MAX(j->pixels * j->c, 1));
}

/* Input i has an element for each channel; they must fill the blocks of x. */
static oc_status count_channels(const oc__ctx *c, int i, int64_t *channels) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    const int64_t *d = oc__in(c, 0)->dims;
    *channels = oc_tensor_elems(oc__in(c, i));
    if ((*channels + d[4] - 1) / d[4] != d[1])
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels do not fill it",
                           (long long)*channels);
    return OC_OK;
}

static oc_status infer_norm(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(oc__want_blocked(c, 0));
    int64_t channels;
    OC_TRY(count_channels(c, 1, &channels));
    for (int i = 2; i < 5; i++)
        OC_TRY(want_channels(c, i, channels));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    for (int i = 1; i < 5; i++)
        OC_TRY(oc__out_set(c, i, OC_DTYPE_F32, 1, &channels));
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    return oc__bump_need(c, &m);
}

static float *out_data(const oc__ctx *c, int i) {
    oc_tensor *t = oc__out(c, i);
    return t ? t->data : NULL;
}

/* Statistics of all channels; what y = a x + d wants of them. */
static void finish_stats(oc__ctx *c, norm_job *j) {
    const float *scale = oc__in(c, 1)->data, *bias = oc__in(c, 2)->data;
    const float *old[2] = {oc__in(c, 3)->data, oc__in(c, 4)->data};
    double epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    double kept = oc__attr_float(c->node, "momentum", 0.9f);
    double n = (double)j->batch * (double)j->pixels;
    float *out[5];
    for (int i = 1; i < 5; i++)
        out[i] = out_data(c, i);
    memset(j->a, 0, (size_t)(j->blocks * j->c) * sizeof(float));
    memset(j->d, 0, (size_t)(j->blocks * j->c) * sizeof(float));
    for (int64_t ch = 0; ch < j->channels; ch++) {
        double s, q, now[2];
        total(j, ch, &s, &q);
        now[0] = (double)j->shift[ch] + s / n;
        now[1] = OC_MAX(q / n - s / n * (s / n), 0);
        if (q != q) now[1] = q;
        double inv = 1 / sqrt(now[1] + epsilon), a = (double)scale[ch] * inv;
        j->a[ch] = (float)a;
        j->d[ch] = (float)((double)bias[ch] - now[0] * a);
        for (int i = 0; i < 2; i++)
            if (out[1 + i])
                out[1 + i][ch] =
                    (float)((double)old[i][ch] * kept + now[i] * (1 - kept));
        if (out[3]) out[3][ch] = (float)now[0];
        if (out[4]) out[4][ch] = (float)inv;
    }
}

static oc_status run_norm(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    j.channels = oc_tensor_elems(oc__in(c, 1));
    j.x = oc__in(c, 0)->data;
    j.out = out_data(c, 0);
    if (!j.out)
        return oc__op_fail(c, OC_E_ARG, "its first output must be wanted");
    if (oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    /* The first pixel: mostly within a few deviations of the mean, so that
       the difference of squares keeps its digits. */
    for (int64_t b = 0; b < j.blocks; b++)
        memcpy(j.shift + b * j.c, j.x + b * j.pixels * j.c,
               (size_t)j.c * sizeof(float));
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), sum_range, &j);
    finish_stats(c, &j);
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), out_range, &j);
    return OC_OK;
}

static oc_status infer_norm_grad(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(oc__want_blocked(c, 0));
    OC_TRY(want_like(c, 1, oc__in(c, 0)));
    int64_t channels;
    OC_TRY(count_channels(c, 2, &channels));
    for (int i = 3; i < 5; i++)
        OC_TRY(want_channels(c, i, channels));
    if (oc__in_value(c, 5)) OC_TRY(want_like(c, 5, oc__in(c, 0)));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    OC_TRY(oc__out_set(c, 1, OC_DTYPE_F32, 1, &channels));
    OC_TRY(oc__out_set(c, 2, OC_DTYPE_F32, 1, &channels));
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    return oc__bump_need(c, &m);
}

static oc_status run_norm_grad(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    const float *scale = oc__in(c, 2)->data, *mean = oc__in(c, 3)->data;
    const float *inv = oc__in(c, 4)->data;
    float *of_scale = out_data(c, 1), *of_bias = out_data(c, 2);
    double n = (double)j.batch * (double)j.pixels;
    size_t lanes = (size_t)(j.blocks * j.c) * sizeof(float);
    j.channels = oc_tensor_elems(oc__in(c, 2));
    j.g = oc__in(c, 0)->data;
    j.x = oc__in(c, 1)->data;
    j.y = oc__in_value(c, 5) ? oc__in(c, 5)->data : NULL;
    j.out = out_data(c, 0);
    memset(j.shift, 0, lanes);
    memset(j.a, 0, lanes);
    memset(j.b, 0, lanes);
    memset(j.d, 0, lanes);
    memcpy(j.shift, mean, (size_t)j.channels * sizeof(float));
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), sum_range, &j);
    for (int64_t ch = 0; ch < j.channels; ch++) {
        double s, q, i = (double)inv[ch], a = (double)scale[ch] * i;
        total(&j, ch, &s, &q);
        j.a[ch] = (float)a;
        j.b[ch] = (float)(-a * i * i * q / n);
        j.d[ch] = (float)(-a * s / n);
        if (of_scale) of_scale[ch] = (float)(q * i);
        if (of_bias) of_bias[ch] = (float)s;
    }
    if (j.out) oc__parallel(c, j.batch * j.blocks, grain_of(&j), out_range, &j);
    return OC_OK;
}

/* ---- sums of channels -----------------------------------------------------
 */

static oc_status infer_sum(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(oc__want_blocked(c, 0));
    int64_t channels = oc__attr_int(c->node, "channels", 0);
    const int64_t *d = oc__in(c, 0)->dims;
    if (channels < 1 || (channels + d[4] - 1) / d[4] != d[1])
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels do not fill it",
                           (long long)channels);
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_F32, 1, &channels));
    return oc__bump_need(c, &m);
}

static void plain_sum_range(void *user, int64_t begin, int64_t end,
                            int worker) {
    const norm_job *j = user;
    float part[16];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double *to = j->sums + i * 2 * j->c;
        memset(to, 0, (size_t)(2 * j->c) * sizeof(*to));
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            memset(part, 0, sizeof(part));
            j->k->sum(&r, part);
            for (int64_t k = 0; k < j->c; k++)
                to[k] += (double)part[k];
        }
    }
}

static oc_status run_sum(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    j.x = oc__in(c, 0)->data;
    float *y = out_data(c, 0);
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), plain_sum_range, &j);
    for (int64_t ch = 0; ch < oc_tensor_elems(oc__out(c, 0)); ch++) {
        double s, q;
        total(&j, ch, &s, &q);
        y[ch] = (float)s;
    }
    return OC_OK;
}

static oc_status infer_pad(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 1, 1));
    int64_t b = c->kernels->block;
    int64_t n = OC_CEIL_DIV(oc__in(c, 0)->dims[0], b) * b;
    return oc__out_set(c, 0, OC_DTYPE_F32, 1, &n);
}

static oc_status run_pad(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    memset(y->data, 0, oc_tensor_bytes(y));
    memcpy(y->data, x->data, oc_tensor_bytes(x));
    return OC_OK;
}

const oc__op oc__ops_blocked_norm[] = {
    {"ocelli", "NormBlocked", 1, 5, 5, 5, 0, 0, infer_norm, run_norm, NULL},
    {"ocelli", "NormGradBlocked", 1, 5, 6, 3, 0, 0, infer_norm_grad,
     run_norm_grad, NULL},
    {"ocelli", "SumBlocked", 1, 1, 1, 1, 0, 0, infer_sum, run_sum, NULL},
    {"ocelli", "PadChannels", 1, 1, 1, 1, 0, 0, infer_pad, run_pad, NULL},
    {0},
};
