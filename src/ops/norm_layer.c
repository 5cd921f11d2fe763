/*
 * norm_layer.c - LayerNormalization, RMSNormalization and their relatives of
 * ONNX Runtime: each row, all dimensions from an axis on, normalised on its
 * own.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

enum {
    RMS = 1,      /* no mean is taken off */
    SKIP = 2,     /* adds a second input first */
    ONNX_RMS = 4, /* output 1 is absent, as ai.onnx has it */
};

typedef struct layer_job {
    const oc__kernels *kernels;
    int rms, rank, axis;
    int64_t dims[OC_MAX_RANK], rows, cols;
    double epsilon;
    oc_dtype y_dtype, real, stash;
    /* direct: scale and bias are one row, the same for all. */
    int direct;
    int64_t scale_step[OC_MAX_RANK], bias_step[OC_MAX_RANK];
    const void *x, *scale, *bias;
    const void *skip, *skip_bias;
    int64_t skip_rows;
    void *y, *sum, *sum_rows;
    oc_tensor mean, inv; /* data NULL: not wanted */
} layer_job;

static void normalise_f64(const layer_job *job, const double *x,
                          const double *gamma, const double *beta, double *y,
                          double *stats) {
    int64_t n = job->cols;
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n && !job->rms; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    double inv = 1 / sqrt(var / (double)n + job->epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] =
            (x[i] - mean) * inv * (gamma ? gamma[i] : 1) + (beta ? beta[i] : 0);
    stats[0] = job->rms ? inv : mean;
    stats[1] = inv;
}

static void normalise_f32(const layer_job *job, const float *x,
                          const float *gamma, const float *beta, float *y,
                          float *stats) {
    size_t n = (size_t)job->cols;
    float epsilon = (float)job->epsilon;
    if (!job->rms) {
        job->kernels->layernorm_f32(x, gamma, beta, epsilon, y, stats, n);
        return;
    }
    job->kernels->rmsnorm_f32(x, gamma, epsilon, y, stats, n);
    for (size_t i = 0; beta && i < n; i++)
        y[i] += beta[i];
}

#define REAL      float
#define FN(name)  name##_f32
#define NORMALISE normalise_f32
#include "ops/norm_rows.inc"
#undef REAL
#undef FN
#undef NORMALISE
#define REAL      double
#define FN(name)  name##_f64
#define NORMALISE normalise_f64
#include "ops/norm_rows.inc"
#undef REAL
#undef FN
#undef NORMALISE

/* Which inputs and outputs an operator of this kind has where. */
typedef struct places {
    int skip, scale, bias, skip_bias; /* inputs, -1: none */
    int mean, inv, sum;               /* outputs */
} places;

static places places_of(int kind) {
    static const places plain = {-1, 1, 2, -1, 1, 2, -1};
    static const places rms = {-1, 1, -1, -1, -1, 1, -1};
    static const places onnx_rms = {-1, 1, -1, -1, -1, -1, -1};
    static const places skip = {1, 2, 3, 4, 1, 2, 3};
    static const places skip_rms = {1, 2, -1, 3, 1, 2, 3};
    if (kind & ONNX_RMS) return onnx_rms;
    if (kind & SKIP) return kind & RMS ? skip_rms : skip;
    return kind & RMS ? rms : plain;
}

static const oc_tensor *input_at(const oc__ctx *c, int i) {
    return i < 0 ? NULL : oc__in(c, i);
}

/* Steps of t seen in x's shape; whether t is just one row of x. */
static oc_status read_affine(const oc__ctx *c, const oc_tensor *x,
                             const oc_tensor *t, int axis, int64_t *steps,
                             int *is_row) {
    int64_t dims[OC_MAX_RANK];
    int rank;
    OC_TRY(oc__broadcast(c, x, t, &rank, dims));
    if (rank != x->rank ||
        memcmp(dims, x->dims, sizeof(int64_t) * (size_t)rank))
        return oc__op_fail(c, OC_E_SHAPE,
                           "scale and bias must broadcast to the input");
    oc__broadcast_strides(t, rank, dims, steps);
    *is_row = 1;
    int64_t want = 1;
    for (int d = rank - 1; d >= 0; d--) {
        /* A step of 0 along a dimension of 1 is none at all. */
        if (steps[d] != (d >= axis ? want : 0) && dims[d] != 1) *is_row = 0;
        want *= dims[d];
    }
    return OC_OK;
}

static oc_status read_skip(const oc__ctx *c, const places *p, layer_job *job) {
    const oc_tensor *x = oc__in(c, 0), *skip = oc__in(c, p->skip);
    const oc_tensor *bias = input_at(c, p->skip_bias);
    OC_TRY(oc__want(c, p->skip, 1u << x->dtype));
    int64_t n = oc_tensor_elems(skip);
    /* The skip may repeat over the batch. */
    int fits = skip->rank >= 1 && skip->dims[skip->rank - 1] == job->cols &&
               skip->rank <= x->rank;
    for (int d = 1; fits && d < skip->rank; d++) {
        int64_t a = skip->dims[skip->rank - 1 - d];
        int64_t b = x->dims[x->rank - 1 - d];
        fits = a == b || (d == x->rank - 1 && a == 1);
    }
    if (!fits)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the skip does not have the shape of the input");
    job->skip_rows = OC_MAX(job->cols ? n / job->cols : 1, 1);
    if (bias && (bias->rank != 1 || bias->dims[0] != job->cols))
        return oc__op_fail(c, OC_E_SHAPE, "the bias must have %lld values",
                           (long long)job->cols);
    if (bias) OC_TRY(oc__want(c, p->skip_bias, 1u << x->dtype));
    return OC_OK;
}

static oc_status read_layer(const oc__ctx *c, layer_job *job) {
    places p = places_of(c->op->kind);
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, p.scale, OC_T_F));
    const oc_tensor *x = oc__in(c, 0), *scale = oc__in(c, p.scale);
    const oc_tensor *bias = input_at(c, p.bias);
    if (bias) OC_TRY(oc__want(c, p.bias, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    job->kernels = c->kernels;
    job->rms = c->op->kind & RMS;
    job->rank = x->rank;
    int64_t axis = oc__attr_int(c->node, "axis", -1);
    OC_TRY(oc__axis(c, c->op->kind & SKIP ? -1 : axis, x->rank, &job->axis));
    memcpy(job->dims, x->dims, sizeof(job->dims));
    job->rows = oc__count(x->dims, job->axis);
    job->cols = oc__count(x->dims + job->axis, x->rank - job->axis);
    job->epsilon =
        oc__attr_float(c->node, "epsilon", c->op->kind & SKIP ? 1e-12f : 1e-5f);
    job->stash = (oc_dtype)oc__attr_int(c->node, "stash_type", OC_DTYPE_F32);
    if (!oc__dtype_is_float(job->stash))
        return oc__op_fail(c, OC_E_ARG, "stash_type is %d", (int)job->stash);
    /* The second stage, and so the output, has the scale's type. */
    job->y_dtype =
        c->op->kind & RMS && !(c->op->kind & SKIP) ? scale->dtype : x->dtype;
    job->real = x->dtype == OC_DTYPE_F64 || scale->dtype == OC_DTYPE_F64
                    ? OC_DTYPE_F64
                    : OC_DTYPE_F32;
    int row = 1;
    OC_TRY(read_affine(c, x, scale, job->axis, job->scale_step, &job->direct));
    if (bias) OC_TRY(read_affine(c, x, bias, job->axis, job->bias_step, &row));
    job->direct &= row;
    return p.skip < 0 ? OC_OK : read_skip(c, &p, job);
}

static void layout(oc__ctx *c, oc__bump *b, layer_job *job) {
    places p = places_of(c->op->kind);
    oc_dtype real = job->real;
    int64_t n = oc_tensor_elems(oc__in(c, 0));
    job->x = oc__real_in(c, b, 0, real);
    job->scale = oc__real_in(c, b, p.scale, real);
    job->bias = oc__real_tensor(c, b, input_at(c, p.bias), real);
    job->y = oc__real_out(c, b, 0, job->y_dtype, n, real);
    if (p.skip < 0) return;
    job->skip = oc__real_in(c, b, p.skip, real);
    job->skip_bias = oc__real_tensor(c, b, input_at(c, p.skip_bias), real);
    job->sum = oc__real_out(c, b, p.sum, job->y_dtype, n, real);
    job->sum_rows = oc__bump_take(
        b, job->cols, oc_dtype_bytes(real) * (size_t)OC_MAX(c->threads, 1));
}

static oc_status infer_layer(oc__ctx *c) {
    layer_job job;
    places p = places_of(c->op->kind);
    OC_TRY(read_layer(c, &job));
    OC_TRY(oc__out_set(c, 0, job.y_dtype, job.rank, job.dims));
    if (p.sum >= 0)
        OC_TRY(oc__out_set(c, p.sum, job.y_dtype, job.rank, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    for (int d = job.axis; d < job.rank; d++)
        job.dims[d] = 1;
    if (p.mean >= 0)
        OC_TRY(oc__out_set(c, p.mean, job.stash, job.rank, job.dims));
    if (p.inv >= 0)
        OC_TRY(oc__out_set(c, p.inv, job.stash, job.rank, job.dims));
    return oc__bump_need(c, &b);
}

static oc_status run_layer(oc__ctx *c) {
    layer_job job;
    places p = places_of(c->op->kind);
    OC_TRY(read_layer(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (p.mean >= 0 && oc__out(c, p.mean)) job.mean = *oc__out(c, p.mean);
    if (p.inv >= 0 && oc__out(c, p.inv)) job.inv = *oc__out(c, p.inv);
    if (!job.y || job.cols == 0) return OC_OK;
    oc__parallel(c, job.rows, OC_MAX(8192 / job.cols, 1),
                 job.real == OC_DTYPE_F64 ? layer_range_f64 : layer_range_f32,
                 &job);
    oc__real_done(c, 0, job.y, job.real);
    if (p.sum >= 0 && job.sum) oc__real_done(c, p.sum, job.sum, job.real);
    return OC_OK;
}

const oc__op oc__ops_norm_layer[] = {
    /* Before opset 17 ONNX Runtime's optimiser writes these two itself. */
    {"", "LayerNormalization", 1, 2, 3, 3, 0, 0, infer_layer, run_layer, NULL},
    {"", "SimplifiedLayerNormalization", 1, 2, 2, 2, 0, RMS, infer_layer,
     run_layer, NULL},
    {"", "RMSNormalization", 23, 2, 2, 1, 0, RMS | ONNX_RMS, infer_layer,
     run_layer, NULL},
    {"com.microsoft", "LayerNormalization", 1, 2, 3, 3, 0, 0, infer_layer,
     run_layer, NULL},
    {"com.microsoft", "SimplifiedLayerNormalization", 1, 2, 2, 2, 0, RMS,
     infer_layer, run_layer, NULL},
    {"com.microsoft", "SkipLayerNormalization", 1, 3, 5, 4, 0, SKIP,
     infer_layer, run_layer, NULL},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 3, 4, 4, 0,
     SKIP | RMS, infer_layer, run_layer, NULL},
    {0},
};
