/*
 * fuzz_tensor_pb.c - any bytes as TensorProto, SequenceProto, MapProto and
 * OptionalProto (the first byte chooses).  What is accepted is written and
 * must read the same.
 */
#include "onnx/value_proto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int same(const oc_value *a, const oc_value *b) {
    if (a->kind != b->kind) return 0;
    if (a->kind == OC_KIND_NONE) return 1;
    if (a->kind != OC_KIND_TENSOR) {
        if (a->n != b->n) return 0;
        for (size_t i = 0; i < a->n; i++) {
            if (!same(&a->items[i], &b->items[i])) return 0;
        }
        return 1;
    }
    if (a->t.dtype != b->t.dtype || !oc__tensor_same_shape(&a->t, &b->t))
        return 0;
    if (a->t.dtype != OC_DTYPE_STRING)
        return !memcmp(a->t.data, b->t.data, oc_tensor_bytes(&a->t));
    const oc_string *s = a->t.data, *t = b->t.data;
    for (int64_t i = oc_tensor_elems(&a->t); i-- > 0;) {
        if (s[i].bytes != t[i].bytes ||
            (s[i].bytes && memcmp(s[i].data, t[i].data, s[i].bytes) != 0))
            return 0;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const oc_kind kinds[] = {OC_KIND_TENSOR, OC_KIND_SEQUENCE,
                                    OC_KIND_MAP, OC_KIND_TENSOR};
    const oc_allocator *a = &oc__default_allocator;
    oc_value v, w;
    oc_error err;
    memset(&v, 0, sizeof(v));
    memset(&w, 0, sizeof(w));
    if (size < 1 || size > 1 << 16) return 0;
    int which = data[0] % 4;
    if (!oc__value_proto_read(&v, data + 1, size - 1, kinds[which], which == 3,
                              a, &err)) {
        oc__wire_out out;
        oc__buf *buf = NULL;
        oc__put_init(&out, a);
        if (oc__value_put(&out, &v, "name", &err)) abort();
        if (oc__put_flatten(&out, &buf, &err)) abort();
        /* What was inside of an optional is written as itself. */
        if (v.kind != OC_KIND_NONE) {
            if (oc__value_proto_read(&w, oc__buf_data(buf), oc__buf_bytes(buf),
                                     v.kind, 0, a, &err) ||
                !same(&v, &w))
                abort();
        }
        oc__buf_release(buf);
        oc__put_deinit(&out);
    }
    oc__value_clear(&w);
    oc__value_clear(&v);
    return 0;
}
