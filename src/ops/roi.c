/* roi.c - RoiAlign and MaxRoiPool: regions of a feature map to one size. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

/* ---- RoiAlign --------------------------------------------------------------
 */

enum { CHUNK = 128 }; /* samples of a bin handled at a time */

/* One bilinear sample: four places in a plane and their weights. */
typedef struct sample {
    int64_t at[4];
    double w[4];
} sample;

typedef struct roi_align {
    const oc_tensor *x, *rois, *batch;
    oc_tensor *y;
    int64_t ratio;
    double scale;
    int half_pixel, max;
} roi_align;

/* The box of one region in feature-map pixels. */
typedef struct region {
    double x, y, bin_w, bin_h;
    int64_t grid_w, grid_h; /* samples a bin */
} region;

/* Rounds to the precision of the feature map: adaptive grids take the
   ceiling of these numbers, so the last bit counts. */
static double as_type(const roi_align *r, double v) {
    return r->x->dtype == OC_DTYPE_F64 ? v : (double)(float)v;
}

static oc_status read_region(oc__ctx *c, const roi_align *r, int64_t k,
                             region *out) {
    double v[4], offset = r->half_pixel ? 0.5 : 0;
    for (int i = 0; i < 4; i++) {
        v[i] = as_type(r, oc__tensor_get_f64(r->rois, 4 * k + i) * r->scale);
        v[i] = as_type(r, v[i] - offset);
        if (!(fabs(v[i]) < 1e9))
            return oc__op_fail(c, OC_E_ARG, "region %lld lies nowhere",
                               (long long)k);
    }
    double w = as_type(r, v[2] - v[0]), h = as_type(r, v[3] - v[1]);
    if (!r->half_pixel) { /* malformed regions become one pixel */
        w = fmax(w, 1);
        h = fmax(h, 1);
    }
    out->x = v[0];
    out->y = v[1];
    out->bin_w = as_type(r, w / (double)r->y->dims[3]);
    out->bin_h = as_type(r, h / (double)r->y->dims[2]);
    out->grid_w = r->ratio > 0 ? r->ratio : (int64_t)ceil(out->bin_w);
    out->grid_h = r->ratio > 0 ? r->ratio : (int64_t)ceil(out->bin_h);
    out->grid_w = OC_MAX(out->grid_w, 0);
    out->grid_h = OC_MAX(out->grid_h, 0);
    return OC_OK;
}

static void make_sample(const roi_align *r, double y, double x, sample *s) {
    int64_t h = r->x->dims[2], w = r->x->dims[3];
    memset(s, 0, sizeof *s);
    if (y < -1 || y > (double)h || x < -1 || x > (double)w) return;
    y = fmax(0, fmin(y, (double)(h - 1)));
    x = fmax(0, fmin(x, (double)(w - 1)));
    int64_t y0 = (int64_t)y, x0 = (int64_t)x;
    int64_t y1 = OC_MIN(y0 + 1, h - 1), x1 = OC_MIN(x0 + 1, w - 1);
    double ly = y - (double)y0, lx = x - (double)x0;
    s->at[0] = y0 * w + x0;
    s->at[1] = y0 * w + x1;
    s->at[2] = y1 * w + x0;
    s->at[3] = y1 * w + x1;
    s->w[0] = (1 - ly) * (1 - lx);
    s->w[1] = (1 - ly) * lx;
    s->w[2] = ly * (1 - lx);
    s->w[3] = ly * lx;
}

/*
 * Adds n samples of a plane to *value.  Mode max takes, as the operator is
 * specified, the largest of the weighted corners, not of the interpolated
 * samples.
 */
static void add_samples(const roi_align *r, int64_t plane, const sample *s,
                        int n, int first, double *value) {
    const float *f = (const float *)r->x->data + plane;
    int fast = r->x->dtype == OC_DTYPE_F32;
    for (int i = 0; i < n; i++) {
        double v[4];
        for (int k = 0; k < 4; k++)
            v[k] = s[i].w[k] *
                   (fast ? (double)f[s[i].at[k]]
                         : oc__tensor_get_f64(r->x, plane + s[i].at[k]));
        if (!r->max) {
            *value += v[0] + v[1] + v[2] + v[3];
            continue;
        }
        double most = fmax(fmax(v[0], v[1]), fmax(v[2], v[3]));
        *value = first && i == 0 ? most : fmax(*value, most);
    }
}

/* One bin of one region, all channels. */
static void align_bin(const roi_align *r, const region *g, int64_t k,
                      int64_t ph, int64_t pw) {
    sample s[CHUNK];
    int64_t channels = r->x->dims[1], plane = r->x->dims[2] * r->x->dims[3];
    int64_t total = g->grid_h * g->grid_w;
    int64_t from = oc__tensor_get_i64(r->batch, k) * channels;
    int64_t bins = r->y->dims[2] * r->y->dims[3];
    int64_t to = k * channels * bins + ph * r->y->dims[3] + pw;
    for (int64_t ch = 0; total == 0 && ch < channels; ch++)
        oc__tensor_set_f64(r->y, to + ch * bins, 0);
    for (int64_t i = 0; i < total; i += CHUNK) {
        int n = (int)OC_MIN(CHUNK, total - i);
        for (int j = 0; j < n; j++) {
            double iy = (double)((i + j) / g->grid_w) + 0.5;
            double ix = (double)((i + j) % g->grid_w) + 0.5;
            make_sample(r,
                        g->y + (double)ph * g->bin_h +
                            iy * g->bin_h / (double)g->grid_h,
                        g->x + (double)pw * g->bin_w +
                            ix * g->bin_w / (double)g->grid_w,
                        &s[j]);
        }
        for (int64_t ch = 0; ch < channels; ch++) {
            double v = i ? oc__tensor_get_f64(r->y, to + ch * bins) : 0;
            if (i && !r->max) v *= (double)total;
            add_samples(r, (from + ch) * plane, s, n, i == 0, &v);
            oc__tensor_set_f64(r->y, to + ch * bins,
                               r->max ? v : v / (double)total);
        }
    }
}

typedef struct align_job {
    oc__ctx *c;
    const roi_align *r;
} align_job;

static void align_range(void *user, int64_t begin, int64_t end, int worker) {
    const align_job *j = user;
    const roi_align *r = j->r;
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        region g = {0};
        if (read_region(j->c, r, k, &g) != OC_OK) continue; /* checked */
        for (int64_t ph = 0; ph < r->y->dims[2]; ph++)
            for (int64_t pw = 0; pw < r->y->dims[3]; pw++)
                align_bin(r, &g, k, ph, pw);
    }
}

/* RoiAlign: [n, c, h, w] and k boxes give [k, c, output_height,
   output_width]; every bin averages samples between pixels. */
static oc_status infer_roi_align(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, OC_T_F));
    OC_TRY(oc__want(c, 2, OC_T(I64) | OC_T(I32)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    OC_TRY(oc__want_rank(c, 1, 2, 2));
    OC_TRY(oc__want_rank(c, 2, 1, 1));
    const oc_tensor *x = oc__in(c, 0), *rois = oc__in(c, 1);
    const char *mode = oc__attr_string(c->node, "mode", "avg");
    if (strcmp(mode, "avg") && strcmp(mode, "max"))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "mode is \"%s\"", mode);
    if (rois->dims[1] != 4 || rois->dims[0] != oc__in(c, 2)->dims[0])
        return oc__op_fail(c, OC_E_SHAPE,
                           "rois must be [n, 4], batch_indices [n]");
    if (x->dims[2] < 1 || x->dims[3] < 1)
        return oc__op_fail(c, OC_E_SHAPE, "the feature map is empty");
    int64_t dims[4] = {rois->dims[0], x->dims[1],
                       oc__attr_int(c->node, "output_height", 1),
                       oc__attr_int(c->node, "output_width", 1)};
    if (dims[2] < 1 || dims[3] < 1)
        return oc__op_fail(c, OC_E_ARG, "the output has no size");
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

/* Everything is checked before threads begin: they cannot report. */
static oc_status run_roi_align(oc__ctx *c) {
    roi_align r = {.x = oc__in(c, 0),
                   .rois = oc__in(c, 1),
                   .batch = oc__in(c, 2),
                   .y = oc__out(c, 0)};
    r.ratio = oc__attr_int(c->node, "sampling_ratio", 0);
    r.scale = oc__attr_float(c->node, "spatial_scale", 1);
    r.max = !strcmp(oc__attr_string(c->node, "mode", "avg"), "max");
    /* Before opset 16 there was no shift by half a pixel. */
    const char *fallback =
        c->node->version >= 16 ? "half_pixel" : "output_half_pixel";
    r.half_pixel = !strcmp(
        oc__attr_string(c->node, "coordinate_transformation_mode", fallback),
        "half_pixel");
    for (int64_t k = 0; k < r.y->dims[0]; k++) {
        region g;
        int64_t b = oc__tensor_get_i64(r.batch, k);
        if (b < 0 || b >= r.x->dims[0])
            return oc__op_fail(c, OC_E_ARG, "region %lld is in batch %lld",
                               (long long)k, (long long)b);
        OC_TRY(read_region(c, &r, k, &g));
    }
    align_job j = {c, &r};
    oc__parallel(c, r.y->dims[0], 1, align_range, &j);
    return OC_OK;
}

/* ---- MaxRoiPool ------------------------------------------------------------
 */

static oc_status infer_max_roi_pool(oc__ctx *c) {
    size_t n;
    const int64_t *shape = oc__attr_ints(c->node, "pooled_shape", &n);
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    OC_TRY(oc__want_rank(c, 1, 2, 2));
    const oc_tensor *x = oc__in(c, 0), *rois = oc__in(c, 1);
    if (n != 2 || shape[0] < 1 || shape[1] < 1 || rois->dims[1] != 5)
        return oc__op_fail(c, OC_E_SHAPE,
                           "pooled_shape must be two sizes, rois [n, 5]");
    int64_t dims[4] = {rois->dims[0], x->dims[1], shape[0], shape[1]};
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

/* The range of pixels that output index i of n covers, inside 0..size. */
static void pool_range(int64_t start, double bin, int64_t i, int64_t size,
                       int64_t *lo, int64_t *hi) {
    double a = floor((double)i * bin) + (double)start;
    double b = ceil((double)(i + 1) * bin) + (double)start;
    *lo = (int64_t)fmax(0, fmin(a, (double)size));
    *hi = (int64_t)fmax(0, fmin(b, (double)size));
}

/* The older way: boxes and bins rounded to whole pixels, the largest pixel of
   each bin, 0 for an empty one. */
static oc_status run_max_roi_pool(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *rois = oc__in(c, 1);
    oc_tensor *y = oc__out(c, 0);
    double scale = oc__attr_float(c->node, "spatial_scale", 1);
    int64_t channels = x->dims[1], h = x->dims[2], w = x->dims[3];
    int64_t bins = y->dims[2] * y->dims[3], n = oc_tensor_elems(y);
    for (int64_t k = 0; k < n; k++) {
        int64_t roi = k / bins / channels, ch = k / bins % channels;
        double v[5];
        for (int i = 0; i < 5; i++) {
            v[i] = oc__tensor_get_f64(rois, roi * 5 + i);
            if (i > 0) v[i] = round(v[i] * scale);
        }
        if (!(v[0] >= 0 && v[0] < (double)x->dims[0]) ||
            !(fabs(v[1]) + fabs(v[2]) + fabs(v[3]) + fabs(v[4]) < 1e15))
            return oc__op_fail(c, OC_E_ARG, "region %lld lies nowhere",
                               (long long)roi);
        double roi_h = fmax(v[4] - v[2] + 1, 1),
               roi_w = fmax(v[3] - v[1] + 1, 1);
        int64_t y0, y1, x0, x1;
        pool_range((int64_t)v[2], roi_h / (double)y->dims[2],
                   k % bins / y->dims[3], h, &y0, &y1);
        pool_range((int64_t)v[1], roi_w / (double)y->dims[3], k % y->dims[3], w,
                   &x0, &x1);
        int64_t plane = ((int64_t)v[0] * channels + ch) * h * w;
        double most = y1 <= y0 || x1 <= x0 ? 0 : -INFINITY;
        for (int64_t i = y0; i < y1; i++)
            for (int64_t j = x0; j < x1; j++)
                most = fmax(most, oc__tensor_get_f64(x, plane + i * w + j));
        oc__tensor_set_f64(y, k, most);
    }
    return OC_OK;
}

const oc__op oc__ops_roi[] = {
    {"", "RoiAlign", 10, 3, 3, 1, 0, 0, infer_roi_align, run_roi_align, NULL},
    {"", "MaxRoiPool", 1, 2, 2, 1, 0, 0, infer_max_roi_pool, run_max_roi_pool,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
