/*
 * attend_view.c - attention whose operands lie anywhere steps can say, as the
 * pass that fuses attention leaves it:
 *
 *   Attend  q, k, v, up to two masks to add -> y      all f32
 *     sizes    batch, heads, queries, keys, size, v_size
 *     q, k, v  offset, and the steps of batch, head, position, element
 *     dims     of y
 *     y        the steps of batch, head, position, element in it
 *     scale    of the scores
 */
#include "ops/attend.h"

#include <string.h>

static oc_status read_list(const oc__ctx *c, const char *name, size_t want,
                           const int64_t **list) {
    size_t n;
    *list = oc__attr_ints(c->node, name, &n);
    if (*list && n == want) return OC_OK;
    return oc__op_fail(c, OC_E_FORMAT, "attribute \"%s\" must have %zu numbers",
                       name, want);
}

/* Whether offset and steps over these dims stay below `elems`. */
static int inside(int64_t offset, const int64_t *step, const int64_t *dims,
                  int64_t elems) {
    size_t last = (size_t)offset, way;
    if (offset < 0) return 0;
    for (int i = 0; i < 4; i++) {
        if (step[i] < 0 ||
            oc__size_mul((size_t)step[i], (size_t)dims[i] - 1, &way) ||
            oc__size_add(last, way, &last))
            return 0;
    }
    return last < (size_t)elems;
}

static oc_status read_operand(const oc__ctx *c, int i, const char *name,
                              const int64_t *dims, oc__heads *h) {
    const int64_t *list;
    OC_TRY(oc__want(c, i, OC_T(F32)));
    OC_TRY(read_list(c, name, 5, &list));
    const oc_tensor *t = oc__in(c, i);
    if (!inside(list[0], list + 1, dims, oc_tensor_elems(t)))
        return oc__op_fail(c, OC_E_SHAPE, "\"%s\" reaches beyond its tensor",
                           name);
    h->data = t->data ? (const float *)t->data + list[0] : NULL;
    h->batch = list[1];
    h->head = list[2];
    h->position = list[3];
    h->element = list[4];
    return OC_OK;
}

static oc_status read_mask(const oc__ctx *c, int i, oc__attend *a) {
    const int64_t dims[4] = {a->batch, a->heads, a->queries, a->keys};
    const oc_tensor *t = oc__in(c, i);
    oc__attend_mask *m = &a->bias[i - 3];
    int64_t step = 1;
    if (!t) return OC_OK;
    OC_TRY(oc__want(c, i, OC_T(F32)));
    OC_TRY(oc__want_rank(c, i, 0, 4));
    for (int d = 3; d >= 0; d--) {
        int at = d - (4 - t->rank);
        int64_t n = at < 0 ? 1 : t->dims[at];
        if (n != 1 && n != dims[d])
            return oc__op_fail(c, OC_E_SHAPE,
                               "mask dimension %d is %lld, want %lld", at,
                               (long long)n, (long long)dims[d]);
        m->step[d] = n == 1 ? 0 : step;
        step *= n;
    }
    m->keys = a->keys;
    m->data = t->data;
    return OC_OK;
}

static oc_status read_attend(const oc__ctx *c, oc__attend *a, int *rank,
                             int64_t *y_dims) {
    const int64_t *sizes, *y;
    size_t count;
    int64_t elems = 1;
    memset(a, 0, sizeof(*a));
    OC_TRY(read_list(c, "sizes", 6, &sizes));
    OC_TRY(read_list(c, "y", 4, &y));
    const int64_t *dims = oc__attr_ints(c->node, "dims", &count);
    if (!dims || count > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_FORMAT, "attribute \"dims\" is missing");
    *rank = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (dims[i] < 1 || dims[i] > INT64_MAX / elems)
            return oc__op_fail(c, OC_E_FORMAT, "dims are not possible");
        elems *= y_dims[i] = dims[i];
    }
    for (int i = 0; i < 6; i++)
        if (sizes[i] < 1 || sizes[i] > INT32_MAX)
            return oc__op_fail(c, OC_E_FORMAT, "a size is %lld",
                               (long long)sizes[i]);
    a->real = OC_DTYPE_F32;
    a->batch = sizes[0];
    a->heads = a->kv_heads = sizes[1];
    a->queries = sizes[2];
    a->keys = sizes[3];
    a->size = sizes[4];
    a->v_size = sizes[5];
    a->scale = (double)oc__attr_float(c->node, "scale", 1);
    a->unseen_nan = 1;
    int64_t q[4] = {sizes[0], sizes[1], sizes[2], sizes[4]};
    int64_t k[4] = {sizes[0], sizes[1], sizes[3], sizes[4]};
    int64_t v[4] = {sizes[0], sizes[1], sizes[3], sizes[5]};
    int64_t out[4] = {sizes[0], sizes[1], sizes[2], sizes[5]};
    OC_TRY(read_operand(c, 0, "q", q, &a->q));
    OC_TRY(read_operand(c, 1, "k", k, &a->k));
    OC_TRY(read_operand(c, 2, "v", v, &a->v));
    if (!inside(0, y, out, elems))
        return oc__op_fail(c, OC_E_SHAPE, "\"y\" reaches beyond its tensor");
    a->y.batch = y[0];
    a->y.head = y[1];
    a->y.position = y[2];
    a->y.element = y[3];
    OC_TRY(read_mask(c, 3, a));
    return read_mask(c, 4, a);
}

static oc_status infer_attend(oc__ctx *c) {
    oc__attend a;
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(read_attend(c, &a, &rank, dims));
    oc__bump b = oc__bump_counter();
    oc__attend_plan(c, &b, &a);
    OC_TRY(oc__bump_need(c, &b));
    return oc__out_set(c, 0, OC_DTYPE_F32, rank, dims);
}

static oc_status run_attend(oc__ctx *c) {
    oc__attend a;
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(read_attend(c, &a, &rank, dims));
    oc__bump b = oc__bump_cutter(c);
    oc__attend_plan(c, &b, &a);
    a.y.data = oc__out(c, 0)->data;
    oc__attend_run(c, &a);
    return OC_OK;
}

static double flops_attend(const oc__ctx *c) {
    oc__attend a;
    int rank;
    int64_t dims[OC_MAX_RANK];
    if (read_attend(c, &a, &rank, dims) != OC_OK) return 0;
    return oc__attend_flops(&a);
}

const oc__op oc__ops_attend_view[] = {
    {"ocelli", "Attend", 1, 3, 5, 1, 0, 0, infer_attend, run_attend,
     flops_attend},
    {0},
};
