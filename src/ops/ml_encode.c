/*
 * ml_encode.c - ai.onnx.ml from words to numbers and back: LabelEncoder,
 * CategoryMapper, OneHotEncoder.  Keys are sorted once a run and looked up by
 * bisection.
 */
#include "base/sort.h"
#include "ops/ml_common.h"

#include <math.h>
#include <string.h>

#define ML "ai.onnx.ml"

/* ---- keys ------------------------------------------------------------------
 */

static int compare_strings(oc_string a, oc_string b) {
    size_t n = OC_MIN(a.bytes, b.bytes);
    int r = n ? memcmp(a.data, b.data, n) : 0;
    return r ? r : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* Element i of a against element j of b, both of one type.  NaN equals NaN
   and stands last. */
static int compare_elements(const oc_tensor *a, int64_t i, const oc_tensor *b,
                            int64_t j) {
    if (a->dtype == OC_DTYPE_STRING)
        return compare_strings(((const oc_string *)a->data)[i],
                               ((const oc_string *)b->data)[j]);
    if (oc__dtype_is_float(a->dtype)) {
        double x = oc__tensor_get_f64(a, i), y = oc__tensor_get_f64(b, j);
        if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
        return (x > y) - (x < y);
    }
    int64_t x = oc__tensor_get_i64(a, i), y = oc__tensor_get_i64(b, j);
    return (x > y) - (x < y);
}

static int compare_keys(const void *ctx, int64_t a, int64_t b) {
    const oc_tensor *keys = ctx;
    return compare_elements(keys, a, keys, b);
}

/* order has room for twice the keys. */
static void sort_keys(const oc_tensor *keys, int64_t *order) {
    int64_t n = oc_tensor_elems(keys);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    oc__sort_index(order, order + n, (size_t)n, compare_keys, keys);
}

/* Number of the key equal to element i of x, the last of several; or -1. */
static int64_t find_key(const oc_tensor *keys, const int64_t *order,
                        const oc_tensor *x, int64_t i) {
    int64_t lo = 0, hi = oc_tensor_elems(keys), found = -1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        int r = compare_elements(x, i, keys, order[mid]);
        if (r == 0) found = order[mid];
        if (r < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return found;
}

/* One attribute of several, of which exactly one should be there: a tensor,
   or a list of floats, ints, strings. */
static oc_status attr_list(const oc__ctx *c, const char *const *names,
                           oc_tensor *out) {
    for (; *names; names++) {
        const oc__attr *a = oc__attr_find(c->node, *names);
        if (!a || (a->n == 0 && a->type != OC_ATTR_TENSOR)) continue;
        *out = (oc_tensor){.rank = 1, .dims = {(int64_t)a->n}};
        switch (a->type) {
        case OC_ATTR_TENSOR:
            *out = a->tensors[0];
            out->dims[0] = oc_tensor_elems(out);
            out->rank = 1;
            return OC_OK;
        case OC_ATTR_FLOATS:
            out->dtype = OC_DTYPE_F32;
            out->data = (void *)a->floats;
            return OC_OK;
        case OC_ATTR_INTS:
            out->dtype = OC_DTYPE_I64;
            out->data = (void *)a->ints;
            return OC_OK;
        case OC_ATTR_STRINGS:
            out->dtype = OC_DTYPE_STRING;
            out->data = (void *)a->strings;
            return OC_OK;
        default: break;
        }
        return oc__op_fail(c, OC_E_FORMAT, "attribute %s is no list", *names);
    }
    return oc__op_fail(c, OC_E_FORMAT, "keys or values are missing");
}

/* ---- LabelEncoder ----------------------------------------------------------
 */

typedef struct encoder {
    oc_tensor keys, values;
    /* What is not among the keys becomes this. */
    oc_string text;
    int64_t integer;
    double number;
} encoder;

/* Opset 1: classes, numbered by their place, either way. */
static oc_status read_classes(const oc__ctx *c, encoder *e) {
    static const char *const names[] = {"classes_strings", NULL};
    oc_tensor classes;
    OC_TRY(attr_list(c, names, &classes));
    int back = oc__in(c, 0)->dtype == OC_DTYPE_I64;
    oc_tensor places = {OC_DTYPE_I64, 1, {classes.dims[0]}, NULL};
    e->keys = back ? places : classes;
    e->values = back ? classes : places;
    return OC_OK;
}

/* Keys, values and what stands for unknown keys, from whichever of a dozen
   attributes are set. */
static oc_status encoder_read(const oc__ctx *c, encoder *e) {
    static const char *const keys[] = {"keys_tensor", "keys_strings",
                                       "keys_int64s", "keys_floats", NULL};
    static const char *const values[] = {"values_tensor", "values_strings",
                                         "values_int64s", "values_floats",
                                         NULL};
    const oc_tensor *t = oc__attr_tensor(c->node, "default_tensor");
    const oc__attr *s = oc__attr_find(c->node, "default_string");
    e->text = s && s->type == OC_ATTR_STRING ? s->s : (oc_string){"_Unused", 7};
    e->integer = oc__attr_int(c->node, "default_int64", -1);
    e->number = oc__attr_float(c->node, "default_float", -0.0f);
    if (c->node->version < 2) return read_classes(c, e);
    OC_TRY(attr_list(c, keys, &e->keys));
    OC_TRY(attr_list(c, values, &e->values));
    if (e->keys.dims[0] != e->values.dims[0])
        return oc__op_fail(c, OC_E_FORMAT, "%lld keys for %lld values",
                           (long long)e->keys.dims[0],
                           (long long)e->values.dims[0]);
    if (!t || oc_tensor_elems(t) != 1) return OC_OK;
    if (t->dtype == OC_DTYPE_STRING) {
        e->text = *(const oc_string *)t->data;
    } else {
        e->integer = oc__tensor_get_i64(t, 0);
        e->number = oc__tensor_get_f64(t, 0);
    }
    return OC_OK;
}

static oc_status infer_encoder(oc__ctx *c) {
    encoder e;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(encoder_read(c, &e));
    const oc_tensor *x = oc__in(c, 0);
    if (x->dtype != e.keys.dtype)
        return oc__op_fail(c, OC_E_ARG, "a %s input for keys of type %s",
                           oc_dtype_name(x->dtype),
                           oc_dtype_name(e.keys.dtype));
    oc__scratch_need(c, 2 * (size_t)e.keys.dims[0] * sizeof(int64_t));
    return oc__out_set(c, 0, e.values.dtype, x->rank, x->dims);
}

/* Value k, or the default for k < 0, into element i of y. */
static void encoder_put(const encoder *e, oc_tensor *y, int64_t i, int64_t k) {
    size_t b = oc_dtype_bytes(y->dtype);
    if (k >= 0 && e->values.data)
        memcpy((char *)y->data + (size_t)i * b,
               (const char *)e->values.data + (size_t)k * b, b);
    else if (y->dtype == OC_DTYPE_STRING)
        ((oc_string *)y->data)[i] = e->text;
    else if (y->dtype == OC_DTYPE_I64)
        ((int64_t *)y->data)[i] = k >= 0 ? k : e->integer;
    else if (oc__dtype_is_float(y->dtype))
        oc__tensor_set_f64(y, i, e->number);
    else
        oc__tensor_set_f64(y, i, (double)e->integer);
}

static oc_status run_encoder(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    encoder e;
    OC_TRY(encoder_read(c, &e));
    int64_t n = oc_tensor_elems(x), *order = c->scratch;
    if (e.keys.data) sort_keys(&e.keys, order);
    for (int64_t i = 0; i < n; i++) {
        int64_t k;
        if (e.keys.data) {
            k = find_key(&e.keys, order, x, i);
        } else { /* opset 1: places */
            k = oc__tensor_get_i64(x, i);
            if (k < 0 || k >= e.keys.dims[0]) k = -1;
        }
        encoder_put(&e, y, i, k);
    }
    return OC_OK;
}

/* ---- CategoryMapper --------------------------------------------------------
 */

/* The input's type says in which direction the two lists are read. */
static oc_status mapper_read(const oc__ctx *c, encoder *e) {
    static const char *const ints[] = {"cats_int64s", NULL};
    static const char *const strings[] = {"cats_strings", NULL};
    const oc__attr *s = oc__attr_find(c->node, "default_string");
    int to_int = oc__in(c, 0)->dtype == OC_DTYPE_STRING;
    OC_TRY(attr_list(c, to_int ? strings : ints, &e->keys));
    OC_TRY(attr_list(c, to_int ? ints : strings, &e->values));
    if (e->keys.dims[0] != e->values.dims[0])
        return oc__op_fail(c, OC_E_FORMAT, "%lld keys for %lld values",
                           (long long)e->keys.dims[0],
                           (long long)e->values.dims[0]);
    e->text = s && s->type == OC_ATTR_STRING ? s->s : (oc_string){"_Unused", 7};
    e->integer = oc__attr_int(c->node, "default_int64", -1);
    e->number = 0;
    return OC_OK;
}

static oc_status infer_mapper(oc__ctx *c) {
    encoder e;
    OC_TRY(oc__want(c, 0, OC_T(I64) | OC_T(STRING)));
    OC_TRY(mapper_read(c, &e));
    const oc_tensor *x = oc__in(c, 0);
    oc__scratch_need(c, 2 * (size_t)e.keys.dims[0] * sizeof(int64_t));
    return oc__out_set(c, 0, e.values.dtype, x->rank, x->dims);
}

static oc_status run_mapper(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    encoder e;
    OC_TRY(mapper_read(c, &e));
    sort_keys(&e.keys, c->scratch);
    for (int64_t i = 0; i < oc_tensor_elems(x); i++)
        encoder_put(&e, oc__out(c, 0), i, find_key(&e.keys, c->scratch, x, i));
    return OC_OK;
}

/* ---- OneHotEncoder ---------------------------------------------------------
 */

static oc_status onehot_cats(const oc__ctx *c, oc_tensor *cats) {
    static const char *const ints[] = {"cats_int64s", NULL};
    static const char *const strings[] = {"cats_strings", NULL};
    int text = oc__in(c, 0)->dtype == OC_DTYPE_STRING;
    return attr_list(c, text ? strings : ints, cats);
}

static oc_status infer_onehot(oc__ctx *c) {
    oc_tensor cats;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ML | OC_T(STRING)));
    OC_TRY(oc__want_rank(c, 0, 0, OC_MAX_RANK - 1));
    OC_TRY(onehot_cats(c, &cats));
    const oc_tensor *x = oc__in(c, 0);
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = cats.dims[0];
    oc__scratch_need(c, 2 * (size_t)cats.dims[0] * sizeof(int64_t));
    return oc__out_set(c, 0, OC_DTYPE_F32, x->rank + 1, dims);
}

static oc_status run_onehot(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0), cats;
    OC_TRY(onehot_cats(c, &cats));
    int64_t n = cats.dims[0];
    int zeros = oc__attr_int(c->node, "zeros", 1) != 0;
    sort_keys(&cats, c->scratch);
    memset(y->data, 0, oc_tensor_bytes(y));
    for (int64_t i = 0; i < oc_tensor_elems(x); i++) {
        oc_tensor one = *x;
        int64_t v, at = i;
        if (x->dtype != OC_DTYPE_STRING) { /* numbers count as integers */
            v = oc__tensor_get_i64(x, i);
            one = (oc_tensor){OC_DTYPE_I64, 0, {0}, &v};
            at = 0;
        }
        int64_t k = find_key(&cats, c->scratch, &one, at);
        if (k >= 0)
            ((float *)y->data)[i * n + k] = 1;
        else if (!zeros)
            return oc__op_fail(c, OC_E_ARG, "element %lld has no category",
                               (long long)i);
    }
    return OC_OK;
}

const oc__op oc__ops_ml_encode[] = {
    {ML, "LabelEncoder", 1, 1, 1, 1, 0, 0, infer_encoder, run_encoder, NULL},
    {ML, "CategoryMapper", 1, 1, 1, 1, 0, 0, infer_mapper, run_mapper, NULL},
    {ML, "OneHotEncoder", 1, 1, 1, 1, 0, 0, infer_onehot, run_onehot, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
