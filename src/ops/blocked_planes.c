/*
 * blocked_planes.c - what training does to each plane on the blocked layout,
 * domain "ocelli"; emitted by passes/layout_train.c alone.  b stands for a
 * blocked tensor.
 *
 *   DilateBlocked     x b -> b with zeros between; strides, sizes (y, x)
 *   MaxPoolGradBlocked   g b, x b -> dx b; geom
 *   SpreadBlocked     g b of one pixel, x b -> g / pixels everywhere
 */
#include "ops/blocked.h"

#include <string.h>

typedef struct plane_job {
    const oc__train_f32_kernel *k;
    oc__conv_geom g;
    int64_t c, stride[2], in[2], out[2];
    const float *x, *gs;
    float *y;
    float factor;
} plane_job;

static oc_status infer_dilate(oc__ctx *c) {
    size_t n;
    const int64_t *s = oc__attr_ints(c->node, "strides", &n);
    OC_TRY(oc__want_blocked(c, 0));
    int64_t dims[OC_MAX_RANK];
    memcpy(dims, oc__in(c, 0)->dims, sizeof(dims));
    if (!s || n != 2 || s[0] < 1 || s[1] < 1 || dims[2] < 1 || dims[3] < 1)
        return oc__op_fail(c, OC_E_ARG, "its strides are missing");
    const int64_t *to = oc__attr_ints(c->node, "sizes", &n);
    if (!to || n != 2 || to[0] <= (dims[2] - 1) * s[0] ||
        to[1] <= (dims[3] - 1) * s[1])
        return oc__op_fail(c, OC_E_SHAPE, "its sizes are too small");
    dims[2] = to[0];
    dims[3] = to[1];
    return oc__out_set(c, 0, OC_DTYPE_F32, 5, dims);
}

static void dilate_range(void *user, int64_t begin, int64_t end, int worker) {
    const plane_job *j = user;
    size_t bytes = (size_t)j->c * sizeof(float);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *y = j->y + i * j->out[0] * j->out[1] * j->c;
        const float *x = j->x + i * j->in[0] * j->in[1] * j->c;
        memset(y, 0, (size_t)(j->out[0] * j->out[1]) * bytes);
        for (int64_t r = 0; r < j->in[0]; r++)
            for (int64_t p = 0; p < j->in[1]; p++, x += j->c)
                memcpy(y + (r * j->stride[0] * j->out[1] + p * j->stride[1]) *
                               j->c,
                       x, bytes);
    }
}

static oc_status run_dilate(oc__ctx *c) {
    size_t n;
    const int64_t *s = oc__attr_ints(c->node, "strides", &n);
    const oc_tensor *x = oc__in(c, 0), *y = oc__out(c, 0);
    plane_job j = {.c = x->dims[4], .x = x->data, .y = y->data};
    for (int i = 0; i < 2; i++) {
        j.stride[i] = s[i];
        j.in[i] = x->dims[2 + i];
        j.out[i] = y->dims[2 + i];
    }
    oc__parallel(c, x->dims[0] * x->dims[1], 1, dilate_range, &j);
    return OC_OK;
}

static oc_status infer_spread(oc__ctx *c) {
    OC_TRY(oc__want_blocked(c, 0));
    OC_TRY(oc__want_blocked(c, 1));
    const int64_t *d = oc__in(c, 0)->dims, *e = oc__in(c, 1)->dims;
    if (d[0] != e[0] || d[1] != e[1] || d[2] != 1 || d[3] != 1)
        return oc__op_fail(c, OC_E_SHAPE, "g is not one pixel of x");
    return oc__out_like(c, 0, oc__in(c, 1));
}

static void spread_range(void *user, int64_t begin, int64_t end, int worker) {
    const plane_job *j = user;
    int64_t px = j->in[0] * j->in[1];
    float v[16];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *y = j->y + i * px * j->c;
        for (int64_t k = 0; k < j->c; k++)
            v[k] = j->gs[i * j->c + k] * j->factor;
        for (int64_t p = 0; p < px; p++, y += j->c)
            memcpy(y, v, (size_t)j->c * sizeof(float));
    }
}

static oc_status run_spread(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 1);
    plane_job j = {.c = x->dims[4], .gs = oc__in(c, 0)->data};
    j.y = oc__out(c, 0)->data;
    j.in[0] = x->dims[2];
    j.in[1] = x->dims[3];
    j.factor = 1 / (float)(j.in[0] * j.in[1]);
    oc__parallel(c, x->dims[0] * x->dims[1],
                 OC_MAX(1, 16384 / OC_MAX(j.in[0] * j.in[1] * j.c, 1)),
                 spread_range, &j);
    return OC_OK;
}

static oc_status infer_max(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    OC_TRY(oc__want_blocked(c, 0));
    OC_TRY(oc__want_blocked(c, 1));
    const int64_t *d = oc__in(c, 0)->dims, *e = oc__in(c, 1)->dims;
    if (d[0] != e[0] || d[1] != e[1] || d[2] != g.out_h || d[3] != g.out_w ||
        e[2] != g.in_h || e[3] != g.in_w || g.kernel_h < 1 || g.kernel_w < 1 ||
        g.kernel_h * g.kernel_w > 64 || g.stride_h < 1 || g.stride_w < 1 ||
        g.dilation_h < 1 || g.dilation_w < 1)
        return oc__op_fail(c, OC_E_SHAPE, "its inputs have another geometry");
    return oc__out_like(c, 0, oc__in(c, 1));
}

static void max_range(void *user, int64_t begin, int64_t end, int worker) {
    const plane_job *j = user;
    const oc__conv_geom *g = &j->g;
    size_t taps[64];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *x = j->x + i * g->in_h * g->in_w * j->c;
        const float *gs = j->gs + i * g->out_h * g->out_w * j->c;
        float *dx = j->y + i * g->in_h * g->in_w * j->c;
        memset(dx, 0, (size_t)(g->in_h * g->in_w * j->c) * sizeof(*dx));
        for (int64_t o = 0; o < g->out_h * g->out_w; o++, gs += j->c) {
            int64_t y0 = o / g->out_w * g->stride_h - g->pad_top;
            int64_t x0 = o % g->out_w * g->stride_w - g->pad_left;
            size_t n = 0;
            for (int64_t ky = 0; ky < g->kernel_h; ky++)
                for (int64_t kx = 0; kx < g->kernel_w; kx++) {
                    int64_t y = y0 + ky * g->dilation_h;
                    int64_t v = x0 + kx * g->dilation_w;
                    if (y < 0 || y >= g->in_h || v < 0 || v >= g->in_w)
                        continue;
                    taps[n++] = (size_t)((y * g->in_w + v) * j->c);
                }
            if (n) j->k->give_max((size_t)j->c, x, taps, n, gs, dx);
        }
    }
}

static oc_status run_max(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 1);
    plane_job j = {.k = c->kernels->train_f32, .c = x->dims[4]};
    OC_TRY(oc__geom_read(c, &j.g));
    j.gs = oc__in(c, 0)->data;
    j.x = x->data;
    j.y = oc__out(c, 0)->data;
    oc__parallel(c, x->dims[0] * x->dims[1], 1, max_range, &j);
    return OC_OK;
}

const oc__op oc__ops_blocked_planes[] = {
    {"ocelli", "DilateBlocked", 1, 1, 1, 1, 0, 0, infer_dilate, run_dilate,
     NULL},
    {"ocelli", "MaxPoolGradBlocked", 1, 2, 2, 1, 0, 0, infer_max, run_max,
     NULL},
    {"ocelli", "SpreadBlocked", 1, 2, 2, 1, 0, 0, infer_spread, run_spread,
     NULL},
    {0},
};
