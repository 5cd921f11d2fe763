/*
 * import.h - a ModelProto becomes a graph.
 *
 * What the importer settles, so that nothing behind it has to know:
 *
 *   - Constant nodes and initialisers are constants of the graph.
 *   - Calls of model-local functions are inlined; names of what is inside
 *     start with "<node>/".
 *   - What a sub-graph uses of the graphs around it is a capture (graph.h).
 *     Constants are not captured: the sub-graph gets the same tensor.
 *   - Nodes stand in an order in which values are made before they are used,
 *     whatever order the file has them in.
 *   - Initialisers that are also inputs: from IR 4 on the input is kept and
 *     the initialiser is its default.  IR 3 demands that every initialiser is
 *     listed as an input too, so there the list says nothing and they are
 *     plain constants.
 *   - Every operator is there; if not, all missing ones are named.
 */
#ifndef OC_ONNX_IMPORT_H
#define OC_ONNX_IMPORT_H

#include "graph/graph.h"
#include "onnx/external.h"

typedef struct oc__opset {
    const char *domain; /* "" is ai.onnx */
    int version;
} oc__opset;

/** One entry of metadata_props. */
typedef struct oc__prop {
    const char *key, *value;
} oc__prop;

/** What the file says beside its graph.  Strings are "" when absent. */
typedef struct oc__onnx {
    oc__graph *graph;
    int64_t ir_version, model_version;
    const char *producer_name, *producer_version, *domain, *doc_string;
    oc__opset *opsets;
    size_t n_opsets;
    oc__prop *props;
    size_t n_props;
    /* Of graph->inputs[i]: its default or NULL; whether its type is
       optional(...).  Of graph->outputs[i]: the same second thing. */
    const oc_tensor **defaults;
    unsigned char *input_is_optional, *output_is_optional;
    size_t node_count, parameter_elems, parameter_bytes;
    oc__externals externals; /* mapped weights; the graph points into them */
    oc__arena data;          /* tensors that could not be used in place */
} oc__onnx;

typedef struct oc__import_options {
    const char *folder;    /* for external data; NULL: refuse it */
    size_t max_file_bytes; /* of an external file; 0: no limit */
    /* Inputs with defaults become constants (they stay listed as inputs). */
    int bake_defaults;
    /* Files of weights mapped before, to use and add to, which stay their
       owner's; NULL: the model maps and owns its own. */
    oc__externals *externals;
    /* What `data` lies in, if it is a file that was mapped: of what is copied
       the file's pages go.  NULL: it is the caller's memory. */
    const oc__file *file;
} oc__import_options;

/**
 * Imports `bytes` bytes of ONNX.  The graph lies in `arena` and points into
 * `data`, which must outlive it.
 *   out  zeroed on error; released with oc__onnx_release() before the arena
 * Errors: E_FORMAT, E_UNSUPPORTED, E_SHAPE, E_LIMIT, E_NOMEM, E_IO.
 */
oc_status oc__onnx_import(oc__onnx *out, oc__arena *arena, const void *data,
                          size_t bytes, const oc__import_options *opt,
                          oc_error *err);
/** Releases the graph's buffers and the mapped files. */
void oc__onnx_release(oc__onnx *m);
/** Nodes of g and its sub-graphs. */
size_t oc__onnx_count_nodes(const oc__graph *g);
/** Version the model imports of a domain, 0 when it does not. */
int oc__onnx_opset(const oc__onnx *m, const char *domain);

#endif
