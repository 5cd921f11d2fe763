/* prune_units.c - units, classes, groups; the walk over the graph. */
#include "quant/decide.h"
#include "quant/units.h"

#include <string.h>

/* Units there may be: a bound on what a file can make us do. */
enum { MAX_UNITS = 1 << 24 };

/* ---- lists ----------------------------------------------------------------
 */

/* A list of n elements has room for one more (or `more`). */
static void *grow(oc__prune *p, void *list, int n, int *cap, int more,
                  size_t bytes) {
    if (n + more <= *cap) return list;
    int room = OC_MAX(OC_MAX(64, 2 * *cap), n + more);
    void *to = oc__arena_array(p->arena, (size_t)room, bytes);
    if (!to) {
        p->failed = 1;
        return NULL;
    }
    if (n) memcpy(to, list, (size_t)n * bytes);
    *cap = room;
    return to;
}

/* Three lists of one length. */
static int grow_units(oc__prune *p, int more) {
    int was = p->cap_units, a = was, b = was, c = was;
    if (more > MAX_UNITS - p->n_units) {
        p->failed = 1;
        return 0;
    }
    int *parent = grow(p, p->parent, p->n_units, &a, more, sizeof *p->parent);
    int *source = grow(p, p->source, p->n_units, &b, more, sizeof *p->source);
    const char **why = grow(p, p->why, p->n_units, &c, more, sizeof *p->why);
    if (!parent || !source || !why) return 0;
    p->parent = parent;
    p->source = source;
    p->why = why;
    p->cap_units = a;
    return 1;
}

static int add_source(oc__prune *p, int node) {
    int a = p->cap_sources, b = a;
    int *parent = grow(p, p->source_parent, p->n_sources, &a, 1, sizeof(int));
    int *nodes = grow(p, p->source_node, p->n_sources, &b, 1, sizeof(int));
    if (!parent || !nodes) return -1;
    p->source_parent = parent;
    p->source_node = nodes;
    p->cap_sources = a;
    parent[p->n_sources] = p->n_sources;
    nodes[p->n_sources] = node;
    return p->n_sources++;
}

void oc__prune_add_slice(oc__prune *p, int at, int input, int axis,
                         oc__channels c, oc__prune_role role) {
    if (!c.n || p->failed) return;
    oc__prune_slice *list =
        grow(p, p->slices, p->n_slices, &p->cap_slices, 1, sizeof *p->slices);
    if (!list) return;
    p->slices = list;
    list[p->n_slices++] = (oc__prune_slice){at, input, axis, role, c.n, c.unit};
}

void oc__prune_add_patch(oc__prune *p, oc__prune_patch_kind kind, int at,
                         int input, int place, oc__channels c) {
    if (!c.n || p->failed) return;
    oc__prune_patch *list = grow(p, p->patches, p->n_patches, &p->cap_patches,
                                 1, sizeof *p->patches);
    if (!list) return;
    p->patches = list;
    list[p->n_patches++] = (oc__prune_patch){kind, at, input, place, c};
}

/* ---- classes and groups ---------------------------------------------------
 */

static int root(int *parent, int i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

int oc__prune_class(const oc__prune *p, int u) {
    return root(p->parent, u);
}

int oc__prune_group(const oc__prune *p, int u) {
    return root(p->source_parent, p->source[u]);
}

const char *oc__prune_why(const oc__prune *p, int u) {
    return p->why[oc__prune_class(p, u)];
}

/* The lower number stands for both: groups are then in the order of layers. */
void oc__prune_unite(oc__prune *p, int a, int b) {
    a = root(p->parent, a);
    b = root(p->parent, b);
    int low = OC_MIN(a, b), high = OC_MAX(a, b);
    if (!p->why[low]) p->why[low] = p->why[high];
    p->parent[high] = low;
    int x = oc__prune_group(p, a), y = oc__prune_group(p, b);
    p->source_parent[OC_MAX(x, y)] = OC_MIN(x, y);
}

void oc__prune_fix(oc__prune *p, oc__channels c, const char *why) {
    for (int64_t i = 0; i < c.n; i++) {
        int u = root(p->parent, c.unit[i]);
        if (!p->why[u]) p->why[u] = why;
    }
}

oc__channels oc__prune_room(oc__prune *p, int axis, int64_t n) {
    oc__channels c = {axis, 0, NULL};
    if (n < 1 || n > MAX_UNITS || p->failed) return c;
    c.unit = oc__arena_array(p->arena, (size_t)n, sizeof *c.unit);
    if (!c.unit)
        p->failed = 1;
    else
        c.n = n;
    return c;
}

oc__channels oc__prune_fresh(oc__prune *p, int at, int axis, int64_t n) {
    oc__channels c = oc__prune_room(p, axis, n);
    int source = c.n ? add_source(p, at) : -1;
    if (source < 0 || !grow_units(p, (int)n)) {
        c.n = 0;
        return c;
    }
    for (int64_t i = 0; i < n; i++) {
        int u = p->n_units++;
        p->parent[u] = u;
        p->source[u] = source;
        p->why[u] = NULL;
        c.unit[i] = u;
    }
    return c;
}

/* ---- reading --------------------------------------------------------------
 */

oc__channels oc__prune_in(const oc__prune *p, const oc__node *n, int j) {
    static const oc__channels none;
    return j < n->n_in && n->in[j] >= 0 ? p->of[n->in[j]] : none;
}

void oc__prune_put(oc__prune *p, int v, oc__channels c) {
    const int64_t *dims;
    if (v < 0 || !c.n) return;
    int rank = oc__prune_dims(p, v, &dims);
    /* What the shapes do not confirm was not understood. */
    if (rank <= c.axis || dims[c.axis] != c.n)
        oc__prune_fix(p, c, "its shape is not known before the model runs");
    else
        p->of[v] = c;
}

const oc_tensor *oc__prune_weight(const oc__prune *p, const oc__node *n,
                                  int j) {
    const oc_tensor *t =
        j < n->n_explicit ? oc__constant(p->g, n->in[j]) : NULL;
    return t && t->dtype == OC_DTYPE_F32 && oc_tensor_elems(t) > 0 ? t : NULL;
}

const int64_t *oc__prune_numbers(const oc__prune *p, const oc__node *n, int j,
                                 int64_t *count, int *fixed) {
    int v = j < n->n_explicit ? n->in[j] : -1;
    const oc_tensor *t = oc__constant(p->g, v);
    *fixed = t != NULL;
    if (!t) t = oc__constant(p->shaped, v);
    if (!t || t->dtype != OC_DTYPE_I64 || t->rank > 1) return NULL;
    *count = oc_tensor_elems(t);
    return t->data;
}

int oc__prune_dims(const oc__prune *p, int v, const int64_t **dims) {
    const oc_tensor *t = oc__constant(p->g, v);
    if (!t) t = oc__constant(p->shaped, v);
    if (t) {
        *dims = t->dims;
        return t->rank;
    }
    if (v < 0) return -1;
    const oc__value_def *d = &p->shaped->values[v];
    if (d->kind != OC_KIND_TENSOR) return -1;
    for (int i = 0; i < d->rank; i++)
        if (d->dims[i] < 0) return -1;
    *dims = d->dims;
    return d->rank;
}

void oc__prune_block(oc__prune *p, int at, const char *what) {
    const oc__node *n = p->g->nodes[at];
    const char *why = NULL;
    for (int j = 0; j < n->n_in; j++) {
        oc__channels c = oc__prune_in(p, n, j);
        if (!c.n) continue;
        if (!why)
            why = what ? oc__arena_printf(p->arena, "%s %.60s %s", n->op->name,
                                          n->name, what)
                       : oc__arena_printf(p->arena,
                                          "%s %.60s reads it, which cannot "
                                          "be traced",
                                          n->op->name, n->name);
        if (!why) p->failed = 1;
        oc__prune_fix(p, c, why ? why : "");
    }
}

/* ---- the walk -------------------------------------------------------------
 */

static int is_ignored(const oc__prune *p, const oc__node *n) {
    for (size_t i = 0; i < p->opt->n_ignore; i++)
        if (oc__quant_matches(p->opt->ignore[i], n->name) ||
            oc__quant_matches(p->opt->ignore[i], n->op->name))
            return 1;
    return 0;
}

static void visit(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__prune_rule *rule = oc__prune_layer_rule(n);
    if (!rule) rule = oc__prune_move_rule(n);
    if (n->n_in != n->n_explicit) rule = NULL; /* it has a body */
    if (rule)
        rule(p, at);
    else
        oc__prune_block(p, at, NULL);
    if (!is_ignored(p, n)) return;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
            oc__prune_fix(p, p->of[n->out[k]], "asked for by --ignore");
}

oc_status oc__prune_trace(oc__prune *p, oc__graph *g, const oc__graph *shaped,
                          const oc_prune_options *opt, int careful,
                          oc__arena *arena, oc_error *err) {
    memset(p, 0, sizeof *p);
    p->g = g;
    p->shaped = shaped;
    p->opt = opt;
    p->careful = careful;
    p->arena = arena;
    p->err = err;
    p->of = oc__arena_array(arena, (size_t)g->n_values + 1, sizeof *p->of);
    if (!p->of) return oc__fail_nomem(err);
    for (int i = 0; i < g->n_nodes && !p->failed; i++)
        if (!g->nodes[i]->dead) visit(p, i);
    for (int i = 0; i < g->n_outputs && !p->failed; i++)
        oc__prune_fix(p, p->of[g->outputs[i]], "it is an output of the model");
    p->gone = oc__arena_alloc(arena, (size_t)p->n_units + 1);
    return p->failed || !p->gone ? oc__fail_nomem(err) : OC_OK;
}
