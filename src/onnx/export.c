/* export.c - see export.h.  Fields are put last to first (wire_out.h). */
#include "onnx/export.h"

#include "onnx/names.h"
#include "onnx/value_proto.h"
#include "onnx/wire.h"
#include "ops/op.h"

#include <string.h>

/* The oldest IR in which initialisers need not be inputs. */
enum { EXPORT_MIN_IR = 4 };

/*
 * What a graph's values are called.  Names are unique over all graphs of the
 * model, as ONNX wants it; only what a sub-graph has from outside bears the
 * name it has there.
 */
typedef struct name_table {
    const struct name_table *outer;
    const oc__graph *graph;
    const char **names;       /* of values; NULL: not used */
    unsigned char *inherited; /* a constant that an outer graph writes */
} name_table;

typedef struct exporter {
    oc__wire_out *o;
    oc__arena arena;
    oc__names taken;
    const oc__onnx *model;
    const oc__export_options *opt;
    oc__opset *domains; /* imported ones, then those only nodes use */
    size_t n_domains, cap_domains;
    oc_error *err;
} exporter;

/* ---- names
 * --------------------------------------------------------------------- */

/* `wish`, or `wish` with a number behind it when it is taken. */
static const char *unique_name(exporter *x, const char *wish) {
    const char *name = *wish ? wish : "v";
    for (int i = 1; oc__names_find(&x->taken, name) >= 0; i++) {
        name = oc__arena_printf(&x->arena, "%s_%d", wish, i);
        if (!name) return NULL;
    }
    return oc__names_put(&x->taken, name, 0) ? NULL : name;
}

/* The name a constant of this name and data has in a graph around. */
static const char *inherited_constant(const name_table *t,
                                      const oc__value_def *v) {
    for (const name_table *o = t->outer; o; o = o->outer) {
        for (int i = 0; i < o->graph->n_values; i++) {
            const oc__value_def *c = &o->graph->values[i];
            if (c->constant && c->constant->data == v->constant->data &&
                c->dtype == v->dtype && o->names[i] &&
                oc__tensor_same_shape(c->constant, v->constant))
                return o->names[i];
        }
    }
    return NULL;
}

/* Marks the values that something uses or makes. */
static void mark_used(const oc__graph *g, unsigned char *used) {
    for (int i = 0; i < g->n_inputs; i++) {
        used[g->inputs[i]] = 1;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        used[g->outputs[i]] = 1;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (int k = 0; k < n->n_in && !n->dead; k++) {
            if (n->in[k] >= 0) used[n->in[k]] = 1;
        }
        for (int k = 0; k < n->n_out && !n->dead; k++) {
            if (n->out[k] >= 0) used[n->out[k]] = 1;
        }
    }
}

/*
 * Names every value.  Inputs and outputs of the top graph come first: their
 * names are what users call them.
 */
static oc_status make_names(exporter *x, name_table *t,
                            const oc__node *holder) {
    const oc__graph *g = t->graph;
    size_t n = (size_t)g->n_values;
    unsigned char *used = oc__arena_alloc(&x->arena, n);
    t->names = oc__arena_array(&x->arena, n, sizeof(*t->names));
    t->inherited = oc__arena_alloc(&x->arena, n);
    if (!used || !t->names || !t->inherited) return oc__fail_nomem(x->err);
    mark_used(g, used);
    for (int i = 0; i < g->n_captures; i++) {
        const oc__capture *c = &g->captures[i];
        t->names[c->value] = t->outer->names[holder->in[c->node_input]];
    }
    for (int i = 0; i < g->n_inputs; i++) {
        int v = g->inputs[i];
        t->names[v] = unique_name(x, g->values[v].name);
        if (!t->names[v]) return oc__fail_nomem(x->err);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        int v = g->outputs[i];
        const char *wish = g->values[v].name;
        if (!t->outer && x->opt && x->opt->output_names)
            wish = x->opt->output_names[i];
        if (t->names[v]) continue;
        t->names[v] = unique_name(x, wish);
        if (!t->names[v]) return oc__fail_nomem(x->err);
    }
    for (int v = 0; v < g->n_values; v++) {
        const oc__value_def *def = &g->values[v];
        if (t->names[v] || !used[v]) continue;
        if (def->constant && t->outer) {
            t->names[v] = inherited_constant(t, def);
            t->inherited[v] = t->names[v] != NULL;
        }
        if (!t->names[v]) t->names[v] = unique_name(x, def->name);
        if (!t->names[v]) return oc__fail_nomem(x->err);
    }
    return OC_OK;
}

/* ---- types
 * ------------------------------------------------------------------------ */

/* TypeProto of a value whose kind and type are known; see import_type.c. */
static void put_type_body(oc__wire_out *o, oc_kind kind, oc_dtype dtype,
                          int rank, const int64_t *dims,
                          const char *const *names) {
    if (kind == OC_KIND_SEQUENCE) {
        size_t sequence = oc__put_mark(o);
        put_type_body(o, OC_KIND_TENSOR, dtype, -1, NULL, NULL);
        oc__put_close(o, 1, sequence);
        oc__put_close(o, 4, sequence);
        return;
    }
    size_t tensor = oc__put_mark(o);
    if (rank >= 0) {
        size_t shape = oc__put_mark(o);
        for (int i = rank; i-- > 0;) {
            size_t dim = oc__put_mark(o);
            if (dims[i] >= 0)
                oc__put_int(o, 1, dims[i]);
            else if (names && names[i])
                oc__put_string(o, 2, names[i]);
            oc__put_close(o, 1, dim);
        }
        oc__put_close(o, 2, shape);
    }
    oc__put_int(o, 1, dtype);
    oc__put_close(o, 1, tensor);
}

static void put_value_info(exporter *x, uint32_t field, const char *name,
                           const oc__value_def *v, int optional) {
    oc__wire_out *o = x->o;
    size_t info = oc__put_mark(o);
    /* Of a map the key's type is not kept, so no type can be written. */
    if (v->dtype &&
        (v->kind == OC_KIND_TENSOR || v->kind == OC_KIND_SEQUENCE)) {
        size_t type = oc__put_mark(o);
        put_type_body(o, v->kind, v->dtype, v->rank, v->dims, v->dim_names);
        if (optional) {
            oc__put_close(o, 1, type);
            oc__put_close(o, 9, type);
        }
        oc__put_close(o, 2, type);
    }
    oc__put_string(o, 1, name);
    oc__put_close(o, field, info);
}

/* ---- nodes
 * ------------------------------------------------------------------------ */

static oc_status put_graph(exporter *x, uint32_t field, const oc__graph *g,
                           const name_table *outer, const oc__node *holder);

static oc_status put_attribute_data(exporter *x, const oc__attr *a,
                                    const name_table *t, const oc__node *node) {
    oc__wire_out *o = x->o;
    size_t mark;
    switch (a->type) {
    case OC_ATTR_FLOAT: oc__put_float(o, 2, a->f); break;
    case OC_ATTR_INT: oc__put_int(o, 3, a->i); break;
    case OC_ATTR_STRING: oc__put_bytes(o, 4, a->s.data, a->s.bytes); break;
    case OC_ATTR_FLOATS: oc__put_floats(o, 7, a->floats, a->n); break;
    case OC_ATTR_INTS: oc__put_ints(o, 8, a->ints, a->n); break;
    case OC_ATTR_STRINGS:
        for (size_t i = a->n; i-- > 0;) {
            oc__put_bytes(o, 9, a->strings[i].data, a->strings[i].bytes);
        }
        break;
    case OC_ATTR_TENSOR:
    case OC_ATTR_TENSORS:
        for (size_t i = a->n; i-- > 0;) {
            mark = oc__put_mark(o);
            oc__tensor_put(o, &a->tensors[i], NULL);
            oc__put_close(o, a->type == OC_ATTR_TENSOR ? 5 : 10, mark);
        }
        break;
    case OC_ATTR_GRAPH:
    case OC_ATTR_GRAPHS:
        for (size_t i = a->n; i-- > 0;) {
            OC_TRY(put_graph(x, a->type == OC_ATTR_GRAPH ? 6 : 11, a->graphs[i],
                             t, node));
        }
        break;
    case OC_ATTR_TYPE:
        mark = oc__put_mark(o);
        put_type_body(o, a->kind, (oc_dtype)a->i, -1, NULL, NULL);
        oc__put_close(o, 14, mark);
        break;
    case OC_ATTR_NONE: break;
    }
    return OC_OK;
}

static oc_status put_attribute(exporter *x, const oc__attr *a,
                               const name_table *t, const oc__node *node) {
    size_t mark = oc__put_mark(x->o);
    oc__put_int(x->o, 20, a->type);
    OC_TRY(put_attribute_data(x, a, t, node));
    oc__put_string(x->o, 1, a->name);
    oc__put_close(x->o, 5, mark);
    return OC_OK;
}

/* The model must import the domain of every operator in it. */
static oc_status note_domain(exporter *x, const char *domain, int version) {
    for (size_t i = 0; i < x->n_domains; i++) {
        if (!strcmp(x->domains[i].domain, domain)) return OC_OK;
    }
    if (x->n_domains == x->cap_domains) {
        size_t capacity = 2 * x->cap_domains + 8;
        oc__opset *list = oc__arena_array(&x->arena, capacity, sizeof(*list));
        if (!list) return oc__fail_nomem(x->err);
        if (x->n_domains)
            memcpy(list, x->domains, x->n_domains * sizeof(*list));
        x->domains = list;
        x->cap_domains = capacity;
    }
    x->domains[x->n_domains++] = (oc__opset){domain, version > 0 ? version : 1};
    return OC_OK;
}

static oc_status put_node(exporter *x, const oc__node *n, const name_table *t) {
    oc__wire_out *o = x->o;
    size_t mark = oc__put_mark(o);
    OC_TRY(note_domain(x, n->op->domain, n->version));
    if (*n->op->domain) oc__put_string(o, 7, n->op->domain);
    for (int i = n->n_attrs; i-- > 0;) {
        OC_TRY(put_attribute(x, &n->attrs[i], t, n));
    }
    oc__put_string(o, 4, n->op->name);
    if (*n->name) oc__put_string(o, 3, n->name);
    for (int i = n->n_out; i-- > 0;) {
        oc__put_string(o, 2, n->out[i] < 0 ? "" : t->names[n->out[i]]);
    }
    for (int i = n->n_explicit; i-- > 0;) {
        oc__put_string(o, 1, n->in[i] < 0 ? "" : t->names[n->in[i]]);
    }
    oc__put_close(o, 1, mark);
    return OC_OK;
}

/* ---- graphs
 * ------------------------------------------------------------------------ */

/*
 * An output under a name that its value does not bear (it is listed twice, or
 * is an input): an Identity makes it one of its own.  Returns the name.
 */
static const char *put_alias(exporter *x, const char *from, const char *wish) {
    oc__wire_out *o = x->o;
    const char *name = unique_name(x, wish);
    if (!name || note_domain(x, "", 1) != OC_OK) return NULL;
    size_t mark = oc__put_mark(o);
    oc__put_string(o, 4, "Identity");
    oc__put_string(o, 2, name);
    oc__put_string(o, 1, from);
    oc__put_close(o, 1, mark);
    return name;
}

/*
 * Outputs, and the aliases they need.  The fields of a repeated field may
 * stand anywhere in the message, so these nodes may well come after all
 * others: in reverse, they are put first.
 */
static oc_status put_outputs(exporter *x, const oc__graph *g,
                             const name_table *t) {
    const char **names =
        oc__arena_array(&x->arena, (size_t)g->n_outputs, sizeof(*names));
    if (!names) return oc__fail_nomem(x->err);
    const char *const *wishes =
        x->opt && !t->outer ? x->opt->output_names : NULL;
    for (int i = 0; i < g->n_outputs; i++) {
        const char *own = t->names[g->outputs[i]];
        int listed = 0;
        for (int k = 0; k < i && !listed; k++) {
            listed = g->outputs[k] == g->outputs[i];
        }
        names[i] = own;
        if (listed || (wishes && strcmp(own, wishes[i]) != 0)) {
            names[i] = put_alias(x, own, wishes ? wishes[i] : own);
            if (!names[i]) return oc__fail_nomem(x->err);
        }
    }
    for (int i = g->n_outputs; i-- > 0;) {
        int optional = !t->outer && g == x->model->graph &&
                       x->model->output_is_optional[i];
        put_value_info(x, 12, names[i], &g->values[g->outputs[i]], optional);
    }
    return OC_OK;
}

/* Types of what lies between inputs and outputs, where they are known. */
static void put_infos(exporter *x, const oc__graph *g, const name_table *t) {
    for (int i = g->n_nodes; i-- > 0;) {
        const oc__node *n = g->nodes[i];
        for (int k = n->n_out; k-- > 0 && !n->dead;) {
            if (n->out[k] < 0 || oc__graph_is_output(g, n->out[k])) continue;
            const oc__value_def *v = &g->values[n->out[k]];
            if (v->dtype && v->rank >= 0 && v->kind == OC_KIND_TENSOR)
                put_value_info(x, 13, t->names[n->out[k]], v, 0);
        }
    }
}

static void put_initializers(exporter *x, const oc__graph *g,
                             const name_table *t) {
    for (int v = g->n_values; v-- > 0;) {
        const oc_tensor *c = g->values[v].constant;
        size_t mark = oc__put_mark(x->o);
        if (!c || !t->names[v] || t->inherited[v]) continue;
        oc__tensor_put(x->o, c, t->names[v]);
        oc__put_close(x->o, 5, mark);
    }
    /* Inputs whose defaults are kept beside an open graph. */
    const oc__onnx *m = x->model;
    for (int i = 0; !t->outer && g == m->graph && i < g->n_inputs; i++) {
        size_t mark = oc__put_mark(x->o);
        if (!m->defaults[i] || g->values[g->inputs[i]].constant) continue;
        oc__tensor_put(x->o, m->defaults[i], t->names[g->inputs[i]]);
        oc__put_close(x->o, 5, mark);
    }
}

static oc_status put_graph(exporter *x, uint32_t field, const oc__graph *g,
                           const name_table *outer, const oc__node *holder) {
    oc__wire_out *o = x->o;
    size_t mark = oc__put_mark(o);
    name_table t = {outer, g, NULL, NULL};
    OC_TRY(make_names(x, &t, holder));
    put_infos(x, g, &t);
    OC_TRY(put_outputs(x, g, &t));
    for (int i = g->n_inputs; i-- > 0;) {
        int optional =
            !outer && g == x->model->graph && x->model->input_is_optional[i];
        put_value_info(x, 11, t.names[g->inputs[i]], &g->values[g->inputs[i]],
                       optional);
    }
    put_initializers(x, g, &t);
    /* A graph must have a name. */
    oc__put_string(o, 2, *g->name ? g->name : "graph");
    for (int i = g->n_nodes; i-- > 0;) {
        if (!g->nodes[i]->dead) OC_TRY(put_node(x, g->nodes[i], &t));
    }
    oc__put_close(o, field, mark);
    return OC_OK;
}

/* ---- the model
 * ------------------------------------------------------------------------ */

static void put_prop(oc__wire_out *o, const oc__prop *p) {
    size_t mark = oc__put_mark(o);
    oc__put_string(o, 2, p->value);
    oc__put_string(o, 1, p->key);
    oc__put_close(o, 14, mark);
}

static oc_status put_model(exporter *x, const oc__graph *g) {
    oc__wire_out *o = x->o;
    const oc__onnx *m = x->model;
    for (size_t i = m->n_props; i-- > 0;) {
        put_prop(o, &m->props[i]);
    }
    OC_TRY(put_graph(x, 7, g, NULL, NULL));
    for (size_t i = x->n_domains; i-- > 0;) {
        size_t mark = oc__put_mark(o);
        oc__put_int(o, 2, x->domains[i].version);
        oc__put_string(o, 1, x->domains[i].domain);
        oc__put_close(o, 8, mark);
    }
    if (*m->doc_string) oc__put_string(o, 6, m->doc_string);
    if (m->model_version) oc__put_int(o, 5, m->model_version);
    if (*m->domain) oc__put_string(o, 4, m->domain);
    if (*m->producer_version) oc__put_string(o, 3, m->producer_version);
    if (*m->producer_name) oc__put_string(o, 2, m->producer_name);
    oc__put_int(o, 1, OC_MAX(m->ir_version, EXPORT_MIN_IR));
    return OC_OK;
}

oc_status oc__onnx_export(oc__wire_out *o, const oc__onnx *m,
                          const oc__graph *g, const oc__export_options *opt,
                          oc_error *err) {
    exporter x;
    memset(&x, 0, sizeof(x));
    oc__arena_init(&x.arena, o->allocator);
    oc__names_init(&x.taken, &x.arena);
    x.o = o;
    x.model = m;
    x.opt = opt;
    x.err = err;
    /* A model without nodes still says which operators it could have. */
    x.domains =
        oc__arena_dup(&x.arena, m->opsets, m->n_opsets * sizeof(*m->opsets));
    x.n_domains = x.cap_domains = m->n_opsets;
    oc_status st = x.domains ? put_model(&x, g) : oc__fail_nomem(err);
    if (st == OC_OK && o->failed) st = oc__fail_nomem(err);
    oc__arena_deinit(&x.arena);
    return st;
}

/* ---- metadata of a file
 * ------------------------------------------------------------------ */

/* Whether field f of a ModelProto is an entry with one of the keys. */
static oc_status is_replaced(const oc__field *f, const oc__prop *props,
                             size_t n, int *out, oc_error *err) {
    *out = 0;
    if (f->number != 14 || f->type != OC_WIRE_LEN) return OC_OK;
    for (oc__wire m = f->body; oc__wire_more(&m);) {
        oc__field e;
        OC_TRY(oc__wire_next(&m, &e, err));
        if (e.number != 1 || e.type != OC_WIRE_LEN) continue;
        size_t length = oc__wire_left(&e.body);
        for (size_t i = 0; i < n; i++) {
            *out |= strlen(props[i].key) == length &&
                    (!length || !memcmp(props[i].key, e.body.p, length));
        }
    }
    return OC_OK;
}

oc_status oc__onnx_set_props(oc__wire_out *o, const void *data, size_t bytes,
                             const oc__prop *props, size_t n, oc_error *err) {
    oc__wire w = oc__wire_open(data, bytes);
    const uint8_t *start = w.p;
    for (size_t i = n; i-- > 0;) {
        if (props[i].value) put_prop(o, &props[i]);
    }
    /* Stretches between removed entries, noted forwards, put backwards. */
    size_t n_pieces = 0, capacity = 0;
    oc__piece *pieces = NULL;
    oc_status st = OC_OK;
    for (;;) {
        const uint8_t *here = w.p;
        int end = !oc__wire_more(&w), replaced = 0;
        if (!end) {
            oc__field f;
            st = oc__wire_next(&w, &f, err);
            if (st == OC_OK) st = is_replaced(&f, props, n, &replaced, err);
            if (st != OC_OK) break;
        }
        if (!end && !replaced) continue;
        if (n_pieces == capacity) {
            size_t wider = 2 * capacity + 16;
            oc__piece *list = oc__calloc(o->allocator, wider, sizeof(*list));
            if (!list) {
                st = oc__fail_nomem(err);
                break;
            }
            if (n_pieces) memcpy(list, pieces, n_pieces * sizeof(*list));
            oc__release(o->allocator, pieces, capacity * sizeof(*pieces));
            pieces = list;
            capacity = wider;
        }
        pieces[n_pieces++] = (oc__piece){start, (size_t)(here - start)};
        start = w.p;
        if (end) break;
    }
    for (size_t i = n_pieces; st == OC_OK && i-- > 0;) {
        oc__put_borrow_raw(o, pieces[i].data, pieces[i].bytes);
    }
    oc__release(o->allocator, pieces, capacity * sizeof(*pieces));
    if (st == OC_OK && o->failed) st = oc__fail_nomem(err);
    return st;
}
