/*
 * net_batch.c - a model for one picture becomes one for any number of them.
 *
 * Exporters write what they saw: with one picture, a Reshape to (64, 49, 96)
 * for 64 windows of it, and a class token of (1, 1, 192) beside the patches of
 * one.  Which dimension counts pictures follows from shapes: it is what
 * doubles when there are two.  So the graph is inferred for one and for two
 * pictures, and the first node that does not follow is mended, until all do:
 *
 *     Reshape  (8, 3, 64, 49)  from a batch with 8 elements before a picture
 *              (8, -1, 64, 49) as 8 elements are before its dimension 1
 *     Concat   of a batch and what is the same for every picture: this is
 *              expanded to as many
 */
#include "train/net.h"

#include "base/size.h"
#include "ops/op.h"
#include "passes/match.h"
#include "passes/passes.h"

#include <string.h>

typedef struct batcher {
    oc__net *net;
    oc__graph *one, *two; /* for so many pictures, with shapes */
    int opset;
    oc_error *err;
} batcher;

/* ---- which dimension counts pictures --------------------------------------
 */

enum { NO_AXIS = -1, LOST = -2 };

/* The shape of v; NULL: it is not known. */
static const int64_t *shape_of(const oc__graph *g, int v, int *rank) {
    const oc__value_def *d = &g->values[v];
    *rank = d->constant ? d->constant->rank : d->rank;
    return *rank < 0 ? NULL : d->constant ? d->constant->dims : d->dims;
}

/* NO_AXIS: v is the same for any pictures; LOST: nobody knows. */
static int batch_axis(const batcher *b, int v) {
    int found = NO_AXIS, rank, other;
    if (v < 0) return NO_AXIS;
    const int64_t *x = shape_of(b->one, v, &rank);
    const int64_t *y = shape_of(b->two, v, &other);
    if (!x || rank != other) return LOST;
    for (int i = 0; i < rank; i++) {
        if (x[i] == y[i]) continue;
        if (found >= 0 || y[i] / 2 != x[i] || y[i] % 2) return LOST;
        found = i;
    }
    return found;
}

/* ---- mending --------------------------------------------------------------
 */

static int add_list(batcher *b, const int64_t *v, int n) {
    oc_tensor t;
    int64_t dims[1] = {n};
    oc__tensor_set(&t, OC_DTYPE_I64, 1, dims);
    t.data = oc__arena_dup(&b->net->arena, v, (size_t)n * sizeof(*v));
    return t.data ? oc__graph_add_constant(b->net->g, NULL, &t) : -1;
}

/* The dimension of `to` before which there are as many elements as before
 * `axis` of `from`; -1: none. */
static int same_place(const int64_t *from, int axis, const int64_t *to,
                      int rank) {
    int64_t before = oc__count(from, axis), n = 1;
    for (int i = 0; i < rank; i++) {
        if (n == before) return i;
        n *= to[i];
    }
    return -1;
}

static int has_list(const oc_tensor *t, const int64_t *list, int n) {
    if (!t || t->dtype != OC_DTYPE_I64 || oc_tensor_elems(t) != n) return 0;
    return !memcmp(t->data, list, (size_t)n * sizeof(*list));
}

/* *mended: it was wrong. */
static oc_status mend_reshape(batcher *b, int i, int *mended) {
    oc__node *n = b->net->g->nodes[i];
    int axis = batch_axis(b, n->in[0]), from_rank, rank;
    const int64_t *from = shape_of(b->one, n->in[0], &from_rank);
    const int64_t *to = shape_of(b->one, n->out[0], &rank);
    if (axis < 0 || !to || rank < 1) return OC_OK;
    int at = same_place(from, axis, to, rank);
    int64_t list[OC_MAX_RANK];
    if (at < 0 || batch_axis(b, n->out[0]) == at) return OC_OK;
    memcpy(list, to, (size_t)rank * sizeof(*list));
    list[at] = -1;
    if (has_list(oc__constant(b->net->g, n->in[1]), list, rank)) return OC_OK;
    n->in[1] = add_list(b, list, rank);
    if (n->in[1] < 0) return oc__fail_nomem(b->err);
    *mended = 1;
    return OC_OK;
}

/* A node before number i that makes one value of up to three others. */
static int insert(batcher *b, int i, const char *op, const int *in, int n_in,
                  int has_axis) {
    oc__graph *g = b->net->g;
    const oc__op *found = oc__op_find("", op);
    oc__node *n = found ? oc__graph_insert_node(g, i, found, op, b->opset, n_in,
                                                1, has_axis)
                        : NULL;
    int y = n ? oc__graph_add_value(g, NULL) : -1;
    if (y < 0) return -1;
    if (has_axis) oc__attr_set_int(n, 0, "axis", 0);
    memcpy(n->in, in, (size_t)n_in * sizeof(*in));
    n->out[0] = y;
    return y;
}

/* Input j of node i, of one row at `axis`, gets as many as value x has. */
static oc_status expand(batcher *b, int i, int j, int axis, int x) {
    oc__node *n = b->net->g->nodes[i];
    int64_t at = axis;
    int pair[2] = {-1, add_list(b, &at, 1)}, parts[3], count = 0, before = i;
    int rank;
    const int64_t *dims = shape_of(b->one, n->in[j], &rank);
    pair[0] = insert(b, before++, "Shape", &x, 1, 0);
    if (axis > 0) parts[count++] = add_list(b, dims, axis);
    parts[count] = pair[0] < 0 || pair[1] < 0
                       ? -1
                       : insert(b, before++, "Gather", pair, 2, 1);
    count++;
    if (axis + 1 < rank)
        parts[count++] = add_list(b, dims + axis + 1, rank - axis - 1);
    for (int k = 0; k < count; k++)
        if (parts[k] < 0) return oc__fail_nomem(b->err);
    pair[0] = n->in[j];
    pair[1] = insert(b, before++, "Concat", parts, count, 1);
    n->in[j] = pair[1] < 0 ? -1 : insert(b, before, "Expand", pair, 2, 0);
    return n->in[j] < 0 ? oc__fail_nomem(b->err) : OC_OK;
}

static oc_status mend_concat(batcher *b, int i, int *mended) {
    const oc__node *n = b->net->g->nodes[i];
    int axis = NO_AXIS, x = -1;
    for (int j = 0; j < n->n_explicit && x < 0; j++) {
        axis = batch_axis(b, n->in[j]);
        if (axis >= 0) x = n->in[j];
    }
    if (x < 0) return OC_OK;
    int64_t along = oc__attr_int(n, "axis", 0);
    int rank;
    (void)shape_of(b->one, x, &rank);
    if (along < 0) along += rank;
    for (int j = 0; j < n->n_explicit && along != axis; j++) {
        const int64_t *dims = shape_of(b->one, n->in[j], &rank);
        if (batch_axis(b, n->in[j]) != NO_AXIS || rank <= axis ||
            dims[axis] != 1)
            continue;
        *mended = 1;
        return expand(b, i, j, axis, x);
    }
    return OC_OK;
}

/* The first that does not follow, as far as shapes of two pictures reach. */
static oc_status mend_first(batcher *b, int *mended) {
    const oc__graph *g = b->net->g;
    for (int i = 0; i < g->n_nodes && !*mended; i++) {
        const oc__node *n = g->nodes[i];
        if (oc__is_op(n, "Reshape"))
            OC_TRY(mend_reshape(b, i, mended));
        else if (oc__is_op(n, "Concat"))
            OC_TRY(mend_concat(b, i, mended));
    }
    return OC_OK;
}

/* ---- shapes ---------------------------------------------------------------
 */

/* A copy of the graph with the shapes that follow from so many pictures, as
 * far as it can be followed. */
static oc_status shapes_of(const oc__net *net, int64_t pictures,
                           oc__arena *arena, oc__graph **out, oc_error *err) {
    oc__graph *g = oc__graph_clone(net->g, arena);
    oc_error ignored;
    oc__pass_env env = {.kernels = oc__kernels_native(),
                        .allocator = net->allocator,
                        .threads = 1};
    *out = g;
    if (!g) return oc__fail_nomem(err);
    for (int v = 0; v < g->n_values; v++)
        if (!g->values[v].constant && v != g->inputs[0]) g->values[v].rank = -1;
    g->values[g->inputs[0]].dims[0] = pictures;
    oc_status st = oc__pass_infer(g, &env, &ignored);
    return st == OC_E_NOMEM ? oc__fail_nomem(err) : OC_OK;
}

static oc_status step(oc__net *net, int *mended, oc_error *err) {
    batcher b = {.net = net, .err = err};
    oc__arena arena;
    oc__arena_init(&arena, net->allocator);
    for (size_t i = 0; i < net->onnx.n_opsets; i++)
        if (!*net->onnx.opsets[i].domain) b.opset = net->onnx.opsets[i].version;
    oc_status st = shapes_of(net, 1, &arena, &b.one, err);
    if (st == OC_OK) st = shapes_of(net, 2, &arena, &b.two, err);
    if (st == OC_OK) st = mend_first(&b, mended);
    if (b.one) oc__graph_release(b.one);
    if (b.two) oc__graph_release(b.two);
    oc__arena_deinit(&arena);
    return st;
}

oc_status oc__net_open_batch(oc__net *net, oc_error *err) {
    int input = net->g->inputs[0];
    int mended = net->g->values[input].dims[0] == 1;
    /* Each mends one node. */
    for (int i = 2 * net->g->n_nodes; mended && i > 0; i--) {
        mended = 0;
        OC_TRY(step(net, &mended, err));
    }
    net->g->values[input].dims[0] = -1;
    net->g->values[input].dim_names[0] = "batch";
    return OC_OK;
}

oc_status oc__net_check_batch(const oc__net *net, oc_error *err) {
    oc__arena arena;
    oc__graph *two = NULL;
    oc__arena_init(&arena, net->allocator);
    oc_status st = shapes_of(net, 2, &arena, &two, err);
    if (st == OC_OK) {
        const oc__value_def *y = &two->values[net->logits];
        if (y->rank < 0 || oc__count(y->dims, y->rank) != 2 * net->classes)
            st = oc__fail(err, OC_E_UNSUPPORTED,
                          "the model is made for one picture at a time and "
                          "cannot be opened for more; export it with a free "
                          "batch dimension");
    }
    if (two) oc__graph_release(two);
    oc__arena_deinit(&arena);
    return st;
}
