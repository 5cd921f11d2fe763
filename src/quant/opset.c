/*
 * opset.c - nodes of older operator sets as set 13 writes them, which is the
 * first with a scale for each channel.
 *
 * What moved from attributes to inputs is moved; what changed its meaning is
 * refused with the node's name, unless the old meaning can be said in the new
 * words.
 */
#include "onnx/import.h"
#include "passes/match.h"
#include "quant/decide.h"

#include <math.h>
#include <string.h>

enum { TARGET = 13 };

static int constant_of(oc__graph *g, oc_dtype dtype, int rank, int64_t n,
                       const void *data) {
    void *to;
    int v =
        oc__new_constant(g, g->arena->allocator, NULL, dtype, rank, &n, &to);
    if (v >= 0) memcpy(to, data, (size_t)n * oc_dtype_bytes(dtype));
    return v;
}

/* n gets more inputs: values[i] is its input `first` + i. */
static oc_status add_inputs(oc__graph *g, oc__node *n, int first, int count,
                            const int *values, oc_error *err) {
    int *in = oc__arena_array(g->arena, (size_t)(first + count), sizeof *in);
    if (!in) return oc__fail_nomem(err);
    for (int i = 0; i < first; i++)
        in[i] = i < n->n_in ? n->in[i] : -1;
    memcpy(in + first, values, (size_t)count * sizeof *in);
    n->in = in;
    n->n_in = n->n_explicit = first + count;
    return OC_OK;
}

/* Without attribute `name`; the list may be shared. */
static oc_status drop_attr(oc__graph *g, oc__node *n, const char *name,
                           oc_error *err) {
    oc__attr *list =
        oc__arena_array(g->arena, (size_t)n->n_attrs + 1, sizeof *list);
    int kept = 0;
    if (!list) return oc__fail_nomem(err);
    for (int i = 0; i < n->n_attrs; i++)
        if (strcmp(n->attrs[i].name, name) != 0) list[kept++] = n->attrs[i];
    n->attrs = list;
    n->n_attrs = kept;
    return OC_OK;
}

/* A list of integers goes from attribute to input `at`. */
static oc_status ints_to_input(oc__graph *g, oc__node *n, const char *name,
                               int at, oc_error *err) {
    size_t count;
    const int64_t *v = oc__attr_ints(n, name, &count);
    if (!v || n->n_in > at) return OC_OK;
    int c = constant_of(g, OC_DTYPE_I64, 1, (int64_t)count, v);
    if (c < 0) return oc__fail_nomem(err);
    OC_TRY(add_inputs(g, n, at, 1, &c, err));
    return drop_attr(g, n, name, err);
}

static oc_status raise_clip(oc__graph *g, oc__node *n, oc_error *err) {
    float lo = oc__attr_float(n, "min", -3.4028235e38f);
    float hi = oc__attr_float(n, "max", 3.4028235e38f);
    int in[2] = {constant_of(g, OC_DTYPE_F32, 0, 1, &lo),
                 constant_of(g, OC_DTYPE_F32, 0, 1, &hi)};
    if (in[0] < 0 || in[1] < 0) return oc__fail_nomem(err);
    OC_TRY(add_inputs(g, n, 1, 2, in, err));
    OC_TRY(drop_attr(g, n, "min", err));
    return drop_attr(g, n, "max", err);
}

static oc_status raise_pad(oc__graph *g, oc__node *n, oc_error *err) {
    float value = oc__attr_float(n, "value", 0);
    OC_TRY(ints_to_input(g, n, "pads", 1, err));
    int c = constant_of(g, OC_DTYPE_F32, 0, 1, &value);
    if (c < 0) return oc__fail_nomem(err);
    OC_TRY(add_inputs(g, n, 2, 1, &c, err));
    return drop_attr(g, n, "value", err);
}

/* Starts, ends, axes; without axes they are the first ones. */
static oc_status raise_slice(oc__graph *g, oc__node *n, oc_error *err) {
    size_t count, axes;
    int64_t first[OC_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int64_t *starts = oc__attr_ints(n, "starts", &count);
    const int64_t *a = oc__attr_ints(n, "axes", &axes);
    if (!starts || count > OC_MAX_RANK) return OC_OK;
    int c = constant_of(g, OC_DTYPE_I64, 1, (int64_t)count, a ? a : first);
    if (c < 0) return oc__fail_nomem(err);
    OC_TRY(ints_to_input(g, n, "starts", 1, err));
    OC_TRY(ints_to_input(g, n, "ends", 2, err));
    OC_TRY(add_inputs(g, n, 3, 1, &c, err));
    return drop_attr(g, n, "axes", err);
}

/* Upsample, and Resize as it was before it took sizes. */
static oc_status raise_resize(oc__graph *g, oc__node *n, int from_upsample,
                              oc_error *err) {
    size_t count;
    const float *scales = oc__attr_floats(n, "scales", &count);
    int c = scales ? constant_of(g, OC_DTYPE_F32, 1, (int64_t)count, scales)
                   : n->in[1];
    int in[2] = {-1, c};
    oc__attr *list =
        oc__arena_array(g->arena, (size_t)n->n_attrs + 2, sizeof *list);
    if (c < 0 || !list) return oc__fail_nomem(err);
    OC_TRY(add_inputs(g, n, 1, 2, in, err));
    OC_TRY(drop_attr(g, n, "scales", err));
    memcpy(list, n->attrs, (size_t)n->n_attrs * sizeof *list);
    list[n->n_attrs] = (oc__attr){.name = "coordinate_transformation_mode",
                                  .type = OC_ATTR_STRING,
                                  .s = {"asymmetric", 10}};
    list[n->n_attrs + 1] = (oc__attr){
        .name = "nearest_mode", .type = OC_ATTR_STRING, .s = {"floor", 5}};
    n->attrs = list;
    n->n_attrs += 2;
    if (from_upsample) n->op = oc__op_find("", "Resize");
    return OC_OK;
}

static oc_status set_axis(oc__graph *g, oc__node *n, int64_t axis,
                          oc_error *err) {
    OC_TRY(drop_attr(g, n, "axis", err));
    oc__attr *list =
        oc__arena_array(g->arena, (size_t)n->n_attrs + 1, sizeof *list);
    if (!list) return oc__fail_nomem(err);
    if (n->n_attrs) memcpy(list, n->attrs, (size_t)n->n_attrs * sizeof *list);
    list[n->n_attrs] = (oc__attr){0};
    n->attrs = list;
    oc__attr_set_int(n, n->n_attrs++, "axis", axis);
    return OC_OK;
}

/* n works on its input as a matrix, with `axis` and what is behind it as
 * columns, and what it makes gets its shape back. */
static oc_status flatten_around(oc__graph *g, oc__node *n, int64_t axis,
                                oc_error *err) {
    oc__node *shape =
        oc__graph_add_node(g, oc__op_find("", "Shape"), "", TARGET, 1, 1, 0);
    oc__node *flat =
        oc__graph_add_node(g, oc__op_find("", "Flatten"), "", TARGET, 1, 1, 1);
    oc__node *back =
        oc__graph_add_node(g, oc__op_find("", "Reshape"), "", TARGET, 2, 1, 0);
    int dims = oc__graph_add_value(g, NULL), x = oc__graph_add_value(g, NULL),
        y = oc__graph_add_value(g, NULL);
    if (!shape || !flat || !back || dims < 0 || x < 0 || y < 0)
        return oc__fail_nomem(err);
    shape->in[0] = flat->in[0] = n->in[0];
    oc__attr_set_int(flat, 0, "axis", axis);
    shape->out[0] = back->in[1] = dims;
    flat->out[0] = n->in[0] = x;
    back->out[0] = n->out[0];
    n->out[0] = back->in[0] = y;
    return set_axis(g, n, 1, err);
}

/* Softmax and its kin flattened behind `axis`, 1 where none was given; now they
 * go along it alone, the last where none is.  Where that may not be the same,
 * they get a matrix. */
static oc_status raise_softmax(oc__graph *g, oc__node *n, oc_error *err) {
    const oc__value_def *x = &g->values[n->in[0]];
    int64_t axis = oc__attr_int(n, "axis", 1), behind = 1;
    if (axis < 0 && x->rank >= 0) axis += x->rank;
    for (int64_t i = axis + 1; i < x->rank; i++)
        behind *= x->dims[i];
    return axis != -1 && (x->rank < 0 || behind != 1)
               ? flatten_around(g, n, axis, err)
               : set_axis(g, n, axis, err);
}

static oc_status raise_node(oc__graph *g, oc__node *n, oc_error *err) {
    const char *op = n->op->name;
    if (n->op->domain[0]) return OC_OK;
    if (!strcmp(op, "Squeeze") || !strcmp(op, "Unsqueeze") ||
        !strcmp(op, "ReduceSum"))
        return ints_to_input(g, n, "axes", 1, err);
    if (!strcmp(op, "Split")) return ints_to_input(g, n, "split", 1, err);
    if (!strcmp(op, "Clip") && n->version < 11) return raise_clip(g, n, err);
    if (!strcmp(op, "Pad") && n->version < 11) return raise_pad(g, n, err);
    if (!strcmp(op, "Slice") && n->version < 10) return raise_slice(g, n, err);
    if (!strcmp(op, "Upsample")) return raise_resize(g, n, 1, err);
    if (!strcmp(op, "Resize") && n->version < 11)
        return raise_resize(g, n, 0, err);
    if (!strcmp(op, "Softmax") || !strcmp(op, "LogSoftmax") ||
        !strcmp(op, "Hardmax"))
        return raise_softmax(g, n, err);
    if (n->version < 7 || !strcmp(op, "Scatter") ||
        (!strcmp(op, "TopK") && n->version < 10))
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "node \"%s\" (%s) is written as in operator set %d, "
                        "which set 13 has no words for; export the model with "
                        "a newer set",
                        n->name, op, n->version);
    return OC_OK;
}

oc_status oc__quant_raise(oc__graph *g, int version, oc_error *err) {
    int own = g->n_nodes;
    if (version >= TARGET) return OC_OK;
    for (int i = 0; i < own; i++) {
        if (g->nodes[i]->dead) continue;
        OC_TRY(raise_node(g, g->nodes[i], err));
        g->nodes[i]->version = TARGET;
    }
    return OC_OK;
}

oc_status oc__quant_raise_header(oc__onnx *m, oc__arena *arena, oc_error *err) {
    size_t n = m->n_opsets;
    oc__opset *list = oc__arena_array(arena, n + 1, sizeof *list);
    int found = 0;
    if (!list) return oc__fail_nomem(err);
    if (n) memcpy(list, m->opsets, n * sizeof *list);
    for (size_t i = 0; i < n; i++)
        if (!list[i].domain[0] || !strcmp(list[i].domain, "ai.onnx")) {
            list[i].version = OC_MAX(list[i].version, TARGET);
            found = 1;
        }
    if (!found) list[n++] = (oc__opset){"", TARGET};
    m->opsets = list;
    m->n_opsets = n;
    m->ir_version = OC_MAX(m->ir_version, 7);
    return OC_OK;
}
