/*
 * conv_nd.c - Conv on plain tensors of any rank, and FusedConv.
 *
 * Networks of pictures mostly run as blocked convolutions, which the layout
 * pass makes of these (see blocked.c).  What stays here: other ranks, other
 * types, weights that may change, unoptimised graphs.  Of these, what has one
 * or two dimensions is blocked on the way in and out.
 */
#include "ops/conv_tiles.h"
#include "ops/window.h"

#include <string.h>

/* GRAD_TRANSPOSE: what ConvTranspose's gradient g gives back to its input x,
 * the convolution that is seen from there; inputs g, w, x. */
enum { CONV, FUSED_CONV, GRAD_TRANSPOSE };

/* Columns handled at a time when taps are gathered; also the widest kernel
 * row that the direct form keeps spans for. */
#define CONV_BLOCK 128

typedef struct conv_job {
    oc__window w;
    int64_t batch, group;
    int64_t group_in, group_out; /* channels of a group */
    int64_t depth;               /* taps of a group */
    int64_t dims[OC_MAX_RANK];   /* of the output */
    oc_dtype dtype, real;
    oc__act_args act;
    const void *x, *wt, *bias, *add;
    void *y;
    int direct, blocked;
    oc__conv_geom geom; /* when blocked */
    void *scratch;
    oc__tiles tiles;
    const oc__ctx *c;
} conv_job;

#define REAL     float
#define FN(name) name##_f32
#include "ops/conv_fill.inc"
#undef REAL
#undef FN
#define REAL     double
#define FN(name) name##_f64
#include "ops/conv_fill.inc"
#undef REAL
#undef FN

static oc_status read_types(const oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    for (int i = 1; i < c->n_in; i++)
        if (oc__in_value(c, i))
            OC_TRY(oc__want(c, i, 1u << oc__in(c, 0)->dtype));
    return OC_OK;
}

static oc_status read_act(const oc__ctx *c, conv_job *job) {
    job->act.kind = OC_ACT_NONE;
    if (c->op->kind != FUSED_CONV) return OC_OK;
    size_t n;
    const float *params = oc__attr_floats(c->node, "activation_params", &n);
    return oc__act_parse(c, oc__attr_string(c->node, "activation", ""), params,
                         n, &job->act);
}

static oc_status read_window(const oc__ctx *c, oc__window *v) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    OC_TRY(oc__want_rank(c, 1, x->rank, x->rank));
    if (c->op->kind != GRAD_TRANSPOSE) {
        OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, v));
        return oc__window_fit(c, 0, v);
    }
    OC_TRY(oc__want_rank(c, 2, x->rank, x->rank));
    const oc_tensor *to = oc__in(c, 2);
    OC_TRY(oc__window_read(c, x->rank - 2, to->dims + 2, w->dims + 2, v));
    OC_TRY(oc__window_fit_transposed(c, v));
    for (int d = 0; d < v->rank; d++) {
        if (x->dims[d + 2] != v->out[d])
            return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
        v->in[d] = v->out[d];
        v->out[d] = to->dims[d + 2];
    }
    return OC_OK;
}

static const oc_tensor *bias_of(const oc__ctx *c) {
    return c->op->kind == GRAD_TRANSPOSE ? NULL : oc__in(c, 2);
}

static oc_status read_conv(const oc__ctx *c, conv_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(read_types(c));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    OC_TRY(read_window(c, &job->w));
    OC_TRY(read_act(c, job));
    job->c = c;
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    job->batch = x->dims[0];
    oc__groups g;
    OC_TRY(oc__groups_read(c, x, w, bias_of(c), &g));
    job->group = g.count;
    job->group_in = g.in;
    job->group_out = g.out;
    OC_TRY(oc__window_depth(c, &job->w, job->group_in, &job->depth));
    job->dims[0] = job->batch;
    job->dims[1] = w->dims[0];
    memcpy(job->dims + 2, job->w.out, sizeof(int64_t) * (size_t)job->w.rank);
    oc_tensor y;
    oc__tensor_set(&y, x->dtype, x->rank, job->dims);
    const oc_tensor *add = oc__in(c, 3);
    if (add && !oc__tensor_same_shape(add, &y))
        return oc__op_fail(c, OC_E_SHAPE, "Z has not the shape of the output");
    return OC_OK;
}

/* Below this many output channels a group, most rows of a GEMM tile would be
 * empty, and packing the taps would cost more than the product. */
static int is_narrow(const conv_job *job) {
    return job->group_out < 3 && job->w.kernel[job->w.rank - 1] <= CONV_BLOCK;
}

/* Reads the window as one over pictures; a row is a picture one high. */
static int is_blocked(const oc__ctx *c, conv_job *job) {
    const oc__window *w = &job->w;
    oc__conv_geom *g = &job->geom;
    if (job->real != OC_DTYPE_F32 || w->rank > 2) return 0;
    int x = w->rank - 1;
    *g = (oc__conv_geom){.batch = job->batch, .group = job->group};
    g->in_c = job->group * job->group_in;
    g->out_c = job->group * job->group_out;
    g->in_h = g->out_h = g->kernel_h = g->stride_h = g->dilation_h = 1;
    if (w->rank == 2) {
        g->in_h = w->in[0];
        g->out_h = w->out[0];
        g->kernel_h = w->kernel[0];
        g->stride_h = w->stride[0];
        g->dilation_h = w->dilation[0];
        g->pad_top = w->pad_lo[0];
    }
    g->in_w = w->in[x];
    g->out_w = w->out[x];
    g->kernel_w = w->kernel[x];
    g->stride_w = w->stride[x];
    g->dilation_w = w->dilation[x];
    g->pad_left = w->pad_lo[x];
    return oc__conv_plain_f32_can(c->kernels, g);
}

static void layout(oc__ctx *c, oc__bump *b, conv_job *job) {
    job->x = oc__real_in(c, b, 0, job->real);
    job->wt = oc__real_in(c, b, 1, job->real);
    job->bias = oc__real_tensor(c, b, bias_of(c), job->real);
    job->add = oc__real_in(c, b, 3, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype,
                          oc__count(job->dims, job->w.rank + 2), job->real);
    job->blocked = is_blocked(c, job);
    if (job->blocked) {
        size_t bytes = oc__conv_plain_f32_scratch_bytes(
            c->kernels, &job->geom, job->add != NULL || oc__in_value(c, 3),
            OC_MAX(c->threads, 1));
        job->scratch = oc__bump_take(b, (int64_t)bytes, 1);
        return;
    }
    job->direct = is_narrow(job);
    if (job->direct) return;
    oc__tiles *t = &job->tiles;
    t->batch = job->batch;
    t->group = job->group;
    t->rows = job->group_out;
    t->depth = job->depth;
    t->cols = oc__count(job->w.out, job->w.rank);
    t->w = job->wt;
    t->bias = job->bias;
    t->add = job->add;
    t->out = job->y;
    t->act = job->act;
    t->fill = job->real == OC_DTYPE_F64 ? fill_f64 : fill_f32;
    t->user = job;
    oc__tiles_plan(c, b, job->real, t);
}

static oc_status infer_conv(oc__ctx *c) {
    conv_job job;
    OC_TRY(read_conv(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype, job.w.rank + 2, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void direct_planes(void *user, int64_t begin, int64_t end, int worker) {
    const conv_job *job = user;
    int64_t n = oc__count(job->w.out, job->w.rank);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (job->real == OC_DTYPE_F64) {
            double *y = (double *)job->y + i * n;
            direct_plane_f64(job, i, y);
            for (int64_t j = 0; job->add && j < n; j++)
                y[j] += ((const double *)job->add)[i * n + j];
            if (job->act.kind) oc__act_f64(job->act, y, y, n);
            continue;
        }
        float *y = (float *)job->y + i * n;
        direct_plane_f32(job, i, y);
        for (int64_t j = 0; job->add && j < n; j++)
            y[j] += ((const float *)job->add)[i * n + j];
        if (job->act.kind) job->c->kernels->act_f32(job->act, y, y, (size_t)n);
    }
}

static void run_blocked(const conv_job *job) {
    oc__conv_f32_args a = {.g = job->geom, .in = job->x, .out = job->y};
    a.bias = job->bias;
    a.residual = job->add;
    a.act = (int)job->act.kind;
    a.act_a = job->act.a;
    a.act_b = job->act.b;
    oc__conv_plain_f32(job->c->kernels, job->c->pool, &a, job->wt,
                       job->scratch);
}

static oc_status run_conv(oc__ctx *c) {
    conv_job job;
    OC_TRY(read_conv(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (oc__count(job.dims, job.w.rank + 2) == 0) return OC_OK;
    if (job.blocked)
        run_blocked(&job);
    else if (job.direct)
        oc__parallel(c, job.dims[0] * job.dims[1], 1, direct_planes, &job);
    else
        oc__tiles_run(c, job.real, &job.tiles);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_conv(const oc__ctx *c) {
    const oc_tensor *w = oc__in(c, 1), *y = oc__out(c, 0);
    if (!w || !y || w->dims[0] == 0) return 0;
    return 2.0 * (double)oc_tensor_elems(y) *
           (double)(oc_tensor_elems(w) / w->dims[0]);
}

const oc__op oc__ops_conv_nd[] = {
    {"", "Conv", 1, 2, 3, 1, 0, CONV, infer_conv, run_conv, flops_conv},
    {"com.microsoft", "FusedConv", 1, 2, 4, 1, 0, FUSED_CONV, infer_conv,
     run_conv, flops_conv},
    {"ocelli", "ConvTransposeGradInput", 1, 3, 3, 1, 0, GRAD_TRANSPOSE,
     infer_conv, run_conv, flops_conv},
    {0},
};
