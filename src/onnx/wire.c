/* wire.c - see wire.h. */
#include "onnx/wire.h"

#include <string.h>

oc__wire oc__wire_open(const void *data, size_t bytes) {
    const uint8_t *p = data;
    /* A NULL base must not take part in pointer arithmetic. */
    static const uint8_t nothing;
    if (!p || !bytes) {
        p = &nothing;
        bytes = 0;
    }
    oc__wire w = {p, p, p + bytes};
    return w;
}

int64_t oc__wire_offset(const oc__wire *w) {
    return (int64_t)(w->p - w->base);
}

/* Little endian whatever the machine is. */
static uint64_t load_le(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static oc_status read_varint(oc__wire *w, uint64_t *out, oc_error *err) {
    uint64_t v = 0;
    const uint8_t *p = w->p;
    for (int shift = 0; shift < 70; shift += 7) {
        if (p == w->end) {
            return oc__fail_at(
                err, OC_E_FORMAT, oc__wire_offset(w),
                "the data ends inside a number at byte %lld: it is "
                "cut short, fetch it again",
                (long long)oc__wire_offset(w));
        }
        uint8_t byte = *p++;
        /* The tenth byte has room for one bit: more is not a number. */
        if (shift == 63 && byte > 1) break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            w->p = p;
            *out = v;
            return OC_OK;
        }
    }
    return oc__fail_at(err, OC_E_FORMAT, oc__wire_offset(w),
                       "a number at byte %lld is longer than 64 bits",
                       (long long)oc__wire_offset(w));
}

static oc_status ends_early(const oc__wire *w, oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, oc__wire_offset(w),
                       "the data ends inside a field at byte %lld: it is cut "
                       "short, fetch it again",
                       (long long)oc__wire_offset(w));
}

oc_status oc__wire_next(oc__wire *w, oc__field *f, oc_error *err) {
    uint64_t key;
    memset(f, 0, sizeof(*f));
    f->offset = oc__wire_offset(w);
    OC_TRY(read_varint(w, &key, err));
    f->type = (int)(key & 7);
    /* Field numbers have 29 bits and start at 1. */
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        return oc__fail_at(err, OC_E_FORMAT, f->offset,
                           "byte %lld is not the start of a field: this is "
                           "damaged, or no ONNX file",
                           (long long)f->offset);
    }
    f->number = (uint32_t)(key >> 3);
    uint64_t length;
    switch (f->type) {
    case OC_WIRE_VARINT: return read_varint(w, &f->bits, err);
    case OC_WIRE_I64:
    case OC_WIRE_I32: {
        int bytes = f->type == OC_WIRE_I64 ? 8 : 4;
        if (oc__wire_left(w) < (size_t)bytes) return ends_early(w, err);
        f->bits = load_le(w->p, bytes);
        w->p += bytes;
        return OC_OK;
    }
    case OC_WIRE_LEN:
        OC_TRY(read_varint(w, &length, err));
        if (length > oc__wire_left(w)) return ends_early(w, err);
        f->body.base = w->base;
        f->body.p = w->p;
        w->p += (size_t)length;
        f->body.end = w->p;
        return OC_OK;
    default:
        return oc__fail_at(
            err, OC_E_FORMAT, f->offset,
            "unknown wire type %d at byte %lld: this is damaged, "
            "or no ONNX file",
            f->type, (long long)f->offset);
    }
}

/* ---- fields as values ------------------------------------------------------
 */

static oc_status wrong_type(const oc__field *f, const char *what,
                            oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, f->offset,
                       "%s at byte %lld has wire type %d, which does not fit",
                       what, (long long)f->offset, f->type);
}

oc_status oc__field_int(const oc__field *f, const char *what, int64_t *out,
                        oc_error *err) {
    if (f->type != OC_WIRE_VARINT) return wrong_type(f, what, err);
    *out = (int64_t)f->bits;
    return OC_OK;
}

oc_status oc__field_float(const oc__field *f, const char *what, float *out,
                          oc_error *err) {
    if (f->type != OC_WIRE_I32) return wrong_type(f, what, err);
    uint32_t bits = (uint32_t)f->bits;
    memcpy(out, &bits, sizeof(*out));
    return OC_OK;
}

oc_status oc__field_body(const oc__field *f, const char *what, oc__wire *out,
                         oc_error *err) {
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    *out = f->body;
    return OC_OK;
}

oc_status oc__field_string(const oc__field *f, const char *what,
                           oc__arena *arena, const char **out, oc_error *err) {
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    size_t n = oc__wire_left(&f->body);
    if (n && memchr(f->body.p, 0, n)) {
        return oc__fail_at(err, OC_E_FORMAT, f->offset,
                           "%s at byte %lld has a NUL character in it", what,
                           (long long)f->offset);
    }
    char *s = oc__arena_strndup(arena, (const char *)f->body.p, n);
    if (!s) return oc__fail_nomem(err);
    *out = s;
    return OC_OK;
}

oc_status oc__field_count_varints(const oc__field *f, const char *what,
                                  size_t *count, oc_error *err) {
    if (f->type == OC_WIRE_VARINT) {
        ++*count;
        return OC_OK;
    }
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    /* A varint ends at the first byte without the high bit. */
    for (const uint8_t *p = f->body.p; p < f->body.end; p++) {
        *count += !(*p & 0x80);
    }
    return OC_OK;
}

oc_status oc__field_varints(const oc__field *f, const char *what, int64_t *out,
                            size_t *at, oc_error *err) {
    if (f->type == OC_WIRE_VARINT) {
        out[(*at)++] = (int64_t)f->bits;
        return OC_OK;
    }
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    for (oc__wire w = f->body; oc__wire_more(&w);) {
        uint64_t v;
        OC_TRY(read_varint(&w, &v, err));
        out[(*at)++] = (int64_t)v;
    }
    return OC_OK;
}

oc_status oc__field_count_fixed(const oc__field *f, const char *what,
                                size_t bytes, size_t *count, oc_error *err) {
    if (f->type == (bytes == 4 ? OC_WIRE_I32 : OC_WIRE_I64)) {
        ++*count;
        return OC_OK;
    }
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    if (oc__wire_left(&f->body) % bytes) {
        return oc__fail_at(err, OC_E_FORMAT, f->offset,
                           "%s at byte %lld ends inside a number", what,
                           (long long)f->offset);
    }
    *count += oc__wire_left(&f->body) / bytes;
    return OC_OK;
}

static void store_fixed(void *out, size_t i, size_t bytes, uint64_t bits) {
    if (bytes == 4) {
        uint32_t narrow = (uint32_t)bits;
        memcpy((char *)out + 4 * i, &narrow, 4);
    } else {
        memcpy((char *)out + 8 * i, &bits, 8);
    }
}

oc_status oc__field_fixed(const oc__field *f, const char *what, size_t bytes,
                          void *out, size_t *at, oc_error *err) {
    if (f->type == (bytes == 4 ? OC_WIRE_I32 : OC_WIRE_I64)) {
        store_fixed(out, (*at)++, bytes, f->bits);
        return OC_OK;
    }
    if (f->type != OC_WIRE_LEN) return wrong_type(f, what, err);
    for (const uint8_t *p = f->body.p; p < f->body.end; p += bytes) {
        store_fixed(out, (*at)++, bytes, load_le(p, (int)bytes));
    }
    return OC_OK;
}
