/*
 * model.h - a loaded model: one arena, the graph in it, what it was made of.
 *
 * A model is immutable once oc_model_load() has returned, but for the "late"
 * and "open" graphs below, so any number of sessions on any number of threads
 * share it.
 *
 * Inputs that have a default (an initialiser of the same name, IR 4 and
 * newer) are almost never set.  So `graph` has the defaults baked in: such an
 * input stands in graph->inputs as a value with `constant` set, and folding
 * and packing see a constant.  A session in which one of them is set uses
 * oc__model_open_graph() instead, where they are ordinary inputs and unset
 * ones take their defaults.  Both graphs have the same inputs and outputs
 * in the same order.
 *
 * A model whose description was in the cache has no graph: most often its
 * program is in the cache too, and then nobody asks for one.  And one whose
 * inputs have fixed shapes lets its graph go once it has been compiled: the
 * weights live on in the program, packed.  Who wants a graph then calls
 * oc__model_graph(), which reads the file (again), once and for good.
 */
#ifndef OC_RUNTIME_MODEL_H
#define OC_RUNTIME_MODEL_H

#include "base/file.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "runtime/cache.h"
#include "runtime/exec.h"

#include <pthread.h>

struct oc__onnx; /* onnx/import.h: what the file said beside its graph */

struct oc_model {
    oc_allocator allocator; /* a copy: the caller's may go away */
    oc_options options;     /* options.allocator == &model->allocator */
    oc__kernels kernels;    /* for the resolved options.cpu_mask */
    oc__arena arena;        /* everything below lives here */
    oc__graph *graph;       /* after the passes; NULL: see late_onnx */
    int n_inputs, n_outputs;
    oc_value_info *inputs; /* inputs[i] describes graph->inputs[i] */
    oc_value_info *outputs;
    oc_model_summary summary;
    int is_random;    /* a node draws random numbers */
    int has_products; /* with weights of f32 */

    struct oc__onnx *onnx;
    oc__cache cache;                 /* of programs; mostly there is none */
    uint8_t digest[OC_BLAKE3_BYTES]; /* of all the model's files, if so */
    oc__file description; /* from the cache: what `onnx` points into */
    oc__file file;        /* mapped; empty when loaded from memory */
    const void *bytes;    /* the ONNX bytes, in file or the caller's */
    size_t n_bytes;
    char *path;         /* NULL when loaded from memory */
    const char *folder; /* of external data; NULL: refuse it */

    pthread_mutex_t lock; /* guards what follows */
    int has_lock;
    struct oc__onnx *late_onnx; /* of a graph that was imported late */
    int was_let_go;             /* the graph, once */
    int is_lent;                /* somebody has a pointer to it */
    int n_kept;                 /* programs added to the cache */
    struct oc__onnx *open_onnx;
    oc__arena open_arena;
    oc__graph *open_graph; /* NULL until somebody asks */
};

/**
 * The graph in which inputs with defaults can be set; made on first use,
 * kept as long as the model.  Thread-safe.
 *   defaults  receives their list: [i] is the tensor input i has when it is
 *             not set, or NULL; an optional input without one is then none
 */
oc_status oc__model_open_graph(oc_model *m, oc__graph **out,
                               const oc_tensor *const **defaults,
                               oc_error *err);
/**
 * model->graph, imported first where it is not there; from then on it stays.
 * Thread-safe.
 */
oc_status oc__model_graph(const oc_model *m, const oc__graph **out,
                          oc_error *err);
/**
 * A copy of it in arena.  *is_only: the model has let its own go, so that
 * nobody else reads the tensors in onnx->data.
 */
oc_status oc__model_clone_graph(oc_model *m, oc__graph **out, oc__arena *arena,
                                int *is_only, oc_error *err);
/** What goes with that graph: model->onnx, or late_onnx behind it. */
const struct oc__onnx *oc__model_onnx(const oc_model *m);

/* ---- precision.c ------------------------------------------------------------
 */

/** Whether a convolution or product has constant weights of f32. */
int oc__has_products(const oc__graph *g);
/** Sets kernels.bf16, once has_products is known. */
void oc__precision_choose(oc_model *m);

/* ---- model_cache.c
 * ----------------------------------------------------------- */

/** Fills in what the file says beside its graph; 0: not in the cache. */
int oc__model_recall(oc_model *m);
/**
 * The part of it that reads: s into m and o (zeroed, in m's arena); own is the
 * digest of the model's file.  0: s says nothing sound.
 */
int oc__model_read(oc_model *m, struct oc__onnx *o, oc__source *s,
                   const uint8_t *own);
/** Puts that into the cache, once the model is whole. */
void oc__model_remember(oc_model *m);
/** The program for these inputs, from the cache or made from the graph. */
oc__exec_compile oc__model_program;

#endif
