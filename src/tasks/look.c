/* look.c - a network's inputs, outputs and the nodes next to them. */
#include "tasks/look.h"

#include "base/size.h"
#include "ops/op.h"
#include "runtime/model.h"
#include "tasks/vision_private.h"

#include <string.h>

/* ---- the input ------------------------------------------------------------
 */

/*
 * A dim of 1, 3 or 4 is the channels; where it stands is the layout.  A
 * network fed by a Transpose that brings channels to the front is NHWC, too,
 * even when the file fixes no dims.
 */
static void look_at_input(oc__look *l) {
    const oc_value_info *info = oc_model_input(l->model, l->input);
    int64_t d[4] = {-1, -1, -1, -1};
    l->dtype = info->dtype;
    l->rank = info->rank < 0 ? 4 : info->rank;
    for (int i = 0; i < info->rank && l->rank <= 4; i++) {
        d[4 - l->rank + i] = info->dims[i];
    }
    if (l->rank == 2) { /* [h,w] */
        l->channels = 1;
    } else if (d[1] == 1 || d[1] == 3) {
        l->layout = OC_LAYOUT_NCHW;
        l->channels = (int)d[1];
    } else if (d[3] == 1 || d[3] == 3) {
        l->layout = OC_LAYOUT_NHWC;
        l->channels = (int)d[3];
    }
    int nhwc = l->layout == OC_LAYOUT_NHWC;
    int64_t h = nhwc ? d[1] : d[2], w = nhwc ? d[2] : d[3];
    l->height = h > 0 && h <= 65536 ? (int)h : 0;
    l->width = w > 0 && w <= 65536 ? (int)w : 0;
}

static oc_status look_at_outputs(oc__look *l) {
    l->n = OC_MIN(oc_model_output_count(l->model), OC_MAX_SEEN);
    for (int i = 0; i < l->n; i++) {
        const oc_value_info *info = oc_model_output(l->model, i);
        l->out[i].name = info->name;
        l->out[i].dtype = info->dtype;
        l->out[i].rank = info->kind == OC_KIND_TENSOR ? info->rank : -1;
        memcpy(l->out[i].dims, info->dims, sizeof info->dims);
    }
    return OC_OK;
}

/* A model from memory has no folder for weights in other files. */
static oc_status load_plain(oc__look *l, oc_error *err) {
    const oc_model *m = l->model;
    oc_options opt = m->options;
    if (opt.optimize < 0 && !opt.cache_folder) {
        l->plain = l->model;
        return OC_OK;
    }
    opt.allocator = &m->allocator;
    opt.optimize = -1;
    opt.precision = OC_PRECISION_F32; /* another would want the passes */
    opt.cache_folder = NULL;          /* it is the graph that is wanted */
    if (m->path) return oc_model_load(&l->plain, m->path, &opt, err);
    return oc_model_load_memory(&l->plain, m->bytes, m->n_bytes, &opt, err);
}

oc_status oc__look_init(oc__look *l, const oc_card *card, oc_model *model,
                        oc_error *err) {
    memset(l, 0, sizeof *l);
    l->model = model;
    OC_TRY(oc__card_input(card, model, &l->input, err));
    look_at_input(l);
    OC_TRY(look_at_outputs(l));
    OC_TRY(load_plain(l, err));
    oc__arena_init(&l->arena, &model->allocator);
    oc_status st = oc__model_graph(l->plain, &l->graph, err);
    if (st != OC_OK) {
        oc__look_deinit(l);
        return st;
    }
    size_t n = (size_t)l->graph->n_values;
    l->producer = oc__arena_array(&l->arena, n + 1, sizeof *l->producer);
    l->uses = oc__arena_array(&l->arena, n + 1, sizeof *l->uses);
    if (!l->producer || !l->uses) {
        oc__look_deinit(l);
        return oc__fail_nomem(err);
    }
    oc__graph_find_producers(l->graph, l->producer);
    oc__graph_count_uses(l->graph, l->uses);
    return OC_OK;
}

void oc__look_deinit(oc__look *l) {
    if (l->arena.allocator) oc__arena_deinit(&l->arena);
    if (l->plain != l->model) oc_model_destroy(l->plain);
    l->plain = NULL;
}

/* ---- shapes by a run ------------------------------------------------------
 */

static int all_known(const oc__look *l) {
    for (int i = 0; i < l->n; i++) {
        if (l->out[i].rank < 0) return 0;
        /* A free batch is no riddle. */
        for (int k = 1; k < l->out[i].rank; k++) {
            if (l->out[i].dims[k] < 0) return 0;
        }
    }
    return 1;
}

/* An input of gray pictures, or of zeros. */
static oc_status set_probe(oc__look *l, oc_session *s, int i, int height,
                           int width, oc__arena *arena, oc_error *err) {
    const oc_value_info *info = oc_model_input(l->model, i);
    oc_tensor t = {0};
    t.dtype = info->dtype;
    t.rank = info->rank < 0 ? (i == l->input ? 4 : 1) : info->rank;
    for (int k = 0; k < t.rank; k++) {
        t.dims[k] = info->rank < 0 || info->dims[k] < 0 ? 1 : info->dims[k];
    }
    if (i == l->input && t.rank >= 3) {
        int nhwc = l->layout == OC_LAYOUT_NHWC;
        int64_t *d = t.dims + t.rank - 3;
        d[nhwc ? 0 : 1] = l->height ? l->height : height;
        d[nhwc ? 1 : 2] = l->width ? l->width : width;
        if (!l->channels) d[nhwc ? 2 : 0] = 3;
    }
    int64_t n;
    if (oc__dims_product(t.dims, t.rank, &n) || n > (1 << 28))
        return oc__fail(err, OC_E_LIMIT, "input \"%.60s\" is too large",
                        info->name);
    t.data = oc__arena_array(arena, (size_t)n + 1, oc_dtype_bytes(t.dtype));
    if (!t.data) return oc__fail_nomem(err);
    for (int64_t k = 0; t.dtype != OC_DTYPE_STRING && k < n; k++) {
        oc__tensor_set_f64(&t, k, i == l->input ? 0.5 : width);
    }
    return oc_session_set_input(s, i, &t, err);
}

static oc_status probe(oc__look *l, oc_session *s, int height, int width,
                       oc__arena *arena, oc_error *err) {
    for (int i = 0; i < oc_model_input_count(l->model); i++) {
        if (oc_model_input(l->model, i)->optional) continue;
        OC_TRY(set_probe(l, s, i, height, width, arena, err));
    }
    OC_TRY(oc_session_run(s, err));
    for (int i = 0; i < l->n; i++) {
        const oc_tensor *t = oc_session_output_tensor(s, i);
        if (!t) continue;
        int known = l->out[i].rank == t->rank;
        for (int k = 0; k < t->rank; k++) {
            /* How many things were found says nothing about the next time. */
            if (t->dims[k] > 0 || !known) l->out[i].dims[k] = t->dims[k];
        }
        l->out[i].rank = t->rank;
        l->out[i].dtype = t->dtype;
    }
    return OC_OK;
}

oc_status oc__look_probe(oc__look *l, int height, int width, oc_error *err) {
    oc_session_options opt = {0};
    oc_session *s;
    oc__arena arena;
    if (all_known(l)) return OC_OK;
    opt.threads = 1;
    OC_TRY(oc_session_create(&s, l->model, &opt, err));
    oc__arena_init(&arena, &l->model->allocator);
    oc_status st = probe(l, s, height, width, &arena, err);
    oc__arena_deinit(&arena);
    oc_session_destroy(s);
    return st;
}

/* ---- upwards from the outputs ---------------------------------------------
 */

static const oc__node *maker(const oc__look *l, int value) {
    if (value < 0 || l->producer[value] < 0) return NULL;
    return l->graph->nodes[l->producer[value]];
}

static int is(const oc__node *n, const char *op) {
    return !strcmp(n->op->name, op);
}

static int is_one_of(const oc__node *n, const char *const *ops) {
    for (; *ops; ops++) {
        if (is(n, *ops)) return 1;
    }
    return 0;
}

/* Ops that move numbers and do not change them. */
static const char *const movers[] = {
    "Identity", "Reshape",          "Transpose",
    "Squeeze",  "Flatten",          "Unsqueeze",
    "Cast",     "Concat",           "Slice",
    "Split",    "DequantizeLinear", "QuantizeLinear",
    "Resize",   "DepthToSpace",     "Upsample",
    NULL};

oc__ending oc__look_ending(const oc__look *l, int output) {
    int value = l->graph->outputs[output];
    for (int depth = 0; depth < 64; depth++) {
        const oc__node *n = maker(l, value);
        if (!n) return OC_END_OTHER;
        if (is(n, "Sigmoid") || is(n, "HardSigmoid") || is(n, "QLinearSigmoid"))
            return OC_END_SIGMOID;
        if (is(n, "Softmax") || is(n, "QLinearSoftmax")) return OC_END_SOFTMAX;
        if (is(n, "ArgMax")) return OC_END_ARGMAX;
        if (!is_one_of(n, movers) || !n->n_in) return OC_END_OTHER;
        value = n->in[0];
    }
    return OC_END_OTHER;
}

int oc__look_filters(const oc__look *l, int output) {
    int value = l->graph->outputs[output];
    for (int depth = 0; depth < 64; depth++) {
        const oc__node *n = maker(l, value);
        if (!n || !n->n_in) return 0;
        if (is(n, "Conv") && n->n_in > 1) {
            const oc_tensor *w = l->graph->values[n->in[1]].constant;
            return w && w->rank == 4 && w->dims[0] < 65536 ? (int)w->dims[0]
                                                           : 0;
        }
        if (!is(n, "ArgMax") && !is(n, "Softmax") && !is_one_of(n, movers))
            return 0;
        value = n->in[0];
    }
    return 0;
}

/* budget: nodes that may still be visited, since paths multiply. */
static int above(const oc__look *l, int value, const char *op, int depth,
                 int *budget) {
    const oc__node *n = maker(l, value);
    if (!n || depth <= 0 || --*budget < 0) return 0;
    if (is(n, op)) return 1;
    for (int i = 0; i < n->n_in; i++) {
        if (above(l, n->in[i], op, depth - 1, budget)) return 1;
    }
    return 0;
}

int oc__look_above(const oc__look *l, int output, const char *op, int depth) {
    int budget = 4000;
    return above(l, l->graph->outputs[output], op, OC_MIN(depth, 16), &budget);
}

/* ---- names ----------------------------------------------------------------
 */

static int matches(const char *name, const char *start, const char *end) {
    size_t n = strlen(name), e = end ? strlen(end) : 0;
    if (start && strncmp(name, start, strlen(start)) != 0) return 0;
    return n >= e && (!end || !strcmp(name + n - e, end));
}

int oc__look_constant(const oc__look *l, const char *start, const char *end) {
    for (int i = 0; i < l->graph->n_values; i++) {
        const oc__value_def *v = &l->graph->values[i];
        if (v->constant && v->name && matches(v->name, start, end)) return 1;
    }
    return 0;
}

int oc__look_node(const oc__look *l, const char *start) {
    for (int i = 0; i < l->graph->n_nodes; i++) {
        if (matches(l->graph->nodes[i]->name, start, NULL)) return 1;
    }
    return 0;
}
