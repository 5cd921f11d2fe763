/* value_proto.c - see value_proto.h. */
#include "onnx/value_proto.h"

#include "base/size.h"
#include "onnx/tensor_proto.h"
#include "onnx/wire.h"

#include <string.h>

enum { MAX_DEPTH = 16 };

/*
 * The fields of SequenceProto and OptionalProto agree: 3 tensors, 4 sparse
 * tensors, 5 sequences, 6 maps, 7 optionals.
 */
enum {
    S_NAME = 1,
    S_ELEM_TYPE = 2,
    S_TENSOR = 3,
    S_SPARSE = 4,
    S_SEQUENCE = 5,
    S_MAP = 6,
    S_OPTIONAL = 7,
};

typedef struct reader {
    const oc_allocator *allocator;
    oc_error *err;
    int depth;
} reader;

static oc_status read_sequence(reader *r, const oc__wire *w, oc_value *out);
static oc_status read_map(reader *r, const oc__wire *w, oc_value *out);
static oc_status read_optional(reader *r, const oc__wire *w, oc_value *out);

static oc_status read_tensor(reader *r, const oc__wire *w, int sparse,
                             oc_value *out) {
    oc__arena arena;
    oc_tensor t;
    oc__arena_init(&arena, r->allocator);
    oc__tensor_reader tr = {&arena, NULL, NULL};
    oc_status st = (sparse ? oc__sparse_tensor_read
                           : oc__tensor_read)(&tr, w, &t, NULL, r->err);
    if (st == OC_OK) {
        st = oc__value_copy_tensor(out, &t, r->allocator, r->err);
    }
    oc__arena_deinit(&arena);
    return st;
}

/* The value in field f of a SequenceProto or OptionalProto. */
static oc_status read_element(reader *r, const oc__field *f, oc_value *out) {
    oc__wire body;
    OC_TRY(oc__field_body(f, "SequenceProto", &body, r->err));
    if (r->depth >= MAX_DEPTH) {
        return oc__fail_at(r->err, OC_E_LIMIT, f->offset,
                           "values nested more than %d deep", MAX_DEPTH);
    }
    oc_status st = OC_OK;
    r->depth++;
    switch (f->number) {
    case S_TENSOR: st = read_tensor(r, &body, 0, out); break;
    case S_SPARSE: st = read_tensor(r, &body, 1, out); break;
    case S_SEQUENCE: st = read_sequence(r, &body, out); break;
    case S_MAP: st = read_map(r, &body, out); break;
    default: st = read_optional(r, &body, out); break;
    }
    r->depth--;
    return st;
}

static oc_status read_sequence(reader *r, const oc__wire *w, oc_value *out) {
    size_t n = 0, i = 0;
    oc__field f;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        OC_TRY(oc__wire_next(&m, &f, r->err));
        n += f.number >= S_TENSOR && f.number <= S_OPTIONAL;
    }
    OC_TRY(
        oc__value_alloc_items(out, OC_KIND_SEQUENCE, n, r->allocator, r->err));
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc_status st = oc__wire_next(&m, &f, r->err);
        if (st == OC_OK && f.number >= S_TENSOR && f.number <= S_OPTIONAL) {
            st = read_element(r, &f, &out->items[i++]);
        }
        if (st != OC_OK) {
            oc__value_clear(out);
            return st;
        }
    }
    if (n && out->items[0].kind == OC_KIND_TENSOR) {
        out->item_dtype = out->items[0].t.dtype;
    }
    return OC_OK;
}

static oc_status read_optional(reader *r, const oc__wire *w, oc_value *out) {
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc_status st = oc__wire_next(&m, &f, r->err);
        if (st == OC_OK && f.number >= S_TENSOR && f.number <= S_OPTIONAL) {
            oc__value_clear(out); /* the last one counts */
            st = read_element(r, &f, out);
        }
        if (st != OC_OK) {
            oc__value_clear(out);
            return st;
        }
    }
    return OC_OK;
}

/* ---- maps
 * -------------------------------------------------------------------- */

/* keys (3, i64) or string_keys (4) of a MapProto as a tensor. */
static oc_status read_keys(reader *r, const oc__wire *w, oc_value *out) {
    size_t n_ints = 0, n_strings = 0, at = 0;
    oc__field f;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        OC_TRY(oc__wire_next(&m, &f, r->err));
        if (f.number == 3) {
            OC_TRY(
                oc__field_count_varints(&f, "MapProto.keys", &n_ints, r->err));
        }
        n_strings += f.number == 4;
    }
    int64_t dims[1] = {(int64_t)(n_strings ? n_strings : n_ints)};
    oc__arena arena;
    oc__arena_init(&arena, r->allocator);
    int64_t *ints = oc__arena_array(&arena, n_ints, sizeof(*ints));
    oc_string *strings = oc__arena_array(&arena, n_strings, sizeof(*strings));
    oc_status st = ints && strings ? OC_OK : oc__fail_nomem(r->err);
    size_t s = 0;
    for (oc__wire m = *w; st == OC_OK && oc__wire_more(&m);) {
        st = oc__wire_next(&m, &f, r->err);
        if (st == OC_OK && f.number == 3) {
            st = oc__field_varints(&f, "MapProto.keys", ints, &at, r->err);
        } else if (st == OC_OK && f.number == 4) {
            oc__wire body;
            st = oc__field_body(&f, "MapProto.string_keys", &body, r->err);
            if (st == OC_OK) {
                strings[s].data = (const char *)body.p;
                strings[s++].bytes = oc__wire_left(&body);
            }
        }
    }
    if (st == OC_OK && n_strings) {
        st = oc__value_alloc_strings(out, r->allocator, 1, dims, strings,
                                     r->err);
    } else if (st == OC_OK) {
        oc_tensor t;
        oc__tensor_set(&t, OC_DTYPE_I64, 1, dims);
        t.data = ints;
        st = oc__value_copy_tensor(out, &t, r->allocator, r->err);
    }
    oc__arena_deinit(&arena);
    return st;
}

/* A sequence of one-element tensors of one type becomes one tensor. */
static oc_status join(reader *r, const oc_value *items, oc_value *out) {
    int64_t dims[1] = {(int64_t)items->n};
    oc_dtype dtype = items->n ? items->items[0].t.dtype : OC_DTYPE_F32;
    size_t size = oc_dtype_bytes(dtype);
    for (size_t i = 0; i < items->n; i++) {
        const oc_value *v = &items->items[i];
        if (v->kind != OC_KIND_TENSOR || v->t.dtype != dtype ||
            oc_tensor_elems(&v->t) != 1) {
            return oc__fail(r->err, OC_E_UNSUPPORTED,
                            "a map to anything but single numbers or strings "
                            "of one type");
        }
    }
    OC_TRY(oc__value_alloc_tensor(out, r->allocator, dtype, 1, dims, r->err));
    for (size_t i = 0; i < items->n; i++) {
        memcpy((char *)out->t.data + i * size, items->items[i].t.data, size);
    }
    if (dtype != OC_DTYPE_STRING) return OC_OK;
    return oc__value_own_strings(out, r->allocator, r->err);
}

static oc_status read_map(reader *r, const oc__wire *w, oc_value *out) {
    oc_value values;
    memset(&values, 0, sizeof(values));
    oc_status st =
        oc__value_alloc_items(out, OC_KIND_MAP, 2, r->allocator, r->err);
    if (st == OC_OK) st = read_keys(r, w, &out->items[0]);
    for (oc__wire m = *w; st == OC_OK && oc__wire_more(&m);) {
        oc__field f;
        st = oc__wire_next(&m, &f, r->err);
        if (st != OC_OK || f.number != 5) continue;
        oc__value_clear(&values);
        f.number = S_SEQUENCE;
        st = read_element(r, &f, &values);
    }
    if (st == OC_OK) st = join(r, &values, &out->items[1]);
    if (st == OC_OK && out->items[0].t.dims[0] != out->items[1].t.dims[0]) {
        st = oc__fail_at(r->err, OC_E_FORMAT, oc__wire_offset(w),
                         "a map at byte %lld has not as many keys as values",
                         (long long)oc__wire_offset(w));
    }
    oc__value_clear(&values);
    if (st != OC_OK) oc__value_clear(out);
    return st;
}

oc_status oc__value_proto_read(oc_value *out, const void *data, size_t bytes,
                               oc_kind kind, int is_optional,
                               const oc_allocator *a, oc_error *err) {
    reader r = {a, err, 0};
    oc__wire w = oc__wire_open(data, bytes);
    if (is_optional) return read_optional(&r, &w, out);
    switch (kind) {
    case OC_KIND_SEQUENCE: return read_sequence(&r, &w, out);
    case OC_KIND_MAP: return read_map(&r, &w, out);
    default: return read_tensor(&r, &w, 0, out);
    }
}

/* ---- writing
 * ------------------------------------------------------------------ */

/* u4, i4, f4 two to a byte and u2, i2 four, low bits first. */
static void put_packed(oc__wire_out *o, const oc_tensor *t, size_t per) {
    const uint8_t *in = t->data;
    size_t n = (size_t)oc_tensor_elems(t);
    size_t width = 8 / per, mark = oc__put_mark(o);
    uint8_t chunk[256];
    size_t bytes = n / per + (n % per != 0);
    /* From the back, in chunks that start at a multiple of their size. */
    while (bytes) {
        size_t start = (bytes - 1) / sizeof(chunk) * sizeof(chunk);
        memset(chunk, 0, sizeof(chunk));
        for (size_t i = start * per; i < n && i < bytes * per; i++) {
            unsigned v = in[i] & ((1u << width) - 1);
            chunk[i / per - start] |= (uint8_t)(v << (i % per * width));
        }
        oc__put_raw(o, chunk, bytes - start);
        bytes = start;
    }
    oc__put_close(o, 9, mark);
}

static void put_strings(oc__wire_out *o, const oc_tensor *t) {
    const oc_string *s = t->data;
    for (size_t i = (size_t)oc_tensor_elems(t); i-- > 0;) {
        oc__put_bytes(o, 6, s[i].data, s[i].bytes);
    }
}

/* Little endian on a big-endian machine. */
static void put_swapped(oc__wire_out *o, const oc_tensor *t) {
    size_t unit = oc_dtype_bytes(t->dtype), mark = oc__put_mark(o);
    if (t->dtype == OC_DTYPE_C64 || t->dtype == OC_DTYPE_C128) unit /= 2;
    const uint8_t *in = t->data;
    for (size_t i = oc_tensor_bytes(t) / unit; i-- > 0;) {
        uint8_t bytes[8];
        for (size_t b = 0; b < unit; b++) {
            bytes[b] = in[i * unit + (unit - 1 - b)];
        }
        oc__put_raw(o, bytes, unit);
    }
    oc__put_close(o, 9, mark);
}

void oc__tensor_put(oc__wire_out *o, const oc_tensor *t, const char *name) {
    const uint16_t one = 1;
    size_t size = oc_dtype_bytes(t->dtype);
    switch (t->dtype) {
    case OC_DTYPE_STRING: put_strings(o, t); break;
    case OC_DTYPE_U4:
    case OC_DTYPE_I4:
    case OC_DTYPE_F4E2M1: put_packed(o, t, 2); break;
    case OC_DTYPE_U2:
    case OC_DTYPE_I2: put_packed(o, t, 4); break;
    default:
        if (size > 1 && *(const uint8_t *)&one == 0)
            put_swapped(o, t);
        else
            oc__put_borrow(o, 9, t->data, oc_tensor_bytes(t));
    }
    if (name && *name) oc__put_string(o, 8, name);
    oc__put_int(o, 2, t->dtype);
    /* One by one, as dims are not packed in proto2. */
    for (int i = t->rank; i-- > 0;) {
        oc__put_int(o, 1, t->dims[i]);
    }
}

/* The field of SequenceProto and OptionalProto for a value of this kind. */
static uint32_t field_of(oc_kind kind) {
    switch (kind) {
    case OC_KIND_TENSOR: return S_TENSOR;
    case OC_KIND_SEQUENCE: return S_SEQUENCE;
    case OC_KIND_MAP: return S_MAP;
    default: return S_OPTIONAL;
    }
}

/* DataType: TENSOR 1, SEQUENCE 3, MAP 4, OPTIONAL 5. */
static int64_t data_type_of(uint32_t field) {
    return field == S_TENSOR ? 1 : field - 2;
}

static oc_status put_sequence(oc__wire_out *o, const oc_value *v,
                              oc_error *err) {
    /* One absent element makes it a sequence of optionals. */
    int optional = 0;
    for (size_t i = 0; i < v->n; i++) {
        optional |= v->items[i].kind == OC_KIND_NONE;
    }
    uint32_t field = S_TENSOR;
    for (size_t i = v->n; i-- > 0;) {
        const oc_value *item = &v->items[i];
        size_t mark = oc__put_mark(o);
        OC_TRY(oc__value_put(o, item, NULL, err));
        field = field_of(item->kind);
        if (optional && item->kind != OC_KIND_NONE) {
            oc__put_close(o, field, mark);
            oc__put_int(o, S_ELEM_TYPE, data_type_of(field));
        }
        if (optional) field = S_OPTIONAL;
        oc__put_close(o, field, mark);
    }
    oc__put_int(o, S_ELEM_TYPE, data_type_of(field));
    return OC_OK;
}

static oc_status put_map(oc__wire_out *o, const oc_value *v, oc_error *err) {
    const oc_tensor *keys = &v->items[0].t, *values = &v->items[1].t;
    size_t size = oc_dtype_bytes(values->dtype), mark = oc__put_mark(o);
    for (int64_t i = values->dims[0]; i-- > 0;) {
        oc_tensor t;
        size_t inner = oc__put_mark(o);
        oc__tensor_set(&t, values->dtype, 0, NULL);
        t.data = (char *)values->data + (size_t)i * size;
        oc__tensor_put(o, &t, NULL);
        oc__put_close(o, S_TENSOR, inner);
    }
    oc__put_int(o, S_ELEM_TYPE, 1);
    oc__put_close(o, 5, mark);
    if (keys->dtype == OC_DTYPE_STRING) {
        const oc_string *s = keys->data;
        for (int64_t i = keys->dims[0]; i-- > 0;) {
            oc__put_bytes(o, 4, s[i].data, s[i].bytes);
        }
    } else {
        for (int64_t i = keys->dims[0]; i-- > 0;) {
            oc__put_int(o, 3, oc__tensor_get_i64(keys, i));
        }
    }
    oc__put_int(o, 2, keys->dtype);
    (void)err;
    return OC_OK;
}

oc_status oc__value_put(oc__wire_out *o, const oc_value *v, const char *name,
                        oc_error *err) {
    switch (v->kind) {
    case OC_KIND_TENSOR: oc__tensor_put(o, &v->t, name); return OC_OK;
    case OC_KIND_SEQUENCE: OC_TRY(put_sequence(o, v, err)); break;
    case OC_KIND_MAP: OC_TRY(put_map(o, v, err)); break;
    case OC_KIND_NONE: oc__put_int(o, S_ELEM_TYPE, 0); break;
    }
    if (name && *name) oc__put_string(o, S_NAME, name);
    return OC_OK;
}
