/* op.c - finding operators and the helpers they share; see op.h. */
#include "ops/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the table
 * ---------------------------------------------------------------- */

static const oc__op *const families[] = {
#define OC_OP_FAMILY(name) oc__ops_##name,
#include "ops/families.def"
#undef OC_OP_FAMILY
    NULL,
};

const oc__op *oc__op_find(const char *domain, const char *name) {
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    for (size_t f = 0; families[f]; f++)
        for (const oc__op *op = families[f]; op->name; op++)
            if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0)
                return op;
    return NULL;
}

void oc_operator_each(oc_operator_visit visit, void *user) {
    for (size_t f = 0; families[f]; f++)
        for (const oc__op *op = families[f]; op->name; op++)
            visit(user, op->domain, op->name, op->since);
}

oc_status oc__op_require(const oc__op **out, const char *domain,
                         const char *name, int version, const char *node_name,
                         oc_error *err) {
    const oc__op *op = oc__op_find(domain, name);
    const char *shown = *domain ? domain : "ai.onnx";
    if (op && version >= op->since) {
        *out = op;
        return OC_OK;
    }
    oc__error_node(err, node_name);
    if (op)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "node \"%s\": operator %s of domain %s exists from "
                        "opset %d on, the model asks for %d",
                        node_name, name, shown, op->since, version);
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "node \"%s\": operator %s of domain %s (opset %d) is not "
                    "supported",
                    node_name, name, shown, version);
}

/* ---- inputs and outputs
 * ------------------------------------------------------- */

const oc_value *oc__in_value(const oc__ctx *c, int i) {
    return i < c->n_in ? c->in[i] : NULL;
}

const oc_tensor *oc__in(const oc__ctx *c, int i) {
    const oc_value *v = oc__in_value(c, i);
    return v && v->kind == OC_KIND_TENSOR ? &v->t : NULL;
}

int oc__in_known(const oc__ctx *c, int i) {
    const oc_value *v = oc__in_value(c, i);
    if (!v || !c->inferring) return 1;
    if (v->kind != OC_KIND_TENSOR) return 0;
    return v->t.data != NULL;
}

oc_status oc__in_ints(const oc__ctx *c, int i, int64_t *out, int max,
                      int *count) {
    const oc_tensor *t = oc__in(c, i);
    if (!t || t->rank > 1 ||
        (t->dtype != OC_DTYPE_I64 && t->dtype != OC_DTYPE_I32))
        return oc__op_fail(c, OC_E_SHAPE,
                           "input %d must be a list of int32 or int64", i);
    int64_t n = oc_tensor_elems(t);
    if (n > max)
        return oc__op_fail(c, OC_E_SHAPE,
                           "input %d has %lld elements, at most %d fit here", i,
                           (long long)n, max);
    for (int64_t j = 0; j < n; j++)
        out[j] = oc__tensor_get_i64(t, j);
    *count = (int)n;
    return OC_OK;
}

oc_status oc__in_scalar(const oc__ctx *c, int i, double *out) {
    const oc_tensor *t = oc__in(c, i);
    if (!t || oc_tensor_elems(t) != 1 || t->dtype == OC_DTYPE_STRING)
        return oc__op_fail(c, OC_E_SHAPE, "input %d must hold one number", i);
    *out = oc__tensor_get_f64(t, 0);
    return OC_OK;
}

oc_status oc__axis(const oc__ctx *c, int64_t axis, int rank, int *out) {
    if (axis < -(int64_t)rank || axis >= rank)
        return oc__op_fail(c, OC_E_SHAPE,
                           "axis %lld does not exist in a tensor of rank %d",
                           (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OC_OK;
}

int64_t oc__count(const int64_t *dims, int n) {
    /* Unsigned: a tensor without elements may have dims that overflow here,
       and then the number does not matter. */
    uint64_t p = 1;
    for (int i = 0; i < n; i++)
        p *= (uint64_t)dims[i];
    return (int64_t)p;
}

oc__axis_view oc__axis_split(const int64_t *dims, int rank, int axis) {
    if (!rank) return (oc__axis_view){1, 1, 1};
    return (oc__axis_view){oc__count(dims, axis), dims[axis],
                           oc__count(dims + axis + 1, rank - axis - 1)};
}

oc_status oc__want(const oc__ctx *c, int i, uint32_t mask) {
    const oc_tensor *t = oc__in(c, i);
    if (!t) return oc__op_fail(c, OC_E_ARG, "input %d must be a tensor", i);
    if (!(mask >> t->dtype & 1))
        return oc__op_fail(c, OC_E_UNSUPPORTED,
                           "input %d has type %s, which this operator does "
                           "not take",
                           i, oc_dtype_name(t->dtype));
    return OC_OK;
}

oc_status oc__want_rank(const oc__ctx *c, int i, int lo, int hi) {
    const oc_tensor *t = oc__in(c, i);
    if (!t) return oc__op_fail(c, OC_E_ARG, "input %d must be a tensor", i);
    if (t->rank >= lo && t->rank <= hi) return OC_OK;
    if (lo == hi)
        return oc__op_fail(c, OC_E_SHAPE, "input %d has rank %d, wanted %d", i,
                           t->rank, lo);
    return oc__op_fail(c, OC_E_SHAPE, "input %d has rank %d, wanted %d to %d",
                       i, t->rank, lo, hi);
}

oc_status oc__out_set(oc__ctx *c, int i, oc_dtype dtype, int rank,
                      const int64_t *dims) {
    size_t bytes;
    if (i >= c->n_out || !c->out[i]) return OC_OK;
    if (oc__tensor_size(dtype, rank, dims, &bytes))
        return oc__op_fail(c, OC_E_LIMIT,
                           "output %d would have an impossible size", i);
    c->out[i]->kind = OC_KIND_TENSOR;
    oc__tensor_set(&c->out[i]->t, dtype, rank, dims);
    return OC_OK;
}

oc_status oc__out_like(oc__ctx *c, int i, const oc_tensor *t) {
    return oc__out_set(c, i, t->dtype, t->rank, t->dims);
}

oc_status oc__out_alloc(oc__ctx *c, int i, oc_dtype dtype, int rank,
                        const int64_t *dims, oc_tensor **out) {
    *out = NULL;
    if (i >= c->n_out || !c->out[i]) return OC_OK;
    OC_TRY(oc__value_alloc_tensor(c->out[i], c->allocator, dtype, rank, dims,
                                  c->err));
    *out = &c->out[i]->t;
    return OC_OK;
}

oc_tensor *oc__out(const oc__ctx *c, int i) {
    return i < c->n_out && c->out[i] ? &c->out[i]->t : NULL;
}

oc_value *oc__out_value(const oc__ctx *c, int i) {
    return i < c->n_out ? c->out[i] : NULL;
}

void oc__scratch_need(oc__ctx *c, size_t bytes) {
    if (bytes > c->scratch_bytes) c->scratch_bytes = bytes;
}

oc_status oc__op_fail(const oc__ctx *c, oc_status status, const char *format,
                      ...) {
    char text[sizeof(((oc_error *)0)->message)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    oc__error_node(c->err, c->node->name);
    if (c->node->name[0])
        return oc__fail(c->err, status, "%s \"%s\": %s", c->op->name,
                        c->node->name, text);
    return oc__fail(c->err, status, "%s: %s", c->op->name, text);
}

/* ---- loops
 * -------------------------------------------------------------------- */

oc_status oc__broadcast(const oc__ctx *c, const oc_tensor *a,
                        const oc_tensor *b, int *rank, int64_t *out_dims) {
    int r = OC_MAX(a->rank, b->rank);
    for (int i = 0; i < r; i++) {
        int ia = i - (r - a->rank), ib = i - (r - b->rank);
        int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da != db && da != 1 && db != 1) {
            char sa[160], sb[160];
            return oc__op_fail(c, OC_E_SHAPE,
                               "shapes %s and %s cannot be broadcast",
                               oc__tensor_describe(a, sa, sizeof(sa)),
                               oc__tensor_describe(b, sb, sizeof(sb)));
        }
        out_dims[i] = da == 1 ? db : da;
    }
    *rank = r;
    return OC_OK;
}

void oc__strides(int rank, const int64_t *dims, int64_t *strides) {
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = s;
        s *= dims[i];
    }
}

void oc__broadcast_strides(const oc_tensor *t, int rank, const int64_t *dims,
                           int64_t *strides) {
    int64_t s = 1;
    (void)dims;
    for (int i = rank - 1; i >= 0; i--) {
        int it = i - (rank - t->rank);
        int64_t d = it < 0 ? 1 : t->dims[it];
        strides[i] = d == 1 ? 0 : s;
        s *= d;
    }
}

typedef struct parallel_job {
    int64_t n, per_task;
    void (*fn)(void *user, int64_t begin, int64_t end, int worker);
    void *user;
} parallel_job;

static void parallel_task(void *ctx, int task, int worker) {
    const parallel_job *job = ctx;
    int64_t begin = job->per_task * task;
    int64_t end = OC_MIN(begin + job->per_task, job->n);
    if (begin < end) job->fn(job->user, begin, end, worker);
}

void oc__parallel(const oc__ctx *c, int64_t n, int64_t grain,
                  void (*fn)(void *user, int64_t begin, int64_t end,
                             int worker),
                  void *user) {
    int threads = oc__pool_threads(c->pool);
    int64_t tasks = grain > 0 ? n / grain : n;
    if (tasks > (int64_t)threads * 4) tasks = (int64_t)threads * 4;
    if (tasks > threads) tasks -= tasks % threads;
    if (threads == 1 || tasks <= 1) {
        if (n > 0) fn(user, 0, n, 0);
        return;
    }
    /* Borders on multiples of 64 elements: no two workers share a line. */
    int64_t per_task = (n + tasks - 1) / tasks;
    if (per_task > 64) per_task = (per_task + 63) / 64 * 64;
    parallel_job job = {n, per_task, fn, user};
    oc__pool_run(c->pool, (int)((n + per_task - 1) / per_task), parallel_task,
                 &job);
}
