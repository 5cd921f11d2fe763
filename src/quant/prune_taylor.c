/*
 * prune_taylor.c - what the loss would be without a channel, to first order.
 *
 * A channel is taken out by turning all that makes it down to 0.  The loss
 * changes by the sum of w dL/dw over these numbers (Molchanov et al.,
 * arXiv:1906.10771): scale and shift of its batch norm, or the weights and the
 * bias where there is none.
 */
#include "passes/differentiate.h"
#include "quant/units.h"
#include "runtime/exec.h"

#include <math.h>
#include <string.h>

struct oc__taylor {
    const oc__prune *p;
    const oc_allocator *allocator;
    oc__arena arena;
    oc__graph *g;
    int n_own;   /* inputs of the model */
    int *params; /* values of p->g that are differentiated by */
    int n_params;
    int *slice_param;    /* of each slice of p: its number, or -1 */
    double *now, *score; /* of each class: of this sample, of all */
    oc__exec_env env;
    oc__exec *exec;
    oc_value *values;
    const oc_value **refs;
    int64_t label;
};

/* ---- the graph ------------------------------------------------------------
 */

/* Which constants are differentiated by. */
static oc_status choose_params(oc__taylor *t, oc_error *err) {
    const oc__prune *p = t->p;
    size_t n = (size_t)p->n_slices + 1;
    char *normed = oc__arena_alloc(&t->arena, (size_t)p->n_units + 1);
    t->params = oc__arena_array(&t->arena, n, sizeof *t->params);
    t->slice_param = oc__arena_array(&t->arena, n, sizeof *t->slice_param);
    if (!normed || !t->params || !t->slice_param) return oc__fail_nomem(err);
    for (int i = 0; i < p->n_slices; i++)
        for (int64_t k = 0; k < p->slices[i].n; k++)
            normed[p->slices[i].unit[k]] |= p->slices[i].role == OC_PRUNE_SCALE;
    for (int i = 0; i < p->n_slices; i++) {
        const oc__prune_slice *s = &p->slices[i];
        int norm = s->role == OC_PRUNE_SCALE || s->role == OC_PRUNE_SHIFT;
        int own = s->role == OC_PRUNE_FILTER || s->role == OC_PRUNE_BIAS;
        int v = p->g->nodes[s->node]->in[s->input], at = 0;
        t->slice_param[i] = -1;
        if (!norm && (!own || normed[s->unit[0]])) continue;
        while (at < t->n_params && t->params[at] != v)
            at++;
        if (at == t->n_params) t->params[t->n_params++] = v;
        t->slice_param[i] = at;
    }
    return OC_OK;
}

/* What the loss is taken of: the output, before a softmax. */
static int find_logits(const oc__taylor *t, oc_error *err) {
    const oc__graph *g = t->g;
    int v = g->n_outputs == 1 ? g->outputs[0] : -1;
    const int64_t *dims;
    int rank = v < 0 ? -1 : oc__prune_dims(t->p, v, &dims);
    int64_t classes = rank > 0 ? 1 : 0;
    for (int i = 0; i < rank; i++)
        classes *= dims[i];
    if (rank < 2 || classes != dims[1] || classes < 2) {
        oc__fail(err, OC_E_UNSUPPORTED,
                 "gradients need a classifier: one output with a number for "
                 "each class");
        return -1;
    }
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], "Softmax") && g->nodes[i]->out[0] == v)
            return g->nodes[i]->in[0];
    return v;
}

static int add_input(oc__taylor *t, int v, const oc_tensor *like) {
    oc__value_def *d = &t->g->values[v];
    d->kind = OC_KIND_TENSOR;
    d->dtype = like->dtype;
    d->rank = like->rank;
    memcpy(d->dims, like->dims, sizeof d->dims);
    t->g->inputs[t->g->n_inputs] = v;
    return t->g->n_inputs++;
}

static oc_status make_inputs(oc__taylor *t, int label, oc_error *err) {
    oc__graph *g = t->g;
    size_t n = (size_t)(t->n_own + 1 + t->n_params);
    int *list = oc__arena_array(&t->arena, n, sizeof *list);
    t->values = oc__arena_array(&t->arena, n, sizeof *t->values);
    t->refs = oc__arena_array(&t->arena, n, sizeof *t->refs);
    if (!list || !t->values || !t->refs) return oc__fail_nomem(err);
    if (t->n_own) memcpy(list, g->inputs, (size_t)t->n_own * sizeof *list);
    g->inputs = list;
    oc_tensor one = {.dtype = OC_DTYPE_I64, .rank = 1, .dims = {1}};
    one.data = &t->label;
    for (int i = 0; i <= t->n_params; i++) {
        int v = i ? t->params[i - 1] : label;
        const oc_tensor *x = i ? oc__constant(t->p->g, v) : &one;
        int at = add_input(t, v, x);
        t->values[at].kind = OC_KIND_TENSOR;
        t->values[at].t = *x;
        t->refs[at] = &t->values[at];
        if (!i) continue;
        /* The data stay those of the graph this one is a clone of. */
        oc__buf_release(g->values[v].buf);
        g->values[v].buf = NULL;
        g->values[v].constant = NULL;
    }
    return OC_OK;
}

static oc_status build(oc__taylor *t, oc_error *err) {
    oc__diff d = {.allocator = t->allocator, .err = err};
    d.g = t->g = oc__graph_clone(t->p->g, &t->arena);
    if (!t->g) return oc__fail_nomem(err);
    t->n_own = t->g->n_inputs;
    OC_TRY(choose_params(t, err));
    int logits = find_logits(t, err);
    if (logits < 0) return OC_E_UNSUPPORTED;
    int label = oc__graph_add_value(t->g, "label");
    if (label < 0) return oc__fail_nomem(err);
    OC_TRY(make_inputs(t, label, err));
    int flat = oc__diff_emit(&d, "", "Flatten", 13, 0, 1, &logits);
    int pair[2] = {flat, label};
    int loss = oc__diff_emit(&d, "", "SoftmaxCrossEntropyLoss", 13, 0, 2, pair);
    size_t n = (size_t)t->n_params + 1;
    int *grads = oc__arena_array(&t->arena, n, sizeof *grads);
    if (loss < 0 || !grads) return oc__fail_nomem(err);
    OC_TRY(oc__gradients(t->g, t->allocator, loss, t->params, t->n_params,
                         grads, err));
    t->g->outputs = grads;
    t->g->n_outputs = t->n_params;
    OC_TRY(oc__graph_sort(t->g, err));
    OC_TRY(oc__passes_run(t->g, t->env.kernels, 0, t->allocator, err));
    return oc__exec_create(&t->exec, t->g, &t->env, err);
}

/* ---- samples --------------------------------------------------------------
 */

oc_status oc__taylor_create(oc__taylor **out, const oc__prune *p,
                            const oc__kernels *kernels, int threads,
                            const oc_allocator *a, oc_error *err) {
    oc__taylor *t = oc__calloc(a, 1, sizeof *t);
    if (!t) return oc__fail_nomem(err);
    t->p = p;
    t->allocator = a;
    oc__arena_init(&t->arena, a);
    t->env.kernels = kernels;
    t->env.allocator = a;
    t->env.threads = threads;
    t->env.plan_cache_bytes = 1;
    oc__rng_init(&t->env.rng, 0);
    atomic_init(&t->env.cancelled, 0);
    size_t n = (size_t)p->n_units + 1;
    t->now = oc__arena_array(&t->arena, n, sizeof *t->now);
    t->score = oc__arena_array(&t->arena, n, sizeof *t->score);
    oc_status st = t->now && t->score ? OC_OK : oc__fail_nomem(err);
    if (!st) st = oc__pool_create(&t->env.pool, a, threads, err);
    if (!st) st = build(t, err);
    if (st) {
        oc__taylor_destroy(t);
        return st;
    }
    *out = t;
    return OC_OK;
}

void oc__taylor_destroy(oc__taylor *t) {
    if (!t) return;
    oc__exec_destroy(t->exec);
    oc__pool_destroy(t->env.pool);
    if (t->g) oc__graph_release(t->g);
    oc__arena_deinit(&t->arena);
    const oc_allocator *a = t->allocator;
    oc__release(a, t, sizeof *t);
}

/* w g over each row of a slice, for the classes of the rows. */
static void add_rows(oc__taylor *t, const oc__prune_slice *s,
                     const oc_tensor *g) {
    const oc_tensor *w =
        oc__constant(t->p->g, t->p->g->nodes[s->node]->in[s->input]);
    int64_t inner = 1, elems = oc_tensor_elems(w);
    const float *x = w->data, *dx = g->data;
    for (int i = s->axis + 1; i < w->rank; i++)
        inner *= w->dims[i];
    for (int64_t i = 0; i < elems; i++)
        t->now[oc__prune_class(t->p, s->unit[i / inner % s->n])] +=
            (double)x[i] * (double)dx[i];
}

oc_status oc__taylor_add(oc__taylor *t, const oc_value *const *inputs,
                         int label, oc_error *err) {
    const oc__prune *p = t->p;
    t->label = label;
    for (int i = 0; i < t->n_own; i++)
        t->refs[i] = inputs[i];
    OC_TRY(oc__exec_run(t->exec, t->refs, err));
    memset(t->now, 0, (size_t)p->n_units * sizeof *t->now);
    for (int i = 0; i < p->n_slices; i++) {
        if (t->slice_param[i] < 0) continue;
        const oc_value *g = oc__exec_output(t->exec, t->slice_param[i]);
        if (!g || g->kind != OC_KIND_TENSOR || g->t.dtype != OC_DTYPE_F32)
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "a gradient of the model is no tensor in f32");
        add_rows(t, &p->slices[i], &g->t);
    }
    for (int u = 0; u < p->n_units; u++)
        t->score[u] += isfinite(t->now[u]) ? fabs(t->now[u]) : 0;
    return OC_OK;
}

void oc__taylor_score(const oc__taylor *t, double *score) {
    memcpy(score, t->score, (size_t)t->p->n_units * sizeof *score);
}
