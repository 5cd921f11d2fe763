/*
 * pool_blocked.c - maximum and average pooling in NCHWc.
 *
 * Each output row goes in two steps: first its kernel rows are reduced to one
 * row of the input's width, in a buffer on the stack, a window at a time;
 * then each pixel reduces its taps in that row.  A k x k kernel costs k + k
 * operations an element instead of k * k (13 x 13 at the end of YOLO: 26
 * instead of 169).
 */
#include "kernels/conv_private.h"

#include <math.h>
#include <string.h>

/* Columns of the buffer: with 16 channels 8 KiB, a quarter of L1. */
#define WINDOW   128
#define MAX_ROWS 32
#define MAX_C    16

typedef struct pool_plan {
    const oc__kernels *kt;
    const oc__conv_geom *g;
    oc__pool_kind kind;
    const float *in;
    float *out;
} pool_plan;

/* One row being pooled: the kernel rows inside the picture. */
typedef struct pool_row {
    const pool_plan *p;
    size_t c;
    const float *first; /* input row of the first tap row */
    size_t row_step, row_count;
} pool_row;

/* Reduces the rows' columns x..x+n-1 into y. */
static void reduce_rows(const pool_row *r, size_t x, size_t n, float *y) {
    const oc__pool_f32_kernel *k = r->p->kt->pool_f32;
    const float *rows[MAX_ROWS + 1];
    void (*reduce)(const float *const *, size_t, float *, size_t) =
        r->p->kind == OC_POOL_MAX ? k->max_rows : k->add_rows;
    size_t i = 0, held = 0;
    do { /* more rows than fit: what y holds is the first of the next lot */
        size_t count = held;
        rows[0] = y;
        for (; count <= MAX_ROWS && i < r->row_count; i++)
            rows[count++] = r->first + i * r->row_step + x * r->c;
        reduce(rows, count, y, n * r->c);
        held = 1;
    } while (i < r->row_count);
}

static float scale_of(const pool_row *r, int64_t taps) {
    const oc__conv_geom *g = r->p->g;
    if (r->p->kind == OC_POOL_MAX) return 1.0f;
    int64_t count = r->p->kind == OC_POOL_AVERAGE ? (int64_t)r->row_count * taps
                                                  : g->kernel_h * g->kernel_w;
    return 1.0f / (float)count;
}

static void reduce_taps(const pool_row *r, const float *x, size_t step,
                        size_t tap_step, size_t taps, float scale, float *y,
                        size_t px) {
    const oc__pool_f32_kernel *k = r->p->kt->pool_f32;
    if (r->p->kind == OC_POOL_MAX)
        k->max_taps(x, step, tap_step, taps, scale, y, px, r->c);
    else
        k->add_taps(x, step, tap_step, taps, scale, y, px, r->c);
}

/* One pixel whose taps do not fit the window, or lie partly outside: taps
 * of them from column x on, some at a time. */
static void pool_pixel(const pool_row *r, size_t x, size_t taps, float *y) {
    const oc__conv_geom *g = r->p->g;
    float buffer[WINDOW * MAX_C];
    size_t dilation = (size_t)g->dilation_w, c = r->c, held = 0;
    /* The first place holds what has been reduced so far. */
    for (size_t t = 0; t < taps || held == 0;) {
        size_t n = held;
        if (dilation == 1) {
            size_t lot = OC_MIN(taps - t, WINDOW - held);
            if (lot) reduce_rows(r, x + t, lot, buffer + held * c);
            n += lot;
            t += lot;
        } else {
            for (; t < taps && n < WINDOW; t++, n++)
                reduce_rows(r, x + t * dilation, 1, buffer + n * c);
        }
        reduce_taps(r, buffer, 0, c, n, 1.0f, buffer, 1);
        held = 1;
    }
    float scale = scale_of(r, (int64_t)taps);
    reduce_taps(r, buffer, 0, c, 1, scale, y, 1);
}

/* Pixels whose taps are all inside; x is the input column of the first. */
static void pool_inside(const pool_row *r, size_t x, size_t px, float *y) {
    const oc__conv_geom *g = r->p->g;
    float buffer[WINDOW * MAX_C];
    size_t stride = (size_t)g->stride_w, c = r->c;
    size_t span = (size_t)((g->kernel_w - 1) * g->dilation_w);
    float scale = scale_of(r, g->kernel_w);
    if (span >= WINDOW) {
        for (size_t i = 0; i < px; i++)
            pool_pixel(r, x + i * stride, (size_t)g->kernel_w, y + i * c);
        return;
    }
    size_t lot = (WINDOW - 1 - span) / stride + 1;
    for (size_t i = 0; i < px; i += lot) {
        size_t n = OC_MIN(lot, px - i);
        reduce_rows(r, x + i * stride, (n - 1) * stride + span + 1, buffer);
        reduce_taps(r, buffer, stride * c, (size_t)g->dilation_w * c,
                    (size_t)g->kernel_w, scale, y + i * c, n);
    }
}

static void run_row(const pool_plan *p, size_t plane, size_t y) {
    const oc__conv_geom *g = p->g;
    size_t c = (size_t)p->kt->block;
    const float *in = p->in + plane * (size_t)(g->in_h * g->in_w) * c;
    float *out = p->out + (plane * (size_t)g->out_h + y) * (size_t)g->out_w * c;
    pool_row r = {.p = p, .c = c};
    int64_t iy = (int64_t)y * g->stride_h - g->pad_top, i0, j0;
    r.row_count = oc__taps_inside(iy, g->dilation_h, g->kernel_h, g->in_h, &i0);
    if (r.row_count)
        r.first = in + (iy + i0 * g->dilation_h) * g->in_w * (int64_t)c;
    r.row_step = (size_t)(g->dilation_h * g->in_w) * c;
    for (int64_t x = 0; x < g->out_w;) {
        int64_t at = x * g->stride_w - g->pad_left;
        size_t taps =
            oc__taps_inside(at, g->dilation_w, g->kernel_w, g->in_w, &j0);
        int64_t n = 1;
        if (r.row_count == 0 || taps == 0) {
            /* Nothing but padding: the maximum of nothing, or 0 / 0 taps. */
            float none = p->kind == OC_POOL_MAX ? -INFINITY : 0.0f;
            if (p->kind == OC_POOL_AVERAGE) none = NAN;
            for (size_t i = 0; i < c; i++)
                out[(size_t)x * c + i] = none;
        } else if (taps < (size_t)g->kernel_w) {
            pool_pixel(&r, (size_t)(at + j0 * g->dilation_w), taps,
                       out + (size_t)x * c);
        } else {
            int64_t room = g->in_w - 1 - at - (g->kernel_w - 1) * g->dilation_w;
            n = OC_MIN(room / g->stride_w + 1, g->out_w - x);
            pool_inside(&r, (size_t)at, (size_t)n, out + (size_t)x * c);
        }
        x += n;
    }
}

static void pool_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    const pool_plan *p = s->ctx;
    size_t out_h = (size_t)p->g->out_h;
    (void)worker;
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)
        run_row(p, i / out_h, i % out_h);
}

void oc__pool_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__conv_geom *g, oc__pool_kind kind, const float *in,
                  float *out) {
    pool_plan p = {kt, g, kind, in, out};
    size_t rows = (size_t)g->batch * oc__blocks(kt, g->in_c) * (size_t)g->out_h;
    double work =
        (double)(g->in_w * g->kernel_h + g->out_w * g->kernel_w) * kt->block;
    oc__share_run(pool, rows, 2.0 * work, pool_task, &p);
}
