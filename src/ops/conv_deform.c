/*
 * conv_deform.c - DeformConv: a convolution whose taps each sample the input
 * off the grid, by multilinear interpolation, where an offset tensor says.
 * The matrix of sampled taps goes through the same tiled product as Conv's.
 */
#include "ops/conv_tiles.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

#define DEFORM_RANK (OC_MAX_RANK - 2)

typedef struct deform_job {
    oc__window w;
    int64_t channels, group, group_in, group_out;
    int64_t depth;                    /* taps of a group */
    int64_t offset_group, per_offset; /* channels that share offsets */
    int64_t dims[OC_MAX_RANK];
    oc_dtype dtype, real;
    const void *x, *offset, *mask;
    void *y;
    oc__tiles tiles;
} deform_job;

#define REAL     float
#define FN(name) name##_f32
#include "ops/deform_sample.inc"
#undef REAL
#undef FN
#define REAL     double
#define FN(name) name##_f64
#include "ops/deform_sample.inc"
#undef REAL
#undef FN

/* An input of shape (batch, channels, output dims), given or absent. */
static oc_status check_field(const oc__ctx *c, int i, int64_t channels,
                             const deform_job *job) {
    const oc_tensor *t = oc__in(c, i);
    if (!t) return OC_OK;
    int fits = t->rank == job->w.rank + 2 && t->dims[0] == job->dims[0] &&
               t->dims[1] == channels;
    for (int d = 0; fits && d < job->w.rank; d++)
        fits = t->dims[d + 2] == job->w.out[d];
    if (fits) return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE,
                       "input %d must have %lld channels and the size of the "
                       "output",
                       i, (long long)channels);
}

static oc_status read_deform(const oc__ctx *c, deform_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    for (int i = 1; i < c->n_in; i++)
        if (i < 3 || oc__in_value(c, i)) OC_TRY(oc__want(c, i, 1u << x->dtype));
    OC_TRY(oc__want_rank(c, 1, x->rank, x->rank));
    OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, &job->w));
    OC_TRY(oc__window_fit(c, 0, &job->w));
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    job->channels = x->dims[1];
    oc__groups g;
    OC_TRY(oc__groups_read(c, x, w, oc__in(c, 3), &g));
    job->group = g.count;
    job->group_in = g.in;
    job->group_out = g.out;
    job->offset_group = oc__attr_int(c->node, "offset_group", 1);
    if (job->offset_group < 1 || x->dims[1] % job->offset_group)
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels and %lld offset groups do not fit",
                           (long long)x->dims[1], (long long)job->offset_group);
    OC_TRY(oc__window_depth(c, &job->w, job->group_in, &job->depth));
    job->per_offset = OC_MAX(x->dims[1] / job->offset_group, 1);
    job->dims[0] = x->dims[0];
    job->dims[1] = w->dims[0];
    memcpy(job->dims + 2, job->w.out, sizeof(int64_t) * (size_t)job->w.rank);
    int64_t taps;
    OC_TRY(oc__window_depth(c, &job->w, job->offset_group, &taps));
    OC_TRY(check_field(c, 2, taps * job->w.rank, job));
    return check_field(c, 4, taps, job);
}

static void layout(oc__ctx *c, oc__bump *b, deform_job *job) {
    oc__tiles *t = &job->tiles;
    job->x = oc__real_in(c, b, 0, job->real);
    t->w = oc__real_in(c, b, 1, job->real);
    job->offset = oc__real_in(c, b, 2, job->real);
    t->bias = oc__real_in(c, b, 3, job->real);
    job->mask = oc__real_in(c, b, 4, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype,
                          oc__count(job->dims, job->w.rank + 2), job->real);
    t->batch = job->dims[0];
    t->group = job->group;
    t->rows = job->group_out;
    t->depth = job->depth;
    t->cols = oc__count(job->w.out, job->w.rank);
    t->out = job->y;
    t->fill = job->real == OC_DTYPE_F64 ? sample_f64 : sample_f32;
    t->user = job;
    oc__tiles_plan(c, b, job->real, t);
}

static oc_status infer_deform(oc__ctx *c) {
    deform_job job;
    OC_TRY(read_deform(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype, job.w.rank + 2, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static oc_status run_deform(oc__ctx *c) {
    deform_job job;
    OC_TRY(read_deform(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    oc__tiles_run(c, job.real, &job.tiles);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_deform(const oc__ctx *c) {
    const oc_tensor *w = oc__in(c, 1), *y = oc__out(c, 0);
    if (!w || !y || w->dims[0] == 0) return 0;
    return 2.0 * (double)oc_tensor_elems(y) *
           (double)(oc_tensor_elems(w) / w->dims[0]);
}

const oc__op oc__ops_conv_deform[] = {
    {"", "DeformConv", 19, 3, 5, 1, 0, 0, infer_deform, run_deform,
     flops_deform},
    {0},
};
