/* criterion.c - see criterion.h. */
#include "train/criterion.h"

#include "passes/match.h"

#include <string.h>

typedef struct build {
    oc__diff *d;
    int x, t, weights; /* logits, targets, a weight a class or -1 */
    int batch, classes;
    double focus;
} build;

static int one(build *b, const char *op, int x) {
    return oc__diff_1(b->d, op, x);
}

static int two(build *b, const char *op, int x, int y) {
    return oc__diff_2(b->d, op, x, y);
}

static int mul(build *b, int x, int y) {
    return two(b, "Mul", x, y);
}

/* A number; any of the formulas' values is f32. */
static int number(build *b, double v) {
    float *data;
    int id =
        oc__new_constant_f32(b->d->g, b->d->allocator, NULL, 0, NULL, &data);
    if (id < 0)
        b->d->failed = 1;
    else
        *data = (float)v;
    return id;
}

static int times(build *b, double f, int x) {
    return mul(b, x, number(b, f));
}

/* Over the classes, or over all that there is. */
static int sum_over(build *b, const char *op, int x, int over_batch) {
    static const int64_t classes[1] = {1}, rows[1] = {0}, all[2] = {0, 1};
    int y = oc__diff_emit(b->d, "", op, 11, 2, 1, &x);
    if (y < 0) return -1;
    oc__attr_set_ints(b->d->last, 0, "axes",
                      over_batch == 2   ? all
                      : over_batch == 1 ? rows
                                        : classes,
                      over_batch == 2 ? 2 : 1);
    oc__attr_set_int(b->d->last, 1, "keepdims", 0);
    return y;
}

static int mean(build *b, int x) {
    return sum_over(b, "ReduceMean", x, 2);
}

/* The sum over classes, the mean over the batch. */
static int batch_mean(build *b, int x) {
    return times(b, 1.0 / b->batch, sum_over(b, "ReduceSum", x, 2));
}

static int along_classes(build *b, const char *op) {
    int y = oc__diff_emit(b->d, "", op, 13, 1, 1, &b->x);
    if (y >= 0) oc__attr_set_int(b->d->last, 0, "axis", -1);
    return y;
}

static int weighted(build *b, int x) {
    return b->weights < 0 ? x : mul(b, x, b->weights);
}

/* - sum w t log p */
static int cross_entropy(build *b) {
    int y = mul(b, b->t, along_classes(b, "LogSoftmax"));
    return times(b, -1, batch_mean(b, weighted(b, y)));
}

/* - sum w t (1 - p)^focus log p */
static int focal(build *b) {
    int log_p = along_classes(b, "LogSoftmax");
    int rest = two(b, "Sub", number(b, 1), one(b, "Exp", log_p));
    /* Rounding may take it below 0, where powers have no value. */
    int y = mul(b, two(b, "Pow", one(b, "Relu", rest), number(b, b->focus)),
                mul(b, b->t, log_p));
    return times(b, -1, batch_mean(b, weighted(b, y)));
}

/* w t softplus(-x) + (1 - t) softplus(x): BCE of each label. */
static int binary_terms(build *b) {
    int no = two(b, "Sub", number(b, 1), b->t);
    int pro = mul(b, b->t, one(b, "Softplus", one(b, "Neg", b->x)));
    return two(b, "Add", weighted(b, pro),
               mul(b, no, one(b, "Softplus", b->x)));
}

/* The same with (1 - share of what is right)^focus before it. */
static int binary_focal(build *b) {
    int p = one(b, "Sigmoid", b->x);
    int no_t = two(b, "Sub", number(b, 1), b->t);
    int no_p = two(b, "Sub", number(b, 1), p);
    int right = two(b, "Add", mul(b, p, b->t), mul(b, no_p, no_t));
    int wrong = one(b, "Relu", two(b, "Sub", number(b, 1), right));
    return mean(
        b, mul(b, two(b, "Pow", wrong, number(b, b->focus)), binary_terms(b)));
}

/* 1 - (2 sum p t + 1) / (sum p + sum t + 1) of each class, their mean. */
static int dice(build *b, int multi) {
    int p = multi ? one(b, "Sigmoid", b->x) : along_classes(b, "Softmax");
    int both = sum_over(b, "ReduceSum", mul(b, p, b->t), 1);
    int all = two(b, "Add", sum_over(b, "ReduceSum", p, 1),
                  sum_over(b, "ReduceSum", b->t, 1));
    int top = two(b, "Add", times(b, 2, both), number(b, 1));
    int share = two(b, "Div", top, two(b, "Add", all, number(b, 1)));
    int y = times(b, 1.0 / b->classes, share);
    static const int64_t axes[1] = {0};
    y = oc__diff_emit(b->d, "", "ReduceSum", 11, 2, 1, &y);
    if (y < 0) return -1;
    oc__attr_set_ints(b->d->last, 0, "axes", axes, 1);
    oc__attr_set_int(b->d->last, 1, "keepdims", 0);
    return two(b, "Sub", number(b, 1), y);
}

/* |e| < 1: e^2 / 2, else |e| - 1/2 */
static int huber(build *b) {
    int size = one(b, "Abs", two(b, "Sub", b->x, b->t));
    int near = two(b, "Min", size, number(b, 1));
    int far = two(b, "Sub", size, near);
    return mean(b, two(b, "Add", times(b, 0.5, mul(b, near, near)), far));
}

/* sum t (log t - log p); a share of nothing adds nothing. */
static int divergence(build *b) {
    int some = two(b, "Max", b->t, number(b, 1e-30));
    int log_p = along_classes(b, "LogSoftmax");
    return batch_mean(b,
                      mul(b, b->t, two(b, "Sub", one(b, "Log", some), log_p)));
}

static oc_status set_weights(build *b, const float *weights) {
    int64_t dims[1] = {b->classes};
    float *data;
    b->weights = -1;
    if (!weights) return OC_OK;
    b->weights =
        oc__new_constant_f32(b->d->g, b->d->allocator, NULL, 1, dims, &data);
    if (b->weights < 0) return OC_E_NOMEM;
    memcpy(data, weights, (size_t)b->classes * sizeof(*data));
    return OC_OK;
}

/* (classes, classes above): 1 where one lies in the other. */
static int membership(build *b, const int *above) {
    int n = 0;
    for (int i = 0; i < b->classes; i++)
        if (above[i] >= n) n = above[i] + 1;
    int64_t dims[2] = {b->classes, n};
    float *data;
    int id =
        oc__new_constant_f32(b->d->g, b->d->allocator, NULL, 2, dims, &data);
    if (id < 0) return -1;
    memset(data, 0, (size_t)b->classes * (size_t)n * sizeof(*data));
    for (int i = 0; i < b->classes; i++)
        data[(size_t)i * (size_t)n + (size_t)above[i]] = 1;
    return id;
}

int oc__criterion_above(oc__diff *d, int levels, const int *above, int logits,
                        int targets, int batch, int classes,
                        const float *weights) {
    build b = {
        .d = d, .x = logits, .t = targets, .batch = batch, .classes = classes};
    if (set_weights(&b, weights)) return -1;
    int p = along_classes(&b, "Softmax"), t = weighted(&b, b.t), sum = -1;
    for (int i = 0; i < levels; i++) {
        int in = membership(&b, above + (size_t)i * (size_t)classes);
        if (in < 0) return -1;
        /* Far below what rounding leaves of a share, where logs are finite. */
        int q = two(&b, "Max", two(&b, "MatMul", p, in), number(&b, 1e-12));
        int y = batch_mean(
            &b, mul(&b, two(&b, "MatMul", t, in), one(&b, "Log", q)));
        sum = i ? two(&b, "Add", sum, y) : y;
    }
    return times(&b, -1.0 / levels, sum);
}

int oc__criterion_build(oc__diff *d, oc_criterion which, int multi, int logits,
                        int targets, int batch, int classes,
                        const float *weights, double focus) {
    build b = {.d = d,
               .x = logits,
               .t = targets,
               .weights = -1,
               .batch = batch,
               .classes = classes,
               .focus = focus > 0 ? focus : 2};
    if (set_weights(&b, weights)) return -1;
    int e = -1;
    switch (which) {
    case OC_CRITERION_FOCAL: return multi ? binary_focal(&b) : focal(&b);
    case OC_CRITERION_BCE: return mean(&b, binary_terms(&b));
    case OC_CRITERION_DICE: return dice(&b, multi);
    case OC_CRITERION_HUBER: return huber(&b);
    case OC_CRITERION_KL: return divergence(&b);
    case OC_CRITERION_L1:
    case OC_CRITERION_L2:
        e = two(&b, "Sub", b.x, b.t);
        return mean(&b, which == OC_CRITERION_L1 ? one(&b, "Abs", e)
                                                 : mul(&b, e, e));
    case OC_CRITERION_AUTO:
    case OC_CRITERION_CROSS_ENTROPY: break;
    }
    return multi && which == OC_CRITERION_AUTO ? mean(&b, binary_terms(&b))
                                               : cross_entropy(&b);
}
