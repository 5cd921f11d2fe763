/* test_kernels_conv_i8.c - 8-bit convolution and pooling with channels last
 * against sums in 64 bits, bit for bit: every CPU mask, all signs. */
#include "checkasm.h"

#include "cpu/pool.h"

#include <math.h>
#include <string.h>

static int64_t below(int64_t n) {
    return (int64_t)oc__rng_below(check_rng(), (uint64_t)n);
}

/* Extremes, where what overflows 16 bits does so; small numbers of both signs,
 * of which four often fit these and sometimes not; or anything. */
static uint8_t *random_bytes(size_t n) {
    static const uint8_t extremes[] = {0, 0x80, 0x7f, 0xff};
    uint8_t *x = check_alloc(n);
    int64_t kind = below(4), most = 1 + below(100);
    for (size_t i = 0; i < n; i++)
        x[i] = kind < 2    ? extremes[below(4)]
               : kind == 2 ? (uint8_t)(below(2 * most + 1) - most)
                           : (uint8_t)below(256);
    return x;
}

static int number(const uint8_t *x, int64_t i, int is_signed) {
    return is_signed ? (int8_t)x[i] : x[i];
}

/* round(v) + zero within 8 bits, NaN to the least: QuantizeLinear. */
static uint8_t code(float v, int zero, int is_signed) {
    double lo = is_signed ? -128 : 0, q = nearbyint((double)v) + zero;
    if (!(q > lo)) q = lo;
    return (uint8_t)(int)(q > lo + 255 ? lo + 255 : q);
}

static int64_t out_size(int64_t in, int64_t kernel, int64_t stride,
                        int64_t dilation, int64_t pads) {
    return (in + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

/* A geometry with pads on both sides; 0: the window is too large for it. */
static int random_geom(oc__conv_geom *g, int depthwise) {
    static const int64_t channels[] = {1, 3, 4, 8, 16, 17, 24, 33, 58, 70};
    memset(g, 0, sizeof(*g));
    g->batch = 1 + below(2);
    g->in_h = 1 + below(9);
    g->in_w = 1 + below(12);
    g->kernel_h = 1 + below(3);
    g->kernel_w = 1 + below(depthwise ? 7 : 3);
    g->stride_h = 1 + below(2);
    g->stride_w = 1 + below(3);
    g->dilation_h = 1 + below(2);
    g->dilation_w = below(3) ? 1 : 2;
    g->pad_top = below(g->kernel_h);
    g->pad_left = below(g->kernel_w);
    g->in_c = channels[below(OC_COUNT(channels))];
    g->out_c = channels[below(OC_COUNT(channels))];
    g->group = 1;
    if (depthwise)
        g->group = g->out_c = g->in_c;
    else if (below(4) == 0)
        g->in_c = 2 * (g->group = 3), g->out_c = 3 * (1 + below(12));
    else if (below(8) == 0)
        g->in_c = 600 + below(60), g->kernel_w = 3; /* sums in parts */
    if ((g->kernel_h - 1) * g->dilation_h >= g->in_h + 2 * g->pad_top ||
        (g->kernel_w - 1) * g->dilation_w >= g->in_w + 2 * g->pad_left)
        return 0;
    g->out_h = out_size(g->in_h, g->kernel_h, g->stride_h, g->dilation_h,
                        2 * g->pad_top);
    g->out_w = out_size(g->in_w, g->kernel_w, g->stride_w, g->dilation_w,
                        2 * g->pad_left);
    return 1;
}

/* Walks the window of an output: the offset of each tap's pixel, or -1. */
typedef struct walk {
    int64_t y, x;
} walk;

static int64_t pixel(const oc__conv_geom *g, int64_t n, walk out, int64_t ky,
                     int64_t kx) {
    int64_t y = out.y * g->stride_h - g->pad_top + ky * g->dilation_h;
    int64_t x = out.x * g->stride_w - g->pad_left + kx * g->dilation_w;
    if (y < 0 || y >= g->in_h || x < 0 || x >= g->in_w) return -1;
    return (n * g->in_h + y) * g->in_w + x;
}

typedef struct conv_case {
    oc__conv_i8_args a;
    const uint8_t *w; /* s8 */
    int32_t *plain_bias;
    int x_zero;
} conv_case;

static void check_output(const conv_case *t, int64_t n, walk at, int64_t o) {
    const oc__conv_geom *g = &t->a.g;
    int64_t in = g->in_c / g->group, out = g->out_c / g->group;
    int64_t sum = t->plain_bias[o];
    for (int64_t c = 0; c < in; c++)
        for (int64_t ky = 0; ky < g->kernel_h; ky++)
            for (int64_t kx = 0; kx < g->kernel_w; kx++) {
                int64_t p = pixel(g, n, at, ky, kx);
                if (p < 0) continue;
                p = p * g->in_c + o / out * in + c;
                int64_t w = ((o * in + c) * g->kernel_h + ky) * g->kernel_w;
                sum += (number(t->a.in, p, t->a.in_signed) - t->x_zero) *
                       number(t->w, w + kx, 1);
            }
    size_t term = oc__conv_i8_term(g, (size_t)o);
    float scaled = (float)(int32_t)sum * t->a.scale[term];
    uint8_t want = code(scaled, t->a.zero, t->a.out_signed);
    int64_t y = ((n * g->out_h + at.y) * g->out_w + at.x) * g->out_c + o;
    if (t->a.out_f32) {
        float f = scaled + t->a.shift[term];
        if (t->a.residual) f += t->a.residual[y];
        if (t->a.act == OC_ACT_RELU && f < 0) f = 0;
        check_bytes(&t->a.out_f32[y], &f, sizeof f);
        return;
    }
    if (t->a.out[y] != want)
        fail_msg("output %lld of pixel %lld,%lld: %d, not %d", (long long)o,
                 (long long)at.y, (long long)at.x, t->a.out[y], want);
}

static void check_outputs(const conv_case *t) {
    const oc__conv_geom *g = &t->a.g;
    for (int64_t n = 0; n < g->batch; n++)
        for (int64_t y = 0; y < g->out_h; y++)
            for (int64_t x = 0; x < g->out_w; x++)
                for (int64_t o = 0; o < g->out_c; o++)
                    check_output(t, n, (walk){y, x}, o);
}

static int random_zero(int is_signed) {
    return (int)below(256) - (is_signed ? 128 : 0);
}

static void fill_terms(const oc__kernels *k, conv_case *t) {
    const oc__conv_geom *g = &t->a.g;
    size_t terms = oc__conv_i8_terms(g);
    int32_t *bias = check_alloc(terms * sizeof *bias);
    float *scale = check_alloc(terms * sizeof *scale);
    memset(bias, 0, terms * sizeof *bias);
    memset(scale, 0, terms * sizeof *scale);
    t->plain_bias = check_alloc((size_t)g->out_c * sizeof(int32_t));
    for (size_t o = 0; o < (size_t)g->out_c; o++) {
        size_t at = oc__conv_i8_term(g, o);
        t->plain_bias[o] = (int32_t)below(20001) - 10000;
        scale[at] = (float)(1 + below(64)) / 4096.0f; /* ties, overflow */
        bias[at] =
            oc__conv_i8_bias(k, g, t->a.algo, t->w, 0, o, t->plain_bias[o],
                             t->x_zero, t->a.in_signed);
    }
    t->a.bias = bias;
    t->a.scale = scale;
}

/* The result in f32, with some of what may come behind. */
static void ask_for_floats(conv_case *t) {
    const oc__conv_geom *g = &t->a.g;
    size_t n = (size_t)(g->batch * g->out_h * g->out_w * g->out_c);
    size_t terms = oc__conv_i8_terms(g);
    float *shift = check_alloc(terms * sizeof *shift), *more;
    for (size_t i = 0; i < terms; i++)
        shift[i] = (float)(below(2001) - 1000) / 7.0f;
    t->a.shift = shift;
    t->a.out_f32 = check_alloc(n * sizeof(float));
    if (below(2)) t->a.act = OC_ACT_RELU;
    if (below(2)) return;
    more = check_alloc(n * sizeof *more);
    for (size_t i = 0; i < n; i++)
        more[i] = (float)(below(2001) - 1000) / 3.0f;
    t->a.residual = more;
}

static void check_conv(const oc__kernels *k, oc__pool *pool,
                       const oc__conv_geom *g, oc__conv_i8_algo algo) {
    conv_case t = {.a = {.g = *g}};
    size_t weights =
        (size_t)(g->out_c * (g->in_c / g->group) * g->kernel_h * g->kernel_w);
    t.a.in_signed = (int)below(2);
    t.a.out_signed = (int)below(2);
    t.x_zero = random_zero(t.a.in_signed);
    t.a.pad = t.x_zero & 255;
    t.a.zero = random_zero(t.a.out_signed);
    t.a.in = random_bytes((size_t)(g->batch * g->in_h * g->in_w * g->in_c));
    t.w = random_bytes(weights);
    t.a.out = check_alloc((size_t)(g->batch * g->out_h * g->out_w * g->out_c));
    t.a.algo = algo;
    fill_terms(k, &t);
    if (below(2)) ask_for_floats(&t);
    void *packed =
        check_alloc(oc__align_up(oc__conv_i8_packed_bytes(k, g, algo), 64));
    oc__conv_i8_pack(k, g, algo, t.w, 0, packed);
    t.a.packed = packed;
    size_t scratch =
        oc__conv_i8_scratch_bytes(k, g, algo, oc__pool_threads(pool));
    check_kernel(k,
                 "conv_i8, %d, %lldx%lld of %lldx%lldx%lld to %lld, group %lld",
                 (int)algo, (long long)g->kernel_h, (long long)g->kernel_w,
                 (long long)g->in_h, (long long)g->in_w, (long long)g->in_c,
                 (long long)g->out_c, (long long)g->group);
    oc__conv_i8(k, pool, &t.a, check_alloc(oc__align_up(scratch, 64)));
    check_outputs(&t);
    check_free_all();
}

static void each_conv(const oc__kernels *k) {
    oc__conv_geom g;
    for (int i = 0; i < 250; i++)
        if (random_geom(&g, i % 3 == 0))
            check_conv(k, NULL, &g, OC_CONV_I8_PLAIN);
}

static void conv_i8_is_exact(void **state) {
    (void)state;
    check_each_mask(each_conv);
}

/* Winograd's way, at the most channels whose sums stay below 2^25 whatever the
 * weights are, too. */
static void each_winograd(const oc__kernels *k) {
    oc__conv_geom g;
    for (int i = 0; i < 120; i++) {
        if (!random_geom(&g, 0)) continue;
        g.kernel_h = g.kernel_w = 3;
        g.stride_h = g.stride_w = g.dilation_h = g.dilation_w = g.group = 1;
        g.in_c = i % 10 ? OC_MIN(g.in_c, 114) : 114;
        g.pad_top = below(3);
        g.pad_left = below(3);
        g.out_h = g.in_h + g.pad_top + below(3) - 2;
        g.out_w = g.in_w + g.pad_left + below(3) - 2;
        assert_true(oc__conv_i8_can(&g, OC_CONV_I8_WINOGRAD));
        if (g.out_h > 0 && g.out_w > 0)
            check_conv(k, NULL, &g, OC_CONV_I8_WINOGRAD);
    }
}

static void winograd_i8_is_exact(void **state) {
    (void)state;
    check_each_mask(each_winograd);
}

static void winograd_i8_is_chosen_where_sums_fit(void **state) {
    (void)state;
    oc__conv_geom g = {1, 256, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    size_t n = 256 * 9 * 64;
    int8_t *w = check_alloc(n);
    oc__kernels plain = *oc__kernels_native(), *k = &plain;
    int fast = k->wino_i8->rows > 4 && k->gemm_i8->order != NULL;
    memset(w, 20, n);
    assert_int_equal(oc__conv_i8_choose(k, &g, w),
                     fast ? OC_CONV_I8_WINOGRAD : OC_CONV_I8_PLAIN);
    memset(w, 127, n); /* 2304 * 127 * 255 is more than 2^25 */
    assert_int_equal(oc__conv_i8_choose(k, &g, w), OC_CONV_I8_PLAIN);
    g.stride_w = 2;
    assert_false(oc__conv_i8_can(&g, OC_CONV_I8_WINOGRAD));
    check_free_all();
}

static void each_pool(const oc__kernels *k) {
    oc__conv_geom g = {1, 40, 29, 31, 70, 29, 31, 3, 3, 1, 1, 1, 1, 1, 1, 1};
    oc__conv_geom d = {1, 65, 40, 40, 65, 20, 20, 3, 3, 2, 2, 1, 1, 0, 0, 65};
    /* One row, whose columns are shared out. */
    oc__conv_geom row = {1, 599, 1, 1, 3001, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    for (int threads = 2; threads <= 3; threads++) {
        oc__pool *pool = NULL;
        assert_int_equal(
            oc__pool_create(&pool, &oc__default_allocator, threads, NULL),
            OC_OK);
        check_conv(k, pool, &g, OC_CONV_I8_PLAIN);
        check_conv(k, pool, &g, OC_CONV_I8_WINOGRAD);
        check_conv(k, pool, &d, OC_CONV_I8_PLAIN);
        check_conv(k, pool, &row, OC_CONV_I8_PLAIN);
        oc__pool_destroy(pool);
    }
}

static void conv_i8_is_exact_with_threads(void **state) {
    (void)state;
    check_each_mask(each_pool);
}

/* Weights less a zero point that is far off are wider than 8 bits. */
static void each_wide(const oc__kernels *k) {
    oc__conv_geom g = {1, 19, 6, 5, 19, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1, 19};
    int16_t *w = check_alloc(19 * 9 * sizeof *w), *packed;
    uint8_t *x = random_bytes(6 * 5 * 19), *y = check_alloc(6 * 5 * 19);
    uint8_t want[6 * 5 * 19];
    for (int i = 0; i < 19 * 9; i++)
        w[i] = (int16_t)(below(511) - 255);
    oc__conv_i8_args a = {.g = g, .in = x, .out = y, .pad = 7};
    float scale[32];
    int32_t bias[32] = {0};
    for (int i = 0; i < 32; i++)
        scale[i] = 1 / 512.0f;
    a.bias = bias;
    a.scale = scale;
    packed = check_alloc(oc__conv_i8_packed_bytes(k, &g, OC_CONV_I8_PLAIN));
    oc__conv_i8_pack(k, &g, OC_CONV_I8_PLAIN, w, 1, packed);
    a.packed = packed;
    check_kernel(k, "depth_i8, wide weights");
    size_t scratch = oc__conv_i8_scratch_bytes(k, &g, OC_CONV_I8_PLAIN, 1);
    oc__conv_i8(k, NULL, &a, check_alloc(oc__align_up(scratch, 64)));
    for (int64_t p = 0; p < 30; p++)
        for (int64_t c = 0; c < 19; c++) {
            int64_t sum = 0;
            for (int64_t t = 0; t < 9; t++) {
                int64_t at = pixel(&g, 0, (walk){p / 5, p % 5}, t / 3, t % 3);
                sum += (at < 0 ? 7 : x[at * 19 + c]) * w[c * 9 + t];
            }
            want[p * 19 + c] = code((float)sum / 512.0f, 0, 0);
        }
    check_bytes(y, want, sizeof want);
    check_free_all();
}

static void depth_i8_takes_wide_weights(void **state) {
    (void)state;
    check_each_mask(each_wide);
}

static void check_max(const oc__kernels *k, oc__conv_geom *g) {
    g->out_c = g->in_c;
    oc__conv_i8_args a = {.g = *g, .in_signed = (int)below(2)};
    a.in = random_bytes((size_t)(g->batch * g->in_h * g->in_w * g->in_c));
    a.out = check_alloc((size_t)(g->batch * g->out_h * g->out_w * g->out_c));
    size_t scratch = oc__max_pool_i8_scratch_bytes(g, 1);
    check_kernel(k, "max_i8 of %lld channels", (long long)g->in_c);
    oc__max_pool_i8(k, NULL, &a, check_alloc(oc__align_up(scratch, 64)));
    const uint8_t *y = a.out;
    for (int64_t i = 0; i < g->batch * g->out_h * g->out_w * g->in_c; i++) {
        int64_t c = i % g->in_c, p = i / g->in_c;
        int64_t n = p / g->out_w / g->out_h;
        walk at = {p / g->out_w % g->out_h, p % g->out_w};
        int most = a.in_signed ? -128 : 0;
        for (int64_t t = 0; t < g->kernel_h * g->kernel_w; t++) {
            int64_t from = pixel(g, n, at, t / g->kernel_w, t % g->kernel_w);
            if (from < 0) continue;
            most = OC_MAX(most, number(a.in, from * g->in_c + c, a.in_signed));
        }
        assert_int_equal(number(y, i, a.in_signed), most);
    }
    check_free_all();
}

static void each_max(const oc__kernels *k) {
    oc__conv_geom g;
    for (int i = 0; i < 60; i++)
        if (random_geom(&g, 1)) check_max(k, &g);
}

static void max_i8_finds_the_greatest(void **state) {
    (void)state;
    check_each_mask(each_max);
}

/* ---- bytes with bytes ---------------------------------------------------- */

static void check_add(const oc__kernels *k, size_t n) {
    uint8_t *a = random_bytes(n), *b = random_bytes(n), *y = check_alloc(n);
    oc__add_i8_args args = {.is_signed = (int)below(2)};
    args.a_zero = random_zero(args.is_signed);
    args.b_zero = random_zero(args.is_signed);
    args.zero = random_zero(args.is_signed);
    args.a_scale = (float)(1 + below(8)) / 4.0f; /* ties */
    args.b_scale = (float)(1 + below(800)) / 301.0f;
    check_kernel(k, "add_i8 n=%zu", n);
    k->add_i8(&args, a, b, y, n);
    for (size_t i = 0; i < n; i++) {
        int u = number(a, (int64_t)i, args.is_signed) - args.a_zero;
        int v = number(b, (int64_t)i, args.is_signed) - args.b_zero;
        float left = (float)u * args.a_scale, right = (float)v * args.b_scale;
        assert_int_equal(y[i], code(left + right, args.zero, args.is_signed));
    }
    check_free_all();
}

static void check_mul(const oc__kernels *k, size_t n) {
    uint8_t *a = random_bytes(n), *b = random_bytes(n), *y = check_alloc(n);
    oc__add_i8_args args = {.is_signed = (int)below(2)};
    args.a_zero = random_zero(args.is_signed);
    args.b_zero = random_zero(args.is_signed);
    args.zero = random_zero(args.is_signed);
    args.a_scale = below(2) ? 0.5f : (float)(1 + below(800)) / 30100.0f;
    check_kernel(k, "mul_i8 n=%zu", n);
    k->mul_i8(&args, a, b, y, n);
    for (size_t i = 0; i < n; i++) {
        int u = number(a, (int64_t)i, args.is_signed) - args.a_zero;
        int v = number(b, (int64_t)i, args.is_signed) - args.b_zero;
        float r = (float)(u * v) * args.a_scale;
        assert_int_equal(y[i], code(r, args.zero, args.is_signed));
    }
    check_free_all();
}

static void check_table(const oc__kernels *k, size_t n) {
    uint8_t *x = random_bytes(n), *table = random_bytes(256);
    uint8_t *b = random_bytes(n), *y = check_alloc(n), *z = check_alloc(2 * n);
    check_kernel(k, "table_i8, zip_i8 n=%zu", n);
    k->table_i8(table, x, y, n);
    k->zip_i8(x, b, z, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(y[i], table[x[i]]);
        assert_int_equal(z[2 * i], x[i]);
        assert_int_equal(z[2 * i + 1], b[i]);
    }
    check_free_all();
}

static void each_bytes(const oc__kernels *k) {
    for (size_t s = 0; s < check_size_count; s++)
        if (check_sizes[s] <= 2048) {
            check_add(k, check_sizes[s]);
            check_mul(k, check_sizes[s]);
            check_table(k, check_sizes[s]);
        }
}

static void bytes_meet_bytes_as_specified(void **state) {
    (void)state;
    check_each_mask(each_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_i8_is_exact),
        cmocka_unit_test(conv_i8_is_exact_with_threads),
        cmocka_unit_test(winograd_i8_is_exact),
        cmocka_unit_test(winograd_i8_is_chosen_where_sums_fit),
        cmocka_unit_test(depth_i8_takes_wide_weights),
        cmocka_unit_test(max_i8_finds_the_greatest),
        cmocka_unit_test(bytes_meet_bytes_as_specified),
    };
    return cmocka_run_group_tests_name("kernels_conv_i8", tests, NULL, NULL);
}
