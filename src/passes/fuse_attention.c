/*
 * fuse_attention.c - attention exported in pieces becomes one Attend node.
 *
 *   S = MatMul(Q, K^T)  [* or / a number]  [+ mask]  [+ mask]
 *   Y = MatMul(Softmax(S), V)                        [Transpose]
 *   Y = MatMul(V^T, Transpose(Softmax(S)))  as channels-first networks have it
 *
 * Q, K and V are followed back through what only moves or scales elements
 * (trace.h): splitting heads by Reshape and Transpose, taking queries, keys
 * and values out of one product by Split, Slice or Gather, scaling by a
 * number.  The Attend node reads them where they are, and the moving nodes
 * die.  f32 only, and only where nobody else reads scores or weights; runs
 * when shapes are known.
 */
#include "passes/trace.h"

#include <string.h>

typedef struct attention {
    oc__trace q, k, v; /* made (batch, head, position, element) */
    double scale;
    int masks, mask[2];
    int64_t y_step[4]; /* batch, head, position, element */
    oc__node *last;    /* the node that gives y */
} attention;

enum { BATCH, HEAD, POSITION, ELEMENT };

/* A Transpose of the last two dimensions alone. */
static int turns_last_two(const oc__node *n, int rank) {
    size_t count;
    const int64_t *perm = oc__attr_ints(n, "perm", &count);
    if (!perm) return rank == 2;
    if (count != (size_t)rank || rank < 2) return 0;
    for (int i = 0; i < rank - 2; i++)
        if (perm[i] != i) return 0;
    return perm[rank - 2] == rank - 1;
}

/* ---- scores -------------------------------------------------------------- */

/* v is what the softmax gets: up to the product that made it, or NULL. */
static oc__node *follow_scores(const oc__index *ix, int v, attention *m) {
    for (int steps = 0; steps < 8; steps++) {
        double factor;
        oc__node *n = oc__producer(ix, v);
        if (!n || !oc__used_once(ix, v)) return NULL;
        if (oc__is_op(n, "MatMul")) return n;
        int from = oc__scaled_by(ix, n, &factor);
        if (from >= 0) m->scale *= factor;
        if (oc__is_op(n, "Add") && n->n_explicit == 2 && m->masks < 2) {
            /* The scores are what is made by a product, or scaled or masked
               again; where both could be, the first. */
            attention first = *m;
            for (int j = 0; j < 2; j++) {
                *m = first;
                m->mask[m->masks++] = n->in[1 - j];
                /* A number behind this Add has scaled the mask, too. */
                if (m->scale != 1 || !oc__same_dims(ix->g, n->in[j], v))
                    continue;
                oc__node *product = follow_scores(ix, n->in[j], m);
                if (product) return product;
            }
            return NULL;
        }
        if (from < 0 || !oc__same_dims(ix->g, from, v)) return NULL;
        v = from;
    }
    return NULL;
}

/* Whether mask v can be added to scores without making them larger. */
static int mask_fits(const oc__graph *g, int v, const oc__value_def *scores) {
    const oc__value_def *d = &g->values[v];
    int pad = scores->rank - d->rank;
    if (!oc__is_concrete_f32(g, v) || pad < 0) return 0;
    for (int i = 0; i < d->rank; i++)
        if (d->dims[i] != 1 && d->dims[i] != scores->dims[pad + i]) return 0;
    return 1;
}

/* ---- operands ------------------------------------------------------------ */

/*
 * Makes t, of rank 2 to 4, (batch, head, rows, cols), and lets the first two
 * repeat where the scores have more of them.  turned: cols before rows.
 */
static int as_heads(oc__trace *t, const int64_t *batch, int turned) {
    int pad = 4 - t->rank;
    if (t->rank < 2 || pad < 0) return 0;
    memmove(t->dims + pad, t->dims, (size_t)t->rank * sizeof(t->dims[0]));
    memmove(t->step + pad, t->step, (size_t)t->rank * sizeof(t->step[0]));
    for (int i = 0; i < pad; i++)
        t->dims[i] = 1;
    for (int i = 0; i < 2; i++) {
        if (t->dims[i] != 1 && t->dims[i] != batch[i]) return 0;
        if (t->dims[i] == 1) t->step[i] = 0;
        t->dims[i] = batch[i];
    }
    if (turned) {
        int64_t dim = t->dims[POSITION], step = t->step[POSITION];
        t->dims[POSITION] = t->dims[ELEMENT];
        t->step[POSITION] = t->step[ELEMENT];
        t->dims[ELEMENT] = dim;
        t->step[ELEMENT] = step;
    }
    t->rank = 4;
    return 1;
}

/* Follows and checks all three operands. */
static int read_operands(const oc__index *ix, const oc__node *product, int v,
                         int v_turned, attention *m) {
    const oc__value_def *s = &ix->g->values[product->out[0]];
    int64_t batch[2] = {1, 1};
    if (!oc__is_concrete_f32(ix->g, product->out[0]) || s->rank < 2 ||
        s->rank > 4)
        return 0;
    for (int i = 0; i < s->rank - 2; i++)
        batch[i + 4 - s->rank] = s->dims[i];
    for (int i = 0; i < m->masks; i++)
        if (!mask_fits(ix->g, m->mask[i], s)) return 0;
    if (!oc__trace_back(ix, product->in[0], &m->q) ||
        !oc__trace_back(ix, product->in[1], &m->k) ||
        !oc__trace_back(ix, v, &m->v) || m->v.scale != 1)
        return 0;
    m->scale *= m->q.scale * m->k.scale;
    return as_heads(&m->q, batch, 0) && as_heads(&m->k, batch, 1) &&
           as_heads(&m->v, batch, v_turned) &&
           m->q.dims[ELEMENT] == m->k.dims[ELEMENT] &&
           m->k.dims[POSITION] == m->v.dims[POSITION];
}

/* ---- the result ---------------------------------------------------------- */

/* y is made by n; a Transpose behind it can be had for nothing. */
static int read_result(const oc__index *ix, oc__node *n, int turned,
                       attention *m) {
    const oc__graph *g = ix->g;
    const oc__value_def *y = &g->values[n->out[0]];
    int64_t step[OC_MAX_RANK], count = 1;
    size_t perms = 0;
    const int64_t *perm = NULL;
    if (!oc__is_concrete_f32(g, n->out[0]) || y->rank < 2 || y->rank > 4)
        return 0;
    oc__node *next = oc__only_reader(ix, n->out[0]);
    m->last = n;
    if (oc__is_op(next, "Transpose")) {
        perm = oc__attr_ints(next, "perm", &perms);
        if (perms == (size_t)y->rank) m->last = next;
    }
    /* Dimension d of the last node is dimension perm[d] of y. */
    for (int d = y->rank - 1; d >= 0; d--) {
        int64_t from = m->last == next && next ? perm[d] : d;
        if (from < 0 || from >= y->rank) return 0;
        step[from] = count;
        count *= y->dims[from];
    }
    int pad = 4 - y->rank;
    for (int i = 0; i < 4; i++)
        m->y_step[i] = i < pad ? 0 : step[i - pad];
    if (turned) {
        m->y_step[POSITION] = step[y->rank - 1];
        m->y_step[ELEMENT] = step[y->rank - 2];
    }
    return 1;
}

/* Whether softmax n normalises the last dimension. */
static int over_last(const oc__graph *g, const oc__node *n) {
    if (!oc__is_concrete_f32(g, n->in[0])) return 0;
    int rank = g->values[n->in[0]].rank;
    int64_t axis = oc__attr_int(n, "axis", n->version >= 13 ? -1 : 1);
    return rank > 0 && (axis < 0 ? axis + rank : axis) == rank - 1;
}

static int match(const oc__index *ix, const oc__node *n, attention *m) {
    int turned = 0;
    if (!oc__is_op(n, "Softmax") || n->out[0] < 0 || !over_last(ix->g, n))
        return 0;
    m->scale = 1;
    oc__node *product = follow_scores(ix, n->in[0], m);
    int weights = n->out[0];
    oc__node *next = oc__only_reader(ix, weights);
    if (oc__is_op(next, "Transpose") &&
        turns_last_two(next, ix->g->values[weights].rank)) {
        turned = 1;
        weights = next->out[0];
        next = oc__only_reader(ix, weights);
    }
    if (!product || !oc__is_op(next, "MatMul") || next->in[turned] != weights ||
        next->in[!turned] == weights ||
        !oc__same_dims(ix->g, n->out[0], product->out[0]))
        return 0;
    return read_operands(ix, product, next->in[!turned], turned, m) &&
           read_result(ix, next, turned, m);
}

static oc_status set_steps(oc__graph *g, oc__node *n, int at, const char *name,
                           const oc__trace *t, oc_error *err) {
    int64_t *v = oc__arena_array(g->arena, 5, sizeof(*v));
    if (!v) return oc__fail_nomem(err);
    v[0] = t->offset;
    memcpy(v + 1, t->step, 4 * sizeof(*v));
    oc__attr_set_ints(n, at, name, v, 5);
    return OC_OK;
}

/* m->last becomes the whole. */
static oc_status replace(oc__graph *g, const attention *m, oc_error *err) {
    enum { ATTRS = 7 };
    oc__node *n = m->last;
    const oc__value_def *y = &g->values[n->out[0]];
    oc__attr *attrs = oc__arena_array(g->arena, ATTRS, sizeof(*attrs));
    int *in = oc__arena_array(g->arena, 5, sizeof(*in));
    int64_t *sizes = oc__arena_array(g->arena, 6, sizeof(*sizes));
    int64_t *dims = oc__arena_dup(g->arena, y->dims, sizeof(y->dims));
    int64_t *y_step = oc__arena_dup(g->arena, m->y_step, sizeof(m->y_step));
    if (!attrs || !in || !sizes || !dims || !y_step) return oc__fail_nomem(err);
    in[0] = m->q.source;
    in[1] = m->k.source;
    in[2] = m->v.source;
    for (int i = 0; i < m->masks; i++)
        in[3 + i] = m->mask[i];
    sizes[0] = m->q.dims[BATCH];
    sizes[1] = m->q.dims[HEAD];
    sizes[2] = m->q.dims[POSITION];
    sizes[3] = m->k.dims[POSITION];
    sizes[4] = m->q.dims[ELEMENT];
    sizes[5] = m->v.dims[ELEMENT];
    n->op = oc__op_find("ocelli", "Attend");
    n->version = 1;
    n->in = in;
    n->n_in = n->n_explicit = 3 + m->masks;
    n->attrs = attrs;
    n->n_attrs = ATTRS;
    oc__attr_set_ints(n, 0, "sizes", sizes, 6);
    oc__attr_set_ints(n, 1, "dims", dims, (size_t)y->rank);
    oc__attr_set_ints(n, 2, "y", y_step, 4);
    oc__attr_set_float(n, 3, "scale", (float)m->scale);
    OC_TRY(set_steps(g, n, 4, "q", &m->q, err));
    OC_TRY(set_steps(g, n, 5, "k", &m->k, err));
    return set_steps(g, n, 6, "v", &m->v, err);
}

oc_status oc__pass_fuse_attention(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err) {
    oc__index ix;
    OC_TRY(oc__index_init(&ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        attention m = {0};
        if (!g->nodes[i]->dead && match(&ix, g->nodes[i], &m))
            st = replace(g, &m, err);
    }
    oc__index_deinit(&ix);
    return st;
}
