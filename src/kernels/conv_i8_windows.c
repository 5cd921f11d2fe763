/*
 * conv_i8_windows.c - what works on single channels: depthwise convolution
 * and maximum pooling; see conv_i8.h.
 *
 * For a row of output pixels, a list of where the taps of their windows lie,
 * column by column.  Without dilation neighbouring windows share columns, so
 * each stands there once (3x3, stride 1; r rows):
 *
 *     r0 r1 r2 | r0 r1 r2 | r0 r1 r2 | r0 r1 r2 ...
 *     pixel 0: ------------------------
 *                pixel 1: -------------------------
 *
 * What lies outside the picture is a pixel of the worker's own.
 */
#include "kernels/conv_i8_private.h"
#include "kernels/share.h"

#include <string.h>

typedef struct list_shape {
    size_t taps, in_step, columns; /* columns of kernel_h entries */
    size_t list_bytes, worker_bytes;
} list_shape;

static list_shape shape_of(const oc__conv_geom *g) {
    list_shape s;
    size_t kh = (size_t)g->kernel_h, kw = (size_t)g->kernel_w;
    size_t out = (size_t)g->out_w, stride = (size_t)g->stride_w;
    /* Shared columns, unless strides leave gaps. */
    int shared = g->dilation_w == 1 && stride < kw;
    s.taps = kh * kw;
    s.in_step = shared ? stride * kh : s.taps;
    s.columns = !out ? 0 : shared ? (out - 1) * stride + kw : out * kw;
    s.list_bytes = oc__align_up(s.columns * kh * sizeof(uint8_t *), OC_ALIGN);
    s.worker_bytes = s.list_bytes + oc__align_up((size_t)g->in_c, OC_ALIGN);
    return s;
}

/* Column i of the list as one of the picture. */
static int64_t column_at(const oc__conv_geom *g, const list_shape *s,
                         size_t i) {
    int64_t at = (int64_t)i;
    if (s->in_step == s->taps) /* not shared */
        at = at / g->kernel_w * g->stride_w + at % g->kernel_w * g->dilation_w;
    return at - g->pad_left;
}

/* The list for output row y of image n, a kernel row at a time. */
static void fill_list(const oc__conv_i8_args *a, const list_shape *s, int64_t n,
                      int64_t y, const uint8_t *outside, const uint8_t **list) {
    const oc__conv_geom *g = &a->g;
    size_t kh = (size_t)g->kernel_h;
    int64_t c = g->in_c;
    for (size_t k = 0; k < kh; k++) {
        const uint8_t **to = list + k;
        int64_t row = y * g->stride_h + (int64_t)k * g->dilation_h - g->pad_top;
        int inside = row >= 0 && row < g->in_h;
        const uint8_t *line =
            inside ? a->in + (n * g->in_h + row) * g->in_w * c : NULL;
        for (size_t i = 0; i < s->columns; i++, to += kh) {
            int64_t x = column_at(g, s, i);
            *to = inside && x >= 0 && x < g->in_w ? line + x * c : outside;
        }
    }
}

typedef struct window_job {
    const oc__kernels *kt;
    const oc__conv_i8_args *a;
    list_shape s;
    char *workers;
    int pooling;
} window_job;

static void pool_row(const window_job *j, const uint8_t *const *list,
                     uint8_t *y) {
    const oc__conv_geom *g = &j->a->g;
    int flip = j->a->in_signed ? 0x80 : 0;
    for (int64_t x = 0; x < g->out_w; x++, list += j->s.in_step, y += g->in_c)
        j->kt->max_i8(list, j->s.taps, flip, y, (size_t)g->in_c);
}

static void window_task(void *ctx, int task, int worker) {
    const oc__share *share = ctx;
    const window_job *j = share->ctx;
    const oc__conv_i8_args *a = j->a;
    const oc__conv_geom *g = &a->g;
    char *mine = j->workers + (size_t)worker * j->s.worker_bytes;
    const uint8_t **list = (const uint8_t **)(void *)mine;
    uint8_t *outside = (uint8_t *)mine + j->s.list_bytes;
    memset(outside, a->pad, (size_t)g->in_c);
    size_t end = oc__share_end(share, (size_t)task);
    for (size_t i = oc__share_begin(share, (size_t)task); i < end; i++) {
        size_t row = (size_t)(g->out_w * g->out_c);
        fill_list(a, &j->s, (int64_t)i / g->out_h, (int64_t)i % g->out_h,
                  outside, list);
        if (j->pooling) {
            pool_row(j, list, a->out + i * row);
            continue;
        }
        oc__depth_i8_run r = {.in = list,
                              .in_step = j->s.in_step,
                              .pixels = (size_t)g->out_w,
                              .taps = j->s.taps,
                              .channels = (size_t)g->in_c,
                              .in_signed = a->in_signed,
                              .w = a->packed};
        r.codes.bias = a->bias;
        r.codes.scale = a->scale;
        r.codes.zero = a->zero;
        r.codes.is_signed = a->out_signed;
        r.codes.shift = a->shift;
        r.codes.row_stride = (size_t)g->out_c;
        if (a->out_f32)
            r.codes.f = a->out_f32 + i * row;
        else
            r.codes.y = a->out + i * row;
        j->kt->depth_i8(&r);
        if (a->out_f32) oc__conv_i8_finish(j->kt, a, i * row, row);
    }
}

static void run_windows(const oc__kernels *kt, oc__pool *pool,
                        const oc__conv_i8_args *args, int pooling,
                        void *scratch) {
    window_job j = {kt, args, shape_of(&args->g), scratch, pooling};
    const oc__conv_geom *g = &args->g;
    /* Each product on its own takes three times as long as one of f32. */
    double work = 3.0 * (double)g->out_w * (double)g->in_c * (double)j.s.taps;
    oc__share_run(pool, (size_t)(g->batch * g->out_h), work, window_task, &j);
}

size_t oc__depth_i8_scratch_bytes(const oc__conv_geom *g, int threads) {
    return shape_of(g).worker_bytes * (size_t)threads;
}

void oc__depth_i8(const oc__kernels *kt, oc__pool *pool,
                  const oc__conv_i8_args *args, void *scratch) {
    run_windows(kt, pool, args, 0, scratch);
}

size_t oc__max_pool_i8_scratch_bytes(const oc__conv_geom *g, int threads) {
    return shape_of(g).worker_bytes * (size_t)threads;
}

void oc__max_pool_i8(const struct oc__kernels *kt, oc__pool *pool,
                     const oc__conv_i8_args *args, void *scratch) {
    oc__conv_i8_args a = *args;
    a.pad = a.in_signed ? 0x80 : 0; /* the least there is */
    run_windows(kt, pool, &a, 1, scratch);
}
