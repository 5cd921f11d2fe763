/*
 * export.h - a graph becomes a ModelProto.
 *
 * Everything the importer keeps goes out again: importing the result gives
 * the same graph.  What the importer has resolved stays resolved: functions
 * inlined, Constant nodes as initialisers, sparse tensors dense.  Values get
 * new names where two of the graph's have the same one.
 */
#ifndef OC_ONNX_EXPORT_H
#define OC_ONNX_EXPORT_H

#include "onnx/import.h"
#include "onnx/wire_out.h"

typedef struct oc__export_options {
    /* Names of the graph's outputs, where passes may have put other values in
       their place; NULL: the values' own names. */
    const char *const *output_names;
} oc__export_options;

/**
 * Puts a model with graph g (which may be another one than m->graph) and the
 * header of m into o.  Large constants are borrowed.  opt may be NULL.
 */
oc_status oc__onnx_export(oc__wire_out *o, const oc__onnx *m,
                          const oc__graph *g, const oc__export_options *opt,
                          oc_error *err);

/**
 * Changes metadata_props of a model's bytes and nothing else: entries with
 * one of the keys go, then those with a value are added at the end.  The
 * result is put as pieces that point into data and `o`.
 */
oc_status oc__onnx_set_props(oc__wire_out *o, const void *data, size_t bytes,
                             const oc__prop *props, size_t n, oc_error *err);

#endif
