/*
 * wire_out.h - writes the protobuf wire format, from the end to the start.
 *
 * A message stands behind its length, and lengths are varints, so writing
 * forwards means to know sizes beforehand.  Backwards everything behind a
 * length is there already when the length is written: one pass, no sizing.
 * The price is that fields are put in reverse order:
 *
 *     size_t mark = oc__put_mark(&o);
 *     oc__put_string(&o, 2, "b");     // second field
 *     oc__put_string(&o, 1, "a");     // first field
 *     oc__put_close(&o, 7, mark);     // field 7 = message {1: "a", 2: "b"}
 *
 * Large data is referred to, not copied:
 *
 *     buffer    [ free ......... | bytes written, the newest first ]
 *     refs      at which count of written bytes which data goes in between
 */
#ifndef OC_ONNX_WIRE_OUT_H
#define OC_ONNX_WIRE_OUT_H

#include "base/file.h"
#include "base/memory.h"

typedef struct oc__put_ref {
    size_t at; /* buffer bytes behind it */
    const void *data;
    size_t bytes;
} oc__put_ref;

typedef struct oc__wire_out {
    const oc_allocator *allocator;
    uint8_t *buffer;
    size_t capacity, used; /* used bytes stand at the end */
    oc__put_ref *refs;
    size_t n_refs, cap_refs;
    size_t total; /* used + all refs */
    int failed;   /* out of memory; further calls do nothing */
} oc__wire_out;

void oc__put_init(oc__wire_out *o, const oc_allocator *allocator);
void oc__put_deinit(oc__wire_out *o);

static inline size_t oc__put_mark(const oc__wire_out *o) {
    return o->total;
}
/** Puts key and length before what was written since mark. */
void oc__put_close(oc__wire_out *o, uint32_t field, size_t mark);
void oc__put_bytes(oc__wire_out *o, uint32_t field, const void *data, size_t n);
/** The same without copying: data must live until the output is used. */
void oc__put_borrow(oc__wire_out *o, uint32_t field, const void *data,
                    size_t n);
/** The same without key and length. */
void oc__put_borrow_raw(oc__wire_out *o, const void *data, size_t n);
void oc__put_string(oc__wire_out *o, uint32_t field, const char *s);
void oc__put_int(oc__wire_out *o, uint32_t field, int64_t v);
void oc__put_float(oc__wire_out *o, uint32_t field, float v);
/** A packed list. */
void oc__put_ints(oc__wire_out *o, uint32_t field, const int64_t *v, size_t n);
void oc__put_floats(oc__wire_out *o, uint32_t field, const float *v, size_t n);
/** Bytes as they are, without a key: a field that was encoded before. */
void oc__put_raw(oc__wire_out *o, const void *data, size_t n);

/**
 * The whole as pieces in file order, into fresh memory of *n entries that is
 * released with oc__release(allocator, pieces, *n * sizeof(oc__piece)).
 * They point into o.
 */
oc_status oc__put_pieces(const oc__wire_out *o, oc__piece **pieces, size_t *n,
                         oc_error *err);
/** Writes the whole to a file, atomically. */
oc_status oc__put_save(const oc__wire_out *o, const char *path, oc_error *err);
/** The whole in one buffer. */
oc_status oc__put_flatten(const oc__wire_out *o, oc__buf **out, oc_error *err);

#endif
