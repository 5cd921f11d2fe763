/*
 * blocked_train.c - training on the blocked layout, domain "ocelli"; emitted
 * by passes/layout_train.c alone.  b stands for a blocked tensor.
 *
 *   NormBlocked       x b, scale, bias, mean, var -> y b, running mean and
 *                     variance, mean and 1 / deviation of the batch
 *                     epsilon; momentum; act (none, relu, clip), lo, hi
 *   NormGradBlocked   g b, x b, scale, mean, 1 / deviation, [y b] -> dx b,
 *                     of scale, of bias; lo, hi: of the activation that gave y
 *   ConvGradWeightsBlocked   g b, x b -> dw (O, I / group, kh, kw); geom
 *   DilateBlocked     x b -> b with zeros between; strides, sizes (y, x)
 *   MaxPoolGradBlocked   g b, x b -> dx b; geom
 *   SpreadBlocked     g b of one pixel, x b -> g / pixels everywhere
 *   SumBlocked        g b -> sum a channel; channels
 *   PadChannels       v -> v filled up to whole blocks with zeros
 *
 * Work is cut by the shapes alone, so sums have one order for any number of
 * threads.
 */
#include "ops/blocked.h"
#include "ops/nn.h"

#include <math.h>
#include <string.h>

/* Pixels of a run that is summed in f32. */
enum { RUN = 1024 };

static oc_status want_b(const oc__ctx *c, int i) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    OC_TRY(oc__want_rank(c, i, 5, 5));
    if (oc__in(c, i)->dims[4] != c->kernels->block)
        return oc__op_fail(c, OC_E_SHAPE, "input %d is blocked otherwise", i);
    return OC_OK;
}

static oc_status want_like(const oc__ctx *c, int i, const oc_tensor *t) {
    OC_TRY(want_b(c, i));
    if (!oc__tensor_same_shape(oc__in(c, i), t))
        return oc__op_fail(c, OC_E_SHAPE, "input %d is of another shape", i);
    return OC_OK;
}

/* A vector with a number for each of `channels`. */
static oc_status want_channels(const oc__ctx *c, int i, int64_t channels) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    if (oc_tensor_elems(oc__in(c, i)) != channels)
        return oc__op_fail(c, OC_E_SHAPE, "input %d has %lld values, want %lld",
                           i, (long long)oc_tensor_elems(oc__in(c, i)),
                           (long long)channels);
    return OC_OK;
}

/* ---- batch norms ----------------------------------------------------------
 */

typedef struct norm_job {
    const oc__train_f32_kernel *k;
    int64_t c, batch, blocks, pixels, channels;
    float lo, hi;
    const float *x, *g, *y;
    float *out;
    double *sums;             /* [batch][blocks][2][c] */
    float *shift, *a, *b, *d; /* [blocks][c] */
} norm_job;

static void norm_layout(const oc__ctx *c, oc__bump *m, norm_job *j) {
    const int64_t *d = oc__in(c, 0)->dims;
    j->k = c->kernels->train_f32;
    j->batch = d[0];
    j->blocks = d[1];
    j->pixels = d[2] * d[3];
    j->c = d[4];
    j->lo = oc__attr_float(c->node, "lo", -INFINITY);
    j->hi = oc__attr_float(c->node, "hi", INFINITY);
    int64_t lanes = j->blocks * j->c;
    j->sums = oc__bump_take(m, j->batch * lanes, 2 * sizeof(double));
    j->shift = oc__bump_take(m, lanes, sizeof(float));
    j->a = oc__bump_take(m, lanes, sizeof(float));
    j->b = oc__bump_take(m, lanes, sizeof(float));
    j->d = oc__bump_take(m, lanes, sizeof(float));
}

/* Planes are items of work: number i is one of batch and block. */
static oc__norm_run run_of(const norm_job *j, int64_t i, int64_t from) {
    size_t at = (size_t)((i * j->pixels + from) * j->c);
    size_t block = (size_t)(i % j->blocks * j->c);
    oc__norm_run r = {.c = (size_t)j->c,
                      .px = (size_t)OC_MIN(RUN, j->pixels - from),
                      .x = j->x + at,
                      .g = j->g ? j->g + at : NULL,
                      .y = j->y ? j->y + at : NULL,
                      .lo = j->lo,
                      .hi = j->hi,
                      .shift = j->shift + block,
                      .a = j->a + block,
                      .b = j->b + block,
                      .d = j->d + block,
                      .out = j->out ? j->out + at : NULL};
    return r;
}

static void sum_range(void *user, int64_t begin, int64_t end, int worker) {
    const norm_job *j = user;
    float part[2 * 16];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double *to = j->sums + i * 2 * j->c;
        memset(to, 0, (size_t)(2 * j->c) * sizeof(*to));
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            memset(part, 0, sizeof(part));
            if (j->g)
                j->k->grad_stats(&r, part);
            else
                j->k->stats(&r, part);
            for (int64_t k = 0; k < 2 * j->c; k++)
                to[k] += (double)part[k];
        }
    }
}

static void out_range(void *user, int64_t begin, int64_t end, int worker) {
    const norm_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            if (j->g)
                j->k->grad(&r);
            else
                j->k->apply(&r);
        }
}

/* Both sums of channel ch over the batch, in order. */
static void total(const norm_job *j, int64_t ch, double *s, double *q) {
    int64_t at = ch / j->c * 2 * j->c + ch % j->c;
    *s = *q = 0;
    for (int64_t n = 0; n < j->batch; n++, at += j->blocks * 2 * j->c) {
        *s += j->sums[at];
        *q += j->sums[at + j->c];
    }
}

static int64_t grain_of(const norm_job *j) {
    return OC_MAX(1, 16384 / OC_MAX(j->pixels * j->c, 1));
}

/* Input i has an element for each channel; they must fill the blocks of x. */
static oc_status count_channels(const oc__ctx *c, int i, int64_t *channels) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    const int64_t *d = oc__in(c, 0)->dims;
    *channels = oc_tensor_elems(oc__in(c, i));
    if ((*channels + d[4] - 1) / d[4] != d[1])
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels do not fill it",
                           (long long)*channels);
    return OC_OK;
}

static oc_status infer_norm(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(want_b(c, 0));
    int64_t channels;
    OC_TRY(count_channels(c, 1, &channels));
    for (int i = 2; i < 5; i++)
        OC_TRY(want_channels(c, i, channels));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    for (int i = 1; i < 5; i++)
        OC_TRY(oc__out_set(c, i, OC_DTYPE_F32, 1, &channels));
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    return oc__bump_need(c, &m);
}

static float *out_data(const oc__ctx *c, int i) {
    oc_tensor *t = oc__out(c, i);
    return t ? t->data : NULL;
}

/* Statistics of all channels; what y = a x + d wants of them. */
static void finish_stats(oc__ctx *c, norm_job *j) {
    const float *scale = oc__in(c, 1)->data, *bias = oc__in(c, 2)->data;
    const float *old[2] = {oc__in(c, 3)->data, oc__in(c, 4)->data};
    double epsilon = oc__attr_float(c->node, "epsilon", 1e-5f);
    double kept = oc__attr_float(c->node, "momentum", 0.9f);
    double n = (double)j->batch * (double)j->pixels;
    float *out[5];
    for (int i = 1; i < 5; i++)
        out[i] = out_data(c, i);
    memset(j->a, 0, (size_t)(j->blocks * j->c) * sizeof(float));
    memset(j->d, 0, (size_t)(j->blocks * j->c) * sizeof(float));
    for (int64_t ch = 0; ch < j->channels; ch++) {
        double s, q, now[2];
        total(j, ch, &s, &q);
        now[0] = (double)j->shift[ch] + s / n;
        now[1] = OC_MAX(q / n - s / n * (s / n), 0);
        if (q != q) now[1] = q;
        double inv = 1 / sqrt(now[1] + epsilon), a = (double)scale[ch] * inv;
        j->a[ch] = (float)a;
        j->d[ch] = (float)((double)bias[ch] - now[0] * a);
        for (int i = 0; i < 2; i++)
            if (out[1 + i])
                out[1 + i][ch] =
                    (float)((double)old[i][ch] * kept + now[i] * (1 - kept));
        if (out[3]) out[3][ch] = (float)now[0];
        if (out[4]) out[4][ch] = (float)inv;
    }
}

static oc_status run_norm(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    j.channels = oc_tensor_elems(oc__in(c, 1));
    j.x = oc__in(c, 0)->data;
    j.out = out_data(c, 0);
    if (!j.out)
        return oc__op_fail(c, OC_E_ARG, "its first output must be wanted");
    if (oc_tensor_elems(oc__in(c, 0)) == 0) return OC_OK;
    /* The first pixel: mostly within a few deviations of the mean, so that
       the difference of squares keeps its digits. */
    for (int64_t b = 0; b < j.blocks; b++)
        memcpy(j.shift + b * j.c, j.x + b * j.pixels * j.c,
               (size_t)j.c * sizeof(float));
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), sum_range, &j);
    finish_stats(c, &j);
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), out_range, &j);
    return OC_OK;
}

static oc_status infer_norm_grad(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(want_b(c, 0));
    OC_TRY(want_like(c, 1, oc__in(c, 0)));
    int64_t channels;
    OC_TRY(count_channels(c, 2, &channels));
    for (int i = 3; i < 5; i++)
        OC_TRY(want_channels(c, i, channels));
    if (oc__in_value(c, 5)) OC_TRY(want_like(c, 5, oc__in(c, 0)));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    OC_TRY(oc__out_set(c, 1, OC_DTYPE_F32, 1, &channels));
    OC_TRY(oc__out_set(c, 2, OC_DTYPE_F32, 1, &channels));
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    return oc__bump_need(c, &m);
}

static oc_status run_norm_grad(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    const float *scale = oc__in(c, 2)->data, *mean = oc__in(c, 3)->data;
    const float *inv = oc__in(c, 4)->data;
    float *of_scale = out_data(c, 1), *of_bias = out_data(c, 2);
    double n = (double)j.batch * (double)j.pixels;
    size_t lanes = (size_t)(j.blocks * j.c) * sizeof(float);
    j.channels = oc_tensor_elems(oc__in(c, 2));
    j.g = oc__in(c, 0)->data;
    j.x = oc__in(c, 1)->data;
    j.y = oc__in_value(c, 5) ? oc__in(c, 5)->data : NULL;
    j.out = out_data(c, 0);
    memset(j.shift, 0, lanes);
    memset(j.a, 0, lanes);
    memset(j.b, 0, lanes);
    memset(j.d, 0, lanes);
    memcpy(j.shift, mean, (size_t)j.channels * sizeof(float));
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), sum_range, &j);
    for (int64_t ch = 0; ch < j.channels; ch++) {
        double s, q, i = (double)inv[ch], a = (double)scale[ch] * i;
        total(&j, ch, &s, &q);
        j.a[ch] = (float)a;
        j.b[ch] = (float)(-a * i * i * q / n);
        j.d[ch] = (float)(-a * s / n);
        if (of_scale) of_scale[ch] = (float)(q * i);
        if (of_bias) of_bias[ch] = (float)s;
    }
    if (j.out) oc__parallel(c, j.batch * j.blocks, grain_of(&j), out_range, &j);
    return OC_OK;
}

/* ---- sums of channels -----------------------------------------------------
 */

static oc_status infer_sum(oc__ctx *c) {
    norm_job j = {0};
    OC_TRY(want_b(c, 0));
    int64_t channels = oc__attr_int(c->node, "channels", 0);
    const int64_t *d = oc__in(c, 0)->dims;
    if (channels < 1 || (channels + d[4] - 1) / d[4] != d[1])
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels do not fill it",
                           (long long)channels);
    oc__bump m = oc__bump_counter();
    norm_layout(c, &m, &j);
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_F32, 1, &channels));
    return oc__bump_need(c, &m);
}

static void plain_sum_range(void *user, int64_t begin, int64_t end,
                            int worker) {
    const norm_job *j = user;
    float part[16];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double *to = j->sums + i * 2 * j->c;
        memset(to, 0, (size_t)(2 * j->c) * sizeof(*to));
        for (int64_t p = 0; p < j->pixels; p += RUN) {
            oc__norm_run r = run_of(j, i, p);
            memset(part, 0, sizeof(part));
            j->k->sum(&r, part);
            for (int64_t k = 0; k < j->c; k++)
                to[k] += (double)part[k];
        }
    }
}

static oc_status run_sum(oc__ctx *c) {
    norm_job j = {0};
    oc__bump m = oc__bump_cutter(c);
    norm_layout(c, &m, &j);
    j.x = oc__in(c, 0)->data;
    float *y = out_data(c, 0);
    oc__parallel(c, j.batch * j.blocks, grain_of(&j), plain_sum_range, &j);
    for (int64_t ch = 0; ch < oc_tensor_elems(oc__out(c, 0)); ch++) {
        double s, q;
        total(&j, ch, &s, &q);
        y[ch] = (float)s;
    }
    return OC_OK;
}

static oc_status infer_pad(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 1, 1));
    int64_t b = c->kernels->block;
    int64_t n = OC_CEIL_DIV(oc__in(c, 0)->dims[0], b) * b;
    return oc__out_set(c, 0, OC_DTYPE_F32, 1, &n);
}

static oc_status run_pad(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    memset(y->data, 0, oc_tensor_bytes(y));
    memcpy(y->data, x->data, oc_tensor_bytes(x));
    return OC_OK;
}

/* ---- gradients of weights -------------------------------------------------
 */

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
    OC_TRY(want_b(c, 0));
    OC_TRY(want_b(c, 1));
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

/* ---- moving and pooling ---------------------------------------------------
 */

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
    OC_TRY(want_b(c, 0));
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
    OC_TRY(want_b(c, 0));
    OC_TRY(want_b(c, 1));
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
    OC_TRY(want_b(c, 0));
    OC_TRY(want_b(c, 1));
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

const oc__op oc__ops_blocked_train[] = {
    {"ocelli", "NormBlocked", 1, 5, 5, 5, 0, 0, infer_norm, run_norm, NULL},
    {"ocelli", "NormGradBlocked", 1, 5, 6, 3, 0, 0, infer_norm_grad,
     run_norm_grad, NULL},
    {"ocelli", "ConvGradWeightsBlocked", 1, 2, 2, 1, 0, 0, infer_weights,
     run_weights, flops_weights},
    {"ocelli", "DilateBlocked", 1, 1, 1, 1, 0, 0, infer_dilate, run_dilate,
     NULL},
    {"ocelli", "MaxPoolGradBlocked", 1, 2, 2, 1, 0, 0, infer_max, run_max,
     NULL},
    {"ocelli", "SpreadBlocked", 1, 2, 2, 1, 0, 0, infer_spread, run_spread,
     NULL},
    {"ocelli", "SumBlocked", 1, 1, 1, 1, 0, 0, infer_sum, run_sum, NULL},
    {"ocelli", "PadChannels", 1, 1, 1, 1, 0, 0, infer_pad, run_pad, NULL},
    {0},
};
