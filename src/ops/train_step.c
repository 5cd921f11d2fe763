/*
 * train_step.c - what changes parameters, in the domain "ocelli":
 *
 *   SgdStep    x, v, g, knobs, norm        -> x, v
 *   AdamWStep  x, m, s, g, knobs, norm     -> x, m, s
 *   EmaStep    average, x, knobs           -> average
 *   GradNorm   g1 .. gn                    -> norm, the root of the sum of all
 *                                             squares
 *
 * knobs are those of train_step.h; norm (optional) is what CLIP bounds.  The
 * attribute `decay` is the share of the weight decay this parameter takes (0
 * for biases), `rate` its share of the learning rate, `nesterov` SGD's.
 * Formulas are PyTorch's.  Unlike ONNX's optimizers these write in place.
 */
#include "ops/nn.h"

#include "ops/train_step.h"

#include <math.h>
#include <string.h>

enum { SGD, ADAMW, EMA };

typedef struct step_job {
    int kind, nesterov;
    float rate, decay, scale; /* scale: of the gradient */
    float momentum, beta2, epsilon, bias1, bias2, ema;
    const float *x, *g, *s[2];
    float *x_new, *s_new[2];
} step_job;

static int state_count(const oc__ctx *c) {
    return c->op->kind == ADAMW ? 2 : c->op->kind == SGD ? 1 : 0;
}

static oc_status infer_step(oc__ctx *c) {
    int states = state_count(c), like = states + 1, knobs = states + 2;
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 1; i <= like; i++) {
        OC_TRY(oc__want(c, i, OC_T(F32)));
        if (!oc__tensor_same_shape(oc__in(c, i), x))
            return oc__op_fail(c, OC_E_SHAPE, "input %d is not like input 0",
                               i);
    }
    OC_TRY(oc__want(c, knobs, OC_T(F32)));
    if (oc_tensor_elems(oc__in(c, knobs)) != OC_KNOBS)
        return oc__op_fail(c, OC_E_SHAPE, "the knobs are not %d numbers",
                           OC_KNOBS);
    if (oc__in_value(c, knobs + 1)) {
        OC_TRY(oc__want(c, knobs + 1, OC_T(F32)));
        if (oc_tensor_elems(oc__in(c, knobs + 1)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "the norm is not one number");
    }
    for (int i = 0; i <= states; i++)
        OC_TRY(oc__out_like(c, i, x));
    return OC_OK;
}

static void sgd_range(const step_job *j, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        float x = j->x[i];
        float g = j->g[i] * j->scale + j->decay * x;
        float v = j->momentum * j->s[0][i] + g;
        j->s_new[0][i] = v;
        j->x_new[i] = x - j->rate * (j->nesterov ? g + j->momentum * v : v);
    }
}

static void adamw_range(const step_job *j, int64_t begin, int64_t end) {
    float root = sqrtf(j->bias2), rate = j->rate / j->bias1;
    for (int64_t i = begin; i < end; i++) {
        float g = j->g[i] * j->scale;
        float x = j->x[i] * (1 - j->rate * j->decay);
        float m = j->momentum * j->s[0][i] + (1 - j->momentum) * g;
        float s = j->beta2 * j->s[1][i] + (1 - j->beta2) * g * g;
        j->s_new[0][i] = m;
        j->s_new[1][i] = s;
        j->x_new[i] = x - rate * m / (sqrtf(s) / root + j->epsilon);
    }
}

static void step_range(void *user, int64_t begin, int64_t end, int worker) {
    const step_job *j = user;
    (void)worker;
    if (j->kind == SGD)
        sgd_range(j, begin, end);
    else if (j->kind == ADAMW)
        adamw_range(j, begin, end);
    else
        for (int64_t i = begin; i < end; i++)
            j->x_new[i] = j->ema * j->x[i] + (1 - j->ema) * j->g[i];
}

static float *target(const oc__ctx *c, int i) {
    oc_tensor *t = oc__out(c, i);
    return t ? t->data : NULL;
}

/* Gradients that are no numbers change nothing. */
static void stay(oc__ctx *c, int states) {
    for (int i = 0; i <= states; i++) {
        const oc_tensor *from = oc__in(c, i);
        if (from->data != oc__out(c, i)->data)
            memcpy(oc__out(c, i)->data, from->data, oc_tensor_bytes(from));
    }
}

static oc_status run_step(oc__ctx *c) {
    int states = state_count(c);
    const float *k = oc__in(c, states + 2)->data;
    step_job j = {.kind = c->op->kind, .scale = 1};
    j.nesterov = oc__attr_int(c->node, "nesterov", 0) != 0;
    j.rate = k[OC_KNOB_RATE] * oc__attr_float(c->node, "rate", 1);
    j.decay = k[OC_KNOB_DECAY] * oc__attr_float(c->node, "decay", 1);
    j.momentum = k[OC_KNOB_MOMENTUM];
    j.beta2 = k[OC_KNOB_BETA2];
    j.epsilon = k[OC_KNOB_EPSILON];
    j.bias1 = k[OC_KNOB_BIAS1];
    j.bias2 = k[OC_KNOB_BIAS2];
    j.ema = k[OC_KNOB_EMA];
    j.x = oc__in(c, 0)->data;
    j.g = oc__in(c, states + 1)->data;
    j.x_new = target(c, 0);
    int all = j.x_new != NULL;
    for (int s = 0; s < states; s++) {
        j.s[s] = oc__in(c, s + 1)->data;
        j.s_new[s] = target(c, s + 1);
        all &= j.s_new[s] != NULL;
    }
    if (!all)
        return oc__op_fail(c, OC_E_ARG, "all of its outputs must be wanted");
    if (oc__in_value(c, states + 3)) {
        float norm = *(const float *)oc__in(c, states + 3)->data;
        if (!isfinite(norm)) {
            stay(c, states);
            return OC_OK;
        }
        if (k[OC_KNOB_CLIP] > 0 && norm > k[OC_KNOB_CLIP])
            j.scale = k[OC_KNOB_CLIP] / (norm + 1e-6f);
    }
    oc__parallel(c, oc_tensor_elems(oc__in(c, 0)), 16384, step_range, &j);
    return OC_OK;
}

/* ---- GradNorm -------------------------------------------------------------
 */

static oc_status infer_norm(oc__ctx *c) {
    for (int i = 0; i < c->n_in; i++)
        OC_TRY(oc__want(c, i, OC_T(F32)));
    oc__scratch_need(c, (size_t)c->n_in * sizeof(double));
    return oc__out_set(c, 0, OC_DTYPE_F32, 0, NULL);
}

static void norm_range(void *user, int64_t begin, int64_t end, int worker) {
    const oc__ctx *c = user;
    double *sums = c->scratch;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const oc_tensor *g = oc__in(c, (int)i);
        sums[i] = (double)c->kernels->reduce_f32(OC_REDUCE_SUMSQ, g->data,
                                                 (size_t)oc_tensor_elems(g));
    }
}

static oc_status run_norm(oc__ctx *c) {
    double sum = 0;
    oc__parallel(c, c->n_in, 1, norm_range, c);
    for (int i = 0; i < c->n_in; i++)
        sum += ((const double *)c->scratch)[i];
    *(float *)oc__out(c, 0)->data = (float)sqrt(sum);
    return OC_OK;
}

#define STEP(name, kind, lo, hi, out)                                          \
    {                                                                          \
        "ocelli", name, 1, lo, hi, out, OC_OP_UPDATE, kind, infer_step,        \
            run_step, NULL                                                     \
    }

const oc__op oc__ops_train_step[] = {
    STEP("SgdStep", SGD, 4, 5, 2),
    STEP("AdamWStep", ADAMW, 5, 6, 3),
    STEP("EmaStep", EMA, 3, 3, 1),
    {"ocelli", "GradNorm", 1, 1, -1, 1, 0, 0, infer_norm, run_norm, NULL},
    {0},
};
