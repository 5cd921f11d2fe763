/*
 * graph.h - the network: nodes are operators, values are the edges.
 *
 * Values and nodes are numbered; numbers stay valid while passes run (dead
 * ones are skipped, oc__graph_compact() drops them).  Nodes stand in an order
 * in which every value is made before it is used.  Everything in a graph is
 * in its arena, except the buffers of constants that passes have computed.
 *
 * A node that holds sub-graphs (If, Loop, Scan, SequenceMap) lists the values
 * of the outer graph that the sub-graphs use behind its own inputs:
 *
 *     node.in:  [explicit 0 .. n_explicit-1][captures n_explicit .. n_in-1]
 *
 * so a pass that walks node.in sees every use.  In the sub-graph, captured
 * value j is an input like others: graph.captures[j].value, fed from
 * node.in[graph.captures[j].node_input].
 */
#ifndef OC_GRAPH_GRAPH_H
#define OC_GRAPH_GRAPH_H

#include "graph/value.h"

typedef struct oc__graph oc__graph;
typedef struct oc__node oc__node;
struct oc__op; /* ops/op.h */

/** ONNX's AttributeProto.AttributeType numbers. */
typedef enum oc__attr_type {
    OC_ATTR_NONE = 0,
    OC_ATTR_FLOAT = 1,
    OC_ATTR_INT = 2,
    OC_ATTR_STRING = 3,
    OC_ATTR_TENSOR = 4,
    OC_ATTR_GRAPH = 5,
    OC_ATTR_FLOATS = 6,
    OC_ATTR_INTS = 7,
    OC_ATTR_STRINGS = 8,
    OC_ATTR_TENSORS = 9,
    OC_ATTR_GRAPHS = 10,
    OC_ATTR_TYPE = 13, /* a TypeProto: kind and dtype in i and f's place */
} oc__attr_type;

typedef struct oc__attr {
    const char *name;
    oc__attr_type type;
    int64_t i;   /* INT; TYPE: the element dtype */
    float f;     /* FLOAT */
    oc_string s; /* STRING; also NUL-terminated */
    size_t n;    /* elements of the list below */
    const int64_t *ints;
    const float *floats;
    const oc_string *strings; /* each NUL-terminated */
    const oc_tensor *tensors; /* TENSOR: one */
    oc__graph **graphs;       /* GRAPH: one */
    oc_kind kind;             /* TYPE */
} oc__attr;

struct oc__node {
    const struct oc__op *op; /* resolved at import; never NULL */
    const char *name;        /* "" when the file gives none */
    int version;             /* opset version of the op's domain */
    int n_in, n_explicit, n_out, n_attrs;
    int *in;  /* value numbers; -1: absent optional */
    int *out; /* value numbers; -1: not wanted */
    oc__attr *attrs;
    int dead; /* removed by a pass */
};

/** One edge. */
typedef struct oc__value_def {
    const char *name;
    oc_kind kind;
    oc_dtype dtype;                     /* NONE: unknown */
    int rank;                           /* -1: unknown */
    int64_t dims[OC_MAX_RANK];          /* -1: unknown */
    const char *dim_names[OC_MAX_RANK]; /* symbolic, or NULL */
    const oc_tensor *constant; /* the data when this edge is a constant */
    oc__buf *buf; /* owner of constant->data when a pass computed it */
} oc__value_def;

typedef struct oc__capture {
    int value;      /* in the sub-graph */
    int node_input; /* index into the node's in[] */
} oc__capture;

/**
 * A variable: an input whose memory holds, once a run is done, what the run
 * has given as an output.  Both are places in the graph's lists, since passes
 * may put other values there.
 */
typedef struct oc__update {
    int input, output;
} oc__update;

struct oc__graph {
    oc__arena *arena; /* shared by a model's graphs */
    const char *name;
    oc__value_def *values;
    int n_values, cap_values;
    oc__node **nodes;
    int n_nodes, cap_nodes;
    int n_inputs, n_outputs, n_captures;
    int *inputs;           /* without initialisers that are not inputs */
    int *outputs;          /* value numbers; may be a constant or an input */
    int n_glimpses;        /* the last so many outputs are looked at when they
                              are made (exec.h), and are not there at the end */
    oc__capture *captures; /* empty for the top graph */
    int n_updates;
    oc__update *updates; /* variables; of the top graph alone */
};

/** An empty graph in `arena`. */
oc__graph *oc__graph_create(oc__arena *arena);
/** Releases the buffers of computed constants, sub-graphs' too. */
void oc__graph_release(oc__graph *g);
/** A new value; -1 when out of memory.  name is copied (NULL: made up). */
int oc__graph_add_value(oc__graph *g, const char *name);
/** A constant value over t (borrowed; t itself is copied). */
int oc__graph_add_constant(oc__graph *g, const char *name, const oc_tensor *t);
/**
 * Appends a node with room for n_in inputs and n_out outputs, all -1, and
 * n_attrs attributes; NULL when out of memory.
 */
oc__node *oc__graph_add_node(oc__graph *g, const struct oc__op *op,
                             const char *name, int version, int n_in, int n_out,
                             int n_attrs);
/** The same, placed before node number `before`. */
oc__node *oc__graph_insert_node(oc__graph *g, int before,
                                const struct oc__op *op, const char *name,
                                int version, int n_in, int n_out, int n_attrs);
/** A copy that shares constants (buffers counted) and attributes. */
oc__graph *oc__graph_clone(const oc__graph *g, oc__arena *arena);

/** Every use of value `from` becomes one of `to`, graph outputs included. */
void oc__graph_replace_uses(oc__graph *g, int from, int to);
/** Number of uses: node inputs and graph outputs. */
int oc__graph_use_count(const oc__graph *g, int value);
/** Fills uses[v] for every value at once; uses has n_values entries. */
void oc__graph_count_uses(const oc__graph *g, int *uses);
/** Fills producer[v] with the node number that makes v, or -1. */
void oc__graph_find_producers(const oc__graph *g, int *producer);
/** Whether value v is a graph output. */
int oc__graph_is_output(const oc__graph *g, int value);
/** Drops dead nodes from the list (values keep their numbers). */
void oc__graph_compact(oc__graph *g);
/** Restores the order "made before used"; E_FORMAT on a cycle. */
oc_status oc__graph_sort(oc__graph *g, oc_error *err);

/* ---- attributes ------------------------------------------------------------
 */

const oc__attr *oc__attr_find(const oc__node *n, const char *name);
int64_t oc__attr_int(const oc__node *n, const char *name, int64_t fallback);
float oc__attr_float(const oc__node *n, const char *name, float fallback);
/** A NUL-terminated string. */
const char *oc__attr_string(const oc__node *n, const char *name,
                            const char *fallback);
/** An integer list; *count is 0 and NULL returned when absent. */
const int64_t *oc__attr_ints(const oc__node *n, const char *name,
                             size_t *count);
const float *oc__attr_floats(const oc__node *n, const char *name,
                             size_t *count);
const oc_string *oc__attr_strings(const oc__node *n, const char *name,
                                  size_t *count);
const oc_tensor *oc__attr_tensor(const oc__node *n, const char *name);
oc__graph *oc__attr_graph(const oc__node *n, const char *name);
/** Sets attribute slot i of n (made by add_node); data is borrowed. */
void oc__attr_set_int(oc__node *n, int i, const char *name, int64_t v);
void oc__attr_set_float(oc__node *n, int i, const char *name, float v);
void oc__attr_set_ints(oc__node *n, int i, const char *name, const int64_t *v,
                       size_t count);
void oc__attr_set_string(oc__node *n, int i, const char *name, const char *v);

/* ---- checks and text -------------------------------------------------------
 */

/**
 * Every number in range, every value made once and before its use, arity as
 * the op says, sub-graph captures consistent.  Runs after import and, in
 * debug and test builds, after every pass.
 */
oc_status oc__graph_verify(const oc__graph *g, oc_error *err);
/** One node a line through emit. */
void oc__graph_print(const oc__graph *g,
                     void (*emit)(void *user, const char *text, size_t bytes),
                     void *user);

#endif
