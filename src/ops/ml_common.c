/* ml_common.c - see ml_common.h. */
#include "ops/ml_common.h"

#include <math.h>
#include <string.h>

oc_status oc__post_read(const oc__ctx *c, oc__post *out) {
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC",
                                        "SOFTMAX_ZERO", "PROBIT"};
    const char *s = oc__attr_string(c->node, "post_transform", "NONE");
    for (int i = 0; i < 5; i++)
        if (!strcmp(s, names[i])) {
            *out = (oc__post)i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "post_transform is \"%s\"", s);
}

/* ---- transforms ------------------------------------------------------------
 */

static double logistic(double v) {
    double e = 1 / (1 + exp(-fabs(v)));
    return v < 0 ? 1 - e : e;
}

/*
 * The inverse of the normal distribution, by Winitzki's approximation of the
 * inverse error function; the constants are part of the de-facto
 * specification.
 */
static double probit(double v) {
    double x = 2 * v - 1, sign = x < 0 ? -1 : 1;
    x = (1 - x) * (1 + x);
    if (x == 0) return 0;
    double l = log(x), a = 2 / (3.14159 * 0.147) + 0.5 * l;
    return 1.41421356 * sign * sqrt(-a + sqrt(a * a - l / 0.147));
}

/* With `zeros`, scores of 0 stay 0 but for their share of the maximum. */
static void softmax(double *s, int64_t n, int zeros) {
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = fmax(max, s[i]);
    for (int64_t i = 0; i < n; i++) {
        if (zeros && fabs(s[i]) <= 0.0000001)
            s[i] *= exp(-max);
        else
            s[i] = exp(s[i] - max);
        sum += s[i];
    }
    for (int64_t i = 0; i < n; i++)
        s[i] = zeros && sum == 0 ? 0.5 : s[i] / sum;
}

void oc__post_apply(oc__post post, double *s, int64_t n) {
    switch (post) {
    case OC_POST_NONE: break;
    case OC_POST_SOFTMAX: softmax(s, n, 0); break;
    case OC_POST_SOFTMAX_ZERO: softmax(s, n, 1); break;
    case OC_POST_LOGISTIC:
        for (int64_t i = 0; i < n; i++)
            s[i] = logistic(s[i]);
        break;
    case OC_POST_PROBIT:
        for (int64_t i = 0; i < n; i++)
            s[i] = probit(s[i]);
        break;
    }
}

int64_t oc__post_scores(oc__post post, oc__second second, double *s,
                        int64_t n) {
    if (n != 1) {
        oc__post_apply(post, s, n);
        return n;
    }
    if (second == OC_SECOND_NONE) {
        if (post == OC_POST_PROBIT) s[0] = probit(s[0]);
        return 1;
    }
    /* Probabilities have complements, margins opposites; the transforms but
       probit's take margins. */
    int part = post == OC_POST_PROBIT ||
               (post == OC_POST_NONE && second == OC_SECOND_PART);
    s[1] = s[0];
    s[0] = part ? 1 - s[1] : -s[1];
    oc__post_apply(post, s, 2);
    return 2;
}

/* ---- labels ----------------------------------------------------------------
 */

oc_status oc__labels_read(const oc__ctx *c, const char *ints,
                          const char *strings, oc__labels *out) {
    size_t n, n_texts;
    const oc_string *texts = oc__attr_strings(c->node, strings, &n_texts);
    memset(out, 0, sizeof *out);
    out->ints = oc__attr_ints(c->node, ints, &n);
    if (n == 0) out->ints = NULL;
    out->n = (int64_t)n;
    if (!out->ints && n_texts) {
        out->strings = texts;
        out->n = (int64_t)n_texts;
    }
    if (!out->ints && !out->strings)
        return oc__op_fail(c, OC_E_FORMAT, "there are no class labels");
    return OC_OK;
}

oc_dtype oc__labels_dtype(const oc__labels *l) {
    return l->ints ? OC_DTYPE_I64 : OC_DTYPE_STRING;
}

void oc__labels_put(const oc__labels *l, oc_tensor *y, int64_t i, int64_t k) {
    if (!y) return;
    if (l->ints)
        ((int64_t *)y->data)[i] = l->ints[k];
    else
        ((oc_string *)y->data)[i] = l->strings[k];
}

/* ---- inputs ----------------------------------------------------------------
 */

oc_status oc__ml_rows(const oc__ctx *c, int i, int64_t *n, int64_t *f) {
    OC_TRY(oc__want(c, i, OC_T_ML));
    OC_TRY(oc__want_rank(c, i, 1, 2));
    const oc_tensor *x = oc__in(c, i);
    *n = x->rank == 2 ? x->dims[0] : 1;
    *f = x->dims[x->rank - 1];
    return OC_OK;
}

oc_status oc__ml_floats(const oc__ctx *c, const char *name, int64_t want,
                        const float **out) {
    size_t n;
    *out = oc__attr_floats(c->node, name, &n);
    if (*out && n && (int64_t)n != want)
        return oc__op_fail(c, OC_E_FORMAT, "%s has %zu entries, not %lld", name,
                           n, (long long)want);
    if (n == 0) *out = NULL;
    return OC_OK;
}
