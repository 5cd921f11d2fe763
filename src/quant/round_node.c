/* round_node.c - weights of a node, rounded by what samples say. */
#include "passes/match.h"
#include "quant/equalize.h"
#include "quant/round_weights.h"

#include <math.h>

/* Whether a bias takes back what rounding does to means; as rewrite.c does. */
static int keeps_mean(const oc__graph *g, const oc_quantize_options *opt,
                      const oc__node *n) {
    if (opt->no_bias_correction || oc__is_op(n, "MatMul")) return 0;
    return n->n_in < 3 || n->in[2] < 0 || oc__constant(g, n->in[2]);
}

static double decibels(double signal, double noise) {
    return noise > 0 ? 10 * log10(signal / noise) : 200;
}

oc_status oc__quant_round(const oc__quant_plan *p, const oc__graph *g,
                          const oc_quantize_options *opt, oc__quant_target *t,
                          const oc_tensor *w, const float *scales,
                          int8_t *codes, const oc_allocator *a, oc_error *err) {
    const oc__node *n = g->nodes[t->node];
    const oc__equal *e = oc__equal_of(p, g, n->in[0]);
    int64_t outputs = w->dims[t->axis], rows = oc_tensor_elems(w) / outputs;
    oc__rounding r = {.moments = t->moments,
                      .w = w->data,
                      .outputs = outputs,
                      .out_stride = t->axis == 0 ? rows : 1,
                      .row_stride = t->axis == 0 ? 1 : outputs,
                      .scales = scales,
                      .one_scale = opt->per_tensor,
                      .keeps_mean = keeps_mean(g, opt, n),
                      .is_nearest = p->is_nearest,
                      .by = e ? e->by : NULL,
                      .codes = codes};
    t->product_db = t->nearest_db = 0;
    if (!t->moments) return OC_OK;
    if (oc__round_weights(&r, p->pool, a)) return oc__fail_nomem(err);
    if (!(r.signal > 0)) return OC_OK;
    t->product_db = decibels(r.signal, r.chosen);
    t->nearest_db = decibels(r.signal, r.nearest);
    return OC_OK;
}
