/* conv_last.c - PackLast, ConvLast, ProductLast, MaxPoolLast; see last.h. */
#include "ops/activation_fused.h"
#include "ops/last.h"

#include <string.h>

#define T_I8 (OC_T(U8) | OC_T(I8))

static oc_status bad_geom(const oc__ctx *c) {
    return oc__op_fail(c, OC_E_FORMAT, "its geometry is none");
}

/* How the sums are made; checked with the weights. */
static oc__conv_i8_algo algo_of(const oc__ctx *c) {
    return (oc__conv_i8_algo)oc__attr_int(c->node, "algo", OC_CONV_I8_PLAIN);
}

static oc_status read_geom(const oc__ctx *c, oc__conv_geom *g) {
    OC_TRY(oc__geom_read(c, g));
    OC_TRY(oc__geom_check(c, g));
    if (g->kernel_h < 1 || g->kernel_w < 1 || g->stride_h < 1 ||
        g->stride_w < 1 || g->dilation_h < 1 || g->dilation_w < 1 ||
        g->group < 1 || g->in_c % g->group || g->out_c % g->group)
        return bad_geom(c);
    return OC_OK;
}

/* The geometry is an attribute and x is a tensor: the first says where the
   kernels read the second, so they must agree. */
static oc_status read_input(const oc__ctx *c, oc__conv_geom *g) {
    OC_TRY(oc__want(c, 0, T_I8));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    OC_TRY(read_geom(c, g));
    const int64_t *d = oc__in(c, 0)->dims;
    if (d[0] != g->batch || d[1] != g->in_h || d[2] != g->in_w ||
        d[3] != g->in_c)
        return oc__op_fail(c, OC_E_SHAPE, "its input has another geometry");
    return OC_OK;
}

static oc_status set_output(oc__ctx *c, const oc__conv_geom *g,
                            oc_dtype dtype) {
    int64_t dims[4] = {g->batch, g->out_h, g->out_w, g->out_c};
    return oc__out_set(c, 0, dtype, 4, dims);
}

/* ---- PackLast ------------------------------------------------------------ */

static oc_status pack_bytes(const oc__ctx *c, const oc__conv_geom *g,
                            int64_t *out) {
    int64_t algo = oc__attr_int(c->node, "algo", OC_CONV_I8_PLAIN);
    if (algo < 0 || algo >= OC_CONV_I8_ALGO_COUNT ||
        !oc__conv_i8_can(g, (oc__conv_i8_algo)algo))
        return bad_geom(c);
    size_t bytes = oc__conv_i8_packed_bytes(c->kernels, g, algo_of(c));
    if (bytes > INT64_MAX / 2)
        return oc__op_fail(c, OC_E_LIMIT, "the weights are too large");
    *out = (int64_t)bytes;
    return OC_OK;
}

static oc_status infer_pack(oc__ctx *c) {
    oc__conv_geom g;
    int64_t n = 0;
    OC_TRY(read_geom(c, &g));
    int depth = g.group > 1 && g.group == g.in_c && g.group == g.out_c;
    OC_TRY(oc__want(c, 0, OC_T(I8) | (depth ? OC_T(I16) : 0)));
    OC_TRY(oc__want_rank(c, 0, 4, 4));
    const int64_t *d = oc__in(c, 0)->dims;
    if (d[0] != g.out_c || d[1] != g.in_c / g.group || d[2] != g.kernel_h ||
        d[3] != g.kernel_w)
        return oc__op_fail(c, OC_E_SHAPE, "weights do not fit the geometry");
    OC_TRY(pack_bytes(c, &g, &n));
    return oc__out_set(c, 0, OC_DTYPE_U8, 1, &n);
}

static oc_status run_pack(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(read_geom(c, &g));
    const oc_tensor *w = oc__in(c, 0);
    oc__conv_i8_pack(c->kernels, &g, algo_of(c), w->data,
                     w->dtype == OC_DTYPE_I16, oc__out(c, 0)->data);
    return OC_OK;
}

/* ---- ConvLast ------------------------------------------------------------ */

static oc_status want_terms(const oc__ctx *c, int i, uint32_t mask,
                            int64_t elems) {
    OC_TRY(oc__want(c, i, mask));
    if (oc_tensor_elems(oc__in(c, i)) != elems)
        return oc__op_fail(
            c, OC_E_SHAPE, "input %d has %lld elements, not %lld", i,
            (long long)oc_tensor_elems(oc__in(c, i)), (long long)elems);
    return OC_OK;
}

static int is_signed(const oc__ctx *c) {
    return oc__attr_int(c->node, "is_signed", 0) != 0;
}

/* A code of the result's type, so that what is made of it fits 16 bits. */
static oc_status want_zero(const oc__ctx *c) {
    int64_t zero = oc__attr_int(c->node, "zero", 0),
            lo = is_signed(c) ? -128 : 0;
    if (zero < lo || zero > lo + 255)
        return oc__op_fail(c, OC_E_ARG, "its zero point is %lld",
                           (long long)zero);
    return OC_OK;
}

/* Inputs 1 to 5, and the type of the result. */
static oc_status read_terms(const oc__ctx *c, const oc__conv_geom *g,
                            oc_dtype *type) {
    int64_t packed = 0, terms = (int64_t)oc__conv_i8_terms(g);
    int64_t out = g->batch * g->out_h * g->out_w * g->out_c;
    OC_TRY(pack_bytes(c, g, &packed));
    OC_TRY(want_terms(c, 1, OC_T(U8), packed));
    OC_TRY(want_terms(c, 2, OC_T(I32), terms));
    OC_TRY(want_terms(c, 3, OC_T(F32), terms));
    if (oc__in(c, 4)) {
        OC_TRY(want_terms(c, 4, OC_T(F32), terms));
        if (oc__in(c, 5)) OC_TRY(want_terms(c, 5, OC_T(F32), out));
        int64_t act = oc__attr_int(c->node, "act", 0);
        if (act < 0 || act >= OC_ACT_COUNT)
            return oc__op_fail(c, OC_E_FORMAT, "there is no activation %lld",
                               (long long)act);
        *type = OC_DTYPE_F32;
        return OC_OK;
    }
    OC_TRY(want_zero(c));
    *type = is_signed(c) ? OC_DTYPE_I8 : OC_DTYPE_U8;
    return OC_OK;
}

static oc_status infer_conv(oc__ctx *c) {
    oc__conv_geom g;
    oc_dtype type;
    OC_TRY(read_input(c, &g));
    OC_TRY(read_terms(c, &g, &type));
    oc__scratch_need(
        c, oc__conv_i8_scratch_bytes(c->kernels, &g, algo_of(c), c->threads));
    return set_output(c, &g, type);
}

static void run_args(const oc__ctx *c, oc__conv_i8_args *args) {
    oc__conv_i8_args a = *args;
    a.algo = algo_of(c);
    a.in = oc__in(c, 0)->data;
    a.in_signed = oc__in(c, 0)->dtype == OC_DTYPE_I8;
    a.pad = (int)(oc__attr_int(c->node, "pad", 0) & 255);
    a.packed = oc__in(c, 1)->data;
    a.bias = oc__in(c, 2)->data;
    a.scale = oc__in(c, 3)->data;
    a.zero = (int)oc__attr_int(c->node, "zero", 0);
    a.out_signed = is_signed(c);
    if (oc__in(c, 4)) {
        a.shift = oc__in(c, 4)->data;
        a.residual = oc__in(c, 5) ? oc__in(c, 5)->data : NULL;
        oc__act_args act = oc__act_of_attrs(c->node);
        a.act = act.kind;
        a.act_a = act.a;
        a.act_b = act.b;
        a.out_f32 = oc__out(c, 0)->data;
    } else {
        a.out = oc__out(c, 0)->data;
    }
    oc__conv_i8(c->kernels, c->pool, &a, c->scratch);
}

static oc_status run_conv(oc__ctx *c) {
    oc__conv_i8_args a = {0};
    OC_TRY(oc__geom_read(c, &a.g));
    run_args(c, &a);
    return OC_OK;
}

static double flops_conv(const oc__ctx *c) {
    oc__conv_geom g;
    if (oc__geom_read(c, &g) != OC_OK || g.group < 1) return 0;
    return 2.0 * (double)g.batch * (double)g.out_c * (double)g.out_h *
           (double)g.out_w * (double)(g.in_c / g.group) *
           (double)(g.kernel_h * g.kernel_w);
}

/* ---- ProductLast --------------------------------------------------------- */

/* The rows of x are the pixels of a picture. */
static oc_status read_product(const oc__ctx *c, oc__conv_geom *g) {
    OC_TRY(oc__want(c, 0, T_I8));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    int64_t n = oc__attr_int(c->node, "n", 0), k = x->dims[x->rank - 1];
    if (n < 1 || k < 1)
        return oc__op_fail(c, OC_E_SHAPE, "%lld columns of %lld are none",
                           (long long)n, (long long)k);
    int64_t m = oc__count(x->dims, x->rank - 1);
    *g = (oc__conv_geom){1, k, 1, m, n, 1, m, 1, 1, 1, 1, 1, 1, 0, 0, 1};
    return oc__geom_check(c, g);
}

static oc_status infer_product(oc__ctx *c) {
    oc__conv_geom g;
    oc_dtype type;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(read_product(c, &g));
    OC_TRY(read_terms(c, &g, &type));
    oc__scratch_need(
        c, oc__conv_i8_scratch_bytes(c->kernels, &g, algo_of(c), c->threads));
    const oc_tensor *x = oc__in(c, 0);
    memcpy(dims, x->dims, (size_t)x->rank * sizeof(*dims));
    dims[x->rank - 1] = g.out_c;
    return oc__out_set(c, 0, type, x->rank, dims);
}

static oc_status run_product(oc__ctx *c) {
    oc__conv_i8_args a = {0};
    OC_TRY(read_product(c, &a.g));
    run_args(c, &a);
    return OC_OK;
}

static double flops_product(const oc__ctx *c) {
    oc__conv_geom g;
    if (read_product(c, &g) != OC_OK) return 0;
    return 2.0 * (double)g.in_w * (double)g.in_c * (double)g.out_c;
}

/* ---- MaxPoolLast --------------------------------------------------------- */

static oc_status infer_pool(oc__ctx *c) {
    oc__conv_geom g;
    OC_TRY(read_input(c, &g));
    if (g.in_c != g.out_c) return bad_geom(c);
    oc__scratch_need(c, oc__max_pool_i8_scratch_bytes(&g, c->threads));
    return set_output(c, &g, oc__in(c, 0)->dtype);
}

static oc_status run_pool(oc__ctx *c) {
    oc__conv_i8_args a = {0};
    OC_TRY(oc__geom_read(c, &a.g));
    a.in = oc__in(c, 0)->data;
    a.in_signed = oc__in(c, 0)->dtype == OC_DTYPE_I8;
    a.out = oc__out(c, 0)->data;
    oc__max_pool_i8(c->kernels, c->pool, &a, c->scratch);
    return OC_OK;
}

const oc__op oc__ops_conv_last[] = {
    {"ocelli", "PackLast", 1, 1, 1, 1, OC_OP_PACK, 0, infer_pack, run_pack,
     NULL},
    {"ocelli", "ConvLast", 1, 4, 6, 1, 0, 0, infer_conv, run_conv, flops_conv},
    {"ocelli", "ProductLast", 1, 4, 6, 1, 0, 0, infer_product, run_product,
     flops_product},
    {"ocelli", "MaxPoolLast", 1, 1, 1, 1, 0, 0, infer_pool, run_pool, NULL},
    {0},
};
