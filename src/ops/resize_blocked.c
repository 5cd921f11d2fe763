/*
 * resize_blocked.c - Resize on the blocked layout; see blocked.h.
 *
 * All channels of a pixel stand together, so nearest mode copies whole
 * blocks, and the others blend them: first the rows that an output row needs,
 * then the pixels of the blended row.
 */
#include "ops/blocked.h"
#include "ops/nn.h"
#include "ops/resample.h"

#include <string.h>

typedef struct blocked_job {
    oc__resize_spec spec;
    oc__resize_axis h, w;
    int64_t planes, block;
    const float *x;
    float *y;
    /* Scratch: taps of each output row and column, a row a worker. */
    int64_t *h_index, *w_index;
    float *h_weight, *w_weight;
    float *rows;
} blocked_job;

static void set_axis(oc__resize_axis *a, int64_t in, int64_t out, float scale,
                     int taps) {
    memset(a, 0, sizeof(*a));
    a->in = in;
    a->out = out;
    a->scale = scale > 0 ? (double)scale : (double)out / (double)in;
    a->width = scale > 0 ? (double)((float)in * scale) : (double)out;
    a->end = 1;
    a->taps = taps;
    a->resized = 1;
}

static oc_status read_blocked(const oc__ctx *c, blocked_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 5, 5));
    const int64_t *d = oc__in(c, 0)->dims;
    size_t n;
    const int64_t *sizes = oc__attr_ints(c->node, "sizes", &n);
    int64_t mode = oc__attr_int(c->node, "mode", OC_RESIZE_NEAREST);
    int64_t coord = oc__attr_int(c->node, "coords", OC_COORD_HALF_PIXEL);
    int64_t round = oc__attr_int(c->node, "round", OC_ROUND_PREFER_FLOOR);
    if (n != 2 || sizes[0] < 1 || sizes[1] < 1 || d[2] < 1 || d[3] < 1 ||
        mode < 0 || mode > OC_RESIZE_CUBIC || coord < 0 ||
        coord >= OC_COORD_TF_CROP_AND_RESIZE || round < 0 ||
        round >= OC_ROUND_COUNT)
        return oc__op_fail(c, OC_E_FORMAT, "its attributes are wrong");
    job->spec.mode = (oc__resize_mode)mode;
    job->spec.coord = (oc__resize_coord)coord;
    job->spec.round = (oc__resize_round)round;
    job->spec.a = oc__attr_float(c->node, "cubic_coeff_a", -0.75f);
    int taps = mode == OC_RESIZE_CUBIC ? 4 : mode == OC_RESIZE_LINEAR ? 2 : 1;
    set_axis(&job->h, d[2], sizes[0], oc__attr_float(c->node, "scale_h", 0),
             taps);
    set_axis(&job->w, d[3], sizes[1], oc__attr_float(c->node, "scale_w", 0),
             taps);
    job->planes = d[0] * d[1];
    job->block = d[4];
    return OC_OK;
}

static void layout(const oc__ctx *c, oc__bump *b, blocked_job *job) {
    int64_t h = job->h.out * job->h.taps, w = job->w.out * job->w.taps;
    job->h_index = oc__bump_take(b, h, sizeof(int64_t));
    job->w_index = oc__bump_take(b, w, sizeof(int64_t));
    job->h_weight = oc__bump_take(b, h, sizeof(float));
    job->w_weight = oc__bump_take(b, w, sizeof(float));
    job->rows = oc__bump_take(b, job->w.in * job->block,
                              sizeof(float) * (size_t)OC_MAX(c->threads, 1));
}

static oc_status infer_blocked(oc__ctx *c) {
    blocked_job job;
    OC_TRY(read_blocked(c, &job));
    const int64_t *d = oc__in(c, 0)->dims;
    int64_t dims[5] = {d[0], d[1], job.h.out, job.w.out, d[4]};
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_F32, 5, dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

/* The taps of every position of an axis, once for all planes. */
static void make_tables(const blocked_job *job, const oc__resize_axis *a,
                        int64_t *index, float *weight) {
    double w[4];
    for (int64_t j = 0; j < a->out; j++, index += a->taps, weight += a->taps) {
        if (job->spec.mode == OC_RESIZE_NEAREST) {
            *index = oc__resize_nearest(&job->spec, a, j);
            continue;
        }
        oc__resize_taps(&job->spec, a, j, index, w);
        for (int k = 0; k < a->taps; k++)
            weight[k] = (float)w[k];
    }
}

/* y = the weighted sum of `taps` stretches of x that start at index * step. */
static inline void blend(int taps, const float *x, const int64_t *index,
                         const float *weight, int64_t step, float *y,
                         int64_t n) {
    const float *a = x + index[0] * step, *b = x + index[1] * step;
    float u = weight[0], v = weight[1];
    for (int64_t i = 0; i < n; i++)
        y[i] = u * a[i] + v * b[i];
    if (taps == 2) return;
    a = x + index[2] * step;
    b = x + index[3] * step;
    u = weight[2];
    v = weight[3];
    for (int64_t i = 0; i < n; i++)
        y[i] += u * a[i] + v * b[i];
}

static inline void blend_pixels(const blocked_job *job, const float *row,
                                float *y, int64_t c) {
    int w = job->w.taps;
    for (int64_t x = 0; x < job->w.out; x++)
        blend(w, row, job->w_index + x * w, job->w_weight + x * w, c, y + x * c,
              c);
}

static void blend_row(const blocked_job *job, const float *plane, int64_t at,
                      float *row, float *y) {
    int64_t c = job->block, n = job->w.in * c;
    int h = job->h.taps;
    blend(h, plane, job->h_index + at * h, job->h_weight + at * h, n, row, n);
    if (c == 8) /* known, so that no loop is left */
        blend_pixels(job, row, y, 8);
    else
        blend_pixels(job, row, y, c);
}

/* Rows begin .. end - 1 of all planes of the output. */
static void blocked_range(void *user, int64_t begin, int64_t end, int worker) {
    const blocked_job *job = user;
    int64_t c = job->block, width = job->w.out * c;
    float *row = job->rows + worker * job->w.in * c;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i % job->h.out;
        const float *plane =
            job->x + i / job->h.out * job->h.in * job->w.in * c;
        float *y = job->y + i * width;
        if (job->spec.mode != OC_RESIZE_NEAREST) {
            blend_row(job, plane, at, row, y);
            continue;
        }
        const float *from = plane + job->h_index[at] * job->w.in * c;
        for (int64_t x = 0; x < job->w.out; x++)
            memcpy(y + x * c, from + job->w_index[x] * c,
                   (size_t)c * sizeof(float));
    }
}

static oc_status run_blocked(oc__ctx *c) {
    blocked_job job;
    OC_TRY(read_blocked(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    job.x = oc__in(c, 0)->data;
    job.y = oc__out(c, 0)->data;
    make_tables(&job, &job.h, job.h_index, job.h_weight);
    make_tables(&job, &job.w, job.w_index, job.w_weight);
    int64_t each = OC_MAX(job.w.out * job.block, 1);
    oc__parallel(c, job.planes * job.h.out, OC_MAX(8192 / each, 1),
                 blocked_range, &job);
    return OC_OK;
}

const oc__op oc__ops_resize_blocked[] = {
    {"ocelli", "ResizeBlocked", 1, 1, 1, 1, 0, 0, infer_blocked, run_blocked,
     NULL},
    {0},
};
