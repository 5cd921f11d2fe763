/* stack.c - see stack.h. */
#include "ops/stack.h"

#include "ops/moves.h"

#include <string.h>

/* Grows by doubling; values move as they are, without counting. */
oc_status oc__value_list_push(oc__ctx *c, oc__value_list *list, oc_value *v) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        oc_value *items = oc__calloc(c->allocator, capacity, sizeof(oc_value));
        if (!items) return oc__fail_nomem(c->err);
        if (list->n) memcpy(items, list->items, list->n * sizeof(oc_value));
        oc__release(c->allocator, list->items,
                    list->capacity * sizeof(oc_value));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = *v;
    memset(v, 0, sizeof *v);
    return OC_OK;
}

void oc__value_list_clear(oc__ctx *c, oc__value_list *list) {
    for (size_t i = 0; i < list->n; i++)
        oc__value_clear(&list->items[i]);
    oc__release(c->allocator, list->items, list->capacity * sizeof(oc_value));
    memset(list, 0, sizeof *list);
}

/* The shape of the result, when the items agree. */
static oc_status join_shape(oc__ctx *c, const oc_value *items, size_t n,
                            size_t step, int64_t axis, int fresh, int *at,
                            oc_tensor *out) {
    const oc_tensor *x = &items[0].t;
    for (size_t i = 0; i < n; i++)
        if (items[i * step].kind != OC_KIND_TENSOR)
            return oc__op_fail(c, OC_E_ARG, "item %zu is no tensor", i);
    OC_TRY(oc__axis(c, axis, x->rank + fresh, at));
    if (x->rank + fresh > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "rank %d is over %d", x->rank + fresh,
                           OC_MAX_RANK);
    oc__tensor_set(out, x->dtype, x->rank, x->dims);
    for (size_t i = 1; i < n; i++) {
        const oc_tensor *t = &items[i * step].t;
        int fits = t->dtype == x->dtype && t->rank == x->rank;
        for (int d = 0; fits && d < x->rank; d++)
            fits = t->dims[d] == x->dims[d] || (!fresh && d == *at);
        if (!fits) {
            char a[160], b[160];
            return oc__op_fail(c, OC_E_SHAPE, "items %s and %s differ",
                               oc__tensor_describe(x, a, sizeof a),
                               oc__tensor_describe(t, b, sizeof b));
        }
        if (!fresh) out->dims[*at] += t->dims[*at];
    }
    if (fresh) {
        for (int d = x->rank; d > *at; d--)
            out->dims[d] = out->dims[d - 1];
        out->dims[*at] = (int64_t)n;
        out->rank++;
    }
    return OC_OK;
}

/* Like Concat: every item is `outer` runs within the whole's pitch. */
oc_status oc__value_join(oc__ctx *c, oc_value *v, const oc_value *items,
                         size_t n, size_t step, int64_t axis, int fresh,
                         int reverse) {
    oc_tensor shape = {0};
    oc_value y = {0};
    int at;
    OC_TRY(join_shape(c, items, n, step, axis, fresh, &at, &shape));
    OC_TRY(oc__value_alloc_tensor(&y, c->allocator, shape.dtype, shape.rank,
                                  shape.dims, c->err));
    oc__axis_view s = oc__axis_split(shape.dims, shape.rank, at);
    int64_t done = 0;
    size_t bytes = oc_dtype_bytes(shape.dtype);
    for (size_t i = 0; i < n; i++) {
        const oc_tensor *t = &items[(reverse ? n - 1 - i : i) * step].t;
        int64_t run = s.inner * (fresh ? 1 : t->dims[at]);
        oc__move m = {0};
        oc__move_dim(&m, s.outer, run, s.length * s.inner);
        oc__move_dim(&m, run, 1, 1);
        oc__move_run(c, &m, bytes, t->data,
                     (char *)y.t.data + (size_t)done * bytes);
        done += run;
    }
    oc_status st = OC_OK;
    if (shape.dtype == OC_DTYPE_STRING)
        st = oc__value_own_strings(&y, c->allocator, c->err);
    if (st == OC_OK) {
        oc__value_clear(v);
        *v = y;
    } else {
        oc__value_clear(&y);
    }
    return st;
}
