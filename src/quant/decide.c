/*
 * decide.c - which nodes are quantized, and which values between them.
 *
 * Targets are the nodes with weights.  Between two of them everything that has
 * an 8-bit form stays in 8 bits; behind the last one nothing is quantized, so
 * that scores, boxes and their decoding keep f32.  What moves data without
 * computing has the scale of its input.
 */
#include "quant/decide.h"

#include "passes/match.h"

#include <string.h>

int oc__quant_matches(const char *pattern, const char *text) {
    const char *star = NULL, *back = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            back = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++back;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

typedef struct decider {
    oc__graph *g;
    oc__index ix;
    oc__quant_plan *p;
} decider;

static int is_ignored(const oc_quantize_options *opt, const oc__node *n) {
    for (size_t i = 0; i < opt->n_ignore; i++)
        if (oc__quant_matches(opt->ignore[i], n->name) ||
            oc__quant_matches(opt->ignore[i], n->op->name))
            return 1;
    return 0;
}

static int is_weight(const decider *d, const oc__node *n, int i, int rank) {
    const oc_tensor *w = i < n->n_in ? oc__constant(d->g, n->in[i]) : NULL;
    return w && w->dtype == OC_DTYPE_F32 && oc_tensor_elems(w) > 0 &&
           (rank ? w->rank == rank : w->rank >= 3);
}

/* Whether n is a target; its axes. */
static int read_target(const decider *d, const oc__node *n,
                       oc__quant_target *t) {
    t->in_axis = -1;
    if (oc__constant(d->g, n->n_in ? n->in[0] : -1)) return 0;
    if (oc__is_op(n, "Conv") && is_weight(d, n, 1, 0)) {
        t->axis = 0;
        t->in_axis = 1;
        return n->n_in == n->n_explicit;
    }
    if (oc__is_op(n, "MatMul") && is_weight(d, n, 1, 2)) {
        t->axis = 1;
        return 1;
    }
    if (oc__is_op(n, "Gemm") && is_weight(d, n, 1, 2)) {
        t->axis = oc__attr_int(n, "transB", 0) ? 0 : 1;
        return !oc__attr_int(n, "transA", 0) &&
               oc__attr_float(n, "alpha", 1) == 1 &&
               oc__attr_float(n, "beta", 1) == 1;
    }
    return 0;
}

/* Weights alone: products get a scale for each block where that is asked for,
 * or 4 bits, which one scale for a column would not do for. */
static void set_blocks(const oc_quantize_options *opt, const oc__node *n,
                       oc__quant_target *t) {
    if (!opt->weight_bits || t->precision == OC_QUANT_F32) return;
    t->precision = OC_QUANT_WEIGHTS;
    if (oc__is_op(n, "Conv") || (opt->weight_bits == 8 && !opt->group)) return;
    t->bits = opt->weight_bits;
    t->block = opt->group ? opt->group : OC_QUANT_GROUP;
}

static int has_name(const oc__node *n, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (oc__is_op(n, names[i])) return 1;
    return 0;
}

static int joins(const oc__node *n) {
    static const char *const names[] = {"Add", "Mul", "Concat"};
    return has_name(n, names, OC_COUNT(names));
}

static int maps(const oc__node *n) {
    static const char *const names[] = {"AveragePool", "GlobalAveragePool",
                                        "Sigmoid", "LeakyRelu"};
    return has_name(n, names, OC_COUNT(names));
}

/* What the quantization behind it makes superfluous. */
static int cuts(const oc__node *n) {
    return oc__is_op(n, "Relu") || oc__is_op(n, "Clip");
}

/* A value at run time that may get codes. */
static int is_activation(const decider *d, int v) {
    if (v < 0 || oc__constant(d->g, v)) return 0;
    oc_dtype t = d->g->values[v].dtype;
    return d->g->values[v].kind == OC_KIND_TENSOR &&
           (t == OC_DTYPE_F32 || t == OC_DTYPE_NONE);
}

/* v gets codes; through what cuts it, where that is its only reader. */
static void mark(decider *d, int v) {
    if (!is_activation(d, v)) return;
    const oc__node *reader = oc__only_reader(&d->ix, v);
    if (reader && cuts(reader) && reader->in[0] == v &&
        !oc__graph_is_output(d->g, v))
        v = reader->out[0];
    if (d->p->code[v] < 0) d->p->code[v] = v;
}

/* Values the plan does not know are of nodes that a clone got since. */
static int leads_on(const oc__quant_plan *p, const oc__node *n) {
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && n->out[i] < p->n_values && p->leads[n->out[i]])
            return 1;
    return 0;
}

static const oc__quant_target *target_of(const oc__quant_plan *p, int node) {
    for (int k = 0; k < p->n_targets; k++)
        if (p->targets[k].node == node) return &p->targets[k];
    return NULL;
}

/* A layer that stays in f32 should read what was computed, not its rounding: no
 * way leads through it. */
static void find_ways(decider *d) {
    for (int i = d->g->n_nodes; i-- > 0;) {
        const oc__node *n = d->g->nodes[i];
        const oc__quant_target *t = target_of(d->p, i);
        int on = t && t->precision != OC_QUANT_WEIGHTS
                     ? t->precision == OC_QUANT_INT8
                     : leads_on(d->p, n);
        /* Sizes and indices lead nowhere. */
        int data = oc__moves_codes(n) ? OC_MIN(n->n_in, 1) : n->n_in;
        for (int j = 0; on && j < data; j++)
            if (n->in[j] >= 0) d->p->leads[n->in[j]] = 1;
    }
}

/* What becomes of v, where that is one thing. */
static oc__range_use use_of(const decider *d, int v) {
    int sigmoid = -1, times = 0, swish = 0, others = 0;
    for (int i = 0; i < d->g->n_nodes; i++) {
        const oc__node *n = d->g->nodes[i];
        for (int j = 0; j < n->n_in; j++) {
            if (n->in[j] != v) continue;
            if (oc__is_op(n, "HardSwish"))
                swish++;
            else if (oc__is_op(n, "Sigmoid"))
                sigmoid = n->out[0];
            else if (oc__is_op(n, "Mul") && sigmoid >= 0 &&
                     n->in[!j] == sigmoid)
                times++;
            else
                others++;
        }
    }
    if (others || oc__graph_is_output(d->g, v)) return OC_RANGE_ANY;
    if (swish && sigmoid < 0) return OC_RANGE_HARD_SWISH;
    return times == 1 && !swish && oc__used_once(&d->ix, sigmoid)
               ? OC_RANGE_SILU
               : OC_RANGE_ANY;
}

/* A SiLU in pieces is computed in f32 on its 8-bit input: codes between the
 * pieces would cost more accuracy than all else. */
static int is_silu(const decider *d, const oc__node *n) {
    if (oc__is_op(n, "Sigmoid")) return use_of(d, n->in[0]) == OC_RANGE_SILU;
    return oc__is_op(n, "Mul") && (use_of(d, n->in[0]) == OC_RANGE_SILU ||
                                   use_of(d, n->in[1]) == OC_RANGE_SILU);
}

static void mark_node(decider *d, int i) {
    const oc__node *n = d->g->nodes[i];
    int activations = 0, on = leads_on(d->p, n);
    for (int j = 0; j < n->n_in; j++)
        activations += is_activation(d, n->in[j]);
    if (!on || !(maps(n) || joins(n)) || d->p->ignored[i]) return;
    if (joins(n) && activations != n->n_in) return;
    if (is_silu(d, n)) return;
    for (int j = 0; j < n->n_in; j++)
        mark(d, n->in[j]);
    mark(d, n->out[0]);
}

/* What is moved has the code of what it is moved from. */
static void follow_moves(decider *d) {
    for (int i = d->g->n_nodes; i-- > 0;) {
        const oc__node *n = d->g->nodes[i];
        if (!oc__moves_codes(n) || !is_activation(d, n->in[0])) continue;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0 && d->p->code[n->out[k]] >= 0) mark(d, n->in[0]);
    }
    for (int i = 0; i < d->g->n_nodes; i++) {
        const oc__node *n = d->g->nodes[i];
        if (!oc__moves_codes(n) || d->p->code[n->in[0]] < 0) continue;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k] >= 0 && d->p->leads[n->out[k]] &&
                is_activation(d, n->out[k]))
                d->p->code[n->out[k]] = d->p->code[n->in[0]];
    }
}

int oc__quant_is_spared(const oc__quant_plan *p, const oc__graph *g, int node) {
    const oc__quant_target *t = target_of(p, node);
    if (t && t->precision != OC_QUANT_WEIGHTS)
        return t->precision == OC_QUANT_F32;
    return !leads_on(p, g->nodes[node]);
}

/* ---- deciding ------------------------------------------------------------ */

static int watch(oc__quant_plan *p, int v, int axis) {
    if (p->watch[v] < 0) {
        p->watch[v] = p->n_watches++;
        p->watches[p->watch[v]].value = v;
        p->watches[p->watch[v]].axis = -2;
    }
    if (axis > -2) p->watches[p->watch[v]].axis = axis;
    return p->watch[v];
}

static void decide(decider *d) {
    oc__quant_plan *p = d->p;
    memset(p->code, -1, (size_t)p->n_values * sizeof *p->code);
    memset(p->leads, 0, (size_t)p->n_values);
    find_ways(d);
    for (int i = 0; i < d->g->n_nodes; i++)
        mark_node(d, i);
    for (int k = 0; k < p->n_targets; k++) {
        const oc__node *n = d->g->nodes[p->targets[k].node];
        if (p->targets[k].precision != OC_QUANT_INT8) continue;
        mark(d, n->in[0]);
        if (leads_on(d->p, n)) mark(d, n->out[0]);
    }
    follow_moves(d);
}

oc_status oc__quant_decide_again(oc__quant_plan *p, oc__graph *g,
                                 const oc_allocator *a, oc_error *err) {
    decider d = {.g = g, .p = p};
    OC_TRY(oc__index_init(&d.ix, g, a, err));
    decide(&d);
    for (int v = 0; v < p->n_values; v++) {
        int w = p->code[v] < 0 ? -1 : p->watch[p->code[v]];
        if (w < 0 || p->watches[w].absent) p->code[v] = -1;
    }
    oc__index_deinit(&d.ix);
    return OC_OK;
}

oc_status oc__quant_decide(oc__quant_plan *p, oc__graph *g,
                           const oc_quantize_options *opt, oc__arena *arena,
                           const oc_allocator *a, oc_error *err) {
    decider d = {.g = g, .p = p};
    size_t n = (size_t)g->n_values;
    memset(p, 0, sizeof *p);
    p->n_values = g->n_values;
    p->code = oc__arena_array(arena, n + 1, sizeof *p->code);
    p->watch = oc__arena_array(arena, n + 1, sizeof *p->watch);
    p->targets =
        oc__arena_array(arena, (size_t)g->n_nodes + 1, sizeof *p->targets);
    p->leads = oc__arena_array(arena, n + 1, 1);
    p->ignored = oc__arena_array(arena, (size_t)g->n_nodes + 1, 1);
    if (!p->code || !p->watch || !p->targets || !p->leads || !p->ignored)
        return oc__fail_nomem(err);
    memset(p->watch, -1, n * sizeof *p->watch);
    OC_TRY(oc__index_init(&d.ix, g, a, err));
    for (int i = 0; i < g->n_nodes; i++) {
        oc__quant_target t = {.node = i};
        p->ignored[i] = (char)is_ignored(opt, g->nodes[i]);
        if (!read_target(&d, g->nodes[i], &t)) continue;
        t.precision = p->ignored[i] ? OC_QUANT_F32 : OC_QUANT_INT8;
        set_blocks(opt, g->nodes[i], &t);
        p->targets[p->n_targets++] = t;
    }
    /* Large: a watch has a histogram. */
    size_t most = 0;
    for (int i = 0; i < g->n_nodes; i++)
        most += (size_t)(g->nodes[i]->n_in + g->nodes[i]->n_out);
    most = OC_MIN(most, n) + 1;
    p->watches = oc__arena_array(arena, most, sizeof *p->watches);
    oc_status st = p->watches ? OC_OK : oc__fail_nomem(err);
    if (!st) {
        memset(p->watches, 0, most * sizeof *p->watches);
        decide(&d);
        for (int v = 0; v < p->n_values; v++)
            if (p->code[v] == v) watch(p, v, -2);
        for (int k = 0; k < p->n_targets; k++) {
            int w = watch(p, g->nodes[p->targets[k].node]->in[0],
                          p->targets[k].in_axis);
            p->watches[w].is_product |= p->targets[k].bits > 0;
        }
        for (int k = 0; k < p->n_watches; k++)
            p->watches[k].range.use = use_of(&d, p->watches[k].value);
    }
    oc__index_deinit(&d.ix);
    return st;
}
