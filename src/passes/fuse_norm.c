/*
 * fuse_norm.c - normalisations exported in pieces become one node.
 *
 *   u = ReduceMean(x)   c = Sub(x, u)   v = ReduceMean(c c)
 *   c / Sqrt(v + eps) [* gamma] [+ beta]      LayerNormalization
 *   the same with x in the place of c         RMSNormalization
 *
 * Squares are Pow(c, 2) or Mul(c, c); the root is Sqrt or Pow(., 1/2), and
 * dividing by it may be multiplying by a Reciprocal, by 1 / root or by
 * Pow(., -1/2).  The means are over the last dimension or the last few, as an
 * attribute or an input, and keep their dimensions.  f32 only, and only where
 * nobody else reads what lies between; runs when shapes are known.
 */
#include "passes/match.h"

#include <string.h>

typedef struct norm {
    int x, y; /* y: what is normalised, before gamma */
    int rms, axis;
    float epsilon;
    int gamma, beta; /* -1: none */
} norm;

/* The node of this name that makes v, if nobody else reads v. */
static oc__node *inner(const oc__index *ix, int v, const char *name) {
    oc__node *n = oc__producer(ix, v);
    return oc__is_op(n, name) && oc__used_once(ix, v) ? n : NULL;
}

/* v = Pow(a, exponent): returns a, else -1. */
static int power(const oc__index *ix, int v, float exponent) {
    oc__node *n = inner(ix, v, "Pow");
    float e;
    if (!n || !oc__const_scalar(ix->g, n->in[1], &e) || e != exponent)
        return -1;
    return n->in[0];
}

/* v = Sqrt(a): returns a, else -1. */
static int root(const oc__index *ix, int v) {
    oc__node *n = inner(ix, v, "Sqrt");
    return n ? n->in[0] : power(ix, v, 0.5f);
}

/* v = 1 / Sqrt(a): returns a, else -1. */
static int inverse_root(const oc__index *ix, int v) {
    float one;
    oc__node *n = inner(ix, v, "Reciprocal");
    if (n) return root(ix, n->in[0]);
    n = inner(ix, v, "Div");
    if (n && oc__const_scalar(ix->g, n->in[0], &one) && one == 1)
        return root(ix, n->in[1]);
    return power(ix, v, -0.5f);
}

/* n = c / Sqrt(a): returns a, else -1. */
static int divided_by_root(const oc__index *ix, const oc__node *n, int *c) {
    if (n->n_explicit != 2) return -1;
    if (oc__is_op(n, "Div")) {
        *c = n->in[0];
        return root(ix, n->in[1]);
    }
    for (int j = 0; oc__is_op(n, "Mul") && j < 2; j++) {
        int a = inverse_root(ix, n->in[j]);
        *c = n->in[1 - j];
        if (a >= 0) return a;
    }
    return -1;
}

/*
 * v is the mean of *x over its last dimensions, which are kept as 1: returns
 * the first of them, else -1.
 */
static int mean_of(const oc__index *ix, int v, int *x) {
    const oc__node *n = inner(ix, v, "ReduceMean");
    if (!n || !oc__attr_int(n, "keepdims", 1)) return -1;
    int rank = ix->g->values[n->in[0]].rank, first = rank;
    size_t count;
    const int64_t *axes = oc__attr_ints(n, "axes", &count);
    unsigned seen = 0;
    *x = n->in[0];
    if (n->version >= 18) {
        const oc_tensor *t = n->n_in > 1 ? oc__constant(ix->g, n->in[1]) : NULL;
        if (!t || t->dtype != OC_DTYPE_I64) return -1;
        axes = t->data;
        count = (size_t)oc_tensor_elems(t);
    }
    if (rank < 1 || count < 1 || !axes) return -1;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank) return -1;
        seen |= 1u << axis;
        first = OC_MIN(first, (int)axis);
    }
    /* No gap behind the first. */
    return seen == (1u << rank) - (1u << first) ? first : -1;
}

/* v is the square of *c: the reads of c that this takes, else 0. */
static int square_of(const oc__index *ix, int v, int *c) {
    const oc__node *n = inner(ix, v, "Mul");
    *c = power(ix, v, 2);
    if (*c >= 0) return 1;
    if (!n || n->in[0] != n->in[1]) return 0;
    *c = n->in[0];
    return 2;
}

/* c = x - mean(x) over the same dimensions, read only `reads` times. */
static int centred(const oc__index *ix, int c, int axis, int reads, int *x) {
    oc__node *sub = oc__producer(ix, c);
    int of;
    if (!oc__is_op(sub, "Sub") || ix->uses[c] != reads) return 0;
    *x = sub->in[0];
    return mean_of(ix, sub->in[1], &of) == axis && of == *x;
}

/* Whether n makes a normalised value. */
static int match(const oc__index *ix, const oc__node *n, norm *m) {
    int c, of, squared, reads;
    int a = divided_by_root(ix, n, &c);
    oc__node *add = a >= 0 ? inner(ix, a, "Add") : NULL;
    int j = add ? oc__const_input(ix->g, add) : -1;
    if (j < 0 || !oc__const_scalar(ix->g, add->in[j], &m->epsilon)) return 0;
    m->axis = mean_of(ix, add->in[1 - j], &squared);
    if (m->axis < 0 || m->epsilon < 0) return 0;
    reads = square_of(ix, squared, &of);
    if (!reads || of != c || !oc__is_concrete_f32(ix->g, c)) return 0;
    m->y = n->out[0];
    m->rms = !centred(ix, c, m->axis, reads + 1, &m->x);
    if (m->rms) m->x = c;
    return oc__same_dims(ix->g, m->x, m->y);
}

/* Whether v has a number for each of the normalised elements. */
static int is_affine(const oc__graph *g, const norm *m, int v) {
    const oc__value_def *a = &g->values[v], *x = &g->values[m->x];
    int pad = x->rank - a->rank;
    if (!oc__is_concrete_f32(g, v) || pad < 0 || pad > m->axis) return 0;
    for (int d = pad; d < x->rank; d++)
        if (a->dims[d - pad] != (d < m->axis ? 1 : x->dims[d])) return 0;
    return 1;
}

/* The only reader of n if it does `name` with a number for each element;
 *v is which. */
static oc__node *affine(const oc__index *ix, const oc__node *n,
                        const char *name, const norm *m, int *v) {
    oc__node *next = oc__only_reader(ix, n->out[0]);
    if (!oc__is_op(next, name) || next->n_explicit != 2) return NULL;
    int other = next->in[next->in[0] == n->out[0]];
    if (!is_affine(ix->g, m, other)) return NULL;
    *v = other;
    return next;
}

static int ones(oc__graph *g, const norm *m, const oc_allocator *a) {
    const oc__value_def *x = &g->values[m->x];
    float *data;
    int v = oc__new_constant_f32(g, a, NULL, x->rank - m->axis,
                                 x->dims + m->axis, &data);
    for (int64_t i = 0; v >= 0 && i < oc_tensor_elems(g->values[v].constant);
         i++)
        data[i] = 1;
    return v;
}

/* n, the last node of the pattern, becomes the whole. */
static oc_status replace(oc__graph *g, oc__node *n, norm *m,
                         const oc_allocator *a, oc_error *err) {
    if (m->gamma < 0) m->gamma = ones(g, m, a);
    oc__attr *attrs = oc__arena_array(g->arena, 2, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, 3, sizeof(*in));
    if (m->gamma < 0 || !attrs || !in) return oc__fail_nomem(err);
    in[0] = m->x;
    in[1] = m->gamma;
    in[2] = m->beta;
    n->op = oc__op_find("", m->rms ? "RMSNormalization" : "LayerNormalization");
    n->version = m->rms ? 23 : 17;
    n->in = in;
    n->n_in = n->n_explicit = m->beta >= 0 ? 3 : 2;
    n->attrs = attrs;
    n->n_attrs = 2;
    oc__attr_set_int(n, 0, "axis", m->axis);
    oc__attr_set_float(n, 1, "epsilon", m->epsilon);
    return OC_OK;
}

oc_status oc__pass_fuse_norm(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        norm m = {.gamma = -1, .beta = -1};
        if (n->dead || n->n_out < 1 || n->out[0] < 0 || !match(&ix, n, &m))
            continue;
        oc__node *next = affine(&ix, n, "Mul", &m, &m.gamma);
        if (next) n = next;
        /* ONNX's RMSNormalization has no bias. */
        next = m.rms ? NULL : affine(&ix, n, "Add", &m, &m.beta);
        if (next) n = next;
        st = replace(g, n, &m, env->allocator, err);
    }
    oc__index_deinit(&ix);
    return st;
}
