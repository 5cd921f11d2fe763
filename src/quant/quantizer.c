/* quantizer.c - see ocelli/quant.h: samples go through the model, ranges are
 * noted, the coded graph is written. */
#include "onnx/export.h"
#include "passes/match.h"
#include "quant/blocks.h"
#include "quant/equalize.h"
#include "quant/glimpse.h"
#include "quant/moments.h"
#include "quant/turns.h"
#include "quant/weights_again.h"

#include <math.h>
#include <string.h>

/* A model that was written to memory and is not yet released. */
typedef struct given {
    oc__buf *buf;
    struct given *next;
} given;

struct oc_quantizer {
    oc_model *model;
    const oc_allocator *allocator;
    oc_quantize_options opt;
    oc__arena arena;
    oc__graph *graph; /* the model's, to be rewritten */
    oc__graph *seen;  /* the same with its watched values as outputs */
    oc__quant_plan plan;
    oc__exec_env env;
    oc__exec *exec;
    oc__glimpse glimpse; /* of what is watched, as samples run */
    int fewer;           /* a value turned out to be none to watch */
    oc__again again;     /* weights that come and go */
    oc__turns turns;     /* with memory_bytes */
    int64_t samples;
    int has_names;
    given *given;
};

/* ---- creating ------------------------------------------------------------ */

/* The graph that shows what is watched, behind its own outputs. */
static oc_status make_seen(oc_quantizer *q, oc_error *err) {
    oc__graph *g = oc__graph_clone(q->graph, &q->arena);
    if (!g) return oc__fail_nomem(err);
    q->seen = g;
    int n = g->n_outputs + q->plan.n_watches;
    int *out = oc__arena_array(&q->arena, (size_t)n, sizeof *out);
    if (!out) return oc__fail_nomem(err);
    memcpy(out, g->outputs, (size_t)g->n_outputs * sizeof *out);
    for (int i = 0; i < q->plan.n_watches; i++)
        out[g->n_outputs + i] = q->plan.watches[i].value;
    g->outputs = out;
    g->n_outputs = n;
    return OC_OK;
}

/* Layers are told apart by their names. */
static oc_status name_nodes(oc_quantizer *q, oc_error *err) {
    q->has_names = 1;
    for (int i = 0; i < q->graph->n_nodes; i++) {
        oc__node *n = q->graph->nodes[i];
        if (*n->name) continue;
        q->has_names = 0;
        n->name = oc__arena_printf(&q->arena, "%s_%d", n->op->name, i);
        if (!n->name) return oc__fail_nomem(err);
    }
    return OC_OK;
}

/* What is noted of inputs, and the most that takes meanwhile. */
static size_t moments_bytes(const oc_quantizer *q) {
    size_t all = 0, most = 0;
    for (int i = 0; i < q->plan.n_targets && !q->opt.round_nearest; i++) {
        const oc__quant_target *t = &q->plan.targets[i];
        const oc__node *n = q->graph->nodes[t->node];
        const oc_tensor *w = oc__constant(q->graph, n->in[1]);
        size_t work = 0;
        if (!t->bits)
            all += oc__moments_bytes(n, w, t->axis, &work) +
                   (size_t)oc_tensor_elems(w) / 8;
        most = OC_MAX(most, work);
    }
    return all + most;
}

/* Graphs, what is known of them, and constants that stay when others go: what
 * was read again has its own. */
static size_t standing_bytes(const oc_quantizer *q) {
    const oc_model *m = q->model;
    size_t each =
        m->arena.held_bytes + (m->onnx ? m->onnx->data.held_bytes : 0);
    return q->arena.held_bytes + (oc__again_may(&q->again) ? 2 : 1) * each +
           moments_bytes(q);
}

/* The graph that shows what is watched, ready to run: its weights are packed,
 * and those they are packed of go. */
static oc_status compile(void *user, oc__program **out,
                         const oc_value *const *inputs, const oc__pass_env *env,
                         oc_error *err) {
    oc_quantizer *q = user;
    oc__program *p = NULL;
    OC_TRY(oc__program_create(&p, q->allocator, err));
    p->graph = oc__graph_clone(q->seen, &p->arena);
    oc_status st = p->graph ? oc__again_compile(&q->again, p, inputs, env, err)
                            : oc__fail_nomem(err);
    if (!st)
        st = oc__glimpse_prepare(&q->glimpse, p, q->plan.n_watches, inputs, env,
                                 err);
    if (!st && q->opt.memory_bytes && !q->turns.n)
        st = oc__turns_plan(&q->turns, &q->plan, q->graph, p, standing_bytes(q),
                            q->opt.memory_bytes, err);
    if (st)
        oc__program_destroy(p);
    else
        *out = p;
    return st;
}

static oc__glimpse_look look_at;

/* What samples need.  With weights alone there may be none. */
static oc_status start(oc_quantizer *q, oc_error *err) {
    if (!q->seen) OC_TRY(make_seen(q, err));
    q->env.kernels = &q->model->kernels;
    q->env.allocator = q->allocator;
    q->env.threads = q->opt.threads > 0 ? q->opt.threads : oc_cpu_count();
    q->env.plan_cache_bytes = 1;
    q->env.glimpse = oc__glimpse_step;
    q->env.user = &q->glimpse;
    q->glimpse.look = look_at;
    q->glimpse.user = q;
    q->glimpse.allocator = q->allocator;
    oc__rng_init(&q->env.rng, 0);
    atomic_init(&q->env.cancelled, 0);
    OC_TRY(oc__pool_create(&q->env.pool, q->allocator, q->env.threads, err));
    return oc__exec_create_with(&q->exec, q->model->n_inputs, compile, q,
                                &q->env, err);
}

static oc_status setup(oc_quantizer *q, oc_error *err) {
    int only, quantized = 0;
    int bits = q->opt.weight_bits, group = q->opt.group;
    if ((bits && bits != 4 && bits != 8) || (group && !bits) ||
        (group && group != 32 && group != 64 && group != 128))
        return oc__fail(err, OC_E_ARG,
                        "weights have 4 or 8 bits in groups of 32, 64 or 128, "
                        "not %d in groups of %d",
                        bits, group);
    OC_TRY(oc__model_clone_graph(q->model, &q->graph, &q->arena, &only, err));
    oc__again_init(&q->again, q->model, q->graph, only);
    OC_TRY(name_nodes(q, err));
    OC_TRY(oc__quant_decide(&q->plan, q->graph, &q->opt, &q->arena,
                            q->allocator, err));
    for (int i = 0; i < q->plan.n_targets; i++)
        quantized += q->plan.targets[i].precision != OC_QUANT_F32;
    if (!quantized)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "there is nothing to quantize: no Conv, Gemm or MatMul "
                        "in f32 with constant weights%s",
                        q->plan.n_targets ? " that is not ignored" : "");
    if (q->opt.weight_bits)
        return oc__quant_decide_again(&q->plan, q->graph, q->allocator, err);
    if (!q->opt.no_equalize && !q->opt.per_tensor)
        OC_TRY(
            oc__equal_find(&q->plan, q->graph, &q->arena, q->allocator, err));
    return start(q, err);
}

oc_status oc_quantizer_create(oc_quantizer **out, oc_model *model,
                              const oc_quantize_options *opt, oc_error *err) {
    oc__error_clear(err);
    if (!out || !model)
        return oc__fail(err, OC_E_ARG, "oc_quantizer_create: NULL argument");
    oc_quantizer *q = oc__calloc(&model->allocator, 1, sizeof *q);
    if (!q) return oc__fail_nomem(err);
    q->model = model;
    q->allocator = &model->allocator;
    if (opt) q->opt = *opt;
    oc__arena_init(&q->arena, q->allocator);
    oc_status st = setup(q, err);
    /* Patterns are the caller's. */
    q->opt.ignore = NULL;
    q->opt.n_ignore = 0;
    if (st) {
        oc_quantizer_destroy(q);
        return st;
    }
    *out = q;
    return OC_OK;
}

static void drop_lanes(const oc_quantizer *q, oc__quant_watch *w) {
    oc__release(q->allocator, w->lanes,
                (size_t)w->lane_count * sizeof *w->lanes);
    w->lanes = NULL;
}

void oc_quantizer_destroy(oc_quantizer *q) {
    if (!q) return;
    for (int i = 0; i < q->plan.n_watches; i++) {
        oc__quant_watch *w = &q->plan.watches[i];
        oc__release(q->allocator, w->sums,
                    (size_t)w->channels * sizeof *w->sums);
        oc__release(q->allocator, w->gram,
                    oc__blocks_gram_elems(w->gram_k) * sizeof *w->gram);
        drop_lanes(q, w);
        oc__release(q->allocator, w->even, sizeof *w->even);
    }
    for (int i = 0; i < q->plan.n_targets; i++) {
        oc__quant_target *t = &q->plan.targets[i];
        oc__moments_destroy(t->moments, q->allocator);
        oc__release(q->allocator, t->turned, t->turned_bytes);
    }
    oc__exec_destroy(q->exec);
    oc__glimpse_deinit(&q->glimpse);
    oc__pool_destroy(q->env.pool);
    oc__again_deinit(&q->again);
    if (q->seen) oc__graph_release(q->seen);
    if (q->graph) oc__graph_release(q->graph);
    oc__arena_deinit(&q->arena);
    oc__release(q->allocator, q, sizeof *q);
}

/* ---- samples ------------------------------------------------------------- */

/* Sums of each channel along w->axis. */
static oc_status add_means(const oc_quantizer *q, oc__quant_watch *w,
                           const oc_tensor *t, oc_error *err) {
    int axis = w->axis < 0 ? t->rank - 1 : w->axis;
    if (axis < 0 || axis >= t->rank || t->dims[axis] < 1) return OC_OK;
    int64_t n = t->dims[axis], inner = 1, elems = oc_tensor_elems(t);
    for (int i = axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    if (!w->sums) {
        w->sums = oc__calloc(q->allocator, (size_t)n, sizeof *w->sums);
        if (!w->sums) return oc__fail_nomem(err);
        w->channels = n;
    }
    if (w->channels != n || inner < 1) return OC_OK;
    const float *x = t->data;
    for (int64_t i = 0; i + inner <= elems; i += inner) {
        double sum = 0;
        for (int64_t k = 0; k < inner; k++)
            sum += x[i + k];
        w->sums[i / inner % n] += sum;
    }
    w->counted += elems / n;
    return OC_OK;
}

/* Values of each channel, of what may be equalized. */
static oc_status add_lanes(const oc_quantizer *q, oc__quant_watch *w,
                           const oc_tensor *t, oc_error *err) {
    int axis = w->axis < 0 ? t->rank - 1 : w->axis;
    int64_t n = w->lane_count, inner = 1, elems = oc_tensor_elems(t);
    if (axis < 0 || axis >= t->rank || t->dims[axis] != n) {
        drop_lanes(q, w);
        w->lane_count = 0;
        return OC_OK;
    }
    for (int i = axis + 1; i < t->rank; i++)
        inner *= t->dims[i];
    if (!w->lanes)
        w->lanes = oc__calloc(q->allocator, (size_t)n, sizeof *w->lanes);
    if (!w->lanes) return oc__fail_nomem(err);
    const float *x = t->data;
    if (inner == 1)
        for (int64_t c = 0; c < n; c++)
            oc__lane_add(&w->lanes[c], x + c, elems / n, n);
    else
        for (int64_t i = 0; i + inner <= elems; i += inner)
            oc__lane_add(&w->lanes[i / inner % n], x + i, inner, 1);
    return OC_OK;
}

/* Products of the inputs of a weight in blocks. */
static oc_status add_products(const oc_quantizer *q, oc__quant_watch *w,
                              const oc_tensor *t, oc_error *err) {
    int64_t k = t->rank ? t->dims[t->rank - 1] : 0;
    if (k < 1) return OC_OK;
    if (!w->gram) {
        w->gram =
            oc__calloc(q->allocator, oc__blocks_gram_elems(k), sizeof *w->gram);
        if (!w->gram) return oc__fail_nomem(err);
        w->gram_k = k;
    }
    if (w->gram_k == k)
        oc__blocks_gram_add(w->gram, t->data, oc_tensor_elems(t) / k, k);
    return OC_OK;
}

/* What the inputs of targets that read watch i have in common. */
static oc_status add_moments(const oc_quantizer *q, int i, const oc_tensor *x,
                             oc_error *err) {
    for (int k = 0; k < q->plan.n_targets && !q->opt.round_nearest; k++) {
        oc__quant_target *t = &q->plan.targets[k];
        const oc__node *n = q->graph->nodes[t->node];
        const oc_tensor *w = oc__constant(q->graph, n->in[1]);
        if (t->bits || q->plan.watch[n->in[0]] != i) continue;
        if ((!t->moments &&
             oc__moments_create(&t->moments, n, w, t->axis, q->allocator)) ||
            (t->moments && oc__moments_add(t->moments, n, w, x, q->env.kernels,
                                           q->env.pool, q->allocator)))
            return oc__fail_nomem(err);
    }
    return OC_OK;
}

/* What watch i sees, as it is made. */
static oc_status look_at(void *user, int i, const oc_value *v, oc_error *err) {
    oc_quantizer *q = user;
    oc__quant_watch *w = &q->plan.watches[i];
    if (!v || v->kind != OC_KIND_TENSOR || v->t.dtype != OC_DTYPE_F32) {
        q->fewer |= !w->absent;
        w->absent = 1;
        return OC_OK;
    }
    if (w->lane_count && oc__turns_has(&q->turns, &q->plan, w))
        OC_TRY(add_lanes(q, w, &v->t, err));
    if (q->turns.now) return OC_OK;
    oc__range_add(&w->range, v->t.data, oc_tensor_elems(&v->t));
    if (w->axis > -2) OC_TRY(add_means(q, w, &v->t, err));
    if (w->is_product && !q->opt.round_nearest)
        OC_TRY(add_products(q, w, &v->t, err));
    return add_moments(q, i, &v->t, err);
}

/* What no step makes is looked at now. */
static oc_status finish_sample(oc_quantizer *q, oc_error *err) {
    OC_TRY(oc__glimpse_rest(&q->glimpse, q->exec, err));
    if (!q->fewer) return OC_OK;
    q->fewer = 0;
    return oc__quant_decide_again(&q->plan, q->graph, q->allocator, err);
}

oc_status oc_quantizer_add(oc_quantizer *q, const oc_tensor *const *inputs,
                           int n, oc_error *err) {
    oc__error_clear(err);
    if (!q || !inputs || n != q->model->n_inputs)
        return oc__fail(err, OC_E_ARG, "the model has %d inputs, %d are given",
                        q ? q->model->n_inputs : 0, n);
    if (q->turns.n && q->turns.now == q->turns.n)
        return oc__fail(err, OC_E_ARG, "all passes over the samples are over");
    size_t bytes = (size_t)n;
    oc_value *values = oc__calloc(q->allocator, bytes, sizeof *values);
    const oc_value **refs = oc__calloc(q->allocator, bytes, sizeof *refs);
    oc_status st = values && refs ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; !st && i < n; i++) {
        const oc_value_info *info = &q->model->inputs[i];
        if (!inputs[i]) {
            if (!info->optional)
                st = oc__fail(err, OC_E_ARG, "input \"%s\" is not given",
                              info->name);
            continue;
        }
        values[i].kind = OC_KIND_TENSOR;
        values[i].t = *inputs[i];
        refs[i] = &values[i];
    }
    if (!st && !q->exec) st = oc__again_need(&q->again, err);
    if (!st && !q->exec) st = start(q, err);
    if (!st) st = oc__exec_run(q->exec, refs, err);
    if (!st) st = finish_sample(q, err);
    if (!st && !q->turns.now) q->samples++;
    if (q->plan.equal) q->plan.equal->is_chosen = 0;
    for (int i = 0; i < q->plan.n_targets; i++)
        q->plan.targets[i].is_known = q->plan.targets[i].turned_for = 0;
    oc__release(q->allocator, values, bytes * sizeof *values);
    oc__release(q->allocator, refs, bytes * sizeof *refs);
    return st;
}

/* ---- memory -------------------------------------------------------------- */

static void stop(oc_quantizer *q) {
    oc__exec_destroy(q->exec);
    oc__pool_destroy(q->env.pool);
    q->exec = NULL;
    q->env.pool = NULL;
}

void oc_quantizer_rest(oc_quantizer *q) {
    if (!q || !oc__again_may(&q->again)) return;
    stop(q);
    oc__again_drop(&q->again);
}

/* What packing has taken is read again, and packed weights go. */
static oc_status have_weights(oc_quantizer *q, oc_error *err) {
    if (oc__again_lacks(&q->again)) stop(q);
    return oc__again_need(&q->again, err);
}

/* Weights, and what equalizes them. */
static oc_status have_factors(oc_quantizer *q, oc_error *err) {
    OC_TRY(have_weights(q, err));
    return q->samples ? oc__equal_choose(&q->plan, q->graph, &q->opt,
                                         q->allocator, err)
                      : OC_OK;
}

oc_status oc_quantizer_next_pass(oc_quantizer *q, int *more, oc_error *err) {
    oc__error_clear(err);
    if (!q || !more) return oc__fail(err, OC_E_ARG, "no quantizer or no place");
    *more = 0;
    if (!q->turns.n || q->turns.now == q->turns.n) return OC_OK;
    OC_TRY(have_factors(q, err));
    oc__turns_end(&q->turns, &q->plan, q->allocator);
    *more = q->turns.now < q->turns.n;
    return OC_OK;
}

size_t oc_quantizer_least_memory(const oc_quantizer *q) {
    return q ? q->turns.least : 0;
}

int oc_quantizer_has_names(const oc_quantizer *q) {
    return q && q->has_names;
}

/* ---- writing ------------------------------------------------------------- */

/* Threads to round weights with, those for samples where there are such. */
static oc_status begin_rounding(oc_quantizer *q, oc_error *err) {
    int threads = q->opt.threads > 0 ? q->opt.threads : oc_cpu_count();
    q->plan.pool = q->env.pool;
    if (q->plan.pool || !q->samples || q->opt.round_nearest) return OC_OK;
    return oc__pool_create(&q->plan.pool, q->allocator, threads, err);
}

static void end_rounding(oc_quantizer *q) {
    if (q->plan.pool != q->env.pool) oc__pool_destroy(q->plan.pool);
    q->plan.pool = NULL;
}

/* The file's pieces; the graph they point into lives in arena. */
static oc_status put_model(oc_quantizer *q, oc__arena *arena, oc__graph **g,
                           oc__wire_out *o, oc_error *err) {
    oc__onnx *header = oc__arena_alloc(arena, sizeof *header);
    size_t n = (size_t)q->model->n_outputs;
    const char **names = oc__arena_array(arena, n + 1, sizeof *names);
    int version = oc__onnx_opset(oc__model_onnx(q->model), "");
    *g = oc__graph_clone(q->graph, arena);
    if (!*g || !names || !header) return oc__fail_nomem(err);
    OC_TRY(oc__quant_raise(*g, version, err));
    OC_TRY(oc__quant_rewrite(&q->plan, *g, &q->opt, q->allocator, err));
    for (size_t i = 0; i < n; i++)
        names[i] = q->model->outputs[i].name;
    oc__export_options opt = {names};
    *header = *oc__model_onnx(q->model);
    OC_TRY(oc__quant_raise_header(header, arena, err));
    return oc__onnx_export(o, header, *g, &opt, err);
}

/* The caller's from now on, without another copy: it may be large. */
static oc_status give(oc_quantizer *q, oc__buf *buf, void **data, size_t *bytes,
                      size_t total, oc_error *err) {
    given *g = oc__alloc(q->allocator, sizeof *g);
    if (!g) {
        oc__buf_release(buf);
        return oc__fail_nomem(err);
    }
    *g = (given){buf, q->given};
    q->given = g;
    *data = oc__buf_data(buf);
    *bytes = total;
    return OC_OK;
}

/* To a file, or with path NULL to memory. */
static oc_status write_model(oc_quantizer *q, const char *path, void **data,
                             size_t *bytes, oc_error *err) {
    oc__arena arena;
    oc__graph *g = NULL;
    oc__wire_out o;
    oc__buf *flat = NULL;
    if (!q->samples && !q->opt.weight_bits)
        return oc__fail(err, OC_E_ARG,
                        "no sample was added, so no range is known");
    OC_TRY(have_factors(q, err));
    oc__arena_init(&arena, q->allocator);
    oc__put_init(&o, q->allocator);
    oc_status st = begin_rounding(q, err);
    if (!st) st = put_model(q, &arena, &g, &o, err);
    end_rounding(q);
    if (!st && path) st = oc__put_save(&o, path, err);
    if (!st && !path) st = oc__put_flatten(&o, &flat, err);
    if (flat) st = give(q, flat, data, bytes, o.total, err);
    oc__put_deinit(&o);
    if (g) oc__graph_release(g);
    oc__arena_deinit(&arena);
    return st;
}

oc_status oc_quantizer_save(oc_quantizer *q, const char *path, oc_error *err) {
    oc__error_clear(err);
    if (!q || !path) return oc__fail(err, OC_E_ARG, "no quantizer or no path");
    return write_model(q, path, NULL, NULL, err);
}

oc_status oc_quantizer_write(oc_quantizer *q, void **data, size_t *bytes,
                             oc_error *err) {
    oc__error_clear(err);
    if (!q || !data || !bytes)
        return oc__fail(err, OC_E_ARG, "no quantizer or no place for a model");
    return write_model(q, NULL, data, bytes, err);
}

void oc_quantizer_release(oc_quantizer *q, void *data, size_t bytes) {
    (void)bytes;
    for (given **at = q && data ? &q->given : NULL; at && *at;
         at = &(*at)->next) {
        given *g = *at;
        if (oc__buf_data(g->buf) != data) continue;
        *at = g->next;
        oc__buf_release(g->buf);
        oc__release(q->allocator, g, sizeof *g);
        return;
    }
}

/* ---- what there is to say, and to choose --------------------------------- */

const char *oc_quant_precision_name(oc_quant_precision p) {
    static const char *const names[] = {"int8", "weights", "f32"};
    return (size_t)p < OC_COUNT(names) ? names[p] : NULL;
}

const char *oc_quantizer_name(const oc_quantizer *q, int i) {
    return i < 0 || i >= q->plan.n_targets
               ? ""
               : q->graph->nodes[q->plan.targets[i].node]->name;
}

oc_quant_precision oc_quantizer_precision(const oc_quantizer *q, int i) {
    return i < 0 || i >= q->plan.n_targets ? OC_QUANT_F32
                                           : q->plan.targets[i].precision;
}

int oc_quantizer_is_ignored(const oc_quantizer *q, int i) {
    return i < 0 || i >= q->plan.n_targets ||
           q->plan.ignored[q->plan.targets[i].node];
}

oc_status oc_quantizer_set(oc_quantizer *q, int i, oc_quant_precision p,
                           oc_error *err) {
    oc__error_clear(err);
    if (!q || i < 0 || i >= q->plan.n_targets || !oc_quant_precision_name(p))
        return oc__fail(err, OC_E_ARG, "no quantizer, node or precision");
    oc__quant_target *t = &q->plan.targets[i];
    if (t->precision == p) return OC_OK;
    if (q->plan.ignored[t->node])
        return oc__fail(err, OC_E_ARG, "node \"%s\" is ignored",
                        q->graph->nodes[t->node]->name);
    if (q->opt.weight_bits && p == OC_QUANT_INT8)
        return oc__fail(err, OC_E_ARG, "weights alone are quantized");
    t->precision = p;
    return oc__quant_decide_again(&q->plan, q->graph, q->allocator, err);
}

oc_status oc_quantizer_equalize(oc_quantizer *q, int on, oc_error *err) {
    oc__error_clear(err);
    if (!q || (on && !q->plan.equal))
        return oc__fail(err, OC_E_ARG,
                        "no quantizer, or one that was created not to "
                        "equalize channels");
    if (q->plan.equal) q->plan.equal->is_off = !on;
    return OC_OK;
}

int oc_quantizer_equalized(const oc_quantizer *q) {
    return q ? oc__equal_count(&q->plan, q->graph) : 0;
}

oc_status oc_quantizer_round(oc_quantizer *q, int by_samples, oc_error *err) {
    oc__error_clear(err);
    if (!q || (by_samples && q->opt.round_nearest))
        return oc__fail(err, OC_E_ARG,
                        "no quantizer, or one that was created to round to "
                        "the nearest");
    q->plan.is_nearest = !by_samples;
    return OC_OK;
}

int oc_quantizer_rounded(const oc_quantizer *q) {
    int n = 0;
    for (int i = 0; q && !q->plan.is_nearest && i < q->plan.n_targets; i++)
        n += q->plan.targets[i].moments &&
             oc__quant_is_coded(&q->plan, q->graph, &q->plan.targets[i]);
    return n;
}

/* The watch of target t's input. */
static const oc__quant_watch *input_of(const oc_quantizer *q,
                                       const oc__quant_target *t) {
    int v = q->graph->nodes[t->node]->in[0];
    return &q->plan.watches[q->plan.watch[v]];
}

/* Nothing of what may be seen of q changes. */
static oc_quantizer *changeable(const oc_quantizer *q) {
    return (oc_quantizer *)(uintptr_t)q;
}

oc_status oc_quantizer_histogram(const oc_quantizer *q, int i, int n,
                                 double *shares, float *lo, float *hi) {
    if (!q || !shares || !lo || !hi || n < 1 || i < 0 || i >= q->plan.n_targets)
        return OC_E_ARG;
    if (q->plan.equal && !q->plan.equal->is_chosen)
        OC_TRY(have_factors(changeable(q), NULL));
    const oc__range *r =
        oc__quant_seen(&q->plan, q->graph, input_of(q, &q->plan.targets[i]));
    oc__range_shares(r, n, shares);
    *lo = r->least;
    *hi = r->most;
    return OC_OK;
}

int oc_quantizer_node_count(const oc_quantizer *q) {
    return q->plan.n_targets;
}

/* What becomes of t's weight w, which is by factors already. */
static oc_status note_weight(const oc_quantizer *q, oc__quant_target *t,
                             const oc_tensor *w, oc_quantized_node *out) {
    size_t elems = (size_t)oc_tensor_elems(w);
    size_t channels = (size_t)w->dims[t->axis];
    int is_coded = t->precision != OC_QUANT_F32;
    out->bits = !is_coded ? 32 : t->bits ? t->bits : 8;
    if (t->bits && is_coded) {
        OC_TRY(
            oc__quant_blocks_noise(&q->plan, q->graph, t, q->allocator, NULL));
        out->group = t->block;
        out->sqnr_db = t->weight_db;
        out->product_sqnr_db = t->product_db;
        return OC_OK;
    }
    int8_t *codes = oc__alloc(q->allocator, elems);
    float *scales = oc__calloc(q->allocator, channels, sizeof *scales);
    oc_status st = codes && scales ? OC_OK : OC_E_NOMEM;
    if (!st) {
        out->sqnr_db = oc__quant_weight(w, q->opt.per_tensor ? -1 : t->axis,
                                        out->quantized && !q->opt.full_range,
                                        codes, scales);
    }
    if (!st && is_coded && t->moments) {
        st = oc__quant_round(&q->plan, q->graph, &q->opt, t, w, scales, codes,
                             q->allocator, NULL);
        out->product_sqnr_db = t->product_db;
        out->nearest_sqnr_db = t->nearest_db;
        out->by_samples = !q->plan.is_nearest;
    }
    oc__release(q->allocator, codes, elems);
    oc__release(q->allocator, scales, channels * sizeof *scales);
    return st;
}

oc_status oc_quantizer_node(const oc_quantizer *q, int i,
                            oc_quantized_node *out) {
    if (!q || !out || i < 0 || i >= q->plan.n_targets) return OC_E_ARG;
    OC_TRY(have_factors(changeable(q), NULL));
    oc__quant_target *t = &q->plan.targets[i];
    const oc__node *n = q->graph->nodes[t->node];
    oc_tensor w = *oc__constant(q->graph, n->in[1]), even;
    memset(out, 0, sizeof *out);
    out->name = n->name;
    out->op = n->op->name;
    out->precision = t->precision;
    out->quantized = t->precision == OC_QUANT_INT8;
    out->weights = oc_tensor_elems(&w);
    OC_TRY(oc__equal_weight(&q->plan, q->graph, t, &even, q->allocator, NULL));
    if (even.data) w.data = even.data;
    oc_status st = note_weight(q, t, &w, out);
    if (even.data) oc__release(q->allocator, even.data, oc_tensor_bytes(&w));
    const oc__quant_watch *x = input_of(q, t);
    if (!st && q->samples && !x->absent) {
        uint8_t zero;
        int code = q->plan.code[n->in[0]];
        if (code >= 0) x = &q->plan.watches[q->plan.watch[code]];
        const oc__range *r = oc__quant_seen(&q->plan, q->graph, x);
        const oc__equal *e = oc__equal_of(&q->plan, q->graph, x->value);
        out->equalized = e ? e->alpha : 0;
        oc__quant_limits(&q->opt, r, &out->lo, &out->hi);
        oc__range_code(out->lo, out->hi, &out->scale, &zero);
        double noise = oc__range_error(r, out->lo, out->hi);
        out->input_sqnr_db =
            noise > 0 ? 10 * log10(oc__range_power(r) / noise) : 200;
    }
    return st;
}
