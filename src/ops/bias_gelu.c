/*
 * bias_gelu.c - com.microsoft's FastGelu and BiasGelu: a bias along the last
 * dimension, then GELU, in its tanh form or in full.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>

enum gelu_kind { K_FAST, K_BIAS };

typedef struct gelu_job {
    const oc__kernels *kt;
    oc__act_args act;
    oc_dtype dtype;
    const void *x, *bias; /* bias may be NULL */
    void *y;
    int64_t n; /* last dimension */
} gelu_job;

static oc_status infer_gelu(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0), *bias = oc__in(c, 1);
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    if (bias) {
        OC_TRY(oc__want(c, 1, 1u << x->dtype));
        if (oc_tensor_elems(bias) != x->dims[x->rank - 1])
            return oc__op_fail(c, OC_E_SHAPE,
                               "the bias has %lld values for %lld columns",
                               (long long)oc_tensor_elems(bias),
                               (long long)x->dims[x->rank - 1]);
    }
    return oc__out_like(c, 0, x);
}

static double gelu(int fast, double v) {
    const double half = 0.70710678118654752440; /* sqrt(1 / 2) */
    if (!fast) return v / 2 * (1 + erf(v * half));
    return v / 2 *
           (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v)));
}

/* n <= OC_LANES elements of one row, column i on. */
static void gelu_run(const gelu_job *j, int64_t at, int64_t i, int64_t n) {
    oc__lanes lx, lb, ly;
    const void *x = oc__lanes_load(j->kt, j->dtype, j->x, at, n, &lx);
    const void *b = NULL;
    void *y = oc__lanes_target(j->dtype, j->y, at, &ly);
    if (j->bias) b = oc__lanes_load(j->kt, j->dtype, j->bias, i, n, &lb);
    if (j->dtype == OC_DTYPE_F64) {
        for (int64_t k = 0; k < n; k++)
            ((double *)y)[k] =
                gelu(j->act.kind == OC_ACT_GELU_TANH,
                     ((const double *)x)[k] + (b ? ((const double *)b)[k] : 0));
    } else if (b) {
        j->kt->add_act_f32(j->act, x, b, y, (size_t)n);
    } else {
        j->kt->act_f32(j->act, x, y, (size_t)n);
    }
    oc__lanes_store(j->kt, j->dtype, j->y, at, n, y);
}

static void gelu_range(void *user, int64_t begin, int64_t end, int worker) {
    const gelu_job *j = user;
    (void)worker;
    for (int64_t r = begin; r < end; r++)
        for (int64_t i = 0; i < j->n; i += OC_LANES)
            gelu_run(j, r * j->n + i, i, OC_MIN(OC_LANES, j->n - i));
}

static oc_status run_gelu(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *bias = oc__in(c, 1);
    gelu_job j = {
        c->kernels,
        {c->op->kind == K_FAST ? OC_ACT_GELU_TANH : OC_ACT_GELU, 0, 0},
        x->dtype,
        x->data,
        bias ? bias->data : NULL,
        oc__out(c, 0)->data,
        x->dims[x->rank - 1]};
    if (!j.n) return OC_OK;
    oc__parallel(c, oc_tensor_elems(x) / j.n, 4096 / j.n + 1, gelu_range, &j);
    return OC_OK;
}

const oc__op oc__ops_bias_gelu[] = {
    {"com.microsoft", "FastGelu", 1, 1, 2, 1, OC_OP_INPLACE, K_FAST, infer_gelu,
     run_gelu, NULL},
    {"com.microsoft", "BiasGelu", 1, 2, 2, 1, OC_OP_INPLACE, K_BIAS, infer_gelu,
     run_gelu, NULL},
    {0},
};
