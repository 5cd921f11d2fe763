/*
 * pack_i8.c - ocelli.PackI8: 8-bit weights to the panels of the integer GEMM.
 *
 *     B (k, n), or (n, k) with trans = 1       one run of panels
 *     w (group * out, in, taps...), conv = 1   one for each of `group`,
 *                                              k = (taps, in), n = out
 *
 * The result is u8 and flat.  Constant folding does this once; the operators
 * named below in domain ocelli take it as one more input behind their own:
 * QLinearConv, ConvInteger, QLinearMatMul, MatMulInteger, QGemm,
 * DynamicQuantizeMatMul, MatMulIntegerToFloat.
 */
#include "ops/pack_i8.h"

#include <string.h>

size_t oc__pack_i8_bytes(const oc__kernels *kt, int64_t k, int64_t n) {
    size_t each = oc__gemm_i8_packed_bytes(kt, (size_t)k, (size_t)n);
    return oc__align_up(each, OC_ALIGN);
}

void oc__pack_i8_conv(const oc__kernels *kt, const void *w, int is_signed,
                      int64_t group, int64_t group_out, int64_t group_in,
                      int64_t depth, char *reordered, char *packed) {
    size_t in = (size_t)group_in, k = (size_t)depth, out = (size_t)group_out;
    size_t taps = in ? k / in : 0,
           each = oc__pack_i8_bytes(kt, depth, group_out);
    for (size_t g = 0; g < (size_t)group; g++) {
        const char *from = (const char *)w + g * out * k;
        if (taps > 1 && in > 1) {
            for (size_t o = 0; o < out; o++)
                kt->transpose_b1(from + o * k, taps, reordered + o * k, in, in,
                                 taps);
            from = reordered;
        }
        oc__gemm_i8_pack_b(kt, k, out, from, is_signed, 1, k,
                           packed + g * each);
    }
}

typedef struct pack_shape {
    int conv, trans;
    int64_t group, out, in, k, n;
    size_t bytes;
} pack_shape;

static oc_status read_shape(const oc__ctx *c, pack_shape *p) {
    OC_TRY(oc__want(c, 0, OC_T(U8) | OC_T(I8)));
    const oc_tensor *w = oc__in(c, 0);
    p->conv = oc__attr_int(c->node, "conv", 0) != 0;
    p->trans = oc__attr_int(c->node, "trans", 0) != 0;
    p->group = oc__attr_int(c->node, "group", 1);
    if (p->conv) {
        OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
        if (p->group < 1 || w->dims[0] % p->group)
            return oc__op_fail(c, OC_E_SHAPE, "%lld groups do not divide",
                               (long long)p->group);
        p->n = w->dims[0] / p->group;
        p->in = w->dims[1];
        p->k = w->dims[0] ? oc_tensor_elems(w) / w->dims[0] : 0;
    } else {
        OC_TRY(oc__want_rank(c, 0, 2, 2));
        p->group = 1;
        p->in = 1;
        p->k = w->dims[p->trans];
        p->n = w->dims[!p->trans];
    }
    size_t each = oc__pack_i8_bytes(c->kernels, p->k, p->n);
    if (each > INT64_MAX / 2 ||
        oc__size_mul(each, (size_t)p->group, &p->bytes) ||
        p->bytes > INT64_MAX / 2)
        return oc__op_fail(c, OC_E_LIMIT, "the weights are too large");
    return OC_OK;
}

static oc_status infer_pack(oc__ctx *c) {
    pack_shape p;
    OC_TRY(read_shape(c, &p));
    int64_t n = (int64_t)p.bytes;
    if (p.conv) oc__scratch_need(c, (size_t)(p.n * p.k));
    return oc__out_set(c, 0, OC_DTYPE_U8, 1, &n);
}

static oc_status run_pack(oc__ctx *c) {
    const oc_tensor *w = oc__in(c, 0);
    char *y = oc__out(c, 0)->data;
    pack_shape p;
    OC_TRY(read_shape(c, &p));
    int is_signed = w->dtype == OC_DTYPE_I8;
    /* Panels leave no gaps, but the space between runs would be garbage. */
    memset(y, 0, p.bytes);
    if (p.conv)
        oc__pack_i8_conv(c->kernels, w->data, is_signed, p.group, p.n, p.in,
                         p.k, c->scratch, y);
    else
        oc__gemm_i8_pack_b(c->kernels, (size_t)p.k, (size_t)p.n, w->data,
                           is_signed, (size_t)(p.trans ? 1 : p.n),
                           (size_t)(p.trans ? p.k : 1), y);
    return OC_OK;
}

oc_status oc__pack_i8_input(const oc__ctx *c, size_t bytes, const void **out) {
    *out = NULL;
    if (strcmp(c->op->domain, "ocelli") || !oc__in(c, c->op->max_in - 1))
        return OC_OK;
    OC_TRY(oc__want(c, c->op->max_in - 1, OC_T(U8)));
    const oc_tensor *t = oc__in(c, c->op->max_in - 1);
    if (oc_tensor_elems(t) != (int64_t)bytes)
        return oc__op_fail(c, OC_E_SHAPE, "the weights are packed otherwise");
    *out = t->data;
    return OC_OK;
}

const oc__op oc__ops_pack_i8[] = {
    {"ocelli", "PackI8", 1, 1, 1, 1, OC_OP_PACK, 0, infer_pack, run_pack, NULL},
    {0},
};
