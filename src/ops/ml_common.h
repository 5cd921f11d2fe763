/*
 * ml_common.h - what the classifiers and regressors of ai.onnx.ml share.
 *
 * Their specification is thin; where it is silent (two classes from one
 * score, ties, missing labels) these follow what models in the wild were
 * exported against.
 */
#ifndef OC_OPS_ML_COMMON_H
#define OC_OPS_ML_COMMON_H

#include "ops/op.h"

typedef enum oc__post {
    OC_POST_NONE,
    OC_POST_SOFTMAX,
    OC_POST_LOGISTIC,
    OC_POST_SOFTMAX_ZERO,
    OC_POST_PROBIT,
} oc__post;

/** The attribute post_transform as a name. */
oc_status oc__post_read(const oc__ctx *c, oc__post *out);
/** Transforms one row of n scores in place. */
void oc__post_apply(oc__post post, double *scores, int64_t n);

/** How one score becomes those of two classes. */
typedef enum oc__second {
    OC_SECOND_NONE,     /* it does not */
    OC_SECOND_PART,     /* 1 - s, s: a probability */
    OC_SECOND_OPPOSITE, /* -s, s: a margin */
} oc__second;
/**
 * Transforms a row; of one score may come two.  scores has room for two.
 * Returns the number of scores.
 */
int64_t oc__post_scores(oc__post post, oc__second second, double *scores,
                        int64_t n);

/** Class labels: one of two attributes. */
typedef struct oc__labels {
    const int64_t *ints;
    const oc_string *strings;
    int64_t n;
} oc__labels;

oc_status oc__labels_read(const oc__ctx *c, const char *ints,
                          const char *strings, oc__labels *out);
/** Element type of label outputs. */
oc_dtype oc__labels_dtype(const oc__labels *l);
/** Writes label number k into element i of y. */
void oc__labels_put(const oc__labels *l, oc_tensor *y, int64_t i, int64_t k);

/** Rows and columns of an input [n, f] or [f]; numeric types alone. */
oc_status oc__ml_rows(const oc__ctx *c, int i, int64_t *n, int64_t *f);
/** The float list of that name, or NULL with *n 0. */
oc_status oc__ml_floats(const oc__ctx *c, const char *name, int64_t want,
                        const float **out);

#define OC_T_ML (OC_T(F32) | OC_T(F64) | OC_T(I64) | OC_T(I32))

#endif
