/*
 * grad_norm.c - gradients of what normalises stretches of a tensor, in the
 * domain "ocelli":
 *
 *   LayerNormGrad, RMSNormGrad   gs, x         -> dx, xn
 *   GroupNormGrad, InstanceNormGrad  g, x, scale  -> dx, xn
 *   LRNGrad                      g, x          -> dx
 *
 * xn is x normalised, which the gradient of the scale needs; gs is g times
 * the scale, which GroupNormGrad multiplies itself, channel by channel.  With
 * sums over the n elements of a stretch and s = 1 / sqrt(var + epsilon),
 *
 *     dx = s (gs - sum(gs) / n - xn sum(gs xn) / n)
 *
 * without the second term where no mean is taken off (RMS).
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

enum { LAYER, RMS, INSTANCE, GROUP };

typedef struct norm_job {
    const oc__kernels *kt;
    int kind, per_group;
    int64_t rows, cols;
    int64_t groups, per, pixels; /* of GROUP: a row is per * pixels */
    double epsilon;
    oc_dtype real;
    const void *g, *x, *scale;
    void *dx, *xn, *line; /* line: a row of each worker for gs and for xn */
} norm_job;

static oc_status read_group(const oc__ctx *c, norm_job *j) {
    const oc_tensor *x = oc__in(c, 1);
    OC_TRY(oc__want_rank(c, 1, 2, OC_MAX_RANK));
    OC_TRY(oc__want(c, 2, OC_T_F));
    j->per_group = j->kind == GROUP && c->node->version < 21;
    j->groups = x->dims[1];
    if (j->kind == GROUP) j->groups = oc__attr_int(c->node, "num_groups", 0);
    if (j->groups < 1 || x->dims[1] % j->groups)
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels do not divide into %lld groups",
                           (long long)x->dims[1], (long long)j->groups);
    j->per = x->dims[1] / j->groups;
    j->pixels = oc__count(x->dims + 2, x->rank - 2);
    j->rows = x->dims[0] * j->groups;
    j->cols = j->per * j->pixels;
    if (oc_tensor_elems(oc__in(c, 2)) !=
        (j->per_group ? j->groups : x->dims[1]))
        return oc__op_fail(c, OC_E_SHAPE, "the scale does not fit to x");
    return OC_OK;
}

static oc_status read_norm(const oc__ctx *c, norm_job *j) {
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, OC_T_F));
    OC_TRY(oc__want_rank(c, 1, 1, OC_MAX_RANK));
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1);
    oc_tensor like = *x;
    like.dtype = g->dtype; /* may be the scale's */
    if (!oc__tensor_same_shape(g, &like))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of x");
    j->kt = c->kernels;
    j->kind = c->op->kind;
    j->epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    j->real = g->dtype == OC_DTYPE_F64 ? OC_DTYPE_F64 : oc__real_of(x->dtype);
    if (j->kind >= INSTANCE) return read_group(c, j);
    int axis;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", -1), x->rank, &axis));
    j->rows = oc__count(x->dims, axis);
    j->cols = oc__count(x->dims + axis, x->rank - axis);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, norm_job *j) {
    const oc_tensor *x = oc__in(c, 1);
    int64_t n = oc_tensor_elems(x);
    j->g = oc__real_in(c, b, 0, j->real);
    j->x = oc__real_in(c, b, 1, j->real);
    if (j->kind >= INSTANCE) j->scale = oc__real_in(c, b, 2, j->real);
    j->dx = oc__real_out(c, b, 0, x->dtype, n, j->real);
    j->xn = oc__real_out(c, b, 1, x->dtype, n, j->real);
    j->line =
        oc__bump_take(b, 2 * j->cols,
                      oc_dtype_bytes(j->real) * (size_t)OC_MAX(c->threads, 1));
}

static oc_status infer_norm(oc__ctx *c) {
    norm_job j;
    OC_TRY(read_norm(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 1)));
    OC_TRY(oc__out_like(c, 1, oc__in(c, 1)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

static void row_f64(const norm_job *j, const double *gs, const double *x,
                    double *xn, double *dx) {
    double n = (double)j->cols, mean = 0, var = 0, sum = 0, dot = 0;
    for (int64_t i = 0; i < j->cols && j->kind != RMS; i++)
        mean += x[i] / n;
    for (int64_t i = 0; i < j->cols; i++)
        var += (x[i] - mean) * (x[i] - mean) / n;
    double inv = 1 / sqrt(var + j->epsilon);
    for (int64_t i = 0; i < j->cols; i++) {
        xn[i] = (x[i] - mean) * inv;
        sum += gs[i];
        dot += gs[i] * xn[i];
    }
    if (j->kind == RMS) sum = 0;
    for (int64_t i = 0; dx && i < j->cols; i++)
        dx[i] = inv * (gs[i] - sum / n - xn[i] * (dot / n));
}

static void row_f32(const norm_job *j, const float *gs, const float *x,
                    float *xn, float *dx) {
    size_t cols = (size_t)j->cols;
    float stats[2], epsilon = (float)j->epsilon;
    if (j->kind == RMS)
        j->kt->rmsnorm_f32(x, NULL, epsilon, xn, stats, cols);
    else
        j->kt->layernorm_f32(x, NULL, NULL, epsilon, xn, stats, cols);
    if (!dx) return;
    float inv = stats[j->kind != RMS], sum = 0;
    float dot = j->kt->dot_f32(gs, xn, cols) / (float)cols;
    if (j->kind != RMS)
        sum = j->kt->reduce_f32(OC_REDUCE_SUM, gs, cols) / (float)cols;
    for (size_t i = 0; i < cols; i++)
        dx[i] = inv * (gs[i] - sum - xn[i] * dot);
}

/* g times the scale of each channel of a group. */
static const void *scale_row(const norm_job *j, int64_t row, void *out) {
    int64_t group = row % j->groups;
    for (int64_t k = 0; k < j->per; k++) {
        int64_t ch = j->per_group ? group : group * j->per + k;
        int64_t at = k * j->pixels, from = row * j->cols + at;
        if (j->real == OC_DTYPE_F64) {
            double s = ((const double *)j->scale)[ch];
            for (int64_t i = 0; i < j->pixels; i++)
                ((double *)out)[at + i] = ((const double *)j->g)[from + i] * s;
        } else {
            j->kt->scale_bias_f32((const float *)j->g + from,
                                  ((const float *)j->scale)[ch], 0,
                                  (float *)out + at, (size_t)j->pixels);
        }
    }
    return out;
}

/* Row `row` of data, which may be absent. */
static void *row_at(const norm_job *j, const void *data, int64_t row) {
    if (!data) return NULL;
    return (char *)data + (size_t)(row * j->cols) * oc_dtype_bytes(j->real);
}

static void norm_range(void *user, int64_t begin, int64_t end, int worker) {
    const norm_job *j = user;
    void *lines = row_at(j, j->line, 2 * worker);
    for (int64_t i = begin; i < end; i++) {
        const void *gs = row_at(j, j->g, i), *x = row_at(j, j->x, i);
        void *dx = row_at(j, j->dx, i), *xn = row_at(j, j->xn, i);
        if (j->kind >= INSTANCE) gs = scale_row(j, i, lines);
        if (!xn) xn = row_at(j, lines, 1);
        if (j->real == OC_DTYPE_F64)
            row_f64(j, gs, x, xn, dx);
        else
            row_f32(j, gs, x, xn, dx);
    }
}

static oc_status run_norm(oc__ctx *c) {
    norm_job j;
    OC_TRY(read_norm(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    if (oc_tensor_elems(oc__in(c, 1)) == 0) return OC_OK;
    oc__parallel(c, j.rows, OC_MAX(8192 / j.cols, 1), norm_range, &j);
    if (j.dx) oc__real_done(c, 0, j.dx, j.real);
    if (j.xn) oc__real_done(c, 1, j.xn, j.real);
    return OC_OK;
}

/* ---- LRN ------------------------------------------------------------------
 */

/*
 * y = x s^-beta, where s = bias + alpha / size * sum of x^2 over the window of
 * channels around x's own:
 *
 *   dx[c] = g[c] s[c]^-beta - 2 alpha beta / size x[c] *
 *           sum over k, in whose window c is, of g[k] x[k] s[k]^(-beta-1)
 */
typedef struct lrn_job {
    int64_t channels, pixels, before, after;
    double alpha, beta, bias, size;
    oc_tensor g, x, dx;
    double *s; /* [workers][channels][2] */
} lrn_job;

static oc_status read_lrn(const oc__ctx *c, lrn_job *j) {
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    OC_TRY(oc__want_rank(c, 1, 2, OC_MAX_RANK));
    j->g = *oc__in(c, 0);
    j->x = *oc__in(c, 1);
    if (!oc__tensor_same_shape(&j->g, &j->x))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of x");
    int64_t size = oc__attr_int(c->node, "size", 0);
    if (size < 1)
        return oc__op_fail(c, OC_E_ARG, "size is %lld", (long long)size);
    j->size = (double)size;
    j->channels = j->x.dims[1];
    j->pixels = oc__count(j->x.dims + 2, j->x.rank - 2);
    j->before = OC_MIN((size - 1) / 2, j->channels);
    j->after = OC_MIN(size - 1 - (size - 1) / 2, j->channels);
    j->alpha = oc__attr_float(c->node, "alpha", 1e-4f);
    j->beta = oc__attr_float(c->node, "beta", 0.75f);
    j->bias = oc__attr_float(c->node, "bias", 1);
    return OC_OK;
}

static oc_status infer_lrn(oc__ctx *c) {
    lrn_job j;
    OC_TRY(read_lrn(c, &j));
    oc__bump b = oc__bump_counter();
    oc__bump_take(&b, 2 * j.channels,
                  sizeof(double) * (size_t)OC_MAX(c->threads, 1));
    OC_TRY(oc__bump_need(c, &b));
    return oc__out_like(c, 0, oc__in(c, 1));
}

/* One pixel with all its channels. */
static void lrn_range(void *user, int64_t begin, int64_t end, int worker) {
    const lrn_job *j = user;
    int64_t n = j->channels;
    double *s = j->s + 2 * worker * n, *t = s + n;
    oc_tensor dx = j->dx;
    for (int64_t p = begin; p < end; p++) {
        int64_t at = p / j->pixels * n * j->pixels + p % j->pixels;
        for (int64_t ch = 0; ch < n; ch++) {
            int64_t last = OC_MIN(ch + j->after, n - 1);
            double sum = 0;
            for (int64_t k = OC_MAX(ch - j->before, 0); k <= last; k++) {
                double v = oc__tensor_get_f64(&j->x, at + k * j->pixels);
                sum += v * v;
            }
            s[ch] = j->bias + j->alpha / j->size * sum;
            t[ch] = oc__tensor_get_f64(&j->g, at + ch * j->pixels) *
                    oc__tensor_get_f64(&j->x, at + ch * j->pixels) *
                    pow(s[ch], -j->beta - 1);
        }
        for (int64_t ch = 0; ch < n; ch++) {
            /* ch is in the windows of those `after` before it, and so on. */
            int64_t i = at + ch * j->pixels,
                    last = OC_MIN(ch + j->before, n - 1);
            double sum = 0;
            for (int64_t k = OC_MAX(ch - j->after, 0); k <= last; k++)
                sum += t[k];
            oc__tensor_set_f64(&dx, i,
                               oc__tensor_get_f64(&j->g, i) *
                                       pow(s[ch], -j->beta) -
                                   2 * j->alpha * j->beta / j->size *
                                       oc__tensor_get_f64(&j->x, i) * sum);
        }
    }
}

static oc_status run_lrn(oc__ctx *c) {
    lrn_job j;
    OC_TRY(read_lrn(c, &j));
    j.dx = *oc__out(c, 0);
    j.s = c->scratch;
    if (oc_tensor_elems(&j.x) > 0)
        oc__parallel(c, j.x.dims[0] * j.pixels, OC_MAX(1024 / j.channels, 1),
                     lrn_range, &j);
    return OC_OK;
}

const oc__op oc__ops_grad_norm[] = {
    {"ocelli", "LayerNormGrad", 1, 2, 2, 2, 0, LAYER, infer_norm, run_norm,
     NULL},
    {"ocelli", "RMSNormGrad", 1, 2, 2, 2, 0, RMS, infer_norm, run_norm, NULL},
    {"ocelli", "InstanceNormGrad", 1, 3, 3, 2, 0, INSTANCE, infer_norm,
     run_norm, NULL},
    {"ocelli", "GroupNormGrad", 1, 3, 3, 2, 0, GROUP, infer_norm, run_norm,
     NULL},
    {"ocelli", "LRNGrad", 1, 2, 2, 1, 0, 0, infer_lrn, run_lrn, NULL},
    {0},
};
