/* net_input.c - what a network takes: which input, and its size. */
#include "train/net.h"

#include "ops/op.h"
#include "passes/match.h"
#include "passes/passes.h"

oc_status oc__net_show_shapes(oc__net *net, oc__net_visit *visit, void *user,
                              oc_error *err) {
    oc__arena arena;
    oc__arena_init(&arena, net->allocator);
    oc__graph *g = oc__graph_clone(net->g, &arena);
    oc_status st = g ? OC_OK : oc__fail_nomem(err);
    if (g) {
        oc__pass_env env = {.kernels = oc__kernels_native(),
                            .allocator = net->allocator,
                            .threads = 1};
        if (g->values[g->inputs[0]].dims[0] < 1)
            g->values[g->inputs[0]].dims[0] = 1;
        st = oc__pass_infer(g, &env, err);
        if (st == OC_OK) st = visit(net, g, user, err);
        oc__graph_release(g);
    }
    oc__arena_deinit(&arena);
    return st;
}

/* The one input that takes pictures; any other must have a default. */
static oc_status find_input(oc__net *net, oc_error *err) {
    oc__graph *g = net->g;
    int found = -1;
    for (int i = 0; i < g->n_inputs; i++) {
        const oc__value_def *v = &g->values[g->inputs[i]];
        if (v->constant) continue;
        if (found >= 0 || v->kind != OC_KIND_TENSOR ||
            v->dtype != OC_DTYPE_F32 || v->rank != 4)
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "the model's input \"%.60s\" takes no batch of "
                            "pictures (f32, 4 dimensions) alone, so it cannot "
                            "be trained",
                            v->name);
        found = g->inputs[i];
    }
    if (found < 0)
        return oc__fail(err, OC_E_UNSUPPORTED, "the model has no input");
    g->inputs[0] = found;
    g->n_inputs = 1;
    return OC_OK;
}

/* Whether a size is asked for that is not the declared one. */
static int wants_other_size(const oc__net *net, const oc__net_options *opt) {
    const int64_t *d = net->g->values[net->g->inputs[0]].dims;
    int64_t h = d[net->nhwc ? 1 : 2], w = d[net->nhwc ? 2 : 3];
    return opt->model && h > 0 && w > 0 &&
           ((opt->height > 0 && opt->height != h) ||
            (opt->width > 0 && opt->width != w));
}

/* Whether n pools all of its input, by a window of that very size. */
static int pools_all(const oc__graph *g, const oc__node *n) {
    size_t count, n_pads;
    const int64_t *window = oc__attr_ints(n, "kernel_shape", &count);
    const int64_t *pads = oc__attr_ints(n, "pads", &n_pads);
    const oc__value_def *x = &g->values[n->in[0]];
    if (!oc__is_op(n, "AveragePool") || count != 2 || x->rank != 4) return 0;
    for (size_t i = 0; i < n_pads; i++)
        if (pads[i]) return 0;
    return window[0] == x->dims[2] && window[1] == x->dims[3];
}

/*
 * Pools whose window is the whole picture at the declared size are said to be
 * so, and follow another size.  seen: the same graph with shapes.
 */
static oc_status free_pools(oc__net *net, oc__graph *seen, void *user,
                            oc_error *err) {
    (void)user;
    const oc__op *op = oc__op_find("", "GlobalAveragePool");
    if (!op) return oc__fail_nomem(err);
    for (int i = 0; i < net->g->n_nodes && i < seen->n_nodes; i++) {
        oc__node *n = net->g->nodes[i];
        if (!pools_all(seen, seen->nodes[i])) continue;
        n->op = op;
        n->n_attrs = 0;
    }
    return OC_OK;
}

/* Sizes of the input: what is asked for, else what is declared. */
static oc_status size_input(oc__net *net, const oc__net_options *opt,
                            oc_error *err) {
    oc__value_def *v = &net->g->values[net->g->inputs[0]];
    int64_t *d = v->dims;
    int at[3] = {net->nhwc ? 3 : 1, net->nhwc ? 1 : 2, net->nhwc ? 2 : 3};
    int64_t want[3] = {3, opt->height, opt->width};
    for (int i = 0; i < 3; i++) {
        if (d[at[i]] > 0 && (i == 0 || want[i] <= 0)) continue;
        if (want[i] <= 0) want[i] = 224;
        d[at[i]] = want[i];
        v->dim_names[at[i]] = NULL;
    }
    net->channels = (int)d[at[0]];
    net->height = (int)d[at[1]];
    net->width = (int)d[at[2]];
    if ((net->channels != 1 && net->channels != 3) || d[at[1]] > 8192 ||
        d[at[2]] > 8192)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the model's input \"%.60s\" is no picture of 1 or 3 "
                        "channels",
                        v->name);
    return OC_OK;
}

oc_status oc__net_input(oc__net *net, const oc__net_options *opt,
                        oc_error *err) {
    if (opt->model) OC_TRY(find_input(net, err));
    const int64_t *d = net->g->values[net->g->inputs[0]].dims;
    net->nhwc = d[1] != 1 && d[1] != 3 && (d[3] == 1 || d[3] == 3);
    net->resized = wants_other_size(net, opt);
    if (net->resized) OC_TRY(oc__net_show_shapes(net, free_pools, NULL, err));
    OC_TRY(size_input(net, opt, err));
    return opt->model ? oc__net_open_batch(net, err) : OC_OK;
}
