/*
 * fill.c - tensors made from little: Constant, ConstantOfShape, Range,
 * EyeLike, OneHot; and Trilu, which fills a triangle.
 */
#include "ops/moves.h"

#include <math.h>
#include <string.h>

/* ---- Constant --------------------------------------------------------------
 */

/* The attribute as a tensor that points into it. */
static oc_status constant_tensor(const oc__ctx *c, oc_tensor *t) {
    const oc__attr *a = c->node->n_attrs > 0 ? &c->node->attrs[0] : NULL;
    for (int i = 0; i < c->node->n_attrs; i++)
        if (!strncmp(c->node->attrs[i].name, "value", 5) ||
            !strcmp(c->node->attrs[i].name, "sparse_value"))
            a = &c->node->attrs[i];
    if (!a) return oc__op_fail(c, OC_E_FORMAT, "there is no value");
    int64_t n = (int64_t)a->n;
    switch (a->type) {
    case OC_ATTR_TENSOR: /* the importer makes a sparse one dense */
        *t = a->tensors[0];
        return OC_OK;
    case OC_ATTR_INT:
        *t = (oc_tensor){OC_DTYPE_I64, 0, {0}, (void *)&a->i};
        return OC_OK;
    case OC_ATTR_FLOAT:
        *t = (oc_tensor){OC_DTYPE_F32, 0, {0}, (void *)&a->f};
        return OC_OK;
    case OC_ATTR_STRING:
        *t = (oc_tensor){OC_DTYPE_STRING, 0, {0}, (void *)&a->s};
        return OC_OK;
    case OC_ATTR_INTS:
        *t = (oc_tensor){OC_DTYPE_I64, 1, {n}, (void *)a->ints};
        return OC_OK;
    case OC_ATTR_FLOATS:
        *t = (oc_tensor){OC_DTYPE_F32, 1, {n}, (void *)a->floats};
        return OC_OK;
    case OC_ATTR_STRINGS:
        *t = (oc_tensor){OC_DTYPE_STRING, 1, {n}, (void *)a->strings};
        return OC_OK;
    default:
        return oc__op_fail(c, OC_E_FORMAT, "attribute %s is no value", a->name);
    }
}

static oc_status infer_constant(oc__ctx *c) {
    oc_tensor t;
    OC_TRY(constant_tensor(c, &t));
    return oc__out_like(c, 0, &t);
}

static oc_status run_constant(oc__ctx *c) {
    oc_tensor t;
    OC_TRY(constant_tensor(c, &t));
    oc__move_copy(c, oc__out(c, 0)->data, t.data, oc_tensor_bytes(&t));
    return OC_OK;
}

/* ---- ConstantOfShape -------------------------------------------------------
 */

/* An empty shape makes a scalar; without a value it is float zeros. */
static oc_status infer_constant_of_shape(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK];
    int rank;
    OC_TRY(oc__want(c, 0, OC_T(I64)));
    OC_NEED_DATA(c, 0);
    OC_TRY(oc__in_ints(c, 0, dims, OC_MAX_RANK, &rank));
    const oc_tensor *v = oc__attr_tensor(c->node, "value");
    if (v && oc_tensor_elems(v) != 1)
        return oc__op_fail(c, OC_E_SHAPE, "value must have one element");
    return oc__out_set(c, 0, v ? v->dtype : OC_DTYPE_F32, rank, dims);
}

static oc_status run_constant_of_shape(oc__ctx *c) {
    const oc_tensor *v = oc__attr_tensor(c->node, "value");
    oc_tensor *y = oc__out(c, 0);
    float zero = 0;
    oc__move_fill(c, y->data, v ? v->data : &zero, oc_dtype_bytes(y->dtype),
                  oc_tensor_elems(y));
    return OC_OK;
}

/* ---- Range -----------------------------------------------------------------
 */

/* Elements of start, start + delta, ... before limit; -1: not sensible. */
static int64_t range_count(const oc__ctx *c) {
    const oc_tensor *s = oc__in(c, 0), *l = oc__in(c, 1), *d = oc__in(c, 2);
    if (oc__dtype_is_float(s->dtype)) {
        double start = oc__tensor_get_f64(s, 0),
               limit = oc__tensor_get_f64(l, 0);
        double n = ceil((limit - start) / oc__tensor_get_f64(d, 0));
        if (!(n < 1e15)) return -1; /* NaN too */
        return n > 0 ? (int64_t)n : 0;
    }
    int64_t start = oc__tensor_get_i64(s, 0), limit = oc__tensor_get_i64(l, 0);
    int64_t delta = oc__tensor_get_i64(d, 0);
    if (delta == 0) return -1;
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    /* Distances as unsigned: from INT64_MIN to INT64_MAX fits there. */
    uint64_t way = delta > 0 ? (uint64_t)limit - (uint64_t)start
                             : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t n = (way - 1) / step + 1;
    return n > INT64_MAX ? -1 : (int64_t)n;
}

static oc_status infer_range(oc__ctx *c) {
    uint32_t types = OC_T_F | OC_T_I | OC_T_U;
    for (int i = 0; i < 3; i++) {
        OC_TRY(oc__want(c, i, i ? 1u << oc__in(c, 0)->dtype : types));
        if (oc_tensor_elems(oc__in(c, i)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "input %d must be a scalar", i);
        OC_NEED_DATA(c, i);
    }
    int64_t n = range_count(c);
    if (n < 0) return oc__op_fail(c, OC_E_ARG, "the range has no end");
    return oc__out_set(c, 0, oc__in(c, 0)->dtype, 1, &n);
}

/* Float elements are start + i * delta, not a running sum, so that errors do
   not add up; integers run over exactly. */
static oc_status run_range(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    const oc_tensor *s = oc__in(c, 0), *d = oc__in(c, 2);
    int64_t n = y->dims[0];
    if (y->dtype == OC_DTYPE_F32) {
        float start = *(float *)s->data, delta = *(float *)d->data;
        for (int64_t i = 0; i < n; i++)
            ((float *)y->data)[i] = start + (float)i * delta;
    } else if (oc__dtype_is_float(y->dtype)) {
        double start = oc__tensor_get_f64(s, 0),
               delta = oc__tensor_get_f64(d, 0);
        for (int64_t i = 0; i < n; i++)
            oc__tensor_set_f64(y, i, start + (double)i * delta);
    } else {
        uint64_t v = (uint64_t)oc__tensor_get_i64(s, 0);
        uint64_t delta = (uint64_t)oc__tensor_get_i64(d, 0);
        size_t bytes = oc_dtype_bytes(y->dtype);
        for (int64_t i = 0; i < n; i++, v += delta) {
            /* The low bytes are the value in every width. */
            char *out = (char *)y->data + (size_t)i * bytes;
            uint8_t v1 = (uint8_t)v;
            uint16_t v2 = (uint16_t)v;
            uint32_t v4 = (uint32_t)v;
            memcpy(out,
                   bytes == 1   ? (void *)&v1
                   : bytes == 2 ? (void *)&v2
                   : bytes == 4 ? (void *)&v4
                                : (void *)&v,
                   bytes);
        }
    }
    return OC_OK;
}

/* ---- EyeLike ---------------------------------------------------------------
 */

/* EyeLike: the shape of a matrix, ones on diagonal k, in its own type or
   the one asked for. */
static oc_status infer_eye(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want_rank(c, 0, 2, 2));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dtype = oc__attr_int(c->node, "dtype", x->dtype);
    if (!oc_dtype_bytes((oc_dtype)dtype) || dtype == OC_DTYPE_STRING)
        return oc__op_fail(c, OC_E_UNSUPPORTED, "dtype %lld", (long long)dtype);
    return oc__out_set(c, 0, (oc_dtype)dtype, 2, x->dims);
}

static oc_status run_eye(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    int64_t k = oc__attr_int(c->node, "k", 0);
    int64_t rows = y->dims[0], cols = y->dims[1];
    memset(y->data, 0, oc_tensor_bytes(y));
    if (k <= -rows || k >= cols) return OC_OK;
    for (int64_t r = OC_MAX(0, -k); r < rows && r + k < cols; r++)
        oc__tensor_set_f64(y, r * cols + r + k, 1);
    return OC_OK;
}

/* ---- OneHot ----------------------------------------------------------------
 */

/* The new axis counts in the output's rank. */
static oc_status onehot_axis(const oc__ctx *c, int *axis) {
    return oc__axis(c, oc__attr_int(c->node, "axis", -1),
                    oc__in(c, 0)->rank + 1, axis);
}

static oc_status infer_onehot(oc__ctx *c) {
    int axis, rank = 0;
    double depth;
    int64_t dims[OC_MAX_RANK];
    uint32_t numbers = OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL);
    OC_TRY(oc__want(c, 0, numbers));
    OC_TRY(oc__want(c, 1, numbers));
    OC_TRY(oc__want(c, 2, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    if (x->rank >= OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "rank %d is over %d", x->rank + 1,
                           OC_MAX_RANK);
    if (oc_tensor_elems(oc__in(c, 2)) != 2)
        return oc__op_fail(c, OC_E_SHAPE, "values must be [off, on]");
    OC_NEED_DATA(c, 1);
    OC_TRY(onehot_axis(c, &axis));
    OC_TRY(oc__in_scalar(c, 1, &depth));
    if (!(depth >= 0 && depth < 1e15))
        return oc__op_fail(c, OC_E_ARG, "depth is %g", depth);
    for (int i = 0; i <= x->rank; i++)
        dims[i] = i == axis ? (int64_t)depth : x->dims[rank++];
    return oc__out_set(c, 0, oc__in(c, 2)->dtype, rank + 1, dims);
}

/* All off, then one on for each index inside the depth. */
static oc_status run_onehot(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *v = oc__in(c, 2);
    oc_tensor *y = oc__out(c, 0);
    int axis;
    OC_TRY(onehot_axis(c, &axis));
    int64_t inner = oc__count(x->dims + axis, x->rank - axis);
    int64_t depth = y->dims[axis], n = oc_tensor_elems(x);
    size_t b = oc_dtype_bytes(y->dtype);
    oc__move_fill(c, y->data, v->data, b, oc_tensor_elems(y));
    for (int64_t i = 0; i < n; i++) {
        int64_t k = oc__tensor_get_i64(x, i);
        if (k < 0 && c->node->version >= 11) k += depth;
        if (k < 0 || k >= depth) continue; /* a row of off, as the spec says */
        int64_t at = (i / inner * depth + k) * inner + i % inner;
        memcpy((char *)y->data + (size_t)at * b, (char *)v->data + b, b);
    }
    return OC_OK;
}

/* ---- Trilu -----------------------------------------------------------------
 */

static oc_status infer_trilu(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, ~OC_T(STRING)));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    if (oc__in_value(c, 1)) OC_TRY(oc__want(c, 1, OC_T(I64)));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* Keeps the triangle above (or below) diagonal k of each matrix.  A row is a
   kept and a zeroed part, whatever the type. */
static oc_status run_trilu(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int upper = oc__attr_int(c->node, "upper", 1) != 0;
    int64_t rows = x->dims[x->rank - 2], cols = x->dims[x->rank - 1], k = 0;
    size_t b = oc_dtype_bytes(x->dtype);
    if (oc__in(c, 1)) {
        if (oc_tensor_elems(oc__in(c, 1)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "k must be a scalar");
        k = oc__tensor_get_i64(oc__in(c, 1), 0);
        k = OC_MAX(-rows, OC_MIN(k, cols)); /* beyond, nothing changes */
    }
    int64_t all = cols > 0 && rows > 0 ? oc_tensor_elems(x) / cols : 0;
    for (int64_t i = 0; i < all; i++) {
        /* The border between the kept and the zeroed columns of a row. */
        int64_t at = i % rows + k + (upper ? 0 : 1);
        at = OC_MAX(0, OC_MIN(at, cols));
        char *to = (char *)y->data + (size_t)(i * cols) * b;
        const char *from = (const char *)x->data + (size_t)(i * cols) * b;
        size_t head = (size_t)at * b, tail = (size_t)(cols - at) * b;
        if (upper) {
            memset(to, 0, head);
            if (to != from) memcpy(to + head, from + head, tail);
        } else {
            memset(to + head, 0, tail);
            if (to != from) memcpy(to, from, head);
        }
    }
    return OC_OK;
}

const oc__op oc__ops_fill[] = {
    {"", "Constant", 1, 0, 0, 1, 0, 0, infer_constant, run_constant, NULL},
    {"", "ConstantOfShape", 9, 1, 1, 1, OC_OP_NO_FOLD_LARGE, 0,
     infer_constant_of_shape, run_constant_of_shape, NULL},
    {"", "Range", 11, 3, 3, 1, 0, 0, infer_range, run_range, NULL},
    {"", "EyeLike", 9, 1, 1, 1, OC_OP_SHAPE_ONLY | OC_OP_NO_FOLD_LARGE, 0,
     infer_eye, run_eye, NULL},
    {"", "OneHot", 9, 3, 3, 1, OC_OP_NO_FOLD_LARGE, 0, infer_onehot, run_onehot,
     NULL},
    {"", "Trilu", 14, 1, 2, 1, OC_OP_INPLACE, 0, infer_trilu, run_trilu, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
