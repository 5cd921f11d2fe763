/*
 * grad_pool.c - gradients of poolings, in the domain "ocelli":
 *
 *   MaxPoolGrad, AveragePoolGrad              g, x
 *   LpPoolGrad                                g, x, y
 *   GlobalMaxPoolGrad, GlobalAveragePoolGrad  g, x
 *   GlobalLpPoolGrad                          g, x, y
 *
 * Attributes are the pooling's.  The global ones are poolings whose window is
 * the plane.  Planes are dealt out to threads; within one, windows give what
 * they have in order.
 */
#include "ops/nn.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

enum { POOL_MAX, POOL_AVERAGE, POOL_LP, GLOBAL = 4 };

typedef struct pool_job {
    oc__window w;
    int kind, include_pad;
    double p;
    int64_t planes;
    oc_dtype dtype, real;
    const void *g, *x, *y;
    void *dx;
    void *values; /* of a row of windows, a row a worker */
    int64_t *places;
} pool_job;

/* y = (sum |x|^p)^(1/p) has the derivative y^(1-p) |x|^(p-1) sign x, of which
 * these are the two parts; 0 where y is. */
static double lp_factor_f64(double y, double p) {
    return y == 0 ? 0 : p == 1 ? 1 : p == 2 ? 1 / y : pow(y, 1 - p);
}

static double lp_slope_f64(double x, double p) {
    double v = p == 1 ? 1 : p == 2 ? fabs(x) : pow(fabs(x), p - 1);
    return x > 0 ? v : x < 0 ? -v : 0;
}

static float lp_factor_f32(float y, double p) {
    return (float)lp_factor_f64((double)y, p);
}

static float lp_slope_f32(float x, double p) {
    return (float)lp_slope_f64((double)x, p);
}

#define REAL     float
#define FN(name) name##_f32
#include "ops/grad_pool.inc"
#undef REAL
#undef FN
#define REAL     double
#define FN(name) name##_f64
#include "ops/grad_pool.inc"
#undef REAL
#undef FN

/* The whole plane as one window. */
static void read_global(const oc_tensor *x, oc__window *w) {
    memset(w, 0, sizeof(*w));
    w->rank = 1;
    w->in[0] = w->kernel[0] = oc__count(x->dims + 2, x->rank - 2);
    w->out[0] = w->stride[0] = w->dilation[0] = 1;
}

static oc_status read_pool(const oc__ctx *c, pool_job *j) {
    int global = c->op->kind >= GLOBAL;
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    OC_TRY(oc__want_rank(c, 1, global ? 2 : 3, OC_MAX_RANK));
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1), *y = oc__in(c, 2);
    int ceil = oc__attr_int(c->node, "ceil_mode", 0) != 0;
    j->kind = c->op->kind % GLOBAL;
    if (global) {
        read_global(x, &j->w);
    } else {
        OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, NULL, &j->w));
        OC_TRY(oc__window_fit(c, ceil, &j->w));
    }
    j->planes = x->dims[0] * x->dims[1];
    if (oc_tensor_elems(g) != j->planes * oc__count(j->w.out, j->w.rank))
        return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
    if (j->kind == POOL_LP) {
        OC_TRY(oc__want(c, 2, 1u << g->dtype));
        if (!oc__tensor_same_shape(g, y))
            return oc__op_fail(c, OC_E_SHAPE, "g has not the shape of y");
    }
    j->include_pad = oc__attr_int(c->node, "count_include_pad", 0) != 0;
    const oc__attr *p = oc__attr_find(c->node, "p");
    j->p = !p ? 2 : p->type == OC_ATTR_FLOAT ? p->f : (double)p->i;
    j->dtype = x->dtype;
    j->real = oc__real_of(x->dtype);
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, pool_job *j) {
    j->g = oc__real_in(c, b, 0, j->real);
    j->x = oc__real_in(c, b, 1, j->real);
    j->y = j->kind == POOL_LP ? oc__real_in(c, b, 2, j->real) : NULL;
    j->dx =
        oc__real_out(c, b, 0, j->dtype, oc_tensor_elems(oc__in(c, 1)), j->real);
}

static void layout_rows(const oc__ctx *c, oc__bump *b, pool_job *j) {
    int64_t n = j->w.out[j->w.rank - 1] * OC_MAX(c->threads, 1);
    j->values = oc__bump_take(b, n, oc_dtype_bytes(j->real));
    j->places = oc__bump_take(b, n, sizeof(*j->places));
}

static oc_status infer_pool(oc__ctx *c) {
    pool_job j;
    OC_TRY(read_pool(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 1)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    layout_rows(c, &b, &j);
    return oc__bump_need(c, &b);
}

static oc_status run_pool(oc__ctx *c) {
    pool_job j;
    OC_TRY(read_pool(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    layout_rows(c, &b, &j);
    if (oc_tensor_elems(oc__in(c, 1)) == 0) return OC_OK;
    if (oc_tensor_elems(oc__in(c, 0)) == 0)
        memset(j.dx, 0,
               (size_t)oc_tensor_elems(oc__in(c, 1)) * oc_dtype_bytes(j.real));
    else
        oc__parallel(c, j.planes, 1,
                     j.real == OC_DTYPE_F64 ? pool_range_f64 : pool_range_f32,
                     &j);
    oc__real_done(c, 0, j.dx, j.real);
    return OC_OK;
}

#define POOL(name, kind, inputs)                                               \
    {                                                                          \
        "ocelli", name, 1, inputs, inputs, 1, 0, kind, infer_pool, run_pool,   \
            NULL                                                               \
    }

const oc__op oc__ops_grad_pool[] = {
    POOL("MaxPoolGrad", POOL_MAX, 2),
    POOL("AveragePoolGrad", POOL_AVERAGE, 2),
    POOL("LpPoolGrad", POOL_LP, 3),
    POOL("GlobalMaxPoolGrad", GLOBAL + POOL_MAX, 2),
    POOL("GlobalAveragePoolGrad", GLOBAL + POOL_AVERAGE, 2),
    POOL("GlobalLpPoolGrad", GLOBAL + POOL_LP, 3),
    {0},
};
