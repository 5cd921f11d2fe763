/*
 * import_attribute.c - AttributeProto to oc__attr.
 *
 * Read in two passes: the first finds the type and counts the lists, the
 * second fills them.
 */
#include "onnx/importer.h"

#include <string.h>

/* AttributeProto's fields. */
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TENSORS = 10,
    A_GRAPHS = 11,
    A_TP = 14,
    A_TYPE = 20,
    A_REF = 21,
    A_SPARSE = 22,
};

/* AttributeProto.AttributeType of sparse tensors; they become dense ones. */
enum { ATTR_SPARSE_TENSOR = 11 };

typedef struct parse {
    oc__importer *im;
    oc__scope *scope;
    oc__int_list *captures;
    oc__wire message;
    const char *name, *ref;
    int64_t type; /* declared, or told from the fields */
    int has_type;
    size_t n_floats, n_ints, n_strings, n_tensors, n_graphs;
    oc__attr *out;
    size_t at; /* fill position of the list */
} parse;

oc_status oc__import_attribute_name(oc__importer *im, const oc__wire *w,
                                    const char **name) {
    *name = "";
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == A_NAME) {
            OC_TRY(oc__field_string(&f, "AttributeProto.name", im->scratch,
                                    name, im->err));
        }
    }
    return OC_OK;
}

/* Old writers leave the type out; the field that is there tells it. */
static void guess_type(parse *p, int64_t type) {
    if (!p->has_type) p->type = type;
}

static oc_status first_pass_field(parse *p, const oc__field *f) {
    oc_error *err = p->im->err;
    switch (f->number) {
    case A_NAME:
        return oc__field_string(f, "AttributeProto.name", p->im->arena,
                                &p->name, err);
    case A_REF:
        return oc__field_string(f, "AttributeProto.ref_attr_name",
                                p->im->scratch, &p->ref, err);
    case A_TYPE:
        p->has_type = 1;
        return oc__field_int(f, "AttributeProto.type", &p->type, err);
    case A_F: guess_type(p, OC_ATTR_FLOAT); return OC_OK;
    case A_I: guess_type(p, OC_ATTR_INT); return OC_OK;
    case A_S: guess_type(p, OC_ATTR_STRING); return OC_OK;
    case A_T: guess_type(p, OC_ATTR_TENSOR); return OC_OK;
    case A_G: guess_type(p, OC_ATTR_GRAPH); return OC_OK;
    case A_TP: guess_type(p, OC_ATTR_TYPE); return OC_OK;
    case A_SPARSE: guess_type(p, ATTR_SPARSE_TENSOR); return OC_OK;
    case A_FLOATS:
        guess_type(p, OC_ATTR_FLOATS);
        return oc__field_count_fixed(f, "AttributeProto.floats", 4,
                                     &p->n_floats, err);
    case A_INTS:
        guess_type(p, OC_ATTR_INTS);
        return oc__field_count_varints(f, "AttributeProto.ints", &p->n_ints,
                                       err);
    case A_STRINGS:
        guess_type(p, OC_ATTR_STRINGS);
        p->n_strings++;
        return OC_OK;
    case A_TENSORS:
        guess_type(p, OC_ATTR_TENSORS);
        p->n_tensors++;
        return OC_OK;
    case A_GRAPHS:
        guess_type(p, OC_ATTR_GRAPHS);
        p->n_graphs++;
        return OC_OK;
    default: return OC_OK;
    }
}

static oc_status first_pass(parse *p) {
    for (oc__wire m = p->message; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, p->im->err));
        OC_TRY(first_pass_field(p, &f));
    }
    if (!*p->name) {
        return oc__fail_at(p->im->err, OC_E_FORMAT,
                           oc__wire_offset(&p->message),
                           "an attribute at byte %lld has no name",
                           (long long)oc__wire_offset(&p->message));
    }
    return OC_OK;
}

/* ---- filling ---------------------------------------------------------------
 */

/* The field that carries the data of an attribute type, 0 for none. */
static uint32_t field_of_type(int64_t type) {
    switch (type) {
    case OC_ATTR_FLOAT: return A_F;
    case OC_ATTR_INT: return A_I;
    case OC_ATTR_STRING: return A_S;
    case OC_ATTR_TENSOR: return A_T;
    case OC_ATTR_GRAPH: return A_G;
    case OC_ATTR_FLOATS: return A_FLOATS;
    case OC_ATTR_INTS: return A_INTS;
    case OC_ATTR_STRINGS: return A_STRINGS;
    case OC_ATTR_TENSORS: return A_TENSORS;
    case OC_ATTR_GRAPHS: return A_GRAPHS;
    case OC_ATTR_TYPE: return A_TP;
    case ATTR_SPARSE_TENSOR: return A_SPARSE;
    default: return 0;
    }
}

/* The lists, zeroed, long enough for what the first pass counted. */
static oc_status make_room(parse *p) {
    oc__attr *a = p->out;
    oc__arena *arena = p->im->arena;
    int failed = 0;
    switch (p->type) {
    case OC_ATTR_FLOATS:
        a->n = p->n_floats;
        failed = !(a->floats = oc__arena_array(arena, a->n, sizeof(float)));
        break;
    case OC_ATTR_INTS:
        a->n = p->n_ints;
        failed = !(a->ints = oc__arena_array(arena, a->n, sizeof(int64_t)));
        break;
    case OC_ATTR_STRINGS:
        a->n = p->n_strings;
        failed =
            !(a->strings = oc__arena_array(arena, a->n, sizeof(oc_string)));
        break;
    case OC_ATTR_TENSOR:
    case ATTR_SPARSE_TENSOR:
    case OC_ATTR_TENSORS:
        a->n = p->type == OC_ATTR_TENSORS ? p->n_tensors : 1;
        failed =
            !(a->tensors = oc__arena_array(arena, a->n, sizeof(oc_tensor)));
        break;
    case OC_ATTR_GRAPH:
    case OC_ATTR_GRAPHS:
        a->n = p->type == OC_ATTR_GRAPHS ? p->n_graphs : 1;
        failed =
            !(a->graphs = oc__arena_array(arena, a->n, sizeof(oc__graph *)));
        break;
    default: break;
    }
    return failed ? oc__fail_nomem(p->im->err) : OC_OK;
}

static oc_status fill_string(parse *p, const oc__wire *body, oc_string *out) {
    out->bytes = oc__wire_left(body);
    /* Not a name: any bytes are fine.  The NUL behind is for C's sake. */
    out->data =
        oc__arena_strndup(p->im->arena, (const char *)body->p, out->bytes);
    return out->data ? OC_OK : oc__fail_nomem(p->im->err);
}

static oc_status fill_body(parse *p, const oc__field *f) {
    oc__importer *im = p->im;
    oc__attr *a = p->out;
    oc__wire body;
    OC_TRY(oc__field_body(f, "AttributeProto", &body, im->err));
    /* A field that should stand once: the last one counts, as in protobuf. */
    size_t i = f->number == A_STRINGS || f->number == A_TENSORS ||
                       f->number == A_GRAPHS
                   ? p->at++
                   : 0;
    switch (f->number) {
    case A_S: return fill_string(p, &body, &a->s);
    case A_STRINGS: return fill_string(p, &body, &((oc_string *)a->strings)[i]);
    case A_T:
    case A_TENSORS:
        return oc__tensor_read(&im->tensors, &body,
                               &((oc_tensor *)a->tensors)[i], NULL, im->err);
    case A_SPARSE:
        return oc__sparse_tensor_read(
            &im->tensors, &body, &((oc_tensor *)a->tensors)[i], NULL, im->err);
    case A_G:
    case A_GRAPHS:
        if (a->graphs[i]) {
            return oc__fail_at(im->err, OC_E_FORMAT, f->offset,
                               "attribute \"%.80s\" at byte %lld has two "
                               "graphs",
                               p->name, (long long)f->offset);
        }
        return oc__import_graph(im, &body, p->scope, p->captures,
                                &a->graphs[i]);
    default: break;
    }
    oc__type type;
    OC_TRY(oc__import_type(im, &body, &type));
    a->kind = type.kind;
    a->i = type.dtype;
    return OC_OK;
}

static oc_status fill_field(parse *p, const oc__field *f) {
    oc_error *err = p->im->err;
    oc__attr *a = p->out;
    switch (f->number) {
    case A_F: return oc__field_float(f, "AttributeProto.f", &a->f, err);
    case A_I: return oc__field_int(f, "AttributeProto.i", &a->i, err);
    case A_FLOATS:
        return oc__field_fixed(f, "AttributeProto.floats", 4,
                               (float *)(uintptr_t)a->floats, &p->at, err);
    case A_INTS:
        return oc__field_varints(f, "AttributeProto.ints",
                                 (int64_t *)(uintptr_t)a->ints, &p->at, err);
    default: return fill_body(p, f);
    }
}

static oc_status second_pass(parse *p) {
    uint32_t number = field_of_type(p->type);
    int seen = 0;
    if (!number) {
        return oc__fail_at(p->im->err, OC_E_UNSUPPORTED,
                           oc__wire_offset(&p->message),
                           "attribute \"%.80s\" at byte %lld has type %lld, "
                           "which is unknown",
                           p->name, (long long)oc__wire_offset(&p->message),
                           (long long)p->type);
    }
    OC_TRY(make_room(p));
    for (oc__wire m = p->message; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, p->im->err));
        if (f.number != number) continue;
        seen = 1;
        OC_TRY(fill_field(p, &f));
    }
    /* Numbers and strings have a default in protobuf, and lists may be
       empty; a tensor or graph that is not there is an error. */
    if (!seen && (p->out->tensors || p->out->graphs) && p->out->n) {
        return oc__fail_at(p->im->err, OC_E_FORMAT,
                           oc__wire_offset(&p->message),
                           "attribute \"%.80s\" at byte %lld is empty", p->name,
                           (long long)oc__wire_offset(&p->message));
    }
    if (p->type == OC_ATTR_STRING && !p->out->s.data) p->out->s.data = "";
    p->out->type =
        p->type == ATTR_SPARSE_TENSOR ? OC_ATTR_TENSOR : (oc__attr_type)p->type;
    return OC_OK;
}

/* ---- references -------------------------------------------------------------
 */

/* The attribute `name` in a list of AttributeProtos. */
static oc_status find_in(oc__importer *im, const oc__wire *list, size_t n,
                         const char *name, const oc__wire **out) {
    *out = NULL;
    for (size_t i = 0; i < n && !*out; i++) {
        const char *other;
        OC_TRY(oc__import_attribute_name(im, &list[i], &other));
        if (!strcmp(other, name)) *out = &list[i];
    }
    return OC_OK;
}

/*
 * Reads what the call of the function around p->scope gives for p->ref: there
 * the attribute is read as if it stood at the call, or the function's own
 * default, which can refer to nothing.
 */
static oc_status follow(parse *p, int *present) {
    oc__importer *im = p->im;
    const oc__frame *frame = p->scope->frame;
    if (!frame) {
        return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(&p->message),
                           "attribute \"%.80s\" at byte %lld refers to a "
                           "function's attribute outside of a function",
                           p->name, (long long)oc__wire_offset(&p->message));
    }
    const oc__wire *found;
    oc__scope *scope = frame->caller;
    OC_TRY(find_in(im, frame->call->attributes, frame->call->n_attributes,
                   p->ref, &found));
    if (!found) {
        OC_TRY(find_in(im, frame->function->attr_defaults,
                       frame->function->n_attr_defaults, p->ref, &found));
    }
    *present = 0;
    if (!found) return OC_OK;
    /* A graph given at the call captures values there, so the node that
       holds it must stand in the same graph. */
    oc__int_list *captures =
        scope->graph == p->scope->graph ? p->captures : NULL;
    OC_TRY(oc__import_attribute(im, scope, found, captures, p->out, present));
    p->out->name = p->name;
    return OC_OK;
}

oc_status oc__import_attribute(oc__importer *im, oc__scope *s,
                               const oc__wire *w, oc__int_list *node_captures,
                               oc__attr *out, int *present) {
    parse p;
    memset(&p, 0, sizeof(p));
    memset(out, 0, sizeof(*out));
    p.im = im;
    p.scope = s;
    p.captures = node_captures;
    p.message = *w;
    p.name = p.ref = "";
    p.out = out;
    OC_TRY(first_pass(&p));
    out->name = p.name;
    if (*p.ref) return follow(&p, present);
    *present = 1;
    return second_pass(&p);
}
