/* wire_out.c - see wire_out.h. */
#include "onnx/wire_out.h"

#include "base/size.h"
#include "onnx/wire.h"

#include <string.h>

void oc__put_init(oc__wire_out *o, const oc_allocator *allocator) {
    memset(o, 0, sizeof(*o));
    o->allocator = allocator;
}

void oc__put_deinit(oc__wire_out *o) {
    oc__release(o->allocator, o->buffer, o->capacity);
    oc__release(o->allocator, o->refs, o->cap_refs * sizeof(*o->refs));
    oc__put_init(o, o->allocator);
}

/* Room for n more bytes in front; what is written stays at the end. */
static int reserve(oc__wire_out *o, size_t n) {
    if (o->failed) return 1;
    if (n <= o->capacity - o->used) return 0;
    size_t need, doubled;
    uint8_t *buffer = NULL;
    if (!oc__size_add(o->used, n, &need) &&
        !oc__size_mul(OC_MAX(need, 2048), 2, &doubled)) {
        buffer = oc__alloc(o->allocator, doubled);
    }
    if (!buffer) {
        o->failed = 1;
        return 1;
    }
    if (o->used) {
        memcpy(buffer + doubled - o->used, o->buffer + o->capacity - o->used,
               o->used);
    }
    oc__release(o->allocator, o->buffer, o->capacity);
    o->buffer = buffer;
    o->capacity = doubled;
    return 0;
}

void oc__put_raw(oc__wire_out *o, const void *data, size_t n) {
    if (reserve(o, n)) return;
    o->used += n;
    o->total += n;
    if (n) memcpy(o->buffer + o->capacity - o->used, data, n);
}

static void put_varint(oc__wire_out *o, uint64_t v) {
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    oc__put_raw(o, bytes, n);
}

static void put_key(oc__wire_out *o, uint32_t field, int type) {
    put_varint(o, (uint64_t)field << 3 | (uint64_t)type);
}

void oc__put_close(oc__wire_out *o, uint32_t field, size_t mark) {
    put_varint(o, o->total - mark);
    put_key(o, field, OC_WIRE_LEN);
}

void oc__put_bytes(oc__wire_out *o, uint32_t field, const void *data,
                   size_t n) {
    size_t mark = oc__put_mark(o);
    oc__put_raw(o, data, n);
    oc__put_close(o, field, mark);
}

static void add_ref(oc__wire_out *o, const void *data, size_t n) {
    if (o->failed) return;
    if (o->n_refs == o->cap_refs) {
        size_t capacity = o->cap_refs ? 2 * o->cap_refs : 64;
        oc__put_ref *refs = oc__calloc(o->allocator, capacity, sizeof(*refs));
        if (!refs) {
            o->failed = 1;
            return;
        }
        if (o->n_refs) memcpy(refs, o->refs, o->n_refs * sizeof(*refs));
        oc__release(o->allocator, o->refs, o->cap_refs * sizeof(*refs));
        o->refs = refs;
        o->cap_refs = capacity;
    }
    o->refs[o->n_refs++] = (oc__put_ref){o->used, data, n};
    o->total += n;
}

void oc__put_borrow_raw(oc__wire_out *o, const void *data, size_t n) {
    /* A small copy is cheaper than one more piece. */
    if (n < 4096)
        oc__put_raw(o, data, n);
    else
        add_ref(o, data, n);
}

void oc__put_borrow(oc__wire_out *o, uint32_t field, const void *data,
                    size_t n) {
    size_t mark = oc__put_mark(o);
    oc__put_borrow_raw(o, data, n);
    oc__put_close(o, field, mark);
}

void oc__put_string(oc__wire_out *o, uint32_t field, const char *s) {
    oc__put_bytes(o, field, s, strlen(s));
}

void oc__put_int(oc__wire_out *o, uint32_t field, int64_t v) {
    put_varint(o, (uint64_t)v);
    put_key(o, field, OC_WIRE_VARINT);
}

static void put_float(oc__wire_out *o, float v) {
    uint32_t bits;
    uint8_t bytes[4];
    memcpy(&bits, &v, sizeof(bits));
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(bits >> 8 * i);
    }
    oc__put_raw(o, bytes, sizeof(bytes));
}

void oc__put_float(oc__wire_out *o, uint32_t field, float v) {
    put_float(o, v);
    put_key(o, field, OC_WIRE_I32);
}

void oc__put_ints(oc__wire_out *o, uint32_t field, const int64_t *v, size_t n) {
    size_t mark = oc__put_mark(o);
    for (size_t i = n; i-- > 0;) {
        put_varint(o, (uint64_t)v[i]);
    }
    if (n) oc__put_close(o, field, mark);
}

void oc__put_floats(oc__wire_out *o, uint32_t field, const float *v, size_t n) {
    size_t mark = oc__put_mark(o);
    for (size_t i = n; i-- > 0;) {
        put_float(o, v[i]);
    }
    if (n) oc__put_close(o, field, mark);
}

oc_status oc__put_pieces(const oc__wire_out *o, oc__piece **pieces, size_t *n,
                         oc_error *err) {
    if (o->failed) return oc__fail_nomem(err);
    size_t count = 2 * o->n_refs + 1, at = 0;
    oc__piece *list = oc__calloc(o->allocator, count, sizeof(*list));
    if (!list) return oc__fail_nomem(err);
    const uint8_t *end = o->buffer + o->capacity;
    size_t left = o->used;
    /* The last reference made stands first in the file. */
    for (size_t r = o->n_refs; r-- > 0;) {
        const oc__put_ref *ref = &o->refs[r];
        list[at++] = (oc__piece){end - left, left - ref->at};
        list[at++] = (oc__piece){ref->data, ref->bytes};
        left = ref->at;
    }
    list[at++] = (oc__piece){left ? end - left : NULL, left};
    *pieces = list;
    *n = count;
    return OC_OK;
}

oc_status oc__put_save(const oc__wire_out *o, const char *path, oc_error *err) {
    oc__piece *pieces = NULL;
    size_t n = 0;
    OC_TRY(oc__put_pieces(o, &pieces, &n, err));
    oc_status st = oc__file_write_pieces(path, pieces, n, err);
    oc__release(o->allocator, pieces, n * sizeof(*pieces));
    return st;
}

oc_status oc__put_flatten(const oc__wire_out *o, oc__buf **out, oc_error *err) {
    oc__piece *pieces = NULL;
    size_t n = 0;
    OC_TRY(oc__put_pieces(o, &pieces, &n, err));
    oc__buf *buf = oc__buf_create(o->allocator, o->total);
    if (buf) {
        uint8_t *to = oc__buf_data(buf);
        for (size_t i = 0; i < n; i++) {
            if (pieces[i].bytes) memcpy(to, pieces[i].data, pieces[i].bytes);
            to += pieces[i].bytes;
        }
        *out = buf;
    }
    oc__release(o->allocator, pieces, n * sizeof(*pieces));
    return buf ? OC_OK : oc__fail_nomem(err);
}
