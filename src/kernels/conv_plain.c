/*
 * conv_plain.c - convolution from NCHW to NCHW with weights as they come.
 *
 * For weights that are not known beforehand, and graphs that are not
 * optimised: packs the weights and blocks the input on every run.  That is
 * one pass over each, where a product of matrices over unrolled taps writes
 * and reads kernel_h * kernel_w copies of the input.
 *
 *     scratch: packed weights | bias | input | residual | output | the way's
 */
#include "kernels/conv_private.h"

#include <string.h>

typedef struct plain_plan {
    oc__conv_algo algo;
    size_t packed, bias, in, residual, out, rest; /* offsets in bytes */
    size_t bytes;
} plain_plan;

/* Winograd is left out: transforming the weights each time is dear, and this
 * path also serves as the reference of unoptimised graphs. */
static int way_of(const oc__kernels *kt, const oc__conv_geom *g,
                  oc__conv_algo *out) {
    static const oc__conv_algo order[] = {OC_CONV_DEPTHWISE, OC_CONV_FIRST,
                                          OC_CONV_DIRECT};
    for (size_t i = 0; i < OC_COUNT(order); i++)
        if (oc__conv_f32_can(kt, g, order[i])) {
            *out = order[i];
            return 1;
        }
    return 0;
}

static size_t take(plain_plan *p, size_t elems) {
    size_t at = p->bytes;
    p->bytes += oc__align_up(elems * sizeof(float), OC_ALIGN);
    return at;
}

static plain_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g,
                          int residual, int threads) {
    plain_plan p = {0};
    way_of(kt, g, &p.algo);
    size_t c = (size_t)kt->block, batch = (size_t)g->batch;
    size_t in =
        batch * oc__blocks(kt, g->in_c) * c * (size_t)(g->in_h * g->in_w);
    size_t out =
        batch * oc__blocks(kt, g->out_c) * c * (size_t)(g->out_h * g->out_w);
    p.packed = take(&p, oc__conv_f32_packed_elems(kt, g, p.algo));
    p.bias = take(&p, oc__blocks(kt, g->out_c) * c);
    p.in = take(&p, p.algo == OC_CONV_FIRST ? 0 : in);
    p.residual = take(&p, residual ? out : 0);
    p.out = take(&p, out);
    p.rest = p.bytes;
    p.bytes += oc__conv_f32_scratch_bytes(kt, g, p.algo, threads);
    return p;
}

int oc__conv_plain_f32_can(const struct oc__kernels *kt,
                           const oc__conv_geom *g) {
    oc__conv_algo algo;
    if (!way_of(kt, g, &algo)) return 0;
    /* With few output channels most of a block would be filling. */
    return g->out_c * 4 >= kt->block;
}

size_t oc__conv_plain_f32_scratch_bytes(const struct oc__kernels *kt,
                                        const oc__conv_geom *g, int residual,
                                        int threads) {
    return plan_of(kt, g, residual, threads).bytes;
}

void oc__conv_plain_f32(const struct oc__kernels *kt, oc__pool *pool,
                        const oc__conv_f32_args *args, const float *w,
                        void *scratch) {
    const oc__conv_geom *g = &args->g;
    if (g->batch == 0 || g->out_h == 0 || g->out_w == 0) return;
    plain_plan p =
        plan_of(kt, g, args->residual != NULL, oc__pool_threads(pool));
    char *at = scratch;
    oc__conv_f32_args a = *args;
    int64_t out_px = g->out_h * g->out_w;
    a.algo = p.algo;
    oc__conv_f32_pack(kt, NULL, g, p.algo, w, (float *)(void *)(at + p.packed));
    a.packed_w = (const float *)(void *)(at + p.packed);
    if (args->bias) {
        float *bias = (float *)(void *)(at + p.bias);
        size_t full = oc__blocks(kt, g->out_c) * (size_t)kt->block;
        memset(bias, 0, full * sizeof *bias);
        memcpy(bias, args->bias, (size_t)g->out_c * sizeof *bias);
        a.bias = bias;
    }
    if (p.algo != OC_CONV_FIRST) {
        a.in = (const float *)(void *)(at + p.in);
        oc__block_f32(kt, pool, g->batch, g->in_c, g->in_h * g->in_w, args->in,
                      (float *)(void *)(at + p.in));
    }
    if (args->residual) {
        a.residual = (const float *)(void *)(at + p.residual);
        oc__block_f32(kt, pool, g->batch, g->out_c, out_px, args->residual,
                      (float *)(void *)(at + p.residual));
    }
    a.out = (float *)(void *)(at + p.out);
    oc__conv_f32(kt, pool, &a, at + p.rest);
    oc__unblock_f32(kt, pool, g->batch, g->out_c, out_px, a.out, args->out);
}
