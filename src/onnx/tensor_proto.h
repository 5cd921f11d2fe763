/*
 * tensor_proto.h - TensorProto and SparseTensorProto to tensors.
 *
 * Data is used where it lies when it can be: raw_data or external data,
 * little endian, aligned to its element.  Otherwise it is decoded or copied
 * into the arena.  Elements below a byte are unpacked to one a byte:
 *
 *     u4, i4, f4: two in a byte, low half first;  u2, i2: four, low first
 *
 * String elements point into the file.
 */
#ifndef OC_ONNX_TENSOR_PROTO_H
#define OC_ONNX_TENSOR_PROTO_H

#include "graph/graph.h"
#include "onnx/external.h"
#include "onnx/wire.h"

typedef struct oc__tensor_reader {
    oc__arena *arena;
    oc__externals *externals; /* NULL: external data is refused */
    const oc__file *file;     /* what is copied out of it need not stay in
                                 memory; NULL: it is in none */
} oc__tensor_reader;

/**
 * Reads a TensorProto.  name (may be NULL) receives its name, "" without.
 * out->data is never NULL on success, even without elements.
 */
oc_status oc__tensor_read(const oc__tensor_reader *r, const oc__wire *w,
                          oc_tensor *out, const char **name, oc_error *err);
/** Reads a SparseTensorProto into a dense tensor. */
oc_status oc__sparse_tensor_read(const oc__tensor_reader *r, const oc__wire *w,
                                 oc_tensor *out, const char **name,
                                 oc_error *err);
/** Whether number is a TensorProto.DataType that has elements. */
int oc__dtype_is_known(int64_t number);

#endif
