/*
 * rewrite.c - a graph with the coders of a plan:
 *
 *     x --QuantizeLinear--> q --DequantizeLinear--> x' --op--> y
 *
 * Weights become i8 behind a DequantizeLinear.  Rounding them shifts the mean
 * of each output by what the inputs' means make of the rounding errors; the
 * bias takes that back (Nagel et al., arXiv:1906.04721, section 4.2).
 */
#include "passes/match.h"
#include "quant/equalize.h"

#include <math.h>
#include <string.h>

typedef struct writer {
    const oc__quant_plan *p;
    oc__graph *g;
    const oc_quantize_options *opt;
    const oc_allocator *a;
    oc_error *err;
    int *scale, *zero; /* constants of the codes, by value */
} writer;

static oc__node *add_coder(writer *w, const char *op, int axis, const int *in,
                           int n_in, int out) {
    oc__node *n = oc__graph_add_node(w->g, oc__op_find("", op), "", 13, n_in, 1,
                                     axis >= 0 ? 1 : 0);
    if (!n) return NULL;
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->out[0] = out;
    if (axis >= 0) oc__attr_set_int(n, 0, "axis", axis);
    return n;
}

/* DequantizeLinear of constant q by `count` scales along axis (-1: by one), to
 * x.  The zero points are all 0; they are written, since not every runtime does
 * without. */
static oc_status add_decoder(writer *w, int axis, oc_dtype dtype, int64_t count,
                             int q, int scale, int x) {
    void *zeros;
    int zero = oc__new_constant(w->g, w->a, NULL, dtype, axis < 0 ? 0 : 1,
                                &count, &zeros);
    if (zero < 0) return oc__fail_nomem(w->err);
    memset(zeros, 0, (axis < 0 ? 1 : (size_t)count) * oc_dtype_bytes(dtype));
    if (!add_coder(w, "DequantizeLinear", axis, (int[]){q, scale, zero}, 3, x))
        return oc__fail_nomem(w->err);
    return OC_OK;
}

void oc__quant_limits(const oc_quantize_options *opt, const oc__range *r,
                      float *lo, float *hi) {
    double share = opt->percentile > 0 ? opt->percentile / 100 : 0.9999;
    if (opt->symmetric)
        oc__range_limits_even(r, opt->range, share, lo, hi);
    else
        oc__range_limits(r, opt->range, share, lo, hi);
}

/* Scale and zero point of code c. */
static oc_status code_constants(writer *w, int c) {
    void *scale, *zero;
    float lo, hi;
    if (w->scale[c] >= 0) return OC_OK;
    const oc__quant_watch *seen = &w->p->watches[w->p->watch[c]];
    oc__quant_limits(w->opt, oc__quant_seen(w->p, w->g, seen), &lo, &hi);
    if (seen->is_given) {
        lo = fminf(seen->lo, 0);
        hi = fmaxf(seen->hi, 0);
    }
    w->scale[c] =
        oc__new_constant(w->g, w->a, NULL, OC_DTYPE_F32, 0, NULL, &scale);
    w->zero[c] =
        oc__new_constant(w->g, w->a, NULL, OC_DTYPE_U8, 0, NULL, &zero);
    if (w->scale[c] < 0 || w->zero[c] < 0) return oc__fail_nomem(w->err);
    oc__range_code(lo, hi, scale, zero);
    return OC_OK;
}

void oc__quant_reroute(const oc__quant_plan *p, oc__graph *g, int own,
                       int nodes, int v, int x) {
    for (int i = 0; i < nodes; i++) {
        if (i < own && oc__quant_is_spared(p, g, i)) continue;
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (g->nodes[i]->in[j] == v) g->nodes[i]->in[j] = x;
    }
}

int oc__quant_is_coded(const oc__quant_plan *p, const oc__graph *g,
                       const oc__quant_target *t) {
    if (t->precision == OC_QUANT_F32) return 0;
    return t->precision != OC_QUANT_INT8 ||
           p->code[g->nodes[t->node]->in[0]] >= 0;
}

/* v goes through 8 bits on its way to readers, but for those nothing in 8 bits
 * comes of.  own: nodes the graph had. */
static oc_status code_value(writer *w, int v, int own) {
    int c = w->p->code[v], nodes = w->g->n_nodes;
    OC_TRY(code_constants(w, c));
    int q = oc__graph_add_value(w->g, NULL),
        x = oc__graph_add_value(w->g, NULL);
    if (q < 0 || x < 0) return oc__fail_nomem(w->err);
    oc__quant_reroute(w->p, w->g, own, nodes, v, x);
    if (!add_coder(w, "QuantizeLinear", -1, (int[]){v, w->scale[c], w->zero[c]},
                   3, q) ||
        !add_coder(w, "DequantizeLinear", -1,
                   (int[]){q, w->scale[c], w->zero[c]}, 3, x))
        return oc__fail_nomem(w->err);
    return OC_OK;
}

/* ---- weights and biases -------------------------------------------------- */

static int64_t inner_of(const oc_tensor *w, int axis) {
    int64_t n = 1;
    for (int i = axis + 1; i < w->rank; i++)
        n *= w->dims[i];
    return n;
}

/* A step of channel c.  spared: no two codes of one sign are more than 128
 * together, for 255 times that is the most that 16 bits hold. */
static float step_of(const oc_tensor *w, int64_t c, int64_t channels,
                     int64_t inner, int spared) {
    const float *x = w->data;
    float top[2][2] = {{0}}; /* the two greatest of each sign */
    int64_t n = oc_tensor_elems(w);
    for (int64_t at = c * inner; at < n; at += channels * inner)
        for (int64_t k = at; k < at + inner; k++) {
            float *t = top[x[k] < 0], v = isfinite(x[k]) ? fabsf(x[k]) : 0;
            t[1] = fmaxf(t[1], fminf(v, t[0]));
            t[0] = fmaxf(t[0], v);
        }
    float most = fmaxf(top[0][0], top[1][0]);
    if (spared) /* 127, since both may be rounded up */
        for (int k = 0; k < 2; k++)
            most = fmaxf(most, top[k][0] + top[k][1]);
    return most / 127 > 1e-30f ? most / 127 : 1;
}

double oc__quant_weight(const oc_tensor *w, int axis, int spared, int8_t *data,
                        float *scales) {
    int64_t n = oc_tensor_elems(w), channels = axis < 0 ? 1 : w->dims[axis];
    int64_t inner = axis < 0 ? n : inner_of(w, axis);
    const float *x = w->data;
    double signal = 0, noise = 0;
    for (int64_t c = 0; c < channels; c++)
        scales[c] = step_of(w, c, channels, inner, spared);
    for (int64_t i = 0; i < n; i++) {
        float s = scales[i / inner % channels];
        float q = fminf(fmaxf(rintf(x[i] / s), -127), 127);
        data[i] = (int8_t)(isnan(q) ? 0 : q);
        double e = (double)x[i] - (double)data[i] * s;
        signal += (double)x[i] * x[i];
        noise += e * e;
    }
    return noise > 0 ? 10 * log10(signal / noise) : 200;
}

/* The constant behind input i as f32 of n elements, or NULL. */
static const float *bias_of(const writer *w, const oc__node *n, int64_t count) {
    const oc_tensor *b = n->n_in > 2 && !oc__is_op(n, "MatMul")
                             ? oc__constant(w->g, n->in[2])
                             : NULL;
    return b && b->dtype == OC_DTYPE_F32 && oc_tensor_elems(b) == count
               ? b->data
               : NULL;
}

/* Of each output: what the rounding of its weights does to its mean. */
static void mean_shift(const writer *w, const oc__quant_target *t,
                       const oc__node *n, const oc_tensor *weight,
                       const int8_t *codes, const float *scales,
                       double *shift) {
    int v = w->p->watch[n->in[0]];
    const oc__quant_watch *s = v >= 0 ? &w->p->watches[v] : NULL;
    int64_t out = weight->dims[t->axis];
    int is_conv = t->in_axis == 1, one = w->opt->per_tensor;
    memset(shift, 0, (size_t)out * sizeof *shift);
    int64_t in = is_conv || t->axis == 0 ? weight->dims[1] : weight->dims[0];
    int64_t group = is_conv ? oc__attr_int(n, "group", 1) : 1;
    if (w->opt->no_bias_correction || !s || !s->sums || !s->counted ||
        group < 1 || out % group || s->channels != in * group)
        return;
    int64_t taps = is_conv ? inner_of(weight, 1) : 1;
    const oc__equal *even = oc__equal_of(w->p, w->g, n->in[0]);
    for (int64_t i = 0; i < oc_tensor_elems(weight); i++) {
        int64_t o = t->axis == 0 ? i / (in * taps) : i % out;
        int64_t c = t->axis == 0 ? i / taps % in : i / out;
        c += o / (out / group) * in;
        double e = (double)codes[i] * scales[one ? 0 : o] -
                   (double)((const float *)weight->data)[i];
        double mean = s->sums[c] / (double)s->counted;
        shift[o] += e * (even ? mean / (double)even->by[c] : mean);
    }
}

/* n's third input is x. */
static oc_status set_bias(const writer *w, oc__node *n, int x) {
    int *in = oc__arena_array(w->g->arena, 3, sizeof *in);
    if (!in) return oc__fail_nomem(w->err);
    in[0] = n->in[0];
    in[1] = n->in[1];
    in[2] = x;
    n->in = in;
    n->n_in = n->n_explicit = 3;
    return OC_OK;
}

/* A bias in the scale of the sums, or in f32 where sums are; of a MatMul there
 * is none. */
static oc_status code_bias(writer *w, oc__node *n, int is_f32,
                           const float *scales, const double *shift,
                           int64_t count) {
    void *data, *steps;
    const float *old = bias_of(w, n, count);
    int c = w->p->code[n->in[0]], any = old && !is_f32;
    for (int64_t o = 0; o < count; o++)
        any |= shift[o] != 0;
    if (!any || oc__is_op(n, "MatMul") ||
        (n->n_in > 2 && n->in[2] >= 0 && !old))
        return OC_OK;
    int codes =
        oc__new_constant(w->g, w->a, NULL, is_f32 ? OC_DTYPE_F32 : OC_DTYPE_I32,
                         1, &count, &data);
    if (codes < 0) return oc__fail_nomem(w->err);
    if (is_f32) {
        for (int64_t o = 0; o < count; o++)
            ((float *)data)[o] = (float)((old ? (double)old[o] : 0) - shift[o]);
        return set_bias(w, n, codes);
    }
    float x_scale = *(const float *)oc__constant(w->g, w->scale[c])->data;
    int scale =
        oc__new_constant(w->g, w->a, NULL, OC_DTYPE_F32, 1, &count, &steps);
    int x = oc__graph_add_value(w->g, NULL);
    if (scale < 0 || x < 0) return oc__fail_nomem(w->err);
    for (int64_t o = 0; o < count; o++) {
        float s = x_scale * scales[w->opt->per_tensor ? 0 : o];
        double b = (old ? (double)old[o] : 0) - shift[o];
        double q = rint(b / s);
        ((float *)steps)[o] = s;
        ((int32_t *)data)[o] =
            (int32_t)fmin(fmax(isnan(q) ? 0 : q, -2147483647.0), 2147483647.0);
    }
    OC_TRY(add_decoder(w, 0, OC_DTYPE_I32, count, codes, scale, x));
    return set_bias(w, n, x);
}

/* A node between a weight and its reader, so that nobody takes the reader for
 * an integer operator because all around it is in 8 bits. */
static oc_status stay_f32(writer *w, int *x) {
    int y = oc__graph_add_value(w->g, NULL);
    oc__node *n = y < 0 ? NULL
                        : oc__graph_add_node(w->g, oc__op_find("", "Identity"),
                                             "", 13, 1, 1, 0);
    if (!n) return oc__fail_nomem(w->err);
    n->in[0] = *x;
    n->out[0] = y;
    *x = y;
    return OC_OK;
}

/* What n makes is divided by factors: so are its scales, of `count`. */
static void even_out(const writer *w, const oc__node *n, int64_t count,
                     float *scales, double *shift) {
    const oc__equal *e = oc__equal_of(w->p, w->g, n->out[0]);
    for (int64_t o = 0; e && o < count; o++) {
        scales[o] /= e->by[o];
        shift[o] /= (double)e->by[o];
    }
}

static oc_status code_weight(writer *w, oc__quant_target *t) {
    oc__node *n = w->g->nodes[t->node];
    oc_tensor weight = *oc__constant(w->g, n->in[1]), even;
    int axis = w->opt->per_tensor ? -1 : t->axis;
    int64_t out = weight.dims[t->axis], one = 1;
    const char *name = w->g->values[n->in[1]].name;
    int is_f32 = t->precision == OC_QUANT_WEIGHTS;
    void *codes, *scales;
    OC_TRY(oc__equal_weight(w->p, w->g, t, &even, w->a, w->err));
    if (even.data) weight.data = even.data;
    double *shift = oc__calloc(w->a, (size_t)out, sizeof *shift);
    int x = oc__graph_add_value(w->g, NULL);
    int q = oc__new_constant(w->g, w->a, name, OC_DTYPE_I8, weight.rank,
                             weight.dims, &codes);
    int s = oc__new_constant(w->g, w->a, NULL, OC_DTYPE_F32, axis < 0 ? 0 : 1,
                             axis < 0 ? &one : &out, &scales);
    oc_status st =
        shift && x >= 0 && q >= 0 && s >= 0 ? OC_OK : oc__fail_nomem(w->err);
    if (!st) {
        oc__quant_weight(&weight, axis, !is_f32 && !w->opt->full_range, codes,
                         scales);
        st = oc__quant_round(w->p, w->g, w->opt, t, &weight, scales, codes,
                             w->a, w->err);
    }
    if (!st) {
        mean_shift(w, t, n, &weight, codes, scales, shift);
        even_out(w, n, out, scales, shift);
        st = add_decoder(w, axis, OC_DTYPE_I8, out, q, s, x);
    }
    if (!st && is_f32 && w->p->code[n->in[0]] >= 0) st = stay_f32(w, &x);
    if (!st) {
        n->in[1] = x;
        st = code_bias(w, n, is_f32, scales, shift, out);
    }
    oc__release(w->a, shift, (size_t)out * sizeof *shift);
    if (even.data) oc__release(w->a, even.data, oc_tensor_bytes(&even));
    return st;
}

oc_status oc__quant_rewrite(const oc__quant_plan *p, oc__graph *g,
                            const oc_quantize_options *opt,
                            const oc_allocator *a, oc_error *err) {
    writer w = {p, g, opt, a, err, NULL, NULL};
    size_t n = (size_t)p->n_values + 1;
    w.scale = oc__arena_array(g->arena, n, sizeof *w.scale);
    w.zero = oc__arena_array(g->arena, n, sizeof *w.zero);
    if (!w.scale || !w.zero) return oc__fail_nomem(err);
    memset(w.scale, -1, n * sizeof *w.scale);
    /* Biases want the scales of inputs, so codes first; but inputs are then
       other values, by which nothing is found: weights before uses move. */
    int own = g->n_nodes;
    OC_TRY(oc__equal_write(p, g, 0, a, err));
    for (int k = 0; k < p->n_targets; k++) {
        int v = g->nodes[p->targets[k].node]->in[0];
        if (!oc__quant_is_coded(p, g, &p->targets[k])) continue;
        if (p->code[v] >= 0) OC_TRY(code_constants(&w, p->code[v]));
        if (p->targets[k].bits)
            OC_TRY(oc__quant_put_blocks(p, g, &p->targets[k], a, err));
        else
            OC_TRY(code_weight(&w, &p->targets[k]));
    }
    for (int v = 0; v < p->n_values; v++)
        if (p->code[v] >= 0) OC_TRY(code_value(&w, v, own));
    return oc__graph_sort(g, err);
}
