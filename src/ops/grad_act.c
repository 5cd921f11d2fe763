/*
 * grad_act.c - derivatives of activations, in the domain "ocelli":
 *
 *   <Activation>Grad  g, x -> g f'(x), the attributes being the activation's
 *   ClipGrad          g, x, [min], [max]
 *   DropoutGrad       g, mask, [ratio], [training_mode]
 *
 * Where f has a corner, f' is what the side of the constant gives.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum act_kind {
    K_RELU,
    K_LEAKY_RELU,
    K_THRESHOLDED_RELU,
    K_ELU,
    K_SELU,
    K_CELU,
    K_HARD_SIGMOID,
    K_HARD_SWISH,
    K_SOFTSIGN,
    K_SHRINK,
    K_CLIP,
    K_SWISH,
    K_QUICK_GELU,
    K_MISH,
    K_GELU,
    K_GELU_TANH,
    K_DROPOUT,
};

typedef struct act_job {
    const oc__kernels *kt;
    int kind;
    float a, b;
    double lo, hi; /* of Clip */
    oc_dtype dtype;
    const void *g, *x;
    const uint8_t *mask; /* of Dropout */
    void *y;
} act_job;

/* ---- the functions --------------------------------------------------------
 */

static void map_f64(oc__unary op, const double *x, double *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        switch (op) {
        case OC_UNARY_EXP: y[i] = exp(x[i]); break;
        case OC_UNARY_TANH: y[i] = tanh(x[i]); break;
        case OC_UNARY_ERF: y[i] = erf(x[i]); break;
        default: y[i] = 1 / (1 + exp(-x[i])); break;
        }
}

static float abs_f32(float v) {
    return fabsf(v);
}

static double abs_f64(double v) {
    return fabs(v);
}

static float of_f32(double v) {
    return (float)v;
}

static double of_f64(double v) {
    return v;
}

#define REAL                 float
#define FN(name)             name##_f32
#define MAP(kt, op, x, y, n) (kt)->unary_f32(op, x, y, n)
#include "ops/grad_act.inc"
#undef REAL
#undef FN
#undef MAP
#define REAL                 double
#define FN(name)             name##_f64
#define MAP(kt, op, x, y, n) map_f64(op, x, y, n)
#include "ops/grad_act.inc"
#undef REAL
#undef FN
#undef MAP

/* ---- activations ----------------------------------------------------------
 */

/* Names and defaults are those of the activation; see elementwise.c. */
static void read_parameters(const oc__node *node, act_job *j) {
    switch (j->kind) {
    case K_LEAKY_RELU: j->a = oc__attr_float(node, "alpha", 0.01f); break;
    case K_ELU:
    case K_CELU:
    case K_SWISH:
    case K_THRESHOLDED_RELU: j->a = oc__attr_float(node, "alpha", 1); break;
    case K_QUICK_GELU:
        j->kind = K_SWISH;
        j->a = oc__attr_float(node, "alpha", 1.702f);
        break;
    case K_SELU:
        j->a = oc__attr_float(node, "alpha",
                              node->version < 6 ? 1.6732f : 1.673263192f);
        j->b = oc__attr_float(node, "gamma",
                              node->version < 6 ? 1.0507f : 1.050701022f);
        break;
    case K_HARD_SIGMOID:
        j->a = oc__attr_float(node, "alpha", 0.2f);
        j->b = oc__attr_float(node, "beta", 0.5f);
        break;
    case K_SHRINK: j->a = oc__attr_float(node, "lambd", 0.5f); break;
    case K_GELU:
        if (!strcmp(oc__attr_string(node, "approximate", "none"), "tanh"))
            j->kind = K_GELU_TANH;
        break;
    default: break;
    }
}

/* Functions that are straight between two ends, and constant outside. */
static int is_clamp(const act_job *j, float *lo, float *hi) {
    *lo = j->kind == K_RELU ? nextafterf(0, 1) : (float)j->lo;
    *hi = j->kind == K_RELU ? INFINITY : (float)j->hi;
    return j->kind == K_RELU || j->kind == K_CLIP;
}

static void act_range(void *user, int64_t begin, int64_t end, int worker) {
    const act_job *j = user;
    oc__lanes lg, lx, ly;
    float lo, hi;
    (void)worker;
    for (int64_t i = begin; i < end; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, end - i);
        const void *g = oc__lanes_load(j->kt, j->dtype, j->g, i, n, &lg);
        const void *x = oc__lanes_load(j->kt, j->dtype, j->x, i, n, &lx);
        void *y = oc__lanes_target(j->dtype, j->y, i, &ly);
        if (j->dtype == OC_DTYPE_F64)
            act_f64(j, g, x, y, (size_t)n);
        else if (is_clamp(j, &lo, &hi))
            j->kt->train_f32->clamp_grad((size_t)n, g, x, lo, hi, y);
        else
            act_f32(j, g, x, y, (size_t)n);
        oc__lanes_store(j->kt, j->dtype, j->y, i, n, y);
    }
}

static oc_status infer_act(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    if (!oc__tensor_same_shape(oc__in(c, 0), oc__in(c, 1)))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of x");
    return oc__out_like(c, 0, oc__in(c, 0));
}

static void start(oc__ctx *c, act_job *j) {
    const oc_tensor *g = oc__in(c, 0);
    j->kt = c->kernels;
    j->dtype = g->dtype;
    j->g = g->data;
    j->x = oc__in(c, 1)->data;
    j->y = oc__out(c, 0)->data;
    int64_t grain = j->kind <= K_LEAKY_RELU || j->kind == K_CLIP ? 16384 : 4096;
    oc__parallel(c, oc_tensor_elems(g), grain, act_range, j);
}

static oc_status run_act(oc__ctx *c) {
    act_job j = {.kind = c->op->kind};
    read_parameters(c->node, &j);
    start(c, &j);
    return OC_OK;
}

/* A limit is an input or, up to version 6, an attribute. */
static double clip_limit(const oc__ctx *c, int i, const char *attr,
                         float none) {
    if (oc__in(c, i)) return oc__tensor_get_f64(oc__in(c, i), 0);
    return oc__attr_float(c->node, attr, none);
}

static oc_status infer_clip(oc__ctx *c) {
    for (int i = 2; i < 4; i++)
        if (oc__in(c, i) && oc_tensor_elems(oc__in(c, i)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "limit %d must be one number",
                               i - 1);
    return infer_act(c);
}

static oc_status run_clip(oc__ctx *c) {
    act_job j = {.kind = K_CLIP};
    j.lo = clip_limit(c, 2, "min", -INFINITY);
    j.hi = clip_limit(c, 3, "max", INFINITY);
    start(c, &j);
    return OC_OK;
}

/* ---- Dropout --------------------------------------------------------------
 */

static oc_status infer_dropout(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, OC_T(BOOL)));
    if (!oc__tensor_same_shape(oc__in(c, 0), oc__in(c, 1)))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of the mask");
    return oc__out_like(c, 0, oc__in(c, 0));
}

static void dropout_range(void *user, int64_t begin, int64_t end, int worker) {
    const act_job *j = user;
    oc__lanes lg, ly;
    (void)worker;
    for (int64_t i = begin; i < end; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, end - i);
        const void *g = oc__lanes_load(j->kt, j->dtype, j->g, i, n, &lg);
        void *y = oc__lanes_target(j->dtype, j->y, i, &ly);
        for (int64_t k = 0; k < n; k++)
            if (j->dtype == OC_DTYPE_F64)
                ((double *)y)[k] =
                    j->mask[i + k] ? ((const double *)g)[k] * j->hi : 0;
            else
                ((float *)y)[k] =
                    j->mask[i + k] ? ((const float *)g)[k] * j->a : 0;
        oc__lanes_store(j->kt, j->dtype, j->y, i, n, y);
    }
}

/* What was kept was scaled by 1 / (1 - ratio), when training. */
static oc_status run_dropout(oc__ctx *c) {
    const oc_tensor *g = oc__in(c, 0);
    double ratio = 0.5, training = 0;
    if (oc__in(c, 2)) OC_TRY(oc__in_scalar(c, 2, &ratio));
    if (oc__in(c, 3)) training = oc__tensor_get_f64(oc__in(c, 3), 0);
    act_job j = {.kt = c->kernels, .kind = K_DROPOUT, .dtype = g->dtype};
    j.hi = training != 0 && ratio < 1 ? 1 / (1 - ratio) : 1;
    j.a = (float)j.hi;
    j.g = g->data;
    j.mask = oc__in(c, 1)->data;
    j.y = oc__out(c, 0)->data;
    oc__parallel(c, oc_tensor_elems(g), 16384, dropout_range, &j);
    return OC_OK;
}

#define ACT(name, kind)                                                        \
    {                                                                          \
        "ocelli", name "Grad", 1, 2, 2, 1, OC_OP_INPLACE, kind, infer_act,     \
            run_act, NULL                                                      \
    }

const oc__op oc__ops_grad_act[] = {
    ACT("Relu", K_RELU),
    ACT("LeakyRelu", K_LEAKY_RELU),
    ACT("ThresholdedRelu", K_THRESHOLDED_RELU),
    ACT("Elu", K_ELU),
    ACT("Selu", K_SELU),
    ACT("Celu", K_CELU),
    ACT("HardSigmoid", K_HARD_SIGMOID),
    ACT("HardSwish", K_HARD_SWISH),
    ACT("Softsign", K_SOFTSIGN),
    ACT("Shrink", K_SHRINK),
    ACT("Swish", K_SWISH),
    ACT("QuickGelu", K_QUICK_GELU),
    ACT("Mish", K_MISH),
    ACT("Gelu", K_GELU),
    ACT("BiasGelu", K_GELU),
    ACT("FastGelu", K_GELU_TANH),
    {"ocelli", "ClipGrad", 1, 2, 4, 1, OC_OP_INPLACE, K_CLIP, infer_clip,
     run_clip, NULL},
    {"ocelli", "DropoutGrad", 1, 2, 4, 1, OC_OP_INPLACE, K_DROPOUT,
     infer_dropout, run_dropout, NULL},
    {0},
};
