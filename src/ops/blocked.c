/* blocked.c - see blocked.h. */
#include "ops/blocked.h"

#include "base/size.h"

#include <string.h>

static int read_geom(const oc__ctx *c, const char *name, oc__conv_geom *out) {
    size_t n;
    const int64_t *v = oc__attr_ints(c->node, name, &n);
    if (!v || n != OC_GEOM_INTS) return 0;
    memcpy(out, v, sizeof(*out));
    return 1;
}

oc_status oc__geom_read(const oc__ctx *c, oc__conv_geom *out) {
    if (!read_geom(c, "geom", out))
        return oc__op_fail(c, OC_E_FORMAT, "attribute geom is missing");
    return OC_OK;
}

static int64_t blocks(const oc__ctx *c, int64_t channels) {
    return (channels + c->kernels->block - 1) / c->kernels->block;
}

static oc_status out_blocked(oc__ctx *c, int64_t n, int64_t channels, int64_t h,
                             int64_t w) {
    int64_t dims[5] = {n, blocks(c, channels), h, w, c->kernels->block};
    return oc__out_set(c, 0, OC_DTYPE_F32, 5, dims);
}

oc_status oc__want_blocked(const oc__ctx *c, int i) {
    OC_TRY(oc__want(c, i, OC_T(F32)));
    OC_TRY(oc__want_rank(c, i, 5, 5));
    if (oc__in(c, i)->dims[4] != c->kernels->block)
        return oc__op_fail(c, OC_E_SHAPE,
                           "input %d is blocked by %lld channels, not %d", i,
                           (long long)oc__in(c, i)->dims[4], c->kernels->block);
    return OC_OK;
}

/* How far the windows reach over an axis, padding included. */
static int64_t reach(int64_t out, int64_t stride, int64_t kernel,
                     int64_t dilation) {
    return (out > 0 ? (out - 1) * stride : 0) + (kernel - 1) * dilation + 1;
}

/* Bounds that keep what the drivers multiply in 64 bits. */
oc_status oc__geom_check(const oc__ctx *c, const oc__conv_geom *g) {
    int64_t sizes[OC_GEOM_INTS], elems;
    int64_t weights[4] = {g->out_c, g->in_c, g->kernel_h, g->kernel_w};
    memcpy(sizes, g, sizeof(sizes));
    for (int i = 0; i < OC_GEOM_INTS; i++)
        if (sizes[i] < 0 || sizes[i] > 1 << 28)
            return oc__op_fail(c, OC_E_LIMIT, "a size of %lld does not fit",
                               (long long)sizes[i]);
    int64_t padded[4] = {
        g->batch, g->in_c,
        reach(g->out_h, g->stride_h, g->kernel_h, g->dilation_h),
        reach(g->out_w, g->stride_w, g->kernel_w, g->dilation_w)};
    if (oc__dims_product(weights, 4, &elems) || elems > INT64_MAX >> 16)
        return oc__op_fail(c, OC_E_LIMIT, "the weights are too large");
    if (oc__dims_product(padded, 4, &elems) || elems > INT64_MAX >> 16)
        return oc__op_fail(c, OC_E_LIMIT, "the padded input is too large");
    return OC_OK;
}

/* The geometry is an attribute and x is a tensor: the first says where the
   kernels read the second, so they must agree. */
static oc_status check_geom(const oc__ctx *c, const oc__conv_geom *g,
                            int is_plain) {
    const int64_t *d = oc__in(c, 0)->dims;
    int last = is_plain && oc__attr_int(c->node, "layout", 0);
    int64_t channels = is_plain ? g->in_c : blocks(c, g->in_c);
    OC_TRY(oc__geom_check(c, g));
    if (d[0] != g->batch || d[last ? 1 : 2] != g->in_h ||
        d[last ? 2 : 3] != g->in_w || d[last ? 3 : 1] != channels)
        return oc__op_fail(c, OC_E_SHAPE, "its input has another geometry");
    return OC_OK;
}

/* ---- Block, Unblock ---------------------------------------------------------
 */

static oc_status infer_block(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    const int64_t *d = oc__in(c, 0)->dims;
    if (oc__attr_int(c->node, "layout", 0))
        return out_blocked(c, d[0], d[3], d[1], d[2]);
    return out_blocked(c, d[0], d[1], d[2], d[3]);
}

static oc_status run_block(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    const int64_t *d = x->dims;
    float *y = oc__out(c, 0)->data;
    if (oc__attr_int(c->node, "layout", 0))
        oc__block_nhwc_f32(c->kernels, c->pool, d[0], d[3], d[1] * d[2],
                           x->data, y);
    else
        oc__block_f32(c->kernels, c->pool, d[0], d[1], d[2] * d[3], x->data, y);
    return OC_OK;
}

static oc_status infer_unblock(oc__ctx *c) {
    OC_TRY(oc__want_blocked(c, 0));
    const int64_t *d = oc__in(c, 0)->dims;
    int64_t ch = oc__attr_int(c->node, "channels", 0);
    if (blocks(c, ch) != d[1])
        return oc__op_fail(c, OC_E_SHAPE, "%lld channels do not fill it",
                           (long long)ch);
    int64_t nchw[4] = {d[0], ch, d[2], d[3]}, nhwc[4] = {d[0], d[2], d[3], ch};
    int layout = oc__attr_int(c->node, "layout", 0) != 0;
    return oc__out_set(c, 0, OC_DTYPE_F32, 4, layout ? nhwc : nchw);
}

static oc_status run_unblock(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    const int64_t *d = x->dims;
    int64_t ch = oc__attr_int(c->node, "channels", 0);
    float *y = oc__out(c, 0)->data;
    if (oc__attr_int(c->node, "layout", 0))
        oc__unblock_nhwc_f32(c->kernels, c->pool, d[0], ch, d[2] * d[3],
                             x->data, y);
    else
        oc__unblock_f32(c->kernels, c->pool, d[0], ch, d[2] * d[3], x->data, y);
    return OC_OK;
}

/* ---- convolution ------------------------------------------------------------
 */

static oc__conv_algo algo_of(const oc__ctx *c) {
    return (oc__conv_algo)oc__attr_int(c->node, "algo", OC_CONV_DIRECT);
}

static oc_dtype packed_dtype(oc__conv_algo algo) {
    return oc__conv_is_bf16(algo) ? OC_DTYPE_BF16 : OC_DTYPE_F32;
}

static int64_t packed_elems(const oc__ctx *c, const oc__conv_geom *g,
                            oc__conv_algo algo) {
    int64_t n = (int64_t)oc__conv_f32_packed_elems(c->kernels, g, algo);
    return oc__conv_is_bf16(algo) ? 2 * n : n;
}

static oc_status infer_pack_conv(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    const int64_t *d = oc__in(c, 0)->dims;
    if (g.group < 1 || d[0] != g.out_c || d[1] != g.in_c / g.group ||
        d[2] != g.kernel_h || d[3] != g.kernel_w)
        return oc__op_fail(c, OC_E_SHAPE, "weights do not fit the geometry");
    OC_TRY(oc__geom_check(c, &g));
    if (!oc__conv_f32_can(c->kernels, &g, algo_of(c)))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "no kernel for its geometry");
    int64_t n = packed_elems(c, &g, algo_of(c));
    return oc__out_set(c, 0, packed_dtype(algo_of(c)), 1, &n);
}

static oc_status run_pack_conv(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    oc__conv_f32_pack(c->kernels, c->pool, &g, algo_of(c), oc__in(c, 0)->data,
                      oc__out(c, 0)->data);
    return OC_OK;
}

int oc__depth_fits(const oc__conv_geom *depth, const oc__conv_geom *point) {
    return depth->batch == point->batch && depth->out_c == point->in_c &&
           depth->out_h == point->in_h && depth->out_w == point->in_w &&
           point->out_h == point->in_h && point->out_w == point->in_w;
}

/* Packed weights and bias of g, inputs w and w + 1. */
static oc_status want_weights(const oc__ctx *c, const oc__conv_geom *g,
                              oc__conv_algo algo, int w, int bias) {
    const oc_tensor *t = oc__in(c, w), *b = oc__in(c, bias);
    if (!t || t->dtype != packed_dtype(algo) ||
        oc_tensor_elems(t) != packed_elems(c, g, algo))
        return oc__op_fail(c, OC_E_SHAPE, "packed weights do not fit");
    if (b && (b->dtype != OC_DTYPE_F32 ||
              oc_tensor_elems(b) != blocks(c, g->out_c) * c->kernels->block))
        return oc__op_fail(c, OC_E_SHAPE, "bias is not padded to the block");
    return OC_OK;
}

static oc_status want_act(const oc__ctx *c, const char *name) {
    int64_t act = oc__attr_int(c->node, name, OC_ACT_NONE);
    if (act >= 0 && act < OC_ACT_COUNT) return OC_OK;
    return oc__op_fail(c, OC_E_FORMAT, "there is no activation %lld",
                       (long long)act);
}

/* The depthwise part, through which x is read when there is one. */
static oc_status want_depth(const oc__ctx *c, const oc__conv_geom *point) {
    oc__conv_geom g;
    if (!read_geom(c, "depth_geom", &g) ||
        (algo_of(c) != OC_CONV_POINT && algo_of(c) != OC_CONV_POINT_BF16) ||
        !oc__conv_f32_can(c->kernels, &g, OC_CONV_DEPTHWISE) ||
        !oc__depth_fits(&g, point))
        return oc__op_fail(c, OC_E_FORMAT, "depth_geom does not fit");
    OC_TRY(want_act(c, "depth_act"));
    OC_TRY(oc__geom_check(c, point));
    OC_TRY(check_geom(c, &g, 0));
    return want_weights(c, &g, OC_CONV_DEPTHWISE, 4, 5);
}

static oc_status infer_conv_blocked(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    oc__conv_algo algo = algo_of(c);
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(want_act(c, "act"));
    if (!oc__conv_f32_can(c->kernels, &g, algo))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "no kernel for its geometry");
    if (algo == OC_CONV_FIRST)
        OC_TRY(oc__want_rank(c, 0, 4, 4));
    else
        OC_TRY(oc__want_blocked(c, 0));
    if (oc__in(c, 4))
        OC_TRY(want_depth(c, &g));
    else
        OC_TRY(check_geom(c, &g, algo == OC_CONV_FIRST));
    OC_TRY(want_weights(c, &g, algo, 1, 2));
    oc__scratch_need(
        c, oc__conv_f32_scratch_bytes(c->kernels, &g, algo, c->threads));
    OC_TRY(out_blocked(c, g.batch, g.out_c, g.out_h, g.out_w));
    const oc_tensor *r = oc__in(c, 3);
    int64_t padded = blocks(c, g.out_c) * c->kernels->block;
    if (r && (r->dtype != OC_DTYPE_F32 ||
              oc_tensor_elems(r) != g.batch * padded * g.out_h * g.out_w))
        return oc__op_fail(c, OC_E_SHAPE, "residual has another shape");
    return OC_OK;
}

static const float *data_of(const oc__ctx *c, int i) {
    return oc__in(c, i) ? oc__in(c, i)->data : NULL;
}

static oc_status run_conv_blocked(oc__ctx *c) {
    oc__conv_f32_args a = {0}, d = {0};
    OC_TRY(oc__geom_read(c, &a.g));
    a.algo = algo_of(c);
    a.in = data_of(c, 0);
    a.in_last = oc__attr_int(c->node, "layout", 0) != 0;
    a.packed_w = data_of(c, 1);
    a.bias = data_of(c, 2);
    a.residual = data_of(c, 3);
    a.out = oc__out(c, 0)->data;
    a.act = (int)oc__attr_int(c->node, "act", OC_ACT_NONE);
    a.act_a = oc__attr_float(c->node, "act_a", 0);
    a.act_b = oc__attr_float(c->node, "act_b", 0);
    if (oc__in(c, 4) && read_geom(c, "depth_geom", &d.g)) {
        d.in = a.in;
        d.packed_w = data_of(c, 4);
        d.bias = data_of(c, 5);
        d.act = (int)oc__attr_int(c->node, "depth_act", OC_ACT_NONE);
        d.act_a = oc__attr_float(c->node, "depth_act_a", 0);
        d.act_b = oc__attr_float(c->node, "depth_act_b", 0);
        a.before = &d;
    }
    oc__conv_f32(c->kernels, c->pool, &a, c->scratch);
    return OC_OK;
}

static double geom_flops(const oc__conv_geom *g) {
    return 2.0 * (double)g->batch * (double)g->out_c * (double)g->out_h *
           (double)g->out_w * (double)(g->in_c / g->group) *
           (double)(g->kernel_h * g->kernel_w);
}

static double flops_conv_blocked(const oc__ctx *c) {
    oc__conv_geom g, depth;
    if (oc__geom_read(c, &g) != OC_OK) return 0;
    if (!oc__in(c, 4) || !read_geom(c, "depth_geom", &depth))
        return geom_flops(&g);
    return geom_flops(&g) + geom_flops(&depth);
}

/* ---- pooling ----------------------------------------------------------------
 */

static oc_status infer_pool_blocked(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    int64_t pool = oc__attr_int(c->node, "pool", OC_POOL_MAX);
    OC_TRY(oc__want_blocked(c, 0));
    OC_TRY(check_geom(c, &g, 0));
    if (g.out_c != g.in_c || pool < 0 || pool > OC_POOL_AVERAGE_PADDED ||
        g.kernel_h < 1 || g.kernel_w < 1 || g.stride_h < 1 || g.stride_w < 1 ||
        g.dilation_h < 1 || g.dilation_w < 1)
        return oc__op_fail(c, OC_E_FORMAT, "this is no pooling");
    return out_blocked(c, g.batch, g.out_c, g.out_h, g.out_w);
}

static oc_status run_pool_blocked(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(oc__geom_read(c, &g));
    oc__pool_f32(c->kernels, c->pool, &g,
                 (oc__pool_kind)oc__attr_int(c->node, "pool", OC_POOL_MAX),
                 oc__in(c, 0)->data, oc__out(c, 0)->data);
    return OC_OK;
}

const oc__op oc__ops_blocked[] = {
    {"ocelli", "Block", 1, 1, 1, 1, 0, 0, infer_block, run_block, NULL},
    {"ocelli", "Unblock", 1, 1, 1, 1, 0, 0, infer_unblock, run_unblock, NULL},
    {"ocelli", "PackConv", 1, 1, 1, 1, OC_OP_PACK, 0, infer_pack_conv,
     run_pack_conv, NULL},
    {"ocelli", "ConvBlocked", 1, 2, 6, 1, 0, 0, infer_conv_blocked,
     run_conv_blocked, flops_conv_blocked},
    {"ocelli", "PoolBlocked", 1, 1, 1, 1, 0, 0, infer_pool_blocked,
     run_pool_blocked, NULL},
    {0},
};
