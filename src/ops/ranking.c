/*
 * ranking.c - ArgMax, ArgMin and TopK: where the largest elements stand.
 *
 * All see the input as (outer, length, inner) and search along `length`.
 * Elements are compared as 64-bit keys that order like the numbers do, so
 * that one comparison serves every type:
 *
 *     integers   the sign bit flipped
 *     floats     all bits of a negative, the sign bit of others flipped;
 *                -0 as +0
 *     smallest   all bits of the key flipped
 *     NaN        as numpy has it: for ArgMax and ArgMin before all numbers,
 *                for TopK the largest
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum rank_kind { K_ARGMAX, K_ARGMIN };

enum {
    SHORT_ROW = 64, /* rows up to here are turned into columns */
    TURN_ROWS = 64, /* so many at once */
};

#define SIGN_BIT (UINT64_C(1) << 63)

static uint64_t key_f64(double v) {
    uint64_t u;
    v += 0.0; /* -0 + 0 = +0 */
    memcpy(&u, &v, sizeof(u));
    return u & SIGN_BIT ? ~u : u | SIGN_BIT;
}

/* Keys of elements first .. first + n - 1, n <= OC_LANES. */
static void make_keys(const oc__kernels *kt, oc_dtype dtype, const void *data,
                      int64_t first, int64_t n, uint64_t flip, uint64_t nan,
                      uint64_t *keys) {
    oc__lanes buffer;
    const void *x = oc__lanes_load(kt, dtype, data, first, n, &buffer);
    switch (oc__wide_of(dtype)) {
    case OC_WIDE_F32:
        for (int64_t i = 0; i < n; i++) {
            float v = ((const float *)x)[i];
            keys[i] = isnan(v) ? nan : key_f64(v) ^ flip;
        }
        break;
    case OC_WIDE_F64:
        for (int64_t i = 0; i < n; i++) {
            double v = ((const double *)x)[i];
            keys[i] = isnan(v) ? nan : key_f64(v) ^ flip;
        }
        break;
    case OC_WIDE_U64:
        for (int64_t i = 0; i < n; i++)
            keys[i] = ((const uint64_t *)x)[i] ^ flip;
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            keys[i] = ((const uint64_t *)x)[i] ^ SIGN_BIT ^ flip;
        break;
    }
}

/* ---- ArgMax, ArgMin ------------------------------------------------------ */

typedef struct arg_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    int64_t *y;
    int64_t length, inner, blocks;
    int last; /* of equal ones the last */
    int min;
} arg_job;

static oc_status infer_arg(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U));
    const oc_tensor *x = oc__in(c, 0);
    int axis = 0, rank = 0;
    int64_t dims[OC_MAX_RANK];
    if (x->rank)
        OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    if (x->rank && x->dims[axis] == 0 && oc_tensor_elems(x) == 0) {
        int64_t others = 1;
        for (int i = 0; i < x->rank; i++)
            if (i != axis) others *= x->dims[i];
        if (others) return oc__op_fail(c, OC_E_SHAPE, "axis %d is empty", axis);
    }
    int keep = oc__attr_int(c->node, "keepdims", 1) != 0;
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    return oc__out_set(c, 0, OC_DTYPE_I64, rank, dims);
}

/*
 * A strip of f32 columns, `pitch` apart down the axis: no keys, one plain
 * comparison for each element, and no branch, so that it is vectorised.
 * 1 when there is a NaN, which comparisons do not order; y is then garbage.
 */
static int arg_columns_f32(const arg_job *j, const float *x, int64_t pitch,
                           int64_t n, int64_t *y) {
    float best[OC_LANES];
    int32_t at[OC_LANES];
    int nan = 0;
    for (int64_t i = 0; i < n; i++) {
        best[i] = x[i];
        at[i] = 0;
        nan |= x[i] != x[i];
    }
    for (int32_t a = 1; a < (int32_t)j->length; a++) {
        const float *row = x + a * pitch;
        const int last = j->last;
        if (j->min)
            for (int64_t i = 0; i < n; i++) {
                int better = (row[i] < best[i]) | (last & (row[i] == best[i]));
                at[i] = better ? a : at[i];
                best[i] = better ? row[i] : best[i];
            }
        else
            for (int64_t i = 0; i < n; i++) {
                int better = (row[i] > best[i]) | (last & (row[i] == best[i]));
                at[i] = better ? a : at[i];
                best[i] = better ? row[i] : best[i];
            }
        for (int64_t i = 0; i < n; i++)
            nan |= row[i] != row[i];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = at[i];
    return nan;
}

/* A contiguous row: the extreme by a kernel, then where it first stands.  -1
   when it stands nowhere, being NaN. */
static int64_t arg_row_f32(const arg_job *j, const float *x) {
    float best = j->kt->reduce_f32(j->min ? OC_REDUCE_MIN : OC_REDUCE_MAX, x,
                                   (size_t)j->length);
    for (int64_t k = 0; k < j->length; k++) {
        int64_t i = j->last ? j->length - 1 - k : k;
        if (x[i] == best) return i;
    }
    return -1;
}

/* A strip of neighbouring columns: each element is read once, in order. */
static void arg_strip(const arg_job *j, int64_t first, int64_t n, int64_t *y) {
    uint64_t best[OC_LANES], keys[OC_LANES];
    uint64_t flip = j->min ? UINT64_MAX : 0;
    make_keys(j->kt, j->dtype, j->x, first, n, flip, UINT64_MAX, best);
    for (int64_t i = 0; i < n; i++)
        y[i] = 0;
    for (int64_t a = 1; a < j->length; a++) {
        make_keys(j->kt, j->dtype, j->x, first + a * j->inner, n, flip,
                  UINT64_MAX, keys);
        for (int64_t i = 0; i < n; i++) {
            if (keys[i] > best[i] || (j->last && keys[i] == best[i])) {
                best[i] = keys[i];
                y[i] = a;
            }
        }
    }
}

/* Short rows are turned into columns, a block of them at a time. */
static void arg_turned(const arg_job *j, int64_t begin, int64_t end) {
    float t[TURN_ROWS * SHORT_ROW];
    const float *x = j->x;
    for (int64_t r = begin; r < end; r += TURN_ROWS) {
        int64_t n = OC_MIN(TURN_ROWS, end - r);
        j->kt->transpose_b4(x + r * j->length, (size_t)j->length, t, TURN_ROWS,
                            (size_t)n, (size_t)j->length);
        if (!arg_columns_f32(j, t, TURN_ROWS, n, j->y + r)) continue;
        for (int64_t i = r; i < r + n; i++)
            arg_strip(j, i * j->length, 1, j->y + i);
    }
}

static void arg_range(void *user, int64_t begin, int64_t end, int worker) {
    const arg_job *j = user;
    int f32 = j->dtype == OC_DTYPE_F32 && j->length <= INT32_MAX;
    (void)worker;
    if (f32 && j->inner == 1 && j->length <= SHORT_ROW) {
        arg_turned(j, begin, end);
        return;
    }
    for (int64_t item = begin; item < end; item++) {
        int64_t o = item / j->blocks, i = item % j->blocks * OC_LANES;
        int64_t first = o * j->length * j->inner + i, row = -1;
        int64_t n = OC_MIN(OC_LANES, j->inner - i);
        int64_t *y = j->y + o * j->inner + i;
        const float *x = (const float *)j->x + (f32 ? first : 0);
        if (f32 && j->inner == 1) {
            row = arg_row_f32(j, x);
            if (row >= 0) *y = row;
        } else if (f32) {
            row = -arg_columns_f32(j, x, j->inner, n, y);
        }
        if (row < 0) arg_strip(j, first, n, y);
    }
}

static oc_status run_arg(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int axis = 0;
    arg_job j;
    if (x->rank)
        OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    j.kt = c->kernels;
    j.dtype = x->dtype;
    j.x = x->data;
    j.y = oc__out(c, 0)->data;
    j.last = oc__attr_int(c->node, "select_last_index", 0) != 0;
    j.min = c->op->kind == K_ARGMIN;
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    j.length = v.length;
    j.inner = v.inner;
    if (!v.outer || !j.inner) return OC_OK;
    j.blocks = (j.inner + OC_LANES - 1) / OC_LANES;
    int64_t work = j.length * OC_MIN(j.inner, OC_LANES);
    oc__parallel(c, v.outer * j.blocks, 16384 / (work + 1) + 1, arg_range, &j);
    return OC_OK;
}

/* ---- TopK ---------------------------------------------------------------- */

typedef struct topk_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    void *values;     /* NULL: not wanted */
    int64_t *indices; /* NULL: not wanted */
    int64_t length, inner, k;
    uint64_t flip;
    char *scratch;
    size_t scratch_each;
} topk_job;

static size_t topk_scratch(int64_t length, int64_t k) {
    return oc__align_up(((size_t)length + (size_t)k) * 8, OC_ALIGN);
}

static oc_status topk_read(const oc__ctx *c, int *axis, int64_t *k) {
    const oc_tensor *x = oc__in(c, 0);
    int count = 1;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", -1), x->rank, axis));
    if (c->node->version < 10)
        *k = oc__attr_int(c->node, "k", -1);
    else
        OC_TRY(oc__in_ints(c, 1, k, 1, &count));
    if (count != 1 || *k < 0 || *k > x->dims[*axis])
        return oc__op_fail(c, OC_E_SHAPE, "k is %lld, axis %d has %lld",
                           (long long)(count == 1 ? *k : 0), *axis,
                           (long long)x->dims[*axis]);
    return OC_OK;
}

static oc_status infer_topk(oc__ctx *c) {
    int axis;
    int64_t k, dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U));
    if (c->node->version >= 10) {
        OC_TRY(oc__want(c, 1, OC_T(I64) | OC_T(I32)));
        OC_NEED_DATA(c, 1);
    }
    OC_TRY(topk_read(c, &axis, &k));
    const oc_tensor *x = oc__in(c, 0);
    memcpy(dims, x->dims, sizeof(dims));
    dims[axis] = k;
    oc__scratch_need(c, topk_scratch(x->dims[axis], k) * (size_t)c->threads);
    OC_TRY(oc__out_set(c, 0, x->dtype, x->rank, dims));
    return oc__out_set(c, 1, OC_DTYPE_I64, x->rank, dims);
}

/* Whether element a comes before element b in the result. */
static int before(const uint64_t *keys, int64_t a, int64_t b) {
    return keys[a] > keys[b] || (keys[a] == keys[b] && a < b);
}

/* Restores the heap below `at`: the parent comes after its children, so the
   root is the one to drop first. */
static void sift(const uint64_t *keys, int64_t *heap, int64_t n, int64_t at) {
    int64_t v = heap[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && before(keys, heap[child], heap[child + 1]))
            child++;
        if (!before(keys, v, heap[child])) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = v;
}

/* The k first of n keys, in order, into heap. */
static void select_top(const uint64_t *keys, int64_t n, int64_t *heap,
                       int64_t k) {
    for (int64_t i = 0; i < k; i++)
        heap[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift(keys, heap, k, i);
    for (int64_t i = k; i < n; i++) {
        if (!before(keys, i, heap[0])) continue;
        heap[0] = i;
        sift(keys, heap, k, 0);
    }
    for (int64_t i = k - 1; i > 0; i--) { /* heap sort */
        int64_t t = heap[0];
        heap[0] = heap[i];
        heap[i] = t;
        sift(keys, heap, i, 0);
    }
}

static void topk_range(void *user, int64_t begin, int64_t end, int worker) {
    const topk_job *j = user;
    uint64_t *keys =
        (uint64_t *)(j->scratch + (size_t)worker * j->scratch_each);
    int64_t *heap = (int64_t *)keys + j->length;
    size_t size = oc_dtype_bytes(j->dtype);
    for (int64_t s = begin; s < end; s++) {
        int64_t o = s / j->inner, i = s % j->inner;
        int64_t from = o * j->length * j->inner + i;
        int64_t to = o * j->k * j->inner + i;
        int64_t step = j->inner == 1 ? OC_LANES : 1;
        for (int64_t a = 0; a < j->length; a += step)
            make_keys(j->kt, j->dtype, j->x, from + a * j->inner,
                      OC_MIN(step, j->length - a), j->flip, ~j->flip, keys + a);
        if (j->k) select_top(keys, j->length, heap, j->k);
        for (int64_t a = 0; a < j->k; a++) {
            int64_t at = to + a * j->inner;
            if (j->indices) j->indices[at] = heap[a];
            if (j->values)
                memcpy((char *)j->values + (size_t)at * size,
                       (const char *)j->x +
                           (size_t)(from + heap[a] * j->inner) * size,
                       size);
        }
    }
}

static oc_status run_topk(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *values = oc__out(c, 0), *indices = oc__out(c, 1);
    int axis;
    topk_job j;
    OC_TRY(topk_read(c, &axis, &j.k));
    if (!j.k) return OC_OK; /* for however many lines */
    j.kt = c->kernels;
    j.dtype = x->dtype;
    j.x = x->data;
    j.values = values ? values->data : NULL;
    j.indices = indices ? indices->data : NULL;
    j.flip = oc__attr_int(c->node, "largest", 1) ? 0 : UINT64_MAX;
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    j.length = v.length;
    j.inner = v.inner;
    j.scratch = c->scratch;
    j.scratch_each = topk_scratch(j.length, j.k);
    oc__parallel(c, v.outer * j.inner, 8192 / (j.length + 1) + 1, topk_range,
                 &j);
    return OC_OK;
}

const oc__op oc__ops_ranking[] = {
    {"", "ArgMax", 1, 1, 1, 1, 0, K_ARGMAX, infer_arg, run_arg, NULL},
    {"", "ArgMin", 1, 1, 1, 1, 0, K_ARGMIN, infer_arg, run_arg, NULL},
    {"", "TopK", 1, 1, 2, 2, 0, 0, infer_topk, run_topk, NULL},
    {0},
};
