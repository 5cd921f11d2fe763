/* import_node.c - NodeProto: names looked up, operator found, node made. */
#include "onnx/importer.h"

#include <stdio.h>
#include <string.h>

/* NodeProto's fields. */
enum {
    N_INPUT = 1,
    N_OUTPUT = 2,
    N_NAME = 3,
    N_OP_TYPE = 4,
    N_ATTRIBUTE = 5,
    N_DOMAIN = 7,
    N_OVERLOAD = 8,
};

/* ---- taking the message apart ----------------------------------------------
 */

static oc_status count_lists(oc__importer *im, const oc__wire *w,
                             oc__node_message *out) {
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        out->n_inputs += f.number == N_INPUT;
        out->n_outputs += f.number == N_OUTPUT;
        out->n_attributes += f.number == N_ATTRIBUTE;
    }
    out->inputs =
        oc__arena_array(im->scratch, out->n_inputs, sizeof(*out->inputs));
    out->outputs =
        oc__arena_array(im->scratch, out->n_outputs, sizeof(*out->outputs));
    out->attributes = oc__arena_array(im->scratch, out->n_attributes,
                                      sizeof(*out->attributes));
    if (!out->inputs || !out->outputs || !out->attributes) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

static oc_status fill_message(oc__importer *im, const oc__wire *w,
                              oc__node_message *out) {
    size_t in = 0, at_out = 0, attr = 0;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        const char **name = NULL;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        switch (f.number) {
        case N_INPUT: name = &out->inputs[in++]; break;
        case N_OUTPUT: name = &out->outputs[at_out++]; break;
        case N_NAME: name = &out->name; break;
        case N_OP_TYPE: name = &out->op_type; break;
        case N_DOMAIN: name = &out->domain; break;
        case N_OVERLOAD: name = &out->overload; break;
        case N_ATTRIBUTE:
            OC_TRY(oc__field_body(&f, "NodeProto.attribute",
                                  &out->attributes[attr++], im->err));
            break;
        default: break;
        }
        if (name) {
            OC_TRY(
                oc__field_string(&f, "NodeProto", im->scratch, name, im->err));
        }
    }
    return OC_OK;
}

oc_status oc__import_node_message(oc__importer *im, const oc__wire *w,
                                  oc__node_message *out) {
    memset(out, 0, sizeof(*out));
    out->offset = oc__wire_offset(w);
    out->name = out->op_type = out->domain = out->overload = "";
    OC_TRY(count_lists(im, w, out));
    OC_TRY(fill_message(im, w, out));
    if (!*out->op_type) {
        return oc__fail_at(im->err, OC_E_FORMAT, out->offset,
                           "node \"%.80s\" at byte %lld has no operator",
                           out->name, (long long)out->offset);
    }
    if (out->n_attributes > OC_IMPORT_MAX_ATTRIBUTES) {
        return oc__fail_at(im->err, OC_E_LIMIT, out->offset,
                           "node \"%.80s\" at byte %lld has more than %d "
                           "attributes",
                           out->name, (long long)out->offset,
                           OC_IMPORT_MAX_ATTRIBUTES);
    }
    if (!strcmp(out->domain, "ai.onnx")) out->domain = "";
    return OC_OK;
}

/* ---- names
 * ------------------------------------------------------------------- */

const char *oc__import_prefixed(oc__importer *im, const oc__scope *s,
                                const char *name) {
    if (!s->frame || !*name) return name;
    return oc__arena_printf(im->scratch, "%s%s", s->frame->prefix, name);
}

int oc__import_version(const oc__importer *im, const oc__scope *s,
                       const char *domain) {
    const oc__opset *sets = im->model->opsets;
    size_t n = im->model->n_opsets;
    if (s->frame) {
        sets = s->frame->function->opsets;
        n = s->frame->function->n_opsets;
    }
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(sets[i].domain, domain)) return sets[i].version;
    }
    return 0;
}

/* ---- declaring outputs
 * -------------------------------------------------------- */

static oc_status declare_output(oc__importer *im, oc__scope *s,
                                const oc__node_message *m, const char *name,
                                int *value) {
    int known = oc__names_find(&s->names, name);
    if (known >= 0) {
        /* A function's output stands for a value of the caller already. */
        int is_result = s->frame && known != OC_IMPORT_ABSENT &&
                        oc__names_find(&s->results, name) == known;
        if (!is_result) {
            return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                               "node \"%.60s\" (%.40s) at byte %lld makes "
                               "\"%.80s\", which is made elsewhere too",
                               m->name, m->op_type, (long long)m->offset, name);
        }
        /* The second node to make it must not find it here. */
        if (oc__names_put(&s->results, name, OC_IMPORT_ABSENT)) {
            return oc__fail_nomem(im->err);
        }
        *value = known;
        return OC_OK;
    }
    const char *full = oc__import_prefixed(im, s, name);
    *value = full ? oc__graph_add_value(s->graph, full) : -1;
    if (*value < 0 || oc__names_put(&s->names, name, *value)) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

/* value_int and friends of a Constant, as a tensor over the attribute. */
static oc_status constant_tensor(oc__importer *im, const oc__node_message *m,
                                 oc__attr *a, oc_tensor *out) {
    oc_tensor t;
    memset(&t, 0, sizeof(t));
    t.rank = a->type >= OC_ATTR_FLOATS;
    t.dims[0] = (int64_t)a->n;
    const void *data = NULL;
    switch (a->type) {
    case OC_ATTR_TENSOR: *out = a->tensors[0]; return OC_OK;
    case OC_ATTR_FLOAT:
        t.dtype = OC_DTYPE_F32;
        data = oc__arena_dup(im->arena, &a->f, sizeof(a->f));
        break;
    case OC_ATTR_INT:
        t.dtype = OC_DTYPE_I64;
        data = oc__arena_dup(im->arena, &a->i, sizeof(a->i));
        break;
    case OC_ATTR_STRING:
        t.dtype = OC_DTYPE_STRING;
        data = oc__arena_dup(im->arena, &a->s, sizeof(a->s));
        break;
    case OC_ATTR_FLOATS:
        t.dtype = OC_DTYPE_F32;
        data = a->floats;
        break;
    case OC_ATTR_INTS:
        t.dtype = OC_DTYPE_I64;
        data = a->ints;
        break;
    case OC_ATTR_STRINGS:
        t.dtype = OC_DTYPE_STRING;
        data = a->strings;
        break;
    default:
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.80s\" (Constant) at byte %lld has a "
                           "value that is no tensor",
                           m->name, (long long)m->offset);
    }
    if (!data) return oc__fail_nomem(im->err);
    t.data = (void *)(uintptr_t)data;
    *out = t;
    return OC_OK;
}

static oc_status set_constant(oc__importer *im, oc__scope *s,
                              const oc__node_message *m, int value) {
    static const char *const names[] = {
        "value",      "value_float",  "value_floats",  "value_int",
        "value_ints", "value_string", "value_strings", "sparse_value",
    };
    int found = 0;
    for (size_t i = 0; i < m->n_attributes; i++) {
        oc__attr a;
        int present;
        OC_TRY(
            oc__import_attribute(im, s, &m->attributes[i], NULL, &a, &present));
        int is_value = 0;
        for (size_t k = 0; k < OC_COUNT(names) && present; k++) {
            is_value |= !strcmp(a.name, names[k]);
        }
        if (!is_value) continue;
        oc_tensor t;
        found++;
        OC_TRY(constant_tensor(im, m, &a, &t));
        OC_TRY(oc__import_set_constant(im, s->graph, value, &t));
    }
    if (found != 1) {
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.80s\" (Constant) at byte %lld has %d "
                           "values instead of one",
                           m->name, (long long)m->offset, found);
    }
    return OC_OK;
}

static oc_status declare_node(oc__importer *im, oc__scope *s,
                              oc__node_message *m) {
    OC_TRY(oc__import_find_function(im, m));
    m->constant =
        !*m->domain && !strcmp(m->op_type, "Constant") && !m->function;
    if (m->constant && m->n_outputs != 1) {
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.80s\" (Constant) at byte %lld has %zu "
                           "outputs instead of one",
                           m->name, (long long)m->offset, m->n_outputs);
    }
    for (size_t i = 0; i < m->n_outputs; i++) {
        int value = -1;
        if (!*m->outputs[i]) continue;
        OC_TRY(declare_output(im, s, m, m->outputs[i], &value));
        if (m->constant) OC_TRY(set_constant(im, s, m, value));
    }
    return OC_OK;
}

oc_status oc__import_declare_node(oc__importer *im, oc__scope *s,
                                  oc__node_message *m) {
    oc_status st = declare_node(im, s, m);
    if (st != OC_OK) oc__error_node(im->err, m->name);
    return st;
}

/* ---- making the node
 * ------------------------------------------------------------ */

/* Notes an operator that is not there; the import goes on to find more. */
static oc_status note_missing(oc__importer *im, const oc__node_message *m,
                              int version, const oc_error *why) {
    const char *domain = *m->domain ? m->domain : "ai.onnx";
    const char *key =
        oc__arena_printf(im->scratch, "%s/%s", domain, m->op_type);
    if (!key) return oc__fail_nomem(im->err);
    if (oc__names_find(&im->missing, key) >= 0) return OC_OK;
    if (oc__names_put(&im->missing, key, im->n_missing)) {
        return oc__fail_nomem(im->err);
    }
    if (im->n_missing++ == 0) im->missing_error = *why;
    size_t room = sizeof(im->missing_text) - im->missing_length;
    int n = snprintf(im->missing_text + im->missing_length, room,
                     "%s%s of %s (opset %d, node \"%s\")",
                     im->missing_length ? ", " : "", m->op_type, domain,
                     version, m->name);
    /* One that does not fit whole is left out; the count tells. */
    if (n >= 0 && (size_t)n < room) {
        im->missing_length += (size_t)n;
    } else {
        im->missing_text[im->missing_length] = '\0';
    }
    return OC_OK;
}

static oc_status find_op(oc__importer *im, oc__scope *s,
                         const oc__node_message *m, const oc__op **op,
                         int *version) {
    oc_error why;
    oc__error_clear(&why);
    *version = oc__import_version(im, s, m->domain);
    /* Files in the wild forget to import contributed domains; those have had
       one version only. */
    if (!*version && *m->domain) *version = 1;
    if (!*version) {
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.60s\" (%.40s) at byte %lld: no version of "
                           "the operator set ai.onnx is imported",
                           m->name, m->op_type, (long long)m->offset);
    }
    *op = NULL;
    oc_status st =
        oc__op_require(op, m->domain, m->op_type, *version, m->name, &why);
    if (st == OC_E_UNSUPPORTED) {
        *op = NULL;
        return note_missing(im, m, *version, &why);
    }
    if (st != OC_OK && im->err) *im->err = why;
    return st;
}

/*
 * in: the inputs' values.  Trailing absent ones may be written out or left
 * out; inside of functions they show only once the names are looked up.
 */
static oc_status check_arity(oc__importer *im, const oc__node_message *m,
                             const oc__op *op, const int *in) {
    long long n_in = (long long)m->n_inputs, n_out = (long long)m->n_outputs;
    while (n_in > 0 && in[n_in - 1] < 0)
        n_in--;
    if (n_in < op->min_in || (op->max_in >= 0 && n_in > op->max_in)) {
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.60s\" (%.40s) at byte %lld has %lld "
                           "inputs, which the operator does not take",
                           m->name, m->op_type, (long long)m->offset, n_in);
    }
    while (n_out > 0 && !*m->outputs[n_out - 1])
        n_out--;
    if (op->max_out >= 0 && n_out > op->max_out) {
        return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                           "node \"%.60s\" (%.40s) at byte %lld has %lld "
                           "outputs, which the operator does not make",
                           m->name, m->op_type, (long long)m->offset, n_out);
    }
    return OC_OK;
}

/* Reads the attributes the node has; those a call does not give are left
   out.  Two of one name would make it a matter of luck which counts. */
static oc_status read_attributes(oc__importer *im, oc__scope *s,
                                 const oc__node_message *m,
                                 oc__int_list *captures, oc__attr *attrs,
                                 int *count) {
    int n = 0;
    for (size_t i = 0; i < m->n_attributes; i++) {
        int present;
        OC_TRY(oc__import_attribute(im, s, &m->attributes[i], captures,
                                    &attrs[n], &present));
        for (int k = 0; k < n && present; k++) {
            if (strcmp(attrs[k].name, attrs[n].name) != 0) continue;
            return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                               "node \"%.60s\" (%.40s) at byte %lld has the "
                               "attribute \"%.40s\" twice",
                               m->name, m->op_type, (long long)m->offset,
                               attrs[n].name);
        }
        n += present;
    }
    *count = n;
    return OC_OK;
}

static oc_status build_node(oc__importer *im, oc__scope *s,
                            const oc__node_message *m, const oc__op *op,
                            int version) {
    oc__int_list captures = {NULL, 0, 0};
    int n_attrs = 0;
    oc__attr *attrs =
        oc__arena_array(im->scratch, m->n_attributes, sizeof(*attrs));
    int *in = oc__arena_array(im->scratch, m->n_inputs, sizeof(*in));
    if (!attrs || !in) return oc__fail_nomem(im->err);
    for (size_t i = 0; i < m->n_inputs; i++) {
        in[i] = -1;
        if (!*m->inputs[i]) continue;
        OC_TRY(oc__import_resolve(im, s, m->inputs[i], m->name, &in[i]));
    }
    if (op) OC_TRY(check_arity(im, m, op, in));
    OC_TRY(read_attributes(im, s, m, &captures, attrs, &n_attrs));
    if (!op) return OC_OK; /* noted as missing */

    const char *name = oc__import_prefixed(im, s, m->name);
    oc__node *node = !name ? NULL
                           : oc__graph_add_node(s->graph, op, name, version,
                                                (int)m->n_inputs + captures.n,
                                                (int)m->n_outputs, n_attrs);
    if (!node) return oc__fail_nomem(im->err);
    node->n_explicit = (int)m->n_inputs;
    for (int i = 0; i < node->n_in; i++) {
        int e = i - node->n_explicit;
        node->in[i] = e < 0 ? in[i] : captures.items[e];
    }
    for (int i = 0; i < node->n_out; i++) {
        if (*m->outputs[i])
            node->out[i] = oc__names_find(&s->names, m->outputs[i]);
    }
    if (n_attrs) memcpy(node->attrs, attrs, (size_t)n_attrs * sizeof(*attrs));
    return OC_OK;
}

static oc_status import_node(oc__importer *im, oc__scope *s,
                             const oc__node_message *m) {
    if (m->constant) return OC_OK;
    /* Nodes of the file are as many as its bytes; those of functions may be
       exponentially more. */
    if ((s->frame && ++im->inlined_count > OC_IMPORT_MAX_INLINED) ||
        m->n_inputs > INT32_MAX / 2 || m->n_outputs > INT32_MAX / 2) {
        return oc__fail_at(im->err, OC_E_LIMIT, m->offset,
                           "the model's functions expand to more than %d nodes",
                           OC_IMPORT_MAX_INLINED);
    }
    if (m->function) return oc__import_call(im, s, m, m->function);
    const oc__op *op;
    int version;
    OC_TRY(find_op(im, s, m, &op, &version));
    return build_node(im, s, m, op, version);
}

oc_status oc__import_node(oc__importer *im, oc__scope *s,
                          const oc__node_message *m) {
    oc_status st = import_node(im, s, m);
    if (st != OC_OK) oc__error_node(im->err, m->name);
    return st;
}
