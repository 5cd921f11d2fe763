/* blocks_node.c - products whose weights have a scale for each block: the node
 * becomes com.microsoft's MatMulNBits, which ONNX Runtime knows, too. */
#include "passes/match.h"
#include "quant/blocks.h"
#include "quant/decide.h"

#include <string.h>

static oc__blocks blocks_of(const oc__quant_target *t, const oc_tensor *w) {
    int columns = t->axis;
    oc__blocks b = {.w = w->data, .bits = t->bits, .block = t->block};
    b.n = w->dims[columns];
    b.k = w->dims[1 - columns];
    b.n_stride = columns ? 1 : b.k;
    b.k_stride = columns ? b.n : 1;
    return b;
}

static const float *gram_of(const oc__quant_plan *p, const oc__graph *g,
                            const oc__quant_target *t, int64_t k) {
    int v = p->watch[g->nodes[t->node]->in[0]];
    const oc__quant_watch *w = v >= 0 ? &p->watches[v] : NULL;
    return w && w->gram && w->gram_k == k ? w->gram : NULL;
}

static oc_status round_weight(const oc__quant_plan *p, const oc__graph *g,
                              oc__quant_target *t, const oc__blocks *b,
                              uint8_t *codes, float *scales,
                              const oc_allocator *a, oc_error *err) {
    oc__blocks_noise noise;
    if (oc__blocks_round(b, gram_of(p, g, t, b->k), codes, scales, &noise, a))
        return oc__fail_nomem(err);
    t->weight_db = noise.weight_db;
    t->product_db = noise.product_db;
    t->is_known = 1;
    return OC_OK;
}

oc_status oc__quant_blocks_noise(const oc__quant_plan *p, const oc__graph *g,
                                 oc__quant_target *t, const oc_allocator *a,
                                 oc_error *err) {
    const oc_tensor *w = oc__constant(g, g->nodes[t->node]->in[1]);
    oc__blocks b = blocks_of(t, w);
    if (t->is_known) return OC_OK;
    return round_weight(p, g, t, &b, NULL, NULL, a, err);
}

/* n is the product of its first input with the coded weight, to `out`. */
static oc_status become(oc__graph *g, oc__node *n, const oc__blocks *b,
                        int codes, int scales, int out, oc_error *err) {
    enum { ATTRS = 4 };
    const char *const names[ATTRS] = {"K", "N", "bits", "block_size"};
    const int64_t values[ATTRS] = {b->k, b->n, b->bits, b->block};
    int x = n->in[0], *in = oc__arena_array(g->arena, 3, sizeof *in);
    oc__attr *attrs = oc__arena_array(g->arena, ATTRS, sizeof *attrs);
    if (!in || !attrs) return oc__fail_nomem(err);
    n->op = oc__op_find("com.microsoft", "MatMulNBits");
    n->version = 1;
    n->in = in;
    n->n_in = n->n_explicit = 3;
    in[0] = x;
    in[1] = codes;
    in[2] = scales;
    n->attrs = attrs;
    n->n_attrs = ATTRS;
    for (int i = 0; i < ATTRS; i++)
        oc__attr_set_int(n, i, names[i], values[i]);
    n->out[0] = out;
    return OC_OK;
}

oc_status oc__quant_put_blocks(const oc__quant_plan *p, oc__graph *g,
                               oc__quant_target *t, const oc_allocator *a,
                               oc_error *err) {
    oc__node *n = g->nodes[t->node];
    oc_tensor weight = *oc__constant(g, n->in[1]);
    const char *name = g->values[n->in[1]].name;
    oc__blocks b = blocks_of(t, &weight);
    int64_t dims[3] = {b.n, oc__blocks_count(&b), b.block * b.bits / 8};
    void *codes, *scales;
    int bias = oc__is_op(n, "Gemm") && n->n_in > 2 ? n->in[2] : -1;
    int out = n->out[0], y = bias < 0 ? out : oc__graph_add_value(g, NULL);
    int q = oc__new_constant(g, a, name, OC_DTYPE_U8, 3, dims, &codes);
    int s = oc__new_constant(g, a, NULL, OC_DTYPE_F32, 2, dims, &scales);
    if (y < 0 || q < 0 || s < 0) return oc__fail_nomem(err);
    OC_TRY(round_weight(p, g, t, &b, codes, scales, a, err));
    OC_TRY(become(g, n, &b, q, s, y, err));
    if (bias < 0) return OC_OK;
    oc__node *add =
        oc__graph_add_node(g, oc__op_find("", "Add"), "", 13, 2, 1, 0);
    if (!add) return oc__fail_nomem(err);
    add->in[0] = y;
    add->in[1] = bias;
    add->out[0] = out;
    return OC_OK;
}
