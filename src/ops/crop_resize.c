/*
 * crop_resize.c - com.microsoft.CropAndResize: boxes of pictures, each
 * resampled to one size, corners on corners.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

typedef struct crop_job {
    int64_t batch, channels, height, width, boxes, out_h, out_w;
    int nearest;
    double outside;
    oc_dtype dtype, real;
    const oc_tensor *rois, *batch_of;
    const void *x;
    void *y;
} crop_job;

static oc_status read_crop(const oc__ctx *c, crop_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T(F16) | OC_T(F32) | OC_T(F64)));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    OC_TRY(oc__want(c, 2, OC_T(I32)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    const int64_t *d = oc__in(c, 0)->dims;
    job->rois = oc__in(c, 1);
    job->batch_of = oc__in(c, 2);
    job->boxes = job->rois->dims[0];
    if (job->rois->rank != 2 || job->rois->dims[1] != 4 ||
        job->batch_of->rank != 1 || job->batch_of->dims[0] != job->boxes)
        return oc__op_fail(c, OC_E_SHAPE, "boxes and batch indices do not fit");
    OC_NEED_DATA(c, 3);
    int64_t size[2];
    int n;
    OC_TRY(oc__in_ints(c, 3, size, 2, &n));
    if (n != 2 || size[0] < 1 || size[1] < 1)
        return oc__op_fail(c, OC_E_ARG, "crop_size must be two positive sizes");
    const char *mode = oc__attr_string(c->node, "mode", "bilinear");
    job->nearest = !strcmp(mode, "nearest");
    if (!job->nearest && strcmp(mode, "bilinear"))
        return oc__op_fail(c, OC_E_ARG, "mode is \"%s\"", mode);
    job->outside = oc__attr_float(c->node, "extrapolation_value", 0);
    job->batch = d[0];
    job->channels = d[1];
    job->height = d[2];
    job->width = d[3];
    job->out_h = size[0];
    job->out_w = size[1];
    job->dtype = oc__in(c, 0)->dtype;
    job->real = oc__real_of(job->dtype);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, crop_job *job) {
    int64_t dims[] = {job->boxes, job->channels, job->out_h, job->out_w};
    job->x = oc__real_in(c, b, 0, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype, oc__count(dims, 4), job->real);
}

static oc_status infer_crop(oc__ctx *c) {
    crop_job job;
    OC_TRY(read_crop(c, &job));
    int64_t dims[] = {job.boxes, job.channels, job.out_h, job.out_w};
    OC_TRY(oc__out_set(c, 0, job.dtype, 4, dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* Place of output position i of n between lo and hi of `size` pixels. */
static double place(double lo, double hi, int64_t i, int64_t n, int64_t size) {
    double last = (double)(size - 1);
    if (n == 1) return (lo + hi) * last / 2;
    return lo * last + (double)i * ((hi - lo) * last / (double)(n - 1));
}

static double at(const crop_job *job, int64_t plane, double y, double x) {
    int64_t i = (plane * job->height + (int64_t)y) * job->width + (int64_t)x;
    return job->real == OC_DTYPE_F64 ? ((const double *)job->x)[i]
                                     : (double)((const float *)job->x)[i];
}

static double sample(const crop_job *job, int64_t plane, double y, double x) {
    if (!(y >= 0 && y <= (double)(job->height - 1) && x >= 0 &&
          x <= (double)(job->width - 1)))
        return job->outside;
    if (job->nearest) return at(job, plane, round(y), round(x));
    double top = floor(y), left = floor(x), v = y - top, u = x - left;
    double a = at(job, plane, top, left), b = at(job, plane, top, ceil(x));
    double c = at(job, plane, ceil(y), left);
    double d = at(job, plane, ceil(y), ceil(x));
    double upper = a + (b - a) * u, lower = c + (d - c) * u;
    return upper + (lower - upper) * v;
}

/* Rows of all channels of all boxes. */
static void crop_range(void *user, int64_t begin, int64_t end, int worker) {
    const crop_job *job = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t row = i % job->out_h, ch = i / job->out_h % job->channels;
        int64_t box = i / job->out_h / job->channels;
        int64_t plane =
            oc__tensor_get_i64(job->batch_of, box) * job->channels + ch;
        double r[4];
        for (int k = 0; k < 4; k++)
            r[k] = oc__tensor_get_f64(job->rois, box * 4 + k);
        double y = place(r[0], r[2], row, job->out_h, job->height);
        for (int64_t x = 0; x < job->out_w; x++) {
            double v = sample(job, plane, y,
                              place(r[1], r[3], x, job->out_w, job->width));
            if (job->real == OC_DTYPE_F64)
                ((double *)job->y)[i * job->out_w + x] = v;
            else
                ((float *)job->y)[i * job->out_w + x] = (float)v;
        }
    }
}

static oc_status run_crop(oc__ctx *c) {
    crop_job job;
    OC_TRY(read_crop(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    for (int64_t i = 0; i < job.boxes; i++) {
        int64_t n = oc__tensor_get_i64(job.batch_of, i);
        if (n < 0 || n >= job.batch)
            return oc__op_fail(c, OC_E_ARG, "box %lld is of picture %lld",
                               (long long)i, (long long)n);
    }
    if (!job.y) return OC_OK;
    oc__parallel(c, job.boxes * job.channels * job.out_h,
                 OC_MAX(2048 / job.out_w, 1), crop_range, &job);
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

const oc__op oc__ops_crop_resize[] = {
    {"com.microsoft", "CropAndResize", 1, 4, 4, 1, 0, 0, infer_crop, run_crop,
     NULL},
    {0},
};
