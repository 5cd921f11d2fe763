/*
 * import_function.c - calls of model-local functions, inlined.
 *
 *     call:  Z = f<alpha = 2>(X, Y)        f(a, b) => c { t = Mul(a, b)
 *                                                         c = Elu<@alpha>(t) }
 *     gives: f_0/t = Mul(X, Y);  Z = Elu<alpha = 2>(f_0/t)
 *
 * A body is read anew for every call, since attributes and the presence of
 * arguments differ.
 */
#include "onnx/importer.h"

#include <string.h>

/* FunctionProto's fields. */
enum {
    F_NAME = 1,
    F_INPUT = 4,
    F_OUTPUT = 5,
    F_NODE = 7,
    F_OPSET = 9,
    F_DOMAIN = 10,
    F_ATTR_DEFAULT = 11,
    F_VALUE_INFO = 12,
    F_OVERLOAD = 13,
};

oc_status oc__import_add_function(oc__importer *im, const oc__wire *w,
                                  oc__function *out) {
    memset(out, 0, sizeof(*out));
    out->message = *w;
    out->domain = out->name = out->overload = "";
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        const char **s = NULL;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        switch (f.number) {
        case F_NAME: s = &out->name; break;
        case F_DOMAIN: s = &out->domain; break;
        case F_OVERLOAD: s = &out->overload; break;
        case F_INPUT: out->n_inputs++; break;
        case F_OUTPUT: out->n_outputs++; break;
        case F_NODE: out->n_nodes++; break;
        case F_OPSET: out->n_opsets++; break;
        case F_ATTR_DEFAULT: out->n_attr_defaults++; break;
        case F_VALUE_INFO: out->n_value_infos++; break;
        default: break;
        }
        if (s) {
            OC_TRY(
                oc__field_string(&f, "FunctionProto", im->scratch, s, im->err));
        }
    }
    if (!strcmp(out->domain, "ai.onnx")) out->domain = "";
    if (!*out->name) {
        return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(w),
                           "a function at byte %lld has no name",
                           (long long)oc__wire_offset(w));
    }
    return OC_OK;
}

/* Domain, name and overload as one string; a newline is in none of them. */
static const char *function_key(oc__importer *im, const char *domain,
                                const char *name, const char *overload) {
    return oc__arena_printf(im->scratch, "%s\n%s\n%s", domain, name, overload);
}

oc_status oc__import_index_function(oc__importer *im, int i) {
    const oc__function *f = &im->functions[i];
    const char *key = function_key(im, f->domain, f->name, f->overload);
    if (!key) return oc__fail_nomem(im->err);
    if (oc__names_find(&im->function_names, key) >= 0) {
        return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(&f->message),
                           "the function \"%.80s\" at byte %lld is defined "
                           "twice",
                           f->name, (long long)oc__wire_offset(&f->message));
    }
    if (oc__names_put(&im->function_names, key, i)) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

oc_status oc__import_find_function(oc__importer *im, oc__node_message *m) {
    m->function = NULL;
    if (!im->n_functions) return OC_OK;
    const char *key = function_key(im, m->domain, m->op_type, m->overload);
    if (!key) return oc__fail_nomem(im->err);
    int i = oc__names_find(&im->function_names, key);
    if (i >= 0) m->function = &im->functions[i];
    return OC_OK;
}

/* One OperatorSetIdProto. */
static oc_status read_opset(oc__importer *im, const oc__wire *w,
                            oc__opset *out) {
    out->domain = "";
    int64_t version = 0;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == 1) {
            OC_TRY(oc__field_string(&f, "OperatorSetIdProto.domain", im->arena,
                                    &out->domain, im->err));
        } else if (f.number == 2) {
            OC_TRY(oc__field_int(&f, "OperatorSetIdProto.version", &version,
                                 im->err));
        }
    }
    if (!strcmp(out->domain, "ai.onnx")) out->domain = "";
    /* Versions are small; more is a sign of damage, not of the future. */
    if (version < 1 || version > OC_IMPORT_MAX_OPSET) {
        return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(w),
                           "operator set \"%.40s\" at byte %lld has version "
                           "%lld",
                           out->domain, (long long)oc__wire_offset(w),
                           (long long)version);
    }
    out->version = (int)version;
    return OC_OK;
}

oc_status oc__import_opset(oc__importer *im, const oc__field *f,
                           oc__opset *out) {
    oc__wire body;
    OC_TRY(oc__field_body(f, "OperatorSetIdProto", &body, im->err));
    return read_opset(im, &body, out);
}

static oc_status allocate_lists(oc__importer *im, oc__function *fn) {
    oc__arena *a = im->scratch;
    fn->inputs = oc__arena_array(a, fn->n_inputs, sizeof(*fn->inputs));
    fn->outputs = oc__arena_array(a, fn->n_outputs, sizeof(*fn->outputs));
    fn->nodes = oc__arena_array(a, fn->n_nodes, sizeof(*fn->nodes));
    fn->opsets = oc__arena_array(a, fn->n_opsets, sizeof(*fn->opsets));
    fn->attr_defaults =
        oc__arena_array(a, fn->n_attr_defaults, sizeof(*fn->attr_defaults));
    fn->value_infos =
        oc__arena_array(a, fn->n_value_infos, sizeof(*fn->value_infos));
    if (!fn->inputs || !fn->outputs || !fn->nodes || !fn->opsets ||
        !fn->attr_defaults || !fn->value_infos) {
        return oc__fail_nomem(im->err);
    }
    return OC_OK;
}

/* The rest of the message, on the first call. */
static oc_status parse_function(oc__importer *im, oc__function *fn) {
    size_t in = 0, out = 0, node = 0, opset = 0, attr = 0, info = 0;
    OC_TRY(allocate_lists(im, fn));
    for (oc__wire m = fn->message; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.type != OC_WIRE_LEN) continue;
        body = f.body;
        switch (f.number) {
        case F_INPUT:
            OC_TRY(oc__field_string(&f, "FunctionProto.input", im->scratch,
                                    &fn->inputs[in++], im->err));
            break;
        case F_OUTPUT:
            OC_TRY(oc__field_string(&f, "FunctionProto.output", im->scratch,
                                    &fn->outputs[out++], im->err));
            break;
        case F_NODE:
            OC_TRY(oc__import_node_message(im, &body, &fn->nodes[node++]));
            break;
        case F_OPSET:
            OC_TRY(oc__import_opset(im, &f, &fn->opsets[opset++]));
            break;
        case F_ATTR_DEFAULT: fn->attr_defaults[attr++] = body; break;
        case F_VALUE_INFO: fn->value_infos[info++] = body; break;
        default: break;
        }
    }
    /* Fields of another wire type were counted but are not there. */
    fn->n_inputs = in;
    fn->n_outputs = out;
    fn->n_nodes = node;
    fn->n_opsets = opset;
    fn->n_attr_defaults = attr;
    fn->n_value_infos = info;
    fn->parsed = 1;
    return OC_OK;
}

static oc_status bad_signature(oc__importer *im, const oc__node_message *m,
                               const char *what) {
    return oc__fail_at(im->err, OC_E_FORMAT, m->offset,
                       "node \"%.60s\" at byte %lld calls the function "
                       "\"%.60s\" %s",
                       m->name, (long long)m->offset, m->op_type, what);
}

/* Formal inputs stand for the caller's values. */
static oc_status bind_inputs(oc__importer *im, oc__scope *body,
                             const oc__frame *frame) {
    const oc__node_message *m = frame->call;
    const oc__function *fn = frame->function;
    if (m->n_inputs > fn->n_inputs) {
        return bad_signature(im, m, "with too many inputs");
    }
    for (size_t i = 0; i < fn->n_inputs; i++) {
        int value = -1;
        if (i < m->n_inputs && *m->inputs[i]) {
            OC_TRY(oc__import_resolve(im, frame->caller, m->inputs[i], m->name,
                                      &value));
        }
        if (oc__names_find(&body->names, fn->inputs[i]) >= 0) {
            return bad_signature(im, m, "whose inputs have one name twice");
        }
        if (oc__names_put(&body->names, fn->inputs[i],
                          value < 0 ? OC_IMPORT_ABSENT : value)) {
            return oc__fail_nomem(im->err);
        }
    }
    return OC_OK;
}

/* Makes `to` a copy of `from`, for outputs that nothing in the body makes. */
static oc_status add_identity(oc__importer *im, oc__scope *body, int from,
                              int to) {
    const oc__op *op;
    int version = oc__import_version(im, body, "");
    OC_TRY(oc__op_require(&op, "", "Identity", version ? version : 1, "",
                          im->err));
    oc__node *n = oc__graph_add_node(body->graph, op, body->frame->prefix,
                                     version ? version : 1, 1, 1, 0);
    if (!n) return oc__fail_nomem(im->err);
    n->in[0] = from;
    n->out[0] = to;
    return OC_OK;
}

/* Formal outputs the caller wants stand for the caller's values. */
static oc_status bind_outputs(oc__importer *im, oc__scope *body,
                              const oc__frame *frame) {
    const oc__node_message *m = frame->call;
    const oc__function *fn = frame->function;
    if (m->n_outputs > fn->n_outputs) {
        return bad_signature(im, m, "with too many outputs");
    }
    for (size_t i = 0; i < m->n_outputs; i++) {
        const char *name = fn->outputs[i];
        if (!*m->outputs[i] || !*name) continue;
        /* An input handed through, or an output listed twice: see below. */
        if (oc__names_find(&body->names, name) >= 0) continue;
        int value = oc__names_find(&frame->caller->names, m->outputs[i]);
        if (oc__names_put(&body->names, name, value) ||
            oc__names_put(&body->results, name, value)) {
            return oc__fail_nomem(im->err);
        }
    }
    return OC_OK;
}

/* Behind the body: every wanted output must have been made by something. */
static oc_status finish_outputs(oc__importer *im, oc__scope *body,
                                const oc__frame *frame) {
    const oc__node_message *m = frame->call;
    const oc__function *fn = frame->function;
    for (size_t i = 0; i < m->n_outputs; i++) {
        if (!*m->outputs[i]) continue;
        int to = oc__names_find(&frame->caller->names, m->outputs[i]);
        int from = oc__names_find(&body->names, fn->outputs[i]);
        /* A result a node has made is struck off as ABSENT. */
        int result = oc__names_find(&body->results, fn->outputs[i]);
        if (from < 0 || from == OC_IMPORT_ABSENT ||
            (result >= 0 && result != OC_IMPORT_ABSENT)) {
            return bad_signature(im, m, "which does not make all its outputs");
        }
        if (from != to) OC_TRY(add_identity(im, body, from, to));
    }
    return OC_OK;
}

/* Types the function declares for values inside. */
static oc_status apply_infos(oc__importer *im, oc__scope *body) {
    const oc__function *fn = body->frame->function;
    for (size_t i = 0; i < fn->n_value_infos; i++) {
        const char *name;
        oc__type type;
        OC_TRY(oc__import_value_info(im, &fn->value_infos[i], &name, &type));
        int v = oc__names_find(&body->names, name);
        if (v < 0 || v == OC_IMPORT_ABSENT) continue;
        OC_TRY(oc__import_apply_type(im, &body->graph->values[v], &type,
                                     oc__wire_offset(&fn->value_infos[i])));
    }
    return OC_OK;
}

static oc_status inline_body(oc__importer *im, const oc__frame *frame) {
    oc__scope body;
    memset(&body, 0, sizeof(body));
    body.graph = frame->caller->graph;
    body.frame = frame;
    oc__names_init(&body.names, im->scratch);
    oc__names_init(&body.results, im->scratch);
    OC_TRY(bind_inputs(im, &body, frame));
    OC_TRY(bind_outputs(im, &body, frame));
    /* `constant` is noted in the messages; a recursive call would share
       them, so each call works on its own copy. */
    size_t n = frame->function->n_nodes;
    oc__node_message *nodes = oc__arena_array(im->scratch, n, sizeof(*nodes));
    if (!nodes) return oc__fail_nomem(im->err);
    if (n) memcpy(nodes, frame->function->nodes, n * sizeof(*nodes));
    OC_TRY(oc__import_nodes(im, &body, nodes, n));
    OC_TRY(apply_infos(im, &body));
    return finish_outputs(im, &body, frame);
}

oc_status oc__import_call(oc__importer *im, oc__scope *s,
                          const oc__node_message *m, oc__function *f) {
    if (im->level >= OC_IMPORT_MAX_DEPTH) {
        return bad_signature(im, m, "too deeply inside others, or itself");
    }
    if (!f->parsed) OC_TRY(parse_function(im, f));
    oc__frame frame = {f, m, s, NULL};
    /* Calls may have no name, and functions call functions. */
    frame.prefix = oc__arena_printf(
        im->scratch, "%s%s_%d/", s->frame ? s->frame->prefix : "",
        *m->name ? m->name : m->op_type, im->n_calls++);
    if (!frame.prefix) return oc__fail_nomem(im->err);
    im->level++;
    oc_status st = inline_body(im, &frame);
    im->level--;
    return st;
}
