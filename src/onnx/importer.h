/*
 * importer.h - what the files of the importer share.
 *
 *     import.c            the model: header, opsets, metadata
 *     import_graph.c      a graph: inputs, initialisers, outputs, order
 *     import_node.c       a node: its names, its operator, its captures
 *     import_function.c   a call of a model-local function
 *     import_attribute.c  an attribute
 *     import_type.c       types and shapes of values
 *
 * A scope is where names are looked up.  A sub-graph's scope hangs below the
 * scope of the graph around it.  A function's body has a scope of its own,
 * which sees nothing outside, over the graph of the caller:
 *
 *     scope (top graph) <--outer-- scope (then_branch: another graph)
 *     scope (function body: same graph as the call, no outer)
 */
#ifndef OC_ONNX_IMPORTER_H
#define OC_ONNX_IMPORTER_H

#include "onnx/import.h"
#include "onnx/names.h"
#include "onnx/tensor_proto.h"
#include "onnx/wire.h"
#include "ops/op.h"

/*
 * Bounds.  A level of nesting costs some kilobytes of stack; functions that
 * call functions can grow a small file exponentially.
 */
enum {
    OC_IMPORT_MAX_DEPTH = 64,
    OC_IMPORT_MAX_TYPE_DEPTH = 16,
    OC_IMPORT_MAX_INLINED = 1 << 18, /* nodes of inlined functions */
    OC_IMPORT_MAX_OPSET = 1000,
    OC_IMPORT_MAX_ATTRIBUTES = 1024, /* of one node */
};

/* In a scope's names: the caller gave nothing for this function input. */
#define OC_IMPORT_ABSENT INT32_MAX

/* A list of value numbers in the scratch arena. */
typedef struct oc__int_list {
    int *items;
    int n, cap;
} oc__int_list;

/** A model-local function, as found in the file. */
typedef struct oc__function {
    const char *domain, *name, *overload;
    oc__wire message;
    int parsed; /* what follows is filled on the first call */
    const char **inputs, **outputs;
    size_t n_inputs, n_outputs;
    oc__wire *attr_defaults; /* AttributeProto */
    size_t n_attr_defaults;
    oc__opset *opsets;
    size_t n_opsets;
    struct oc__node_message *nodes;
    size_t n_nodes;
    oc__wire *value_infos;
    size_t n_value_infos;
} oc__function;

/** A NodeProto, taken apart but not yet looked up. */
typedef struct oc__node_message {
    int64_t offset;
    const char *name, *op_type, *domain, *overload;
    const char **inputs, **outputs;
    size_t n_inputs, n_outputs;
    oc__wire *attributes;
    size_t n_attributes;
    int constant;           /* was a Constant: its output is set already */
    oc__function *function; /* the model-local one it calls, or NULL */
} oc__node_message;

/** A function being inlined. */
typedef struct oc__frame {
    const oc__function *function;
    const oc__node_message *call;
    struct oc__scope *caller; /* where the call stands */
    const char *prefix;       /* of the names inside: "call/" */
} oc__frame;

typedef struct oc__scope {
    oc__graph *graph;
    oc__names names;
    oc__names results; /* functions: outputs no node has made yet */
    struct oc__scope *outer;
    const oc__frame *frame; /* NULL outside of functions */
    /* Captures: value in this graph, and the place of its source in the list
       of the node that holds the graph. */
    oc__int_list capture_values, capture_inputs;
    /* Values of the outer graph that the holding node captures; NULL: none
       may be captured. */
    oc__int_list *node_captures;
} oc__scope;

typedef struct oc__importer {
    oc__arena *arena;   /* the model's */
    oc__arena *scratch; /* gone when the import is done */
    oc__tensor_reader tensors;
    oc__onnx *model;
    int bake_defaults;
    oc__function *functions;
    size_t n_functions;
    oc__names function_names;
    int level;             /* graphs and functions being read */
    int64_t inlined_count; /* nodes of functions, so far */
    int n_calls;           /* makes names of unnamed calls differ */
    /* Operators that are not there. */
    oc__names missing;
    int n_missing;
    size_t missing_length;
    char missing_text[256];
    oc_error missing_error; /* the first one's */
    oc_error *err;
} oc__importer;

/* ---- import_graph.c -------------------------------------------------------
 */

/** Imports the top graph (outer == NULL) or a sub-graph of a node. */
oc_status oc__import_graph(oc__importer *im, const oc__wire *w,
                           oc__scope *outer, oc__int_list *node_captures,
                           oc__graph **out);
/**
 * Finds the value a name stands for, capturing it when it is outside; -1 for
 * an argument the caller has left out.  `user` is who asks, for messages.
 */
oc_status oc__import_resolve(oc__importer *im, oc__scope *s, const char *name,
                             const char *user, int *value);
int oc__int_list_add(oc__importer *im, oc__int_list *list, int v);
/** Makes value v of g the constant t. */
oc_status oc__import_set_constant(oc__importer *im, oc__graph *g, int v,
                                  const oc_tensor *t);
/** The nodes of a graph or function body: declare all, then build all. */
oc_status oc__import_nodes(oc__importer *im, oc__scope *s,
                           oc__node_message *nodes, size_t n);

/* ---- import_node.c ---------------------------------------------------------
 */

oc_status oc__import_node_message(oc__importer *im, const oc__wire *w,
                                  oc__node_message *out);
/** Declares the outputs; a Constant is dealt with entirely. */
oc_status oc__import_declare_node(oc__importer *im, oc__scope *s,
                                  oc__node_message *m);
oc_status oc__import_node(oc__importer *im, oc__scope *s,
                          const oc__node_message *m);
/** Version of a domain in a scope, 0 when it is not imported. */
int oc__import_version(const oc__importer *im, const oc__scope *s,
                       const char *domain);
/** A node's name inside a scope: with the prefixes of the calls around. */
const char *oc__import_prefixed(oc__importer *im, const oc__scope *s,
                                const char *name);

/* ---- import_function.c ------------------------------------------------------
 */

/** Sets m->function to the function the node calls, or NULL. */
oc_status oc__import_find_function(oc__importer *im, oc__node_message *m);
/** Makes functions[i] findable; E_FORMAT when it is there already. */
oc_status oc__import_index_function(oc__importer *im, int i);
/** Reads the signature of a FunctionProto. */
oc_status oc__import_add_function(oc__importer *im, const oc__wire *w,
                                  oc__function *out);
/** Reads the OperatorSetIdProto in f. */
oc_status oc__import_opset(oc__importer *im, const oc__field *f,
                           oc__opset *out);
oc_status oc__import_call(oc__importer *im, oc__scope *s,
                          const oc__node_message *m, oc__function *f);

/* ---- import_attribute.c -----------------------------------------------------
 */

/** Name of an AttributeProto, without reading the rest. */
oc_status oc__import_attribute_name(oc__importer *im, const oc__wire *w,
                                    const char **name);
/**
 * Reads an AttributeProto.  A reference to an attribute of the enclosing
 * function is followed; *present is 0 when the call does not give it.
 */
oc_status oc__import_attribute(oc__importer *im, oc__scope *s,
                               const oc__wire *w, oc__int_list *node_captures,
                               oc__attr *out, int *present);

/* ---- import_type.c
 * ----------------------------------------------------------- */

typedef struct oc__type {
    oc_kind kind; /* NONE: the file does not say */
    int is_optional;
    oc_dtype dtype; /* of the tensor or of the elements; NONE: not said */
    int rank;       /* -1: not said */
    int64_t dims[OC_MAX_RANK];
    const char *dim_names[OC_MAX_RANK];
} oc__type;

oc_status oc__import_type(oc__importer *im, const oc__wire *w, oc__type *out);
/** Reads a ValueInfoProto. */
oc_status oc__import_value_info(oc__importer *im, const oc__wire *w,
                                const char **name, oc__type *type);
/**
 * Puts a declared type on a value.  What is known already must agree;
 * unknown parts are filled in.
 */
oc_status oc__import_apply_type(oc__importer *im, oc__value_def *v,
                                const oc__type *type, int64_t offset);

#endif
