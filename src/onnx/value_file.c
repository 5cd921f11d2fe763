/*
 * value_file.c - values in files, for programs: .pb, .npy, .npz.
 */
#include "onnx/npy.h"
#include "onnx/value_proto.h"

#include <string.h>

/* Runs one reader over a mapped file and makes the result a value. */
typedef struct source {
    enum { FROM_PB, FROM_NPY, FROM_NPZ } format;
    const char *member;
    oc_kind kind;
    int is_optional;
    oc_dtype dtype;
} source;

static oc_status read_source(oc_value *v, const oc__file *f, const source *s,
                             oc_error *err) {
    const oc_allocator *a = &oc__default_allocator;
    switch (s->format) {
    case FROM_NPY: return oc__npy_read(v, f->data, f->bytes, s->dtype, a, err);
    case FROM_NPZ:
        return oc__npz_read(v, f->data, f->bytes, s->member, s->dtype, a, err);
    default:
        return oc__value_proto_read(v, f->data, f->bytes, s->kind,
                                    s->is_optional, a, err);
    }
}

static oc_status load(oc_value **out, const char *path, const source *s,
                      oc_error *err) {
    oc__file f;
    oc_value *v = NULL;
    oc__error_clear(err);
    OC_TRY(oc__file_map(&f, path, 0, err));
    oc_status st = oc_value_create_none(&v, err);
    if (st == OC_OK) st = read_source(v, &f, s, err);
    if (st == OC_OK) {
        *out = v;
    } else {
        oc_value_destroy(v);
        oc__error_prefix(err, path);
    }
    oc__file_unmap(&f);
    return st;
}

static int ends_in(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && !strcmp(path + (n - m), ending);
}

oc_status oc_value_load(oc_value **out, const char *path, const char *member,
                        const oc_value_info *info, oc_error *err) {
    source s = {FROM_PB, member, OC_KIND_TENSOR, 0, OC_DTYPE_NONE};
    if (!out || !path) return oc__fail(err, OC_E_ARG, "no file or no result");
    if (info) {
        s.kind = info->kind;
        s.is_optional = info->optional == 2;
        s.dtype = info->dtype;
    }
    if (ends_in(path, ".npy")) {
        s.format = FROM_NPY;
    } else if (ends_in(path, ".npz")) {
        s.format = FROM_NPZ;
    } else if (!ends_in(path, ".pb")) {
        return oc__fail(err, OC_E_ARG,
                        "%s: only .npy, .npz and .pb files hold tensors", path);
    }
    return load(out, path, &s, err);
}

oc_status oc_value_save_pb(const oc_value *v, const char *name,
                           const char *path, oc_error *err) {
    oc__wire_out o;
    if (!v || !path) return oc__fail(err, OC_E_ARG, "no value or no path");
    oc__put_init(&o, &oc__default_allocator);
    oc_status st = oc__value_put(&o, v, name, err);
    if (st == OC_OK) st = oc__put_save(&o, path, err);
    oc__put_deinit(&o);
    return st;
}

oc_status oc_tensor_save_npy(const oc_tensor *t, const char *path,
                             oc_error *err) {
    if (!t || !path) return oc__fail(err, OC_E_ARG, "no tensor or no path");
    return oc__npy_write(t, path, err);
}
