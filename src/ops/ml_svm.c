/*
 * ml_svm.c - ai.onnx.ml: SVMRegressor and SVMClassifier.
 *
 * With support vectors a classifier of n classes holds n (n - 1) / 2 machines,
 * one for each pair, whose coefficients lie as libsvm has them:
 *
 *     coefficients [n - 1][all vectors], vectors sorted by class
 *     machine (i, j): coefficients[j - 1] over the vectors of i,
 *                     coefficients[i] over those of j
 *
 * Without, it is linear: one row of coefficients a class.
 */
#include "ops/ml_common.h"

#include <math.h>
#include <string.h>

#define ML "ai.onnx.ml"

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID } kernel;

typedef struct svm {
    int64_t n, f; /* rows and columns of the input */
    kernel kernel;
    double gamma, coef0, degree;
    oc__post post;
    int64_t vectors;     /* support vectors; 0: linear */
    const float *vector; /* [vectors][f] */
    const float *coefficients;
    int64_t n_coefficients;
    const float *rho;
    int64_t n_rho;
    /* classifiers */
    oc__labels labels;
    int64_t classes, pairs;
    const int64_t *per_class;
    const float *prob_a, *prob_b;
    int all_positive; /* of the coefficients */
    int one_class;
} svm;

static oc_status read_kernel(const oc__ctx *c, svm *s) {
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const char *name = oc__attr_string(c->node, "kernel_type", "LINEAR");
    size_t n;
    const float *p = oc__attr_floats(c->node, "kernel_params", &n);
    if (n >= 3) {
        s->gamma = p[0];
        s->coef0 = p[1];
        s->degree = p[2];
    }
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i])) {
            s->kernel = (kernel)i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "kernel_type is \"%s\"", name);
}

/* What regressor and classifier have in common. */
static oc_status svm_read(const oc__ctx *c, svm *s) {
    size_t n_vector, n, n_rho;
    memset(s, 0, sizeof *s);
    OC_TRY(oc__ml_rows(c, 0, &s->n, &s->f));
    OC_TRY(oc__post_read(c, &s->post));
    OC_TRY(read_kernel(c, s));
    s->coefficients = oc__attr_floats(c->node, "coefficients", &n);
    s->n_coefficients = (int64_t)n;
    s->vector = oc__attr_floats(c->node, "support_vectors", &n_vector);
    s->rho = oc__attr_floats(c->node, "rho", &n_rho);
    s->n_rho = (int64_t)n_rho;
    if (n_rho < 1 || n < 1 || s->f < 1)
        return oc__op_fail(c, OC_E_FORMAT, "rho or coefficients are missing");
    s->all_positive = 1;
    for (size_t i = 0; i < n; i++)
        s->all_positive &= s->coefficients[i] >= 0;
    return OC_OK;
}

/* The kernel of row r of the input with one vector. */
static double kernel_of(const svm *s, kernel k, const oc_tensor *x, int64_t r,
                        const float *v) {
    double sum = 0;
    for (int64_t j = 0; j < s->f; j++) {
        double a = oc__tensor_get_f64(x, r * s->f + j), b = v[j];
        sum += k == RBF ? (a - b) * (a - b) : a * b;
    }
    switch (k) {
    case POLY: return pow(sum * s->gamma + s->coef0, s->degree);
    case RBF: return exp(-s->gamma * sum);
    case SIGMOID: return tanh(sum * s->gamma + s->coef0);
    default: return sum;
    }
}

/* ---- SVMRegressor ----------------------------------------------------------
 */

static oc_status regressor_read(const oc__ctx *c, svm *s) {
    size_t n;
    OC_TRY(svm_read(c, s));
    s->vectors = oc__attr_int(c->node, "n_supports", 0);
    s->one_class = oc__attr_int(c->node, "one_class", 0) != 0;
    oc__attr_floats(c->node, "support_vectors", &n);
    if (s->vectors < 0 || s->vectors > (int64_t)n ||
        (s->vectors > 0 &&
         (n % (size_t)s->vectors || (int64_t)n / s->vectors != s->f)) ||
        s->n_coefficients != (s->vectors ? s->vectors : s->f))
        return oc__op_fail(c, OC_E_FORMAT,
                           "%lld vectors of %zu numbers, %lld coefficients, "
                           "%lld features",
                           (long long)s->vectors, n,
                           (long long)s->n_coefficients, (long long)s->f);
    return OC_OK;
}

static oc_status infer_regressor(oc__ctx *c) {
    svm s;
    OC_TRY(regressor_read(c, &s));
    int64_t dims[2] = {s.n, 1};
    return oc__out_set(c, 0, OC_DTYPE_F32, 2, dims);
}

typedef struct svm_job {
    const svm *s;
    const oc_tensor *x;
    oc_tensor *y, *z;
    double *work; /* of all workers, one after the other */
    int64_t work_doubles;
} svm_job;

static void regressor_range(void *user, int64_t begin, int64_t end,
                            int worker) {
    const svm_job *j = user;
    const svm *s = j->s;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        double sum = s->rho[0];
        for (int64_t k = 0; k < s->vectors; k++)
            sum += s->coefficients[k] *
                   kernel_of(s, s->kernel, j->x, r, s->vector + k * s->f);
        if (!s->vectors) sum += kernel_of(s, LINEAR, j->x, r, s->coefficients);
        if (s->one_class)
            sum = sum > 0 ? 1 : -1;
        else
            oc__post_apply(s->post, &sum, 1);
        ((float *)j->y->data)[r] = (float)sum;
    }
}

static oc_status run_regressor(oc__ctx *c) {
    svm s;
    OC_TRY(regressor_read(c, &s));
    svm_job j = {.s = &s, .x = oc__in(c, 0), .y = oc__out(c, 0)};
    oc__parallel(c, s.n, OC_MAX(1, 16384 / (s.f * (s.vectors + 1))),
                 regressor_range, &j);
    return OC_OK;
}

/* ---- SVMClassifier ---------------------------------------------------------
 */

static oc_status classifier_sizes(const oc__ctx *c, svm *s) {
    size_t n, a, b, all;
    int64_t total = 0;
    oc__attr_floats(c->node, "support_vectors", &all);
    s->per_class = oc__attr_ints(c->node, "vectors_per_class", &n);
    for (size_t i = 0; i < n; i++) {
        if (s->per_class[i] < 0 || s->per_class[i] > INT32_MAX)
            return oc__op_fail(c, OC_E_FORMAT, "vectors_per_class");
        total += s->per_class[i];
    }
    s->vectors = total;
    s->prob_a = oc__attr_floats(c->node, "prob_a", &a);
    s->prob_b = oc__attr_floats(c->node, "prob_b", &b);
    if (a == 0 || total == 0) s->prob_a = NULL;
    s->classes = s->labels.n;
    if (total == 0) {
        if (s->n_coefficients != s->classes * s->f)
            return oc__op_fail(c, OC_E_FORMAT, "%lld coefficients",
                               (long long)s->n_coefficients);
        return OC_OK;
    }
    s->pairs = s->classes * (s->classes - 1) / 2;
    if ((int64_t)n != s->classes || s->classes > INT16_MAX ||
        (int64_t)all != total * s->f ||
        s->n_coefficients != total * (s->classes - 1) || s->n_rho < s->pairs ||
        (s->prob_a && ((int64_t)a < s->pairs || a != b)))
        return oc__op_fail(c, OC_E_FORMAT,
                           "%lld vectors, %zu numbers, %lld coefficients, "
                           "%lld rho for %lld classes of %lld features",
                           (long long)total, all, (long long)s->n_coefficients,
                           (long long)s->n_rho, (long long)s->classes,
                           (long long)s->f);
    return OC_OK;
}

static oc_status classifier_read(const oc__ctx *c, svm *s) {
    OC_TRY(svm_read(c, s));
    OC_TRY(oc__labels_read(c, "classlabels_ints", "classlabels_strings",
                           &s->labels));
    return classifier_sizes(c, s);
}

/* Scores before two come of one. */
static int64_t raw_scores(const svm *s) {
    return s->vectors && !s->prob_a ? s->pairs : s->classes;
}

static oc__second second_of(const svm *s) {
    if (s->n_rho != 1 || s->labels.n != 2) return OC_SECOND_NONE;
    return OC_SECOND_OPPOSITE;
}

/* Doubles a worker needs: kernels, votes, scores, and for probabilities two
   matrices and two vectors. */
static int64_t work_doubles(const svm *s) {
    int64_t n = s->vectors + s->classes + s->pairs + s->classes + 8;
    return n + (s->prob_a ? 2 * s->classes * (s->classes + 1) : 0);
}

static oc_status infer_classifier(oc__ctx *c) {
    svm s;
    size_t bytes;
    OC_TRY(classifier_read(c, &s));
    int64_t dims[2] = {s.n, raw_scores(&s)};
    if (dims[1] == 1 && second_of(&s) != OC_SECOND_NONE) dims[1] = 2;
    if (oc__size_mul((size_t)work_doubles(&s) * sizeof(double),
                     (size_t)OC_MAX(c->threads, 1), &bytes))
        return oc__op_fail(c, OC_E_LIMIT, "there are too many classes");
    oc__scratch_need(c, bytes);
    OC_TRY(oc__out_set(c, 0, oc__labels_dtype(&s.labels), 1, dims));
    return oc__out_set(c, 1, OC_DTYPE_F32, 2, dims);
}

/* One score a pair, and one vote. */
static void pair_scores(const svm *s, const double *kernels, double *votes,
                        double *scores) {
    int64_t pair = 0, at_i = 0;
    memset(votes, 0, (size_t)s->classes * sizeof *votes);
    for (int64_t i = 0; i < s->classes; at_i += s->per_class[i++]) {
        int64_t at_j = at_i + s->per_class[i];
        for (int64_t j = i + 1; j < s->classes; at_j += s->per_class[j++]) {
            const float *ci = s->coefficients + (j - 1) * s->vectors;
            const float *cj = s->coefficients + i * s->vectors;
            double sum = 0;
            for (int64_t k = 0; k < s->per_class[i]; k++)
                sum += ci[at_i + k] * kernels[at_i + k];
            for (int64_t k = 0; k < s->per_class[j]; k++)
                sum += cj[at_j + k] * kernels[at_j + k];
            sum += s->rho[pair];
            votes[sum > 0 ? i : j]++;
            scores[pair++] = sum;
        }
    }
}

/*
 * Probabilities of n classes from those of pairs, r[i][j] = P(i | i or j), by
 * Wu, Lin and Weng's second method (JMLR 5, 2004), as libsvm does it: p
 * minimises sum (r[j][i] p[i] - r[i][j] p[j])^2.
 */
static void couple(int64_t n, const double *r, double *q, double *qp,
                   double *p) {
    for (int64_t t = 0; t < n; t++) {
        p[t] = 1 / (double)n;
        q[t * n + t] = 0;
        for (int64_t j = 0; j < n; j++) {
            if (j == t) continue;
            q[t * n + t] += r[j * n + t] * r[j * n + t];
            q[t * n + j] = j < t ? q[j * n + t] : -r[j * n + t] * r[t * n + j];
        }
    }
    for (int64_t round = 0; round < OC_MAX(100, n); round++) {
        double pqp = 0, worst = 0;
        for (int64_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < n; j++)
                qp[t] += q[t * n + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (int64_t t = 0; t < n; t++)
            worst = fmax(worst, fabs(qp[t] - pqp));
        if (worst < 0.005 / (double)n) break;
        for (int64_t t = 0; t < n; t++) {
            double diff = (-qp[t] + pqp) / q[t * n + t];
            p[t] += diff;
            pqp = (pqp + diff * (diff * q[t * n + t] + 2 * qp[t])) /
                  (1 + diff) / (1 + diff);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + diff * q[t * n + j]) / (1 + diff);
                p[j] /= 1 + diff;
            }
        }
    }
}

/* Platt's sigmoid turns each pair's score into a probability, kept away from
   0 and 1 so that coupling converges. */
static void probabilities(const svm *s, double *scores, double *work) {
    int64_t n = s->classes, pair = 0;
    double *r = work, *q = r + n * n, *qp = q + n * n, *p = qp + n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double v = scores[pair] * s->prob_a[pair] + s->prob_b[pair];
            v = 1 / (1 + exp(v));
            v = fmax(1e-7, fmin(v, 1 - 1e-7));
            r[i * n + j] = v;
            r[j * n + i] = 1 - v;
        }
    couple(n, r, q, qp, p);
    memcpy(scores, p, (size_t)n * sizeof *p);
}

/* With machines for pairs the label is the class of most votes, otherwise
   that of the largest score. */
static void classifier_row(const svm_job *j, int64_t row, double *work) {
    const svm *s = j->s;
    int64_t n = raw_scores(s), best = 0;
    double *kernels = work, *votes = kernels + s->vectors;
    double *scores = votes + s->classes;
    double *more = scores + s->pairs + s->classes + 2;
    const double *judge = scores;
    if (s->vectors) {
        for (int64_t k = 0; k < s->vectors; k++)
            kernels[k] =
                kernel_of(s, s->kernel, j->x, row, s->vector + k * s->f);
        pair_scores(s, kernels, votes, scores);
        judge = votes;
        if (s->prob_a) probabilities(s, scores, more);
    } else {
        for (int64_t k = 0; k < s->classes; k++)
            scores[k] = s->rho[0] + kernel_of(s, LINEAR, j->x, row,
                                              s->coefficients + k * s->f);
    }
    for (int64_t k = 1; k < s->classes; k++)
        if (judge[k] > judge[best]) best = k;
    oc__labels_put(&s->labels, j->y, row, best);
    n = oc__post_scores(s->post, second_of(s), scores, n);
    for (int64_t k = 0; j->z && k < n; k++)
        ((float *)j->z->data)[row * n + k] = (float)scores[k];
}

static void classifier_range(void *user, int64_t begin, int64_t end,
                             int worker) {
    const svm_job *j = user;
    for (int64_t r = begin; r < end; r++)
        classifier_row(j, r, j->work + worker * j->work_doubles);
}

static oc_status run_classifier(oc__ctx *c) {
    svm s;
    OC_TRY(classifier_read(c, &s));
    svm_job j = {&s,         oc__in(c, 0),    oc__out(c, 0), oc__out(c, 1),
                 c->scratch, work_doubles(&s)};
    oc__parallel(c, s.n, OC_MAX(1, 16384 / (s.f * (s.vectors + 1))),
                 classifier_range, &j);
    return OC_OK;
}

const oc__op oc__ops_ml_svm[] = {
    {ML, "SVMRegressor", 1, 1, 1, 1, 0, 0, infer_regressor, run_regressor,
     NULL},
    {ML, "SVMClassifier", 1, 1, 1, 2, 0, 0, infer_classifier, run_classifier,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
