/* round_node.c - weights of a node, rounded by what samples say. */
#include "passes/match.h"
#include "quant/equalize.h"
#include "quant/round_weights.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Whether a bias takes back what rounding does to means; as rewrite.c does. */
static int keeps_mean(const oc__graph *g, const oc_quantize_options *opt,
                      const oc__node *n) {
    if (opt->no_bias_correction || oc__is_op(n, "MatMul")) return 0;
    return n->n_in < 3 || n->in[2] < 0 || oc__constant(g, n->in[2]);
}

static double decibels(double signal, double noise) {
    return noise > 0 ? 10 * log10(signal / noise) : 200;
}

/* Chooses once for these scales and factors: notes which weights go another way
 * than to the nearest, and what that does. */
static oc_status find_turned(const oc__quant_plan *p, oc__quant_target *t,
                             oc__rounding *r, size_t elems,
                             const oc_allocator *a, oc_error *err) {
    int8_t *codes = oc__alloc(a, elems), *nearest = r->codes;
    if (!t->turned) {
        t->turned_bytes = elems / 8 + 1;
        t->turned = oc__alloc(a, t->turned_bytes);
    }
    oc_status st = codes && t->turned ? OC_OK : OC_E_NOMEM;
    if (!st) {
        memcpy(codes, nearest, elems);
        memset(t->turned, 0, t->turned_bytes);
        r->codes = codes;
        st = oc__round_weights(r, p->pool, a);
        r->codes = nearest;
    }
    for (size_t i = 0; !st && i < elems; i++)
        if (codes[i] != nearest[i]) t->turned[i / 8] |= (uint8_t)(1u << i % 8);
    int known = !st && r->signal > 0;
    t->chosen_db = known ? decibels(r->signal, r->chosen) : 0;
    t->nearest_db = known ? decibels(r->signal, r->nearest) : 0;
    oc__release(a, codes, elems);
    return st ? oc__fail_nomem(err) : OC_OK;
}

/* The other way is where the weight lies. */
static void turn(const oc__quant_target *t, const oc__rounding *r, size_t i) {
    int64_t at = (int64_t)i;
    int64_t o = r->out_stride == 1 ? at % r->outputs : at / r->out_stride;
    double s = (double)r->scales[r->one_scale ? 0 : o];
    if (!(t->turned[i / 8] >> i % 8 & 1)) return;
    r->codes[i] =
        (int8_t)(r->codes[i] + ((double)r->w[i] / s > r->codes[i] ? 1 : -1));
}

oc_status oc__quant_round(const oc__quant_plan *p, const oc__graph *g,
                          const oc_quantize_options *opt, oc__quant_target *t,
                          const oc_tensor *w, const float *scales,
                          int8_t *codes, const oc_allocator *a, oc_error *err) {
    const oc__node *n = g->nodes[t->node];
    const oc__equal *e = oc__equal_of(p, g, n->in[0]);
    size_t elems = (size_t)oc_tensor_elems(w);
    int64_t outputs = w->dims[t->axis], rows = (int64_t)elems / outputs;
    int which = 1 + (t->precision == OC_QUANT_INT8) + 2 * (e != NULL);
    oc__rounding r = {.moments = t->moments,
                      .w = w->data,
                      .outputs = outputs,
                      .out_stride = t->axis == 0 ? rows : 1,
                      .row_stride = t->axis == 0 ? 1 : outputs,
                      .scales = scales,
                      .one_scale = opt->per_tensor,
                      .keeps_mean = keeps_mean(g, opt, n),
                      .by = e ? e->by : NULL,
                      .codes = codes};
    t->product_db = 0;
    if (!t->moments) return OC_OK;
    if (t->turned_for != which) {
        t->turned_for = 0;
        OC_TRY(find_turned(p, t, &r, elems, a, err));
        t->turned_for = which;
    }
    t->product_db = p->is_nearest ? t->nearest_db : t->chosen_db;
    for (size_t i = 0; !p->is_nearest && i < elems; i++)
        turn(t, &r, i);
    return OC_OK;
}
