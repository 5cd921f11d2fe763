/* conv.c - choosing a way of convolution; see conv.h. */
#include "kernels/conv.h"

#include "kernels/conv_private.h"

static const oc__conv_way *const ways[OC_CONV_ALGO_COUNT] = {
    [OC_CONV_DIRECT] = &oc__conv_way_direct,
    [OC_CONV_DEPTHWISE] = &oc__conv_way_depthwise,
    [OC_CONV_FIRST] = &oc__conv_way_first,
    [OC_CONV_POINT] = &oc__conv_way_point,
    [OC_CONV_WINOGRAD2] = &oc__conv_way_winograd2,
    [OC_CONV_WINOGRAD4] = &oc__conv_way_winograd4,
    [OC_CONV_WINOGRAD6] = &oc__conv_way_winograd6,
    [OC_CONV_DIRECT_BF16] = &oc__conv_way_direct_bf16,
    [OC_CONV_POINT_BF16] = &oc__conv_way_point_bf16,
};

const char *oc__conv_algo_name(oc__conv_algo algo) {
    static const char *const names[OC_CONV_ALGO_COUNT] = {
        "direct",    "depthwise", "first",       "point",     "winograd2",
        "winograd4", "winograd6", "direct-bf16", "point-bf16"};
    return (unsigned)algo < OC_CONV_ALGO_COUNT ? names[algo] : "?";
}

/* What no way can do: sizes that are not those of a convolution. */
static int is_sound(const oc__conv_geom *g) {
    return g->batch >= 0 && g->in_c > 0 && g->out_c > 0 && g->in_h > 0 &&
           g->in_w > 0 && g->out_h >= 0 && g->out_w >= 0 && g->kernel_h > 0 &&
           g->kernel_w > 0 && g->stride_h > 0 && g->stride_w > 0 &&
           g->dilation_h > 0 && g->dilation_w > 0 && g->pad_top >= 0 &&
           g->pad_left >= 0 && g->group > 0 && g->in_c % g->group == 0 &&
           g->out_c % g->group == 0;
}

int oc__conv_f32_can(const struct oc__kernels *kt, const oc__conv_geom *g,
                     oc__conv_algo algo) {
    if ((int)algo < 0 || algo >= OC_CONV_ALGO_COUNT || !is_sound(g)) return 0;
    return ways[algo]->can(kt, g);
}

oc__conv_algo oc__conv_f32_choose(const struct oc__kernels *kt,
                                  const oc__conv_geom *g, int fixed_weights) {
    if (oc__conv_f32_can(kt, g, OC_CONV_DEPTHWISE)) return OC_CONV_DEPTHWISE;
    if (oc__conv_f32_can(kt, g, OC_CONV_FIRST)) return OC_CONV_FIRST;
    int bf16 = kt->bf16 && fixed_weights;
    /* Pixels are rounded before they are read, so the copy costs nothing. */
    if (bf16 && oc__conv_f32_can(kt, g, OC_CONV_POINT_BF16))
        return OC_CONV_POINT_BF16;
    if (oc__conv_f32_can(kt, g, OC_CONV_POINT) && oc__point_pays(kt, g))
        return OC_CONV_POINT;
    oc__conv_algo winograd;
    if (oc__conv_f32_can(kt, g, OC_CONV_WINOGRAD2) &&
        oc__winograd_pays(kt, g, fixed_weights, &winograd))
        return winograd;
    if (bf16 && oc__conv_f32_can(kt, g, OC_CONV_DIRECT_BF16))
        return OC_CONV_DIRECT_BF16;
    return OC_CONV_DIRECT;
}

size_t oc__conv_f32_packed_elems(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, oc__conv_algo algo) {
    return ways[algo]->packed_elems(kt, g);
}

void oc__conv_f32_pack(const struct oc__kernels *kt, oc__pool *pool,
                       const oc__conv_geom *g, oc__conv_algo algo,
                       const float *w, float *packed) {
    ways[algo]->pack(kt, pool, g, w, packed);
}

size_t oc__conv_f32_scratch_bytes(const struct oc__kernels *kt,
                                  const oc__conv_geom *g, oc__conv_algo algo,
                                  int threads) {
    if (g->batch == 0 || g->out_h == 0 || g->out_w == 0) return 0;
    return ways[algo]->scratch_bytes(kt, g, threads);
}

void oc__conv_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__conv_f32_args *args, void *scratch) {
    const oc__conv_geom *g = &args->g;
    if (g->batch == 0 || g->out_h == 0 || g->out_w == 0) return;
    ways[args->algo]->run(kt, pool, args, scratch);
}
