/*
 * differentiate.c - puts the derivatives that a Gradient node asks for in its
 * place, by walking back from y over what leads to it.
 *
 * A Gradient names the tensors xs and zs that y is a function of, and has one
 * input for each with the value to take it at.  Mostly that is the named
 * tensor itself, and what is there of y's computation is used again.  Where
 * it is another, y's computation is copied with that in its place.
 */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

/* ---- writing nodes --------------------------------------------------------
 */

oc__node *oc__diff_node(oc__diff *d, const char *domain, const char *name,
                        int version, int n_attrs, int n_in, const int *in,
                        int n_out) {
    const oc__op *op = oc__op_find(domain, name);
    oc__node *n =
        op ? oc__graph_add_node(d->g, op, "", version, n_in, n_out, n_attrs)
           : NULL;
    for (int j = 0; n && j < n_in; j++)
        n->in[j] = in[j];
    for (int j = 0; n && j < n_out; j++) {
        n->out[j] = oc__graph_add_value(d->g, NULL);
        if (n->out[j] < 0) n = NULL;
    }
    if (!n) d->failed = 1;
    d->last = n;
    return n;
}

int oc__diff_emit(oc__diff *d, const char *domain, const char *name,
                  int version, int n_attrs, int n_in, const int *in) {
    for (int j = 0; j < n_in; j++)
        if (in[j] < 0) return -1;
    oc__node *n = oc__diff_node(d, domain, name, version, n_attrs, n_in, in, 1);
    return n ? n->out[0] : -1;
}

int oc__diff_1(oc__diff *d, const char *op, int a) {
    return oc__diff_emit(d, "", op, 15, 0, 1, &a);
}

int oc__diff_2(oc__diff *d, const char *op, int a, int b) {
    int pair[2] = {a, b};
    return oc__diff_emit(d, "", op, 15, 0, 2, pair);
}

int oc__diff_in(const oc__node *n, int j) {
    return j < n->n_explicit ? n->in[j] : -1;
}

int oc__diff_of(const oc__diff *d, const oc__node *n, int k) {
    int v = k < n->n_out ? n->out[k] : -1;
    return v >= 0 && v < d->n ? d->adjoint[v] : -1;
}

int oc__diff_wants(const oc__diff *d, const oc__node *n, int j) {
    int v = oc__diff_in(n, j);
    return v >= 0 && v < d->n && d->live[v];
}

void oc__diff_add(oc__diff *d, const oc__node *n, int j, int grad) {
    if (grad < 0 || !oc__diff_wants(d, n, j)) return;
    int *sum = &d->adjoint[n->in[j]];
    *sum = *sum < 0 ? grad : oc__diff_2(d, "Add", *sum, grad);
}

/* ---- one Gradient node ----------------------------------------------------
 */

typedef struct walk {
    oc__diff d;
    oc__node *node; /* the Gradient; NULL: oc__gradients() */
    const oc_string *xs, *zs;
    size_t n_xs, n_zs;
    const int *by; /* the values to differentiate by */
    int n_by;
    int y;
    oc__node **path; /* what makes y, in order */
    int n_path;
    int *now;   /* the value that stands for each value of the graph */
    char *need; /* a value that y depends on */
    char *from; /* a value that depends on xs or zs */
    int n;      /* values at the start */
} walk;

static int find_value(const oc__graph *g, const char *name) {
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i].name && !strcmp(g->values[i].name, name)) return i;
    return -1;
}

static oc_status find_named(walk *w, const oc_string *name, int *out) {
    *out = find_value(w->d.g, name->data);
    if (*out >= 0) return OC_OK;
    oc__error_node(w->d.err, w->node->name);
    return oc__fail(w->d.err, OC_E_FORMAT,
                    "Gradient \"%s\": there is no tensor \"%s\"", w->node->name,
                    name->data);
}

/* Marks xs and zs and notes what stands for them. */
static oc_status start_from(walk *w) {
    size_t n_xs = w->n_xs, n_zs = w->n_zs;
    if (n_xs + n_zs != (size_t)w->node->n_explicit ||
        (size_t)w->node->n_out > n_xs)
        return oc__fail(w->d.err, OC_E_FORMAT,
                        "Gradient \"%s\": %zu xs and %zu zs, but %d inputs "
                        "and %d outputs",
                        w->node->name, n_xs, n_zs, w->node->n_explicit,
                        w->node->n_out);
    for (size_t i = 0; i < n_xs + n_zs; i++) {
        int v, value = w->node->in[i];
        OC_TRY(find_named(w, i < n_xs ? &w->xs[i] : &w->zs[i - n_xs], &v));
        if (value < 0)
            return oc__fail(w->d.err, OC_E_FORMAT,
                            "Gradient \"%s\": input %zu is missing",
                            w->node->name, i);
        w->from[v] = 1;
        w->now[v] = value;
        /* Independent: what makes it in the graph does not matter. */
        w->need[v] = 2;
    }
    return OC_OK;
}

/* Whether n makes a value that y needs and that no x or z stands for. */
static int makes_needed(const walk *w, const oc__node *n) {
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] >= 0 && n->out[j] < w->n && w->need[n->out[j]] == 1)
            return 1;
    return 0;
}

/* The nodes between xs, zs and y, in order. */
static void find_path(walk *w) {
    const oc__graph *g = w->d.g;
    int n = g->n_nodes;
    if (w->need[w->y] == 0) w->need[w->y] = 1;
    for (int i = n - 1; i >= 0; i--) {
        const oc__node *m = g->nodes[i];
        if (m->dead || !makes_needed(w, m)) continue;
        for (int j = 0; j < m->n_in; j++)
            if (m->in[j] >= 0 && w->need[m->in[j]] == 0) w->need[m->in[j]] = 1;
    }
    for (int i = 0; i < n; i++) {
        oc__node *m = g->nodes[i];
        int reached = 0;
        if (m->dead || !makes_needed(w, m)) continue;
        for (int j = 0; j < m->n_in; j++)
            reached |= m->in[j] >= 0 && w->from[m->in[j]];
        if (!reached) continue;
        for (int j = 0; j < m->n_out; j++)
            if (m->out[j] >= 0) w->from[m->out[j]] = 1;
        w->path[w->n_path++] = m;
    }
}

/* Copies nodes of the path whose inputs are stood for by others. */
static oc_status substitute(walk *w) {
    oc__graph *g = w->d.g;
    for (int i = 0; i < w->n_path; i++) {
        oc__node *m = w->path[i];
        int moved = 0;
        for (int j = 0; j < m->n_in; j++)
            moved |= m->in[j] >= 0 && w->now[m->in[j]] != m->in[j];
        if (!moved) continue;
        oc__node *c = oc__graph_add_node(g, m->op, m->name, m->version, m->n_in,
                                         m->n_out, 0);
        if (!c) return oc__fail_nomem(w->d.err);
        c->n_explicit = m->n_explicit;
        c->attrs = m->attrs;
        c->n_attrs = m->n_attrs;
        for (int j = 0; j < m->n_in; j++)
            c->in[j] = m->in[j] < 0 ? -1 : w->now[m->in[j]];
        for (int j = 0; j < m->n_out; j++) {
            if (m->out[j] < 0) continue;
            c->out[j] = oc__graph_add_value(g, NULL);
            if (c->out[j] < 0) return oc__fail_nomem(w->d.err);
            w->now[m->out[j]] = c->out[j];
        }
        w->path[i] = c;
    }
    return OC_OK;
}

/* The walk back: seeds y with ones and applies the rules. */
static oc_status walk_back(walk *w) {
    oc__diff *d = &w->d;
    for (int i = 0; i < w->n_by; i++)
        d->live[w->by[i]] = 1;
    for (int i = 0; i < w->n_path; i++) {
        const oc__node *m = w->path[i];
        int live = 0;
        for (int j = 0; j < m->n_in; j++)
            live |= m->in[j] >= 0 && d->live[m->in[j]];
        for (int j = 0; live && j < m->n_out; j++)
            if (m->out[j] >= 0) d->live[m->out[j]] = 1;
    }
    int y = w->now[w->y];
    d->adjoint[y] = oc__diff_emit(d, "ocelli", "OnesLike", 1, 0, 1, &y);
    for (int i = w->n_path - 1; i >= 0; i--) {
        int reached = 0;
        for (int j = 0; j < w->path[i]->n_out; j++)
            reached |= oc__diff_of(d, w->path[i], j) >= 0;
        if (reached) OC_TRY(oc__derivative(d, w->path[i]));
    }
    return d->failed ? oc__fail_nomem(d->err) : OC_OK;
}

/* The adjoint of x; zeros where y does not depend on it. */
static int adjoint_or_zeros(oc__diff *d, int x) {
    if (d->adjoint[x] >= 0) return d->adjoint[x];
    return oc__diff_emit(d, "ocelli", "ZerosLike", 1, 0, 1, &x);
}

/* Whoever used the Gradient's outputs now uses the adjoints. */
static oc_status deliver(walk *w) {
    oc__diff *d = &w->d;
    for (int i = 0; i < w->node->n_out; i++) {
        if (w->node->out[i] < 0) continue;
        int grad = adjoint_or_zeros(d, w->node->in[i]);
        /* An output keeps its name and number: later nodes and Gradients
           know it by them. */
        int y = oc__diff_emit(d, "", "Identity", 13, 0, 1, &grad);
        if (y < 0) return oc__fail_nomem(d->err);
        d->last->out[0] = w->node->out[i];
    }
    w->node->dead = 1;
    return OC_OK;
}

/* From what y is a function of to the adjoints: out gets those of `by`, or,
 * when it is NULL, the Gradient's users do. */
static oc_status differentiate(walk *w, int *out) {
    oc__diff *d = &w->d;
    find_path(w);
    OC_TRY(substitute(w));
    /* Copies have made new values; the rules will make more, which have no
       adjoints themselves. */
    d->n = d->g->n_values;
    d->live = oc__calloc(d->allocator, (size_t)d->n, 1);
    d->adjoint = oc__alloc(d->allocator, (size_t)d->n * sizeof(int));
    oc_status st = OC_OK;
    if (!d->live || !d->adjoint) st = oc__fail_nomem(d->err);
    for (int i = 0; i < d->n && st == OC_OK; i++)
        d->adjoint[i] = -1;
    if (st == OC_OK) st = walk_back(w);
    if (st == OC_OK && !out) st = deliver(w);
    for (int i = 0; i < w->n_by && st == OC_OK && out; i++) {
        out[i] = adjoint_or_zeros(d, w->by[i]);
        if (out[i] < 0) st = oc__fail_nomem(d->err);
    }
    oc__release(d->allocator, d->live, (size_t)d->n);
    oc__release(d->allocator, d->adjoint, (size_t)d->n * sizeof(int));
    return st;
}

/* What a Gradient node asks for. */
static oc_status read_gradient(walk *w) {
    const oc__attr *y = oc__attr_find(w->node, "y");
    w->xs = oc__attr_strings(w->node, "xs", &w->n_xs);
    w->zs = oc__attr_strings(w->node, "zs", &w->n_zs);
    w->by = w->node->in;
    w->n_by = (int)w->n_xs;
    if (!y || !y->s.data)
        return oc__fail(w->d.err, OC_E_FORMAT, "Gradient \"%s\": y is missing",
                        w->node->name);
    OC_TRY(find_named(w, &y->s, &w->y));
    return start_from(w);
}

/* Gives the walk its memory, finds where it starts and walks. */
static oc_status walk_all(walk *w, int *out) {
    const oc__graph *g = w->d.g;
    const oc_allocator *a = w->d.allocator;
    size_t n = (size_t)g->n_values, nodes = (size_t)g->n_nodes;
    w->n = g->n_values;
    w->now = oc__alloc(a, n * sizeof(int));
    w->need = oc__calloc(a, n, 1);
    w->from = oc__calloc(a, n, 1);
    w->path = oc__calloc(a, OC_MAX(nodes, 1), sizeof(*w->path));
    oc_status st = OC_OK;
    if (!w->now || !w->need || !w->from || !w->path)
        st = oc__fail_nomem(w->d.err);
    for (size_t i = 0; i < n && st == OC_OK; i++)
        w->now[i] = (int)i;
    if (st == OC_OK && w->node) st = read_gradient(w);
    for (int i = 0; i < w->n_by && st == OC_OK && !w->node; i++) {
        w->from[w->by[i]] = 1;
        w->need[w->by[i]] = 2;
    }
    if (st == OC_OK) st = differentiate(w, out);
    oc__release(a, w->now, n * sizeof(int));
    oc__release(a, w->need, n);
    oc__release(a, w->from, n);
    oc__release(a, w->path, OC_MAX(nodes, 1) * sizeof(*w->path));
    return st;
}

oc_status oc__gradients(oc__graph *g, const oc_allocator *a, int y,
                        const int *xs, int n, int *grads, oc_error *err) {
    walk w;
    memset(&w, 0, sizeof(w));
    w.d.g = g;
    w.d.allocator = a;
    w.d.err = err;
    w.by = xs;
    w.n_by = n;
    w.y = y;
    return walk_all(&w, grads);
}

static oc_status replace(oc__graph *g, oc__node *node, const oc_allocator *a,
                         oc_error *err) {
    walk w;
    memset(&w, 0, sizeof(w));
    w.d.g = g;
    w.d.allocator = a;
    w.d.err = err;
    w.node = node;
    OC_TRY(walk_all(&w, NULL));
    oc__graph_compact(g);
    return oc__graph_sort(g, err);
}

static oc__node *next_gradient(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead && !strcmp(g->nodes[i]->op->name, "Gradient"))
            return g->nodes[i];
    return NULL;
}

oc_status oc__pass_differentiate(oc__graph *g, const oc__pass_env *env,
                                 oc_error *err) {
    oc__node *n;
    /* In order: a Gradient may be of another one's output. */
    while ((n = next_gradient(g)) != NULL)
        OC_TRY(replace(g, n, env->allocator, err));
    return OC_OK;
}
