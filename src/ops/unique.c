/*
 * unique.c - operators whose result is as long as the data say: NonZero,
 * Compress, Unique; and ReverseSequence.
 */
#include "base/sort.h"
#include "ops/moves.h"

#include <math.h>
#include <string.h>

/* ---- NonZero ---------------------------------------------------------------
 */

/* NaN is not zero, and neither is a string that is not empty. */
static int is_nonzero(const oc_tensor *x, int64_t i) {
    switch (x->dtype) {
    case OC_DTYPE_F32: return ((const float *)x->data)[i] != 0;
    case OC_DTYPE_BOOL:
    case OC_DTYPE_U8:
    case OC_DTYPE_I8: return ((const uint8_t *)x->data)[i] != 0;
    case OC_DTYPE_I64:
    case OC_DTYPE_U64: return ((const uint64_t *)x->data)[i] != 0;
    case OC_DTYPE_STRING: return ((const oc_string *)x->data)[i].bytes != 0;
    case OC_DTYPE_C64:
        return ((const float *)x->data)[2 * i] != 0 ||
               ((const float *)x->data)[2 * i + 1] != 0;
    case OC_DTYPE_C128:
        return ((const double *)x->data)[2 * i] != 0 ||
               ((const double *)x->data)[2 * i + 1] != 0;
    default: return oc__tensor_get_f64(x, i) != 0;
    }
}

static oc_status infer_any(oc__ctx *c) {
    return oc__want(c, 0, OC_T_ANY);
}

/* Two walks: the first counts, the second writes coordinates, one row a
   dim.  A scalar has no coordinates, only a count. */
static oc_status run_nonzero(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t n = oc_tensor_elems(x), found = 0, k = 0;
    oc_tensor *y;
    for (int64_t i = 0; i < n; i++)
        found += is_nonzero(x, i);
    int64_t dims[2] = {x->rank, found};
    OC_TRY(oc__out_alloc(c, 0, OC_DTYPE_I64, 2, dims, &y));
    int64_t *out = y->data;
    for (int64_t i = 0; i < n && k < found; i++) {
        if (!is_nonzero(x, i)) continue;
        int64_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            out[d * found + k] = rest % x->dims[d];
            rest /= x->dims[d];
        }
        k++;
    }
    return OC_OK;
}

/* ---- Compress --------------------------------------------------------------
 */

static oc_status infer_compress(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want(c, 1, OC_T(BOOL)));
    return oc__want_rank(c, 1, 1, 1);
}

/* The condition may be shorter than the axis; what it does not reach goes. */
static oc_status run_compress(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *cond = oc__in(c, 1);
    const uint8_t *keep = cond->data;
    int64_t dims[OC_MAX_RANK] = {oc_tensor_elems(x)};
    int rank = 1, axis = 0;
    if (oc__attr_find(c->node, "axis")) {
        OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
        rank = x->rank;
        memcpy(dims, x->dims, sizeof dims);
    }
    oc__axis_view v = oc__axis_split(dims, rank, axis);
    int64_t n = v.length, kept = 0;
    for (int64_t i = 0; i < OC_MIN(n, cond->dims[0]); i++)
        kept += keep[i] != 0;
    dims[axis] = kept;
    oc_tensor *y;
    OC_TRY(oc__out_alloc(c, 0, x->dtype, rank, dims, &y));
    size_t run = (size_t)v.inner * oc_dtype_bytes(x->dtype);
    const char *from = x->data;
    char *to = y->data;
    for (int64_t o = 0; o < v.outer; o++, from += (size_t)n * run)
        for (int64_t i = 0; i < OC_MIN(n, cond->dims[0]); i++) {
            if (!keep[i]) continue;
            memcpy(to, from + (size_t)i * run, run);
            to += run;
        }
    return OC_OK;
}

/* ---- Unique ----------------------------------------------------------------
 */

/* The items: n slices along an axis, each `width` elements, element j of
   item i at i * item + (j / inner) * outer + j % inner. */
typedef struct items {
    const oc_tensor *x;
    int64_t n, width, inner, item, outer;
} items;

static int compare_number(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b); /* NaN is last */
    return (a > b) - (a < b);
}

/* Order of elements i and j: strings by bytes, complex numbers by real part
   first. */
static int compare_element(const oc_tensor *x, int64_t i, int64_t j) {
    if (x->dtype == OC_DTYPE_STRING) {
        const oc_string *s = x->data;
        int r = memcmp(s[i].data, s[j].data, OC_MIN(s[i].bytes, s[j].bytes));
        return r ? r : (s[i].bytes > s[j].bytes) - (s[i].bytes < s[j].bytes);
    }
    if (x->dtype == OC_DTYPE_U64) {
        const uint64_t *v = x->data;
        return (v[i] > v[j]) - (v[i] < v[j]);
    }
    if (x->dtype == OC_DTYPE_C64 || x->dtype == OC_DTYPE_C128) {
        oc_tensor parts = {x->dtype == OC_DTYPE_C64 ? OC_DTYPE_F32
                                                    : OC_DTYPE_F64,
                           0,
                           {0},
                           x->data};
        int r = compare_number(oc__tensor_get_f64(&parts, 2 * i),
                               oc__tensor_get_f64(&parts, 2 * j));
        return r ? r
                 : compare_number(oc__tensor_get_f64(&parts, 2 * i + 1),
                                  oc__tensor_get_f64(&parts, 2 * j + 1));
    }
    if (oc__dtype_is_float(x->dtype))
        return compare_number(oc__tensor_get_f64(x, i),
                              oc__tensor_get_f64(x, j));
    int64_t a = oc__tensor_get_i64(x, i), b = oc__tensor_get_i64(x, j);
    return (a > b) - (a < b);
}

/* Items in the order of their first element that differs. */
static int compare_items(const void *ctx, int64_t a, int64_t b) {
    const items *s = ctx;
    for (int64_t j = 0; j < s->width; j++) {
        int64_t at = j / s->inner * s->outer + j % s->inner;
        int r = compare_element(s->x, a * s->item + at, b * s->item + at);
        if (r) return r;
    }
    return 0;
}

static int compare_first(const void *ctx, int64_t a, int64_t b) {
    const int64_t *first = ctx;
    return (first[a] > first[b]) - (first[a] < first[b]);
}

/* What the four outputs are made of; arrays of n. */
typedef struct groups {
    int64_t *order; /* items, sorted */
    int64_t *tmp;
    int64_t *group; /* of each item */
    int64_t *first; /* of each group: its first item */
    int64_t *count;
    int64_t *rank; /* of each group: its place in the output */
    int64_t n;     /* groups */
} groups;

/* Equal items become neighbours by sorting; each run of them is a group. */
static void find_groups(const items *s, int sorted, groups *g) {
    for (int64_t i = 0; i < s->n; i++)
        g->order[i] = i;
    oc__sort_index(g->order, g->tmp, (size_t)s->n, compare_items, s);
    g->n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        int64_t v = g->order[i];
        if (i == 0 || compare_items(s, g->order[i - 1], v)) {
            g->first[g->n] = v; /* the sort is stable */
            g->count[g->n++] = 0;
        }
        g->group[v] = g->n - 1;
        g->count[g->n - 1]++;
    }
    for (int64_t i = 0; i < g->n; i++)
        g->order[i] = i;
    if (!sorted)
        oc__sort_index(g->order, g->tmp, (size_t)g->n, compare_first, g->first);
    for (int64_t i = 0; i < g->n; i++)
        g->rank[g->order[i]] = i;
}

/* Y, first places, the group of every item, sizes of groups. */
static oc_status unique_outputs(oc__ctx *c, const items *s, const groups *g,
                                int rank, int64_t *dims, int axis) {
    oc_tensor *y, *at, *inverse, *count;
    size_t b = oc_dtype_bytes(s->x->dtype);
    dims[axis] = g->n;
    OC_TRY(oc__out_alloc(c, 0, s->x->dtype, rank, dims, &y));
    OC_TRY(oc__out_alloc(c, 1, OC_DTYPE_I64, 1, &g->n, &at));
    OC_TRY(oc__out_alloc(c, 2, OC_DTYPE_I64, 1, &s->n, &inverse));
    OC_TRY(oc__out_alloc(c, 3, OC_DTYPE_I64, 1, &g->n, &count));
    for (int64_t k = 0; k < g->n; k++) {
        int64_t item = g->first[g->order[k]];
        if (at) ((int64_t *)at->data)[k] = item;
        if (count) ((int64_t *)count->data)[k] = g->count[g->order[k]];
        for (int64_t j = 0; y && j < s->width; j += s->inner) {
            int64_t o = j / s->inner;
            memcpy((char *)y->data + (size_t)((o * g->n + k) * s->inner) * b,
                   (const char *)s->x->data +
                       (size_t)(item * s->item + o * s->outer) * b,
                   (size_t)s->inner * b);
        }
    }
    for (int64_t i = 0; inverse && i < s->n; i++)
        ((int64_t *)inverse->data)[i] = g->rank[g->group[i]];
    return OC_OK;
}

static oc_status run_unique(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t dims[OC_MAX_RANK] = {oc_tensor_elems(x)};
    int rank = 1, axis = 0;
    if (oc__attr_find(c->node, "axis")) {
        OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
        rank = x->rank;
        memcpy(dims, x->dims, sizeof dims);
    }
    oc__axis_view v = oc__axis_split(dims, rank, axis);
    items s = {.x = x, .n = v.length, .inner = v.inner};
    s.width = v.outer * v.inner;
    s.item = s.inner;
    s.outer = s.n * s.inner;
    if (s.inner == 0) { /* every slice is empty, and so all are one */
        s.width = 0;
        s.inner = 1;
    }
    size_t n = (size_t)s.n, total = 6 * n * sizeof(int64_t);
    int64_t *block = oc__calloc(c->allocator, 6 * n, sizeof(int64_t));
    if (!block) return oc__fail_nomem(c->err);
    groups g = {
        block,         block + n, block + 2 * n, block + 3 * n, block + 4 * n,
        block + 5 * n, 0};
    find_groups(&s, oc__attr_int(c->node, "sorted", 1) != 0, &g);
    oc_status st = unique_outputs(c, &s, &g, rank, dims, axis);
    oc__release(c->allocator, block, total);
    return st;
}

/* ---- ReverseSequence -------------------------------------------------------
 */

static oc_status infer_reverse(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    OC_TRY(oc__want(c, 1, OC_T(I64) | OC_T(I32)));
    const oc_tensor *x = oc__in(c, 0), *len = oc__in(c, 1);
    int64_t t = oc__attr_int(c->node, "time_axis", 0);
    int64_t b = oc__attr_int(c->node, "batch_axis", 1);
    if (t == b || t < 0 || t > 1 || b < 0 || b > 1)
        return oc__op_fail(c, OC_E_ARG, "time_axis %lld, batch_axis %lld",
                           (long long)t, (long long)b);
    if (len->rank != 1 || len->dims[0] != x->dims[b])
        return oc__op_fail(c, OC_E_SHAPE, "a length for each of %lld",
                           (long long)x->dims[b]);
    return oc__out_like(c, 0, x);
}

/* The first n steps of each sequence backwards, the others as they are. */
static oc_status run_reverse(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *len = oc__in(c, 1);
    oc_tensor *y = oc__out(c, 0);
    int64_t t = oc__attr_int(c->node, "time_axis", 0);
    int64_t inner = oc__count(x->dims + 2, x->rank - 2);
    int64_t steps = x->dims[t], batch = x->dims[1 - t];
    size_t run = (size_t)inner * oc_dtype_bytes(x->dtype);
    int64_t ts = t ? 1 : batch, bs = t ? steps : 1;
    for (int64_t b = 0; b < batch; b++) {
        int64_t n = oc__tensor_get_i64(len, b);
        if (n < 0 || n > steps)
            return oc__op_fail(c, OC_E_ARG, "sequence %lld has length %lld",
                               (long long)b, (long long)n);
        for (int64_t i = 0; i < steps; i++) {
            int64_t from = i < n ? n - 1 - i : i;
            memcpy((char *)y->data + (size_t)(b * bs + i * ts) * run,
                   (const char *)x->data + (size_t)(b * bs + from * ts) * run,
                   run);
        }
    }
    return OC_OK;
}

const oc__op oc__ops_unique[] = {
    {"", "NonZero", 9, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_any, run_nonzero, NULL},
    {"", "Compress", 9, 2, 2, 1, OC_OP_DYNAMIC, 0, infer_compress, run_compress,
     NULL},
    {"", "Unique", 11, 1, 1, 4, OC_OP_DYNAMIC, 0, infer_any, run_unique, NULL},
    {"", "ReverseSequence", 10, 2, 2, 1, 0, 0, infer_reverse, run_reverse,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
