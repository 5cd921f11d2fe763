/*
 * fake_quantize.c - values rounded to codes and back, in the domain "ocelli",
 * for networks that learn to live with it:
 *
 *   FakeQuantize        x, range -> y, [range]    one scale, codes from 0 on
 *   FakeQuantizeWeight  w -> y                    symmetric, one scale a row of
 *                                                 `axis` (-1: one in all);
 *                                                 `spared`: as oc_quantizer
 *                                                 writes them by default
 *   FakeQuantizeGrad    g, x, range -> g where x was not cut, else 0
 *
 * What comes out is what QuantizeLinear and DequantizeLinear give.  range is
 * two numbers, least and greatest; with `observe` it first moves to that of x,
 * of which it keeps `momentum`, or becomes it where it is empty.  `bits` (8) is
 * how fine codes are: the derivative is the one y tends to with more of them
 * (Bengio et al., arXiv:1308.3432).
 *
 * Values in blocked channels may have lanes of padding, which are 0 or what an
 * activation makes of 0, and so in the range of an activation.
 */
#include "ops/fake_quantize.h"

#include "ops/op.h"

#include <string.h>

enum { FAKE_VALUE, FAKE_WEIGHT, FAKE_GRAD };
enum { GRAIN = 1 << 15 };

typedef struct fake_job {
    int kind, is_f64, spared;
    const void *x, *g;
    void *y;
    double scale, lo, hi; /* lo, hi: codes, without the zero point */
    int64_t outer, rows, inner;
    double *limits; /* of each part of x */
    int64_t n;
} fake_job;

#define REAL     float
#define FN(name) name##_f32
#define HALF     12582912.0f /* 1.5 * 2^23 */
#include "ops/fake_quantize.inc"
#undef REAL
#undef FN
#undef HALF
#define REAL     double
#define FN(name) name##_f64
#define HALF     6755399441055744.0 /* 1.5 * 2^52 */
#include "ops/fake_quantize.inc"
#undef REAL
#undef FN
#undef HALF

/* ---- shapes ---------------------------------------------------------------
 */

/* Input `at` is a range in x's type. */
static oc_status want_range(oc__ctx *c, int at, const oc_tensor *x) {
    OC_TRY(oc__want(c, at, OC_T(F32) | OC_T(F64)));
    if (oc__in(c, at)->dtype != x->dtype || oc_tensor_elems(oc__in(c, at)) != 2)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the range is not two numbers of the input's type");
    return OC_OK;
}

static size_t parts_of(const oc_tensor *x) {
    return (size_t)OC_CEIL_DIV(oc_tensor_elems(x), GRAIN) + 1;
}

static oc_status infer_value(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F64)));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(want_range(c, 1, x));
    OC_TRY(oc__out_like(c, 0, x));
    if (oc__attr_int(c->node, "observe", 0))
        oc__scratch_need(c, parts_of(x) * 2 * sizeof(double));
    return c->n_out > 1 ? oc__out_like(c, 1, oc__in(c, 1)) : OC_OK;
}

static oc_status infer_weight(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F64)));
    const oc_tensor *w = oc__in(c, 0);
    int64_t axis = oc__attr_int(c->node, "axis", -1);
    if (axis < -1 || axis >= w->rank)
        return oc__op_fail(c, OC_E_SHAPE, "the weight has no axis %d",
                           (int)axis);
    return oc__out_like(c, 0, w);
}

static oc_status infer_grad(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F64)));
    OC_TRY(oc__want(c, 1, OC_T(F32) | OC_T(F64)));
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1);
    if (g->dtype != x->dtype || !oc__tensor_same_shape(g, x))
        return oc__op_fail(c, OC_E_SHAPE, "the gradient is not like the input");
    OC_TRY(want_range(c, 2, x));
    return oc__out_like(c, 0, g);
}

/* ---- runs -----------------------------------------------------------------
 */

static void each_range(void *user, int64_t begin, int64_t end, int worker) {
    const fake_job *j = user;
    (void)worker;
    if (j->kind == FAKE_GRAD && j->is_f64)
        pass_range_f64(j, begin, end);
    else if (j->kind == FAKE_GRAD)
        pass_range_f32(j, begin, end);
    else if (j->is_f64)
        round_range_f64(j, begin, end);
    else
        round_range_f32(j, begin, end);
}

static void limits_range(void *user, int64_t begin, int64_t end, int worker) {
    const fake_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = i * GRAIN, to = OC_MIN(from + GRAIN, j->n);
        double *at = j->limits + 2 * i;
        if (j->is_f64)
            limits_of_f64(j, from, to, at, at + 1);
        else
            limits_of_f32(j, from, to, at, at + 1);
    }
}

static void row_range(void *user, int64_t begin, int64_t end, int worker) {
    const fake_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        if (j->is_f64)
            row_f64(j, i);
        else
            row_f32(j, i);
}

/* Steps between the limits; f32 has no room for fractions of more. */
static double levels_of(const oc__ctx *c, int is_f64) {
    int64_t bits = oc__attr_int(c->node, "bits", 8);
    bits = OC_MIN(OC_MAX(bits, 2), is_f64 ? 48 : 20);
    return (double)(((int64_t)1 << bits) - 1);
}

/* The range once x was seen; sums have no part in it, so it is the same for
 * any number of threads. */
static void observe(oc__ctx *c, fake_job *j, double *range) {
    int64_t parts = OC_CEIL_DIV(j->n, GRAIN);
    double lo = 0, hi = 0,
           m = (double)oc__attr_float(c->node, "momentum", 0.99f);
    j->limits = c->scratch;
    oc__parallel(c, parts, 1, limits_range, j);
    for (int64_t i = 0; i < parts; i++) {
        lo = OC_MIN(lo, j->limits[2 * i]);
        hi = OC_MAX(hi, j->limits[2 * i + 1]);
    }
    int empty = !(range[1] > range[0]);
    /* What is no number would stay for good. */
    if (!isfinite(lo) || !isfinite(hi)) return;
    range[0] = empty ? lo : m * range[0] + (1 - m) * lo;
    range[1] = empty ? hi : m * range[1] + (1 - m) * hi;
}

static void set_codes(const oc__ctx *c, fake_job *j, const double *range) {
    double zero, levels = levels_of(c, j->is_f64);
    oc__code_of_range(OC_MIN(range[0], 0), OC_MAX(range[1], 0), levels,
                      &j->scale, &zero);
    if (!j->is_f64) j->scale = (double)(float)j->scale;
    j->lo = -zero;
    j->hi = levels - zero;
}

static oc_status run_each(oc__ctx *c) {
    int grad = c->op->kind == FAKE_GRAD;
    const oc_tensor *x = oc__in(c, grad), *r = oc__in(c, 1 + grad);
    oc_tensor *to = c->n_out > 1 ? oc__out(c, 1) : NULL;
    fake_job j = {.kind = c->op->kind,
                  .is_f64 = x->dtype == OC_DTYPE_F64,
                  .x = x->data,
                  .g = grad ? oc__in(c, 0)->data : NULL,
                  .y = oc__out(c, 0)->data,
                  .n = oc_tensor_elems(x)};
    double range[2] = {oc_tensor_get(r, 0), oc_tensor_get(r, 1)};
    if (!grad && oc__attr_int(c->node, "observe", 0)) observe(c, &j, range);
    for (int i = 0; i < 2 && !j.is_f64; i++)
        range[i] = (double)(float)range[i];
    for (int i = 0; i < 2 && to; i++)
        if (j.is_f64) {
            ((double *)to->data)[i] = range[i];
        } else {
            ((float *)to->data)[i] = (float)range[i];
        }
    set_codes(c, &j, range);
    oc__parallel(c, j.n, GRAIN, each_range, &j);
    return OC_OK;
}

static oc_status run_weight(oc__ctx *c) {
    const oc_tensor *w = oc__in(c, 0);
    int64_t axis = oc__attr_int(c->node, "axis", -1), n = oc_tensor_elems(w);
    fake_job j = {.is_f64 = w->dtype == OC_DTYPE_F64,
                  .x = w->data,
                  .y = oc__out(c, 0)->data,
                  .outer = 1,
                  .rows = 1,
                  .inner = n};
    j.spared = oc__attr_int(c->node, "spared", 0) != 0;
    if (!n) return OC_OK;
    j.hi = (double)(int64_t)(levels_of(c, j.is_f64) / 2);
    if (axis >= 0) {
        for (int i = 0; i < axis; i++)
            j.outer *= w->dims[i];
        j.rows = w->dims[axis];
        j.inner = n / j.outer / j.rows;
    }
    oc__parallel(c, j.rows, OC_MAX(1, GRAIN / OC_MAX(n / j.rows, 1)), row_range,
                 &j);
    return OC_OK;
}

const oc__op oc__ops_fake_quantize[] = {
    {"ocelli", "FakeQuantize", 1, 2, 2, 2, 0, FAKE_VALUE, infer_value, run_each,
     NULL},
    {"ocelli", "FakeQuantizeWeight", 1, 1, 1, 1, 0, FAKE_WEIGHT, infer_weight,
     run_weight, NULL},
    {"ocelli", "FakeQuantizeGrad", 1, 3, 3, 1, OC_OP_INPLACE, FAKE_GRAD,
     infer_grad, run_each, NULL},
    {0},
};
