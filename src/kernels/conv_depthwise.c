/*
 * conv_depthwise.c - one filter a channel, NCHWc to NCHWc.
 *
 * A vector holds one pixel of c channels, each with its own filter, so no
 * broadcast and no sum over channels is needed.  Nothing is copied: the driver
 * leaves out kernel rows outside the picture, the kernel columns outside it.
 *
 * Packed weights: [block][kernel row][kernel column][c]
 */
#include "kernels/conv_private.h"

#define MAX_ROWS 32

static int depthwise_can(const oc__kernels *kt, const oc__conv_geom *g) {
    (void)kt;
    return g->group == g->in_c && g->out_c == g->in_c &&
           g->kernel_h <= MAX_ROWS;
}

static size_t depthwise_packed_elems(const oc__kernels *kt,
                                     const oc__conv_geom *g) {
    return oc__blocks(kt, g->in_c) * (size_t)kt->block *
           (size_t)(g->kernel_h * g->kernel_w);
}

static void depthwise_pack(const oc__kernels *kt, oc__pool *pool,
                           const oc__conv_geom *g, const float *w,
                           float *packed) {
    (void)pool;
    size_t c = (size_t)kt->block, taps = (size_t)(g->kernel_h * g->kernel_w);
    for (size_t b = 0; b < oc__blocks(kt, g->in_c); b++)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < c; i++) {
                size_t ch = b * c + i;
                *packed++ = ch < (size_t)g->in_c ? w[ch * taps + t] : 0.0f;
            }
}

static size_t depthwise_scratch_bytes(const oc__kernels *kt,
                                      const oc__conv_geom *g, int threads) {
    (void)kt;
    (void)g;
    (void)threads;
    return 0;
}

oc__depthwise_plan oc__depthwise_plan_of(const oc__kernels *kt,
                                         const oc__conv_f32_args *a) {
    oc__depthwise_plan p = {.kt = kt, .args = a};
    p.blocks = oc__blocks(kt, a->g.in_c);
    p.act = oc__act_clamp(a->act, a->act_a, a->act_b, &p.lo, &p.hi);
    return p;
}

void oc__depthwise_pixels(const oc__depthwise_plan *p, size_t plane, size_t y,
                          size_t x0, size_t x1, const float *residual,
                          float *out) {
    const oc__conv_f32_args *a = p->args;
    const oc__conv_geom *g = &a->g;
    size_t c = (size_t)p->kt->block, block = plane % p->blocks;
    const float *in = a->in + plane * (size_t)(g->in_h * g->in_w) * c;
    const float *rows[MAX_ROWS];
    oc__depthwise_run r = {.c = c, .rows = rows};
    int64_t iy = (int64_t)y * g->stride_h - g->pad_top, i0;
    r.row_count = oc__taps_inside(iy, g->dilation_h, g->kernel_h, g->in_h, &i0);
    if (r.row_count == 0) i0 = 0;
    iy += i0 * g->dilation_h;
    for (size_t i = 0; i < r.row_count; i++)
        rows[i] = in + (iy + (int64_t)i * g->dilation_h) * g->in_w * (int64_t)c;
    r.px = x1 - x0;
    r.tap_count = (size_t)g->kernel_w;
    r.first = (int64_t)x0 * g->stride_w - g->pad_left;
    r.width = (size_t)g->in_w;
    r.stride = (size_t)g->stride_w;
    r.dilation = (size_t)g->dilation_w;
    r.w_row_step = r.tap_count * c;
    r.w =
        a->packed_w + (block * (size_t)g->kernel_h + (size_t)i0) * r.w_row_step;
    r.out = out;
    r.bias = a->bias ? a->bias + block * c : NULL;
    r.residual = residual;
    r.lo = p->lo;
    r.hi = p->hi;
    p->kt->depthwise_f32(&r);
    if (p->act.kind != OC_ACT_NONE) p->kt->act_f32(p->act, out, out, r.px * c);
}

/* A row of a plane. */
static void run_row(const oc__depthwise_plan *p, size_t plane, size_t y) {
    const oc__conv_f32_args *a = p->args;
    size_t width = (size_t)a->g.out_w, c = (size_t)p->kt->block;
    size_t out = (plane * (size_t)a->g.out_h + y) * width * c;
    oc__depthwise_pixels(p, plane, y, 0, width,
                         a->residual ? a->residual + out : NULL, a->out + out);
}

/* Items are rows: y of plane (image * blocks + block). */
static void depthwise_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    const oc__depthwise_plan *p = s->ctx;
    size_t out_h = (size_t)p->args->g.out_h;
    (void)worker;
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)
        run_row(p, i / out_h, i % out_h);
}

static void depthwise_run(const oc__kernels *kt, oc__pool *pool,
                          const oc__conv_f32_args *a, void *scratch) {
    const oc__conv_geom *g = &a->g;
    oc__depthwise_plan p = oc__depthwise_plan_of(kt, a);
    (void)scratch;
    /* A multiply-add here loads its operands from L2 or further: as long as
     * two of a dense convolution. */
    oc__share_run(pool, (size_t)g->batch * p.blocks * (size_t)g->out_h,
                  2.0 * (double)(g->out_w * g->kernel_h * g->kernel_w) *
                      kt->block,
                  depthwise_task, &p);
}

const oc__conv_way oc__conv_way_depthwise = {
    depthwise_can, depthwise_packed_elems, depthwise_pack,
    depthwise_scratch_bytes, depthwise_run};
