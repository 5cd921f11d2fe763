/*
 * resize_argmax.c - the class of each pixel of an enlarged picture, whose
 * scores are never all in memory: Resize, linear in height and width, and
 * ArgMax over the channels.
 *
 * Columns are resampled first, as Resize does it, in few rows; then each row
 * of the output is blended channel by channel and compared at once:
 *
 *     scratch: [taps][C][in rows][out columns], a row of scores a worker
 */
#include "ops/nn.h"
#include "ops/resample.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct class_job {
    oc__resize_spec spec;
    const oc__resize_axis *h, *w;
    int64_t channels;
    const float *x;
    int64_t *y;
    int64_t *h_index, *w_index; /* two taps each */
    float *h_weight, *w_weight;
    float *wide; /* resampled columns of an image */
    float *best;
    int32_t *at;
    atomic_int odd; /* some are not finite, so that a sum may be NaN */
} class_job;

static oc_status read_classes(oc__ctx *c, class_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    OC_TRY(oc__resize_read(c, &job->spec));
    const oc__resize_spec *s = &job->spec;
    job->h = &s->axis[2];
    job->w = &s->axis[3];
    job->channels = oc__in(c, 0)->dims[1];
    if (s->mode != OC_RESIZE_LINEAR || s->antialias || s->exclude_outside ||
        s->coord == OC_COORD_TF_CROP_AND_RESIZE || s->axis[0].resized ||
        s->axis[1].resized || job->h->taps != 2 || job->w->taps != 2 ||
        job->channels < 1 || job->channels > INT32_MAX || job->h->in < 1 ||
        job->w->in < 1)
        return oc__op_fail(c, OC_E_FORMAT, "its Resize is not a linear one");
    return OC_OK;
}

static void layout(const oc__ctx *c, oc__bump *b, class_job *job) {
    int64_t h = 2 * job->h->out, w = 2 * job->w->out;
    int64_t threads = OC_MAX(c->threads, 1);
    job->h_index = oc__bump_take(b, h, sizeof(int64_t));
    job->w_index = oc__bump_take(b, w, sizeof(int64_t));
    job->h_weight = oc__bump_take(b, h, sizeof(float));
    job->w_weight = oc__bump_take(b, w, sizeof(float));
    job->best = oc__bump_take(b, threads, (size_t)job->w->out * sizeof(float));
    job->at = oc__bump_take(b, threads, (size_t)job->w->out * sizeof(int32_t));
    job->wide = oc__bump_take(b, job->channels * job->h->in,
                              (size_t)job->w->out * sizeof(float));
}

static oc_status infer_classes(oc__ctx *c) {
    class_job job;
    for (int i = 1; i < c->n_in; i++)
        if (oc__in_value(c, i)) OC_NEED_DATA(c, i);
    OC_TRY(read_classes(c, &job));
    int64_t n = oc__in(c, 0)->dims[0];
    int64_t with[4] = {n, 1, job.h->out, job.w->out};
    int64_t without[3] = {n, job.h->out, job.w->out};
    int keep = oc__attr_int(c->node, "keepdims", 1) != 0;
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_I64, 3 + keep, keep ? with : without));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void make_taps(const class_job *job, const oc__resize_axis *a,
                      int64_t *index, float *weight) {
    double w[2];
    for (int64_t j = 0; j < a->out; j++, index += 2, weight += 2) {
        oc__resize_taps(&job->spec, a, j, index, w);
        weight[0] = (float)w[0];
        weight[1] = (float)w[1];
    }
}

/* Rows begin .. end - 1 of all channels get their columns. */
static void widen_range(void *user, int64_t begin, int64_t end, int worker) {
    class_job *job = user;
    const int64_t *at = job->w_index;
    const float *w = job->w_weight;
    int odd = 0;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const float *x = job->x + r * job->w->in;
        float *y = job->wide + r * job->w->out;
        for (int64_t j = 0; j < job->w->out; j++) {
            float sum = x[at[2 * j]] * w[2 * j];
            sum += x[at[2 * j + 1]] * w[2 * j + 1];
            y[j] = sum;
            odd |= !isfinite(sum);
        }
    }
    if (odd) atomic_store_explicit(&job->odd, 1, memory_order_relaxed);
}

static float blended(const class_job *job, int64_t row, int64_t c, int64_t i) {
    const int64_t *at = job->h_index + 2 * row;
    const float *w = job->h_weight + 2 * row;
    const float *x = job->wide + c * job->h->in * job->w->out + i;
    return x[at[0] * job->w->out] * w[0] + x[at[1] * job->w->out] * w[1];
}

/* Scores of channel c of a row against the best so far.  Not inline, where
 * compilers forget that the rows are apart. */
static __attribute__((noinline)) void
compare_row(const float *restrict p, const float *restrict q, float u, float v,
            int32_t c, int64_t n, float *restrict best, int32_t *restrict at) {
    for (int64_t i = 0; i < n; i++) {
        float s = p[i] * u + q[i] * v, b = best[i];
        int32_t better = -(int32_t)(s > b); /* all bits: no branch */
        at[i] = (at[i] & ~better) | (c & better);
        best[i] = s > b ? s : b;
    }
}

/* As ArgMax has it: the first NaN comes before all numbers. */
static int64_t first_nan(const class_job *job, int64_t row, int64_t i,
                         int64_t otherwise) {
    for (int64_t c = 0; c < job->channels; c++)
        if (isnan(blended(job, row, c, i))) return c;
    return otherwise;
}

static void classes_range(void *user, int64_t begin, int64_t end, int worker) {
    const class_job *job = user;
    int64_t n = job->w->out, plane = job->h->in * n;
    float *best = job->best + worker * n;
    int32_t *at = job->at + worker * n;
    int odd = atomic_load_explicit(&job->odd, memory_order_relaxed);
    for (int64_t row = begin; row < end; row++) {
        const int64_t *from = job->h_index + 2 * row;
        const float *w = job->h_weight + 2 * row;
        int64_t *y = job->y + row * n;
        for (int64_t i = 0; i < n; i++)
            best[i] = -INFINITY;
        memset(at, 0, (size_t)n * sizeof(*at));
        for (int64_t c = 0; c < job->channels; c++)
            compare_row(job->wide + c * plane + from[0] * n,
                        job->wide + c * plane + from[1] * n, w[0], w[1],
                        (int32_t)c, n, best, at);
        for (int64_t i = 0; i < n; i++)
            y[i] = odd ? first_nan(job, row, i, at[i]) : at[i];
    }
}

static oc_status run_classes(oc__ctx *c) {
    class_job job;
    OC_TRY(read_classes(c, &job));
    const oc_tensor *x = oc__in(c, 0);
    if (oc_tensor_elems(oc__out(c, 0)) == 0) return OC_OK;
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    make_taps(&job, job.h, job.h_index, job.h_weight);
    make_taps(&job, job.w, job.w_index, job.w_weight);
    job.y = oc__out(c, 0)->data;
    job.x = x->data;
    int64_t rows = job.channels * job.h->in, columns = job.w->out;
    int64_t grain = 8192 / (job.channels * columns) + 1;
    for (int64_t n = 0; n < x->dims[0]; n++) {
        oc__parallel(c, rows, 8192 / columns + 1, widen_range, &job);
        oc__parallel(c, job.h->out, grain, classes_range, &job);
        job.x += rows * job.w->in;
        job.y += job.h->out * columns;
    }
    return OC_OK;
}

const oc__op oc__ops_resize_argmax[] = {
    {"ocelli", "ResizeArgMax", 1, 1, 4, 1, 0, 0, infer_classes, run_classes,
     NULL},
    {0},
};
