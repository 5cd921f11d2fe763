/* test_kernels_conv.c - convolution, pooling and the blocked layout against
 * plain loops in double: every way, every CPU mask, random geometry. */
#include "checkasm.h"

#include "base/half.h"
#include "cpu/pool.h"

#include <math.h>

static int is_winograd(oc__conv_algo way) {
    return way >= OC_CONV_WINOGRAD2 && way <= OC_CONV_WINOGRAD6;
}

/* The table of the mask, with every way allowed. */
static oc__kernels with_bf16(const oc__kernels *k) {
    oc__kernels all = *k;
    all.bf16 = 1;
    return all;
}

static int64_t below(int64_t n) {
    return (int64_t)oc__rng_below(check_rng(), (uint64_t)n);
}

/* ---- geometry ------------------------------------------------------------ */

static int64_t out_size(int64_t in, int64_t kernel, int64_t stride,
                        int64_t dilation, int64_t pad0, int64_t pad1) {
    int64_t room = in + pad0 + pad1 - (kernel - 1) * dilation - 1;
    return room < 0 ? 0 : room / stride + 1;
}

/* Paddings up to the kernel, unequal at the two ends. */
static void finish_geometry(oc__conv_geom *g) {
    int64_t bottom, right;
    do {
        g->pad_top =
            below(3) ? below((g->kernel_h - 1) * g->dilation_h + 1) : 0;
        g->pad_left =
            below(3) ? below((g->kernel_w - 1) * g->dilation_w + 1) : 0;
        bottom = below(2) ? g->pad_top : below(3);
        right = below(2) ? g->pad_left : below(3);
        g->in_h += below(3);
        g->in_w += below(3);
        g->out_h = out_size(g->in_h, g->kernel_h, g->stride_h, g->dilation_h,
                            g->pad_top, bottom);
        g->out_w = out_size(g->in_w, g->kernel_w, g->stride_w, g->dilation_w,
                            g->pad_left, right);
    } while (g->out_h == 0 || g->out_w == 0);
}

static oc__conv_geom random_geometry(oc__conv_algo way) {
    static const int64_t kernels[] = {1, 1, 2, 3, 3, 3, 4, 5, 7};
    static const int64_t sizes[] = {1, 2, 5, 7, 8, 13, 14, 15, 17, 28, 31, 43};
    static const int64_t channels[] = {1,  2,  3,  7,  8,  9,
                                       15, 16, 17, 24, 32, 40};
    oc__conv_geom g = {.batch = 1 + below(2) * below(3), .group = 1};
    g.in_h = sizes[below(OC_COUNT(sizes))];
    g.in_w = sizes[below(OC_COUNT(sizes))];
    g.kernel_h = kernels[below(OC_COUNT(kernels))];
    g.kernel_w = below(3) ? g.kernel_h : kernels[below(OC_COUNT(kernels))];
    g.stride_h = 1 + below(2) * below(3);
    g.stride_w = below(3) ? g.stride_h : 1 + below(4);
    g.dilation_h = 1 + (below(4) ? 0 : below(3));
    g.dilation_w = below(2) ? g.dilation_h : 1 + (below(4) ? 0 : below(3));
    g.in_c = channels[below(OC_COUNT(channels))];
    g.out_c = channels[below(OC_COUNT(channels))];
    if (way == OC_CONV_FIRST) g.in_c = 1 + below(4);
    if (way == OC_CONV_DEPTHWISE) g.group = g.out_c = g.in_c;
    if (is_winograd(way)) {
        g.kernel_h = g.kernel_w = 3;
        g.stride_h = g.stride_w = g.dilation_h = g.dilation_w = 1;
    }
    if (way == OC_CONV_POINT || way == OC_CONV_POINT_BF16) {
        g.kernel_h = g.kernel_w = 1;
        g.in_c = 1 + below(200);
        g.out_c = 1 + below(100);
    }
    if ((way == OC_CONV_DIRECT || way == OC_CONV_DIRECT_BF16) &&
        below(3) == 0) {
        /* Groups that share a block, and groups of whole blocks. */
        static const int64_t per[] = {2, 4, 8, 16, 32};
        int64_t n = per[below(OC_COUNT(per))];
        g.group = 1 + below(5);
        g.in_c = g.out_c = n * g.group;
    }
    finish_geometry(&g);
    return g;
}

/* ---- the reference ------------------------------------------------------- */

typedef struct reference {
    double *sum, *mass; /* dense NCHW; mass is the sum of absolute values */
} reference;

static double *new_doubles(int64_t n) {
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static void reference_at(const oc__conv_geom *g, const float *in,
                         const float *w, int64_t n, int64_t o, int64_t y,
                         int64_t x, double *sum, double *mass) {
    int64_t per = g->in_c / g->group, first = o / (g->out_c / g->group) * per;
    for (int64_t c = 0; c < per; c++)
        for (int64_t i = 0; i < g->kernel_h; i++)
            for (int64_t j = 0; j < g->kernel_w; j++) {
                int64_t iy = y * g->stride_h - g->pad_top + i * g->dilation_h;
                int64_t ix = x * g->stride_w - g->pad_left + j * g->dilation_w;
                if (iy < 0 || iy >= g->in_h || ix < 0 || ix >= g->in_w)
                    continue;
                int64_t at = (n * g->in_c + first + c) * g->in_h + iy;
                double t =
                    (double)in[at * g->in_w + ix] *
                    (double)
                        w[((o * per + c) * g->kernel_h + i) * g->kernel_w + j];
                *sum += t;
                *mass += fabs(t);
            }
}

static reference run_reference(const oc__conv_geom *g, const float *in,
                               const float *w) {
    int64_t elems = g->batch * g->out_c * g->out_h * g->out_w, i = 0;
    reference r = {new_doubles(elems), new_doubles(elems)};
    for (int64_t n = 0; n < g->batch; n++)
        for (int64_t o = 0; o < g->out_c; o++)
            for (int64_t y = 0; y < g->out_h; y++)
                for (int64_t x = 0; x < g->out_w; x++, i++)
                    reference_at(g, in, w, n, o, y, x, &r.sum[i], &r.mass[i]);
    return r;
}

static double act_of(int act, double a, double b, double x) {
    switch (act) {
    case OC_ACT_RELU: return x < 0 ? 0 : x;
    case OC_ACT_CLIP: return fmin(fmax(x, a), b);
    case OC_ACT_LEAKY_RELU: return x < 0 ? a * x : x;
    case OC_ACT_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

/* ---- convolution --------------------------------------------------------- */

static float *new_floats(int64_t n) {
    return check_alloc((size_t)n * sizeof(float));
}

/* A blocked tensor with random channels and NaN in the filling: if any of
 * that gets into a real channel, the result shows it. */
static float *blocked_input(const oc__kernels *k, int64_t batch, int64_t c,
                            int64_t pixels, const float *plain) {
    int64_t block = k->block, blocks = (c + block - 1) / block;
    float *x = new_floats(batch * blocks * block * pixels);
    for (int64_t n = 0; n < batch; n++)
        for (int64_t ch = 0; ch < blocks * block; ch++)
            for (int64_t p = 0; p < pixels; p++)
                x[((n * blocks + ch / block) * pixels + p) * block +
                  ch % block] = ch < c ? plain[(n * c + ch) * pixels + p] : NAN;
    return x;
}

static float blocked_at(const oc__kernels *k, const float *x, int64_t n,
                        int64_t c, int64_t ch, int64_t pixels, int64_t p) {
    int64_t block = k->block, blocks = (c + block - 1) / block;
    return x[((n * blocks + ch / block) * pixels + p) * block + ch % block];
}

typedef struct epilogue {
    int bias, residual, act;
    float a, b;
} epilogue;

static epilogue random_epilogue(void) {
    static const int acts[] = {OC_ACT_NONE, OC_ACT_RELU, OC_ACT_CLIP,
                               OC_ACT_LEAKY_RELU, OC_ACT_SIGMOID};
    epilogue e = {(int)below(2), (int)below(2), 0, -0.5f, 0.75f};
    e.act = acts[below(OC_COUNT(acts))];
    return e;
}

/* Winograd's transforms lose some bits; the design's bound is 1e-3 of the
 * range, what is asked here is far stricter. */
static double room_of(const oc__conv_geom *g, oc__conv_algo way, double mass,
                      double x, double range) {
    double terms = (double)(g->in_c / g->group * g->kernel_h * g->kernel_w);
    if (is_winograd(way)) return 1e-4 * (range + fabs(x));
    return 0x1p-23 * (terms * mass + 8 * (fabs(x) + mass + 3));
}

static void check_output(const oc__kernels *k, const oc__conv_f32_args *a,
                         const reference *r, const epilogue *e) {
    const oc__conv_geom *g = &a->g;
    int64_t pixels = g->out_h * g->out_w, i = 0;
    double range = 0;
    for (; i < g->batch * g->out_c * pixels; i++)
        range = fmax(range, fabs(r->sum[i]));
    i = 0;
    for (int64_t n = 0; n < g->batch; n++)
        for (int64_t o = 0; o < g->out_c; o++)
            for (int64_t p = 0; p < pixels; p++, i++) {
                double x = r->sum[i];
                if (a->bias) x += (double)a->bias[o];
                if (a->residual)
                    x += (double)blocked_at(k, a->residual, n, g->out_c, o,
                                            pixels, p);
                double room = room_of(g, a->algo, r->mass[i], x, range);
                double want = act_of(e->act, (double)e->a, (double)e->b, x);
                float got = blocked_at(k, a->out, n, g->out_c, o, pixels, p);
                check_close(&got, &want, 1, 1, room);
            }
}

static float *rounded(const float *x, int64_t n) {
    float *y = new_floats(n);
    for (int64_t i = 0; i < n; i++)
        y[i] = oc__bf16_to_f32(oc__f32_to_bf16(x[i]));
    return y;
}

/* Of what the way multiplies. */
static reference reference_of(const oc__conv_geom *g, oc__conv_algo way,
                              const float *in, const float *w) {
    if (oc__conv_is_bf16(way)) {
        in = rounded(in, g->batch * g->in_c * g->in_h * g->in_w);
        w = rounded(w, g->out_c * (g->in_c / g->group) * g->kernel_h *
                           g->kernel_w);
    }
    return run_reference(g, in, w);
}

/* A plain picture with its channels last. */
static float *channels_last(const oc__conv_geom *g, const float *plain) {
    int64_t pixels = g->in_h * g->in_w;
    float *out = new_floats(g->batch * g->in_c * pixels);
    for (int64_t n = 0; n < g->batch; n++)
        for (int64_t c = 0; c < g->in_c; c++)
            for (int64_t i = 0; i < pixels; i++)
                out[(n * pixels + i) * g->in_c + c] =
                    plain[(n * g->in_c + c) * pixels + i];
    return out;
}

static void check_conv(const oc__kernels *k, const oc__conv_geom *g,
                       oc__conv_algo way, oc__pool *pool) {
    int64_t block = k->block;
    int64_t in_elems = g->batch * g->in_c * g->in_h * g->in_w;
    int64_t w_elems =
        g->out_c * (g->in_c / g->group) * g->kernel_h * g->kernel_w;
    int64_t out_c = (g->out_c + block - 1) / block * block;
    int64_t pixels = g->out_h * g->out_w;
    float *plain = new_floats(in_elems), *w = new_floats(w_elems);
    check_fill(plain, (size_t)in_elems, -1, 1);
    check_fill(w, (size_t)w_elems, -1, 1);
    reference r = reference_of(g, way, plain, w);
    epilogue e = random_epilogue();

    oc__conv_f32_args a = {.g = *g, .algo = way, .act = e.act};
    a.act_a = e.a;
    a.act_b = e.b;
    a.in = way == OC_CONV_FIRST
               ? plain
               : blocked_input(k, g->batch, g->in_c, g->in_h * g->in_w, plain);
    check_kernel(k,
                 "conv %s n%d c%d %dx%d -> c%d %dx%d k%dx%d s%d,%d d%d,%d "
                 "p%d,%d g%d act %d bias %d add %d",
                 oc__conv_algo_name(way), (int)g->batch, (int)g->in_c,
                 (int)g->in_h, (int)g->in_w, (int)g->out_c, (int)g->out_h,
                 (int)g->out_w, (int)g->kernel_h, (int)g->kernel_w,
                 (int)g->stride_h, (int)g->stride_w, (int)g->dilation_h,
                 (int)g->dilation_w, (int)g->pad_top, (int)g->pad_left,
                 (int)g->group, e.act, e.bias, e.residual);
    float *packed = new_floats((int64_t)oc__conv_f32_packed_elems(k, g, way));
    oc__conv_f32_pack(k, pool, g, way, w, packed);
    a.packed_w = packed;
    float *bias = new_floats(out_c);
    check_fill(bias, (size_t)out_c, -1, 1);
    if (e.bias) a.bias = bias;
    float *residual = new_floats(g->batch * out_c * pixels);
    check_fill(residual, (size_t)(g->batch * out_c * pixels), -1, 1);
    if (e.residual) a.residual = residual;
    a.out = new_floats(g->batch * out_c * pixels);
    size_t bytes =
        oc__conv_f32_scratch_bytes(k, g, way, oc__pool_threads(pool));
    void *scratch = check_alloc(oc__align_up(bytes, 64));
    oc__conv_f32(k, pool, &a, scratch);
    check_output(k, &a, &r, &e);
    if (way == OC_CONV_FIRST) {
        const float *first = a.out;
        a.in = channels_last(g, plain);
        a.in_last = 1;
        a.out = new_floats(g->batch * out_c * pixels);
        oc__conv_f32(k, pool, &a, scratch);
        check_same(a.out, first, (size_t)(g->batch * out_c * pixels));
    }
    check_free_all();
    free(r.sum);
    free(r.mass);
}

static double work_of(const oc__conv_geom *g) {
    return (double)(g->batch * g->out_c * g->out_h * g->out_w * g->kernel_h *
                    g->kernel_w) *
           (double)(g->in_c / g->group);
}

/* What a plain loop in double does within its share of the time. */
static double most_work(void) {
    return test_is_small() ? 3e5 : 1.5e6;
}

static void each_conv(const oc__kernels *table) {
    oc__kernels all = with_bf16(table), *k = &all;
    for (int way = 0; way < OC_CONV_ALGO_COUNT; way++)
        for (int i = 0; i < 120; i++) {
            oc__conv_geom g = random_geometry((oc__conv_algo)way);
            if (work_of(&g) > most_work()) continue;
            if (!oc__conv_f32_can(k, &g, (oc__conv_algo)way)) continue;
            check_conv(k, &g, (oc__conv_algo)way, NULL);
        }
}

static void conv_f32_matches_double(void **state) {
    (void)state;
    check_each_mask(each_conv);
}

/* Plain in, plain out, on the same geometries. */
static void check_plain(const oc__kernels *k, const oc__conv_geom *g) {
    int64_t in_elems = g->batch * g->in_c * g->in_h * g->in_w;
    int64_t w_elems =
        g->out_c * (g->in_c / g->group) * g->kernel_h * g->kernel_w;
    int64_t out_elems = g->batch * g->out_c * g->out_h * g->out_w;
    int64_t pixels = g->out_h * g->out_w;
    float *in = new_floats(in_elems), *w = new_floats(w_elems);
    float *bias = new_floats(g->out_c), *residual = new_floats(out_elems);
    check_fill(in, (size_t)in_elems, -1, 1);
    check_fill(w, (size_t)w_elems, -1, 1);
    check_fill(bias, (size_t)g->out_c, -1, 1);
    check_fill(residual, (size_t)out_elems, -1, 1);
    reference r = run_reference(g, in, w);
    epilogue e = random_epilogue();
    oc__conv_f32_args a = {.g = *g, .in = in, .act = e.act, .act_a = e.a};
    a.act_b = e.b;
    a.bias = e.bias ? bias : NULL;
    a.residual = e.residual ? residual : NULL;
    a.out = new_floats(out_elems);
    check_kernel(k, "conv plain c%d %dx%d -> c%d k%dx%d g%d", (int)g->in_c,
                 (int)g->in_h, (int)g->in_w, (int)g->out_c, (int)g->kernel_h,
                 (int)g->kernel_w, (int)g->group);
    size_t bytes = oc__conv_plain_f32_scratch_bytes(k, g, e.residual, 1);
    oc__conv_plain_f32(k, NULL, &a, w, check_alloc(oc__align_up(bytes, 64)));
    for (int64_t i = 0; i < out_elems; i++) {
        double x = r.sum[i];
        if (a.bias) x += (double)bias[i / pixels % g->out_c];
        if (a.residual) x += (double)residual[i];
        double want = act_of(e.act, (double)e.a, (double)e.b, x);
        check_close(&a.out[i], &want, 1, 1,
                    room_of(g, OC_CONV_DIRECT, r.mass[i], x, 0));
    }
    check_free_all();
    free(r.sum);
    free(r.mass);
}

static void each_plain(const oc__kernels *k) {
    for (int i = 0; i < 120; i++) {
        oc__conv_geom g = random_geometry((oc__conv_algo)(i % 3));
        if (work_of(&g) > most_work() || !oc__conv_plain_f32_can(k, &g))
            continue;
        check_plain(k, &g);
    }
}

static void conv_plain_f32_matches_double(void **state) {
    (void)state;
    check_each_mask(each_plain);
}

/* A square kernel, no strides or groups, the same padding on all sides. */
static oc__conv_geom plain_geom(int64_t batch, int64_t in_c, int64_t in_h,
                                int64_t in_w, int64_t out_c, int64_t kernel,
                                int64_t pad) {
    return (oc__conv_geom){.batch = batch,
                           .in_c = in_c,
                           .in_h = in_h,
                           .in_w = in_w,
                           .out_c = out_c,
                           .out_h = in_h + 2 * pad - kernel + 1,
                           .out_w = in_w + 2 * pad - kernel + 1,
                           .kernel_h = kernel,
                           .kernel_w = kernel,
                           .stride_h = 1,
                           .stride_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .pad_top = pad,
                           .pad_left = pad,
                           .group = 1};
}

/* Pictures that leave a small L2, so that direct convolution copies its input
 * band by band: with a pool, whatever the rows, as elsewhere. */
static void each_banded(const oc__kernels *table) {
    oc__kernels k = with_bf16(table);
    const oc__conv_algo ways[] = {OC_CONV_DIRECT, OC_CONV_DIRECT_BF16};
    k.l2_bytes = 64 << 10;
    for (int i = 0; i < 24; i++) {
        oc__conv_algo way = ways[i % 2];
        oc__conv_geom g = plain_geom(1 + below(2), 9 + below(8), 34 + below(16),
                                     36 + below(8), 1 + below(20),
                                     3 + 2 * below(2), below(3));
        g.stride_h = 1 + below(2);
        g.stride_w = 1 + below(2);
        g.out_h = (g.in_h + 2 * g.pad_top - g.kernel_h) / g.stride_h + 1;
        g.out_w = (g.in_w + 2 * g.pad_left - g.kernel_w) / g.stride_w + 1;
        if (!oc__conv_f32_can(&k, &g, way)) continue;
        oc__pool *pool = NULL;
        assert_int_equal(oc__pool_create(&pool, &oc__default_allocator,
                                         1 + (int)below(3), NULL),
                         OC_OK);
        check_conv(&k, &g, way, pool);
        oc__pool_destroy(pool);
    }
    /* Each worker has a band of its own: these are bands indeed. */
    oc__conv_geom g = plain_geom(1, 16, 48, 40, 16, 3, 1);
    assert_true(oc__conv_f32_scratch_bytes(&k, &g, OC_CONV_DIRECT, 2) >
                oc__conv_f32_scratch_bytes(&k, &g, OC_CONV_DIRECT, 1));
}

static void conv_f32_goes_by_bands(void **state) {
    (void)state;
    check_each_mask(each_banded);
}

/* Every width of a tile, with one and with two blocks out; sums long enough
 * to be cut into parts. */
static void each_width(const oc__kernels *table) {
    oc__kernels all = with_bf16(table), *k = &all;
    for (int64_t w = 1; w <= 33; w++) {
        oc__conv_geom g = plain_geom(1, 37, 3, w, k->block * (1 + w % 3), 3, 1);
        check_conv(k, &g, OC_CONV_DIRECT, NULL);
        check_conv(k, &g, OC_CONV_DIRECT_BF16, NULL);
        g.in_c = 3;
        check_conv(k, &g, OC_CONV_FIRST, NULL);
        g.in_c = g.group = g.out_c;
        check_conv(k, &g, OC_CONV_DEPTHWISE, NULL);
        g = plain_geom(1, 430, 1, w, k->block + w, 1, 0);
        check_conv(k, &g, OC_CONV_DIRECT, NULL);
        g.in_c += 2 * w;
        check_conv(k, &g, OC_CONV_POINT_BF16, NULL);
    }
}

static void conv_f32_does_every_width(void **state) {
    (void)state;
    check_each_mask(each_width);
}

/* Same bits for every pool. */
static void same_bits(const oc__kernels *k, const oc__conv_geom *g,
                      oc__conv_algo way) {
    int64_t in_elems = g->batch * OC_MAX(g->in_c, 64) * g->in_h * g->in_w;
    int64_t w_elems = g->out_c * g->in_c * g->kernel_h * g->kernel_w;
    int64_t out_elems =
        g->batch * (g->out_c + k->block - 1) * g->out_h * g->out_w;
    float *w = new_floats(w_elems), *in = new_floats(in_elems);
    check_fill(in, (size_t)in_elems, -1, 1);
    check_fill(w, (size_t)w_elems, -1, 1);
    float *packed = new_floats((int64_t)oc__conv_f32_packed_elems(k, g, way));
    oc__conv_f32_pack(k, NULL, g, way, w, packed);
    oc__conv_f32_args a = {
        .g = *g, .algo = way, .in = in, .packed_w = packed, .act = OC_ACT_SILU};
    float *want = new_floats(out_elems);
    for (int threads = 1; threads <= 4; threads++) {
        oc__pool *pool = NULL;
        assert_int_equal(
            oc__pool_create(&pool, &oc__default_allocator, threads, NULL),
            OC_OK);
        check_kernel(k, "conv %s of %d x %d, %d threads",
                     oc__conv_algo_name(way), (int)g->out_h, (int)g->out_w,
                     threads);
        size_t bytes = oc__conv_f32_scratch_bytes(k, g, way, threads);
        a.out = threads == 1 ? want : new_floats(out_elems);
        oc__conv_f32(k, pool, &a, check_alloc(oc__align_up(bytes, 64)));
        check_same(a.out, want,
                   (size_t)(g->batch * g->out_c * g->out_h * g->out_w));
        oc__pool_destroy(pool);
    }
    check_free_all();
}

/* The last two are few tiles: they are shared out in another manner. */
static void each_thread_count(const oc__kernels *table) {
    oc__kernels all = with_bf16(table), *k = &all;
    const oc__conv_geom geoms[] = {
        plain_geom(2, 48, 29, 31, 48, 3, 1),
        plain_geom(2, 48, 29, 31, 48, 1, 0),
        plain_geom(1, 16, 32, 32, 16, 3, 1),
        plain_geom(1, 160, 14, 14, 288, 1, 0),
    };
    for (size_t i = 0; i < OC_COUNT(geoms); i++)
        for (int way = 0; way < OC_CONV_ALGO_COUNT; way++) {
            oc__conv_geom g = geoms[i];
            if (way == OC_CONV_FIRST) g.in_c = 3;
            if (way == OC_CONV_DEPTHWISE) g.group = g.out_c = g.in_c;
            if (oc__conv_f32_can(k, &g, (oc__conv_algo)way))
                same_bits(k, &g, (oc__conv_algo)way);
        }
}

static void conv_f32_is_the_same_for_all_thread_counts(void **state) {
    (void)state;
    check_each_mask(each_thread_count);
}

/* ---- gradients of the weights -------------------------------------------- */

/* The weight of one tap between two channels, in double. */
static double weight_gradient(const oc__conv_geom *g, const float *x,
                              const float *grad, int64_t o, int64_t i,
                              int64_t ky, int64_t kx) {
    double sum = 0;
    for (int64_t n = 0; n < g->batch; n++)
        for (int64_t oy = 0; oy < g->out_h; oy++)
            for (int64_t ox = 0; ox < g->out_w; ox++) {
                int64_t y = oy - g->pad_top + ky, z = ox - g->pad_left + kx;
                if (y < 0 || y >= g->in_h || z < 0 || z >= g->in_w) continue;
                int64_t to = (n * g->out_c + o) * g->out_h + oy;
                int64_t from = (n * g->in_c + i) * g->in_h + y;
                sum += (double)grad[to * g->out_w + ox] *
                       (double)x[from * g->in_w + z];
            }
    return sum;
}

static void check_gradient(const oc__kernels *k, const oc__conv_geom *g) {
    int64_t b = k->block, ins = (g->in_c + b - 1) / b;
    int64_t outs = (g->out_c + b - 1) / b, elems = ins * outs * 9 * b * b;
    int64_t x_elems = g->batch * g->in_c * g->in_h * g->in_w;
    int64_t g_elems = g->batch * g->out_c * g->out_h * g->out_w;
    float *x = new_floats(x_elems), *grad = new_floats(g_elems), *want = NULL;
    check_fill(x, (size_t)x_elems, -1, 1);
    check_fill(grad, (size_t)g_elems, -1, 1);
    check_kernel(k, "weights by Winograd n%d c%d %dx%d -> c%d %dx%d",
                 (int)g->batch, (int)g->in_c, (int)g->in_h, (int)g->in_w,
                 (int)g->out_c, (int)g->out_h, (int)g->out_w);
    float *xb = blocked_input(k, g->batch, g->in_c, g->in_h * g->in_w, x);
    float *gb = blocked_input(k, g->batch, g->out_c, g->out_h * g->out_w, grad);
    for (int threads = 1; threads <= 3; threads += 2) {
        oc__pool *pool = NULL;
        assert_int_equal(
            oc__pool_create(&pool, &oc__default_allocator, threads, NULL),
            OC_OK);
        size_t bytes = oc__conv_grad_winograd_scratch_bytes(k, g, threads);
        float *dw = new_floats(elems);
        oc__conv_grad_winograd(k, pool, g, xb, gb, dw,
                               check_alloc(oc__align_up(bytes, 64)));
        oc__pool_destroy(pool);
        double room = 1e-5 * (double)(g->batch * g->out_h * g->out_w);
        for (int64_t e = 0; e < g->out_c * g->in_c * 9; e++) {
            int64_t o = e / 9 / g->in_c, i = e / 9 % g->in_c, t = e % 9;
            int64_t at = (((o / b * ins + i / b) * 9 + t) * b + i % b) * b;
            double v = weight_gradient(g, x, grad, o, i, t / 3, t % 3);
            if (threads == 1) check_close(&dw[at + o % b], &v, 1, 1, room);
            if (want) check_same(&dw[at + o % b], &want[at + o % b], 1);
        }
        want = dw;
    }
    check_free_all();
}

/* One part, some of them; edges that are cut; channels that fill no block. */
static void each_gradient(const oc__kernels *k) {
    static const int64_t shapes[][6] = {
        {4, 24, 13, 18, 17, 1}, {1, 8, 32, 32, 8, 0}, {3, 5, 21, 25, 33, 2}};
    for (size_t i = 0; i < OC_COUNT(shapes); i++) {
        const int64_t *s = shapes[i];
        oc__conv_geom g = plain_geom(s[0], s[1], s[2], s[3], s[4], 3, s[5]);
        g.out_w -= s[5]; /* nothing beyond the right edge */
        check_gradient(k, &g);
    }
    oc__conv_geom wide = plain_geom(64, 150, 4, 4, 130, 3, 1);
    assert_true(oc__conv_grad_winograd_pays(k, &wide));
    if (!test_is_small()) check_gradient(k, &wide);
    wide.in_c = wide.out_c = 0;
    assert_false(oc__conv_grad_winograd_pays(k, &wide));
    wide.in_c = wide.out_c = 150;
    wide.stride_h = 2;
    assert_false(oc__conv_grad_winograd_pays(k, &wide));
}

static void weight_gradients_match_double(void **state) {
    (void)state;
    check_each_mask(each_gradient);
}

/* The way that is chosen can do it. */
static void conv_f32_chooses_what_can(void **state) {
    (void)state;
    for (int i = 0; i < 500; i++) {
        oc__conv_geom g =
            random_geometry((oc__conv_algo)below(OC_CONV_ALGO_COUNT));
        oc__kernels all = with_bf16(oc__kernels_native()), *k = &all;
        k->bf16 = i % 2;
        if (oc__conv_f32_can(k, &g, OC_CONV_DIRECT))
            assert_true(
                oc__conv_f32_can(k, &g, oc__conv_f32_choose(k, &g, below(2))));
    }
}

/* ---- pooling ------------------------------------------------------------- */

static double pool_at(const oc__conv_geom *g, oc__pool_kind kind,
                      const float *plane, int64_t y, int64_t x) {
    double sum = 0, most = -INFINITY;
    int64_t count = 0;
    for (int64_t i = 0; i < g->kernel_h; i++)
        for (int64_t j = 0; j < g->kernel_w; j++) {
            int64_t iy = y * g->stride_h - g->pad_top + i * g->dilation_h;
            int64_t ix = x * g->stride_w - g->pad_left + j * g->dilation_w;
            if (iy < 0 || iy >= g->in_h || ix < 0 || ix >= g->in_w) continue;
            double v = (double)plane[iy * g->in_w + ix];
            sum += v;
            most = fmax(most, v);
            count++;
        }
    if (kind == OC_POOL_MAX) return most;
    if (kind == OC_POOL_AVERAGE_PADDED)
        return sum / (double)(g->kernel_h * g->kernel_w);
    return count ? sum / (double)count : (double)NAN;
}

static void check_pool(const oc__kernels *k, const oc__conv_geom *g,
                       oc__pool_kind kind, oc__pool *pool) {
    int64_t block = k->block, c = (g->in_c + block - 1) / block * block;
    int64_t in_px = g->in_h * g->in_w, out_px = g->out_h * g->out_w;
    float *plain = new_floats(g->batch * g->in_c * in_px);
    check_fill(plain, (size_t)(g->batch * g->in_c * in_px), -1, 1);
    float *in = blocked_input(k, g->batch, g->in_c, in_px, plain);
    float *out = new_floats(g->batch * c * out_px);
    check_kernel(k, "pool %d c%d %dx%d -> %dx%d k%dx%d s%d,%d d%d,%d p%d,%d",
                 (int)kind, (int)g->in_c, (int)g->in_h, (int)g->in_w,
                 (int)g->out_h, (int)g->out_w, (int)g->kernel_h,
                 (int)g->kernel_w, (int)g->stride_h, (int)g->stride_w,
                 (int)g->dilation_h, (int)g->dilation_w, (int)g->pad_top,
                 (int)g->pad_left);
    oc__pool_f32(k, pool, g, kind, in, out);
    for (int64_t i = 0; i < g->batch * g->in_c; i++)
        for (int64_t p = 0; p < out_px; p++) {
            double want =
                pool_at(g, kind, plain + i * in_px, p / g->out_w, p % g->out_w);
            float got = blocked_at(k, out, i / g->in_c, g->in_c, i % g->in_c,
                                   out_px, p);
            check_close(&got, &want, 1, 1, kind == OC_POOL_MAX ? 0 : 1e-5);
        }
    check_free_all();
}

static void each_pool(const oc__kernels *k) {
    for (int i = 0; i < 300; i++) {
        oc__conv_geom g = random_geometry(OC_CONV_DEPTHWISE);
        check_pool(k, &g, (oc__pool_kind)(i % 3), NULL);
    }
    /* Kernels wider than the buffer of pool_blocked.c, dilated and not, and
     * higher than the rows it takes at once. */
    oc__conv_geom g = {.batch = 1,
                       .in_c = 5,
                       .in_h = 70,
                       .in_w = 300,
                       .out_h = 2,
                       .out_w = 3,
                       .kernel_h = 69,
                       .kernel_w = 290,
                       .stride_h = 1,
                       .stride_w = 5,
                       .dilation_h = 1,
                       .dilation_w = 1,
                       .group = 1};
    for (int kind = 0; kind < 3; kind++)
        check_pool(k, &g, (oc__pool_kind)kind, NULL);
    g.pad_left = 4;
    for (int kind = 0; kind < 3; kind++)
        check_pool(k, &g, (oc__pool_kind)kind, NULL);
    g.kernel_w = 145;
    g.dilation_w = 2;
    for (int kind = 0; kind < 3; kind++)
        check_pool(k, &g, (oc__pool_kind)kind, NULL);
}

static void pool_f32_matches_double(void **state) {
    (void)state;
    check_each_mask(each_pool);
}

/* ---- layout -------------------------------------------------------------- */

static void check_layout(const oc__kernels *k, int64_t n, int64_t c, int64_t px,
                         int nhwc, oc__pool *pool) {
    int64_t block = k->block, full = (c + block - 1) / block * block;
    float *x = new_floats(n * c * px), *y = new_floats(n * full * px);
    float *back = new_floats(n * c * px);
    check_fill(x, (size_t)(n * c * px), -1, 1);
    check_kernel(k, "block %s n%d c%d pixels %d", nhwc ? "nhwc" : "nchw",
                 (int)n, (int)c, (int)px);
    (nhwc ? oc__block_nhwc_f32 : oc__block_f32)(k, pool, n, c, px, x, y);
    for (int64_t i = 0; i < n; i++)
        for (int64_t ch = 0; ch < full; ch++)
            for (int64_t p = 0; p < px; p++) {
                float want = 0.0f;
                if (ch < c)
                    want = nhwc ? x[(i * px + p) * c + ch]
                                : x[(i * c + ch) * px + p];
                float got = blocked_at(k, y, i, full, ch, px, p);
                check_same(&got, &want, 1);
            }
    (nhwc ? oc__unblock_nhwc_f32 : oc__unblock_f32)(k, pool, n, c, px, y, back);
    check_same(back, x, (size_t)(n * c * px));
    check_free_all();
}

static void each_layout(const oc__kernels *k) {
    static const int64_t cs[] = {1, 3, 7, 8, 9, 16, 17, 33};
    static const int64_t pxs[] = {1, 2, 15, 16, 17, 255, 256, 257, 600};
    for (size_t i = 0; i < OC_COUNT(cs); i++)
        for (size_t j = 0; j < OC_COUNT(pxs); j++)
            for (int nhwc = 0; nhwc < 2; nhwc++)
                check_layout(k, 1 + (int64_t)(j % 2), cs[i], pxs[j], nhwc,
                             NULL);
}

static void blocked_layout_round_trips(void **state) {
    (void)state;
    check_each_mask(each_layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_f32_matches_double),
        cmocka_unit_test(conv_f32_goes_by_bands),
        cmocka_unit_test(conv_plain_f32_matches_double),
        cmocka_unit_test(conv_f32_does_every_width),
        cmocka_unit_test(conv_f32_is_the_same_for_all_thread_counts),
        cmocka_unit_test(weight_gradients_match_double),
        cmocka_unit_test(conv_f32_chooses_what_can),
        cmocka_unit_test(pool_f32_matches_double),
        cmocka_unit_test(blocked_layout_round_trips),
    };
    return cmocka_run_group_tests_name("kernels_conv", tests, NULL, NULL);
}
