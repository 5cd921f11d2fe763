/*
 * norm_local.c - LRN, LpNormalization and MeanVarianceNormalization.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

/* Element i of a tensor in a computing type. */
static double get(oc_dtype real, const void *x, int64_t i) {
    return real == OC_DTYPE_F64 ? ((const double *)x)[i]
                                : (double)((const float *)x)[i];
}

static void put(oc_dtype real, void *y, int64_t i, double v) {
    if (real == OC_DTYPE_F64)
        ((double *)y)[i] = v;
    else
        ((float *)y)[i] = (float)v;
}

/* ---- LRN ------------------------------------------------------------------
 */

typedef struct lrn_job {
    int64_t batch, channels, pixels, size;
    double alpha, beta, bias;
    oc_dtype real;
    const void *x;
    void *y;
} lrn_job;

static oc_status read_lrn(const oc__ctx *c, lrn_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    job->size = oc__attr_int(c->node, "size", 0);
    if (job->size < 1)
        return oc__op_fail(c, OC_E_ARG, "size is %lld", (long long)job->size);
    job->alpha = oc__attr_float(c->node, "alpha", 1e-4f);
    job->beta = oc__attr_float(c->node, "beta", 0.75f);
    job->bias = oc__attr_float(c->node, "bias", 1);
    job->batch = x->dims[0];
    job->channels = x->dims[1];
    job->pixels = oc__count(x->dims + 2, x->rank - 2);
    job->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void lrn_layout(oc__ctx *c, oc__bump *b, lrn_job *job) {
    const oc_tensor *x = oc__in(c, 0);
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, x->dtype, oc_tensor_elems(x), job->real);
}

static oc_status infer_lrn(oc__ctx *c) {
    lrn_job job;
    OC_TRY(read_lrn(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    lrn_layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* Rows of pixels: each is one channel of one picture. */
static void lrn_range(void *user, int64_t begin, int64_t end, int worker) {
    const lrn_job *job = user;
    int64_t before = (job->size - 1) / 2, after = job->size - 1 - before;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t batch = i / job->channels, ch = i % job->channels;
        int64_t lo = OC_MAX(ch - before, 0);
        int64_t hi =
            ch > job->channels - 1 - after ? job->channels - 1 : ch + after;
        for (int64_t p = 0; p < job->pixels; p++) {
            double sum = 0;
            for (int64_t k = lo; k <= hi; k++) {
                double v = get(job->real, job->x,
                               (batch * job->channels + k) * job->pixels + p);
                sum += v * v;
            }
            double v = get(job->real, job->x, i * job->pixels + p);
            double base = job->bias + job->alpha / (double)job->size * sum;
            /* The usual exponent without pow(): it is most of the time. */
            double root = sqrt(base);
            double power =
                job->beta == 0.75 ? root * sqrt(root) : pow(base, job->beta);
            put(job->real, job->y, i * job->pixels + p, v / power);
        }
    }
}

static oc_status run_lrn(oc__ctx *c) {
    lrn_job job;
    OC_TRY(read_lrn(c, &job));
    oc__bump b = oc__bump_cutter(c);
    lrn_layout(c, &b, &job);
    if (!job.y || job.pixels == 0) return OC_OK;
    oc__parallel(c, job.batch * job.channels, 1, lrn_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

/* ---- LpNormalization ------------------------------------------------------
 */

typedef struct lp_job {
    int64_t outer, n, inner; /* along the axis: n, inner apart */
    int64_t p;
    oc_dtype real;
    const void *x;
    void *y;
} lp_job;

static oc_status read_lp(const oc__ctx *c, lp_job *job) {
    int axis;
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", -1), x->rank, &axis));
    job->p = oc__attr_int(c->node, "p", 2);
    if (job->p != 1 && job->p != 2)
        return oc__op_fail(c, OC_E_ARG, "p is %lld, want 1 or 2",
                           (long long)job->p);
    job->outer = oc__count(x->dims, axis);
    job->n = x->dims[axis];
    job->inner = oc__count(x->dims + axis + 1, x->rank - axis - 1);
    job->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void lp_layout(oc__ctx *c, oc__bump *b, lp_job *job) {
    const oc_tensor *x = oc__in(c, 0);
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, x->dtype, oc_tensor_elems(x), job->real);
}

static oc_status infer_lp(oc__ctx *c) {
    lp_job job;
    OC_TRY(read_lp(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    lp_layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void lp_range(void *user, int64_t begin, int64_t end, int worker) {
    const lp_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i / job->inner * job->n * job->inner + i % job->inner;
        double sum = 0;
        for (int64_t k = 0; k < job->n; k++) {
            double v = get(job->real, job->x, at + k * job->inner);
            sum += job->p == 1 ? fabs(v) : v * v;
        }
        double norm = job->p == 1 ? sum : sqrt(sum);
        /* A vector of zeros becomes NaN, as the standard's formula says. */
        for (int64_t k = 0; k < job->n; k++)
            put(job->real, job->y, at + k * job->inner,
                get(job->real, job->x, at + k * job->inner) / norm);
    }
}

static oc_status run_lp(oc__ctx *c) {
    lp_job job;
    OC_TRY(read_lp(c, &job));
    oc__bump b = oc__bump_cutter(c);
    lp_layout(c, &b, &job);
    if (!job.y || job.n == 0 || job.inner == 0) return OC_OK;
    oc__parallel(c, job.outer * job.inner, OC_MAX(4096 / job.n, 1), lp_range,
                 &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

/* ---- MeanVarianceNormalization --------------------------------------------
 */

typedef struct mvn_job {
    int rank, n_kept;
    int64_t dims[OC_MAX_RANK], step[OC_MAX_RANK]; /* reduced dims */
    int64_t kept[OC_MAX_RANK], kept_step[OC_MAX_RANK];
    oc_dtype real;
    const void *x;
    void *y;
} mvn_job;

static oc_status read_mvn(const oc__ctx *c, mvn_job *job) {
    static const int64_t usual[] = {0, 2, 3};
    int64_t strides[OC_MAX_RANK];
    int reduced[OC_MAX_RANK] = {0};
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0);
    size_t n;
    const int64_t *axes = oc__attr_ints(c->node, "axes", &n);
    if (!axes) {
        axes = usual;
        n = OC_COUNT(usual);
    }
    for (size_t i = 0; i < n; i++) {
        int axis;
        OC_TRY(oc__axis(c, axes[i], x->rank, &axis));
        reduced[axis] = 1;
    }
    oc__strides(x->rank, x->dims, strides);
    for (int d = 0; d < x->rank; d++) {
        if (reduced[d]) {
            job->dims[job->rank] = x->dims[d];
            job->step[job->rank++] = strides[d];
        } else {
            job->kept[job->n_kept] = x->dims[d];
            job->kept_step[job->n_kept++] = strides[d];
        }
    }
    job->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void mvn_layout(oc__ctx *c, oc__bump *b, mvn_job *job) {
    const oc_tensor *x = oc__in(c, 0);
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, x->dtype, oc_tensor_elems(x), job->real);
}

static oc_status infer_mvn(oc__ctx *c) {
    mvn_job job;
    OC_TRY(read_mvn(c, &job));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    mvn_layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void mvn_range(void *user, int64_t begin, int64_t end, int worker) {
    const mvn_job *job = user;
    double n = (double)oc__count(job->dims, job->rank);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at[OC_MAX_RANK], first = 0;
        oc__unravel(i, job->kept, job->n_kept, at);
        for (int d = 0; d < job->n_kept; d++)
            first += at[d] * job->kept_step[d];
        double mean = 0, var = 0, inv = 0;
        for (int pass = 0; pass < 3; pass++) {
            int64_t o[OC_MAX_RANK] = {0};
            do {
                int64_t e = first;
                for (int d = 0; d < job->rank; d++)
                    e += o[d] * job->step[d];
                double v = get(job->real, job->x, e);
                if (pass == 0)
                    mean += v / n;
                else if (pass == 1)
                    var += (v - mean) * (v - mean) / n;
                else
                    put(job->real, job->y, e, (v - mean) * inv);
            } while (oc__odometer(o, job->dims, job->rank));
            /* The standard's own way around division by zero. */
            inv = 1 / (sqrt(var) + 1e-9);
        }
    }
}

static oc_status run_mvn(oc__ctx *c) {
    mvn_job job;
    OC_TRY(read_mvn(c, &job));
    oc__bump b = oc__bump_cutter(c);
    mvn_layout(c, &b, &job);
    if (!job.y || oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    oc__parallel(c, oc__count(job.kept, job.n_kept), 1, mvn_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

const oc__op oc__ops_norm_local[] = {
    {"", "LRN", 1, 1, 1, 1, 0, 0, infer_lrn, run_lrn, NULL},
    {"", "LpNormalization", 1, 1, 1, 1, 0, 0, infer_lp, run_lp, NULL},
    {"", "MeanVarianceNormalization", 9, 1, 1, 1, 0, 0, infer_mvn, run_mvn,
     NULL},
    {0},
};
