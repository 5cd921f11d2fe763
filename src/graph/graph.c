/* graph.c - building and editing graphs; see graph.h. */
#include "graph/graph.h"

#include "base/size.h"

#include <string.h>

oc__graph *oc__graph_create(oc__arena *arena) {
    oc__graph *g = oc__arena_alloc(arena, sizeof(*g));
    if (!g) return NULL;
    g->arena = arena;
    g->name = "";
    return g;
}

void oc__graph_release(oc__graph *g) {
    if (!g) return;
    for (int i = 0; i < g->n_values; i++) {
        oc__buf_release(g->values[i].buf);
        g->values[i].buf = NULL;
    }
    for (int i = 0; i < g->n_nodes; i++)
        for (int a = 0; a < g->nodes[i]->n_attrs; a++) {
            const oc__attr *attr = &g->nodes[i]->attrs[a];
            if (attr->graphs)
                for (size_t j = 0; j < attr->n; j++)
                    oc__graph_release(attr->graphs[j]);
        }
}

/* Doubles a list that lives in the arena; the old one stays there unused,
   which at most doubles the memory of the lists. */
static int grow(oc__arena *arena, void **list, int *cap, int n, size_t bytes) {
    if (n < *cap) return 0;
    int wider = *cap ? *cap * 2 : 16;
    if (*cap > (1 << 28)) return 1;
    void *p = oc__arena_array(arena, (size_t)wider, bytes);
    if (!p) return 1;
    if (n) memcpy(p, *list, (size_t)n * bytes);
    *list = p;
    *cap = wider;
    return 0;
}

int oc__graph_add_value(oc__graph *g, const char *name) {
    const char *copy;
    if (grow(g->arena, (void **)&g->values, &g->cap_values, g->n_values,
             sizeof(oc__value_def)))
        return -1;
    copy = name ? oc__arena_strdup(g->arena, name)
                : oc__arena_printf(g->arena, "v%d", g->n_values);
    if (!copy) return -1;
    oc__value_def *v = &g->values[g->n_values];
    memset(v, 0, sizeof(*v));
    v->name = copy;
    v->kind = OC_KIND_TENSOR;
    v->rank = -1;
    for (int i = 0; i < OC_MAX_RANK; i++)
        v->dims[i] = -1;
    return g->n_values++;
}

int oc__graph_add_constant(oc__graph *g, const char *name, const oc_tensor *t) {
    oc_tensor *copy = oc__arena_dup(g->arena, t, sizeof(*t));
    int id = copy ? oc__graph_add_value(g, name) : -1;
    if (id < 0) return -1;
    oc__value_def *v = &g->values[id];
    v->constant = copy;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return id;
}

static oc__node *make_node(oc__graph *g, const struct oc__op *op,
                           const char *name, int version, int n_in, int n_out,
                           int n_attrs) {
    oc__arena *a = g->arena;
    oc__node *n = oc__arena_alloc(a, sizeof(*n));
    if (!n) return NULL;
    n->op = op;
    n->name = oc__arena_strdup(a, name ? name : "");
    n->version = version;
    n->n_in = n->n_explicit = n_in;
    n->n_out = n_out;
    n->n_attrs = n_attrs;
    n->in = oc__arena_array(a, (size_t)n_in, sizeof(int));
    n->out = oc__arena_array(a, (size_t)n_out, sizeof(int));
    n->attrs = oc__arena_array(a, (size_t)n_attrs, sizeof(oc__attr));
    if (!n->name || !n->in || !n->out || !n->attrs) return NULL;
    for (int i = 0; i < n_in; i++)
        n->in[i] = -1;
    for (int i = 0; i < n_out; i++)
        n->out[i] = -1;
    return n;
}

oc__node *oc__graph_insert_node(oc__graph *g, int before,
                                const struct oc__op *op, const char *name,
                                int version, int n_in, int n_out, int n_attrs) {
    if (grow(g->arena, (void **)&g->nodes, &g->cap_nodes, g->n_nodes,
             sizeof(oc__node *)))
        return NULL;
    oc__node *n = make_node(g, op, name, version, n_in, n_out, n_attrs);
    if (!n) return NULL;
    memmove(&g->nodes[before + 1], &g->nodes[before],
            (size_t)(g->n_nodes - before) * sizeof(oc__node *));
    g->nodes[before] = n;
    g->n_nodes++;
    return n;
}

oc__node *oc__graph_add_node(oc__graph *g, const struct oc__op *op,
                             const char *name, int version, int n_in, int n_out,
                             int n_attrs) {
    return oc__graph_insert_node(g, g->n_nodes, op, name, version, n_in, n_out,
                                 n_attrs);
}

static oc__graph *clone_unheld(const oc__graph *g, oc__arena *arena);

static oc__node *clone_node(const oc__node *n, oc__arena *arena) {
    oc__node *c = oc__arena_dup(arena, n, sizeof(*n));
    if (!c) return NULL;
    c->in = oc__arena_dup(arena, n->in, (size_t)n->n_in * sizeof(int));
    c->out = oc__arena_dup(arena, n->out, (size_t)n->n_out * sizeof(int));
    c->attrs =
        oc__arena_dup(arena, n->attrs, (size_t)n->n_attrs * sizeof(oc__attr));
    if (!c->in || !c->out || !c->attrs) return NULL;
    for (int a = 0; a < c->n_attrs; a++) {
        oc__attr *attr = &c->attrs[a];
        if (!attr->graphs) continue;
        oc__graph **list = oc__arena_array(arena, attr->n, sizeof(oc__graph *));
        if (!list) return NULL;
        for (size_t j = 0; j < attr->n; j++) {
            list[j] = clone_unheld(attr->graphs[j], arena);
            if (!list[j]) return NULL;
        }
        attr->graphs = list;
    }
    return c;
}

static oc__graph *clone_unheld(const oc__graph *g, oc__arena *arena) {
    oc__graph *c = oc__arena_dup(arena, g, sizeof(*g));
    if (!c) return NULL;
    c->arena = arena;
    c->cap_values = g->n_values;
    c->cap_nodes = g->n_nodes;
    c->values = oc__arena_dup(arena, g->values,
                              (size_t)g->n_values * sizeof(oc__value_def));
    c->nodes = oc__arena_array(arena, (size_t)g->n_nodes, sizeof(oc__node *));
    c->inputs =
        oc__arena_dup(arena, g->inputs, (size_t)g->n_inputs * sizeof(int));
    c->outputs =
        oc__arena_dup(arena, g->outputs, (size_t)g->n_outputs * sizeof(int));
    c->captures = oc__arena_dup(arena, g->captures,
                                (size_t)g->n_captures * sizeof(oc__capture));
    c->updates = oc__arena_dup(arena, g->updates,
                               (size_t)g->n_updates * sizeof(oc__update));
    if (!c->values || !c->nodes || !c->inputs || !c->outputs || !c->captures ||
        !c->updates)
        return NULL;
    for (int i = 0; i < g->n_nodes; i++) {
        c->nodes[i] = clone_node(g->nodes[i], arena);
        if (!c->nodes[i]) return NULL;
    }
    return c;
}

static void hold_buffers(oc__graph *g) {
    for (int i = 0; i < g->n_values; i++)
        oc__buf_retain(g->values[i].buf);
    for (int i = 0; i < g->n_nodes; i++)
        for (int a = 0; a < g->nodes[i]->n_attrs; a++) {
            const oc__attr *attr = &g->nodes[i]->attrs[a];
            for (size_t j = 0; attr->graphs && j < attr->n; j++)
                hold_buffers(attr->graphs[j]);
        }
}

oc__graph *oc__graph_clone(const oc__graph *g, oc__arena *arena) {
    /* Buffers are held only once nothing can fail any more. */
    oc__graph *c = clone_unheld(g, arena);
    if (c) hold_buffers(c);
    return c;
}

void oc__graph_replace_uses(oc__graph *g, int from, int to) {
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        for (int j = 0; j < n->n_in && !n->dead; j++)
            if (n->in[j] == from) n->in[j] = to;
    }
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from) g->outputs[i] = to;
}

void oc__graph_count_uses(const oc__graph *g, int *uses) {
    memset(uses, 0, (size_t)g->n_values * sizeof(int));
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int j = 0; j < n->n_in && !n->dead; j++)
            if (n->in[j] >= 0) uses[n->in[j]]++;
    }
    for (int i = 0; i < g->n_outputs; i++)
        uses[g->outputs[i]]++;
}

int oc__graph_use_count(const oc__graph *g, int value) {
    int uses = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int j = 0; j < n->n_in && !n->dead; j++)
            uses += n->in[j] == value;
    }
    for (int i = 0; i < g->n_outputs; i++)
        uses += g->outputs[i] == value;
    return uses;
}

void oc__graph_find_producers(const oc__graph *g, int *producer) {
    for (int i = 0; i < g->n_values; i++)
        producer[i] = -1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int j = 0; j < n->n_out && !n->dead; j++)
            if (n->out[j] >= 0) producer[n->out[j]] = i;
    }
}

int oc__graph_is_output(const oc__graph *g, int value) {
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == value) return 1;
    return 0;
}

void oc__graph_compact(oc__graph *g) {
    int kept = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead) g->nodes[kept++] = g->nodes[i];
    g->n_nodes = kept;
}

/* ---- order
 * -------------------------------------------------------------------- */

/* How many inputs of n still wait for a producer (a value counted each time
   it is used, as it is counted down each time). */
static int waiting_inputs(const oc__node *n, const int *producer) {
    int waits = 0;
    for (int j = 0; j < n->n_in; j++)
        waits += n->in[j] >= 0 && producer[n->in[j]] >= 0;
    return waits;
}

/*
 * Kahn's algorithm.  `ready` is scanned in the file's order so that a graph
 * already sorted stays as it is.  Edges are walked through per-value lists
 * (first/next) to stay linear in the size of the graph.
 */
static oc_status sort_nodes(oc__graph *g, oc__arena *tmp, oc_error *err) {
    size_t nv = (size_t)g->n_values, nn = (size_t)g->n_nodes, ne = 0;
    int *producer = oc__arena_array(tmp, nv, sizeof(int));
    int *first = oc__arena_array(tmp, nv, sizeof(int));
    int *waits = oc__arena_array(tmp, nn, sizeof(int));
    int *queue = oc__arena_array(tmp, nn, sizeof(int));
    oc__node **sorted = oc__arena_array(g->arena, nn, sizeof(oc__node *));
    for (size_t i = 0; i < nn; i++)
        ne += (size_t)g->nodes[i]->n_in;
    int *next = oc__arena_array(tmp, ne, sizeof(int));
    int *edge_node = oc__arena_array(tmp, ne, sizeof(int));
    if (!producer || !first || !waits || !queue || !sorted || !next ||
        !edge_node)
        return oc__fail_nomem(err);
    oc__graph_find_producers(g, producer);
    for (size_t v = 0; v < nv; v++)
        first[v] = -1;
    int e = 0, tail = 0;
    /* Backwards, so that each list ends up in the order of the nodes. */
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int j = 0; j < g->nodes[i]->n_in; j++) {
            int v = g->nodes[i]->in[j];
            if (v < 0) continue;
            edge_node[e] = i;
            next[e] = first[v];
            first[v] = e++;
        }
    for (int i = 0; i < g->n_nodes; i++) {
        waits[i] = waiting_inputs(g->nodes[i], producer);
        if (!waits[i]) queue[tail++] = i;
    }
    for (int head = 0; head < tail; head++) {
        const oc__node *n = g->nodes[queue[head]];
        sorted[head] = g->nodes[queue[head]];
        for (int j = 0; j < n->n_out; j++) {
            int v = n->out[j];
            for (int k = v < 0 ? -1 : first[v]; k >= 0; k = next[k])
                if (--waits[edge_node[k]] == 0) queue[tail++] = edge_node[k];
        }
    }
    for (int i = 0; i < g->n_nodes && tail < g->n_nodes; i++)
        if (waits[i] > 0) {
            oc__error_node(err, g->nodes[i]->name);
            return oc__fail(err, OC_E_FORMAT,
                            "node \"%s\" stands on a cycle: its input depends "
                            "on its own output",
                            g->nodes[i]->name);
        }
    g->nodes = sorted;
    g->cap_nodes = g->n_nodes;
    return OC_OK;
}

/* Whether the order is right already, which it nearly always is. */
static int is_sorted(const oc__graph *g, char *made) {
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_out; j++)
            if (g->nodes[i]->out[j] >= 0) made[g->nodes[i]->out[j]] = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0 && made[n->in[j]]) return 0;
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0) made[n->out[j]] = 0;
    }
    return 1;
}

oc_status oc__graph_sort(oc__graph *g, oc_error *err) {
    oc__arena tmp;
    oc_status st = OC_OK;
    oc__graph_compact(g);
    oc__arena_init(&tmp, g->arena->allocator);
    char *made = oc__arena_alloc(&tmp, (size_t)g->n_values);
    if (!made)
        st = oc__fail_nomem(err);
    else if (!is_sorted(g, made))
        st = sort_nodes(g, &tmp, err);
    oc__arena_deinit(&tmp);
    return st;
}
