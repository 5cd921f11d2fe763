/* import.c - ModelProto; see import.h. */
#include "onnx/import.h"

#include "onnx/importer.h"

#include <string.h>

/* ModelProto's fields. */
enum {
    M_IR_VERSION = 1,
    M_PRODUCER_NAME = 2,
    M_PRODUCER_VERSION = 3,
    M_DOMAIN = 4,
    M_MODEL_VERSION = 5,
    M_DOC_STRING = 6,
    M_GRAPH = 7,
    M_OPSET_IMPORT = 8,
    M_METADATA = 14,
    M_FUNCTION = 25,
};

enum { OLDEST_IR = 3, ABSURD_IR = 100 };

int oc__onnx_opset(const oc__onnx *m, const char *domain) {
    for (size_t i = 0; i < m->n_opsets; i++) {
        if (!strcmp(m->opsets[i].domain, domain)) return m->opsets[i].version;
    }
    return 0;
}

size_t oc__onnx_count_nodes(const oc__graph *g) {
    size_t n = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *node = g->nodes[i];
        n += !node->dead;
        for (int a = 0; a < node->n_attrs; a++) {
            for (size_t k = 0; node->attrs[a].graphs && k < node->attrs[a].n;
                 k++) {
                n += oc__onnx_count_nodes(node->attrs[a].graphs[k]);
            }
        }
    }
    return n;
}

void oc__onnx_release(oc__onnx *m) {
    if (m->graph) oc__graph_release(m->graph);
    oc__externals_release(&m->externals);
    oc__arena_deinit(&m->data);
    m->graph = NULL;
}

static oc_status read_prop(oc__importer *im, const oc__field *f,
                           oc__prop *out) {
    oc__wire w;
    out->key = out->value = "";
    OC_TRY(oc__field_body(f, "ModelProto.metadata_props", &w, im->err));
    while (oc__wire_more(&w)) {
        oc__field e;
        OC_TRY(oc__wire_next(&w, &e, im->err));
        if (e.number == 1 || e.number == 2) {
            OC_TRY(oc__field_string(&e, "metadata_props", im->arena,
                                    e.number == 1 ? &out->key : &out->value,
                                    im->err));
        }
    }
    return OC_OK;
}

/* First pass: what the graph cannot be read without. */
static oc_status read_header(oc__importer *im, const oc__wire *w) {
    oc__onnx *m = im->model;
    for (oc__wire r = *w; oc__wire_more(&r);) {
        oc__field f;
        OC_TRY(oc__wire_next(&r, &f, im->err));
        switch (f.number) {
        case M_IR_VERSION:
            OC_TRY(oc__field_int(&f, "ModelProto.ir_version", &m->ir_version,
                                 im->err));
            break;
        case M_OPSET_IMPORT: m->n_opsets++; break;
        case M_METADATA: m->n_props++; break;
        case M_FUNCTION: im->n_functions++; break;
        default: break;
        }
    }
    m->opsets = oc__arena_array(im->arena, m->n_opsets, sizeof(*m->opsets));
    m->props = oc__arena_array(im->arena, m->n_props, sizeof(*m->props));
    im->functions =
        oc__arena_array(im->scratch, im->n_functions, sizeof(*im->functions));
    if (!m->opsets || !m->props || !im->functions) {
        return oc__fail_nomem(im->err);
    }
    if (m->ir_version < OLDEST_IR || m->ir_version > ABSURD_IR) {
        return oc__fail(im->err,
                        m->ir_version > 0 && m->ir_version < OLDEST_IR
                            ? OC_E_UNSUPPORTED
                            : OC_E_FORMAT,
                        "this is no ONNX model of IR version %d or newer "
                        "(the version found is %lld)",
                        OLDEST_IR, (long long)m->ir_version);
    }
    return OC_OK;
}

/* Second pass: everything but the graph, which *graph receives. */
static oc_status read_fields(oc__importer *im, const oc__wire *w,
                             oc__wire *graph, int *has_graph) {
    oc__onnx *m = im->model;
    size_t opset = 0, prop = 0, function = 0;
    for (oc__wire r = *w; oc__wire_more(&r);) {
        oc__field f;
        oc__wire body;
        const char **s = NULL;
        OC_TRY(oc__wire_next(&r, &f, im->err));
        switch (f.number) {
        case M_PRODUCER_NAME: s = &m->producer_name; break;
        case M_PRODUCER_VERSION: s = &m->producer_version; break;
        case M_DOMAIN: s = &m->domain; break;
        case M_DOC_STRING: s = &m->doc_string; break;
        case M_MODEL_VERSION:
            OC_TRY(oc__field_int(&f, "ModelProto.model_version",
                                 &m->model_version, im->err));
            break;
        case M_OPSET_IMPORT:
            OC_TRY(oc__import_opset(im, &f, &m->opsets[opset++]));
            break;
        case M_METADATA: OC_TRY(read_prop(im, &f, &m->props[prop++])); break;
        case M_GRAPH:
            OC_TRY(oc__field_body(&f, "ModelProto.graph", graph, im->err));
            if (++*has_graph > 1) {
                return oc__fail_at(im->err, OC_E_FORMAT, f.offset,
                                   "a second graph starts at byte %lld",
                                   (long long)f.offset);
            }
            break;
        case M_FUNCTION:
            OC_TRY(oc__field_body(&f, "ModelProto.functions", &body, im->err));
            OC_TRY(
                oc__import_add_function(im, &body, &im->functions[function]));
            OC_TRY(oc__import_index_function(im, (int)function++));
            break;
        default: break;
        }
        if (s)
            OC_TRY(oc__field_string(&f, "ModelProto", im->arena, s, im->err));
    }
    return OC_OK;
}

static oc_status explain_missing(oc__importer *im) {
    if (im->n_missing == 1) {
        if (im->err) *im->err = im->missing_error;
        return OC_E_UNSUPPORTED;
    }
    oc__error_node(im->err, im->missing_error.node);
    return oc__fail(im->err, OC_E_UNSUPPORTED,
                    "%d operators are not supported: %s", im->n_missing,
                    im->missing_text);
}

/*
 * Captures were counted from the node's first one; the verifier and the
 * runtime count from its first input.
 */
static void place_captures(oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        for (int a = 0; a < n->n_attrs; a++) {
            for (size_t k = 0; n->attrs[a].graphs && k < n->attrs[a].n; k++) {
                oc__graph *sub = n->attrs[a].graphs[k];
                for (int c = 0; c < sub->n_captures; c++) {
                    sub->captures[c].node_input += n->n_explicit;
                }
                place_captures(sub);
            }
        }
    }
}

static oc_status import_model(oc__importer *im, const oc__wire *w) {
    oc__wire graph;
    int has_graph = 0;
    OC_TRY(read_header(im, w));
    OC_TRY(read_fields(im, w, &graph, &has_graph));
    if (!has_graph) {
        return oc__fail(im->err, OC_E_FORMAT, "the model has no graph");
    }
    OC_TRY(oc__import_graph(im, &graph, NULL, NULL, &im->model->graph));
    if (im->n_missing) return explain_missing(im);
    place_captures(im->model->graph);
    im->model->node_count = oc__onnx_count_nodes(im->model->graph);
    return oc__graph_verify(im->model->graph, im->err);
}

oc_status oc__onnx_import(oc__onnx *out, oc__arena *arena, const void *data,
                          size_t bytes, const oc__import_options *opt,
                          oc_error *err) {
    oc__arena scratch;
    oc__importer *im;
    memset(out, 0, sizeof(*out));
    oc__arena_init(&scratch, arena->allocator);
    im = oc__arena_alloc(&scratch, sizeof(*im));
    if (!im) return oc__fail_nomem(err);
    im->arena = arena;
    im->scratch = &scratch;
    im->model = out;
    im->err = err;
    im->bake_defaults = opt->bake_defaults;
    oc__names_init(&im->missing, &scratch);
    oc__names_init(&im->function_names, &scratch);
    out->producer_name = out->producer_version = out->domain = "";
    out->doc_string = "";
    out->externals.arena = arena;
    out->externals.folder = opt->folder;
    out->externals.max_file_bytes = opt->max_file_bytes;
    oc__arena_init(&out->data, arena->allocator);
    im->tensors.arena = &out->data;
    im->tensors.file = opt->file;
    im->tensors.externals = opt->externals ? opt->externals : &out->externals;
    oc__wire w = oc__wire_open(data, bytes);
    oc_status st = import_model(im, &w);
    oc__arena_deinit(&scratch);
    if (st != OC_OK) {
        oc__onnx_release(out);
        memset(out, 0, sizeof(*out));
    }
    return st;
}
