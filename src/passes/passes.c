/* passes.c - the order in which the passes run; see passes.h. */
#include "passes/passes.h"

typedef struct pass_entry {
    const char *name;
    oc__pass_fn fn;
    int level; /* runs when env->level is at least this */
} pass_entry;

/* Without shapes, once per model.  -1 would be "always". */
static const pass_entry load_passes[] = {
    {"differentiate", oc__pass_differentiate, -1},
    {"fuse_qdq", oc__pass_fuse_qdq, 1}, /* before weights fold to f32 */
    {"fold", oc__pass_fold, 0},
    {"dead_code", oc__pass_dead_code, 0},
    {"simplify", oc__pass_simplify, 1},
    {"common_subexpr", oc__pass_common_subexpr, 1},
    {"fold_pad", oc__pass_fold_pad, 1},
    {"fuse_scale", oc__pass_fuse_scale, 1},
    {"widen_depthwise", oc__pass_widen_depthwise, 1},
    {"dead_code", oc__pass_dead_code, 0},
};

/* With shapes, once per program. */
static const pass_entry shaped_passes[] = {
    {"infer", oc__pass_infer, -1},
    {"drop_same", oc__pass_drop_same, 0},
    {"dead_code", oc__pass_dead_code, 0},
    {"fuse_activation", oc__pass_fuse_activation, 1},
    {"fuse_table", oc__pass_fuse_table, 1},
    {"fuse_norm", oc__pass_fuse_norm, 1},
    {"fuse_attention", oc__pass_fuse_attention, 1},
    {"dead_code", oc__pass_dead_code, 1},
    {"merge_convs", oc__pass_merge_convs, 1},
    {"turn_tokens", oc__pass_turn_tokens, 1},
    {"layout", oc__pass_layout, 1},
    {"fuse_argmax", oc__pass_fuse_argmax, 1},
    {"fuse_depthwise", oc__pass_fuse_depthwise, 1},
    {"layout_i8", oc__pass_layout_i8, 1},
    {"product_last", oc__pass_product_last, 1},
    {"pack_product", oc__pass_pack_product, 1},
    {"pack_integer", oc__pass_pack_integer, 1},
    {"infer", oc__pass_infer, 1}, /* packs weights by folding */
    {"dead_code", oc__pass_dead_code, 1},
    {"recompute", oc__pass_recompute, -1},
};

/* oc_options.optimize (0 full, 1 basic, -1 none) as a rising scale. */
static int scale(int level) {
    return level < 0 ? -1 : level == 1 ? 0 : 1;
}

static oc_status run_list(const pass_entry *list, size_t n, oc__graph *g,
                          const oc__pass_env *env, oc_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (list[i].level > scale(env->level)) continue;
        OC_TRY(list[i].fn(g, env, err));
#ifndef NDEBUG
        oc_status st = oc__graph_verify(g, err);
        if (st != OC_OK) {
            oc__error_prefix(err, list[i].name);
            return st;
        }
#endif
    }
    return OC_OK;
}

static oc_status run_load(oc__graph *g, const oc__pass_env *env,
                          oc_error *err) {
    for (int i = 0; i < g->n_nodes; i++)
        for (int a = 0; a < g->nodes[i]->n_attrs; a++) {
            const oc__attr *attr = &g->nodes[i]->attrs[a];
            for (size_t j = 0; attr->graphs && j < attr->n; j++)
                OC_TRY(run_load(attr->graphs[j], env, err));
        }
    return run_list(load_passes, OC_COUNT(load_passes), g, env, err);
}

oc_status oc__passes_run(oc__graph *g, const oc__kernels *k, int level,
                         const oc_allocator *a, oc_error *err) {
    oc__pass_env env = {
        .kernels = k, .allocator = a, .threads = 1, .level = level};
    return run_load(g, &env, err);
}

oc_status oc__passes_run_shaped(oc__graph *g, const oc__pass_env *env,
                                oc_error *err) {
    return run_list(shaped_passes, OC_COUNT(shaped_passes), g, env, err);
}
