/*
 * loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * The input is (batch, classes, positions...); each position of each batch
 * entry has a class as its target.  Sums are kept in f64 and always added in
 * the same order.
 */
#include "ops/loss.h"

#include "ops/nn.h"

#include <math.h>
#include <string.h>

oc_status oc__loss_read(const oc__ctx *c, oc__loss *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    job->kind = c->op->kind;
    job->x = *oc__in(c, 0);
    job->target = *oc__in(c, 1);
    job->dtype = job->x.dtype;
    job->batch = job->x.dims[0];
    job->classes = job->x.dims[1];
    job->positions = oc__count(job->x.dims + 2, job->x.rank - 2);
    job->rank = job->x.rank - 1;
    job->dims[0] = job->batch;
    memcpy(job->dims + 1, job->x.dims + 2,
           sizeof(int64_t) * (size_t)(job->rank - 1));
    oc_tensor want;
    oc__tensor_set(&want, job->target.dtype, job->rank, job->dims);
    if (!oc__tensor_same_shape(&want, &job->target))
        return oc__op_fail(c, OC_E_SHAPE,
                           "the target has not the shape of the input without "
                           "its classes");
    const oc_tensor *weight = oc__in(c, 2);
    if (weight) {
        OC_TRY(oc__want(c, 2, 1u << job->dtype));
        if (weight->rank != 1 || weight->dims[0] != job->classes)
            return oc__op_fail(c, OC_E_SHAPE,
                               "the weight must have %lld "
                               "values",
                               (long long)job->classes);
        job->weight = *weight;
        job->has_weight = 1;
    }
    const char *s = oc__attr_string(c->node, "reduction", "mean");
    if (!strcmp(s, "none"))
        job->reduction = OC_LOSS_EACH;
    else if (!strcmp(s, "sum"))
        job->reduction = OC_LOSS_SUM;
    else if (!strcmp(s, "mean"))
        job->reduction = OC_LOSS_MEAN;
    else
        return oc__op_fail(c, OC_E_ARG, "reduction is \"%s\"", s);
    job->has_ignore = oc__attr_find(c->node, "ignore_index") != NULL;
    job->ignore = oc__attr_int(c->node, "ignore_index", -1);
    return OC_OK;
}

oc_status oc__loss_target(const oc__ctx *c, const oc__loss *job, int64_t i,
                          int64_t *target, double *weight) {
    int64_t t = oc__tensor_get_i64(&job->target, i);
    *weight = 0;
    *target = -1;
    if (job->has_ignore && t == job->ignore) return OC_OK;
    if (t < 0 || t >= job->classes)
        return oc__op_fail(c, OC_E_ARG,
                           "target %lld is %lld, but there are %lld classes",
                           (long long)i, (long long)t, (long long)job->classes);
    *weight = job->has_weight ? oc__tensor_get_f64(&job->weight, t) : 1;
    *target = t;
    return OC_OK;
}

static void layout(oc__bump *b, oc__loss *job) {
    if (job->kind == OC_LOSS_CROSS_ENTROPY)
        job->log_sum =
            oc__bump_take(b, oc_tensor_elems(&job->target), sizeof(double));
}

static oc_status infer_loss(oc__ctx *c) {
    oc__loss job;
    OC_TRY(oc__loss_read(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype,
                       job.reduction == OC_LOSS_EACH ? job.rank : 0, job.dims));
    if (job.kind == OC_LOSS_CROSS_ENTROPY) OC_TRY(oc__out_like(c, 1, &job.x));
    oc__bump b = oc__bump_counter();
    layout(&b, &job);
    return oc__bump_need(c, &b);
}

/* log of the softmax's denominator at positions begin .. end - 1. */
static void softmax_range(void *user, int64_t begin, int64_t end, int worker) {
    const oc__loss *job = user;
    oc_tensor out = job->log_prob;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t step = job->positions;
        int64_t at = i / step * job->classes * step + i % step;
        double max = -INFINITY, sum = 0;
        for (int64_t k = 0; k < job->classes; k++) {
            double v = oc__tensor_get_f64(&job->x, at + k * step);
            max = v > max || v != v ? v : max;
        }
        for (int64_t k = 0; k < job->classes; k++)
            sum += exp(oc__tensor_get_f64(&job->x, at + k * step) - max);
        job->log_sum[i] = max + log(sum);
        for (int64_t k = 0; out.data && k < job->classes; k++)
            oc__tensor_set_f64(&out, at + k * step,
                               oc__tensor_get_f64(&job->x, at + k * step) -
                                   job->log_sum[i]);
    }
}

static oc_status run_loss(oc__ctx *c) {
    oc__loss job;
    OC_TRY(oc__loss_read(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(&b, &job);
    int64_t n = oc_tensor_elems(&job.target);
    if (oc__out(c, 1)) job.log_prob = *oc__out(c, 1);
    if (job.kind == OC_LOSS_CROSS_ENTROPY && n > 0)
        oc__parallel(c, n, OC_MAX(1024 / OC_MAX(job.classes, 1), 1),
                     softmax_range, &job);
    double sum = 0, weights = 0;
    oc_tensor *y = oc__out(c, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t t;
        double loss = 0, w;
        OC_TRY(oc__loss_target(c, &job, i, &t, &w));
        if (t >= 0) {
            int64_t at = (i / job.positions * job.classes + t) * job.positions +
                         i % job.positions;
            loss = -oc__tensor_get_f64(&job.x, at);
            if (job.kind == OC_LOSS_CROSS_ENTROPY) loss += job.log_sum[i];
            loss *= w;
        }
        sum += loss;
        weights += w;
        if (y && job.reduction == OC_LOSS_EACH) oc__tensor_set_f64(y, i, loss);
    }
    if (y && job.reduction != OC_LOSS_EACH)
        oc__tensor_set_f64(y, 0,
                           job.reduction == OC_LOSS_MEAN ? sum / weights : sum);
    return OC_OK;
}

const oc__op oc__ops_loss[] = {
    {"", "NegativeLogLikelihoodLoss", 12, 2, 3, 1, 0, OC_LOSS_NLL, infer_loss,
     run_loss, NULL},
    {"", "SoftmaxCrossEntropyLoss", 12, 2, 3, 2, 0, OC_LOSS_CROSS_ENTROPY,
     infer_loss, run_loss, NULL},
    {0},
};
