/* ml_linear.c - ai.onnx.ml: LinearRegressor and LinearClassifier. */
#include "ops/ml_common.h"

#include <string.h>

#define ML "ai.onnx.ml"

/* scores[k] = intercepts[k] + sum_j coefficients[k][j] * x[row][j] */
static void linear_row(const oc_tensor *x, int64_t row, int64_t f,
                       const float *coefficients, const float *intercepts,
                       int64_t targets, double *scores) {
    for (int64_t k = 0; k < targets; k++) {
        double sum = intercepts ? intercepts[k] : 0;
        for (int64_t j = 0; j < f; j++)
            sum += oc__tensor_get_f64(x, row * f + j) *
                   (double)coefficients[k * f + j];
        scores[k] = sum;
    }
}

/* ---- LinearRegressor -------------------------------------------------------
 */

typedef struct linear {
    const float *coefficients, *intercepts;
    int64_t n, f, targets;
    oc__post post;
    oc__labels labels;
} linear;

static oc_status regressor_read(const oc__ctx *c, linear *l) {
    memset(l, 0, sizeof *l);
    OC_TRY(oc__ml_rows(c, 0, &l->n, &l->f));
    OC_TRY(oc__post_read(c, &l->post));
    l->targets = oc__attr_int(c->node, "targets", 1);
    if (l->targets < 1 || l->targets > INT32_MAX || l->f > INT32_MAX)
        return oc__op_fail(c, OC_E_ARG, "%lld targets", (long long)l->targets);
    OC_TRY(
        oc__ml_floats(c, "coefficients", l->targets * l->f, &l->coefficients));
    if (!l->coefficients && l->f > 0)
        return oc__op_fail(c, OC_E_FORMAT, "coefficients are missing");
    return oc__ml_floats(c, "intercepts", l->targets, &l->intercepts);
}

static oc_status infer_regressor(oc__ctx *c) {
    linear l;
    OC_TRY(regressor_read(c, &l));
    int64_t dims[2] = {l.n, l.targets};
    oc__scratch_need(c, (size_t)(l.targets + 1) * sizeof(double));
    return oc__out_set(c, 0, OC_DTYPE_F32, 2, dims);
}

static oc_status run_regressor(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    float *y = oc__out(c, 0)->data;
    double *scores = c->scratch;
    linear l;
    OC_TRY(regressor_read(c, &l));
    for (int64_t r = 0; r < l.n; r++) {
        linear_row(x, r, l.f, l.coefficients, l.intercepts, l.targets, scores);
        oc__post_apply(l.post, scores, l.targets);
        for (int64_t k = 0; k < l.targets; k++)
            y[r * l.targets + k] = (float)scores[k];
    }
    return OC_OK;
}

/* ---- LinearClassifier ------------------------------------------------------
 */

static oc_status classifier_read(const oc__ctx *c, linear *l) {
    size_t n;
    memset(l, 0, sizeof *l);
    OC_TRY(oc__ml_rows(c, 0, &l->n, &l->f));
    OC_TRY(oc__post_read(c, &l->post));
    OC_TRY(oc__labels_read(c, "classlabels_ints", "classlabels_strings",
                           &l->labels));
    l->coefficients = oc__attr_floats(c->node, "coefficients", &n);
    if (l->f < 1 || n < 1 || n % (size_t)l->f)
        return oc__op_fail(c, OC_E_FORMAT, "%zu coefficients for %lld features",
                           n, (long long)l->f);
    l->targets = (int64_t)n / l->f;
    OC_TRY(oc__ml_floats(c, "intercepts", l->targets, &l->intercepts));
    if (l->labels.n != l->targets && !(l->targets == 1 && l->labels.n == 2))
        return oc__op_fail(c, OC_E_FORMAT, "%lld labels for %lld scores",
                           (long long)l->labels.n, (long long)l->targets);
    return OC_OK;
}

/* One score stands for two classes when there are two labels. */
static int64_t score_count(const linear *l) {
    return l->targets == 1 && l->labels.n == 2 ? 2 : l->targets;
}

static oc_status infer_classifier(oc__ctx *c) {
    linear l;
    OC_TRY(classifier_read(c, &l));
    int64_t dims[2] = {l.n, score_count(&l)};
    oc__scratch_need(c, (size_t)(l.targets + 1) * sizeof(double));
    OC_TRY(oc__out_set(c, 0, oc__labels_dtype(&l.labels), 1, dims));
    return oc__out_set(c, 1, OC_DTYPE_F32, 2, dims);
}

/* The largest score, or which side of zero a single one lies. */
static int64_t classifier_choice(const linear *l, const double *s) {
    int64_t best = 0;
    if (l->targets == 1) return l->labels.n == 2 ? s[0] > 0 : 0;
    for (int64_t k = 1; k < l->targets; k++)
        if (s[k] > s[best]) best = k;
    return best;
}

static oc_status run_classifier(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0), *z = oc__out(c, 1);
    double *s = c->scratch;
    linear l;
    OC_TRY(classifier_read(c, &l));
    int64_t n = score_count(&l);
    for (int64_t r = 0; r < l.n; r++) {
        linear_row(x, r, l.f, l.coefficients, l.intercepts, l.targets, s);
        oc__labels_put(&l.labels, y, r, classifier_choice(&l, s));
        if (n > l.targets) {
            s[1] = s[0];
            s[0] = -s[0];
        }
        oc__post_apply(l.post, s, n);
        for (int64_t k = 0; z && k < n; k++)
            ((float *)z->data)[r * n + k] = (float)s[k];
    }
    return OC_OK;
}

const oc__op oc__ops_ml_linear[] = {
    {ML, "LinearRegressor", 1, 1, 1, 1, 0, 0, infer_regressor, run_regressor,
     NULL},
    {ML, "LinearClassifier", 1, 1, 1, 2, 0, 0, infer_classifier, run_classifier,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
