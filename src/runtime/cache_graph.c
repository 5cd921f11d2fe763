/*
 * cache_graph.c - see cache_graph.h.
 *
 *     graph:  operators (domain, name)
 *             name, values, inputs, outputs, captures, nodes
 *     value:  name, kind, dtype, rank + 1, dims, tensor or none
 *     tensor: dtype, rank, dims, then the number of its blob or its strings
 *     node:   operator, name, version, n_explicit, in, out, attributes
 */
#include "runtime/cache_graph.h"

#include "base/size.h"
#include "ops/op.h"

#include <string.h>

/* What no model has; deeper or more would only be an attack on the stack. */
enum { MAX_DEPTH = 32, MAX_COUNT = 1 << 28 };

/* How a value's tensor is given. */
enum { NO_TENSOR, HAS_TENSOR };

/* ---- writing --------------------------------------------------------------
 */

typedef struct writer {
    oc__sink *s;
    oc__blobs *b;
    const oc__op **ops;
    size_t n_ops, room;
} writer;

void oc__blobs_deinit(oc__blobs *b) {
    oc__release(b->allocator, b->list, b->room * sizeof(*b->list));
    memset(b, 0, sizeof(*b));
}

/* A list of `each`-byte elements gets room for one more. */
static int grow(const oc_allocator *a, void **list, size_t *room, size_t n,
                size_t each) {
    if (n < *room) return 1;
    size_t wider = OC_MAX((size_t)64, *room * 2);
    void *p = oc__alloc(a, wider * each);
    if (!p) return 0;
    if (n) memcpy(p, *list, n * each);
    oc__release(a, *list, *room * each);
    *list = p;
    *room = wider;
    return 1;
}

static size_t blob_number(oc__blobs *b, const void *data, size_t bytes) {
    /* From behind: what is shared mostly follows closely. */
    for (size_t i = b->n; i-- > 0;)
        if (b->list[i].data == data && b->list[i].bytes == bytes) return i;
    if (!grow(b->allocator, (void **)&b->list, &b->room, b->n,
              sizeof(*b->list))) {
        b->failed = 1;
        return 0;
    }
    b->list[b->n] = (oc__blob){data, bytes};
    return b->n++;
}

static void put_tensor(writer *w, const oc_tensor *t) {
    oc__sink_uint(w->s, (uint64_t)t->dtype);
    oc__sink_uint(w->s, (uint64_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        oc__sink_uint(w->s, (uint64_t)t->dims[i]);
    if (t->dtype != OC_DTYPE_STRING) {
        oc__sink_uint(w->s, blob_number(w->b, t->data, oc_tensor_bytes(t)));
        return;
    }
    const oc_string *strings = t->data;
    for (int64_t i = 0; i < oc_tensor_elems(t); i++)
        oc__sink_string(w->s, &strings[i]);
}

static void put_ints(writer *w, const int *list, int n) {
    oc__sink_uint(w->s, (uint64_t)n);
    for (int i = 0; i < n; i++)
        oc__sink_int(w->s, list[i]);
}

static void put_graph(writer *w, const oc__graph *g);

static void put_attr(writer *w, const oc__attr *a) {
    oc__sink *s = w->s;
    size_t n = a->n;
    oc__sink_text(s, a->name ? a->name : "");
    oc__sink_uint(s, (uint64_t)a->type);
    switch (a->type) {
    case OC_ATTR_NONE: return;
    case OC_ATTR_FLOAT: oc__sink_raw(s, &a->f, sizeof(a->f)); return;
    case OC_ATTR_INT: oc__sink_int(s, a->i); return;
    case OC_ATTR_STRING: oc__sink_string(s, &a->s); return;
    case OC_ATTR_TYPE:
        oc__sink_int(s, a->i);
        oc__sink_uint(s, (uint64_t)a->kind);
        return;
    case OC_ATTR_TENSOR:
    case OC_ATTR_GRAPH: n = 1; break;
    default: break;
    }
    oc__sink_uint(s, n);
    for (size_t i = 0; i < n; i++)
        switch (a->type) {
        case OC_ATTR_FLOATS:
            oc__sink_raw(s, &a->floats[i], sizeof(float));
            break;
        case OC_ATTR_INTS: oc__sink_int(s, a->ints[i]); break;
        case OC_ATTR_STRINGS: oc__sink_string(s, &a->strings[i]); break;
        case OC_ATTR_TENSOR:
        case OC_ATTR_TENSORS: put_tensor(w, &a->tensors[i]); break;
        default: put_graph(w, a->graphs[i]); break;
        }
}

static size_t op_number(const writer *w, const oc__op *op) {
    size_t i = 0;
    while (i < w->n_ops && w->ops[i] != op)
        i++;
    return i;
}

static void put_node(writer *w, const oc__node *n) {
    oc__sink_uint(w->s, op_number(w, n->op));
    oc__sink_text(w->s, n->name);
    oc__sink_int(w->s, n->version);
    oc__sink_uint(w->s, (uint64_t)n->n_explicit);
    put_ints(w, n->in, n->n_in);
    put_ints(w, n->out, n->n_out);
    oc__sink_uint(w->s, (uint64_t)n->n_attrs);
    for (int i = 0; i < n->n_attrs; i++)
        put_attr(w, &n->attrs[i]);
}

static void put_value(writer *w, const oc__value_def *v, int is_used) {
    oc__sink_text(w->s, is_used ? v->name : "");
    oc__sink_uint(w->s, (uint64_t)v->kind);
    oc__sink_uint(w->s, (uint64_t)v->dtype);
    oc__sink_uint(w->s, is_used ? (uint64_t)(v->rank + 1) : 0);
    for (int i = 0; is_used && i < v->rank; i++)
        oc__sink_int(w->s, v->dims[i]);
    oc__sink_uint(w->s, is_used && v->constant ? HAS_TENSOR : NO_TENSOR);
    if (is_used && v->constant) put_tensor(w, v->constant);
}

static void put_graph(writer *w, const oc__graph *g) {
    const oc_allocator *a = w->s->allocator;
    size_t nv = (size_t)g->n_values;
    int *uses = oc__calloc(a, nv + 1, sizeof(*uses)), live = 0;
    if (!uses) {
        w->s->failed = 1;
        return;
    }
    oc__graph_count_uses(g, uses);
    oc__sink_text(w->s, g->name ? g->name : "");
    oc__sink_uint(w->s, nv);
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        live += !n->dead;
        for (int j = 0; j < n->n_out && !n->dead; j++)
            if (n->out[j] >= 0) uses[n->out[j]]++;
    }
    for (int v = 0; v < g->n_values; v++)
        put_value(w, &g->values[v], uses[v] > 0);
    put_ints(w, g->inputs, g->n_inputs);
    put_ints(w, g->outputs, g->n_outputs);
    oc__sink_uint(w->s, (uint64_t)g->n_captures);
    for (int i = 0; i < g->n_captures; i++) {
        oc__sink_int(w->s, g->captures[i].value);
        oc__sink_int(w->s, g->captures[i].node_input);
    }
    oc__sink_uint(w->s, (uint64_t)live);
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead) put_node(w, g->nodes[i]);
    oc__release(a, uses, (nv + 1) * sizeof(*uses));
}

static void list_ops(writer *w, const oc__graph *g) {
    for (int i = 0; i < g->n_nodes && !w->s->failed; i++) {
        const oc__node *n = g->nodes[i];
        if (n->dead) continue;
        if (op_number(w, n->op) == w->n_ops) {
            if (!grow(w->s->allocator, (void **)&w->ops, &w->room, w->n_ops,
                      sizeof(*w->ops)))
                w->s->failed = 1;
            else
                w->ops[w->n_ops++] = n->op;
        }
        for (int a = 0; a < n->n_attrs; a++)
            for (size_t k = 0; n->attrs[a].graphs && k < n->attrs[a].n; k++)
                list_ops(w, n->attrs[a].graphs[k]);
    }
}

void oc__graph_put(oc__sink *s, oc__blobs *b, const oc__graph *g) {
    writer w = {.s = s, .b = b};
    list_ops(&w, g);
    oc__sink_uint(s, w.n_ops);
    for (size_t i = 0; i < w.n_ops; i++) {
        oc__sink_text(s, w.ops[i]->domain);
        oc__sink_text(s, w.ops[i]->name);
    }
    put_graph(&w, g);
    oc__release(s->allocator, w.ops, w.room * sizeof(*w.ops));
}

/* ---- reading --------------------------------------------------------------
 */

typedef struct reader {
    oc__source *s;
    oc__arena *arena;
    const oc__blob *blobs;
    size_t n_blobs;
    const oc__op **ops;
    size_t n_ops;
    int depth;
    oc_error *err;
} reader;

static oc_status bad(const reader *r, const char *what) {
    return oc__fail(r->err, OC_E_FORMAT, "cached graph: %s is damaged", what);
}

static oc_status no_memory(const reader *r) {
    return oc__fail_nomem(r->err);
}

static oc_status get_strings(reader *r, oc_string **out, size_t n) {
    oc_string *list;
    /* Each takes two bytes at least. */
    if (n > r->s->left / 2) return bad(r, "a list of strings");
    list = oc__arena_array(r->arena, n, sizeof(*list));
    if (!list) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        oc__source_string(r->s, &list[i]);
    *out = list;
    return OC_OK;
}

static oc_status get_tensor(reader *r, oc_tensor *out) {
    oc__source *s = r->s;
    int64_t dims[OC_MAX_RANK] = {0};
    size_t bytes;
    oc_dtype dtype = (oc_dtype)oc__source_uint(s, OC_DTYPE_COUNT - 1);
    int rank = (int)oc__source_uint(s, OC_MAX_RANK);
    for (int i = 0; i < rank; i++)
        dims[i] = (int64_t)oc__source_uint(s, INT64_MAX);
    if (s->bad || dtype == OC_DTYPE_NONE ||
        oc__tensor_size(dtype, rank, dims, &bytes))
        return bad(r, "a tensor");
    oc__tensor_set(out, dtype, rank, dims);
    if (dtype == OC_DTYPE_STRING) {
        oc_string *strings;
        OC_TRY(get_strings(r, &strings, bytes / sizeof(oc_string)));
        out->data = strings;
        return OC_OK;
    }
    size_t blob = (size_t)oc__source_uint(s, SIZE_MAX);
    if (s->bad || blob >= r->n_blobs || r->blobs[blob].bytes != bytes)
        return bad(r, "the data of a tensor");
    /* Mapped read-only: nobody writes to constants. */
    out->data = (void *)(uintptr_t)r->blobs[blob].data;
    return OC_OK;
}

static oc_status get_ints(reader *r, int **out, int *count, int lo, int hi) {
    size_t n = oc__source_count(r->s);
    int *list =
        n > MAX_COUNT ? NULL : oc__arena_array(r->arena, n, sizeof(int));
    if (!list)
        return r->s->bad || n > MAX_COUNT ? bad(r, "a list") : no_memory(r);
    for (size_t i = 0; i < n; i++) {
        int64_t v = oc__source_int(r->s);
        if (r->s->bad || v < lo || v >= hi)
            return bad(r, "a number of a value");
        list[i] = (int)v;
    }
    *out = list;
    *count = (int)n;
    return OC_OK;
}

static oc_status get_graph(reader *r, oc__graph **out);

static oc_status get_list(reader *r, oc__attr *a) {
    size_t n = oc__source_count(r->s);
    size_t each = a->type == OC_ATTR_FLOATS ? sizeof(float) : 1;
    if (r->s->bad || n > r->s->left / each) return bad(r, "an attribute");
    a->n = n;
    int64_t *ints = NULL;
    float *floats = NULL;
    oc_tensor *tensors = NULL;
    oc_string *strings = NULL;
    switch (a->type) {
    case OC_ATTR_FLOATS:
        floats = oc__arena_array(r->arena, n, sizeof(*floats));
        if (!floats) return no_memory(r);
        if (n) memcpy(floats, oc__source_raw(r->s, n * each), n * each);
        a->floats = floats;
        return OC_OK;
    case OC_ATTR_INTS:
        ints = oc__arena_array(r->arena, n, sizeof(*ints));
        if (!ints) return no_memory(r);
        for (size_t i = 0; i < n; i++)
            ints[i] = oc__source_int(r->s);
        a->ints = ints;
        return OC_OK;
    case OC_ATTR_STRINGS:
        OC_TRY(get_strings(r, &strings, n));
        a->strings = strings;
        return OC_OK;
    case OC_ATTR_TENSOR:
    case OC_ATTR_TENSORS:
        tensors = oc__arena_array(r->arena, n, sizeof(*tensors));
        if (!tensors) return no_memory(r);
        for (size_t i = 0; i < n; i++)
            OC_TRY(get_tensor(r, &tensors[i]));
        a->tensors = tensors;
        return OC_OK;
    default: break;
    }
    a->graphs = oc__arena_array(r->arena, n, sizeof(*a->graphs));
    if (!a->graphs) return no_memory(r);
    for (size_t i = 0; i < n; i++)
        OC_TRY(get_graph(r, &a->graphs[i]));
    return OC_OK;
}

static oc_status get_attr(reader *r, oc__attr *a) {
    oc__source *s = r->s;
    const void *f;
    a->name = oc__source_text(s);
    a->type = (oc__attr_type)oc__source_uint(s, OC_ATTR_TYPE);
    switch (a->type) {
    case OC_ATTR_NONE: break;
    case OC_ATTR_FLOAT:
        f = oc__source_raw(s, sizeof(a->f));
        if (f) memcpy(&a->f, f, sizeof(a->f));
        break;
    case OC_ATTR_INT: a->i = oc__source_int(s); break;
    case OC_ATTR_STRING: oc__source_string(s, &a->s); break;
    case OC_ATTR_TYPE:
        a->i = oc__source_int(s);
        a->kind = (oc_kind)oc__source_uint(s, OC_KIND_MAP);
        break;
    case OC_ATTR_TENSOR:
    case OC_ATTR_GRAPH:
    case OC_ATTR_FLOATS:
    case OC_ATTR_INTS:
    case OC_ATTR_STRINGS:
    case OC_ATTR_TENSORS:
    case OC_ATTR_GRAPHS: OC_TRY(get_list(r, a)); break;
    default: return bad(r, "an attribute's type");
    }
    /* Whoever asks for the one takes the first. */
    if ((a->type == OC_ATTR_TENSOR || a->type == OC_ATTR_GRAPH) && a->n != 1)
        return bad(r, "an attribute");
    return s->bad ? bad(r, "an attribute") : OC_OK;
}

/* As the importer has it: absent ones at the end do not count. */
static int arity_fits(const oc__node *n) {
    int n_in = n->n_explicit, n_out = n->n_out;
    while (n_in > 0 && n->in[n_in - 1] < 0)
        n_in--;
    while (n_out > 0 && n->out[n_out - 1] < 0)
        n_out--;
    return n_in >= n->op->min_in &&
           (n->op->max_in < 0 || n_in <= n->op->max_in) &&
           (n->op->max_out < 0 || n_out <= n->op->max_out);
}

static oc_status get_node(reader *r, oc__graph *g, oc__node **out) {
    oc__source *s = r->s;
    oc__node *n = oc__arena_alloc(r->arena, sizeof(*n));
    if (!n) return no_memory(r);
    size_t op = (size_t)oc__source_uint(s, SIZE_MAX);
    n->name = oc__source_text(s);
    int64_t version = oc__source_int(s);
    uint64_t n_explicit = oc__source_uint(s, MAX_COUNT);
    if (s->bad || op >= r->n_ops || version < r->ops[op]->since ||
        version > INT32_MAX)
        return bad(r, "a node");
    n->op = r->ops[op];
    n->version = (int)version;
    OC_TRY(get_ints(r, &n->in, &n->n_in, -1, g->n_values));
    OC_TRY(get_ints(r, &n->out, &n->n_out, -1, g->n_values));
    if (n_explicit > (uint64_t)n->n_in) return bad(r, "a node");
    n->n_explicit = (int)n_explicit;
    if (!arity_fits(n)) return bad(r, "a node's list of inputs or outputs");
    size_t n_attrs = oc__source_count(s);
    if (n_attrs > MAX_COUNT) return bad(r, "a node");
    n->attrs = oc__arena_array(r->arena, n_attrs, sizeof(*n->attrs));
    if (!n->attrs) return no_memory(r);
    n->n_attrs = (int)n_attrs;
    for (size_t i = 0; i < n_attrs; i++)
        OC_TRY(get_attr(r, &n->attrs[i]));
    *out = n;
    return OC_OK;
}

static oc_status get_value(reader *r, oc__value_def *v) {
    oc__source *s = r->s;
    v->name = oc__source_text(s);
    v->kind = (oc_kind)oc__source_uint(s, OC_KIND_MAP);
    v->dtype = (oc_dtype)oc__source_uint(s, OC_DTYPE_COUNT - 1);
    v->rank = (int)oc__source_uint(s, OC_MAX_RANK + 1) - 1;
    for (int i = 0; i < OC_MAX_RANK; i++) {
        v->dims[i] = i < v->rank ? oc__source_int(s) : -1;
        if (v->dims[i] < -1) return bad(r, "a shape");
    }
    int has = (int)oc__source_uint(s, HAS_TENSOR);
    if (s->bad) return bad(r, "a value");
    if (has == NO_TENSOR) return OC_OK;
    oc_tensor *t = oc__arena_alloc(r->arena, sizeof(*t));
    if (!t) return no_memory(r);
    OC_TRY(get_tensor(r, t));
    v->constant = t;
    v->kind = OC_KIND_TENSOR;
    v->dtype = t->dtype;
    v->rank = t->rank;
    for (int i = 0; i < OC_MAX_RANK; i++)
        v->dims[i] = i < t->rank ? t->dims[i] : -1;
    return OC_OK;
}

static oc_status get_captures(reader *r, oc__graph *g) {
    size_t n = oc__source_count(r->s);
    if (n > MAX_COUNT) return bad(r, "a list");
    g->captures = oc__arena_array(r->arena, n, sizeof(*g->captures));
    if (!g->captures) return no_memory(r);
    g->n_captures = (int)n;
    for (size_t i = 0; i < n; i++) {
        int64_t value = oc__source_int(r->s), input = oc__source_int(r->s);
        if (value < 0 || value >= g->n_values || input < 0 || input > MAX_COUNT)
            return bad(r, "a captured value");
        g->captures[i].value = (int)value;
        g->captures[i].node_input = (int)input;
    }
    return OC_OK;
}

static oc_status get_graph(reader *r, oc__graph **out) {
    oc__source *s = r->s;
    if (++r->depth > MAX_DEPTH) return bad(r, "the nesting of graphs");
    oc__graph *g = oc__graph_create(r->arena);
    if (!g) return no_memory(r);
    g->name = oc__source_text(s);
    size_t n = oc__source_count(s);
    if (n > MAX_COUNT) return bad(r, "the list of values");
    g->values = oc__arena_array(r->arena, n, sizeof(*g->values));
    if (!g->values) return no_memory(r);
    g->n_values = g->cap_values = (int)n;
    for (size_t i = 0; i < n; i++)
        OC_TRY(get_value(r, &g->values[i]));
    OC_TRY(get_ints(r, &g->inputs, &g->n_inputs, 0, g->n_values));
    OC_TRY(get_ints(r, &g->outputs, &g->n_outputs, 0, g->n_values));
    OC_TRY(get_captures(r, g));
    n = oc__source_count(s);
    if (n > MAX_COUNT) return bad(r, "the list of nodes");
    g->nodes = oc__arena_array(r->arena, n, sizeof(*g->nodes));
    if (!g->nodes) return no_memory(r);
    g->n_nodes = g->cap_nodes = (int)n;
    for (size_t i = 0; i < n; i++)
        OC_TRY(get_node(r, g, &g->nodes[i]));
    r->depth--;
    *out = g;
    return s->bad ? bad(r, "a graph") : OC_OK;
}

oc_status oc__graph_get(oc__graph **out, oc__arena *arena, oc__source *s,
                        const oc__blob *blobs, size_t n_blobs, oc_error *err) {
    reader r = {
        .s = s, .arena = arena, .blobs = blobs, .n_blobs = n_blobs, .err = err};
    oc__graph *g = NULL;
    r.n_ops = oc__source_count(s);
    r.ops = oc__arena_array(arena, r.n_ops, sizeof(*r.ops));
    if (!r.ops) return no_memory(&r);
    for (size_t i = 0; i < r.n_ops; i++) {
        const char *domain = oc__source_text(s), *name = oc__source_text(s);
        r.ops[i] = s->bad ? NULL : oc__op_find(domain, name);
        if (!r.ops[i]) return bad(&r, "the list of operators");
    }
    OC_TRY(get_graph(&r, &g));
    if (g->n_captures) return bad(&r, "the list of captures");
    OC_TRY(oc__graph_verify(g, err));
    *out = g;
    return OC_OK;
}
