/*
 * fuse_depthwise.c - a depthwise convolution and the 1x1 convolution behind it
 * become one node:
 *
 *     x --ConvBlocked depthwise--> t --ConvBlocked 1x1--> y
 *     x --ConvBlocked point, with the depthwise weights as more inputs--> y
 *
 * t, the widest tensor of a mobile network, is then computed strip by strip in
 * L2 and never written to memory.  Runs after layout, on what it emitted.
 * With a tuner, only where it found that to be faster.
 */
#include "ops/blocked.h"
#include "passes/match.h"
#include "passes/tune.h"

#include <string.h>

enum { DEPTH_ATTRS = 4 };

static int geom_of(const oc__node *n, oc__conv_geom *g) {
    size_t count;
    const int64_t *v = oc__attr_ints(n, "geom", &count);
    if (!oc__is_own(n, "ConvBlocked") || !v || count != OC_GEOM_INTS) return 0;
    memcpy(g, v, sizeof *g);
    return 1;
}

static oc__conv_algo algo_of(const oc__node *n) {
    return (oc__conv_algo)oc__attr_int(n, "algo", OC_CONV_DIRECT);
}

/* The depthwise node that n may take in, or NULL. */
static oc__node *match(const oc__index *ix, const oc__node *n,
                       const oc__pass_env *env) {
    const oc__kernels *kt = env->kernels;
    oc__conv_geom point, depth;
    if (!geom_of(n, &point) || n->n_in > 4 || algo_of(n) == OC_CONV_FIRST ||
        algo_of(n) == OC_CONV_DEPTHWISE ||
        !oc__conv_f32_can(kt, &point, OC_CONV_POINT))
        return NULL;
    oc__node *d = oc__producer(ix, n->in[0]);
    if (!d || !oc__used_once(ix, n->in[0]) || !geom_of(d, &depth) ||
        algo_of(d) != OC_CONV_DEPTHWISE || d->in[3] >= 0 ||
        !oc__depth_fits(&depth, &point))
        return NULL;
    if (env->tuner && !oc__tuner_joins(env->tuner, &depth, &point, algo_of(n)))
        return NULL;
    return d;
}

/* n's attributes, and d's under other names. */
static oc__attr *joined_attrs(oc__graph *g, const oc__node *n,
                              const oc__node *d) {
    static const char *const from[DEPTH_ATTRS] = {"geom", "act", "act_a",
                                                  "act_b"};
    static const char *const to[DEPTH_ATTRS] = {"depth_geom", "depth_act",
                                                "depth_act_a", "depth_act_b"};
    size_t count = (size_t)(n->n_attrs + DEPTH_ATTRS);
    oc__attr *all = oc__arena_array(g->arena, count, sizeof *all);
    if (!all) return NULL;
    memcpy(all, n->attrs, (size_t)n->n_attrs * sizeof *all);
    for (int i = 0; i < DEPTH_ATTRS; i++)
        for (int j = 0; j < d->n_attrs; j++)
            if (!strcmp(d->attrs[j].name, from[i])) {
                all[n->n_attrs + i] = d->attrs[j];
                all[n->n_attrs + i].name = to[i];
            }
    return all;
}

static oc_status fuse(oc__graph *g, oc__node *n, oc__node *d, oc_error *err) {
    int *in = oc__arena_array(g->arena, 6, sizeof *in);
    oc__attr *attrs = joined_attrs(g, n, d);
    if (!in || !attrs) return oc__fail_nomem(err);
    in[0] = d->in[0];
    memcpy(in + 1, n->in + 1, 3 * sizeof *in);
    in[4] = d->in[1];
    in[5] = d->in[2];
    int bf16 = oc__conv_is_bf16(algo_of(n));
    const char *kernel = bf16 ? "depth+point-bf16" : "depth+point";
    n->in = in;
    n->n_in = n->n_explicit = 6;
    n->attrs = attrs;
    n->n_attrs += DEPTH_ATTRS;
    for (int i = 0; i < n->n_attrs; i++) {
        if (!strcmp(attrs[i].name, "algo"))
            attrs[i].i = bf16 ? OC_CONV_POINT_BF16 : OC_CONV_POINT;
        if (!strcmp(attrs[i].name, "kernel")) {
            attrs[i].s.data = kernel;
            attrs[i].s.bytes = strlen(kernel);
        }
    }
    d->dead = 1;
    return OC_OK;
}

oc_status oc__pass_fuse_depthwise(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; st == OC_OK && i < g->n_nodes; i++) {
        oc__node *d = match(&ix, g->nodes[i], env);
        if (d) st = fuse(g, g->nodes[i], d, err);
    }
    oc__index_deinit(&ix);
    return st;
}
