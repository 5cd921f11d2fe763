/*
 * pack_integer.c - 8-bit convolutions and products with constant weights get
 * them packed:
 *
 *     QLinearConv(x, .., w, ..) -> ocelli.QLinearConv(x, .., w, .., PackI8(w))
 *
 * and so for the others of pack_i8.c.  PackI8 is folded by the inference that
 * follows.  The weight itself stays an input, for its shape; nobody reads it.
 */
#include "passes/match.h"

#include <string.h>

typedef struct candidate {
    const char *domain, *name;
    int weight; /* number of its input */
    int conv;
} candidate;

static const candidate candidates[] = {
    {"", "QLinearConv", 3, 1},
    {"", "ConvInteger", 1, 1},
    {"", "QLinearMatMul", 3, 0},
    {"", "MatMulInteger", 1, 0},
    {"com.microsoft", "QGemm", 3, 0},
    {"com.microsoft", "DynamicQuantizeMatMul", 1, 0},
    {"com.microsoft", "MatMulIntegerToFloat", 1, 0},
    {"ocelli", "ConvIntegerToFloat", 3, 1},
};

static const candidate *find(const oc__node *n) {
    for (size_t i = 0; i < OC_COUNT(candidates); i++)
        if (!strcmp(n->op->name, candidates[i].name) &&
            !strcmp(n->op->domain, candidates[i].domain))
            return &candidates[i];
    return NULL;
}

/* Depthwise weights are read as they lie. */
static int worth_it(const oc__node *n, const candidate *k, const oc_tensor *w) {
    if (!w || (w->dtype != OC_DTYPE_U8 && w->dtype != OC_DTYPE_I8)) return 0;
    if (!k->conv) return w->rank == 2;
    int64_t group = oc__attr_int(n, "group", 1);
    return w->rank >= 3 && group > 0 && w->dims[0] % group == 0 &&
           !(group > 1 && w->dims[1] == 1 && w->dims[0] == group);
}

static oc_status pack(oc__graph *g, int *at, const candidate *k,
                      oc_error *err) {
    oc__node *n = g->nodes[*at];
    const oc__op *op = oc__op_find("ocelli", k->name);
    const oc__op *packer = oc__op_find("ocelli", "PackI8");
    int v = oc__graph_add_value(g, NULL);
    oc__node *p =
        v < 0 ? NULL
              : oc__graph_insert_node(g, *at, packer, n->name, 1, 1, 1, 3);
    int *in = oc__arena_array(g->arena, (size_t)op->max_in, sizeof(*in));
    if (!p || !in) return oc__fail_nomem(err);
    ++*at;
    p->in[0] = n->in[k->weight];
    p->out[0] = v;
    oc__attr_set_int(p, 0, "conv", k->conv);
    oc__attr_set_int(p, 1, "trans",
                     k->conv ? 0 : oc__attr_int(n, "transB", 0) != 0);
    oc__attr_set_int(p, 2, "group", oc__attr_int(n, "group", 1));
    for (int i = 0; i < op->max_in; i++)
        in[i] = i < n->n_in ? n->in[i] : -1;
    in[op->max_in - 1] = v;
    /* The version stays: QLinearMatMul's results depend on it. */
    n->op = op;
    n->in = in;
    n->n_in = n->n_explicit = op->max_in;
    return OC_OK;
}

oc_status oc__pass_pack_integer(oc__graph *g, const oc__pass_env *env,
                                oc_error *err) {
    (void)env;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        const candidate *k = n->dead ? NULL : find(n);
        if (!k || n->in[k->weight] < 0 ||
            !worth_it(n, k, oc__constant(g, n->in[k->weight])))
            continue;
        OC_TRY(pack(g, &i, k, err));
    }
    return OC_OK;
}
