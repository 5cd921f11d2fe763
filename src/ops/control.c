/*
 * control.c - If, Loop, Scan.
 *
 * Sub-graphs run through ctx->run_graph, which gives results that own their
 * memory.  Arguments are only lent for a call, so a slice of a tensor is
 * passed as a pointer into it, or from a buffer that the next step reuses.
 */
#include "ops/moves.h"
#include "ops/stack.h"

#include <string.h>

static oc_status infer_body(oc__ctx *c) {
    if (!oc__attr_graph(c->node, "body"))
        return oc__op_fail(c, OC_E_FORMAT, "body is missing");
    return OC_OK;
}

/* Moves results to the outputs they belong to. */
static void deliver(oc__ctx *c, oc_value *results, int n) {
    for (int i = 0; i < n; i++) {
        oc_value *y = oc__out_value(c, i);
        if (y) {
            oc__value_clear(y);
            *y = results[i];
        } else {
            oc__value_clear(&results[i]);
        }
        memset(&results[i], 0, sizeof results[i]);
    }
}

static oc_status read_bool(const oc__ctx *c, const oc_value *v, int *out) {
    if (v->kind != OC_KIND_TENSOR || v->t.dtype != OC_DTYPE_BOOL ||
        oc_tensor_elems(&v->t) != 1)
        return oc__op_fail(c, OC_E_ARG, "the condition must be one bool");
    *out = *(const uint8_t *)v->t.data != 0;
    return OC_OK;
}

static void clear_all(oc_value *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        oc__value_clear(&v[i]);
}

/* ---- If --------------------------------------------------------------------
 */

static oc_status infer_if(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(BOOL)));
    if (!oc__attr_graph(c->node, "then_branch") ||
        !oc__attr_graph(c->node, "else_branch"))
        return oc__op_fail(c, OC_E_FORMAT, "a branch is missing");
    return OC_OK;
}

/* The branch sees the outer graph through its captures alone. */
static oc_status run_if(oc__ctx *c) {
    int yes = 0;
    size_t n = (size_t)c->n_out;
    OC_TRY(read_bool(c, oc__in_value(c, 0), &yes));
    oc_value *results = oc__calloc(c->allocator, n, sizeof(oc_value));
    if (!results) return oc__fail_nomem(c->err);
    const oc__graph *g =
        oc__attr_graph(c->node, yes ? "then_branch" : "else_branch");
    oc_status st = c->run_graph(c, g, NULL, 0, results, c->n_out);
    if (st == OC_OK) deliver(c, results, c->n_out);
    clear_all(results, n);
    oc__release(c->allocator, results, n * sizeof(oc_value));
    return st;
}

/* ---- scan outputs ----------------------------------------------------------
 */

/* An output of no iterations: what the body declares, with a first dim 0;
   dims it leaves open are 0 too. */
static oc_status empty_output(oc__ctx *c, const oc__graph *body, int output,
                              int64_t axis, oc_value *y) {
    const oc__value_def *d = &body->values[body->outputs[output]];
    int64_t dims[OC_MAX_RANK];
    int at, rank = OC_MAX(d->rank, 0);
    if (d->dtype == OC_DTYPE_NONE || rank + 1 > OC_MAX_RANK)
        return oc__op_fail(c, OC_E_SHAPE,
                           "output %d of no iterations has no type", output);
    OC_TRY(oc__axis(c, axis, rank + 1, &at));
    for (int i = 0, from = 0; i <= rank; i++) {
        dims[i] = i == at ? 0 : d->dims[from++];
        if (dims[i] < 0) dims[i] = 0;
    }
    return oc__value_alloc_tensor(y, c->allocator, d->dtype, rank + 1, dims,
                                  c->err);
}

/* ---- Loop ------------------------------------------------------------------
 */

typedef struct loop {
    const oc__graph *body;
    int carried, scans;  /* values carried over, values gathered */
    oc_value *args;      /* iteration, condition, carried */
    oc_value *results;   /* condition, carried, gathered */
    oc__value_list list; /* gathered so far, `scans` a step */
} loop;

/* Without a trip count the condition alone ends the loop, without a condition
   the count; without both it must be cancelled. */
static oc_status loop_limit(const oc__ctx *c, int64_t *max, int *go) {
    int n;
    *max = INT64_MAX;
    *go = 1;
    if (oc__in(c, 0)) {
        OC_TRY(oc__in_ints(c, 0, max, 1, &n));
        if (n != 1)
            return oc__op_fail(c, OC_E_SHAPE, "the trip count is no scalar");
    }
    if (oc__in(c, 1)) OC_TRY(read_bool(c, oc__in_value(c, 1), go));
    return OC_OK;
}

/* Carried values move from results to arguments; gathered ones are kept till
   the end, since their number is not known. */
static oc_status loop_steps(oc__ctx *c, loop *l) {
    int64_t max, i = 0;
    int go;
    uint8_t truth = 1;
    OC_TRY(loop_limit(c, &max, &go));
    for (int j = 0; j < l->carried; j++)
        if (oc__in_value(c, j + 2))
            oc__value_share(&l->args[j + 2], oc__in_value(c, j + 2));
    for (; i < max && go; i++) {
        l->args[0] = (oc_value){OC_KIND_TENSOR, {OC_DTYPE_I64, 0, {0}, &i},
                                NULL,           0,
                                NULL,           OC_DTYPE_NONE};
        l->args[1] = (oc_value){OC_KIND_TENSOR, {OC_DTYPE_BOOL, 0, {0}, &truth},
                                NULL,           0,
                                NULL,           OC_DTYPE_NONE};
        OC_TRY(c->run_graph(c, l->body, l->args, l->carried + 2, l->results,
                            l->carried + l->scans + 1));
        OC_TRY(read_bool(c, &l->results[0], &go));
        for (int j = 0; j < l->carried; j++) {
            oc__value_clear(&l->args[j + 2]);
            l->args[j + 2] = l->results[j + 1];
            memset(&l->results[j + 1], 0, sizeof(oc_value));
        }
        for (int j = 0; j < l->scans; j++)
            OC_TRY(oc__value_list_push(c, &l->list,
                                       &l->results[l->carried + 1 + j]));
    }
    return OC_OK;
}

/* Moves what was carried out and stacks what was gathered. */
static oc_status loop_finish(oc__ctx *c, loop *l) {
    oc_status st = OC_OK;
    size_t step = (size_t)l->scans;
    for (int j = 0; j < l->carried; j++) {
        oc_value *y = oc__out_value(c, j), *v = &l->args[j + 2];
        /* After no iteration a value is still the borrowed input. */
        if (y) OC_TRY(oc__value_keep(y, v, c->allocator, c->err));
    }
    for (int j = 0; j < l->scans && st == OC_OK; j++) {
        oc_value *y = oc__out_value(c, l->carried + j);
        if (!y) continue;
        st = l->list.n ? oc__value_join(c, y, l->list.items + j,
                                        l->list.n / step, step, 0, 1, 0)
                       : empty_output(c, l->body, l->carried + 1 + j, 0, y);
    }
    return st;
}

static oc_status run_loop(oc__ctx *c) {
    loop l = {.body = oc__attr_graph(c->node, "body")};
    l.carried = OC_MAX(c->n_in - 2, 0);
    l.scans = l.body->n_outputs - 1 - l.carried;
    if (l.scans < 0 || l.body->n_inputs != l.carried + 2)
        return oc__op_fail(c, OC_E_SHAPE,
                           "a body of %d inputs and %d outputs for %d values",
                           l.body->n_inputs, l.body->n_outputs, l.carried);
    size_t n_args = (size_t)l.carried + 2;
    size_t n = n_args + (size_t)l.body->n_outputs;
    l.args = oc__calloc(c->allocator, n, sizeof(oc_value));
    if (!l.args) return oc__fail_nomem(c->err);
    l.results = l.args + n_args;
    oc_status st = loop_steps(c, &l);
    if (st == OC_OK) st = loop_finish(c, &l);
    oc__value_list_clear(c, &l.list);
    clear_all(l.args, n);
    oc__release(c->allocator, l.args, n * sizeof(oc_value));
    return st;
}

/* ---- Scan ------------------------------------------------------------------
 */

typedef struct scan {
    const oc__graph *body;
    int states, inputs, outputs; /* N, M, K of the specification */
    int64_t length;              /* iterations */
    oc_value *args;              /* states, then input slices; lent */
    oc_value *buffers;           /* memory of slices that must be copied */
    oc_value *results;           /* states, then outputs, of one step */
    oc_tensor *scanned;          /* the input tensors, one sequence each */
    oc__value_list list;
} scan;

/* Entry i of an optional attribute list. */
static int64_t list_at(const oc__ctx *c, const char *name, int i) {
    size_t n;
    const int64_t *v = oc__attr_ints(c->node, name, &n);
    return (size_t)i < n ? v[i] : 0;
}

/* Points arg at step t of scanned input j. */
static oc_status scan_slice(oc__ctx *c, scan *s, int j, int64_t t) {
    const oc_tensor *x = &s->scanned[j];
    oc_value *arg = &s->args[s->states + j], *buffer = &s->buffers[j];
    int old = c->node->version < 9, axis;
    int64_t dims[OC_MAX_RANK];
    int back = list_at(c, old ? "directions" : "scan_input_directions", j) != 0;
    OC_TRY(oc__axis(c, old ? 0 : list_at(c, "scan_input_axes", j), x->rank,
                    &axis));
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    for (int d = 0, to = 0; d < x->rank; d++) {
        if (d != axis) dims[to++] = x->dims[d];
    }
    size_t bytes = oc_dtype_bytes(x->dtype);
    int64_t at = back ? x->dims[axis] - 1 - t : t;
    char *from = (char *)x->data + (size_t)(at * v.inner) * bytes;
    memset(arg, 0, sizeof *arg);
    arg->kind = OC_KIND_TENSOR;
    oc__tensor_set(&arg->t, x->dtype, x->rank - 1, dims);
    arg->t.data = from;
    if (v.outer == 1) return OC_OK;
    if (buffer->kind == OC_KIND_NONE)
        OC_TRY(oc__value_alloc_tensor(buffer, c->allocator, x->dtype,
                                      x->rank - 1, dims, c->err));
    oc__move m = {0};
    oc__move_dim(&m, v.outer, v.length * v.inner, v.inner);
    oc__move_dim(&m, v.inner, 1, 1);
    oc__move_run(c, &m, bytes, from, buffer->t.data);
    arg->t.data = buffer->t.data; /* without the reference: it is reused */
    return OC_OK;
}

/* As a loop whose number of steps is an input's dim. */
static oc_status scan_steps(oc__ctx *c, scan *s) {
    for (int64_t t = 0; t < s->length; t++) {
        for (int j = 0; j < s->inputs; j++)
            OC_TRY(scan_slice(c, s, j, t));
        OC_TRY(c->run_graph(c, s->body, s->args, s->states + s->inputs,
                            s->results, s->states + s->outputs));
        for (int j = 0; j < s->states; j++) {
            oc__value_clear(&s->args[j]);
            s->args[j] = s->results[j];
            memset(&s->results[j], 0, sizeof(oc_value));
        }
        for (int j = 0; j < s->outputs; j++)
            OC_TRY(
                oc__value_list_push(c, &s->list, &s->results[s->states + j]));
    }
    return OC_OK;
}

/* Output j of the steps so far as one tensor. */
static oc_status scan_output(oc__ctx *c, scan *s, int j, oc_value *y) {
    int old = c->node->version < 9;
    int64_t axis = old ? 0 : list_at(c, "scan_output_axes", j);
    int back = !old && list_at(c, "scan_output_directions", j) != 0;
    if (s->list.n == 0) return empty_output(c, s->body, s->states + j, axis, y);
    size_t step = (size_t)s->outputs;
    return oc__value_join(c, y, s->list.items + j, s->list.n / step, step, axis,
                          1, back);
}

/* Opset 9 on: one sequence, any axes. */
static oc_status scan_whole(oc__ctx *c, scan *s) {
    s->length = -1;
    for (int j = 0; j < s->inputs; j++) {
        int axis;
        OC_TRY(oc__want(c, s->states + j, OC_T_ANY));
        const oc_tensor *x = oc__in(c, s->states + j);
        s->scanned[j] = *x;
        OC_TRY(oc__axis(c, list_at(c, "scan_input_axes", j), x->rank, &axis));
        if (s->length >= 0 && s->length != x->dims[axis])
            return oc__op_fail(c, OC_E_SHAPE, "inputs of %lld and %lld steps",
                               (long long)s->length, (long long)x->dims[axis]);
        s->length = x->dims[axis];
    }
    for (int j = 0; j < s->states; j++)
        if (oc__in_value(c, j))
            oc__value_share(&s->args[j], oc__in_value(c, j));
    OC_TRY(scan_steps(c, s));
    for (int j = 0; j < s->states; j++) {
        oc_value *y = oc__out_value(c, j);
        if (y) OC_TRY(oc__value_keep(y, &s->args[j], c->allocator, c->err));
    }
    for (int j = 0; j < s->outputs; j++) {
        oc_value *y = oc__out_value(c, s->states + j);
        if (y) OC_TRY(scan_output(c, s, j, y));
    }
    return OC_OK;
}

/* ---- Scan of opset 8: a batch of sequences of different lengths ------------
 */

/* Part b of input i along its first axis, lent. */
static oc_status batch_part(oc__ctx *c, int i, int64_t b, oc_tensor *out) {
    OC_TRY(oc__want(c, i, OC_T_ANY));
    OC_TRY(oc__want_rank(c, i, 1, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, i);
    if (b >= x->dims[0])
        return oc__op_fail(c, OC_E_SHAPE, "input %d has a batch of %lld", i,
                           (long long)x->dims[0]);
    oc__tensor_set(out, x->dtype, x->rank - 1, x->dims + 1);
    out->data = (char *)x->data + (size_t)b * oc_tensor_bytes(out);
    return OC_OK;
}

/* Lengthens a tensor along its first axis with zeros. */
static oc_status pad_steps(oc__ctx *c, oc_value *v, int64_t length) {
    oc_value y = {0};
    int64_t dims[OC_MAX_RANK];
    if (v->t.dims[0] == length) return OC_OK;
    memcpy(dims, v->t.dims, sizeof dims);
    dims[0] = length;
    OC_TRY(oc__value_alloc_tensor(&y, c->allocator, v->t.dtype, v->t.rank, dims,
                                  c->err));
    memset(y.t.data, 0, oc_tensor_bytes(&y.t));
    memcpy(y.t.data, v->t.data, oc_tensor_bytes(&v->t));
    oc_status st = OC_OK;
    if (y.t.dtype == OC_DTYPE_STRING)
        st = oc__value_own_strings(&y, c->allocator, c->err);
    oc__value_clear(v);
    *v = y;
    return st;
}

/* Sequence b of the batch: its states and outputs go to `all`. */
static oc_status scan_one(oc__ctx *c, scan *s, int64_t b, oc__value_list *all) {
    int64_t max = -1;
    for (int j = 0; j < s->inputs; j++) {
        OC_TRY(batch_part(c, 1 + s->states + j, b, &s->scanned[j]));
        if (s->scanned[j].rank < 1 ||
            (max >= 0 && s->scanned[j].dims[0] != max))
            return oc__op_fail(c, OC_E_SHAPE, "input %d has other steps", j);
        max = s->scanned[j].dims[0];
    }
    s->length = max;
    if (oc__in(c, 0)) s->length = oc__tensor_get_i64(oc__in(c, 0), b);
    if (s->length < 0 || s->length > max)
        return oc__op_fail(c, OC_E_ARG, "sequence %lld has %lld steps of %lld",
                           (long long)b, (long long)s->length, (long long)max);
    for (int j = 0; j < s->states; j++) {
        oc__value_clear(&s->args[j]);
        s->args[j].kind = OC_KIND_TENSOR;
        OC_TRY(batch_part(c, 1 + j, b, &s->args[j].t));
    }
    OC_TRY(scan_steps(c, s));
    for (int j = 0; j < s->states + s->outputs; j++) {
        oc_value v = {0};
        oc_status st = j < s->states ? oc__value_keep(&v, &s->args[j],
                                                      c->allocator, c->err)
                                     : scan_output(c, s, j - s->states, &v);
        if (st == OC_OK && j >= s->states) st = pad_steps(c, &v, max);
        if (st == OC_OK) st = oc__value_list_push(c, all, &v);
        if (st != OC_OK) {
            oc__value_clear(&v);
            return st;
        }
    }
    oc__value_list_clear(c, &s->list);
    return OC_OK;
}

/* Scan 8 is Scan 9 for every sequence, and the results stacked. */
static oc_status scan_batch(oc__ctx *c, scan *s) {
    oc__value_list all = {0};
    size_t step = (size_t)s->states + (size_t)s->outputs;
    OC_TRY(oc__want(c, 1 + s->states, OC_T_ANY));
    OC_TRY(oc__want_rank(c, 1 + s->states, 1, OC_MAX_RANK));
    int64_t batch = oc__in(c, 1 + s->states)->dims[0];
    const oc_tensor *lens = oc__in(c, 0);
    if (lens && oc_tensor_elems(lens) != batch)
        return oc__op_fail(c, OC_E_SHAPE, "a length for each of %lld",
                           (long long)batch);
    if (batch == 0) return oc__op_fail(c, OC_E_SHAPE, "the batch is empty");
    oc_status st = OC_OK;
    for (int64_t b = 0; b < batch && st == OC_OK; b++)
        st = scan_one(c, s, b, &all);
    for (size_t j = 0; j < step && st == OC_OK; j++) {
        oc_value *y = oc__out_value(c, (int)j);
        if (y)
            st = oc__value_join(c, y, all.items + j, (size_t)batch, step, 0, 1,
                                0);
    }
    oc__value_list_clear(c, &all);
    return st;
}

static oc_status run_scan(oc__ctx *c) {
    scan s = {.body = oc__attr_graph(c->node, "body")};
    int old = c->node->version < 9, first = old ? 1 : 0;
    int64_t m = oc__attr_int(c->node, "num_scan_inputs", 0);
    if (m < 1 || m > c->n_in - first)
        return oc__op_fail(c, OC_E_FORMAT, "%lld scan inputs of %d",
                           (long long)m, c->n_in - first);
    s.inputs = (int)m;
    s.states = c->n_in - first - s.inputs;
    s.outputs = s.body->n_outputs - s.states;
    if (s.outputs < 0 || s.body->n_inputs != s.states + s.inputs)
        return oc__op_fail(c, OC_E_SHAPE,
                           "a body of %d inputs and %d outputs for %d states "
                           "and %d inputs",
                           s.body->n_inputs, s.body->n_outputs, s.states,
                           s.inputs);
    size_t n_args = (size_t)(s.states + s.inputs), n_buf = (size_t)s.inputs;
    size_t n = n_args + n_buf + (size_t)s.body->n_outputs;
    size_t bytes = n * sizeof(oc_value) + n_buf * sizeof(oc_tensor);
    s.args = oc__calloc(c->allocator, 1, bytes);
    if (!s.args) return oc__fail_nomem(c->err);
    s.buffers = s.args + n_args;
    s.results = s.buffers + n_buf;
    s.scanned = (oc_tensor *)(s.args + n);
    oc_status st = old ? scan_batch(c, &s) : scan_whole(c, &s);
    oc__value_list_clear(c, &s.list);
    clear_all(s.args, n);
    oc__release(c->allocator, s.args, bytes);
    return st;
}

enum { FLAGS = OC_OP_DYNAMIC | OC_OP_IMPURE }; /* the bodies may be */

const oc__op oc__ops_control[] = {
    {"", "If", 1, 1, 1, -1, FLAGS, 0, infer_if, run_if, NULL},
    {"", "Loop", 1, 2, -1, -1, FLAGS, 0, infer_body, run_loop, NULL},
    {"", "Scan", 8, 1, -1, -1, FLAGS, 0, infer_body, run_scan, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
