/*
 * ml_maps.c - ai.onnx.ml with dictionaries: ZipMap, DictVectorizer, CastMap.
 * A map is two tensors of equal length, keys and values.
 */
#include "base/sort.h"
#include "ops/ml_common.h"
#include "ops/text_list.h"
#include "base/text_number.h"

#include <string.h>

#define ML "ai.onnx.ml"

static oc_status infer_nothing(oc__ctx *c) {
    (void)c;
    return OC_OK;
}

/* ---- ZipMap ----------------------------------------------------------------
 */

static oc_status infer_zipmap(oc__ctx *c) {
    oc__labels l;
    OC_TRY(oc__labels_read(c, "classlabels_int64s", "classlabels_strings", &l));
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 1, 2));
    const oc_tensor *x = oc__in(c, 0);
    if (x->dims[x->rank - 1] != l.n)
        return oc__op_fail(c, OC_E_SHAPE, "%lld columns for %lld labels",
                           (long long)x->dims[x->rank - 1], (long long)l.n);
    return OC_OK;
}

/* Row r as a map.  All maps share one tensor of keys. */
static oc_status zip_row(oc__ctx *c, oc_value *map, const oc_value *keys,
                         const oc_tensor *x, int64_t r, int64_t n) {
    OC_TRY(oc__value_alloc_items(map, OC_KIND_MAP, 2, c->allocator, c->err));
    oc__value_share(&map->items[0], keys);
    OC_TRY(oc__value_alloc_tensor(&map->items[1], c->allocator, OC_DTYPE_F32, 1,
                                  &n, c->err));
    if (n)
        memcpy(map->items[1].t.data, (const float *)x->data + r * n,
               (size_t)n * sizeof(float));
    return OC_OK;
}

static oc_status run_zipmap(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_value *y = oc__out_value(c, 0), keys = {0};
    oc__labels l;
    OC_TRY(oc__labels_read(c, "classlabels_int64s", "classlabels_strings", &l));
    if (!y) return OC_OK;
    int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    oc_tensor t = {oc__labels_dtype(&l),
                   1,
                   {l.n},
                   l.ints ? (void *)l.ints : (void *)l.strings};
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, (size_t)rows,
                                 c->allocator, c->err));
    OC_TRY(oc__value_copy_tensor(&keys, &t, c->allocator, c->err));
    oc_status st = OC_OK;
    for (int64_t r = 0; r < rows && st == OC_OK; r++)
        st = zip_row(c, &y->items[r], &keys, x, r, l.n);
    oc__value_clear(&keys);
    return st;
}

/* ---- DictVectorizer --------------------------------------------------------
 */

static oc_status want_map(const oc__ctx *c, const oc_tensor **keys,
                          const oc_tensor **values) {
    const oc_value *x = oc__in_value(c, 0);
    if (!x || x->kind != OC_KIND_MAP || x->n != 2 ||
        x->items[0].kind != OC_KIND_TENSOR ||
        x->items[1].kind != OC_KIND_TENSOR ||
        oc_tensor_elems(&x->items[0].t) != oc_tensor_elems(&x->items[1].t))
        return oc__op_fail(c, OC_E_ARG, "input 0 must be a map");
    *keys = &x->items[0].t;
    *values = &x->items[1].t;
    return OC_OK;
}

static int same_key(const oc_tensor *keys, int64_t i, const oc__labels *l,
                    int64_t k) {
    if (l->ints) return oc__tensor_get_i64(keys, i) == l->ints[k];
    oc_string a = ((const oc_string *)keys->data)[i], b = l->strings[k];
    return a.bytes == b.bytes &&
           (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* y[k] is the value under vocabulary entry k, zero where there is none. */
static oc_status run_dict(oc__ctx *c) {
    const oc_tensor *keys = NULL, *values = NULL;
    oc__labels l;
    oc_tensor *y;
    OC_TRY(oc__labels_read(c, "int64_vocabulary", "string_vocabulary", &l));
    OC_TRY(want_map(c, &keys, &values));
    if ((keys->dtype == OC_DTYPE_STRING) != (l.strings != NULL))
        return oc__op_fail(c, OC_E_ARG, "keys of type %s",
                           oc_dtype_name(keys->dtype));
    OC_TRY(oc__out_alloc(c, 0, values->dtype, 1, &l.n, &y));
    if (!y) return OC_OK;
    size_t b = oc_dtype_bytes(values->dtype);
    for (int64_t k = 0; k < l.n; k++) {
        char *to = (char *)y->data + (size_t)k * b;
        memset(to, 0, b); /* an empty string, too */
        for (int64_t i = 0; i < oc_tensor_elems(keys); i++)
            if (same_key(keys, i, &l, k))
                memcpy(to, (const char *)values->data + (size_t)i * b, b);
    }
    return OC_OK;
}

/* ---- CastMap ---------------------------------------------------------------
 */

static int by_key(const void *ctx, int64_t a, int64_t b) {
    const int64_t *keys = ctx;
    return (keys[a] > keys[b]) - (keys[a] < keys[b]);
}

/* Value i as one element: a number, parsed or copied, or a text. */
static oc_status cast_one(oc__ctx *c, const oc_tensor *values, int64_t i,
                          oc_dtype to, oc_tensor *y, int64_t at,
                          oc__text_list *text) {
    if (to == OC_DTYPE_STRING) {
        char number[OC_NUMBER_TEXT_BYTES];
        if (i < 0) return oc__text_list_push(text, "", 0, c->err);
        if (values->dtype == OC_DTYPE_STRING) {
            oc_string s = ((const oc_string *)values->data)[i];
            return oc__text_list_push(text, s.data, s.bytes, c->err);
        }
        size_t n = oc__text_from_f64(values->dtype,
                                     oc__tensor_get_f64(values, i), number);
        OC_TRY(oc__text_list_open(text, c->err));
        return oc__text_list_append(text, number, n, c->err);
    }
    double v = 0;
    if (i >= 0 && values->dtype == OC_DTYPE_STRING) {
        oc_string s = ((const oc_string *)values->data)[i];
        if (oc__text_to_f64(s.data, s.bytes, &v))
            return oc__op_fail(c, OC_E_ARG, "value %lld is no number",
                               (long long)i);
    } else if (i >= 0) {
        v = oc__tensor_get_f64(values, i);
    }
    if (to == OC_DTYPE_I64)
        ((int64_t *)y->data)[at] = (int64_t)OC_MAX(-9e18, OC_MIN(v, 9e18));
    else
        ((float *)y->data)[at] = (float)v;
    return OC_OK;
}

static oc_status cast_type(const oc__ctx *c, oc_dtype *out) {
    const char *s = oc__attr_string(c->node, "cast_to", "TO_FLOAT");
    if (!strcmp(s, "TO_FLOAT"))
        *out = OC_DTYPE_F32;
    else if (!strcmp(s, "TO_STRING"))
        *out = OC_DTYPE_STRING;
    else if (!strcmp(s, "TO_INT64"))
        *out = OC_DTYPE_I64;
    else
        return oc__op_fail(c, OC_E_ARG, "cast_to is \"%s\"", s);
    return OC_OK;
}

/* In order of keys: packed, or with gaps up to max_map. */
static oc_status cast_all(oc__ctx *c, const oc_tensor *keys,
                          const oc_tensor *values, int64_t *order,
                          oc__text_list *text) {
    oc_dtype to = OC_DTYPE_NONE;
    oc_tensor *y = NULL;
    int64_t n = oc_tensor_elems(keys), next = 0;
    int sparse =
        !strcmp(oc__attr_string(c->node, "map_form", "DENSE"), "SPARSE");
    int64_t length = sparse ? oc__attr_int(c->node, "max_map", 1) : n;
    int64_t dims[2] = {1, length};
    OC_TRY(cast_type(c, &to));
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    oc__sort_index(order, order + n, (size_t)n, by_key, keys->data);
    if (to != OC_DTYPE_STRING) OC_TRY(oc__out_alloc(c, 0, to, 2, dims, &y));
    for (int64_t k = 0; k < length; k++) {
        int64_t i = -1;
        if (!sparse) {
            i = order[k];
        } else {
            while (next < n && ((int64_t *)keys->data)[order[next]] < k)
                next++;
            if (next < n && ((int64_t *)keys->data)[order[next]] == k)
                i = order[next++];
        }
        OC_TRY(cast_one(c, values, i, to, y, k, text));
    }
    if (to != OC_DTYPE_STRING) return OC_OK;
    return oc__text_list_finish(text, oc__out_value(c, 0), 2, dims, c->err);
}

static oc_status run_cast_map(oc__ctx *c) {
    const oc_tensor *keys = NULL, *values = NULL;
    oc__text_list text = {.allocator = c->allocator};
    OC_TRY(want_map(c, &keys, &values));
    if (keys->dtype != OC_DTYPE_I64)
        return oc__op_fail(c, OC_E_ARG, "keys must be int64");
    if (!oc__out_value(c, 0)) return OC_OK;
    size_t bytes = 2 * (size_t)oc_tensor_elems(keys) * sizeof(int64_t);
    int64_t *order = oc__alloc(c->allocator, bytes);
    if (!order) return oc__fail_nomem(c->err);
    oc_status st = cast_all(c, keys, values, order, &text);
    oc__text_list_deinit(&text);
    oc__release(c->allocator, order, bytes);
    return st;
}

const oc__op oc__ops_ml_maps[] = {
    {ML, "ZipMap", 1, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_zipmap, run_zipmap,
     NULL},
    {ML, "DictVectorizer", 1, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_nothing,
     run_dict, NULL},
    {ML, "CastMap", 1, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_nothing, run_cast_map,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
