/* import_type.c - TypeProto, TensorShapeProto, ValueInfoProto. */
#include "onnx/importer.h"

#include <stdlib.h>
#include <string.h>

/* TypeProto's fields. */
enum {
    TP_TENSOR = 1,
    TP_SEQUENCE = 4,
    TP_MAP = 5,
    TP_SPARSE = 8,
    TP_OPTIONAL = 9,
};

static oc_status read_dimension(oc__importer *im, const oc__wire *w,
                                int64_t *dim, const char **symbol) {
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == 1) {
            OC_TRY(oc__field_int(&f, "Dimension.dim_value", dim, im->err));
            /* Some exporters write -1 for "any". */
            if (*dim < 0) *dim = -1;
        } else if (f.number == 2) {
            OC_TRY(oc__field_string(&f, "Dimension.dim_param", im->arena,
                                    symbol, im->err));
            if (!**symbol) *symbol = NULL;
        }
    }
    return OC_OK;
}

static oc_status read_shape(oc__importer *im, const oc__wire *w,
                            oc__type *out) {
    out->rank = 0;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number != 1) continue;
        OC_TRY(oc__field_body(&f, "TensorShapeProto.dim", &body, im->err));
        if (out->rank == OC_MAX_RANK) {
            return oc__fail_at(im->err, OC_E_UNSUPPORTED, f.offset,
                               "a shape at byte %lld has more than %d "
                               "dimensions",
                               (long long)f.offset, OC_MAX_RANK);
        }
        int64_t dim = -1;
        const char *symbol = NULL;
        OC_TRY(read_dimension(im, &body, &dim, &symbol));
        out->dims[out->rank] = dim;
        out->dim_names[out->rank++] = symbol;
    }
    return OC_OK;
}

/* TypeProto.Tensor and .SparseTensor; .Map has its key type in field 1 too. */
static oc_status read_tensor_type(oc__importer *im, const oc__wire *w,
                                  oc__type *out) {
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == 1) {
            int64_t v;
            OC_TRY(oc__field_int(&f, "Tensor.elem_type", &v, im->err));
            if (v && !oc__dtype_is_known(v)) {
                return oc__fail_at(im->err, OC_E_UNSUPPORTED, f.offset,
                                   "element type %lld at byte %lld is unknown",
                                   (long long)v, (long long)f.offset);
            }
            out->dtype = (oc_dtype)v;
        } else if (f.number == 2) {
            oc__wire shape;
            OC_TRY(oc__field_body(&f, "Tensor.shape", &shape, im->err));
            OC_TRY(read_shape(im, &shape, out));
        }
    }
    return OC_OK;
}

static oc_status read_type(oc__importer *im, const oc__wire *w, oc__type *out,
                           int depth);

/*
 * The type inside a sequence (field 1), optional (field 1) or map (field 2).
 * Of its shape nothing is kept: elements may differ.
 */
static oc_status read_inner(oc__importer *im, const oc__wire *w,
                            uint32_t number, oc__type *out, int depth) {
    memset(out, 0, sizeof(*out));
    out->rank = -1;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number != number) continue;
        OC_TRY(oc__field_body(&f, "TypeProto", &body, im->err));
        OC_TRY(read_type(im, &body, out, depth + 1));
    }
    return OC_OK;
}

static oc_status read_type(oc__importer *im, const oc__wire *w, oc__type *out,
                           int depth) {
    memset(out, 0, sizeof(*out));
    out->rank = -1;
    if (depth > OC_IMPORT_MAX_TYPE_DEPTH) {
        return oc__fail_at(im->err, OC_E_LIMIT, oc__wire_offset(w),
                           "a type at byte %lld is nested too deeply",
                           (long long)oc__wire_offset(w));
    }
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == 6) continue; /* denotation */
        OC_TRY(oc__field_body(&f, "TypeProto", &body, im->err));
        oc__type inner;
        switch (f.number) {
        case TP_TENSOR:
        case TP_SPARSE:
            out->kind = OC_KIND_TENSOR;
            OC_TRY(read_tensor_type(im, &body, out));
            break;
        case TP_SEQUENCE:
        case TP_MAP:
            OC_TRY(read_inner(im, &body, f.number == TP_MAP ? 2 : 1, &inner,
                              depth));
            out->kind = f.number == TP_MAP ? OC_KIND_MAP : OC_KIND_SEQUENCE;
            out->dtype = inner.dtype;
            out->rank = -1;
            break;
        case TP_OPTIONAL:
            OC_TRY(read_inner(im, &body, 1, out, depth));
            out->is_optional = 1;
            break;
        default: break;
        }
    }
    return OC_OK;
}

oc_status oc__import_type(oc__importer *im, const oc__wire *w, oc__type *out) {
    return read_type(im, w, out, 0);
}

oc_status oc__import_value_info(oc__importer *im, const oc__wire *w,
                                const char **name, oc__type *type) {
    *name = "";
    memset(type, 0, sizeof(*type));
    type->rank = -1;
    for (oc__wire m = *w; oc__wire_more(&m);) {
        oc__field f;
        oc__wire body;
        OC_TRY(oc__wire_next(&m, &f, im->err));
        if (f.number == 1) {
            OC_TRY(oc__field_string(&f, "ValueInfoProto.name", im->scratch,
                                    name, im->err));
        } else if (f.number == 2) {
            OC_TRY(oc__field_body(&f, "ValueInfoProto.type", &body, im->err));
            OC_TRY(oc__import_type(im, &body, type));
        }
    }
    if (!**name) {
        return oc__fail_at(im->err, OC_E_FORMAT, oc__wire_offset(w),
                           "a declared value at byte %lld has no name",
                           (long long)oc__wire_offset(w));
    }
    return OC_OK;
}

static oc_status contradicts(oc__importer *im, const oc__value_def *v,
                             int64_t offset, oc_status st, const char *what) {
    return oc__fail_at(im->err, st, offset,
                       "\"%.80s\" is declared at byte %lld with %s that "
                       "contradicts what it is",
                       v->name, (long long)offset, what);
}

oc_status oc__import_apply_type(oc__importer *im, oc__value_def *v,
                                const oc__type *type, int64_t offset) {
    if (type->kind == OC_KIND_NONE) return OC_OK;
    if (v->constant && type->kind != OC_KIND_TENSOR) {
        return contradicts(im, v, offset, OC_E_FORMAT, "a kind");
    }
    v->kind = type->kind;
    if (v->dtype && type->dtype && v->dtype != type->dtype) {
        return contradicts(im, v, offset, OC_E_FORMAT, "an element type");
    }
    if (type->dtype) v->dtype = type->dtype;
    if (type->rank < 0) return OC_OK;
    if (v->rank >= 0 && v->rank != type->rank) {
        return contradicts(im, v, offset, OC_E_SHAPE, "a rank");
    }
    v->rank = type->rank;
    for (int i = 0; i < type->rank; i++) {
        if (v->dims[i] >= 0 && type->dims[i] >= 0 &&
            v->dims[i] != type->dims[i]) {
            return contradicts(im, v, offset, OC_E_SHAPE, "a dimension");
        }
        if (type->dims[i] >= 0) v->dims[i] = type->dims[i];
        if (type->dim_names[i]) v->dim_names[i] = type->dim_names[i];
    }
    return OC_OK;
}
