/*
 * blocked_grad_weights.c - gradients of a convolution's weights on the blocked
 * layout, domain "ocelli"; emitted by passes/layout_train.c alone.
 *
 *   ConvGradWeightsBlocked   g, x, both blocked -> dw (O, I / group, kh, kw);
 *                            geom
 *
 * Work is cut by the shapes alone, so sums have one order for any number of
 * threads.
 */
#include "ops/blocked.h"
#include "ops/nn.h"

#include <string.h>

/* Parts of the batch that are summed apart, where the weights are small; and
 * how small. */
enum { PARTS = 8, SMALL_BYTES = 512 << 10, L1_BYTES = 24 << 10 };

typedef struct weights_job {
    const oc__train_f32_kernel *k;
    oc__conv_geom g;
    int depth, flat;    /* depthwise; windows of one element, all of them */
    int64_t c, parts;   /* parts of the batch */
    int64_t outs, ins;  /* blocks; ins: of a group */
    int64_t taps, cell; /* floats of one tap of a pair of blocks */
    int winograd;
    void *scratch; /* of that way */
    const float *gs, *x;
    float *dw, *acc; /* acc: [parts][outs][ins][taps][cell] */
} weights_job;

static void weights_layout(const oc__ctx *c, oc__bump *m, weights_job *j) {
    const oc__conv_geom *g = &j->g;
    int64_t b = c->kernels->block;
    j->k = c->kernels->train_f32;
    j->c = b;
    j->depth = g->group > 1;
    j->outs = OC_CEIL_DIV(g->out_c, b);
    j->ins = j->depth ? 1 : OC_CEIL_DIV(g->in_c, b);
    j->taps = g->kernel_h * g->kernel_w;
    j->cell = j->depth ? b : b * b;
    j->flat = j->taps == 1 && g->stride_h == 1 && g->stride_w == 1 &&
              !g->pad_top && !g->pad_left && g->in_h == g->out_h &&
              g->in_w == g->out_w;
    int64_t floats = j->outs * j->ins * j->taps * j->cell;
    j->winograd = oc__conv_grad_winograd_pays(c->kernels, g);
    j->parts = !j->winograd && floats * (int64_t)sizeof(float) <= SMALL_BYTES
                   ? OC_MIN(PARTS, g->batch)
                   : 1;
    j->acc = oc__bump_take(m, j->parts * floats, sizeof(float));
    if (j->winograd)
        j->scratch =
            oc__bump_take(m,
                          (int64_t)oc__conv_grad_winograd_scratch_bytes(
                              c->kernels, g, c->threads),
                          1);
}

static oc_status infer_weights(oc__ctx *c) {
    weights_job j = {0};
    OC_TRY(oc__geom_read(c, &j.g));
    const oc__conv_geom *g = &j.g;
    OC_TRY(oc__want_blocked(c, 0));
    OC_TRY(oc__want_blocked(c, 1));
    const int64_t *d = oc__in(c, 0)->dims, *e = oc__in(c, 1)->dims;
    int64_t b = c->kernels->block, group = OC_MAX(g->group, 1);
    if (g->group != 1 && (g->group != g->in_c || g->out_c != g->in_c))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "no kernel for its groups");
    if (d[0] != g->batch || e[0] != g->batch || d[2] != g->out_h ||
        d[3] != g->out_w || e[2] != g->in_h || e[3] != g->in_w ||
        d[1] != OC_CEIL_DIV(g->out_c, b) || e[1] != OC_CEIL_DIV(g->in_c, b) ||
        g->kernel_h < 1 || g->kernel_w < 1 || g->stride_h < 1 ||
        g->stride_w < 1 || g->dilation_h < 1 || g->dilation_w < 1)
        return oc__op_fail(c, OC_E_SHAPE, "its inputs have another geometry");
    int64_t dims[4] = {g->out_c, g->in_c / group, g->kernel_h, g->kernel_w};
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_F32, 4, dims));
    oc__bump m = oc__bump_counter();
    weights_layout(c, &m, &j);
    return oc__bump_need(c, &m);
}

/* Outputs lo .. hi - 1 of an axis whose tap sees inside the input. */
static void span(int64_t in, int64_t out, int64_t stride, int64_t pad,
                 int64_t at, int64_t *lo, int64_t *hi) {
    int64_t first = pad - at; /* o * stride >= first */
    *lo = first > 0 ? OC_CEIL_DIV(first, stride) : 0;
    int64_t last = in - 1 + pad - at; /* o * stride <= last */
    *hi = last < 0 ? 0 : OC_MIN(out, last / stride + 1);
}

/* Rows y0 .. y1 - 1 of pictures n0 .. n1 - 1, one pair of blocks, every tap. */
static void add_rows(const weights_job *j, int64_t n0, int64_t n1, int64_t out,
                     int64_t in, int64_t y0, int64_t y1, float *acc) {
    const oc__conv_geom *g = &j->g;
    int64_t in_blocks = OC_CEIL_DIV(g->in_c, j->c);
    int64_t g_px = g->out_h * g->out_w, x_px = g->in_h * g->in_w;
    const float *gs = j->gs + (n0 * j->outs + out) * g_px * j->c;
    const float *x = j->x + (n0 * in_blocks + in) * x_px * j->c;
    oc__weight_run r = {.c = (size_t)j->c, .pics = (size_t)(n1 - n0)};
    r.g_pic = (size_t)(j->outs * g_px * j->c);
    r.x_pic = (size_t)(in_blocks * x_px * j->c);
    r.ics = (size_t)OC_MIN(j->c, g->in_c - in * j->c);
    r.x_px = (size_t)(g->stride_w * j->c);
    r.x_row = (size_t)(g->stride_h * g->in_w * j->c);
    r.g_row = (size_t)(g->out_w * j->c);
    for (int64_t t = 0; t < j->taps; t++, acc += j->cell) {
        int64_t ky = t / g->kernel_w * g->dilation_h;
        int64_t kx = t % g->kernel_w * g->dilation_w, lo, hi, left, right;
        span(g->in_h, g->out_h, g->stride_h, g->pad_top, ky, &lo, &hi);
        span(g->in_w, g->out_w, g->stride_w, g->pad_left, kx, &left, &right);
        lo = OC_MAX(lo, y0);
        hi = OC_MIN(hi, y1);
        if (lo >= hi || left >= right) continue;
        r.rows = (size_t)(hi - lo);
        r.px = (size_t)(right - left);
        r.g = gs + (lo * g->out_w + left) * j->c;
        r.x = x + ((lo * g->stride_h - g->pad_top + ky) * g->in_w +
                   left * g->stride_w - g->pad_left + kx) *
                      j->c;
        r.acc = acc;
        if (j->depth)
            j->k->depth_weights(&r);
        else
            j->k->weights(&r);
    }
}

/* Pixels p0 .. p1 - 1 of pictures n0 .. n1 - 1, windows of one element. */
static void add_flat(const weights_job *j, int64_t n0, int64_t n1, int64_t out,
                     int64_t in, int64_t p0, int64_t p1, float *acc) {
    const oc__conv_geom *g = &j->g;
    int64_t in_blocks = OC_CEIL_DIV(g->in_c, j->c), px = g->out_h * g->out_w;
    oc__weight_run r = {.c = (size_t)j->c, .pics = (size_t)(n1 - n0)};
    r.ics = (size_t)OC_MIN(j->c, g->in_c - in * j->c);
    r.rows = 1;
    r.px = (size_t)(p1 - p0);
    r.x_px = (size_t)j->c;
    r.x_pic = (size_t)(in_blocks * px * j->c);
    r.g_pic = (size_t)(j->outs * px * j->c);
    r.g = j->gs + ((n0 * j->outs + out) * px + p0) * j->c;
    r.x = j->x + ((n0 * in_blocks + in) * px + p0) * j->c;
    r.acc = acc;
    j->k->weights(&r);
}

/* All pairs of blocks out0 .. out1 - 1 over pictures n0 .. n1 - 1.  What they
 * share of the input stays in the second-level cache. */
static void add_part(const weights_job *j, int64_t n0, int64_t n1, int64_t out0,
                     int64_t out1, float *acc) {
    const oc__conv_geom *g = &j->g;
    int64_t px = g->out_h * g->out_w, pair = j->taps * j->cell;
    int64_t row_bytes = (g->out_w + g->stride_h * g->in_w) * j->c * 4;
    int64_t rows = OC_MAX(1, L1_BYTES / OC_MAX(row_bytes, 1));
    int64_t pics = OC_MAX(1, rows / OC_MAX(g->out_h, 1));
    if (j->flat && !j->depth) {
        int64_t many = px >= 256 ? 1 : OC_CEIL_DIV(256, OC_MAX(px, 1));
        for (int64_t n = n0; n < n1; n += many)
            for (int64_t p = 0; p < px; p += 256)
                for (int64_t o = out0; o < out1; o++)
                    for (int64_t i = 0; i < j->ins; i++)
                        add_flat(j, n, OC_MIN(n + many, n1), o, i, p,
                                 OC_MIN(p + 256, px),
                                 acc + (o * j->ins + i) * pair);
        return;
    }
    for (int64_t n = n0; n < n1; n += pics)
        for (int64_t y = 0; y < g->out_h; y += rows)
            for (int64_t o = out0; o < out1; o++)
                for (int64_t i = 0; i < j->ins; i++)
                    add_rows(j, n, OC_MIN(n + pics, n1), o, j->depth ? o : i, y,
                             OC_MIN(y + rows, g->out_h),
                             acc + (o * j->ins + i) * pair);
}

/* Item i: a part of the batch and, where that is all of it, a block. */
static void weights_range(void *user, int64_t begin, int64_t end, int worker) {
    const weights_job *j = user;
    int64_t floats = j->outs * j->ins * j->taps * j->cell;
    int64_t each = floats / j->outs;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t part = i / j->outs, out = i % j->outs;
        float *acc = j->acc + part * floats;
        if (j->parts > 1) {
            acc = j->acc + i * floats;
            memset(acc, 0, (size_t)floats * sizeof(*acc));
            add_part(j, i * j->g.batch / j->parts,
                     (i + 1) * j->g.batch / j->parts, 0, j->outs, acc);
            continue;
        }
        memset(acc + out * each, 0, (size_t)each * sizeof(*acc));
        add_part(j, 0, j->g.batch, out, out + 1, acc);
    }
}

/* Sums the parts into rows of the plain weight: item i is channel i. */
static void gather_range(void *user, int64_t begin, int64_t end, int worker) {
    const weights_job *j = user;
    int64_t floats = j->outs * j->ins * j->taps * j->cell;
    int64_t in_c = j->depth ? 1 : j->g.in_c;
    (void)worker;
    for (int64_t o = begin; o < end; o++) {
        float *to = j->dw + o * in_c * j->taps;
        for (int64_t i = 0; i < in_c; i++)
            for (int64_t t = 0; t < j->taps; t++) {
                int64_t at =
                    ((o / j->c * j->ins + i / j->c) * j->taps + t) * j->cell +
                    (j->depth ? 0 : i % j->c * j->c) + o % j->c;
                float sum = 0;
                for (int64_t p = 0; p < j->parts; p++)
                    sum += j->acc[p * floats + at];
                *to++ = sum;
            }
    }
}

static oc_status run_weights(oc__ctx *c) {
    weights_job j = {0};
    OC_TRY(oc__geom_read(c, &j.g));
    oc__bump m = oc__bump_cutter(c);
    weights_layout(c, &m, &j);
    j.gs = oc__in(c, 0)->data;
    j.x = oc__in(c, 1)->data;
    j.dw = oc__out(c, 0)->data;
    if (j.winograd)
        oc__conv_grad_winograd(c->kernels, c->pool, &j.g, j.x, j.gs, j.acc,
                               j.scratch);
    else
        oc__parallel(c, j.parts > 1 ? j.parts : j.outs, 1, weights_range, &j);
    oc__parallel(c, j.g.out_c, OC_MAX(1, 16384 / OC_MAX(j.ins * j.cell, 1)),
                 gather_range, &j);
    return OC_OK;
}

static double flops_weights(const oc__ctx *c) {
    oc__conv_geom g;
    if (oc__geom_read(c, &g) != OC_OK) return 0;
    return 2.0 * (double)g.batch * (double)g.out_c * (double)g.out_h *
           (double)g.out_w * (double)(g.in_c / g.group) *
           (double)(g.kernel_h * g.kernel_w);
}

const oc__op oc__ops_blocked_grad_weights[] = {
    {"ocelli", "ConvGradWeightsBlocked", 1, 2, 2, 1, 0, 0, infer_weights,
     run_weights, flops_weights},
    {0},
};
