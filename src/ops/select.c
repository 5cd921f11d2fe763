/*
 * select.c - Where, which chooses between two operands, and Clip, which
 * chooses between an operand and its limits.
 */
#include "ops/lanes.h"
#include "ops/op.h"
#include "ops/walk.h"

#include <math.h>
#include <string.h>

/* ---- Where --------------------------------------------------------------- */

typedef struct where_job {
    oc__walk w;
    size_t size; /* bytes of an element */
    const uint8_t *condition;
    const char *x, *y;
    char *out;
} where_job;

static oc_status where_shape(const oc__ctx *c, int *rank, int64_t *dims) {
    oc_tensor xy = *oc__in(c, 1);
    OC_TRY(oc__broadcast(c, oc__in(c, 1), oc__in(c, 2), rank, dims));
    oc__tensor_set(&xy, xy.dtype, *rank, dims);
    return oc__broadcast(c, oc__in(c, 0), &xy, rank, dims);
}

static oc_status infer_where(oc__ctx *c) {
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T(BOOL)));
    OC_TRY(oc__want(c, 1, OC_T_ANY));
    OC_TRY(oc__want(c, 2, OC_T_ANY));
    oc_dtype dtype = oc__in(c, 1)->dtype;
    if (oc__in(c, 2)->dtype != dtype)
        return oc__op_fail(c, OC_E_ARG, "X is %s, Y is %s",
                           oc_dtype_name(dtype),
                           oc_dtype_name(oc__in(c, 2)->dtype));
    OC_TRY(where_shape(c, &rank, dims));
    return oc__out_set(c, 0, dtype, rank, dims);
}

/* Elements are moved, never looked at: one loop for each size will do. */
#define PICK(T)                                                                \
    do {                                                                       \
        const T *x = (const T *)j->x + p->offset[1];                           \
        const T *y = (const T *)j->y + p->offset[2];                           \
        T *out = (T *)j->out + p->at;                                          \
        for (int64_t i = 0; i < p->n; i++)                                     \
            out[i] = condition[i * sc] ? x[i * sx] : y[i * sy];                \
    } while (0)

typedef struct pair64 {
    uint64_t a, b;
} pair64;

static void where_run(const where_job *j, const oc__walk_pos *p) {
    const int64_t sc = j->w.step[0], sx = j->w.step[1], sy = j->w.step[2];
    const uint8_t *condition = j->condition + p->offset[0];
    switch (j->size) {
    case 1: PICK(uint8_t); break;
    case 2: PICK(uint16_t); break;
    case 4: PICK(uint32_t); break;
    case 8: PICK(uint64_t); break;
    default: PICK(pair64); break; /* strings and c128 */
    }
}

static void where_range(void *user, int64_t begin, int64_t end, int worker) {
    const where_job *j = user;
    oc__walk_pos p;
    (void)worker;
    for (oc__walk_seek(&j->w, begin, end, &p); p.n; oc__walk_next(&j->w, &p))
        where_run(j, &p);
}

static oc_status run_where(oc__ctx *c) {
    where_job j;
    const oc_tensor *out = oc__out(c, 0);
    j.size = oc_dtype_bytes(out->dtype);
    j.condition = oc__in(c, 0)->data;
    j.x = oc__in(c, 1)->data;
    j.y = oc__in(c, 2)->data;
    j.out = out->data;
    oc__walk_init(&j.w, out->rank, out->dims);
    for (int i = 0; i < 3; i++)
        oc__walk_add(&j.w, oc__in(c, i));
    oc__walk_merge(&j.w);
    oc__parallel(c, j.w.total, 16384, where_range, &j);
    return OC_OK;
}

/* ---- Clip ---------------------------------------------------------------- */

typedef union limit {
    float f32;
    double f64;
    int64_t i64;
    uint64_t u64;
} limit;

typedef struct clip_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    void *y;
    limit lo, hi;
} clip_job;

/* max(lo) first, min(hi) last: hi wins when the limits cross.  NaN stays,
   because no comparison with it is true. */
#define CLIP(T, field)                                                         \
    do {                                                                       \
        const T *u = x, lo = j->lo.field, hi = j->hi.field;                    \
        T *v = y;                                                              \
        for (int64_t k = 0; k < n; k++) {                                      \
            T t = u[k] < lo ? lo : u[k];                                       \
            v[k] = t > hi ? hi : t;                                            \
        }                                                                      \
    } while (0)

static void clip_range(void *user, int64_t begin, int64_t end, int worker) {
    const clip_job *j = user;
    oc__lanes in, out;
    (void)worker;
    if (j->dtype == OC_DTYPE_F32) {
        oc__act_args act = {OC_ACT_CLIP, j->lo.f32, j->hi.f32};
        j->kt->act_f32(act, (const float *)j->x + begin, (float *)j->y + begin,
                       (size_t)(end - begin));
        return;
    }
    for (int64_t i = begin; i < end; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, end - i);
        const void *x = oc__lanes_load(j->kt, j->dtype, j->x, i, n, &in);
        void *y = oc__lanes_target(j->dtype, j->y, i, &out);
        switch (oc__wide_of(j->dtype)) {
        case OC_WIDE_F32: CLIP(float, f32); break;
        case OC_WIDE_F64: CLIP(double, f64); break;
        case OC_WIDE_U64: CLIP(uint64_t, u64); break;
        default: CLIP(int64_t, i64); break;
        }
        oc__lanes_store(j->kt, j->dtype, j->y, i, n, y);
    }
}

static oc_status infer_clip(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 1; i < 3; i++) {
        const oc_tensor *t = oc__in(c, i);
        if (!t) continue;
        if (t->dtype != x->dtype || oc_tensor_elems(t) != 1)
            return oc__op_fail(c, OC_E_SHAPE,
                               "limit %d must be one number of type %s", i,
                               oc_dtype_name(x->dtype));
    }
    return oc__out_like(c, 0, x);
}

/* A limit that is not given does not limit: Inf stays Inf. */
static limit no_limit(oc_dtype dtype, int high) {
    limit l;
    switch (oc__wide_of(dtype)) {
    case OC_WIDE_F32: l.f32 = high ? INFINITY : -INFINITY; break;
    case OC_WIDE_F64: l.f64 = high ? INFINITY : -(double)INFINITY; break;
    case OC_WIDE_U64: l.u64 = high ? UINT64_MAX : 0; break;
    default: l.i64 = high ? INT64_MAX : INT64_MIN; break;
    }
    return l;
}

static limit read_limit(const oc__ctx *c, int i, oc_dtype dtype) {
    limit l = no_limit(dtype, i == 2);
    const oc_tensor *t = oc__in(c, i);
    /* Up to version 6 the limits were attributes, and types floats. */
    const oc__attr *a = oc__attr_find(c->node, i == 1 ? "min" : "max");
    if (t) {
        oc__lanes_widen(c->kernels, dtype, t->data, 0, 1, &l);
    } else if (a && a->type == OC_ATTR_FLOAT) {
        if (dtype == OC_DTYPE_F64)
            l.f64 = a->f;
        else if (oc__wide_of(dtype) == OC_WIDE_F32)
            l.f32 = a->f;
    }
    return l;
}

static oc_status run_clip(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    clip_job j;
    j.kt = c->kernels;
    j.dtype = x->dtype;
    j.x = x->data;
    j.y = oc__out(c, 0)->data;
    j.lo = read_limit(c, 1, x->dtype);
    j.hi = read_limit(c, 2, x->dtype);
    oc__parallel(c, oc_tensor_elems(x), 16384, clip_range, &j);
    return OC_OK;
}

static double flops_clip(const oc__ctx *c) {
    return (double)oc_tensor_elems(oc__in(c, 0));
}

const oc__op oc__ops_select[] = {
    {"", "Where", 9, 3, 3, 1, 0, 0, infer_where, run_where, NULL},
    {"", "Clip", 1, 1, 3, 1, OC_OP_INPLACE, 0, infer_clip, run_clip,
     flops_clip},
    {0},
};
