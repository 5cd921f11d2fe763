/* slice.c - Slice: a box with steps out of a tensor. */
#include "ops/slice.h"

#include "ops/moves.h"

/* The four lists, from attributes (opset 1) or inputs (10 and later). */
typedef struct slice_lists {
    int64_t starts[OC_MAX_RANK], ends[OC_MAX_RANK];
    int64_t axes[OC_MAX_RANK], steps[OC_MAX_RANK];
    int n;
} slice_lists;

static oc_status slice_attr(oc__ctx *c, const char *name, int64_t *out,
                            int *count) {
    size_t n;
    const int64_t *v = oc__attr_ints(c->node, name, &n);
    if (n > OC_MAX_RANK) return oc__op_fail(c, OC_E_SHAPE, "%zu %s", n, name);
    for (size_t i = 0; i < n; i++)
        out[i] = v[i];
    *count = (int)n;
    return OC_OK;
}

/* Axes and steps may be left out: then they are 0, 1, 2 ... and 1. */
static oc_status slice_read(oc__ctx *c, slice_lists *s) {
    int ends = 0, axes = 0, steps = 0;
    if (c->node->version < 10) {
        OC_TRY(slice_attr(c, "starts", s->starts, &s->n));
        OC_TRY(slice_attr(c, "ends", s->ends, &ends));
        OC_TRY(slice_attr(c, "axes", s->axes, &axes));
    } else {
        OC_TRY(oc__in_ints(c, 1, s->starts, OC_MAX_RANK, &s->n));
        OC_TRY(oc__in_ints(c, 2, s->ends, OC_MAX_RANK, &ends));
        if (oc__in(c, 3))
            OC_TRY(oc__in_ints(c, 3, s->axes, OC_MAX_RANK, &axes));
        if (oc__in(c, 4))
            OC_TRY(oc__in_ints(c, 4, s->steps, OC_MAX_RANK, &steps));
    }
    if (ends != s->n || (axes && axes != s->n) || (steps && steps != s->n))
        return oc__op_fail(c, OC_E_SHAPE,
                           "%d starts, %d ends, %d axes, %d steps", s->n, ends,
                           axes, steps);
    for (int i = 0; i < s->n; i++) {
        if (!axes) s->axes[i] = i;
        if (!steps) s->steps[i] = 1;
    }
    return OC_OK;
}

/* One axis; INT64_MIN and _MAX stand for "to the end".  As numpy's rule, but
   a start before the first element is the first backwards, too. */
static void slice_clamp(int64_t dim, int64_t start, int64_t end, int64_t step,
                        int64_t *begin, int64_t *size) {
    int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? dim : dim - 1;
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    start = OC_MAX(0, OC_MIN(start, hi));
    end = OC_MAX(lo, OC_MIN(end, hi));
    *begin = start;
    if (dim == 0)
        *size = 0;
    else if (step > 0)
        *size = end > start ? (end - start - 1) / step + 1 : 0;
    else /* -(step + 1) + 1 is |step| without overflow at INT64_MIN */
        *size = start > end ? (int64_t)((uint64_t)(start - end - 1) /
                                        ((uint64_t)(-(step + 1)) + 1)) +
                                  1
                            : 0;
}

oc_status oc__slice_read(oc__ctx *c, oc__slice *out) {
    const oc_tensor *x = oc__in(c, 0);
    slice_lists s;
    unsigned seen = 0;
    OC_TRY(slice_read(c, &s));
    for (int i = 0; i < x->rank; i++) {
        out->begin[i] = 0;
        out->step[i] = 1;
        out->size[i] = x->dims[i];
    }
    for (int i = 0; i < s.n; i++) {
        int a;
        OC_TRY(oc__axis(c, s.axes[i], x->rank, &a));
        if (s.steps[i] == 0) return oc__op_fail(c, OC_E_ARG, "a step is 0");
        if (seen >> a & 1)
            return oc__op_fail(c, OC_E_ARG, "axis %d is named twice", a);
        seen |= 1u << a;
        slice_clamp(x->dims[a], s.starts[i], s.ends[i], s.steps[i],
                    &out->begin[a], &out->size[a]);
        /* A step over the whole axis never multiplies with a stride. */
        out->step[a] = out->size[a] > 1 ? s.steps[i] : 1;
    }
    return OC_OK;
}

static oc_status infer_slice(oc__ctx *c) {
    oc__slice s;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    for (int i = 1; i < c->n_in; i++)
        if (oc__in_value(c, i)) OC_NEED_DATA(c, i);
    OC_TRY(oc__slice_read(c, &s));
    const oc_tensor *x = oc__in(c, 0);
    return oc__out_set(c, 0, x->dtype, x->rank, s.size);
}

/* The source begins at the first element taken and walks with strides times
   steps, backwards for negative ones. */
static oc_status run_slice(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    oc__slice s;
    OC_TRY(oc__slice_read(c, &s));
    int64_t xs[OC_MAX_RANK], ys[OC_MAX_RANK], at = 0;
    size_t bytes = oc_dtype_bytes(x->dtype);
    oc__move m = {0};
    if (oc_tensor_elems(y) == 0) return OC_OK;
    oc__strides(x->rank, x->dims, xs);
    oc__strides(y->rank, y->dims, ys);
    for (int i = 0; i < x->rank; i++) {
        at += s.begin[i] * xs[i];
        oc__move_dim(&m, s.size[i], s.step[i] * xs[i], ys[i]);
    }
    oc__move_run(c, &m, bytes, (const char *)x->data + at * (int64_t)bytes,
                 y->data);
    return OC_OK;
}

const oc__op oc__ops_slice[] = {
    {"", "Slice", 1, 1, 5, 1, 0, 0, infer_slice, run_slice, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
