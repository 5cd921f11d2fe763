/* tensor_proto.c - see tensor_proto.h. */
#include "onnx/tensor_proto.h"

#include "base/size.h"

#include <stdio.h>
#include <string.h>

/* TensorProto's fields. */
enum {
    T_DIMS = 1,
    T_DATA_TYPE = 2,
    T_SEGMENT = 3,
    T_FLOAT_DATA = 4,
    T_INT32_DATA = 5,
    T_STRING_DATA = 6,
    T_INT64_DATA = 7,
    T_NAME = 8,
    T_RAW_DATA = 9,
    T_DOUBLE_DATA = 10,
    T_UINT64_DATA = 11,
    T_EXTERNAL_DATA = 13,
    T_DATA_LOCATION = 14,
};

/* What a first pass over the message finds. */
typedef struct header {
    const oc__tensor_reader *r;
    oc__wire message;
    const char *name;
    int64_t offset;
    oc_tensor t;
    size_t elems;
    oc__wire raw;
    int has_raw, is_external;
    oc__external_ref external;
    size_t n_float, n_int32, n_string, n_int64, n_double, n_uint64;
} header;

int oc__dtype_is_known(int64_t number) {
    return number > OC_DTYPE_NONE && number < OC_DTYPE_COUNT;
}

/* Elements that share a byte in raw data; 1 for whole bytes. */
static size_t elems_per_byte(oc_dtype d) {
    switch (d) {
    case OC_DTYPE_U4:
    case OC_DTYPE_I4:
    case OC_DTYPE_F4E2M1: return 2;
    case OC_DTYPE_U2:
    case OC_DTYPE_I2: return 4;
    default: return 1;
    }
}

static oc_status tensor_fail(const header *h, oc_error *err, oc_status st,
                             const char *what) {
    return oc__fail_at(err, st, h->offset, "tensor \"%.80s\" at byte %lld %s",
                       h->name, (long long)h->offset, what);
}

/* A decimal number in external_data; they are written as strings. */
static oc_status parse_decimal(const header *h, const char *text, int64_t *out,
                               oc_error *err) {
    int64_t v = 0;
    int bad = !*text;
    for (const char *s = text; *s && !bad; s++) {
        bad = *s < '0' || *s > '9' || v > (INT64_MAX - 9) / 10;
        if (!bad) v = 10 * v + (*s - '0');
    }
    if (bad) {
        return tensor_fail(h, err, OC_E_FORMAT,
                           "has an external offset or length that is no "
                           "number");
    }
    *out = v;
    return OC_OK;
}

/* One StringStringEntryProto of external_data. */
static oc_status read_external(header *h, const oc__field *f, oc_error *err) {
    oc__wire w;
    const char *key = "", *value = "";
    OC_TRY(oc__field_body(f, "TensorProto.external_data", &w, err));
    while (oc__wire_more(&w)) {
        oc__field e;
        OC_TRY(oc__wire_next(&w, &e, err));
        if (e.number == 1 || e.number == 2) {
            OC_TRY(oc__field_string(&e, "TensorProto.external_data",
                                    h->r->arena, e.number == 1 ? &key : &value,
                                    err));
        }
    }
    if (!strcmp(key, "location")) h->external.location = value;
    if (!strcmp(key, "offset"))
        return parse_decimal(h, value, &h->external.offset, err);
    if (!strcmp(key, "length"))
        return parse_decimal(h, value, &h->external.length, err);
    return OC_OK; /* checksum, basepath: advice we do not take */
}

static oc_status read_dims(header *h, const oc__field *f, oc_error *err) {
    size_t n = (size_t)h->t.rank;
    size_t more = 0;
    OC_TRY(oc__field_count_varints(f, "TensorProto.dims", &more, err));
    if (more > OC_MAX_RANK - n) {
        return tensor_fail(h, err, OC_E_UNSUPPORTED,
                           "has more than 8 dimensions");
    }
    OC_TRY(oc__field_varints(f, "TensorProto.dims", h->t.dims, &n, err));
    h->t.rank = (int)n;
    return OC_OK;
}

static oc_status read_header_field(header *h, const oc__field *f,
                                   oc_error *err) {
    int64_t v = 0;
    switch (f->number) {
    case T_DIMS: return read_dims(h, f, err);
    case T_DATA_TYPE:
        OC_TRY(oc__field_int(f, "TensorProto.data_type", &v, err));
        if (!oc__dtype_is_known(v)) {
            return oc__fail_at(err, OC_E_UNSUPPORTED, f->offset,
                               "element type %lld at byte %lld is unknown",
                               (long long)v, (long long)f->offset);
        }
        h->t.dtype = (oc_dtype)v;
        return OC_OK;
    case T_SEGMENT:
        return tensor_fail(h, err, OC_E_UNSUPPORTED, "comes in segments");
    case T_NAME:
        return oc__field_string(f, "TensorProto.name", h->r->arena, &h->name,
                                err);
    case T_RAW_DATA:
        h->has_raw = 1;
        return oc__field_body(f, "TensorProto.raw_data", &h->raw, err);
    case T_FLOAT_DATA:
        return oc__field_count_fixed(f, "TensorProto.float_data", 4,
                                     &h->n_float, err);
    case T_DOUBLE_DATA:
        return oc__field_count_fixed(f, "TensorProto.double_data", 8,
                                     &h->n_double, err);
    case T_INT32_DATA:
        return oc__field_count_varints(f, "TensorProto.int32_data", &h->n_int32,
                                       err);
    case T_INT64_DATA:
        return oc__field_count_varints(f, "TensorProto.int64_data", &h->n_int64,
                                       err);
    case T_UINT64_DATA:
        return oc__field_count_varints(f, "TensorProto.uint64_data",
                                       &h->n_uint64, err);
    case T_STRING_DATA: h->n_string++; return OC_OK;
    case T_EXTERNAL_DATA: return read_external(h, f, err);
    case T_DATA_LOCATION:
        OC_TRY(oc__field_int(f, "TensorProto.data_location", &v, err));
        h->is_external = v == 1;
        return OC_OK;
    default: return OC_OK;
    }
}

static oc_status read_header(header *h, oc_error *err) {
    oc__wire w = h->message;
    while (oc__wire_more(&w)) {
        oc__field f;
        OC_TRY(oc__wire_next(&w, &f, err));
        OC_TRY(read_header_field(h, &f, err));
    }
    if (h->t.dtype == OC_DTYPE_NONE) {
        return tensor_fail(h, err, OC_E_FORMAT, "has no element type");
    }
    int64_t n;
    size_t bytes;
    if (oc__dims_product(h->t.dims, h->t.rank, &n) ||
        oc__size_mul((size_t)n, oc_dtype_bytes(h->t.dtype), &bytes) ||
        bytes > PTRDIFF_MAX) {
        return tensor_fail(h, err, OC_E_FORMAT,
                           "has a negative or enormous shape");
    }
    h->elems = (size_t)n;
    return OC_OK;
}

/* The file disagrees with itself about the number of elements. */
static oc_status wrong_count(const header *h, size_t have, const char *what,
                             oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, h->offset,
                       "tensor \"%.80s\" at byte %lld has %zu %s where its "
                       "shape needs %zu",
                       h->name, (long long)h->offset, have, what, h->elems);
}

/* ---- raw data --------------------------------------------------------------
 */

/* Spreads packed elements, low bits first, sign-extended for i2 and i4. */
static void unpack(oc_dtype d, const uint8_t *in, size_t n, uint8_t *out) {
    size_t per = elems_per_byte(d);
    unsigned width = (unsigned)(8 / per);
    unsigned mask = (1u << width) - 1;
    unsigned sign =
        d == OC_DTYPE_I4 || d == OC_DTYPE_I2 ? 1u << (width - 1) : 0;
    for (size_t i = 0; i < n; i++) {
        unsigned v = (unsigned)in[i / per] >> (i % per * width) & mask;
        out[i] = (uint8_t)((v ^ sign) - sign);
    }
}

static int is_big_endian(void) {
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 0;
}

static int bools_are_clean(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i] > 1) return 0;
    }
    return 1;
}

/* Bytes of one number; a complex element is two of them. */
static size_t number_bytes(oc_dtype d) {
    size_t bytes = oc_dtype_bytes(d);
    return d == OC_DTYPE_C64 || d == OC_DTYPE_C128 ? bytes / 2 : bytes;
}

/* Less is not worth asking for. */
enum { LEAST_DROP = 1 << 16 };

static oc_status use_bytes(header *h, const uint8_t *in, oc_error *err) {
    size_t per = elems_per_byte(h->t.dtype);
    size_t bytes = h->elems * oc_dtype_bytes(h->t.dtype);
    size_t unit = number_bytes(h->t.dtype);
    int swap = unit > 1 && is_big_endian();
    int clean = h->t.dtype != OC_DTYPE_BOOL || bools_are_clean(in, h->elems);
    if (per == 1 && !swap && clean && (uintptr_t)in % unit == 0) {
        /* In place.  Nothing writes to a constant. */
        h->t.data = (void *)(uintptr_t)in;
        return OC_OK;
    }
    uint8_t *out = oc__arena_alloc_raw(h->r->arena, bytes);
    if (!out) return oc__fail_nomem(err);
    h->t.data = out;
    if (per > 1) {
        unpack(h->t.dtype, in, h->elems, out);
    } else if (swap) {
        for (size_t i = 0; i < bytes; i++) {
            out[i] = in[i / unit * unit + (unit - 1 - i % unit)];
        }
    } else if (!clean) {
        for (size_t i = 0; i < bytes; i++) {
            out[i] = in[i] != 0;
        }
    } else {
        memcpy(out, in, bytes);
    }
    if (h->r->file && bytes >= LEAST_DROP) oc__file_drop(h->r->file, in, bytes);
    return OC_OK;
}

/* Bytes the tensor takes in raw or external data. */
static size_t stored_bytes(const header *h) {
    size_t per = elems_per_byte(h->t.dtype);
    if (per > 1) return h->elems / per + (h->elems % per != 0);
    return h->elems * oc_dtype_bytes(h->t.dtype);
}

static oc_status read_raw(header *h, oc_error *err) {
    size_t have = oc__wire_left(&h->raw);
    if (h->t.dtype == OC_DTYPE_STRING) {
        return tensor_fail(h, err, OC_E_FORMAT, "has strings in raw data");
    }
    if (have != stored_bytes(h)) {
        return oc__fail_at(err, OC_E_FORMAT, h->offset,
                           "tensor \"%.80s\" at byte %lld has %zu bytes of "
                           "data where its shape needs %zu",
                           h->name, (long long)h->offset, have,
                           stored_bytes(h));
    }
    return use_bytes(h, h->raw.p, err);
}

static oc_status read_outside(header *h, oc_error *err) {
    const void *data = NULL;
    if (!h->r->externals || h->t.dtype == OC_DTYPE_STRING) {
        return tensor_fail(h, err, OC_E_FORMAT,
                           "keeps its data in another file, which is not "
                           "allowed here");
    }
    oc_status st = oc__external_find(h->r->externals, &h->external,
                                     stored_bytes(h), &data, err);
    if (st != OC_OK) {
        char prefix[128];
        snprintf(prefix, sizeof(prefix), "tensor \"%.80s\"", h->name);
        oc__error_prefix(err, prefix);
        return st;
    }
    return use_bytes(h, data, err);
}

/* ---- typed data ------------------------------------------------------------
 */

/* Second pass: the fields with this number, one behind the other. */
static oc_status gather(const header *h, uint32_t number, size_t fixed_bytes,
                        void *out, oc_error *err) {
    size_t at = 0;
    for (oc__wire w = h->message; oc__wire_more(&w);) {
        oc__field f;
        OC_TRY(oc__wire_next(&w, &f, err));
        if (f.number != number) continue;
        if (fixed_bytes) {
            OC_TRY(
                oc__field_fixed(&f, "tensor data", fixed_bytes, out, &at, err));
        } else {
            OC_TRY(oc__field_varints(&f, "tensor data", out, &at, err));
        }
    }
    return OC_OK;
}

/* float_data and double_data: the memory format already. */
static oc_status read_floats(header *h, uint32_t number, size_t have,
                             oc_error *err) {
    size_t unit = number_bytes(h->t.dtype);
    size_t need = h->elems * (oc_dtype_bytes(h->t.dtype) / unit);
    if (have != need) return wrong_count(h, have, "numbers", err);
    h->t.data = oc__arena_array(h->r->arena, need, unit);
    if (!h->t.data) return oc__fail_nomem(err);
    return gather(h, number, unit, h->t.data, err);
}

/* Writes the low bytes of v as element i of a type of this width. */
static void store_int(void *out, size_t i, size_t bytes, int64_t v) {
    switch (bytes) {
    case 1: ((uint8_t *)out)[i] = (uint8_t)v; break;
    case 2: ((uint16_t *)out)[i] = (uint16_t)v; break;
    case 4: ((uint32_t *)out)[i] = (uint32_t)v; break;
    default: ((int64_t *)out)[i] = v; break;
    }
}

/*
 * int32_data, int64_data, uint64_data: varints.  int32_data also carries
 * every narrow type: f16 and the like as bit patterns, sub-byte elements as
 * packed bytes.
 */
static oc_status read_ints(header *h, uint32_t number, size_t have,
                           oc_error *err) {
    size_t per = elems_per_byte(h->t.dtype);
    size_t width = oc_dtype_bytes(h->t.dtype);
    size_t need = per > 1 ? stored_bytes(h) : h->elems;
    if (have != need) return wrong_count(h, have, "numbers", err);
    h->t.data = oc__arena_array(h->r->arena, h->elems, width);
    /* Wide ones can be read in place, narrow ones by way of a wide array. */
    int64_t *wide =
        width == 8 ? h->t.data : oc__arena_array(h->r->arena, need, 8);
    if (!h->t.data || !wide) return oc__fail_nomem(err);
    OC_TRY(gather(h, number, 0, wide, err));
    if (width == 8) return OC_OK;
    uint8_t *packed = (uint8_t *)wide;
    for (size_t i = 0; i < need; i++) {
        int64_t v = h->t.dtype == OC_DTYPE_BOOL ? wide[i] != 0 : wide[i];
        /* Byte i lies at or before number i, so this overtakes nothing. */
        if (per > 1)
            packed[i] = (uint8_t)v;
        else
            store_int(h->t.data, i, width, v);
    }
    if (per > 1) unpack(h->t.dtype, packed, h->elems, h->t.data);
    return OC_OK;
}

static oc_status read_strings(header *h, oc_error *err) {
    if (h->n_string != h->elems) {
        return wrong_count(h, h->n_string, "strings", err);
    }
    oc_string *s = oc__arena_array(h->r->arena, h->elems, sizeof(*s));
    if (!s) return oc__fail_nomem(err);
    h->t.data = s;
    for (oc__wire w = h->message; oc__wire_more(&w);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&w, &f, err));
        if (f.number != T_STRING_DATA) continue;
        OC_TRY(oc__field_body(&f, "TensorProto.string_data", &body, err));
        s->data = (const char *)body.p;
        s->bytes = oc__wire_left(&body);
        s++;
    }
    return OC_OK;
}

static oc_status read_typed(header *h, oc_error *err) {
    switch (h->t.dtype) {
    case OC_DTYPE_F32:
    case OC_DTYPE_C64: return read_floats(h, T_FLOAT_DATA, h->n_float, err);
    case OC_DTYPE_F64:
    case OC_DTYPE_C128: return read_floats(h, T_DOUBLE_DATA, h->n_double, err);
    case OC_DTYPE_I64: return read_ints(h, T_INT64_DATA, h->n_int64, err);
    case OC_DTYPE_U32:
    case OC_DTYPE_U64: return read_ints(h, T_UINT64_DATA, h->n_uint64, err);
    case OC_DTYPE_STRING: return read_strings(h, err);
    default: return read_ints(h, T_INT32_DATA, h->n_int32, err);
    }
}

oc_status oc__tensor_read(const oc__tensor_reader *r, const oc__wire *w,
                          oc_tensor *out, const char **name, oc_error *err) {
    header h;
    memset(&h, 0, sizeof(h));
    h.r = r;
    h.message = *w;
    h.name = "";
    h.offset = oc__wire_offset(w);
    h.external.length = -1;
    OC_TRY(read_header(&h, err));
    if (h.elems == 0) {
        /* Nothing to read, but data must say that this is a constant. */
        h.t.data = oc__arena_alloc(r->arena, 1);
        if (!h.t.data) return oc__fail_nomem(err);
    } else if (h.is_external) {
        OC_TRY(read_outside(&h, err));
    } else if (h.has_raw) {
        OC_TRY(read_raw(&h, err));
    } else {
        OC_TRY(read_typed(&h, err));
    }
    *out = h.t;
    if (name) *name = h.name;
    return OC_OK;
}
