/*
 * pool_nd.c - MaxPool, AveragePool and LpPool on plain tensors of any rank,
 * and com.microsoft.NhwcMaxPool.
 *
 * A row of outputs is built tap by tap: each tap is one stretch of an input
 * row, so the inner loop runs along memory.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

enum { POOL_MAX, POOL_AVERAGE, POOL_LP };

typedef struct pool_job {
    oc__window w;
    int kind, include_pad, column_major;
    double p;
    int64_t planes, dims[OC_MAX_RANK];
    oc_dtype dtype, real; /* real: the type of x and y below */
    const void *x;
    void *y;
    int64_t *indices;
    int64_t *counts; /* oc__window_inside() of the last dimension's outputs */
    /* Of the fast form: a padded row and its neighbours' maximum or sum, a
       pair a worker. */
    const oc__kernels *kernels;
    int64_t row_elems;
    float *rows;
    /* Of the form for small planes: a padded one, twice a worker. */
    int is_small;
    int64_t padded_h, padded_w;
    float *divisors; /* of sums, at their places in a padded plane */
} pool_job;

#define IS_NAN(v) ((v) != (v))
#define LOWEST    (-INFINITY)
#define REAL      float
#define FN(name)  name##_f32
#include "ops/pool_plane.inc"
#undef REAL
#undef FN
#define REAL     double
#define FN(name) name##_f64
#include "ops/pool_plane.inc"
#undef REAL
#undef FN
#undef IS_NAN
#undef LOWEST
#define POOL_MAX_ONLY
#define IS_NAN(v) 0
#define LOWEST    INT8_MIN
#define REAL      int8_t
#define FN(name)  name##_i8
#include "ops/pool_plane.inc"
#undef REAL
#undef FN
#undef LOWEST
#define LOWEST   0
#define REAL     uint8_t
#define FN(name) name##_u8
#include "ops/pool_plane.inc"
#undef REAL
#undef FN
#undef LOWEST
#undef IS_NAN
#undef POOL_MAX_ONLY

/* ---- the fast form --------------------------------------------------------
 */

/*
 * Maximum and average of f32, by kernels on whole rows: what the window's
 * rows have is joined into one padded row, that row is joined with itself
 * shifted by each tap, and every stride-th element of it is an output.  A
 * k x k window costs k + k operations instead of k * k.
 */
static int has_fast_form(const oc__ctx *c, const pool_job *job) {
    return job->real == OC_DTYPE_F32 && job->kind != POOL_LP &&
           (job->kind != POOL_MAX || !oc__out_value(c, 1));
}

/* Elements of a padded row: from the first tap to the last. */
static int64_t padded_row(const oc__window *w) {
    int last = w->rank - 1;
    return OC_MAX(w->out[last] - 1, 0) * w->stride[last] +
           oc__window_extent(w, last);
}

/* Joins the rows of the window at outer position o into row[0 .. width - 1];
 * 0 when all of them are padding. */
static int join_rows(const pool_job *job, const float *in, const int64_t *o,
                     float *row) {
    const oc__window *w = &job->w;
    int last = w->rank - 1, seen = 0;
    size_t width = (size_t)w->in[last];
    oc__binary op = job->kind == POOL_MAX ? OC_BINARY_MAX : OC_BINARY_ADD;
    int64_t tap[OC_MAX_RANK] = {0};
    do {
        int64_t at = 0;
        int inside = 1;
        for (int d = 0; d < last; d++) {
            int64_t y =
                o[d] * w->stride[d] - w->pad_lo[d] + tap[d] * w->dilation[d];
            inside &= y >= 0 && y < w->in[d];
            at = at * w->in[d] + y;
        }
        if (!inside) continue;
        const float *from = in + at * w->in[last];
        if (seen++)
            job->kernels->binary_f32(op, row, 1, from, 1, row, width);
        else
            memcpy(row, from, width * sizeof(float));
    } while (oc__odometer(tap, w->kernel, last));
    return seen > 0;
}

static void pool_plane_fast(const pool_job *job, const float *in, float *out,
                            float *rows) {
    const oc__window *w = &job->w;
    int last = w->rank - 1;
    int64_t n = job->row_elems, width = w->in[last], row_len = w->out[last];
    int64_t pad = w->pad_lo[last];
    int64_t reach = (row_len - 1) * w->stride[last] + 1;
    oc__binary op = job->kind == POOL_MAX ? OC_BINARY_MAX : OC_BINARY_ADD;
    float *joined = rows + n, nothing = job->kind == POOL_MAX ? -INFINITY : 0;
    /* The part of the input that windows reach at all. */
    int64_t shown = OC_MIN(width, n - pad), skip = OC_MAX(-pad, 0);
    int64_t o[OC_MAX_RANK] = {0};
    do {
        int seen = join_rows(job, in, o, joined);
        for (int64_t j = 0; j < n; j++)
            rows[j] = nothing;
        if (seen && shown > skip)
            memcpy(rows + pad + skip, joined + skip,
                   (size_t)(shown - skip) * sizeof(float));
        memcpy(joined, rows, (size_t)reach * sizeof(float));
        for (int64_t k = 1; k < w->kernel[last]; k++)
            job->kernels->binary_f32(op, joined, 1,
                                     rows + k * w->dilation[last], 1, joined,
                                     (size_t)reach);
        for (int64_t x = 0; x < row_len; x++)
            out[x] = joined[x * w->stride[last]];
        finish_row_f32(job, o, out);
        out += row_len;
    } while (oc__odometer(o, w->out, last));
}

static void fast_range(void *user, int64_t begin, int64_t end, int worker) {
    const pool_job *job = user;
    int64_t in = oc__count(job->w.in, job->w.rank);
    int64_t out = oc__count(job->w.out, job->w.rank);
    int64_t each =
        job->row_elems + OC_MAX(job->row_elems, job->w.in[job->w.rank - 1]);
    for (int64_t i = begin; i < end; i++)
        pool_plane_fast(job, (const float *)job->x + i * in,
                        (float *)job->y + i * out, job->rows + worker * each);
}

/* ---- small planes ---------------------------------------------------------
 */

/*
 * Where windows step by one, whole planes are joined with themselves shifted,
 * down and then across: what wraps around from one row into the next ends in
 * columns that no output is taken from.
 */
enum { SMALL_PLANE = 4096 };

static void look_for_small_planes(pool_job *job) {
    const oc__window *w = &job->w;
    if (w->rank != 2 || w->stride[0] != 1 || w->stride[1] != 1 ||
        w->pad_lo[0] < 0 || w->pad_lo[1] < 0)
        return;
    job->padded_h = w->out[0] - 1 + oc__window_extent(w, 0);
    job->padded_w = w->out[1] - 1 + oc__window_extent(w, 1);
    job->is_small = job->padded_h > 0 && job->padded_w > 0 &&
                    job->padded_h <= SMALL_PLANE / job->padded_w;
}

/* Elements from the first output to behind the last one. */
static size_t plane_reach(const pool_job *job) {
    return (size_t)((job->w.out[0] - 1) * job->padded_w + job->w.out[1]);
}

static void fill_divisors(const pool_job *job) {
    const oc__window *w = &job->w;
    for (int64_t y = 0; y < w->out[0]; y++) {
        int64_t taps = oc__window_inside(w, 0, y, job->include_pad);
        for (int64_t x = 0; x < job->padded_w; x++) {
            int64_t n = x < w->out[1] ? taps * job->counts[x] : 1;
            job->divisors[y * job->padded_w + x] = (float)OC_MAX(n, 1);
        }
    }
}

static void pool_small_plane(const pool_job *job, const float *in, float *out,
                             float *a) {
    const oc__window *w = &job->w;
    int64_t wide = job->padded_w, elems = wide * job->padded_h;
    float *b = a + elems, nothing = job->kind == POOL_MAX ? -INFINITY : 0;
    oc__binary op = job->kind == POOL_MAX ? OC_BINARY_MAX : OC_BINARY_ADD;
    size_t reach = plane_reach(job), width = (size_t)w->in[1];
    int64_t shown_h = OC_MIN(w->in[0], job->padded_h - w->pad_lo[0]);
    int64_t shown_w = OC_MIN(w->in[1], wide - w->pad_lo[1]);
    size_t down = (size_t)(w->out[0] * wide);
    for (int64_t i = 0; i < elems; i++)
        a[i] = nothing;
    for (int64_t y = 0; y < shown_h && shown_w > 0; y++)
        memcpy(a + (y + w->pad_lo[0]) * wide + w->pad_lo[1],
               in + y * (int64_t)width, (size_t)shown_w * sizeof(float));
    memcpy(b, a, down * sizeof(float));
    for (int64_t k = 1; k < w->kernel[0]; k++)
        job->kernels->binary_f32(op, b, 1, a + k * w->dilation[0] * wide, 1, b,
                                 down);
    memcpy(a, b, reach * sizeof(float));
    for (int64_t k = 1; k < w->kernel[1]; k++)
        job->kernels->binary_f32(op, a, 1, b + k * w->dilation[1], 1, a, reach);
    if (job->kind == POOL_AVERAGE)
        job->kernels->binary_f32(OC_BINARY_DIV, a, 1, job->divisors, 1, a,
                                 reach);
    for (int64_t y = 0; y < w->out[0]; y++)
        memcpy(out + y * w->out[1], a + y * wide,
               (size_t)w->out[1] * sizeof(float));
}

static void small_range(void *user, int64_t begin, int64_t end, int worker) {
    const pool_job *job = user;
    int64_t in = oc__count(job->w.in, 2), out = oc__count(job->w.out, 2);
    float *mine = job->rows + worker * 2 * job->padded_h * job->padded_w;
    for (int64_t i = begin; i < end; i++)
        pool_small_plane(job, (const float *)job->x + i * in,
                         (float *)job->y + i * out, mine);
}

/* ---- the operators --------------------------------------------------------
 */

static oc_status read_pool(const oc__ctx *c, pool_job *job) {
    memset(job, 0, sizeof(*job));
    job->kind = c->op->kind;
    uint32_t types = OC_T_F;
    if (job->kind == POOL_MAX) types |= OC_T(I8) | OC_T(U8);
    OC_TRY(oc__want(c, 0, types));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, NULL, &job->w));
    int ceil = oc__attr_int(c->node, "ceil_mode", 0) != 0;
    OC_TRY(oc__window_fit(c, ceil, &job->w));
    job->dtype = x->dtype;
    job->real = oc__dtype_is_float(x->dtype) ? oc__real_of(x->dtype) : x->dtype;
    job->include_pad = oc__attr_int(c->node, "count_include_pad", 0) != 0;
    job->column_major = oc__attr_int(c->node, "storage_order", 0) != 0;
    /* p was a float in LpPool's first version. */
    const oc__attr *p = oc__attr_find(c->node, "p");
    job->p = !p ? 2 : p->type == OC_ATTR_FLOAT ? p->f : (double)p->i;
    if (job->kind == POOL_LP && !(job->p > 0))
        return oc__op_fail(c, OC_E_ARG, "p is %g", job->p);
    memcpy(job->dims, x->dims, sizeof(int64_t) * 2);
    memcpy(job->dims + 2, job->w.out, sizeof(int64_t) * (size_t)job->w.rank);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, pool_job *job) {
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype,
                          oc__count(job->dims, job->w.rank + 2), job->real);
    if (job->kind == POOL_AVERAGE)
        job->counts =
            oc__bump_take(b, job->w.out[job->w.rank - 1], sizeof(*job->counts));
    if (!has_fast_form(c, job)) return;
    job->kernels = c->kernels;
    job->row_elems = padded_row(&job->w);
    int64_t each =
        job->row_elems + OC_MAX(job->row_elems, job->w.in[job->w.rank - 1]);
    look_for_small_planes(job);
    if (job->is_small) each = 2 * job->padded_h * job->padded_w;
    job->rows =
        oc__bump_take(b, each, sizeof(float) * (size_t)OC_MAX(c->threads, 1));
    if (job->is_small && job->kind == POOL_AVERAGE)
        job->divisors =
            oc__bump_take(b, job->w.out[0] * job->padded_w, sizeof(float));
}

static oc_status infer_pool(oc__ctx *c) {
    pool_job job;
    OC_TRY(read_pool(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype, job.w.rank + 2, job.dims));
    if (job.kind == POOL_MAX)
        OC_TRY(oc__out_set(c, 1, OC_DTYPE_I64, job.w.rank + 2, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static oc_status run_pool(oc__ctx *c) {
    pool_job job;
    OC_TRY(read_pool(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    oc_tensor *indices = oc__out(c, 1);
    job.indices = indices ? indices->data : NULL;
    if (oc__count(job.dims, job.w.rank + 2) == 0) return OC_OK;
    if (!job.y && !job.indices) return OC_OK;
    int last = job.w.rank - 1;
    for (int64_t x = 0; job.counts && x < job.w.out[last]; x++)
        job.counts[x] = oc__window_inside(&job.w, last, x, job.include_pad);
    int64_t planes = job.dims[0] * job.dims[1];
    if (job.divisors) fill_divisors(&job);
    oc__parallel(c, planes, 1,
                 job.is_small               ? small_range
                 : has_fast_form(c, &job)   ? fast_range
                 : job.real == OC_DTYPE_F64 ? pool_range_f64
                 : job.real == OC_DTYPE_I8  ? pool_range_i8
                 : job.real == OC_DTYPE_U8  ? pool_range_u8
                                            : pool_range_f32,
                 &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_pool(const oc__ctx *c) {
    pool_job job;
    const oc_tensor *y = oc__out(c, 0);
    if (!y || read_pool(c, &job) != OC_OK) return 0;
    return (double)oc_tensor_elems(y) *
           (double)oc__window_taps(&job.w, job.w.rank);
}

/* ---- channels last --------------------------------------------------------
 */

static oc_status read_nhwc(const oc__ctx *c, pool_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T(I8) | OC_T(U8)));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 1, NULL, &job->w));
    int ceil = oc__attr_int(c->node, "ceil_mode", 0) != 0;
    OC_TRY(oc__window_fit(c, ceil, &job->w));
    job->dtype = x->dtype;
    job->dims[0] = x->dims[0];
    memcpy(job->dims + 1, job->w.out, sizeof(int64_t) * (size_t)job->w.rank);
    job->dims[x->rank - 1] = x->dims[x->rank - 1];
    return OC_OK;
}

static oc_status infer_nhwc(oc__ctx *c) {
    pool_job job;
    OC_TRY(read_nhwc(c, &job));
    return oc__out_set(c, 0, job.dtype, job.w.rank + 2, job.dims);
}

static void max_bytes(oc_dtype dtype, const void *x, void *y, int64_t n) {
    if (dtype == OC_DTYPE_U8) {
        const uint8_t *a = x;
        uint8_t *b = y;
        for (int64_t i = 0; i < n; i++)
            b[i] = OC_MAX(a[i], b[i]);
    } else {
        const int8_t *a = x;
        int8_t *b = y;
        for (int64_t i = 0; i < n; i++)
            b[i] = OC_MAX(a[i], b[i]);
    }
}

/* Output pixels begin .. end - 1, all channels of each. */
static void nhwc_range(void *user, int64_t begin, int64_t end, int worker) {
    const pool_job *job = user;
    const oc__window *w = &job->w;
    int64_t channels = job->dims[w->rank + 1];
    int64_t in = oc__count(w->in, w->rank), out = oc__count(w->out, w->rank);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t o[OC_MAX_RANK], tap[OC_MAX_RANK] = {0};
        const char *x = (const char *)job->x + i / out * in * channels;
        char *y = (char *)job->y + i * channels;
        oc__unravel(i % out, w->out, w->rank, o);
        memset(y, job->dtype == OC_DTYPE_U8 ? 0 : 0x80, (size_t)channels);
        do {
            int64_t at = 0;
            int inside = 1;
            for (int d = 0; d < w->rank; d++) {
                int64_t p = o[d] * w->stride[d] - w->pad_lo[d] +
                            tap[d] * w->dilation[d];
                inside &= p >= 0 && p < w->in[d];
                at = at * w->in[d] + p;
            }
            if (inside) max_bytes(job->dtype, x + at * channels, y, channels);
        } while (oc__odometer(tap, w->kernel, w->rank));
    }
}

static oc_status run_nhwc(oc__ctx *c) {
    pool_job job;
    OC_TRY(read_nhwc(c, &job));
    if (!oc__out(c, 0)) return OC_OK;
    job.x = oc__in(c, 0)->data;
    job.y = oc__out(c, 0)->data;
    if (job.dims[job.w.rank + 1] > 0)
        oc__parallel(c, job.dims[0] * oc__count(job.w.out, job.w.rank), 16,
                     nhwc_range, &job);
    return OC_OK;
}

const oc__op oc__ops_pool_nd[] = {
    {"", "MaxPool", 1, 1, 1, 2, 0, POOL_MAX, infer_pool, run_pool, flops_pool},
    {"", "AveragePool", 1, 1, 1, 1, 0, POOL_AVERAGE, infer_pool, run_pool,
     flops_pool},
    {"", "LpPool", 1, 1, 1, 1, 0, POOL_LP, infer_pool, run_pool, flops_pool},
    {"com.microsoft", "NhwcMaxPool", 1, 1, 1, 1, 0, POOL_MAX, infer_nhwc,
     run_nhwc, NULL},
    {0},
};
