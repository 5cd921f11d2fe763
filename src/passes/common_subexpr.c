/*
 * common_subexpr.c - two nodes that compute the same become one.
 *
 * Equal means: same op and version, same inputs, same attributes, no
 * sub-graphs, no randomness.  Nodes are put into buckets by a hash of op and
 * inputs; graphs are walked in order, so chains of equal nodes fall together.
 */
#include "passes/match.h"

#include <string.h>

static int same_attr(const oc__attr *a, const oc__attr *b) {
    if (a->type != b->type || strcmp(a->name, b->name) != 0 || a->n != b->n)
        return 0;
    switch (a->type) {
    case OC_ATTR_INT: return a->i == b->i;
    case OC_ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof(a->f)) == 0;
    case OC_ATTR_STRING:
        return a->s.bytes == b->s.bytes &&
               memcmp(a->s.data, b->s.data, a->s.bytes) == 0;
    case OC_ATTR_INTS:
        return memcmp(a->ints, b->ints, a->n * sizeof(*a->ints)) == 0;
    case OC_ATTR_FLOATS:
        return memcmp(a->floats, b->floats, a->n * sizeof(*a->floats)) == 0;
    default: return 0; /* tensors and graphs: rare, and not worth comparing */
    }
}

static int same_node(const oc__node *a, const oc__node *b) {
    if (a->op != b->op || a->version != b->version || a->n_in != b->n_in ||
        a->n_out != b->n_out || a->n_attrs != b->n_attrs)
        return 0;
    if (a->n_in && memcmp(a->in, b->in, (size_t)a->n_in * sizeof(int)) != 0)
        return 0;
    for (int i = 0; i < a->n_out; i++)
        if ((a->out[i] < 0) != (b->out[i] < 0)) return 0;
    for (int i = 0; i < a->n_attrs; i++)
        if (!same_attr(&a->attrs[i], &b->attrs[i])) return 0;
    return 1;
}

static size_t hash_node(const oc__node *n) {
    size_t h = (size_t)(uintptr_t)n->op >> 4;
    for (int i = 0; i < n->n_in; i++)
        h = h * 1000003u ^ (size_t)(unsigned)n->in[i];
    return h;
}

static int may_merge(const oc__graph *g, const oc__node *n) {
    if (n->dead || (n->op->flags & OC_OP_IMPURE)) return 0;
    /* Two graph outputs keep two memories. */
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0 && oc__graph_is_output(g, n->out[i])) return 0;
    return 1;
}

oc_status oc__pass_common_subexpr(oc__graph *g, const oc__pass_env *env,
                                  oc_error *err) {
    size_t buckets = 1;
    while (buckets < (size_t)g->n_nodes)
        buckets *= 2;
    size_t bytes = (buckets + (size_t)g->n_nodes) * sizeof(int);
    int *first = oc__alloc(env->allocator, bytes);
    if (!first) return oc__fail_nomem(err);
    int *next = first + buckets;
    for (size_t b = 0; b < buckets; b++)
        first[b] = -1;
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        if (!may_merge(g, n)) continue;
        size_t b = hash_node(n) & (buckets - 1);
        int twin = first[b];
        while (twin >= 0 && !same_node(g->nodes[twin], n))
            twin = next[twin];
        if (twin < 0) {
            next[i] = first[b];
            first[b] = i;
            continue;
        }
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0)
                oc__graph_replace_uses(g, n->out[j], g->nodes[twin]->out[j]);
        n->dead = 1;
    }
    oc__release(env->allocator, first, bytes);
    oc__graph_compact(g);
    return OC_OK;
}
