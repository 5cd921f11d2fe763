/* value.c - see value.h. */
#include "graph/value.h"

#include "base/size.h"

#include <string.h>

void oc__value_clear(oc_value *v) {
    if (v->kind == OC_KIND_SEQUENCE || v->kind == OC_KIND_MAP) {
        /* Items live in the buffer: its last holder takes them down. */
        if (v->buf && oc__buf_is_last(v->buf))
            for (size_t i = 0; i < v->n; i++)
                oc__value_clear(&v->items[i]);
    }
    oc__buf_release(v->buf);
    memset(v, 0, sizeof(*v));
}

oc_status oc__value_alloc_tensor(oc_value *v, const oc_allocator *a,
                                 oc_dtype dtype, int rank, const int64_t *dims,
                                 oc_error *err) {
    size_t bytes;
    if (oc__tensor_size(dtype, rank, dims, &bytes))
        return oc__fail(err, OC_E_LIMIT,
                        "a tensor of this shape would not fit into memory");
    oc__buf *buf = oc__buf_create(a, bytes);
    if (!buf)
        return oc__fail(err, OC_E_NOMEM,
                        "out of memory for a tensor of %zu bytes", bytes);
    oc__value_clear(v);
    v->kind = OC_KIND_TENSOR;
    v->buf = buf;
    oc__tensor_set(&v->t, dtype, rank, dims);
    v->t.data = oc__buf_data(buf);
    return OC_OK;
}

void oc__value_share(oc_value *dst, const oc_value *src) {
    *dst = *src;
    oc__buf_retain(dst->buf);
}

oc_status oc__value_keep(oc_value *dst, const oc_value *src,
                         const oc_allocator *a, oc_error *err) {
    if (src->buf || src->kind != OC_KIND_TENSOR) {
        oc__value_share(dst, src);
        return OC_OK;
    }
    return oc__value_copy_tensor(dst, &src->t, a, err);
}

oc_status oc__value_copy_tensor(oc_value *v, const oc_tensor *t,
                                const oc_allocator *a, oc_error *err) {
    if (t->dtype == OC_DTYPE_STRING)
        return oc__value_alloc_strings(v, a, t->rank, t->dims, t->data, err);
    oc_value fresh = {0};
    OC_TRY(oc__value_alloc_tensor(&fresh, a, t->dtype, t->rank, t->dims, err));
    size_t bytes = oc_tensor_bytes(t);
    if (bytes) memcpy(fresh.t.data, t->data, bytes);
    oc__value_clear(v);
    *v = fresh;
    return OC_OK;
}

oc_status oc__value_alloc_items(oc_value *v, oc_kind kind, size_t n,
                                const oc_allocator *a, oc_error *err) {
    size_t bytes;
    if (oc__size_mul(n, sizeof(oc_value), &bytes)) return oc__fail_nomem(err);
    oc__buf *buf = oc__buf_create(a, bytes);
    if (!buf) return oc__fail_nomem(err);
    if (bytes) memset(oc__buf_data(buf), 0, bytes);
    oc__value_clear(v);
    v->kind = kind;
    v->buf = buf;
    v->n = n;
    v->items = oc__buf_data(buf);
    return OC_OK;
}

oc_status oc__value_alloc_strings(oc_value *v, const oc_allocator *a, int rank,
                                  const int64_t *dims, const oc_string *s,
                                  oc_error *err) {
    size_t table, total;
    if (oc__tensor_size(OC_DTYPE_STRING, rank, dims, &table))
        return oc__fail(err, OC_E_LIMIT, "a string tensor is too large");
    size_t n = table / sizeof(oc_string);
    total = table;
    for (size_t i = 0; i < n; i++)
        if (oc__size_add(total, s[i].bytes, &total) ||
            oc__size_add(total, 1, &total))
            return oc__fail_nomem(err);
    oc__buf *buf = oc__buf_create(a, total);
    if (!buf) return oc__fail_nomem(err);
    oc_string *out = oc__buf_data(buf);
    char *chars = (char *)oc__buf_data(buf) + table;
    for (size_t i = 0; i < n; i++) {
        /* Each copy ends in a NUL so that it can be printed as it is. */
        if (s[i].bytes) memcpy(chars, s[i].data, s[i].bytes);
        chars[s[i].bytes] = 0;
        out[i].data = chars;
        out[i].bytes = s[i].bytes;
        chars += s[i].bytes + 1;
    }
    oc__value_clear(v);
    v->kind = OC_KIND_TENSOR;
    v->buf = buf;
    oc__tensor_set(&v->t, OC_DTYPE_STRING, rank, dims);
    v->t.data = out;
    return OC_OK;
}

oc_status oc__value_own_strings(oc_value *v, const oc_allocator *a,
                                oc_error *err) {
    oc_value fresh = {0};
    OC_TRY(oc__value_alloc_strings(&fresh, a, v->t.rank, v->t.dims, v->t.data,
                                   err));
    oc__value_clear(v);
    *v = fresh;
    return OC_OK;
}

/* ---- public accessors
 * -------------------------------------------------------- */

oc_kind oc_value_kind(const oc_value *v) {
    return v->kind;
}

const oc_tensor *oc_value_tensor(const oc_value *v) {
    return v && v->kind == OC_KIND_TENSOR ? &v->t : NULL;
}

size_t oc_value_count(const oc_value *v) {
    return v->kind == OC_KIND_SEQUENCE || v->kind == OC_KIND_MAP ? v->n : 0;
}

const oc_value *oc_value_item(const oc_value *v, size_t i) {
    return i < oc_value_count(v) ? &v->items[i] : NULL;
}

static oc_status create(oc_value **out, oc_value *from, oc_error *err) {
    oc_value *v = oc__alloc(&oc__default_allocator, sizeof(*v));
    if (!v) {
        oc__value_clear(from);
        return oc__fail_nomem(err);
    }
    *v = *from;
    *out = v;
    return OC_OK;
}

oc_status oc_value_create_tensor(oc_value **out, const oc_tensor *t,
                                 oc_error *err) {
    oc_value v = {0};
    OC_TRY(oc__value_copy_tensor(&v, t, &oc__default_allocator, err));
    return create(out, &v, err);
}

oc_status oc_value_create_sequence(oc_value **out, const oc_value *const *items,
                                   size_t n, oc_error *err) {
    oc_value v = {0};
    const oc_allocator *a = &oc__default_allocator;
    OC_TRY(oc__value_alloc_items(&v, OC_KIND_SEQUENCE, n, a, err));
    for (size_t i = 0; i < n; i++) {
        oc_status st = oc__value_keep(&v.items[i], items[i], a, err);
        if (st != OC_OK) {
            oc__value_clear(&v);
            return st;
        }
    }
    return create(out, &v, err);
}

oc_status oc_value_create_none(oc_value **out, oc_error *err) {
    oc_value v = {0};
    return create(out, &v, err);
}

void oc_value_destroy(oc_value *v) {
    if (!v) return;
    oc__value_clear(v);
    oc__release(&oc__default_allocator, v, sizeof(*v));
}
