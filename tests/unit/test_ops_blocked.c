/*
 * test_ops_blocked.c - operators on the blocked layout against the plain
 * operators, on every instruction set of this machine.
 */
#include "checkasm.h"
#include "op_call.h"

#include "base/half.h"
#include "base/rng.h"
#include "ops/blocked.h"
#include "ops/resample.h"

#include <math.h>

static oc__kernels kernels;
static oc__pool *pool;

/* ---- one operator -------------------------------------------------------- */

/* On `threads`; the result is the caller's to clear. */
static oc_value run(op_call *k, int threads) {
    return op_call_run(k, &kernels, threads > 1 ? pool : NULL);
}

/* ---- tensors ------------------------------------------------------------- */

static oc_value random_tensor(oc__rng *rng, int rank, const int64_t *dims) {
    oc_value v = {0};
    assert_int_equal(oc__value_alloc_tensor(&v, &oc__default_allocator,
                                            OC_DTYPE_F32, rank, dims, NULL),
                     OC_OK);
    oc__rng_fill(rng, v.t.data, (size_t)oc_tensor_elems(&v.t), -1, 1);
    return v;
}

static void assert_close(const oc_tensor *got, const oc_tensor *want,
                         double tolerance, const char *what) {
    assert_true(oc__tensor_same_shape(got, want));
    const float *a = got->data, *b = want->data;
    double largest = 1;
    for (int64_t i = 0; i < oc_tensor_elems(want); i++)
        largest = fmax(largest, fabs((double)b[i]));
    for (int64_t i = 0; i < oc_tensor_elems(want); i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance * largest))
            fail_msg("%s: element %lld is %g, want %g (cpu %x)", what,
                     (long long)i, (double)a[i], (double)b[i], kernels.cpu);
}

static oc_value block(const oc_tensor *x, int nhwc) {
    op_call k;
    op_call_init(&k, "ocelli", "Block", 1);
    op_call_input(&k, x);
    op_call_int(&k, "layout", nhwc);
    return run(&k, 2);
}

static oc_value unblock(const oc_tensor *x, int64_t channels, int nhwc) {
    op_call k;
    op_call_init(&k, "ocelli", "Unblock", 1);
    op_call_input(&k, x);
    op_call_int(&k, "channels", channels);
    op_call_int(&k, "layout", nhwc);
    return run(&k, 2);
}

/* ---- Block, Unblock ------------------------------------------------------ */

static void each_blocked_comes_back(const oc__kernels *kt) {
    static const int64_t channels[] = {1, 3, 8, 16, 17, 40};
    oc__rng rng;
    kernels = *kt;
    oc__rng_init(&rng, 1);
    for (size_t i = 0; i < OC_COUNT(channels); i++)
        for (int nhwc = 0; nhwc < 2; nhwc++) {
            int64_t c = channels[i], dims[] = {2, c, 5, 7};
            int64_t last[] = {2, 5, 7, c};
            oc_value x = random_tensor(&rng, 4, nhwc ? last : dims);
            oc_value b = block(&x.t, nhwc);
            assert_int_equal(b.t.dims[4], kernels.block);
            oc_value y = unblock(&b.t, c, nhwc);
            assert_close(&y.t, &x.t, 0, "unblock(block(x))");
            oc__value_clear(&x);
            oc__value_clear(&b);
            oc__value_clear(&y);
        }
}

/* ---- ConvBlocked --------------------------------------------------------- */

/* batch, in_c, h, w, out_c, kh, kw, stride, dilation, pad, group */
static const int64_t convs[][11] = {
    {1, 3, 13, 17, 16, 3, 3, 2, 1, 1, 1}, /* a stem */
    {1, 3, 9, 9, 24, 5, 5, 1, 1, 2, 1},
    {2, 16, 9, 11, 32, 1, 1, 1, 1, 0, 1}, /* pointwise */
    {1, 24, 7, 7, 40, 1, 1, 2, 1, 0, 1},  /* ragged channels */
    {1, 32, 12, 10, 17, 3, 3, 1, 1, 1, 1},
    {1, 32, 14, 14, 32, 3, 3, 1, 1, 1, 32}, /* depthwise */
    {2, 24, 11, 13, 24, 5, 5, 2, 1, 2, 24},
    {1, 16, 15, 15, 16, 3, 3, 1, 2, 2, 16}, /* dilated depthwise */
    {1, 32, 10, 10, 64, 3, 3, 1, 1, 1, 2},  /* two groups */
    {1, 16, 12, 12, 16, 3, 3, 1, 3, 3, 1},  /* dilated */
    {1, 48, 1, 1, 16, 1, 1, 1, 1, 0, 1},
    {1, 16, 6, 6, 16, 3, 3, 1, 1, 0, 1}, /* no padding */
};

static oc_value plain_conv(const int64_t *p, const oc_tensor *x,
                           const oc_tensor *w, const oc_tensor *b) {
    int64_t strides[] = {p[7], p[7]}, dilations[] = {p[8], p[8]};
    int64_t pads[] = {p[9], p[9], p[9], p[9]};
    op_call k;
    op_call_init(&k, "", "Conv", 11);
    op_call_input(&k, x);
    op_call_input(&k, w);
    op_call_input(&k, b);
    op_call_ints(&k, "strides", strides, 2);
    op_call_ints(&k, "dilations", dilations, 2);
    op_call_ints(&k, "pads", pads, 4);
    op_call_int(&k, "group", p[10]);
    return run(&k, 2);
}

/* The bias as ConvBlocked takes it. */
static oc_value padded_bias(const oc_tensor *b) {
    oc_value v = {0};
    int64_t n = (b->dims[0] + kernels.block - 1) / kernels.block;
    n *= kernels.block;
    oc__value_alloc_tensor(&v, &oc__default_allocator, OC_DTYPE_F32, 1, &n,
                           NULL);
    memset(v.t.data, 0, (size_t)n * sizeof(float));
    memcpy(v.t.data, b->data, (size_t)b->dims[0] * sizeof(float));
    return v;
}

static oc_value conv_blocked(const oc__conv_geom *g, oc__conv_algo algo,
                             const oc_tensor *x, const oc_tensor *w,
                             const oc_tensor *b, const oc_tensor *residual,
                             int threads) {
    op_call pack, k;
    op_call_init(&pack, "ocelli", "PackConv", 1);
    op_call_input(&pack, w);
    op_call_ints(&pack, "geom", (const int64_t *)g, OC_GEOM_INTS);
    op_call_int(&pack, "algo", algo);
    oc_value packed = run(&pack, 1);
    oc_value xb = {0}, bias = padded_bias(b);
    if (algo != OC_CONV_FIRST) xb = block(x, 0);
    op_call_init(&k, "ocelli", "ConvBlocked", 1);
    op_call_input(&k, algo == OC_CONV_FIRST ? x : &xb.t);
    op_call_input(&k, &packed.t);
    op_call_input(&k, &bias.t);
    op_call_input(&k, residual);
    op_call_ints(&k, "geom", (const int64_t *)g, OC_GEOM_INTS);
    op_call_int(&k, "algo", algo);
    op_call_int(&k, "act", residual ? OC_ACT_CLIP : OC_ACT_NONE);
    op_call_float(&k, "act_a", 0);
    op_call_float(&k, "act_b", 1);
    oc_value y = run(&k, threads);
    oc_value plain = unblock(&y.t, g->out_c, 0);
    oc__value_clear(&packed);
    oc__value_clear(&xb);
    oc__value_clear(&bias);
    oc__value_clear(&y);
    return plain;
}

/* Every algorithm that can do the geometry, with and without a residual and
 * an activation, on one thread and on two. */
static void check_conv(const int64_t *p, oc__rng *rng) {
    int64_t xd[] = {p[0], p[1], p[2], p[3]};
    int64_t wd[] = {p[4], p[1] / p[10], p[5], p[6]};
    oc_value x = random_tensor(rng, 4, xd), w = random_tensor(rng, 4, wd);
    oc_value b = random_tensor(rng, 1, &p[4]);
    oc_value want = plain_conv(p, &x.t, &w.t, &b.t);
    oc_value r = random_tensor(rng, 4, want.t.dims), rb = block(&r.t, 0);
    oc__conv_geom g = {p[0],           p[1], p[2], p[3], p[4], want.t.dims[2],
                       want.t.dims[3], p[5], p[6], p[7], p[7], p[8],
                       p[8],           p[9], p[9], p[10]};
    int tried = 0;
    for (int algo = 0; algo < OC_CONV_ALGO_COUNT; algo++) {
        if (!oc__conv_f32_can(&kernels, &g, (oc__conv_algo)algo)) continue;
        tried++;
        double tolerance = algo >= OC_CONV_WINOGRAD2 ? 1e-3 : 2e-5;
        if (oc__conv_is_bf16((oc__conv_algo)algo)) tolerance = 0x1p-7;
        oc_value one =
            conv_blocked(&g, (oc__conv_algo)algo, &x.t, &w.t, &b.t, NULL, 1);
        oc_value two =
            conv_blocked(&g, (oc__conv_algo)algo, &x.t, &w.t, &b.t, NULL, 2);
        assert_close(&one.t, &want.t, tolerance, "ConvBlocked");
        assert_close(&two.t, &one.t, 0, "ConvBlocked on two threads");
        oc__value_clear(&two);
        oc_value fused =
            conv_blocked(&g, (oc__conv_algo)algo, &x.t, &w.t, &b.t, &rb.t, 2);
        float *y = one.t.data;
        for (int64_t i = 0; i < oc_tensor_elems(&one.t); i++)
            y[i] = fminf(fmaxf(y[i] + ((float *)r.t.data)[i], 0), 1);
        assert_close(&fused.t, &one.t, tolerance, "ConvBlocked, residual");
        oc__value_clear(&one);
        oc__value_clear(&fused);
    }
    assert_true(tried > 0);
    oc__value_clear(&x);
    oc__value_clear(&w);
    oc__value_clear(&b);
    oc__value_clear(&r);
    oc__value_clear(&rb);
    oc__value_clear(&want);
}

static void each_conv_blocked_equals_conv(const oc__kernels *kt) {
    oc__rng rng;
    kernels = *kt;
    kernels.bf16 = 1;
    oc__rng_init(&rng, 2);
    for (size_t i = 0; i < OC_COUNT(convs); i++)
        check_conv(convs[i], &rng);
}

/* ---- a depthwise convolution inside -------------------------------------- */

/* batch, channels, h, w, kernel, stride, pad, out_c */
static const int64_t depths[][8] = {
    {1, 16, 12, 12, 3, 1, 1, 16},   {2, 24, 13, 11, 3, 2, 1, 40},
    {1, 17, 9, 30, 5, 1, 2, 33},    {1, 8, 7, 7, 3, 1, 1, 8},
    {1, 96, 40, 41, 3, 1, 1, 24},   {2, 130, 14, 14, 5, 2, 2, 9},
    {1, 130, 14, 14, 3, 1, 1, 260},
};

static oc_value packed(const oc__conv_geom *g, oc__conv_algo algo,
                       const oc_tensor *w) {
    op_call k;
    op_call_init(&k, "ocelli", "PackConv", 1);
    op_call_input(&k, w);
    op_call_ints(&k, "geom", (const int64_t *)g, OC_GEOM_INTS);
    op_call_int(&k, "algo", algo);
    return run(&k, 1);
}

/* Both in one node; between them a Relu, behind them a residual and a Clip. */
static oc_value depth_and_point(const oc__conv_geom *d, const oc__conv_geom *g,
                                const oc_tensor *const in[4],
                                const oc_tensor *x, const oc_tensor *residual,
                                oc__conv_algo algo, int threads) {
    oc_value dw = packed(d, OC_CONV_DEPTHWISE, in[0]);
    oc_value pw = packed(g, algo, in[2]);
    oc_value db = padded_bias(in[1]), pb = padded_bias(in[3]), xb = block(x, 0);
    op_call k;
    op_call_init(&k, "ocelli", "ConvBlocked", 1);
    op_call_input(&k, &xb.t);
    op_call_input(&k, &pw.t);
    op_call_input(&k, &pb.t);
    op_call_input(&k, residual);
    op_call_input(&k, &dw.t);
    op_call_input(&k, &db.t);
    op_call_ints(&k, "geom", (const int64_t *)g, OC_GEOM_INTS);
    op_call_ints(&k, "depth_geom", (const int64_t *)d, OC_GEOM_INTS);
    op_call_int(&k, "algo", algo);
    op_call_int(&k, "depth_act", OC_ACT_RELU);
    op_call_int(&k, "act", OC_ACT_CLIP);
    op_call_float(&k, "act_a", -1);
    op_call_float(&k, "act_b", 2);
    oc_value y = run(&k, threads), plain = unblock(&y.t, g->out_c, 0);
    oc_value *all[] = {&dw, &pw, &db, &pb, &xb, &y};
    for (size_t i = 0; i < OC_COUNT(all); i++)
        oc__value_clear(all[i]);
    return plain;
}

static void add_and_clip(const oc_tensor *y, const oc_tensor *r) {
    float *to = y->data;
    for (int64_t i = 0; i < oc_tensor_elems(y); i++)
        to[i] = fminf(fmaxf(to[i] + ((float *)r->data)[i], -1), 2);
}

static void round_to_bf16(const oc_tensor *x) {
    float *to = x->data;
    for (int64_t i = 0; i < oc_tensor_elems(x); i++)
        to[i] = oc__bf16_to_f32(oc__f32_to_bf16(to[i]));
}

static void check_depth(const int64_t *p, oc__rng *rng) {
    int64_t xd[] = {p[0], p[1], p[2], p[3]}, dd[] = {p[1], 1, p[4], p[4]};
    int64_t pd[] = {p[7], p[1], 1, 1};
    oc_value x = random_tensor(rng, 4, xd), dw = random_tensor(rng, 4, dd);
    oc_value db = random_tensor(rng, 1, &p[1]), pw = random_tensor(rng, 4, pd);
    oc_value pb = random_tensor(rng, 1, &p[7]);
    /* As plain_conv() counts: 7 stride, 8 dilation, 9 pad, 10 group. */
    int64_t a[11] = {0}, b[11] = {0};
    a[7] = p[5], a[8] = 1, a[9] = p[6], a[10] = p[1];
    b[7] = b[8] = b[10] = 1;
    oc_value mid = plain_conv(a, &x.t, &dw.t, &db.t);
    float *m = mid.t.data;
    for (int64_t i = 0; i < oc_tensor_elems(&mid.t); i++)
        m[i] = fmaxf(m[i], 0);
    oc_value want = plain_conv(b, &mid.t, &pw.t, &pb.t);
    oc_value r = random_tensor(rng, 4, want.t.dims), rb = block(&r.t, 0);
    add_and_clip(&want.t, &r.t);
    int64_t h = want.t.dims[2], w = want.t.dims[3];
    oc__conv_geom d = {p[0], p[1], p[2], p[3], p[1], h,    w,    p[4],
                       p[4], p[5], p[5], 1,    1,    p[6], p[6], p[1]};
    oc__conv_geom g = {p[0], p[1], h, w, p[7], h, w, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    const oc_tensor *in[] = {&dw.t, &db.t, &pw.t, &pb.t};
    for (int bf16 = 0; bf16 < 2; bf16++) {
        oc__conv_algo algo = bf16 ? OC_CONV_POINT_BF16 : OC_CONV_POINT;
        oc_value one = depth_and_point(&d, &g, in, &x.t, &rb.t, algo, 1);
        oc_value two = depth_and_point(&d, &g, in, &x.t, &rb.t, algo, 2);
        /* With another L2, and so with panels or without. */
        size_t l2 = kernels.l2_bytes;
        kernels.l2_bytes = (size_t)(l2 < 1 << 20 ? 2 << 20 : 256 << 10);
        oc_value other = depth_and_point(&d, &g, in, &x.t, &rb.t, algo, 2);
        kernels.l2_bytes = l2;
        if (bf16) {
            round_to_bf16(&mid.t);
            round_to_bf16(&pw.t);
            oc__value_clear(&want);
            want = plain_conv(b, &mid.t, &pw.t, &pb.t);
            add_and_clip(&want.t, &r.t);
        }
        /* What lies between may be off by a bit, and then round to a bf16
         * that is 2^-5 away where it is above 4, as here and there it is. */
        assert_close(&one.t, &want.t, bf16 ? 0x1p-5 : 2e-5,
                     "depthwise and 1x1");
        assert_close(&two.t, &one.t, 0, "the same on two threads");
        assert_close(&other.t, &one.t, 0, "the same with another L2");
        oc__value_clear(&one);
        oc__value_clear(&other);
        oc__value_clear(&two);
    }
    oc_value *all[] = {&x, &dw, &db, &pw, &pb, &mid, &want, &r, &rb};
    for (size_t i = 0; i < OC_COUNT(all); i++)
        oc__value_clear(all[i]);
}

static void each_conv_blocked_does_depthwise_before(const oc__kernels *kt) {
    oc__rng rng;
    kernels = *kt;
    kernels.bf16 = 1;
    oc__rng_init(&rng, 4);
    for (size_t i = 0; i < OC_COUNT(depths); i++)
        check_depth(depths[i], &rng);
}

/* ---- PoolBlocked --------------------------------------------------------- */

/* channels, h, w, kernel, stride, pad */
static const int64_t pools[][6] = {
    {16, 12, 12, 2, 2, 0},  {24, 13, 11, 3, 2, 1}, {17, 9, 9, 5, 1, 2},
    {32, 20, 20, 13, 1, 6}, {8, 7, 7, 7, 1, 0},
};

static void each_pool_blocked_equals_pool(const oc__kernels *kt) {
    static const char *const names[] = {"MaxPool", "AveragePool",
                                        "AveragePool"};
    oc__rng rng;
    kernels = *kt;
    oc__rng_init(&rng, 3);
    for (size_t i = 0; i < OC_COUNT(pools); i++)
        for (int kind = 0; kind < 3; kind++) {
            const int64_t *p = pools[i];
            int64_t dims[] = {2, p[0], p[1], p[2]}, kernel[] = {p[3], p[3]};
            int64_t strides[] = {p[4], p[4]}, pads[] = {p[5], p[5], p[5], p[5]};
            oc_value x = random_tensor(&rng, 4, dims), xb = block(&x.t, 0);
            op_call k;
            op_call_init(&k, "", names[kind], 11);
            op_call_input(&k, &x.t);
            op_call_ints(&k, "kernel_shape", kernel, 2);
            op_call_ints(&k, "strides", strides, 2);
            op_call_ints(&k, "pads", pads, 4);
            if (kind == OC_POOL_AVERAGE_PADDED)
                op_call_int(&k, "count_include_pad", 1);
            oc_value want = run(&k, 2);
            oc__conv_geom g = {2,    p[0],           p[1],           p[2],
                               p[0], want.t.dims[2], want.t.dims[3], p[3],
                               p[3], p[4],           p[4],           1,
                               1,    p[5],           p[5],           1};
            op_call_init(&k, "ocelli", "PoolBlocked", 1);
            op_call_input(&k, &xb.t);
            op_call_ints(&k, "geom", (const int64_t *)&g, OC_GEOM_INTS);
            op_call_int(&k, "pool", kind);
            oc_value y = run(&k, 2), got = unblock(&y.t, p[0], 0);
            assert_close(&got.t, &want.t, kind == OC_POOL_MAX ? 0 : 1e-6,
                         names[kind]);
            oc__value_clear(&x);
            oc__value_clear(&xb);
            oc__value_clear(&y);
            oc__value_clear(&got);
            oc__value_clear(&want);
        }
}

/* ---- ResizeBlocked ------------------------------------------------------- */

static const struct {
    const char *mode, *coord, *round;
    oc__resize_mode m;
    oc__resize_coord c;
    oc__resize_round r;
} resizes[] = {
    {"nearest", "asymmetric", "floor", OC_RESIZE_NEAREST, OC_COORD_ASYMMETRIC,
     OC_ROUND_FLOOR},
    {"nearest", "half_pixel", "round_prefer_floor", OC_RESIZE_NEAREST,
     OC_COORD_HALF_PIXEL, OC_ROUND_PREFER_FLOOR},
    {"nearest", "tf_half_pixel_for_nn", "floor", OC_RESIZE_NEAREST,
     OC_COORD_TF_HALF_PIXEL_FOR_NN, OC_ROUND_FLOOR},
    {"nearest", "half_pixel", "round_prefer_ceil", OC_RESIZE_NEAREST,
     OC_COORD_HALF_PIXEL, OC_ROUND_PREFER_CEIL},
    {"linear", "half_pixel", "round_prefer_floor", OC_RESIZE_LINEAR,
     OC_COORD_HALF_PIXEL, OC_ROUND_PREFER_FLOOR},
    {"linear", "align_corners", "round_prefer_floor", OC_RESIZE_LINEAR,
     OC_COORD_ALIGN_CORNERS, OC_ROUND_PREFER_FLOOR},
    {"linear", "pytorch_half_pixel", "round_prefer_floor", OC_RESIZE_LINEAR,
     OC_COORD_PYTORCH_HALF_PIXEL, OC_ROUND_PREFER_FLOOR},
    {"cubic", "half_pixel", "round_prefer_floor", OC_RESIZE_CUBIC,
     OC_COORD_HALF_PIXEL, OC_ROUND_PREFER_FLOOR},
};

static void check_resize(size_t i, const int64_t *size, oc__rng *rng) {
    int64_t dims[] = {2, 19, 6, 9}, sizes[] = {2, 19, size[0], size[1]};
    int64_t four = 4;
    oc_tensor sizes_t;
    oc__tensor_set(&sizes_t, OC_DTYPE_I64, 1, &four);
    sizes_t.data = sizes;
    oc_value x = random_tensor(rng, 4, dims), xb = block(&x.t, 0);
    op_call k;
    op_call_init(&k, "", "Resize", 18);
    op_call_input(&k, &x.t);
    op_call_input(&k, NULL);
    op_call_input(&k, NULL);
    op_call_input(&k, &sizes_t);
    op_call_text(&k, "mode", resizes[i].mode);
    op_call_text(&k, "coordinate_transformation_mode", resizes[i].coord);
    op_call_text(&k, "nearest_mode", resizes[i].round);
    oc_value want = run(&k, 2);
    op_call_init(&k, "ocelli", "ResizeBlocked", 1);
    op_call_input(&k, &xb.t);
    op_call_ints(&k, "sizes", size, 2);
    op_call_int(&k, "mode", resizes[i].m);
    op_call_int(&k, "coords", resizes[i].c);
    op_call_int(&k, "round", resizes[i].r);
    oc_value y = run(&k, 2), got = unblock(&y.t, 19, 0);
    assert_close(&got.t, &want.t, resizes[i].m == OC_RESIZE_NEAREST ? 0 : 1e-6,
                 resizes[i].coord);
    oc__value_clear(&x);
    oc__value_clear(&xb);
    oc__value_clear(&y);
    oc__value_clear(&got);
    oc__value_clear(&want);
}

static void each_resize_blocked_equals_resize(const oc__kernels *kt) {
    static const int64_t sizes[][2] = {
        {12, 18}, {7, 20}, {3, 4}, {6, 9}, {1, 1}};
    oc__rng rng;
    kernels = *kt;
    oc__rng_init(&rng, 4);
    for (size_t i = 0; i < OC_COUNT(resizes); i++)
        for (size_t j = 0; j < OC_COUNT(sizes); j++)
            check_resize(i, sizes[j], &rng);
}

static void blocked_comes_back(void **state) {
    (void)state;
    check_each_mask(each_blocked_comes_back);
}

static void conv_blocked_equals_conv(void **state) {
    (void)state;
    check_each_mask(each_conv_blocked_equals_conv);
}

static void conv_blocked_does_depthwise_before(void **state) {
    (void)state;
    check_each_mask(each_conv_blocked_does_depthwise_before);
}

static void pool_blocked_equals_pool(void **state) {
    (void)state;
    check_each_mask(each_pool_blocked_equals_pool);
}

static void resize_blocked_equals_resize(void **state) {
    (void)state;
    check_each_mask(each_resize_blocked_equals_resize);
}

static int start(void **state) {
    (void)state;
    return oc__pool_create(&pool, &oc__default_allocator, 2, NULL);
}

static int stop(void **state) {
    (void)state;
    oc__pool_destroy(pool);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_comes_back),
        cmocka_unit_test(conv_blocked_equals_conv),
        cmocka_unit_test(conv_blocked_does_depthwise_before),
        cmocka_unit_test(pool_blocked_equals_pool),
        cmocka_unit_test(resize_blocked_equals_resize),
    };
    return cmocka_run_group_tests_name("ops_blocked", tests, start, stop);
}
