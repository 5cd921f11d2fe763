/*
 * import_graph.c - GraphProto: inputs, initialisers, nodes, outputs, order.
 */
#include "onnx/importer.h"

#include <string.h>

/* GraphProto's fields. */
enum {
    G_NODE = 1,
    G_NAME = 2,
    G_INITIALIZER = 5,
    G_INPUT = 11,
    G_OUTPUT = 12,
    G_VALUE_INFO = 13,
    G_SPARSE_INITIALIZER = 15,
};

/* A GraphProto, taken apart. */
typedef struct graph_message {
    int64_t offset;
    const char *name;
    oc__wire *inputs, *outputs, *initializers, *sparse, *infos;
    oc__node_message *nodes;
    size_t n_inputs, n_outputs, n_initializers, n_sparse, n_infos, n_nodes;
    const char **initializer_names; /* dense, then sparse */
    oc_tensor *tensors;
} graph_message;

int oc__int_list_add(oc__importer *im, oc__int_list *list, int v) {
    if (list->n == list->cap) {
        int cap = list->cap ? 2 * list->cap : 8;
        int *items = oc__arena_array(im->scratch, (size_t)cap, sizeof(*items));
        if (!items) return 1;
        if (list->n)
            memcpy(items, list->items, (size_t)list->n * sizeof(*items));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = v;
    return 0;
}

oc_status oc__import_set_constant(oc__importer *im, oc__graph *g, int v,
                                  const oc_tensor *t) {
    oc_tensor *copy = oc__arena_dup(im->arena, t, sizeof(*t));
    if (!copy) return oc__fail_nomem(im->err);
    oc__value_def *def = &g->values[v];
    def->constant = copy;
    def->kind = OC_KIND_TENSOR;
    def->dtype = t->dtype;
    def->rank = t->rank;
    memcpy(def->dims, t->dims, sizeof(def->dims));
    im->model->parameter_elems += (size_t)oc_tensor_elems(t);
    im->model->parameter_bytes += oc_tensor_bytes(t);
    return OC_OK;
}

/* ---- names from outside
 * ------------------------------------------------------ */

/* Makes value `from` of the outer graph known in scope s under `name`. */
static oc_status capture(oc__importer *im, oc__scope *s, const char *name,
                         int from, int *value) {
    const oc__value_def *source = &s->outer->graph->values[from];
    if (source->constant) {
        *value =
            oc__graph_add_constant(s->graph, source->name, source->constant);
        if (*value < 0) return oc__fail_nomem(im->err);
    } else {
        if (!s->node_captures) {
            return oc__fail(im->err, OC_E_UNSUPPORTED,
                            "the graph that is an attribute of a function call "
                            "uses \"%.80s\" from outside, in a place where "
                            "that is not supported",
                            name);
        }
        *value = oc__graph_add_value(s->graph, source->name);
        if (*value < 0) return oc__fail_nomem(im->err);
        oc__value_def *def = &s->graph->values[*value];
        def->kind = source->kind;
        def->dtype = source->dtype;
        def->rank = source->rank;
        memcpy(def->dims, source->dims, sizeof(def->dims));
        memcpy(def->dim_names, source->dim_names, sizeof(def->dim_names));
        /* Sub-graphs of one node that use the same value each list it:
           looking for it would take quadratic time. */
        int at = s->node_captures->n;
        if (oc__int_list_add(im, s->node_captures, from) ||
            oc__int_list_add(im, &s->capture_values, *value) ||
            oc__int_list_add(im, &s->capture_inputs, at)) {
            return oc__fail_nomem(im->err);
        }
    }
    if (oc__names_put(&s->names, name, *value)) return oc__fail_nomem(im->err);
    return OC_OK;
}

/* *value is -2 when no scope knows the name. */
static oc_status look_up(oc__importer *im, oc__scope *s, const char *name,
                         int *value) {
    *value = oc__names_find(&s->names, name);
    if (*value == OC_IMPORT_ABSENT)
        *value = -1;
    else if (*value < 0)
        *value = -2;
    if (*value != -2 || !s->outer) return OC_OK;
    int from;
    OC_TRY(look_up(im, s->outer, name, &from));
    *value = from;
    return from < 0 ? OC_OK : capture(im, s, name, from, value);
}

oc_status oc__import_resolve(oc__importer *im, oc__scope *s, const char *name,
                             const char *user, int *value) {
    OC_TRY(look_up(im, s, name, value));
    if (*value == -2) {
        return oc__fail(im->err, OC_E_FORMAT,
                        "%s uses \"%.80s\", which nothing makes",
                        *user ? user : "a node without a name", name);
    }
    return OC_OK;
}

/* ---- taking the message apart
 * --------------------------------------------------- */

static oc_status count_fields(oc__importer *im, const oc__wire *w,
                              graph_message *m) {
    for (oc__wire r = *w; oc__wire_more(&r);) {
        oc__field f;
        OC_TRY(oc__wire_next(&r, &f, im->err));
        m->n_inputs += f.number == G_INPUT;
        m->n_outputs += f.number == G_OUTPUT;
        m->n_initializers += f.number == G_INITIALIZER;
        m->n_sparse += f.number == G_SPARSE_INITIALIZER;
        m->n_infos += f.number == G_VALUE_INFO;
        m->n_nodes += f.number == G_NODE;
    }
    oc__arena *a = im->scratch;
    size_t n_tensors = m->n_initializers + m->n_sparse;
    m->inputs = oc__arena_array(a, m->n_inputs, sizeof(oc__wire));
    m->outputs = oc__arena_array(a, m->n_outputs, sizeof(oc__wire));
    m->initializers = oc__arena_array(a, m->n_initializers, sizeof(oc__wire));
    m->sparse = oc__arena_array(a, m->n_sparse, sizeof(oc__wire));
    m->infos = oc__arena_array(a, m->n_infos, sizeof(oc__wire));
    m->nodes = oc__arena_array(a, m->n_nodes, sizeof(oc__node_message));
    m->tensors = oc__arena_array(a, n_tensors, sizeof(oc_tensor));
    m->initializer_names = oc__arena_array(a, n_tensors, sizeof(char *));
    if (!m->inputs || !m->outputs || !m->initializers || !m->sparse ||
        !m->infos || !m->nodes || !m->tensors || !m->initializer_names) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

static oc_status split(oc__importer *im, const oc__wire *w, graph_message *m) {
    size_t in = 0, out = 0, init = 0, sparse = 0, info = 0, node = 0;
    OC_TRY(count_fields(im, w, m));
    for (oc__wire r = *w; oc__wire_more(&r);) {
        oc__field f;
        oc__wire *to = NULL, body;
        OC_TRY(oc__wire_next(&r, &f, im->err));
        switch (f.number) {
        case G_NAME:
            OC_TRY(oc__field_string(&f, "GraphProto.name", im->arena, &m->name,
                                    im->err));
            break;
        case G_INPUT: to = &m->inputs[in++]; break;
        case G_OUTPUT: to = &m->outputs[out++]; break;
        case G_INITIALIZER: to = &m->initializers[init++]; break;
        case G_SPARSE_INITIALIZER: to = &m->sparse[sparse++]; break;
        case G_VALUE_INFO: to = &m->infos[info++]; break;
        case G_NODE:
            OC_TRY(oc__field_body(&f, "GraphProto.node", &body, im->err));
            OC_TRY(oc__import_node_message(im, &body, &m->nodes[node++]));
            break;
        default: break;
        }
        if (to) OC_TRY(oc__field_body(&f, "GraphProto", to, im->err));
    }
    return OC_OK;
}

static oc_status read_initializers(oc__importer *im, graph_message *m) {
    for (size_t i = 0; i < m->n_initializers + m->n_sparse; i++) {
        int is_sparse = i >= m->n_initializers;
        const oc__wire *w =
            is_sparse ? &m->sparse[i - m->n_initializers] : &m->initializers[i];
        OC_TRY((is_sparse ? oc__sparse_tensor_read : oc__tensor_read)(
            &im->tensors, w, &m->tensors[i], &m->initializer_names[i],
            im->err));
        if (!*m->initializer_names[i]) {
            return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(w),
                               "an initialiser at byte %lld has no name",
                               (long long)oc__wire_offset(w));
        }
    }
    return OC_OK;
}

/* ---- building
 * -------------------------------------------------------------------- */

static oc_status declared_twice(oc__importer *im, const char *what,
                                const char *name, int64_t offset) {
    return oc__fail_at(im->err, OC_E_FORMAT, offset,
                       "the %s \"%.80s\" at byte %lld is there twice", what,
                       name, (long long)offset);
}

static oc_status add_named(oc__importer *im, oc__scope *s, const char *name,
                           int *value) {
    const char *full = oc__import_prefixed(im, s, name);
    *value = full ? oc__graph_add_value(s->graph, full) : -1;
    if (*value < 0 || oc__names_put(&s->names, name, *value)) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

/*
 * Inputs become values.  `inits` knows the initialisers' numbers; before IR 4
 * an input with one is no input but a constant.
 */
static oc_status add_inputs(oc__importer *im, oc__scope *s, graph_message *m,
                            const oc__names *inits) {
    oc__graph *g = s->graph;
    int top = !s->outer;
    g->inputs = oc__arena_array(im->arena, m->n_inputs, sizeof(int));
    unsigned char *optional = oc__arena_alloc(im->arena, m->n_inputs);
    const oc_tensor **defaults =
        oc__arena_array(im->arena, m->n_inputs, sizeof(*defaults));
    if (!g->inputs || !optional || !defaults) return oc__fail_nomem(im->err);
    for (size_t i = 0; i < m->n_inputs; i++) {
        const char *name;
        oc__type type;
        int value;
        int64_t offset = oc__wire_offset(&m->inputs[i]);
        OC_TRY(oc__import_value_info(im, &m->inputs[i], &name, &type));
        if (oc__names_find(&s->names, name) >= 0) {
            return declared_twice(im, "input", name, offset);
        }
        OC_TRY(add_named(im, s, name, &value));
        int init = oc__names_find(inits, name);
        if (init >= 0 && (im->model->ir_version < 4 || top)) {
            OC_TRY(oc__import_set_constant(im, g, value, &m->tensors[init]));
        }
        OC_TRY(oc__import_apply_type(im, &g->values[value], &type, offset));
        if (init >= 0 && im->model->ir_version < 4) continue;
        defaults[g->n_inputs] = g->values[value].constant;
        optional[g->n_inputs] = (unsigned char)type.is_optional;
        if (!im->bake_defaults) g->values[value].constant = NULL;
        g->inputs[g->n_inputs++] = value;
    }
    if (top) {
        im->model->defaults = defaults;
        im->model->input_is_optional = optional;
    }
    return OC_OK;
}

static oc_status add_initializers(oc__importer *im, oc__scope *s,
                                  graph_message *m) {
    for (size_t i = 0; i < m->n_initializers + m->n_sparse; i++) {
        int value;
        /* Found: it is the default or the constant of an input. */
        if (oc__names_find(&s->names, m->initializer_names[i]) >= 0) continue;
        OC_TRY(add_named(im, s, m->initializer_names[i], &value));
        OC_TRY(oc__import_set_constant(im, s->graph, value, &m->tensors[i]));
    }
    return OC_OK;
}

static oc_status apply_infos(oc__importer *im, oc__scope *s, graph_message *m) {
    for (size_t i = 0; i < m->n_infos; i++) {
        const char *name;
        oc__type type;
        OC_TRY(oc__import_value_info(im, &m->infos[i], &name, &type));
        int v = oc__names_find(&s->names, name);
        if (v < 0 || v == OC_IMPORT_ABSENT) continue; /* of what is gone */
        OC_TRY(oc__import_apply_type(im, &s->graph->values[v], &type,
                                     oc__wire_offset(&m->infos[i])));
    }
    return OC_OK;
}

static oc_status add_outputs(oc__importer *im, oc__scope *s, graph_message *m) {
    oc__graph *g = s->graph;
    g->outputs = oc__arena_array(im->arena, m->n_outputs, sizeof(int));
    unsigned char *optional = oc__arena_alloc(im->arena, m->n_outputs);
    if (!g->outputs || !optional) return oc__fail_nomem(im->err);
    for (size_t i = 0; i < m->n_outputs; i++) {
        const char *name;
        oc__type type;
        int value;
        OC_TRY(oc__import_value_info(im, &m->outputs[i], &name, &type));
        OC_TRY(look_up(im, s, name, &value));
        if (value < 0) {
            int64_t offset = oc__wire_offset(&m->outputs[i]);
            return oc__fail_at(im->err, OC_E_FORMAT, offset,
                               "nothing makes the output \"%.80s\" declared "
                               "at byte %lld",
                               name, (long long)offset);
        }
        OC_TRY(oc__import_apply_type(im, &g->values[value], &type,
                                     oc__wire_offset(&m->outputs[i])));
        optional[i] = (unsigned char)type.is_optional;
        g->outputs[g->n_outputs++] = value;
    }
    if (!s->outer) im->model->output_is_optional = optional;
    return OC_OK;
}

static oc_status set_captures(oc__importer *im, oc__scope *s) {
    oc__graph *g = s->graph;
    g->n_captures = s->capture_values.n;
    g->captures =
        oc__arena_array(im->arena, (size_t)g->n_captures, sizeof(*g->captures));
    if (!g->captures) return oc__fail_nomem(im->err);
    for (int i = 0; i < g->n_captures; i++) {
        g->captures[i].value = s->capture_values.items[i];
        /* Counted from the first capture until the node is made. */
        g->captures[i].node_input = s->capture_inputs.items[i];
    }
    return OC_OK;
}

/* Whether every value is made before it is used. */
static int is_in_order(oc__importer *im, const oc__graph *g, int *in_order) {
    unsigned char *made = oc__arena_alloc(im->scratch, (size_t)g->n_values);
    if (!made) return 1;
    for (int i = 0; i < g->n_inputs; i++)
        made[g->inputs[i]] = 1;
    for (int i = 0; i < g->n_captures; i++)
        made[g->captures[i].value] = 1;
    for (int v = 0; v < g->n_values; v++)
        made[v] |= g->values[v].constant != 0;
    *in_order = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] >= 0 && !made[n->in[k]]) *in_order = 0;
        }
        for (int k = 0; k < n->n_out; k++) {
            if (n->out[k] >= 0) made[n->out[k]] = 1;
        }
    }
    return 0;
}

oc_status oc__import_nodes(oc__importer *im, oc__scope *s,
                           oc__node_message *nodes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        OC_TRY(oc__import_declare_node(im, s, &nodes[i]));
    }
    for (size_t i = 0; i < n; i++) {
        OC_TRY(oc__import_node(im, s, &nodes[i]));
    }
    return OC_OK;
}

static oc_status build(oc__importer *im, oc__scope *s, graph_message *m) {
    oc__names inits;
    oc__names_init(&inits, im->scratch);
    OC_TRY(read_initializers(im, m));
    for (size_t i = 0; i < m->n_initializers + m->n_sparse; i++) {
        if (oc__names_find(&inits, m->initializer_names[i]) >= 0) {
            return declared_twice(im, "initialiser", m->initializer_names[i],
                                  m->offset);
        }
        if (oc__names_put(&inits, m->initializer_names[i], (int)i)) {
            return oc__fail_nomem(im->err);
        }
    }
    OC_TRY(add_inputs(im, s, m, &inits));
    OC_TRY(add_initializers(im, s, m));
    OC_TRY(oc__import_nodes(im, s, m->nodes, m->n_nodes));
    OC_TRY(apply_infos(im, s, m));
    OC_TRY(add_outputs(im, s, m));
    OC_TRY(set_captures(im, s));
    int in_order = 1;
    if (im->n_missing) return OC_OK; /* the import will fail anyway */
    if (is_in_order(im, s->graph, &in_order)) return oc__fail_nomem(im->err);
    return in_order ? OC_OK : oc__graph_sort(s->graph, im->err);
}

oc_status oc__import_graph(oc__importer *im, const oc__wire *w,
                           oc__scope *outer, oc__int_list *node_captures,
                           oc__graph **out) {
    oc__scope s;
    graph_message m;
    memset(&s, 0, sizeof(s));
    memset(&m, 0, sizeof(m));
    if (im->level >= OC_IMPORT_MAX_DEPTH) {
        return oc__fail_at(im->err, OC_E_LIMIT, oc__wire_offset(w),
                           "a graph at byte %lld is nested more than %d deep",
                           (long long)oc__wire_offset(w), OC_IMPORT_MAX_DEPTH);
    }
    m.offset = oc__wire_offset(w);
    m.name = "";
    oc__names_init(&s.names, im->scratch);
    oc__names_init(&s.results, im->scratch);
    s.outer = outer;
    s.frame = outer ? outer->frame : NULL;
    s.node_captures = node_captures;
    s.graph = oc__graph_create(im->arena);
    if (!s.graph) return oc__fail_nomem(im->err);
    OC_TRY(split(im, w, &m));
    s.graph->name = m.name;
    im->level++;
    oc_status st = build(im, &s, &m);
    im->level--;
    if (st == OC_OK) *out = s.graph;
    return st;
}
