/*
 * scatter.c - Scatter, ScatterElements, ScatterND, TensorScatter: updates
 * written into a copy of a tensor at places chosen by index.
 *
 * Updates are taken in order, so of two that meet the later wins and sums do
 * not depend on threads.  When output and data are the same memory (the plan
 * writes in place) the copy is left out.
 */
#include "ops/moves.h"

#include <math.h>
#include <string.h>

enum { ELEMENTS, ND }; /* oc__op.kind */

typedef enum reduction { NONE, ADD, MUL, MIN, MAX } reduction;

/* Reductions came with opset 16 (add, mul) and 18 (min, max). */
static oc_status read_reduction(const oc__ctx *c, reduction *r) {
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *s = oc__attr_string(c->node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (!strcmp(s, names[i])) {
            *r = (reduction)i;
            uint32_t no = OC_T(STRING) | OC_T(C64) | OC_T(C128);
            return i ? oc__want(c, 0, ~no) : OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "reduction is \"%s\"", s);
}

/* ---- combining -------------------------------------------------------------
 */

/* Integers wrap around as in numpy, so they are added as unsigned. */
#define COMBINE_INT(name, type, wide)                                          \
    static void name(reduction r, void *to, const void *from, int64_t n) {     \
        type *d = to;                                                          \
        const type *s = from;                                                  \
        for (int64_t i = 0; i < n; i++) {                                      \
            if (r == ADD)                                                      \
                d[i] = (type)((wide)d[i] + (wide)s[i]);                        \
            else if (r == MUL)                                                 \
                d[i] = (type)((wide)d[i] * (wide)s[i]);                        \
            else if (r == MIN)                                                 \
                d[i] = s[i] < d[i] ? s[i] : d[i];                              \
            else                                                               \
                d[i] = s[i] > d[i] ? s[i] : d[i];                              \
        }                                                                      \
    }

COMBINE_INT(combine_i8, int8_t, uint32_t)
COMBINE_INT(combine_u8, uint8_t, uint32_t)
COMBINE_INT(combine_i16, int16_t, uint32_t)
COMBINE_INT(combine_u16, uint16_t, uint32_t)
COMBINE_INT(combine_i32, int32_t, uint32_t)
COMBINE_INT(combine_u32, uint32_t, uint32_t)
COMBINE_INT(combine_i64, int64_t, uint64_t)
COMBINE_INT(combine_u64, uint64_t, uint64_t)

static double combine_one(reduction r, double d, double s) {
    if (r == ADD) return d + s;
    if (r == MUL) return d * s;
    if (isnan(d) || isnan(s)) return d + s; /* as numpy's minimum, maximum */
    return (r == MIN) == (s < d) ? s : d;
}

#define COMBINE_FLOAT(name, type)                                              \
    static void name(reduction r, void *to, const void *from, int64_t n) {     \
        type *d = to;                                                          \
        const type *s = from;                                                  \
        for (int64_t i = 0; i < n; i++)                                        \
            d[i] = (type)combine_one(r, d[i], s[i]);                           \
    }

COMBINE_FLOAT(combine_f32, float)
COMBINE_FLOAT(combine_f64, double)

/* The other types (f16, bf16, f8, i4, bool) go through double. */
static void combine_any(reduction r, oc_dtype dtype, void *to, const void *from,
                        int64_t n) {
    oc_tensor d = {dtype, 1, {n}, to}, s = {dtype, 1, {n}, (void *)from};
    for (int64_t i = 0; i < n; i++)
        oc__tensor_set_f64(&d, i,
                           combine_one(r, oc__tensor_get_f64(&d, i),
                                       oc__tensor_get_f64(&s, i)));
}

static void combine(reduction r, oc_dtype dtype, void *to, const void *from,
                    int64_t n) {
    switch (dtype) {
    case OC_DTYPE_F32: combine_f32(r, to, from, n); break;
    case OC_DTYPE_F64: combine_f64(r, to, from, n); break;
    case OC_DTYPE_I8: combine_i8(r, to, from, n); break;
    case OC_DTYPE_U8: combine_u8(r, to, from, n); break;
    case OC_DTYPE_I16: combine_i16(r, to, from, n); break;
    case OC_DTYPE_U16: combine_u16(r, to, from, n); break;
    case OC_DTYPE_I32: combine_i32(r, to, from, n); break;
    case OC_DTYPE_U32: combine_u32(r, to, from, n); break;
    case OC_DTYPE_I64: combine_i64(r, to, from, n); break;
    case OC_DTYPE_U64: combine_u64(r, to, from, n); break;
    default: combine_any(r, dtype, to, from, n); break;
    }
}

/* n elements to place `at` of y. */
static void put(const oc_tensor *y, reduction r, int64_t at, const char *from,
                int64_t n) {
    size_t bytes = oc_dtype_bytes(y->dtype);
    char *to = (char *)y->data + (size_t)at * bytes;
    if (r == NONE)
        memcpy(to, from, (size_t)n * bytes);
    else
        combine(r, y->dtype, to, from, n);
}

static void copy_data(oc__ctx *c, const oc_tensor *x, oc_tensor *y) {
    if (x->data != y->data)
        oc__move_copy(c, y->data, x->data, oc_tensor_bytes(x));
}

/* Index i of t, checked; negative ones count from the end. */
static oc_status index_read(const oc__ctx *c, const oc_tensor *t, int64_t i,
                            int64_t dim, int64_t *out) {
    int64_t v = oc__tensor_get_i64(t, i);
    if (v < -dim || v >= dim)
        return oc__op_fail(c, OC_E_ARG,
                           "index %lld is out of range for %lld elements",
                           (long long)v, (long long)dim);
    *out = v < 0 ? v + dim : v;
    return OC_OK;
}

/* ---- ScatterElements -------------------------------------------------------
 */

/* Indices and updates have one shape, which must not reach over the data's
   but along the axis. */
static oc_status elements_check(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1), *u = oc__in(c, 2);
    int axis;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    int fits = at->rank == x->rank && oc__tensor_same_shape(at, u);
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || at->dims[i] <= x->dims[i];
    if (fits) return OC_OK;
    char a[160], b[160];
    return oc__op_fail(c, OC_E_SHAPE, "indices %s do not fit data %s",
                       oc__tensor_describe(at, a, sizeof a),
                       oc__tensor_describe(x, b, sizeof b));
}

/* y[..., index, ...] = update: GatherElements backwards. */
static oc_status run_elements(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1), *u = oc__in(c, 2);
    oc_tensor *y = oc__out(c, 0);
    reduction r;
    int axis;
    int64_t xs[OC_MAX_RANK], n = oc_tensor_elems(at);
    size_t bytes = oc_dtype_bytes(x->dtype);
    OC_TRY(read_reduction(c, &r));
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    oc__strides(x->rank, x->dims, xs);
    copy_data(c, x, y);
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = k, to = 0, v = 0;
        OC_TRY(index_read(c, at, k, x->dims[axis], &v));
        for (int i = at->rank - 1; i >= 0; i--) {
            if (i != axis) to += rest % at->dims[i] * xs[i];
            rest /= at->dims[i];
        }
        put(y, r, to + v * xs[axis], (const char *)u->data + (size_t)k * bytes,
            1);
    }
    return OC_OK;
}

/* ---- ScatterND -------------------------------------------------------------
 */

/* updates: [indices' dims but the last][data's dims that are not named]. */
static oc_status nd_check(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1), *u = oc__in(c, 2);
    if (x->rank < 1 || at->rank < 1)
        return oc__op_fail(c, OC_E_SHAPE, "data and indices need a rank");
    int64_t depth = at->dims[at->rank - 1];
    int fits =
        depth <= x->rank && u->rank == at->rank - 1 + x->rank - (int)depth;
    for (int i = 0; fits && i < at->rank - 1; i++)
        fits = u->dims[i] == at->dims[i];
    for (int i = (int)depth; fits && i < x->rank; i++)
        fits = u->dims[at->rank - 1 + i - (int)depth] == x->dims[i];
    if (fits) return OC_OK;
    char a[160], b[160], d[160];
    return oc__op_fail(c, OC_E_SHAPE, "data %s, indices %s, updates %s",
                       oc__tensor_describe(x, a, sizeof a),
                       oc__tensor_describe(at, b, sizeof b),
                       oc__tensor_describe(u, d, sizeof d));
}

/* One run of elements for each tuple of indices: GatherND backwards. */
static oc_status run_nd(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *at = oc__in(c, 1), *u = oc__in(c, 2);
    oc_tensor *y = oc__out(c, 0);
    reduction r;
    int64_t xs[OC_MAX_RANK], depth = at->dims[at->rank - 1];
    int64_t n = oc__count(at->dims, at->rank - 1);
    int64_t run = oc__count(x->dims + depth, x->rank - (int)depth);
    size_t bytes = oc_dtype_bytes(x->dtype);
    OC_TRY(read_reduction(c, &r));
    oc__strides(x->rank, x->dims, xs);
    copy_data(c, x, y);
    for (int64_t k = 0; k < n; k++) {
        int64_t to = 0, v = 0;
        for (int64_t j = 0; j < depth; j++) {
            OC_TRY(index_read(c, at, k * depth + j, x->dims[j], &v));
            to += v * xs[j];
        }
        if (run)
            put(y, r, to, (const char *)u->data + (size_t)(k * run) * bytes,
                run);
    }
    return OC_OK;
}

static oc_status infer_scatter(oc__ctx *c) {
    reduction r;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    OC_TRY(oc__want(c, 2, 1u << oc__in(c, 0)->dtype));
    OC_TRY(read_reduction(c, &r));
    OC_TRY(c->op->kind == ND ? nd_check(c) : elements_check(c));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* ---- TensorScatter ---------------------------------------------------------
 */

/*
 * TensorScatter keeps the keys and values of attention:
 *
 *     cache [batch, ..., max, ...]   update [batch, ..., n, ...]  along axis
 *
 * Each batch has its own place to write at.
 */
static oc_status tensor_scatter_args(oc__ctx *c, int *axis, int *circular) {
    const oc_tensor *x = oc__in(c, 0), *u = oc__in(c, 1), *at = oc__in(c, 2);
    const char *mode = oc__attr_string(c->node, "mode", "linear");
    *circular = !strcmp(mode, "circular");
    if (!*circular && strcmp(mode, "linear"))
        return oc__op_fail(c, OC_E_ARG, "mode is \"%s\"", mode);
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", -2), x->rank, axis));
    int fits = *axis > 0 && u->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == *axis ? u->dims[i] <= x->dims[i] : u->dims[i] == x->dims[i];
    if (at && (at->rank != 1 || at->dims[0] != x->dims[0])) fits = 0;
    if (fits) return OC_OK;
    char a[160], b[160];
    return oc__op_fail(c, OC_E_SHAPE, "update %s into cache %s along axis %d",
                       oc__tensor_describe(u, a, sizeof a),
                       oc__tensor_describe(x, b, sizeof b), *axis);
}

static oc_status infer_tensor_scatter(oc__ctx *c) {
    int axis, circular;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, 1u << oc__in(c, 0)->dtype));
    if (oc__in_value(c, 2)) OC_TRY(oc__want(c, 2, OC_T(I32) | OC_T(I64)));
    OC_TRY(tensor_scatter_args(c, &axis, &circular));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* Rows of the inner dims; in a circular cache what passes the end goes on at
   the beginning. */
static oc_status run_tensor_scatter(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *u = oc__in(c, 1), *at = oc__in(c, 2);
    oc_tensor *y = oc__out(c, 0);
    int axis, circular;
    OC_TRY(tensor_scatter_args(c, &axis, &circular));
    int64_t per_batch = oc__count(x->dims + 1, axis - 1);
    int64_t inner = oc__count(x->dims + axis + 1, x->rank - axis - 1);
    int64_t max = x->dims[axis], n = u->dims[axis];
    size_t row = (size_t)inner * oc_dtype_bytes(x->dtype);
    copy_data(c, x, y);
    for (int64_t p = 0; p < x->dims[0] * per_batch; p++) {
        int64_t to = at ? oc__tensor_get_i64(at, p / per_batch) : 0;
        if (circular && max > 0) to = (to % max + max) % max;
        if (to < 0 || (!circular && to > max - n))
            return oc__op_fail(c, OC_E_ARG,
                               "%lld rows at index %lld of a cache of %lld",
                               (long long)n, (long long)to, (long long)max);
        int64_t first = OC_MIN(n, max - to); /* the rest wraps around */
        const char *src = (const char *)u->data + (size_t)(p * n) * row;
        char *dst = (char *)y->data + (size_t)(p * max) * row;
        memcpy(dst + (size_t)to * row, src, (size_t)first * row);
        memcpy(dst, src + (size_t)first * row, (size_t)(n - first) * row);
    }
    return OC_OK;
}

const oc__op oc__ops_scatter[] = {
    {"", "Scatter", 9, 3, 3, 1, OC_OP_INPLACE, ELEMENTS, infer_scatter,
     run_elements, NULL},
    {"", "ScatterElements", 11, 3, 3, 1, OC_OP_INPLACE, ELEMENTS, infer_scatter,
     run_elements, NULL},
    {"", "ScatterND", 11, 3, 3, 1, OC_OP_INPLACE, ND, infer_scatter, run_nd,
     NULL},
    {"", "TensorScatter", 24, 2, 3, 1, OC_OP_INPLACE, 0, infer_tensor_scatter,
     run_tensor_scatter, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
