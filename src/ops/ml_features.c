/*
 * ml_features.c - ai.onnx.ml on tables of numbers: Normalizer, Scaler,
 * Binarizer, Imputer, ArrayFeatureExtractor, FeatureVectorizer.
 */
#include "ops/ml_common.h"
#include "ops/moves.h"

#include <math.h>
#include <string.h>

/* ---- Normalizer, Scaler ----------------------------------------------------
 */

static oc_status read_norm(const oc__ctx *c, int *norm) {
    static const char *const names[] = {"MAX", "L1", "L2"};
    const char *s = oc__attr_string(c->node, "norm", "MAX");
    for (*norm = 0; *norm < 3; ++*norm)
        if (!strcmp(s, names[*norm])) return OC_OK;
    return oc__op_fail(c, OC_E_UNSUPPORTED, "norm is \"%s\"", s);
}

static oc_status infer_normalizer(oc__ctx *c) {
    int norm;
    OC_TRY(oc__want(c, 0, OC_T_ML));
    OC_TRY(oc__want_rank(c, 0, 1, 2));
    OC_TRY(read_norm(c, &norm));
    const oc_tensor *x = oc__in(c, 0);
    return oc__out_set(c, 0, OC_DTYPE_F32, x->rank, x->dims);
}

/* Each row divided by its largest element, its sum of magnitudes, or its
   length; rows of zeros stay. */
static oc_status run_normalizer(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    float *y = oc__out(c, 0)->data;
    int norm = 0;
    int64_t n, f;
    OC_TRY(read_norm(c, &norm));
    OC_TRY(oc__ml_rows(c, 0, &n, &f));
    for (int64_t r = 0; r < n; r++) {
        double by = norm == 0 ? -INFINITY : 0;
        for (int64_t i = 0; i < f; i++) {
            double v = oc__tensor_get_f64(x, r * f + i);
            if (norm == 0)
                by = fmax(by, v);
            else
                by += norm == 1 ? fabs(v) : v * v;
        }
        if (norm == 2) by = sqrt(by);
        for (int64_t i = 0; i < f; i++) {
            double v = oc__tensor_get_f64(x, r * f + i);
            y[r * f + i] = (float)(by != 0 ? v / by : v);
        }
    }
    return OC_OK;
}

/* Entries of a list that is one for all features or one for each. */
static oc_status per_feature(const oc__ctx *c, const char *name, int64_t f,
                             const float **out, int64_t *step) {
    size_t n;
    *out = oc__attr_floats(c->node, name, &n);
    if (!*out || n == 0 || (n != 1 && (int64_t)n != f))
        return oc__op_fail(c, OC_E_FORMAT, "%s has %zu entries for %lld", name,
                           n, (long long)f);
    *step = n > 1;
    return OC_OK;
}

static oc_status infer_scaler(oc__ctx *c) {
    const float *list;
    int64_t step;
    OC_TRY(oc__want(c, 0, OC_T_ML));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    int64_t f = x->dims[x->rank - 1];
    OC_TRY(per_feature(c, "offset", f, &list, &step));
    OC_TRY(per_feature(c, "scale", f, &list, &step));
    return oc__out_set(c, 0, OC_DTYPE_F32, x->rank, x->dims);
}

/* (x - offset) * scale, in float as the output is. */
static oc_status run_scaler(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    float *y = oc__out(c, 0)->data;
    const float *offset, *scale;
    int64_t f = x->dims[x->rank - 1], o_step, s_step, n = oc_tensor_elems(x);
    OC_TRY(per_feature(c, "offset", f, &offset, &o_step));
    OC_TRY(per_feature(c, "scale", f, &scale, &s_step));
    for (int64_t i = 0; i < n; i++)
        y[i] = ((float)oc__tensor_get_f64(x, i) - offset[i % f * o_step]) *
               scale[i % f * s_step];
    return OC_OK;
}

/* ---- Binarizer, Imputer ----------------------------------------------------
 */

static oc_status infer_same(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ML));
    return oc__out_like(c, 0, oc__in(c, 0));
}

static oc_status run_binarizer(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    double threshold = oc__attr_float(c->node, "threshold", 0);
    for (int64_t i = 0; i < oc_tensor_elems(x); i++)
        oc__tensor_set_f64(y, i, oc__tensor_get_f64(x, i) > threshold);
    return OC_OK;
}

/* Floats and integers have each their pair of attributes. */
static oc_status imputer_lists(const oc__ctx *c, const float **floats,
                               const int64_t **ints, int64_t *step) {
    const oc_tensor *x = oc__in(c, 0);
    size_t n_floats, n_ints;
    int64_t f = x->dims[x->rank - 1];
    *floats = oc__attr_floats(c->node, "imputed_value_floats", &n_floats);
    *ints = oc__attr_ints(c->node, "imputed_value_int64s", &n_ints);
    size_t n = oc__dtype_is_float(x->dtype) ? n_floats : n_ints;
    if (n != 1 && (int64_t)n != f)
        return oc__op_fail(c, OC_E_FORMAT,
                           "%zu imputed values of type %s for %lld features", n,
                           oc_dtype_name(x->dtype), (long long)f);
    *step = n > 1;
    return OC_OK;
}

static oc_status infer_imputer(oc__ctx *c) {
    const float *floats;
    const int64_t *ints;
    int64_t step;
    OC_TRY(oc__want(c, 0, OC_T_ML));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    OC_TRY(imputer_lists(c, &floats, &ints, &step));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* NaN as the value to replace matches NaN. */
static oc_status run_imputer(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    const float *floats;
    const int64_t *ints;
    int64_t step, f = x->dims[x->rank - 1];
    OC_TRY(imputer_lists(c, &floats, &ints, &step));
    double gone = oc__attr_float(c->node, "replaced_value_float", 0);
    int64_t gone_int = oc__attr_int(c->node, "replaced_value_int64", 0);
    for (int64_t i = 0; i < oc_tensor_elems(x); i++) {
        if (oc__dtype_is_float(x->dtype)) {
            double v = oc__tensor_get_f64(x, i);
            if (v == gone || (isnan(v) && isnan(gone)))
                v = floats[i % f * step];
            oc__tensor_set_f64(y, i, v);
            continue;
        }
        int64_t v = oc__tensor_get_i64(x, i);
        if (v == gone_int) v = ints[i % f * step];
        if (x->dtype == OC_DTYPE_I64)
            ((int64_t *)y->data)[i] = v;
        else
            ((int32_t *)y->data)[i] = (int32_t)v;
    }
    return OC_OK;
}

/* ---- ArrayFeatureExtractor -------------------------------------------------
 */

static oc_status infer_extractor(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(I64)));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    int rank = OC_MAX(x->rank, 2); /* a vector counts as one row */
    dims[0] = 1;
    for (int i = 0; i < x->rank - 1; i++)
        dims[i] = x->dims[i];
    dims[rank - 1] = oc_tensor_elems(oc__in(c, 1));
    if (dims[rank - 1] < 1)
        return oc__op_fail(c, OC_E_SHAPE, "there are no indices");
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* The same columns of every row, in the order of the indices. */
static oc_status run_extractor(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1);
    const int64_t *index = at->data;
    int64_t n = oc_tensor_elems(at), f = x->dims[x->rank - 1];
    int64_t rows = oc__count(x->dims, x->rank - 1);
    size_t b = oc_dtype_bytes(x->dtype);
    char *y = oc__out(c, 0)->data;
    for (int64_t k = 0; k < n; k++)
        if (index[k] < 0 || index[k] >= f)
            return oc__op_fail(c, OC_E_ARG, "index %lld of %lld",
                               (long long)index[k], (long long)f);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++, y += b)
            memcpy(y, (const char *)x->data + (size_t)(r * f + index[k]) * b,
                   b);
    return OC_OK;
}

/* ---- FeatureVectorizer -----------------------------------------------------
 */

/* Columns that input i gives to the output, and those it has. */
static oc_status vectorizer_columns(const oc__ctx *c, int i, int64_t *give,
                                    int64_t *have, int64_t *rows) {
    size_t n;
    const int64_t *dims = oc__attr_ints(c->node, "inputdimensions", &n);
    OC_TRY(oc__want(c, i, OC_T_ML));
    OC_TRY(oc__want_rank(c, i, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, i);
    *rows = x->rank > 1 ? x->dims[0] : 1;
    *have = x->rank > 1 ? 1 : x->dims[0];
    for (int d = 1; d < x->rank; d++)
        *have *= x->dims[d];
    *give = n ? ((size_t)i < n ? dims[i] : -1) : *have;
    if (*give < 0 || *give > INT32_MAX)
        return oc__op_fail(c, OC_E_FORMAT, "inputdimensions of input %d", i);
    return OC_OK;
}

static oc_status infer_vectorizer(oc__ctx *c) {
    int64_t dims[2] = {0, 0}, give, have, rows;
    for (int i = 0; i < c->n_in; i++) {
        OC_TRY(vectorizer_columns(c, i, &give, &have, &rows));
        if (i && rows != dims[0])
            return oc__op_fail(c, OC_E_SHAPE, "%lld and %lld rows",
                               (long long)dims[0], (long long)rows);
        dims[0] = rows;
        dims[1] += give;
    }
    return oc__out_set(c, 0, OC_DTYPE_F32, 2, dims);
}

static oc_status run_vectorizer(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    float *out = y->data;
    int64_t at = 0, width = y->dims[1], give, have, rows;
    memset(y->data, 0, oc_tensor_bytes(y)); /* what inputs do not fill */
    for (int i = 0; i < c->n_in; i++, at += give) {
        const oc_tensor *x = oc__in(c, i);
        OC_TRY(vectorizer_columns(c, i, &give, &have, &rows));
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < OC_MIN(give, have); k++)
                out[r * width + at + k] =
                    (float)oc__tensor_get_f64(x, r * have + k);
    }
    return OC_OK;
}

#define ML "ai.onnx.ml"

const oc__op oc__ops_ml_features[] = {
    {ML, "Normalizer", 1, 1, 1, 1, 0, 0, infer_normalizer, run_normalizer,
     NULL},
    {ML, "Scaler", 1, 1, 1, 1, 0, 0, infer_scaler, run_scaler, NULL},
    {ML, "Binarizer", 1, 1, 1, 1, OC_OP_INPLACE, 0, infer_same, run_binarizer,
     NULL},
    {ML, "Imputer", 1, 1, 1, 1, OC_OP_INPLACE, 0, infer_imputer, run_imputer,
     NULL},
    {ML, "ArrayFeatureExtractor", 1, 2, 2, 1, 0, 0, infer_extractor,
     run_extractor, NULL},
    {ML, "FeatureVectorizer", 1, 1, -1, 1, 0, 0, infer_vectorizer,
     run_vectorizer, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
