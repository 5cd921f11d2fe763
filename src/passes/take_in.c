/* take_in.c - see take_in.h. */
#include "passes/take_in.h"

#include <string.h>

/* The only reader of n's output among the nodes behind it, or NULL. */
static oc__node *next_of(const oc__index *ix, const oc__node *n, int from) {
    const oc__graph *g = ix->g;
    int v = n->out[0];
    if (v >= ix->n || !oc__used_once(ix, v) || oc__graph_is_output(g, v))
        return NULL;
    for (int i = from; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in; j++)
            if (!g->nodes[i]->dead && g->nodes[i]->in[j] == v)
                return g->nodes[i];
    return NULL;
}

/* n computes what `after` did; the node moves to after's place in the order,
   where everything that `after` reads is there. */
static void swallow(oc__graph *g, int *at, oc__node *after) {
    oc__node *n = g->nodes[*at];
    n->out[0] = after->out[0];
    after->dead = 1;
    int to = *at;
    while (g->nodes[to] != after)
        to++;
    memmove(&g->nodes[*at], &g->nodes[*at + 1],
            (size_t)(to - *at) * sizeof(*g->nodes));
    g->nodes[to] = n;
    *at = to;
}

static int same_shape(const oc__graph *g, int a, int b) {
    const oc__value_def *x = &g->values[a], *y = &g->values[b];
    return x->dtype == y->dtype && x->rank == y->rank && x->rank >= 0 &&
           !memcmp(x->dims, y->dims, (size_t)x->rank * sizeof(int64_t));
}

/* Whether constant v adds one number to each of n columns. */
static int is_bias(const oc__graph *g, int v, int64_t n) {
    const oc_tensor *t = oc__constant(g, v);
    return t && t->dtype == OC_DTYPE_F32 && t->rank >= 1 &&
           oc_tensor_elems(t) == n && t->dims[t->rank - 1] == n;
}

void oc__take_in(const oc__index *ix, int *at, oc__node *m, int64_t n, int bias,
                 int residual) {
    oc__graph *g = ix->g;
    oc__node *next;
    while ((next = next_of(ix, m, *at + 1)) != NULL) {
        oc__act_args a;
        if (oc__is_op(next, "Add") && next->n_explicit == 2 &&
            next->version >= 7 && next->in[0] != next->in[1]) {
            int other = next->in[next->in[0] == m->out[0]];
            int no_more = residual < 0 || m->in[residual] >= 0;
            if (bias >= 0 && m->in[bias] < 0 && !no_more &&
                is_bias(g, other, n) && same_shape(g, next->out[0], m->out[0]))
                m->in[bias] = other;
            else if (!no_more && !oc__constant(g, other) &&
                     same_shape(g, other, m->out[0]))
                m->in[residual] = other;
            else
                return;
            swallow(g, at, next);
        } else if (oc__node_activation(g, next, &a)) {
            oc__attr_set_int(m, 0, "act", a.kind);
            oc__attr_set_float(m, 1, "act_a", a.a);
            oc__attr_set_float(m, 2, "act_b", a.b);
            swallow(g, at, next);
            return;
        } else {
            return;
        }
    }
}
