/*
 * wire_out.h - writes the protobuf wire format, from the end to the start.
 *
 * A message stands behind its length, and lengths are varints, so writing
 * forwards means to know sizes beforehand.  Backwards everything behind a
 * length is there already when the length is written: one pass, no sizing.
 * The price is that fields are put in reverse order:
 *
 *     size_t mark = oc__out_mark(&o);
 *     oc__out_string(&o, 2, "b");     // second field
 *     oc__out_string(&o, 1, "a");     // first field
 *     oc__out_close(&o, 7, mark);     // field 7 = message {1: "a", 2: "b"}
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

typedef struct oc__out_ref {
    size_t at; /* buffer bytes behind it */
    const void *data;
    size_t bytes;
} oc__out_ref;

typedef struct oc__out {
    const oc_allocator *allocator;
    uint8_t *buffer;
    size_t capacity, used; /* used bytes stand at the end */
    oc__out_ref *refs;
    size_t n_refs, cap_refs;
    size_t total; /* used + all refs */
    int failed;   /* out of memory; further calls do nothing */
} oc__out;

void oc__out_init(oc__out *o, const oc_allocator *allocator);
void oc__out_deinit(oc__out *o);

static inline size_t oc__out_mark(const oc__out *o) {
    return o->total;
}
/** Puts key and length before what was written since mark. */
void oc__out_close(oc__out *o, uint32_t field, size_t mark);
void oc__out_bytes(oc__out *o, uint32_t field, const void *data, size_t n);
/** The same without copying: data must live until the output is used. */
void oc__out_borrow(oc__out *o, uint32_t field, const void *data, size_t n);
void oc__out_string(oc__out *o, uint32_t field, const char *s);
void oc__out_int(oc__out *o, uint32_t field, int64_t v);
void oc__out_float(oc__out *o, uint32_t field, float v);
/** A packed list. */
void oc__out_ints(oc__out *o, uint32_t field, const int64_t *v, size_t n);
void oc__out_floats(oc__out *o, uint32_t field, const float *v, size_t n);
/** Bytes as they are, without a key: a field that was encoded before. */
void oc__out_raw(oc__out *o, const void *data, size_t n);

/**
 * The whole as pieces in file order, into fresh memory of *n entries that is
 * released with oc__release(allocator, pieces, *n * sizeof(oc__piece)).
 * They point into o.
 */
oc_status oc__out_pieces(const oc__out *o, oc__piece **pieces, size_t *n,
                         oc_error *err);
/** Writes the whole to a file, atomically. */
oc_status oc__out_save(const oc__out *o, const char *path, oc_error *err);
/** The whole in one buffer. */
oc_status oc__out_flatten(const oc__out *o, oc__buf **out, oc_error *err);

#endif
