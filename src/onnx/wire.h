/*
 * wire.h - reads the protobuf wire format where it lies.
 *
 * A message is a run of fields, each a key varint (number << 3 | type) and a
 * payload:
 *
 *     type 0  varint           1 to 10 bytes, 7 bits each, low bits first
 *     type 1  fixed 64         8 bytes, little endian
 *     type 2  length-delimited varint length, then that many bytes: a string,
 *                              a message, or packed numbers
 *     type 5  fixed 32         4 bytes, little endian
 *
 * Groups (types 3 and 4) are long dead and refused.  Nothing is copied: a
 * field of type 2 is handed out as a reader over its bytes.  A reader is four
 * words and is passed by value; `base` stays the start of the file, so every
 * error knows its byte offset.
 */
#ifndef OC_ONNX_WIRE_H
#define OC_ONNX_WIRE_H

#include "base/memory.h"

typedef struct oc__wire {
    const uint8_t *base; /* of the file, for offsets */
    const uint8_t *p, *end;
} oc__wire;

enum { OC_WIRE_VARINT = 0, OC_WIRE_I64 = 1, OC_WIRE_LEN = 2, OC_WIRE_I32 = 5 };

typedef struct oc__field {
    uint32_t number;
    int type;       /* OC_WIRE_* */
    uint64_t bits;  /* VARINT, I64, I32: the value */
    oc__wire body;  /* LEN: the payload */
    int64_t offset; /* of the key, from the start of the file */
} oc__field;

/** A reader over bytes; `data` may be NULL when bytes is 0. */
oc__wire oc__wire_open(const void *data, size_t bytes);
/** Byte offset of the reader in its file. */
int64_t oc__wire_offset(const oc__wire *w);
static inline int oc__wire_more(const oc__wire *w) {
    return w->p < w->end;
}
static inline size_t oc__wire_left(const oc__wire *w) {
    return (size_t)(w->end - w->p);
}

/** Reads one field; w must have more.  E_FORMAT with the offset. */
oc_status oc__wire_next(oc__wire *w, oc__field *f, oc_error *err);

/* ---- fields as values ------------------------------------------------------
 */

/* `what` names the field in messages: "TensorProto.dims". */

/** A signed integer (int64, int32, enum, bool): a varint. */
oc_status oc__field_int(const oc__field *f, const char *what, int64_t *out,
                        oc_error *err);
oc_status oc__field_float(const oc__field *f, const char *what, float *out,
                          oc_error *err);
/** A message, string or bytes. */
oc_status oc__field_body(const oc__field *f, const char *what, oc__wire *out,
                         oc_error *err);
/**
 * A string, copied into the arena and NUL-terminated.  Names with a NUL
 * inside are refused: they would not be what they seem.
 */
oc_status oc__field_string(const oc__field *f, const char *what,
                           oc__arena *arena, const char **out, oc_error *err);

/*
 * Repeated numbers come packed (one field of type 2) or one by one, and
 * writers mix both.  Read them in two passes over the message: count, then
 * fill.  `*at` is the running index.
 */

/** Elements field f adds to a repeated varint field. */
oc_status oc__field_count_varints(const oc__field *f, const char *what,
                                  size_t *count, oc_error *err);
/** Stores f's varints from out[*at]; there is room (they were counted). */
oc_status oc__field_varints(const oc__field *f, const char *what, int64_t *out,
                            size_t *at, oc_error *err);
/** The same for fixed numbers of `bytes` (4: float, 8: double) each. */
oc_status oc__field_count_fixed(const oc__field *f, const char *what,
                                size_t bytes, size_t *count, oc_error *err);
oc_status oc__field_fixed(const oc__field *f, const char *what, size_t bytes,
                          void *out, size_t *at, oc_error *err);

#endif
