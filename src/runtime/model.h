/*
 * model.h - a loaded model: one arena, the graph in it, what it was made of.
 *
 * A model is immutable once oc_model_load() has returned, but for the "open"
 * graph below, so any number of sessions on any number of threads share it.
 *
 * Inputs that have a default (an initialiser of the same name, IR 4 and
 * newer) are almost never set.  So `graph` has the defaults baked in: such an
 * input stands in graph->inputs as a value with `constant` set, and folding
 * and packing see a constant.  A session in which one of them is set uses
 * oc__model_open_graph() instead, where they are ordinary inputs and unset
 * ones take model->defaults[i].  Both graphs have the same inputs and outputs
 * in the same order.
 */
#ifndef OC_RUNTIME_MODEL_H
#define OC_RUNTIME_MODEL_H

#include "base/file.h"
#include "graph/graph.h"
#include "kernels/kernels.h"

#include <pthread.h>

struct oc__onnx; /* onnx/import.h: what the file said beside its graph */

struct oc_model {
    oc_allocator allocator; /* a copy: the caller's may go away */
    oc_options options;     /* options.allocator == &model->allocator */
    oc__kernels kernels;    /* for the resolved options.cpu_mask */
    oc__arena arena;        /* everything below lives here */
    oc__graph *graph;       /* after the passes */
    int n_inputs, n_outputs;
    oc_value_info *inputs; /* inputs[i] describes graph->inputs[i] */
    oc_value_info *outputs;
    /* defaults[i]: the tensor input i has when it is not set, or NULL.  An
       input with inputs[i].optional and no default is then none. */
    const oc_tensor **defaults;
    oc_model_summary summary;
    int is_random; /* a node draws random numbers */

    struct oc__onnx *onnx;
    oc__file file;     /* mapped; empty when loaded from memory */
    const void *bytes; /* the ONNX bytes, in file or the caller's */
    size_t n_bytes;
    char *path; /* NULL when loaded from memory */

    pthread_mutex_t lock; /* guards what follows */
    int has_lock;
    struct oc__onnx *open_onnx;
    oc__arena open_arena;
    oc__graph *open_graph; /* NULL until somebody asks */
};

/**
 * The graph in which inputs with defaults can be set; made on first use,
 * kept as long as the model.  Thread-safe.  The same as model->graph when no
 * input has a default.
 */
oc_status oc__model_open_graph(oc_model *m, oc__graph **out, oc_error *err);

#endif
