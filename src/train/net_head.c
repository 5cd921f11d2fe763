/*
 * net_head.c - the last layer over the classes, and a new one in its place.
 *
 *     ... --> Gemm, MatMul or Conv --> [Add] [Relu, pooling, Flatten ...] -->
 *             logits --> [Softmax] --> output
 *
 * The walk goes back from the output over what does not mix classes.
 */
#include "train/net.h"

#include "passes/match.h"

#include <string.h>

typedef struct head {
    oc__net *net;
    oc__index ix;
    oc__node *layer; /* that has the weight */
    int axis;        /* of the classes in the weight */
    int bias;        /* input number of a bias in `layer`, or */
    oc__node *add;   /* the Add behind it, and which of its inputs */
    int add_input;
    int64_t classes; /* so far */
    int stays;       /* nonzero: they are the first of the new ones */
    oc_error *err;
} head;

static int is_any(const oc__node *n, const char *const *names) {
    for (; *names; names++)
        if (oc__is_op(n, *names)) return 1;
    return 0;
}

/* What makes scores of logits. */
static const char *const ends[] = {"Softmax", "LogSoftmax", "Sigmoid", NULL};
/* What lies between the layer and the output without mixing classes. */
static const char *const between[] = {
    "Identity",    "Flatten",    "Reshape", "Squeeze",
    "Unsqueeze",   "Dropout",    "Relu",    "GlobalAveragePool",
    "AveragePool", "ReduceMean", "Cast",    "Transpose",
    "Clip",        NULL};

static oc_status no_head(const head *h, const char *at) {
    /* What fuse_qdq makes of the last layer. */
    if (!strcmp(at, "MatMulIntegerToFloat") ||
        !strcmp(at, "ConvIntegerToFloat") || !strncmp(at, "QLinear", 7))
        return oc__fail(h->err, OC_E_UNSUPPORTED,
                        "the model is quantized already (its last layer is "
                        "%.60s); train the one in f32",
                        at);
    return oc__fail(h->err, OC_E_UNSUPPORTED,
                    "the model's last layer over classes was not found (looked "
                    "back from the output to %.60s), so its head cannot be "
                    "replaced",
                    at);
}

/* Input j of n is a constant of the graph: its tensor. */
static const oc_tensor *constant_in(const head *h, const oc__node *n, int j) {
    return j < n->n_explicit && n->in[j] >= 0
               ? oc__constant(h->net->g, n->in[j])
               : NULL;
}

/* Whether n is the layer; fills in what it is like. */
static int is_layer(head *h, oc__node *n) {
    const oc_tensor *w = constant_in(h, n, 1);
    if (!w || w->dtype != OC_DTYPE_F32 || w->rank < 2) return 0;
    h->bias = -1;
    if (oc__is_op(n, "Gemm")) {
        h->axis = oc__attr_int(n, "transB", 0) ? 0 : 1;
    } else if (oc__is_op(n, "MatMul")) {
        h->axis = w->rank - 1;
    } else if (oc__is_op(n, "Conv") && oc__attr_int(n, "group", 1) == 1) {
        h->axis = 0;
    } else {
        return 0;
    }
    if (!oc__is_op(n, "MatMul") && constant_in(h, n, 2)) h->bias = 2;
    h->layer = n;
    h->classes = w->dims[h->axis];
    return 1;
}

/* Goes back from v to the layer. */
static oc_status find_layer(head *h, int v) {
    for (;;) {
        oc__node *n = oc__producer(&h->ix, v);
        if (!n) return no_head(h, "the input");
        if (is_layer(h, n)) return OC_OK;
        if (oc__is_op(n, "Add") && !h->add) {
            int c = oc__const_input(h->net->g, n);
            if (c < 0) return no_head(h, "a sum");
            h->add = n;
            h->add_input = c;
            v = n->in[1 - c];
        } else if (is_any(n, between)) {
            h->net->head_scales &= !oc__is_op(n, "Clip");
            v = n->in[0];
        } else {
            return no_head(h, n->op->name);
        }
    }
}

/*
 * A new constant in the place of t, its dimension `axis` now n long: what t
 * has of it where the head stays, fresh numbers elsewhere.
 */
static int resized(head *h, const oc_tensor *t, int axis, int64_t n,
                   double deviation, oc__rng *rng) {
    oc_tensor to = *t;
    to.dims[axis] = n;
    int64_t count = oc_tensor_elems(&to), inner = 1, before = t->dims[axis];
    const float *old = t->data;
    float *data = oc__arena_alloc_raw(
        &h->net->arena, OC_MAX((size_t)count * sizeof(float), 256));
    if (!data) return -1;
    for (int i = axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    for (int64_t i = 0; i < count; i++) {
        int64_t k = i / inner % n, outer = i / inner / n;
        float fresh =
            deviation > 0 ? (float)(deviation * oc__rng_normal(rng)) : 0;
        data[i] = h->stays && k < before
                      ? old[(outer * before + k) * inner + i % inner]
                      : fresh;
    }
    to.data = data;
    return oc__graph_add_constant(h->net->g, NULL, &to);
}

/* Reshapes behind the layer that say how many classes there are. */
static oc_status fix_reshapes(head *h, int v, int64_t classes) {
    for (oc__node *n; (n = oc__producer(&h->ix, v)) != h->layer; v = n->in[0]) {
        if (n == h->add && h->add_input == 0) {
            v = n->in[1];
            n = oc__producer(&h->ix, v);
            if (n == h->layer) break;
        }
        const oc_tensor *t = constant_in(h, n, 1);
        if (!oc__is_op(n, "Reshape") || !t || t->dtype != OC_DTYPE_I64)
            continue;
        oc_tensor to = *t;
        int64_t *list =
            oc__arena_dup(&h->net->arena, t->data, oc_tensor_bytes(t));
        if (!list) return oc__fail_nomem(h->err);
        for (int64_t i = 0; i < oc_tensor_elems(t); i++)
            if (list[i] == h->classes) list[i] = classes;
        to.data = list;
        n->in[1] = oc__graph_add_constant(h->net->g, NULL, &to);
        if (n->in[1] < 0) return oc__fail_nomem(h->err);
    }
    return OC_OK;
}

static oc_status replace(head *h, int64_t classes, uint64_t seed) {
    oc__graph *g = h->net->g;
    oc__rng rng;
    oc__rng_init(&rng, seed);
    const oc_tensor *w = constant_in(h, h->layer, 1);
    int fresh = resized(h, w, h->axis, classes, 0.01, &rng);
    if (fresh < 0) return oc__fail_nomem(h->err);
    h->layer->in[1] = fresh;
    if (h->bias >= 0) {
        const oc_tensor *b = constant_in(h, h->layer, h->bias);
        int axis = b->rank - 1;
        if (b->rank < 1 || b->dims[axis] != h->classes)
            return no_head(h, "a bias of another size");
        h->layer->in[h->bias] = resized(h, b, axis, classes, 0, &rng);
        if (h->layer->in[h->bias] < 0) return oc__fail_nomem(h->err);
    }
    if (h->add) {
        const oc_tensor *b = oc__constant(g, h->add->in[h->add_input]);
        int axis = -1;
        for (int i = 0; i < b->rank; i++)
            if (b->dims[i] == h->classes) axis = i;
        if (axis < 0 || b->dtype != OC_DTYPE_F32)
            return no_head(h, "a sum of another size");
        h->add->in[h->add_input] = resized(h, b, axis, classes, 0, &rng);
        if (h->add->in[h->add_input] < 0) return oc__fail_nomem(h->err);
    }
    h->net->classes_before = (int)h->classes;
    return OC_OK;
}

static oc_status work(head *h, const oc__net_options *opt) {
    oc__net *net = h->net;
    oc__graph *g = net->g;
    int v = g->outputs[0];
    oc__node *n = oc__producer(&h->ix, v);
    while (n && (is_any(n, ends) || oc__is_op(n, "Identity"))) {
        v = n->in[0];
        n = oc__producer(&h->ix, v);
    }
    net->head_scales = 1;
    OC_TRY(find_layer(h, v));
    h->stays = opt->keep_head;
    int64_t classes = opt->classes ? opt->classes : h->classes;
    if (classes < 1 || classes > 1 << 20 || h->classes > 1 << 20)
        return no_head(h, "a layer without classes");
    if (classes != h->classes || (opt->classes && !opt->keep_head)) {
        OC_TRY(fix_reshapes(h, v, classes));
        OC_TRY(replace(h, classes, opt->seed));
    }
    net->classes = (int)classes;
    net->head[0] = h->layer->in[1];
    if (h->bias >= 0) net->head[1] = h->layer->in[h->bias];
    if (h->add) net->head[2] = h->add->in[h->add_input];
    net->logits = v;
    g->n_outputs = 1;
    g->outputs[0] = v;
    return OC_OK;
}

oc_status oc__net_head(oc__net *net, const oc__net_options *opt,
                       oc_error *err) {
    head h = {.net = net, .err = err};
    if (net->g->n_outputs < 1)
        return oc__fail(err, OC_E_UNSUPPORTED, "the model has no output");
    OC_TRY(oc__index_init(&h.ix, net->g, net->allocator, err));
    oc_status st = work(&h, opt);
    oc__index_deinit(&h.ix);
    return st;
}
