/*
 * fuse_activation.c - activations exported in pieces become one Act node.
 *
 *   x * Sigmoid(x)                        SILU
 *   x * HardSigmoid(x; 1/6, 1/2)          HARD_SWISH
 *   x * Clip(x + 3, 0, 6) / 6             HARD_SWISH (any order of /6)
 *   Clip(x + 3, 0, 6) / 6                 HARD_SIGMOID
 *   x * Tanh(Softplus(x))                 MISH
 *   x * Sigmoid(a x)                      QUICK_GELU
 *   0.5 x (1 + Erf(x / sqrt 2))           GELU (any order)
 *   0.5 x (1 + Tanh(k (x + 0.044715 x^3)))  GELU_TANH (any order), where
 *   k = sqrt(2 / pi); x * Sigmoid(2 k (x + 0.044715 x^3)) is the same
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

/* ---- polynomials
 * --------------------------------------------------------------- */

/* What stands inside an Erf, Tanh or Sigmoid, whatever order it is written
   in: c[0] + c[1] x + c[2] x^2 + c[3] x^3. */
typedef struct poly {
    double c[4];
} poly;

enum { POLY_DEPTH = 8 };

static int poly_mul(const poly *a, const poly *b, poly *out) {
    poly sum = {{0}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            double term = a->c[i] * b->c[j];
            if (term == 0) continue;
            if (i + j > 3) return 0;
            sum.c[i + j] += term;
        }
    *out = sum;
    return 1;
}

static int poly_power(const poly *a, float exponent, poly *out) {
    poly square;
    if (exponent != 2 && exponent != 3) return 0;
    if (!poly_mul(a, a, &square)) return 0;
    if (exponent == 3) return poly_mul(&square, a, out);
    *out = square;
    return 1;
}

static int poly_of(const oc__index *ix, int v, int x, int depth, poly *out);

/* n, of two operands, seen as a polynomial in x. */
static int poly_node(const oc__index *ix, const oc__node *n, int x, int depth,
                     poly *out) {
    poly a, b;
    float e;
    if (n->n_explicit != 2 || !poly_of(ix, n->in[0], x, depth, &a)) return 0;
    if (oc__is_op(n, "Pow"))
        return oc__const_scalar(ix->g, n->in[1], &e) && poly_power(&a, e, out);
    if (!poly_of(ix, n->in[1], x, depth, &b)) return 0;
    if (oc__is_op(n, "Mul")) return poly_mul(&a, &b, out);
    if (oc__is_op(n, "Div")) {
        if (b.c[0] == 0 || b.c[1] != 0 || b.c[2] != 0 || b.c[3] != 0) return 0;
        for (int i = 0; i < 4; i++)
            out->c[i] = a.c[i] / b.c[0];
        return 1;
    }
    if (!oc__is_op(n, "Add")) return 0;
    for (int i = 0; i < 4; i++)
        out->c[i] = a.c[i] + b.c[i];
    return 1;
}

/* Whether v is a polynomial in value x with constant coefficients. */
static int poly_of(const oc__index *ix, int v, int x, int depth, poly *out) {
    float c;
    memset(out, 0, sizeof(*out));
    if (v == x) {
        out->c[1] = 1;
        return 1;
    }
    if (oc__const_scalar(ix->g, v, &c)) {
        out->c[0] = (double)c;
        return 1;
    }
    oc__node *n = oc__producer(ix, v);
    return n && depth < POLY_DEPTH && poly_node(ix, n, x, depth + 1, out);
}

/* v = c1 x + c3 x^3; no other terms, c3 = 0 exactly where it is asked for. */
static int is_odd_poly(const oc__index *ix, int v, int x, double c1,
                       double c3) {
    poly p;
    return poly_of(ix, v, x, 0, &p) && p.c[0] == 0 && p.c[2] == 0 &&
           near((float)p.c[1], c1) &&
           (c3 == 0 ? p.c[3] == 0 : near((float)p.c[3], c3));
}

/* sqrt(2/pi) x (1 + 0.044715 x^2), times `factor`. */
static int is_tanh_gate(const oc__index *ix, int v, int x, double factor) {
    double c = factor * 0.79788456080286535588;
    return is_odd_poly(ix, v, x, c, c * 0.044715);
}

/* v = 1 + Erf(x / sqrt 2), or the same with GELU's Tanh. */
static int gelu_gate(const oc__index *ix, int v, int x, oc__act *kind) {
    int e = op_with_scalar(ix, oc__producer(ix, v), "Add", 1.0);
    oc__node *n = e >= 0 ? oc__producer(ix, e) : NULL;
    *kind = oc__is_op(n, "Tanh") ? OC_ACT_GELU_TANH : OC_ACT_GELU;
    if (oc__is_op(n, "Erf")) return is_odd_poly(ix, n->in[0], x, sqrt(0.5), 0);
    return oc__is_op(n, "Tanh") && is_tanh_gate(ix, n->in[0], x, 1);
}

/* What x * Sigmoid(v) is; NONE: nothing we have. */
static oc__act_args sigmoid_gate(const oc__index *ix, int v, int x) {
    poly p;
    if (v == x) return act(OC_ACT_SILU, 0, 0);
    /* (1 + tanh u) / 2 = sigmoid(2 u) */
    if (is_tanh_gate(ix, v, x, 2)) return act(OC_ACT_GELU_TANH, 0, 0);
    if (poly_of(ix, v, x, 0, &p) && p.c[0] == 0 && p.c[2] == 0 && p.c[3] == 0)
        return act(OC_ACT_QUICK_GELU, (float)p.c[1], 0);
    return act(OC_ACT_NONE, 0, 0);
}

/* ---- activations
 * --------------------------------------------------------------- */

/* n = x * f(x) with f one node (or two for Mish); returns x, else -1. */
static int self_gated(const oc__index *ix, const oc__node *n,
                      oc__act_args *out) {
    for (int j = 0; j < 2; j++) {
        int x = n->in[1 - j];
        oc__node *f = oc__producer(ix, n->in[j]);
        if (oc__is_op(f, "Sigmoid")) {
            *out = sigmoid_gate(ix, f->in[0], x);
            if (out->kind != OC_ACT_NONE) return x;
        }
        oc__act_args a;
        if (f && oc__node_activation(ix->g, f, &a) && f->in[0] == x &&
            a.kind == OC_ACT_HARD_SIGMOID && near(a.a, 1.0 / 6) &&
            near(a.b, 0.5)) {
            out->kind = OC_ACT_HARD_SWISH;
            return x;
        }
        oc__node *s = f ? oc__input_op(ix, f, 0, "Softplus") : NULL;
        if (oc__is_op(f, "Tanh") && s && s->in[0] == x) {
            out->kind = OC_ACT_MISH;
            return x;
        }
        int clipped = divided_by(ix, n->in[j], 6.0);
        if (clipped >= 0 && relu6_of_plus3(ix, clipped) == x) {
            out->kind = OC_ACT_HARD_SWISH;
            return x;
        }
    }
    return -1;
}

/* n = 0.5 * x * gate in the three orders of the two products. */
static int gelu(const oc__index *ix, const oc__node *n, oc__act *kind) {
    int x, p;
    /* (x * gate) * 0.5 */
    p = divided_by(ix, n->out[0], 2.0);
    oc__node *m = p >= 0 ? oc__producer(ix, p) : NULL;
    if (oc__is_op(m, "Mul"))
        for (int j = 0; j < 2; j++)
            if (gelu_gate(ix, m->in[j], m->in[1 - j], kind))
                return m->in[1 - j];
    if (!oc__is_op(n, "Mul")) return -1;
    for (int j = 0; j < 2; j++) {
        /* (x * 0.5) * gate, x * (gate * 0.5) */
        x = divided_by(ix, n->in[1 - j], 2.0);
        if (x >= 0 && gelu_gate(ix, n->in[j], x, kind)) return x;
        p = divided_by(ix, n->in[j], 2.0);
        if (p >= 0 && gelu_gate(ix, p, n->in[1 - j], kind)) return n->in[1 - j];
    }
    return -1;
}

/* The x of which n is an activation in pieces, and which; else -1. */
static int match(const oc__index *ix, const oc__node *n, oc__act_args *out) {
    int x;
    *out = act(OC_ACT_NONE, 0, 0);
    if (oc__is_op(n, "Mul") && (x = self_gated(ix, n, out)) >= 0) return x;
    if (oc__is_op(n, "Div") || oc__is_op(n, "Mul")) {
        if ((x = gelu(ix, n, &out->kind)) >= 0) return x;
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
        /* A scalar of more dimensions than x would give y more, too. */
        if (x >= 0 && g->values[x].rank >= 0 && !oc__same_dims(g, x, n->out[0]))
            continue;
        if (x >= 0) st = replace(g, n, x, a, op, err);
    }
    oc__index_deinit(&ix);
    return st;
}
