/* qat.c - see qat.h. */
#include "train/qat.h"

#include "passes/match.h"

#include <string.h>

/* ---- deciding -------------------------------------------------------------
 */

static oc_status check_graph(const oc__graph *g, oc_error *err) {
    for (int i = 0; i < g->n_nodes; i++) {
        const char *op = g->nodes[i]->op->name;
        if (!strncmp(op, "QLinear", 7) || !strcmp(op, "QuantizeLinear") ||
            !strcmp(op, "DequantizeLinear"))
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "the model is quantized already (%s \"%.60s\"); "
                            "train the one in f32 for 8 bits",
                            op, g->nodes[i]->name);
    }
    return OC_OK;
}

/* Sizes and the like look as activations do until types are known. */
static oc_status mark_absent(oc__net *net, oc__graph *seen, void *user,
                             oc_error *err) {
    oc__quant_plan *p = user;
    int any = 0;
    for (int i = 0; i < p->n_watches; i++) {
        const oc__value_def *v = &seen->values[p->watches[i].value];
        p->watches[i].absent = v->constant || v->dtype != OC_DTYPE_F32;
        any |= p->watches[i].absent;
    }
    return any ? oc__quant_decide_again(p, net->g, net->allocator, err) : OC_OK;
}

static oc_status add_ranges(oc__net *net, oc__qat *q, oc_error *err) {
    int64_t two = 2;
    size_t n = (size_t)q->plan.n_values + 1;
    q->range = oc__arena_array(&net->arena, n, sizeof(*q->range));
    if (!q->range) return oc__fail_nomem(err);
    for (int v = 0; v < q->plan.n_values; v++) {
        q->range[v] = -1;
        if (q->plan.code[v] != v) continue;
        float *none;
        q->range[v] =
            oc__new_constant_f32(net->g, net->allocator, NULL, 1, &two, &none);
        if (q->range[v] < 0) return oc__fail_nomem(err);
        none[0] = none[1] = 0;
    }
    return OC_OK;
}

oc_status oc__qat_init(oc__net *net, oc_error *err) {
    static const oc_quantize_options all;
    int version = oc__onnx_opset(&net->onnx, ""), coded = 0;
    oc__qat *q = oc__arena_alloc(&net->arena, sizeof(*q));
    if (!q) return oc__fail_nomem(err);
    OC_TRY(check_graph(net->g, err));
    OC_TRY(oc__quant_raise(net->g, version, err));
    OC_TRY(oc__quant_raise_header(&net->onnx, &net->arena, err));
    OC_TRY(oc__quant_decide(&q->plan, net->g, &all, &net->arena, net->allocator,
                            err));
    OC_TRY(oc__net_show_shapes(net, mark_absent, &q->plan, err));
    for (int k = 0; k < q->plan.n_targets; k++)
        coded += oc__quant_is_coded(&q->plan, net->g, &q->plan.targets[k]);
    if (!coded)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "nothing in the model can be in 8 bits: no Conv, Gemm "
                        "or MatMul in f32 with constant weights");
    OC_TRY(add_ranges(net, q, err));
    net->qat = q;
    return OC_OK;
}

/* ---- a step ---------------------------------------------------------------
 */

static oc__node *add_node(oc__graph *g, const char *op, int n_in, int n_out,
                          int n_attrs) {
    oc__node *n = oc__graph_add_node(g, oc__op_find("ocelli", op), "", 1, n_in,
                                     n_out, n_attrs);
    for (int k = 0; n && k < n_out; k++) {
        n->out[k] = oc__graph_add_value(g, NULL);
        if (n->out[k] < 0) return NULL;
    }
    return n;
}

static oc_status round_weight(oc__graph *g, const oc__quant_target *t,
                              oc_error *err) {
    oc__node *n = g->nodes[t->node];
    oc__node *f = add_node(g, "FakeQuantizeWeight", 1, 1, 2);
    if (!f) return oc__fail_nomem(err);
    oc__attr_set_int(f, 0, "axis", t->axis);
    oc__attr_set_int(f, 1, "spared", 1);
    f->in[0] = n->in[1];
    n->in[1] = f->out[0];
    return OC_OK;
}

/* Value v by `range`.  The value that gives the code moves the range; those
 * that share it come after.  own: nodes of the plan's graph. */
static oc_status round_value(const oc__quant_plan *p, oc__graph *g, int own,
                             int v, int range, int *moved, oc_error *err) {
    int nodes = g->n_nodes, leads = p->code[v] == v;
    oc__node *f = add_node(g, "FakeQuantize", 2, leads ? 2 : 1, leads);
    if (!f) return oc__fail_nomem(err);
    if (leads) oc__attr_set_int(f, 0, "observe", 1);
    oc__quant_reroute(p, g, own, nodes, v, f->out[0]);
    f->in[0] = v;
    f->in[1] = range;
    if (leads) *moved = f->out[1];
    return OC_OK;
}

oc_status oc__qat_insert(const oc__net *net, oc__graph *g, int *moved,
                         oc_error *err) {
    const oc__qat *q = net->qat;
    const oc__quant_plan *p = &q->plan;
    int own = g->n_nodes;
    for (int k = 0; k < p->n_targets; k++)
        if (oc__quant_is_coded(p, net->g, &p->targets[k]))
            OC_TRY(round_weight(g, &p->targets[k], err));
    for (int v = 0; v < p->n_values; v++) {
        if (p->code[v] != v) continue;
        int var = oc__net_var(net, q->range[v]);
        OC_TRY(round_value(p, g, own, v, q->range[v], &moved[var], err));
    }
    for (int v = 0; v < p->n_values; v++) {
        int c = p->code[v];
        if (c < 0 || c == v) continue;
        OC_TRY(round_value(p, g, own, v, moved[oc__net_var(net, q->range[c])],
                           NULL, err));
    }
    return oc__graph_sort(g, err);
}

/* ---- what comes of it -----------------------------------------------------
 */

oc_status oc__qat_rewrite(const oc__net *net, oc__graph *g, oc_error *err) {
    static const oc_quantize_options plain = {.range = OC_QUANT_MINMAX,
                                              .no_bias_correction = 1};
    oc__qat *q = net->qat;
    for (int v = 0; v < q->plan.n_values; v++) {
        if (q->range[v] < 0) continue;
        const float *r = oc__constant(net->g, q->range[v])->data;
        oc__quant_watch *w = &q->plan.watches[q->plan.watch[v]];
        w->is_given = 1;
        w->lo = r[0];
        w->hi = r[1];
    }
    return oc__quant_rewrite(&q->plan, g, &plain, net->allocator, err);
}
