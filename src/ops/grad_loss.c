/*
 * grad_loss.c - gradients of losses, in the domain "ocelli":
 *
 *   SoftmaxCrossEntropyLossGrad    scores, target, [weight], g -> of scores
 *   NegativeLogLikelihoodLossGrad  x, target, [weight], g -> of x
 *
 * With w a position's weight (0 where it is ignored), over the sum of all of
 * them when the loss is the mean:
 *
 *     cross entropy   w g (softmax(scores)[k] - [k is the target])
 *     likelihood     -w g [k is the target]
 */
#include "ops/loss.h"
#include "ops/nn.h"

#include <math.h>

typedef struct grad_job {
    oc__loss loss;
    oc_tensor g, dx;
    double norm;
    double *weights;  /* a position each, */
    int64_t *targets; /* -1: ignored */
} grad_job;

static void layout(oc__bump *b, grad_job *j) {
    int64_t n = oc_tensor_elems(&j->loss.target);
    j->weights = oc__bump_take(b, n, sizeof(double));
    j->targets = oc__bump_take(b, n, sizeof(int64_t));
}

static oc_status read_grad(const oc__ctx *c, grad_job *j) {
    OC_TRY(oc__loss_read(c, &j->loss));
    OC_TRY(oc__want(c, 3, 1u << j->loss.dtype));
    j->g = *oc__in(c, 3);
    int64_t n = oc_tensor_elems(&j->loss.target);
    if (oc_tensor_elems(&j->g) != (j->loss.reduction == OC_LOSS_EACH ? n : 1))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of the loss");
    return OC_OK;
}

static oc_status infer_loss(oc__ctx *c) {
    grad_job j;
    OC_TRY(read_grad(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(&b, &j);
    return oc__bump_need(c, &b);
}

/* Positions begin .. end - 1 with all their classes. */
static void loss_range(void *user, int64_t begin, int64_t end, int worker) {
    const grad_job *j = user;
    const oc__loss *l = &j->loss;
    int64_t step = l->positions;
    int each = l->reduction == OC_LOSS_EACH;
    oc_tensor dx = j->dx;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i / step * l->classes * step + i % step;
        double w =
            j->weights[i] / j->norm * oc__tensor_get_f64(&j->g, each ? i : 0);
        double max = -INFINITY, sum = 0;
        int soft = l->kind == OC_LOSS_CROSS_ENTROPY && j->targets[i] >= 0;
        for (int64_t k = 0; soft && k < l->classes; k++) {
            double v = oc__tensor_get_f64(&l->x, at + k * step);
            max = v > max || v != v ? v : max;
        }
        for (int64_t k = 0; soft && k < l->classes; k++)
            sum += exp(oc__tensor_get_f64(&l->x, at + k * step) - max);
        for (int64_t k = 0; k < l->classes; k++) {
            double v = k == j->targets[i] ? -1 : 0;
            if (soft)
                v += exp(oc__tensor_get_f64(&l->x, at + k * step) - max) / sum;
            oc__tensor_set_f64(&dx, at + k * step,
                               j->targets[i] < 0 ? 0 : v * w);
        }
    }
}

static oc_status run_loss(oc__ctx *c) {
    grad_job j;
    OC_TRY(read_grad(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(&b, &j);
    int64_t n = oc_tensor_elems(&j.loss.target);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        OC_TRY(oc__loss_target(c, &j.loss, i, &j.targets[i], &j.weights[i]));
        sum += j.weights[i];
    }
    j.norm = j.loss.reduction == OC_LOSS_MEAN ? sum : 1;
    j.dx = *oc__out(c, 0);
    if (n > 0)
        oc__parallel(c, n, OC_MAX(1024 / OC_MAX(j.loss.classes, 1), 1),
                     loss_range, &j);
    return OC_OK;
}

const oc__op oc__ops_grad_loss[] = {
    {"ocelli", "NegativeLogLikelihoodLossGrad", 1, 4, 4, 1, 0, OC_LOSS_NLL,
     infer_loss, run_loss, NULL},
    {"ocelli", "SoftmaxCrossEntropyLossGrad", 1, 4, 4, 1, 0,
     OC_LOSS_CROSS_ENTROPY, infer_loss, run_loss, NULL},
    {0},
};
