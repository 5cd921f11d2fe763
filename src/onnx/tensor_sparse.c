/*
 * tensor_sparse.c - SparseTensorProto to a dense tensor.
 *
 *     values   (NNZ)             the elements that are not zero
 *     indices  (NNZ) i64         where, counted in row-major order, or
 *              (NNZ, rank) i64   where, one index for each dimension
 */
#include "onnx/tensor_proto.h"

#include "base/size.h"

#include <string.h>

/* A few bytes of file must not ask for gigabytes of zeros. */
enum { SPARSE_FREE_BYTES = 64 << 20, SPARSE_MAX_GROWTH = 1024 };

static oc_status sparse_fail(const oc__wire *w, const char *name, oc_status st,
                             const char *what, oc_error *err) {
    return oc__fail_at(err, st, oc__wire_offset(w),
                       "sparse tensor \"%.80s\" at byte %lld %s", name,
                       (long long)oc__wire_offset(w), what);
}

/* Position of element i in the dense tensor; 1 when it lies outside. */
static int place_of(const oc_tensor *indices, const oc_tensor *dense,
                    int64_t elems, int64_t i, int64_t *out) {
    const int64_t *index = indices->data;
    if (indices->rank == 1) {
        *out = index[i];
        return index[i] < 0 || index[i] >= elems;
    }
    int64_t at = 0;
    for (int d = 0; d < dense->rank; d++) {
        int64_t v = index[i * dense->rank + d];
        if (v < 0 || v >= dense->dims[d]) return 1;
        at = at * dense->dims[d] + v; /* below elems: cannot overflow */
    }
    *out = at;
    return 0;
}

/* Where the parts say what they must. */
static const char *contradiction(const oc_tensor *values,
                                 const oc_tensor *indices,
                                 const oc_tensor *dense) {
    if (values->rank != 1) return "has values of rank other than 1";
    if (values->dtype == OC_DTYPE_STRING) return "has strings for values";
    if (indices->dtype != OC_DTYPE_I64) return "has indices that are not i64";
    int linear = indices->rank == 1;
    int by_dim = indices->rank == 2 && indices->dims[1] == dense->rank;
    if ((!linear && !by_dim) || indices->dims[0] != values->dims[0]) {
        return "has indices that do not fit its values";
    }
    return NULL;
}

static oc_status scatter(const oc__tensor_reader *r, const oc__wire *w,
                         const char *name, const oc_tensor *values,
                         const oc_tensor *indices, oc_tensor *dense,
                         oc_error *err) {
    const char *why = contradiction(values, indices, dense);
    if (why) return sparse_fail(w, name, OC_E_FORMAT, why, err);
    dense->dtype = values->dtype;
    size_t size = oc_dtype_bytes(values->dtype), bytes;
    int64_t elems;
    if (oc__dims_product(dense->dims, dense->rank, &elems) ||
        oc__size_mul((size_t)elems, size, &bytes)) {
        return sparse_fail(w, name, OC_E_FORMAT,
                           "has a negative or enormous shape", err);
    }
    if (bytes > SPARSE_FREE_BYTES &&
        bytes / SPARSE_MAX_GROWTH > oc_tensor_bytes(values)) {
        return sparse_fail(w, name, OC_E_LIMIT,
                           "is too large for so few values", err);
    }
    dense->data = oc__arena_alloc(r->arena, bytes ? bytes : 1);
    if (!dense->data) return oc__fail_nomem(err);
    for (int64_t i = 0; i < values->dims[0]; i++) {
        int64_t at;
        if (place_of(indices, dense, elems, i, &at)) {
            return sparse_fail(w, name, OC_E_FORMAT,
                               "has an index outside its shape", err);
        }
        memcpy((char *)dense->data + (size_t)at * size,
               (const char *)values->data + (size_t)i * size, size);
    }
    return OC_OK;
}

oc_status oc__sparse_tensor_read(const oc__tensor_reader *r, const oc__wire *w,
                                 oc_tensor *out, const char **name,
                                 oc_error *err) {
    oc_tensor values, indices, dense;
    const char *label = "";
    memset(&values, 0, sizeof(values));
    memset(&indices, 0, sizeof(indices));
    memset(&dense, 0, sizeof(dense));
    size_t rank = 0;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, err));
        if (f.number == 1) {
            OC_TRY(oc__field_body(&f, "SparseTensorProto.values", &body, err));
            OC_TRY(oc__tensor_read(r, &body, &values, &label, err));
        } else if (f.number == 2) {
            OC_TRY(oc__field_body(&f, "SparseTensorProto.indices", &body, err));
            OC_TRY(oc__tensor_read(r, &body, &indices, NULL, err));
        } else if (f.number == 3) {
            size_t more = 0;
            OC_TRY(oc__field_count_varints(&f, "SparseTensorProto.dims", &more,
                                           err));
            if (more > OC_MAX_RANK - rank) {
                return sparse_fail(w, label, OC_E_UNSUPPORTED,
                                   "has more than 8 dimensions", err);
            }
            OC_TRY(oc__field_varints(&f, "SparseTensorProto.dims", dense.dims,
                                     &rank, err));
        }
    }
    dense.rank = (int)rank;
    if (!values.data || !indices.data) {
        return sparse_fail(w, label, OC_E_FORMAT, "lacks its values or indices",
                           err);
    }
    OC_TRY(scatter(r, w, label, &values, &indices, &dense, err));
    *out = dense;
    if (name) *name = label;
    return OC_OK;
}
