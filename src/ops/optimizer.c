/*
 * optimizer.c - Adagrad, Adam, Momentum: one step of training.
 *
 *     inputs   R (rate), T (step count), X1 .. Xn, G1 .. Gn, state ...
 *     outputs  X1 .. Xn, state ...
 *
 * where the state is n tensors H (Adagrad), V (Momentum), or V and then H
 * (Adam).  All of one group have the shape of its X.
 */
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum optimizer_kind { K_ADAGRAD, K_ADAM, K_MOMENTUM };

typedef struct step_job {
    int kind, nesterov;
    oc_dtype dtype;
    double rate, alpha, beta, epsilon, norm, norm_post;
    const oc_tensor *x, *g, *s[2];
    oc_tensor *x_new, *s_new[2]; /* NULL: not wanted */
} step_job;

static int states(const oc__ctx *c) {
    return c->op->kind == K_ADAM ? 2 : 1;
}

static oc_status infer_step(oc__ctx *c) {
    int groups = 2 + states(c), n = (c->n_in - 2) / groups;
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F64)));
    OC_TRY(oc__want(c, 1, OC_T(I64)));
    if (oc_tensor_elems(oc__in(c, 0)) != 1 ||
        oc_tensor_elems(oc__in(c, 1)) != 1)
        return oc__op_fail(c, OC_E_SHAPE, "R and T must be one number each");
    if (n < 1 || (c->n_in - 2) % groups)
        return oc__op_fail(c, OC_E_ARG, "%d inputs do not make whole groups",
                           c->n_in);
    if (c->op->kind == K_MOMENTUM) {
        const char *mode = oc__attr_string(c->node, "mode", "standard");
        if (strcmp(mode, "standard") && strcmp(mode, "nesterov"))
            return oc__op_fail(c, OC_E_ARG, "mode is \"%s\"", mode);
    }
    for (int i = 0; i < n; i++) {
        OC_TRY(oc__want(c, 2 + i, OC_T(F32) | OC_T(F64)));
        const oc_tensor *x = oc__in(c, 2 + i);
        for (int k = 1; k < groups; k++) {
            const oc_tensor *t = oc__in(c, 2 + i + k * n);
            if (!t || t->dtype != x->dtype || !oc__tensor_same_shape(t, x))
                return oc__op_fail(c, OC_E_SHAPE,
                                   "input %d is not like input %d",
                                   2 + i + k * n, 2 + i);
        }
        for (int k = 0; k < groups - 1; k++)
            OC_TRY(oc__out_like(c, i + k * n, x));
    }
    return OC_OK;
}

/* Momentum and Adam's first moment: v' = alpha v + weight g. */
static void step_one(const step_job *j, double x, double g, const double *s,
                     double *x_new, double *s_new) {
    g += j->norm * x;
    switch (j->kind) {
    case K_ADAGRAD:
        s_new[0] = s[0] + g * g;
        *x_new = x - j->rate * g / (sqrt(s_new[0]) + j->epsilon);
        break;
    case K_ADAM:
        s_new[0] = j->alpha * s[0] + (1 - j->alpha) * g;
        s_new[1] = j->beta * s[1] + (1 - j->beta) * g * g;
        x -= j->rate * s_new[0] / (sqrt(s_new[1]) + j->epsilon);
        *x_new = (1 - j->norm_post) * x;
        break;
    default:
        s_new[0] = j->alpha * s[0] + j->beta * g;
        *x_new =
            x - j->rate * (j->nesterov ? g + j->alpha * s_new[0] : s_new[0]);
        break;
    }
}

static void step_range(void *user, int64_t begin, int64_t end, int worker) {
    const step_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        double s[2] = {0, 0}, s_new[2] = {0, 0}, x_new;
        for (int k = 0; k < 2; k++)
            if (j->s[k]) s[k] = oc__tensor_get_f64(j->s[k], i);
        step_one(j, oc__tensor_get_f64(j->x, i), oc__tensor_get_f64(j->g, i), s,
                 &x_new, s_new);
        if (j->x_new) oc__tensor_set_f64(j->x_new, i, x_new);
        for (int k = 0; k < 2; k++)
            if (j->s_new[k]) oc__tensor_set_f64(j->s_new[k], i, s_new[k]);
    }
}

/* Everything that is the same for all tensors. */
static void read_rates(const oc__ctx *c, step_job *j) {
    const oc__node *n = c->node;
    double rate = oc__tensor_get_f64(oc__in(c, 0), 0);
    double t = (double)oc__tensor_get_i64(oc__in(c, 1), 0);
    j->kind = c->op->kind;
    j->norm = oc__attr_float(n, "norm_coefficient", 0);
    j->norm_post = oc__attr_float(n, "norm_coefficient_post", 0);
    /* The schema's default is 1e-6 for all three.  ONNX's published results
       for an Adam without the attribute come from 1e-2. */
    j->epsilon =
        oc__attr_float(n, "epsilon", j->kind == K_ADAM ? 1e-2f : 1e-6f);
    if (j->kind == K_ADAGRAD) {
        rate /= 1 + t * oc__attr_float(n, "decay_factor", 0);
    } else if (j->kind == K_ADAM) {
        j->alpha = oc__attr_float(n, "alpha", 0.9f);
        j->beta = oc__attr_float(n, "beta", 0.999f);
        /* Undoes the moments' start at 0. */
        if (t > 0) rate *= sqrt(1 - pow(j->beta, t)) / (1 - pow(j->alpha, t));
    } else {
        j->alpha = oc__attr_float(n, "alpha", 0);
        j->beta = t > 0 ? oc__attr_float(n, "beta", 0) : 1;
        j->nesterov =
            !strcmp(oc__attr_string(n, "mode", "standard"), "nesterov");
    }
    j->rate = rate;
}

static oc_status run_step(oc__ctx *c) {
    int kept = states(c), n = (c->n_in - 2) / (2 + kept);
    step_job j = {0};
    read_rates(c, &j);
    for (int i = 0; i < n; i++) {
        j.x = oc__in(c, 2 + i);
        j.g = oc__in(c, 2 + n + i);
        j.x_new = oc__out(c, i);
        for (int k = 0; k < kept; k++) {
            j.s[k] = oc__in(c, 2 + (2 + k) * n + i);
            j.s_new[k] = oc__out(c, (1 + k) * n + i);
        }
        oc__parallel(c, oc_tensor_elems(j.x), 4096, step_range, &j);
    }
    return OC_OK;
}

#define STEP(name, kind)                                                       \
    {                                                                          \
        "ai.onnx.preview.training", name, 1, 3, -1, -1, 0, kind, infer_step,   \
            run_step, NULL                                                     \
    }

const oc__op oc__ops_optimizer[] = {
    STEP("Adagrad", K_ADAGRAD),
    STEP("Adam", K_ADAM),
    STEP("Momentum", K_MOMENTUM),
    {0},
};
