/*
 * value_proto.h - TensorProto, SequenceProto, OptionalProto and MapProto
 * files, as ONNX keeps test inputs and outputs, to values and back.
 */
#ifndef OC_ONNX_VALUE_PROTO_H
#define OC_ONNX_VALUE_PROTO_H

#include "graph/value.h"
#include "onnx/wire_out.h"

/**
 * Reads a message into a clear value, which owns its data.  The bytes do not
 * say what they are: `kind` does, and is_optional, for an OptionalProto
 * around it.
 */
oc_status oc__value_proto_read(oc_value *out, const void *data, size_t bytes,
                               oc_kind kind, int is_optional,
                               const oc_allocator *a, oc_error *err);
/**
 * Puts t as the fields of a TensorProto (no key, no length before them);
 * name may be NULL.  Data is borrowed where its format is the file's.
 */
void oc__tensor_put(oc__wire_out *o, const oc_tensor *t, const char *name);
/** Puts v's message: TensorProto, SequenceProto or MapProto. */
oc_status oc__value_put(oc__wire_out *o, const oc_value *v, const char *name,
                        oc_error *err);

#endif
