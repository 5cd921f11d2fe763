/*
 * pool_global.c - GlobalAveragePool, GlobalMaxPool and GlobalLpPool: each
 * plane of a (batch, channels, ...) tensor becomes one number.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

enum { GLOBAL_AVERAGE, GLOBAL_MAX, GLOBAL_LP };

typedef struct global_job {
    const oc__kernels *kernels;
    int kind;
    double p;
    int64_t planes, pixels;
    oc_dtype dtype, real;
    const void *x;
    void *y;
} global_job;

static oc_status read_global(const oc__ctx *c, global_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    job->kernels = c->kernels;
    job->kind = c->op->kind;
    const oc__attr *p = oc__attr_find(c->node, "p");
    job->p = !p ? 2 : p->type == OC_ATTR_FLOAT ? p->f : (double)p->i;
    if (!(job->p > 0)) return oc__op_fail(c, OC_E_ARG, "p is %g", job->p);
    if (oc__dims_product(x->dims + 2, x->rank - 2, &job->pixels))
        return oc__op_fail(c, OC_E_LIMIT, "the input is too large");
    job->planes = x->dims[0] * x->dims[1];
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, global_job *job) {
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype, job->planes, job->real);
}

static oc_status infer_global(oc__ctx *c) {
    global_job job;
    OC_TRY(read_global(c, &job));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dims[OC_MAX_RANK] = {x->dims[0], x->dims[1], 1, 1, 1, 1, 1, 1};
    OC_TRY(oc__out_set(c, 0, x->dtype, x->rank, dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static double plane_f64(const global_job *job, const double *x) {
    double v = job->kind == GLOBAL_MAX ? -INFINITY : 0;
    for (int64_t i = 0; i < job->pixels; i++) {
        if (job->kind == GLOBAL_MAX)
            v = x[i] > v || x[i] != x[i] ? x[i] : v;
        else
            v += job->kind == GLOBAL_LP ? pow(fabs(x[i]), job->p) : x[i];
    }
    if (job->kind == GLOBAL_LP) return pow(v, 1 / job->p);
    return job->kind == GLOBAL_AVERAGE ? v / (double)job->pixels : v;
}

static float plane_f32(const global_job *job, const float *x) {
    const oc__kernels *kt = job->kernels;
    size_t n = (size_t)job->pixels;
    if (job->kind == GLOBAL_MAX) return kt->reduce_f32(OC_REDUCE_MAX, x, n);
    if (job->kind == GLOBAL_AVERAGE)
        return kt->reduce_f32(OC_REDUCE_SUM, x, n) / (float)n;
    if (job->p == 1) return kt->reduce_f32(OC_REDUCE_SUMABS, x, n);
    if (job->p == 2) return sqrtf(kt->reduce_f32(OC_REDUCE_SUMSQ, x, n));
    double v = 0;
    for (size_t i = 0; i < n; i++)
        v += pow(fabs((double)x[i]), job->p);
    return (float)pow(v, 1 / job->p);
}

static void global_range(void *user, int64_t begin, int64_t end, int worker) {
    const global_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (job->real == OC_DTYPE_F64)
            ((double *)job->y)[i] =
                plane_f64(job, (const double *)job->x + i * job->pixels);
        else
            ((float *)job->y)[i] =
                plane_f32(job, (const float *)job->x + i * job->pixels);
    }
}

static oc_status run_global(oc__ctx *c) {
    global_job job;
    OC_TRY(read_global(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (!job.y) return OC_OK;
    oc__parallel(c, job.planes, OC_MAX(16384 / OC_MAX(job.pixels, 1), 1),
                 global_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_global(const oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    return x ? (double)oc_tensor_elems(x) : 0;
}

const oc__op oc__ops_pool_global[] = {
    {"", "GlobalAveragePool", 1, 1, 1, 1, 0, GLOBAL_AVERAGE, infer_global,
     run_global, flops_global},
    {"", "GlobalMaxPool", 1, 1, 1, 1, 0, GLOBAL_MAX, infer_global, run_global,
     flops_global},
    {"", "GlobalLpPool", 1, 1, 1, 1, 0, GLOBAL_LP, infer_global, run_global,
     flops_global},
    {0},
};
