/*
 * norm_local.c - LRN, LpNormalization and MeanVarianceNormalization.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

/* What all three do: an input, and an output like it, computed in `real`. */
typedef struct real_io {
    oc_dtype real;
    const void *x;
    void *y;
} real_io;

static double get(const real_io *io, int64_t i) {
    return io->real == OC_DTYPE_F64 ? ((const double *)io->x)[i]
                                    : (double)((const float *)io->x)[i];
}

static void put(const real_io *io, int64_t i, double v) {
    if (io->real == OC_DTYPE_F64)
        ((double *)io->y)[i] = v;
    else
        ((float *)io->y)[i] = (float)v;
}

static void layout(oc__ctx *c, oc__bump *b, real_io *io) {
    const oc_tensor *x = oc__in(c, 0);
    io->real = oc__real_of(x->dtype);
    io->x = oc__real_in(c, b, 0, io->real);
    io->y = oc__real_out(c, b, 0, x->dtype, oc_tensor_elems(x), io->real);
}

/* The rest of infer(), once the attributes have been read. */
static oc_status infer_io(oc__ctx *c) {
    real_io io;
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &io);
    return oc__bump_need(c, &b);
}

/* ---- LRN ------------------------------------------------------------------
 */

typedef struct lrn_job {
    int64_t batch, channels, pixels, size;
    double alpha, beta, bias;
    real_io io;
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
    return OC_OK;
}

static oc_status infer_lrn(oc__ctx *c) {
    lrn_job job;
    OC_TRY(read_lrn(c, &job));
    return infer_io(c);
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
                double v = get(&job->io,
                               (batch * job->channels + k) * job->pixels + p);
                sum += v * v;
            }
            double v = get(&job->io, i * job->pixels + p);
            double base = job->bias + job->alpha / (double)job->size * sum;
            /* The usual exponent without pow(): it is most of the time. */
            double root = sqrt(base);
            double power =
                job->beta == 0.75 ? root * sqrt(root) : pow(base, job->beta);
            put(&job->io, i * job->pixels + p, v / power);
        }
    }
}

static oc_status run_lrn(oc__ctx *c) {
    lrn_job job;
    OC_TRY(read_lrn(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job.io);
    if (!job.io.y || job.pixels == 0) return OC_OK;
    oc__parallel(c, job.batch * job.channels, 1, lrn_range, &job);
    oc__real_done(c, 0, job.io.y, job.io.real);
    return OC_OK;
}

/* ---- LpNormalization ------------------------------------------------------
 */

typedef struct lp_job {
    oc__axis_view v; /* along the axis: length, inner apart */
    int64_t p;
    real_io io;
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
    job->v = oc__axis_split(x->dims, x->rank, axis);
    return OC_OK;
}

static oc_status infer_lp(oc__ctx *c) {
    lp_job job;
    OC_TRY(read_lp(c, &job));
    return infer_io(c);
}

static void lp_range(void *user, int64_t begin, int64_t end, int worker) {
    const lp_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at =
            i / job->v.inner * job->v.length * job->v.inner + i % job->v.inner;
        double sum = 0;
        for (int64_t k = 0; k < job->v.length; k++) {
            double v = get(&job->io, at + k * job->v.inner);
            sum += job->p == 1 ? fabs(v) : v * v;
        }
        double norm = job->p == 1 ? sum : sqrt(sum);
        /* A vector of zeros becomes NaN, as the standard's formula says. */
        for (int64_t k = 0; k < job->v.length; k++)
            put(&job->io, at + k * job->v.inner,
                get(&job->io, at + k * job->v.inner) / norm);
    }
}

static oc_status run_lp(oc__ctx *c) {
    lp_job job;
    OC_TRY(read_lp(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job.io);
    if (!job.io.y || job.v.length == 0 || job.v.inner == 0) return OC_OK;
    oc__parallel(c, job.v.outer * job.v.inner, OC_MAX(4096 / job.v.length, 1),
                 lp_range, &job);
    oc__real_done(c, 0, job.io.y, job.io.real);
    return OC_OK;
}

/* ---- MeanVarianceNormalization --------------------------------------------
 */

typedef struct mvn_job {
    int rank, n_kept;
    int64_t dims[OC_MAX_RANK], step[OC_MAX_RANK]; /* reduced dims */
    int64_t kept[OC_MAX_RANK], kept_step[OC_MAX_RANK];
    real_io io;
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
    return OC_OK;
}

static oc_status infer_mvn(oc__ctx *c) {
    mvn_job job;
    OC_TRY(read_mvn(c, &job));
    return infer_io(c);
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
                double v = get(&job->io, e);
                if (pass == 0)
                    mean += v / n;
                else if (pass == 1)
                    var += (v - mean) * (v - mean) / n;
                else
                    put(&job->io, e, (v - mean) * inv);
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
    layout(c, &b, &job.io);
    if (!job.io.y || oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    oc__parallel(c, oc__count(job.kept, job.n_kept), 1, mvn_range, &job);
    oc__real_done(c, 0, job.io.y, job.io.real);
    return OC_OK;
}

const oc__op oc__ops_norm_local[] = {
    {"", "LRN", 1, 1, 1, 1, 0, 0, infer_lrn, run_lrn, NULL},
    {"", "LpNormalization", 1, 1, 1, 1, 0, 0, infer_lp, run_lp, NULL},
    {"", "MeanVarianceNormalization", 9, 1, 1, 1, 0, 0, infer_mvn, run_mvn,
     NULL},
    {0},
};
