/*
 * fuse_activation.c - activations exported in pieces become one Act node.
 *
 *   x * Sigmoid(x)                        SILU
 *   x * HardSigmoid(x; 1/6, 1/2)          HARD_SWISH
 *   x * Clip(x + 3, 0, 6) / 6             HARD_SWISH (any order of /6)
 *   Clip(x + 3, 0, 6) / 6                 HARD_SIGMOID
 *   x * Tanh(Softplus(x))                 MISH
 *   0.5 x (1 + Erf(x / sqrt 2))           GELU (any order)
 *
 * Runs when types are known: Act is f32.  Single-node activations stay what
 * they are; oc__node_activation() tells what they mean.
 */
#include "ops/activation_fused.h"
#include "passes/activation.h"

#include <math.h>
#include <string.h>

static int near(float a, double b) {
    return fabs((double)a - b) <= 1e-5 * fabs(b) + 1e-7;
}

/* Clip's bounds: attributes up to opset 10, constant inputs after. */
static int clip_bounds(const oc__graph *g, const oc__node *n, float *lo,
                       float *hi) {
    *lo = -INFINITY;
    *hi = INFINITY;
    if (n->version < 11) {
        *lo = oc__attr_float(n, "min", *lo);
        *hi = oc__attr_float(n, "max", *hi);
        return 1;
    }
    if (n->n_in > 1 && n->in[1] >= 0 && !oc__const_scalar(g, n->in[1], lo))
        return 0;
    if (n->n_in > 2 && n->in[2] >= 0 && !oc__const_scalar(g, n->in[2], hi))
        return 0;
    return 1;
}

static oc__act_args act(oc__act kind, float a, float b) {
    return (oc__act_args){kind, a, b};
}

int oc__node_activation(const oc__graph *g, const oc__node *n,
                        oc__act_args *out) {
    float lo, hi;
    if (oc__is_own(n, "Act"))
        *out = oc__act_of_attrs(n);
    else if (oc__is_op(n, "Relu"))
        *out = act(OC_ACT_RELU, 0, 0);
    else if (oc__is_op(n, "Sigmoid"))
        *out = act(OC_ACT_SIGMOID, 0, 0);
    else if (oc__is_op(n, "Tanh"))
        *out = act(OC_ACT_TANH, 0, 0);
    else if (oc__is_op(n, "HardSwish"))
        *out = act(OC_ACT_HARD_SWISH, 0, 0);
    else if (oc__is_op(n, "Softplus"))
        *out = act(OC_ACT_SOFTPLUS, 0, 0);
    else if (oc__is_op(n, "Mish"))
        *out = act(OC_ACT_MISH, 0, 0);
    else if (oc__is_op(n, "Elu"))
        *out = act(OC_ACT_ELU, oc__attr_float(n, "alpha", 1.0f), 0);
    else if (oc__is_op(n, "LeakyRelu"))
        *out = act(OC_ACT_LEAKY_RELU, oc__attr_float(n, "alpha", 0.01f), 0);
    else if (oc__is_op(n, "HardSigmoid"))
        *out = act(OC_ACT_HARD_SIGMOID, oc__attr_float(n, "alpha", 0.2f),
                   oc__attr_float(n, "beta", 0.5f));
    else if (oc__is_op(n, "Gelu"))
        *out = act(strcmp(oc__attr_string(n, "approximate", "none"), "tanh")
                       ? OC_ACT_GELU
                       : OC_ACT_GELU_TANH,
                   0, 0);
    else if (oc__is_op(n, "Swish") && oc__attr_float(n, "alpha", 1.0f) == 1.0f)
        *out = act(OC_ACT_SILU, 0, 0);
    else if (oc__is_op(n, "Clip") && clip_bounds(g, n, &lo, &hi))
        *out = act(OC_ACT_CLIP, lo, hi);
    else
        return 0;
    return 1;
}

/* ---- patterns
 * ------------------------------------------------------------------ */

/* The input of n that is not value v; -1 when neither is v. */
static int other_input(const oc__node *n, int v) {
    if (n->n_explicit != 2) return -1;
    return n->in[0] == v ? n->in[1] : n->in[1] == v ? n->in[0] : -1;
}

/* n is `name` of x and a constant scalar equal to c: returns x, else -1. */
static int op_with_scalar(const oc__index *ix, const oc__node *n,
                          const char *name, double c) {
    float v;
    if (!oc__is_op(n, name) || n->n_explicit != 2) return -1;
    if (oc__const_scalar(ix->g, n->in[1], &v) && near(v, c)) return n->in[0];
    if (strcmp(name, "Div") && strcmp(name, "Sub") &&
        oc__const_scalar(ix->g, n->in[0], &v) && near(v, c))
        return n->in[1];
    return -1;
}

/* v = x / c or x * (1/c): returns x, else -1. */
static int divided_by(const oc__index *ix, int v, double c) {
    oc__node *n = oc__producer(ix, v);
    int x = op_with_scalar(ix, n, "Div", c);
    return x >= 0 ? x : op_with_scalar(ix, n, "Mul", 1.0 / c);
}

/* v = Clip(x + 3, 0, 6): returns x, else -1. */
static int relu6_of_plus3(const oc__index *ix, int v) {
    oc__node *n = oc__producer(ix, v);
    float lo, hi;
    if (!oc__is_op(n, "Clip") || !clip_bounds(ix->g, n, &lo, &hi) || lo != 0 ||
        hi != 6)
        return -1;
    return op_with_scalar(ix, oc__producer(ix, n->in[0]), "Add", 3.0);
}

/* v = 1 + Erf(x / sqrt 2): returns x, else -1. */
static int erf_part(const oc__index *ix, int v) {
    int e = op_with_scalar(ix, oc__producer(ix, v), "Add", 1.0);
    oc__node *n = e >= 0 ? oc__producer(ix, e) : NULL;
    return oc__is_op(n, "Erf") ? divided_by(ix, n->in[0], sqrt(2.0)) : -1;
}

/* n = x * f(x) with f one node (or two for Mish); returns x, else -1. */
static int self_gated(const oc__index *ix, const oc__node *n, oc__act *kind) {
    for (int j = 0; j < 2; j++) {
        int x = n->in[1 - j];
        oc__node *f = oc__producer(ix, n->in[j]);
        if (oc__is_op(f, "Sigmoid") && f->in[0] == x) {
            *kind = OC_ACT_SILU;
            return x;
        }
        oc__act_args a;
        if (f && oc__node_activation(ix->g, f, &a) && f->in[0] == x &&
            a.kind == OC_ACT_HARD_SIGMOID && near(a.a, 1.0 / 6) &&
            near(a.b, 0.5)) {
            *kind = OC_ACT_HARD_SWISH;
            return x;
        }
        oc__node *s = f ? oc__input_op(ix, f, 0, "Softplus") : NULL;
        if (oc__is_op(f, "Tanh") && s && s->in[0] == x) {
            *kind = OC_ACT_MISH;
            return x;
        }
        int clipped = divided_by(ix, n->in[j], 6.0);
        if (clipped >= 0 && relu6_of_plus3(ix, clipped) == x) {
            *kind = OC_ACT_HARD_SWISH;
            return x;
        }
    }
    return -1;
}

/* n = 0.5 * x * (1 + erf) in the three orders of the two products. */
static int gelu(const oc__index *ix, const oc__node *n) {
    int x, e, p;
    /* (x * erf_part) * 0.5 */
    p = op_with_scalar(ix, n, "Mul", 0.5);
    oc__node *m = p >= 0 ? oc__producer(ix, p) : NULL;
    if (oc__is_op(m, "Mul"))
        for (int j = 0; j < 2; j++)
            if ((x = erf_part(ix, m->in[j])) >= 0 &&
                other_input(m, m->in[j]) == x)
                return x;
    for (int j = 0; j < 2; j++) {
        /* (x * 0.5) * erf_part, x * (erf_part * 0.5) */
        if ((e = erf_part(ix, n->in[j])) >= 0 &&
            op_with_scalar(ix, oc__producer(ix, n->in[1 - j]), "Mul", 0.5) == e)
            return e;
        p = op_with_scalar(ix, oc__producer(ix, n->in[j]), "Mul", 0.5);
        if (p >= 0 && (e = erf_part(ix, p)) >= 0 && n->in[1 - j] == e) return e;
    }
    return -1;
}

/* The x of which n is an activation in pieces, and which; else -1. */
static int match(const oc__index *ix, const oc__node *n, oc__act_args *out) {
    int x;
    *out = act(OC_ACT_NONE, 0, 0);
    if (oc__is_op(n, "Mul") && n->n_explicit == 2) {
        if ((x = self_gated(ix, n, &out->kind)) >= 0) return x;
        if ((x = gelu(ix, n)) >= 0) {
            out->kind = OC_ACT_GELU;
            return x;
        }
    }
    if ((oc__is_op(n, "Div") || oc__is_op(n, "Mul")) && n->out[0] >= 0) {
        int clipped = divided_by(ix, n->out[0], 6.0);
        if (clipped < 0) return -1;
        if ((x = relu6_of_plus3(ix, clipped)) >= 0) {
            *out = act(OC_ACT_HARD_SIGMOID, 1.0f / 6, 0.5f);
            return x;
        }
        /* (x * Clip(x + 3, 0, 6)) / 6 */
        oc__node *m = oc__producer(ix, clipped);
        for (int j = 0; j < 2 && oc__is_op(m, "Mul"); j++)
            if ((x = relu6_of_plus3(ix, m->in[j])) >= 0 &&
                other_input(m, m->in[j]) == x) {
                out->kind = OC_ACT_HARD_SWISH;
                return x;
            }
    }
    return -1;
}

static oc_status replace(oc__graph *g, oc__node *n, int x, oc__act_args a,
                         const oc__op *op, oc_error *err) {
    oc__attr *attrs = oc__arena_array(g->arena, 3, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, 1, sizeof(*in));
    if (!attrs || !in) return oc__fail_nomem(err);
    in[0] = x;
    n->op = op;
    n->version = 1;
    n->in = in;
    n->n_in = n->n_explicit = 1;
    n->attrs = attrs;
    n->n_attrs = 3;
    oc__attr_set_int(n, 0, "act", a.kind);
    oc__attr_set_float(n, 1, "act_a", a.a);
    oc__attr_set_float(n, 2, "act_b", a.b);
    return OC_OK;
}

oc_status oc__pass_fuse_activation(oc__graph *g, const oc__pass_env *env,
                                   oc_error *err) {
    const oc__op *op = oc__op_find("ocelli", "Act");
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        oc__act_args a;
        if (n->n_out < 1 || n->out[0] < 0 || n->n_explicit != 2 ||
            g->values[n->out[0]].dtype != OC_DTYPE_F32)
            continue;
        int x = match(&ix, n, &a);
        if (x >= 0) st = replace(g, n, x, a, op, err);
    }
    oc__index_deinit(&ix);
    return st;
}
