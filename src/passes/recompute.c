/*
 * recompute.c - values that a step of training makes twice, for less memory.
 *
 * A derivative reads values from the way forward, which lie there until then.
 * Here the nodes that made some of them are put once more before the first
 * derivative that reads them, so that the first copy dies early (gradient
 * checkpointing, arXiv:1604.06174):
 *
 *     forward                    backward
 *     x -> a -> b -> c -> loss   dc(b) db(a) da(x)
 *     x -> a -> b -> c -> loss   a' b' dc(b') db(a') da(x)      a, b die
 *
 * How much is made again says env->recompute:
 *
 *     0       nothing
 *     1       what costs no products, of values that stay anyway: norms,
 *             activations, pools
 *     n >= 2  everything but the values at every (n - 1)th narrow place,
 *             where one value alone leads on (a sum at a block's end)
 *
 * The same kernels run on the same numbers: results keep their bits.
 */
#include "base/size.h"
#include "ops/op.h"
#include "passes/passes.h"

#include <string.h>

/* Smaller values stay: statistics, packed weights of small layers. */
enum { SMALL_BYTES = 1 << 14 };

typedef struct plan {
    oc__graph *g;
    const oc__pass_env *env;
    int n;          /* values there were at first */
    int loss;       /* number of the node that makes it */
    int *maker;     /* [n] node, or -1 */
    int *last;      /* [n] last node on the way forward that reads it */
    char *follows;  /* [n] depends on the pictures */
    char *saved;    /* [n] is read on the way back */
    char *again;    /* [n] is to be made again */
    int *copy;      /* [n] its second self, or -1 */
    oc__node **out; /* the new order */
    int n_out;
} plan;

/* ---- looking --------------------------------------------------------------
 */

static int is_forward(const plan *p, int v) {
    return v >= 0 && v < p->n && p->maker[v] >= 0 && p->maker[v] <= p->loss;
}

static size_t bytes_of(const oc__graph *g, int v) {
    const oc__value_def *d = &g->values[v];
    size_t n = oc_dtype_bytes(d->dtype);
    if (d->rank < 0) return 0;
    for (int i = 0; i < d->rank; i++)
        if (d->dims[i] < 0 || oc__size_mul(n, (size_t)d->dims[i], &n)) return 0;
    return n;
}

static void look(plan *p) {
    oc__graph *g = p->g;
    for (int v = 0; v < p->n; v++)
        p->maker[v] = p->last[v] = p->copy[v] = -1;
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_out; j++)
            if (g->nodes[i]->out[j] >= 0) p->maker[g->nodes[i]->out[j]] = i;
    p->loss = p->maker[g->outputs[0]];
    p->follows[g->inputs[0]] = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        int follows = 0;
        for (int j = 0; j < n->n_in; j++) {
            int v = n->in[j];
            if (v < 0) continue;
            follows |= p->follows[v];
            if (i <= p->loss)
                p->last[v] = i;
            else if (is_forward(p, v))
                p->saved[v] = 1;
        }
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0 && follows) p->follows[n->out[j]] = 1;
    }
    for (int i = 0; i < g->n_outputs; i++) /* the caller reads it */
        p->follows[g->outputs[i]] = 0;
}

/* Whether there is something to win, and node i gives the same once more. */
static int may_again(const plan *p, int v) {
    const oc__node *n = p->g->nodes[p->maker[v]];
    return p->saved[v] && p->follows[v] && is_forward(p, v) &&
           p->g->values[v].kind == OC_KIND_TENSOR &&
           bytes_of(p->g, v) > SMALL_BYTES &&
           !(n->op->flags & (OC_OP_IMPURE | OC_OP_DYNAMIC | OC_OP_UPDATE));
}

/* Stays, or is there without the way forward. */
static int is_there(const plan *p, int v) {
    return !is_forward(p, v) || (p->saved[v] && !p->again[v]);
}

/* ---- choosing -------------------------------------------------------------
 */

static void choose_cheap(plan *p) {
    for (int v = 0; v < p->n; v++) {
        if (!may_again(p, v)) continue;
        const oc__node *n = p->g->nodes[p->maker[v]];
        int cheap = !n->op->flops;
        for (int j = 0; j < n->n_in; j++)
            cheap &= n->in[j] < 0 || is_there(p, n->in[j]);
        if (cheap) p->again[v] = 1;
    }
}

/* Keeps every stride-th value that alone leads from node i on. */
static void choose_between(plan *p, int stride) {
    int places = 0, before = -1, kept_at = -1;
    for (int v = 0; v < p->n; v++)
        p->again[v] = (char)may_again(p, v);
    for (int i = 0; i < p->loss; i++) {
        int live = 0, which = -1;
        for (int v = 0; v < p->n && live < 2; v++)
            if (p->follows[v] && p->maker[v] <= i && p->last[v] > i &&
                bytes_of(p->g, v) > SMALL_BYTES) {
                live++;
                which = v;
            }
        if (live != 1 || which == before || p->maker[which] < 0) continue;
        before = which;
        if (++places % stride) continue;
        p->again[which] = 0;
        if (p->saved[which]) kept_at = p->maker[which];
    }
    /* What comes last is read at once. */
    for (int v = 0; v < p->n; v++)
        if (p->maker[v] > kept_at) p->again[v] = 0;
}

/* ---- making again ---------------------------------------------------------
 */

/* The value that stands for v on the way back; -1: out of memory. */
static int second(plan *p, int v) {
    oc__graph *g = p->g;
    if (v < 0 || is_there(p, v)) return v;
    if (p->copy[v] >= 0) return p->copy[v];
    const oc__node *n = g->nodes[p->maker[v]];
    oc__node *m = oc__graph_add_node(g, n->op, NULL, n->version, n->n_in,
                                     n->n_out, n->n_attrs);
    if (!m) return -1;
    g->n_nodes--; /* its place is in the new order */
    m->n_explicit = n->n_explicit;
    if (n->n_attrs)
        memcpy(m->attrs, n->attrs, (size_t)n->n_attrs * sizeof(*m->attrs));
    for (int j = 0; j < n->n_in; j++) {
        m->in[j] = second(p, n->in[j]);
        if (n->in[j] >= 0 && m->in[j] < 0) return -1;
    }
    for (int j = 0; j < n->n_out; j++) {
        int from = n->out[j];
        if (from < 0) continue;
        int to = oc__graph_add_value(g, NULL);
        if (to < 0) return -1;
        oc__value_def *d = &g->values[to];
        const char *name = d->name;
        *d = g->values[from];
        d->name = name;
        m->out[j] = p->copy[from] = to;
    }
    p->out[p->n_out++] = m;
    return p->copy[v];
}

static oc_status rewrite(plan *p, oc_error *err) {
    oc__graph *g = p->g;
    int n = g->n_nodes;
    for (int i = 0; i < n; i++) {
        oc__node *m = g->nodes[i];
        for (int j = 0; j < m->n_in && i > p->loss; j++) {
            int v = m->in[j];
            if (v < 0 || v >= p->n || !p->again[v]) continue;
            m->in[j] = second(p, v);
            if (m->in[j] < 0) return oc__fail_nomem(err);
        }
        p->out[p->n_out++] = m;
    }
    return OC_OK;
}

/* Room for the nodes there are and as many again. */
static oc_status make_room(plan *p, oc_error *err) {
    oc__arena *a = p->g->arena;
    size_t n = (size_t)p->n;
    p->maker = oc__arena_array(a, n, sizeof(int));
    p->last = oc__arena_array(a, n, sizeof(int));
    p->copy = oc__arena_array(a, n, sizeof(int));
    p->follows = oc__arena_array(a, n, 1);
    p->saved = oc__arena_array(a, n, 1);
    p->again = oc__arena_array(a, n, 1);
    p->out = oc__arena_array(a, 2 * (size_t)p->g->n_nodes + 1, sizeof(*p->out));
    return p->maker && p->last && p->copy && p->follows && p->saved &&
                   p->again && p->out
               ? OC_OK
               : oc__fail_nomem(err);
}

oc_status oc__pass_recompute(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    plan p = {.g = g, .env = env, .n = g->n_values};
    if (!env->recompute || !g->n_outputs || !g->n_inputs) return OC_OK;
    oc__graph_compact(g);
    OC_TRY(make_room(&p, err));
    look(&p);
    if (p.loss < 0) return OC_OK;
    if (env->recompute == 1)
        choose_cheap(&p);
    else
        choose_between(&p, env->recompute - 1);
    OC_TRY(rewrite(&p, err));
    g->nodes = p.out;
    g->cap_nodes = 2 * g->n_nodes + 1;
    g->n_nodes = p.n_out;
    return OC_OK;
}
