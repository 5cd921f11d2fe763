/*
 * sequence.c - sequences and optionals: SequenceEmpty, -Construct, -Insert,
 * -Erase, -At, -Length, SplitToSequence, ConcatFromSequence, SequenceMap,
 * Optional, OptionalGetElement, OptionalHasElement.
 *
 * A sequence is never changed: Insert and Erase make a new list whose items
 * share the tensors of the old one.  A present optional is the value itself.
 */
#include "ops/moves.h"
#include "ops/stack.h"

#include <string.h>

static oc_status infer_nothing(oc__ctx *c) {
    (void)c;
    return OC_OK;
}

static oc_status want_sequence(const oc__ctx *c, int i, const oc_value **out) {
    *out = oc__in_value(c, i);
    if (*out && (*out)->kind == OC_KIND_SEQUENCE) return OC_OK;
    return oc__op_fail(c, OC_E_ARG, "input %d must be a sequence", i);
}

/* Position input i in -n .. n - 1 (or .. n when `end`); default `fallback`. */
static oc_status read_position(const oc__ctx *c, int i, size_t n, int end,
                               size_t fallback, size_t *out) {
    int64_t at, size = (int64_t)n;
    int count;
    *out = fallback;
    if (!oc__in_value(c, i)) {
        if (!end && n == 0)
            return oc__op_fail(c, OC_E_ARG, "the sequence is empty");
        return OC_OK;
    }
    OC_TRY(oc__in_ints(c, i, &at, 1, &count));
    if (count != 1 || at < -size || at >= size + (end ? 1 : 0))
        return oc__op_fail(c, OC_E_ARG, "position %lld in a sequence of %zu",
                           (long long)at, n);
    *out = (size_t)(at < 0 ? at + size : at);
    return OC_OK;
}

/* ---- making ----------------------------------------------------------------
 */

/* The element type is kept for who asks; nothing else tells it. */
static oc_status run_empty(oc__ctx *c) {
    oc_value *y = oc__out_value(c, 0);
    if (!y) return OC_OK;
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, 0, c->allocator, c->err));
    y->item_dtype = (oc_dtype)oc__attr_int(c->node, "dtype", OC_DTYPE_F32);
    return OC_OK;
}

static oc_status run_construct(oc__ctx *c) {
    oc_value *y = oc__out_value(c, 0);
    if (!y) return OC_OK;
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, (size_t)c->n_in,
                                 c->allocator, c->err));
    for (int i = 0; i < c->n_in; i++) {
        OC_TRY(oc__want(c, i, 1u << oc__in(c, 0)->dtype));
        OC_TRY(oc__value_keep(&y->items[i], c->in[i], c->allocator, c->err));
    }
    y->item_dtype = oc__in(c, 0)->dtype;
    return OC_OK;
}

static oc_status infer_construct(oc__ctx *c) {
    for (int i = 0; i < c->n_in; i++)
        OC_TRY(oc__want(c, i, OC_T_ANY));
    return OC_OK;
}

/* ---- changing --------------------------------------------------------------
 */

/* Items before `at`, the new one, the others: shared, not copied. */
static oc_status run_insert(oc__ctx *c) {
    const oc_value *s, *x = oc__in_value(c, 1);
    oc_value *y = oc__out_value(c, 0);
    size_t at;
    OC_TRY(want_sequence(c, 0, &s));
    OC_TRY(oc__want(c, 1, OC_T_ANY));
    OC_TRY(read_position(c, 2, s->n, 1, s->n, &at));
    if (s->n && s->items[0].t.dtype != x->t.dtype)
        return oc__op_fail(c, OC_E_ARG, "a %s tensor into a sequence of %s",
                           oc_dtype_name(x->t.dtype),
                           oc_dtype_name(s->items[0].t.dtype));
    if (!y) return OC_OK;
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, s->n + 1, c->allocator,
                                 c->err));
    for (size_t i = 0; i < y->n; i++)
        OC_TRY(oc__value_keep(&y->items[i],
                              i == at ? x : &s->items[i - (i > at)],
                              c->allocator, c->err));
    y->item_dtype = x->t.dtype;
    return OC_OK;
}

static oc_status run_erase(oc__ctx *c) {
    const oc_value *s;
    oc_value *y = oc__out_value(c, 0);
    size_t at;
    OC_TRY(want_sequence(c, 0, &s));
    OC_TRY(read_position(c, 1, s->n, 0, s->n - 1, &at));
    if (!y) return OC_OK;
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, s->n - 1, c->allocator,
                                 c->err));
    for (size_t i = 0; i < y->n; i++)
        OC_TRY(oc__value_keep(&y->items[i], &s->items[i + (i >= at)],
                              c->allocator, c->err));
    y->item_dtype = s->item_dtype;
    return OC_OK;
}

/* ---- asking ----------------------------------------------------------------
 */

static oc_status run_at(oc__ctx *c) {
    const oc_value *s;
    oc_value *y = oc__out_value(c, 0);
    size_t at;
    OC_TRY(want_sequence(c, 0, &s));
    OC_TRY(read_position(c, 1, s->n, 0, 0, &at));
    if (!y) return OC_OK;
    return oc__value_keep(y, &s->items[at], c->allocator, c->err);
}

static oc_status infer_length(oc__ctx *c) {
    return oc__out_set(c, 0, OC_DTYPE_I64, 0, NULL);
}

static oc_status run_length(oc__ctx *c) {
    const oc_value *s;
    OC_TRY(want_sequence(c, 0, &s));
    *(int64_t *)oc__out(c, 0)->data = (int64_t)s->n;
    return OC_OK;
}

/* ---- SplitToSequence, ConcatFromSequence -----------------------------------
 */

static oc_status infer_split(oc__ctx *c) {
    int axis;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    if (oc__in_value(c, 1)) OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    return oc__axis(c, oc__attr_int(c->node, "axis", 0), oc__in(c, 0)->rank,
                    &axis);
}

/* Number of parts; fails when explicit sizes do not add up. */
static oc_status split_parts(const oc__ctx *c, int64_t dim, int64_t *parts) {
    const oc_tensor *t = oc__in(c, 1);
    *parts = dim;
    if (!t) return OC_OK;
    if (t->rank == 0) {
        int64_t size = oc__tensor_get_i64(t, 0);
        if (size < 1)
            return oc__op_fail(c, OC_E_ARG, "parts of %lld", (long long)size);
        *parts = dim / size + (dim % size != 0);
        return OC_OK;
    }
    int64_t left = dim;
    *parts = oc_tensor_elems(t);
    for (int64_t i = 0; i < *parts; i++) {
        int64_t size = oc__tensor_get_i64(t, i);
        if (size < 0 || size > left)
            return oc__op_fail(c, OC_E_ARG, "part %lld has %lld of %lld",
                               (long long)i, (long long)size, (long long)left);
        left -= size;
    }
    if (left)
        return oc__op_fail(c, OC_E_ARG, "the parts leave %lld over",
                           (long long)left);
    return OC_OK;
}

/* The pieces own their memory: a sequence may outlive the input. */
static oc_status run_split(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *split = oc__in(c, 1);
    oc_value *y = oc__out_value(c, 0);
    int axis, keep = split || oc__attr_int(c->node, "keepdims", 1) != 0;
    int64_t parts, at = 0;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", 0), x->rank, &axis));
    OC_TRY(split_parts(c, x->dims[axis], &parts));
    if (!y) return OC_OK;
    OC_TRY(oc__value_alloc_items(y, OC_KIND_SEQUENCE, (size_t)parts,
                                 c->allocator, c->err));
    y->item_dtype = x->dtype;
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    size_t bytes = oc_dtype_bytes(x->dtype);
    for (int64_t k = 0; k < parts; k++) {
        int64_t size = 1, dims[OC_MAX_RANK];
        int rank = 0;
        if (split)
            size = OC_MIN(oc__tensor_get_i64(split, split->rank ? k : 0),
                          x->dims[axis] - at);
        for (int i = 0; i < x->rank; i++)
            if (i != axis || keep) dims[rank++] = i == axis ? size : x->dims[i];
        oc_value *item = &y->items[k];
        OC_TRY(oc__value_alloc_tensor(item, c->allocator, x->dtype, rank, dims,
                                      c->err));
        oc__move m = {0};
        oc__move_dim(&m, v.outer, v.length * v.inner, size * v.inner);
        oc__move_dim(&m, size * v.inner, 1, 1);
        oc__move_run(c, &m, bytes,
                     (const char *)x->data + (size_t)(at * v.inner) * bytes,
                     item->t.data);
        if (x->dtype == OC_DTYPE_STRING)
            OC_TRY(oc__value_own_strings(item, c->allocator, c->err));
        at += size;
    }
    return OC_OK;
}

static oc_status run_concat(oc__ctx *c) {
    const oc_value *s;
    oc_value *y = oc__out_value(c, 0);
    const oc__attr *axis = oc__attr_find(c->node, "axis");
    OC_TRY(want_sequence(c, 0, &s));
    if (!axis) return oc__op_fail(c, OC_E_FORMAT, "axis is missing");
    if (s->n == 0) return oc__op_fail(c, OC_E_ARG, "the sequence is empty");
    if (!y) return OC_OK;
    return oc__value_join(c, y, s->items, s->n, 1, axis->i,
                          oc__attr_int(c->node, "new_axis", 0) != 0, 0);
}

/* ---- SequenceMap -----------------------------------------------------------
 */

/* args: one item of each sequence input, or the whole of another one. */
static oc_status map_step(oc__ctx *c, const oc__graph *body, size_t k,
                          oc_value *args, oc_value *results) {
    for (int j = 0; j < c->n_in; j++) {
        const oc_value *v = oc__in_value(c, j);
        memset(&args[j], 0, sizeof args[j]);
        if (!v) continue;
        if (v->kind != OC_KIND_SEQUENCE)
            args[j] = *v; /* borrowed for the call */
        else if (k < v->n)
            args[j] = v->items[k];
        else
            return oc__op_fail(c, OC_E_SHAPE, "input %d has %zu items", j,
                               v->n);
    }
    OC_TRY(c->run_graph(c, body, args, c->n_in, results, c->n_out));
    for (int j = 0; j < c->n_out; j++) {
        oc_value *y = oc__out_value(c, j);
        if (!y) continue;
        y->item_dtype = results[j].t.dtype;
        y->items[k] = results[j];
        memset(&results[j], 0, sizeof results[j]);
    }
    return OC_OK;
}

/* Results of step k become item k of every output. */
static oc_status run_map(oc__ctx *c) {
    const oc__graph *body = oc__attr_graph(c->node, "body");
    const oc_value *s;
    if (!body) return oc__op_fail(c, OC_E_FORMAT, "body is missing");
    OC_TRY(want_sequence(c, 0, &s));
    for (int j = 0; j < c->n_out; j++)
        if (oc__out_value(c, j))
            OC_TRY(oc__value_alloc_items(oc__out_value(c, j), OC_KIND_SEQUENCE,
                                         s->n, c->allocator, c->err));
    size_t n = (size_t)c->n_in + (size_t)c->n_out;
    oc_value *values = oc__calloc(c->allocator, n, sizeof(oc_value));
    if (!values) return oc__fail_nomem(c->err);
    oc_value *results = values + c->n_in;
    oc_status st = OC_OK;
    for (size_t k = 0; k < s->n && st == OC_OK; k++)
        st = map_step(c, body, k, values, results);
    for (int j = 0; j < c->n_out; j++)
        oc__value_clear(&results[j]);
    oc__release(c->allocator, values, n * sizeof(oc_value));
    return st;
}

/* ---- optionals -------------------------------------------------------------
 */

/* The optional of a value is that value; only none needs the operator. */
static oc_status run_optional(oc__ctx *c) {
    const oc_value *x = oc__in_value(c, 0);
    oc_value *y = oc__out_value(c, 0);
    if (!x || !y) return OC_OK; /* a cleared slot is none */
    return oc__value_keep(y, x, c->allocator, c->err);
}

static oc_status run_get_element(oc__ctx *c) {
    const oc_value *x = oc__in_value(c, 0);
    oc_value *y = oc__out_value(c, 0);
    if (!x || x->kind == OC_KIND_NONE)
        return oc__op_fail(c, OC_E_ARG, "the optional is empty");
    return y ? oc__value_keep(y, x, c->allocator, c->err) : OC_OK;
}

static oc_status infer_has_element(oc__ctx *c) {
    return oc__out_set(c, 0, OC_DTYPE_BOOL, 0, NULL);
}

static oc_status run_has_element(oc__ctx *c) {
    const oc_value *x = oc__in_value(c, 0);
    *(uint8_t *)oc__out(c, 0)->data = x && x->kind != OC_KIND_NONE;
    return OC_OK;
}

enum { DYN = OC_OP_DYNAMIC };

const oc__op oc__ops_sequence[] = {
    {"", "SequenceEmpty", 11, 0, 0, 1, DYN, 0, infer_nothing, run_empty, NULL},
    {"", "SequenceConstruct", 11, 1, -1, 1, DYN, 0, infer_construct,
     run_construct, NULL},
    {"", "SequenceInsert", 11, 2, 3, 1, DYN, 0, infer_nothing, run_insert,
     NULL},
    {"", "SequenceErase", 11, 1, 2, 1, DYN, 0, infer_nothing, run_erase, NULL},
    {"", "SequenceAt", 11, 2, 2, 1, DYN, 0, infer_nothing, run_at, NULL},
    {"", "SequenceLength", 11, 1, 1, 1, 0, 0, infer_length, run_length, NULL},
    {"", "SplitToSequence", 11, 1, 2, 1, DYN, 0, infer_split, run_split, NULL},
    {"", "ConcatFromSequence", 11, 1, 1, 1, DYN, 0, infer_nothing, run_concat,
     NULL},
    {"", "SequenceMap", 17, 1, -1, -1, DYN | OC_OP_IMPURE, 0, infer_nothing,
     run_map, NULL},
    {"", "Optional", 15, 0, 1, 1, DYN, 0, infer_nothing, run_optional, NULL},
    {"", "OptionalGetElement", 15, 1, 1, 1, DYN, 0, infer_nothing,
     run_get_element, NULL},
    {"", "OptionalHasElement", 15, 0, 1, 1, 0, 0, infer_has_element,
     run_has_element, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
