/*
 * conv_transpose.c - ConvTranspose on plain tensors of any rank.
 *
 * Each input pixel spreads its channels over a window of the output.  One
 * product makes what all pixels spread,
 *
 *     spread (out channels x taps, pixels) = w^T x
 *
 * and adding its rows into the output at the taps' places does the rest.
 * The product is cut into chunks of output channels, which are independent.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <string.h>

/* GRAD_INPUT: what Conv's gradient g gives back to its input x; inputs g, w,
 * x, the attributes being Conv's. */
enum { TRANSPOSE, GRAD_INPUT };

/* Elements of `spread` that a worker holds at a time. */
#define CHUNK_ELEMS ((int64_t)1 << 17)

typedef struct transpose_job {
    oc__window v; /* seen backwards: its in is our output */
    int64_t batch, group, group_in, group_out, chunk;
    int64_t dims[OC_MAX_RANK];
    oc_dtype dtype, real;
    const void *x, *wt, *bias;
    void *y, *packed, *cols;
    char *gemm;
    int64_t cols_elems, at_batch, at_group;
    int64_t chunks; /* of a group */
    size_t gemm_bytes;
    int direct; /* too few input channels for a product to pay */
    const oc__ctx *c;
} transpose_job;

#define REAL      float
#define FN(name)  name##_f32
#define LIN(name) oc__lin_f32##name
#include "ops/conv_scatter.inc"
#undef REAL
#undef FN
#undef LIN
#define REAL      double
#define FN(name)  name##_f64
#define LIN(name) oc__lin_f64##name
#include "ops/conv_scatter.inc"
#undef REAL
#undef FN
#undef LIN

static const oc_tensor *bias_of(const oc__ctx *c) {
    return c->op->kind == GRAD_INPUT ? NULL : oc__in(c, 2);
}

/* Windows as positions of the output: in is its shape, out that of x. */
static oc_status read_window(const oc__ctx *c, oc__window *v) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    size_t bytes = sizeof(int64_t) * (size_t)(x->rank - 2);
    if (c->op->kind == TRANSPOSE) {
        OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, v));
        OC_TRY(oc__window_fit_transposed(c, v));
        memcpy(v->in, v->out, bytes);
        memcpy(v->out, x->dims + 2, bytes);
        return OC_OK;
    }
    OC_TRY(oc__want_rank(c, 2, x->rank, x->rank));
    const oc_tensor *to = oc__in(c, 2);
    OC_TRY(oc__window_read(c, x->rank - 2, to->dims + 2, w->dims + 2, v));
    OC_TRY(oc__window_fit(c, 0, v));
    if (memcmp(v->out, x->dims + 2, bytes) || to->dims[0] != x->dims[0])
        return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
    return OC_OK;
}

static oc_status read_transpose(const oc__ctx *c, transpose_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1), *b = bias_of(c);
    OC_TRY(oc__want(c, 1, 1u << x->dtype));
    OC_TRY(oc__want_rank(c, 1, x->rank, x->rank));
    if (oc__in_value(c, 2)) OC_TRY(oc__want(c, 2, 1u << x->dtype));
    oc__window *v = &job->v;
    OC_TRY(read_window(c, v));
    job->c = c;
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    job->batch = x->dims[0];
    job->group = oc__attr_int(c->node, "group", 1);
    job->group_out = w->dims[1];
    if (job->group < 1 || x->dims[1] % job->group || w->dims[0] != x->dims[1])
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels, %lld in the weight, and %lld groups "
                           "do not fit",
                           (long long)x->dims[1], (long long)w->dims[0],
                           (long long)job->group);
    job->group_in = x->dims[1] / job->group;
    int64_t depth;
    OC_TRY(oc__window_depth(c, v, job->group_out, &depth));
    job->dims[0] = x->dims[0];
    if (job->group_out && job->group > INT64_MAX / job->group_out)
        return oc__op_fail(c, OC_E_LIMIT, "too many groups");
    job->dims[1] = job->group * job->group_out;
    memcpy(job->dims + 2, v->in, sizeof(int64_t) * (size_t)v->rank);
    if (b && oc_tensor_elems(b) != job->dims[1])
        return oc__op_fail(c, OC_E_SHAPE, "the bias has %lld values, want %lld",
                           (long long)oc_tensor_elems(b),
                           (long long)job->dims[1]);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, transpose_job *job) {
    const oc__kernels *kt = c->kernels;
    int threads = OC_MAX(c->threads, 1);
    size_t elem = oc_dtype_bytes(job->real);
    job->x = oc__real_in(c, b, 0, job->real);
    job->wt = oc__real_in(c, b, 1, job->real);
    job->bias = oc__real_tensor(c, b, bias_of(c), job->real);
    job->y = oc__real_out(c, b, 0, job->dtype,
                          oc__count(job->dims, job->v.rank + 2), job->real);
    job->direct = job->group_in < 3;
    job->chunk = 1;
    if (job->direct) return;
    int64_t pixels = oc__count(job->v.out, job->v.rank);
    int64_t taps = oc__window_taps(&job->v, job->v.rank);
    int64_t one = OC_MAX(taps * pixels, 1);
    job->chunk = OC_MAX(OC_MIN(CHUNK_ELEMS / one, job->group_out), 1);
    job->cols_elems =
        (int64_t)oc__align_up((size_t)(job->chunk * one), OC_ALIGN);
    job->cols = oc__bump_take(b, job->cols_elems, elem * (size_t)threads);
    int f64 = job->real == OC_DTYPE_F64;
    size_t packed = f64 ? oc__lin_f64_packed(kt, job->group_in, pixels)
                        : oc__lin_f32_packed(kt, job->group_in, pixels);
    job->packed = oc__bump_take(b, (int64_t)packed, elem);
    if (f64) return;
    job->gemm_bytes = oc__align_up(
        oc__lin_f32_scratch(kt, job->chunk * taps, pixels, job->group_in, 1),
        OC_ALIGN);
    job->gemm = oc__bump_take(b, threads, job->gemm_bytes);
}

static oc_status infer_transpose(oc__ctx *c) {
    transpose_job job;
    OC_TRY(read_transpose(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype, job.v.rank + 2, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void pack_input(transpose_job *job) {
    int64_t pixels = oc__count(job->v.out, job->v.rank);
    int64_t at =
        (job->at_batch * job->group + job->at_group) * job->group_in * pixels;
    oc__lin l = {job->c->kernels, job->c->pool, NULL};
    if (job->real == OC_DTYPE_F64)
        oc__lin_f64_pack(&l, job->group_in, pixels, (const double *)job->x + at,
                         pixels, 1, job->packed);
    else
        oc__lin_f32_pack(&l, job->group_in, pixels, (const float *)job->x + at,
                         pixels, 1, job->packed);
}

static oc_status run_transpose(oc__ctx *c) {
    transpose_job job;
    OC_TRY(read_transpose(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (oc__count(job.dims, job.v.rank + 2) == 0) return OC_OK;
    int64_t chunks = (job.group_out + job.chunk - 1) / job.chunk;
    void (*range)(void *, int64_t, int64_t, int) =
        job.real == OC_DTYPE_F64 ? transpose_range_f64 : transpose_range_f32;
    job.chunks = chunks;
    if (job.direct) {
        /* Nothing is shared: pictures and groups are dealt out, too. */
        oc__parallel(c, job.batch * job.group * chunks, 1, range, &job);
        oc__real_done(c, 0, job.y, job.real);
        return OC_OK;
    }
    for (job.at_batch = 0; job.at_batch < job.batch; job.at_batch++)
        for (job.at_group = 0; job.at_group < job.group; job.at_group++) {
            pack_input(&job);
            oc__parallel(c, chunks, 1, range, &job);
        }
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_transpose(const oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    if (!x || !w || w->dims[0] == 0) return 0;
    return 2.0 * (double)oc_tensor_elems(x) *
           (double)(oc_tensor_elems(w) / w->dims[0]);
}

const oc__op oc__ops_conv_transpose[] = {
    {"", "ConvTranspose", 1, 2, 3, 1, 0, TRANSPOSE, infer_transpose,
     run_transpose, flops_transpose},
    {"ocelli", "ConvGradInput", 1, 3, 3, 1, 0, GRAD_INPUT, infer_transpose,
     run_transpose, flops_transpose},
    {0},
};
