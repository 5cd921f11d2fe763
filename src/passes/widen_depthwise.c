/*
 * widen_depthwise.c - a filter a channel where there were several.
 *
 *   Conv(x, W), `channels` groups, several outputs each
 *       becomes  Conv(Gather(x, 0 0 1 1 ...), W), a group for each output
 *
 * which the depthwise kernels do; that the input is copied is little beside
 * the taps that each copy is read for.
 */
#include "passes/match.h"

#include <string.h>

/* Outputs below this are no block of channels; copies above that are much. */
enum { LEAST_OUTPUTS = 8, MOST_COPIES = 8 };

/* Outputs of each group of a convolution of one input channel a group; 1 and
 * 0: there is nothing to do. */
static int64_t outputs_a_group(const oc__graph *g, const oc__node *n) {
    if (!oc__is_op(n, "Conv")) return 0;
    const oc_tensor *w = oc__constant(g, n->in[1]);
    int64_t groups = oc__attr_int(n, "group", 1);
    if (!w || w->dtype != OC_DTYPE_F32 || w->rank != 4 || w->dims[1] != 1 ||
        groups < 2 || w->dims[0] % groups || w->dims[0] < LEAST_OUTPUTS ||
        w->dims[2] * w->dims[3] < 2)
        return 0;
    return w->dims[0] / groups;
}

static oc_status widen(oc__graph *g, int i, int64_t copies,
                       const oc__pass_env *env, oc_error *err) {
    oc__node *conv = g->nodes[i];
    int64_t outputs = oc__constant(g, conv->in[1])->dims[0];
    void *list = NULL;
    int places = oc__new_constant(g, env->allocator, NULL, OC_DTYPE_I64, 1,
                                  &outputs, &list);
    const oc__op *op = oc__op_find("", "Gather");
    oc__node *n =
        places < 0 || !op
            ? NULL
            : oc__graph_insert_node(g, i, op, conv->name, 13, 2, 1, 1);
    int y = n ? oc__graph_add_value(g, NULL) : -1;
    if (y < 0) return oc__fail_nomem(err);
    for (int64_t k = 0; k < outputs; k++)
        ((int64_t *)list)[k] = k / copies;
    oc__attr_set_int(n, 0, "axis", 1);
    n->in[0] = conv->in[0];
    n->in[1] = places;
    n->out[0] = y;
    conv->in[0] = y;
    /* Of a copied graph they are the other's, too. */
    conv->attrs = oc__arena_dup(g->arena, conv->attrs,
                                (size_t)conv->n_attrs * sizeof(*conv->attrs));
    if (!conv->attrs) return oc__fail_nomem(err);
    for (int a = 0; a < conv->n_attrs; a++)
        if (!strcmp(conv->attrs[a].name, "group"))
            oc__attr_set_int(conv, a, "group", outputs);
    return OC_OK;
}

oc_status oc__pass_widen_depthwise(oc__graph *g, const oc__pass_env *env,
                                   oc_error *err) {
    for (int i = 0; i < g->n_nodes; i++) {
        int64_t copies = outputs_a_group(g, g->nodes[i]);
        if (copies < 2 || copies > MOST_COPIES) continue;
        OC_TRY(widen(g, i, copies, env, err));
        i++; /* the convolution is behind what is before it */
    }
    return OC_OK;
}
